"""The loops of the ceilings do what they are counted for, however often, and take as much longer."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from benchmarks.ceilings import _Chain, _sized
from benchmarks.operations import KINDS, MULTIPLY_ADD, OTHER
from benchmarks.peers.c_library import compiler
from benchmarks.peers.multiply_adds import MultiplyAdds
from benchmarks.suites.roofline import _Problem

PRECISIONS = ("float32", "float64")
BY_HAND = {
    MULTIPLY_ADD: lambda x, a, b: x * a + b,
    "divisions": lambda x, a, b: b / (x + a),
    "square roots": lambda x, a, b: np.sqrt(x + b),
    "exponentials": lambda x, a, b: np.exp(-x),
    "logarithms": lambda x, a, b: np.log(x + b),
    OTHER: lambda x, a, b: np.where(x < a, b, x),
}


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("kind", BY_HAND)
def test_a_chain_ends_where_its_operations_lead(kind, precision):
    chain = _Chain(kind, precision, 3, jax.devices()[:1])
    loop = chain.loop(2)
    _, x, a, b = (np.asarray(held, np.float64) if index else held for index, held in enumerate(chain._held[0]))
    expected = x
    for _ in range(2):
        for index in range(3):
            expected = BY_HAND[kind](expected, a[index], b[index])
    (found,) = loop.run()
    np.testing.assert_allclose(found, expected, rtol=1e-5 if precision == "float32" else 1e-13)
    assert found.dtype == precision
    assert not np.allclose(expected, x)
    assert loop.work == 2 * 3 * len(x) * (2 if kind == OTHER else 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[pytest.mark.soak] * (kind not in (MULTIPLY_ADD, "logarithms", OTHER))) for kind in BY_HAND]
)
def test_eight_times_the_passes_take_much_longer(kind):
    # A loop that is folded, or left out, takes as long as one pass.
    chain = _Chain(kind, "float32", 4, jax.devices()[:1])
    once, _ = _sized(chain.loop, 0.01)
    passes = round(once.work / chain.loop(1).work)
    more = chain.loop(8 * passes)
    # Side by side, as other work on the machine may make either of them late.
    assert np.median([more.seconds() / once.seconds() for _ in range(5)]) > 3


@pytest.mark.skipif(compiler() is None, reason="no C compiler")
@pytest.mark.parametrize("precision", PRECISIONS)
def test_multiply_adds_in_c(precision):
    lanes = MultiplyAdds(precision, 1, 1).work
    # x·½ + ¼ leads to ½ in every lane; from i + ¼ in the vectors it takes one pass to (i + ¼)·½ + ¼.
    assert MultiplyAdds(precision, 100, 2)() == pytest.approx([lanes / 2] * 2, rel=1e-6)
    vectors = 24 if lanes in (384, 192) else 12
    first = lanes / vectors * sum((index + 0.25) * 0.5 + 0.25 for index in range(vectors))
    assert MultiplyAdds(precision, 1, 1)() == pytest.approx([first], rel=1e-6)


def test_the_limit_is_of_operations_one_after_the_other():
    operations = dict.fromkeys(KINDS, 0.0) | {MULTIPLY_ADD: 10.0, "exponentials": 2.0}
    ceilings = dict.fromkeys(KINDS, 1.0) | {MULTIPLY_ADD: 1000.0, "exponentials": 100.0}
    assert _Problem("", "panels", None, operations, False).limit(ceilings) == pytest.approx(1 / 0.03)
