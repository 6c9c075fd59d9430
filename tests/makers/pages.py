"""A notice and a layout as HTML (for WeasyPrint and Chromium), as PDF by reportlab, and as DOCX."""

from __future__ import annotations

import html
import subprocess
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from tests.makers.layouts import Layout
from tests.makers.notices import InventedNotice, InventedTask


def _value(task: InventedTask, kind: str, layout: Layout) -> str:
    if kind == "no":
        return str(task.no)
    if kind == "units":
        return layout.separator.join(task.lead[:1] + task.coop) or layout.empty
    values = {
        "text": task.text,
        "name": task.name,
        "lead": layout.separator.join(task.lead),
        "coop": layout.separator.join(task.coop),
        "deadline": task.deadline,
        "note": "",
        "part": task.part,
    }
    return values[kind] or (layout.empty if kind in ("coop", "lead") else "")


def gold(notice: InventedNotice, layout: Layout) -> list[dict[str, object]]:
    """What a perfect reader gets."""
    kinds = [kind for kind, _ in layout.columns]
    rows = []
    for task in notice.tasks:
        lead = task.lead[:1] if "units" in kinds else task.lead
        part = task.part if layout.sections != "none" else ""
        section = task.section if layout.sections == "rows" else ""
        rows.append(
            {
                "no": task.no,
                "text": task.text,
                "lead_units": lead,
                "coop_units": task.coop,
                "part": part,
                "section": section or None,
                "deadline": task.deadline if "deadline" in kinds else "",
            }
        )
    return rows


def groups(notice: InventedNotice, layout: Layout) -> Iterator[tuple[str, list[InventedTask]]]:
    """The tasks table by table, each with the heading above it."""
    if layout.sections != "headings":
        yield "", notice.tasks
        return
    parts = list(dict.fromkeys(task.part for task in notice.tasks))
    for part in parts:
        yield part, [task for task in notice.tasks if task.part == part]


def rows_of(tasks: list[InventedTask], layout: Layout) -> Iterator[tuple[str, InventedTask | None]]:
    """Section rows (with their text) and task rows in order."""
    part = section = ""
    for task in tasks:
        if layout.sections == "rows":
            if task.part != part:
                part = task.part
                yield part, None
            if task.section and task.section != section:
                section = task.section
                yield section, None
        yield "", task


def spans(tasks: list[InventedTask], layout: Layout) -> dict[tuple[int, str], int]:
    """How many rows the cell of a task and kind goes over; 0 where the cell above covers it."""
    found: dict[tuple[int, str], int] = {}
    keys = [("part", lambda t: t.part)] if layout.sections == "column" else []
    if layout.merged_leads:
        keys.append(("lead", lambda t: (tuple(t.lead), t.part, t.section)))
    for kind, key in keys:
        start = 0
        for index in range(1, len(tasks) + 1):
            if index == len(tasks) or key(tasks[index]) != key(tasks[start]):
                found[tasks[start].no, kind] = index - start
                for covered in tasks[start + 1 : index]:
                    found[covered.no, kind] = 0
                start = index
    return found


# --------------------------------------------------------------------------------------------- HTML


def to_html(notice: InventedNotice, layout: Layout, font: str) -> str:
    """The notice as a page for printing."""
    line = f"{layout.rule_width}pt solid black"
    borders = {
        "all": f"th,td{{border:{line}}}",
        "open": f"th,td{{border:{line}}} tr>*:first-child{{border-left:none}} tr>*:last-child{{border-right:none}}",
        "rows": f"th,td{{border-top:{line};border-bottom:{line}}}",
        "three": f"table{{border-top:{line};border-bottom:{line}}} th{{border-bottom:{line}}}",
        "none": "",
    }[layout.rules]
    width, height = (842, 595) if layout.landscape else (595, 842)
    total = sum(layout.widths())
    cols = "".join(f'<col style="width:{100 * share / total:.1f}%">' for share in layout.widths())
    head_row = "<tr>" + "".join(f"<th>{html.escape(name)}</th>" for _, name in layout.columns) + "</tr>"
    if layout.title_row:
        head_row = f'<tr><th colspan="{len(layout.columns)}">重点任务分工表</th></tr>' + head_row
    tables = []
    for heading, tasks in groups(notice, layout):
        span = spans(tasks, layout)
        rows = []
        for section, task in rows_of(tasks, layout):
            if task is None:
                rows.append(f'<tr><td colspan="{len(layout.columns)}">{html.escape(section)}</td></tr>')
                continue
            cells = []
            for kind, _ in layout.columns:
                count = span.get((task.no, kind), 1)
                if count:
                    over = f' rowspan="{count}"' if count > 1 else ""
                    cells.append(f'<td class="{kind}"{over}>{html.escape(_value(task, kind, layout))}</td>')
            rows.append("<tr>" + "".join(cells) + "</tr>")
        head = f"<thead>{head_row}</thead>" if layout.repeat_header else ""
        body = "".join(rows) if layout.repeat_header else head_row + "".join(rows)
        title = f"<h3>{heading}</h3>" if heading else ""
        tables.append(f"{title}<table><colgroup>{cols}</colgroup>{head}<tbody>{body}</tbody></table>")
    top = f'@top-center{{content:"{layout.running_head}";font-size:9pt}}' if layout.running_head else ""
    mark = ""
    if layout.watermark:
        mark = (
            '<div style="position:fixed;top:40%;left:15%;font-size:60pt;color:#ddd;transform:rotate(-35deg);z-index:-1">'
            f"{layout.watermark}</div>"
        )
    body = "".join(f"<p>{html.escape(text)}</p>" for text in notice.body)
    return f"""<!DOCTYPE html><html lang="zh"><head><meta charset="utf-8"><style>
@page{{size:{width}pt {height}pt;margin:{layout.margin}pt;@bottom-center{{content:"— " counter(page) " —"}}{top}}}
body{{font-family:'{font}';font-size:14pt;line-height:1.6;margin:0}} p{{text-indent:2em;margin:0}} h1{{text-align:center;font-size:20pt}}
table{{border-collapse:collapse;width:100%;font-size:{layout.size}pt;line-height:{layout.line_height};table-layout:fixed}}
td,th{{padding:{layout.padding}pt;vertical-align:{layout.valign};text-align:left}} {borders}
th{{text-align:center}} .no{{text-align:{layout.no_align}}} .lead,.coop,.units{{text-align:{layout.unit_align}}}
{"tr{break-inside:avoid}" if not layout.split_rows else ""} {"tbody tr:nth-child(even){background:#eee}" if layout.zebra else ""}
</style></head><body>{mark}<h1>{html.escape(notice.title)}</h1><p style="text-align:center">{notice.number}</p>{body}
<p>附件：重点任务分工表</p><div style="break-before:page">附件</div><h2 style="text-align:center">重点任务分工表</h2>{"".join(tables)}</body></html>"""


def by_weasyprint(notice: InventedNotice, layout: Layout, font: str, target: Path) -> None:
    """Print by WeasyPrint."""
    import weasyprint

    weasyprint.HTML(string=to_html(notice, layout, font)).write_pdf(target)


def by_chromium(notice: InventedNotice, layout: Layout, font: str, target: Path) -> None:
    """Print by a Chromium that is installed."""
    page = target.with_suffix(".html")
    page.write_text(to_html(notice, layout, font), encoding="utf-8")
    subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer", f"--print-to-pdf={target}", page.as_uri()],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip


# --------------------------------------------------------------------------------------------- reportlab


def by_reportlab(notice: InventedNotice, layout: Layout, font: str, target: Path | BytesIO) -> None:
    """Lay out by reportlab; font is a TrueType file or the name of a CID font."""
    from reportlab.lib.pagesizes import A4, landscape
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.pdfbase.ttfonts import TTFont
    from reportlab.platypus import LongTable, PageBreak, SimpleDocTemplate, TableStyle
    from reportlab.platypus import Paragraph as Text

    if font.endswith((".ttf", ".ttc")):
        name = Path(font).stem
        pdfmetrics.registerFont(TTFont(name, font))
    else:
        name = font
        pdfmetrics.registerFont(UnicodeCIDFont(name))
    leading = layout.size * layout.line_height
    style = ParagraphStyle("cell", fontName=name, fontSize=layout.size, leading=leading, wordWrap="CJK")
    centre = ParagraphStyle("centre", parent=style, alignment=1)
    body = ParagraphStyle("body", parent=style, fontSize=14, leading=24, firstLineIndent=28)
    title = ParagraphStyle("title", parent=body, fontSize=20, leading=30, alignment=1, firstLineIndent=0)
    size = landscape(A4) if layout.landscape else A4
    story: list[object] = [Text(notice.title, title), Text(notice.number, centre)]
    story += [Text(text, body) for text in notice.body]
    story += [Text("附件：重点任务分工表", body), PageBreak(), Text("附件", style), Text("重点任务分工表", title)]
    shares = layout.widths()
    unit = (size[0] - 2 * layout.margin) / sum(shares)
    for heading, tasks in groups(notice, layout):
        if heading:
            story.append(Text(heading, body))
        span = spans(tasks, layout)
        data: list[list[object]] = []
        commands: list[tuple[object, ...]] = [
            ("VALIGN", (0, 0), (-1, -1), layout.valign.upper()),
            ("LEFTPADDING", (0, 0), (-1, -1), layout.padding), ("RIGHTPADDING", (0, 0), (-1, -1), layout.padding),
            ("TOPPADDING", (0, 0), (-1, -1), layout.padding), ("BOTTOMPADDING", (0, 0), (-1, -1), layout.padding),
        ]  # fmt: skip
        if layout.title_row:
            data.append([Text("重点任务分工表", centre)] + [""] * (len(shares) - 1))
            commands.append(("SPAN", (0, 0), (-1, 0)))
        data.append([Text(heading, centre) for _, heading in layout.columns])
        heads = len(data)
        for section, task in rows_of(tasks, layout):
            row = len(data)
            if task is None:
                data.append([Text(section, style)] + [""] * (len(shares) - 1))
                commands.append(("SPAN", (0, row), (-1, row)))
                continue
            cells: list[object] = []
            for column, (kind, _) in enumerate(layout.columns):
                count = span.get((task.no, kind), 1)
                aligned = (
                    centre
                    if (kind == "no" and layout.no_align == "center")
                    or (kind in ("lead", "coop", "units") and layout.unit_align == "center")
                    else style
                )
                cells.append(Text(_value(task, kind, layout), aligned) if count else "")
                if count > 1:
                    commands.append(("SPAN", (column, row), (column, row + count - 1)))
            data.append(cells)
        width = layout.rule_width
        if layout.rules == "all":
            commands.append(("GRID", (0, 0), (-1, -1), width, "black"))
        elif layout.rules == "open":
            commands += [
                ("INNERGRID", (0, 0), (-1, -1), width, "black"),
                ("LINEABOVE", (0, 0), (-1, 0), width, "black"),
                ("LINEBELOW", (0, -1), (-1, -1), width, "black"),
            ]
        elif layout.rules == "rows":
            commands += [
                ("LINEABOVE", (0, 0), (-1, -1), width, "black"),
                ("LINEBELOW", (0, -1), (-1, -1), width, "black"),
            ]
        elif layout.rules == "three":
            commands += [
                ("LINEABOVE", (0, 0), (-1, 0), width, "black"),
                ("LINEBELOW", (0, heads - 1), (-1, heads - 1), width, "black"),
                ("LINEBELOW", (0, -1), (-1, -1), width, "black"),
            ]
        # reportlab prints merged cells over other rows when it splits a row: split only tables without any.
        split = layout.split_rows and not any(command[0] == "SPAN" for command in commands)
        story.append(
            LongTable(
                data, colWidths=[unit * share for share in shares], repeatRows=heads if layout.repeat_header else 0,
                style=TableStyle(commands), splitInRow=1 if split else 0,
            )
        )  # fmt: skip

    def furniture(canvas: object, document: object) -> None:
        canvas.setFont(name, 9)  # type: ignore[attr-defined]
        canvas.drawCentredString(size[0] / 2, 28, f"- {document.page} -")  # type: ignore[attr-defined]
        if layout.running_head:
            canvas.drawString(layout.margin, size[1] - 32, layout.running_head)  # type: ignore[attr-defined]
        if layout.watermark:
            canvas.saveState()  # type: ignore[attr-defined]
            canvas.setFillGray(0.85)  # type: ignore[attr-defined]
            canvas.setFont(name, 60)  # type: ignore[attr-defined]
            canvas.translate(size[0] / 2, size[1] / 2)  # type: ignore[attr-defined]
            canvas.rotate(35)  # type: ignore[attr-defined]
            canvas.drawCentredString(0, 0, layout.watermark)  # type: ignore[attr-defined]
            canvas.restoreState()  # type: ignore[attr-defined]

    document = SimpleDocTemplate(
        str(target) if isinstance(target, Path) else target, pagesize=size, leftMargin=layout.margin, rightMargin=layout.margin,
        topMargin=layout.margin, bottomMargin=layout.margin,
    )  # fmt: skip
    document.build(story, onFirstPage=furniture, onLaterPages=furniture)


# --------------------------------------------------------------------------------------------- DOCX


def to_docx(notice: InventedNotice, layout: Layout, font: str, target: Path) -> None:
    """Write a DOCX with the table, merged cells and repeated header included."""
    import docx
    from docx.enum.section import WD_ORIENT
    from docx.enum.table import WD_CELL_VERTICAL_ALIGNMENT as VERTICAL
    from docx.enum.text import WD_ALIGN_PARAGRAPH as ALIGN
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn
    from docx.shared import Pt

    document = docx.Document()
    part = document.sections[0]
    part.page_width, part.page_height = (Pt(842), Pt(595)) if layout.landscape else (Pt(595), Pt(842))
    part.orientation = WD_ORIENT.LANDSCAPE if layout.landscape else WD_ORIENT.PORTRAIT
    part.left_margin = part.right_margin = part.top_margin = part.bottom_margin = Pt(layout.margin)
    normal = document.styles["Normal"]
    normal.font.name = font
    normal.element.rPr.rFonts.set(qn("w:eastAsia"), font)
    normal.font.size = Pt(14)
    if layout.running_head:
        part.header.paragraphs[0].text = layout.running_head
    heading = document.add_paragraph()
    heading.alignment = ALIGN.CENTER
    heading.add_run(notice.title).font.size = Pt(20)
    document.add_paragraph(notice.number).alignment = ALIGN.CENTER
    for text in (*notice.body, "附件：重点任务分工表"):
        document.add_paragraph(text).paragraph_format.first_line_indent = Pt(28)
    document.add_page_break()
    document.add_paragraph("附件")
    document.add_paragraph("重点任务分工表").alignment = ALIGN.CENTER

    def fill(cell: object, text: str, centre: bool) -> None:
        paragraph = cell.paragraphs[0]  # type: ignore[attr-defined]
        paragraph.paragraph_format.space_after = Pt(0)
        paragraph.paragraph_format.line_spacing = layout.line_height
        paragraph.add_run(text).font.size = Pt(layout.size)
        paragraph.alignment = ALIGN.CENTER if centre else ALIGN.LEFT
        cell.vertical_alignment = VERTICAL.TOP if layout.valign == "top" else VERTICAL.CENTER  # type: ignore[attr-defined]

    def mark(row: object, name: str) -> None:
        row._tr.get_or_add_trPr().append(OxmlElement(name))  # type: ignore[attr-defined]

    for title, tasks in groups(notice, layout):
        if title:
            document.add_paragraph(title)
        table = document.add_table(rows=0, cols=len(layout.columns))
        table.autofit = False
        if layout.rules == "all":
            table.style = "Table Grid"
        else:
            _docx_borders(table, layout.rules)
        shares = layout.widths()
        width = (part.page_width - 2 * Pt(layout.margin)) / sum(shares)
        if layout.title_row:
            cells = table.add_row().cells
            fill(cells[0].merge(cells[-1]), "重点任务分工表", True)
        header = table.add_row()
        for cell, (_, name) in zip(header.cells, layout.columns, strict=True):
            fill(cell, name, True)
        if layout.repeat_header:
            for row in table.rows:
                mark(row, "w:tblHeader")
        if layout.rules == "three":
            for cell in header.cells:
                borders = OxmlElement("w:tcBorders")
                bottom = OxmlElement("w:bottom")
                bottom.set(qn("w:val"), "single")
                bottom.set(qn("w:sz"), "6")
                borders.append(bottom)
                cell._tc.get_or_add_tcPr().append(borders)
        span = spans(tasks, layout)
        merges: list[tuple[int, int, int]] = []
        for section, task in rows_of(tasks, layout):
            row = table.add_row()
            if not layout.split_rows:
                mark(row, "w:cantSplit")
            cells = row.cells
            if task is None:
                fill(cells[0].merge(cells[-1]), section, False)
                continue
            for column, (kind, _) in enumerate(layout.columns):
                count = span.get((task.no, kind), 1)
                centre = (kind == "no" and layout.no_align == "center") or (
                    kind in ("lead", "coop", "units") and layout.unit_align == "center"
                )
                if count:
                    fill(cells[column], _value(task, kind, layout), centre)
                if count > 1:
                    merges.append((len(table.rows) - 1, column, count))
        for row in table.rows:
            for cell, share in zip(row.cells, shares, strict=True):
                if len({id(c._tc) for c in row.cells}) == len(shares):
                    cell.width = int(width * share)
        for row, column, count in merges:
            table.cell(row, column).merge(table.cell(row + count - 1, column))
            merged = table.cell(row, column)
            for paragraph in merged.paragraphs[1:]:
                paragraph._p.getparent().remove(paragraph._p)
    document.save(str(target))


def _docx_borders(table: object, rules: str) -> None:
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    names = {
        "open": ("top", "bottom", "insideH", "insideV"),
        "rows": ("top", "bottom", "insideH"),
        "three": ("top", "bottom"),
        "none": (),
    }[rules]
    borders = OxmlElement("w:tblBorders")
    for name in names:
        item = OxmlElement(f"w:{name}")
        item.set(qn("w:val"), "single")
        item.set(qn("w:sz"), "6")
        borders.append(item)
    table._tbl.tblPr.append(borders)  # type: ignore[attr-defined]


def by_libreoffice(notice: InventedNotice, layout: Layout, font: str, target: Path) -> None:
    """Write a DOCX and have LibreOffice print it."""
    source = target.with_suffix(".docx")
    to_docx(notice, layout, font, source)
    profile = target.parent / ("profile-" + target.stem)
    subprocess.run(
        ["soffice", f"-env:UserInstallation={profile.as_uri()}", "--headless", "--convert-to", "pdf", "--outdir", str(target.parent), str(source)],
        check=True, capture_output=True, timeout=180,
    )  # fmt: skip
