"""From characters and rules on pages to paragraphs and tables in reading order.

The readers of PDF, OFD and scans hand over the same Page records, so that what is learnt about layouts is learnt
once. All lengths are in points (1/72 inch) from the top left corner of the page as it is shown.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.readers.columns import Columns, find_plain_tables
from pipeline.readers.lattice import Lattice, find_lattices
from pipeline.readers.layout_types import Glyph, Page, Rule
from pipeline.readers.lines import (
    NO_START,
    Line,
    cell_text,
    find_gutter,
    group_lines,
    make_line,
    make_lines,
    part_line,
    split_line,
)
from pipeline.readers.structure import is_page_number, numbering
from pipeline.records import Box, Cell, Paragraph, Source, Table
from pipeline.settings import Settings
from pipeline.text import clean, join_lines

__all__ = ["Glyph", "Page", "Rule", "layout_pages"]


@dataclass(slots=True)
class _TextLine:
    """A line outside of tables, with the margins of its page; light enough to keep for every page."""

    page: int
    x0: float
    x1: float
    baseline: float
    size: float
    text: str
    left: float
    right: float
    edge: int
    """0 in the body; 1 in the head and 2 in the foot of the page."""


_Element = _TextLine | Table
_BARE_NUMBER = re.compile(r"[-—–―－_·•~\s]*\d{1,4}[-—–―－_·•~\s]*|[ivxIVX]{1,6}")


def _visible(page: Page) -> list[Glyph]:
    """Drop invisible and angled characters, and the second printing of characters made bold by printing twice."""
    kept: list[Glyph] = []
    seen: dict[tuple[str, int, int], tuple[float, float]] = {}
    right, bottom = page.width, page.height
    for glyph in page.glyphs:
        text, x, y, size = glyph.text, glyph.x, glyph.baseline, glyph.size
        if glyph.invisible or 3.0 < glyph.angle % 360.0 < 357.0:
            continue
        if not (-1.0 <= y <= bottom + size and -size <= x <= right):
            continue
        if not text.isspace():
            step = size if size > 1.0 else 1.0
            across, down = x / step, y / step
            column, row = int(across), int(down)
            place = (text, column, row)
            if across - column < 0.12 or across - column > 0.88 or down - row < 0.12 or down - row > 0.88:
                places = [(text, column + dx, row + dy) for dx in (0, -1, 1) for dy in (0, -1, 1)]
            else:
                places = [place]
            twin = False
            for near in places:
                other = seen.get(near)
                if other is not None and abs(other[0] - x) < 0.12 * step and abs(other[1] - y) < 0.12 * step:
                    twin = True
                    break
            if twin:
                continue
            seen[place] = (x, y)
        kept.append(glyph)
    return kept


def _segments(page: Page) -> tuple[list[tuple[float, float, float]], list[tuple[float, float, float]]]:
    """Return the horizontal and vertical pieces of rule that lie on the page."""
    across, down = [], []
    for rule in page.rules:
        x0, x1 = max(rule.x0, 0.0), min(rule.x1, page.width)
        top, bottom = max(rule.top, 0.0), min(rule.bottom, page.height)
        if x1 < x0 or bottom < top:
            continue
        if x1 - x0 >= bottom - top:
            across.append(((top + bottom) / 2, x0, x1))
        else:
            down.append(((x0 + x1) / 2, top, bottom))
    return across, down


def _share_out(
    glyphs: Sequence[Glyph], lattices: Sequence[Lattice]
) -> tuple[dict[tuple[int, int], list[Glyph]], list[Glyph]]:
    """Give every character to its cell; what lies in none is left over.

    A sign that may not begin a line and hangs over the edge stays in the cell of the character before it.
    """
    held: dict[tuple[int, int], list[Glyph]] = {}
    left_over: list[Glyph] = []
    before: Glyph | None = None
    before_place: tuple[int, int] | None = None
    boxes = [lattice.box for lattice in lattices]
    for glyph in glyphs:
        x, y = glyph.x + glyph.width / 2, glyph.baseline - 0.36 * glyph.size
        place: tuple[int, int] | None = None
        for index, (x0, top, x1, bottom) in enumerate(boxes):
            if x0 <= x < x1 and top <= y < bottom:
                cell = lattices[index].cell_at(x, y)
                place = None if cell is None else (index, cell)
                break
        if (
            before is not None
            and before_place is not None
            and place != before_place
            and abs(glyph.baseline - before.baseline) < 0.1 * glyph.size
        ):
            gap = glyph.x - before.x - before.width
            edge = lattices[before_place[0]].cells[before_place[1]].box[2]
            hangs = glyph.text in NO_START and glyph.x < edge + 0.6 * glyph.size and abs(gap) < 0.6 * glyph.size
            if hangs or (glyph.x < edge - 0.1 * glyph.size and abs(gap) < 0.1 * glyph.size):
                place = before_place
        if place is None:
            left_over.append(glyph)
        else:
            held.setdefault(place, []).append(glyph)
        if not glyph.text.isspace():
            before, before_place = glyph, place
    return held, left_over


def _ruled_table(lattice: Lattice, cells: dict[int, list[Glyph]], page: int, document_id: str) -> Table | None:
    """Make the table of one lattice; None where its cells hold no text at all."""
    lines = {index: make_lines(glyphs) for index, glyphs in cells.items()}
    if not any(lines.values()):
        return None
    pads: dict[tuple[int, int], float] = {}
    ends: dict[tuple[int, int], float] = {}
    for index, held in lines.items():
        cell = lattice.cells[index]
        key = (cell.column, cell.column_span)
        for line in held:
            pads[key] = min(pads.get(key, 8.0), max(0.0, line.x0 - cell.box[0]))
            ends[key] = max(ends.get(key, 0.0), line.x1)
    made: list[Cell] = []
    for index, cell in enumerate(lattice.cells):
        held = lines.get(index, [])
        key = (cell.column, cell.column_span)
        pad = pads.get(key, 0.0)
        right = max(ends.get(key, 0.0), cell.box[2] - pad)
        confidence = min((glyph.confidence for line in held for glyph in line.glyphs), default=1.0)
        box: Box = (round(cell.box[0], 2), round(cell.box[1], 2), round(cell.box[2], 2), round(cell.box[3], 2))
        text = cell_text(held, cell.box[0] + pad, right)
        made.append(Cell(cell.row, cell.column, text, cell.row_span, cell.column_span, page, box, confidence))
    x0, top, x1, bottom = lattice.box
    source = Source(document_id, page=page, box=(round(x0, 2), round(top, 2), round(x1, 2), round(bottom, 2)))
    return Table(tuple(made), source, True, lattice.open_top, lattice.open_bottom)


def _margins(lines: Sequence[Line]) -> tuple[float, float]:
    """Where the lines of a page begin and end as a rule."""
    if not lines:
        return 0.0, 0.0
    lefts = Counter(round(line.x0 / 2) for line in lines)
    long = [line for line in lines if line.x1 - line.x0 > 8 * line.size] or list(lines)
    rights = sorted(line.x1 for line in long)
    common = [place for place, count in lefts.items() if count >= max(2, 0.2 * len(lines))]
    left = 2.0 * min(common) if common else min(line.x0 for line in lines)
    return left, rights[int(len(rights) * 0.8)]


class _Pages:
    """Collects the elements of pages as they come."""

    def __init__(self, document_id: str) -> None:
        self.document_id = document_id
        self.elements: list[list[_Element]] = []
        self.columns: Columns | None = None
        self.heads: set[str] = set()
        self.gutter: float | None = None

    def _without_heads(self, glyphs: list[Glyph], page: Page) -> tuple[list[Glyph], list[Glyph]]:
        """Part the characters of running heads, known from the page before, from the rest."""
        heads: list[Glyph] = []
        keys: set[str] = set()
        for line in group_lines(
            [g for g in glyphs if g.baseline < 0.12 * page.height or g.baseline > 0.88 * page.height]
        ):
            pieces = split_line(line, 1.0)
            key = re.sub(r"[\d\s]+", "", "".join(piece.text for piece in pieces))
            if len(pieces) > 1 or len(key) < 4:
                continue
            keys.add(key)
            if key in self.heads:
                heads += line
        self.heads = keys
        taken = {id(glyph) for glyph in heads}
        return ([glyph for glyph in glyphs if id(glyph) not in taken] if heads else glyphs), heads

    def add(self, page: Page) -> None:
        glyphs = _visible(page)
        across, down = _segments(page)
        lattices, lone = find_lattices(across, down)
        held, rest = _share_out(glyphs, lattices)
        tables: list[Table] = []
        for index, lattice in enumerate(lattices):
            cells = {cell: glyphs for (owner, cell), glyphs in held.items() if owner == index}
            table = _ruled_table(lattice, cells, page.number, self.document_id)
            if table is not None:
                tables.append(table)
        rest, heads = self._without_heads(rest, page)
        plain, rest, self.columns = find_plain_tables(
            rest,
            lone,
            page,
            self.document_id,
            None if tables else self.columns,
            [t.source.box for t in tables if t.source.box],
        )
        tables += plain
        self.gutter = find_gutter(group_lines(rest), self.gutter)
        columns = _columns([*rest, *heads], self.gutter)
        margins = [_margins(lines) for lines in columns]
        if self.gutter is not None:
            margins[0] = (
                margins[1][0],
                max(margins[1][1], margins[2][1]),
            )  # what runs over both columns has the measure of both
        placed: list[tuple[int, float, _Element]] = []
        for table in tables:
            x0, top, x1, _ = table.source.box or (0.0, 0.0, page.width, 0.0)
            column = 0 if self.gutter is None or x0 < self.gutter < x1 else 1 if x1 <= self.gutter else 2
            placed.append((column, top, table))
        for column, lines in enumerate(columns):
            left, right = margins[column]
            for line in lines:
                edge = 1 if line.baseline < 0.12 * page.height else 2 if line.top > 0.86 * page.height else 0
                place = line.x0, line.x1, line.baseline, line.size
                placed.append((column, line.top, _TextLine(page.number, *place, line.text, left, right, edge)))
        self.elements.append(_in_order(placed))


def _columns(glyphs: Sequence[Glyph], gutter: float | None) -> list[list[Line]]:
    """Return the lines that run over the whole page, and those of the left and of the right column."""
    if gutter is None:
        return [make_lines(glyphs)]
    columns: list[list[Line]] = [[], [], []]
    for group in group_lines(glyphs):
        sides = part_line(group, gutter)
        lines = [make_line(side) for side in sides]
        if len(lines) == 1 and (lines[0].x0 < gutter < lines[0].x1 or _BARE_NUMBER.fullmatch(lines[0].text)):
            columns[0] += lines
            continue
        for line in lines:
            columns[1 if line.x0 < gutter else 2].append(line)
    return columns


def _in_order(placed: Sequence[tuple[int, float, _Element]]) -> list[_Element]:
    """Put the elements of a page in order: between two that run over the whole page, left column before right."""
    tops = sorted(top for column, top, _ in placed if column == 0)

    def key(item: tuple[int, float, _Element]) -> tuple[int, int, float]:
        column, top, _ = item
        return bisect_right(tops, top), column, top

    return [element for _, _, element in sorted(placed, key=key)]


def _furniture_key(line: _TextLine) -> str:
    return re.sub(r"[\d\s]+", "", line.text)


def _drop_furniture(pages: list[list[_Element]]) -> list[_Element]:
    """Drop page numbers, and what stands at the head or foot of many pages alike."""
    alike: Counter[tuple[int, str]] = Counter()
    for elements in pages:
        alike.update({(e.edge, _furniture_key(e)) for e in elements if isinstance(e, _TextLine) and e.edge})
    often = max(3, 0.4 * len(pages)) if len(pages) > 2 else 2
    kept: list[_Element] = []
    for elements in pages:
        for place, element in enumerate(elements):
            if isinstance(element, _TextLine) and element.edge:
                outermost = place == 0 if element.edge == 1 else place >= len(elements) - 2
                bare = _BARE_NUMBER.fullmatch(element.text)
                if outermost and (bare or is_page_number(element.text)):
                    continue
                if alike[element.edge, _furniture_key(element)] >= often and len(_furniture_key(element)) > 1:
                    continue
            kept.append(element)
    return kept


def _is_centred(line: _TextLine) -> bool:
    start, end = line.x0 - line.left, line.right - line.x1
    return start > 2.5 * line.size and end > 2.5 * line.size and abs(start - end) < 2.0 * line.size


def _continues(before: _TextLine, line: _TextLine, joined: str) -> bool:
    """Tell whether a line goes on with the paragraph of the line before."""
    if abs(before.size - line.size) > 0.15 * before.size:
        return False
    same_page = before.page == line.page
    if same_page and line.baseline - before.baseline > 3.2 * before.size:
        return False
    big = before.size > 14.5 and before.x0 - before.left > before.size
    if same_page and big and line.x0 - line.left > line.size and not numbering(line.text):
        # The lines of a centred title; an address or text below it begins at the margin.
        return abs((before.x0 + before.x1) - (line.x0 + line.x1)) < 2.0 * line.size and not re.search(
            r"[。：〕号]$", joined
        )
    if line.x0 - line.left < 0.8 * line.size and line.text and line.text[0] in NO_START:
        return True
    if re.fullmatch(r"附\s*[件表]\s*\d{0,2}", line.text):
        return False
    # A line is full where it fills its measure; a signature or date set to the right is not.
    full = before.x1 > before.right - 2.2 * before.size
    if not full or before.x0 - before.left > 0.4 * (before.right - before.left):
        return False
    indented = line.x0 - line.left > 1.2 * line.size
    if indented:
        # A hanging indent goes on below its own number; anything else that is indented begins a paragraph.
        hanging = numbering(joined) != "" and same_page and line.x0 > before.x0 - 0.5 * line.size
        return (
            hanging
            and not numbering(line.text)
            and not re.search(r"[。：；]$", joined)
            and before.x0 < before.left + 6 * line.size
        )
    return not (re.search(r"[。：]$", joined) and numbering(line.text))


def _paragraphs(elements: Iterable[_Element], document_id: str) -> list[Paragraph | Table]:
    blocks: list[Paragraph | Table] = []
    held: list[_TextLine] = []
    joined = ""

    def close() -> None:
        nonlocal joined
        if held:
            first = held[0]
            here = [line for line in held if line.page == first.page]
            baselines = [line.baseline for line in here]  # not in order where a paragraph goes on in the next column
            box = (
                round(min(line.x0 for line in here), 2),
                round(min(baselines) - 0.86 * first.size, 2),
                round(max(line.x1 for line in here), 2),
                round(max(baselines) + 0.14 * first.size, 2),
            )
            raw = "\n".join(line.text for line in held)
            text = clean(join_lines([line.text for line in held]))
            centred = all(_is_centred(line) for line in held)
            if text:
                source = Source(document_id, page=first.page, box=box)
                blocks.append(Paragraph(text, source, raw if raw != text else "", centred=centred))
            held.clear()
        joined = ""

    for element in elements:
        if isinstance(element, Table):
            close()
            blocks.append(element)
            continue
        if held and not _continues(held[-1], element, joined):
            close()
        held.append(element)
        joined += element.text
    close()
    return blocks


def _numbered_tables(blocks: list[Paragraph | Table]) -> list[Paragraph | Table]:
    """Number the tables from 1 in their sources."""
    count = 0
    result: list[Paragraph | Table] = []
    for block in blocks:
        if isinstance(block, Table):
            count += 1
            source = Source(block.source.document_id, block.source.page, count, block.source.row, block.source.box)
            result.append(Table(block.cells, source, block.ruled, block.open_top, block.open_bottom))
        else:
            result.append(block)
    return result


def layout_pages(pages: Iterable[Page], document_id: str, settings: Settings = Settings()) -> list[Paragraph | Table]:
    """Return the paragraphs and tables of pages in reading order.

    Tables come one for each page; paragraphs are joined over lines and pages. Running heads, page numbers,
    watermarks (angled characters) and invisible characters are dropped.

    Args:
        pages: the pages; each is let go of before the next is asked for.
        document_id: the id that every source refers to.
        settings: kept for bounds to come; pages are bounded by their readers.
    """
    collected = _Pages(document_id)
    for page in pages:
        collected.add(page)
    return _numbered_tables(_paragraphs(_drop_furniture(collected.elements), document_id))
