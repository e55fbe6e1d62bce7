"""The dask executor with workers that the test plays: which tile goes to whom, what is tried again, and who is left out."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
from distributed.scheduler import KilledWorker

from sweep.execute import cluster
from sweep.execute.cluster import Cluster, ClusterError
from sweep.execute.tile import Job, TileFailed
from sweep.execute.worker import receipt_of
from sweep.plan import Tile, TilePolicy, make_plan
from tests.sweep.studies import plain
from tests.sweep.waiting import until


def _job() -> Job:
    plan = make_plan(plain(), 1)
    return Job(plan.spec, "plain.zarr", TilePolicy((), 1), plan.study.counted)


LATER = object()


class Played(Cluster):
    """A cluster whose workers are played by the test: `answer(function, address, *arguments)`, or LATER."""

    def __init__(self, answer, *addresses):
        self.told = []
        super().__init__(_job(), None, "tcp://scheduler", self.told.append)
        self.present = dict.fromkeys(addresses, 1)
        self.answer = answer
        self.later = []
        self._client = SimpleNamespace(status="running", scheduler=SimpleNamespace(ncores=None))
        self._meet()

    def _call(self, function):
        return self.present

    def _ask(self, owner, worker, function, *arguments):
        answer = self.answer(function.__name__, worker.address, *arguments[1:])
        if answer is LATER:
            self.later.append((owner, worker.address))
        else:
            self._arrived.put((owner, answer))
        return SimpleNamespace(release=lambda: None)


KIND = {"jaxlib": "1", "device": "cpu:x86_64"}


def joined(kind=KIND, version=None):
    return {"kind": kind, "siesweep": version or cluster.metadata.version("siesweep"), "devices": 1}


def tiles(count):
    return [Tile(((number, number + 1),), 0, 0, 1, 256) for number in range(count)]


def working(compute):
    """Workers that do what they are asked; tiles by `compute(address, tile)`."""

    def answer(function, address, *arguments):
        return {"join": lambda job: joined(), "warm": lambda: (), "receipt_of": lambda tile: compute(address, tile)}[function](*arguments)

    return answer


def receipt(tile):
    return {"tile": tile.name}


def test_the_tiles_of_a_chain_are_computed_one_after_the_other():
    events = []

    def compute(address, tile):
        events.append(("begun", tile.name))
        return "broken" if tile.name == "0:1/1" else receipt(tile)

    chain = [Tile(((0, 1),), column, 0, 1, 256) for column in range(3)]
    for result in Played(working(compute), "a", "b").receipts([chain, *([tile] for tile in tiles(4)[1:])]):
        events.append(("failed", result.tile.name) if isinstance(result, TileFailed) else ("done", result["tile"]))
    assert [event for event in events if event[1].startswith("0:1")] == [
        ("begun", "0:1/0"),
        ("done", "0:1/0"),
        ("begun", "0:1/1"),
        ("begun", "0:1/1"),
        ("failed", "0:1/1"),
        ("begun", "0:1/2"),
        ("done", "0:1/2"),
    ]
    assert len(events) == 7 + 6


def test_two_tiles_a_worker_are_on_their_way():
    running = Played(working(lambda address, tile: LATER), "a", "b")
    results = running.receipts([[tile] for tile in tiles(9)])

    def answer_all():
        running.answer = working(lambda address, tile: receipt(tile))
        for owner, _ in running.later:
            running._arrived.put((owner, receipt(owner.tile)))

    # By then, everything that would be sent without an answer is.
    threading.Timer(0.3, answer_all).start()
    next(results)
    assert sorted(address for _, address in running.later) == ["a", "a", "b", "b"]
    assert len(list(results)) == 8


def test_closing_leaves_nothing_on_its_way():
    running = Played(working(lambda address, tile: receipt(tile) if tile.name == "0:1/0" else LATER), "a")
    results = running.receipts([[tile] for tile in tiles(5)])
    next(results)
    results.close()
    assert len(running.later) == 2
    assert all(owner.over for owner, _ in running.later)
    assert running._workers["a"].flights == []


def test_a_tile_that_failed_goes_to_another_worker():
    tried = []

    def compute(address, tile):
        tried.append(address)
        return "out of memory"

    (failed,) = Played(working(compute), "a", "b").receipts([tiles(1)])
    assert isinstance(failed, TileFailed)
    assert (failed.reason, failed.tries, sorted(tried)) == ("out of memory", 2, ["a", "b"])


def test_who_was_beside_a_tile_that_kills_is_not_accused_for_long():
    running = None

    def compute(address, tile):
        flights = running._workers[address].flights
        if tile.name == "3:4/0":
            deaths.append([flight.tile.name for flight in flights])
            del running.present[address]
            running.present[f"{address}+"] = 1
            return LATER
        # A tile beside the one that kills has no time to end.
        return LATER if any(flight.tile.name == "3:4/0" for flight in flights) else receipt(tile)

    deaths: list[list[str]] = []
    running = Played(working(compute), "a")
    results = list(running.receipts([[tile] for tile in tiles(6)]))
    (failed,) = [result for result in results if isinstance(result, TileFailed)]
    assert (failed.tile.name, failed.reason, failed.tries) == ("3:4/0", "killed 3 workers", 3)
    assert len(results) == 6
    assert deaths[1:] == [["3:4/0"], ["3:4/0"]]


def test_a_worker_that_dask_itself_gave_up():
    error = KilledWorker("compute", SimpleNamespace(address="a"), 3)
    (failed,) = Played(working(lambda address, tile: error), "a").receipts([tiles(1)])
    assert (failed.reason, failed.tries) == ("killed 4 workers", 4)


def test_another_process_at_the_same_address_joins_again():
    asked = []

    def answer(function, address, *arguments):
        asked.append(function)
        if function == "receipt_of":
            # The first to be asked is not the one that took the job.
            return receipt_of("of nobody", *arguments) if asked.count("receipt_of") == 1 else receipt(*arguments)
        return joined() if function == "join" else ()

    assert list(Played(answer, "a").receipts([tiles(1)])) == [receipt(*tiles(1))]
    assert asked == ["join", "warm", "receipt_of"] * 2


@pytest.mark.parametrize("error", [OSError(28, "full"), RuntimeError("a mistake")])
def test_an_error_of_a_worker_ends_the_run(error):
    with pytest.raises(type(error), match=str(error.args[-1])):
        list(Played(working(lambda address, tile: error), "a").receipts([tiles(1)]))


def test_workers_of_different_kinds_are_refused():
    def answer(function, address, *arguments):
        return joined({**KIND, "device": f"gpu:{address}"}) if function == "join" else ()

    with pytest.raises(ClusterError, match=r"different kinds.*gpu:a with jaxlib 1 \(a\); gpu:b with jaxlib 1 \(b\); start workers of one"):
        Played(answer, "a", "b")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (joined({**KIND, "device": "gpu:b"}), "its bits may differ: it is gpu:b with jaxlib 1, the others are cpu:x86_64 with jaxlib 1"),
        (joined(version="0.0.1"), "it has siesweep 0.0.1, not "),
        (ModuleNotFoundError("No module named 'sweep'"), "ModuleNotFoundError: No module named 'sweep'"),
    ],
)
def test_a_worker_that_comes_late_and_cannot_be_used_is_left_out(answer, reason):
    running = Played(working(lambda address, tile: receipt(tile)), "a")
    known = running.answer
    running.answer = lambda function, address, *rest: answer if (function, address) == ("join", "b") else known(function, address, *rest)
    running.present["b"] = 1
    results = running.receipts([[tile] for tile in tiles(3)])
    next(results)
    until(lambda: (running._look(), running._next(), running.told)[-1])
    assert running.told[0].startswith(f"b is left out: {reason}")
    results.close()


def test_no_worker_can_be_used():
    with pytest.raises(ClusterError, match="a cannot be used: FileNotFoundError: no such store"):
        Played(lambda *asked: FileNotFoundError("no such store"), "a")
