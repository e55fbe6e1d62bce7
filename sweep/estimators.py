"""Estimates and their standard errors from partial sums: means, probabilities and quantiles over independent replicates.

With R replicates, totals s_r and counts n_r, a mean is m = Σs_r/Σn_r, and its standard error that of a ratio of totals,

    se² = R/(R − 1) · Σ(s_r − m·n_r)² / (Σn_r)²,

with R − 1 degrees of freedom: replicates are independent whatever the sampler, draws within them are not. Source: Cochran (1977), Sampling
Techniques, section 6.4; Owen (1997) for replicated scrambled nets.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def ratio(totals: NDArray[Any], counts: NDArray[Any], varies: bool = True) -> tuple[Floats, Floats]:
    """The mean and its standard error over the last axis, the replicates. NaN where nothing was counted, or in fewer than two replicates.

    Where nothing `varies` (no parameter is drawn), there is no sampling error.
    """
    sums, numbers = totals.astype(np.float64), counts.astype(np.float64)
    total = numbers.sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sums.sum(-1) / total
        if not varies:
            return mean, np.where(total > 0, 0.0, np.nan)
        filled = (numbers > 0).sum(-1)
        deviation = sums - mean[..., None] * numbers
        error = np.sqrt(filled / (filled - 1.0) * (deviation**2).sum(-1)) / total
    return mean, np.where(filled > 1, error, np.nan)


class _Pooled(NamedTuple):
    """The distribution of all draws of every cell: counts up to the end of each bin, between its edges, (…, bins) all; and the extremes of
    what is finite, (…)."""

    below: Floats
    lower: Floats
    upper: Floats
    least: Floats
    greatest: Floats

    def quantile(self, wanted: Floats) -> tuple[Floats, NDArray[np.intp], Floats]:
        """The value below which so many draws lie, its bin and how far into it, each (…). +inf in the last bin."""
        last = self.below.shape[-1] - 1
        place = np.minimum((self.below < wanted[..., None]).sum(-1), last)
        before = _at(self.below, place - 1)
        inside = _at(self.below, place) - before
        into = np.where(inside > 0, (wanted - before) / np.maximum(inside, 1), 0)
        low, high = _at(self.lower, place), _at(self.upper, place)
        with np.errstate(invalid="ignore"):
            # inf − inf in the bin of +inf, which is not interpolated.
            value = np.clip(low + (high - low) * into, self.least, self.greatest)
        return np.where(place == last, np.inf, value), place, into


def quantiles(
    histogram: NDArray[Any], edges: Floats, shares: tuple[float, ...], least: Floats, greatest: Floats, varies: bool = True
) -> tuple[Floats, Floats]:
    """Quantiles and standard errors from counts by replicate and bin, (…, replicates, bins); each (…, shares).

    Within a bin draws are taken as spread evenly, so a quantile is within the width of its bin, and it lies between the least and the
    greatest finite value. Where the share falls among draws that are +inf, the quantile is +inf.
    """
    cumulative = np.cumsum(histogram, -1, dtype=np.int64)
    below = cumulative.sum(-2, dtype=np.float64)
    total, by_replicate = below[..., -1], cumulative[..., -1]
    pooled = _Pooled(below, *_finite_edges(edges, least, greatest), least, greatest)
    values, errors = [], []
    for share in shares:
        value, place, into = pooled.quantile(share * total)
        values.append(np.where(total > 0, value, np.nan))
        # How the share below the value varies among replicates …
        begun = _at(cumulative, (place - 1)[..., None])
        under = begun + into[..., None] * (_at(cumulative, place[..., None]) - begun)
        share_se = ratio(under, by_replicate, varies)[1]
        # … and how far apart quantiles are beside this one: over as many draws as independent ones would be uncertain by, since a single
        # bin may hold one draw or none.
        with np.errstate(invalid="ignore", divide="ignore"):
            reach = np.fmax(share_se, np.sqrt(share * (1 - share) / total))
            ends = np.clip(share - reach, 0, 1), np.clip(share + reach, 0, 1)
            low, high = (pooled.quantile(end * total)[0] for end in ends)
            # Of what is reached no more, nothing is known but from below.
            reached = high < np.inf
            apart = (np.where(reached, high, value) - low) / (np.where(reached, ends[1], share) - ends[0])
            error = np.where(share_se == 0, 0.0, share_se * apart)
        errors.append(np.where(np.isfinite(value) & (total > 0), error, np.nan))
    return np.stack(values, -1), np.stack(errors, -1)


def _at(rows: NDArray[Any], place: NDArray[np.intp]) -> NDArray[Any]:
    """The entry of the last axis at `place`, which lacks that axis; 0 before the first."""
    place = np.broadcast_to(place, rows.shape[:-1])
    found = np.take_along_axis(rows, np.maximum(place, 0)[..., None], -1)[..., 0]
    return np.where(place < 0, 0, found)


def _finite_edges(edges: Floats, least: Floats, greatest: Floats) -> tuple[Floats, Floats]:
    """Edges of every bin for every cell: those that reach to infinity end at the extremes of the cell."""
    shape = (*least.shape, len(edges))
    lower = np.maximum(np.broadcast_to(edges, shape), np.where(np.isfinite(least), least, 0)[..., None])
    upper = np.minimum(np.broadcast_to(np.append(edges[1:], np.inf), shape), np.where(np.isfinite(greatest), greatest, 0)[..., None])
    return lower, np.maximum(upper, lower)
