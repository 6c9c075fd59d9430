from __future__ import annotations

import io
import zipfile
from pathlib import Path

import docx
import pytest
from docx.oxml import OxmlElement, parse_xml
from docx.oxml.ns import nsdecls

from pipeline.errors import LimitError, ReadError
from pipeline.readers import read_document
from pipeline.readers.docx import read_docx
from pipeline.readers.docx_numbers import write_number
from pipeline.records import Document, Paragraph
from pipeline.settings import Settings


def read(document: docx.document.Document) -> Document:
    buffer = io.BytesIO()
    document.save(buffer)
    return read_docx("a.docx", buffer.getvalue(), "d", Settings())


def texts(document: Document) -> list[str]:
    return [block.text for block in document.blocks if isinstance(block, Paragraph)]


def test_blocks_stand_in_order_with_levels_by_style() -> None:
    source = docx.Document()
    source.add_heading("总体情况", 1)
    source.add_paragraph("全年开行班列１１８０列。")
    table = source.add_table(2, 2)
    table.cell(1, 1).text = "完成"
    source.add_paragraph("表后的话。")
    document = read(source)
    assert [type(block).__name__ for block in document.blocks] == ["Paragraph", "Paragraph", "Table", "Paragraph"]
    assert document.paragraphs[0].level == 1
    assert document.paragraphs[1].text == "全年开行班列1180列。"
    assert document.paragraphs[1].raw == "全年开行班列１１８０列。"


def test_merged_cells_keep_their_spans() -> None:
    source = docx.Document()
    table = source.add_table(3, 3)
    table.cell(0, 0).merge(table.cell(0, 2)).text = "一、总体"
    table.cell(1, 1).merge(table.cell(2, 1)).text = "市甲局"
    table.cell(1, 0).text, table.cell(2, 0).text = "1", "2"
    cells = {(c.row, c.column): c for c in read(source).tables[0].cells}
    assert (cells[0, 0].text, cells[0, 0].column_span) == ("一、总体", 3)
    assert (cells[1, 1].text, cells[1, 1].row_span) == ("市甲局", 2)
    assert (2, 1) not in cells


def test_a_nested_table_comes_after_its_cell_and_a_frame_is_no_table() -> None:
    source = docx.Document()
    outer = source.add_table(2, 2)
    outer.cell(0, 0).text = "外"
    inner = outer.cell(1, 1).add_table(2, 2)
    inner.cell(0, 0).text = "内"
    frame = source.add_table(1, 1)
    frame.cell(0, 0).text = "框中的话。"
    document = read(source)
    assert [table.grid()[0][0] for table in document.tables] == ["外", "内"]
    assert "框中的话。" in texts(document)


def numbered(source: docx.document.Document, forms: list[tuple[str, str]]) -> None:
    levels = "".join(
        f'<w:lvl w:ilvl="{i}"><w:start w:val="1"/><w:numFmt w:val="{form}"/><w:lvlText w:val="{text}"/></w:lvl>'
        for i, (form, text) in enumerate(forms)
    )
    root = source.part.numbering_part.element
    root.insert(0, parse_xml(f'<w:abstractNum {nsdecls("w")} w:abstractNumId="77">{levels}</w:abstractNum>'))
    root.append(parse_xml(f'<w:num {nsdecls("w")} w:numId="77"><w:abstractNumId w:val="77"/></w:num>'))


def add_numbered(source: docx.document.Document, text: str, level: int) -> None:
    properties = source.add_paragraph(text)._p.get_or_add_pPr()
    properties.append(
        parse_xml(f'<w:numPr {nsdecls("w")}><w:ilvl w:val="{level}"/><w:numId w:val="77"/></w:numPr>'),
    )


def test_automatic_numbers_are_written_out() -> None:
    source = docx.Document()
    numbered(source, [("chineseCountingThousand", "%1、"), ("chineseCounting", "（%2）"), ("decimal", "%3.")])
    for text, level in (("甲", 0), ("乙", 1), ("丙", 1), ("丁", 2), ("戊", 0), ("己", 1)):
        add_numbered(source, text, level)
    assert texts(read(source)) == ["一、甲", "（一）乙", "（二）丙", "1.丁", "二、戊", "（一）己"]


@pytest.mark.parametrize(
    ("number", "form", "text"),
    [
        (1, "decimal", "1"),
        (12, "chineseCounting", "十二"),
        (105, "chineseCounting", "一百零五"),
        (3, "upperRoman", "III"),
        (27, "lowerLetter", "aa"),
        (2, "decimalEnclosedCircle", "②"),
        (3, "chineseLegalSimplified", "叁"),
    ],
)
def test_forms_of_numbers(number: int, form: str, text: str) -> None:
    assert write_number(number, form) == text


def test_deletions_hidden_text_and_fields_are_left_out_and_insertions_kept() -> None:
    source = docx.Document()
    paragraph = source.add_paragraph("保留")._p
    for tag, inner in (("del", "<w:delText>删去</w:delText>"), ("ins", "<w:t>新增</w:t>")):
        paragraph.append(parse_xml(f'<w:{tag} {nsdecls("w")} w:id="1" w:author="a"><w:r>{inner}</w:r></w:{tag}>'))
    hidden = source.paragraphs[0].add_run("隐藏")
    hidden.font.hidden = True
    field = OxmlElement("w:instrText")
    field.text = "PAGE"
    source.paragraphs[0].add_run()._r.append(field)
    assert texts(read(source)) == ["保留新增"]


def test_a_deleted_paragraph_mark_joins_two_paragraphs() -> None:
    source = docx.Document()
    properties = source.add_paragraph("前半")._p.get_or_add_pPr()
    properties.append(parse_xml(f'<w:rPr {nsdecls("w")}><w:del w:id="2" w:author="a"/></w:rPr>'))
    source.add_paragraph("后半。")
    assert texts(read(source)) == ["前半后半。"]


def test_text_boxes_are_read_once() -> None:
    source = docx.Document()
    run = source.add_paragraph("正文。").add_run()._r
    box = f"<w:txbxContent {nsdecls('w')}><w:p><w:r><w:t>框内。</w:t></w:r></w:p></w:txbxContent>"
    run.append(
        parse_xml(
            '<mc:AlternateContent xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006">'
            f'<mc:Choice Requires="wps">{box}</mc:Choice><mc:Fallback>{box}</mc:Fallback></mc:AlternateContent>'
        )
    )
    assert texts(read(source)) == ["正文。", "框内。"]


def test_soft_breaks_split_where_a_sentence_ends() -> None:
    source = docx.Document()
    run = source.add_paragraph().add_run("第一句。")
    run.add_break()
    run.add_text("第二句，还没")
    run.add_break()
    run.add_text("说完。")
    assert texts(read(source)) == ["第一句。", "第二句，还没说完。"]


def package(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def body(inner: str) -> bytes:
    return f"<w:document {nsdecls('w')}><w:body>{inner}</w:body></w:document>".encode()


def test_the_name_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "报告.pdf"
    path.write_bytes(package({"word/document.xml": body("<w:p><w:r><w:t>正文。</w:t></w:r></w:p>")}))
    assert read_document(path).format == "docx"


def test_hostile_packages_are_refused() -> None:
    bomb = package({"word/document.xml": body("<w:p/>" + " " * 30_000_000)})
    with pytest.raises(LimitError, match="压缩"):
        read_docx("a", bomb, "d", Settings())
    with pytest.raises(LimitError, match="解压后"):
        read_docx("a", bomb, "d", Settings(max_archive_bytes=10**6))
    entity = b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><w:document>&e;</w:document>'
    with pytest.raises(ReadError, match="实体"):
        read_docx("a", package({"word/document.xml": entity}), "d", Settings())
    deep = body("<w:tbl><w:tr><w:tc>" * 400 + "</w:tc></w:tr></w:tbl>" * 400)
    with pytest.raises(ReadError, match="嵌套"):
        read_docx("a", package({"word/document.xml": deep}), "d", Settings())
    cell = '<w:tc><w:tcPr><w:gridSpan w:val="999999999"/></w:tcPr></w:tc><w:tc/>'
    wide = body(f"<w:tbl><w:tr>{cell}</w:tr></w:tbl>")
    with pytest.raises(LimitError, match="列"):
        read_docx("a", package({"word/document.xml": wide}), "d", Settings())
    whole = package({"word/document.xml": body("<w:p><w:r><w:t>正文。</w:t></w:r></w:p>" * 500)})
    with pytest.raises(ReadError):
        read_docx("a", whole[: len(whole) // 2], "d", Settings())


def test_a_path_out_of_the_archive_leads_nowhere(tmp_path: Path) -> None:
    members = {
        "word/document.xml": body("<w:p><w:r><w:t>正文。</w:t></w:r></w:p>"),
        "../../evil.txt": b"x",
        "/etc/evil": b"x",
    }
    path = tmp_path / "a.docx"
    path.write_bytes(package(members))
    assert texts(read_document(path)) == ["正文。"]
    assert [p.name for p in tmp_path.parent.rglob("evil*")] == []


def test_an_empty_line_closes_a_paragraph():
    from pipeline.readers.docx import split_soft

    assert split_soft("关于开展试点工作的报告\n\n今年以来") == ["关于开展试点工作的报告", "今年以来"]
    assert split_soft("全面贯彻党\n中央决策") == ["全面贯彻党\n中央决策"]


def test_a_deleted_paragraph_mark_before_a_table_or_at_the_end_loses_nothing() -> None:
    source = docx.Document()
    mark = f'<w:rPr {nsdecls("w")}><w:del w:id="2" w:author="a"/></w:rPr>'
    source.add_paragraph("情况如下。")._p.get_or_add_pPr().append(parse_xml(mark))
    source.add_table(1, 2).cell(0, 0).text = "序号"
    source.add_paragraph("已引进外资银行两家。")._p.get_or_add_pPr().append(parse_xml(mark))
    document = read(source)
    assert texts(document) == ["情况如下。", "已引进外资银行两家。"]
    assert document.tables[0].cells[0].text == "序号"


NOTES = {"word/footnotes.xml": "footnote", "word/endnotes.xml": "endnote"}


def test_notes_that_the_text_refers_to_stand_at_the_end_and_damaged_ones_are_said() -> None:
    run = '<w:r><w:{}Reference w:id="2"/></w:r>'
    text = f"<w:p><w:r><w:t>已上线</w:t></w:r>{run.format('footnote')}{run.format('endnote')}<w:r><w:t>。</w:t></w:r></w:p>"
    members = {"word/document.xml": body(text)}
    for name, kind in NOTES.items():
        notes = "".join(f'<w:{kind} w:id="{n}"><w:p><w:r><w:t>{kind}{n}。</w:t></w:r></w:p></w:{kind}>' for n in (1, 2))
        members[name] = f"<w:{kind}s {nsdecls('w')}>{notes}</w:{kind}s>".encode()
    document = read_docx("a", package(members), "d", Settings())
    assert texts(document) == ["已上线。", "注释", "footnote2。", "endnote2。"]
    members["word/footnotes.xml"] = b"<w:footnotes"
    document = read_docx("a", package(members), "d", Settings())
    assert texts(document)[0] == "已上线。"
    assert [p.kind for p in document.problems] == ["read"]


def picture(cx: int) -> str:
    spaces = 'xmlns:wp="wp" xmlns:a="a"'
    return f'<w:p><w:r><w:drawing {spaces}><wp:inline><wp:extent cx="{cx}" cy="{cx}"/><a:blip/></wp:inline></w:drawing></w:r></w:p>'


def test_pictures_embedded_files_and_chunks_are_said_and_small_marks_are_not() -> None:
    text = "<w:p><w:r><w:t>正文。</w:t></w:r></w:p>"
    embedded = '<w:p><w:r><w:object><v:imagedata xmlns:v="v"/><o:OLEObject xmlns:o="o"/></w:object></w:r></w:p>'
    data = package({"word/document.xml": body(text + picture(3_600_000) + picture(100_000) + embedded)})
    (problem,) = read_docx("a", data, "d", Settings()).problems
    assert problem.kind == "note"
    assert "2 张图片" in problem.message
    assert not read_docx("a", package({"word/document.xml": body(text + picture(100_000))}), "d", Settings()).problems
    (problem,) = read_docx("a", package({"word/document.xml": body(text + "<w:altChunk/>")}), "d", Settings()).problems
    assert (problem.kind, "另存为" in problem.message) == ("read", True)
    with pytest.raises(ReadError, match="嵌入"):
        read_docx("a", package({"word/document.xml": body("<w:altChunk/>")}), "d", Settings())


def control(properties: str, content: str) -> str:
    return f"<w:sdt><w:sdtPr>{properties}</w:sdtPr><w:sdtContent>{content}</w:sdtContent></w:sdt>"


def test_placeholders_are_no_text_and_keep_their_cells() -> None:
    cell = "<w:tc><w:p><w:r><w:t>{}</w:t></w:r></w:p></w:tc>"
    asking = control("<w:showingPlcHdr/>", cell.format("单击此处输入文字"))
    rows = f"<w:tr>{cell.format('序号')}{cell.format('进展')}{cell.format('单位')}</w:tr>"
    rows += f"<w:tr>{cell.format('1')}{asking}{cell.format('市甲局')}</w:tr>"
    document = read_docx("a", package({"word/document.xml": body(f"<w:tbl>{rows}</w:tbl>")}), "d", Settings())
    assert document.tables[0].grid()[1] == ["1", "", "市甲局"]


def test_a_table_of_contents_is_left_out_and_text_written_into_one_is_kept() -> None:
    line = '<w:p><w:pPr><w:pStyle w:val="{}"/></w:pPr><w:r><w:t>{}</w:t></w:r></w:p>'
    gallery = '<w:docPartObj><w:docPartGallery w:val="Table of Contents"/></w:docPartObj>'
    styles = '<w:style w:type="paragraph" w:styleId="21"><w:name w:val="toc 2"/></w:style>'
    inner = control(gallery, line.format("a", "目录") + line.format("a3", "一、总体情况 1"))
    inner += line.format("TOC1", "二、下一步 3") + line.format("21", "（一）银行 4") + line.format("a", "二、下一步")
    inner += control(gallery, line.format("a", "已引进外资银行两家。"))
    members = {
        "word/document.xml": body(inner),
        "word/styles.xml": f"<w:styles {nsdecls('w')}>{styles}</w:styles>".encode(),
    }
    assert texts(read_docx("a", package(members), "d", Settings())) == ["二、下一步", "已引进外资银行两家。"]
