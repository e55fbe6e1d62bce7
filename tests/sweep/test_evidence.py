"""Every shipped evidence file: what its source states, by SciPy; that models take it, or refuse it; that its page lists it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from scipy import optimize, stats

from kernels.sampling import Distribution
from sweep import evidence
from sweep.errors import SpecError
from sweep.spec import load, loads

PAGE = Path(__file__).resolve().parents[2] / "docs" / "evidence.md"
NAMES = evidence.names(None)
FIXED = {
    "algorithms_at_large_returns": 4,
    "dota_doubling_time": 25 / 30.4375,
    "go_doubling_time": 4,
    "gpu_hardware_returns": 5,
    "image_recognition_runtime_doubling_time": 15,
    "language_model_price_doubling_time": 3.6,
    "linear_programming_returns": 1.1,
    "long_run_hardware_returns": 7,
    "reinforcement_learning_returns": 1.6,
    "sat_solver_returns": 3.5,
    "software_and_capability_doubling_time": 3,
    "software_doubling_time": 6,
    "thirty_copies_initial_speedup": 15.195,
}
NOT_POSITIVE = {"forethought_2025_substitution", "interviews_substitution", "whitfill_wu_2025_frontier_elasticity"}
STUDY = """
[sweep]
name = "study"
model = "returns_law"
draws = 64
[parameters]
returns = 1
[outcomes]
doublings = [1]
"""


@dataclass(frozen=True)
class Row:
    """A distribution as SciPy has it, in weighted parts (a number is a point), and what its source states: value by probability."""

    parts: tuple
    stated: dict

    def cdf(self, value):
        whole = sum(weight for weight, _ in self.parts)
        return sum(weight * (part.cdf(value) if hasattr(part, "cdf") else float(value >= part)) for weight, part in self.parts) / whole


def between(low, high):
    """A range that is printed without a probability: all of the distribution."""
    return Row(((1, stats.loguniform(low, high)),), {0: low, 1: high})


def lognormal(low, high, tail):
    """The lognormal with so much below `low` as above `high`."""
    sd = math.log(high / low) / (2 * stats.norm.isf(tail))
    return Row(((1, stats.lognorm(sd, scale=math.sqrt(low * high))),), {tail: low, 1 - tail: high})


def normal(mean, error, cut=0.0):
    """The normal of an estimate and its standard error, cut at so many of them (0: not)."""
    whole = stats.truncnorm(-cut, cut, mean, error) if cut else stats.norm(mean, error)
    return Row(((1, whole),), {0.5: mean, stats.norm.cdf(-1): mean - error, stats.norm.cdf(2): mean + 2 * error})


def answers(*values):
    """Answers of equal weight: numbers, or ranges taken as log-uniform."""
    return Row(tuple((1, stats.loguniform(*each) if isinstance(each, tuple) else each) for each in values), {})


def implied(pace):
    """The substitution parameter at which 900 times the labour makes that pace, labour share 1/2."""
    return optimize.brentq(lambda rho: math.log((900**rho + 1) / 2) / rho - math.log(pace), -5, -1e-6, xtol=1e-14)


PACES = (1.5, 10 / 3, 20, 10, 3)
ROWS = {
    "atari_doubling_time": between(10, 18),
    "automated_ai_research_saved_compute": between(3, 10),
    "computer_chess_returns": normal(0.83, 0.15, 5),
    "computer_vision_returns": lognormal(0.8, 2.4, 0.05),
    "davidson_houlden_2025_initial_speedup": between(2, 32),
    "davidson_houlden_2025_returns": between(0.4, 3.6),
    "eth_davidson_2025_fixed_hardware_returns": between(0.5, 2),
    "eth_davidson_2025_initial_doubling_time": between(1, 2),
    "eth_davidson_2025_returns": between(1, 4),
    "forethought_2025_substitution": Row(((1, stats.uniform(-0.2, 0.2)),), {0: -0.2, 1: 0}),
    "image_recognition_training_doubling_time": answers(9, 16),
    "interviews_allocation": answers(1.2, (10, 100), 1.05),
    "interviews_better_design": answers(1.15, (2, 4), (2, 5), (1.1, 1.15)),
    "interviews_labour_exponent": answers(*(math.log(pace) / math.log(900) for pace in PACES)),
    "interviews_no_bugs": answers(1.3, (1.5, 2), (2, 5), (2, 5), 1.05),
    "interviews_pace": answers(*PACES),
    "interviews_smaller_scale": answers(1.05, 10, (1.15, 1.2)),
    "interviews_substitution": answers(*map(implied, PACES)),
    "language_model_cobb_douglas_returns": lognormal(1.069 / 3, 3.212 / 3, 0.05),
    "language_model_doubling_time": lognormal(5, 14, 0.025),
    "language_model_returns": lognormal(1.069, 3.212, 0.05),
    "language_translation_doubling_time": answers(4, 6),
    "owen_2024_labour_multiplier": Row(((2, stats.uniform(1.2, 0.3)), (4, 2.5), (2, 2)), {}),
    "whitfill_wu_2025_elasticity": normal(2.583, 0.341, 5),
    "whitfill_wu_2025_frontier_elasticity": normal(-0.103, 0.176),
}


def test_every_file_is_checked_here():
    assert set(NAMES) == FIXED.keys() | ROWS.keys()
    assert len(NAMES) == len(FIXED) + len(ROWS)


@pytest.mark.parametrize("name", NAMES)
def test_it_says_what_it_is(name):
    known = evidence.find(name, None)
    assert known.meaning
    assert known.source
    assert known.kind in {"published", "second hand", "derived"}
    # A number that is printed without an interval stays a number.
    assert isinstance(known.resolved, float) == (name in FIXED)


@pytest.mark.parametrize("name", FIXED)
def test_numbers(name):
    assert evidence.find(name, None).resolved == pytest.approx(FIXED[name], rel=1e-9)


@pytest.mark.parametrize("name", ROWS)
def test_distributions(name):
    found, row = evidence.find(name, None).resolved, ROWS[name]
    assert isinstance(found, Distribution)
    for probability, value in row.stated.items():
        quantile = found.support[probability] if probability in (0, 1) else found.host_quantile(probability)
        # Cutting a normal at five standard errors moves its quantiles by 1e-7.
        assert quantile == pytest.approx(value, rel=1e-6), probability
    points = [each for _, each in row.parts if not hasattr(each, "cdf")]
    for point in points:
        # A point is where the distribution jumps, to nine digits.
        aside = 1e-9 * abs(point)
        jump = sum(weight for weight, each in row.parts if each == point) / sum(weight for weight, _ in row.parts)
        assert found.cdf(point + aside) - found.cdf(point - aside) == pytest.approx(jump, abs=1e-6)
    low, high = found.host_quantile(1e-4), found.host_quantile(1e-4, upper=True)
    for value in np.linspace(low - 0.01 * (high - low), high + 0.01 * (high - low), 117):
        if all(abs(value - point) > 1e-6 for point in points):
            assert found.cdf(value) == pytest.approx(row.cdf(value), abs=1e-9), value


@pytest.mark.parametrize("name", NAMES)
def test_a_config_takes_it_or_says_why_not(name):
    study = loads(STUDY)
    changes: dict[str, dict[str, object]] = {
        "1": {"parameters.returns": {"evidence": name}},
        "months": {"parameters.initial_doubling_time": {"evidence": name}},
        "×": {"sweep.model": "growth_law", "parameters.labour_multiplier": {"evidence": name}},
    }
    asked = changes.pop(evidence.find(name, None).unit)
    if name in NOT_POSITIVE:
        with pytest.raises(SpecError, match=r"parameters\] returns"):
            study.replace(asked)
    else:
        spec = study.replace(asked)
        assert spec.evidence[name].name == name
        assert loads(spec.to_toml()).identity() == spec.identity()
    for other in changes.values():
        with pytest.raises(SpecError, match=rf"evidence = \"{name}\": {name} is .*, and the parameter .* Fix: use other evidence"):
            study.replace(other)


def test_evidence_without_a_unit_is_taken_for_any(tmp_path):
    (tmp_path / "evidence").mkdir()
    own = tmp_path / "evidence" / "own.toml"
    (tmp_path / "study.toml").write_text(STUDY.replace("returns = 1", 'returns = { mixture = [{ weight = 1, evidence = "own" }] }'))
    text = 'meaning = "m"\nsource = "s"\nkind = "derived"\nvalue = 2\n'
    own.write_text(text)
    assert load(tmp_path / "study.toml").fixed().get("returns") != 1
    own.write_text(text + 'unit = "months"\n')
    with pytest.raises(SpecError, match=r"mixture\[0\].evidence = \"own\": own is in months, and the parameter a number without a unit"):
        load(tmp_path / "study.toml")


def test_an_estimate_outside_the_support_can_be_cut():
    name = "whitfill_wu_2025_frontier_elasticity"
    spec = loads(STUDY).replace({"parameters.returns": {"evidence": name, "truncate": [0.01, 0.5]}})
    assert spec.parameters["returns"].support == (0.01, 0.5)
    whole = stats.norm(-0.103, 0.176)
    kept = whole.cdf(0.5) - whole.cdf(0.01)
    assert kept == pytest.approx(0.26, abs=0.005)
    assert spec.parameters["returns"].median == pytest.approx(whole.ppf(whole.cdf(0.01) + kept / 2), rel=1e-9)


def span(low, high):
    """Two numbers as text, or one where they are the same."""
    return f"{low:.3g}" if math.isclose(low, high, rel_tol=1e-3) else f"{low:.3g} to {high:.3g}"


def line(name):
    """The line of the page's table that shows a piece of evidence; a median between two values is shown as both."""
    known = evidence.find(name, None)
    if isinstance(known.resolved, float):
        median, interval = f"{known.resolved:.3g}", "fixed"
    else:
        quantile = known.resolved.host_quantile
        median, interval = span(quantile(0.5 - 1e-6), quantile(0.5 + 1e-6)), span(quantile(0.05), quantile(0.05, upper=True))
    return f"| `{name}` | {median} | {interval} | {known.meaning} | {known.kind} |"


def test_the_page_lists_every_file_with_its_numbers():
    shown = [text for text in PAGE.read_text(encoding="utf-8").splitlines() if text.startswith("| `") and text.count("|") == 6]
    assert sorted(shown) == sorted(map(line, NAMES))
