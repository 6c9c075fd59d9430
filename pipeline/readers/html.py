"""Saved web pages: the main text apart from menus, and tables with spans.

The parser of lxml is used with entities and network off; scripts are dropped, nothing is loaded.
"""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from lxml import etree

from pipeline.errors import LimitError, ReadError
from pipeline.readers.docx import split_soft
from pipeline.readers.plain import decode
from pipeline.readers.structure import NUMBER, complete
from pipeline.records import Cell, Document, Paragraph, Problem, Source, Table
from pipeline.settings import Settings
from pipeline.text import clean, compact, normalise, parse_date

_DROPPED = {
    "script", "style", "noscript", "template", "iframe", "nav", "footer", "aside", "select", "button",
    "textarea", "svg", "object", "embed", "head", "video", "audio", "canvas", "input", "link", "meta", "del",
    "map", "rt", "rp",
}  # fmt: skip
_BLOCKS = {
    "p", "div", "section", "article", "main", "header", "center", "blockquote", "pre", "ul", "ol", "li", "dl",
    "dt", "dd", "h1", "h2", "h3", "h4", "h5", "h6", "table", "tr", "td", "th", "form", "fieldset", "figure",
    "figcaption", "hr", "body", "html", "address", "caption", "tbody", "thead", "tfoot",
}  # fmt: skip
_FURNITURE = re.compile(
    r"(?:^|[-_\s])(?:nav\w*|menu\w*|crumbs?|breadcrumbs?|foot\w*|copyright|share\w*|side-?bar|toolbar|login|search\w*|banner"
    r"|qr-?code|ewm|related|rel|recommend\w*|pagination|pager|top-?bar|position|location|bottom|friend\w*|print\w*)(?:$|[-_\s\d])",
    re.I,
)
_ENCODINGS = frozenset(("utf-8", "utf8", "gb18030", "big5", "big5-hkscs", "utf-16", "utf-16le", "utf-16be"))
_CHARSET = re.compile(rb"charset\s*=\s*[\"']?\s*([\w-]+)", re.I)
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.I)
_META = {
    "title": ("articletitle", "og:title", "dc.title", "title"),
    "date": ("pubdate", "publishdate", "article:published_time", "date", "dc.date", "firstpublishedtime"),
    "issuer": ("contentsource", "source", "author", "dc.source", "sitename", "site_name", "og:site_name"),
}
_LABELS = (
    ("number", re.compile(r"^[\[【]?(?:发文字号|文号|发文号)[\]】]?[:：]?")),
    ("date", re.compile(r"^[\[【]?(?:成文日期|发文日期|印发日期)[\]】]?[:：]?")),
    ("issuer", re.compile(r"^[\[【]?(?:发布机构|发文机关|发文单位|公文来源)[\]】]?[:：]?")),
)
_COLOPHON = re.compile(r"版权所有|ICP备|公网安备|网站标识码|浏览器|(?:主办|承办|主管|技术支持)(?:单位)?[:：]")
"""Words of the lines about the site itself, which count as no text of the page."""
_MAX_COLUMNS = 1000
_MAX_CELLS = 2_000_000


def _decode_page(data: bytes, path: str) -> str:
    """Decode by byte order mark, by what the page says of itself, and else by trying."""
    found = _CHARSET.search(data[:8192])
    if found is None or data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        return decode(data, path)
    name = found.group(1).decode("ascii", "replace").lower()
    # What says in single bytes that it is in UTF-16 is not.
    return decode(data, path) if name.startswith("utf-16") else _decode_as(data, name, path)


def _decode_as(data: bytes, charset: str, path: str) -> str:
    """Decode by a declared encoding where it is one that Chinese pages use and fits, else by trying."""
    name = charset.lower()
    # GB2312 and GBK are parts of GB18030, and pages that name the smaller often use the larger.
    name = "gb18030" if name.startswith(("gb", "x-gbk", "cp936")) else name
    if name in _ENCODINGS:
        try:
            return data.decode(name)
        except UnicodeError:
            pass
    return decode(data, path)


def _mht_page(path: str, data: bytes) -> str:
    """Return the page inside a saved MHT file."""
    message = email.message_from_bytes(data, policy=email.policy.default)
    for part in message.walk():
        if part.get_content_type() in ("text/html", "application/xhtml+xml"):
            content = part.get_payload(decode=True)
            if isinstance(content, bytes):
                charset = part.get_content_charset()
                if charset and not _CHARSET.search(content[:8192]):
                    return _decode_as(content, charset, path)
                return _decode_page(content, path)
    raise ReadError(path, "网页存档中没有正文", advice="请用浏览器另存为“网页，仅 HTML”")


def _parse(path: str, text: str) -> Any:
    text = re.sub(r"^\s*<\?xml[^>]*\?>", "", text.lstrip("\ufeff")).replace("\x00", "")
    parser = etree.HTMLParser(no_network=True, huge_tree=False, remove_comments=True, remove_pis=True, encoding="utf-8")
    try:
        root = etree.fromstring(text.encode("utf-8", "replace"), parser)
    except etree.XMLSyntaxError as error:
        raise ReadError(path, f"网页无法解析（{error}）", advice="请重新保存网页") from error
    if any("depth" in entry.message.lower() or "nest" in entry.message.lower() for entry in parser.error_log):
        raise LimitError(path, "网页嵌套过深", advice="请检查文件来源")
    if root is None:
        raise ReadError(path, "网页是空的", advice="请重新保存网页")
    return root


def _name(element: Any) -> str:
    return element.tag.lower() if isinstance(element.tag, str) else ""


def _plain_text(element: Any) -> str:
    return compact("".join(element.itertext()))


def _is_dropped(element: Any) -> bool:
    name = _name(element)
    return name in _DROPPED or element.get("hidden") is not None or bool(_HIDDEN.search(element.get("style") or ""))


def _prune(root: Any) -> None:
    """Take out what is never text, and the furniture of the site where it holds little of the page."""
    for element in [found for found in root.iter() if isinstance(found.tag, str) and _is_dropped(found)]:
        _remove(element)
    total = max(1, len(_plain_text(root)))
    # No furniture stands within a table of data, and without a cell a row would lose its columns.
    in_data: set[Any] = set()
    for table in root.iter("table"):
        if table not in in_data and not _is_layout(table):
            in_data.update(table.iterdescendants())
    for element in list(root.iter("div", "ul", "section", "header", "table", "p", "span", "td")):
        if element in in_data:
            continue
        marks = f"{element.get('class') or ''} {element.get('id') or ''}"
        if marks.strip() and _FURNITURE.search(marks) and len(_plain_text(element)) < total * 0.2:
            _remove(element)


def _remove(element: Any) -> None:
    parent = element.getparent()
    if parent is None or _name(element) in ("html", "body"):
        return
    if element.tail:
        before = element.getprevious()
        if before is not None:
            before.tail = (before.tail or "") + element.tail
        else:
            parent.text = (parent.text or "") + element.tail
    parent.remove(element)


def _rows(table: Any) -> list[Any]:
    """Return the rows of a table that are its own, not those of tables inside."""
    rows = []
    for child in table:
        if _name(child) == "tr":
            rows.append(child)
        elif _name(child) in ("tbody", "thead", "tfoot"):
            rows += [row for row in child if _name(row) == "tr"]
    return rows


def _is_layout(table: Any) -> bool:
    """Tell a table that places parts of a page from one that holds data."""
    rows = [[cell for cell in row if _name(cell) in ("td", "th")] for row in _rows(table)]
    widest = max((len(row) for row in rows), default=0)
    if widest < 2 or len(rows) < 2:
        return True
    total = len(_plain_text(table))
    inner = sum(
        len(_plain_text(found)) for found in table.iter("table") if found is not table and _outer(found) is table
    )
    if inner > total * 0.5:
        return True
    return any(len(_plain_text(cell)) > 0.7 * total and total > 400 and len(cell) > 5 for row in rows for cell in row)


def _outer(table: Any) -> Any:
    found = table.getparent()
    while found is not None and _name(found) != "table":
        found = found.getparent()
    return found


def _main(root: Any) -> Any:
    """Return the smallest element that holds nearly all running text of a page.

    Text of links does not count, short text without a full stop counts little. An element is not entered where a
    sentence stands beside it, or where it holds a data table and nothing else: the lines above a table belong to it.
    """
    body = root if _name(root) == "body" else root.find(".//body")
    current = root if body is None else body
    weights: dict[Any, float] = {}
    tables = {found for found in current.iter("table") if not _is_layout(found)}
    in_tables: dict[Any, float] = {}
    for element in current.iter():
        if not isinstance(element.tag, str):
            continue
        own = compact(element.text or "") if _name(element) != "a" else ""
        text = own + compact("".join(child.tail or "" for child in element))
        if not text:
            continue
        weight = len(text) * (1.0 if re.search("[。；]", text) else 0.2)
        chain = []
        node = element
        while node is not None:
            chain.append(node)
            if node is current:
                break
            node = node.getparent()
        is_data = not tables.isdisjoint(chain)
        for node in chain:
            weights[node] = weights.get(node, 0.0) + (len(text) if is_data else weight)
            in_tables[node] = in_tables.get(node, 0.0) + (len(text) if is_data else 0.0)
    while True:
        heavy = [child for child in current if weights.get(child, 0.0) >= 0.9 * weights.get(current, 0.0) > 0]
        if len(heavy) != 1 or heavy[0] in tables or _name(heavy[0]) in ("p", "span", "font", "a", "b", "strong", "li"):
            return current
        if in_tables[heavy[0]] > 0.95 * weights[heavy[0]] or _has_sentence(current, heavy[0]):
            return current
        current = heavy[0]


def _has_sentence(element: Any, without: Any) -> bool:
    """Tell whether an element holds a sentence outside of one child, of links, and of what a site says of itself."""

    def texts(found: Any) -> Iterator[str]:
        if found is not without and _name(found) != "a":
            yield found.text or ""
            for child in found:
                yield from texts(child)
                yield child.tail or ""

    return any("。" in text and not _COLOPHON.search(text) for text in texts(element))


class _Walker:
    def __init__(self, path: str, document_id: str, settings: Settings) -> None:
        self.path = path
        self.id = document_id
        self.settings = settings
        self.tables = 0
        self.cells = 0

    def blocks(self, element: Any) -> Iterator[Paragraph | Table]:
        """Yield the paragraphs and data tables below an element."""
        if _name(element) == "table" and not _is_layout(element):
            yield from self._table(element)
            return
        buffer: list[str] = []
        yield from self._walk(element, buffer, 0, False)
        yield from self._flush(buffer, 0, False)

    def _flush(self, buffer: list[str], level: int, centred: bool) -> Iterator[Paragraph]:
        raw = "".join(buffer)
        buffer.clear()
        for part in split_soft(raw):
            text = clean(part)
            if text:
                yield Paragraph(
                    text,
                    Source(self.id),
                    raw=part.strip() if part.strip() != text else "",
                    level=level,
                    centred=centred,
                )

    def _walk(self, element: Any, buffer: list[str], level: int, centred: bool) -> Iterator[Paragraph | Table]:
        name = _name(element)
        if name.startswith("h") and name[1:].isdigit():
            level = int(name[1:])
        style = f"{element.get('style') or ''} align:{element.get('align') or ''}".replace(" ", "").lower()
        centred = centred or name == "center" or "align:center" in style
        keep = name == "pre"
        buffer.append(_spaces(element.text, keep))
        start = element.get("start") or ""
        number = int(start) - 1 if name == "ol" and re.fullmatch(r"\d{1,4}", start) else 0
        for child in element:
            inner = _name(child)
            if inner == "table" and not _is_layout(child):
                yield from self._flush(buffer, level, centred)
                yield from self._table(child)
            elif inner == "br":
                buffer.append("\n")
            elif inner in _BLOCKS:
                if name != "li" or not re.fullmatch(r"\s*\d+\.\s*", "".join(buffer)):  # a number goes before its text
                    yield from self._flush(buffer, level, centred)
                if inner == "li" and name == "ol":
                    number += 1
                    buffer.append(f"{number}.")
                yield from self._walk(child, buffer, level, centred)
                yield from self._flush(
                    buffer, int(inner[1:]) if re.fullmatch("h[1-6]", inner) else level, _is_centred(child, centred)
                )
            elif inner:
                yield from self._walk(child, buffer, level, centred)
            buffer.append(_spaces(child.tail, keep))

    def _table(self, table: Any) -> Iterator[Paragraph | Table]:
        self.tables += 1
        source = Source(self.id, table=self.tables)
        caption = table.find("caption")
        if caption is not None:
            yield from self._flush(["".join(caption.itertext())], 0, True)
        taken: dict[int, int] = {}  # column: the row down to which a cell above reaches
        cells: list[Cell] = []
        nested: list[Any] = []
        rows = _rows(table)
        for index, row in enumerate(rows):
            column = 0
            for cell in row:
                if _name(cell) not in ("td", "th"):
                    continue
                while taken.get(column, 0) > index:
                    column += 1
                across = min(_span(cell.get("colspan")), _MAX_COLUMNS)
                down = min(_span(cell.get("rowspan"), len(rows) - index), len(rows) - index)
                self.cells += across * down
                if column + across > _MAX_COLUMNS or self.cells > _MAX_CELLS:
                    raise LimitError(self.path, "表格过大", advice="请检查文件来源")
                inner = [found for found in cell.iter("table") if _outer(found) is table and not _is_layout(found)]
                nested += inner
                cells.append(Cell(index, column, self._cell_text(cell, inner), down, across))
                for covered in range(column, column + across):
                    taken[covered] = index + down
                column += across
        if any(cell.text for cell in cells):
            yield Table(tuple(cells), source)
        for found in nested:
            yield from self._table(found)

    def _cell_text(self, cell: Any, without: list[Any]) -> str:
        parts: list[str] = []

        def collect(element: Any) -> None:
            parts.append(_spaces(element.text, False))
            for child in element:
                name = _name(child)
                if child in without or name == "br":
                    parts.append("\n")
                elif name:
                    if name in _BLOCKS:
                        parts.append("\n")
                    collect(child)
                    if name in _BLOCKS:
                        parts.append("\n")
                parts.append(_spaces(child.tail, False))

        collect(cell)
        return re.sub(r"\n{2,}", "\n", normalise("".join(parts)))


def _is_centred(element: Any, inherited: bool) -> bool:
    style = f"{element.get('style') or ''} align:{element.get('align') or ''}".replace(" ", "").lower()
    return inherited or "align:center" in style or _name(element) == "center"


def _spaces(text: str | None, keep: bool) -> str:
    """Fold the white space of the source, where a line break means a space; fixed and wide spaces stay."""
    if not text:
        return ""
    return text if keep else re.sub(r"[ \t\r\n\f]+", " ", text)


def _span(text: str | None, whole: int = 1) -> int:
    try:
        value = int(text or 1)
    except ValueError:
        return 1
    return max(1, whole if value == 0 else value)


def _facts(root: Any) -> dict[str, str]:
    """Collect title, date, issuer and number from meta elements, the page title and label-and-value pairs."""
    facts: dict[str, str] = {}
    metas = {
        (element.get("name") or element.get("property") or "").lower(): (element.get("content") or "").strip()
        for element in root.iter("meta")
    }
    for fact, names in _META.items():
        value = next((metas[name] for name in names if metas.get(name)), "")
        if value:
            facts[fact] = normalise(value)
    if "title" not in facts:
        heading = root.find(".//h1")
        title = normalise("".join(heading.itertext())) if heading is not None else ""
        if len(title) < 6:
            element = root.find(".//title")
            title = normalise("".join(element.itertext())) if element is not None else title
            # 「题目_栏目_某网」: the site and its columns stand after the title.
            title = re.split(r"[_|｜]|\s[-—–]+\s|--|(?<=[\u4e00-\u9fff])-(?=[\u4e00-\u9fff])", title)[0].strip()
        facts["title"] = title.replace("\n", "")
    for element in root.iter("td", "th", "li", "span", "div", "p"):
        if len(element) > 6:
            continue
        text = _plain_text(element)
        if not 3 <= len(text) <= 60:
            continue
        for fact, pattern in _LABELS:
            if found := pattern.match(text):
                value = text[found.end() :]
                following = element.getnext()
                if not value and following is not None:
                    value = _plain_text(following)
                if value and len(value) <= 60:
                    facts.setdefault(f"label {fact}", value)
    return facts


def read_html(path: str, data: bytes, document_id: str, settings: Settings) -> Document:
    """Read a saved web page (HTML or MHT).

    Raises:
        ReadError: the page holds no text.
        LimitError: it exceeds a bound of the settings.
    """
    is_mht = not data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") and b"multipart/related" in data[:8192].lower()
    text = _mht_page(path, data) if is_mht else _decode_page(data, path)
    if len(text) > settings.max_characters:
        raise LimitError(path, f"网页超过 {settings.max_characters} 字", advice="请拆分文件，或调大 max_characters")
    root = _parse(path, text)
    facts = _facts(root)
    _prune(root)
    blocks = tuple(_Walker(path, document_id, settings).blocks(_main(root)))
    if not blocks:
        raise ReadError(path, "网页中没有正文", advice="正文可能由脚本生成，请在浏览器中打开后另存为网页")
    number = NUMBER.search(facts.get("label number", ""))
    problems = (Problem("note", "文字中有无法识别的字节，已以�代替", file=path),) if "\ufffd" in text else ()
    document = complete(
        Document(
            document_id,
            path,
            "html",
            blocks,
            title=facts["title"],
            number=number.group() if number else "",
            problems=problems,
        )
    )
    return replace(
        document,
        date=parse_date(facts.get("label date", "")) or document.date or parse_date(facts.get("date", "")),
        issuer=document.issuer or facts.get("label issuer", "") or facts.get("issuer", ""),
    )
