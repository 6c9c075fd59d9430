"""Workbooks: XLSX on its own XML, XLS through xlrd. Values as they were last computed; no formula is ever run."""

from __future__ import annotations

import datetime
import functools
import io
import os
import re
import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lxml import etree

from pipeline.errors import LimitError, ReadError
from pipeline.readers.archive import Archive, attribute, local
from pipeline.readers.tables import heading_kind
from pipeline.records import Cell, Document, Paragraph, Problem, Source, Table
from pipeline.settings import Settings
from pipeline.text import clean, normalise

_MAX_COLUMNS = 500
_MAX_TITLES = 3
"""Lines of a title between an empty row and the header below it."""
_MAX_CELLS = 2_000_000
_KNOWN_FORMATS = (
    dict.fromkeys((9, 10), "0%")
    | dict.fromkeys((*range(14, 18), 22, *range(27, 32), 36, *range(50, 59)), "yyyy-mm-dd")
    | dict.fromkeys((*range(18, 22), *range(32, 36), *range(45, 48)), "h:mm:ss")
)
"""Formats that a workbook names by number alone."""


@dataclass
class _Sheet:
    name: str
    cells: dict[tuple[int, int], str] = field(default_factory=dict)
    """Texts by row and column, counted from 0."""
    merges: list[tuple[int, int, int, int]] = field(default_factory=list)
    """first row, first column, last row, last column"""


@functools.lru_cache(maxsize=4096)
def _bare(code: str) -> str:
    """Return a format without the parts that are written as they stand."""
    return re.sub(r'"[^"]*"|\[[^\]]*\]|\\.', "", code.lower())


def format_number(value: float, code: str = "", epoch_1904: bool = False) -> str:
    """Return a number as a reader of the sheet sees it, by the code of its format.

    Example:
        >>> format_number(3.0), format_number(44412, "yyyy/m/d"), format_number(0.5, "h:mm"), format_number(0.355, "0%")
        ('3', '2021-08-04', '12:00', '35.5%')
    """
    bare = _bare(code)
    has_day = re.search(r"[yd]|年|月|日", bare) is not None
    has_time = re.search(r"h:?m|mm:ss", bare) is not None
    if re.search(r"\[h+\]", code.lower()) and value >= 0:
        minutes = round(value * 1440)  # a length of time, which may be longer than a day
        return f"{minutes // 60}:{minutes % 60:02d}"
    if (has_day or has_time) and "general" not in bare and 0 <= value < 2_958_466 and (has_time or value):
        start = datetime.datetime(1904, 1, 1) if epoch_1904 else datetime.datetime(1899, 12, 30)
        moment = start + datetime.timedelta(seconds=round(value * 86400))
        if value < 1 or not has_day:  # a time of day; the day that numbers are counted from means nothing
            return moment.strftime("%H:%M")
        return moment.strftime("%Y-%m-%d" if value == int(value) else "%Y-%m-%d %H:%M")
    if "%" in bare:
        return f"{round(value * 100, 4):g}%"
    text = str(int(value)) if value == int(value) and abs(value) < 1e15 else f"{value:.12g}"
    return f"{text}%" if "%" in code else text  # a sign that is written as it stands scales nothing


_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")


def _unescaped(text: str) -> str:
    """Return a text of XLSX with the characters that XML cannot hold (_x000D_); control characters are dropped."""

    def character(match: re.Match[str]) -> str:
        code = int(match.group(1), 16)
        if 0xD800 <= code < 0xE000:
            return match.group()
        return chr(code) if code >= 32 or code in (9, 10, 13) else ""

    return _ESCAPED.sub(character, text).replace("\r\n", "\n") if "_x" in text else text


def _column(letters: str) -> int:
    value = 0
    for letter in letters.upper():
        value = value * 26 + ord(letter) - 64
    return value - 1


def _place(reference: str) -> tuple[int, int] | None:
    match = re.fullmatch(r"\$?([A-Za-z]{1,3})\$?(\d{1,7})", reference)
    return (int(match.group(2)) - 1, _column(match.group(1))) if match else None


class _Xlsx:
    def __init__(self, path: str, data: bytes, settings: Settings) -> None:
        self.path = path
        self.settings = settings
        self.archive = Archive(path, data, settings)
        self.problems: list[Problem] = []
        self.characters = 0
        self.count = 0
        self.uncomputed = 0
        self.epoch_1904 = False
        self.formats: list[str] = []

    def _rich(self, element: etree._Element) -> str:
        """Return the text of a string item without its phonetic hints."""
        return _unescaped(
            "".join(
                found.text or ""
                for found in element.iter()
                if local(found) == "t" and not _within(found, "rPh", element)
            )
        )

    def _strings(self) -> list[str]:
        if "xl/sharedStrings.xml" not in self.archive:
            return []
        return [self._rich(item) for item in self.archive.xml("xl/sharedStrings.xml") if local(item) == "si"]

    def _styles(self) -> None:
        if "xl/styles.xml" not in self.archive:
            return
        root = self.archive.xml("xl/styles.xml")
        codes = {
            attribute(found, "numFmtId"): attribute(found, "formatCode") or ""
            for found in root.iter()
            if local(found) == "numFmt"
        }
        for group in root:
            if local(group) == "cellXfs":
                for style in group:
                    number = attribute(style, "numFmtId") or "0"
                    known = int(number) if number.isdigit() else 0
                    self.formats.append(codes.get(number) or _KNOWN_FORMATS.get(known, ""))

    def sheets(self) -> Iterator[_Sheet]:
        strings = self._strings()
        self._styles()
        targets: dict[str, str] = {}
        if "xl/_rels/workbook.xml.rels" in self.archive:
            for relation in self.archive.xml("xl/_rels/workbook.xml.rels"):
                target = relation.get("Target") or ""
                targets[relation.get("Id") or ""] = target.lstrip("/") if target.startswith("/") else f"xl/{target}"
        for element in self.archive.xml("xl/workbook.xml").iter():
            if local(element) == "workbookPr":
                self.epoch_1904 = attribute(element, "date1904") in ("1", "true")
            if local(element) != "sheet":
                continue
            name = element.get("name") or ""
            relation = next((value for key, value in element.attrib.items() if key.endswith("}id")), "")
            target = targets.get(relation, "")
            if (element.get("state") or "visible") != "visible":
                self.problems.append(Problem("note", f"工作表“{name}”是隐藏的，未读取", file=self.path))
            elif target in self.archive and "/worksheets/" in f"/{target}":
                yield self._sheet(name, target, strings)
        if self.uncomputed:
            message = (
                f"{self.uncomputed} 个公式没有保存结果，对应单元格为空。请在 Excel 或 WPS 中打开并保存后重新导入。"
            )
            self.problems.append(Problem("table", message, file=self.path))

    def _sheet(self, name: str, target: str, strings: list[str]) -> _Sheet:
        sheet = _Sheet(name)
        data = self.archive.read(target)
        if b"<!DOCTYPE" in data[:4096]:
            raise ReadError(self.path, f"内部文件 {target} 带有外部实体声明，已拒绝读取", advice="请检查文件来源")
        row = column = -1
        try:
            for _, element in etree.iterparse(
                io.BytesIO(data),
                events=("end",),
                resolve_entities=False,
                load_dtd=False,
                no_network=True,
                huge_tree=False,
            ):
                kind = local(element)
                if kind == "c":
                    place = _place(attribute(element, "r") or "")
                    row, column = place if place else (max(row, 0), column + 1)
                    text = self._value(element, strings)
                    if text:
                        self._keep(sheet, row, column, text)
                    element.clear()
                elif kind == "row":
                    number = attribute(element, "r") or ""
                    row, column = (int(number) if number.isdigit() else row + 1), -1
                    element.clear()
                elif kind == "mergeCell":
                    corners = [_place(part) for part in (attribute(element, "ref") or "").split(":")]
                    if len(corners) == 2 and corners[0] and corners[1]:
                        sheet.merges.append((*corners[0], *corners[1]))
        except etree.XMLSyntaxError as error:
            raise ReadError(self.path, f"工作表“{name}”已损坏（{error}）", advice="请重新获取该文件") from error
        return sheet

    def _keep(self, sheet: _Sheet, row: int, column: int, text: str) -> None:
        self.count += 1
        self.characters += len(text)
        if self.count > _MAX_CELLS or self.characters > self.settings.max_characters:
            raise LimitError(self.path, "表格过大", advice="请拆分文件，或调大 max_characters")
        if column < _MAX_COLUMNS:
            sheet.cells[row, column] = text

    def _value(self, element: etree._Element, strings: list[str]) -> str:
        kind = attribute(element, "t") or "n"
        if kind == "inlineStr":
            return normalise(self._rich(element))
        value = next((child.text or "" for child in element if local(child) == "v"), "")
        if not value:
            self.uncomputed += any(local(child) == "f" for child in element)
            return ""
        if kind == "s":
            return normalise(strings[int(value)]) if value.isdigit() and int(value) < len(strings) else ""
        if kind == "b":
            return "是" if value == "1" else "否"
        if kind != "n":
            return normalise(_unescaped(value))
        style = attribute(element, "s") or ""
        index = int(style) if style.isdigit() else -1
        code = self.formats[index] if 0 <= index < len(self.formats) else ""
        try:
            return format_number(float(value), code, self.epoch_1904)
        except (ValueError, OverflowError):
            return normalise(value)


def _within(element: etree._Element, name: str, top: etree._Element) -> bool:
    found = element.getparent()
    while found is not None and found is not top:
        if local(found) == name:
            return True
        found = found.getparent()
    return False


def _xls_sheets(path: str, data: bytes, settings: Settings, problems: list[Problem]) -> Iterator[_Sheet]:
    try:
        import xlrd
    except ImportError as error:
        raise ReadError(path, "读取 XLS 需要 xlrd", advice="请运行 pip install xlrd，或另存为 XLSX") from error
    try:
        with open(os.devnull, "w", encoding="utf-8") as silent:
            book = xlrd.open_workbook(file_contents=data, formatting_info=True, logfile=silent)
            for index in range(book.nsheets):
                source = book.sheet_by_index(index)
                if source.visibility:
                    problems.append(Problem("note", f"工作表“{source.name}”是隐藏的，未读取", file=path))
                    continue
                if source.nrows * max(source.ncols, 1) > _MAX_CELLS * 4:
                    raise LimitError(path, "表格过大", advice="请拆分文件")
                sheet = _Sheet(source.name)
                for row in range(source.nrows):
                    for column in range(min(source.ncols, _MAX_COLUMNS)):
                        text = _xls_text(book, source.cell(row, column))
                        if text:
                            sheet.cells[row, column] = text
                sheet.merges = [(top, left, bottom - 1, right - 1) for top, bottom, left, right in source.merged_cells]
                if sum(map(len, sheet.cells.values())) > settings.max_characters:
                    raise LimitError(path, "表格过大", advice="请拆分文件，或调大 max_characters")
                yield sheet
    except (xlrd.XLRDError, xlrd.compdoc.CompDocError) as error:
        if "encrypted" in str(error).lower():
            raise ReadError(path, "文件设有打开密码", advice="请先解除密码再导入") from error
        raise ReadError(path, f"工作簿已损坏（{error}）", advice="请重新获取，或另存为 XLSX") from error
    except (struct.error, IndexError, KeyError, AssertionError, ValueError, TypeError, AttributeError) as error:
        raise ReadError(path, f"工作簿已损坏（{type(error).__name__}）", advice="请重新获取，或另存为 XLSX") from error


def _xls_text(book: object, cell: object) -> str:
    kind = cell.ctype  # type: ignore[attr-defined]
    value = cell.value  # type: ignore[attr-defined]
    if kind == 1:
        return normalise(value)
    if kind in (2, 3):
        style = book.xf_list[cell.xf_index]  # type: ignore[attr-defined]
        code = book.format_map[style.format_key].format_str  # type: ignore[attr-defined]
        return format_number(value, code, book.datemode == 1)  # type: ignore[attr-defined]
    if kind == 4:
        return "是" if value else "否"
    return ""


def _parts(rows: Sequence[int], filled: Mapping[int, Sequence[int]], sheet: _Sheet) -> Iterator[list[int]]:
    """Yield the rows of each table of a sheet: after an empty row another begins where a header stands, under titles.

    A header numbers its rows or names the columns of a task table, and a row of several cells stands below it.
    """

    def is_header(row: int) -> bool:
        texts = [sheet.cells[row, column] for column in filled[row]]
        kinds = [heading_kind(text) for text in texts]
        short = all(len(text) <= 15 and not re.search(r"[。；，]|^\d", text) for text in texts)
        return len(texts) > 1 and short and ("no" in kinds or 2 * sum(map(bool, kinds)) > len(texts))

    part: list[int] = []
    is_table = False
    for index, row in enumerate(rows):
        if is_table and row > part[-1] + 1:
            start = index
            while start < min(len(rows) - 1, index + _MAX_TITLES) and len(filled[rows[start]]) == 1:
                start += 1
            if is_header(rows[start]) and start + 1 < len(rows) and len(filled[rows[start + 1]]) > 1:
                yield part
                part, is_table = [], False
        part.append(row)
        is_table = is_table or len(filled[row]) > 1
    yield part


def _blocks(sheet: _Sheet, document_id: str, number: int) -> Iterator[Paragraph | Table]:
    """Yield the lines above each table as paragraphs, and the rest as a table without empty rows and columns.

    Args:
        sheet: one with cells.
        document_id: the id that every source refers to.
        number: of the first table in the workbook.
    """
    spans: dict[tuple[int, int], tuple[int, int]] = {}
    for top, left, bottom, right in sheet.merges:
        if (top, left) in sheet.cells and bottom >= top and right >= left:
            spans[top, left] = bottom, right
    filled: dict[int, list[int]] = {}
    for row, column in sorted(sheet.cells):
        filled.setdefault(row, []).append(column)
    for rows in _parts(list(filled), filled, sheet):
        start = 0
        for row in rows:
            column = filled[row][0]
            if len(filled[row]) > 1 or spans.get((row, column), (row, 0))[0] > row:
                break
            source = Source(document_id, table=number, row=row + 1)
            yield Paragraph(clean(sheet.cells[row, column]), source, centred=(row, column) in spans)
            start += 1
        if start < len(rows):
            yield _table(sheet, rows[start:], filled, spans, Source(document_id, table=number))
        number += 1


def _table(
    sheet: _Sheet,
    rows: Sequence[int],
    filled: Mapping[int, Sequence[int]],
    spans: Mapping[tuple[int, int], tuple[int, int]],
    source: Source,
) -> Table:
    row_index = {row: index for index, row in enumerate(rows)}
    columns = sorted({column for row in rows for column in filled[row]})
    column_index = {column: index for index, column in enumerate(columns)}
    cells = []
    for row in rows:
        for column in filled[row]:
            bottom, right = spans.get((row, column), (row, column))
            down = bisect_right(rows, bottom) - row_index[row]
            across = bisect_right(columns, right) - column_index[column]
            cells.append(Cell(row_index[row], column_index[column], sheet.cells[row, column], down, across))
    covered = {
        (r, c)
        for cell in cells
        for r in range(cell.row, cell.row + cell.row_span)
        for c in range(cell.column, cell.column + cell.column_span)
    }
    cells += [Cell(r, c, "") for r in range(len(rows)) for c in range(len(columns)) if (r, c) not in covered]
    cells.sort(key=lambda cell: (cell.row, cell.column))
    return Table(tuple(cells), source)


def read_sheet(path: str, data: bytes, document_id: str, settings: Settings) -> Document:
    """Read a workbook (XLSX or XLS): each visible sheet gives its tables and the lines above them.

    Raises:
        ReadError: the workbook is damaged, encrypted or empty.
        LimitError: it exceeds a bound of the settings.
    """
    problems: list[Problem] = []
    is_xls = not data.startswith(b"PK")
    sheets: Iterable[_Sheet]
    if is_xls:
        sheets = _xls_sheets(path, data, settings, problems)
    else:
        book = _Xlsx(path, data, settings)
        problems = book.problems
        sheets = book.sheets()
    filled = [sheet for sheet in sheets if sheet.cells]
    if not filled:
        raise ReadError(path, "工作簿中没有内容", advice="请检查文件是否正确")
    blocks: list[Paragraph | Table] = []
    number = 1
    for sheet in filled:
        if len(filled) > 1 and not re.fullmatch(r"(?:sheet|工作表)\s*\d*", sheet.name, re.I):
            blocks.append(Paragraph(sheet.name, Source(document_id, table=number), level=1))
        found = list(_blocks(sheet, document_id, number))
        blocks += found
        number += max(1, sum(isinstance(block, Table) for block in found))
    return Document(document_id, path, "xls" if is_xls else "xlsx", tuple(blocks), problems=tuple(problems))
