"""Compiled programs are kept between runs, and one process at a time compiles the same program: the others wait and find it kept.

JAX writes its kept programs in place, so that a reader beside the writer, or a writer that is killed, could leave a torn one. A lock for
each sweep keeps readers apart from writers; what lay there while a holder of the lock was killed is removed by the next.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax


def use_compilation_cache() -> Path:
    """Keep compiled programs between runs, where JAX keeps its cache or in the user's cache folder; returns the folder."""
    settings: Any = jax.config
    if settings.jax_compilation_cache_dir is None:
        settings.update("jax_compilation_cache_dir", str(Path.home() / ".cache" / "siesweep" / "jax"))
    settings.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    return Path(settings.jax_compilation_cache_dir)


@contextmanager
def compiling(fingerprint: str) -> Iterator[None]:
    """Held while the programs of one sweep are compiled, by one process of those that share the cache."""
    folder = use_compilation_cache()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / f"siesweep-{fingerprint[:16]}.lock").open("a+b")
    except OSError:
        # A cache that cannot be written is none.
        yield
        return
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        if lock.read():
            began = Path(lock.name).stat().st_mtime
            for entry in folder.glob("*-cache"):
                if entry.stat().st_mtime >= began:
                    entry.unlink(missing_ok=True)
            lock.truncate(0)
        lock.write(b"compiling")
        lock.flush()
        yield
        lock.truncate(0)
