"""An official notice with the tasks of its annex, out of a document of any format."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from pipeline.errors import ExtractionError
from pipeline.extraction.notice_aims import find_areas, find_goals
from pipeline.extraction.notice_facts import (
    check_counts,
    find_citations,
    find_openness,
    find_outline,
    find_stated_counts,
)
from pipeline.extraction.task_rows import Row, check_rows, find_roles, is_task_table, number_rows, read_task_rows
from pipeline.readers.structure import complete, is_prose
from pipeline.readers.tables import Grid, join_tables_counted, section_depth
from pipeline.records import Document, Notice, Paragraph, Problem, Source, Table, Task, content_id
from pipeline.settings import Settings
from pipeline.text import compact


def extract_notice(document: Document, settings: Settings = Settings()) -> Notice:
    """Return the notice that a document holds, with its tasks and all that does not add up.

    Args:
        document: what a reader made of the file of a notice.
        settings: not needed for now; kept so that every stage is called alike.

    Raises:
        ExtractionError: the document holds no table of tasks.

    Example:
        A table 序号 | 任务 | 牵头单位 | 配合单位 with one row below its header gives a notice with one task.
    """
    document = complete(document)
    problems = list(document.problems)
    joined = join_tables_counted(document.blocks)
    chosen = _choose(document, [table for table, _ in joined])
    seams = sum(dropped for table, dropped in joined if any(table is other for other in chosen))
    if seams:
        problems.append(Problem("note", f"有{seams}处单元格在分页处重复了字，已去掉重复的字。", document.path))
    rows = _read_tables(document, chosen, problems)
    if not rows:
        raise ExtractionError(f"{document.path}：任务表中没有任务行。请检查附件中的表格是否完整。")
    paragraphs = _own_paragraphs(document)
    tasks_of_notice = _tasks(document, rows)
    parts = {row.part for row in rows if row.part}
    sections = {(row.part, row.section) for row in rows if row.section}
    counts = find_stated_counts(paragraphs, len(rows), len(parts), len(sections))
    problems += check_counts(counts, document.path)
    return Notice(
        id=_notice_id(document, rows),
        title=document.title,
        issuer=document.issuer,
        number=document.number,
        date=document.date,
        openness=find_openness(paragraphs),
        outline=find_outline(paragraphs),
        citations=find_citations(paragraphs, document.title, document.number),
        stated_counts=counts,
        tasks=tasks_of_notice,
        problems=tuple(problems),
        path=document.path,
        areas=find_areas(paragraphs, tasks_of_notice, document.issuer),
        goals=find_goals(paragraphs, document.date),
    )


def with_id(notice: Notice, identity: str) -> Notice:
    """Return a notice under another id, with its tasks; what follows # in the id of a task stays.

    Example:
        >>> from pipeline.records import Task
        >>> notice = Notice("a", "方案", "", "", "", "", (), (), (), (Task("a#1-2", 1, "开展试点。"),))
        >>> with_id(notice, "b").tasks[0].id
        'b#1-2'
    """
    tasks = tuple(replace(task, id=f"{identity}#{task.id.rpartition('#')[2]}") for task in notice.tasks)
    return replace(notice, id=identity, tasks=tasks)


def _choose(document: Document, tables: list[Table]) -> list[Table]:
    """Return the tables of tasks; a table without bodies counts only where there is no other."""
    chosen = [table for table in tables if is_task_table(table)]
    if not chosen:
        chosen = [table for table in tables if find_roles(Grid(table)) is not None]
    if chosen:
        return chosen
    pages = [problem for problem in document.problems if problem.kind == "read"]
    if pages and not tables:
        raise ExtractionError(f"{document.path}：没有读到任务表，有{len(pages)}处未能读取。{pages[0].message}")
    if not tables:
        raise ExtractionError(
            f"{document.path}：没有找到表格。请确认文件含有任务分工附件；附件若是单独的文件，请指定那个文件。"
        )
    heads = "、".join(text for text in _first_row(tables[-1]) if text)[:60]
    raise ExtractionError(
        f"{document.path}：有{len(tables)}个表格，但没有一个的表头像任务表（最后一个表的首行：{heads}）。"
        "请检查表头是否含有“任务”“牵头单位”等字样，或在 data/headings.toml 中加入该表头的说法。"
    )


def _first_row(table: Table) -> list[str]:
    grid = table.grid()
    return [compact(text) for text in grid[0]] if grid else []


def _headings_above(document: Document, table: Table) -> tuple[str, str, bool]:
    """Return the part and section that headings right above a table name, and whether they begin anew."""
    part = section = ""
    index = next(
        (i for i, block in enumerate(document.blocks) if isinstance(block, Table) and block.source == table.source), 0
    )
    for block in reversed(document.blocks[:index]):
        if not isinstance(block, Paragraph) or is_prose(block.text):
            break
        text = block.text
        if re.match(r"^附\s*[件表]", text):
            break
        depth = section_depth(text)
        if len(text) > 60:
            continue
        if depth == 2 and not section and not part:
            section = text
        elif depth == 1 and not part:
            part = text
    return part, section, bool(part or section)


def _read_tables(document: Document, tables: Sequence[Table], problems: list[Problem]) -> list[Row]:
    rows: list[Row] = []
    part = section = ""
    for table in tables:
        above_part, above_section, anew = _headings_above(document, table)
        if anew:
            part, section = above_part or part, above_section
        elif rows and rows[-1].no is not None:
            part, section = rows[-1].part, rows[-1].section
        read = read_task_rows(table, part, section)
        rows += read
    _check_tables(document, tables, rows, problems)
    return rows


def _check_tables(document: Document, tables: Sequence[Table], rows: list[Row], problems: list[Problem]) -> None:
    """Number what has no number and check each run of numbers apart."""
    runs: list[list[Row]] = []
    for row in rows:
        starts_anew = row.no == 1 and runs and any(other.no is not None and other.no > 1 for other in runs[-1])
        other_table = runs and row.source.table != runs[-1][-1].source.table
        if not runs or (
            starts_anew and (other_table or row.section != runs[-1][-1].section or row.part != runs[-1][-1].part)
        ):
            runs.append([])
        runs[-1].append(row)
    for run in runs:
        number_rows(run)
        problems += check_rows(run, document.path)
    if len(tables) > 1:
        problems.append(Problem("note", f"文中有{len(tables)}个任务表，均已读取，共{len(rows)}项任务。", document.path))
    if len(runs) > 1:
        spans = "、".join(f"{run[0].no}—{run[-1].no}" for run in runs)
        problems.append(
            Problem(
                "note", f"任务序号分{len(runs)}段各自编号（{spans}），重复的序号在编号后加“-2”等区分。", document.path
            )
        )


def _own_paragraphs(document: Document) -> list[Paragraph]:
    return [block for block in document.blocks if isinstance(block, Paragraph) and block.text]


def _notice_id(document: Document, rows: Sequence[Row]) -> str:
    """The document number where there is one, an id of the title and the tasks else."""
    return compact(document.number) or content_id(compact(document.title), *(compact(row.text) for row in rows))


def _tasks(document: Document, rows: Sequence[Row]) -> tuple[Task, ...]:
    notice = _notice_id(document, rows)
    seen: Counter[int] = Counter()
    tasks = []
    for row in rows:
        number = row.no or 0
        seen[number] += 1
        name = f"{notice}#{number}" + (f"-{seen[number]}" if seen[number] > 1 else "")
        source = Source(row.source.document_id, row.source.page, row.source.table, row.source.row, row.source.box)
        tasks.append(Task(name, number, row.text, row.part, row.section, row.lead, row.coop, row.deadline, source))
    return tuple(tasks)
