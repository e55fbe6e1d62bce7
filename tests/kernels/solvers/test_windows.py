"""Steps of a known trajectory: where in a step a level lies, and which steps the fastest window begins and ends in."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from kernels.solvers.windows import Pieces, _Piece, fastest_stretch

LEVELS = np.array([0.0, 2.0, 3.0, 3.0, 5.0, 6.0, 9.0])
MONTHS = np.array([2.0, 0.5, 1.5, 1.0, 0.5, 6.0])
"""Of one trajectory, which stands still in its third step."""


def _same_in_all(level: float, level_after: float, lanes: int) -> _Piece:
    return _Piece(*(jnp.full(lanes, value) for value in (level, level_after, 0.0, 0.0, 0.0, 1.0)))


def test_the_share_of_a_step_is_even_in_software_and_kept_inside_it() -> None:
    share = _same_in_all(2.0, 6.0, 5).share(jnp.asarray([2.0, 3.0, 6.0, 1.0, 9.0]))
    np.testing.assert_array_equal(share, [0, 0.25, 1, 0, 1])


def test_a_step_over_which_software_stands_still_is_shared_by_nothing() -> None:
    share = _same_in_all(2.0, 2.0, 3).share(jnp.asarray([1.0, 2.0, 9.0]))
    np.testing.assert_array_equal(share, [0, 0, 1])


@pytest.mark.slow
@pytest.mark.parametrize("amount", [0.5, 1.0, 2.5, 4.0, 7.0])
def test_the_fastest_window_lies_in_its_steps(amount: float) -> None:
    rises = np.diff(LEVELS)
    log_time = np.where(rises > 0, np.log(MONTHS / np.where(rises > 0, rises, 1)), 60.0)
    dates = np.concatenate([[0.0], np.cumsum(MONTHS)])
    rows = (LEVELS[:-1], LEVELS[1:], dates[:-1], MONTHS, log_time, log_time)
    pieces = Pieces(*(jnp.asarray(row)[:, None] for row in rows))
    found = fastest_stretch(pieces, jnp.int32(len(MONTHS)), jnp.asarray([amount]), jnp.asarray([LEVELS[-1] - amount]))
    first, last, low, high = (np.asarray(row)[0] for row in found[:4])

    def date(level: np.ndarray, side: str) -> np.ndarray:
        """When a level is reached, or, of one where software stands still, left."""
        step = np.clip(np.searchsorted(LEVELS, level, side=side) - 1, 0, len(MONTHS) - 1)  # type: ignore[call-overload]
        return dates[step] + MONTHS[step] * (level - LEVELS[step]) / np.where(rises[step] > 0, rises[step], 1)

    starts = np.round(np.arange(0, LEVELS[-1] - amount + 1e-9, 1 / 64), 9)
    durations = date(starts + amount, "left") - date(starts, "right")
    within = (starts >= low) & (starts <= high)
    assert durations[within].min() == pytest.approx(durations.min(), rel=1e-12)
    assert LEVELS[first] <= low < high <= LEVELS[first + 1]
    assert LEVELS[last] <= low + amount < high + amount <= LEVELS[last + 1]
