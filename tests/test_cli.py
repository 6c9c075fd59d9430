"""The command line as a process, on real files."""

import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.encoding import models_folder

ROOT = Path(__file__).parents[1]
NOTICE = ROOT / "corpus" / "notices" / "渝府发〔2021〕19号.txt"


def shidian(*arguments, text=None, code=0):
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", *map(str, arguments)],
        input=text, capture_output=True, text=True, encoding="utf-8", cwd=ROOT, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr[-2000:]
    return done.stdout, done.stderr


def test_tasks_in_every_format(tmp_path):
    out, err = shidian("tasks", NOTICE, "--format", "jsonl")
    rows = [json.loads(line) for line in out.splitlines()]
    assert len(rows) == 86
    assert rows[0]["no"] == 1
    assert rows[0]["source"]["row"]
    assert "86 项任务" in err
    out, _ = shidian("tasks", NOTICE, "--format", "csv")
    assert out.splitlines()[0].startswith("序号,")
    out, _ = shidian("tasks", NOTICE)
    assert len(out.splitlines()) == 87
    target = tmp_path / "任务.xlsx"
    shidian("tasks", NOTICE, "--format", "xlsx", "-o", target)
    import openpyxl

    sheet = openpyxl.load_workbook(target).active
    assert sheet.max_row == 87
    assert sheet.freeze_panes == "A2"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("没有.pdf", None, "找不到"),
        ("空.txt", b"", "空"),
        ("无表.txt", "关于开展工作的通知\n\n请各单位认真落实。\n".encode(), "任务"),
        ("未知.bin", bytes(range(256)) * 8, "格式"),
        ("别的表.txt", "通知\n\n| 名称 | 数量 |\n|--|--|\n| 甲 | 1 |\n".encode(), "任务"),
    ],
)
def test_a_bad_notice_is_one_line_that_names_the_file(tmp_path, name, content, says):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    out, err = shidian("tasks", path, code=1)
    assert out == ""
    message = err.strip().splitlines()[-1]
    assert name in message
    assert says in message
    assert "Traceback" not in err


def test_bad_arguments_and_settings(tmp_path):
    _, err = shidian("tasks", code=2)
    assert "--help" in err
    settings = tmp_path / "s.toml"
    settings.write_text("max_page = 3", encoding="utf-8")
    _, err = shidian("tasks", NOTICE, "--settings", settings, code=1)
    assert "max_page" in err


def run_here(capsys, *arguments):
    """Exit code, output and messages of the command line in this process."""
    from pipeline.cli import main

    try:
        code = main([*map(str, arguments)])
    except SystemExit as stop:
        code = stop.code
    return code, *capsys.readouterr()


@pytest.mark.parametrize(
    "arguments",
    [
        ("match", "x.jsonl", "--notice", NOTICE, "--top", "-1"),
        ("run", "x.jsonl", "--notice", NOTICE, "--workers", "0"),
        ("run", "x.jsonl", "--notice", NOTICE, "--date", "2024-6-1"),
        ("export", "--date", "2024年6月1日"),
        ("review", "--port", "99999"),
        ("train", "linker", "--model", "x"),
    ],
)
def test_silly_values_are_one_line(capsys, arguments):
    code, out, err = run_here(capsys, *arguments)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert arguments[-1] in err
    assert "参数有误" in err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--help",), "用法：shidian"),
        (("match", "--help"), "显示本说明"),
        (("nosuch",), "没有“nosuch”，可选"),
        (("run",), "缺少 INPUT"),
        (("review", "--port"), "--port：后面要写一个值"),
        (("export", "--foo"), "没有 --foo 这样的参数"),
        (("review", "--no-browser=3"), "后面不能写值"),
    ],
)
def test_what_the_parser_says_of_itself_is_chinese(capsys, arguments, told):
    _, out, err = run_here(capsys, *arguments)
    assert told in out + err
    assert not re.search(r"usage|argument|choice|option|required|show this|expected", out + err)


@pytest.mark.parametrize("command", [("classify", "x.jsonl"), ("models",), ("train", "classifier")])
def test_every_command_looks_at_the_settings(capsys, tmp_path, command):
    settings = tmp_path / "s.toml"
    settings.write_text("candidates = 99", encoding="utf-8")
    code, _, err = run_here(capsys, *command, "--settings", settings)
    assert code == 1
    assert err.strip().startswith(f"{settings}：设置 candidates 应在 2 到 50 之间")
    code, _, err = run_here(capsys, *command, "--settings", "没有.toml")
    assert (code, err.startswith("没有.toml")) == (1, True)


@pytest.mark.slow
def test_a_damaged_model_is_found_before_it_is_needed(capsys, monkeypatch, tmp_path):
    assert run_here(capsys, "models", "check")[0] == 0
    models = tmp_path / "models"
    models.mkdir()
    for folder in models_folder().iterdir():
        if folder.is_dir():
            copy = models / folder.name
            shutil.copytree(folder, copy) if folder.name == "linker" else copy.symlink_to(folder)
    damaged = models / "linker" / "decision.skops"
    damaged.write_bytes(damaged.read_bytes()[:2000])
    monkeypatch.setattr("pipeline.encoding.models_folder", lambda: models)
    code, out, err = run_here(capsys, "models", "check")
    assert code == 1
    assert [line.split()[1] for line in out.splitlines()[1:]] == ["可用", "可用", "损坏"]
    assert str(damaged.parent) in err


@pytest.mark.parametrize("option", ["--decisions", "--background"])
def test_what_only_the_linker_learns_from_is_refused_elsewhere(capsys, option):
    code, _, err = run_here(capsys, "train", "classifier", option, "x")
    assert (code, len(err.splitlines())) == (1, 1)
    assert f"{option} 只用于" in err


def test_a_misspelt_store_is_told_of_and_not_made(capsys, tmp_path):
    for command in (("export",), ("import", "x.xlsx"), ("review",), ("train", "linker")):
        option = "--decisions" if command[0] == "train" else "--store"
        code, _, err = run_here(capsys, *command, option, tmp_path / "typo.sqlite")
        assert (code, "typo.sqlite" in err) == (1, True)
    assert not list(tmp_path.iterdir())


def test_a_part_is_exported_into_a_folder_of_its_own(capsys, tmp_path):
    from pipeline.store import Store
    from tests.makers.snapshots import snapshot

    whole = snapshot()
    with Store(tmp_path / "shidian.sqlite") as store:
        store.save_notice(whole.notice, whole.labels)
        for document in whole.documents:
            passages = [p for p in whole.passages if p.document_id == document.id]
            here = {p.id for p in passages}
            store.save_document(
                whole.notice.id, document, passages, [link for link in whole.links if link.passage in here]
            )
    code, out, _ = run_here(capsys, "export", "--out", tmp_path, "--format", "html")
    assert (code, out.split()) == (0, [str(tmp_path / "report.html")])
    before = (tmp_path / "report.html").read_bytes()
    unit = whole.notice.tasks[0].lead_units[0]
    code, out, _ = run_here(
        capsys, "export", "--out", tmp_path, "--format", "html", "--unit", unit, "--since", "2023-01-01"
    )
    assert (code, out.split()) == (0, [str(tmp_path / f"仅含_2023-01-01以来_{unit}" / "report.html")])
    assert (tmp_path / "report.html").read_bytes() == before


@pytest.mark.parametrize("piped", [True, False])
def test_classify_reads_what_windows_writes(capsys, monkeypatch, tmp_path, piped):
    from pipeline.classification import SCHEMES, TaskClassifier
    from pipeline.records import Label

    class Classifier:
        def predict(self, rows, reasons):
            return [Label(row["id"], scheme, row["text"], 0.5, "classifier") for row in rows for scheme in SCHEMES]

    monkeypatch.setattr(TaskClassifier, "from_disk", lambda *_: Classifier())
    path = tmp_path / "t.jsonl"
    path.write_bytes('{"id": "1", "text": "允许设立综合医院。"}'.encode("gb18030"))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(path.open("rb"), "ascii"))
    code, out, _ = run_here(capsys, "classify", "-" if piped else path)
    assert (code, json.loads(out)["sector"]) == (0, "允许设立综合医院。")


def test_classify_refuses_lines_without_text(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text('{"id": "1"}\n', encoding="utf-8")
    _, err = shidian("classify", path, code=1)
    assert "第1条" in err


@pytest.mark.slow
def test_classify_from_standard_input():
    lines = [
        {"id": "a", "text": "允许外商独资设立综合医院。"},
        {"id": "b", "text": ""},
        {"id": "c", "text": "好" * 3000},
    ]
    out, _ = shidian("classify", "-", text="\n".join(json.dumps(line) for line in lines))
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["id"] for row in rows] == ["a", "b", "c"]
    assert rows[0]["sector"] == "health"
    assert rows[0]["reform"] == "market_access"
    assert {f"{scheme}_probability" for scheme in ("sector", "reform", "group", "stri")} <= rows[0].keys()
    assert rows[1]["sector_probability"] < 0.5


@pytest.mark.slow
def test_match_gives_back_the_given_ids():
    document = {
        "doc_id": "D1", "kind": "progress", "title": "2023年工作总结", "issuer": "市商务委", "date": "2023-12-30",
        "passages": [
            {"pid": "D1-1", "text": "一家新加坡资本的旅行社拿到出境游许可，已组团赴泰国，台湾线路不在其列。", "links": "ignored"},
            {"pid": "D1-2", "text": "示例文件，内容为虚构"},
        ],
    }  # fmt: skip
    out, _ = shidian("match", "-", "--notice", NOTICE, "--top", "10", text=json.dumps(document))
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["pid"] for row in rows] == ["D1-1", "D1-2"]
    assert len(rows[0]["candidates"]) == 10
    assert rows[0]["candidates"][0]["task"] == 55
    assert [link["task"] for link in rows[0]["links"]] == [55]
    link = rows[0]["links"][0]
    assert 0.5 <= link["probability"] <= 1
    assert link["evidence"]["text"] in document["passages"][0]["text"]
    assert rows[0]["status"] in ("done", "ongoing", "planned", "none")
    assert 0 <= rows[0]["status_probability"] <= 1
    assert rows[0]["status_cue"] in document["passages"][0]["text"]
    assert rows[1]["links"] == []


def test_what_match_lists_changes_no_link_and_another_model_is_warned_of(capsys, monkeypatch, tmp_path):
    from pipeline.matching import TaskMatcher

    used = []

    class Matcher:
        def fit(self, tasks):
            return self

        def predict(self, passages):
            return []

    monkeypatch.setattr(TaskMatcher, "from_disk", lambda settings: used.append(settings) or Matcher())
    monkeypatch.setattr("pipeline.batch.read_many", lambda *_: iter(()))
    settings = tmp_path / "s.toml"
    settings.write_text("candidates = 4", encoding="utf-8")
    for top in ("2", "30"):
        code, _, err = run_here(
            capsys, "match", "x.jsonl", "--notice", NOTICE, "--top", top, "--settings", settings, "--model", "another"
        )
        assert (code, used[-1].candidates, used[-1].model) == (0, 4, "another")
        assert "校准" in err


def test_match_tells_the_figures_and_the_words_of_the_status(capsys, monkeypatch):
    from pipeline.cli import main
    from pipeline.matching import Prediction, TaskMatcher
    from pipeline.records import Label

    class Matcher:
        def fit(self, tasks):
            return self

        def predict(self, passages):
            reasons = ((("惠及9户企业", 0.4),), ())
            return [
                Prediction(p, (), (), (), Label(p.id, "status", "done", 0.91234, "status", reasons=why))
                for p, why in zip(passages, reasons, strict=True)
            ]

    monkeypatch.setattr(TaskMatcher, "from_disk", lambda *_, **__: Matcher())
    passages = [
        {"pid": "D1-1", "text": "全国首单落地，惠及9户企业，时限由11天减为2天。"},
        {"pid": "D1-2", "text": "2023年3月印发第27期简报。"},
    ]
    document = {"doc_id": "D1", "title": "工作总结", "passages": passages}
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(json.dumps(document).encode()), "utf-8"))
    assert main(["match", "-", "--notice", str(NOTICE), "--workers", "1"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows[0]["figures"] == [
        {"kind": "first", "value": "全国首单", "unit": "", "text": "全国首单落地"},
        {"kind": "count", "value": "9", "unit": "户", "text": "惠及9户企业"},
        {"kind": "change", "value": "由11天减为2天", "unit": "", "text": "时限由11天减为2天"},
    ]
    assert [(row["status_probability"], row["status_cue"]) for row in rows] == [(0.9123, "惠及9户企业"), (0.9123, "")]
    assert rows[1]["figures"] == []


def test_import_takes_the_good_rows_of_a_csv_and_names_the_bad(tmp_path):
    from pipeline.store import Store
    from tests.makers.snapshots import NOTICE_ID, snapshot, task_id

    with Store(tmp_path / "shidian.sqlite") as store:
        store.save_notice(snapshot().notice, snapshot().labels)
    path = tmp_path / "标注.csv"
    path.write_bytes("任务,行业,改革类型\r\n1,金融服务,\r\n9,金融服务,\r\n2,,规则监管\r\n".encode("gb18030"))
    out, err = shidian("import", path, "--out", tmp_path, "--reviewer", "=王某", code=1)
    assert "读回 2 条标注" in out
    assert err.strip().startswith("第3行：任务“9”")
    path.write_text("任务,类别,取值,标注人\n1,行业,金融服务,=王某\n", encoding="utf-8-sig")
    out, err = shidian("import", path, "--out", tmp_path)
    assert "读回 0 条标注" in out
    assert err == ""
    with Store(tmp_path / "shidian.sqlite") as store:
        said = [x for x in store.snapshot(NOTICE_ID).labels if x.labeller == "=王某"]
    assert [(x.target, x.value) for x in said] == [(task_id(1), "finance"), (task_id(2), "regulation")]
    bad = tmp_path / "别的.csv"
    bad.write_text("甲,乙\n1,2\n", encoding="utf-8")
    _, err = shidian("import", bad, "--out", tmp_path, code=1)
    assert "别的.csv" in err
    assert "Traceback" not in err


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """One run over the sample reports and three bad files."""
    folder = tmp_path_factory.mktemp("run")
    bad = folder / "来文"
    bad.mkdir()
    (bad / "空.docx").write_bytes(b"")
    (bad / "坏.pdf").write_bytes(b"%PDF-1.7\ngarbage")
    (bad / "说明.txt").write_text("=1+1 关于试点工作的说明\n\n一家外资仲裁机构在渝设立业务机构。\n", encoding="utf-8")
    out, err = shidian(
        "run",
        ROOT / "corpus" / "reports",
        bad,
        "--notice",
        NOTICE,
        "--out",
        folder / "out",
        "--date",
        "2024-01-31",
        code=1,
    )
    return folder / "out", out, err


@pytest.mark.slow
def test_run_writes_files_that_open_and_agree(outputs):
    import openpyxl

    folder, out, _ = outputs
    assert "未能读取 2" in out
    book = openpyxl.load_workbook(folder / "inventory.xlsx")
    assert {"案例清单", "任务台账", "关联明细", "问题清单"} <= set(book.sheetnames)
    problems = [[str(cell.value or "") for cell in row] for row in book["问题清单"].iter_rows()]
    for name in ("空.docx", "坏.pdf"):
        assert any(name in "".join(row) for row in problems), name
    assert not [cell.coordinate for sheet in book for row in sheet.iter_rows() for cell in row if cell.data_type == "f"]
    ledger = book["任务台账"]
    numbers = [row[0].value for row in ledger.iter_rows() if isinstance(row[0].value, int | float)]
    assert len(numbers) == 86
    html = (folder / "report.html").read_text(encoding="utf-8")
    assert "http://" not in html.replace("http://www.w3.org", "")
    assert "<script src" not in html


@pytest.mark.slow
def test_a_second_run_reads_nothing_again_and_changes_nothing(outputs):
    import sqlite3

    folder, _, _ = outputs

    def content():
        with sqlite3.connect(folder / "shidian.sqlite") as connection:
            return connection.execute("SELECT * FROM links ORDER BY 1, 2, 3").fetchall()

    before = content()
    assert before
    out, _ = shidian(
        "run", ROOT / "corpus" / "reports", folder.parent / "来文", "--notice", NOTICE, "--out", folder,
        "--date", "2024-01-31", code=1,
    )  # fmt: skip
    assert "新读 0" in out
    assert content() == before
    out, _ = shidian("export", "--out", folder, "--format", "csv", "--since", "2023-01-01")
    assert "tables" in out


@pytest.mark.slow
def test_another_folder_adds_and_a_deleted_file_goes(tmp_path):
    """Each quarter comes in a folder of its own: the earlier ones still count."""
    first, second, out = tmp_path / "一季度", tmp_path / "二季度", tmp_path / "out"
    first.mkdir()
    second.mkdir()
    (first / "甲.txt").write_text("甲报告\n\n已设立绿色金融服务平台，累计办理贷款12笔。\n", encoding="utf-8")
    (first / "乙.txt").write_text("乙报告\n\n已出台数据安全管理办法，覆盖3个区县。\n", encoding="utf-8")
    (second / "丙.txt").write_text("丙报告\n\n已开通国际货运航线2条，通关时间压缩一半。\n", encoding="utf-8")
    shidian("run", first, "--notice", NOTICE, "--out", out)
    said, _ = shidian("run", second, "--notice", NOTICE, "--out", out)
    assert "3 份文档" in said
    assert "另有 2 份" in said
    (first / "乙.txt").unlink()
    said, _ = shidian("run", first, "--notice", NOTICE, "--out", out)
    assert "2 份文档" in said
    assert "新读 0，未变 1" in said
    assert "另有 1 份" in said


@pytest.mark.slow
def test_nothing_reaches_the_network(tmp_path):
    """The main job runs with every socket refused."""
    code = (
        "import socket, sys\n"
        "def refuse(*a, **k): raise OSError('network refused by the test')\n"
        "socket.socket.connect = refuse; socket.create_connection = refuse; socket.getaddrinfo = refuse\n"
        "from pipeline.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    report = next((ROOT / "corpus" / "reports").glob("*.txt"))
    done = subprocess.run(
        [sys.executable, "-c", code, "run", str(report), "--notice", str(NOTICE), "--out", str(tmp_path)],
        capture_output=True, text=True, encoding="utf-8", cwd=ROOT, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "inventory.xlsx").exists()
