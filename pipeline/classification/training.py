"""Training of the classifier: the two linear readers, their stack, and the model that comes with the project."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.classification.features import TaskText, WordFeatures, read_task
from pipeline.classification.finetuning import Example
from pipeline.classification.schemes import SCHEMES, schemes
from pipeline.records import read_jsonl
from pipeline.text import clean

if TYPE_CHECKING:
    from pipeline.classification import TaskClassifier

Heads = dict[str, tuple[np.ndarray, np.ndarray]]

DISAGREEMENT = {"sector": 0.02, "reform": 0.05, "group": 0.03, "stri": 0.08}
"""How often two readers choose differently by the definitions: mean of second readings of 86, 100 and 120 tasks."""

HELD = 8
"""One in so many of the notices is kept for the stack."""
PASSAGE_WEIGHT = 0.3
"""What a passage weighs beside a task where words are learnt."""


def read_training(corpus: str | Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the labelled tasks of corpus/training and the notice of each.

    Tasks without labels (those of the notice that everything is measured on) are left out.
    """
    rows: list[dict[str, Any]] = []
    for name in ("tasks.jsonl", "extra_tasks.jsonl"):
        path = Path(corpus) / "training" / name
        if path.is_file():
            rows += [row for row in read_jsonl(path) if all(row.get(scheme) for scheme in SCHEMES)]
    return rows, [str(row["notice"]) for row in rows]


def read_passages(corpus: str | Path, tasks: Sequence[Mapping[str, Any]]) -> list[tuple[str, TaskText, dict[str, str]]]:
    """Return the passages of the training documents that carry out one labelled task, with their notice.

    What field a passage is of is that of its task, and so is the group; what kind of reform it makes is not.
    """
    by_id = {str(task["id"]): task for task in tasks}
    path = Path(corpus) / "training" / "documents.jsonl"
    found = []
    for document in read_jsonl(path) if path.is_file() else ():
        for passage in document["passages"]:
            carried = [link["task"] for link in passage["links"] if link["grade"] == 2]
            task = by_id.get(f"{document['notice']}#{carried[0]}") if len(carried) == 1 else None
            if task is not None:
                labels = {scheme: str(task[scheme]) for scheme in ("sector", "group")}
                found.append((str(document["notice"]), TaskText(passage["pid"], clean(passage["text"])), labels))
    return found


def definition_rows() -> tuple[list[TaskText], list[dict[str, str]]]:
    """Return the class definitions as texts to learn from."""
    rows, labels = [], []
    for scheme, classes in schemes().items():
        for info in classes.values():
            rows.append(TaskText(f"definition#{scheme}.{info.key}", f"{info.name}：{info.definition}"))
            labels.append({scheme: info.key})
    return rows, labels


@dataclass
class _Lesson:
    """What there is to learn from: the tasks first, the class definitions after them (group "")."""

    rows: list[TaskText]
    labels: list[dict[str, str]]
    groups: list[str]
    classes: dict[str, list[str]]
    passages: list[tuple[str, TaskText, dict[str, str]]]

    @classmethod
    def of(
        cls,
        rows: Sequence[TaskText],
        labels: Sequence[dict[str, str]],
        groups: Sequence[str],
        passages: Sequence[tuple[str, TaskText, dict[str, str]]] = (),
    ) -> _Lesson:
        """Find the classes and add their definitions."""
        classes: dict[str, list[str]] = {}
        for scheme in SCHEMES:
            rank = {key: i for i, key in enumerate(schemes()[scheme])}
            present = {item[scheme] for item in labels if scheme in item}
            if len(present) > 1:
                classes[scheme] = sorted(present, key=lambda key: (rank.get(key, len(rank)), key))
        defined = [
            (row, item)
            for row, item in zip(*definition_rows(), strict=True)
            if all(value in classes.get(scheme, ()) for scheme, value in item.items())
        ]
        return cls(
            [*rows, *(row for row, _ in defined)],
            [*labels, *(item for _, item in defined)],
            [*groups, *("" for _ in defined)],
            classes,
            list(passages),
        )

    def passages_of(self, inside: np.ndarray) -> list[tuple[TaskText, dict[str, str]]]:
        """Return the passages of the notices of some rows."""
        names = {self.groups[i] for i in inside}
        return [(row, item) for notice, row, item in self.passages if notice in names]


def fit_heads(
    classifier: TaskClassifier, rows: Sequence[TaskText], labels: Sequence[dict[str, str]], groups: Sequence[str]
) -> None:
    """Fit both readers on all rows, the stack on what they say of notices that they did not see."""
    lesson = _Lesson.of(rows, labels, groups)
    classifier.classes_ = lesson.classes
    vectors = classifier._vectors(lesson.rows)
    classifier.centre_ = vectors.mean(0)
    vectors = (vectors - classifier.centre_) * classifier.vector_scale
    fold = deal(lesson.groups, classifier.folds, classifier.seed)
    empty = {scheme: np.zeros((len(lesson.rows), len(names))) for scheme, names in lesson.classes.items()}
    by_vector, by_words = empty, {scheme: logits.copy() for scheme, logits in empty.items()}
    for k in sorted(set(fold) - {-1}):
        inside, outside = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        for found, heads, matrix in (
            (by_vector, _fit_vectors(classifier, lesson, vectors, inside), vectors[outside]),
            (by_words, *_fit_words(classifier, lesson, inside, outside)[1:]),
        ):
            for scheme, (weights, bias) in heads.items():
                found[scheme][outside] = matrix @ weights.T + bias
    everything = np.arange(len(lesson.rows))
    known = np.flatnonzero(fold >= 0)
    vector_heads = _fit_vectors(classifier, lesson, vectors, everything)
    _assemble(classifier, lesson, vector_heads, by_vector, by_words, known)


def _assemble(
    classifier: TaskClassifier,
    lesson: _Lesson,
    vector_heads: Heads,
    by_vector: dict[str, np.ndarray],
    by_words: dict[str, np.ndarray],
    unseen: np.ndarray,
) -> None:
    """Give the classifier its heads, words learnt from all rows and the stack from the unseen ones."""
    words, word_heads, _ = _fit_words(classifier, lesson, np.arange(len(lesson.rows)))
    classifier.words_, classifier.classes_, classifier.heads_ = words, lesson.classes, {}
    for scheme, names in lesson.classes.items():
        rows = np.array([i for i in unseen if scheme in lesson.labels[i]], np.int64)
        truth = np.array([names.index(lesson.labels[i][scheme]) for i in rows], np.int64)
        stack, floor = fit_stack([by_vector[scheme][rows], by_words[scheme][rows]], truth, DISAGREEMENT[scheme])
        classifier.heads_[scheme] = {
            "vector": vector_heads[scheme][0],
            "vector_bias": vector_heads[scheme][1],
            "words": word_heads[scheme][0],
            "words_bias": word_heads[scheme][1],
            "stack": stack,
            "floor": np.array([floor], np.float32),
        }


def deal(groups: Sequence[str], folds: int, seed: int) -> np.ndarray:
    """Deal groups into folds of about the same number of rows; "" stays in training always (-1).

    Example:
        >>> sorted(set(deal(["a", "a", "b", "", "c"], 3, 1).tolist()))
        [-1, 0, 1, 2]
    """
    names = sorted(set(groups) - {""})
    np.random.default_rng(seed).shuffle(names)
    names.sort(key=lambda name: -list(groups).count(name))
    place, sizes = {"": -1}, [0] * max(1, min(folds, len(names)))
    if len(names) < 2:
        # One notice alone: rows are dealt instead.
        return np.array([-1 if group == "" else i % max(2, folds) for i, group in enumerate(groups)])
    for name in names:
        smallest = int(np.argmin(sizes))
        place[name] = smallest
        sizes[smallest] += list(groups).count(name)
    return np.array([place[group] for group in groups])


def _regression(
    classifier: TaskClassifier,
    matrix: Any,
    truth: Sequence[str],
    names: Sequence[str],
    weights: Sequence[float] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Fit one logistic regression; return its weights and bias in the order of names."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=classifier.inverse_regularisation, max_iter=1000, tol=1e-3)
    return _aligned(model.fit(matrix, truth, sample_weight=weights), names)


def _fit_vectors(classifier: TaskClassifier, lesson: _Lesson, vectors: np.ndarray, inside: np.ndarray) -> Heads:
    heads = {}
    for scheme, names in lesson.classes.items():
        rows = [i for i in inside if scheme in lesson.labels[i]]
        heads[scheme] = _regression(classifier, vectors[rows], [lesson.labels[i][scheme] for i in rows], names)
    return heads


def _fit_words(
    classifier: TaskClassifier, lesson: _Lesson, inside: np.ndarray, outside: np.ndarray | None = None
) -> tuple[WordFeatures, Heads, Any]:
    """Fit the reader of n-grams on some rows; return it, its heads and the matrix of the rows outside."""
    words = WordFeatures().fit([lesson.rows[i] for i in inside])
    passages = lesson.passages_of(inside)
    heads = {}
    for scheme, names in lesson.classes.items():
        rows = [i for i in inside if scheme in lesson.labels[i]]
        # Each task twice, with and without units and section: the reader learns to do without them.
        both = [lesson.rows[i] for i in rows] + [lesson.rows[i].bare() for i in rows]
        truth = 2 * [lesson.labels[i][scheme] for i in rows]
        further = [(row, item[scheme]) for row, item in passages if scheme in item]
        weights = [1.0] * len(both) + [PASSAGE_WEIGHT] * len(further)
        matrix = words.transform([*both, *(row for row, _ in further)])
        heads[scheme] = _regression(classifier, matrix, [*truth, *(value for _, value in further)], names, weights)
    return words, heads, words.transform([lesson.rows[i] for i in outside]) if outside is not None else None


def _aligned(model: Any, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return weights and bias in the order of names; a class the model never saw is very unlikely."""
    coefficients = np.zeros((len(names), model.coef_.shape[1]), np.float32)
    bias = np.full(len(names), -8.0, np.float32)
    if len(model.classes_) == 2:
        coefficients[names.index(model.classes_[0])] = -model.coef_[0] / 2
        coefficients[names.index(model.classes_[1])] = model.coef_[0] / 2
        bias[names.index(model.classes_[0])], bias[names.index(model.classes_[1])] = (
            -model.intercept_[0] / 2,
            model.intercept_[0] / 2,
        )
        return coefficients, bias
    for k, name in enumerate(model.classes_):
        coefficients[names.index(name)] = model.coef_[k]
        bias[names.index(name)] = model.intercept_[k]
    return coefficients, bias


def fit_stack(parts: Sequence[np.ndarray], truth: np.ndarray, disagreement: float) -> tuple[np.ndarray, float]:
    """Return what each reader's logits weigh, least surprised by unseen notices, and the floor of probability.

    The weights are the calibration too: they stretch or squeeze the logits as the unseen notices ask for. Below
    the floor lie the least sure of the unseen tasks, half a hundredth of them at most.

    Args:
        parts: the logits of each reader, each of shape (tasks, classes).
        truth: the index of each task's class.
        disagreement: how often a second reader chooses another class; no label is surer than that.
    """
    from scipy.optimize import minimize

    from pipeline.classification import softmax

    if not len(truth):
        return np.ones(len(parts), np.float32), 0.0
    stacked = np.stack(parts)
    target = np.full(parts[0].shape, disagreement / (parts[0].shape[1] - 1))
    target[np.arange(len(truth)), truth] = 1 - disagreement

    def surprise(weights: np.ndarray) -> float:
        p = softmax(np.tensordot(weights, stacked, 1))
        return float(-(target * np.log(np.maximum(p, 1e-9))).sum(1).mean() + 1e-3 * (weights**2).sum())

    best = minimize(surprise, np.ones(len(parts)), bounds=[(0.0, 6.0)] * len(parts))
    weights = np.asarray(best.x, np.float32)
    top = softmax(np.tensordot(weights, stacked, 1)).max(1)
    return weights, float(min(np.quantile(top, 0.005), 0.25))


def _examples(lesson: _Lesson, inside: np.ndarray) -> list[Example]:
    return [Example(row.text, item) for row, item in lesson.passages_of(inside)]


def train_classifier(
    corpus: str | Path, folder: str | Path = "", progress: Callable[[str], None] | None = None
) -> TaskClassifier:
    """Train the classifier that comes with the project and save it, the same each time.

    The sentence model is fine-tuned without an eighth of the notices; on these the stack and its calibration are
    learnt, so that they know how sure this very model may be. The reader of words learns from all in the end.

    Args:
        corpus: the corpus folder; its training/ holds the labelled tasks.
        folder: where to save; "" is the folder that from_disk reads.
        progress: called with a line at each step.
    """
    from pipeline.classification import TaskClassifier, default_folder
    from pipeline.classification.finetuning import SCALE, finetune
    from pipeline.encoding import Encoder

    say = progress or (lambda _: None)
    tasks, groups = read_training(corpus)
    say(f"读入 {len(tasks)} 条已标注任务（{len(set(groups))} 个通知）")
    rows = [read_task(task) for task in tasks]
    lesson = _Lesson.of(
        rows, [{scheme: task[scheme] for scheme in SCHEMES} for task in tasks], groups, read_passages(corpus, tasks)
    )
    examples = [Example(row.text, item) for row, item in zip(lesson.rows, lesson.labels, strict=True)]
    target = Path(folder) if folder else default_folder()
    classifier = TaskClassifier(vector_scale=SCALE)
    unseen = deal(lesson.groups, HELD, classifier.seed) == 0
    inside, outside = np.flatnonzero(~unseen), np.flatnonzero(unseen)
    by_vector = {scheme: np.zeros((len(lesson.rows), len(names))) for scheme, names in lesson.classes.items()}
    by_words = {scheme: logits.copy() for scheme, logits in by_vector.items()}
    say(f"微调：{len(inside)} 条，另留 {len(outside)} 条用于校准")
    adapter = target / "adapter"
    heads, centre = finetune(
        [examples[i] for i in inside], _examples(lesson, inside), lesson.classes, adapter, progress=say
    )
    classifier.encoder = Encoder(adapter=str(adapter))
    classifier.centre_ = centre
    vectors = (classifier._vectors([lesson.rows[i] for i in outside]) - centre) * SCALE
    _, word_heads, matrix = _fit_words(classifier, lesson, inside, outside)
    for scheme in lesson.classes:
        by_vector[scheme][outside] = vectors @ heads[scheme][0].T + heads[scheme][1]
        by_words[scheme][outside] = matrix @ word_heads[scheme][0].T + word_heads[scheme][1]
    _assemble(classifier, lesson, heads, by_vector, by_words, outside)
    classifier.to_disk(target)
    say(f"分类器已保存到 {target}")
    return classifier
