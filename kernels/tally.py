"""What is counted of a block while it is walked: how many trajectories do something, and the extremes of each outcome.

On a CPU it is kept lane by lane and reduced once a block, which saves a reduction in every round. An accelerator has few rounds and many
lanes: there it is kept by replicate. Counts are integers and extremes do not depend on an order, so no bit does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from kernels.outcomes import Rows
from kernels.platform import platform
from kernels.statistics import count_by_replicate
from kernels.study import Study

Counted = dict[str, jax.Array]
"""What was counted so far, each (blocks · columns,), or as many for each flag or number."""


@dataclass(frozen=True)
class Tally:
    """The tally of so many blocks `together`, `lanes` of each at a time."""

    study: Study
    together: int
    lanes: int

    @property
    def columns(self) -> int:
        """Lanes of a block that are kept apart."""
        return self.lanes if platform() == "cpu" else self.study.design.replicates

    def nothing(self) -> Counted:
        """Before the first lane is walked."""
        study, columns = self.study, self.together * self.columns
        nothing, flags, numbers = jnp.zeros(columns, jnp.int32), (len(study.flags), columns), (len(study.numbers), columns)
        return {
            "valid": nothing,
            "failed": nothing,
            "cut_off": nothing,
            "first_failed": jnp.full(columns, study.design.block, jnp.int32),
            "true": jnp.zeros(flags, jnp.int32),
            "finite": jnp.zeros(numbers, jnp.int32),
            "least": jnp.full(numbers, jnp.inf, study.dtype),
            "greatest": jnp.full(numbers, -jnp.inf, study.dtype),
        }

    def with_lanes(self, counted: Counted, found: Rows, held: jax.Array, valid: jax.Array, part: jax.Array) -> Counted:
        """With what was `found` of the lanes of a part, each (…, blocks · lanes), that are `held`, of which some are `valid`."""
        study, counted = self.study, dict(counted)

        def folded(values: jax.Array, reduce: Callable[..., jax.Array]) -> jax.Array:
            if self.columns == self.lanes:
                return values
            each = (*values.shape[:-1], self.together, self.lanes // self.columns, self.columns)
            return reduce(values.reshape(each), axis=-2).reshape(*values.shape[:-1], self.together * self.columns)

        def count(name: str, flags: jax.Array) -> None:
            counted[name] = counted[name] + folded(flags.astype(jnp.int32), partial(jnp.sum, dtype=jnp.int32))

        def least(name: str, values: jax.Array) -> None:
            counted[name] = jnp.minimum(counted[name], folded(values, jnp.min))

        def greatest(name: str, values: jax.Array) -> None:
            counted[name] = jnp.maximum(counted[name], folded(values, jnp.max))

        failed = held & ~valid
        lane = jnp.tile(jnp.arange(self.lanes, dtype=jnp.uint32) + part * self.lanes, self.together).astype(jnp.int32)
        count("valid", valid)
        count("failed", failed)
        count("cut_off", found.cut_off & held)
        least("first_failed", jnp.where(failed, lane, study.design.block))
        count("true", found.flags & valid)
        finite = valid & jnp.isfinite(found.numbers)
        count("finite", finite)
        least("least", jnp.where(finite, found.numbers, jnp.inf))
        greatest("greatest", jnp.where(finite, found.numbers, -jnp.inf))
        return counted

    def of_blocks(self, counted: Counted) -> Counted:
        """What was counted of each block: "valid", "failed" (blocks, replicates), "cut_off", "first_failed" (blocks,), "true" and "finite"
        (blocks, flags or numbers, replicates), "least" and "greatest" (blocks, numbers)."""

        # Blocks first: (blocks, flags or numbers, columns).
        by_block = {
            name: jnp.moveaxis(values.reshape(*values.shape[:-1], self.together, self.columns), -2, 0) for name, values in counted.items()
        }
        found = {name: count_by_replicate(by_block[name], self.study.design.replicates) for name in ("valid", "failed", "true", "finite")}
        found["cut_off"] = jnp.sum(by_block["cut_off"], axis=-1, dtype=jnp.int32)
        found |= {name: jnp.min(by_block[name], axis=-1) for name in ("first_failed", "least")}
        return found | {"greatest": jnp.max(by_block["greatest"], axis=-1)}
