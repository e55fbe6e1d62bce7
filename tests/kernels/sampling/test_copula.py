import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.special import ndtr, ndtri

from kernels.sampling import Beta, Design, Discrete, LogNormal, Tail, Uniform, cholesky, correlate, latent_from_rank, nearer_tail, seed_key
from tests.kernels.sampling.references import words

NAMES = ("a", "b", "c")
PAIRS = (("a", "b", 0.8), ("c", "b", -0.3), ("a", "c", 0.1))


def test_the_factor_reproduces_the_correlations() -> None:
    factor = np.array(cholesky(NAMES, PAIRS))
    np.testing.assert_allclose(factor @ factor.T, [[1, 0.8, 0.1], [0.8, 1, -0.3], [0.1, -0.3, 1]], atol=1e-15)
    assert np.all(np.triu(factor, 1) == 0)


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "tolerance"), [(jnp.float32, 1e-6), (jnp.float64, 2e-13)])
def test_tails_after_correlation_against_scipy(dtype: type, tolerance: float) -> None:
    """To |z| = 6.4, the farthest that one parameter's 32 bits reach; sums that go beyond it stay within twice that error."""
    generator = np.random.default_rng(1)
    bits = words(20_000)
    tails = [nearer_tail(jnp.asarray(generator.permutation(bits)), dtype) for _ in NAMES]
    scores = [np.where(tail.upper, -1.0, 1.0) * ndtri(np.asarray(tail.probability, np.float64)) for tail in tails]
    factor = cholesky(NAMES, PAIRS)
    for tail, row in zip(jax.jit(lambda tails: correlate(tails, factor))(tails), factor, strict=True):
        total = sum(weight * score for weight, score in zip(row, scores, strict=True))
        error = np.abs(np.asarray(tail.probability, np.float64) / ndtr(-np.abs(total)) - 1)
        assert error[np.abs(total) < 6.4].max() < tolerance
        assert error.max() < 2 * tolerance
        clear = np.abs(total) > 1e-6
        np.testing.assert_array_equal(np.asarray(tail.upper)[clear], total[clear] > 0)
        assert float(tail.probability.max()) <= 0.5
        assert tail.probability.dtype == dtype


@pytest.mark.parametrize("sampler", ["sobol", "random", "latin_hypercube"])
@pytest.mark.slow
def test_spearmans_correlation_is_the_one_asked_for(sampler: str) -> None:
    rank = {("x", "y"): 0.8, ("y", "z"): -0.5}
    latent = tuple((first, second, latent_from_rank(value)) for (first, second), value in rank.items())
    design = Design(
        sampler,
        16,
        4096,
        (("x", LogNormal(0.0, 1.0)), ("free", Uniform(0.0, 1.0)), ("y", Uniform(2.0, 3.0)), ("z", Beta(2.0, 5.0))),
        latent,
    )
    drawn = jax.jit(lambda key, draw: design.parameters(key, draw, jnp.float32))(
        jnp.asarray(seed_key(3)), jnp.arange(1 << 16, dtype=jnp.uint32)
    )
    for first, second in (("x", "y"), ("y", "z"), ("x", "z"), ("x", "free"), ("free", "z")):
        asked = rank.get((first, second), 0.0)
        assert stats.spearmanr(drawn[first], drawn[second]).statistic == pytest.approx(asked, abs=0.01)
    for name, theirs in (("x", stats.lognorm(1)), ("y", stats.uniform(2, 1)), ("z", stats.beta(2, 5))):
        assert stats.kstest(np.asarray(drawn[name], np.float64), theirs.cdf).statistic < 0.008


@pytest.mark.slow
def test_correlated_discrete_values_keep_their_weights() -> None:
    design = Design("sobol", 16, 4096, (("n", Discrete((1.0, 2.0, 9.0), (1, 2, 1))), ("x", Uniform(0.0, 1.0))), (("n", "x", 0.9),))
    drawn = design.parameters(jnp.asarray(seed_key(3)), jnp.arange(1 << 14, dtype=jnp.uint32), jnp.float32)
    values, counts = np.unique(np.asarray(drawn["n"]), return_counts=True)
    assert values.tolist() == [1.0, 2.0, 9.0]
    np.testing.assert_allclose(counts / (1 << 14), [0.25, 0.5, 0.25], atol=0.01)
    assert np.mean(np.asarray(drawn["x"])[np.asarray(drawn["n"]) == 9.0]) > 0.75


def test_latent_from_rank() -> None:
    assert latent_from_rank(0.8) == pytest.approx(2 * math.sin(math.pi * 0.8 / 6))
    assert [latent_from_rank(rank) for rank in (-1.0, 0.0, 1.0)] == pytest.approx([-1, 0, 1])
    with pytest.raises(ValueError, match=r"rank: 1\.1 .* from -1 to 1"):
        latent_from_rank(1.1)


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ((("a", "b", 0.9), ("b", "c", 0.9), ("a", "c", -0.9)), r"a:b = 0.9, b:c = 0.9, a:c = -0.9 \(smallest eigenvalue -0.8\)"),
        ((("a", "d", 0.5),), "a:d: 'd' is not among the parameters drawn; use a, b, c"),
        ((("a", "b", 0.5), ("b", "a", 0.5)), "b:a: the pair is given twice"),
        ((("a", "a", 0.5),), "a:a: .* with itself"),
        ((("a", "b", 1.0),), "a:b: latent correlation 1.0 is not between -1 and 1"),
    ],
)
def test_impossible_correlations_are_refused(pairs: tuple[tuple[str, str, float], ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cholesky(NAMES, pairs)


@pytest.mark.slow
def test_a_sum_beyond_what_float32_holds_stays_a_probability() -> None:
    tail = Tail(jnp.full(2, 2.0**-33, jnp.float32), jnp.array([False, True]))
    factor = ((1.0, 0.0, 0.0, 0.0), (0.5, 0.5, 0.5, 0.5), (0.5, 0.5, 0.5, 0.5), (0.5, 0.5, 0.5, 0.5))
    for result in correlate([tail] * 4, factor):
        assert bool(jnp.all((result.probability > 0) & (result.probability < 1e-9)))
        np.testing.assert_array_equal(result.upper, [False, True])
