"""Every default in one place; a partial TOML file may lie over it."""

from __future__ import annotations

import dataclasses
import math
import tomllib
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import DataError

_BOUNDS = {"candidates": (2, 50), "link_threshold": (0, 1), "sign_threshold": (0, 1)}
"""Least and greatest value; any other number need only be above 0."""


@dataclass(frozen=True)
class Settings:
    """All that can be set, with its default.

    Example:
        >>> Settings().max_pages
        2000
    """

    # Bounds on one input file.
    max_bytes: int = 200 * 2**20
    max_pages: int = 2000
    max_characters: int = 20_000_000
    max_pixels: int = 100_000_000
    max_depth: int = 100
    """Nesting of markup, of tables and of page trees."""
    max_archive_bytes: int = 500 * 2**20
    """Unpacked size of a DOCX, OFD or XLSX."""
    max_archive_ratio: int = 200
    """Unpacked size divided by packed size, for members over 1 MiB."""
    max_seconds: float = 300.0
    """Wall time of one file, without character recognition."""
    max_memory: int = 2 * 2**30
    """Address space of the worker that reads one file, where the system can bound it."""

    # Passages.
    min_passage_characters: int = 15
    """Shorter paragraphs stay with the next one as its heading or lead."""
    max_passage_characters: int = 600

    # Units.
    unit_lexicon: str = ""
    """A further CSV of units laid over pipeline/data/units.csv, with the same columns; names in it win."""

    # Models.
    model: str = ""
    """A sentence-transformers folder or hub name; "" is the default model under models/."""
    linker: str = ""
    """Folder of the linker, as `shidian train linker --out` makes one; "" is models/linker."""
    batch_size: int = 16
    cache: bool = True
    """Keep vectors by content in the folder of outputs."""

    # Links.
    link_threshold: float = 0.0
    """Least calibrated probability of a link that is filed; 0 is the linker's own, learnt in training."""
    sign_threshold: float = 0.97
    """Links at least this probable need no reading before they are signed."""
    candidates: int = 10
    """Tasks that are judged for each passage; more can change which links are filed."""

    # Lights of the ledger.
    amber_months: int = 6
    """No evidence for so many months before the day of the run: amber."""
    red_months: int = 12
    """No evidence for so many months, or a missed deadline: red."""

    def __post_init__(self) -> None:
        """Refuse a number that nothing could be done with.

        Raises:
            DataError: a number lies outside its bounds.
        """
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                continue
            least, most = _BOUNDS.get(field.name, (0, math.inf))
            bounded = field.name in _BOUNDS
            if not (least <= value <= most if bounded else value > 0):  # so that "not a number" is refused as well
                should = f"应在 {least} 到 {most} 之间" if bounded else "应大于 0"
                raise DataError(f"设置 {field.name} {should}，而不是 {value}。请改正，或去掉该项以用默认值。")

    @classmethod
    def from_toml(cls, path: str | Path) -> Settings:
        """Return the defaults with the values of a TOML file laid over them.

        Raises:
            DataError: the file cannot be read, a name is unknown, or a value is of the wrong kind or out of bounds.
        """
        try:
            values = tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
        except (OSError, ValueError) as error:
            raise DataError(f"{path}：设置文件无法读取（{error}）。请检查文件是否为 TOML 格式。") from error
        fields = {field.name: field for field in dataclasses.fields(cls)}
        for name, value in values.items():
            if name not in fields:
                raise DataError(f"{path}：没有名为 {name} 的设置。可用：{'、'.join(sorted(fields))}。")
            default = getattr(cls, name)
            if isinstance(value, bool) != isinstance(default, bool) or not isinstance(
                value, (int, float) if isinstance(default, float) else type(default)
            ):
                raise DataError(f"{path}：{name} 应为 {type(default).__name__}，而不是 {value!r}。")
        try:
            return cls(**values)
        except DataError as error:
            raise DataError(f"{path}：{error}") from error
