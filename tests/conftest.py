"""What tests share: paths, and an encoder that is made in memory."""

import hashlib
import itertools
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]


class HashingEncoder:
    """A real, tiny encoder: unit vectors of hashed character pairs; the same interface as Encoder."""

    adapter = ""
    model = "hashing"

    def encode(self, texts, kind="query", progress=None):
        vectors = np.zeros((len(texts), 256), np.float32)
        for row, text in enumerate(texts):
            for pair in itertools.pairwise(text):
                vectors[row, hashlib.md5("".join(pair).encode()).digest()[0]] += 1
            vectors[row, 0] += 1e-3
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def fingerprint(self):
        return b"hashing"


@pytest.fixture(scope="session")
def encoder():
    return HashingEncoder()


@pytest.fixture(scope="session")
def corpus():
    return ROOT / "corpus"


@pytest.fixture(scope="session")
def shared():
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the folder of larger samples is not here")
    return folder
