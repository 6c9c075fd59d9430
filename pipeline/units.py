"""Names of bodies, so that one unit is one unit: lexicon, patterns of names, successors, units in text.

The lexicon is data/units.csv (name, aliases joined by 、, same_as, successor, kind, level, place); another place needs
only another such file (setting unit_lexicon). What no lexicon holds is read by the patterns of data/unit_patterns.toml.
"""

from __future__ import annotations

import csv
import functools
import re
import tomllib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import DataError
from pipeline.records import Notice
from pipeline.text import DATA, compact

if TYPE_CHECKING:
    from spacy.language import Language

_HAN = "[\u4e00-\u9fff]"
_GENERIC = ("省", "市", "自治区", "区", "县", "州")
_COLUMNS = ("name", "aliases", "same_as", "successor", "kind", "level", "place")
_BRACKETS = re.compile(r"（[^（）]*）$|\([^()]*\)$")
_NOWHERE = "（不详）"
_PLACE = re.compile(rf"(?:中共)?({_HAN}{{2,6}}?(?:省|自治区|特别行政区|市))")


@dataclass(frozen=True)
class Unit:
    """A body that leads or helps.

    name is the full name; same_as the other plate of the same office; successor what took over its work; origin says
    how it was found: "lexicon", "pattern", "free" (各行业主管部门: words, no one body) or "unknown".
    """

    name: str
    kind: str = ""
    level: str = ""
    place: str = ""
    successor: str = ""
    same_as: str = ""
    origin: str = "lexicon"

    @property
    def known(self) -> bool:
        """False where neither the lexicon nor a pattern knows it."""
        return self.origin != "unknown"

    @property
    def office(self) -> str:
        """The name under which plates of one office are counted together."""
        return self.same_as or self.name

    @property
    def current(self) -> str:
        """The name of the body that does its work today."""
        return self.successor or self.office


@dataclass(frozen=True)
class UnitSpan:
    """A unit named in a text, from start to end."""

    start: int
    end: int
    text: str
    unit: Unit


@dataclass(frozen=True)
class _Pattern:
    regex: re.Pattern[str]
    name: str
    kind: str
    successor: str
    find: bool


class UnitLexicon:
    """The units of one or more lexicon files, and the patterns of names.

    Args:
        paths: lexicon files, of which the first that has a name says what it means; none is data/units.csv of the
            package.

    Raises:
        DataError: a file is missing or lacks a column.
    """

    def __init__(self, paths: Sequence[str | Path] = ()) -> None:
        self.paths = tuple(paths) or (DATA / "units.csv",)
        self._by_name: dict[str, list[Unit]] = {}
        for path in self.paths:
            for name, unit in _read_lexicon(Path(path)):
                self._by_name.setdefault(name, []).append(unit)
        self._places = dict.fromkeys(unit.place for units in self._by_name.values() for unit in units if unit.place)
        self._patterns, self._free, self._municipalities, provinces = _read_patterns(DATA / "unit_patterns.toml")
        # Where a name can begin; trying the patterns there alone is many times faster.
        self._start = re.compile(
            "(?=" + "|".join(provinces) + "|自治区|[省市区县]|人行|人民银行|中国|中共|国家|外汇|民航)"
        )
        self._language: Language | None = None

    def resolve(self, name: str, place: str = "") -> Unit:
        """Return the unit that a name means.

        Args:
            name: a full or short name.
            place: the province or city of the notice, which 市科技局 belongs to; "" takes the lexicon's. A row of the
                lexicon without a place holds for any.

        Returns:
            A unit; what nothing knows keeps its name and has origin "unknown".

        Example:
            >>> UnitLexicon().resolve("人行重庆营管部").current
            '中国人民银行重庆市分行'
            >>> UnitLexicon().resolve("市科技局", "杭州市").name
            '杭州市科技局'
        """
        text = compact(name).strip("。；，、:：")
        if listed := self._listed(text, place):
            return listed
        for pattern in self._patterns:
            match = pattern.regex.fullmatch(text)
            if match:
                return self._from_pattern(pattern, match, place)
        if not text or "《" in text or any(word in text for word in self._free):
            return Unit(text, kind="泛称", place=place, origin="free")
        return Unit(text, kind="未知", place=place, origin="unknown")

    def _listed(self, text: str, place: str) -> Unit | None:
        """The lexicon's unit of a name; 重庆市科技局 is the 市科技局 of 重庆市, a plate in brackets is left out."""
        bare = _BRACKETS.sub("", text)
        for name in dict.fromkeys((text, bare)):
            for unit in self._by_name.get(name, ()):
                if not place or unit.place in ("", place) or not name.startswith(_GENERIC):
                    return unit
        bare = bare.removeprefix("中共")
        for area in self._places:
            if bare.startswith(area):
                short = next((word for word in _GENERIC if area.endswith(word)), area) + bare[len(area) :]
                for unit in self._by_name.get(short, ()):
                    if unit.place == area:
                        return unit
        return None

    def current(self, name: str, place: str = "") -> str:
        """Return the name of the body that does a unit's work today, through its other plate and all its successors.

        Example:
            >>> UnitLexicon().current("市金融工作局")
            '中共重庆市委金融委员会办公室'
        """
        unit, passed = self.resolve(name, place), list[str]()
        while unit.current != unit.name and unit.name not in passed:
            passed.append(unit.name)
            unit = self.resolve(unit.current, place)
        # Two plates that name each other are one office as well.
        return min(passed[passed.index(unit.name) :]) if unit.name in passed else unit.name

    def names(self) -> dict[str, set[str]]:
        """Return all names that the lexicon has for each body of today."""
        found: dict[str, set[str]] = defaultdict(set)
        for name, units in self._by_name.items():
            for unit in units:
                found[self.current(unit.name, unit.place)] |= {name, unit.name}
        return found

    def _from_pattern(self, pattern: _Pattern, match: re.Match[str], place: str) -> Unit:
        groups = {key: value or "" for key, value in match.groupdict().items()}
        area = groups.get("area") or groups.get("place") or ""
        named = area
        if area in _GENERIC and area in ("省", "市", "自治区") and place.endswith(area):
            named = place
        groups |= {"area": named} if "area" in groups else {"place": named}
        level = ""
        if named in self._municipalities or named.endswith(("省", "自治区")):
            level = "省级"
        elif pattern.kind == "中央驻地机构" and area not in _GENERIC:
            level = ""
        elif named.endswith(("市", "州", "盟")):
            level = "市级"
        elif named.endswith(("区", "县", "旗")):
            level = "县级"
        # A body with its note in brackets, 市科技局（市外专局）, is one with two plates: the first names it.
        found = Unit(
            pattern.name.format(**groups), pattern.kind, level, named if named not in _GENERIC else "",
            successor=pattern.successor.format(**groups) if pattern.successor else "", origin="pattern",
        )  # fmt: skip
        if listed := self._listed(found.name, place):
            return listed
        after = self._listed(found.successor, place) if found.successor else None
        return replace(found, successor=after.name) if after else found

    def find(self, text: str, place: str = "") -> list[UnitSpan]:
        """Return the units named in a running text, from left to right, the longest at each place.

        Example:
            >>> [span.text for span in UnitLexicon().find("市科技局会同重庆海关办理")]
            ['市科技局', '重庆海关']
        """
        doc = self._pipeline()(text)
        spans = {
            (entity.start_char, entity.end_char): self.resolve(entity.text, place)
            for entity in doc.ents
            if entity.label_ == "UNIT"
        }
        starts = [match.start() for match in self._start.finditer(text)]
        for pattern in self._patterns:
            if pattern.find:
                for start in starts:
                    if match := pattern.regex.match(text, start):
                        spans.setdefault(match.span(), self._from_pattern(pattern, match, place))
        found: list[UnitSpan] = []
        for start, end in sorted(spans, key=lambda span: (span[0] - span[1], span[0])):
            if all(end <= other.start or start >= other.end for other in found):
                found.append(UnitSpan(start, end, text[start:end], spans[start, end]))
        return sorted(found, key=lambda span: span.start)

    def _pipeline(self) -> Language:
        """Blank Chinese with an entity ruler of the lexicon's names.

        Characters are its tokens: a word segmenter cuts across names (会同市|科技局) and hides them from the ruler.
        """
        if self._language is None:
            import spacy

            nlp = spacy.blank("zh")
            ruler: Any = nlp.add_pipe("entity_ruler", config={"overwrite_ents": True})
            # A bare district is a place; only with its government is it a unit.
            names = [name for name in self._by_name if not name.endswith(("区", "县"))]
            ruler.add_patterns([{"label": "UNIT", "pattern": name} for name in names])
            self._language = nlp
        return self._language


def _read_lexicon(path: Path) -> list[tuple[str, Unit]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}：单位词典无法读取（{error}）。请检查文件是否为 UTF-8 的 CSV。") from error
    found = []
    for number, row in enumerate(rows, 2):
        if any(row.get(column) is None for column in _COLUMNS) or not compact(row["name"]):
            raise DataError(f"{path} 第{number}行：应有 {'、'.join(_COLUMNS)} 各列，且 name 不为空。请补齐。")
        told = {column: compact(row[column]) for column in _COLUMNS}
        aliases = told.pop("aliases").split("、")
        unit = Unit(**told)
        found += [(name, unit) for name in dict.fromkeys([unit.name, *aliases]) if name]
    return found


def _read_patterns(path: Path) -> tuple[list[_Pattern], tuple[str, ...], frozenset[str], list[str]]:
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    area = rf"(?:(?:{_HAN}{{2,7}}?)?(?:自治区|省|市|区|县|自治州|州))"
    parts = {
        "{area}": area,
        "{place}": rf"(?:{_HAN}{{2,12}}?)",
        "{province}": "(?:" + "|".join(data["provinces"]) + ")(?:省|市|自治区)?",
        "{field}": "|".join(sorted(data["fields"], key=len, reverse=True)),
        "{han}": _HAN,
    }
    patterns = []
    for row in data["pattern"]:
        expression = row["match"]
        if row.get("find"):
            # In running text a place of any name swallows what stands before it: known places only.
            known = parts["{province}"]
            strict = parts | {"{place}": known, "{area}": rf"(?:(?:{known})|自治区|省|市|(?<!{_HAN})区|(?<!{_HAN})县)"}
        for mark, value in parts.items():
            expression = expression.replace(mark, value)
        patterns.append(_Pattern(re.compile(expression), row["name"], row["kind"], row.get("successor", ""), False))
        if row.get("find"):
            expression = row["match"]
            for mark, value in strict.items():
                expression = expression.replace(mark, value)
            patterns.append(_Pattern(re.compile(expression), row["name"], row["kind"], row.get("successor", ""), True))
    return patterns, tuple(data["free"]), frozenset(data["municipalities"]), data["provinces"]


@functools.cache
def default_lexicon() -> UnitLexicon:
    """Return the lexicon that comes with the package."""
    return UnitLexicon()


def lexicon_with(further: str | Path = "") -> UnitLexicon:
    """Return the package's lexicon with a further file laid over it, whose names win; "" for none.

    Raises:
        DataError: the file is missing or lacks a column.
    """
    return UnitLexicon([further, DATA / "units.csv"]) if further else default_lexicon()


def resolve(name: str, place: str = "") -> Unit:
    """Return the unit that a name means, by the package's own lexicon; see UnitLexicon.resolve."""
    return default_lexicon().resolve(name, place)


def find_units(text: str, place: str = "") -> list[UnitSpan]:
    """Return the units named in a running text, by the package's own lexicon; see UnitLexicon.find."""
    return default_lexicon().find(text, place)


def place_of(issuer: str) -> str:
    """Return the province or city that an issuer or a title begins with, "" where it names none.

    Example:
        >>> place_of("重庆市人民政府"), place_of("关于印发")
        ('重庆市', '')
    """
    match = _PLACE.match(compact(issuer))
    return match.group(1) if match else ""


class NoticeUnits:
    """The units of one notice, each counted under one name whatever it is called.

    Args:
        notice: whose tasks name the units; its issuer says which place 市科技局 belongs to.
        further: a lexicon file laid over the package's; "" for none.

    Raises:
        DataError: the file is missing or lacks a column.

    Example:
        >>> from pipeline.records import Task
        >>> task = Task("n#1", 1, "试点。", lead_units=("市金融工作局",))
        >>> units = NoticeUnits(Notice("n", "方案", "重庆市人民政府", "", "", "", (), (), (), (task,)))
        >>> units.shown("市金融监管局"), units.named("重庆市地方金融监督管理局")
        ('市金融工作局', {'市金融工作局'})
    """

    def __init__(self, notice: Notice, further: str | Path = "") -> None:
        self.lexicon = lexicon_with(further)
        # Where the issuer names no place, the package's own city is not meant, but that of the file given may be.
        places = {unit.place for _, unit in _read_lexicon(Path(further))} if further else set()
        own = places.pop() if len(places) == 1 else ""
        self.place = place_of(notice.issuer) or own or _NOWHERE
        self.spellings = Counter(name for task in notice.tasks for name in (*task.lead_units, *task.coop_units))
        self._current: dict[str, str] = {}

    def resolve(self, name: str) -> Unit:
        """Return the unit that a name means in this notice."""
        return self.lexicon.resolve(name, self.place)

    def current(self, name: str) -> str:
        """Return the name of the body that does a unit's work today; units of one such name are one."""
        if name not in self._current:
            self._current[name] = self.lexicon.current(name, self.place)
        return self._current[name]

    def shown(self, name: str) -> str:
        """Return how the notice mostly writes the unit of a name; the name itself where the notice has no such unit."""
        return self._shown.get(self.current(name), name)

    @functools.cached_property
    def _shown(self) -> dict[str, str]:
        return {self.current(name): name for name, _ in reversed(self.spellings.most_common())}

    @functools.cached_property
    def _names(self) -> dict[str, set[str]]:
        names = self.lexicon.names()
        for name in self.spellings:
            names[self.current(name)] |= {self.current(name), self.resolve(name).name}
        return names

    def unknown(self) -> list[str]:
        """Return the names that nothing knows, in the order of the notice."""
        return [name for name in self.spellings if not self.resolve(name).known]

    def named(self, wanted: str) -> set[str]:
        """Return the notice's spellings of the units that are called so: by any of their names, or by a part of one.

        A part is looked for in the spellings of the notice first, in the other names only where none has it.
        """
        part = compact(wanted)
        bodies = {self.current(name) for name in self.spellings if part in compact(name)} | {self.current(part)}
        found = {name for name in self.spellings if self.current(name) in bodies}
        return found or {
            name for name in self.spellings if any(part in other for other in self._names[self.current(name)])
        }
