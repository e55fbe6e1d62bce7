"""Scales and colours that panels share: the values of a parameter along an axis, months with their dates, a legend that covers nothing."""

from __future__ import annotations

import datetime
from typing import Literal

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from sweep.calendar import beside, date_of, day_of
from sweep.spec import Spec

OURS, THEIRS = "#1b6ca8", "#d1495b"
SIZE = (11, 4.5)
"""Inches of a figure."""
SMALL = 9
"""Points of what is written into panels."""
_LEAST_APART, _LETTERS_OF_A_TICK = 1 / 9, 5
"""How much of an axis lies between two of its values at least where each has a tick, and how long their numbers may be for that."""
_MOST_DATES = 8
"""Dates that fit below a panel."""
_LETTERS_AN_INCH, _LETTERS_OF_A_SAMPLE = 16, 5
"""How many letters of a legend an inch holds, and how many the room of a line's sample."""


def set_parameter(axes: Axes, which: Literal["x", "y"], spec: Spec, cube: xr.DataTree, name: str) -> None:
    """A gridded parameter along an axis of a panel: its name and unit, and a log scale where its values are spaced so."""
    unit = cube[name].attrs.get("units", "")
    title = name.replace("_", " ") + (f" ({unit})" if unit not in ("", "–", "1") else "")
    axes.set(**{f"{which}label": title})
    axis, values = axes.xaxis if which == "x" else axes.yaxis, spec.axes[name].values
    if _is_log(values):
        axes.set(**{f"{which}scale": "log"})
        show_plain_logs(axis)
    if _fit(values):
        # Elsewhere the sweep has no number.
        axis.set_major_locator(FixedLocator(list(values)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))
        axis.set_minor_locator(NullLocator())


def show_plain_logs(axis: Axis) -> None:
    """Ticks at 1, 2 and 5 of every power of ten, as plain numbers."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def show_months(axes: Axes, start: datetime.date | None) -> None:
    """Months along the horizontal axis; below them their dates, as many as there is room for."""
    axes.set_xlabel("months since " + (start.isoformat() if start is not None else "the start"))
    if start is None:
        return
    low, high = axes.get_xlim()
    # Within the first month a date says nothing.
    ticks = [tick for tick in axes.get_xticks() if low <= tick <= high and (tick == 0 or tick >= 1) and day_of(start, tick) is not None]
    dated = set(ticks[:: -(-len(ticks) // _MOST_DATES) or 1])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda months, _: f"{months:g}\n{date_of(start, months) if months in dated else ' '}"))


def in_one_line(start: datetime.date | None) -> FuncFormatter:
    """Months, with their dates beside them."""
    return FuncFormatter(lambda months, _: beside(f"{months:g}", start, months))


def legend_above(axes: Axes) -> None:
    """A legend above the panel, where it covers nothing: in one row if that is no wider than the panel."""
    names = axes.get_legend_handles_labels()[1]
    fitting = _LETTERS_AN_INCH * axes.bbox.width / axes.figure.dpi
    widths = [len(name) + _LETTERS_OF_A_SAMPLE for name in names]
    columns = len(names) if sum(widths) <= fitting else max(1, int(fitting / max(widths)))
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, frameon=False, fontsize=SMALL, columnspacing=1, handlelength=1.5)


def edges(values: tuple[float, ...]) -> np.ndarray:
    """The ends of cells around the values of an axis: half way from each to the next, as it is drawn."""
    if len(values) == 1:
        return np.array([values[0] - 0.5, values[0] + 0.5])
    is_log, points = _is_log(values), np.asarray(values)
    points = np.log(points) if is_log else points
    middles = (points[1:] + points[:-1]) / 2
    ends: np.ndarray = np.concatenate([[2 * points[0] - middles[0]], middles, [2 * points[-1] - middles[-1]]])
    if is_log:
        ends = np.exp(ends)
    return ends


def _fit(values: tuple[float, ...]) -> bool:
    """Whether every value has room for its number below an axis."""
    points = np.log(values) if _is_log(values) else np.asarray(values)
    apart = np.diff(points) / (points[-1] - points[0])
    return bool(np.all(apart >= _LEAST_APART)) and max(len(f"{value:.4g}") for value in values) <= _LETTERS_OF_A_TICK


def _is_log(values: tuple[float, ...]) -> bool:
    """Whether the points are nearer to equal ratios than to equal steps."""
    if len(values) < 3 or min(values) <= 0:
        return False
    ratios, steps = np.diff(np.log(values)), np.diff(values)
    return bool(np.std(ratios) / np.mean(ratios) < np.std(steps) / np.mean(steps))
