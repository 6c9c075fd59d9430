"""Chinese official text: widths, spaces, numerals, dates, units, sentences, words.

Words come from one spaCy pipeline, ``spacy.blank("zh")`` with the jieba segmenter; the terms of
``data/terms.txt`` and the units of ``data/units.csv`` are added to jieba's dictionary.
"""

from __future__ import annotations

import calendar
import functools
import re
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spacy.language import Language

DATA = Path(__file__).with_name("data")

HAN = "\u2e80-\u2fdf\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
CJK = HAN + "\u3000-\u3004\u3008-\u303f\uff00-\uffef“”‘’…—·"

# NFKC knows the Kangxi radicals (U+2F00-2FDF), not the supplement below them.
_RADICALS = {
    "⺁": "厂", "⺄": "乙", "⺆": "冂", "⺇": "几", "⺈": "刀", "⺊": "卜", "⺌": "小", "⺍": "小", "⺎": "兀", "⺏": "尢",
    "⺑": "尢", "⺒": "巳", "⺓": "幺", "⺔": "彑", "⺗": "心", "⺘": "手", "⺙": "攵", "⺛": "旡", "⺜": "日", "⺝": "月",
    "⺞": "歹", "⺟": "母", "⺠": "民", "⺡": "氵", "⺢": "水", "⺣": "灬", "⺤": "爪", "⺥": "爪", "⺦": "丬", "⺧": "牛",
    "⺨": "犭", "⺩": "王", "⺪": "疋", "⺫": "目", "⺬": "示", "⺭": "礻", "⺮": "竹", "⺯": "纟", "⺰": "纟", "⺱": "罒",
    "⺲": "罒", "⺳": "网", "⺴": "网", "⺵": "网", "⺶": "羊", "⺷": "羊", "⺸": "羊", "⺹": "老", "⺺": "肀", "⺻": "聿",
    "⺼": "肉", "⺽": "臼", "⺾": "艹", "⺿": "艹", "⻀": "艹", "⻁": "虎", "⻂": "衤", "⻃": "西", "⻄": "西", "⻅": "见",
    "⻆": "角", "⻇": "角", "⻈": "讠", "⻉": "贝", "⻊": "足", "⻋": "车", "⻌": "辶", "⻍": "辶", "⻎": "辶", "⻏": "阝",
    "⻐": "钅", "⻑": "長", "⻒": "镸", "⻓": "长", "⻔": "门", "⻕": "阜", "⻖": "阝", "⻗": "雨", "⻘": "青", "⻙": "韦",
    "⻚": "页", "⻛": "风", "⻜": "飞", "⻝": "食", "⻞": "食", "⻟": "飠", "⻠": "饣", "⻡": "首", "⻢": "马", "⻣": "骨",
    "⻤": "鬼", "⻥": "鱼", "⻦": "鸟", "⻧": "卤", "⻨": "麦", "⻩": "黄", "⻪": "黾", "⻫": "斉", "⻬": "齐", "⻭": "歯",
    "⻮": "齿", "⻯": "竜", "⻰": "龙", "⻱": "龟", "⻲": "龟", "⻳": "龟",
}  # fmt: skip
_PLAIN = {ord(radical): plain for radical, plain in _RADICALS.items()}
_PLAIN |= {point: unicodedata.normalize("NFKC", chr(point)) for point in range(0x2F00, 0x2FD6)}
_PLAIN |= {point: unicodedata.normalize("NFKC", chr(point)) for point in range(0xF900, 0xFB00)}
# Full-width letters and digits become plain; Chinese punctuation stays as it is.
_PLAIN |= {point: chr(point - 0xFEE0) for point in range(0xFF01, 0xFF5F) if chr(point - 0xFEE0).isalnum()}
_PLAIN |= {0x3000: " ", 0xA0: " ", 0x2002: " ", 0x2003: " ", 0x2009: " ", 0xFF05: "%", 0xFF0F: "/", 0xFF0B: "+"}
_PLAIN |= dict.fromkeys([0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x2060, 0xFEFF, 0xAD], "")

_SPACE_AT_CJK = re.compile(rf"(?<=[{CJK}])[ \t]+|[ \t]+(?=[{CJK}])")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_DIGITS = {c: i for i, c in enumerate("〇一二三四五六七八九")} | {"零": 0, "两": 2, "○": 0, "Ｏ": 0}
_SCALES = {"十": 10, "百": 100, "千": 1000}
NUMERAL = "[〇零○一二三四五六七八九十百千万两]+"


def normalise(text: str) -> str:
    """Return text with plain widths, no radicals, no control characters and no space beside Chinese characters.

    Line breaks stay; Chinese punctuation stays.

    Example:
        >>> normalise("开 展２０项⼯作 （ATA 单证册）")
        '开展20项工作（ATA单证册）'
    """
    # Half a character (a lone surrogate of JSON) is none that a model or a database could take.
    text = _CONTROL.sub("", text.translate(_PLAIN)).encode("utf-8", "replace").decode()
    text = re.sub(r"\r\n?", "\n", text)
    text = re.sub(r"[ \t]+", " ", text)
    text = _SPACE_AT_CJK.sub("", text)
    return re.sub(r" ?\n ?", "\n", text).strip()


def join_lines(lines: list[str]) -> str:
    """Join the lines of one paragraph: nothing between Chinese characters, a space between Latin words.

    Example:
        >>> join_lines(["开展服务", "业试点 open", "data"])
        '开展服务业试点 open data'
    """
    joined = before = ""
    for line in filter(None, map(str.strip, lines)):
        latin = joined and (joined[-1] + line[0]).isascii() and joined[-1].isalnum() and line[0].isalnum()
        # A number that went over the edge is one; lines that are numbers by themselves are many.
        broken = joined[-1:].isdigit() and line[0].isdigit() and not before.isdigit()
        joined += (" " if latin and not broken else "") + line
        before = line
    return joined


def clean(text: str) -> str:
    r"""Return one paragraph on one line, normalised.

    Example:
        >>> clean("共有131项专利把\n部分产权给团 队")
        '共有131项专利把部分产权给团队'
    """
    return normalise(join_lines(normalise(text).split("\n")))


def compact(text: str) -> str:
    """Return normalised text without any white space, for comparing.

    Example:
        >>> compact("试 点 任 务")
        '试点任务'
    """
    return re.sub(r"\s+", "", normalise(text))


def parse_numeral(text: str) -> int | None:
    """Return the value of a Chinese or Arabic numeral below 100 million, None if it is none.

    Example:
        >>> [parse_numeral(x) for x in ("二十一", "十", "一百零三", "86", "二〇二一", "一万二千", "任务")]
        [21, 10, 103, 86, 2021, 12000, None]
    """
    text = text.strip().translate(_PLAIN)
    if re.fullmatch(r"[0-9]{1,9}", text):
        return int(text)
    if not text or not re.fullmatch(NUMERAL, text):
        return None
    if not set(text) & set("十百千万"):
        return int("".join(str(_DIGITS[c]) for c in text))
    total = section = digit = 0
    for character in text:
        if character in _DIGITS:
            digit = _DIGITS[character]
        elif character == "万":
            total, section, digit = (total + section + digit) * 10000, 0, 0
        else:
            section += (digit or 1) * _SCALES[character]
            digit = 0
    return total + section + digit


_DATE = re.compile(
    r"([12]\d{3}|[〇零○0OО一二三四五六七八九]{4})\s*年\s*(\d{1,2}|[一二三四五六七八九十]{1,2})\s*月"
    r"\s*(?:(\d{1,2}|[一二三四五六七八九十]{1,3})\s*日)?"
)
_ZERO = re.compile("[0OО]")
"""What is typed for 〇: the digit, the Latin and the Cyrillic letter."""
_ISO = re.compile(r"(?<!\d)([12]\d{3})[-/.](\d{1,2})[-/.](\d{1,2})(?!\d)")


def find_dates(text: str) -> list[tuple[int, int, str]]:
    """Return (start, end, ISO date) of the dates in a text; a month alone counts as its first day.

    A day that the month does not have is its last in words (6月31日: who writes so means the end of the month), and no
    date in figures (2022-06-31: a slip of the hand).

    Example:
        >>> find_dates("2021年8月4日印发，2022年6月31日前完成")
        [(0, 9, '2021-08-04'), (12, 22, '2022-06-30')]
    """
    found = []
    for pattern in (_DATE, _ISO):
        for match in pattern.finditer(text):
            written = [part or "1" for part in match.groups()]
            if not written[0].isdecimal():
                written[0] = _ZERO.sub("〇", written[0])
            year, month, day = map(parse_numeral, written)
            if year and month and day and 1 <= month <= 12 and 1 <= day <= 31:
                last = calendar.monthrange(year, month)[1]
                if day <= last or pattern is _DATE:
                    found.append((match.start(), match.end(), f"{year:04d}-{month:02d}-{min(day, last):02d}"))
    return sorted(found)


def parse_date(text: str) -> str:
    """Return the first date of a text as ISO, "" if there is none.

    Example:
        >>> parse_date("二〇二一年八月四日"), parse_date("2022/7/15"), parse_date("今年")
        ('2021-08-04', '2022-07-15', '')
    """
    dates = find_dates(text)
    return dates[0][2] if dates else ""


_OPEN, _CLOSE = "（(《〈【[“「", "）)》〉】]”」"


def _split_outside(text: str, separators: str) -> list[str]:
    parts, depth, current = [], 0, ""
    for character in text:
        if character in _OPEN:
            depth += 1
        elif character in _CLOSE:
            depth = max(0, depth - 1)
        if depth == 0 and character in separators:
            parts.append(current)
            current = ""
        else:
            current += character
    parts.append(current)
    return parts


_UNIT_END = re.compile(
    r"(?:局|委|办|厅|部|院|署|会|处|中心|政府|公司|集团|银行|海关|总站|总队|支队|大学|学院|学校|研究所|联盟|部门|单位|机构|园区|开发区|新区|高新区|平台|区县|县|区|市|州|军|所|站|社|馆)(?:[（(][^）)]*[）)])?$"
)
_NO_UNIT = {"", "/", "-", "—", "——", "―", "–", "无", "／", "－", "…", "*"}


def _is_unit(word: str) -> bool:
    first = _split_outside(compact(word), "、，,；;")[0]
    return len(first) > 2 and bool(_UNIT_END.search(first))


def _split_fused(part: str) -> list[str]:
    """Split names of bodies of one rank between which a space or a line break was lost (市商务委市财政局)."""
    rank = part[:1]
    if rank not in "市省区县州":
        return [part]
    pieces = re.split(f"(?<=[局委办厅院室])(?={rank}(?![场域]))", part)
    return pieces if all(len(piece) > 2 and _UNIT_END.search(piece) for piece in pieces) else [part]


def split_units(text: str) -> tuple[str, ...]:
    """Split a cell of units at 、，；, 及 and 和, and where a space was lost, never inside brackets or a name.

    及 and 和 split only where what stands on both sides ends like the name of a body.

    Example:
        >>> split_units("市委网信办、市商务委及各行业主管部门")
        ('市委网信办', '市商务委', '各行业主管部门')
        >>> split_units("市政府口岸和物流办公室"), split_units("—")
        (('市政府口岸和物流办公室',), ())
        >>> split_units("市商务委市财政局")
        ('市商务委', '市财政局')
    """
    units: list[str] = []
    joined = ""
    for line in text.split("\n"):
        for place, word in enumerate(line.replace("\u3000", " ").split()):
            # White space between two names of bodies parts them; a line break does not, cells are narrow.
            before = joined if place and not re.search("[市区县州]$", joined) else ""
            apart = len(before) > 2 and _UNIT_END.search(before) and _is_unit(word)
            joined += ("、" if apart else "") + compact(word)
    for part in _split_outside(joined, "、，,；;"):
        pieces = _split_fused(part.strip("。. :："))
        for word in ("以及", "及", "和", "与"):
            split: list[str] = []
            for piece in pieces:
                match = None
                for candidate in re.finditer(word, piece):
                    before, after = piece[: candidate.start()], piece[candidate.end() :]
                    balanced = sum(before.count(c) for c in _OPEN) == sum(before.count(c) for c in _CLOSE)
                    named = len(before) > 2 and len(after) > 2 and _UNIT_END.search(before) and _UNIT_END.search(after)
                    if balanced and named:
                        match = candidate
                        break
                split += [piece] if match is None else [piece[: match.start()], piece[match.end() :]]
            pieces = split
        units += [piece.strip("等") if piece.endswith("等") else piece for piece in pieces]
    return tuple(unit for unit in units if unit not in _NO_UNIT)


_SENTENCE = re.compile(r"[^。！？；!?;\n]+[。！？；!?;]*[”’」』）)]*|\n")
_CLAUSE = re.compile(r"[^，。！？；：,!?;:\n]+[，。！？；：,!?;:]*[”’」』）)]*")


def sentences(text: str) -> list[tuple[int, int]]:
    """Return the spans of the sentences (to 。！？；) of a text.

    Example:
        >>> [("甲成立。乙在建。"[a:b]) for a, b in sentences("甲成立。乙在建。")]
        ['甲成立。', '乙在建。']
    """
    return [match.span() for match in _SENTENCE.finditer(text) if match.group().strip()]


def split_sentences(text: str) -> list[str]:
    """Return the sentences of a text; the text itself where there are none, so that there is always one.

    Example:
        >>> split_sentences("甲成立。乙在建。")
        ['甲成立。', '乙在建。']
    """
    return [text[start:end] for start, end in sentences(text)] or [text]


def clauses(text: str) -> list[tuple[int, int]]:
    """Return the spans of the clauses (to any pause) of a text."""
    return [match.span() for match in _CLAUSE.finditer(text) if match.group().strip()]


@functools.cache
def terms() -> tuple[str, ...]:
    """The terms of data/terms.txt, one a line, # for remarks."""
    path = DATA / "terms.txt"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return tuple(line.split("#")[0].strip() for line in lines if line.split("#")[0].strip())


@functools.cache
def language() -> Language:
    """The spaCy pipeline of this package: blank Chinese with the jieba segmenter and our terms."""
    import logging

    import jieba
    import spacy

    jieba.setLogLevel(logging.ERROR)  # it prints its dictionary's path to stderr on first use
    nlp = spacy.blank("zh", config={"nlp": {"tokenizer": {"segmenter": "jieba"}}})
    for term in terms():
        jieba.add_word(term)
    return nlp


@functools.lru_cache(maxsize=65536)
def words(text: str) -> tuple[str, ...]:
    """Return the words of a text without spaces and punctuation.

    Example:
        >>> words("开展服务业扩大开放综合试点。")[:2]
        ('开展', '服务业扩大开放')
    """
    return tuple(token.text for token in language()(text) if not token.is_punct and not token.is_space)
