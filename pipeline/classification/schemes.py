"""The schemes, their classes, names and definitions, from classes.toml beside this module."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from pathlib import Path

SCHEMES = ("sector", "reform", "group", "stri")
UNCLASSIFIED = "unclassified"


@dataclass(frozen=True)
class ClassInfo:
    """A class of a scheme: its key, the name shown, what it means, and cue words of the keyword baseline."""

    key: str
    name: str
    definition: str
    cues: tuple[str, ...]


@functools.cache
def schemes() -> dict[str, dict[str, ClassInfo]]:
    """Return the classes of each scheme by key, in the order of the file."""
    text = Path(__file__).with_name("classes.toml").read_text(encoding="utf-8")
    return {
        scheme: {
            key: ClassInfo(key, value["name"], value["definition"], tuple(value["cues"]))
            for key, value in classes.items()
        }
        for scheme, classes in tomllib.loads(text).items()
    }


def class_name(scheme: str, value: str) -> str:
    """Return the Chinese name of a class, the key itself where it has none.

    Example:
        >>> class_name("sector", "tech"), class_name("reform", "unclassified")
        ('科技服务', '未能分类')
    """
    if value == UNCLASSIFIED:
        return "未能分类"
    info = schemes().get(scheme, {}).get(value)
    return info.name if info else value
