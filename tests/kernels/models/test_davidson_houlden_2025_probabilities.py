"""Davidson & Houlden's probabilities from a million draws against those of two million of the authors' steps."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from kernels import models
from kernels.outcomes import Outcomes, Window
from kernels.program import Keep, TileProgram, TileShape
from kernels.sampling import Design, LogUniform, Uniform, seed_key
from kernels.study import Study

BLOCK, DRAWS = 65536, 1 << 20
NAMES = ("3y_in_12m", '"3y"_in_4m', "10y_in_12m", "10y_in_4m")
SIZES = ((12, 3), (4, 10), (12, 10), (4, 30))
WINDOWS = tuple(Window(name, months, speedup=speedup, rule="published") for name, (months, speedup) in zip(NAMES, SIZES, strict=True))

with (Path(__file__).parents[2] / "published" / "davidson_houlden_2025.csv").open(encoding="utf-8") as file:
    ROWS = {row["name"]: row for row in csv.DictReader(file)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("prefix", "options"),
    [("P_base", {}), ("P_retraining_paper", {"retraining": "paper"}), ("P_boost_paper_linear", {"boost": "paper_linear"})],
)
def test_probabilities(prefix: str, options: dict[str, str | bool]) -> None:
    model = models.get("davidson_houlden_2025")
    resolved = model.resolve_options(options)
    boost = "boost" in options
    distributions = (
        ("initial_speedup", LogUniform(2, 32)),
        ("initial_returns_to_software_rnd", LogUniform(1.7 / 3, 5.1) if boost else LogUniform(0.4, 3.6)),
        ("distance_to_effective_limits", Uniform(9, 19) if boost else Uniform(6, 16)),
        ("parallel_labour_exponent", LogUniform(0.15, 0.6)),
    )
    drawn = dict(distributions)
    fixed = {name: float(value) for name, value in model.defaults(resolved).items() if name not in drawn and not isinstance(value, str)}
    bounds = {name: (value, value) for name, value in fixed.items()} | {name: each.support for name, each in drawn.items()}
    # A boost ends at the initial speed-up that is drawn.
    bounds["gradual_boost_max"] = drawn["initial_speedup"].support
    study = Study(
        model=model,
        options=resolved,
        design=Design("sobol", 16, BLOCK, distributions),
        fixed=fixed,
        follows={"gradual_boost_max": "initial_speedup"},
        axes=(),
        bounds=bounds,
        outcomes=Outcomes(windows=WINDOWS),
        precision="float32",
        tolerance=1e-4,
        bins_per_octave=32,
    )
    tile = TileProgram(study, TileShape(1, DRAWS // BLOCK), Keep(histograms=False))
    result = tile(np.zeros((1, 0)), 0, DRAWS // BLOCK, DRAWS, seed_key(20250804))
    fractions = np.asarray(result["true"]).sum(axis=(0, 1, 3)) / DRAWS
    for name, fraction in zip(NAMES, fractions, strict=True):
        row = ROWS[f"{prefix}_{name}"]
        assert abs(fraction - float(row["value"])) <= float(row["tolerance"].split()[1]), name
    assert np.asarray(result["differ"]).sum() <= 2
    assert np.asarray(result["cut_off"]).sum() == 0
