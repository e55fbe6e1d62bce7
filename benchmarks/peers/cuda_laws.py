"""The recursion and the growth laws of `cuda_laws.cu`: compiled where there is nvcc, and run on the first CUDA device.

Parameters lie on the device before a call and answers stay there after it; a call launches one kernel and waits for it.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
import weakref
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from benchmarks.laws import Law
from benchmarks.peers.numpy_davidson_houlden import HORIZON
from benchmarks.peers.quadrature_points import direct_points
from kernels.solvers.budget import Budget

LAWS = (
    "labour, linear ceiling",
    "CES, linear ceiling",
    "CES, linear ceiling, growing hardware",
    "three states: reaction of policy",
)
"""The laws that are written in CUDA C."""

SOURCE = Path(__file__).with_suffix(".cu")
_KINDS = {
    "float32": ("float", "exp2f", "log2f", "expm1f", "sqrtf"),
    "float64": ("double", "exp2", "log2", "expm1", "sqrt"),
}
_STEPS = 4096
"""Each thread takes its own: as many as the hardest needs."""
_WINDOWS = 4
_GROWTH = ("returns", "initial_doubling_time", "parallel_exponent", "distance_to_limits")


def definitions(precision: str) -> list[str]:
    """What the source is compiled with for a precision."""
    return [f"-D{name}={value}" for name, value in zip(("REAL", "EXP2", "LOG2", "EXPM1", "SQRT"), _KINDS[precision], strict=True)]


def nvcc() -> str | None:
    """NVIDIA's compiler, or None."""
    usual = Path("/usr/local/cuda/bin/nvcc")
    return shutil.which("nvcc") or (str(usual) if usual.is_file() else None)


def missing() -> str | None:
    """What this peer lacks here, or None."""
    if nvcc() is None:
        return "no nvcc"
    count = ctypes.c_int()
    found = library("float32", False).count_devices(ctypes.byref(count))
    return "no CUDA device" if found or not count.value else None


@cache
def library(precision: str, fast: bool) -> ctypes.CDLL:
    """The source for the device; `fast` lets the compiler use the device's own approximations of functions and divisions."""
    # A library that is loaded needs its file no more.
    with tempfile.TemporaryDirectory(prefix="cuda-laws-") as folder:
        return loaded(built(precision, fast, Path(folder)))


def built(precision: str, fast: bool, folder: Path) -> Path:
    """The library's file, made in a folder for the device that is here, or for a Hopper where nvcc sees none."""
    compiler, made = nvcc(), folder / "laws.so"
    assert compiler is not None
    options = ["-O3", "-shared", "-Xcompiler", "-fPIC", *(["--use_fast_math"] if fast else []), *definitions(precision)]
    failed = ""
    for target in ("native", "sm_90"):
        command = [compiler, f"-arch={target}", *options, str(SOURCE), "-o", str(made)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        # Where it sees none it warns, and makes something for the oldest.
        if done.returncode == 0 and "valid GPU" not in done.stderr:
            return made
        failed = done.stderr
    raise RuntimeError(f"nvcc cannot compile {SOURCE.name}: {failed}")


def loaded(file: Path) -> ctypes.CDLL:
    """A library made of the source."""
    found = ctypes.CDLL(str(file))
    found.name_of_error.restype = ctypes.c_char_p
    return found


class _Device:
    """Arrays on the device of a library, and calls that fail loudly."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self.library = library

    def call(self, name: str, *arguments: Any) -> None:
        error = getattr(self.library, name)(*arguments)
        if error:
            raise RuntimeError(f"{name}: {self.library.name_of_error(error).decode()}")

    def empty(self, shape: tuple[int, ...], kind: DTypeLike) -> _Array:
        return _Array(self, shape, np.dtype(kind))

    def array(self, host: NDArray[Any]) -> _Array:
        held = np.ascontiguousarray(host)
        found = self.empty(held.shape, held.dtype)
        self.call("copy_in", found.place, _pointer(held), ctypes.c_size_t(held.nbytes))
        return found


class _Array:
    """An array on the device, given back with the object."""

    def __init__(self, device: _Device, shape: tuple[int, ...], kind: np.dtype[Any]) -> None:
        self._device, self._shape, self._kind, self.place = device, shape, kind, ctypes.c_void_p()
        device.call("allocate", ctypes.byref(self.place), ctypes.c_size_t(int(np.prod(shape)) * kind.itemsize))
        weakref.finalize(self, device.library.release, self.place)

    def host(self) -> NDArray[Any]:
        """A copy of it here."""
        found = np.empty(self._shape, self._kind)
        self._device.call("copy_out", _pointer(found), self.place, ctypes.c_size_t(found.nbytes))
        return found


class _Peer:
    """Answers of one kernel. `run` launches it and waits; `answers` copies them here, (questions, lanes)."""

    def __init__(self, library: ctypes.CDLL, precision: str, drawn: NDArray[Any]) -> None:
        self._device, self.lanes = _Device(library), drawn.shape[1]
        self._kind = np.dtype(precision)
        self._real: Callable[[float], Any] = ctypes.c_float if precision == "float32" else ctypes.c_double
        self._drawn = self._device.array(drawn.astype(self._kind))

    def _prepare(self, kernel: str, out: _Array, *arguments: Any) -> None:
        self._kernel, self._out = kernel, out
        self._arguments = (ctypes.c_long(self.lanes), self._drawn.place, *arguments, out.place)

    def run(self) -> None:
        self._device.call(self._kernel, *self._arguments)

    def answers(self) -> NDArray[Any]:
        self.run()
        return self._out.host()


class CudaDates(_Peer):
    """Dates of two doublings in the recursion for parameters (4, lanes) in the order of the study; infinite if not within the horizon."""

    def __init__(self, library: ctypes.CDLL, drawn: NDArray[Any], precision: str, early: int, late: int) -> None:
        super().__init__(library, precision, drawn)
        out = self._device.empty((2, self.lanes), self._kind)
        self._prepare("recursion_dates", out, self._real(HORIZON), early, late)


class CudaWindows(_Peer):
    """Whether the published windows are passed, (4, lanes) of 0 and 1."""

    def __init__(self, library: ctypes.CDLL, drawn: NDArray[Any], precision: str) -> None:
        super().__init__(library, precision, drawn)
        self._prepare("recursion_windows", self._device.empty((_WINDOWS, self.lanes), np.uint8), self._real(HORIZON))


class CudaLaw(_Peer):
    """A growth law for parameters (drawn, lanes): at the points of the kernels' `budget`, or by steps with an error within `tolerance`."""

    def __init__(self, library: ctypes.CDLL, law: Law, drawn: NDArray[Any], precision: str, budget: Budget, tolerance: float) -> None:
        given = law.parameters(drawn)
        ces, grows = law.options.get("research_input") == "ces", law.options.get("hardware") == "exponential"
        reacts = law.options.get("governance") == "reaction"
        beside = ("reaction_gain", "reaction_delay") if reacts else ("substitution_parameter",) if ces else ()
        names = (*_GROWTH, *beside, *(("hardware_doublings_per_year",) if grows else ()))
        super().__init__(library, precision, np.stack([given[name] for name in names]))
        asked = law.levels or law.times
        if law.levels:
            self._questions: tuple[NDArray[Any], ...] = direct_points(law.levels, budget, self._kind)
        else:
            self._questions = np.zeros(len(asked) + 1, np.int32), np.empty(0, self._kind), np.empty(0, self._kind)
        self._asked = np.asarray(asked, self._kind)

        def constant(name: str) -> Any:
            return self._real(float(given[name][0]))

        share = constant("labour_share") if ces else self._real(1.0)
        steps = self._real(max(tolerance, 2e-7 if precision == "float32" else 2e-14)), _STEPS
        out = self._device.empty((len(asked), self.lanes), self._kind)
        if law.levels:
            self._prepare("ces" if ces else "labour", out, share, constant("horizon"))
        elif reacts:
            self._prepare("reaction", out, constant("pace_threshold"), constant("recent_doubling_time"), *steps)
        else:
            self._prepare("hardware", out, share, *steps)

    def run(self) -> None:
        # What is asked lies in the constant memory that all laws of a library share, so it is put there once a law takes its turn.
        if _LAST.get(self._device.library) is not self:
            self._device.call("ask", len(self._asked), _pointer(self._asked), *(_pointer(row) for row in self._questions))
            _LAST[self._device.library] = self
        super().run()


_LAST: weakref.WeakValueDictionary[ctypes.CDLL, CudaLaw] = weakref.WeakValueDictionary()
"""The law whose questions lie in the constant memory of a library."""


def _pointer(array: NDArray[Any]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)
