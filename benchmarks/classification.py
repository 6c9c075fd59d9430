"""Six ways to classify tasks, all learnt from the same three quarters of the notices, measured on the same three sets.

    python benchmarks/classification.py [--methods keywords tfidf e5 setfit ours delivered] [--json FILE]
    python benchmarks/classification.py --speed 2000      # what classifying takes, as a multiple of what encoding takes

held: the quarter of the training notices left out; 86: the tasks of the first notice; other: tasks in the manner of
other cities. None of the last two is in any training. Prints a Markdown table of accuracies, and the reliability of
the delivered model. On two cores the fine-tuned methods take some minutes each.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.classification import SCHEMES, TaskClassifier
from pipeline.classification.features import TaskText, read_task
from pipeline.classification.finetuning import SCALE, ClassifierTuning, Example, finetune
from pipeline.classification.schemes import schemes
from pipeline.classification.training import deal, read_passages, read_training
from pipeline.encoding import Encoder
from pipeline.encoding.adapters import AdapterTraining
from pipeline.records import read_jsonl

ROOT = Path(__file__).parents[1]
Rows = list[dict[str, Any]]
Answer = Callable[[Sequence[TaskText], str], list[str]]
CLASSES = {scheme: list(classes) for scheme, classes in schemes().items()}


def load_sets(corpus: Path) -> tuple[Rows, dict[str, Rows]]:
    """Return what is learnt from, and the sets that are measured on."""
    tasks, groups = read_training(corpus)
    held = deal(groups, 4, TaskClassifier().seed) == 0
    gold = corpus / "gold"
    first = json.loads((gold / "tasks.json").read_text(encoding="utf-8"))
    return [task for task, out in zip(tasks, held, strict=True) if not out], {
        "held": [task for task, out in zip(tasks, held, strict=True) if out],
        "86": [task | {"id": str(task["no"])} for task in first],
        "other": list(read_jsonl(gold / "other_tasks.jsonl")),
    }


def keywords(_: Rows) -> Answer:
    """The class with most cue words; the first of the file where none or several lead."""

    def answer(rows: Sequence[TaskText], scheme: str) -> list[str]:
        found = []
        for row in rows:
            counts = {
                key: sum(row.text.count(cue) * len(cue) for cue in info.cues) for key, info in schemes()[scheme].items()
            }
            found.append(max(counts, key=lambda key: counts[key]))
        return found

    return answer


def regression(train: Rows, features: Callable[[Sequence[TaskText]], Any]) -> Answer:
    """Logistic regression over some features."""
    from sklearn.linear_model import LogisticRegression

    rows = [read_task(task) for task in train]
    matrix = features(rows)
    models = {s: LogisticRegression(C=4.0, max_iter=1000, tol=1e-3).fit(matrix, [t[s] for t in train]) for s in SCHEMES}
    return lambda asked, scheme: models[scheme].predict(features(asked)).tolist()


def tfidf(train: Rows) -> Answer:
    """Characters 1-3."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), min_df=2, sublinear_tf=True)
    vectorizer.fit([task["text"] for task in train])
    return regression(train, lambda rows: vectorizer.transform([row.text for row in rows]))


def vectors(train: Rows, encoder: Encoder) -> Answer:
    """Centred sentence vectors."""
    centre = encoder.encode([read_task(task).text for task in train]).mean(0)
    return regression(train, lambda rows: (encoder.encode([row.text for row in rows]) - centre) * 6)


def setfit(train: Rows) -> Answer:
    """Fine-tune by pairs, then regress: a pair should be as alike as the share of schemes on which it agrees."""
    import torch

    options = ClassifierTuning().adapter
    random = np.random.default_rng(options.seed)
    training = AdapterTraining("", options)
    hidden = training.lower([read_task(task).text for task in train], "query")
    truth = np.array([[CLASSES[s].index(task[s]) for s in SCHEMES] for task in train])
    steps = options.epochs * len(train) // 32
    optimiser, schedule = training.optimiser([], steps)
    for _ in range(steps):
        rows = random.permutation(len(train))[:32]
        embedded = training.embed([hidden[i] for i in rows])
        alike = torch.tensor((truth[rows][:, None] == truth[rows][None]).mean(-1), dtype=torch.float32)
        apart = ~torch.eye(len(rows), dtype=torch.bool)
        training.step(((embedded @ embedded.T - alike)[apart] ** 2).mean(), optimiser, schedule)
    with tempfile.TemporaryDirectory() as folder:
        training.save(folder)
        encoder = Encoder(adapter=folder)
        encoder.load()
        encoder.fingerprint()
        return vectors(train, encoder)


def ours(train: Rows) -> Answer:
    """The fine-tuned reader and the reader of words with equal weights (the stack needs notices of its own)."""
    from pipeline.classification.training import _examples, _fit_words, _Lesson

    rows = [read_task(task) for task in train]
    passages = read_passages(ROOT / "corpus", train)
    lesson = _Lesson.of(
        rows, [{s: task[s] for s in SCHEMES} for task in train], [task["notice"] for task in train], passages
    )
    examples = [Example(row.text, item) for row, item in zip(lesson.rows, lesson.labels, strict=True)]
    words, word_heads, _ = _fit_words(TaskClassifier(), lesson, np.arange(len(lesson.rows)))
    with tempfile.TemporaryDirectory() as folder:
        heads, centre = finetune(examples, _examples(lesson, np.arange(len(lesson.rows))), lesson.classes, folder)
        encoder = Encoder(adapter=folder)
        encoder.load()
        encoder.fingerprint()

    def answer(asked: Sequence[TaskText], scheme: str) -> list[str]:
        found = SCALE * (encoder.encode([row.text for row in asked]) - centre)
        logits = found @ heads[scheme][0].T + heads[scheme][1]
        logits = logits + words.transform(asked) @ word_heads[scheme][0].T + word_heads[scheme][1]
        return [lesson.classes[scheme][k] for k in np.asarray(logits).argmax(1)]

    return answer


def delivered(_: Rows) -> Answer:
    """The model of the project, which has learnt from the held quarter too."""
    model = TaskClassifier.from_disk()

    def answer(asked: Sequence[TaskText], scheme: str) -> list[str]:
        tasks = [{"id": r.id, "text": r.text, "lead_units": r.units, "section": r.section} for r in asked]
        return [label.value for label in model.predict(tasks, reasons=False) if label.scheme == scheme]

    return answer


METHODS: dict[str, tuple[str, Callable[[Rows], Answer]]] = {
    "keywords": ("keyword rules", keywords),
    "tfidf": ("TF-IDF + logistic regression", tfidf),
    "e5": ("e5-small + logistic regression", lambda train: vectors(train, Encoder())),
    "setfit": ("SetFit-style (pairs, then logistic regression)", setfit),
    "ours": ("ours, three quarters of the notices", ours),
    "delivered": ("ours, as delivered", delivered),
}


def reliability(rows: Rows, scheme: str) -> list[str]:
    """Return lines of a table: probability said, share right, number."""
    labels = [label for label in TaskClassifier.from_disk().predict(rows, reasons=False) if label.scheme == scheme]
    said = np.array([label.probability for label in labels])
    right = np.array([label.value == row[scheme] for label, row in zip(labels, rows, strict=True)])
    lines = []
    for low, high in ((0, 0.5), (0.5, 0.7), (0.7, 0.85), (0.85, 0.95), (0.95, 1.01)):
        inside = (said >= low) & (said < high)
        if inside.any():
            lines.append(
                f"| {scheme} | {low:.2f}-{min(high, 1):.2f} | {said[inside].mean():.2f} | {right[inside].mean():.2f} "
                f"| {int(inside.sum())} |"
            )
    return lines


def speed(count: int) -> str:
    """Return the times of classifying, with and without reasons, as multiples of the time of encoding the same tasks."""
    model = TaskClassifier.from_disk()
    known = [task | {"id": str(i)} for i, task in enumerate(read_training(ROOT / "corpus")[0])]
    tasks = [known[i % len(known)] for i in range(count)]
    # Each text once: repeated ones are encoded once.
    tasks = [task | {"text": f"{task['text']}（第{i}批）"} for i, task in enumerate(tasks)]
    model.predict(tasks[:8])
    times = {}
    for name, work in (
        ("encode", lambda: model._vectors([read_task(task) for task in tasks])),
        ("classify", lambda: model.predict(tasks, reasons=False)),
        ("classify with reasons", lambda: model.predict(tasks)),
    ):
        start = time.perf_counter()
        work()
        times[name] = time.perf_counter() - start
    ratios = ", ".join(f"{name} {value / times['encode']:.2f}" for name, value in times.items())
    return f"{count} tasks, encoding {times['encode']:.1f} s; ratios: {ratios}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--speed", type=int, default=0, metavar="N")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--json", default="")
    arguments = parser.parse_args()
    if arguments.speed:
        print(speed(arguments.speed))
        return
    train, sets = load_sets(ROOT / "corpus")
    result: dict[str, Any] = {}
    print("| method | " + " | ".join(f"{s} held / 86 / other" for s in SCHEMES) + " | s |")
    print("|---" * (len(SCHEMES) + 2) + "|")
    for name in arguments.methods:
        title, build = METHODS[name]
        start = time.perf_counter()
        answer = build(train)
        scores: dict[str, dict[str, float]] = {}
        for scheme in SCHEMES:
            scores[scheme] = {}
            for part, rows in sets.items():
                if scheme in rows[0] and not (name == "delivered" and part == "held"):
                    given = answer([read_task(row) for row in rows], scheme)
                    scores[scheme][part] = float(
                        np.mean([g == row[scheme] for g, row in zip(given, rows, strict=True)])
                    )
        cells = [" / ".join(f"{scores[s][part]:.2f}" if part in scores[s] else "-" for part in sets) for s in SCHEMES]
        print(f"| {title} | " + " | ".join(cells) + f" | {time.perf_counter() - start:.0f} |", flush=True)
        result[name] = scores
    if "delivered" in arguments.methods:
        print("\n| scheme | said | mean said | right | tasks (86 and other) |\n|---|---|---|---|---|")
        for scheme in SCHEMES:
            rows = [row for part in ("86", "other") for row in sets[part] if scheme in row]
            print("\n".join(reliability(rows, scheme)))
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
