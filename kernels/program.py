"""The tile program: index → draw → parameters → solve → outcomes → statistics, one compiled program a sweep.

A tile is some cells × some blocks of draws. The program walks its blocks in sub-blocks of lanes that fit the processor's cache, with the
number of sub-blocks taken from the number of draws, so that one compiled shape serves full tiles and the ragged last one at the cost of
what they hold. Nothing in a result depends on the size of a tile or a sub-block: trajectories are pure functions of (draw, cell), counts
are integers, and sums follow the fixed tree of their block.

The audit solves a fixed 1/256 of every block again in float64 with twice the steps, from the parameters as the working precision drew
them, and keeps the worst relative error of every number and the count of flags that differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from kernels.models.model import Bounds, Model
from kernels.outcomes import Evaluation, Label, Outcomes, evaluate
from kernels.sampling import Design
from kernels.solvers.budget import Budget
from kernels.statistics import Bins, count_true, pairwise_sum, sum_by_replicate

AUDIT_STRIDE = 256
_CACHE_BYTES = 512 * 1024
"""What the rows of one sub-block may take: about half of a core's second-level cache."""


@dataclass(frozen=True)
class Study:
    """All that makes the trajectories of a sweep what they are. Static in the compiled program.

    `fixed` are the parameters that are one number, `axes` the names of those that vary from cell to cell, and `bounds` the lowest and
    highest value of every parameter, from which the lengths of loops are chosen.
    """

    model: Model
    options: Mapping[str, str | bool]
    design: Design
    fixed: Mapping[str, float]
    axes: tuple[str, ...]
    bounds: Bounds
    outcomes: Outcomes
    precision: Literal["float32", "float64"]
    tolerance: float
    bins_per_octave: int

    @cached_property
    def labels(self) -> tuple[Label, ...]:
        """The outcomes, flags first."""
        return self.outcomes.labels(self.model, self.options)

    @cached_property
    def flags(self) -> tuple[Label, ...]:
        return tuple(label for label in self.labels if label.kind == "flag")

    @cached_property
    def numbers(self) -> tuple[Label, ...]:
        return tuple(label for label in self.labels if label.kind == "numeric")

    def bins(self, label: Label) -> Bins:
        """The bins of a number."""
        return Bins(label.scale, self.bins_per_octave)

    @cached_property
    def dtype(self) -> Any:
        return jnp.dtype(self.precision)

    @cached_property
    def budget(self) -> Budget:
        return self.model.budget(self.options, self.bounds, self.tolerance)

    def parameters(self, key: jax.Array, draw: jax.Array, cell: jax.Array) -> dict[str, jax.Array]:
        """Every parameter of the draws `draw` (lanes,) in the cell with axis values `cell` (axes,), each (lanes,) of the working type."""
        drawn = self.design.parameters(key, draw, self.dtype)
        drawn.update({name: jnp.full(draw.shape, cell[index]) for index, name in enumerate(self.axes)})
        drawn.update({name: jnp.full(draw.shape, value, self.dtype) for name, value in self.fixed.items()})
        return drawn

    def evaluate(self, parameters: Mapping[str, jax.Array], budget: Budget) -> Evaluation:
        """Outcomes of trajectories with these parameters, each (lanes,)."""
        solution = self.model.solve(parameters, self.options, budget)
        return evaluate(self.outcomes, self.model, self.options, parameters, self.fixed, solution)

    def audit(self, parameters: Mapping[str, jax.Array]) -> tuple[jax.Array, jax.Array]:
        """The error of the working precision on these trajectories.

        Returns the relative error of every number, (numbers, lanes) float64, and whether each flag differs, (flags, lanes) bool.
        """
        working = self.evaluate(parameters, self.budget)
        exact_parameters = {name: value.astype(jnp.float64) for name, value in parameters.items()}
        for name, value in self.fixed.items():
            exact_parameters[name] = jnp.full_like(exact_parameters[name], value)
        exact = self.evaluate(exact_parameters, self.budget.doubled())
        horizon = exact_parameters["horizon"]
        errors, differ = [], []
        for label in self.labels:
            ours, theirs = working.values[label.name], exact.values[label.name]
            if label.kind == "flag":
                differ.append(ours != theirs)
                continue
            errors.append(_relative_error(ours.astype(jnp.float64), theirs, exact.scales[label.name], horizon, label.scale == "duration"))
        lanes = horizon.shape
        empty_errors, empty_flags = jnp.zeros((0, *lanes)), jnp.zeros((0, *lanes), bool)
        return (jnp.stack(errors) if errors else empty_errors), (jnp.stack(differ) if differ else empty_flags)


def _relative_error(ours: jax.Array, exact: jax.Array, scale: jax.Array, horizon: jax.Array, is_date: bool) -> jax.Array:
    difference = jnp.abs(ours - exact)
    error = jnp.where(difference > 0, difference / jnp.abs(scale), 0.0)
    if is_date:
        # A date just inside the horizon for one of them and just beyond for the other differs by no more than its distance to the horizon.
        one_reached = jnp.isfinite(ours) != jnp.isfinite(exact)
        reached = jnp.where(jnp.isfinite(ours), ours, exact)
        error = jnp.where(one_reached, jnp.abs(horizon - reached) / horizon, error)
    return jnp.where(ours == exact, 0.0, jnp.where(jnp.isnan(exact), 0.0, error))


@dataclass(frozen=True)
class TileShape:
    """The static shape of a compiled tile: at most so many cells and blocks. Policy: no bit of a result depends on it."""

    cells: int
    blocks: int


def sub_block(study: Study) -> int:
    """Lanes solved at once: a power of two, such that the solver's rows stay in a core's cache (on a CPU), or a whole block elsewhere."""
    block = study.design.block
    if jax.default_backend() != "cpu":
        return block
    rows = max(study.budget.steps * max(study.budget.nodes // 8, 1), 64)
    fitting = _CACHE_BYTES // (rows * study.dtype.itemsize)
    lanes = 1 << max(fitting.bit_length() - 1, 0)
    return int(min(block, max(study.design.replicates, 64, min(lanes, 1024))))


def compiler_options() -> dict[str, str]:
    """Options of the compiler for this machine: the widest vectors it has."""
    if jax.default_backend() != "cpu":
        return {}
    try:
        wide = "avx512f" in Path("/proc/cpuinfo").read_text()
    except OSError:
        wide = False
    return {"xla_cpu_prefer_vector_width": "512"} if wide else {}


class TileProgram:
    """A compiled tile. Call it with the cells' axis values, the first block, the number of draws in all and the seed's key.

    Returns arrays by name; C cells, K blocks, R replicates, B draws a block:

        valid, failed (C, K, R)        draws counted, and those that turned non-finite         cut_off (C, K)   lanes the loop was too short for
        true/<flag> (C, K, R)          finite/<number> (C, K, R)          sum/<number> (C, K, R)          histogram/<number> (C, R, bins)
        error (C, K, numbers)          differ (C, K, flags)               audited (C, K)
        parameter/<name> (K·B)         outcome/<label> (C, K·B)           where draws are kept
    """

    def __init__(self, study: Study, shape: TileShape, keep_draws: bool = False, histograms: bool = True, lanes: int | None = None) -> None:
        self.study, self.shape, self.keep_draws, self.histograms = study, shape, keep_draws, histograms
        self.lanes = sub_block(study) if lanes is None else lanes
        self._run = jax.jit(self._tile, compiler_options=compiler_options())

    def __call__(self, cells: np.ndarray, first_block: int, blocks: int, draws: int, key: np.ndarray, device: Any = None) -> dict[str, jax.Array]:
        """`cells` (at most C, axes) float64; `blocks` at most K; `draws` the extent of the sweep. Returns at once: the arrays are promises."""
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
        return self._run(*(jax.device_put(argument, device) for argument in arguments))

    def compile(self) -> Any:
        """Compile without running, for timing and for a look at the program."""
        arguments = (
            jax.ShapeDtypeStruct((self.shape.cells, len(self.study.axes)), self.study.dtype),
            *(jax.ShapeDtypeStruct((), kind) for kind in (jnp.int32, jnp.uint32, jnp.int32, jnp.int64)),
            jax.ShapeDtypeStruct((2,), jnp.uint32),
        )
        return self._run.lower(*arguments).compile()

    def _empty(self) -> dict[str, jax.Array]:
        study, replicates, block = self.study, self.study.design.replicates, self.study.design.block
        cells, blocks = self.shape.cells, self.shape.blocks
        parts = block // self.lanes
        by_replicate = (cells, blocks, replicates)
        arrays: dict[str, jax.Array] = {
            "valid": jnp.zeros(by_replicate, jnp.int32),
            "failed": jnp.zeros(by_replicate, jnp.int32),
            "cut_off": jnp.zeros((cells, blocks), jnp.int32),
            "error": jnp.zeros((cells, blocks, len(study.numbers)), jnp.float64),
            "differ": jnp.zeros((cells, blocks, len(study.flags)), jnp.int32),
            "audited": jnp.zeros((cells, blocks), jnp.int32),
        }
        for label in study.flags:
            arrays[f"true/{label.name}"] = jnp.zeros(by_replicate, jnp.int32)
        for label in study.numbers:
            arrays[f"finite/{label.name}"] = jnp.zeros(by_replicate, jnp.int32)
            arrays[f"sum/{label.name}"] = jnp.zeros((cells, blocks, parts, replicates), study.dtype)
            if self.histograms:
                arrays[f"histogram/{label.name}"] = jnp.zeros((cells, replicates, study.bins(label).count), jnp.int32)
        if self.keep_draws:
            for name, _ in study.design.distributions:
                arrays[f"parameter/{name}"] = jnp.full((blocks * block,), jnp.nan, study.dtype)
            for label in study.labels:
                kind = jnp.bool_ if label.kind == "flag" else study.dtype
                arrays[f"outcome/{label.name}"] = jnp.zeros((cells, blocks * block), kind)
        return arrays

    def _tile(
        self, cells: jax.Array, cell_count: jax.Array, first_block: jax.Array, block_count: jax.Array, draws: jax.Array, key: jax.Array
    ) -> dict[str, jax.Array]:
        study, lanes, block = self.study, self.lanes, self.study.design.block

        def one_block(index: jax.Array, arrays: dict[str, jax.Array]) -> dict[str, jax.Array]:
            c, k = index // block_count, index % block_count
            cell = lax.dynamic_index_in_dim(cells, c, 0, False)
            start = (first_block + k.astype(jnp.uint32)) * np.uint32(block)
            # Draws of this block that the sweep has: all, or in the last block what is left.
            held = jnp.clip(draws - start.astype(jnp.int64), 0, block).astype(jnp.int32)

            def one_part(part: jax.Array, arrays: dict[str, jax.Array]) -> dict[str, jax.Array]:
                offset = part * lanes
                lane = jnp.arange(lanes, dtype=jnp.int32) + offset
                parameters = study.parameters(key, start + lane.astype(jnp.uint32), cell)
                return self._add(arrays, parameters, study.evaluate(parameters, study.budget), lane < held, c, k, part)

            arrays = lax.fori_loop(0, (held + lanes - 1) // lanes, one_part, arrays)
            return self._add_audit(arrays, key, start, held, cell, c, k)

        arrays = lax.fori_loop(0, cell_count * block_count, one_block, self._empty())
        for label in study.numbers:
            # The top of each block's tree, above the sub-blocks.
            arrays[f"sum/{label.name}"] = pairwise_sum(arrays[f"sum/{label.name}"])
        return arrays

    def _add(
        self,
        arrays: dict[str, jax.Array],
        parameters: Mapping[str, jax.Array],
        evaluation: Evaluation,
        held: jax.Array,
        c: jax.Array,
        k: jax.Array,
        part: jax.Array,
    ) -> dict[str, jax.Array]:
        """The statistics of one sub-block added to those of its tile."""
        study, replicates = self.study, self.study.design.replicates
        arrays = dict(arrays)
        failed = jnp.zeros(held.shape, bool)
        for label in study.numbers:
            failed = failed | jnp.isnan(evaluation.values[label.name])
        failed = failed & held
        valid = held & ~failed
        arrays["valid"] = arrays["valid"].at[c, k].add(count_true(valid, replicates))
        arrays["failed"] = arrays["failed"].at[c, k].add(count_true(failed, replicates))
        arrays["cut_off"] = arrays["cut_off"].at[c, k].add(jnp.sum(evaluation.cut_off & held, dtype=jnp.int32))
        for label in study.flags:
            hits = count_true(evaluation.values[label.name] & valid, replicates)
            arrays[f"true/{label.name}"] = arrays[f"true/{label.name}"].at[c, k].add(hits)
        for label in study.numbers:
            value = evaluation.values[label.name]
            finite = valid & jnp.isfinite(value)
            arrays[f"finite/{label.name}"] = arrays[f"finite/{label.name}"].at[c, k].add(count_true(finite, replicates))
            total = sum_by_replicate(jnp.where(finite, value, 0), replicates)
            arrays[f"sum/{label.name}"] = arrays[f"sum/{label.name}"].at[c, k, part].set(total)
            if self.histograms:
                name = f"histogram/{label.name}"
                replicate = jnp.arange(self.lanes, dtype=jnp.int32) % replicates
                place = (c, replicate, study.bins(label).index(value))
                arrays[name] = arrays[name].at[place].add(valid.astype(jnp.int32), mode="promise_in_bounds")
        if self.keep_draws:
            offset = k * study.design.block + part * self.lanes
            for name, _ in study.design.distributions:
                arrays[f"parameter/{name}"] = lax.dynamic_update_slice(arrays[f"parameter/{name}"], parameters[name], (offset,))
            for label in study.labels:
                name = f"outcome/{label.name}"
                arrays[name] = lax.dynamic_update_slice(arrays[name], evaluation.values[label.name][None], (c, offset))
        return arrays

    def _add_audit(
        self, arrays: dict[str, jax.Array], key: jax.Array, start: jax.Array, held: jax.Array, cell: jax.Array, c: jax.Array, k: jax.Array
    ) -> dict[str, jax.Array]:
        """The audit of one block: one draw of every 256, at a place in them that goes through all replicates."""
        study, block = self.study, self.study.design.block
        each = np.arange(max(block // AUDIT_STRIDE, 1))
        audited = (each * AUDIT_STRIDE + each * 149 % AUDIT_STRIDE) % block
        width = min(len(audited), max(self.lanes // 4, 1))
        rows = jnp.asarray(audited.reshape(-1, width), jnp.int32)

        def one_row(row: jax.Array, arrays: dict[str, jax.Array]) -> dict[str, jax.Array]:
            lane = lax.dynamic_index_in_dim(rows, row, 0, False)
            error, differ = study.audit(study.parameters(key, start + lane.astype(jnp.uint32), cell))
            counted = lane < held
            arrays = dict(arrays)
            arrays["error"] = arrays["error"].at[c, k].max(jnp.max(jnp.where(counted, error, 0.0), axis=-1, initial=0.0))
            arrays["differ"] = arrays["differ"].at[c, k].add(jnp.sum(differ & counted, axis=-1, dtype=jnp.int32))
            arrays["audited"] = arrays["audited"].at[c, k].add(jnp.sum(counted, dtype=jnp.int32))
            return arrays

        # The places rise with the row, so the rows that the block's draws reach come first.
        used = (held + width * AUDIT_STRIDE - 1) // (width * AUDIT_STRIDE)
        return lax.fori_loop(0, jnp.minimum(used, rows.shape[0]), one_row, arrays)
