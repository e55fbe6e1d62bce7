"""`simulate`: its contract, and its values against loops in plain float64, closed forms, and quadrature at 30 digits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import xarray as xr

from sweep import simulate
from sweep.errors import SpecError
from tests.oracles import davidson_houlden as oracle
from tests.oracles.davidson_houlden_continuous import Continuous

pytestmark = pytest.mark.usefixtures("compiled_cheaply")

TOY = {"papers_for_first_doubling": 2, "paper_growth_factor": 1.5, "initial_agis": 1, "papers_per_agi_month": 1}


# --- contract ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_numbers_give_one_trajectory():
    found = simulate("toy_model", TOY, times=[0, 1, 2, 3.5])
    assert isinstance(found, xr.Dataset)
    assert dict(found.sizes) == {"time": 4, "doubling": 128}
    assert found["doublings"].dims == ("time",)
    assert found["doubling_time"].dims == ("doubling",)
    assert found["time"].values.tolist() == [0, 1, 2, 3.5]
    assert found["doubling"].values.tolist() == list(range(1, 129))
    assert found["doublings"].dtype == found["doubling_time"].dtype == np.float64
    for name, variable in found.variables.items():
        assert variable.attrs["units"], name
        assert variable.attrs["long_name"], name
    assert found["doubling_time"].attrs["units"] == "months"
    assert found["doublings"].attrs["units"] == "doublings"
    assert found.attrs["model"] == "toy_model"
    assert "Eth & Davidson" in found.attrs["source"]


@pytest.mark.slow
def test_arrays_add_a_dimension():
    found = simulate("toy_model", TOY | {"paper_growth_factor": [1.5, 2, 3]}, times=[1, 2])
    assert found["doublings"].dims == ("trajectory", "time")
    assert found["doubling_time"].dims == ("trajectory", "doubling")
    alone = simulate("toy_model", TOY | {"paper_growth_factor": 3}, times=[1, 2])
    np.testing.assert_allclose(found["doubling_time"][2], alone["doubling_time"], rtol=1e-14)
    np.testing.assert_allclose(found["doublings"][2], alone["doublings"], rtol=1e-14)


@pytest.mark.slow
def test_an_array_of_one_is_an_array():
    found = simulate("toy_model", TOY | {"initial_agis": np.array([1.0])}, times=[1])
    assert found["doublings"].shape == (1, 1)


@pytest.mark.slow
def test_more_trajectories_than_a_batch():
    agis = np.linspace(0.5, 2, 9001)
    dates = simulate("toy_model", TOY | {"initial_agis": agis}, times=[0])["doubling_time"].values[:, :2]
    np.testing.assert_allclose(dates, np.outer(1 / agis, [2, 3.5]), rtol=1e-12)


@pytest.mark.slow
def test_times_are_every_month_by_default():
    assert simulate("toy_model", TOY | {"horizon": 5.5})["time"].values.tolist() == [0, 1, 2, 3, 4, 5]
    assert simulate("toy_model")["time"].values[-1] == 240


def test_what_is_left_out_has_its_default():
    stated = {"papers_for_first_doubling": 2, "paper_growth_factor": 3, "initial_agis": 1, "papers_per_agi_month": 1, "horizon": 240}
    xr.testing.assert_identical(simulate("toy_model"), simulate("toy_model", stated))


@pytest.mark.slow
def test_a_parameter_that_follows_another():
    """The boost of the multi page ends at the initial speed-up, that of the single page at 32 and 72 months."""
    given = {"initial_speedup": [4.0, 16.0]}
    left_out = simulate("davidson_houlden_2025", given, times=[40], options={"boost": "code"})
    stated = simulate("davidson_houlden_2025", given | {"gradual_boost_max": [4.0, 16.0]}, times=[40], options={"boost": "code"})
    xr.testing.assert_identical(left_out, stated)
    assert simulate("davidson_houlden_2025", options={"initial_doubling_convention": "single"})["time"].values[-1] == 72


CHAIN = """
import math
from dataclasses import replace

from kernels.models import Parameter
from kernels.models.toy_model import ToyModel


class Chain(ToyModel):
    name = "chain"
    parameters = (
        replace(ToyModel.parameters[0], default="wanted"),
        Parameter("wanted", "W", "papers", "given", 0.0, math.inf, "the papers that are wanted"),
        Parameter("given", "G", "papers", 2.0, 0.0, math.inf, "the papers that are given"),
        *ToyModel.parameters[1:],
    )
"""


@pytest.mark.parametrize(
    ("given", "first"),
    [({}, 2.0), ({"given": 5.0}, 5.0), ({"wanted": 4.0, "given": 5.0}, 4.0), ({"given": [3.0, 5.0]}, [3.0, 5.0])],
)
def test_a_parameter_at_the_end_of_a_chain_of_defaults(tmp_path, given, first):
    """The first doubling takes as many months as papers: those of the parameter that the defaults lead to."""
    (tmp_path / "chain.py").write_text(CHAIN)
    found = simulate(f"{tmp_path / 'chain.py'}:Chain", given, times=[0], doublings=1)
    np.testing.assert_allclose(found["doubling_time"][..., 0], first, rtol=1e-12)


@pytest.mark.slow
def test_beyond_its_own_horizon_a_trajectory_is_not_known():
    found = simulate("toy_model", TOY | {"horizon": [3, 10]}, times=[2, 4])
    assert np.isnan(found["doublings"].values).tolist() == [[False, True], [False, False]]
    dates = found["doubling_time"].values
    assert dates[0, 1] == math.inf
    assert dates[1, 1] == pytest.approx(3.5)


@pytest.mark.slow
def test_what_the_authors_report_beside_has_its_unit():
    found = simulate("davidson_houlden_2025", times=[0], options={"boost": "code"}, doublings=1)
    units = {name: found[name].attrs["units"] for name in ("knots_recorded", "time_of_last_knot", "speedup_at_last_knot")}
    assert units == {"knots_recorded": "1", "time_of_last_knot": "months", "speedup_at_last_knot": "× recent pace"}


@pytest.mark.slow
def test_so_many_dates_as_asked_for():
    assert simulate("toy_model", TOY, times=[0], doublings=3).sizes["doubling"] == 3


@pytest.mark.parametrize(
    ("arguments", "key", "part"),
    [
        ({"model": "toy_modle"}, "model", "did you mean toy_model?"),
        ({"parameters": {"papers_for_first_doublng": 2}}, "parameters.papers_for_first_doublng", "did you mean papers_for_first_doubling?"),
        ({"parameters": {"initial_agis": -1}}, "initial_agis", "keep it within (0, inf)"),
        ({"parameters": {"initial_agis": [1, 0]}}, "initial_agis", "keep it within (0, inf)"),
        ({"parameters": {"initial_agis": "many"}}, "parameters.initial_agis", "give a number"),
        ({"parameters": {"initial_agis": math.nan}}, "parameters.initial_agis", "initial_agis: nan is not finite. Fix"),
        ({"parameters": {"initial_agis": [1, math.inf]}}, "parameters.initial_agis", "initial_agis: inf is not finite. Fix"),
        ({"parameters": {"initial_agis": []}}, "parameters.initial_agis", "1-D array"),
        (
            {"parameters": {"initial_agis": [[1, 2]]}},
            "parameters.initial_agis",
            "an array of shape (1, 2). Fix: give a finite number or a 1-D array",
        ),
        ({"parameters": {"initial_agis": [1, 2], "horizon": [1, 2, 3]}}, "parameters", "initial_agis has 2, horizon has 3"),
        ({"options": {"boost": "code"}}, "boost", "its options are none"),
        ({"model": "returns_law", "options": {"ceiling": "glass"}}, "ceiling", "'linear'"),
        ({"times": [-1]}, "times", "use 0 to 240"),
        ({"times": [0, 241]}, "times", "use 0 to 240"),
        ({"times": [math.nan]}, "times", "use 0 to 240"),
        ({"times": [[0, 1]]}, "times", "use 0 to 240"),
        ({"times": []}, "times", "use 0 to 240"),
        ({"times": ["soon"]}, "times", "use 0 to 240"),
        ({"times": 12}, "times", "[times] = 12: not a list of months. Fix: give a list of 0 to 240, e.g. times=[240]"),
        ({"times": np.array(12.0)}, "times", "not a list of months"),
        ({"doublings": 0}, "doublings", "use 1 or more"),
    ],
)
def test_what_is_wrong_is_told(arguments, key, part):
    with pytest.raises(SpecError) as caught:
        simulate(**({"model": "toy_model"} | arguments))
    assert caught.value.key == key
    assert str(caught.value).startswith("simulate: ")
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


# --- values ------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("growth", [1.2, 1.5, 2.0, 3.0])
@pytest.mark.slow
def test_the_toy_model_in_closed_form(growth):
    found = simulate("toy_model", TOY | {"paper_growth_factor": growth, "horizon": 500})
    ratio = growth / 2
    count = np.arange(1, 129)
    dates = np.asarray(2 * (count if ratio == 1 else (ratio**count - 1) / (ratio - 1)))
    np.testing.assert_allclose(found["doubling_time"], np.where(dates <= 500, dates, np.inf), rtol=1e-12)
    # Linear in time within a doubling.
    knots = np.concatenate([[0], dates[dates <= 500]])
    at_knots: Any = np.interp(found["time"], knots, np.arange(len(knots)))
    # Short of a blow-up, near which nothing is told apart.
    inside = found["time"].values < 0.99 * knots[-1]
    np.testing.assert_allclose(found["doublings"].values[inside], at_knots[inside], rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(("returns", "exponent"), [(0.7, 1.0), (1.0, 0.5), (3.0, 1.0), (3.0, 0.3)])
def test_the_returns_law_in_closed_form(returns, exponent):
    """dx/dt = 2^(ax)/T0 with a = λ(1 − 1/r): x blows up, grows exponentially or as a logarithm."""
    found = simulate(
        "returns_law",
        {"returns": returns, "parallel_exponent": exponent, "initial_doubling_time": 1.5, "horizon": 100},
        options={"ceiling": "constant"},
    )
    rate, count = exponent * (1 - 1 / returns) * math.log(2), np.arange(1, 129)
    dates = 1.5 * (count if rate == 0 else (1 - np.exp(-rate * count)) / rate)
    reached = dates < 100
    np.testing.assert_allclose(found["doubling_time"].values[reached], dates[reached], rtol=1e-12)
    assert np.isinf(found["doubling_time"].values[~reached]).all()
    times = found["time"].values[1:]
    with np.errstate(invalid="ignore", divide="ignore"):
        made = times / 1.5 if rate == 0 else -np.log1p(-rate * times / 1.5) / rate
    made = np.where(np.isnan(made) | (made > 900), np.inf, made)
    np.testing.assert_allclose(found["doublings"].values[1:], made, rtol=1e-9)


def drawn(count=40, seed=5):
    speedup, returns, distance, exponent = oracle.draw_priors(count, seed)
    return {
        "initial_speedup": speedup,
        "initial_returns_to_software_rnd": returns,
        "distance_to_effective_limits": distance,
        "parallel_labour_exponent": exponent,
    }


CASES = [
    {"initial_doubling_convention": "multi"},
    {"initial_doubling_convention": "multi", "retraining": "paper"},
    {"initial_doubling_convention": "single"},
    *(
        pytest.param(options, marks=pytest.mark.slow)
        for options in (
            {"initial_doubling_convention": "multi", "retraining": "code"},
            {"initial_doubling_convention": "multi", "boost": "code"},
            {"initial_doubling_convention": "single", "retraining": "paper"},
        )
    ),
    *(
        pytest.param(options, marks=pytest.mark.soak)
        for options in (
            {"initial_doubling_convention": "multi", "boost": "paper_linear"},
            {"initial_doubling_convention": "multi", "constant_returns": True},
        )
    ),
]


@pytest.mark.parametrize("options", CASES, ids=lambda options: "-".join(str(value) for value in options.values()))
@pytest.mark.slow
def test_davidson_houlden_against_plain_loops(options):
    given = drawn()
    months = [0, 1, 4, 12, 24, 36, 48]
    found = simulate("davidson_houlden_2025", given, times=months, options=options)
    horizon = 72 if options["initial_doubling_convention"] == "single" else 48
    for index in range(40):
        lane: dict[str, Any] = {name: float(values[index]) for name, values in given.items()}
        exact = oracle.run(**lane, **options)
        for number in (1, 2, 8, 24, 60):
            knots = [time for time, made in zip(exact.times, exact.doublings, strict=True) if made >= number - 1e-9]
            date = knots[0] if knots and knots[0] <= horizon else math.inf
            assert float(found["doubling_time"][index, number - 1]) == pytest.approx(date, rel=1e-9)
        for place, month in enumerate(months):
            assert float(found["doublings"][index, place]) / 8 == pytest.approx(exact.years_of_progress(month), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("retraining", ["none", pytest.param("paper", marks=pytest.mark.slow)])
@pytest.mark.slow
def test_the_continuous_limit_against_quadrature_at_30_digits(retraining):
    lane = {
        "initial_speedup": 8.0,
        "initial_returns_to_software_rnd": 1.7,
        "distance_to_effective_limits": 9.0,
        "parallel_labour_exponent": 0.4,
    }
    options = {"time": "continuous", "retraining": retraining}
    found = simulate("davidson_houlden_2025", lane, times=[1, 6], options=options)
    exact = Continuous(3 / 8, 1.7, 9.0, 0.4, retraining=retraining)
    for number in (1, 8, 24):
        assert float(found["doubling_time"][number - 1]) == pytest.approx(float(exact.time(number)), rel=1e-9)
    for place, month in enumerate((1, 6)):
        assert float(found["doublings"][place]) / 8 == pytest.approx(float(exact.years_of_progress(month)), rel=1e-9)


@pytest.mark.slow
def test_what_takes_many_steps_takes_more_of_them_or_is_nan():
    # At this pace, half of the threshold, a reaction does nothing, however soon it would come.
    given = {"returns": 0.9, "initial_doubling_time": 6.0, "reaction_delay": [3.0, 0.01, 0.0005]}
    found = simulate("growth_law", given, times=[60, 240], options={"governance": "reaction"}, doublings=8)
    usual = simulate("growth_law", {"returns": 0.9, "initial_doubling_time": 6.0}, times=[60, 240], doublings=8)
    np.testing.assert_allclose(found.doublings, [usual.doublings, usual.doublings, [np.nan, np.nan]], rtol=1e-9)
    np.testing.assert_allclose(found.doubling_time, [usual.doubling_time, usual.doubling_time, [np.nan] * 8], rtol=1e-9)
