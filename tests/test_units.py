import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.batch import signature, unknown_units_note
from pipeline.errors import DataError
from pipeline.records import Notice, Task
from pipeline.settings import Settings
from pipeline.units import NoticeUnits, UnitLexicon, default_lexicon, find_units, lexicon_with, place_of, resolve
from tests.makers.units import HEAD, LAKESIDE, lakeside_notice


def notice_of(*tasks, issuer="重庆市人民政府"):
    made = tuple(Task(f"n#{i}", i, "", lead_units=lead, coop_units=coop) for i, (lead, coop) in enumerate(tasks, 1))
    return Notice("n", "方案", issuer, "", "", "", (), (), (), made, path="方案.pdf")


@pytest.fixture
def lakeside(tmp_path):
    """A further lexicon of an invented city."""
    path = tmp_path / "lakeside.csv"
    path.write_text(LAKESIDE, encoding="utf-8")
    return str(path)


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
    notice = notice_of((("市科技局", "某某某"), ()), ((), ("某某某",)))
    assert NoticeUnits(notice).unknown() == ["某某某"]


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


def test_names_with_the_place_and_with_a_second_plate_are_the_lexicons():
    for name in ("重庆市科技局", "市科技局（市外专局）", "市科技局(市外专局)"):
        assert resolve(name, "重庆市").name == "重庆市科学技术局"
    assert resolve("中共重庆市委网信办", "重庆市").name == resolve("市委网信办", "重庆市").name
    assert resolve("重庆市科技局", "杭州市").name == "重庆市科学技术局"
    assert resolve("市科技局", "浙江省").name == "市科技局"  # of some city of the province, not of 重庆
    assert place_of("中共重庆市委办公厅") == "重庆市"


def test_a_name_made_to_be_cut_in_many_ways_is_soon_refused(growth):
    def refuse(count):
        for word in ("城乡建设", "科技创新", "经济信息化"):
            assert resolve("市" + word * count + "某", "重庆市").origin == "unknown"

    assert growth(refuse, 5) < 24


def test_plates_and_predecessors_are_one_unit_under_the_name_mostly_written():
    units = NoticeUnits(
        notice_of(
            (("市金融工作局",), ("重庆银保监局",)), (("市金融监管局",), ()), (("市金融监管局", "重庆金融监管局"), ())
        )
    )
    assert {units.shown(name) for name in ("市金融监管局", "市金融工作局", "市委金融办")} == {"市金融监管局"}
    assert units.shown("重庆金融监管局") == units.shown("重庆银保监局") == "重庆银保监局"  # of equals the first
    assert units.shown("市科技局") == "市科技局"  # stands nowhere in the notice


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("市金融工作局", {"市金融监管局"}),
        ("市委金融办", {"市金融监管局"}),
        ("中共重庆市委金融委员会办公室", {"市金融监管局"}),
        ("金融监管", {"市金融监管局"}),
        ("市科", {"市科技局"}),
        ("科学技术", {"市科技局"}),
        # What the notice itself writes goes before a part of other names: all of these are of 重庆.
        ("重庆", {"重庆海关"}),
        ("无此局", set()),
    ],
)
def test_a_unit_is_found_by_any_name_and_by_part(wanted, found):
    units = NoticeUnits(notice_of((("市金融监管局", "市科技局"), ("重庆海关",))))
    assert units.named(wanted) == found


def test_a_further_lexicon_lies_over_the_packages(lakeside):
    units = NoticeUnits(lakeside_notice(), lakeside)
    assert units.place == "滨湖市"
    assert units.resolve("市大数据局").name == "滨湖市大数据管理局"
    assert units.current("市数据中心") == units.current("市大数据局") == units.current("市数据局") == "滨湖市数据局"
    assert units.unknown() == ["=某某某", "湖心岛筹备组"]
    assert units.resolve("重庆海关").name == "重庆海关"  # the package's names still hold
    assert NoticeUnits(lakeside_notice()).resolve("市科技局").name == "滨湖市科技局"
    # A file of one place also serves a notice whose issuer names none; the package's own city does not.
    park = dataclasses.replace(lakeside_notice(), issuer="湖心岛管委会")
    assert NoticeUnits(park, lakeside).resolve("市大数据局").name == "滨湖市大数据管理局"
    assert NoticeUnits(park).resolve("市科技局").name == "市科技局"


def test_names_of_a_further_lexicon_win_and_a_row_without_place_holds_anywhere(tmp_path):
    path = tmp_path / "units.csv"
    path.write_text(HEAD + "重庆海关总关,重庆海关,,,,,\n市创新委, 市科技局 ,,,政府部门,市级,\n", encoding="utf-8-sig")
    lexicon = lexicon_with(path)
    assert lexicon.resolve("重庆海关", "重庆市").name == "重庆海关总关"
    assert lexicon.resolve("市科技局", "重庆市").name == lexicon.resolve("市科技局", "滨湖市").name == "市创新委"


def test_plates_that_name_each_other_are_one(tmp_path):
    path = tmp_path / "units.csv"
    path.write_text(HEAD + "甲局,,乙局,,,,\n乙局,,甲局,,,,\n丙局,,,甲局,,,\n", encoding="utf-8")
    lexicon = lexicon_with(path)
    assert lexicon.current("甲局") == lexicon.current("乙局") == lexicon.current("丙局")


def test_a_run_names_the_units_that_nothing_knows(lakeside, tmp_path):
    settings = Settings(unit_lexicon=lakeside)
    (note,) = unknown_units_note(lakeside_notice(), settings)
    assert (note.kind, note.file) == ("note", "滨湖.pdf")
    assert note.message.startswith("有 2 个单位未识别，按公文写法单独统计：=某某某、湖心岛筹备组。")
    assert "unit_lexicon" in note.message
    assert unknown_units_note(notice_of((("市科技局", "各有关部门"), ())), Settings()) == []
    many = notice_of((tuple(f"某{i}某" for i in range(500)), ()))
    (note,) = unknown_units_note(many, Settings())
    assert "有 500 个单位" in note.message
    assert len(note.message) < 400
    with pytest.raises(DataError, match="单位词典无法读取"):
        unknown_units_note(many, Settings(unit_lexicon=str(tmp_path / "none.csv")))


def test_another_lexicon_of_units_does_not_read_documents_again():
    class Matcher:
        def fingerprint(self):
            return "linker"

    marks = {signature(Matcher(), s, notice_of()) for s in (Settings(), Settings(unit_lexicon="本市.csv"))}
    assert len(marks) == 1
    assert signature(Matcher(), Settings(candidates=3), notice_of()) not in marks
