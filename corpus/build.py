"""Make the sample files of the corpus: the notice as DOCX and PDF, the sample reports as DOCX, PDF and text.

Run from the root of the repository: ``python corpus/build.py``. LibreOffice and a Chinese font are needed for the PDFs.
The text of the notice comes from its text file, that of the reports from sources/; each report gets a line that says
that it is a sample and invented.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from docx import Document
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.oxml.ns import qn
from docx.shared import Cm, Pt

HERE = Path(__file__).parent
NOTICE = HERE / "notices" / "渝府发〔2021〕19号.txt"
SAMPLE_LINE = "示例文件，内容为虚构"
FORMATS = ("docx", "pdf", "txt")


def new_document() -> Document:
    """Return an A4 document in a Chinese body font."""
    document = Document()
    section = document.sections[0]
    section.page_width, section.page_height = Cm(21), Cm(29.7)
    section.left_margin = section.right_margin = Cm(2.6)
    style = document.styles["Normal"]
    style.font.size = Pt(12)
    style.font.name = "Noto Serif CJK SC"
    style.element.rPr.rFonts.set(qn("w:eastAsia"), "Noto Serif CJK SC")
    return document


def add_notice_table(document: Document, rows: list[list[str]]) -> None:
    """Add the annex as one table: repeated header, section rows merged over the width."""
    table = document.add_table(rows=0, cols=4)
    table.style = "Table Grid"
    for row in rows:
        cells = table.add_row().cells
        if row[0] and not any(row[1:]):
            cells[0].merge(cells[3]).text = row[0]
        else:
            for cell, text in zip(cells, row, strict=True):
                cell.text = text
    header = table.rows[0]._tr.get_or_add_trPr()
    header.append(header.makeelement(qn("w:tblHeader"), {}))
    for row in table.rows:
        for cell, width in zip(row.cells, (1.4, 8.2, 3.2, 3.2), strict=True):
            cell.width = Cm(width)


def notice_blocks(text: str) -> list[str | list[list[str]]]:
    """Split the notice's text into paragraphs and one table joined over its pages."""
    blocks: list[str | list[list[str]]] = []
    rows: list[list[str]] = []
    paragraph = ""
    for line in text.splitlines():
        if line.startswith("|"):
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            cells += [""] * (4 - len(cells))
            if set("".join(cells)) <= set("-: "):
                continue
            if rows and cells[0] == "序号":
                continue
            if rows and not cells[0] and rows[-1][0]:  # a row broken by a page; a character may be doubled there
                rows[-1] = [
                    a + (b[1:] if a and b and a[-1] == b[0] else b) for a, b in zip(rows[-1], cells, strict=True)
                ]
            else:
                rows.append(cells)
            continue
        if line.strip():
            paragraph = line.strip()
            joined = blocks and isinstance(blocks[-1], str) and not re.search(r"[。！？：）)”]$|^附件", blocks[-1])
            if joined and len(str(blocks[-1])) > 60:  # a paragraph broken by a page
                blocks[-1] = str(blocks[-1]) + paragraph
            else:
                blocks.append(paragraph)
    return [*blocks, rows]


def write_notice(target: Path) -> None:
    """Write the notice as DOCX."""
    document = new_document()
    for block in notice_blocks(NOTICE.read_text(encoding="utf-8")):
        if isinstance(block, list):
            add_notice_table(document, block)
            continue
        paragraph = document.add_paragraph(block)
        if len(block) < 30 and not re.match(r"[（(一二三四五六七八九十附各现]", block):
            paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER
        else:
            paragraph.paragraph_format.first_line_indent = Pt(24)
    document.save(target)


def write_report(source: Path, target: Path) -> None:
    """Write a sample report as DOCX."""
    document = new_document()
    for number, line in enumerate(with_sample_line(source)):
        text = line.strip()
        if not text:
            continue
        if number == 0:
            paragraph = document.add_paragraph()
            run = paragraph.add_run(text)
            run.bold, run.font.size = True, Pt(16)
            paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER
        elif re.match(r"[一二三四五六七八九十]+、", text) and len(text) < 30:
            document.add_heading(text, level=1)
        elif re.match(r"[（(][一二三四五六七八九十]+[）)]", text) and len(text) < 30:
            document.add_heading(text, level=2)
        else:
            paragraph = document.add_paragraph(text)
            if not line.startswith("\u3000" * 4):
                paragraph.paragraph_format.first_line_indent = Pt(24)
    document.save(target)


def with_sample_line(source: Path) -> list[str]:
    """Return the lines of a report with the line that says it is a sample between its head and its body."""
    lines = source.read_text(encoding="utf-8").splitlines()
    body = next(number for number, line in enumerate(lines) if line.startswith("\u3000\u3000"))
    return [*lines[:body], f"\u3000\u3000{SAMPLE_LINE}。", "", *lines[body:]]


def to_pdf(docx: Path, target: Path) -> None:
    """Convert a DOCX to PDF with LibreOffice."""
    program = shutil.which("soffice")
    if not program:
        sys.exit("LibreOffice (soffice) is needed to make the PDFs.")
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run(
            [program, f"-env:UserInstallation=file://{scratch}/profile", "--headless", "--convert-to", "pdf",
             "--outdir", scratch, str(docx)],
            check=True, capture_output=True, timeout=180,
        )  # fmt: skip
        shutil.move(Path(scratch) / f"{docx.stem}.pdf", target)


def main() -> None:
    """Make all files."""
    write_notice(NOTICE.with_suffix(".docx"))
    to_pdf(NOTICE.with_suffix(".docx"), NOTICE.with_suffix(".pdf"))
    reports = HERE / "reports"
    reports.mkdir(exist_ok=True)
    for number, source in enumerate(sorted((HERE / "sources").glob("*.txt"))):
        title = re.sub(r"[\\/:*?\"<>|\s]", "", source.read_text(encoding="utf-8").splitlines()[0])[:40]
        suffix = FORMATS[number % len(FORMATS)]
        target = reports / f"{source.stem}_{title}.{suffix}"
        if suffix == "txt":
            target.write_text("\n".join(with_sample_line(source)) + "\n", encoding="utf-8")
            continue
        docx = target.with_suffix(".docx")
        write_report(source, docx)
        if suffix == "pdf":
            to_pdf(docx, target)
            docx.unlink()


if __name__ == "__main__":
    main()
