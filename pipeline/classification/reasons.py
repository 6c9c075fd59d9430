"""Why a task has its label: the words, units and section that speak most for the class."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pipeline.classification.features import TaskText, window
from pipeline.text import words

if TYPE_CHECKING:
    from pipeline.classification import TaskClassifier

MOST = 5
_DIGIT = re.compile(r"\d")
Reasons = tuple[tuple[str, float], ...]


def explain(
    classifier: TaskClassifier, rows: Sequence[TaskText], chosen: dict[str, np.ndarray]
) -> dict[str, list[Reasons]]:
    """Return the reasons of each chosen class, by scheme and row.

    The weights are those of the n-grams in the linear model of words, against the mean of the other classes;
    an n-gram's weight is shared by the characters it covers; a word gets what its characters hold and what it holds
    itself.
    """
    features = classifier.words_
    assert features is not None
    vocabulary = features.vectorizers["text"].vocabulary_
    scale = features.vectorizers["text"].idf_
    unit_start = len(vocabulary)
    unit_vectorizer = features.vectorizers["units"]
    units = unit_vectorizer.transform(["、".join(row.units) for row in rows]) * features.unit_weight
    word_vectorizer = features.vectorizers["words"]
    word_start = unit_start + units.shape[1] + len(features.vectorizers["section"].vocabulary_)
    own = word_vectorizer.transform(features.parts(rows)["words"]) * features.word_weight
    centred = {
        scheme: head["words"] - head["words"].mean(0, keepdims=True) for scheme, head in classifier.heads_.items()
    }
    found: dict[str, list[Reasons]] = {scheme: [] for scheme in centred}
    for i, row in enumerate(rows):
        text = _DIGIT.sub("0", window(row.text)).lower()
        spans = _word_spans(window(row.text))
        grams = [
            (start, size, column)
            for size in (1, 2, 3)
            for start in range(len(text) - size + 1)
            if (column := vocabulary.get(text[start : start + size])) is not None
        ]
        columns = np.array([column for _, _, column in grams], np.int64)
        strength = scale[columns] if len(columns) else np.zeros(0)
        norm = float(np.sqrt((strength**2).sum())) or 1.0
        for scheme, weights in centred.items():
            row_weights = weights[int(chosen[scheme][i])]
            character = np.zeros(len(text) + 1)
            for (start, size, _), value in zip(grams, row_weights[columns] * strength / norm, strict=True):
                character[start : start + size] += value / size
            total = np.concatenate([[0.0], np.cumsum(character)])
            scores: dict[str, float] = {}
            for word, start, end in spans:
                scores[word] = scores.get(word, 0.0) + float(total[end] - total[start])
            for word in list(scores):
                column = word_vectorizer.vocabulary_.get(word)
                if column is not None:
                    scores[word] += float(own[i, column] * row_weights[word_start + column])
            if row.units:
                scores["牵头单位：" + "、".join(row.units)] = float(
                    (units[i] @ row_weights[unit_start : unit_start + units.shape[1]]).sum()
                )
            best = sorted(scores.items(), key=lambda item: -item[1])[:MOST]
            found[scheme].append(tuple((word, round(value, 3)) for word, value in best if value > 0.02))
    return found


def _word_spans(text: str) -> list[tuple[str, int, int]]:
    spans, position = [], 0
    for word in words(text):
        start = text.find(word, position)
        if start < 0:
            continue
        position = start + len(word)
        if len(word) > 1:
            spans.append((word, start, position))
    return spans
