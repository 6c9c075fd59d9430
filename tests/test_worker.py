from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import pytest

from pipeline.errors import LimitError, ReadError
from pipeline.readers import worker
from pipeline.readers.worker import read_bounded, read_many
from pipeline.records import Document
from pipeline.settings import Settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(6):
        (tmp_path / f"{number}.txt").write_text(f"第{number}份报告的正文。", encoding="utf-8")
    (tmp_path / "3.txt").write_bytes(b"PK\x03\x04")
    return tmp_path


@pytest.mark.parametrize("workers", [1, 3])
def test_results_come_in_order_and_an_error_stays_with_its_file(folder: Path, workers: int) -> None:
    results = list(read_many([folder, folder / "none.txt"], workers=workers))
    assert [Path(path).name for path, _ in results] == [f"{n}.txt" for n in range(6)] + ["none.txt"]
    kinds = [type(result) for _, result in results]
    assert kinds == [Document, Document, Document, ReadError, Document, Document, ReadError]


def test_a_file_that_takes_too_long_is_given_up_and_the_batch_goes_on(folder: Path) -> None:
    pipe = folder / "2.txt"
    # Many pages of one-cell-a-line numbers keep the reader busy for longer than the bound.
    pipe.write_text("序号\n任务\n单位\n" + "1\n" * 3_000_000, encoding="utf-8")
    start = time.monotonic()
    results = dict(read_many(folder, Settings(max_seconds=1.0)))
    assert time.monotonic() - start < 30  # against the bound of one second that is set here
    assert isinstance(results[str(pipe)], LimitError)
    assert "秒" in str(results[str(pipe)])
    assert isinstance(results[str(folder / "4.txt")], Document)


@pytest.mark.skipif(os.name != "posix", reason="memory is bounded by the system on POSIX alone")
def test_a_file_that_takes_too_much_memory_is_given_up(folder: Path) -> None:
    (folder / "2.txt").write_bytes("字".encode() * 8_000_000)
    results = [result for _, result in read_many(folder, Settings(max_memory=100 * 2**20, max_characters=10**9))]
    assert isinstance(results[2], LimitError)
    assert isinstance(results[5], Document)


def test_an_answer_that_makes_no_sense_ends_the_wait(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A worker that sends what is no record of ours is ended at once, not waited for.
    code = worker._CODE.replace(
        "from pipeline.readers.worker import main; main()",
        "import pipeline.readers.worker as w; w._packed = lambda result: {'documents': [{'colour': 'red'}]}; w.main()",
    )
    monkeypatch.setattr(worker, "_CODE", code)
    ((_, result),) = read_many(folder / "0.txt")
    assert isinstance(result, ReadError)
    assert "无法识别" in result.reason


def test_one_file_in_a_process_of_its_own(folder: Path) -> None:
    assert read_bounded(folder / "0.txt")[0].paragraphs[0].text == "第0份报告的正文。"
    with pytest.raises(ReadError):
        read_bounded(folder / "3.txt")


def test_temporary_files_of_a_worker_that_ends_go_with_the_pool(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path_factory.mktemp("temporary")
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(worker, "_CODE", "import os, tempfile; tempfile.mkdtemp(); os._exit(3)")
    ((_, result),) = read_many(folder / "0.txt")
    assert isinstance(result, ReadError)
    assert list(place.iterdir()) == []
