"""What a compiled program is made of, read off its text: kernels launched, bytes that they read and write, and loops.

The text is the compiler's (HLO after its last pass): instructions `%name = shape operation(%operand, …), attributes` in computations, of
which the program runs ENTRY, the bodies of loops, and branches; a fusion's computation is one kernel.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from benchmarks.record import Column

COLUMNS = (
    Column("what", "program"),
    Column("at_once", "trajectories at once", "count"),
    Column("kernels", "kernels launched", "count"),
    Column("moved", "read and written", "bytes"),
    Column("bytes", "memory it works in", "bytes"),
    Column("unknown", "loops of unknown length", "count"),
    Column("compile", "compiling", "seconds"),
)
NOTE = (
    "Launched, read and written for as many trajectories as are solved at once. Loops of a known length count as often as they go "
    "round, and those whose length the program finds out, of steps, of rounds and of blocks, as once. A slice that a kernel takes of an "
    "array, or writes into one, counts for its own size."
)

_HEAD = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{$", re.MULTILINE)
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?([\w.\-]+) = (\((?:[^()]|\([^()]*\))*\)|\S+) ([\w\-]+)\(([^)]*)\)(.*)$", re.MULTILINE)
_SHAPE = re.compile(r"\b(pred|bf16|[a-z](\d+))\w*\[([\d,]*)\]")
_NO_KERNEL = frozenset(
    {
        "parameter",
        "constant",
        "tuple",
        "get-tuple-element",
        "bitcast",
        "after-all",
        "while",
        "conditional",
        "call",
        "partition-id",
        "replica-id",
    }
)
_CUT = frozenset({"dynamic-slice", "slice", "gather"})
_UPDATED = {"dynamic-update-slice": 1, "scatter": -1}
"""What is written into an array, and which operand that is."""


@dataclass(frozen=True)
class Made:
    """Kernels launched, bytes they read and write, loops whose length is not known."""

    kernels: int = 0
    moved: int = 0
    unknown: int = 0

    def __add__(self, other: Made) -> Made:
        return Made(self.kernels + other.kernels, self.moved + other.moved, self.unknown + other.unknown)

    def times(self, rounds: int) -> Made:
        """Of a loop that goes round so often; its inner loops are as many as before."""
        return Made(self.kernels * rounds, self.moved * rounds, self.unknown)


def made_of(text: str) -> Made:
    """What a program's text says."""
    return _Program(text).made("ENTRY")


def row(what: str, compile_it: Callable[[], Any], at_once: int) -> dict[str, Any]:
    """A row of COLUMNS: a program that is compiled here and now, and how many trajectories it solves at once."""
    started = time.perf_counter()
    compiled = compile_it()
    taken = time.perf_counter() - started
    made, memory = made_of(compiled.as_text()), compiled.memory_analysis()
    return {
        "what": what,
        "at_once": at_once,
        "kernels": made.kernels,
        "moved": made.moved,
        "bytes": None if memory is None else memory.temp_size_in_bytes,
        "unknown": made.unknown,
        "compile": taken,
    }


@dataclass(frozen=True)
class _Instruction:
    name: str
    shape: str
    operation: str
    given: str
    rest: str

    @cached_property
    def operands(self) -> tuple[str, ...]:
        return tuple(re.findall(r"%([\w.\-]+)", self.given))

    @cached_property
    def size(self) -> int:
        """Bytes of what it gives."""
        widths = {"pred": 1, "bf16": 2}
        return sum(
            widths.get(kind, max(int(bits or 8) // 8, 1)) * math.prod(int(size) for size in sizes.split(",") if size)
            for kind, bits, sizes in _SHAPE.findall(self.shape)
        )

    def called(self, attribute: str) -> str:
        """The computation that an attribute names."""
        found: list[str] = re.findall(rf"\b{attribute}=%?([\w.\-]+)", self.rest)
        return found[0]


_Computation = dict[str, _Instruction]


class _Program:
    """The computations of a program by name; in each, its instructions by name, of which the last is its result."""

    def __init__(self, text: str) -> None:
        heads = list(_HEAD.finditer(text))
        ends = [head.start() for head in heads[1:]] + [len(text)]
        self._computations: dict[str, _Computation] = {}
        for head, end in zip(heads, ends, strict=True):
            found = (_Instruction(*parts) for parts in _INSTRUCTION.findall(text, head.end(), end))
            self._computations["ENTRY" if head[1] else head[2]] = {one.name: one for one in found}

    def made(self, computation: str) -> Made:
        here = self._computations[computation]
        return sum((self._of(one, here) for one in here.values()), Made())

    def _of(self, one: _Instruction, here: _Computation) -> Made:
        if one.operation == "while":
            rounds = re.search(r'known_trip_count":\{"n":"(\d+)"', one.rest)
            body = self.made(one.called("body"))
            return body.times(int(rounds[1])) if rounds else body + Made(unknown=1)
        if one.operation == "call":
            return self.made(one.called("to_apply"))
        if one.operation == "conditional":
            # Which branch is taken is not known: the one that moves most.
            branches = re.findall(r"%([\w.\-]+)", one.rest.partition("branch_computations={")[2].partition("}")[0])
            branches = branches or [one.called("true_computation"), one.called("false_computation")]
            return max((self.made(branch) for branch in branches), key=lambda made: made.moved)
        if one.operation in _NO_KERNEL or one.operation.endswith("-done"):
            return Made()
        # The second is one that is not waited for at once.
        if one.operation in ("fusion", "fusion-start"):
            inner = self._computations[one.called("calls")]
            places = {int(field.given): field for field in inner.values() if field.operation == "parameter"}
            read = sum(_read(places[place], inner) for place in range(len(one.operands)))
            return Made(1, read + sum(_written(result, inner) for result in _results(inner)))
        return Made(1, sum(_read_by(one, here[name]) for name in set(one.operands)) + _written(one, here))


def _read(value: _Instruction, inner: _Computation) -> int:
    """Bytes of a kernel's parameter that it reads: all, unless all that is done with it is to take slices or to write into it."""
    users = [user for user in inner.values() if value.name in user.operands]
    wanted = sum(_read(user, inner) if user.operation == "bitcast" else _read_by(user, value) for user in users)
    return min(wanted, value.size)


def _read_by(user: _Instruction, value: _Instruction) -> int:
    into = user.operands[0] == value.name
    if into and user.operation in _CUT:
        return user.size
    return 0 if into and user.operation in _UPDATED else value.size


def _written(result: _Instruction, inner: _Computation) -> int:
    """Bytes that are written: those of the update, where something is written into an array."""
    return inner[result.operands[_UPDATED[result.operation]]].size if result.operation in _UPDATED else result.size


def _results(inner: _Computation) -> list[_Instruction]:
    last = list(inner.values())[-1]
    found = [inner[name] for name in last.operands] if last.operation == "tuple" else [last]
    return [inner[one.operands[0]] if one.operation == "bitcast" else one for one in found]
