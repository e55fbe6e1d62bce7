"""The oracle of the growth law: reference rows computed by two other methods, and everything that has a closed form."""

from __future__ import annotations

import csv
import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from mpmath import mp, mpf
from scipy.optimize import brentq

from tests.oracles import answers
from tests.oracles.growth_law import solve
from tests.oracles.growth_law_compositions import (
    compositions,
    draw_parameters,
    every_option_in,
    is_valid,
    pairwise_compositions,
    random_composition,
)
from tests.oracles.growth_law_terms import Law

with (Path(__file__).parents[1] / "published" / "growth_law_checks.csv").open(encoding="utf-8") as file:
    ROWS = {row["id"]: row for row in csv.DictReader(file)}
DOUBLINGS, TIMES = (1, 5, 10, 20), (6, 12, 24, 48)
COLUMNS = [*(f"date_of_doubling_{n}" for n in DOUBLINGS), *(f"doublings_at_{n}_months" for n in TIMES), "peak_pace"]
COMPOSITIONS = pairwise_compositions()
EVERY_OPTION = every_option_in(COMPOSITIONS)


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.slow
def test_reference_rows(name):
    row = ROWS[name]
    result = solve(json.loads(row["parameters"]), json.loads(row["options"]), DOUBLINGS, TIMES)
    assert [*result.dates, *result.levels, result.peak_pace] == pytest.approx([float(row[column]) for column in COLUMNS], rel=1e-10, abs=0)


@pytest.mark.slow
@pytest.mark.parametrize("toes", [0.3, 1.0])
@pytest.mark.parametrize("returns", [1.3, 3.0])
@pytest.mark.parametrize("convention", ["instantaneous", "geometric"])
def test_constant_returns_blow_up(toes, returns, convention):
    power = toes * (1 - 1 / returns)
    ratio = 2.0**-power
    parameters = {"initial_doubling_time": 2.0, "returns": returns, "parallel_exponent": toes}
    first = 2.0 if convention == "geometric" else 2.0 * (1 - ratio) / (power * math.log(2))
    dates = [first * (1 - ratio**n) / (1 - ratio) for n in (1, 5, 20, 900)]
    result = solve(parameters, {"convention": convention}, (1, 5, 20, 900), [dates[1], 200.0])
    assert result.dates == pytest.approx(dates, rel=1e-11)
    assert result.levels == pytest.approx([5.0, math.inf], rel=1e-10)
    assert result.peak_pace == math.inf


@pytest.mark.parametrize("returns", [1.0, 0.7])
def test_constant_returns_without_a_pole(returns):
    """Geometric: 2^(1/r − 1) times as long a doubling. r = .7: 30.44, 40.97, 55.14, 74.21, 99.88 days."""
    ratio = 2.0 ** (1 / returns - 1)
    result = solve({"returns": returns}, {"convention": "geometric"}, range(1, 6), [])
    assert np.diff([0.0, *result.dates]) == pytest.approx(ratio ** np.arange(5), rel=1e-11)
    if returns == 0.7:
        assert np.diff([0.0, *result.dates]) * 30.4375 == pytest.approx([30.44, 40.97, 55.14, 74.21, 99.88], abs=0.005)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("share", "substitution", "limit"),
    [(0.5, -1, 2), (0.5, -0.5, 4), (0.5, -0.4, 5.657), (0.5, -0.2, 32), (0.5, -0.15, 101.594), (0.5, -0.1, 1024), (0.3, -0.5, 2.0408)],
)
def test_ces_input_cannot_pass_its_ceiling(share, substitution, limit):
    assert (1 - share) ** (1 / substitution) == pytest.approx(limit, rel=1e-4)
    toes = 0.7
    parameters = {"labour_share": share, "substitution_parameter": substitution, "parallel_exponent": toes, "recent_doubling_time": 1.0}
    # Returns so good that they never diminish: the pace tends to I^λ alone, closely, but from below.
    result = solve(
        {**parameters, "returns": 1e12, "horizon": 950.0, "initial_doubling_time": limit**toes}, {"research_input": "ces"}, [], []
    )
    assert result.peak_pace * limit**toes == pytest.approx((1 - share) ** (toes / substitution), rel=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("ceiling", ["linear", "level"])
@pytest.mark.parametrize("research_input", ["labour", "ces"])
def test_arrival_at_a_ceiling(ceiling, research_input):
    """∫ dx/(I^λ R) by mpmath, up to X itself, where 1/R is singular."""
    returns, toes, limit, share, substitution, efficiency = (mpf(value) for value in (2.5, 0.4, 7.5, 0.6, -0.7, 0.3))
    if research_input == "labour":
        share, given = mpf(1), {}
    else:
        given = {"labour_share": share, "substitution_parameter": substitution, "experiment_efficiency": efficiency}
    beta = toes * share / returns

    def months(v):
        """(dx/dv)/(I^λ R) with 1 − x/X = v^8, which is regular at v = 0, the ceiling."""
        left, x = v**8, limit * (1 - v**8)
        research = 2**x
        if share < 1.0:
            research = (share * 2 ** (substitution * x) + (1 - share) * 2 ** (substitution * efficiency * x)) ** (1 / substitution)
        falling = left ** (beta * limit * mp.log(2))
        if ceiling == "level":
            falling = (mp.expm1(limit * left * mp.log(2)) / mp.expm1(limit * mp.log(2))) ** (beta * (1 - 2**-limit))
        return 8 * limit * v**7 / (research**toes * falling)

    wanted = [float(mp.quad(months, mp.linspace((1 - x / limit) ** mpf(0.125), 1, 5))) for x in (1, 7, limit)]
    parameters = {"initial_doubling_time": 1.0, "returns": returns, "parallel_exponent": toes, "distance_to_limits": limit, **given}
    parameters = {name: float(value) for name, value in parameters.items()}
    result = solve(parameters, {"ceiling": ceiling, "research_input": research_input}, (1, 7, 7.5), [240.0])
    assert result.dates == pytest.approx(wanted, rel=1e-10)
    assert result.levels == [7.5]


def test_exponent_training_slows_each_doubling_by_its_own_exponent():
    """T(x) = T0 2^(y x/(1 + |y|)), y = p(1/r − 1)."""
    slowed = {returns: (y := 0.6 * (1 / returns - 1)) / (1 + abs(y)) for returns in (0.5, 2.0)}
    for returns, power in slowed.items():
        result = solve({"returns": returns, "parallel_exponent": 0.6, "horizon": 800.0}, {"training": "exponent"}, (1, 5, 20), [])
        dates = [(2 ** (power * n) - 1) / (power * math.log(2)) for n in (1, 5, 20)]
        assert result.dates == pytest.approx(dates, rel=1e-11)


def test_exponent_of_every_composition_is_the_slope_of_the_pace():
    random = np.random.default_rng(5)
    slopes, differences = [], []
    for options in compositions():
        if options["training"] == "exponent" and options["governance"] == "none" and options["convention"] == "instantaneous":
            law = Law(draw_parameters(options, random), options)
            for x in (0.4321, 4.321):

                def log_pace(x, law=law):
                    return (law.toes * law.ln_input(0.0, x, x, 0.0) + law.ln_returns(law.position(x))) / math.log(2)

                slopes.append(law._exponent(law.position(x)))
                differences.append((8 * (log_pace(x + 1e-3) - log_pace(x - 1e-3)) - log_pace(x + 2e-3) + log_pace(x - 2e-3)) / 0.012)
    assert len(slopes) == 2 * 3 * 4 * 3
    assert slopes == pytest.approx(differences, rel=1e-8, abs=1e-8)


@pytest.mark.slow
def test_generations_at_constant_returns():
    """Within a generation S^β grows linearly: x = log2(2^(βx0) + β ln2 2^(p x_d) t/T0)/β."""
    toes, returns, first, ratio = 0.8, 1.5, 2.0, 0.9
    beta, x, wanted, boundaries = toes / returns, 0.0, [], []
    for generation in range(12):
        labour = x if generation else 0.0
        x = math.log2(2 ** (beta * x) + beta * math.log(2) * 2 ** (toes * labour) * first * ratio**generation) / beta
        wanted.append(x)
        boundaries.append(first * (1 - ratio ** (generation + 1)) / (1 - ratio))
    parameters = {"returns": returns, "parallel_exponent": toes, "first_training_time": first, "training_time_ratio": ratio}
    assert solve(parameters, {"training": "generations"}, [], boundaries).levels == pytest.approx(wanted, rel=1e-11)


@pytest.mark.slow
def test_lag_does_not_hold_up_experiments():
    """Cobb–Douglas with γ = 1 and nearly no labour: software acts through experiments, which no training holds up."""
    parameters = {"labour_share": 1e-12, "experiment_efficiency": 1.0, "returns": 2e-12, "parallel_exponent": 0.8}
    live, lagging = (
        solve(parameters, {"research_input": "cobb_douglas", "training": training}, (1, 3), []).dates for training in ("none", "lag")
    )
    assert lagging == pytest.approx(live, rel=1e-11)


def test_lag_behind_capped_growth():
    """Under a cap of one recent pace x = t, so x_d = t − τ(1 − e^(−t/τ)); the cap is left when 2^(x_d − x/r) falls to it."""
    tau, start = 2.0, 0.8
    parameters = {"pace_cap": 1.0, "recent_doubling_time": 1.0, "initial_doubling_time": start, "returns": 1.2}
    parameters |= {"first_training_time": tau, "training_time_ratio": 1.0}

    def excess(t):
        return t - tau * (1 - math.exp(-t / tau)) - t / 1.2 - math.log2(start)

    leaves = brentq(excess, 0.0, 2.0)
    date, later = solve(parameters, {"training": "lag", "governance": "cap"}, (leaves, leaves + 0.01), []).dates
    assert date == pytest.approx(leaves, rel=1e-11)
    assert later > leaves + 0.01 * (1 + 1e-5)


@pytest.mark.slow
def test_pause_shifts_what_comes_after_it():
    free = solve({"returns": 1.5}, {}, (1, 2, 3), []).dates
    # pace_u = 3 · 2^(x/3): the threshold is met at two doublings.
    parameters = {"returns": 1.5, "pace_threshold": 3.0 * 2.0 ** (2 / 3), "pause_length": 7.0}
    paused = solve(parameters, {"governance": "pause"}, (1, 2 - 1e-9, 2 + 1e-9, 3), [free[1] + 5.0])
    assert paused.dates == pytest.approx([free[0], free[1], free[1] + 7.0, free[2] + 7.0], rel=1e-8)
    assert paused.levels == pytest.approx([2.0], rel=1e-11)
    met_at_the_start = solve({"returns": 1.5, "pace_threshold": 3.0 * (1 + 5e-7), "pause_length": 7.0}, {"governance": "pause"}, (1,), [])
    assert met_at_the_start.dates == pytest.approx([free[0] + 7.0], rel=1e-11)


def test_reaction_without_acceleration_keeps_its_pace():
    """r = 1: pace_u stays 3, and a reaction noticing it from the start divides it by (3/m)^gain."""
    parameters = {"returns": 1.0, "pace_threshold": 2.0, "reaction_gain": 1.7}
    result = solve(parameters, {"governance": "reaction"}, (1,), [])
    assert (result.dates[0], result.peak_pace) == (pytest.approx(1.5**1.7, rel=1e-12), pytest.approx(3 * 1.5**-1.7, rel=1e-12))


@pytest.mark.slow
def test_growing_hardware():
    """(1 − 2^(−φx))/φ = (2^(λgt) − 1)/(λg T0)."""
    toes, returns, growth = 0.6, 2.0, 1.5
    power, rise = toes * (1 - 1 / returns), toes * growth / 12
    parameters = {"returns": returns, "parallel_exponent": toes, "hardware_doublings_per_year": growth}
    dates = [math.log2(1 + rise * (1 - 2 ** (-power * n)) / power) / rise for n in (1, 5, 20)]
    assert solve(parameters, {"hardware": "exponential"}, (1, 5, 20), []).dates == pytest.approx(dates, rel=1e-11)


def test_multipliers_hasten_everything_by_their_power():
    parameters = {"labour_share": 0.3, "parallel_exponent": 0.7, "returns": 0.8}
    for convention, training in itertools.product(("instantaneous", "geometric"), ("none", "exponent")):
        options = {"research_input": "cobb_douglas", "convention": convention, "training": training}
        plain = solve(parameters, options, (1, 3), [])
        faster = solve({**parameters, "labour_multiplier": 4.0, "experiment_compute_multiplier": 2.0}, options, (1, 3), [])
        factor = 2.0 ** (0.7 * (0.3 * 2 + 0.7))
        assert faster.dates == pytest.approx([date / factor for date in plain.dates], rel=1e-11)
        assert faster.peak_pace == pytest.approx(plain.peak_pace * factor, rel=1e-11)


def test_names_and_times_are_checked():
    with pytest.raises(KeyError, match="speed"):
        solve({"speed": 1.0}, {}, [], [])
    with pytest.raises(KeyError, match="ceiling=glass"):
        solve({}, {"ceiling": "glass"}, [], [])
    with pytest.raises(ValueError, match="beyond the horizon of 240"):
        solve({}, {}, [], [241.0])


def test_pairwise_compositions_cover_every_pair_that_may_stand_together():
    def pairs(options):
        return set(itertools.combinations(sorted(options.items()), 2))

    everything, chosen = compositions(), pairwise_compositions()
    assert all(is_valid(options) for options in chosen)
    assert set().union(*map(pairs, chosen)) == set().union(*map(pairs, everything))
    assert len(chosen) < 40 < len(everything)


@pytest.mark.slow
@pytest.mark.parametrize(
    "index",
    # Every option stands in one of some; the rest are more of the same.
    [pytest.param(index, marks=[pytest.mark.soak] * (index not in EVERY_OPTION)) for index in range(len(COMPOSITIONS))],
)
def test_dates_and_levels_tell_the_same_story(index):
    options = COMPOSITIONS[index]
    parameters = draw_parameters(options, np.random.default_rng(index))
    result = solve(parameters, options, (1, 2, 3, 5), [3.0, 6.0, 240.0])
    dates = [date for date in result.dates if date < math.inf]
    assert dates == sorted(dates)
    assert (len(dates) < 4) == (result.levels[-1] < 5)
    assert solve(parameters, options, [], dates).levels == pytest.approx([1, 2, 3, 5][: len(dates)], rel=1e-9)
    levels = [level for level in result.levels[:2] if 0 < level < math.inf]
    # The date of a level reached just before a pause is the start of it.
    again = solve(parameters, options, [level * (1 - 1e-10) for level in levels], []).dates
    assert all(date <= time * (1 + 1e-9) for date, time in zip(again, (3.0, 6.0), strict=False))


def test_random_compositions_are_valid_and_repeatable():
    first = [random_composition(random) for random in [np.random.default_rng(1)] for _ in range(50)]
    assert first == [random_composition(random) for random in [np.random.default_rng(1)] for _ in range(50)]
    assert all(
        is_valid(options) and not {"labour_share", "substitution_parameter"} & set(parameters)
        for parameters, options in first
        if options["research_input"] == "labour"
    )


@pytest.mark.slow
def test_kept_answers_are_those_of_the_oracle():
    entries = list(answers.entries().values())
    assert len(entries) >= 200
    for (parameters, options, doublings, times), (dates, levels, peak) in entries[::40]:
        found = solve(parameters, options, doublings, times)
        assert found.dates == pytest.approx(dates, rel=1e-12)
        assert found.levels == pytest.approx(levels, rel=1e-12)
        assert found.peak_pace == pytest.approx(peak, rel=1e-9)
