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
from pipeline.text import clean, compact, normalise, sentences, split_sentences

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
        spans = split_sentences(text)
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


_NUMBER = r"(?:\d{1,3}(?:[,，]\d{3})+(?!\d)|\d+)(?:\.\d+)?"
_RANGE = rf"(?:{_NUMBER}[-~—–～至到])?{_NUMBER}"
# Not inside a number, a range or 1+9+N, and no ordinal.
_FREE = r"(?<![\d第+])(?<!\d[.,:])(?<!\d[-~—–～至到])"
_SCALE = r"[十百千万亿]{0,2}"
# What begins like a unit, but is none: 3个月 is no count of things.
_NO_UNIT = (
    "个(?:百分点|基点|月|工作日|自然日|交易日|小时|季度|星期|年)|条[例件款]|人[民均工]|支[持付撑出]|对[外接标口于比应]|"
    "处[理置于罚]|所[有在需得属]|例[如外]|起[来草到步点诉]|单[位一证独]|份额|元[素件旦]|吨位|票据|户[均籍]|名[单录称义]|"
    "场[景所地馆]|批[准复]|列[入为]|款项|台[账湾]"
)
_NOT_TENTHS = "立为功果效都本员长不交套品熟绩型像分人片批"
_RATE = re.compile(
    rf"(?<![\d第])(?<!\d[.,:])(?<!\d[-~—–～至到])([-+]?{_RANGE})\s*"
    rf"(%|‰|个百分点|个?基点|倍|成(?![{_NOT_TENTHS}]))|百分之({_NUMBER})"
)
_RATE_IN_WORDS = re.compile(
    rf"(?<![第统唯单同专划合])([一二两三四五六七八九十]{{1,2}})(倍|成(?![{_NOT_TENTHS}]))"
    r"((?<=成)[一二三四五六七八九半](?![家个项批类种般导]))?"  # 九成四, but not 三成三家
    r"|([一二两三四五六七八九十百千万]{1,3}分之[零〇一二两三四五六七八九十百点]+|一半|半数|过半)"
)
_CUMULATIVE = re.compile(r"累计|共计|总计|合计|全年|一年来|年内")
_FIRST_OF_MANY = re.compile(r"(?<![元榜岁部俯昂回])首[批票趟列架艘张台座款条](?![长次套])")
_STEP = (
    "(?:减少?|缩[短减]?|压[缩减降]?|降低?|下降|提[高升速]?|增[加长]?|上升|攀升|跃升|升|扩[大展容]?|拓展|"
    "变|改|调整?|精简|简化|优化)(?:到|至|为|成)"
)
_CLAUSE = re.compile(r"[^，。；！？\n]+")
_DATE = re.compile(r"(?:年|月|日|时|点|号|届|次会|期|世纪|季度)")


@functools.cache
def _amounts() -> re.Pattern[str]:
    money, counts = (_any_of({_bare(unit) for unit in units(kind)}) for kind in ("money", "count"))
    return re.compile(rf"{_FREE}({_RANGE})\s*({_SCALE})[余多来几]?({_SCALE})(?!{_NO_UNIT})(?:({money})|({counts}))")


def _bare(unit: str) -> str:
    """The unit without 万 and the like: those stand before any unit."""
    return unit.lstrip("十百千万亿")


def _any_of(words: Iterable[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=lambda word: (-len(word), word)))


@functools.cache
def _changes() -> re.Pattern[str]:
    """From one value to another: with a verb of change, or 由…到… in the same unit; a span of dates is none."""
    known = _any_of({_bare(unit) for kind in ("money", "count") for unit in units(kind)})
    lasting = "个?(?:工作日|自然日|小时|环节)|天|分钟|秒|周|个月|步|次|页|%|‰|个百分点|倍"
    unit = rf"\s*{_SCALE}[余多几]?{_SCALE}(?:{lasting}|{known})"
    value = rf"{_FREE}(?:{_NUMBER}{unit}|(?<!月)\d{{1,2}}日|\d{{1,2}}年)"
    opened, gap = "[由从][^，。；由从]{0,14}?", "[^，。；由从]"
    return re.compile(
        rf"{opened}{value}{gap}{{0,10}}?{_STEP}{gap}{{0,10}}?{value}"
        rf"|{opened}{_FREE}{_NUMBER}({unit})[到至]{_NUMBER}\1"
        rf"|{value}{gap}{{0,4}}?{_STEP}{gap}{{0,4}}?{value}"
    )


def _joined(text: str) -> str:
    """Text on one line, whose numbers have plain points and commas."""
    text = normalise(text).replace("\n", "")
    text = re.sub(r"(?<=\d)．(?=\d)", ".", text)
    return re.sub(r"(?<![\d.,])\d{1,3}(?:，\d{3})+(?!\d)", lambda match: match.group().replace("，", ","), text)


def figures(text: str, passage: str = "") -> list[Figure]:
    """Return the figures of a text: 首单, 累计…, amounts, rates, counts, changes from one value to another.

    Each line of ``shidian match`` gives those of its passage. Dates, ordinals (第27期) and names (1+9+N) are none.

    Example:
        >>> [(f.kind, f.value, f.unit) for f in figures("全国首单落地，累计放款5230万元，惠及9户企业。")]
        [('first', '全国首单', ''), ('cumulative', '5230', '万元'), ('count', '9', '户')]
        >>> [(f.kind, f.value, f.unit) for f in figures("时限由11天减为2天，三分之一的企业省下36%。")]
        [('change', '由11天减为2天', ''), ('rate', '三分之一', ''), ('rate', '36', '%')]
    """
    found: list[Figure] = []
    for clause in _CLAUSE.finditer(_joined(text)):
        words = clause.group().strip("、“”")
        found += [Figure(kind, value, unit, words, passage) for _, kind, value, unit in sorted(_figures_of(words))]
    return found


def _figures_of(words: str) -> list[tuple[int, str, str, str]]:
    """Place, kind, value and unit of each figure of a clause."""
    found = [(match.start(), "first", match.group(), "") for match in cues("first")["words"].finditer(words)]
    taken = {place for start, _, value, _ in found for place in range(start, start + len(value))}
    found += [
        (match.start(), "first", match.group(), "")
        for match in _FIRST_OF_MANY.finditer(words)
        if match.start() not in taken
    ]
    found += [(match.start(), "change", match.group(), "") for match in _changes().finditer(words)]
    rest = _changes().sub(lambda match: "_" * len(match.group()), words)
    cumulative = _CUMULATIVE.search(rest)
    for match in _amounts().finditer(rest):
        value, one, other, money, count = match.groups()
        kind = "amount" if money else "count"
        if cumulative and cumulative.start() <= match.start():
            kind = "cumulative"
        found.append((match.start(), kind, value, f"{one}{other}{money or count}"))
    found += [
        (match.start(), "rate", match.group(1) or match.group(3), match.group(2) or "%")
        for match in _RATE.finditer(rest)
    ]
    for match in _RATE_IN_WORDS.finditer(rest):
        whole = match.group(3) or match.group(4)
        value, unit = (match.group(), "") if whole else match.group(1, 2)
        found.append((match.start(), "rate", value, unit))
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
