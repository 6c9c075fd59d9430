"""The cross-encoder: pairs, batches, training on the real model, scores."""

import random

import numpy as np
import pytest

from pipeline.encoding import models_folder
from pipeline.errors import ModelNotFoundError
from pipeline.matching.corpus import LabelledPassage
from pipeline.matching.crossencoder import CrossEncoder, CrossOptions, _batches, _pairs, train_cross_encoder
from pipeline.records import Passage, Task

TASKS = [
    Task("n#1", 1, "支持企业在境外发行绿色债券。"),
    Task("n#2", 2, "允许境外仲裁机构设立业务机构。"),
    Task("n#3", 3, "支持港澳服务提供者设立独资医疗机构。"),
]


def labelled(number, text, grades):
    return LabelledPassage(Passage(f"p{number}", f"d{number}", text), "n", grades, "done")


EXAMPLES = [
    labelled(1, "一家城投公司在新加坡挂牌，募得3亿美元投向风电。", {1: 2}),
    labelled(2, "来自伦敦的调解员在江边租下两层楼，受理了首宗海事案。", {2: 2}),
    labelled(3, "香港医生合伙开的诊所本月接诊，全部股份归港方。", {3: 2}),
    labelled(4, "全年新建农村公路300公里。", {}),
    labelled(5, "绿色金融前景广阔。", {1: 1}),
]
NEAR = [[0, 1, 2], [1, 0, 2], [2, 1, 0], [0, 2, 1], [0, 1, 2]]
OPTIONS = CrossOptions(epochs=2, batch=4, tasks=2, max_tokens=64)


def test_pairs_hold_what_is_labelled_and_near_misses():
    pairs = _pairs(EXAMPLES, NEAR, {"n": {1: 0, 2: 1, 3: 2}}, OPTIONS, random.Random(1))
    found = {}
    for pair in pairs:
        found.setdefault(pair.example, {})[pair.row] = pair.grade
    assert [rows[row] for rows, row in zip([found[0], found[1], found[2]], [0, 1, 2], strict=True)] == [2, 2, 2]
    assert set(found[3].values()) == {0}
    assert found[4][0] == 1
    assert all(len(rows) == 2 for rows in found.values())


def test_batches_hold_every_pair_once_by_like_length():
    pairs = _pairs(EXAMPLES, NEAR, {"n": {1: 0, 2: 1, 3: 2}}, OPTIONS, random.Random(1))
    lengths = [10 * pair.example for pair in pairs]
    batches = _batches(pairs, lengths, 4, random.Random(2))
    assert sorted((p.example, p.row) for batch in batches for p in batch) == sorted((p.example, p.row) for p in pairs)
    assert max(len(batch) for batch in batches) == 4


def test_a_missing_folder_is_named(tmp_path):
    pair = [(EXAMPLES[0].passage, TASKS[0])]
    with pytest.raises(ModelNotFoundError, match=r"shidian (train linker|models build)"):
        CrossEncoder(tmp_path / "none").score(pair)
    assert CrossEncoder(tmp_path / "none").score([]).shape == (0, 3)


@pytest.mark.slow
def test_it_learns_and_comes_back_from_disk(tmp_path):
    said = []
    for name in ("one", "two"):
        train_cross_encoder("", {"n": TASKS}, EXAMPLES, NEAR, tmp_path / name, OPTIONS, progress=said.append)
    files = [sorted(path.relative_to(tmp_path / n) for path in (tmp_path / n).rglob("*")) for n in ("one", "two")]
    assert files[0] == files[1]
    assert any("损失" in line for line in said)
    cross = CrossEncoder(tmp_path / "one", options=OPTIONS)
    pairs = [(example.passage, task) for example in EXAMPLES[:4] for task in TASKS]
    found = np.exp(cross.score(pairs))
    assert np.allclose(found.sum(1), 1, atol=1e-4)
    carried = found[:, 2].reshape(4, 3)
    assert carried[:3].argmax(1).tolist() == [0, 1, 2]
    assert carried[3].max() < carried[:3].max(1).min()
    back = np.exp(CrossEncoder(tmp_path / "one", options=OPTIONS).score(pairs[::-1]))[::-1]
    assert np.allclose(back, found, atol=0.02)
    again = np.exp(CrossEncoder(tmp_path / "two", options=OPTIONS).score(pairs))
    assert np.allclose(again, found, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("half", [True, False])
def test_it_reads_alike_with_and_without_half_precision(half, monkeypatch):
    import torch

    used = []
    autocast = torch.autocast
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: half)
    monkeypatch.setattr(torch, "autocast", lambda *a, **k: used.append(k["enabled"]) or autocast(*a, **k))
    cross = CrossEncoder(models_folder() / "linker" / "cross")
    found = np.exp(cross.score([(example.passage, task) for example in EXAMPLES[:3] for task in TASKS]))
    # Emulated half precision is several times slower than single: an office PC without it must not use it.
    assert set(used) == {half}
    assert found[:, 2].reshape(3, 3).argmax(1).tolist() == [0, 1, 2]
