"""Contenders take turns, and ratios are of turns side by side."""

from __future__ import annotations

import pytest

from benchmarks.timing import Rounds, interleaved, rates, ratio, spread


def test_contenders_take_turns_after_a_turn_that_is_not_timed():
    turns: list[str] = []
    seconds = interleaved({"a": lambda: turns.append("a"), "b": lambda: turns.append("b")}, rounds=2)
    assert turns == ["a", "b"] * 3
    assert [len(taken) for taken in seconds.values()] == [2, 2]


def test_a_short_run_is_repeated_until_its_turn_has_lasted_and_counts_once(monkeypatch):
    now, turns = 0.0, []

    def takes(seconds):
        def run():
            nonlocal now
            now += seconds
            turns.append(seconds)

        return run

    monkeypatch.setattr("benchmarks.timing.time.perf_counter", lambda: now)
    seconds = interleaved({"short": takes(0.25), "long": takes(2.0)}, Rounds(2, 1.0))
    assert turns == [0.25, 2.0, *2 * [*4 * [0.25], 2.0]]
    assert seconds == {"short": [0.25, 0.25], "long": [2.0, 2.0]}


def test_a_contender_may_measure_itself():
    taken = iter([9.0, 1.0, 2.0])
    assert interleaved({"a": lambda: next(taken)}, rounds=2) == {"a": [1.0, 2.0]}


def test_spread_and_rates():
    assert spread(rates([1.0, 2.0, 8.0], 16.0)) == {"median": 8.0, "low": 2.0, "high": 16.0, "runs": 3}


def test_a_ratio_is_taken_round_by_round():
    # Round by round both are twice as fast, however much the machine slows down in between.
    assert ratio([10.0, 2.0], [5.0, 1.0]) == {"median": 2.0, "low": 2.0, "high": 2.0, "runs": 2}
    with pytest.raises(ValueError, match="shorter"):
        ratio([1.0, 2.0], [1.0])
