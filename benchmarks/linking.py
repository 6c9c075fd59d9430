"""The ladder of linking methods on the gold passages, with bootstrap intervals and two pictures.

    python benchmarks/linking.py            # prints the table; writes docs/risk_coverage.svg, docs/reliability.svg

All methods are run in one process on the same passages. A method that gives no probability files its best task where
the score reaches the threshold that suits it best on these very passages, which is in its favour.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from pipeline.encoding import Encoder, models_folder
from pipeline.evaluation import gold_task_records, link_answers
from pipeline.matching.corpus import LabelledPassage, read_labelled
from pipeline.matching.finetuning import with_title
from pipeline.matching.lexical import CharacterTfidf, WordBM25
from pipeline.matching.scores import Answer, score_links
from pipeline.records import Task
from pipeline.settings import Settings
from pipeline.text import clean

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SHOWN = ("hit@1", "hit@5", "link_f1", "abstain_f1", "auto_coverage", "ece")
Scorer = Callable[[Sequence[Task], Sequence[LabelledPassage]], np.ndarray]


def lexical(method: type[CharacterTfidf] | type[WordBM25]) -> Scorer:
    return lambda tasks, examples: method().fit([t.text for t in tasks]).score([e.passage.text for e in examples])


def sentence(encoder: Encoder, titled: bool = False) -> Scorer:
    def score(tasks: Sequence[Task], examples: Sequence[LabelledPassage]) -> np.ndarray:
        texts = [with_title(e.passage) if titled else e.passage.text for e in examples]
        return encoder.encode(texts) @ encoder.encode([t.text for t in tasks], "passage").T

    return score


def ranked(scores: np.ndarray, tasks: Sequence[Task], examples: Sequence[LabelledPassage]) -> list[Answer]:
    """Answers of a bare score, at the threshold that suits it best."""
    numbers = [task.no for task in tasks]
    order = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    best = scores.max(1)
    tried = []
    for threshold in np.quantile(best, np.linspace(0, 0.6, 25)):
        answers = [
            Answer([numbers[k] for k in row], [(numbers[row[0]], float(b))] if b >= threshold else [])
            for row, b in zip(order, best, strict=True)
        ]
        tried.append((score_links(examples, answers)["link_f1"], answers))
    return max(tried, key=lambda pair: pair[0])[1]


def interval(examples: Sequence[LabelledPassage], answers: Sequence[Answer], figure: str) -> tuple[float, float]:
    """The 95 % bootstrap interval of a figure, documents drawn whole."""
    documents: dict[str, list[int]] = {}
    for place, example in enumerate(examples):
        documents.setdefault(example.passage.document_id, []).append(place)
    groups = list(documents.values())
    draw = np.random.default_rng(0)
    values = []
    for _ in range(300):
        rows = [row for pick in draw.integers(0, len(groups), len(groups)) for row in groups[pick]]
        values.append(score_links([examples[r] for r in rows], [answers[r] for r in rows])[figure])
    return float(np.quantile(values, 0.025)), float(np.quantile(values, 0.975))


def pictures(sets: dict[str, tuple[list[LabelledPassage], list[Answer]]]) -> None:
    """Draw the risk-coverage curve and the reliability diagram of the decision."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "shidian"
    import matplotlib.pyplot as plt

    curve, axis = plt.subplots(figsize=(5, 3.4))
    reliability, beside = plt.subplots(figsize=(3.8, 3.4))
    for name, (examples, answers) in sets.items():
        filed = [
            (probability, int(e.grades.get(no) == 2))
            for e, a in zip(examples, answers, strict=True)
            for no, probability in a.links
            if e.grades.get(no) != 1
        ]
        total = sum(grade == 2 for e in examples for grade in e.grades.values())
        filed.sort(reverse=True)
        right = np.cumsum([ok for _, ok in filed])
        axis.plot(right / total, 1 - right / np.arange(1, len(filed) + 1), label=name)
        points = np.array(filed)
        bins = np.clip((points[:, 0] * 10).astype(int), 0, 9)
        shown = [b for b in range(10) if (bins == b).sum() >= 5]
        beside.plot(
            [points[bins == b, 0].mean() for b in shown], [points[bins == b, 1].mean() for b in shown], "o-", label=name
        )
    axis.axhline(0.03, color="grey", lw=0.8, ls="--")
    axis.set(
        xlabel="share of true links filed", ylabel="share of filed links that are wrong", xlim=(0, 1), ylim=(0, 0.3)
    )
    beside.plot([0, 1], [0, 1], color="grey", lw=0.8, ls="--")
    beside.set(xlabel="stated probability", ylabel="share that is right", xlim=(0.3, 1), ylim=(0.3, 1))
    for figure, where, name in ((curve, axis, "risk_coverage"), (reliability, beside, "reliability")):
        where.legend(frameon=False)
        figure.tight_layout()
        figure.savefig(DOCS / f"{name}.svg", metadata={"Date": None})


def main() -> None:
    base, tuned = Encoder(), Encoder(adapter=str(models_folder() / "linker" / "adapter"))
    methods: dict[str, Scorer] = {
        "TF-IDF, characters 2-3": lexical(CharacterTfidf),
        "BM25, jieba words": lexical(WordBM25),
        "e5-small-zh, cosine": sentence(base),
        "fine-tuned, cosine": sentence(tuned),
        "fine-tuned with title, cosine": sentence(tuned, titled=True),
    }
    lines = ["| | set | " + " | ".join(SHOWN) + " | passages a second |", "|---" * (len(SHOWN) + 3) + "|"]
    drawn = {}
    for name, tasks_file in (("dev", "tasks.json"), ("unseen_ports", "unseen_ports_tasks.json")):
        tasks = gold_task_records(ROOT / "corpus" / "gold" / tasks_file, name)
        examples = [
            dataclasses.replace(e, passage=dataclasses.replace(e.passage, text=clean(e.passage.text)))
            for e in read_labelled(ROOT / "corpus" / "gold" / f"{name}_docs.jsonl", name)
        ]
        rows = []
        for method, scorer in methods.items():
            scorer(tasks[:2], examples[:2])  # loads the model before the clock starts
            started = time.perf_counter()
            scores = scorer(tasks, examples)
            rows.append((method, ranked(scores, tasks, examples), time.perf_counter() - started))
        started = time.perf_counter()
        answers = link_answers(tasks, examples, Settings(), lambda message: None)
        rows.append(("**the linker** (features, decision, evidence, status)", answers, time.perf_counter() - started))
        drawn[name] = (examples, answers)
        for method, given, seconds in rows:
            figures = score_links(examples, given)
            low, high = interval(examples, given, "link_f1")
            cells = [f"{figures[key]:.3f}" for key in SHOWN]
            cells[2] += f" ({low:.2f}-{high:.2f})"
            if "linker" not in method:
                cells[-1] = "-"
            lines.append(f"| {method} | {name} | " + " | ".join(cells) + f" | {len(examples) / seconds:.0f} |")
    measured = json.loads((models_folder() / "linker" / "config.json").read_text(encoding="utf-8")).get("measured", {})
    for group, figures in measured.items():
        cells = [f"{figures[key]:.3f}" for key in SHOWN]
        count = int(figures["passages"])
        lines.append(
            f"| the linker, each notice left out of the decision | training, {group} ({count}) | "
            + " | ".join(cells)
            + " | - |"
        )
    print("\n".join(lines))
    pictures(drawn)


if __name__ == "__main__":
    main()
