"""Whole runs with a stand-in for the models: what is read again, what counts, and what a person said of it."""

import dataclasses
import json
from pathlib import Path

import pytest

from pipeline import batch
from pipeline.classification import TaskClassifier
from pipeline.errors import DataError, ReadError
from pipeline.matching import Prediction, TaskMatcher
from pipeline.readers import file_id, find_files, load_documents
from pipeline.records import Decision, Document, Evidence, Label, Link, Notice, Task
from pipeline.settings import Settings
from pipeline.store import Store

NOTICE = Notice(
    "某发〔2023〕1号", "某市试点方案", "某市人民政府", "某发〔2023〕1号", "2023-01-05", "", (), (), (),
    tuple(Task(f"某发〔2023〕1号#{no}", no, f"开展第{no}类试点。", lead_units=("市商务局",)) for no in (1, 2, 3)),
    path="通知.txt",
)  # fmt: skip
TASK = NOTICE.tasks[0].id


class Matcher:
    """Links every passage to the first task."""

    name = "linker-0"

    def fit(self, tasks):
        self.tasks = tasks
        return self

    def fingerprint(self):
        return "a linker"

    def predict(self, passages):
        said = [Link(p.id, self.tasks[0].id, 0.9, Evidence(0, 2, p.text[:2]), self.name) for p in passages]
        return [
            Prediction(p, (), (link,), (), Label(p.id, "status", "done", 0.9, "status"))
            for p, link in zip(passages, said, strict=True)
        ]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs in a folder of its own; run.read names the files that were parsed, run.notice is the notice."""
    monkeypatch.chdir(tmp_path)

    def read_many(paths, settings, workers):
        for path in find_files(paths):
            go.read.append(Path(path).name)
            try:
                yield from ((path, document) for document in load_documents(path, settings))
            except ReadError as error:
                yield path, error

    class Classifier:
        def predict(self, tasks):
            return []

    monkeypatch.setattr(batch, "read_many", read_many)
    monkeypatch.setattr(batch, "load_notice", lambda path, settings, progress: go.notice)
    monkeypatch.setattr(batch, "export", lambda *_, **__: {})
    monkeypatch.setattr(batch, "model_folder", lambda model: "model")
    monkeypatch.setattr(TaskMatcher, "from_disk", lambda *_, **__: Matcher())
    monkeypatch.setattr(TaskClassifier, "from_disk", lambda *_, **__: Classifier())

    def go(*inputs, settings=Settings(cache=False), **options):
        go.read = []
        return batch.run([*map(str, inputs)], "通知.txt", tmp_path / "out", settings, today="2024-06-01", **options)

    go.notice, go.read = NOTICE, []
    return go


def jsonl(path, *documents):
    lines = [
        {"doc_id": identity, "title": "报告", "passages": [{"pid": pid, "text": text} for pid, text in passages]}
        for identity, passages in documents
    ]
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).write_text("\n".join(json.dumps(line, ensure_ascii=False) for line in lines), encoding="utf-8")


def report(path, text="已建成一个共享平台，累计服务企业三百户。"):
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).write_text(f"关于工作的报告\n\n{text}\n", encoding="utf-8")


def texts(result):
    return [passage.text for passage in result.snapshot.passages]


def messages(result):
    return [problem.message for problem in result.snapshot.problems]


def test_a_jsonl_document_that_says_something_else_is_linked_again(run):
    jsonl("in/x.jsonl", ("D1", [("D1-1", "正在推进平台建设工作，尚未完成。")]))
    assert run("in").new == 1
    again = run("in")
    assert (again.new, again.known) == (0, 1)
    jsonl("in/x.jsonl", ("D1", [("D1-1", "平台已经建成并投入运营，服务企业三百户。")]))
    changed = run("in")
    assert (changed.new, changed.known) == (1, 0)
    assert texts(changed) == ["平台已经建成并投入运营，服务企业三百户。"]


def test_two_documents_under_one_id_are_told_of(run):
    jsonl("in/x.jsonl", ("D1", [("a", "平台已经建成并投入运营。")]), ("D1", [("a", "完全不同的第二份文档的内容。")]))
    result = run("in")
    assert result.failed == 1
    assert texts(result) == ["平台已经建成并投入运营。"]
    assert any("doc_id D1 重复" in message and "请给每份" in message for message in messages(result))
    jsonl("in/x.jsonl", *[("D1", [("a", "平台已经建成并投入运营。")])] * 2)
    result = run("in")
    assert result.failed == 0
    assert "完全相同" in messages(result)[-1]


def test_an_id_that_comes_with_another_text_from_another_folder_is_told_of(run):
    jsonl("一季度/x.jsonl", ("D1", [("a", "平台已经建成并投入运营。")]))
    jsonl("二季度/x.jsonl", ("D1", [("a", "完全不同的第二份文档的内容。")]))
    run("一季度")
    result = run("二季度")
    assert texts(result) == ["完全不同的第二份文档的内容。"]
    assert any("以这次的为准" in message for message in messages(result))


def test_given_passage_ids_of_two_documents_do_not_mix(run):
    jsonl(
        "in/x.jsonl",
        ("D1", [("p1", "第一份报告说平台已建成。"), ("p1", "同一编号的另一段说的是别的事。")]),
        ("D2", [("p1", "第二份报告说航线已开通。"), ("D2-2", "这一段的编号已含文档编号。")]),
    )
    snapshot = run("in").snapshot
    assert [passage.id for passage in snapshot.passages] == ["D1/p1", "D1/p1-2", "D2/p1", "D2-2"]
    assert [link.passage for link in snapshot.links] == [passage.id for passage in snapshot.passages]
    found = list(batch.predict_documents(["in"], Matcher().fit(NOTICE.tasks), Settings()))
    assert [passage.id for passage in found[0][1]] == ["p1", "p1"]


def test_a_decision_on_a_given_id_of_before_follows_its_words(run, tmp_path):
    jsonl("in/x.jsonl", ("D1", [("p1", "第一份报告说平台已建成。")]))
    with Store(tmp_path / "out" / "shidian.sqlite") as store:
        document = Document("D1", "in/x.jsonl", "jsonl", ())
        passages = [dataclasses.replace(p, id="p1") for p in run("in").snapshot.passages]
        store.save_document(NOTICE.id, document, passages, signature="an earlier version")
        store.add_decision(Decision("p1", TASK, "rejected", "王某", "2024-05-01T09:00:00+08:00"))
    assert [decision.passage for decision in run("in").snapshot.decisions] == ["D1/p1"]


def test_files_that_are_known_are_not_parsed_again(run):
    report("in/甲.txt")
    report("in/乙.txt", "已开通国际航线两条，通关时间压缩一半。")
    run("in")
    assert run.read == ["乙.txt", "甲.txt"]
    report("in/丙.txt")  # the same bytes as 甲
    result = run("in")
    assert run.read == []
    assert (result.new, result.known, result.failed) == (0, 2, 0)
    assert "完全相同" in messages(result)[-1]
    report("in/乙.txt", "已开通国际航线三条，通关时间压缩一半。")
    result = run("in")
    assert run.read == ["乙.txt"]
    assert (result.new, result.known) == (1, 1)
    assert sorted(texts(result)) == [
        "已建成一个共享平台，累计服务企业三百户。",
        "已开通国际航线三条，通关时间压缩一半。",
    ]


def test_the_id_of_a_file_needs_no_parsing(tmp_path):
    report(tmp_path / "甲.txt")
    (document,) = load_documents(tmp_path / "甲.txt")
    assert file_id(tmp_path / "甲.txt") == document.id
    assert file_id(tmp_path / "甲.txt", Settings(max_bytes=5)) == file_id(tmp_path) == file_id(tmp_path / "无") == ""


def test_a_file_that_was_moved_counts_where_it_is_now(run, monkeypatch, tmp_path):
    report("in/甲.txt")
    report("in2/乙.txt", "已开通国际航线两条，通关时间压缩一半。")
    run("in")
    Path("in/甲.txt").rename("in2/甲.txt")
    moved = run("in2")
    assert {d.path for d in moved.snapshot.documents} == {str(tmp_path / "in2" / name) for name in ("甲.txt", "乙.txt")}
    monkeypatch.chdir(tmp_path / "in")
    assert run("../in2").elsewhere == 0
    (tmp_path / "in2" / "甲.txt").unlink()
    assert [Path(d.path).name for d in run("../in2").snapshot.documents] == ["乙.txt"]


def test_a_file_that_cannot_be_read_this_time_stays_as_it_was(run, monkeypatch, tmp_path):
    report("in/甲.txt")
    run("in")
    Path("in/甲.txt").write_bytes(b"")
    monkeypatch.chdir(tmp_path / "in")
    result = run("../in")
    assert result.failed == 1
    assert len(result.snapshot.documents) == 1


def test_a_document_without_passages_is_told_of(run):
    report("in/空.txt", "")
    result = run("in")
    assert (result.new, texts(result)) == (1, [])
    assert [(p.kind, Path(p.file).name) for p in result.snapshot.problems] == [("read", "空.txt")]
    assert "没有可用的段落" in messages(result)[0]
    assert messages(run("in")) == messages(result)  # still so when it is known


def test_every_setting_is_known_to_change_links_or_not():
    others = {
        "unit_lexicon", "batch_size", "cache", "sign_threshold", "amber_months", "red_months",
        "linker",  # what is in the folder counts, by the linker's fingerprint
    }  # fmt: skip
    assert {field.name for field in dataclasses.fields(Settings)} == others | set(batch.LINKING_SETTINGS)


def test_documents_are_linked_again_only_where_links_may_change(run):
    report("in/甲.txt")
    run("in")
    lights = Settings(cache=True, amber_months=3, red_months=9, sign_threshold=0.9, batch_size=4)
    assert run("in", settings=lights).new == 0
    assert run("in", settings=Settings(candidates=20)).new == 1
    first, *others = NOTICE.tasks
    run.notice = dataclasses.replace(NOTICE, tasks=(dataclasses.replace(first, coop_units=("市科技局",)), *others))
    assert run("in", settings=Settings(candidates=20)).new == 1


def unnumbered(identity, *words):
    tasks = tuple(Task(f"{identity}#{no}", no, text) for no, text in enumerate(words, 1))
    return dataclasses.replace(NOTICE, id=identity, number="", title="试点任务分工表", tasks=tasks)


def test_a_notice_without_a_number_keeps_its_id_and_its_decisions(run, tmp_path):
    report("in/甲.txt")
    run.notice = unnumbered("aaa", "开展跨境电商试点。", "建设港口枢纽平台。")
    (passage,) = run("in").snapshot.passages
    with Store(tmp_path / "out" / "shidian.sqlite") as store:
        store.add_decision(Decision(passage.id, "aaa#2", "rejected", "王某", "2024-05-01T09:00:00+08:00"))
    run.notice = unnumbered("bbb", "开展跨境电商零售试点。", "建设港口枢纽平台。")
    for told in (True, False):  # the second time the annex is as the store has it
        result = run("in")
        assert [task.id for task in result.notice.tasks] == ["aaa#1", "aaa#2"]
        assert len(result.snapshot.decisions) == 1
        assert any("没有发文字号" in message for message in messages(result)) == told
    run.notice = unnumbered("ccc", "另一份公文的任务。", "与前一份毫不相干。")
    assert run("in").notice.id == "ccc"


def test_the_day_must_be_a_date(run):
    with pytest.raises(DataError, match=r"2024-6-1.*2024-01-31"):
        batch.run(["in"], "通知.txt", "out", today="2024-6-1")
