"""A snapshot of the labelled documents, with their gold links as links: what the inventory is measured and shown on."""

import json
import os
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pipeline.records import Document, Evidence, Label, Link, Notice, Passage, Snapshot, Source, StatedCount, Task

CORPUS = Path(__file__).resolve().parents[1] / "corpus"


def gold_snapshot(date="2024-05-01", documents=()):
    """Return a snapshot of gold/dev_docs.jsonl (and further documents of that form), linked as labelled."""
    tasks = json.loads((CORPUS / "gold" / "tasks.json").read_text(encoding="utf-8"))
    notice_id = "渝府发〔2021〕19号"
    made = tuple(
        Task(f"{notice_id}#{t['no']}", t["no"], t["text"], t["part"], t["section"], tuple(t["lead_units"]),
             tuple(t["coop_units"]))
        for t in tasks
    )  # fmt: skip
    counts = (StatedCount("任务", 86, 86, "86 项改革试点任务"), StatedCount("案例", 10, None, "10 个以上案例"))
    title = "重庆市服务业扩大开放综合试点工作方案任务分工"
    path = str(CORPUS / "notices" / "渝府发〔2021〕19号.txt")
    notice = Notice(
        notice_id, title, "重庆市人民政府", notice_id, "2021-09-02", "主动公开", (), (), counts, made, path=path
    )
    labels = [
        Label(f"{notice_id}#{t['no']}", scheme, t[scheme], 0.9, "gold")
        for t in tasks
        for scheme in ("sector", "reform", "group", "stri")
    ]
    source = str(CORPUS / "gold" / "dev_docs.jsonl")
    docs, passages, links = [], [], []
    lines = (CORPUS / "gold" / "dev_docs.jsonl").read_text(encoding="utf-8").splitlines()
    for raw in [*(json.loads(line) for line in lines), *documents]:
        identity = raw["doc_id"]
        docs.append(
            Document(identity, source, "jsonl", (), title=raw["title"], issuer=raw["issuer"], date=raw["date"],
                     kind=raw["kind"])
        )  # fmt: skip
        for position, p in enumerate(raw["passages"]):
            text = re.sub(r"\s*\n(?:— \d+ —\n|- \d+ -\n)?", "", p["text"])
            passages.append(
                Passage(p["pid"], identity, text, (), Source(identity, page=1 + position // 4), title=raw["title"],
                        issuer=raw["issuer"], date=raw["date"], kind=raw["kind"])
            )  # fmt: skip
            end = text.find("。") + 1 or len(text)
            for number, link in enumerate(p["links"]):
                probability = (
                    max(0.5, 0.995 - 0.013 * ((len(text) * 7 + number * 11) % 37)) if link["grade"] == 2 else 0.6
                )
                links.append(
                    Link(p["pid"], f"{notice_id}#{link['task']}", round(probability, 3),
                         Evidence(0, end, text[:end], "与任务用语相同"), "gold", link["grade"])
                )  # fmt: skip
            labels.append(Label(p["pid"], "status", p["status"], 0.9, "gold"))
    docs.sort(key=lambda d: (d.date, d.title, d.id))
    return Snapshot(
        notice,
        tuple(labels),
        tuple(docs),
        tuple(passages),
        tuple(links),
        (),
        (),
        date,
        (("model", "gold"), ("shidian", "0")),
    )


if __name__ == "__main__":
    import resource
    import time

    from pipeline.inventory import export

    out = Path(sys.argv[1] if len(sys.argv) > 1 else "outputs/gold")
    os.makedirs(out, exist_ok=True)
    started = time.monotonic()
    print(export(gold_snapshot(), out, formats=("xlsx", "html", "docx", "csv"), progress=print))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{time.monotonic() - started:.1f} s, {peak} MB")
