"""Imports point one way: kernels <- sweep <- benchmarks, and a library that we may want to change lives in one file."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(path for package in ("kernels", "sweep", "benchmarks") for path in (ROOT / package).rglob("*.py"))
ONLY_IN = {
    "dask": "sweep/execute/cluster.py",
    "distributed": "sweep/execute/cluster.py",
    "zarr": "sweep/hierarchy.py",
    "obstore": "sweep/places/bucket.py",
    "icechunk": "sweep/places/versioned.py",
    "click": "sweep/cli.py",
}
READING_WING = ("sweep.cube", "sweep.results", "sweep.plots")
RUNNING_WING = ("sweep.coordinator", "sweep.plan", "sweep.execute")


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _imported(source: str) -> set[str]:
    """Dotted names imported anywhere in `source`; `from a import b` gives both a and a.b, as b may be a module."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import; write the package's name"
            names |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


IMPORTED = {_module(path): _imported(path.read_text(encoding="utf-8")) for path in FILES}


def _packages(module: str) -> set[str]:
    return {name.split(".")[0] for name in IMPORTED[module]}


@pytest.mark.parametrize("module", IMPORTED)
def test_imports_point_one_way(module):
    packages = _packages(module)
    assert "tests" not in packages
    if module.startswith("sweep"):
        assert "benchmarks" not in packages
    if module.startswith("kernels"):
        assert packages <= {"kernels", "jax", "numpy", *sys.stdlib_module_names}


@pytest.mark.parametrize(("library", "home"), ONLY_IN.items())
def test_a_library_lives_in_one_file(library, home):
    users = {_module(path): path for path in FILES if library in _packages(_module(path)) and not _module(path).startswith("benchmarks")}
    assert {path.relative_to(ROOT).as_posix() for path in users.values()} <= {home}


def test_the_wings_are_there():
    assert {*READING_WING, *RUNNING_WING} <= IMPORTED.keys()


@pytest.mark.parametrize("start", READING_WING)
def test_reading_needs_nothing_that_runs(start):
    reached, waiting = set(), [start]
    while waiting:
        module = waiting.pop()
        reached.add(module)
        # `sweep` itself exports both wings, so it is not followed.
        waiting += [name for name in IMPORTED[module] & IMPORTED.keys() - reached if name != "sweep"]
    assert not [module for module in reached if module.startswith(RUNNING_WING)]
