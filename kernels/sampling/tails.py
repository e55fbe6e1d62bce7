"""Probabilities measured from the nearer end, and the standard normal quantile with the digits that float32 would lose.

A draw's 32 bits stand for u = (bits + 1/2) / 2^32. Above one half 1 - u is kept instead, so that both tails have all their digits.
Pairs (high, low) stand for their sum: float32 holds six digits of exp(s z) only if z and the product carry a second part.
Normal quantile: M. J. Wichura, algorithm AS 241, Appl. Statist. 37, 477 (1988), in float64; in float32 r - 3/4 - P(r - 2)/Q(r - 2) with
r = sqrt(-2 ln p) and a minimax rational of our own (1.4e-9 for 1e-38 < p <= 1/2).
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import DTypeLike

_LN2_HIGH = 0.693145751953125  # 16 bits, so that multiples up to 2^8 are exact in float32
_LN2_LOW = math.log(2.0) - _LN2_HIGH

_NUMERATOR = (0.148480371, -0.0619364293, -0.140005943, -0.0471911925, -0.00470744954, -0.000102877907)
_DENOMINATOR = (1.0, 1.22975322, 0.541191684, 0.101475334, 0.00735799864, 0.000138497278)

_CENTRE = (
    (
        3.3871328727963666080e0,
        1.3314166789178437745e2,
        1.9715909503065514427e3,
        1.3731693765509461125e4,
        4.5921953931549871457e4,
        6.7265770927008700853e4,
        3.3430575583588128105e4,
        2.5090809287301226727e3,
    ),
    (
        1.0,
        4.2313330701600911252e1,
        6.8718700749205790830e2,
        5.3941960214247511077e3,
        2.1213794301586595867e4,
        3.9307895800092710610e4,
        2.8729085735721942674e4,
        5.2264952788528545610e3,
    ),
)
_MIDDLE = (
    (
        1.42343711074968357734e0,
        4.63033784615654529590e0,
        5.76949722146069140550e0,
        3.64784832476320460504e0,
        1.27045825245236838258e0,
        2.41780725177450611770e-1,
        2.27238449892691845833e-2,
        7.74545014278341407640e-4,
    ),
    (
        1.0,
        2.05319162663775882187e0,
        1.67638483018380384940e0,
        6.89767334985100004550e-1,
        1.48103976427480074590e-1,
        1.51986665636164571966e-2,
        5.47593808499534494600e-4,
        1.05075007164441684324e-9,
    ),
)
_FAR = (
    (
        6.65790464350110377720e0,
        5.46378491116411436990e0,
        1.78482653991729133580e0,
        2.96560571828504891230e-1,
        2.65321895265761230930e-2,
        1.24266094738807843860e-3,
        2.71155556874348757815e-5,
        2.01033439929228813265e-7,
    ),
    (
        1.0,
        5.99832206555887937690e-1,
        1.36929880922735805310e-1,
        1.48753612908506148525e-2,
        7.86869131145613259100e-4,
        1.84631831751005468180e-5,
        1.42151175831644588870e-7,
        2.04426310338993978564e-15,
    ),
)


class Tail(NamedTuple):
    """Probabilities from the nearer end, arrays of one shape.

    `whole` is floor(probability * 2^32) where it is known exactly: float32 cannot hold the 32 bits that thresholds are compared with.
    """

    probability: jax.Array
    """Distance of u from the nearer end, in (0, 1/2]."""
    upper: jax.Array
    """Whether it is measured from the upper end, bool."""
    whole: jax.Array | None = None


def nearer_tail(bits: jax.Array, dtype: DTypeLike) -> Tail:
    """The tails of u = (bits + 1/2) / 2^32 as `dtype`; `bits` is uint32 of any shape. No digits are lost near 0 or 1."""
    upper = bits >= jnp.uint32(1 << 31)
    whole = jnp.where(upper, ~bits, bits)
    probability = (whole.astype(jnp.int32).astype(dtype) + jnp.asarray(0.5, dtype)) * jnp.asarray(2.0**-32, dtype)
    return Tail(probability, upper, whole)


def position(tail: Tail) -> tuple[jax.Array, jax.Array]:
    """`probability` * 2^32 as a whole number (uint32) and a fraction in [0, 1)."""
    dtype = tail.probability.dtype
    if tail.whole is not None:
        return tail.whole, jnp.full(tail.whole.shape, 0.5, dtype)
    scaled = tail.probability * jnp.asarray(2.0**32, dtype)
    whole = jnp.minimum(jnp.floor(scaled), jnp.asarray(2.0**31 - 128.0, dtype))
    return whole.astype(jnp.int32).astype(jnp.uint32), jnp.minimum(scaled - whole, jnp.asarray(1.0, dtype))


def polynomial(coefficients: tuple[float, ...], x: Any) -> Any:
    """sum of coefficients[k] x^k, in the type of `x` (numpy or JAX)."""
    total = x * x.dtype.type(coefficients[-1])
    for coefficient in coefficients[-2:0:-1]:
        total = (total + x.dtype.type(coefficient)) * x
    return total + x.dtype.type(coefficients[0])


def leading_half(x: jax.Array) -> jax.Array:
    """float32 `x` cut to its leading 12 bits: products of two such numbers are exact."""
    return lax.bitcast_convert_type(lax.bitcast_convert_type(x, jnp.uint32) & jnp.uint32(0xFFFFF000), jnp.float32)


def two_parts(factor: float) -> tuple[np.float32, np.float32]:
    """A static number as float32 (leading 12 bits, rest)."""
    high = np.float32((np.array([factor], np.float32).view(np.uint32) & np.uint32(0xFFFFF000)).view(np.float32)[0])
    return high, np.float32(factor - float(high))


def scaled_pair(factor: float, high: jax.Array, low: jax.Array) -> tuple[jax.Array, jax.Array]:
    """factor * (high + low) as a pair whose second part is below half a unit in the last place of the first."""
    if high.dtype != jnp.float32:
        return high.dtype.type(factor) * (high + low), jnp.zeros_like(high)
    factor_high, factor_low = two_parts(factor)
    leading = leading_half(high)
    exact = factor_high * leading
    rest = factor_high * ((high - leading) + low) + factor_low * (high + low)
    total = exact + rest
    return total, (exact - total) + rest


def exp_pair(high: jax.Array, low: jax.Array) -> jax.Array:
    """exp(high + low) for |low| far below 1."""
    return jnp.exp(high) * (jnp.ones_like(low) + low)


def normal_magnitude_double(probability: Any, module: ModuleType) -> Any:
    """|z| with Phi(-|z|) = probability in (0, 1/2], float64, to 1e-15 relative; `module` is numpy or jax.numpy."""
    centre = 0.5 - probability
    root = module.sqrt(-module.log(probability))
    squared = 0.180625 - centre * centre
    near = centre * (polynomial(_CENTRE[0], squared) / polynomial(_CENTRE[1], squared))
    middle = polynomial(_MIDDLE[0], root - 1.6) / polynomial(_MIDDLE[1], root - 1.6)
    far = polynomial(_FAR[0], root - 5.0) / polynomial(_FAR[1], root - 5.0)
    return module.where(centre <= 0.425, near, module.where(root <= 5.0, middle, far))


def normal_magnitude(probability: jax.Array) -> tuple[jax.Array, jax.Array]:
    """|z| with Phi(-|z|) = probability in (0, 1/2], as a pair (high, low) of `probability`'s type and shape.

    In float32 the sum is within 2.5e-7 of |z|, of which the rounding of `probability` itself is 5e-8.
    """
    if probability.dtype != jnp.float32:
        magnitude = normal_magnitude_double(probability, jnp)
        return magnitude, jnp.zeros_like(magnitude)
    single = np.float32
    word = lax.bitcast_convert_type(jnp.maximum(probability, single(1e-38)), jnp.int32)
    # p = 2^exponent * mantissa with the mantissa between sqrt(1/2) and sqrt(2).
    shifted = word - jnp.int32(0x3F3504F3)
    exponent = (shifted >> jnp.int32(23)).astype(jnp.float32)
    mantissa = lax.bitcast_convert_type((shifted & jnp.int32(0x007FFFFF)) + jnp.int32(0x3F3504F3), jnp.float32)
    exact = exponent * single(-2.0 * _LN2_HIGH)
    rest = exponent * single(-2.0 * _LN2_LOW) - single(2.0) * jnp.log(mantissa)
    squared = exact + rest
    lost = (exact - squared) + rest
    root = jnp.sqrt(squared)
    leading = leading_half(root)
    trailing = root - leading
    remainder = ((squared - leading * leading) - single(2.0) * leading * trailing) - trailing * trailing
    correction = single(0.5) * (remainder + lost) / root
    shifted_root = root - single(2.0)
    curve = polynomial(_NUMERATOR, shifted_root) / polynomial(_DENOMINATOR, shifted_root)
    return root - single(0.75), correction - curve
