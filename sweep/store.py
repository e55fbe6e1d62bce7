"""The cube on disk: a plain zarr v3 store, made, grown and written here and nowhere else.

    /                      axes as coordinates, status(axes…) 0 not run, 1 done, 2 failed; the spec and the measured error as attributes
    /statistics            probability(axes…, outcome), probability_se
    /statistics/<outcome>  mean, mean_se, quantile_value(axes…, quantile), quantile_se, probability_finite, histogram(axes…, bin)
    /draws                 parameters (draw) and outcomes (axes…, draw)
    /trajectories          doublings(axes…, time, trajectory) of one draw in so many
    /partials              sums a block and histograms a column of tiles, from which the statistics are made and the sweep is extended
    /provenance            versions, times and devices, as attributes

A tile owns whole chunks of every array that it writes, but for the last block of an extent: it may share its chunk with blocks that were
finished before, and is written after them. Empty chunks are written (zarr leaves them out by default, and a finished chunk of NaN or zeros
would then be missing). A store is seen whole or not at all; its metadata is consolidated once, when it is done.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import google_crc32c
import numpy as np

from kernels.outcomes import Label
from sweep.errors import in_one_line
from sweep.hierarchy import ALWAYS_WRITE, array_names, consolidate, create_group, open_group, quiet
from sweep.places import Place
from sweep.plan import Box, Plan, Tile, histogram_dtype, slices

PARTIALS = ("valid", "failed", "first_failed", "cut_off", "true", "finite", "sum", "least", "greatest", "error", "differ", "audited")
"""The sums that a tile leaves for each of its blocks."""
_MOST_CHUNK_BYTES = 8 * 2**20
_SLAB_BYTES = 256 * 2**20


class StoreError(Exception):
    """A store that cannot be made, read or written."""


class CubeStore:
    """A store, open for reading and writing."""

    def __init__(self, place: Place, writable: bool = True) -> None:
        self.place, self._writable = place, writable
        self._open()

    def _open(self) -> None:
        self._opened, self._generation = open_group(self.place, self._writable), self.place.generation

    @property
    def _root(self) -> Any:
        if self._generation != self.place.generation:
            self._open()
        return self._opened

    @staticmethod
    def create(place: Place, plan: Plan, attributes: Mapping[str, Any], finish: Callable[[Place], None]) -> bool:
        """Make the store of a plan; `finish(place)` adds what else a new store holds, last.

        False where another launcher has made one meanwhile.
        """

        def fill(empty: Place) -> None:
            with quiet():
                _allocate(create_group(empty, attributes), plan)
            finish(empty)

        return place.make(fill)

    @property
    def attributes(self) -> dict[str, Any]:
        return dict(self._root.attrs)

    def set_attributes(self, attributes: Mapping[str, Any], group: str = "") -> None:
        """Set attributes of a group; None removes one."""
        held = (self._root[group] if group else self._root).attrs
        held.put({name: value for name, value in {**held, **attributes}.items() if value is not None})

    def _array(self, name: str) -> Any:
        array: Any = self._root[name]
        return array.with_config(ALWAYS_WRITE)

    @contextmanager
    def _reading(self, name: str, to_write: bool = False) -> Iterator[None]:
        """Errors of zarr about what lies in the store as ours; those of the disk, and of a place that is written to, stay what they are."""
        errors = () if to_write else self.place.errors
        unreadable: tuple[type[Exception], ...] = (ValueError, KeyError, RuntimeError, TypeError, *errors)
        try:
            yield
        except unreadable as error:
            problem = f"{name} cannot be read ({in_one_line(error)})"
            raise StoreError(f"{self.place.address}: {problem}; `siesweep verify {self.place.address} --repair` makes it again") from None

    def remove_part(self, name: str, place: tuple[slice | int, ...]) -> None:
        """Remove the chunks that hold a part of an array."""
        self.place.remove(_chunk_names(name, self._array(name), place))

    def grow(self, plan: Plan) -> None:
        """Make the arrays as long as the plan's draws."""
        lengths = {"draw": plan.spec.draws, "block": plan.blocks, "column": len(plan.columns)}
        if plan.keep().times:
            lengths["trajectory"] = -(-plan.spec.draws // plan.keep().every)
        with quiet():
            for group in ("draws", "partials", "trajectories"):
                if group not in self._root:
                    continue
                for _, array in self._root[group].arrays():
                    names = array.metadata.dimension_names
                    shape = tuple(lengths.get(name, size) for name, size in zip(names, array.shape, strict=True))
                    if shape != array.shape:
                        array.resize(shape)

    def write_tile(self, plan: Plan, tile: Tile, arrays: Mapping[str, np.ndarray]) -> dict[str, int]:
        """Write what a tile computed, for good; returns the CRC-32C of every array's part."""
        box, sizes = slices(tile.box), tuple(stop - start for start, stop in tile.box)
        crcs: dict[str, int] = {}
        written: list[str] = []
        for name, part in tile_parts(plan, tile).items():
            array = self._array(name)
            values = arrays[part.source]
            if part.has_cells:
                # Cells, of which a tile at the edge has fewer than its program, unfolded to the axes.
                values = values[: tile.cells].reshape(*sizes, *values.shape[1:])
                values = values[(*(slice(None),) * len(box), *part.kept)]
            else:
                values = values[part.kept]
            values = np.ascontiguousarray(values.astype(array.dtype, copy=False))
            chunks = _chunk_names(name, array, part.place)
            if tile.fresh and tile.blocks < plan.policy.blocks:
                # zarr would read what is written in part, which a crash may have torn.
                self.place.remove(chunks)
            with self._reading(name, to_write=True):
                array[part.place] = values
            crcs[name] = google_crc32c.value(values.tobytes())
            written += chunks
        self.place.settle(written)
        return crcs

    def crc(self, name: str, place: tuple[slice | int, ...] | None = None) -> int:
        """The CRC-32C of an array, or of a part of it, as it is read back. Raises StoreError where it cannot be read."""
        with self._reading(name):
            values = np.ascontiguousarray(self._array(name)[... if place is None else place])
        # Text has no bits of its own in an array of objects.
        content = values.tobytes() if values.dtype.kind not in "OTU" else "\n".join(map(str, values.ravel())).encode()
        return int(google_crc32c.value(content))

    def value(self, name: str, place: tuple[int, ...]) -> float:
        """One element of an array."""
        with self._reading(name):
            return float(self._array(name)[place])

    def make_again(self, plan: Plan, names: Iterable[str]) -> None:
        """Make those of these arrays anew, empty, that cannot be opened because their own metadata is damaged or gone."""
        lost = set()
        for name in names:
            try:
                self._array(name)
            except (OSError, ValueError, KeyError, TypeError):
                lost.add(name)
        if lost:
            with quiet():
                _allocate(self._root, plan, lost)

    def missing_chunks(self, name: str, place: tuple[slice | int, ...] | None = None) -> list[str]:
        """The chunks of an array, or of a part of it, that are not there; such a chunk would be read as the fill value."""
        with self._reading(name):
            array = self._array(name)
        whole = tuple(slice(0, size) for size in array.shape) if place is None else place
        with self._reading(name):
            return [chunk for chunk in _chunk_names(name, array, whole) if not self.place.has(chunk)]

    def settled_arrays(self) -> list[str]:
        """The arrays that no tile writes: coordinates, status and statistics."""
        return [name for name in array_names(self._root) if not name.startswith(("partials/", "draws/", "trajectories/doublings"))]

    def settle(self, names: Iterable[str]) -> None:
        """Return once arrays, metadata and all, would survive a loss of power."""
        for name in names:
            array = self._array(name)
            whole = tuple(slice(0, size) for size in array.shape)
            chunks = [chunk for chunk in _chunk_names(name, array, whole) if self.place.has(chunk)]
            self.place.settle([f"{name}/zarr.json", *chunks])

    def read_partials(self, box: Box, names: Iterable[str]) -> dict[str, np.ndarray]:
        """The partial sums of a box of cells, by name, each (cells…, block, …)."""
        found = {}
        for name in names:
            with self._reading(f"partials/{name}"):
                found[name] = np.asarray(self._array(f"partials/{name}")[slices(box)])
        return found

    def read_histogram(self, box: Box, name: str) -> np.ndarray:
        """The histogram of a box of cells over all columns, (cells…, replicate, bin) int64; so many columns at once as fit in memory."""
        array = self._array(f"partials/histogram_{name}")
        axis, columns = len(box), array.shape[len(box)]
        cells = math.prod(stop - start for start, stop in box)
        slab = max(1, _SLAB_BYTES // (8 * cells * math.prod(array.shape[axis + 1 :])))
        total: Any = 0
        for start in range(0, columns, slab):
            with self._reading(f"partials/histogram_{name}"):
                total = total + np.asarray(array[(*slices(box), slice(start, start + slab))]).sum(axis, dtype=np.int64)
        return np.asarray(total)

    def slab(self, plan: Plan, box: Box) -> Box:
        """The cells whose statistics are written together with those of a box: whole chunks, a run along the first axis and all others."""
        if not box:
            return ()
        width = _slab_cells(plan)
        start = box[0][0] // width * width
        lengths = plan.axis_lengths
        return ((start, min(start + width, lengths[0])), *((0, length) for length in lengths[1:]))

    def empty_statistics(self, plan: Plan, slab: Box) -> dict[str, np.ndarray]:
        """Statistics and status of a slab as they are where nothing is done, by the path of their array."""
        sizes = tuple(stop - start for start, stop in slab)
        found = {}
        for name in _statistics_names(plan):
            array = self._array(name)
            found[name] = np.full((*sizes, *array.shape[len(sizes) :]), array.fill_value, array.dtype)
        return found

    def write_statistics(self, slab: Box, values: Mapping[str, np.ndarray], settled: bool = False) -> None:
        """Write the statistics of a slab; names are paths below the root. Status comes last, `settled` only when the others are for good:
        a cell that is said to be done has its statistics, whenever a crash comes.
        """
        chunks: list[str] = []
        for name, part in sorted(values.items(), key=lambda item: item[0] == "status"):
            if settled and name == "status":
                self.place.settle(chunks)
            array, place = self._array(name), slices(slab)
            array[place] = part
            chunks += _chunk_names(name, array, place)

    def status(self) -> np.ndarray:
        """Which cells are done. Raises StoreError where it cannot be read."""
        with self._reading("status"):
            return np.asarray(self._array("status")[...])

    def clear_status(self) -> None:
        """Say of all cells, for good, that they are not done."""
        array = self._array("status")
        array[...] = np.zeros(array.shape, array.dtype)
        self.settle(["status"])

    def finish(self) -> None:
        """Write the metadata of all arrays in one place, and then that the cube is complete: last, when nothing will change any more."""
        consolidate(self.place).attrs["complete"] = True
        self.place.settle(["zarr.json"])


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


def _chunk_names(name: str, array: Any, place: tuple[slice | int, ...]) -> list[str]:
    """The files that hold a part of an array; zarr's own encoding of chunk keys, which new arrays have."""
    runs = []
    for index, size, length in zip(place, array.chunks, array.shape, strict=False):
        start, stop, _ = slice(index, index + 1).indices(length) if isinstance(index, int) else index.indices(length)
        runs.append(range(start // size, -(-stop // size)))
    # Dimensions behind those that are named are whole.
    runs += [range(-(-length // size)) for size, length in zip(array.chunks[len(place) :], array.shape[len(place) :], strict=True)]
    return ["/".join((name, "c", *map(str, chunk))) for chunk in itertools.product(*runs)]


def _statistics_names(plan: Plan) -> list[str]:
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


def _slab_cells(plan: Plan) -> int:
    """Cells along the first axis whose statistics are written together: whole boxes, of which the largest array is a chunk or so."""
    lengths, most = plan.axis_lengths, max([len(plan.study.flags), *(plan.study.bins(label).count for label in plan.study.numbers)])
    row = 8 * most * math.prod(lengths[1:])
    box = plan.policy.box[0]
    return max(1, _MOST_CHUNK_BYTES // row // box) * box


def _chunks_of_cells(plan: Plan, rest: tuple[int, ...], item: int) -> tuple[int, ...]:
    """Chunks of an array of cells: what is written together, cut along other axes where that is much."""
    chunks = [max(1, size) for size in (*plan.axis_lengths, *rest)]
    if plan.axis_lengths:
        chunks[0] = min(chunks[0], _slab_cells(plan))
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


def _allocate(root: Any, plan: Plan, only: Container[str] | None = None) -> None:
    """All arrays of a plan, empty; or only those named, in place of what is there."""
    spec, study, keep = plan.spec, plan.study, plan.keep()
    axes, lengths, box = tuple(spec.axes), plan.axis_lengths, plan.policy.box
    parameters = {parameter.name: parameter for parameter in study.model.parameters}

    def array(
        name: str, shape: tuple[int, ...], chunks: tuple[int, ...], dims: tuple[str, ...], dtype: Any, fill: Any, long_name: str, units: str
    ) -> Any:
        if only is not None and name not in only:
            return None
        is_draws = name.startswith(("draws/", "trajectories/doublings"))
        return root.create_array(
            name,
            shape=shape,
            chunks=tuple(max(1, size) for size in chunks),
            dtype=dtype,
            fill_value=fill,
            dimension_names=dims,
            attributes={"long_name": long_name, "units": units},
            # The draws of numbers are as good as random bits: compressing them would cost more than the kernels.
            compressors=None if is_draws and np.dtype(dtype).kind == "f" else "auto",
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
        coordinate(name, name, axis.values, parameters[name].meaning, parameters[name].unit)
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
            array(f"draws/{name}", (spec.draws,), (chunk,), ("draw",), study.dtype, np.nan, parameters[name].meaning, parameters[name].unit)
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
