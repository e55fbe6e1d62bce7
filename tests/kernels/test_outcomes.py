"""Outcomes: names and order, windows of both rules, regimes by their definitions, and refusals."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kernels import models
from kernels.models import ModelError
from kernels.outcomes import Outcomes, Window, evaluate
from tests.compiling import cheaply
from tests.kernels.asking import lanes_of
from tests.oracles.davidson_houlden import run


def _evaluate(name: Any, options: Any, outcomes: Any, precision: Any = "float64", *, fixed: Any = None, **given: Any) -> Any:
    model = models.get(name)
    options = model.resolve_options(options)
    lanes = lanes_of(name, options, given)
    fixed = {key: float(value[0]) for key, value in lanes.items() if key not in given} if fixed is None else fixed
    budget = model.budget(options, {key: (float(value.min()), float(value.max())) for key, value in lanes.items()}, 1e-12)

    def answer(parameters: Any) -> Any:
        return evaluate(outcomes, model, options, parameters, fixed, model.solve(parameters, options, budget))

    return jax.tree.map(np.asarray, cheaply(answer)({key: jnp.asarray(value, precision) for key, value in lanes.items()}))


ALL = Outcomes(
    times=(12.0,),
    doublings=(8.0,),
    levels_oom=(3.0,),
    years_of_progress=(12.0,),
    windows=(Window("fast", 12, doublings=24.0), Window("years", 12, years=3.0)),
    peak=True,
    regime=10.0,
)


@pytest.mark.slow
def test_values_come_in_the_order_of_the_labels_flags_first() -> None:
    model = models.get("davidson_houlden_2025")
    options = model.resolve_options({})
    labels = ALL.labels(model, options)
    kinds = [label.kind for label in labels]
    assert kinds == sorted(kinds)
    values = _evaluate(model.name, {}, ALL).values
    # Only the names: what comes out of `jit` is sorted by them.
    assert {label.name for label in labels} == values.keys()
    for label in labels:
        assert (values[label.name].dtype == bool) == (label.kind == "flag")


@pytest.mark.parametrize(
    ("options", "units"),
    [
        ({}, {"knots_recorded": "1", "time_of_last_knot": "months"}),
        ({"boost": "code"}, {"knots_recorded": "1", "time_of_last_knot": "months", "speedup_at_last_knot": "× recent pace"}),
        ({"time": "continuous"}, {}),
    ],
)
def test_diagnostics_have_their_units(options: Any, units: Any) -> None:
    model = models.get("davidson_houlden_2025")
    labels = Outcomes(peak=True, diagnostics=True).labels(model, model.resolve_options(options))[2:]
    assert {label.name: label.unit for label in labels} == units


def test_numbers_of_one_trajectory() -> None:
    values = _evaluate("davidson_houlden_2025", {}, ALL).values
    assert values["doublings_at_12_months"][0] / 8 == pytest.approx(4.306116518, abs=1e-8)
    assert values["years_of_progress_at_12_months"][0] == pytest.approx(4.306116518, abs=1e-8)
    assert values["date_of_level_3_oom"][0] > values["date_of_doubling_8"][0]
    # 24 doublings in 12 months, and 3 years at 8 doublings a year: the same.
    assert values["fast"][0]
    assert values["years"][0]
    assert values["peak_pace"][0] == pytest.approx(3 / np.diff(run().times).min(), rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_published_windows_are_truncated_whether_the_share_is_fixed_or_varies(precision: Any) -> None:
    # At a share of 0.4 thirty times the pace for four months are 99 doublings, not 100: a pace of 100 in 4 months exactly fails, 99 passes.
    speedup = 3 / (4 / 99.5)
    window = Window("w", 4, speedup=30, rule="published")
    given = {"initial_returns_to_software_rnd": 1.0, "initial_speedup": speedup, "software_share_of_progress": 0.4}
    options, outcomes = {"constant_returns": True}, Outcomes(windows=(window,))
    fixed = _evaluate("davidson_houlden_2025", options, outcomes, precision, fixed={"software_share_of_progress": 0.4}, **given)
    varying = _evaluate("davidson_houlden_2025", options, outcomes, precision, fixed={}, **given)
    assert fixed.values["w"][0]
    assert varying.values["w"][0]


@pytest.mark.slow
def test_regimes_by_their_definitions() -> None:
    returns = np.array([0.5, 1.0, 2.0, 0.99])
    outcomes = Outcomes(regime=10.0)
    values = _evaluate("returns_law", {}, outcomes, returns=returns, horizon=24.0).values
    np.testing.assert_array_equal(values["explosion"], [False, False, True, False])
    np.testing.assert_array_equal(values["exponential"], [False, True, False, False])
    np.testing.assert_array_equal(values["fizzle"], [True, False, False, True])
    assert not values["reached_ceiling"].any()
    single = _evaluate("returns_law", {}, outcomes, "float32", returns=returns, horizon=24.0).values
    for name, flags in values.items():
        np.testing.assert_array_equal(single[name], flags)
    # Just faster at the horizon than at the start is neither.
    mild = _evaluate("returns_law", {}, outcomes, returns=1.05, horizon=6.0).values
    assert mild["exponential"][0]


@pytest.mark.slow
def test_an_explosion_that_ends_at_a_ceiling_stays_one() -> None:
    given = {"returns": np.array([6.0, 1.05]), "distance_to_limits": 20.0, "horizon": 100.0}
    values = _evaluate("returns_law", {"ceiling": "linear"}, Outcomes(regime=10.0), **given).values
    np.testing.assert_array_equal(values["explosion"], [True, False])
    np.testing.assert_array_equal(values["fizzle"], [False, True])
    made = _evaluate("returns_law", {"ceiling": "linear"}, Outcomes(times=(100.0,)), **given).values["doublings_at_100_months"]
    np.testing.assert_array_equal(values["reached_ceiling"], made >= 0.99 * 20)


@pytest.mark.slow
def test_software_that_stands_at_its_limit_is_a_fizzle_whoever_is_solved_beside_it() -> None:
    for distances in (2.0, [2.0, 3.0, 4.0]):
        given = {"distance_to_effective_limits": distances, "initial_returns_to_software_rnd": 1.0, "horizon": 48.0}
        values = _evaluate("davidson_houlden_2025", {"constant_returns": True}, Outcomes(regime=10.0), **given).values
        assert values["fizzle"].all()
        assert not values["exponential"].any()


def test_windows_by_doublings_years_and_speedup_are_one_quantity() -> None:
    assert Window("w", 6, doublings=12.0).amount(8.0) == 12.0
    assert Window("w", 6, years=1.5).amount(8.0) == pytest.approx(12.0)
    assert Window("w", 6, speedup=3.0).amount(8.0) == pytest.approx(12.0)


def test_outcomes_that_a_model_lacks_are_refused() -> None:
    toy, law, recursion = models.get("toy_model"), models.get("returns_law"), models.get("davidson_houlden_2025")
    published = Outcomes(windows=(Window("w", 12, doublings=3.0, rule="published"),))
    options = recursion.resolve_options({"time": "continuous"})
    with pytest.raises(ModelError, match="published"):
        published.check(recursion, options, {})
    with pytest.raises(ModelError, match="published"):
        published.check(toy, {}, {})
    with pytest.raises(ModelError, match="year of progress"):
        Outcomes(years_of_progress=(12.0,)).check(toy, {}, {})
    with pytest.raises(ModelError, match="knots"):
        Outcomes(most_doublings_in=(12.0,)).check(law, law.resolve_options({}), {})
    with pytest.raises(ModelError, match="one length"):
        Outcomes(windows=(Window("w", 12, speedup=3.0),)).check(recursion, recursion.resolve_options({}), {})
    Outcomes(windows=(Window("w", 12, speedup=3.0),)).check(recursion, recursion.resolve_options({}), {"software_share_of_progress": 0.5})
