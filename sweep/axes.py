"""Axes: parameters that are gridded, each a dimension of the cube.

{ log = [0.4, 3.6], points = 64 }   { linear = [0, 1], points = 11 }   { values = [1, 2, 5] }

Values rise, so that maps and lines can be drawn along an axis and the nearest cell can be found.
"""

from __future__ import annotations

import itertools
from typing import Annotated, ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from sweep.errors import Fault, toml_value
from sweep.tables import Interval, Number, Table, ordered, without_duplicates

_MOST_POINTS = 65536


class Axis(BaseModel):
    """A gridded parameter and its values, float64, in the order of the cube."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    values: tuple[float, ...]


class AxisTable(Table):
    """An axis as it is written. Both ends of `log` and `linear` are points of the grid."""

    example: ClassVar[str] = "{ log = [0.4, 3.6], points = 64 }, { linear = [0, 1], points = 11 } or { values = [1, 2] }"

    log: Interval | None = None
    linear: Interval | None = None
    values: tuple[Number, ...] | None = None
    points: Annotated[int, Field(strict=True, ge=2, le=_MOST_POINTS)] | None = None

    @model_validator(mode="after")
    def _is_one_grid(self) -> AxisTable:
        given = [name for name in ("log", "linear", "values") if getattr(self, name) is not None]
        if len(given) != 1:
            raise Fault(f"{' and '.join(given)} are given" if given else "no grid is given", f"write one of {self.example}")
        if self.values is not None:
            if self.points is not None:
                raise Fault("points goes with log or linear only", "remove points, or write log or linear", "points")
            if not self.values:
                raise Fault("the axis is empty", "give at least one value", "values")
            if len(self.values) > _MOST_POINTS:
                raise Fault(f"{len(self.values)} values", f"give no more than {_MOST_POINTS}")
            _refuse_fall(without_duplicates(self.values))
            return self
        if self.points is None:
            raise Fault("points is missing", "say how many: points = 64")
        low, _ = ordered(self.log or self.linear or (0.0, 0.0))
        if self.log is not None and low <= 0:
            raise Fault(f"a log axis cannot start at {low:g}", "start above 0, or write linear", "log")
        return self

    def axis(self, name: str) -> Axis:
        """The axis with its values."""
        if self.values is not None:
            return Axis(name=name, values=self.values)
        low, high = self.log or self.linear or (0.0, 0.0)
        assert self.points is not None
        fractions = [index / (self.points - 1) for index in range(self.points)]
        if self.log is not None:
            values = [low ** (1 - fraction) * high**fraction for fraction in fractions]
        else:
            values = [low + (high - low) * fraction for fraction in fractions]
        # The ends are the numbers written, not what rounding makes of them.
        return Axis(name=name, values=(low, *values[1:-1], high))


def told_apart(axis: Axis, precision: str) -> Axis:
    """The axis, if its values are different numbers in the precision in which they are computed with. Raises Fault."""
    # What is too large for the precision is infinite in it, and not told apart either.
    with np.errstate(over="ignore"):
        rounded = np.asarray(axis.values).astype(precision)
    equal = np.flatnonzero(np.diff(rounded) <= 0)
    if equal.size:
        first, second = axis.values[equal[0] : equal[0] + 2]
        problem = f"{first!r} and {second!r} are the same number in {precision}"
        finer = ', or set precision = "float64" in [sweep]' if precision == "float32" else ""
        raise Fault(problem, f"move the values further apart{finer}")
    return axis


def _refuse_fall(values: tuple[float, ...]) -> None:
    for first, second in itertools.pairwise(values):
        if second < first:
            rising = toml_value([int(value) if value.is_integer() else value for value in sorted(values)])
            raise Fault(f"the values do not rise: {second:g} stands after {first:g}", f"write values = {rising}")
