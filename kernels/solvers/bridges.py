"""Between two points of a random path: as high and as low as a Brownian bridge goes, on one smooth curve each.

Equations: a bridge from a to b whose variance would have grown by v between them is at some time above a level x with the probability
e^(−2(x − a)(x − b)/v), if that is above both. With an exponential number E of mean 1 for the interval, the line with a half ellipse on it,

    a + (b − a)s + √(2vE·s(1 − s)),    s the share of the way,

has its highest at (a + b + √((b − a)² + 2vE))/2, which is above x with that probability, whatever a and b are: no other concave curve that
does not depend on them does that. So a law's own pace may be put for the line. When the curve passes a level is no more than a model
of when a path first does: in the mean it is early, by about a sixth of the interval.

Source: Karatzas & Shreve (1991), Brownian Motion and Stochastic Calculus, section 2.8, for the probability; the ellipse is ours.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

# Below every excess that shows, and not 0, where a root has no slope.
_LEAST = 1e-30


class Bridge(NamedTuple):
    """An interval of a random path as one of its curves sees it, each (…, lanes): when it `begun` and how many `months` it is long; by how
    much the mean pace is above the line, `bulge`·s(1 − s), of its ln; and `round`, 2vE."""

    begun: jax.Array
    months: jax.Array
    bulge: jax.Array
    round: jax.Array

    def share(self, time: jax.Array) -> jax.Array:
        """s at a time within the interval (and a little beyond), months."""
        return jnp.clip((time - self.begun) / self.months, -1, 2)

    def square_above_line(self, share: jax.Array) -> jax.Array:
        """The square of how far the curve is above the line, smooth at the ends. The curve is never below the mean, whose bulge is a small
        part of it."""
        product = share * (1 - share)
        return product * (self.round + self.bulge**2 * product)

    def above_line(self, share: jax.Array) -> jax.Array:
        """How far the curve is above the line."""
        return jnp.sqrt(jnp.maximum(self.square_above_line(share), _LEAST))

    def of_mean(self, share: jax.Array) -> jax.Array:
        """How far the mean is above the line."""
        return self.bulge * share * (1 - share)

    def tilt(self, share: jax.Array) -> jax.Array:
        """How the mean changes above the line, by the share."""
        return self.bulge * (1 - 2 * share)

    def above_mean(self, time: jax.Array) -> jax.Array:
        """How far the curve is above the mean at a time, months."""
        share = self.share(time)
        return self.above_line(share) - self.of_mean(share)

    def rising(self, time: jax.Array, months: jax.Array, of_mean: jax.Array) -> jax.Array:
        """The slope of the curve at a time, where time goes by so many months while the mean rises by `of_mean`, times twice the distance
        from the line, so that it is finite where the slope is not."""
        share, moving = self.share(time), months / self.months
        product = share * (1 - share)
        turning = (1 - 2 * share) * moving * (self.round + 2 * self.bulge**2 * product)
        return 2 * self.above_line(share) * (of_mean - self.tilt(share) * moving) + turning

    def summit(self, slope: jax.Array) -> jax.Array:
        """The share at which the curve is highest on a line with this slope."""
        return (1 + slope / jnp.sqrt(slope**2 + self.round + _LEAST)) / 2


class Roughness(NamedTuple):
    """The curves as high and as low as the path goes; the second is that of −ln of the pace."""

    above: Bridge
    below: Bridge
