"""Records to what the pilot office files: frames, workbook, ledger, reports, and the officer's answers read back."""

from __future__ import annotations

from pipeline.inventory.exports import FORMATS, cut_name, export, filter_snapshot, write_tables
from pipeline.inventory.frames import build_inventory, links_frame, policies, problems_frame, projects
from pipeline.inventory.ledger import Results, build_ledger, history, totals
from pipeline.inventory.report import write_report
from pipeline.inventory.returned import read_returned_workbook
from pipeline.inventory.view import EffectiveLink, View, overlay
from pipeline.inventory.word import write_word
from pipeline.inventory.workbook import write_workbook

__all__ = [
    "FORMATS",
    "EffectiveLink",
    "Results",
    "View",
    "build_inventory",
    "build_ledger",
    "cut_name",
    "export",
    "filter_snapshot",
    "history",
    "links_frame",
    "overlay",
    "policies",
    "problems_frame",
    "projects",
    "read_returned_workbook",
    "totals",
    "write_report",
    "write_tables",
    "write_word",
    "write_workbook",
]
