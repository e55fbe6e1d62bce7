"""siesweep: sweeps of software intelligence explosion models. The public names; each is imported when it is first asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweep.coordinator import run as run
    from sweep.cube import open_cube as open_cube
    from sweep.errors import SpecError as SpecError
    from sweep.simulation import simulate as simulate
    from sweep.spec import Spec as Spec
    from sweep.spec import load as load

_HOMES = {
    "Spec": "sweep.spec",
    "SpecError": "sweep.errors",
    "load": "sweep.spec",
    "open_cube": "sweep.cube",
    "run": "sweep.coordinator",
    "simulate": "sweep.simulation",
}

__all__ = ["Spec", "SpecError", "load", "open_cube", "run", "simulate"]


def __getattr__(name: str) -> Any:
    # Importing JAX takes most of a second, which `siesweep --help` should not.
    if name not in _HOMES:
        raise AttributeError(f"module 'sweep' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
