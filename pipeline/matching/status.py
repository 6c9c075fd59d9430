"""Status of a passage: done, ongoing, planned or none, with the words that say so."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.encoding import Encoder
from pipeline.records import Label, Passage
from pipeline.text import clauses, clean

CLASSES = ("done", "ongoing", "planned", "none")
LABELLER = "status"
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
# A main part that is still under way makes the whole ongoing, whatever else is done.
_UNFINISHED = re.compile(
    "正在|尚未|尚待|审批中|报批|在建|在审|试运行|筹建|筹备|仍在|还在|未完成|未落地|征求意见|会签|待.{0,8}后|进入.{0,10}阶段"
)
_TAIL = 60
"""Characters at the end of a passage that are read apart: plans stand there."""
_GRAM_FEATURES, _TAIL_FEATURES = 2**15, 2**14
_GRAM_WEIGHT, _VECTOR_WEIGHT = 0.15, 6.0
_LEAST_ONGOING = 0.05


class StatusClassifier:
    """Logistic regression over character n-grams, those of the last clauses, and the sentence vector.

    Args:
        encoder: the sentence model, without adapter.
        inverse_regularisation: C of the logistic regression.
    """

    def __init__(self, encoder: Encoder, inverse_regularisation: float = 1.0) -> None:
        self.encoder = encoder
        self.inverse_regularisation = inverse_regularisation
        self.model: Any = None
        self.centre: np.ndarray = np.zeros(0, np.float32)

    def _grams(self, texts: Sequence[str]) -> Any:
        from sklearn.feature_extraction.text import HashingVectorizer

        # How large a number is says nothing of progress.
        plain = [_NUMBER.sub("0", text) for text in texts]
        grams = HashingVectorizer(
            analyzer="char", ngram_range=(2, 4), n_features=_GRAM_FEATURES, binary=True, norm=None, alternate_sign=False
        )
        return grams.transform(plain) * _GRAM_WEIGHT

    def _matrix(self, texts: Sequence[str]) -> Any:
        from scipy.sparse import csr_matrix, hstack
        from sklearn.feature_extraction.text import HashingVectorizer

        tail = HashingVectorizer(analyzer="char", ngram_range=(1, 4), n_features=_TAIL_FEATURES, alternate_sign=False)
        ends = tail.transform([_NUMBER.sub("0", text)[-_TAIL:] for text in texts])
        vectors = csr_matrix((self.encoder.encode(texts) - self.centre) * _VECTOR_WEIGHT)
        return hstack([self._grams(texts), ends, vectors]).tocsr()

    def fit(self, texts: Sequence[str], status: Sequence[str]) -> StatusClassifier:
        """Learn from cleaned texts and their statuses."""
        from sklearn.linear_model import LogisticRegression

        self.centre = self.encoder.encode(texts).mean(0)
        self.model = LogisticRegression(C=self.inverse_regularisation, max_iter=1000)
        self.model.fit(self._matrix(texts), list(status))
        return self

    def predict_proba(self, texts: Sequence[str]) -> np.ndarray:
        """Return probabilities in the order of the model's classes_, shape (texts, classes)."""
        probabilities: np.ndarray = self.model.predict_proba(self._matrix(texts))
        return probabilities

    def predict(self, passages: Sequence[Passage]) -> list[Label]:
        """Return a status label for each passage, with the clause that speaks most for it."""
        texts = [clean(passage.text) for passage in passages]
        if not texts:
            return []
        classes = [str(name) for name in self.model.classes_]
        labels = []
        for passage, text, row in zip(passages, texts, self.predict_proba(texts), strict=True):
            order = np.argsort(-row).tolist()
            cue: tuple[tuple[str, float], ...] = ()
            unfinished = _UNFINISHED.search(text)
            if classes[order[0]] == "done" and unfinished and row[classes.index("ongoing")] >= _LEAST_ONGOING:
                order = [classes.index("ongoing"), order[0]]
                cue = ((unfinished.group(), 1.0),)
            labels.append(
                Label(
                    passage.id, "status", classes[order[0]], float(row[order[0]]), LABELLER,
                    second=classes[order[1]], reasons=cue or self._cue(text, order[0]),
                )
            )  # fmt: skip
        return labels

    def _cue(self, text: str, column: int) -> tuple[tuple[str, float], ...]:
        spans = clauses(text) or [(0, len(text))]
        parts = [text[start:end].strip("，。；：") for start, end in spans]
        weights = self._grams(parts) @ self.model.coef_[column, :_GRAM_FEATURES]
        best = int(np.argmax(weights))
        return ((parts[best], round(float(weights[best]), 3)),) if weights[best] > 0 else ()
