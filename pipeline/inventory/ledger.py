"""The ledger of tasks: status from evidence over time, lights, history, and the totals that every output shows."""

from __future__ import annotations

import datetime
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from pipeline.extraction.notice_aims import deadlines
from pipeline.inventory.frames import (
    _frame,
    cases,
    district_of,
    firm_roster,
    policies,
    problems_frame,
    projects,
    risk_list,
)
from pipeline.inventory.view import EffectiveLink, View
from pipeline.records import Snapshot, Task
from pipeline.settings import Settings
from pipeline.text import compact, normalise

if TYPE_CHECKING:
    import pandas

STATUSES = {"done": "已完成", "ongoing": "推进中", "planned": "拟推进", "unstated": "有材料未述进展", "none": "无材料"}
LIGHTS = {"green": "绿", "amber": "黄", "red": "红", "grey": "灰"}

LEDGER_COLUMNS = [
    "task_id", "no", "part", "section", "text", "lead_units", "coop_units", "deadline", "sector", "reform", "group",
    "stri", "status", "carried_out", "light", "reason", "latest_date", "latest_status", "latest", "latest_title",
    "latest_issuer", "latest_document", "latest_passage", "latest_page", "latest_path", "documents", "links", "related",
    "cases", "policies", "projects", "firms", "history",
]  # fmt: skip


def task_status(evidence: Iterable[tuple[str, str, str]]) -> str:
    """Return the status of a task from what documents report of it.

    The latest word holds, but work under way is not undone by a plan announced later, and what two documents have
    reported as done stays done when a third tells of what is still going on.

    Args:
        evidence: (ISO date, document id, status) of each passage; status is done, ongoing, planned or none.

    Example:
        >>> task_status([("2022-05-01", "a", "done"), ("2023-01-01", "b", "ongoing")])
        'ongoing'
        >>> task_status([("2022-05-01", "a", "ongoing"), ("2023-01-01", "b", "planned")])
        'ongoing'
        >>> task_status([]), task_status([("2022-05-01", "a", "none")])
        ('none', 'unstated')
    """
    told = list(evidence)
    spoken = [item for item in told if item[2] in ("done", "ongoing", "planned")]
    if not spoken:
        return "unstated" if told else "none"
    latest = max(date for date, _, _ in spoken)
    last = {status for date, _, status in spoken if date == latest}
    # Of what is said on one day the furthest holds: a report tells of the next steps of what is done.
    status = next(s for s in ("done", "ongoing", "planned") if s in last)
    if len({document for _, document, status in spoken if status == "done"}) >= 2:
        return "done"
    if status == "planned" and any(s in ("done", "ongoing") for _, _, s in spoken):
        return "ongoing"
    return status


def months_between(earlier: str, later: str) -> float | None:
    """Return the months between two ISO dates, None where one is missing.

    Example:
        >>> months_between("2023-01-15", "2024-01-15")
        12.0
    """
    try:
        first, second = datetime.date.fromisoformat(earlier), datetime.date.fromisoformat(later)
    except ValueError:
        return None
    return (second.year - first.year) * 12 + second.month - first.month + (second.day - first.day) / 31


def light(
    status: str, latest: str, deadline: str, today: str, settings: Settings, started: str = ""
) -> tuple[str, str]:
    """Return the light of a task and the reason for it.

    Args:
        status: a key of STATUSES.
        latest: ISO date of the latest evidence.
        deadline: ISO date, "" for none.
        today: ISO date of the run.
        settings: amber_months and red_months apply.
        started: ISO date of the notice, from which silence is counted where there is no evidence.

    Example:
        >>> light("ongoing", "2023-01-01", "", "2024-06-01", Settings())
        ('red', '超过 12 个月没有新材料（最近 2023-01-01）')
    """
    if status == "done":
        return "green", "材料显示已完成"
    if deadline and today and deadline < today:
        return "red", f"已过完成时限 {deadline}，未见完成"
    silent = months_between(latest or started, today)
    if status == "none":
        if silent is not None and silent > settings.red_months:
            return "red", f"印发已超过 {settings.red_months} 个月，没有任何材料"
        return "grey", "尚无材料"
    if not latest:
        return "grey", "材料没有日期，无法判断"
    if silent is None:
        return "grey", "没有运行日期，无法判断"
    if silent > settings.red_months:
        return "red", f"超过 {settings.red_months} 个月没有新材料（最近 {latest}）"
    if silent > settings.amber_months:
        return "amber", f"超过 {settings.amber_months} 个月没有新材料（最近 {latest}）"
    if status == "planned":
        return "amber", "只有计划，未见启动"
    if status == "unstated":
        return "amber", "有材料，但未述进展"
    return "green", f"正在推进（最近 {latest}）"


_WITH_MARKS = re.compile(r"(?<!\d)(20\d\d)([-./])(\d{1,2})(?:\2(\d{1,2}))?(?!\d)")  # 2023-12, 2023.6, 2023/7/15
_FIRST_MONTH = re.compile(r"年\d{1,2}月?[-~—–～至到、](?=\d{1,2}月)")  # of 2023年9月—12月 the later holds


def _deadline(task: Task) -> str:
    """The last day of the last time that a deadline names: 2023年12月 is not missed before it is over."""
    text = _WITH_MARKS.sub(
        lambda found: f"{found[1]}年{found[3]}月" + (f"{found[4]}日" if found[4] else ""), normalise(task.deadline)
    )
    return next(reversed(deadlines(_FIRST_MONTH.sub("年", compact(text)))), "")


def build_ledger(source: Snapshot | View, settings: Settings | None = None) -> pandas.DataFrame:
    """Return the ledger, a row a task in the order of the notice.

    Args:
        source: a snapshot, or a view of one.
        settings: months of the lights; those of the view where None.
    """
    view = View.of(source, settings)
    return _frame([_ledger_row(view, task) for task in view.tasks.values()], LEDGER_COLUMNS)


def _evidence(view: View, links: list[EffectiveLink]) -> list[tuple[str, str, str]]:
    return [
        (view.date_of(e.link.passage), view.passages[e.link.passage].document_id, view.value(e.link.passage, "status"))
        for e in links
    ]


def _ledger_row(view: View, task: Task) -> dict[str, Any]:
    from pipeline.inventory.findings import firms

    links = sorted(
        view.links_of_task[task.id], key=lambda e: (view.date_of(e.link.passage), e.link.probability), reverse=True
    )
    # Only all that is known can judge a task: a part would show as silent what was done before it.
    told = _evidence(view.whole, view.whole.links_of_task[task.id])
    status = task_status(told)
    newest = next((e for e in links if view.value(e.link.passage, "status") in ("done", "ongoing", "planned")), None)
    newest = newest or (links[0] if links else None)
    documents = {view.passages[e.link.passage].document_id for e in links}
    kinds = Counter(view.documents[identity].kind for identity in documents)
    latest = max((date for date, _, _ in told), default="")
    colour, reason = light(
        status, latest, _deadline(task), view.snapshot.date, view.settings, view.snapshot.notice.date
    )
    row: dict[str, Any] = {
        "task_id": task.id, "no": view.numbers[task.id], "part": task.part, "section": task.section, "text": task.text,
        "lead_units": "、".join(task.lead_units), "coop_units": "、".join(task.coop_units), "deadline": task.deadline,
        **{scheme: view.value(task.id, scheme) for scheme in ("sector", "reform", "group", "stri")},
        "status": status, "carried_out": any(s == "done" for _, _, s in told), "light": colour, "reason": reason,
        "documents": len(documents), "links": len(links),
        "related": view.related_count.get(task.id, 0),
        "cases": kinds["case"], "policies": kinds["policy"], "projects": kinds["project"],
        "firms": "、".join(dict.fromkeys(n for e in links for n, _ in firms(view.passages[e.link.passage].text))),
        "history": _history(view, links),
    }  # fmt: skip
    if newest:
        passage, document = view.passages[newest.link.passage], view.document_of(newest.link.passage)
        row |= {
            "latest_date": view.date_of(passage.id), "latest_status": view.value(passage.id, "status"),
            "latest": newest.link.evidence.text or passage.text, "latest_title": document.title,
            "latest_issuer": document.issuer, "latest_document": document.id, "latest_passage": passage.id,
            "latest_page": view.place(passage).page, "latest_path": document.path,
        }  # fmt: skip
    return row


def _history(view: View, links: list[EffectiveLink]) -> str:
    """A line a document that reports on a task, the oldest first."""
    lines: dict[tuple[str, str], list[str]] = defaultdict(list)
    for effective in links:
        document = view.document_of(effective.link.passage)
        key = (view.date_of(effective.link.passage), document.title)
        lines[key].append(view.value(effective.link.passage, "status"))
    shown = []
    for (date, title), statuses in sorted(lines.items()):
        best = next((s for s in ("done", "ongoing", "planned") if s in statuses), "")
        shown.append(f"{date or '日期不详'} {STATUSES.get(best, '未述进展')}：{title}")
    return "\n".join(shown)


def history(source: Snapshot | View) -> pandas.DataFrame:
    """Return the evidence of each task over time, a row a filed link, by task and date."""
    view = View.of(source)
    rows = [
        {
            "task_id": e.link.task, "no": view.numbers[e.link.task], "date": view.date_of(e.link.passage),
            "status": view.value(e.link.passage, "status"), "probability": e.link.probability,
            "evidence": e.link.evidence.text, "title": view.document_of(e.link.passage).title,
            "issuer": view.document_of(e.link.passage).issuer, "passage": e.link.passage,
        }
        for e in view.counted
    ]  # fmt: skip
    columns = ["task_id", "no", "date", "status", "probability", "evidence", "title", "issuer", "passage"]
    order = {identity: i for i, identity in enumerate(view.tasks)}
    return _frame(sorted(rows, key=lambda row: (order[row["task_id"]], row["date"], row["passage"])), columns)


class Results:
    """All frames and totals of one view, each made once; every file is written from these.

    Args:
        source: a snapshot, or a view of one.
        settings: months of the lights.
        vectors: see cases.
    """

    def __init__(self, source: Snapshot | View, settings: Settings | None = None, vectors: Any = None) -> None:
        from pipeline.inventory.frames import links_frame

        self.view = View.of(source, settings)
        self.cases = cases(self.view, vectors=vectors)
        self.ledger = build_ledger(self.view)
        self.links = links_frame(self.view)
        self.policies = policies(self.view)
        self.projects = projects(self.view)
        self.firms = firm_roster(self.view)
        self.risks = risk_list(self.view)
        self.problems = problems_frame(self.view)
        self.totals = self._totals()
        self.statistics = self._statistics()

    def _totals(self) -> dict[str, int]:
        view, ledger, found = self.view, self.ledger, self.cases
        linked = found[found["linked"].astype(bool)] if len(found) else found
        states = Counter(e.state for e in view.links)
        goal = next((s.stated for s in view.snapshot.notice.stated_counts if "案例" in s.what), 0)
        return {
            "tasks": len(ledger),
            "carried_out": int(ledger["carried_out"].astype(bool).sum()),
            "with_evidence": int((ledger["links"] > 0).sum()),
            "without_evidence": int((ledger["links"] == 0).sum()),
            **{f"status_{key}": int((ledger["status"] == key).sum()) for key in STATUSES},
            **{f"light_{key}": int((ledger["light"] == key).sum()) for key in LIGHTS},
            "documents": len(view.documents),
            "linked_documents": len(view.links_of_document),
            "passages": len(view.passages),
            "linked_passages": len({e.link.passage for e in view.counted}),
            "links": len(view.counted),
            "related_links": sum(view.related_count.values()),
            "sure_links": sum(
                e.state == "model" and e.link.probability >= view.settings.sign_threshold for e in view.counted
            ),
            **{f"links_{key}": states[key] for key in ("accepted", "rejected", "moved", "unsure")},
            "cases": len(linked),
            "distinct_cases": int(linked["group"].nunique()) if len(linked) else 0,
            "unlinked_cases": len(found) - len(linked),
            "case_goal": goal,
            "policies": len(self.policies),
            "linked_policies": int(self.policies["linked"].astype(bool).sum()),
            "projects": len(self.projects),
            "linked_projects": int(self.projects["linked"].astype(bool).sum()),
            "firms": len(self.firms),
            "risks": len(self.risks),
            "open_risks": int((self.risks["tone"] == "需关注").sum()),
            "problems": len(self.problems),
            "unread": int((self.problems["kind"] == "read").sum()),
        }

    def _statistics(self) -> pandas.DataFrame:
        """Counts and lights by office, group, sector, reform, part; documents by issuer and district."""
        view = self.view
        rows: list[dict[str, Any]] = []

        def offices(names: Iterable[str]) -> list[str]:
            return list(dict.fromkeys(view.units.shown(name) for name in names))

        by: list[tuple[str, Callable[[Any], list[str]]]] = [
            ("牵头单位", lambda row: offices(view.tasks[row.task_id].lead_units) or ["（未列）"]),
            ("配合单位", lambda row: offices(view.tasks[row.task_id].coop_units)),
            ("工作专班", lambda row: [row.group or "（未分类）"]),
            ("领域", lambda row: [row.sector or "（未分类）"]),
            ("改革类型", lambda row: [row.reform or "（未分类）"]),
            ("部分", lambda row: [row.part or "（未列）"]),
        ]
        for dimension, keys in by:
            groups: dict[str, list[Any]] = defaultdict(list)
            for row in self.ledger.itertuples():
                for key in keys(row):
                    groups[key].append(row)
            for key, members in groups.items():
                rows.append(
                    {
                        "dimension": dimension, "key": key, "tasks": len(members),
                        "carried_out": sum(bool(row.carried_out) for row in members),
                        "with_evidence": sum(row.links > 0 for row in members),
                        "links": sum(row.links for row in members),
                        **{f"light_{colour}": sum(row.light == colour for row in members) for colour in LIGHTS},
                        **{f"status_{s}": sum(row.status == s for row in members) for s in STATUSES},
                    }
                )  # fmt: skip
        for dimension, name in (("报送单位", "issuer"), ("区县", "district")):
            sent: dict[str, list[str]] = defaultdict(list)
            for document in view.documents.values():
                key = document.issuer if name == "issuer" else district_of(view, document)
                if key or name == "issuer":
                    sent[key or "（不详）"].append(document.id)
            for key, identities in sent.items():
                links = [e for identity in identities for e in view.links_of_document.get(identity, ())]
                rows.append(
                    {
                        "dimension": dimension, "key": key, "documents": len(identities), "links": len(links),
                        "tasks": len({e.link.task for e in links}),
                        "cases": sum(view.documents[identity].kind == "case" for identity in identities),
                    }
                )  # fmt: skip
        columns = [
            "dimension", "key", "tasks", "carried_out", "with_evidence", "documents", "cases", "links",
            *(f"light_{colour}" for colour in LIGHTS), *(f"status_{status}" for status in STATUSES),
        ]  # fmt: skip
        order = [name for name, _ in by] + ["报送单位", "区县"]
        rows.sort(key=lambda row: (order.index(row["dimension"]), -row["tasks"], row["key"]))
        return _frame(rows, columns)


def totals(source: Snapshot | View | Results, settings: Settings | None = None) -> dict[str, int]:
    """Return every total that the outputs show, by name; the one place where they are counted.

    Example:
        >>> from pipeline.records import Notice
        >>> totals(Snapshot(Notice("n", "方案", "", "", "", "", (), (), (), (Task("n#1", 1, "试点。"),))))["tasks"]
        1
    """
    return dict(source.totals if isinstance(source, Results) else Results(source, settings).totals)
