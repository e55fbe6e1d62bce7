"""Returns to software R&D R(x), and the ceilings that they fall to: ln R as a function of the doublings made.

Equation: with β = λα/r and a ceiling X, R is `constant` 2^(−βx), `linear` (1 − x/X)^(βX ln 2), `log_distance` (1 − x/X)^(1 + βX ln 2) or
`level` [(2^(X−x) − 1)/(2^X − 1)]^(β(1 − 2^(−X))); all tend to 2^(−βx) as X → ∞.

Source: Eth & Davidson (2025), footnote 26 and figure 10; Davidson & Houlden (2025) for `linear`; Davidson (2023) for `log_distance`.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from kernels.elementary import exp, expm1, log
from kernels.traced_once import traced_once

_LOG_2 = math.log(2)
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798)
_SERIES = tuple(number / (2 * k * math.factorial(2 * k)) for k, number in enumerate(_BERNOULLI, 1))


def log_returns(form: str, difficulty: jax.Array, ceiling: jax.Array | None, level: jax.Array, log_remaining: jax.Array) -> jax.Array:
    """ln R at `level` doublings, shape as `level`. `difficulty` is β; `log_remaining` is ln(1 − x/X), which keeps its digits near X.

    Raises ValueError for an unknown form, or one that has a ceiling and is given none.
    """
    if form == "constant":
        return -_LOG_2 * difficulty * level
    if ceiling is None:
        raise ValueError(f"{form!r} is not a form of returns without a ceiling")
    steepness = difficulty * ceiling * _LOG_2
    if form == "linear":
        return steepness * log_remaining
    if form == "log_distance":
        return (1 + steepness) * log_remaining
    if form == "level":
        # (2^(X−x) − 1)/(2^X − 1) = 2^(−x)·(1 − e^(−z))/(1 − e^(−Z)) with Z = X ln 2 and z = (X − x) ln 2.
        whole = ceiling * _LOG_2
        log_whole = jnp.log(whole)
        left = _log_share(whole * exp(log_remaining), log_whole + log_remaining) - _log_share(whole, log_whole)
        return difficulty * -jnp.expm1(-whole) * (left - _LOG_2 * level)
    raise ValueError(f"{form!r} is not a form of returns")


@traced_once
def _log_share(z: jax.Array, log_z: jax.Array) -> jax.Array:
    """ln(1 − e^(−z)), from ln z where z is small or has underflowed: ln z − z/2 + Σ B_2k z^(2k)/(2k·(2k)!) over k ≥ 1, B Bernoulli's."""
    square, series = z * z, jnp.zeros_like(z)
    for coefficient in reversed(_SERIES):
        series = series * square + coefficient
    small = z < 1
    return jnp.where(small, log_z - z / 2 + square * series, log(-expm1(-jnp.where(small, 1, z))))
