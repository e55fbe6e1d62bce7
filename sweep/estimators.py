"""Estimates and their standard errors from partial sums: means, probabilities and quantiles over independent replicates.

With R replicates, totals s_r and counts n_r, a mean is m = Σs_r/Σn_r, and its standard error that of a ratio of totals,

    se² = R/(R − 1) · Σ(s_r − m·n_r)² / (Σn_r)²,

with R − 1 degrees of freedom: replicates are independent whatever the sampler, draws within them are not. Source: Cochran (1977), Sampling
Techniques, section 6.4; Owen (1997) for replicated scrambled nets.
"""

from __future__ import annotations

from typing import Any

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
    lower, upper = _finite_edges(edges, least, greatest)
    last = histogram.shape[-1] - 1
    values, errors = [], []
    for share in shares:
        wanted = share * total
        place = np.minimum((below < wanted[..., None]).sum(-1), last)
        before = _at(below, place - 1)
        inside = _at(below, place) - before
        into = np.where(inside > 0, (wanted - before) / np.maximum(inside, 1), 0)
        low, high = _at(lower, place), _at(upper, place)
        infinite = place == last
        with np.errstate(invalid="ignore"):
            # inf − inf in the bin of +inf, which is not interpolated.
            value = np.clip(low + (high - low) * into, least, greatest)
        values.append(np.where(total > 0, np.where(infinite, np.inf, value), np.nan))
        # How the share below the value varies among replicates, on the density of draws there.
        begun = _at(cumulative, (place - 1)[..., None])
        under = begun + into[..., None] * (_at(cumulative, place[..., None]) - begun)
        share_se = ratio(under, by_replicate, varies)[1]
        with np.errstate(invalid="ignore", divide="ignore"):
            error = np.where(share_se == 0, 0.0, share_se * total * (high - low) / inside)
        errors.append(np.where(infinite | (total == 0), np.nan, error))
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
