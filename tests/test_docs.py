"""The documents: every command has help and stands in the README; what they show can be run."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import pipeline.cli
from pipeline.arguments import command_parser

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = sorted(command_parser()._subparsers._group_actions[0].choices)


@pytest.mark.parametrize("command", COMMANDS)
def test_command_has_help_with_an_example_and_stands_in_the_readme(command, capsys):
    with pytest.raises(SystemExit) as stop:
        pipeline.cli.main([command, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "例子" in text
    assert f"shidian {command}" in text
    assert f"shidian {command}" in README


def test_options_shown_in_the_readme_exist():
    for line in re.findall(r"^\s*(?:\$ )?shidian (\w+)([^\n|`]*)", README, re.M):
        command, rest = line
        if command not in COMMANDS:
            continue
        parser = command_parser()._subparsers._group_actions[0].choices[command]
        known = {option for action in parser._actions for option in action.option_strings}
        assert set(re.findall(r"--[a-z-]+", rest)) <= known, line


def test_links_between_documents_lead_somewhere():
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.slow
def test_the_lines_of_python_in_the_readme_run():
    block = re.search(r"```python\n(.*?)```", README, re.S).group(1)
    done = subprocess.run(
        [sys.executable, "-c", block], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
