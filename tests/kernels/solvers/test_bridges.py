"""The curves of Brownian bridges between points of a random path, against their probabilities."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kernels.solvers.bridges import Bridge
from kernels.solvers.heights import Ends, height_along

BEGUN, MONTHS = 6.0, 0.75


def _bridge(variance: float, exponential: np.ndarray, bulge: float = 0.0) -> Bridge:
    # A bulge that may be left out of the probabilities.
    like = jnp.zeros_like(jnp.asarray(exponential))
    return Bridge(like + BEGUN, like + MONTHS, like + bulge, 2 * variance * jnp.asarray(exponential))


@pytest.mark.parametrize(("rise", "variance"), [(-0.3, 0.3), (0.0, 0.1), (2.0, 0.5)])
def test_the_highest_passes_a_level_as_often_as_the_reflection_principle_says(rise: float, variance: float) -> None:
    shares = np.linspace(0.001, 0.999, 999)
    bridge = _bridge(variance, -np.log(shares))
    at = bridge.summit(jnp.full(shares.shape, rise))
    highest = np.asarray(rise * at + bridge.above_line(at))
    # With E = −ln u, u is the probability of going higher still.
    np.testing.assert_allclose(np.exp(-2 * highest * (highest - rise) / variance), shares, rtol=1e-9)
    for beside in (0.9 * at, 1 - 0.9 * (1 - at)):
        assert np.all(rise * beside + bridge.above_line(beside) < highest)


def _line(start: float, end: float, like: jax.Array) -> Ends:
    return Ends(*(jnp.full_like(like, value) for value in (start, end, end - start, end - start)))


@pytest.mark.parametrize("parts", [1, 3])
def test_in_steps_of_an_interval_the_curve_is_as_high_as_in_the_whole_of_it(parts: int) -> None:
    exponential = np.linspace(0.01, 5, 200)
    bridge, rise = _bridge(0.2, exponential, bulge=0.01), 0.4
    at = np.asarray(bridge.summit(jnp.full(200, rise)))
    expected = rise * at + np.asarray(bridge.above_line(jnp.asarray(at)))
    found = []
    for part in range(parts):
        ends = [BEGUN + MONTHS * (part + more) / parts for more in (0, 1)]
        shares = np.array([part, part + 1]) / parts
        mean = rise * shares + 0.01 * shares * (1 - shares)
        tilt = (rise + 0.01 * (1 - 2 * shares)) / parts
        here = height_along(
            bridge,
            Ends(*(jnp.full(200, value) for value in (*mean, *tilt))),
            _line(ends[0], ends[1], jnp.zeros(200)),
        )
        inside = (at > shares[0]) & (at < shares[1])
        # Where the step holds the summit, at its share of the step.
        np.testing.assert_allclose(np.asarray(here.share)[inside], at[inside] * parts - part, atol=2e-3)
        np.testing.assert_allclose(np.asarray(here.share)[~inside], (at > shares[1])[~inside], atol=2e-3)
        found.append(here.summit)
    np.testing.assert_allclose(np.max(found, axis=0), expected, rtol=1e-5)


def test_without_variance_the_curve_is_the_mean_and_an_end_at_infinity_its_highest() -> None:
    bridge = _bridge(0.0, np.ones(3))
    mean = Ends(*(jnp.asarray(values) for values in ([0.0, 1.0, 0.0], [np.inf, -np.inf, 0.5], [1.0, -1.0, 3.0], [1.0, -1.0, -1.0])))
    found = height_along(bridge, mean, _line(BEGUN, BEGUN + MONTHS, jnp.zeros(3)))
    np.testing.assert_allclose(found.summit[:2], [np.inf, 1.0])
    # The cubic is 3s − 3.5s² + s³, highest where 3 − 7s + 3s² = 0.
    at = (7 - np.sqrt(13)) / 6
    assert found.summit[2] == pytest.approx(3 * at - 3.5 * at**2 + at**3, rel=1e-6)


def test_a_curve_lies_on_its_own_side_of_the_mean() -> None:
    share = jnp.linspace(0, 1, 41)
    for bulge in (-0.3, 0.3):
        bridge = _bridge(1e-6, np.ones(41), bulge)
        assert np.all(bridge.above_line(share) >= bridge.of_mean(share))


def test_its_slope_is_that_of_the_curve() -> None:
    bridge, time = _bridge(0.2, np.ones(5), bulge=0.1), BEGUN + MONTHS * jnp.asarray([0.1, 0.3, 0.5, 0.7, 0.9])
    by_time = jax.vmap(jax.grad(lambda at, one: 0.4 * at + one.above_mean(at)), (0, 0))(time, bridge)
    twice = 2 * bridge.above_line(bridge.share(time))
    np.testing.assert_allclose(bridge.rising(time, jnp.ones(5), jnp.full(5, 0.4)), twice * by_time, rtol=1e-10)
