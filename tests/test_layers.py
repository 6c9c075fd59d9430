"""The one-way order of the modules, read from their imports."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "pipeline"
ORDER = [
    "errors", "settings", "records", "text", "units", "readers", "extraction", "persistence", "encoding",
    "classification", "matching", "inventory", "store", "batch", "evaluation", "review", "arguments", "cli",
]  # fmt: skip


def imports(path: Path) -> set[str]:
    """The modules of this package that a file imports, at any depth of its code."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "pipeline":
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("pipeline.")}
    return found


def module_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


FILES = [path for path in sorted(ROOT.rglob("*.py")) if module_of(path) not in ("__init__", "__main__")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path):
    place = ORDER.index(module_of(path))
    later = [name for name in imports(path) if name in ORDER and ORDER.index(name) > place]
    assert not later, f"{path.name} imports {later}, which stand after it"


def test_every_module_has_its_place():
    assert {module_of(path) for path in FILES} <= set(ORDER)


def test_no_file_is_too_long():
    long = {str(path.relative_to(ROOT)): n for path in FILES if (n := len(path.read_text("utf-8").splitlines())) > 620}
    assert not long
