"""Many documents: read in bounded processes, matched together, kept in the store as they come.

A run takes up where the last one stopped: a document that the store knows by its content, read under the same
settings and linked by the same linker, is not read again.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline import __version__
from pipeline.classification import TaskClassifier
from pipeline.encoding import model_folder
from pipeline.errors import ExtractionError, ReadError
from pipeline.extraction import extract_notice, extract_passages
from pipeline.inventory import export
from pipeline.matching import Prediction, TaskMatcher
from pipeline.readers import STDIN, STDIN_NAME, find_files
from pipeline.readers.worker import read_bounded, read_many
from pipeline.records import Document, Notice, Passage, Problem, Snapshot
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.units import NoticeUnits

Progress = Callable[[str], None]


@dataclass
class RunResult:
    """What a run came to: where its files are and how many of each thing there were."""

    notice: Notice
    snapshot: Snapshot
    files: dict[str, Path | str] = field(default_factory=dict)
    """By name; the store is an address where it is no file."""
    new: int = 0
    known: int = 0
    failed: int = 0
    elsewhere: int = 0
    """Documents of earlier runs that lie outside what this run was given; they still count."""
    seconds: float = 0.0


def load_notice(path: str, settings: Settings, progress: Progress = lambda message: None) -> Notice:
    """Read a notice in a bounded process and return it with its tasks.

    Raises:
        ReadError: the file cannot be read.
        ExtractionError: it holds no task table.
    """
    progress(f"读取公文 {path}")
    documents = read_bounded(path, settings)
    if len(documents) != 1:
        raise ExtractionError(f"{path}：应为一份公文，却有 {len(documents)} 份文档。请用 --notice 指定公文文件。")
    document = documents[0]
    notice = extract_notice(document, settings)
    doubtful = any(problem.kind in ("table", "count") for problem in notice.problems)
    if document.format == "pdf" and doubtful:
        from pipeline.readers.second_reading import second_reading

        progress("任务表有疑点，另行读取一遍以作核对")
        differing = second_reading(path, document.tables)
        notice = dataclasses.replace(notice, problems=(*notice.problems, *differing))
    return notice


def signature(matcher: TaskMatcher, settings: Settings, notice: Notice) -> str:
    """Return a mark of all that a document's links depend on beside the document itself."""
    parts = [__version__, matcher.fingerprint(), notice.id, *(task.text for task in notice.tasks)]
    told = dataclasses.asdict(settings)
    del told["unit_lexicon"]  # names of units change no link
    parts.append(json.dumps(told, sort_keys=True))
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=8).hexdigest()


_MOST_UNITS = 30


def unknown_units_note(notice: Notice, settings: Settings) -> list[Problem]:
    """Return a note that names the units of a notice that nothing knows; none where all are known.

    Raises:
        DataError: the lexicon of units that the settings name is missing or damaged.
    """
    unknown = NoticeUnits(notice, settings.unit_lexicon).unknown()
    if not unknown:
        return []
    names = "、".join(unknown[:_MOST_UNITS]) + ("等" if len(unknown) > _MOST_UNITS else "")
    message = (
        f"有 {len(unknown)} 个单位未识别，按公文写法单独统计：{names}。"
        "如需归并，请写进单位词典 CSV（列 name,aliases,same_as,successor,kind,level,place），"
        "用设置 unit_lexicon 指定；另见“单位对照”。"
    )
    return [Problem("note", message, file=notice.path)]


def predict_documents(
    inputs: Iterable[str],
    matcher: TaskMatcher,
    settings: Settings,
    *,
    workers: int = 1,
    progress: Progress = lambda message: None,
    skip: Callable[[Document], bool] = lambda document: False,
    chunk: int = 256,
) -> Iterator[tuple[Document, list[Passage], list[Prediction]] | Problem]:
    """Yield each document with its passages and what is said of them, or the problem that kept it from being read.

    Args:
        inputs: files and folders.
        matcher: fitted to a notice.
        settings: bounds and thresholds.
        workers: reading processes.
        progress: called with a line now and then.
        skip: tells of a document whether it is known already; such a document comes with no passages.
        chunk: passages matched at a time.
    """
    files = list(find_files(inputs))
    waiting: list[tuple[Document, list[Passage]]] = []
    size = done = 0

    def flush() -> Iterator[tuple[Document, list[Passage], list[Prediction]]]:
        nonlocal waiting, size
        together = [passage for _, passages in waiting for passage in passages]
        predictions = iter(matcher.predict(together))
        for document, passages in waiting:
            yield document, passages, [next(predictions) for _ in passages]
        waiting, size = [], 0

    seen: dict[str, str] = {}
    last = ""
    for path, result in read_many(files, settings, workers):
        if path != last:
            done, last = done + 1, path
            progress(f"读取 {done}/{len(files)} {Path(path).name}")
        if isinstance(result, ReadError):
            yield Problem("read", str(result), file=path, page=result.page)
            continue
        if result.id in seen:  # the same bytes under two names are one document
            yield Problem("note", f"{path}：内容与 {seen[result.id]} 完全相同，只计一次。", file=path)
            continue
        seen[result.id] = path
        if skip(result):
            yield result, [], []
            continue
        passages = extract_passages(result, settings)
        waiting.append((result, passages))
        size += len(passages)
        if size >= chunk:
            progress(f"关联 {size} 个段落")
            yield from flush()
    if waiting:
        progress(f"关联 {size} 个段落")
    yield from flush()


def _lies_in(path: str, inputs: Iterable[str]) -> bool:
    """Tell whether a document came from one of the inputs: from that file, or from a file in that folder."""
    place = Path(path).absolute()
    places = {place, *place.parents}
    return any(path == STDIN_NAME if given == STDIN else Path(given).absolute() in places for given in inputs)


def run(
    inputs: Sequence[str],
    notice_path: str,
    out: str | Path,
    settings: Settings = Settings(),
    *,
    store: str = "",
    workers: int = 1,
    today: str = "",
    progress: Progress = lambda message: None,
) -> RunResult:
    """Do everything: read the notice and the documents, classify, link, keep, and write all files.

    Documents of earlier runs stay, unless they came from a file or folder that is given again and are there no more;
    one whose file cannot be read this time stays as it was.

    Args:
        inputs: files and folders of reports, JSONL of documents, "-" for standard input.
        notice_path: the notice.
        out: folder of the store and of the files.
        settings: bounds and thresholds.
        store: SQLAlchemy URL; "" is a SQLite file in out.
        workers: reading processes.
        today: ISO date from which ages are counted; "" is the day of the run.
        progress: called with a line now and then.

    Raises:
        PipelineError: the notice or the lexicon of units cannot be read, a model is missing, or the store cannot be
            opened.
    """
    started = time.monotonic()
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    cache = folder / "cache" / "vectors.sqlite" if settings.cache else ""
    notice = load_notice(notice_path, settings, progress)
    progress(f"公文 {notice.number or notice.title}：{len(notice.tasks)} 项任务")
    problems = [*notice.problems, *unknown_units_note(notice, settings)]
    keep = Store(store or folder / "shidian.sqlite")
    keep.save_notice(notice, TaskClassifier.from_disk().predict(notice.tasks))
    matcher = TaskMatcher.from_disk(settings=settings, cache=cache).fit(notice.tasks)
    mark = signature(matcher, settings, notice)
    known = keep.known_documents(notice.id)
    result = RunResult(notice, Snapshot(notice))
    present: set[str] = set()
    for item in predict_documents(
        inputs,
        matcher,
        settings,
        workers=workers,
        progress=progress,
        skip=lambda document: known.get(document.id) == mark,
    ):
        if isinstance(item, Problem):
            problems.append(item)
            result.failed += item.kind == "read"
            continue
        document, passages, predictions = item
        present.add(document.id)
        if not passages and known.get(document.id) == mark:
            result.known += 1
            continue
        result.new += 1
        links = [link for prediction in predictions for link in (*prediction.links, *prediction.related)]
        status = [prediction.status for prediction in predictions]
        keep.save_document(notice.id, document, passages, links, status, document.problems, mark)
    unseen = {identity: path for identity, path in keep.document_paths(notice.id).items() if identity not in present}
    unread = {problem.file for problem in problems if problem.kind == "read"}
    gone = [identity for identity, path in unseen.items() if _lies_in(path, inputs) and path not in unread]
    keep.forget_documents(notice.id, gone)
    result.elsewhere = sum(not _lies_in(path, inputs) for path in unseen.values())
    keep.save_problems(notice.id, problems)
    facts = (
        *((name, str(value)) for name, value in dataclasses.asdict(settings).items()),
        ("shidian", __version__),
        ("linker", matcher.name),
        ("sentence model", Path(model_folder(settings.model)).name),
    )
    result.snapshot = keep.snapshot(notice.id, today or datetime.date.today().isoformat(), facts)
    result.files |= export(result.snapshot, folder, settings=settings, progress=progress)
    result.files["store"] = keep.name if "://" in keep.name else Path(keep.name)
    result.seconds = time.monotonic() - started
    return result
