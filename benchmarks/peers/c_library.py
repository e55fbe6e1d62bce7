"""C by hand, compiled where there is a C compiler."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

FAST = ("-O3", "-march=native", "-mprefer-vector-width=512", "-ffast-math", "-fopenmp-simd")
"""How what is timed as a peer is compiled."""
HOW = f"compiled at {' '.join(FAST)}"
"""The same, as a table says it."""


def compiler() -> str | None:
    """A C compiler, or None."""
    return shutil.which("gcc") or shutil.which("cc")


def library(source: Path, defined: Mapping[str, object], flags: tuple[str, ...] = FAST) -> ctypes.CDLL:
    """A C file compiled with macros defined, and loaded. There must be a compiler."""
    found, macros = compiler(), [f"-D{name}={value}" for name, value in defined.items()]
    assert found is not None
    # A library that is loaded needs its file no more.
    with tempfile.TemporaryDirectory(prefix="compiled-") as folder:
        made, built = (str(Path(folder) / f"{source.stem}.{kind}") for kind in ("o", "so"))
        subprocess.run([found, *flags, "-fPIC", *macros, "-c", str(source), "-o", made], check=True, capture_output=True)
        # Linked with -ffast-math as well, the library would switch off subnormal numbers in the whole process when it is loaded.
        subprocess.run([found, "-shared", made, "-o", built, "-lmvec", "-lm"], check=True, capture_output=True)
        return ctypes.CDLL(built)
