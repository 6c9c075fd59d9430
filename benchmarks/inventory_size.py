"""CPU time and memory of the workbook for many documents (wall time says little on shared machines).

Usage: inventory_size.py [DOCUMENTS] [LINKS]   (5000 30000)
"""

import json
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

from inventory_world import CORPUS, gold_snapshot

from pipeline.inventory import Results, write_workbook
from pipeline.records import Document, Evidence, Label, Link, Passage, Snapshot, Source

KINDS = ("progress", "progress", "case", "briefing", "policy", "project")


def many(documents, links):
    """Return a snapshot with documents made of shuffled sentences of the labelled ones."""
    chance = random.Random(7)
    notice = gold_snapshot().notice
    raw = (CORPUS / "gold" / "dev_docs.jsonl").read_text(encoding="utf-8").splitlines()
    sentences = [s for line in raw for p in json.loads(line)["passages"] for s in p["text"].split("。") if len(s) > 12]
    made, passages, found, labels = [], [], [], []
    for number in range(documents):
        identity = f"d{number}"
        date = f"202{chance.randint(1, 4)}-{chance.randint(1, 12):02d}-{chance.randint(1, 28):02d}"
        kind = KINDS[number % len(KINDS)]
        title = chance.choice(sentences)[:24]
        path = f"/data/来文/{number}.pdf"
        made.append(Document(identity, path, "pdf", (), 9, title, f"某区第{number % 40}局", date, kind=kind))
        for position in range(max(1, links // documents)):
            text = (
                "。".join(chance.sample(sentences, 4)).replace("\n", "")
                + f"。第{number}号共{chance.randint(11, 9999)}万元。"
            )
            key = f"{identity}-{position}"
            source = Source(identity, page=position + 1)
            passages.append(Passage(key, identity, text, ("一、进展",), source, "", title, "", date, kind))
            labels.append(Label(key, "status", chance.choice(("done", "ongoing", "planned", "none")), 0.8, "status"))
            task = chance.choice(notice.tasks)
            evidence = Evidence(0, 40, text[:40], "词语相同")
            found.append(Link(key, task.id, round(chance.uniform(0.5, 1), 4), evidence, "linker"))
    return Snapshot(notice, tuple(labels), tuple(made), tuple(passages), tuple(found), date="2024-06-01")


if __name__ == "__main__":
    documents, links = (int(value) for value in (sys.argv[1:] + ["5000", "30000"][len(sys.argv) - 1 :])[:2])
    snapshot = many(documents, links)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    started = time.process_time()
    results = Results(snapshot)
    framed = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "inventory.xlsx"
        write_workbook(results, path)
        size = path.stat().st_size
    ended = time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{documents} documents, {len(snapshot.links)} links: frames {framed - started:.1f} s, "
          f"workbook {ended - framed:.1f} s, {size / 2**20:.1f} MB; memory {before} MB before, {peak} MB peak")  # fmt: skip
