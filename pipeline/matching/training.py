"""Train the linker: adapter, status classifier and the last decision, from corpus/training alone.

The decision must be learnt from scores of passages that the adapter has not seen, or it would trust them too much.
So the corpus is split into folds: whole notices apart (a notice never seen), the documents of the largest notice
apart as well (a notice whose tasks were seen). An adapter is trained without each fold and scores it; the decision
learns from all those scores; the adapter that is kept is trained on everything.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.encoding import Encoder, models_folder
from pipeline.matching.corpus import LabelledPassage, read_labelled, read_tasks
from pipeline.matching.features import NAMES, TaskIndex, candidates, features
from pipeline.matching.finetuning import FinetuningOptions, finetune
from pipeline.matching.status import StatusClassifier
from pipeline.persistence import save_model
from pipeline.records import Task
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
    """Return the tasks by notice and the labelled passages of corpus/training, texts cleaned."""
    notices = read_tasks(Path(folder) / "tasks.jsonl")
    examples = [_cleaned(example) for example in read_labelled(Path(folder) / "documents.jsonl")]
    return notices, examples


def _cleaned(example: LabelledPassage) -> LabelledPassage:
    passage = dataclasses.replace(example.passage, text=clean(example.passage.text), title=clean(example.passage.title))
    return dataclasses.replace(example, passage=passage)


def split_folds(examples: Sequence[LabelledPassage], count: int = 2) -> list[set[str]]:
    """Return the document ids of each fold.

    The largest notice is split by document, so that some passages are scored by an adapter that knows their tasks;
    the other notices go whole into one fold or the other, the largest first, to the smallest fold.

    Example:
        >>> split_folds([])
        [set(), set()]
    """
    documents: dict[str, dict[str, int]] = {}
    for example in examples:
        sizes = documents.setdefault(example.notice, {})
        sizes[example.passage.document_id] = sizes.get(example.passage.document_id, 0) + 1
    folds: list[set[str]] = [set() for _ in range(count)]
    weight = [0] * count
    order = sorted(documents, key=lambda notice: (-sum(documents[notice].values()), notice))
    for notice in order[:1]:
        for place, document in enumerate(sorted(documents[notice])):
            folds[place % count].add(document)
    for notice in order[1:]:
        lightest = weight.index(min(weight))
        folds[lightest] |= set(documents[notice])
        weight[lightest] += sum(documents[notice].values())
    return folds


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


def train_decision(scored: Sequence[Scored], seed: int = 0) -> Any:
    """Return the classifier of candidates into 0 (no), 1 (related), 2 (carries out), calibrated by cross-fitting."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    values = np.concatenate([item.values.reshape(-1, len(NAMES)) for item in scored])
    grades = np.concatenate([item.grades.ravel() for item in scored])
    model = HistGradientBoostingClassifier(
        learning_rate=0.05,
        max_iter=180,
        max_leaf_nodes=12,
        min_samples_leaf=40,
        l2_regularization=5.0,
        random_state=seed,
    )
    return model.fit(values, grades)


def train_linker(
    corpus: str | Path,
    folder: str | Path = "",
    options: FinetuningOptions = FinetuningOptions(),
    folds: int = 2,
    model: str = "",
    progress: Progress = lambda message: None,
) -> dict[str, Any]:
    """Train the whole linker from a corpus and write it to a folder; return what was measured out of fold.

    Finished adapters of an interrupted run are taken up again.

    Args:
        corpus: folder with tasks.jsonl and documents.jsonl.
        folder: where the linker goes; "" is models/linker.
        options: of the fine-tuning.
        folds: parts of the corpus scored by an adapter trained without them.
        model: the sentence model; "" is the default one.
        progress: called with a line now and then.
    """
    target = Path(folder) if folder else models_folder() / "linker"
    scratch = target.with_name(target.name + ".training")
    scratch.mkdir(parents=True, exist_ok=True)
    notices, examples = load_corpus(corpus)
    progress(f"训练语料：{len(notices)} 份公文，{len(examples)} 个段落")
    base = Encoder(model)
    parts = split_folds(examples, folds)
    scored: list[Scored] = []
    for number, held in enumerate(parts, 1):
        adapter = scratch / f"fold{number}"
        seen = [example for example in examples if example.passage.document_id not in held]
        if not (adapter / "done").exists():
            progress(f"第{number}折：以 {len(seen)} 个段落微调")
            finetune(base, notices, seen, adapter, options, progress)
            (adapter / "done").touch()
        tuned = Encoder(model, adapter=str(adapter))
        for notice in notices:
            mine = [e for e in examples if e.notice == notice and e.passage.document_id in held]
            if mine:
                scored.append(score_notice(notice, notices[notice], mine, base, tuned))
    adapter = scratch / "adapter"
    if not (adapter / "done").exists():
        progress(f"以全部 {len(examples)} 个段落微调")
        finetune(base, notices, examples, adapter, options, progress)
        (adapter / "done").touch()
    progress("训练判定与进展状态")
    decision = train_decision(scored, options.seed)
    status = StatusClassifier(base).fit([e.passage.text for e in examples], [e.status for e in examples])
    if target.exists():
        shutil.copytree(target, target.with_name(target.name + ".bak"), dirs_exist_ok=True)
    target.mkdir(parents=True, exist_ok=True)
    shutil.copytree(adapter, target / "adapter", dirs_exist_ok=True, ignore=shutil.ignore_patterns("done"))
    save_model(decision, target / "decision.skops")
    save_model(
        {"vectorizer": status.vectorizer, "model": status.model, "centre": status.centre}, target / "status.skops"
    )
    config = {
        "version": datetime.date.today().isoformat(),
        "base": base.fingerprint().hex(),
        "features": list(NAMES),
        "options": dataclasses.asdict(options),
        "passages": len(examples),
        "notices": sorted(notices),
    }
    (target / "config.json").write_text(json.dumps(config, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return config
