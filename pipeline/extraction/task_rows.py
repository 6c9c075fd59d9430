"""The rows of a joined task table as tasks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from pipeline.readers.tables import Grid, row_number, section_depth
from pipeline.records import Problem, Source, Table
from pipeline.text import clean, compact, split_units

_UNIT_END = re.compile(
    r"(?:局|委|办|厅|部|院|署|会|处|中心|政府|公司|集团|银行|海关|队|站|社|室|区|县|市|州|单位|部门|机构)(?:[（(][^）)]*[）)])?$"
)
_SEPARATED = re.compile(r"[、，,；;：:（(]$")
_SEPARATES = re.compile(r"^[、，,；;）)及和与]")
_LABELS = re.compile(
    r"(牵头(?:责任)?(?:单位|部门)?|主办(?:单位|部门)?|责任(?:单位|部门)|配合(?:责任)?(?:单位|部门)?|参与(?:单位|部门)?|参加(?:单位|部门)?|协办(?:单位|部门)?|协同(?:单位|部门)?)[:：]"
)
_LEADS = re.compile(r"^(.{2,60}?)(?:共同)?(?:牵头|负责牵头)(?:负责)?[，,；;、。]?(.*)$")
_ROLE = re.compile(r"[（(](?:牵头|主办|负责)(?:单位|部门)?[）)]")
_COOP_WORDS = re.compile(r"(?:等)?(?:按职责分工)?(?:负责|配合|参与|参加|协同|协助)(?:落实|实施)?。?$")
_NONE = re.compile(r"[/／\\—–―\-－_无暂空…*\s]*(?:无|暂无)?[/／\\—–―\-－_…*\s。]*")


def unit_names(text: str) -> tuple[str, ...]:
    r"""Return the bodies named in a cell; a line break between two whole names parts them.

    Example:
        >>> unit_names("市科技局\n市教委"), unit_names("市规划自然资源\n局、市教委"), unit_names("——")
        (('市科技局', '市教委'), ('市规划自然资源局', '市教委'), ())
    """
    if _NONE.fullmatch(text):
        return ()
    joined = ""
    for line in filter(None, (part.strip() for part in text.split("\n"))):
        apart = joined and not _SEPARATED.search(joined) and not _SEPARATES.search(line)
        if apart and _UNIT_END.search(joined) and len(re.split("[、，,；;]", line)[0]) > 2:
            joined += "、"
        joined += line
    return split_units(joined)


def split_roles(text: str) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Return the leading and cooperating bodies of a cell that names the roles itself, None where it does not.

    Example:
        >>> split_roles("牵头单位：市科技局；配合单位：市教委、市财政局")
        (('市科技局',), ('市教委', '市财政局'))
        >>> split_roles("市科技局牵头，市教委、市财政局配合")
        (('市科技局',), ('市教委', '市财政局'))
        >>> split_roles("市科技局（牵头）、市教委")
        (('市科技局',), ('市教委',))
    """
    labels = list(_LABELS.finditer(text))
    if labels:
        lead: list[str] = []
        coop: list[str] = []
        for index, label in enumerate(labels):
            end = labels[index + 1].start() if index + 1 < len(labels) else len(text)
            names = unit_names(text[label.end() : end])
            (coop if re.match("配合|参与|参加|协", label.group(1)) else lead).extend(names)
        return tuple(lead), tuple(coop)
    if _ROLE.search(text):
        names = split_units(compact(text))
        return (
            tuple(_ROLE.sub("", name) for name in names if _ROLE.search(name)),
            tuple(name for name in names if not _ROLE.search(name)),
        )
    found = _LEADS.match(compact(text))
    if found and "牵头" not in found.group(1):
        return unit_names(found.group(1)), unit_names(_COOP_WORDS.sub("", found.group(2)))
    return None


@dataclass
class Row:
    """A task on the way."""

    no: int | None
    text: str
    part: str
    section: str
    lead: tuple[str, ...]
    coop: tuple[str, ...]
    deadline: str
    source: Source
    confidence: float = 1.0
    flags: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Roles:
    """Which column of a task table holds what."""

    no: int | None
    text: int
    lead: int | None
    coop: int | None
    deadline: int | None
    groups: tuple[int, ...]
    shared: bool
    """True where one column names all bodies: the first leads."""


def find_roles(grid: Grid) -> tuple[Roles, int] | None:
    """Return the roles of the columns and the first row below the header; None where this is no table of tasks."""
    head = grid.header()
    if head is None:
        return None
    _, start, kinds = head
    lengths = [0.0] * grid.width
    merged = [0] * grid.width
    counted = 0
    for row in range(start, len(grid.rows)):
        if grid.section(row):
            continue
        counted += 1
        for column, part in enumerate(grid.rows[row]):
            if part is not None:
                lengths[column] += len(part.text)
                merged[column] += part.row_span > 1 or any(
                    0 <= near < len(grid.rows) and grid.rows[near][column] is part for near in (row - 1, row + 1)
                )

    def first(kind: str) -> int | None:
        return kinds.index(kind) if kind in kinds else None

    candidates = [column for column, kind in enumerate(kinds) if kind == "task"] or [
        column for column, kind in enumerate(kinds) if kind == "name"
    ]
    if not candidates:
        return None
    text = max(candidates, key=lambda column: (lengths[column], -column))
    lead, coop, units = first("lead"), first("coop"), first("units")
    shared = False
    if lead is None and units is not None:
        lead, shared = units, coop is None
    elif lead is not None and coop is None and units is not None:
        coop = units
    if lead is None and coop is None and first("no") is None:
        return None
    groups = tuple(
        column
        for column, kind in enumerate(kinds)
        if kind == "section"
        or (kind in ("task", "name") and column != text and counted and merged[column] >= 0.5 * counted)
    )
    return Roles(first("no"), text, lead, coop, first("deadline"), groups, shared), start


def is_task_table(table: Table) -> bool:
    """Tell whether a table names tasks and the bodies that carry them out."""
    found = find_roles(Grid(table))
    return found is not None and (found[0].lead is not None or found[0].coop is not None)


class _Reader:
    """Walks down a task table."""

    def __init__(self, table: Table, part: str, section: str) -> None:
        self.grid = Grid(table)
        found = find_roles(self.grid)
        assert found is not None
        self.roles, self.start = found
        self.table = table
        self.part, self.section = part, section
        self.rows: list[Row] = []
        self.problems: list[tuple[str, int | None, int | None]] = []

    def _cell(self, row: int, column: int | None) -> str:
        part = self.grid.rows[row][column] if column is not None else None
        return part.text if part is not None else ""

    def _take_section(self, text: str) -> None:
        text = clean(text)
        depth = section_depth(text)
        if re.match(r"^(?:注|备注|说明|资料来源)[:：]", text):
            return
        if depth == 2 or (depth == 0 and self.part and section_depth(self.part)):
            self.section = text
        else:
            self.part, self.section = text, ""

    def _units(self, row: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        lead_text, coop_text = self._cell(row, self.roles.lead), self._cell(row, self.roles.coop)
        if self.roles.coop is None and (roles := split_roles(lead_text)) is not None:
            return roles
        if self.roles.lead is None and (roles := split_roles(coop_text)) is not None:
            return roles
        lead, coop = unit_names(lead_text), unit_names(coop_text)
        if self.roles.shared:
            return lead[:1], lead[1:]
        if self.roles.coop == self.roles.lead:
            return lead, ()
        return lead, coop

    def _same_cell(self, row: int, column: int | None) -> bool:
        if column is None or row == self.start:
            return False
        here = self.grid.rows[row][column]
        return here is not None and here is self.grid.rows[row - 1][column]

    def read(self) -> None:
        previous_grid_row: int | None = None
        for row in range(self.start, len(self.grid.rows)):
            section = self.grid.section(row)
            if section and (section_depth(section) or row_number(self._cell(row, self.roles.no)) is None):
                self._take_section(section)
                previous_grid_row = None
                continue
            if not any(part is not None and part.text for part in self.grid.rows[row]):
                continue
            self._take_groups(row)
            self._take_row(row, previous_grid_row)
            previous_grid_row = row

    def _take_groups(self, row: int) -> None:
        for place, column in enumerate(self.roles.groups):
            text = clean(self._cell(row, column))
            if not text or self._same_cell(row, column):
                continue
            depth = section_depth(text)
            if depth == 2 or (depth == 0 and (place > 0 or section_depth(self.part) == 1)):
                self.section = text
            elif text != self.part:
                self.part, self.section = text, ""

    def _take_row(self, row: int, before: int | None) -> None:
        number_text = self._cell(row, self.roles.no)
        number = row_number(number_text)
        text = clean(self._cell(row, self.roles.text))
        same_number = before is not None and self._same_cell(row, self.roles.no)
        lead, coop = self._units(row)
        deadline = clean(self._cell(row, self.roles.deadline))
        deadline = "" if _NONE.fullmatch(deadline) else deadline
        held = [part for part in self.grid.rows[row] if part is not None and part.text]
        page = next((part.page for part in held if part.page is not None), self.table.source.page)
        boxes = [part.box for part in held if part.box is not None and part.page == page]
        box = None
        if boxes:
            box = (
                min(b[0] for b in boxes),
                min(b[1] for b in boxes),
                max(b[2] for b in boxes),
                max(b[3] for b in boxes),
            )
        source = Source(self.table.source.document_id, page, self.table.source.table, row + 1, box)
        confidence = min((part.confidence for part in held), default=1.0)
        if self.rows and before is not None and (same_number or (self.roles.no is not None and not number_text)):
            self._append(row, text, lead, coop, deadline, merged=same_number)
            return
        flags = []
        if self.roles.no is not None and number is None:
            flags.append(f"序号“{clean(number_text)}”不是数字" if number_text else "缺少序号")
        if not text:
            flags.append("没有任务内容")
        self.rows.append(Row(number, text, self.part, self.section, lead, coop, deadline, source, confidence, flags))

    def _append(
        self, row: int, text: str, lead: tuple[str, ...], coop: tuple[str, ...], deadline: str, merged: bool
    ) -> None:
        """Add a row without a number of its own to the task above."""
        task = self.rows[-1]
        if text and not self._same_cell(row, self.roles.text):
            task.text += text
        task.lead += tuple(unit for unit in lead if unit not in task.lead)
        task.coop += tuple(unit for unit in coop if unit not in task.coop)
        if deadline and deadline != task.deadline:
            task.deadline = f"{task.deadline}；{deadline}" if task.deadline else deadline
        note = "序号为合并单元格，其下各行已并为一项" if merged else "下一行没有序号，已并入本项"
        if note not in task.flags:
            task.flags.append(note)


def read_task_rows(table: Table, part: str = "", section: str = "") -> list[Row]:
    """Return the tasks of a joined table.

    Args:
        table: a table for which is_task_table holds, or at least find_roles.
        part: the part that a heading above the table names.
        section: the section, likewise.
    """
    reader = _Reader(table, part, section)
    reader.read()
    return reader.rows


def number_rows(rows: Sequence[Row]) -> None:
    """Give a number to tasks whose cell of numbers is empty or no number: the next in the row."""
    used = {row.no for row in rows if row.no is not None}
    last = 0
    for row in rows:
        if row.no is None:
            last += 1
            while last in used:
                last += 1
            row.no = last
            used.add(last)
        else:
            last = row.no


def check_rows(rows: Sequence[Row], path: str) -> list[Problem]:
    """Return what does not add up among the tasks of one table: numbers, empty rows, doubtful characters, odd units."""
    problems: list[Problem] = []
    for row in rows:
        for flag in row.flags:
            kind: Literal["note", "table"] = "note" if "已并" in flag else "table"
            problems.append(Problem(kind, f"第{row.no}项：{flag}。", path, row.source.page, row.source.row))
        if row.confidence < 0.8:
            problems.append(
                Problem(
                    "table",
                    f"第{row.no}项：文字识别可信度只有{row.confidence:.2f}，请核对。",
                    path,
                    row.source.page,
                    row.source.row,
                )
            )
    numbers = [row.no for row in rows if row.no is not None]
    counts = Counter(numbers)
    for number, count in sorted(counts.items()):
        if count > 1:
            row = next(row for row in rows if row.no == number)
            problems.append(Problem("table", f"序号{number}出现了{count}次。", path, row.source.page, row.source.row))
    if numbers:
        missing = sorted(set(range(min(numbers), max(numbers) + 1)) - set(numbers))
        if min(numbers) > 1:
            problems.append(Problem("table", f"序号从{min(numbers)}开始，前面可能有缺失。", path, rows[0].source.page))
        if missing:
            shown = "、".join(str(number) for number in missing[:20]) + ("等" if len(missing) > 20 else "")
            problems.append(Problem("table", f"缺少序号{shown}，共{len(missing)}项。", path))
        if numbers != sorted(numbers) and not missing:
            problems.append(Problem("table", "序号没有按顺序排列。", path))
    return problems + _odd_units(rows, path)


def _odd_units(rows: Sequence[Row], path: str) -> list[Problem]:
    """Flag a body named once whose name differs in one character from one named often: a slip, perhaps."""
    counts = Counter(unit for row in rows for unit in (*row.lead, *row.coop))
    often = [unit for unit, count in counts.items() if count >= 3 and len(unit) >= 5]
    problems = []
    for row in rows:
        for unit in (*row.lead, *row.coop):
            if counts[unit] != 1 or len(unit) < 5:
                continue
            near = next((other for other in often if _one_apart(unit, other)), None)
            if near is not None:
                message = f"第{row.no}项：单位“{unit}”只出现一次，与“{near}”只差一个字，请核对。"
                problems.append(Problem("note", message, path, row.source.page, row.source.row))
    return problems


def _one_apart(a: str, b: str) -> bool:
    return len(a) == len(b) and sum(x != y for x, y in zip(a, b, strict=True)) == 1
