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


def told(*decisions):
    """States after decisions (task, verdict, moved_to), in this order, on a link of task 1."""
    link = Link("p", "n#1", 0.6, Evidence(0, 1, "甲"), "linker")
    made = [
        Decision("p", f"n#{t}", v, "甲", "2024-06-01T09:00:00+08:00", f"n#{m}" if m else "") for t, v, m in decisions
    ]
    return {e.link.task.removeprefix("n#"): (e.state, e.counts) for e in overlay([link], made)}


def test_a_link_moved_back_is_there_again():
    assert told((1, "moved", 2), (2, "moved", 1)) == {"1": ("received", True)}
    again = {"1": ("moved", False), "3": ("received", True)}
    assert told((1, "moved", 2), (2, "moved", 1), (1, "moved", 3)) == again


def test_a_later_move_stands_over_an_earlier_word_on_its_target():
    moved = {"1": ("moved", False), "2": ("received", True)}
    assert told((2, "rejected", 0), (1, "moved", 2)) == moved
    assert told((1, "moved", 2), (2, "rejected", 0), (1, "moved", 2)) == moved
    assert told((1, "moved", 2), (2, "rejected", 0)) == {"1": ("moved", False), "2": ("rejected", False)}
