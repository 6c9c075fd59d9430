"""Vectors: the cache, model folders, and the model built from package data."""

import numpy as np
import pytest

from pipeline.encoding import Encoder, VectorCache, build_default_model, model_folder, models_folder, together
from pipeline.encoding.e5 import find_data
from pipeline.encoding.together import encode_together
from pipeline.errors import ModelNotFoundError


def test_cache_returns_what_was_put(tmp_path):
    path = tmp_path / "deep" / "vectors.sqlite"
    vectors = {bytes([i]): np.full(3, i, np.float32) for i in range(4)}
    VectorCache(path).put(vectors)
    found = VectorCache(path).get([*vectors, b"unknown"])
    assert found.keys() == vectors.keys()
    assert all((found[key] == vectors[key]).all() for key in vectors)
    assert VectorCache().get([b"a"]) == {}


def test_without_a_file_the_last_vectors_are_kept_in_memory(monkeypatch):
    monkeypatch.setattr(VectorCache, "IN_MEMORY", 2)
    cache = VectorCache()
    for i in range(3):
        cache.put({bytes([i]): np.full(3, i, np.float32)})
    assert cache.get([b"\x00", b"\x01", b"\x02"]).keys() == {b"\x01", b"\x02"}


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(ModelNotFoundError, match=r"modules\.json"):
        model_folder(str(tmp_path))
    assert model_folder("BAAI/some-model") == "BAAI/some-model"


def test_missing_and_wrong_data_files(tmp_path):
    with pytest.raises(ModelNotFoundError, match="whl"):
        find_data(tmp_path / "no.whl")
    wrong = tmp_path / "e5-small-q4.bin"
    wrong.write_bytes(b"E5S1" + bytes(100))
    with pytest.raises(ModelNotFoundError, match="校验和"):
        build_default_model(tmp_path / "model", wrong)
    assert not (tmp_path / "model").exists()


@pytest.mark.slow
def test_the_default_model_ranks_by_meaning_and_knows_odd_characters():
    encoder = Encoder()
    vectors = encoder.encode(["发行绿色债券", "支持绿色金融", "校园足球", "⼯作２０２１", "工作2021"])
    likeness = vectors @ vectors.T
    assert vectors.shape == (5, 384)
    assert likeness[0, 1] > likeness[0, 2]
    assert likeness[3, 4] > 0.999  # radicals and full widths are the same characters to the model
    tokens = encoder.load().tokenizer.tokenize("（ATA单证册）①㎡")
    assert "<unk>" not in tokens


@pytest.mark.slow
def test_vectors_come_from_the_cache(tmp_path):
    cache = VectorCache(tmp_path / "v.sqlite")
    first = Encoder(cache=cache).encode(["绿色金融", "仲裁", "绿色金融"])
    again = Encoder(cache=cache)
    assert (again.encode(["绿色金融", "仲裁", "绿色金融"]) == first).all()
    assert again._loaded is None
    assert (first[0] == first[2]).all()


@pytest.mark.slow
def test_encoding_together_gives_the_vectors_that_each_gives_alone(monkeypatch):
    adapters = ["", *(str(models_folder() / name) for name in ("linker/adapter", "linker/status"))]
    texts = ["一家外资医院获批设立。", "全年新建公路300公里，" * 20, "", "一家外资医院获批设立。"]
    cache, run = VectorCache(), []
    encoders = [Encoder(adapter=adapter, batch_size=2, cache=cache) for adapter in adapters]
    monkeypatch.setattr(
        together, "_upper", lambda found, *rest, upper=together._upper: run.append(len(found)) or upper(found, *rest)
    )
    encode_together([*encoders, Encoder()], texts)
    # Half of the twelve layers are the same in all three; two batches.
    assert run == [6] * 4
    assert len(together._layers(encoders[0].load())) == 12
    for adapter, encoder in zip(adapters, encoders, strict=True):
        assert all(key in cache._memory for key in encoder.keys(texts, "query").values())
        likeness = (encoder.encode(texts) * Encoder(adapter=adapter).encode(texts)).sum(1)
        assert likeness.min() > 0.9999
    run.clear()
    encode_together(encoders, texts)
    assert not run, "known vectors are not made again"


@pytest.mark.slow
def test_models_without_common_layers_encode_for_themselves():
    import torch

    first, second = (Encoder(adapter=a, cache=VectorCache()) for a in ("", str(models_folder() / "linker" / "adapter")))
    with torch.no_grad():
        second.load()[0].auto_model.embeddings.LayerNorm.weight.mul_(2)
    encode_together([first, second], ["甲", "乙"])
    assert not first.cache._memory
    assert not second.cache._memory


def test_the_mean_of_adapters_is_the_mean_of_their_products(tmp_path):
    import json

    import torch
    from safetensors.torch import load_file, save_file

    from pipeline.encoding.adapters import average_adapters

    torch.manual_seed(1)
    wanted = torch.zeros(5, 4)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        a, b = torch.randn(2, 4), torch.randn(5, 2)
        wanted += 2 * (b @ a) / 2
        save_file({"x.lora_A.weight": a, "x.lora_B.weight": b}, tmp_path / name / "adapter_model.safetensors")
        (tmp_path / name / "adapter_config.json").write_text(json.dumps({"r": 2, "lora_alpha": 4}))
    average_adapters([tmp_path / "one", tmp_path / "two"], tmp_path / "mean")
    mean = load_file(tmp_path / "mean" / "adapter_model.safetensors")
    config = json.loads((tmp_path / "mean" / "adapter_config.json").read_text())
    assert config["r"] == len(mean["x.lora_A.weight"]) == 4
    scale = config["lora_alpha"] / config["r"]
    assert torch.allclose(scale * mean["x.lora_B.weight"] @ mean["x.lora_A.weight"], wanted, atol=1e-6)
