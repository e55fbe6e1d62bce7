"""Small studies that compile in seconds, and what tests of the engine ask of their cubes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr

import sweep
from sweep import coordinator, ledger
from sweep.places import Folder
from sweep.spec import Spec, loads

TOY = """
[sweep]
name = "small"
model = "toy_model"
draws = 1400        # five blocks and a part of the sixth
seed = 3
block = 256
replicates = 4

[parameters]
initial_agis = { uniform = [0.5, 2] }
papers_per_agi_month = { lognormal = { ci80 = [0.5, 2] } }
horizon = 24

[axes]
paper_growth_factor = { values = [1.5, 2, 3] }
papers_for_first_doubling = { log = [1, 4], points = 2 }

[outcomes]
doublings = [3, 6]
times = [12]
windows = [ { name = "two_in_2_months", months = 2, doublings = 2 } ]
regime = true

[statistics]
bins_per_octave = 8
quantiles = [0.1, 0.5, 0.9]

[store]
draws = "trajectories"
trajectories_every = 64
trajectories_times = 5

[run]
tile = 600
"""

PLAIN = """
[sweep]
name = "plain"
model = "toy_model"
draws = 1024
block = 256
replicates = 4

[parameters]
initial_agis = { uniform = [0.5, 2] }
horizon = 24

[outcomes]
doublings = [3]

[statistics]
bins_per_octave = 8

[run]
tile = 256
"""


def toy(**changes: Any) -> Spec:
    """The study with two axes and everything that a cube can hold, with some dotted keys (__ for the dot) changed."""
    return loads(TOY, "small.toml").replace({key.replace("__", "."): value for key, value in changes.items()})


def plain(**changes: Any) -> Spec:
    """The cheapest study: no axes, one outcome, four tiles."""
    return loads(PLAIN, "plain.toml").replace({key.replace("__", "."): value for key, value in changes.items()})


def journal(store: Path, launcher: str = "whole") -> Path:
    """The file of a launcher's ledger."""
    return store / "ledger" / f"{launcher}.jsonl"


def receipts(store: Path) -> dict[str, dict[str, Any]]:
    """The receipts in a store's ledgers, by tile."""
    return ledger.read(Folder(store)).receipts


def records(store: Path, launcher: str = "whole") -> list[dict[str, Any]]:
    """What a launcher's ledger says, line by line."""
    found = [ledger.opened(line) for line in journal(store, launcher).read_bytes().splitlines()]
    return [record for record in found if record is not None]


def rewrite(store: Path, kept: list[dict[str, Any]], launcher: str = "whole") -> None:
    """Replace a launcher's ledger."""
    journal(store, launcher).write_bytes(b"".join(ledger.sealed(record) + b"\n" for record in kept))


def contents(store: Path) -> dict[str, np.ndarray]:
    """All that must not depend on how a sweep was run: every array, with the histograms of columns of tiles summed over the columns."""
    found = {}
    # Array by array, not by the consolidated metadata: what lies on the disk now.
    for file in sorted(store.rglob("zarr.json")):
        if json.loads(file.read_text())["node_type"] != "array":
            continue
        array: Any = zarr.open_array(file.parent, mode="r")
        values = np.asarray(array[...])
        if file.parent.name.startswith("histogram_"):
            values = values.sum(array.metadata.dimension_names.index("column"), dtype=np.int64)
        found[f"/{file.parent.relative_to(store)}"] = values
    return found


def assert_same_bits(first: Path, second: Path) -> None:
    """The cubes in two folders are the same, bit for bit."""
    _assert_same(contents(first), contents(second))


def assert_same_cubes(first: str | Path, second: str | Path) -> None:
    """The finished cubes of two stores, wherever they lie, are the same as they are read, bit for bit."""
    _assert_same(_read(sweep.open_cube(first)), _read(sweep.open_cube(second)))


def _read(cube: xr.DataTree) -> dict[str, np.ndarray]:
    found = {}
    for node in cube.subtree:
        for name, variable in node.to_dataset(inherit=False).variables.items():
            values = variable.sum("column", dtype=np.int64) if "column" in variable.dims else variable
            found[f"{node.path}/{name}"] = values.to_numpy()
    return found


def _assert_same(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    assert ours.keys() == theirs.keys()
    differing = [
        name
        for name, values in ours.items()
        if values.dtype != theirs[name].dtype or values.shape != theirs[name].shape or values.tobytes() != theirs[name].tobytes()
    ]
    # Text has no bits of its own in an array of objects.
    differing = [name for name in differing if ours[name].dtype.kind not in "OTU" or not np.array_equal(ours[name], theirs[name])]
    assert not differing


def shards_without_a_last(store: Path | str, monkeypatch: Any) -> None:
    """Both shards of the plain study, neither of which finishes the sweep; the next one to end has little patience with others."""
    with monkeypatch.context() as patch:
        patch.setattr(coordinator, "merge", lambda *_, **__: False)
        for number in (1, 2):
            sweep.run(plain(), store, workers=1, shard=(number, 2))
    monkeypatch.setattr(coordinator, "_SHARDS_PATIENCE", 0.1)
