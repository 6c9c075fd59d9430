"""Files that are made to do harm, or come out damaged: each ends in an error with its reason, and the batch goes on."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import LimitError, ReadError, UnsupportedFormatError
from pipeline.readers.worker import read_many
from pipeline.records import Document
from pipeline.settings import Settings

WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
BODY = f"<w:document {WORD}><w:body><w:p><w:r><w:t>正文。</w:t></w:r></w:p></w:body></w:document>"


def zipped(members: dict[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def pdf(objects: list[bytes]) -> bytes:
    data = bytearray(b"%PDF-1.7\n")
    places = []
    for number, content in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(data)
    data += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    data += b"".join(b"%010d 00000 n \n" % place for place in places)
    data += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(data)


CATALOG = b"<< /Type /Catalog /Pages 2 0 R >>"


def flate_bomb() -> bytes:
    packed = zlib.compress(zlib.compress(b"0 0 m " * 40_000_000, 1), 9)
    stream = b"<< /Length %d /Filter [/FlateDecode /FlateDecode] >>\nstream\n%s\nendstream" % (len(packed), packed)
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R >>"
    return pdf([CATALOG, b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>", page, stream])


def page_tree_loop() -> bytes:
    return pdf([CATALOG, b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 5 /Parent 2 0 R >>"])


def many_pages() -> bytes:
    tree = b"<< /Type /Pages /Kids [%s] /Count 20000 >>" % (b"3 0 R " * 20000)
    return pdf([CATALOG, tree, b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] >>"])


def huge_scan(side: int = 30000) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"\x00" * 1000))
        + chunk(b"IEND", b"")
    )


def locked() -> bytes:
    pdfgen = pytest.importorskip("reportlab.pdfgen.canvas")
    buffer = io.BytesIO()
    canvas = pdfgen.Canvas(buffer, encrypt="secret")
    canvas.drawString(100, 100, "text")
    canvas.save()
    return buffer.getvalue()


CASES: dict[str, tuple[Callable[[], bytes], str]] = {
    "zip_bomb.docx": (lambda: zipped({"word/document.xml": BODY + " " * 50_000_000}), "压缩"),
    "zip_bomb.ofd": (lambda: zipped({"OFD.xml": b"<a>" + b" " * 50_000_000}), "压缩"),
    "zip_bomb.xlsx": (lambda: zipped({"xl/workbook.xml": b" " * 50_000_000}), "压缩"),
    "entity.docx": (
        lambda: zipped({"word/document.xml": f'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]>{BODY}'}),
        "实体",
    ),
    "laughs.ofd": (lambda: zipped({"OFD.xml": '<!DOCTYPE a [<!ENTITY e "aaaa">]><a>&e;</a>'}), "实体"),
    "flate_bomb.pdf": (flate_bomb, ""),
    "loop.pdf": (page_tree_loop, ""),
    "pages.pdf": (many_pages, "页"),
    "locked.pdf": (locked, "密码"),
    "truncated.pdf": (lambda: many_pages()[:200], ""),
    "truncated.docx": (lambda: zipped({"word/document.xml": BODY * 300})[:300], "损坏"),
    "scan.png": (huge_scan, "像素"),
    "broken.png": (lambda: huge_scan(300)[:60], ""),
    "deep.html": (lambda: b"<html><body>" + b"<b>" * 100_000 + "正文。".encode() + b"</body></html>", ""),
    "deep.jsonl": (lambda: b'{"passages": ' + b"[" * 200_000, "嵌套"),
    "deep.docx": (
        lambda: zipped({"word/document.xml": BODY.replace("<w:p>", "<w:sdt>" * 3000 + "<w:p>")}), ""
    ),
    "noise.pdf": (lambda: bytes(range(256)) * 40, "格式"),
    "empty.pdf": (lambda: b"", "空"),
    "plain.zip": (lambda: zipped({"../../evil.txt": "x"}), "压缩包"),
}  # fmt: skip


def test_each_ends_in_an_error_with_its_reason_and_the_batch_goes_on(tmp_path: Path) -> None:
    for name, (make, _) in CASES.items():
        (tmp_path / name).write_bytes(make())
    (tmp_path / "zz_good.txt").write_text("全市开行班列一千列。", encoding="utf-8")
    settings = Settings(max_seconds=20.0, max_memory=400 * 2**20)
    results = {Path(path).name: result for path, result in read_many(tmp_path, settings)}
    assert set(results) == {*CASES, "zz_good.txt"}
    assert isinstance(results["zz_good.txt"], Document)
    quiet = []
    for name, (_, reason) in CASES.items():
        result = results[name]
        if isinstance(result, ReadError):
            assert reason in result.reason + result.advice, str(result)
        elif not result.problems and result.paragraphs[0].text != "正文。":
            quiet.append(name)  # neither read nor named
    assert quiet == []
    assert isinstance(results["pages.pdf"], LimitError)
    assert isinstance(results["noise.pdf"], UnsupportedFormatError)
    assert not list(tmp_path.parent.rglob("evil.txt"))


def test_a_wrong_extension_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "a.xls"
    path.write_bytes(zipped({"word/document.xml": BODY}))
    ((_, result),) = read_many(path)
    assert isinstance(result, Document)
    assert result.format == "docx"
