"""What a notice aims at: the platforms and areas it names, and its goals with their deadlines."""

from __future__ import annotations

import calendar
import datetime
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from pipeline.readers.structure import depth
from pipeline.records import Area, Goal, Paragraph, Source, Task
from pipeline.text import compact, parse_numeral

_MOST = 300  # a notice names some dozens
_MOST_CLAUSE = 200  # characters of a clause that are looked at
_MOST_PARAGRAPHS = 40  # below one heading of goals
_HAN = "[一二三四五六七八九十]{1,3}"
_NUMBERING = (
    rf"(?:第{_HAN}[章节]|[（(](?:{_HAN}|\d{{1,3}})[)）]|{_HAN}[、.．是]|\d{{1,3}}[.．、](?!\d)|[①-⑳]|[—–－-]{{1,3}})\s*"
)
_NUMBERED = re.compile(rf"^\s*(?:{_NUMBERING}){{0,2}}")
_SENTENCE_END = re.compile(r"[。！？；!?;\n]")
_TITLE = re.compile(r"《[^《》]*》")

# Areas: how they are enumerated, what a place is called, and what is none.
_ROLE = re.compile(
    r"[以把将]([^以把将]+?)作?为(?:(?:主要|重要|核心|重点|战略|关键)(?=.))?"
    r"(龙头|引领|载体|主?阵地|主战场|承载地|基础|依托|重点|核心|支撑|支点|先导|引擎|极核|牵引|节点)"
)
_STRONG_ROLES = ("龙头", "载体", "阵地", "主阵地", "主战场", "承载地")
_COLLECTIVE = (
    r"等(?:重点|主要|重要|核心|各类|特色|开放|开发|功能|产业|战略|优势|国家级|省级|市级|试点|示范){0,3}"
    r"(?:平台|园区|区域|片区|功能区|开发区|新区|板块|载体|组团)"
)
_VERB = re.compile(
    r"因地制宜|建设|打造|发展(?!区)|开展|加快|率先|先行|创建|探索|设立|申报|申建|围绕|聚焦|结合|依托|立足|做[大强优]|争创|深化|推进"
    r"|推动|提升|承接|培育|引进|扩大|布局|实施|充分|积极|大力|着力|着重|重点|主要|全面|建立|建成|成为|形成|利用|完善|优化|加强|强化|集聚"
    r"|发挥|纳入|扩区|扩容|升级|增设|争取|搭建|优先|试行|落实|实行|申请|复制|拓展|吸引|引入|承担|承办|设置|参与|按照|联动|协同"
    r"|错位|制定|举办|辐射|带动|作用|内(?!陆|河|港)|为|要|应|可|将|的"
)
_GROUP = re.compile(rf"{_COLLECTIVE}(?=$|[，、和与及]|{_VERB.pattern})")
_COLLECTIVE_INSIDE = re.compile(rf"{_COLLECTIVE}(?=$|、|和|与|及|以及)")
_SUPPORT = re.compile(r"(?:鼓励[和、与]?)?支持|鼓励|依托|立足")
_LEAD_IN = re.compile(
    r"^.*(?:支持|鼓励|推动|推进|引导|依托|立足|发挥好?|加快|聚焦|围绕|突出|统筹|建设|打造|促进|选择|选取|包括|形成|明确|[在以把将])(?=..)"
)
_TAIL = re.compile(r"(?:等[^、]{0,12}|(?:[两三四五六七八九十]|[0-9]{1,2})[个大][^、]{1,12})$")
_LOOSE = re.compile(r"等(?:平台|载体|板块)")  # 甲实验室、乙联盟等平台
_DEED = re.compile(r"^[对向]|在|设立|申报|创建|融入|共建|托管|支持|鼓励|利用|设置|举办|开展|开设|培育|打造")
_PLACE = re.compile(
    r"(?:区域?|园|城|港|口岸|岸线|湾|岛|谷|街|商圈|组团|走廊|枢纽|机场|车站|码头|城[镇市]群|都市圈|经济圈|[济范业展]带|市|县|州|镇|广场)$"
)
_NO_PLACE = re.compile(
    r"(?:社区|小区|校区|病区|院区|厂区|误区|专区|地区|校园|家园|幼儿园|上市|超市|股市|门市|城市|县城|商城"
    r"|[业会展化性权法链委局办院校部厅节库器室]|项目|技术|创新|制度|改革|需求|优势|资源|服务|贸易|经济|金融|科技|医疗|文化|旅游|教育|品牌"
    r"|机制|体系|政策|标准|规则|数据|人才|市场|领域|环境|能力|战略|规划|工程|活动|论坛|产品|网络|信息|窗口|场景|模式|单位|机构|大学"
    r"|公司|集团|银行|目标|理念|建设|转型|融合|合作|主义|思想|精神|人民|社会|权益|物流|交通|消费|投资|电商|海关|政府|通道|人群|联盟|网站|网点|媒体)$"
)
_GENERIC = re.compile(
    r"(?:各|有关|相关|其他|其它|所有|全部|部分|若干|一批|上述|有条件|具备|符合|特定|周边|其).*|.*的.*"
    r"|(?:国家级?|省级|市级|[全我本]|重点|重要|开放|特色|产业|功能|主要|核心|示范|试点|[省市区县城])*"
    r"(?:平台|园区?|区域|片区|[省市州区县镇乡]|街道|地区|载体|板块|城市|组团|基地|枢纽|辖区|新区|[产牧山老街]区|村镇|城市群|都市圈)"
)
_SHAPE = re.compile(r"[\u4e00-\u9fffA-Za-z0-9（）·+-]{2,24}")
_AIM = re.compile(
    r"(?:着力|加快|努力|全力|共同|奋力|合力|争取|力争|积极|率先|协同|联合|推动|逐步){0,2}"
    r"(?:打造|建设|建成|创建|构建|形成|争创|建立|培育|塑造)(?![的等])(?=..)"
)
_SHORT = (("自由贸易", "自贸"), ("高新技术产业开发区", "高新区"), ("经济技术开发区", "经开区"))
_REGION = re.compile(r"[\u4e00-\u9fff]{1,12}?(?:自治区|自治州|特别行政区|[省市盟县区])")


@dataclass
class _Naming:
    """The names of the issuer's own region, and what they make of a name of an area."""

    regions: tuple[str, ...]

    @classmethod
    def of(cls, issuer: str) -> _Naming:
        """Find the regions that the name of a body begins with (甲省乙市人民政府), each with and without its kind."""
        bare = re.sub("^中(?:国共产党|共)", "", compact(issuer))
        names: list[str] = []
        at = 0
        while region := _REGION.match(bare, at):
            full, at = region.group(), region.end()
            stem = re.sub("(?:自治区|自治州|特别行政区|[省市盟县区])$", "", full)
            names += [full, stem, stem[:2] if "自治" in full else ""]
        return cls(tuple(sorted({name for name in names if len(name) > 1}, key=len, reverse=True)))

    def begins(self, name: str) -> bool:
        """Tell whether a name is more than that of a region, and begins with it."""
        return name.startswith(self.regions) and len(name) > len(self.regions[-1]) + 1

    def key(self, name: str) -> str:
        """What stays the same in all ways to write one name."""
        bare = compact(name).replace("(", "（").replace(")", "）")
        for region in self.regions:
            bare = bare.replace(f"（{region}）", "")
        bare = re.sub("^[我全本][省市区县](?=..)", "", bare)
        for region in self.regions:
            if bare.startswith(region) and len(bare) > len(region) + 1:
                bare = bare.removeprefix(region)
                break
        for long, short in _SHORT:
            bare = bare.replace(long, short)
        return re.sub("^(?:国家级?|中国)?(?:对外)?(?=...)", "", bare)


@dataclass
class _Found:
    """An area while the notice is gone through."""

    names: list[str] = field(default_factory=list)
    aims: list[str] = field(default_factory=list)
    sections: list[str] = field(default_factory=list)
    tasks: set[int] = field(default_factory=set)
    source: Source | None = None
    """In the text, where it stands there."""
    row: Source | None = None
    """In the table."""


def find_areas(paragraphs: Sequence[Paragraph], tasks: Sequence[Task], issuer: str) -> tuple[Area, ...]:
    """Return the platforms and areas that a notice gives a part to play, in the order of its table, each once.

    They stand in enumerations (以A、B为载体，打造…; A、B等重点平台着重…; 支持A、B建设…) of the table's section
    headings and of the text. A name with and without that of the issuer's city is one area, under the shorter name.

    Args:
        paragraphs: the text of the notice.
        tasks: whose parts and sections are looked through.
        issuer: the body whose city or province is left out when names are compared.
    """
    naming = _Naming.of(issuer)
    found: dict[str, _Found] = {}
    headings: dict[tuple[str, str], list[Task]] = {}
    for task in tasks:
        for place in ((task.part, ""), (task.part, task.section)):
            headings.setdefault(place, []).append(task)
    headings.pop(("", ""), None)
    for (part, section), members in headings.items():
        hint = bool(re.search("平台|园区|区域|片区", part))
        for names, aim in _mentions(section or part, naming, hint, True):
            for area in _add(found, names[: _MOST - len(found)], aim, naming):
                _tie(area, section or part, members)
    told = {key for key, area in found.items() if area.aims}
    for paragraph in paragraphs:
        for names, aim in _mentions(paragraph.text, naming, False, False):
            for name in names[: _MOST - len(found)]:
                # The aim of a heading stands over what the text says of an area.
                (area,) = _add(found, [name], "" if naming.key(name) in told else aim, naming)
                area.source = area.source or paragraph.source
    for (part, section), members in headings.items():
        heading = compact(section or part).replace("(", "（").replace(")", "）")
        for key, area in found.items():
            if (section or part) not in area.sections and key in heading and _names(heading, key, naming):
                _tie(area, section or part, members)
    return tuple(
        Area(
            min(area.names, key=len),
            "；".join(dict.fromkeys(area.aims)),
            tuple(area.sections),
            tuple(sorted(area.tasks)),
            area.source or area.row,
        )
        for area in found.values()
    )


def _add(found: dict[str, _Found], names: Iterable[str], aim: str, naming: _Naming) -> list[_Found]:
    areas = []
    for name in names:
        area = found.setdefault(naming.key(name), _Found())
        area.names.append(name)
        area.aims += [aim] if aim else []
        areas.append(area)
    return areas


def _tie(area: _Found, heading: str, members: Sequence[Task]) -> None:
    """Note a heading that names an area with its tasks; it stands where the first of them does."""
    area.sections += [] if heading in area.sections else [heading]
    area.tasks |= {task.no for task in members}
    if members[0].source and not area.row:
        area.row = replace(members[0].source, row=None, box=None)


def _names(heading: str, key: str, naming: _Naming) -> bool:
    """Tell whether a heading holds a name as a whole, not as the end of a longer one."""
    for match in re.finditer(re.escape(key) + "(?![区园城县市州镇港湾岛群带])", heading):
        before = heading[: match.start()]
        if re.search(r"(?:^|[^\u4e00-\u9fff]|[在以和与及把将对]|支持|推动|推进|依托|立足|发挥|加快|建设)$", before):
            return True
        if before.endswith(naming.regions or "\n"):
            return True
    return False


def _mentions(text: str, naming: _Naming, hint: bool, heading: bool) -> Iterator[tuple[list[str], str]]:
    """Yield the areas that each enumeration of a text names, with the aim that follows them."""
    for sentence in _SENTENCE_END.split(_TITLE.sub("□", text)):
        clauses = [_NUMBERED.sub("", clause, count=1)[:_MOST_CLAUSE] for clause in re.split("[，：:]", sentence)]
        last: tuple[list[str], list[str]] | None = None
        for clause in clauses:
            names, rest = _enumeration(clause, naming, hint)
            if names:
                if last:
                    yield last[0], _aim(last[1], heading)
                last = names, [rest]
            elif last:
                last[1].append(clause)
        if last:
            yield last[0], _aim(last[1], heading)


def _enumeration(clause: str, naming: _Naming, hint: bool) -> tuple[list[str], str]:
    """Return the areas that a clause enumerates and what follows them in it, ([], "") where there is none."""
    role = _ROLE.search(clause)
    if role:
        strong = role.group(2) in _STRONG_ROLES
        names = _accepted(role.group(1), naming, hinted=strong and hint, named=strong)
        if names:
            return names, clause[role.end() :]
    group = _GROUP.search(clause)
    if group:
        names = _accepted(_LEAD_IN.sub("", clause[: group.end()]), naming)
        if names:
            return names, clause[group.end() :]
    support = _SUPPORT.search(clause)
    if support:
        verb = _VERB.search(clause, support.end() + 2)
        end = verb.start() if verb else len(clause)
        names = _accepted(clause[support.end() : end], naming, strict=True)
        if names:
            return names, clause[end:]
    return [], ""


def _accepted(text: str, naming: _Naming, hinted: bool = False, named: bool = False, strict: bool = False) -> list[str]:
    """Return the names of areas in an enumeration, none where nothing shows that it is one of places.

    Args:
        text: A、B和C等区域.
        naming: of the issuer's region.
        hinted: what stands around it shows that it is one of places.
        named: one name that begins with the issuer's region shows it too.
        strict: take only names that end like those of places.
    """
    plain = _COLLECTIVE_INSIDE.sub("、", text)
    items = [item for part in _outside(_TAIL.sub("", plain)) for item in _split_pair(part.strip("“”\"' "))]
    items = [re.sub("^.*在(?=..)", "", item) for item in items]
    places = sum(_is_place(item) for item in items)
    gathered = plain != text and not _LOOSE.search(text)
    shown = gathered or hinted or (named and any(map(naming.begins, items)))
    if not shown and 2 * places < len(items):
        return []
    strict = strict or not shown
    return [
        item
        for item in items
        if _SHAPE.fullmatch(item.replace("(", "（").replace(")", "）"))
        and item not in naming.regions
        and not _GENERIC.fullmatch(item)
        and not _DEED.search(item)
        and (_is_place(item) or not (strict or _NO_PLACE.search(item)))
    ]


def _outside(text: str) -> list[str]:
    """Split at 、 outside brackets."""
    parts = re.split("(、|[（(][^（）()]*[)）])", text)
    joined = [""]
    for part in parts:
        if part == "、":
            joined.append("")
        else:
            joined[-1] += part
    return [part for part in joined if part]


def _is_place(name: str) -> bool:
    return bool(_PLACE.search(name)) and not _NO_PLACE.search(name)


def _split_pair(text: str) -> list[str]:
    """Split A和B where A is a place, or neither is called one (江岸和钟楼)."""
    for match in re.finditer("以及|[和与及暨]", text):
        one, other = text[: match.start()], text[match.end() :]
        if len(one) > 1 and len(other) > 1 and (_is_place(one) or not _is_place(other)):
            return [one, *_split_pair(other)]
    return [text] if text else []


def _aim(clauses: Sequence[str], heading: bool) -> str:
    """Return the last clause that names what is to come about (打造…); in a heading else the first."""
    for clause in reversed(clauses):
        if _AIM.match(clause):
            return clause.strip()
    if found := re.search("(?:打造|建成|创建|争创).+", clauses[0]):
        return found.group().strip()
    return next((clause.strip() for clause in clauses if clause.strip()), "") if heading else ""


# Goals: where they stand, what sets a time, what is a number.
_GOAL_WORDS = "(?:工作|总体|发展|主要|试点|建设|改革|行动|开放|阶段|近期|中期|远期|年度|具体|量化|预期|战略|奋斗|总)"
_GOAL_HEAD = re.compile(
    rf"\s*(?:{_NUMBERING})?(?P<early>到?20\d\d年(?:底|度)?|[一二三四五]年)?(?:[\u4e00-\u9fff]{{2,6}}[和与及、])?{_GOAL_WORDS}{{0,2}}目标"
    r"(?:任务|[和与及][\u4e00-\u9fff]{2,6})?(?:[（(](?P<late>[^（()）]{4,20})[)）])?"
    r"(?:(?:[是为]|如下|是如下)?[：:。]|[是为]，?|$)\s*"
)
_GOAL_SENTENCE = re.compile(rf"[。；]{_GOAL_WORDS}{{1,2}}目标[是为][：:，]?")
_YEAR = "(20[0-9]{2}|二[〇零○][〇零○一二三四五六七八九]{2})"
_NUMBER_WORD = "(?:[0-9]{1,2}|[一二三四五六七八九十两]{1,3})"
_INTRO = "(?:其中|力争|争取|计划|预计|确保|努力|即){0,2}"
_UNTIL = re.compile(
    rf"(?:(?:到|至|截至|截止|在|于|从)?(?:{_YEAR}年?(?:[—–－~～-]{{1,2}}|至|到))?){_YEAR}年"
    rf"(?:({_NUMBER_WORD})月(?:份|({_NUMBER_WORD})日)?|(上|下)半年|第?([一二三四1-4])季度)?(年?底|年?末|初|中|年?内)?(?:之?(前)|以前)?"
)
_YEARS = rf"(?:{_NUMBER_WORD}(?:[—–－~～-]{{1,2}}|[至到或、]))?({_NUMBER_WORD})个?年"
_SPAN = re.compile(
    rf"(?:(?:经过|通过|利用|再用|用|未来|今后)(?:大?约)?{_YEARS}|{_YEARS}(?=左右|时间|试点|内|期))"
    r"(?:左右|以?内)?(?:的?(?:时间|试点期?|努力|建设|探索|发展|改革|实践|期)(?:内|左右|满)?){0,3}"
)
_PLAN = re.compile(
    r"(?:到|至|在)?[“\"]?(十[一二三四五六七八九]|二十)五[”\"]?(?:规划)?(?:时期|期间|期)?(?:末|内|结束时?)?"
)
_TERM = re.compile(r"(?:到|在)?(?:试点|建设|规划|改革)?期(?:末|满|内|间|结束时?)|(?:到|至)本世纪中叶")
_LATER = re.compile(rf"[到至]{_YEAR}年(?:底|末)?")
_LABEL = re.compile(r"(?:目标|如下|包括|是|为|要求|做到|实现)$")
_UNIT = (
    r"(?:个百分点|百分点|[%％‰]|平方公里|平方米|公里|公顷|亩|美元|元|标准箱|标箱|TEU|人次|架次|班次|班列|列|千瓦时|千瓦|小时|分钟"
    r"|[项个家户件条批人吨所座处类种倍位名次天台套辆架门场只宗笔起份列班艘级对])"
)
_BOUND = "(?:以上|以下|以内|之内|左右)?"
_VALUE = re.compile(
    rf"(?<![\d.])\d[\d,]*(?:\.\d+)?(?:(?:[—–－~～-]{{1,2}}|[至到])\d[\d,]*(?:\.\d+)?)?[余多]?[百千万亿]{{0,2}}[余多]?{_UNIT}{_BOUND}"
    rf"|(?<![第“一二三四五六七八九十百千万亿])(?!一[个项批条种类家级次])[一二三四五六七八九十百千万两]{{1,6}}[余多]?[项个家户件条倍所座类]{_BOUND}"
)


def find_goals(paragraphs: Sequence[Paragraph], date: str) -> tuple[Goal, ...]:
    """Return the goals of a notice: the clauses under its headings of goals (工作目标, 发展目标 …), in order.

    A clause that only sets a time gives it to those that follow, up to the next. A time without an end that can be
    told (2030年前, 试点期内) leaves the deadline empty; of 3—5年 the longer holds.

    Args:
        paragraphs: the text of the notice.
        date: ISO date of the notice, from which 经过3年 is counted.
    """
    goals: dict[tuple[str, str], Goal] = {}
    for text, source, starts in _goal_texts(paragraphs):
        if starts:
            horizon = deadline = ""
        for clause, label in _clauses(text):
            words, until, at, lasting = _time(clause, date)
            if lasting and words:
                horizon, deadline = words, until
            if at >= len(clause) or (label and (words or _LABEL.search(clause))):
                continue
            now = (words, until) if words else (horizon, deadline)
            if len(re.sub(r"[^\u4e00-\u9fff\w]", "", clause)) > 3 and len(goals) < _MOST:
                values = tuple(found.group() for found in _VALUE.finditer(clause))
                goals.setdefault((clause, now[0]), Goal(clause, *now, values, source))
    return tuple(goals.values())


def _goal_texts(paragraphs: Sequence[Paragraph]) -> Iterator[tuple[str, Source, bool]]:
    """Yield the texts that hold goals, with their source and whether a heading starts anew."""
    head: Paragraph | None = None
    level = room = 0
    for paragraph in paragraphs:
        text = paragraph.text
        found = _GOAL_HEAD.match(text)
        here = depth(text)
        if head and not (found and here > level > 0) and (room <= 0 or _ends(head, level, paragraph, here)):
            head = None
        if found and not head:
            head, level, room = paragraph, here, _MOST_PARAGRAPHS
            yield _rest(found), paragraph.source, True
        elif head:
            room -= 1
            if found or re.search("[，。；：]", text):
                yield _rest(found) if found else text, paragraph.source, False
        elif told := _GOAL_SENTENCE.search(text):
            yield text[told.end() :], paragraph.source, True


def _rest(head: re.Match[str]) -> str:
    """What follows the words of a heading, after the time that stands in it (2025年工作目标, 近期目标（2025年）)."""
    time = re.sub(r"^[一二三四五]年$", "", head.group("early") or head.group("late") or "")
    return f"{time}，{head.string[head.end() :]}"


def _ends(head: Paragraph, level: int, paragraph: Paragraph, here: int) -> bool:
    """Tell whether a paragraph stands no longer below a heading of the given depth of number."""
    if re.match(r"附[件表录]|[（(]此件", paragraph.text):
        return True
    if level:
        return 0 < here <= level or 0 < paragraph.level <= head.level
    return paragraph.level > 0 or 0 < here <= depth("一、")


def _clauses(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the clauses of a text, outside brackets, and whether a colon ends each."""
    start = nested = 0
    for at, character in enumerate(text + "。"):
        if character in "（(《〈":
            nested += 1
        elif character in "）)》〉":
            nested = max(0, nested - 1)
        elif character in "。！？；\n" or (character in "，：:" and not nested):
            clause = _NUMBERED.sub("", text[start:at], count=1).strip(" 、")[:_MOST_CLAUSE]
            if clause:
                yield clause, character in "：:"
            start, nested = at + 1, 0


def _time(clause: str, date: str) -> tuple[str, str, int, bool]:
    """Return the words of a clause that set a time, the deadline, where they end, and whether it holds on."""
    intro = re.match(_INTRO, clause)
    start = intro.end() if intro else 0
    if found := _SPAN.match(clause, start):
        years = parse_numeral(next(number for number in found.groups() if number))
        return found.group(), _after(date, years or 0), found.end(), True
    if found := _UNTIL.match(clause, start):
        return found.group(), _end(found), found.end(), True
    if found := _PLAN.match(clause, start):
        number = parse_numeral(found.group(1)) or 0
        return found.group(), f"{2005 + (number - 10) * 5}-12-31", found.end(), True
    if found := _TERM.match(clause, start):
        return found.group(), "", found.end(), True
    if (later := _LATER.search(clause)) and (found := _UNTIL.match(clause, later.start())):
        return found.group(), _end(found), 0, False
    return "", "", 0, False


def _after(date: str, years: int) -> str:
    try:
        start = datetime.date.fromisoformat(date)
        day = min(start.day, calendar.monthrange(start.year + years, start.month)[1])
        return start.replace(year=start.year + years, day=day).isoformat()
    except ValueError:
        return ""


def deadlines(text: str) -> list[str]:
    """Return the last day of each time that a text names, in order, "" for one that may be meant otherwise.

    Example:
        >>> deadlines("2022年底前启动，2024年上半年完成"), deadlines("长期")
        (['2022-12-31', '2024-06-30'], [])
    """
    return [_end(found) for found in _UNTIL.finditer(text)]


def _end(found: re.Match[str]) -> str:
    """The last day of the year, half, quarter, month or day that a time names, "" where it may be meant otherwise."""
    _, year_word, month_word, day_word, half, quarter, part, before = found.groups()
    year, month = parse_numeral(year_word) or 0, parse_numeral(month_word or "") or 12
    if part in ("初", "中") or (before and not (part or month_word or half or quarter)):
        return ""
    if half or quarter:
        month = 6 if half == "上" else 12 if half else 3 * (parse_numeral(quarter) or 4)
    if not 1 <= month <= 12:
        return ""
    last = calendar.monthrange(year, month)[1]
    return f"{year}-{month:02d}-{min(parse_numeral(day_word or '') or last, last):02d}"
