"""Read a passage and a task together: the second, closer look at candidates that are not clear.

The lower layers of the sentence model read each text alone, once; from the cut on, passage and task go through the
upper layers side by side, so that each word of one can look at the words of the other (the late joining of PreTTR,
MacAvaney et al. 2020). That saves half of what a cross-encoder costs: the lower layers read a passage once, not once
for each candidate. The attention between the two starts damped, and the grade from the cosine of their means: before
it learns, the cross-encoder is the fine-tuned sentence model with a little more sight, and some thousands of pairs are
enough to teach it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.encoding import BATCH_SIZE
from pipeline.encoding.adapters import AdapterOptions, AdapterTraining, SplitModel
from pipeline.errors import ModelNotFoundError
from pipeline.matching.corpus import LabelledPassage
from pipeline.matching.finetuning import with_title
from pipeline.records import Passage, Task

if TYPE_CHECKING:
    import torch

Progress = Callable[[int, int], None]
GRADES = 3
"""Grades 0 (no), 1 (related), 2 (carries out)."""
_PORTION = 512
"""Pairs whose passages are held in memory at a time."""
_FILE = "head.safetensors"
_BIAS = -3.0
"""Added to the attention between passage and task: at 0 each drowns in the other before anything is learnt."""
_STEEPNESS, _MIDDLE = 30.0, 0.82
"""Of the grade's log-odds over the cosine, before anything is learnt."""


@dataclass(frozen=True)
class CrossOptions(AdapterOptions):
    """What the training of the cross-encoder depends on, beside the corpus."""

    epochs: int = 1
    learning_rate: float = 3e-4
    batch: int = 32
    """Pairs a step."""
    tasks: int = 3
    """Tasks a passage is read with in an epoch: those labelled, the rest near misses."""
    title_share: float = 0.7
    """Share of the passages that are shown with the title of their document."""


class CrossEncoder:
    """The trained cross-encoder.

    Args:
        folder: its adapter and heads.
        model: the sentence model under it; "" is the default.
        options: the sizes it was trained with.

    Raises:
        ModelNotFoundError: a file is missing or damaged (at the first use).
    """

    def __init__(self, folder: str | Path, model: str = "", options: CrossOptions = CrossOptions()) -> None:
        self.folder = Path(folder)
        self.model = model
        self.options = options
        self._split: SplitModel | None = None
        self._head: _Head | None = None

    def _load(self) -> tuple[SplitModel, _Head]:
        from safetensors import SafetensorError

        if self._split is None or self._head is None:
            options = self.options
            try:
                self._split = SplitModel(self.model, options.first_layer, options.max_tokens, str(self.folder))
                self._head = _Head.load(self.folder / _FILE)
            except (OSError, KeyError, SafetensorError) as error:
                raise ModelNotFoundError(
                    f"{self.folder}：交叉编码器缺失或损坏（{error}）。请运行 shidian train linker。"
                ) from error
        return self._split, self._head

    def score(self, pairs: Sequence[tuple[Passage, Task]], progress: Progress | None = None) -> np.ndarray:
        """Return log-probabilities of the grades 0, 1 and 2, shape (pairs, 3).

        Args:
            pairs: passages with cleaned texts, and tasks.
            progress: called with (done, all).
        """
        import torch

        grades = np.zeros((len(pairs), GRADES), np.float32)
        if not pairs:
            return grades
        split, head = self._load()
        tasks = _lower(split, [task.text for _, task in pairs], "passage")
        order = sorted(range(len(pairs)), key=lambda i: (len(pairs[i][0].text), i))
        # Passages go through in portions: the states of thousands of them would not fit into memory.
        for start in range(0, len(order), _PORTION):
            rows = order[start : start + _PORTION]
            passages = _lower(split, [with_title(pairs[i][0]) for i in rows], "query")
            # Pairs of like length go through together: padding costs as much as text.
            places = sorted(range(len(rows)), key=lambda at: len(passages[at]) + len(tasks[rows[at]]))
            for at in range(0, len(places), BATCH_SIZE):
                part = places[at : at + BATCH_SIZE]
                with torch.no_grad():
                    logits = head(split, [passages[k] for k in part], [tasks[rows[k]] for k in part])
                grades[[rows[k] for k in part]] = torch.log_softmax(logits, -1).numpy()
            if progress:
                progress(min(start + _PORTION, len(order)), len(order))
        return grades


def _lower(split: SplitModel, texts: Sequence[str], prompt: str) -> list[torch.Tensor]:
    """States of the lower layers, each different text read once."""
    unique = list(dict.fromkeys(texts))
    states = dict(zip(unique, split.lower(unique, prompt), strict=True))
    return [states[text] for text in texts]


class _Head:
    """A linear head over the products of the means of passage and task."""

    def __init__(self, dimensions: int) -> None:
        import torch

        self.linear = torch.nn.Linear(dimensions, GRADES)
        with torch.no_grad():
            # The sum of the products is the cosine: the likelier the pair, the higher the grade.
            steepness = torch.tensor([0.0, 0.5, 1.0]) * _STEEPNESS
            self.linear.weight[:] = steepness[:, None] / dimensions**0.5
            self.linear.bias[:] = -steepness * _MIDDLE

    def __call__(
        self, split: SplitModel, passages: Sequence[torch.Tensor], tasks: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """Return the logits of the grades of pairs that went through the lower layers."""
        import torch

        passage, task = (torch.nn.functional.normalize(mean, dim=-1) for mean in split.join(passages, tasks, _BIAS))
        logits: torch.Tensor = self.linear(passage * task * passage.shape[-1] ** 0.5)
        return logits

    def save(self, path: Path) -> None:
        from safetensors.torch import save_file

        save_file({name: value.detach().contiguous() for name, value in self.linear.state_dict().items()}, path)
        path.chmod(0o644)  # it is written for its owner alone

    @classmethod
    def load(cls, path: Path) -> _Head:
        from safetensors.torch import load_file

        values = load_file(path)
        head = cls(values["weight"].shape[1])
        head.linear.load_state_dict(values)
        return head


def train_cross_encoder(
    model: str,
    notices: dict[str, list[Task]],
    examples: Sequence[LabelledPassage],
    near: Sequence[Sequence[int]],
    folder: str | Path,
    options: CrossOptions = CrossOptions(),
    start: str = "",
    progress: Callable[[str], None] = lambda message: None,
) -> None:
    """Train the cross-encoder on labelled passages and save it to a folder.

    Args:
        model: the sentence model; "" is the default.
        notices: tasks by notice.
        examples: labelled passages with cleaned texts.
        near: for each passage the rows of its likeliest tasks, best first; those not labelled are the near misses.
        folder: where adapter and heads go.
        options: sizes, rates and seed.
        start: folder of an adapter to go on from.
        progress: called with a line now and then.
    """
    import torch

    draw = random.Random(options.seed)
    training = AdapterTraining(model, options, start)
    head = _Head(training.dimensions)
    texts = [with_title(e.passage) if draw.random() < options.title_share else e.passage.text for e in examples]
    progress(f"计算 {len(texts)} 个段落的底层表示")
    passages = training.lower(texts, "query")
    tasks = {notice: training.lower([task.text for task in group], "passage") for notice, group in notices.items()}
    rows = {notice: {task.no: row for row, task in enumerate(group)} for notice, group in notices.items()}
    epochs = [_pairs(examples, near, rows, options, draw) for _ in range(options.epochs)]
    steps = sum(-(-len(pairs) // options.batch) for pairs in epochs)
    optimiser, schedule = training.optimiser(list(head.linear.parameters()), steps)
    step, smooth = 0, 0.0
    for epoch, pairs in enumerate(epochs, 1):
        lengths = [len(passages[p.example]) + len(tasks[examples[p.example].notice][p.row]) for p in pairs]
        for batch in _batches(pairs, lengths, options.batch, draw):
            logits = head(
                training,
                [passages[pair.example] for pair in batch],
                [tasks[examples[pair.example].notice][pair.row] for pair in batch],
            )
            loss = torch.nn.functional.cross_entropy(
                logits, torch.tensor([pair.grade for pair in batch]), label_smoothing=0.02
            )
            training.step(loss, optimiser, schedule)
            step += 1
            smooth += (loss.item() - smooth) / min(step, 50)
            if step % 20 == 0 or step == steps:
                progress(f"第{epoch}轮 {step}/{steps} 步 损失{smooth:.3f}")
    training.save(folder)
    head.save(Path(folder) / _FILE)


@dataclass(frozen=True)
class _Pair:
    """A passage, the row of a task, and the grade."""

    example: int
    row: int
    grade: int


def _pairs(
    examples: Sequence[LabelledPassage],
    near: Sequence[Sequence[int]],
    rows: dict[str, dict[int, int]],
    options: CrossOptions,
    draw: random.Random,
) -> list[_Pair]:
    """Draw the pairs of one epoch: each passage with its labelled tasks and near misses, the nearest likelier."""
    pairs = []
    for number, example in enumerate(examples):
        known = {rows[example.notice][no]: grade for no, grade in example.grades.items()}
        labelled = sorted(known, key=lambda row: -known[row])[: options.tasks]
        missed = [row for row in near[number] if row not in known]
        missed = sorted(missed, key=lambda row: missed.index(row) * draw.uniform(0.3, 1.0))
        chosen = [*labelled, *missed[: max(1, options.tasks - len(labelled))]]
        pairs += [_Pair(number, row, known.get(row, 0)) for row in chosen]
    return pairs


def _batches(pairs: Sequence[_Pair], lengths: Sequence[int], size: int, draw: random.Random) -> list[list[_Pair]]:
    """Batches of pairs of like length, in random order."""
    order = sorted(range(len(pairs)), key=lambda i: lengths[i] * draw.uniform(0.9, 1.1))
    batches = [[pairs[i] for i in order[start : start + size]] for start in range(0, len(order), size)]
    draw.shuffle(batches)
    return batches
