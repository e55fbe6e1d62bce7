"""Bins, sums and counts: against NumPy, math.fsum, and however the draws are split."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.statistics import Bins, count_by_replicate, pairwise_sum, sum_by_replicate

SCALES: tuple[Any, ...] = ("duration", "ratio", "signed", "count")
FLOATS = st.floats(width=32, allow_nan=False)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("per_octave", [4, 32])
def test_edges_are_increasing_and_one_a_bin(scale: Any, per_octave: Any) -> None:
    bins = Bins(scale, per_octave)
    assert len(bins.edges) == bins.count
    assert np.all(np.diff(bins.edges) > 0)
    positive = bins.edges[(bins.edges > 0) & np.isfinite(bins.edges)]
    assert np.all(positive[1:] / positive[:-1] <= 1 + 1 / per_octave + 1e-12)
    assert bins.edges[-1] == np.inf


@pytest.mark.slow
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("per_octave", [pytest.param(4, marks=pytest.mark.soak), 32])
def test_every_edge_begins_its_bin(scale: Any, per_octave: Any) -> None:
    bins = Bins(scale, per_octave)
    edges = bins.edges[bins.edges >= 0]
    index = np.asarray(bins.index(jnp.asarray(edges, jnp.float32)))
    np.testing.assert_array_equal(index, np.flatnonzero(bins.edges >= 0))
    inside = np.nextafter(np.float32(edges[edges > 0]), np.float32(0))
    np.testing.assert_array_equal(np.asarray(bins.index(jnp.asarray(inside))), np.flatnonzero(bins.edges > 0) - 1)


@pytest.mark.parametrize("scale", SCALES)
@settings(max_examples=60, deadline=None)
@given(values=st.lists(FLOATS, min_size=1, max_size=40))
@pytest.mark.slow
def test_index_finds_the_bin(scale: Any, values: Any) -> None:
    bins = Bins(scale, 32)
    # Of one length, whatever is drawn, so that nothing is compiled again.
    array = np.resize(np.array(values, np.float32), 40)
    if scale != "signed":
        array = np.abs(array)
    index = np.asarray(bins.index(jnp.asarray(array)))
    edges = bins.edges
    assert np.all((index >= 0) & (index < bins.count))
    for value, place in zip(array.astype(float), index, strict=True):
        lower, upper = edges[place], edges[place + 1] if place + 1 < len(edges) else np.inf
        # The mirrored bins of negative numbers include their upper edge, as the positive ones their lower one.
        inside = lower < value <= upper if value < 0 and np.isfinite(lower) else lower <= value <= upper
        assert inside, (value, lower, upper)


@pytest.mark.parametrize("scale", SCALES)
def test_histograms_against_numpy(scale: Any) -> None:
    random = np.random.default_rng(1)
    values = np.exp(random.normal(0, 8, 20000)).astype(np.float32)
    if scale == "signed":
        values *= random.choice(np.array([-1, 1], np.float32), len(values))
    bins = Bins(scale, 32)
    ours = np.bincount(np.asarray(bins.index(jnp.asarray(values))), minlength=bins.count)
    theirs = np.histogram(values.astype(float), np.append(bins.edges, np.inf)[:-1])[0]
    np.testing.assert_array_equal(ours[: len(theirs)], theirs)
    assert ours[-1] == np.isinf(values).sum()


def test_infinity_has_a_bin_of_its_own() -> None:
    for scale in SCALES:
        bins = Bins(scale, 32)
        largest = np.finfo(np.float32).max
        index = np.asarray(bins.index(jnp.asarray([np.inf, largest], jnp.float32)))
        np.testing.assert_array_equal(index, [bins.count - 1, bins.count - 2])
    signed = Bins("signed", 32)
    assert int(signed.index(jnp.float32(-np.inf))) == 0
    zero = int(signed.index(jnp.float32(0)))
    assert signed.edges[zero] < 0 < signed.edges[zero + 1]


@cache
def _sums(replicates: int, cut: int) -> Any:
    """The sums by replicate of a row, and those of its parts summed, in one program."""

    def sums(array: jax.Array) -> tuple[jax.Array, jax.Array]:
        return sum_by_replicate(array, replicates), pairwise_sum(sum_by_replicate(array.reshape(cut, -1), replicates))

    return jax.jit(sums)


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.floats(-1e6, 1e6, width=32, allow_subnormal=False), min_size=1, max_size=256),
    replicates=st.sampled_from([1, 2, 4]),
    cut=st.sampled_from([1, 2, 4, 8]),
)
@pytest.mark.slow
def test_pairwise_sums_are_near_exact_and_split_anywhere_in_powers_of_two(values: Any, replicates: Any, cut: Any) -> None:
    rows = 64
    array = np.resize(np.array(values, np.float32), rows * replicates)
    whole, of_parts = (np.asarray(found) for found in _sums(replicates, cut)(jnp.asarray(array)))
    for replicate in range(replicates):
        column = array[replicate::replicates].astype(float)
        bound = 24 * np.finfo(np.float32).eps * math.fsum(abs(column))
        assert abs(whole[replicate] - math.fsum(column)) <= bound
    np.testing.assert_array_equal(of_parts, whole)


def test_counts_by_replicate() -> None:
    random = np.random.default_rng(2)
    flags = random.random((3, 4096)) < 0.3
    expected = [[row[replicate::16].sum() for replicate in range(16)] for row in flags]
    ours = np.asarray(count_by_replicate(jnp.asarray(flags), 16))
    np.testing.assert_array_equal(ours, expected)
    assert ours.dtype == np.int32
