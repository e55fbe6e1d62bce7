"""What a model is: named parameters with units and supports, named options, and a pure function from parameters to a solution.

A model declares; it never loops over draws, reads files or knows how it is sampled. `solve` is traced once by JAX with one array lane a
trajectory, so choosing among forms with a Python `if` on an option costs nothing at run time.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import jax

from kernels.labels import Label
from kernels.solvers.budget import Budget as Budget
from kernels.solvers.solution import Solution

Options = Mapping[str, str | bool]
Bounds = Mapping[str, tuple[float, float]]
Uses = Mapping[str, Mapping[str, tuple[str, ...]]]
"""Parameters that not all options use: the values of each option with which one has a meaning, {parameter: {option: values}}."""
PATH = ("path_first", "path_second")
"""The names under which a model that asks for it is given the two words that its draw's random path is addressed by, uint32."""


class ModelError(ValueError):
    """Parameters or options that the model cannot take. `key` names the offending one, `fix` says what is allowed."""

    def __init__(self, key: str, problem: str, fix: str) -> None:
        super().__init__(f"{key}: {problem}; {fix}")
        self.key, self.problem, self.fix = key, problem, fix


@dataclass(frozen=True)
class Parameter:
    """One number that a trajectory depends on.

    `default` is a number, or the name of the parameter whose value it takes. The support is [low, high], without an end that is open.
    """

    name: str
    symbol: str
    unit: str
    default: float | str
    low: float
    high: float
    meaning: str
    low_open: bool = False
    high_open: bool = False

    def contains(self, value: float) -> bool:
        above = value > self.low if self.low_open else value >= self.low
        below = value < self.high if self.high_open else value <= self.high
        return above and below

    @property
    def above_zero(self) -> bool:
        """Whether it may come as near to 0 as one likes, from above, and not be 0."""
        return self.low_open and self.low == 0

    @property
    def support(self) -> str:
        """The support as an interval, e.g. "(0, inf)"."""
        left = "(" if self.low_open or self.low == -math.inf else "["
        right = ")" if self.high_open or self.high == math.inf else "]"
        return f"{left}{self.low:g}, {self.high:g}{right}"


@dataclass(frozen=True)
class Option:
    """A choice among forms, made at trace time. The first value is the default."""

    name: str
    values: tuple[str | bool, ...]
    meaning: str


def varying(given: Bounds) -> Bounds:
    """Those of the parameters that are not one number. A number without effect does no harm; what varies would do so in vain."""
    return {name: (low, high) for name, (low, high) in given.items() if low < high}


def refuse_unused(uses: Uses, options: Options, given: Bounds) -> None:
    """Raise ModelError for a parameter that is given though these options do not use it."""
    for name in given:
        for option, values in uses.get(name, {}).items():
            if options[option] not in values:
                allowed = " or ".join(f'"{value}"' for value in values)
                problem = f'{option} = "{options[option]}" does not use it'
                raise ModelError(name, problem, f"remove it, or use {option} = {allowed}")


class Model(ABC):
    """A published growth model. Stateless: all that varies comes in as parameters and options."""

    name: ClassVar[str]
    title: ClassVar[str]
    source: ClassVar[str]
    parameters: ClassVar[tuple[Parameter, ...]]
    options: ClassVar[tuple[Option, ...]] = ()
    published_windows: ClassVar[bool] = False
    """Whether the model's authors defined compression windows by a rule of their own (`rule = "published"`)."""
    has_years_of_progress: ClassVar[bool] = False
    """Whether `doublings_per_year_of_progress` is defined."""

    def resolve_options(self, given: Options) -> dict[str, str | bool]:
        """All options with their values. Raises ModelError for an unknown option or value."""
        known = {option.name: option for option in self.options}
        for name, value in given.items():
            if name not in known:
                raise ModelError(name, f"{self.name} has no such option", f"its options are {', '.join(known) or 'none'}")
            allowed = known[name].values
            if not any(value == choice and type(value) is type(choice) for choice in allowed):
                raise ModelError(name, f"{value!r} is not one of its values", f"use one of {', '.join(map(repr, allowed))}")
        return {name: given.get(name, option.values[0]) for name, option in known.items()}

    def defaults(self, options: Options) -> dict[str, float | str]:
        """The value of each parameter that is not given; a string names the parameter whose value is taken."""
        return {parameter.name: parameter.default for parameter in self.parameters}

    def simplified(self, options: Options, bounds: Bounds) -> Options:
        """The options without what does nothing within these bounds, such as a noise of no size: the same law, by a smaller program."""
        return options

    def needs_path(self, options: Options) -> bool:
        """Whether `solve` is to be given random words of its own for each trajectory, under the names in PATH."""
        return False

    def check_given(self, options: Options, given: Bounds) -> None:  # noqa: B027
        """Raise ModelError where a parameter that is given has no meaning under these options, or contradicts another.

        `given` are the lowest and highest of the parameters that are not left at their defaults.
        """

    def check(self, options: Options, bounds: Bounds) -> None:
        """Raise ModelError where options contradict each other, or `bounds` (lowest and highest of each parameter) leave the domain."""
        for parameter in self.parameters:
            for value in bounds[parameter.name]:
                if not parameter.contains(value):
                    raise ModelError(
                        parameter.name,
                        f"{value:g} lies outside its support",
                        f"keep it within {parameter.support} {parameter.unit.replace('–', '')}".rstrip(),
                    )

    @abstractmethod
    def budget(self, options: Options, bounds: Bounds, tolerance: float) -> Budget:
        """The loop lengths that hold every trajectory within `bounds` and the numerical error within `tolerance` (relative)."""

    @abstractmethod
    def solve(self, parameters: Mapping[str, jax.Array], options: Options, budget: Budget) -> Solution:
        """The trajectories, one a lane: `parameters` maps every parameter to an array of shape (lanes,), all of one float type."""

    def doublings_per_year_of_progress(self, parameters: Mapping[str, jax.Array] | Mapping[str, float]) -> jax.Array | float | None:
        """Doublings of software in a year of progress at the recent pace, of the parameters' shape; None where there is no such unit."""
        return None

    def ceiling(self, parameters: Mapping[str, jax.Array], options: Options) -> jax.Array | None:
        """The most doublings that software can make, shape (lanes,), or None where nothing limits them."""
        return None

    def recent_doubling_time(self, parameters: Mapping[str, jax.Array]) -> jax.Array:
        """Doubling time of software at the recent pace, the unit of paces, months, shape (lanes,)."""
        return parameters["recent_doubling_time"]

    def diagnostic_labels(self, options: Options) -> tuple[Label, ...]:
        """What `diagnostics` are called under these options, with their units."""
        return ()

    def diagnostics(self, parameters: Mapping[str, jax.Array], options: Options, solution: Solution) -> dict[str, jax.Array]:
        """Further per-trajectory numbers that the model's authors report, each of shape (lanes,)."""
        return {}
