"""Fresh processes: the command as a user starts it, and functions of the suites that must run alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.environment import ROOT
from sweep.shipped import configs_directory


def demo(small: bool) -> Path:
    """The config that whole runs are timed with: the demo's; in small mode, whose measurements are of no use, one that compiles at once."""
    return configs_directory() / f"{'toy_model' if small else 'davidson_houlden_2025'}.toml"


def command(arguments: list[str], cache: Path, code: int = 0) -> float:
    """Seconds that `siesweep` with these arguments takes, interpreter and all, its compilation cache in `cache`.

    Raises RuntimeError if it exits with another code than `code`.
    """
    started = time.perf_counter()
    _finished(["-c", "from sweep.cli import main; main()", *arguments], {"JAX_COMPILATION_CACHE_DIR": str(cache)}, code)
    return time.perf_counter() - started


def call(module: str, function: str, *arguments: Any, cache: Path) -> Any:
    """What a function gives in a fresh process, as JSON has it. It prints nothing itself; its arguments are JSON types."""
    source = f"import json, sys; from {module} import {function}; print(json.dumps({function}(*json.loads(sys.argv[1]))))"
    return json.loads(_finished(["-c", source, json.dumps(arguments)], {"JAX_COMPILATION_CACHE_DIR": str(cache)}, 0))


def _finished(arguments: list[str], settings: Mapping[str, str], code: int) -> str:
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    surroundings = {**os.environ, "PYTHONPATH": path, **settings}
    done = subprocess.run([sys.executable, *arguments], env=surroundings, capture_output=True, text=True, check=False)
    if done.returncode != code:
        raise RuntimeError(f"{' '.join(arguments)}: exit code {done.returncode}, not {code}\n{done.stderr[-2000:]}")
    return done.stdout
