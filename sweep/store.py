"""The cube on disk: a plain zarr v3 store, made, grown and written here and nowhere else.

    /                      axes as coordinates, status(axes…) 0 not run, 1 done, 2 failed; the spec and the measured error as attributes
    /statistics            probability(axes…, outcome), probability_se
    /statistics/<outcome>  mean, mean_se, quantile_value(axes…, quantile), quantile_se, probability_finite, histogram(axes…, bin)
    /draws                 parameters (draw) and outcomes (axes…, draw)
    /trajectories          doublings(axes…, time, trajectory) of one draw in so many
    /partials              sums a block and histograms a column of tiles, from which the statistics are made and the sweep is extended
    /provenance            versions, times and devices, as attributes

A tile owns whole chunks of every array that it writes. Empty chunks are written (zarr leaves them out by default, and a finished chunk of
NaN or zeros would then be missing). A store is made under a temporary name and renamed; its metadata is consolidated once, when it is done.
"""

from __future__ import annotations

import os
import shutil
import warnings
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.errors import ZarrUserWarning

from kernels.outcomes import Label
from sweep.plan import Plan, Tile, histogram_dtype

_ALWAYS_WRITE: Any = {"write_empty_chunks": True}


class StoreError(Exception):
    """A store that cannot be made, read or written."""


class CubeStore:
    """A store on a local disk, open for reading and writing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with _quiet():
            # Unconsolidated: arrays may be added and grow until the sweep is done.
            self._root: Any = zarr.open_group(path, mode="r+", use_consolidated=False)

    @staticmethod
    def create(path: Path, plan: Plan, attributes: Mapping[str, Any], begin: Any) -> CubeStore:
        """Make the store of a plan at `path`, which must not exist. `begin(folder)` adds what else a new store holds."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            with _quiet():
                root = zarr.create_group(temporary, zarr_format=3, attributes=dict(attributes))
                _allocate(root, plan)
            begin(temporary)
            temporary.rename(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return CubeStore(path)

    @property
    def attributes(self) -> dict[str, Any]:
        return dict(self._root.attrs)

    def set_attributes(self, attributes: Mapping[str, Any], group: str = "") -> None:
        """Set attributes of a group; None removes one."""
        held = (self._root[group] if group else self._root).attrs
        held.put({name: value for name, value in {**held, **attributes}.items() if value is not None})

    def _array(self, name: str) -> Any:
        array: Any = self._root[name]
        return array.with_config(_ALWAYS_WRITE)

    def grow(self, plan: Plan) -> None:
        """Make room for more draws."""
        lengths = {"draw": plan.spec.draws, "block": plan.blocks, "column": plan.columns}
        if plan.keep().times:
            lengths["trajectory"] = -(-plan.spec.draws // plan.keep().every)
        with _quiet():
            for group in ("draws", "partials", "trajectories"):
                if group not in self._root:
                    continue
                for _, array in self._root[group].arrays():
                    names = array.metadata.dimension_names
                    shape = tuple(lengths.get(name, size) for name, size in zip(names, array.shape, strict=True))
                    if shape != array.shape:
                        array.resize(shape)

    def write_tile(self, plan: Plan, tile: Tile, arrays: Mapping[str, np.ndarray]) -> dict[str, int]:
        """Write what a tile computed; returns the CRC-32 of every array's part."""
        box = tuple(slice(start, stop) for start, stop in tile.box)
        sizes = tuple(stop - start for start, stop in tile.box)
        blocks = slice(tile.first_block, tile.first_block + tile.blocks)
        first_draw = tile.first_block * plan.spec.block
        draws = slice(first_draw, first_draw + tile.draws)
        crcs: dict[str, int] = {}

        def put(name: str, place: tuple[slice | int, ...], part: np.ndarray) -> None:
            array = self._array(name)
            part = np.ascontiguousarray(part.astype(array.dtype, copy=False))
            array[place] = part
            crcs[name] = zlib.crc32(part.tobytes())

        def boxed(values: np.ndarray) -> np.ndarray:
            """Cells (of which a tile at the edge has fewer than its program) unfolded to the axes."""
            return values[: tile.cells].reshape(*sizes, *values.shape[1:])

        for name, values in arrays.items():
            kind, _, label = name.partition("/")
            if kind == "histogram":
                put(f"partials/histogram_{label}", (*box, tile.column), boxed(values))
            elif kind == "parameter":
                # The same in every cell: the tile of the first box writes it.
                if all(start == 0 for start, _ in tile.box):
                    put(f"draws/{label}", (draws,), values[: tile.draws])
            elif kind == "outcome":
                put(f"draws/{label}", (*box, draws), boxed(values)[..., : tile.draws])
            elif kind == "trajectory":
                every = plan.keep().every
                count = -(-tile.draws // every)
                put(
                    "trajectories/doublings",
                    (*box, slice(None), slice(first_draw // every, first_draw // every + count)),
                    boxed(values)[..., :count],
                )
            else:
                put(f"partials/{name}", (*box, blocks), boxed(values)[(slice(None),) * len(box) + (slice(0, tile.blocks),)])
        return crcs

    def read_partials(self, box: tuple[tuple[int, int], ...], names: Iterable[str]) -> dict[str, np.ndarray]:
        """The partial sums of a box of cells, by name, each (cells…, block or column, …)."""
        place = tuple(slice(start, stop) for start, stop in box)
        return {name: np.asarray(self._array(f"partials/{name}")[place]) for name in names}

    def write_statistics(self, box: tuple[tuple[int, int], ...], values: Mapping[str, np.ndarray]) -> None:
        """Write the statistics of a box of cells; names are paths below the root."""
        place = tuple(slice(start, stop) for start, stop in box)
        for name, part in values.items():
            self._array(name)[place] = part

    def mark_failed(self, tile: Tile) -> None:
        """Set the status of a tile's cells to failed."""
        self._array("status")[tuple(slice(start, stop) for start, stop in tile.box)] = 2

    def finish(self) -> None:
        """Write the metadata of all arrays in one place, and then that the cube is complete: last, when nothing will change any more."""
        with _quiet():
            zarr.consolidate_metadata(self.path, zarr_format=3).attrs["complete"] = True


class _quiet(warnings.catch_warnings):
    """zarr warns of our ledger beside its files, and that consolidated metadata is not yet in the v3 text; both are meant."""

    def __enter__(self) -> Any:
        entered = super().__enter__()
        warnings.simplefilter("ignore", ZarrUserWarning)
        return entered


def _allocate(root: Any, plan: Plan) -> None:
    """All arrays of a plan, empty."""
    spec, study, keep = plan.spec, plan.study, plan.keep()
    axes, lengths, box = tuple(spec.axes), plan.axis_lengths, plan.policy.box
    parameters = {parameter.name: parameter for parameter in study.model.parameters}

    def array(
        name: str, shape: tuple[int, ...], chunks: tuple[int, ...], dims: tuple[str, ...], dtype: Any, fill: Any, long_name: str, units: str
    ) -> Any:
        return root.create_array(
            name,
            shape=shape,
            chunks=tuple(max(1, size) for size in chunks),
            dtype=dtype,
            fill_value=fill,
            dimension_names=dims,
            attributes={"long_name": long_name, "units": units},
            config=_ALWAYS_WRITE,
        )

    def cells(name: str, extra: tuple[tuple[str, int], ...], dtype: Any, fill: Any, long_name: str, units: str) -> None:
        dims, sizes = tuple(dim for dim, _ in extra), tuple(size for _, size in extra)
        array(name, (*lengths, *sizes), (*lengths, *sizes), (*axes, *dims), dtype, fill, long_name, units)

    def coordinate(name: str, dim: str, values: Any, long_name: str, units: str, dtype: Any = "f8") -> None:
        made = array(name, (len(values),), (len(values),), (dim,), dtype, None if dtype == "str" else 0, long_name, units)
        if len(values):
            made[:] = np.asarray(values, dtype=object if dtype == "str" else None)

    for name, axis in spec.axes.items():
        coordinate(name, name, axis.values, parameters[name].meaning, parameters[name].unit)
    cells("status", (), "i1", 0, "0 not run, 1 done, 2 failed", "1")

    flags = [label.name for label in study.flags]
    root.create_group("statistics")
    coordinate("statistics/outcome", "outcome", flags, "outcome", "1", "str")
    if spec.statistics.probability:
        outcomes = (("outcome", len(flags)),)
        cells("statistics/probability", outcomes, "f8", np.nan, "probability of the outcome", "1")
        cells("statistics/probability_se", outcomes, "f8", np.nan, "standard error of the probability", "1")
    for label in study.numbers:
        _allocate_number(root, plan, label, cells, coordinate)

    root.create_group("partials")
    partials: list[tuple[str, tuple[tuple[str, int], ...], Any, Any]] = [
        ("valid", (("replicate", spec.replicates),), "i4", 0),
        ("failed", (("replicate", spec.replicates),), "i4", 0),
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
        shape, chunks = (*lengths, plan.blocks, *sizes), (*box, plan.policy.blocks, *sizes)
        array(f"partials/{name}", shape, chunks, (*axes, "block", *dims), dtype, fill, f"{name} of a block", "1")
    if keep.histograms:
        for label in study.numbers:
            sizes = (spec.replicates, study.bins(label).count)
            name, dims = f"partials/histogram_{label.name}", (*axes, "column", "replicate", f"bin_{label.name}")
            counts = histogram_dtype(plan)
            array(name, (*lengths, plan.columns, *sizes), (*box, 1, *sizes), dims, counts, 0, f"histogram of {label.long_name}", "draws")

    if keep.draws:
        root.create_group("draws")
        chunk = plan.chunk_draws
        for name, _ in study.design.distributions:
            array(f"draws/{name}", (spec.draws,), (chunk,), ("draw",), study.dtype, np.nan, parameters[name].meaning, parameters[name].unit)
        for label in study.labels:
            kind, fill = ("bool", False) if label.kind == "flag" else (study.dtype, np.nan)
            shape, chunks = (*lengths, spec.draws), (*box, chunk)
            array(f"draws/{label.name}", shape, chunks, (*axes, "draw"), kind, fill, label.long_name, label.unit)
    if keep.times:
        root.create_group("trajectories")
        coordinate("trajectories/time", "time", keep.times, "time since the start", "months")
        count, chunk = -(-spec.draws // keep.every), max(1, plan.policy.blocks * spec.block // keep.every)
        shape, chunks = (*lengths, len(keep.times), count), (*box, len(keep.times), chunk)
        dims = (*axes, "time", "trajectory")
        array("trajectories/doublings", shape, chunks, dims, study.dtype, np.nan, "doublings of software since the start", "doublings")
        root["trajectories"].attrs["draws_a_trajectory"] = keep.every
    root.create_group("provenance")


def _allocate_number(root: Any, plan: Plan, label: Label, cells: Any, coordinate: Any) -> None:
    statistics, group = plan.spec.statistics, f"statistics/{label.name}"
    root.create_group(group, attributes={"long_name": label.long_name, "units": label.unit})
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
