"""The dask executor: tiles on the workers of a cluster, this machine's or one that runs already. The only file that knows dask.

    coordinator                    scheduler        worker: one process, one device, its environment says which
      join(job)         ─────────────────────────▶  opens the store, starts its device, answers of what kind it is      once a process
      warm()            ─────────────────────────▶  compiles: one process does, the others of its host find it kept     once
      receipt_of(tile)  ─────────────────────────▶  computes, writes, answers with the receipt                          two in flight

A task is a tile's id and its answer a receipt: arrays never travel. Every task is given to one worker by name, so that it is known here
what is on its way to whom: dask carries messages, and tells of who comes and goes. Which tile goes to whom is decided in `assignment.py`.

Workers of this machine that die are started again; of others' we wait for the next to come. A scheduler that is gone ends the run: what is
written has its receipt, and the same command goes on.
"""

from __future__ import annotations

import importlib.util
import logging
import queue
import tempfile
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any

import distributed
from distributed.comm.core import CommClosedError
from distributed.scheduler import KilledWorker

from sweep.errors import in_one_line
from sweep.execute.assignment import Assignment, Flight, Worker
from sweep.execute.local_workers import Processes, WorkersError, pins, shared_out
from sweep.execute.tile import Job, Receipt, TileFailed
from sweep.execute.worker import join, kind_here, leave, receipt_of, warm
from sweep.plan import Tile, worthwhile_workers

_LOOK_SECONDS = 0.25
_CONNECT_SECONDS = 10.0
_PATIENCE = 60.0
"""Seconds in which a scheduler or a worker answers that can."""

_dask: Any = distributed


class ClusterError(Exception):
    """A cluster that cannot be used."""


class ClusterLost(ClusterError):
    """A cluster whose scheduler is gone. What is finished is kept; the same command goes on."""


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
        self._workers: dict[str, Worker] = {}
        self._arrived: queue.SimpleQueue[tuple[Worker | Flight, Any]] = queue.SimpleQueue()
        self._look_at = 0.0
        self._waiting_told = False
        self._tiles = Assignment([])
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
        self._tiles = Assignment(chains)
        try:
            while self._tiles.left:
                self._send()
                landed = self._next()
                if landed is None:
                    continue
                flight, result = landed
                # The worker's next tile is on its way before this receipt is seen to.
                self._send()
                yield result
                self._tiles.finish(flight)
        finally:
            for worker in self._workers.values():
                for flight in worker.flights:
                    self._over(flight)
                worker.flights.clear()

    # --- tiles

    def _send(self) -> None:
        ready = [worker for worker in self._workers.values() if worker.stage == "ready"]
        for flight in self._tiles.flights(ready):
            flight.future = self._ask(flight, flight.worker, receipt_of, self._token, flight.tile)

    def _next(self) -> tuple[Flight, Receipt | TileFailed] | None:
        """Wait a little for an answer. Returns a tile that is done, in one way or the other."""
        if time.monotonic() >= self._look_at:
            self._look()
            self._look_at = time.monotonic() + _LOOK_SECONDS
        try:
            owner, answer = self._arrived.get(timeout=max(0.001, self._look_at - time.monotonic()))
        except queue.Empty:
            return None
        if isinstance(owner, Worker):
            if self._workers.get(owner.address) is owner:
                self._introduced(owner, answer)
            return None
        if owner.over:
            return None
        self._over(owner)
        owner.worker.flights.remove(owner)
        result = self._landed(owner, answer)
        return None if result is None else (owner, result)

    def _landed(self, flight: Flight, answer: Any) -> Receipt | TileFailed | None:
        """What came of a tile, None where it is to be tried again."""
        if isinstance(answer, (dict, str)):
            return self._tiles.landed(flight, answer)
        if isinstance(answer, KilledWorker):
            deaths = answer.allowed_failures + 1
            return TileFailed(flight.tile, f"killed {deaths} workers", deaths)
        if answer is None:
            # Another process at the same address: it has to join.
            self._forget(flight.worker)
        elif isinstance(answer, CancelledError):
            self._check_connection(answer)
        elif not isinstance(answer, (_Lost, CommClosedError)):
            raise answer
        return self._tiles.landed(flight, None)

    def _over(self, flight: Flight) -> None:
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
                worker = self._workers[address] = Worker(address)
                worker.future = self._ask(worker, worker, join, self._token, self._job)
        if self._processes is None:
            if not present and not self._waiting_told:
                self._announce(f"{self._scheduler}: waiting for workers")
            self._waiting_told = not present

    def _forget(self, worker: Worker) -> None:
        """Give up a worker that is gone; its tiles are answered for."""
        if self._workers.get(worker.address) is worker:
            del self._workers[worker.address]
            worker.future.release()
            for flight in worker.flights:
                self._arrived.put((flight, _Lost()))

    def _introduced(self, worker: Worker, answer: Any) -> None:
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

    def _joined(self, worker: Worker, answer: Mapping[str, Any]) -> None:
        worker.kind = answer["kind"]
        if self._processes is not None:
            self._processes.joined()
        ours = metadata.version("siesweep")
        if answer["siesweep"] != ours:
            self._refuse(worker, f"it has siesweep {answer['siesweep']}, not {ours}")
        elif hasattr(self, "kind") and worker.kind != self.kind:
            self._refuse(worker, f"its bits may differ: it is {_named(worker.kind)}, the others are {_named(self.kind)}")
        else:
            if answer["devices"] > 1 and not worker.kind["device"].startswith("cpu:"):
                self._announce(f"{worker.address} sees {answer['devices']} devices and uses one; start one worker a device")
            worker.stage = "warming"
            worker.future = self._ask(worker, worker, warm, self._token)

    def _refuse(self, worker: Worker, reason: str) -> None:
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
        self._client: Any = _connected(self._scheduler)
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

    def _ask(self, owner: Worker | Flight, worker: Worker, function: Callable[..., Any], *arguments: Any) -> Any:
        """Have a worker call a function; the answer arrives with its owner's name on it."""
        self._sent += 1
        future: Any = self._client.submit(
            function,
            *arguments,
            key=f"{function.__name__}-{self._token}-{self._sent}",
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
                self._client.run(leave, self._token, workers=joined, on_error="ignore", callback_timeout=_PATIENCE)


# --- before a run ------------------------------------------------------------------------------------------------------------------------


def reach(scheduler: str) -> None:
    """Raises ClusterError where no scheduler answers at the address."""
    with _quiet():
        _close(_connected(scheduler))


def kinds_at(scheduler: str) -> list[Mapping[str, str]]:
    """What bits depend on beside the spec, for each worker that is there now and can say so. Raises ClusterError."""
    with _quiet():
        client = _connected(scheduler)
        try:
            answers = client.run(kind_here, on_error="ignore", callback_timeout=_PATIENCE)
        except (OSError, RuntimeError, CancelledError):
            answers = {}
        finally:
            _close(client)
    return list(answers.values())


def _connected(scheduler: str) -> Any:
    try:
        return _dask.Client(scheduler, timeout=_CONNECT_SECONDS, set_as_default=False, name="siesweep")
    except (OSError, ValueError) as error:
        raise ClusterError(f"{scheduler}: no dask scheduler answers there ({in_one_line(error)})") from None


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
