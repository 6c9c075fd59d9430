"""The rows of a table without rules between them: one running number a row, cut where the evidence is best."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from pipeline.readers.lines import NO_START, Line, head_width


@dataclass
class ColumnLine:
    """The part of a line that stands in one column; column is -1 for a section over all columns."""

    column: int
    line: Line
    number: int | None = None
    goes_on: bool = False
    """True for the second line of a section."""


@dataclass
class _Cluster:
    """Lines of all columns that no clean horizontal cut parts."""

    lines: list[ColumnLine]

    @property
    def top(self) -> float:
        return min(item.line.top for item in self.lines)

    @property
    def bottom(self) -> float:
        return max(item.line.bottom for item in self.lines)

    @property
    def number(self) -> ColumnLine | None:
        return next((item for item in self.lines if item.number is not None), None)


def _clusters(lines: Sequence[ColumnLine]) -> list[_Cluster]:
    made: list[_Cluster] = []
    for item in sorted(lines, key=lambda item: item.line.top):
        slack = 0.12 * item.line.size
        starts_number = item.number is not None and made and made[-1].number is not None
        if made and item.line.top < made[-1].bottom - slack and not starts_number:
            made[-1].lines.append(item)
        else:
            made.append(_Cluster([item]))
    return made


def _end(line: Line) -> float:
    """Where a line ends, without the sign that may hang over the edge."""
    return line.glyphs[-1].x if line.glyphs[-1].text in NO_START else line.x1


class _Evidence:
    """What speaks for and against a cut between two clusters that follow each other."""

    def __init__(self, clusters: Sequence[_Cluster], columns: int) -> None:
        self.clusters = clusters
        lines = [item for cluster in clusters for item in cluster.lines]
        self.size = sorted(item.line.size for item in lines)[len(lines) // 2]
        self.ends = {c: max((_end(i.line) for i in lines if i.column == c), default=0.0) for c in range(columns)}
        self.starts = {c: min((i.line.x0 for i in lines if i.column == c), default=0.0) for c in range(columns)}
        self.leading = self._leading(lines, columns)
        widths = {c: self.ends[c] - self.starts[c] for c in range(columns)}
        self.widest = max(widths, key=lambda c: widths[c]) if widths else 0
        self.gaps = [self._gap(index) for index in range(len(clusters) - 1)]
        self.pairs = self._pairs(columns)
        self._starts = [pair[0] for pair in self.pairs]

    def _gap(self, index: int) -> float:
        """Score the space between a cluster and the next against the space between the lines of one cell.

        Rows are never nearer to each other than the lines of a cell; columns beside each other may well be.
        """
        gap = self.clusters[index + 1].top - self.clusters[index].bottom
        if gap < 0.6 * self.leading and self.leading > 0.15 * self.size:
            return -3.0
        return 5.0 * max(0.0, min((gap - self.leading) / self.size, 1.0))

    @staticmethod
    def _leading(lines: Sequence[ColumnLine], columns: int) -> float:
        """The space between lines of one cell: what a quarter of the lines of a column keep below."""
        gaps: list[float] = []
        for column in range(columns):
            held = [item.line for item in lines if item.column == column]
            gaps += [below.top - above.bottom for above, below in pairwise(held)]
        return max(0.0, sorted(gaps)[len(gaps) // 4]) if gaps else 0.0

    def _pairs(self, columns: int) -> list[tuple[int, int, float]]:
        """For each two lines in a row of one column: their clusters, and whether the text breaks off there."""
        pairs: list[tuple[int, int, float]] = []
        for column in range(columns):
            before: tuple[int, Line] | None = None
            for index, cluster in enumerate(self.clusters):
                for item in cluster.lines:
                    if item.column == column:
                        if before is not None:
                            pairs.append((before[0], index, self._breaks(before[1], item.line, column)))
                        before = (index, item.line)
        return sorted(pairs)

    def within(self, first: int, last: int) -> float:
        """Return how much speaks against the lines of some clusters being one row."""
        cost = 0.0
        for place in range(bisect_left(self._starts, first), len(self.pairs)):
            start, end, breaks = self.pairs[place]
            if start > last:
                break
            if end <= last:
                cost += breaks
        return cost

    def _breaks(self, before: Line, after: Line, column: int) -> float:
        weight = 1.5 if column == self.widest else 1.0
        ended = bool(re.search(r"[。；！？][”’）)]?$", before.text))
        left, right = self.starts[column], self.ends[column]
        indent = before.x0 - left
        room = right - before.x1 if indent < 2.5 * before.size else (right - left) - (before.x1 - before.x0)
        spare = room - head_width(after)
        if re.search(r"[、，,（《“]$", before.text):
            return -2.0 * weight
        if spare > 1.6 * after.size or (spare > 0.6 * after.size and column != self.widest):
            return 1.5 * weight
        if column == self.widest:
            return 1.5 if ended else (-1.0 if spare > 0.6 * after.size else -2.5)
        return 0.5 if ended else -0.3

    def align(self, first: int, last: int, middle: bool) -> float:
        """Return how ill the number of a row from one cluster to another stands in it (0: as the others do)."""
        number = next((c.number for c in self.clusters[first : last + 1] if c.number is not None), None)
        if number is None:
            return 0.0
        top, bottom = self.clusters[first].top, self.clusters[last].bottom
        place = (number.line.top + number.line.bottom) / 2
        expected = (top + bottom) / 2 if middle else top + (number.line.bottom - number.line.top) / 2
        return min(abs(place - expected) / self.size, 4.0) * 0.8


def _best_cuts(evidence: _Evidence, numbers: Sequence[int], middle: bool, open_top: bool) -> tuple[float, list[int]]:
    """Choose one cut between each two numbers (and perhaps one above the first); returns cost and cuts.

    A cut is the index of the cluster after which it lies.
    """
    last = len(evidence.clusters) - 1
    first = numbers[0]
    best: dict[int, tuple[float, list[int]]] = {-1: (0.0, [])}
    for cut in range(first):
        # A row without a number above the first: the rest of a row that a page cut.
        best[cut] = ((0.5 if open_top else 4.0) + evidence.within(0, cut) - evidence.gaps[cut], [cut])
    for one, two in pairwise(numbers):
        now: dict[int, tuple[float, list[int]]] = {}
        for cut in range(one, two):
            options = []
            for before, (cost, cuts) in best.items():
                row = evidence.align(before + 1, cut, middle) + evidence.within(before + 1, cut)
                options.append((cost + row - evidence.gaps[cut], [*cuts, cut]))
            now[cut] = min(options, key=lambda option: option[0])
        best = now
    # The last row of a page may be cut: its number then stands at its top whatever the others do.
    ends = []
    for before, (cost, cuts) in best.items():
        fit = min(evidence.align(before + 1, last, True), evidence.align(before + 1, last, False))
        ends.append((cost + fit + evidence.within(before + 1, last), cuts))
    return min(ends, key=lambda end: end[0])


def _split_numbered(clusters: Sequence[_Cluster], columns: int, open_top: bool) -> list[list[ColumnLine]]:
    numbers = [index for index, cluster in enumerate(clusters) if cluster.number is not None]
    if not numbers or len(clusters) == 1:
        return [[item for cluster in clusters for item in cluster.lines]]
    evidence = _Evidence(clusters, columns)
    choices = [_best_cuts(evidence, numbers, middle, open_top) for middle in (False, True)]
    cuts = min(choices, key=lambda choice: choice[0])[1]
    rows: list[list[ColumnLine]] = [[]]
    for index, cluster in enumerate(clusters):
        rows[-1] += cluster.lines
        if index in cuts:
            rows.append([])
    return [row for row in rows if row]


def _split_by_first_column(clusters: Sequence[_Cluster]) -> list[list[ColumnLine]]:
    """Begin a row at each cluster with text in the first column: for tables without numbers."""
    rows: list[list[ColumnLine]] = []
    for cluster in clusters:
        if not rows or any(item.column == 0 for item in cluster.lines):
            rows.append([])
        rows[-1] += cluster.lines
    return rows


def split_rows(
    lines: Sequence[ColumnLine], rules: Sequence[float], number: int | None, columns: int, open_top: bool
) -> list[list[ColumnLine]]:
    """Return the rows of a plain table, each as its lines; a section is a row of its own.

    Args:
        lines: the lines of all columns from top to bottom.
        rules: heights of rules between rows, where there are any.
        number: the column of running numbers, None where there is none.
        columns: how many columns there are.
        open_top: True where the table goes on from the page before.
    """
    rows: list[list[ColumnLine]] = []
    band: list[ColumnLine] = []
    heights = sorted(rules)
    ruled = len(heights) >= 3

    def close() -> None:
        if band:
            clusters = _clusters(band)
            if number is not None and (not ruled or sum(item.number is not None for item in band) > 1):
                rows.extend(_split_numbered(clusters, columns, open_top and not rows))
            elif ruled:
                rows.append([item for cluster in clusters for item in cluster.lines])
            else:
                rows.extend(_split_by_first_column(clusters))
            band.clear()

    place = 0
    for item in sorted(lines, key=lambda item: item.line.top):
        while place < len(heights) and item.line.baseline - 0.3 * item.line.size > heights[place]:
            close()
            place += 1
        if item.column < 0:
            close()
            if item.goes_on and rows and rows[-1][0].column < 0:
                rows[-1].append(item)
            else:
                rows.append([item])
            continue
        band.append(item)
    close()
    return rows
