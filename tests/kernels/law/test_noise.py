"""Noise: the path against the moments of its process, its refinement, breakthroughs, and the noisy law against Euler–Maruyama steps."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from kernels import models
from kernels.law.noise import LEAST_POINTS, POINTS, Wandering, breakthrough
from kernels.models import PATH, ModelError
from kernels.sampling import path_words, seed_key
from tests.compiling import cheaply
from tests.kernels.asking import ask, lanes_of

MODEL = "growth_law"
LANES = 40_000
SLOW = {"returns": 0.9, "horizon": 60.0}
"""A law that no path makes explode."""


def words(lanes: int, seed: int = 0) -> tuple[jax.Array, jax.Array]:
    key, count = jnp.asarray(seed_key(seed)), jnp.arange(lanes, dtype=jnp.uint32)
    made: tuple[jax.Array, jax.Array] = jax.jit(path_words)(key, count)
    return made


def _wandering(lanes: int, refinements: int, dtype: Any = jnp.float64, horizon: float = 1e9) -> Wandering:
    """With a correlation time of a month."""
    return Wandering(words(lanes), refinements, jnp.ones(lanes, dtype), jnp.full(lanes, horizon, dtype))


@partial(jax.jit, static_argnums=(0, 1, 2))
def path(lanes: int, refinements: int, count: int) -> jax.Array:
    """w/σ at the points 0 … count of the grid, (count + 1, lanes)."""
    wandering = _wandering(lanes, refinements)
    begin = wandering.begun(jnp.zeros(lanes, jnp.float64))
    _, ends = lax.scan(lambda at, _: (wandering.advanced(at), at["wander_end"]), begin, None, length=count)
    return jnp.concatenate([begin["wander_start"][None], ends])


# --- the path ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("refinements", [0, 2])
@pytest.mark.slow
def test_the_path_is_an_ornstein_uhlenbeck_process(refinements):
    points = POINTS << refinements
    found = np.asarray(path(LANES, refinements, 5 * points))
    assert not found[0].any()
    months = np.arange(len(found)) / points
    # From 0: the variance is 1 − e^(−2t), whose estimate has the standard error √(2/n) of itself.
    variance = -np.expm1(-2 * months)
    assert np.all(np.abs(np.var(found, axis=1)[1:] / variance[1:] - 1) < 5 * math.sqrt(2 / LANES))
    assert np.all(np.abs(found.mean(axis=1)) <= 5 * np.sqrt(variance / LANES))
    # Normal: the fourth moment of a standard normal is 3 ± √(96/n).
    assert abs(np.mean((found[-1] / np.sqrt(variance[-1])) ** 4) - 3) < 5 * math.sqrt(96 / LANES)
    for lag in (1, points // 2, points, 2 * points):
        covariance = np.mean(found[-1] * found[-1 - lag])
        expected = math.exp(-lag / points) * variance[-1 - lag]
        assert abs(covariance - expected) < 5 * math.sqrt(2 / LANES), lag
    # Uncorrelated with its own increments to come, at neighbouring points.
    innovations = found[1:] - math.exp(-1 / points) * found[:-1]
    assert abs(np.mean(innovations[-1] * innovations[-2])) < 5 / math.sqrt(LANES) * -math.expm1(-2 / points)
    np.testing.assert_allclose(np.var(innovations), -math.expm1(-2 / points), rtol=5 * math.sqrt(2 / innovations.size))


@pytest.mark.slow
def test_a_horizon_short_of_the_correlation_time_has_as_many_points():
    months, horizon = 0.25 / LEAST_POINTS, 0.25
    wandering = _wandering(LANES, 0, horizon=horizon)
    np.testing.assert_array_equal(wandering.months, months)
    at, advanced = wandering.begun(jnp.zeros(LANES)), jax.jit(wandering.advanced)
    for _ in range(LEAST_POINTS - 1):
        at = advanced(at)
    variance = -math.expm1(-2 * horizon)
    assert abs(np.var(at["wander_end"]) / variance - 1) < 5 * math.sqrt(2 / LANES)
    assert abs(np.mean(at["wander_end"])) < 5 * math.sqrt(variance / LANES)


@pytest.mark.parametrize("refinements", [1, 2, 3])
@pytest.mark.slow
def test_a_finer_grid_goes_through_the_points_of_a_coarser_one(refinements):
    coarse, fine = path(64, refinements - 1, 40 << (refinements - 1)), path(64, refinements, 40 << refinements)
    # To the rounding of one program against another.
    np.testing.assert_allclose(coarse, fine[::2], rtol=0, atol=2e-15)


@pytest.mark.slow
def test_a_path_in_float32_is_that_in_float64():
    narrow_wandering, wandering = (_wandering(256, 1, dtype) for dtype in (jnp.float32, jnp.float64))
    advanced, advanced_narrow = jax.jit(wandering.advanced), jax.jit(narrow_wandering.advanced)
    narrow, wide = narrow_wandering.begun(jnp.zeros(256, jnp.float32)), wandering.begun(jnp.zeros(256, jnp.float64))
    for _ in range(50):
        narrow, wide = advanced_narrow(narrow), advanced(wide)
    assert narrow["wander_end"].dtype == jnp.float32
    np.testing.assert_allclose(narrow["wander_end"], wide["wander_end"], atol=5e-6)


@pytest.mark.slow
def test_between_points_the_pace_is_the_mean_over_paths_through_both():
    lanes, deviation = 20_000, 0.8
    wandering, fine = _wandering(lanes, 0), np.asarray(path(lanes, 5, 32 * 9))
    advanced = jax.jit(wandering.advanced)
    at = wandering.begun(jnp.zeros(lanes, jnp.float64))
    for _ in range(8):
        at = advanced(at)
    # Paths have their points in common and differ between: the mean over all of them is that over all lanes.
    for part in (8, 16, 24):
        exact = np.exp(deviation * fine[8 * 32 + part])
        ours = np.exp(wandering.log_pace(at, jnp.full(lanes, (8 + part / 32) / POINTS), jnp.asarray(deviation)))
        difference = exact - ours
        assert abs(difference.mean()) < 4 * difference.std() / math.sqrt(lanes), part
        # The bulge is what makes it so: on the straight line it fails by far.
        straight = at["wander_start"] + part / 32 * (at["wander_end"] - at["wander_start"])
        assert np.mean(exact - np.exp(deviation * np.asarray(straight))) > 5 * difference.std() / math.sqrt(lanes)


# --- breakthroughs -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_breakthroughs_are_a_poisson_process_with_exponential_sizes():
    rate, size, months = 0.4, 1.5, 20.0
    numbers = jnp.arange(60, dtype=jnp.float64)[:, None] + jnp.zeros(LANES)
    each = jax.jit(jax.vmap(lambda number: breakthrough(words(LANES), number, jnp.full(LANES, rate), jnp.full(LANES, size))))
    gaps, doublings = (np.asarray(values) for values in each(numbers))
    arrivals = np.cumsum(gaps, axis=0)
    assert np.all(arrivals[-1] > months)
    counts = (arrivals < months).sum(axis=0)
    mean = rate * months
    assert abs(counts.mean() - mean) < 4 * math.sqrt(mean / LANES)
    # The fourth central moment of a Poisson number is λ + 3λ².
    assert abs(counts.var() - mean) < 4 * math.sqrt((mean + 2 * mean**2) / LANES)
    probabilities = [math.exp(-mean) * mean**n / math.factorial(n) for n in range(20)]
    for n, probability in enumerate(probabilities):
        assert abs(np.mean(counts == n) - probability) < 4.5 * math.sqrt(probability / LANES), n
    assert abs(doublings.mean() - size) < 4 * size / math.sqrt(doublings.size)
    assert abs(doublings.std() / size - 1) < 4 * math.sqrt(2 / doublings.size)
    assert abs(np.mean(doublings > size) - math.exp(-1)) < 4 * 0.48 / math.sqrt(doublings.size)
    # A gap and the size at its address are independent.
    assert abs(np.corrcoef(gaps.ravel(), doublings.ravel())[0, 1]) < 4 / math.sqrt(gaps.size)


def jumps(lanes: int, rate: float, size: float, count: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Dates of the breakthroughs of the first draws, and their doublings, each (count, lanes)."""
    numbers, addresses = jnp.arange(count + 1, dtype=jnp.float64)[:, None] + jnp.zeros(lanes), words(lanes)
    each = jax.jit(jax.vmap(lambda number: breakthrough(addresses, number, jnp.full(lanes, rate), jnp.full(lanes, size))))
    gaps, doublings = (np.asarray(values) for values in each(numbers))
    return np.cumsum(gaps[:-1], axis=0), doublings[1:]


STILL = {"initial_doubling_time": 1e9, "returns": 1.0, "horizon": 60.0, "breakthrough_rate": 0.2, "breakthrough_size": 2.0}


@pytest.mark.slow
def test_software_that_stands_still_but_for_breakthroughs():
    times, levels = (0.0, 5.0, 20.0, 59.0), (0.5, 3.0, 10.0)
    lanes = {"labour_multiplier": np.ones(200)}
    made, dates = ask(MODEL, {"noise": "breakthroughs"}, lambda s, _: (s.levels(times)[0], s.dates(levels)), **STILL, **lanes)
    arrivals, doublings = jumps(200, 0.2, 2.0)
    reached = np.cumsum(doublings, axis=0)
    expected = [np.where(arrivals <= time, doublings, 0).sum(axis=0) for time in times]
    np.testing.assert_allclose(made, expected, atol=1e-6)
    first = [np.where(reached >= level, arrivals, np.inf).min(axis=0) for level in levels]
    np.testing.assert_allclose(dates, np.where(np.array(first) > 60, np.inf, first), rtol=1e-9)
    assert np.isfinite(dates).all(axis=1).any()


def fastest(dates: np.ndarray, grid: np.ndarray, amount: float) -> np.ndarray:
    """The least time between two levels of an even grid that are `amount` apart; `dates` (levels, lanes)."""
    apart = round(amount / (grid[1] - grid[0]))
    with np.errstate(invalid="ignore"):
        return np.nanmin(dates[apart:] - dates[:-apart], axis=0)


@pytest.mark.slow
@pytest.mark.parametrize("pace", [0.25, 2.0])
def test_the_fastest_window_between_breakthroughs_of_an_even_pace(pace):
    amounts, lanes = (0.5, 2.0, 5.0, 9.0), 60
    given = {"initial_doubling_time": 1 / pace, "recent_doubling_time": 1 / pace, "returns": 1.0, "horizon": 60.0}
    given |= {"breakthrough_rate": 0.2, "breakthrough_size": 1.5, "labour_multiplier": np.ones(lanes)}
    found, made = ask(MODEL, {"noise": "breakthroughs"}, lambda s, _: (s.shortest_durations(amounts), s.level_at_horizon()), **given)
    arrivals, doublings = jumps(lanes, 0.2, 1.5)
    for lane in range(lanes):
        months, sizes = arrivals[:, lane][arrivals[:, lane] <= 60], doublings[:, lane][arrivals[:, lane] <= 60]
        before = pace * months + np.concatenate([[0.0], np.cumsum(sizes)[:-1]])
        assert made[lane] == pytest.approx(pace * 60 + sizes.sum(), rel=1e-12)
        # Beginning with a breakthrough, or with what lets it end with one, or at an end of the time.
        for amount, shortest in zip(amounts, found[:, lane], strict=True):
            starts = np.concatenate([before, before + sizes - amount, [0.0, made[lane] - amount]])
            starts = starts[(starts >= 0) & (starts + amount <= made[lane])]
            # A level within a breakthrough has its date; every other one comes by the pace.
            begun, ended = ((level - np.clip(level[:, None] - before, 0, sizes).sum(axis=1)) / pace for level in (starts, starts + amount))
            expected = (ended - begun).min() if starts.size else np.inf
            assert shortest == pytest.approx(expected, rel=1e-9, abs=1e-9), (lane, amount)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [{"research_input": "ces"}, pytest.param({"governance": "reaction"}, marks=pytest.mark.soak)], ids=["ces", "reaction"]
)
def test_the_fastest_window_under_both_kinds_of_noise_against_a_grid_of_dates(options):
    grid, amounts, lanes = np.arange(0, 15, 0.05), (0.5, 2.0, 6.0), 48
    given = {"distance_to_limits": 15.0, "horizon": 120.0, "noise_sd": 0.4, "breakthrough_rate": 0.1, "breakthrough_size": 1.0}
    given |= {"returns": np.linspace(0.6, 2.0, lanes), "reaction_gain": 1.0}
    question = lambda s, _: (s.shortest_durations(amounts), s.dates(tuple(grid)))  # noqa: E731
    found, dates = ask(MODEL, {"noise": "both", "ceiling": "linear", **options}, question, **given)
    for amount, shortest in zip(amounts, found, strict=True):
        # None between levels of the grid is faster, and each holds one of them that is a place of the grid shorter. Which of two windows
        # that last equally long is meant is known as well as the pace within a step.
        longer, shorter = fastest(dates, grid, amount), fastest(dates, grid, amount - grid[1])
        known = np.isfinite(longer)
        assert known.sum() > lanes / 2
        assert (shortest[known] <= longer[known] * (1 + 1e-6) + 1e-9).all()
        assert (shortest[known] >= shorter[known] * (1 - 1e-8) - 1e-9).all()


@pytest.mark.slow
@pytest.mark.parametrize("ceiling", ["linear", *(pytest.param(ceiling, marks=pytest.mark.soak) for ceiling in ("level", "log_distance"))])
def test_a_breakthrough_does_not_pass_the_ceiling(ceiling):
    lanes = {"distance_to_limits": np.full(100, 5.0)}
    given = {**STILL, **lanes}
    levels, dates, end = ask(
        MODEL,
        {"noise": "breakthroughs", "ceiling": ceiling},
        lambda s, _: (s.levels((15.0, 60.0))[0], s.dates((4.0, 5.0, 6.0)), s.level_at_horizon()),
        **given,
    )
    arrivals, doublings = jumps(100, 0.2, 2.0)
    reached = np.cumsum(doublings, axis=0)
    for row, time in zip(levels, (15.0, 60.0), strict=True):
        np.testing.assert_allclose(row, np.minimum(np.where(arrivals <= time, doublings, 0).sum(axis=0), 5), rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(end, levels[1])
    for row, level in ((0, 4.0), (1, 5.0)):
        first = np.where(reached >= level, arrivals, np.inf).min(axis=0)
        np.testing.assert_allclose(dates[row], np.where(first > 60, np.inf, first), rtol=1e-9)
    assert np.isinf(dates[2]).all()
    assert np.isfinite(dates[1]).any()


@pytest.mark.slow
def test_no_breakthrough_arrives_in_a_pause():
    given = {**STILL, "recent_doubling_time": 1e9, "pace_threshold": 0.5, "pause_length": 24.0, "labour_multiplier": np.ones(200)}
    made = ask(MODEL, {"noise": "breakthroughs", "governance": "pause"}, lambda s, _: s.levels((23.9, 59.0))[0], **given)
    arrivals, doublings = jumps(200, 0.2, 2.0)
    np.testing.assert_allclose(made[0], 0, atol=1e-6)
    np.testing.assert_allclose(made[1], np.where((arrivals > 24) & (arrivals < 59), doublings, 0).sum(axis=0), atol=1e-6)


@pytest.mark.slow
def test_governance_sees_the_pace_after_a_breakthrough():
    """A breakthrough of r > 1 raises the pace to its threshold at once: the pause begins with it and lasts its length."""
    given = {**STILL, "returns": 2.0, "breakthrough_size": 0.5, "recent_doubling_time": 1e9, "labour_multiplier": np.ones(64)}
    given["pace_threshold"] = 1.1
    times = tuple(float(t) for t in range(60))
    made = ask(MODEL, {"noise": "breakthroughs", "governance": "pause"}, lambda s, _: s.levels(times)[0], **given)
    arrivals, doublings = jumps(64, 0.2, 0.5)
    held = doublings.copy()
    # The one pause of 12 months starts at the first jump that is large enough.
    large = 2 ** (np.cumsum(doublings, axis=0) / 2) >= 1.1
    begins = np.where(large, arrivals, np.inf).min(axis=0)
    held[(arrivals > begins) & (arrivals < begins + 12)] = 0
    expected = [np.where(arrivals <= time, held, 0).sum(axis=0) for time in times]
    np.testing.assert_allclose(made, expected, atol=1e-5)


# --- the noisy law -----------------------------------------------------------------------------------------------------------------------


def solved(
    options: dict[str, str],
    refinements: int,
    lanes: int,
    draw: int,
    question: Any,
    tolerance: float = 1e-9,
    compiled: Any = cheaply,
    **given: Any,
) -> Any:
    """`question(solution)` of draws from `draw` on, in float64, on a grid that was halved so many times."""
    model = models.get(MODEL)
    settled = model.resolve_options(options)
    values = lanes_of(MODEL, settled, {**given, "labour_multiplier": np.ones(lanes)})
    bounds = {name: (float(value.min()), float(value.max())) for name, value in values.items()}
    budget = model.budget(settled, bounds, tolerance)
    # The grid alone: a step at least for each of its intervals, all of the same tolerance.
    budget = replace(budget, refinements=refinements, steps=budget.steps << refinements)
    inputs = {name: jnp.asarray(value) for name, value in values.items()}
    draws = jnp.arange(draw, draw + lanes, dtype=jnp.uint32)
    inputs |= dict(zip(PATH, jax.jit(path_words)(jnp.asarray(seed_key(0)), draws), strict=True))
    return jax.tree.map(np.asarray, compiled(lambda parameters: question(model.solve(parameters, settled, budget)))(inputs))


@pytest.mark.slow
@pytest.mark.parametrize("options", [pytest.param({}, marks=pytest.mark.soak), {"governance": "reaction", "training": "generations"}])
def test_no_size_of_noise_is_the_deterministic_law(options):
    given = {"horizon": 60.0, "initial_doubling_time": 2.0, "returns": np.array([0.6, 1.0, 1.4]), "breakthrough_rate": 0.0}
    dates = (1.0, 4.0, 12.0)
    plain = ask(MODEL, options, lambda s, _: s.dates(dates), **given)
    for sd, close in ((0.0, 1e-9), (1e-6, 1e-5)):
        noisy = ask(MODEL, options | {"noise": "both"}, lambda s, _: s.dates(dates), noise_sd=sd, **given)
        np.testing.assert_allclose(noisy, plain, rtol=close)
    assert np.any(noisy != plain)


def test_a_noise_of_no_size_is_left_out_of_the_program():
    model = models.get(MODEL)
    bounds = {parameter.name: (0.5, 0.5) for parameter in model.parameters}
    for noise, sd, rate, left in (
        ("both", 0.0, 0.0, "none"),
        ("both", 0.3, 0.0, "pace"),
        ("both", 0.0, 0.1, "breakthroughs"),
        ("pace", 0.0, 0.1, "none"),
        ("breakthroughs", 0.3, 0.0, "none"),
        ("both", 0.3, 0.1, "both"),
    ):
        known = bounds | {"noise_sd": (sd, sd), "breakthrough_rate": (rate, rate)}
        simplified = model.simplified(model.resolve_options({"noise": noise}), known)
        assert simplified["noise"] == left
        assert model.needs_path(simplified) == (left != "none")
    assert model.simplified(model.resolve_options({"noise": "pace"}), bounds | {"noise_sd": (0.0, 0.3)})["noise"] == "pace"


@pytest.mark.slow
def test_batches_change_no_bit():
    def question(solution: Any) -> Any:
        return solution.dates((1.0, 5.0, 10.0)), solution.levels((3.0, 30.0))

    options = {"noise": "both", "governance": "cap"}
    whole = solved(options, 0, 256, 0, question, compiled=jax.jit, **SLOW)
    part = solved(options, 0, 32, 128, question, compiled=jax.jit, **SLOW)
    jax.tree.map(lambda all_lanes, some: np.testing.assert_array_equal(all_lanes[..., 128:160], some), whole, part)


def euler_maruyama(lanes: int, level: float, step: float, **p: float) -> np.ndarray:
    """Dates of a level by Euler–Maruyama steps of both equations and Bernoulli arrivals: no path, no grid, no clock of ours."""
    generator = np.random.default_rng(5)
    wander, software, date = np.zeros(lanes), np.zeros(lanes), np.full(lanes, np.inf)
    for number in range(round(p["horizon"] / step)):
        pace = np.exp(wander) * 2 ** (software * (1 - 1 / p["returns"]))
        grown = software + step * pace
        passed = np.isinf(date) & (grown >= level)
        date[passed] = step * (number + (level - software[passed]) / (step * pace[passed]))
        arrives = generator.random(lanes) < p["breakthrough_rate"] * step
        software = grown + np.where(arrives, generator.exponential(p["breakthrough_size"], lanes), 0)
        date[np.isinf(date) & (software >= level)] = step * (number + 1)
        spread = p["noise_sd"] * math.sqrt(2 * step / p["noise_correlation_time"])
        wander += -wander / p["noise_correlation_time"] * step + spread * generator.standard_normal(lanes)
    return date


@pytest.mark.slow
@pytest.mark.parametrize("rate", [pytest.param(0.0, marks=pytest.mark.soak), 0.1])
def test_dates_are_distributed_as_those_of_euler_maruyama_steps(rate):
    lanes, level = 4000, 8.0
    p = {
        "horizon": 60.0,
        "returns": 0.8,
        "noise_sd": 0.6,
        "noise_correlation_time": 4.0,
        "breakthrough_rate": rate,
        "breakthrough_size": 0.8,
    }
    ours = solved({"noise": "both"}, 0, lanes, 0, lambda s: s.dates((level,))[0], tolerance=1e-6, **p)
    theirs = euler_maruyama(lanes, level, 0.02, **p)
    assert np.isfinite(ours).all()
    assert np.isfinite(theirs).all()
    spread = math.sqrt((ours.var() + theirs.var()) / lanes)
    assert abs(ours.mean() - theirs.mean()) < 4 * spread
    # The standard error of a median is about 1.2533 of that of a mean.
    assert abs(np.median(ours) - np.median(theirs)) < 4 * 1.2533 * spread
    assert abs(ours.std() / theirs.std() - 1) < 4 * math.sqrt(2 / lanes) * 1.2
    deterministic = solved({"noise": "none"}, 0, 1, 0, lambda s: s.dates((level,))[0], **p)
    assert abs(ours.mean() - deterministic[0]) > 8 * spread


@pytest.mark.slow
def test_dates_of_one_path_converge_with_order_one():
    deviations = np.repeat([0.3, 1.0], 200)
    found = np.array(
        [solved({"noise": "pace"}, level, 400, 0, lambda s: s.dates((5.0,))[0], **SLOW, noise_sd=deviations) for level in (0, 1, 2, 4)]
    )
    for deviation in (0.3, 1.0):
        dates = found[:, deviations == deviation]
        inside = np.all(np.isfinite(dates), axis=0)
        # Means, not their squares': of so many paths the few that pass last would decide those.
        errors = [float(np.mean(np.abs(rough - dates[-1])[inside])) for rough in dates[:-1]]
        order = -np.polyfit(range(3), np.log2(errors), 1)[0]
        assert 0.9 <= order <= 1.3
        assert errors[0] < 0.4 * deviation


@pytest.mark.parametrize(
    ("options", "bounds", "key"),
    [
        ({"noise": "pace", "training": "exponent"}, {}, "noise"),
        ({"noise": "pace"}, {"noise_sd": (-0.1, 0.3)}, "noise_sd"),
        ({"noise": "pace"}, {"noise_correlation_time": (0.0, 6.0)}, "noise_correlation_time"),
        ({"noise": "pace"}, {"noise_correlation_time": (0.01, 6.0)}, "noise_correlation_time"),
        ({"noise": "breakthroughs"}, {"breakthrough_rate": (0.0, 500.0)}, "breakthrough_rate"),
        ({"noise": "breakthroughs"}, {"breakthrough_size": (0.0, 1.0)}, "breakthrough_size"),
    ],
)
def test_what_is_refused(options, bounds, key):
    model = models.get(MODEL)
    settled = model.resolve_options(options)
    known = {name: (float(value[0]), float(value[0])) for name, value in lanes_of(MODEL, settled, {}).items()}
    model.check(model.resolve_options({"noise": "both"}), known)
    with pytest.raises(ModelError) as raised:
        model.check(settled, known | bounds)
    assert raised.value.key == key
