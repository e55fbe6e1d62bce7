"""The studies that are timed, built from the kernels alone: Davidson & Houlden's (2025) base study and its continuous limit.

They are those of `configs/davidson_houlden_2025.toml` and `…_continuous.toml` (a test compares them), written again here because a machine
that has only JAX cannot read a config.
"""

from __future__ import annotations

from typing import Literal

from kernels import models
from kernels.outcomes import Outcomes, Window
from kernels.sampling import Design, LogUniform, Uniform
from kernels.study import Study

Precision = Literal["float32", "float64"]
Time = Literal["recursion", "continuous"]

DRAWN = (
    ("initial_speedup", LogUniform(2.0, 32.0)),
    ("initial_returns_to_software_rnd", LogUniform(0.4, 3.6)),
    ("distance_to_effective_limits", Uniform(6.0, 16.0)),
    ("parallel_labour_exponent", LogUniform(0.15, 0.6)),
)
TOLERANCE = {"float32": 1e-4, "float64": 1e-9}
DATES = (8.0, 24.0)
_YEARS = (3.0, 6.0, 12.0, 24.0, 36.0, 48.0)

PUBLISHED_WINDOWS = (
    Window("3y_in_12m", 12.0, speedup=3.0, rule="published"),
    Window("3y_in_4m", 4.0, speedup=10.0, rule="published"),
    Window("10y_in_12m", 12.0, speedup=10.0, rule="published"),
    Window("10y_in_4m", 4.0, speedup=30.0, rule="published"),
)
CONTINUOUS_WINDOWS = (
    Window("3y_in_12m", 12.0, years=3.0),
    Window("3y_in_4m", 4.0, years=3.0),
    Window("10y_in_12m", 12.0, years=10.0),
    Window("10y_in_4m", 4.0, years=10.0),
)
BASE = Outcomes(doublings=DATES, years_of_progress=_YEARS, windows=PUBLISHED_WINDOWS)
CONTINUOUS = Outcomes(doublings=DATES, years_of_progress=_YEARS, windows=CONTINUOUS_WINDOWS, peak=True)


def study(precision: Precision, time: Time, outcomes: Outcomes) -> Study:
    """The study with these outcomes."""
    model = models.get("davidson_houlden_2025")
    options = model.resolve_options({"time": time})
    defaults, drawn = model.defaults(options), dict(DRAWN)
    fixed = {name: value for name, value in defaults.items() if isinstance(value, float) and name not in drawn}
    follows = {name: value for name, value in defaults.items() if isinstance(value, str)}
    bounds = {name: (value, value) for name, value in fixed.items()} | {name: value.support for name, value in DRAWN}
    bounds |= {name: bounds[other] for name, other in follows.items()}
    return Study(
        model=model,
        options=options,
        design=Design("sobol", 16, 65536, DRAWN),
        fixed=fixed,
        follows=follows,
        axes=(),
        bounds=bounds,
        outcomes=outcomes,
        precision=precision,
        tolerance=TOLERANCE[precision],
        bins_per_octave=32,
    )
