"""Write-ups of one case sent by two units or in two years: alike in characters, figures and, if given, meaning."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.inventory.findings import numbers
from pipeline.text import compact, normalise

_BLOCK = 512
_NEIGHBOURS = 30
_FEW = 400
_PAIRS = 500
THRESHOLD = 0.38
"""Least likeness of near-duplicates: reworded copies reach 0.4 to 0.9, other cases of one field 0.2."""
_QUOTED = re.compile(r"[“《「]([^”》」]{2,24})[”》」]|([A-Za-z][A-Za-z0-9\-]{1,20})")


@dataclass(frozen=True)
class Pair:
    """Two texts by their places in the list given, with the likeness from 0 to 1."""

    first: int
    second: int
    similarity: float


def _marks(text: str) -> set[str]:
    """What a rewording keeps: figures, quoted phrases and Latin words."""
    quoted = {compact(a or b).lower() for a, b in _QUOTED.findall(normalise(text))}
    return numbers(text) | quoted


def _shared(first: set[str], second: set[str], weight: dict[str, float]) -> tuple[float, float]:
    """Weight of the marks two texts share: as a part of the smaller one's, and in all."""
    both = sum(weight[mark] for mark in first & second)
    least = min(sum(weight[mark] for mark in first), sum(weight[mark] for mark in second))
    return (both / least if least else 0.0), both


def find_pairs(texts: Sequence[str], threshold: float = THRESHOLD, vectors: Any = None) -> list[Pair]:
    """Return the pairs of texts that tell of one case, the likest first.

    Likeness joins the cosine of character n-grams, the share of rare figures, quoted phrases and Latin words that
    both hold, and, where given, the cosine of sentence vectors.

    Args:
        texts: a text a case, title included.
        threshold: least likeness.
        vectors: unit vectors of the texts, shape (texts, size), or None.

    Example:
        >>> a = "首批9户企业凭专利质押获得贷款5230万元，平均利率4.05%，处置周期压到90天。"
        >>> b = "第一批共9家企业以专利出质，拿到5230万元贷款，利率平均4.05%，处置压缩到90天内。"
        >>> c = "全年开行国际班列386列，运送邮件1100余万件，覆盖欧洲36国。"
        >>> [(pair.first, pair.second) for pair in find_pairs([a, b, c])]
        [(0, 1)]
    """
    import math

    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer

    if len(texts) < 2:
        return []
    plain = [compact(text) for text in texts]
    if not any(plain):
        return []
    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True, dtype=np.float32)
    matrix = vectorizer.fit_transform(plain)
    marks = [_marks(text) for text in texts]
    spread = Counter(mark for group in marks for mark in group)
    # A mark that half of all texts hold says nothing; one that two hold says much.
    weight = {mark: math.log((len(texts) + 1) / count) + 0.1 for mark, count in spread.items()}
    rare = math.log((len(texts) + 1) / 2) + 0.1
    meaning = None if vectors is None else np.asarray(vectors, np.float32)
    found: list[Pair] = []
    seen: set[tuple[int, int]] = set()
    todo = _neighbours(matrix, plain, threshold * 0.3)
    for first, second, characters in todo:
        pair = (min(first, second), max(first, second))
        if first == second or pair in seen:
            continue
        seen.add(pair)
        share, total = _shared(marks[first], marks[second], weight)
        likeness = _join(characters, share, total / rare)
        if meaning is not None:
            likeness = 0.8 * likeness + 0.2 * max(0.0, min(1.0, float(meaning[first] @ meaning[second])))
        if likeness >= threshold:
            found.append(Pair(*pair, round(likeness, 3)))
    return sorted(found, key=lambda pair: (-pair.similarity, pair.first, pair.second))


def _neighbours(matrix: Any, plain: Sequence[str], least: float) -> list[tuple[int, int, float]]:
    """Return (text, text, cosine) of the pairs worth comparing closely: all of a few, the nearest of many."""
    import numpy as np
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

    count = matrix.shape[0]
    if count <= _FEW:
        cosines = (matrix @ matrix.T).toarray()
        rows, columns = np.nonzero(np.triu(cosines, 1) >= least)
        return [(r, c, float(cosines[r, c])) for r, c in zip(rows.tolist(), columns.tolist(), strict=True)]
    # Rare n-grams alone find the neighbours: common ones would make every product dense.
    # They are hashed, for a dictionary of them would take more room than all else.
    hasher = HashingVectorizer(
        analyzer="char", ngram_range=(3, 4), n_features=2**20, alternate_sign=False, norm=None, dtype=np.float32
    )
    counts = hasher.transform(plain)
    spread = np.bincount(counts.indices, minlength=counts.shape[1])
    kept = np.flatnonzero((spread >= 2) & (spread <= max(20, count // 50)))
    signs = TfidfTransformer(sublinear_tf=True).fit_transform(counts[:, kept]).astype(np.float32).tocsr()
    found: list[tuple[int, int, float]] = []
    for start in range(0, count, _BLOCK):
        block = (signs[start : start + _BLOCK] @ signs.T).tocsr()
        firsts: list[int] = []
        seconds: list[int] = []
        for row in range(block.shape[0]):
            places = block.indices[block.indptr[row] : block.indptr[row + 1]]
            values = block.data[block.indptr[row] : block.indptr[row + 1]]
            nearest = places[np.argsort(-values, kind="stable")[: _NEIGHBOURS + 1]]
            firsts += [start + row] * len(nearest)
            seconds += nearest.tolist()
        # A few hundred pairs at a time: their n-grams side by side take far more room than the texts.
        for at in range(0, len(firsts), _PAIRS):
            one, other = firsts[at : at + _PAIRS], seconds[at : at + _PAIRS]
            cosines = np.asarray(matrix[one].multiply(matrix[other]).sum(axis=1)).ravel().tolist()
            found += [(a, b, c) for a, b, c in zip(one, other, cosines, strict=True) if a != b and c >= least]
    return found


def _join(characters: float, share: float, rare_marks: float) -> float:
    """One likeness from the likeness of characters and the marks shared.

    Marks count in full only where there are several: one figure in common is chance.
    """
    trust = min(1.0, rare_marks / 3.0)
    return min(1.0, max(characters * 1.15 if characters > 0.6 else characters, characters + 0.55 * share * trust))


def groups(count: int, pairs: Sequence[Pair]) -> list[int]:
    """Return for each text the place of the first text of its group.

    Example:
        >>> groups(4, [Pair(0, 2, 0.9), Pair(2, 3, 0.8)])
        [0, 1, 0, 0]
    """
    first = list(range(count))

    def root(item: int) -> int:
        while first[item] != item:
            first[item] = first[first[item]]
            item = first[item]
        return item

    for pair in pairs:
        a, b = sorted((root(pair.first), root(pair.second)))
        first[b] = a
    return [root(item) for item in range(count)]
