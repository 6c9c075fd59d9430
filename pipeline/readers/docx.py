"""DOCX on its own XML: paragraphs and tables in order, merged and nested cells, automatic numbers, tracked changes.

Only the parts that hold text, styles and numbering are unpacked; pictures and macros are never touched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pipeline.errors import LimitError, ReadError
from pipeline.readers.archive import Archive, attribute, local
from pipeline.readers.structure import is_ended, numbering
from pipeline.records import Cell, Document, Paragraph, Problem, Source, Table
from pipeline.settings import Settings
from pipeline.text import clean, find_dates, normalise

_MAX_COLUMNS = 1000
_INDENTS = ("\u3000", "\u2003\u2003", "\xa0\xa0", "  ", "\t")
_SKIPPED = {
    "del", "moveFrom", "instrText", "delText", "delInstrText", "rPr", "pPr", "sectPr", "Fallback", "footnoteReference",
    "endnoteReference", "commentReference", "annotationRef", "ruby", "rt", "tblPr", "tblGrid", "proofErr", "pict",
}  # fmt: skip


def _child(element: Any, *names: str) -> Any:
    """Return the element down a path of child names, None where it breaks off."""
    for name in names:
        element = next((child for child in element if local(child) == name), None)
        if element is None:
            return None
    return element


def _value(element: Any, *names: str) -> str | None:
    """Return the val of the element down a path, "" where it has none, None where there is no element."""
    found = _child(element, *names) if names else element
    return None if found is None else (attribute(found, "val") or "")


def _integer(text: str | None, default: int = 0) -> int:
    try:
        return int(float(text)) if text else default
    except ValueError:
        return default


def _is_on(value: str | None) -> bool:
    return value is not None and value not in ("0", "false", "off", "none")


@dataclass
class _Style:
    based_on: str = ""
    outline: int | None = None
    number: tuple[str, int] | None = None
    centred: bool | None = None


def _number_of(properties: Any) -> tuple[str, int] | None:
    found = _child(properties, "numPr")
    if found is None:
        return None
    number = _value(found, "numId")
    return (number or "", _integer(_value(found, "ilvl"))) if number is not None else None


def _outline_of(name: str, properties: Any) -> int | None:
    outline = _value(properties, "outlineLvl") if properties is not None else None
    if outline is not None:
        return _integer(outline, 9)
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
        properties = _child(element, "pPr")
        style = _Style(based_on=_value(element, "basedOn") or "")
        style.outline = _outline_of(_value(element, "name") or "", properties)
        if properties is not None:
            style.number = _number_of(properties)
            justified = _value(properties, "jc")
            style.centred = None if justified is None else justified == "center"
        styles[key] = style
        if _is_on(attribute(element, "default")):
            default = key
    return styles, default


@dataclass
class _Level:
    start: int = 1
    form: str = "decimal"
    text: str = ""


@dataclass
class _Numbering:
    """Counts automatic numbers and writes them as they are shown."""

    levels: dict[str, dict[int, _Level]] = field(default_factory=dict)
    lists: dict[str, str] = field(default_factory=dict)
    starts: dict[str, dict[int, int]] = field(default_factory=dict)
    counters: dict[str, dict[int, int]] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, root: Any) -> _Numbering:
        numbers = cls()
        for element in root:
            if local(element) == "abstractNum":
                levels: dict[int, _Level] = {}
                for found in element:
                    if local(found) == "lvl":
                        levels[_integer(attribute(found, "ilvl"))] = cls._level(found)
                numbers.levels[attribute(element, "abstractNumId") or ""] = levels
            elif local(element) == "num":
                key = attribute(element, "numId") or ""
                numbers.lists[key] = _value(element, "abstractNumId") or ""
                for found in element:
                    if local(found) == "lvlOverride" and (start := _value(found, "startOverride")) is not None:
                        numbers.starts.setdefault(key, {})[_integer(attribute(found, "ilvl"))] = _integer(start, 1)
        return numbers

    @staticmethod
    def _level(element: Any) -> _Level:
        return _Level(
            _integer(_value(element, "start"), 1),
            _value(element, "numFmt") or "decimal",
            _value(element, "lvlText") or "",
        )

    def render(self, key: str, level: int) -> str:
        """Return the next number of a list at a level, "" for bullets and unknown lists."""
        abstract = self.lists.get(key)
        levels = self.levels.get(abstract or "")
        if abstract is None or not levels or level not in levels:
            return ""
        counters = self.counters.setdefault(abstract, {})
        if key not in self.seen:
            self.seen.add(key)
            for depth, start in self.starts.get(key, {}).items():
                counters[depth] = start - 1
        counters[level] = counters.get(level, levels[level].start - 1) + 1
        for deeper in [depth for depth in counters if depth > level]:
            del counters[deeper]
        if levels[level].form in ("bullet", "none"):
            return ""

        def written(match: re.Match[str]) -> str:
            depth = int(match.group(1)) - 1
            found = levels.get(depth, _Level())
            return write_number(counters.get(depth, found.start), found.form)

        return re.sub(r"%(\d)", written, levels[level].text)


def _chinese(number: int) -> str:
    """Return a number below 10,000 in Chinese numerals."""
    digits = "〇一二三四五六七八九"
    if number < 10:
        return digits[number]
    text = ""
    gap = False
    for power, unit in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit = number // power % 10
        if digit:
            text += (
                ("零" if gap and text else "")
                + ("" if unit == "十" and digit == 1 and not text else digits[digit])
                + unit
            )
            gap = False
        else:
            gap = True
    return text


def write_number(number: int, form: str) -> str:
    """Return a number as Word writes it in a format of numbers (numFmt).

    Example:
        >>> [write_number(n, "chineseCounting") for n in (1, 10, 21)], write_number(4, "lowerRoman")
        (['一', '十', '二十一'], 'iv')
    """
    if form in (
        "chineseCounting", "chineseCountingThousand", "japaneseCounting", "taiwaneseCounting", "ideographDigital",
        "taiwaneseCountingThousand", "chineseLegalSimplified", "japaneseDigitalTenThousand",
    ):  # fmt: skip
        if form == "chineseLegalSimplified":
            return _chinese(number % 10000).translate(
                str.maketrans("一二三四五六七八九十百千", "壹贰叁肆伍陆柒捌玖拾佰仟")
            )
        return _chinese(number % 10000)
    if form.startswith("decimalEnclosedCircle") and 1 <= number <= 20:
        return chr(0x2460 + number - 1)
    if form in ("lowerLetter", "upperLetter") and number >= 1:
        letter = chr(ord("a") + (number - 1) % 26) * min(1 + (number - 1) // 26, 5)
        return letter if form == "lowerLetter" else letter.upper()
    if form in ("lowerRoman", "upperRoman") and 1 <= number < 4000:
        text = ""
        for value, sign in (
            (1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"), (10, "x"),
            (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
        ):  # fmt: skip
            while number >= value:
                text, number = text + sign, number - value
        return text if form == "lowerRoman" else text.upper()
    if form == "ideographTraditional" and 1 <= number <= 10:
        return "甲乙丙丁戊己庚辛壬癸"[number - 1]
    if form == "decimalZero":
        return f"{number:02d}"
    return str(number)


class _Walker:
    """Walks the body once and makes the blocks."""

    def __init__(
        self,
        path: str,
        document_id: str,
        settings: Settings,
        styles: dict[str, _Style],
        default: str,
        numbers: _Numbering,
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
            elif name == "pict":  # the older drawing form; a picture has no text box inside
                boxes += [found for found in child.iter() if local(found) == "txbxContent"]
            elif name == "ruby":
                parts += [self.text(base, boxes) for base in child if local(base) == "rubyBase"]
            elif name == "AlternateContent":
                chosen = _child(child, "Choice")
                if chosen is None:
                    chosen = _child(child, "Fallback")
                if chosen is not None:
                    parts.append(self.text(chosen, boxes))
            elif name == "r" and _is_on(_value(child, "rPr", "vanish")):
                continue
            elif name and name not in _SKIPPED:
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
        properties = _child(element, "pPr")
        key = (_value(properties, "pStyle") if properties is not None else None) or self.default
        number = _number_of(properties) if properties is not None else None
        outline = _outline_of("", properties) if properties is not None else None
        justified = _value(properties, "jc") if properties is not None else None
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
        if properties is not None and _child(properties, "rPr", "del") is not None:
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
                yield from self._paragraphs(child, depth)
            elif name == "tbl":
                yield from self._released()
                yield from self._table(child, depth)
            elif name == "AlternateContent":
                chosen = _child(child, "Choice")
                if chosen is not None:
                    yield from self.blocks(chosen, depth + 1)
            elif name and name not in _SKIPPED:
                yield from self.blocks(child, depth + 1)
        yield from self._released()

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
        rows = [row for row in self._rows(element) if _child(row, "trPr", "del") is None]
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
            column = _integer(_value(row, "trPr", "gridBefore"))
            for cell in self._cells(row):
                properties = _child(cell, "tcPr")
                span = max(1, _integer(_value(properties, "gridSpan"), 1)) if properties is not None else 1
                merged = _child(properties, "vMerge") if properties is not None else None
                if column + span > _MAX_COLUMNS:
                    raise LimitError(self.path, f"表格超过 {_MAX_COLUMNS} 列", advice="请检查文件来源")
                if merged is not None and _value(merged) != "restart" and column in open_merges:
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
    body = _child(root, "body")
    if body is None:
        raise ReadError(path, "文档没有正文", advice="文件可能不完整，请重新获取")
    problems: list[Problem] = []
    styles: dict[str, _Style] = {}
    default = ""
    numbers = _Numbering()
    try:
        if (found := part("styles.xml")) is not None:
            styles, default = _read_styles(found)
        if (found := part("numbering.xml")) is not None:
            numbers = _Numbering.read(found)
    except LimitError:
        raise
    except ReadError as error:  # the text itself can still be read
        problems.append(Problem("read", f"样式或编号无法读取：{error.reason}", file=path))
    walker = _Walker(path, document_id, settings, styles, default, numbers)
    blocks = tuple(walker.blocks(body))
    if not blocks:
        raise ReadError(path, "文档中没有文字", advice="若正文是图片，请导出为 PDF 或图片后识别")
    return Document(document_id, path, "docx", blocks, problems=tuple(problems))
