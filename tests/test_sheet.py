from __future__ import annotations

import datetime
import io
import zipfile
from pathlib import Path

import openpyxl
import pytest

from pipeline.errors import LimitError, ReadError
from pipeline.readers import read_document
from pipeline.readers.sheet import _blocks, _Sheet, format_number, read_sheet
from pipeline.records import Document
from pipeline.settings import Settings

SHARED = Path(__file__).parents[1].parent / "shared"


def save(book: openpyxl.Workbook) -> bytes:
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def read(book: openpyxl.Workbook, settings: Settings | None = None) -> Document:
    return read_sheet("a.xlsx", save(book), "d", settings or Settings())


def make() -> openpyxl.Workbook:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet["A1"] = "任务台账"
    sheet.merge_cells("A1:D1")
    for row in (["序号", "任 务", "单位", "时限"], [1, "开展甲试点", "市甲局", datetime.date(2022, 12, 31)]):
        sheet.append(row)
    sheet.append([2.0, "进度", None, 0.355])
    sheet["D4"].number_format = "0.0%"
    sheet.merge_cells("C3:C4")
    return book


def test_title_header_numbers_dates_and_merges() -> None:
    document = read(make())
    assert document.paragraphs[0].text == "任务台账"
    assert document.tables[0].grid() == [
        ["序号", "任务", "单位", "时限"],
        ["1", "开展甲试点", "市甲局", "2022-12-31"],
        ["2", "进度", "", "35.5%"],
    ]
    merged = next(cell for cell in document.tables[0].cells if cell.text == "市甲局")
    assert merged.row_span == 2


def test_hidden_sheets_are_named_and_several_sheets_have_headings() -> None:
    book = make()
    for name in ("进展", "草稿"):
        book.create_sheet(name).append(["事项", "进展"])
    book["草稿"].sheet_state = "hidden"
    document = read(book)
    assert [p.text for p in document.paragraphs if p.level] == ["进展"]
    assert "草稿" in document.problems[0].message
    assert len(document.tables) == 2


def test_formulas_give_their_last_value_and_nothing_runs() -> None:
    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.append(["序号", "任务"])
    book.active.append(["=cmd|'/c calc'!A1", "有字"])
    document = read(book)
    assert document.tables[0].grid() == [["序号", "任务"], ["", "有字"]]
    assert "公式" in document.problems[0].message


def test_empty_damaged_and_too_large() -> None:
    with pytest.raises(ReadError, match="没有内容"):
        read(openpyxl.Workbook())
    with pytest.raises(LimitError):
        read(make(), Settings(max_characters=10))
    data = save(make())
    with pytest.raises(ReadError, match="损坏"):
        read_sheet("a.xlsx", data[:-200], "d", Settings())
    with pytest.raises(ReadError):
        read_sheet("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 5000, "d", Settings())


def test_entities_are_refused() -> None:
    source = zipfile.ZipFile(io.BytesIO(save(make())))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name.endswith("sheet1.xml"):
                data = b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + data
            target.writestr(name, data)
    with pytest.raises(ReadError, match="实体"):
        read_sheet("a.xlsx", buffer.getvalue(), "d", Settings())


@pytest.mark.skipif(not SHARED.exists(), reason="needs the shared samples")
def test_xls_and_xlsx_of_one_table_agree() -> None:
    first, second = (read_document(SHARED / "samples" / f"v10_annex.{suffix}") for suffix in ("xls", "xlsx"))
    assert first.tables[0].grid() == second.tables[0].grid()
    assert (first.format, second.format) == ("xls", "xlsx")


def test_percent_signs_that_scale_and_those_that_stand_as_they_are() -> None:
    assert format_number(0.355, "0.0%") == "35.5%"
    assert format_number(35.5, '0.0"%"') == "35.5%"
    assert format_number(35.5, r"0.0\%") == "35.5%"
    assert format_number(3, "[Red]0") == "3"


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        (0.5, "h:mm", "12:00"),
        (0.0, "h:mm", "00:00"),
        (44412.499999999, "h:mm", "12:00"),
        (44412.5, "yyyy-mm-dd hh:mm", "2021-08-04 12:00"),
        (0.75, "yyyy-mm-dd", "18:00"),
        (1.5, "[h]:mm", "36:00"),
        (0.5, 'h"时"mm"分"', "12:00"),
    ],
)
def test_times_of_day_carry_no_day(value: float, code: str, text: str) -> None:
    assert format_number(value, code) == text


def test_characters_that_xml_cannot_hold_are_written_back() -> None:
    book = make()
    assert book.active is not None
    book.active["B3"] = "PLACE"
    source = zipfile.ZipFile(io.BytesIO(save(book)))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for name in source.namelist():
            data = source.read(name).replace(b"PLACE", "已上线。_x000D_\n服务_x005F_x0041_。".encode())
            target.writestr(name, data)
    (table,) = read_sheet("a.xlsx", buffer.getvalue(), "d", Settings()).tables
    assert table.grid()[1][1] == "已上线。\n服务_x0041_。"


def rows_of(*rows: tuple[int, list[object]]) -> Document:
    book = openpyxl.Workbook()
    assert book.active is not None
    for row, values in rows:
        for column, value in enumerate(values, 1):
            book.active.cell(row, column, value)
    return read(book)


def test_two_tables_parted_by_empty_rows_are_two() -> None:
    first = [(1, ["序号", "任务"]), (2, [1, "开展甲试点"])]
    document = rows_of(*first, (4, ["案例清单"]), (5, ["序号", "案例", "做法"]), (6, [1, "箱管", "共享"]), (8, ["注"]))
    assert [table.grid() for table in document.tables] == [
        [["序号", "任务"], ["1", "开展甲试点"]],
        [["序号", "案例", "做法"], ["1", "箱管", "共享"], ["注", "", ""]],
    ]
    assert [p.text for p in document.paragraphs] == ["案例清单"]
    assert [table.source.table for table in document.tables] == [1, 2]


def test_an_empty_row_within_a_table_parts_nothing() -> None:
    document = rows_of((1, ["序号", "任务"]), (2, [1, "开展甲试点"]), (4, [2, "开展乙试点"]), (5, [3, "开展丙试点"]))
    assert len(document.tables[0].grid()) == 4
    form = rows_of((1, ["项目名称", "产业园"]), (3, ["建设内容", "建平台"]), (4, ["责任单位", "市甲局"]))
    assert len(form.tables) == 1


def test_a_long_sheet_of_one_column_takes_time_by_its_length(growth) -> None:
    def read(count: int) -> None:
        assert len(list(_blocks(_Sheet("a", {(row, 0): "正文。" for row in range(count)}), "d", 1))) == count

    assert growth(read, 2_000) < 24
