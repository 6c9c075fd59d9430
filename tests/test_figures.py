"""The figures of a passage: what counts, in which unit, and what only looks like a figure."""

import pytest

from pipeline.inventory.findings import figures


def told(text):
    return [(f.kind, f.value, f.unit) for f in figures(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("投放贷款1.8亿元", [("amount", "1.8", "亿元")]),
        ("放款１．８亿元、５，２３０万元", [("amount", "1.8", "亿元"), ("amount", "5,230", "万元")]),
        ("放款2亿多元，退税3800余万元", [("amount", "2", "亿元"), ("amount", "3800", "万元")]),
        ("吞吐2.3万标箱，发送1.2万余件", [("count", "2.3", "万标箱"), ("count", "1.2", "万件")]),
        ("惠及160余家企业", [("count", "160", "家")]),
        ("办理3800余件，培训近200名", [("count", "3800", "件"), ("count", "200", "名")]),
        ("覆盖30-50家", [("count", "30-50", "家")]),
        ("累计服务160多家", [("cumulative", "160", "家")]),
        ("累计下降36%", [("rate", "36", "%")]),
        ("下降３６％，提高12个百分点", [("rate", "36", "%"), ("rate", "12", "个百分点")]),
        ("同比-3.2%，压降35个基点，增长1.5倍", [("rate", "-3.2", "%"), ("rate", "35", "个基点"), ("rate", "1.5", "倍")]),
        ("10%—15%的企业", [("rate", "10", "%"), ("rate", "15", "%")]),
        ("五成以上为小微，七八成满意", [("rate", "五", "成"), ("rate", "七八", "成")]),
        ("占九成四，最高七成半", [("rate", "九成四", ""), ("rate", "七成半", "")]),
        ("三分之一的企业，增长超一倍", [("rate", "三分之一", ""), ("rate", "一", "倍")]),
        ("百分之三十六，百分之36", [("rate", "百分之三十六", ""), ("rate", "36", "%")]),
        ("首单落地，首个平台，首家机构", [("first", "首单", ""), ("first", "首个", ""), ("first", "首家", "")]),
        ("首批9户企业获贷", [("first", "首批", ""), ("count", "9", "户")]),
        ("全国首批、西部首个", [("first", "全国首批", ""), ("first", "西部首个", "")]),
        ("时限由11天减为2天", [("change", "由11天减为2天", "")]),
        ("从3个工作日压缩到0.5个工作日内", [("change", "从3个工作日压缩到0.5个工作日", "")]),
        ("由2021年的36家增至2023年的160家", [("change", "由2021年的36家增至2023年的160家", "")]),
        ("11天减为2天压缩82%", [("change", "11天减为2天", ""), ("rate", "82", "%")]),
        ("等12个部门将时限从11天缩至2天", [("count", "12", "个"), ("change", "从11天缩至2天", "")]),
        ("利率由4.35%到4.05%", [("change", "由4.35%到4.05%", "")]),
        ("由财政出资1000万元为9户企业担保", [("amount", "1000", "万元"), ("count", "9", "户")]),
    ],
)  # fmt: skip
def test_figures_with_value_and_unit(text, expected):
    assert told(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "2023年3月", "2023年3月12日至15日", "第27期", "第3批、第1至3批", "“1+9+N”体系", "1+6个平台", "由1月到3月",
        "从2021年到2023年", "由3月15日推迟至4月1日", "3个月内办结", "首个工作日", "渝府发〔2021〕19号", "第12条例外",
        "统一成立专班，一成不变", "12345热线", "2.0对外开放", "元首座谈", "唯一成果", "购买首批次、首台套保险",
    ],
)  # fmt: skip
def test_what_only_looks_like_a_figure(text):
    assert told(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("放款5230万\n元", ("amount", "5230", "万元")),
        ("放款5230\r\n万元", ("amount", "5230", "万元")),
        ("提高12个百\n分点", ("rate", "12", "个百分点")),
        ("三分\n之一", ("rate", "三分之一", "")),
        ("由11天减\n为2\n天", ("change", "由11天减为2天", "")),
        ("160 余 家", ("count", "160", "家")),
    ],
)
def test_a_line_break_inside_a_figure(text, expected):
    assert told(text) == [expected]


def test_the_clause_is_given_and_the_order_is_that_of_the_text():
    found = figures("全国首单“邮包质押”落地，惠及9户企业占三分之一增长36%。", "p")
    assert [(f.value, f.text, f.passage) for f in found] == [
        ("全国首单", "全国首单“邮包质押”落地", "p"), ("9", "惠及9户企业占三分之一增长36%", "p"),
        ("三分之一", "惠及9户企业占三分之一增长36%", "p"), ("36", "惠及9户企业占三分之一增长36%", "p"),
    ]  # fmt: skip


@pytest.mark.parametrize("piece", ["1", "1,", "111,", "1-", "由1家", "1家增", "一", "1万", "首"])
def test_hostile_repetitions_take_time_by_their_length(piece, growth):
    assert growth(lambda count: figures(piece * count, "p"), 2_500) < 24
