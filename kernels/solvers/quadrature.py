"""Scalar autonomous laws by quadrature in software: progress is the clock, dt = T(x) dx.

Dates and levels between the edges of the panels (see `quadrature_panels`) are integrated again from the nearest edge with the same nodes.

Domain: laws whose doubling time falls and then rises, or does only one of these (a single valley); the fastest window is then unique. They
are smooth but for a kink, where a panel ends.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from kernels.elementary import exp, expm1, log, log1p, log1p_inside, log_inside
from kernels.in_turn import in_turn
from kernels.solvers.panels import direct_panels, gauss_legendre, weighted_sum
from kernels.solvers.quadrature_panels import LawInPanels
from kernels.solvers.search import best_of, root_of, sign_change
from kernels.solvers.solution import MOST_DOUBLINGS, Paces, followed, log_of_met
from kernels.solvers.windows import Pieces, fastest_stretch

_PARTS = 4
"""Parts of a panel, where a law with several valleys is looked at for the deepest and for the fastest window."""

_WINDOW_EDGES = {"float32": (0.0, 0.06, 0.25, 0.75, 0.94, 1.0), "float64": (0.0, 0.03, 0.1, 0.3, 0.7, 0.9, 0.97, 1.0)}
"""Panels of a window, graded toward both ends, where a window around the fastest pace has its time."""


@dataclass(frozen=True)
class QuadratureSolution(LawInPanels):
    """What a law is asked; `LawInPanels` says what it is given by."""

    def date_at(self, level: jax.Array) -> jax.Array:
        """Months at levels that differ among lanes, (…, lanes); +inf beyond the horizon or the ceiling."""
        beyond = level > (MOST_DOUBLINGS if self.ceiling is None else jnp.minimum(self.ceiling, MOST_DOUBLINGS))
        return jnp.where(beyond, jnp.inf, self.date_of_coordinate(self._coordinate(level)))

    def date_of_coordinate(self, w: jax.Array) -> jax.Array:
        """Months at values of w, (…, lanes); the arrival beyond the panels, +inf beyond the horizon."""
        edges, times, *_ = self._panels
        inside = w <= self._panels.last_edge
        start, time = self._begun(w, edges, edges[:-1], times[:-1])
        date = jnp.where(inside, time + self._integral(start, jnp.where(inside, w, start)), self._arrival)
        return jnp.where(date > self.horizon, jnp.inf, date)

    def dates(self, levels: tuple[float, ...]) -> jax.Array:
        found = self._direct_dates(tuple(sorted(level for level in levels if level <= self.budget.direct)))
        others = tuple(level for level in levels if level not in found)
        if others:
            found.update(zip(others, self.date_at(self._rows(others)), strict=True))
        return jnp.stack([found[level] for level in levels])

    def _rows(self, values: tuple[float | jax.Array, ...]) -> jax.Array:
        """(values, lanes)."""
        return jnp.stack([jnp.broadcast_to(jnp.asarray(value, self.horizon.dtype), self.horizon.shape) for value in values])

    def _direct_dates(self, levels: tuple[float, ...]) -> dict[float, jax.Array]:
        """Dates of levels that are far from every ceiling, integrated in x from one to the next."""
        found: dict[float, jax.Array] = {}
        time, before = jnp.zeros_like(self.horizon), 0.0
        for level in levels:
            if level > before:
                time = time + self._direct_integral(before, level)
            found[level], before = jnp.where(time > self.horizon, jnp.inf, time), level
        return found

    def _direct_integral(self, start: float, end: float) -> jax.Array:
        """Months between two levels that are far from every ceiling, shape (lanes,)."""
        dtype = self.horizon.dtype
        edges, count = direct_panels(start, end, self.budget)
        points, parts = gauss_legendre(count, np.dtype(np.float64))
        low, width = np.repeat(edges[:-1], count), np.repeat(np.diff(edges), count)
        shares, weights = np.tile(points, len(edges) - 1), np.tile(parts, len(edges) - 1)
        # A division takes as long as a dozen products, and this one is the same at every point.
        whole = self._mapped
        of_whole = 0.0 if whole is None else 1 / whole

        def time_at(x: jax.Array) -> jax.Array:
            level = jnp.broadcast_to(x, self.horizon.shape)
            if whole is None:
                left = jnp.zeros_like(level)
            elif end <= self.budget.places[0].ahead / 2:
                left = log1p_inside(-(level * of_whole))
            else:
                # The difference is exact where little is left: of an error in it the law takes a high power.
                left = log_inside((whole - level) * of_whole)
            return exp(self.log_doubling_time(level, left))

        if self.kink is None:
            places, months = (low + width * shares).astype(dtype), (width * weights).astype(dtype)
            return weighted_sum(months, (places,), time_at, self.horizon, self.budget.compact)
        kink = self.kink

        def around(low: jax.Array, high: jax.Array, share: jax.Array) -> jax.Array:
            bend = jnp.clip(kink, low, high)
            below, above = bend - low, high - bend
            return below * time_at(low + below * share) + above * time_at(bend + above * share)

        rows = tuple(row.astype(dtype) for row in (low, low + width, shares))
        return weighted_sum(weights.astype(dtype), rows, around, self.horizon, self.budget.compact)

    def level_at(self, time: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Doublings by times that differ among lanes, and the pace then, each of the shape (…, lanes) of `time`."""
        edges, times, logs, *_ = self._panels
        start, begun, log_start, end, log_end = self._begun(time, times, edges[:-1], times[:-1], logs[:-1], edges[1:], logs[1:])
        width = jnp.maximum(end - start, 1e-30)
        wanted = time - begun
        # Newton's method in the variable in which an exponential integrand is exact: z = (e^(sδ) − 1)/s.
        slope = (log_end - log_start) / width
        slope = jnp.where(jnp.abs(slope * width) < 1e-3, 1e-3 / width, slope)
        most = expm1(slope * width) / slope

        def search() -> jax.Array:
            def improve(_: int, z: jax.Array) -> jax.Array:
                offset = log1p(slope * z) / slope
                miss = self._integral(start, start + offset) - wanted
                return jnp.clip(z - miss * exp(slope * offset - self._log_integrand(start + offset)), 0, most)

            first = jnp.clip(wanted * exp(-log_start), 0, most)
            z = lax.fori_loop(0, 6 if self._narrow else 8, improve, first)
            return start + log1p(slope * z) / slope

        w = root_of(lambda w: self._integral(start, w) - wanted, search, start, end)
        arrived = time >= self._arrival
        ending = jnp.inf if self.ceiling is None else self.ceiling
        pace_at_end = jnp.inf if self.ceiling is None else 0.0
        level, pace = jnp.where(arrived, ending, self._level(w)), jnp.where(arrived, pace_at_end, exp(-self.log_time(w)))
        return (level, pace) if self.ceiling is None else followed(level, pace)

    def levels(self, times: tuple[float, ...]) -> tuple[jax.Array, jax.Array]:
        return self.level_at(self._rows(times))

    def _sign_change(
        self, rising: Callable[[jax.Array], jax.Array], low: jax.Array, high: jax.Array, halvings: int = 0, dated: bool = False
    ) -> jax.Array:
        """Where something is least, by the sign of its slope: an error e in the place costs e² there, but e where the place is `dated`."""
        secants = (7 if self._narrow else 14) if dated else (5 if self._narrow else 9)
        return sign_change(rising, low, high, secants, halvings)

    @functools.cached_property
    def _made(self) -> jax.Array:
        return self.level_at(self.horizon)[0]

    @property
    def _level_at_horizon(self) -> jax.Array:
        """The last level that the trajectory is followed to, (lanes,)."""
        return jnp.minimum(self._made, MOST_DOUBLINGS)

    @property
    def coordinate_at_horizon(self) -> jax.Array:
        """w at the horizon, (lanes,)."""
        return self._place(self._level_at_horizon)

    def level_at_horizon(self) -> jax.Array:
        return self._made

    def shortest_durations(self, doublings: tuple[float | jax.Array, ...]) -> jax.Array:
        amounts, last = self._rows(doublings), self._level_at_horizon
        if not self.single:
            durations = self._shortest_of_many(amounts, jnp.maximum(last - amounts, 0))
        elif self._mapped is not None:
            durations = self._shortest_below_ceiling(amounts, last, self._mapped)
        else:
            furthest = jnp.maximum(last - amounts, 0)

            def rising(x: jax.Array) -> jax.Array:
                return self.log_time(x + amounts) - self.log_time(x)

            start = self._sign_change(rising, jnp.zeros_like(furthest), furthest, halvings=3 if self._narrow else 8)
            durations = self._window(start, start + amounts)
        return jnp.where(last >= amounts, durations, jnp.inf)

    @property
    def _pieces(self) -> tuple[Pieces, jax.Array]:
        """The panels, each in parts over which ln T is about a line, and how many parts there are."""
        panels, count = self._panels, self.budget.steps
        filled = jnp.arange(count + 1, dtype=jnp.int32)[:, None] <= panels.used
        # The last edge stands for all after it.
        edges = jnp.where(filled, panels.edges, panels.last_edge)
        times = jnp.where(filled, panels.times, panels.last_time)
        width = edges[1:] - edges[:-1]
        # (panels, parts, lanes), and one row of edges more than parts.
        parts = edges[:-1, None] + width[:, None] * jnp.linspace(0, 1, _PARTS, endpoint=False, dtype=width.dtype)[:, None]
        inner = jnp.concatenate([parts.reshape(-1, *width.shape[1:]), edges[-1:]])
        level, log_time = jnp.minimum(self._level(inner), MOST_DOUBLINGS), self.log_time(inner)
        # Months of the parts of a panel, in proportion to what an exponential through their ends takes, add up to its own.
        log_integrand = log_time if self._mapped is None else log_time - inner
        change = log_integrand[1:] - log_integrand[:-1]
        change = jnp.where(jnp.abs(change) < 1e-3, 1e-3, change)
        top = jnp.maximum(log_integrand[1:], log_integrand[:-1]).reshape(count, _PARTS, -1)
        exponential = -expm1(-jnp.abs(change)).reshape(top.shape) / jnp.abs(change).reshape(top.shape)
        shares = exponential * exp(top - jnp.max(top, axis=1, keepdims=True))
        months = shares / jnp.sum(shares, axis=1, keepdims=True) * (times[1:] - times[:-1])[:, None]
        before = jnp.cumsum(months, axis=1) - months
        begun = (times[:-1, None] + before).reshape(-1, *width.shape[1:])
        months = months.reshape(begun.shape)
        return Pieces(level[:-1], level[1:], begun, months, log_time[:-1], log_time[1:]), panels.used * _PARTS

    def _shortest_of_many(self, amounts: jax.Array, furthest: jax.Array) -> jax.Array:
        """Windows where there may be several valleys: in the stretch of the fastest, where both ends are equally fast."""
        pieces, used = self._pieces

        def window(asked: tuple[jax.Array, jax.Array]) -> jax.Array:
            amount, latest = asked
            stretch = jax.tree.map(lax.stop_gradient, fastest_stretch(pieces, used, amount, latest))

            def rising(start: jax.Array) -> jax.Array:
                return self.log_time(self._place(start + amount)) - self.log_time(self._place(start))

            middle = lax.stop_gradient(self._sign_change(rising, stretch.low_beside, stretch.high_beside, halvings=4))
            starts = jnp.stack([stretch.low, middle, stretch.high])
            return jnp.min(self._window(self._coordinate(starts), self._coordinate(starts + amount)), axis=0)

        shortest: jax.Array = in_turn(window, (amounts, furthest))
        return shortest

    def _shortest_below_ceiling(self, amounts: jax.Array, last: jax.Array, ceiling: jax.Array) -> jax.Array:
        """The window is sought in its width along w: u = ln of what is left at its start over what is left at its end. There a law that is
        linear in w, as most are at a ceiling, needs one secant."""
        # A window that reaches from the start to the ceiling or beyond is answered by the caller.
        amounts = jnp.minimum(amounts, 0.999999 * ceiling)
        widest = self._panels.last_edge + 1

        def left_at_start(width: jax.Array) -> jax.Array:
            return amounts / -expm1(-width)

        def rising(width: jax.Array) -> jax.Array:
            left = left_at_start(width)
            log_remaining, start = log(left / ceiling), ceiling - left
            return self.log_doubling_time(start + amounts, log_remaining - width) - self.log_doubling_time(start, log_remaining)

        first = -log1p(-amounts / ceiling)
        left = ceiling - jnp.maximum(last, amounts)
        final = jnp.minimum(log1p(amounts / jnp.maximum(left, 1e-30)), widest)
        width = self._sign_change(rising, first, jnp.maximum(first, final), halvings=3 if self._narrow else 8)
        start = jnp.maximum(-log(left_at_start(width) / ceiling), 0)
        return self._window(start, start + width)

    def _window(self, start: jax.Array, end: jax.Array) -> jax.Array:
        """Months from one w to another, integrated directly: a difference of dates would lose the digits of a short one."""
        end = jnp.minimum(end, jnp.maximum(self._panels.last_edge, start))
        edges = jnp.asarray(_WINDOW_EDGES[self.horizon.dtype.name], self.horizon.dtype)

        def between(start: jax.Array, end: jax.Array) -> jax.Array:
            def panel(index: int, time: jax.Array) -> jax.Array:
                return time + self._integral(start + (end - start) * edges[index], start + (end - start) * edges[index + 1])

            months: jax.Array = lax.fori_loop(0, len(edges) - 1, panel, jnp.zeros_like(start))
            return months

        if self.kink is None:
            return between(start, end)
        kink = jnp.clip(self._coordinate(self.kink), start, end)
        return between(start, kink) + between(kink, end)

    def _place(self, level: jax.Array) -> jax.Array:
        """w of a level, at most that of the last panel's end."""
        return jnp.minimum(self._coordinate(level), self._panels.last_edge)

    @functools.cached_property
    def _fastest(self) -> jax.Array:
        """The level at which the pace is highest within the horizon, (lanes,)."""
        if not self.single:
            return self._level(self._extremes[0])

        def rising(level: jax.Array) -> jax.Array:
            if self._mapped is None:
                return self._slope(level)
            # At the ceiling itself nothing changes with w any more, and the sign would be lost.
            return self._slope(jnp.minimum(self._place(level), 12)) + 1

        last = self._level_at_horizon
        zero = jnp.zeros_like(last)
        found = root_of(rising, lambda: self._sign_change(rising, zero, last, halvings=8, dated=True), zero, last)
        if self.kink is None:
            return found
        # A summit that is a kink is no zero of the slope, and only ever bracketed by a search.
        kink = jnp.clip(self.kink, zero, last)
        return jnp.where(self.log_time(self._place(kink)) < self.log_time(self._place(found)), kink, found)

    def _best_part(self, cost: Callable[[jax.Array], jax.Array], end: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Where parts of panels begin up to `end`: the one where `cost` is least, and its neighbours."""
        edges, used = self._panels.edges, self._panels.used

        def place(index: jax.Array) -> jax.Array:
            panel, part = index // _PARTS, index % _PARTS
            low = edges[panel]
            return jnp.minimum(low + (edges[panel + 1] - low) * (part / _PARTS), end)

        return best_of(cost, place, used * _PARTS + 1, end)

    @functools.cached_property
    def _extremes(self) -> tuple[jax.Array, jax.Array]:
        """The coordinates of the highest pace within the horizon, and of the lowest before it, of a law with several valleys."""
        fastest = self._least_of(self.log_time, self._slope_along, self._place(self._level_at_horizon))
        slowest = self._least_of(lambda w: -self.log_time(w), lambda w: -self._slope_along(w), fastest)
        return fastest, slowest

    def _least_of(self, cost: Callable[[jax.Array], jax.Array], slope: Callable[[jax.Array], jax.Array], end: jax.Array) -> jax.Array:
        """Where `cost`, which has this slope, is least up to `end`: beside the best of the parts, on the side to which it falls. On both
        sides together there may be a summit, too."""
        before, best, after = self._best_part(cost, end)
        rises = slope(best) > 0
        low, high = jnp.where(rises, before, best), jnp.where(rises, best, after)
        return root_of(slope, lambda: self._sign_change(slope, low, high, halvings=4, dated=True), low, high)

    def _slope_along(self, w: jax.Array) -> jax.Array:
        """d ln T/dw."""
        slope: jax.Array = jax.jvp(self.log_time, (w,), (jnp.ones_like(w),))[1]
        return slope

    def paces(self) -> Paces:
        last, fastest = self._level_at_horizon, self._fastest
        arrived = self._arrival <= self.horizon

        # All in one, so that the compiler meets the law once.
        places = [self._place(jnp.stack([jnp.zeros_like(last), last, fastest]))]
        if not self.single:
            places.append(self._extremes[1][None])
        at_start, at_horizon, highest, *slowest = exp(-self.log_time(jnp.concatenate(places)))
        date = self.date_at(fastest)
        if self.ceiling is None:
            at_horizon, highest = jnp.where(arrived, jnp.inf, at_horizon), jnp.where(arrived, jnp.inf, highest)
            date = jnp.where(arrived, self._arrival, date)
        else:
            at_horizon, highest = jnp.where(arrived, 0, at_horizon), jnp.where(self._made < jnp.inf, highest, jnp.inf)
        lowest = functools.reduce(jnp.minimum, slowest, jnp.minimum(at_start, at_horizon))
        return Paces(at_start, highest, jnp.where(jnp.isfinite(date), date, self.horizon), lowest, at_horizon)

    def first_dates_at_pace(self, paces: tuple[jax.Array, ...]) -> jax.Array:
        wanted = log_of_met(self._rows(paces))
        high = jnp.broadcast_to(self._place(self._fastest), wanted.shape)
        # From the slowest to the fastest the pace only rises.
        low = jnp.zeros_like(high) if self.single else jnp.broadcast_to(self._extremes[1], wanted.shape)

        def above(w: jax.Array) -> jax.Array:
            return -self.log_time(w) - wanted

        def search() -> jax.Array:
            def improve(_: int, w: jax.Array) -> jax.Array:
                # Newton's method from close by: an error in this place is one in the date.
                value, slope = jax.jvp(above, (w,), (jnp.ones_like(w),))
                return jnp.where(slope > 0, jnp.clip(w - value / slope, low, high), w)

            found: jax.Array = lax.fori_loop(0, 2, improve, self._sign_change(above, low, high, halvings=8, dated=True))
            return found

        w = root_of(above, search, low, high)
        at_start, met = above(jnp.stack([jnp.zeros_like(high), high])) >= 0
        if not self.single:
            w = jnp.where(at_start, 0, w)
        date = jnp.where(met, self.date_of_coordinate(w), jnp.inf)
        if self.ceiling is None:
            # A blow-up passes every pace.
            date = jnp.where(~met & (self._arrival <= self.horizon), self._arrival, date)
        return date
