"""What every reader shares: numbering, headings, running heads, and the facts on a document's first lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from pipeline.records import Document, Paragraph, Table
from pipeline.text import clean, compact, find_dates, parse_date

_NUMERAL = "[一二三四五六七八九十百]{1,4}"
# The order of the kinds is the order of depth in official texts (GB/T 9704: 一、 then （一） then 1. then （1）).
_KINDS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("part", re.compile(rf"第{_NUMERAL}(?:部分|[章编篇])")),
    ("chapter", re.compile(rf"第{_NUMERAL}节")),
    ("article", re.compile(rf"第{_NUMERAL}条")),
    ("one", re.compile(rf"{_NUMERAL}[、.．]")),
    ("two", re.compile(rf"[（(]{_NUMERAL}[)）][、.．]?")),
    ("three", re.compile(r"\d{1,3}[.．、](?!\d)")),
    ("four", re.compile(r"[（(]\d{1,3}[)）]")),
    ("five", re.compile(r"[①-⑳]")),
)
_ORDER = [kind for kind, _ in _KINDS]
WRAPPED = frozenset(("pdf", "ofd", "image", "text", "markdown"))
"""Formats whose lines and pages may end within a paragraph; the others mark paragraphs, if not always rightly."""
_ENDED = re.compile(r"[。！？；：!?;:…][”’」』）)]*$")
_STOP = re.compile(r"[。！？；!?;]")
_PAGE_NUMBER = re.compile(
    r"[-—–―－_·•\s]*(?:第\s*)?\d{1,4}\s*(?:页)?\s*(?:[/／]|共|,|，)?\s*(?:共)?\s*(?:\d{1,4}\s*页?)?[-—–―－_·•\s]*"
)
_NUMBER_MARK = re.compile(r"[-—–―－/／第页共]")
BULLET = re.compile(r"[●■◆▪•·○➢★▲*]|[-–]\s?(?=[\u4e00-\u9fff])")
"""What begins an item of a list that is not numbered."""
FIGURE = re.compile(r"\d\s?(?:[余多万亿百千%家个项件列条次户人元吨亩名]|平方|公里)")
"""A count or an amount, as titles and addresses seldom hold them; a year or the number of a document is none."""

NUMBER = re.compile(r"[\u4e00-\u9fff]{1,12}[〔\[（(【﹝]\s*\d{4}\s*[〕\])）】﹞]\s*第?\s*\d{1,5}\s*号")
"""A document number (发文字号)."""

_ORGAN = re.compile(
    r"(?:政府|委员会|办公室|局|委|办|厅|部|院|署|会|处|中心|公司|集团|银行|分行|海关|总站|监狱|大学|学院|学校"
    r"|园区|开发区|高新区|新区|自贸区|保税区|管委会|研究所|报社|日报|晚报|电视台|工作组|领导小组|指挥部|法院|检察院)$"
)
_LABELLED = re.compile(
    r"^[\[【]?(来源|信息来源|文章来源|发布机构|发文机关|发布单位|报送单位|填报单位|编制单位|单位|发布时间|发布日期"
    r"|成文日期|印发日期|日期|时间|发文字号|文号|标题|名称)[\]】]?\s*[:：]\s*(.+)$"
)
_FURNITURE = re.compile(
    r"^(?:记者|作者|编辑|责任编辑|字号|字体|浏览|阅读|打印|分享|当前位置|首页|密级|机密|秘密|紧急程度|签发人|第\s*\d+\s*期"
    r"|[（(]?此件|目\s*录|附件|抄送)"
)
_TITLE_END = re.compile(
    r"(?:通知|通报|报告|总结|小结|方案|意见|办法|规定|细则|措施|政策|条例|决定|批复|函|请示|公告|通告|纪要|简报|简介"
    r"|摘要|案例|情况|进展|计划|规划|要点|清单|台账|指引|汇报|说明|实录|建议书)(?:[（(〔].{0,20}[)）〕])?$"
)
_KIND_WORDS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("project", re.compile(r"项目(?:简介|概况|情况|介绍|建议书|申报书|可行性|说明)|可行性研究")),
    ("briefing", re.compile(r"发布会|通气会|实录|发布词|见闻|采访|答记者问|新闻稿|快讯|观察$|^.{0,40}记者")),
    (
        "policy",
        re.compile(
            r"(?:通知|意见|措施|政策|办法|规定|条例|细则|决定|批复|公告|通告|方案|规划)(?:[（(].{0,20}[)）])?$|关于印发"
        ),
    ),
    (
        "progress",
        re.compile(
            r"总结|小结|报告|进展|推进情况|工作情况|落实情况|完成情况|开展情况|汇报|台账|季度情况|年度情况"
            r"|工作简报|工作要点|的函$|情况(?:[（(].{0,20}[)）])?$"
        ),
    ),
    ("case", re.compile(r"案例|经验|做法|路径|模式|样本|探索|实践|改革|破解|创新|打通|首[单笔个例]|[：“”]|——")),
)


def numbering(text: str) -> str:
    """Return the kind of number that a paragraph starts with: part, chapter, one .. five, or "".

    Example:
        >>> [numbering(x) for x in ("一、总体要求", "（二）工作原则", "3.支持开展", "3.5万吨")]
        ['one', 'two', 'three', '']
    """
    for kind, pattern in _KINDS:
        if pattern.match(text):
            return kind
    return ""


def depth(text: str) -> int:
    """Return the depth of the number a paragraph starts with, 1 the highest, 0 without one."""
    kind = numbering(text)
    return _ORDER.index(kind) + 1 if kind else 0


def is_ended(text: str) -> bool:
    """Tell whether a line ends like the end of a sentence or of an opening."""
    return bool(_ENDED.search(text))


def is_page_number(line: str) -> bool:
    """Tell whether a line holds nothing but a page number with its marks.

    A bare number is not taken for one: it may be a cell.

    Example:
        >>> [is_page_number(x) for x in ("— 3 —", "第 3 页 共 20 页", "3/20", "86", "第3页是图")]
        [True, True, True, False, False]
    """
    line = line.strip()
    return bool(line) and bool(_NUMBER_MARK.search(line)) and bool(_PAGE_NUMBER.fullmatch(line)) and "号" not in line


def is_prose(text: str) -> bool:
    """Tell whether a paragraph is running text, not a heading, an address or a label."""
    return (is_ended(text) and len(text) >= 25 and not text.endswith(("：", ":"))) or (len(text) > 60 and "，" in text)


def _may_be_heading(
    before: Paragraph | Table | None, text: str, kind: str, following: Paragraph | Table | None
) -> bool:
    """Judge a numbered paragraph by its form and by what stands around it."""
    if kind == "article":
        return False
    body = text.rstrip("。")
    if _STOP.search(body) or text.endswith(("，", ",", "、", "：", ":", "；", ";")):
        return False
    limit = 60 if kind in ("part", "chapter", "one") else 50 if kind == "two" else 40
    if len(text) > limit:
        return False
    if following is None:
        return False
    if isinstance(following, Table):
        return True
    after = numbering(following.text)
    deeper = not after or _ORDER.index(after) > _ORDER.index(kind)
    if kind in ("part", "chapter", "one") and not text.endswith("。"):
        return deeper or len(text) <= 15 or following.level > 0
    if text.endswith("。"):
        # 「（一）指导思想。」 is a heading, 「（一）培训3000人。」 an item.
        sibling = isinstance(before, Paragraph) and numbering(before.text) == kind
        return (
            deeper
            and not sibling
            and "，" not in text
            and not re.search(r"\d", re.sub(r"^\S{1,4}?[)）.、]", "", body))
            and kind in ("one", "two")
        )
    return deeper


def _is_bare_heading(before: Paragraph | Table | None, text: str, following: Paragraph | Table | None) -> bool:
    """Judge a short line without a number between two pieces of running text."""
    if len(text) > 24 or is_ended(text) or _STOP.search(text) or text.endswith(("，", "、", ",")) or parse_date(text):
        return False
    if compact(text) in ("附件", "附表") or re.fullmatch(r"附[件表]\s*\d{1,2}", compact(text)):
        return True
    if not isinstance(before, Paragraph) or not isinstance(following, Paragraph) or _FURNITURE.match(text):
        return False
    return is_prose(before.text) and is_prose(following.text) and not numbering(following.text)


def mark_headings(blocks: Sequence[Paragraph | Table]) -> tuple[Paragraph | Table, ...]:
    """Return the blocks with the level of every heading that its reader did not mark.

    Levels count from 1 without gaps in the kinds of number that the document uses.
    """
    kinds: list[str] = []
    texts = [block.text if isinstance(block, Paragraph) else "" for block in blocks]
    for index, block in enumerate(blocks):
        kind = ""
        if isinstance(block, Paragraph) and block.text and not block.given_id:
            following = next((b for b in blocks[index + 1 : index + 4] if not isinstance(b, Paragraph) or b.text), None)
            kind = numbering(block.text)
            if kind and not (
                block.level or _may_be_heading(blocks[index - 1] if index else None, block.text, kind, following)
            ):
                kind = ""
            elif not kind and block.level:
                kind = "styled"
            elif not kind and index and _is_bare_heading(blocks[index - 1], texts[index], following):
                kind = "bare"
        kinds.append(kind)
    used = [kind for kind in _ORDER if kind in kinds]
    styled = max(
        (b.level for b, k in zip(blocks, kinds, strict=True) if k == "styled" and isinstance(b, Paragraph)), default=0
    )
    marked: list[Paragraph | Table] = []
    current = 0
    for block, kind in zip(blocks, kinds, strict=True):
        if not isinstance(block, Paragraph) or not kind:
            marked.append(block)
            continue
        if kind == "styled":
            level = block.level
        elif kind == "bare":
            level = 1 if not current or compact(block.text).startswith(("附件", "附表")) else current + 1
        else:
            current = level = used.index(kind) + 1 if not (styled and block.level) else block.level
        marked.append(replace(block, level=level))
    return tuple(marked)


def goes_on(before: str, after: str) -> bool:
    """Tell whether a paragraph was cut in two, by a page or by a line break: the first has no end, the second no start.

    Example:
        >>> goes_on("坚持对标对表。主动适应全球产业链重塑新趋势，推动制度型开放，全面贯彻党", "中央、国务院决策部署。")
        True
    """
    if is_ended(before) or len(before) < 25 or not re.search("[，。；]", before) or not after:
        return False
    if BULLET.match(after):
        return False
    if before.startswith(("附件", "抄送")) or numbering(after) or re.match(r"附[件表注]|[（(《〈“—\d]", after):
        return re.match(r"[（(《〈“\d]", after) is not None and numbering(after) == "" and before[-1] in "，、"
    return True


def join_broken(blocks: Sequence[Paragraph | Table], wrapped: bool = True) -> list[Paragraph | Table]:
    """Join paragraphs that were cut in two; given passages stay as they are.

    Args:
        blocks: in reading order.
        wrapped: whether lines and pages may end within a paragraph. Where they may not, items without a full stop
            stand apart, and only a sentence is joined that breaks off after another and ends in the next paragraph.
    """
    joined: list[Paragraph | Table] = []
    for block in blocks:
        before = joined[-1] if joined else None
        if (
            isinstance(before, Paragraph)
            and isinstance(block, Paragraph)
            and not (before.given_id or block.given_id or before.level or block.level or block.centred)
            and goes_on(before.text, block.text)
            and (wrapped or ("。" in before.text and block.text.endswith("。")))
        ):
            raw = f"{before.raw or before.text}\n{block.raw or block.text}"
            joined[-1] = replace(before, text=clean(f"{before.text}\n{block.text}"), raw=raw)
        else:
            joined.append(block)
    return joined


def _is_date(text: str) -> bool:
    bare = text.strip("（()）[]【】 　")
    dates = find_dates(bare)
    return len(dates) == 1 and dates[0][0] == 0 and len(bare) - dates[0][1] <= 3


def signature(text: str) -> tuple[str, str]:
    """Return the body and the ISO date of a line that holds both and nothing else, ("", "") for other lines.

    Example:
        >>> signature("某市卫生局办公室2011年3月10日印发")
        ('某市卫生局办公室', '2011-03-10')
    """
    dates = find_dates(text)
    if len(text) > 60 or len(dates) != 1 or not _is_organ(text[: dates[0][0]].strip()):
        return "", ""
    if not re.fullmatch("(?:印发|发布|公布|印|发|制|报)?[）)]?", text[dates[0][1] :].strip()):
        return "", ""  # 产业园区2021年8月投产 says what, not who
    return text[: dates[0][0]].strip(), dates[0][2]


def _is_organ(text: str) -> bool:
    return (
        0 < len(text) <= 45
        and all(_ORGAN.search(part) for part in text.split())
        and not re.search(r"关于|[，。：《》]", text)
    )


def guess_kind(title: str) -> str:
    """Return progress, case, briefing, policy, project or other by the words of a title, "" without a title.

    Example:
        >>> guess_kind("市科技局关于2022年上半年工作情况的报告"), guess_kind("")
        ('progress', '')
    """
    for kind, pattern in _KIND_WORDS:
        if pattern.search(title):
            return kind
    return "other" if title else ""


def _guess_title(head: list[str]) -> str:
    """Join the first run of lines of the head that can be a title."""
    lines: list[str] = []
    organ = ""
    for line in head:
        known = (
            _is_date(line)
            or NUMBER.search(line)
            or re.search(r"[:：]\s*\d", line)
            or _LABELLED.match(line)
            or _FURNITURE.match(line)
        )
        red_head = line.endswith("文件") and len(line) <= 30
        if BULLET.match(line) or line.endswith(("。", "；")):
            break  # text has begun
        if lines and FIGURE.search(line) and not _TITLE_END.search(line):
            break
        if lines:
            if known or red_head or _is_organ(line) or len(lines) >= 4 or line.endswith(("：", ":")):
                break
            lines.append(line)
        elif _is_organ(line) and not known:
            organ = line
            continue
        elif not known and not red_head:
            if organ and line.startswith("关于"):
                lines.append(organ)
            lines.append(line)
        organ = ""
        if lines and _TITLE_END.search(line):
            break
    return "".join(lines)


def complete(document: Document) -> Document:
    """Return the document with headings marked and title, issuer, date, number and kind filled where they are empty.

    The rules look at the wording and place of lines alone: a red head (…文件), lines with a label (来源：…),
    the line of a date and the body named above it.
    """
    blocks = mark_headings(join_broken(document.blocks, document.format in WRAPPED))
    texts = [block.text.strip() for block in blocks if isinstance(block, Paragraph) and block.text.strip()]
    head: list[str] = []
    for text in texts[:30]:
        if is_prose(text) or numbering(text) in ("part", "one") or text.endswith(("：", ":")):
            break
        head.append(text)
    title = document.title or _guess_title(head)
    number = document.number
    issuer = document.issuer
    date = document.date
    for text in head[:12]:
        number = number or (compact(found.group()) if (found := NUMBER.search(text)) and len(text) <= 60 else "")
        if text.endswith("文件") and len(text) <= 30:
            issuer = issuer or text.removesuffix("文件")
        if labelled := _LABELLED.match(text):
            label, value = labelled.groups()
            if re.search("日期|时间", label):
                date = date or parse_date(value)
            elif re.search("来源|机构|机关|单位", label):
                issuer = issuer or value.split("  ")[0].strip()
    for index, text in enumerate(texts):
        body, day = signature(text)
        if body:
            issuer, date = issuer or body, date or day
            break
        if not _is_date(text):
            continue
        date = date or parse_date(text)
        above = texts[index - 1] if index else ""
        plain = len(above) <= 45 and not is_ended(above) and not _FURNITURE.match(above) and above not in title
        if above and not issuer and (plain or _is_organ(above)):
            issuer = above
        break
    if not issuer:
        issuer = next((text for text in head if _is_organ(text)), "")
    if title.startswith("关于") and any(text == f"{issuer}文件" for text in head):
        title = issuer + title  # under a red head the title leaves out the issuer that stands there
    return replace(
        document,
        blocks=blocks,
        title=title,
        issuer=issuer,
        date=date,
        number=number,
        kind=document.kind or guess_kind(title),
    )
