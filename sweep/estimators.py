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
    counts = histogram.astype(np.float64)
    merged = counts.sum(-2)
    below = np.cumsum(merged, -1)
    total = below[..., -1]
    lower, upper = _finite_edges(edges, least, greatest)
    values, errors = [], []
    for share in shares:
        wanted = share * total
        place = np.minimum((below < wanted[..., None]).sum(-1), merged.shape[-1] - 1)
        value, density = _within(place, wanted, below, merged, lower, upper)
        value = np.clip(value, least, greatest)
        infinite = place == merged.shape[-1] - 1
        value = np.where(total > 0, np.where(infinite, np.inf, value), np.nan)
        # The share of each replicate below the value, on the density there.
        here = np.take_along_axis(merged, place[..., None], -1)
        into = np.where(here > 0, (wanted[..., None] - (np.take_along_axis(below, place[..., None], -1) - here)) / np.maximum(here, 1), 0)
        cumulative = np.cumsum(counts, -1)
        at = np.take_along_axis(cumulative, place[..., None, None], -1)[..., 0]
        inside = np.take_along_axis(counts, place[..., None, None], -1)[..., 0]
        under = at - inside + into * inside
        share_se = ratio(under, counts.sum(-1), varies)[1]
        with np.errstate(invalid="ignore", divide="ignore"):
            error = np.where(share_se == 0, 0.0, share_se / density)
        errors.append(np.where(infinite | (total == 0), np.nan, error))
        values.append(value)
    return np.stack(values, -1), np.stack(errors, -1)


def _finite_edges(edges: Floats, least: Floats, greatest: Floats) -> tuple[Floats, Floats]:
    """Edges of every bin for every cell: those that reach to infinity end at the extremes of the cell."""
    shape = (*least.shape, len(edges))
    lower = np.maximum(np.broadcast_to(edges, shape), np.where(np.isfinite(least), least, 0)[..., None])
    upper = np.minimum(np.broadcast_to(np.append(edges[1:], np.inf), shape), np.where(np.isfinite(greatest), greatest, 0)[..., None])
    return lower, np.maximum(upper, lower)


def _within(place: NDArray[np.intp], wanted: Floats, below: Floats, merged: Floats, lower: Floats, upper: Floats) -> tuple[Floats, Floats]:
    """The value at which the count below it is `wanted`, and the share of draws a unit of value there."""
    index = place[..., None]
    inside = np.take_along_axis(merged, index, -1)[..., 0]
    before = np.take_along_axis(below, index, -1)[..., 0] - inside
    low, high = (np.take_along_axis(edge, index, -1)[..., 0] for edge in (lower, upper))
    with np.errstate(invalid="ignore", divide="ignore"):
        value = low + (high - low) * np.where(inside > 0, (wanted - before) / inside, 0)
        density = inside / below[..., -1] / (high - low)
    return value, density
