"""What a notice says of itself: openness, outline, documents cited, numbers stated."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipeline.readers.tables import section_depth
from pipeline.records import Citation, Paragraph, Problem, StatedCount
from pipeline.text import NUMERAL, compact, parse_numeral

_OPENNESS = re.compile(
    r"此件[^。；，（）()]{0,14}公开[^。；，（）()]{0,6}|(?:公开(?:方式|属性|类型|形式))[:：]\s*[^\s，。；]{2,8}|不予公开|依申请公开"
)
_NUMBER = r"[\u4e00-\u9fff]{1,12}[〔\[【﹝（(]\s*\d{4}\s*[〕\]】﹞）)]\s*第?\s*\d{1,5}\s*号"
_CITED = re.compile(rf"《((?:[^《》]|《[^《》]*》)+)》(?:\s*[（(]\s*({_NUMBER})[^）)]*[）)])?")
_BARE_NUMBER = re.compile(_NUMBER)
_DOCUMENT = re.compile(
    r"(?:通知|意见|方案|批复|规定|办法|条例|目录|规划|纲要|协定|法|决定|指南|细则|清单|公告|准则)(?:[（(].*[）)])?$"
)


def find_openness(paragraphs: Sequence[Paragraph]) -> str:
    """Return the note on openness (此件公开发布), "" where there is none."""
    for paragraph in paragraphs:
        if len(paragraph.text) <= 60 and (found := _OPENNESS.search(paragraph.text)):
            return found.group().strip()
    return ""


def find_outline(paragraphs: Sequence[Paragraph]) -> tuple[str, ...]:
    """Return the headings of the text in order: parts (一、) and sections (（一）) without the text after them."""
    outline = []
    for paragraph in paragraphs:
        depth = section_depth(paragraph.text)
        if not depth:
            continue
        heading = re.split("[。；：]", paragraph.text)[0].strip()
        if (4 <= len(heading) <= 45 and "，" not in heading.strip("，")) or paragraph.level:
            outline.append(heading)
    return tuple(outline)


def find_citations(paragraphs: Sequence[Paragraph], title: str, number: str) -> tuple[Citation, ...]:
    """Return the documents that a notice cites, each once; the notice itself and what it issues are none."""
    found: dict[tuple[str, str], Citation] = {}
    numbered: set[str] = set()
    own = compact(title)
    for paragraph in paragraphs:
        text = re.sub(r"\s+(?=\d)|(?<=\d)\s+", "", paragraph.text)
        taken: list[tuple[int, int]] = []
        for match in _CITED.finditer(text):
            name, cited = match.group(1), compact(match.group(2) or "")
            taken.append(match.span())
            if not cited and (compact(name) in own or not _DOCUMENT.search(name)):
                continue
            if cited == compact(number) and cited:
                continue
            if cited:
                numbered.add(cited)
            found.setdefault((compact(name), cited), Citation(name, cited, paragraph.source))
        for match in _BARE_NUMBER.finditer(text):
            cited = compact(match.group())
            cited = re.sub(
                r"^.*(?:按照|根据|依据|落实|执行|和|及|与|对)(?=[\u4e00-\u9fff]{2,8}[〔\[【﹝（(])", "", cited
            )
            inside = any(start <= match.start() < end for start, end in taken)
            if (
                not inside
                and cited not in numbered
                and cited != compact(number)
                and len(paragraph.text) > len(cited) + 4
            ):
                numbered.add(cited)
                found.setdefault(("", cited), Citation("", cited, paragraph.source))
    with_number = {name for name, cited in found if cited}
    return tuple(
        citation
        for (name, cited), citation in found.items()
        if cited or not any(name in other for other in with_number)
    )


_COUNT = rf"(\d{{1,4}}|{NUMERAL})\s*"
_STATED: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("任务", re.compile(_COUNT + r"(?:项|条|个)(?:以上|左右)?[^，。；、：“”\d]{0,10}?(?:任务|举措|措施|事项)")),
    ("年", re.compile(_COUNT + r"年(?:的)?(?:试点|建设|时间|努力|左右|期)")),
    ("案例", re.compile(_COUNT + r"(?:个|项|条|批)(?:以上|左右)?[^，。；、：“”\d]{0,14}?(?:案例|经验)")),
    ("领域", re.compile(_COUNT + r"(?:个|大|类)[^，。；、：“”\d]{0,6}?(?:领域|行业|方面|板块)")),
    ("工作组", re.compile(_COUNT + r"(?:个|大)[^，。；、：“”\d]{0,10}?(?:工作组|推进组|专项组|专班|小组)")),
    ("部分", re.compile(_COUNT + r"(?:个|大)(?:部分|板块)")),
)
_LEAD_IN = re.compile(r"^.*(?:围绕|聚焦|发挥|设立|成立|包括|涵盖|覆盖|涉及|突出|组建|分为|按照|推进|在|对|为|是)")


def _enumerated(before: str, stated: int) -> int | None:
    """Count the items listed before a stated number (甲、乙、丙等3个领域), None where no list stands there."""
    clause = re.split("[。；，：]", before)[-1]
    clause = re.sub(r"等\s*$", "", clause)
    items = [item for item in clause.split("、") if item.strip()]
    if len(items) < 3:
        return None
    items[0] = _LEAD_IN.sub("", items[0])
    last = re.split("和|与|以及|及", items[-1])
    if len(items) + 1 == stated and len(last) == 2:
        return stated
    return len(items)


def find_stated_counts(
    paragraphs: Sequence[Paragraph], tasks: int, parts: int, sections: int
) -> tuple[StatedCount, ...]:
    """Return the numbers that a notice states of itself, beside what was found.

    Args:
        paragraphs: the text of the notice.
        tasks: how many tasks were read.
        parts: how many parts they stand in.
        sections: how many sections.
    """
    counts: list[StatedCount] = []
    seen: set[tuple[str, int]] = set()
    for paragraph in paragraphs:
        for what, pattern in _STATED:
            for match in pattern.finditer(paragraph.text):
                stated = parse_numeral(match.group(1))
                before = paragraph.text[: match.start()]
                if (
                    stated is None
                    or stated < 2
                    or before.endswith(("第", "之", "其中", "任"))
                    or (what, stated) in seen
                ):
                    continue
                if what == "年" and (stated > 30 or re.search(r"\d$", before)):
                    continue
                seen.add((what, stated))
                found: int | None = None
                if what == "任务":
                    found = next((n for n in (tasks, sections, parts) if n == stated), tasks)
                elif what == "部分":
                    found = parts or None
                elif what in ("领域", "工作组"):
                    found = _enumerated(before, stated)
                counts.append(StatedCount(what, stated, found, match.group(), paragraph.source))
    return tuple(counts)


def check_counts(counts: Sequence[StatedCount], path: str) -> list[Problem]:
    """Return a problem for each stated number that differs from what was found."""
    return [
        Problem(
            "count",
            f"文中称“{count.text}”，实际读到{count.found}{'项任务' if count.what == '任务' else '个'}，请核对。",
            path,
            count.source.page if count.source else None,
        )
        for count in counts
        if count.found is not None and count.found != count.stated
    ]
