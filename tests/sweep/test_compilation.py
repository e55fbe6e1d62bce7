"""The lock on kept programs: one process compiles at a time, and what a killed one may have torn is not read."""

from __future__ import annotations

import fcntl
import os

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


def test_what_a_killed_process_was_writing_is_removed(cache):
    with compiling(FINGERPRINT):
        pass
    whole, torn = cache / "whole-cache", cache / "torn-cache"
    for entry, at in ((whole, 1000), (torn, 3000)):
        entry.write_bytes(b"program")
        os.utime(entry, (at, at))
    # Killed under the lock, between the two.
    lock_of(cache).write_bytes(b"compiling")
    os.utime(lock_of(cache), (2000, 2000))
    with compiling(FINGERPRINT):
        assert whole.exists()
        assert not torn.exists()


def test_a_cache_that_cannot_be_written_is_none(tmp_path, cache):
    (tmp_path / "file").write_text("")
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "file" / "folder"))
    with compiling(FINGERPRINT):
        pass
