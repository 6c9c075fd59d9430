"""Learn from an office's decisions: the last stage of the linker, trained again with them.

An accepted link is an example of carrying out, a rejected one of not; a moved one is both, for two tasks. The adapter
stays as it is. The figures on the held passages of other notices are measured before and after: where they fall by more
than is allowed, nothing is changed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.encoding import models_folder
from pipeline.errors import DataError
from pipeline.matching import TaskMatcher
from pipeline.matching.cascade import Cascade, Rows
from pipeline.matching.features import candidates, features
from pipeline.matching.training import BACKGROUND, HELD, leave_notices_out, left_out_figures, load_scored
from pipeline.records import Decision, Snapshot

ALLOWED_FALL = 0.01
"""Of link F1 on the held passages of other notices."""
WEIGHT = 3
"""How many times an office's decision counts beside an example of the corpus."""


def last_decisions(snapshot: Snapshot) -> dict[tuple[str, str], Decision]:
    """Return the last word on each (passage, task), "unsure" left out."""
    last = {(item.passage, item.task): item for item in sorted(snapshot.decisions, key=lambda item: item.time)}
    return {key: item for key, item in last.items() if item.verdict != "unsure"}


def decided_grades(snapshot: Snapshot) -> dict[str, dict[str, int]]:
    """Return what is known of each decided passage: task id to grade 2 or 0."""
    known: dict[str, dict[str, int]] = {}
    for (passage, task), item in last_decisions(snapshot).items():
        grades = known.setdefault(passage, {})
        if item.verdict == "moved":
            grades[item.moved_to] = 2
        grades.setdefault(task, 2 if item.verdict == "accepted" else 0)
    return known


def decision_rows(matcher: TaskMatcher, snapshot: Snapshot) -> Rows | None:
    """Return the candidates of the passages that the office has decided on; None where there are none.

    Where a passage has an accepted task, its other candidates count as rejected; where it has none, only those that
    were rejected are known.
    """
    known = decided_grades(snapshot)
    tasks = list(snapshot.notice.tasks)
    passages = list(snapshot.passages)
    likeness = matcher.index.compare(passages)
    chosen = candidates(likeness, min(matcher.settings.candidates, len(tasks)))
    grades = np.full(chosen.shape, -1)
    for place, passage in enumerate(passages):
        decided = known.get(passage.id, {})
        unsaid = 0 if 2 in decided.values() else -1
        grades[place] = [decided.get(tasks[task].id, unsaid) for task in chosen[place]]
    rows = np.flatnonzero((grades >= 0).any(1))
    if not len(rows):
        return None
    values = features(passages, tasks, likeness, chosen)[rows]
    read = matcher.cross.score([(passages[i], tasks[k]) for i in rows for k in chosen[i]])
    return Rows(values, read.reshape(*values.shape[:2], -1), grades[rows], WEIGHT)


def refine_linker(
    snapshot: Snapshot,
    folder: str | Path = "",
    progress: Callable[[str], None] = lambda message: None,
) -> dict[str, Any]:
    """Train the decision again with an office's decisions and return the figures before and after.

    Args:
        snapshot: of the notice that was decided on.
        folder: of the linker; "" is models/linker. What was there is kept beside it as .bak.
        progress: called with a line now and then.

    Raises:
        DataError: there are no decisions, or the figures on other notices would fall; nothing is changed then.
        ModelNotFoundError: the linker is missing or was made without its held examples.
    """
    target = Path(folder) if folder else models_folder() / "linker"
    matcher = TaskMatcher.from_disk(target).fit(snapshot.notice.tasks)
    progress("计算已审核段落的特征")
    decided = decision_rows(matcher, snapshot)
    if decided is None:
        raise DataError("库中还没有可用的审核意见。请先在工作簿或审核页面中审核，再训练。")
    scored = load_scored(target / HELD)
    more = [item.rows for item in load_scored(target / BACKGROUND)] if (target / BACKGROUND).is_file() else []
    config = json.loads((target / "config.json").read_text(encoding="utf-8"))
    threshold, seed = config["threshold"], config["options"]["seed"]
    count = int((decided.grades >= 0).sum())
    progress(f"用 {count} 条意见重新训练判定，并在其他公文上核对")
    before = left_out_figures(leave_notices_out(scored, seed, more), config["seen"], threshold)
    after = left_out_figures(leave_notices_out(scored, seed, [*more, decided]), config["seen"], threshold)
    for group, figures in before.items():
        fall = figures["link_f1"] - after[group]["link_f1"]
        if fall > ALLOWED_FALL:
            raise DataError(
                f"用这些意见训练会使其他公文的关联 F1 下降 {fall:.3f}，未作改动。"
                "请检查审核意见是否有误，或待意见更多时再试。"
            )
    shutil.copytree(target, target.with_name(target.name + ".bak"), dirs_exist_ok=True)
    cascade = Cascade.fit([*(item.rows for item in scored), *more, decided], seed)
    cascade.to_disk(target / "decision.skops")
    config["decisions"] = {"notice": snapshot.notice.id, "rows": count, "before": before, "after": after}
    (target / "config.json").write_text(json.dumps(config, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return {"before": before, "after": after}
