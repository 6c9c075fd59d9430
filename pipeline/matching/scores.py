"""Figures of links against labelled passages.

hit@1, hit@5 and map over passages with a grade-2 link; precision, recall and F1
of filed links over all passages, where a grade-1 task counts neither way; abstain_f1 over the passages without any
link; auto_coverage, the largest share of true links that can be filed unread at a precision of 0.97; ece, the
expected calibration error of filed links in ten bins; status_acc over passages with a grade-2 link.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.matching.corpus import LabelledPassage

AUTO_PRECISION = 0.97
_BINS = 10


@dataclass(frozen=True)
class Answer:
    """What a system says of one passage: task numbers best first, links with probability, status."""

    candidates: Sequence[int]
    links: Sequence[tuple[int, float]] = ()
    status: str = ""


def score_links(examples: Sequence[LabelledPassage], answers: Sequence[Answer]) -> dict[str, float]:
    """Return the link figures of answers against labelled passages.

    Example:
        >>> score_links([], [])["link_f1"]
        0.0
    """
    hit1 = hit5 = average = linked = status = 0.0
    right = wrong = total = 0
    abstained, wrongly, missed = 0, 0, 0
    filed: list[tuple[float, int]] = []
    for example, answer in zip(examples, answers, strict=True):
        carried = {no for no, grade in example.grades.items() if grade == 2}
        related = {no for no, grade in example.grades.items() if grade == 1}
        if carried:
            linked += 1
            hit1 += bool(answer.candidates) and answer.candidates[0] in carried
            hit5 += bool(set(answer.candidates[:5]) & carried)
            ranks = [rank for rank, no in enumerate(answer.candidates) if no in carried]
            average += sum((k + 1) / (rank + 1) for k, rank in enumerate(ranks)) / len(carried)
            status += answer.status == example.status
        total += len(carried)
        for no, probability in answer.links:
            if no in carried or no not in related:
                filed.append((probability, int(no in carried)))
                right += no in carried
                wrong += no not in carried
        abstained += not answer.links and not example.grades
        wrongly += not answer.links and bool(carried)
        missed += bool(answer.links) and not example.grades
    return {
        "passages": float(len(examples)),
        "hit@1": hit1 / max(1, linked),
        "hit@5": hit5 / max(1, linked),
        "map": average / max(1, linked),
        "link_p": right / max(1, right + wrong),
        "link_r": right / max(1, total),
        "link_f1": 2 * right / max(1, 2 * right + wrong + total - right),
        "abstain_f1": 2 * abstained / max(1, 2 * abstained + wrongly + missed),
        "auto_coverage": _auto_coverage(filed, total),
        "ece": calibration_error(filed),
        "status_acc": status / max(1, linked),
    }


def score_signed(examples: Sequence[LabelledPassage], answers: Sequence[Answer], least: float) -> dict[str, float]:
    """Return how often links of at least a probability are right, and which share of the true links they are.

    Unlike auto_coverage, which takes the cut that turns out best on these very passages, this is what an office gets
    that signs at that probability.

    Args:
        examples: labelled passages.
        answers: of the same order.
        least: probability from which on a link is signed unread.
    """
    signed = [
        example.grades.get(no) == 2
        for example, answer in zip(examples, answers, strict=True)
        for no, probability in answer.links
        if probability >= least and example.grades.get(no) != 1
    ]
    total = sum(grade == 2 for example in examples for grade in example.grades.values())
    return {"sign_precision": sum(signed) / max(1, len(signed)), "sign_coverage": sum(signed) / max(1, total)}


def _auto_coverage(filed: Sequence[tuple[float, int]], total: int) -> float:
    best = right = 0
    ranked = sorted(filed, reverse=True)
    for place, (probability, good) in enumerate(ranked):
        right += good
        last = place + 1 == len(ranked) or ranked[place + 1][0] < probability
        if last and right / (place + 1) >= AUTO_PRECISION:
            best = right
    return best / max(1, total)


def calibration_error(pairs: Sequence[tuple[float, int]]) -> float:
    """Return the expected calibration error of (probability, right) pairs in ten bins (Naeini et al. 2015).

    Example:
        >>> calibration_error([(0.75, 1), (0.75, 1), (0.75, 1), (0.75, 0)])
        0.0
    """
    bins: dict[int, list[tuple[float, int]]] = {}
    for probability, good in pairs:
        bins.setdefault(min(_BINS - 1, int(probability * _BINS)), []).append((probability, good))
    error = sum(abs(sum(p for p, _ in group) - sum(g for _, g in group)) for group in bins.values())
    return error / max(1, len(pairs))
