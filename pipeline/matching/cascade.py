"""The last decision on candidates: a first by likeness and context, a second by a closer look at what is not clear.

The first judges all candidates of a passage by their features. Those that it does not rule out are read together with
the passage by the cross-encoder; the second weighs what both say. What the first rules out stays as it judged it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.persistence import load_model, save_model

FLOOR = 0.02
"""A candidate that the first decision gives less than this (of being related or carrying out) is ruled out."""
SURE = 0.9
"""A passage is clear where the first decision is so sure of every candidate, that it carries it out or is unrelated."""
MOST = 5
"""So many candidates of a passage are read at most."""
CLEAR = 8.0
"""Distance in log-odds from the next candidate where there is none."""

Reader = Callable[[np.ndarray], np.ndarray]
"""From a mask of candidates (passages x candidates) to their log-probabilities of the grades, shape (marked, 3)."""


@dataclass(frozen=True)
class Rows:
    """Candidates to learn from: features, what the cross-encoder says of them, their true grades, one notice's.

    values has shape (passages, candidates, features); cross (passages, candidates, 3), log-probabilities; grades
    (passages, candidates), -1 where nothing is known; weight is how many times each counts.
    """

    values: np.ndarray
    cross: np.ndarray
    grades: np.ndarray
    weight: int = 1

    def read(self, mask: np.ndarray) -> np.ndarray:
        """Return what the cross-encoder says of the marked candidates, as a Reader does."""
        said: np.ndarray = self.cross[mask]
        return said


class Cascade:
    """Two classifiers of candidates into grades 0, 1 and 2.

    Args:
        first: over the features of a candidate.
        second: over what the first and the cross-encoder say of it.
    """

    def __init__(self, first: Any, second: Any) -> None:
        self.first = first
        self.second = second

    @classmethod
    def from_disk(cls, path: str | Path) -> Cascade:
        """Load what to_disk saved.

        Raises:
            ModelNotFoundError: the file is missing, damaged, or holds foreign types.
        """
        saved = load_model(path)
        return cls(saved["first"], saved["second"])

    def to_disk(self, path: str | Path) -> None:
        """Save both classifiers to a .skops file."""
        save_model({"first": self.first, "second": self.second}, path)

    def predict_proba(self, values: np.ndarray, read: Reader) -> np.ndarray:
        """Return probabilities of the grades, shape (passages, candidates, 3).

        Args:
            values: features, shape (passages, candidates, features).
            read: called once, with the candidates that are not clear.
        """
        first = _grades(self.first, values)
        unclear = find_unclear(first)
        cross = np.zeros_like(first)
        cross[unclear] = read(unclear)
        return _refined(self.second, first, cross, unclear)

    @classmethod
    def fit(cls, rows: Sequence[Rows], seed: int = 0, folds: int = 4) -> Cascade:
        """Learn both decisions.

        The second learns from what the first says of notices that it has not seen, or it would trust it too much.

        Args:
            rows: of one notice each.
            seed: of the boosting.
            folds: parts that the notices are dealt into.
        """
        first_heard: list[tuple[Rows, np.ndarray]] = []
        parts = min(folds, len(rows))
        for fold in range(parts):
            others = [item for place, item in enumerate(rows) if place % parts != fold] or list(rows)
            judge = _fit(*_first_rows(others), seed)
            first_heard += [
                (item, _grades(judge, item.values)) for place, item in enumerate(rows) if place % parts == fold
            ]
        heard = [_second_rows(item, first, find_unclear(first)) for item, first in first_heard]
        if len(set(np.concatenate([grades for _, grades in heard]).tolist())) < 2:
            # So few examples that the first is sure of nearly all of them: the second learns from the clear as well.
            heard = [_second_rows(item, first, _likely(first)) for item, first in first_heard]
        second = _fit(np.concatenate([values for values, _ in heard]), np.concatenate([g for _, g in heard]), seed)
        return cls(_fit(*_first_rows(rows), seed), second)


def find_unclear(first: np.ndarray) -> np.ndarray:
    """Return which candidates are read closely: of passages that are not clear the likeliest, and others not ruled out.

    Reading the clear ones as well changes no figure on held passages, and costs a third more.
    """
    sure = (first[:, :, 2] >= SURE) | (first[:, :, 1:].sum(2) <= 1 - SURE)
    unclear: np.ndarray = _likely(first) & ~sure.all(1)[:, None]
    return unclear


def _likely(first: np.ndarray) -> np.ndarray:
    """Return which candidates are worth reading: the likeliest of each passage, and others not ruled out."""
    rank = np.argsort(np.argsort(-(first[:, :, 2] + 0.5 * first[:, :, 1]), axis=1, kind="stable"), axis=1)
    likely: np.ndarray = (rank == 0) | ((rank < MOST) & (first[:, :, 1:].sum(2) >= FLOOR))
    return likely


def _first_rows(rows: Sequence[Rows]) -> tuple[np.ndarray, np.ndarray]:
    """Features and grades of all candidates of which the grade is known."""
    kept = [(item, item.grades >= 0) for item in rows]
    return (
        np.concatenate([np.repeat(item.values[known], item.weight, axis=0) for item, known in kept]),
        np.concatenate([np.repeat(item.grades[known], item.weight) for item, known in kept]),
    )


def _second_rows(item: Rows, first: np.ndarray, unclear: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the second decision sees of the candidates that are read closely, and their grades."""
    known = unclear & (item.grades >= 0)
    values = _second_features(first, item.cross, unclear)[known]
    return np.repeat(values, item.weight, axis=0), np.repeat(item.grades[known], item.weight)


def _second_features(first: np.ndarray, cross: np.ndarray, unclear: np.ndarray) -> np.ndarray:
    """What the second decision sees of each candidate: log-odds of both, their gaps, how many were read."""
    logs = np.log(np.clip(first, 1e-5, 1))
    by_first, related_first = logs[:, :, 2] - logs[:, :, 0], logs[:, :, 1] - logs[:, :, 0]
    by_cross, related_cross = cross[:, :, 2] - cross[:, :, 0], cross[:, :, 1] - cross[:, :, 0]
    both = by_first + by_cross
    count = unclear.sum(1, keepdims=True) * np.ones(unclear.shape)
    columns = [
        by_first, related_first, by_cross, related_cross,
        *(_gap(score, unclear) for score in (by_first, by_cross, both)),
        _best(by_cross, unclear), _best(by_first, unclear), count,
    ]  # fmt: skip
    return np.stack(columns, axis=2).astype(np.float32)


def _best(scores: np.ndarray, among: np.ndarray) -> np.ndarray:
    """The best score of each row among some, at each place."""
    best: np.ndarray = np.where(among, scores, -np.inf).max(1, keepdims=True) * np.ones(scores.shape)
    return best


def _gap(scores: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Distance of each score from the best of the others in its row; CLEAR at most."""
    kept = np.where(among, scores, -np.inf)
    top = np.sort(kept, axis=1)
    best, next_best = top[:, -1:], top[:, -2:-1] if kept.shape[1] > 1 else np.full((len(kept), 1), -np.inf)
    gap: np.ndarray = np.clip(scores - np.where(kept >= best, next_best, best), -CLEAR, CLEAR)
    return gap


def _grades(classifier: Any, values: np.ndarray) -> np.ndarray:
    flat = classifier.predict_proba(values.reshape(-1, values.shape[-1]))
    grades = np.zeros((len(flat), 3))
    grades[:, classifier.classes_.astype(int)] = flat
    return grades.reshape(*values.shape[:2], 3)


def _refined(second: Any, first: np.ndarray, cross: np.ndarray, unclear: np.ndarray) -> np.ndarray:
    refined = first.copy()
    if not unclear.any():
        return refined
    refined[unclear] = _grades(second, _second_features(first, cross, unclear)[unclear][:, None])[:, 0]
    return refined


def _fit(values: np.ndarray, grades: np.ndarray, seed: int) -> Any:
    """Gradient boosting and logistic regression that vote with their probabilities.

    Either alone ranks or calibrates worse where whole notices are left out.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, VotingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    boosting = HistGradientBoostingClassifier(
        learning_rate=0.05,
        max_iter=180,
        max_leaf_nodes=12,
        min_samples_leaf=40,
        l2_regularization=5.0,
        random_state=seed,
    )
    linear = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=3000))
    return VotingClassifier([("boosting", boosting), ("linear", linear)], voting="soft").fit(values, grades)
