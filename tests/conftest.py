"""What all tests share: two CPU devices, and one folder of compiled programs a session, which processes started by tests use too."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import signal
import tempfile

# Workers of a parallel run inherit the folder of the process that started them.
if "SIESWEEP_TESTS" not in os.environ:
    os.environ["SIESWEEP_TESTS"] = tempfile.mkdtemp(prefix="siesweep-compiled-")
    atexit.register(shutil.rmtree, os.environ["SIESWEEP_TESTS"], ignore_errors=True)
    # Ended from outside it is removed, too: as if interrupted.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
# Before JAX is imported, which reads it then.
os.environ["JAX_COMPILATION_CACHE_DIR"] = os.environ["SIESWEEP_TESTS"]
# Small programs, too: many tests ask for the same.
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"

import jax
import pytest
from hypothesis import settings
from mpmath import mp

from kernels import compiler
from tests import compiling

# A first example compiles, and a busy machine takes its time.
settings.register_profile("siesweep", deadline=None)
settings.load_profile("siesweep")

jax.config.update("jax_num_cpu_devices", 2)

# A traced program is many small objects that live on, which Python would look through again and again.
gc.set_threshold(100_000, 20, 20)


@pytest.fixture(autouse=True)
def digits():
    """Digits of mpmath, which are global: what one test chooses is not what the next one gets."""
    mp.dps = 30


@pytest.fixture
def as_shipped(monkeypatch):
    """Everything is compiled as it is shipped."""
    monkeypatch.setattr(compiling, "CHEAPEST", {})


@pytest.fixture(autouse=True)
def soak_is_as_shipped(request):
    """What is run at length is compiled as it is shipped."""
    if request.node.get_closest_marker("soak"):
        request.getfixturevalue("as_shipped")


@pytest.fixture
def compiled_cheaply(monkeypatch):
    """Sweeps and `simulate` are compiled by the cheapest way, where what is tested is not how they round."""
    options = compiler.compiler_options
    monkeypatch.setattr(compiler, "compiler_options", lambda: options() | compiling.CHEAPEST)


@pytest.fixture
def steps_not_counted(monkeypatch):
    """Sweeps that do not count their steps, for which the law is compiled once more: they have enough for all that is asked here."""
    from kernels.alike import StepCount
    from kernels.study import Study

    counted = property(lambda study: StepCount(1024) if study.budget.tolerance else None)
    monkeypatch.setattr(Study, "step_count", counted)


@pytest.fixture
def without_audit(monkeypatch):
    """Sweeps that are not audited, which takes half of the compiler's time: of 64 draws it would look at none or one."""
    from kernels.program import TileProgram

    monkeypatch.setattr(TileProgram, "_judged", lambda *_: {})
