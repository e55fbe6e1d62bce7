"""A function of each of some blocks in turn, as one loop: the compiler meets the function once, and its loops stay vector code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax


def in_turn(function: Callable[[Any], Any], blocks: Any) -> Any:
    """`function` of each of some blocks, which any tree of arrays has as its first axis; its results along a new first axis.

    Each block is carried into the pass that computes it: a slice taken there would be taken within its loops, lane by lane.
    """

    def one(held: Any, following: Any) -> tuple[Any, Any]:
        return following, function(held)

    first, others = (jax.tree.map(part, blocks) for part in (lambda row: row[0], lambda row: jnp.roll(row, -1, axis=0)))
    return lax.scan(one, first, others)[1]
