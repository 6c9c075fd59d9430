"""Fine-tuning of the sentence model on tasks: an adapter over its upper layers and a linear head a scheme."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pipeline.classification.features import window
from pipeline.encoding.adapters import AdapterOptions, AdapterTraining, average_adapters

SCALE = 20.0
"""What a centred unit vector is multiplied with before its head."""


@dataclass(frozen=True)
class Example:
    """A text with its classes by scheme."""

    text: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class ClassifierTuning:
    """Sizes and rates of the fine-tuning."""

    adapter: AdapterOptions = field(
        default_factory=lambda: AdapterOptions(epochs=3, learning_rate=4e-4, rank=8, first_layer=6, max_tokens=112)
    )
    batch: int = 32
    passages: int = 6
    """Passages beside each batch of tasks."""
    smoothing: float = 0.05
    """Share of each label that is spread over the other classes: annotators differ."""
    runs: int = 2
    """Trainings from different seeds, whose adapters and heads are averaged."""


Heads = dict[str, tuple[np.ndarray, np.ndarray]]


def finetune(
    tasks: Sequence[Example],
    passages: Sequence[Example],
    classes: Mapping[str, Sequence[str]],
    folder: str | Path,
    tuning: ClassifierTuning | None = None,
    progress: Callable[[str], None] | None = None,
) -> tuple[Heads, np.ndarray]:
    """Train an adapter and heads; save the adapter, return the heads and the centre of the vectors.

    Args:
        tasks: task texts with their classes; each is seen once an epoch.
        passages: other texts with some of the classes; a few stand beside each batch.
        classes: the classes of each scheme.
        folder: where the adapter is saved.
        tuning: sizes and rates.
        progress: called with a line now and then.

    Returns:
        By scheme the weights (classes, dimensions) and the bias (classes) over SCALE times the centred unit vector;
        and the centre: the sentence model puts all texts into one narrow cone.
    """
    tuning = tuning or ClassifierTuning()
    say = progress or (lambda _: None)
    learnt = []
    with tempfile.TemporaryDirectory() as scratch:
        parts = [Path(scratch) / str(run) for run in range(tuning.runs)]
        for run, part in enumerate(parts):
            options = dataclasses.replace(tuning.adapter, seed=tuning.adapter.seed + run)
            learnt.append(_finetune(tasks, passages, classes, part, dataclasses.replace(tuning, adapter=options), say))
            say(f"第{run + 1}次训练完成，共 {tuning.runs} 次")
        average_adapters(parts, folder)
    heads = {
        scheme: (
            np.mean([found[scheme][0] for found, _ in learnt], axis=0),
            np.mean([found[scheme][1] for found, _ in learnt], axis=0),
        )
        for scheme in classes
    }
    return heads, np.mean([centre for _, centre in learnt], axis=0)


def _finetune(
    tasks: Sequence[Example],
    passages: Sequence[Example],
    classes: Mapping[str, Sequence[str]],
    folder: Path,
    tuning: ClassifierTuning,
    say: Callable[[str], None],
) -> tuple[Heads, np.ndarray]:
    """Train once; as finetune."""
    import torch

    random = np.random.default_rng(tuning.adapter.seed)
    training = AdapterTraining("", tuning.adapter)
    batches = -(-len(tasks) // tuning.batch)
    steps = tuning.adapter.epochs * batches
    # Only the passages that will be seen go through the lower layers.
    seen = random.permutation(len(passages))[: steps * tuning.passages]
    everything = [*tasks, *(passages[i] for i in seen)]
    hidden = training.lower([window(example.text) for example in everything], "query")
    say(f"已计算 {len(hidden)} 条文本的下层表示")
    targets = {
        scheme: torch.tensor([_index(names, example.labels.get(scheme)) for example in everything])
        for scheme, names in classes.items()
    }
    heads = {scheme: torch.nn.Linear(hidden[0].shape[1], len(names)) for scheme, names in classes.items()}
    parameters = [parameter for head in heads.values() for parameter in head.parameters()]
    for parameter in parameters:
        torch.nn.init.zeros_(parameter)
    sample = random.permutation(len(tasks))[:512]
    with torch.no_grad():
        centre = torch.cat(
            [training.embed([hidden[j] for j in sample[i : i + 64]]) for i in range(0, len(sample), 64)]
        ).mean(0)
    optimiser, schedule = training.optimiser(parameters, steps)
    total = 0.0
    for step in range(steps):
        if step % batches == 0:
            order = random.permutation(len(tasks))
        chosen = order[step % batches * tuning.batch :][: tuning.batch]
        if len(seen):
            beside = random.choice(len(seen), min(tuning.passages, len(seen)), replace=False)
            chosen = np.concatenate([chosen, len(tasks) + beside])
        vectors = SCALE * (training.embed([hidden[i] for i in chosen]) - centre)
        loss = torch.zeros(())
        for scheme, head in heads.items():
            truth = targets[scheme][chosen]
            known = truth >= 0
            if not bool(known.any()):
                continue
            loss = loss + torch.nn.functional.cross_entropy(
                head(vectors[known]), truth[known], label_smoothing=tuning.smoothing
            )
        training.step(loss, optimiser, schedule)
        total += float(loss.detach())
        if (step + 1) % 10 == 0:
            say(f"第{step // batches + 1}轮 {step + 1}/{steps} 步 损失{total / 10:.3f}")
            total = 0.0
    training.save(folder)
    found = {
        scheme: (head.weight.detach().numpy().copy(), head.bias.detach().numpy().copy())
        for scheme, head in heads.items()
    }
    return found, centre.numpy()


def _index(names: Sequence[str], value: str | None) -> int:
    """Return the place of a class, -1 where there is none."""
    return list(names).index(value) if value is not None and value in names else -1
