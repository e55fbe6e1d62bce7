"""Operations are counted as a compiled program does them: closed forms of small programs, and what is known of the kernels."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from benchmarks import studies
from benchmarks.affinity import can_be_held
from benchmarks.bare import Bare, Threads
from benchmarks.laws import LAWS
from benchmarks.operations import KINDS, OTHER, count
from benchmarks.suites.kernels import draws
from kernels import elementary
from kernels.outcomes import Outcomes

LANES = 8
ROW = jax.ShapeDtypeStruct((LANES,), jnp.float32)


def counted(function, *arguments, trips=()):
    """Operations an element, without those that there are none of."""
    found = count(function, *(arguments or (ROW,)), trips=trips)
    assert set(found) == set(KINDS)
    return {kind: number / LANES for kind, number in found.items() if number}


def test_every_kind():
    def function(x, y):
        return jnp.exp(x) * jnp.log(y), jnp.sqrt(x) / y, x - y, jnp.where(x < y, -x, jnp.abs(y))

    expected = {"exponentials": 1, "multiplications": 1, "logarithms": 1, "square roots": 1, "divisions": 1, "additions": 1, OTHER: 4}
    assert counted(function, ROW, ROW) == expected


def test_a_product_that_is_only_added_is_a_multiply_add():
    assert counted(lambda x, y: x * y + 1, ROW, ROW) == {"multiply-adds": 1}
    assert counted(lambda x, y: x * y - y * y, ROW, ROW) == {"multiply-adds": 1, "multiplications": 1}
    # The product is asked for twice.
    assert counted(lambda x, y: (x * y + 1, x * y), ROW, ROW) == {"additions": 1, "multiplications": 1}


def test_powers_and_what_is_made_of_others():
    assert counted(lambda x: x**7) == {"multiplications": 4}
    assert counted(lambda x: x**-2) == {"multiplications": 1, "divisions": 1}
    assert counted(lambda x, y: x**y, ROW, ROW) == {"logarithms": 1, "multiplications": 1, "exponentials": 1}
    assert counted(jnp.exp2) == {"multiplications": 1, "exponentials": 1}


def test_integers_and_reductions():
    integers = jax.ShapeDtypeStruct((LANES,), jnp.int32)
    assert counted(lambda n: (n + 3) * n, integers) == {OTHER: 2}
    assert count(jnp.sum, ROW) == dict.fromkeys(KINDS, 0.0) | {"additions": LANES - 1}
    assert count(jnp.max, ROW)[OTHER] == LANES - 1


def test_what_is_in_a_loop_counts_as_often_as_it_goes_round():
    def function(x):
        return lax.scan(lambda carry, row: (jnp.exp(carry), carry + row), x, jnp.ones((7, LANES), jnp.float32))

    assert counted(function) == {"exponentials": 7, "additions": 7}
    nested = lambda x: lax.fori_loop(0, 5, lambda _, y: lax.fori_loop(0, 3, lambda _, z: jnp.exp(z), jnp.log(y)), x)  # noqa: E731
    assert counted(nested) == {"exponentials": 15, "logarithms": 5}


def test_loops_without_a_fixed_end_go_round_as_often_as_is_said():
    def function(x):
        first = lax.while_loop(lambda y: jnp.any(y < 9), jnp.exp, x)
        return lax.while_loop(lambda y: jnp.any(y < 9), jnp.log, first)

    found = counted(function, trips=(4, 2.5))
    # The condition is asked for once more: a comparison each, and a number less of them together.
    assert found == {"exponentials": 4, "logarithms": 2.5, OTHER: (5 + 3.5) * (2 - 1 / LANES)}
    with pytest.raises(ValueError, match="more loops"):
        count(function, ROW, trips=(4,))
    with pytest.raises(ValueError, match="1 trips more"):
        count(function, ROW, trips=(4, 2, 1))


def test_calls_are_looked_into():
    @jax.custom_jvp
    def own(x):
        return jnp.exp(x)

    own.defjvp(lambda primals, tangents: (own(*primals), tangents[0]))

    def chosen(x, flag):
        return lax.cond(flag, lambda y: jnp.exp(jnp.log(y)), lambda y: y + 1, x)

    assert counted(jax.jit(lambda x: jax.jit(own)(jax.jit(jnp.log)(x)))) == {"logarithms": 1, "exponentials": 1}
    assert counted(lambda x: jax.jvp(own, (x,), (x,))) == {"exponentials": 1}
    flag = jax.ShapeDtypeStruct((), jnp.bool_)
    # A scalar goes with it that says which branch is taken.
    assert counted(chosen, ROW, flag) == {"logarithms": 1, "exponentials": 1, OTHER: 1 / LANES}


def test_what_the_compiler_leaves_out_is_left_out():
    def dead(x):
        return (x + 1, jnp.exp(x))[0]

    def twice(x):
        return jax.jit(jnp.exp)(x), jnp.exp(x) + 1

    def known(x):
        return x + jnp.exp(jnp.full(LANES, 3.0, jnp.float32)) / 7

    def unchanging(x):
        return lax.fori_loop(0, 6, lambda _, y: y + jnp.exp(x), x)

    assert counted(dead) == {"additions": 1}
    assert counted(twice) == {"exponentials": 1, "additions": 1}
    assert counted(known) == {"additions": 1}
    assert counted(unchanging) == {"exponentials": 1, "additions": 6}
    assert counted(lambda x: x / 3) == {"multiplications": 1}


def test_one_number_for_all_elements_is_one_operation():
    scalar = jax.ShapeDtypeStruct((), jnp.float32)
    assert counted(lambda x, a: x + jnp.exp(jnp.full(LANES, a)), ROW, scalar) == {"additions": 1, "exponentials": 1 / LANES}

    def carried(x, a):
        # One number all the way; and one that is so only at first.
        step = lambda _, held: (jnp.exp(held[0]), jnp.log(held[1]) + x)  # noqa: E731
        return lax.fori_loop(0, 4, step, (jnp.full(LANES, a), jnp.full(LANES, a)))

    assert counted(carried, ROW, scalar) == {"exponentials": 4 / LANES, "logarithms": 4, "additions": 4}


def test_what_is_not_known_here_is_an_error():
    with pytest.raises(ValueError, match="sin is not counted"):
        count(jnp.sin, ROW)


def test_a_logarithm_of_our_own_is_what_it_is_made_of():
    found = counted(elementary.log1p)
    assert "logarithms" not in found
    assert "divisions" not in found
    # A polynomial of 9 terms, and what joins it.
    assert 9 < found["multiply-adds"] < 20


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_recursion_takes_one_division_a_step_and_an_exponential_of_our_own(precision):
    study = studies.study(precision, "recursion", Outcomes(doublings=studies.DATES))
    bare = Bare(study, draws(2048), jax.devices()[:1])
    budget = replace(study.work_here, compact=False)
    found = count(partial(bare.block, budget=budget), jax.ShapeDtypeStruct((4, bare.width), study.dtype))
    assert found["exponentials"] == 0
    assert found["multiply-adds"] / bare.width >= 4 * study.work.steps
    assert study.work.steps <= found["divisions"] / bare.width <= study.work.steps + 4


@pytest.mark.slow
def test_steps_that_are_chosen_by_their_error_are_counted_in_each_trajectory():
    law = LAWS[3]
    study = law.study("float32")
    bare = Bare(study, law.draws(1024), jax.devices()[:1])
    steps = bare.steps()
    assert steps.shape == (bare.lanes,)
    assert np.all((steps > 4) & (steps <= study.work.steps))
    block = jax.ShapeDtypeStruct((len(law.drawn), bare.width), study.dtype)
    ten, eleven, twenty = (count(bare.block, block, trips=(trips,)) for trips in (10, 11, 20))
    for kind in KINDS:
        assert twenty[kind] - ten[kind] == pytest.approx(10 * (eleven[kind] - ten[kind]), rel=1e-9)
    # A step has six stages, of which the last is the first of the next, and each asks for the rates, of which an exponential is but a part.
    assert eleven["multiply-adds"] - ten["multiply-adds"] >= 6 * 4 * bare.width


@pytest.mark.skipif(not can_be_held(), reason="a process cannot be held to some of its cores here")
def test_the_first_devices_alone():
    calls = Threads([lambda: jnp.ones(1), lambda: jnp.zeros(1)])
    assert len(calls()) == 2
    assert [float(one[0]) for one in calls.on_cores(1)()] == [1.0]
