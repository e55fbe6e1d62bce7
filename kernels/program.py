"""The tile program: index → draw → parameters → solve → outcomes → statistics, one compiled program a sweep.

A tile is some cells × some blocks of draws. The program walks its blocks in sub-blocks of lanes that fit the processor's cache, with the
number of sub-blocks taken from the number of draws, so that one compiled shape serves full tiles and the ragged last one at the cost of
what they hold. Nothing in a result depends on the size of a tile or a sub-block: trajectories are pure functions of (draw, cell), counts
are integers, and sums follow the fixed tree of their block.

The audit solves a fixed 1/256 of every block again in float64 with twice the steps, from the parameters as the working precision drew
them, and keeps the worst relative error of every number and the count of flags that differ.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
from jax import lax

from kernels.alike import Scale, StepCount, fitted, in_order, order, scales
from kernels.gradients import evaluate_with_gradients
from kernels.in_memory import in_memory
from kernels.models.model import PATH, Bounds, Model, ModelError
from kernels.outcomes import CUT_OFF, Evaluation, Label, Outcomes
from kernels.sampling import Design, path_words
from kernels.solvers.budget import Budget
from kernels.solvers.clock_solution import ClockSolution
from kernels.statistics import Bins, count_true, pairwise_sum, sum_by_replicate

AUDIT_STRIDE = 256
_Arrays = dict[str, jax.Array]
_PILOT = 512
"""Draws that are solved once to count steps."""
_TOGETHER = 32
"""Of those, how many are taken to be solved together: about as large a share as a sub-block is of what is put in order."""
_CACHE_BYTES = 512 * 1024
"""What the rows of one sub-block may take on a CPU: about half of a core's second-level cache."""
_CPU_LANES = 1024
ALIKE_LANES = 65536
"""Lanes of which those that take about as many steps are solved together, in blocks of so many or more."""
_DEVICE_BYTES = 4 * 1024**3
"""What they may take in an accelerator's memory."""
_DEVICE_LANES = 1 << 20
"""Lanes that fill an accelerator: several for each of some hundred thousand threads."""


@dataclass(frozen=True)
class Study:
    """All that makes the trajectories of a sweep what they are. Static in the compiled program.

    `fixed` are the parameters that are one number, `follows` those that take the value of another, `axes` the names of those that vary
    from cell to cell, and `bounds` the lowest and highest value of every parameter, from which the lengths of loops are chosen.
    """

    model: Model
    options: Mapping[str, str | bool]
    design: Design
    fixed: Mapping[str, float]
    follows: Mapping[str, str]
    axes: tuple[str, ...]
    bounds: Bounds
    outcomes: Outcomes
    precision: Literal["float32", "float64"]
    tolerance: float
    bins_per_octave: int
    counted: StepCount | None = None
    """The steps that were counted before for the same study, so that every machine that takes part in a sweep takes as many."""

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
        """The sizes of loops as far as they follow from the bounds alone."""
        return replace(self.model.budget(self.options, self.bounds, self.tolerance), furthest=self.outcomes.furthest)

    @cached_property
    def work(self) -> Budget:
        """The sizes of loops. Raises ModelError where a trajectory takes more steps than the budget has."""
        count = self.step_count
        return self.budget if count is None else replace(self.budget, steps=count.most)

    @cached_property
    def step_count(self) -> StepCount | None:
        """Steps that are chosen by their error are counted once a sweep, on draws at the corners of its axes; None for other solvers.

        Raises ModelError where a trajectory takes more steps than the budget has.
        """
        if not self.budget.tolerance:
            return None
        if self.counted is not None:
            return self.counted
        key, draw = jnp.zeros(2, jnp.uint32), jnp.arange(_PILOT, dtype=jnp.uint32)

        # Run once, on few trajectories: compiled the quickest way.
        quickest = {"xla_backend_optimization_level": "0"} if jax.default_backend() == "cpu" else {}

        @partial(jax.jit, compiler_options=quickest)
        def count() -> tuple[jax.Array, jax.Array, dict[str, jax.Array]]:
            corner = {}
            for index, name in enumerate(self.axes):
                low, high = self.bounds[name]
                # Every third draw at either end of an axis and between, each axis at a rhythm of its own.
                values = jnp.asarray((low, high, (low + high) / 2), self.dtype)
                corner[name] = values[(np.arange(_PILOT) // 3**index) % 3]
            parameters = self._completed(key, draw, corner)
            solution = self.model.solve(parameters, self.options, self.budget)
            assert isinstance(solution, ClockSolution)
            return solution.steps_taken, solution.cut_off, {scale.name: parameters[scale.name] for scale in self.scales}

        steps, cut_off, parameters = jax.tree.map(np.asarray, count())
        if cut_off.any():
            raise ModelError(
                "horizon",
                f"{cut_off.sum()} of {_PILOT} trajectories take more than {self.budget.steps} steps: a delay or training run is too short",
                "shorten the horizon, or lengthen reaction_delay, first_training_time, hardware_delay or noise_correlation_time",
            )
        most = min(self.budget.steps, 16 * math.ceil((1.5 * int(steps.max()) + 16) / 16))
        return StepCount(most, fitted(self.scales, parameters, steps, _TOGETHER))

    @cached_property
    def varying(self) -> tuple[str, ...]:
        """The parameters that are drawn or on axes."""
        return (*(name for name, _ in self.design.distributions), *self.axes)

    @cached_property
    def scales(self) -> tuple[Scale, ...]:
        """Of the parameters that vary."""
        return scales(self.varying, self.bounds)

    @cached_property
    def work_here(self) -> Budget:
        """The sizes of loops, in the form that suits the device. Asking starts the device, which a launcher of workers must not."""
        return replace(self.work, compact=jax.default_backend() == "cpu")

    def parameters(self, key: jax.Array, draw: jax.Array, cell: jax.Array) -> dict[str, jax.Array]:
        """Every parameter of the draws `draw` (lanes,) in the cell with axis values `cell` (axes,), each (lanes,) of the working type."""
        return self._completed(key, draw, {name: jnp.full(draw.shape, cell[index]) for index, name in enumerate(self.axes)})

    def _completed(self, key: jax.Array, draw: jax.Array, on_axes: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        drawn = self.completed({**self.design.parameters(key, draw, self.dtype), **on_axes}, draw.shape)
        if self.model.needs_path(self.options):
            # Of the draw alone, so that all cells share its path.
            drawn.update(zip(PATH, path_words(jnp.asarray(key), draw), strict=True))
        return drawn

    def completed(self, drawn: Mapping[str, jax.Array], shape: tuple[int, ...]) -> dict[str, jax.Array]:
        """Parameters that are drawn or on axes, each of this shape, with those that are fixed and those that follow others."""
        known = {**drawn, **{name: jnp.full(shape, value, self.dtype) for name, value in self.fixed.items()}}
        return known | {name: known[other] for name, other in self.follows.items()}

    @cached_property
    def inputs(self) -> dict[str, Any]:
        """The names of what a trajectory is solved from, with their types."""
        kinds = {parameter.name: self.dtype for parameter in self.model.parameters}
        return kinds | dict.fromkeys(PATH if self.model.needs_path(self.options) else (), jnp.dtype(jnp.uint32))

    def evaluate(self, parameters: Mapping[str, jax.Array], budget: Budget) -> Evaluation:
        """Outcomes of trajectories with these parameters, each (lanes,)."""
        return evaluate_with_gradients(
            self.outcomes,
            self.model,
            self.options,
            parameters,
            self.fixed,
            self.follows,
            lambda parameters: self.model.solve(parameters, self.options, budget),
        )

    def evaluate_alike(self, drawn: Mapping[str, jax.Array], held: jax.Array, together: int) -> dict[str, jax.Array]:
        """Outcomes, and `CUT_OFF`, of trajectories with parameters that are drawn or on axes, each (lanes,): `together` at a time, those
        that are expected to take about as many steps. Of the lanes only those `held` (lanes,) are wanted."""
        assert self.step_count is not None

        def solved(some: dict[str, jax.Array]) -> dict[str, jax.Array]:
            return self.evaluate(self.completed(some, (together,)), self.work_here).rows

        of = order(self.scales, self.step_count.weights, drawn, held)
        found: dict[str, jax.Array] = in_order(solved, drawn, of, together, jnp.sum(held, dtype=jnp.int32))
        return found

    def trajectories(self, parameters: Mapping[str, jax.Array], times: tuple[float, ...]) -> jax.Array:
        """Doublings made by each time, shape (times, lanes)."""
        return self.model.solve(parameters, self.options, self.work_here).levels(times)[0]

    def audit(self, parameters: Mapping[str, jax.Array], found: Mapping[str, jax.Array]) -> tuple[jax.Array, jax.Array]:
        """The error of the outcomes `found` for trajectories with these parameters, as the working precision drew them, each (lanes,).

        Returns the relative error of every number, (numbers, lanes) float64, and whether each flag differs, (flags, lanes) bool.
        """
        exact_parameters = {name: value if name in PATH else value.astype(jnp.float64) for name, value in parameters.items()}
        for name, value in self.fixed.items():
            exact_parameters[name] = jnp.full_like(exact_parameters[name], value)
        exact = self.evaluate(exact_parameters, self.work.doubled())
        horizon = exact_parameters["horizon"]
        errors = [jnp.zeros((0, *horizon.shape))]
        differ = [jnp.zeros((0, *horizon.shape), bool)]
        for label in self.labels:
            ours, theirs = found[label.name], exact.values[label.name]
            if label.kind == "flag":
                differ.append((ours != theirs)[None])
            else:
                errors.append(_relative_error(ours.astype(jnp.float64), theirs, exact.scales[label.name], horizon, label)[None])
        return jnp.concatenate(errors), jnp.concatenate(differ)


def _relative_error(ours: jax.Array, exact: jax.Array, scale: jax.Array, horizon: jax.Array, label: Label) -> jax.Array:
    difference = jnp.abs(ours - exact)
    error = jnp.where(difference > 0, difference / jnp.abs(scale), 0.0)
    one_reached = jnp.isfinite(ours) != jnp.isfinite(exact)
    if label.is_date:
        # A date just inside the horizon for one of them and just beyond for the other differs by no more than its distance to the horizon;
        # where an infinite scale says that nobody can tell whether it is reached, by nothing.
        reached = jnp.where(jnp.isfinite(ours), ours, exact)
        error = jnp.where(one_reached, jnp.where(jnp.isfinite(scale), jnp.abs(horizon - reached) / horizon, 0.0), error)
    elif label.derived:
        error = jnp.where(one_reached, 0.0, error)
    return jnp.where(ours == exact, 0.0, jnp.where(jnp.isnan(exact), 0.0, error))


@dataclass(frozen=True)
class TileShape:
    """The static shape of a compiled tile: at most so many cells and blocks. Policy: no bit of a result depends on it."""

    cells: int
    blocks: int


def sub_block(study: Study) -> int:
    """Lanes solved at once, a power of two: on a CPU a part of a block, such that the solver's rows stay in a core's cache; on an
    accelerator some blocks, such that they fill it and fit its memory."""
    on_cpu = jax.default_backend() == "cpu"
    rows = max(study.work.steps * (8 if study.work.tolerance else max(study.work.nodes // 8, 1)), 64)
    fitting = (_CACHE_BYTES if on_cpu else _DEVICE_BYTES) // (rows * study.dtype.itemsize)
    lanes = 1 << max(fitting.bit_length() - 1, 0)
    most = min(study.design.block, _CPU_LANES) if on_cpu else _DEVICE_LANES
    return int(min(most, max(study.design.replicates, AUDIT_STRIDE, lanes)))


def solved_alike(study: Study) -> int:
    """Lanes solved at once where those that take about as many steps are solved together, a power of two; 0 where none are: an accelerator
    solves all at once."""
    count = study.step_count
    if count is None or not count.weights or jax.default_backend() != "cpu":
        return 0
    # Few end sooner than many, and their steps stay in the cache; too few do not fill the registers.
    return int(min(1024 // study.dtype.itemsize, study.design.block // 2))


def compiler_options() -> dict[str, str]:
    """Options of the compiler for this machine: the widest vectors it has."""
    if jax.default_backend() != "cpu":
        return {}
    try:
        wide = "avx512f" in Path("/proc/cpuinfo").read_text()
    except OSError:
        wide = False
    return {"xla_cpu_prefer_vector_width": "512"} if wide else {}


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

        valid, failed (C, K, R)             draws counted, and those that turned non-finite
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
        alike = solved_alike(study)
        # What is solved alike is counted in parts of its own size.
        self._group = min(study.design.block, ALIKE_LANES)
        self._alike = min(lanes or alike, self._group) if alike else 0
        lanes = min(_CPU_LANES, study.design.block) if alike else lanes or sub_block(study)
        self.lanes = min(lanes, study.design.block)
        most = max(lanes // study.design.block, 1)
        # Blocks solved at once, where lanes are more than a block's: as many as the tile holds a whole number of times.
        self.together = max(count for count in range(1, min(most, shape.blocks) + 1) if shape.blocks % count == 0)
        self._run = jax.jit(self._tile, compiler_options=compiler_options())
        self._compiled: dict[Any, Any] = {}

    @property
    def solves_alike(self) -> bool:
        """Whether trajectories that take about as many steps are solved together."""
        return self._alike > 0

    @property
    def solved_at_once(self) -> int:
        """Draws that are solved at once: policy, as the shape."""
        return self._alike or self.lanes * self.together

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

        def some_blocks(index: jax.Array, tile: tuple[_Arrays, _Arrays]) -> tuple[_Arrays, _Arrays]:
            arrays, audited = tile
            c, k = index // rounds, (index % rounds) * together
            cell = lax.dynamic_index_in_dim(cells, c, 0, False)
            if together > 1:
                k = k + jnp.arange(together, dtype=jnp.int32)
            number = first_block + k.astype(jnp.uint32)
            start = number * np.uint32(block)
            # Draws of these blocks that the sweep has: all, or in the last block what is left; none beyond the tile.
            held = jnp.clip(draws - number.astype(jnp.int64) * block, 0, block).astype(jnp.int32)
            held = jnp.where(k < block_count, held, 0)

            parts = (jnp.max(held) + lanes - 1) // lanes

            def one_part(part: jax.Array, tile: tuple[_Arrays, _Arrays], solved: _Arrays | None = None) -> tuple[_Arrays, _Arrays]:
                arrays, audited = tile
                lane = jnp.arange(lanes, dtype=jnp.int32) + part * lanes
                draw = (start[..., None] + lane.astype(jnp.uint32)).ravel()
                # Outcomes would be computed again wherever they are counted.
                if solved is None:
                    parameters = study.parameters(key, draw, cell)
                    rows = in_memory(study.evaluate(parameters, study.work_here).rows)
                else:
                    place = part * lanes % self._group
                    rows = in_memory({name: lax.dynamic_slice(row, (place,), (lanes,)) for name, row in solved.items()})
                    parameters = study.completed(rows, (lanes,))
                arrays = self._add(arrays, parameters, rows, (lane < held[..., None]).ravel(), c, k, part)
                return arrays, self._picked(audited, {**parameters, **rows}, part)

            def one_group(group: jax.Array, tile: tuple[_Arrays, _Arrays]) -> tuple[_Arrays, _Arrays]:
                solved = self._solved_alike(key, start, cell, held, group)
                each = self._group // lanes
                last = jnp.minimum((group + 1) * each, parts)
                added: tuple[_Arrays, _Arrays] = lax.fori_loop(group * each, last, partial(one_part, solved=solved), tile)
                return added

            if self._alike:
                tile = lax.fori_loop(0, (held + self._group - 1) // self._group, one_group, (arrays, audited))
            else:
                tile = lax.fori_loop(0, parts, one_part, (arrays, audited))
            arrays, audited = tile
            if self.keep.times:
                for one in range(together):
                    own = (start, held, k) if together == 1 else (start[one], held[one], k[one])
                    arrays = self._add_paths(arrays, key, cell, c, *own)
            return self._add_audit(arrays, audited, held, c, k), audited

        rounds = (block_count + together - 1) // together
        places = (len(_audited(block)),) if together == 1 else (together, len(_audited(block)))
        audited = {name: jnp.zeros(places, kind) for name, kind in study.inputs.items()}
        audited |= {label.name: jnp.zeros(places, study.dtype) for label in study.numbers}
        audited |= {label.name: jnp.zeros(places, bool) for label in study.flags}
        arrays, _ = lax.fori_loop(0, cell_count * rounds, some_blocks, (self._empty(), audited))
        # The top of each block's tree, above the sub-blocks.
        arrays = {**arrays, "sum": pairwise_sum(jnp.moveaxis(arrays["sum"], 2, 3))}
        histograms = {
            name: row.reshape(self.shape.cells, study.design.replicates, -1) for name, row in arrays.items() if "histogram/" in name
        }
        return arrays | histograms

    def _solved_alike(self, key: jax.Array, start: jax.Array, cell: jax.Array, held: jax.Array, group: jax.Array) -> _Arrays:
        """Of a group of a block's draws, what is drawn or on axes, random paths too, and the outcomes, each (draws of a group,)."""
        study, number = self.study, group * self._group + jnp.arange(self._group, dtype=jnp.int32)
        parameters = study.parameters(key, start + number.astype(jnp.uint32), cell)
        path = PATH if study.model.needs_path(study.options) else ()
        drawn = {name: parameters[name] for name in (*study.varying, *path)}
        return drawn | study.evaluate_alike(drawn, number < held, self._alike)

    def _by_block(self, function: Callable[..., Any], *rows: jax.Array) -> Any:
        """`function` of the lanes of a block, for each of the blocks that are solved at once."""
        if self.together == 1:
            return function(*rows)
        return jax.vmap(function)(*(row.reshape(self.together, -1) for row in rows))

    def _add(
        self,
        arrays: dict[str, jax.Array],
        parameters: Mapping[str, jax.Array],
        found: Mapping[str, jax.Array],
        held: jax.Array,
        c: jax.Array,
        k: jax.Array,
        part: jax.Array,
    ) -> dict[str, jax.Array]:
        """The statistics of what was found of the lanes added to those of the tile; `k` is the block, or (blocks,) where several are solved
        at once."""
        study, replicates, by_block = self.study, self.study.design.replicates, self._by_block
        arrays = dict(arrays)
        failed = jnp.zeros(held.shape, bool)
        for label in study.numbers:
            failed = failed | jnp.isnan(found[label.name])
        failed = failed & held
        valid = held & ~failed

        def count(flags: jax.Array) -> jax.Array:
            return count_true(flags, replicates)

        def first(failed: jax.Array) -> jax.Array:
            return jnp.min(jnp.where(failed, jnp.arange(self.lanes, dtype=jnp.int32) + part * self.lanes, study.design.block))

        arrays["valid"] = arrays["valid"].at[c, k].add(by_block(count, valid))
        arrays["failed"] = arrays["failed"].at[c, k].add(by_block(count, failed))
        arrays["first_failed"] = arrays["first_failed"].at[c, k].min(by_block(first, failed))
        cut_off = by_block(partial(jnp.sum, dtype=jnp.int32), found[CUT_OFF] & held)
        arrays["cut_off"] = arrays["cut_off"].at[c, k].add(cut_off)
        # One outcome at a time: a stack of them would compute them all again, one lane after another.
        if study.flags:
            counts = [by_block(count, found[label.name] & valid) for label in study.flags]
            arrays["true"] = arrays["true"].at[c, k].add(jnp.stack(counts, axis=-2))
        if study.numbers:
            rows = [by_block(partial(_moments, replicates=replicates), found[label.name], valid) for label in study.numbers]
            finite, total = (jnp.stack([row[which] for row in rows], axis=-2) for which in (0, 1))
            least, greatest = (jnp.stack([row[which] for row in rows], axis=-1) for which in (2, 3))
            arrays["finite"] = arrays["finite"].at[c, k].add(finite)
            arrays["sum"] = arrays["sum"].at[c, k, part].set(total)
            arrays["least"] = arrays["least"].at[c, k].min(least)
            arrays["greatest"] = arrays["greatest"].at[c, k].max(greatest)
        if self.keep.histograms:
            replicate = jnp.arange(valid.size, dtype=jnp.int32) % replicates
            for label in study.numbers:
                name, bins = f"histogram/{label.name}", study.bins(label)
                place = (c * replicates + replicate) * bins.count + bins.index(found[label.name])
                arrays[name] = arrays[name].at[place].add(valid.astype(jnp.int32), mode="promise_in_bounds")
        if self.keep.draws:
            # Of several at once, whole ones, one after the other.
            offset = (k if self.together == 1 else k[0]) * study.design.block + part * self.lanes
            for name, _ in study.design.distributions:
                # The same in every cell; beyond the extent there is nothing.
                kept = jnp.where(held, parameters[name], jnp.nan)
                arrays[f"parameter/{name}"] = lax.dynamic_update_slice(arrays[f"parameter/{name}"], kept, (offset,))
            for label in study.labels:
                name = f"outcome/{label.name}"
                arrays[name] = lax.dynamic_update_slice(arrays[name], found[label.name][None], (c, offset))
        return arrays

    def _add_paths(
        self, arrays: dict[str, jax.Array], key: jax.Array, cell: jax.Array, c: jax.Array, start: jax.Array, held: jax.Array, k: jax.Array
    ) -> dict[str, jax.Array]:
        """The paths of one draw in every so many of a block."""
        study, count = self.study, self.study.design.block // self.keep.every
        width = min(count, self.lanes)

        def one_row(row: jax.Array, arrays: dict[str, jax.Array]) -> dict[str, jax.Array]:
            lane = (jnp.arange(width, dtype=jnp.int32) + row * width) * self.keep.every
            paths = study.trajectories(study.parameters(key, start + lane.astype(jnp.uint32), cell), self.keep.times)
            paths = jnp.where(lane < held, paths, jnp.nan)[None]
            return {
                **arrays,
                "trajectory": lax.dynamic_update_slice(arrays["trajectory"], paths, (c, np.int32(0), k * count + row * width)),
            }

        filled: _Arrays = lax.fori_loop(0, count // width, one_row, arrays)
        return filled

    def _add_audit(
        self, arrays: dict[str, jax.Array], audited: Mapping[str, jax.Array], held: jax.Array, c: jax.Array, k: jax.Array
    ) -> dict[str, jax.Array]:
        """The audit of one block: one draw of every 256, as the sub-blocks picked them up."""
        study = self.study
        flat = {name: row.ravel() for name, row in audited.items()}
        error, differ = study.audit({name: flat[name] for name in study.inputs}, flat)
        places = _audited(study.design.block)
        # (numbers or flags, …, places of a block).
        error, differ = (row.reshape(len(row), *held.shape, len(places)) for row in (error, differ))
        counted = jnp.asarray(places, jnp.int32) < held[..., None]
        worst = jnp.max(jnp.where(counted, error, 0.0), axis=-1, initial=0.0)
        differing = jnp.sum(differ & counted, axis=-1, dtype=jnp.int32)
        return {
            **arrays,
            "error": arrays["error"].at[c, k].max(jnp.moveaxis(worst, 0, -1)),
            "differ": arrays["differ"].at[c, k].add(jnp.moveaxis(differing, 0, -1)),
            "audited": arrays["audited"].at[c, k].add(jnp.sum(counted, axis=-1, dtype=jnp.int32)),
        }

    def _picked(self, audited: dict[str, jax.Array], lanes_of: Mapping[str, jax.Array], part: jax.Array) -> dict[str, jax.Array]:
        """`audited` with the audited ones of the lanes filled in."""
        count = self.lanes // AUDIT_STRIDE
        each = part * count + jnp.arange(count, dtype=jnp.int32)
        places = jnp.arange(count, dtype=jnp.int32) * AUDIT_STRIDE + each * 149 % AUDIT_STRIDE
        if self.together == 1:
            return {name: lax.dynamic_update_slice(kept, lanes_of[name][places], (part * count,)) for name, kept in audited.items()}
        return {
            name: lax.dynamic_update_slice(kept, lanes_of[name].reshape(self.together, -1)[:, places], (np.int32(0), part * count))
            for name, kept in audited.items()
        }


def _moments(value: jax.Array, valid: jax.Array, replicates: int) -> tuple[jax.Array, ...]:
    """How many of one outcome's values are finite and their sum, (replicates,) each, and the least and the greatest of them."""
    finite = valid & jnp.isfinite(value)
    return (
        count_true(finite, replicates),
        sum_by_replicate(jnp.where(finite, value, 0), replicates),
        jnp.min(jnp.where(finite, value, jnp.inf)),
        jnp.max(jnp.where(finite, value, -jnp.inf)),
    )


def _audited(block: int) -> np.ndarray:
    """The draws of a block that are audited: one of every 256, at a place among them that goes through all replicates."""
    each = np.arange(block // AUDIT_STRIDE)
    return each * AUDIT_STRIDE + each * 149 % AUDIT_STRIDE
