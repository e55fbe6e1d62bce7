"""A sweep of the growth law with noise: paths belong to draws, so that cells share them and `simulate` finds them again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sweep
from sweep.errors import SpecError
from sweep.identity import differing_keys
from sweep.plan import study_of
from sweep.spec import loads

pytestmark = pytest.mark.usefixtures("compiled_cheaply")

NOISY = """
[sweep]
name = "noisy"
model = "growth_law"
draws = 512
seed = 11
block = 256
replicates = 4
tolerance = 0.2     # of one path's dates by a grid of finite spacing

[model]
noise = "both"

[parameters]
returns = 0.8
noise_sd = 0.5
breakthrough_rate = 0.1
horizon = 24

[axes]
labour_multiplier = { values = [1, 1.25] }

[outcomes]
doublings = [4]
times = [12]

[store]
draws = "trajectories"
trajectories_every = 64
trajectories_times = 3
"""


@pytest.mark.slow
def test_cells_share_the_paths_of_draws_and_so_does_simulate(tmp_path: Path, without_audit):
    spec = loads(NOISY, "noisy.toml")
    cube: Any = sweep.run(spec, tmp_path / "noisy.zarr", workers=1)
    assert not cube.attrs["failed_trajectories"]
    assert not cube.attrs["cut_off_trajectories"]
    kept = cube["trajectories"]["doublings"]
    months = np.asarray(kept["time"]).tolist()
    draws = np.arange(0, 512, 64)
    for cell, multiplier in enumerate((1.0, 1.25)):
        given = {"returns": 0.8, "noise_sd": 0.5, "breakthrough_rate": 0.1, "horizon": 24, "labour_multiplier": np.full(512, multiplier)}
        alone = sweep.simulate("growth_law", given, months, {"noise": "both"}, seed=11)["doublings"].values[draws]
        found = np.asarray(kept.isel(labour_multiplier=cell).transpose("trajectory", "time"))
        np.testing.assert_allclose(found, alone, rtol=2e-5, atol=2e-5)
    # They differ from draw to draw.
    assert np.std(found[:, -1]) > 0.5


@pytest.mark.slow
def test_another_seed_is_another_path():
    given = {"returns": 0.8, "horizon": 24}
    first, again, other = (sweep.simulate("growth_law", given, [24], {"noise": "pace"}, 4, seed=seed) for seed in (0, 0, 1))
    assert first.equals(again)
    assert not first.equals(other)
    with pytest.raises(SpecError, match="seed"):
        sweep.simulate("growth_law", given, [24], {"noise": "pace"}, seed=-1)


def test_a_noise_of_no_size_is_the_deterministic_sweep():
    quiet = loads(NOISY, "noisy.toml").replace({"parameters.noise_sd": 0, "parameters.breakthrough_rate": 0})
    plain = quiet.replace({"model.noise": "none", "parameters.noise_sd": None, "parameters.breakthrough_rate": None})
    assert quiet.options["noise"] == "none"
    assert differing_keys(quiet.identity(), plain.identity()) == ["parameters.breakthrough_rate", "parameters.noise_sd"]
    assert not study_of(quiet).model.needs_path(quiet.options)
    assert loads(NOISY, "noisy.toml").replace({"parameters.noise_sd": 0}).options["noise"] == "breakthroughs"
