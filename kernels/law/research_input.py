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

from kernels.elementary import exponentials, log_total
from kernels.traced_once import traced_once

_LIFTED = {"float32": (1e-30, 64.0, 1e-37), "float64": (1e-250, 500.0, 1e-305)}
"""The share below which one is lifted, by e to what power, and the least that counts."""


@traced_once
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
    total, excess, _, tiny = _joint(smaller, larger, decay)
    # Where the terms are close the sum is about 1, and keeps no digits of what it differs by.
    lifted = jnp.asarray(_LIFTED[decay.dtype.name][1], decay.dtype)
    return log_total(total, excess, excess > -0.5) - jnp.where(tiny, lifted, 0)


@_log_joint.defjvp
def _log_joint_jvp(
    primals: tuple[jax.Array, jax.Array, jax.Array], tangents: tuple[jax.Array, jax.Array, jax.Array]
) -> tuple[jax.Array, jax.Array]:
    smaller, larger, decay = primals
    total, _, (power, less_one), tiny = _joint(smaller, larger, decay)
    by_smaller, by_larger, by_decay = tangents
    lift = jnp.where(tiny, math.exp(_LIFTED[decay.dtype.name][1]), 1)
    # Close together, where the shares change by opposite amounts, of which nothing may be left over: it would be divided by a ρ near 0.
    weights = jnp.where(decay > -1, less_one * by_smaller, power * by_smaller + lift * by_larger)
    change = (power * smaller * by_decay + weights) / total
    return _log_joint(smaller, larger, decay), change


def _joint(smaller: jax.Array, larger: jax.Array, decay: jax.Array) -> tuple[jax.Array, jax.Array, tuple[jax.Array, jax.Array], jax.Array]:
    """larger + smaller·e^decay, what it is more than 1, e^decay and e^decay − 1, and whether the total and e^decay are lifted: a share of
    nearly 0 is lifted out of what underflows."""
    below, log_lift, least = _LIFTED[decay.dtype.name]
    tiny = (larger < below) & (decay <= -1)
    power, less_one = exponentials(jnp.where(tiny, decay + log_lift, decay))
    lifted = jnp.maximum(larger, least)
    lifted = jnp.where(tiny, lifted * math.exp(log_lift), lifted)
    return lifted + smaller * power, smaller * less_one, (power, less_one), tiny


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
