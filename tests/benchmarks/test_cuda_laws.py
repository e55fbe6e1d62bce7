"""The CUDA kernels, compiled as plain C++ that takes one thread after the other, equal the references; nvcc keeps them in registers."""

from __future__ import annotations

import ctypes
import re
import subprocess

import jax
import numpy as np
import pytest

from benchmarks import references
from benchmarks.laws import LAWS, TOLERANCE
from benchmarks.peers import cuda_laws, numpy_blocked, scipy_laws
from benchmarks.suites.laws import worst_error
from tests.benchmarks.plain_cuda import without_a_device
from tests.oracles.davidson_houlden import draw_priors

BY_NAME = {law.name: law for law in LAWS}
LANES = 16


@pytest.fixture(scope="module", params=["float32", "float64"])
def precision(request):
    return request.param


@pytest.fixture(scope="module")
def library(precision, tmp_path_factory):
    return without_a_device(precision, tmp_path_factory.mktemp("cuda"))


@pytest.mark.slow
def test_dates_in_the_recursion(library, precision):
    drawn = np.array(draw_priors(2000, 31)).astype(precision)
    found = cuda_laws.CudaDates(library, drawn, precision, 8, 24).answers()
    truth = references.recursion_dates(drawn.astype(np.float64), [8, 24])
    assert np.isinf(truth).any()
    assert worst_error(found, truth) <= (2e-6 if precision == "float32" else 1e-13)


def test_windows_in_the_recursion(library, precision):
    drawn = np.array(draw_priors(20_000, 32)).astype(precision)
    found = cuda_laws.CudaWindows(library, drawn, precision).answers()
    truth = numpy_blocked.windows(*drawn.astype(np.float64), dtype=np.float64)
    assert (truth.mean(axis=1) > 0.05).all()
    # A window whose length is that asked but for a rounding may be decided otherwise.
    assert (found != truth).sum() <= (4 if precision == "float32" else 0)


@pytest.mark.parametrize("name", cuda_laws.LAWS)
def law_of(library, name, precision):
    law = BY_NAME[name]
    drawn = law.draws(LANES).astype(precision)
    peer = cuda_laws.CudaLaw(library, law, drawn, precision, law.study(precision).budget, TOLERANCE[precision] / 100)
    return peer, scipy_laws.reference(law, drawn)


@pytest.mark.slow
@pytest.mark.parametrize("name", cuda_laws.LAWS)
def test_laws(library, precision, name):
    peer, truth = law_of(library, name, precision)
    assert worst_error(peer.answers(), truth) <= TOLERANCE[precision]


@pytest.mark.slow
def test_laws_of_one_library_take_turns(library, precision):
    """Each has questions of its own, which lie in one place."""
    laws = [law_of(library, name, precision) for name in (cuda_laws.LAWS[1], cuda_laws.LAWS[3])]
    for peer, truth in (*laws, *laws):
        assert worst_error(peer.answers(), truth) <= TOLERANCE[precision]


def test_too_few_steps_are_no_answer(library, precision, monkeypatch):
    monkeypatch.setattr(cuda_laws, "_STEPS", 8)
    law = BY_NAME["three states: reaction of policy"]
    found = cuda_laws.CudaLaw(library, law, law.draws(LANES), precision, law.study(precision).budget, 1e-6).answers()
    assert np.isnan(found[-1]).all()


def test_what_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(cuda_laws, "nvcc", lambda: None)
    assert cuda_laws.missing() == "no nvcc"


def test_an_error_of_the_device_is_raised_with_its_name(library):
    class Full:
        name_of_error = library.name_of_error

        @staticmethod
        def allocate(*_):
            return 2

    with pytest.raises(RuntimeError, match="allocate: out of memory"):
        cuda_laws.CudaDates(Full, np.ones((4, 8)), "float32", 8, 24)


needs_nvcc = pytest.mark.skipif(cuda_laws.nvcc() is None, reason="no nvcc")


@needs_nvcc
@pytest.mark.slow
def test_a_trajectory_stays_in_registers(precision, tmp_path):
    compiler = cuda_laws.nvcc()
    command = [compiler, "-O3", "-arch=sm_90", "-cubin", "-Xptxas", "-v", *cuda_laws.definitions(precision), str(cuda_laws.SOURCE)]
    done = subprocess.run([*command, "-o", str(tmp_path / "laws.cubin")], check=True, capture_output=True, text=True)
    kernels = re.findall(r"Compiling entry function '\w*?(recursion|dates_of_law|hardware|reaction)", done.stderr)
    assert sorted(kernels) == ["dates_of_law", "dates_of_law", "hardware", "reaction", "recursion", "recursion"]
    used = re.findall(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", done.stderr)
    assert used == [("0", "0", "0")] * len(kernels)


@needs_nvcc
@pytest.mark.slow
@pytest.mark.parametrize("fast", [pytest.param(False, marks=pytest.mark.soak), True])
def test_the_library_of_the_device_is_built_and_loaded(precision, fast, tmp_path):
    file = cuda_laws.built(precision, fast, tmp_path)
    library, count = cuda_laws.loaded(file), ctypes.c_int()
    error = library.count_devices(ctypes.byref(count))
    if error:
        # Without a device it says so in words, and is made for a Hopper.
        assert b"CUDA" in library.name_of_error(error)
        assert b"sm_90" in file.read_bytes()


@needs_nvcc
@pytest.mark.slow
def test_without_a_device_there_is_none():
    if jax.default_backend() == "gpu":
        pytest.skip("a device")
    assert cuda_laws.missing() == "no CUDA device"
