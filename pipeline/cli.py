"""The command line ``shidian``: what each command does, printing, exit codes; no logic."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.arguments import command_parser
from pipeline.errors import DataError, PipelineError
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pipeline.store import Store


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _settings(arguments: argparse.Namespace) -> Settings:
    settings = Settings.from_toml(arguments.settings) if arguments.settings else Settings()
    given = {name: value for name in ("model", "linker") if (value := getattr(arguments, name, None)) is not None}
    return dataclasses.replace(settings, **given)


def _print_table(rows: Sequence[Sequence[str]], widths: Sequence[int]) -> None:
    """Print rows in columns; a Chinese character takes two places."""
    import unicodedata

    def width(text: str) -> int:
        return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)

    def cut(text: str, most: int) -> str:
        if width(text) <= most:
            return text + " " * (most - width(text))
        shown = ""
        for character in text:
            if width(shown + character) > most - 2:
                break
            shown += character
        return shown + "…" + " " * (most - width(shown) - 1)

    for row in rows:
        print(" ".join(cut(text, most) for text, most in zip(row, widths, strict=True)).rstrip())


def _tasks(arguments: argparse.Namespace) -> int:
    from pipeline.batch import load_notice
    from pipeline.inventory.task_table import fact_records, write_task_csv, write_task_workbook
    from pipeline.inventory.view import shown_numbers
    from pipeline.records import to_dict, write_jsonl

    settings = arguments.settings
    notice = load_notice(arguments.notice, settings, _say)
    if arguments.debug_pictures:
        from pipeline.readers import read_document
        from pipeline.readers.second_reading import draw_debug_pictures

        tables = read_document(arguments.notice, settings).tables
        for picture in draw_debug_pictures(arguments.notice, arguments.debug_pictures, tables):
            _say(f"已画 {picture}")
    _say(f"{notice.title or arguments.notice} {notice.number} {notice.date}：{len(notice.tasks)} 项任务")
    for problem in notice.problems:
        _say(f"注意：{problem.message}")
    if arguments.facts:
        write_jsonl(fact_records(notice), sys.stdout)
    elif arguments.format == "jsonl":
        write_jsonl((to_dict(task) for task in notice.tasks), sys.stdout)
    elif arguments.format == "table":
        numbers = shown_numbers(notice.tasks)
        rows = [("序号", "章节", "任务", "牵头单位", "配合单位", "页")]
        rows += [
            (
                str(numbers[task.id]), task.section or task.part, task.text, "、".join(task.lead_units),
                "、".join(task.coop_units), str(task.source.page or "") if task.source else "",
            )
            for task in notice.tasks
        ]  # fmt: skip
        _print_table(rows, (5, 20, 60, 24, 24, 3))
    else:
        target = arguments.output
        if arguments.format == "xlsx":
            target = target or f"{Path(arguments.notice).stem}_任务.xlsx"
            write_task_workbook(notice, target)
        elif target:
            # The mark at the start tells Excel and WPS that the file is UTF-8.
            with Path(target).open("w", encoding="utf-8-sig", newline="") as file:
                write_task_csv(notice, file)
        else:
            write_task_csv(notice, sys.stdout)
        if target:
            _say(f"已写 {target}")
    return 0


def _classify(arguments: argparse.Namespace) -> int:
    from pipeline.classification import SCHEMES, TaskClassifier
    from pipeline.records import read_jsonl

    # Bytes: what a console of Windows pipes need not be UTF-8.
    source = sys.stdin.buffer.read() if arguments.tasks == "-" else _existing(arguments.tasks)
    rows = list(read_jsonl(source, arguments.tasks))
    for number, row in enumerate(rows, 1):
        if not isinstance(row.get("text"), str):
            raise DataError(f'{arguments.tasks} 第{number}条没有 text 字段。每行应为 {{"id": …, "text": …}}。')
    labels = iter(TaskClassifier.from_disk().predict(rows, reasons=arguments.why))
    for row in rows:
        out: dict[str, Any] = {"id": row.get("id", "")}
        for _ in SCHEMES:
            label = next(labels)
            out[label.scheme] = label.value
            out[f"{label.scheme}_probability"] = round(label.probability, 4)
            if arguments.why:
                out[f"{label.scheme}_second"] = label.second
                out[f"{label.scheme}_reasons"] = [list(reason) for reason in label.reasons]
        print(json.dumps(out, ensure_ascii=False))
    return 0


def _existing(path: str) -> str:
    if not Path(path).exists() or Path(path).is_dir():
        raise DataError(f"{path}：找不到文件。请检查路径，标准输入请写 -。")
    return path


def _match(arguments: argparse.Namespace) -> int:
    from pipeline.batch import KnownDocument, load_notice, predict_documents
    from pipeline.inventory.findings import figures
    from pipeline.matching import TaskMatcher
    from pipeline.records import Problem, to_dict

    settings = arguments.settings
    notice = load_notice(arguments.notice, settings, _say)
    matcher = TaskMatcher.from_disk(settings=settings).fit(notice.tasks)
    numbers = {task.id: task.no for task in notice.tasks}
    failed = 0
    for item in predict_documents(arguments.documents, matcher, settings, workers=arguments.workers, progress=_say):
        if isinstance(item, Problem):
            failed += item.kind == "read"
            _say(item.message)
            continue
        if isinstance(item, KnownDocument):
            continue
        for prediction in item[2]:
            out: dict[str, Any] = {
                "pid": prediction.passage.id,
                "candidates": [
                    {"task": task.no, "score": score} for task, score in prediction.candidates[: arguments.top]
                ],
                "links": [
                    {"task": numbers[link.task], "probability": link.probability, "evidence": to_dict(link.evidence)}
                    for link in prediction.links
                ],
                "related": [
                    {"task": numbers[link.task], "probability": link.probability} for link in prediction.related
                ],
                "status": prediction.status.value,
                "status_probability": round(prediction.status.probability, 4),
                "status_cue": prediction.status.reasons[0][0] if prediction.status.reasons else "",
                "figures": [
                    {"kind": figure.kind, "value": figure.value, "unit": figure.unit, "text": figure.text}
                    for figure in figures(prediction.passage.text)
                ],
                "document": item[0].id,
                "page": prediction.passage.source.page if prediction.passage.source else None,
            }
            if arguments.format == "jsonl":
                print(json.dumps(out, ensure_ascii=False))
            else:
                links = "；".join(f"{link['task']}（{link['probability']:.2f}）" for link in out["links"]) or "—"
                print(f"{out['pid']}\t{links}\t{out['status']}\t{prediction.passage.text[:40]}")
    return 1 if failed else 0


def _run(arguments: argparse.Namespace) -> int:
    from pipeline.batch import run

    settings = arguments.settings
    result = run(
        arguments.inputs, arguments.notice, arguments.out, settings, store=arguments.store, workers=arguments.workers,
        today=arguments.date, progress=_say,
    )  # fmt: skip
    from pipeline.inventory import totals

    count = totals(result.snapshot, settings)
    notice = result.notice
    print(f"{notice.number} {notice.title}".strip())
    print(f"任务：{count['tasks']} 项，有进展证据 {count['with_evidence']} 项，曾报落地 {count['carried_out']} 项")
    print(
        f"亮灯：绿 {count['light_green']}，黄 {count['light_amber']}，红 {count['light_red']}，灰 {count['light_grey']}"
    )
    print(
        f"关联：{count['documents']} 份文档、{count['passages']} 个段落，关联 {count['links']} 条，"
        f"其中把握大、可直接签认 {count['sure_links']} 条"
    )
    print(f"案例：{count['cases']} 个；问题清单 {count['problems']} 条")
    print(f"文件：新读 {result.new}，未变 {result.known}，未能读取 {result.failed}；用时 {result.seconds:.0f} 秒")
    if result.elsewhere:
        print(f"另有 {result.elsewhere} 份以前读入、不在本次所给文件夹中的文档，照常计入")
    for name, path in result.files.items():
        print(f"  {name:<10} {path}")
    if result.failed:
        _say(f"有 {result.failed} 个文件未能读取，原因见 问题清单。")
    return 1 if result.failed else 0


def _export(arguments: argparse.Namespace) -> int:
    import datetime

    from pipeline.inventory import FORMATS, cut_name, export, filter_snapshot

    settings = arguments.settings
    keep = _open_store(arguments.store, arguments.out)
    notice_id = _choose_notice(keep, arguments.notice)
    snapshot = keep.snapshot(notice_id, arguments.date or datetime.date.today().isoformat(), ())
    snapshot = filter_snapshot(snapshot, arguments.since, arguments.unit, settings)
    # A part has a folder of its own: it must not stand where the files of the whole are looked for.
    part = cut_name(arguments.since, arguments.unit)
    folder = Path(arguments.out) / (f"仅含_{part}" if part else "")
    files = export(snapshot, folder, formats=tuple(arguments.format or FORMATS[:3]), settings=settings, progress=_say)
    print(*files.values(), sep="\n")
    return 0


def _open_store(store: str, out: str = "") -> Store:
    from pipeline.store import Store

    store = store or str(Path(out) / "shidian.sqlite")
    return Store(store if "://" in store else _existing(store))


def _choose_notice(store: Store, wanted: str) -> str:
    notices = store.notices()
    matching = [notice for notice in notices if not wanted or wanted in (notice.id, notice.number, notice.title)]
    if len(matching) == 1:
        return matching[0].id
    known = "；".join(f"{notice.id} {notice.title}" for notice in notices) or "无"
    raise DataError(f"请用 --notice 指明公文编号。库中有：{known}。")


def _import(arguments: argparse.Namespace) -> int:
    import datetime

    from pipeline.inventory import read_returned_workbook
    from pipeline.inventory.labels_csv import is_label_file, read_labels_csv

    keep = _open_store(arguments.store, arguments.out)
    notice_id = _choose_notice(keep, arguments.notice)
    snapshot = keep.snapshot(notice_id, datetime.date.today().isoformat(), ())
    path, settings = _existing(arguments.file), arguments.settings
    if is_label_file(path):
        labels, problems = read_labels_csv(path, snapshot, reviewer=arguments.reviewer, settings=settings)
        keep.add_labels(notice_id, labels)
        said = f"读回 {len(labels)} 条标注（与此前相同的不重复计）"
    else:
        decisions, problems = read_returned_workbook(path, snapshot, reviewer=arguments.reviewer, settings=settings)
        keep.add_decisions(decisions)
        said = f"读回 {len(decisions)} 条审核意见"
    for problem in problems:
        _say(problem.message)
    print(f"{said}，{len(problems)} 处无法采用。")
    return 1 if problems else 0


def _review(arguments: argparse.Namespace) -> int:
    from pipeline.review import serve

    keep = _open_store(arguments.store, arguments.out)
    serve(
        keep, _choose_notice(keep, arguments.notice), arguments.host, arguments.port, progress=_say,
        open_browser=not arguments.no_browser, settings=arguments.settings, allow_remote=arguments.allow_remote,
    )  # fmt: skip
    return 0


def _evaluate(arguments: argparse.Namespace) -> int:
    from pipeline.evaluation import evaluate, report_lines

    results = evaluate(arguments.corpus, arguments.settings, stages=arguments.stages, progress=_say)
    if arguments.format == "json":
        print(json.dumps(results.values, ensure_ascii=False, indent=1))
    else:
        print("\n".join(report_lines(results)))
    if arguments.pictures and results.ladders:
        from pipeline.evaluation.ladder import draw_pictures

        Path(arguments.pictures).mkdir(parents=True, exist_ok=True)
        for path in draw_pictures(results.ladders, arguments.pictures):
            _say(f"已画 {path}")
    for failure in results.failures:
        _say(failure)
    return 1 if results.failures else 0


def _models(arguments: argparse.Namespace) -> int:
    from pipeline.encoding import DEFAULT_MODEL, build_default_model, models_folder

    folder = models_folder()
    if arguments.action == "build":
        target = folder / DEFAULT_MODEL
        if (target / "modules.json").is_file() and not arguments.force:
            _say(f"默认模型已在 {target}；如需重建请加 --force")
        else:
            build_default_model(target, arguments.source, _say)
        print(target)
        return 0
    bad = 0
    rows = [("模型", "状态", "用途", "目录")]
    for name, purpose, mark in (
        (DEFAULT_MODEL, "句向量", "modules.json"),
        ("classifier", "任务分类", "config.json"),
        ("linker", "段落关联", "config.json"),
    ):
        state = "可用" if (folder / name / mark).is_file() else "缺失"
        if state == "可用" and arguments.action == "check":
            try:
                _try_model(name, folder / name)
            except PipelineError as error:
                state = "损坏"
                _say(str(error))
        bad += state != "可用"
        rows.append((name, state, purpose, str(folder / name)))
    _print_table(rows, (14, 6, 10, 80))
    if bad:
        _say("缺句向量模型时请运行 shidian models build；缺其他模型时请重新安装或运行 shidian train。")
    return 1 if bad and arguments.action == "check" else 0


def _try_model(name: str, folder: Path) -> None:
    """Load a model and let it answer once: that a file is there does not say that it is whole."""
    from pipeline.classification import TaskClassifier
    from pipeline.encoding import Encoder
    from pipeline.matching import TaskMatcher
    from pipeline.records import Passage, Task

    text = "支持外资银行设立分行，扩大业务范围。"
    if name == "classifier":
        TaskClassifier.from_disk(folder).predict([{"text": text}])
    elif name == "linker":
        task, passage = Task("1", 1, text), Passage("1", "1", text)
        TaskMatcher.from_disk(folder).fit([task]).predict([passage])
    else:
        Encoder(str(folder)).encode([text])


def _train(arguments: argparse.Namespace) -> int:
    import time

    started = time.monotonic()

    def progress(message: str) -> None:
        _say(f"[{time.monotonic() - started:6.0f} 秒] {message}")

    for option in ("decisions", "background"):
        if getattr(arguments, option) and arguments.what != "linker":
            raise DataError(f"--{option} 只用于 shidian train linker。请去掉该选项，或改为训练 linker。")
    if arguments.decisions:
        from pipeline.matching.feedback import refine_linker

        keep = _open_store(arguments.decisions)
        snapshot = keep.snapshot(_choose_notice(keep, arguments.notice))
        for when, groups in refine_linker(snapshot, arguments.out, progress).items():
            for group, figures in groups.items():
                print(f"{when:<6} {group:<15} link_f1 {figures['link_f1']:.3f} hit@1 {figures['hit@1']:.3f}")
    elif arguments.what == "linker":
        from pipeline.matching.training import train_linker

        background = _existing(arguments.background) if arguments.background else ""
        train_linker(arguments.corpus, arguments.out, background=background, progress=progress)
    else:
        from pipeline.classification.training import train_classifier

        train_classifier(arguments.corpus, arguments.out, progress=progress)
    return 0


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "run": _run,
    "tasks": _tasks,
    "classify": _classify,
    "match": _match,
    "export": _export,
    "import": _import,
    "review": _review,
    "evaluate": _evaluate,
    "models": _models,
    "train": _train,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Example:
        >>> main(["tasks", "没有这个文件.pdf"])
        1
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a console of another code page must not fail on Chinese
            stream.reconfigure(encoding="utf-8", errors="replace")
    arguments = command_parser().parse_args(argv)
    try:
        arguments.settings = settings = _settings(arguments)  # a misspelt file is told of by every command
        if settings.model and arguments.command in ("run", "match"):
            _say("注意：关联概率是按默认的句向量模型校准的，换用其他模型后只能参考，请多核对。")
        code: int = _COMMANDS[arguments.command](arguments)
        sys.stdout.flush()
        return code
    except PipelineError as error:
        _say(str(error))
        return 1
    except BrokenPipeError:
        # The reader of our output has gone (head, less): that is no error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except KeyboardInterrupt:
        _say("已中断；已完成的部分已保存，再次运行会接着做。")
        return 130
