"""Estimators against NumPy on the draws themselves, and their standard errors against the spread over many seeds."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from kernels.labels import Scale
from kernels.statistics import Bins
from sweep.estimators import quantiles, ratio

REPLICATES, SHARES = 16, (0.05, 0.25, 0.5, 0.75, 0.95)


def counted(values, bins):
    """Histogram by replicate (the draw modulo their number) from plain Python: the bin whose edges hold the value."""
    found = np.zeros((REPLICATES, bins.count), np.int64)
    for draw, value in enumerate(values):
        if not math.isnan(value):
            found[draw % REPLICATES, np.searchsorted(bins.edges, value, side="right") - 1] += 1
    return found


def counted_at_once(values, bins):
    """The same of values without NaN, for many seeds."""
    place = (np.searchsorted(bins.edges, values, side="right") - 1).reshape(-1, REPLICATES)
    return np.stack([np.bincount(place[:, replicate], minlength=bins.count) for replicate in range(REPLICATES)])


def ends(values):
    finite = values[np.isfinite(values)]
    return np.float64(finite.min(initial=np.inf)), np.float64(finite.max(initial=-np.inf))


def test_a_mean_and_its_error_by_hand():
    # Two replicates with means 1 and 3 of as many draws: the mean is 2, and its error the spread of means over sqrt 2, sqrt 2/sqrt 2.
    mean, error = ratio(np.array([10.0, 30.0]), np.array([10, 10]))
    assert mean == 2
    assert error == pytest.approx(1)


def test_replicates_of_different_sizes():
    rng = np.random.default_rng(1)
    counts = np.array([5, 9, 7, 3])
    totals = rng.normal(size=4) + 2 * counts
    mean, error = ratio(totals, counts)
    assert mean == pytest.approx(totals.sum() / 24)
    by_hand = math.sqrt(4 / 3 * sum((total - mean * count) ** 2 for total, count in zip(totals, counts, strict=True))) / 24
    assert error == pytest.approx(by_hand, rel=1e-14)


def test_equal_replicates_have_the_error_of_the_mean_of_means():
    means = np.random.default_rng(2).normal(size=(3, REPLICATES))
    mean, error = ratio(means * 50, np.full((3, REPLICATES), 50))
    np.testing.assert_allclose(mean, means.mean(-1), rtol=1e-14)
    np.testing.assert_allclose(error, means.std(-1, ddof=1) / 4, rtol=1e-12)


@pytest.mark.parametrize(("counts", "mean", "error"), [([0, 0], np.nan, np.nan), ([4, 0], 2.5, np.nan), ([4, 4], 2.5, 0)])
def test_too_few_replicates_have_no_error(counts, mean, error):
    counts = np.array(counts)
    found = ratio(2.5 * counts, counts)
    np.testing.assert_array_equal(found, (mean, error))


def test_where_nothing_varies_there_is_no_error():
    np.testing.assert_array_equal(ratio(np.array([3, 0]), np.array([1, 0]), varies=False), (3, 0))
    np.testing.assert_array_equal(ratio(np.array([0, 0]), np.array([0, 0]), varies=False), (np.nan, np.nan))


SAMPLES: dict[str, tuple[Scale, Any]] = {
    "lognormal durations": ("duration", lambda rng: rng.lognormal(2, 1, 4000)),
    "a third not reached": ("duration", lambda rng: np.where(rng.random(4000) < 1 / 3, np.inf, rng.lognormal(2, 1, 4000))),
    "most not reached": ("duration", lambda rng: np.where(rng.random(4000) < 0.99, np.inf, rng.lognormal(2, 1, 4000))),
    "some failed": ("duration", lambda rng: np.where(rng.random(4000) < 0.1, np.nan, rng.lognormal(2, 1, 4000))),
    "signed": ("signed", lambda rng: rng.normal(3, 10, 4000)),
    "all negative": ("signed", lambda rng: -rng.lognormal(2, 1, 4000)),
    "beyond the bins": ("signed", lambda rng: rng.normal(0, 1e6, 4000)),
    "ratios": ("ratio", lambda rng: rng.lognormal(5, 5, 4000)),
    "counts": ("count", lambda rng: rng.integers(0, 40, 4000).astype(float)),
    "two values": ("duration", lambda rng: rng.choice([2.0, 1000.0], 4000)),
    "one value": ("duration", lambda rng: np.full(4000, 7.3)),
    "few": ("duration", lambda rng: rng.lognormal(2, 1, 3)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("per_octave", [4, 32])
def test_quantiles_are_within_the_width_of_a_bin(name, per_octave):
    scale, draw = SAMPLES[name]
    values, bins = draw(np.random.default_rng(3)), Bins(scale, per_octave)
    found, errors = quantiles(counted(values, bins), bins.edges, SHARES, *ends(values))
    kept = np.sort(values[~np.isnan(values)])
    lower = np.append(bins.edges, np.inf)
    for share, value, error in zip(SHARES, found, errors, strict=True):
        # The least value that the share of draws does not exceed: +inf last.
        exact = kept[math.ceil(share * len(kept)) - 1]
        if exact == np.inf:
            assert value == np.inf
            assert math.isnan(error)
            continue
        place = np.searchsorted(bins.edges, exact, side="right") - 1
        low, high = max(lower[place], kept[0]), min(lower[place + 1], kept[np.isfinite(kept)][-1])
        assert low <= value <= high
        assert error >= 0 or len(kept) < 4
    assert (np.diff(found[np.isfinite(found)]) >= 0).all()


def test_quantiles_of_many_cells_are_those_of_each():
    rng, bins = np.random.default_rng(4), Bins("duration", 8)
    samples = [rng.lognormal(cell, 1, 500) for cell in range(6)]
    histogram = np.stack([counted(sample, bins) for sample in samples]).reshape(2, 3, REPLICATES, -1)
    least, greatest = (np.array([ends(sample)[end] for sample in samples]).reshape(2, 3) for end in (0, 1))
    value, error = quantiles(histogram, bins.edges, SHARES, least, greatest)
    assert value.shape == error.shape == (2, 3, 5)
    for index, sample in enumerate(samples):
        alone = quantiles(counted(sample, bins), bins.edges, SHARES, *ends(sample))
        np.testing.assert_array_equal((value[divmod(index, 3)], error[divmod(index, 3)]), alone)


def test_without_draws_there_are_no_quantiles():
    bins = Bins("duration", 4)
    value, error = quantiles(np.zeros((REPLICATES, bins.count), int), bins.edges, (0.5,), np.array(np.inf), np.array(-np.inf))
    assert np.isnan(value).all()
    assert np.isnan(error).all()


def test_one_value_is_its_own_quantile_without_error():
    bins = Bins("duration", 4)
    values = np.full(64, 7.3)
    value, error = quantiles(counted(values, bins), bins.edges, SHARES, *ends(values))
    assert (value == 7.3).all()
    assert (error == 0).all()


def stratified(seed, steps):
    """Draws of which each replicate has one in each of equal steps: far from independent, as in a net."""
    rng = np.random.default_rng(seed)
    return ((np.arange(steps)[:, None] + rng.random((steps, REPLICATES))) / steps).ravel()


def independent(seed, steps):
    return np.random.default_rng(seed).random(steps * REPLICATES)


@pytest.mark.slow
@pytest.mark.parametrize(
    # Where replicates are smooth, the place of a quantile in its bin is soon what is least known of it; its bound is told, not its error.
    ("draw", "steps", "names"),
    [(independent, 512, ("share", "mean", "middle", "late")), (stratified, 64, ("share", "mean"))],
)
def test_standard_errors_cover_over_seeds(draw, steps, names):
    """The estimates of 400 seeds beside the exact values: an exponential distribution of mean 5, not reached beyond `end`.

    No share falls on the edge of a step, where the stratified draws would have no error at all.
    """
    bins, end = Bins("duration", 32), -5 * math.log(12.5 / 64)
    exact = {"share": 51.5 / 64, "mean": 5 - end * (12.5 / 51.5), "middle": -5 * math.log(37.5 / 64), "late": -5 * math.log(16.5 / 64)}
    scores: dict[str, list[float]] = {name: [] for name in exact}
    for seed in range(400):
        values = -5 * np.log1p(-draw(seed, steps))
        values[values > end] = np.inf
        rows = values.reshape(-1, REPLICATES)
        finite = np.isfinite(rows)
        value, error = quantiles(counted_at_once(values, bins), bins.edges, (26.5 / 64, 47.5 / 64), *ends(values))
        estimates = {
            "share": ratio(finite.sum(0), np.full(REPLICATES, steps)),
            "mean": ratio(np.where(finite, rows, 0).sum(0), finite.sum(0)),
            "middle": (value[0], error[0]),
            "late": (value[1], error[1]),
        }
        for name in names:
            estimate, se = estimates[name]
            scores[name].append((estimate - exact[name]) / se)
    for name in names:
        # Student's t with 15 degrees of freedom: 95 % within 2.131, and its standard deviation is 1.074. 400 seeds give ± 0.011 and ± 0.04.
        assert np.mean(np.abs(scores[name]) < 2.131) == pytest.approx(0.95, abs=0.045), name
        assert np.std(scores[name]) == pytest.approx(1.074, abs=0.16), name


def test_the_error_of_a_quantile_does_not_turn_on_the_draws_of_one_bin():
    """A thousand draws in bins of half a per cent, of which most hold none or one."""
    bins, shares, covered = Bins("duration", 128), (0.05, 0.5, 0.95), []
    exact = [math.exp(NormalDist().inv_cdf(share)) for share in shares]
    for seed in range(200):
        values = np.random.default_rng(seed).lognormal(0, 1, 1024)
        value, error = quantiles(counted_at_once(values, bins), bins.edges, shares, *ends(values))
        # Student's t with 15 degrees of freedom.
        covered.append(np.abs(value - exact) <= 2.131 * error)
    # 95 % of 200 are 190 ± 3.
    assert (np.sum(covered, axis=0) >= 179).all()
