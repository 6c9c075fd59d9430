import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import DataError
from pipeline.records import Task
from pipeline.units import UnitLexicon, default_lexicon, find_units, place_of, resolve, unknown_units


def test_two_plates_are_one_office():
    assert resolve("市金融监管局").office == resolve("市金融工作局").office
    assert resolve("市金融监管局").current == "中共重庆市委金融委员会办公室"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("人行重庆营管部", "中国人民银行重庆市分行"),
        ("重庆银保监局", "国家金融监督管理总局重庆监管局"),
        ("重庆外汇管理部", "国家外汇管理局重庆市分局"),
        # By the pattern alone: these stand in no lexicon.
        ("浙江银保监局", "国家金融监督管理总局浙江监管局"),
        ("人民银行南京中心支行", "中国人民银行南京分行"),
    ],
)
def test_successors(old, new):
    assert resolve(old).current == new


def test_short_names_belong_to_the_place_of_the_notice():
    assert resolve("市科技局", "重庆市").name == "重庆市科学技术局"
    assert resolve("市科技局", "杭州市").name == "杭州市科技局"
    assert resolve("省科技厅", "浙江省").name == "浙江省科技厅"
    assert resolve("省科技厅", "浙江省").level == "省级"
    assert resolve("市科技局", "杭州市").level == "市级"
    assert place_of("浙江省人民政府办公厅") == "浙江省"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("江津区政府", "区县政府"),
        ("重庆高新区管委会", "园区管委会"),
        ("洋浦经济开发区管委会", "园区管委会"),
        ("市高法院", "法院"),
        ("宁波海事法院", "法院"),
        ("重庆机场集团", "企业"),
        ("国网天津市电力公司", "企业和社会机构"),
        ("省委网信办", "党委部门"),
        ("省市场监管局", "政府部门"),
        ("福建证监局", "中央驻地机构"),
        ("新疆能源监管办", "中央驻地机构"),
    ],
)
def test_kinds(name, kind):
    assert resolve(name).kind == kind


def test_words_for_many_bodies_are_kept_as_they_are():
    for name in ("各行业主管部门", "《国家职业资格目录》中的实施部门"):
        assert resolve(name).origin == "free"
        assert resolve(name).name == name
        assert resolve(name).known


def test_the_unknown_is_kept_and_listed():
    unit = resolve("某某某")
    assert (unit.name, unit.known) == ("某某某", False)
    tasks = [Task("a", 1, "", lead_units=("市科技局", "某某某")), Task("b", 2, "", coop_units=("某某某",))]
    assert unknown_units(tasks) == ["某某某"]


def test_units_in_running_text():
    text = "市科技局会同重庆海关、市高法院和人行重庆营管部研究，省药监局、浙江银保监局配合，渝中区政府落实。"
    spans = find_units(text, "重庆市")
    assert [span.text for span in spans] == [
        "市科技局", "重庆海关", "市高法院", "人行重庆营管部", "省药监局", "浙江银保监局", "渝中区政府",
    ]  # fmt: skip
    assert all(text[span.start : span.end] == span.text for span in spans)
    assert spans[0].unit.name == "重庆市科学技术局"


def test_another_place_needs_only_another_file(tmp_path):
    path = tmp_path / "units.csv"
    path.write_text(
        "name,aliases,same_as,successor,kind,level,place\n甲市科学技术局,市科技局、甲市科技局,,,政府部门,市级,甲市\n",
        encoding="utf-8",
    )
    lexicon = UnitLexicon([path])
    assert lexicon.resolve("市科技局").name == "甲市科学技术局"
    assert [span.text for span in lexicon.find("由甲市科技局负责")] == ["甲市科技局"]


def test_a_damaged_lexicon_is_named(tmp_path):
    path = tmp_path / "units.csv"
    path.write_text("name,kind\n甲,乙\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"units\.csv 第2行"):
        UnitLexicon([path])
    with pytest.raises(DataError, match="无法读取"):
        UnitLexicon([tmp_path / "none.csv"])


def test_successors_and_plates_stand_in_the_lexicon_or_follow_a_pattern():
    lexicon = default_lexicon()
    for units in lexicon._by_name.values():
        for unit in units:
            for name in (unit.same_as, unit.successor):
                assert not name or lexicon.resolve(name).known, name


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="市省区重庆科技局委员会海关银行政府和、《》（）ab ", max_size=24))
def test_any_name_and_text_is_taken(text):
    unit = resolve(text)
    assert unit.current or not text.strip("。；，、:： \n")
    for span in find_units(text):
        assert text[span.start : span.end] == span.text


def test_every_unit_of_the_first_notice_resolves(shared):
    tasks = json.loads((shared / "gold/tasks.json").read_text(encoding="utf-8"))
    names = {name for task in tasks for name in task["lead_units"] + task["coop_units"]}
    assert [name for name in sorted(names) if not resolve(name, "重庆市").known] == []
    other = json.loads((shared / "samples/s1_ports.tasks.json").read_text(encoding="utf-8"))
    names = {name for task in other for name in task["lead_units"] + task["coop_units"]}
    assert [name for name in sorted(names) if not resolve(name, "浙江省").known] == []
