"""Tables over pages: parts joined, repeated headers dropped, rows cut by a page made whole."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from pipeline.records import Box, Cell, Paragraph, Table
from pipeline.text import DATA, compact, join_lines, parse_numeral

KINDS = ("no", "task", "name", "lead", "coop", "units", "deadline", "section", "note")
"""What a column of a task table can hold; the words stand in data/headings.toml."""


@functools.cache
def _vocabulary() -> tuple[dict[str, str], tuple[tuple[str, str], ...]]:
    words: dict[str, str] = {}
    with (DATA / "headings.toml").open("rb") as file:
        for kind, names in tomllib.load(file).items():
            for name in names:
                words[re.sub(r"[（）()、，/]", "", compact(name))] = kind
    return words, tuple(sorted(words.items(), key=lambda pair: -len(pair[0])))


@functools.lru_cache(maxsize=4096)
def heading_kind(text: str) -> str:
    """Return the kind of column that a heading names, "" where it names none.

    Example:
        >>> [heading_kind(x) for x in ("序 号", "试点任务", "牵头单位（部门）", "完成时限", "市科技局")]
        ['no', 'task', 'lead', 'deadline', '']
    """
    bare = compact(text)
    exact, longest = _vocabulary()
    plain = re.sub(r"[（(][^）)]*[）)]", "", bare)
    for form in (re.sub(r"[（）()、，/]", "", bare), plain):
        if form in exact:
            return exact[form]
    if not plain or len(plain) > 12 or re.search(r"[。；，：\d]", plain):
        return ""
    if "牵头" in plain and re.search("配合|参与|协", plain):
        return "units"
    for word, kind in longest:
        if len(word) >= 2 and word in plain and len(plain) <= len(word) + 4:
            return kind
    return ""


_PART = re.compile(r"^(?:第?[一二三四五六七八九十]{1,3}[、.．]|第[一二三四五六七八九十]{1,3}[部章节])")
_SECTION = re.compile(r"^[（(][一二三四五六七八九十]{1,3}[)）]")


def section_depth(text: str) -> int:
    """Return 1 for a text that begins like a part (一、), 2 like a section (（一）), 0 else.

    Example:
        >>> section_depth("一、推动深化改革"), section_depth("(二) 有限竞争性服务业。"), section_depth("1.支持")
        (1, 2, 0)
    """
    bare = compact(text)
    return 1 if _PART.match(bare) else 2 if _SECTION.match(bare) else 0


@dataclass(slots=True)
class _Part:
    """A cell on the way: places may change while tables are joined."""

    text: str
    page: int | None
    box: Box | None
    confidence: float
    row: int
    row_span: int
    column: int
    column_span: int


class Grid:
    """A table as rows of places, each place holding its cell; a merged cell stands in each of its places."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.width = table.column_count
        self.rows: list[list[_Part | None]] = [[None] * self.width for _ in range(table.row_count)]
        for cell in table.cells:
            part = _Part(
                cell.text, cell.page if cell.page is not None else table.source.page, cell.box, cell.confidence,
                cell.row, cell.row_span, cell.column, cell.column_span,
            )  # fmt: skip
            for row in range(cell.row, cell.row + cell.row_span):
                for column in range(cell.column, cell.column + cell.column_span):
                    self.rows[row][column] = part

    def texts(self, row: int) -> list[str]:
        """The texts of a row; a merged cell counts once, at its first column."""
        found = []
        seen: set[int] = set()
        for part in self.rows[row]:
            if part is None or id(part) in seen:
                found.append("")
                continue
            seen.add(id(part))
            found.append(part.text)
        return found

    def section(self, row: int) -> str:
        """Return the text of a row that holds one text over all columns (a title or section), "" for other rows."""
        parts: list[_Part] = []
        for part in self.rows[row]:
            if part is not None and part.text and not any(part is other for other in parts):
                parts.append(part)
        if len(parts) != 1:
            return ""
        part = parts[0]
        if part.row_span > 1 and part.column_span < self.width:
            return ""
        if part.column_span >= self.width or (self.width >= 3 and part.column_span >= self.width - 1 > 1):
            return part.text
        if section_depth(part.text) and part.row_span == 1:
            return part.text
        return ""

    def kinds(self, row: int) -> list[str]:
        """The kinds of column that the texts of a row name."""
        return [heading_kind(text) if text else "" for text in self.texts(row)]

    def header(self) -> tuple[int, int, list[str]] | None:
        """Find the header among the rows: first row, row after the last, and the kind of each column.

        A heading may be merged over rows (序号) or over columns with more headings below it (责任分工).
        """
        for row in range(len(self.rows)):
            kinds = self.kinds(row)
            known = {kind for kind in kinds if kind}
            if len(known) < 2 or not known & {"task", "name", "lead", "coop", "units"}:
                continue
            if self.section(row) or any(len(text) > 30 for text in self.texts(row)):
                continue
            last = row + 1
            for part in self.rows[row]:
                if part is not None and heading_kind(part.text):
                    last = max(last, part.row + part.row_span)
            last = min(last, row + 3, len(self.rows))
            for below in range(row + 1, last):
                for column, part in enumerate(self.rows[below]):
                    if part is not None and part.row == below and (kind := heading_kind(part.text)):
                        kinds[column] = kind
            for column, part in enumerate(self.rows[row]):
                if part is not None and not kinds[column] and last > row + 1 and part.column_span > 1:
                    kinds[column] = ""
            return row, last, kinds
        return None

    def to_table(self) -> Table:
        """Return the rows as a table again."""
        places: dict[int, tuple[_Part, int, int, int, int]] = {}
        for row, parts in enumerate(self.rows):
            for column, part in enumerate(parts):
                if part is None:
                    continue
                if id(part) in places:
                    _, top, left, bottom, right = places[id(part)]
                    places[id(part)] = (part, min(top, row), min(left, column), max(bottom, row), max(right, column))
                else:
                    places[id(part)] = (part, row, column, row, column)
        cells = tuple(
            Cell(top, left, part.text, bottom - top + 1, right - left + 1, part.page, part.box, part.confidence)
            for part, top, left, bottom, right in places.values()
        )
        return replace(self.table, cells=cells)


# ------------------------------------------------------------------------------------------------ seams


@functools.lru_cache(maxsize=65536)
def _is_word(text: str) -> bool:
    import logging

    import jieba

    jieba.setLogLevel(logging.ERROR)
    if not jieba.dt.initialized:
        jieba.initialize()
    return bool(jieba.dt.FREQ.get(text))


_PUNCTUATION = "，。、；：！？）》”’,.;:!?)"


def seam_overlap(before: str, after: str) -> int:
    """Return how many characters at the start of a text repeat the end of the text before it by mistake.

    A row cut by a page sometimes has characters printed on both sides (赔偿 | 偿，). A true repetition is kept:
    市 | 市场监管局 begins a new word.

    Example:
        >>> [seam_overlap(a, b) for a, b in (("惩罚性赔偿", "偿，"), ("市教委、市", "市场监管局"), ("开", "试"))]
        [1, 0, 0]
    """
    before, after = before.rstrip(), after.lstrip()
    for length in range(min(len(before), len(after), 30), 3, -1):
        if before.endswith(after[:length]):
            return length
    for length in (3, 2, 1):
        if len(after) <= length or len(before) <= length or not before.endswith(after[:length]):
            continue
        if not re.fullmatch(r"[\u4e00-\u9fff]+", after[:length]):
            continue
        dangling = after[length] in _PUNCTUATION
        begins = any(_is_word(after[:size]) for size in range(max(2, length), min(6, len(after)) + 1))
        ends = any(_is_word(before[-size:]) for size in range(max(2, length), min(5, len(before)) + 1))
        if dangling and ends and not (length == 1 and _is_word(before[-1] + after[0])):
            return length
        if length == 1 and not dangling and ends and not begins and _is_word(before[-1:] + after[1:2]) is False:
            # Neither side needs the character twice: keep it unless dropping it gives a word across the seam.
            for size in range(2, 5):
                for back in range(1, size):
                    if _is_word(before[-back:] + after[1 : 1 + size - back]):
                        return 1
    return 0


def join_at_seam(before: str, after: str) -> tuple[str, int]:
    """Join the parts of a cell that a page cut; returns the text and how many doubled characters were dropped."""
    if not before or not after:
        return before or after, 0
    overlap = seam_overlap(before, after)
    after = after[overlap:].lstrip() if overlap else after
    return join_lines([before, after]) if "\n" not in before + after else before + after, overlap


# ------------------------------------------------------------------------------------------------ joining


def _edges(table: Table) -> list[float]:
    edges: dict[int, float] = {}
    for cell in table.cells:
        if cell.box is not None:
            edges.setdefault(cell.column, cell.box[0])
            edges.setdefault(cell.column + cell.column_span, cell.box[2])
    return [edges[key] for key in sorted(edges)]


def _column_map(before: Table, after: Table) -> list[int] | None:
    """Say which column of the table before each column of the table after belongs to; None where they don't fit."""
    old, new = _edges(before), _edges(after)
    if len(old) != before.column_count + 1 or len(new) != after.column_count + 1:
        return list(range(after.column_count)) if before.column_count == after.column_count else None
    if before.column_count == after.column_count:
        width = max(old[-1] - old[0], 1.0)
        a = [(x - old[0]) / width for x in old]
        b = [(x - new[0]) / max(new[-1] - new[0], 1.0) for x in new]
        if max(abs(x - y) for x, y in zip(a, b, strict=True)) < 0.06:
            return list(range(after.column_count))
    if abs(old[0] - new[0]) > 15 or abs(old[-1] - new[-1]) > 15:
        return None
    places = []
    for left, right in pairwise(new):
        overlaps = [min(right, b) - max(left, a) for a, b in pairwise(old)]
        places.append(max(range(len(overlaps)), key=overlaps.__getitem__))
    return places


_CONTINUED = re.compile(r"^[（(]?(?:续表?|接上[页表]|上接|（?续上表）?)|续[）)]$|^单位[:：]|^表\s*\d+[（(]续")


class _Joiner:
    """Joins the parts of one table as they come."""

    def __init__(self, table: Table) -> None:
        self.grid = Grid(table)
        self.last = table
        self.head = self.grid.header()
        self.header_keys = {self._key(self.grid, row) for row in range(*self.head[:2])} if self.head else set()
        self.seams = 0
        self._drop_repeats(self.head[1] if self.head else 1)

    @staticmethod
    def _key(grid: Grid, row: int) -> str:
        return "|".join(compact(text) for text in grid.texts(row) if text)

    def _drop_repeats(self, start: int) -> None:
        """Drop rows that say the header again."""
        self.grid.rows = [
            parts
            for row, parts in enumerate(self.grid.rows)
            if row < start or self._key(self.grid, row) not in self.header_keys
        ]

    def _no_column(self) -> int | None:
        if self.head is None or "no" not in self.head[2]:
            return None
        return self.head[2].index("no")

    def _numbers(self, grid: Grid) -> list[int]:
        column = self._no_column()
        if column is None or column >= grid.width:
            return []
        found = []
        for parts in grid.rows:
            part = parts[column]
            if part is not None and (value := row_number(part.text)) is not None:
                found.append(value)
        return found

    def accepts(self, table: Table) -> bool:
        """Tell whether a table goes on with this one."""
        if self.head is None:
            return False
        places = _column_map(Grid(self.last).table, table)
        grid = Grid(table)
        head = grid.header()
        same_header = head is not None and bool({self._key(grid, row) for row in range(*head[:2])} & self.header_keys)
        if head is not None and not same_header:
            return False
        page, before = table.source.page, self.last.source.page
        if page is not None and before is not None and not before <= page <= before + 1:
            return False
        if places is None and not same_header:
            return False
        if same_header:
            numbers, mine = self._numbers(grid), self._numbers(self.grid)
            # A second table of the same kind is numbered from 1 again.
            return not (numbers and mine and numbers[0] == 1 and mine[-1] > 1 and mine[-1] == max(mine))
        return page is not None or bool(self._numbers(grid))

    def add(self, table: Table) -> None:
        """Append a table that was accepted."""
        grid = Grid(table)
        places = _column_map(self.last, table) or list(range(min(grid.width, self.grid.width)))
        rows = [self._moved(parts, places) for parts in grid.rows]
        start = 0
        titles = {self._key(self.grid, row) for row in range(self.head[0])} if self.head else set()
        while start < len(rows) and (self._key(grid, start) in self.header_keys or self._key(grid, start) in titles):
            start += 1
        keep = [row for row in range(start, len(rows)) if self._key(grid, row) not in self.header_keys]
        rows = [rows[row] for row in keep]
        if rows and self.grid.rows:
            rows = self._seam(rows, table)
        self.grid.rows += rows
        self.last = table

    def _moved(self, parts: Sequence[_Part | None], places: list[int]) -> list[_Part | None]:
        moved: list[_Part | None] = [None] * self.grid.width
        for column, part in enumerate(parts):
            if column < len(places) and part is not None:
                here = moved[places[column]]
                if here is None or not here.text:
                    moved[places[column]] = part
                elif part is not here and part.text:
                    here.text += part.text
                    part.text = ""
        return moved

    @staticmethod
    def _section(parts: Sequence[_Part | None]) -> bool:
        """Tell whether a row is one cell over (nearly) all columns."""
        cells = {id(part) for part in parts if part is not None}
        texts = [part for part in parts if part is not None and part.text]
        return len(cells) == 1 or (len({id(part) for part in texts}) == 1 and section_depth(texts[0].text) > 0)

    def _goes_on(self, above: list[_Part | None], rows: list[list[_Part | None]], table: Table) -> bool:
        """Tell whether the first row of a page is the rest of the last row of the page before."""
        below = rows[0]
        above_section, below_section = self._section(above), self._section(below)
        if above_section or below_section:
            text = next((part.text for part in below if part is not None and part.text), "")
            return above_section and below_section and not section_depth(text)
        column = self._no_column()
        if column is None:
            if not (self.last.open_bottom or table.open_top):
                return False
            return not _ended(above, self._text_column())
        no_above, no_below = above[column], below[column]
        number_above = row_number(no_above.text) if no_above is not None else None
        number_below = row_number(no_below.text) if no_below is not None else None
        if number_below is not None:
            if number_below == number_above:
                return True
            # The number of a cut row may stand on its second part.
            return number_above is None and not (no_above is not None and no_above.text)
        if no_below is not None and no_below.text:
            return False
        spans = (no_below is not None and no_below.row_span > 1) or (no_above is not None and no_above.row_span > 1)
        if spans:
            return not _ended(above, self._text_column())
        if number_above is not None and not self.last.open_bottom and _ended(above, self._text_column()):
            # A whole row above: the row below may be a new one whose number stands on its second part.
            following = self._next_number(rows, column)
            if following is None and len(rows) == 1:
                return _ended(below, self._text_column()) or self._without_text(below)
            return following != number_above + 2
        return True

    def _without_text(self, parts: list[_Part | None]) -> bool:
        column = self._text_column()
        part = parts[column] if column is not None else None
        return part is None or not part.text

    @staticmethod
    def _next_number(rows: list[list[_Part | None]], column: int) -> int | None:
        """The first number below the first row."""
        for parts in rows[1:]:
            part = parts[column]
            if part is not None and (number := row_number(part.text)) is not None:
                return number
        return None

    def _text_column(self) -> int | None:
        kinds = self.head[2] if self.head else []
        return kinds.index("task") if "task" in kinds else None

    def _seam(self, rows: list[list[_Part | None]], table: Table) -> list[list[_Part | None]]:
        above, below = self.grid.rows[-1], rows[0]
        if self._goes_on(above, rows, table):
            done: set[int] = set()
            swap: dict[int, _Part] = {}
            for column, part in enumerate(below):
                upper = above[column]
                if part is None or upper is None or id(part) in done:
                    continue
                done.add(id(part))
                same_number = column == self._no_column() and compact(upper.text) == compact(part.text)
                if not same_number:
                    upper.text, dropped = join_at_seam(upper.text, part.text)
                    self.seams += dropped > 0
                upper.confidence = min(upper.confidence, part.confidence)
                swap[id(part)] = upper
            for parts in rows[1:]:
                for column, part in enumerate(parts):
                    if part is not None and id(part) in swap:
                        parts[column] = swap[id(part)]
            return rows[1:]
        self._carry(above, below, rows)
        return rows

    def _carry(self, above: list[_Part | None], below: list[_Part | None], rows: list[list[_Part | None]]) -> None:
        """Carry a merged cell over the page: its rest on the new page has no text of its own."""
        if self._section(above) or self._section(below):
            return
        kinds = self.head[2] if self.head else []
        number = self._no_column()
        own = below[number] if number is not None else None
        numbered = number is None or (own is not None and row_number(own.text) is not None)
        for column, part in enumerate(below):
            upper = above[column]
            if part is None or upper is None or column >= len(kinds) or part is upper:
                continue
            kind = kinds[column]
            if kind in ("task", "") or (kind == "no" and upper.row_span == 1 and part.row_span == 1):
                continue
            merged = part.row_span > 1 or upper.row_span > 1
            needed = (
                numbered
                and kind in ("lead", "units")
                and not any(
                    parts[column] is not None and not parts[column].text  # type: ignore[union-attr]
                    for parts in self.grid.rows[self.head[1] if self.head else 0 :]
                    if not self._section(parts)
                )
            )
            if upper.text and part.text:
                continue
            if not part.text and upper.text and (merged or needed):
                source, target = upper, part
            elif part.text and not upper.text and merged and upper.row_span > 1:
                source, target = part, upper
            else:
                continue
            for parts in (*self.grid.rows, *rows):
                for place, other in enumerate(parts):
                    if other is target:
                        parts[place] = source
            source.row_span = upper.row_span + part.row_span

    def result(self) -> Table:
        """The joined table."""
        return self.grid.to_table()


def _ended(parts: Sequence[_Part | None], column: int | None) -> bool:
    part = parts[column] if column is not None and column < len(parts) else None
    return part is not None and bool(re.search(r"[。；！？][”’）)]*$", part.text.strip()))


def row_number(text: str) -> int | None:
    """Return the number in a cell of numbers, None where it holds none.

    Example:
        >>> [row_number(x) for x in ("12", "12.", "（3）", "任务5", "十二", "一、", "")]
        [12, 12, 3, 5, 12, None, None]
    """
    bare = compact(text)
    found = re.fullmatch(r"(?:任务|第|No\.?)?[（(]?(\d{1,4}|[一二三四五六七八九十百]{1,5})[)）.．、]?(?:项|条)?", bare)
    if not found or (not found.group(1).isdigit() and bare.endswith("、")):
        return None
    return parse_numeral(found.group(1))


def join_tables(blocks: Iterable[Paragraph | Table]) -> list[Table]:
    """Join the parts of tables that go on over pages (or over several tables of a file without pages).

    Repeated headers are dropped, also in mid-page; a row cut by a page becomes one row; a merged cell that goes on
    over a page stays one cell. Each cell keeps the page and box where it begins.

    Args:
        blocks: tables in reading order; a paragraph between two tables keeps them apart, unless it says 续表.
    """
    return [table for table, _ in join_tables_counted(blocks)]


def join_tables_counted(blocks: Iterable[Paragraph | Table]) -> list[tuple[Table, int]]:
    """Join as join_tables does; each table comes with the number of doublings removed at its seams."""
    done: list[_Joiner] = []
    open_joiner: _Joiner | None = None
    for block in blocks:
        if isinstance(block, Paragraph):
            if not (_CONTINUED.search(block.text) and len(block.text) <= 20):
                open_joiner = None
            continue
        if not block.cells:
            continue
        if open_joiner is not None and open_joiner.accepts(block):
            open_joiner.add(block)
            continue
        open_joiner = _Joiner(block)
        done.append(open_joiner)
    return [(joiner.result(), joiner.seams) for joiner in done]
