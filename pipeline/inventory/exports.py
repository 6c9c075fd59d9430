"""Everything at once, tables for researchers, and a snapshot cut down to a time or a unit."""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.errors import DataError
from pipeline.inventory.files import write_safely
from pipeline.inventory.frames import district_of
from pipeline.inventory.ledger import Results, history
from pipeline.inventory.report import write_report
from pipeline.inventory.unit_table import unit_table
from pipeline.inventory.view import Part, View
from pipeline.inventory.word import write_word
from pipeline.inventory.workbook import write_workbook
from pipeline.records import Decision, Snapshot
from pipeline.settings import Settings
from pipeline.text import compact

FORMATS = ("xlsx", "html", "docx", "csv", "jsonl", "parquet")
TABLE_FORMATS = ("csv", "jsonl", "parquet")
NAMES = {"workbook": "inventory.xlsx", "report": "report.html", "word": "report.docx"}


def export(
    source: Snapshot | View | Results,
    folder: str | Path,
    *,
    formats: tuple[str, ...] = ("xlsx", "html", "docx"),
    settings: Settings | None = None,
    vectors: Any = None,
    progress: Callable[[str], None] = lambda message: None,
) -> dict[str, Path]:
    """Write the files of a snapshot into a folder, all from one set of frames.

    Args:
        source: a snapshot, or what was made of one already.
        folder: made if missing.
        formats: of FORMATS; csv, jsonl and parquet write a table each into folder/tables.
        settings: months of the lights and the threshold of sure links.
        vectors: see build_inventory.
        progress: called with a line a file, and with a line where an edited file was kept as a backup.

    Returns:
        The files written, by what they are: workbook, report, word, tables.

    Raises:
        DataError: a format is not known.
        WriteError: a file is open in another program, or the place cannot be written.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise DataError(f"没有名为 {'、'.join(unknown)} 的格式。可用：{'、'.join(FORMATS)}。")
    results = source if isinstance(source, Results) else Results(source, settings, vectors)
    place = Path(folder)
    files: dict[str, Path] = {}
    writers = {"xlsx": ("workbook", write_workbook), "html": ("report", write_report), "docx": ("word", write_word)}
    for name in formats:
        if name in writers:
            what, write = writers[name]
            files[what] = place / NAMES[what]
            progress(f"写出 {files[what]}")
            backup = write(results, files[what])
            if backup:
                progress(
                    f"{files[what].name} 有人改动过，原文件保存为 {backup.name}；填好的审核意见可用 shidian import 读回"
                )
        else:
            files["tables"] = place / "tables"
            progress(f"写出 {files['tables']}（{name}）")
            write_tables(results, files["tables"], name)
    return files


def tables(results: Results) -> dict[str, Any]:
    """Return all frames by the name of their file."""
    return {
        "cases": results.cases,
        "ledger": results.ledger,
        "links": results.links,
        "history": history(results.view),
        "policies": results.policies,
        "projects": results.projects,
        "firms": results.firms,
        "risks": results.risks,
        "statistics": results.statistics,
        "units": unit_table(results.view),
        "problems": results.problems,
    }


def write_tables(
    source: Snapshot | View | Results, folder: str | Path, format: str = "csv", settings: Settings | None = None
) -> dict[str, Path]:
    """Write each frame as a file of its own, for notebooks and databases.

    CSV is UTF-8 with a mark that Excel knows; a text that a spreadsheet would take for a formula gets a ' before it.

    Args:
        source: a snapshot, or what was made of one already.
        folder: made if missing.
        format: csv, jsonl or parquet; parquet needs pyarrow.
        settings: months of the lights.

    Raises:
        DataError: the format is not known, or pyarrow is missing.
        WriteError: the place cannot be written.
    """
    if format not in TABLE_FORMATS:
        raise DataError(f"没有名为 {format} 的表格格式。可用：{'、'.join(TABLE_FORMATS)}。")
    if format == "parquet" and importlib.util.find_spec("pyarrow") is None:
        raise DataError("写 Parquet 需要 pyarrow。请先运行 pip install pyarrow，或改用 --format csv。")
    results = source if isinstance(source, Results) else Results(source, settings)
    files = {}
    for name, frame in tables(results).items():
        files[name] = Path(folder) / f"{name}.{format}"
        write_safely(files[name], functools.partial(_write_table, frame, format))
    return files


def _write_table(frame: Any, format: str, path: Path) -> None:
    if format == "csv":
        frame.map(harmless).to_csv(path, index=False, encoding="utf-8-sig", lineterminator="\n", errors="replace")
    elif format == "parquet":
        frame.to_parquet(path, index=False)
    else:
        with path.open("w", encoding="utf-8", errors="replace", newline="\n") as file:
            for row in frame.to_dict("records"):
                file.write(json.dumps({key: _plain(value) for key, value in row.items()}, ensure_ascii=False) + "\n")


def harmless(value: Any) -> Any:
    """A cell of CSV that no spreadsheet takes for a formula.

    Example:
        >>> harmless("=1+1"), harmless("正文"), harmless(-3)
        ("'=1+1", '正文', -3)
    """
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def _plain(value: Any) -> Any:
    """A value that JSON has: numbers of numpy become Python's, not-a-number becomes null."""
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and math.isnan(value) else value


def filter_snapshot(snapshot: Snapshot, since: str = "", unit: str = "", settings: Settings | None = None) -> Snapshot:
    """Return the part of a snapshot that is of a time or a unit.

    A unit that leads or cooperates in tasks keeps those tasks and what carries them out; another one keeps what it
    sent in (issuer or district), and all tasks. Outputs say what was kept; status and light of a task are still
    judged by all there is.

    Args:
        snapshot: all there is.
        since: ISO date; documents before it and without a date are left out; "" for all.
        unit: any name of a unit, or a part of one; "" for all.
        settings: unit_lexicon applies.

    Raises:
        DataError: the date is no date, the lexicon of units is damaged, or no task and no document is of such a unit.
    """
    import datetime

    view = View.of(snapshot, settings)
    if not since and not unit:
        return snapshot
    kept = dict(view.documents)
    tasks = snapshot.notice.tasks
    scope = []
    if since:
        try:
            datetime.date.fromisoformat(since)
        except ValueError as error:
            raise DataError(f"--since {since}：不是日期。请写成 2024-01-31 的样子。") from error
        kept = {identity: document for identity, document in kept.items() if document.date >= since}
    if unit:
        wanted = compact(unit)
        named = view.units.named(unit)
        own = tuple(t for t in tasks if named.intersection((*t.lead_units, *t.coop_units)))
        scope.append(f"{wanted}{'牵头或配合的任务' if own else '报送的材料'}")
        if own:
            tasks = own
            ids = {task.id for task in own}
            linked = {view.passages[e.link.passage].document_id for e in view.links if e.link.task in ids}
            kept = {identity: document for identity, document in kept.items() if identity in linked}
        else:
            kept = {
                identity: document
                for identity, document in kept.items()
                if wanted in compact(document.issuer)
                or wanted in compact(district_of(view, document))
                or view.units.current(wanted) == view.units.current(document.issuer)
            }
            if not kept:
                units = sorted({name for task in tasks for name in task.lead_units})
                raise DataError(f"--unit {unit}：没有这个单位的任务或材料。牵头单位有：{'、'.join(units[:40])}。")
    if since:
        scope.append(f"{since}以来的材料")
    passages = tuple(p for p in snapshot.passages if p.document_id in kept)
    here, numbers = {p.id for p in passages}, {t.id for t in tasks}
    last = {(d.passage, d.task): d for d in snapshot.decisions}
    # A move that was taken back must not come in as an accepted link, for what took it back stays outside.
    standing = [
        d for d in snapshot.decisions if d.task in numbers or (d.moved_to in numbers and last[d.passage, d.task] is d)
    ]
    fields = {field.name: getattr(snapshot, field.name) for field in dataclasses.fields(Snapshot)}
    fields |= {
        "whole": snapshot,
        "scope": "、".join(scope),
        "notice": dataclasses.replace(snapshot.notice, tasks=tasks),
        "documents": tuple(d for d in snapshot.documents if d.id in kept),
        "passages": passages,
        "links": tuple(x for x in snapshot.links if x.passage in here and x.task in numbers),
        "decisions": tuple(_within(d, numbers) for d in standing if d.passage in here),
        "settings": (
            *snapshot.settings,
            *((("since", since),) if since else ()),
            *((("unit", unit),) if unit else ()),
        ),
    }
    return Part(**fields)


def cut_name(since: str = "", unit: str = "") -> str:
    """Return a name for the folder of a part, "" for the whole.

    Example:
        >>> cut_name("2024-01-01", "市商务委"), cut_name(unit="a/../b"), cut_name()
        ('2024-01-01以来_市商务委', 'a-b', '')
    """
    words = [f"{since}以来" if since else "", unit]
    return "_".join(name for word in words if (name := re.sub(r"[^\w()（）-]+", "-", word).strip("-")[:60]))


def _within(decision: Decision, tasks: set[str]) -> Decision:
    """A move across the border of a part: what leaves is rejected there, what comes in is accepted."""
    if decision.verdict != "moved" or {decision.task, decision.moved_to} <= tasks:
        return decision
    if decision.task in tasks:
        return dataclasses.replace(decision, verdict="rejected", moved_to="")
    return dataclasses.replace(decision, task=decision.moved_to, verdict="accepted", moved_to="")
