"""Every number of the growth law's sources, system by system, in tests/published/law.csv: ours beside theirs. (What the calculators give is
in calculators.csv.)

`inputs` are JSON. A row of kind `growth_law` or `toy_model` is a trajectory, solved in one program with all rows of the same options.
"""

from __future__ import annotations

import csv
import json
import math
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from kernels import models
from kernels.law.automation import Tasks, log_joint_labour
from kernels.law.training import end_of_run
from kernels.sampling import Distribution
from sweep import evidence
from tests.kernels.asking import ask

with (Path(__file__).parents[2] / "published" / "law.csv").open(encoding="utf-8") as file:
    ROWS = list(csv.DictReader(file))
MONTH = 30.4375
LEVELS = (1.0, 2.0, 3.0, 4.0, 5.0, 8.5178, 900.0)
TIMES = (12.0, 24.0, 36.0, 48.0)
TRAJECTORIES = ("growth_law", "toy_model")


def _inputs(row: dict[str, str]) -> dict[str, Any]:
    return {"parameters": {}, "options": {}, **json.loads(row["inputs"])}


def _lanes() -> dict[tuple[str, str], list[dict[str, float]]]:
    lanes = defaultdict(list)
    for row in ROWS:
        if row["kind"] in TRAJECTORIES:
            inputs = _inputs(row)
            group = lanes[row["kind"], json.dumps(inputs["options"], sort_keys=True)]
            if inputs["parameters"] not in group:
                group.append(inputs["parameters"])
    return lanes


LANES = _lanes()


@cache
def _solved(model: str, options: str) -> dict[str, np.ndarray]:
    """Of all trajectories with these options, the lane last: dates of LEVELS, doublings by TIMES, the pace at the start and the highest."""
    group = LANES[model, options]
    defaults = {parameter.name: parameter.default for parameter in models.get(model).parameters}
    names = sorted({name for parameters in group for name in parameters})
    given = {name: np.array([parameters.get(name, defaults[name]) for parameters in group], float) for name in names}

    def question(solution: Any, _: Any) -> dict[str, Any]:
        paces = solution.paces()
        return {
            "dates": solution.dates(LEVELS),
            "levels": solution.levels(TIMES)[0],
            "first_pace": paces.at_start,
            "peak_pace": paces.highest,
        }

    return ask(model, json.loads(options), question, **given)


def _of_trajectory(row: dict[str, str]) -> float:
    inputs, quantity = _inputs(row), row["quantity"]
    options = json.dumps(inputs["options"], sort_keys=True)
    lane = LANES[row["kind"], options].index(inputs["parameters"])
    solved = {name: values[..., lane] for name, values in _solved(row["kind"], options).items()}
    dates = dict(zip(LEVELS, solved["dates"].tolist(), strict=True))
    levels = dict(zip(TIMES, solved["levels"].tolist(), strict=True))
    defaults = {parameter.name: parameter.default for parameter in models.get(row["kind"]).parameters}
    values = defaults | inputs["parameters"]
    ratio = (dates[2] - dates[1]) / dates[1]
    scale = MONTH if quantity.endswith("_days") else 1
    name, _, number = quantity.removesuffix("_days").rpartition("_")
    found = {
        "duration_of_doubling": lambda: scale * (dates[float(number)] - dates.get(float(number) - 1, 0.0)),
        "date_of_doubling": lambda: scale * dates[float(number)],
        "doublings_in_year": lambda: levels[12 * int(number)] - levels.get(12.0 * (int(number) - 1), 0.0),
        "doublings_by_month": lambda: levels[float(number)],
    }
    whole = {
        "ratio": lambda: ratio,
        "blow_up": lambda: scale * dates[900],
        # d log2(pace) a doubling is −log2 of the ratio of two durations.
        "doublings_to_twice_the_pace": lambda: -1 / math.log2(ratio),
        "growth_a_generation": lambda: (levels[48] - levels[36]) / (levels[36] - levels[24]),
        "first_pace_speedup": lambda: solved["first_pace"] * values["initial_doubling_time"],
        "peak_speedup": lambda: solved["peak_pace"] * values["initial_doubling_time"],
        "peak_pace": lambda: solved["peak_pace"] * values["recent_doubling_time"],
    }
    return float((whole.get(quantity.removesuffix("_days")) or found[name])())


def _of_evidence(name: str, quantity: str) -> float:
    resolved = evidence.find(name, None).resolved
    if quantity == "value":
        assert not isinstance(resolved, Distribution)
        return resolved
    assert isinstance(resolved, Distribution)
    if quantity in ("lowest", "highest"):
        return resolved.support[quantity == "highest"]
    kind, _, number = quantity.rpartition("_")
    if kind == "share_below":
        return float(resolved.below(np.array([float(number)]))[0])
    share = np.array([float(number) if kind == "quantile" else 0.5])
    middle = float(resolved.inverse(share, False)[0])
    if quantity == "standard_error":
        # Normal: Φ(1) is a standard deviation above the middle.
        return float(resolved.inverse(np.array([0.5 * math.erfc(math.sqrt(0.5))]), True)[0]) - middle
    return middle


def _found(row: dict[str, str]) -> float:
    inputs, quantity = _inputs(row), row["quantity"]
    if row["kind"] in TRAJECTORIES:
        return _of_trajectory(row)
    if row["kind"] == "evidence":
        return _of_evidence(inputs["name"], quantity)
    if row["kind"] == "training":
        first, ratio = (jnp.array([inputs[name]], jnp.float64) for name in ("first_training_time", "training_time_ratio"))
        return float(end_of_run(first, ratio, jnp.array([1e4]))[0])
    if row["kind"] == "labour":

        def log_labour(share: float) -> float:
            tasks = Tasks(jnp.array([share], jnp.float64), jnp.array([1 - share], jnp.float64))
            substitution, ai = (jnp.array([inputs[name]], jnp.float64) for name in ("task_substitution_parameter", "log_ai_labour"))
            return float(log_joint_labour(tasks, substitution, ai)[0])

        return math.exp(log_labour(inputs["automated_share"]) - log_labour(inputs["automated_share_before"]))
    assert row["kind"] == "default"
    default = next(parameter.default for parameter in models.get("growth_law").parameters if parameter.name == inputs["name"])
    assert not isinstance(default, str)
    return 2**default if quantity == "two_to_the_value" else default


@pytest.mark.parametrize("row", ROWS, ids=[f"{number}-{row['system']}-{row['quantity']}" for number, row in enumerate(ROWS)])
@pytest.mark.slow
def test_published_numbers(row: dict[str, str]) -> None:
    kind, _, size = row["tolerance"].partition(" ")
    value = float(row["value"])
    bounds = {"exact": {"abs": 0}, "rel": {"rel": float(size or 0), "abs": 0}, "abs": {"abs": float(size or 0), "rel": 0}}[kind]
    assert _found(row) == pytest.approx(value, **bounds)


@pytest.mark.slow
def test_stepping_on_toes_draws_trajectories_toward_returns_of_one() -> None:
    """Footnote 27: with both high and low returns, a lower exponent is closer to the exponential."""
    returns, exponents = (grid.ravel() for grid in np.meshgrid([0.5, 0.7, 1.2, 3.0], [1.0, 0.6, 0.3, 0.15], indexing="ij"))
    levels = ask("growth_law", {}, lambda s, _: s.levels((1.5,))[0][0], returns=returns, parallel_exponent=exponents)
    away = np.abs(levels - 1.5).reshape(4, 4)
    assert (np.diff(away, axis=1)[np.isfinite(away[:, 1:])] < 0).all()


def test_every_system_has_numbers() -> None:
    assert {row["system"] for row in ROWS} >= {f"S{number}" for number in (1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13)}
    assert all(row["place"] for row in ROWS)
