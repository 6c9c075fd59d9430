"""DOC, WPS, RTF and ODT through LibreOffice, where it is installed: converted to DOCX, then read as such.

LibreOffice runs without a window, in a profile of its own that is thrown away, with macros and links off.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from pipeline.errors import LimitError, ReadError
from pipeline.readers.docx import read_docx
from pipeline.records import Document
from pipeline.settings import Settings

_ADVICE = "请安装 LibreOffice（Writer 即可）后重试，或用 Word、WPS 另存为 DOCX"
_OFF = (
    ("Common/Security/Scripting", "MacroSecurityLevel", "3"),
    ("Common/Security/Scripting", "DisableMacrosExecution", "true"),
    ("Common/Security/Scripting", "BlockUntrustedRefererLinks", "true"),
    ("Writer/Content/Update", "Link", "0"),
)
_PROFILE = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<oor:items xmlns:oor="http://openoffice.org/2001/registry">'
    + "".join(
        f'<item oor:path="/org.openoffice.Office.{place}"><prop oor:name="{name}" oor:op="fuse">'
        f"<value>{value}</value></prop></item>"
        for place, name, value in _OFF
    )
    + "</oor:items>"
)
_PLACES = (
    "/usr/bin/soffice",
    "/usr/lib/libreoffice/program/soffice",
    "/opt/libreoffice/program/soffice",
    "/Applications/LibreOffice.app/Contents/MacOS/soffice",
    r"C:\Program Files\LibreOffice\program\soffice.exe",
    r"C:\Program Files (x86)\LibreOffice\program\soffice.exe",
)


def find_office() -> str:
    """Return the path of LibreOffice's programme, "" where it is not installed.

    SHIDIAN_SOFFICE in the environment names another one.
    """
    named = os.environ.get("SHIDIAN_SOFFICE", "")
    if named:
        return named if Path(named).is_file() else ""
    return shutil.which("soffice") or shutil.which("libreoffice") or next((p for p in _PLACES if Path(p).is_file()), "")


def _kind(data: bytes) -> tuple[str, str]:
    """Return the format for the record, and the suffix by which LibreOffice chooses its filter."""
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        return "doc", ".doc"
    if data.startswith(b"PK"):
        return "odt", ".odt"
    if data.lstrip().startswith(b"{\\rtf"):
        return "rtf", ".rtf"
    return "doc", ".xml"


def convert(path: str, data: bytes, suffix: str, settings: Settings) -> bytes:
    """Return a document as DOCX, made by LibreOffice.

    Raises:
        ReadError: LibreOffice is not installed, or cannot read the file.
        LimitError: it takes too long.
    """
    programme = find_office()
    if not programme:
        raise ReadError(path, "读取 DOC、WPS、RTF 和 ODT 需要 LibreOffice，本机未安装", advice=_ADVICE)
    with tempfile.TemporaryDirectory(prefix="shidian-", ignore_cleanup_errors=True) as folder:
        source = Path(folder, "source" + suffix)
        source.write_bytes(data)
        profile = Path(folder, "profile")
        (profile / "user").mkdir(parents=True)
        (profile / "user" / "registrymodifications.xcu").write_text(_PROFILE, encoding="utf-8")
        command = [
            programme,
            f"-env:UserInstallation={profile.as_uri()}",
            "--headless",
            "--norestore",
            "--nolockcheck",
            "--nodefault",
            "--convert-to",
            "docx:MS Word 2007 XML",
            "--outdir",
            str(Path(folder, "out")),
            str(source),
        ]
        process = subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=_free_memory if sys.platform == "linux" else None,  # noqa: PLW1509
        )
        try:
            # Sooner than the worker itself is ended, so that the copy of the document is removed here.
            seconds = max(1.0, 0.9 * settings.max_seconds)
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as error:
            _end(process)
            raise LimitError(path, f"LibreOffice 转换超过 {seconds:.0f} 秒", advice=_ADVICE) from error
        except BaseException:
            _end(process)
            raise
        result = Path(folder, "out", "source.docx")
        if not result.is_file():
            said = output.decode("utf-8", "replace").strip().splitlines()
            detail = f"（{said[-1][:120]}）" if said else ""
            raise ReadError(
                path, f"LibreOffice 无法打开该文件{detail}", advice="文件可能已损坏或设有密码，请另存为 DOCX"
            )
        if result.stat().st_size > settings.max_bytes:
            raise LimitError(path, "转换后的文件过大", advice="请拆分文件，或调大 max_bytes")
        return result.read_bytes()


def _free_memory() -> None:
    """Lift the bound of the worker from LibreOffice, which takes much more memory for itself than the text needs."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))


def _end(process: subprocess.Popen[bytes]) -> None:
    """End LibreOffice and the programme its starter script runs."""
    if sys.platform == "linux":
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        try:
            found = [int(child) for child in children.read_text(encoding="ascii").split()]
        except (OSError, ValueError):
            found = []
        for child in found:
            try:
                os.kill(child, signal.SIGKILL)
            except ProcessLookupError:
                continue
    process.kill()
    process.wait()


def read_office(path: str, data: bytes, document_id: str, settings: Settings) -> Document:
    """Read DOC, WPS, RTF or ODT.

    Raises:
        ReadError: LibreOffice is not installed, or cannot read the file.
        LimitError: it exceeds a bound of the settings.
    """
    kind, suffix = _kind(data)
    document = read_docx(path, convert(path, data, suffix, settings), document_id, settings)
    return replace(document, format=kind)
