"""Elementary functions in straight lines of arithmetic, of which a compiler makes vector code, within two units in the last place.

The compiler's own logarithm in float64, its log1p and its expm1 are several times slower and its e^z half as slow again, and in the kernels
they are most of the work. Its 2^z is e^(z·ln 2), which loses digits where z is large.

Equation: e^z = 2^n·e^r with n = round(z/ln 2); ln u = k·ln 2 + ln(1 + f) with 1 + f in [√½, √2), where
ln(1 + f) = f − f²/2 + f³·p(f). Source: the reductions are those of Sun's fdlibm (1993); the polynomials interpolate at Chebyshev points.
(In 2·artanh(f/(2 + f)) a third as many terms would do, but the division takes as long as thirty products.)
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from kernels.in_memory import in_memory
from kernels.platform import platform
from kernels.traced_once import traced_once


class _Format(NamedTuple):
    """A floating-point format: its integers, the bits of its fraction, the offset of its exponent, and polynomials that suit its digits."""

    integer: type[np.signedinteger]
    fraction: int
    offset: int
    log_2_high: float
    """ln 2 in so few bits that a multiple by an exponent is exact; the rest of it is log_2_low."""
    log_2_low: float
    exponential: tuple[float, ...]
    """(e^r − 1 − r)/r² over |r| ≤ ln 2/2, from the constant term up."""
    logarithm: tuple[float, ...]
    """(ln(1 + f) − f + f²/2)/f³ over [√½ − 1, √2 − 1], from the constant term up."""


_FORMATS = {
    "float32": _Format(
        np.int32,
        23,
        127,
        0.693145751953125,
        1.428606765330187e-06,
        (0.5, 0.166665766661199283, 0.0416665542129841503, 0.0083632328836826182, 0.00139262508314976117),
        (
            0.333333311800300461,
            -0.249999969579508819,
            0.200007157488920996,
            -0.16667802319501254,
            0.142490576456974791,
            -0.124256873314511059,
            0.116854199234867393,
            -0.114797338466376354,
            0.069716114714511777,
        ),
    ),
    "float64": _Format(
        np.int64,
        52,
        1023,
        0.6931471803691238,
        1.9082149292705877e-10,
        (
            0.500000000000000103,
            0.166666666666666675,
            0.0416666666666238205,
            0.0083333333333300382,
            0.00138888889173670806,
            0.00019841269863171556,
            0.0000248015210578682052,
            2.75572682769056962e-6,
            2.76202015910315488e-7,
            2.5100472505694996e-8,
        ),
        (
            0.3333333333333333,
            -0.24999999999998596,
            0.20000000000003482,
            -0.16666666667365992,
            0.14285714285634818,
            -0.12499999898432576,
            0.11111111008787179,
            -0.10000006590426393,
            0.09090921076038966,
            -0.08333110642999564,
            0.07691741139835176,
            -0.07146922611081985,
            0.06680348247882924,
            -0.06213325491398715,
            0.05706613674459082,
            -0.05635857394607171,
            0.06362025303018654,
            -0.05959173018943104,
            0.027053075892336406,
        ),
    ),
}


def _polynomial(coefficients: tuple[float, ...], at: jax.Array) -> jax.Array:
    """By pairs, and pairs of pairs (Estrin's scheme): half as many steps wait for one another as in Horner's."""
    terms: list[jax.Array | float] = list(coefficients)
    while len(terms) > 1:
        pairs = [low + high * at for low, high in zip(terms[::2], terms[1::2], strict=False)]
        terms = [*pairs, terms[-1]] if len(terms) % 2 else list(pairs)
        at = at * at
    return jnp.asarray(terms[0])


def _power_of_two(exponent: jax.Array, kind: _Format, dtype: jnp.dtype) -> jax.Array:
    """2^exponent of integers of the format, from 1 − offset (2^−offset is 0) to offset + 1 (which is +inf)."""
    power: jax.Array = lax.bitcast_convert_type((exponent + kind.offset) << kind.fraction, dtype)
    return power


def _clipped(z: jax.Array, low: float, high: float) -> jax.Array:
    """`z` between two numbers; NaN stays. (Selections: a minimum that passes NaN on takes the compiler three times the work.)"""
    return in_memory(jnp.where(z < low, low, jnp.where(z > high, high, z)))


def _exponential_of_rest(whole: jax.Array, rest: jax.Array) -> tuple[jax.Array, jax.Array]:
    """2^n and e^r − 1, of a whole number n and |r| ≤ ln 2/2."""
    kind = _FORMATS[rest.dtype.name]
    # Beside so large a number the last bits are a whole number's: a conversion would have to look after those that are too large.
    whole = lax.bitcast_convert_type(whole + 1.5 * 2.0**kind.fraction, kind.integer)
    return _power_of_two(whole, kind, rest.dtype), rest + rest * rest * _polynomial(kind.exponential, rest)


def _reduced_exponential(z: jax.Array) -> tuple[jax.Array, jax.Array]:
    """2^n and e^r − 1, where e^z = 2^n·e^r."""
    kind = _FORMATS[z.dtype.name]
    # Beyond either end 2^n is 0 or +inf by itself.
    z = _clipped(z, -kind.offset * math.log(2), (kind.offset + 1) * math.log(2))
    number = jnp.floor(z * (1 / math.log(2)) + 0.5)
    return _exponential_of_rest(number, (z - number * kind.log_2_high) - number * kind.log_2_low)


def _exponent(u: jax.Array) -> tuple[jax.Array, jax.Array]:
    """k and 2^(1 − k), with u·2^−k in [√½, √2), for u > 0 but the smallest and the largest, whose 2^−k is none."""
    kind = _FORMATS[u.dtype.name]
    bits = lax.bitcast_convert_type(u, kind.integer)
    root = int(np.array(math.sqrt(0.5), u.dtype).view(kind.integer))
    exponent = (bits - kind.integer(root)) >> kind.fraction
    return exponent.astype(np.int32).astype(u.dtype), _power_of_two(1 - exponent, kind, u.dtype)


def _joined_logarithm(exponent: jax.Array, excess: jax.Array) -> jax.Array:
    """k·ln 2 + ln(1 + f), to the last digits of f where k = 0."""
    kind, excess = _FORMATS[excess.dtype.name], in_memory(excess)
    square = excess * excess
    series = square * excess * _polynomial(kind.logarithm, excess)
    return exponent * kind.log_2_high - ((0.5 * square - (series + exponent * kind.log_2_low)) - excess)


@traced_once
def exponentials(z: jax.Array) -> tuple[jax.Array, jax.Array]:
    """e^z and e^z − 1 for z ≤ 0, each with all its digits, shape and type of `z` (float32 or float64)."""
    scale, grown = in_memory(_reduced_exponential(z))
    return scale * (1 + grown), scale * grown + (scale - 1)


@traced_once
def log_total(total: jax.Array, excess: jax.Array, close: jax.Array) -> jax.Array:
    """ln of `total` > 0, of which `excess` = total − 1 has all the digits where it is `close` to 1; shapes alike, float32 or float64."""
    exponent, unit = _exponent(jnp.where(close, 1 + excess, total))
    # 2^−k − 1 is exact, so that only the sum is rounded.
    left = jnp.where(close, (0.5 * excess) * unit + (0.5 * unit - 1), (0.5 * total) * unit - 1)
    return _joined_logarithm(exponent, left)


def _is_fast(z: jax.Array) -> bool:
    """Whether the compiler's own e^z is as fast: in float32 on an accelerator, which has an instruction for it, and in jax 0.10, which
    computes ours again in every loop that uses it."""
    return z.dtype == jnp.float32 and (platform() != "cpu" or jax.__version_info__ < (0, 11))


def exp(z: jax.Array) -> jax.Array:
    """e^z, shape and type of `z` (float32 or float64): +inf from a factor of 2 below the largest number on, and 0 where it would be less
    than the smallest normal one."""
    return jnp.exp(z) if _is_fast(z) else _exp(z)


@jax.custom_jvp
@traced_once
def _exp(z: jax.Array) -> jax.Array:
    scale, grown = _reduced_exponential(z)
    # A product with a power of two is exact.
    return in_memory(scale * (1 + grown))


@_exp.defjvp
def _exp_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    found = _exp(*primals)
    return found, found * tangents[0]


@jax.custom_jvp
@traced_once
def exp2(z: jax.Array) -> jax.Array:
    """2^z, shape and type of `z` (float32 or float64): +inf from a factor of 2 below the largest number on, and 0 where it would be less
    than the smallest normal one."""
    kind = _FORMATS[z.dtype.name]
    z = _clipped(z, -kind.offset, kind.offset + 1)
    number = jnp.floor(z + 0.5)
    scale, grown = _exponential_of_rest(number, (z - number) * math.log(2))
    return in_memory(scale * (1 + grown))


@exp2.defjvp
def _exp2_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    found = exp2(*primals)
    return found, found * (tangents[0] * math.log(2))


@jax.custom_jvp
@traced_once
def expm1(z: jax.Array) -> jax.Array:
    """e^z − 1, shape and type of `z` (float32 or float64), with all its digits near 0."""
    scale, grown = _reduced_exponential(z)
    return in_memory(jnp.where(scale < jnp.inf, scale * grown + (scale - 1), scale))


@expm1.defjvp
def _expm1_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    return expm1(*primals), jnp.exp(primals[0]) * tangents[0]


@jax.custom_jvp
@traced_once
def log1p_inside(y: jax.Array) -> jax.Array:
    """ln(1 + y), shape and type of `y` (float32 or float64), with all its digits near 0, for y > −1 that are known to be less than half of
    the largest number: spares `log1p` looking for what is beyond."""
    exponent, unit = _exponent(1 + y)
    return _joined_logarithm(exponent, (0.5 * y) * unit + (0.5 * unit - 1))


@jax.custom_jvp
@traced_once
def log1p(y: jax.Array) -> jax.Array:
    """ln(1 + y), shape and type of `y` (float32 or float64), with all its digits near 0: −inf at −1, NaN below, +inf at +inf.
    Within a factor of 2 of the largest number it loses digits."""
    # One after the other: a choice between two numbers would be made in float64.
    found = jnp.where(y < jnp.inf, log1p_inside(y), y)
    return jnp.where(y > -1, found, jnp.where(y == -1, jnp.full_like(y, -jnp.inf), jnp.nan))


@log1p_inside.defjvp
@log1p.defjvp
def _log1p_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    return log1p(*primals), tangents[0] / (1 + primals[0])


@jax.custom_jvp
@traced_once
def log_inside(u: jax.Array) -> jax.Array:
    """ln u, shape and type of `u` (float32 or float64), for u > 0 that are known to be normal numbers less than half of the largest: spares
    `log` looking for what is beyond."""
    exponent, unit = _exponent(u)
    return _joined_logarithm(exponent, (0.5 * u) * unit - 1)


def log(u: jax.Array) -> jax.Array:
    """ln u, shape and type of `u` (float32 or float64): −inf at 0, NaN below, +inf at +inf. Numbers within a factor of 2 of the largest or
    the smallest normal one, or beyond, lose digits."""
    return _log(u) if u.dtype == jnp.float64 else jnp.log(u)


@jax.custom_jvp
@traced_once
def _log(u: jax.Array) -> jax.Array:
    found = jnp.where(u < jnp.inf, log_inside(u), u)
    return jnp.where(u >= np.finfo(np.float64).tiny, found, jnp.where(u >= 0, -jnp.inf, jnp.nan))


@log_inside.defjvp
@_log.defjvp
def _log_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    return log(*primals), tangents[0] / primals[0]
