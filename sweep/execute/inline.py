"""The inline executor: one thread a device in this process; on a CPU, one XLA device a core.

Threads only wait for XLA, which computes without Python's lock. Results go through a short queue to the caller, who writes them while
the next tiles are computed; the queue's bound keeps at most two finished tiles a device in memory.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Generator, Iterable
from typing import Any

import jax

from sweep.execute.tile import Computed, compute, program
from sweep.plan import Plan, Tile

TRIES = 2


class TileFailed(Exception):
    """A tile that failed every time it was tried; `tile` says which."""

    def __init__(self, tile: Tile, cause: BaseException) -> None:
        super().__init__(f"tile {tile.name}: {cause}")
        self.tile = tile


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def devices(workers: int | None) -> list[Any]:
    """The devices to run on: every accelerator that JAX sees, or one CPU device for each of `workers` (all cores by default)."""
    settings: Any = jax.config
    if settings.jax_num_cpu_devices < (workers or cores()):
        # Where JAX has started already, by the caller's own use, what it has is what there is.
        with contextlib.suppress(RuntimeError):
            settings.update("jax_num_cpu_devices", workers or cores())
    found = jax.devices()
    return found[:workers] if workers is not None else found


def run_tiles(plan: Plan, tiles: Iterable[Tile], on: list[Any]) -> Generator[Computed | TileFailed, None, None]:
    """Compute tiles on the devices `on`, in any order. Close it to end early: it waits for the tiles in hand."""
    compiled = program(plan)
    waiting: queue.SimpleQueue[Tile] = queue.SimpleQueue()
    for tile in tiles:
        waiting.put(tile)
    finished: queue.Queue[Computed | TileFailed | BaseException | None] = queue.Queue(maxsize=2 * len(on))
    ended = threading.Event()

    def give(result: Computed | TileFailed | BaseException | None) -> None:
        while not ended.is_set():
            try:
                return finished.put(result, timeout=0.2)
            except queue.Full:
                continue

    def work(device: Any) -> None:
        try:
            while not ended.is_set():
                try:
                    tile = waiting.get_nowait()
                except queue.Empty:
                    break
                give(_tried(tile, device))
        except BaseException as error:
            give(error)
        finally:
            give(None)

    def _tried(tile: Tile, device: Any) -> Computed | TileFailed:
        for attempt in range(TRIES):
            try:
                return compute(compiled, plan, tile, device)
            except (RuntimeError, MemoryError) as error:
                if attempt == TRIES - 1:
                    return TileFailed(tile, error)
        raise AssertionError("unreachable")

    threads = [threading.Thread(target=work, args=(device,), name=f"device-{index}", daemon=True) for index, device in enumerate(on)]
    for thread in threads:
        thread.start()
    try:
        running = len(threads)
        while running:
            result = finished.get()
            if result is None:
                running -= 1
            elif isinstance(result, (Computed, TileFailed)):
                yield result
            else:
                raise result
    finally:
        ended.set()
        for thread in threads:
            thread.join()
