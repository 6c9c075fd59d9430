"""The passages of a report: paragraphs, items and rows of progress tables, each under its headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from pipeline.readers.structure import depth, is_ended, is_page_number, is_prose, numbering, signature
from pipeline.readers.tables import join_tables
from pipeline.records import Document, Paragraph, Passage, Source, Table, content_id
from pipeline.settings import Settings
from pipeline.text import clean, compact, find_dates, sentences

_ADDRESS = re.compile(r"^[^。；]{2,120}[：:]$")
_FURNITURE = re.compile(
    r"^(?:附件[一二三四五六七八九十\d]*[:：]?.{0,60}|附表.{0,40}|抄送.{0,80}|主题词.{0,60}|[（(]?此件.{0,20}|[（(]?联系人.{0,60}"
    r"|目\s*录|[-—=_*·•\s]+|第?\s*\d+\s*页.{0,10})$"
)
_NUMBER_HEAD = re.compile(r"^(?:序号|编号|项号|序|No\.?)$", re.I)
_ITEM_HEAD = re.compile("事项|任务|举措|措施|工作|项目|内容|名称|指标|问题|政策|案例|标题|主题|要点|目标|类别|领域")
_TEXT_HEAD = re.compile(
    "进展|完成|落实|推进|成效|情况|做法|措施|下一步|计划|问题|困难|建议|说明|备注|亮点|效果|打算|安排|结果|案例|经验"
)
_UNIT_HEAD = re.compile("单位|部门|责任人|牵头|配合|负责|联系|时限|时间|日期|期限|状态|进度$|金额|数量|页码")
_SECTION_ROW = re.compile(r"^[（(]?[一二三四五六七八九十]{1,3}[)）]?[、.．]?\S")


@dataclass
class _Draft:
    text: str
    heading: tuple[str, ...]
    source: Source
    raw: str = ""
    given_id: str = ""
    whole: bool = False
    """True where it stands for itself and must not be merged (rows of tables, given passages)."""


def _row_drafts(table: Table, heading: tuple[str, ...], document_id: str) -> Iterator[_Draft]:
    """Yield a passage for each row: the item is its heading, the columns of progress are its text."""
    grid = [[cell.replace("\n", "") for cell in row] for row in _filled(table)]
    if not grid:
        return
    head, start = _header(grid)
    page = table.source.page or next((cell.page for cell in table.cells if cell.page), None)
    if not head:
        for index, row in enumerate(grid):
            texts = [text for text in dict.fromkeys(row) if text]
            if texts:
                yield _Draft(
                    _join(texts),
                    heading,
                    Source(document_id, page, table.source.table, index + 1),
                    whole=len(texts) > 1,
                )
        return
    numbers = [c for c, name in enumerate(head) if _NUMBER_HEAD.match(name)]
    facts = [c for c, name in enumerate(head) if _UNIT_HEAD.search(name) and not _TEXT_HEAD.search(name)]
    texts_at = [c for c, name in enumerate(head) if c not in numbers and c not in facts]
    body = [c for c in texts_at if _TEXT_HEAD.search(head[c])]
    items = [c for c in texts_at if c not in body]
    if not body:  # no column speaks of progress: the longest column is the text
        lengths = {c: sum(len(row[c]) for row in grid[start:]) for c in texts_at}
        body = [max(lengths, key=lambda c: lengths[c])] if lengths else []
        items = [c for c in texts_at if c not in body and _ITEM_HEAD.search(head[c])]
    section: tuple[str, ...] = ()
    for index in range(start, len(grid)):
        row = grid[index]
        filled = [text for text in dict.fromkeys(row) if text]
        if not filled or [compact(text) for text in row] == head:
            continue
        if len(filled) == 1 and len(filled[0]) <= 60 and _SECTION_ROW.match(filled[0]):
            section = (filled[0],)
            continue
        item = tuple(row[c] for c in items if row[c])
        parts = [
            row[c] if len(body) == 1 else f"{head[c]}：{row[c]}"
            for c in body
            if row[c] not in ("", "/", "—", "-", "无")
        ]
        if not parts:  # nothing reported: the item itself is all there is to judge
            parts, item = list(item), ()
        if not parts:
            continue
        own_page = next((cell.page for cell in table.cells if cell.row == index and cell.page), page)
        source = Source(document_id, own_page, table.source.table, index + 1, _row_box(table, index))
        yield _Draft(_join(parts), (*heading, *section, *item), source, raw="｜".join(filled), whole=True)


def _row_box(table: Table, row: int) -> tuple[float, float, float, float] | None:
    boxes = [cell.box for cell in table.cells if cell.row == row and cell.box]
    if not boxes:
        return None
    return min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes)


def _filled(table: Table) -> list[list[str]]:
    """Return the grid with the text of cells merged downwards repeated in each row they cover."""
    grid = [[""] * table.column_count for _ in range(table.row_count)]
    for cell in table.cells:
        for row in range(cell.row, cell.row + cell.row_span):
            grid[row][cell.column] = cell.text
    return grid


def _header(grid: list[list[str]]) -> tuple[list[str], int]:
    """Return the header cells and the first row after them, ([], 0) where no row looks like a header."""
    for index, row in enumerate(grid[:4]):
        names = [compact(text) for text in row]
        filled = [name for name in names if name]
        if len(filled) >= 2 and max(map(len, filled)) <= 16 and not any(is_ended(name) for name in filled):
            known = [
                n
                for n in filled
                if _NUMBER_HEAD.match(n) or _ITEM_HEAD.search(n) or _TEXT_HEAD.search(n) or _UNIT_HEAD.search(n)
            ]
            if len(known) >= max(2, len(filled) // 2):
                return names, index + 1
    return [], 0


def _join(parts: list[str]) -> str:
    text = ""
    for part in parts:
        text += ("" if not text or is_ended(text) or text.endswith("，") else "；") + part
    return text


def _is_signature(document: Document, text: str) -> bool:
    """Tell the lines that say who and when from those that say what."""
    bare = compact(text)
    if not bare or is_page_number(text) or _FURNITURE.match(text) or bare == compact(document.number):
        return True
    if signature(text)[0]:
        return True
    dates = find_dates(bare.strip("（()）"))
    if len(dates) == 1 and dates[0][1] - dates[0][0] >= len(bare) - 6:
        return True
    return bool(document.issuer) and bare == compact(document.issuer)


def _drafts(document: Document) -> Iterator[_Draft]:
    path: list[tuple[int, str]] = []
    title = compact(document.title)
    blocks = _joined(document)
    opened = False  # False until the first running text or numbered heading: what stands before is the head
    for index, block in enumerate(blocks):
        heading = tuple(text for _, text in path)
        if isinstance(block, Table):
            opened = True
            yield from _row_drafts(block, heading, document.id)
            continue
        text = block.text.strip()
        if block.given_id:
            yield _Draft(text, heading, block.source, block.raw, block.given_id, whole=True)
            continue
        if not text:
            continue
        if _is_signature(document, text):
            # What follows a date or the word 附件 is the head of another text: its title is no passage either.
            opened = opened and is_page_number(text)
            if re.match("附[件表]", text) and len(text) <= 6:
                path = []
            continue
        if block.level:
            opened = True
            if _has_body(blocks, index, block.level):
                while path and path[-1][0] >= block.level:
                    path.pop()
                if compact(text) != title:
                    path.append((block.level, text))
                continue
            if len(text) < 8 and not is_ended(text):
                continue
        elif not opened and not is_prose(text) and not numbering(text):
            # Lines of the head: title, issuer, edition, address. Sentences among them are kept.
            if compact(text) in title or _ADDRESS.match(text) or not is_ended(text) or text.endswith(("：", ":")):
                continue
        elif (
            _ADDRESS.match(text)
            and not is_prose(text)
            and ("各" in text[:3] or text.startswith(("市", "省", "区", "县")))
            and index < 12
        ):
            continue
        opened = True
        if numbering(text):  # an item closes the headings of its own rank and below
            while path and depth(path[-1][1]) >= depth(text):
                path.pop()
        heading = tuple(name for _, name in path)
        yield _Draft(text, heading, block.source, block.raw)


def _joined(document: Document) -> tuple[Paragraph | Table, ...]:
    """Return the blocks with each table that goes on over pages joined where it begins."""
    if len(document.tables) < 2:
        return document.blocks
    whole = {table.source.table: table for table in join_tables(document.blocks)}
    blocks: list[Paragraph | Table] = []
    for block in document.blocks:
        if isinstance(block, Paragraph):
            blocks.append(block)
        elif block.source.table in whole:
            blocks.append(whole.pop(block.source.table))
    return tuple(blocks)


def _has_body(blocks: tuple[Paragraph | Table, ...], index: int, level: int) -> bool:
    """Tell whether anything stands under a heading before the next one of its rank."""
    for block in blocks[index + 1 :]:
        if isinstance(block, Table):
            return True
        if block.text:
            return not block.level or block.level > level
    return False


def _merged(drafts: Iterator[_Draft], least: int) -> Iterator[_Draft]:
    """Join very short paragraphs to the next one under the same headings, as its lead."""
    held: _Draft | None = None
    for found in drafts:
        draft = found
        if held is not None:
            if not draft.whole and draft.heading == held.heading:
                raw = "\n".join((held.raw or held.text, draft.raw or draft.text))
                draft = replace(draft, text=held.text + draft.text, source=held.source, raw=raw)
            else:
                yield held
            held = None
        if not draft.whole and len(draft.text) < least:
            held = draft
        else:
            yield draft
    if held is not None:
        yield held


def _split(text: str, most: int) -> list[str]:
    """Cut a long text at ends of sentences into pieces of about equal length, each below most where sentences allow."""
    if len(text) <= most:
        return [text]
    count = -(-len(text) // most)
    goal = len(text) / count
    pieces: list[str] = []
    start = 0
    for begin, end in sentences(text):
        if (begin > start and end - start > most) or (end - start > goal * 1.15 and begin - start >= goal * 0.6):
            pieces.append(text[start:begin])
            start = begin
    pieces.append(text[start:])
    return [piece.strip() for piece in pieces if piece.strip()]


def extract_passages(document: Document, settings: Settings | None = None) -> list[Passage]:
    """Return the passages of a document in reading order.

    Headings, the head of the document and the lines of who and when are no passages; rows of tables are, with the item
    as the last heading. A paragraph below min_passage_characters goes with the next one; one above
    max_passage_characters is cut at ends of sentences.

    Args:
        document: what read_document returned.
        settings: the two bounds above; the defaults where None.

    Returns:
        Passages whose ids depend on document, place and text alone, or are the ids given with the input.

    Example:
        >>> paragraph = Paragraph("全年开行班列1180列，同比增长超一倍。", Source("d"))
        >>> [p.text for p in extract_passages(Document("d", "a.txt", "text", (paragraph,)))]
        ['全年开行班列1180列，同比增长超一倍。']
    """
    settings = settings or Settings()
    passages: list[Passage] = []
    known = {"title": document.title, "issuer": document.issuer, "date": document.date, "kind": document.kind}
    for draft in _merged(_drafts(document), settings.min_passage_characters):
        if draft.given_id:
            passages.append(
                Passage(draft.given_id, document.id, draft.text, draft.heading, draft.source, draft.raw, **known)
            )
            continue
        text = clean(draft.text)
        pieces = _split(text, settings.max_passage_characters)
        for piece in pieces:
            raw = draft.raw if len(pieces) == 1 and draft.raw != piece else ""
            identity = content_id(document.id, str(len(passages)), piece)
            passages.append(Passage(identity, document.id, piece, draft.heading, draft.source, raw, **known))
    return passages
