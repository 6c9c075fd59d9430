"""Texts to vectors: model folders, the sentence model, adapters over it, and a cache by content."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pipeline.encoding.e5 import build_default_model
from pipeline.errors import ModelNotFoundError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = [
    "BATCH_SIZE",
    "DEFAULT_MODEL",
    "Encoder",
    "VectorCache",
    "build_default_model",
    "model_folder",
    "models_folder",
    "precision",
]

DEFAULT_MODEL = "e5-small-zh"
BATCH_SIZE = 16
"""Texts that go through a model at a time: with more, their states outgrow the processor's cache."""


def models_folder() -> Path:
    """Return the folder of models: models/ of a checkout, else the one inside the installed package."""
    package = Path(__file__).resolve().parents[1]
    beside = package.parent / "models"
    return beside if (package.parent / "pyproject.toml").is_file() else package / "models"


def model_folder(name: str = "") -> str:
    """Return the folder of a sentence model, or the name as it is when it is a hub's.

    Args:
        name: a folder, a hub name, or "" for the default model.

    Raises:
        ModelNotFoundError: the default model has not been built, or the folder holds no model.
    """
    if not name:
        folder = models_folder() / DEFAULT_MODEL
        if not (folder / "modules.json").is_file():
            raise ModelNotFoundError(f"默认模型尚未构建（{folder}）。请运行 shidian models build。")
        return str(folder)
    if Path(name).is_dir() and not (Path(name) / "modules.json").is_file():
        raise ModelNotFoundError(f"{name}：不是 sentence-transformers 模型目录（缺 modules.json）。")
    return name


class VectorCache:
    """Vectors by model and text, in one SQLite file or in memory.

    Args:
        path: the file; "" keeps the last IN_MEMORY vectors in memory: several steps ask for the same texts.
    """

    IN_MEMORY = 50_000

    def __init__(self, path: str | Path = "") -> None:
        self.path = str(path)
        self._connection: sqlite3.Connection | None = None
        self._memory: dict[bytes, np.ndarray] = {}

    def _open(self) -> sqlite3.Connection | None:
        if self.path and self._connection is None:
            Path(self.path).parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(self.path, check_same_thread=False)
            self._connection.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, value BLOB)")
        return self._connection

    def get(self, keys: Sequence[bytes]) -> dict[bytes, np.ndarray]:
        """Return the known vectors among keys."""
        connection = self._open()
        found: dict[bytes, np.ndarray] = {}
        if connection is None:
            return {key: self._memory[key] for key in keys if key in self._memory}
        for start in range(0, len(keys), 500):
            part = list(keys[start : start + 500])
            query = "SELECT key, value FROM vectors WHERE key IN (" + ",".join("?" * len(part)) + ")"  # noqa: S608
            for key, value in connection.execute(query, part):
                found[key] = np.frombuffer(value, np.float32)
        return found

    def put(self, vectors: dict[bytes, np.ndarray]) -> None:
        """Keep vectors."""
        connection = self._open()
        if connection is None:
            self._memory |= vectors
            for key in list(self._memory)[: max(0, len(self._memory) - self.IN_MEMORY)]:
                del self._memory[key]
        elif vectors:
            rows = [(key, value.astype(np.float32).tobytes()) for key, value in vectors.items()]
            with connection:
                connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)


class Encoder:
    """A sentence-transformers model with its prompts, an optional LoRA adapter, and a cache.

    Args:
        model: a folder or hub name; "" is the default model.
        adapter: a PEFT adapter folder laid over the model; "" for none.
        batch_size: texts at a time.
        cache: a VectorCache, or None.

    Example:
        >>> Encoder().encode(["支持设立绿色金融平台"]).shape  # doctest: +SKIP
        (1, 384)
    """

    def __init__(
        self, model: str = "", *, adapter: str = "", batch_size: int = BATCH_SIZE, cache: VectorCache | None = None
    ) -> None:
        self.model = model
        self.adapter = adapter
        self.batch_size = batch_size
        self.cache = cache
        self._loaded: SentenceTransformer | None = None
        self._fingerprint = b""

    def load(self) -> SentenceTransformer:
        """Load the model once and return it.

        Raises:
            ModelNotFoundError: there is no such model, or its files are damaged.
        """
        if self._loaded is None:
            from safetensors import SafetensorError
            from sentence_transformers import SentenceTransformer
            from transformers.utils import logging

            logging.set_verbosity_error()
            logging.disable_progress_bar()
            folder = model_folder(self.model)
            local = Path(folder).is_dir()
            try:
                loaded = SentenceTransformer(folder, device="cpu", local_files_only=local)
                if self.adapter:
                    _merge_adapter(loaded, self.adapter)
            except (OSError, ValueError, KeyError, SafetensorError) as error:
                raise ModelNotFoundError(
                    f"{folder}：模型无法加载（{str(error).splitlines()[0]}）。请检查目录，或运行 shidian models build。"
                ) from error
            loaded.eval()
            self._loaded = loaded
        return self._loaded

    def fingerprint(self) -> bytes:
        """Return bytes that change when the model, its adapter or its files change."""
        if not self._fingerprint:
            digest = hashlib.blake2b(digest_size=8)
            for folder in filter(None, (model_folder(self.model), self.adapter)):
                digest.update(folder.encode() if not Path(folder).is_dir() else b"")
                for path in sorted(Path(folder).rglob("*")) if Path(folder).is_dir() else []:
                    if path.is_file() and path.suffix != ".md":
                        digest.update(path.relative_to(folder).as_posix().encode())
                        with path.open("rb") as file:
                            digest.update(hashlib.file_digest(file, "sha256").digest())
            self._fingerprint = digest.digest()
        return self._fingerprint

    def keys(self, texts: Sequence[str], kind: Literal["query", "passage"]) -> dict[str, bytes]:
        """Return by which key the cache knows the vector of each text."""
        mark = self.fingerprint() + kind.encode()
        return {
            text: hashlib.blake2b(mark + text.encode("utf-8", "replace"), digest_size=16).digest()
            for text in dict.fromkeys(texts)
        }

    def encode(
        self,
        texts: Sequence[str],
        kind: Literal["query", "passage"] = "query",
        progress: Callable[[int, int], None] | None = None,
    ) -> np.ndarray:
        """Return unit vectors, shape (texts, dimensions), float32.

        Args:
            texts: the texts; an empty one gets the vector of the bare prompt.
            kind: which of the model's prompts stands before each text, where it has any.
            progress: called with (done, all) between batches.

        Raises:
            ModelNotFoundError: the model cannot be loaded.
        """
        keys = self.keys(texts, kind)
        known = self.cache.get(list(keys.values())) if self.cache else {}
        # Long texts first: batches of like length waste least on padding.
        missing = sorted((text for text in keys if keys[text] not in known), key=len, reverse=True)
        step = self.batch_size * 8
        for start in range(0, len(missing), step):
            part = missing[start : start + step]
            model = self.load()
            prompt = model.prompts.get(kind, "")
            with precision():
                vectors = model.encode(
                    part, prompt=prompt, batch_size=self.batch_size, normalize_embeddings=True, show_progress_bar=False
                )
            fresh = {keys[text]: np.asarray(vector, np.float32) for text, vector in zip(part, vectors, strict=True)}
            if self.cache:
                self.cache.put(fresh)
            known |= fresh
            if progress:
                progress(min(start + step, len(missing)), len(missing))
        if not texts:
            return np.zeros((0, self.load().get_embedding_dimension() or 0), np.float32)
        return np.stack([known[keys[text]] for text in texts])


def precision() -> AbstractContextManager[Any]:
    """Half precision where the processor multiplies it in hardware: twice as fast, cosines within 0.001.

    Elsewhere it would be emulated, several times slower than single precision.
    """
    import torch

    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=bool(torch.cpu._is_avx512_bf16_supported()))


def _merge_adapter(model: SentenceTransformer, folder: str) -> None:
    """Merge a LoRA adapter into the weights, so that encoding costs nothing more."""
    import warnings

    from peft import PeftModel

    transformer = model[0]
    with warnings.catch_warnings():
        # peft still asks transformers by an older name; nothing a user could do about.
        warnings.simplefilter("ignore", FutureWarning)
        transformer.auto_model = PeftModel.from_pretrained(transformer.auto_model, folder).merge_and_unload()
