from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import LimitError, ReadError
from pipeline.readers import read_document, scan
from pipeline.readers.layout_types import Page
from pipeline.readers.mending import _mend_sequence, mend_numbers, mend_signs
from pipeline.readers.scan import compose, read_image
from pipeline.records import Cell, Document, Source, Table
from pipeline.settings import Settings

needs_cv2 = pytest.mark.skipif(importlib.util.find_spec("cv2") is None, reason="needs OpenCV")
needs_ocr = pytest.mark.skipif(not scan.is_available(), reason="needs the extra shidian[ocr]")


@pytest.mark.parametrize(
    ("read", "mended"),
    [
        ("(二）有限竞争性服务业。", "（二）有限竞争性服务业。"),
        ("合伙人（QDLP)试点,推进改革;增长3.5%", "合伙人（QDLP）试点，推进改革；增长3.5%"),
        ("重点任务:支持开展", "重点任务：支持开展"),
        ("一10一", "— 10 —"),
        ("-3-", "— 3 —"),
        ("1,180 TEU", "1,180 TEU"),
        ("比例为1:3", "比例为1:3"),
    ],
)
def test_signs_are_mended_by_their_context(read: str, mended: str) -> None:
    assert mend_signs(read) == mended


@pytest.mark.parametrize(
    ("read", "mended"),
    [
        ([7, 8, 6, 10, 11], [7, 8, 9, 10, 11]),
        ([1, 2, 3, 0, 5], [1, 2, 3, 4, 5]),
        ([1, 2, -1, 3, 4], [1, 2, None, 3, 4]),
        ([1, 2, 3, 7], [1, 2, 3, 4]),
        ([1, 2, 5, 6], [1, 2, 5, 6]),
        ([], []),
    ],
)
def test_numbers_are_mended_by_their_sequence(read: list[int], mended: list[int | None]) -> None:
    assert _mend_sequence(read) == mended


@given(st.integers(3, 40), st.data())
def test_one_misread_number_is_always_mended(count: int, data: st.DataObject) -> None:
    place = data.draw(st.integers(1, count - 1))
    wrong = data.draw(st.integers(0, 99))
    values = list(range(1, count + 1))
    values[place] = wrong
    if count > 3 and place not in (1, count - 2):
        assert _mend_sequence(values) == list(range(1, count + 1))


def recognised(rows: list[list[str]], confidence: float = 0.95) -> Document:
    cells = tuple(
        Cell(r, c, text, page=1, confidence=confidence) for r, row in enumerate(rows) for c, text in enumerate(row)
    )
    return Document("d", "a.pdf", "pdf", (Table(cells, Source("d", 1)),))


def test_a_mended_number_is_named_and_less_sure() -> None:
    rows = [["序号", "任务"], ["7", "甲"], ["8", "乙"], ["6", "丙"], ["10", "丁"], ["11", "戊"]]
    document = mend_numbers(recognised(rows))
    assert [row[0] for row in document.tables[0].grid()] == ["序号", "7", "8", "9", "10", "11"]
    assert document.tables[0].cells[6].confidence <= 0.6
    assert "9" in document.problems[0].message


def test_numbers_of_born_digital_tables_are_never_touched() -> None:
    document = recognised([["序号", "任务"], ["7", "甲"], ["8", "乙"], ["6", "丙"], ["10", "丁"]], confidence=1.0)
    assert mend_numbers(document) is document


@needs_cv2
def test_skew_is_found_and_rules_are_told_from_strokes() -> None:
    import cv2
    import numpy

    from pipeline.readers.picture import find_rules, find_skew, ink_mask, turn

    page = numpy.full((1400, 1000), 255, numpy.uint8)
    for y in (200, 300, 400):
        cv2.line(page, (100, y), (900, y), 0, 2)
    for x in (100, 200, 900):
        cv2.line(page, (x, 200), (x, 400), 0, 2)
    for n in range(20):  # strokes as long as characters are
        cv2.line(page, (100 + 40 * n, 600), (130 + 40 * n, 600), 0, 3)
    leaning = turn(page, -1.2)
    angle = find_skew(leaning)
    assert angle == pytest.approx(1.2, abs=0.15)
    rules, _ = find_rules(ink_mask(turn(leaning, angle)), 30)
    across = [rule for rule in rules if rule[1] == rule[3]]
    assert sorted(round(rule[1], -1) for rule in across) == [200, 300, 400]
    assert len(rules) - len(across) == 3


@needs_cv2
def test_a_seal_vanishes_and_the_text_under_it_stays() -> None:
    import cv2
    import numpy

    from pipeline.readers.picture import without_seal

    page = numpy.full((200, 200, 3), 255, numpy.uint8)
    cv2.circle(page, (100, 100), 60, (40, 40, 220), 5)
    cv2.line(page, (20, 100), (180, 100), (20, 20, 20), 3)
    grey, red = without_seal(page)
    assert grey[40, 100] == 255
    assert grey[100, 100] < 60
    assert red[40, 100] < 100


@needs_cv2
def test_pictures_on_a_page_are_put_in_their_places(monkeypatch: pytest.MonkeyPatch) -> None:
    import cv2
    import numpy

    monkeypatch.setattr(scan, "is_available", lambda: True)
    black = cv2.imencode(".png", numpy.zeros((100, 100, 3), numpy.uint8))[1].tobytes()
    canvas = compose("a", [(black, (50.0, 0.0, 0.0, 50.0, 100.0, 20.0))], 595, 842, Settings())
    tall, wide = canvas.shape[:2]
    assert canvas[int(tall * 45 / 297), int(wide * 125 / 210), 0] == 0
    assert canvas[int(tall * 45 / 297), int(wide * 50 / 210), 0] == 255


def test_without_the_extra_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = pytest.importorskip("PIL.Image")
    path = tmp_path / "a.png"
    image.new("RGB", (50, 50)).save(path)
    monkeypatch.setattr(scan, "is_available", lambda: False)
    with pytest.raises(ReadError, match=r"shidian\[ocr\]"):
        read_document(path)


def test_pixels_are_bounded_and_damage_is_named() -> None:
    image = pytest.importorskip("PIL.Image")
    import io

    buffer = io.BytesIO()
    image.new("L", (400, 400)).save(buffer, "PNG")
    with pytest.raises(LimitError, match="像素"):
        read_image("a", buffer.getvalue(), "d", Settings(max_pixels=1000))
    with pytest.raises(ReadError):
        read_image("a", buffer.getvalue()[:60], "d", Settings())


def tiff(count: int, side: int = 60) -> bytes:
    import io

    image = pytest.importorskip("PIL.Image")
    pages = [image.new("1", (side, side), 1) for _ in range(count)]
    buffer = io.BytesIO()
    pages[0].save(buffer, "TIFF", save_all=True, append_images=pages[1:], compression="group4")
    return buffer.getvalue()


def test_the_pages_of_a_picture_file_are_opened_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    import weakref

    seen: list[weakref.ref[Any]] = []
    most = []

    def recognise(image: Any, number: int, width: float, height: float, settings: Settings) -> Page:
        seen.append(weakref.ref(image))
        most.append(sum(found() is not None for found in seen))
        return Page(number, width, height, (), ())

    monkeypatch.setattr(scan, "is_available", lambda: True)
    monkeypatch.setattr(scan, "recognise_picture", recognise)
    document = read_image("a.tif", tiff(5), "d", Settings())
    assert document.page_count == 5
    assert max(most) <= 2
    with pytest.raises(LimitError, match="页"):
        read_image("a.tif", tiff(5), "d", Settings(max_pages=4))


def draw_table(cv2: Any, numpy: Any) -> Any:
    page = numpy.full((1170, 827, 3), 255, numpy.uint8)
    for y in range(200, 501, 60):
        cv2.line(page, (80, y), (740, y), (0, 0, 0), 2)
    for x in (80, 200, 740):
        cv2.line(page, (x, 200), (x, 500), (0, 0, 0), 2)
    for row, (number, text) in enumerate(
        [("No", "Task"), ("1", "OPEN 2021"), ("2", "TRADE"), ("3", "DATA"), ("4", "RAIL")]
    ):
        for x, word in ((110, number), (230, text)):
            cv2.putText(page, word, (x, 242 + 60 * row), cv2.FONT_HERSHEY_DUPLEX, 1.0, (0, 0, 0), 2, cv2.LINE_AA)
    return page


@needs_ocr
@pytest.mark.slow
def test_a_scanned_table_is_read_cell_by_cell(tmp_path: Path) -> None:
    import cv2
    import numpy

    path = tmp_path / "scan.bin"
    path.write_bytes(cv2.imencode(".png", draw_table(cv2, numpy))[1].tobytes())
    (table,) = read_document(path).tables
    assert [[cell.replace(" ", "") for cell in row] for row in table.grid()] == [
        ["No", "Task"], ["1", "OPEN2021"], ["2", "TRADE"], ["3", "DATA"], ["4", "RAIL"],
    ]  # fmt: skip
    assert all(0.5 < cell.confidence < 1.0001 for cell in table.cells)
