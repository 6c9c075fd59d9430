"""The passages of a report: paragraphs, items and rows of progress tables, each under its headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from pipeline.readers.structure import (
    BULLET,
    FIGURE,
    WRAPPED,
    depth,
    is_ended,
    is_page_number,
    is_prose,
    numbering,
    signature,
)
from pipeline.readers.tables import join_tables
from pipeline.records import Document, Paragraph, Passage, Source, Table, content_id
from pipeline.settings import Settings
from pipeline.text import HAN, clean, compact, find_dates, sentences

_ADDRESS = re.compile(r"^[^。；]{2,120}[：:]$")
_FURNITURE = re.compile(
    r"^(?:附件[一二三四五六七八九十\d]*(?:[:：].{0,60}|[^。]{0,60})|附表[^。]{0,40}|抄送.{0,80}|主题词.{0,60}|[（(]?此件.{0,20}|[（(]?联系人[:：\s].{0,60}"
    r"|[（(]?(?:单位|填报人|填表人|制表人?|审核人|联系电话)[:：][^。，；]{0,60}|[总合共]计[:：]?[\d.,]+[项个件家万亿元]{0,3}"
    r"|目\s*录|[-—=_*·•\s]+|第?\s*\d+\s*页.{0,10})$"
)
_NUMBER_HEAD = re.compile(r"^(?:序号|编号|项号|序|No\.?)$", re.I)
_ITEM_HEAD = re.compile("事项|任务|举措|措施|工作|项目|内容|名称|指标|问题|政策|案例|标题|主题|要点|目标|类别|领域")
_TEXT_HEAD = re.compile(
    "进展|进度|状态|完成|落实|推进|成效|情况|做法|措施|下一步|计划|问题|困难|建议|说明|备注|亮点|效果|打算|安排|结果|案例|经验"
)
_UNIT_HEAD = re.compile("单位|部门|责任人|牵头|配合|负责|联系|时限|时间|日期|期限|金额|数量|页码")
_FACT_HEAD = re.compile("(?:单位|部门|责任人|负责人|联系人|电话|时限|时间|日期|期限|金额|数量|页码)$")
"""A column whose heading ends so holds a fact, though the heading speaks of progress (推进单位, 完成时限)."""
_NAME_HEAD = re.compile("名称$|标题$|题目$")
_BLANK = frozenset(("", "/", "—", "-", "无"))
_LINE = 6
"""A line of a cell of at least so many characters is a paragraph, not part of a narrow heading."""
_TOLD = 12
"""A line of the head longer than this that tells a figure is no title."""
_FOLLOWS = re.compile("(?:如下|以下.{0,6})[。；]$")
_LABEL = 8
"""Characters of a label of a form at most."""
_COLUMN = re.compile(
    "(?:主要|具体|工作|目前|当前|最新|形象|推进|落实|完成|实施|存在|取得|下一步|及|和|的)*"
    "(?:进展|进度|状态|情况|成效|效果|做法|措施|计划|打算|安排|问题|困难|建议|说明|备注|结果|内容)+"
)
"""The whole name of a column of text; 已完成 and 一站式服务案例 hold such words too, but are contents of a field."""
_BESIDE_DATE = re.compile(
    "[（(:：、]*(?:(?:成文|填报|印发|发布|报送|制表|报告)?(?:日期|时间|日)|成文|填报|印发|发布|发|讯|电|止|截[至止])?[）):：]*"
)
"""What stands beside the date in a line that says nothing but when."""
_TITLE_LINE = re.compile(
    "^[—（(]|(?:报告|通知|方案|意见|情况|总结|简报|汇报|清单|案例|办法|公报|会上|讲话|通报|函)[）)]?$"
)
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


def _row_drafts(table: Table, heading: tuple[str, ...], document: Document) -> Iterator[_Draft]:
    """Yield a passage for each row: the item is its heading, the columns of progress are its text."""
    wrapped, document_id = document.format in WRAPPED - {"markdown"}, document.id  # its cells break where a <br> stands
    grid = [[_cell(text, wrapped) for text in row] for row in _filled(table)]
    if not grid:
        return
    page = table.source.page or next((cell.page for cell in table.cells if cell.page), None)
    if _is_form(grid):
        yield from _form_drafts(grid, heading, Source(document_id, page, table.source.table))
        return
    head, start = _header(grid)
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
    facts = [c for c, name in enumerate(head) if _is_fact(name)]
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
        if not filled or [_name(text) for text in row] == head:
            continue
        if len(filled) == 1 and _is_section(filled[0]):
            section = (filled[0],)
            continue
        item = tuple(row[c] for c in items if row[c])
        parts = [row[c] if len(body) == 1 else f"{head[c]}：{row[c]}" for c in body if row[c] not in _BLANK]
        if not parts:  # nothing reported: the item itself is all there is to judge
            parts, item = list(item), ()
        if not parts:  # a row merged over all columns: its text stands in the first, be it that of numbers or units
            parts = [text for c, text in enumerate(row) if _is_told(text) and (c not in facts or _is_sentence(text))]
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


def _is_fact(name: str) -> bool:
    """Tell whether a column or a field of a form says who, when or how much, not what was done."""
    return bool(_FACT_HEAD.search(name) or (_UNIT_HEAD.search(name) and not _TEXT_HEAD.search(name)))


def _is_told(text: str) -> bool:
    """Tell whether a cell of no column of text says something: more than a number, a code or a word like 合计."""
    return len(text) >= _LINE and bool(re.search(f"[{HAN}]{{2}}", text))


def _is_section(text: str) -> bool:
    """Tell whether the only text of a row is the heading of the rows below (一季度新增企业2家。 is none)."""
    return len(text) <= 60 and bool(_SECTION_ROW.match(text)) and bool(numbering(text) or not _is_sentence(text))


def _name(text: str) -> str:
    """Return the heading of a column without its line breaks."""
    return compact(text).replace("；", "")


def _is_form(grid: list[list[str]]) -> bool:
    """Tell whether a table is a form: a label, its content, perhaps another label and its content in each row."""
    if len(grid[0]) not in (2, 4) or len(grid) < 2:
        return False
    fields = [(_name(label), _name(text)) for label, text in zip(grid[0][::2], grid[0][1::2], strict=True)]
    if all(
        len(text) <= _LABEL
        and (_COLUMN.fullmatch(text) or text.endswith("内容") or (_FACT_HEAD.search(text) and not _is_fact(label)))
        for label, text in fields
    ):
        return False  # 任务 beside 进展情况 is a header: no content of a field
    # A label merged downwards stands in each of its rows.
    labels = [re.sub("[（(].*?[）)]", "", name) for name, _ in groupby(compact(row[0]) for row in grid) if name]
    known = [name for name in labels if _ITEM_HEAD.search(name) or _TEXT_HEAD.search(name) or _UNIT_HEAD.search(name)]
    short = [name for name in labels if len(name) <= _LABEL and not is_ended(name)]
    # Where the first column holds labels, the first row is no header: 单位 over names of units is one.
    return len(set(labels)) == len(labels) and len(short) >= 0.7 * len(labels) and len(known) >= 0.6 * len(labels)


def _form_drafts(grid: list[list[str]], heading: tuple[str, ...], source: Source) -> Iterator[_Draft]:
    """Yield the content of each field of a form under its label; the name of the case or project heads all."""
    for index, row in enumerate(grid):
        place = replace(source, row=index + 1)
        if not any(row[1:]) and len(row[0]) > _LABEL and not _is_section(row[0]):  # merged over all columns
            yield _Draft(row[0], heading, place, whole=True)
            continue
        for label, text in zip(row[::2], row[1::2], strict=True):
            name = compact(label)
            if text in _BLANK:
                continue
            if _NAME_HEAD.search(name):
                heading = (*heading, text)
            elif not _is_fact(name):
                yield _Draft(text, (*heading, label) if label else heading, place, whole=True)


def _cell(text: str, wrapped: bool) -> str:
    """Return the text of a cell in one line.

    Args:
        text: with the line breaks of the file.
        wrapped: whether lines may end where the column does; elsewhere a longer line is a paragraph of its own, also
            below a short one, which a narrow column would have filled.
    """
    if wrapped:
        return text.replace("\n", "")
    joined = before = ""
    for line in filter(None, map(str.strip, text.split("\n"))):
        apart = len(before) > 2 and len(line) >= _LINE and not is_ended(before) and before[-1] not in "，、,"
        joined += ("；" if apart else "") + line
        before = line
    return joined


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
        names = [_name(text) for text in row]
        filled = [name for name in names if name]
        plain = not any(is_ended(name) or re.fullmatch(r"[（(]?\d{1,3}[)）.．、]?", name) for name in filled)
        if len(filled) >= 2 and max(map(len, filled)) <= 16 and plain:
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
    dates = find_dates(bare)
    if len(dates) == 1 and _BESIDE_DATE.fullmatch(bare[: dates[0][0]] + bare[dates[0][1] :]):
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
            yield from _row_drafts(block, heading, document)
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
            # Lines of the head: title, issuer, edition, address. What is no such line is kept.
            if compact(text) in title or not _is_text(text):
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


def _is_text(text: str) -> bool:
    """Tell whether a line of the head is text: a sentence, an item of a list, or long and with a figure or a pause."""
    if text.endswith(("：", ":")):  # an address, a label, or a lead that tells figures
        return len(text) > _TOLD and bool(FIGURE.search(text))
    if is_ended(text) or BULLET.match(text):
        return True
    if len(text) <= _TOLD or not re.search(r"\d|，", text):
        return False
    return not _TITLE_LINE.search(text) or ("，" in text and bool(FIGURE.search(text)))


def _merged(drafts: Iterator[_Draft], least: int, wrapped: bool) -> Iterator[_Draft]:
    """Join very short paragraphs to the next one under the same headings, as its lead.

    A short sentence (已完成。) belongs to the paragraph before, and never to a numbered item after it.

    Args:
        drafts: in reading order.
        least: characters of a paragraph that stands alone.
        wrapped: whether a short paragraph may be a part of a sentence.
    """
    last: _Draft | None = None
    held: _Draft | None = None
    for draft in drafts:
        after = draft
        if held is not None:
            together = not draft.whole and draft.heading == held.heading
            if together and not (_is_sentence(held.text) and numbering(draft.text)):
                after = _one(held, draft, wrapped)
            else:
                if last is not None:
                    yield last
                last = held
            held = None
        if not after.whole and len(after.text) < least:
            closes = _is_sentence(after.text) and not numbering(after.text) and not _FOLLOWS.search(after.text)
            if closes and last is not None and not last.whole and last.heading == after.heading:
                last = _one(last, after, wrapped)
            else:
                held = after
            continue
        if last is not None:
            yield last
        last = after
    yield from (draft for draft in (last, held) if draft is not None)


def _is_sentence(text: str) -> bool:
    return is_ended(text) and not text.endswith(("：", ":"))


def _one(first: _Draft, second: _Draft, wrapped: bool) -> _Draft:
    """Join two paragraphs; the first says where they stand."""
    raw = "\n".join((first.raw or first.text, second.raw or second.text))
    texts = [first.text, second.text]
    return replace(first, text="".join(texts) if wrapped else _join(texts), raw=raw)


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
    for draft in _merged(_drafts(document), settings.min_passage_characters, document.format in WRAPPED):
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
