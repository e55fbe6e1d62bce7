"""A design: which distributions are drawn, by which sampler, in which correlation. Draws are a pure function of (seed, draw index).

replicate = draw mod R and point = draw div R: the means of the R replicates are independent, so that their spread gives the standard error
with R - 1 degrees of freedom, whatever the sampler. How draws are grouped into calls changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import DTypeLike

from kernels.sampling.copula import cholesky, correlate
from kernels.sampling.discrete import Constant
from kernels.sampling.distribution import Distribution
from kernels.sampling.indexed import random_bits
from kernels.sampling.latin_hypercube import latin_hypercube_bits
from kernels.sampling.sobol import DIMENSIONS, sobol_bits
from kernels.sampling.tails import Tail, nearer_tail

SAMPLERS = ("sobol", "random", "latin_hypercube")


def _is_power_of_two(number: int) -> bool:
    return 0 < number <= 1 << 31 and number & (number - 1) == 0


@dataclass(frozen=True)
class Design:
    """How parameters are drawn. Hashable: static in a jitted program.

    `distributions` holds (name, distribution), the position being the dimension; `correlation` holds (name, name, latent correlation).
    Raises ValueError, naming the field and the fix, for fields that contradict each other.
    """

    sampler: str
    replicates: int
    block: int
    distributions: tuple[tuple[str, Distribution], ...]
    correlation: tuple[tuple[str, str, float], ...] = ()

    def __post_init__(self) -> None:
        if self.sampler not in SAMPLERS:
            raise ValueError(f"sampler: {self.sampler!r} is unknown; use one of {', '.join(SAMPLERS)}")
        for field, number in (("replicates", self.replicates), ("block", self.block)):
            if not _is_power_of_two(number):
                raise ValueError(f"{field}: {number!r} is not a power of two; use 1, 2, 4, ... 2^31")
        if self.replicates > self.block:
            raise ValueError(f"replicates: {self.replicates} is more than the block of {self.block} draws; use at most as many")
        names = [name for name, _ in self.distributions]
        if len(set(names)) < len(names):
            raise ValueError(f"distributions: {', '.join(names)} holds a name twice; give each parameter once")
        if self.sampler == "sobol" and len(names) > DIMENSIONS:
            problem = f"{len(names)} are more than the Sobol sequence's {DIMENSIONS} dimensions"
            raise ValueError(f'distributions: {problem}; use sampler = "random"')
        drawn = [name for name, distribution in self.distributions if not isinstance(distribution, Constant)]
        cholesky(self._correlated(drawn), self.correlation)

    def _correlated(self, names: list[str]) -> list[str]:
        """The parameters that some correlation names, in the order of the dimensions."""
        mentioned = {name for first, second, _ in self.correlation for name in (first, second)}
        return [name for name in names if name in mentioned]

    def in_rows(self, draw: jax.Array) -> jax.Array:
        """Draws that follow one another from a point's first on, (lanes,), a multiple of the replicates, as (points, replicates)."""
        return draw.reshape(-1, self.replicates)

    def bits(self, key: jax.Array, draw: jax.Array, dimensions: tuple[int, ...]) -> Sequence[jax.Array]:
        """The sampler's 32 bits for each draw in each of the dimensions, uint32 of shape (lanes,)."""
        # XLA takes a loop of one round for none, and then no end of time over what it fuses: one dimension is drawn twice.
        looped = dimensions * 2 if len(dimensions) == 1 else dimensions
        if self.sampler == "sobol":
            return sobol_bits(key, draw, looped, self.replicates)[: len(dimensions)]
        draw = draw.ravel()

        def one(dimension: jax.Array) -> jax.Array:
            if self.sampler == "latin_hypercube":
                return latin_hypercube_bits(key, draw, dimension, self.replicates, self.block)
            return random_bits(key, draw, dimension)

        # A loop, not a comprehension: XLA does not fuse across it, and so does not compute the bits again in every fusion that reads them.
        table = lax.map(one, np.array(looped, np.uint32))
        return [table[place] for place in range(len(dimensions))]

    def tails(self, key: jax.Array, draw: jax.Array, dtype: DTypeLike) -> dict[str, Tail]:
        """Every parameter's u for each draw, correlated as asked; constants have none."""
        places = {name: place for place, (name, distribution) in enumerate(self.distributions) if not isinstance(distribution, Constant)}
        if not places:
            return {}
        bits = self.bits(key, draw, tuple(places.values()))
        tails = {name: nearer_tail(word, dtype) for name, word in zip(places, bits, strict=True)}
        correlated = self._correlated(list(places))
        if correlated:
            factor = cholesky(correlated, self.correlation)
            tails.update(zip(correlated, correlate([tails[name] for name in correlated], factor), strict=True))
        return tails

    def parameters(self, key: jax.Array, draw: jax.Array, dtype: DTypeLike) -> dict[str, jax.Array]:
        """The parameters of each draw: {name: array of `dtype` of shape (lanes,)}.

        `key` is uint32 of shape (2,) (see `seed_key`); `draw` is uint32 of shape (lanes,), any indices in any order, or as `in_rows` gives
        them, which costs less.
        """
        tails = self.tails(key, draw, dtype)
        return {
            name: distribution.quantile(tails[name]) if name in tails else jnp.full(draw.size, distribution.median, dtype)
            for name, distribution in self.distributions
        }
