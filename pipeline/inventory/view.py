"""One look at a snapshot: what persons decided laid over what the machine said, and everything found by id.

All frames, totals and files are made from a View, so that they cannot disagree.
"""

from __future__ import annotations

import dataclasses
import functools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pipeline.inventory.findings import district, guess_kind
from pipeline.records import Decision, Document, Evidence, Label, Link, Passage, Snapshot, Source, Task, content_id
from pipeline.settings import Settings
from pipeline.units import NoticeUnits

STATES = {
    "model": "待审核",
    "accepted": "同意",
    "rejected": "不同意",
    "moved": "改挂",
    "received": "改挂而来",
    "unsure": "存疑",
}
"""What became of a link, with the words shown."""


@dataclass(frozen=True)
class EffectiveLink:
    """A link as it stands after all decisions.

    state is a key of STATES; counts tells whether the passage is filed under the task.
    """

    link: Link
    state: str = "model"
    decision: Decision | None = None

    @property
    def counts(self) -> bool:
        """True where the link is filed: of grade 2 and neither rejected nor moved away."""
        return self.link.grade == 2 and self.state not in ("rejected", "moved")

    @property
    def id(self) -> str:
        """A short id for workbooks; the letter keeps spreadsheets from taking it for a number."""
        return link_id(self.link.passage, self.link.task)


def task_name(task_id: str) -> str:
    """Return what a task is called by: its number, with a suffix where the numbers of a notice begin anew.

    Example:
        >>> task_name("某发〔2022〕1号#12"), task_name("某发〔2022〕1号#12-2")
        ('12', '12-2')
    """
    return task_id.rpartition("#")[2]


def shown_numbers(tasks: Sequence[Task]) -> dict[str, int | str]:
    """Return what stands in a column of task numbers, by id: the numbers, or the names where a number repeats.

    Example:
        >>> shown_numbers([Task("n#1", 1, "甲"), Task("n#1-2", 1, "乙")])
        {'n#1': '1', 'n#1-2': '1-2'}
    """
    if len({task.no for task in tasks}) == len(tasks):
        return {task.id: task.no for task in tasks}
    return {task.id: task_name(task.id) for task in tasks}


def link_id(passage: str, task: str) -> str:
    """Return the id of a link in a workbook.

    Example:
        >>> link_id("p", "n#1")[0], len(link_id("p", "n#1"))
        ('L', 13)
    """
    return "L" + content_id(passage, task)


def overlay(
    links: Iterable[Link], decisions: Sequence[Decision], texts: dict[str, str] | None = None
) -> list[EffectiveLink]:
    """Lay decisions over links; the last decision on a link holds.

    A rejected link is kept but does not count; a moved one counts under the other task; an accepted one counts with
    probability 1 by the reviewer; one that no model gave is added where a person accepts it.

    Args:
        links: what the machine said; of two on the same passage and task the more probable holds.
        decisions: the oldest first.
        texts: passages by id, for the evidence of links that only a person gave; None where they are not known.

    Example:
        >>> link = Link("p", "n#1", 0.6, Evidence(0, 1, "甲"), "linker")
        >>> moved = Decision("p", "n#1", "moved", "王某", "2024-06-01T09:00:00+08:00", "n#2")
        >>> [(e.link.task, e.state, e.counts) for e in overlay([link], [moved])]
        [('n#1', 'moved', False), ('n#2', 'received', True)]
    """
    found: dict[tuple[str, str], EffectiveLink] = {}
    for link in links:
        key = (link.passage, link.task)
        before = found.get(key)
        if before is None or (link.grade, link.probability) > (before.link.grade, before.link.probability):
            found[key] = EffectiveLink(link)
    last = {(decision.passage, decision.task): i for i, decision in enumerate(decisions)}
    for key, index in sorted(last.items(), key=lambda item: item[1]):
        decision = decisions[index]
        if texts is not None and decision.passage not in texts:
            continue
        target = (decision.passage, decision.moved_to) if decision.verdict == "moved" else key
        old = found.get(key)
        evidence = old.link.evidence if old else _whole((texts or {}).get(decision.passage, ""))
        sure = Link(decision.passage, target[1], 1.0, evidence, decision.reviewer or "人工")
        if decision.verdict == "accepted":
            found[key] = EffectiveLink(sure, "accepted", decision)
        elif decision.verdict == "moved" and decision.moved_to and target != key:
            if old:
                found[key] = EffectiveLink(old.link, "moved", decision)
            # What is said of the target itself after the move stands over it; what was said before does not.
            if last.get(target, -1) < index:
                found[target] = EffectiveLink(sure, "received", decision)
        elif old or _given_before(decisions[:index], key):
            state = "rejected" if decision.verdict == "rejected" else "unsure"
            found[key] = EffectiveLink(old.link if old else sure, state, decision)
    return list(found.values())


def _given_before(decisions: Sequence[Decision], key: tuple[str, str]) -> bool:
    """Tell whether a person had given a link before: by accepting it or by moving another one to it."""
    return any(
        decision.passage == key[0]
        and (decision.moved_to == key[1] or (decision.task == key[1] and decision.verdict == "accepted"))
        for decision in decisions
    )


def _whole(text: str) -> Evidence:
    return Evidence(0, len(text), text, "人工指定")


@dataclass(frozen=True)
class Part(Snapshot):
    """A snapshot cut down to a time or a unit, with the whole, by which alone a task can be judged.

    scope says in Chinese what was kept.
    """

    whole: Snapshot | None = None
    scope: str = ""


@dataclass(frozen=True)
class View:
    """A snapshot with its indexes; make it once and hand it to every function of this package."""

    snapshot: Snapshot
    settings: Settings = field(default_factory=Settings)

    @staticmethod
    def of(source: Snapshot | View, settings: Settings | None = None) -> View:
        """Return a view of a snapshot, or the view itself."""
        if isinstance(source, View):
            return source
        return View(source, settings or Settings())

    @functools.cached_property
    def tasks(self) -> dict[str, Task]:
        """Tasks by id, in the order of the notice."""
        return {task.id: task for task in self.snapshot.notice.tasks}

    @functools.cached_property
    def named(self) -> dict[str, Task]:
        """Tasks by name; see task_name."""
        return {task_name(identity): task for identity, task in self.tasks.items()}

    @functools.cached_property
    def numbers(self) -> dict[str, int | str]:
        """What stands in a column of task numbers, by id."""
        return shown_numbers(tuple(self.tasks.values()))

    @functools.cached_property
    def whole(self) -> View:
        """The view of all there is where this one is of a part; else itself."""
        whole = self.snapshot.whole if isinstance(self.snapshot, Part) else None
        return View(whole, self.settings) if whole else self

    @property
    def scope(self) -> str:
        """What a part is of, to be shown wherever its figures are; "" for the whole."""
        return f"（仅含{self.snapshot.scope}）" if isinstance(self.snapshot, Part) and self.snapshot.scope else ""

    @functools.cached_property
    def units(self) -> NoticeUnits:
        """The units that lead or cooperate, each under one name."""
        return NoticeUnits(self.snapshot.notice, self.settings.unit_lexicon)

    @functools.cached_property
    def passages(self) -> dict[str, Passage]:
        """Passages by id, in reading order."""
        return {passage.id: passage for passage in self.snapshot.passages}

    @functools.cached_property
    def passages_of(self) -> dict[str, list[Passage]]:
        """Passages of each document, in reading order."""
        found: dict[str, list[Passage]] = defaultdict(list)
        for passage in self.snapshot.passages:
            found[passage.document_id].append(passage)
        return dict(found)

    @functools.cached_property
    def documents(self) -> dict[str, Document]:
        """Documents by id; those that only their passages name are made from what the passages say of them."""
        found = {document.id: document for document in self.snapshot.documents}
        for passage in self.snapshot.passages:
            if passage.document_id not in found:
                found[passage.document_id] = Document(
                    passage.document_id, "", "", (), title=passage.title, issuer=passage.issuer, date=passage.date,
                    kind=passage.kind,
                )  # fmt: skip
        for identity, document in found.items():
            if not document.kind:
                headings = {h for passage in self.passages_of.get(identity, ()) for h in passage.heading}
                found[identity] = dataclasses.replace(
                    document, kind=guess_kind(document.title, document.number, headings)
                )
        return found

    @functools.cached_property
    def links(self) -> list[EffectiveLink]:
        """All links as they stand, in reading order and by task; those to unknown tasks or passages are left out."""
        texts = {identity: passage.text for identity, passage in self.passages.items()}
        order = {identity: i for i, identity in enumerate(self.passages)}
        number = {identity: i for i, identity in enumerate(self.tasks)}
        known = [
            link
            for link in overlay(self.snapshot.links, self.snapshot.decisions, texts)
            if link.link.task in number and link.link.passage in order
        ]
        return sorted(known, key=lambda e: (order[e.link.passage], number[e.link.task]))

    @functools.cached_property
    def counted(self) -> list[EffectiveLink]:
        """The links that are filed."""
        return [link for link in self.links if link.counts]

    @functools.cached_property
    def related_count(self) -> dict[str, int]:
        """Number of links of each task that are near to it, but filed elsewhere."""
        found: dict[str, int] = defaultdict(int)
        for link in self.links:
            if link.link.grade == 1 and link.state not in ("rejected", "moved"):
                found[link.link.task] += 1
        return dict(found)

    @functools.cached_property
    def links_of_task(self) -> dict[str, list[EffectiveLink]]:
        """Filed links of each task."""
        found: dict[str, list[EffectiveLink]] = {identity: [] for identity in self.tasks}
        for link in self.counted:
            found[link.link.task].append(link)
        return found

    @functools.cached_property
    def links_of_document(self) -> dict[str, list[EffectiveLink]]:
        """Filed links of each document."""
        found: dict[str, list[EffectiveLink]] = defaultdict(list)
        for link in self.counted:
            found[self.passages[link.link.passage].document_id].append(link)
        return dict(found)

    @functools.cached_property
    def labels(self) -> dict[tuple[str, str], Label]:
        """The label that holds for each (target, scheme): the last one, which is a person's where there is one."""
        return {(label.target, label.scheme): label for label in self.snapshot.labels}

    def value(self, target: str, scheme: str) -> str:
        """The class of a target, "" where it has none."""
        label = self.labels.get((target, scheme))
        return label.value if label else ""

    def document_of(self, passage: str) -> Document:
        """The document a passage stands in."""
        return self.documents[self.passages[passage].document_id]

    def date_of(self, passage: str) -> str:
        """ISO date of what a passage says: its own, or its document's."""
        return self.passages[passage].date or self.document_of(passage).date

    def tasks_of(self, document: str) -> list[Task]:
        """Tasks that a document is evidence for, in the order of the notice."""
        linked = {link.link.task for link in self.links_of_document.get(document, ())}
        return [task for identity, task in self.tasks.items() if identity in linked]

    @functools.cached_property
    def districts(self) -> dict[str, str]:
        """For each district named by an issuer, the shortest form that any issuer uses: 某市某新区 is 某新区."""
        names = {district(document.issuer) for document in self.documents.values()} - {""}
        return {name: min((other for other in names if name.endswith(other)), key=len) for name in names}

    def of_kind(self, kind: str) -> list[Document]:
        """Documents of a kind, in the order of the snapshot."""
        return [document for document in self.documents.values() if document.kind == kind]

    def place(self, passage: Passage) -> Source:
        """Where a passage stands."""
        return passage.source or Source(passage.document_id)
