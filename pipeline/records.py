"""The records that pass from stage to stage: frozen, with ids made from content.

Source   where a value stands          Document  what a reader makes of a file
Table    cells of a table              Notice    an official notice with its Tasks
Task     a row of the annex            Passage   a paragraph of a report
Label    a class given to a target     Link      a passage carries out a task
Decision a person's word on a Link     Problem   what could not be read, or does not add up
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import io
import json
import types
import typing
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TextIO, TypeVar

from pipeline.errors import DataError

if TYPE_CHECKING:
    import pandas

Box = tuple[float, float, float, float]
"""left, top, right, bottom in points (1/72 inch) from the top left corner of the page."""

Scheme = Literal["sector", "reform", "group", "stri", "status"]
Verdict = Literal["accepted", "rejected", "moved", "unsure"]


def content_id(*parts: str) -> str:
    """Return 12 hexadecimal digits that depend on the parts alone.

    Example:
        >>> content_id("a", "b") == content_id("a", "b") != content_id("ab", "")
        True
    """
    digest = hashlib.blake2b(digest_size=6)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


@dataclass(frozen=True)
class Source:
    """Where a value stands: page, table and row count from 1; box is in points."""

    document_id: str
    page: int | None = None
    table: int | None = None
    row: int | None = None
    box: Box | None = None


@dataclass(frozen=True)
class Problem:
    """Something that could not be read or does not add up.

    kind: "read" a file or page failed; "table" a table does not add up; "count" a stated number differs from
    what was found; "note" worth knowing, nothing is wrong.
    """

    kind: Literal["read", "table", "count", "note"]
    message: str
    file: str = ""
    page: int | None = None
    row: int | None = None


@dataclass(frozen=True)
class Cell:
    """One cell of a table; row and column count from 0; confidence is below 1 where it comes from a picture."""

    row: int
    column: int
    text: str
    row_span: int = 1
    column_span: int = 1
    page: int | None = None
    box: Box | None = None
    confidence: float = 1.0


@dataclass(frozen=True)
class Table:
    """A table as it stands on one page (or in one place of a file without pages).

    Readers give the table of each page apart; joining them is the work of pipeline.readers.tables.
    """

    cells: tuple[Cell, ...]
    source: Source
    ruled: bool = True
    """False where the columns come from alignment alone."""
    open_top: bool = False
    """True where no rule closes the first row above: it may go on from the page before."""
    open_bottom: bool = False
    """True where no rule closes the last row below: it may go on on the next page."""

    @property
    def row_count(self) -> int:
        """Number of grid rows."""
        return max((cell.row + cell.row_span for cell in self.cells), default=0)

    @property
    def column_count(self) -> int:
        """Number of grid columns."""
        return max((cell.column + cell.column_span for cell in self.cells), default=0)

    def grid(self) -> list[list[str]]:
        """Return the texts row by row; a merged cell's text stands at its first place, "" at the others.

        Example:
            >>> Table((Cell(0, 0, "序号"), Cell(0, 1, "任务")), Source("d")).grid()
            [['序号', '任务']]
        """
        rows = [[""] * self.column_count for _ in range(self.row_count)]
        for cell in self.cells:
            rows[cell.row][cell.column] = cell.text
        return rows


@dataclass(frozen=True)
class Paragraph:
    """One paragraph of a document; level is 0 for plain text, 1.. for headings (1 the highest)."""

    text: str
    source: Source
    raw: str = ""
    """The text before cleaning, where it differs."""
    level: int = 0
    given_id: str = ""
    """The passage id that came with the input (JSONL), returned as it is."""
    centred: bool = False


@dataclass(frozen=True)
class Document:
    """What a reader makes of one file: paragraphs and tables in reading order."""

    id: str
    path: str
    format: str
    blocks: tuple[Paragraph | Table, ...]
    page_count: int | None = None
    title: str = ""
    issuer: str = ""
    date: str = ""
    """ISO date, "" where unknown."""
    number: str = ""
    """发文字号."""
    kind: str = ""
    """progress, case, briefing, policy, project, other; "" where unknown."""
    problems: tuple[Problem, ...] = ()

    @property
    def paragraphs(self) -> list[Paragraph]:
        """The paragraphs in reading order."""
        return [block for block in self.blocks if isinstance(block, Paragraph)]

    @property
    def tables(self) -> list[Table]:
        """The tables in reading order."""
        return [block for block in self.blocks if isinstance(block, Table)]


@dataclass(frozen=True)
class Task:
    """One task of a notice's annex; id is <notice>#<no>."""

    id: str
    no: int
    text: str
    part: str = ""
    section: str = ""
    lead_units: tuple[str, ...] = ()
    coop_units: tuple[str, ...] = ()
    deadline: str = ""
    source: Source | None = None


@dataclass(frozen=True)
class Citation:
    """A document cited by a notice."""

    title: str
    number: str
    source: Source | None = None


@dataclass(frozen=True)
class StatedCount:
    """A number that the notice states of itself, beside what was found (None: nothing to compare with)."""

    what: str
    stated: int
    found: int | None
    text: str
    source: Source | None = None


@dataclass(frozen=True)
class Area:
    """A platform, park or other area to which a notice gives a part to play; name and aim (打造…) as written.

    sections are the headings of the annex table that name it, tasks the numbers of the tasks below them.
    """

    name: str
    aim: str = ""
    sections: tuple[str, ...] = ()
    tasks: tuple[int, ...] = ()
    source: Source | None = None


@dataclass(frozen=True)
class Goal:
    """A clause of a notice that says what is to be reached.

    horizon is the words that set the time (经过3年试点, 到2025年底), deadline the ISO date they mean, "" where it
    cannot be told; values are the numbers with their units as written (86项, 10个以上, 60%).
    """

    text: str
    horizon: str = ""
    deadline: str = ""
    values: tuple[str, ...] = ()
    source: Source | None = None


@dataclass(frozen=True)
class Notice:
    """An official notice with the tasks of its annex."""

    id: str
    title: str
    issuer: str
    number: str
    date: str
    openness: str
    outline: tuple[str, ...]
    citations: tuple[Citation, ...]
    stated_counts: tuple[StatedCount, ...]
    tasks: tuple[Task, ...]
    problems: tuple[Problem, ...] = ()
    path: str = ""
    areas: tuple[Area, ...] = ()
    goals: tuple[Goal, ...] = ()


@dataclass(frozen=True)
class Passage:
    """A paragraph or item of a report, with the headings above it and what is known of its document."""

    id: str
    document_id: str
    text: str
    heading: tuple[str, ...] = ()
    source: Source | None = None
    raw: str = ""
    title: str = ""
    """Title of the document."""
    issuer: str = ""
    date: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Label:
    """A class given to a target by a model or a person.

    target is the id of a task or passage; labeller names the model or person; reasons are the words or features
    that made it, each with its weight, the weightiest first.
    """

    target: str
    scheme: Scheme
    value: str
    probability: float
    labeller: str
    second: str = ""
    reasons: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Evidence:
    """The span of a passage's text (start and end in characters) that carries a link, and why."""

    start: int
    end: int
    text: str
    why: str = ""
    task_parts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Link:
    """A passage carries out a task (grade 2) or is related to it (grade 1), with a calibrated probability."""

    passage: str
    task: str
    probability: float
    evidence: Evidence
    labeller: str
    grade: int = 2


@dataclass(frozen=True)
class Decision:
    """A person's word on a link; time is ISO 8601 with the offset, moved_to the task id of a moved link."""

    passage: str
    task: str
    verdict: Verdict
    reviewer: str
    time: str
    moved_to: str = ""
    note: str = ""


@dataclass(frozen=True)
class Snapshot:
    """All that is known of one notice at one time: what the inventory, the ledger and every export are made from.

    documents hold no blocks here; status labels have scheme "status" and a passage id as target.
    """

    notice: Notice
    labels: tuple[Label, ...] = ()
    documents: tuple[Document, ...] = ()
    passages: tuple[Passage, ...] = ()
    links: tuple[Link, ...] = ()
    decisions: tuple[Decision, ...] = ()
    problems: tuple[Problem, ...] = ()
    date: str = ""
    """ISO date of the run, from which ages of evidence are counted."""
    settings: tuple[tuple[str, str], ...] = ()
    """Settings, models and versions of the run, as (name, value)."""


Record = Document | Table | Notice | Task | Passage | Label | Link | Decision | Problem
R = TypeVar("R")


def to_dict(record: Any) -> dict[str, Any]:
    """Return a record as plain JSON values; tuples become lists.

    Example:
        >>> to_dict(Source("d", page=2))["page"]
        2
    """
    plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(record), ensure_ascii=False))
    return plain


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    """Types of a record's fields; resolving them again for each record would take most of the time of reading."""
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _revive(kind: Any, value: Any) -> Any:
    """Build a value of an annotated type from plain JSON values."""
    if value is None:
        return None
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        choices = [choice for choice in typing.get_args(kind) if choice is not type(None)]
        if len(choices) == 1:
            return _revive(choices[0], value)
        if isinstance(value, dict):
            for choice in choices:
                names = {field.name for field in dataclasses.fields(choice)}
                if set(value) <= names:
                    return _revive(choice, value)
        return value
    if origin is tuple:
        inner = typing.get_args(kind)
        if len(inner) == 2 and inner[1] is Ellipsis:
            return tuple(_revive(inner[0], item) for item in value)
        return tuple(_revive(item_kind, item) for item_kind, item in zip(inner, value, strict=True))
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = _hints(kind)
        return kind(**{name: _revive(hints[name], item) for name, item in value.items() if name in hints})
    return value


def from_dict(kind: type[R], value: dict[str, Any]) -> R:
    """Build a record from what to_dict returned; unknown keys are ignored.

    Raises:
        DataError: a field is missing or of the wrong kind.

    Example:
        >>> from_dict(Source, {"document_id": "d", "page": 2})
        Source(document_id='d', page=2, table=None, row=None, box=None)
    """
    try:
        revived: R = _revive(kind, value)
    except (TypeError, ValueError) as error:
        raise DataError(f"{kind.__name__} 记录不完整或类型不对：{error}。请检查该行的字段。") from error
    return revived


def write_jsonl(records: Iterable[Any], target: str | Path | TextIO) -> None:
    """Write records or plain dictionaries as JSON lines (UTF-8)."""
    if isinstance(target, (str, Path)):
        with Path(target).open("w", encoding="utf-8", newline="\n") as file:
            write_jsonl(records, file)
        return
    for record in records:
        value = record if isinstance(record, dict) else to_dict(record)
        target.write(json.dumps(value, ensure_ascii=False) + "\n")


def _decoded(data: bytes, name: str) -> str:
    # What Excel and the consoles of Windows write, besides UTF-8.
    names = ("utf-16",) if data.startswith((b"\xff\xfe", b"\xfe\xff")) else ("utf-8-sig", "gb18030")
    for encoding in names:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise DataError(f"{name}：文字编码无法识别。请另存为 UTF-8 编码的文件。")


def read_jsonl(source: str | Path | bytes | TextIO, name: str = "") -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON-lines file: its path, its bytes (UTF-8, UTF-16 or GB18030) or an open text.

    Raises:
        DataError: the bytes are no text, or a line is no JSON object; the message names the file and line.

    Example:
        >>> list(read_jsonl('{"text": "试点"}'.encode("gb18030")))
        [{'text': '试点'}]
    """
    if isinstance(source, (str, Path)):
        name, source = name or str(source), Path(source).read_bytes()
    if isinstance(source, bytes):
        source = io.StringIO(_decoded(source, name), newline=None)
    for number, line in enumerate(source, 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            raise DataError(f"{name} 第{number}行不是有效的 JSON：{error}。请检查该行。") from error
        if not isinstance(value, dict):
            raise DataError(f"{name} 第{number}行不是 JSON 对象。请每行写一个 {{...}}。")
        yield value


def to_frame(records: Iterable[Any]) -> pandas.DataFrame:
    """Return records as a pandas frame, a row each, a column a field; a source becomes page, table and row.

    Example:
        >>> to_frame([Task("n#1", 1, "支持开展试点。")])[["no", "text"]].values.tolist()
        [[1, '支持开展试点。']]
    """
    import pandas

    rows = []
    for record in records:
        row: dict[str, Any] = {}
        for field in dataclasses.fields(record):
            value = getattr(record, field.name)
            if isinstance(value, Source):
                row |= {"document_id": value.document_id, "page": value.page, "table": value.table, "row": value.row}
            elif field.name == "source":
                row |= {"document_id": None, "page": None, "table": None, "row": None}
            elif isinstance(value, Evidence):
                row |= {"evidence": value.text, "evidence_start": value.start, "evidence_end": value.end}
            else:
                row[field.name] = value
        rows.append(row)
    return pandas.DataFrame(rows)
