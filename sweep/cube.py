"""Opening a cube: the store as an xarray DataTree. Any zarr v3 reader does as well; this one says what is wrong when something is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from sweep.errors import in_one_line
from sweep.hierarchy import quiet, zarr_store
from sweep.identity import FORMAT_VERSION
from sweep.places import Place, PlaceError, place_of
from sweep.places.place import VERSIONED, VERSIONS

_KEPT = ("status", "bin_lower", "bin_upper")


class CubeError(Exception):
    """A cube that cannot be opened."""


def attributes(place: Place) -> dict[str, Any]:
    """The attributes of the cube's root, as they are now. Raises CubeError where they cannot be read."""
    content = place.read("zarr.json")
    if content is None and not place.one_writer and place.has(VERSIONS):
        raise CubeError(f"{place.address}: an icechunk repository; write {VERSIONED}{place.address}")
    if content is None:
        raise CubeError(f"{place.address}: no cube there; make one with `siesweep run CONFIG -o {place.address}`")
    try:
        found: dict[str, Any] = json.loads(content)["attributes"]
        ours = {"format_version", "complete", "draws", "spec"} <= found.keys()
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CubeError(f"{place.address}: its zarr.json cannot be read; restore it, or move the store away and run again") from None
    if not ours:
        raise CubeError(f"{place.address}: a zarr store, but not a sweep's")
    if found["format_version"] > FORMAT_VERSION:
        newer = f"(format {found['format_version']}; this one knows {FORMAT_VERSION})"
        raise CubeError(f"{place.address}: made by a newer siesweep {newer}; update siesweep")
    return found


def open_cube(store: str | Path | Place, allow_partial: bool = False) -> xr.DataTree:
    """The cube at `store`, a path or URL, read lazily.

    Groups: /statistics and one below it for each numeric outcome, /draws, /trajectories, /partials, /provenance (see docs/cube.md).
    One that is not finished is opened with `allow_partial` only. Its status (axes…) says which cells are done; in the others, numbers are
    NaN, counts 0 and flags False. Raises CubeError where there is no cube, or where it is not finished.
    """
    place = store if isinstance(store, Place) else place_of(store)
    try:
        complete = attributes(place).get("complete")
        if not complete and not allow_partial:
            raise CubeError(
                f"{place.address}: not finished; `siesweep run` on its config goes on, `siesweep status {place.address}` says how far "
                "it is, and open_cube(…, allow_partial=True) opens the cells that are done"
            )
        # Where the metadata are not in one place yet, zarr looks into every folder, and wonders at the ledger's.
        with quiet():
            held = zarr_store(place, read_only=True)
            tree = xr.open_datatree(held, engine="zarr", consolidated=bool(complete) and held.supports_consolidated_metadata)
    except PlaceError as error:
        raise CubeError(str(error)) from None
    except OSError as error:
        raise CubeError(f"{error.filename or place.address}: cannot be read ({error.strerror or error})") from None
    except place.errors as error:
        raise CubeError(f"{place.address}: cannot be read ({in_one_line(error)})") from None
    return tree if complete else _masked(tree)


def _masked(tree: xr.DataTree) -> xr.DataTree:
    """A tree in which what belongs to cells that are not done is missing."""
    done = tree.to_dataset()["status"].load() == 1

    def masked(dataset: xr.Dataset) -> xr.Dataset:
        return dataset.assign({name: _where(variable, done) for name, variable in dataset.data_vars.items() if name not in _KEPT})

    groups = {node.path: masked(node.to_dataset(inherit=False)) for node in tree.subtree}
    return xr.DataTree.from_dict(groups)


def _where(variable: xr.DataArray, done: xr.DataArray) -> xr.DataArray:
    if not set(done.dims) <= set(variable.dims):
        return variable
    missing: Any = np.nan if np.issubdtype(variable.dtype, np.floating) else variable.dtype.type(0)
    # The kind of a variable is what it was: counts stay counts.
    return variable.where(done, missing).astype(variable.dtype).assign_attrs(variable.attrs).transpose(*variable.dims)
