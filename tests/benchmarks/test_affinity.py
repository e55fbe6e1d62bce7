"""A process is held to some of its cores with all its threads."""

from __future__ import annotations

import os
import threading

import pytest

from benchmarks.affinity import can_be_held, held_to
from benchmarks.environment import cores


@pytest.mark.skipif(not can_be_held() or cores() < 2, reason="a process cannot be held to one of several cores here")
def test_a_process_is_held_to_one_core_with_all_its_threads_and_let_go():
    asked, answered, found = threading.Event(), threading.Event(), []

    def other():
        asked.wait()
        found.append(os.sched_getaffinity(0))
        answered.set()

    every = os.sched_getaffinity(0)
    thread = threading.Thread(target=other, daemon=True)
    thread.start()
    with held_to(1):
        asked.set()
        answered.wait()
        assert cores() == 1
    thread.join()
    assert len(found[0]) == 1
    assert os.sched_getaffinity(0) == every
