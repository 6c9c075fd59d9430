"""shidian: read a government notice into task records, classify the tasks, link reports and cases to them.

Names are loaded when they are first used: importing the package loads neither torch nor spaCy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from pipeline.batch import run
    from pipeline.classification import TaskClassifier
    from pipeline.errors import PipelineError, ReadError
    from pipeline.extraction import extract_notice, extract_passages
    from pipeline.inventory import build_inventory
    from pipeline.matching import TaskMatcher
    from pipeline.readers import read_document, read_documents
    from pipeline.records import Decision, Document, Label, Link, Notice, Passage, Source, Task, to_frame
    from pipeline.settings import Settings
    from pipeline.store import Store

_HOMES = {
    "run": "batch",
    "TaskClassifier": "classification",
    "PipelineError": "errors",
    "ReadError": "errors",
    "extract_notice": "extraction",
    "extract_passages": "extraction",
    "build_inventory": "inventory",
    "TaskMatcher": "matching",
    "read_document": "readers",
    "read_documents": "readers",
    "Decision": "records",
    "Document": "records",
    "Label": "records",
    "Link": "records",
    "Notice": "records",
    "Passage": "records",
    "Source": "records",
    "Task": "records",
    "to_frame": "records",
    "Settings": "settings",
    "Store": "store",
}

__all__ = [
    "Decision",
    "Document",
    "Label",
    "Link",
    "Notice",
    "Passage",
    "PipelineError",
    "ReadError",
    "Settings",
    "Source",
    "Store",
    "Task",
    "TaskClassifier",
    "TaskMatcher",
    "__version__",
    "build_inventory",
    "extract_notice",
    "extract_passages",
    "read_document",
    "read_documents",
    "run",
    "to_frame",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'pipeline' has no attribute {name!r}")
    return getattr(importlib.import_module(f"pipeline.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
