"""Results as tables: ours with standard errors, and beside them what others have published.

Of a few cells every statistic of each has a row; of many, the lowest and the highest over the cells.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import xarray as xr

from kernels.outcomes import Label
from sweep.published import PublishedNumber
from sweep.spec import Spec

_FEW_CELLS = 12


@dataclass(frozen=True)
class Row:
    """One statistic of one outcome in the cell `at` these values of the axes. `se` is NaN where it could not be estimated."""

    outcome: str
    statistic: str
    unit: str
    value: float
    se: float
    published: PublishedNumber | None = None
    is_date: bool = False
    """Whether the value is counted from the start of the sweep, and has a day."""
    at: dict[str, float] = field(default_factory=dict)

    @property
    def agrees(self) -> bool | None:
        """Whether ours is within the published tolerance, stretched by two of our standard errors; None where nothing is published."""
        if self.published is None:
            return None
        slack = 2 * self.se if math.isfinite(self.se) else 0.0
        difference = abs(self.value - self.published.value)
        return self.value == self.published.value or difference <= self.published.tolerance + slack


def few_cells(spec: Spec) -> bool:
    """Whether a sweep has so few cells that each is reported by itself."""
    return math.prod(len(axis.values) for axis in spec.axes.values()) <= _FEW_CELLS


def rows(spec: Spec, cube: xr.DataTree) -> list[Row]:
    """What to print of the cells of a cube: every statistic where they are few, and every published number where they are many."""
    published: dict[tuple[str, str], list[PublishedNumber]] = {}
    for number in spec.published:
        published.setdefault((number.label, number.statistic), []).append(number)
    found = []
    if few_cells(spec):
        for row in _all_rows(spec, cube):
            numbers = [number for number in published.get((row.outcome, row.statistic), []) if number.at == row.at]
            found += [replace(row, published=number) for number in numbers] or [row]
        return found
    labels = {label.name: label for label in spec.labels()}
    return [
        replace(_Estimates.of(cube, labels[number.label], number.statistic).row(number.at), published=number) for number in spec.published
    ]


def ranges(spec: Spec, cube: xr.DataTree) -> list[tuple[Row, Row]]:
    """The lowest and the highest of every statistic over the cells, each in the first cell that has it; +inf is the highest there is."""
    found = []
    for label, statistic in _statistics(spec):
        estimates = _Estimates.of(cube, label, statistic)
        found.append((estimates.row(estimates.cell_of(np.inf, np.argmin)), estimates.row(estimates.cell_of(-np.inf, np.argmax))))
    return found


def _all_rows(spec: Spec, cube: xr.DataTree) -> Iterator[Row]:
    cells = [dict(zip(spec.axes, values, strict=True)) for values in itertools.product(*(axis.values for axis in spec.axes.values()))]
    for label, statistics in itertools.groupby(_statistics(spec), lambda found: found[0]):
        estimates = [_Estimates.of(cube, label, statistic) for _, statistic in statistics]
        yield from (each.row(at) for at in cells for each in estimates)


def _statistics(spec: Spec) -> Iterator[tuple[Label, str]]:
    """Every statistic of every outcome."""
    statistics = spec.statistics
    for label in spec.labels():
        if label.kind == "flag":
            names = ["probability"] if statistics.probability else []
        else:
            names = [*(["probability_finite"] if statistics.probability else []), *(["mean"] if statistics.mean else [])]
            names += [f"quantile_{share:g}" for share in statistics.quantiles]
        yield from ((label, name) for name in names)


@dataclass(frozen=True)
class _Estimates:
    """A statistic of an outcome in all cells, with its standard errors, (axes…) each, in the order of the cube."""

    label: Label
    statistic: str
    axes: dict[str, np.ndarray]
    values: np.ndarray
    errors: np.ndarray

    @staticmethod
    def of(cube: xr.DataTree, label: Label, statistic: str) -> _Estimates:
        if statistic == "probability":
            found, value, error = cube["statistics"].to_dataset(), "probability", "probability_se"
            place = {"outcome": found["outcome"].values.tolist().index(label.name)}
        elif statistic.startswith("quantile_"):
            found, value, error = cube[f"statistics/{label.name}"].to_dataset(), "quantile_value", "quantile_se"
            place = {"quantile": _nearest(found["quantile"].values, float(statistic.removeprefix("quantile_")))}
        else:
            found, value, error = cube[f"statistics/{label.name}"].to_dataset(), statistic, f"{statistic}_se"
            place = {}
        axes = {str(name): found[name].values for name in found[value].dims if name not in place}
        return _Estimates(label, statistic, axes, _picked(found[value], place), _picked(found[error], place))

    def row(self, at: Mapping[str, float]) -> Row:
        """The row of the cell nearest to these values of the axes."""
        place = tuple(_nearest(values, at[name]) for name, values in self.axes.items())
        is_share = self.statistic in ("probability", "probability_finite")
        unit, is_date = ("1", False) if is_share else (self.label.unit, self.label.is_date)
        value, error = float(self.values[place]), float(self.errors[place])
        return Row(self.label.name, self.statistic, unit, value, error, is_date=is_date, at=dict(at))

    def cell_of(self, for_missing: float, pick: Callable[[np.ndarray], np.intp]) -> dict[str, float]:
        """The cell that `pick` chooses among the values, where those that are missing count as `for_missing`."""
        chosen = pick(np.where(np.isnan(self.values), for_missing, self.values))
        place = np.unravel_index(int(chosen), self.values.shape)
        return {name: float(values[index]) for (name, values), index in zip(self.axes.items(), place, strict=True)}


def _nearest(coordinates: np.ndarray, value: float) -> int:
    return int(np.argmin(np.abs(coordinates - value)))


def _picked(found: xr.DataArray, place: Mapping[str, int]) -> np.ndarray:
    """The part of an array at `place`. Picked by NumPy: the first time that xarray does, it imports dask's arrays."""
    return np.asarray(found.values[tuple(place.get(str(name), slice(None)) for name in found.dims)])
