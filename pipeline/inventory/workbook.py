"""The Excel workbook: every sheet from the one set of frames, every cell written by its type, no formulas at all."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pipeline.inventory import sheets
from pipeline.inventory.files import printable, write_safely
from pipeline.inventory.frames import facts_frame, settings_rows
from pipeline.inventory.ledger import LIGHTS, Results
from pipeline.inventory.sheets import Column
from pipeline.inventory.unit_table import unit_table
from pipeline.inventory.view import View
from pipeline.readers import STDIN_NAME
from pipeline.records import Snapshot
from pipeline.settings import Settings

if TYPE_CHECKING:
    import pandas

_MOST_CHARACTERS = 32_000  # a cell holds 32,767
_MOST_LINKS = 60_000  # a sheet holds 65,530 hyperlinks
_MOST_URL = 2_000
_MOST_LINES = 6
_PAPER_WIDTH = 260
_STREAMED = 3_000  # above so many links rows go to the disk as they are written

_COLOURS = {"绿": "#C6E7CE", "黄": "#FFEFB8", "红": "#F6C7C3", "灰": "#E3E6EA"}

_NOTES = [
    ("本工作簿由程序从公文和所收材料自动整理，供试点办公室核对、报送。", ""),
    ("案例清单", "一行一个案例材料；“关联任务”可点击到任务台账，“案例名称”可打开原文件。疑似重复的只提示，不删除。"),
    ("任务台账", "一行一项任务；状态以最近一次报告为准，两份以上材料报告完成的视为已完成；计划不冲抵已开展的工作。"),
    ("亮灯", "绿：已完成或正在推进；黄：{amber} 个月无新材料或只有计划；红：{red} 个月无新材料或逾期；灰：无法判断。"),
    (sheets.LINKS_SHEET, "一行一条关联。请在“审核意见”栏选择同意、不同意、改挂或存疑；改挂须在“改挂任务”填任务号。"),
    ("", "填好后用 shidian import 读回。行可以筛选、排序、删除；“关联编号”请勿改动。"),
    ("", "审核意见只增不改，重新运行不会丢失。"),
    ("概率", "程序对“该段落落实该任务”的把握；人工同意或改挂后记为 1。“相关”的关联不计入统计。"),
    ("公文要点", "公文的目标和时限、重点区域、引用文件、文中数目；区域的“关联任务”是任务表中点名该区域的章节的任务。"),
    ("单位对照", "“现名或承接单位”相同的（两块牌子、前身）合并统计；“未识别”的可写进单位词典（设置 unit_lexicon）。"),
    ("企业名录、风险清单", "按名称后缀和词表查找，可能有遗漏或多余，请人工核对；词表可自行编辑。"),
]  # fmt: skip


def write_workbook(
    source: Snapshot | View | Results, path: str | Path, settings: Settings | None = None
) -> Path | None:
    """Write the workbook of a snapshot.

    Args:
        source: a snapshot, or what was made of one already.
        path: the XLSX file; one that is not as the last run left it is kept as NAME.bak.
        settings: months of the lights and the threshold of sure links.

    Returns:
        The backup made, if any.

    Raises:
        WriteError: the file is open in another program, or the place cannot be written.
    """
    results = source if isinstance(source, Results) else Results(source, settings)
    return write_safely(path, lambda draft: _Workbook(results, draft, Path(path)).write())


class _Workbook:
    """Writes one workbook; links to sources are relative to where it will stand."""

    def __init__(self, results: Results, draft: Path, place: Path) -> None:
        import xlsxwriter

        self.results = results
        self.folder = place.absolute().parent
        self.book = xlsxwriter.Workbook(
            str(draft),
            {
                "constant_memory": len(results.links) > _STREAMED,
                "tmpdir": str(draft.parent),
                "strings_to_formulas": False,
                "strings_to_urls": False,
                "strings_to_numbers": False,
            },
        )
        base = {"font_name": "宋体", "font_size": 10, "valign": "top", "border": 1, "border_color": "#D5DAE1"}
        wrap = base | {"text_wrap": True}
        self.formats = {
            "": self.book.add_format(wrap),
            "date": self.book.add_format(base),
            "probability": self.book.add_format(base | {"num_format": "0.00"}),
            "input": self.book.add_format(wrap | {"bg_color": "#FFF9E5", "locked": False}),
            "input_text": self.book.add_format(wrap | {"bg_color": "#FFF9E5", "locked": False, "num_format": "@"}),
            "link": self.book.add_format(wrap | {"font_color": "#0B57A4", "underline": 1}),
            "head": self.book.add_format(
                base | {"bold": True, "bg_color": "#DCE6F2", "text_wrap": True, "valign": "vcenter", "align": "center"}
            ),
            "head_input": self.book.add_format(
                base | {"bold": True, "bg_color": "#FFE9A8", "text_wrap": True, "valign": "vcenter", "align": "center"}
            ),
            "title": self.book.add_format({"font_name": "黑体", "font_size": 14, "valign": "vcenter"}),
            "bold": self.book.add_format(wrap | {"bold": True}),
        }
        for name, colour in _COLOURS.items():
            self.formats[f"light_{name}"] = self.book.add_format(
                base | {"bg_color": colour, "align": "center", "valign": "vcenter"}
            )
        self.task_row = {str(no): row for row, no in enumerate(results.ledger["no"].tolist(), 1)}

    def write(self) -> None:
        """Write all sheets and close the file."""
        found = self.results
        self._properties()
        self._sheet("案例清单", sheets.CASES, found.cases, freeze=1)
        self._sheet("任务台账", sheets.LEDGER, found.ledger, freeze=2)
        self._links()
        self._sheet("政策清单", sheets.POLICIES, found.policies, freeze=1)
        self._sheet("项目清单", sheets.PROJECTS, found.projects, freeze=1)
        self._sheet("企业名录", sheets.FIRMS, found.firms, freeze=1)
        self._sheet("风险清单", sheets.RISKS, found.risks, freeze=1)
        shown = found.statistics.assign(
            shown=[sheets.dimension_key(row) for row in found.statistics.to_dict("records")]
        )
        self._sheet("统计表", sheets.STATISTICS, shown, freeze=2)
        self._sheet("公文要点", sheets.FACTS, facts_frame(found.view), freeze=1)
        self._sheet("单位对照", sheets.UNITS, unit_table(found.view), freeze=1)
        self._sheet("问题清单", sheets.PROBLEMS, found.problems, freeze=0)
        self._notes()
        self.book.close()

    def _properties(self) -> None:
        snapshot = self.results.view.snapshot
        notice = snapshot.notice
        run = "；".join(f"{name}={value}" for name, value in settings_rows(self.results.view))
        self.book.set_properties(
            {
                "title": _clip(f"{notice.title or notice.number} 案例清单与任务台账{self.results.view.scope}", 250),
                "subject": notice.number,
                "category": "试点任务台账",
                "comments": _clip(f"运行日期 {snapshot.date or '未注明'}；{run}", 8000),
                # A fixed time: two runs over the same records give the same bytes.
                "created": _moment(snapshot.date),
            }
        )
        self.book.set_custom_property("公文", _clip(notice.id, 250), "text")
        self.book.set_custom_property("运行日期", snapshot.date or "未注明", "text")
        for name, value in settings_rows(self.results.view):
            if name and value:
                self.book.set_custom_property(_clip(name, 250), _clip(value, 250), "text")

    def _sheet(self, name: str, columns: list[Column], frame: pandas.DataFrame, freeze: int = 0) -> Any:
        sheet = self.book.add_worksheet(name)
        for index, column in enumerate(columns):
            sheet.set_column(index, index, column.width)
        sheet.set_row(0, 30)
        for index, column in enumerate(columns):
            style = "head_input" if column.style == "input" else "head"
            sheet.write_string(0, index, column.heading, self.formats[style])
        sheet.freeze_panes(1, freeze)
        sheet.autofilter(0, 0, max(1, len(frame)), len(columns) - 1)
        sheet.set_landscape()
        sheet.set_paper(8)  # A3: these are wide
        sheet.fit_to_pages(1, 0)
        sheet.print_area(0, 0, max(1, len(frame)), _printed(columns))
        sheet.repeat_rows(0)
        sheet.set_footer("&C第 &P 页，共 &N 页")
        links = 0
        for number, row in enumerate(frame.to_dict("records"), 1):
            sheet.set_row(number, _height(columns, row))
            for index, column in enumerate(columns):
                links += self._cell(sheet, number, index, column, row, links < _MOST_LINKS)
        return sheet

    def _cell(self, sheet: Any, number: int, index: int, column: Column, row: dict[Any, Any], may_link: bool) -> int:
        """Write a cell; return the number of hyperlinks used."""
        value = row.get(column.name)
        if isinstance(value, float) and math.isnan(value):
            value = None
        if column.show is not None:
            value = column.show(value)
        style = self.formats.get(column.style, self.formats[""])
        if column.name == "moved_to" and isinstance(row.get("task"), str):
            style = self.formats["input_text"]  # a spreadsheet makes a date of 1-2
        if column.style == "light":
            style = self.formats.get(f"light_{value}", style)
        if value is None or value == "":
            sheet.write_blank(number, index, None, style)
            return 0
        if column.link and may_link:
            url = self._url(column.link, row, value)
            if url:
                sheet.write_url(number, index, url, self.formats["link"], _text(value))
                return 1
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            sheet.write_number(number, index, value, style)
        else:
            sheet.write_string(number, index, _text(value), style)
        return 0

    def _url(self, kind: str, row: dict[Any, Any], value: Any) -> str:
        """Where a cell leads: a task's row of the ledger, or the source file at its page."""
        if kind == "task":
            place = self.task_row.get(str(value).partition("、")[0])
            return f"internal:'任务台账'!A{place + 1}" if place else ""
        path, page = (
            row.get(name) for name in (("latest_path", "latest_page") if kind == "latest" else ("path", "page"))
        )
        return source_url(str(path or ""), page, self.folder)

    def _links(self) -> None:
        frame = self.results.links
        sheet = self._sheet(sheets.LINKS_SHEET, sheets.LINKS, frame, freeze=3)
        place = {column.heading: index for index, column in enumerate(sheets.LINKS)}
        last = max(1, len(frame))
        column = place[sheets.VERDICT]
        sheet.data_validation(
            1, column, last, column,
            {
                "validate": "list", "source": list(sheets.VERDICTS), "input_title": "审核意见",
                "input_message": "同意、不同意、改挂（另填改挂任务）、存疑", "error_title": "审核意见",
                "error_message": "请从列表中选择。",
            },
        )  # fmt: skip
        column = place[sheets.MOVED_TO]
        numbers = [task.no for task in self.results.view.tasks.values()] or [1]
        told = {"error_title": "改挂任务", "error_message": "请填任务号。"}
        allowed: dict[str, Any] = {
            "validate": "integer", "criteria": "between", "minimum": min(numbers), "maximum": max(numbers)
        }  # fmt: skip
        if len(set(numbers)) < len(numbers):
            allowed = {"validate": "list", "source": f"='任务台账'!$A$2:$A${len(numbers) + 1}"}
        sheet.data_validation(1, column, last, column, allowed | told)
        column = place[sheets.REVIEWER]
        sheet.data_validation(
            1, column, last, column,
            {"validate": "length", "criteria": "<=", "value": 30, "error_message": "审核人不超过 30 字。"},
        )  # fmt: skip

    def _notes(self) -> None:
        view, formats = self.results.view, self.formats
        sheet = self.book.add_worksheet("说明")
        sheet.set_column(0, 0, 24)
        sheet.set_column(1, 1, 90)
        sheet.hide_gridlines(2)
        notice = view.snapshot.notice
        sheet.set_row(0, 26)
        title = (notice.title or notice.number or "试点任务台账") + view.scope
        sheet.write_string(0, 0, _text(title), formats["title"])
        at = 1
        facts = [
            ("发文字号", notice.number), ("发文机关", notice.issuer), ("成文日期", notice.date),
            ("运行日期", view.snapshot.date),
        ]  # fmt: skip
        for name, value in facts:
            at = self._pair(sheet, at, name, value)
        at += 1
        for name, text in _NOTES:
            told = text.format(amber=view.settings.amber_months, red=view.settings.red_months)
            at = self._pair(sheet, at, name, told)
        at += 1
        told = (
            f"{view.scope}；公文部署任务 {len(view.whole.tasks)} 项，任务状态和亮灯按全部材料判断" if view.scope else ""
        )
        at = self._pair(sheet, at, "总数", f"各表、各报告所用的同一组数{told}")
        for key, name in sheets.TOTALS.items():
            sheet.write_string(at, 0, name, formats["bold"])
            sheet.write_number(at, 1, self.results.totals[key], formats[""])
            at += 1
        at += 1
        at = self._pair(sheet, at, "运行设置", "模型、版本与各项设置")
        for name, value in settings_rows(view):
            at = self._pair(sheet, at, name, value)

    def _pair(self, sheet: Any, at: int, name: str, value: Any) -> int:
        sheet.write_string(at, 0, _text(name), self.formats["bold"])
        sheet.write_string(at, 1, _text(value), self.formats[""])
        return at + 1


def _printed(columns: list[Column]) -> int:
    """The last column that still reads well on paper; what stands behind it is for the screen."""
    room, last = float(_PAPER_WIDTH), 0
    for index, column in enumerate(columns):
        room -= column.width
        if room < 0:
            break
        last = index
    return last


def _height(columns: list[Column], row: dict[Any, Any]) -> float:
    """Height of a row in points: as many lines as its texts need, within bounds, so that sheets can be scanned."""
    lines = 1
    for column in columns:
        value = row.get(column.name)
        if isinstance(value, str) and value:
            wide = sum(2 if ord(character) > 0x2E7F else 1 for character in value[:400])
            lines = max(lines, -(-wide // int(column.width)), value.count("\n") + 1)
    return 14.0 * min(lines, _MOST_LINES) + 3


def source_place(path: str, page: Any, folder: Path) -> tuple[str, str]:
    """Return where a source file stands as seen from a folder, and the mark of the page; ("", "") for none.

    Example:
        >>> source_place("/data/报告.pdf", 3, Path("/data/outputs"))
        ('../报告.pdf', 'page=3')
    """
    if not path or path == STDIN_NAME:
        return "", ""
    file = Path(os.path.abspath(path))
    try:
        place = Path(os.path.relpath(file, folder)).as_posix()
    except ValueError:  # another drive
        place = str(file)
    paged = page is not None and not (isinstance(page, float) and math.isnan(page)) and file.suffix.lower() == ".pdf"
    return place, f"page={int(page)}" if paged else ""


def source_url(path: str, page: Any, folder: Path) -> str:
    """Return the hyperlink of a source file for a workbook in folder, "" where there is none to lead to.

    Example:
        >>> source_url("/data/报告.pdf", 3, Path("/data/outputs"))
        'external:../报告.pdf#page=3'
    """
    place, mark = source_place(path, page, folder)
    if re.search("#|%[0-9a-fA-F]{2}", place):  # what would be taken for a mark, or for escaped already
        place = quote(place, safe="/:")
    url = f"external:{place}" + (f"#{mark}" if mark else "")
    return url if place and len(url) <= _MOST_URL else ""


def _clip(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _text(value: Any) -> str:
    """Text that a cell may hold: no control characters, no more than it can take."""
    return _clip(printable(value), _MOST_CHARACTERS)


def _moment(date: str) -> Any:
    import datetime

    try:
        return datetime.datetime.fromisoformat(date[:10])
    except ValueError:
        return datetime.datetime(2000, 1, 1)


assert set(_COLOURS) == set(LIGHTS.values())
