"""The cube on disk: a plain zarr v3 store, made, resized and written here and nowhere else. Its layout is in `layout.py`.

Empty chunks are written (zarr leaves them out by default, and a finished chunk of NaN or zeros would then be missing). A store is seen
whole or not at all; its metadata is consolidated once, when it is done.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import google_crc32c
import numpy as np

from sweep.errors import in_one_line
from sweep.hierarchy import ALWAYS_WRITE, array_names, consolidate, create_group, open_group, quiet, resize
from sweep.layout import DRAWS, allocate, slab_cells, statistics_names, tile_parts
from sweep.places import Place
from sweep.plan import Box, Plan, Tile, slices

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
        self._arrays: dict[str, Any] = {}

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
                allocate(create_group(empty, attributes), plan)
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
        root = self._root
        # Opening them costs a tile as much as writing half of them.
        if name not in self._arrays:
            self._arrays[name] = root[name].with_config(ALWAYS_WRITE)
        return self._arrays[name]

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

    def resize(self, plan: Plan) -> None:
        """Make the arrays as long as the plan's draws. Chunks behind their end stay where they are."""
        lengths = {"draw": plan.spec.draws, "block": plan.blocks, "column": len(plan.columns)}
        if plan.keep().times:
            lengths["trajectory"] = -(-plan.spec.draws // plan.keep().every)
        self._arrays.clear()
        with quiet():
            for group in ("draws", "partials", "trajectories"):
                if group not in self._root:
                    continue
                for _, array in self._root[group].arrays():
                    names = array.metadata.dimension_names
                    shape = tuple(lengths.get(name, size) for name, size in zip(names, array.shape, strict=True))
                    if shape != array.shape:
                        resize(array, shape)

    def write_tile(self, plan: Plan, tile: Tile, arrays: Mapping[str, np.ndarray]) -> dict[str, int]:
        """Write what a tile computed, for good; returns the CRC-32C of every array's part."""
        box, sizes = slices(tile.box), tuple(stop - start for start, stop in tile.box)
        crcs: dict[str, int] = {}
        sums: list[str] = []
        draws: list[str] = []
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
            crcs[name] = google_crc32c.value(_bytes_of(values))
            (draws if name.startswith(DRAWS) else sums).extend(chunks)
        self.place.settle(sums)
        # Gigabytes: kept in memory they would push out everything else, and new memory may cost more time than the disk.
        self.place.settle(draws, release=True)
        return crcs

    def crc(self, name: str, place: tuple[slice | int, ...] | None = None) -> int:
        """The CRC-32C of an array, or of a part of it, as it is read back. Raises StoreError where it cannot be read."""
        with self._reading(name):
            values = np.ascontiguousarray(self._array(name)[... if place is None else place])
        # Text has no bits of its own in an array of objects.
        content = _bytes_of(values) if values.dtype.kind not in "OTU" else "\n".join(map(str, values.ravel())).encode()
        return int(google_crc32c.value(content))

    def value(self, name: str, place: tuple[int, ...]) -> float:
        """One element of an array."""
        with self._reading(name):
            return float(self._array(name)[place])

    def make_again(self, plan: Plan, names: Iterable[str]) -> None:
        """Make those of these arrays anew, empty, that cannot be opened because their own metadata is damaged or gone; and groups that are
        gone."""
        self._arrays.clear()
        lost = set()
        for name in names:
            try:
                self._array(name)
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                lost.add(name)
        if lost:
            with quiet():
                allocate(self._root, plan, lost)

    def missing_chunks(self, name: str, place: tuple[slice | int, ...] | None = None) -> list[str]:
        """The chunks of an array, or of a part of it, that are not there; such a chunk would be read as the fill value."""
        with self._reading(name):
            array = self._array(name)
        whole = tuple(slice(0, size) for size in array.shape) if place is None else place
        with self._reading(name):
            return [chunk for chunk in _chunk_names(name, array, whole) if not self.place.has(chunk)]

    def settled_arrays(self) -> list[str]:
        """The arrays that no tile writes: coordinates, status and statistics."""
        return [name for name in array_names(self._root) if not name.startswith(("partials/", *DRAWS))]

    def settle(self, names: Iterable[str]) -> None:
        """Return once arrays, metadata and all, would survive a loss of power."""
        written: list[str] = []
        for name in names:
            array = self._array(name)
            whole = tuple(slice(0, size) for size in array.shape)
            written += [f"{name}/zarr.json", *(chunk for chunk in _chunk_names(name, array, whole) if self.place.has(chunk))]
        self.place.settle(written)

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
        width = slab_cells(plan)
        start = box[0][0] // width * width
        lengths = plan.axis_lengths
        return ((start, min(start + width, lengths[0])), *((0, length) for length in lengths[1:]))

    def empty_statistics(self, plan: Plan, slab: Box) -> dict[str, np.ndarray]:
        """Statistics and status of a slab as they are where nothing is done, by the path of their array."""
        sizes = tuple(stop - start for start, stop in slab)
        found = {}
        for name in statistics_names(plan):
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


def _bytes_of(values: np.ndarray) -> Any:
    """The bytes of a contiguous array, not copied."""
    return values.reshape(-1).view(np.uint8)


def _chunk_names(name: str, array: Any, place: tuple[slice | int, ...]) -> list[str]:
    """The files that hold a part of an array; zarr's own encoding of chunk keys, which new arrays have."""
    runs = []
    for index, size, length in zip(place, array.chunks, array.shape, strict=False):
        start, stop, _ = slice(index, index + 1).indices(length) if isinstance(index, int) else index.indices(length)
        runs.append(range(start // size, -(-stop // size)))
    # Dimensions behind those that are named are whole.
    runs += [range(-(-length // size)) for size, length in zip(array.chunks[len(place) :], array.shape[len(place) :], strict=True)]
    return ["/".join((name, "c", *map(str, chunk))) for chunk in itertools.product(*runs)]
