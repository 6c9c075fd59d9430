"""An independent second reading of doubtful tables by pdfplumber, and pictures of what was read.

pdfplumber finds characters, rules and cells by its own code; where both readings agree, a row can be trusted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from pipeline.errors import ReadError
from pipeline.readers.pdf import open_pdf
from pipeline.records import Problem, Table
from pipeline.text import compact

_MAX_PAGES = 40
"""The second reading is slow; more pages than this are not read again."""


def _rows(grid: Iterable[Iterable[str | None]]) -> list[str]:
    """One string a row: the texts of its cells without spaces; empty rows are left out."""
    rows = ["|".join(text for cell in row if (text := compact(cell or ""))) for row in grid]
    return [row for row in rows if row]


def _whole_rows(table: Table) -> list[list[str]]:
    """The rows but those that a page cut without a rule: pdfplumber knows no cell without a rule below."""
    grid = table.grid()
    return grid[1 if table.open_top else 0 : len(grid) - 1 if table.open_bottom else None]


def _is_upright(item: dict[str, Any]) -> bool:
    """Tell watermarks (characters set at an angle) from the rest."""
    matrix = item.get("matrix")
    return item.get("object_type") != "char" or matrix is None or abs(matrix[1]) < 0.05 * (abs(matrix[0]) or 1.0)


def second_reading(path: str | Path, tables: Sequence[Table]) -> list[Problem]:
    """Read the pages of doubtful tables again with pdfplumber and report the rows that differ, with both readings.

    Args:
        path: the PDF.
        tables: tables as read_pdf gave them, one for each page; those without rules are passed over, since
            pdfplumber finds cells by rules.

    Raises:
        ReadError: pdfplumber cannot open the file.

    Example:
        second_reading("通知.pdf", document.tables) is [] where both readings agree.
    """
    import logging

    import pdfplumber
    from pdfminer.pdfexceptions import PDFException

    logging.getLogger("pdfminer").setLevel(logging.ERROR)  # it warns of every font without a box
    doubtful: dict[int, list[Table]] = {}
    for table in tables:
        if table.source.page is not None and table.ruled:
            doubtful.setdefault(table.source.page, []).append(table)
    problems: list[Problem] = []
    try:
        with pdfplumber.open(path) as document:
            for number in sorted(doubtful)[:_MAX_PAGES]:
                page = document.pages[number - 1]
                upright = page.filter(_is_upright)
                theirs = [row for grid in upright.extract_tables() for row in _rows(grid)]
                ours = [row for table in doubtful[number] for row in _rows(_whole_rows(table))]
                problems += _differences(str(path), number, ours, theirs)
                page.close()
    except (PDFException, IndexError, OSError) as error:
        raise ReadError(path, f"无法用第二种方法复读（{type(error).__name__}）", advice="请人工核对任务表") from error
    return problems


def _differences(path: str, page: int, ours: Sequence[str], theirs: Sequence[str]) -> list[Problem]:
    """Say for each row of ours that the other reading lacks what stands there instead."""
    left = Counter(theirs)
    unmatched: list[tuple[int, str]] = []
    for number, row in enumerate(ours, 1):
        if left[row]:
            left[row] -= 1
        else:
            unmatched.append((number, row))
    spare = list(left.elements())
    problems = []
    for number, row in unmatched:
        other = max(spare, key=lambda candidate: _likeness(row, candidate), default="")
        shown = other if other and _likeness(row, other) > 0.3 else "（没有读到这一行）"
        message = f"两种读法不一致：“{row[:80]}”；复读为“{shown[:80]}”，请核对。"
        problems.append(Problem("table", message, path, page, number))
    return problems


def _likeness(a: str, b: str) -> float:
    """Share of the pairs of characters that two texts have in common."""
    pairs_a, pairs_b = Counter(pairwise(a)), Counter(pairwise(b))
    total = sum(pairs_a.values()) + sum(pairs_b.values())
    return 2 * sum((pairs_a & pairs_b).values()) / total if total else float(a == b)


def draw_debug_pictures(
    path: str | Path, out_dir: str | Path, tables: Sequence[Table], scale: float = 1.5
) -> list[Path]:
    """Draw the cells of tables over their pages: blue for cells, red for merged ones, green for tables without rules.

    Args:
        path: the PDF.
        out_dir: where the pictures go; made if missing.
        tables: tables as read_pdf gave them, one for each page.
        scale: pixels a point.

    Returns:
        The pictures, one PNG for each page with a table.

    Raises:
        ReadError: the PDF cannot be opened.
    """
    from PIL import ImageDraw

    target = Path(out_dir)
    target.mkdir(parents=True, exist_ok=True)
    by_page: dict[int, list[Table]] = {}
    for table in tables:
        if table.source.page is not None:
            by_page.setdefault(table.source.page, []).append(table)
    document = open_pdf(str(path), Path(path).read_bytes())
    made: list[Path] = []
    try:
        for number, held in sorted(by_page.items()):
            page = document[number - 1]
            picture = page.render(scale=scale).to_pil().convert("RGB")
            page.close()
            pen: Any = ImageDraw.Draw(picture)
            for table in held:
                for cell in table.cells:
                    if cell.box is None:
                        continue
                    merged = cell.row_span > 1 or cell.column_span > 1
                    colour = "green" if not table.ruled else "red" if merged else "blue"
                    pen.rectangle([value * scale for value in cell.box], outline=colour, width=2)
                    corner = (cell.box[0] * scale + 2, cell.box[1] * scale + 1)
                    pen.text(corner, f"{cell.row + 1},{cell.column + 1}", fill=colour)
            file = target / f"{Path(path).stem}-{number:03d}.png"
            picture.save(file)
            made.append(file)
    finally:
        document.close()
    return made
