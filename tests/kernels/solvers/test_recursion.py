"""Recursions: knots, dates and levels between them, and windows, against sums and searches in plain Python."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kernels.solvers.recursion import NEVER, solve_recursion


def _solve(
    durations: Any,
    horizon: Any,
    width: Any = 1.0,
    ceiling: Any = None,
    cut: Any = False,
    ask: Any = lambda s: s,
    dtype: Any = jnp.float64,
    all_steps: Any = False,
) -> Any:
    """A recursion whose steps take given months, (steps, lanes)."""
    rows = jnp.asarray(durations, dtype)

    def run(rows: Any) -> Any:
        return ask(
            solve_recursion(
                state=(),
                duration=lambda state, n: rows[jnp.minimum(n.astype(int), len(durations) - 1), jnp.arange(rows.shape[1])],
                may_begin=lambda state, n: n < len(durations) + jnp.zeros(rows.shape[1], dtype),
                advance=lambda state, n, time: state,
                horizon=jnp.full(rows.shape[1], horizon, dtype),
                steps=len(durations),
                width=width,
                ceiling=None if ceiling is None else jnp.full(rows.shape[1], ceiling, dtype),
                cut_last_step=cut,
                all_steps=all_steps,
            )
        )

    return jax.tree.map(np.asarray, jax.jit(run)(rows))


DURATIONS = np.array([[4.0, 3.0, 2.0, 1.0, 0.5, 2.0, 6.0, 9.0], [1.0] * 8, [9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0]]).T


@pytest.mark.parametrize("width", [1.0, 0.25])
@pytest.mark.slow
def test_dates_and_levels_between_knots_are_linear(width: Any) -> None:
    levels = tuple(np.round(np.arange(0, 8, 0.3) * width, 9).tolist())
    times = (0.0, 0.7, 4.0, 9.99, 10.0, 17.5)
    dates, made, pace = _solve(DURATIONS, 20.0, width, ask=lambda s: (s.dates(levels), *s.levels(times)))
    for lane, column in enumerate(DURATIONS.T):
        knots = np.concatenate([[0], np.cumsum(column)])
        reached = np.interp(levels, width * np.arange(9), knots)
        np.testing.assert_allclose(dates[:, lane], np.where(reached <= 20, reached, np.inf), rtol=1e-12)
        inside = np.array(times) < knots[-1]
        np.testing.assert_allclose(made[inside, lane], np.interp(times, knots, width * np.arange(9))[inside], rtol=1e-12)
        step = np.minimum(np.searchsorted(knots, times, side="right"), 8) - 1
        np.testing.assert_allclose(pace[inside, lane], (width / column[step])[inside], rtol=1e-12)


def test_a_step_begins_before_the_horizon_and_is_completed_or_cut() -> None:
    whole, cut = (
        _solve(DURATIONS, 8.0, cut=cut, ask=lambda s: (s.last, s.last_time, s.last_level, s.level_at_horizon())) for cut in (False, True)
    )
    np.testing.assert_array_equal(whole[0], [3, 8, 1])
    np.testing.assert_array_equal(whole[1], [9, 8, 9])
    np.testing.assert_array_equal(whole[2], [3, 8, 1])
    np.testing.assert_allclose(whole[3], [2.5, 8, 8 / 9])
    np.testing.assert_array_equal(cut[0], [3, 8, 1])
    np.testing.assert_array_equal(cut[1], [8, 8, 8])
    np.testing.assert_allclose(cut[2], [2.5, 8, 8 / 9])


def test_a_ceiling_stops_software_within_a_step() -> None:
    level, dates = _solve(DURATIONS, 100.0, ceiling=4.5, ask=lambda s: (s.last_level, s.dates((4.0, 4.5, 5.0))))
    np.testing.assert_allclose(level, 4.5)
    np.testing.assert_allclose(dates[0], DURATIONS[:4].sum(axis=0))
    np.testing.assert_allclose(dates[1], DURATIONS[:5].sum(axis=0))
    assert np.all(np.isinf(dates[2]))


@pytest.mark.slow
@pytest.mark.parametrize("horizon", [12.0, 100.0])
def test_shortest_windows_by_brute_force(horizon: Any) -> None:
    amounts = (0.5, 1.0, 2.3, 3.0, 4.75)
    found = _solve(DURATIONS, horizon, ask=lambda s: s.shortest_durations(amounts))
    for lane, column in enumerate(DURATIONS.T):
        knots = np.concatenate([[0], np.cumsum(column)])
        starts = np.linspace(0, 8, 80001)
        for amount, ours in zip(amounts, found[:, lane], strict=True):
            begin = np.interp(starts, np.arange(9), knots)
            end = np.interp(starts + amount, np.arange(9), knots, right=np.inf)
            brute = np.where(end <= horizon + 1e-12, end - begin, np.inf).min()
            assert ours == pytest.approx(brute, abs=2e-3)


def test_windows_between_knots() -> None:
    def ask(s: Any) -> Any:
        lanes = jnp.asarray([1, 2, 3], jnp.int32)
        return s.shortest_knot_durations((1, 3, 8, 9)), s.shortest_knot_durations((lanes,)), s.most_doublings_within((1.0, 3.6, 1000.0))

    static, varying, most = _solve(DURATIONS, 1000.0, ask=ask)
    np.testing.assert_allclose(static[:3], [[0.5, 1, 2], [3.5, 3, 9], [27.5, 8, 44]])
    assert np.all(static[3] >= NEVER)
    np.testing.assert_allclose(varying[0], [0.5, 2, 9])
    # Strictly less: one month does not hold a doubling that takes one.
    np.testing.assert_array_equal(most, [[1, 0, 0], [3, 3, 1], [8, 8, 8]])


def test_windows_of_short_steps_hold_whole_doublings() -> None:
    static = _solve(DURATIONS, 1000.0, width=0.4, ask=lambda s: s.shortest_knot_durations((1, 2, 3, 4)))
    # 1, 2 and 3 doublings are 3, 5 and 8 steps of 0.4.
    expected = [[min(column[i : i + n].sum() for i in range(9 - n)) for column in DURATIONS.T] for n in (3, 5, 8)]
    np.testing.assert_allclose(static[:3], expected)
    assert np.all(static[3] >= NEVER)


def test_paces_and_the_end_of_the_loop() -> None:
    paces, cut = _solve(DURATIONS, 18.0, ask=lambda s: (s.paces(), s.cut_off))
    np.testing.assert_allclose(paces.highest, [2, 1, 1 / 7])
    np.testing.assert_allclose(paces.date_of_highest, [10, 0, 17])
    np.testing.assert_allclose(paces.lowest[0], 1 / 6)
    np.testing.assert_array_equal(cut, [False, False, False])


@pytest.mark.slow
@pytest.mark.parametrize("cut", [pytest.param(False, marks=pytest.mark.soak), True])
def test_a_loop_that_ends_with_the_longest_lane_finds_the_same(cut: bool) -> None:
    rows = np.concatenate([DURATIONS, np.full((25, 3), 4.0)])

    def ask(s: Any) -> Any:
        lanes = jnp.asarray([1, 2, 3], jnp.int32)
        return {
            "dates": s.dates((0.5, 2.0, 5.0, 30.0)),
            "levels": s.levels((1.0, 12.0, 13.9, 14.0, 60.0)),
            "level": s.level_at_horizon(),
            "paces": s.paces(),
            "first dates": s.first_dates_at_pace((jnp.full(3, 0.2), jnp.full(3, 0.9))),
            "durations": s.shortest_durations((0.5, 3.0, 20.0)),
            "of knots": s.shortest_knot_durations((1, 3, 8, 30, lanes)),
            "most": s.most_doublings_within((1.0, 3.6)),
            "ends": (s.last, s.last_time, s.last_level, s.endless, s.cut_off),
            "steps": jnp.asarray(s.used),
        }

    every, needed = (_solve(rows, 14.0, cut=cut, ask=ask, all_steps=all_steps) for all_steps in (True, False))
    steps = every.pop("steps"), needed.pop("steps")
    # The second lane makes 8 steps of a month and 2 of four; one more, which none begins, says that all have ended.
    assert steps == (33, 11)
    jax.tree.map(np.testing.assert_array_equal, every, needed)


def test_a_loop_that_is_too_short_is_said() -> None:
    def run(horizon: Any) -> Any:
        zero = jnp.zeros_like(horizon)
        solution = solve_recursion((), lambda state, n: zero + 1, lambda state, n: zero == 0, lambda state, n, time: state, horizon, 5)
        return solution.cut_off, solution.level_at_horizon()

    cut, level = jax.jit(run)(jnp.array([4.5, 5.0, 5.5]))
    np.testing.assert_array_equal(cut, [False, False, True])
    np.testing.assert_array_equal(level, [4.5, 5.0, np.inf])
