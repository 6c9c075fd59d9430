from __future__ import annotations

import pytest

from pipeline.errors import LimitError, ReadError
from pipeline.readers.html import read_html
from pipeline.records import Document, Paragraph
from pipeline.settings import Settings

PROSE = "全年开行班列一千余列，同比增长超过一倍，枢纽集散功能持续增强。"
PAGE = f"""<!DOCTYPE html><html><head><meta charset="gb2312"><title>某市工作总结_某市政府网</title>
<meta name="PubDate" content="2023-02-01"><script>var a="不要";</script></head><body>
<div class="nav"><a href="/">首页</a> <a>政务公开</a></div>
<table><tr><td>[成文日期]</td><td>2023-01-12</td><td>[发文字号]</td><td>某府发〔2023〕1号</td></tr></table>
<table width="1000"><tr><td><div id="zoom"><p>　　一、总体情况</p><p>&emsp;&emsp;{PROSE}</p>
<p style="display:none">隐藏的话。</p><p>第一行。<br>&emsp;&emsp;第二行。</p>
<table border=1><tr><td rowspan=2>序号</td><td colspan="2">任&nbsp;务</td></tr>
<tr><td>甲<br/>乙</td><td>丙</td></tr></table>
<p>{PROSE * 3}</p></div></td></tr></table>
<div class="footer"><p>主办：某市人民政府　某ICP备05003300号</p></div></body></html>"""


def read(page: str | bytes, settings: Settings | None = None) -> Document:
    data = page if isinstance(page, bytes) else page.encode("gb18030")
    return read_html("a.html", data, "d", settings or Settings())


def test_main_text_apart_from_menus_hidden_text_and_footer() -> None:
    document = read(PAGE)
    texts = [block.text for block in document.blocks if isinstance(block, Paragraph)]
    assert texts == ["一、总体情况", PROSE, "第一行。", "第二行。", PROSE * 3]
    assert (document.title, document.date, document.number) == ("某市工作总结", "2023-01-12", "某府发〔2023〕1号")


def test_spans_and_breaks_in_cells() -> None:
    (table,) = read(PAGE).tables
    cells = {(c.row, c.column): c for c in table.cells}
    assert (cells[0, 0].row_span, cells[0, 1].column_span) == (2, 2)
    assert cells[0, 1].text == "任务"
    assert cells[1, 1].text == "甲\n乙"
    assert cells[1, 2].text == "丙"


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16"])
def test_pages_that_do_not_say_their_encoding(encoding: str) -> None:
    assert read(f"<html><body><p>{PROSE}</p></body></html>".encode(encoding)).paragraphs[0].text == PROSE


def test_mht() -> None:
    page = (
        'From: <saved>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/related; boundary="x"\r\n\r\n--x\r\n'
        'Content-Type: text/html; charset="utf-8"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n'
        f"<html><body><p>{PROSE}</p></body></html>\r\n--x--\r\n"
    )
    assert read(page.encode()).paragraphs[0].text == PROSE


def test_lines_above_a_large_table_are_kept() -> None:
    rows = "".join(f"<tr><td>{n}</td><td>{PROSE}</td></tr>" for n in range(50))
    page = f"<body><div id=zoom><p>附件</p><p>任务分工</p><div><table>{rows}</table></div></div></body>"
    document = read(f"<html>{page}</html>")
    assert [p.text for p in document.paragraphs] == ["附件", "任务分工"]
    assert document.tables[0].row_count == 50


def test_entities_are_not_followed_and_bounds_hold() -> None:
    page = f'<!DOCTYPE html [<!ENTITY e SYSTEM "file:///etc/passwd">]><html><body><p>{PROSE}&e;</p></body></html>'
    assert "root:" not in "".join(p.text for p in read(page).paragraphs)
    with pytest.raises(LimitError):
        read(PAGE, Settings(max_characters=100))
    with pytest.raises(ReadError, match="没有正文"):
        read("<html><body><script>document.write(1)</script></body></html>")
    with pytest.raises(LimitError):
        read("<html><body><table>" + "<tr><td colspan=900>a</td><td colspan=900>b</td></tr>" * 2 + "</table>")
    deep = read_or_error("<html><body>" + "<div>" * 5000 + PROSE + "</div>" * 5000 + "</body></html>")
    assert isinstance(deep, ReadError) or PROSE in deep.paragraphs[0].text


def read_or_error(page: str) -> Document | ReadError:
    try:
        return read(page)
    except ReadError as error:
        return error


@pytest.mark.parametrize("charset", ["undefined", "iso-8859-1", "unicode_escape", "x-gbk", "utf-8"])
def test_a_wrongly_declared_encoding_costs_no_text(charset: str) -> None:
    page = f'<html><head><meta charset="{charset}"><title>总结</title></head><body><p>已引进外资银行两家。</p></body></html>'
    assert "已引进外资银行两家。" in [p.text for p in read(page.encode("gb18030")).paragraphs]


def test_a_cell_with_a_name_of_furniture_keeps_its_column() -> None:
    filler = "<p>" + "全市服务业扩大开放综合试点稳步推进，各项任务有序落实。" * 9 + "</p>"
    row = '<tr><td>1</td><td>引进外资银行</td><td class="position">两江新区</td></tr>'
    page = f"<html><body>{filler}<table><tr><th>序号</th><th>任务</th><th>地点</th></tr>{row}</table></body></html>"
    (table,) = read(page).tables
    assert [cell.text for cell in table.cells if cell.row == 1] == ["1", "引进外资银行", "两江新区"]


@pytest.mark.parametrize("charset", ["x-gbk", "unicode", "us-ascii"])
def test_a_wrongly_declared_encoding_in_an_archive_costs_no_text(charset: str) -> None:
    page = (
        'MIME-Version: 1.0\r\nContent-Type: multipart/related; boundary="x"\r\n\r\n--x\r\n'
        f'Content-Type: text/html; charset="{charset}"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n'
        f"<html><body><p>{PROSE}</p></body></html>\r\n--x--\r\n"
    )
    assert read(page.encode("gb18030")).paragraphs[0].text == PROSE


def test_a_page_in_single_bytes_that_says_utf_16_is_not() -> None:
    data = f'<html><head><meta charset="utf-16"></head><body><p>{PROSE}</p></body></html>'.encode()
    for padded in (data, data + b" "):  # an even number of bytes could be read as UTF-16
        assert read(padded).paragraphs[0].text == PROSE


def test_bytes_that_are_no_text_are_said() -> None:
    data = f"<html><body><p>{PROSE}</p></body></html>".encode().replace("枢纽".encode(), b"\xff\xfe")
    (problem,) = read(data).problems
    assert problem.kind == "note"
    assert not read(PAGE).problems


@pytest.mark.parametrize("cells", ["", "<td>某市商务委</td>"])
def test_no_cell_of_a_data_table_is_taken_for_furniture(cells: str) -> None:
    filler = "<p>" + "全市服务业扩大开放综合试点稳步推进，各项任务有序落实。" * 9 + "</p>"
    row = f'<tr><td>引进外资银行</td>{cells}<td class="position"><span class="location">两江新区</span></td></tr>'
    page = f"<html><body>{filler}<table>{row * 3}</table></body></html>"
    (table,) = read(page).tables
    assert [line[-1] for line in table.grid()] == ["两江新区"] * 3


def test_a_sentence_beside_the_main_text_is_kept_and_what_a_site_says_of_itself_is_not() -> None:
    main = f"<div class=text>{f'<p>{PROSE}</p>' * 20}</div>"
    after = "<div class=more><p>下一步，推动设立外资医院，年内落地。</p></div>"
    foot = "<div><p>版权所有：某市人民政府。</p><a>联系我们。</a></div>"
    page = f"<html><body><div><div id=content>导语：新增企业120家。{main}{after}</div>{foot}</div></body></html>"
    texts = [p.text for p in read(page).paragraphs]
    assert texts == ["导语：新增企业120家。", *[PROSE] * 20, "下一步，推动设立外资医院，年内落地。"]


def test_a_number_of_a_list_goes_before_its_text() -> None:
    items = f"<li><p>{PROSE}</p><p>其次。</p></li><li>{PROSE}</li>"
    texts = [p.text for p in read(f"<html><body><ol start=3>{items}</ol></body></html>").paragraphs]
    assert texts == [f"3.{PROSE}", "其次。", f"4.{PROSE}"]
