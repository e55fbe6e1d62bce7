"""A process held to some of its cores, so that what is called one core is one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def can_be_held() -> bool:
    """Whether this system has what `held_to` needs: Linux."""
    return hasattr(os, "sched_setaffinity") and Path("/proc/self/task").is_dir()


@contextmanager
def held_to(count: int) -> Iterator[None]:
    """Meanwhile every thread of this process runs on so many of its cores. XLA has threads of its own, which would use the others, too."""
    every = os.sched_getaffinity(0)
    _hold(set(sorted(every)[:count]))
    try:
        yield
    finally:
        _hold(every)


def _hold(few: set[int]) -> None:
    for thread in Path("/proc/self/task").iterdir():
        # One may have ended meanwhile.
        with suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread.name), few)
