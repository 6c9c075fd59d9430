"""Which passage carries out which task: candidates, then a calibrated decision that may abstain."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.encoding import Encoder, VectorCache, models_folder
from pipeline.errors import ModelNotFoundError
from pipeline.matching.evidence import find_evidence
from pipeline.matching.features import Progress, TaskIndex, candidates, features
from pipeline.matching.status import StatusClassifier
from pipeline.persistence import load_model
from pipeline.records import Label, Link, Passage, Task
from pipeline.settings import Settings
from pipeline.text import clean

__all__ = ["Prediction", "TaskMatcher"]


@dataclass(frozen=True)
class Prediction:
    """What is said of one passage: candidates (task, score) best first, links filed, tasks related, status."""

    passage: Passage
    candidates: tuple[tuple[Task, float], ...]
    links: tuple[Link, ...]
    related: tuple[Link, ...]
    status: Label


class TaskMatcher:
    """Link passages to the tasks of one notice.

    Args:
        base: the sentence model.
        tuned: the sentence model with the linker's adapter.
        decision: classifier of candidates' features into 0 (no), 1 (related), 2 (carries out).
        status: classifier of passages by status.
        settings: thresholds and the number of candidates.
        name: what links name as their labeller.

    Example:
        >>> matcher = TaskMatcher.from_disk().fit(notice.tasks)            # doctest: +SKIP
        >>> matcher.match(passages)[0].probability                         # doctest: +SKIP
        0.98
    """

    def __init__(
        self,
        base: Encoder,
        tuned: Encoder,
        decision: Any,
        status: StatusClassifier,
        settings: Settings = Settings(),
        name: str = "linker",
    ) -> None:
        self.base = base
        self.tuned = tuned
        self.decision = decision
        self.status = status
        self.settings = settings
        self.name = name

    @classmethod
    def from_disk(cls, path: str | Path = "", settings: Settings = Settings(), cache: str | Path = "") -> TaskMatcher:
        """Load a linker made by ``shidian train linker``.

        Args:
            path: its folder; "" is models/linker.
            settings: the run's settings; settings.model replaces the sentence model (without adapter then).
            cache: file of the vector cache; "" for none.

        Raises:
            ModelNotFoundError: the folder or the sentence model is missing.
        """
        folder = Path(path) if path else models_folder() / "linker"
        if not (folder / "config.json").is_file():
            raise ModelNotFoundError(f"{folder}：没有关联模型。请运行 shidian train linker，或检查安装是否完整。")
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        vectors = VectorCache(cache) if cache else None
        base = Encoder(settings.model, batch_size=settings.batch_size, cache=vectors)
        # An adapter fits the weights it was trained over, and no others.
        adapter = "" if settings.model else str(folder / "adapter")
        tuned = Encoder(settings.model, adapter=adapter, batch_size=settings.batch_size, cache=vectors)
        status = StatusClassifier(base)
        saved = load_model(folder / "status.skops")
        status.model, status.centre = saved["model"], saved["centre"]
        decision = load_model(folder / "decision.skops")
        return cls(base, tuned, decision, status, settings, f"linker-{config['version']}")

    def fingerprint(self) -> str:
        """Return a mark of the linker and its sentence model."""
        return f"{self.name} {self.base.fingerprint().hex()} {self.tuned.fingerprint().hex()}"

    def fit(self, tasks: Sequence[Task]) -> TaskMatcher:
        """Make the tasks of a notice known; nothing is trained.

        Raises:
            ValueError: there are no tasks.
        """
        if not tasks:
            raise ValueError("没有任务可供关联。请先用 shidian tasks 检查公文。")
        self.index = TaskIndex(tasks, self.base, self.tuned)
        return self

    def predict(self, passages: Sequence[Passage], progress: Progress | None = None) -> list[Prediction]:
        """Return what is said of each passage, in the order given; passages of a document should stand together."""
        passages = list(passages)
        if not passages:
            return []
        plain = [_cleaned(passage) for passage in passages]
        tasks = self.index.tasks
        likeness = self.index.compare(plain, progress)
        chosen = candidates(likeness, min(self.settings.candidates, len(tasks)))
        grades = self._grades(features(plain, tasks, likeness, chosen))
        order = np.argsort(-grades[:, :, 2], axis=1, kind="stable")
        status = self.status.predict(plain)
        # A line shorter than any passage (a remark, a signature) says too little to be filed anywhere.
        open_to = [
            row if len(passage.text) >= self.settings.min_passage_characters else []
            for row, passage in zip(order, plain, strict=True)
        ]
        least = self.settings.link_threshold
        filed = [[k for k in row if grades[i, k, 2] >= least] for i, row in enumerate(open_to)]
        related = [
            [k for k in row if k not in filed[i] and grades[i, k, 1] + grades[i, k, 2] >= 0.5]
            for i, row in enumerate(open_to)
        ]
        pairs = [(passages[i], tasks[chosen[i, k]]) for i in range(len(passages)) for k in (*filed[i], *related[i])]
        evidence = iter(find_evidence(pairs, self.tuned))
        predictions = []
        for i, passage in enumerate(passages):
            links, near = (
                tuple(
                    Link(
                        passage.id, tasks[chosen[i, k]].id, round(float(grades[i, k, column]), 4), next(evidence),
                        self.name, grade,
                    )
                    for k in group
                )
                for group, column, grade in ((filed[i], 2, 2), (related[i], 1, 1))
            )  # fmt: skip
            scored = tuple((tasks[chosen[i, k]], round(float(grades[i, k, 2]), 4)) for k in order[i])
            predictions.append(Prediction(passage, scored, links, near, status[i]))
        return predictions

    def match(self, passages: Sequence[Passage]) -> list[Link]:
        """Return the links that would be filed (grade 2), in the order of the passages."""
        return [link for prediction in self.predict(passages) for link in prediction.links]

    def _grades(self, values: np.ndarray) -> np.ndarray:
        """Probabilities of grade 0, 1, 2, shape (passages, candidates, 3)."""
        flat = self.decision.predict_proba(values.reshape(-1, values.shape[-1]))
        grades: np.ndarray = flat.reshape(*values.shape[:2], 3)
        return grades


def _cleaned(passage: Passage) -> Passage:
    """The passage with its line breaks and odd widths removed."""
    import dataclasses

    return dataclasses.replace(passage, text=clean(passage.text), title=clean(passage.title))
