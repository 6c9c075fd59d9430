"""Vectors: the cache, model folders, and the model built from package data."""

import numpy as np
import pytest

from pipeline.encoding import Encoder, VectorCache, build_default_model, model_folder
from pipeline.encoding.e5 import find_data
from pipeline.errors import ModelNotFoundError


def test_cache_returns_what_was_put(tmp_path):
    path = tmp_path / "deep" / "vectors.sqlite"
    vectors = {bytes([i]): np.full(3, i, np.float32) for i in range(4)}
    VectorCache(path).put(vectors)
    found = VectorCache(path).get([*vectors, b"unknown"])
    assert found.keys() == vectors.keys()
    assert all((found[key] == vectors[key]).all() for key in vectors)
    assert VectorCache().get([b"a"]) == {}


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
