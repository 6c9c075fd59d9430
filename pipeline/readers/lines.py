"""Characters to lines, and lines of a cell to its text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from pipeline.readers.layout_types import Glyph
from pipeline.text import join_lines, normalise

NO_START = frozenset("，。、；：！？）》〉」』】〕］｝”’％%,.;:!?)]}…—·")
"""Signs that never begin a line: they hang over the edge instead, or take the character before along."""
NO_END = frozenset("（《〈「『【〔［｛“‘([{")


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
