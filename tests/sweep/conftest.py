"""Finished cubes that tests read, and a count of the tiles that a run computes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import sweep
from kernels import gradients
from kernels.program import TileProgram
from sweep.execute import inline
from sweep.plan import Plan
from tests.sweep.s3 import s3_server
from tests.sweep.studies import plain, toy

_PROGRAMS: dict[Any, TileProgram] = {}


@pytest.fixture(autouse=True, scope="session")
def programs_are_compiled_once() -> Iterator[None]:
    """One program for all runs of the same study in the same tiles: tracing and compiling it is most of what a small run takes."""
    program = inline.__dict__["program"]

    def once(plan: Plan) -> TileProgram:
        # Counted steps decide in which order draws are solved. A test that replaces how trajectories are judged has programs of its own.
        key = (plan.spec.fingerprint(), plan.policy.shape(), plan.keep(), plan.study.counted, gradients.evaluate)
        if key not in _PROGRAMS:
            _PROGRAMS[key] = program(plan)
        return _PROGRAMS[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inline, "program", once)
        yield


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


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of an object store with an empty bucket, to which the environment leads."""
    with s3_server() as address:
        yield address


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
