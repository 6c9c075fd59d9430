from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from pipeline.errors import LimitError, ReadError
from pipeline.readers import read_document
from pipeline.readers.office import find_office, read_office
from pipeline.readers.worker import read_many
from pipeline.settings import Settings

RTF = r"{\rtf1\ansi\ansicpg936 \u19968?\u12289?\u24635?\u20307?\u24773?\u20917?\par Done.\par}"


def script(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "soffice"
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_without_libreoffice_the_message_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHIDIAN_SOFFICE", str(tmp_path / "none"))
    path = tmp_path / "a.doc"
    path.write_text(RTF, encoding="ascii")
    with pytest.raises(ReadError, match="另存为 DOCX"):
        read_document(path)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell script")
def test_a_programme_that_hangs_or_fails_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHIDIAN_SOFFICE", str(script(tmp_path, "exec sleep 30")))
    with pytest.raises(LimitError, match="超过"):
        read_office("a.doc", RTF.encode(), "d", Settings(max_seconds=0.5))
    monkeypatch.setenv("SHIDIAN_SOFFICE", str(script(tmp_path, "echo source file could not be loaded")))
    with pytest.raises(ReadError, match="could not be loaded"):
        read_office("a.doc", RTF.encode(), "d", Settings())


@pytest.mark.skipif(not find_office(), reason="needs LibreOffice")
def test_rtf_through_libreoffice(tmp_path: Path) -> None:
    path = tmp_path / "a.doc"
    path.write_text(RTF, encoding="ascii")
    document = read_document(path)
    assert document.format == "rtf"
    assert [p.text for p in document.paragraphs] == ["一、总体情况", "Done."]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell script")
def test_a_programme_that_hangs_is_ended_before_the_worker_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHIDIAN_SOFFICE", str(script(tmp_path, "exec sleep 30")))
    first, second = tmp_path / "0.txt", tmp_path / "1.rtf"
    first.write_text("正文。", encoding="utf-8")  # the first file has time for the start of its worker as well
    second.write_text(RTF, encoding="ascii")
    _, (_, result) = read_many([first, second], Settings(max_seconds=4.0))
    assert isinstance(result, LimitError)
    assert "LibreOffice" in result.reason
