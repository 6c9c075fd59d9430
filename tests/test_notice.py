"""Notices and their tasks out of documents of any origin."""

import json
from pathlib import Path

import pytest

from pipeline.errors import ExtractionError
from pipeline.extraction.notice import extract_notice, with_id
from pipeline.extraction.notice_aims import find_areas, find_goals
from pipeline.extraction.task_rows import split_roles, unit_names
from pipeline.records import Cell, Document, Notice, Paragraph, Source, Table, Task, from_dict, to_dict

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


def test_a_notice_under_another_id_keeps_what_tells_its_tasks_apart():
    notice = extract_notice(document(table(HEADER, ["1", "甲。", "市科技局", ""], ["1", "乙。", "市教委", ""])))
    moved = with_id(notice, "某发〔2023〕1号")
    assert [task.id for task in moved.tasks] == ["某发〔2023〕1号#1", "某发〔2023〕1号#1-2"]
    assert with_id(moved, notice.id) == notice


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


def paragraphs(*texts):
    return [Paragraph(text, Source("d", page=1)) for text in texts]


def tasks_below(*headings, part="一、示范发展"):
    """Two tasks below each heading."""
    return [
        Task(f"n#{2 * i + j}", 2 * i + j, "开展试点。", part, heading, source=Source("d", page=7, table=1, row=i))
        for i, heading in enumerate(headings)
        for j in (1, 2)
    ]


def areas(texts, headings=(), issuer="江宁市人民政府", part="一、示范发展"):
    return find_areas(paragraphs(*texts), tasks_below(*headings, part=part), issuer)


def names(*texts):
    return [area.name for area in areas(texts)]


def goals(*texts, date="2022-02-28"):
    return [(g.text, g.horizon, g.deadline, g.values) for g in find_goals(paragraphs(*texts), date)]


def test_areas_of_section_headings_have_their_tasks_and_aims():
    found = areas(
        ["滨湖新区、云台科技城等重点开放平台着重围绕医疗等行业，打造数字贸易示范区。"],
        [
            "（一）以江宁滨湖新区、云台（江宁）科技城为龙头，打造数字贸易示范区。",
            "（二）以国家对外开放口岸和海关特殊监管区域等为载体，建设物流枢纽。",
            "（三）以制度创新为重点，完善体系。",
            "（四）支持滨湖新区建设总部基地。",
        ],
    )
    assert [(a.name, a.aim, a.tasks) for a in found] == [
        ("滨湖新区", "打造数字贸易示范区；建设总部基地", (1, 2, 7, 8)),
        ("云台科技城", "打造数字贸易示范区", (1, 2)),
        ("国家对外开放口岸", "建设物流枢纽", (3, 4)),
        ("海关特殊监管区域", "建设物流枢纽", (3, 4)),
    ]
    assert [section[:3] for section in found[0].sections] == ["（一）", "（四）"]
    assert (found[0].source.page, found[2].source.page) == (1, 7)  # in the text; where the first of its tasks stands


def test_a_part_that_names_an_area_ties_all_its_tasks():
    (area,) = areas([], ["", ""], part="二、依托宁远港区，发展保税业务")
    assert (area.name, area.aim, area.tasks) == ("宁远港区", "发展保税业务", (1, 2, 3, 4))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("以东岸、钟楼和白塔等区域为主阵地，发展夜间经济，打造消费地标。", ["东岸", "钟楼", "白塔"]),
        ("在东岸、钟楼等重点片区率先开展试点。", ["东岸", "钟楼"]),
        ("大力支持河西区、临江县因地制宜发展旅游。", ["河西区", "临江县"]),
        ("把江宁综合保税区作为主阵地。支持综合保税区扩区。", ["综合保税区"]),
        ("以江宁钟楼、白塔为主阵地，打造金融街。", ["江宁钟楼", "白塔"]),
        ("支持中国（江宁）自由贸易试验区先行先试；江宁自贸试验区、甲港等区域要加快建设。", ["江宁自贸试验区", "甲港"]),
    ],
)
def test_wordings_of_areas(text, expected):
    assert names(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "各区县、各开放平台要加强研究。支持各区县建设园区。明确各重点平台和重点园区方向。",
        "以企业为主体，以市场为导向，以重大项目为载体，以科技、医疗等行业为重点。",
        "以江宁制造业为基础，以江宁特色产业为载体。支持江宁积极创造条件。",
        "利用江宁博览会、云台论坛等国际性平台资源。依托单一窗口、大数据平台等平台提升服务。",
        "在金融、物流等重点领域开展试点。支持企业融资。按照《支持甲区、乙区建设的意见》执行。",
    ],
)
def test_what_is_no_area(text):
    assert names(text) == []


def test_goals_below_an_inline_heading_and_a_second_horizon():
    assert goals(
        "（二）工作原则。完成99项。",
        "（三）工作目标。经过3年试点，落实20项任务，力争形成10个以上案例。到2030年，服务贸易额突破1.5万亿元，占60%以上。",
        "（四）其他。再办5件。",
    ) == [
        ("落实20项任务", "经过3年试点", "2025-02-28", ("20项",)),
        ("力争形成10个以上案例", "经过3年试点", "2025-02-28", ("10个以上",)),
        ("服务贸易额突破1.5万亿元", "到2030年", "2030-12-31", ("1.5万亿元",)),
        ("占60%以上", "到2030年", "2030-12-31", ("60%以上",)),
    ]


def test_goals_of_several_paragraphs_below_a_heading():
    assert goals(
        "二、发展目标",
        "到2025年底，建成3至5个平台（其中，国家级1个，省级2个）；",
        "（一）规模扩大。服务企业1,200余家。",
        "到2035年，全面建成。",
        "某市人民政府",
        "三、重点任务",
        "新增5项。",
    ) == [
        ("建成3至5个平台（其中，国家级1个，省级2个）", "到2025年底", "2025-12-31", ("3至5个", "1个", "2个")),
        ("规模扩大", "到2025年底", "2025-12-31", ()),
        ("服务企业1,200余家", "到2025年底", "2025-12-31", ("1,200余家",)),
        ("全面建成", "到2035年", "2035-12-31", ()),
    ]


@pytest.mark.parametrize(
    ("words", "deadline"),
    [
        ("用两到三年时间", "2027-02-28"),
        ("到2024年6月底", "2024-06-30"),
        ("2025年上半年", "2025-06-30"),
        ("到二〇二七年", "2027-12-31"),
        ("2023—2025年", "2025-12-31"),
        ("到“十四五”末", "2025-12-31"),
        ("2030年前", ""),
        ("试点期内", ""),
    ],
)
def test_deadlines(words, deadline):
    ((_, horizon, found, _),) = goals(f"主要目标：力争{words}，办成十件实事。", date="2024-02-29")
    assert (horizon, found) == (words, deadline)
    assert goals("总体目标", "三年内，办成十件实事。", date="")[0][1:3] == ("三年内", "")


def test_a_notice_without_goals_or_areas_and_one_stored_before_there_were_any():
    notice = extract_notice(
        document("坚持目标导向，完成10项任务。", "现印发给你们。", table(HEADER, ["1", "甲。", "市教委", ""]))
    )
    assert (notice.areas, notice.goals) == ((), ())
    stored = to_dict(notice)
    del stored["areas"], stored["goals"]
    assert from_dict(Notice, stored) == notice


def test_goals_and_areas_of_a_notice_go_to_json_and_back():
    rows = [HEADER, ["（一）以滨湖新区为龙头，打造示范区。", "", "", ""], ["1", "甲。", "市科技局", ""]]
    notice = extract_notice(
        document(
            "江宁市人民政府",
            "2022年5月6日",
            "（三）试点目标。经过2年试点，形成5个案例。",
            table(*rows, spans={(1, 0): (1, 4)}),
        )
    )
    assert [(a.name, a.sections, a.tasks) for a in notice.areas] == [("滨湖新区", (rows[1][0],), (1,))]
    assert [(g.text, g.deadline) for g in notice.goals] == [("形成5个案例", "2024-05-06")]
    assert from_dict(Notice, json.loads(json.dumps(to_dict(notice)))) == notice


@pytest.mark.parametrize(
    "unit",
    [
        "以",
        "以甲为",
        "支持甲区",
        "甲、",
        "等重点",
        "（",
        "和",
        "支持甲区，",
        "到2025年，",
        "1,",
        "十",
        "“十",
        "《",
        "工作目标。",
        "1-",
    ],
)
def test_long_hostile_text_takes_time_by_its_length(unit, growth):
    def read(length):
        text = (unit * length)[:length]
        assert len(areas([text, f"支持{text}等重点园区"], [f"（一）{text}"])) <= 300
        assert len(goals(f"（三）工作目标。{text}", text, f"到2025年{text}个")) <= 300

    assert growth(read, 25_000) < 24


def test_the_command_lists_what_a_notice_says_of_itself(tmp_path, capsys):
    from pipeline.cli import main

    file = tmp_path / "通知.txt"
    file.write_text(
        "关于开展试点的通知\n\n江宁市人民政府\n\n2022年5月6日\n\n（三）工作目标。\n\n到2025年，形成5个案例，服务贸易进一步发展。\n\n"
        "| 序号 | 任务 | 牵头单位 | 配合单位 |\n|--|--|--|--|\n"
        "| （一）以滨湖新区为龙头，打造示范区。 | | | |\n| 1 | 支持开展试点。 | 市科技局 | 市教委 |\n",
        encoding="utf-8",
    )
    assert main(["tasks", str(file), "--facts"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(x["kind"], x.get("name") or x["text"]) for x in told] == [
        ("goal", "形成5个案例"), ("goal", "服务贸易进一步发展"), ("area", "滨湖新区"), ("count", "5个案例"),
    ]  # fmt: skip


@pytest.mark.skipif(not SHARED.exists(), reason="the shared folder is not beside the checkout")
def test_a_doubling_at_a_seam_is_mended_and_a_slip_of_the_text_is_not():
    from pipeline.readers import read_document

    notice = extract_notice(read_document(SHARED / "notice" / "notice.txt"))
    assert len(notice.tasks) == 86
    assert "惩罚性赔偿，切实" in notice.tasks[82].text
    assert "国际一国内" in notice.tasks[64].text
    assert not [p for p in notice.problems if p.kind in ("table", "count")]
    assert {a.tasks for a in notice.areas} == {tuple(range(a, b)) for a, b in ((38, 45), (45, 53), (53, 55), (55, 58))}
    assert {"两江新区", "江北嘴", "解放碑", "海关特殊监管区域"} < {a.name for a in notice.areas}
    assert [(g.values, g.deadline) for g in notice.goals][:2] == [
        (("86项",), "2024-08-04"),
        (("10个以上",), "2024-08-04"),
    ]
