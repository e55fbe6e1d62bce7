"""Scalar autonomous laws by quadrature in software: progress is the clock, dt = T(x) dx.

T is the doubling time at x doublings, so t(x) = ∫₀ˣ T dx′ and a blow-up in time is a smooth integral in x. With a ceiling X the integral is
taken in w = −ln(1 − x/X), dx = X e^(−w) dw: a singularity (1 − x/X)^(−a) becomes e^(a w), arrival at the ceiling a decaying tail, and no node
ever touches the ceiling. Without one, w = x.

`march` lays panels along w, each so wide that the integrand changes by a factor of at most e^8 over it (more where it is too small to
matter beside the time already elapsed), with Gauss–Legendre nodes in each: 8 nodes leave 5e-9 of an exponential over such a panel, 16 nodes
nothing that float64 could show. Dates and levels between the edges are integrated again from the nearest edge with the same nodes.

Domain: laws whose doubling time falls and then rises, or does only one of these (a single valley); the fastest window is then unique.

Source of the error bound: the Gauss–Legendre remainder for e^(cz) on [0, 1], c^(2n) (n!)^4 / ((2n + 1) (2n)!^3).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from kernels.solvers.budget import Budget
from kernels.solvers.solution import Paces, Solution

MOST_DOUBLINGS = 1000.0
"""A trajectory without a ceiling is followed to this many doublings; beyond them software is reported as infinite."""

_CHANGE = 8.0
"""ln of the factor by which the integrand may change over a panel."""

_WINDOW_EDGES = (0.0, 0.03, 0.1, 0.3, 0.7, 0.9, 0.97, 1.0)
"""Panels of a window, graded toward both ends, where a window around the fastest pace has its time."""


def panels_for(tolerance: float, steepest: Callable[[float], float], nearest_ceiling: float) -> Budget:
    """Panels and nodes for a relative error within `tolerance`.

    `steepest(share)` bounds |d ln T/dx| over all trajectories up to that share of the way to the ceiling (of MOST_DOUBLINGS without one);
    `nearest_ceiling` is the least number of doublings to it.
    """
    share = 0.5 if nearest_ceiling < MOST_DOUBLINGS else 0.1
    direct = share * min(nearest_ceiling, MOST_DOUBLINGS)
    # A panel no wider than its distance to the ceiling keeps that singularity out of the way.
    pitch = min(_CHANGE / max(steepest(share), 1e-3), 16.0, direct)
    return Budget(16, 8, direct, pitch) if tolerance > 1e-8 else Budget(32, 16, direct, pitch)


def _gauss_legendre(count: int, dtype: jnp.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return ((nodes + 1) / 2).astype(dtype), (weights / 2).astype(dtype)


def _weighted_sum(weights: np.ndarray, rows: jax.Array) -> jax.Array:
    """Σ weights·rows over axis 0, in a fixed order."""
    total = weights[0] * rows[0]
    for weight, row in zip(weights[1:], rows[1:], strict=True):
        total = total + weight * row
    return total


@dataclass(frozen=True)
class QuadratureSolution(Solution):
    """The law ln T(x), asked as `log_doubling_time(x, ln(1 − x/X))`, integrated on demand. `ceiling` (lanes,) or None for no ceiling."""

    log_doubling_time: Callable[[jax.Array, jax.Array], jax.Array]
    ceiling: jax.Array | None
    horizon: jax.Array
    budget: Budget

    # --- coordinates -----------------------------------------------------------------------------------------------------------------

    def _level(self, w: jax.Array) -> jax.Array:
        return w if self.ceiling is None else -self.ceiling * jnp.expm1(-w)

    def _coordinate(self, level: jax.Array) -> jax.Array:
        """w of a level; +inf at or beyond the ceiling."""
        if self.ceiling is None:
            return level
        return jnp.where(level < self.ceiling, -jnp.log1p(-jnp.minimum(level / self.ceiling, 1)), jnp.inf)

    def _log_time(self, w: jax.Array) -> jax.Array:
        """ln T at w."""
        return self.log_doubling_time(self._level(w), jnp.zeros_like(w) if self.ceiling is None else -w)

    def _log_integrand(self, w: jax.Array) -> jax.Array:
        """ln dt/dw at w."""
        return self._log_time(w) if self.ceiling is None else self._log_time(w) + jnp.log(self.ceiling) - w

    def _slope(self, w: jax.Array) -> jax.Array:
        return jax.jvp(self._log_integrand, (w,), (jnp.ones_like(w),))[1]

    def _integral(self, start: jax.Array, end: jax.Array) -> jax.Array:
        """Months between two values of w, shape as theirs."""
        nodes, weights = _gauss_legendre(self.budget.nodes, self.horizon.dtype)
        return self._rule(start, end, nodes, weights)

    def _rule(self, start: jax.Array, end: jax.Array, nodes: np.ndarray, weights: np.ndarray) -> jax.Array:
        places = nodes.reshape(-1, *(1 for _ in start.shape))
        width = end - start
        return width * _weighted_sum(weights, jnp.exp(self._log_integrand(start + width * places)))

    # --- the panels ------------------------------------------------------------------------------------------------------------------

    @cached_property
    def _panels(self) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Edges w, dates t and ln dt/dw there, each (panels + 1, lanes), and in the last row the end of the trajectory."""
        dtype = self.horizon.dtype
        small = jnp.log(jnp.asarray(1e-8 if dtype == jnp.float32 else 1e-17, dtype))
        end = jnp.inf if self.ceiling is not None else MOST_DOUBLINGS

        def panel(carry: tuple[jax.Array, ...], _: None) -> tuple[tuple[jax.Array, ...], tuple[jax.Array, ...]]:
            w, time = carry
            log_integrand = self._log_integrand(w)
            allowed = _CHANGE + jnp.maximum(small + jnp.log(time) - log_integrand, 0)
            here = jnp.abs(self._slope(w))
            trial = jnp.minimum(allowed / jnp.maximum(here, 1e-6), MOST_DOUBLINGS)
            there = jnp.abs(self._slope(w + trial))
            width = jnp.minimum(allowed / jnp.maximum(jnp.maximum(here, there), 1e-6), MOST_DOUBLINGS)
            width = jnp.where(time < self.horizon, jnp.minimum(width, end - w), 0)
            after = w + width
            time = time + self._integral(w, after)
            return (after, time), (after, time, self._log_integrand(after))

        zero = jnp.zeros_like(self.horizon)
        _, (edges, times, logs) = lax.scan(panel, (zero, zero), None, length=self.budget.steps)
        first = (zero, zero, self._log_integrand(zero))
        edges, times, logs = (jnp.concatenate([row[None], rows]) for row, rows in zip(first, (edges, times, logs), strict=True))
        return edges, times, logs

    @cached_property
    def _arrival(self) -> jax.Array:
        """Months to the end of software: the ceiling, or 1000 doublings; +inf where it is not met within the panels."""
        edges, times, logs = self._panels
        if self.ceiling is None:
            return jnp.where(edges[-1] >= MOST_DOUBLINGS, times[-1], jnp.inf)
        slope = self._slope(edges[-1])
        # Beyond the last panel the integrand decays exponentially.
        tail = jnp.where(slope < 0, jnp.exp(logs[-1]) / jnp.maximum(-slope, 1e-30), jnp.inf)
        resolved = tail < times[-1] * (1e-6 if self.horizon.dtype == jnp.float32 else 1e-12)
        return jnp.where(resolved, times[-1] + tail, jnp.inf)

    @property
    def cut_off(self) -> jax.Array:  # type: ignore[override]
        # Asked last. Where no question needed the panels, none was cut off by them, and they are not worth computing for this.
        if "_panels" not in self.__dict__:
            return jnp.zeros(self.horizon.shape, bool)
        return (self._panels[1][-1] < self.horizon) & ~(self._arrival < jnp.inf)

    def _begun(self, key: jax.Array, keys: jax.Array, *rows: jax.Array) -> tuple[jax.Array, ...]:
        """The entries of `rows` (panels, lanes) at the last panel whose `keys` entry is at most `key` (…, lanes), each as `key`."""

        def visit(found: tuple[jax.Array, ...], row: tuple[jax.Array, ...]) -> tuple[tuple[jax.Array, ...], None]:
            passed = row[0] <= key
            return tuple(jnp.where(passed, new, old) for new, old in zip(row[1:], found, strict=True)), None

        first = tuple(jnp.broadcast_to(row[0], key.shape) for row in rows)
        found: tuple[jax.Array, ...] = lax.scan(visit, first, (keys[1 : rows[0].shape[0]], *(row[1:] for row in rows)))[0]
        return found

    # --- questions -------------------------------------------------------------------------------------------------------------------

    def date_at(self, level: jax.Array) -> jax.Array:
        """Months at levels that differ among lanes, (…, lanes); +inf beyond the horizon or the ceiling."""
        edges, times, _ = self._panels
        w = self._coordinate(level)
        inside = w <= edges[-1]
        start, time = self._begun(w, edges, edges[:-1], times[:-1])
        date = time + self._integral(start, jnp.where(inside, w, start))
        beyond = (level > MOST_DOUBLINGS) if self.ceiling is None else (level > self.ceiling)
        date = jnp.where(inside, date, self._arrival)
        return jnp.where((date <= self.horizon) & ~beyond, date, jnp.inf)

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
        nodes, weights = _gauss_legendre(self.budget.nodes, self.horizon.dtype)
        found: dict[float, jax.Array] = {}
        time, before = jnp.zeros_like(self.horizon), 0.0
        for level in levels:
            pieces = math.ceil((level - before) / self.budget.pitch)
            width = (level - before) / pieces
            points = np.concatenate([before + width * (piece + nodes.astype(float)) for piece in range(pieces)]).astype(self.horizon.dtype)
            x = jnp.broadcast_to(points[:, None], (len(points), *self.horizon.shape))
            log_remaining = jnp.zeros_like(x) if self.ceiling is None else jnp.log(1 - x / self.ceiling)
            rows = jnp.exp(self.log_doubling_time(x, log_remaining))
            time = time + _weighted_sum(np.tile(weights * width, pieces).astype(self.horizon.dtype), rows)
            found[level], before = jnp.where(time <= self.horizon, time, jnp.inf), level
        return found

    def level_at(self, time: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Doublings by times that differ among lanes, and the pace then, each of the shape (…, lanes) of `time`."""
        edges, times, logs = self._panels
        start, begun, log_start, end, log_end = self._begun(time, times, edges[:-1], times[:-1], logs[:-1], edges[1:], logs[1:])
        width = jnp.maximum(end - start, 1e-30)
        wanted = time - begun
        # Newton's method in the variable in which an exponential integrand is exact: z = (e^(sδ) − 1)/s.
        slope = (log_end - log_start) / width
        slope = jnp.where(jnp.abs(slope * width) < 1e-3, 1e-3 / width, slope)
        most = jnp.expm1(slope * width) / slope

        def improve(_: int, z: jax.Array) -> jax.Array:
            offset = jnp.log1p(slope * z) / slope
            miss = self._integral(start, start + offset) - wanted
            return jnp.clip(z - miss * jnp.exp(slope * offset - self._log_integrand(start + offset)), 0, most)

        first = jnp.clip(wanted * jnp.exp(-log_start), 0, most)
        z = lax.fori_loop(0, 4 if self.horizon.dtype == jnp.float32 else 7, improve, first)
        w = start + jnp.log1p(slope * z) / slope
        arrived = time >= self._arrival
        ending = jnp.inf if self.ceiling is None else self.ceiling
        pace_at_end = jnp.inf if self.ceiling is None else 0.0
        return jnp.where(arrived, ending, self._level(w)), jnp.where(arrived, pace_at_end, jnp.exp(-self._log_time(w)))

    def levels(self, times: tuple[float, ...]) -> tuple[jax.Array, jax.Array]:
        return self.level_at(self._rows(times))

    def _sign_change(self, rising: Callable[[jax.Array], jax.Array], low: jax.Array, high: jax.Array) -> jax.Array:
        """Where an increasing function of the level changes sign, or the nearer end: bisection, then secants that stay inside.

        It is asked for places where something is least, so that an error e here costs e² there.
        """
        narrow = jnp.float32 == self.horizon.dtype

        def halve(_: int, ends: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            low, high = ends
            middle = (low + high) / 2
            positive = rising(middle) > 0
            return jnp.where(positive, low, middle), jnp.where(positive, middle, high)

        low, high = lax.fori_loop(0, 10 if narrow else 20, halve, (low, high))
        value_low, value_high = rising(low), rising(high)

        def secant(_: int, ends: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
            low, high, value_low, value_high, _middle = ends
            slope = (value_high - value_low) / jnp.maximum(high - low, 1e-30)
            middle = jnp.clip(low - value_low / jnp.where(slope == 0, 1, slope), low, high)
            value = rising(middle)
            above = value > 0
            return (
                jnp.where(above, low, middle),
                jnp.where(above, middle, high),
                jnp.where(above, value_low, value),
                jnp.where(above, value, value_high),
                middle,
            )

        start = (low, high, value_low, value_high, low)
        low, high, value_low, value_high, middle = lax.fori_loop(0, 2 if narrow else 4, secant, start)
        return jnp.where(value_low >= 0, low, jnp.where(value_high <= 0, high, middle))

    @cached_property
    def _level_at_horizon(self) -> jax.Array:
        level, _ = self.level_at(self.horizon)
        return jnp.minimum(level, MOST_DOUBLINGS) if self.ceiling is None else level

    def level_at_horizon(self) -> jax.Array:
        return self.level_at(self.horizon)[0]

    def shortest_durations(self, doublings: tuple[float | jax.Array, ...]) -> jax.Array:
        amounts, last = self._rows(doublings), self._level_at_horizon

        def rising(start: jax.Array) -> jax.Array:
            return self._log_time(self._coordinate(start + amounts)) - self._log_time(self._coordinate(start))

        furthest = jnp.maximum(last - amounts, 0)
        start = self._sign_change(rising, jnp.zeros_like(furthest), furthest)
        return jnp.where(last >= amounts, self._duration(start, start + amounts), jnp.inf)

    def _duration(self, start: jax.Array, end: jax.Array) -> jax.Array:
        """Months from one level to another, integrated directly: a difference of dates would lose the digits of a short one."""
        low = self._coordinate(start)
        high = self._coordinate(end)
        arrives = ~(high < jnp.inf)
        high = jnp.where(arrives, jnp.maximum(self._panels[0][-1], low), high)
        nodes, weights = _gauss_legendre(self.budget.nodes, self.horizon.dtype)
        edges = np.asarray(_WINDOW_EDGES)
        widths = np.diff(edges)[:, None]
        points, shares = edges[:-1, None] + widths * nodes, widths * weights
        return self._rule(low, high, points.ravel().astype(low.dtype), shares.ravel().astype(low.dtype))

    def paces(self) -> Paces:
        last = self._level_at_horizon
        arrived = self._arrival <= self.horizon

        def rising(level: jax.Array) -> jax.Array:
            w = self._coordinate(level)
            return jax.jvp(self._log_time, (w,), (jnp.ones_like(w),))[1]

        zero = jnp.zeros_like(last)
        fastest = self._sign_change(rising, zero, last)

        def pace(level: jax.Array) -> jax.Array:
            return jnp.exp(-self._log_time(self._coordinate(level)))

        at_start = pace(zero)
        if self.ceiling is None:
            at_horizon = jnp.where(arrived, jnp.inf, pace(last))
            highest = jnp.where(arrived, jnp.inf, pace(fastest))
            date = jnp.where(arrived, self._arrival, self.date_at(fastest))
        else:
            at_horizon = jnp.where(arrived, 0, pace(last))
            highest, date = pace(fastest), self.date_at(fastest)
        lowest = jnp.minimum(at_start, at_horizon)
        return Paces(at_start, highest, jnp.where(jnp.isfinite(date), date, self.horizon), lowest, at_horizon)


def first_doubling_scale(
    log_ratio: Callable[[jax.Array, jax.Array], jax.Array], ceiling: jax.Array | None, like: jax.Array, nodes: int
) -> jax.Array:
    """∫₀¹ T(x)/T(0) dx, shape (lanes,): what T(0) is divided by so that the first doubling takes the time given (geometric convention)."""
    points, weights = _gauss_legendre(nodes, like.dtype)
    pieces = 4
    shares = np.concatenate([(piece + points) / pieces for piece in range(pieces)]).astype(like.dtype)[:, None]
    weights = np.tile(weights / pieces, pieces).astype(like.dtype)
    if ceiling is None:
        rows = log_ratio(shares * jnp.ones_like(like), jnp.zeros((len(shares), *like.shape), like.dtype))
        return _weighted_sum(weights, jnp.exp(rows))
    end = -jnp.log1p(-1 / ceiling)
    w = end * shares
    return end * ceiling * _weighted_sum(weights, jnp.exp(log_ratio(-ceiling * jnp.expm1(-w), -w) - w))
