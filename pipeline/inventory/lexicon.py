"""The editable words of the inventory: data/cues.toml and data/firms.toml, compiled once."""

from __future__ import annotations

import functools
import re
import tomllib
from pathlib import Path
from typing import Any

from pipeline.errors import DataError

DATA = Path(__file__).with_name("data")


def _read(name: str) -> dict[str, Any]:
    path = DATA / name
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}：词表无法读取（{error}）。请检查文件是否为 TOML 格式，或重新安装。") from error


@functools.cache
def cues(group: str) -> dict[str, re.Pattern[str]]:
    """Return the patterns of a group of cues.toml by name, in the order of the file.

    Raises:
        DataError: the file is missing or malformed, or a pattern is no regular expression.

    Example:
        >>> bool(cues("heading")["results"].search("三、取得成效"))
        True
    """
    table = _read("cues.toml").get(group)
    if not isinstance(table, dict):
        raise DataError(f"{DATA / 'cues.toml'}：缺少 [{group}]。请补上，或重新安装。")
    patterns = {}
    for name, entries in table.items():
        try:
            patterns[str(name)] = re.compile("|".join(f"(?:{entry})" for entry in entries))
        except (re.error, TypeError) as error:
            raise DataError(f"{DATA / 'cues.toml'}：[{group}] {name} 有误（{error}）。请检查括号和引号。") from error
    return patterns


@functools.cache
def units(kind: str) -> tuple[str, ...]:
    """Return the units of figures, the longest first; kind is "money" or "count"."""
    return tuple(sorted(_read("cues.toml")["units"][kind], key=len, reverse=True))


@functools.cache
def firm_words(kind: str) -> tuple[str, ...]:
    """Return a list of firms.toml (suffixes, legal, starts, generic, stop or known), the longest first."""
    return tuple(sorted(_read("firms.toml")[kind], key=len, reverse=True))
