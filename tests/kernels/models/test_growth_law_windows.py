"""The fastest windows of the growth law against a search over windows that begin and end on a grid of levels, dated by the oracle."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from tests.kernels.asking import ask
from tests.oracles.answers import kept

PITCH = 0.1
GRID = tuple(round(place * PITCH, 10) for place in range(200))
CES = {"research_input": "ces", "ceiling": "linear"}
GENERATIONS = {"training": "generations", "ceiling": "level", "research_input": "ces"}
BASE = {"returns": 1.4, "distance_to_limits": 20.0, "horizon": 150.0, "initial_doubling_time": 2.0, "recent_doubling_time": 4.0}
CASES = [
    # Research input turns from labour to compute on the way, so the pace has a rise, a fall and what the ceiling makes of it.
    (CES, BASE | {"labour_share": 0.2, "substitution_parameter": -2.0, "returns": 3.0}),
    (CES, BASE | {"labour_share": 0.7, "substitution_parameter": -0.3, "experiment_efficiency": 0.9}),
    (CES | {"ceiling": "constant"}, BASE | {"labour_share": 0.6, "substitution_parameter": 0.4, "returns": 0.55}),
    # The pace jumps at every generation.
    (GENERATIONS, BASE | {"first_training_time": 3.0, "training_time_ratio": 0.95, "substitution_parameter": -0.2}),
    (GENERATIONS | {"governance": "reaction"}, BASE | {"first_training_time": 6.0, "reaction_gain": 1.5, "pace_threshold": 3.0}),
    # It falls while policy becomes aware of it, and rises again with hardware.
    ({"governance": "reaction", "hardware": "exponential"}, BASE | {"pace_threshold": 2.5, "reaction_gain": 3.0, "reaction_delay": 2.0}),
    ({"governance": "cap", "automation": "ramp", "ceiling": "linear"}, BASE | {"pace_cap": 3.0, "automation_end_time": 40.0}),
]


@pytest.mark.parametrize("case", [pytest.param(case, marks=[pytest.mark.soak] * (case not in (1, 4))) for case in range(len(CASES))])
@pytest.mark.slow
def test_windows_against_a_search_over_a_grid(case: int) -> None:
    options, given = CASES[case]
    dates = np.array(kept(given, options, GRID, ()).dates)
    grid = dates[np.isfinite(dates)]
    amounts = tuple(amount for amount in (0.5, 1.0, 2.0, 5.0, 10.0, 15.0) if amount < len(grid) * PITCH - 1)
    assert len(amounts) >= 3
    # One amount a lane: an amount that is one number for all of them would be a search of its own in the program.
    lanes = np.full(len(amounts), given["returns"])
    ours = ask("growth_law", options, lambda s, _: s.shortest_durations((jnp.asarray(amounts),))[0], **given | {"returns": lanes})
    for amount, found in zip(amounts, ours, strict=True):
        apart = round(amount / PITCH)
        best = (grid[apart:] - grid[:-apart]).min()
        # None on the grid is faster. One between its places is, by what the grid misses, which falls as its square but for jumps.
        assert best * 0.98 <= found <= best * (1 + 1e-8), (amount, found, best)
