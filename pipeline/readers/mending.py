"""Mends what character recognition misreads: signs by the text round them, numbers by their sequence."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from pipeline.records import Cell, Document, Paragraph, Problem, Table
from pipeline.text import compact

HAN = r"\u3400-\u9fff"
_WIDE = {",": "，", ";": "；", ":": "：", "?": "？", "!": "！", "(": "（", ")": "）"}


def mend_signs(text: str) -> str:
    """Return a recognised line with the signs of Chinese where the context is Chinese.

    Example:
        >>> mend_signs("支持开展(QDLP)试点,于2021.8启动;提高3.5%")
        '支持开展（QDLP）试点，于2021.8启动；提高3.5%'
    """
    if number := re.fullmatch(r"[-—–―一_~·]{1,2}\s*(\d{1,4})\s*[-—–―一_~·]{1,2}", text):
        return f"— {number.group(1)} —"
    if not re.search(f"[{HAN}]", text):
        return text
    text = re.sub(r"[(（]([^()（）]*)[)）]", r"（\1）", text)
    text = re.sub(rf"(?<=[{HAN}）”》〉])[,;:?!()](?!\d{{3}})", lambda m: _WIDE[m.group()], text)
    text = re.sub(rf"[,;:?!()](?=[{HAN}（“《〈])", lambda m: _WIDE[m.group()], text)
    # A comma loses its tail more often than a full stop its circle.
    text = re.sub(rf"(?<=[{HAN}）”》])[.．](?=[{HAN}“《（])", "，", text)
    text = re.sub(rf"(?<=[{HAN}）”》])[.．]$", "。", text)
    text = re.sub(rf"(?<=[{HAN}）%\d])[;]|[;](?=[{HAN}])", "；", text)
    text = re.sub(rf"(?<=[{HAN}])[oO0]$", "。", text) if re.search(rf"[{HAN}][oO]$", text) else text
    return text.replace("～", "~").replace("﹒", "·")


def mend_numbers(document: Document) -> Document:
    """Return a recognised document with the misread numbers of its tables mended by the running sequence.

    A number between two that are right is what stands between them; each mended cell is named in the problems, and
    its confidence is lowered.
    """
    places: list[tuple[int, Cell, int | None]] = []
    columns: dict[int, int] = {}
    for index, block in enumerate(document.blocks):
        if not isinstance(block, Table) or all(cell.confidence >= 1.0 for cell in block.cells):
            continue  # not recognised from a picture: its numbers are what the file says
        column = _number_column(block, columns.get(block.column_count))
        if column is None:
            continue
        columns[block.column_count] = column
        rows = {
            cell.row for cell in block.cells if cell.column != column and compact(cell.text) and cell.column_span == 1
        }
        for cell in sorted(block.cells, key=lambda found: found.row):
            text = compact(cell.text)
            if cell.column == column and cell.column_span == 1 and cell.row in rows:
                if text in ("序号", "编号"):
                    continue
                value = int(text) if re.fullmatch(r"\d{1,4}", text) else None
                places.append((index, cell, value))
    if not places:
        return document
    mended = _mend_sequence(
        [value if value is not None else (0 if cell.text.strip() else -1) for _, cell, value in places]
    )
    changed: dict[int, dict[int, Cell]] = {}
    problems = list(document.problems)
    for (index, cell, value), right in zip(places, mended, strict=True):
        if right is None or right == value:
            continue
        table = document.blocks[index]
        assert isinstance(table, Table)
        position = table.cells.index(cell)
        changed.setdefault(index, {})[position] = replace(cell, text=str(right), confidence=min(cell.confidence, 0.6))
        message = f"序号识别为“{compact(cell.text) or '空'}”，按前后序号改为 {right}，请核对。"
        problems.append(Problem("table", message, document.path, cell.page, right))
    if not changed:
        return document
    blocks: list[Paragraph | Table] = []
    for index, block in enumerate(document.blocks):
        if isinstance(block, Table) and index in changed:
            cells = tuple(changed[index].get(position, cell) for position, cell in enumerate(block.cells))
            blocks.append(replace(block, cells=cells))
        else:
            blocks.append(block)
    return replace(document, blocks=tuple(blocks), problems=tuple(problems))


def _number_column(table: Table, before: int | None) -> int | None:
    """Return the column of running numbers: headed so, or as on the page before, or the first if full of digits."""
    for cell in table.cells:
        if compact(cell.text) in ("序号", "编号"):
            return cell.column
    if before is not None:
        return before
    first = [
        compact(cell.text) for cell in table.cells if cell.column == 0 and cell.column_span == 1 and cell.text.strip()
    ]
    digits = sum(1 for text in first if re.fullmatch(r"\d{1,4}", text))
    return 0 if digits >= 2 and digits >= 0.6 * len(first) else None


def _mend_sequence(values: Sequence[int]) -> list[int | None]:
    """Return the right number for each place, None where nothing is known; 0 is unreadable, -1 is empty.

    Example:
        >>> _mend_sequence([7, 8, 6, 10, -1, 11, 0, 13])
        [7, 8, 9, 10, None, 11, 12, 13]
    """
    right: list[int | None] = [value if value > 0 else None for value in values]
    filled = [index for index, value in enumerate(values) if value >= 0]
    # Anchors: the longest chain of numbers that grow as their places do.
    best: list[tuple[int, int]] = []  # length, previous position in filled
    for i, place in enumerate(filled):
        length, previous = 1, -1
        for j in range(max(0, i - 60), i):
            step = values[place] - values[filled[j]]
            if values[place] > 0 and values[filled[j]] > 0 and step == i - j and best[j][0] + 1 > length:
                length, previous = best[j][0] + 1, j
        best.append((length if values[place] > 0 else 0, previous))
    if not best:
        return right
    for i, place in enumerate(filled):
        before = next((j for j in range(i - 1, -1, -1) if best[j][0] >= 2 or (best[j][0] == 1 and j == 0)), None)
        after = next((j for j in range(i + 1, len(filled)) if best[j][0] >= 2), None)
        if best[i][0] >= 2 or before is None:
            continue
        expected = values[filled[before]] + (i - before)
        fits = after is not None and values[filled[after]] - values[filled[before]] == after - before
        if fits or (after is None and i == len(filled) - 1):
            right[place] = expected
    return right
