"""Programs as they go to the compilers of platforms that need not be here: nothing in them that an accelerator lacks."""

from __future__ import annotations

import re
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import studies
from benchmarks.laws import LAWS
from kernels.lanes import sub_block
from kernels.program import Keep, TileProgram, TileShape
from kernels.study import Study
from tests.compiling import cheaply

STUDIES = {
    "recursion": lambda: studies.study("float32", "recursion", studies.BASE),
    "quadrature": lambda: LAWS[1].study("float32"),
    "windows": lambda: studies.study("float32", "continuous", studies.CONTINUOUS),
    "clock": lambda: LAWS[3].study("float32"),
}
PLATFORMS = ("tpu", "cuda")


@pytest.fixture
def study_on(monkeypatch: Any) -> Any:
    """A study as a machine with that platform has it."""

    def made(name: str, platform: str) -> Study:
        study = STUDIES[name]()
        # Counts its steps, which is run here.
        _ = study.work
        monkeypatch.setattr(jax, "default_backend", lambda: platform)
        return study

    return made


@pytest.mark.slow
@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("name", STUDIES)
def test_a_tile_program_asks_nothing_of_the_host(name: Any, platform: Any, study_on: Any) -> None:
    study = study_on(name, platform)
    exported = TileProgram(study, TileShape(1, 2), Keep(draws=True)).exported(platform)
    assert exported.platforms == (platform,)
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


def test_an_accelerator_goes_round_a_recursion_few_times(study_on: Any) -> None:
    """Each round is some kernels, between which its lanes go to memory."""
    study = study_on("recursion", "cuda")
    inputs = {parameter: jax.ShapeDtypeStruct((256,), kind) for parameter, kind in study.inputs.items()}
    solved = jax.jit(lambda drawn: study.evaluate(study.completed(drawn, (256,)), study.work_here).values)
    text = jax.export.export(solved, platforms=("cuda",))(inputs).mlir_module()
    constants = dict(re.findall(r"(%c\w*) = stablehlo\.constant dense<(\d+)>", text))
    bounds = re.findall(r"cond \{\s*%\w+ = stablehlo\.compare LT, %\w+, (%c\w*),", text)
    assert study.work.steps == 128
    assert bounds
    assert max(int(constants[bound]) for bound in bounds) == 8


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
    written_out = study_on(name, "cuda")
    # Whole blocks, so many that they fill it.
    assert sub_block(written_out) % written_out.design.block == 0
    straight = numbers_of(written_out)
    for label in study.numbers:
        np.testing.assert_allclose(straight[label.name], loops[label.name], rtol=5e-5, err_msg=label.name)
