"""What a page reader hands to the layout: characters and rules.

All lengths are in points (1/72 inch) from the top left corner of the page as it is shown.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Glyph:
    """One character: x is its origin (left end of the advance), width its advance, angle its turn in degrees.

    text may hold several characters (a ligature, a recognised word of a scan).
    """

    text: str
    x: float
    baseline: float
    size: float
    width: float
    angle: float = 0.0
    invisible: bool = False
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class Rule:
    """A horizontal or vertical ruling segment (from a stroke, a thin filled rectangle or the edge of a rectangle)."""

    x0: float
    top: float
    x1: float
    bottom: float


@dataclass(frozen=True)
class Page:
    """What stands on one page; number counts from 1."""

    number: int
    width: float
    height: float
    glyphs: tuple[Glyph, ...]
    rules: tuple[Rule, ...]
