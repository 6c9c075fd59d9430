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


class StatusClassifier:
    """Logistic regression over character n-grams and the sentence vector.

    Args:
        encoder: the sentence model, without adapter.
        vector_weight: what a unit vector weighs beside the unit n-gram vector.
        inverse_regularisation: C of the logistic regression.
    """

    def __init__(self, encoder: Encoder, vector_weight: float = 2.0, inverse_regularisation: float = 6.0) -> None:
        self.encoder = encoder
        self.vector_weight = vector_weight
        self.inverse_regularisation = inverse_regularisation
        self.model: Any = None
        self.vectorizer: Any = None
        self.centre: np.ndarray = np.zeros(0, np.float32)

    def _words(self, texts: Sequence[str]) -> Any:
        # How large a number is says nothing of progress.
        return self.vectorizer.transform([_NUMBER.sub("0", text) for text in texts])

    def _matrix(self, texts: Sequence[str]) -> Any:
        from scipy.sparse import csr_matrix, hstack

        vectors = (self.encoder.encode(texts) - self.centre) * self.vector_weight * 3
        return hstack([self._words(texts), csr_matrix(vectors)]).tocsr()

    def fit(self, texts: Sequence[str], status: Sequence[str]) -> StatusClassifier:
        """Learn from cleaned texts and their statuses."""
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression

        self.vectorizer = TfidfVectorizer(
            analyzer="char", ngram_range=(1, 4), min_df=3, sublinear_tf=True, max_features=40000
        )
        self.vectorizer.fit([_NUMBER.sub("0", text) for text in texts])
        self.centre = self.encoder.encode(texts).mean(0)
        self.model = LogisticRegression(C=self.inverse_regularisation, max_iter=2000)
        self.model.fit(self._matrix(texts), list(status))
        return self

    def predict_proba(self, texts: Sequence[str]) -> np.ndarray:
        """Return probabilities in the order of the model's classes_, shape (texts, 4)."""
        probabilities: np.ndarray = self.model.predict_proba(self._matrix(texts))
        return probabilities

    def predict(self, passages: Sequence[Passage]) -> list[Label]:
        """Return a status label for each passage, with the clauses that speak most for it."""
        texts = [clean(passage.text) for passage in passages]
        if not texts:
            return []
        classes = list(self.model.classes_)
        labels = []
        for passage, text, row in zip(passages, texts, self.predict_proba(texts), strict=True):
            order = np.argsort(-row)
            value = classes[order[0]]
            labels.append(
                Label(
                    passage.id, "status", value, float(row[order[0]]), LABELLER,
                    second=classes[order[1]], reasons=self._cue(text, order[0]),
                )
            )  # fmt: skip
        return labels

    def _cue(self, text: str, column: int) -> tuple[tuple[str, float], ...]:
        spans = clauses(text) or [(0, len(text))]
        parts = [text[start:end].strip("，。；：") for start, end in spans]
        weights = self._words(parts) @ self.model.coef_[column, : len(self.vectorizer.vocabulary_)]
        best = int(np.argmax(weights))
        return ((parts[best], round(float(weights[best]), 3)),) if weights[best] > 0 else ()
