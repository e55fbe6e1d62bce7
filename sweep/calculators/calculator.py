"""What a calculator is: a function of named inputs, each with its unit and bounds, that returns a dataclass of quantities with theirs.

    @calculator("how many copies …", "authors, year, place")
    def copies(*, run_length: Annotated[float, Input("days", "length of the run", above=0)] = 100.0) -> Copies: ...

The defaults are the source's own inputs, where it prints any. `calculator` checks every input before the function sees it, and lists the
function under its name. Bounds that tie two inputs together are the function's own to check.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ParamSpec, TypeVar, get_type_hints

from sweep.errors import near

P = ParamSpec("P")
R = TypeVar("R")

Numbers = tuple[float, ...]


class InputError(ValueError):
    """An input that a calculator cannot take. `key` is its name."""

    def __init__(self, key: str, value: object, problem: str, fix: str) -> None:
        # All arguments go to the base so that the error survives pickling between processes.
        super().__init__(key, value, problem, fix)
        self.key, self.value, self.problem, self.fix = key, value, problem, fix

    def __str__(self) -> str:
        return f"{self.key} = {self.value!r}: {self.problem}. Fix: {self.fix}."


@dataclass(frozen=True)
class Input:
    """What an input is: unit, meaning and bounds (`above` and `below` are open); infinite only where `unbounded` says so."""

    unit: str
    meaning: str
    above: float = -math.inf
    least: float = -math.inf
    below: float = math.inf
    most: float = math.inf
    unbounded: bool = False

    def checked(self, key: str, value: object) -> float:
        """The value as a float. Raises InputError."""
        if isinstance(value, (bool, str, bytes)):
            raise InputError(key, value, "a number is wanted", "give a number, e.g. 0.3")
        try:
            number = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            raise InputError(key, value, "a number is wanted", "give one number") from None
        if math.isnan(number) or (math.isinf(number) and not self.unbounded):
            raise InputError(key, value, "not a finite number", "give a finite number")
        for out, fix in (
            (self.above != -math.inf and number <= self.above, f"use a value above {self.above:g}"),
            (number < self.least, f"use {self.least:g} or more"),
            (self.below != math.inf and number >= self.below, f"use a value below {self.below:g}"),
            (number > self.most, f"use {self.most:g} or less"),
        ):
            if out:
                raise InputError(key, value, "out of range", fix)
        return number


@dataclass(frozen=True)
class Inputs(Input):
    """The same for a list of numbers, at least one."""

    def checked_all(self, key: str, values: object) -> Numbers:
        """The values as floats. Raises InputError."""
        if isinstance(values, (str, bytes, Mapping)):
            raise InputError(key, values, "a list of numbers is wanted", "give e.g. [0.6, 0.2]")
        try:
            listed: tuple[object, ...] = tuple(values)  # type: ignore[arg-type]
        except TypeError:
            raise InputError(key, values, "a list of numbers is wanted", f"give [{values}]") from None
        if not listed:
            raise InputError(key, list(listed), "the list is empty", "give at least one number")
        return tuple(self.checked(key, value) for value in listed)


@dataclass(frozen=True)
class Calculator:
    """A calculator as it is listed. `inputs` are its descriptions by name, `defaults` what they are where nothing is given."""

    name: str
    title: str
    source: str
    function: Callable[..., Any]
    inputs: Mapping[str, Input]
    defaults: Mapping[str, float | Numbers]


def quantity(unit: str, meaning: str, printed: str = "") -> Any:
    """A field of a result: its unit, its meaning and, for the source's own inputs, the value as the source prints it."""
    return field(metadata={"unit": unit, "meaning": meaning, "printed": printed})


def calculator(title: str, source: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Makes a function a calculator: its inputs are checked, and `get` finds it under its name."""

    def made(function: Callable[P, R]) -> Callable[P, R]:
        hints = get_type_hints(function, include_extras=True)
        signature = inspect.signature(function)
        inputs: dict[str, Input] = {name: hints[name].__metadata__[0] for name in signature.parameters}

        @functools.wraps(function)
        def checking(*args: P.args, **kwargs: P.kwargs) -> R:
            given = signature.bind(*args, **kwargs)
            for name, value in given.arguments.items():
                described = inputs[name]
                given.arguments[name] = (
                    described.checked_all(name, value) if isinstance(described, Inputs) else described.checked(name, value)
                )
            try:
                return function(*given.args, **given.kwargs)
            except ArithmeticError:
                raise InputError("inputs", dict(given.arguments), "no number holds the result", "use less extreme ones") from None

        defaults = {name: parameter.default for name, parameter in signature.parameters.items()}
        name = function.__name__
        _KNOWN[name] = Calculator(name, title, source, checking, inputs, defaults)
        return checking

    return made


def names() -> tuple[str, ...]:
    """The names of all calculators."""
    return tuple(sorted(_KNOWN))


def get(name: str) -> Calculator:
    """The calculator of that name. Raises InputError."""
    if name not in _KNOWN:
        raise InputError("NAME", name, "no such calculator", near(name, names(), "calculators"))
    return _KNOWN[name]


def calculate(name: str, given: Mapping[str, object]) -> tuple[Calculator, Any]:
    """The calculator of that name and its result for the inputs `given`, the rest at their defaults. Raises InputError."""
    known = get(name)
    for key, value in given.items():
        if key not in known.inputs:
            raise InputError(key, value, "no such input", near(key, known.inputs, "inputs"))
    return known, known.function(**given)


def quantities(result: Any) -> dict[str, tuple[Any, Mapping[str, str]]]:
    """The value of each quantity of a result, and its unit, meaning and printed value."""
    return {each.name: (getattr(result, each.name), each.metadata) for each in fields(result)}


_KNOWN: dict[str, Calculator] = {}
