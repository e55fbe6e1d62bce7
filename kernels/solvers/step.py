"""One explicit Runge–Kutta step of trajectories, in any variable that grows with time.

Source of the method: Hairer, Nørsett and Wanner (1993), section II.1; the tableaus are in tableaus.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from kernels.in_memory import in_memory
from kernels.platform import platform
from kernels.solvers.tableaus import Tableau

State = tuple[jax.Array, ...]
"""Time in months, the coordinate of software, and whatever else the system needs; each (…, lanes)."""


class Step(NamedTuple):
    """What a step adds to each state, the estimated errors of each, and the rates at its end where the method has asked for them."""

    added: State
    errors: tuple[State, ...]
    rates_at_end: State | None


def take_step(
    tableau: Tableau,
    rates: Callable[[State], State],
    unit: Callable[[State], jax.Array],
    state: State,
    stride: jax.Array,
    rates_at_start: State | None = None,
    unrolled: bool = False,
) -> Step:
    """One step of length `stride` in the variable v with dv/dt = `unit`(rates): the clock, time or the coordinate. The rates at the start
    are given where they are known. `unrolled` writes the stages out, for rates of few operations, which a loop would slow down; for an
    accelerator they are always written out."""

    def slopes(found: State) -> State:
        scale = 1 / unit(found)
        return (scale, *(rate * scale for rate in found))

    dtype, count = stride.dtype, len(tableau.b)
    shape = jnp.broadcast_shapes(*(value.shape for value in state), stride.shape)
    begin = tuple(jnp.broadcast_to(value, shape) for value in state)
    first = None if rates_at_start is None else tuple(jnp.broadcast_to(value, shape) for value in slopes(rates_at_start))

    def sums(weights: Sequence[float] | jax.Array, stages: Sequence[Sequence[jax.Array] | jax.Array]) -> State:
        # Term by term: a product of arrays would round otherwise for other numbers of lanes. No weight of 0 but in a loop.
        def total(slopes: Sequence[jax.Array] | jax.Array) -> jax.Array:
            used = [i for i in range(len(weights)) if isinstance(weights, jax.Array) or weights[i]]
            return stride * sum((weights[i] * slopes[i] for i in used[1:]), weights[used[0]] * slopes[used[0]])

        return tuple(total(slopes) for slopes in stages)

    def moved(added: State) -> State:
        return tuple(value + more for value, more in zip(state, added, strict=True))

    def written_out() -> Sequence[Sequence[jax.Array]]:
        found = [slopes(in_memory(rates(begin))) if first is None else first]
        for weights in tableau.a:
            trial = in_memory(moved(sums(weights, tuple(zip(*found, strict=True)))))
            found.append(slopes(in_memory(rates(trial))))
        return tuple(zip(*found, strict=True))

    def in_a_loop() -> Sequence[Sequence[jax.Array]]:
        # Of which the compiler need see only one stage.
        slots = tableau.slots
        rows = np.zeros((count, max(slots) + 1))
        for index, row in enumerate(tableau.a):
            for slot, weight in zip(slots, row, strict=False):
                rows[index, slot] += weight

        def kept(stages: tuple[jax.Array, ...], found: State, index: jax.Array | int) -> tuple[State, tuple[jax.Array, ...]]:
            """The next trial point, and the stages with this one."""
            slot = slots[index] if isinstance(index, int) else jnp.asarray(slots, jnp.int32)[index]
            stages = tuple(lax.dynamic_update_index_in_dim(rows, one, slot, 0) for rows, one in zip(stages, found, strict=True))
            added = sums(lax.dynamic_index_in_dim(jnp.asarray(rows, dtype), index, 0, keepdims=False), stages)
            return moved(added), stages

        def stage(index: jax.Array, carry: tuple[State, tuple[jax.Array, ...]]) -> tuple[State, tuple[jax.Array, ...]]:
            trial, stages = carry
            return kept(stages, slopes(rates(trial)), index)

        trial, stages, begun = begin, tuple(jnp.zeros((max(slots) + 1, *shape), dtype) for _ in state), 0
        if first is not None:
            (trial, stages), begun = kept(stages, first, 0), 1
        found: tuple[jax.Array, ...] = lax.fori_loop(begun, count, stage, (trial, stages))[1]
        return [[rows_of[slot] for slot in slots] for rows_of in found]

    stages = written_out() if unrolled or platform() != "cpu" else in_a_loop()
    added = in_memory(sums(tableau.b, stages))
    errors = tuple(sums(weights[:count], stages) for weights in tableau.errors)
    at_end: State | None = None
    if len(tableau.errors[0]) > count:
        at_end = rates(moved(added))
        weight = tableau.errors[0][count]
        errors = (tuple(error + stride * weight * slope for error, slope in zip(errors[0], slopes(at_end), strict=True)),)
    return Step(added, in_memory(errors), at_end)
