"""Automatic numbers of DOCX: counted as Word counts them, written as Word shows them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from pipeline.readers.archive import attribute, local


def child_at(element: Any, *names: str) -> Any:
    """Return the element down a path of child names, None where it breaks off."""
    for name in names:
        element = next((child for child in element if local(child) == name), None)
        if element is None:
            return None
    return element


def value_of(element: Any, *names: str) -> str | None:
    """Return the val of the element down a path, "" where it has none, None where there is no element."""
    found = child_at(element, *names) if names else element
    return None if found is None else (attribute(found, "val") or "")


def integer_of(text: str | None, default: int = 0) -> int:
    """Return the integer that an attribute holds, the default where it holds none."""
    try:
        return int(float(text)) if text else default
    except (ValueError, OverflowError):
        return default


@dataclass
class _Level:
    start: int = 1
    form: str = "decimal"
    text: str = ""


@dataclass
class AutomaticNumbers:
    """Counts automatic numbers and writes them as they are shown."""

    levels: dict[str, dict[int, _Level]] = field(default_factory=dict)
    lists: dict[str, str] = field(default_factory=dict)
    starts: dict[str, dict[int, int]] = field(default_factory=dict)
    counters: dict[str, dict[int, int]] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, root: Any) -> AutomaticNumbers:
        """Return the lists that numbering.xml defines."""
        numbers = cls()
        for element in root:
            if local(element) == "abstractNum":
                levels: dict[int, _Level] = {}
                for found in element:
                    if local(found) == "lvl":
                        levels[integer_of(attribute(found, "ilvl"))] = cls._level(found)
                numbers.levels[attribute(element, "abstractNumId") or ""] = levels
            elif local(element) == "num":
                key = attribute(element, "numId") or ""
                numbers.lists[key] = value_of(element, "abstractNumId") or ""
                for found in element:
                    if local(found) == "lvlOverride" and (start := value_of(found, "startOverride")) is not None:
                        numbers.starts.setdefault(key, {})[integer_of(attribute(found, "ilvl"))] = integer_of(start, 1)
        return numbers

    @staticmethod
    def _level(element: Any) -> _Level:
        return _Level(
            integer_of(value_of(element, "start"), 1),
            value_of(element, "numFmt") or "decimal",
            value_of(element, "lvlText") or "",
        )

    def render(self, key: str, level: int) -> str:
        """Return the next number of a list at a level, "" for bullets and unknown lists."""
        abstract = self.lists.get(key)
        levels = self.levels.get(abstract or "")
        if abstract is None or not levels or level not in levels:
            return ""
        counters = self.counters.setdefault(abstract, {})
        if key not in self.seen:
            self.seen.add(key)
            for depth, start in self.starts.get(key, {}).items():
                counters[depth] = start - 1
        counters[level] = counters.get(level, levels[level].start - 1) + 1
        for deeper in [depth for depth in counters if depth > level]:
            del counters[deeper]
        if levels[level].form in ("bullet", "none"):
            return ""

        def written(match: re.Match[str]) -> str:
            depth = int(match.group(1)) - 1
            found = levels.get(depth, _Level())
            return write_number(counters.get(depth, found.start), found.form)

        return re.sub(r"%(\d)", written, levels[level].text)


def _chinese(number: int) -> str:
    """Return a number below 10,000 in Chinese numerals."""
    digits = "〇一二三四五六七八九"
    if number < 10:
        return digits[number]
    text = ""
    gap = False
    for power, unit in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit = number // power % 10
        if digit:
            text += (
                ("零" if gap and text else "")
                + ("" if unit == "十" and digit == 1 and not text else digits[digit])
                + unit
            )
            gap = False
        else:
            gap = True
    return text


def write_number(number: int, form: str) -> str:
    """Return a number as Word writes it in a format of numbers (numFmt).

    Example:
        >>> [write_number(n, "chineseCounting") for n in (1, 10, 21)], write_number(4, "lowerRoman")
        (['一', '十', '二十一'], 'iv')
    """
    if form in (
        "chineseCounting", "chineseCountingThousand", "japaneseCounting", "taiwaneseCounting", "ideographDigital",
        "taiwaneseCountingThousand", "chineseLegalSimplified", "japaneseDigitalTenThousand",
    ):  # fmt: skip
        if form == "chineseLegalSimplified":
            return _chinese(number % 10000).translate(
                str.maketrans("一二三四五六七八九十百千", "壹贰叁肆伍陆柒捌玖拾佰仟")
            )
        return _chinese(number % 10000)
    if form.startswith("decimalEnclosedCircle") and 1 <= number <= 20:
        return chr(0x2460 + number - 1)
    if form in ("lowerLetter", "upperLetter") and number >= 1:
        letter = chr(ord("a") + (number - 1) % 26) * min(1 + (number - 1) // 26, 5)
        return letter if form == "lowerLetter" else letter.upper()
    if form in ("lowerRoman", "upperRoman") and 1 <= number < 4000:
        text = ""
        for value, sign in (
            (1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"), (10, "x"),
            (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
        ):  # fmt: skip
            while number >= value:
                text, number = text + sign, number - value
        return text if form == "lowerRoman" else text.upper()
    if form == "ideographTraditional" and 1 <= number <= 10:
        return "甲乙丙丁戊己庚辛壬癸"[number - 1]
    if form == "decimalZero":
        return f"{number:02d}"
    return str(number)
