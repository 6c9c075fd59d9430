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

import numpy as np

from pipeline.encoding import Encoder
from pipeline.matching.corpus import LabelledPassage
from pipeline.records import Passage, Task


@dataclass(frozen=True)
class FinetuningOptions:
    """What the fine-tuning depends on, beside the corpus."""

    seed: int = 20210804
    epochs: int = 3
    passages: int = 16
    """Passages a step."""
    tasks: int = 32
    """Tasks a step at most: those of the passages, the rest hard negatives."""
    learning_rate: float = 3e-4
    rank: int = 16
    """Rank of the adapter's matrices."""
    first_layer: int = 4
    """Layers below keep their weights: a third of the time saved, nothing lost that could be measured."""
    title_share: float = 0.5
    """Share of the passages that are shown with the title of their document."""
    max_tokens: int = 256


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
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(options.seed)
    draw = random.Random(options.seed)
    task_vectors = {
        notice: encoder.encode([task.text for task in tasks], "passage") for notice, tasks in notices.items()
    }
    vectors = encoder.encode([example.passage.text for example in examples])
    hard = []  # for each passage the rows of the likeliest tasks by the base model
    for example, vector in zip(examples, vectors, strict=True):
        hard.append(np.argsort(-(task_vectors[example.notice] @ vector))[:12].tolist())
    rows = {notice: {task.no: row for row, task in enumerate(tasks)} for notice, tasks in notices.items()}

    model = Encoder(encoder.model).load()
    tokenizer = model.tokenizer
    network = get_peft_model(
        model[0].auto_model,
        LoraConfig(
            r=options.rank,
            lora_alpha=2 * options.rank,
            layers_to_transform=list(range(options.first_layer, model[0].auto_model.config.num_hidden_layers)),
            layers_pattern="layer",
            target_modules=["query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"],
        ),
    )
    network.train()
    log_scale = torch.nn.Parameter(torch.tensor(math.log(30.0)))
    none = torch.nn.Parameter(torch.tensor(0.85))
    weights = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(
        [
            {"params": weights, "lr": options.learning_rate, "weight_decay": 0.01},
            {"params": [log_scale, none], "lr": 3e-3},
        ]
    )
    steps_an_epoch = len(_batches(examples, options.passages, random.Random(0)))
    steps = steps_an_epoch * options.epochs
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda step: min(1.0, (step + 1) / (0.08 * steps)) * max(0.02, 0.5 + 0.5 * math.cos(math.pi * step / steps)),
    )

    def embed(texts: list[str], prompt: str) -> torch.Tensor:
        batch = tokenizer(
            [prompt + text for text in texts],
            padding=True,
            truncation=True,
            max_length=options.max_tokens,
            return_tensors="pt",
        )
        hidden = network(**batch).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1)
        pooled = (hidden * mask).sum(1) / mask.sum(1)
        return torch.nn.functional.normalize(pooled.float(), dim=-1)

    query, document = model.prompts.get("query", ""), model.prompts.get("passage", "")
    step, smooth = 0, 0.0
    for epoch in range(options.epochs):
        for batch in _batches(examples, options.passages, draw):
            notice = examples[batch[0]].notice
            columns = _columns(
                [examples[i] for i in batch], [hard[i] for i in batch], rows[notice], options.tasks, draw
            )
            place = {row: column for column, row in enumerate(columns)}
            texts = [
                with_title(examples[i].passage) if draw.random() < options.title_share else examples[i].passage.text
                for i in batch
            ]
            target = torch.zeros(len(batch), len(columns) + 1)
            for at, i in enumerate(batch):
                grades = examples[i].grades
                carried = [place[rows[notice][no]] for no, grade in grades.items() if grade == 2]
                related = [place[rows[notice][no]] for no, grade in grades.items() if grade == 1]
                if carried:
                    target[at, carried] = 1 / len(carried)
                elif related:  # related, but carries out none: between the two
                    target[at, related] = 0.5 / len(related)
                    target[at, -1] = 0.5
                else:
                    target[at, -1] = 1
            with torch.autocast("cpu", dtype=torch.bfloat16):
                passages = embed(texts, query)
                tasks = embed([notices[notice][row].text for row in columns], document)
            likeness = torch.cat([passages @ tasks.T, none.expand(len(batch), 1)], dim=1)
            loss = torch.nn.functional.cross_entropy(likeness * log_scale.exp(), target)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimiser.step()
            schedule.step()
            step += 1
            smooth += (loss.item() - smooth) / min(step, 50)
            if step % 20 == 0 or step == steps:
                progress(
                    f"第{epoch + 1}轮 {step}/{steps} 步 损失{smooth:.3f} 尺度{log_scale.exp().item():.1f} 空位{none.item():.3f}"
                )
    network.save_pretrained(str(folder))
    readme = Path(folder) / "README.md"
    if readme.exists():
        readme.unlink()  # PEFT's empty card; the card of the whole folder says it all


def _batches(examples: Sequence[LabelledPassage], size: int, draw: random.Random) -> list[list[int]]:
    """Split the examples into batches of one notice each, in random order."""
    by_notice: dict[str, list[int]] = {}
    for number, example in enumerate(examples):
        by_notice.setdefault(example.notice, []).append(number)
    batches = []
    for numbers in by_notice.values():
        draw.shuffle(numbers)
        count = max(1, round(len(numbers) / size))
        batches += [numbers[i::count] for i in range(count)]
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
