"""A gradual boost: a research speed-up f that rises with calendar time over a ramp and then stays (Davidson & Houlden 2025).

Equation: exponential (the authors' code)  f(t) = f_start·(f_max/f_start)^(t/D) for t < D, then f_max;
          linear (the paper's display)     f(t) = f_start + (f_max − f_start)·min(t/D, 1).
Against the start it multiplies the pace by B(t) = (1 + f(t))/(1 + f(0)); Φ(t) = ∫₀ᵗ B dt′ is the clock in which the boosted law is the
unboosted one.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from kernels.elementary import exp


@dataclass(frozen=True)
class GradualBoost:
    """`start`, `end` (× recent pace) and `duration` (months) are arrays of shape (lanes,); `linear` chooses the form."""

    start: jax.Array
    end: jax.Array
    duration: jax.Array
    linear: bool

    @property
    def _growth(self) -> jax.Array:
        """ln(f_max/f_start), kept off zero, where the formulas divide by it."""
        growth = jnp.log(self.end / self.start)
        return jnp.where(jnp.abs(growth) < 1e-12, 1e-12, growth)

    def speedup(self, time: jax.Array) -> jax.Array:
        """f at `time` months, shape (lanes,)."""
        share = jnp.minimum(time / self.duration, 1)
        if self.linear:
            return self.start + (self.end - self.start) * share
        return jnp.where(time < self.duration, self.start * exp(self._growth * share), self.end)

    def factor(self, time: jax.Array) -> jax.Array:
        """B(t), shape (lanes,)."""
        return (1 + self.speedup(time)) / (1 + self.start)

    def to_base(self, time: jax.Array) -> jax.Array:
        """Φ(t), months of the unboosted law, shape (lanes,)."""
        ramp = jnp.minimum(time, self.duration)
        if self.linear:
            ramped = ramp + (self.end - self.start) / (1 + self.start) * ramp * ramp / (2 * self.duration)
        else:
            ramped = (ramp + self._scale * jnp.expm1(self._growth * ramp / self.duration)) / (1 + self.start)
        return ramped + (time - ramp) * (1 + self.end) / (1 + self.start)

    @property
    def _scale(self) -> jax.Array:
        return self.start * self.duration / self._growth

    def to_calendar(self, base: jax.Array) -> jax.Array:
        """Φ⁻¹, months on the calendar, shape (lanes,)."""
        whole = self.to_base(self.duration)
        wanted = jnp.minimum(base, whole) * (1 + self.start)
        if self.linear:
            rise = (self.end - self.start) / self.duration
            ramp = 2 * wanted / (1 + self.start + jnp.sqrt(jnp.maximum((1 + self.start) ** 2 + 2 * rise * wanted, 0)))
        else:
            rate = self._growth / self.duration
            # Each term alone bounds a rising ramp from above, and Newton's method descends from there; a falling one it climbs from zero.
            above = jnp.minimum(wanted, jnp.log1p(jnp.maximum(wanted / self._scale, 0)) / rate)
            ramp = jnp.where(rate > 0, above, 0)
            for _ in range(6 if base.dtype == jnp.float32 else 9):
                miss = ramp + self._scale * jnp.expm1(rate * ramp) - wanted
                ramp = jnp.clip(ramp - miss / (1 + self.start * exp(rate * ramp)), 0, self.duration)
        return ramp + jnp.maximum(base - whole, 0) * (1 + self.start) / (1 + self.end)
