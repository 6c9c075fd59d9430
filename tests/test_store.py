"""The store keeps what persons said, whatever is read again."""

import dataclasses

import pytest
import sqlalchemy as sa

from pipeline.errors import StoreError
from pipeline.records import (
    Decision,
    Document,
    Evidence,
    Label,
    Link,
    Notice,
    Paragraph,
    Passage,
    Problem,
    Source,
    Task,
)
from pipeline.store import Store

NOTICE = Notice(
    "某发〔2023〕1号", "某市试点方案", "某市人民政府", "某发〔2023〕1号", "2023-01-05", "主动公开", (), (), (),
    tuple(Task(f"某发〔2023〕1号#{no}", no, f"开展第{no}项试点。", lead_units=("市商务局",)) for no in (1, 2, 3)),
)  # fmt: skip
TASKS = [task.id for task in NOTICE.tasks]


def document(name, date="2024-01-01", version=1):
    return Document(
        f"{name}{version}", f"/data/{name}.docx", "docx", (Paragraph("正文", Source(name)),), title=name, date=date
    )


def passage(doc, number, text):
    return Passage(f"{doc.id}-{number}", doc.id, text, ("一、进展",), Source(doc.id, page=1))


def link(found, task, probability=0.9):
    return Link(found.id, task, probability, Evidence(0, 4, found.text[:4], "词语相同"), "linker-1")


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "sub" / "store.sqlite") as opened:
        opened.save_notice(NOTICE, [Label(TASKS[0], "sector", "tech", 0.8, "classifier")])
        yield opened


def save(store, doc, texts, tasks, signature="linker-1"):
    passages = [passage(doc, i, text) for i, text in enumerate(texts)]
    links = [link(p, task) for p, task in zip(passages, tasks, strict=True)]
    labels = [Label(p.id, "status", "done", 0.7, "status") for p in passages]
    problems = [Problem("read", "第2页无法读取", doc.path, 2)]
    store.save_document(NOTICE.id, doc, passages, links, labels, problems, signature)
    return passages


def test_everything_comes_back_and_order_does_not_depend_on_saving(tmp_path):
    late, early = document("乙", "2024-05-01"), document("甲", "2023-05-01")
    snapshots = []
    for name, order in (("a", (late, early)), ("b", (early, late))):
        with Store(tmp_path / f"{name}.sqlite") as store:
            store.save_notice(NOTICE, [Label(TASKS[0], "sector", "tech", 0.8, "classifier")])
            for doc in order:
                save(store, doc, [f"{doc.title}已完成甲项工作。", "正在推进。"], TASKS[:2])
            store.save_problems(NOTICE.id, [Problem("note", "跳过 1 个文件")])
            snapshots.append(store.snapshot(NOTICE.id, "2024-06-01", [("model", "e5")]))
    assert snapshots[0] == snapshots[1]
    snapshot = snapshots[0]
    assert snapshot.notice == NOTICE
    assert [d.title for d in snapshot.documents] == ["甲", "乙"]
    assert all(d.blocks == () for d in snapshot.documents)
    assert [p.document_id for p in snapshot.passages] == ["甲1", "甲1", "乙1", "乙1"]
    assert snapshot.links[0].evidence.why == "词语相同"
    assert [p.message for p in snapshot.problems] == ["跳过 1 个文件", "第2页无法读取", "第2页无法读取"]
    assert snapshot.settings == (("model", "e5"),)


def test_a_document_saved_again_is_replaced_and_its_signature_known(store):
    doc = document("甲")
    save(store, doc, ["一。", "二。"], TASKS[:2])
    save(store, doc, ["一。"], TASKS[2:], "linker-2")
    snapshot = store.snapshot(NOTICE.id)
    assert store.known_documents(NOTICE.id) == {"甲1": "linker-2"}
    assert [x.task for x in snapshot.links] == [TASKS[2]]
    assert len([x for x in snapshot.labels if x.scheme == "status"]) == 1
    assert len(snapshot.problems) == 1


def test_decisions_and_labels_of_persons_outlive_reruns(store):
    doc = document("甲")
    first = save(store, doc, ["一。", "二。"], TASKS[:2])
    decision = Decision(first[0].id, TASKS[0], "rejected", "王某", "2024-06-01T09:00:00+08:00", note="不相关")
    store.add_decision(decision)
    store.add_decision(decision)
    store.add_labels(NOTICE.id, [Label(TASKS[0], "sector", "data", 1.0, "王某")])
    save(store, doc, ["一。", "二。"], TASKS[:2], "linker-2")
    store.save_notice(NOTICE, [Label(TASKS[0], "sector", "finance", 0.6, "classifier-2")])
    store.forget_documents(NOTICE.id, [doc.id])
    assert store.decisions(NOTICE.id) == [decision]
    snapshot = store.snapshot(NOTICE.id)
    assert snapshot.decisions == (decision,)
    assert (snapshot.documents, snapshot.passages, snapshot.links, snapshot.problems) == ((), (), (), ())
    assert [x.value for x in snapshot.labels if x.scheme == "sector"] == ["finance", "data"]  # the person's is last
    assert store.known_documents(NOTICE.id) == {}
    save(store, doc, ["一。", "二。"], TASKS[:2], "linker-2")  # it is there again
    assert store.known_documents(NOTICE.id) == {doc.id: "linker-2"}
    assert store.document_paths(NOTICE.id) == {doc.id: doc.path}


def test_a_decision_follows_its_words_into_the_new_version_of_a_document(store):
    old = save(store, document("甲"), ["开头。", "已落地 3 个项目。"], TASKS[:2])
    store.add_decision(Decision(old[1].id, TASKS[1], "accepted", "王某", "2024-06-01T09:00:00+08:00"))
    store.add_decision(Decision(old[0].id, TASKS[0], "accepted", "王某", "2024-06-01T09:01:00+08:00"))
    store.forget_documents(NOTICE.id, ["甲1"])
    new = save(store, document("甲", version=2), ["新的开头。", "插入一段。", "已落地3个项目。"], TASKS)
    decisions = store.snapshot(NOTICE.id).decisions
    assert decisions[0].passage == new[2].id
    assert decisions[1].passage == old[0].id  # its words are gone; the decision is not
    assert store.decisions(NOTICE.id)[0].passage == old[1].id  # kept as it was said


def test_a_persons_status_follows_its_words_into_the_new_version_of_a_document(store):
    old = save(store, document("甲"), ["开头。", "已落地 3 个项目。"], TASKS[:2])
    said = [Label(p.id, "status", "planned", 1.0, "王某") for p in old]
    store.add_labels(NOTICE.id, said)
    save(store, document("乙"), ["另一份材料。"], TASKS[:1])
    store.add_labels(NOTICE.id, [Label("乙1-0", "status", "ongoing", 1.0, "王某")])
    store.forget_documents(NOTICE.id, ["甲1"])
    new = save(store, document("甲", version=2), ["新的开头。", "插入一段。", "已落地3个项目。"], TASKS)
    persons = store.snapshot(NOTICE.id).labels[-3:]
    assert [(x.target, x.value) for x in persons] == [
        (old[0].id, "planned"), (new[2].id, "planned"), ("乙1-0", "ongoing"),
    ]  # fmt: skip
    with store._begin() as connection:  # as it was stored before the words were kept with it
        connection.execute(sa.text("update labels set data = replace(data, 'text_id', 'unknown')"))
    assert store.snapshot(NOTICE.id).labels[-3:] == persons
    store.add_labels(NOTICE.id, [Label(new[2].id, "status", "ongoing", 1.0, "李某")])
    assert [x.value for x in store.snapshot(NOTICE.id).labels if x.target == new[2].id] == ["done", "ongoing"]


def test_a_given_id_that_says_something_else_gives_its_decision_to_its_words(store):
    doc = document("甲")
    save(store, doc, ["已落地3个项目。", "正在推进。"], TASKS[:2])
    store.add_decision(Decision("甲1-0", TASKS[0], "rejected", "王某", "2024-06-01T09:00:00+08:00"))
    store.add_labels(NOTICE.id, [Label("甲1-0", "status", "planned", 1.0, "王某")])
    save(store, doc, ["新的开头。", "已落地3个项目。"], TASKS[:2])
    snapshot = store.snapshot(NOTICE.id)
    assert snapshot.decisions[0].passage == "甲1-1"
    assert snapshot.labels[-1].target == "甲1-1"


def test_a_document_can_be_moved(store):
    doc = document("甲")
    save(store, doc, ["一。"], TASKS[:1])
    store.move_document(NOTICE.id, doc.id, "/data/b/甲.docx")
    assert store.document_paths(NOTICE.id) == {doc.id: "/data/b/甲.docx"}
    assert store.snapshot(NOTICE.id).documents[0].path == "/data/b/甲.docx"
    assert store.known_documents(NOTICE.id) == {doc.id: "linker-1"}


def test_passages_are_found_by_an_index_in_stores_made_without_it(tmp_path):
    with Store(tmp_path / "s.sqlite") as store, store._begin() as connection:
        connection.execute(sa.text("drop index passages_by_id"))
    with Store(tmp_path / "s.sqlite") as store, store._begin() as connection:
        query = "explain query plan select text_id from passages where notice_id = 'a' and id = 'b'"
        assert "passages_by_id" in str(connection.execute(sa.text(query)).all())


def test_a_failed_save_leaves_what_was_there(store):
    doc = document("甲")
    save(store, doc, ["一。"], TASKS[:1])
    bad = Passage("x", doc.id, None)  # type: ignore[arg-type]
    with pytest.raises((StoreError, AttributeError)):
        store.save_document(NOTICE.id, doc, [bad])
    assert len(store.snapshot(NOTICE.id).links) == 1


def test_other_files_and_versions_are_named_with_the_next_step(tmp_path):
    text = tmp_path / "notes.sqlite"
    text.write_text("不是数据库，" * 100, encoding="utf-8")
    with pytest.raises(StoreError, match=r"notes\.sqlite"):
        Store(text)
    foreign = tmp_path / "foreign.sqlite"
    engine = sa.create_engine(f"sqlite:///{foreign}")
    with engine.begin() as connection:
        connection.execute(sa.text("create table t (a int)"))
    with pytest.raises(StoreError, match="不是本程序的数据库"):
        Store(foreign)
    with Store(tmp_path / "s.sqlite") as store, store._begin() as connection:
        connection.execute(sa.text("update meta set value='99'"))
    with pytest.raises(StoreError, match="第 99 版"):
        Store(tmp_path / "s.sqlite")
    with pytest.raises(StoreError, match="驱动"):
        Store("nosuch://u:secret@h/db")
    with Store(tmp_path / "s2.sqlite") as store, pytest.raises(StoreError, match="没有公文"):
        store.snapshot("无")


def test_half_characters_and_nul_come_back(store):
    odd = dataclasses.replace(document("甲"), title="甲\ud800\x00")
    passages = save(store, odd, ["半\udc00字与\x00空。"], TASKS[:1])
    store.add_decision(Decision(passages[0].id, TASKS[0], "accepted", "王\ud800", "2024-06-01T09:00:00+08:00"))
    snapshot = store.snapshot(NOTICE.id)
    assert snapshot.documents[0].title == odd.title
    assert snapshot.passages == tuple(passages)
    assert store.decisions(NOTICE.id)[0].reviewer == "王?"


def test_paths_that_are_no_urls(tmp_path):
    odd = tmp_path / "库 100%#?.sqlite"
    with Store(odd) as store:
        store.save_notice(NOTICE)
    assert odd.exists()
    with Store(odd) as store:
        assert store.notices() == [NOTICE]
        changed = dataclasses.replace(NOTICE, tasks=NOTICE.tasks[:1])
        store.save_notice(changed)
        assert store.notice(NOTICE.id) == changed
