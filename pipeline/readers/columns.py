"""Tables without vertical rules: columns from alignment, rows from gaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.readers.lattice import Segment
from pipeline.readers.layout_types import Glyph, Page
from pipeline.records import Box, Table


@dataclass(frozen=True)
class Columns:
    """The columns of a plain table, kept for the page after it."""

    bounds: tuple[float, ...]


def find_plain_tables(
    glyphs: Sequence[Glyph],
    rules: Sequence[Segment],
    page: Page,
    document_id: str,
    columns: Columns | None,
    taken: Sequence[Box],
) -> tuple[list[Table], list[Glyph], Columns | None]:
    """Return the plain tables of a page, the characters left over, and the columns for the next page."""
    return [], list(glyphs), None
