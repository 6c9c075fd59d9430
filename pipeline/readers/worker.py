"""Reading in processes of their own, so that no file can take the batch down.

A worker reads one file at a time within bounds on seconds and memory; one that hangs, grows or crashes is ended and
replaced, and its file becomes a ReadError. Workers start this module by itself, never the caller's script, and what
they send back is JSON, made into our own records and errors and nothing else.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import queue
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from pipeline.errors import DataError, LimitError, ReadError, UnsupportedFormatError
from pipeline.records import Document, from_dict
from pipeline.settings import Settings

_FRAME = struct.Struct("<Q")
_START_SECONDS = 60.0
_PAGE_SECONDS = 120.0  # time that each page given to character recognition adds
_TICK = 0.2
_ROOT = str(Path(__file__).parents[2])
_CODE = f"import sys; sys.path.insert(0, {_ROOT!r}); from pipeline.readers.worker import main; main()"

_channel: IO[bytes] | None = None


def _plain(value: Any) -> Any:
    """Give JSON a record as its fields."""
    return {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}


def _send(stream: IO[bytes], kind: str, value: object = None) -> None:
    data = json.dumps([kind, value], ensure_ascii=False, default=_plain).encode("utf-8", "surrogatepass")
    stream.write(_FRAME.pack(len(data)) + data)
    stream.flush()


def _exactly(stream: IO[bytes], count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        part = stream.read(count - len(data))
        if not part:
            raise EOFError
        data += part
    return bytes(data)


def _receive(stream: IO[bytes]) -> tuple[str, Any]:
    (size,) = _FRAME.unpack(_exactly(stream, _FRAME.size))
    kind, value = json.loads(_exactly(stream, size).decode("utf-8", "surrogatepass"))
    return kind, value


_ERRORS: dict[str, type[ReadError]] = {kind.__name__: kind for kind in (ReadError, UnsupportedFormatError, LimitError)}


def _packed(result: list[Document] | ReadError) -> dict[str, Any]:
    if isinstance(result, ReadError):
        name = type(result).__name__
        return {"error": name, "arguments": [result.path, result.reason, result.page, result.advice]}
    return {"documents": result}


def _unpacked(value: dict[str, Any]) -> list[Document] | ReadError:
    if "error" in value:
        return _ERRORS.get(value["error"], ReadError)(*value["arguments"])
    return [from_dict(Document, document) for document in value["documents"]]


def announce_page(page: int) -> None:
    """Tell the batch that a page goes to character recognition, which has time of its own; nothing outside a worker."""
    if _channel is not None:
        _send(_channel, "page", page)


def _bound_memory(most: int) -> None:
    """Bound the memory this process may allocate, where the system can."""
    try:
        import resource
    except ImportError:  # Windows: the parent watches instead
        return
    # Private memory, not address space: mapped libraries and models would count against the latter.
    kind = resource.RLIMIT_DATA if sys.platform == "linux" else resource.RLIMIT_AS
    _, hard = resource.getrlimit(kind)
    try:
        resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
    except (OSError, ValueError):
        return


def _read(path: str, settings: Settings) -> list[Document] | ReadError:
    from pipeline.readers import load_documents

    try:
        return list(load_documents(path, settings))
    except ReadError as error:
        return error
    except MemoryError:
        return LimitError(
            path, f"读取所需内存超过 {settings.max_memory // 2**20} MB", advice="请拆分文件，或调大 max_memory"
        )
    except RecursionError:
        return LimitError(path, "内容嵌套过深", advice="请检查文件来源")
    except Exception as error:  # the boundary of the process: whatever a damaged file sets off is that file's problem
        return ReadError(
            path,
            f"读取时出错（{type(error).__name__}：{str(error)[:200]}）",
            advice="文件可能已损坏，请重新获取或另存后再试",
        )


def main() -> None:
    """Serve as a worker: jobs on standard input, answers on standard output, until the input ends."""
    global _channel  # noqa: PLW0603
    incoming = sys.stdin.buffer
    _channel = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints must not garble the answers
    sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115
    import pipeline.readers  # noqa: F401

    _send(_channel, "ready")
    while True:
        try:
            path, values = _receive(incoming)
        except EOFError:
            return
        settings = Settings(**values)
        _bound_memory(settings.max_memory)
        _send(_channel, "done", _packed(_read(path, settings)))


@dataclass(eq=False)
class _Worker:
    """A child process, the thread that listens to it, and the job it has."""

    process: subprocess.Popen[bytes]
    job: int | None = None
    path: str = ""
    deadline: float = 0.0
    ready: bool = False
    waiting: bytes = field(default=b"", repr=False)

    @classmethod
    def start(cls, answers: queue.Queue[tuple[_Worker, str, Any]], folder: str) -> _Worker:
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", _CODE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=os.name == "posix",
            env=os.environ | {"ORT_DISABLE_TELEMETRY": "1"} | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), folder),
        )
        worker = cls(process)

        def listen() -> None:
            assert process.stdout is not None
            while True:
                try:
                    kind, value = _receive(process.stdout)
                    if kind == "done":
                        value = _unpacked(value)
                except (EOFError, OSError, ValueError, TypeError, KeyError, struct.error, DataError):
                    answers.put((worker, "gone", None))
                    return
                answers.put((worker, kind, value))

        threading.Thread(target=listen, daemon=True).start()
        return worker

    def give(self, job: int, path: str, settings: Settings) -> None:
        self.job, self.path = job, path
        limit = settings.max_seconds if self.ready else settings.max_seconds + _START_SECONDS
        self.deadline = time.monotonic() + limit
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):  # where it died before its job, the listener says so
            _send(self.process.stdin, path, settings)

    def end(self) -> None:
        """End the process and its children."""
        try:
            if os.name == "posix":
                os.killpg(self.process.pid, signal.SIGKILL)
            else:
                self.process.kill()
        except (ProcessLookupError, PermissionError):
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except OSError:
                    continue

    def memory(self) -> int:
        """Resident bytes, 0 where the system does not say."""
        try:
            pages = int(Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1])
        except (OSError, ValueError, IndexError):
            return 0
        return pages * os.sysconf("SC_PAGE_SIZE")


def _crash(worker: _Worker) -> ReadError:
    try:
        code = worker.process.wait(timeout=2.0)
    except subprocess.TimeoutExpired:  # it lives, but what it said makes no sense
        return ReadError(worker.path, "读取程序的回答无法识别", advice="请反馈该文件")
    how = f"信号 {-code}" if code < 0 else f"代码 {code}"
    return ReadError(worker.path, f"读取程序意外终止（{how}）", advice="文件可能已损坏，或内存不足")


def read_many(
    paths: str | Path | Iterable[str | Path], settings: Settings | None = None, workers: int = 1
) -> Iterator[tuple[str, Document | ReadError]]:
    """Read files and folders in processes of their own and yield what became of each, in order of input.

    Args:
        paths: files, folders, or "-" for JSONL on standard input (read in this process).
        settings: max_seconds and max_memory bound each file; the defaults where None.
        workers: processes at work at once.

    Yields:
        The path with its document, or with the error that says why there is none; a JSONL file gives a pair for each
        line.

    Example:
        >>> [type(result).__name__ for _, result in read_many("no such file")]
        ['ReadError']
    """
    from pipeline.readers import STDIN, find_files, load_documents

    settings = settings or Settings()
    answers: queue.Queue[tuple[_Worker, str, Any]] = queue.Queue()
    pool: list[_Worker] = []
    results: dict[int, list[Document] | ReadError] = {}
    names: dict[int, str] = {}
    files = enumerate(find_files(paths))
    more = True
    following = 0  # the job whose result is yielded next
    # A worker that is ended leaves its temporary files behind, copies of documents among them: they go with the pool.
    folder = tempfile.mkdtemp(prefix="shidian-")
    try:
        while True:
            while more and len(names) < workers * 4:
                idle = next((worker for worker in pool if worker.job is None), None)
                if idle is None and len(pool) >= max(1, workers):
                    break
                job, path = next(files, (-1, ""))
                if job < 0:
                    more = False
                    break
                names[job] = path
                if path == STDIN:
                    try:
                        results[job] = list(load_documents(path, settings))
                    except ReadError as error:
                        results[job] = error
                    continue
                if idle is None:
                    idle = _Worker.start(answers, folder)
                    pool.append(idle)
                idle.give(job, path, settings)
            while following in results:
                result = results.pop(following)
                path = names.pop(following)
                following += 1
                if isinstance(result, ReadError):
                    yield path, result
                else:
                    yield from ((path, document) for document in result)
            if not more and not names:
                return
            if following in results or (
                more and any(worker.job is None for worker in pool) and len(names) < workers * 4
            ):
                continue
            _listen(answers, pool, results, settings)
    finally:
        for worker in pool:
            worker.end()
        shutil.rmtree(folder, ignore_errors=True)


def _listen(
    answers: queue.Queue[tuple[_Worker, str, Any]],
    pool: list[_Worker],
    results: dict[int, list[Document] | ReadError],
    settings: Settings,
) -> None:
    """Take one answer, or look at the clock and the memory of every worker when none comes."""
    try:
        worker, kind, value = answers.get(timeout=_TICK)
    except queue.Empty:
        now = time.monotonic()
        for worker in list(pool):
            if worker.job is None:
                continue
            error: ReadError | None = None
            if now > worker.deadline:
                error = LimitError(
                    worker.path, f"读取超过 {settings.max_seconds:.0f} 秒", advice="请检查文件，或调大 max_seconds"
                )
            elif worker.memory() > settings.max_memory:
                limit = settings.max_memory // 2**20
                error = LimitError(worker.path, f"读取所需内存超过 {limit} MB", advice="请拆分文件，或调大 max_memory")
            if error is not None:
                pool.remove(worker)
                worker.end()
                results[worker.job] = error
        return
    if worker not in pool:
        return
    if kind == "ready":
        worker.ready = True
    elif kind == "page":
        worker.deadline = max(worker.deadline, time.monotonic()) + _PAGE_SECONDS
    elif kind == "done":
        assert worker.job is not None
        results[worker.job] = value
        worker.job = None
    else:
        pool.remove(worker)
        if worker.job is not None:
            results[worker.job] = _crash(worker)
        worker.end()


def read_bounded(path: str | Path, settings: Settings | None = None) -> list[Document]:
    """Read one file in a process of its own.

    Raises:
        ReadError: it cannot be read within the bounds.
    """
    documents: list[Document] = []
    for _, result in read_many([path], settings):
        if isinstance(result, ReadError):
            raise result
        documents.append(result)
    return documents
