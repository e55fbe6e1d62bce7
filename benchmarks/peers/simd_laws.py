"""The growth laws of `simd_laws.c`: compiled where there is a C compiler, and called in one thread a core."""

from __future__ import annotations

import ctypes
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.laws import Law
from benchmarks.peers.c_library import library
from benchmarks.peers.quadrature_points import direct_points
from kernels.solvers.budget import Budget

LAWS = (
    "labour, linear ceiling",
    "CES, linear ceiling",
    "CES, linear ceiling, growing hardware",
    "labour, no ceiling, returns above 1",
)
"""The laws that are written in C."""

NEVER = 1e30
"""What stands for a date that is not reached: under -ffast-math there is no infinity."""

_WIDTH = 128
_KINDS = {"float32": ("float", "expf", "logf", 8), "float64": ("double", "exp", "log", 16)}


@cache
def _laws(precision: str) -> ctypes.CDLL:
    real, exponential, logarithm, terms = _KINDS[precision]
    defined = {"REAL": real, "EXP": exponential, "LOG": logarithm, "SERIES": terms, "NEVER": f"{NEVER:g}"}
    return library(Path(__file__).with_suffix(".c"), defined)


class Call:
    """A function of the library with its arguments, whose arrays are `held`, and what it fills."""

    def __init__(self, function: Any, held: tuple[Any, ...], out: NDArray[Any], *arguments: Any) -> None:
        self._function, self._held, self._out, self._arguments = function, held, out, arguments

    def __call__(self) -> NDArray[Any]:
        self._function(*self._arguments)
        return self._out


class SimdLaw:
    """Answers of a law that is written in C for parameters (drawn, lanes), with the steps of a budget of the kernels'."""

    def __init__(self, law: Law, drawn: NDArray[Any], precision: str, budget: Budget, threads: int) -> None:
        kind = np.dtype(precision)
        self._library, self._real = _laws(precision), ctypes.c_float if precision == "float32" else ctypes.c_double
        self.lanes = drawn.shape[1] // (threads * _WIDTH) * threads * _WIDTH
        given = {name: row[: self.lanes].astype(kind) for name, row in law.parameters(drawn).items()}
        self._pool, share = ThreadPoolExecutor(threads), self.lanes // threads
        prepare = self._dates if law.levels else self._levels
        self._calls = [
            prepare(law, budget, {name: row[index * share : (index + 1) * share].copy() for name, row in given.items()}, share, kind)
            for index in range(threads)
        ]

    def run(self) -> NDArray[Any]:
        """(questions, lanes), with `NEVER` for a date that is not reached."""
        return np.concatenate(list(self._pool.map(Call.__call__, self._calls)), axis=1)

    def answers(self) -> NDArray[Any]:
        """The same, with infinity for a date that is not reached."""
        found = self.run()
        return np.where(found < NEVER, found, np.inf)

    def _dates(self, law: Law, budget: Budget, given: dict[str, NDArray[Any]], lanes: int, kind: np.dtype[Any]) -> Call:
        out = np.empty((len(law.levels), lanes), kind)
        is_ces, is_endless = law.options.get("research_input") == "ces", law.options["ceiling"] == "constant"
        if is_endless:
            given = {**given, "distance_to_limits": np.ones(lanes, kind)}
        labour = self._library.dates_without_ceiling if is_endless else self._library.dates_of_labour
        held = direct_points(law.levels, budget, kind)
        names = ("returns", "initial_doubling_time", "parallel_exponent", "distance_to_limits", "substitution_parameter")
        return Call(
            self._library.dates_of_ces if is_ces else labour,
            (given, *held),
            out,
            ctypes.c_long(lanes),
            *(pointer(given[name]) for name in names),
            self._real(float(given["labour_share"][0]) if is_ces else 1.0),
            self._real(float(given["horizon"][0])),
            len(law.levels),
            *(pointer(row) for row in held),
            pointer(out),
        )

    def _levels(self, law: Law, budget: Budget, given: dict[str, NDArray[Any]], lanes: int, kind: np.dtype[Any]) -> Call:
        out, asked = np.empty((len(law.times), lanes), kind), np.asarray(law.times, kind)
        names = (
            "returns",
            "initial_doubling_time",
            "parallel_exponent",
            "distance_to_limits",
            "substitution_parameter",
            "hardware_doublings_per_year",
        )
        return Call(
            self._library.levels,
            (given, asked),
            out,
            ctypes.c_long(lanes),
            *(pointer(given[name]) for name in names),
            self._real(float(given["labour_share"][0])),
            len(law.times),
            pointer(asked),
            self._real(max(budget.tolerance / 10, 2e-7 if kind == np.float32 else 2e-14)),
            4 * budget.steps,
            pointer(out),
        )


def pointer(array: NDArray[Any]) -> ctypes.c_void_p:
    """Where an array begins, for C; whoever calls holds the array."""
    return ctypes.c_void_p(array.ctypes.data)
