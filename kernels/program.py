"""The tile program: index → draw → parameters → solve → outcomes → statistics, one compiled program a sweep.

A tile is some cells × some blocks of draws. The program walks its blocks in sub-blocks of lanes that fit the processor's cache, with the
number of sub-blocks taken from the number of draws, so that one compiled shape serves full tiles and the ragged last one at the cost of
what they hold. Nothing in a result depends on the size of a tile or a sub-block: trajectories are pure functions of (draw, cell), counts
are integers, and sums follow the fixed tree of their block.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
from jax import lax

from kernels.compiler import compiled
from kernels.in_memory import in_memory
from kernels.lanes import ALIKE_LANES, CPU_LANES, solved_alike, sub_block
from kernels.outcomes import Rows
from kernels.platform import platform
from kernels.statistics import pairwise_sum, sum_by_replicate
from kernels.study import AUDIT_STRIDE, Study
from kernels.tally import Counted, Tally

_Arrays = dict[str, jax.Array]
_Audited = tuple[_Arrays, jax.Array, jax.Array]
"""The inputs of the draws that are audited, and their flags and numbers: each (…, blocks audited at once, audited draws of a block)."""
_PARTS = 4
"""Parts that a CPU solves before it counts them: what they give stays in a core's cache."""
_ROUNDS_AUDITED = 16
"""Rounds of an accelerator whose audit is made at once: the draws of one are far too few for it, and take as many kernels."""


@dataclass(frozen=True)
class TileShape:
    """The static shape of a compiled tile: at most so many cells and blocks. Policy: no bit of a result depends on it."""

    cells: int
    blocks: int


@dataclass(frozen=True)
class Keep:
    """What a tile gives back beside its sums: histograms, the draws themselves, and the path of one draw in `every` at `times` (months)."""

    histograms: bool = True
    draws: bool = False
    times: tuple[float, ...] = ()
    every: int = 256


class TileProgram:
    """A compiled tile. Call it with the cells' axis values, the first block, the number of draws in all and the seed's key.

    Returns arrays by name; C cells, K blocks, R replicates, B draws a block:

        valid, failed (C, K, R)             draws counted, and those that failed
        first_failed (C, K)                 the place in its block of the first that failed, B if none
        cut_off (C, K)                      lanes that the static loop was too short for
        true (C, K, flags, R)               how often each flag holds
        finite, sum (C, K, numbers, R)      finite values of each number, and their sum
        least, greatest (C, K, numbers)     the extremes of the finite values
        histogram/<number> (C, R, bins)
        error (C, K, numbers), differ (C, K, flags), audited (C, K)        the audit
        parameter/<name> (K·B), outcome/<label> (C, K·B)                   where draws are kept
        trajectory (C, times, K·B/every)                                   where paths are kept
    """

    def __init__(self, study: Study, shape: TileShape, keep: Keep = Keep(), lanes: int | None = None) -> None:
        self.study, self.shape, self.keep = study, shape, keep
        # Counts steps where they must be counted, which cannot be done while the program is traced.
        _ = study.work
        alike, block, on_cpu = solved_alike(study), study.design.block, platform() == "cpu"
        self._alike = min(lanes or alike, block, ALIKE_LANES) if alike else 0
        lanes = min(CPU_LANES, block) if alike else lanes or sub_block(study)
        # Lanes that a CPU solves at a time, of a group of those that are counted after: the compiler makes one piece of code of a loop that
        # only solves; one that counts, too, is walked operation by operation. An accelerator solves and counts all at once.
        # A block that is solved at once is in such a loop, too: on Python 3.11 another form rounds otherwise.
        self._in_turn = lanes if on_cpu and not alike and lanes <= block else 0
        most = max(lanes // block, 1)
        # What is solved so is counted in parts of their own size.
        self.lanes = min(max(lanes, CPU_LANES) if self._in_turn else lanes, block)
        self._group = min(block, ALIKE_LANES if alike else _PARTS * self.lanes)
        # Blocks solved at once, where lanes are more than a block's: as many as the tile holds a whole number of times.
        self.together = max(count for count in range(1, min(most, shape.blocks) + 1) if shape.blocks % count == 0)
        self._rounds_audited = 1 if on_cpu else min(_ROUNDS_AUDITED, shape.cells * shape.blocks // self.together)
        self._tally = Tally(study, self.together, self.lanes)
        self._run = compiled(self._tile)
        self._compiled: dict[Any, Any] = {}

    @property
    def solves_alike(self) -> bool:
        """Whether trajectories that take about as many steps are solved together."""
        return self._alike > 0

    @property
    def solved_at_once(self) -> int:
        """Draws that are solved at once: policy, as the shape."""
        return self._alike or self._in_turn or self.lanes * self.together

    def __call__(
        self, cells: np.ndarray, first_block: int, blocks: int, draws: int, key: np.ndarray, device: Any = None
    ) -> dict[str, jax.Array]:
        """`cells` (at most C, axes) float64; `blocks` at most K; `draws` the extent of the sweep. Returns at once, with promises.

        Compiles first where `compile` has not been called for the device.
        """
        padded = np.zeros((self.shape.cells, len(self.study.axes)), self.study.dtype)
        padded[: len(cells)] = cells
        arguments = (
            padded,
            np.int32(len(cells)),
            np.uint32(first_block),
            np.int32(blocks),
            np.int64(draws),
            np.asarray(key, np.uint32),
        )
        run: Any = self._compiled.get(device, self._run)
        results: dict[str, jax.Array] = run(*(jax.device_put(argument, device) for argument in arguments))
        return results

    def compile(self, device: Any = None) -> Any:
        """Compile for a device, once, without running; its tiles run what is returned, which can be looked at."""
        if device in self._compiled:
            return self._compiled[device]
        place = None if device is None else jax.sharding.SingleDeviceSharding(device)
        self._compiled[device] = self._run.lower(*self._shapes(place)).compile()
        return self._compiled[device]

    def exported(self, platform: Literal["cpu", "cuda", "rocm", "tpu"]) -> jax.export.Exported:
        """The program as it goes to the compiler of another platform, whether it is here or not, to be looked at."""
        exported: jax.export.Exported = jax.export.export(self._run, platforms=(platform,))(*self._shapes(None))
        return exported

    def _shapes(self, place: Any) -> tuple[Any, ...]:
        """What `__call__` gives the program, as shapes and types."""
        struct: Any = jax.ShapeDtypeStruct

        def shape(sizes: tuple[int, ...], kind: Any) -> Any:
            return struct(sizes, kind, sharding=place)

        scalars = (shape((), kind) for kind in (jnp.int32, jnp.uint32, jnp.int32, jnp.int64))
        return (shape((self.shape.cells, len(self.study.axes)), self.study.dtype), *scalars, shape((2,), jnp.uint32))

    def _empty(self) -> dict[str, jax.Array]:
        study, replicates, block = self.study, self.study.design.replicates, self.study.design.block
        cells, blocks = self.shape.cells, self.shape.blocks
        flags, numbers = len(study.flags), len(study.numbers)
        arrays: dict[str, jax.Array] = {
            "valid": jnp.zeros((cells, blocks, replicates), jnp.int32),
            "failed": jnp.zeros((cells, blocks, replicates), jnp.int32),
            "first_failed": jnp.full((cells, blocks), block, jnp.int32),
            "cut_off": jnp.zeros((cells, blocks), jnp.int32),
            "true": jnp.zeros((cells, blocks, flags, replicates), jnp.int32),
            "finite": jnp.zeros((cells, blocks, numbers, replicates), jnp.int32),
            "sum": jnp.zeros((cells, blocks, block // self.lanes, numbers, replicates), study.dtype),
            "least": jnp.full((cells, blocks, numbers), jnp.inf, study.dtype),
            "greatest": jnp.full((cells, blocks, numbers), -jnp.inf, study.dtype),
            "error": jnp.zeros((cells, blocks, numbers), jnp.float64),
            "differ": jnp.zeros((cells, blocks, flags), jnp.int32),
            "audited": jnp.zeros((cells, blocks), jnp.int32),
        }
        if self.keep.histograms:
            for label in study.numbers:
                # In one row, so that a place in it is one number.
                arrays[f"histogram/{label.name}"] = jnp.zeros((cells * replicates * study.bins(label).count,), jnp.int32)
        if self.keep.draws:
            for name, _ in study.design.distributions:
                arrays[f"parameter/{name}"] = jnp.full((blocks * block,), jnp.nan, study.dtype)
            for label in study.labels:
                kind = jnp.bool_ if label.kind == "flag" else study.dtype
                arrays[f"outcome/{label.name}"] = jnp.zeros((cells, blocks * block), kind)
        if self.keep.times:
            arrays["trajectory"] = jnp.full((cells, len(self.keep.times), blocks * block // self.keep.every), jnp.nan, study.dtype)
        return arrays

    def _tile(
        self, cells: jax.Array, cell_count: jax.Array, first_block: jax.Array, block_count: jax.Array, draws: jax.Array, key: jax.Array
    ) -> dict[str, jax.Array]:
        study, lanes, block, together = self.study, self.lanes, self.study.design.block, self.together

        # Places are counted without a sign: with one, each would first be asked whether it counts from the end.
        def place_of(index: jax.Array) -> tuple[jax.Array, jax.Array]:
            return index // rounds, (index % rounds) * together

        def some_blocks(index: jax.Array, tile: tuple[_Arrays, _Audited], turn: jax.Array) -> tuple[_Arrays, _Audited, jax.Array]:
            c, k = place_of(index)
            cell = lax.dynamic_index_in_dim(cells, c, 0, False)
            within = k if together == 1 else k + jnp.arange(together, dtype=jnp.uint32)
            number = first_block + within
            start = number * block
            # Draws of these blocks that the sweep has: all, or in the last block what is left; none beyond the tile.
            held = jnp.clip(draws - number.astype(jnp.int64) * block, 0, block).astype(jnp.uint32)
            held = jnp.where(within < blocks, held, 0)

            parts = (jnp.max(held) + (lanes - 1)) // lanes

            def one_part(
                part: jax.Array, tile: tuple[_Arrays, _Audited, Counted], solved: tuple[_Arrays, Rows] | None = None
            ) -> tuple[_Arrays, _Audited, Counted]:
                arrays, audited, tally = tile
                lane = jnp.arange(lanes, dtype=jnp.uint32) + part * lanes
                draw = study.design.in_rows(start[..., None] + lane)
                # Outcomes would be computed again wherever they are counted.
                if solved is None:
                    parameters = study.parameters(key, draw, cell)
                    drawn, rows = {name: parameters[name] for name in study.inputs}, in_memory(study.rows(parameters, study.work_here))
                else:
                    place = part * lanes % self._group
                    drawn, rows = in_memory(jax.tree.map(lambda row: lax.dynamic_slice_in_dim(row, place, lanes, -1), solved))
                arrays, tally = self._add(arrays, tally, drawn, rows, (lane < held[..., None]).ravel(), c, k, part)
                return arrays, self._picked(audited, (drawn, rows.flags, rows.numbers), turn, part), tally

            def one_group(group: jax.Array, tile: tuple[_Arrays, _Audited, Counted]) -> tuple[_Arrays, _Audited, Counted]:
                solve = self._solved_alike if self._alike else self._solved_in_turn
                solved = solve(key, start, cell, held, group)
                each = self._group // lanes
                last = jnp.minimum((group + 1) * each, parts)
                added: tuple[_Arrays, _Audited, Counted] = lax.fori_loop(group * each, last, partial(one_part, solved=solved), tile)
                return added

            begin = (*tile, self._tally.nothing())
            if self._alike or self._in_turn:
                walked = lax.fori_loop(np.uint32(0), (held + (self._group - 1)) // self._group, one_group, begin)
            else:
                walked = lax.fori_loop(np.uint32(0), parts, one_part, begin)
            arrays, audited, tally = walked
            counted = self._tally.of_blocks(tally)
            arrays = arrays | {name: self._with(arrays[name], c, k, values) for name, values in counted.items()}
            if self.keep.times:
                for one in range(together):
                    own = (start, held, k) if together == 1 else (start[one], held[one], within[one])
                    arrays = self._add_paths(arrays, key, cell, c, *own)
            return arrays, audited, held

        def one_round(index: jax.Array, tile: tuple[_Arrays, _Audited]) -> tuple[_Arrays, _Audited]:
            arrays, audited, held = some_blocks(index, tile, jnp.uint32(0))
            judged = self._judged(audited, held)
            c, k = place_of(index)
            return arrays | {name: self._with(arrays[name], c, k, values) for name, values in judged.items()}, audited

        def some_rounds(group: jax.Array, tile: tuple[_Arrays, _Audited]) -> tuple[_Arrays, _Audited]:
            first = group * self._rounds_audited
            turns = jnp.minimum(count - first, self._rounds_audited)

            def one(turn: jax.Array, carry: tuple[_Arrays, _Audited, jax.Array]) -> tuple[_Arrays, _Audited, jax.Array]:
                arrays, audited, held = carry
                arrays, audited, here = some_blocks(first + turn, (arrays, audited), turn)
                return arrays, audited, lax.dynamic_update_slice_in_dim(held, here.reshape(together), turn * together, 0)

            arrays, audited, held = lax.fori_loop(np.uint32(0), turns, one, (*tile, jnp.zeros(places[0], jnp.uint32)))
            # Blocks that there are none of are as the first is.
            block_of = jnp.where(jnp.arange(places[0]) < turns * together, jnp.arange(places[0]), 0)
            judged = self._judged(jax.tree.map(lambda rows: rows[..., block_of, :], audited), held)

            def kept(turn: jax.Array, arrays: _Arrays) -> _Arrays:
                c, k = place_of(first + turn)
                own = {name: lax.dynamic_slice_in_dim(values, turn * together, together) for name, values in judged.items()}
                return arrays | {name: self._with(arrays[name], c, k, values) for name, values in own.items()}

            return lax.fori_loop(np.uint32(0), turns, kept, arrays), audited

        blocks = block_count.astype(jnp.uint32)
        rounds = (blocks + (together - 1)) // together
        count = cell_count.astype(jnp.uint32) * rounds
        places = (self._rounds_audited * together, len(_audited(block)))
        audited = (
            {name: jnp.zeros(places, kind) for name, kind in study.inputs.items()},
            jnp.zeros((len(study.flags), *places), bool),
            jnp.zeros((len(study.numbers), *places), study.dtype),
        )
        begin = (self._empty(), audited)
        if self._rounds_audited == 1:
            arrays, _ = lax.fori_loop(np.uint32(0), count, one_round, begin)
        else:
            groups = (count + (self._rounds_audited - 1)) // self._rounds_audited
            arrays, _ = lax.fori_loop(np.uint32(0), groups, some_rounds, begin)
        # The top of each block's tree, above the sub-blocks.
        arrays = {**arrays, "sum": pairwise_sum(jnp.moveaxis(arrays["sum"], 2, 3))}
        histograms = {
            name: row.reshape(self.shape.cells, study.design.replicates, -1) for name, row in arrays.items() if "histogram/" in name
        }
        return arrays | histograms

    def _solved_alike(self, key: jax.Array, start: jax.Array, cell: jax.Array, held: jax.Array, group: jax.Array) -> tuple[_Arrays, Rows]:
        """Of a group of a block's draws, what is drawn or on axes, random paths too, and the outcomes, each (…, draws of a group)."""
        study, number = self.study, group * self._group + jnp.arange(self._group, dtype=jnp.uint32)
        parameters = study.parameters(key, study.design.in_rows(start + number), cell)
        drawn = {name: parameters[name] for name in study.inputs}
        count = jnp.minimum(held - group * self._group, self._group)
        return drawn, study.rows_alike(drawn, count, self._alike)

    def _solved_in_turn(self, key: jax.Array, start: jax.Array, cell: jax.Array, held: jax.Array, group: jax.Array) -> tuple[_Arrays, Rows]:
        """As `_solved_alike`, some lanes after the others."""
        study, lanes = self.study, self._in_turn

        # Traced once, for its shapes and for the loop.
        @partial(jax.jit, inline=True)
        def solved(turn: jax.Array, room: Any) -> tuple[tuple[_Arrays, Rows], Any]:
            number = group * self._group + turn * lanes + jnp.arange(lanes, dtype=jnp.uint32)
            parameters = study.parameters(key, study.design.in_rows(start + number), cell)
            rows, room = study.rows_in(parameters, room)
            return ({name: parameters[name] for name in study.inputs}, rows), room

        def one(turn: jax.Array, carry: tuple[tuple[_Arrays, Rows], Any]) -> tuple[tuple[_Arrays, Rows], Any]:
            made, room = solved(turn, carry[1])
            return jax.tree.map(lambda kept, row: lax.dynamic_update_slice_in_dim(kept, row, turn * lanes, -1), carry[0], made), room

        room = study.room(lanes)
        shapes, _ = jax.eval_shape(solved, jnp.uint32(0), room)
        empty = jax.tree.map(lambda row: jnp.zeros((*row.shape[:-1], self._group), row.dtype), shapes)
        count = jnp.minimum(held - group * self._group, self._group)
        found: tuple[_Arrays, Rows] = lax.fori_loop(np.uint32(0), (count + (lanes - 1)) // lanes, one, (empty, room))[0]
        return found

    def _add(
        self,
        arrays: _Arrays,
        tally: Counted,
        drawn: Mapping[str, jax.Array],
        found: Rows,
        held: jax.Array,
        c: jax.Array,
        k: jax.Array,
        part: jax.Array,
    ) -> tuple[_Arrays, Counted]:
        """The statistics of what was found of the lanes added to those of the tile, or to the tally of its blocks from `k` on."""
        study, replicates = self.study, self.study.design.replicates
        arrays = dict(arrays)
        # Asked by every number.
        valid = in_memory(held & ~found.failed)
        tally = self._tally.with_lanes(tally, found, held, valid, part)
        if study.numbers:
            finite = jnp.where(valid & jnp.isfinite(found.numbers), found.numbers, 0)
            total = sum_by_replicate(finite.reshape(len(finite), self.together, -1), replicates)
            places = (c, k, part, np.uint32(0), np.uint32(0))
            arrays["sum"] = lax.dynamic_update_slice(arrays["sum"], total.swapaxes(0, 1)[None, :, None], places)
        if self.keep.histograms:
            replicate = jnp.arange(valid.size, dtype=jnp.uint32) % replicates
            for label, row in zip(study.numbers, found.numbers, strict=True):
                name, bins = f"histogram/{label.name}", study.bins(label)
                place = (c * replicates + replicate) * bins.count + bins.index(row).astype(jnp.uint32)
                arrays[name] = arrays[name].at[place].add(valid.astype(jnp.int32), mode="promise_in_bounds")
        if self.keep.draws:
            # Of several at once, whole ones, one after the other.
            offset = k * study.design.block + part * self.lanes
            for name, _ in study.design.distributions:
                # The same in every cell; beyond the extent there is nothing.
                kept = jnp.where(held, drawn[name], jnp.nan)
                arrays[f"parameter/{name}"] = lax.dynamic_update_slice(arrays[f"parameter/{name}"], kept, (offset,))
            for label, row in zip(study.labels, (*found.flags, *found.numbers), strict=True):
                name = f"outcome/{label.name}"
                arrays[name] = lax.dynamic_update_slice(arrays[name], row[None], (c, offset))
        return arrays, tally

    def _add_paths(
        self, arrays: dict[str, jax.Array], key: jax.Array, cell: jax.Array, c: jax.Array, start: jax.Array, held: jax.Array, k: jax.Array
    ) -> dict[str, jax.Array]:
        """The paths of one draw in every so many of a block."""
        study, count = self.study, self.study.design.block // self.keep.every
        width = min(count, self.lanes)

        def one_row(row: jax.Array, arrays: dict[str, jax.Array]) -> dict[str, jax.Array]:
            lane = (jnp.arange(width, dtype=jnp.uint32) + row * width) * self.keep.every
            paths = study.trajectories(study.parameters(key, start + lane, cell), self.keep.times)
            paths = jnp.where(lane < held, paths, jnp.nan)[None]
            return {
                **arrays,
                "trajectory": lax.dynamic_update_slice(arrays["trajectory"], paths, (c, np.uint32(0), k * count + row * width)),
            }

        filled: _Arrays = lax.fori_loop(np.uint32(0), np.uint32(count // width), one_row, arrays)
        return filled

    def _judged(self, audited: _Audited, held: jax.Array) -> _Arrays:
        """The audit of blocks of which so many draws are `held`, (blocks,) or of one: one draw of every 256, as the sub-blocks picked them
        up. "error", "differ" and "audited" of each."""
        study = self.study
        error, differ = study.audit(*jax.tree.map(lambda rows: rows.reshape(*rows.shape[:-2], held.size * rows.shape[-1]), audited))
        places = _audited(study.design.block)
        # (numbers or flags, …, places of a block).
        error, differ = (row.reshape(len(row), *held.shape, len(places)) for row in (error, differ))
        counted = jnp.asarray(places, jnp.uint32) < held[..., None]
        worst = jnp.max(jnp.where(counted, error, 0.0), axis=-1, initial=0.0)
        differing = jnp.sum(differ & counted, axis=-1, dtype=jnp.int32)
        return {
            "error": jnp.moveaxis(worst, 0, -1),
            "differ": jnp.moveaxis(differing, 0, -1),
            "audited": jnp.sum(counted, axis=-1, dtype=jnp.int32),
        }

    def _with(self, array: jax.Array, c: jax.Array, k: jax.Array, values: jax.Array) -> jax.Array:
        """`array` (C, K, …) with the values of the blocks that are solved at once, from `k` on."""
        places = [c, k] + [jnp.uint32(0)] * (array.ndim - 2)
        return lax.dynamic_update_slice(array, values.reshape(1, self.together, *array.shape[2:]), places)

    def _picked(self, audited: _Audited, lanes_of: _Audited, turn: jax.Array, part: jax.Array) -> _Audited:
        """`audited` with the audited ones of the lanes of a part filled in, of the round whose turn it is."""
        count = self.lanes // AUDIT_STRIDE
        within = jnp.arange(count, dtype=jnp.uint32)
        places = in_memory(within * AUDIT_STRIDE + (part * count + within) * 149 % AUDIT_STRIDE)

        def picked(kept: jax.Array, rows: jax.Array) -> jax.Array:
            some = rows.reshape(*rows.shape[:-1], self.together, self.lanes).at[..., places].get(mode="promise_in_bounds")
            return lax.dynamic_update_slice(kept, some, (*(jnp.uint32(0),) * (kept.ndim - 2), turn * self.together, part * count))

        found: _Audited = jax.tree.map(picked, audited, lanes_of)
        return found


def _audited(block: int) -> np.ndarray:
    """The draws of a block that are audited: one of every 256, at a place among them that goes through all replicates."""
    each = np.arange(block // AUDIT_STRIDE)
    return each * AUDIT_STRIDE + each * 149 % AUDIT_STRIDE
