"""The lock on kept programs: one process compiles at a time, and what a killed one has torn is not read."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import jax
import pytest

from sweep.execute.compilation import compiling

FINGERPRINT = "0123456789abcdef0123"


@pytest.fixture
def cache(tmp_path):
    """A cache of compiled programs of its own."""
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    yield tmp_path
    jax.config.update("jax_compilation_cache_dir", before)


def lock_of(cache):
    (lock,) = cache.glob("*.lock")
    return lock


def test_it_keeps_others_out_and_leaves_no_mark(cache):
    with compiling(FINGERPRINT), lock_of(cache).open("rb") as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert lock_of(cache).read_bytes() == b""
    with lock_of(cache).open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.fixture(scope="module")
def kept():
    """A program as JAX keeps it, in the folder of all tests: JAX stays with the first folder that it writes to."""

    def alone(x):
        return 3 * x

    seconds = jax.config.jax_persistent_cache_min_compile_time_secs
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.jit(alone)(1.0)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", seconds)
    (entry,) = Path(os.environ["SIESWEEP_TESTS"]).glob("jit_alone-*-cache")
    return entry.read_bytes()


def test_what_a_killed_process_has_torn_is_removed(cache, kept):
    with compiling(FINGERPRINT):
        pass
    entries = {
        # Torn by somebody else, or on its way.
        "earlier-cache": (kept[:100], 1000),
        "whole-cache": (kept, 3000),
        "torn-cache": (kept[:-1], 3000),
        "empty-cache": (b"", 3000),
    }
    for name, (content, at) in entries.items():
        (cache / name).write_bytes(content)
        os.utime(cache / name, (at, at))
    # Killed under the lock.
    lock_of(cache).write_bytes(b"compiling")
    os.utime(lock_of(cache), (2000, 2000))
    with compiling(FINGERPRINT):
        assert {entry.name for entry in cache.glob("*-cache")} == {"earlier-cache", "whole-cache"}


def test_a_cache_that_cannot_be_written_is_none(tmp_path, cache):
    (tmp_path / "file").write_text("")
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "file" / "folder"))
    with compiling(FINGERPRINT):
        pass


def test_a_cache_that_cannot_be_locked_is_none(cache, monkeypatch):
    def refuse(file, kind):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with compiling(FINGERPRINT):
        pass
    assert lock_of(cache).read_bytes() == b""
