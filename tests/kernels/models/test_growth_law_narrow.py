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


def _date_with_compute(doublings: float, returns: float, substitution: float, share: float, efficiency: float) -> float:
    """Months to so many doublings of dx/dt = [α·2^(ρx) + (1−α)·2^(ρεx)]^(1/ρ)·2^(−αx/r), T0 = 1."""
    bend = np.log2((1 - share) / share) / (substitution * (1 - efficiency))
    width = 1 / (abs(substitution) * (1 - efficiency))
    edges = np.unique(np.clip([0, doublings, *(bend + width * np.array([-20, -6, -2, 0, 2, 6, 20]))], 0, doublings))

    def months(level: float) -> float:
        terms = np.array([substitution * level, substitution * efficiency * level]) * np.log(2) + np.log([share, 1 - share])
        return float(np.exp(share * level * np.log(2) / returns - np.logaddexp(*terms) / substitution))

    return float(sum(quad(months, low, high, epsabs=0, epsrel=1e-11)[0] for low, high in pairwise(edges)))


@pytest.mark.slow
def test_nor_is_the_change_from_labour_to_compute_as_what_is_scarce() -> None:
    rng = np.random.default_rng(2)
    drawn = [rng.uniform(low, high, 2048) for low, high in ((0.8, 4), (-20, -5), (0.1, 0.9), (0.2, 0.95))]
    returns, substitution, share, efficiency = drawn
    found = ask(
        "growth_law",
        {"research_input": "ces", "solver": "clock"},
        lambda solution, _: solution.dates((4.0,)),
        "float32",
        returns=returns,
        substitution_parameter=substitution,
        labour_share=share,
        experiment_efficiency=efficiency,
        initial_doubling_time=1.0,
        horizon=600.0,
    )
    exact = [[_date_with_compute(4.0, *lane) for lane in zip(*drawn, strict=True)]]
    np.testing.assert_allclose(found, exact, rtol=1e-4)
