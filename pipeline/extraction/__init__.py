"""From a document to what is in it: a notice with its tasks, or the passages of a report."""

from __future__ import annotations

from pipeline.extraction.passages import extract_passages

__all__ = ["extract_passages"]
