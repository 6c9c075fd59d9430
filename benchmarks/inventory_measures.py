"""Measures of the inventory on the labelled documents: near-duplicate cases found, status of each task.

Usage: inventory_measures.py
"""

import json
from collections import Counter
from pathlib import Path

from inventory_world import gold_snapshot

from pipeline.inventory import View, build_ledger
from pipeline.inventory.duplicates import find_pairs
from pipeline.inventory.findings import guess_kind
from pipeline.inventory.frames import cases

COPIES = Path(__file__).with_name("reworded_cases.jsonl")


def read_copies():
    return [json.loads(line) for line in COPIES.read_text(encoding="utf-8").splitlines()]


def duplicates():
    """Return the copies found, false pairs, and the likenesses on both sides of the threshold."""
    copies = read_copies()
    frame = cases(gold_snapshot(documents=copies))
    rows = frame.to_dict("records")
    group = {row["document_id"]: row["group"] for row in rows}
    found = sum(group[copy["doc_id"]] == group[copy["of"]] for copy in copies)
    true = {frozenset((copy["doc_id"], copy["of"])) for copy in copies}
    wrong = [
        (a, b) for i, a in enumerate(group) for b in list(group)[i + 1 :]
        if group[a] == group[b] and frozenset((a, b)) not in true
    ]  # fmt: skip
    return found, wrong


def likenesses():
    copies = read_copies()
    view = View(gold_snapshot(documents=copies))
    documents = sorted(view.of_kind("case"), key=lambda d: (d.date, d.title, d.id))
    texts = ["\n".join([d.title, *(p.text for p in view.passages_of[d.id])]) for d in documents]
    true = {frozenset((copy["doc_id"], copy["of"])) for copy in copies}
    pairs = [
        (pair.similarity, frozenset((documents[pair.first].id, documents[pair.second].id)) in true)
        for pair in find_pairs(texts, 0.05)
    ]
    return sorted(s for s, t in pairs if t), sorted((s for s, t in pairs if not t), reverse=True)[:10]


def statuses():
    """Return how many tasks have the status that each simple rule gives from the labels."""
    snapshot = gold_snapshot()
    ledger = build_ledger(snapshot).set_index("task_id")["status"]
    view = View(snapshot)
    rank = {"done": 3, "ongoing": 2, "planned": 1, "none": 0}
    agree = Counter()
    for task, links in view.links_of_task.items():
        said = [(view.date_of(e.link.passage), view.value(e.link.passage, "status")) for e in links]
        told = [x for x in said if x[1] != "none"] or [("", "none")]
        latest = max(date for date, _ in told)
        rules = {
            "furthest": max((s for _, s in told), key=rank.get),
            "latest": max((s for d, s in told if d == latest), key=rank.get),
            "latest, least": min((s for d, s in told if d == latest), key=rank.get),
            "most": Counter(s for _, s in told).most_common(1)[0][0],
        }
        for name, value in rules.items():
            agree[name] += ledger[task] == value
    return {name: round(count / len(ledger), 3) for name, count in agree.items()}


def kinds():
    documents = gold_snapshot().documents
    right = sum(guess_kind(d.title) == d.kind for d in documents)
    return right, len(documents)


if __name__ == "__main__":
    found, wrong = duplicates()
    print(f"duplicates: {found} of {len(read_copies())} copies found, false pairs {wrong}")
    print("likeness of copies, of the nearest others:", *likenesses(), sep="\n  ")
    print("status by simple rules:", statuses())
    print("kind by title alone:", kinds())
