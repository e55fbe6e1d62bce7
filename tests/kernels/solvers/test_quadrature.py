"""Quadrature: its error falls as its rule promises, its panels suffice, and what it searches for is where it says."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from functools import partial
from typing import Any

import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from kernels import models
from kernels.law.bare_law import BareLaw
from kernels.solvers.budget import Budget
from kernels.solvers.panels import direct_panels, gauss_legendre, panels_for
from kernels.solvers.quadrature import QuadratureSolution
from tests.compiling import cheaply
from tests.kernels.asking import ask
from tests.oracles.davidson_houlden import draw_priors

PARAMETERS = ("initial_speedup", "initial_returns_to_software_rnd", "distance_to_effective_limits", "parallel_labour_exponent")


PLENTY = Budget(40, 16)


def _power_law(powers: Any, budget: Budget = PLENTY) -> QuadratureSolution:
    """T = (1 − x/X)^(−a) with X = 10, one a a lane: t = X·(1 − (1 − x/X)^(1−a))/(1 − a)."""
    power = jnp.asarray(powers, jnp.float64)
    return QuadratureSolution(
        lambda level, log_remaining: -power * log_remaining, jnp.full_like(power, 10.0), jnp.full_like(power, 1e5), budget
    )


@pytest.mark.slow
def test_the_error_falls_spectrally_with_the_nodes() -> None:
    powers = np.array([0.3, 1.5, 2.5])

    def dates(nodes: int) -> np.ndarray:
        solution = _power_law(powers, Budget(40, nodes))
        return np.asarray(cheaply(solution.date_at)(jnp.full(3, 9.0)))

    exact = 10 * (1 - 0.1 ** (1 - powers)) / (1 - powers)
    for errors in np.transpose([np.abs(dates(nodes) / exact - 1) for nodes in (2, 4, 8, 16)]):
        assert errors[1] < 0.1 * errors[0] or errors[1] < 1e-13
        assert errors[2] < 1e-3 * errors[1] or errors[2] < 1e-13
        assert errors[3] < 1e-13


@pytest.mark.slow
def test_levels_invert_dates() -> None:
    powers = np.array([0.0, 0.3, 1.0, 2.0])
    solution, levels = _power_law(powers), np.broadcast_to(np.array([1e-4, 0.1, 3.0, 9.0, 9.99])[:, None], (5, 4))
    level, pace = cheaply(lambda levels: solution.level_at(solution.date_at(levels)))(jnp.asarray(levels))
    np.testing.assert_allclose(level, levels, rtol=1e-12)
    np.testing.assert_allclose(pace, (1 - levels / 10) ** powers, rtol=1e-8)


@pytest.mark.slow
def test_arrival_and_what_follows_it() -> None:
    arrival = 10 / 0.7

    def questions() -> Any:
        solution = _power_law([0.3])
        times = (arrival * (1 - 1e-6), arrival * (1 + 1e-9), 500.0)
        return solution.levels(times), solution.dates((10.0, 10.01)), solution.cut_off

    (level, pace), dates, cut = cheaply(questions)()
    assert float(dates[0, 0]) == pytest.approx(arrival, rel=1e-12)
    assert 9.9 < float(level[0, 0]) < 10
    np.testing.assert_array_equal(level[1:, 0], 10)
    np.testing.assert_array_equal(pace[1:, 0], 0)
    assert not bool(cut[0])
    assert np.isinf(dates[1, 0])


@pytest.mark.slow
def test_a_law_that_is_regular_at_its_end_and_has_a_kink() -> None:
    # T = e^|x − 4| up to X = 10.
    lanes = jnp.full(1, 1e4)

    def law(level: Any, log_remaining: Any) -> Any:
        return jnp.abs(level - 4)

    def questions() -> Any:
        solution = QuadratureSolution(law, 10 * jnp.ones_like(lanes), lanes, PLENTY, kink=4 * jnp.ones_like(lanes), regular=True)
        return solution.dates((4.0, 6.0, 10.0))[:, 0], solution.shortest_durations((2.0, 6.0, 10.0, 10.5))[:, 0], solution.paces()

    dates, durations, paces = cheaply(questions)()
    half = math.exp(4) - 1
    arrival = half + math.exp(6) - 1
    np.testing.assert_allclose(dates, [half, half + math.exp(2) - 1, arrival], rtol=1e-13)
    np.testing.assert_allclose(durations[:3], [2 * math.e - 2, 2 * math.exp(3) - 2, arrival], rtol=1e-9)
    assert np.isinf(durations[3])
    assert float(paces.highest[0]) == pytest.approx(1, abs=1e-6)
    assert float(paces.at_horizon[0]) == 0


def test_too_few_panels_are_said() -> None:
    def question() -> Any:
        steep = QuadratureSolution(lambda level, _: 5 * level, None, jnp.full(1, 1e300), Budget(3, 16))
        return steep.date_at(jnp.full(1, 30.0)), steep.cut_off

    assert bool(cheaply(question)()[1][0])


@pytest.mark.parametrize("precision", ["float32", pytest.param("float64", marks=pytest.mark.soak)])
@pytest.mark.parametrize("retraining", ["none", "paper", "code"])
@pytest.mark.slow
def test_panels_suffice_for_davidson_and_houldens_priors(retraining: Any, precision: Any) -> None:
    values = dict(zip(PARAMETERS, draw_priors(20_000, 2), strict=True))
    options = {"time": "continuous", "retraining": retraining}
    level, cut = ask("davidson_houlden_2025", options, lambda s, p: (s.level_at_horizon(), s.cut_off), precision, **values)
    assert not cut.any()
    assert np.all(np.isfinite(level))


@pytest.mark.parametrize("precision", ["float32", pytest.param("float64", marks=pytest.mark.soak)])
@pytest.mark.parametrize("ceiling", ["constant", "linear", "log_distance", "level"])
@pytest.mark.slow
def test_panels_suffice_for_broad_priors(ceiling: Any, precision: Any) -> None:
    random, count = np.random.default_rng(0), 20_000
    values = {
        "returns": np.exp(random.uniform(math.log(0.3), math.log(6), count)),
        "parallel_exponent": np.exp(random.uniform(math.log(0.1), math.log(1.5), count)),
        "distance_to_limits": random.uniform(5, 100, count),
        "initial_doubling_time": np.exp(random.uniform(-1, 2, count)),
    }
    level, cut = ask("returns_law", {"ceiling": ceiling}, lambda s, p: (s.level_at_horizon(), s.cut_off), precision, **values)
    assert not np.isnan(level).any()
    # Where a law neither arrives nor slows, to a few in ten thousand, it takes ever more panels; those lanes are counted in a sweep.
    assert cut.mean() <= 2e-4


@pytest.mark.parametrize("tolerance", [1e-4, 1e-9, 1e-12])
def test_panels_far_from_every_ceiling_hold_their_accuracy(tolerance: float) -> None:
    # ∫ e^(sx)·(1 − x/20)^(−4) dx from mpmath, at the steepest and with the singularity that the budget was told of.
    budget = panels_for(tolerance, lambda share: 1.5 + 4 / (20 * (1 - share)), nearest_ceiling=20.0, deepest=30.0)
    for start, end in ((0.0, 1.0), (1.0, 5.0), (5.0, 17.9)):
        edges, count = direct_panels(start, end, budget)
        assert (edges[0], edges[-1]) == (start, end)
        points, weights = gauss_legendre(count, np.dtype(np.float64))
        for slope in (-1.5, 0.0, 1.5):
            found = sum(
                (high - low) * float(weights @ (np.exp(slope * (x := low + (high - low) * points)) * (1 - x / 20) ** -4))
                for low, high in itertools.pairwise(edges)
            )
            exact = float(mpmath.quad(lambda x, slope=slope: mpmath.exp(slope * x) * (1 - x / 20) ** -4, [start, (start + end) / 2, end]))
            assert abs(found / exact - 1) <= max(tolerance / 10, 4e-15)


def test_a_singularity_beside_the_real_line_narrows_the_panels() -> None:
    # ∫ (1 + (x − 5)²/R²)^(1/2) dx, whose branch points are R doublings off the real line.
    def steepest(share: float) -> float:
        return 1.0

    for tolerance in (1e-4, 1e-9):
        budget = panels_for(tolerance, steepest, nearest_ceiling=math.inf, deepest=0.0, aside=1.0)
        edges, count = direct_panels(0.0, 10.0, budget)
        points, weights = gauss_legendre(count, np.dtype(np.float64))
        found = sum((high - low) * float(weights @ np.hypot(1, low + (high - low) * points - 5)) for low, high in itertools.pairwise(edges))
        assert abs(found / (5 * math.hypot(1, 5) + math.asinh(5)) - 1) <= tolerance / 10
        far = panels_for(tolerance, steepest, nearest_ceiling=math.inf, deepest=0.0)
        fewest, points_each = direct_panels(0.0, 10.0, far)
        assert points_each * (len(fewest) - 1) < count * (len(edges) - 1)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_what_is_written_out_gives_what_loops_give(precision: str) -> None:
    model = models.get("growth_law")
    options = model.resolve_options({"research_input": "ces", "ceiling": "linear"})
    values = {name: value for name, value in model.defaults(options).items() if isinstance(value, float)} | {"horizon": 1e9, "returns": 6.0}
    bounds = {name: (value, value) for name, value in values.items()}
    parameters = {name: jnp.full(4, value, precision) for name, value in values.items()}
    budget = model.budget(options, bounds, 1e-6)

    def asked(budget: Budget) -> Any:
        solution = model.solve(parameters, options, budget)
        return solution.dates((1.0, 5.0, 80.0, 85.0))

    loops, written = (np.asarray(cheaply(partial(asked, one))()) for one in (budget, replace(budget, compact=False)))
    assert np.isfinite(loops).all()
    np.testing.assert_allclose(written, loops, rtol=1e-6 if precision == "float32" else 1e-14)


@pytest.mark.slow
@pytest.mark.parametrize(("elasticity", "distance"), [(1.3295739889144897, 20.586637496948242), (1.5330939292907715, 15.022894859313965)])
def test_the_highest_pace_is_found_behind_a_dip(elasticity: Any, distance: Any) -> None:
    """Research input that passes from compute to labour: the pace falls, rises and falls again, all within what one panel may take."""
    model = models.get("growth_law")
    options = model.resolve_options({"research_input": "ces", "ceiling": "linear"})
    given = {"initial_doubling_time": 1.6492, "parallel_exponent": 0.99958, "labour_share": 0.3958043, "returns": 0.93636286}
    given |= {"elasticity_of_substitution": elasticity, "distance_to_limits": distance, "horizon": 120.0}
    known = {**model.defaults(options), **given}
    wide = {"returns": (0.4, 3.6), "elasticity_of_substitution": (0.32, 3.125), "distance_to_limits": (8.0, 256.0)}
    wide |= {"parallel_exponent": (0.15, 1.0), "labour_share": (0.33, 0.5), "experiment_efficiency": (0.0, 1.0)}
    bounds = {name: wide.get(name, (value, value)) for name, value in known.items()}
    budget = model.budget(options, bounds, 1e-4)
    paces = []
    for work in (budget, budget.for_audit()):
        solution = cheaply(lambda lanes, work=work: model.solve(lanes, options, work).paces())
        paces.append(float(solution({name: jnp.full(4, value) for name, value in known.items()}).highest[0]))
    # Against places so close that none is missed.
    law = BareLaw({name: jnp.full(1, value) for name, value in known.items()}, options)
    places = jnp.linspace(0, 4, 40_001)
    highest = float(jnp.max(jnp.exp(law.log_first_pace + law.log_in_software(law.level(places), law.log_remaining(places)))))
    assert paces == pytest.approx([highest, highest], rel=1e-7)
