"""Frames: what persons decided stands over the machine, and every count is made once."""

import dataclasses
import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import DataError
from pipeline.inventory import (
    Results,
    View,
    build_inventory,
    build_ledger,
    export,
    filter_snapshot,
    links_frame,
    overlay,
    problems_frame,
    totals,
    write_tables,
)
from pipeline.inventory.duplicates import find_pairs, groups
from pipeline.inventory.findings import district, figures, firms, guess_kind, parts, replicability, risks
from pipeline.inventory.ledger import light, task_status
from pipeline.inventory.sheets import TOTALS
from pipeline.inventory.unit_table import unit_table
from pipeline.records import Decision, Evidence, Label, Link, Passage
from pipeline.settings import Settings
from tests.makers.snapshots import DOCUMENTS, NOTICE_ID, TASKS, snapshot, task_id
from tests.makers.units import LAKESIDE, lakeside_notice

SHARED = Path(__file__).resolve().parents[1].parent / "shared"
TIME = "2024-06-01T09:00:00+08:00"


def decide(passage, no, verdict, moved_to=0, reviewer="王某"):
    return Decision(passage, task_id(no), verdict, reviewer, TIME, task_id(moved_to) if moved_to else "")


def states(found):
    return {(e.link.passage, e.link.task.split("#")[1]): (e.state, e.counts, e.link.probability) for e in found}


LINKS = [
    Link("p", task_id(1), 0.7, Evidence(0, 1, "甲"), "linker"),
    Link("p", task_id(2), 0.6, Evidence(0, 1, "甲"), "linker", 1),
]


@pytest.mark.parametrize(
    ("decisions", "expected"),
    [
        ([], {"1": ("model", True, 0.7), "2": ("model", False, 0.6)}),
        ([("1", "accepted")], {"1": ("accepted", True, 1.0), "2": ("model", False, 0.6)}),
        ([("1", "rejected")], {"1": ("rejected", False, 0.7), "2": ("model", False, 0.6)}),
        ([("1", "unsure")], {"1": ("unsure", True, 0.7), "2": ("model", False, 0.6)}),
        ([("2", "accepted")], {"1": ("model", True, 0.7), "2": ("accepted", True, 1.0)}),
        ([("1", "moved", 3)], {"1": ("moved", False, 0.7), "2": ("model", False, 0.6), "3": ("received", True, 1.0)}),
        # The last word holds: a move taken back leaves nothing behind.
        ([("1", "moved", 3), ("1", "accepted")], {"1": ("accepted", True, 1.0), "2": ("model", False, 0.6)}),
        # Of a move and what is said of its target the later holds.
        (
            [("3", "rejected"), ("1", "moved", 3)],
            {"1": ("moved", False, 0.7), "2": ("model", False, 0.6), "3": ("received", True, 1.0)},
        ),
        (
            [("1", "moved", 3), ("3", "rejected")],
            {"1": ("moved", False, 0.7), "2": ("model", False, 0.6), "3": ("rejected", False, 1.0)},
        ),
        ([("3", "accepted")], {"1": ("model", True, 0.7), "2": ("model", False, 0.6), "3": ("accepted", True, 1.0)}),
    ],
)
def test_decisions_over_links(decisions, expected):
    made = [decide("p", int(no), verdict, *rest) for no, verdict, *rest in decisions]
    found = states(overlay(LINKS, made))
    assert {no: value for (_, no), value in found.items()} == expected


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([1, 2, 3, 4]), st.sampled_from(["accepted", "rejected", "moved", "unsure"]),
                          st.sampled_from([1, 2, 3, 4]))))  # fmt: skip
def test_the_last_word_on_a_link_holds_whatever_came_before(said):
    decisions = [decide("p", no, verdict, target if verdict == "moved" else 0) for no, verdict, target in said]
    found = states(overlay(LINKS, decisions))
    last = {no: (index, verdict, target) for index, (no, verdict, target) in enumerate(said)}
    moved_here = {
        target: index
        for index, (no, verdict, target) in enumerate(said)
        if verdict == "moved" and target != no and last[no][0] == index
    }
    for no, (index, verdict, target) in last.items():
        state, counts, _ = found.get(("p", str(no)), ("", False, 0))
        if moved_here.get(no, -1) > index or verdict == "accepted":
            assert counts
        elif verdict == "rejected":
            assert not counts
        elif verdict == "moved" and target != no:
            assert last.get(target, (-1,))[0] > index or found["p", str(target)][1]
            assert not counts
        assert state != "model" or verdict == "moved"


def test_inventory_of_three_arguments_and_of_all():
    world = snapshot()
    frame = build_inventory(world.notice, world.links, [decide("c1-1", 1, "rejected")])
    assert set(frame["tasks"]) == {"1", "2", "3", ""}
    assert frame.set_index("case").loc["c1-1", "linked"] == False  # noqa: E712
    full = build_inventory(
        world.notice, world.links, passages=world.passages, documents=world.documents, labels=world.labels
    )
    assert full["title"].tolist() == ["=2+3 专利组合质押案例", "-邮包班列常态化"]
    row = full.iloc[0]
    assert (row["district"], row["tasks"], row["probability"], row["sector"]) == ("甲区", "1", 0.97, "tech")
    assert row["background"].startswith("过去企业")
    assert row["next"] == "下一步编制估值指引。"
    assert "5230" in row["results"]
    assert row["replicability"] == "已在他处复用"
    assert "逾期（未发生）" in row["risk_words"]
    assert full.iloc[1]["firms"] == "长安物流有限公司"
    without = build_inventory(world.notice, world.links, passages=world.passages)
    assert without["title"].tolist() == full["title"].tolist()  # what the passages say of their documents is enough


def test_nothing_at_all_gives_empty_frames_with_columns():
    empty = snapshot(documents=[], problems=())
    results = Results(empty)
    assert len(results.cases) == 0
    assert "title" in results.cases.columns
    assert results.totals["without_evidence"] == 4
    assert set(results.ledger["light"]) == {"red"}  # long after the notice, still nothing


def test_ledger_tells_status_light_and_latest_evidence():
    ledger = build_ledger(snapshot(), Settings()).set_index("no")
    assert ledger["status"].to_dict() == {1: "done", 2: "done", 3: "ongoing", 4: "none"}
    assert ledger["light"].to_dict() == {1: "green", 2: "green", 3: "red", 4: "red"}
    assert ledger.loc[3, "reason"].startswith("已过完成时限 2023-06-30")
    assert "没有任何材料" in ledger.loc[4, "reason"]
    assert ledger.loc[1, ["documents", "links", "cases"]].tolist() == [2, 3, 1]
    assert ledger.loc[2, ["cases", "projects", "related"]].tolist() == [1, 1, 1]
    assert ledger.loc[3, "policies"] == 1
    assert (ledger.loc[1, "latest_date"], ledger.loc[1, "latest_document"]) == ("2024-02-01", "c1")
    assert ledger.loc[2, "history"].splitlines() == [
        "2023-05-05 拟推进：@邮包分拨中心项目简介", "2024-03-01 已完成：-邮包班列常态化",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ([], "none"),
        ([("2022", "a", "none")], "unstated"),
        ([("2022", "a", "ongoing"), ("2023", "b", "done")], "done"),
        ([("2022", "a", "done"), ("2022", "a", "done"), ("2023", "b", "ongoing")], "ongoing"),
        ([("2022", "a", "done"), ("2022", "b", "done"), ("2023", "c", "ongoing")], "done"),
        ([("2022", "a", "ongoing"), ("2023", "b", "planned")], "ongoing"),
        ([("2022", "a", "planned"), ("2023", "b", "none")], "planned"),
        ([("2023", "a", "done"), ("2023", "a", "planned")], "done"),
    ],
)
def test_status_over_time(told, status):
    assert task_status(told) == status


@pytest.mark.parametrize(
    ("status", "latest", "deadline", "colour"),
    [
        ("done", "2020-01-01", "2020-06-30", "green"),
        ("ongoing", "2024-05-01", "", "green"),
        ("ongoing", "2024-05-01", "2024-05-31", "red"),
        ("ongoing", "2023-11-01", "", "amber"),
        ("ongoing", "2023-05-01", "", "red"),
        ("planned", "2024-05-01", "", "amber"),
        ("unstated", "2024-05-01", "", "amber"),
        ("ongoing", "", "", "grey"),
        ("none", "", "", "grey"),
    ],
)
def test_lights_follow_the_settings(status, latest, deadline, colour):
    assert light(status, latest, deadline, "2024-06-01", Settings(), "2024-01-01")[0] == colour
    if latest:
        assert light("ongoing", latest, "", "2024-06-01", Settings(amber_months=100, red_months=200))[0] == "green"


@pytest.mark.parametrize(
    ("told", "day"),
    [
        ("2023年底", "2023-12-31"), ("2023年底前", "2023-12-31"), ("2023年上半年", "2023-06-30"),
        ("2023年第三季度", "2023-09-30"), ("2023年6月", "2023-06-30"), ("2022年底前启动，2024年完成", "2024-12-31"),
        ("2022—2024年", "2024-12-31"), ("2022-2024年", "2024-12-31"), ("2023年9月—12月", "2023-12-31"),
        ("2023-12", "2023-12-31"), ("2023.6", "2023-06-30"), ("2023/7/15", "2023-07-15"), ("２０２３年 ６月", "2023-06-30"),
        ("2023-12-05 00:00:00", "2023-12-05"), ("二〇二三年八月四日", "2023-08-04"),
        ("", ""), ("持续推进", ""), ("试点期内", ""), ("2025年前", ""), ("2023.13", ""),
    ],
)  # fmt: skip
def test_a_deadline_ends_with_the_last_time_that_it_names(told, day):
    world = snapshot(documents=[], date="2030-01-01")
    task = dataclasses.replace(TASKS[0], deadline=told)
    world = dataclasses.replace(world, notice=dataclasses.replace(world.notice, tasks=(task,)))
    (reason,) = build_ledger(world)["reason"]
    assert (f"已过完成时限 {day}" in reason) == bool(day)


def test_links_that_persons_decided_on_need_no_signing(tmp_path):
    assert totals(snapshot())["sure_links"] == 2
    results = Results(snapshot(decisions=[decide("p1-0", 1, "accepted"), decide("p1-1", 3, "accepted")]))
    assert results.totals["sure_links"] == 1
    export(results, tmp_path, formats=("html",))
    assert "概率不低于 0.97：1 条" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_date_that_is_none_stops_no_output(tmp_path):
    said = [("平台已经建成。", (), [(1, 0.9, 2)], "done")]
    dates = ("2024年3月5日", "2024/3/5", "2024", "2024-13", "昨天", "2024-03-05")
    documents = [(f"d{i}", "progress", "报告", "某局", date, said) for i, date in enumerate(dates)]
    for day in ("2024-06-01", "2024-06-xx", "昨天"):
        export(snapshot(documents=documents, date=day), tmp_path, formats=("html", "docx"))


def test_totals_agree_with_every_frame_after_decisions():
    decisions = [decide("c1-1", 1, "rejected"), decide("p1-1", 3, "moved", 4), decide("p1-0", 2, "accepted")]
    results = Results(snapshot(decisions=decisions))
    t = results.totals
    assert set(t) == set(TOTALS) | {"status_none"}
    assert t["links"] == int(results.links["counts"].sum()) == int(results.ledger["links"].sum())
    assert t["with_evidence"] + t["without_evidence"] == t["tasks"] == len(TASKS)
    assert sum(t[f"status_{s}"] for s in ("done", "ongoing", "planned", "unstated", "none")) == t["tasks"]
    assert sum(t[f"light_{s}"] for s in ("green", "amber", "red", "grey")) == t["tasks"]
    assert (t["links_rejected"], t["links_moved"], t["links_accepted"]) == (1, 1, 1)
    by_part = results.statistics[results.statistics["dimension"] == "部分"]
    assert by_part["tasks"].sum() == t["tasks"]
    assert by_part["links"].sum() == t["links"]
    by_issuer = results.statistics[results.statistics["dimension"] == "报送单位"]
    assert by_issuer["links"].sum() == t["links"]
    assert by_issuer["documents"].sum() == t["documents"]
    assert t["case_goal"] == 10
    assert totals(results) == totals(snapshot(decisions=decisions)) == t


def test_links_frame_tells_page_decision_and_source():
    frame = links_frame(snapshot(decisions=[decide("p1-1", 3, "moved", 4)])).set_index(["passage", "task"])
    row = frame.loc["p1-1", 3]
    assert (row["state"], row["verdict"], row["moved_to"], row["reviewer"]) == ("改挂", "改挂", 4, "王某")
    assert not row["counts"]
    assert frame.loc[("p1-1", 4), "counts"]
    assert frame.loc[("c1-2", 1), "page"] == 3
    assert frame["link"].str.match("^L[0-9a-f]{12}$").all()


def test_problems_name_decisions_without_effect_and_counts_that_differ():
    world = snapshot(decisions=[decide("gone-1", 1, "accepted"), decide("p1-0", 1, "moved", 99)])
    counts = (dataclasses.replace(world.notice.stated_counts[0], stated=86),)
    world = dataclasses.replace(world, notice=dataclasses.replace(world.notice, stated_counts=counts))
    messages = "\n".join(problems_frame(world)["message"])
    assert "所在材料已不在或已改动" in messages
    assert "没有任务 99" in messages
    assert "公文称任务 86，实际读到 4" in messages
    assert "坏文件.pdf" in messages


def test_a_persons_label_stands_over_the_models():
    world = snapshot()
    labelled = dataclasses.replace(world, labels=(*world.labels, Label(task_id(1), "sector", "finance", 1.0, "王某")))
    assert build_ledger(labelled).iloc[0]["sector"] == "finance"


def test_parts_without_headings_go_by_words_and_place():
    texts = [
        "过去企业要跑三个窗口，材料重复提交，苦于没有一条快速通道。",
        "市局牵头建立联合审批机制，推出一张表单，三家单位同步受理。",
        "一年来累计办理1120件，时间由30天缩短至5天，惠及企业386家。",
        "下一步，将继续扩大事项范围，力争年底前覆盖全部园区。",
    ]
    found = parts([Passage(str(i), "d", text) for i, text in enumerate(texts)])
    assert [[key for key, _ in found[part]] for part in ("background", "practice", "results", "next")] == [
        ["0"], ["1"], ["2"], ["3"],
    ]  # fmt: skip


def test_findings_in_text():
    assert [(f.kind, f.value, f.unit) for f in figures("增速0.2个百分点，全国首单落地，累计121家次。")] == [
        ("rate", "0.2", "个百分点"), ("first", "全国首单", ""), ("cumulative", "121", "家次"),
    ]  # fmt: skip
    names = [name for name, _ in firms("由长安汽车股份有限公司与三井住友银行合作，外资银行、认证公司、各分公司参与。")]
    assert names == ["长安汽车股份有限公司", "三井住友银行"]
    assert [h.kind for h in replicability("该做法在全国复制推广。已写入全市条例。")] == ["国家层面推广", "省市层面推广"]
    assert [(h.kind, h.tone) for h in risks("项目进展缓慢。全年未发生安全事故。及时排查隐患。")] == [
        ("进度与政策", "需关注"), ("安全生产与公共安全", "未发生"), ("安全生产与公共安全", "已有应对"),
    ]  # fmt: skip
    assert [district(x) for x in ("某省某市某某县人民政府", "某市市场监督管理局", "")] == ["某某县", "", ""]
    assert guess_kind("某区打造样板", headings=["一、背景", "二、主要做法", "三、成效"]) == "case"


def test_reworded_copies_of_cases_are_found(tmp_path):
    copies_path = Path(__file__).resolve().parents[1] / "benchmarks" / "reworded_cases.jsonl"
    gold = SHARED / "gold" / "dev_docs.jsonl"
    if not gold.exists():
        pytest.skip("labelled documents are not here")
    copies = [json.loads(line) for line in copies_path.read_text(encoding="utf-8").splitlines()]
    cases = [json.loads(line) for line in gold.read_text(encoding="utf-8").splitlines()]
    cases = [case for case in cases if case["kind"] == "case"] + copies
    texts = ["\n".join([case["title"], *(p["text"] for p in case["passages"])]) for case in cases]
    group = groups(len(texts), find_pairs(texts))
    place = {case["doc_id"]: i for i, case in enumerate(cases)}
    found = sum(group[place[copy["doc_id"]]] == group[place[copy["of"]]] for copy in copies)
    together = len(texts) - len(set(group))
    assert found >= 9
    assert together - found <= 1


def test_near_duplicates_among_many_are_found_as_among_few():
    base = [f"第{i}号园区建成{i * 37 + 11}个站点，服务{i * 91 + 17}家单位，编号“甲{i}乙”。" * 2 for i in range(500)]
    texts = [*base, base[7].replace("建成", "已建成").replace("服务", "惠及")]
    assert (7, 500) in {(pair.first, pair.second) for pair in find_pairs(texts, 0.9)}
    assert find_pairs([]) == find_pairs(["一"]) == find_pairs(["", ""]) == []


def test_filter_by_time_and_unit():
    world = snapshot(decisions=[decide("p1-1", 3, "moved", 1)])
    late = filter_snapshot(world, since="2024-01-01")
    assert {d.id for d in late.documents} == {"c1", "c2"}
    assert len(late.notice.tasks) == 4
    post = filter_snapshot(world, unit="市邮政局")
    assert [t.no for t in post.notice.tasks] == [2]
    assert {d.id for d in post.documents} == {"p1", "c2", "x1"}
    science = filter_snapshot(world, unit="市科技局")
    assert ("p1-1", task_id(1)) in {(e.link.passage, e.link.task) for e in View.of(science).counted}
    assert {d.id for d in filter_snapshot(world, unit="甲区").documents} == {"c1", "c2"}
    with pytest.raises(DataError, match="没有这个单位"):
        filter_snapshot(world, unit="无此局")
    with pytest.raises(DataError, match="不是日期"):
        filter_snapshot(world, since="去年")


@pytest.fixture
def lakeside(tmp_path):
    """A snapshot of an invented city, and settings that name its lexicon of units."""
    (tmp_path / "units.csv").write_text(LAKESIDE, encoding="utf-8")
    return dataclasses.replace(snapshot(documents=[]), notice=lakeside_notice()), Settings(
        unit_lexicon=str(tmp_path / "units.csv")
    )


def test_plates_of_one_office_are_counted_together_under_the_name_mostly_written(lakeside):
    world, settings = lakeside

    def counts(results, dimension):
        rows = results.statistics[results.statistics["dimension"] == dimension]
        return dict(zip(rows["key"], rows["tasks"], strict=True))

    results = Results(world, settings)
    assert counts(results, "牵头单位") == {"市大数据局": 3, "湖心岛筹备组": 1}
    assert counts(results, "配合单位") == {"市财政局": 1, "=某某某": 1, "市大数据局": 1, "各有关部门": 1}
    assert results.ledger["lead_units"][1] == "市大数据局、市数据中心"  # as the notice writes it
    without = counts(Results(world), "牵头单位")
    assert without == {"市数据中心": 2, "市大数据局": 2, "湖心岛筹备组": 1}


def test_a_table_of_units_the_unknown_first(lakeside):
    table = unit_table(View.of(*lakeside))
    assert table.drop(columns="kind").values.tolist() == [
        ["=某某某", "=某某某", "=某某某", "", "unknown", "", "2"],
        ["湖心岛筹备组", "湖心岛筹备组", "湖心岛筹备组", "", "unknown", "3", ""],
        ["市数据中心", "滨湖市数据中心", "滨湖市数据局", "市级", "lexicon", "1、2", ""],
        ["市大数据局", "滨湖市大数据管理局", "滨湖市数据局", "市级", "lexicon", "2、4", "3"],
        ["市财政局", "滨湖市财政局", "滨湖市财政局", "市级", "pattern", "", "1"],
        ["各有关部门", "各有关部门", "各有关部门", "", "free", "", "3"],
    ]
    assert unit_table(snapshot())["full_name"].tolist()[0] == "市科技局"  # the notice names no place: nobody's city


def test_a_damaged_lexicon_of_units_stops_the_outputs(lakeside):
    world, settings = lakeside
    Path(settings.unit_lexicon).write_text("name\n甲\n", encoding="utf-8")
    with pytest.raises(DataError, match="第2行"):
        Results(world, settings)


def test_filter_by_any_name_of_a_unit(lakeside):
    world, settings = lakeside
    for name in ("市数据局", "滨湖市大数据管理局", "数据中心"):
        assert [t.no for t in filter_snapshot(world, unit=name, settings=settings).notice.tasks] == [1, 2, 3, 4], name
    assert [t.no for t in filter_snapshot(world, unit="财政", settings=settings).notice.tasks] == [1]
    # A unit without tasks keeps what it sent in, under whichever name.
    said = [("已建成平台3个，服务企业20家。", (), [(1, 0.9, 2)], "done")]
    sent = [("s1", "progress", "总结", "滨湖市科学技术局", "2024-01-02", said)]
    Path(settings.unit_lexicon).write_text(
        LAKESIDE + "滨湖市科学技术局,市科技局,,,政府部门,市级,滨湖市\n", encoding="utf-8"
    )
    world = dataclasses.replace(snapshot(documents=sent), notice=lakeside_notice())
    part = filter_snapshot(world, unit="市科技局", settings=settings)
    assert ([d.id for d in part.documents], len(part.notice.tasks)) == (["s1"], 4)


def test_tables_for_researchers(tmp_path):
    results = Results(snapshot())
    files = write_tables(results, tmp_path / "csv", "csv")
    text = files["cases"].read_text(encoding="utf-8-sig")
    assert "'=2+3 专利组合质押案例" in text
    files = write_tables(results, tmp_path / "jsonl", "jsonl")
    rows = [json.loads(line) for line in files["ledger"].read_text(encoding="utf-8").splitlines()]
    assert [row["no"] for row in rows] == [1, 2, 3, 4]
    assert rows[3]["latest_date"] is None
    with pytest.raises(DataError, match="xml"):
        write_tables(results, tmp_path, "xml")


def test_export_writes_everything_from_one_set_of_frames_twice_the_same(tmp_path):
    said = []
    first = export(snapshot(folder=str(tmp_path)), tmp_path, progress=said.append)
    assert {path.name for path in first.values()} == {"inventory.xlsx", "report.html", "report.docx"}
    before = {name: path.read_bytes() for name, path in first.items()}
    export(snapshot(folder=str(tmp_path)), tmp_path)
    assert not list(tmp_path.glob("*.bak*"))  # what nobody touched needs no backup
    assert before["workbook"] == first["workbook"].read_bytes()
    assert before["report"] == first["report"].read_bytes()
    with pytest.raises(DataError, match="pdf"):
        export(snapshot(), tmp_path, formats=("pdf",))


def test_report_is_one_file_and_shows_the_same_totals(tmp_path):
    evil = [*DOCUMENTS, ("e1", "case", "<script>alert(1)</script>", "甲区", "2024-04-01", [("<b>已落地</b>共12项。", (), [(4, 0.5, 2)], "done")])]  # fmt: skip
    results = Results(snapshot(documents=evil))
    export(results, tmp_path, formats=("html",))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", page)
    assert f"<b>{results.totals['carried_out']}<small> / {results.totals['tasks']}</small></b>" in page
    for key, name in TOTALS.items():
        assert f"<dt>{name}</dt><dd>{results.totals[key]}</dd>" in page


def test_the_package_loads_no_model():
    import subprocess
    import sys

    code = "import sys, pipeline.inventory, pipeline.store; print([m for m in ('torch', 'spacy', 'sentence_transformers') if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"
    assert NOTICE_ID
