"""Train the linker: adapter, status classifier and the last decision, from corpus/training alone.

The decision must be learnt from scores of passages that the adapter has not seen, or it would trust them too much.
So the documents that the corpus marks as held are kept from a first adapter, which then scores them; among them are
whole notices (tasks never seen) and further documents of notices that it has seen. The decision learns from these
scores; the adapter that is kept is trained on everything.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.encoding import Encoder, VectorCache, models_folder
from pipeline.errors import ModelNotFoundError
from pipeline.matching.corpus import LabelledPassage, read_labelled, read_tasks
from pipeline.matching.features import NAMES, TaskIndex, candidates, features
from pipeline.matching.finetuning import FinetuningOptions, finetune
from pipeline.matching.scores import Answer, score_links
from pipeline.matching.status import StatusClassifier
from pipeline.persistence import save_model
from pipeline.records import Passage, Task
from pipeline.settings import Settings
from pipeline.text import clean

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Scored:
    """Candidates' features of the passages of one notice, with their true grades.

    values has shape (passages, candidates, features); grades and numbers (passages, candidates).
    """

    notice: str
    examples: list[LabelledPassage]
    values: np.ndarray
    grades: np.ndarray
    numbers: np.ndarray


def load_corpus(folder: str | Path) -> tuple[dict[str, list[Task]], list[LabelledPassage]]:
    """Return the tasks by notice and the labelled passages of a corpus' training folder, texts cleaned."""
    training = Path(folder) / "training"
    notices = read_tasks(training / "tasks.jsonl")
    examples = [_cleaned(example) for example in read_labelled(training / "documents.jsonl")]
    return notices, examples


def _cleaned(example: LabelledPassage) -> LabelledPassage:
    passage = dataclasses.replace(example.passage, text=clean(example.passage.text), title=clean(example.passage.title))
    return dataclasses.replace(example, passage=passage)


def score_notice(
    notice: str,
    tasks: Sequence[Task],
    examples: Sequence[LabelledPassage],
    base: Encoder,
    tuned: Encoder,
    count: int = 10,
) -> Scored:
    """Return the candidates' features of labelled passages of one notice."""
    index = TaskIndex(tasks, base, tuned)
    passages = [example.passage for example in examples]
    likeness = index.compare(passages)
    chosen = candidates(likeness, min(count, len(tasks)))
    values = features(passages, tasks, likeness, chosen)
    numbers = np.array([task.no for task in tasks])[chosen]
    grades = np.array(
        [[example.grades.get(int(no), 0) for no in row] for example, row in zip(examples, numbers, strict=True)]
    )
    return Scored(notice, list(examples), values, grades, numbers)


Rows = tuple[np.ndarray, np.ndarray]
"""Features (candidates x features) and their grades."""


def train_decision(scored: Sequence[Scored], seed: int = 0, more: Sequence[Rows] = ()) -> Any:
    """Return the classifier of candidates into 0 (no), 1 (related), 2 (carries out).

    Gradient boosting and logistic regression vote with their probabilities: either alone ranks or calibrates worse
    where whole notices of the held passages are left out.

    Args:
        scored: held passages.
        seed: of the boosting.
        more: further rows to learn from.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, VotingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    values = np.concatenate([item.values.reshape(-1, len(NAMES)) for item in scored] + [rows for rows, _ in more])
    grades = np.concatenate([item.grades.ravel() for item in scored] + [known for _, known in more])
    boosting = HistGradientBoostingClassifier(
        learning_rate=0.05,
        max_iter=180,
        max_leaf_nodes=12,
        min_samples_leaf=40,
        l2_regularization=5.0,
        random_state=seed,
    )
    linear = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=3000))
    return VotingClassifier([("boosting", boosting), ("linear", linear)], voting="soft").fit(values, grades)


def leave_notices_out(
    scored: Sequence[Scored],
    seen: Iterable[str],
    threshold: float,
    seed: int = 0,
    more: Sequence[Rows] = (),
    folds: int = 4,
) -> dict[str, dict[str, float]]:
    """Return link figures on the held passages, each notice decided by what was learnt without it.

    Args:
        scored: held passages, scored by the first adapter.
        seen: notices of which the first adapter has seen other documents.
        threshold: least probability of a link that is filed.
        seed: of the decision.
        more: further rows to learn from.
        folds: parts that the notices are dealt into.

    Returns:
        Figures of score_links (without the status) for "unseen notices" and "seen notices".
    """
    answers: dict[str, tuple[list[LabelledPassage], list[Answer]]] = {}
    known = set(seen)
    for fold in range(min(folds, len(scored))):
        held = [item for place, item in enumerate(scored) if place % folds == fold]
        others = [item for place, item in enumerate(scored) if place % folds != fold]
        if not others:
            continue
        decision = train_decision(others, seed, more)
        for item in held:
            grades = decision.predict_proba(item.values.reshape(-1, len(NAMES)))[:, 2].reshape(item.grades.shape)
            group = answers.setdefault("seen notices" if item.notice in known else "unseen notices", ([], []))
            for example, numbers, row in zip(item.examples, item.numbers, grades, strict=True):
                order = np.argsort(-row, kind="stable")
                links = [(int(numbers[k]), float(row[k])) for k in order if row[k] >= threshold]
                group[0].append(example)
                group[1].append(Answer([int(numbers[k]) for k in order], links))
    return {
        name: {key: round(value, 4) for key, value in score_links(*group).items() if key != "status_acc"}
        for name, group in answers.items()
    }


def save_scored(scored: Sequence[Scored], path: str | Path) -> None:
    """Save what the decision was learnt from, so that it can be learnt again together with an office's decisions."""
    rows: dict[str, Any] = {
        "values": np.concatenate([item.values for item in scored]).astype(np.float16),
        "grades": np.concatenate([item.grades for item in scored]).astype(np.int8),
        "numbers": np.concatenate([item.numbers for item in scored]).astype(np.int32),
        "notices": np.array([item.notice for item in scored for _ in item.examples]),
        "truth": np.array([json.dumps(example.grades) for item in scored for example in item.examples]),
    }
    np.savez_compressed(path, allow_pickle=False, **rows)


def load_scored(path: str | Path) -> list[Scored]:
    """Load what save_scored wrote; the passages come without their text.

    Raises:
        ModelNotFoundError: the file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as rows:
            values, grades, numbers = rows["values"].astype(np.float32), rows["grades"], rows["numbers"]
            notices, truth = rows["notices"].tolist(), rows["truth"].tolist()
    except (OSError, ValueError, KeyError) as error:
        raise ModelNotFoundError(f"{path}：无法读取（{error}）。请重新运行 shidian train linker。") from error
    scored = []
    for notice in dict.fromkeys(notices):
        places = [place for place, name in enumerate(notices) if name == notice]
        examples = [
            LabelledPassage(Passage("", "", ""), notice, {int(no): g for no, g in json.loads(truth[i]).items()}, "")
            for i in places
        ]
        scored.append(Scored(notice, examples, values[places], grades[places], numbers[places]))
    return scored


def train_linker(
    corpus: str | Path,
    folder: str | Path = "",
    options: FinetuningOptions = FinetuningOptions(),
    model: str = "",
    progress: Progress = lambda message: None,
) -> dict[str, Any]:
    """Train the whole linker from a corpus, write it to a folder and return its description.

    Finished adapters of an interrupted run are taken up again.

    Args:
        corpus: folder whose training/ holds tasks.jsonl and documents.jsonl.
        folder: where the linker goes; "" is models/linker. What was there is kept beside it as .bak.
        options: of the fine-tuning.
        model: the sentence model; "" is the default one.
        progress: called with a line now and then.
    """
    target = Path(folder) if folder else models_folder() / "linker"
    scratch = target.with_name(target.name + ".training")
    scratch.mkdir(parents=True, exist_ok=True)
    notices, examples = load_corpus(corpus)
    base = Encoder(model, cache=VectorCache(scratch / "vectors.sqlite"))
    seen = [example for example in examples if not example.held]
    progress(f"训练语料：{len(notices)} 份公文，{len(examples)} 个段落，其中 {len(examples) - len(seen)} 个留给判定")
    for name, part in (("first", seen), ("adapter", examples)):
        if not (scratch / name / "done").exists():
            progress(f"微调：{len(part)} 个段落")
            finetune(base, notices, part, scratch / name, options, progress)
            (scratch / name / "done").touch()
    progress("训练判定与进展状态")
    scored = score_held(notices, examples, base, Encoder(model, adapter=str(scratch / "first")))
    decision = train_decision(scored, options.seed)
    known = sorted({example.notice for example in seen})
    status = StatusClassifier(base).fit([e.passage.text for e in examples], [e.status for e in examples])
    if target.exists():
        shutil.copytree(target, target.with_name(target.name + ".bak"), dirs_exist_ok=True)
    target.mkdir(parents=True, exist_ok=True)
    shutil.copytree(scratch / "adapter", target / "adapter", dirs_exist_ok=True, ignore=shutil.ignore_patterns("done"))
    save_model(decision, target / "decision.skops")
    save_scored(scored, target / "held.npz")
    save_model({"model": status.model, "centre": status.centre}, target / "status.skops")
    config = {
        "version": 1,
        "measured": leave_notices_out(scored, known, Settings().link_threshold, options.seed),
        "seen": known,
        "base": base.fingerprint().hex(),
        "features": list(NAMES),
        "options": dataclasses.asdict(options),
        "passages": len(examples),
        "held": len(examples) - len(seen),
        "notices": sorted(notices),
    }
    (target / "config.json").write_text(json.dumps(config, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return config


def score_held(
    notices: dict[str, list[Task]], examples: Sequence[LabelledPassage], base: Encoder, tuned: Encoder
) -> list[Scored]:
    """Return the candidates' features of the held passages, scored by an adapter that has not seen them."""
    scored = []
    for notice, tasks in notices.items():
        held = [example for example in examples if example.held and example.notice == notice]
        if held:
            scored.append(score_notice(notice, tasks, held, base, tuned))
    return scored
