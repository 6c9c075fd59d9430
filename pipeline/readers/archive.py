"""Zip packages (DOCX, XLSX, OFD) within bounds: no member is unpacked before its size is known to be fair."""

from __future__ import annotations

import io
import posixpath
import zipfile
import zlib
from typing import Any

from lxml import etree

from pipeline.errors import LimitError, ReadError
from pipeline.settings import Settings

_CHUNK = 1 << 20
_FREE = 1 << 20  # small members may be packed as tightly as they like
_MAX_MEMBERS = 20_000


class Archive:
    """A zip package that is read member by member, with bounds on number, size and ratio.

    Args:
        path: the file, for messages.
        data: its bytes.
        settings: max_archive_bytes and max_archive_ratio apply.

    Raises:
        ReadError: the package is damaged or encrypted.
        LimitError: the package holds too many members or would unpack to too much.
    """

    def __init__(self, path: str, data: bytes, settings: Settings) -> None:
        self.path = path
        self.settings = settings
        self._left = settings.max_archive_bytes
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, OSError) as error:
            raise ReadError(path, "压缩包已损坏或不完整", advice="请重新获取该文件") from error
        infos = self._zip.infolist()
        if len(infos) > _MAX_MEMBERS:
            raise LimitError(path, f"压缩包内文件超过 {_MAX_MEMBERS} 个", advice="请检查文件来源")
        total = sum(info.file_size for info in infos)
        if total > settings.max_archive_bytes:
            raise LimitError(
                path,
                f"解压后达 {total // 2**20} MB，超过 {settings.max_archive_bytes // 2**20} MB",
                advice="请检查文件来源，或调大 max_archive_bytes",
            )
        for info in infos:
            if info.file_size > _FREE and info.file_size > settings.max_archive_ratio * max(1, info.compress_size):
                raise LimitError(path, f"内部文件 {info.filename} 压缩比异常，疑为压缩炸弹", advice="请检查文件来源")
        self._infos = {self._key(info.filename): info for info in infos if not info.is_dir()}

    @staticmethod
    def _key(name: str) -> str:
        return posixpath.normpath(name.replace("\\", "/").lstrip("/")).lower()

    @property
    def names(self) -> list[str]:
        """The members' names, in lower case, with plain slashes."""
        return list(self._infos)

    def __contains__(self, name: str) -> bool:
        """Tell whether the package holds a member, whatever the case of its name."""
        return self._key(name) in self._infos

    def read(self, name: str) -> bytes:
        """Return the bytes of a member; nothing is ever written to disk, so no name can lead out of the package.

        Raises:
            ReadError: the member is missing, damaged or encrypted.
            LimitError: it is larger than it says, or the bounds of the whole package are used up.
        """
        info = self._infos.get(self._key(name))
        if info is None:
            raise ReadError(self.path, f"缺少内部文件 {name}", advice="文件可能不完整，请重新获取")
        if info.flag_bits & 1:
            raise ReadError(self.path, "压缩包已加密", advice="请先解除密码再导入")
        parts: list[bytes] = []
        size = 0
        try:
            with self._zip.open(info) as member:
                while chunk := member.read(_CHUNK):
                    size += len(chunk)
                    self._left -= len(chunk)
                    if size > info.file_size or self._left < 0:
                        raise LimitError(self.path, f"内部文件 {name} 解压后超出上限", advice="请检查文件来源")
                    parts.append(chunk)
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            NotImplementedError,
            OSError,
            ValueError,
            RuntimeError,
        ) as error:
            raise ReadError(self.path, f"内部文件 {name} 已损坏", advice="请重新获取该文件") from error
        return b"".join(parts)

    def xml(self, name: str) -> Any:
        """Return the root element of an XML member.

        Raises:
            ReadError: no well-formed XML, or a document type with entities.
        """
        return parse_xml(self.path, self.read(name), self.settings, name)


def parse_xml(path: str, data: bytes, settings: Settings, name: str = "") -> Any:
    """Parse XML with entities, external documents and network off, and bounds on depth.

    Raises:
        ReadError: no well-formed XML, or a document type declaration, which no office format needs.
        LimitError: elements are nested more than 256 deep.
    """
    where = f"内部文件 {name} " if name else ""
    head = data[:4096].replace(b"\x00", b"")  # UTF-16 as well
    if b"<!DOCTYPE" in head or b"<!ENTITY" in head:
        raise ReadError(path, f"{where}带有外部实体声明，已拒绝读取", advice="请检查文件来源")
    parser = etree.XMLParser(resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False, recover=False)
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        if "depth" in str(error).lower():
            raise LimitError(path, f"{where}嵌套过深", advice="请检查文件来源") from error
        raise ReadError(path, f"{where}不是完好的 XML（{error}）", advice="文件可能不完整，请重新获取") from error
    if root.getroottree().docinfo.doctype:
        raise ReadError(path, f"{where}带有外部实体声明，已拒绝读取", advice="请检查文件来源")
    return root


def local(element: Any) -> str:
    """Return an element's name without its namespace ("" for comments and instructions)."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def attribute(element: Any, name: str) -> str | None:
    """Return an attribute by its name, whatever its namespace."""
    value = element.get(name)
    if value is not None:
        return str(value)
    for key, found in element.attrib.items():
        if key.rpartition("}")[2] == name:
            return str(found)
    return None
