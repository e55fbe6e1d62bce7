import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from kernels.sampling import Beta, Constant, Design, Discrete, LogNormal, LogUniform, Normal, Uniform, seed_key

SAMPLERS = ("sobol", "random", "latin_hypercube")
FOUR = (("a", Uniform(0.0, 1.0)), ("b", LogUniform(1.0, 30.0)), ("fixed", Constant(3.5)), ("c", LogNormal(0.0, 1.0)), ("d", Beta(2.0, 3.0)))
THREE = (("x", Uniform(0.0, 1.0)), ("y", Uniform(0.0, 1.0)), ("z", Uniform(0.0, 1.0)))
MEAN = (math.e - 1) * 2 * (math.exp(0.5) - 1) * math.log(2.0)


def smooth(parameters: dict[str, jax.Array]) -> jax.Array:
    """exp(x + y/2) / (1 + z) on the unit cube, whose mean is `MEAN`."""
    return jnp.exp(parameters["x"] + 0.5 * parameters["y"]) / (1.0 + parameters["z"])


def replicate_means(design: Design, draws: int, seeds: int, offset: int = 0) -> np.ndarray:
    """The mean of `smooth` in each replicate, shape (seeds, replicates)."""

    def one(key: jax.Array) -> jax.Array:
        values = smooth(design.parameters(key, jnp.arange(draws, dtype=jnp.uint32), jnp.float64))
        return values.reshape(-1, design.replicates).mean(axis=0)

    keys = np.stack([seed_key(offset + seed) for seed in range(seeds)])
    return np.asarray(jax.jit(lambda keys: jax.lax.map(one, keys))(jnp.asarray(keys)))


def rms_error(sampler: str, draws: int, seeds: int = 100) -> float:
    means = replicate_means(Design(sampler, 1, draws, THREE), draws, seeds).mean(axis=1)
    return float(np.sqrt(np.mean((means - MEAN) ** 2)))


def slope(sampler: str, sizes: tuple[int, ...]) -> float:
    return float(np.polyfit(np.log(sizes), np.log([rms_error(sampler, size) for size in sizes]), 1)[0])


@pytest.mark.slow
def test_error_falls_as_it_should() -> None:
    sizes = (1 << 6, 1 << 8, 1 << 10, 1 << 12)
    assert slope("sobol", sizes) < -0.9
    assert -0.6 < slope("random", sizes) < -0.4
    for size in (1 << 8, 1 << 12):
        plain = rms_error("random", size)
        assert rms_error("latin_hypercube", size) < 0.4 * plain
        assert rms_error("sobol", size) < 0.1 * plain


@pytest.mark.slow
@pytest.mark.parametrize(("sampler", "least", "most"), [("sobol", 0.90, 0.985), ("random", 0.90, 0.985), ("latin_hypercube", 0.90, 1.0)])
@pytest.mark.parametrize("draws", [1 << 10, 1 << 12])
def test_intervals_from_the_replicates_cover(sampler: str, least: float, most: float, draws: int) -> None:
    """Student t 95 % intervals with R - 1 degrees of freedom, over 400 seeds."""
    means = replicate_means(Design(sampler, 16, 1024, THREE), draws, 400, offset=10_000)
    error = means.std(axis=1, ddof=1) / 4.0
    covered = np.mean(np.abs(means.mean(axis=1) - MEAN) <= stats.t.ppf(0.975, 15) * error)
    assert least <= covered <= most


def draw_all(design: Design, indices: np.ndarray, dtype: Any, seed: int = 7) -> dict[str, np.ndarray]:
    drawn = jax.jit(lambda key, draw: design.parameters(key, draw, dtype))(
        jnp.asarray(seed_key(seed)), jnp.asarray(indices.astype(np.uint32))
    )
    return {name: np.asarray(values) for name, values in drawn.items()}


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.slow
def test_draws_do_not_depend_on_how_they_are_grouped(sampler: str) -> None:
    """Whole, in pieces, in another order, or as the beginning of a longer run (across 2^16 points too): the same bits."""
    design = Design(sampler, 4, 256, (*FOUR[:4], ("n", Discrete((1.0, 4.0), (1, 2)))), (("a", "c", 0.6),))
    program = jax.jit(lambda draw: design.parameters(jnp.asarray(seed_key(7)), draw, jnp.float32))
    for start in (0, (1 << 18) - 512):
        draw = (start + np.arange(1024)).astype(np.uint32)
        order = np.random.default_rng(0).permutation(1024)
        whole, shuffled, pieces = program(draw), program(draw[order]), [program(piece) for piece in np.split(draw, [1001])]
        for name, values in whole.items():
            assert values.dtype == jnp.float32
            np.testing.assert_array_equal(values, np.concatenate([piece[name] for piece in pieces]))
            np.testing.assert_array_equal(values[order], shuffled[name])


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.slow
def test_draws_in_rows_are_the_same_draws(sampler: str, count: int) -> None:
    """Of one parameter, too, which the compiler would not end with if its loop were of one round."""
    design = Design(sampler, 4, 256, FOUR[:count])
    alone, in_rows = (
        jax.jit(lambda draw, rows=rows: design.parameters(jnp.asarray(seed_key(7)), design.in_rows(draw) if rows else draw, jnp.float32))(
            jnp.arange(512, 1536, dtype=jnp.uint32)
        )
        for rows in (False, True)
    )
    assert list(alone) == [name for name, _ in FOUR[:count]]
    for name, values in alone.items():
        np.testing.assert_array_equal(values, in_rows[name])


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.slow
def test_float64_draws_are_the_same_draws(sampler: str) -> None:
    design = Design(sampler, 16, 1024, (*FOUR, ("e", Normal(5.0, 1.0)), ("f", Discrete((1.0, 4.0), (1, 2)))))
    single, double = (draw_all(design, np.arange(4096), dtype) for dtype in (jnp.float32, jnp.float64))
    for name, values in double.items():
        assert values.dtype == np.float64
        np.testing.assert_allclose(single[name], values, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_seeds_replicates_and_dimensions_give_different_draws(sampler: str) -> None:
    design = Design(sampler, 8, 512, THREE)
    one, other = (draw_all(design, np.arange(512), jnp.float64, seed) for seed in (1, 2))
    columns = np.array([*one.values(), *other.values()])
    parts = columns.reshape(6, 64, 8).transpose(0, 2, 1).reshape(48, 64)
    assert np.unique(np.round(columns, 9)).size == columns.size
    if sampler != "sobol":  # whose replicates share the order in which they visit the halves of the interval
        # Sixty-four points each: unrelated columns correlate by 0.13 or so.
        assert np.abs(np.corrcoef(parts) - np.eye(48)).max() < 0.65


@pytest.mark.slow
def test_constants_take_no_bits_and_change_no_dimension() -> None:
    with_constant, without = (Design("sobol", 4, 64, (("k", k), ("x", Uniform(0.0, 1.0)))) for k in (Constant(2.0), Uniform(1.0, 3.0)))
    one, other = (draw_all(design, np.arange(64), jnp.float32) for design in (with_constant, without))
    np.testing.assert_array_equal(one["x"], other["x"])
    assert np.all(one["k"] == 2.0)
    only = draw_all(Design("random", 1, 1, (("k", Constant(2.0)),)), np.arange(3), jnp.float32)
    np.testing.assert_array_equal(only["k"], np.full(3, 2.0, np.float32))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_no_float64_in_a_float32_program(sampler: str) -> None:
    design = Design(sampler, 16, 4096, FOUR, (("a", "c", 0.5),))
    program = jax.make_jaxpr(lambda key, draw: design.parameters(key, draw, jnp.float32))(
        jnp.asarray(seed_key(0)), jnp.zeros(8, jnp.uint32)
    )
    assert "f64" not in str(program)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"sampler": "halton"}, "sampler: 'halton' is unknown; use one of sobol, random, latin_hypercube"),
        ({"replicates": 12}, "replicates: 12 is not a power of two"),
        ({"block": 0}, "block: 0 is not a power of two"),
        ({"replicates": 64, "block": 32}, "replicates: 64 is more than the block of 32"),
        ({"distributions": (("x", Constant(1.0)), ("x", Constant(2.0)))}, "holds a name twice"),
        ({"distributions": tuple((str(n), Uniform(0.0, 1.0)) for n in range(257))}, "257 are more than the Sobol sequence's 256"),
        ({"correlation": (("x", "w", 0.5),)}, "'w' is not among the parameters drawn"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Design(**{"sampler": "sobol", "replicates": 16, "block": 4096, "distributions": THREE, **fields})
