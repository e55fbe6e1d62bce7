"""Between two points of a random path: how high a Brownian bridge rises, and when it first passes a level.

Equations: a bridge from a to b whose variance would have grown by v between them exceeds m ≥ a, b with the probability
e^(−2(m − a)(m − b)/v), so with E exponential of mean 1 its highest is

    (a + b + √((b − a)² + 2vE))/2.

If it passes m = a + x, the first time that it does, as a share s of the way, is that of a bridge which ends y = |b − m| above m (where it
ends below, what comes after the passage is reflected), and s/(1 − s) is inverse Gaussian of mean x/y and shape x²/v:

    P(s) = Φ((ys − x(1 − s))/r) + e^(2xy/v)·Φ(−(ys + x(1 − s))/r),   r = √(vs(1 − s)).

Source: Karatzas & Shreve (1991), Brownian Motion and Stochastic Calculus, section 2.8, for the reflection; Folks & Chhikara (1978),
J. R. Statist. Soc. B 40, 263, for the inverse Gaussian distribution.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from kernels.elementary import exp
from kernels.solvers.search import root_of, sign_change

_ERFCX = (
    -1.26551223,
    1.00002368,
    0.37409196,
    0.09678418,
    -0.18628806,
    0.27886807,
    -1.13520398,
    1.48851587,
    -0.82215223,
    0.17087277,
)


def highest(start: jax.Array, end: jax.Array, variance: jax.Array, exponential: jax.Array) -> jax.Array:
    """The highest of a bridge, shapes broadcast; the higher end where either is infinite."""
    finite = jnp.isfinite(start) & jnp.isfinite(end)
    low, high = jnp.where(finite, start, 0), jnp.where(finite, end, 0)
    # Never exactly 0 below the root, which has no slope there.
    above = (low + high + jnp.sqrt((high - low) ** 2 + 2 * variance * exponential + 1e-30)) / 2
    return jnp.where(finite, above, jnp.maximum(start, end))


def first_passage(below: jax.Array, beyond: jax.Array, variance: jax.Array, uniform: jax.Array) -> jax.Array:
    """The share of the way at which a bridge first passes a level that is x = `below` ≥ 0 above its start and y = `beyond` ≥ 0 from its
    end: where P is `uniform`; shapes broadcast."""
    spread = jnp.maximum(variance, 1e-12)

    def rising(share: jax.Array) -> jax.Array:
        inside = jnp.clip(share, 1e-7, 1 - 1e-7)
        scale = jax.lax.rsqrt(spread * inside * (1 - inside))
        ahead, behind = beyond * inside, below * (1 - inside)
        # e^(2xy/v) Φ(−q) = e^(−p²/2) erfcx(q/√2)/2, in which nothing overflows.
        place, reflected = (ahead - behind) * scale, (ahead + behind) * scale
        tail = exp(-jnp.minimum(place * place / 2, 80)) / 2
        passed = jnp.where(place > 0, 1 - tail * _erfcx(place), tail * _erfcx(-place))
        return passed + tail * _erfcx(reflected) - uniform

    zero = jnp.zeros(jnp.broadcast_shapes(below.shape, beyond.shape, spread.shape, uniform.shape), spread.dtype)
    steps = 8 if zero.dtype == jnp.float32 else 14
    return root_of(rising, lambda: sign_change(rising, zero, zero + 1, steps, halvings=6), zero, zero + 1)


def _erfcx(root: jax.Array) -> jax.Array:
    """e^(q²/2)·2Φ(−q) of |q| to 1.2e-7, by which times are drawn a little otherwise: Press et al., Numerical Recipes, section 6.2."""
    scaled = jnp.abs(root) * math.sqrt(0.5)
    inverse = 1 / (1 + scaled / 2)
    total = jnp.zeros_like(inverse)
    for coefficient in reversed(_ERFCX):
        total = total * inverse + coefficient
    return inverse * exp(total)
