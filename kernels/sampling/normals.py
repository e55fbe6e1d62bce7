"""Two independent standard normal numbers of two random words, in straight lines of arithmetic.

Equation: √(−2 ln u)·(cos 2πv, sin 2πv), of two independent uniform numbers u and v. Half the work of a quantile function in float32 and
a quarter in float64, for numbers that need no order: the steps of random paths. Source: Box and Muller (1958), "A note on the generation of
random normal deviates", Ann. Math. Statist. 29, 610; the polynomials interpolate at Chebyshev points.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from kernels.elementary import log
from kernels.sampling.tails import polynomial

_SINE = {
    "float32": (6.28318528781294674, -41.3416625705479549, 81.5925428713015433, -75.4016127027474585),
    "float64": (
        6.28318530717958646,
        -41.3417022403996362,
        81.6052492759480352,
        -76.7058597042745506,
        42.058685020160894,
        -15.0938042099871135,
        3.78086895930229552,
    ),
}
"""sin(2πf)/f in powers of f², |f| ≤ 1/8, from the constant term up."""
_COSINE = {
    "float32": (-19.7392087899875097, 64.9393690514197757, -85.4488200896510713, 59.4241059817564739),
    "float64": (
        -19.7392088021787172,
        64.9393940226682427,
        -85.4568172066438042,
        60.2446413527020089,
        -26.4262532758547214,
        7.90320691156967843,
        -1.69903439406606364,
    ),
}
"""(cos(2πf) − 1)/f² likewise."""


def _turned(word: jax.Array, dtype: DTypeLike) -> tuple[jax.Array, jax.Array]:
    """cos 2πv and sin 2πv of v = `word` · 2^−32, as `dtype`."""
    # v is the nearest quarter of a turn and a fraction of either sign. Close below a whole turn the sum wraps to quarter 0, which that is.
    quarter = (word + jnp.uint32(1 << 29)) >> jnp.uint32(30)
    fraction = (word << jnp.uint32(2)).astype(jnp.int32).astype(dtype) * jnp.asarray(2.0**-34, dtype)
    square = fraction * fraction
    sine = fraction * polynomial(_SINE[jnp.dtype(dtype).name], square)
    cosine = 1 + square * polynomial(_COSINE[jnp.dtype(dtype).name], square)
    odd = (quarter & jnp.uint32(1)) == 1
    across, along = jnp.where(odd, -sine, cosine), jnp.where(odd, cosine, sine)
    behind = quarter >= 2
    return jnp.where(behind, -across, across), jnp.where(behind, -along, along)


def normal_pair(first: jax.Array, second: jax.Array, dtype: DTypeLike) -> tuple[jax.Array, jax.Array]:
    """Two independent standard normal numbers as `dtype` (float32 or float64) of two random words, uint32 of one shape.

    None is further out than 6.7, beyond which lie 2e-11 of a normal distribution.
    """
    # 31 bits, which an integer with a sign holds: those without have no vector instruction that makes a float of them.
    uniform = ((first >> jnp.uint32(1)).astype(jnp.int32).astype(dtype) + jnp.asarray(0.5, dtype)) * jnp.asarray(2.0**-31, dtype)
    radius = jnp.sqrt(-2 * log(uniform))
    across, along = _turned(second, dtype)
    return radius * across, radius * along
