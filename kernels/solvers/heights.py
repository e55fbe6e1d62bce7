"""Something that changes along the steps of a trajectory, such as ln of its pace: about how high it goes in each step, and where."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from kernels.solvers.bridges import Bridge
from kernels.solvers.search import illinois


class Ends(NamedTuple):
    """Both ends of a step, (…, lanes) all: what something is there, and how it changes there over a step like it."""

    start: jax.Array
    end: jax.Array
    first: jax.Array
    final: jax.Array

    def slope(self, share: jax.Array) -> jax.Array:
        """Of the cubic through both ends, at a share of the step."""
        cubic, square = self._terms
        return self.first + share * (2 * square + share * 3 * cubic)

    def between(self, share: jax.Array) -> jax.Array:
        """The cubic through both ends."""
        cubic, square = self._terms
        return self.start + share * (self.first + share * (square + share * cubic))

    def summit(self) -> jax.Array:
        """The share at which the cubic is highest, if it rises at its start and falls at its end."""
        cubic, square = self._terms
        root = jnp.sqrt(jnp.maximum(square * square - 3 * cubic * self.first, 0)) - square
        return jnp.clip(self.first / jnp.where(root > 0, root, 1), 0, 1)

    @property
    def _terms(self) -> tuple[jax.Array, jax.Array]:
        return 2 * (self.start - self.end) + self.first + self.final, 3 * (self.end - self.start) - 2 * self.first - self.final


class Height(NamedTuple):
    """In a step, (…, lanes) all: how high something is at both ends, its slopes there or what has their signs, and about how high it is at
    most and at which share of the step."""

    start: jax.Array
    end: jax.Array
    first: jax.Array
    final: jax.Array
    summit: jax.Array
    share: jax.Array

    @property
    def is_humped(self) -> jax.Array:
        """Whether it rises at the start of the step and falls at its end."""
        return (self.first > 0) & (self.final < 0)

    def held(self, most: jax.Array | None) -> Height:
        """No higher than `most`."""
        if most is None:
            return self
        start, end, summit = (jnp.minimum(value, most) for value in (self.start, self.end, self.summit))
        return self._replace(start=start, end=end, summit=summit)


def height(ends: Ends) -> Height:
    """Of what is smooth within the step: with the summit of the cubic, or else the higher end."""
    start, end, first, final = ends
    humped = (first > 0) & (final < 0)
    share = jnp.where(humped, ends.summit(), (end > start).astype(start.dtype))
    highest = jnp.maximum(jnp.maximum(start, end), jnp.where(humped, ends.between(share), -jnp.inf))
    return Height(start, end, first, final, highest, share)


def height_along(bridge: Bridge, mean: Ends, time: Ends) -> Height:
    """Of a bridge's curve, by what the mean path and time are in the step: with the summit of the curve on both cubics, or else the higher
    end."""
    known = jnp.isfinite(mean.start) & jnp.isfinite(mean.end)
    path = Ends(*(jnp.where(known, value, 0) for value in mean))

    def falling(share: jax.Array) -> jax.Array:
        return -bridge.rising(time.between(share), time.slope(share), path.slope(share))

    first, final = -falling(jnp.zeros_like(path.start)), -falling(jnp.ones_like(path.start))
    begun, ended = bridge.share(time.start), bridge.share(time.end)
    length = jnp.maximum(ended - begun, 1e-30)
    # On a line in a time that goes evenly.
    guess = jnp.clip((bridge.summit((path.end - path.start) / length) - begun) / length, 0, 1)
    zero = jnp.zeros_like(guess)
    at = illinois(falling, zero, zero + 1, jnp.minimum(-first, 0), jnp.maximum(-final, 0), guess, 4)
    start, end = mean.start + bridge.above_mean(time.start), mean.end + bridge.above_mean(time.end)
    higher, between = jnp.maximum(start, end), path.between(at) + bridge.above_mean(time.between(at))
    inside = known & (first > 0) & (final < 0) & (between > higher)
    share = jnp.where(inside, at, (end > start).astype(start.dtype))
    return Height(start, end, first, final, jnp.where(inside, between, higher), share)
