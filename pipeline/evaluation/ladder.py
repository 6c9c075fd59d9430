"""The ladder of linking methods on labelled passages, from bare words to the whole linker, with intervals and pictures.

All methods see the same passages in one run. A method that gives no probability files its best task where the score
reaches the threshold that suits it best on these very passages, which is in its favour.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.encoding import Encoder, VectorCache
from pipeline.matching import TaskMatcher
from pipeline.matching.corpus import LabelledPassage, clean_passage
from pipeline.matching.finetuning import with_title
from pipeline.matching.lexical import CharacterTfidf, WordBM25
from pipeline.matching.scores import AUTO_PRECISION, Answer, score_links
from pipeline.records import Task

Progress = Callable[[str], None]
Scorer = Callable[[Sequence[Task], Sequence[LabelledPassage]], np.ndarray]
SHOWN = ("hit@1", "hit@5", "link_f1", "abstain_f1", "auto_coverage", "ece", "status_acc")
LINKER = "the linker (+ decision)"
TFIDF = "TF-IDF, characters 2-3"
_READ = 5
"""Candidates that the bare cross-encoder reads."""


@dataclass(frozen=True)
class Rung:
    """One method's answers on one set, and how many passages a second it read."""

    method: str
    answers: list[Answer]
    speed: float


def _lexical(method: type[CharacterTfidf] | type[WordBM25]) -> Scorer:
    return lambda tasks, examples: method().fit([t.text for t in tasks]).score([e.passage.text for e in examples])


def _cosine(encoder: Encoder, titled: bool = False) -> Scorer:
    def score(tasks: Sequence[Task], examples: Sequence[LabelledPassage]) -> np.ndarray:
        texts = [with_title(e.passage) if titled else e.passage.text for e in examples]
        likeness: np.ndarray = encoder.encode(texts) @ encoder.encode([t.text for t in tasks], "passage").T
        return likeness

    return score


def _crossed(matcher: TaskMatcher) -> Scorer:
    """The cross-encoder over the likeliest few; what it does not read stands behind, in the order of likeness."""

    def score(tasks: Sequence[Task], examples: Sequence[LabelledPassage]) -> np.ndarray:
        likeness = _cosine(matcher.tuned, titled=True)(tasks, examples)
        chosen = np.argsort(-likeness, axis=1, kind="stable")[:, :_READ]
        pairs = [(e.passage, tasks[k]) for e, row in zip(examples, chosen, strict=True) for k in row]
        read = matcher.cross.score(pairs)[:, 2].reshape(chosen.shape)
        scores = likeness - 100.0
        np.put_along_axis(scores, chosen, read, axis=1)
        return scores

    return score


def file_best(
    scores: np.ndarray, tasks: Sequence[Task], examples: Sequence[LabelledPassage], steps: int = 25
) -> list[Answer]:
    """Return the answers of a bare score: the best task is filed at the threshold with the highest link F1.

    Args:
        scores: shape (passages, tasks).
        tasks: of the columns.
        examples: of the rows.
        steps: how many thresholds are tried.
    """
    numbers = [task.no for task in tasks]
    order = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    best = scores.max(1)
    tried = []
    for threshold in np.quantile(best, np.linspace(0, 0.6, steps)):
        answers = [
            Answer([numbers[k] for k in row], [(numbers[row[0]], float(b))] if b >= threshold else [])
            for row, b in zip(order, best, strict=True)
        ]
        tried.append((score_links(examples, answers)["link_f1"], answers))
    return max(tried, key=lambda pair: pair[0])[1]


def linker_answers(
    matcher: TaskMatcher, examples: Sequence[LabelledPassage], progress: Progress = lambda message: None
) -> list[Answer]:
    """Return the answers of a matcher that is fitted to the tasks."""
    numbers = {task.id: task.no for task in matcher.index.tasks}
    predictions = matcher.predict(
        [example.passage for example in examples], lambda done, count: progress(f"计算 {done}/{count}")
    )
    return [
        Answer(
            [task.no for task, _ in prediction.candidates],
            [(numbers[link.task], link.probability) for link in prediction.links],
            prediction.status.value,
        )
        for prediction in predictions
    ]


def climb(
    matcher: TaskMatcher,
    tasks: Sequence[Task],
    examples: Sequence[LabelledPassage],
    progress: Progress = lambda message: None,
) -> list[Rung]:
    """Return the answers of every method, the linker's last.

    Args:
        matcher: the linker; it is fitted to the tasks here and gets caches of its own.
        tasks: of the notice.
        examples: labelled passages.
        progress: called with a line now and then.
    """
    cleaned = [dataclasses.replace(example, passage=clean_passage(example.passage)) for example in examples]
    methods: dict[str, Scorer] = {
        TFIDF: _lexical(CharacterTfidf),
        "BM25, jieba words": _lexical(WordBM25),
        "e5-small-zh, cosine": _cosine(Encoder(matcher.tuned.model)),
        "fine-tuned, cosine": _cosine(matcher.tuned),
        "fine-tuned with title, cosine": _cosine(matcher.tuned, titled=True),
        "+ cross-encoder over the best five": _crossed(matcher),
    }
    rungs = []
    for name, score in methods.items():
        progress(name)
        score(tasks[:2], cleaned[:2])  # loads the model before the clock starts
        matcher.tuned.cache = VectorCache()  # each method pays for its own vectors
        started = time.perf_counter()
        scores = score(tasks, cleaned)
        speed = len(examples) / (time.perf_counter() - started)
        rungs.append(Rung(name, file_best(scores, tasks, cleaned), speed))
    matcher.tuned.cache = VectorCache()
    matcher.fit(tasks)
    started = time.perf_counter()
    answers = linker_answers(matcher, examples, progress)
    return [*rungs, Rung(LINKER, answers, len(examples) / (time.perf_counter() - started))]


def interval(
    examples: Sequence[LabelledPassage], answers: Sequence[Answer], figure: str, draws: int = 200
) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of a figure, documents drawn whole."""
    documents: dict[str, list[int]] = {}
    for place, example in enumerate(examples):
        documents.setdefault(example.passage.document_id, []).append(place)
    groups = list(documents.values())
    draw = np.random.default_rng(0)
    values = []
    for _ in range(draws):
        rows = [row for pick in draw.integers(0, len(groups), len(groups)) for row in groups[pick]]
        values.append(score_links([examples[r] for r in rows], [answers[r] for r in rows])[figure])
    return float(np.quantile(values, 0.025)), float(np.quantile(values, 0.975))


def table_lines(
    sets: Mapping[str, tuple[Sequence[LabelledPassage], Sequence[Rung]]], left_out: Mapping[str, Mapping[str, float]]
) -> list[str]:
    """Return the ladder as a Markdown table; the interval beside link_f1 is the bootstrap's.

    Args:
        sets: by name of the set the passages and the methods' answers.
        left_out: figures of the linker on the held passages, each notice left out, as its config keeps them.
    """
    lines = ["| | set | " + " | ".join(SHOWN) + " | passages a second |", "|---" * (len(SHOWN) + 3) + "|"]
    for name, (examples, rungs) in sets.items():
        for rung in rungs:
            figures = score_links(examples, rung.answers)
            low, high = interval(examples, rung.answers, "link_f1")
            cells = [f"{figures[key]:.3f}" for key in SHOWN]
            cells[2] += f" ({low:.2f}-{high:.2f})"
            if rung.method != LINKER:  # a bare score is no probability and says nothing of progress
                cells[-2:] = "-", "-"
            lines.append(f"| {rung.method} | {name} | " + " | ".join(cells) + f" | {rung.speed:.0f} |")
    for group, measured in left_out.items():
        cells = [f"{measured[key]:.3f}" if key in measured else "-" for key in SHOWN]
        count = int(measured["passages"])
        lines.append(f"| the linker, each notice left out | training, {group} ({count}) | {' | '.join(cells)} | - |")
    return lines


def draw_pictures(
    sets: Mapping[str, tuple[Sequence[LabelledPassage], Sequence[Rung]]], folder: str | Path
) -> list[Path]:
    """Draw the linker's risk-coverage curve and its reliability diagram; return the two files."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "shidian"
    import matplotlib.pyplot as plt

    curve, axis = plt.subplots(figsize=(5, 3.4))
    reliability, beside = plt.subplots(figsize=(3.8, 3.4))
    for name, (examples, rungs) in sets.items():
        filed = [
            (probability, int(e.grades.get(no) == 2))
            for e, a in zip(examples, rungs[-1].answers, strict=True)
            for no, probability in a.links
            if e.grades.get(no) != 1
        ]
        if not filed:
            continue
        total = sum(grade == 2 for e in examples for grade in e.grades.values())
        filed.sort(reverse=True)
        right = np.cumsum([ok for _, ok in filed])
        axis.plot(right / total, 1 - right / np.arange(1, len(filed) + 1), label=name)
        points = np.array(filed)
        bins = np.clip((points[:, 0] * 10).astype(int), 0, 9)
        means = [points[bins == b].mean(0) for b in range(10) if (bins == b).sum() >= 5]
        beside.plot([p for p, _ in means], [ok for _, ok in means], "o-", label=name)
    axis.axhline(1 - AUTO_PRECISION, color="grey", lw=0.8, ls="--")
    axis.set(
        xlabel="share of true links filed", ylabel="share of filed links that are wrong", xlim=(0, 1), ylim=(0, 0.3)
    )
    beside.plot([0, 1], [0, 1], color="grey", lw=0.8, ls="--")
    beside.set(xlabel="probability given", ylabel="share right", xlim=(0.3, 1), ylim=(0, 1.02))
    paths = []
    for figure, ax, name in ((curve, axis, "risk_coverage.svg"), (reliability, beside, "reliability.svg")):
        ax.legend(frameon=False)
        figure.tight_layout()
        paths.append(Path(folder) / name)
        figure.savefig(paths[-1], metadata={"Date": None})
        plt.close(figure)
    return paths
