import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.classification import SCHEMES, TaskClassifier, class_name, schemes
from pipeline.classification.features import TaskText, WordFeatures, read_task
from pipeline.classification.training import deal, fit_stack, read_training
from pipeline.errors import DataError, ModelNotFoundError
from pipeline.records import Label, Task

HEALTH = ["允许外商独资设立医院和诊所", "缩短进口药品审评时限", "支持医疗机构引进境外药械", "扩大医保异地直接结算范围"]
FINANCE = ["支持银行办理跨境人民币结算", "允许外资控股证券公司", "推出知识产权质押贷款产品", "监测跨境资金流动风险"]


@pytest.fixture(scope="module")
def trained(encoder):
    texts, labels = [], []
    for notice in range(4):
        for sector, lines in (("health", HEALTH), ("finance", FINANCE)):
            for number, line in enumerate(lines):
                task = Task(
                    f"n{notice}#{sector}{number}", number, f"{line}，第{notice}批试点。", lead_units=("市商务局",)
                )
                texts.append(task)
                labels.append(
                    {
                        "sector": sector,
                        "group": sector,
                        "reform": "market_access" if "允许" in line else "facilitation",
                        "stri": "foreign_entry" if "外" in line else "none",
                    }
                )
    return TaskClassifier(encoder, folds=4).fit(texts, labels), texts, labels


def test_learns_and_names_its_classes(trained):
    classifier, texts, labels = trained
    found = [label for label in classifier.predict(texts) if label.scheme == "sector"]
    assert [label.value for label in found] == [item["sector"] for item in labels]
    assert set(classifier.classes_) == set(SCHEMES)
    assert sorted(classifier.classes_["sector"]) == ["finance", "health"]
    assert all(label.second != label.value and 0 < label.probability <= 1 for label in found)


def test_probabilities_sum_to_one_in_the_order_of_classes(trained):
    classifier, texts, labels = trained
    p = classifier.predict_proba(texts, "sector")
    assert np.allclose(p.sum(1), 1)
    assert [classifier.classes_["sector"][k] for k in p.argmax(1)] == [item["sector"] for item in labels]
    assert classifier.predict_proba([], "sector").shape == (0, 2)
    assert classifier.predict([]) == []


def test_label_records_teach_as_mappings_do(trained, encoder):
    classifier, texts, labels = trained
    records = [
        Label(task.id, scheme, value, 1.0, "某人")
        for task, item in zip(texts, labels, strict=True)
        for scheme, value in item.items()
    ]
    again = TaskClassifier(encoder, folds=4).fit(texts, records)
    assert np.allclose(again.predict_proba(texts, "reform"), classifier.predict_proba(texts, "reform"))


def test_reasons_are_words_of_the_text(trained):
    classifier, *_ = trained
    label = classifier.predict([{"id": "a", "text": "允许外资医院使用境外药品。", "lead_units": ["市商务局"]}])[0]
    assert label.value == "health"
    assert label.reasons
    for word, weight in label.reasons:
        assert weight > 0
        assert word in "允许外资医院使用境外药品。" or word.startswith("牵头单位：")
    assert [weight for _, weight in label.reasons] == sorted((w for _, w in label.reasons), reverse=True)


@pytest.mark.parametrize(
    "text", ["", "   ", "医院", "Support foreign banks to open.", "医医医医医医医医", "1234567890"]
)
def test_what_cannot_be_read_is_not_guessed(trained, text):
    classifier, *_ = trained
    for label in classifier.predict([{"id": "a", "text": text}]):
        assert label.value == "unclassified"
        assert label.probability == pytest.approx(1 / len(classifier.classes_[label.scheme]))
        assert label.reasons == ()
    assert class_name("sector", "unclassified") == "未能分类"


def test_three_thousand_characters_are_never_sure(trained):
    classifier, *_ = trained
    label = classifier.predict([{"id": "a", "text": ("允许外商独资设立医院，" * 300)[:3000]}])[0]
    assert label.probability < 0.8
    short = classifier.predict([{"id": "a", "text": "允许外商独资设立医院和诊所。"}])[0]
    assert short.probability > label.probability


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=80))
def test_no_text_breaks_it(trained, text):
    classifier, *_ = trained
    for label in classifier.predict([{"id": "a", "text": text}]):
        assert 0 <= label.probability <= 1
        assert label.value in (*classifier.classes_[label.scheme], "unclassified")


def test_the_order_of_tasks_changes_nothing(trained):
    classifier, texts, _ = trained
    forward = {(label.target, label.scheme): label for label in classifier.predict(texts)}
    for label in classifier.predict(texts[::-1]):
        other = forward[label.target, label.scheme]
        assert (label.value, label.second) == (other.value, other.second)
        assert label.probability == pytest.approx(other.probability, abs=1e-5)


def test_disk_and_back(trained, encoder, tmp_path):
    classifier, texts, _ = trained
    classifier.to_disk(tmp_path)
    again = TaskClassifier.from_disk(tmp_path, encoder=encoder)
    for scheme in SCHEMES:
        assert np.allclose(classifier.predict_proba(texts, scheme), again.predict_proba(texts, scheme), atol=0.01)
    assert not list(tmp_path.glob("*.pkl"))
    (tmp_path / "weights.safetensors").write_bytes(b"no tensors")
    with pytest.raises(ModelNotFoundError, match="train classifier"):
        TaskClassifier.from_disk(tmp_path, encoder=encoder)
    with pytest.raises(ModelNotFoundError):
        TaskClassifier.from_disk(tmp_path / "none", encoder=encoder)


def test_untrained_and_mismatched_say_what_to_do(encoder):
    with pytest.raises(ModelNotFoundError, match="fit"):
        TaskClassifier(encoder).predict([{"id": "a", "text": "支持银行开展跨境结算。"}])
    with pytest.raises(DataError, match="一一对应"):
        TaskClassifier(encoder).fit([{"id": "a", "text": "支持银行"}], [])
    with pytest.raises(DataError, match="没有标签"):
        TaskClassifier(encoder).fit([{"id": "a", "text": "支持银行"}], [{}])
    with pytest.raises(DataError, match="text"):
        read_task({"id": "a"})


def test_units_are_read_from_lists_and_cells():
    assert read_task({"id": "a", "text": "甲", "lead_units": "市教委、市科技局"}).units == ("市教委", "市科技局")
    assert read_task({"id": "a", "text": "甲", "section": "（三）金融领域"}).section == "金融领域"
    assert read_task(Task("a", 1, "甲", section="1. 金融")).section == "金融"


def test_words_survive_their_tensors():
    rows = [TaskText(str(i), text, ("市教委",), "医疗") for i, text in enumerate(HEALTH * 2)]
    words = WordFeatures().fit(rows)
    again = WordFeatures().from_tensors(*words.to_tensors())
    assert abs(words.transform(rows) - again.transform(rows)).max() < 1e-6


def test_folds_keep_notices_whole():
    groups = ["a"] * 5 + ["b"] * 3 + ["c"] * 2 + [""]
    folds = deal(groups, 3, 1)
    assert folds[-1] == -1
    assert len({(group, fold) for group, fold in zip(groups, folds.tolist(), strict=True)}) == 4
    assert np.array_equal(folds, deal(groups, 3, 1))


def test_the_stack_trusts_the_reader_that_is_right_and_is_calibrated():
    random = np.random.default_rng(0)
    truth = random.integers(0, 3, 600)
    good = np.eye(3)[truth] * 4 + random.normal(size=(600, 3))
    noise = random.normal(size=(600, 3)) * 4
    weights, floor = fit_stack([good, noise], truth, 0.05)
    assert weights[0] > 5 * weights[1]
    assert 0 < floor < 1


def test_definitions_cover_the_training_labels(corpus):
    tasks, groups = read_training(corpus)
    assert len(tasks) == len(groups) >= 800
    for scheme in SCHEMES:
        assert {task[scheme] for task in tasks} == set(schemes()[scheme])
    assert not any(task["id"].startswith("cq-services#") for task in tasks), "the measured notice is not learnt from"


@pytest.mark.slow
def test_the_model_of_the_project_reads_plain_tasks():
    classifier = TaskClassifier.from_disk()
    expected = {
        "允许外国投资者独资举办医院，放宽其诊疗科目限制。": ("health", "market_access"),
        "建立跨境资金流动监测预警机制，防范银行业风险。": ("finance", "risk"),
        "给外籍工程师签发五年期居留许可，配偶子女一并办理。": ("cross", "talent"),
    }
    tasks = [{"id": str(i), "text": text} for i, text in enumerate(expected)]
    found = {(label.target, label.scheme): label.value for label in classifier.predict(tasks)}
    assert [(found[t["id"], "sector"], found[t["id"], "reform"]) for t in tasks] == list(expected.values())
    config = json.loads((__import__("pathlib").Path(__file__).parents[1] / "models/classifier/config.json").read_text())
    assert set(config["classes"]) == set(SCHEMES)
