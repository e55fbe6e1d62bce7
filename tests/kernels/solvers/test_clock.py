"""The mixed clock on tiny systems with closed forms: poles, pauses, crossings, lanes on their own, and the order of its errors."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq

from kernels.solvers.clock import Memory, Stepping, System, Track, integrate
from kernels.solvers.clock_dense import SoftwareSystem
from kernels.solvers.clock_solution import ClockSolution
from kernels.solvers.step import State
from tests.compiling import cheaply

FINE = Stepping(400, 1e-13)


@dataclasses.dataclass(frozen=True)
class Plain(System):
    """dx/dt = `pace`(t, x, factor) with nothing else happening; `factor` is (lanes,)."""

    horizon: jax.Array
    factor: jax.Array
    pace: Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
    last: float = 1000.0
    tail_after: float = 1.0
    crosses: bool = False
    ceiling: Any = None

    @property
    def scales(self) -> tuple[jax.Array | float, ...]:  # type: ignore[override]
        return (self.horizon, 1.0)

    def rebuilt(self, change: Callable[[jax.Array], jax.Array]) -> Plain:
        return dataclasses.replace(self, horizon=change(self.horizon), factor=change(self.factor))

    def start(self) -> tuple[State, Memory]:
        zero = jnp.zeros_like(self.horizon)
        return (zero, zero), ()

    def rates(self, state: State, memory: Memory) -> State:
        return (self.pace(state[0], jnp.minimum(state[1], 300), self.factor),)

    def next_time(self, memory: Memory) -> jax.Array:
        return jnp.full_like(self.horizon, jnp.inf)

    def at_time(self, state: State, memory: Memory) -> tuple[State, Memory]:
        return state, memory

    def crossings(self, state: State, memory: Memory) -> tuple[jax.Array, ...]:
        return ()

    def at_crossings(self, state: State, memory: Memory, which: tuple[jax.Array, ...]) -> tuple[State, Memory]:
        return state, memory


class Waves(Plain, SoftwareSystem):
    """A pace of its own in time, whose waves grow."""

    ceiling: None = None
    leaps: bool = False

    def coordinate(self, level: jax.Array) -> jax.Array:
        return level

    def level(self, coordinate: jax.Array) -> jax.Array:
        return coordinate

    def log_paces(self, state: State, memory: Memory) -> tuple[jax.Array, jax.Array]:
        pace = jnp.log(self.rates(state, memory)[0])
        return pace, pace


class Paused(Plain):
    """x' = factor·(x + 1), but nothing from month 1 to 1.5; the memory is the number of those dates that have passed."""

    def start(self) -> tuple[State, Memory]:
        state, _ = super().start()
        return state, (jnp.zeros_like(self.horizon),)

    def rates(self, state: State, memory: Memory) -> State:
        return (jnp.where(memory[0] == 1, 0, self.factor * (state[1] + 1)),)

    def next_time(self, memory: Memory) -> jax.Array:
        return jnp.where(memory[0] == 0, 1.0, jnp.where(memory[0] == 1, 1.5, jnp.inf)).astype(self.horizon.dtype)

    def at_time(self, state: State, memory: Memory) -> tuple[State, Memory]:
        return state, (memory[0] + (state[0] >= self.next_time(memory)),)


class Halved(Plain):
    """x' = factor·(x + 1), halved once x passes 2."""

    def start(self) -> tuple[State, Memory]:
        state, _ = super().start()
        return state, (jnp.zeros_like(self.horizon),)

    def rates(self, state: State, memory: Memory) -> State:
        return (jnp.where(memory[0] > 0, 0.5, 1.0).astype(self.horizon.dtype) * self.factor * (state[1] + 1),)

    def crossings(self, state: State, memory: Memory) -> tuple[jax.Array, ...]:
        return (jnp.where(memory[0] == 0, state[1] - 2, -1),)

    def at_crossings(self, state: State, memory: Memory, which: tuple[jax.Array, ...]) -> tuple[State, Memory]:
        return state, (jnp.where(which[0], 1, memory[0]).astype(self.horizon.dtype),)


class Sawtooth(Plain):
    """A third state rises by factor a month to 1 and falls as fast to 0, again and again; x' = 1."""

    @property
    def scales(self) -> tuple[jax.Array | float, ...]:  # type: ignore[override]
        return (self.horizon, 1.0, math.inf)

    def start(self) -> tuple[State, Memory]:
        zero = jnp.zeros_like(self.horizon)
        return (zero, zero, zero), (zero,)

    def rates(self, state: State, memory: Memory) -> State:
        return (jnp.ones_like(state[1]), jnp.where(memory[0] % 2 > 0, -self.factor, self.factor))

    def crossings(self, state: State, memory: Memory) -> tuple[jax.Array, ...]:
        return (jnp.where(memory[0] % 2 > 0, -1, state[2] - 1), jnp.where(memory[0] % 2 > 0, -state[2], -1))

    def at_crossings(self, state: State, memory: Memory, which: tuple[jax.Array, ...]) -> tuple[State, Memory]:
        return state, (memory[0] + (which[0] | which[1]),)


def _run(
    kind: type[Plain],
    horizon: Any = 3.0,
    factor: Any = 1.0,
    pace: Any = None,
    stepping: Stepping = FINE,
    dtype: Any = "float64",
    furthest: float = math.inf,
    compiled: Any = cheaply,
    **others: Any,
) -> Track:
    horizon, factor = np.broadcast_arrays(np.atleast_1d(np.asarray(horizon, dtype)), np.atleast_1d(np.asarray(factor, dtype)))
    program = _program(kind, pace, stepping, furthest, compiled, tuple(others.items()))
    return jax.tree.map(np.asarray, program(jnp.asarray(horizon), jnp.asarray(factor)))


@cache
def _program(kind: type[Plain], pace: Any, stepping: Stepping, furthest: float, compiled: Any, others: tuple[tuple[str, Any], ...]) -> Any:
    def track(horizon: jax.Array, factor: jax.Array) -> Track:
        return integrate(kind(horizon, factor, pace, **dict(others)), stepping, furthest)

    return compiled(track)


def _final(track: Track) -> tuple[np.ndarray, ...]:
    return tuple(rows[int(track.used)] for rows in track.states)


def _explosion(time: Any, level: Any, factor: Any) -> Any:
    return factor * jnp.exp(level)


def _ended_in_time(track: Track) -> bool:
    return not track.unfinished.any()


def test_a_pole_and_its_approach() -> None:
    """x' = a e^x: x = −ln(1 − at)."""
    factors = np.array([0.5, 1.0, 7.0])
    track = _run(Plain, factor=factors, pace=_explosion)
    assert _ended_in_time(track)
    np.testing.assert_allclose(track.arrival, 1 / factors, rtol=1e-12)
    times, levels = (rows[: int(track.used) + 1] for rows in track.states)
    assert levels.max() > 25
    np.testing.assert_allclose(times, -np.expm1(-levels) / factors, rtol=1e-12)
    assert np.all(np.diff(times, axis=0) >= 0)


def test_a_horizon_before_the_pole_is_met_exactly() -> None:
    track = _run(Plain, horizon=[0.5, 0.9, 1 - 2.0**-20], pace=_explosion)
    time, level = _final(track)
    np.testing.assert_array_equal(time, [0.5, 0.9, 1 - 2.0**-20])
    np.testing.assert_allclose(level, -np.log1p(-time), rtol=1e-8)
    np.testing.assert_allclose(level[:2], -np.log1p(-time[:2]), rtol=1e-12)
    assert np.isinf(track.arrival).all()


@pytest.mark.slow
def test_explosions_and_fizzles_take_both_take_few_steps() -> None:
    up = _run(Plain, pace=_explosion)
    down = _run(Plain, horizon=1e9, pace=lambda time, level, factor: jnp.exp(-level))
    # e^x = 1 + t.
    np.testing.assert_allclose(_final(down)[1], math.log1p(1e9), rtol=1e-12)
    assert max(up.used, down.used) < 200


def test_nothing_is_followed_further_than_is_asked() -> None:
    track = _run(Plain, pace=_explosion, furthest=3.0)
    assert 3 < _final(track)[1][0] < 6
    assert _ended_in_time(track)
    assert np.isinf(track.arrival[0])


def test_a_pause() -> None:
    track = _run(Paused, horizon=[0.75, 1.25, 3.0], factor=[1.0, 1.0, 0.7])
    time, level = _final(track)
    np.testing.assert_array_equal(time, [0.75, 1.25, 3.0])
    np.testing.assert_allclose(level, np.expm1([0.75, 1.0, 0.7 * 2.5]), rtol=1e-12)
    last = track.states[0][: int(track.used) + 1, 2].tolist()
    # Both its ends are stepped on, and nothing moves between them.
    assert 1.0 in last
    assert 1.5 in last
    within = (track.memories[0][: int(track.used), 2] == 1) | (track.states[0][: int(track.used), 2] == 1.5)
    assert len(set(track.states[1][: int(track.used), 2][within].tolist())) == 1
    assert _ended_in_time(track)


@pytest.mark.slow
@pytest.mark.parametrize(("tolerance", "steps"), [(1e-6, 200), (1e-10, 200), (1e-13, 400)])
def test_a_crossing_is_found_and_stepped_on(tolerance: Any, steps: Any) -> None:
    """x + 1 = e^(at) to 3, and √3·e^(at/2) from there on."""
    factors = np.array([1.0, 0.31, 5.0, 0.1])
    track = _run(Halved, horizon=4.0, factor=factors, stepping=Stepping(steps, tolerance), crosses=True, last=1e9)
    assert _ended_in_time(track)
    for lane, factor in enumerate(factors):
        after = track.memories[0][: int(track.used) + 1, lane] > 0
        growth = math.exp(4 * factor)
        assert after.any() == (growth > 3)
        expected = math.sqrt(3 * growth) - 1 if growth > 3 else growth - 1
        assert _final(track)[1][lane] == pytest.approx(expected, rel=max(100 * tolerance, 1e-12))
        if after.any():
            at = int(after.argmax())
            assert track.states[1][at, lane] == pytest.approx(2, rel=1e-9)
            assert track.states[0][at, lane] == pytest.approx(math.log(3) / factor, rel=max(1e-9, 10 * tolerance))


@pytest.mark.slow
def test_crossings_there_and_back() -> None:
    factors = np.array([1.0, 0.3, 4.7])
    track = _run(Sawtooth, horizon=10.5, factor=factors, crosses=True)
    assert _ended_in_time(track)
    travelled = 10.5 * factors
    np.testing.assert_array_equal(track.memories[0][int(track.used)], np.floor(travelled))
    within = travelled % 2
    np.testing.assert_allclose(_final(track)[2], np.where(within > 1, 2 - within, within), atol=1e-11)
    np.testing.assert_allclose(_final(track)[1], 10.5, rtol=1e-13)


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        (Paused, "float64"),
        (Sawtooth, "float32"),
        *(
            pytest.param(kind, dtype, marks=pytest.mark.soak)
            for kind, dtype in itertools.product((Plain, Paused, Halved, Sawtooth), ("float32", "float64"))
            if (kind, dtype) not in ((Paused, "float64"), (Sawtooth, "float32"))
        ),
    ],
)
@pytest.mark.slow
def test_trajectories_do_not_depend_on_their_company(kind: Any, dtype: Any) -> None:
    horizons, factors = np.array([0.3, 3.0, 2.2]), np.array([0.1, 1.3, 6.0])
    given: dict[str, Any] = {"pace": _explosion, "stepping": Stepping(400, 1e-10 if dtype == "float64" else 1e-6), "dtype": dtype}
    given |= {"crosses": kind in (Halved, Sawtooth), "compiled": jax.jit}
    together, crowd = (_run(kind, np.tile(horizons, 43)[:lanes], np.tile(factors, 43)[:lanes], **given) for lanes in (16, 128))
    for lane in range(3):
        # With copies of itself: of a few lanes the compiler makes other programs, which differ in the last bit.
        alone = _run(kind, np.full(16, horizons[lane]), np.full(16, factors[lane]), **given)
        taken = int(alone.used)
        for other in (together, crowd):
            for row in range(taken):
                for mine, theirs in zip((*alone.states, *alone.memories), (*other.states, *other.memories), strict=True):
                    assert mine[row, 0] == theirs[row, lane]
            np.testing.assert_array_equal([row[0] for row in _final(alone)], [row[lane] for row in _final(other)])
            assert alone.arrival[0] == other.arrival[lane]
            assert alone.unfinished[0] == other.unfinished[lane]
        assert alone.states[0].dtype == dtype


def test_too_few_steps_are_said_of_the_lanes_that_lack_them() -> None:
    track = _run(Plain, horizon=[1e-3, 3.0], pace=_explosion, stepping=Stepping(16, 1e-13))
    assert track.unfinished.tolist() == [False, True]
    assert int(track.used) == 16
    assert np.isinf(track.arrival).all()


def _fitted(errors: Any, steps: Any) -> float:
    return float(-np.polyfit(np.log(steps), np.log(errors), 1)[0])


ORDERS = pytest.mark.parametrize(
    ("order", "tolerances"), [(5, (1e-4, 1e-5, 1e-6, 1e-7)), (8, (9e-9, 9e-10, 9e-11, 9e-12))], ids=["order5", "order8"]
)


@ORDERS
@pytest.mark.slow
def test_order_where_nothing_happens(order: Any, tolerances: Any) -> None:
    """x' = (1 + t) e^(−x): x = ln(1 + t + t²/2)."""
    exact, errors, steps = math.log(1 + 40 + 800), [], []
    for tolerance in tolerances:
        track = _run(Plain, horizon=40.0, pace=lambda t, x, _: (1 + t) * jnp.exp(-x), stepping=Stepping(400, tolerance))
        errors.append(abs(float(_final(track)[1][0]) - exact))
        steps.append(int(np.sum(track.stride[: int(track.used)] != 0)))
        assert errors[-1] < 100 * tolerance
    assert _fitted(errors, steps) > order - 1.5, (errors, steps)


@ORDERS
@pytest.mark.slow
def test_order_through_arrival(order: Any, tolerances: Any) -> None:
    """x' = (1 + sin(t)/2)·(1 − x/X)^.4 with X = 2, in u = −ln(1 − x/X): t + (1 − cos t)/2 = X/.6 at x = X."""
    exact = brentq(lambda t: t + (1 - math.cos(t)) / 2 - 2 / 0.6, 0, 10, xtol=1e-15, rtol=1e-15)
    errors, steps = [], []
    for tolerance in tolerances:
        track = _run(
            Plain,
            horizon=40.0,
            pace=lambda t, u, _: (1 + jnp.sin(t) / 2) * jnp.exp(0.6 * u) / 2,
            stepping=Stepping(400, tolerance),
            last=60.0,
            tail_after=20.0,
        )
        errors.append(abs(float(track.arrival[0]) - exact))
        steps.append(int(np.sum(track.stride[: int(track.used)] != 0)))
        assert errors[-1] < 100 * tolerance
    assert _fitted(errors, steps) > order - 1.5, (errors, steps)


@pytest.mark.slow
@pytest.mark.parametrize("precision", [pytest.param("float32", marks=pytest.mark.soak), "float64"])
def test_a_pace_is_first_met_on_a_wave_between_two_steps_though_a_later_one_is_higher(precision: Any) -> None:
    def log_pace(month: Any, xp: Any = math) -> Any:
        return 0.3 * xp.sin(month) + 0.04 * month

    summits = [math.acos(-0.04 / 0.3) + 2 * math.pi * wave for wave in range(3)]
    thresholds = np.array([log_pace(summit) - below for summit in summits for below in (3e-2, 1e-2, 3e-3, 1e-3, 3e-4)])
    exact = [
        brentq(lambda month, wanted=wanted: log_pace(month) - wanted, max(summit - 1.5, 0), summit)
        for wanted, summit in zip(thresholds, np.repeat(summits, 5), strict=True)
    ]
    system = Waves(jnp.full(8, 24.0, precision), jnp.ones(8, precision), lambda month, *_: jnp.exp(log_pace(month, jnp)))
    # Steps as long as the waves are broad.
    solution = ClockSolution(system, Stepping(200, 1e-4), system.horizon, math.inf)
    dates = np.asarray(solution.first_dates_at_pace(tuple(jnp.asarray(np.exp(thresholds), precision))))
    assert dates == pytest.approx(np.repeat(np.array(exact)[:, None], 8, axis=1), rel=2e-3)
