"""Scores of each stage on corpus/gold, beside the TF-IDF baseline, held against pinned floors.

The link figures are defined in matching/scores.py; ladder.py sets the linker beside simpler methods.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import DataError
from pipeline.matching.corpus import LabelledPassage, read_labelled
from pipeline.matching.scores import calibration_error, score_links, score_signed
from pipeline.records import Task
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pipeline.evaluation.ladder import Rung

Progress = Callable[[str], None]


@dataclass
class Evaluation:
    """Scores by stage and set, the ladder of linking methods, and the floors that were not reached."""

    values: dict[str, dict[str, float]] = field(default_factory=dict)
    ladders: dict[str, tuple[list[LabelledPassage], list[Rung]]] = field(default_factory=dict)
    left_out: dict[str, dict[str, float]] = field(default_factory=dict)
    """Figures of the linker on the held passages of the training corpus, each notice left out of the decision."""
    failures: list[str] = field(default_factory=list)


def read_gold_tasks(path: str | Path) -> list[dict[str, Any]]:
    """Return the rows of gold tasks (JSON list or JSON lines).

    Raises:
        DataError: the file is missing or malformed.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        rows = json.loads(text) if text.lstrip().startswith("[") else [json.loads(x) for x in text.splitlines() if x]
    except (OSError, ValueError) as error:
        raise DataError(f"{path}：标注数据无法读取（{error}）。请检查 corpus/gold。") from error
    return list(rows)


def gold_task_records(path: str | Path, notice: str) -> list[Task]:
    """Return gold tasks as records."""
    return [
        Task(
            f"{notice}#{row['no']}", row["no"], row["text"], row.get("part", ""), row.get("section", ""),
            tuple(row.get("lead_units", ())), tuple(row.get("coop_units", ())),
        )
        for row in read_gold_tasks(path)
    ]  # fmt: skip


def _plain(text: str) -> str:
    return "".join(text.split()).translate(str.maketrans("（）", "()")).rstrip("。")


def score_tasks(gold: Sequence[Mapping[str, Any]], tasks: Sequence[Task]) -> dict[str, float]:
    """Return the shares of gold tasks that were read right: exact, and each field alone.

    White space, the width of brackets and a final 。 are forgiven.
    """
    found = {task.no: task for task in tasks}
    fields: dict[str, int] = dict.fromkeys(("text", "lead_units", "coop_units", "section"), 0)
    exact = 0
    for row in gold:
        task = found.get(row["no"])
        good = {
            "text": task is not None and _plain(task.text) == _plain(row["text"]),
            "lead_units": task is not None and [*map(_plain, task.lead_units)] == [*map(_plain, row["lead_units"])],
            "coop_units": task is not None and [*map(_plain, task.coop_units)] == [*map(_plain, row["coop_units"])],
            "section": task is not None and _plain(task.section) == _plain(row.get("section", "")),
        }
        for name, value in good.items():
            fields[name] += value
        exact += all(good.values())
    return {
        "exact": exact / max(1, len(gold)),
        **{name: value / max(1, len(gold)) for name, value in fields.items()},
        "extra": float(len(tasks) - len({row["no"] for row in gold} & set(found))),
    }


def _score_classification(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    from sklearn.metrics import f1_score

    from pipeline.classification import SCHEMES, TaskClassifier

    known = ("text", "section", "part", "lead_units", "coop_units")
    tasks = [{key: row[key] for key in known if key in row} | {"id": str(i)} for i, row in enumerate(rows)]
    labels = TaskClassifier.from_disk().predict(tasks)
    figures = {}
    for scheme in SCHEMES:
        if scheme not in rows[0]:
            continue
        mine = [label for label in labels if label.scheme == scheme]
        right = [int(label.value == row[scheme]) for label, row in zip(mine, rows, strict=True)]
        figures[scheme] = sum(right) / len(right)
        figures[f"{scheme}_ece"] = calibration_error(
            [(label.probability, ok) for label, ok in zip(mine, right, strict=True)]
        )
        if scheme == "stri":
            figures["stri_macro_f1"] = float(
                f1_score(
                    [row["stri"] for row in rows], [label.value for label in mine], average="macro", zero_division=0
                )
            )
    return figures


def evaluate(
    corpus: str | Path,
    settings: Settings = Settings(),
    stages: Sequence[str] = ("tasks", "classification", "links"),
    progress: Progress = lambda message: None,
) -> Evaluation:
    """Score the stages on corpus/gold and compare with corpus/floors.json.

    Raises:
        DataError: gold or floors are missing or malformed.
    """
    from pipeline.evaluation.ladder import climb
    from pipeline.extraction import extract_notice
    from pipeline.matching import TaskMatcher
    from pipeline.readers import read_document

    root = Path(corpus)
    floors = _read_floors(root)
    result = Evaluation()
    if "tasks" in stages:
        gold = read_gold_tasks(root / "gold" / "tasks.json")
        for path in sorted((root / "notices").iterdir()):
            progress(f"抽取任务 {path.name}")
            result.values[f"tasks/{path.suffix[1:]}"] = score_tasks(gold, extract_notice(read_document(path)).tasks)
    if "classification" in stages:
        for name in ("tasks.json", "other_tasks.jsonl"):
            progress(f"分类 {name}")
            rows = read_gold_tasks(root / "gold" / name)
            result.values[f"classification/{name.split('.')[0]}"] = _score_classification(rows)
    if "links" in stages:
        matcher = TaskMatcher.from_disk(settings=settings)
        result.left_out = matcher.left_out
        for name, tasks in (("dev", "tasks.json"), ("unseen_ports", "unseen_ports_tasks.json")):
            progress(f"关联 {name}")
            records = gold_task_records(root / "gold" / tasks, name)
            examples = read_labelled(root / "gold" / f"{name}_docs.jsonl", name)
            rungs = climb(matcher, records, examples, progress)
            answers = rungs[-1].answers
            signed = score_signed(examples, answers, settings.sign_threshold)
            result.values[f"links/{name}"] = score_links(examples, answers) | signed
            result.ladders[name] = examples, rungs
    result.failures = check_floors(result.values, floors, gold_digest(root / "gold"))
    return result


def gold_digest(folder: str | Path) -> str:
    """Return the SHA-256 of all gold files: a change of data cannot pass for one of code."""
    digest = hashlib.sha256()
    for path in sorted(Path(folder).rglob("*")):
        if path.is_file():
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _read_floors(root: Path) -> dict[str, Any]:
    try:
        floors: dict[str, Any] = json.loads((root / "floors.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{root / 'floors.json'}：下限文件无法读取（{error}）。请用 --corpus 指明语料目录。") from error
    return floors


def check_floors(values: Mapping[str, Mapping[str, float]], floors: Mapping[str, Any], digest: str) -> list[str]:
    """Return a line for each figure under its floor (errors and extras: over it), and one if the gold has changed."""
    failures = []
    if floors.get("gold_sha256") != digest:
        failures.append("标注数据与 floors.json 记录的校验和不符：数据变了，请先重新核定下限。")
    for stage, figures in values.items():
        for name, floor in floors.get("floors", {}).get(stage, {}).items():
            value = figures.get(name)
            upper = name.endswith("ece") or name == "extra"
            if value is None or (value > floor if upper else value < floor):
                shown = "无" if value is None else f"{value:.4f}"
                failures.append(f"{stage} {name} = {shown}，{'高' if upper else '低'}于限值 {floor}")
    return failures


def report_lines(result: Evaluation) -> list[str]:
    """Return the figures as lines to print, and the ladder of linking methods as a Markdown table."""
    from pipeline.evaluation.ladder import table_lines

    lines = []
    for stage, figures in result.values.items():
        lines += [stage, *(f"  {name:<18}{value:8.3f}" for name, value in figures.items())]
    if result.ladders:
        lines += ["", *table_lines(result.ladders, result.left_out), ""]
    lines.append("下限：" + ("全部达到" if not result.failures else f"{len(result.failures)} 项未达到"))
    return lines
