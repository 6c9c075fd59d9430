"""Characters to lines, and lines of a cell to its text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from pipeline.readers.layout_types import Glyph
from pipeline.readers.tables import heading_kind
from pipeline.text import join_lines, normalise

NO_START = frozenset("，。、；：！？）》〉」』】〕］｝”’％%,.;:!?)]}…—·")
"""Signs that never begin a line: they hang over the edge instead, or take the character before along."""
NO_END = frozenset("（《〈「『【〔［｛“‘([{")
_GUTTER = 1.5
"""Width of the space between two columns of text, in characters, at least."""
_SHARE = 0.7
_COLUMN_LINES = 6
_COLUMN_CHARACTERS = 10
_Run = tuple[float, float]


@dataclass(slots=True)
class Line:
    """A line of text, or a part of one between two gaps; lengths in points."""

    x0: float
    x1: float
    baseline: float
    size: float
    text: str
    glyphs: Sequence[Glyph]

    @property
    def top(self) -> float:
        """Top of the characters."""
        return self.baseline - 0.86 * self.size

    @property
    def bottom(self) -> float:
        """Bottom of the characters."""
        return self.baseline + 0.14 * self.size


def _text_of(glyphs: Sequence[Glyph]) -> str:
    """The characters of a line in order, a space where Latin words stand apart."""
    parts: list[str] = []
    end = 1e9  # where the character before ends; a space between them sets it far to the right
    plain = False
    for glyph in glyphs:
        text = glyph.text
        if text.isspace():
            end = 1e9
        else:
            ascii_now = text.isascii()
            gap = glyph.x - end
            if gap > 0.22 * glyph.size and (gap > 0.9 * glyph.size or (ascii_now and plain)):
                parts.append(" ")
            end, plain = glyph.x + glyph.width, ascii_now
        parts.append(text)
    return "".join(parts)


def make_line(glyphs: Sequence[Glyph]) -> Line:
    """Make a line of characters that are in order from left to right."""
    inked = [glyph for glyph in glyphs if not glyph.text.isspace()]
    sizes = sorted(glyph.size for glyph in inked)
    size = sizes[len(sizes) // 2]
    baselines = sorted(glyph.baseline for glyph in inked)
    last = inked[-1]
    return Line(inked[0].x, last.x + last.width, baselines[len(baselines) // 2], size, _text_of(glyphs).strip(), inked)


def group_lines(glyphs: Sequence[Glyph]) -> list[list[Glyph]]:
    """Group characters by baseline; each group runs from left to right, the groups from top to bottom."""
    ordered = sorted(glyphs, key=lambda glyph: glyph.baseline)
    groups: list[list[Glyph]] = []
    start = -1e9
    for glyph in ordered:
        if groups and glyph.baseline - start <= 0.42 * max(glyph.size, groups[-1][0].size * 0.6):
            groups[-1].append(glyph)
        else:
            groups.append([glyph])
            start = glyph.baseline
    return [
        sorted(group, key=lambda glyph: glyph.x) for group in groups if any(not glyph.text.isspace() for glyph in group)
    ]


def make_lines(glyphs: Sequence[Glyph]) -> list[Line]:
    """Return the lines that characters stand on, from top to bottom."""
    return [make_line(group) for group in group_lines(glyphs)]


def split_line(glyphs: Sequence[Glyph], gap: float = 1.0) -> list[Line]:
    """Cut a line where characters stand more than gap times their size apart."""
    parts: list[list[Glyph]] = []
    before: Glyph | None = None
    for glyph in glyphs:
        if glyph.text.isspace():
            continue
        if before is None or glyph.x - before.x - before.width > gap * glyph.size:
            parts.append([])
        parts[-1].append(glyph)
        before = glyph
    return [make_line(part) for part in parts]


def _runs(glyphs: Sequence[Glyph]) -> list[_Run]:
    """Where the text of a line begins and ends between spaces wider than a character."""
    runs: list[_Run] = []
    for glyph in glyphs:
        if glyph.text.isspace():
            continue
        end = glyph.x + glyph.width
        if runs and glyph.x - runs[-1][1] <= glyph.size:
            runs[-1] = runs[-1][0], max(end, runs[-1][1])
        else:
            runs.append((glyph.x, end))
    return runs


def _emptiest(lines: Sequence[Sequence[_Run]], left: float, right: float) -> _Run:
    """The widest band in the middle third of the lines that the fewest of them cross."""
    change = [0] * (int(right - left) + 3)
    for runs in lines:
        for start, end in runs:
            change[max(0, int(start - left))] += 1
            change[min(len(change) - 1, int(end - left) + 1)] -= 1
    covered = list(accumulate(change))
    low, high = int((right - left) / 3), int((right - left) * 2 / 3)
    least = min(covered[low : high + 1])
    best = (left + low, left + low)
    start = low
    for place in range(low, high + 2):
        if place > high or covered[place] > least:
            if place - start > best[1] - best[0]:
                best = left + start, left + place
            start = place + 1
    return best


def _is_column(lines: Sequence[Sequence[_Run]], width: float) -> bool:
    """Tell whether what stands on one side of a gutter is running text, not the short cells of a table or a list."""
    spans = sorted(runs[-1][1] - runs[0][0] for runs in lines)
    cut = sum(len(runs) > 1 for runs in lines)
    return len(lines) >= _COLUMN_LINES and spans[len(spans) // 2] >= 0.6 * width and cut <= 0.2 * len(lines)


def find_gutter(groups: Sequence[Sequence[Glyph]], known: float | None = None) -> float | None:
    """Return where the lines of a page are parted into two columns of running text, None where they are not.

    Args:
        groups: the lines outside of tables, as group_lines gives them.
        known: the gutter of the page before; the last page may have next to nothing in its second column.
    """
    kept = [group for group in groups if sum(not glyph.text.isspace() for glyph in group) >= _COLUMN_LINES]
    if len(kept) < _COLUMN_LINES:
        return None
    lines = [_runs(group) for group in kept]
    sizes = sorted(group[0].size for group in kept)
    size = sizes[len(sizes) // 2]
    left, right = min(runs[0][0] for runs in lines), max(runs[-1][1] for runs in lines)
    if not 2 * _COLUMN_CHARACTERS * size < right - left < 1e5:
        return None
    start, end = _emptiest(lines, left, right)
    middle = (start + end) / 2
    one, two, both = _sides(lines, middle)
    # Lines of the two sides whose baselines differ stand by themselves.
    shared = both + 2 * (min(len(one), len(two)) - both)
    wide = start - left, right - end
    if (
        end - start >= _GUTTER * size
        and shared >= _SHARE * len(lines)
        and min(wide) >= max(_COLUMN_CHARACTERS * size, 0.7 * max(wide))
        and _is_column(one, wide[0])
        and _is_column(two, wide[1])
        and not _is_heading(kept, middle)
    ):
        return middle
    if known is not None and left < known < right:
        one, two, both = _sides(lines, known)
        if two and len(one) + len(two) - both >= _SHARE * len(lines) and _is_column(one, known - left):
            return known
    return None


def _sides(lines: Sequence[Sequence[_Run]], middle: float) -> tuple[list[list[_Run]], list[list[_Run]], int]:
    """Return the left and the right parts of the lines that do not run over a gutter, and how many have both."""
    parted = [
        ([run for run in runs if run[1] <= middle], [run for run in runs if run[0] >= middle])
        for runs in lines
        if not any(start < middle < end for start, end in runs)
    ]
    one, two = [pair[0] for pair in parted if pair[0]], [pair[1] for pair in parted if pair[1]]
    return one, two, len(one) + len(two) - len(parted)


def _is_heading(groups: Sequence[Sequence[Glyph]], middle: float) -> bool:
    """Tell whether the first line with text on both sides names the columns of a table."""
    for group in groups:
        sides = part_line(group, middle)
        if len(sides) == 2:
            return all(heading_kind("".join(glyph.text for glyph in side)) for side in sides)
    return False


def part_line(glyphs: Sequence[Glyph], middle: float) -> list[list[Glyph]]:
    """Return what stands left and right of a gutter, or the whole line where it runs over it."""
    inked = [glyph for glyph in glyphs if not glyph.text.isspace()]
    one = [glyph for glyph in inked if glyph.x + glyph.width / 2 < middle]
    two = inked[len(one) :]
    if one and two and two[0].x - one[-1].x - one[-1].width <= two[0].size:
        return [inked]
    return [side for side in (one, two) if side]


def head_width(line: Line) -> float:
    """Width of what must stay together at the start of a line: a Latin word, or a character with its signs."""
    width = 0.0
    solid = False
    for index, glyph in enumerate(line.glyphs):
        latin = glyph.text.isascii() and glyph.text.isalnum()
        if index and not (glyph.text in NO_START or (solid and latin) or line.glyphs[index - 1].text in NO_END):
            break
        solid = latin
        width += glyph.width
    return width


def cell_text(lines: Sequence[Line], left: float, right: float) -> str:
    """Join the lines of a cell: a line break stays only where the writer made it.

    Args:
        lines: the lines, from top to bottom.
        left: where text can begin, in points.
        right: where text can end.
    """
    if not lines:
        return ""
    paragraphs: list[list[str]] = [[lines[0].text]]
    for before, line in pairwise(lines):
        indent = before.x0 - left
        room = right - before.x1 if indent < 2.5 * before.size else (right - left) - (before.x1 - before.x0)
        if room > head_width(line) + 0.6 * line.size:
            paragraphs.append([line.text])
        else:
            paragraphs[-1].append(line.text)
    return normalise("\n".join(join_lines(paragraph) for paragraph in paragraphs))
