"""Status of a passage: done, ongoing, planned or none, with the words that say so."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.classification import softmax
from pipeline.classification.features import window
from pipeline.classification.finetuning import SCALE, ClassifierTuning, Example, finetune
from pipeline.encoding import Encoder, VectorCache
from pipeline.encoding.adapters import AdapterOptions
from pipeline.records import Label, Passage
from pipeline.text import clauses, clean, split_sentences

CLASSES = ("done", "ongoing", "planned", "none")
LABELLER = "status"
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_TAIL = 60
"""Characters at the end of a passage that are read apart: plans stand there."""
_GRAM_FEATURES, _TAIL_FEATURES = 2**15, 2**14
_GRAM_WEIGHT = 0.15
_NEVER = -8.0
TUNING = ClassifierTuning(AdapterOptions(epochs=2, learning_rate=4e-4, rank=8, first_layer=6, max_tokens=200), runs=2)
_STACK_REGULARISATION = 0.05
_SURE = 1e-3
"""No sentence is surer than that."""
_LEAST = 0.02
"""How unlikely it can get at most that a passage which carries out a task says nothing of progress."""


class StatusClassifier:
    """Two readers of a passage with equal votes, of the whole and of each sentence, weighed by a linear model.

    The first reader is a logistic regression over character n-grams and those of the last clauses; it also names the
    cue. The second is a linear head over the sentence model with an adapter of its own.
    Sentences are read apart because a passage is as far as its least finished part, which may be half a line at the
    end of many results.

    Args:
        reader: the sentence model with the adapter of the second reader; None goes by the first alone.
        inverse_regularisation: C of the logistic regression.
    """

    def __init__(self, reader: Encoder | None = None, *, inverse_regularisation: float = 1.0) -> None:
        self.reader = reader
        self.inverse_regularisation = inverse_regularisation
        self.model: Any = None
        self.head: dict[str, np.ndarray] = {}
        self.stack: dict[str, np.ndarray] = {}

    def state(self) -> dict[str, Any]:
        """Return what was learnt, to be saved; the constructor's arguments are not part of it."""
        return {"model": self.model, "head": self.head, "stack": self.stack}

    def restore(self, state: dict[str, Any]) -> StatusClassifier:
        """Take what state returned."""
        self.model, self.head, self.stack = (state[name] for name in ("model", "head", "stack"))
        return self

    def _grams(self, texts: Sequence[str]) -> Any:
        from sklearn.feature_extraction.text import HashingVectorizer

        # How large a number is says nothing of progress.
        plain = [_NUMBER.sub("0", text) for text in texts]
        grams = HashingVectorizer(
            analyzer="char", ngram_range=(2, 4), n_features=_GRAM_FEATURES, binary=True, norm=None, alternate_sign=False
        )
        return grams.transform(plain) * _GRAM_WEIGHT

    def _matrix(self, texts: Sequence[str]) -> Any:
        from scipy.sparse import hstack
        from sklearn.feature_extraction.text import HashingVectorizer

        tail = HashingVectorizer(analyzer="char", ngram_range=(1, 4), n_features=_TAIL_FEATURES, alternate_sign=False)
        ends = tail.transform([_NUMBER.sub("0", text)[-_TAIL:] for text in texts])
        return hstack([self._grams(texts), ends]).tocsr()

    def fit(self, texts: Sequence[str], status: Sequence[str]) -> StatusClassifier:
        """Learn from cleaned texts and their statuses."""
        from sklearn.linear_model import LogisticRegression

        self.model = LogisticRegression(C=self.inverse_regularisation, max_iter=1000)
        self.model.fit(self._matrix(texts), list(status))
        return self

    def fit_reader(
        self, texts: Sequence[str], status: Sequence[str], folder: str | Path, progress: Callable[[str], None]
    ) -> StatusClassifier:
        """Fine-tune the second reader on cleaned texts and save its adapter to a folder."""
        examples = [Example(text, {"status": name}) for text, name in zip(texts, status, strict=True)]
        heads, centre = finetune(examples, (), {"status": CLASSES}, folder, TUNING, progress)
        weights, bias = heads["status"]
        self.head = {"weights": weights, "bias": bias, "centre": centre}
        self.reader = Encoder(adapter=str(folder), cache=VectorCache())
        return self

    def fit_stack(self, texts: Sequence[str], status: Sequence[str]) -> StatusClassifier:
        """Learn to weigh the whole against its sentences, from cleaned texts that neither reader has seen.

        The readers keep equal votes: where the texts are written like those learnt from, the second would be trusted
        alone, and on others it is no better than the first.
        """
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(C=_STACK_REGULARISATION, max_iter=5000).fit(self._view(texts), list(status))
        places = [CLASSES.index(str(name)) for name in model.classes_]
        if len(places) > 2:  # of two, scikit-learn keeps one row for both
            weights, bias = np.zeros((len(CLASSES), model.coef_.shape[1])), np.full(len(CLASSES), _NEVER)
            weights[places], bias[places] = model.coef_, model.intercept_
            self.stack = {"weights": weights, "bias": bias}
        return self

    def _logits(self, texts: Sequence[str]) -> np.ndarray:
        """Mean log-odds of the readers against the mean class, shape (texts, classes), in the order of CLASSES.

        A class never seen is very unlikely.
        """
        by_words = np.full((len(texts), len(CLASSES)), _NEVER)
        found = self.model.predict_log_proba(self._matrix(texts))
        by_words[:, [CLASSES.index(str(name)) for name in self.model.classes_]] = found
        votes = [by_words]
        if self.reader is not None:
            vectors = SCALE * (self.reader.encode([window(text) for text in texts]) - self.head["centre"])
            votes.append(vectors @ self.head["weights"].T + self.head["bias"])
        together: np.ndarray = np.mean([vote - vote.mean(1, keepdims=True) for vote in votes], axis=0)
        return together

    def _view(self, texts: Sequence[str]) -> np.ndarray:
        """What the stack weighs: log-odds of the whole, and of its sentences the highest, the last and the mean."""
        parts = [split_sentences(text) for text in texts]
        starts = np.cumsum([0, *map(len, parts)])
        chances = softmax(self._logits([sentence for group in parts for sentence in group]))
        highest = np.maximum.reduceat(chances, starts[:-1])
        mean = np.add.reduceat(chances, starts[:-1]) / np.diff(starts)[:, None]
        last = chances[starts[1:] - 1]
        limited = [np.clip(chance, _SURE, 1 - _SURE) for chance in (highest, last, mean)]
        return np.hstack([self._logits(texts), *(np.log(chance / (1 - chance)) for chance in limited)])

    def predict_proba(self, texts: Sequence[str]) -> np.ndarray:
        """Return probabilities of cleaned texts in the order of CLASSES, shape (texts, classes)."""
        if not texts:
            return np.zeros((0, len(CLASSES)))
        if not self.stack:
            return softmax(self._logits(texts))
        return softmax(self._view(texts) @ self.stack["weights"].T + self.stack["bias"])

    def predict(self, passages: Sequence[Passage], carried: Sequence[float] | None = None) -> list[Label]:
        """Return a status label for each passage, with the clause that speaks most for it.

        Args:
            passages: the passages.
            carried: the probability of each that it carries out some task. By the rules of linking, a passage that
                does so reports work, unless it is a clause of a policy; so "none" gets unlikely as this gets likely.
        """
        texts = [clean(passage.text) for passage in passages]
        chances = self.predict_proba(texts)
        if carried is not None and len(passages):
            reports = np.array([passage.kind != "policy" for passage in passages])
            silent = np.where(reports, np.maximum(1 - np.asarray(carried), _LEAST), 1.0)
            chances[:, CLASSES.index("none")] *= silent
            chances /= chances.sum(1, keepdims=True)
        labels = []
        for passage, text, row in zip(passages, texts, chances, strict=True):
            first, second = np.argsort(-row).tolist()[:2]
            labels.append(
                Label(
                    passage.id, "status", CLASSES[first], float(row[first]), LABELLER,
                    second=CLASSES[second], reasons=self._cue(text, CLASSES[first]),
                )
            )  # fmt: skip
        return labels

    def _cue(self, text: str, status: str) -> tuple[tuple[str, float], ...]:
        spans = clauses(text) or [(0, len(text))]
        parts = [text[start:end].strip("，。；：") for start, end in spans]
        column = [str(name) for name in self.model.classes_].index(status) if status in self.model.classes_ else 0
        weights = self._grams(parts) @ self.model.coef_[column, :_GRAM_FEATURES]
        best = int(np.argmax(weights))
        return ((parts[best], round(float(weights[best]), 3)),) if weights[best] > 0 else ()
