"""Statistics on the device: counts, sums and histograms a block and replicate, which merge exactly.

Replicate = draw mod R, so lanes in rows of R have one replicate a column. Counts are integers. A sum is formed over each block by an
explicit pairwise tree in the order of the draws, so that its bits depend neither on how many lanes are solved at once nor on the compiler's
taste; its rounding error is below 24 units in the last place of the working type.

Histograms have `bins_per_octave` bins of equal width in every factor of two (relative width at most 1/bins_per_octave), found from the bits
of the number, between the powers of two that the outcome's scale spans; zero, what lies outside, and +inf have bins of their own. Signed
outcomes have the mirrored bins for negative values. NaN is in no bin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from kernels.labels import Scale

_SPANS: dict[Scale, tuple[int, int]] = {"duration": (-14, 14), "ratio": (-16, 48), "signed": (-10, 10), "count": (0, 14)}
"""Powers of two between which an outcome is binned: 2^-14 months are three minutes, 2^14 months are 1,365 years."""


@dataclass(frozen=True)
class Bins:
    """The bins of one outcome: [mirrored bins], zero and below the least, bins, above the greatest, +inf."""

    scale: Scale
    per_octave: int

    @property
    def span(self) -> tuple[int, int]:
        return _SPANS[self.scale]

    @property
    def _positive(self) -> int:
        return (self.span[1] - self.span[0]) * self.per_octave

    @property
    def count(self) -> int:
        """How many bins there are."""
        return self._positive * (2 if self.scale == "signed" else 1) + (4 if self.scale == "signed" else 3)

    @property
    def edges(self) -> np.ndarray:
        """Lower edge of every bin, float64, shape (count,). A bin ends where the next begins; the last is +inf itself."""
        low, high = self.span
        steps = np.arange(self._positive)
        positive = np.append(2.0 ** (low + steps // self.per_octave) * (1 + steps % self.per_octave / self.per_octave), 2.0**high)
        if self.scale == "signed":
            return np.concatenate([[-np.inf], -positive[::-1], positive, [np.inf]])
        return np.concatenate([[0.0], positive, [np.inf]])

    def index(self, value: jax.Array) -> jax.Array:
        """The bin of each value, int32 of the same shape; for NaN any bin."""
        number = value.astype(jnp.float32)
        shift = 23 - int(math.log2(self.per_octave))
        magnitude = jnp.abs(number)
        offset = (127 + self.span[0]) * self.per_octave
        step = (lax.bitcast_convert_type(magnitude, jnp.int32) >> shift) - offset
        step = jnp.clip(step, -1, self._positive)
        above = jnp.where(magnitude == jnp.inf, self._positive + 1, step) + 1
        if self.scale != "signed":
            return above
        # Below zero the bins run the other way; the bin around zero is shared.
        centre = self._positive + 1
        return jnp.where(number < 0, centre - (step + 1), centre + above)


def pairwise_sum(values: jax.Array) -> jax.Array:
    """Sum over axis −2 by a balanced tree of neighbours. Shape (…, rows, replicates) → (…, replicates); rows a power of two."""
    while values.shape[-2] > 1:
        pairs = values.reshape(*values.shape[:-2], values.shape[-2] // 2, 2, values.shape[-1])
        values = pairs[..., 0, :] + pairs[..., 1, :]
    return values[..., 0, :]


def count_by_replicate(counts: jax.Array, replicates: int) -> jax.Array:
    """Sums of counts of each replicate: (…, lanes) → (…, replicates) int32."""
    return jnp.sum(counts.reshape(*counts.shape[:-1], counts.shape[-1] // replicates, replicates), axis=-2, dtype=jnp.int32)


def sum_by_replicate(values: jax.Array, replicates: int) -> jax.Array:
    """Pairwise sums of each replicate: (…, lanes) → (…, replicates)."""
    return pairwise_sum(values.reshape(*values.shape[:-1], -1, replicates))
