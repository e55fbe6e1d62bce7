"""Tableaus: their order conditions, the nodes that are published, and the order of a step and of its error estimate, as measured."""

from __future__ import annotations

import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import DOP853

from kernels.solvers.step import take_step
from kernels.solvers.tableaus import RUNGE_KUTTA_5, RUNGE_KUTTA_8, Tableau

TABLEAUS = pytest.mark.parametrize("tableau", [RUNGE_KUTTA_5, RUNGE_KUTTA_8], ids=["order5", "order8"])
NODES = {5: (0, 0.161, 0.327, 0.9, 0.9800255409045097, 1), 8: tuple(DOP853.C.tolist())}


def _square(tableau: Tableau) -> np.ndarray:
    size = len(tableau.b)
    full = np.zeros((size, size))
    for row, weights in enumerate(tableau.a, 1):
        full[row, : len(weights)] = weights
    return full


@TABLEAUS
def test_nodes_are_sums_of_rows(tableau: Any) -> None:
    assert [len(row) for row in tableau.a] == list(range(1, len(tableau.b)))
    np.testing.assert_allclose(_square(tableau).sum(axis=1), NODES[tableau.order], rtol=1e-14, atol=1e-15)


@TABLEAUS
def test_order_conditions(tableau: Any) -> None:
    """Σ b = 1, Σ b c^k = 1/(k + 1), and those of trees whose root bears one branch or two, up to the order."""
    a, b = _square(tableau), np.asarray(tableau.b)
    c = a.sum(axis=1)
    for k in range(tableau.order):
        assert b @ c**k == pytest.approx(1 / (k + 1), rel=1e-13)
    for k, j in itertools.product(range(tableau.order), range(1, tableau.order)):
        if k + j + 2 <= tableau.order:
            assert b @ (c**k * (a @ c**j)) == pytest.approx(1 / ((k + j + 2) * (j + 1)), rel=1e-12)
    assert b @ a @ a @ c == pytest.approx(1 / 24, rel=1e-12)
    assert b @ (a @ c) ** 2 == pytest.approx(1 / 20, rel=1e-12)


def test_error_estimates_vanish_for_what_a_lower_order_integrates() -> None:
    # Of order 5 with the rates at the end of the step.
    c5 = np.array([*NODES[5], 1.0])
    full = np.array(RUNGE_KUTTA_5.errors[0])
    np.testing.assert_allclose([full @ c5**k for k in range(4)], 0, atol=1e-15)
    assert abs(full @ c5**4) > 1e-4
    c8 = np.array(NODES[8])
    for weights, order in zip(RUNGE_KUTTA_8.errors, (5, 3), strict=True):
        moments = np.array([np.asarray(weights) @ c8**k for k in range(order + 1)])
        np.testing.assert_allclose(moments[:order], 0, atol=1e-14)
        assert abs(moments[order]) > 1e-4


def _measured(tableau: Tableau, steps: int) -> tuple[float, list[float]]:
    """x' = −2tx², x(0) = 1, whose solution is 1/(1 + t²), to t = 1.5 in so many steps: its error, and the estimates of the first step."""
    stride = jnp.asarray(1.5 / steps, jnp.float64)

    @jax.jit
    def one(state: tuple[jax.Array, ...]) -> Any:
        return take_step(tableau, lambda at: (-2 * at[0] * at[1] ** 2,), lambda found: jnp.ones_like(found[0]), state, stride)

    state = (jnp.asarray(0.0), jnp.asarray(1.0))
    # Where nothing is symmetric.
    estimates = [abs(float(errors[1])) for errors in one((jnp.asarray(0.4), jnp.asarray(1 / 1.16))).errors]
    for _ in range(steps):
        state = tuple(value + more for value, more in zip(state, one(state).added, strict=True))
    assert float(state[0]) == pytest.approx(1.5, rel=1e-14)
    return abs(float(state[1]) - 1 / 3.25), estimates


@pytest.mark.parametrize(
    ("tableau", "counts", "orders"),
    [(RUNGE_KUTTA_5, (24, 32, 48, 64), (5,)), (RUNGE_KUTTA_8, (8, 12, 16, 24), (6, 4))],
    ids=["order5", "order8"],
)
@pytest.mark.slow
def test_measured_orders(tableau: Any, counts: Any, orders: Any) -> None:
    errors, estimates = zip(*(_measured(tableau, count) for count in counts), strict=True)
    fitted = np.polyfit(np.log(counts), np.log(errors), 1)[0]
    assert fitted == pytest.approx(-tableau.order, abs=0.5), errors
    # Each estimate is of one step, whose error has one power of its length more.
    for rows, order in zip(zip(*estimates, strict=True), orders, strict=True):
        assert np.polyfit(np.log(counts), np.log(rows), 1)[0] == pytest.approx(-order, abs=0.35), rows
    # What the step size is chosen by, of order 8: the finer estimate, scaled by itself over the coarser.
    if len(orders) == 2:
        combined = [fine**2 / math.hypot(fine, 0.1 * coarse) for fine, coarse in estimates]
        assert np.polyfit(np.log(counts), np.log(combined), 1)[0] == pytest.approx(-tableau.error_order, abs=0.5)


@pytest.mark.parametrize(("tableau", "count"), [(RUNGE_KUTTA_5, 6), (RUNGE_KUTTA_8, 9)], ids=["order5", "order8"])
def test_no_stage_is_put_where_one_is_kept_that_is_still_used(tableau: Any, count: int) -> None:
    slots = tableau.slots
    assert max(slots) + 1 == count
    held: dict[int, int] = {}
    for stage, slot in enumerate(slots):
        held[slot] = stage
        # All that the next trial point needs is there; after the last stage, all that the step and its errors need.
        needed = tableau.a[stage : stage + 1] or (tableau.b, *tableau.errors)
        for weights in needed:
            assert all(held[slots[i]] == i for i, weight in enumerate(weights[: len(slots)]) if weight)
