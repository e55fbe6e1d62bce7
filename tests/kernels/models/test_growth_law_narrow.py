"""What bends within a small part of a step is seen all the same: automation along a narrow logistic, and research input from labour and
compute that can hardly stand in for each other."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit

from tests.kernels.asking import ask

LOW, HIGH, MIDPOINT, AI_LABOUR, SUBSTITUTION = 0.1, 0.9, 0.45, 5.0, -0.5


def _log_labour(level: float, width: float) -> float:
    """ln Λ with task-by-task shares f: [(1−f)^(1−κ) + f^(1−κ)·(a0·2^x)^κ]^(1/κ)."""
    share = LOW + (HIGH - LOW) * expit((level - MIDPOINT) / width)
    ai = share ** (1 - SUBSTITUTION) * (AI_LABOUR * 2**level) ** SUBSTITUTION
    return float(np.log((1 - share) ** (1 - SUBSTITUTION) + ai) / SUBSTITUTION)


def _date(doublings: float, returns: float, width: float) -> float:
    """Months to so many doublings of dx/dt = Λ/Λ(0)·2^(−x/r), T0 = 1."""
    start = _log_labour(0, width)
    edges = np.unique(np.clip([0, doublings, *(MIDPOINT + width * np.array([-20, -6, -2, 0, 2, 6, 20]))], 0, doublings))

    def months(level: float) -> float:
        return float(np.exp(start - _log_labour(level, width) + level * np.log(2) / returns))

    return float(sum(quad(months, low, high, epsabs=0, epsrel=1e-11)[0] for low, high in pairwise(edges)))


@pytest.mark.slow
def test_a_logistic_much_narrower_than_a_step_is_not_passed_unseen() -> None:
    width, returns = (grid.ravel() for grid in np.meshgrid(np.geomspace(0.001, 0.5, 32), np.linspace(0.6, 1.8, 16)))
    found = ask(
        "growth_law",
        {"automation": "logistic"},
        lambda solution, _: solution.dates((1.0, 5.0)),
        "float32",
        returns=returns,
        automation_width=width,
        automation_midpoint=MIDPOINT,
        automated_share_low=LOW,
        automated_share_high=HIGH,
        initial_ai_labour=AI_LABOUR,
        task_substitution_parameter=SUBSTITUTION,
    )
    exact = [[_date(level, *pair) for pair in zip(returns, width, strict=True)] for level in (1.0, 5.0)]
    np.testing.assert_allclose(found, exact, rtol=1e-4)


@pytest.mark.slow
def test_nor_is_the_change_from_labour_to_compute_as_what_is_scarce() -> None:
    rng, lanes = np.random.default_rng(2), 1024
    ranges = {
        "initial_doubling_time": (0.2, 6),
        "returns": (0.5, 4),
        "parallel_exponent": (0.4, 1.2),
        "substitution_parameter": (-20, -4),
        "labour_share": (0.1, 0.9),
        "experiment_efficiency": (0, 0.95),
        "first_training_time": (0.5, 5),
        "training_time_ratio": (0.5, 0.99),
    }
    given = {name: rng.uniform(*ends, lanes) for name, ends in ranges.items()}
    options = {"research_input": "ces", "training": "generations"}
    # The steps of float64 are short enough to see it without being told.
    narrow, wide = (
        ask("growth_law", options, lambda solution, _: solution.levels((5.0, 48.0))[0], precision, **given, horizon=48.0)
        for precision in ("float32", "float64")
    )
    known = wide < 1000
    assert np.mean(known) > 0.5
    np.testing.assert_allclose(narrow[known], wide[known], rtol=2e-4)
