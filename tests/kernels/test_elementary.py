"""The elementary functions against mpmath: their digits, their ends and their slopes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from kernels import elementary

_RANDOM = np.random.default_rng(11)
_SMALL = 10.0 ** _RANDOM.uniform(-12, 0, 300)
_ARGUMENTS = {
    "exp": np.concatenate([_RANDOM.uniform(-80, 80, 600), _SMALL, -_SMALL]),
    "exp2": np.concatenate([_RANDOM.uniform(-120, 120, 600), np.arange(-120.0, 121), _SMALL, -_SMALL]),
    "expm1": np.concatenate([_RANDOM.uniform(-30, 30, 600), _SMALL, -_SMALL]),
    "log1p": np.concatenate([_RANDOM.uniform(-0.999, 5, 600), _SMALL, -_SMALL, 10.0 ** _RANDOM.uniform(0, 30, 300)]),
    "log": np.concatenate([_RANDOM.uniform(0.001, 3, 600), 1 + _SMALL, 10.0 ** _RANDOM.uniform(-37, 38, 300)]),
}
_ARGUMENTS |= {f"{name}_inside": _ARGUMENTS[name] for name in ("log1p", "log")}
_EXACT: dict[str, Any] = {"exp2": lambda z: mpmath.power(2, z)} | {name: getattr(mpmath, name) for name in ("exp", "expm1", "log1p", "log")}
_EXACT |= {f"{name}_inside": _EXACT[name] for name in ("log1p", "log")}


def _last_places(found: np.ndarray, exact: list[Any]) -> float:
    """The largest error in units in the last place."""
    with mpmath.workdps(40):
        return max(
            float(abs(mpmath.mpf(float(ours)) - theirs) / mpmath.mpf(float(np.spacing(np.abs(found.dtype.type(theirs))))))
            for ours, theirs in zip(found, exact, strict=True)
            if theirs
        )


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(_ARGUMENTS))
def test_within_two_units_in_the_last_place(name: str, precision: str) -> None:
    arguments = _ARGUMENTS[name].astype(precision)
    function: Callable[..., jax.Array] = jax.jit(getattr(elementary, name))
    with mpmath.workdps(40):
        exact = [_EXACT[name](mpmath.mpf(float(argument))) for argument in arguments]
    found = np.asarray(function(jnp.asarray(arguments)))
    assert found.dtype == precision
    assert _last_places(found, exact) <= 2


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_exponentials_and_the_logarithm_of_a_total_keep_their_digits(precision: str) -> None:
    decay = -np.concatenate([_SMALL, _RANDOM.uniform(0, 60, 600)]).astype(precision)
    share = _RANDOM.uniform(0.01, 0.99, len(decay)).astype(precision)

    @jax.jit
    def joined(decay: jax.Array, share: jax.Array) -> tuple[jax.Array, ...]:
        power, less_one = elementary.exponentials(decay)
        return power, less_one, elementary.log_total(1 - share + share * power, share * less_one, share * less_one > -0.5)

    power, less_one, total = (np.asarray(row) for row in joined(jnp.asarray(decay), jnp.asarray(share)))
    with mpmath.workdps(40):
        exact = [mpmath.mpf(float(value)) for value in decay]
        shares = [mpmath.mpf(float(value)) for value in share]
        assert _last_places(power, [mpmath.exp(value) for value in exact]) <= 2
        assert _last_places(less_one, [mpmath.expm1(value) for value in exact]) <= 2
        logarithms = [mpmath.log1p(part * mpmath.expm1(value)) for part, value in zip(shares, exact, strict=True)]
        # What is rounded before the logarithm counts in it.
        assert _last_places(total, logarithms) <= 4


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_ends(precision: str) -> None:
    large = float(np.finfo(precision).max) / 2
    arguments = jnp.asarray([0, -1, -2, np.inf, -np.inf, np.nan, large], precision)
    logarithm = float(np.log(large))
    ends = {
        "exp": [1, np.exp(-1), np.exp(-2), np.inf, 0, np.nan, np.inf],
        "exp2": [1, 0.5, 0.25, np.inf, 0, np.nan, np.inf],
        "expm1": [0, np.expm1(-1), np.expm1(-2), np.inf, -1, np.nan, np.inf],
        "log1p": [0, -np.inf, np.nan, np.inf, np.nan, np.nan, logarithm],
        "log": [-np.inf, np.nan, np.nan, np.inf, np.nan, np.nan, logarithm],
    }
    for name, expected in ends.items():
        np.testing.assert_allclose(np.asarray(jax.jit(getattr(elementary, name))(arguments)), expected, rtol=1e-6, err_msg=name)


@pytest.mark.parametrize(
    ("name", "slope"),
    [
        ("exp", np.exp),
        ("exp2", lambda z: np.exp2(z) * np.log(2)),
        ("expm1", np.exp),
        ("log1p", lambda y: 1 / (1 + y)),
        ("log", lambda u: 1 / u),
        ("log1p_inside", lambda y: 1 / (1 + y)),
        ("log_inside", lambda u: 1 / u),
    ],
)
def test_slopes(name: str, slope: Callable[[np.ndarray], np.ndarray]) -> None:
    arguments = np.array([1e-9, 0.3, 0.9, 2.5])
    found = jax.jvp(getattr(elementary, name), (jnp.asarray(arguments),), (jnp.ones(4),))[1]
    np.testing.assert_allclose(found, slope(arguments), rtol=1e-15)
