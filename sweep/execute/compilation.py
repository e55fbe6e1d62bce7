"""Compiled programs are kept between runs, and one process at a time compiles the same program: the others wait and find it kept.

JAX writes its kept programs in place and never again: a reader beside the writer may find a torn one, and one that a killed writer left is
compiled again, with a warning, by every process to come. A lock for each sweep keeps readers apart from writers; where its holder was
killed, the next one removes what was torn since.
"""

from __future__ import annotations

import fcntl
import importlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
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
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context((folder / f"siesweep-{fingerprint[:16]}.lock").open("a+b"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError:
            # A cache that cannot be written is none; where files cannot be locked, each process compiles for itself.
            yield
            return
        lock.seek(0)
        if lock.read():
            began = Path(lock.name).stat().st_mtime
            for entry in folder.glob("*-cache"):
                # Others may remove it too.
                with suppress(FileNotFoundError):
                    if entry.stat().st_mtime >= began and not _is_whole(entry.read_bytes()):
                        entry.unlink()
            lock.truncate(0)
        lock.write(b"compiling")
        lock.flush()
        yield
        lock.truncate(0)


def _is_whole(kept: bytes) -> bool:
    """Whether a kept program can be decompressed to its end: as JAX does it, by the first of these modules that there is."""
    for name in ("compression.zstd", "zstandard", "zlib"):
        with suppress(ImportError):
            decompress = importlib.import_module(name).decompress
            break
    try:
        decompress(kept)
    except Exception:
        # Each has an error of its own.
        return False
    return True
