"""From a document to what is in it: a notice with its tasks, or the passages of a report."""

from __future__ import annotations

from pipeline.extraction.notice import extract_notice
from pipeline.extraction.passages import extract_passages

__all__ = ["extract_notice", "extract_passages"]
