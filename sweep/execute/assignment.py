"""Which tile goes to which worker, and what is tried again. How workers are asked is not known here.

A worker has at most two tiles in flight. One that dies takes them with it: each is then tried alone on a worker, so that the tile that
kills is told from the one that was beside it, and given up after three deaths. A tile that fails is tried on another worker, where there is
one.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sweep.execute.inline import TRIES
from sweep.execute.local_workers import MOST_DEATHS
from sweep.execute.tile import Receipt, TileFailed
from sweep.plan import Tile

IN_FLIGHT = 2
"""Tiles that a worker has: one that it computes, and the next, or the one before, which it writes."""

Chain = deque[Tile]


@dataclass(eq=False)
class Worker:
    """A worker as the coordinator knows it."""

    address: str
    stage: Literal["joining", "warming", "ready", "refused"] = "joining"
    kind: Mapping[str, str] = field(default_factory=dict)
    future: Any = None
    flights: list[Flight] = field(default_factory=list)

    def has_room(self, alone: bool = False) -> bool:
        if self.stage != "ready" or any(flight.alone for flight in self.flights):
            return False
        return len(self.flights) < (1 if alone else IN_FLIGHT)


@dataclass(eq=False)
class Flight:
    """A tile on its way to a worker and back; the first of its chain."""

    chain: Chain
    worker: Worker
    alone: bool
    future: Any = None
    over: bool = False

    @property
    def tile(self) -> Tile:
        return self.chain[0]


class Assignment:
    """The tiles that are left of some chains, each of which is computed in order."""

    def __init__(self, chains: Sequence[Sequence[Tile]]) -> None:
        self._waiting: deque[Chain] = deque(deque(chain) for chain in chains if chain)
        self._suspects: deque[Chain] = deque()
        self._deaths: Counter[str] = Counter()
        self._tries: Counter[str] = Counter()
        self._tried_on: dict[str, Worker] = {}
        self.left = len(self._waiting)
        """Chains that are not finished."""

    def flights(self, ready: Sequence[Worker]) -> Iterator[Flight]:
        """Give tiles to the workers that have room. Those under suspicion come first, each alone on a worker."""
        while self._suspects:
            free = next((worker for worker in ready if worker.has_room(alone=True)), None)
            if free is None:
                break
            yield _flight(self._suspects.popleft(), free, alone=True)
        # As many workers as there are suspects left get nothing until they are empty.
        kept = sorted(ready, key=lambda worker: len(worker.flights))[: len(self._suspects)]
        while self._waiting:
            name = self._waiting[0][0].name
            free_ones = [worker for worker in ready if worker.has_room() and worker not in kept]
            if not free_ones:
                return
            # A tile that failed goes to another worker than before, where there is one.
            chosen = min(free_ones, key=lambda worker: (worker is self._tried_on.get(name), len(worker.flights)))
            yield _flight(self._waiting.popleft(), chosen, alone=False)

    def landed(self, flight: Flight, answer: Receipt | str | None) -> Receipt | TileFailed | None:
        """What came of a tile, None where it is to be tried again. The answer is text where it failed, None where its worker is gone."""
        tile, name = flight.tile, flight.tile.name
        if isinstance(answer, dict):
            return answer
        if answer is None:
            self._deaths[name] += 1
            if self._deaths[name] >= MOST_DEATHS:
                return TileFailed(tile, f"killed {MOST_DEATHS} workers", MOST_DEATHS)
            self._suspects.append(flight.chain)
            return None
        self._tries[name] += 1
        if self._tries[name] >= TRIES:
            return TileFailed(tile, answer, self._tries[name])
        self._tried_on[name] = flight.worker
        (self._suspects if flight.alone else self._waiting).appendleft(flight.chain)
        return None

    def finish(self, flight: Flight) -> None:
        """Go on with the rest of a chain, which shares the write unit of the tile that is finished now."""
        flight.chain.popleft()
        if flight.chain:
            self._waiting.appendleft(flight.chain)
        else:
            self.left -= 1


def _flight(chain: Chain, worker: Worker, alone: bool) -> Flight:
    flight = Flight(chain, worker, alone)
    worker.flights.append(flight)
    return flight
