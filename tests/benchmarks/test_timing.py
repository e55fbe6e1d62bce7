"""Contenders take turns, and ratios are of turns side by side."""

from __future__ import annotations

import time

import pytest

from benchmarks.timing import Rounds, interleaved, rates, ratio, spread


def test_contenders_take_turns_after_a_turn_that_is_not_timed():
    turns: list[str] = []
    seconds = interleaved({"a": lambda: turns.append("a"), "b": lambda: turns.append("b")}, rounds=2)
    assert turns == ["a", "b"] * 3
    assert [len(taken) for taken in seconds.values()] == [2, 2]


def test_a_short_run_is_repeated_until_its_turn_has_lasted_and_counts_once():
    turns: list[float] = []

    def short() -> None:
        turns.append(time.perf_counter())
        time.sleep(0.02)

    seconds = interleaved({"short": short}, Rounds(2, 0.1))["short"]
    # Once untimed, then as often as are needed; a sleep may last longer than asked, but no shorter.
    assert 5 <= len(turns) <= 1 + 2 * 5
    assert all(0.02 <= taken < 0.1 for taken in seconds)


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
