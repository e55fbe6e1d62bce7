"""Searches within a bracket: how fast they converge, and that they stay inside."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kernels.solvers.search import cubic_zero, hump, illinois, sign_change

ROOTS = np.linspace(0.03, 0.97, 23)
FUNCTIONS = {
    "a line": lambda x, root: 3 * (x - root),
    "an exponential": lambda x, root: jnp.exp(4 * x) - jnp.exp(4 * root),
    "a step that is smooth": lambda x, root: jnp.tanh(10 * (x - root)),
    "a cube": lambda x, root: (x - root) + 30 * (x - root) ** 3,
}


def bracketed(name: str) -> tuple[Any, ...]:
    """The roots of a function, the function, the ends of its brackets, and its values there."""
    root = jnp.asarray(ROOTS)

    def rising(x: jax.Array) -> jax.Array:
        return FUNCTIONS[name](x, root)

    low, high = jnp.zeros_like(root), jnp.ones_like(root)
    return root, rising, low, high, rising(low), rising(high)


@pytest.mark.slow
@pytest.mark.parametrize("name", FUNCTIONS)
def test_secants_converge_faster_than_halving(name: Any) -> None:
    with jax.enable_x64(True):
        root, rising, *bracket = bracketed(name)
        middle = jnp.full_like(root, 0.5)
        errors = [np.max(np.abs(illinois(rising, *bracket, middle, steps) - root)) for steps in (8, 12, 16)]
    # Of order 1.44 on average: halving would leave 2⁻¹² and 2⁻¹⁶.
    assert errors[1] < 1e-4
    assert errors[2] < 1e-9
    assert errors[2] <= errors[1] <= errors[0]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_guess_that_is_the_root_is_found_at_once(name: Any) -> None:
    with jax.enable_x64(True):
        root, rising, *bracket = bracketed(name)
        found = illinois(rising, *bracket, root, 1)
    assert np.max(np.abs(found - root)) < 1e-15


def test_without_a_change_of_sign_the_nearer_end() -> None:
    with jax.enable_x64(True):
        low, high = jnp.zeros(2), jnp.ones(2)
        found = sign_change(lambda x: x + jnp.array([1.0, -2.0]), low, high, 4)
    assert found.tolist() == [0.0, 1.0]


def test_a_cubic_zero_near_the_start_keeps_its_digits() -> None:
    with jax.enable_x64(True):
        # −1e-12 + x + x³.
        found = cubic_zero(jnp.asarray(-1e-12), jnp.asarray(1.0), jnp.asarray(2.0 - 1e-12), jnp.asarray(4.0), 6)
    assert float(found) == pytest.approx(1e-12, rel=1e-13)


def test_the_hump_of_a_parabola_is_its_summit_and_its_tangents_meet_twice_as_high() -> None:
    with jax.enable_x64(True):
        # −1 + 4·x − 5·x².
        at, bound = hump(jnp.asarray(-1.0), jnp.asarray(4.0), jnp.asarray(-2.0), jnp.asarray(-6.0))
    assert float(at) == pytest.approx(0.4, rel=1e-15)
    # At 1/2, where both tangents are 1.
    assert float(bound) == pytest.approx(1.0, rel=1e-14)


@pytest.mark.parametrize(("begins", "ends"), [(1.0, 2.0), (-1.0, -2.0), (-1.0, 2.0), (0.0, 0.0)])
def test_what_does_not_rise_and_fall_has_no_hump(begins: float, ends: float) -> None:
    at, bound = hump(jnp.asarray(-1.0), jnp.asarray(begins), jnp.asarray(-1.0), jnp.asarray(ends))
    assert float(at) == 0
    assert float(bound) == -np.inf


@pytest.mark.parametrize("skew", [-0.5, 0.0, 0.5])
def test_the_hump_of_a_concave_function_does_not_exceed_its_bound(skew: float) -> None:
    with jax.enable_x64(True):
        # x·(1 − x)·(1 + skew·x).
        place = np.linspace(0, 1, 10001)
        highest = np.max(place * (1 - place) * (1 + skew * place))
        at, bound = hump(jnp.asarray(0.0), jnp.asarray(1.0), jnp.asarray(0.0), jnp.asarray(-1.0 - skew))
    assert 0 < float(at) < 1
    assert highest <= float(bound) < 2.5 * highest
