"""The format of a file by its content."""

from __future__ import annotations

import json
import re

from pipeline.errors import LimitError, ReadError, UnsupportedFormatError
from pipeline.readers.archive import Archive
from pipeline.settings import Settings

READABLE = (
    "PDF、OFD、DOCX、DOC、WPS、RTF、XLSX、XLS、HTML、MHT、TXT、Markdown、JSONL，以及 PNG、JPEG、TIFF、BMP 扫描图片"
)
"""What can be read, in the words of messages."""

_IMAGES = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"BM", "bmp"),
)
_OTHERS = (
    (b"GIF8", "GIF 图片"),
    (b"RIFF", "音视频或 WebP 图片"),
    (b"Rar!", "RAR 压缩包"),
    (b"7z\xbc\xaf", "7z 压缩包"),
    (b"\x1f\x8b", "gzip 压缩包"),
    (b"MZ", "程序文件"),
    (b"\x7fELF", "程序文件"),
    (b"ITSF", "CHM 文件"),
    (b"SQLite format 3", "数据库文件"),
    (b"KDH", "CNKI 的 KDH 文件"),
    (b"CAJ", "CNKI 的 CAJ 文件"),
    (b"\x00\x00\x00\x18ftyp", "视频文件"),
    (b"\x00\x00\x00 ftyp", "视频文件"),
)
_HTML = re.compile(
    rb"<(?:!doctype\s+html|html|head|body|table|div|meta|title|p|span|article|section|center|font)[\s>]", re.I
)
_MHT = re.compile(rb"^(?:[\w-]+:[^\r\n]*\r?\n(?:[ \t][^\r\n]*\r?\n){0,50}){0,20}?(?:MIME-Version|Content-Type):", re.I)


def _zip_format(path: str, data: bytes, settings: Settings) -> str:
    archive = Archive(path, data, settings)
    names = set(archive.names)
    if "ofd.xml" in names:
        return "ofd"
    if "word/document.xml" in names or any(re.fullmatch(r"word/document\d*\.xml", name) for name in names):
        return "docx"
    if "xl/workbook.xml" in names:
        return "xlsx"
    if "xl/workbook.bin" in names:
        raise UnsupportedFormatError(path, "二进制工作簿（XLSB）不能读取", advice="请另存为 XLSX")
    if any(name.startswith("ppt/") for name in names):
        raise UnsupportedFormatError(path, "演示文稿不能读取", advice=f"可读取的格式：{READABLE}")
    if "mimetype" in names:
        kind = archive.read("mimetype")[:100].decode("ascii", "replace")
        if "opendocument.text" in kind:
            return "odt"
    raise UnsupportedFormatError(path, "是压缩包，不是文档", advice=f"请先解压。可读取的格式：{READABLE}")


def _ole_format(path: str, data: bytes) -> str:
    """Tell the kinds of OLE file apart by the names of their streams, which stand in UTF-16 in the directory."""

    def has(name: str) -> bool:
        return name.encode("utf-16-le") + b"\x00\x00" in data

    if has("EncryptedPackage"):
        raise ReadError(path, "文件设有打开密码", advice="请先解除密码再导入")
    if has("WordDocument"):
        return "doc"
    if has("Workbook") or has("Book"):
        return "xls"
    if has("PowerPoint Document"):
        raise UnsupportedFormatError(path, "演示文稿不能读取", advice=f"可读取的格式：{READABLE}")
    raise UnsupportedFormatError(path, "不是可识别的 OLE 文档", advice=f"可读取的格式：{READABLE}")


def _is_jsonl(data: bytes) -> bool:
    """Tell whether text starts with a line that is a JSON object."""
    start = data[:65536].lstrip(b"\xef\xbb\xbf \t\r\n")
    if not start.startswith(b"{"):
        return False
    line = data.lstrip(b"\xef\xbb\xbf \t\r\n").split(b"\n", 1)[0]
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return b'"passages"' in start or b'"doc_id"' in start


_USUAL = re.compile(r"[\t\r\n -~\u2010-\u2030\u3000-\u303f\u4e00-\u9fff\uff00-\uffee]")


def unmarked_utf16(data: bytes) -> str:
    r"""Return the name of the UTF-16 that bytes without a byte order mark are in, "" where they are in none.

    Example:
        >>> unmarked_utf16("序号1\n".encode("utf-16-be")), unmarked_utf16(b"plain")
        ('utf-16-be', '')
    """
    sample = data[: min(len(data), 8192) // 2 * 2]
    if b"\x00" not in sample:
        return ""
    for name in ("utf-16-le", "utf-16-be"):
        text = sample.decode(name, "replace")
        if len(_USUAL.findall(text)) >= 0.95 * len(text):
            return name
    return ""


def detect_format(path: str, data: bytes, settings: Settings) -> str:
    """Return the format of a file by its content, whatever its name.

    Returns:
        pdf, ofd, docx, xlsx, odt, doc, xls, rtf, png, jpeg, tiff, bmp, html, mht, jsonl or text.

    Raises:
        UnsupportedFormatError: nothing here reads such a file; the message lists what can be read.
        ReadError: the file is empty, damaged or encrypted.

    Example:
        >>> detect_format("a.doc", "序号".encode(), Settings())
        'text'
    """
    if not data.strip(b"\x00 \t\r\n"):
        raise ReadError(path, "文件是空的", advice="请重新获取该文件")
    if data.startswith(b"PK\x03\x04") or data.startswith(b"PK\x05\x06"):
        return _zip_format(path, data, settings)
    if data.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return _ole_format(path, data)
    if b"%PDF-" in data[:1024]:
        return "pdf"
    if data.lstrip()[:5] == b"{\\rtf":
        return "rtf"
    for magic, name in _IMAGES:
        if data.startswith(magic) and (name != "bmp" or b"\x00" in data[:64]):
            return name
    for magic, name in _OTHERS:
        if data.startswith(magic) and (len(magic) > 3 or b"\x00" in data[:512]):
            raise UnsupportedFormatError(path, f"{name}不能读取", advice=f"可读取的格式：{READABLE}")
    head = data[:8192]
    text_head = head.replace(b"\x00", b"") if data[:2] in (b"\xff\xfe", b"\xfe\xff") else head
    if b"mso-application" in text_head and b"Word.Document" in text_head:
        return "rtf"  # Word 2003 XML goes the way of RTF, through the office programme
    if _MHT.match(text_head) and b"multipart/related" in text_head.lower():
        return "mht"
    if text_head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<?xml") and not _HTML.search(text_head):
        raise UnsupportedFormatError(path, "是 XML 数据文件，不是文档", advice=f"可读取的格式：{READABLE}")
    if text_head.lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n").startswith(b"<") and _HTML.search(text_head):
        return "html"
    if len(re.findall(rb"</(?:p|td|tr|div|li|body|html|span)>", data[:200_000], re.I)) >= 3:
        return "html"
    if _is_jsonl(data):
        return "jsonl"
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or unmarked_utf16(head):
        return "text"
    control = sum(head.count(bytes([code])) for code in (*range(1, 9), *range(14, 27), *range(28, 32), 127))
    if control > len(head) // 100 or b"\x00" in head:
        raise UnsupportedFormatError(path, "格式无法识别", advice=f"可读取的格式：{READABLE}")
    return "text"


__all__ = ["READABLE", "LimitError", "detect_format"]
