"""Room for steps that is handed on: what others have left in it matters to nobody, and only the first who asks has it."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.laws import LAWS
from kernels import models
from kernels.solvers.clock import kept_rows
from kernels.solvers.clock_solution import ClockSolution
from kernels.solvers.room import lending, lent_room
from tests.compiling import cheaply


def test_room_is_taken_once_and_given_back() -> None:
    assert lent_room() is None
    with lending("before") as lent:
        room = lent_room()
        assert room is lent
        assert room.take() == "before"
        assert lent_room() is None
        room.give_back("after")
    assert lent.arrays == "after"
    assert lent_room() is None


@pytest.mark.slow
def test_what_is_left_in_the_room_matters_to_nobody() -> None:
    law = LAWS[3]
    study = law.study("float64")
    parameters, work = law.parameters(law.draws(16)), study.work  # Counts steps, which cannot be done while it is traced.

    def answers(parameters: dict[str, jax.Array], room: Any) -> tuple[Any, Any]:
        solution = models.get("growth_law").solve(parameters, study.options, work)
        assert isinstance(solution, ClockSolution)
        shape = kept_rows(solution.system, solution.stepping)
        with lending(jax.tree.map(lambda row: jnp.full(row.shape, room, row.dtype), shape)) as lent:
            found = (
                solution.steps_taken,
                solution.dates((5.0, 20.0)),
                solution.levels((6.0, 48.0)),
                solution.level_at_horizon(),
                solution.paces(),
                solution.first_dates_at_pace((jnp.full(16, 0.5),)),
                solution.shortest_durations((3.0,)),
            )
        return found, lent.arrays

    solved = cheaply(answers)
    (clean, rows), *others = (solved({name: jnp.asarray(row) for name, row in parameters.items()}, room) for room in (np.inf, 5.0, -1.0))
    assert np.isfinite(np.asarray(clean[1])).any()
    for found, left in others:
        jax.tree.map(np.testing.assert_array_equal, found, clean)
        # It was written into.
        assert (np.asarray(left.states[0]) == np.asarray(rows.states[0])).any()
        assert (np.asarray(left.states[0]) != np.asarray(rows.states[0])).any()
