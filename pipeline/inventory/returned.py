"""The workbook that comes back from an officer: what can be read is, the rest is named, nothing is guessed."""

from __future__ import annotations

import datetime
import io
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import DataError, ReadError
from pipeline.inventory.sheets import (
    FORMER,
    LINK_ID,
    LINKS_SHEET,
    MOVED_TO,
    NOTE,
    PASSAGE_ID,
    REVIEWER,
    TASK_NO,
    VERDICT,
    VERDICTS,
)
from pipeline.inventory.view import STATES, View, link_id, task_name
from pipeline.readers.archive import Archive
from pipeline.records import Decision, Problem, Snapshot, Task, Verdict
from pipeline.settings import Settings
from pipeline.text import compact, parse_numeral

_SYNONYMS = {
    LINK_ID: (LINK_ID, FORMER[LINK_ID], "编号"),
    VERDICT: ("审核意见", "审核结果", "意见", "核查意见", "审核", "结论"),
    MOVED_TO: ("改挂任务", "改挂", "改挂至", "改挂到", "改挂任务号", "应挂任务"),
    REVIEWER: ("审核人", "审核人员", "核查人", "复核人"),
    NOTE: ("审核备注", "备注", "说明", "审核说明"),
    PASSAGE_ID: ("段落编号",),
    TASK_NO: ("任务号", "任务编号", "序号"),
}
_WORDS = {
    **VERDICTS, "是": "accepted", "√": "accepted", "对": "accepted", "通过": "accepted", "否": "rejected",
    "不通过": "rejected", "×": "rejected", "错": "rejected", "删除": "rejected", "改": "moved", "？": "unsure",
    "?": "unsure", "待定": "unsure", "不确定": "unsure",
}  # fmt: skip
_MOST_ROWS = 300_000
_HEAD_ROWS = 20


@dataclass(frozen=True)
class _Known:
    """A link that the snapshot knows."""

    passage: str
    task: Task


def read_returned_workbook(
    path: str | Path, source: Snapshot | View, *, reviewer: str = "", now: str = "", settings: Settings = Settings()
) -> tuple[list[Decision], list[Problem]]:
    """Read an officer's opinions out of a workbook that this package wrote.

    Rows may have been deleted, sorted or filtered and columns moved or renamed. A row says something only where its
    opinion differs from what was decided before: one that the reviewer gave earlier, and that somebody overruled since,
    was in the workbook when it was written and is not given again. The file itself is not touched.

    Args:
        path: the XLSX file.
        source: the snapshot that the workbook was made from, or a later one.
        reviewer: who decided where the row does not say.
        now: ISO time of the decisions; "" is the present.
        settings: bounds of the file.

    Returns:
        The new decisions in the order of the rows, and a problem for each thing that could not be understood.

    Raises:
        DataError: the file is no workbook, or holds no sheet of links.
        LimitError: the file exceeds a bound.
    """
    view = View.of(source)
    time = now or datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    name = str(path)
    problems: list[Problem] = []
    known = _known_links(view)
    said: dict[tuple[str, str], list[Decision]] = defaultdict(list)
    for decision in view.snapshot.decisions:
        said[decision.passage, decision.task].append(decision)
    decisions: list[Decision] = []
    seen: dict[tuple[str, str], tuple[int, str, str]] = {}
    for number, cells, columns in _rows(Path(path), settings, problems):
        text = {key: compact(str(cells[place])) if _given(cells, place) else "" for key, place in columns.items()}
        word, target = text.get(VERDICT, ""), text.get(MOVED_TO, "")
        if not word and not target:
            continue

        def fault(message: str, number: int = number) -> None:
            problems.append(Problem("table", f"{LINKS_SHEET}第{number}行：{message}", name, row=number))

        link = _find(text, known, view)
        if link is None:
            fault(
                f"{LINK_ID}“{text.get(LINK_ID, '')}”在现有记录中找不到，该行的审核意见（{word or '改挂'}）未读入。"
                "请核对编号，或在新的工作簿中重填。"
            )
            continue
        verdict = _WORDS.get(word.strip("。. "), "moved" if not word and target else "")
        if not verdict:
            fault(f"审核意见“{word}”不在 {'、'.join(VERDICTS)} 之列，未读入。请从列表中选择。")
            continue
        moved_to = ""
        if verdict == "moved":
            task = task_named(target, view)
            if task is None:
                fault(
                    f"改挂任务“{target}”不是公文中的任务号，未读入。"
                    if target
                    else "选了改挂，但没有填改挂任务，未读入。"
                )
                continue
            moved_to = task.id
            if task == link.task:
                fault(f"改挂任务与原任务同为 {task_name(task.id)}，未读入。请核对。")
                continue
        elif target:
            fault(f"审核意见为“{word}”，改挂任务“{target}”未采用。需要改挂时请把审核意见选为“改挂”。")
        key = (link.passage, link.task.id)
        if key in seen:
            if seen[key][1:] != (verdict, moved_to):
                fault(f"与第{seen[key][0]}行是同一条关联而意见不同，以先出现的为准。请核对。")
            continue
        seen[key] = (number, verdict, moved_to)
        who = (str(cells[columns[REVIEWER]]).strip() if text.get(REVIEWER) else "") or reviewer
        note = str(cells[columns[NOTE]]).strip() if NOTE in columns and _given(cells, columns[NOTE]) else ""
        same = [
            before
            for before in said[key]
            if (before.verdict, before.moved_to, before.note) == (verdict, moved_to, note)
            and (not who or compact(before.reviewer) == compact(who))
        ]
        if same:
            now_holds = said[key][-1]
            if (now_holds.verdict, now_holds.moved_to) != (verdict, moved_to):
                first, later = (decision.reviewer or "有人" for decision in (same[-1], now_holds))
                fault(
                    f"{first} 此前已选“{STATES[verdict]}”，其后 {later} 改为“{STATES[now_holds.verdict]}”，未再读入。"
                    "确需改回请写明审核备注，或在审核页面（shidian review）上改。"
                )
            continue
        if not who:
            fault("没有填写审核人，意见已读入，记为“未署名”。请补填。")
        chosen: Verdict = verdict  # type: ignore[assignment]
        decisions.append(Decision(link.passage, link.task.id, chosen, who or "未署名", time, moved_to, note))
    return decisions, problems


def _given(cells: Sequence[Any], place: int) -> bool:
    return place < len(cells) and cells[place] is not None and str(cells[place]).strip() != ""


def _known_links(view: View) -> dict[str, _Known]:
    return {e.id: _Known(e.link.passage, view.tasks[e.link.task]) for e in view.links}


def _find(text: dict[str, str], known: dict[str, _Known], view: View) -> _Known | None:
    """Find a row's link by its id or, where that is spoilt, by passage and task."""
    found = known.get(text.get(LINK_ID, ""))
    passage, task = text.get(PASSAGE_ID, ""), task_named(text.get(TASK_NO, ""), view)
    if found is None and task is not None and passage in view.passages:
        return known.get(link_id(passage, task.id), _Known(passage, task))
    return found


def task_named(text: str, view: View) -> Task | None:
    """The task that a cell names: 12, 12.0, 任务12, 第12项, 十二, or 12-2, which a spreadsheet makes a date."""
    match = re.fullmatch(r"(?:任务|第)?(.+?)(?:\.0+)?(?:项|号|条)?(?:任务)?", text.strip("、，。# "))
    word = match.group(1) if match else ""
    if date := re.fullmatch(r"(?:\d{4}[-/年])?(\d\d?)[-/月](\d\d?)日?(?: ?00:00:00)?", text):
        word = f"{int(date[1])}-{int(date[2])}"
    number = parse_numeral(word)
    return view.named.get(word if number is None else str(number))


def _rows(
    path: Path, settings: Settings, problems: list[Problem]
) -> Iterator[tuple[int, Sequence[Any], dict[str, int]]]:
    """Yield the rows of the sheet of links with the place of each column; say what had to be looked for."""
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    advice = "请用本程序导出的工作簿（.xlsx）填写后再读回。"
    try:
        data = path.read_bytes()
        Archive(str(path), data, settings)
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
    except ReadError as error:
        raise DataError(f"{error}{advice}") from error
    except OSError as error:
        raise DataError(f"{path}：无法打开（{error.strerror or error}）。{advice}") from error
    except (InvalidFileException, zipfile.BadZipFile, KeyError, ValueError, TypeError) as error:
        raise DataError(f"{path}：不是有效的 XLSX 工作簿（{error}）。{advice}") from error
    try:
        names = list(book.sheetnames)
        order = sorted(names, key=lambda n: (n != LINKS_SHEET, n != FORMER[LINKS_SHEET], not re.search("关联|链接", n)))
        for name in order:
            sheet = book[name]
            head, columns = _header(sheet.iter_rows(min_row=1, max_row=_HEAD_ROWS, values_only=True))
            if LINK_ID not in columns and not {PASSAGE_ID, TASK_NO} <= set(columns):
                columns = columns | _by_values(sheet, columns)
            if LINK_ID not in columns and not {PASSAGE_ID, TASK_NO} <= set(columns):
                continue
            columns = columns | _by_values(sheet, columns)
            _name_changes(path, name, sheet, head, columns, problems)
            if VERDICT not in columns and MOVED_TO not in columns:
                raise DataError(f"{path}：“{name}”表中没有“{VERDICT}”一栏。请恢复该列的标题后再读回。")
            for number, cells in enumerate(sheet.iter_rows(min_row=head + 1, values_only=True), head + 1):
                if number > _MOST_ROWS:
                    problems.append(
                        Problem("table", f"“{name}”表超过 {_MOST_ROWS} 行，其后未读。", str(path), row=number)
                    )
                    return
                if any(cell is not None for cell in cells):
                    yield number, cells, columns
            return
    finally:
        book.close()
    raise DataError(f"{path}：找不到“{LINKS_SHEET}”表或“{LINK_ID}”一栏。{advice}")


def _header(rows: Iterable[Sequence[Any]]) -> tuple[int, dict[str, int]]:
    """The number of the header row and the place of each known column, by its own name first, then by synonyms."""
    best: tuple[int, dict[str, int]] = (1, {})
    for number, cells in enumerate(rows, 1):
        names = [compact(str(cell)) if cell is not None else "" for cell in cells]
        columns: dict[str, int] = {}
        for key, synonyms in _SYNONYMS.items():
            for word in synonyms:
                if word in names and names.index(word) not in columns.values():
                    columns[key] = names.index(word)
                    break
        if len(columns) > len(best[1]):
            best = (number, columns)
    return best


def _by_values(sheet: Any, columns: dict[str, int]) -> dict[str, int]:
    """Find the ids and the opinions by what stands in them, where their headings were changed."""
    found: dict[str, int] = {}
    taken = set(columns.values())
    samples = list(sheet.iter_rows(min_row=2, max_row=3000, values_only=True))
    width = max((len(cells) for cells in samples), default=0)
    current = next(
        (c.index("当前处理") for c in sheet.iter_rows(max_row=_HEAD_ROWS, values_only=True) if "当前处理" in c), -1
    )
    for place in range(width):
        if place in taken or place == current:  # 当前处理 holds the words of opinions, but is no opinion
            continue
        values = [compact(str(c[place])) for c in samples if place < len(c) and c[place] is not None]
        if not values:
            continue
        if (
            LINK_ID not in columns | found
            and sum(bool(re.fullmatch("L[0-9a-f]{12}", v)) for v in values) > len(values) / 2
        ):
            found[LINK_ID] = place
        elif VERDICT not in columns | found and sum(v in VERDICTS for v in values) > len(values) / 2:
            found[VERDICT] = place
    return found


def _name_changes(
    path: Path, sheet_name: str, sheet: Any, head: int, columns: dict[str, int], problems: list[Problem]
) -> None:
    """Say which columns were not found under their own names."""
    names: list[str] = []
    for cells in sheet.iter_rows(min_row=head, max_row=head, values_only=True):
        names = [compact(str(cell)) if cell is not None else "" for cell in cells]
    for key in (LINK_ID, VERDICT, MOVED_TO, REVIEWER):
        place = columns.get(key)
        if place is None:
            message = f"“{sheet_name}”表没有“{key}”一栏。"
            message += {MOVED_TO: "改挂的意见无法读入。", REVIEWER: "审核人以命令所给的为准。"}.get(key, "")
            problems.append(Problem("table", message, str(path), row=head))
        elif place >= len(names) or names[place] not in (key, FORMER.get(key)):
            shown = names[place] if place < len(names) and names[place] else f"第{place + 1}列"
            problems.append(Problem("note", f"“{shown}”一栏按“{key}”读取。", str(path), row=head))
