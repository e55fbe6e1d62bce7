"""Programs as they go to the compilers of platforms that need not be here: nothing in them that an accelerator lacks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import studies
from benchmarks.laws import LAWS
from kernels.lanes import sub_block
from kernels.outcomes import Outcomes
from kernels.platform import Platform, made_for
from kernels.program import Keep, TileProgram, TileShape
from kernels.study import Study
from tests.compiling import cheaply

STUDIES = {
    "recursion": lambda: studies.study("float32", "recursion", studies.BASE),
    "quadrature": lambda: LAWS[1].study("float32"),
    "windows": lambda: studies.study("float32", "continuous", studies.CONTINUOUS),
    "clock": lambda: LAWS[3].study("float32"),
}
PLATFORMS = {"tpu": "tpu", "gpu": "cuda"}
"""As JAX names them, and what programs are exported for."""


@pytest.fixture
def study_on() -> Iterator[Any]:
    """A study as a machine with that platform has it."""
    with ExitStack() as until_the_end:

        def made(name: str, platform: Any) -> Study:
            study = STUDIES[name]()
            # Counts its steps, which is run here.
            _ = study.work
            until_the_end.enter_context(made_for(platform))
            return study

        yield made


@pytest.mark.slow
@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("name", STUDIES)
def test_a_tile_program_asks_nothing_of_the_host(name: Any, platform: Any, study_on: Any) -> None:
    study = study_on(name, platform)
    exported = TileProgram(study, TileShape(1, 2), Keep(draws=True)).exported(PLATFORMS[platform])
    assert exported.platforms == (PLATFORMS[platform],)
    text = exported.mlir_module()
    assert "stablehlo.while" in text
    # A call of something outside the program would be a callback to Python, or a library that the platform may lack.
    assert re.findall(r"custom_call @(\w+)", text) == []
    assert "infeed" not in text
    assert "outfeed" not in text


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_float32_is_solved_without_float64(name: Any, study_on: Any) -> None:
    """A TPU has no float64 of its own: only the audit of one trajectory in 256 asks for it."""
    study = study_on(name, "tpu")
    inputs = {parameter: jax.ShapeDtypeStruct((256,), kind) for parameter, kind in study.inputs.items()}
    with jax.enable_x64(True):
        solved = jax.jit(lambda drawn: study.evaluate(study.completed(drawn, (256,)), study.work_here).values)
        text = jax.export.export(solved, platforms=("tpu",))(inputs).mlir_module()
    assert "256xf32>" in text
    # Numbers that the program is written with may be float64 until they meet an array, which costs nothing.
    assert re.findall(r"tensor<\d[^>]*xf64>", text) == []


@pytest.mark.slow
@pytest.mark.parametrize("blocks", [7, 40])
def test_a_tile_of_an_accelerator_is_that_of_a_cpu(blocks: int) -> None:
    """Solved in rounds of two blocks, whose audit waits for sixteen rounds; the tile has room for 40 blocks, and the last is not full."""
    study = studies.study("float32", "recursion", Outcomes(doublings=studies.DATES))
    study = replace(study, design=replace(study.design, block=512))
    given = (np.zeros((1, 0)), 3, blocks, (3 + blocks) * 512 - 200, np.array([1, 2], np.uint32))
    found = []
    platforms: tuple[Platform, ...] = ("cpu", "gpu")
    for platform in platforms:
        with made_for(platform):
            program = TileProgram(study, TileShape(1, 40), lanes=512 if platform == "cpu" else 1024)
            assert program.together == (1 if platform == "cpu" else 2)
            found.append(jax.tree.map(np.asarray, program(*given)))
    ours, theirs = found
    assert theirs.keys() == ours.keys()
    for name in ("valid", "failed", "cut_off", "audited", "differ", "finite"):
        np.testing.assert_array_equal(theirs[name], ours[name], err_msg=name)
    np.testing.assert_array_equal(theirs["audited"][0, blocks:], 0)
    assert theirs["audited"].sum() == 2 * blocks - 1
    np.testing.assert_allclose(theirs["sum"], ours["sum"], rtol=1e-5)
    for arrays in found:
        # Of two draws of a block the worse is off by a rounding or more in nearly all.
        errors = arrays["error"][0, :blocks]
        assert (errors > 0).mean() > 0.9
        assert errors.max() < 2e-5
        np.testing.assert_array_equal(arrays["error"][0, blocks:], 0)


def test_an_accelerator_goes_round_a_recursion_few_times(study_on: Any) -> None:
    """Each round is some kernels, between which its lanes go to memory."""
    study = study_on("recursion", "gpu")
    inputs = {parameter: jax.ShapeDtypeStruct((256,), kind) for parameter, kind in study.inputs.items()}
    solved = jax.jit(lambda drawn: study.evaluate(study.completed(drawn, (256,)), study.work_here).values)
    text = jax.export.export(solved, platforms=("cuda",))(inputs).mlir_module()
    bounds = []
    # Each function has names of its own.
    for function in text.split("func.func"):
        constants = dict(re.findall(r"(%c\w*) = stablehlo\.constant dense<(\d+)>", function))
        bounds += [int(constants[name]) for name in re.findall(r"cond \{\s*%\w+ = stablehlo\.compare LT, %\w+, (%c\w*),", function)]
    assert study.work.steps == 128
    assert max(bounds) == 8


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_the_form_for_accelerators_gives_the_same_numbers(name: Any, study_on: Any) -> None:
    """Written out instead of in loops: the same equations, rounded otherwise."""
    study = STUDIES[name]()
    key, draw = jnp.zeros(2, jnp.uint32), jnp.arange(256, dtype=jnp.uint32)

    def numbers_of(study: Study) -> Any:
        # Its steps are counted outside of what is compiled.
        _ = study.work
        return cheaply(lambda parameters: study.evaluate(parameters, study.work_here).values)(study.parameters(key, draw, jnp.zeros(0)))

    loops = numbers_of(study)
    written_out = study_on(name, "gpu")
    # Whole blocks, so many that they fill it.
    assert sub_block(written_out) % written_out.design.block == 0
    straight = numbers_of(written_out)
    for label in study.numbers:
        np.testing.assert_allclose(straight[label.name], loops[label.name], rtol=5e-5, err_msg=label.name)
