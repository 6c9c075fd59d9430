"""A table of labels that a person filled in, as CSV from Excel or WPS: good rows are read, bad ones named by number."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pipeline.classification.schemes import UNCLASSIFIED, class_name, schemes
from pipeline.errors import DataError, LimitError, ReadError
from pipeline.inventory.ledger import STATUSES
from pipeline.inventory.returned import task_named
from pipeline.inventory.sheets import FORMER, LINK_ID, LINKS_SHEET, VERDICT
from pipeline.inventory.view import View, task_name
from pipeline.readers.plain import decode
from pipeline.records import Label, Problem, Scheme, Snapshot
from pipeline.settings import Settings
from pipeline.text import compact

_SCHEME_WORDS: dict[Scheme, tuple[str, ...]] = {
    "sector": ("领域", "行业", "行业领域", "sector"),
    "reform": ("改革类型", "reform"),
    "group": ("工作专班", "专班", "工作组", "推进组", "group"),
    "stri": ("开放限制类别", "限制类别", "限制类型", "stri"),
    "status": ("进展", "进展状态", "status"),
}
# Of several the first whose cells name tasks is taken; one with the wording stands over one that counts lines.
_TASK = ("任务号", "任务编号", "任务序号", "任务", "序号", "task_id", "task", "no")
_WORDING = ("任务", "试点任务", "任务内容", "重点任务", "工作任务", "text")
_COLUMNS = {
    "passage": ("段落", "段落编号", "段落号", "passage", "pid"),
    "scheme": ("类别", "分类", "scheme"),
    "value": ("取值", "值", "value"),
    "who": ("标注人", "标注者", "标注人员", "审核人", "labeller"),
    "note": ("备注", "说明", "note"),
}
_ADVICE = "请写“任务、类别、取值、标注人”四列，或“任务”加“领域、改革类型、工作专班、开放限制类别”各一列，另存为 CSV。"
_HEAD_ROWS = 20
_MOST_ROWS = 300_000
_SHOWN = 20


def is_label_file(path: str | Path) -> bool:
    """Tell a table of labels (CSV) from a workbook, whatever its name."""
    if Path(path).suffix.lower() not in (".csv", ".tsv", ".txt"):
        return False
    with Path(path).open("rb") as file:
        return file.read(4) != b"PK\x03\x04"


def read_labels_csv(
    path: str | Path, source: Snapshot | View, *, reviewer: str = "", settings: Settings = Settings()
) -> tuple[list[Label], list[Problem]]:
    """Read a person's labels: a row a label (任务 or 段落, 类别, 取值), or a row a task and a column a scheme.

    UTF-8 (with or without mark), UTF-16 or GB18030; comma, tab or semicolon. Blank cells say nothing, and a label equal
    to the person's last one is not given again. In a table with a column a scheme, as a ledger saved as CSV is, an
    unsigned cell that holds what stands there already was not written by a person and is left alone. Texts are kept as
    they stand, formulas too; a remark becomes the reason of its label.

    Args:
        path: the CSV file.
        source: the snapshot whose tasks and passages are labelled.
        reviewer: who labelled where the row does not say.
        settings: bounds of the file.

    Returns:
        The new labels in the order of the rows, and a problem for each row that could not be used.

    Raises:
        DataError: the file is no text, or has no such columns.
        LimitError: the file exceeds a bound.
    """
    return _Reading(str(path), View.of(source), reviewer.strip()).read(_text(Path(path), settings))


def _text(path: Path, settings: Settings) -> str:
    try:
        if path.stat().st_size > settings.max_bytes:
            raise LimitError(path, f"文件超过 {settings.max_bytes >> 20} MB", advice="请拆分文件，或调大 max_bytes")
        text = decode(path.read_bytes(), str(path))
    except LimitError:
        raise
    except ReadError as error:
        raise DataError(f"{error}{_ADVICE}") from error
    except OSError as error:
        raise DataError(f"{path}：无法打开（{error.strerror or error}）。请检查文件是否被其他程序占用。") from error
    return re.sub(r"\A\ufeff?sep=.\r?\n", "", text).removeprefix("\ufeff")  # Excel's own line, which it does not count


def _shown(text: str) -> str:
    text = re.sub(r"\s+", " ", text)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _plain(text: str) -> str:
    """A cell's bare content: Excel's ="12" and the ' that keeps a text a text are taken off."""
    match = re.fullmatch(r'="(.*)"', text)
    return compact(match.group(1) if match else text.removeprefix("'"))


class _Reading:
    """One reading of a file: what was found and what was wrong."""

    def __init__(self, path: str, view: View, reviewer: str) -> None:
        self.path, self.view, self.reviewer = path, view, reviewer
        self.labels: list[Label] = []
        self.problems: list[Problem] = []
        self.task_ids = {compact(identity): identity for identity in view.tasks}
        shared = Counter(_wording(task.text) for task in view.tasks.values())
        self.wordings = {
            text: task.id for task in view.tasks.values() if shared[text := _wording(task.text)] == 1 and text
        }
        self.last = {(x.target, x.scheme, x.labeller): x for x in view.snapshot.labels}
        self.seen: dict[tuple[str, str], tuple[int, str]] = {}
        self.said: set[tuple[str, str, str]] = set()
        self.unsigned: list[int] = []
        self.width = 0

    def read(self, text: str) -> tuple[list[Label], list[Problem]]:
        delimiter, head, columns, tasks, wordings = self._header(text)
        rows = list(self._rows(text, delimiter, head))
        columns |= self._task_columns(rows, tasks, wordings)
        for number, row in rows:
            if any(cell.strip() for cell in row[self.width :]):
                self.fault(
                    number, "内容比标题行多出一栏，多半是文字里有逗号而没有加引号，未读入。请用 Excel 或 WPS 另存。"
                )
            elif any("\ufffd" in cell for cell in row):
                self.fault(number, "有损坏的文字，未读入。请把文件另存为 UTF-8 编码的 CSV。")
            else:
                self._row(number, {name: _cell(row, at) for name, at in columns.items()})
        if self.unsigned:
            shown = "、".join(map(str, self.unsigned[:50])) + ("等" if len(self.unsigned) > 50 else "")
            self.fault(
                self.unsigned[0],
                "没有填写标注人，标注已读入，记为“未署名”。请补填，或用 --reviewer 姓名 指明。",
                f"第{shown}行",
            )
        return self.labels, self.problems

    def fault(self, number: int, message: str, where: str = "") -> None:
        problem = Problem("table", f"{where or f'第{number}行'}：{message}", self.path, row=number)
        if problem not in self.problems[-1:]:  # a row with a column a scheme has one task to name
            self.problems.append(problem)

    def _task_columns(
        self, rows: Sequence[tuple[int, list[str]]], tasks: Sequence[int], wordings: Sequence[int]
    ) -> dict[str, int]:
        """The columns that name tasks by number and by wording; a number that only counts lines names none."""

        def named(place: int, find: Callable[[str], str]) -> list[str]:
            return [find(_cell(row, place)) for _, row in rows]

        wording = next((p for p in wordings if any(named(p, self._worded))), None)
        number = next((p for p in tasks if p != wording and any(named(p, self._task))), None)
        if wording is None:
            number = number if number is not None else next(iter(tasks), None)
            return {} if number is None else {"task": number}
        if number is None:
            return {"wording": wording}
        counts = named(number, _plain) == [str(count) for count in range(1, len(rows) + 1)]
        pairs = zip(named(number, self._task), named(wording, self._worded), strict=True)
        if counts and any(told and other and told != other for told, other in pairs):
            return {"wording": wording}
        return {"task": number, "wording": wording}

    def _header(self, text: str) -> tuple[str, int, dict[str, int], list[int], list[int]]:
        """The delimiter, the number of the header row, the place of each column, and of those that may name tasks.

        These are two lists: of columns by number, and of those that may hold the wording.
        """
        best: tuple[str, int, dict[str, int], list[int], list[int]] = (",", 0, {}, [], [])
        returned = False
        for delimiter in ",\t;，":
            reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
            for number in range(1, _HEAD_ROWS + 1):
                try:
                    row = next(reader, None)
                except csv.Error:
                    break
                if row is None:
                    break
                names = [compact(cell).strip("*：:").lower() for cell in row]
                columns = {
                    key: names.index(word)
                    for key, words in reversed((_COLUMNS | _SCHEME_WORDS).items())
                    for word in reversed(words)
                    if word in names
                }
                tasks = [names.index(word) for word in _TASK if word in names]
                wordings = [names.index(word) for word in _WORDING if word in names]
                if len(columns) + bool(tasks or wordings) > len(best[2]) + bool(best[3] or best[4]):
                    best = delimiter, number, columns, tasks, wordings
                    self.width = len(names)
                    returned = bool({LINK_ID, FORMER[LINK_ID], VERDICT} & set(names))
        columns, tasks, wordings = best[2:]
        if returned:
            raise DataError(f"{self.path}：这是审核意见表。请把工作簿存为 .xlsx 后再读回，不要另存为 CSV。")
        if not tasks and not wordings and "passage" not in columns:
            raise DataError(f"{self.path}：找不到“任务”或“段落”一栏。{_ADVICE}")
        if "scheme" in columns and "value" in columns:
            best = (*best[:2], {k: v for k, v in columns.items() if k not in _SCHEME_WORDS}, tasks, wordings)
        elif not columns.keys() & _SCHEME_WORDS.keys():
            raise DataError(f"{self.path}：找不到“类别”和“取值”两栏，也没有领域、改革类型等栏。{_ADVICE}")
        return best

    def _rows(self, text: str, delimiter: str, head: int) -> Iterator[tuple[int, list[str]]]:
        """Yield the rows below the header that are not blank, with the number that a spreadsheet shows."""
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        number = 0
        while True:
            number += 1
            try:
                row = next(reader, None)
            except csv.Error as error:
                self.fault(number, f"引号不成对或单元格过长（{error}），这一行和以下各行未读。请检查该行的引号。")
                return
            if row is None:
                return
            if number > _MOST_ROWS:
                self.fault(number, f"超过 {_MOST_ROWS} 行，其后未读。请分成几个文件。")
                return
            if number > head and any(cell.strip() for cell in row):
                yield number, row

    def _worded(self, cell: str) -> str:
        """The id of the task whose wording a cell holds, "" for none; a wording that two tasks share names neither."""
        return self.wordings.get(_wording(_plain(cell)), "")

    def _task(self, cell: str) -> str:
        """The id of the task that a cell names by number or id, "" for none."""
        text = _plain(cell)
        found = self.task_ids.get(text)
        if found is None and (task := task_named(text, self.view)):
            found = task.id
        return found or ""

    def _row(self, number: int, cells: dict[str, str]) -> None:
        if "scheme" in cells:
            word = compact(cells["scheme"]).lower()
            scheme = next((s for s, words in _SCHEME_WORDS.items() if word in words), None)
            if not cells["value"]:
                return
            if scheme is None:
                names = "、".join(words[0] for words in _SCHEME_WORDS.values())
                self.fault(number, f"类别“{_shown(cells['scheme'])}”不在 {names} 之列，未读入。请改正。")
                return
            given = {scheme: cells["value"]}
        else:
            given = {scheme: cells[scheme] for scheme in _SCHEME_WORDS if cells.get(scheme)}
        for scheme, word in given.items():
            target = self._target(number, scheme, cells)
            value = self._value(number, scheme, word) if target else ""
            now = self.view.labels.get((target, scheme))
            if "scheme" not in cells and not cells.get("who") and now is not None and now.value == value:
                continue
            if value:
                self._take(number, target, scheme, value, cells.get("who", ""), cells.get("note", ""))

    def _target(self, number: int, scheme: Scheme, cells: dict[str, str]) -> str:
        """The id that a row is about: classes are of tasks, the status is of passages."""
        task, passage = cells.get("task", ""), cells.get("passage", "")
        if scheme == "status":
            found = _plain(passage)
            if found in self.view.passages:
                return found
            if not found:
                self.fault(number, f"进展标在段落上，未读入。请在“段落”一栏填段落编号（见工作簿“{LINKS_SHEET}”）。")
                return ""
            advice = "请核对编号。"
            if re.fullmatch(r"[\d.]+e\+?\d+|\d+", found, re.I):
                advice = "编号可能被 Excel 改成了数字，请把该列设为文本后重填。"
            self.fault(number, f"段落“{_shown(passage)}”在现有材料中找不到，未读入。{advice}")
            return ""
        wording = cells.get("wording", "")
        found, worded = self._task(task), self._worded(wording) or self._task(wording)
        if found and worded and found != worded:
            self.fault(
                number,
                f"任务号“{_shown(task)}”与同一行的任务内容（任务 {task_name(worded)}）不是同一项任务，未读入。请核对。",
            )
            return ""
        found = worded or found
        task = task or wording
        if not found and task:
            self.fault(
                number, f"任务“{_shown(task)}”不是本公文的任务号或编号，未读入。请核对，或用 --notice 指明公文。"
            )
        elif not found:
            self.fault(number, "领域等类别标在任务上，未读入。请在“任务”一栏填任务号。")
        return found

    def _value(self, number: int, scheme: Scheme, word: str) -> str:
        known = _values(scheme)
        text = compact(word)
        found = known.get(text) or known.get(text.lower())
        if found is None:
            names = "、".join(_value_name(scheme, key) for key in dict.fromkeys(known.values()))
            self.fault(number, f"{_SCHEME_WORDS[scheme][0]}没有“{_shown(word)}”一类，未读入。可填：{names}。")
        return found or ""

    def _take(self, number: int, target: str, scheme: Scheme, value: str, who: str, note: str) -> None:
        """Give a label, unless the row contradicts an earlier one or says nothing new."""
        who = who or self.reviewer
        key = (target, scheme)
        row, earlier = self.seen.setdefault(key, (number, value))
        if earlier != value:
            self.fault(
                number,
                f"{_SCHEME_WORDS[scheme][0]}“{_value_name(scheme, value)}”与第{row}行"
                f"“{_value_name(scheme, earlier)}”不同，以先出现的为准。请核对。",
            )
            return
        if not who:
            who = "未署名"
            if number not in self.unsigned[-1:]:
                self.unsigned.append(number)
        if (*key, who) in self.said:
            return
        self.said.add((*key, who))
        label = Label(target, scheme, value, 1.0, who, reasons=((note, 1.0),) if note else ())
        before = self.last.get((*key, who))
        if before is None or before.value != value or (note and before.reasons != label.reasons):
            self.labels.append(label)
            return
        now = self.view.labels[key]
        if now.value != value:
            self.fault(
                number,
                f"{who} 此前已标“{_value_name(scheme, value)}”，其后 {now.labeller} 改为"
                f"“{_value_name(scheme, now.value)}”，未再读入。确需改回请在审核页面（shidian review）上改。",
            )


def _wording(text: str) -> str:
    return compact(text).rstrip("。；;.，")


def _cell(row: Sequence[str], place: int) -> str:
    return row[place].strip() if place < len(row) else ""


def _values(scheme: Scheme) -> dict[str, str]:
    """The keys of a scheme by every word that may stand for them."""
    if scheme == "status":
        names = {STATUSES[key]: key for key in ("done", "ongoing", "planned")} | {"未述进展": "none"}
        return names | {STATUSES["unstated"]: "none"} | {key: key for key in names.values()}
    classes = schemes()[scheme]
    found = {compact(info.name): key for key, info in classes.items()} | {key: key for key in classes}
    return found | {class_name(scheme, UNCLASSIFIED): UNCLASSIFIED, UNCLASSIFIED: UNCLASSIFIED}


def _value_name(scheme: Scheme, value: str) -> str:
    if scheme == "status":
        return "未述进展" if value == "none" else STATUSES.get(value, value)
    return class_name(scheme, value)
