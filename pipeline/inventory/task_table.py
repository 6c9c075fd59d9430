"""The tasks of a notice as a table for people, with what else it says of itself: CSV, a workbook, JSON lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from pipeline.inventory import sheets
from pipeline.inventory.exports import harmless
from pipeline.inventory.files import write_safely
from pipeline.inventory.frames import fact_rows
from pipeline.inventory.view import shown_numbers
from pipeline.records import Notice, to_dict

COLUMNS = ("序号", "部分", "章节", "任务", "牵头单位", "配合单位", "完成时限", "页", "行")
_WIDTHS = (6, 24, 24, 70, 28, 36, 14, 6, 6)


def task_rows(notice: Notice) -> list[tuple[str | int, ...]]:
    """Return a row a task, in the order of COLUMNS."""
    numbers = shown_numbers(notice.tasks)
    return [
        (
            numbers[task.id], task.part, task.section, task.text, "、".join(task.lead_units),
            "、".join(task.coop_units), task.deadline,
            (task.source and task.source.page) or "", (task.source and task.source.row) or "",
        )
        for task in notice.tasks
    ]  # fmt: skip


def write_task_csv(notice: Notice, target: TextIO) -> None:
    """Write the tasks as CSV; no text can be taken for a formula."""
    import csv

    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([harmless(value) for value in row] for row in task_rows(notice))


def fact_records(notice: Notice) -> Iterator[dict[str, Any]]:
    """Yield the goals, areas, citations and stated numbers of a notice as plain dictionaries with their kind."""
    kinds = {
        "goal": notice.goals, "area": notice.areas, "citation": notice.citations, "count": notice.stated_counts
    }  # fmt: skip
    for kind, records in kinds.items():
        for record in records:
            yield {"kind": kind, **to_dict(record)}


def write_task_workbook(notice: Notice, path: str | Path) -> None:
    """Write the tasks as a workbook, with a second sheet of what else the notice says of itself.

    Each sheet has a frozen header, a filter, widths and wrapped text; every text is written as text.

    Raises:
        WriteError: the file is open in another program, or the place cannot be written.
    """
    import xlsxwriter

    def write(draft: Path) -> None:
        with xlsxwriter.Workbook(str(draft)) as book:
            book.set_properties({"title": notice.title, "comments": f"{notice.number}，由 shidian 抽取"})
            head = book.add_format({"bold": True, "bg_color": "#DCE6F1", "border": 1, "align": "center"})
            body = book.add_format({"text_wrap": True, "valign": "top", "border": 1})

            def add(name: str, columns: Sequence[tuple[str, float]], rows: Sequence[Sequence[str | int]]) -> None:
                sheet = book.add_worksheet(name)
                for column, (heading, width) in enumerate(columns):
                    sheet.set_column(column, column, width)
                    sheet.write_string(0, column, heading, head)
                for place, row in enumerate(rows, 1):
                    for column, value in enumerate(row):
                        if isinstance(value, int):
                            sheet.write_number(place, column, value, body)
                        else:
                            sheet.write_string(place, column, value, body)
                sheet.freeze_panes(1, 0)
                sheet.autofilter(0, 0, max(1, len(rows)), len(columns) - 1)
                sheet.set_landscape()
                sheet.repeat_rows(0)

            add("任务", tuple(zip(COLUMNS, _WIDTHS, strict=True)), task_rows(notice))
            facts = [
                ["" if (value := row[c.name]) is None else c.show(value) if c.show else value for c in sheets.FACTS]
                for row in fact_rows(notice)
            ]
            add("公文要点", [(column.heading, column.width) for column in sheets.FACTS], facts)

    write_safely(path, write)
