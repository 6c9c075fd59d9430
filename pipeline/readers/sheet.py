"""Workbooks: XLSX on its own XML, XLS through xlrd. Values as they were last computed; no formula is ever run."""

from __future__ import annotations

import datetime
import io
import os
import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from lxml import etree

from pipeline.errors import LimitError, ReadError
from pipeline.readers.archive import Archive, attribute, local
from pipeline.records import Cell, Document, Paragraph, Problem, Source, Table
from pipeline.settings import Settings
from pipeline.text import clean, normalise

_MAX_COLUMNS = 500
_MAX_CELLS = 2_000_000
_DATE_FORMATS = {*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)}


@dataclass
class _Sheet:
    name: str
    cells: dict[tuple[int, int], str] = field(default_factory=dict)
    """Texts by row and column, counted from 0."""
    merges: list[tuple[int, int, int, int]] = field(default_factory=list)
    """first row, first column, last row, last column"""


def _is_date_format(code: str) -> bool:
    bare = re.sub(r'"[^"]*"|\[[^\]]*\]|\\.', "", code.lower())
    return bool(re.search(r"[yd]|年|月|日|h:|mm:ss", bare)) and "general" not in bare


def format_number(value: float, is_date: bool = False, percent: bool = False, epoch_1904: bool = False) -> str:
    """Return a number as a reader of the sheet sees it.

    Example:
        >>> format_number(3.0), format_number(44412, is_date=True), format_number(0.355, percent=True)
        ('3', '2021-08-04', '35.5%')
    """
    if is_date and 0 < value < 2_958_466:
        start = datetime.datetime(1904, 1, 1) if epoch_1904 else datetime.datetime(1899, 12, 30)
        moment = start + datetime.timedelta(days=value)
        return moment.strftime("%Y-%m-%d" if value == int(value) else "%Y-%m-%d %H:%M")
    if percent:
        return f"{round(value * 100, 4):g}%"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else f"{value:.12g}"


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
        self.dates: list[bool] = []
        self.percents: list[bool] = []

    def _rich(self, element: etree._Element) -> str:
        """Return the text of a string item without its phonetic hints."""
        return "".join(
            found.text or "" for found in element.iter() if local(found) == "t" and not _within(found, "rPh", element)
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
                    code = codes.get(number, "")
                    known = int(number) if number.isdigit() else 0
                    self.dates.append(_is_date_format(code) if code else known in _DATE_FORMATS)
                    self.percents.append("%" in code if code else known in (9, 10))

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
            return normalise(value)
        style = attribute(element, "s") or ""
        index = int(style) if style.isdigit() else -1
        known = 0 <= index < len(self.dates)
        try:
            return format_number(
                float(value), known and self.dates[index], known and self.percents[index], self.epoch_1904
            )
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
        return format_number(value, kind == 3, "%" in code, book.datemode == 1)  # type: ignore[attr-defined]
    if kind == 4:
        return "是" if value else "否"
    return ""


def _blocks(sheet: _Sheet, document_id: str, number: int) -> Iterator[Paragraph | Table]:
    """Yield the lines above the table as paragraphs, and the rest as one table without empty rows and columns."""
    spans: dict[tuple[int, int], tuple[int, int]] = {}
    for top, left, bottom, right in sheet.merges:
        if (top, left) in sheet.cells and bottom >= top and right >= left:
            spans[top, left] = bottom, right
    rows = sorted({row for row, _ in sheet.cells})
    start = 0
    for row in rows:
        filled = [column for r, column in sheet.cells if r == row]
        if len(filled) > 1 or spans.get((row, filled[0]), (row, 0))[0] > row:
            break
        text = clean(sheet.cells[row, filled[0]])
        yield Paragraph(text, Source(document_id, table=number, row=row + 1), centred=(row, filled[0]) in spans)
        start += 1
    rows = rows[start:]
    if not rows:
        return
    row_index = {row: index for index, row in enumerate(rows)}
    columns = sorted({column for row, column in sheet.cells if row in row_index})
    column_index = {column: index for index, column in enumerate(columns)}
    cells = []
    for (row, column), text in sorted(sheet.cells.items()):
        if row not in row_index:
            continue
        bottom, right = spans.get((row, column), (row, column))
        down = sum(1 for r in rows if row <= r <= bottom) if bottom > row else 1
        across = sum(1 for c in columns if column <= c <= right) if right > column else 1
        cells.append(Cell(row_index[row], column_index[column], text, max(1, down), max(1, across)))
    covered = {
        (r, c)
        for cell in cells
        for r in range(cell.row, cell.row + cell.row_span)
        for c in range(cell.column, cell.column + cell.column_span)
    }
    cells += [Cell(r, c, "") for r in range(len(rows)) for c in range(len(columns)) if (r, c) not in covered]
    cells.sort(key=lambda cell: (cell.row, cell.column))
    yield Table(tuple(cells), Source(document_id, table=number))


def read_sheet(path: str, data: bytes, document_id: str, settings: Settings) -> Document:
    """Read a workbook (XLSX or XLS): each visible sheet gives the lines above its table, and the table.

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
    for number, sheet in enumerate(filled, 1):
        if len(filled) > 1 and not re.fullmatch(r"(?:sheet|工作表)\s*\d*", sheet.name, re.I):
            blocks.append(Paragraph(sheet.name, Source(document_id, table=number), level=1))
        blocks += _blocks(sheet, document_id, number)
    return Document(document_id, path, "xls" if is_xls else "xlsx", tuple(blocks), problems=tuple(problems))
