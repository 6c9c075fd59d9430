"""From ruling segments to grids of cells: merged cells known as such, cells closed where a page cuts a row."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SNAP = 3.0
"""Rules this near to each other (points) are one rule; no row of text is so low."""
_GAP = 3.0
"""Pieces of one rule may stand this far apart (dashes, joints)."""
_POKE = 8.0
"""A horizontal rule that goes this far beyond the last vertical one opens a column without an outer rule."""

Segment = tuple[float, float, float]
"""Position across, start and end along a rule."""


def merge_segments(segments: Iterable[Segment]) -> list[Segment]:
    """Join collinear pieces that touch or nearly touch.

    Example:
        >>> merge_segments([(10.0, 0.0, 50.0), (10.4, 49.0, 90.0), (40.0, 0.0, 90.0)])
        [(10.2, 0.0, 90.0), (40.0, 0.0, 90.0)]
    """
    merged: list[Segment] = []
    group: list[Segment] = []

    def close() -> None:
        position = sum(s[0] for s in group) / len(group)
        start = end = None
        for _, low, high in sorted(group, key=lambda s: s[1]):
            if end is None or start is None:
                start, end = low, high
            elif low <= end + _GAP:
                end = max(end, high)
            else:
                merged.append((position, start, end))
                start, end = low, high
        if start is not None and end is not None:
            merged.append((position, start, end))

    for segment in sorted(segments):
        if group and segment[0] - group[0][0] > SNAP * 0.6:
            close()
            group = []
        group.append(segment)
    if group:
        close()
    return merged


@dataclass(frozen=True)
class GridCell:
    """A cell of a lattice in grid places and points."""

    row: int
    column: int
    row_span: int
    column_span: int
    box: tuple[float, float, float, float]


class Lattice:
    """A grid of cells made by rules that touch one another."""

    def __init__(self, horizontal: list[Segment], vertical: list[Segment]) -> None:
        self.horizontal = horizontal
        self.vertical = vertical
        self.xs, self.open_left, self.open_right = self._edges(vertical, horizontal, _POKE)
        self.ys, self.open_top, self.open_bottom = self._edges(horizontal, vertical, SNAP + 1.0)
        self.cells: list[GridCell] = []
        self._owner: list[list[int]] = []
        if len(self.xs) > 1 and len(self.ys) > 1:
            self._build()

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom."""
        return self.xs[0], self.ys[0], self.xs[-1], self.ys[-1]

    @property
    def is_table(self) -> bool:
        """A frame around text is no table: it takes two columns that some row has apart."""
        return len(self.cells) > 1 and any(cell.column > 0 for cell in self.cells)

    @staticmethod
    def _edges(across: list[Segment], along: list[Segment], poke: float) -> tuple[list[float], bool, bool]:
        """Cluster the positions of rules; add an edge where the crossing rules go on beyond the last one."""
        positions = sorted(segment[0] for segment in across)
        edges: list[float] = []
        group: list[float] = []
        for position in positions:
            if group and position - group[-1] > SNAP:
                edges.append(sum(group) / len(group))
                group = []
            group.append(position)
        if group:
            edges.append(sum(group) / len(group))
        starts = [segment[1] for segment in along]
        ends = [segment[2] for segment in along]
        open_start = open_end = False
        if starts and (not edges or min(starts) < edges[0] - poke):
            edges.insert(0, min(starts))
            open_start = True
        if ends and max(ends) > edges[-1] + poke:
            edges.append(max(ends))
            open_end = True
        return edges, open_start, open_end

    @staticmethod
    def _index(edges: list[float], position: float) -> int:
        place = bisect_right(edges, position)
        if place == len(edges) or (place and position - edges[place - 1] < edges[place] - position):
            place -= 1
        return place

    def _walls(self, segments: list[Segment], edges: list[float], others: list[float]) -> list[list[bool]]:
        """walls[e][i] tells whether edge e is drawn beside interval i of the other direction."""
        walls = [[False] * (len(others) - 1) for _ in edges]
        covered: dict[tuple[int, int], float] = {}
        for position, start, end in segments:
            edge = self._index(edges, position)
            for interval in range(len(others) - 1):
                overlap = min(end, others[interval + 1]) - max(start, others[interval])
                if overlap > 0:
                    covered[edge, interval] = covered.get((edge, interval), 0.0) + overlap
        for (edge, interval), length in covered.items():
            walls[edge][interval] = length >= 0.5 * (others[interval + 1] - others[interval])
        return walls

    def _build(self) -> None:
        rows, columns = len(self.ys) - 1, len(self.xs) - 1
        down = self._walls(self.vertical, self.xs, self.ys)
        over = self._walls(self.horizontal, self.ys, self.xs)
        parent = list(range(rows * columns))

        def root(item: int) -> int:
            while parent[item] != item:
                parent[item] = parent[parent[item]]
                item = parent[item]
            return item

        for row in range(rows):
            for column in range(columns):
                here = row * columns + column
                if column + 1 < columns and not down[column + 1][row]:
                    parent[root(here + 1)] = root(here)
                if row + 1 < rows and not over[row + 1][column]:
                    parent[root(here + columns)] = root(here)
        regions: dict[int, list[tuple[int, int]]] = {}
        for row in range(rows):
            for column in range(columns):
                regions.setdefault(root(row * columns + column), []).append((row, column))
        self._owner = [[0] * columns for _ in range(rows)]
        for places in regions.values():
            for part in _rectangles(places):
                top, left, bottom, right = part
                box = (self.xs[left], self.ys[top], self.xs[right + 1], self.ys[bottom + 1])
                for row in range(top, bottom + 1):
                    for column in range(left, right + 1):
                        self._owner[row][column] = len(self.cells)
                self.cells.append(GridCell(top, left, bottom - top + 1, right - left + 1, box))

    def cell_at(self, x: float, y: float) -> int | None:
        """Return the index of the cell that holds a point, None outside."""
        column, row = bisect_right(self.xs, x) - 1, bisect_right(self.ys, y) - 1
        if 0 <= column < len(self.xs) - 1 and 0 <= row < len(self.ys) - 1:
            return self._owner[row][column]
        return None


def _rectangles(places: list[tuple[int, int]]) -> list[tuple[int, int, int, int]]:
    """Cut a region of grid places into rectangles: runs of a row, joined down where they are alike.

    Example:
        >>> _rectangles([(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)])
        [(0, 0, 1, 1), (2, 0, 2, 0)]
    """
    runs: list[tuple[int, int, int]] = []
    for row, column in sorted(places):
        if runs and runs[-1][0] == row and runs[-1][2] == column - 1:
            runs[-1] = (row, runs[-1][1], column)
        else:
            runs.append((row, column, column))
    done: list[tuple[int, int, int, int]] = []
    for row, left, right in runs:
        for index, (top, before_left, bottom, before_right) in enumerate(done):
            if (before_left, before_right, bottom) == (left, right, row - 1):
                done[index] = (top, left, row, right)
                break
        else:
            done.append((row, left, row, right))
    return done


def _touching(horizontal: list[Segment], vertical: list[Segment]) -> list[tuple[list[Segment], list[Segment]]]:
    """Group rules that touch one another; vertical rules of one height side by side belong together too."""
    count = len(horizontal) + len(vertical)
    parent = list(range(count))

    def root(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    offset = len(horizontal)
    for i, (y, x0, x1) in enumerate(horizontal):
        for j, (x, y0, y1) in enumerate(vertical):
            if x0 - SNAP <= x <= x1 + SNAP and y0 - SNAP <= y <= y1 + SNAP:
                parent[root(offset + j)] = root(i)
    for i in range(len(vertical)):
        for j in range(i + 1, len(vertical)):
            a, b = vertical[i], vertical[j]
            if a[2] - a[1] > 20 and abs(a[1] - b[1]) <= SNAP + 1 and abs(a[2] - b[2]) <= SNAP + 1:
                parent[root(offset + j)] = root(offset + i)
    groups: dict[int, tuple[list[Segment], list[Segment]]] = {}
    for i, segment in enumerate(horizontal):
        groups.setdefault(root(i), ([], []))[0].append(segment)
    for j, segment in enumerate(vertical):
        groups.setdefault(root(offset + j), ([], []))[1].append(segment)
    return list(groups.values())


_Group = tuple[list[Segment], list[Segment]]
_BAND = 60.0
"""The height up to which rows without vertical rules (sections) belong to the rows around them."""


def _stacked(groups: list[_Group], lone: list[Segment]) -> tuple[list[_Group], list[Segment]]:
    """Join groups above one another that have the same columns, and the rules of rows without vertical rules.

    In a table without rules at its sides nothing but its horizontal rules holds a section row to the table.
    """
    tops = sorted(groups, key=lambda group: min(v[1] for v in group[1]))
    left = list(lone)
    done: list[_Group] = []
    for group_across, down in tops:
        across = group_across
        x0, x1 = _extent(across)
        taken = [rule for rule in left if across and abs(rule[1] - x0) <= SNAP and abs(rule[2] - x1) <= SNAP]
        top, bottom = _span(across, down)
        above = sorted((rule for rule in taken if rule[0] < top), key=lambda rule: -rule[0])
        below = sorted(rule for rule in taken if rule[0] > bottom)
        for rules, sign in ((above, -1), (below, 1)):
            edge = top if sign < 0 else bottom
            for rule in rules:
                if abs(rule[0] - edge) > _BAND:
                    break
                edge = rule[0]
                across = [*across, rule]
                left.remove(rule)
        if done and across and _same_columns(done[-1], (across, down)):
            previous_across, previous_down = done[-1]
            if 0 <= _span(across, down)[0] - _span(previous_across, previous_down)[1] <= _BAND:
                done[-1] = (previous_across + across, previous_down + down)
                continue
        done.append((across, down))
    return done, left


def _extent(across: Sequence[Segment]) -> tuple[float, float]:
    return min((h[1] for h in across), default=0.0), max((h[2] for h in across), default=0.0)


def _span(across: Sequence[Segment], down: Sequence[Segment]) -> tuple[float, float]:
    heights = [h[0] for h in across] + [y for v in down for y in v[1:]]
    return min(heights), max(heights)


def _same_columns(one: _Group, two: _Group) -> bool:
    if any(abs(a - b) > SNAP for a, b in zip(_extent(one[0]), _extent(two[0]), strict=True)):
        return False
    few, many = sorted(({round(v[0]) for v in one[1]}, {round(v[0]) for v in two[1]}), key=len)
    return all(any(abs(a - b) <= SNAP for b in many) for a in few)


def _joints(lattice: Lattice, pieces: Sequence[Segment]) -> list[float]:
    """Heights without any rule at which every vertical rule is pieced together.

    Producers that draw cell by cell and split a row at a page leave out the rule below a repeated header.
    """
    left, top, right, bottom = lattice.box
    inside = [p for p in pieces if left - SNAP <= p[0] <= right + SNAP and top - SNAP <= p[1] and p[2] <= bottom + SNAP]
    found: list[float] = []
    for height in sorted({round(piece[1], 1) for piece in inside}):
        if any(abs(height - edge) <= SNAP for edge in (*lattice.ys, *found)):
            continue
        crossing = [v for v in lattice.vertical if v[1] < height - SNAP and v[2] > height + SNAP]
        if len(crossing) < 2 or len(crossing) < len({round(v[0] / SNAP) for v in lattice.vertical}):
            continue
        ends = [p for p in inside if abs(p[1] - height) < 1.6 or abs(p[2] - height) < 1.6]
        if all(any(abs(p[0] - v[0]) <= SNAP for p in ends) for v in crossing):
            found.append(height)
    return found


def find_lattices(horizontal: Iterable[Segment], vertical: Iterable[Segment]) -> tuple[list[Lattice], list[Segment]]:
    """Return the lattices that the rules of a page make, and the horizontal rules that no vertical one touches.

    Args:
        horizontal: (y, x0, x1) of each horizontal piece, in points.
        vertical: (x, top, bottom) of each vertical piece.
    """
    pieces = list(vertical)
    across, down = merge_segments(horizontal), merge_segments(pieces)
    across = [segment for segment in across if segment[2] - segment[1] > 4.0]
    down = [segment for segment in down if segment[2] - segment[1] > 4.0]
    lattices: list[Lattice] = []
    lone: list[Segment] = []
    groups = []
    for group_across, group_down in _touching(across, down):
        if group_down:
            groups.append((group_across, group_down))
        else:
            lone += group_across
    groups, lone = _stacked(groups, lone)
    for group_across, group_down in groups:
        lattice = Lattice(group_across, group_down)
        if lattice.is_table and (joints := _joints(lattice, pieces)):
            left, _, right, _ = lattice.box
            lattice = Lattice(group_across + [(joint, left, right) for joint in joints], group_down)
        if lattice.is_table:
            lattices.append(lattice)
        elif len(group_across) > 1:
            lone += group_across
    outer = [a for a in lattices if not any(_inside(a.box, b.box) for b in lattices if b is not a)]
    return sorted(outer, key=lambda lattice: lattice.box[1]), sorted(lone)


def _inside(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] >= b[0] - 1 and a[1] >= b[1] - 1 and a[2] <= b[2] + 1 and a[3] <= b[3] + 1 and a != b
