"""What all tests share: two CPU devices, and one folder of compiled programs a session, which processes started by tests use too."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

# Workers of a parallel run inherit the folder of the process that started them.
if "SIESWEEP_TESTS" not in os.environ:
    os.environ["SIESWEEP_TESTS"] = tempfile.mkdtemp(prefix="siesweep-compiled-")
    atexit.register(shutil.rmtree, os.environ["SIESWEEP_TESTS"], ignore_errors=True)
# Before JAX is imported, which reads it then.
os.environ["JAX_COMPILATION_CACHE_DIR"] = os.environ["SIESWEEP_TESTS"]

import jax
import pytest
from hypothesis import settings
from mpmath import mp

# A first example compiles, and a busy machine takes its time.
settings.register_profile("siesweep", deadline=None)
settings.load_profile("siesweep")

jax.config.update("jax_num_cpu_devices", 2)


@pytest.fixture(autouse=True)
def digits():
    """Digits of mpmath, which are global: what one test chooses is not what the next one gets."""
    mp.dps = 30
