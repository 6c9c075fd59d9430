"""Tables without vertical rules: columns from the header and from alignment, rows from rules, numbers and gaps.

Two kinds are found: tables between horizontal rules (three-line tables, and tables ruled between all rows), and
tables without any rule whose header names the columns of a task table. Their rows are told apart by the running
number, by the space between rows, and by whether a line ends where a paragraph would.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from pipeline.readers.lattice import Segment
from pipeline.readers.layout_types import Glyph, Page
from pipeline.readers.lines import NO_START, Line, cell_text, group_lines, make_line, split_line
from pipeline.readers.plain_rows import ColumnLine, split_rows
from pipeline.readers.structure import is_page_number
from pipeline.readers.tables import heading_kind, row_number, section_depth
from pipeline.records import Box, Cell, Source, Table
from pipeline.text import compact

_MAX_HEADER_LINES = 3


@dataclass(frozen=True)
class Columns:
    """The columns of a plain table, kept for the page after it: edges from left to right, and the number column."""

    edges: tuple[float, ...]
    number: int | None
    header: str
    closed: bool
    """True where a rule closed the table on its page."""
    ruled: bool = False
    """True where rules stand between the rows: the last one then says nothing about the end of the table."""


@dataclass
class _Header:
    lines: list[list[Glyph]]
    cells: list[Line]
    """The headings from left to right, each with its lines joined."""
    top: float
    bottom: float


def _headings(lines: Sequence[list[Glyph]]) -> list[Line]:
    """Join the pieces of header lines that stand above one another."""
    columns: list[list[Line]] = []
    for glyphs in lines:
        for piece in split_line(glyphs, 0.7):
            for column in columns:
                left, right = min(p.x0 for p in column), max(p.x1 for p in column)
                if min(right, piece.x1) - max(left, piece.x0) > 0.3 * min(right - left, piece.x1 - piece.x0):
                    column.append(piece)
                    break
            else:
                columns.append([piece])
    joined = []
    for column in columns:
        x0, x1 = min(p.x0 for p in column), max(p.x1 for p in column)
        text = "".join(p.text for p in sorted(column, key=lambda p: p.baseline))
        joined.append(Line(x0, x1, column[-1].baseline, column[0].size, text, column[0].glyphs))
    return _spread(sorted(joined, key=lambda line: line.x0))


def _spread(cells: list[Line]) -> list[Line]:
    """Join letterspaced headings (试 点 任 务) that were cut between their characters."""
    result: list[Line] = []
    index = 0
    while index < len(cells):
        for end in range(len(cells), index + 1, -1):
            group = cells[index:end]
            text = "".join(cell.text for cell in group)
            near = all(b.x0 - a.x1 < 2.2 * a.size for a, b in pairwise(group))
            if near and heading_kind(text) and not any(heading_kind(cell.text) for cell in group) and end - index <= 6:
                result.append(Line(group[0].x0, group[-1].x1, group[0].baseline, group[0].size, text, group[0].glyphs))
                index = end
                break
        else:
            result.append(cells[index])
            index += 1
    return result


def _names_tasks(cells: Sequence[Line]) -> bool:
    kinds = [heading_kind(cell.text) for cell in cells]
    known = {kind for kind in kinds if kind}
    return len(known) >= 3 or (
        len(known) == 2 and bool(known & {"lead", "units", "coop"}) and bool(known & {"task", "name"})
    )


def _baseline(glyphs: Sequence[Glyph]) -> float:
    return max(glyph.baseline for glyph in glyphs)


def _top(glyphs: Sequence[Glyph]) -> float:
    return min(glyph.baseline - 0.86 * glyph.size for glyph in glyphs)


def _find_header(lines: Sequence[list[Glyph]], rules: Sequence[Segment]) -> _Header | None:
    """Find the header: between the first two rules of one width, or a line that names the columns of tasks."""
    for index, first in enumerate(rules):
        for second in rules[index + 1 :]:
            if abs(first[1] - second[1]) > 6 or abs(first[2] - second[2]) > 6:
                continue
            inside = [line for line in lines if first[0] - 1 <= _top(line) + 2 and _baseline(line) <= second[0] + 2]
            if not inside or len(inside) > _MAX_HEADER_LINES:
                break
            cells = _headings(inside)
            titles = all(len(cell.text) <= 20 and not re.search(r"[，。、；]|^\d+$", cell.text) for cell in cells)
            if len(cells) >= 2 and titles and (len(cells) >= 3 or _names_tasks(cells)):
                return _Header(inside, cells, first[0], second[0])
            break
    for start in range(len(lines)):
        for count in range(1, _MAX_HEADER_LINES + 1):
            part = list(lines[start : start + count])
            if len(part) < count or (count > 1 and _baseline(part[-1]) - _baseline(part[0]) > 45):
                break
            cells = _headings(part)
            alone = {piece.text for piece in split_line(part[0], 0.7)} <= {cell.text for cell in cells}
            if count > 1 and alone and _names_tasks(_headings(part[1:])):
                continue  # the first line is a title above the header
            if _names_tasks(cells) and all(heading_kind(cell.text) or len(cell.text) <= 8 for cell in cells):
                part = _whole_header(part, lines[start + count :])
                return _Header(part, _headings(part), _top(part[0]), max(_baseline(line) for line in part) + 3)
    return None


def _whole_header(part: list[list[Glyph]], below: Sequence[list[Glyph]]) -> list[list[Glyph]]:
    """Add the lines below that go on with the headings of a header (牵头 | 单位 on two lines)."""
    for glyphs in below[:2]:
        pieces = split_line(glyphs, 0.7)
        if _top(glyphs) - _baseline(part[-1]) > pieces[0].size:
            break
        before, after = _headings(part), _headings([*part, glyphs])
        changed = [cell for cell, old in zip(after, before, strict=False) if cell.text != old.text]
        if len(after) != len(before) or not changed or not all(heading_kind(cell.text) for cell in changed):
            break
        part = [*part, glyphs]
    return part


def _edges(
    cells: Sequence[Line], body: Sequence[list[Glyph]], left: float, right: float, known: Columns | None
) -> list[float]:
    """Put an edge between each two headings, in the middle of the widest place where the fewest characters stand."""
    start = min([left, *(cell.x0 for cell in cells)])
    end = max([right, *(cell.x1 for cell in cells)])
    size = int(end - start) + 4
    change = [0] * (size + 1)
    for glyphs in body:
        for glyph in glyphs:
            a = min(max(int(glyph.x - start) + 1, 0), size)
            b = min(max(int(glyph.x + glyph.width - start) + 1, 0), size)
            if b > a and glyph.text not in NO_START:
                change[a] += 1
                change[b] -= 1
    covered = []
    total = 0
    for value in change:
        total += value
        covered.append(total)
    edges = [left]
    for number, (one, two) in enumerate(pairwise(cells), 1):
        low, high = int((one.x0 + one.x1) / 2 - start) + 1, int((two.x0 + two.x1) / 2 - start) + 1
        for cell in (one, two):
            a, b = int(cell.x0 - start) + 1, int(cell.x1 - start) + 1
            for place in range(max(a, low), min(b, high)):
                if 0 <= place < len(covered):
                    covered[place] += 50
        if known is not None and number < len(known.edges) - 1:
            place = int(known.edges[number] - start) + 1
            if low < place < high and covered[place] == 0:
                edges.append(known.edges[number])
                continue
        edges.append(start + _valley(covered, low, high) - 1)
    edges.append(right)
    return edges


def _over_numbers(cells: Sequence[Line], body: Sequence[list[Glyph]], number: int | None) -> list[Line]:
    """Widen the heading of the numbers over the numbers below it, wherever in their column they stand."""
    result = list(cells)
    if number is None:
        return result
    low = cells[number - 1].x1 if number else -1e9
    high = cells[number + 1].x0 if number + 1 < len(cells) else 1e9
    pieces = [piece for line in body for piece in split_line(line, 0.7) if re.fullmatch(r"\d{1,3}[.、]?", piece.text)]
    pieces = [piece for piece in pieces if low < piece.x0 and piece.x1 < high]
    if len(pieces) < 2:
        return result
    cell = cells[number]
    x0, x1 = min(cell.x0, *(p.x0 for p in pieces)), max(cell.x1, *(p.x1 for p in pieces))
    result[number] = Line(x0, x1, cell.baseline, cell.size, cell.text, cell.glyphs)
    return result


def _valley(covered: Sequence[int], low: int, high: int) -> float:
    places = range(max(low, 0), min(high, len(covered)))
    least = min((covered[place] for place in places), default=0)
    best: tuple[int, float] = (0, (low + high) / 2)
    run = 0
    for place in (*places, -1):
        if place >= 0 and covered[place] <= least + (1 if least else 0):
            run += 1
            last = place
        else:
            if run > best[0]:
                best = (run, last + 0.5 - run / 2)
            run = 0
    return best[1]


def _is_section(pieces: Sequence[Line]) -> bool:
    return len(pieces) == 1 and section_depth(pieces[0].text) > 0


def _is_foot(glyphs: Sequence[Glyph], page: Page, lines: Sequence[list[Glyph]]) -> bool:
    """Tell whether a line is a page number; a bare number is one only where nothing stands below it."""
    text = make_line(glyphs).text
    if _top(glyphs) <= 0.87 * page.height:
        return False
    if is_page_number(text):
        return True
    return bool(re.fullmatch(r"\d{1,4}", text)) and _baseline(glyphs) >= max(_baseline(line) for line in lines)


def _cut(glyphs: Sequence[Glyph], edges: Sequence[float]) -> dict[int, list[Glyph]]:
    """Share the characters of a line out to columns; a sign that hangs over an edge stays with its line."""
    shares: dict[int, list[Glyph]] = {}
    before: Glyph | None = None
    place_before = 0
    for glyph in glyphs:
        if glyph.text.isspace():
            continue
        place = min(max(bisect_right(edges, glyph.x + glyph.width / 2) - 1, 0), len(edges) - 2)
        close = before is not None and glyph.x - before.x - before.width < 0.3 * glyph.size
        hangs = glyph.text in NO_START or glyph.x < edges[place_before + 1] - 0.1 * glyph.size
        if close and hangs and place != place_before:
            place = place_before
        shares.setdefault(place, []).append(glyph)
        before, place_before = glyph, place
    return shares


def _crosses(glyphs: Sequence[Glyph], edges: Sequence[float]) -> bool:
    """Tell whether text runs over an edge between columns without a gap; a sign that hangs over it is no such text."""
    inked = [glyph for glyph in glyphs if not glyph.text.isspace()]
    for edge in edges[1:-1]:
        for one, two in pairwise(inked):
            if two.x + two.width <= edge or one.x >= edge or one.text in NO_START or two.text in NO_START:
                continue
            if (
                two.x - one.x - one.width < 0.3 * one.size
                and one.x + 0.7 * one.size < edge < two.x + two.width - 0.3 * two.size
            ):
                return True
    return False


def _body(
    lines: Sequence[list[Glyph]], start: float, end: float | None, edges: Sequence[float] | None, page: Page
) -> list[list[Glyph]]:
    """The lines of a table below its header, to its closing rule or to the first line that does not fit."""
    body: list[list[Glyph]] = []
    for glyphs in lines:
        if _baseline(glyphs) <= start + 1 or _is_foot(glyphs, page, lines):
            continue
        if end is not None:
            if _top(glyphs) > end - 2:
                break
        elif edges is not None and not _fits(glyphs, edges, body):
            break
        body.append(glyphs)
    return body


def _fits(glyphs: Sequence[Glyph], edges: Sequence[float], body: Sequence[list[Glyph]]) -> bool:
    """Tell whether a line can belong to a table of these columns."""
    pieces = split_line(glyphs, 1.0)
    if _is_section(pieces):
        return True
    if body and _top(glyphs) - _baseline(body[-1]) > 5 * pieces[0].size:
        return False
    if pieces[0].x0 < edges[0] - 12 or pieces[-1].x1 > edges[-1] + 14:
        return False
    if len(pieces) == 1 and body and len(split_line(body[-1], 1.0)) == 1 and section_depth(make_line(body[-1]).text):
        return True
    first = pieces[0]
    if first.x1 < edges[1] + 2 and re.match(r"^(?:附[件表]|注|备注)", compact(first.text)):
        return False
    return not _crosses(glyphs, edges)


def _last_rule(
    rules: Sequence[Segment],
    header: _Header,
    left: float,
    right: float,
    following: float,
    lines: Sequence[list[Glyph]],
) -> float | None:
    """The rule that closes a table, None where it goes on to the end of the page.

    The rule above a header that follows on the same page belongs to that header.
    """
    alike = [
        rule[0]
        for rule in rules
        if header.bottom + 4 < rule[0] < following + 4 and abs(rule[1] - left) < 8 and abs(rule[2] - right) < 8
    ]
    if alike and following < 1e9 and len(alike) > 1:
        between = [line for line in lines if alike[-2] < _baseline(line) < alike[-1]]
        if len(between) <= 3 and not any(len(split_line(line, 1.0)) > 1 for line in between):
            return alike[-2]
    return max(alike) if alike else None


def _make_table(
    header: _Header | None,
    body: Sequence[list[Glyph]],
    columns: Columns,
    inner: Sequence[float],
    page: Page,
    document_id: str,
    open_top: bool,
) -> Table | None:
    edges = columns.edges
    lines: list[ColumnLine] = []
    for glyphs in body:
        pieces = split_line(glyphs, 1.0)
        section = _is_section(pieces) and (pieces[0].x0 < edges[1] or _crosses(glyphs, edges) or len(edges) < 3)
        goes_on = (
            bool(lines)
            and lines[-1].column < 0
            and len(pieces) == 1
            and row_number(pieces[0].text) is None
            and pieces[0].x0 < edges[1]
            and lines[-1].line.x1 > edges[-1] - 3.5 * lines[-1].line.size
            and not any(lines[-1].line.baseline < rule < pieces[0].baseline for rule in inner)
        )
        if (
            section
            or goes_on
            or (
                len(pieces) == 1
                and _is_section(pieces)
                and columns.number is not None
                and pieces[0].x0 < edges[2 if len(edges) > 3 else 1]
            )
        ):
            lines.append(ColumnLine(-1, make_line(glyphs), None, goes_on and not section))
            continue
        for column, share in sorted(_cut(glyphs, edges).items()):
            line = make_line(share)
            number = row_number(line.text) if column == columns.number else None
            lines.append(ColumnLine(column, line, number))
    rows = split_rows(lines, inner, columns.number, len(edges) - 1, open_top)
    if not rows and header is None:
        return None
    return _to_table(header, rows, columns, page, document_id, open_top)


def _to_table(
    header: _Header | None,
    rows: Sequence[Sequence[ColumnLine]],
    columns: Columns,
    page: Page,
    document_id: str,
    open_top: bool,
) -> Table:
    edges = columns.edges
    width = len(edges) - 1
    starts: dict[int, float] = {}
    ends: dict[int, float] = {}
    for row in rows:
        for item in row:
            starts[item.column] = min(starts.get(item.column, 1e9), item.line.x0)
            ends[item.column] = max(ends.get(item.column, 0.0), item.line.x1)
    cells: list[Cell] = []
    count = 0
    if header is not None:
        for column, heading in enumerate(header.cells):
            box: Box = (edges[column], header.top, edges[column + 1], header.bottom)
            cells.append(Cell(0, column, compact(heading.text), 1, 1, page.number, box))
        count = 1
    for row in rows:
        top, bottom = min(item.line.top for item in row), max(item.line.bottom for item in row)
        confidence = min(glyph.confidence for item in row for glyph in item.line.glyphs)
        if row[0].column < 0:
            text = cell_text([item.line for item in row], edges[0], edges[-1])
            box = (edges[0], top, edges[-1], bottom)
            cells.append(Cell(count, 0, text.replace("\n", ""), 1, width, page.number, box, confidence))
        else:
            for column in range(width):
                held = [item.line for item in row if item.column == column]
                text = cell_text(held, starts.get(column, edges[column]), ends.get(column, edges[column + 1]))
                box = (edges[column], top, edges[column + 1], bottom)
                cells.append(Cell(count, column, text, 1, 1, page.number, box, confidence))
        count += 1
    top = min(cell.box[1] for cell in cells if cell.box)
    bottom = max(cell.box[3] for cell in cells if cell.box)
    source = Source(
        document_id, page=page.number, box=(round(edges[0], 2), round(top, 2), round(edges[-1], 2), round(bottom, 2))
    )
    return Table(tuple(cells), source, False, open_top, not columns.closed)


def _overlaps(line: Sequence[Glyph], boxes: Sequence[Box]) -> bool:
    middle = _baseline(line) - 3
    return any(top < middle < bottom for _, top, _, bottom in boxes)


def find_plain_tables(
    glyphs: Sequence[Glyph],
    rules: Sequence[Segment],
    page: Page,
    document_id: str,
    columns: Columns | None,
    taken: Sequence[Box],
) -> tuple[list[Table], list[Glyph], Columns | None]:
    """Return the plain tables of a page, the characters left over, and the columns for the next page.

    Args:
        glyphs: the characters of the page outside of ruled tables.
        rules: horizontal rules that no vertical rule touches, from top to bottom.
        page: the page.
        document_id: the id that the sources refer to.
        columns: the columns of a plain table that ran to the end of the page before, or None.
        taken: boxes of the ruled tables of the page.
    """
    lines = [line for line in group_lines(glyphs) if not _overlaps(line, taken)]
    rules = [rule for rule in rules if rule[2] - rule[1] > 0.3 * page.width]
    tables: list[Table] = []
    used: set[int] = set()
    current: Columns | None = None
    floor = -1.0
    while True:
        rest = [line for line in lines if id(line) not in used and _top(line) > floor]
        header = _find_header(rest, [rule for rule in rules if rule[0] > floor])
        if columns is not None and not tables and (not columns.closed or _goes_on_below(rules, columns, rest)):
            ceiling = header.top if header is not None else None
            if header is None or any(_top(line) < header.top - 2 and not _is_head(line, page) for line in rest):
                table, body, current = _continue(rest, rules, page, document_id, columns, ceiling)
                if table is not None:
                    tables.append(table)
                    used.update(id(line) for line in body)
                    floor = max(_baseline(line) for line in body)
                    columns = None
                    if header is None:
                        break
                    continue
        if header is None:
            break
        found = _from_header(header, rest, rules, page, document_id, current or columns, not tables)
        if found is None:
            floor = header.bottom
            continue
        table, body, current = found
        tables.append(table)
        used.update(id(line) for line in (*header.lines, *body))
        floor = max([header.bottom, *(_baseline(line) for line in body)])
    left = [glyph for line in group_lines(glyphs) if not _used(line, lines, used) for glyph in line]
    return tables, left, current


def _goes_on_below(rules: Sequence[Segment], columns: Columns, lines: Sequence[list[Glyph]]) -> bool:
    """Tell whether a table with rules between its rows goes on: a rule of its width stands at the top of the page."""
    alike = [r for r in rules if abs(r[1] - columns.edges[0]) < 6 and abs(r[2] - columns.edges[-1]) < 6]
    if not columns.ruled or not alike or not lines:
        return False
    return len(alike) > 1 and sum(_baseline(line) < alike[0][0] for line in lines) <= 1


def _is_head(line: Sequence[Glyph], page: Page) -> bool:
    return _baseline(line) < 0.1 * page.height


def _used(line: Sequence[Glyph], lines: Sequence[list[Glyph]], used: set[int]) -> bool:
    return any(id(other) in used and other[0] is line[0] for other in lines)


def _from_header(
    header: _Header,
    lines: Sequence[list[Glyph]],
    rules: Sequence[Segment],
    page: Page,
    document_id: str,
    known: Columns | None,
    first: bool,
) -> tuple[Table, list[list[Glyph]], Columns] | None:
    text = "|".join(compact(cell.text) for cell in header.cells)
    near = [rule for rule in rules if abs(rule[0] - header.top) < 12 or abs(rule[0] - header.bottom) < 12]
    rough_left, rough_right = header.cells[0].x0 - 30, header.cells[-1].x1 + 60
    if near:
        rough_left, rough_right = min(rule[1] for rule in near), max(rule[2] for rule in near)
    following = _next_header(lines, header)
    end = _last_rule(rules, header, rough_left, rough_right, following, lines) if near else None
    goes_on = first and known is not None and not known.closed and known.header == text
    known = known if known is not None and known.header == text else None
    below = [line for line in lines if _baseline(line) < following]
    body = _body(below, header.bottom, end, None, page)
    if end is None:
        rough = [
            rough_left,
            *[(a.x1 + b.x0) / 2 for a, b in pairwise(header.cells)],
            rough_right,
        ]
        body = _unruled_body(body, rough, header)
    plain = [line for line in body if not _is_section(split_line(line, 1.0))]
    if not plain and not near:
        return None
    if not near:
        inked = [glyph for line in (*plain, *header.lines) for glyph in line if not glyph.text.isspace()]
        rough_left = min(glyph.x for glyph in inked) - 3
        rough_right = max(glyph.x + glyph.width for glyph in inked) + 3
    number = next((i for i, cell in enumerate(header.cells) if heading_kind(cell.text) == "no"), None)
    edges = _edges(_over_numbers(header.cells, plain, number), plain, rough_left, rough_right, known)
    columns = Columns(tuple(edges), number, text, end is not None)
    if end is None:
        body = _body(body, header.bottom, None, edges, page)
    elif tail := _tail(below, end, edges, page):
        body, columns = [*body, *tail], replace(columns, closed=False)
        end = None
    inner = [
        rule[0]
        for rule in rules
        if header.bottom + 2 < rule[0] < (end or 1e9) - 2 and rule[2] - rule[1] > 0.8 * (rough_right - rough_left)
    ]
    columns = replace(columns, ruled=len(inner) >= 2)
    table = _make_table(header, body, columns, inner, page, document_id, goes_on)
    return None if table is None else (table, body, columns)


def _tail(lines: Sequence[list[Glyph]], rule: float, edges: Sequence[float], page: Page) -> list[list[Glyph]]:
    """The rest of a table below its last rule: the start of a row that the end of the page cut."""
    below = [line for line in lines if _top(line) > rule - 2 and not _is_foot(line, page, lines)]
    if not below or _top(below[0]) - rule > 2.0 * below[0][0].size:
        return []
    taken = _body(below, rule, None, edges, page)
    if len(taken) < len(below) or not any(
        len(split_line(line, 1.0)) > 1 and len(_cut(line, edges)) > 1 for line in taken
    ):
        return []
    return taken


def _next_header(lines: Sequence[list[Glyph]], header: _Header) -> float:
    """The height at which the same header stands again on the page, infinity where it does not."""
    first = compact(make_line(header.lines[0]).text)
    for line in lines:
        if _top(line) > header.bottom and len(first) >= 4 and compact(make_line(line).text) == first:
            return _top(line)
    return float("inf")


def _unruled_body(body: Sequence[list[Glyph]], rough: Sequence[float], header: _Header) -> list[list[Glyph]]:
    """Cut a table without a closing rule off before running text: two long lines over several columns."""
    kept: list[list[Glyph]] = []
    for glyphs in body:
        pieces = split_line(glyphs, 1.0)
        if not _is_section(pieces) and not (kept and _is_section(split_line(kept[-1], 1.0)) and len(pieces) == 1):
            wide = [p for p in split_line(glyphs, 0.3) if p.x1 - p.x0 > 0.75 * (rough[-1] - rough[0])]
            if wide or re.match(r"^(?:附\s*[件表]\s*\d*$|抄送|主送|印发)", compact(pieces[0].text)):
                break
        if kept and _top(glyphs) - _baseline(kept[-1]) > 6 * pieces[0].size:
            break
        kept.append(glyphs)
    return kept


def _continue(
    lines: Sequence[list[Glyph]],
    rules: Sequence[Segment],
    page: Page,
    document_id: str,
    columns: Columns,
    ceiling: float | None,
) -> tuple[Table | None, list[list[Glyph]], Columns]:
    """Go on with the table of the page before, which has no header here."""
    edges = columns.edges
    alike = [rule[0] for rule in rules if abs(rule[1] - edges[0]) < 10 and abs(rule[2] - edges[-1]) < 10]
    start = -1.0
    body: list[list[Glyph]] = []
    first = next((line for line in lines if not _is_head(line, page) or _fits(line, edges, ())), None)
    if first is None:
        return None, [], columns
    start = _top(first) - 1
    end = max((rule for rule in alike if rule > start + 4), default=None)
    if ceiling is not None:
        end = min(end, ceiling) if end is not None else ceiling
    for glyphs in lines:
        if _top(glyphs) < start or _is_foot(glyphs, page, lines):
            continue
        if (end is not None and _top(glyphs) > end - 2) or not _fits(glyphs, edges, body):
            break
        body.append(glyphs)
    several = sum(1 for line in body if len(_cut(line, edges)) >= 2)
    numbered = columns.number is None or any(
        row_number(make_line(share).text) is not None
        for line in body
        for column, share in _cut(line, edges).items()
        if column == columns.number
    )
    if not body or (several == 0 and not numbered) or (not numbered and several < 2 and len(body) > 4):
        return None, [], columns
    closed = bool(alike) and max(alike) > _baseline(body[-1]) - 1
    now = replace(columns, closed=closed)
    inner = [rule for rule in alike if start + 4 < rule < _baseline(body[-1])]
    return _make_table(None, body, now, inner, page, document_id, True), body, now
