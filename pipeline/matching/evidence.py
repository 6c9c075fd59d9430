"""The span of a passage that carries a link, the part of the task it answers, and why."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.encoding import Encoder
from pipeline.records import Evidence, Passage, Task
from pipeline.text import clauses, clean, sentences, words

# Words that stand in most tasks: that a passage has them too is no reason.
_COMMON = frozenset(
    (
        "开展", "推进", "推动", "支持", "探索", "建立", "加强", "服务", "企业", "工作", "建设", "发展", "相关", "机制",
        "制度", "国际", "市场", "实施", "进一步", "业务", "管理", "改革", "试点",
    )
)  # fmt: skip


def _spans(text: str) -> list[tuple[int, int]]:
    """Sentences of a text; a text of one sentence is split into runs of clauses."""
    spans = sentences(text)
    if len(spans) > 1:
        return spans
    parts = clauses(text)
    if len(parts) < 3:
        return spans or [(0, len(text))]
    return [(parts[i][0], parts[min(i + 1, len(parts) - 1)][1]) for i in range(len(parts) - 1)]


def find_evidence(pairs: Sequence[tuple[Passage, Task]], encoder: Encoder) -> list[Evidence]:
    """Return the evidence of each (passage, task) pair: the span nearest to the task by the sentence model.

    Args:
        pairs: linked passages and tasks.
        encoder: the tuned sentence model.
    """
    spans = [_spans(passage.text) for passage, _ in pairs]
    texts = [clean(passage.text[a:b]) for (passage, _), found in zip(pairs, spans, strict=True) for a, b in found]
    parts = [[clean(task.text[a:b]) for a, b in clauses(task.text)] or [task.text] for _, task in pairs]
    if not pairs:
        return []
    span_vectors = encoder.encode(texts)
    task_vectors = encoder.encode([task.text for _, task in pairs], "passage")
    flat = [part for group in parts for part in group]
    part_vectors = encoder.encode(flat, "passage")
    evidence, at, part_at = [], 0, 0
    for (passage, task), found, group, task_vector in zip(pairs, spans, parts, task_vectors, strict=True):
        vectors = span_vectors[at : at + len(found)]
        at += len(found)
        best = int(np.argmax(vectors @ task_vector))
        start, end = found[best]
        answers = part_vectors[part_at : part_at + len(group)] @ vectors[best]
        part_at += len(group)
        answered = [group[i].strip("，。；、") for i in np.argsort(-answers)[: 1 if len(group) < 4 else 2]]
        evidence.append(
            Evidence(start, end, passage.text[start:end], _why(passage, task, passage.text[start:end]), tuple(answered))
        )
    return evidence


def _why(passage: Passage, task: Task, span: str) -> str:
    known = set(words(clean(task.text))) - _COMMON
    shared = [word for word in dict.fromkeys(words(clean(span))) if word in known and len(word) > 1]
    reasons = [f"相同词：{'、'.join(shared[:5])}" if shared else "语义相近（无相同词）"]
    named = [unit for unit in task.lead_units if unit in passage.text or unit in passage.issuer]
    if named:
        reasons.append(f"牵头单位：{'、'.join(named)}")
    if passage.heading:
        reasons.append(f"标题：{passage.heading[-1]}")
    return "；".join(reasons)
