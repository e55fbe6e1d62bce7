"""The CUDA source compiled as plain C++, whose threads run one after the other on the host."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest

from benchmarks.peers import cuda_laws


def without_a_device(precision: str, folder: Path) -> ctypes.CDLL:
    """The library for a precision, made in a folder. Skips the test where there is no C++ compiler."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("no g++")
    built = folder / f"{precision}.so"
    strict = ["-x", "c++", "-O1", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared"]
    subprocess.run([compiler, *strict, *cuda_laws.definitions(precision), str(cuda_laws.SOURCE), "-o", str(built)], check=True)
    return cuda_laws.loaded(built)
