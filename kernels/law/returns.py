"""Returns to software R&D R(x), and the ceilings that they fall to: ln R as a function of the doublings made.

Equation: with β = λα/r and a ceiling X, R is `constant` 2^(−βx), `linear` (1 − x/X)^(βX ln 2), `log_distance` (1 − x/X)^(1 + βX ln 2) or
`level` [(2^(X−x) − 1)/(2^X − 1)]^(β(1 − 2^(−X))); all tend to 2^(−βx) as X → ∞.

Source: Eth & Davidson (2025), footnote 26 and figure 10; Davidson & Houlden (2025) for `linear`; Davidson (2023) for `log_distance`.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

_LOG_2 = math.log(2)


def log_returns(form: str, difficulty: jax.Array, ceiling: jax.Array | None, level: jax.Array, log_remaining: jax.Array) -> jax.Array:
    """ln R at `level` doublings, shape as `level`. `difficulty` is β; `log_remaining` is ln(1 − x/X), which keeps its digits near the ceiling.

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
        whole = ceiling * _LOG_2
        return difficulty * -jnp.expm1(-whole) * (_log_expm1_ratio(whole * jnp.exp(log_remaining)) - _log_expm1_ratio(whole) + log_remaining)
    raise ValueError(f"{form!r} is not a form of returns")


def _log_expm1_ratio(z: jax.Array) -> jax.Array:
    """ln((e^z − 1)/z), without overflow for large z or loss of digits for small."""
    safe = jnp.maximum(z, 1e-30)
    return safe + jnp.log(-jnp.expm1(-safe) / safe)
