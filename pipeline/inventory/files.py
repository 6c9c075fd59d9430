"""Writing output files so that nothing of a person's is lost: whole or not at all, and never over an edited file."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from pipeline.errors import WriteError

_MARKS = ".shidian-written.json"


_FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")


def printable(text: object) -> str:
    r"""Return text without the characters that no XML, HTML or UTF-8 file may hold.

    Example:
        >>> printable("报\x00告\x0b\n")
        '报告\n'
    """
    return _FORBIDDEN.sub("", str(text))


def _locks(path: Path) -> list[Path]:
    """The files by which Excel, WPS and LibreOffice say that they have a file open."""
    return [path.with_name(f"~${path.name}"), path.with_name(f".~lock.{path.name}#"), path.with_name(f".~{path.name}")]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _written(folder: Path) -> dict[str, str]:
    try:
        marks = json.loads((folder / _MARKS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(k): str(v) for k, v in marks.items()} if isinstance(marks, dict) else {}


def _backup(path: Path) -> Path:
    """The first free name beside a file: name.xlsx.bak, name.xlsx.bak2, …; an earlier backup is never touched."""
    number = 1
    while True:
        backup = path.with_name(f"{path.name}.bak{number if number > 1 else ''}")
        if not backup.exists():
            return backup
        number += 1


def write_safely(path: str | Path, write: Callable[[Path], None]) -> Path | None:
    """Write a file beside its place and move it there when it is whole.

    A file that stands there and is not as the last run left it is kept as ``NAME.bak`` (``.bak2``, …).

    Args:
        path: the file.
        write: writes to the path that it is given.

    Returns:
        The backup made, if any.

    Raises:
        WriteError: the file is open in another program, or the place cannot be written.
    """
    target = Path(path)
    advice = "请关闭打开该文件的程序（Excel、WPS 等）后重试，或用 --out 换一个文件夹。"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for lock in _locks(target):
            if target.exists() and lock.exists():
                raise WriteError(f"{target}：文件正被其他程序打开。{advice}若确已关闭，请删除残留的 {lock.name}。")
        handle, name = tempfile.mkstemp(prefix=".writing-", suffix=target.suffix, dir=target.parent)
        os.close(handle)
        draft = Path(name)
        try:
            write(draft)
            backup = None
            marks = _written(target.parent)
            if target.exists() and marks.get(target.name) != _digest(target):
                backup = _backup(target)
                os.replace(target, backup)
            # mkstemp lets only the owner read; an output is as readable as any new file.
            mask = os.umask(0)
            os.umask(mask)
            draft.chmod(0o666 & ~mask)
            marks[target.name] = _digest(draft)
            os.replace(draft, target)
            (target.parent / _MARKS).write_text(json.dumps(marks, indent=1, sort_keys=True), encoding="utf-8")
        finally:
            draft.unlink(missing_ok=True)
    except PermissionError as error:
        raise WriteError(f"{target}：文件正被其他程序打开，或没有写入权限。{advice}") from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise WriteError(f"{target}：磁盘空间不足。请清理后重试。") from error
        raise WriteError(f"{target}：无法写入（{error.strerror or error}）。{advice}") from error
    return backup
