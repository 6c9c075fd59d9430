"""Readers: bytes of any office format into a Document of paragraphs and tables.

The format is told by content; each format has a module with one function
``read_X(path, data, document_id, settings) -> Document``, loaded when it is first needed.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pipeline.errors import LimitError, ReadError
from pipeline.readers.formats import READABLE, detect_format
from pipeline.readers.structure import complete
from pipeline.records import Document
from pipeline.settings import Settings

__all__ = ["READABLE", "find_files", "load_documents", "read_document", "read_documents"]

STDIN, STDIN_NAME = "-", "标准输入"
_SKIPPED = re.compile(
    r"^(?:~\$|\.~|\.|~WRL)|\.(?:tmp|temp|bak|lock|crdownload|part)$|^(?:Thumbs\.db|desktop\.ini)$", re.I
)


def _read_pdf(path: str, data: bytes, document_id: str, settings: Settings) -> Document:
    from pipeline.readers.mending import mend_numbers
    from pipeline.readers.pdf import read_pdf
    from pipeline.readers.scan import pdf_recogniser

    return mend_numbers(read_pdf(path, data, document_id, settings, pdf_recogniser(path, data, settings)))


def _read_docx(path: str, data: bytes, document_id: str, settings: Settings) -> Document:
    from pipeline.readers.docx import read_docx

    return read_docx(path, data, document_id, settings)


def _read_ofd(path: str, data: bytes, document_id: str, settings: Settings) -> Document:
    from pipeline.readers.ofd import read_ofd

    return read_ofd(path, data, document_id, settings)


def _read_html(path: str, data: bytes, document_id: str, settings: Settings) -> Document:
    from pipeline.readers.html import read_html

    return read_html(path, data, document_id, settings)


def _read_sheet(path: str, data: bytes, document_id: str, settings: Settings) -> Document:
    from pipeline.readers.sheet import read_sheet

    return read_sheet(path, data, document_id, settings)


def _read_office(path: str, data: bytes, document_id: str, settings: Settings) -> Document:
    from pipeline.readers.office import read_office

    return read_office(path, data, document_id, settings)


def _read_image(path: str, data: bytes, document_id: str, settings: Settings) -> Document:
    from pipeline.readers.scan import read_image

    return read_image(path, data, document_id, settings)


def _read_plain(path: str, data: bytes, document_id: str, settings: Settings) -> Document:
    from pipeline.readers.plain import read_plain

    return read_plain(path, data, document_id, settings)


_READERS: dict[str, Callable[[str, bytes, str, Settings], Document]] = {
    "pdf": _read_pdf,
    "ofd": _read_ofd,
    "docx": _read_docx,
    "odt": _read_office,
    "doc": _read_office,
    "rtf": _read_office,
    "xlsx": _read_sheet,
    "xls": _read_sheet,
    "html": _read_html,
    "mht": _read_html,
    "png": _read_image,
    "jpeg": _read_image,
    "tiff": _read_image,
    "bmp": _read_image,
    "text": _read_plain,
}


def _bytes_of(path: str, settings: Settings) -> bytes:
    """Read a whole file after looking at its kind and size."""
    file = Path(path)
    try:
        if file.is_dir():
            raise ReadError(
                path, "是文件夹，不是文件", advice="请指定文件夹中的文件，或用能处理文件夹的命令（run、match）"
            )
        if not file.exists():
            raise ReadError(path, "找不到文件", advice="请检查路径和文件名")
        if not file.is_file():
            raise ReadError(path, "不是普通文件", advice="请指定一个文档")
        size = file.stat().st_size
        if size > settings.max_bytes:
            raise LimitError(
                path,
                f"文件有 {size / 2**20:.0f} MB，超过 {settings.max_bytes / 2**20:.0f} MB",
                advice="请拆分文件，或调大 max_bytes",
            )
        return file.read_bytes()
    except OSError as error:
        raise ReadError(path, f"文件无法打开（{error.strerror or error}）", advice="请检查权限") from error


def file_id(path: str | Path, settings: Settings | None = None) -> str:
    """Return the id that the document of a file will have, without parsing it; "" where it cannot be told.

    The documents of a JSONL file have ids of their own, which the file must be read for.
    """
    place, most = Path(path), (settings or Settings()).max_bytes
    try:
        # A pipe or a device would keep us waiting, and what is too large is refused later with its reason.
        if not place.is_file() or place.stat().st_size > most:
            return ""
        with place.open("rb") as file:
            return hashlib.file_digest(file, _digest).hexdigest()
    except OSError:
        return ""


def _digest(data: bytes = b"") -> hashlib.blake2b:
    return hashlib.blake2b(data, digest_size=6)


def load_documents(path: str | Path, settings: Settings | None = None) -> Iterator[Document]:
    """Yield the documents of one file: one for each line of JSONL, one for any other file.

    Args:
        path: a file, or "-" for JSONL on standard input.
        settings: bounds; the defaults where None.

    Raises:
        ReadError: the file is missing, empty, damaged, too large or of a format that nothing here reads.
    """
    settings = settings or Settings()
    name = str(path)
    if name == STDIN:
        data = sys.stdin.buffer.read(settings.max_bytes + 1)
        if len(data) > settings.max_bytes:
            raise LimitError(STDIN_NAME, "内容过大", advice="请改用文件，或调大 max_bytes")
        name = STDIN_NAME
    else:
        data = _bytes_of(name, settings)
    kind = detect_format(name, data, settings)
    if kind == "jsonl":
        from pipeline.readers.plain import read_jsonl_documents

        for document in read_jsonl_documents(name, data, settings):
            yield complete(document)
        return
    document_id = _digest(data).hexdigest()
    yield complete(_READERS[kind](name, data, document_id, settings))


def read_document(path: str | Path, settings: Settings | None = None) -> Document:
    """Read one file of any format into paragraphs and tables.

    Args:
        path: the file; its format is told by its content, not by its name.
        settings: bounds; the defaults where None.

    Returns:
        The document; its id depends on the bytes of the file alone (on doc_id for JSONL).

    Raises:
        ReadError: the file is missing, empty, damaged, too large or of a format that nothing here reads.
        ReadError: it holds several documents (JSONL), which read_documents yields one by one.

    Example:
        >>> read_document("corpus/notices/notice.txt").title  # doctest: +SKIP
        '重庆市人民政府关于印发重庆市服务业扩大开放综合试点工作方案的通知'
    """
    documents = load_documents(path, settings)
    document = next(documents, None)
    if document is None:
        raise ReadError(path, "文件中没有文档", advice="请检查文件内容")
    if next(documents, None) is not None:
        raise ReadError(path, "文件中有多份文档", advice="请用 read_documents 逐份读取")
    return document


def find_files(paths: str | Path | Iterable[str | Path]) -> Iterator[str]:
    """Yield the files under paths: files as they are named, folders searched in sorted order.

    Lock and temporary files of office programmes (~$…) and names that start with a dot are left out of folders;
    links to folders are not followed.
    """
    if isinstance(paths, (str, Path)):
        paths = [paths]
    for path in paths:
        if str(path) == STDIN or not os.path.isdir(path):
            yield str(path)
            continue
        for folder, folders, files in os.walk(path):
            folders[:] = sorted(name for name in folders if not _SKIPPED.search(name))
            for name in sorted(files):
                if not _SKIPPED.search(name):
                    yield os.path.join(folder, name)


def read_documents(
    paths: str | Path | Iterable[str | Path],
    settings: Settings | None = None,
    on_error: Callable[[ReadError], None] | None = None,
) -> Iterator[Document]:
    """Read many files in this process; folders are searched, JSONL yields a document for each line.

    Args:
        paths: files, folders, or "-" for JSONL on standard input.
        settings: bounds; the defaults where None.
        on_error: called with each error, after which the batch goes on; where None, the first error is raised.

    Raises:
        ReadError: a file cannot be read and on_error is None.
    """
    for path in find_files(paths):
        try:
            yield from load_documents(path, settings)
        except ReadError as error:
            if on_error is None:
                raise
            on_error(error)
