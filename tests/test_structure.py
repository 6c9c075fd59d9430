from __future__ import annotations

import pytest

from pipeline.readers.structure import complete, goes_on, guess_kind, is_page_number, mark_headings, signature
from pipeline.records import Cell, Document, Paragraph, Source, Table

PROSE = "全年开行班列一千余列，同比增长超过一倍，枢纽集散功能持续增强。"


def paragraphs(*texts: str) -> tuple[Paragraph, ...]:
    return tuple(Paragraph(text, Source("d")) for text in texts)


def levels(*texts: str) -> list[int]:
    return [block.level for block in mark_headings(paragraphs(*texts)) if isinstance(block, Paragraph)]


def test_levels_count_from_one_in_the_kinds_that_are_used() -> None:
    assert levels("一、情况", PROSE, "（一）运邮", PROSE, "1.提速", PROSE) == [1, 0, 2, 0, 3, 0]
    assert levels("（一）运邮", PROSE, "1.提速", PROSE) == [1, 0, 2, 0]
    assert levels("第一章总则", "第一条为规范管理，制定本办法。", PROSE) == [1, 0, 0]


def test_items_are_told_from_headings() -> None:
    assert levels("（一）指导思想。", PROSE) == [1, 0]
    assert levels("（一）全年培训3000人。", PROSE) == [0, 0]
    assert levels("（一）热心工作，清正廉洁。", PROSE) == [0, 0]
    assert levels("（一）熟悉业务。", "（二）熟悉规定。", PROSE) == [0, 0, 0]
    assert levels("（一）抓好落实。" + PROSE, PROSE) == [0, 0]


def test_a_numbered_line_above_a_table_is_a_heading_and_the_last_line_is_not() -> None:
    table = Table((Cell(0, 0, "甲"),), Source("d"))
    marked = mark_headings([*paragraphs("一、任务"), table, *paragraphs("二、其他")])
    assert [block.level for block in marked if isinstance(block, Paragraph)] == [1, 0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("— 3 —", True),
        ("- 12 -", True),
        ("第 3 页 共 20 页", True),
        ("3/20", True),
        ("86", False),
        ("2021年", False),
        ("", False),
    ],
)
def test_page_numbers(text: str, expected: bool) -> None:
    assert is_page_number(text) is expected


def test_a_cut_sentence_goes_on_and_a_list_does_not() -> None:
    cut = "坚持对标对表。主动适应全球产业链重塑新趋势，推动制度型开放，全面贯彻党"
    assert goes_on(cut, "中央、国务院决策部署。")
    assert not goes_on(cut, "（二）工作原则")
    assert not goes_on("某市服务业扩大开放综合试点工作方案", "为贯彻落实，制定本方案。")


@pytest.mark.parametrize(
    ("title", "kind"),
    [
        ("市科技局2022年工作总结", "progress"),
        ("打通堵点：一份公证走天下的经验", "case"), ("关于促进养老服务的实施意见", "policy"),
        ("物流枢纽二期项目简介", "project"), ("试点一周年新闻发布会实录", "briefing"), ("值班安排", "other"), ("", ""),
    ],
)  # fmt: skip
def test_kinds_by_the_words_of_the_title(title: str, kind: str) -> None:
    assert guess_kind(title) == kind


def test_a_red_head_gives_issuer_number_and_whole_title() -> None:
    lines = (
        "某市人民政府文件",
        "某府发〔2021〕19号",
        "关于印发扩大开放",
        "工作方案的通知",
        "各区县：",
        PROSE,
        "某市人民政府",
        "2021年8月4日",
    )
    document = complete(Document("d", "a", "text", paragraphs(*lines)))
    assert document.title == "某市人民政府关于印发扩大开放工作方案的通知"
    assert (document.issuer, document.number, document.date) == ("某市人民政府", "某府发〔2021〕19号", "2021-08-04")
    assert document.kind == "policy"


def test_what_the_input_says_of_itself_is_kept() -> None:
    document = Document(
        "d", "a", "jsonl", paragraphs(PROSE), title="题目", issuer="某局", date="2022-01-01", kind="case"
    )
    completed = complete(document)
    assert (completed.title, completed.issuer, completed.date, completed.kind) == ("题目", "某局", "2022-01-01", "case")


@pytest.mark.parametrize(
    ("lines", "title"),
    [
        (("甲区开放亮点", "● 新增外资企业一批", "● 建成产业园"), "甲区开放亮点"),
        (("甲区开放亮点", "新增外资企业120家，同比增长12%", "引进银行2家"), "甲区开放亮点"),
        (("打通堵点", "近日，甲局办结首单。", "甲局办结第二单"), "打通堵点"),
        (("关于推进服务业扩大开放", "20条措施落实情况的报告"), "关于推进服务业扩大开放20条措施落实情况的报告"),
        (("● 新增外资企业一批", "● 建成产业园"), ""),
    ],
)
def test_a_title_ends_where_text_begins(lines: tuple[str, ...], title: str) -> None:
    assert complete(Document("d", "a", "docx", paragraphs(*lines))).title == title


@pytest.mark.parametrize(
    "text", ["建成数字产业园区2021年8月投产", "市商务委2022年9月1日完成", "市商务委2022年9月1日。"]
)
def test_what_was_done_when_is_no_signature(text: str) -> None:
    assert signature(text) == ("", "")


@pytest.mark.parametrize("tail", ["", "印发", "）"])
def test_a_body_and_a_date_are_a_signature(tail: str) -> None:
    assert signature(f"市商务委 2022年9月1日{tail}") == ("市商务委", "2022-09-01")


def test_only_a_sentence_that_ends_in_the_next_paragraph_is_joined_where_the_file_marks_paragraphs() -> None:
    cut = "（三）分类推进开放。明确各个重点平台和重点园区服务", "业开放发展重点方向。"
    items = "一是建设贸易平台。目前已上线运行，服务企业300余家", "引进外资银行分行2家，设立外资医院1家"
    assert len(complete(Document("d", "a", "docx", paragraphs(*cut, PROSE))).blocks) == 2
    assert len(complete(Document("d", "a", "docx", paragraphs(*items, PROSE))).blocks) == 3


def test_an_item_of_a_list_is_no_part_of_the_line_above() -> None:
    assert not goes_on("● 新增外资企业一百二十家，实际使用外资五点六亿美元，同比增长", "● 建成跨境电商产业园三个")
