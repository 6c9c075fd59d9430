"""What the review page shows: the store as it stands now, with what is found by link, passage and task."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from pipeline.inventory.ledger import STATUSES, build_ledger
from pipeline.inventory.view import STATES, EffectiveLink, View, link_id, task_name
from pipeline.records import Decision, Label, Passage, Task
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.text import clean
from pipeline.units import lexicon_with

Pieces = list[tuple[str, bool]]

VERDICTS = {"accepted": "同意", "rejected": "不同意", "moved": "改挂", "unsure": "存疑"}
PASSAGE_STATUSES = {key: STATUSES[key] for key in ("done", "ongoing", "planned")} | {"none": "未述进展"}
QUEUES = {
    "waiting": "待审核（全部）",
    "doubtful": "待审核：把握小",
    "sure": "待审核：把握大",
    "unsure": "存疑待定",
    "decided": "已审核",
    "related": "相关未归档",
    "all": "全部",
}
_CANDIDATES = 7


def marked(text: str, spans: Sequence[tuple[int, int]]) -> Pieces:
    """Cut a text into pieces, each with whether it is to be marked; spans may overlap or lie outside.

    Example:
        >>> marked("甲乙丙", [(1, 2)])
        [('甲', False), ('乙', True), ('丙', False)]
    """
    inside = [any(start <= i < end for start, end in spans) for i in range(len(text))]
    edges = [0, *(i for i in range(1, len(text)) if inside[i] != inside[i - 1]), len(text)]
    return [(text[a:b], inside[a]) for a, b in itertools.pairwise(edges) if a < b]


def _find(text: str, part: str) -> list[tuple[int, int]]:
    """Where a part stands in a text, whatever spaces and line ends are in either."""
    letters = [re.escape(character) for character in part if not character.isspace()]
    found = re.search(r"\s*".join(letters), text) if letters else None
    return [found.span()] if found else []


@dataclasses.dataclass
class Board:
    """One state of the store; a new one is made when something was decided or read."""

    view: View
    similar: Callable[[Sequence[str]], list[list[Task]]]

    @functools.cached_property
    def links(self) -> dict[str, EffectiveLink]:
        """All links by their short id."""
        return {effective.id: effective for effective in self.view.links}

    @functools.cached_property
    def links_of(self) -> dict[str, list[EffectiveLink]]:
        """Links of each passage."""
        found: dict[str, list[EffectiveLink]] = defaultdict(list)
        for effective in self.view.links:
            found[effective.link.passage].append(effective)
        return dict(found)

    @functools.cached_property
    def said(self) -> dict[str, list[Decision]]:
        """Decisions on each passage, the oldest first."""
        found: dict[str, list[Decision]] = defaultdict(list)
        for decision in self.view.snapshot.decisions:
            found[decision.passage].append(decision)
        return dict(found)

    @functools.cached_property
    def units(self) -> list[str]:
        """All units that lead or cooperate, each once as it is mostly written, in the order of the notice."""
        return list(dict.fromkeys(map(self.view.units.shown, self.view.units.spellings)))

    @functools.cached_property
    def ledger(self) -> dict[str, dict[str, Any]]:
        """Rows of the ledger by task."""
        return {
            row["task_id"]: {str(k): v for k, v in row.items()} for row in build_ledger(self.view).to_dict("records")
        }

    def stamp(self, passage: str, task: str = "") -> str:
        """Return a mark that changes when anybody decides on a link, or on any link of a passage."""
        about = [d for d in self.said.get(passage, ()) if not task or task in (d.task, d.moved_to)]
        return str(len(about))

    def in_queue(self, effective: EffectiveLink, queue: str) -> bool:
        """Return whether a link stands in a queue, a key of QUEUES."""
        waits = effective.state == "model" and effective.link.grade == 2
        sure = effective.link.probability >= self.view.settings.sign_threshold
        return {
            "waiting": waits,
            "doubtful": waits and not sure,
            "sure": waits and sure,
            "unsure": effective.state == "unsure",
            "decided": effective.state not in ("model", "unsure"),
            "related": effective.state == "model" and effective.link.grade == 1,
        }.get(queue, True)

    def queue(self, filters: dict[str, str]) -> list[EffectiveLink]:
        """Return the links that pass the filters, the doubtful first; what was decided follows, the newest first.

        Args:
            filters: queue (a key of QUEUES), task (name), unit (any name or a part of one), doc (id), low and high
                (probabilities); "" for any.
        """
        low, high = _number(filters["low"], 0.0), _number(filters["high"], 1.0)
        named = self.view.units.named(filters["unit"])
        tasks = {
            task.id
            for task in self.view.tasks.values()
            if (not filters["task"] or task_name(task.id) == filters["task"])
            and (not filters["unit"] or named.intersection((*task.lead_units, *task.coop_units)))
        }
        found = [
            e
            for e in self.view.links
            if e.link.task in tasks
            and low <= e.link.probability <= high
            and self.in_queue(e, filters["queue"])
            and (not filters["doc"] or self.view.passages[e.link.passage].document_id == filters["doc"])
        ]
        found.sort(key=lambda e: e.link.probability)
        found.sort(key=lambda e: e.decision.time if e.decision else "~", reverse=True)
        found.sort(key=lambda e: {"model": 0, "unsure": 1}.get(e.state, 2))
        return found

    def counts(self) -> dict[str, int]:
        """Return how many links stand in each queue."""
        return {queue: sum(self.in_queue(e, queue) for e in self.view.links) for queue in QUEUES}

    def waiting_of(self) -> dict[str, int]:
        """Return how many links of each task wait to be checked."""
        found: dict[str, int] = defaultdict(int)
        for effective in self.view.links:
            found[effective.link.task] += self.in_queue(effective, "waiting")
        return found

    def candidates(self, passages: Sequence[Passage], but: str = "") -> list[list[Task]]:
        """Return tasks that passages may belong to: those linked or related first, then those alike in words."""
        alike = self.similar([" ".join((*passage.heading, passage.text)) for passage in passages])
        chosen = []
        for passage, near in zip(passages, alike, strict=True):
            linked = sorted(self.links_of.get(passage.id, ()), key=lambda e: (-e.link.grade, -e.link.probability))
            tasks = [self.view.tasks[e.link.task] for e in linked] + near
            unique = {task.id: task for task in tasks if task.id != but}
            chosen.append(list(unique.values())[:_CANDIDATES])
        return chosen

    def cards(self, effective_links: Sequence[EffectiveLink]) -> list[dict[str, Any]]:
        """Return all that is shown of each link."""
        passages = [self.view.passages[e.link.passage] for e in effective_links]
        near = self.candidates(passages)
        return [
            self._card(effective, passage, tasks)
            for effective, passage, tasks in zip(effective_links, passages, near, strict=True)
        ]

    def _card(self, effective: EffectiveLink, passage: Passage, near: list[Task]) -> dict[str, Any]:
        link, task = effective.link, self.view.tasks[effective.link.task]
        evidence, text = link.evidence, clean(task.text)
        span = [(evidence.start, evidence.end)]
        if passage.text[evidence.start : evidence.end] != evidence.text:  # it was taken from a cleaned text
            span = _find(passage.text, evidence.text)
        return {
            "e": effective, "link": link, "task": task, "passage": passage, "state": STATES[effective.state],
            "document": self.view.document_of(passage.id), "page": self.view.place(passage).page,
            "date": self.view.date_of(passage.id), "status": self.view.value(passage.id, "status"),
            "pieces": marked(passage.text, span),
            "task_pieces": marked(text, [s for part in evidence.task_parts for s in _find(text, part)]),
            "history": self.said.get(passage.id, []), "stamp": self.stamp(passage.id, task.id),
            "candidates": [other for other in near if other.id != task.id],
            "others": [other for other in self.links_of[passage.id] if other.id != effective.id],
            "doubtful": link.probability < self.view.settings.sign_threshold,
        }  # fmt: skip

    def name(self, task: str) -> str:
        """Return how a task is called, by id."""
        return f"任务 {task_name(task)}" if task in self.view.tasks else task

    def find(self, passage: str, task: str) -> EffectiveLink | None:
        """Return the link between a passage and a task, if there is one."""
        return self.links.get(link_id(passage, task))


class Desk:
    """The store of one notice; everything that is decided goes through here.

    Args:
        store: where decisions are added.
        notice_id: the notice.
        settings: thresholds and months.
        date: ISO date from which ages of evidence are counted.

    Raises:
        DataError: the lexicon of units that the settings name is missing or damaged.
    """

    def __init__(self, store: Store, notice_id: str, settings: Settings, date: str) -> None:
        lexicon_with(settings.unit_lexicon)  # better said before the page is there than on it
        self.store, self.notice_id, self.settings, self.date = store, notice_id, settings, date
        self.lock = threading.RLock()
        self._documents: dict[str, str] = {}
        self._decisions: list[Decision] = []
        self._labels = 0
        self._board: Board | None = None

    def add_labels(self, labels: Sequence[Label]) -> None:
        """Add a person's labels to the store and to the present state, without reading all of it again."""
        with self.lock:
            board = self.board()
            self.store.add_labels(self.notice_id, labels)
            self._labels += len(labels)
            snapshot = board.view.snapshot
            self._board = Board(
                View(dataclasses.replace(snapshot, labels=(*snapshot.labels, *labels)), self.settings), board.similar
            )

    def board(self) -> Board:
        """Return the present state; all is read again only where documents were added or replaced, or labels added."""
        with self.lock:
            documents, decisions = self.store.known_documents(self.notice_id), self.store.decisions(self.notice_id)
            labels = self.store.label_count(self.notice_id)
            board, new = self._board, decisions[len(self._decisions) :]
            if (
                board is None
                or documents != self._documents
                or labels != self._labels
                or decisions[: len(self._decisions)] != self._decisions
                or any(decision.passage not in board.view.passages for decision in new)
            ):
                snapshot = self.store.snapshot(self.notice_id, self.date)
                # Somebody may have decided in between; the snapshot then holds more than was read above.
                decisions = self.store.decisions(self.notice_id)[: len(snapshot.decisions)]
            elif new:
                snapshot = board.view.snapshot
                snapshot = dataclasses.replace(snapshot, decisions=(*snapshot.decisions, *new))
            else:
                return board
            # Counted before the snapshot was read: a label added in between is found, and all read, once more.
            self._documents, self._decisions, self._labels = documents, decisions, labels
            self._board = Board(View(snapshot, self.settings), self._similar(snapshot.notice.tasks))
            return self._board

    def _similar(self, tasks: Sequence[Task]) -> Callable[[Sequence[str]], list[list[Task]]]:
        def similar(texts: Sequence[str]) -> list[list[Task]]:
            if not texts or not tasks:
                return [[] for _ in texts]
            scores = _fitted(tuple(task.text for task in tasks)).score(texts)
            return [[tasks[i] for i in (-row).argsort(kind="stable")[:_CANDIDATES]] for row in scores]

        return similar


@functools.lru_cache(maxsize=2)
def _fitted(texts: tuple[str, ...]) -> Any:
    from pipeline.matching.lexical import CharacterTfidf

    return CharacterTfidf().fit(texts)


def _number(text: str, default: float) -> float:
    try:
        value = float(text)
    except ValueError:
        return default
    return value if 0 <= value <= 1 else default
