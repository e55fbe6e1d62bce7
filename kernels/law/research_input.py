"""Research input: cognitive labour and experiment compute combined, as logarithms relative to the start.

Equation: with labour ℓ, experiment compute c and labour's share α at the start, I is

    labour        ℓ
    cobb_douglas  ℓ^α · c^(1−α)
    ces           (α·ℓ^ρ + (1−α)·c^ρ)^(1/ρ), elasticity of substitution σ = 1/(1−ρ); ρ → 0 is Cobb–Douglas, ρ → −∞ the scarcer of the two

Source: Eth & Davidson (2025), "You might need fast growing computing power", footnotes 27, 39 and 41; Forethought (2025) on compute
bottlenecks.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

_LIFT = 64.0


def log_ces(
    share: jax.Array, substitution: jax.Array, log_first: jax.Array, log_second: jax.Array, rest: jax.Array | None = None
) -> jax.Array:
    """ln (share·e^(ρ·log_first) + rest·e^(ρ·log_second))^(1/ρ), shapes broadcast; no digits are lost at ρ = 0 or for large |ρ|.

    `rest` is 1 − share, given where that would lose its digits.
    """
    rest = 1 - share if rest is None else rest
    tiny = 1e-20
    substitution = jnp.where(jnp.abs(substitution) < tiny, tiny, substitution)
    exponent = substitution * (log_first - log_second)
    # Both are counted from the larger term, so that no exponential overflows. (Of |exponent| the slope at the start would be lost.)
    falls = exponent <= 0
    decay = jnp.where(falls, exponent, -exponent)
    smaller, larger = jnp.where(falls, share, rest), jnp.where(falls, rest, share)
    close = decay > -1
    near = jnp.log1p(smaller * jnp.expm1(jnp.where(close, decay, -1)))
    # Far apart, 1 less a share would cancel against a weight of nearly 1. A weight of nearly 0 is lifted out of what underflows.
    lift = jnp.where(larger < 1e-30, _LIFT, 0)
    raised = jnp.maximum(larger, 1e-37) * jnp.exp(lift)
    far = jnp.log(raised + smaller * jnp.exp(jnp.where(close, -1, decay) + lift)) - lift
    return jnp.where(falls, log_second, log_first) + jnp.where(close, near, far) / substitution


def log_research_input(
    form: str, share: jax.Array, substitution: jax.Array, log_labour: jax.Array, log_compute: jax.Array | None
) -> jax.Array:
    """ln I of the logarithms of labour and experiment compute, shapes broadcast. `labour` needs no compute.

    Raises ValueError for an unknown form, or one that needs compute and is given none.
    """
    if form == "labour":
        return log_labour
    if log_compute is None:
        raise ValueError(f"{form!r} is not a form of research input without compute")
    if form == "cobb_douglas":
        return share * log_labour + (1 - share) * log_compute
    if form == "ces":
        return log_ces(share, substitution, log_labour, log_compute)
    raise ValueError(f"{form!r} is not a form of research input")


def substitution_of(elasticity: jax.Array) -> jax.Array:
    """The substitution parameter ρ = (σ − 1)/σ of an elasticity of substitution σ > 0."""
    return (elasticity - 1) / elasticity
