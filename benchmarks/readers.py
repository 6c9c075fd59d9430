"""Compare PDF table readers on the same files: tasks exact, and CPU seconds a page.

Usage: python benchmarks/readers.py FOLDER [--tools ours,pdfplumber,...] [--limit CPU_SECONDS]

FOLDER holds NAME.pdf beside NAME.tasks.json. Every tool runs in a process of its own; one that is not installed is left
out and named. "joined" hands the tables of the tool to our join of tables and our extraction of tasks, so that only the
finding of cells is compared; "naive" takes each row of each table as it stands.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Rows = list[tuple[int, str, tuple[str, ...], tuple[str, ...]]]
Grids = list[tuple[int, list[list[str]]]]


def _bare(text: str | None) -> str:
    return re.sub(r"\s+", "", text or "").translate(str.maketrans("（）", "()")).rstrip("。")


def _rows(tasks: Any) -> Rows:
    return [(t.no, t.text, t.lead_units, t.coop_units) for t in tasks]


def _ours(path: str) -> Rows:
    from pipeline.extraction.notice import extract_notice
    from pipeline.readers.pdf import read_pdf

    return _rows(extract_notice(read_pdf(path, Path(path).read_bytes(), "d")).tasks)


def _joined(grids: Grids, path: str) -> Rows:
    from pipeline.extraction.notice import extract_notice
    from pipeline.records import Cell, Document, Source, Table

    tables = []
    for number, (page, grid) in enumerate(grids, 1):
        # These tools break a cell's text at every line of the page; ours keeps only the breaks the writer made.
        flat = [[text.replace("\n", "") for text in row] for row in grid]
        cells = tuple(Cell(r, c, text, page=page) for r, row in enumerate(flat) for c, text in enumerate(row))
        tables.append(Table(cells, Source("d", page=page, table=number)))
    return _rows(extract_notice(Document("d", path, "pdf", tuple(tables))).tasks)


def _pdfplumber_grids(path: str) -> Grids:
    import pdfplumber

    with pdfplumber.open(path) as document:
        return [
            (page.page_number, [[cell or "" for cell in row] for row in grid])
            for page in document.pages
            for grid in page.extract_tables()
        ]


def _pdfplumber_naive(path: str) -> Rows:
    from pipeline.text import split_units

    found: Rows = []
    for _, grid in _pdfplumber_grids(path):
        for row in grid:
            if len(row) >= 4 and row[0].strip().isdigit():
                found.append((int(row[0]), row[1], split_units(row[2]), split_units(row[3])))
    return found


def _camelot(path: str) -> Rows:
    import camelot

    tables = camelot.read_pdf(path, pages="all", flavor="lattice")
    return _joined([(int(t.page), [[str(x) for x in row] for row in t.df.values.tolist()]) for t in tables], path)


def _img2table(path: str) -> Rows:
    from img2table.document import PDF

    found = PDF(path).extract_tables()
    grids = [
        (page + 1, [["" if x is None else str(x) for x in row] for row in t.df.values.tolist()])
        for page, tables in sorted(found.items())
        for t in tables
    ]
    return _joined(grids, path)


def _markitdown(path: str) -> Rows:
    from markitdown import MarkItDown

    from pipeline.extraction.notice import extract_notice
    from pipeline.readers.plain import read_plain
    from pipeline.settings import Settings

    text = MarkItDown().convert(path).text_content
    return _rows(extract_notice(read_plain(path, text.encode(), "d", Settings())).tasks)


TOOLS: dict[str, Callable[[str], Rows]] = {
    "ours": _ours,
    "pdfplumber naive": _pdfplumber_naive,
    "pdfplumber joined": lambda path: _joined(_pdfplumber_grids(path), path),
    "camelot joined": _camelot,
    "img2table joined": _img2table,
    "markitdown": _markitdown,
}


def _exact(rows: Rows, gold: list[dict[str, Any]]) -> int:
    by_number: dict[int, tuple[str, list[str], list[str]]] = {}
    for no, text, lead, coop in rows:
        by_number.setdefault(no, (_bare(text), [_bare(u) for u in lead], [_bare(u) for u in coop]))
    return sum(
        by_number.get(g["no"])
        == (_bare(g["text"]), [_bare(u) for u in g["lead_units"]], [_bare(u) for u in g["coop_units"]])
        for g in gold
    )


def _cpu() -> float:
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in usage)


def _one(tool: str, path: str) -> None:
    """Run one tool on one file and print the figures as JSON (in a process of its own)."""
    import logging

    import pypdfium2

    from pipeline.errors import ExtractionError

    logging.disable(logging.ERROR)
    pages = len(pypdfium2.PdfDocument(path))
    gold = json.loads(Path(path).with_suffix(".tasks.json").read_text(encoding="utf-8"))
    rows: Rows = []
    cpu = 0.0
    for _ in range(2):  # the second time counts: the first imports the tool
        before = _cpu()
        try:
            rows = TOOLS[tool](path)
        except ExtractionError:
            rows = []  # the tool found no table of tasks
        cpu = _cpu() - before
    print(json.dumps({"exact": _exact(rows, gold), "gold": len(gold), "cpu": cpu, "pages": pages}))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--tools", default=",".join(TOOLS))
    parser.add_argument(
        "--limit", type=int, default=180, help="CPU seconds a file; wall time would measure the machine"
    )
    parser.add_argument("--names", default="", help="take only these files, comma between")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        _one(*options.one)
        return 0
    names = set(filter(None, options.names.split(",")))
    files = [
        file
        for file in sorted(Path(options.folder).glob("*.pdf"))
        if file.with_suffix(".tasks.json").exists() and (not names or file.stem in names)
    ]

    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (options.limit, options.limit + 5))

    print("| | " + " | ".join(file.stem for file in files) + " | CPU s/page |")
    print("|---" * (len(files) + 2) + "|")
    for tool in options.tools.split(","):
        shown, cpu, pages = [], 0.0, 0
        for file in files:
            command = [sys.executable, __file__, options.folder, "--one", tool, str(file)]
            try:
                run = subprocess.run(command, capture_output=True, text=True, check=True, preexec_fn=bound)
                result = json.loads(run.stdout.splitlines()[-1])
            except (subprocess.CalledProcessError, ValueError, IndexError) as error:
                if getattr(error, "returncode", 0) in (-signal.SIGXCPU, -signal.SIGKILL):
                    shown.append(f"over {options.limit} CPU s")
                    continue
                text = getattr(error, "stderr", "") or str(error)
                shown.append("failed: " + text.strip().splitlines()[-1][:60].replace("|", "/"))
                continue
            shown.append(f"{result['exact']}/{result['gold']}")
            cpu += result["cpu"]
            pages += result["pages"]
        print(f"| {tool} | " + " | ".join(shown) + f" | {cpu / pages if pages else 0:.3f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
