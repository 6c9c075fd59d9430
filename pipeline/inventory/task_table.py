"""The tasks of a notice as a table for people: CSV or a workbook of one sheet."""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

from pipeline.inventory.exports import harmless
from pipeline.inventory.files import write_safely
from pipeline.records import Notice

COLUMNS = ("序号", "部分", "章节", "任务", "牵头单位", "配合单位", "完成时限", "页", "行")
_WIDTHS = (6, 24, 24, 70, 28, 36, 14, 6, 6)


def task_rows(notice: Notice) -> list[tuple[str | int, ...]]:
    """Return a row a task, in the order of COLUMNS."""
    return [
        (
            task.no, task.part, task.section, task.text, "、".join(task.lead_units), "、".join(task.coop_units),
            task.deadline, (task.source and task.source.page) or "", (task.source and task.source.row) or "",
        )
        for task in notice.tasks
    ]  # fmt: skip


def write_task_csv(notice: Notice, target: TextIO) -> None:
    """Write the tasks as CSV; no text can be taken for a formula."""
    import csv

    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([harmless(value) for value in row] for row in task_rows(notice))


def write_task_workbook(notice: Notice, path: str | Path) -> None:
    """Write the tasks as a workbook: frozen header, filter, widths, wrapped text; every text as text.

    Raises:
        WriteError: the file is open in another program, or the place cannot be written.
    """
    import xlsxwriter

    def write(draft: Path) -> None:
        with xlsxwriter.Workbook(str(draft)) as book:
            book.set_properties({"title": notice.title, "comments": f"{notice.number}，由 shidian 抽取"})
            head = book.add_format({"bold": True, "bg_color": "#DCE6F1", "border": 1, "align": "center"})
            body = book.add_format({"text_wrap": True, "valign": "top", "border": 1})
            sheet = book.add_worksheet("任务")
            for column, (name, width) in enumerate(zip(COLUMNS, _WIDTHS, strict=True)):
                sheet.set_column(column, column, width)
                sheet.write_string(0, column, name, head)
            rows = task_rows(notice)
            for place, row in enumerate(rows, 1):
                for column, value in enumerate(row):
                    if isinstance(value, int):
                        sheet.write_number(place, column, value, body)
                    else:
                        sheet.write_string(place, column, value, body)
            sheet.freeze_panes(1, 0)
            sheet.autofilter(0, 0, len(rows), len(COLUMNS) - 1)
            sheet.set_landscape()
            sheet.repeat_rows(0)

    write_safely(path, write)
