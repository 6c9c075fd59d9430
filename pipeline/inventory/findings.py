"""What a write-up says, found by headings, cue words and patterns: parts, figures, firms, hints, risks, kinds."""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.inventory.lexicon import cues, firm_words, units
from pipeline.records import Passage
from pipeline.text import clean, compact, normalise, sentences

PARTS = {"background": "背景", "practice": "主要做法", "results": "成效", "next": "下一步"}


@dataclass(frozen=True)
class Figure:
    """A figure in a text: kind is first, cumulative, change, amount, rate or count; text is the clause it stands in."""

    kind: str
    value: str
    unit: str
    text: str
    passage: str = ""


@dataclass(frozen=True)
class Hint:
    """A sentence that says something of a kind: a level of replicability, a field of risk."""

    kind: str
    word: str
    sentence: str
    tone: str = ""
    passage: str = ""


def guess_kind(title: str, number: str = "", headings: Iterable[str] = ()) -> str:
    """Return the kind of a document by title, number and headings.

    Kinds are case, progress, policy, project, briefing and other.

    Example:
        >>> guess_kind("2023年任务推进情况"), guess_kind("“一窗通办”改革"), guess_kind("关于促进开放的若干措施")
        ('progress', 'case', 'policy')
    """
    text = compact(title)
    found = ""
    for kind, pattern in cues("kind").items():
        if pattern.search(text):
            found = kind
            break
    parts = {part for heading in headings if (part := part_of_heading(heading))}
    # 背景, 做法 and 成效 together are how cases are written, whatever the title plays with.
    if found in ("", "case") and {"practice", "results"} <= parts and "background" in parts:
        return "case"
    if not found and number and cues("number")["policy"].search(compact(number)):
        return "policy"
    return found or "other"


def part_of_heading(heading: str) -> str:
    """Return the part of a case that a heading opens, "" where it names none.

    Example:
        >>> part_of_heading("二、主要做法"), part_of_heading("三、取得成效"), part_of_heading("一、总则")
        ('practice', 'results', '')
    """
    best, at = "", -1
    text = compact(heading)
    if len(text) > 24:
        return ""
    for part, pattern in cues("heading").items():
        for match in pattern.finditer(text):
            # The last word is the head of a Chinese phrase: 做法成效 is of results, 问题整改措施 of practice.
            if match.end() > at:
                best, at = part, match.end()
    return best


def parts(passages: Sequence[Passage]) -> dict[str, list[tuple[str, str]]]:
    """Divide a write-up into background, practice, results and next step.

    Headings decide; sentences of plans leave the part they stand in; without headings the words of each passage and
    its place decide.

    Returns:
        For each part (passage id, text), in reading order.
    """
    found: dict[str, list[tuple[str, str]]] = {part: [] for part in PARTS}
    count = len(passages)
    reached = 0
    order = list(PARTS)
    for index, passage in enumerate(passages):
        part = next((p for h in reversed(passage.heading) if (p := part_of_heading(h))), "")
        text = clean(passage.text)
        spans = [text[a:b] for a, b in sentences(text)] or [text]
        if not part:
            part = _part_by_words(text, index, count, reached)
            reached = max(reached, order.index(part))
        stay: list[str] = []
        leave: list[str] = []
        for sentence in spans:
            planned = part not in {"next", "background"} and _is_plan(sentence)
            (leave if planned else stay).append(sentence)
        if stay:
            found[part].append((passage.id, "".join(stay)))
        if leave:
            found["next"].append((passage.id, "".join(leave)))
    return found


def _weights(text: str) -> dict[str, float]:
    return {part: float(len(pattern.findall(text))) for part, pattern in cues("cue").items()}


def _is_plan(sentence: str) -> bool:
    weights = _weights(sentence)
    start = cues("cue")["next"].match(sentence.lstrip("，；、"))
    return bool(start) or weights["next"] > max(weights["results"], weights["practice"], 0.5)


def _part_by_words(text: str, index: int, count: int, reached: int) -> str:
    """The part whose words weigh most; the first passage tends to be background, and parts tend to follow in order."""
    weights = _weights(text)
    if index == 0 and count > 1:
        weights["background"] += 2.0
    elif index >= max(2, count // 2):
        weights["background"] -= 2.0
    if index == count - 1 and count > 2:
        weights["next"] += 1.0
        weights["results"] += 0.5
    if index == 1:
        weights["practice"] += 1.5
    weights["practice"] += 0.5
    for position, part in enumerate(PARTS):
        if position < reached:
            weights[part] -= 0.75
    return max(PARTS, key=lambda part: weights[part])


_NUMBER = r"(?:\d+(?:[,，]\d{3})+|\d+)(?:\.\d+)?"
_RATE = re.compile(rf"({_NUMBER})\s*(%|个百分点|倍|成(?!立|为|功|果|效|都|本|员|长))")
_CUMULATIVE = re.compile(r"累计|共计|总计|合计|全年|一年来|年内")
_CHANGE = re.compile(
    rf"由[^，。；]{{0,14}}?{_NUMBER}[^，。；]{{0,10}}?(?:到|至|为)[^，。；]{{0,4}}?{_NUMBER}[^，。；\d]{{0,6}}"
)
_CLAUSE = re.compile(r"[^，。；！？\n]+")
_DATE = re.compile(r"(?:年|月|日|时|点|号|届|次会|期|世纪|季度)")


@functools.cache
def _amounts() -> re.Pattern[str]:
    money = "|".join(map(re.escape, units("money")))
    counts = "|".join(map(re.escape, units("count")))
    return re.compile(rf"({_NUMBER})\s*(?:余|多)?({money})|({_NUMBER})\s*(?:余|多)?({counts})(?!百分点)")


def figures(text: str, passage: str = "") -> list[Figure]:
    """Return the figures of a text: 首单, 累计…, amounts, rates, counts, changes from one value to another.

    Example:
        >>> [(f.kind, f.value, f.unit) for f in figures("全国首单落地，累计放款5230万元，惠及9户企业。")]
        [('first', '全国首单', ''), ('cumulative', '5230', '万元'), ('count', '9', '户')]
    """
    text = normalise(text).replace("\n", "")
    amount = _amounts()
    found: list[Figure] = []
    for clause in _CLAUSE.finditer(text):
        words = clause.group().strip("、“”")
        for match in cues("first")["words"].finditer(words):
            found.append(Figure("first", match.group(), "", words, passage))
        change = _CHANGE.search(words)
        if change:
            found.append(Figure("change", change.group(), "", words, passage))
            continue
        cumulative = _CUMULATIVE.search(words)
        for match in amount.finditer(words):
            value, unit = (match.group(1), match.group(2)) if match.group(1) else (match.group(3), match.group(4))
            kind = "amount" if match.group(1) else "count"
            if cumulative and cumulative.start() <= match.start():
                kind = "cumulative"
            found.append(Figure(kind, value.replace("，", ","), unit, words, passage))
        for match in _RATE.finditer(words):
            found.append(Figure("rate", match.group(1), match.group(2), words, passage))
    return found


def numbers(text: str) -> set[str]:
    """Return the numbers of a text that tell it from others: not years, months, ordinals or single digits.

    Example:
        >>> sorted(numbers("2023年3月，1．8亿元，9户，4.05%，5230万元"))
        ['4.05', '5230']
    """
    found = set()
    text = normalise(text)
    for match in re.finditer(_NUMBER, text):
        value = match.group().replace(",", "").replace("，", "")
        if _DATE.match(text, match.end()) or re.fullmatch(r"\d|20\d\d|1[0-2]|[1-9]0", value):
            continue
        found.add(value)
    return found


_NAME = r"[\u4e00-\u9fffA-Za-z0-9·&（）()\-]"
_PROPER = ("nr", "ns", "nt", "nz", "eng")


@functools.cache
def _segmenter() -> Any:
    import jieba.posseg

    jieba.setLogLevel(logging.ERROR)
    return jieba.posseg


def _has_name(body: str) -> bool:
    """Tell 长安汽车 from 认证: a name holds a proper noun, or characters that make no word."""
    tokens = list(_segmenter().cut(body))
    if any(token.flag.startswith(_PROPER) for token in tokens):
        return True
    return len(body) >= 2 and all(len(token.word) == 1 for token in tokens) and len(tokens) <= 4


@functools.cache
def _firm_patterns() -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """What names of firms look like, what cuts them, and what makes a kind of firm."""
    suffix, starts, generic = ("|".join(map(re.escape, firm_words(kind))) for kind in ("suffixes", "starts", "generic"))
    name = re.compile(rf"({_NAME}{{1,24}}?)({suffix})(?!{suffix}|[业务员])")
    return name, re.compile(starts), re.compile(generic)


@functools.lru_cache(maxsize=100_000)
def firms(text: str) -> tuple[tuple[str, int], ...]:
    """Return the firms named in a text with the place where each name starts.

    Names are found by how they end and cut at the words before them, so that a rare name may keep a word too many;
    kinds of firms (外资银行, 认证公司) are no names.

    Example:
        >>> [name for name, _ in firms("支持重庆农商行与中国银联重庆分公司合作，外资银行参与。")]
        ['重庆农商行', '中国银联重庆分公司']
    """
    text = normalise(text).replace("\n", "")
    names, starts, generic = _firm_patterns()
    stop, legal = set(firm_words("stop")), set(firm_words("legal"))
    found: dict[str, int] = {}
    for match in names.finditer(text):
        body, end = match.group(1), match.group(2)
        cut = max((word.end() for word in starts.finditer(body)), default=0)
        if cut == len(body) and end not in legal:
            continue
        body, begin = body[cut:], match.start() + cut
        name = body + end
        bare = generic.match(body)
        if name in stop or len(body) < 2 or (bare and bare.end() >= len(body) - 2 and end not in legal):
            continue
        if any(name.endswith(word) and len(word) >= len(name) - 1 for word in stop if len(word) > 2):
            continue
        if len(re.findall("[（(]", body)) != len(re.findall("[）)]", body)):
            continue
        if end not in legal and not _has_name(body):
            continue
        found.setdefault(name, begin)
    for name in firm_words("known"):
        at = text.find(name)
        if at >= 0 and not any(name in longer for longer in found):
            found[name] = at
    return tuple(sorted(found.items(), key=lambda item: item[1]))


def _hints(group: str, text: str, passage: str) -> list[Hint]:
    text = normalise(text).replace("\n", "")
    found = []
    for start, end in sentences(text):
        sentence = text[start:end].strip()
        for kind, pattern in cues(group).items():
            match = pattern.search(sentence)
            if match:
                found.append(Hint(kind, match.group(), sentence, "", passage))
    return found


def replicability(text: str, passage: str = "") -> list[Hint]:
    """Return what a text says of spreading: the strongest level of each sentence and its words.

    Example:
        >>> [(h.kind, h.word) for h in replicability("该模式已在九龙坡、高新区复用。")]
        [('已在他处复用', '已在九龙坡、高新区复用')]
    """
    strongest: dict[str, Hint] = {}
    for hint in _hints("replicability", text, passage):  # the levels come from the strongest down
        strongest.setdefault(hint.sentence, hint)
    return list(strongest.values())


def risks(text: str, passage: str = "") -> list[Hint]:
    """Return the sentences that speak of risk, by field, with their tone: 未发生, 已有应对 or 需关注.

    Example:
        >>> [(h.kind, h.word, h.tone) for h in risks("截至3月末无一户逾期。仍有项目进展缓慢。")]
        [('金融', '逾期', '未发生'), ('进度与政策', '进展缓慢', '需关注')]
    """
    tones = cues("risk_tone")
    found = []
    for hint in _hints("risk", text, passage):
        if tones["deny"].search(hint.sentence):
            tone = "未发生"
        elif tones["handled"].search(hint.sentence):
            tone = "已有应对"
        else:
            tone = "需关注"
        found.append(Hint(hint.kind, hint.word, hint.sentence, tone, passage))
    return found


def district(issuer: str) -> str:
    """Return the district or county that issued a text, "" for bodies of the city or province itself.

    Example:
        >>> [district(x) for x in ("北碚区人民政府", "某市渝中区人民政府", "某市商务委员会", "两江新区自贸办")]
        ['北碚区', '渝中区', '', '两江新区']
    """
    text = compact(issuer)
    body = re.sub(r"^[\u4e00-\u9fff]{1,8}?(?:省|自治区)", "", text)
    body = re.sub(r"^[\u4e00-\u9fff]{1,3}?市(?!场)(?=.)", "", body)
    match = re.match(r"[\u4e00-\u9fff]{1,8}?(?:新区|高新区|技术产业开发区|开发区|自治县|县|区)", body)
    return match.group() if match and not re.search("地区$|社区$|园区$|自贸区$|区域", match.group()) else ""
