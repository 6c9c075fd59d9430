"""What tests share: paths, and an encoder that is made in memory."""

import gc
import hashlib
import itertools
import time
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


@pytest.fixture
def growth():
    """How many times longer a function of a size takes on eight times the size: 8 where time goes by length, 64 by its
    square. The best of three, with no collector that other tests' objects keep busy.
    """

    def seconds(function, size):
        times = []
        for _ in range(3):
            gc.collect()
            gc.disable()
            try:
                start = time.process_time()
                function(size)
                times.append(time.process_time() - start)
            finally:
                gc.enable()
        return min(times)

    return lambda function, size: seconds(function, 8 * size) / seconds(function, size)
