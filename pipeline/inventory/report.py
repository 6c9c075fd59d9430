"""The HTML report: one file that needs nothing else, reads well on paper, and shows the totals of the workbook."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pipeline.classification.schemes import class_name, schemes
from pipeline.inventory import charts, sheets
from pipeline.inventory.files import printable, write_safely
from pipeline.inventory.frames import PROBLEM_KINDS, settings_rows
from pipeline.inventory.ledger import LIGHTS, STATUSES, Results
from pipeline.inventory.lexicon import DATA
from pipeline.inventory.view import EffectiveLink, View
from pipeline.inventory.workbook import source_place
from pipeline.records import Snapshot
from pipeline.settings import Settings

_SHOWN = 12
_BARS = 24


def write_report(source: Snapshot | View | Results, path: str | Path, settings: Settings | None = None) -> Path | None:
    """Write the report of a snapshot as one HTML file.

    Args:
        source: a snapshot, or what was made of one already.
        path: the HTML file; one that is not as the last run left it is kept as NAME.bak.
        settings: months of the lights and the threshold of sure links.

    Returns:
        The backup made, if any.

    Raises:
        WriteError: the place cannot be written.
    """
    results = source if isinstance(source, Results) else Results(source, settings)
    text = render(results, Path(path).absolute().parent)

    def write(draft: Path) -> None:
        draft.write_text(printable(text), encoding="utf-8", newline="\n")

    return write_safely(path, write)


def render(results: Results, folder: Path) -> str:
    """Return the report as HTML; links to sources are relative to folder."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    view = results.view
    environment = Environment(
        loader=FileSystemLoader(DATA), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.get_template("report.html.j2")
    text: str = template.render(
        notice=view.snapshot.notice,
        scope=view.scope,
        all_tasks=len(view.whole.tasks),
        date=view.snapshot.date,
        t=results.totals,
        names=sheets.TOTALS,
        statuses=STATUSES,
        lights=LIGHTS,
        colours=charts.COLOURS,
        ledger=_rows(results.ledger, folder, "latest_path", "latest_page"),
        cases=_rows(results.cases, folder, "path", "page"),
        problems=_rows(results.problems, folder, "", ""),
        problem_kinds=PROBLEM_KINDS,
        risks=[row for row in _rows(results.risks, folder, "path", "page") if row["tone"] == "需关注"],
        grid=_map(results),
        plots={name: Markup(svg) for name, svg in _plots(results).items()},  # noqa: S704 - made by charts, escaped
        sure=_examples(view, folder, sure=True),
        doubtful=_examples(view, folder, sure=False),
        class_name=class_name,
        settings=settings_rows(view),
        months=(view.settings.amber_months, view.settings.red_months),
        shown=_SHOWN,
    )
    return text


def _rows(frame: Any, folder: Path, path: str, page: str) -> list[dict[str, Any]]:
    rows = []
    for row in frame.to_dict("records"):
        plain = {key: ("" if value is None or value != value else value) for key, value in row.items()}  # noqa: PLR0124
        plain["url"] = _href(str(plain.get(path, "")), plain.get(page) or None, folder) if path else ""
        rows.append(plain)
    return rows


def _href(path: str, page: Any, folder: Path) -> str:
    """A relative link to a source for a page of HTML."""
    place, mark = source_place(path, page, folder)
    if not place:
        return ""
    # ./ keeps a name with a colon from being taken for a scheme.
    url = Path(place).as_uri() if Path(place).is_absolute() else "./" + quote(place)
    return url + (f"#{mark}" if mark else "")


def _map(results: Results) -> dict[str, Any]:
    """Tasks by sector and kind of reform: how many, and how many of them have evidence."""
    counts: Counter[tuple[str, str]] = Counter()
    covered: Counter[tuple[str, str]] = Counter()
    for row in results.ledger.to_dict("records"):
        key = (row["sector"] or "", row["reform"] or "")
        counts[key] += 1
        covered[key] += row["links"] > 0
    sectors = _order("sector", {sector for sector, _ in counts})
    reforms = _order("reform", {reform for _, reform in counts})
    most = max(counts.values(), default=1)
    rows = [
        {
            "name": class_name("sector", sector) or "未分类",
            "cells": [
                {
                    "tasks": counts[sector, reform],
                    "covered": covered[sector, reform],
                    "strength": round(0.12 + 0.75 * counts[sector, reform] / most, 2) if counts[sector, reform] else 0,
                }
                for reform in reforms
            ],
            "total": sum(counts[sector, reform] for reform in reforms),
        }
        for sector in sectors
    ]
    totals = [sum(counts[sector, reform] for sector in sectors) for reform in reforms]
    return {"columns": [class_name("reform", r) or "未分类" for r in reforms], "rows": rows, "totals": totals}


def _order(scheme: str, found: set[str]) -> list[str]:
    known = [key for key in schemes().get(scheme, {}) if key in found]
    return known + sorted(found - set(known))


def _plots(results: Results) -> dict[str, str]:
    view, ledger = results.view, results.ledger
    colours = charts.COLOURS
    cells = [
        (
            str(row["no"]),
            colours["none"] if row["status"] == "none" and row["light"] == "grey" else colours[row["light"]],
            f"{row['no']} {STATUSES[row['status']]}，{row['reason']}：{row['text'][:60]}",
        )
        for row in ledger.to_dict("records")
    ]
    lights = [(name + "灯", colours[key]) for key, name in LIGHTS.items()]
    statuses = [(name, colours[key]) for key, name in STATUSES.items()]

    def bars(dimension: str) -> list[Any]:
        return [row for row in results.statistics.to_dict("records") if row["dimension"] == dimension][:_BARS]

    by_unit = [(str(r["key"]), [float(r[f"light_{key}"]) for key in LIGHTS]) for r in bars("牵头单位")]
    by_group = [
        (sheets.dimension_key(r), [float(r[f"light_{key}"]) for key in LIGHTS]) for r in bars("工作专班")
    ]  # fmt: skip

    def sent(dimension: str) -> list[tuple[str, list[float]]]:
        rows = [r for r in results.statistics.to_dict("records") if r["dimension"] == dimension and r["links"] > 0]
        return [(str(r["key"]), [float(r["links"])]) for r in sorted(rows, key=lambda r: -r["links"])[:_BARS]]

    by_issuer, by_district = sent("报送单位"), sent("区县")
    overall = [("全部任务", [float(results.totals[f"status_{key}"]) for key in STATUSES])]
    periods, counts, reached = _months(view)
    return {
        "overall": charts.stacked_bars("任务状态", overall, statuses),
        "grid": charts.task_grid("每项任务的亮灯", cells),
        "units": charts.stacked_bars("各牵头单位任务的亮灯", by_unit, lights),
        "groups": charts.stacked_bars("各工作专班任务的亮灯", by_group, lights) if len(by_group) > 1 else "",
        "issuers": charts.stacked_bars("各报送单位的关联", by_issuer, [("关联段落", colours["blue"])])
        if by_issuer
        else "",
        "districts": charts.stacked_bars("各区县的关联", by_district, [("关联段落", colours["blue"])])
        if by_district
        else "",
        "timeline": charts.timeline("各月关联与累计覆盖的任务", periods, counts, reached, float(len(ledger))),
        "risk": charts.risk_coverage(
            "自动归档比例与预期错误率",
            [e.link.probability for e in view.counted if e.state == "model"],
            view.settings.sign_threshold,
        ),
    }


def _months(view: View) -> tuple[list[str], list[float], list[float]]:
    """Filed links a month, and the tasks that have evidence up to then; months between are there too."""
    by: dict[str, list[EffectiveLink]] = defaultdict(list)
    for effective in view.counted:
        date = view.date_of(effective.link.passage)
        if re.match(r"\d{4}-(?:0[1-9]|1[0-2])(?!\d)", date):
            by[date[:7]].append(effective)
    if not by:
        return [], [], []
    first, last = (int(name[:4]) * 12 + int(name[5:7]) - 1 for name in (min(by), max(by)))
    # More than ten years are shown by year: a wrong date must not stretch the page.
    months = [f"{m // 12:04d}-{m % 12 + 1:02d}" for m in range(first, last + 1)] if last - first < 120 else sorted(by)
    seen: set[str] = set()
    counts, reached = [], []
    for month in months:
        seen |= {effective.link.task for effective in by.get(month, ())}
        counts.append(float(len(by.get(month, ()))))
        reached.append(float(len(seen)))
    return months, counts, reached


@dataclasses.dataclass(frozen=True)
class _Example:
    """A link shown with its evidence marked in the passage."""

    probability: float
    no: int | str
    task: str
    before: str
    evidence: str
    after: str
    title: str
    issuer: str
    date: str
    page: int | None
    why: str
    url: str


def _examples(view: View, folder: Path, sure: bool) -> list[_Example]:
    """The surest or the most doubtful links that nobody has decided on yet."""
    waiting = [e for e in view.counted if e.state == "model"]
    waiting.sort(key=lambda e: -e.link.probability if sure else e.link.probability)
    return [_example(view, effective, folder) for effective in waiting[:_SHOWN]]


def _example(view: View, effective: EffectiveLink, folder: Path) -> _Example:
    link = effective.link
    passage, task, document = view.passages[link.passage], view.tasks[link.task], view.document_of(link.passage)
    start, end = link.evidence.start, link.evidence.end
    if passage.text[start:end] != link.evidence.text:  # evidence was taken from a cleaned text
        start = passage.text.find(link.evidence.text)
        start, end = (0, 0) if start < 0 else (start, start + len(link.evidence.text))
    page = view.place(passage).page
    return _Example(
        link.probability, view.numbers[task.id], task.text,
        passage.text[:start], passage.text[start:end], passage.text[end:], document.title, document.issuer,
        view.date_of(passage.id), page, link.evidence.why, _href(document.path, page, folder),
    )  # fmt: skip
