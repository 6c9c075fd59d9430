"""The workbook and the Word report: opened again, edited as an officer would, read back."""

import dataclasses
import datetime
import re
import zipfile

import openpyxl
import pytest

from pipeline.errors import DataError, WriteError
from pipeline.inventory import (
    Results,
    read_returned_workbook,
    write_report,
    write_tables,
    write_word,
    write_workbook,
)
from pipeline.inventory.sheets import TOTALS
from pipeline.inventory.task_table import write_task_workbook
from pipeline.inventory.word import make_template
from pipeline.records import Area, Citation, Decision, Goal, Source
from pipeline.settings import Settings
from tests.makers.snapshots import DOCUMENTS, snapshot, task_id
from tests.makers.units import LAKESIDE, lakeside_notice

SHEETS = [
    "案例清单",
    "任务台账",
    "关联明细",
    "政策清单",
    "项目清单",
    "企业名录",
    "风险清单",
    "统计表",
    "公文要点",
    "单位对照",
    "问题清单",
    "说明",
]
TIME = "2024-06-02T10:00:00+08:00"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workbook")
    world = snapshot(folder=str(folder / "来文"))
    results = Results(world)
    write_workbook(results, folder / "inventory.xlsx")
    return world, results, folder / "inventory.xlsx"


def columns(sheet):
    return {cell.value: cell.column for cell in sheet[1]}


def test_sheets_headings_filters_and_frozen_heads(made):
    book = openpyxl.load_workbook(made[2])
    assert book.sheetnames == SHEETS
    for name in SHEETS[:-1]:
        sheet = book[name]
        assert sheet.freeze_panes, name
        assert sheet.auto_filter.ref, name
        assert all(cell.value for cell in sheet[1]), name
    assert book["任务台账"].max_row == 5
    assert book["关联明细"].max_row == 1 + len(made[1].links)


def test_no_text_becomes_a_formula_and_no_formula_is_there(made):
    with zipfile.ZipFile(made[2]) as package:
        for name in package.namelist():
            if name.startswith("xl/worksheets/sheet"):
                assert b"<f>" not in package.read(name), name
    book = openpyxl.load_workbook(made[2])
    titles = [row[0].value for row in book["案例清单"].iter_rows(min_row=2)]
    assert titles == ["=2+3 专利组合质押案例", "-邮包班列常态化"]
    assert all(row[0].data_type == "s" for row in book["案例清单"].iter_rows(min_row=2))
    assert book["项目清单"]["A2"].value == "@邮包分拨中心项目简介"


def test_cells_lead_to_the_task_and_to_the_page_of_the_source(made):
    with zipfile.ZipFile(made[2]) as package:
        names = {n: package.read(n).decode() for n in package.namelist() if "sheet" in n}
    first = names["xl/worksheets/sheet1.xml"]
    assert re.search(r"location=\"'?任务台账'?!A2\"", first)
    assert re.search(r"来文[/\\]c1\.pdf\"", names["xl/worksheets/_rels/sheet1.xml.rels"])
    assert 'location="page=2"' in first


def test_figures_on_the_notes_sheet_are_the_totals(made):
    sheet = openpyxl.load_workbook(made[2])["说明"]
    shown = {row[0].value: row[1].value for row in sheet.iter_rows()}
    for key, name in TOTALS.items():
        assert shown[name] == made[1].totals[key], name
    assert shown["linker"] == "linker-1"
    properties = openpyxl.load_workbook(made[2])
    assert {p.name: p.value for p in properties.custom_doc_props.props}["linker"] == "linker-1"


def test_a_sheet_of_what_the_notice_says_of_itself(tmp_path):
    world = snapshot()
    facts = {
        "goals": (
            Goal("=建成10个园区", "到2025年底", "2025-12-31", ("10个",), Source("n", page=2)),
            Goal("试点有成效"),
        ),
        "areas": (Area("滨湖新区", "打造示范区", ("（二）物流",), (2, 3), Source("n", page=3)), Area("-东岸")),
        "citations": (Citation("开放意见", "国发〔2020〕1号", Source("n", page=1)),),
    }
    world = dataclasses.replace(world, notice=dataclasses.replace(world.notice, **facts))
    write_workbook(world, tmp_path / "inventory.xlsx")
    write_task_workbook(world.notice, tmp_path / "tasks.xlsx")
    expected = [
        ("类别", "内容", "时限", "关联任务", "页"),
        ("目标", "=建成10个园区", "到2025年底（2025-12-31）", None, 2),
        ("目标", "试点有成效", None, None, None),
        ("区域", "滨湖新区：打造示范区", None, "2、3", 3),
        ("区域", "-东岸", None, None, None),
        ("引用文件", "《开放意见》国发〔2020〕1号", None, None, 1),
        ("文中数目", "4 项任务（实际读到4）", None, None, None),
        ("文中数目", "10 个以上案例", None, None, None),
    ]
    for name in ("inventory.xlsx", "tasks.xlsx"):
        sheet = openpyxl.load_workbook(tmp_path / name)["公文要点"]
        assert [tuple(value or None for value in row) for row in sheet.iter_rows(values_only=True)] == expected
        assert sheet["B2"].data_type == "s"
        assert sheet.freeze_panes
        assert sheet.auto_filter.ref == "A1:E8"
    assert openpyxl.load_workbook(tmp_path / "inventory.xlsx")["公文要点"]["D4"].hyperlink.location == "'任务台账'!A3"


def test_a_sheet_of_units_the_unknown_first(tmp_path):
    (tmp_path / "units.csv").write_text(LAKESIDE, encoding="utf-8")
    world = dataclasses.replace(snapshot(documents=[]), notice=lakeside_notice())
    write_workbook(world, tmp_path / "inventory.xlsx", Settings(unit_lexicon=str(tmp_path / "units.csv")))
    sheet = openpyxl.load_workbook(tmp_path / "inventory.xlsx")["单位对照"]
    rows = [tuple(value or "" for value in row) for row in sheet.iter_rows(values_only=True)]
    assert rows[0] == ("单位（公文写法）", "规范名称", "现名或承接单位", "类型", "层级", "来源", "牵头任务", "配合任务")
    assert rows[1] == ("=某某某", "=某某某", "=某某某", "未知", "", "未识别", "", "2")
    assert rows[4] == ("市大数据局", "滨湖市大数据管理局", "滨湖市数据局", "政府部门", "市级", "词典", "2、4", "3")
    assert [row[5] for row in rows[1:]] == ["未识别", "未识别", "词典", "词典", "构词规则", "泛称"]
    assert sheet["A2"].data_type == "s"
    assert (sheet.freeze_panes, sheet.auto_filter.ref) == ("B2", "A1:H7")
    assert sheet["G5"].hyperlink.location == "'任务台账'!A3"


def test_opinions_can_be_chosen_from_a_list(made):
    sheet = openpyxl.load_workbook(made[2])["关联明细"]
    lists = [v for v in sheet.data_validations.dataValidation if v.type == "list"]
    assert lists[0].formula1 == '"同意,不同意,改挂,存疑"'


def edit(path, target, change):
    book = openpyxl.load_workbook(path)
    sheet = book["关联明细"]
    change(sheet, columns(sheet))
    book.save(target)
    return target


def test_an_officers_opinions_come_back(made, tmp_path):
    world, _, path = made

    def change(sheet, at):
        for row, (word, target, who) in enumerate(
            [("同意", None, "王某"), ("不同意", None, "王某"), ("改挂", 4, "李某"), ("存疑", None, None), (None, "第2项", "李某")], 2
        ):  # fmt: skip
            sheet.cell(row, at["审核意见"], word)
            sheet.cell(row, at["改挂任务"], target)
            sheet.cell(row, at["审核人"], who)

    target = edit(path, tmp_path / "back.xlsx", change)
    decisions, problems = read_returned_workbook(target, world, now=TIME, reviewer="值班员")
    rows = [(x["passage"], x["task_id"]) for x in Results(world).links.to_dict("records")][:5]
    assert [(d.passage, d.task) for d in decisions] == rows
    assert [(d.verdict, d.moved_to, d.reviewer) for d in decisions] == [
        ("accepted", "", "王某"), ("rejected", "", "王某"), ("moved", task_id(4), "李某"), ("unsure", "", "值班员"),
        ("moved", task_id(2), "李某"),
    ]  # fmt: skip
    assert problems == []
    # The same workbook again says nothing new.
    again = snapshot(decisions=decisions)
    assert read_returned_workbook(target, again, now=TIME, reviewer="值班员") == ([], [])


def test_rows_deleted_and_sorted_columns_renamed_and_moved(made, tmp_path):
    world, _, path = made

    def change(sheet, at):
        sheet.cell(3, at["审核意见"], "同意")
        sheet.cell(5, at["审核意见"], "不同意")
        wanted = sheet.cell(5, at["关联编号"]).value
        sheet.cell(1, at["关联编号"], "内部编号")
        sheet.cell(1, at["审核意见"], "处长意见")
        sheet.cell(1, at["审核人"], "复核人")
        sheet.cell(5, at["审核人"], "赵某")
        kept = [[cell.value for cell in row] for row in sheet.iter_rows(min_row=2)]
        sheet.delete_rows(2, sheet.max_row)
        for row in reversed(kept[1:4]):
            sheet.append(row)
        sheet.insert_cols(1)
        assert wanted

    target = edit(path, tmp_path / "back.xlsx", change)
    decisions, problems = read_returned_workbook(target, world, now=TIME, reviewer="值班员")
    assert sorted((d.verdict, d.reviewer) for d in decisions) == [("accepted", "值班员"), ("rejected", "赵某")]
    named = "".join(p.message for p in problems)
    assert "“内部编号”一栏按“关联编号”读取" in named
    assert "“处长意见”一栏按“审核意见”读取" in named
    assert "“复核人”一栏按“审核人”读取" in named


def test_bad_values_are_named_and_the_rest_is_read(made, tmp_path):
    world, _, path = made

    def change(sheet, at):
        for row, (word, target) in enumerate(
            [("大概行", None), ("改挂", None), ("改挂", 77), ("同意", 3), ("不同意", None)], 2
        ):
            sheet.cell(row, at["审核意见"], word)
            sheet.cell(row, at["改挂任务"], target)
        sheet.cell(6, at["关联编号"], "L000000000000")
        sheet.cell(6, at["段落编号"], "没有")
        copy = [cell.value for cell in sheet[5]]
        copy[at["审核意见"] - 1] = "不同意"
        copy[at["改挂任务"] - 1] = None
        sheet.append(copy)

    target = edit(path, tmp_path / "back.xlsx", change)
    decisions, problems = read_returned_workbook(target, world, now=TIME, reviewer="值班员")
    assert [d.verdict for d in decisions] == ["accepted"]
    told = [p.message for p in problems]
    assert [p.row for p in problems] == [2, 3, 4, 5, 6, sheet_end(target)]
    for words, message in zip(
        ["大概行", "没有填改挂任务", "77", "未采用", "L000000000000", "以先出现的为准"], told, strict=True
    ):
        assert words in message


def sheet_end(path):
    return openpyxl.load_workbook(path)["关联明细"].max_row


def test_an_unknown_id_is_found_by_passage_and_task(made, tmp_path):
    world, _, path = made

    def change(sheet, at):
        sheet.cell(2, at["关联编号"], None)
        sheet.cell(2, at["审核意见"], "同意")

    target = edit(path, tmp_path / "back.xlsx", change)
    decisions, problems = read_returned_workbook(target, world, now=TIME)
    assert len(decisions) == 1
    assert decisions[0].reviewer == "未署名"
    assert "没有填写审核人" in problems[0].message


def test_what_is_no_workbook_is_told(made, tmp_path):
    world = made[0]
    bad = tmp_path / "bad.xlsx"
    bad.write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(DataError, match=r"bad\.xlsx"):
        read_returned_workbook(bad, world)
    with pytest.raises(DataError, match=r"none\.xlsx"):
        read_returned_workbook(tmp_path / "none.xlsx", world)
    book = openpyxl.Workbook()
    book.save(tmp_path / "other.xlsx")
    with pytest.raises(DataError, match="关联明细"):
        read_returned_workbook(tmp_path / "other.xlsx", world)

    def change(sheet, at):
        sheet.delete_cols(at["审核意见"], 2)

    with pytest.raises(DataError, match="审核意见"):
        read_returned_workbook(edit(made[2], tmp_path / "cut.xlsx", change), world)


def test_an_edited_file_is_kept_and_earlier_backups_too(tmp_path):
    path = tmp_path / "inventory.xlsx"
    assert write_workbook(snapshot(), path) is None
    assert write_workbook(snapshot(), path) is None
    for number in (1, 2):
        edited = path.read_bytes() + f"edit {number}".encode()
        path.write_bytes(edited)
        backup = write_workbook(snapshot(), path)
        assert backup is not None
        assert backup.read_bytes() == edited
    assert sorted(p.name for p in tmp_path.glob("*.bak*")) == ["inventory.xlsx.bak", "inventory.xlsx.bak2"]


def test_a_file_open_elsewhere_gives_one_clear_error(tmp_path, monkeypatch):
    path = tmp_path / "inventory.xlsx"
    write_workbook(snapshot(), path)
    before = path.read_bytes()
    lock = tmp_path / "~$inventory.xlsx"
    lock.write_bytes(b"x")
    with pytest.raises(WriteError, match="请关闭"):
        write_workbook(snapshot(), path)
    lock.unlink()

    def refuse(*_):
        raise PermissionError(13, "in use")

    monkeypatch.setattr("os.replace", refuse)
    with pytest.raises(WriteError, match="请关闭"):
        write_workbook(snapshot(date="2025-01-01"), path)
    assert path.read_bytes() == before
    assert not list(tmp_path.glob(".writing-*"))


def test_odd_text_does_not_spoil_the_files(tmp_path):
    odd = "控制\x0b符\x00与\ud800半字 " + "长" * 40_000
    documents = [
        *DOCUMENTS,
        ("o1", "case", "奇" + odd, "甲区\x07", "2024-04-01", [(odd, (odd,), [(4, 0.5, 2)], "done")]),
    ]
    results = Results(snapshot(documents=documents))
    write_workbook(results, tmp_path / "odd.xlsx")
    assert openpyxl.load_workbook(tmp_path / "odd.xlsx")["案例清单"].max_row == 4
    write_word(results, tmp_path / "odd.docx")
    write_report(results, tmp_path / "odd.html")


def words_of(path):
    import docx

    document = docx.Document(str(path))
    told = [p.text for p in document.paragraphs]
    return "\n".join(told), document


def test_word_report_is_filled_with_the_totals_and_cites_sources(made, tmp_path):
    write_word(made[1], tmp_path / "report.docx")
    text, document = words_of(tmp_path / "report.docx")
    t = made[1].totals
    assert "{{" not in text
    assert f"公文部署任务{t['tasks']}项" in text
    assert f"曾报告落地的任务{t['carried_out']}项" in text
    assert "《某市试点方案》进展情况汇报" in text
    assert "[1] " in text
    assert len(document.tables) >= 4
    cells = {row.cells[0].text: row.cells[1].text for row in document.tables[0].rows}
    assert cells["合计"] == str(t["tasks"])


def test_an_edited_template_is_followed_and_unknown_names_are_told(made, tmp_path):
    import docx

    template = tmp_path / "template.docx"
    make_template(template)
    document = docx.Document(str(template))
    paragraph = document.add_paragraph("共")
    for piece in ("{{任", "务总数", "}}项，花括号 {{案例}} 个"):
        paragraph.add_run(piece)
    document.save(str(template))
    write_word(made[1], tmp_path / "out.docx", template=template)
    text, _ = words_of(tmp_path / "out.docx")
    assert f"共{made[1].totals['tasks']}项，花括号 {made[1].totals['cases']} 个" in text
    document.add_paragraph("{{没有的名称}}")
    document.save(str(template))
    with pytest.raises(DataError, match="没有的名称"):
        write_word(made[1], tmp_path / "out2.docx", template=template)
    with pytest.raises(DataError, match="模板"):
        write_word(made[1], tmp_path / "out3.docx", template=tmp_path / "none.docx")


def test_braces_in_a_title_are_no_template(made, tmp_path):
    world = snapshot()
    world = dataclasses.replace(world, notice=dataclasses.replace(world.notice, title="{{任务总数}}与{{无}}方案"))
    write_word(world, tmp_path / "report.docx")
    assert "《{{任务总数}}与{{无}}方案》" in words_of(tmp_path / "report.docx")[0]


def test_a_rerun_with_half_the_documents_gone_keeps_decisions_and_says_so(tmp_path):
    decisions = [
        Decision("c1-1", task_id(1), "accepted", "王某", TIME),
        Decision("p1-0", task_id(1), "rejected", "王某", TIME),
    ]
    fewer = snapshot(documents=DOCUMENTS[:1], decisions=decisions)
    results = Results(fewer)
    assert results.totals["links_rejected"] == 1
    assert any("意见仍保留" in message for message in results.problems["message"])


def test_figures_are_the_same_out_of_the_database(tmp_path):
    from pipeline.store import Store

    decision = Decision("p1-1", task_id(3), "moved", "王某", TIME, task_id(4))
    world = snapshot(decisions=[decision])
    with Store(tmp_path / "store.sqlite") as store:
        store.save_notice(world.notice, [label for label in world.labels if label.scheme != "status"])
        for document in reversed(world.documents):
            passages = [p for p in world.passages if p.document_id == document.id]
            here = {p.id for p in passages}
            links = [x for x in world.links if x.passage in here]
            store.save_document(
                world.notice.id, document, passages, links, [x for x in world.labels if x.target in here]
            )
        store.add_decision(decision)
        store.save_problems(world.notice.id, world.problems)
        kept = store.snapshot(world.notice.id, world.date, world.settings)
    assert Results(kept).totals == Results(world).totals


def decided(passage, no, verdict, reviewer, note=""):
    return Decision(passage, task_id(no), verdict, reviewer, TIME, "", note)


def test_an_untouched_workbook_takes_back_no_newer_word(tmp_path):
    first = [decided("p1-0", 1, "accepted", "Wang Mou"), decided("p1-1", 3, "rejected", "王某", "不是一回事")]
    write_workbook(snapshot(decisions=first), tmp_path / "inventory.xlsx")
    later = snapshot(decisions=[*first, decided("p1-0", 1, "rejected", "李某", "核实无此事")])
    decisions, problems = read_returned_workbook(tmp_path / "inventory.xlsx", later, now=TIME)
    assert decisions == []
    (problem,) = problems
    assert "Wang Mou 此前已选“同意”，其后 李某 改为“不同意”，未再读入" in problem.message

    def change(sheet, at):
        row = next(r for r in range(2, sheet.max_row + 1) if sheet.cell(r, at["审核人"]).value == "Wang Mou")
        sheet.cell(row, at["审核备注"], "又核实了")

    # With a reason it is a new word.
    target = edit(tmp_path / "inventory.xlsx", tmp_path / "back.xlsx", change)
    decisions, problems = read_returned_workbook(target, later, now=TIME)
    assert [(d.verdict, d.reviewer, d.note) for d in decisions] == [("accepted", "Wang Mou", "又核实了")]
    assert problems == []


def test_a_backup_and_a_workbook_with_the_former_names_can_be_read_back(made, tmp_path):
    world, _, path = made

    def change(sheet, at):
        sheet.cell(2, at["审核意见"], "同意")
        sheet.cell(2, at["审核人"], "王某")
        sheet.cell(1, at["关联编号"], "链接编号")
        sheet.title = "链接明细"

    edit(path, tmp_path / "edited.xlsx", change).rename(tmp_path / "inventory.xlsx.bak")
    decisions, problems = read_returned_workbook(tmp_path / "inventory.xlsx.bak", world, now=TIME)
    assert [d.verdict for d in decisions] == ["accepted"]
    assert problems == []


def test_tasks_whose_numbers_begin_anew_go_by_their_names(tmp_path):
    world = snapshot()
    names = dict(zip((t.id for t in world.notice.tasks), ("1", "2", "1-2", "2-2"), strict=True))

    def renamed(record, **fields):
        given = {f: f"{world.notice.id}#{names[getattr(record, f)]}" for f in fields if getattr(record, f) in names}
        return dataclasses.replace(record, **given)

    tasks = tuple(dataclasses.replace(renamed(t, id=1), no=int(names[t.id][0])) for t in world.notice.tasks)
    world = dataclasses.replace(
        world,
        notice=dataclasses.replace(world.notice, tasks=tasks),
        labels=tuple(renamed(x, target=1) for x in world.labels),
        links=tuple(renamed(x, task=1) for x in world.links),
        decisions=(Decision("p1-1", task_id("1-2"), "moved", "王某", TIME, task_id("2-2")),),
    )
    results = Results(world)
    assert results.ledger["no"].tolist() == ["1", "2", "1-2", "2-2"]
    assert results.links.set_index(["passage", "task"]).loc[("p1-1", "1-2"), "moved_to"] == "2-2"
    assert set(results.policies["tasks"]) == {"1-2"}
    write_tables(results, tmp_path / "tables", "csv")
    write_report(results, tmp_path / "report.html")
    write_word(results, tmp_path / "report.docx")
    write_workbook(results, tmp_path / "inventory.xlsx")
    book = openpyxl.load_workbook(tmp_path / "inventory.xlsx")
    at = columns(book["关联明细"])
    rows = {(r[at["段落编号"] - 1].value, r[at["任务号"] - 1].value): r for r in book["关联明细"].iter_rows(min_row=2)}
    row = rows["p1-1", "1-2"]
    assert row[at["任务号"] - 1].hyperlink.location == "'任务台账'!A4"
    assert (row[at["改挂任务"] - 1].value, row[at["改挂任务"] - 1].number_format) == ("2-2", "@")
    assert any(v.formula1 == "'任务台账'!$A$2:$A$5" for v in book["关联明细"].data_validations.dataValidation)
    assert read_returned_workbook(tmp_path / "inventory.xlsx", world, now=TIME) == ([], [])

    def change(sheet, at):
        sheet.cell(rows["c1-1", "1"][0].row, at["改挂任务"], datetime.datetime(2024, 1, 2))  # what Excel makes of 1-2
        sheet.cell(rows["c2-1", "2"][0].row, at["改挂任务"], 1)

    decisions, _ = read_returned_workbook(
        edit(tmp_path / "inventory.xlsx", tmp_path / "b.xlsx", change), world, now=TIME
    )
    assert {(d.passage, d.moved_to) for d in decisions} == {("c1-1", task_id("1-2")), ("c2-1", task_id("1"))}
