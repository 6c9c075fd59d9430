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
from pipeline.records import Document, Paragraph, Passage, Source
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
