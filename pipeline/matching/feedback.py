"""Learn from an office's decisions: the last stage of the linker, trained again with them.

An accepted link is an example of carrying out, a rejected one of not; a moved one is both, for two tasks. The adapter
stays as it is. The figures on the held passages of other notices are measured before and after: where they fall by more
than is allowed, nothing is changed.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import DataError
from pipeline.matching import TaskMatcher, default_folder, read_config, write_config
from pipeline.matching.cascade import Cascade, Rows
from pipeline.matching.corpus import LabelledPassage, clean_passage
from pipeline.matching.training import (
    BACKGROUND,
    HELD,
    Scored,
    leave_notices_out,
    left_out_figures,
    load_scored,
    save_scored,
)
from pipeline.records import Snapshot

DECIDED = "decided.npz"
"""File of what earlier decisions taught, by notice: those on one notice are not forgotten for those on another."""
ALLOWED_FALL = 0.01
"""Of link F1 on the held passages of other notices."""
WEIGHT = 3
"""How many times an office's decision counts beside an example of the corpus."""


def decided_grades(snapshot: Snapshot) -> dict[str, dict[str, int]]:
    """Return what is known of each decided passage: task id to grade 2 or 0; the last word on a task holds."""
    known: dict[str, dict[str, int]] = {}
    for item in sorted(snapshot.decisions, key=lambda item: item.time):
        grades = known.setdefault(item.passage, {})
        if item.verdict == "unsure":
            grades.pop(item.task, None)
            continue
        grades[item.task] = 2 if item.verdict == "accepted" else 0
        if item.verdict == "moved":
            grades[item.moved_to] = 2
    return {passage: grades for passage, grades in known.items() if grades}


def decided_examples(matcher: TaskMatcher, snapshot: Snapshot) -> Scored | None:
    """Return the candidates of the passages that the office has decided on; None where there are none.

    Where a passage has an accepted task, its other candidates count as rejected; where it has none, only those that
    were rejected are known (grade -1: unknown).
    """
    known = decided_grades(snapshot)
    documents = {passage.document_id for passage in snapshot.passages if passage.id in known}
    # Whole documents: the decision looks at the neighbours of a passage as well.
    passages = [clean_passage(passage) for passage in snapshot.passages if passage.document_id in documents]
    if not passages:
        return None
    tasks = list(snapshot.notice.tasks)
    chosen, values = matcher.index.find(passages, matcher.settings.candidates)
    grades = np.full(chosen.shape, -1)
    for place, passage in enumerate(passages):
        decided = known.get(passage.id, {})
        unsaid = 0 if 2 in decided.values() else -1
        grades[place] = [decided.get(tasks[task].id, unsaid) for task in chosen[place]]
    rows = np.flatnonzero((grades >= 0).any(1))
    if not len(rows):
        return None
    values = values[rows]
    read = matcher.cross.score([(passages[i], tasks[k]) for i in rows for k in chosen[i]])
    numbers = np.array([task.no for task in tasks])[chosen[rows]]
    by_id = {task.id: task.no for task in tasks}
    examples = [
        LabelledPassage(
            passages[i],
            snapshot.notice.id,
            {by_id[task]: grade for task, grade in known.get(passages[i].id, {}).items() if task in by_id},
            "",
        )
        for i in rows
    ]
    decided_rows = Rows(values, read.reshape(*values.shape[:2], -1), grades[rows], WEIGHT)
    return Scored(snapshot.notice.id, examples, decided_rows, numbers)


def refine_linker(
    snapshot: Snapshot,
    folder: str | Path = "",
    progress: Callable[[str], None] = lambda message: None,
) -> dict[str, Any]:
    """Train the decision again with an office's decisions and return the figures before and after.

    Args:
        snapshot: of the notice that was decided on.
        folder: of the linker, "" is models/linker; what was there is kept beside it as .bak. One without a linker
            gets a copy of models/linker with the new decision.
        progress: called with a line now and then.

    Raises:
        DataError: there are no decisions, or the figures on other notices would fall; nothing is changed then.
        ModelNotFoundError: the linker is missing or was made without its held examples.
    """
    source = default_folder()
    target = Path(folder) if folder else source
    if (target / "config.json").is_file():
        source = target
    matcher = TaskMatcher.from_disk(source).fit(snapshot.notice.tasks)
    progress("计算已审核段落的特征")
    decided = decided_examples(matcher, snapshot)
    if decided is None:
        raise DataError("库中还没有可用的审核意见。请先在工作簿或审核页面中审核，再训练。")
    scored = load_scored(source / HELD)
    more = [item.rows for item in _load(source / BACKGROUND)]
    earlier = [item for item in _load(source / DECIDED) if item.notice != decided.notice]
    more += [dataclasses.replace(item.rows, weight=WEIGHT) for item in earlier]
    config = read_config(source)
    threshold, seed = config["threshold"], config["options"]["seed"]
    count = int((decided.rows.grades >= 0).sum())
    progress(f"用 {count} 条意见重新训练判定，并在其他公文上核对")
    before = left_out_figures(leave_notices_out(scored, seed, more), config["seen"], threshold)
    after = left_out_figures(leave_notices_out(scored, seed, [*more, decided.rows]), config["seen"], threshold)
    for group, figures in before.items():
        fall = figures["link_f1"] - after[group]["link_f1"]
        if fall > ALLOWED_FALL:
            raise DataError(
                f"用这些意见训练会使其他公文的关联 F1 下降 {fall:.3f}，未作改动。"
                "请检查审核意见是否有误，或待意见更多时再试。"
            )
    kept = target.with_name(target.name + ".bak") if source == target else target
    shutil.copytree(source, kept, dirs_exist_ok=True)
    cascade = Cascade.fit([*(item.rows for item in scored), *more, decided.rows], seed)
    cascade.to_disk(target / "decision.skops")
    save_scored([*earlier, decided], target / DECIDED)
    config["decisions"] = {"notice": snapshot.notice.id, "rows": count, "before": before, "after": after}
    write_config(target, config)
    return {"before": before, "after": after}


def _load(path: Path) -> list[Scored]:
    return load_scored(path) if path.is_file() else []
