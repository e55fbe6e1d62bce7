"""The inline executor, in this process: two threads for each accelerator, or one for each core.

Threads only wait for XLA, which computes without Python's lock: an accelerator has its next tile queued while the arrays of one are brought
to the host. Results go through a short queue to the caller, where they are written while the next tiles are computed; the queue's bound
keeps at most two finished tiles a device in memory.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from kernels.devices import devices as of_workers
from sweep.errors import in_one_line
from sweep.execute.compilation import compiling
from sweep.execute.tile import Computed, Receipt, TileFailed, compute, kind_of, program, written
from sweep.execute.tuning import tuned
from sweep.plan import Plan, Tile
from sweep.store import CubeStore

TRIES = 2
_TILES_OF_AN_ACCELERATOR = 2
"""Tiles in its hand: one that is computed, and one before or after."""


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def devices(workers: int | None) -> list[Any]:
    """The device of each tile that is computed at the same time: those of `workers`, or of all that there are."""
    return of_workers(workers, cores())


class Inline:
    """Tiles on devices of this process."""

    def __init__(self, plan: Plan, store: CubeStore, on: list[Any], announce: Callable[[str], None]) -> None:
        self._plan, self._store, self._on, self._announce = plan, store, on, announce
        self.kind = kind_of(on[0])

    def receipts(self, chains: Sequence[Sequence[Tile]]) -> Generator[Receipt | TileFailed, None, None]:
        """Compute and write tiles, in any order but for that of each chain. Close it to end early: it waits for the tiles in hand."""
        with contextlib.closing(run_tiles(self._plan, chains, self._on, self._announce)) as results:
            for result in results:
                yield result if isinstance(result, TileFailed) else written(self._plan, self._store, result)


def run_tiles(
    plan: Plan, chains: Sequence[Sequence[Tile]], on: list[Any], announce: Callable[[str], None] = lambda message: None
) -> Generator[Computed | TileFailed, None, None]:
    """Compute the tiles of each chain in order on the devices `on`. Close it to end early: it waits for the tiles in hand."""
    on = on[: len(chains)]
    with compiling(plan.spec.fingerprint()), ThreadPoolExecutor(max(1, len(on))) as pool:
        compiled = tuned(program(plan), plan, chains, on, announce)
        list(pool.map(compiled.compile, dict.fromkeys(on)))
    waiting: queue.SimpleQueue[Sequence[Tile]] = queue.SimpleQueue()
    for chain in chains:
        waiting.put(chain)
    finished: queue.Queue[Computed | TileFailed | BaseException | None] = queue.Queue(maxsize=2 * max(1, len(on)))
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
                    chain = waiting.get_nowait()
                except queue.Empty:
                    break
                for tile in chain:
                    if not ended.is_set():
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
                    return TileFailed(tile, in_one_line(error), TRIES)
        raise AssertionError("unreachable")

    takers = [device for device in on for _ in range(1 if device.platform == "cpu" else _TILES_OF_AN_ACCELERATOR)]
    threads = [threading.Thread(target=work, args=(device,), name=f"device-{index}", daemon=True) for index, device in enumerate(takers)]
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
