"""Cumulative distributions: by when which share of the draws has arrived, or which share lies below a number."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from kernels.outcomes import Label
from sweep.plots.scales import legend_above, show_months, show_plain_logs
from sweep.spec import Spec

_MOVES = 1e-3
"""The share of draws below which nothing is seen of how a curve moves."""


def has_distributions(spec: Spec) -> bool:
    """Whether there is anything to draw."""
    return bool(_labels(spec)) and bool(spec.statistics.histogram or spec.statistics.quantiles)


def draw_distributions(axes: Axes, spec: Spec, cube: xr.DataTree) -> None:
    """Of the dates; or where there are none of the numbers that share a unit with the first."""
    labels = _labels(spec)
    is_date, horizon = labels[0].is_date, spec.bounds()["horizon"][1]
    ends = []
    for label in labels:
        values, shares = _curve(spec, cube, label)
        axes.plot(values, shares, marker="" if spec.statistics.histogram else "o", markersize=4, label=label.long_name)
        ends += _where_it_moves(values, shares)
    if is_date:
        # Nothing arrives beyond the horizon.
        ends = [min(end, horizon) for end in ends] or [horizon / 100, horizon]
    if ends and min(ends) < max(ends):
        axes.set_xlim(min(ends), max(ends))
    if all(end > 0 for end in ends):
        axes.set_xscale("log")
        show_plain_logs(axes.xaxis)
    if is_date:
        show_months(axes, spec.start_date)
    else:
        axes.set_xlabel(labels[0].unit)
    axes.set_ylabel("share of draws that have reached it" if is_date else "share of draws at or below it")
    axes.set_ylim(0, 1)
    legend_above(axes)


def _labels(spec: Spec) -> list[Label]:
    numbers = [label for label in spec.labels() if label.kind == "numeric" and not label.is_gradient]
    return [label for label in numbers if label.is_date] or [label for label in numbers if label.unit == numbers[0].unit]


def _curve(spec: Spec, cube: xr.DataTree, label: Label) -> tuple[np.ndarray, np.ndarray]:
    """Values and the share of draws up to each: from the histogram, or else at the quantiles that are kept."""
    found = cube[f"statistics/{label.name}"].to_dataset()
    if spec.statistics.histogram:
        counts, values = found["histogram"].values, found["bin_upper"].values
        shares = np.cumsum(counts) / max(counts.sum(), 1)
    else:
        values, shares = found["quantile_value"].values, found["quantile"].values
    drawn = np.isfinite(values) & (values > 0 if label.is_date else True)
    return values[drawn], shares[drawn]


def _where_it_moves(values: np.ndarray, shares: np.ndarray) -> list[float]:
    """The ends of the part in which a curve rises from its lowest to its highest; none of one that does not rise."""
    if not values.size or shares[-1] <= _MOVES:
        return []
    first, last = int(np.argmax(shares > _MOVES)), int(np.argmax(shares >= shares[-1] - _MOVES))
    return [float(values[max(first - 1, 0)]), float(values[min(last + 1, len(values) - 1)])]
