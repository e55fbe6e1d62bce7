"""What the suite `gpu` does with a CUDA device, where none is: its kernels by hand run on the host, numba-cuda's in numba's simulator."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.laws import LAWS, NOISY, TOLERANCE
from benchmarks.peers import cuda_laws
from benchmarks.suites import gpu
from kernels.sampling import LogUniform
from sweep.plan import study_of
from sweep.shipped import configs_directory
from sweep.spec import load
from tests.benchmarks.plain_cuda import without_a_device
from tests.compiling import FLAGS

ROOT = Path(__file__).resolve().parents[2]

CONTENDERS = """
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path
from benchmarks.bare import Tiles, devices
from benchmarks.peers import cuda_laws
from benchmarks.suites import gpu
from tests.benchmarks.plain_cuda import without_a_device

library = without_a_device("float32", Path(sys.argv[1]))
cuda_laws.library = lambda precision, fast: library
size, on = replace(gpu._SMALL, by_hand=16), devices()[:1]
dates, windows, labour = islice(gpu._problems("float32", size), 3)
for problem in (dates, labour):
    tiles = Tiles(size.cut(problem.study), size.blocks, on)
    table, found = gpu._measured(problem, tiles, "float32", size, on, {"diffrax": "not installed"})
    rows = {row["what"]: row for row in table.rows}
    assert list(rows) == ["kernel", "whole tile program", "CUDA C", "numba-cuda"], rows
    assert all(row["error"] < 1e-5 for row in rows.values()), rows
    assert found["CUDA C"]["median"] > 0 and found["numba-cuda"]["median"] > 0
    assert table.notes[1] == "Left out: diffrax (not installed).", table.notes
    figures = gpu._figures(problem, found)
    assert [figure["reached"] is None for figure in figures] == [False] * len(figures), figures
"""


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_every_problem_has_its_kernel_by_hand(precision, tmp_path, monkeypatch):
    library = without_a_device(precision, tmp_path)
    monkeypatch.setattr(cuda_laws, "library", lambda *_: library)
    size = dataclasses.replace(gpu._SMALL, laws=len(LAWS))
    without = []
    for problem in gpu._problems(precision, size):
        errors = [problem.error(answers()) for _, answers, _, _ in gpu._cuda(problem, precision, size)]
        if not errors:
            without.append(problem.name)
        else:
            # With and without approximations, each at settings that reach the matched error at last.
            assert sum(error <= TOLERANCE[precision] for error in errors) == 2, (problem.name, errors)
    assert without == [f"five states: reaction of policy, hardware loop, {precision}"]


@pytest.mark.slow
def test_kernels_by_hand_are_contenders(tmp_path):
    pytest.importorskip("numba")
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT), "XLA_FLAGS": FLAGS, "NUMBA_ENABLE_CUDASIM": "1"}
    done = subprocess.run(
        [sys.executable, "-c", CONTENDERS, str(tmp_path)], cwd=ROOT, env=surroundings, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_what_is_missing_is_left_out_by_name(monkeypatch):
    monkeypatch.setattr(gpu.importlib.util, "find_spec", lambda name: None)
    cpu = gpu._missing(SimpleNamespace(platform="cpu"))
    assert cpu == {"diffrax": "not installed", "CUDA C": "no CUDA device", "numba-cuda": "no CUDA device"}
    monkeypatch.setattr(cuda_laws, "nvcc", lambda: None)
    accelerator = gpu._missing(SimpleNamespace(platform="gpu"))
    assert accelerator == {"diffrax": "not installed", "CUDA C": "no nvcc", "numba-cuda": "not installed"}


def test_the_noisy_law_is_that_of_the_config():
    """Where the config has an axis, its draws cover it."""
    theirs, ours = study_of(load(configs_directory() / "noise.toml")), NOISY.study("float32")
    assert ours.options == theirs.options
    assert dict(ours.design.distributions)["initial_doubling_time"] == dict(theirs.design.distributions)["initial_doubling_time"]
    assert isinstance(dict(ours.design.distributions)["initial_doubling_time"], LogUniform)
    drawn = {"initial_doubling_time", *theirs.axes}
    assert {name for name, _ in NOISY.drawn} == drawn
    for name, value in theirs.bounds.items():
        assert ours.bounds[name] == value, name
    assert (ours.outcomes.doublings, ours.outcomes.times) == (theirs.outcomes.doublings, theirs.outcomes.times)
