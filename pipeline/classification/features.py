"""What the classifier sees of a task: its text, its lead units, its section; n-grams of them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.errors import DataError
from pipeline.records import Task
from pipeline.text import clean, words

MAX_CHARACTERS = 400
"""What stands beyond is not read: a task delivers its first concrete thing early."""

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_ORDINAL = re.compile(r"^[（(]?[一二三四五六七八九十百\d]+[)）]?[、.．]?\s*")
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")


def _terms(text: str) -> list[str]:
    """The words of a text and its pairs of words."""
    found = words(text)
    return [*found, *(f"{one} {two}" for one, two in itertools.pairwise(found))]


_KIND: dict[str, Any] = {"analyzer": "char", "sublinear_tf": True, "dtype": np.float32}
_NGRAMS: dict[str, dict[str, Any]] = {
    "text": _KIND | {"ngram_range": (1, 3)},
    "units": _KIND | {"ngram_range": (1, 3)},
    "section": _KIND | {"ngram_range": (1, 2)},
    "words": _KIND | {"analyzer": _terms},
}
_MOST = {"units": 2000, "section": 2000, "words": 8000}


@dataclass(frozen=True)
class TaskText:
    """A task as the classifier reads it."""

    id: str
    text: str
    units: tuple[str, ...] = ()
    section: str = ""

    @property
    def readable(self) -> bool:
        """False where there is too little Chinese to say anything."""
        han = _HAN.findall(self.text)
        return len(han) >= 5 and len(set(han)) >= 4 and len(han) >= 0.3 * len(self.text)

    def bare(self) -> TaskText:
        """Return the text alone, without units and section."""
        return TaskText(self.id, self.text)


def _units(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(part for part in re.split(r"[、，,；;]", value) if part)
    return tuple(str(part) for part in value or ())


def read_task(task: Task | Mapping[str, Any]) -> TaskText:
    """Return what the classifier reads of a Task record or of a dictionary with "id" and "text".

    Raises:
        DataError: a dictionary has no text.

    Example:
        >>> read_task({"id": "n#1", "text": "支持 开展试点。"}).text
        '支持开展试点。'
    """
    if isinstance(task, Task):
        return TaskText(task.id, clean(task.text), task.lead_units, _ORDINAL.sub("", clean(task.section)))
    if not isinstance(task.get("text"), str):
        raise DataError(f"任务 {task.get('id', '?')} 没有 text 字段。请为每条任务写明 id 和 text。")
    section = _ORDINAL.sub("", clean(str(task.get("section") or "")))
    return TaskText(str(task.get("id", "")), clean(task["text"]), _units(task.get("lead_units")), section)


def window(text: str) -> str:
    """Return the part of a text that is read."""
    return text[:MAX_CHARACTERS]


class WordFeatures:
    """TF-IDF of characters of the text, of the lead units and of the section, and of the text's words, side by side.

    Args:
        max_features: most n-grams of the text that are kept.
        unit_weight: what the units weigh beside the text.
        section_weight: what the section weighs beside the text.
        word_weight: what words and pairs of words (by jieba) weigh beside the characters.
    """

    def __init__(
        self,
        max_features: int = 12000,
        unit_weight: float = 0.6,
        section_weight: float = 0.3,
        word_weight: float = 0.6,
    ) -> None:
        self.max_features = max_features
        self.unit_weight = unit_weight
        self.section_weight = section_weight
        self.word_weight = word_weight
        self.vectorizers: dict[str, Any] = {}

    def fit(self, tasks: Sequence[TaskText]) -> WordFeatures:
        """Learn the n-grams."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        most = _MOST | {"text": self.max_features}
        for name, texts in self.parts(tasks).items():
            self.vectorizers[name] = TfidfVectorizer(
                **_NGRAMS[name], min_df=2 if name in ("text", "words") else 3, max_features=most[name]
            ).fit([text for text in texts if text] or ["无"] * 3)
        return self

    def to_tensors(self) -> tuple[dict[str, list[str]], dict[str, np.ndarray]]:
        """Return the n-grams and how rare each is, by part."""
        names = {name: model.get_feature_names_out().tolist() for name, model in self.vectorizers.items()}
        return names, {f"idf.{name}": model.idf_.astype(np.float32) for name, model in self.vectorizers.items()}

    def from_tensors(self, names: dict[str, list[str]], tensors: Mapping[str, np.ndarray]) -> WordFeatures:
        """Take what to_tensors returned."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        for name, grams in names.items():
            model = TfidfVectorizer(**_NGRAMS[name], vocabulary={gram: i for i, gram in enumerate(grams)})
            model.idf_ = tensors[f"idf.{name}"]
            self.vectorizers[name] = model
        return self

    def parts(self, tasks: Iterable[TaskText]) -> dict[str, list[str]]:
        """Return what each block of features reads of the tasks."""
        rows = list(tasks)
        texts = [_NUMBER.sub("0", window(task.text)) for task in rows]
        return {
            "text": texts,
            "units": ["、".join(task.units) for task in rows],
            "section": [task.section for task in rows],
            "words": texts,
        }

    def sizes(self) -> dict[str, int]:
        """Return how many columns each block of features has, in their order."""
        return {name: len(model.vocabulary_) for name, model in self.vectorizers.items()}

    def transform(self, tasks: Sequence[TaskText]) -> Any:
        """Return a sparse matrix, a row a task."""
        from scipy.sparse import hstack

        weights = {
            "text": 1.0, "units": self.unit_weight, "section": self.section_weight, "words": self.word_weight,
        }  # fmt: skip
        parts = self.parts(tasks)
        blocks = [self.vectorizers[name].transform(parts[name]) * np.float32(weights[name]) for name in weights]
        return hstack(blocks).tocsr()
