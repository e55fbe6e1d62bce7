"""What is counted of a block while it is walked: how many trajectories do something, and the extremes of each outcome.

On a CPU it is kept lane by lane and reduced once a block, which saves a reduction in every round. An accelerator has few rounds and many
lanes: there it is kept by replicate. Counts are integers and extremes do not depend on an order, so no bit does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from kernels.labels import Label
from kernels.outcomes import CUT_OFF
from kernels.statistics import count_by_replicate
from kernels.study import Study

Counted = dict[str, jax.Array]
"""What was counted so far, each (blocks · columns,)."""


@dataclass(frozen=True)
class Tally:
    """The tally of so many blocks `together`, `lanes` of each at a time."""

    study: Study
    together: int
    lanes: int

    @property
    def columns(self) -> int:
        """Lanes of a block that are kept apart."""
        return self.lanes if jax.default_backend() == "cpu" else self.study.design.replicates

    def nothing(self) -> Counted:
        """Before the first lane is walked."""
        study, shape = self.study, (self.together * self.columns,)
        nothing = jnp.zeros(shape, jnp.int32)
        counted = {"valid": nothing, "failed": nothing, "cut_off": nothing, "first_failed": jnp.full(shape, study.design.block, jnp.int32)}
        counted |= {f"true/{label.name}": nothing for label in study.flags}
        for label in study.numbers:
            counted[f"finite/{label.name}"] = nothing
            counted[f"least/{label.name}"] = jnp.full(shape, jnp.inf, study.dtype)
            counted[f"greatest/{label.name}"] = jnp.full(shape, -jnp.inf, study.dtype)
        return counted

    def with_lanes(self, counted: Counted, found: Mapping[str, jax.Array], held: jax.Array, valid: jax.Array, part: jax.Array) -> Counted:
        """With what was `found` of the lanes of a part, each (blocks · lanes,), that are `held`, of which some are `valid`."""
        study, counted = self.study, dict(counted)

        def folded(values: jax.Array, reduce: Callable[..., jax.Array]) -> jax.Array:
            if self.columns == self.lanes:
                return values
            return reduce(values.reshape(self.together, -1, self.columns), axis=1).ravel()

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
        count("cut_off", found[CUT_OFF] & held)
        least("first_failed", jnp.where(failed, lane, study.design.block))
        for label in study.flags:
            count(f"true/{label.name}", found[label.name] & valid)
        for label in study.numbers:
            value = found[label.name]
            finite = valid & jnp.isfinite(value)
            count(f"finite/{label.name}", finite)
            least(f"least/{label.name}", jnp.where(finite, value, jnp.inf))
            greatest(f"greatest/{label.name}", jnp.where(finite, value, -jnp.inf))
        return counted

    def of_blocks(self, counted: Counted) -> Counted:
        """What was counted of each block: "valid", "failed" (blocks, replicates), "cut_off", "first_failed" (blocks,), "true" and "finite"
        (blocks, flags or numbers, replicates), "least" and "greatest" (blocks, numbers)."""
        study = self.study

        def by_block(name: str) -> jax.Array:
            return counted[name].reshape(self.together, -1)

        def counts(name: str) -> jax.Array:
            return count_by_replicate(by_block(name), study.design.replicates)

        def all_of(kind: str, labels: Sequence[Label], reduced: Callable[[str], jax.Array]) -> jax.Array:
            return jnp.stack([reduced(f"{kind}/{label.name}") for label in labels], axis=1)

        found = {name: counts(name) for name in ("valid", "failed")}
        found["cut_off"] = jnp.sum(by_block("cut_off"), axis=1, dtype=jnp.int32)
        found["first_failed"] = jnp.min(by_block("first_failed"), axis=1)
        if study.flags:
            found["true"] = all_of("true", study.flags, counts)
        if study.numbers:
            found["finite"] = all_of("finite", study.numbers, counts)
            found["least"] = all_of("least", study.numbers, lambda name: jnp.min(by_block(name), axis=1))
            found["greatest"] = all_of("greatest", study.numbers, lambda name: jnp.max(by_block(name), axis=1))
        return found
