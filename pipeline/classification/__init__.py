"""Sector, kind of reform, working group and eased restriction of a task, with probabilities and reasons."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from pipeline.classification.features import TaskText, WordFeatures, read_task, window
from pipeline.classification.reasons import explain
from pipeline.classification.schemes import SCHEMES, UNCLASSIFIED, class_name, schemes
from pipeline.encoding import Encoder, models_folder
from pipeline.errors import DataError, ModelNotFoundError
from pipeline.records import Label, Scheme, Task

__all__ = ["SCHEMES", "UNCLASSIFIED", "TaskClassifier", "class_name", "default_folder", "schemes"]

LABELLER = "classifier"
_VERSION = 2

TaskLike = Task | Mapping[str, Any]


def default_folder() -> Path:
    """Return the folder of the classifier that comes with the project."""
    return models_folder() / "classifier"


class TaskClassifier:
    """Two linear readers of a task, one of its sentence vector, one of its n-grams, units and section, stacked.

    Args:
        encoder: the sentence model; None is the default one, with the classifier's own adapter where it has one.
        inverse_regularisation: C of the logistic regressions.
        vector_scale: what the centred unit vector is multiplied with before its regression.
        folds: notices are dealt into so many folds when the stack and its calibration are learnt.
        seed: of the folds.

    Example:
        >>> classifier = TaskClassifier.from_disk()  # doctest: +SKIP
        >>> labels = classifier.predict([{"id": "a", "text": "允许外商独资设立医院。"}])  # doctest: +SKIP
        >>> labels[0].scheme, labels[0].value  # doctest: +SKIP
        ('sector', 'health')
    """

    def __init__(
        self,
        encoder: Encoder | None = None,
        *,
        inverse_regularisation: float = 4.0,
        vector_scale: float = 6.0,
        folds: int = 5,
        seed: int = 20210804,
    ) -> None:
        self.encoder = encoder
        self.inverse_regularisation = inverse_regularisation
        self.vector_scale = vector_scale
        self.folds = folds
        self.seed = seed
        self.words_: WordFeatures | None = None
        self.centre_: np.ndarray = np.zeros(0, np.float32)
        self.heads_: dict[str, dict[str, np.ndarray]] = {}
        self.classes_: dict[str, list[str]] = {}

    # -- learning ---------------------------------------------------------------------------------------------------

    def fit(
        self,
        tasks: Sequence[TaskLike],
        labels: Sequence[Mapping[str, str]] | Sequence[Label],
        groups: Sequence[str] | None = None,
    ) -> TaskClassifier:
        """Learn from tasks and their classes.

        Args:
            tasks: records or dictionaries with "id" and "text", and lead_units and section where known.
            labels: a mapping of scheme to class for each task in order, or Label records by task id.
            groups: the notice of each task, by which folds are cut; taken from the id before "#" where not given.

        Raises:
            DataError: tasks and labels do not go together.
        """
        from pipeline.classification.training import fit_heads

        rows = [read_task(task) for task in tasks]
        classes = _by_task(rows, labels)
        fit_heads(self, rows, classes, list(groups) if groups is not None else [row.id.split("#")[0] for row in rows])
        return self

    # -- predicting -------------------------------------------------------------------------------------------------

    def _vectors(self, rows: Sequence[TaskText]) -> np.ndarray:
        if self.encoder is None:
            self.encoder = Encoder()
        return self.encoder.encode([window(row.text) for row in rows])

    def _words(self, rows: Sequence[TaskText]) -> Any:
        if self.words_ is None:
            raise ModelNotFoundError("分类器尚未训练。请先调用 fit 或 from_disk。")
        return self.words_.transform(rows)

    def _logits(self, rows: Sequence[TaskText], words: Any) -> dict[str, np.ndarray]:
        vectors = (self._vectors(rows) - self.centre_) * self.vector_scale
        return {
            scheme: head["stack"][0] * (vectors @ head["vector"].T + head["vector_bias"])
            + head["stack"][1] * (words @ head["words"].T + head["words_bias"])
            for scheme, head in self.heads_.items()
        }

    def _probabilities(self, rows: Sequence[TaskText], words: Any) -> dict[str, np.ndarray]:
        found = {scheme: softmax(logits) for scheme, logits in self._logits(rows, words).items()}
        # A text of many hundred characters is no single task: the longer, the less is known.
        spread = np.array([min(1.0, max(0.0, len(row.text) / 400 - 1)) * 0.5 for row in rows])[:, None]
        return {scheme: (1 - spread) * p + spread / p.shape[1] for scheme, p in found.items()}

    def predict_proba(self, tasks: Sequence[TaskLike], scheme: str) -> np.ndarray:
        """Return calibrated probabilities in the order of classes_[scheme], shape (tasks, classes).

        What cannot be read (empty, no Chinese) gets the same probability for each class.
        """
        rows = [read_task(task) for task in tasks]
        if not rows:
            return np.zeros((0, len(self.classes_[scheme])))
        probabilities = self._probabilities(rows, self._words(rows))[scheme]
        probabilities[[not row.readable for row in rows]] = 1 / probabilities.shape[1]
        return probabilities

    def predict(self, tasks: Sequence[TaskLike], reasons: bool = True) -> list[Label]:
        """Return the labels of each task in order, one for each scheme.

        A task of which the model knows too little is "unclassified" (未能分类), with the probability of its likeliest
        class as probability and that class as second; one that cannot be read (empty, hardly any Chinese) as well,
        with equal probabilities and no second.

        Args:
            tasks: records, or dictionaries with "id" and "text".
            reasons: whether to name the words that made each label.
        """
        rows = [read_task(task) for task in tasks]
        labels: list[Label] = []
        if not rows:
            return labels
        words = self._words(rows)
        found = self._probabilities(rows, words)
        why = explain(self, rows, words, {scheme: p.argmax(1) for scheme, p in found.items()}) if reasons else None
        for i, row in enumerate(rows):
            for scheme in self.classes_:
                names, p = self.classes_[scheme], found[scheme][i]
                first, second = (int(k) for k in np.argsort(-p)[:2])
                value, other, probability = names[first], names[second], float(p[first])
                if not row.readable:
                    value, other, probability = UNCLASSIFIED, "", 1 / len(names)
                elif probability < float(self.heads_[scheme]["floor"][0]):
                    value, other = UNCLASSIFIED, names[first]
                because = why[scheme][i] if why and row.readable else ()
                labels.append(
                    Label(row.id, cast(Scheme, scheme), value, probability, LABELLER, second=other, reasons=because)
                )
        return labels

    # -- keeping ----------------------------------------------------------------------------------------------------

    def to_disk(self, path: str | Path = "") -> None:
        """Save to a folder: weights.safetensors, ngrams.json, config.json; an adapter in it is left as it is."""
        from safetensors.numpy import save_file

        folder = Path(path) if path else default_folder()
        folder.mkdir(parents=True, exist_ok=True)
        if self.words_ is None:
            raise ModelNotFoundError("分类器尚未训练，无法保存。请先调用 fit。")
        grams, tensors = self.words_.to_tensors()
        tensors["centre"] = self.centre_
        for scheme, head in self.heads_.items():
            tensors |= {f"{scheme}.{name}": value for name, value in head.items()}
        # Half precision for what is big: the third digit of a weight changes nothing.
        save_file(
            {name: np.ascontiguousarray(v, np.float16 if v.ndim > 1 else np.float32) for name, v in tensors.items()},
            folder / "weights.safetensors",
        )
        (folder / "weights.safetensors").chmod(0o644)  # it is written for its owner alone
        (folder / "ngrams.json").write_text(json.dumps(grams, ensure_ascii=False) + "\n", encoding="utf-8")
        config = {
            "version": _VERSION,
            "classes": self.classes_,
            "inverse_regularisation": self.inverse_regularisation,
            "vector_scale": self.vector_scale,
            "folds": self.folds,
            "seed": self.seed,
            "max_features": self.words_.max_features,
            "unit_weight": self.words_.unit_weight,
            "section_weight": self.words_.section_weight,
            "word_weight": self.words_.word_weight,
        }
        (folder / "config.json").write_text(json.dumps(config, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def from_disk(cls, path: str | Path = "", *, encoder: Encoder | None = None) -> TaskClassifier:
        """Load what to_disk saved; "" is the classifier that comes with the project.

        Raises:
            ModelNotFoundError: the folder is missing or damaged.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        folder = Path(path) if path else default_folder()
        try:
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            if config["version"] != _VERSION:
                raise ModelNotFoundError(f"{folder}：分类器版本不符。请运行 shidian train classifier 重新训练。")
            classifier = cls(
                encoder,
                inverse_regularisation=config["inverse_regularisation"],
                vector_scale=config["vector_scale"],
                folds=config["folds"],
                seed=config["seed"],
            )
            classifier.classes_ = config["classes"]
            tensors = {name: v.astype(np.float32) for name, v in load_file(folder / "weights.safetensors").items()}
            grams = json.loads((folder / "ngrams.json").read_text(encoding="utf-8"))
            words = WordFeatures(
                *(config[name] for name in ("max_features", "unit_weight", "section_weight", "word_weight"))
            )
            classifier.words_ = words.from_tensors(grams, tensors)
            classifier.centre_ = tensors["centre"]
            names = ("vector", "vector_bias", "words", "words_bias", "stack", "floor")
            classifier.heads_ = {
                scheme: {name: tensors[f"{scheme}.{name}"] for name in names} for scheme in classifier.classes_
            }
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise ModelNotFoundError(
                f"{folder}：分类器缺失或损坏（{error}）。请运行 shidian train classifier。"
            ) from error
        if classifier.encoder is None:
            adapter = folder / "adapter"
            classifier.encoder = Encoder(adapter=str(adapter) if (adapter / "adapter_config.json").is_file() else "")
        return classifier


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities along the last axis."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    result: np.ndarray = powers / powers.sum(-1, keepdims=True)
    return result


def _by_task(rows: Sequence[TaskText], labels: Sequence[Mapping[str, str]] | Sequence[Label]) -> list[dict[str, str]]:
    """Return the classes of each task by scheme."""
    if labels and isinstance(labels[0], Label):
        known: dict[str, dict[str, str]] = {}
        for label in cast(Sequence[Label], labels):
            known.setdefault(label.target, {})[label.scheme] = label.value
        found = [known.get(row.id, {}) for row in rows]
    else:
        mappings = cast(Sequence[Mapping[str, str]], labels)
        if len(mappings) != len(rows):
            raise DataError(f"任务有{len(rows)}条，标签有{len(mappings)}条。请一一对应。")
        found = [{scheme: item[scheme] for scheme in SCHEMES if item.get(scheme)} for item in mappings]
    empty = [row.id for row, item in zip(rows, found, strict=True) if not item]
    if empty or not rows:
        raise DataError(f"没有标签的任务：{'、'.join(empty[:5]) or '（全部）'}。请补齐后再训练。")
    return found
