"""Panels of a scalar autonomous law along software: where they end, the months to there, and what an integral between two places takes.

T is the doubling time at x doublings, so t(x) = ∫₀ˣ T dx′ and a blow-up in time is a smooth integral in x. With a ceiling X the integral is
taken in w = −ln(1 − x/X), dx = X e^(−w) dw: a singularity (1 − x/X)^(−a) becomes e^(a w), arrival a decaying tail, and no node
ever touches the ceiling. Without one, w = x.

Panels are laid along w, each so wide that the integrand changes by a factor of at most e^8 over it (more where it is too small to
matter beside the time already elapsed), with Gauss–Legendre nodes in each: 8 nodes leave 5e-9 of an exponential over such a panel, 16 nodes
nothing that float64 could show.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from kernels.elementary import exp, expm1, log, log1p
from kernels.solvers.budget import Budget
from kernels.solvers.panels import CHANGE, gauss_legendre, stretch, weighted_sum
from kernels.solvers.solution import MOST_DOUBLINGS, Solution

_BENDS = {"float32": ((0.05, 3.0), (1e-6, 8.0)), "float64": ((1e-3, 3.0), (1e-13, 16.0))}
"""Widest panel in w whose slope changes by more than so much: beside an exponential, e^(c·e^(−w)) has powers of e^(−w) in it."""

_CURVE = {"float32": 6.0, "float64": 8.0}
"""Where w = x: by how much the integrand's logarithm may change over a panel for the bend of it alone."""


class _Panels(NamedTuple):
    """Edges w, dates t and ln dt/dw there, each (panels + 1, lanes), of which `used` + 1 are filled; and, where a trajectory ends, the
    same with the slope, each (lanes,)."""

    edges: jax.Array
    times: jax.Array
    logs: jax.Array
    used: jax.Array
    last_edge: jax.Array
    last_time: jax.Array
    last_log: jax.Array
    last_slope: jax.Array


class _Walk(NamedTuple):
    """While panels are laid: how many are, where the trajectories are (w, t, ln dt/dw and its slope), whether any moved, and the rows."""

    place: jax.Array
    at: tuple[jax.Array, ...]
    going: jax.Array
    rows: tuple[jax.Array, ...]


@dataclass(frozen=True)
class LawInPanels(Solution):
    """The law ln T(x), asked as `log_doubling_time(x, ln(1 − x/X))`, integrated on demand.

    `ceiling` (lanes,), or None for no ceiling; `kink` (lanes,) is the level at which the law is not smooth, or None. `regular` says that
    the law is smooth up to the ceiling, where it just ends: then w = x there, too. `bend` is the level around which the law passes from one
    form into another, and over how many doublings (each (lanes,)): how far from there its power series reach.
    `single` says that the doubling time has a single valley; otherwise it may rise before, as labour takes over from compute.
    """

    log_doubling_time: Callable[[jax.Array, jax.Array], jax.Array]
    ceiling: jax.Array | None
    horizon: jax.Array
    budget: Budget
    kink: jax.Array | None = None
    regular: bool = False
    bend: tuple[jax.Array, jax.Array] | None = None
    single: bool = True

    def __post_init__(self) -> None:
        # Whatever the law computes once and keeps it must not compute within a loop, first.
        zero = jnp.zeros_like(self.horizon)
        self.log_doubling_time(zero, zero)

    @property
    def _mapped(self) -> jax.Array | None:
        """The ceiling, where w is not just x."""
        return None if self.regular else self.ceiling

    @property
    def _narrow(self) -> bool:
        return bool(self.horizon.dtype == jnp.float32)

    # --- coordinates -----------------------------------------------------------------------------------------------------------------

    def _level(self, w: jax.Array) -> jax.Array:
        return w if self._mapped is None else -self._mapped * expm1(-w)

    def _coordinate(self, level: jax.Array) -> jax.Array:
        """w of a level; +inf at or beyond a ceiling, unless the law is regular there."""
        if self._mapped is None:
            return level
        # The difference is exact near the ceiling, where 1 − x/X would have lost its digits.
        left = jnp.maximum(self._mapped - level, 0) / self._mapped
        near = left < 0.5
        return -jnp.where(near, log(left), log1p(-jnp.where(near, 0, level / self._mapped)))

    def log_time(self, w: jax.Array) -> jax.Array:
        """ln T at w."""
        return self.log_doubling_time(self._level(w), jnp.zeros_like(w) if self._mapped is None else -w)

    def _log_integrand(self, w: jax.Array) -> jax.Array:
        """ln dt/dw at w."""
        return self.log_time(w) if self._mapped is None else self.log_time(w) + log(self._mapped) - w

    def _with_slope(self, w: jax.Array) -> tuple[jax.Array, jax.Array]:
        """ln dt/dw at w, and its slope."""
        if self._mapped is None:
            return jax.jvp(self.log_time, (w,), (jnp.ones_like(w),))
        # dx/dw and d ln(1 − x/X)/dw are known: only the law itself is differentiated.
        place, direction = (self._level(w), -w), (self._mapped * exp(-w), -jnp.ones_like(w))
        log_time, slope = jax.jvp(self.log_doubling_time, place, direction)
        return log_time + log(self._mapped) - w, slope - 1

    def _slope(self, w: jax.Array) -> jax.Array:
        return self._with_slope(w)[1]

    def _integral(self, start: jax.Array, end: jax.Array) -> jax.Array:
        """Months between two values of w with no kink between them, shape as theirs."""
        nodes, weights = gauss_legendre(self.budget.nodes, self.horizon.dtype)
        width = end - start

        def rate(node: jax.Array) -> jax.Array:
            return exp(self._log_integrand(start + width * node))

        return width * weighted_sum(weights, (nodes,), rate, width, self.budget.compact)

    # --- the panels ------------------------------------------------------------------------------------------------------------------

    @property
    def _end(self) -> jax.Array:
        """w at which the law ends, (lanes,)."""
        if self.regular and self.ceiling is not None:
            return self.ceiling
        return jnp.full_like(self.horizon, MOST_DOUBLINGS if self.ceiling is None else jnp.inf)

    @functools.cached_property
    def _panels(self) -> _Panels:
        dtype = self.horizon.dtype
        resolution = 1e-7 if self._narrow else 1e-16
        small = math.log(resolution / 10)
        end = self._end
        kink = None if self.kink is None else self._coordinate(self.kink)

        goal = self._coordinate(jnp.full_like(self.horizon, min(self.budget.furthest, MOST_DOUBLINGS)))

        def panel(walk: _Walk) -> _Walk:
            place, (w, time, log_rate, slope), _, rows = walk
            # ln of how far the integrand is below what matters beside the time already elapsed.
            below = jnp.maximum(small + log(time) - log_rate, 0)
            allowed = CHANGE + below
            # The law need not be defined beyond its end, nor be the same function beyond a kink.
            stop = end if kink is None else jnp.where(w < kink, jnp.minimum(kink, end), end)
            furthest = stop - w
            steepest, uneven = jnp.maximum(jnp.abs(slope), 1e-6), jnp.zeros_like(w)
            width = jnp.minimum(allowed / steepest, furthest)
            if self._mapped is None:
                width = jnp.minimum(width, MOST_DOUBLINGS)
            # A law can be steepest here, at the far end, or, where it falls into line with the ceiling, between them.
            for share in (1, 0.5):
                there = self._slope(w + share * width)
                steepest, uneven = jnp.maximum(steepest, jnp.abs(there)), jnp.maximum(uneven, jnp.abs(there - slope))
                width = jnp.minimum(width, allowed / steepest)
            if self._mapped is None:
                bend = uneven * width / _CURVE[dtype.name]
                width = jnp.where(below == 0, width * lax.rsqrt(jnp.maximum(bend, 1)), width)
            else:
                for unevenness, widest in _BENDS[dtype.name]:
                    width = jnp.where((uneven > unevenness) & (below == 0), jnp.minimum(width, widest), width)
            if self.bend is not None:
                middle, reach = self.bend
                least = stretch(self.budget.nodes, self.budget.accuracy)
                away = jnp.hypot(self._level(w) - middle, reach)
                # The sum of the distances to both ends is at least the one from here and the nearest, or what the width leaves of twice it.
                smooth = jnp.maximum((away + reach) / least, 2 * away / (1 + least))
                width = jnp.minimum(width, smooth if self._mapped is None else smooth / (self._mapped * exp(-w)))
            # A date does not depend on where its panels end, but for the end of the law and a kink of it.
            after = jnp.where(width < furthest, lax.stop_gradient(w + width), stop)
            # Nothing is left to add where an exponential has decayed.
            over = (uneven < _BENDS[dtype.name][-1][0]) & (exp(log_rate) < -slope * time * resolution)
            after = jnp.where((time < self.horizon) & (w < goal) & ~over, after, w)
            moved = jnp.any(after > w)
            time = time + self._integral(w, after)
            log_rate, slope = self._with_slope(after)
            rows = tuple(
                lax.dynamic_update_index_in_dim(row, value, place + 1, 0) for row, value in zip(rows, (after, time, log_rate), strict=True)
            )
            return _Walk(place + 1, (after, time, log_rate, slope), moved, rows)

        zero = jnp.zeros_like(self.horizon)
        log_rate, slope = self._with_slope(zero)
        count = self.budget.steps
        rows = tuple(jnp.zeros((count + 1, *zero.shape), dtype).at[0].set(value) for value in (zero, zero, log_rate))
        begin = _Walk(jnp.int32(0), (zero, zero, log_rate, slope), jnp.asarray(True), rows)
        # As many panels as the trajectory needs that needs most.
        walked: _Walk = lax.while_loop(lambda walk: walk.going & (walk.place < count), panel, begin)
        edges, times, logs = walked.rows
        return _Panels(edges, times, logs, walked.place, *walked.at)

    @functools.cached_property
    def _arrival(self) -> jax.Array:
        """Months to the end of software: the ceiling, or 1000 doublings; +inf where it is not met within the panels."""
        *_, edge, time, log_rate, slope = self._panels
        # Beyond the last panel the integrand decays exponentially.
        tail = jnp.where(slope < 0, exp(log_rate) / jnp.maximum(-slope, 1e-30), jnp.inf)
        resolved = tail < time * (1e-6 if self._narrow else 1e-12)
        arrival = jnp.where(resolved, time + tail, jnp.inf)
        return arrival if self._mapped is not None else jnp.where(edge >= self._end, time, arrival)

    @property
    def cut_off(self) -> jax.Array:  # type: ignore[override]
        # Asked last. Where no question needed the panels, none was cut off by them, and they are not worth computing for this.
        if "_panels" not in self.__dict__:
            return jnp.zeros(self.horizon.shape, bool)
        passed = self._panels.last_edge >= self._coordinate(jnp.full_like(self.horizon, min(self.budget.furthest, MOST_DOUBLINGS)))
        return (self._panels.last_time < self.horizon) & ~(self._arrival < jnp.inf) & ~passed

    @property
    def failed(self) -> jax.Array:
        # What was asked of no panel tells by itself.
        if "_panels" not in self.__dict__:
            return jnp.zeros(self.horizon.shape, bool)
        return jnp.isnan(self._panels.last_time) | self.cut_off

    @property
    def blow_up(self) -> jax.Array:
        return self._arrival if self.ceiling is None else jnp.full_like(self.horizon, jnp.inf)

    def _begun(self, key: jax.Array, keys: jax.Array, *rows: jax.Array) -> tuple[jax.Array, ...]:
        """The entries of `rows` (panels, lanes) at the last panel whose `keys` entry is at most `key` (…, lanes), each as `key`."""

        def visit(place: jax.Array, found: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
            passed = keys[place] <= key
            return tuple(jnp.where(passed, row[place], old) for row, old in zip(rows, found, strict=True))

        first = tuple(jnp.broadcast_to(row[0], key.shape) for row in rows)
        found: tuple[jax.Array, ...] = lax.fori_loop(1, self._panels.used, visit, first)
        return found
