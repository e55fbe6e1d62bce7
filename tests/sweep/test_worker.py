"""What a worker of the dask executor does with the jobs that it holds."""

from __future__ import annotations

import asyncio
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from sweep.execute import worker
from sweep.execute.tile import Job
from sweep.places import place_of
from sweep.prepare import prepared
from tests.sweep.studies import plain
from tests.sweep.waiting import until


@pytest.fixture
def job(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "_HELD", {})
    store = tmp_path / "plain.zarr"
    plan = prepared(plain(), place_of(store), 1, "whole")
    return Job(plan.spec, str(store), plan.policy, plan.study.counted)


def test_a_job_ends_an_earlier_one_on_the_same_store(job):
    worker.join("earlier", job)
    earlier = worker._HELD["earlier"]
    tile = next(earlier.plan.tiles())
    with earlier.in_hand():
        joining = threading.Thread(target=worker.join, args=("later", job))
        joining.start()
        until(lambda: earlier.ended)
        # What the earlier one has in hand comes first, and is not written.
        assert "later" not in worker._HELD
        assert worker.receipt_of("earlier", tile) is None
    joining.join()
    assert "later" in worker._HELD
    asyncio.run(worker.leave("later"))
    assert worker.receipt_of("later", tile) is None
    assert not list(Path(job.address).glob("partials/*/c"))


def test_jobs_whose_coordinators_were_killed_are_dropped(job, tmp_path):
    for number in range(2 * worker._MOST_HELD):
        store = shutil.copytree(job.address, tmp_path / f"{number}.zarr")
        worker.join(str(number), replace(job, address=str(store)))
    assert list(worker._HELD) == [str(number) for number in range(worker._MOST_HELD, 2 * worker._MOST_HELD)]


def test_jobs_are_looked_through_by_one_thread_at_a_time(job, monkeypatch):
    class Guarded(dict):
        def values(self):
            assert worker._LOCK.locked()
            return super().values()

        def pop(self, *arguments):
            assert worker._LOCK.locked()
            return super().pop(*arguments)

    monkeypatch.setattr(worker, "_HELD", Guarded())
    worker.join("one", job)
    asyncio.run(worker.leave("one"))
    assert not worker._HELD
