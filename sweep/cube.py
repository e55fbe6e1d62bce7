"""Opening a cube: the store as an xarray DataTree. Any zarr v3 reader does as well; this one says what is wrong when something is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import xarray as xr


class CubeError(Exception):
    """A cube that cannot be opened."""


def attributes(store: Path) -> dict[str, Any]:
    """The attributes of the cube's root, as they are now. Raises CubeError where they cannot be read."""
    file = store / "zarr.json"
    if not file.is_file():
        raise CubeError(f"{store}: no cube there; make one with `siesweep run CONFIG -o {store}`")
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))["attributes"]
        ours = {"format_version", "complete", "draws", "spec"} <= found.keys()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise CubeError(f"{store}: its zarr.json cannot be read; restore it, or move the store away and run again") from None
    if not ours:
        raise CubeError(f"{store}: a zarr store, but not a sweep's")
    return found


def open_cube(store: str | Path) -> xr.DataTree:
    """The cube at `store`, read lazily.

    Groups: /statistics and one below it for each numeric outcome, /draws, /trajectories, /partials, /provenance (see docs/cube.md).
    Raises CubeError where there is none, or where it is not finished.
    """
    path = Path(store)
    if not attributes(path).get("complete"):
        raise CubeError(f"{path}: not finished; `siesweep run` on its config goes on, `siesweep status {path}` says how far it is")
    return xr.open_datatree(path, engine="zarr")
