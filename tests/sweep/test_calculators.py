"""Calculators: published numbers, other ways to the same numbers, and inputs that are refused by name."""

from __future__ import annotations

import csv
import math
import pickle
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from sweep import calculators
from sweep.calculators import InputError
from sweep.cli import main

ROOT = Path(__file__).resolve().parents[2]
with (ROOT / "tests" / "published" / "calculators.csv").open(encoding="utf-8") as file:
    PUBLISHED = list(csv.DictReader(file))

# No deadline: a machine may be busy.
quick = settings(max_examples=100, deadline=None)


def inputs(text):
    return tomllib.loads(text.replace(";", "\n"))


def siesweep(*arguments):
    return CliRunner().invoke(main, ["calculate", *map(str, arguments)])


# --- numbers -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: "-".join((row["calculator"], row["quantity"], row["inputs"])))
def test_published_numbers(row):
    _, result = calculators.calculate(row["calculator"], inputs(row["inputs"]))
    found = getattr(result, row["quantity"])
    if isinstance(found, tuple):
        (found,) = found
    kind, _, size = row["tolerance"].partition(" ")
    if kind == "exact":
        assert found == float(row["value"])
    else:
        bounds = {"rel": {"rel": float(size), "abs": 0}, "abs": {"abs": float(size), "rel": 0}}[kind]
        assert found == pytest.approx(float(row["value"]), **bounds)


def test_every_calculator_has_a_published_number():
    assert {row["calculator"] for row in PUBLISHED} == set(calculators.names())
    assert all(row["place"] for row in PUBLISHED)


def test_they_are_functions_of_the_package():
    for name in calculators.names():
        assert calculators.get(name).function is getattr(calculators, name)
        assert name in calculators.__all__


def test_they_need_no_jax():
    code = "import sys, sweep.calculators; assert not {'jax', 'scipy', 'xarray'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


# --- the substitution parameter ----------------------------------------------------------------------------------------------------------


def log_pace(rho, labour, share, exponent):
    """ln of the pace, from logarithms of the two terms: another form than ours."""
    if abs(rho) < 1e-12:
        return exponent * share * math.log(labour)
    return exponent * np.logaddexp(math.log(share) + rho * math.log(labour), math.log(1 - share)) / rho


@quick
@given(st.floats(-20, 0.99), st.floats(1.5, 1e6), st.floats(0.05, 0.95), st.floats(0.2, 2))
def test_the_parameter_that_made_a_pace_is_found_again(rho, labour, share, exponent):
    if abs(rho) < 1e-3:
        rho = 0.0
    made = float(log_pace(rho, labour, share, exponent))
    (found,) = calculators.implied_by_pace(
        pace=[math.exp(made)], labour_multiplier=labour, labour_share=share, parallel_exponent=exponent
    ).substitution_parameter
    # Where labour has long ceased to matter many parameters make one pace, so the pace is compared.
    assert log_pace(found, labour, share, exponent) == pytest.approx(made, rel=1e-9, abs=1e-12)
    if -2 < rho < 0.9 and labour > 2:
        assert found == pytest.approx(rho, abs=1e-6)


def test_it_is_scipys_root():
    paces = (1.2, 1.5, 10 / 3, 20, 29.9, 30.1, 200)
    found = calculators.implied_by_pace(pace=paces).substitution_parameter
    for pace, rho in zip(paces, found, strict=True):
        low, high = (-60, -1e-7) if pace < 30 else (1e-7, 0.9999)
        root = optimize.brentq(lambda value, pace=pace: math.log((900**value + 1) / 2) / value - math.log(pace), low, high, xtol=1e-14)
        assert rho == pytest.approx(root, abs=1e-9)


def test_it_passes_through_zero():
    """At pace L^α the inputs are Cobb–Douglas; beside it ρ is linear in the pace: d ln I/dρ = α(1 − α)(ln L)²/2."""
    aside = (0, 1e-14, 1e-9, 1e-6, -1e-9, -1e-6)
    found = calculators.implied_by_pace(pace=[30 * math.exp(each) for each in aside]).substitution_parameter
    slope = 8 / math.log(900) ** 2
    for each, rho in zip(aside, found, strict=True):
        assert rho == pytest.approx(slope * each, rel=1e-5, abs=1e-15)


def test_elasticity_and_largest_pace_follow():
    implied = calculators.implied_by_pace(pace=[10, 30, 40], labour_share=0.5, parallel_exponent=1)
    rho = implied.substitution_parameter[0]
    assert implied.elasticity_of_substitution[0] == pytest.approx(1 / (1 - rho))
    assert implied.largest_pace == (pytest.approx(0.5 ** (1 / rho)), math.inf, math.inf)
    assert implied.labour_exponent[1] == pytest.approx(0.5, rel=1e-14)


# --- the others --------------------------------------------------------------------------------------------------------------------------


@quick
@given(st.lists(st.tuples(st.floats(0.01, 1), st.floats(0.1, 1e3)), min_size=1, max_size=4), st.floats(-30, 0.8))
def test_the_workflow_is_the_best_division_of_time(tasks, kappa):
    """The multiplier is a maximum over divisions of time: its own optimal times give it, and other times give less."""
    if abs(kappa) < 1e-2:
        kappa = -1.0
    whole = sum(share for share, _ in tasks) * 1.25
    shares, speedups = [share / whole for share, _ in tasks], [speed for _, speed in tasks]
    found = calculators.workflow_automation(shares=shares, speedups=speedups, task_substitution_parameter=kappa).labour_multiplier
    weight, speed = np.array([*shares, 1 - sum(shares)]), np.array([*speedups, 1.0])

    def output(time):
        return np.exp(np.log(np.sum(np.exp((1 - kappa) * np.log(weight) + kappa * np.log(speed * time)))) / kappa)

    best = weight * speed ** (kappa / (1 - kappa))
    best /= best.sum()
    assert found == pytest.approx(output(best), rel=1e-7)
    for task in range(len(weight)):
        other = best.copy()
        other[task] *= 1.1
        assert output(other / other.sum()) <= found * (1 + 1e-9)


@quick
@given(st.floats(0.01, 0.99), st.floats(0.2, 50))
def test_the_workflow_has_its_limits(share, speed):
    def multiplier(kappa):
        return calculators.workflow_automation(shares=[share], speedups=[speed], task_substitution_parameter=kappa).labour_multiplier

    amdahl = 1 / (share / speed + 1 - share)
    assert multiplier(-math.inf) == pytest.approx(amdahl, rel=1e-12)
    assert multiplier(-1e12) == pytest.approx(amdahl, rel=1e-9)
    assert multiplier(0) == pytest.approx(speed**share, rel=1e-12)
    assert multiplier(1e-13) == pytest.approx(speed**share, rel=1e-9)
    assert multiplier(-1e-13) == pytest.approx(speed**share, rel=1e-9)
    assert amdahl * (1 - 1e-12) <= multiplier(-1) <= multiplier(0.5) * (1 + 1e-12)


def test_a_workflow_without_people():
    def multiplier(**given):
        return calculators.workflow_automation(**given).labour_multiplier

    assert multiplier(shares=[1]) == math.inf
    assert multiplier(task_substitution_parameter=0) == math.inf
    assert multiplier(task_substitution_parameter=0.5) == math.inf
    # Output falls as the other tasks must be done by hand: 0.4^((1 − κ)/κ) with κ = −1.
    assert multiplier(task_substitution_parameter=-1) == pytest.approx(0.4**-2, rel=1e-12)
    assert multiplier(shares=[1, 5e-10], speedups=[math.inf, 1]) == pytest.approx(2e9, rel=1e-6)
    result = calculators.workflow_automation(shares=[1], labour_share=0.0)
    assert (result.labour_multiplier, result.pace_multiplier) == (math.inf, 1)


def test_labour_enters_the_pace_with_its_exponents():
    result = calculators.workflow_automation(labour_share=0.3, parallel_exponent=0.7)
    assert result.pace_multiplier == pytest.approx(2.5**0.21, rel=1e-12)


@quick
@given(st.floats(0.05, 1), st.floats(0, 3), st.floats(0.01, 0.99), st.floats(0, 2), st.floats(0.01, 3))
def test_growth_after_automation_feeds_itself(share, gamma, returns, labour, compute):
    """g_after solves g = r_cog·(labour that grows with software, compute and copies) + r_comp·compute."""
    result = calculators.automation_speedup(
        labour_share=share, copies_per_compute=gamma, returns_to_cognition=returns, labour_growth_before=labour, compute_growth=compute
    )
    compute_returns = returns * (1 - share) / share
    growth = result.growth_after
    assert growth == pytest.approx(returns * (growth + (1 + gamma) * compute) + compute_returns * compute, rel=1e-9)
    assert result.growth_before == pytest.approx(returns * labour + compute_returns * compute, rel=1e-12)
    assert result.speedup == pytest.approx(growth / result.growth_before) if result.growth_before else result.speedup == math.inf


def test_growth_is_infinite_at_returns_of_one():
    assert calculators.automation_speedup(returns_to_cognition=1.0).growth_after == math.inf


# --- bad input ---------------------------------------------------------------------------------------------------------------------------

BAD = (
    ("copies", {"run_length": 0}, "run_length", "above 0"),
    ("copies", {"run_length": -1.0}, "run_length", "above 0"),
    ("copies", {"run_length": "3"}, "run_length", "a number is wanted"),
    ("copies", {"run_length": True}, "run_length", "a number is wanted"),
    ("copies", {"run_length": None}, "run_length", "a number is wanted"),
    ("copies", {"run_length": [1, 2]}, "run_length", "one number"),
    ("copies", {"run_length": math.nan}, "run_length", "finite"),
    ("copies", {"run_length": math.inf}, "run_length", "finite"),
    ("copies", {"run": 3}, "run", "inputs: training_compute, run_length"),
    ("initial_speedup", {"copies": 1e-300, "parallel_exponent": 9}, "inputs", "no number holds"),
    ("initial_speedup", {"copies": 1e300, "parallel_exponent": 9}, "inputs", "no number holds"),
    ("initial_speedup", {"serial_exponent": -0.1}, "serial_exponent", "0 or more"),
    ("remaining_effort", {"automated_share": 1}, "automated_share", "below 1"),
    ("remaining_effort", {"automated_share": 0.1, "automated_share_today": 0.2}, "automated_share", "0.2 or more"),
    ("research_fleet", {"share_for_experiments": 1.5}, "share_for_experiments", "below 1"),
    ("research_fleet", {"scale_up": 301}, "scale_up", "300 or less"),
    ("implied_by_pace", {"pace": 3}, "pace", "[3]"),
    ("implied_by_pace", {"pace": "33"}, "pace", "a list of numbers"),
    ("implied_by_pace", {"pace": []}, "pace", "at least one"),
    ("implied_by_pace", {"pace": [2, 1]}, "pace", "above 1"),
    ("implied_by_pace", {"pace": [451]}, "pace", "stay below 450.5"),
    ("implied_by_pace", {"pace": [2], "labour_share": 1}, "labour_share", "below 1"),
    ("workflow_automation", {"shares": [0.5, 0.6], "speedups": [2, 2]}, "shares", "sum to 1"),
    ("workflow_automation", {"shares": [0.5, 0.2]}, "speedups", "one for each share"),
    ("workflow_automation", {"speedups": [0]}, "speedups", "above 0"),
    ("workflow_automation", {"task_substitution_parameter": 1}, "task_substitution_parameter", "below 1"),
    ("automation_speedup", {"labour_share": 0}, "labour_share", "above 0"),
)


@pytest.mark.parametrize(("name", "given", "key", "part"), BAD, ids=lambda value: str(value)[:60])
def test_bad_input_is_refused_by_name(name, given, key, part):
    with pytest.raises(InputError) as caught:
        calculators.calculate(name, given)
    error = caught.value
    assert error.key == key
    assert part in str(error)
    assert " Fix: " in str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert isinstance(error, ValueError)


def test_arrays_are_lists_of_numbers():
    implied = calculators.implied_by_pace(pace=np.array([1.5, 20.0]))
    assert implied == calculators.implied_by_pace(pace=[1.5, 20])
    assert all(type(value) is float for value in implied.substitution_parameter)


# --- the command -------------------------------------------------------------------------------------------------------------------------


def test_the_command_lists_them():
    result = siesweep()
    assert result.exit_code == 0, result.output
    for name in calculators.names():
        assert f"│ {name} " in result.stdout


@pytest.mark.parametrize("name", calculators.names())
def test_the_command_prints_inputs_and_results(name):
    result = siesweep(name)
    assert result.exit_code == 0, result.output
    known, answer = calculators.calculate(name, {})
    for label in (*known.inputs, *calculators.quantities(answer)):
        assert f"│ {label} " in result.stdout
    for value, about in calculators.quantities(answer).values():
        assert about["unit"] in result.stdout
        assert about["printed"] in result.stdout
        if isinstance(value, float):
            assert f"{value:,.6g}" in result.stdout


def test_printed_values_stand_beside_the_sources_inputs_only():
    assert "~2e8" in siesweep("research_fleet").stdout
    assert "~2e8" in siesweep("research_fleet", "--set", "accelerators=3e7").stdout
    changed = siesweep("research_fleet", "--set", "accelerators=6e7", "--set", "serial_speed = 100").stdout
    assert "~2e8" not in changed
    assert "3.3e+08" in changed
    assert "6.25" in siesweep("workflow_automation", "--set", "task_substitution_parameter=-1").stdout


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["copys"], ["NAME", '"copys"', "did you mean copies?"]),
        (["copies", "--set", "run_length=-1"], ["[--set] run_length = -1", "above 0"]),
        (["copies", "--set", "run_lenght=1"], ["run_lenght", "did you mean run_length?"]),
        (["copies", "--set", "run_length=long"], ["run_length", '"long"', "not a number or a list"]),
        (["copies", "--set", "run_length"], ["not KEY=VALUE"]),
        (["implied_by_pace", "--set", "pace=[500]"], ["pace = 500", "stay below 450.5"]),
        (["--set", "run_length=1"], ["no calculator", "copies"]),
    ],
)
def test_bad_input_ends_the_command_with_2(arguments, parts):
    result = siesweep(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("siesweep: ")
    assert result.stderr.count("\n") == 1
    for part in parts:
        assert part in result.stderr
