"""DOCX on its own XML: paragraphs and tables in order, merged and nested cells, automatic numbers, tracked changes.

Only the parts that hold text, notes, styles and numbering are unpacked; pictures and macros are never touched, but it
is said how many pictures there are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pipeline.errors import LimitError, ReadError
from pipeline.readers.archive import Archive, attribute, local
from pipeline.readers.docx_numbers import AutomaticNumbers, child_at, integer_of, value_of
from pipeline.readers.structure import is_ended, numbering
from pipeline.records import Cell, Document, Paragraph, Problem, Source, Table
from pipeline.settings import Settings
from pipeline.text import clean, find_dates, normalise

_MAX_COLUMNS = 1000
_INDENTS = ("\u3000", "\u2003\u2003", "\xa0\xa0", "  ", "\t")
_SKIPPED = {
    "del", "moveFrom", "instrText", "delText", "delInstrText", "rPr", "pPr", "sectPr", "Fallback", "sdtPr", "altChunk",
    "commentReference", "annotationRef", "ruby", "rt", "tblPr", "tblGrid", "proofErr", "pict",
}  # fmt: skip
_EMBEDDED = {"blip", "imagedata", "chart", "relIds", "OLEObject"}
"""What shows something else than text: pictures, charts, diagrams and embedded files."""
_LEAST_EXTENT = 360_000
"""EMU (1 cm): what is lower or narrower is a rule or a mark, not a picture of text."""


def _shows_picture(drawing: Any) -> bool:
    """Tell whether a drawing holds what is not read; what its text boxes hold is looked at when they are."""
    size = next((found for found in drawing.iter() if local(found) == "extent"), None)
    if (
        size is not None
        and min(integer_of(attribute(size, side), _LEAST_EXTENT) for side in ("cx", "cy")) < _LEAST_EXTENT
    ):
        return False
    waiting = [drawing]
    while waiting:
        found = waiting.pop()
        if local(found) in _EMBEDDED:
            return True
        waiting += [child for child in found if local(child) != "txbxContent"]
    return False


def _is_contents(element: Any) -> bool:
    """Tell whether a content control is a table of contents; one that text has been written into is not."""
    gallery = value_of(element, "sdtPr", "docPartObj", "docPartGallery")
    return gallery == "Table of Contents" and not any("。" in (found.text or "") for found in element.iter())


def _clear_placeholders(root: Any) -> None:
    """Empty the content controls that only ask for text, and leave their cells and paragraphs in place."""
    for mark in [found for found in root.iter() if local(found) == "showingPlcHdr" and _is_on(value_of(found))]:
        control = mark.getparent().getparent()
        if control is not None and local(control) == "sdt":
            for found in control.iter():
                if local(found) == "t":
                    found.text = None


def _is_on(value: str | None) -> bool:
    return value is not None and value not in ("0", "false", "off", "none")


@dataclass
class _Style:
    based_on: str = ""
    outline: int | None = None
    number: tuple[str, int] | None = None
    centred: bool | None = None
    contents: bool = False
    """True for the lines of a table of contents."""


def _number_of(properties: Any) -> tuple[str, int] | None:
    found = child_at(properties, "numPr")
    if found is None:
        return None
    number = value_of(found, "numId")
    return (number or "", integer_of(value_of(found, "ilvl"))) if number is not None else None


def _outline_of(name: str, properties: Any) -> int | None:
    outline = value_of(properties, "outlineLvl") if properties is not None else None
    if outline is not None:
        return integer_of(outline, 9)
    match = re.fullmatch(r"(?:heading|标题)\s*([1-9])", name.strip().lower())
    return int(match.group(1)) - 1 if match else None


def _read_styles(root: Any) -> tuple[dict[str, _Style], str]:
    """Return the paragraph styles by id, and the id of the default one."""
    styles: dict[str, _Style] = {}
    default = ""
    for element in root:
        if local(element) != "style" or attribute(element, "type") not in (None, "paragraph"):
            continue
        key = attribute(element, "styleId") or ""
        properties = child_at(element, "pPr")
        name = value_of(element, "name") or ""
        style = _Style(based_on=value_of(element, "basedOn") or "")
        style.outline = _outline_of(name, properties)
        style.contents = re.fullmatch(r"(?:toc|目录)\s*\d", name.strip().lower()) is not None
        if properties is not None:
            style.number = _number_of(properties)
            justified = value_of(properties, "jc")
            style.centred = None if justified is None else justified == "center"
        styles[key] = style
        if _is_on(attribute(element, "default")):
            default = key
    return styles, default


class _Walker:
    """Walks the body once and makes the blocks."""

    def __init__(
        self,
        path: str,
        document_id: str,
        settings: Settings,
        styles: dict[str, _Style],
        default: str,
        numbers: AutomaticNumbers,
    ) -> None:
        self.path = path
        self.id = document_id
        self.settings = settings
        self.styles = styles
        self.default = default
        self.numbers = numbers
        self.tables = 0
        self.characters = 0
        self.held = ""  # text of a paragraph whose mark was deleted: it goes on in the next one
        self.notes: list[tuple[str, str]] = []  # kind and id of the notes that the text refers to
        self.pictures = 0
        self.chunks = 0

    def _chain(self, key: str) -> Iterator[_Style]:
        for _ in range(20):  # a style may be based on itself in a damaged file
            style = self.styles.get(key)
            if style is None:
                return
            yield style
            key = style.based_on

    def text(self, element: Any, boxes: list[Any]) -> str:
        """Return the text of a paragraph or run without deletions; text boxes are put aside in boxes."""
        parts: list[str] = []
        for child in element:
            name = local(child)
            if name == "t":
                parts.append(child.text or "")
            elif name in ("tab", "ptab"):
                parts.append(" ")
            elif name in ("br", "cr"):
                parts.append("\n")
            elif name == "noBreakHyphen":
                parts.append("-")
            elif name == "txbxContent":
                boxes.append(child)
            elif name in ("footnoteReference", "endnoteReference"):
                self.notes.append((name.removesuffix("Reference"), attribute(child, "id") or ""))
            elif name == "pict":  # the older drawing form; a picture has no text box inside
                self.pictures += _shows_picture(child)
                boxes += [found for found in child.iter() if local(found) == "txbxContent"]
            elif name == "ruby":
                parts += [self.text(base, boxes) for base in child if local(base) == "rubyBase"]
            elif name == "AlternateContent":
                chosen = child_at(child, "Choice")
                if chosen is None:
                    chosen = child_at(child, "Fallback")
                if chosen is not None:
                    parts.append(self.text(chosen, boxes))
            elif name == "r" and _is_on(value_of(child, "rPr", "vanish")):
                continue
            elif name and name not in _SKIPPED:
                self.pictures += name in ("drawing", "object") and _shows_picture(child)
                parts.append(self.text(child, boxes))
        return "".join(parts)

    def _count(self, text: str) -> None:
        self.characters += len(text)
        if self.characters > self.settings.max_characters:
            raise LimitError(
                self.path, f"文字超过 {self.settings.max_characters} 字", advice="请拆分文件，或调大 max_characters"
            )

    def _paragraph_text(self, element: Any, boxes: list[Any]) -> tuple[str, int, bool]:
        """Return text with its automatic number, level (0 for none) and whether it is centred."""
        properties = child_at(element, "pPr")
        key = (value_of(properties, "pStyle") if properties is not None else None) or self.default
        number = _number_of(properties) if properties is not None else None
        outline = _outline_of("", properties) if properties is not None else None
        justified = value_of(properties, "jc") if properties is not None else None
        centred = None if justified is None else justified == "center"
        for style in self._chain(key):
            number = style.number if number is None else number
            outline = style.outline if outline is None else outline
            centred = style.centred if centred is None else centred
        text = self.text(element, boxes)
        if self.held:
            text, self.held = self.held + text, ""
        if text.strip() and number is not None and number[0] not in ("", "0"):
            text = self.numbers.render(*number) + text
        if properties is not None and child_at(properties, "rPr", "del") is not None:
            self.held, text = text, ""
        self._count(text)
        return text, 0 if outline is None or outline > 8 else outline + 1, bool(centred)

    def blocks(self, element: Any, depth: int = 0) -> Iterator[Paragraph | Table]:
        """Yield the blocks of a body, a cell or a text box."""
        if depth > self.settings.max_depth:
            raise LimitError(self.path, f"嵌套超过 {self.settings.max_depth} 层", advice="请检查文件来源")
        for child in element:
            name = local(child)
            if name == "p":
                if not self._is_contents_line(child):
                    yield from self._paragraphs(child, depth)
            elif name == "tbl":
                yield from self._released()
                yield from self._table(child, depth)
            elif name == "AlternateContent":
                chosen = child_at(child, "Choice")
                if chosen is not None:
                    yield from self.blocks(chosen, depth + 1)
            elif name == "altChunk":
                self.chunks += 1
            elif name and name not in _SKIPPED and not (name == "sdt" and _is_contents(child)):
                yield from self.blocks(child, depth + 1)
        yield from self._released()

    def _is_contents_line(self, paragraph: Any) -> bool:
        key = value_of(paragraph, "pPr", "pStyle") or ""
        return re.fullmatch(r"TOC\d", key, re.I) is not None or (key in self.styles and self.styles[key].contents)

    def _released(self) -> Iterator[Paragraph]:
        """Yield the text whose paragraph mark is deleted, where no paragraph follows that it could join."""
        text, self.held = clean(self.held), ""
        if text:
            yield Paragraph(text, Source(self.id))

    def _paragraphs(self, element: Any, depth: int) -> Iterator[Paragraph | Table]:
        boxes: list[Any] = []
        raw, level, centred = self._paragraph_text(element, boxes)
        for part in split_soft(raw):
            text = clean(part)
            if text:
                yield Paragraph(text, Source(self.id), raw=part if part != text else "", level=level, centred=centred)
        for box in boxes:
            yield from self.blocks(box, depth + 1)

    def _table(self, element: Any, depth: int) -> Iterator[Paragraph | Table]:
        rows = [row for row in self._rows(element) if child_at(row, "trPr", "del") is None]
        if len(rows) == 1 and len(list(self._cells(rows[0]))) == 1:
            # One cell around everything is a frame, not a table.
            yield from self.blocks(next(self._cells(rows[0])), depth + 1)
            return
        self.tables += 1
        source = Source(self.id, table=self.tables)
        cells: list[Cell] = []
        nested: list[Paragraph | Table] = []
        open_merges: dict[int, int] = {}  # column: index in cells of the cell that is merged downwards
        for index, row in enumerate(rows):
            column = integer_of(value_of(row, "trPr", "gridBefore"))
            for cell in self._cells(row):
                properties = child_at(cell, "tcPr")
                span = max(1, integer_of(value_of(properties, "gridSpan"), 1)) if properties is not None else 1
                merged = child_at(properties, "vMerge") if properties is not None else None
                if column + span > _MAX_COLUMNS:
                    raise LimitError(self.path, f"表格超过 {_MAX_COLUMNS} 列", advice="请检查文件来源")
                if merged is not None and value_of(merged) != "restart" and column in open_merges:
                    above = cells[open_merges[column]]
                    cells[open_merges[column]] = Cell(
                        above.row, above.column, above.text, index - above.row + 1, above.column_span
                    )
                else:
                    lines = []
                    for block in self.blocks(cell, depth + 1):
                        if isinstance(block, Paragraph):
                            lines.append(block.text)
                        else:
                            nested.append(block)
                    open_merges.pop(column, None)
                    if merged is not None:
                        open_merges[column] = len(cells)
                    cells.append(Cell(index, column, normalise("\n".join(lines)), 1, span))
                column += span
        if any(cell.text for cell in cells):
            yield Table(tuple(cells), source)
        yield from nested

    def _rows(self, element: Any) -> Iterator[Any]:
        for child in element:
            if local(child) == "tr":
                yield child
            elif local(child) in ("sdt", "sdtContent", "customXml", "ins", "moveTo"):
                yield from self._rows(child)

    def _cells(self, element: Any) -> Iterator[Any]:
        for child in element:
            if local(child) == "tc":
                yield child
            elif local(child) in ("sdt", "sdtContent", "customXml"):
                yield from self._cells(child)


def split_soft(raw: str) -> list[str]:
    r"""Split a paragraph at the soft line breaks that stand for paragraph marks; others are only wrapping.

    Example:
        >>> split_soft("一、背景。\n二、做法。"), len(split_soft("全面贯彻党\n中央决策"))
        (['一、背景。', '二、做法。'], 1)
    """
    parts: list[str] = []
    for line in raw.split("\n"):
        if not line.strip():
            parts.append("")  # an empty line closes what stands before it
            continue
        before = parts[-1].strip() if parts else ""
        dates = find_dates(line.strip())
        starts = numbering(line.strip()) or line.startswith(_INDENTS) or (dates and dates[0][1] == len(line.strip()))
        if parts and before and not (is_ended(before) or starts):
            parts[-1] += "\n" + line
        else:
            parts.append(line)
    return [part for part in parts if part.strip()]


def _note_blocks(walker: _Walker, parts: dict[str, Any]) -> Iterator[Paragraph | Table]:
    """Yield the footnotes and endnotes that the text refers to, below a heading of their own."""
    found = {
        (kind, attribute(element, "id") or ""): element
        for kind, root in parts.items()
        if root is not None
        for element in root
        if local(element) == kind
    }
    wanted = [found[key] for key in dict.fromkeys(walker.notes) if key in found]
    blocks = [block for element in wanted for block in walker.blocks(element)]
    if blocks:
        yield Paragraph("注释", Source(walker.id), level=1)
    yield from blocks


def _main_part(archive: Archive) -> str:
    if "_rels/.rels" in archive:
        for relation in archive.xml("_rels/.rels"):
            if (relation.get("Type") or "").endswith("/officeDocument") and (relation.get("Target") or "") in archive:
                return str(relation.get("Target"))
    return "word/document.xml"


def read_docx(path: str, data: bytes, document_id: str, settings: Settings) -> Document:
    """Read a DOCX package.

    Raises:
        ReadError: the package is damaged, encrypted or holds entity declarations.
        LimitError: it exceeds a bound of the settings.
    """
    archive = Archive(path, data, settings)
    main = _main_part(archive)
    folder = main.rpartition("/")[0]

    def part(name: str) -> Any:
        member = f"{folder}/{name}" if folder else name
        return archive.xml(member) if member in archive else None

    root = archive.xml(main)
    body = child_at(root, "body")
    if body is None:
        raise ReadError(path, "文档没有正文", advice="文件可能不完整，请重新获取")
    problems: list[Problem] = []
    styles: dict[str, _Style] = {}
    default = ""
    numbers = AutomaticNumbers()
    try:
        if (found := part("styles.xml")) is not None:
            styles, default = _read_styles(found)
        if (found := part("numbering.xml")) is not None:
            numbers = AutomaticNumbers.read(found)
    except LimitError:
        raise
    except ReadError as error:  # the text itself can still be read
        problems.append(Problem("read", f"样式或编号无法读取：{error.reason}", file=path))
    walker = _Walker(path, document_id, settings, styles, default, numbers)
    _clear_placeholders(body)
    blocks = tuple(walker.blocks(body))
    try:
        notes = {kind: part(f"{kind}s.xml") for kind in {kind for kind, _ in walker.notes}}
        blocks += tuple(_note_blocks(walker, notes))
    except LimitError:
        raise
    except ReadError as error:
        problems.append(Problem("read", f"脚注或尾注无法读取：{error.reason}。请核对原文。", file=path))
    if walker.pictures:
        message = (
            f"含 {walker.pictures} 张图片（含图表、嵌入文件），其中的文字未读取。"
            "如图中有正文，请导出为 PDF 后重新导入（扫描页需装有文字识别），或单独导入图片和嵌入的文件。"
        )
        problems.append(Problem("note", message, file=path))
    if walker.chunks:
        message = f"含 {walker.chunks} 段嵌入的其他文档，未读取。请在 Word 或 WPS 中打开并另存为 DOCX 后重新导入。"
        problems.append(Problem("read", message, file=path))
    if not blocks and walker.chunks:
        raise ReadError(path, "正文是嵌入的其他文档，无法读取", advice="请在 Word 或 WPS 中打开并另存为 DOCX")
    if not blocks:
        raise ReadError(path, "文档中没有文字", advice="若正文是图片，请导出为 PDF 或图片后识别")
    return Document(document_id, path, "docx", blocks, problems=tuple(problems))
