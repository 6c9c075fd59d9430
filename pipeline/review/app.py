"""The pages and what is done on them; knows nothing of HTTP but status codes and addresses."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import re
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from pipeline.classification.schemes import SCHEMES, UNCLASSIFIED, class_name, schemes
from pipeline.inventory.ledger import LIGHTS, STATUSES
from pipeline.inventory.view import STATES, EffectiveLink, task_name
from pipeline.records import Decision, Label, Task
from pipeline.review.board import PASSAGE_STATUSES, QUEUES, VERDICTS, Board, Desk

PER_PAGE = 20
PER_SIGNING = 200
_SCHEME_NAMES = {"sector": "领域", "reform": "改革类型", "group": "工作专班", "stri": "开放限制类别"}
_FOLDER = Path(__file__).parent


@dataclasses.dataclass
class Session:
    """One person at one browser."""

    csrf: str = dataclasses.field(default_factory=lambda: secrets.token_urlsafe(32))
    reviewer: str = ""
    messages: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Response:
    """What is sent back; location makes it a redirection."""

    body: bytes = b""
    status: int = 200
    kind: str = "text/html; charset=utf-8"
    location: str = ""


class PageError(Exception):
    """A request that cannot be answered, with its status and what to tell the person."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclasses.dataclass(frozen=True)
class Request:
    """What was asked: address, its parameters, and what a form holds (of each name all values)."""

    address: str
    query: dict[str, list[str]]
    form: dict[str, list[str]]
    session: Session

    def asked(self, name: str) -> str:
        """Return a parameter of the address, "" where it is missing."""
        return plain(self.query.get(name, [""])[0])[:200]

    def filled(self, name: str, most: int = 200) -> str:
        """Return a field of the form, "" where it is missing."""
        return plain(self.raw(name))[:most]

    def raw(self, name: str) -> str:
        """Return a field of the form as it is, for ids."""
        return self.form.get(name, [""])[0]

    @property
    def back(self) -> str:
        """Where to go when all is done."""
        return _local(self.raw("back")) if "back" in self.form else self.address


def plain(text: str) -> str:
    """Return a text without control and direction characters, on one line.

    Example:
        >>> plain(" 王" + chr(0x202E) + "某 ")
        '王某'
    """
    return "".join(c if c.isprintable() else " " * c.isspace() for c in text).strip()


class App:
    """The pages over one desk.

    Args:
        desk: the store of a notice.
        reviewers: names to choose from; anybody gives a name of his own where there are none.
    """

    def __init__(self, desk: Desk, reviewers: Sequence[str] = ()) -> None:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined

        self.desk = desk
        self.reviewers = tuple(reviewers)
        self._pages = Environment(
            loader=FileSystemLoader(_FOLDER / "templates"), autoescape=True, undefined=StrictUndefined,
            trim_blocks=True, lstrip_blocks=True,
        )  # fmt: skip
        self._pages.globals.update(
            states=STATES, verdicts=VERDICTS, statuses=STATUSES, lights=LIGHTS, queues=QUEUES, class_name=class_name,
            passage_statuses=PASSAGE_STATUSES, scheme_names=_SCHEME_NAMES, unclassified=UNCLASSIFIED,
        )  # fmt: skip
        self._pages.filters["name"] = lambda task: task_name(task.id)
        self._shown: dict[str, Callable[[Request, str], Response]] = {
            "": self._overview, "queue": self._queue, "link": self._link, "task": self._task, "sign": self._signing,
            "documents": self._documents, "document": self._document, "source": self._source, "enter": self._entry,
        }  # fmt: skip
        self._done: dict[str, Callable[[Request], Response]] = {
            "decide": self._decide, "sign": self._sign, "label": self._label, "enter": self._enter,
        }  # fmt: skip

    def get(self, path: str, request: Request) -> Response:
        """Return a page.

        Raises:
            PageError: there is no such page.
        """
        name, _, rest = path.removeprefix("/").partition("/")
        if name not in self._shown:
            raise PageError(404, "没有这个页面。")
        if not request.session.reviewer and name != "enter":
            return Response(status=303, location="/enter")
        return self._shown[name](request, rest)

    def post(self, path: str, request: Request) -> Response:
        """Do what a form says.

        Raises:
            PageError: it cannot be done.
        """
        does = self._done.get(path.strip("/"))
        if does is None:
            raise PageError(404, "没有这个操作。")
        if not request.session.reviewer and path.strip("/") != "enter":
            return Response(status=303, location="/enter")
        return does(request)

    def page(self, name: str, request: Request | None, board: Board | None = None, **values: Any) -> Response:
        """Return a filled template; without a request it is a page for somebody who is not let in."""
        status = values.pop("status", 200)
        messages = []
        if request and request.session.reviewer:
            messages, request.session.messages = request.session.messages, []
        text = self._pages.get_template(f"{name}.html.j2").render(
            session=request.session if request else None, board=board, messages=messages,
            notice=board.view.snapshot.notice if board else None,
            tasks=board.view.tasks.values() if board else (), back=request.back if request else "/",
            **values,
        )  # fmt: skip
        return Response(text.encode("utf-8", "replace"), status)

    # Entry.

    def _entry(self, request: Request, _: str, message: str = "", status: int = 200) -> Response:
        return self.page("enter", request, reviewers=self.reviewers, message=message, status=status)

    def _enter(self, request: Request) -> Response:
        name = " ".join(request.filled("reviewer").split())
        if not 1 <= len(name) <= 30 or (self.reviewers and name not in self.reviewers):
            return self._entry(request, "", "请填写姓名（30 字以内）。" if not self.reviewers else "请选择姓名。", 400)
        request.session.reviewer = name
        return Response(status=303, location="/")

    # Pages.

    def _overview(self, request: Request, _: str) -> Response:
        board = self.desk.board()
        return self.page(
            "overview", request, board, counts=board.counts(), ledger=board.ledger, waiting=board.waiting_of(),
            threshold=self.desk.settings.sign_threshold,
        )  # fmt: skip

    def _queue(self, request: Request, _: str) -> Response:
        board = self.desk.board()
        filters = _filters(request)
        found = board.queue(filters)
        pages = max(1, -(-len(found) // PER_PAGE))
        page = min(max(1, int(request.asked("page")) if request.asked("page").isdecimal() else 1), pages)
        shown = found[(page - 1) * PER_PAGE : page * PER_PAGE]
        return self.page(
            "queue", request, board, filters=filters, total=len(found), number=page, pages=pages,
            cards=board.cards(shown), documents=board.view.documents.values(), counts=board.counts(),
            address=lambda **other: "/queue?" + urlencode({k: v for k, v in (filters | other).items() if v}),
        )  # fmt: skip

    def _link(self, request: Request, identity: str) -> Response:
        board = self.desk.board()
        effective = board.links.get(identity)
        if effective is None:
            raise PageError(404, "没有这条关联：材料可能已更新，或该关联已被否定。请在材料页查看。")
        return self._one(request, board, effective)

    def _one(
        self, request: Request, board: Board, effective: EffectiveLink, message: str = "", status: int = 200
    ) -> Response:
        """The page of one link; with a message where what was asked was not done, what was written is kept."""
        filled = {"note": request.filled("note", 500), "target": request.filled("target")} if message else {}
        cards = board.cards([effective])
        return self.page("link", request, board, cards=cards, message=message, filled=filled, status=status)

    def _task(self, request: Request, name: str) -> Response:
        board = self.desk.board()
        task = board.view.named.get(name)
        if task is None:
            raise PageError(404, "公文中没有这个任务号。")
        labels = {scheme: board.view.labels.get((task.id, scheme)) for scheme in SCHEMES}
        return self.page(
            "task", request, board, task=task, labels=labels, classes=schemes(), row=board.ledger[task.id],
            links=[e for e in board.view.links if e.link.task == task.id], waiting=board.waiting_of()[task.id],
        )  # fmt: skip

    def _documents(self, request: Request, _: str) -> Response:
        board = self.desk.board()
        rows = []
        for document in board.view.documents.values():
            passages = board.view.passages_of.get(document.id, [])
            links = [e for p in passages for e in board.links_of.get(p.id, ())]
            linked = {e.link.passage for e in links if e.counts}
            rows.append(
                {
                    "document": document, "passages": len(passages), "links": sum(e.counts for e in links),
                    "without": len(passages) - len(linked), "waiting": sum(board.in_queue(e, "waiting") for e in links),
                }
            )  # fmt: skip
        return self.page("documents", request, board, rows=rows)

    def _document(self, request: Request, identity: str, message: str = "", status: int = 200) -> Response:
        board = self.desk.board()
        document = board.view.documents.get(identity)
        if document is None:
            raise PageError(404, "没有这份材料，或材料已更新。")
        passages = board.view.passages_of.get(identity, [])
        bare = request.asked("only") == "none"
        shown = [p for p in passages if not (bare and any(e.counts for e in board.links_of.get(p.id, ())))]
        rows = [
            {
                "passage": p, "page": board.view.place(p).page, "links": board.links_of.get(p.id, []),
                "candidates": near, "status": board.view.value(p.id, "status"), "history": board.said.get(p.id, []),
                "linked": any(e.counts for e in board.links_of.get(p.id, ())), "stamp": board.stamp(p.id),
            }
            for p, near in zip(shown, board.candidates(shown), strict=True)
        ]  # fmt: skip
        return self.page(
            "document", request, board, document=document, rows=rows, total=len(passages), bare=bare, message=message,
            status=status, has_source=self._source_of(board, identity) is not None,
        )  # fmt: skip

    def _source_of(self, board: Board, identity: str) -> Path | None:
        """The file of a document, if it still is where it was read."""
        document = board.view.documents.get(identity)
        path = Path(document.path) if document and document.path else None
        return path if path and path.suffix.lower() in _SOURCES and path.is_file() else None

    def _source(self, request: Request, identity: str) -> Response:
        path = self._source_of(self.desk.board(), identity)
        if path is None or path.stat().st_size > self.desk.settings.max_bytes:
            raise PageError(404, "找不到原文件：可能已移动或改名。")
        try:
            # Only PDF is shown; anything else could run in the page's own name and is only ever downloaded.
            kind = "application/pdf" if path.suffix.lower() == ".pdf" else "application/octet-stream"
            return Response(path.read_bytes(), kind=kind, location=quote(path.name))
        except OSError as error:
            raise PageError(404, "原文件无法打开。") from error

    # What is decided.

    def _decide(self, request: Request) -> Response:
        with self.desk.lock:  # what was seen and what is written must not come apart
            board = self.desk.board()
            passage = board.view.passages.get(request.raw("passage"))
            if passage is None:
                raise PageError(409, "这一段所在的材料已更新或移除，意见未记录。请回到队列重新核对。")
            verdict, note = request.filled("verdict"), request.filled("note", 500)
            chosen = _chosen(board, request.filled("move") or request.filled("target"))
            if request.filled("move") and not verdict:
                verdict = "moved"
            if "added" in request.form:
                return self._add(request, board, passage.id, chosen, note)
            effective = board.find(passage.id, request.raw("task"))
            if effective is None:
                raise PageError(409, "这条关联已不在：材料可能已更新。意见未记录，请回到队列重新核对。")
            task = effective.link.task
            again = functools.partial(self._one, request, board, effective)
            if verdict not in VERDICTS:
                return again("没有选择意见，未记录。", 400)
            if verdict == "moved" and (chosen is None or chosen.id == task):
                return again("改挂须选择另一项任务，未记录。请从候选或列表中选择。", 400)
            if request.filled("seen") != board.stamp(passage.id, task):
                return again("在您查看期间，这条关联有了新的意见（见下）。您的意见尚未记录；看过后仍可再次提交。", 409)
            moved = chosen.id if verdict == "moved" and chosen else ""
            self._say(passage.id, task, verdict, request.session, moved, note)
        to = f"到 {board.name(moved)}" if moved else ""
        request.session.messages.append(f"已记录：{board.name(task)}，{VERDICTS[verdict]}{to}。")
        return _back(request)

    def _add(self, request: Request, board: Board, passage: str, task: Task | None, note: str) -> Response:
        document = board.view.passages[passage].document_id
        if task is None:
            return self._document(request, document, "补挂须选择一项任务，未记录。", 400)
        if request.filled("seen") != board.stamp(passage):
            message = "在您查看期间，这一段有了新的意见，补挂未记录。请看过后再提交。"
            return self._document(request, document, message, 409)
        self._say(passage, task.id, "accepted", request.session, "", note or "人工补挂")
        request.session.messages.append(f"已补挂到{board.name(task.id)}。")
        return _back(request)

    def _say(self, passage: str, task: str, verdict: Any, session: Session, moved: str = "", note: str = "") -> None:
        self.desk.store.add_decision(Decision(passage, task, verdict, session.reviewer, _now(), moved, note))

    def _signing(self, request: Request, _: str) -> Response:
        board = self.desk.board()
        filters = _filters(request) | {"queue": "sure"}
        order = {identity: i for i, identity in enumerate(board.view.tasks)}
        found = sorted(board.queue(filters), key=lambda e: order[e.link.task])
        return self.page(
            "sign", request, board, filters=filters, cards=board.cards(found[:PER_SIGNING]), total=len(found),
            threshold=self.desk.settings.sign_threshold,
        )  # fmt: skip

    def _sign(self, request: Request) -> Response:
        with self.desk.lock:
            board = self.desk.board()
            chosen = [board.links[i] for i in dict.fromkeys(request.form.get("link", ())) if i in board.links]
            ready = [e for e in chosen if board.in_queue(e, "sure")]
            note = f"批量签认（概率不低于 {self.desk.settings.sign_threshold:g}）"
            who, time = request.session.reviewer, _now()
            self.desk.store.add_decisions(
                [Decision(e.link.passage, e.link.task, "accepted", who, time, "", note) for e in ready]
            )
        left = len(request.form.get("link", ())) - len(ready)
        text = f"已签认 {len(ready)} 条。" + (f"{left} 条在此期间已有意见或已更新，未改动。" if left else "")
        request.session.messages.append(text)
        return _back(request)

    def _label(self, request: Request) -> Response:
        with self.desk.lock:
            board, target, said = self.desk.board(), request.raw("target"), []
            known = {s: set(schemes()[s]) | {UNCLASSIFIED} for s in SCHEMES} if target in board.view.tasks else {}
            if target in board.view.passages:
                known = {"status": set(PASSAGE_STATUSES)}
            for scheme, values in known.items():
                new, was = request.filled(scheme), request.filled(f"was_{scheme}")
                if new not in values or new == was:
                    continue
                name = _SCHEME_NAMES.get(scheme, "进展")
                if board.view.value(target, scheme) != was:
                    said.append(f"{name}在此期间已被他人改动，您的更正未记录，请核对。")
                    continue
                kind: Any = scheme
                label = Label(target, kind, new, 1.0, request.session.reviewer)
                self.desk.add_labels([label])
                said.append(f"{name}已更正为“{PASSAGE_STATUSES.get(new) or class_name(scheme, new)}”。")
        request.session.messages += said or ["没有改动。"]
        return _back(request)


_SOURCES = {
    ".pdf", ".docx", ".doc", ".ofd", ".html", ".htm", ".txt", ".xlsx", ".xls", ".csv", ".wps", ".png", ".jpg", ".jpeg",
    ".tif", ".tiff",
}  # fmt: skip


def _filters(request: Request) -> dict[str, str]:
    filters = {name: request.asked(name) for name in ("queue", "task", "unit", "low", "high")}
    filters["doc"] = request.query.get("doc", [""])[0]
    if filters["queue"] not in QUEUES:
        filters["queue"] = "waiting"
    filters["task"] = _named(filters["task"]) or filters["task"]
    return filters


def _named(text: str) -> str:
    """The name of a task that a field begins with (12, 12-2), "" for none; what follows is only for the reader."""
    number = re.match(r"(\d{1,8})(?:[-－—–](\d{1,4}))?", text)
    return "-".join(str(int(part)) for part in number.groups() if part) if number else ""


def _chosen(board: Board, text: str) -> Task | None:
    return board.view.named.get(_named(text))


def _local(address: str) -> str:
    """An address of this page, whatever was sent."""
    if not address.startswith("/") or address.startswith(("//", "/\\")):
        return "/queue"
    return quote(address, safe="/?&=%+#-_.~")


def _back(request: Request) -> Response:
    place = request.filled("place")
    mark = f"#{place}" if re.fullmatch(r"[\w-]{1,80}", place, re.ASCII) else ""
    return Response(status=303, location=request.back + mark)


def _now() -> str:
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")
