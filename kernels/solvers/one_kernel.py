"""The mixed clock as one kernel of a GPU: a thread walks its trajectory from the start to the end, with all it needs in registers.

A compiled loop launches some kernels for every step, and its state goes to memory and back each time. Here the whole loop is a program of
Triton's, made from the same `advanced` as the loop of `clock.integrate`, which is its oracle and what is used where there is no such GPU.
Only what is kept of each step goes to memory. Each group of threads ends with its own slowest trajectory, not with the slowest of all.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from kernels.in_memory import in_registers
from kernels.solvers.clock import Row, Stepping, System, Track, Walk, advanced, at_end, at_start

LANES = 128
"""Trajectories of a group of threads, one a thread."""


def integrate_in_one_kernel(system: System, stepping: Stepping, furthest: float, interpret: bool = False) -> Track:
    """What `clock.integrate` gives, for a system whose arrays are (lanes,). `interpret` runs the kernel on any device, slowly."""
    # A fifth of a second of imports that a CPU needs not.
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import triton

    lanes = system.horizon.shape[0]
    spare = -lanes % LANES
    arrays: list[jax.Array] = []

    def listed(array: jax.Array) -> jax.Array:
        # The last group is filled up with the last trajectory.
        arrays.append(jnp.pad(jnp.broadcast_to(array, (lanes,)), (0, spare), mode="edge"))
        return array

    system.rebuilt(listed)

    # Of a copy: what a system keeps of what it has computed would be of this trace.
    walk = jax.eval_shape(lambda: at_start(system.rebuilt(lambda array: array)))
    ends, walk_tree = jax.tree.flatten(walk)
    rows, row_tree = jax.tree.flatten(jax.eval_shape(at_end, walk))

    @in_registers()
    def walk_all(*references: Any) -> None:
        given, kept, ended, count = (
            references[: len(arrays)],
            references[len(arrays) : len(arrays) + len(rows)],
            references[len(arrays) + len(rows) : -1],
            references[-1],
        )
        loaded = iter([reference[...] for reference in given])
        here = system.rebuilt(lambda _: next(loaded))

        def going(carry: tuple[jax.Array, Walk]) -> jax.Array:
            place, walk = carry
            return (place < stepping.steps) & (jnp.max(walk.active.astype(jnp.int32)) > 0)

        def one(carry: tuple[jax.Array, Walk]) -> tuple[jax.Array, Walk]:
            place, walk = carry
            walk, row = advanced(here, stepping, furthest, walk)
            for reference, value in zip(kept, jax.tree.leaves(row), strict=True):
                reference[place, :] = value
            return place + 1, walk

        last, walk = lax.while_loop(going, one, (jnp.int32(0), at_start(here)))
        for reference, value in zip(ended, jax.tree.leaves(walk), strict=True):
            reference[...] = value
        count[...] = jnp.zeros(LANES, jnp.int32) + last

    shape: Any = jax.ShapeDtypeStruct

    of_lanes = pl.BlockSpec((LANES,), lambda group: (group,))
    of_steps = pl.BlockSpec((stepping.steps + 1, LANES), lambda group: (0, group))
    found = pl.pallas_call(
        walk_all,
        grid=((lanes + spare) // LANES,),
        in_specs=[of_lanes for _ in arrays],
        out_specs=[*(of_steps for _ in rows), *(of_lanes for _ in ends), of_lanes],
        out_shape=[
            *(shape((stepping.steps + 1, lanes + spare), row.dtype) for row in rows),
            *(shape((lanes + spare,), end.dtype) for end in ends),
            shape((lanes + spare,), jnp.int32),
        ],
        interpret=interpret,
        compiler_params=None if interpret else triton.CompilerParams(num_warps=LANES // 32, num_stages=1),
    )(*arrays)
    found = [array[..., :lanes] for array in found]
    count, end = found[-1], jax.tree.unflatten(walk_tree, found[len(rows) : -1])
    used = jnp.max(count)
    number = jnp.arange(stepping.steps + 1, dtype=jnp.int32)[:, None]
    # After a group's own last step there is nothing in memory yet.
    kept: Row = jax.tree.map(
        lambda row, last: jnp.where(number < count, row, jnp.where(number <= used, last, jnp.inf)),
        jax.tree.unflatten(row_tree, found[: len(rows)]),
        at_end(end),
    )
    return Track(*kept, end.arrival, end.active, used)
