import math

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from kernels.sampling import (
    Constant,
    Discrete,
    Distribution,
    LogNormal,
    LogUniform,
    Normal,
    Shifted,
    Tail,
    Triangular,
    Uniform,
    nearer_tail,
)
from kernels.sampling.tails import normal_magnitude
from tests.kernels.sampling.references import quantiles, reference, relative_error, words

CLOSED = [
    (Uniform(0.0, 1.0), stats.uniform(0, 1), 0.0),
    (Uniform(2.0, 5.0), stats.uniform(2, 3), 0.0),
    (Uniform(-3.0, 7.0), stats.uniform(-3, 10), 7.0),
    (LogUniform(2.0, 32.0), stats.loguniform(2, 32), 0.0),
    (LogUniform(1e-6, 1e6), stats.loguniform(1e-6, 1e6), 0.0),
    (Normal(0.0, 1.0), stats.norm(0, 1), 1.0),
    (Normal(40.0, 3.0), stats.norm(40, 3), 0.0),
    (LogNormal(1.0, 0.5), stats.lognorm(0.5, scale=math.e), 0.0),
    (LogNormal(-3.0, 2.0), stats.lognorm(2, scale=math.exp(-3)), 0.0),
    (LogNormal(math.log(7.7), 1.28), stats.lognorm(1.28, scale=7.7), 0.0),
    (LogNormal(5.0, 4.0), stats.lognorm(4, scale=math.exp(5)), 0.0),
    (Triangular(0.0, 0.2, 1.0), stats.triang(0.2), 0.0),
    (Triangular(0.0, 1.0, 1.0), stats.triang(1), 0.0),
    (Triangular(1.0, 1.0, 4.0), stats.triang(0, 1, 3), 0.0),
    (Shifted(LogNormal(0.0, 1.0), 2.0), stats.lognorm(1, 2), 0.0),
]


@pytest.mark.slow
@pytest.mark.parametrize(("ours", "theirs", "scale"), CLOSED, ids=lambda value: repr(value)[:40])
def test_quantiles_against_scipy(ours: Distribution, theirs: object, scale: float) -> None:
    bits = words()
    expected = reference(theirs, bits)
    assert relative_error(ours, expected, bits, jnp.float32, scale) < 1e-6
    assert relative_error(ours, expected, bits, jnp.float64, scale) < 5e-14


@pytest.mark.parametrize(("ours", "theirs", "scale"), CLOSED, ids=lambda value: repr(value)[:40])
def test_host_functions_against_scipy(ours: Distribution, theirs: stats.rv_continuous, scale: float) -> None:
    for probability in (2.0**-33, 1e-3, 0.2, 0.5, 0.8):
        lower, upper = float(theirs.ppf(probability)), float(theirs.isf(probability))
        assert ours.host_quantile(probability) == pytest.approx(lower, rel=1e-12, abs=1e-14 * scale)
        assert ours.host_quantile(probability, upper=True) == pytest.approx(upper, rel=1e-12, abs=1e-14 * scale)
    for probability in (1e-3, 0.2, 0.5, 0.8):
        value = float(theirs.ppf(probability))
        assert ours.cdf(value) == pytest.approx(probability, rel=1e-12)
        assert float(ours.above(np.array([value]))[0]) == pytest.approx(1.0 - probability, rel=1e-12)
    assert ours.median == pytest.approx(float(theirs.median()), rel=1e-13, abs=1e-15)
    assert ours.support == pytest.approx(theirs.support())


@pytest.mark.slow
@pytest.mark.parametrize(("ours", "theirs", "scale"), CLOSED, ids=lambda value: repr(value)[:40])
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_quantiles_rise_and_stay_within_the_support(ours: Distribution, theirs: object, scale: float, seed: int) -> None:
    # As many as `words` has, so that the program compiled for those is used again.
    count = words().size
    bits = np.sort(np.random.default_rng(seed).integers(0, 2**32, count, dtype=np.uint32) >> np.arange(count, dtype=np.uint32) % 24)
    for dtype, slack in ((jnp.float32, 4e-7), (jnp.float64, 1e-14)):
        values = quantiles(ours, bits, dtype)
        assert np.all(np.diff(values) >= -slack * np.maximum(np.abs(values[1:]), scale))
        low, high = (float(np.asarray(end, dtype)) for end in ours.support)
        assert values.min() >= low
        assert values.max() <= high


@pytest.mark.slow
@pytest.mark.parametrize(("ours", "theirs", "scale"), CLOSED, ids=lambda value: repr(value)[:40])
def test_means(ours: Distribution, theirs: stats.rv_continuous, scale: float) -> None:
    """The mean over a midpoint grid of u; what is left out beyond the grid is bounded by the closed form of the tail's share."""
    grid = ((np.arange(1 << 17) + 0.5) * 2**15).astype(np.uint32)
    tolerance = 2e-3 if theirs.std() < 3 * abs(theirs.mean()) else 0.7
    assert quantiles(ours, grid, jnp.float32).mean() == pytest.approx(theirs.mean(), rel=tolerance, abs=1e-3 * scale)


def test_normal_scores_against_mpmath() -> None:
    with mpmath.workdps(30):
        for exponent in (-1.0, -1.3, -3.5, -11.0, -33.0, -60.0, -120.0):
            p = float(np.float32(2.0**exponent))
            exact = float(-mpmath.sqrt(2) * mpmath.erfinv(2 * mpmath.mpf(p) - 1)) if p > 1e-15 else None
            if exact is None:
                tail = lambda z, p=p: mpmath.log(mpmath.erfc(z / mpmath.sqrt(2)) / 2) - mpmath.log(p)  # noqa: E731
                exact = float(mpmath.findroot(tail, math.sqrt(-2 * math.log(p))))
            for dtype, tolerance in ((jnp.float32, 2e-7), (jnp.float64, 4e-15)):
                high, low = normal_magnitude(jnp.asarray([p], dtype))
                assert float(high[0]) + float(low[0]) == pytest.approx(exact, abs=tolerance)


def test_tails_keep_the_digits_of_both_ends() -> None:
    bits = jnp.array([0, 1, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1], jnp.uint32)
    for dtype in (jnp.float32, jnp.float64):
        tail = nearer_tail(bits, dtype)
        expected = np.array([0.5, 1.5, 2**31 - 0.5, 2**31 - 0.5, 1.5, 0.5]) / 2**32
        np.testing.assert_allclose(tail.probability, expected, rtol=6e-8 if dtype == jnp.float32 else 0)
        np.testing.assert_array_equal(tail.upper, [False, False, False, True, True, True])


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_discrete_thresholds_are_exact_integers(dtype: type) -> None:
    """P(value) is its weight to 2^-32, in either precision: the draws on the two sides of every threshold get different values."""
    ours = Discrete((7.0, 1.0, 3.0, 2.0), (0.1, 1e-9, 0.7, 0.2 - 1e-9))
    thresholds = [round(share * 2**32) for share in (1e-9, 0.2, 0.9)]
    bits = np.array([0, *(t + d for t in thresholds for d in (-1, 0)), 2**32 - 1], np.uint32)
    np.testing.assert_array_equal(quantiles(ours, bits, dtype), [1, 1, 2, 2, 3, 3, 7, 7])
    many = Discrete(tuple(float(n) for n in range(100)), (1.0,) * 100)
    places = np.sort(np.random.default_rng(0).integers(0, 2**32, 5000, dtype=np.uint32))
    np.testing.assert_array_equal(quantiles(many, places, dtype), (places.astype(object) * 2 + 1) * 50 // 2**32)


def test_discrete_without_exact_bits_follows_the_probability() -> None:
    tail = Tail(jnp.array([0.1, 0.3, 0.3, 0.1], jnp.float32), jnp.array([False, False, True, True]))
    np.testing.assert_array_equal(Discrete((1.0, 2.0, 5.0), (0.25, 0.5, 0.25)).quantile(tail), [1, 2, 2, 5])
    np.testing.assert_array_equal(Constant(4.0).quantile(tail), [4, 4, 4, 4])


def test_discrete_host_functions() -> None:
    ours = Discrete((5.0, 1.0, 2.0), (1, 1, 2))
    assert [ours.cdf(value) for value in (0.9, 1.0, 2.0, 4.9, 5.0)] == [0.0, 0.25, 0.75, 0.75, 1.0]
    assert [ours.host_quantile(p) for p in (0.1, 0.25, 0.26, 0.75, 0.76)] == [1, 1, 2, 2, 5]
    assert [ours.host_quantile(p, upper=True) for p in (0.1, 0.24, 0.25, 0.74, 0.75)] == [5, 5, 2, 2, 1]
    assert ours.support == (1.0, 5.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Uniform(2.0, 2.0), r"low, high: \(2.0, 2.0\) cannot be used; give low below high"),
        (lambda: Uniform(0.0, math.inf), "high: inf .* finite"),
        (lambda: LogUniform(0.0, 1.0), "0 < low < high"),
        (lambda: Normal(0.0, 0.0), "sd: 0.0 .* positive"),
        (lambda: Normal(math.nan, 1.0), "mean: nan .* finite"),
        (lambda: LogNormal(0.0, -1.0), "sd_of_log: -1.0 .* positive"),
        (lambda: Triangular(0.0, 2.0, 1.0), r"mode: 2.0 .* within \[0.0, 1.0\]"),
        (lambda: Discrete((1.0, 2.0), (1.0,)), "weights: .* one weight for each of the 2"),
        (lambda: Discrete((1.0, 1.0), (1.0, 1.0)), "values: .* each value once"),
        (lambda: Discrete((1.0, 2.0), (1.0, 0.0)), "weights: 0.0 .* positive"),
        (lambda: Discrete((), ()), "at least one"),
        (lambda: Constant(math.inf), "value: inf"),
        (lambda: Shifted(Uniform(0.0, 1.0), math.nan), "by: nan"),
        (lambda: Uniform(0.0, 1.0).host_quantile(1.0), "probability: 1.0"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_fix(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]


def test_no_float64_in_a_float32_program() -> None:
    for ours, _, _ in CLOSED:
        assert "f64" not in str(jax.make_jaxpr(lambda b, ours=ours: ours.quantile(nearer_tail(b, jnp.float32)))(jnp.zeros(4, jnp.uint32)))
