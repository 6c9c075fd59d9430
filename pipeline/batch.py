"""Many documents: read in bounded processes, matched together, kept in the store as they come.

A run takes up where the last one stopped: a file that the store knows by its content, read under the same settings
and linked by the same linker, is not read again. JSONL is always read, its documents are linked again where they say
something else.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline import __version__
from pipeline.classification import TaskClassifier
from pipeline.encoding import model_folder
from pipeline.errors import DataError, ExtractionError, ReadError
from pipeline.extraction import extract_notice, extract_passages
from pipeline.extraction.notice import with_id
from pipeline.inventory import export
from pipeline.matching import Prediction, TaskMatcher
from pipeline.readers import STDIN, STDIN_NAME, file_id, find_files
from pipeline.readers.worker import read_bounded, read_many
from pipeline.records import Document, Notice, Passage, Problem, Snapshot, content_id, to_dict
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.text import compact
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


LINKING_SETTINGS = (
    "model", "link_threshold", "candidates", "min_passage_characters", "max_passage_characters",
    "max_bytes", "max_pages", "max_characters", "max_pixels", "max_depth", "max_archive_bytes", "max_archive_ratio",
    "max_seconds", "max_memory",
)  # fmt: skip
"""The settings that what is read of a document, and its links, depend on; another value of them links it again."""


def signature(matcher: TaskMatcher, settings: Settings, notice: Notice) -> str:
    """Return a mark of all that a document's links depend on beside the document itself."""
    parts = [__version__, matcher.fingerprint(), notice.id]
    parts += [json.dumps((task.id, task.text, task.lead_units, task.coop_units)) for task in notice.tasks]
    parts += [f"{name} {getattr(settings, name)}" for name in LINKING_SETTINGS]
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=8).hexdigest()


def content_mark(document: Document) -> str:
    """Return a mark of what a document says where its id, given with the input, does not tell; "" elsewhere."""
    if document.format != "jsonl":
        return ""
    said = dataclasses.replace(document, path="", problems=())
    return content_id(json.dumps(to_dict(said), sort_keys=True))


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


@dataclass(frozen=True)
class KnownDocument:
    """A document that need not be read or linked again: its id, and where it lies now."""

    id: str
    path: str


def predict_documents(
    inputs: Iterable[str],
    matcher: TaskMatcher,
    settings: Settings,
    *,
    workers: int = 1,
    progress: Progress = lambda message: None,
    is_known: Callable[[str, str], bool] | None = None,
    qualify: bool = False,
    chunk: int = 256,
) -> Iterator[tuple[Document, list[Passage], list[Prediction]] | KnownDocument | Problem]:
    """Yield each document with its passages and what is said of them, or the problem that kept it from being read.

    Args:
        inputs: files and folders.
        matcher: fitted to a notice.
        settings: bounds and thresholds.
        workers: reading processes.
        progress: called with a line now and then.
        is_known: tells by id and content_mark whether a document is known already; None where none is.
        qualify: make the passage ids given with the input differ between documents.
        chunk: passages matched at a time.
    """
    files: list[str] = []
    seen: dict[str, tuple[str, str]] = {}  # where each document came from, and its content_mark
    for path in find_files(inputs):
        identity = file_id(path, settings) if is_known and path != STDIN else ""
        if not (is_known and identity and is_known(identity, "")):
            files.append(path)
        elif identity in seen:
            yield _same(path, seen[identity][0])
        else:
            seen[identity] = path, ""
            yield KnownDocument(identity, path)
    if seen:
        progress(f"{len(seen)} 个文件没有变化，不再读取")
    waiting: list[tuple[Document, list[Passage]]] = []
    size = done = 0

    def flush() -> Iterator[tuple[Document, list[Passage], list[Prediction]]]:
        nonlocal waiting, size
        together = [passage for _, passages in waiting for passage in passages]
        predictions = iter(matcher.predict(together))
        for document, passages in waiting:
            yield document, passages, [next(predictions) for _ in passages]
        waiting, size = [], 0

    last = ""
    for path, read in read_many(files, settings, workers):
        if path != last:
            done, last = done + 1, path
            progress(f"读取 {done}/{len(files)} {Path(path).name}")
        if isinstance(read, ReadError):
            yield Problem("read", str(read), file=path, page=read.page)
            continue
        result = read
        mark = content_mark(result)
        if result.id in seen:
            yield (
                _same(path, seen[result.id][0])
                if seen[result.id][1] == mark
                else Problem(
                    "read",
                    f"{path}：doc_id {result.id} 重复，内容与 {seen[result.id][0]} 中的那份不同，未采用。"
                    "请给每份文档不同的 doc_id，再重新运行。",
                    file=path,
                )
            )
            continue
        seen[result.id] = path, mark
        if is_known and is_known(result.id, mark):
            yield KnownDocument(result.id, result.path)
            continue
        passages = extract_passages(result, settings)
        if not passages:
            message = f"{result.path}：没有可用的段落，不参与关联。请打开核对：可能是空白页、只有标题，或扫描不清。"
            progress(message)
            result = dataclasses.replace(result, problems=(*result.problems, Problem("read", message, file=path)))
        waiting.append((result, _qualified(result, passages) if qualify else passages))
        size += len(passages)
        if size >= chunk:
            progress(f"关联 {size} 个段落")
            yield from flush()
    if waiting:
        progress(f"关联 {size} 个段落")
    yield from flush()


def _same(path: str, other: str) -> Problem:
    """Say that the same content under two names is one document."""
    return Problem("note", f"{path}：内容与 {other} 完全相同，只计一次。", file=path)


def _qualified(document: Document, passages: list[Passage]) -> list[Passage]:
    """Return passages whose given ids name the document too: p1 may stand in many documents of one store."""
    given = {paragraph.given_id for paragraph in document.paragraphs if paragraph.given_id}
    counts: Counter[str] = Counter()
    named = []
    for passage in passages:
        identity = passage.id
        if identity in given:
            rest = identity.removeprefix(document.id)
            if rest == identity or rest[:1].isalnum():
                identity = f"{document.id}/{identity}"
            counts[identity] += 1
            if counts[identity] > 1:
                identity += f"-{counts[identity]}"
        named.append(dataclasses.replace(passage, id=identity))
    return named


def _place(path: str) -> str:
    """Return where a document lies, whatever folder one is in; standard input is no place."""
    return path if path == STDIN_NAME else os.path.abspath(path)


def _lies_in(path: str, inputs: Iterable[str]) -> bool:
    """Tell whether a document came from one of the inputs: from that file, or from a file in that folder."""
    place = Path(_place(path))
    places = {place, *place.parents}
    return any(path == STDIN_NAME if given == STDIN else Path(_place(given)) in places for given in inputs)


_LEAST_SHARED = 1 / 3
"""Of the tasks, by their words: with fewer in common two annexes under one title are two notices."""


def as_kept(notice: Notice, store: Store) -> tuple[Notice, list[Problem]]:
    """Return a notice without a number under the id that the store has it under, and a note that says so.

    Such an id is made of the words of the tasks: after a change in the annex all decisions would be out of sight.
    """
    kept = [other for other in store.notices() if not other.number and compact(other.title) == compact(notice.title)]
    if notice.number or not compact(notice.title) or any(other.id == notice.id for other in kept):
        return notice, []
    words = {compact(task.text) for task in notice.tasks}
    for other in sorted(kept, key=lambda other: -len(store.decisions(other.id))):
        before = {compact(task.text) for task in other.tasks}
        if len(words & before) >= _LEAST_SHARED * min(len(words), len(before)):
            message = (
                f"公文没有发文字号，标题与库中的“{other.title}”相同而任务表有改动，按同一份公文处理，审核意见照旧。"
                "如是另一份公文，请用 --out 换一个结果目录。"
            )
            note = Problem("note", message, file=notice.path)
            return with_id(notice, other.id), [note] if words != before else []
    return notice, []


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
        DataError: today is no date.
        PipelineError: the notice or the lexicon of units cannot be read, a model is missing, or the store cannot be
            opened.
    """
    started = time.monotonic()
    try:
        day = datetime.date.fromisoformat(today) if today else datetime.date.today()
    except ValueError as error:
        raise DataError(f"统计日期 {today} 不是日期。请写成 2024-01-31 的样子。") from error
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    cache = folder / "cache" / "vectors.sqlite" if settings.cache else ""
    notice = load_notice(notice_path, settings, progress)
    progress(f"公文 {notice.number or notice.title}：{len(notice.tasks)} 项任务")
    keep = Store(store or folder / "shidian.sqlite")
    notice, notes = as_kept(notice, keep)
    for note in notes:
        progress(note.message)
    problems = [*notice.problems, *notes, *unknown_units_note(notice, settings)]
    keep.save_notice(notice, TaskClassifier.from_disk().predict(notice.tasks))
    matcher = TaskMatcher.from_disk(settings=settings, cache=cache).fit(notice.tasks)
    mark = signature(matcher, settings, notice)
    known, places = keep.known_documents(notice.id), keep.document_paths(notice.id)
    result = RunResult(notice, Snapshot(notice))
    present: set[str] = set()

    def own_mark(said: str) -> str:
        return f"{mark} {said}".strip()

    for item in predict_documents(
        inputs,
        matcher,
        settings,
        workers=workers,
        progress=progress,
        is_known=lambda identity, said: known.get(identity) == own_mark(said),
        qualify=True,
    ):
        if isinstance(item, Problem):
            problems.append(item)
            result.failed += item.kind == "read"
            continue
        if isinstance(item, KnownDocument):
            present.add(item.id)
            result.known += 1
            if item.path != STDIN_NAME and _place(item.path) != places[item.id]:
                keep.move_document(notice.id, item.id, _place(item.path))
            continue
        document, passages, predictions = item
        present.add(document.id)
        result.new += 1
        links = [link for prediction in predictions for link in (*prediction.links, *prediction.related)]
        status = [prediction.status for prediction in predictions]
        # A path from the folder of the day would lead nowhere when files are made from another one.
        stored = dataclasses.replace(document, path=_place(document.path))
        said = content_mark(document)
        before = places.get(document.id, stored.path)
        if said and before != stored.path and not _lies_in(before, inputs) and known[document.id][-len(said) :] != said:
            message = f"{document.path}：doc_id {document.id} 的内容与以前从 {before} 读入的不同，以这次的为准。"
            advice = "如是另一份文档，请换一个 doc_id，再把两个文件一起重新运行。"
            problems.append(Problem("note", message + advice, file=document.path))
        keep.save_document(notice.id, stored, passages, links, status, document.problems, own_mark(said))
    unseen = {identity: path for identity, path in places.items() if identity not in present}
    unread = {_place(problem.file) for problem in problems if problem.kind == "read" and problem.file}
    gone = [identity for identity, path in unseen.items() if _lies_in(path, inputs) and _place(path) not in unread]
    keep.forget_documents(notice.id, gone)
    result.elsewhere = sum(not _lies_in(path, inputs) for path in unseen.values())
    keep.save_problems(notice.id, problems)
    facts = (
        *((name, str(value)) for name, value in dataclasses.asdict(settings).items()),
        ("shidian", __version__),
        ("linker", matcher.name),
        ("sentence model", Path(model_folder(settings.model)).name),
    )
    result.snapshot = keep.snapshot(notice.id, day.isoformat(), facts)
    result.files |= export(result.snapshot, folder, settings=settings, progress=progress)
    result.files["store"] = keep.name if "://" in keep.name else Path(keep.name)
    result.seconds = time.monotonic() - started
    return result
