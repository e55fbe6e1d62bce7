"""Finished cubes that tests read, and a count of the tiles that a run computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import sweep
from sweep.execute import inline
from tests.sweep.studies import plain, toy


@pytest.fixture(scope="session")
def toy_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished store of `toy()`. Read it only; copy it to change it."""
    store = tmp_path_factory.mktemp("toy") / "small.zarr"
    sweep.run(toy(), store, workers=1)
    return store


@pytest.fixture(scope="session")
def plain_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished store of `plain()`. Read it only; copy it to change it."""
    store = tmp_path_factory.mktemp("plain") / "plain.zarr"
    sweep.run(plain(), store, workers=1)
    return store


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the tiles computed from now on."""
    names: list[str] = []
    compute = inline.__dict__["compute"]

    def counting(compiled: Any, plan: Any, tile: Any, device: Any) -> Any:
        names.append(tile.name)
        return compute(compiled, plan, tile, device)

    monkeypatch.setattr(inline, "compute", counting)
    return names
