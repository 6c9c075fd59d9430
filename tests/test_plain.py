from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import LimitError, ReadError, UnsupportedFormatError
from pipeline.readers import read_document, read_documents
from pipeline.readers.formats import detect_format
from pipeline.readers.plain import decode, read_plain
from pipeline.records import Document, Paragraph
from pipeline.settings import Settings

SHARED = Path(__file__).parents[1].parent / "shared"

PIPES = """\
附件
| 序号 | 任 务 | 牵头单位 |
|---|---|---|
| 一、总体 | | |
| 1 | 开展A\\|B试点<br>二期 | 市甲局 |

| 序号 | 任 务 | 牵头单位 |
|---|---|---|
| | 续行。 | |
"""


def read(text: str, settings: Settings | None = None) -> Document:
    return read_plain("a.txt", text.encode(), "d", settings or Settings())


def texts(document: Document) -> list[str]:
    return [block.text for block in document.blocks if isinstance(block, Paragraph)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "gb18030"])
def test_text_is_decoded_in_any_of_the_usual_encodings(encoding: str) -> None:
    text = "一、总体情况\n2023年，全市开行班列1180列。\n" * 5
    assert decode(text.encode(encoding)) == text


@given(st.text(alphabet="一二三任务单位，。 \n123abc", min_size=1).filter(str.strip))
def test_no_character_is_lost(text: str) -> None:
    document = read(text)
    got = "".join(texts(document)) + "".join(cell.text for table in document.tables for cell in table.cells)
    assert sorted(got.replace(" ", "")) == sorted("".join(text.split()))


def test_pipe_tables_stand_as_they_are_one_for_each() -> None:
    first, second = read(PIPES).tables
    assert first.grid() == [["序号", "任务", "牵头单位"], ["一、总体", "", ""], ["1", "开展A|B试点\n二期", "市甲局"]]
    assert second.grid()[1] == ["", "续行。", ""]


def test_wrapped_lines_are_joined_by_indent_and_width() -> None:
    lines = [
        "　　一、总体情况",
        "　　2022年，全市对外开放大通道建设稳步提速，开行班列超过五千",
        "列，西部陆海新通道通达119个国家和地区的393个港口，三大枢",
        "纽集散功能增强。",
        "　　新增国际航线4条，口岸营商环境评价位居中西部前列，进出口总",
        "值首次突破8100亿元。",
    ]
    assert texts(read("\n".join(lines))) == [
        "一、总体情况",
        "2022年，全市对外开放大通道建设稳步提速，开行班列超过五千列，西部陆海新通道通达119个国家和地区的393个港口，三大枢纽集散功能增强。",
        "新增国际航线4条，口岸营商环境评价位居中西部前列，进出口总值首次突破8100亿元。",
    ]


def test_a_page_number_between_two_halves_of_a_sentence_vanishes() -> None:
    halves = "坚持对标对表。主动适应全球产业链重塑，推动制度型开放，全面贯彻党", "中央、国务院决策部署。"
    assert texts(read("\n\n— 3 —\n\n".join(halves))) == ["".join(halves)]


def test_a_table_copied_one_cell_a_line() -> None:
    rows = "任务分工 序号 试点任务 牵头单位 配合单位 一、总体 1 开展甲试点。 市甲局 市乙局 2 开展乙试点。 市丙局"
    document = read(f"{rows} 3 开展丙试点。 市丁局 市戊局 抄送：各部门。".replace(" ", "\n"))
    assert document.tables[0].grid() == [
        ["序号", "试点任务", "牵头单位", "配合单位"],
        ["一、总体", "", "", ""],
        ["1", "开展甲试点。", "市甲局", "市乙局"],
        ["2", "开展乙试点。", "市丙局", ""],
        ["3", "开展丙试点。", "市丁局", "市戊局"],
    ]
    assert texts(document) == ["任务分工", "抄送：各部门。"]


def test_tab_separated_rows_are_a_table() -> None:
    assert read("序号\t事项\t进展\n1\t甲\t完成\n2\t乙\t").tables[0].grid()[2] == ["2", "乙", ""]


def test_form_feeds_count_pages() -> None:
    document = read("第一段。\f第二段。")
    assert [p.source.page for p in document.paragraphs] == [1, 2]
    assert document.page_count == 2


def test_jsonl_gives_a_document_a_line_with_given_ids(tmp_path: Path) -> None:
    line = {
        "doc_id": "D1",
        "kind": "case",
        "title": "题",
        "issuer": "局",
        "date": "2022-01-01",
        "extra": 1,
        "passages": [{"pid": "D1-1", "text": "创始人股权\n— 3 —\n和产线设备２项", "links": []}],
    }
    path = tmp_path / "a.txt"
    path.write_text(json.dumps(line, ensure_ascii=False) + "\n" + json.dumps(line | {"doc_id": "D2"}), encoding="utf-8")
    first, second = read_documents(path)
    assert (first.id, second.id, first.kind, first.issuer) == ("D1", "D2", "case", "局")
    assert first.paragraphs[0].given_id == "D1-1"
    assert first.paragraphs[0].text == "创始人股权和产线设备2项"
    assert "— 3 —" in first.paragraphs[0].raw
    with pytest.raises(ReadError, match="多份文档"):
        read_document(path)


@pytest.mark.parametrize(
    ("given", "date"),
    [
        ("2024-03-05", "2024-03-05"), ("2024年3月5日", "2024-03-05"), ("2024/3/5", "2024-03-05"),
        ("2024-3-5", "2024-03-05"), ("20240305", "2024-03-05"), (20240305, "2024-03-05"), ("2024-03", "2024-03-01"),
        ("2024年3月", "2024-03-01"), ("2024-03-05 10:00:00", "2024-03-05"), ("", ""), (None, ""),
    ],
)  # fmt: skip
def test_dates_of_jsonl_become_iso(tmp_path: Path, given: object, date: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"doc_id": "D1", "date": given, "passages": []}), encoding="utf-8")
    document = read_document(path)
    assert (document.date, document.problems) == (date, ())


@pytest.mark.parametrize("given", ["2024", "去年", "2024-02-31", "20241305", "2024-13"])
def test_what_is_no_date_is_told_of(tmp_path: Path, given: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"doc_id": "D1", "date": given, "passages": []}), encoding="utf-8")
    document = read_document(path)
    assert document.date == ""
    assert f"第1行的日期“{given}”无法识别" in document.problems[0].message


def test_a_jsonl_document_without_an_id_is_what_it_says(tmp_path: Path) -> None:
    lines = [{"title": title, "passages": [{"text": "平台已经建成。"}]} for title in ("甲", "乙", "甲")]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    first, second, third = (document.id for document in read_documents(path))
    assert first == third != second


@pytest.mark.parametrize("line", ['{"doc_id": 1}', '{"passages": [3]}', '{"doc_id": "x", "passages": [{"pid": 1'])
def test_malformed_jsonl_names_the_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(line, encoding="utf-8")
    with pytest.raises(ReadError, match="第1行"):
        read_document(path)


def test_bounds_and_unreadable_text() -> None:
    with pytest.raises(LimitError):
        read("字" * 100, Settings(max_characters=50))
    with pytest.raises(ReadError, match="没有文字"):
        read(" \n\n")


def test_errors_of_files(tmp_path: Path) -> None:
    (tmp_path / "empty.docx").touch()
    (tmp_path / "noise.doc").write_bytes(bytes(range(256)) * 20)
    (tmp_path / "packed.rar").write_bytes(b"Rar!\x1a\x07\x00abc")
    with pytest.raises(ReadError, match="找不到文件"):
        read_document(tmp_path / "none.pdf")
    with pytest.raises(ReadError, match="空的"):
        read_document(tmp_path / "empty.docx")
    with pytest.raises(ReadError, match="文件夹"):
        read_document(tmp_path)
    for name in ("noise.doc", "packed.rar"):
        with pytest.raises(UnsupportedFormatError, match="DOCX"):
            read_document(tmp_path / name)


def test_folders_are_searched_in_order_without_lock_files(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("b/2.txt", "a.txt", "~$a.txt", ".hidden", "b/x.tmp"):
        (tmp_path / name).write_text("正文。", encoding="utf-8")
    (tmp_path / "c.zip").write_bytes(b"PK\x03\x04damaged")
    errors: list[ReadError] = []
    names = [Path(d.path).name for d in read_documents(tmp_path, on_error=errors.append)]
    assert names == ["a.txt", "2.txt"]
    assert "损坏" in errors[0].reason


@pytest.mark.skipif(not SHARED.exists(), reason="needs the shared samples")
def test_the_users_own_text_form() -> None:
    document = read_document(SHARED / "notice" / "notice.txt")
    assert document.title == "重庆市人民政府关于印发重庆市服务业扩大开放综合试点工作方案的通知"
    assert (document.issuer, document.date, document.number) == ("重庆市人民政府", "2021-08-04", "渝府发〔2021〕19号")
    assert len(document.tables) == 9
    assert any(p.text.startswith("坚持对标对表") and p.text.endswith("落地见效。") for p in document.paragraphs)


def test_a_pasted_address_over_indented_lines_is_told_from_a_web_archive_at_once(growth):
    def detect(count):
        text = "https://www.example.cn/a.html\r\n" + "    正文一段，认真落实。\r\n" * count
        assert detect_format("a.txt", text.encode(), Settings()) == "text"

    assert growth(detect, 2) < 24
    head = 'From: x\r\nSubject: y\r\n z\r\nMIME-Version: 1.0\r\nContent-Type: multipart/related; boundary="b"\r\n\r\n'
    assert detect_format("a.mht", head.encode(), Settings()) == "mht"
