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
        ("candidates = 1", r"s\.toml：设置 candidates 应在 2 到 50 之间，而不是 1"),
        ("candidates = 51", "candidates"),
        ("link_threshold = -0.1", "link_threshold"),
        ("sign_threshold = nan", "sign_threshold"),
        ("max_pages = 0", "max_pages 应大于 0"),
        ("batch_size = -1", "batch_size"),
        ("amber_months = 0", "amber_months"),
    ],
)
def test_bad_files_name_what_is_wrong(tmp_path, content, says):
    path = tmp_path / "s.toml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=says):
        Settings.from_toml(path)


def test_a_file_of_the_windows_editor_is_read(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text("max_pages = 7\n", encoding="utf-8-sig")
    assert Settings.from_toml(path).max_pages == 7


def test_missing_file():
    with pytest.raises(DataError, match=r"没有\.toml"):
        Settings.from_toml("没有.toml")
