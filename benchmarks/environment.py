"""What a measurement was made on and with: hardware, versions, revision, and how busy the machine was."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
_PACKAGES = ("siesweep", "jax", "jaxlib", "numpy", "xarray", "zarr", "pydantic")


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def environment() -> dict[str, Any]:
    """Hardware, versions, revision and load, as JSON types; what cannot be found out is left out or None."""
    return {
        "hardware": {"processor": _processor(), "cores": cores(), "memory_bytes": _memory()},
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {"python": platform.python_version()} | {name: found for name in _PACKAGES if (found := _version(name))},
        "revision": _revision(),
        "load_before": [round(load, 2) for load in os.getloadavg()] if hasattr(os, "getloadavg") else None,
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _line(file: str, key: str) -> str | None:
    """The value of the first line `key: value` of a file."""
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), None)


def _processor() -> str:
    wide = "avx512f" in (_line("/proc/cpuinfo", "flags") or "").split()
    name = _line("/proc/cpuinfo", "model name") or platform.processor() or platform.machine()
    return f"{name}, AVX-512" if wide else name


def _memory() -> int | None:
    kibibytes = _line("/proc/meminfo", "MemTotal")
    return int(kibibytes.split()[0]) * 1024 if kibibytes else None


def _revision() -> str | None:
    """The commit of the checkout, with "+" where files differ from it; None outside a checkout."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        return None

    def git(*arguments: str) -> str | None:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "--short=12", "HEAD")
    return commit and commit + ("+" if git("status", "--porcelain") else "")
