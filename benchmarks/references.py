"""What the kernels' answers are held against: the same questions answered in NumPy float64, by other means than theirs, with work to spare.

Parameters are arrays of shape (lanes,) float64: initial speed-up, initial returns, distance, exponent; the other parameters at their
defaults. The recursion is that of the NumPy peer. Its continuous limit, in w = -ln(1 - x/X):

    T(x) = T0 2^(p (X w/r0 - x)),    dt = T X e^-w dw,    T0 = 3/f

by 16 Gauss-Legendre points in each of many fixed panels. ln T is convex in x, so the fastest stretch of Y doublings starts where
T(s + Y) = T(s), which bisection finds, or as late as the horizon allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.numpy_blocked import knots
from benchmarks.peers.numpy_davidson_houlden import DOUBLINGS_A_YEAR, HORIZON

Floats = NDArray[Any]
_LAST_W = 20.0
"""Where marching ends: 2e-9 of the doublings remain there."""
_PANELS = 400
_HALVINGS = 60


def recursion_dates(parameters: Floats, doublings: Sequence[int]) -> Floats:
    """Months at which doublings are complete in the recursion, (doublings, lanes); +inf if not within the horizon."""
    times = knots(*parameters)
    dates = times[np.minimum(doublings, len(times) - 1)]
    reached = (dates <= HORIZON) & (np.asarray(doublings)[:, None] < len(times))
    return np.where(reached, dates, np.inf)


def recursion_durations(parameters: Floats, doublings: Sequence[int]) -> Floats:
    """The least months in which so many doublings are made within the horizon, software growing exponentially between knots; +inf if never.

    Shape (doublings, lanes). The date is piecewise linear in whole doublings, so a shortest stretch begins at a knot or ends at month 48.
    """
    times = knots(*parameters)
    lanes = np.arange(times.shape[1])
    last = np.isfinite(times).sum(axis=0) - 1
    before = np.maximum(last - 1, 0)
    share = np.clip((HORIZON - times[before, lanes]) / (times[last, lanes] - times[before, lanes]), 0.0, 1.0)
    level = before + share
    found = np.full((len(doublings), len(lanes)), np.inf)
    for row, count in zip(found, doublings, strict=True):
        starts, ends = times[:-count], times[count:]
        with np.errstate(invalid="ignore"):
            np.minimum.reduce(np.where(ends <= HORIZON, ends - starts, np.inf), axis=0, out=row, initial=np.inf)
        begin = np.maximum(level - count, 0.0)
        knot = begin.astype(int)
        date = times[knot, lanes] + (begin - knot) * (times[np.minimum(knot + 1, last), lanes] - times[knot, lanes])
        np.minimum(row, np.where(level >= count, HORIZON - date, np.inf), out=row)
    return found


def continuous_dates(parameters: Floats, doublings: Sequence[float]) -> Floats:
    """The same of the continuous limit, for doublings below every ceiling."""
    law = _Law(*parameters)
    rows = []
    for level in doublings:
        end = law.coordinate(np.full_like(law.ceiling, level))
        rows.append(law.integral(np.zeros_like(end), end, panels=64))
    dates = np.stack(rows)
    return np.where(dates <= HORIZON, dates, np.inf)


def continuous_durations(parameters: Floats, doublings: Sequence[float]) -> Floats:
    """The least months in which so many doublings are made within the horizon, (doublings, lanes); +inf if they never are."""
    law = _Law(*parameters)
    furthest = law.level(law.coordinate_at_horizon())
    rows = []
    for amount in doublings:
        low, high = np.zeros_like(furthest), np.maximum(furthest - amount, 0.0)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            slower = law.log_time(law.coordinate(middle + amount)) > law.log_time(law.coordinate(middle))
            low, high = np.where(slower, low, middle), np.where(slower, middle, high)
        begin = np.where(furthest >= amount, high, 0.0)
        end = np.minimum(law.coordinate(begin + amount), _LAST_W)
        rows.append(np.where(furthest >= amount, law.integral(law.coordinate(begin), end, panels=64), np.inf))
    return np.stack(rows)


@dataclass(frozen=True)
class _Law:
    """The continuous limit, each field of shape (lanes,)."""

    speedup: Floats
    returns: Floats
    distance: Floats
    exponent: Floats

    @property
    def ceiling(self) -> Floats:
        return self.distance * DOUBLINGS_A_YEAR

    def level(self, w: Floats) -> Floats:
        return np.asarray(-self.ceiling * np.expm1(-w))

    def coordinate(self, level: Floats) -> Floats:
        return np.asarray(-np.log1p(-np.minimum(level / self.ceiling, 1 - 1e-16)))

    def log_time(self, w: Floats) -> Floats:
        """ln T."""
        exponent = np.log(2.0) * self.exponent * (self.ceiling / self.returns * w - self.level(w))
        return np.asarray(np.log(3.0 / self.speedup) + exponent)

    def integral(self, start: Floats, end: Floats, panels: int) -> Floats:
        """Months from one w to another."""
        nodes, weights = np.polynomial.legendre.leggauss(16)
        width = (end - start) / panels
        total = np.zeros_like(width)
        with np.errstate(over="ignore"):  # a lane that takes for ever
            for panel in range(panels):
                for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
                    w = start + width * (panel + node)
                    total += width * weight * np.exp(self.log_time(w) + np.log(self.ceiling) - w)
        return total

    def coordinate_at_horizon(self) -> Floats:
        """w at the horizon, or where marching ends."""
        begin, elapsed, width = np.zeros_like(self.ceiling), np.zeros_like(self.ceiling), _LAST_W / _PANELS
        for _ in range(_PANELS):
            after = elapsed + self.integral(begin, begin + width, panels=1)
            goes_on = after <= HORIZON
            begin, elapsed = np.where(goes_on, begin + width, begin), np.where(goes_on, after, elapsed)
        low, high = begin, np.minimum(begin + width, _LAST_W)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            late = elapsed + self.integral(begin, middle, panels=1) > HORIZON
            low, high = np.where(late, low, middle), np.where(late, middle, high)
        return low
