"""The returns law (law.md S2 to S4): its authors' numbers, its ceilings against integrals by mpmath, its paces and windows by search."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from mpmath import mp, mpf
from scipy.integrate import solve_ivp

from kernels import models
from kernels.models import ModelError
from tests.kernels.asking import ask, lanes_of

NAME = "returns_law"
MONTH = 30.4375
GEOMETRIC = {"convention": "geometric"}
CEILINGS = ("linear", "log_distance", "level")


def _log_time(ceiling: Any, returns: Any, exponent: Any, limit: Any, x: Any, left: Any = None) -> Any:
    """ln T/T(0) at x doublings, `left` of the share 1 of the way to the limit, in mpmath."""
    beta, x, limit = mpf(exponent) / mpf(returns), mpf(x), mpf(limit)
    left = 1 - x / limit if left is None else left
    log2 = mp.log(2)
    if ceiling == "constant":
        factor = -log2 * beta * x
    elif ceiling == "linear":
        factor = beta * limit * log2 * mp.log(left)
    elif ceiling == "log_distance":
        factor = (1 + beta * limit * log2) * mp.log(left)
    else:
        factor = beta * (1 - 2**-limit) * mp.log(mp.expm1(log2 * limit * left) / mp.expm1(log2 * limit))
    return -log2 * mpf(exponent) * x - factor


def _date(ceiling: Any, returns: Any, exponent: Any, limit: Any, x: Any, first: Any = 1.0) -> Any:
    """t(x) in u = −ln(1 − x/X), in which no ceiling is singular."""
    if ceiling == "constant":
        phi = mpf(exponent) * (1 - 1 / mpf(returns)) * mp.log(2)
        return mpf(first) * (x if phi == 0 else (1 - mp.exp(-phi * x)) / phi)
    limit = mpf(limit)
    end = -mp.log(1 - mpf(x) / limit)
    breaks = [end * mpf(k) / 8 for k in range(9)]

    def integrand(u: Any) -> Any:
        return mp.exp(_log_time(ceiling, returns, exponent, limit, -limit * mp.expm1(-u), mp.exp(-u)) - u)

    return mpf(first) * limit * mp.quad(integrand, breaks)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("returns", "ratio", "days"),
    [(0.7, 1.345900, (30.44, 40.97, 55.14, 74.21, 99.88)), (3.0, 0.629961, (30.44, 19.17, 12.08, 7.61, 4.79))],
)
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_geometric_doublings(returns: Any, ratio: Any, days: Any, precision: Any) -> None:
    dates = ask(NAME, GEOMETRIC, lambda s, p: s.dates((1.0, 2.0, 3.0, 4.0, 5.0)), precision, returns=returns)[:, 0]
    lengths = np.diff(dates.astype(float), prepend=0)
    np.testing.assert_allclose(lengths[1:] / lengths[:-1], ratio, atol=1e-6 if precision == "float64" else 1e-5)
    np.testing.assert_allclose(lengths * MONTH, days, atol=0.0051)
    np.testing.assert_allclose(dates, np.cumsum((2 ** (1 / returns - 1)) ** np.arange(5)), rtol=1e-12 if precision == "float64" else 1e-6)


def test_a_factor_of_32_takes_300_days() -> None:
    assert ask(NAME, GEOMETRIC, lambda s, p: s.dates((5.0,)), returns=0.7)[0, 0] * MONTH == pytest.approx(300.6, abs=0.05)


@pytest.mark.slow
def test_doublings_a_year_of_a_fizzle_that_starts_at_three_days() -> None:
    given = {"initial_doubling_time": 3 / MONTH, "returns": 0.9}
    made = ask(NAME, GEOMETRIC, lambda s, p: s.levels((12.0, 24.0, 36.0))[0], **given)[:, 0]
    np.testing.assert_allclose(np.diff(made, prepend=0), [30.833, 8.381, 5.052], atol=6e-4)


def _around(time: float) -> Any:
    return lambda s, p: (*s.levels((time * (1 - 1e-9), time * (1 + 1e-9)))[0], s.paces().highest, s.dates((999.0,))[0])


@pytest.mark.parametrize("returns", [1.1, 3.0])
@pytest.mark.slow
def test_blow_up_times(returns: Any) -> None:
    q, phi = 2 ** (1 / returns - 1), (1 - 1 / returns)
    for convention, blow_up in (("geometric", 1 / (1 - q)), ("instantaneous", 1 / (phi * math.log(2)))):
        early, late, highest, last = ask(
            NAME,
            {"convention": convention},
            _around(blow_up),
            returns=returns,
        )
        assert early[0] == pytest.approx(math.log2(1e9) / phi, rel=1e-5)
        assert np.isinf(late[0])
        assert np.isinf(highest[0])
        assert last[0] == pytest.approx(blow_up, rel=1e-12)
    if returns == 3.0:
        assert 1 / (1 - q) * MONTH == pytest.approx(82.2547, abs=1e-4)


@pytest.mark.slow
def test_returns_of_one_are_exponential_whatever_the_exponent() -> None:
    exponents = np.array([0.1, 0.5, 1.0, 1.4])
    for precision, tolerance in (("float64", 1e-12), ("float32", 3e-7)):
        for convention in ("instantaneous", "geometric"):
            dates, paces = ask(
                NAME,
                {"convention": convention},
                lambda s, p: (s.dates((0.5, 7.0, 100.0)), s.paces()),
                precision,
                returns=1.0,
                parallel_exponent=exponents,
                initial_doubling_time=2.0,
            )
            np.testing.assert_allclose(dates, np.broadcast_to([[1.0], [14.0], [200.0]], dates.shape), rtol=tolerance)
            np.testing.assert_array_equal(paces.at_horizon, paces.at_start)


def test_a_lower_exponent_pulls_every_curve_toward_returns_of_one() -> None:
    exponents = np.array([1.0, 0.7, 0.4, 0.1])
    for returns, faster in ((0.6, True), (2.0, False)):
        (dates,) = ask(NAME, {}, lambda s, p: s.dates((8.0,)), returns=returns, parallel_exponent=exponents)
        distance = np.abs(dates - 8.0)
        assert np.all(np.diff(distance) < 0)
        assert np.all(np.diff(dates) < 0) == faster


@pytest.mark.parametrize("ceiling", CEILINGS)
@pytest.mark.parametrize("convention", [pytest.param("instantaneous", marks=pytest.mark.soak), "geometric"])
@pytest.mark.slow
def test_ceilings_against_integrals(ceiling: Any, convention: Any) -> None:
    cases = [(0.6, 1.0, 12.3), (1.7, 0.4, 20.0), (3.0, 1.3, 40.0), (6.0, 0.15, 9.5), (1.0, 0.8, 300.0)]
    returns, exponent, limit = np.array(cases).T
    levels = (0.5, 3.0, 7.0, 9.4, 9.4999, 19.9)
    options = {"ceiling": ceiling, "convention": convention}
    given = {"returns": returns, "parallel_exponent": exponent, "distance_to_limits": limit, "horizon": 1e5}
    dates = ask(NAME, options, lambda s, p: s.dates(levels), **given)
    mp.dps = 20
    for lane, case in enumerate(cases):
        scale = 1 / _date(ceiling, *case, 1) if convention == "geometric" else 1
        for level, date in zip(levels, dates[:, lane], strict=True):
            exact = float(scale * _date(ceiling, *case, level)) if level < case[2] else math.inf
            assert date == pytest.approx(exact if exact <= 1e5 else math.inf, rel=1e-9)


@pytest.mark.parametrize("ceiling", CEILINGS)
@pytest.mark.slow
def test_far_ceilings_tend_to_constant_returns(ceiling: Any) -> None:
    given = {"returns": np.array([0.7, 1.0, 2.5]), "parallel_exponent": 0.8}
    levels = (1.0, 5.0, 10.0)
    constant = ask(NAME, {}, lambda s, p: s.dates(levels), **given)
    errors = []
    for limit in (1e3, 1e4, 1e5):
        far = ask(NAME, {"ceiling": ceiling}, lambda s, p: s.dates(levels), distance_to_limits=limit, **given)
        errors.append(np.abs(far / constant - 1).max())
    assert errors[2] < 1e-2
    if ceiling == "level":
        assert max(errors) < 1e-9
    else:
        assert errors[2] < 0.12 * errors[1] < 0.015 * errors[0] * 1.1


@pytest.mark.parametrize(
    ("ceiling", "power"),
    [("linear", 0.95), ("level", 0.4), *(pytest.param(*row, marks=pytest.mark.soak) for row in (("linear", 0.4), ("level", 0.95)))],
)
@pytest.mark.slow
def test_arrival_in_finite_time(ceiling: Any, power: Any) -> None:
    # a < 1: u = −ln(1 − x/X) to infinity has a finite integral, whose tail beyond u = U is e^((a−1)U)/(1 − a).
    limit, returns = 10.0, 3.0
    exponent = power * returns / (limit * math.log(2)) if ceiling == "linear" else power * returns / (1 - 2**-limit)
    options, given = {"ceiling": ceiling}, {"returns": returns, "parallel_exponent": exponent, "distance_to_limits": limit, "horizon": 1e4}
    arrival, beyond, last, made, pace = ask(
        NAME, options, lambda s, p: (*s.dates((limit, 10.5)), s.level_at_horizon(), *s.levels((9e3,))), **given
    )

    def integrand(u: Any) -> Any:
        return mp.exp(_log_time(ceiling, returns, exponent, limit, -mpf(limit) * mp.expm1(-u), mp.exp(-u)) - u)

    with mp.workdps(20):
        end = mpf(25) / (1 - mpf(power))
        exact = limit * (mp.quad(integrand, [0, 1, 2, 4, 8, end / 2, end]) + integrand(end) / (1 - mpf(power)))
    assert arrival[0] == pytest.approx(float(exact), rel=1e-9)
    assert np.isinf(beyond[0])
    assert last[0] == limit
    assert made[0, 0] == limit
    assert pace[0, 0] == 0


@pytest.mark.parametrize("ceiling", CEILINGS)
@pytest.mark.slow
def test_no_arrival_where_the_power_is_one_or_more(ceiling: Any) -> None:
    given = {"returns": 1.2, "parallel_exponent": 1.0, "distance_to_limits": 30.0, "horizon": 1e6}
    arrival, last = ask(NAME, {"ceiling": ceiling}, lambda s, p: (s.dates((30.0,))[0], s.level_at_horizon()), **given)
    if ceiling == "level":
        assert np.isfinite(arrival[0])
        given["returns"] = 0.5
        arrival, last = ask(NAME, {"ceiling": ceiling}, lambda s, p: (s.dates((30.0,))[0], s.level_at_horizon()), **given)
    assert np.isinf(arrival[0])
    assert 10 < last[0] < 30


@pytest.mark.slow
@pytest.mark.usefixtures("as_shipped")
def test_the_highest_pace_of_a_linear_ceiling_in_closed_form() -> None:
    # The date of a flat maximum turns on the last digits.
    returns, exponent, limit = np.array([1.5, 3.0, 1.01, 0.8]), np.array([0.5, 1.0, 0.3, 0.6]), np.array([20.0, 60.0, 88.0, 30.0])
    given = {"returns": returns, "parallel_exponent": exponent, "distance_to_limits": limit, "horizon": 1e4}
    for precision, tolerance in (("float64", 1e-9), ("float32", 2e-5)):
        paces = ask(NAME, {"ceiling": "linear"}, lambda s, p: s.paces(), precision, **given)
        where = limit * np.maximum(1 - 1 / returns, 0)
        power = exponent / returns * limit * math.log(2)
        highest = 2 ** (exponent * where) * (1 - where / limit) ** power
        np.testing.assert_allclose(paces.highest, highest, rtol=tolerance)
        dates = [float(_date("linear", *case, x)) for case, x in zip(zip(returns, exponent, limit, strict=True), where, strict=True)]
        np.testing.assert_allclose(paces.date_of_highest, dates, rtol=1e-3 if precision == "float32" else 1e-5, atol=1e-6)


def _brute_force_windows(ceiling: Any, returns: Any, exponent: Any, limit: Any, horizon: Any, amounts: Any) -> Any:
    """Shortest windows on a fine grid of SciPy's solution of dt/dx = T."""

    def slope(x: Any, _: Any) -> Any:
        return [math.exp(float(_log_time(ceiling, returns, exponent, limit, x)))]

    end = min(limit - 1e-3, 60.0) if ceiling != "constant" else 60.0
    grid = np.linspace(0, end, 3001)
    answer = solve_ivp(slope, (0, end), [0.0], rtol=1e-10, atol=1e-12, t_eval=grid, events=lambda x, t: t[0] - 3 * horizon)
    dates = np.interp(grid, answer.t, answer.y[0], right=np.inf)
    found = []
    for amount in amounts:
        starts = np.linspace(0, max(end - amount, 0), 4001)
        ends = np.interp(starts + amount, grid, dates)
        lengths = np.where(ends <= horizon, ends - np.interp(starts, grid, dates), np.inf)
        found.append(lengths.min())
    return found


@pytest.mark.parametrize(
    ("ceiling", "returns", "exponent", "limit", "horizon"),
    [
        ("linear", 2.0, 0.8, 30.0, 40.0),
        pytest.param("log_distance", 1.5, 0.6, 25.0, 60.0, marks=pytest.mark.soak),
        pytest.param("level", 0.7, 0.5, 20.0, 60.0, marks=pytest.mark.soak),
        ("linear", 3.0, 0.5, 40.0, 6.0),
    ],
)
@pytest.mark.slow
def test_shortest_windows_by_brute_force(ceiling: Any, returns: Any, exponent: Any, limit: Any, horizon: Any) -> None:
    amounts = (2.0, 7.5, 15.0, 19.9)
    given = {"returns": returns, "parallel_exponent": exponent, "distance_to_limits": limit, "horizon": horizon}
    expected = _brute_force_windows(ceiling, returns, exponent, limit, horizon, amounts)
    for precision in ("float64", "float32"):
        found = ask(NAME, {"ceiling": ceiling}, lambda s, p: s.shortest_durations(amounts), precision, **given)[:, 0]
        np.testing.assert_allclose(found, expected, rtol=2e-3)
    assert np.isfinite(expected[0])


@pytest.mark.parametrize(
    "ceiling",
    [pytest.param(ceiling, marks=[pytest.mark.soak] * (ceiling in ("constant", "log_distance"))) for ceiling in ("constant", *CEILINGS)],
)
@pytest.mark.slow
def test_float32_keeps_the_digits_that_are_promised(ceiling: Any) -> None:
    random = np.random.default_rng(4)
    values = {
        "returns": np.exp(random.uniform(np.log(0.3), np.log(6), 4096)),
        "parallel_exponent": np.exp(random.uniform(np.log(0.1), np.log(1.5), 4096)),
        "distance_to_limits": random.uniform(5, 100, 4096),
        "initial_doubling_time": np.exp(random.uniform(-2, 2, 4096)),
    }
    values = {name: value.astype(np.float32).astype(float) for name, value in values.items()}
    levels = (1.0, 8.0, 20.0, 70.0)
    options = {"ceiling": ceiling, "convention": "geometric" if ceiling in ("constant", "linear") else "instantaneous"}
    single, double = (ask(NAME, options, lambda s, p: s.dates(levels), precision, **values) for precision in ("float32", "float64"))
    both = np.isfinite(single) & np.isfinite(double)
    errors = np.abs(single[both] / double[both] - 1)
    # log2 T/T0, by which the contract widens; what it is at a ceiling is more, so that this is strict there.
    swing = np.array(levels)[:, None] * values["parallel_exponent"] * (1 / values["returns"] - 1)
    if ceiling in ("linear", "log_distance"):
        limit, beta = values["distance_to_limits"], values["parallel_exponent"] / values["returns"]
        left = np.log2(np.maximum(1 - np.array(levels)[:, None] / limit, 1e-9))
        power = beta * limit * math.log(2) + (ceiling == "log_distance")
        swing = -values["parallel_exponent"] * np.array(levels)[:, None] - power * left
    allowed = 2e-6 * (1 + np.abs(swing)[both] / 8)
    assert np.mean(errors <= allowed) >= 0.999
    assert errors.max() <= 2e-5
    reached = np.where(np.isfinite(single), single, double)
    assert np.all(np.abs(reached - 240)[np.isfinite(single) != np.isfinite(double)] <= 2e-5 * 240)


def test_a_first_doubling_that_the_ceiling_forbids_is_refused() -> None:
    model, options = models.get(NAME), {"ceiling": "linear", "convention": "geometric"}
    bounds = {name: (float(value.min()), float(value.max())) for name, value in lanes_of(NAME, {}, {"distance_to_limits": 1.0}).items()}
    with pytest.raises(ModelError, match="distance_to_limits"):
        model.check(options, bounds)
    model.check(options | {"convention": "instantaneous"}, bounds)
