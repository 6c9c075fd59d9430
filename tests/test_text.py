"""Chinese text: widths, numerals, dates, units, sentences."""

import datetime
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.text import (
    clauses,
    clean,
    compact,
    find_dates,
    join_lines,
    normalise,
    parse_date,
    parse_numeral,
    sentences,
    split_units,
    words,
)  # fmt: skip

TEXT = st.text(alphabet=st.characters(codec="utf-8"), max_size=80)
UNIT = st.sampled_from(["市科技局", "市教委", "重庆海关", "市政府口岸物流办", "市规划自然资源局", "省人力社保厅"])


@given(TEXT)
def test_normalising_twice_changes_nothing(text):
    assert normalise(normalise(text)) == normalise(text)


@given(TEXT)
def test_clean_text_is_one_line_and_keeps_every_han_character(text):
    cleaned = clean(text)
    assert "\n" not in cleaned
    assert [c for c in cleaned if "\u4e00" <= c <= "\u9fff"].__len__() >= sum("\u4e00" <= c <= "\u9fff" for c in text)


def test_radicals_become_characters():
    assert normalise("⼯作⺠⽣，⻓江⻋站") == "工作民生，长江车站"


def test_widths_and_spaces():
    assert normalise("共２０ 项，“ＡＴＡ 单证册” 项下") == "共20项，“ATA单证册”项下"
    assert compact("试 点\n任 务") == "试点任务"
    assert join_lines(["open", "data 平", "台"]) == "open data 平台"


@given(st.integers(min_value=0, max_value=99_999_999))
def test_arabic_numerals(number):
    assert parse_numeral(str(number)) == number


@given(st.integers(min_value=1, max_value=99))
def test_chinese_numerals_below_a_hundred(number):
    digits = "零一二三四五六七八九"
    tens, ones = divmod(number, 10)
    written = (("" if tens == 1 else digits[tens]) + "十" if tens else "") + (digits[ones] if ones or not tens else "")
    assert parse_numeral(written) == number


@given(st.dates(min_value=datetime.date(1950, 1, 1), max_value=datetime.date(2099, 12, 31)))
def test_dates_come_back(day):
    for form in (
        f"{day.year}年{day.month}月{day.day}日",
        f"{day.year}-{day.month:02d}-{day.day:02d}",
        f"{day.year}/{day.month}/{day.day}",
    ):
        assert parse_date(form) == day.isoformat()


def test_what_is_no_date():
    assert parse_date("2021年13月40日") == parse_date("") == parse_date("今年") == ""
    assert (parse_date("2023年2月29日"), parse_date("2023-02-29")) == ("2023-02-28", "")
    assert parse_date("2024年2月29日") == "2024-02-29"
    assert [found[2] for found in find_dates("2021年8月4日至2022年1月")] == ["2021-08-04", "2022-01-01"]


@given(st.lists(UNIT, min_size=1, max_size=6), st.sampled_from(["、", "，", "；", ",", "、\n"]))
def test_units_come_back(units, separator):
    assert split_units(separator.join(units)) == tuple(units)


def test_joining_words_split_only_between_bodies():
    assert split_units("市委网信办、市商务委及各行业主管部门") == ("市委网信办", "市商务委", "各行业主管部门")
    assert split_units("市规划和自然资源局") == ("市规划和自然资源局",)
    assert split_units("《目录（技术、技能）》中的实施部门") == ("《目录(技术、技能)》中的实施部门",) or split_units(
        "《目录（技术、技能）》中的实施部门"
    ) == ("《目录（技术、技能）》中的实施部门",)


@pytest.mark.parametrize("text", ["", "/", "—", "——", "无", "-"])
def test_no_units(text):
    assert split_units(text) == ()


@given(TEXT)
def test_spans_are_in_order_and_within(text):
    for spans in (sentences(text), clauses(text)):
        assert all(0 <= a < b <= len(text) for a, b in spans)
        assert all(x[1] <= y[0] for x, y in itertools.pairwise(spans))


def test_words_know_the_terms_of_the_field():
    assert "熊猫债券" in words("研究简化发行熊猫债券手续。")
    assert "。" not in words("研究简化。")


def test_a_number_over_the_edge_of_a_line_is_one_number():
    assert clean("完成投资11\n80万元") == "完成投资1180万元"
    assert join_lines(["open", "data"]) == "open data"


def test_numbers_on_lines_of_their_own_stay_apart():
    assert join_lines(["1", "2", "3小计"]) == "1 2 3小计"


@pytest.mark.parametrize("zero", "〇0OО○")
def test_every_zero_that_is_typed_in_a_year(zero):
    assert parse_date(f"二{zero}二一年八月四日") == "2021-08-04"


def test_white_space_parts_names_of_bodies_and_nothing_else():
    assert split_units("市商务委 市财政局　重庆海关") == ("市商务委", "市财政局", "重庆海关")
    assert split_units("市 教 委、重庆市 商务委") == ("市教委", "重庆市商务委")
    assert split_units("市规划\n自然资源局") == ("市规划自然资源局",)


def test_half_a_character_does_not_survive():
    assert clean("已办结\ud83d。") == "已办结?。"


@pytest.mark.parametrize(
    ("cell", "units"),
    [
        ("市委办公厅市政府办公厅", ("市委办公厅", "市政府办公厅")),
        ("市商务委\n市财政局、海关", ("市商务委", "市财政局", "海关")),
        ("市委市政府督查办", ("市委市政府督查办",)),
        ("市发展改革委市场处", ("市发展改革委市场处",)),
        ("市国资委市属国企", ("市国资委市属国企",)),
        ("区县政府", ("区县政府",)),
        ("", ()),
    ],
)
def test_names_of_one_rank_without_a_space_are_parted(cell, units):
    assert split_units(cell) == units
