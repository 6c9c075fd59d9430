"""What the last decision sees of a passage beside a task: likenesses, gaps, context, units.

Likenesses come as matrices (passages x tasks). Passages that stand in the order of their documents lend
each other context: the neighbours, the rest of the document, its title and headings.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.encoding import Encoder
from pipeline.matching.finetuning import with_title
from pipeline.matching.lexical import CharacterTfidf, WordBM25
from pipeline.records import Passage, Task
from pipeline.text import clauses, compact, split_sentences

Progress = Callable[[int, int], None]

NAMES = (
    "tuned", "tuned_gap", "tuned_rank", "clause", "clause_gap", "sentence", "sentence_gap", "part", "part_gap",
    "titled", "titled_gap", "titled_rank",
    "tfidf", "tfidf_gap", "tfidf_rank", "bm25", "bm25_gap", "bm25_rank",
    "title", "title_gap", "title_tfidf", "neighbours", "neighbours_gap", "document", "document_gap",
    "lead_is_issuer", "lead_named", "coop_named", "best_tuned", "best_titled", "best_bm25", "spread",
    "length", "figures", "is_case", "is_policy", "position", "alone",
)  # fmt: skip


@dataclass(frozen=True)
class Likeness:
    """Likenesses of every passage with every task, and which tasks are candidates."""

    tuned: np.ndarray
    clause: np.ndarray
    """With the task's clause that is likest: a passage often carries out one measure of several."""
    sentence: np.ndarray
    """Of the passage's likest sentence with the task: a deed often stands among general words."""
    part: np.ndarray
    """Of the likest sentence with the likest clause."""
    titled: np.ndarray
    tfidf: np.ndarray
    bm25: np.ndarray
    title: np.ndarray
    """Of the document's title, less its mean over the tasks; 0 where there is no title."""
    title_tfidf: np.ndarray


class TaskIndex:
    """The tasks of one notice, ready to be compared with passages.

    Args:
        tasks: the tasks.
        tuned: the sentence model with the linker's adapter.
    """

    def __init__(self, tasks: Sequence[Task], tuned: Encoder) -> None:
        texts = [task.text for task in tasks]
        self.tasks = list(tasks)
        self.tuned = tuned
        self.tuned_vectors = tuned.encode(texts, "passage")
        clauses_of = [[text[a:b] for a, b in clauses(text)] or [text] for text in texts]
        self.clause_starts = np.cumsum([0, *map(len, clauses_of[:-1])])
        self.clause_vectors = tuned.encode([clause for group in clauses_of for clause in group], "passage")
        self.tfidf = CharacterTfidf().fit(texts)
        self.bm25 = WordBM25().fit(texts)

    def compare(self, passages: Sequence[Passage], progress: Progress | None = None) -> Likeness:
        """Return the likenesses of the passages with all tasks."""
        texts = [passage.text for passage in passages]
        titles = [passage.title for passage in passages]
        vectors = self.tuned.encode(texts, progress=progress)
        sentences_of = [split_sentences(text) for text in texts]
        starts = np.cumsum([0, *map(len, sentences_of[:-1])])
        parts = self.tuned.encode([sentence for group in sentences_of for sentence in group], progress=progress)
        return Likeness(
            tuned=vectors @ self.tuned_vectors.T,
            clause=self._best_clause(vectors),
            sentence=np.maximum.reduceat(parts @ self.tuned_vectors.T, starts),
            part=np.maximum.reduceat(self._best_clause(parts), starts),
            titled=self.tuned.encode([with_title(passage) for passage in passages], progress=progress)
            @ self.tuned_vectors.T,
            tfidf=self.tfidf.score(texts),
            bm25=self.bm25.score(texts),
            title=self._by_title(titles),
            title_tfidf=self.tfidf.score(titles),
        )

    def find(
        self, passages: Sequence[Passage], count: int, progress: Progress | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the columns of the likeliest tasks of each passage, best first, and the features of each.

        Args:
            passages: cleaned, in the order of their documents.
            count: tasks a passage, where the notice has so many.
            progress: called with (done, all).
        """
        likeness = self.compare(passages, progress)
        chosen = candidates(likeness, min(count, len(self.tasks)))
        return chosen, features(passages, self.tasks, likeness, chosen)

    def _best_clause(self, vectors: np.ndarray) -> np.ndarray:
        """Likeness with the likest clause of each task."""
        best: np.ndarray = np.maximum.reduceat(vectors @ self.clause_vectors.T, self.clause_starts, axis=1)
        return best

    def _by_title(self, titles: list[str]) -> np.ndarray:
        scores: np.ndarray = self.tuned.encode(titles) @ self.tuned_vectors.T
        # Centred, so that a missing title says nothing, whatever stands beside the passage.
        scores -= scores.mean(1, keepdims=True)
        scores[[not title for title in titles]] = 0
        return scores


def candidates(likeness: Likeness, count: int) -> np.ndarray:
    """Return the likeliest tasks of each passage, shape (passages, count), by the sentence model and by words."""

    def standard(scores: np.ndarray) -> np.ndarray:
        centred: np.ndarray = (scores - scores.mean(1, keepdims=True)) / (scores.std(1, keepdims=True) + 1e-6)
        return centred

    together = (
        standard(likeness.tuned)
        + standard(likeness.titled)
        + 0.3 * standard(likeness.tfidf)
        + 0.3 * standard(likeness.bm25)
    )
    order: np.ndarray = np.argsort(-together, axis=1, kind="stable")[:, :count]
    return order


def _gap(scores: np.ndarray) -> np.ndarray:
    """Distance of each score from the best of the others in its row."""
    if scores.shape[1] < 2:
        return np.zeros_like(scores)
    top = np.sort(scores, axis=1)
    best, second = top[:, -1:], top[:, -2:-1]
    gap: np.ndarray = scores - np.where(scores >= best, second, best)
    return gap


def _rank(scores: np.ndarray) -> np.ndarray:
    order = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1)
    ranks: np.ndarray = 1.0 / (1 + order)
    return ranks


def _short_name(unit: str) -> str:
    """The part of a unit's name that different spellings share."""
    return re.sub(r"^(?:市政府|省政府|市|省|自治区|区)|(?:委员会|管理局|办公室|局|委|厅|办)$", "", compact(unit))


def _unit_features(passages: Sequence[Passage], tasks: Sequence[Task]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    issuer = np.zeros((len(passages), len(tasks)), np.float32)
    lead, coop = np.zeros_like(issuer), np.zeros_like(issuer)
    lead_names = [[name for unit in task.lead_units if len(name := _short_name(unit)) > 1] for task in tasks]
    coop_names = [[name for unit in task.coop_units if len(name := _short_name(unit)) > 1] for task in tasks]
    memory: dict[str, np.ndarray] = {}

    def named(text: str, names: list[list[str]], kind: str) -> np.ndarray:
        key = kind + text
        if key not in memory:
            memory[key] = np.array([any(_within(name, text) for name in group) for group in names], np.float32)
        return memory[key]

    for row, passage in enumerate(passages):
        issuer[row] = named(compact(passage.issuer), lead_names, "i")
        text = compact(passage.text)
        lead[row] = named(text, lead_names, "l")
        coop[row] = named(text, coop_names, "c")
    return issuer, lead, coop


def _within(name: str, text: str) -> bool:
    """Tell whether a short name stands in a text, or its characters near each other (科技 in 科学技术局)."""
    if name in text:
        return True
    spread = ".{0,2}".join(map(re.escape, name))
    return len(name) <= 4 and bool(re.search(f"{spread}.{{0,6}}(?:局|委|厅|办)", text))


def _context(
    passages: Sequence[Passage], likeness: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean likeness of the neighbours, of the rest of the document, the place in it, and who is alone."""
    count = len(passages)
    ids = [passage.document_id for passage in passages]
    near = np.zeros((count, 2), bool)
    near[1:, 0] = [a == b for a, b in itertools.pairwise(ids)]
    near[:-1, 1] = near[1:, 0]
    before, after = np.roll(likeness, 1, axis=0), np.roll(likeness, -1, axis=0)
    weight = near.sum(1, keepdims=True)
    mean = likeness.mean(1, keepdims=True)
    neighbours = np.where(weight > 0, (before * near[:, :1] + after * near[:, 1:]) / np.maximum(weight, 1), mean)
    documents: dict[str, list[int]] = {}
    for row, identity in enumerate(ids):
        documents.setdefault(identity, []).append(row)
    rest = np.empty_like(likeness)
    position, alone = np.zeros(count, np.float32), np.zeros(count, np.float32)
    for rows in documents.values():
        if len(rows) == 1:
            rest[rows], alone[rows] = mean[rows], 1
            continue
        rest[rows] = (likeness[rows].sum(0) - likeness[rows]) / (len(rows) - 1)
        position[rows] = np.arange(len(rows)) / (len(rows) - 1)
    return neighbours, rest, position, alone


def features(passages: Sequence[Passage], tasks: Sequence[Task], likeness: Likeness, chosen: np.ndarray) -> np.ndarray:
    """Return the features of each candidate, shape (passages, candidates, len(NAMES)), float32.

    Args:
        passages: in the order of their documents.
        tasks: of one notice.
        likeness: of all passages with all tasks.
        chosen: the candidates' columns, shape (passages, candidates).
    """
    both = (likeness.tuned + likeness.titled) / 2
    neighbours, document, position, alone = _context(passages, both)
    issuer, lead, coop = _unit_features(passages, tasks)
    texts = [passage.text for passage in passages]
    ones = np.ones((1, both.shape[1]), np.float32)

    def spread(values: np.ndarray) -> np.ndarray:
        wide: np.ndarray = values.reshape(-1, 1).astype(np.float32) * ones
        return wide

    columns = {
        "tuned": likeness.tuned, "tuned_gap": _gap(likeness.tuned), "tuned_rank": _rank(likeness.tuned),
        "clause": likeness.clause, "clause_gap": _gap(likeness.clause),
        "sentence": likeness.sentence, "sentence_gap": _gap(likeness.sentence),
        "part": likeness.part, "part_gap": _gap(likeness.part),
        "titled": likeness.titled, "titled_gap": _gap(likeness.titled), "titled_rank": _rank(likeness.titled),
        "tfidf": likeness.tfidf, "tfidf_gap": _gap(likeness.tfidf), "tfidf_rank": _rank(likeness.tfidf),
        "bm25": likeness.bm25, "bm25_gap": _gap(likeness.bm25), "bm25_rank": _rank(likeness.bm25),
        "title": likeness.title, "title_gap": _gap(likeness.title), "title_tfidf": likeness.title_tfidf,
        "neighbours": neighbours, "neighbours_gap": _gap(neighbours), "document": document,
        "document_gap": _gap(document),
        "lead_is_issuer": issuer, "lead_named": lead, "coop_named": coop,
        "best_tuned": spread(likeness.tuned.max(1)), "best_titled": spread(likeness.titled.max(1)),
        "best_bm25": spread(likeness.bm25.max(1)), "spread": spread(np.abs(likeness.tuned - likeness.titled).mean(1)),
        "length": spread(np.log1p([len(text) for text in texts])),
        "figures": spread(np.array([len(re.findall(r"\d+", text)) / max(1, len(text)) * 100 for text in texts])),
        "is_case": spread(np.array([passage.kind == "case" for passage in passages])),
        "is_policy": spread(np.array([passage.kind == "policy" for passage in passages])),
        "position": spread(position), "alone": spread(alone),
    }  # fmt: skip
    stacked = np.stack([columns[name] for name in NAMES], axis=2).astype(np.float32)
    taken: np.ndarray = np.take_along_axis(stacked, chosen[:, :, None], axis=1)
    return taken
