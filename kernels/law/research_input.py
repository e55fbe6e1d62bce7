"""Research input: cognitive labour and experiment compute combined, as logarithms relative to the start.

Equation: with labour ℓ, experiment compute c and labour's share α at the start, I is

    labour        ℓ
    cobb_douglas  ℓ^α · c^(1−α)
    ces           (α·ℓ^ρ + (1−α)·c^ρ)^(1/ρ), elasticity of substitution σ = 1/(1−ρ); ρ → 0 is Cobb–Douglas, ρ → −∞ the scarcer of the two

Source: Eth & Davidson (2025), "You might need fast growing computing power", footnotes 27, 39 and 41; Forethought (2025) on compute
bottlenecks.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from kernels.elementary import expm1

_LEAST = 1e-30
"""A share that is lifted, by e to the power below."""
_LOG_LIFT = 64.0


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
    return jnp.where(falls, log_second, log_first) + _log_joint(smaller, larger, decay) / substitution


@jax.custom_jvp
def _log_joint(smaller: jax.Array, larger: jax.Array, decay: jax.Array) -> jax.Array:
    """ln(larger + smaller·e^decay) of two shares of 1, decay ≤ 0."""
    _, total, _ = _joint(smaller, larger, decay)
    # Where the terms are close the sum is about 1, whose logarithm keeps no digits of what it differs by: Kahan's correction.
    excess = smaller * expm1(decay)
    # Not 1 + excess, less 1 below: the compiler would take that for the excess itself.
    rounded = (2 + 2 * excess) * 0.5
    close = decay > -1
    logarithm = jnp.log(jnp.where(close, rounded, total))
    lost = jnp.where(rounded == 1, 1, rounded - 1)
    series = excess * (1 - excess * (0.5 - excess * (1 / 3 - excess / 4)))
    # By the series where its fifth term is below the last digit.
    few = 0.02 if decay.dtype == jnp.float32 else 1e-4
    near = jnp.where(jnp.abs(excess) < few, series, logarithm * (excess / lost))
    return jnp.where(close, near, logarithm - jnp.where(larger < _LEAST, _LOG_LIFT, 0))


@_log_joint.defjvp
def _log_joint_jvp(
    primals: tuple[jax.Array, jax.Array, jax.Array], tangents: tuple[jax.Array, jax.Array, jax.Array]
) -> tuple[jax.Array, jax.Array]:
    smaller, larger, decay = primals
    power, total, lift = _joint(smaller, larger, decay)
    by_smaller, by_larger, by_decay = tangents
    # Close together, where the shares change by opposite amounts, of which nothing may be left over: it would be divided by a ρ near 0.
    weights = jnp.where(decay > -1, expm1(decay) * by_smaller, power * by_smaller + lift * by_larger)
    change = (power * smaller * by_decay + weights) / total
    return _log_joint(smaller, larger, decay), change


def _joint(smaller: jax.Array, larger: jax.Array, decay: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """e^decay, larger + smaller·e^decay, and by what both are multiplied: a share of nearly 0 is lifted out of what underflows."""
    tiny = (larger < _LEAST) & (decay <= -1)
    lift = jnp.where(tiny, math.exp(_LOG_LIFT), 1).astype(decay.dtype)
    power = jnp.exp(jnp.where(tiny, decay + _LOG_LIFT, decay))
    return power, jnp.maximum(larger, 1e-37) * lift + smaller * power, lift


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
