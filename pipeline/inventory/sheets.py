"""What stands in the sheets of the workbook: names, headings, widths, and the words for keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline.classification.schemes import class_name
from pipeline.inventory.frames import FACT_KINDS, PROBLEM_KINDS
from pipeline.inventory.ledger import LIGHTS, STATUSES
from pipeline.inventory.unit_table import ORIGINS

KINDS = {
    "progress": "进展报告",
    "case": "案例",
    "briefing": "新闻发布",
    "policy": "政策",
    "project": "项目",
    "other": "其他",
}

VERDICTS = {"同意": "accepted", "不同意": "rejected", "改挂": "moved", "存疑": "unsure"}
"""The officer's words and what they mean."""

LINK_ID, VERDICT, MOVED_TO, REVIEWER, NOTE = "关联编号", "审核意见", "改挂任务", "审核人", "审核备注"
PASSAGE_ID, TASK_NO = "段落编号", "任务号"
LINKS_SHEET = "关联明细"
FORMER = {LINK_ID: "链接编号", LINKS_SHEET: "链接明细"}
"""What earlier workbooks call these; they are still read."""


@dataclass(frozen=True)
class Column:
    """A column of a sheet: the frame's column, the heading, the width in characters and how a value is shown.

    link is "task", "source" or "" and says where the cell leads; style is "", "date", "probability", "light", "input".
    """

    name: str
    heading: str
    width: float = 12
    show: Callable[[Any], Any] | None = None
    link: str = ""
    style: str = ""


def _names(scheme: str) -> Callable[[Any], str]:
    """Show keys of a scheme, several with 、 between them, in Chinese."""

    def show(value: Any) -> str:
        return "、".join(class_name(scheme, key) for key in str(value or "").split("、") if key)

    return show


def _words(table: dict[str, str]) -> Callable[[Any], str]:
    return lambda value: table.get(str(value or ""), "")


def _yes(value: Any) -> str:
    return "是" if value else "否"


_SECTOR, _REFORM, _GROUP = _names("sector"), _names("reform"), _names("group")
_STRI = _names("stri")
_STATUS = _words({"done": "已完成", "ongoing": "推进中", "planned": "拟推进", "none": "未述进展"})

CASES = [
    Column("title", "案例名称", 34, link="source"),
    Column("issuer", "报送单位", 18),
    Column("district", "区县", 10),
    Column("date", "日期", 11, style="date"),
    Column("tasks", "关联任务", 10, link="task"),
    Column("probability", "关联概率", 9, style="probability"),
    Column("evidence", "依据原文", 44),
    Column("sector", "领域", 12, _SECTOR),
    Column("reform", "改革类型", 12, _REFORM),
    Column("background", "背景", 36),
    Column("practice", "主要做法", 44),
    Column("results", "成效", 44),
    Column("next", "下一步", 30),
    Column("figures", "关键数据", 30),
    Column("firms", "涉及企业", 20),
    Column("replicability", "可复制推广线索", 14),
    Column("replicability_words", "线索原文", 24),
    Column("risk_words", "风险提示词", 18),
    Column("novelty", "新颖度", 8, style="probability"),
    Column("nearest_earlier", "最相近的既有案例", 24),
    Column("same_as", "疑似重复", 24),
    Column("similarity", "重复相似度", 9, style="probability"),
    Column("linked", "已关联任务", 9, _yes),
    Column("document_id", "材料编号", 14),
]

LEDGER = [
    Column("no", "任务号", 7),
    Column("text", "试点任务", 50),
    Column("lead_units", "牵头单位", 18),
    Column("coop_units", "配合单位", 24),
    Column("status", "状态", 10, _words(STATUSES)),
    Column("light", "亮灯", 6, _words(LIGHTS), style="light"),
    Column("reason", "亮灯理由", 24),
    Column("latest_date", "最新进展日期", 12, style="date"),
    Column("latest", "最新进展", 44),
    Column("latest_title", "进展来源", 28, link="latest"),
    Column("documents", "材料数", 7),
    Column("links", "关联段落数", 9),
    Column("cases", "案例数", 7),
    Column("policies", "政策数", 7),
    Column("projects", "项目数", 7),
    Column("carried_out", "曾报落地", 8, _yes),
    Column("group", "工作专班", 14, _GROUP),
    Column("sector", "领域", 12, _SECTOR),
    Column("reform", "改革类型", 12, _REFORM),
    Column("stri", "开放限制类别", 14, _STRI),
    Column("deadline", "完成时限", 11),
    Column("history", "历次进展", 44),
    Column("firms", "涉及企业", 20),
    Column("related", "相关段落数", 9),
    Column("part", "部分", 20),
    Column("section", "章节", 20),
]

LINKS = [
    Column("link", LINK_ID, 15),
    Column("task", TASK_NO, 7, link="task"),
    Column("task_text", "试点任务", 36),
    Column("probability", "概率", 8, style="probability"),
    Column("grade", "关联程度", 9, lambda value: "落实" if value == 2 else "相关"),
    Column("status", "进展状态", 9, _STATUS),
    Column("evidence", "依据原文", 44),
    Column("verdict", VERDICT, 10, style="input"),
    Column("moved_to", MOVED_TO, 9, style="input"),
    Column("reviewer", REVIEWER, 9, style="input"),
    Column("note", NOTE, 16, style="input"),
    Column("state", "当前处理", 10),
    Column("counts", "计入统计", 8, _yes),
    Column("title", "材料", 30, link="source"),
    Column("page", "页", 5),
    Column("issuer", "报送单位", 18),
    Column("date", "日期", 11, style="date"),
    Column("kind", "材料类型", 9, _words(KINDS)),
    Column("heading", "所在标题", 20),
    Column("text", "段落全文", 60),
    Column("why", "判断理由", 30),
    Column("labeller", "判断者", 12),
    Column("time", "审核时间", 12),
    Column("passage", PASSAGE_ID, 14),
]

_PAPERS = [
    Column("issuer", "发文或报送单位", 20),
    Column("district", "区县", 10),
    Column("date", "日期", 11, style="date"),
    Column("tasks", "关联任务", 12, link="task"),
    Column("probability", "关联概率", 9, style="probability"),
]

POLICIES = [
    Column("title", "政策名称", 44, link="source"),
    Column("number", "文号", 20),
    *_PAPERS,
    Column("summary", "内容摘要", 60),
    Column("document_id", "材料编号", 14),
]

PROJECTS = [
    Column("title", "项目名称", 44, link="source"),
    *_PAPERS,
    Column("status", "进展状态", 10, _STATUS),
    Column("amounts", "金额", 24),
    Column("summary", "内容摘要", 60),
    Column("document_id", "材料编号", 14),
]

FIRMS = [
    Column("firm", "企业名称", 30),
    Column("mentions", "出现段落数", 10),
    Column("documents", "材料数", 8),
    Column("cases", "案例数", 8),
    Column("tasks", "关联任务", 14, link="task"),
    Column("titles", "所在材料", 44),
    Column("first_date", "最早日期", 11, style="date"),
    Column("last_date", "最近日期", 11, style="date"),
    Column("context", "原文", 50),
]

RISKS = [
    Column("field", "风险领域", 16),
    Column("tone", "性质", 10),
    Column("word", "风险词", 12),
    Column("sentence", "原文", 60),
    Column("tasks", "关联任务", 10, link="task"),
    Column("title", "材料", 34, link="source"),
    Column("page", "页", 5),
    Column("issuer", "报送单位", 20),
    Column("date", "日期", 11, style="date"),
]

FACTS = [
    Column("kind", "类别", 10, _words(FACT_KINDS)),
    Column("text", "内容", 80),
    Column("time", "时限", 28),
    Column("tasks", "关联任务", 28, link="task"),
    Column("page", "页", 6),
]

UNITS = [
    Column("name", "单位（公文写法）", 26),
    Column("full_name", "规范名称", 40),
    Column("current", "现名或承接单位", 40),
    Column("kind", "类型", 14),
    Column("level", "层级", 8),
    Column("origin", "来源", 10, _words(ORIGINS)),
    Column("lead_tasks", "牵头任务", 28, link="task"),
    Column("coop_tasks", "配合任务", 28, link="task"),
]

PROBLEMS = [
    Column("kind", "类别", 10, _words(PROBLEM_KINDS)),
    Column("file", "文件", 44),
    Column("page", "页", 6),
    Column("row", "行", 6),
    Column("message", "说明", 90),
]


def dimension_key(row: dict[Any, Any]) -> str:
    """The name shown of a row of the statistics: the Chinese name of a class, or the key itself."""
    scheme = {"领域": "sector", "改革类型": "reform", "工作专班": "group"}.get(row["dimension"], "")
    return class_name(scheme, row["key"]) if scheme else str(row["key"])


STATISTICS = [
    Column("dimension", "统计口径", 12),
    Column("shown", "名称", 30),
    Column("tasks", "任务数", 8),
    Column("carried_out", "曾报落地", 9),
    Column("with_evidence", "有材料", 8),
    Column("documents", "材料数", 8),
    Column("cases", "案例数", 8),
    Column("links", "关联数", 8),
    *(Column(f"light_{key}", f"{name}灯", 7) for key, name in LIGHTS.items()),
    *(Column(f"status_{key}", name, 9) for key, name in STATUSES.items()),
]

TOTALS = {
    "tasks": "任务总数",
    "carried_out": "曾报落地的任务",
    "with_evidence": "有材料的任务",
    "without_evidence": "无材料的任务",
    "status_done": "已完成",
    "status_ongoing": "推进中",
    "status_planned": "拟推进",
    "status_unstated": "有材料未述进展",
    "light_green": "绿灯",
    "light_amber": "黄灯",
    "light_red": "红灯",
    "light_grey": "灰灯",
    "documents": "材料总数",
    "linked_documents": "已关联材料",
    "passages": "段落总数",
    "linked_passages": "已关联段落",
    "links": "关联总数",
    "related_links": "相关的关联（不计入）",
    "sure_links": "待签认的高把握关联",
    "links_accepted": "审核同意",
    "links_rejected": "审核不同意",
    "links_moved": "审核改挂",
    "links_unsure": "审核存疑",
    "cases": "案例",
    "distinct_cases": "去重后案例",
    "unlinked_cases": "未关联任务的案例材料",
    "case_goal": "公文提出的案例目标",
    "policies": "政策",
    "linked_policies": "已关联政策",
    "projects": "项目",
    "linked_projects": "已关联项目",
    "firms": "企业",
    "risks": "风险提示",
    "open_risks": "需关注的风险",
    "problems": "问题",
    "unread": "无法读取的文件",
}
"""Chinese names of the totals, in the order shown."""
