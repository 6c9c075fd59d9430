"""The units of a notice as a table: which body each name means, and what it leads and helps in."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from pipeline.inventory.frames import _frame, numbers_of
from pipeline.inventory.view import View
from pipeline.records import Snapshot, Task

if TYPE_CHECKING:
    import pandas

UNIT_COLUMNS = ["name", "full_name", "current", "kind", "level", "origin", "lead_tasks", "coop_tasks"]
ORIGINS = {"lexicon": "词典", "pattern": "构词规则", "free": "泛称", "unknown": "未识别"}


def unit_table(source: Snapshot | View) -> pandas.DataFrame:
    """Return a row for each spelling of a unit in the notice: the unknown first, then as the notice names them.

    Spellings with the same current name stand together; they are counted as one.
    """
    view = View.of(source)
    units = view.units
    leads: dict[str, list[Task]] = defaultdict(list)
    helps: dict[str, list[Task]] = defaultdict(list)
    for task in view.tasks.values():
        for names, found in ((task.lead_units, leads), (task.coop_units, helps)):
            for name in dict.fromkeys(names):
                found[name].append(task)
    first: dict[str, int] = {}
    rows: list[dict[str, Any]] = []
    for position, name in enumerate(units.spellings):
        unit, current = units.resolve(name), units.current(name)
        first.setdefault(current, position)
        rows.append(
            {
                "name": name, "full_name": unit.name, "current": current, "kind": unit.kind, "level": unit.level,
                "origin": unit.origin, "lead_tasks": numbers_of(leads[name]), "coop_tasks": numbers_of(helps[name]),
            }
        )  # fmt: skip
    rows.sort(key=lambda row: (row["origin"] != "unknown", first[row["current"]]))
    return _frame(rows, UNIT_COLUMNS)
