"""Why a task has its label: the words, units and section that speak most for the class."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.classification.features import TaskText, window
from pipeline.text import words

if TYPE_CHECKING:
    from pipeline.classification import TaskClassifier

MOST = 5
_DIGIT = re.compile(r"\d")
Reasons = tuple[tuple[str, float], ...]


def explain(
    classifier: TaskClassifier, rows: Sequence[TaskText], features: Any, chosen: dict[str, np.ndarray]
) -> dict[str, list[Reasons]]:
    """Return the reasons of each chosen class, by scheme and row.

    The weights are those of the n-grams in the linear model of words, against the mean of the other classes;
    an n-gram's weight is shared by the characters it covers; a word gets what its characters hold and what it holds
    itself.

    Args:
        classifier: which chose the classes.
        rows: what it read.
        features: its WordFeatures of the rows, a sparse matrix.
        chosen: for each scheme the index of the class of each row.
    """
    assert classifier.words_ is not None
    sizes = classifier.words_.sizes()
    word_start = sizes["text"] + sizes["units"] + sizes["section"]
    vocabulary = classifier.words_.vectorizers["text"].vocabulary_
    scale = classifier.words_.vectorizers["text"].idf_
    known_words = classifier.words_.vectorizers["words"].vocabulary_
    centred = {
        scheme: head["words"] - head["words"].mean(0, keepdims=True) for scheme, head in classifier.heads_.items()
    }
    found: dict[str, list[Reasons]] = {scheme: [] for scheme in centred}
    for i, row in enumerate(rows):
        text = _DIGIT.sub("0", window(row.text)).lower()
        spans = _word_spans(window(row.text))
        grams = [
            (start, start + size, column)
            for size in (1, 2, 3)
            for start in range(len(text) - size + 1)
            if (column := vocabulary.get(text[start : start + size])) is not None
        ]
        starts, ends, columns = np.array(grams, np.int64).reshape(-1, 3).T
        strength = scale[columns]
        strength = strength / (float(np.sqrt((strength**2).sum())) or 1.0) / (ends - starts)
        of_row = slice(features.indptr[i], features.indptr[i + 1])
        held, weight = features.indices[of_row], features.data[of_row]
        is_unit = (held >= sizes["text"]) & (held < sizes["text"] + sizes["units"])
        own = dict(zip(held.tolist(), weight.tolist(), strict=True))
        for scheme, weights in centred.items():
            row_weights = weights[int(chosen[scheme][i])]
            values = row_weights[columns] * strength
            steps = [np.bincount(places, values, len(text) + 1) for places in (starts, ends)]
            total = np.concatenate([[0.0], np.cumsum(np.cumsum(steps[0] - steps[1]))])
            scores: dict[str, float] = {}
            for word, start, end in spans:
                scores[word] = scores.get(word, 0.0) + float(total[end] - total[start])
            for word in scores:
                if word in known_words and (column := word_start + known_words[word]) in own:
                    scores[word] += own[column] * float(row_weights[column])
            if row.units:
                scores["牵头单位：" + "、".join(row.units)] = float(weight[is_unit] @ row_weights[held[is_unit]])
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
