"""Every suite runs in its small mode, in a process of its own, so that none rots."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from benchmarks import SUITES, main
from tests.compiling import FLAGS

ROOT = Path(__file__).resolve().parents[2]
ONLY_JAX = ["zarr", "dask", "distributed", "pydantic", "xarray", "rich", "click", "matplotlib", "numba", "sweep"]

# A machine that has only JAX and what it needs runs some suites: everything else is made impossible to import.
HIDDEN = dict.fromkeys(("kernels", "roofline", "gpu", "programs"), ONLY_JAX)

WHOLE_SWEEPS = ("pipeline", "memory", "scaling")
"""Their programs run long enough to be compiled well."""


def _python(*arguments, flags=""):
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT), "XLA_FLAGS": flags}
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, env=surroundings, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("suite", SUITES)
def test_a_suite_runs_in_small_mode(suite):
    hidden = HIDDEN.get(suite, [])
    source = f"import sys; sys.modules.update(dict.fromkeys({hidden})); import benchmarks.__main__ as command; sys.exit(command.command())"
    # What is measured in small mode is of no use, so programs that run briefly need not be fast.
    done = _python("-c", source, suite, "--small", "--json", flags="" if suite in WHOLE_SWEEPS else FLAGS)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)[suite]
    assert record["small"]
    assert record["environment"]["hardware"]["cores"] >= 1
    # The tables are shown, too, where they do not mix with the record.
    for table in record["tables"]:
        assert table["rows"]
        assert table["title"] in done.stderr
    for table in record["tables"]:
        for row in table["rows"]:
            for column in table["columns"]:
                if column["kind"] in ("rate", "seconds") and row[column["key"]] is not None:
                    value = row[column["key"]]
                    assert (value["low"] if isinstance(value, dict) else value) > 0
    if suite == "kernels":
        ratios = [row for table in record["tables"] if table["title"].endswith("ratios") for row in table["rows"]]
        assert len(ratios) == 7
        # All contenders reach the matched error, so that no ratio is withheld.
        assert all(row["ratio"] is not None for row in ratios), ratios
    if suite == "pipeline":
        assert [row["figure"] for row in record["tables"][0]["rows"]][-1].endswith("of a finished sweep of 64 tiles")


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="an accelerator")
def test_without_an_accelerator_its_suite_is_left_out(capsys):
    assert main("gpu", None) == 1
    assert capsys.readouterr().err == "benchmarks: gpu is left out: JAX sees no accelerator here\n"


@pytest.mark.skipif(importlib.util.find_spec("jax_plugins") is not None, reason="a plugin of JAX's")
def test_without_a_compiler_for_gpus_its_suite_is_left_out(capsys):
    assert main("programs", None) == 1
    assert capsys.readouterr().err.startswith("benchmarks: programs is left out: JAX's plugin for CUDA is not installed")
