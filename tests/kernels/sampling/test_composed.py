import math

import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from scipy import integrate, stats

from kernels.sampling import Beta, Constant, Discrete, Distribution, LogNormal, LogUniform, Mixture, Normal, Shifted, Truncated, Uniform
from kernels.sampling.beta import incomplete_beta
from tests.kernels.sampling.references import quantiles, reference, relative_error, words

KNOWN = [
    (Beta(2.0, 3.0), stats.beta(2, 3)),
    (Beta(0.5, 0.5), stats.beta(0.5, 0.5)),
    (Beta(5.0, 1.0), stats.beta(5, 1)),
    (Beta(30.0, 2.0, 1.0, 3.0), stats.beta(30, 2, 1, 2)),
    (Beta(300.0, 700.0), stats.beta(300, 700)),
    (Truncated(Normal(0.0, 1.0), 3.0, 5.0), stats.truncnorm(3, 5)),
    (Truncated(Normal(0.0, 1.0), -math.inf, -6.0), stats.truncnorm(-np.inf, -6)),
    (Truncated(Normal(10.0, 2.0), 8.0, math.inf), stats.truncnorm(-1, np.inf, 10, 2)),
    (Truncated(Uniform(0.0, 1.0), 0.5, 2.0), stats.uniform(0.5, 0.5)),
    (Truncated(Shifted(Uniform(0.0, 1.0), 1.0), 1.25, 1.5), stats.uniform(1.25, 0.25)),
]


@pytest.mark.parametrize(("ours", "theirs"), KNOWN, ids=lambda value: repr(value)[:50])
@pytest.mark.slow
def test_quantiles_against_scipy(ours: Distribution, theirs: object) -> None:
    bits = words(10_000)
    expected = reference(theirs, bits)
    assert relative_error(ours, expected, bits, jnp.float32) < 1e-6
    assert relative_error(ours, expected, bits, jnp.float64) < 1e-10


@pytest.mark.parametrize(("ours", "theirs"), KNOWN, ids=lambda value: repr(value)[:50])
@pytest.mark.slow
def test_host_functions_against_scipy(ours: Distribution, theirs: stats.rv_continuous) -> None:
    for probability in (1e-6, 0.2, 0.5, 0.8):
        lower, upper = float(theirs.ppf(probability)), float(theirs.isf(probability))
        assert ours.host_quantile(probability) == pytest.approx(lower, rel=1e-12)
        assert ours.host_quantile(probability, upper=True) == pytest.approx(upper, rel=1e-12)
        assert ours.cdf(lower) == pytest.approx(float(theirs.cdf(lower)), rel=1e-8)
        assert float(ours.above(np.array([upper]))[0]) == pytest.approx(float(theirs.sf(upper)), rel=1e-8)
    assert ours.support == pytest.approx(theirs.support())
    grid = ((np.arange(1 << 14) + 0.5) * 2**18).astype(np.uint32)
    assert quantiles(ours, grid, jnp.float32).mean() == pytest.approx(theirs.mean(), rel=2e-4)


def test_a_truncation_at_zero_keeps_the_digits_of_small_values() -> None:
    bits = words(10_000)
    bits = bits[bits > 64]
    expected = reference(stats.truncnorm(-1.5, np.inf, 0.3, 0.2), bits)
    assert relative_error(Truncated(Normal(0.3, 0.2), 0.0, math.inf), expected, bits, jnp.float32, 1e-8) < 1e-6


def test_incomplete_beta_against_mpmath() -> None:
    for a, b in ((0.3, 4.0), (2.0, 0.7), (60.0, 40.0), (1e-2, 5.0)):
        for x in (1e-30, 1e-4, 0.3, 0.6, 0.999):
            with mpmath.workdps(30):
                exact = float(mpmath.betainc(a, b, 0, x, regularized=True))
            assert float(incomplete_beta(a, b, np.array([x]), np.array([1.0 - x]))[0]) == pytest.approx(exact, rel=1e-12, abs=1e-300)


def test_a_mixture_of_one_family_is_that_family() -> None:
    bits = words(10_000)
    ours = Mixture((Uniform(0.0, 1.0), Uniform(1.0, 4.0)), (1.0, 3.0))
    expected = reference(stats.uniform(0, 4), bits)
    assert relative_error(ours, expected, bits, jnp.float32) < 1e-6
    assert relative_error(ours, expected, bits, jnp.float64) < 1e-10


@pytest.mark.slow
def test_a_mixtures_values_have_its_distribution_function() -> None:
    """F(Q(u)) = u with F from SciPy, near the density's error: far components, and a gap with almost nothing in it."""
    bits = words(5_000)
    ours = Mixture((Normal(-2.0, 0.5), LogNormal(2.0, 0.3)), (1.0, 2.0))
    values = quantiles(ours, bits, jnp.float64)
    first, second = stats.norm(-2, 0.5), stats.lognorm(0.3, scale=math.exp(2))
    lower, upper = (first.cdf(values) + 2 * second.cdf(values)) / 3, (first.sf(values) + 2 * second.sf(values)) / 3
    whole = bits.astype(float)
    np.testing.assert_allclose(lower[bits < 2**31], (whole[bits < 2**31] + 0.5) / 2**32, rtol=1e-8)
    np.testing.assert_allclose(upper[bits >= 2**31], (2.0**32 - 0.5 - whole[bits >= 2**31]) / 2**32, rtol=1e-8)
    single = quantiles(ours, bits, jnp.float32)
    np.testing.assert_allclose(single, values, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_atoms_of_a_mixture_are_placed_exactly(dtype: type) -> None:
    ours = Mixture((Constant(1.0), Uniform(2.0, 3.0), Discrete((2.5, 7.0), (1.0, 1.0))), (0.1, 0.6, 0.3))
    # P(1) = 0.1, half of the uniform, then the atom at 2.5, the other half, and 7 from 0.85 on.
    edges = [round(share * 2**32) for share in (0.1, 0.4, 0.55, 0.85)]
    at_edges = quantiles(ours, np.array([edge + d for edge in edges for d in (-2, 1)], np.uint32), dtype)
    np.testing.assert_allclose(at_edges, [1, 2, 2.5, 2.5, 2.5, 2.5, 3, 7], atol=1e-6)
    assert at_edges[0] == 1.0
    assert at_edges[-1] == 7.0
    inside = quantiles(ours, np.array([0.25 * 2**32, 0.5 * 2**32, 0.7 * 2**32], np.uint32), dtype)
    np.testing.assert_allclose(inside, [2.25, 2.5, 2.75], rtol=1e-6)


def test_truncated_discrete_keeps_the_values_inside_with_their_weights() -> None:
    ours = Truncated(Discrete((1.0, 2.0, 3.0, 4.0), (1.0, 1.0, 2.0, 4.0)), 2.0, 3.0)
    grid = ((np.arange(3000) + 0.5) / 3000 * 2**32).astype(np.uint32)
    values, counts = np.unique(quantiles(ours, grid, jnp.float32), return_counts=True)
    assert values.tolist() == [2.0, 3.0]
    assert counts.tolist() == [1000, 2000]
    assert [ours.cdf(value) for value in (1.9, 2.0, 3.0)] == pytest.approx([0.0, 1 / 3, 1.0])


@pytest.mark.slow
def test_truncated_mixture_against_integration() -> None:
    components, weights = (LogUniform(1.0, 10.0), LogNormal(3.0, 1.0)), (0.3, 0.7)
    ours = Truncated(Mixture(components, weights), 2.0, 50.0)
    density = lambda x: 0.3 * stats.loguniform(1, 10).pdf(x) + 0.7 * stats.lognorm(1, scale=math.exp(3)).pdf(x)  # noqa: E731
    mass = integrate.quad(density, 2, 50, points=[10.0])[0]
    grid = ((np.arange(64) + 0.5) * 2**26).astype(np.uint32)
    values = quantiles(ours, grid, jnp.float64)
    areas = [integrate.quad(density, 2, value, points=[10.0] if value > 10 else None)[0] / mass for value in values]
    np.testing.assert_allclose(areas, (grid + 0.5) / 2**32, rtol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize(
    "ours", [Beta(0.5, 2.0), Mixture((Normal(0.0, 1.0), Constant(0.5)), (1.0, 1.0)), Truncated(Normal(0.0, 1.0), -1.0, 2.0)]
)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_tables_rise(ours: Distribution, dtype: type) -> None:
    values = quantiles(ours, words(3_000, 5), dtype)
    assert np.all(np.diff(values) >= -(4e-7 if dtype == jnp.float32 else 1e-11) * np.abs(values[1:]))
    assert values.min() >= ours.support[0]
    assert values.max() <= ours.support[1]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Beta(0.0, 1.0), "a: 0.0 .* positive shape"),
        (lambda: Beta(1.0, -2.0), "b: -2.0 .* positive shape"),
        (lambda: Beta(1.0, 2.0, 3.0, 3.0), "low below high"),
        (lambda: Mixture((Uniform(0.0, 1.0),), (1.0, 2.0)), "one weight for each of the 1"),
        (lambda: Mixture((), ()), "at least one"),
        (lambda: Truncated(Normal(0.0, 1.0), 2.0, 1.0), r"truncate: \(2.0, 1.0\) .* lower end first"),
        (lambda: Truncated(Uniform(0.0, 1.0), 2.0, 3.0), "some probability"),
        (lambda: Truncated(Uniform(0.0, 1.0), math.nan, 3.0), "two numbers"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_fix(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]
