"""A person's labels out of a CSV: as Excel and WPS save it, in two forms, with bad rows named, kept over reruns."""

import csv
import io

import openpyxl
import pytest

from pipeline.errors import DataError, LimitError
from pipeline.inventory import build_ledger, write_workbook
from pipeline.inventory.labels_csv import is_label_file, read_labels_csv
from pipeline.inventory.view import View
from pipeline.records import Label
from pipeline.settings import Settings
from pipeline.store import Store
from tests.makers.snapshots import NOTICE_ID, snapshot, task_id

LONG = "任务,类别,取值,标注人,备注\n"
WIDE = "任务,行业,改革类型,工作组,限制类型,标注人\n"


@pytest.fixture
def read(tmp_path):
    def reading(text, world=None, encoding="utf-8", **options):
        path = tmp_path / "标注.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        return read_labels_csv(path, world or snapshot(), **options)

    return reading


def short(labels):
    return [(x.target.removeprefix(f"{NOTICE_ID}#"), x.scheme, x.value, x.labeller) for x in labels]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("mark", [",", "\t", ";"])
def test_a_row_a_label_in_every_encoding_and_with_every_mark(read, encoding, mark):
    text = LONG + "1,行业,金融服务,王某,看过原文\r\n" + f"{NOTICE_ID}#2,group,data,李某,\r\n" + "c2-1,,,,\r\n"
    labels, problems = read(text.replace("c2-1,,,,", ",,,,").replace(",", mark), encoding=encoding)
    assert problems == []
    assert short(labels) == [("1", "sector", "finance", "王某"), ("2", "group", "data", "李某")]
    assert labels[0].probability == 1.0
    assert labels[0].reasons == (("看过原文", 1.0),)


@pytest.mark.parametrize("cell", ["2", "2.0", "２", "任务2", "第2项", "二", '"=""2"""', "'2", f"{NOTICE_ID}#2", f" {NOTICE_ID}＃2"])  # fmt: skip
def test_a_task_by_number_or_id(read, cell):
    labels, problems = read(LONG + f"{cell.replace('＃', '#')},改革类型,platform,王某,\n")
    assert (short(labels), problems) == ([("2", "reform", "platform", "王某")], [])


def test_a_column_a_scheme_with_blanks_and_a_name_for_all(read):
    text = "试点任务标注表,,,,\n任务号,行业,改革类型,工作组,限制类型\n1,教育服务,,科技领域开放,不涉及\n,,,,\n2,未能分类,,,\n3,,,,\n"
    labels, problems = read(text, reviewer="值班员")
    assert problems == []
    assert short(labels) == [
        ("1", "sector", "education", "值班员"), ("1", "group", "tech", "值班员"), ("1", "stri", "none", "值班员"),
        ("2", "sector", "unclassified", "值班员"),
    ]  # fmt: skip
    named, _ = read(WIDE + "1,金融服务,,,,王某\n2,金融服务,,,,\n", reviewer="值班员")
    assert [x.labeller for x in named] == ["王某", "值班员"]


def test_a_ledger_sent_back_signs_only_what_was_changed(read):
    world = snapshot()
    text = "任务号,行业\n" + "".join(
        f"{task.no},{'education' if task.no == 2 else View.of(world).labels[task.id, 'sector'].value}\n"
        for task in world.notice.tasks
    )
    labels, problems = read(text, world, reviewer="值班员")
    assert problems == []
    assert short(labels) == [("2", "sector", "education", "值班员")]
    signed, _ = read(
        text.replace("行业\n", "行业,标注人\n").replace("\n", ",王某\n").replace("标注人,王某", "标注人"), world
    )
    assert len(signed) == len(world.notice.tasks)


def test_the_status_of_passages(read):
    labels, problems = read(
        "段落,类别,取值,标注人\np1-1,进展,已完成,王某\nc1-0,status,none,王某\nc2-0,进展,未述进展,王某\n"
    )
    assert problems == []
    assert short(labels) == [("p1-1", "status", "done", "王某"), ("c1-0", "status", "none", "王某"), ("c2-0", "status", "none", "王某")]  # fmt: skip


def test_bad_rows_are_named_by_number_and_the_rest_is_read(read):
    text = LONG + (
        "1,行业,金融服务,王某,\n"
        "99,行业,金融服务,王某,\n"
        "他发〔2020〕1号#1,行业,金融服务,王某,\n"
        "2,颜色,金融服务,王某,\n"
        '2,行业,"金融\n和科技",王某,"两行\n备注"\n'
        ",行业,金融服务,王某,\n"
        "2,进展,已完成,王某,\n"
        "1,行业,科技服务,李某,\n"
        "2,行业,金融服务,王某,一,二\n"
        "3,行业,,王某,\n"
        "4,行业,数据服务,王某,\n"
        '2,行业,"金融服务,王某,\n3,行业,金融服务,王某,\n'
    )
    labels, problems = read(text)
    assert short(labels) == [("1", "sector", "finance", "王某"), ("4", "sector", "data", "王某")]
    assert [p.row for p in problems] == [13, 3, 4, 5, 6, 7, 8, 9, 10]
    said = ["引号", "“99”", "不是本公文", "“颜色”", "金融 和科技", "填任务号", "段落", "第2行“金融服务”", "多出一栏"]
    for problem, words in zip(problems, said, strict=True):
        assert problem.message.startswith(f"第{problem.row}行：")
        assert words in problem.message
    wide, problems = read(WIDE + "99,金融服务,市场准入,法治保障,,王某\n1,金融,市场准入,,,王某\n")
    assert short(wide) == [("1", "reform", "market_access", "王某")]
    assert [(p.row, "可填：科技服务、" in p.message) for p in problems] == [(2, False), (3, True)]


def test_a_row_without_a_name_is_read_and_said(read):
    labels, problems = read(LONG + "1,行业,金融服务,,\n2,行业,金融服务,,\n")
    assert {x.labeller for x in labels} == {"未署名"}
    assert len(problems) == 1
    assert problems[0].message.startswith("第2、3行：没有填写标注人")


def test_an_id_that_excel_made_a_number_is_explained(read):
    _, problems = read("段落,进展,标注人\n1.23457E+11,已完成,王某\n")
    assert "设为文本" in problems[0].message


def test_the_same_again_says_nothing_new_and_a_later_word_stands(read):
    text = LONG + "1,行业,金融服务,王某,\n1,行业,金融服务,李某,\n1,行业,金融服务,王某,\n"
    labels, _ = read(text)
    assert [x.labeller for x in labels] == ["王某", "李某"]
    world = snapshot()
    known = type(world)(world.notice, (*world.labels, *labels))
    assert read(text, known) == ([], [])
    # What the model says too is still a person's word; a remark added later is one as well.
    assert len(read(LONG + "1,行业,科技服务,王某,\n")[0]) == 1
    assert len(read(LONG + "1,行业,金融服务,王某,核对过\n", known)[0]) == 1
    later = type(world)(world.notice, (*known.labels, Label(task_id(1), "sector", "data", 1.0, "赵某")))
    labels, problems = read(LONG + "1,行业,金融服务,王某,\n", later)
    assert labels == []
    assert "赵某 改为“数据服务”" in problems[0].message


def test_columns_of_wordings_and_line_counts_are_not_taken_for_tasks(read):
    labels, problems = read("序号,任务,行业,标注人\n1,支持开行国际邮包班列。,金融服务,王某\n")
    assert (short(labels), problems) == ([("2", "sector", "finance", "王某")], [])
    labels, problems = read("序号,任务,行业,标注人\n1,3,金融服务,王某\n2,4,金融服务,王某\n")
    assert [x.target for x in labels] == [task_id(3), task_id(4)]
    text = "序号,任务,领域,标注人\n1,制定数据交易规则,金融服务,王某\n2,支持开行国际 邮包班列。,金融服务,王某\n3,别的事。,金融服务,王某\n"
    labels, problems = read(text)
    assert [x.target for x in labels] == [task_id(3), task_id(2)]
    assert [(p.row, "“别的事。”" in p.message) for p in problems] == [(4, True)]  # not the third task
    # A column that does not count lines is a number; that two columns contradict each other is a fault.
    labels, problems = read(
        "任务号,试点任务,领域,标注人\n3,制定数据交易规则。,金融服务,王某\n4,支持开行国际邮包班列。,金融服务,王某\n1,改过的文字,金融服务,王某\n"
    )
    assert [x.target for x in labels] == [task_id(3), task_id(1)]
    assert [(p.row, "任务 2" in p.message) for p in problems] == [(3, True)]


def test_a_task_whose_number_repeats_is_named_in_full(read):
    import dataclasses

    world = snapshot()
    again = dataclasses.replace(world.notice.tasks[1], id=task_id("1-2"), no=1)
    world = dataclasses.replace(world, notice=dataclasses.replace(world.notice, tasks=(*world.notice.tasks, again)))
    labels, problems = read(
        LONG + "1,领域,金融服务,王某,\n1-2,领域,金融服务,王某,\n1月2日,改革类型,platform,王某,\n", world
    )
    assert problems == []
    assert [x.target for x in labels] == [task_id(1), task_id("1-2"), task_id("1-2")]
    # Words that two tasks share name neither.
    assert "不是本公文" in read("任务,领域,标注人\n支持开行国际邮包班列。,金融服务,王某\n", world)[1][0].message


def test_the_names_shown_are_those_of_the_workbook_and_former_ones_are_read(read):
    _, problems = read("任务,行业,推进组,工作组,限制类型,标注人\n1,甲,,乙,丙,王某\n")
    assert [p.message.partition("没有")[0] for p in problems] == [
        "第2行：领域",
        "第2行：工作专班",
        "第2行：开放限制类别",
    ]


def test_what_is_no_table_of_labels_is_told(read, tmp_path):
    for text, says in (
        ("", "任务"), ("甲,乙\n1,2\n", "任务"), ("任务,标注人\n1,王某\n", "类别"), ("任务,取值\n1,金融服务\n", "类别"),
        ("链接编号,任务号,审核意见\nL1,1,同意\n", "xlsx"), (b"\x00\xff\xfe\x81\x00" * 50, "标注.csv"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=says):
            read(text)
    with pytest.raises(LimitError, match="max_bytes"):
        read(LONG * 10, settings=Settings(max_bytes=100))
    (tmp_path / "a.csv").write_bytes(b"PK\x03\x04...")
    (tmp_path / "b.CSV").write_text(LONG, encoding="utf-8")
    assert [is_label_file(tmp_path / name) for name in ("a.csv", "b.CSV", "c.xlsx")] == [False, True, False]


def test_labels_of_persons_stand_over_reruns_and_touch_no_other_notice(read, tmp_path):
    import dataclasses

    world = snapshot()
    other = dataclasses.replace(world.notice, id="他发〔2020〕1号", tasks=(dataclasses.replace(world.notice.tasks[0], id="他发〔2020〕1号#1"),))  # fmt: skip
    model = [label for label in world.labels if label.scheme != "status"]
    theirs = Label("他发〔2020〕1号#1", "sector", "health", 0.7, "classifier")

    def save(store, labels):
        store.save_notice(world.notice, labels)
        for document in world.documents:
            passages = [p for p in world.passages if p.document_id == document.id]
            here = {p.id for p in passages}
            links = [x for x in world.links if x.passage in here]
            status = [x for x in world.labels if x.target in here]
            store.save_document(world.notice.id, document, passages, links, status)

    with Store(tmp_path / "store.sqlite") as store:
        save(store, model)
        store.save_notice(other, [theirs])
        text = "任务,段落,类别,取值,标注人\n1,,行业,金融服务,王某\n,p1-1,进展,已完成,王某\n"
        labels, problems = read(text, store.snapshot(NOTICE_ID, world.date))
        assert problems == []
        store.add_labels(NOTICE_ID, labels)
        save(store, [dataclasses.replace(label, value="law" if label.scheme == "group" else label.value, labeller="classifier-2") for label in model])  # fmt: skip
        kept = store.snapshot(NOTICE_ID, world.date)
        assert store.snapshot(other.id).labels == (theirs,)
        assert read(text, kept) == ([], [])
    assert kept.labels[-2:] == tuple(labels)
    ledger = build_ledger(kept)
    assert ledger["sector"].tolist() == ["finance", "logistics", "data", "cross"]
    assert ledger.set_index("no").loc[3, "status"] == "done"
    write_workbook(kept, tmp_path / "inventory.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "inventory.xlsx")["任务台账"]
    at = {cell.value: cell.column for cell in sheet[1]}
    assert (sheet.cell(2, at["领域"]).value, sheet.cell(4, at["状态"]).value) == ("金融服务", "已完成")


def test_formulas_stay_text(read):
    buffer = io.StringIO()
    evil = ["=HYPERLINK(\"http://x\")", "+1+1", "-2", "@SUM(1)"]  # fmt: skip
    csv.writer(buffer).writerows([["任务", "类别", "取值", "标注人", "备注"]] + [[n, "行业", "金融服务", word, word] for n, word in enumerate(evil, 1)] + [["=1+1", "行业", "金融服务", "王某", ""], ["4", "改革类型", "=1", "王某", ""]])  # fmt: skip
    labels, problems = read(buffer.getvalue())
    assert [(x.labeller, x.reasons) for x in labels] == [(word, ((word, 1.0),)) for word in evil]
    assert [(p.row, word in p.message) for p, word in zip(problems, ["=1+1", "=1"], strict=True)] == [(6, True), (7, True)]  # fmt: skip
