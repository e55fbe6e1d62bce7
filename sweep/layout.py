"""The layout of a cube: which arrays there are, in what chunks, and which part of each a tile writes.

    /                      axes as coordinates, status(axes…) 0 not run, 1 done, 2 failed; the spec and the measured error as attributes
    /statistics            probability(axes…, outcome), probability_se
    /statistics/<outcome>  mean, mean_se, quantile_value(axes…, quantile), quantile_se, probability_finite, histogram(axes…, bin)
    /draws                 parameters (draw) and outcomes (axes…, draw)
    /trajectories          doublings(axes…, time, trajectory) of one draw in so many
    /partials              sums a block and histograms a column of tiles, from which the statistics are made and the sweep is extended
    /provenance            versions, times and devices, as attributes

A tile owns whole chunks of every array that it writes, but for the last block of an extent: it may share its chunk with blocks that were
finished before, and is written after them.
"""

from __future__ import annotations

import math
from collections.abc import Container
from dataclasses import dataclass
from typing import Any

import numpy as np

from kernels.models import Parameter
from kernels.outcomes import Label
from sweep.hierarchy import ALWAYS_WRITE
from sweep.plan import Plan, Tile, histogram_dtype, slices

PARTIALS = ("valid", "failed", "first_failed", "cut_off", "true", "finite", "sum", "least", "greatest", "error", "differ", "audited")
"""The sums that a tile leaves for each of its blocks."""
DRAWS = ("draws/", "trajectories/doublings")
"""How the names of arrays begin that have a place for every draw, or every so many."""
_MOST_CHUNK_BYTES = 8 * 2**20


@dataclass(frozen=True)
class Part:
    """Which part of an array a tile writes: `place` there, from its own array `source`, of which it takes `kept` (behind the cells)."""

    place: tuple[slice | int, ...]
    source: str
    has_cells: bool
    kept: tuple[slice, ...] = ()


def tile_parts(plan: Plan, tile: Tile) -> dict[str, Part]:
    """What a tile writes, by the array's name."""
    study, keep, box = plan.study, plan.keep(), slices(tile.box)
    first_draw = tile.first_block * plan.spec.block
    draws = slice(first_draw, first_draw + tile.draws)
    blocks = slice(tile.first_block, tile.first_block + tile.blocks)
    parts = {f"partials/{name}": Part((*box, blocks), name, True, (slice(0, tile.blocks),)) for name in PARTIALS}
    if keep.histograms:
        for label in study.numbers:
            parts[f"partials/histogram_{label.name}"] = Part((*box, tile.column), f"histogram/{label.name}", True)
    if keep.draws:
        if all(start == 0 for start, _ in tile.box):
            # The same in every cell: the tile of the first box writes them.
            for name, _ in study.design.distributions:
                parts[f"draws/{name}"] = Part((draws,), f"parameter/{name}", False, (slice(0, tile.draws),))
        for label in study.labels:
            parts[f"draws/{label.name}"] = Part((*box, draws), f"outcome/{label.name}", True, (slice(0, tile.draws),))
    if keep.times:
        first, count = first_draw // keep.every, -(-tile.draws // keep.every)
        place = (*box, slice(None), slice(first, first + count))
        parts["trajectories/doublings"] = Part(place, "trajectory", True, (slice(None), slice(0, count)))
    return parts


def statistics_names(plan: Plan) -> list[str]:
    """The arrays of a cell each that are made from the partial sums, and status."""
    statistics, names = plan.spec.statistics, ["status"]
    if statistics.probability:
        names += ["statistics/probability", "statistics/probability_se"]
    for label in plan.study.numbers:
        kinds = []
        if statistics.probability:
            kinds += ["probability_finite", "probability_finite_se"]
        if statistics.mean:
            kinds += ["mean", "mean_se"]
        if statistics.quantiles:
            kinds += ["quantile_value", "quantile_se"]
        if statistics.histogram:
            kinds += ["histogram"]
        names += [f"statistics/{label.name}/{kind}" for kind in kinds]
    return names


def slab_cells(plan: Plan) -> int:
    """Cells along the first axis whose statistics are written together: whole boxes, of which the largest array is a chunk or so."""
    lengths, most = plan.axis_lengths, max([len(plan.study.flags), *(plan.study.bins(label).count for label in plan.study.numbers)])
    row = 8 * most * math.prod(lengths[1:])
    box = plan.policy.box[0]
    return max(1, _MOST_CHUNK_BYTES // row // box) * box


def _chunks_of_cells(plan: Plan, rest: tuple[int, ...], item: int) -> tuple[int, ...]:
    """Chunks of an array of cells: what is written together, cut along other axes where that is much."""
    chunks = [max(1, size) for size in (*plan.axis_lengths, *rest)]
    if plan.axis_lengths:
        chunks[0] = min(chunks[0], slab_cells(plan))
    for axis in range(1, len(chunks)):
        while chunks[axis] > 1 and math.prod(chunks) * item > _MOST_CHUNK_BYTES:
            chunks[axis] = -(-chunks[axis] // 2)
    return tuple(chunks)


def _chunks_of_box(box: tuple[int, ...], rest: tuple[int, ...], item: int) -> tuple[int, ...]:
    """Chunks of what a tile writes: its box, cut into equal parts where that is much, so that no two tiles share a chunk."""
    chunks = list(box)
    for axis in range(len(chunks)):
        parts = (count for count in range(1, box[axis] + 1) if box[axis] % count == 0)
        while math.prod((*chunks, *rest)) * item > _MOST_CHUNK_BYTES and (count := next(parts, None)) is not None:
            chunks[axis] = box[axis] // count
    return (*chunks, *rest)


def allocate(root: Any, plan: Plan, only: Container[str] | None = None) -> None:
    """All arrays of a plan, empty; or only those named, in place of what is there."""
    spec, study, keep = plan.spec, plan.study, plan.keep()
    axes, lengths, box = tuple(spec.axes), plan.axis_lengths, plan.policy.box
    parameters = {parameter.name: parameter for parameter in study.model.parameters}

    def array(
        name: str, shape: tuple[int, ...], chunks: tuple[int, ...], dims: tuple[str, ...], dtype: Any, fill: Any, long_name: str, units: str
    ) -> Any:
        if only is not None and name not in only:
            return None
        return root.create_array(
            name,
            shape=shape,
            chunks=tuple(max(1, size) for size in chunks),
            dtype=dtype,
            fill_value=fill,
            dimension_names=dims,
            attributes={"long_name": long_name, "units": units},
            # The draws of numbers are as good as random bits: compressing them would cost more than the kernels.
            compressors=None if name.startswith(DRAWS) and np.dtype(dtype).kind == "f" else "auto",
            config=ALWAYS_WRITE,
            overwrite=only is not None,
        )

    def cells(name: str, extra: tuple[tuple[str, int], ...], dtype: Any, fill: Any, long_name: str, units: str) -> None:
        dims, sizes = tuple(dim for dim, _ in extra), tuple(size for _, size in extra)
        shape = (*lengths, *sizes)
        array(name, shape, _chunks_of_cells(plan, sizes, np.dtype(dtype).itemsize), (*axes, *dims), dtype, fill, long_name, units)

    def coordinate(name: str, dim: str, values: Any, long_name: str, units: str, dtype: Any = "f8") -> None:
        made = array(name, (len(values),), (len(values),), (dim,), dtype, None if dtype == "str" else 0, long_name, units)
        if made is not None and len(values):
            made[:] = np.asarray(values, dtype=object if dtype == "str" else None)

    for name, axis in spec.axes.items():
        coordinate(name, name, axis.values, parameters[name].meaning, _units(parameters[name]))
    cells("status", (), "i1", 0, "0 not run, 1 done, 2 failed", "1")

    flags = [label.name for label in study.flags]
    root.require_group("statistics")
    coordinate("statistics/outcome", "outcome", flags, "outcome", "1", "str")
    if spec.statistics.probability:
        outcomes = (("outcome", len(flags)),)
        cells("statistics/probability", outcomes, "f8", np.nan, "probability of the outcome", "1")
        cells("statistics/probability_se", outcomes, "f8", np.nan, "standard error of the probability", "1")
    for label in study.numbers:
        _allocate_number(root, plan, label, cells, coordinate)

    root.require_group("partials")
    partials: list[tuple[str, tuple[tuple[str, int], ...], Any, Any]] = [
        ("valid", (("replicate", spec.replicates),), "i4", 0),
        ("failed", (("replicate", spec.replicates),), "i4", 0),
        ("first_failed", (), "i4", 0),
        ("cut_off", (), "i4", 0),
        ("true", (("flag", len(flags)), ("replicate", spec.replicates)), "i4", 0),
        ("finite", (("number", len(study.numbers)), ("replicate", spec.replicates)), "i4", 0),
        ("sum", (("number", len(study.numbers)), ("replicate", spec.replicates)), study.dtype, 0),
        ("least", (("number", len(study.numbers)),), study.dtype, np.inf),
        ("greatest", (("number", len(study.numbers)),), study.dtype, -np.inf),
        ("error", (("number", len(study.numbers)),), "f8", 0),
        ("differ", (("flag", len(flags)),), "i4", 0),
        ("audited", (), "i4", 0),
    ]
    for name, extra, dtype, fill in partials:
        dims, sizes = tuple(dim for dim, _ in extra), tuple(size for _, size in extra)
        shape, chunks = (*lengths, plan.blocks, *sizes), _chunks_of_box(box, (plan.policy.blocks, *sizes), np.dtype(dtype).itemsize)
        array(f"partials/{name}", shape, chunks, (*axes, "block", *dims), dtype, fill, f"{name} of a block", "1")
    if keep.histograms:
        for label in study.numbers:
            sizes = (spec.replicates, study.bins(label).count)
            name, dims = f"partials/histogram_{label.name}", (*axes, "column", "replicate", f"bin_{label.name}")
            counts = histogram_dtype(plan)
            shape, chunks = (*lengths, len(plan.columns), *sizes), _chunks_of_box(box, (1, *sizes), counts.itemsize)
            array(name, shape, chunks, dims, counts, 0, f"histogram of {label.long_name}", "draws")

    if keep.draws:
        root.require_group("draws")
        chunk = plan.chunk_draws
        for name, _ in study.design.distributions:
            array(
                f"draws/{name}", (spec.draws,), (chunk,), ("draw",), study.dtype, np.nan, parameters[name].meaning, _units(parameters[name])
            )
        for label in study.labels:
            kind, fill = ("bool", False) if label.kind == "flag" else (study.dtype, np.nan)
            item = 1 if label.kind == "flag" else study.dtype.itemsize
            array(
                f"draws/{label.name}",
                (*lengths, spec.draws),
                _chunks_of_box(box, (chunk,), item),
                (*axes, "draw"),
                kind,
                fill,
                label.long_name,
                label.unit,
            )
    if keep.times:
        root.require_group("trajectories")
        coordinate("trajectories/time", "time", keep.times, "time since the start", "months")
        count, chunk = -(-spec.draws // keep.every), max(1, plan.policy.blocks * spec.block // keep.every)
        shape, chunks = (*lengths, len(keep.times), count), _chunks_of_box(box, (len(keep.times), chunk), study.dtype.itemsize)
        dims = (*axes, "time", "trajectory")
        array("trajectories/doublings", shape, chunks, dims, study.dtype, np.nan, "doublings of software since the start", "doublings")
        root.require_group("trajectories").attrs["draws_a_trajectory"] = keep.every
    root.require_group("provenance")


def _units(parameter: Parameter) -> str:
    """The unit as readers of cubes know it: what has none, printed as a dash, has "1" there."""
    return "1" if parameter.unit == "–" else parameter.unit


def _allocate_number(root: Any, plan: Plan, label: Label, cells: Any, coordinate: Any) -> None:
    statistics, group = plan.spec.statistics, f"statistics/{label.name}"
    root.require_group(group).attrs.update({"long_name": label.long_name, "units": label.unit})
    if statistics.probability:
        cells(f"{group}/probability_finite", (), "f8", np.nan, f"probability that the {label.long_name} is finite", "1")
        cells(f"{group}/probability_finite_se", (), "f8", np.nan, "standard error of probability_finite", "1")
    if statistics.mean:
        cells(f"{group}/mean", (), "f8", np.nan, f"mean of the {label.long_name} where it is finite", label.unit)
        cells(f"{group}/mean_se", (), "f8", np.nan, "standard error of the mean", label.unit)
    if statistics.quantiles:
        quantiles = (("quantile", len(statistics.quantiles)),)
        coordinate(f"{group}/quantile", "quantile", statistics.quantiles, "share of all draws below", "1")
        cells(f"{group}/quantile_value", quantiles, "f8", np.nan, f"quantile of the {label.long_name}, +inf last", label.unit)
        cells(f"{group}/quantile_se", quantiles, "f8", np.nan, "standard error of the quantile", label.unit)
        bound = 1 / statistics.bins_per_octave
        root[f"{group}/quantile_value"].attrs["relative_error_of_binning"] = bound
    if statistics.histogram:
        edges = plan.study.bins(label).edges
        coordinate(f"{group}/bin_lower", "bin", edges, "lower edge of the bin; the last bin is +inf", label.unit)
        coordinate(f"{group}/bin_upper", "bin", np.append(edges[1:], np.inf), "upper edge of the bin", label.unit)
        cells(f"{group}/histogram", (("bin", len(edges)),), "i8", 0, f"draws by {label.long_name}", "draws")
