"""The training corpus: tasks of many notices, and documents whose passages are labelled with tasks.

corpus/training/tasks.jsonl      {"id", "notice", "no", "part", "section", "text", "lead_units", "coop_units", labels}
corpus/training/documents.jsonl  {"doc_id", "notice", "kind", "title", "issuer", "date", "passages":
                                  [{"pid", "text", "links": [{"task": no, "grade": 2 or 1}], "status"}], "held"}
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.errors import DataError
from pipeline.records import Passage, Task, read_jsonl
from pipeline.text import clean


@dataclass(frozen=True)
class LabelledPassage:
    """A passage with its true links (task number to grade) and status."""

    passage: Passage
    notice: str
    grades: dict[int, int]
    status: str
    held: bool = False
    """Kept from the first adapter, so that the decision can be learnt from passages it has not seen."""


MOST_CHARACTERS = 20_000
"""Of a passage that are read: a whole book given as one passage must not stop a batch."""


def clean_passage(passage: Passage) -> Passage:
    """Return the passage without line breaks and odd widths in text and title, and no longer than is read."""
    return replace(passage, text=clean(passage.text[:MOST_CHARACTERS]), title=clean(passage.title[:MOST_CHARACTERS]))


def labelled_passages(document: dict[str, Any], notice: str = "") -> list[LabelledPassage]:
    """Return the labelled passages of one document in the form of documents.jsonl.

    Raises:
        DataError: a passage lacks its id, text, links or status.
    """
    labelled = []
    held = bool(document.get("held", False))
    try:
        for passage in document["passages"]:
            record = Passage(
                passage["pid"],
                document["doc_id"],
                passage["text"],
                title=document.get("title", ""),
                issuer=document.get("issuer", ""),
                date=document.get("date", ""),
                kind=document.get("kind", ""),
            )
            grades = {int(link["task"]): int(link["grade"]) for link in passage["links"]}
            labelled.append(LabelledPassage(record, document.get("notice", notice), grades, passage["status"], held))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"文档 {document.get('doc_id', '?')} 的标注不完整：{error}。请检查该行。") from error
    return labelled


def read_labelled(path: str | Path, notice: str = "") -> list[LabelledPassage]:
    """Return all labelled passages of a file."""
    return [item for document in read_jsonl(path) for item in labelled_passages(document, notice)]


def read_tasks(path: str | Path) -> dict[str, list[Task]]:
    """Return the tasks of a training file by notice."""
    notices: dict[str, list[Task]] = {}
    for row in read_jsonl(path):
        task = Task(
            row["id"],
            int(row["no"]),
            row["text"],
            part=row.get("part", ""),
            section=row.get("section", ""),
            lead_units=tuple(row.get("lead_units", ())),
            coop_units=tuple(row.get("coop_units", ())),
        )
        notices.setdefault(row["notice"], []).append(task)
    return notices
