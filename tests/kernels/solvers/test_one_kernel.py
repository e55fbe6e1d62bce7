"""The clock in one kernel: run by an interpreter beside the loop that is its oracle, and as it goes to the compiler of a GPU."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractDevice, AbstractMesh, use_abstract_mesh

from benchmarks.laws import LAWS, NOISY
from kernels import study as study_module
from kernels.alike import StepCount
from kernels.solvers import clock_dense, clock_solution
from kernels.solvers.one_kernel import LANES, integrate_in_one_kernel
from kernels.study import Study
from tests.compiling import cheaply

STUDIES = {
    "three states": lambda precision: LAWS[3].study(precision),
    "five states": lambda precision: LAWS[4].study(precision),
    "noise": lambda precision: NOISY.study(precision),
}
_LANES = 2 * LANES - 28
"""The second group has to be filled up."""
_TRITON = "__gpu$xla.gpu.triton"


def counted(name: str, precision: str = "float32") -> Study:
    return replace(STUDIES[name](precision), counted=StepCount(512))


def parameters_of(study: Study) -> dict[str, jax.Array]:
    return study.parameters(jnp.zeros(2, jnp.uint32), jnp.arange(_LANES, dtype=jnp.uint32), jnp.zeros(0))


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.soak] * (name == "three states")) for name in STUDIES])
def test_the_kernel_gives_what_the_loop_gives(name: str) -> None:
    study = counted(name)
    parameters = parameters_of(study)

    def rows(one_kernel: bool) -> Any:
        budget = replace(study.work, one_kernel=one_kernel)
        solved = cheaply(lambda parameters: study.rows(parameters, budget))
        return jax.tree.map(np.asarray, solved(parameters))

    loop, kernel = rows(False), rows(True)
    for label, ours, theirs in zip(study.numbers, kernel.numbers, loop.numbers, strict=True):
        # Steps end elsewhere where a rounding falls otherwise: their error is that of the solver.
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, err_msg=label.name)
        assert np.mean(np.isclose(ours, theirs, rtol=1e-5, atol=0)) > 0.9
        assert np.isfinite(ours).any()
    assert not kernel.cut_off.any()


@pytest.mark.slow
def test_groups_end_on_their_own_and_the_rest_is_filled_in() -> None:
    """The track of every trajectory is whole, whichever group was the slowest."""
    study = counted("three states", "float64")
    budget = replace(study.work, one_kernel=True)
    # The second group has less to do.
    parameters = parameters_of(study)
    parameters["horizon"] = jnp.where(jnp.arange(_LANES) < LANES, parameters["horizon"], 3.0)

    def track(parameters: dict[str, jax.Array]) -> Any:
        solution = study.model.solve(parameters, study.options, budget)
        assert isinstance(solution, clock_solution.ClockSolution)
        return solution._track, solution.steps_taken

    found, taken = jax.tree.map(np.asarray, cheaply(track)(parameters))
    assert taken[LANES:].max() < taken[:LANES].max() == found.used
    months = found.states[0]
    assert (np.diff(months[: found.used + 1], axis=0) >= 0).all()
    np.testing.assert_array_equal(months[found.used], np.where(np.isinf(found.arrival), parameters["horizon"], months[found.used]))
    assert np.isinf(months[found.used + 1 :]).all()
    np.testing.assert_array_equal(found.stride[-1], np.inf)


# JAX 0.12 announces that a later one will do without; there a sweep has the loop.
@pytest.mark.filterwarnings("ignore:The Pallas Triton backend is deprecated:DeprecationWarning")
@pytest.mark.slow
@pytest.mark.parametrize(("name", "precision"), [*((name, "float32") for name in STUDIES), ("five states", "float64")])
def test_the_compiler_of_a_gpu_is_given_one_kernel(name: str, precision: str) -> None:
    study = counted(name, precision)
    budget = replace(study.work, one_kernel=True)
    shapes = {name: jax.ShapeDtypeStruct((_LANES,), kind) for name, kind in study.inputs.items()}

    def track(drawn: dict[str, jax.Array]) -> Any:
        solution = study.model.solve(study.completed(drawn, (_LANES,)), study.options, budget)
        assert isinstance(solution, clock_solution.ClockSolution)
        return integrate_in_one_kernel(solution.system, solution.stepping, float("inf"))

    gpu = AbstractMesh((1,), ("x",), abstract_device=AbstractDevice(device_kind="NVIDIA H100", num_cores=132, platform="cuda"))
    allowed = [jax.export.DisabledSafetyCheck.custom_call(_TRITON)]
    with jax.enable_x64(True), use_abstract_mesh(gpu):
        text = jax.export.export(jax.jit(track), platforms=("cuda",), disabled_checks=allowed)(shapes).mlir_module()
    assert text.count(f"custom_call @{_TRITON}") == 1
    # All steps are in there.
    assert "stablehlo.while" not in text


@pytest.mark.parametrize(("wins", "chosen"), [(True, True), (False, False)])
@pytest.mark.slow
def test_a_gpu_is_given_the_form_that_is_faster_there(wins: bool, chosen: bool, monkeypatch: Any) -> None:
    study = LAWS[3].study("float32")
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(study_module, "_TIMED", LANES)
    monkeypatch.setattr(clock_dense, "integrate_in_one_kernel", partial(interpreted, integrate_in_one_kernel))
    monkeypatch.setattr(study_module, "fastest", lambda forms: (wins, 2.0))
    assert study.step_count is not None
    assert study.step_count.one_kernel is chosen
    assert study.work_here.one_kernel is chosen
    # The audit is the loop's.
    assert not study.work_here.for_audit().one_kernel


def interpreted(integrate: Any, *given: Any, interpret: bool) -> Any:
    return integrate(*given, interpret=True)


@pytest.mark.slow
def test_a_gpu_that_cannot_run_the_kernel_has_the_loop_and_says_why(monkeypatch: Any) -> None:
    study = LAWS[3].study("float32")
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    # Without the interpreter: what is here is no GPU, and says so.
    with pytest.warns(UserWarning, match="one kernel does not run on this GPU: Only interpret mode is supported"):
        assert study.step_count is not None
    assert study.step_count.one_kernel is False


def test_gradients_are_carried_through_the_loop(monkeypatch: Any) -> None:
    study = LAWS[3].study("float32")
    study = replace(study, outcomes=replace(study.outcomes, gradients=("returns",)))
    tried: list[int] = []
    monkeypatch.setattr(Study, "_spread", lambda self, draws: tried.append(draws))
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert not study._is_faster_in_one_kernel(64)
    assert not tried
