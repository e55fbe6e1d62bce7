"""A solution in a clock of its own, seen on the calendar: for laws whose pace is a law of software times a factor of calendar time.

Equation: dx/dt = B(t)/T(x). In the base clock θ with dθ = B(t) dt the law is autonomous, dx/dθ = 1/T(x), so a solver of autonomous laws
finds x(θ), and dates are t = Φ⁻¹(θ), Φ(t) = ∫₀ᵗ B dt′.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import lax

from kernels.solvers.quadrature import QuadratureSolution
from kernels.solvers.search import best_of, narrowed, root_of
from kernels.solvers.solution import Paces, Solution, log_of_met, slack

_STARTS = 96
"""Window starts that are tried: a rising factor can give the pace two peaks, so the best one is looked for and then refined."""


@dataclass(frozen=True)
class TimeChangedSolution(Solution):
    """`base` runs to the base clock's reading at `horizon`; `to_base` and `to_calendar` are Φ and its inverse, `factor` is B, which is
    smooth but for `bend` (months, (lanes,))."""

    base: QuadratureSolution
    to_base: Callable[[jax.Array], jax.Array]
    to_calendar: Callable[[jax.Array], jax.Array]
    factor: Callable[[jax.Array], jax.Array]
    bend: jax.Array
    horizon: jax.Array

    @property
    def cut_off(self) -> jax.Array:  # type: ignore[override]
        return self.base.cut_off

    @property
    def failed(self) -> jax.Array:
        return self.base.failed

    @property
    def blow_up(self) -> jax.Array:
        return self._date(self.base.blow_up)

    def _date(self, base_date: jax.Array) -> jax.Array:
        reached = base_date < jnp.inf
        return jnp.where(reached, self.to_calendar(jnp.where(reached, base_date, 0)), jnp.inf)

    def dates(self, levels: tuple[float, ...]) -> jax.Array:
        return self._date(self.base.dates(levels))

    def _level_at(self, time: jax.Array) -> tuple[jax.Array, jax.Array]:
        level, pace = self.base.level_at(self.to_base(time))
        return level, pace * self.factor(time)

    def levels(self, times: tuple[float, ...]) -> tuple[jax.Array, jax.Array]:
        return self._level_at(jnp.stack([jnp.full_like(self.horizon, time) for time in times]))

    def _least(self, cost: Callable[[jax.Array], jax.Array], low: jax.Array, high: jax.Array) -> jax.Array:
        """Where `cost` is least on [low, high]: the best of a grid, then golden-section search between its neighbours."""

        before, place, after = best_of(cost, lambda index: low + (high - low) * (index / (_STARTS - 1)), _STARTS, low)
        left, right = narrowed(cost, before, after, 18 if low.dtype == jnp.float32 else 36)
        middle = (left + right) / 2
        return jnp.where(cost(middle) < cost(place), middle, place)

    def level_at_horizon(self) -> jax.Array:
        return self._level_at(self.horizon)[0]

    def shortest_durations(self, doublings: tuple[float | jax.Array, ...]) -> jax.Array:
        last, _ = self._level_at(self.horizon)
        rows = []
        for amount in doublings:

            def duration(start: jax.Array, amount: float | jax.Array = amount) -> jax.Array:
                return self._date(self.base.date_at(jnp.minimum(start + amount, last))) - self._date(self.base.date_at(start))

            start = self._least(duration, jnp.zeros_like(last), jnp.maximum(last - amount, 0))
            rows.append(jnp.where(last >= amount, duration(start), jnp.inf))
        return jnp.stack(rows)

    def paces(self) -> Paces:
        zero = jnp.zeros_like(self.horizon)

        def pace(time: jax.Array) -> jax.Array:
            return self._level_at(time)[1]

        first = pace(zero)  # Before the search, which traces `pace` apart: what the solution keeps must not be made in there.

        def slope(time: jax.Array) -> jax.Array:
            found: jax.Array = jax.jvp(pace, (time,), (jnp.ones_like(time),))[1]
            return found

        date = root_of(slope, lambda: self._least(lambda time: -pace(time), zero, self.horizon), zero, self.horizon)
        bend = jnp.minimum(self.bend, self.horizon)
        # Where the factor stops rising the pace may be highest without being level there.
        date = jnp.where(pace(bend) >= pace(date), bend, date)
        slowest = self._least(pace, zero, self.horizon)
        return Paces(first, pace(date), date, pace(slowest), pace(self.horizon))

    def first_dates_at_pace(self, paces: tuple[jax.Array, ...]) -> jax.Array:
        # Sought along the base's coordinate, in which neither an explosion nor a ramp is short.
        wanted = log_of_met(jnp.stack(paces))
        last = self.base.coordinate_at_horizon
        zero = jnp.zeros_like(last)

        def date_of(w: jax.Array) -> jax.Array:
            return jnp.minimum(self._date(self.base.date_of_coordinate(w)), self.horizon)

        def log_pace(w: jax.Array) -> jax.Array:
            return jnp.log(self.factor(date_of(w))) - self.base.log_time(w)

        def above(w: jax.Array) -> jax.Array:
            return log_pace(w) - wanted

        def visit(found: tuple[jax.Array, ...], share: jax.Array) -> tuple[tuple[jax.Array, ...], None]:
            low, high, met = found
            here = last * share
            meets = log_pace(here) >= wanted
            first = meets & ~met
            return (jnp.where(met | meets, low, here), jnp.where(first, here, high), met | meets), None

        def halve(_: int, ends: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            middle = (ends[0] + ends[1]) / 2
            meets = above(middle) >= 0
            return jnp.where(meets, ends[0], middle), jnp.where(meets, middle, ends[1])

        rows = jnp.broadcast_to(zero, wanted.shape)

        def search() -> jax.Array:
            shares = jnp.linspace(0, 1, _STARTS, dtype=last.dtype)
            begin: tuple[jax.Array, ...] = (rows, rows + last, jnp.zeros(wanted.shape, bool))
            low, high, met = lax.scan(visit, begin, shares)[0]
            # The pace may pass it on the summit alone, between two places that were tried.
            summit = self._least(lambda w: -log_pace(w), zero, last)
            on_summit = (log_pace(summit) >= wanted) & (~met | (summit < high))
            before = jnp.floor(summit / last * (_STARTS - 1)) / (_STARTS - 1) * last
            low, high = jnp.where(on_summit, before, low), jnp.where(on_summit, summit, high)
            _, found = lax.fori_loop(0, 22 if last.dtype == jnp.float32 else 46, halve, (low, high))
            return jnp.asarray(found)

        w = root_of(above, search, rows, last)
        return jnp.where(above(w) >= -slack(last.dtype), date_of(w), jnp.inf)
