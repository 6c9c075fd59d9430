"""Frames of the inventory, a function each: cases, links, policies, projects, firms, risks, problems.

Columns have English names that do not change; the workbook shows them in Chinese.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pipeline.inventory.duplicates import THRESHOLD, find_pairs, groups
from pipeline.inventory.findings import PARTS, district, figures, firms, parts, replicability, risks
from pipeline.inventory.lexicon import cues
from pipeline.inventory.view import STATES, EffectiveLink, View, task_name
from pipeline.records import Decision, Document, Label, Link, Notice, Passage, Snapshot, Source, Task
from pipeline.settings import Settings
from pipeline.text import clean, compact

if TYPE_CHECKING:
    import pandas

CASE_COLUMNS = [
    "case", "document_id", "title", "issuer", "district", "date", "linked", "tasks", "task_ids", "probability",
    "evidence", "sector", "reform", *PARTS, "figures", "firms", "group", "group_size", "similarity", "same_as",
    "novelty", "nearest_earlier", "replicability", "replicability_words", "risk_words", "passages", "path", "page",
]  # fmt: skip


def _frame(rows: list[dict[str, Any]], columns: Sequence[str]) -> pandas.DataFrame:
    import pandas

    return pandas.DataFrame(rows, columns=list(columns))


def numbers_of(tasks: Iterable[Task]) -> str:
    """Return the numbers of tasks as they are cited.

    Example:
        >>> numbers_of([Task("n#3", 3, "甲"), Task("n#14", 14, "乙")])
        '3、14'
    """
    return "、".join(task_name(task.id) for task in tasks)


def _unique(values: Iterable[str]) -> str:
    return "、".join(dict.fromkeys(value for value in values if value))


def build_inventory(
    notice: Notice,
    links: Iterable[Link],
    decisions: Sequence[Decision] = (),
    *,
    passages: Iterable[Passage] = (),
    documents: Iterable[Document] = (),
    labels: Iterable[Label] = (),
    vectors: Any = None,
    threshold: float = THRESHOLD,
) -> pandas.DataFrame:
    """Return the inventory of cases, a row a case.

    Without passages nothing is known of documents: each linked passage stands for a case. With passages a case is a
    document of the kind "case".

    Args:
        notice: whose tasks the cases carry out.
        links: of passages to tasks, as a matcher gave them.
        decisions: persons' words on links, the oldest first; they stand over the links.
        passages: with title, issuer, date and kind of their documents.
        documents: where they say more.
        labels: of tasks (sector, reform).
        vectors: a unit vector a case in the order of the rows without it, for near-duplicates; None for none.
        threshold: least likeness of near-duplicates.

    Example:
        >>> from pipeline.records import Evidence
        >>> notice = Notice("n", "方案", "", "", "", "", (), (), (), (Task("n#1", 1, "开展试点。"),))
        >>> frame = build_inventory(notice, [Link("p", "n#1", 0.9, Evidence(0, 4, "已经落地"), "linker")])
        >>> frame[["tasks", "probability", "evidence"]].values.tolist()
        [['1', 0.9, '已经落地']]
    """
    given = tuple(passages)
    found = tuple(links)
    if not given:
        # The words of the evidence are all there is of each passage.
        texts: dict[str, str] = {}
        for link in found:
            texts.setdefault(link.passage, link.evidence.text)
        for decision in decisions:
            texts.setdefault(decision.passage, "")
        given = tuple(
            Passage(identity, identity, text, title=clean(text)[:40], kind="case") for identity, text in texts.items()
        )
    snapshot = Snapshot(notice, tuple(labels), tuple(documents), given, found, tuple(decisions))
    return cases(View(snapshot), vectors=vectors, threshold=threshold)


def cases(source: Snapshot | View, *, vectors: Any = None, threshold: float = THRESHOLD) -> pandas.DataFrame:
    """Return the inventory of cases of a snapshot, by date; see build_inventory."""
    view = View.of(source)
    found = sorted(view.of_kind("case"), key=lambda d: (d.date, d.title, d.id))
    texts = [_text_of(view, document) for document in found]
    pairs = find_pairs(texts, min(threshold, _NEAREST), vectors)
    first = groups(len(found), [pair for pair in pairs if pair.similarity >= threshold])
    likest: dict[int, tuple[float, int]] = {}
    earlier: dict[int, tuple[float, int]] = {}
    for pair in pairs:
        for one, other in ((pair.first, pair.second), (pair.second, pair.first)):
            if pair.similarity >= threshold:
                likest[one] = max(likest.get(one, (0.0, other)), (pair.similarity, other))
        earlier[pair.second] = max(earlier.get(pair.second, (0.0, pair.first)), (pair.similarity, pair.first))
    rows = []
    for index, document in enumerate(found):
        row = _case_row(view, document)
        row["group"] = found[first[index]].id
        score, other = likest.get(index, (0.0, -1))
        row |= {"similarity": score or None, "same_as": found[other].title if other >= 0 else ""}
        score, other = earlier.get(index, (0.0, -1))
        row |= {"novelty": round(1 - score, 3), "nearest_earlier": found[other].title if other >= 0 else ""}
        rows.append(row)
    sizes: dict[str, int] = defaultdict(int)
    for row in rows:
        sizes[row["group"]] += 1
    for row in rows:
        row["group_size"] = sizes[row["group"]]
    return _frame(rows, CASE_COLUMNS)


_NEAREST = 0.1
"""Least likeness that is worth naming as the nearest earlier case."""


def _text_of(view: View, document: Document) -> str:
    return "\n".join([document.title, *(passage.text for passage in view.passages_of.get(document.id, ()))])


def _case_row(view: View, document: Document) -> dict[str, Any]:
    passages = view.passages_of.get(document.id, [])
    links = view.links_of_document.get(document.id, [])
    tasks = view.tasks_of(document.id)
    best = max(links, key=lambda e: (e.link.probability, len(e.link.evidence.text)), default=None)
    text = "\n".join(passage.text for passage in passages)
    divided = parts(passages)
    spread = [hint for passage in passages for hint in replicability(passage.text, passage.id)]
    levels = list(cues("replicability"))
    level = min((hint.kind for hint in spread), key=levels.index, default="")
    danger = [hint for passage in passages for hint in risks(passage.text, passage.id)]
    place = view.place(view.passages[best.link.passage] if best else passages[0]) if passages else None
    return {
        "case": document.id,
        "document_id": document.id,
        "title": document.title,
        "issuer": document.issuer,
        "district": district_of(view, document),
        "date": document.date,
        "linked": bool(links),
        "tasks": numbers_of(tasks),
        "task_ids": "、".join(task.id for task in tasks),
        "probability": best.link.probability if best else None,
        "evidence": best.link.evidence.text if best else "",
        "sector": _unique(view.value(task.id, "sector") for task in tasks),
        "reform": _unique(view.value(task.id, "reform") for task in tasks),
        **{part: "\n".join(found for _, found in divided[part]) for part in PARTS},
        "figures": "；".join(dict.fromkeys(figure.text for figure in figures(text) if figure.kind != "count")),
        "firms": _unique(name for name, _ in firms(text)),
        "replicability": level,
        "replicability_words": "；".join(dict.fromkeys(hint.word for hint in spread)),
        "risk_words": "；".join(dict.fromkeys(f"{hint.word}（{hint.tone}）" for hint in danger)),
        "passages": len(passages),
        "path": document.path,
        "page": place.page if place else None,
    }


def district_of(view: View, document: Document) -> str:
    """Return the district of a document, in the shortest form that its neighbours use."""
    own = district(document.issuer)
    return view.districts.get(own, own)


LINK_COLUMNS = [
    "link", "passage", "task_id", "task", "task_text", "grade", "probability", "state", "counts", "status", "evidence",
    "why", "text", "heading", "document_id", "title", "issuer", "date", "kind", "page", "path", "labeller", "verdict",
    "moved_to", "reviewer", "time", "note",
]  # fmt: skip


def links_frame(source: Snapshot | View) -> pandas.DataFrame:
    """Return all links, those rejected or moved away too; counts tells which are filed."""
    view = View.of(source)
    return _frame([_link_row(view, effective) for effective in view.links], LINK_COLUMNS)


def _link_row(view: View, effective: EffectiveLink) -> dict[str, Any]:
    link, decision = effective.link, effective.decision
    passage, task = view.passages[link.passage], view.tasks[link.task]
    document = view.document_of(link.passage)
    moved = view.tasks.get(decision.moved_to) if decision and effective.state == "moved" else None
    return {
        "link": effective.id,
        "passage": link.passage,
        "task_id": task.id,
        "task": view.numbers[task.id],
        "task_text": task.text,
        "grade": link.grade,
        "probability": link.probability,
        "state": STATES[effective.state],
        "counts": effective.counts,
        "status": view.value(link.passage, "status"),
        "evidence": link.evidence.text,
        "why": link.evidence.why,
        "text": passage.text,
        "heading": " / ".join(passage.heading),
        "document_id": document.id,
        "title": document.title,
        "issuer": document.issuer,
        "date": view.date_of(link.passage),
        "kind": document.kind,
        "page": view.place(passage).page,
        "path": document.path,
        "labeller": link.labeller,
        "verdict": STATES[effective.state] if effective.state not in ("model", "received") else "",
        "moved_to": view.numbers[moved.id] if moved else None,
        "reviewer": decision.reviewer if decision else "",
        "time": decision.time if decision else "",
        "note": decision.note if decision else "",
    }


PAPER_COLUMNS = [
    "document_id", "title", "number", "issuer", "district", "date", "linked", "tasks", "task_ids", "probability",
    "status", "amounts", "summary", "path",
]  # fmt: skip


def papers(source: Snapshot | View, kind: str) -> pandas.DataFrame:
    """Return the documents of a kind ("policy" or "project") with the tasks they stand for."""
    view = View.of(source)
    rows = []
    for document in sorted(view.of_kind(kind), key=lambda d: (d.date, d.title, d.id)):
        passages = view.passages_of.get(document.id, [])
        links = view.links_of_document.get(document.id, [])
        tasks = view.tasks_of(document.id)
        text = "\n".join(passage.text for passage in passages)
        number = document.number or next(iter(cues("number")["policy"].findall(compact(document.title))), "")
        states = [view.value(link.link.passage, "status") for link in links]
        rows.append(
            {
                "document_id": document.id,
                "title": document.title,
                "number": number,
                "issuer": document.issuer,
                "district": district_of(view, document),
                "date": document.date,
                "linked": bool(links),
                "tasks": numbers_of(tasks),
                "task_ids": "、".join(task.id for task in tasks),
                "probability": max((link.link.probability for link in links), default=None),
                "status": next((s for s in ("done", "ongoing", "planned") if s in states), ""),
                "amounts": _unique(f"{f.value}{f.unit}" for f in figures(text) if f.kind == "amount"),
                "summary": clean(text)[:200],
                "path": document.path,
            }
        )
    return _frame(rows, PAPER_COLUMNS)


def policies(source: Snapshot | View) -> pandas.DataFrame:
    """Return the list of policies."""
    return papers(source, "policy")


def projects(source: Snapshot | View) -> pandas.DataFrame:
    """Return the list of projects."""
    return papers(source, "project")


FIRM_COLUMNS = ["firm", "mentions", "documents", "cases", "tasks", "titles", "first_date", "last_date", "context"]


def firm_roster(source: Snapshot | View) -> pandas.DataFrame:
    """Return the firms named in linked passages and in cases, the most named first."""
    view = View.of(source)
    linked: dict[str, list[Task]] = defaultdict(list)
    for effective in view.counted:
        linked[effective.link.passage].append(view.tasks[effective.link.task])
    found: dict[str, list[Passage]] = defaultdict(list)
    for passage in view.passages.values():
        if passage.id in linked or view.document_of(passage.id).kind == "case":
            for name, _ in firms(passage.text):
                found[name].append(passage)
    rows = []
    for name, passages in found.items():
        documents = {passage.document_id: view.documents[passage.document_id] for passage in passages}
        tasks = {task.id for passage in passages for task in linked[passage.id]}
        dates = sorted(document.date for document in documents.values() if document.date)
        rows.append(
            {
                "firm": name,
                "mentions": len(passages),
                "documents": len(documents),
                "cases": sum(document.kind == "case" for document in documents.values()),
                "tasks": numbers_of(task for identity, task in view.tasks.items() if identity in tasks),
                "titles": "；".join(document.title for document in documents.values()),
                "first_date": dates[0] if dates else "",
                "last_date": dates[-1] if dates else "",
                "context": _around(passages[0].text, name),
            }
        )
    return _frame(sorted(rows, key=lambda r: (-r["documents"], -r["mentions"], r["firm"])), FIRM_COLUMNS)


def _around(text: str, name: str) -> str:
    text = clean(text)
    at = max(0, text.find(name))
    return ("…" if at > 30 else "") + text[max(0, at - 30) : at + len(name) + 50]


RISK_COLUMNS = [
    "field", "word", "tone", "sentence", "tasks", "document_id", "title", "issuer", "date", "page", "passage", "path"
]  # fmt: skip


def risk_list(source: Snapshot | View) -> pandas.DataFrame:
    """Return the sentences of linked passages that speak of risk, those to be watched first, then the latest."""
    view = View.of(source)
    linked: dict[str, list[Task]] = defaultdict(list)
    for effective in view.counted:
        linked[effective.link.passage].append(view.tasks[effective.link.task])
    rows: list[dict[str, Any]] = []
    for identity, tasks in linked.items():
        passage, document = view.passages[identity], view.document_of(identity)
        for hint in risks(passage.text, identity):
            rows.append(
                {
                    "field": hint.kind, "word": hint.word, "tone": hint.tone, "sentence": hint.sentence,
                    "tasks": numbers_of(tasks), "document_id": document.id, "title": document.title,
                    "issuer": document.issuer, "date": view.date_of(identity), "page": view.place(passage).page,
                    "passage": identity, "path": document.path,
                }
            )  # fmt: skip
    rank = {"需关注": 0, "已有应对": 1, "未发生": 2}
    rows.sort(key=lambda row: row["date"], reverse=True)
    rows.sort(key=lambda row: (list(cues("risk")).index(row["field"]), rank[row["tone"]]))
    return _frame(rows, RISK_COLUMNS)


FACT_COLUMNS = ["kind", "text", "time", "tasks", "page"]
FACT_KINDS = {"goal": "目标", "area": "区域", "citation": "引用文件", "count": "文中数目"}


def fact_rows(notice: Notice) -> list[dict[str, Any]]:
    """Return what a notice says of itself: goals with their time, areas with their tasks, citations, stated numbers.

    Example:
        >>> from pipeline.records import Goal
        >>> goal = Goal("建成10个园区", "到2025年底", "2025-12-31", ("10个",))
        >>> fact_rows(Notice("n", "方案", "", "", "", "", (), (), (), (), goals=(goal,)))
        [{'kind': 'goal', 'text': '建成10个园区', 'time': '到2025年底（2025-12-31）', 'tasks': '', 'page': None}]
    """
    rows: list[dict[str, Any]] = []

    def add(kind: str, text: str, source: Source | None, time: str = "", tasks: str = "") -> None:
        page = source.page if source else None
        rows.append({"kind": kind, "text": text, "time": time, "tasks": tasks, "page": page})

    for goal in notice.goals:
        add("goal", goal.text, goal.source, goal.horizon + (f"（{goal.deadline}）" if goal.deadline else ""))
    for area in notice.areas:
        text = f"{area.name}：{area.aim}" if area.aim else area.name
        add("area", text, area.source, tasks="、".join(map(str, area.tasks)))
    for cited in notice.citations:
        add("citation", (f"《{cited.title}》" if cited.title else "") + cited.number, cited.source)
    for count in notice.stated_counts:
        add("count", count.text + (f"（实际读到{count.found}）" if count.found is not None else ""), count.source)
    return rows


def facts_frame(source: Snapshot | View) -> pandas.DataFrame:
    """Return the rows of fact_rows for the notice of a snapshot."""
    return _frame(fact_rows(View.of(source).snapshot.notice), FACT_COLUMNS)


PROBLEM_COLUMNS = ["kind", "file", "page", "row", "message"]
PROBLEM_KINDS = {"read": "无法读取", "table": "表格存疑", "count": "数目不符", "note": "提示"}


def problems_frame(source: Snapshot | View) -> pandas.DataFrame:
    """Return what could not be read, does not add up, or was decided of passages that are gone."""
    view = View.of(source)
    rows = [dataclasses.asdict(problem) for problem in view.snapshot.problems]
    for stated in view.snapshot.notice.stated_counts:
        told = any(stated.text and stated.text in row["message"] for row in rows)
        if stated.found is not None and stated.found != stated.stated and not told:
            message = f"公文称{stated.what} {stated.stated}，实际读到 {stated.found}：“{stated.text}”。请核对。"
            rows.append({"kind": "count", "file": view.snapshot.notice.path, "message": message})
    last = {(d.passage, d.task): d for d in view.snapshot.decisions}
    for decision in last.values():
        lost = [] if decision.passage in view.passages else ["所在材料已不在或已改动"]
        wrong = decision.task if decision.task not in view.tasks else decision.moved_to
        if wrong and wrong not in view.tasks:
            lost.append(f"公文中没有任务 {wrong.rpartition('#')[2]}")
        if lost:
            who = f"{decision.reviewer or '有人'} {decision.time[:10]}"
            message = (
                f"{who} 对任务 {decision.task.rpartition('#')[2]} 的审核意见暂不生效（{'，'.join(lost)}），意见仍保留。"
            )
            rows.append({"kind": "note", "message": message})
    undated = [d.title or d.path for d in view.documents.values() if not d.date and d.id in view.links_of_document]
    if undated:
        names = "、".join(undated[:5]) + ("等" if len(undated) > 5 else "")
        message = f"{len(undated)} 份材料没有日期，不参与时间和亮灯的计算：{names}。"
        rows.append({"kind": "note", "message": message})
    return _frame(rows, PROBLEM_COLUMNS)


def settings_rows(view: View) -> list[tuple[str, str]]:
    """Return the settings of the run; those of this package where the snapshot names none."""
    if view.snapshot.settings:
        return list(view.snapshot.settings)
    return [(f.name, str(getattr(view.settings, f.name))) for f in dataclasses.fields(Settings)]
