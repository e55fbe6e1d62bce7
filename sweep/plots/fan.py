"""A quantity over time: its median, and bands between its other quantiles."""

from __future__ import annotations

import re

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from sweep.plots.scales import OURS, legend_above, show_months
from sweep.spec import Spec

_SHADES = (0.18, 0.3, 0.4)
"""How dark bands are, from the widest on."""
_HEADROOM = 1.15
_LEAST_APART = 0.045
"""The part of the panel between two months that are written below it."""


def series_of(spec: Spec) -> list[tuple[float, str]]:
    """Outcomes that are one quantity at several times: (months, name)."""
    for pattern in (r"years_of_progress_at_(.+)_months", r"doublings_at_(.+)_months"):
        found = [(float(match[1]), label.name) for label in spec.labels() if (match := re.fullmatch(pattern, label.name))]
        if len(found) > 1:
            return found
    return []


def draw_fan(axes: Axes, spec: Spec, cube: xr.DataTree) -> None:
    """The quantiles, each as far as it is finite: what has blown up by then has made any number of doublings, and leaves the panel."""
    series = series_of(spec)
    held = np.array([cube[f"statistics/{name}"].to_dataset()["quantile_value"].values for _, name in series])
    months, shares = np.array([0.0, *(month for month, _ in series)]), spec.statistics.quantiles
    values = dict(zip(shares, np.vstack([np.zeros(len(shares)), held]).T, strict=True))
    finite = np.isfinite(list(values.values()))
    # Up to the first month at which all that is drawn is infinite.
    last = min(int(np.flatnonzero(finite.any(axis=0))[-1]) + 1, len(months) - 1)
    months, values = months[: last + 1], {share: made[: last + 1] for share, made in values.items()}
    top = _HEADROOM * max(float(made[np.isfinite(made)].max()) for made in values.values()) or 1.0
    for low, high, alpha in zip(shares, reversed(shares), _SHADES, strict=False):
        if low < high:
            ends = (np.minimum(values[share], top) for share in (low, high))
            axes.fill_between(months, *ends, color=OURS, alpha=alpha, lw=0, label=f"{100 * low:g}–{100 * high:g} %")
    lines = [share for share in shares if share == 0.5 or (len(shares) % 2 and share == shares[len(shares) // 2])]
    for share in lines:
        _draw_line(axes, months, values[share], top, "median" if share == 0.5 else f"{100 * share:g} % quantile")
    _mark_infinite(axes, months, values, top)
    axes.set_ylabel(next(label.unit for label in spec.labels() if label.name == series[0][1]))
    axes.set_xticks(_apart(months))
    axes.set_xlim(0, months[-1])
    axes.set_ylim(0, top)
    show_months(axes, spec.start_date)
    legend_above(axes)


def _draw_line(axes: Axes, months: np.ndarray, made: np.ndarray, top: float, name: str) -> None:
    drawn = np.isfinite(made)
    style = "-" if name == "median" else ":"
    axes.plot(months[drawn], made[drawn], style, color=OURS, marker="o", markersize=4, clip_on=False, zorder=3, label=name)
    if np.isposinf(made).any():
        first = int(np.argmax(np.isposinf(made)))
        axes.plot(months[first - 1 : first + 1], [made[first - 1], top], "--", color=OURS, lw=1)


def _mark_infinite(axes: Axes, months: np.ndarray, values: dict[float, np.ndarray], top: float) -> None:
    """Marks where quantiles have left the panel."""
    infinite = [np.isposinf(made) for made in values.values()]
    places = sorted({float(months[np.argmax(found)]) for found in infinite if found.any()})
    if places:
        axes.plot(places, np.full(len(places), top), "^", color=OURS, clip_on=False, zorder=3, label="infinite from here on")


def _apart(months: np.ndarray) -> list[float]:
    """The months that are far enough from each other to be written below the panel."""
    chosen = [float(months[0])]
    for month in months[1:].tolist():
        if month - chosen[-1] >= _LEAST_APART * months[-1]:
            chosen.append(month)
    return chosen
