"""Lines, cells and paragraphs from characters and rules."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.readers.lattice import find_lattices, merge_segments
from pipeline.readers.layout import Glyph, Page, Rule, layout_pages
from pipeline.records import Paragraph, Table


def glyphs(text, x, y, size=10.0, **more):
    return [Glyph(c, x + i * size, y, size, size, **more) for i, c in enumerate(text)]


def box(x0, top, x1, bottom):
    return [Rule(x0, top, x1, top), Rule(x0, bottom, x1, bottom), Rule(x0, top, x0, bottom), Rule(x1, top, x1, bottom)]


def page(characters, rules=(), number=1):
    return Page(number, 595.0, 842.0, tuple(characters), tuple(rules))


def test_cells_of_a_ruled_grid():
    rules = [*box(50, 200, 250, 240), Rule(150, 200, 150, 240), Rule(50, 220, 250, 220)]
    text = glyphs("甲", 60, 214) + glyphs("乙", 160, 214) + glyphs("丙", 60, 234) + glyphs("丁", 160, 234)
    (table,) = layout_pages([page(text, rules)], "d")
    assert isinstance(table, Table)
    assert table.grid() == [["甲", "乙"], ["丙", "丁"]]
    assert table.source.page == 1


def test_a_merged_cell_is_known_as_merged():
    rules = [*box(50, 200, 250, 240), Rule(150, 200, 150, 240), Rule(50, 220, 150, 220)]
    text = glyphs("甲", 60, 214) + glyphs("丙", 60, 234) + glyphs("乙", 160, 224)
    (table,) = layout_pages([page(text, rules)], "d")
    assert [(c.text, c.row_span) for c in table.cells if c.text == "乙"] == [("乙", 2)]


def test_a_row_cut_by_the_page_is_closed_where_its_rules_end():
    rules = [Rule(50, 200, 250, 200), *(Rule(x, 200, x, 260) for x in (50, 150, 250))]
    text = glyphs("甲", 60, 214) + glyphs("乙", 160, 214)
    (table,) = layout_pages([page(text, rules)], "d")
    assert table.open_bottom
    assert not table.open_top
    assert table.grid() == [["甲", "乙"]]


def test_angled_and_invisible_characters_are_dropped():
    text = glyphs("正文在此", 60, 300) + glyphs("水印", 80, 320, angle=40.0) + glyphs("隐藏", 60, 340, invisible=True)
    assert [b.text for b in layout_pages([page(text)], "d")] == ["正文在此"]


def test_characters_printed_twice_count_once():
    text = glyphs("粗体", 60, 300) + glyphs("粗体", 60.3, 300)
    assert [b.text for b in layout_pages([page(text)], "d")] == ["粗体"]


def test_a_paragraph_goes_on_over_lines_and_pages():
    line = "一二三四五六七八九十" * 4
    first = glyphs("　　" + line[2:], 80, 700) + glyphs(line, 80, 716)
    second = glyphs("完。", 80, 100)
    blocks = layout_pages([page(first), page(second, number=2)], "d")
    assert [type(b) for b in blocks] == [Paragraph]
    assert blocks[0].text == line[2:] + line + "完。"
    assert blocks[0].source.page == 1


def test_running_heads_and_page_numbers_are_dropped():
    pages = [
        page(
            glyphs("某某市工作方案", 200, 40) + glyphs(f"第{n}段正文内容。", 80, 300) + glyphs(f"—{n}—", 280, 800),
            (),
            n,
        )
        for n in (1, 2, 3)
    ]
    assert [b.text for b in layout_pages(pages, "d")] == ["第1段正文内容。", "第2段正文内容。", "第3段正文内容。"]


def test_a_sign_that_hangs_over_the_rule_stays_in_its_cell():
    rules = [*box(50, 200, 250, 220), Rule(150, 200, 150, 220)]
    text = glyphs("甲乙丙丁戊己庚辛壬。", 52, 214) + glyphs("市科技局", 165, 214)
    (table,) = layout_pages([page(text, rules)], "d")
    assert table.grid() == [["甲乙丙丁戊己庚辛壬。", "市科技局"]]


def test_section_rows_of_an_open_table_stay_in_the_table():
    rules = [Rule(50, y, 250, y) for y in (200, 220, 240, 260)]
    rules += [Rule(100, 200, 100, 220), Rule(100, 240, 100, 260)]
    text = glyphs("序号", 55, 214) + glyphs("任务", 110, 214) + glyphs("一、总则", 55, 234)
    text += glyphs("1", 55, 254) + glyphs("开展试点", 110, 254)
    (table,) = layout_pages([page(text, rules)], "d")
    assert table.grid() == [["序号", "任务"], ["一、总则", ""], ["1", "开展试点"]]


def test_a_frame_around_text_is_no_table():
    blocks = layout_pages([page(glyphs("框内的文字", 60, 300), box(50, 200, 500, 600))], "d")
    assert [type(b) for b in blocks] == [Paragraph]


@given(st.lists(st.floats(40, 500), min_size=2, max_size=6, unique_by=lambda x: round(x / 12)))
def test_any_full_grid_gives_its_cells(edges):
    xs = sorted(edges)
    if min(b - a for a, b in itertools.pairwise(xs)) < 10 or len(xs) < 3:
        return
    across = [(y, xs[0], xs[-1]) for y in (100.0, 130.0, 160.0)]
    down = [(x, 100.0, 160.0) for x in xs]
    (lattice,), lone = find_lattices(across, down)
    assert len(lattice.cells) == 2 * (len(xs) - 1)
    assert lone == []


@given(st.lists(st.tuples(st.floats(0, 500), st.floats(0, 400), st.floats(1, 100)), max_size=20))
def test_merging_segments_loses_no_length(parts):
    segments = [(p, a, a + n) for p, a, n in parts]
    merged = merge_segments(segments)
    assert all(any(m[1] <= s[1] and m[2] >= s[2] and abs(m[0] - s[0]) < 3 for m in merged) for s in segments)


LEFT, RIGHT = "今年以来全市认真落实试点任务新增企业若干", "引进两家外资银行在渝设立分行服务企业三百"


def columns(count, shift=0.0, top=200, last="完成。", right_count=12):
    found = []
    for n in range(count):
        found += glyphs(LEFT if n < count - 1 else last, 60, top + 16 * n)
        if n < right_count:
            found += glyphs(RIGHT if n < count - 1 else last, 300, top + 16 * n + shift)
    return found


@pytest.mark.parametrize("shift", [0.0, 7.0])
def test_two_columns_are_read_one_after_the_other(shift):
    head = glyphs("关于开展服务业扩大开放综合试点的报告", 190, 120)
    foot = glyphs("— 1 —", 60, 800)
    blocks = layout_pages([page(head + columns(12, shift) + foot)], "d")
    texts = ["关于开展服务业扩大开放综合试点的报告", LEFT * 11 + "完成。", RIGHT * 11 + "完成。"]
    assert [b.text for b in blocks] == texts


def test_a_paragraph_goes_on_in_the_next_column():
    (block,) = layout_pages([page(columns(12, last=LEFT))], "d")
    assert block.text == LEFT * 12 + RIGHT * 11 + LEFT
    assert block.source.box[1] < 200
    assert block.source.box[3] > 370


def test_lines_over_both_columns_part_them():
    middle = glyphs("第二部分是关于外资银行和外资医院落地情况的专门报告全文", 120, 420)
    blocks = layout_pages([page(columns(12) + middle + columns(12, top=460))], "d")
    texts = [b.text[:4] for b in blocks]
    assert texts == [LEFT[:4], RIGHT[:4], "第二部分", LEFT[:4], RIGHT[:4]]


def test_the_last_page_may_have_little_in_its_second_column():
    blocks = layout_pages([page(columns(12)), page(columns(30, right_count=2), number=2)], "d")
    assert [b.text for b in blocks if b.source.page == 2] == [LEFT * 29 + "完成。", RIGHT * 2]


def test_a_table_without_rules_is_not_taken_for_two_columns():
    rows = []
    for n in range(12):
        rows += glyphs("市金融监管局", 60, 200 + 16 * n) + glyphs(RIGHT, 300, 200 + 16 * n)
    blocks = layout_pages([page(rows)], "d")
    assert "市金融监管局" + RIGHT in blocks[0].text.replace(" ", "")
