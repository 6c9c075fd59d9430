"""Notices and their tasks out of documents of any origin."""

from pathlib import Path

import pytest

from pipeline.errors import ExtractionError
from pipeline.extraction.notice import extract_notice
from pipeline.extraction.task_rows import split_roles, unit_names
from pipeline.records import Cell, Document, Paragraph, Source, Table

SHARED = Path(__file__).resolve().parents[2] / "shared"
HEADER = ["序号", "试 点 任 务", "牵头单位", "配合单位"]


def table(*rows, spans=None, number=1):
    spans = spans or {}
    cells, covered = [], set()
    for r, row in enumerate(rows):
        for c, text in enumerate(row):
            if (r, c) not in covered:
                height, width = spans.get((r, c), (1, 1))
                covered |= {(r + i, c + j) for i in range(height) for j in range(width)}
                cells.append(Cell(r, c, text, height, width))
    return Table(tuple(cells), Source("d", table=number))


def document(*blocks):
    return Document(
        "d", "通知.docx", "docx", tuple(b if isinstance(b, Table) else Paragraph(b, Source("d")) for b in blocks)
    )


def test_tasks_with_part_section_and_units():
    rows = [
        HEADER,
        ["一、扩大开放", "", "", ""],
        ["（一）便利贸易。", "", "", ""],
        ["1", "甲。", "市科技局", "市教委、市财政局"],
    ]
    (task,) = extract_notice(document(table(*rows, spans={(1, 0): (1, 4), (2, 0): (1, 4)}))).tasks
    assert (task.part, task.section, task.text) == ("一、扩大开放", "（一）便利贸易。", "甲。")
    assert (task.lead_units, task.coop_units) == (("市科技局",), ("市教委", "市财政局"))


def test_columns_in_another_order_and_a_deadline():
    head = ["重点任务", "责任单位", "配合部门", "完成时限", "编号"]
    (task,) = extract_notice(document(table(head, ["甲。", "市科技局、市教委", "—", "2026年底前", "1"]))).tasks
    assert (task.no, task.lead_units, task.coop_units, task.deadline) == (1, ("市科技局", "市教委"), (), "2026年底前")


def test_one_column_of_bodies_the_first_leads():
    (task,) = extract_notice(
        document(table(["序号", "主要内容", "责任单位"], ["1", "甲。", "省商务厅、杭州海关"]))
    ).tasks
    assert (task.lead_units, task.coop_units) == (("省商务厅",), ("杭州海关",))


def test_only_truly_merged_cells_are_filled_down():
    rows = [HEADER, ["1", "甲。", "市科技局", "市教委"], ["2", "乙。", "", ""]]
    merged = extract_notice(document(table(*rows, spans={(1, 2): (2, 1)}))).tasks[1]
    assert (merged.lead_units, merged.coop_units) == (("市科技局",), ())
    assert extract_notice(document(table(*rows))).tasks[1].lead_units == ()


def test_one_number_over_several_rows_is_one_task():
    rows = [HEADER, ["1", "甲。", "市科技局", ""], ["", "乙。", "市教委", ""], ["2", "丙。", "市教委", ""]]
    notice = extract_notice(document(table(*rows, spans={(1, 0): (2, 1)})))
    assert next((t.no, t.text, t.lead_units) for t in notice.tasks) == (1, "甲。乙。", ("市科技局", "市教委"))
    assert any("并为一项" in p.message for p in notice.problems)


def test_a_title_row_above_the_header():
    rows = [["任务分工表", "", "", ""], HEADER, ["1", "甲。", "市科技局", ""]]
    assert len(extract_notice(document(table(*rows, spans={(0, 0): (1, 4)}))).tasks) == 1


def test_missing_and_repeated_numbers_are_flagged_not_smoothed():
    rows = [HEADER, *([str(n), f"任务{n}。", "市科技局", ""] for n in (1, 2, 2, 4))]
    notice = extract_notice(document(table(*rows)))
    messages = " ".join(p.message for p in notice.problems)
    assert "缺少序号3" in messages
    assert "序号2出现了2次" in messages
    assert [t.no for t in notice.tasks] == [1, 2, 2, 4]
    assert len({t.id for t in notice.tasks}) == 4


def test_stated_counts_are_compared():
    notice = extract_notice(
        document("全面落实5项试点任务，围绕科技、教育、金融等3大领域。", table(HEADER, ["1", "甲。", "市科技局", ""]))
    )
    assert {(c.what, c.stated, c.found) for c in notice.stated_counts} == {("任务", 5, 1), ("领域", 3, 3)}
    assert [p.kind for p in notice.problems if "5项" in p.message] == ["count"]


def test_two_task_tables_are_both_read_and_it_is_said():
    one, two = table(HEADER, ["1", "甲。", "市科技局", ""]), table(HEADER, ["2", "乙。", "市教委", ""], number=2)
    notice = extract_notice(document(one, "附件2", two))
    assert [t.no for t in notice.tasks] == [1, 2]
    assert any("2个任务表" in p.message for p in notice.problems)


def test_sections_from_headings_above_tables():
    one, two = table(HEADER, ["1", "甲。", "市科技局", ""]), table(HEADER, ["2", "乙。", "市教委", ""], number=2)
    notice = extract_notice(document("一、扩大开放", one, "二、加强保障", two))
    assert [t.part for t in notice.tasks] == ["一、扩大开放", "二、加强保障"]


def test_no_task_table_says_what_to_do():
    with pytest.raises(ExtractionError, match="没有找到表格"):
        extract_notice(document("只有正文。"))
    with pytest.raises(ExtractionError, match="表头"):
        extract_notice(document(table(["姓名", "年龄"], ["甲", "3"])))


def test_citations_and_openness():
    notice = extract_notice(
        document(
            "根据《关于扩大开放的意见》（国发〔2024〕3号）制定本方案。",
            "（此件公开发布）",
            table(HEADER, ["1", "甲。", "市教委", ""]),
        )
    )
    assert [(c.title, c.number) for c in notice.citations] == [("关于扩大开放的意见", "国发〔2024〕3号")]
    assert notice.openness == "此件公开发布"


def test_roles_written_in_the_cell():
    assert split_roles("市科技局牵头，市教委、市财政局配合") == (("市科技局",), ("市教委", "市财政局"))
    assert split_roles("市科技局、市教委") is None
    assert unit_names("市科技局\n市教委") == ("市科技局", "市教委")


def test_ids_do_not_change_from_run_to_run():
    made = [extract_notice(document(table(HEADER, ["1", "甲。", "市科技局", ""]))) for _ in range(2)]
    assert made[0].tasks == made[1].tasks


@pytest.mark.skipif(not SHARED.exists(), reason="the shared folder is not beside the checkout")
def test_a_doubling_at_a_seam_is_mended_and_a_slip_of_the_text_is_not():
    from pipeline.readers import read_document

    notice = extract_notice(read_document(SHARED / "notice" / "notice.txt"))
    assert len(notice.tasks) == 86
    assert "惩罚性赔偿，切实" in notice.tasks[82].text
    assert "国际一国内" in notice.tasks[64].text
    assert not [p for p in notice.problems if p.kind in ("table", "count")]
