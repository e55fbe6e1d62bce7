"""The plan of a sweep: which tiles there are, and what they cost in time, memory and disk. Runs no kernel.

A tile is a box of cells × a run of blocks. Its size is policy: it is chosen so that a tile takes about a second and fits in memory, kept in
the store (so that resuming needs nobody to ask for the same again), and changes no bit of the result.

The runs of blocks of one box are its columns. A last block that is not full has a column of its own, which is all that is computed again
when draws are added; what is added begins a new column, so that nothing that is finished is touched. Columns that share a write unit of
the store (the full blocks before, and the last one) form a chain, whose tiles are computed one after the other.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from kernels.alike import StepCount
from kernels.program import Keep, TileShape
from kernels.study import Study
from sweep.config import USUAL_CHUNK
from sweep.spec import Spec

SECONDS_A_TILE = 1.0
_MOST_TILE_BYTES = 256 * 2**20
_USUAL_EVALUATIONS = 2000
_NANOSECONDS = {"recursion": 0.8, "quadrature": 8.0, "clock": 6.0}
"""What a step of a recursion, a point of a panel, or the rates of a system cost a trajectory on one core: estimates for `plan`, from the
kernels' benchmarks. A point counts for all that the outcomes ask beside it."""


Box = tuple[tuple[int, int], ...]
"""(start, stop) of a run of cells along every axis."""


def slices(box: Box) -> tuple[slice, ...]:
    """Where a box of cells lies in an array of all cells."""
    return tuple(slice(start, stop) for start, stop in box)


@dataclass(frozen=True)
class Tile:
    """One task: `box` gives (start, stop) along every axis, `first_block` and `blocks` the run of blocks, `column` its number."""

    box: Box
    column: int
    first_block: int
    blocks: int
    draws: int
    """Draws that the tile holds, over all its blocks."""
    fresh: bool = False
    """Whether nothing else in its write units is finished, so that what lies there need not be read."""

    @property
    def name(self) -> str:
        """What the tile is called in the ledger and in messages, e.g. "0:8,3:4/12"."""
        return ",".join(f"{start}:{stop}" for start, stop in self.box) + f"/{self.column}"

    @property
    def cells(self) -> int:
        return math.prod(stop - start for start, stop in self.box)


@dataclass(frozen=True)
class TilePolicy:
    """How a sweep is cut: cells along every axis, and blocks, a tile; `extents` are the draws that it had before it was extended, `chunk`
    the draws of a chunk where the spec leaves them out."""

    box: tuple[int, ...]
    blocks: int
    extents: tuple[int, ...] = ()
    chunk: int = USUAL_CHUNK

    def shape(self) -> TileShape:
        return TileShape(cells=math.prod(self.box), blocks=self.blocks)


@dataclass(frozen=True)
class Plan:
    """A spec with its study, policy and tiles."""

    spec: Spec
    study: Study
    policy: TilePolicy

    @property
    def axis_lengths(self) -> tuple[int, ...]:
        return tuple(len(axis.values) for axis in self.spec.axes.values())

    @property
    def cells(self) -> int:
        return math.prod(self.axis_lengths)

    @property
    def trajectories(self) -> int:
        return self.cells * self.spec.draws

    @property
    def blocks(self) -> int:
        return -(-self.spec.draws // self.spec.block)

    @cached_property
    def columns(self) -> tuple[tuple[int, int], ...]:
        """(first block, blocks) of every column: full blocks to the next write unit or the end of an extent, then a last one in part."""
        found, first, width = [], 0, self.policy.blocks
        for draws in (*self.policy.extents, self.spec.draws):
            full = draws // self.spec.block
            while first < full:
                stop = min(full, (first // width + 1) * width)
                found.append((first, stop - first))
                first = stop
        if self.spec.draws % self.spec.block:
            found.append((first, 1))
        return tuple(found)

    def keep(self) -> Keep:
        """What tiles give back."""
        store, statistics = self.spec.store, self.spec.statistics
        times: tuple[float, ...] = ()
        if store.draws == "trajectories":
            horizon = self.study.bounds["horizon"][1]
            times = tuple(horizon * step / (store.trajectories_times - 1) for step in range(store.trajectories_times))
        return Keep(
            histograms=bool(self.study.numbers) and (statistics.histogram or bool(statistics.quantiles)),
            draws=store.draws != "none",
            times=times,
            every=min(store.trajectories_every, self.spec.block),
        )

    def boxes(self) -> Iterator[Box]:
        """The boxes of cells, in the order of the cube."""
        runs = [
            [(start, min(start + width, length)) for start in range(0, length, width)]
            for length, width in zip(self.axis_lengths, self.policy.box, strict=True)
        ]
        return itertools.product(*runs)

    @property
    def tile_count(self) -> int:
        """How many tiles there are, without making them."""
        runs = (-(-length // width) for length, width in zip(self.axis_lengths, self.policy.box, strict=True))
        return math.prod(runs) * len(self.columns)

    def tiles(self) -> Iterator[Tile]:
        """All tiles: by box, then by column."""
        for box in self.boxes():
            for column, (first, blocks) in enumerate(self.columns):
                draws = min(self.spec.draws - first * self.spec.block, blocks * self.spec.block)
                yield Tile(box, column, first, blocks, draws)

    def chains(self) -> Iterator[tuple[Tile, ...]]:
        """All tiles, those together that share a write unit."""
        for _, chain in itertools.groupby(self.tiles(), lambda tile: (tile.box, tile.first_block // self.policy.blocks)):
            yield tuple(chain)

    def cell_values(self, box: Box) -> np.ndarray:
        """Axis values of the cells of a box, (cells, axes) float64."""
        axes = [axis.values[start:stop] for axis, (start, stop) in zip(self.spec.axes.values(), box, strict=True)]
        cells = math.prod(stop - start for start, stop in box)
        return np.array(list(itertools.product(*axes)), dtype=np.float64).reshape(cells, len(axes))

    @property
    def chunk_draws(self) -> int:
        """Draws a chunk of the arrays of draws: a tile owns whole chunks."""
        return min(self.spec.store.chunks or self.policy.chunk, self.policy.blocks * self.spec.block)

    def estimated_seconds(self, workers: int) -> float:
        """Rough: from the number of steps that a trajectory takes."""
        return self.trajectories * nanoseconds_a_trajectory(self.study) * 1e-9 / workers

    def disk_bytes(self) -> dict[str, int]:
        """Bytes before compression, by what they hold. They compress well: histograms are mostly zeros."""
        study, spec, keep = self.study, self.spec, self.keep()
        item = study.dtype.itemsize
        sizes = {"statistics": self.cells * 8 * (6 * len(study.labels) + 4 * len(study.numbers) * len(spec.statistics.quantiles))}
        per_block = spec.replicates * (8 + 4 * len(study.flags) + 12 * len(study.numbers)) + 40
        sizes["sums of blocks"] = self.cells * self.blocks * per_block
        if keep.histograms:
            bins = sum(study.bins(label).count for label in study.numbers)
            sizes["histograms"] = self.cells * bins * (8 + len(self.columns) * spec.replicates * histogram_dtype(self).itemsize)
        if keep.draws:
            flags, numbers = len(study.flags), len(study.numbers)
            sizes["draws"] = spec.draws * (len(study.design.distributions) * item + self.cells * (flags + numbers * item))
        if keep.times:
            sizes["trajectories"] = self.cells * len(keep.times) * (spec.draws // keep.every) * item
        return sizes

    def stored_bytes(self) -> dict[str, int]:
        """Bytes on the disk, roughly: histograms compress to a tenth, the rest hardly."""
        return {name: size // 10 if name == "histograms" else size for name, size in self.disk_bytes().items()}

    def tile_bytes(self) -> int:
        """What one tile holds in memory."""
        return _tile_bytes(self.study, self.spec, self.keep(), math.prod(self.policy.box), self.policy.blocks)


def histogram_dtype(plan: Plan) -> np.dtype[Any]:
    """The smallest type that holds the counts of one tile, cell and replicate."""
    return np.min_scalar_type(plan.policy.blocks * plan.spec.block // plan.spec.replicates)


def nanoseconds_a_trajectory(study: Study) -> float:
    """What a trajectory costs on one core, roughly."""
    budget = study.budget
    if budget.tolerance:
        # Steps that are chosen by their error are not known before the run: so many right-hand sides are usual.
        work = _NANOSECONDS["clock"] * _USUAL_EVALUATIONS
    else:
        work = _NANOSECONDS["quadrature" if budget.nodes > 1 else "recursion"] * budget.steps * budget.nodes
    return 25.0 + work * (1 + len(study.outcomes.gradients)) + 15.0 * len(study.numbers)


def worthwhile_workers(spec: Spec) -> int:
    """How many workers a sweep can use: one for each tile's worth of work, since what is less is not divided."""
    trajectories = spec.draws * math.prod(len(axis.values) for axis in spec.axes.values())
    return 1 + int(trajectories * nanoseconds_a_trajectory(study_of(spec)) * 1e-9 / SECONDS_A_TILE)


def study_of(spec: Spec) -> Study:
    """The trajectories of a sweep as the kernels see them."""
    return Study(
        model=spec.source.model(),
        options=spec.options,
        design=spec.design(),
        fixed=spec.fixed(),
        follows=spec.follows(),
        axes=tuple(spec.axes),
        bounds=spec.bounds(),
        outcomes=spec.outcomes.build(),
        precision=spec.precision,
        tolerance=spec.tolerance,
        bins_per_octave=spec.statistics.bins_per_octave,
    )


def make_plan(spec: Spec, workers: int, policy: TilePolicy | None = None, counted: StepCount | None = None) -> Plan:
    """The plan of a sweep for so many workers; with the policy and the counted steps that a store was made with, or new ones."""
    study = replace(study_of(spec), counted=counted)
    if policy is not None:
        return Plan(spec, study, policy)
    lengths = tuple(len(axis.values) for axis in spec.axes.values())
    draft = Plan(spec, study, TilePolicy(lengths, 1))
    keep, block = draft.keep(), spec.block
    most = SECONDS_A_TILE * 1e9 / nanoseconds_a_trajectory(study)
    # Two tiles a worker at least, so that one is computed while another is written.
    most = min(most, max(draft.trajectories / (2 * workers), min(block, spec.draws)))
    if spec.run.tile is not None:
        most = spec.run.tile
    blocks = _power_of_two_within(most / block, draft.blocks)
    while blocks > 1 and _tile_bytes(study, spec, keep, 1, blocks) > _MOST_TILE_BYTES:
        blocks //= 2
    # Cells are taken together, whole rows of the last axes first, only where one cell's draws do not fill a tile.
    box = [1] * len(lengths)
    cells = max(1, int(most // max(1, min(spec.draws, blocks * block)))) if blocks >= draft.blocks else 1
    while cells > 1 and _tile_bytes(study, spec, keep, cells, blocks) > _MOST_TILE_BYTES:
        cells //= 2
    for axis in reversed(range(len(lengths))):
        box[axis] = max(1, min(lengths[axis], cells))
        if box[axis] < lengths[axis]:
            break
        cells //= lengths[axis]
    return Plan(spec, study, TilePolicy(tuple(box), blocks))


def _power_of_two_within(wanted: float, enough: int) -> int:
    """The greatest power of two up to `wanted`, at least 1 and no more than covers `enough`."""
    least_covering = 1 << max(enough - 1, 0).bit_length()
    return min(1 << max(int(wanted).bit_length() - 1, 0), least_covering)


def _tile_bytes(study: Study, spec: Spec, keep: Keep, cells: int, blocks: int) -> int:
    item = int(study.dtype.itemsize)
    total = cells * blocks * spec.replicates * (8 + 4 * len(study.flags) + (4 + item) * len(study.numbers))
    if keep.histograms:
        total += cells * spec.replicates * 4 * sum(study.bins(label).count for label in study.numbers)
    if keep.draws:
        total += blocks * spec.block * (len(study.design.distributions) * item + cells * (len(study.flags) + len(study.numbers) * item))
    if keep.times:
        total += cells * len(keep.times) * (blocks * spec.block // keep.every) * item
    return total
