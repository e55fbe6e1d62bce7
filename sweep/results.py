"""Results as tables: ours with standard errors, and beside them what others have published."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from sweep.published import PublishedNumber
from sweep.spec import Spec


@dataclass(frozen=True)
class Row:
    """One statistic of one outcome in one cell. `se` is NaN where it could not be estimated."""

    outcome: str
    statistic: str
    unit: str
    value: float
    se: float
    published: PublishedNumber | None = None
    is_date: bool = False
    """Whether the value is counted from the start of the sweep, and has a day."""

    @property
    def agrees(self) -> bool | None:
        """Whether ours is within the published tolerance, stretched by two of our standard errors; None where nothing is published."""
        if self.published is None:
            return None
        slack = 2 * self.se if math.isfinite(self.se) else 0.0
        difference = abs(self.value - self.published.value)
        return self.value == self.published.value or difference <= self.published.tolerance + slack


def rows(spec: Spec, cube: xr.DataTree) -> list[Row]:
    """What to print of a cube: every statistic of a sweep without axes, and every published number of one with them."""
    published: dict[tuple[str, str], list[PublishedNumber]] = {}
    for number in spec.published:
        published.setdefault((number.label, number.statistic), []).append(number)
    found = []
    if not spec.axes:
        for row in _all_rows(spec, cube):
            numbers = published.get((row.outcome, row.statistic), [])
            found += [replace(row, published=number) for number in numbers] or [row]
        return found
    labels = {label.name: label for label in spec.labels()}
    for number in spec.published:
        value, se = _look_up(cube, number.label, number.statistic, number.at)
        label = labels[number.label]
        found.append(Row(label.name, number.statistic, label.unit, value, se, number, label.is_date))
    return found


def _all_rows(spec: Spec, cube: xr.DataTree) -> Iterator[Row]:
    statistics = spec.statistics
    for label in spec.labels():
        if label.kind == "flag":
            if statistics.probability:
                yield Row(label.name, "probability", "1", *_look_up(cube, label.name, "probability", {}))
            continue
        if statistics.probability:
            yield Row(label.name, "probability_finite", label.unit, *_look_up(cube, label.name, "probability_finite", {}))
        if statistics.mean:
            yield Row(label.name, "mean", label.unit, *_look_up(cube, label.name, "mean", {}), is_date=label.is_date)
        for share in statistics.quantiles:
            found = _look_up(cube, label.name, f"quantile_{share:g}", {})
            yield Row(label.name, f"quantile_{share:g}", label.unit, *found, is_date=label.is_date)


def _look_up(cube: xr.DataTree, outcome: str, statistic: str, at: dict[str, float]) -> tuple[float, float]:
    """A statistic and its standard error in one cell."""
    if statistic == "probability":
        found, value, error = cube["statistics"].to_dataset(), "probability", "probability_se"
        places = {"outcome": found["outcome"].values.tolist().index(outcome)}
    elif statistic.startswith("quantile_"):
        found, value, error = cube[f"statistics/{outcome}"].to_dataset(), "quantile_value", "quantile_se"
        places = _nearest(found, {"quantile": float(statistic.removeprefix("quantile_"))})
    else:
        found, value, error = cube[f"statistics/{outcome}"].to_dataset(), statistic, f"{statistic}_se"
        places = {}
    places |= _nearest(found, at)
    return _element(found[value], places), _element(found[error], places)


def _nearest(found: xr.Dataset, at: dict[str, float]) -> dict[str, int]:
    """Where the coordinates are nearest."""
    return {name: int(np.argmin(np.abs(found[name].values - value))) for name, value in at.items()}


def _element(found: xr.DataArray, places: dict[str, int]) -> float:
    """One element, in whatever order the dimensions are. Picked by NumPy: the first time that xarray does, it imports dask's arrays."""
    return float(found.values[tuple(places[str(name)] for name in found.dims)])
