"""What a worker of the dask executor does when it is asked: take a job, compile, compute and write a tile. Dask itself is not known here.

A worker computes one tile and writes another beside it, in two threads. It may outlive its coordinator, and serve others at the same time.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from typing import Any

import jax

from sweep.errors import in_one_line
from sweep.execute.compilation import compiling
from sweep.execute.tile import Job, Receipt, compute, kind_of, program, written
from sweep.execute.tuning import chosen
from sweep.places import place_of
from sweep.plan import Tile
from sweep.store import CubeStore

_MOST_HELD = 4


class _Held:
    """A job as a worker has it: its plan, its store and its program, for every tile to come."""

    def __init__(self, job: Job) -> None:
        self.address = job.address
        self.plan = job.plan()
        self.device = jax.local_devices()[0]
        self.store = CubeStore(place_of(job.address))
        default = program(self.plan)
        self.program = chosen(default, self.plan, self.device) or default
        self.computing = threading.Lock()
        self.busy = 0
        self.ended = False

    @contextmanager
    def in_hand(self) -> Iterator[None]:
        with _LOCK:
            self.busy += 1
        try:
            yield
        finally:
            with _LOCK:
                self.busy -= 1


_HELD: dict[str, _Held] = {}
_LOCK = threading.Lock()


def join(token: str, job: Job) -> dict[str, Any]:
    """Take a job. Ends an earlier one on the same store first, whose coordinator was killed: no two may write."""
    with _LOCK:
        earlier = [each for each in _HELD.values() if each.address == job.address]
    for held in earlier:
        held.ended = True
        while held.busy:
            time.sleep(0.01)
    held = _Held(job)
    with _LOCK:
        for old in [name for name, each in _HELD.items() if each.ended or not each.busy][: max(0, len(_HELD) + 1 - _MOST_HELD)]:
            # Of a coordinator that was killed; where it lives, the worker is asked to join again.
            del _HELD[old]
        _HELD[token] = held
    return {"kind": kind_of(held.device), "siesweep": metadata.version("siesweep"), "devices": jax.local_device_count()}


def kind_here() -> dict[str, str]:
    """What bits depend on beside the spec, in this process."""
    return kind_of(jax.local_devices()[0])


def warm(token: str) -> None:
    """Compile, or find it kept."""
    held = _HELD[token]
    with compiling(held.plan.spec.fingerprint()):
        held.program.compile(held.device)


def receipt_of(token: str, tile: Tile) -> Receipt | str | None:
    """A tile's receipt; text that says why it could not be computed; None where the job is not (or no longer) held here."""
    held = _HELD.get(token)
    if held is None:
        return None
    with held.in_hand():
        with held.computing:
            if held.ended:
                return None
            try:
                computed = compute(held.program, held.plan, tile, held.device)
            except (RuntimeError, MemoryError) as error:
                return in_one_line(error)
        return None if held.ended else written(held.plan, held.store, computed)


async def leave(token: str) -> None:
    """Drop a job; returns when nothing is being written for it any more."""
    with _LOCK:
        held = _HELD.pop(token, None)
    if held is not None:
        held.ended = True
        while held.busy:
            await asyncio.sleep(0.01)
