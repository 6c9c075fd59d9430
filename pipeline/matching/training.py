"""Train the linker: adapter, cross-encoder, status classifier and the last decision, from corpus/training alone.

The decision must be learnt from scores of passages that adapter and cross-encoder have not seen, or it would trust
them too much. So the documents that the corpus marks as held are kept from both, which then score them; among them are
whole notices (tasks never seen) and further documents of notices that they have seen. The decision and the weights
of the status learn from these scores. Real paragraphs that carry out nothing, where there are any at hand, teach the
decision as well: what is written for the corpus has less variety than what offices file.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
import shutil
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.encoding import Encoder, VectorCache
from pipeline.errors import DataError, ModelNotFoundError
from pipeline.matching import VERSION, default_folder, write_config
from pipeline.matching.cascade import Cascade, Rows
from pipeline.matching.corpus import LabelledPassage, clean_passage, read_labelled, read_tasks
from pipeline.matching.crossencoder import CrossEncoder, CrossOptions, train_cross_encoder
from pipeline.matching.features import NAMES, TaskIndex
from pipeline.matching.finetuning import FinetuningOptions, finetune, nearest_tasks
from pipeline.matching.scores import Answer, score_links
from pipeline.matching.status import StatusClassifier
from pipeline.persistence import save_model
from pipeline.records import Passage, Task, read_jsonl

Progress = Callable[[str], None]

BACKGROUND_DOCUMENTS, BACKGROUND_PARAGRAPHS = 6, 5
"""Documents a notice, and paragraphs of each, that teach the decision what is none of its business."""
HELD, BACKGROUND = "held.npz", "background.npz"
"""Files of what the decision was learnt from."""
DONE = "done"
"""Marks a finished part of a training; that of the whole says what it is a training of."""


@dataclass(frozen=True)
class Scored:
    """Candidates of the held passages of one notice, with their true grades.

    rows holds what the decision learns from; numbers the tasks' numbers, shape (passages, candidates).
    """

    notice: str
    examples: list[LabelledPassage]
    rows: Rows
    numbers: np.ndarray


def load_corpus(folder: str | Path) -> tuple[dict[str, list[Task]], list[LabelledPassage]]:
    """Return the tasks by notice and the labelled passages of a corpus' training folder, texts cleaned."""
    training = Path(folder) / "training"
    notices = read_tasks(training / "tasks.jsonl")
    labelled = read_labelled(training / "documents.jsonl")
    return notices, [dataclasses.replace(example, passage=clean_passage(example.passage)) for example in labelled]


def score_notice(
    notice: str,
    tasks: Sequence[Task],
    examples: Sequence[LabelledPassage],
    tuned: Encoder,
    cross: CrossEncoder,
    count: int = 10,
) -> Scored:
    """Return the scored candidates of labelled passages of one notice."""
    passages = [example.passage for example in examples]
    chosen, values = TaskIndex(tasks, tuned).find(passages, count)
    numbers = np.array([task.no for task in tasks])[chosen]
    grades = np.array(
        [[example.grades.get(int(no), 0) for no in row] for example, row in zip(examples, numbers, strict=True)]
    )
    pairs = [(passage, tasks[k]) for passage, row in zip(passages, chosen, strict=True) for k in row]
    read = cross.score(pairs).reshape(*chosen.shape, -1)
    return Scored(notice, list(examples), Rows(values, read, grades), numbers)


def draw_background(path: str | Path, notices: Iterable[str], seed: int = 0) -> dict[str, list[LabelledPassage]]:
    """Return for each notice some paragraphs of others' documents, which carry out none of its tasks.

    Args:
        path: JSONL, a paragraph a line: "doc" (title of its document) and "text", in the order of the documents.
        notices: each gets paragraphs of documents of its own, as long as there are any left.
        seed: of the draw.

    Raises:
        DataError: a line has no doc or no text.
    """
    documents: dict[str, list[str]] = {}
    for number, row in enumerate(read_jsonl(path), 1):
        if not (isinstance(row.get("doc"), str) and isinstance(row.get("text"), str)):
            raise DataError(f"{path}：第{number}行没有 doc 或 text。每行应为一个段落：doc 为文件标题，text 为正文。")
        documents.setdefault(row["doc"], []).append(row["text"])
    titles = sorted(documents)
    random.Random(seed).shuffle(titles)
    drawn: dict[str, list[LabelledPassage]] = {}
    for notice in notices:
        taken, titles = titles[:BACKGROUND_DOCUMENTS], titles[BACKGROUND_DOCUMENTS:]
        drawn[notice] = []
        for title in taken:
            first = max(0, len(documents[title]) - BACKGROUND_PARAGRAPHS) // 2
            drawn[notice] += [
                LabelledPassage(clean_passage(Passage(f"{title}#{k}", title, text, title=title)), notice, {}, "none")
                for k, text in enumerate(documents[title][first : first + BACKGROUND_PARAGRAPHS])
            ]
    return drawn


Judged = tuple[Scored, np.ndarray]
"""Held passages of a notice, and the probabilities that their candidates are carried out (passages x candidates)."""


def leave_notices_out(
    scored: Sequence[Scored], seed: int = 0, more: Sequence[Rows] = (), folds: int = 4
) -> list[Judged]:
    """Return what is said of the held passages, each notice judged by what was learnt without it.

    Args:
        scored: held passages.
        seed: of the decisions.
        more: further rows to learn from.
        folds: parts that the notices are dealt into.
    """
    judged = []
    for fold in range(min(folds, len(scored))):
        held = [item for place, item in enumerate(scored) if place % folds == fold]
        others = [item.rows for place, item in enumerate(scored) if place % folds != fold]
        cascade = Cascade.fit([*(others or [item.rows for item in held]), *more], seed)
        judged += [(item, cascade.predict_proba(item.rows.values, item.rows.read)[:, :, 2]) for item in held]
    return judged


def _answers(judged: Sequence[Judged], threshold: float) -> tuple[list[LabelledPassage], list[Answer]]:
    examples, answers = [], []
    for item, grades in judged:
        for example, numbers, row in zip(item.examples, item.numbers, grades, strict=True):
            order = np.argsort(-row, kind="stable")
            links = [(int(numbers[k]), float(row[k])) for k in order if row[k] >= threshold]
            examples.append(example)
            answers.append(Answer([int(numbers[k]) for k in order], links))
    return examples, answers


def choose_threshold(judged: Sequence[Judged]) -> float:
    """Return the least probability of a link that is filed: of the highest F1 on passages judged unseen.

    Of the thresholds that are as good within half a hundredth, the middle one: on other documents probabilities may
    lie somewhat lower or higher, and either costs least from there.
    """
    tried = [(score_links(*_answers(judged, step / 100))["link_f1"], step / 100) for step in range(20, 65, 5)]
    best = max(tried)[0]
    good = [threshold for f1, threshold in tried if f1 >= best - 0.005]
    return good[(len(good) - 1) // 2]


def left_out_figures(judged: Sequence[Judged], seen: Iterable[str], threshold: float) -> dict[str, dict[str, float]]:
    """Return the figures of score_links (without the status) of "seen notices" and "unseen notices".

    Args:
        judged: what leave_notices_out returned.
        seen: notices of which adapter and cross-encoder have seen other documents.
        threshold: least probability of a link that is filed.
    """
    known = set(seen)
    figures = {}
    for name, wanted in (("seen notices", True), ("unseen notices", False)):
        group = [pair for pair in judged if (pair[0].notice in known) == wanted]
        if group:
            scores = score_links(*_answers(group, threshold))
            figures[name] = {key: round(value, 4) for key, value in scores.items() if key != "status_acc"}
    return figures


def save_scored(scored: Sequence[Scored], path: str | Path) -> None:
    """Save what the decision was learnt from, so that it can be learnt again together with an office's decisions."""
    rows: dict[str, Any] = {
        "values": np.concatenate([item.rows.values for item in scored]).astype(np.float16),
        "cross": np.concatenate([item.rows.cross for item in scored]).astype(np.float16),
        "grades": np.concatenate([item.rows.grades for item in scored]).astype(np.int8),
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
            values, cross = rows["values"].astype(np.float32), rows["cross"].astype(np.float32)
            grades, numbers = rows["grades"], rows["numbers"]
            notices, truth = rows["notices"].tolist(), rows["truth"].tolist()
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ModelNotFoundError(f"{path}：无法读取（{error}）。请重新运行 shidian train linker。") from error
    scored = []
    for notice in dict.fromkeys(notices):
        places = [place for place, name in enumerate(notices) if name == notice]
        examples = [
            LabelledPassage(Passage("", "", ""), notice, {int(no): g for no, g in json.loads(truth[i]).items()}, "")
            for i in places
        ]
        scored.append(Scored(notice, examples, Rows(values[places], cross[places], grades[places]), numbers[places]))
    return scored


def train_linker(
    corpus: str | Path,
    folder: str | Path = "",
    options: FinetuningOptions = FinetuningOptions(),
    cross_options: CrossOptions = CrossOptions(),
    background: str | Path = "",
    progress: Progress = lambda message: None,
) -> dict[str, Any]:
    """Train the whole linker over the default model from a corpus, write it to a folder and return its description.

    Finished parts of an interrupted run on the same corpus and options are taken up again. The folder is replaced at
    the very end, all at once.

    Args:
        corpus: folder whose training/ holds tasks.jsonl and documents.jsonl.
        folder: where the linker goes; "" is models/linker. What was there is kept beside it as .bak.
        options: of the fine-tuning.
        cross_options: of the cross-encoder.
        background: JSONL of real paragraphs that carry out nothing, as draw_background reads it; "" for none.
        progress: called with a line now and then.

    Raises:
        DataError: a line of the background cannot be read.
    """
    target = Path(folder) if folder else default_folder()
    made = target.with_name(target.name + ".training")
    notices, examples = load_corpus(corpus)
    base = Encoder(cache=VectorCache())
    start_training(made, corpus, base.fingerprint().hex(), str(options), str(cross_options))
    shown = [example for example in examples if not example.held]
    held = [example for example in examples if example.held]
    progress(f"训练语料：{len(notices)} 份公文，{len(examples)} 个段落，其中 {len(held)} 个留给判定")
    alien = draw_background(background, notices, options.seed) if background else {}
    adapter, crossed = made / "adapter", made / "cross"
    if not (adapter / DONE).exists():
        progress("微调句向量模型")
        finetune(base, notices, shown, adapter, options, progress)
        (adapter / DONE).touch()
    tuned = Encoder(adapter=str(adapter), cache=VectorCache())
    if not (crossed / DONE).exists():
        progress("训练交叉编码器")
        near = nearest_tasks(tuned, notices, shown)
        train_cross_encoder("", notices, shown, near, crossed, cross_options, str(adapter), progress)
        (crossed / DONE).touch()
    progress("训练进展状态")
    status = StatusClassifier().fit([e.passage.text for e in shown], [e.status for e in shown])
    status.fit_reader([e.passage.text for e in shown], [e.status for e in shown], made / "status", progress)
    status.fit_stack([e.passage.text for e in held], [e.status for e in held])
    save_model(status.state(), made / "status.skops")
    progress("训练判定")
    cross = CrossEncoder(crossed, options=cross_options)
    groups = {notice: [example for example in held if example.notice == notice] for notice in notices}
    scored, others = (
        [score_notice(notice, notices[notice], group, tuned, cross) for notice, group in drawn.items() if group]
        for drawn in (groups, alien)
    )
    known = sorted({example.notice for example in shown})
    config = fit_decisions(made, scored, others, known, options.seed) | {
        "base": base.fingerprint().hex(),
        "options": dataclasses.asdict(options),
        "cross_options": dataclasses.asdict(cross_options),
        "passages": len(examples),
        "held": len(held),
        "notices": sorted(notices),
    }
    write_config(made, config)
    _replace(target, made)
    return config


def fit_decisions(
    folder: Path, scored: Sequence[Scored], others: Sequence[Scored], seen: Sequence[str], seed: int
) -> dict[str, Any]:
    """Learn decisions and threshold, save them with what they learnt from, and return what the config says of them.

    Args:
        folder: of the linker.
        scored: held passages.
        others: paragraphs that carry out nothing.
        seen: notices of which adapter and cross-encoder have seen other documents.
        seed: of the decisions.
    """
    save_scored(scored, folder / HELD)
    (folder / BACKGROUND).unlink(missing_ok=True)
    if others:
        save_scored(others, folder / BACKGROUND)
    # What is saved is what decides, so that --decisions starts from the same.
    scored = load_scored(folder / HELD)
    more = [item.rows for item in (load_scored(folder / BACKGROUND) if others else ())]
    Cascade.fit([*(item.rows for item in scored), *more], seed).to_disk(folder / "decision.skops")
    judged = leave_notices_out(scored, seed, more)
    threshold = choose_threshold(judged)
    return {
        "version": VERSION,
        "threshold": threshold,
        "measured": left_out_figures(judged, seen, threshold),
        "seen": list(seen),
        "features": list(NAMES),
        "background": sum(len(item.examples) for item in others),
    }


def start_training(made: Path, corpus: str | Path, *facts: str) -> None:
    """Make the folder of a training; parts of one on another corpus or with other options are thrown away."""
    digest = hashlib.blake2b("\n".join(facts).encode(), digest_size=8)
    for path in sorted((Path(corpus) / "training").glob("*.jsonl")):
        digest.update(path.read_bytes())
    mark = made / DONE
    if made.exists() and not (mark.is_file() and mark.read_text(encoding="utf-8") == digest.hexdigest()):
        shutil.rmtree(made)
    made.mkdir(parents=True, exist_ok=True)
    mark.write_text(digest.hexdigest(), encoding="utf-8")


def _replace(target: Path, made: Path) -> None:
    """Put a finished training in the place of the linker; the card stays, the old linker stays beside it."""
    for mark in (made / DONE, made / "adapter" / DONE, made / "cross" / DONE):
        mark.unlink(missing_ok=True)
    if target.exists():
        if (target / "README.md").is_file():
            shutil.copy(target / "README.md", made)
        backup = target.with_name(target.name + ".bak")
        if backup.exists():
            shutil.rmtree(backup)
        target.rename(backup)
    made.rename(target)
