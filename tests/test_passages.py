from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.extraction import extract_passages
from pipeline.readers import read_document
from pipeline.readers.plain import read_plain
from pipeline.readers.structure import complete
from pipeline.records import Cell, Document, Paragraph, Passage, Source, Table
from pipeline.settings import Settings
from pipeline.text import clean

SHARED = Path(__file__).parents[1].parent / "shared"


def passages(text: str, settings: Settings | None = None) -> list[Passage]:
    return extract_passages(complete(read_plain("a.txt", text.encode(), "d", Settings())), settings)


REPORT = """\
市甲局2022年工作总结

重庆市甲局
2023年1月12日

　　一、总体情况
　　2022年，全市对外开放大通道建设稳步提速，开行班列超5000列。
　　二、重点任务
　　（一）运邮
　　邮包列改成每周固定图定班，全年发运国际邮件集装箱386个。
　　（二）积极开展培训，全年培训3000人次，覆盖全部企业。

　　　　　　重庆市甲局
　　　　　　2023年1月12日
"""


def test_headings_are_paths_and_no_passages() -> None:
    got = [(p.heading, p.text[:6]) for p in passages(REPORT)]
    assert got == [
        (("一、总体情况",), "2022年，"),
        (("二、重点任务", "（一）运邮"), "邮包列改成每"),
        (("二、重点任务",), "（二）积极开"),
    ]


def test_rows_of_a_progress_table_are_passages_under_their_item() -> None:
    rows = "| 一、开放 | | | |", "| 1 | 绿色金融 | 已上线碳账户模块 | 甲局 |", "| 2 | 金融科技 | | 乙局 |"
    head = "工作台账", "", "| 序号 | 工作事项 | 进展情况 | 责任单位 |", "|--|--|--|--|"
    first, second = passages("\n".join(head + rows))
    assert (first.text, first.heading) == ("已上线碳账户模块", ("一、开放", "绿色金融"))
    assert first.source is not None
    assert first.source.row == 3
    assert second.text == "金融科技"


def test_a_progress_table_over_two_pages_gives_whole_rows() -> None:
    first = "| 序号 | 事项 | 进展 |\n|--|--|--|\n| 1 | 绿色金融 | 已上线碳账户模块，入库项目两千 |"
    second = "| 序号 | 事项 | 进展 |\n|--|--|--|\n| | | 四百余个。 |\n| 2 | 金融科技 | 新增两项应用。 |"
    got = [(p.heading, p.text) for p in passages(f"{first}\n\n{second}")]
    assert got == [(("绿色金融",), "已上线碳账户模块，入库项目两千四百余个。"), (("金融科技",), "新增两项应用。")]


def test_short_leads_join_the_next_and_long_ones_are_cut_at_sentences() -> None:
    long = "全市累计落地项目一百二十个，总投资超过三百亿元。" * 40
    got = passages(f"一、情况\n主要做法如下。\n{long}", Settings(max_passage_characters=300))
    assert got[0].text.startswith("主要做法如下。全市")
    assert all(len(p.text) <= 300 and p.text.endswith("。") for p in got)
    assert sum(len(p.text) for p in got) == len(long) + len("主要做法如下。")


@given(st.lists(st.text(alphabet="甲乙丙丁，。", min_size=1, max_size=80), max_size=8))
def test_ids_are_stable_and_unique(lines: list[str]) -> None:
    document = Document("d", "a", "text", tuple(Paragraph(clean(line), Source("d")) for line in lines))
    first, second = extract_passages(document), extract_passages(document)
    assert first == second
    assert len({p.id for p in first}) == len(first)


@pytest.mark.skipif(not SHARED.exists(), reason="needs the shared samples")
def test_passages_of_office_texts_are_the_labelled_ones() -> None:
    labelled = {d["doc_id"]: d for d in map(json.loads, (SHARED / "gold/dev_docs.jsonl").open(encoding="utf-8"))}
    for path in (SHARED / "gold/dev_txt").glob("*.txt"):
        document = read_document(path)
        truth = labelled[path.stem]
        assert [p.text for p in extract_passages(document)] == [clean(p["text"]) for p in truth["passages"]]
        assert (document.issuer, document.date) == (truth["issuer"], truth["date"])


def test_passages_know_their_document() -> None:
    from pipeline.records import Document, Paragraph, Source

    body = Paragraph("全年办理展品备案一百二十批次，通关时间压缩三成。", Source("d"))
    document = Document(
        "d", "a", "text", (body,), title="年度总结", issuer="市商务委", date="2023-01-02", kind="progress"
    )
    (passage,) = extract_passages(document)
    assert (passage.title, passage.issuer, passage.date, passage.kind) == (
        "年度总结",
        "市商务委",
        "2023-01-02",
        "progress",
    )


def table_passages(*rows: tuple[str, ...]) -> list[tuple[tuple[str, ...], str]]:
    text = "\n".join("| " + " | ".join(row) + " |" for row in (rows[0], ("--",) * len(rows[0]), *rows[1:]))
    return [(p.heading, p.text) for p in passages("工作台账\n\n" + text)]


@pytest.mark.parametrize("column", ["工作进度", "形象进度", "当前状态"])
def test_a_column_of_progress_is_text_whatever_it_is_called(column: str) -> None:
    got = table_passages(
        ("序号", "试点任务", column, "责任单位"), ("1", "推动设立外资银行", "已引进两家，服务企业300家。", "市金融局")
    )
    assert got == [(("推动设立外资银行",), "已引进两家，服务企业300家。")]


def test_when_something_is_due_is_no_progress() -> None:
    got = table_passages(("序号", "任务", "完成时限"), ("1", "推动设立外资银行分支机构。", "2022年12月底前"))
    assert [text for _, text in got] == ["推动设立外资银行分支机构。"]


def test_the_text_of_a_row_merged_over_all_columns_is_kept() -> None:
    got = table_passages(
        ("序号", "任务", "进展情况"), ("1", "外资银行", "已引进两家。"), ("下一步打算：推动设立外资医院。", "", "")
    )
    assert got[-1][1] == "下一步打算：推动设立外资医院。"


def test_a_form_gives_a_passage_for_each_field() -> None:
    got = table_passages(
        ("案例名称", "共享箱管项目", "申报单位", "市口岸物流办"),
        ("主要做法", "建立共享箱管平台，调拨3万余箱。", "工作成效", "还箱时间缩短一半。"),
        ("下一步打算", "扩大到沿海港口。", "", ""),
    )
    assert got == [
        (("共享箱管项目", "主要做法"), "建立共享箱管平台，调拨3万余箱。"),
        (("共享箱管项目", "工作成效"), "还箱时间缩短一半。"),
        (("共享箱管项目", "下一步打算"), "扩大到沿海港口。"),
    ]


def test_units_over_their_work_are_no_form() -> None:
    got = table_passages(
        ("单位", "进展情况"), ("市商务委", "已印发细则。"), ("市教委", "正在办理。"), ("市科技局", "已挂牌。")
    )
    assert [text for _, text in got] == ["已印发细则。", "正在办理。", "已挂牌。"]


def test_a_row_with_a_bare_number_is_no_header() -> None:
    got = table_passages(("1", "推进数字贸易平台建设", "已完成"), ("2", "推动外资银行落地", "推进中"))
    assert [text for _, text in got] == ["1；推进数字贸易平台建设；已完成", "2；推动外资银行落地；推进中"]


@pytest.mark.parametrize(
    "text",
    ["已于2022年9月30日完成。", "2021年8月建成投产。", "联系人制度全面推行，为126家企业配备专属联系人。"],
)
def test_a_sentence_with_a_date_is_no_signature(text: str) -> None:
    assert text in "".join(
        p.text for p in passages(f"甲局工作总结\n\n全市对外开放大通道建设稳步提速，成效明显。\n\n{text}\n")
    )


@pytest.mark.parametrize("line", ["2022年7月15日", "（2022年7月15日印发）", "填报日期：2022年7月15日", "联系人：张某"])
def test_a_line_that_only_says_when_or_who_is_no_passage(line: str) -> None:
    found = passages(f"甲局工作总结\n\n全市对外开放大通道建设稳步提速，成效明显。\n\n{line}\n")
    assert [p.text for p in found] == ["全市对外开放大通道建设稳步提速，成效明显。"]


def test_a_short_sentence_belongs_to_the_item_before_not_to_the_next() -> None:
    got = passages("总结\n\n1.建设数字贸易平台，已引进企业三百家。\n\n已完成。\n\n2.推动设立外资银行，目前正在报批。\n")
    assert [p.text for p in got] == [
        "1.建设数字贸易平台，已引进企业三百家。已完成。",
        "2.推动设立外资银行，目前正在报批。",
    ]


def test_a_document_of_figures_without_full_stops_gives_passages() -> None:
    got = passages("甲区工作简报\n\n● 新增外资企业120家，同比增长一成\n\n● 建成跨境电商产业园3个并投入运营\n")
    assert len(got) == 2


def test_items_without_full_stops_stay_apart_where_the_file_marks_paragraphs() -> None:
    lines = ("今年以来全市新增外资企业一百二十家，同比增长百分之十二", "建成跨境电商产业园三个", "引进外资银行分行两家")
    blocks = tuple(Paragraph(line, Source("d")) for line in lines)
    assert len(complete(Document("d", "a.docx", "docx", blocks)).blocks) == 3
    assert len(complete(Document("d", "a.pdf", "pdf", blocks)).blocks) < 3


def test_paragraphs_of_a_cell_stay_apart() -> None:
    cells = ("序号", "任务", "进展情况", "1", "外资银行", "完成投资12亿元\n新增企业两家")
    table = Table(tuple(Cell(k // 3, k % 3, text) for k, text in enumerate(cells)), Source("d", table=1))
    assert extract_passages(Document("d", "a.docx", "docx", (table,)))[0].text == "完成投资12亿元；新增企业两家"


def test_a_break_in_a_cell_of_markdown_is_the_writers() -> None:
    got = table_passages(("序号", "任务", "进展情况"), ("1", "外资银行", "完成投资12亿元<br>新增企业两家银行"))
    assert got == [(("外资银行",), "完成投资12亿元；新增企业两家银行")]


def office_table(*rows: tuple[str, ...]) -> list[tuple[tuple[str, ...], str]]:
    cells = tuple(Cell(r, c, text) for r, row in enumerate(rows) for c, text in enumerate(row))
    document = Document("d", "a.docx", "docx", (Table(cells, Source("d", table=1)),))
    return [(p.heading, p.text) for p in extract_passages(document)]


def test_a_paragraph_of_a_cell_below_a_short_one_stands_apart_and_a_broken_heading_is_one() -> None:
    got = office_table(
        ("序号", "任务", "工作进展情况\n以及存在的问题"),
        ("1", "外资\n银行", "已完成\n正在推进外资医院落地"),
        ("序号", "任务", "工作进展情况\n以及存在的问题"),
    )
    assert got == [(("外资银行",), "已完成；正在推进外资医院落地")]


@pytest.mark.parametrize("first", ["序号", "责任单位"])
@pytest.mark.parametrize("text", ["一季度完成投资12亿元，新增企业2家。", "下一步：扩面。"])
def test_a_sentence_over_all_columns_is_no_heading_of_rows(first: str, text: str) -> None:
    got = office_table(
        (first, "任务", "进展情况"), ("1", "外资银行", "已引进。"), (text, "", ""), ("合计", "", ""), ("2", "外资医院", "在建。")
    )  # fmt: skip
    assert got == [(("外资银行",), "已引进。"), ((), text), (("外资医院",), "在建。")]


def test_a_numbered_row_over_all_columns_is_a_heading_though_it_ends_with_a_stop() -> None:
    got = office_table(("序号", "任务", "进展情况"), ("（一）减少，放宽。", "", ""), ("1", "外资银行", "已引进。"))
    assert got == [(("（一）减少，放宽。", "外资银行"), "已引进。")]


def test_items_that_are_called_like_fields_are_no_form() -> None:
    rows = ("政策协调", "已印发细则。"), ("案例推广", "形成案例。"), ("项目建设", "已开工。")
    two = office_table(("试点任务", "进展情况"), *rows)
    assert two == [((item,), text) for item, text in rows]
    four = office_table(
        ("任务", "责任单位", "进展情况", "备注"), *((item, "市商务委", text, "") for item, text in rows)
    )
    assert four == [((item,), f"进展情况：{text}") for item, text in rows]


@pytest.mark.parametrize(
    "first",
    [("案例名称", "一站式服务案例"), ("案例类别", "改革措施类"), ("申报单位", "市级部门"), ("完成状态", "已完成")],
)
def test_a_form_whose_first_content_sounds_like_a_heading_is_a_form(first: tuple[str, str]) -> None:
    got = office_table(first, ("主要做法", "建立平台。"), ("工作成效", "还箱时间缩短一半。"))
    assert [(heading[-1:], text) for heading, text in got[-2:]] == [
        (("主要做法",), "建立平台。"),
        (("工作成效",), "还箱时间缩短一半。"),
    ]


def test_a_form_with_merged_labels_and_a_last_row_over_all_columns() -> None:
    got = office_table(
        ("案例名称", "共享箱管"),
        ("主要做法（500字以内）", "建立共享箱管平台。"),
        ("主要做法（500字以内）", "调拨3万余箱。"),
        ("工作成效", "还箱时间缩短一半。"),
        ("存在问题", "无"),
        ("推荐意见：同意推荐，已服务企业300家。", ""),
    )
    assert got == [
        (("共享箱管", "主要做法（500字以内）"), "建立共享箱管平台。"),
        (("共享箱管", "主要做法（500字以内）"), "调拨3万余箱。"),
        (("共享箱管", "工作成效"), "还箱时间缩短一半。"),
        (("共享箱管",), "推荐意见：同意推荐，已服务企业300家。"),
    ]


@pytest.mark.parametrize("number", ["1", "1.", "（1）", "1、"])
def test_a_number_with_its_mark_is_no_header_either(number: str) -> None:
    assert len(office_table((number, "推进数字贸易平台建设", "已完成"), ("", "外资银行落地", "推进中"))) == 2


def office_texts(*texts: str) -> list[str]:
    blocks = tuple(Paragraph(text, Source("d")) for text in texts)
    return [p.text for p in extract_passages(complete(Document("d", "a.docx", "docx", blocks)))]


LEAD = "今年以来，全市认真落实试点任务，取得积极进展，成效明显。"


@pytest.mark.parametrize(
    "text",
    [
        "建成两江数字产业园区2021年8月投产",
        "附件所列86项任务均已启动，其中50项已完成。",
        "附表中的项目已经全部开工建设。",
    ],
)
def test_what_begins_or_ends_like_furniture_but_tells_something_is_kept(text: str) -> None:
    assert office_texts("甲局工作总结", LEAD, text) == [LEAD, text]


@pytest.mark.parametrize(
    "line",
    ["截至2022年9月30日", "（截至2022年9月30日）", "单位：万元", "填报人：某某 联系电话：63890000", "合计：86项"],
)
def test_a_line_that_only_says_when_who_or_how_many_is_no_passage(line: str) -> None:
    assert office_texts("甲局工作总结", LEAD, line) == [LEAD]
    assert office_texts("甲局工作总结", LEAD, "截至2022年9月30日累计办结86项，全部按时。")[1:] == [
        "截至2022年9月30日累计办结86项，全部按时。"
    ]


def test_a_short_sentence_belongs_to_the_paragraph_before_also_without_numbers() -> None:
    got = office_texts(
        "甲局工作总结", "一、平台", LEAD, "已完成。", "推动设立外资医院，目前正在研究选址。", "在研究。", "二、银行", LEAD, "已完成。"
    )  # fmt: skip
    assert got == [LEAD + "已完成。", "推动设立外资医院，目前正在研究选址。在研究。", LEAD + "已完成。"]


def test_a_short_lead_goes_with_what_follows() -> None:
    got = office_texts("甲局工作总结", LEAD, "主要做法如下。", "推动设立外资医院，目前正在研究选址。")
    assert got == [LEAD, "主要做法如下。推动设立外资医院，目前正在研究选址。"]


def test_a_short_paragraph_without_a_stop_is_parted_from_the_next() -> None:
    got = office_texts("甲局工作总结", LEAD, "建成产业园3个", "开展跨境人民币结算试点，累计结算三百亿元")
    assert got == [LEAD, "建成产业园3个；开展跨境人民币结算试点，累计结算三百亿元"]


@pytest.mark.parametrize(
    "lead",
    [
        "截至2022年9月，全市新增外资企业120家，具体情况如下：",
        "新增外资企业120家，协调解决难题40余件，形成一批经验案例",
        "●推动外资银行落地",
        "-推动外资银行落地",
    ],
)
def test_a_lead_before_the_first_heading_is_kept(lead: str) -> None:
    assert (
        "".join(office_texts("甲局工作总结", "各区县人民政府，市政府各部门：", lead, "一、平台", LEAD)) == lead + LEAD
    )
