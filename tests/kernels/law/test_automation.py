"""Automation: joint labour of people and AI against its definition in mpmath, at and near its edges, and the ways the share rises."""

from __future__ import annotations

import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from mpmath import mp, mpf

from kernels.law.automation import Tasks, log_joint_labour, logistic, ramp

TOLERANCES = [("float64", 1e-13), ("float32", 3e-6)]
SUBSTITUTIONS = (0.0, 1e-12, -1e-12, -1e-7, 1e-7, -0.5, 0.3, 0.95, -2.5, -1000.0)


def _exact(automated: Any, human: Any, kappa: Any, log_ai: Any) -> Any:
    automated, human, kappa, log_ai = (mpf(float(value)) for value in (automated, human, kappa, log_ai))
    if human <= 0:
        return log_ai
    if automated <= 0:
        return mpf(0)
    with mp.workdps(60):
        if kappa == 0:
            return -human * mp.log(human) + automated * (log_ai - mp.log(automated))
        total = human ** (1 - kappa) + automated ** (1 - kappa) * mp.exp(kappa * log_ai)
        # The shares are rounded: of their sum, 1 but for that, Λ would be a power of 1/κ.
        return mp.log(total / (automated + human)) / kappa


def _compare(dtype: Any, tolerance: Any, cases: Any) -> None:
    columns = [jnp.asarray(column, dtype) for column in zip(*cases, strict=True)]
    ours = np.asarray(jax.jit(lambda f, rest, kappa, ai: log_joint_labour(Tasks(f, rest), kappa, ai))(*columns), float)
    exact = np.array([float(_exact(*row)) for row in zip(*map(np.asarray, columns), strict=True)])
    scale = np.maximum(1, np.abs(np.asarray(columns[3], float)))
    assert np.all(np.isfinite(ours))
    wrong = np.abs(ours - exact) / scale
    assert wrong.max() <= tolerance, f"{cases[int(wrong.argmax())]}: {ours[wrong.argmax()]} for {exact[wrong.argmax()]}"


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "tolerance"), TOLERANCES)
def test_joint_labour_against_its_definition(dtype: Any, tolerance: Any) -> None:
    shares = (0.0, 0.125, 0.5, 0.75, 1 - 2.0**-10, 1.0)
    cases = [
        (share, 1 - share, kappa, log_ai)
        for share, kappa, log_ai in itertools.product(shares, SUBSTITUTIONS, (-5.0, 0.0, 0.7, 8.0, 100.0, 690.0))
    ]
    _compare(dtype, tolerance, cases)


@pytest.mark.parametrize(("dtype", "tolerance"), TOLERANCES)
def test_the_last_tasks_keep_their_digits(dtype: Any, tolerance: Any) -> None:
    """1 − f from 1e-3 to 1e-30, where people still hold research back, and AI that outgrows them."""
    humans = (2.0**-10, 2.0**-24, 2.0**-50, 2.0**-100)
    cases = [
        (1 - human, human, kappa, log_ai)
        for human, kappa, log_ai in itertools.product(humans, (0.0, -0.5, 0.3, -2.16), (0.0, 9.0, 20.0, 55.0, 200.0))
    ]
    _compare(dtype, 3 * tolerance, cases)


def test_the_first_tasks_keep_their_digits() -> None:
    cases = [(2.0**-60, 1.0, kappa, log_ai) for kappa, log_ai in itertools.product((0.0, -0.5, 0.3), (0.0, 20.0, 200.0))]
    _compare("float64", 3e-13, cases)


def test_twenty_times_the_work_on_what_is_left() -> None:
    """95 % of tasks automated and AI in plenty, κ → −∞: labour as from 5 % of the tasks, 20 times as much of it (ED fn 22)."""
    labour = log_joint_labour(Tasks(jnp.asarray(0.95), jnp.asarray(0.05)), jnp.asarray(-1e5), jnp.asarray(100.0))
    assert math.exp(float(labour)) == pytest.approx(20, rel=1e-4)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.slow
def test_more_ai_labour_never_makes_less(dtype: Any) -> None:
    log_ai = jnp.linspace(-10, 300, 400).astype(dtype)
    for share, kappa in itertools.product((0.0, 0.2, 0.9, 1.0), (-3.0, -0.5, 0.0, 0.3)):
        tasks = Tasks(jnp.full(400, share, dtype), jnp.full(400, 1 - share, dtype))
        labour = np.asarray(log_joint_labour(tasks, jnp.asarray(kappa, dtype), log_ai), float)
        # Labour that cannot rise may fall by its rounding.
        assert np.all(np.diff(labour) >= -4 * np.finfo(dtype).eps * np.abs(labour[1:]).clip(1))
        assert share == 0 or kappa < 0 or labour[-1] > labour[0] + 1


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_ramp_in_three_stretches(dtype: Any) -> None:
    low, high, start, end = (jnp.asarray(value, dtype) for value in (0.25, 1.0, 2.0, 10.0))
    for stretch, at, automated in ((0, 1.0, 0.25), (1, 2.0, 0.25), (1, 4.0, 0.4375), (1, 10.0, 1.0), (2, 99.0, 1.0)):
        tasks = ramp(low, high, start, end, jnp.asarray(at, dtype), jnp.asarray(stretch, dtype))
        assert (float(tasks.automated), float(tasks.human)) == (automated, 1 - automated)
    near = ramp(low, high, start, end, jnp.asarray(10, dtype) * (1 - 2 * jnp.finfo(dtype).eps), jnp.asarray(1, dtype))
    # What is left to people just before the end has all its digits.
    left = (10 - float(jnp.asarray(10, dtype) * (1 - 2 * jnp.finfo(dtype).eps))) / 8 * 0.75
    assert float(near.human) == pytest.approx(left, rel=1e-6)


@pytest.mark.parametrize(("dtype", "tolerance"), TOLERANCES)
def test_a_logistic(dtype: Any, tolerance: Any) -> None:
    low, high, midpoint, width = 0.25, 1.0, 6.0, 2.0
    for compute in (-40.0, 0.0, 6.0, 8.0, 60.0, 130.0):
        tasks = logistic(*(jnp.asarray(value, dtype) for value in (low, high, midpoint, width, compute)))
        place = mp.exp(-(mpf(compute) - midpoint) / width)
        assert float(tasks.automated) == pytest.approx(float(low + (high - low) / (1 + place)), rel=tolerance)
        assert float(tasks.human) == pytest.approx(float((high - low) * place / (1 + place)), rel=20 * tolerance)


def test_a_human_share_that_all_but_vanishes_still_counts() -> None:
    # (1 − f)^(1−κ) beside A^κ with f^(1−κ) = 1: by their logarithms in exact arithmetic.
    substitution, log_ai = -2.5, 190.0
    for human in (1e-30, 1e-60, 1e-150, 1e-280):
        tasks = Tasks(jnp.asarray(1.0), jnp.asarray(human))
        found = float(jax.jit(log_joint_labour)(tasks, jnp.asarray(substitution), jnp.asarray(log_ai)))
        terms = mpf(human) ** (1 - substitution) + mp.exp(substitution * log_ai)
        assert found == pytest.approx(float(mp.log(terms) / substitution), rel=1e-12)
