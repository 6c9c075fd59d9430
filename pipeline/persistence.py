"""scikit-learn models on disk, by skops: nothing that is loaded can run code."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import Any

from pipeline.errors import ModelNotFoundError

_TRUSTED = frozenset(("sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor", "sklearn.utils._bunch.Bunch"))
"""Beside what skops trusts of itself: parts of gradient boosting, by name. A whole package would let functions in that
run what a model file tells them to."""


def save_model(model: Any, path: str | Path) -> None:
    """Save a scikit-learn model, or a dictionary of such, to a .skops file."""
    from skops.io import dump

    Path(path).parent.mkdir(parents=True, exist_ok=True)
    dump(model, path, compression=zipfile.ZIP_DEFLATED)


def folder_mark(folder: str | Path) -> str:
    """Return a mark that changes with any weight or model (safetensors, skops) in a folder."""
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted(Path(folder).rglob("*")):
        if path.suffix in (".safetensors", ".skops"):
            digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def load_model(path: str | Path) -> Any:
    """Load what save_model wrote.

    Raises:
        ModelNotFoundError: the file is missing, damaged, or holds types that skops does not trust.
    """
    from skops.io import get_untrusted_types, load

    if not Path(path).is_file():
        raise ModelNotFoundError(f"{path}：模型文件不存在。请检查安装是否完整，或重新训练。")
    try:
        unknown = get_untrusted_types(file=path)
        foreign = sorted(set(unknown) - _TRUSTED)
        if foreign:
            raise ModelNotFoundError(f"{path}：含有不受信任的类型 {foreign}，拒绝加载。请换用本项目训练的模型。")
        return load(path, trusted=unknown)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ModelNotFoundError(f"{path}：模型文件损坏（{error}）。请重新训练或重新安装。") from error
