"""The Word report: 进展情况汇报 from a template that anybody can edit in Word or WPS.

The template (data/report.docx) holds running text with names in double braces, {{任务总数}}, and paragraphs that stand
for a block, {{表格：任务状态}}. Fonts, order and wording are the template's; figures and tables are filled in.
"""

from __future__ import annotations

import copy
import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.classification.schemes import class_name
from pipeline.errors import DataError
from pipeline.inventory import sheets
from pipeline.inventory.charts import COLOURS
from pipeline.inventory.files import printable, write_safely
from pipeline.inventory.frames import settings_rows
from pipeline.inventory.ledger import LIGHTS, STATUSES, Results
from pipeline.inventory.lexicon import DATA
from pipeline.inventory.view import View
from pipeline.records import Snapshot
from pipeline.settings import Settings

_FONTS = ("Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Microsoft YaHei", "SimHei", "PingFang SC",
          "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "Noto Serif CJK SC", "SimSun", "AR PL UMing CN")  # fmt: skip
_NAME = re.compile(r"\{\{\s*([^{}]+?)\s*\}\}")
_MOST_TASKS = 40
_MOST_PROGRESS = 200


def write_word(
    source: Snapshot | View | Results,
    path: str | Path,
    settings: Settings | None = None,
    template: str | Path = "",
) -> Path | None:
    """Write the progress report of a snapshot as DOCX.

    Args:
        source: a snapshot, or what was made of one already.
        path: the DOCX file; one that is not as the last run left it is kept as NAME.bak.
        settings: months of the lights and the threshold of sure links.
        template: a DOCX with names in double braces; "" is the one that comes with the package.

    Returns:
        The backup made, if any.

    Raises:
        DataError: the template cannot be read, or holds a name that is not known.
        WriteError: the file is open in another program, or the place cannot be written.
    """
    results = source if isinstance(source, Results) else Results(source, settings)
    document = _filled(results, Path(template) if template else DATA / "report.docx")
    return write_safely(path, lambda draft: document.save(str(draft)))


def _filled(results: Results, template: Path) -> Any:
    import docx
    from docx.opc.exceptions import PackageNotFoundError

    try:
        document = docx.Document(str(template))
    except (PackageNotFoundError, OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"{template}：Word 模板无法读取（{error}）。请换用 .docx 模板，或重新安装。") from error
    notes = _Notes()
    names = _values(results)
    blocks = _blocks(results, notes)
    paragraphs = [*document.paragraphs]
    for table in document.tables:
        paragraphs += [p for row in table.rows for cell in row.cells for p in cell.paragraphs]
    for part in document.sections:
        paragraphs += [*part.header.paragraphs, *part.footer.paragraphs]
    later = []
    given = [paragraph.text for paragraph in paragraphs]
    for paragraph in paragraphs:
        found = _NAME.findall(paragraph.text)
        unknown = [name for name in found if name not in names and name not in blocks]
        if unknown:
            raise DataError(
                f"{template}：模板中的 {{{{{unknown[0]}}}}} 不是可用的名称。可用：{'、'.join([*names, *blocks])}。"
            )
        if len(found) == 1 and found[0] in blocks and _NAME.fullmatch(paragraph.text.strip()):
            later.append((paragraph, found[0]))
        elif found:
            _replace(paragraph, names)
    if results.view.scope and not any("{{范围}}" in text for text in given):
        # A template of somebody's own may not know of parts; its figures must not pass for those of the whole.
        next((p for p in document.paragraphs if p.text.strip()), document.paragraphs[0]).add_run(results.view.scope)
    # Sources are numbered where they are first cited: the list of them stands last.
    for paragraph, name in sorted(later, key=lambda item: item[1] == "资料来源"):
        blocks[name](paragraph)
        paragraph._element.getparent().remove(paragraph._element)
    core = document.core_properties
    core.title = f"{results.view.snapshot.notice.title or '试点任务'}进展情况汇报{results.view.scope}"[:250]
    core.subject = results.view.snapshot.notice.number[:250]
    core.comments = "；".join(f"{name}={value}" for name, value in settings_rows(results.view))[:250]
    core.author = ""
    return document


def _replace(paragraph: Any, names: dict[str, str]) -> None:
    """Fill the names of a paragraph; a name that Word has cut into runs takes the look of its first run."""
    text = "".join(run.text for run in paragraph.runs)
    while match := _NAME.search(text):
        start, end = match.span()
        value = names[match.group(1)]
        at = 0
        first = True
        for run in paragraph.runs:
            length = len(run.text)
            left, right = max(start - at, 0), min(end - at, length)
            if left < length and right > 0 and left < right:
                run.text = run.text[:left] + (value if first else "") + run.text[right:]
                first = False
            at += length
        # A value is never read as a template again.
        done = sum(len(run.text) for run in paragraph.runs)
        text = "\x00" * (start + len(value)) + "".join(run.text for run in paragraph.runs)[start + len(value) :]
        assert len(text) == done


def _values(results: Results) -> dict[str, str]:
    """The names that a template may use in running text."""
    view, t = results.view, results.totals
    notice = view.snapshot.notice
    year, month, day = [*view.snapshot.date.split("-"), "", "", ""][:3]
    deployed = f"公文部署任务{len(view.whole.tasks)}项"
    if view.scope:
        deployed += f"，本报告{view.scope[1:-1]}，涉及任务{t['tasks']}项，任务状态和亮灯按全部材料判断"
    values = {
        "公文标题": notice.title or notice.number or "试点任务",
        "发文字号": notice.number or "（无文号）",
        "发文机关": notice.issuer,
        "成文日期": notice.date,
        "运行日期": f"{year}年{int(month)}月{int(day)}日" if (month + day).isdecimal() and day else "（未注明日期）",
        "落地比例": f"{t['carried_out'] / t['tasks']:.1%}" if t["tasks"] else "0%",
        "覆盖比例": f"{t['with_evidence'] / t['tasks']:.1%}" if t["tasks"] else "0%",
        "案例目标说明": f"（公文提出的目标为 {t['case_goal']} 个以上）" if t["case_goal"] else "",
        "红灯月数": str(view.settings.red_months),
        "黄灯月数": str(view.settings.amber_months),
        "范围": view.scope,
        "任务部署情况": deployed,
        "高把握关联": str(t["sure_links"]),  # the former name of a total
    }
    return {name: printable(value) for name, value in values.items()} | {
        name: str(t[key]) for key, name in sheets.TOTALS.items()
    }


class _Notes:
    """Sources cited, numbered by first use."""

    def __init__(self) -> None:
        self.sources: dict[tuple[str, str, str, Any], int] = {}

    def cite(self, title: str, issuer: str, date: str, page: Any) -> int:
        key = (title, issuer, date, int(page) if page and page == page else None)  # noqa: PLR0124 - not-a-number
        return self.sources.setdefault(key, len(self.sources) + 1)


def _blocks(results: Results, notes: _Notes) -> dict[str, Callable[[Any], None]]:
    """What may stand for a paragraph of its own in a template, each with what writes it there."""
    ledger = results.ledger.to_dict("records")

    def status(paragraph: Any) -> None:
        t = results.totals
        rows = [[name, str(t[f"status_{key}"])] for key, name in STATUSES.items()]
        rows += [[f"{name}灯", str(t[f"light_{key}"])] for key, name in LIGHTS.items()]
        _table(paragraph, ["状态", "任务数"], [*rows, ["合计", str(t["tasks"])]], [8, 4])

    def units(paragraph: Any) -> None:
        found = [row for row in results.statistics.to_dict("records") if row["dimension"] == "牵头单位"]
        rows = [
            [
                str(row["key"]), *(str(int(row[name])) for name in ("tasks", "carried_out", "with_evidence")),
                *(str(int(row[f"light_{key}"])) for key in LIGHTS),
            ]
            for row in found
        ]  # fmt: skip
        heads = ["牵头单位", "任务", "曾报落地", "有材料", *(f"{name}灯" for name in LIGHTS.values())]
        _table(paragraph, heads, rows, [5, 1.5, 2, 1.8, 1.5, 1.5, 1.5, 1.5])

    def sectors(paragraph: Any) -> None:
        found = [row for row in results.statistics.to_dict("records") if row["dimension"] == "领域"]
        rows = [
            [sheets.dimension_key(row), *(str(int(row[name])) for name in ("tasks", "carried_out", "with_evidence"))]
            for row in found
        ]
        _table(paragraph, ["领域", "任务", "曾报落地", "有材料"], rows, [6, 3, 3, 3])

    def progress(paragraph: Any) -> None:
        told = [row for row in ledger if row["links"] and row["latest"]]
        for row in told[:_MOST_PROGRESS]:
            number = notes.cite(row["latest_title"], row["latest_issuer"], row["latest_date"], row["latest_page"])
            lead = row["lead_units"] or "未列牵头单位"
            _insert(paragraph, f"任务 {row['no']}（{lead}，{STATUSES[row['status']]}）：", str(row["latest"]), number)
        if len(told) > _MOST_PROGRESS:
            _insert(paragraph, "", f"其余 {len(told) - _MOST_PROGRESS} 项任务的进展见任务台账。")
        if not told:
            _insert(paragraph, "", "尚未收到任务进展材料。")

    def silent(paragraph: Any) -> None:
        rows = [row for row in ledger if row["light"] == "red"]
        if not rows:
            _insert(paragraph, "", "没有亮红灯的任务。")
            return
        shown = [
            [str(row["no"]), _short(row["text"], 60), row["lead_units"], row["reason"]] for row in rows[:_MOST_TASKS]
        ]
        _table(paragraph, ["任务", "内容", "牵头单位", "原因"], shown, [1.4, 7.4, 3.4, 3.6])

    def case_list(paragraph: Any) -> None:
        rows = [row for row in results.cases.to_dict("records") if row["linked"]]
        # One row a group of near-duplicates: the earliest stands for all.
        firsts = list({row["group"]: row for row in reversed(rows)}.values())[::-1]
        if not firsts:
            _insert(paragraph, "", "尚未形成案例。")
        for index, row in enumerate(firsts[:_MOST_TASKS], 1):
            number = notes.cite(row["title"], row["issuer"], row["date"], None)
            sector = "、".join(class_name("sector", key) for key in row["sector"].split("、") if key)
            facts = "，".join(x for x in (row["issuer"], row["date"], sector, f"任务{row['tasks']}") if x)
            _insert(paragraph, f"{index}．{row['title']}", f"（{facts}）", number)
            if row["results"]:
                _insert(paragraph, "", "成效：" + _short(row["results"].replace("\n", ""), 160))
            if row["replicability"]:
                _insert(paragraph, "", f"推广线索：{row['replicability']}（{_short(row['replicability_words'], 60)}）")

    def lists(kind: str) -> Callable[[Any], None]:
        def write(paragraph: Any) -> None:
            rows = (results.policies if kind == "policy" else results.projects).to_dict("records")
            if not rows:
                _insert(paragraph, "", "无。")
                return
            middle = "number" if kind == "policy" else "amounts"
            shown = [
                [row["title"], _short(row[middle] or "—", 40), row["issuer"], row["date"], row["tasks"] or "—"]
                for row in rows[:_MOST_TASKS]
            ]
            heads = ["政策", "文号"] if kind == "policy" else ["项目", "金额"]
            _table(paragraph, [*heads, "单位", "日期", "任务"], shown, [6, 3.2, 3.4, 2.2, 1.6])

        return write

    def risk_list(paragraph: Any) -> None:
        rows = [row for row in results.risks.to_dict("records") if row["tone"] == "需关注"]
        if not rows:
            _insert(paragraph, "", "材料中未见需关注的风险提示。")
        for row in rows[:15]:
            number = notes.cite(row["title"], row["issuer"], row["date"], row["page"])
            _insert(paragraph, f"{row['field']}（任务{row['tasks']}）：", _short(row["sentence"], 120), number)

    def problems(paragraph: Any) -> None:
        rows = results.problems.to_dict("records")
        if not rows:
            _insert(paragraph, "", "无。")
        for row in rows[:15]:
            _insert(paragraph, "", _short(row["message"], 160))
        if len(rows) > 15:
            _insert(paragraph, "", f"共 {len(rows)} 条，其余见工作簿“问题清单”。")

    def sources(paragraph: Any) -> None:
        for (title, issuer, date, page), number in notes.sources.items():
            told = "，".join(x for x in (issuer, date, f"第{page}页" if page else "") if x)
            _insert(paragraph, f"[{number}] ", f"{title}{'（' + told + '）' if told else ''}", size=9)

    def plot(paragraph: Any) -> None:
        picture = _plot(results)
        if picture is None:
            status(paragraph)
            return
        from docx.shared import Cm

        new = _copy(paragraph)
        new.add_run().add_picture(io.BytesIO(picture), width=Cm(15))

    return {
        "表格：任务状态": status,
        "表格：牵头单位": units,
        "表格：领域": sectors,
        "图：牵头单位亮灯": plot,
        "任务进展": progress,
        "表格：红灯任务": silent,
        "案例介绍": case_list,
        "表格：政策": lists("policy"),
        "表格：项目": lists("project"),
        "风险列表": risk_list,
        "问题列表": problems,
        "资料来源": sources,
    }


def _short(text: Any, length: int) -> str:
    plain = printable(text)
    return plain if len(plain) <= length else plain[: length - 1] + "…"


def _copy(paragraph: Any) -> Any:
    """A new paragraph before the one that stands for a block, with its look and no text."""
    from docx.text.paragraph import Paragraph

    element = copy.deepcopy(paragraph._element)
    paragraph._element.addprevious(element)
    new = Paragraph(element, paragraph._parent)
    for run in new.runs:
        run._element.getparent().remove(run._element)
    return new


def _insert(paragraph: Any, bold: str, text: str, note: int = 0, size: float = 0) -> None:
    from docx.shared import Pt

    new = _copy(paragraph)
    runs = [new.add_run(printable(bold))] if bold else []
    for run in runs:
        run.bold = True
    runs.append(new.add_run(printable(text)))
    if note:
        runs.append(new.add_run(f"[{note}]"))
        runs[-1].font.superscript = True
    _look(paragraph, runs)
    if size:
        for run in runs:
            run.font.size = Pt(size)


def _look(paragraph: Any, runs: list[Any]) -> None:
    """Give runs the fonts of the template's paragraph."""
    if not paragraph.runs or paragraph.runs[0]._element.rPr is None:
        return
    for run in runs:
        own = run._element.get_or_add_rPr()
        for part in paragraph.runs[0]._element.rPr:
            if own.find(part.tag) is None:
                own.insert(0, copy.deepcopy(part))


def _table(paragraph: Any, heads: list[str], rows: list[list[str]], widths: list[float]) -> None:
    """Put a table before the paragraph that stands for it; widths are in centimetres."""
    from docx.enum.table import WD_TABLE_ALIGNMENT
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn
    from docx.shared import Cm, Pt, RGBColor

    if not rows:
        _insert(paragraph, "", "无。")
        return
    document = paragraph.part.document
    table = document.add_table(rows=1 + len(rows), cols=len(heads))
    table.style = document.styles["Table Grid"]
    table.alignment = WD_TABLE_ALIGNMENT.CENTER
    table.autofit = False
    paragraph._element.addprevious(table._element)
    for column, width in zip(table.columns, widths, strict=True):
        column.width = Cm(width)
    for index, values in enumerate([heads, *rows]):
        cells = table.rows[index].cells
        for cell, value, width in zip(cells, values, widths, strict=True):
            cell.width = Cm(width)
            told = cell.paragraphs[0]
            told.paragraph_format.first_line_indent = Pt(0)
            told.paragraph_format.line_spacing = 1.0
            told.paragraph_format.space_after = Pt(0)
            run = told.add_run(printable(value))
            run.font.size = Pt(10)
            run.bold = index == 0
            if index == 0:
                run.font.color.rgb = RGBColor(0x27, 0x32, 0x3F)
                shade = OxmlElement("w:shd")
                shade.set(qn("w:val"), "clear")
                shade.set(qn("w:fill"), "DCE6F2")
                cell._element.get_or_add_tcPr().append(shade)
        row = table.rows[index]._tr.get_or_add_trPr()
        row.append(OxmlElement("w:cantSplit"))
        if index == 0:
            row.append(OxmlElement("w:tblHeader"))
    _copy(paragraph)


def _plot(results: Results) -> bytes | None:
    """A picture of the lights by lead unit, None where no font of this system shows Chinese."""
    import matplotlib as mpl
    from matplotlib import font_manager
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    known = {font.name for font in font_manager.fontManager.ttflist}
    font = next((name for name in _FONTS if name in known), None)
    rows = [row for row in results.statistics.to_dict("records") if row["dimension"] == "牵头单位"][:14][::-1]
    if font is None or not rows:
        return None
    with mpl.rc_context({"font.family": [font, "DejaVu Sans"], "axes.unicode_minus": False}):
        figure = Figure(figsize=(7.2, 0.7 + 0.22 * len(rows)), dpi=200)
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        names = [str(row["key"]) for row in rows]
        left = [0.0] * len(rows)
        for key, name in LIGHTS.items():
            values = [float(row[f"light_{key}"]) for row in rows]
            axes.barh(names, values, left=left, color=COLOURS[key], label=f"{name}灯", height=0.68)
            left = [a + b for a, b in zip(left, values, strict=True)]
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("任务数")
        axes.legend(ncols=4, frameon=False, loc="lower right", bbox_to_anchor=(1, 1))
        figure.tight_layout()
        stream = io.BytesIO()
        figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


def make_template(path: str | Path) -> None:
    """Write the template that comes with the package; edit the file, not this, to change the report."""
    import docx
    from docx.enum.text import WD_ALIGN_PARAGRAPH
    from docx.oxml.ns import qn
    from docx.shared import Cm, Pt

    document = docx.Document()
    section = document.sections[0]
    section.page_width, section.page_height = Cm(21), Cm(29.7)
    section.top_margin, section.bottom_margin = Cm(3.2), Cm(2.8)
    section.left_margin, section.right_margin = Cm(2.6), Cm(2.5)

    def style(name: str, font: str, size: float, bold: bool = False) -> Any:
        found = document.styles[name]
        found.font.name, found.font.size, found.font.bold = "Times New Roman", Pt(size), bold
        found.font.color.rgb = None
        fonts = found.element.get_or_add_rPr().get_or_add_rFonts()
        for kind in ("w:asciiTheme", "w:hAnsiTheme", "w:eastAsiaTheme", "w:cstheme"):
            fonts.attrib.pop(qn(kind), None)
        fonts.set(qn("w:eastAsia"), font)
        return found

    normal = style("Normal", "仿宋", 15)
    normal.paragraph_format.first_line_indent = Pt(30)
    normal.paragraph_format.line_spacing = 1.4
    normal.paragraph_format.space_after = Pt(0)
    for name, font, size in (("Title", "黑体", 21), ("Heading 1", "黑体", 16), ("Heading 2", "楷体", 15)):
        found = style(name, font, size)
        found.paragraph_format.first_line_indent = Pt(0) if name == "Title" else Pt(30)
        found.paragraph_format.space_before = Pt(10)
        found.paragraph_format.space_after = Pt(6)
        found.paragraph_format.keep_with_next = True
        for child in found.element.xpath("./w:pPr/w:pBdr | ./w:rPr/w:color"):
            child.getparent().remove(child)
    title = document.add_paragraph("《{{公文标题}}》进展情况汇报{{范围}}", style="Title")
    title.alignment = WD_ALIGN_PARAGRAPH.CENTER
    date = document.add_paragraph("（{{发文字号}}，截至{{运行日期}}）")
    date.alignment = WD_ALIGN_PARAGRAPH.CENTER
    date.paragraph_format.first_line_indent = Pt(0)
    outline = [
        ("#一、总体情况", [
            "{{任务部署情况}}。截至目前，共收到材料{{材料总数}}份，其中{{已关联材料}}份与任务有关；"
            "曾报告落地的任务{{曾报落地的任务}}项，占{{落地比例}}；"
            "有材料的任务{{有材料的任务}}项，占{{覆盖比例}}；尚无材料的任务{{无材料的任务}}项。",
            "按最近报告的状态，已完成{{已完成}}项，推进中{{推进中}}项，拟推进{{拟推进}}项，有材料而未述进展{{有材料未述进展}}项。"
            "亮绿灯{{绿灯}}项、黄灯{{黄灯}}项、红灯{{红灯}}项、灰灯{{灰灯}}项。",
            "{{表格：任务状态}}",
        ]),
        ("#二、各单位情况", ["{{图：牵头单位亮灯}}", "{{表格：牵头单位}}", "{{表格：领域}}"]),
        ("#三、任务进展", ["{{任务进展}}"]),
        ("#四、案例", ["共收集与任务有关的案例{{案例}}个，去重后{{去重后案例}}个{{案例目标说明}}。", "{{案例介绍}}"]),
        ("#五、政策和项目清单", ["支持政策{{政策}}项，项目{{项目}}个。", "{{表格：政策}}", "{{表格：项目}}"]),
        ("#六、存在的问题", [
            "{{红灯月数}}个月以上没有新材料或逾期的任务{{红灯}}项：", "{{表格：红灯任务}}",
            "材料中需关注的风险提示{{需关注的风险}}条：", "{{风险列表}}",
            "材料读取和核对中的问题{{问题}}条，其中无法读取的文件{{无法读取的文件}}个：", "{{问题列表}}",
        ]),
        ("#资料来源", ["{{资料来源}}"]),
    ]  # fmt: skip
    for heading, paragraphs in outline:
        document.add_paragraph(heading.lstrip("#"), style="Heading 1")
        for text in paragraphs:
            document.add_paragraph(text)
    footer = section.footer.paragraphs[0]
    footer.alignment = WD_ALIGN_PARAGRAPH.CENTER
    footer.paragraph_format.first_line_indent = Pt(0)
    run = footer.add_run("本材料由程序根据来文自动汇总，数字以任务台账为准，请核对后使用。")
    run.font.size = Pt(9)
    document.save(str(path))
