"""Tables over pages."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.readers.tables import join_tables, seam_overlap
from pipeline.records import Cell, Paragraph, Source, Table

HEADER = ["序号", "任务", "牵头单位", "配合单位"]


def table(page, *rows, spans=None, open_top=False, open_bottom=False):
    spans = spans or {}
    cells = []
    covered = set()
    for r, row in enumerate(rows):
        for c, text in enumerate(row):
            if (r, c) in covered:
                continue
            height, width = spans.get((r, c), (1, 1))
            covered |= {(r + i, c + j) for i in range(height) for j in range(width)}
            cells.append(Cell(r, c, text, height, width, page))
    return Table(tuple(cells), Source("d", page=page, table=page), True, open_top, open_bottom)


def test_repeated_headers_are_dropped_also_in_mid_page():
    one = table(1, HEADER, ["1", "甲。", "市科技局", ""])
    two = table(2, HEADER, ["2", "乙。", "市教委", ""], HEADER, ["3", "丙。", "市教委", ""])
    (joined,) = join_tables([one, two])
    assert [row[0] for row in joined.grid()] == ["序号", "1", "2", "3"]


def test_a_row_cut_by_a_page_becomes_one_and_keeps_its_origin():
    one = table(1, HEADER, ["1", "开展标准符合性整改试", "市商务委", "市市场监管局、重"])
    two = table(2, HEADER, ["", "点。", "", "庆海关"], ["2", "乙。", "市教委", ""])
    (joined,) = join_tables([one, two])
    assert joined.grid()[1] == ["1", "开展标准符合性整改试点。", "市商务委", "市市场监管局、重庆海关"]
    assert {c.page for c in joined.cells if c.row == 1} == {1}
    assert {c.page for c in joined.cells if c.row == 2} == {2}


def test_a_missing_header_after_the_break():
    one = table(1, HEADER, ["1", "甲。", "市科技局", ""])
    two = table(2, ["2", "乙。", "市教委", ""])
    assert len(join_tables([one, two])) == 1


def test_a_number_on_the_second_part_of_a_row():
    one = table(1, HEADER, ["1", "甲。", "市科技局", ""], ["", "开展", "", ""], open_bottom=True)
    two = table(2, HEADER, ["2", "试点。", "市教委", ""], open_top=True)
    (joined,) = join_tables([one, two])
    assert joined.grid()[2] == ["2", "开展试点。", "市教委", ""]


def test_a_merged_lead_unit_goes_on_over_the_page():
    one = table(1, HEADER, ["1", "甲。", "市科技局", ""], ["2", "乙。", "", ""], spans={(1, 2): (2, 1)})
    two = table(2, HEADER, ["3", "丙。", "", ""], ["4", "丁。", "", ""], spans={(1, 2): (2, 1)})
    (joined,) = join_tables([one, two])
    assert [(c.text, c.row_span) for c in joined.cells if c.text == "市科技局"] == [("市科技局", 4)]


def test_a_section_row_cut_by_a_page():
    whole = {(1, 0): (1, 4)}
    one = table(1, HEADER, ["（七）以城镇群为基础，支持商贸文", "", "", ""], spans=whole)
    two = table(2, HEADER, ["旅融合发展。", "", "", ""], ["1", "甲。", "市教委", ""], spans=whole)
    (joined,) = join_tables([one, two])
    assert joined.grid()[1][0] == "（七）以城镇群为基础，支持商贸文旅融合发展。"


def test_a_heading_keeps_tables_apart_and_a_note_of_continuation_does_not():
    one = table(1, HEADER, ["1", "甲。", "市科技局", ""])
    two = table(2, HEADER, ["2", "乙。", "市教委", ""])
    assert len(join_tables([one, Paragraph("附件2", Source("d")), two])) == 2
    assert len(join_tables([one, Paragraph("续表", Source("d")), two])) == 1


def test_numbers_from_one_again_begin_another_table():
    one = table(1, HEADER, ["1", "甲。", "市科技局", ""], ["2", "乙。", "市科技局", ""])
    assert len(join_tables([one, table(2, HEADER, ["1", "丙。", "市教委", ""])])) == 2


def test_doublings_at_a_seam():
    assert seam_overlap("依法适用惩罚性赔偿", "偿，切实维护") == 1
    assert seam_overlap("市教委、市", "市场监管局") == 0
    assert seam_overlap("推动跨境贸易便利化", "跨境贸易便利化水平") == 7


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6))
def test_joining_keeps_every_row(counts):
    pages, number = [], 0
    for page, count in enumerate(counts, 1):
        rows = []
        for _ in range(count):
            number += 1
            rows.append([str(number), f"任务{number}。", "市科技局", ""])
        pages.append(table(page, HEADER, *rows))
    (joined,) = join_tables(pages)
    assert [row[0] for row in joined.grid()[1:]] == [str(i) for i in range(1, number + 1)]
