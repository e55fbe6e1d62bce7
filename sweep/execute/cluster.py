"""The dask executor: tiles on the workers of a cluster, this machine's or one that runs already. The only file that knows dask.

    coordinator                    scheduler        worker: one process, one device, its environment says which
      join(job)       ───────────────────────────▶  opens the store, starts its device, answers of what kind it is     once a process
      warm()          ───────────────────────────▶  compiles: one process does, the others of its host find it kept     once
      compute(tile)   ───────────────────────────▶  computes, writes, answers with the receipt                          two in flight

A task is a tile's id and its answer a receipt: arrays never travel. Every task is given to one worker by name, so that it is known here
what is on its way to whom: dask carries messages, and tells of who comes and goes. A worker computes one tile and writes another beside it.

A worker that dies takes at most two tiles with it. Each of them is then tried alone on a worker, so that the tile that kills is told from
the one that was beside it, and given up after three deaths. Workers of this machine are started again; of others' we wait for the next to
come. A scheduler that is gone ends the run: what is written has its receipt, and the same command goes on.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
import queue
import tempfile
import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import distributed
import jax
from distributed.comm.core import CommClosedError
from distributed.scheduler import KilledWorker

from sweep.errors import in_one_line
from sweep.execute.compilation import compiling
from sweep.execute.inline import TRIES
from sweep.execute.local_workers import MOST_DEATHS, Processes, WorkersError, pins, shared_out
from sweep.execute.tile import Job, Receipt, TileFailed, compute, kind_of, program, written
from sweep.places import place_of
from sweep.plan import Tile, worthwhile_workers
from sweep.store import CubeStore

IN_FLIGHT = 2
"""Tiles that a worker has: one that it computes, and the next, or the one before, which it writes."""
_LOOK_SECONDS = 0.25
_CONNECT_SECONDS = 10.0
_PATIENCE = 60.0
"""Seconds in which a scheduler or a worker answers that can."""
_MOST_HELD = 4

_dask: Any = distributed

Chain = deque[Tile]


class ClusterError(Exception):
    """A cluster that cannot be used."""


class ClusterLost(ClusterError):
    """A cluster whose scheduler is gone. What is finished is kept; the same command goes on."""


# --- in a worker -------------------------------------------------------------------------------------------------------------------------


class _Held:
    """A job as a worker has it: its plan, its store and its program, for every tile to come."""

    def __init__(self, job: Job) -> None:
        self.address = job.address
        self.plan = job.plan()
        self.device = jax.local_devices()[0]
        self.store = CubeStore(place_of(job.address))
        self.program = program(self.plan)
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


def _join(token: str, job: Job) -> dict[str, Any]:
    """Take a job. Ends an earlier one on the same store first, whose coordinator was killed: no two may write."""
    for held in [each for each in _HELD.values() if each.address == job.address]:
        held.ended = True
        while held.busy:
            time.sleep(0.01)
    held = _Held(job)
    with _LOCK:
        for old in [name for name, each in _HELD.items() if each.ended or not each.busy][: max(0, len(_HELD) + 1 - _MOST_HELD)]:
            # Of a coordinator that was killed; where it lives, the worker is asked to join again.
            del _HELD[old]
        _HELD[token] = held
    return {"kind": kind_of(held.device), "siesweep": metadata.version("siesweep"), "pid": os.getpid(), "devices": jax.local_device_count()}


def _warm(token: str) -> None:
    """Compile, or find it kept."""
    held = _HELD[token]
    with compiling(held.plan.spec.fingerprint()):
        held.program.compile(held.device)


def _compute(token: str, tile: Tile) -> Receipt | str | None:
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


async def _end(token: str) -> None:
    """Drop a job; returns when nothing is being written for it any more."""
    held = _HELD.pop(token, None)
    if held is not None:
        held.ended = True
        while held.busy:
            await asyncio.sleep(0.01)


# --- in the coordinator ------------------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class _Worker:
    """A worker as the coordinator knows it."""

    address: str
    stage: Literal["joining", "warming", "ready", "refused"] = "joining"
    kind: Mapping[str, str] = field(default_factory=dict)
    future: Any = None
    flights: list[_Flight] = field(default_factory=list)

    def has_room(self, alone: bool = False) -> bool:
        if self.stage != "ready" or any(flight.alone for flight in self.flights):
            return False
        return len(self.flights) < (1 if alone else IN_FLIGHT)


@dataclass(eq=False)
class _Flight:
    """A tile on its way to a worker and back; the first of its chain."""

    chain: Chain
    worker: _Worker
    alone: bool
    future: Any = None
    over: bool = False

    @property
    def tile(self) -> Tile:
        return self.chain[0]


class _Lost(Exception):
    """Stands for the answer of a worker that is gone."""


class Cluster:
    """Workers that compute and write the tiles of one job.

    Without `scheduler` they are processes of this machine: `workers` of them, by default one a GPU, or else one a core, and no more than
    the sweep is worth. With the address of a scheduler they are whichever are there, and those that come.

    Raises ClusterError where no worker can be used or workers are of different kinds, ClusterLost where the scheduler is gone.
    """

    kind: Mapping[str, str]
    """What bits depend on beside the spec, the same for all workers."""

    def __init__(self, job: Job, workers: int | None, scheduler: str | None, announce: Callable[[str], None]) -> None:
        # A worker may run in another folder.
        self._job = job if "://" in job.address else replace(job, address=str(Path(job.address).absolute()))
        self._count, self._scheduler, self._announce = workers, scheduler, announce
        self._token = uuid.uuid4().hex[:12]
        self._sent = 0
        self._workers: dict[str, _Worker] = {}
        self._arrived: queue.SimpleQueue[tuple[_Worker | _Flight, Any]] = queue.SimpleQueue()
        self._look_at = 0.0
        self._waiting_told = False
        self._waiting: deque[Chain] = deque()
        self._suspects: deque[Chain] = deque()
        self._deaths: Counter[str] = Counter()
        self._tries: Counter[str] = Counter()
        self._tried_on: dict[str, _Worker] = {}
        self._processes: Processes | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Cluster:
        try:
            self._stack.enter_context(_quiet())
            self._connect()
            self._meet()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        try:
            if self._processes is None and self._client.status == "running":
                self._end()
        finally:
            self._stack.close()

    def receipts(self, chains: Sequence[Sequence[Tile]]) -> Generator[Receipt | TileFailed, None, None]:
        """Compute the tiles of every chain in order, the chains in any, and write them. Close it to end early.

        Raises OSError or PlaceError where a worker cannot write, ClusterLost where the scheduler is gone.
        """
        self._waiting, self._suspects = deque(deque(chain) for chain in chains if chain), deque()
        left = len(self._waiting)
        try:
            while left:
                self._send()
                landed = self._next()
                if landed is None:
                    continue
                flight, result = landed
                # The worker's next tile is on its way before this receipt is seen to.
                self._send()
                yield result
                # The rest of a chain shares the write unit of what is finished now.
                flight.chain.popleft()
                if flight.chain:
                    self._waiting.appendleft(flight.chain)
                else:
                    left -= 1
        finally:
            for worker in self._workers.values():
                for flight in worker.flights:
                    self._over(flight)
                worker.flights.clear()

    # --- tiles

    def _send(self) -> None:
        """Give tiles to the workers that have room. Those under suspicion come first, each alone on a worker."""
        ready = [worker for worker in self._workers.values() if worker.stage == "ready"]
        while self._suspects:
            free = next((worker for worker in ready if worker.has_room(alone=True)), None)
            if free is None:
                break
            self._fly(self._suspects.popleft(), free, alone=True)
        # As many workers as there are suspects left get nothing until they are empty.
        kept = sorted(ready, key=lambda worker: len(worker.flights))[: len(self._suspects)]
        while self._waiting:
            name = self._waiting[0][0].name
            free_ones = [worker for worker in ready if worker.has_room() and worker not in kept]
            if not free_ones:
                return
            # A tile that failed goes to another worker than before, where there is one.
            chosen = min(free_ones, key=lambda worker: (worker is self._tried_on.get(name), len(worker.flights)))
            self._fly(self._waiting.popleft(), chosen, alone=False)

    def _fly(self, chain: Chain, worker: _Worker, alone: bool) -> None:
        flight = _Flight(chain, worker, alone)
        worker.flights.append(flight)
        flight.future = self._ask(flight, worker, _compute, self._token, flight.tile)

    def _next(self) -> tuple[_Flight, Receipt | TileFailed] | None:
        """Wait a little for an answer. Returns a tile that is done, in one way or the other."""
        if time.monotonic() >= self._look_at:
            self._look()
            self._look_at = time.monotonic() + _LOOK_SECONDS
        try:
            owner, answer = self._arrived.get(timeout=max(0.001, self._look_at - time.monotonic()))
        except queue.Empty:
            return None
        if isinstance(owner, _Worker):
            if self._workers.get(owner.address) is owner:
                self._introduced(owner, answer)
            return None
        if owner.over:
            return None
        self._over(owner)
        owner.worker.flights.remove(owner)
        result = self._landed(owner, answer)
        return None if result is None else (owner, result)

    def _landed(self, flight: _Flight, answer: Any) -> Receipt | TileFailed | None:
        """What came of a tile, None where it is to be tried again."""
        tile, name = flight.tile, flight.tile.name
        if isinstance(answer, dict):
            return answer
        if isinstance(answer, str):
            self._tries[name] += 1
            if self._tries[name] >= TRIES:
                return TileFailed(tile, answer, self._tries[name])
            self._tried_on[name] = flight.worker
            (self._suspects if flight.alone else self._waiting).appendleft(flight.chain)
            return None
        if isinstance(answer, KilledWorker):
            return TileFailed(tile, f"killed {answer.allowed_failures + 1} workers", answer.allowed_failures + 1)
        if answer is None:
            # Another process at the same address: it has to join.
            self._forget(flight.worker)
        elif isinstance(answer, CancelledError):
            self._check_connection(answer)
        elif not isinstance(answer, (_Lost, CommClosedError)):
            raise answer
        self._deaths[name] += 1
        if self._deaths[name] >= MOST_DEATHS:
            return TileFailed(tile, f"killed {MOST_DEATHS} workers", MOST_DEATHS)
        self._suspects.append(flight.chain)
        return None

    def _over(self, flight: _Flight) -> None:
        flight.over = True
        flight.future.release()

    # --- workers

    def _look(self) -> None:
        """See who is there: begin with those who came, and take back the tiles of those who went."""
        if self._processes is not None:
            try:
                self._processes.tend()
            except WorkersError as error:
                raise ClusterError(str(error)) from None
        self._check_connection()
        present = self._call(self._client.scheduler.ncores)
        for worker in [each for each in self._workers.values() if each.address not in present]:
            self._forget(worker)
        for address in present:
            if address not in self._workers:
                worker = self._workers[address] = _Worker(address)
                worker.future = self._ask(worker, worker, _join, self._token, self._job)
        if self._processes is None:
            if not present and not self._waiting_told:
                self._announce(f"{self._scheduler}: waiting for workers")
            self._waiting_told = not present

    def _forget(self, worker: _Worker) -> None:
        """Give up a worker that is gone; its tiles are answered for."""
        if self._workers.get(worker.address) is worker:
            del self._workers[worker.address]
            worker.future.release()
            for flight in worker.flights:
                self._arrived.put((flight, _Lost()))

    def _introduced(self, worker: _Worker, answer: Any) -> None:
        """One step on: joined, so it is warmed; warm, so it is ready."""
        if isinstance(answer, (CancelledError, CommClosedError)):
            self._check_connection(answer)
            self._forget(worker)
        elif isinstance(answer, BaseException):
            self._refuse(worker, f"{type(answer).__name__}: {in_one_line(answer)}")
        elif worker.stage == "warming":
            worker.stage = "ready"
        else:
            self._joined(worker, answer)

    def _joined(self, worker: _Worker, answer: Mapping[str, Any]) -> None:
        worker.kind = answer["kind"]
        if self._processes is not None:
            self._processes.joined(answer["pid"])
        ours = metadata.version("siesweep")
        if answer["siesweep"] != ours:
            self._refuse(worker, f"it has siesweep {answer['siesweep']}, not {ours}")
        elif hasattr(self, "kind") and worker.kind != self.kind:
            self._refuse(worker, f"its bits may differ: it is {_named(worker.kind)}, the others are {_named(self.kind)}")
        else:
            if answer["devices"] > 1 and not worker.kind["device"].startswith("cpu:"):
                self._announce(f"{worker.address} sees {answer['devices']} devices and uses one; start one worker a device")
            worker.stage = "warming"
            worker.future = self._ask(worker, worker, _warm, self._token)

    def _refuse(self, worker: _Worker, reason: str) -> None:
        worker.stage = "refused"
        if all(each.stage == "refused" for each in self._workers.values()):
            raise ClusterError(f"{worker.address} cannot be used: {reason}")
        self._announce(f"{worker.address} is left out: {reason}")

    def _meet(self) -> None:
        """Wait until all workers that are there have joined."""
        expected = 1 if self._processes is None else self._processes.count
        until = float("inf")
        while time.monotonic() < until:
            self._next()
            joined = [worker for worker in self._workers.values() if worker.kind]
            if joined and until == float("inf"):
                until = time.monotonic() + _PATIENCE
            if len(self._workers) >= expected and all(worker.stage != "joining" for worker in self._workers.values()):
                break
        kinds: dict[str, list[str]] = {}
        for worker in self._workers.values():
            if worker.kind and worker.stage != "refused":
                kinds.setdefault(_named(worker.kind), []).append(worker.address)
                self.kind = worker.kind
        if len(kinds) > 1:
            told = "; ".join(f"{kind} ({', '.join(addresses[:3])})" for kind, addresses in sorted(kinds.items()))
            raise ClusterError(f"workers of different kinds, whose bits may differ: {told}; start workers of one kind")

    # --- dask

    def _connect(self) -> None:
        if self._scheduler is None:
            self._scheduler = self._start()
        try:
            self._client: Any = _dask.Client(self._scheduler, timeout=_CONNECT_SECONDS, set_as_default=False, name="siesweep")
        except (OSError, ValueError) as error:
            raise ClusterError(f"{self._scheduler}: no dask scheduler answers there ({in_one_line(error)})") from None
        self._stack.callback(_close, self._client)
        if self._processes is None or importlib.util.find_spec("bokeh") is not None:
            with suppress(KeyError, ValueError):
                self._announce(f"dashboard {self._client.dashboard_link}")

    def _start(self) -> str:
        """A scheduler in this process, and workers as processes of this machine."""
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="siesweep-workers-", ignore_cleanup_errors=True)))
        local = _dask.LocalCluster(
            n_workers=0,
            threads_per_worker=1,
            # Of this machine only, at ports that are free.
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=False,
            scheduler_kwargs={"local_directory": str(folder)},
        )
        self._stack.callback(_close, local)
        found = pins()
        if self._count is None:
            self._count = min(len(found), worthwhile_workers(self._job.spec))
        elif self._count > len(found) and "CUDA_VISIBLE_DEVICES" in found[0].environment:
            self._announce(f"{len(found)} workers, as there are {len(found)} GPUs")
            self._count = len(found)
        address = str(local.scheduler_address)
        self._processes = Processes(address, shared_out(found, self._count), folder, self._announce)
        self._stack.callback(self._processes.close)
        return address

    def _ask(self, owner: _Worker | _Flight, worker: _Worker, function: Callable[..., Any], *arguments: Any) -> Any:
        """Have a worker call a function; the answer arrives with its owner's name on it."""
        self._sent += 1
        future: Any = self._client.submit(
            function,
            *arguments,
            key=f"{function.__name__.strip('_')}-{self._token}-{self._sent}",
            workers=[worker.address],
            allow_other_workers=False,
            pure=False,
        )

        async def follow() -> None:
            answer: Any
            try:
                answer = await future
            except Exception as error:
                answer = error
            self._arrived.put((owner, answer))

        self._client.loop.add_callback(follow)
        return future

    def _call(self, function: Callable[..., Any]) -> Any:
        try:
            return self._client.sync(function, callback_timeout=_PATIENCE)
        except (OSError, RuntimeError, CancelledError):
            raise self._lost() from None

    def _check_connection(self, cancelled: Exception | None = None) -> None:
        """Raises ClusterLost where the connection to the scheduler is, or was, cut: it forgets what was asked of it."""
        if self._client.status != "running" or getattr(cancelled, "reason", "") == "scheduler-connection-lost":
            raise self._lost()

    def _lost(self) -> ClusterLost:
        return ClusterLost(f"{self._scheduler}: the dask scheduler is gone; what is finished is kept, and the same command goes on")

    def _end(self) -> None:
        """Have workers that live on drop the job; when they have, nothing writes to the store any more."""
        joined = [worker.address for worker in self._workers.values() if worker.stage != "refused"]
        if joined:
            with suppress(Exception):
                self._client.run(_end, self._token, workers=joined, on_error="ignore", callback_timeout=_PATIENCE)


# --- small things ------------------------------------------------------------------------------------------------------------------------


@contextmanager
def _quiet() -> Iterator[None]:
    """No log lines of dask on stderr: who comes and goes is announced, and what ends the run is raised."""
    names = ["distributed", *(name for name in logging.root.manager.loggerDict if name.startswith(("distributed.", "tornado", "bokeh")))]
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


def _close(what: Any) -> None:
    """Close a client or a cluster, whose other end may be gone."""
    with suppress(OSError, RuntimeError, CancelledError):
        what.close(timeout=5)


def _named(kind: Mapping[str, str]) -> str:
    return f"{kind['device']} with jaxlib {kind['jaxlib']}"
