"""Likeness by words: TF-IDF over characters and BM25 over words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.text import clean, words


class CharacterTfidf:
    """Cosine of TF-IDF vectors over runs of two and three characters (the baseline of every table).

    Example:
        >>> CharacterTfidf().fit(["设立仲裁机构", "发行绿色债券"]).score(["绿色债券落地"]).argmax()
        np.int64(1)
    """

    def fit(self, texts: Sequence[str]) -> CharacterTfidf:
        """Learn the weights from the texts to be found."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(2, 3), sublinear_tf=True)
        self._matrix = self._vectorizer.fit_transform([clean(text) for text in texts])
        return self

    def score(self, queries: Sequence[str]) -> np.ndarray:
        """Return cosines, shape (queries, texts)."""
        found = self._vectorizer.transform([clean(query) for query in queries])
        scores: np.ndarray = (found @ self._matrix.T).toarray().astype(np.float32)
        return scores


class WordBM25:
    """BM25 over jieba words (Robertson and Zaragoza 2009, k1 = 1.2, b = 0.75).

    The query's words count once each; scores are divided by the greatest score the query could get.

    Example:
        >>> WordBM25().fit(["设立仲裁机构", "发行绿色债券"]).score(["绿色债券落地"]).argmax()
        np.int64(1)
    """

    k1 = 1.2
    b = 0.75

    def fit(self, texts: Sequence[str]) -> WordBM25:
        """Count the words of the texts to be found."""
        from sklearn.feature_extraction.text import CountVectorizer

        self._vectorizer = CountVectorizer(analyzer=lambda text: words(clean(text)))
        counts = self._vectorizer.fit_transform(texts).tocsr().astype(np.float32)
        length = np.asarray(counts.sum(axis=1)).ravel()
        present = np.asarray((counts > 0).sum(axis=0)).ravel()
        self._idf = np.log1p((len(texts) - present + 0.5) / (present + 0.5))
        dense = counts.toarray()
        norm = self.k1 * (1 - self.b + self.b * length / max(float(length.mean()), 1e-9))
        self._weights = self._idf * dense * (self.k1 + 1) / (dense + norm[:, None])
        return self

    def score(self, queries: Sequence[str]) -> np.ndarray:
        """Return scores from 0 to 1, shape (queries, texts)."""
        found = (self._vectorizer.transform(queries) > 0).astype(np.float32)
        best = np.asarray(found @ (self._idf * (self.k1 + 1))).ravel()
        scores: np.ndarray = (found @ self._weights.T) / np.maximum(best, 1e-9)[:, None]
        return scores.astype(np.float32)
