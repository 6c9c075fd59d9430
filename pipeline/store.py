"""One relational store of a run: SQLite in a file by default, PostgreSQL by URL.

What a machine said is replaced when a document is read again; what a person said is only ever added to. Records are
kept whole (as JSON) beside the columns that people ask for in SQL.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from pipeline.errors import StoreError
from pipeline.records import (
    Decision,
    Document,
    Label,
    Link,
    Notice,
    Passage,
    Problem,
    Snapshot,
    content_id,
    from_dict,
    to_dict,
)
from pipeline.text import compact

SCHEMA_VERSION = "1"

_META = sa.MetaData()


def _text(name: str, **options: Any) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, default="", **options)


_ID = sa.String(200)
_meta = sa.Table("meta", _META, sa.Column("name", sa.String(60), primary_key=True), _text("value"))
_notices = sa.Table(
    "notices",
    _META,
    sa.Column("id", _ID, primary_key=True),
    _text("number"),
    _text("title"),
    _text("issuer"),
    _text("date"),
    _text("data"),
)
_tasks = sa.Table(
    "tasks",
    _META,
    sa.Column("notice_id", _ID, primary_key=True),
    sa.Column("id", _ID, primary_key=True),
    sa.Column("no", sa.Integer, nullable=False),
    _text("part"),
    _text("section"),
    _text("text"),
    _text("lead_units"),
    _text("coop_units"),
)
_documents = sa.Table(
    "documents",
    _META,
    sa.Column("notice_id", _ID, primary_key=True),
    sa.Column("id", _ID, primary_key=True),
    _text("path"),
    _text("title"),
    _text("issuer"),
    _text("date"),
    _text("kind"),
    _text("signature"),
    sa.Column("absent", sa.Boolean, nullable=False, default=False),
    _text("data"),
)
_passages = sa.Table(
    "passages",
    _META,
    sa.Column("notice_id", _ID, primary_key=True),
    sa.Column("document_id", _ID, primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("id", _ID, nullable=False),
    sa.Column("text_id", sa.String(12), nullable=False),
    _text("text"),
    _text("data"),
)
_passages_by_id = sa.Index("passages_by_id", _passages.c.notice_id, _passages.c.id)
_links = sa.Table(
    "links",
    _META,
    sa.Column("notice_id", _ID, primary_key=True),
    sa.Column("document_id", _ID, primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("passage", _ID, nullable=False),
    sa.Column("task", _ID, nullable=False),
    sa.Column("probability", sa.Float, nullable=False),
    sa.Column("grade", sa.Integer, nullable=False),
    _text("data"),
)
_labels = sa.Table(
    "labels",
    _META,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("notice_id", _ID, nullable=False, index=True),
    # "" for labels of tasks and of persons.
    _text("document_id"),
    sa.Column("person", sa.Boolean, nullable=False, default=False),
    sa.Column("target", _ID, nullable=False),
    sa.Column("scheme", sa.String(20), nullable=False),
    _text("value"),
    sa.Column("probability", sa.Float, nullable=False),
    _text("data"),
)
_decisions = sa.Table(
    "decisions",
    _META,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("notice_id", _ID, nullable=False, index=True),
    sa.Column("passage", _ID, nullable=False),
    sa.Column("task", _ID, nullable=False),
    sa.Column("verdict", sa.String(20), nullable=False),
    _text("reviewer"),
    _text("time"),
    _text("moved_to"),
    _text("note"),
    # The words decided on, which find the passage again when its document is replaced.
    sa.Column("text_id", sa.String(12), nullable=False, default=""),
)
_problems = sa.Table(
    "problems",
    _META,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("notice_id", _ID, nullable=False, index=True),
    # "" for problems of the run.
    _text("document_id"),
    sa.Column("kind", sa.String(20), nullable=False),
    _text("message"),
    _text("file"),
    sa.Column("page", sa.Integer),
    sa.Column("row", sa.Integer),
)


def _dump(record: Any) -> str:
    text = json.dumps(to_dict(record), ensure_ascii=False)
    # Half characters that a broken file may hold cannot be written as UTF-8; escaped they come back as they were.
    return text if text.isascii() or _writable(text) == text else json.dumps(to_dict(record))


def _writable(value: Any) -> Any:
    """A value that every database takes: no half characters, no NUL."""
    return value.encode("utf-8", "replace").decode().replace("\0", "") if isinstance(value, str) else value


def notice_of(task_id: str) -> str:
    """Return the notice's id of a task's id.

    Example:
        >>> notice_of("渝府发〔2021〕19号#3")
        '渝府发〔2021〕19号'
    """
    return task_id.rpartition("#")[0]


class Store:
    """The records of all runs, by notice.

    Args:
        url_or_path: a file (made if missing) or a database URL such as ``postgresql+pg8000://user@host/name``.

    Raises:
        StoreError: it cannot be opened, is no store, or was made by another version.

    Example:
        >>> store = Store("outputs/store.sqlite")                      # doctest: +SKIP
        >>> store.known_documents("渝府发〔2021〕19号")                   # doctest: +SKIP
        {'3f0a…': 'linker-1 …'}
    """

    def __init__(self, url_or_path: str | Path) -> None:
        text = str(url_or_path)
        options: dict[str, Any] = {}
        if "://" not in text:
            try:
                Path(text).parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StoreError(f"{text}：无法建立文件夹（{error}）。请换一个可写的位置。") from error
            text = str(sa.URL.create("sqlite", database=text))
        if text.startswith("sqlite"):
            options["connect_args"] = {"timeout": 30}
        try:
            self._engine = sa.create_engine(text, **options)
        except (SQLAlchemyError, ImportError) as error:
            raise StoreError(f"无法打开数据库（{error}）。请检查网址写法，并安装相应的数据库驱动。") from error
        self.name = self._engine.url.render_as_string(hide_password=True)
        if self._engine.url.get_backend_name() == "sqlite":
            self.name = self._engine.url.database or self.name
        self._prepare()

    def close(self) -> None:
        """Let go of the file or the connection."""
        self._engine.dispose()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _begin(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except UnicodeError as error:
            raise StoreError(f"{self.name}：编号含有无法保存的字符（{error}）。请检查该文件或编号的编码。") from error
        except SQLAlchemyError as error:
            cause = getattr(error, "orig", None) or error
            raise StoreError(
                f"{self.name}：数据库操作失败（{cause}）。请检查文件是否可写、是否被其他程序占用或已损坏；"
                "损坏时先备份该文件，再换一个新文件重新运行。"
            ) from error

    def _prepare(self) -> None:
        with self._begin() as connection:
            names = set(sa.inspect(connection).get_table_names())
            if names and "meta" not in names:
                raise StoreError(f"{self.name}：不是本程序的数据库。请换一个文件名。")
            if not names:
                _META.create_all(connection)
                connection.execute(_meta.insert().values(name="schema", value=SCHEMA_VERSION))
                return
            version = connection.execute(sa.select(_meta.c.value).where(_meta.c.name == "schema")).scalar()
        if version != SCHEMA_VERSION:
            raise StoreError(
                f"{self.name}：数据库为第 {version} 版，本程序需要第 {SCHEMA_VERSION} 版。"
                "请用原版本程序导出审核意见，再换一个新文件重新运行。"
            )
        # Stores made before it was there get the index; one that may only be read does without.
        with suppress(SQLAlchemyError), self._engine.begin() as connection:
            connection.execute(sa.schema.CreateIndex(_passages_by_id, if_not_exists=True))

    # Notices.

    def save_notice(self, notice: Notice, labels: Sequence[Label] = ()) -> None:
        """Keep a notice with its tasks and the model's labels of them, in place of what was kept before."""
        with self._begin() as connection:
            connection.execute(_notices.delete().where(_notices.c.id == notice.id))
            connection.execute(_tasks.delete().where(_tasks.c.notice_id == notice.id))
            connection.execute(
                _labels.delete().where(
                    _labels.c.notice_id == notice.id, _labels.c.document_id == "", _labels.c.person.is_(False)
                )
            )
            facts = {name: getattr(notice, name) for name in ("id", "number", "title", "issuer", "date")}
            _insert(connection, _notices, [facts | {"data": _dump(notice)}])
            rows = [
                {
                    "notice_id": notice.id, "id": task.id, "no": task.no, "part": task.part, "section": task.section,
                    "text": task.text, "lead_units": "、".join(task.lead_units),
                    "coop_units": "、".join(task.coop_units),
                }
                for task in {task.id: task for task in notice.tasks}.values()
            ]  # fmt: skip
            _insert(connection, _tasks, rows)
            _insert(connection, _labels, [_label_row(notice.id, label) for label in labels])

    def notices(self) -> list[Notice]:
        """Return the notices kept, in the order of their ids."""
        with self._begin() as connection:
            rows = connection.execute(sa.select(_notices.c.data).order_by(_notices.c.id)).scalars().all()
        return [from_dict(Notice, json.loads(row)) for row in rows]

    def notice(self, notice_id: str) -> Notice:
        """Return one notice.

        Raises:
            StoreError: it is not kept here.
        """
        with self._begin() as connection:
            data = connection.execute(sa.select(_notices.c.data).where(_notices.c.id == notice_id)).scalar()
        if data is None:
            raise StoreError(f"{self.name}：没有公文 {notice_id}。请先运行 shidian run 文件夹 --notice 公文。")
        return from_dict(Notice, json.loads(data))

    # Documents.

    def save_document(
        self,
        notice_id: str,
        document: Document,
        passages: Sequence[Passage],
        links: Sequence[Link] = (),
        status_labels: Sequence[Label] = (),
        problems: Sequence[Problem] = (),
        signature: str = "",
    ) -> None:
        """Keep a document with what was made of it, in place of what was kept before; in one transaction.

        Args:
            notice_id: the notice whose tasks it was linked to.
            document: kept without its blocks.
            passages: in reading order.
            links: of its passages.
            status_labels: of its passages.
            problems: of reading it; those in document.problems are kept with the document, give them here.
            signature: names the linker and settings, so that a rerun can leave the document as it is.
        """
        with self._begin() as connection:
            for table in (_passages, _links, _problems, _documents):
                key = table.c.id if table is _documents else table.c.document_id
                connection.execute(table.delete().where(table.c.notice_id == notice_id, key == document.id))
            connection.execute(
                _labels.delete().where(
                    _labels.c.notice_id == notice_id, _labels.c.document_id == document.id, _labels.c.person.is_(False)
                )
            )
            facts = {name: getattr(document, name) for name in ("id", "path", "title", "issuer", "date", "kind")}
            facts |= {"notice_id": notice_id, "signature": signature, "absent": False}
            _insert(connection, _documents, [facts | {"data": _dump(dataclasses.replace(document, blocks=()))}])
            here = {"notice_id": notice_id, "document_id": document.id}
            _insert(
                connection,
                _passages,
                [
                    here | {"position": i, "id": p.id, "text_id": _text_id(p.text), "text": p.text, "data": _dump(p)}
                    for i, p in enumerate(passages)
                ],
            )
            _insert(
                connection,
                _links,
                [
                    here
                    | {
                        "position": i, "passage": link.passage, "task": link.task, "probability": link.probability,
                        "grade": link.grade, "data": _dump(link),
                    }
                    for i, link in enumerate(links)
                ],
            )  # fmt: skip
            _insert(connection, _labels, [_label_row(notice_id, x, document.id) for x in status_labels])
            _insert(connection, _problems, [here | dataclasses.asdict(problem) for problem in problems])

    def known_documents(self, notice_id: str) -> dict[str, str]:
        """Return the signature of each document that is present, by its id."""
        return self._of_present(notice_id, _documents.c.signature)

    def document_paths(self, notice_id: str) -> dict[str, str]:
        """Return where each document that is present was read from, by its id."""
        return self._of_present(notice_id, _documents.c.path)

    def _of_present(self, notice_id: str, column: sa.Column[str]) -> dict[str, str]:
        query = (
            sa.select(_documents.c.id, column)
            .where(_documents.c.notice_id == notice_id, _documents.c.absent.is_(False))
            .order_by(_documents.c.id)
        )
        with self._begin() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def move_document(self, notice_id: str, document_id: str, path: str) -> None:
        """Keep where a document now lies; all else stays as it was."""
        here = (_documents.c.notice_id == notice_id) & (_documents.c.id == document_id)
        with self._begin() as connection:
            data = connection.execute(sa.select(_documents.c.data).where(here)).scalar_one()
            moved = dataclasses.replace(from_dict(Document, json.loads(data)), path=path)
            values = {"path": _writable(path), "data": _dump(moved)}
            connection.execute(_documents.update().where(here).values(**values))

    def forget_documents(self, notice_id: str, document_ids: Iterable[str]) -> None:
        """Mark documents as absent: they no longer count, but what a person decided on them stays."""
        with self._begin() as connection:
            for document_id in document_ids:
                connection.execute(
                    _documents.update()
                    .where(_documents.c.notice_id == notice_id, _documents.c.id == document_id)
                    .values(absent=True)
                )

    # What persons say: only ever added.

    def add_decision(self, decision: Decision) -> None:
        """Add a person's word on a link; one that is already there in every field is not added again."""
        self.add_decisions([decision])

    def add_decisions(self, decisions: Iterable[Decision]) -> None:
        """Add several decisions, in one transaction."""
        with self._begin() as connection:
            for decision in decisions:
                row = dataclasses.asdict(decision) | {"notice_id": notice_of(decision.task)}
                row = {name: _writable(value) for name, value in row.items()}
                same = [_decisions.c[name] == value for name, value in row.items()]
                if connection.execute(sa.select(_decisions.c.seq).where(*same)).first() is None:
                    words = _words_of(connection, row["notice_id"], decision.passage)
                    _insert(connection, _decisions, [row | {"text_id": words}])

    def decisions(self, notice_id: str) -> list[Decision]:
        """Return all decisions, the oldest first."""
        with self._begin() as connection:
            return [decision for decision, _ in _read_decisions(connection, notice_id)]

    def label_count(self, notice_id: str) -> int:
        """Return how many labels persons have given; it only ever grows."""
        query = (
            sa.select(sa.func.count())
            .select_from(_labels)
            .where(_labels.c.notice_id == notice_id, _labels.c.person.is_(True))
        )
        with self._begin() as connection:
            return int(connection.execute(query).scalar_one())

    def add_labels(self, notice_id: str, labels: Sequence[Label]) -> None:
        """Add a person's labels of tasks or passages; they stand over the model's."""
        with self._begin() as connection:
            rows = [_label_row(notice_id, label, person=True) for label in labels]
            for row in rows:
                if words := _words_of(connection, notice_id, row["target"]):
                    row["data"] = json.dumps(json.loads(row["data"]) | {"text_id": words})
            _insert(connection, _labels, rows)

    # Problems of a run.

    def save_problems(self, notice_id: str, problems: Iterable[Problem]) -> None:
        """Keep the problems that belong to no document kept, in place of those of the last run."""
        rows = [{"notice_id": notice_id, "document_id": ""} | dataclasses.asdict(problem) for problem in problems]
        with self._begin() as connection:
            connection.execute(
                _problems.delete().where(_problems.c.notice_id == notice_id, _problems.c.document_id == "")
            )
            _insert(connection, _problems, rows)

    # All at once.

    def snapshot(self, notice_id: str, date: str = "", settings: Iterable[tuple[str, str]] = ()) -> Snapshot:
        """Return all that counts now, in an order that does not depend on the order of reading.

        Documents stand by date, title and id; passages and links in reading order; a person's labels after the
        model's, so that the last one of a target and scheme holds. What a person said of a passage of a document that
        was replaced is carried over to the passage with the same words.

        Raises:
            StoreError: the notice is not kept here.
        """
        notice = self.notice(notice_id)
        with self._begin() as connection:
            rows = connection.execute(
                sa.select(_documents.c.id, _documents.c.data).where(
                    _documents.c.notice_id == notice_id, _documents.c.absent.is_(False)
                )
            ).all()
            documents = sorted(
                (from_dict(Document, json.loads(row.data)) for row in rows), key=lambda d: (d.date, d.title, d.id)
            )
            order = {document.id: i for i, document in enumerate(documents)}

            def found(table: sa.Table) -> Sequence[Any]:
                return connection.execute(sa.select(table).where(table.c.notice_id == notice_id)).all()

            def present(rows: Sequence[Any]) -> list[Any]:
                kept = [row for row in rows if row.document_id in order or row.document_id == ""]
                # "" (the run itself) stands first.
                return sorted(kept, key=lambda row: (order.get(row.document_id, -1), _place(row)))

            kept_passages = found(_passages)
            passages = present(kept_passages)
            links = [from_dict(Link, json.loads(row.data)) for row in present(found(_links))]
            labels = _carry_labels(present(found(_labels)), passages, kept_passages)
            notes = present(found(_problems))
            problems = [Problem(row.kind, row.message, row.file, row.page, row.row) for row in notes]
            decisions = _carry_decisions(_read_decisions(connection, notice_id), passages)
        return Snapshot(
            notice=notice,
            labels=tuple(labels),
            documents=tuple(documents),
            passages=tuple(from_dict(Passage, json.loads(row.data)) for row in passages),
            links=tuple(links),
            decisions=tuple(decisions),
            problems=tuple(problems),
            date=date,
            settings=tuple((str(name), str(value)) for name, value in settings),
        )


def _place(row: Any) -> int:
    value: int = row.position if hasattr(row, "position") else row.seq
    return value


def _text_id(text: str) -> str:
    return content_id(compact(text))


def _insert(connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(table.insert(), [{name: _writable(v) for name, v in row.items()} for row in rows])


def _label_row(notice_id: str, label: Label, document_id: str = "", person: bool = False) -> dict[str, Any]:
    return {
        "notice_id": notice_id, "document_id": document_id, "person": person, "target": label.target,
        "scheme": label.scheme, "value": label.value, "probability": label.probability, "data": _dump(label),
    }  # fmt: skip


def _read_decisions(connection: sa.Connection, notice_id: str) -> list[tuple[Decision, str]]:
    query = sa.select(_decisions).where(_decisions.c.notice_id == notice_id).order_by(_decisions.c.seq)
    names = [field.name for field in dataclasses.fields(Decision)]
    return [(Decision(**{n: getattr(row, n) for n in names}), row.text_id) for row in connection.execute(query)]


def _words_of(connection: sa.Connection, notice_id: str, passage: str) -> str:
    """Return the id of the words of a passage, "" where there is no such passage."""
    query = sa.select(_passages.c.text_id).where(_passages.c.notice_id == notice_id, _passages.c.id == passage)
    return connection.execute(query).scalar() or ""


def _carry_over(said: Sequence[tuple[str, str, str]], passages: Sequence[Any]) -> list[str]:
    """Return the passage that each word of a person stands on now.

    Where a passage is gone, or says something else by now, that is the present one with the same words, unless a person
    spoke of that one itself.

    Args:
        said: the passage, what was said of it (a task or a scheme) and the id of its words then.
        passages: those present.
    """
    words = {row.id: row.text_id for row in passages}
    now: dict[str, str] = {}
    for row in passages:
        now.setdefault(row.text_id, row.id)
    heirs = [passage if words.get(passage) == then else now.get(then, passage) for passage, _, then in said]
    own = {(heir, about) for heir, (passage, about, _) in zip(heirs, said, strict=True) if heir == passage}
    return [p if (heir, about) in own else heir for heir, (p, about, _) in zip(heirs, said, strict=True)]


def _carry_decisions(found: list[tuple[Decision, str]], passages: Sequence[Any]) -> list[Decision]:
    heirs = _carry_over([(decision.passage, decision.task, words) for decision, words in found], passages)
    return [dataclasses.replace(decision, passage=heir) for (decision, _), heir in zip(found, heirs, strict=True)]


def _carry_labels(rows: Sequence[Any], passages: Sequence[Any], kept: Sequence[Any]) -> list[Label]:
    before = {row.id: row.text_id for row in kept}  # of absent documents too: older labels do not hold the words
    read = [(row, json.loads(row.data)) for row in rows]
    labels = [from_dict(Label, data) for row, data in read if not row.person]
    said = [
        (from_dict(Label, data), data.get("text_id") or before.get(row.target, "")) for row, data in read if row.person
    ]
    heirs = _carry_over([(label.target, label.scheme, words) for label, words in said], passages)
    return labels + [dataclasses.replace(label, target=heir) for (label, _), heir in zip(said, heirs, strict=True)]
