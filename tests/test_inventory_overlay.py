"""Decisions over links: what was given by a person and then doubted stays in sight."""

from pipeline.inventory import overlay
from pipeline.records import Decision, Evidence, Link


def test_a_moved_link_that_is_then_doubted_stays():
    link = Link("p", "n#1", 0.6, Evidence(0, 1, "甲"), "linker")
    moved = Decision("p", "n#1", "moved", "甲", "2024-06-01T09:00:00+08:00", "n#2")
    unsure = Decision("p", "n#2", "unsure", "乙", "2024-06-02T09:00:00+08:00")
    states = {found.link.task: found.state for found in overlay([link], [moved, unsure])}
    assert states == {"n#1": "moved", "n#2": "unsure"}


def test_doubt_without_a_link_makes_none():
    assert overlay([], [Decision("p", "n#2", "unsure", "乙", "2024-06-02T09:00:00+08:00")]) == []
