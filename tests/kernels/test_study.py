"""Studies: trajectories that fail are marked in all that is asked of them, the audit judges what a blow-up divides, and rare trajectories
have steps enough."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kernels import models
from kernels.outcomes import Outcomes, Window
from kernels.sampling import Design, LogUniform
from kernels.study import Study
from tests.compiling import cheaply

WINDOW = Window("fast", 12.0, doublings=3.0)


def _study(name: str, options: Any, outcomes: Outcomes, precision: Any = "float64", **given: Any) -> Study:
    """A study whose parameters `given` as pairs are drawn between them and whose others are fixed."""
    model = models.get(name)
    options = model.resolve_options(options)
    drawn = {key: value for key, value in given.items() if isinstance(value, tuple)}
    defaults = model.defaults(options) | {key: value for key, value in given.items() if key not in drawn}
    numbers = {key: float(defaults[value] if isinstance(value, str) else value) for key, value in defaults.items()}
    fixed = {key: value for key, value in numbers.items() if key not in drawn}
    return Study(
        model=model,
        options=options,
        design=Design("sobol", 16, 1024, tuple((key, LogUniform(*ends)) for key, ends in drawn.items())),
        fixed=fixed,
        follows={},
        axes=(),
        bounds={key: (value, value) for key, value in fixed.items()} | drawn,
        outcomes=outcomes,
        precision=precision,
        tolerance={"float32": 1e-4, "float64": 1e-9}[precision],
        bins_per_octave=32,
    )


WINDOWS, REGIME = Outcomes(windows=(WINDOW,)), Outcomes(regime=10.0)
BOTH = Outcomes(windows=(WINDOW,), regime=10.0, doublings=(2.0,), times=(6.0,))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options", "varied", "outcomes"),
    [
        ("toy_model", {}, "initial_agis", WINDOWS),
        pytest.param("toy_model", {}, "initial_agis", REGIME, marks=pytest.mark.soak),
        pytest.param(
            "davidson_houlden_2025",
            {"time": "continuous", "boost": "code"},
            "initial_returns_to_software_rnd",
            REGIME,
            marks=pytest.mark.soak,
        ),
        pytest.param("returns_law", {}, "returns", WINDOWS, marks=pytest.mark.soak),
        ("returns_law", {}, "returns", BOTH),
        pytest.param("growth_law", {"solver": "clock"}, "returns", REGIME, marks=pytest.mark.soak),
        ("growth_law", {"solver": "clock"}, "returns", BOTH),
    ],
)
def test_a_trajectory_that_is_not_a_number_fails_whatever_is_asked_of_it(name: str, options: Any, varied: str, outcomes: Outcomes) -> None:
    study = _study(name, options, outcomes, **{varied: (1.0, 2.0)})
    values = jnp.asarray([1.2, math.nan, 1.5])

    def rows() -> Any:
        return study.rows(study.completed({varied: values}, (3,)), replace(study.budget, steps=min(study.budget.steps, 512)))

    found = jax.tree.map(np.asarray, cheaply(rows)())
    assert found.failed.tolist() == [False, True, False]
    assert not found.flags[:, 1].any()
    assert found.flags[:, [0, 2]].any()
    assert np.isnan(found.numbers[:, 1]).all()
    assert not np.isnan(found.numbers[:, [0, 2]]).any()


@pytest.mark.slow
def test_what_is_infinite_for_one_alone_is_judged_by_how_far_its_time_is_from_the_blow_up() -> None:
    # T0/(p ln 2) with p = 1/2: the last digit of T0 decides whether software is infinite by month 12.
    study = _study("returns_law", {}, Outcomes(times=(12.0,), peak=True), returns=2.0, horizon=12.0, initial_doubling_time=(4.0, 5.0))
    edge = 12.0 * math.log(2) / 2
    first = jnp.asarray([edge * (1 + 1e-6), edge * (1 - 1e-6), edge * (1 + 1e-6)])
    exact = study.evaluate(study.completed({"initial_doubling_time": first}, first.shape), study.budget).values
    name = study.numbers[0].name
    assert np.isfinite(exact[name]).tolist() == [True, False, True]
    # One that has it the other way round, and one that fails.
    ours = jnp.stack([jnp.where(jnp.isfinite(exact[label.name]), jnp.inf, 30.0).at[2].set(jnp.nan) for label in study.numbers])
    errors, _ = study.audit({"initial_doubling_time": first}, jnp.zeros((0, len(first)), bool), ours)
    assert np.isfinite(errors).all()
    assert errors[:2, 1] == pytest.approx([1e-6, 1e-6], rel=1e-3)
    # A blow-up beyond the horizon is not looked for: what is known is how long the pace at the horizon takes to the last doubling.
    assert np.all((errors[:2, 0] > 1e-6) & (errors[:2, 0] < 1e-3))


@pytest.mark.slow
def test_a_blow_up_that_is_none_is_no_small_error() -> None:
    # Exponential growth: at a doubling a month the last of 1,000 is more than 80 years away.
    study = _study("returns_law", {}, Outcomes(times=(6.0,), peak=True), returns=1.0, horizon=12.0, initial_doubling_time=(1.0, 2.0))
    ours = jnp.full((len(study.numbers), 1), jnp.inf)
    errors, _ = study.audit({"initial_doubling_time": jnp.ones(1)}, jnp.zeros((0, 1), bool), ours)
    by_name = dict(zip((label.name for label in study.numbers), np.asarray(errors)[:, 0], strict=True))
    assert by_name["doublings_at_6_months"] == pytest.approx((1000 - 6) / 6)
    assert by_name["peak_pace"] == pytest.approx((1000 - 12) / 12)


@pytest.mark.slow
def test_rare_trajectories_have_steps_enough() -> None:
    # One draw in some hundred thousand has the shortest delays, in which a reaction takes many times as many steps.
    study = _study("growth_law", {"governance": "reaction"}, Outcomes(times=(60.0,)), horizon=60.0, reaction_delay=(0.05, 20.0))
    assert study.step_count is not None
    most = study.step_count.most
    assert most < study.budget.steps
    at_end = jnp.asarray([0.05, 20.0])
    solution = study.model.solve(study.completed({"reaction_delay": at_end}, (2,)), study.options, replace(study.budget, steps=most))
    assert not np.asarray(solution.cut_off).any()


@pytest.mark.slow
def test_a_path_ends_at_the_horizon_of_its_own_trajectory() -> None:
    study = _study("returns_law", {}, Outcomes(times=(4.0,)), returns=1.0, horizon=(6.0, 48.0))
    parameters = study.completed({"horizon": jnp.asarray([6.0, 12.0, 48.0])}, (3,))
    times = (4.0, 12.0, 40.0)
    found = np.asarray(cheaply(lambda: study.trajectories(parameters, times))())
    # A doubling a month.
    np.testing.assert_allclose(found, [[4, 4, 4], [math.nan, 12, 12], [math.nan, math.nan, 40]], rtol=1e-9)
