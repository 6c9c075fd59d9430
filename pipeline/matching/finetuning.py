"""Fine-tune the sentence model on labelled passages: a LoRA adapter that brings a passage near its tasks.

Each step takes passages of one notice, so that the other tasks in the batch are near neighbours. The loss is the
cross-entropy of each passage over the tasks of the batch and "none of them", whose place is a learnt cosine:
abstention is learnt together with ranking.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.encoding import Encoder
from pipeline.encoding.adapters import AdapterOptions, AdapterTraining
from pipeline.matching.corpus import LabelledPassage
from pipeline.records import Passage, Task

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class FinetuningOptions(AdapterOptions):
    """What the fine-tuning depends on, beside the corpus."""

    passages: int = 16
    """Passages a step."""
    tasks: int = 32
    """Tasks a step at most: those of the passages, the rest hard negatives."""
    title_share: float = 0.5
    """Share of the passages that are shown with the title of their document."""


def with_title(passage: Passage) -> str:
    """Return the passage's text with its document's title and nearest heading before it."""
    context = [part for part in (passage.title, *passage.heading[-1:]) if part]
    return "：".join([*dict.fromkeys(context), passage.text])


def finetune(
    encoder: Encoder,
    notices: dict[str, list[Task]],
    examples: Sequence[LabelledPassage],
    folder: str | Path,
    options: FinetuningOptions = FinetuningOptions(),
    progress: Callable[[str], None] = lambda message: None,
) -> None:
    """Train an adapter over the encoder's model and save it to a folder (PEFT format, safetensors).

    Args:
        encoder: the base model, without adapter.
        notices: tasks by notice.
        examples: labelled passages; their notices must be among notices.
        folder: where the adapter goes.
        options: seed, sizes, rates.
        progress: called with a line now and then.
    """
    import torch

    torch.manual_seed(options.seed)
    draw = random.Random(options.seed)
    hard = nearest_tasks(encoder, notices, examples)
    rows = {notice: {task.no: row for row, task in enumerate(tasks)} for notice, tasks in notices.items()}
    network = AdapterTraining(encoder.model, options)
    texts = [
        with_title(example.passage) if draw.random() < options.title_share else example.passage.text
        for example in examples
    ]
    progress(f"计算 {len(texts)} 个段落的底层表示")
    passages = network.lower(texts, "query")
    tasks = {notice: network.lower([task.text for task in tasks], "passage") for notice, tasks in notices.items()}
    log_scale = torch.nn.Parameter(torch.tensor(math.log(30.0)))
    none = torch.nn.Parameter(torch.tensor(0.85))
    steps = options.epochs * len(_batches(examples, options.passages, random.Random(0)))
    optimiser, schedule = network.optimiser([log_scale, none], steps)
    step, smooth = 0, 0.0
    for epoch in range(options.epochs):
        for batch in _batches(examples, options.passages, draw):
            notice = examples[batch[0]].notice
            columns = _columns(
                [examples[i] for i in batch], [hard[i] for i in batch], rows[notice], options.tasks, draw
            )
            target = _target([examples[i].grades for i in batch], [rows[notice]] * len(batch), columns)
            here = network.embed([passages[i] for i in batch])
            there = network.embed([tasks[notice][row] for row in columns])
            likeness = torch.cat([here @ there.T, none.expand(len(batch), 1)], dim=1)
            loss = torch.nn.functional.cross_entropy(likeness * log_scale.exp(), target)
            network.step(loss, optimiser, schedule)
            step += 1
            smooth += (loss.item() - smooth) / min(step, 50)
            if step % 20 == 0 or step == steps:
                progress(
                    f"第{epoch + 1}轮 {step}/{steps} 步 损失{smooth:.3f} "
                    f"尺度{log_scale.exp().item():.1f} 空位{none.item():.3f}"
                )
    network.save(folder)


def nearest_tasks(
    encoder: Encoder, notices: dict[str, list[Task]], examples: Sequence[LabelledPassage]
) -> list[list[int]]:
    """Return for each passage the rows of its twelve likeliest tasks, best first: hard negatives where not labelled."""
    vectors = {notice: encoder.encode([task.text for task in tasks], "passage") for notice, tasks in notices.items()}
    queries = encoder.encode([example.passage.text for example in examples])
    return [
        np.argsort(-(vectors[example.notice] @ query))[:12].tolist()
        for example, query in zip(examples, queries, strict=True)
    ]


def _target(grades: Sequence[dict[int, int]], rows: Sequence[dict[int, int]], columns: Sequence[int]) -> torch.Tensor:
    """Return the true distribution of each passage over the columns and "none of them"."""
    import torch

    place = {row: column for column, row in enumerate(columns)}
    target = torch.zeros(len(grades), len(columns) + 1)
    for at, (known, row) in enumerate(zip(grades, rows, strict=True)):
        carried = [place[row[no]] for no, grade in known.items() if grade == 2]
        related = [place[row[no]] for no, grade in known.items() if grade == 1]
        if carried:
            target[at, carried] = 1 / len(carried)
        elif related:  # related, but carries out none: between the two
            target[at, related] = 0.5 / len(related)
            target[at, -1] = 0.5
        else:
            target[at, -1] = 1
    return target


def _batches(examples: Sequence[LabelledPassage], size: int, draw: random.Random) -> list[list[int]]:
    """Split the examples into batches of one notice each, in random order; texts of like length stand together."""
    by_notice: dict[str, list[int]] = {}
    for number, example in enumerate(examples):
        by_notice.setdefault(example.notice, []).append(number)
    batches = []
    for numbers in by_notice.values():
        # Padding costs as much as text; a little disorder keeps the batches different from round to round.
        order = sorted(numbers, key=lambda i: len(examples[i].passage.text) * draw.uniform(0.75, 1.25))
        count = max(1, round(len(order) / size))
        batches += [order[len(order) * i // count : len(order) * (i + 1) // count] for i in range(count)]
    draw.shuffle(batches)
    return batches


def _columns(
    examples: Sequence[LabelledPassage], hard: Sequence[list[int]], rows: dict[int, int], most: int, draw: random.Random
) -> list[int]:
    """Return the rows of the tasks to compare with: those labelled, then hard negatives in turn."""
    columns = list(dict.fromkeys(rows[no] for example in examples for no in example.grades))
    pools = [[row for row in pool if row not in columns] for pool in hard]
    for pool in pools:
        draw.shuffle(pool)
    while len(columns) < most and any(pools):
        for pool in pools:
            if pool and len(columns) < most and (row := pool.pop()) not in columns:
                columns.append(row)
    return columns
