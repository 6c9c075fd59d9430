"""Settings: defaults, partial files, clear refusals."""

import dataclasses

import pytest

from pipeline.errors import DataError
from pipeline.settings import Settings


def test_partial_file_lies_over_the_defaults(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text("max_pages = 7\nlink_threshold = 1\n", encoding="utf-8")
    assert Settings.from_toml(path) == dataclasses.replace(Settings(), max_pages=7, link_threshold=1)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("max_page = 7", "max_page"),
        ('max_pages = "7"', "max_pages"),
        ("cache = 1", "cache"),
        ("max_pages = [", "TOML"),
        ("max_pages = true", "max_pages"),
    ],
)
def test_bad_files_name_what_is_wrong(tmp_path, content, says):
    path = tmp_path / "s.toml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=says):
        Settings.from_toml(path)


def test_missing_file():
    with pytest.raises(DataError, match=r"没有\.toml"):
        Settings.from_toml("没有.toml")
