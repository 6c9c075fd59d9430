"""Scores and floors."""

import json
import random
import subprocess
import sys

import pytest

from pipeline.evaluation import (
    check_floors,
    gold_digest,
    gold_task_records,
    read_gold_tasks,
    score_tasks,
)
from pipeline.evaluation.ladder import LINKER, Rung, draw_pictures, file_best, interval, table_lines
from pipeline.matching.corpus import LabelledPassage, read_labelled
from pipeline.matching.lexical import CharacterTfidf
from pipeline.matching.scores import Answer, calibration_error, score_links, score_signed
from pipeline.records import Passage


def labelled(grades, status="done"):
    return LabelledPassage(Passage("p", "d", "x"), "n", grades, status)


def test_link_figures_by_hand():
    examples = [labelled({1: 2}), labelled({2: 2, 3: 1}), labelled({}), labelled({4: 1})]
    answers = [
        Answer([1, 2], [(1, 0.9)], "done"),
        Answer([3, 2], [(3, 0.6), (5, 0.6)], "ongoing"),
        Answer([1], [], ""),
        Answer([4], [(4, 0.7)], ""),
    ]
    figures = score_links(examples, answers)
    assert figures["hit@1"] == 0.5
    assert figures["hit@5"] == 1.0
    assert figures["map"] == pytest.approx(0.75)
    assert (figures["link_p"], figures["link_r"]) == (0.5, 0.5)
    assert figures["abstain_f1"] == 1.0
    assert figures["auto_coverage"] == 0.5
    assert figures["status_acc"] == 0.5


def test_what_signing_at_a_probability_gives():
    examples = [
        LabelledPassage(Passage(str(k), "d", "文"), "n", grades, "done")
        for k, grades in enumerate([{1: 2}, {1: 2, 2: 1}, {}, {3: 2}])
    ]
    answers = [
        Answer([1], [(1, 0.99)]),
        Answer([1], [(1, 0.98), (2, 0.98)]),  # a related task counts neither way
        Answer([1], [(1, 0.975)]),
        Answer([3], [(3, 0.9)]),
    ]
    assert score_signed(examples, answers, 0.97) == {"sign_precision": 2 / 3, "sign_coverage": 2 / 3}


def test_our_measure_agrees_with_the_measure_of_acceptance(shared, corpus, tmp_path):
    gold = corpus / "gold" / "dev_docs.jsonl"
    examples = read_labelled(gold)
    draw = random.Random(1)
    answers, lines = [], []
    for item in examples:
        order = draw.sample(range(1, 87), 10)
        order = [*item.grades, *order][:10] if draw.random() < 0.6 else order
        links = [(no, round(draw.random(), 3)) for no in order[: draw.choice([0, 1, 1, 2])]]
        status = draw.choice(["done", item.status])
        answers.append(Answer(order, links, status))
        lines.append({
            "pid": item.passage.id, "status": status, "candidates": [{"task": no, "score": 0} for no in order],
            "links": [{"task": no, "probability": p} for no, p in links],
        })  # fmt: skip
    path = tmp_path / "p.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    tool = [sys.executable, str(shared / "tools" / "score_links.py"), str(gold), str(path), "--json"]
    theirs = json.loads(subprocess.run(tool, capture_output=True, text=True, check=True).stdout)
    ours = score_links(examples, answers)
    for name, value in ours.items():
        assert theirs[name] == pytest.approx(value), name


def test_calibration_error():
    assert calibration_error([(0.95, 1)] * 19 + [(0.95, 0)]) == pytest.approx(0.0)
    assert calibration_error([(0.9, 0)] * 5) == pytest.approx(0.9)


def test_floors_fail_below_and_errors_fail_above():
    floors = {"gold_sha256": "x", "floors": {"links/dev": {"hit@1": 0.8, "ece": 0.1}}}
    assert check_floors({"links/dev": {"hit@1": 0.8, "ece": 0.1}}, floors, "x") == []
    assert len(check_floors({"links/dev": {"hit@1": 0.79, "ece": 0.11}}, floors, "y")) == 3


def test_task_scores_forgive_space_and_width_only(corpus):
    rows = read_gold_tasks(corpus / "gold" / "tasks.json")
    tasks = gold_task_records(corpus / "gold" / "tasks.json", "n")
    assert score_tasks(rows, tasks)["exact"] == 1.0
    assert score_tasks(rows, tasks[1:])["exact"] == pytest.approx(85 / 86)


def test_the_baseline_is_as_known(corpus):
    tasks = gold_task_records(corpus / "gold" / "tasks.json", "n")
    examples = read_labelled(corpus / "gold" / "dev_docs.jsonl")
    scores = CharacterTfidf().fit([t.text for t in tasks]).score([e.passage.text for e in examples])
    answers = file_best(scores, tasks, examples)
    assert 0.6 < score_links(examples, answers)["hit@1"] < 0.7
    low, high = interval(examples, answers, "hit@1", draws=50)
    assert 0.55 < low < score_links(examples, answers)["hit@1"] < high < 0.8


def test_the_table_and_the_pictures_show_every_rung(tmp_path):
    examples = [labelled({1: 2}), labelled({})] * 6
    answers = [Answer([1], [(1, 0.8)], "done"), Answer([1], [], "none")] * 6
    sets = {"dev": (examples, [Rung("words", answers, 100.0), Rung(LINKER, answers, 7.0)])}
    left_out = {"seen notices": {"passages": 9.0, "hit@1": 0.9, "link_f1": 0.8}}
    lines = table_lines(sets, left_out)
    assert len(lines) == 5
    assert all(line.count("|") == lines[0].count("|") for line in lines)
    assert "1.000 (1.00-1.00)" in lines[3]
    assert lines[2].split("|")[-3].strip() == "-"
    paths = draw_pictures(sets, tmp_path)
    assert [path.name for path in paths] == ["risk_coverage.svg", "reliability.svg"]
    assert all("<svg" in path.read_text(encoding="utf-8") for path in paths)


def test_the_floors_belong_to_this_gold(corpus):
    floors = json.loads((corpus / "floors.json").read_text(encoding="utf-8"))
    assert floors["gold_sha256"] == gold_digest(corpus / "gold")
