"""What all tests share: two CPU devices, and one folder of compiled programs a session, which processes started by tests use too."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

_COMPILED = tempfile.mkdtemp(prefix="siesweep-compiled-")
atexit.register(shutil.rmtree, _COMPILED, ignore_errors=True)
# Before JAX is imported, which reads it then.
os.environ["JAX_COMPILATION_CACHE_DIR"] = _COMPILED

import jax  # noqa: E402

jax.config.update("jax_num_cpu_devices", 2)
