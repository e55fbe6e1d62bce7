"""Davidson & Houlden's (2025) base recursion and its four windows in NumPy, as fast as NumPy goes: a peer of the JAX kernel.

The doubling time after n doublings is T0 2^L(n), L(n) the sum over j = 1..n of p(1/r_j - 1), r_j = r0 (1 - j/X); knots are sums of doubling
times, until 48 months or the ceiling X. What makes it fast: lanes are sorted by how many knots they are predicted to need, so that a block
stops when its lanes do; a panel of knots fits into the L2 cache; every operation but the two running sums takes a whole panel at once, in
place; and lanes that have ended stay finite, so that no operation meets an infinity or NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Floats = NDArray[Any]
Flags = NDArray[np.bool_]

WINDOWS = ((12, 24), (4, 26), (12, 80), (4, 80))
"""The published windows: (months, doublings made in less than that)."""
HORIZON = 48.0
DOUBLINGS_A_YEAR = 8.0
# The best of 2,048 to 8,192 lanes, panels of 4 to 12 knots and 2^14 to 2^18 lanes sorted at once, on a core with AVX-512 and 1 MiB of L2
# cache: within 2 % of the fastest in float32 and in float64.
_LANES = 8192
_PANEL = 8
_SORTED_AT_ONCE = 1 << 18
# Longer than any window and any horizon, yet finite when added up over every knot: a time, and the logarithm of one.
_NEVER = 1e30
_LOG_NEVER = 60.0


def windows(initial_speedup: Floats, initial_returns: Floats, distance: Floats, exponent: Floats, dtype: DTypeLike = np.float32) -> Flags:
    """Whether each trajectory passes each of WINDOWS, shape (4, lanes), computed in `dtype`; all arguments have shape (lanes,).

    Multi-run convention (first doubling in 3/f months), no boost, no retraining.
    """
    kind = np.dtype(dtype)
    parameters = [np.asarray(values, dtype=kind) for values in (initial_speedup, initial_returns, distance, exponent)]
    flags = np.empty((len(WINDOWS), len(parameters[0])), np.bool_)
    if flags.size:
        work = _Block(kind, math.ceil(parameters[2].max() * DOUBLINGS_A_YEAR))
        for start in range(0, flags.shape[1], _SORTED_AT_ONCE):
            stop = start + _SORTED_AT_ONCE
            flags[:, start:stop] = _sorted_windows(work, *(values[start:stop] for values in parameters))
    return flags


def _sorted_windows(work: _Block, initial_speedup: Floats, initial_returns: Floats, distance: Floats, exponent: Floats) -> Flags:
    """`windows` of lanes few enough to stay in the cache while they are sorted."""
    ceiling = distance * work.kind.type(DOUBLINGS_A_YEAR)
    fall = exponent * work.kind.type(work.unit)
    rise = fall * ceiling
    rise /= initial_returns
    first = 3.0 / initial_speedup
    np.log(first, out=first)
    first *= work.unit / math.log(2.0)

    order = np.argsort(_predicted_knots(work, first, ceiling, fall, rise), kind="stable")
    flags = np.empty((len(WINDOWS), len(order)), np.bool_)
    for start in range(0, len(order), _LANES):
        chosen = order[start : start + _LANES]
        flags[:, chosen] = work.windows(first[chosen], ceiling[chosen], fall[chosen], rise[chosen])
    return flags


def _predicted_knots(work: _Block, first: Floats, ceiling: Floats, fall: Floats, rise: Floats) -> NDArray[np.uint16]:
    """How many knots each lane has, about, scaled to 16 bits: the midpoint rule on the continuous limit's time, up to the horizon."""
    panels = 8
    width = ceiling / panels
    slope = fall * ceiling
    left, knots = np.full_like(first, HORIZON), np.zeros_like(first)
    spent, share = np.empty_like(first), np.empty_like(first)
    for panel in range(panels):
        middle = (panel + 0.5) / panels
        np.multiply(slope, -middle, out=spent)
        np.multiply(rise, -math.log(1.0 - middle), out=share)
        spent += share
        spent += first
        np.minimum(spent, _LOG_NEVER, out=spent)
        work.exponential(spent, out=spent)
        spent *= width
        np.divide(left, spent, out=share)
        np.minimum(share, 1.0, out=share)
        knots += share
        left -= spent
        np.maximum(left, 0.0, out=left)
    knots *= width
    knots *= 65535.0 / work.most
    return np.asarray(knots.astype(np.uint16))


class _Block:
    """The recursion over one block of lanes, in arrays that every block reuses; no lane has more than `most` knots."""

    def __init__(self, kind: np.dtype[Any], most: int) -> None:
        self.kind, self.most = kind, most
        # The quicker exponential of the two; logarithms of times are to its base.
        self.exponential: Callable[..., Floats]
        self.exponential, self.unit = (np.exp, math.log(2.0)) if kind == np.float32 else (np.exp2, 1.0)
        size = (most + _PANEL + 1) * _LANES
        self.times, self.spare, self.ended = np.empty(size, kind), np.empty(size, kind), np.empty(size, np.bool_)

    def windows(self, first: Floats, ceiling: Floats, fall: Floats, rise: Floats) -> Flags:
        """Flags of one block, shape (4, lanes). All arguments have shape (lanes,), logarithms being in `unit`.

        `first` is the log of the first doubling's time, `fall` p and `rise` p X/r0: doubling j changes the log by rise/(X - j) - fall.
        """
        times = self._knots(first, ceiling, fall, rise)
        ended = self.ended[: times.size].reshape(times.shape)
        np.greater_equal(times, HORIZON, out=ended)
        shortest = {doublings: self._shortest(times, ended, doublings) for doublings in {doublings for _, doublings in WINDOWS}}
        return np.stack([shortest[doublings] < months for months, doublings in WINDOWS])

    def _knots(self, first: Floats, ceiling: Floats, fall: Floats, rise: Floats) -> Floats:
        """Times of knots in months, shape (knots, lanes), up to where every lane has ended; a lane past its ceiling takes for ever."""
        lanes, lowest, highest = len(first), ceiling.min(), ceiling.max()
        times = self.times[: self.times.size // _LANES * lanes].reshape(-1, lanes)
        panel = self.spare[: _PANEL * lanes].reshape(_PANEL, lanes)
        doublings = np.arange(_PANEL, dtype=self.kind)[:, None]
        times[0] = 0.0
        total = first + fall - rise / ceiling  # so that j = 0 leaves `first`
        knot = 0
        while knot < highest and times[knot].min() < HORIZON:
            np.subtract(ceiling, doublings, out=panel)
            if knot + _PANEL > lowest:
                np.maximum(panel, 1.0 / _NEVER, out=panel)
            np.divide(rise, panel, out=panel)
            np.subtract(panel, fall, out=panel)
            np.add(total, panel[0], out=panel[0])
            for row in range(1, _PANEL):
                np.add(panel[row - 1], panel[row], out=panel[row])
            total[:] = panel[-1]
            np.minimum(panel, _LOG_NEVER, out=panel)
            self.exponential(panel, out=panel)
            for row in range(_PANEL):
                np.add(times[knot + row], panel[row], out=times[knot + row + 1])
            knot += _PANEL
            doublings += _PANEL
        return times[: knot + 1]

    def _shortest(self, times: Floats, ended: Flags, doublings: int) -> Floats:
        """The least time that so many doublings take, shape (lanes,), over windows whose last step begins before the horizon."""
        count = len(times) - doublings
        if count <= 0:
            return np.full(times.shape[1], _NEVER, self.kind)
        spans = self.spare[: count * times.shape[1]].reshape(count, -1)
        np.subtract(times[doublings:], times[:count], out=spans)
        np.copyto(spans, _NEVER, where=ended[doublings - 1 : -1])
        return np.asarray(np.minimum.reduce(spans, axis=0))
