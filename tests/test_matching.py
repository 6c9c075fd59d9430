"""Linking: candidates, features, folds, evidence, status; and the real linker on the gold passages."""

import dataclasses
import itertools
import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from pipeline.errors import DataError, ModelNotFoundError
from pipeline.matching import TaskMatcher
from pipeline.matching.cascade import Cascade, Rows, find_unclear
from pipeline.matching.corpus import LabelledPassage, labelled_passages
from pipeline.matching.evidence import find_evidence
from pipeline.matching.features import NAMES, TaskIndex, candidates, features
from pipeline.matching.lexical import CharacterTfidf, WordBM25
from pipeline.matching.status import CLASSES, StatusClassifier
from pipeline.matching.training import score_notice
from pipeline.persistence import save_model
from pipeline.records import Passage, Task
from pipeline.settings import Settings

TASKS = [
    Task("n#1", 1, "支持设立绿色金融领域交流合作平台，支持企业在境外发行绿色债券。", lead_units=("市金融局",)),
    Task("n#2", 2, "允许境外知名仲裁机构设立业务机构。", lead_units=("市司法局",)),
    Task("n#3", 3, "支持港澳服务提供者设立独资医疗机构。", lead_units=("市卫生健康委",)),
    Task("n#4", 4, "探索建立数据分级分类管理机制。", lead_units=("市大数据局",)),
]


def passage(number, text, document="d", **fields):
    return Passage(f"{document}-{number}", document, text, **fields)


PASSAGES = [
    passage(1, "某银行在境外发行绿色债券5亿元。累计支持项目12个。", issuer="市金融局"),
    passage(2, "一家境外仲裁机构的业务机构正在办理登记。"),
    passage(3, "全年新建农村公路300公里。", document="e"),
]


@pytest.mark.parametrize("method", [CharacterTfidf, WordBM25])
def test_words_find_the_task(method):
    scores = method().fit([task.text for task in TASKS]).score([p.text for p in PASSAGES])
    assert scores.shape == (3, 4)
    assert scores[:2].argmax(1).tolist() == [0, 1]
    assert scores.min() >= 0
    assert scores.max() <= 1.0001


def test_candidates_and_features(encoder):
    likeness = TaskIndex(TASKS, encoder).compare(PASSAGES)
    chosen = candidates(likeness, 3)
    assert chosen.shape == (3, 3)
    assert chosen[:2, 0].tolist() == [0, 1]
    values = features(PASSAGES, TASKS, likeness, chosen)
    assert values.shape == (3, 3, len(NAMES))
    assert np.isfinite(values).all()
    issuer = NAMES.index("lead_is_issuer")
    assert values[0, 0, issuer] == 1
    assert values[1, :, issuer].sum() == 0


def test_one_passage_and_one_task(encoder):
    likeness = TaskIndex(TASKS[:1], encoder).compare(PASSAGES[:1])
    assert np.isfinite(features(PASSAGES[:1], TASKS[:1], likeness, candidates(likeness, 1))).all()


def test_evidence_is_a_span_of_the_passage(encoder):
    found = find_evidence([(PASSAGES[0], TASKS[0]), (PASSAGES[1], TASKS[1])], encoder)
    for evidence, source in zip(found, PASSAGES, strict=False):
        assert source.text[evidence.start : evidence.end] == evidence.text
    assert "绿色债券" in found[0].text
    assert "绿色债券" in found[0].why
    assert "市金融局" in found[0].why


def example(document, notice, grades, number=1, text="某银行在境外发行绿色债券。", status="done"):
    return LabelledPassage(passage(number, text, document), notice, grades, status)


class WordPairs:
    """A cross-encoder of its own kind: what passage and task share in pairs of characters."""

    def score(self, pairs, progress=None):
        shared = [
            len({a + b for a, b in itertools.pairwise(p.text)} & {a + b for a, b in itertools.pairwise(t.text)})
            for p, t in pairs
        ]
        grades = np.array([[-0.1, -4.0, -3.0] if n < 2 else [-3.0, -4.0, -0.1] for n in shared], np.float32)
        return grades.reshape(-1, 3)


def test_cascade_learns_to_abstain(encoder):
    texts = {
        1: "某银行在境外发行绿色债券。",
        2: "境外仲裁机构设立业务机构。",
        3: "港澳独资医疗机构开业。",
        4: "数据分级分类管理办法印发。",
    }
    examples = [
        example(f"d{k}", "n", {no: 2}, text=text + "甲乙丙丁"[k % 4]) for k in range(24) for no, text in texts.items()
    ]
    examples += [example(f"d{k}", "n", {}, text="新建农村公路，推进厕所革命。" + "甲乙丙丁"[k % 4]) for k in range(24)]
    examples += [example(f"d{k}", "n", {1: 1}, text="绿色金融前景广阔。") for k in range(24)]
    scored = score_notice("n", TASKS, examples, encoder, WordPairs(), 4)
    cascade = Cascade.fit([scored.rows])
    asked = []

    def read(unclear):
        asked.append(unclear)
        return scored.rows.read(unclear)

    grades = cascade.predict_proba(scored.rows.values, read)
    assert np.allclose(grades.sum(2), 1)
    best = grades[:, :, 2].max(1)
    assert best[:96].mean() > 0.8
    assert best[96:120].mean() < 0.2
    assert len(asked) == 1
    assert asked[0].sum() < asked[0].size


def test_what_is_ruled_out_is_not_read():
    first = np.zeros((2, 7, 3))
    first[:, :, 0] = 1.0
    first[0, 1] = [0.1, 0.1, 0.8]
    first[0, 4] = [0.9, 0.05, 0.05]
    first[1, :, 2] = [0.3, 0.29, 0.28, 0.27, 0.26, 0.25, 0.24]
    unclear = find_unclear(first)
    assert np.flatnonzero(unclear[0]).tolist() == [1, 4]
    assert np.flatnonzero(unclear[1]).tolist() == [0, 1, 2, 3, 4]


def test_unknown_grades_teach_nothing():
    draw = np.random.default_rng(0)
    values = draw.normal(size=(60, 3, 2)).astype(np.float32)
    grades = np.where(values[:, :, 0] > 0, 2, 0)
    cross = np.log(np.where(grades[:, :, None] == np.array([0, 1, 2]), 0.9, 0.05)).astype(np.float32)
    hidden = np.where(draw.random(grades.shape) < 0.3, -1, grades)
    cascade = Cascade.fit([Rows(values[:30], cross[:30], hidden[:30]), Rows(values[30:], cross[30:], hidden[30:], 2)])
    found = cascade.predict_proba(values, Rows(values, cross, grades).read).argmax(2)
    assert (found == grades).mean() > 0.95


def test_status_and_its_cue(encoder):
    texts = [
        "办法已印发，累计办结12件。",
        "平台正在建设，尚未验收。",
        "下一步拟申请试点。",
        "要提高认识，加强领导。",
    ] * 8
    status = ["done", "ongoing", "planned", "none"] * 8
    labels = (
        StatusClassifier()
        .fit(texts, status)
        .predict([passage(1, "细则已印发，累计办结30件。"), passage(2, "下一步拟扩大范围。")])
    )
    assert [label.value for label in labels] == ["done", "planned"]
    assert labels[0].reasons[0][0] in ("细则已印发", "累计办结30件")


def test_status_weighs_both_readers(encoder):
    texts = ["办法已印发。", "平台正在建设。", "下一步拟申请。", "要提高认识。"] * 12
    status = ["done", "ongoing", "planned", "none"] * 12
    truth = np.array([CLASSES.index(name) for name in status])
    classifier = StatusClassifier(encoder).fit(texts, status)
    # A second reader that is right where the first knows nothing: its weights read the vectors of other words.
    vectors = encoder.encode(other := ["甲甲甲。", "乙乙乙。", "丙丙丙。", "丁丁丁。"] * 12)
    classifier.head = {
        "weights": np.stack([vectors[truth == k].mean(0) for k in range(4)]),
        "bias": np.zeros(4),
        "centre": vectors.mean(0),
    }
    classifier.fit_stack(other, status)
    found = classifier.predict_proba(other)
    assert [CLASSES[k] for k in found.argmax(1)] == status
    assert np.allclose(found.sum(1), 1)
    restored = StatusClassifier(encoder).restore(classifier.state())
    assert np.allclose(restored.predict_proba(other), found)


def test_a_passage_is_as_far_as_its_least_finished_sentence():
    done, open_ = "办法已印发，累计办结12件。", "平台正在建设，尚未验收。"
    texts = [done, open_, "下一步拟申请试点。", "要提高认识，加强领导。"] * 8
    status = ["done", "ongoing", "planned", "none"] * 8
    classifier = StatusClassifier().fit(texts, status)
    mixed = [done * 4, done * 4 + open_, "下一步拟申请试点。", "要提高认识，加强领导。"] * 8
    classifier.fit_stack(mixed, status)
    unseen = "细则已印发，累计办结30件。" * 5 + "系统正在建设，尚未验收。"
    assert classifier.predict([passage(1, unseen)])[0].value == "ongoing"


def test_what_carries_out_a_task_reports_work_unless_it_is_a_policy():
    texts = ["办法已印发。", "平台正在建设。", "下一步拟申请。", "要提高认识。"] * 12
    classifier = StatusClassifier().fit(texts, ["done", "ongoing", "planned", "none"] * 12)
    case = passage(1, "要提高认识，办法印发。")
    policy = dataclasses.replace(case, kind="policy")
    silent = [label.value for label in classifier.predict([case, policy], [0.0, 0.99])]
    assert silent == ["none", "none"]
    assert classifier.predict([case], [0.99])[0].value != "none"


def test_nothing_in_nothing_out(encoder):
    matcher = TaskMatcher(encoder, WordPairs(), None, StatusClassifier()).fit(TASKS)
    assert matcher.predict([]) == []
    with pytest.raises(ValueError, match="任务"):
        matcher.fit([])


def test_a_clear_passage_is_not_read():
    first = np.zeros((3, 4, 3))
    first[:, :, 0] = 1.0
    first[1, 2] = [0.02, 0.03, 0.95]
    first[2, 2] = [0.2, 0.1, 0.7]
    assert find_unclear(first).sum(1).tolist() == [0, 0, 1]


def test_a_matcher_without_tasks_says_so(encoder):
    status = StatusClassifier().fit(["已完成。", "正在办理。"], ["done", "ongoing"])
    with pytest.raises(ValueError, match="fit"):
        TaskMatcher(encoder, WordPairs(), Cascade(None, None), status).predict(PASSAGES)


def test_a_missing_linker_and_one_of_another_version_are_named(tmp_path):
    with pytest.raises(ModelNotFoundError, match="shidian train linker"):
        TaskMatcher.from_disk(tmp_path)
    with pytest.raises(ModelNotFoundError, match="本办"):
        TaskMatcher.from_disk(settings=Settings(linker=str(tmp_path / "本办")))
    (tmp_path / "config.json").write_text('{"version": 2}', encoding="utf-8")
    with pytest.raises(ModelNotFoundError, match=r"版本不符.*shidian train linker"):
        TaskMatcher.from_disk(tmp_path)


def test_a_model_file_that_would_run_code_or_is_damaged_is_refused(tmp_path):
    from sklearn.feature_extraction.text import CountVectorizer

    save_model({"first": CountVectorizer(analyzer=eval)}, tmp_path / "decision.skops")
    with pytest.raises(ModelNotFoundError, match="不受信任"):
        Cascade.from_disk(tmp_path / "decision.skops")
    (tmp_path / "decision.skops").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(ModelNotFoundError, match="损坏"):
        Cascade.from_disk(tmp_path / "decision.skops")


def test_background_is_dealt_to_notices_by_document(tmp_path):
    from pipeline.matching.training import BACKGROUND_DOCUMENTS, BACKGROUND_PARAGRAPHS, draw_background

    path = tmp_path / "background.jsonl"
    rows = [{"doc": f"条例{d}", "text": f"第{k}条 各级单位应当做好{d}号工作。"} for d in range(8) for k in range(9)]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    drawn = draw_background(path, ["a", "b", "c"])
    titles = {name: {item.passage.title for item in group} for name, group in drawn.items()}
    assert {name: len(found) for name, found in titles.items()} == {"a": BACKGROUND_DOCUMENTS, "b": 2, "c": 0}
    assert not titles["a"] & titles["b"]
    assert len(drawn["a"]) == BACKGROUND_DOCUMENTS * BACKGROUND_PARAGRAPHS
    assert all(item.grades == {} and item.notice == "a" for item in drawn["a"])
    assert draw_background(path, ["a", "b", "c"]) == drawn
    path.write_text('{"doc": "x"}\n', encoding="utf-8")
    with pytest.raises(DataError, match="第1行没有 doc 或 text"):
        draw_background(path, ["a"])


def test_bad_labels_are_named():
    with pytest.raises(DataError, match="D9"):
        labelled_passages({"doc_id": "D9", "passages": [{"pid": "1", "text": "x"}]})


@pytest.mark.slow
def test_the_real_linker_links_and_abstains(corpus):
    from pipeline.evaluation import gold_task_records

    tasks = gold_task_records(corpus / "gold" / "tasks.json", "gold")
    texts = [
        "两江新区一家企业在新加坡挂牌发行绿色债券，募资3亿美元，全部投向污水处理和风电项目。",
        "示例文件，内容为虚构。",
        "全市新建农村公路3000公里，改造危旧房12万平方米，粮食产量再创新高。",
    ]
    predictions = (
        TaskMatcher.from_disk().fit(tasks).predict([passage(i, text, f"d{i}") for i, text in enumerate(texts)])
    )
    assert predictions[0].candidates[0][0].no == 15
    assert [link.task for link in predictions[0].links] == ["gold#15"]
    assert not predictions[1].links
    assert not predictions[2].links
    assert all(0 <= score <= 1 for p in predictions for _, score in p.candidates)


def test_decisions_become_examples():
    from pipeline.matching.feedback import decided_grades
    from pipeline.records import Decision, Notice, Snapshot

    notice = Notice("n", "", "", "", "", "", (), (), (), tuple(TASKS))
    said = [
        Decision("p1", "n#1", "rejected", "甲", "2024-01-01T09:00:00+08:00"),
        Decision("p1", "n#1", "accepted", "乙", "2024-01-02T09:00:00+08:00"),
        Decision("p2", "n#1", "moved", "甲", "2024-01-01T09:00:00+08:00", moved_to="n#2"),
        Decision("p3", "n#3", "unsure", "甲", "2024-01-01T09:00:00+08:00"),
        Decision("p4", "n#4", "rejected", "甲", "2024-01-01T09:00:00+08:00"),
        Decision("p5", "n#1", "moved", "甲", "2024-01-01T09:00:00+08:00", moved_to="n#2"),
        Decision("p5", "n#2", "rejected", "乙", "2024-02-01T09:00:00+08:00"),
    ]
    known = decided_grades(Snapshot(notice, decisions=tuple(said)))
    assert known == {"p1": {"n#1": 2}, "p2": {"n#2": 2, "n#1": 0}, "p4": {"n#4": 0}, "p5": {"n#1": 0, "n#2": 0}}


def test_an_office_teaches_its_notice_and_nothing_learnt_on_another_is_forgotten(tmp_path, encoder, monkeypatch):
    from pipeline.matching.feedback import refine_linker
    from pipeline.matching.training import fit_decisions, load_scored
    from pipeline.records import Decision, Notice, Snapshot

    # The real classifiers take a minute for what a plain one shows as well on a handful of rows.
    plain = lambda values, grades, seed: LogisticRegression().fit(values, grades)  # noqa: E731
    monkeypatch.setattr("pipeline.matching.cascade._fit", plain)
    told = [example("d1", "n", {1: 2}), example("d2", "n", {}, text="新建农村公路。")]
    scored = [score_notice(name, TASKS, told, encoder, WordPairs(), 3) for name in "ab"]
    linker = tmp_path / "linker"
    linker.mkdir()
    config = fit_decisions(linker, scored, [], ["a"], 0) | {"options": {"seed": 0}, "cross_options": {}}
    (linker / "config.json").write_text(json.dumps(config), encoding="utf-8")
    cascade = Cascade.from_disk(linker / "decision.skops")
    status = StatusClassifier().fit(["已完成。", "正在办理。"], ["done", "ongoing"])
    monkeypatch.setattr(
        TaskMatcher, "from_disk", classmethod(lambda *_: TaskMatcher(encoder, WordPairs(), cascade, status))
    )
    for name in ("n1", "n2"):
        tasks = tuple(dataclasses.replace(task, id=f"{name}#{task.no}") for task in TASKS)
        snapshot = Snapshot(Notice(name, "", "", "", "", "", (), (), (), tasks), passages=tuple(PASSAGES))
        with pytest.raises(DataError, match="还没有可用的审核意见"):
            refine_linker(snapshot, linker)
        said = Decision(PASSAGES[0].id, f"{name}#1", "accepted", "甲", "2024-01-01T09:00:00+08:00")
        figures = refine_linker(dataclasses.replace(snapshot, decisions=(said,)), linker)
        assert set(figures["after"]) == {"seen notices", "unseen notices"}
    assert [item.notice for item in load_scored(linker / "decided.npz")] == ["n1", "n2"]
    assert json.loads((linker / "config.json").read_text(encoding="utf-8"))["decisions"]["notice"] == "n2"
    monkeypatch.setattr("pipeline.matching.feedback.default_folder", lambda: linker)
    before = (linker / "config.json").read_bytes()
    refine_linker(dataclasses.replace(snapshot, decisions=(said,)), tmp_path / "own")
    assert (tmp_path / "own" / "decision.skops").is_file()
    assert (linker / "config.json").read_bytes() == before, "a linker of one's own leaves the delivered one as it is"


def test_parts_of_another_training_are_thrown_away(tmp_path):
    from pipeline.matching.training import start_training

    corpus, made = tmp_path / "corpus", tmp_path / "made"
    (corpus / "training").mkdir(parents=True)
    (corpus / "training" / "tasks.jsonl").write_text("{}", encoding="utf-8")
    start_training(made, corpus, "rank 16")
    (made / "adapter").mkdir()
    start_training(made, corpus, "rank 16")
    assert (made / "adapter").exists(), "an interrupted training goes on"
    start_training(made, corpus, "rank 8")
    assert not (made / "adapter").exists()
    (made / "adapter").mkdir()
    (corpus / "training" / "tasks.jsonl").write_text("{ }", encoding="utf-8")
    start_training(made, corpus, "rank 8")
    assert not (made / "adapter").exists()


def test_what_is_said_of_a_passage_without_a_title_does_not_hang_on_its_neighbours(encoder):
    alone, titled = PASSAGES[:1], dataclasses.replace(PASSAGES[1], title="关于仲裁工作的报告")
    index = TaskIndex(TASKS, encoder)
    by_itself, beside = index.compare(alone), index.compare([*alone, titled])
    assert np.allclose(by_itself.title[0], beside.title[0])
    assert (by_itself.title[0] == 0).all()
    assert abs(beside.title[1].mean()) < 1e-6
    assert beside.title[1].argmax() == 1


def test_a_book_as_one_passage_and_half_a_character_do_no_harm():
    from pipeline.matching.corpus import MOST_CHARACTERS, clean_passage

    found = clean_passage(passage(1, "正在推进。" * MOST_CHARACTERS, title="报告"))
    assert len(found.text) == MOST_CHARACTERS


def test_held_examples_come_back_from_disk(tmp_path, encoder):
    from pipeline.matching.training import load_scored, save_scored

    examples = [example("d1", "n", {1: 2}), example("d2", "n", {}, text="新建农村公路。")]
    scored = score_notice("n", TASKS, examples, encoder, WordPairs(), 3)
    save_scored([scored], tmp_path / "held.npz")
    (back,) = load_scored(tmp_path / "held.npz")
    assert np.allclose(back.rows.values, scored.rows.values, atol=2e-3, rtol=2e-3)
    assert np.allclose(back.rows.cross, scored.rows.cross, atol=2e-3, rtol=2e-3)
    assert (back.rows.grades == scored.rows.grades).all()
    assert [e.grades for e in back.examples] == [{1: 2}, {}]
    with pytest.raises(ModelNotFoundError):
        load_scored(tmp_path / "none.npz")
