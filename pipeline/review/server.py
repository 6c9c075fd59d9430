"""Who is let in: token, cookie, names of the host, forged and oversized requests; everything else is in app."""

from __future__ import annotations

import datetime
import http.server
import ipaddress
import os
import secrets
import socket
import socketserver
import threading
import time
import webbrowser
from collections.abc import Callable, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from pipeline.errors import DataError, PipelineError
from pipeline.review.app import App, PageError, Request, Response, Session
from pipeline.review.board import Desk
from pipeline.settings import Settings
from pipeline.store import Store

MAX_BODY = 64 * 2**10
"""Bytes of one form."""
_SECONDS = 12 * 3600
_SESSIONS = 100
_STATIC = {"review.css": "text/css; charset=utf-8", "review.js": "text/javascript; charset=utf-8"}
_FOLDER = Path(__file__).parent / "static"
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class ReviewServer(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """The review page of one notice, listening; ``url`` lets in whoever has it.

    Args:
        address: host and port; port 0 takes a free one.
        app: the pages.
        token: what the address must hold.
        remote: addresses other than this machine's own may be used.
    """

    daemon_threads = True
    # On Windows this option would let another program listen on the same port.
    allow_reuse_address = os.name != "nt"

    def __init__(self, address: tuple[str, int], app: App, token: str, remote: bool) -> None:
        self.app, self.token, self.remote = app, token, remote
        self._sessions: dict[str, tuple[float, Session]] = {}
        self._lock = threading.Lock()
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _Handler)
        host = f"[{address[0]}]" if ":" in address[0] else address[0]
        if host in ("0.0.0.0", "[::]"):  # noqa: S104 - a name for "everywhere" is no address to visit
            host = socket.gethostname()
        self.url = f"http://{host}:{self.server_port}/?token={token}"
        self.cookie = f"shidian_{self.server_port}"

    def server_bind(self) -> None:
        """Bind without asking a name server for the host's name, which takes long where there is none."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def open_session(self) -> tuple[str, Session]:
        """Return the name and the state of a new session; the oldest makes room."""
        name, session = secrets.token_urlsafe(32), Session()
        with self._lock:
            self._sessions[name] = (time.monotonic(), session)
            while len(self._sessions) > _SESSIONS:
                del self._sessions[next(iter(self._sessions))]
        return name, session

    def session(self, name: str) -> Session | None:
        """Return a session by name, None where there is none or it is too old."""
        since, session = self._sessions.get(name, (0.0, None))
        return session if session and time.monotonic() - since < _SECONDS else None

    def knows_host(self, host: str) -> bool:
        """Return whether a Host header names this server; another name is a page that had its name point here."""
        try:
            parts = urlsplit(f"//{host}")
            name, port = (parts.hostname or "").rstrip("."), parts.port or 80
        except ValueError:
            return False
        if port != self.server_port or parts.username is not None:
            return False
        if name in ("localhost", "127.0.0.1", "::1"):
            return True
        if not self.remote:
            return False
        try:
            return bool(ipaddress.ip_address(name))  # an address cannot be made to point elsewhere
        except ValueError:
            return name == socket.gethostname().lower()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: ReviewServer
    server_version = "shidian"
    sys_version = ""
    timeout = 30

    def do_GET(self) -> None:
        """Answer a request for a page."""
        self._answer(self._get)

    def do_POST(self) -> None:
        """Answer a form."""
        self._answer(self._post)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: addresses may hold the token."""

    def _answer(self, does: Callable[[], Response]) -> None:
        self._cookie, self._unread = "", self.command == "POST"
        try:
            response = does()
        except PageError as error:
            response = self._refusal(error.status, str(error))
        except PipelineError as error:
            response = self._refusal(500, str(error))
        try:
            self._send(response)
            if self._unread:
                self._drain()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def _drain(self) -> None:
        """Take in some of a refused form: a browser whose form is cut off does not show why."""
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(2)
        for _ in range(64):
            if not self.connection.recv(MAX_BODY):
                break

    def _refusal(self, status: int, message: str) -> Response:
        return self.server.app.page("message", None, message=message, status=status)

    def _send(self, response: Response) -> None:
        self.send_response(response.status, HTTPStatus(response.status).phrase)
        headers = dict(_HEADERS)
        if response.kind == "application/pdf":
            # The browser's own viewer needs its styles and the object it makes.
            headers["Content-Security-Policy"] = (
                "default-src 'none'; style-src 'unsafe-inline'; object-src 'self'; frame-ancestors 'none'"
            )
        if response.status == 303:
            headers["Location"] = response.location
        elif response.location:
            how = "inline" if response.kind == "application/pdf" else "attachment"
            headers["Content-Disposition"] = f"{how}; filename*=UTF-8''{response.location}"
        if self._cookie:
            headers["Set-Cookie"] = f"{self.server.cookie}={self._cookie}; HttpOnly; SameSite=Strict; Path=/"
        headers |= {"Content-Type": response.kind, "Content-Length": str(len(response.body)), "Connection": "close"}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(response.body)

    def _session(self) -> Session | None:
        for part in self.headers.get("Cookie", "").split(";"):
            name, _, value = part.strip().partition("=")
            if name == self.server.cookie and (session := self.server.session(value)):
                return session
        return None

    def _checked(self) -> str:
        """The path asked for, after the Host header was looked at."""
        if len(self.headers.get_all("Host", [])) != 1 or not self.server.knows_host(self.headers["Host"]):
            raise PageError(421, "网址中的主机名不对。请使用启动时显示的网址。")
        return unquote(urlsplit(self.path).path)

    def _query(self) -> dict[str, list[str]]:
        try:
            return parse_qs(urlsplit(self.path).query, keep_blank_values=True, max_num_fields=50)
        except ValueError as error:
            raise PageError(400, "网址有误。") from error

    def _get(self) -> Response:
        path, query, session = self._checked(), self._query(), self._session()
        if path.startswith("/static/"):
            name = path.removeprefix("/static/")
            if name not in _STATIC:
                raise PageError(404, "没有这个文件。")
            return Response((_FOLDER / name).read_bytes(), kind=_STATIC[name])
        if path == "/" and _same(query.get("token", [""])[0], self.server.token):
            if session:
                return Response(status=303, location="/")
            # No redirection here: a browser that came from elsewhere would not send the new cookie along.
            self._cookie, session = self.server.open_session()
            return self.server.app.get("/enter", Request("/", {}, {}, session))
        if session is None:
            raise PageError(403, "请用启动时显示的完整网址（含 token）打开；关闭程序后旧网址即失效。")
        return self.server.app.get(path, Request(self.path, query, {}, session))

    def _post(self) -> Response:
        path, session = self._checked(), self._session()
        if session is None:
            raise PageError(403, "登录已失效，意见未记录。请用启动时显示的完整网址重新打开。")
        origin = self.headers.get("Origin")
        if (origin is not None and origin != f"http://{self.headers['Host']}") or (
            self.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none")
        ):
            raise PageError(403, "请求来自别的网页，未执行。")
        form = self._form()
        if not _same(form.get("csrf", [""])[0], session.csrf):
            raise PageError(403, "页面已过期，意见未记录。请返回并刷新后重试。")
        return self.server.app.post(path, Request(path, {}, form, session))

    def _form(self) -> dict[str, list[str]]:
        length = self.headers.get("Content-Length", "")
        if self.headers.get("Transfer-Encoding") or not (length.isascii() and length.isdecimal()):
            raise PageError(411, "请求没有写明长度。")
        if len(length) > 9 or int(length) > MAX_BODY:
            raise PageError(413, f"提交的内容过大（上限 {MAX_BODY // 1024} KB），未记录。")
        if self.headers.get_content_type() != "application/x-www-form-urlencoded":
            raise PageError(415, "提交的格式不对。")
        try:
            body = self.rfile.read(int(length)).decode("utf-8")
            self._unread = False
            return parse_qs(body, keep_blank_values=True, max_num_fields=500)
        except (ValueError, TimeoutError) as error:
            raise PageError(400, "提交的内容无法读取，未记录。") from error


def _same(given: str, secret: str) -> bool:
    return secrets.compare_digest(given.encode("utf-8", "replace"), secret.encode())


def make_server(
    store: Store,
    notice_id: str,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    settings: Settings = Settings(),
    reviewers: Sequence[str] = (),
    token: str = "",
    date: str = "",
    allow_remote: bool = False,
) -> ReviewServer:
    """Return the server of the review page, listening but not yet answering.

    Args:
        store: where links are read and decisions added; use it from elsewhere at the same time as you like.
        notice_id: the notice whose links are checked.
        host: address to listen on.
        port: port to listen on; 0 takes a free one.
        settings: thresholds of sure links and lights.
        reviewers: names to choose from at the entry; "" lets each give a name.
        token: secret of the address, at least 16 characters; "" makes one.
        date: ISO date from which ages of evidence are counted; "" is today.
        allow_remote: host may be an address that other machines reach.

    Raises:
        DataError: the host is not this machine's own and allow_remote is not set, the token is too short, the port
            is taken, or the lexicon of units is damaged.
        StoreError: the notice is not kept in the store.

    Example:
        >>> make_server(store, "渝府发〔2021〕19号", port=0).url              # doctest: +SKIP
        'http://127.0.0.1:43121/?token=…'
    """
    if is_remote(host) and not allow_remote:
        raise DataError(f"{host} 可被其他电脑访问。确需如此请加 --allow-remote；只在本机使用请省去 --host。")
    if token and (len(token) < 16 or not token.isascii() or not token.replace("-", "").replace("_", "").isalnum()):
        raise DataError("token 须为 16 个以上的字母、数字、- 或 _。省去时自动生成。")
    store.notice(notice_id)
    desk = Desk(store, notice_id, settings, date or datetime.date.today().isoformat())
    try:
        return ReviewServer((host, port), App(desk, reviewers), token or secrets.token_urlsafe(24), is_remote(host))
    except (OSError, OverflowError) as error:
        raise DataError(f"无法在 {host}:{port} 上启动（{error}）。端口可能被占用，请用 --port 换一个。") from error


def is_remote(host: str) -> bool:
    """Return whether other machines can reach what listens on a host.

    Example:
        >>> is_remote("127.0.0.1"), is_remote("0.0.0.0")
        (False, True)
    """
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"


def serve(
    store: Store,
    notice_id: str,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    open_browser: bool = False,
    progress: Callable[[str], None] = lambda message: None,
    **options: Any,
) -> None:
    """Serve the review page until Ctrl-C.

    Args:
        store: where links are read and decisions added.
        notice_id: the notice whose links are checked.
        host: address to listen on.
        port: port to listen on; 0 takes a free one.
        open_browser: open the page in the user's browser.
        progress: told the address, and warned.
        options: settings, reviewers, token, date, allow_remote of make_server.

    Raises:
        DataError: as of make_server.
        StoreError: as of make_server.
    """
    with make_server(store, notice_id, host, port, **options) as server:
        if server.remote:
            progress("警告：其他电脑可以访问本页面，内容在网络上不加密传送；任何得到网址的人都能查看并填写意见。")
        progress(f"审核页面：{server.url}")
        progress("把完整网址交给审核人；按 Ctrl+C 结束，意见随填随存。")
        if open_browser:
            webbrowser.open(server.url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            progress("已停止。")
