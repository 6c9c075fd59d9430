"""The public names exist, are documented, and cost nothing to import."""

import subprocess
import sys

import pytest

import pipeline


@pytest.mark.parametrize("name", sorted(set(pipeline.__all__) - {"__version__"}))
def test_public_name_exists_and_is_documented(name):
    value = getattr(pipeline, name)
    assert value.__doc__
    assert value.__doc__.strip()


def test_unknown_name():
    with pytest.raises(AttributeError, match="no_such_name"):
        pipeline.no_such_name  # noqa: B018


@pytest.mark.parametrize(
    "statement", ["import pipeline", "import pipeline.cli", "from pipeline import Task, read_document, extract_notice"]
)
def test_importing_loads_no_heavy_package(statement):
    code = f"{statement}\nimport sys\nprint([m for m in ('torch', 'spacy', 'sklearn', 'pandas', 'transformers') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
