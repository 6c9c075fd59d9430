"""Training of the classifier: the two linear readers, their stack, and the model that comes with the project."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.classification.features import TaskText, WordFeatures
from pipeline.classification.schemes import SCHEMES, schemes
from pipeline.records import read_jsonl

if TYPE_CHECKING:
    from pipeline.classification import TaskClassifier


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


def definition_rows() -> tuple[list[TaskText], list[dict[str, str]]]:
    """Return the class definitions as texts to learn from."""
    rows, labels = [], []
    for scheme, classes in schemes().items():
        for info in classes.values():
            rows.append(TaskText(f"definition#{scheme}.{info.key}", f"{info.name}：{info.definition}"))
            labels.append({scheme: info.key})
    return rows, labels


def fit_heads(
    classifier: TaskClassifier, rows: Sequence[TaskText], labels: Sequence[dict[str, str]], groups: Sequence[str]
) -> None:
    """Fit both readers on all rows, the stack on what they say of notices that they did not see."""
    order = {scheme: {key: i for i, key in enumerate(classes)} for scheme, classes in schemes().items()}
    classifier.classes_ = {}
    for scheme in SCHEMES:
        present = {item[scheme] for item in labels if scheme in item}
        if len(present) > 1:
            rank = order.get(scheme, {})
            classifier.classes_[scheme] = sorted(present, key=lambda key: (rank.get(key, len(rank)), key))
    defined, defined_labels = definition_rows()
    extra = [
        i for i, item in enumerate(defined_labels) if all(v in classifier.classes_.get(k, ()) for k, v in item.items())
    ]
    rows = [*rows, *(defined[i] for i in extra)]
    labels = [*labels, *(defined_labels[i] for i in extra)]
    groups = [*groups, *("" for _ in extra)]

    vectors = classifier._vectors(rows)
    classifier.centre_ = vectors.mean(0)
    vectors = (vectors - classifier.centre_) * classifier.vector_scale
    fold = deal(groups, classifier.folds, classifier.seed)
    out: dict[str, tuple[np.ndarray, np.ndarray]] = {
        scheme: (np.zeros((len(rows), len(names))), np.zeros((len(rows), len(names))))
        for scheme, names in classifier.classes_.items()
    }
    for k in sorted(set(fold) - {-1}):
        inside, outside = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        words, heads = _fit_once(classifier, rows, labels, vectors, inside)
        matrix = words.transform([rows[i] for i in outside])
        for scheme, head in heads.items():
            out[scheme][0][outside] = vectors[outside] @ head["vector"].T + head["vector_bias"]
            out[scheme][1][outside] = matrix @ head["words"].T + head["words_bias"]
    classifier.words_, classifier.heads_ = _fit_once(classifier, rows, labels, vectors, np.arange(len(rows)))
    for scheme, names in classifier.classes_.items():
        known = np.array([i for i in np.flatnonzero(fold >= 0) if scheme in labels[i]], np.int64)
        truth = np.array([names.index(labels[i][scheme]) for i in known])
        stack, floor = fit_stack([logits[known] for logits in out[scheme]], truth)
        classifier.heads_[scheme] |= {"stack": stack, "floor": np.array([floor], np.float32)}


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


def _fit_once(
    classifier: TaskClassifier,
    rows: Sequence[TaskText],
    labels: Sequence[dict[str, str]],
    vectors: np.ndarray,
    inside: np.ndarray,
) -> tuple[WordFeatures, dict[str, dict[str, np.ndarray]]]:
    """Fit both readers on some of the rows."""
    from sklearn.linear_model import LogisticRegression

    # Each task twice, with and without units and section: the reader learns to do without them.
    both = [rows[i] for i in inside] + [rows[i].bare() for i in inside]
    words = WordFeatures().fit([rows[i] for i in inside])
    matrix = words.transform(both)
    heads = {}
    for scheme, names in classifier.classes_.items():
        known = np.array([scheme in labels[i] for i in inside])
        truth = [labels[i][scheme] for i in inside[known]]
        by_vector = LogisticRegression(C=classifier.inverse_regularisation, max_iter=3000)
        by_vector.fit(vectors[inside[known]], truth)
        by_words = LogisticRegression(C=classifier.inverse_regularisation, max_iter=3000)
        by_words.fit(matrix[np.concatenate([known, known])], truth * 2)
        heads[scheme] = {
            "vector": _aligned(by_vector, names)[0],
            "vector_bias": _aligned(by_vector, names)[1],
            "words": _aligned(by_words, names)[0],
            "words_bias": _aligned(by_words, names)[1],
        }
    return words, heads


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


def fit_stack(parts: Sequence[np.ndarray], truth: np.ndarray) -> tuple[np.ndarray, float]:
    """Return what each reader's logits weigh, least surprised by unseen notices, and the floor of probability.

    The weights are the calibration too: they stretch or squeeze the logits as the unseen notices ask for. Below
    the floor lie the least sure of the unseen tasks, half a hundredth of them at most.
    """
    from scipy.optimize import minimize

    from pipeline.classification import softmax

    def surprise(weights: np.ndarray) -> float:
        mixed = sum(weight * part for weight, part in zip(weights, parts, strict=True))
        p = softmax(np.asarray(mixed))[np.arange(len(truth)), truth]
        return float(-np.log(np.maximum(p, 1e-9)).mean() + 1e-3 * (weights**2).sum())

    if not len(truth):
        return np.ones(len(parts), np.float32), 0.0
    best = minimize(surprise, np.ones(len(parts)), bounds=[(0.0, 6.0)] * len(parts))
    weights = np.asarray(best.x, np.float32)
    top = softmax(sum(weight * part for weight, part in zip(weights, parts, strict=True))).max(1)
    return weights, float(min(np.quantile(top, 0.005), 2.5 / parts[0].shape[1]))


def train_classifier(
    corpus: str | Path, folder: str | Path = "", progress: Callable[[str], None] | None = None
) -> TaskClassifier:
    """Train the classifier that comes with the project and save it, the same each time.

    Args:
        corpus: the corpus folder; its training/ holds the labelled tasks.
        folder: where to save; "" is the folder that from_disk reads.
        progress: called with a line at each step.
    """
    from pipeline.classification import TaskClassifier
    from pipeline.encoding import Encoder

    say = progress or (lambda _: None)
    tasks, groups = read_training(corpus)
    say(f"读入 {len(tasks)} 条已标注任务（{len(set(groups))} 个通知）")
    classifier = TaskClassifier(Encoder())
    classifier.fit(tasks, tasks, groups)
    classifier.to_disk(folder)
    say("分类器已保存")
    return classifier
