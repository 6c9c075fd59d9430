"""Which passage carries out which task: candidates, then a calibrated decision that may abstain."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.encoding import Encoder, VectorCache, models_folder
from pipeline.encoding.together import encode_together
from pipeline.errors import ModelNotFoundError
from pipeline.matching.cascade import Cascade
from pipeline.matching.corpus import clean_passage
from pipeline.matching.crossencoder import CrossEncoder, CrossOptions
from pipeline.matching.evidence import find_evidence
from pipeline.matching.features import Progress, TaskIndex
from pipeline.matching.status import StatusClassifier
from pipeline.persistence import folder_mark, load_model
from pipeline.records import Label, Link, Passage, Task
from pipeline.settings import Settings
from pipeline.text import split_sentences

__all__ = ["Prediction", "TaskMatcher"]

VERSION = 4
"""Of the files of a linker; it rises when what they hold changes."""


def default_folder() -> Path:
    """Return the folder of the linker that comes with the project."""
    return models_folder() / "linker"


def read_config(folder: Path) -> dict[str, Any]:
    """Return the description of a linker.

    Raises:
        ModelNotFoundError: it is missing, damaged, or of another version.
    """
    if not (folder / "config.json").is_file():
        raise ModelNotFoundError(f"{folder}：没有关联模型。请运行 shidian train linker，或检查安装是否完整。")
    try:
        config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        version = config["version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelNotFoundError(f"{folder}：config.json 损坏（{error}）。请重新安装或重新训练。") from error
    if version != VERSION:
        raise ModelNotFoundError(f"{folder}：关联模型的版本不符。请运行 shidian train linker 重新训练。")
    missing = {"threshold", "measured", "cross_options"} - set(config)
    if missing:
        raise ModelNotFoundError(f"{folder}：config.json 缺少 {'、'.join(sorted(missing))}。请重新安装或重新训练。")
    return config


def write_config(folder: Path, config: dict[str, Any]) -> None:
    """Write the description of a linker, as read_config reads it."""
    (folder / "config.json").write_text(json.dumps(config, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


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
        tuned: the sentence model with the linker's adapter.
        cross: reads a passage and a task together.
        cascade: judges candidates: 0 (no), 1 (related), 2 (carries out).
        status: classifier of passages by status.
        settings: thresholds and the number of candidates.
        name: what links name as their labeller.
        threshold: least probability of a link that is filed, unless the settings name one.
        left_out: figures measured in training, each notice left out of the decision.

    Example:
        >>> matcher = TaskMatcher.from_disk().fit(notice.tasks)            # doctest: +SKIP
        >>> matcher.match(passages)[0].probability                         # doctest: +SKIP
        0.98
    """

    def __init__(
        self,
        tuned: Encoder,
        cross: CrossEncoder,
        cascade: Cascade,
        status: StatusClassifier,
        settings: Settings = Settings(),
        name: str = "linker",
        threshold: float = 0.5,
        left_out: dict[str, dict[str, float]] | None = None,
    ) -> None:
        self.tuned = tuned
        self.cross = cross
        self.cascade = cascade
        self.status = status
        self.settings = settings
        self.name = name
        self.threshold = threshold
        self.left_out = left_out or {}
        self.mark = ""
        self._index: TaskIndex | None = None

    @classmethod
    def from_disk(cls, path: str | Path = "", settings: Settings = Settings(), cache: str | Path = "") -> TaskMatcher:
        """Load a linker made by ``shidian train linker``.

        Args:
            path: its folder; "" is that of the settings, models/linker where they name none.
            settings: the run's settings; settings.model replaces the sentence model (without adapter then).
            cache: file of the vector cache; "" keeps vectors in memory.

        Raises:
            ModelNotFoundError: the folder or the sentence model is missing, or another version trained the linker.
        """
        folder = Path(path or settings.linker or default_folder())
        config = read_config(folder)
        vectors = VectorCache(cache)
        # An adapter fits the weights it was trained over, and no others.
        adapter = "" if settings.model else str(folder / "adapter")
        tuned = Encoder(settings.model, adapter=adapter, batch_size=settings.batch_size, cache=vectors)
        reader = Encoder(adapter=str(folder / "status"), batch_size=settings.batch_size, cache=vectors)
        status = StatusClassifier(reader).restore(load_model(folder / "status.skops"))
        cross = CrossEncoder(folder / "cross", options=CrossOptions(**config["cross_options"]))
        cascade = Cascade.from_disk(folder / "decision.skops")
        name, threshold = f"linker-{config['version']}", config["threshold"]
        matcher = cls(tuned, cross, cascade, status, settings, name, threshold, config["measured"])
        matcher.mark = folder_mark(folder)
        return matcher

    def fingerprint(self) -> str:
        """Return a mark of the linker and its sentence model; it changes when the linker is trained again."""
        return f"{self.name} {self.tuned.fingerprint().hex()} {self.mark}"

    def fit(self, tasks: Sequence[Task]) -> TaskMatcher:
        """Make the tasks of a notice known; nothing is trained.

        Raises:
            ValueError: there are no tasks.
        """
        if not tasks:
            raise ValueError("没有任务可供关联。请先用 shidian tasks 检查公文。")
        self._index = TaskIndex(tasks, self.tuned)
        return self

    @property
    def index(self) -> TaskIndex:
        """The tasks that passages are compared with.

        Raises:
            ValueError: fit was not called.
        """
        if self._index is None:
            raise ValueError("尚未给出任务。请先调用 fit(notice.tasks)。")
        return self._index

    def predict(self, passages: Sequence[Passage], progress: Progress | None = None) -> list[Prediction]:
        """Return what is said of each passage, in the order given; passages of a document should stand together."""
        passages = list(passages)
        if not passages:
            return []
        plain = [clean_passage(passage) for passage in passages]
        tasks = self.index.tasks
        texts = [passage.text for passage in plain]
        parts = [sentence for text in texts for sentence in split_sentences(text)]
        readers = [self.tuned, *filter(None, [self.status.reader])]
        encode_together(readers, [*texts, *parts], progress=progress)
        chosen, values = self.index.find(plain, self.settings.candidates, progress)

        def read(unclear: np.ndarray) -> np.ndarray:
            return self.cross.score([(plain[i], tasks[chosen[i, k]]) for i, k in np.argwhere(unclear)], progress)

        grades = self.cascade.predict_proba(values, read)
        order = np.argsort(-grades[:, :, 2], axis=1, kind="stable")
        status = self.status.predict(plain, grades[:, :, 2].max(1))
        # A line shorter than any passage (a remark, a signature) says too little to be filed anywhere.
        open_to = [
            row if len(passage.text) >= self.settings.min_passage_characters else []
            for row, passage in zip(order, plain, strict=True)
        ]
        least = self.settings.link_threshold or self.threshold
        filed = [[k for k in row if grades[i, k, 2] >= least] for i, row in enumerate(open_to)]
        at_least_related = grades[:, :, 1] + grades[:, :, 2]
        related = [
            [k for k in row if k not in filed[i] and at_least_related[i, k] >= 0.5] for i, row in enumerate(open_to)
        ]
        pairs = [(passages[i], tasks[chosen[i, k]]) for i in range(len(passages)) for k in (*filed[i], *related[i])]
        evidence = iter(find_evidence(pairs, self.tuned))
        predictions = []
        for i, passage in enumerate(passages):
            links, near = (
                tuple(
                    Link(
                        passage.id, tasks[chosen[i, k]].id, round(float(chances[i, k]), 4), next(evidence),
                        self.name, grade,
                    )
                    for k in group
                )
                for group, chances, grade in ((filed[i], grades[:, :, 2], 2), (related[i], at_least_related, 1))
            )  # fmt: skip
            scored = tuple((tasks[chosen[i, k]], round(float(grades[i, k, 2]), 4)) for k in order[i])
            predictions.append(Prediction(passage, scored, links, near, status[i]))
        return predictions

    def match(self, passages: Sequence[Passage]) -> list[Link]:
        """Return the links that would be filed (grade 2), in the order of the passages."""
        return [link for prediction in self.predict(passages) for link in prediction.links]
