"""Every form in which a distribution may be written has the quantiles that it states, by SciPy where there is one."""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from kernels.models import Parameter
from kernels.sampling import Distribution, Truncated, Uniform, nearer_tail
from sweep.distributions import DistributionTable, attains_low, is_continuous, stays_above_low
from sweep.known import beyond
from sweep.spec import loads
from sweep.tables import validated

# No deadline: the first quantile of a kind is slow on a busy machine.
quick = settings(max_examples=30, deadline=None)
PROBABILITIES = (1e-6, 0.05, 0.1, 0.5, 0.9, 0.95)

positive = st.floats(1e-3, 1e3)
finite = st.floats(-1e3, 1e3)
wider = st.floats(1.01, 100)


def no_evidence(name):
    raise AssertionError(name)


def written(**table):
    found = validated(DistributionTable, table, "file").distribution(no_evidence)
    assert isinstance(found, Distribution)
    return found


def agree(distribution, oracle, rel=1e-9, size=0.0):
    for probability in PROBABILITIES:
        expected = oracle.ppf(probability)
        assert distribution.host_quantile(probability) == pytest.approx(expected, rel=rel, abs=1e-9 * size)
        expected = oracle.isf(probability)
        assert distribution.host_quantile(probability, upper=True) == pytest.approx(expected, rel=rel, abs=1e-9 * size)


@quick
@given(low=finite, width=positive)
def test_uniform(low, width):
    agree(written(uniform=[low, low + width]), stats.uniform(low, (low + width) - low), size=abs(low) + width)


@quick
@given(low=positive, ratio=wider)
def test_loguniform(low, ratio):
    agree(written(loguniform=[low, low * ratio]), stats.loguniform(low, low * ratio))


@quick
@given(mean=finite, sd=positive)
def test_normal(mean, sd):
    agree(written(normal={"mean": mean, "sd": sd}), stats.norm(mean, sd), size=abs(mean) + sd)


@quick
@given(low=finite, width=positive)
def test_normal_from_an_interval(low, width):
    high = low + width
    size = abs(low) + width
    for key, tail in (("ci80", 0.1), ("ci90", 0.05)):
        distribution = written(normal={key: [low, high]})
        assert distribution.host_quantile(tail) == pytest.approx(low, abs=1e-9 * size)
        assert distribution.host_quantile(tail, upper=True) == pytest.approx(high, abs=1e-9 * size)


@quick
@given(mean=st.floats(-5, 5), sd=st.floats(0.01, 3))
def test_lognormal(mean, sd):
    agree(written(lognormal={"mean_of_log": mean, "sd_of_log": sd}), stats.lognorm(sd, scale=math.exp(mean)))


@quick
@given(low=positive, ratio=wider)
def test_lognormal_from_an_interval(low, ratio):
    for key, tail in (("ci80", 0.1), ("ci90", 0.05)):
        distribution = written(lognormal={key: [low, low * ratio]})
        assert distribution.host_quantile(tail) == pytest.approx(low, rel=1e-9)
        assert distribution.host_quantile(tail, upper=True) == pytest.approx(low * ratio, rel=1e-9)
        assert distribution.median == pytest.approx(low * math.sqrt(ratio), rel=1e-9)


@quick
@given(p10=positive, ratio=wider)
def test_lognormal_from_percentiles(p10, ratio):
    percentiles = {"p10": p10, "p50": p10 * ratio, "p90": p10 * ratio**2}
    for keys in (("p10", "p50"), ("p10", "p90"), ("p50", "p90"), ("p10", "p50", "p90")):
        distribution = written(lognormal={key: percentiles[key] for key in keys})
        for key, value in percentiles.items():
            assert distribution.host_quantile(int(key[1:]) / 100) == pytest.approx(value, rel=1e-9)


def test_three_percentiles_may_disagree_a_little():
    distribution = written(lognormal={"p10": 1, "p50": 2.01, "p90": 4})
    assert distribution.median == pytest.approx(2.01, rel=0.01)


@quick
@given(low=finite, left=positive, right=positive)
def test_triangular(low, left, right):
    mode, high = low + left, low + left + right
    oracle = stats.triang((mode - low) / (high - low), low, high - low)
    agree(written(triangular={"low": low, "mode": mode, "high": high}), oracle, rel=1e-7, size=100 * (abs(low) + left + right))


@quick
@given(a=st.floats(0.5, 20), b=st.floats(0.5, 20), low=finite, width=positive)
@pytest.mark.slow
def test_beta(a, b, low, width):
    agree(
        written(beta={"a": a, "b": b, "low": low, "high": low + width}),
        stats.beta(a, b, low, width),
        rel=1e-7,
        size=1e3 * (abs(low) + width),
    )


def test_beta_lies_between_0_and_1_unless_it_says_otherwise():
    assert written(beta={"a": 2, "b": 3}).support == (0.0, 1.0)


@quick
@given(values=st.lists(finite, min_size=1, max_size=6, unique=True), weights=st.lists(st.integers(1, 9), min_size=6, max_size=6))
def test_discrete(values, weights):
    weights = weights[: len(values)]
    distribution = written(discrete={"values": values, "weights": weights})
    below = 0.0
    for value, weight in sorted(zip(values, weights, strict=True)):
        middle = (below + weight / 2) / sum(weights)
        assert distribution.host_quantile(middle) == value
        below += weight


@quick
@given(first=positive, second=positive, ratio=wider, share=st.floats(0.1, 0.9))
def test_mixture(first, second, ratio, share):
    components = [{"weight": 2 * share, "uniform": [first, first + 1]}, {"weight": 2 * (1 - share), "loguniform": [second, second * ratio]}]
    distribution = written(mixture=components)
    one, two = stats.uniform(first, 1), stats.loguniform(second, second * ratio)
    for value in (first + 0.3, second * ratio**0.3, first / 2, second * ratio * 2):
        assert distribution.cdf(value) == pytest.approx(share * one.cdf(value) + (1 - share) * two.cdf(value), abs=1e-9)


def test_mixture_with_a_number():
    distribution = written(mixture=[{"weight": 1, "value": 3}, {"weight": 3, "uniform": [5, 6]}])
    assert distribution.host_quantile(0.2) == 3.0
    assert distribution.host_quantile(0.625) == pytest.approx(5.5)


def test_a_mixture_of_one_is_its_part():
    assert written(mixture=[{"weight": 5, "uniform": [1, 2]}]) == written(uniform=[1, 2])


@quick
@given(mean=finite, sd=positive, low=st.floats(-2, 0.5), width=st.floats(0.5, 3), by=finite)
def test_truncate_then_shift(mean, sd, low, width, by):
    ends = [mean + sd * low, mean + sd * (low + width)]
    distribution = written(normal={"mean": mean, "sd": sd}, truncate=ends, shift=by)
    oracle = stats.truncnorm(low, low + width, mean + by, sd)
    agree(distribution, oracle, rel=1e-6, size=100 * (abs(mean) + abs(by) + sd))
    assert distribution.support == pytest.approx((ends[0] + by, ends[1] + by))


def test_truncated_values_keep_their_weights():
    values = {"values": [4, 1, 2, 3], "weights": [4, 1, 1, 2]}
    assert written(discrete=values, truncate=[2, 3]) == written(discrete={"values": [2, 3], "weights": [1, 2]})
    shifted = written(discrete=values, truncate=[2, 3], shift=1)
    assert shifted.support == (3.0, 4.0)
    assert shifted.cdf(3.5) == pytest.approx(1 / 3)
    inner = {"mixture": [{"weight": 1, "discrete": values, "shift": 1}], "truncate": [3, 4]}
    assert written(**inner) == written(discrete={"values": [3, 4], "weights": [1, 2]})


def test_a_mixture_with_values_is_truncated_as_a_whole():
    """Of 1 at 3, 3 over [5, 6], 2 beyond and 1 of each of two values, what lies in [0, 5.5]: 1 at 2, 1 at 3 and 1.5 over [5, 5.5]."""
    parts = [
        {"weight": 1, "value": 3},
        {"weight": 3, "uniform": [5, 6]},
        {"weight": 2, "uniform": [5.5, 9]},
        {"weight": 2, "discrete": {"values": [2, -1], "weights": [1, 1]}},
    ]
    distribution = written(mixture=parts, truncate=[0, 5.5])
    assert distribution.support == (2.0, 5.5)
    assert [distribution.cdf(value) for value in (1.9, 2, 2.9, 3, 4.9, 5.25, 5.5)] == pytest.approx(
        [0, 1 / 3.5, 1 / 3.5, 2 / 3.5, 2 / 3.5, 2.75 / 3.5, 1]
    )
    assert [distribution.host_quantile(share / 3.5) for share in (0.5, 1.5, 2.75)] == pytest.approx([2, 3, 5.25])
    bits = ((np.arange(7) + 0.5) / 7 * 2**32).astype(np.uint32)
    for dtype in (np.float32, np.float64):
        found = np.asarray(distribution.quantile(nearer_tail(jnp.asarray(bits), dtype)))
        np.testing.assert_allclose(found, [2, 2, 3, 3, 5 + 1 / 12, 5.25, 5 + 5 / 12], rtol=1e-6)
    assert written(mixture=parts, truncate=[3, 4]) == written(discrete={"values": [3], "weights": [1]})
    assert written(mixture=parts, truncate=[5, 5.5]) == Truncated(Uniform(5.0, 6.0), 5.0, 5.5)


@pytest.mark.parametrize(
    ("table", "continuous", "attained"),
    [
        ({"uniform": [1, 2]}, True, True),
        ({"lognormal": {"ci80": [1, 2]}}, True, False),
        ({"normal": {"ci80": [1, 2]}}, True, False),
        ({"lognormal": {"ci80": [1, 2]}, "shift": 1}, True, False),
        ({"lognormal": {"ci80": [1, 2]}, "truncate": [0, 3]}, True, False),
        ({"lognormal": {"ci80": [1, 2]}, "truncate": [0.5, 3]}, True, True),
        ({"discrete": {"values": [1, 2], "weights": [1, 1]}}, False, True),
        ({"mixture": [{"weight": 1, "uniform": [0, 1]}, {"weight": 1, "lognormal": {"ci80": [1, 2]}}]}, True, True),
        ({"mixture": [{"weight": 1, "uniform": [1, 2]}, {"weight": 1, "lognormal": {"ci80": [1, 2]}}]}, True, False),
        ({"mixture": [{"weight": 1, "value": 1}, {"weight": 1, "lognormal": {"ci80": [1, 2]}}]}, False, False),
    ],
)
def test_what_is_known_of_a_distribution(table, continuous, attained):
    distribution = written(**table)
    assert is_continuous(distribution) is continuous
    assert attains_low(distribution) is attained


ABOVE_ZERO = [
    ({"beta": {"a": 2, "b": 2}}, True),
    ({"beta": {"a": 0.5, "b": 0.5}}, True),
    ({"beta": {"a": 2, "b": 2, "high": 0.5}}, True),
    # In float32 the lowest would be 0.
    ({"beta": {"a": 0.1, "b": 2}}, False),
    ({"beta": {"a": 2, "b": 2}, "truncate": [0, 0.5]}, False),
    ({"uniform": [0, 1]}, False),
]


@pytest.mark.parametrize(("table", "above"), ABOVE_ZERO)
def test_what_reaches_0_and_never_is_0_may_be_drawn_for_what_cannot_be_0(table, above):
    found, lowest = written(**table), 2.0**-33
    assert stays_above_low(found, lowest) is above
    for dtype in (jnp.float32, jnp.float64) if above else ():
        assert found.quantile(nearer_tail(jnp.zeros(1, jnp.uint32), dtype))[0] > 0
    share = Parameter("share", "α", "–", 0.5, 0.0, 1.0, "a share", low_open=True)
    assert (beyond(found, share) is None) is above


def test_a_bound_that_is_never_drawn_is_a_quantile():
    spec = loads(
        '[sweep]\nname = "a"\nmodel = "growth_law"\ndraws = 256\n[model]\nresearch_input = "ces"\n'
        "[parameters]\nlabour_share = { beta = { a = 2, b = 2 } }\nautomated_share_low = 0.1\n[outcomes]\ndoublings = [3]\n",
        "here",
    )
    low, high = spec.known().bounds()["labour_share"]
    assert low == pytest.approx(stats.beta(2, 2).ppf(1e-6), rel=1e-6)
    assert high == 1
