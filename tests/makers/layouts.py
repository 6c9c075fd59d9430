"""Ways to lay a table of tasks out, drawn at random."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Layout:
    """How the annex looks."""

    columns: tuple[tuple[str, str], ...]
    """(kind, heading) from left to right; kinds: no, name, text, lead, coop, units, deadline, note."""
    rules: str = "all"
    """all, open (no rules at the sides), rows (no vertical rules), three (three lines), none."""
    valign: str = "middle"
    unit_align: str = "left"
    no_align: str = "center"
    landscape: bool = False
    size: float = 10.5
    padding: float = 4.0
    line_height: float = 1.4
    rule_width: float = 0.6
    repeat_header: bool = True
    title_row: bool = False
    merged_leads: bool = False
    sections: str = "rows"
    """rows (inside the table), headings (a table for each part), column (a merged column), none."""
    empty: str = ""
    margin: float = 70.0
    serif: bool = True
    running_head: str = ""
    watermark: str = ""
    split_rows: bool = True
    separator: str = "、"
    zebra: bool = False

    def widths(self) -> list[float]:
        """Relative widths of the columns."""
        shares = {
            "no": 6,
            "name": 12,
            "text": 40,
            "lead": 18,
            "coop": 22,
            "units": 24,
            "deadline": 13,
            "note": 8,
            "part": 11,
        }
        return [shares[kind] for kind, _ in self.columns]


_HEADINGS = {
    "no": ("序号", "编号", "序 号"),
    "text": ("任务", "重点任务", "工作任务", "试点任务", "主要内容", "改革举措", "任 务 内 容", "具体举措"),
    "lead": ("牵头单位", "牵头部门", "主要责任单位", "牵头责任单位"),
    "coop": ("配合单位", "配合部门", "参与单位", "协同单位", "责任单位"),
    "units": ("责任单位", "责任部门"),
    "deadline": ("完成时限", "时间进度", "完成时间"),
    "note": ("备注",),
    "name": ("任务名称", "事项名称"),
    "part": ("领域", "类别"),
}


def draw_layout(seed: int, rules: str | None = None) -> Layout:
    """Draw a layout; rules fixes the kind of ruling."""
    draw = random.Random(seed * 7919 + 13)
    rules = rules or draw.choice(("all", "all", "all", "open", "rows", "three", "three", "none"))
    merged = rules == "all" and draw.random() < 0.3
    sections = draw.choice(("rows", "rows", "rows", "headings", "none", "column" if rules == "all" else "rows"))
    kinds = ["no", "text"]
    if draw.random() < 0.25:
        kinds.insert(1, "name")
    kinds += ["units"] if draw.random() < 0.25 else ["lead", "coop"]
    if draw.random() < 0.4:
        kinds.append("deadline")
    if draw.random() < 0.2:
        kinds.append("note")
    if draw.random() < 0.2:
        kinds.remove("no")
        kinds.append("no")
    elif draw.random() < 0.15:
        kinds = [kind for kind in kinds if kind not in ("lead", "coop")] + [k for k in ("lead", "coop") if k in kinds]
    if sections == "column":
        kinds.insert(1 if kinds[0] == "no" else 0, "part")
    columns = []
    for kind in kinds:
        names = _HEADINGS[kind]
        if kind == "coop" and ("lead", "牵头单位") not in columns:
            names = names[:-1]
        columns.append((kind, draw.choice(names)))
    if "name" in kinds:
        columns = [(kind, "主要内容" if kind == "text" else heading) for kind, heading in columns]
    return Layout(
        columns=tuple(columns),
        rules=rules,
        valign=draw.choice(("middle", "middle", "top")),
        unit_align=draw.choice(("left", "left", "center")),
        no_align=draw.choice(("center", "left")),
        landscape=draw.random() < 0.3,
        size=draw.choice((9.0, 10.5, 12.0)),
        padding=draw.choice((2.0, 4.0, 5.4, 7.0)) if rules in ("all", "open", "rows") else draw.choice((4.0, 6.0, 8.0)),
        line_height=draw.choice((1.2, 1.4, 1.7)),
        rule_width=draw.choice((0.3, 0.5, 1.0, 1.5)),
        repeat_header=draw.random() < 0.7,
        title_row=rules == "all" and draw.random() < 0.2,
        merged_leads=merged,
        sections=sections,
        empty=draw.choice(("", "", "/", "—", "无")),
        margin=draw.choice((50.0, 70.0, 80.0)),
        serif=draw.random() < 0.6,
        running_head=draw.choice(("", "", "重点任务分工方案")),
        watermark=draw.choice(("", "", "", "内部资料")),
        split_rows=draw.random() < 0.7,
        zebra=draw.random() < 0.2,
    )
