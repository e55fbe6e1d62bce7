"""Like with like: trajectories that are expected to take about as many steps are solved together, as those solved together end with the
slowest of them.

ln of the steps is expected to be a quadratic form of the parameters, each on the scale (-1, 1) of its bounds, fitted to the steps that a
pilot counted. It decides who keeps whom company, which changes no bit of any trajectory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import NDArray

from kernels.models.model import Bounds

_RIDGE = 1e-2
"""Of the square of each weight beside a draw's: a fit to few draws is to be tame rather than close."""
_SORTED = 4096
"""Lanes that are sorted at once."""
_WORTHWHILE = 1.15
"""How many times as many steps blocks in the order of the draws must take for another order to be worth its cost."""


class StepCount(NamedTuple):
    """The steps that a pilot counted: the `most` that loops are given, and the `weights` by which those of a trajectory are expected; none
    where any order is as good. And whether a GPU takes them faster in one kernel."""

    most: int
    weights: tuple[float, ...] = ()
    one_kernel: bool = False


@dataclass(frozen=True)
class Scale:
    """Where a parameter lies between its bounds, in ratios where both are above zero: from -1 to 1."""

    name: str
    low: float
    high: float

    @property
    def in_ratios(self) -> bool:
        return self.low > 0

    def __call__(self, value: Any, xp: Any = jnp) -> Any:
        low, high = (math.log(self.low), math.log(self.high)) if self.in_ratios else (self.low, self.high)
        return ((xp.log(value) if self.in_ratios else value) - low) * (2 / (high - low)) - 1


def scales(names: Sequence[str], bounds: Bounds) -> tuple[Scale, ...]:
    """The scales of those parameters that vary within finite bounds."""
    known = (Scale(name, *map(float, bounds[name])) for name in names)
    return tuple(scale for scale in known if math.isfinite(scale.low) and math.isfinite(scale.high) and scale.low < scale.high)


def _terms(places: Sequence[Any]) -> list[Any]:
    """The terms of the quadratic form after the constant one, which no order depends on."""
    return [*places, *(one * other for index, one in enumerate(places) for other in places[index:])]


def fitted(along: Sequence[Scale], parameters: Mapping[str, NDArray[Any]], steps: NDArray[Any], together: int) -> tuple[float, ...]:
    """The weights of the terms from the `steps` (draws,) that a pilot's draws took; none where solving `together` trajectories in the
    order that they give saves too little."""
    if not along:
        return ()
    terms = np.stack(_terms([np.clip(scale(parameters[scale.name].astype(np.float64), np), -1, 1) for scale in along]), axis=1)
    wanted = np.log(np.maximum(steps, 1).astype(np.float64))
    # Those left out of the fit say what it is worth.
    fit, judge = slice(0, None, 2), slice(1, None, 2)
    expected = terms[judge] @ _weights(terms[fit], wanted[fit])
    drawn, ordered = (_blocks_end(steps[judge][order], together) for order in (slice(None), np.argsort(expected)))
    return tuple(float(weight) for weight in _weights(terms, wanted)) if drawn >= _WORTHWHILE * ordered else ()


def _weights(terms: NDArray[Any], wanted: NDArray[Any]) -> NDArray[Any]:
    centred = terms - terms.mean(axis=0)
    square = centred.T @ centred + _RIDGE * len(terms) * np.eye(terms.shape[1])
    weights: NDArray[Any] = np.linalg.solve(square, centred.T @ (wanted - wanted.mean()))
    return weights


def _blocks_end(steps: NDArray[Any], together: int) -> float:
    """The mean over blocks of `together` of their slowest; fewer where a pilot is small."""
    together = min(together, len(steps) // 8)
    return float(steps[: len(steps) // together * together].reshape(-1, together).max(axis=1).mean())


def order(along: Sequence[Scale], weights: Sequence[float], parameters: Mapping[str, jax.Array], count: jax.Array) -> jax.Array:
    """The numbers of the lanes, a power of two, (lanes,) uint32, by the steps that are expected of them; those after the first `count` come
    last. It is the order of some samples of the lanes, a lane of each in turn, which is found in half the time of that of all."""
    lanes = parameters[along[0].name].size
    held = jnp.arange(lanes, dtype=jnp.uint32) < count
    places = [jnp.clip(scale(parameters[scale.name].astype(jnp.float32)), -1, 1) for scale in along]
    expected = sum((np.float32(weight) * term for weight, term in zip(weights, _terms(places), strict=True)), jnp.zeros(lanes, jnp.float32))
    expected = jnp.where(held, expected, -jnp.inf)
    most, least = jnp.max(expected), jnp.min(jnp.where(held, expected, jnp.inf))
    bits = (lanes - 1).bit_length()
    finest = np.float32((1 << (32 - bits)) - 2)
    share = jnp.nan_to_num((expected - least) / jnp.maximum(most - least, 1e-6), nan=0.0, neginf=0.0)
    # In one number with the lane's own: a compiler sorts numbers several times as fast as pairs.
    place = jnp.where(held, jnp.minimum(share * finest, finest).astype(jnp.uint32), np.uint32((1 << (32 - bits)) - 1))
    keys = (place << bits) | jnp.arange(lanes, dtype=jnp.uint32)
    # Every sample has as many of the first lanes as any other, or one more.
    samples = keys.reshape(-1, max(lanes // _SORTED, 1)).T
    return jnp.sort(samples, axis=1).T.ravel() & np.uint32((1 << bits) - 1)


def in_order(
    function: Callable[[dict[str, jax.Array], Any], tuple[Any, Any]],
    rows: Mapping[str, jax.Array],
    of: jax.Array,
    together: int,
    count: jax.Array,
    handed: Any,
) -> Any:
    """`function` of the rows, each (lanes,), `together` lanes at a time in the order `of` (lanes,), of which the first `count` are
    wanted; what it gives, a tree of (…, together), in the order of the rows (…, lanes). Others are zero. With its answer each call gives
    what it hands on to the next; the first is given `handed`."""
    # Traced once, for its shapes and for the loop.
    function = jax.jit(function, inline=True)
    parts = len(of) // together

    def placed(row: jax.Array, places: jax.Array) -> jax.Array:
        return row.at[places].get(mode="promise_in_bounds")

    sorted_rows = {name: placed(row, of).reshape(parts, together) for name, row in rows.items()}

    def part(index: jax.Array) -> dict[str, jax.Array]:
        return {name: lax.dynamic_index_in_dim(row, index, 0, keepdims=False) for name, row in sorted_rows.items()}

    first = part(jnp.uint32(0))
    empty = jax.tree.map(lambda leaf: jnp.zeros((*leaf.shape[:-1], len(of)), leaf.dtype), jax.eval_shape(function, first, handed)[0])

    def one(index: jax.Array, carry: tuple[dict[str, jax.Array], Any, Any]) -> tuple[dict[str, jax.Array], Any, Any]:
        # The next ones are taken up before they are needed: a slice taken in their own pass would be taken within its loops, lane by lane.
        held, found, handed = carry
        made, handed = function(held, handed)
        found = jax.tree.map(lambda rows, row: lax.dynamic_update_slice_in_dim(rows, row, index * together, -1), found, made)
        return part(jnp.minimum(index + 1, parts - 1)), found, handed

    _, found, _ = lax.fori_loop(np.uint32(0), (count + (together - 1)) // together, one, (first, empty, handed))
    back = jnp.zeros(len(of), jnp.uint32).at[of].set(jnp.arange(len(of), dtype=jnp.uint32), unique_indices=True, mode="promise_in_bounds")

    def returned(rows: jax.Array) -> jax.Array:
        # As one long row: of several, the compiler would look up columns and turn them over.
        starts = jnp.arange(rows.size // len(of), dtype=jnp.uint32).reshape(*rows.shape[:-1], 1) * np.uint32(len(of))
        return placed(rows.ravel(), starts + back)

    return jax.tree.map(returned, found)
