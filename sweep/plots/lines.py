"""Every outcome along the one axis of a sweep: probabilities in one panel, and numbers in one for each unit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kernels.outcomes import Label
from sweep.plots.scales import SIZE, SMALL, in_one_line, set_parameter
from sweep.spec import Spec

_PANEL_HEIGHT = 2.6
"""Inches of one of several panels above each other."""
_MARK_HEIGHT = 0.06
"""The part of a panel that a row of marks takes at its top."""


def not_finite(label: Label) -> str:
    """What a median of +inf means."""
    return "not reached in half of the draws" if label.unit == "months" else "infinite in half of the draws"


@dataclass(frozen=True)
class _Line:
    """An outcome along the axis; `missing` are the points at which it has no number, `why` says why not."""

    label: Label
    value: xr.DataArray
    error: xr.DataArray
    missing: np.ndarray
    why: str


def draw_lines(figure: Figure, spec: Spec, cube: xr.DataTree) -> str | None:
    """Draw the panels. Returns what the title adds about them, or None where there is nothing to draw."""
    (name,) = spec.axes
    groups: dict[str, list[_Line]] = {}
    for label in spec.labels():
        if (found := _line(spec, cube, label)) is not None:
            groups.setdefault(found[0], []).append(found[1])
    if not groups:
        return None
    figure.set_figheight(max(SIZE[1], _PANEL_HEIGHT * len(groups)))
    panels: list[Axes] = figure.subplots(len(groups), sharex=True, squeeze=False)[:, 0].tolist()
    for axes, (title, group) in zip(panels, groups.items(), strict=True):
        for line in group:
            reached = line.value.where(np.isfinite(line.value))
            error = 2 * line.error.where(np.isfinite(line.error), 0)
            axes.errorbar(reached[name], reached, yerr=error, marker="o", markersize=4, capsize=2, label=line.label.long_name)
        axes.set_ylabel(title)
        if title == "probability":
            axes.set_ylim(-0.03, 1.03)
        if all(line.label.is_date for line in group):
            axes.yaxis.set_major_formatter(in_one_line(spec.start_date))
        _mark_missing(axes, group, group[0].value[name].values)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=SMALL)
    set_parameter(panels[-1], "x", spec, cube, name)
    return " (bars: ± 2 s.e.)"


def _line(spec: Spec, cube: xr.DataTree, label: Label) -> tuple[str, _Line] | None:
    """An outcome's line and what its panel shows: medians where they are kept, since they are of all draws; or else means."""
    statistics = spec.statistics
    if label.kind == "flag":
        if not statistics.probability:
            return None
        chosen = cube["statistics"].to_dataset().sel(outcome=label.name)
        return "probability", _Line(label, chosen["probability"], chosen["probability_se"], np.zeros(chosen["probability"].shape, bool), "")
    if label.is_gradient or not (statistics.mean or 0.5 in statistics.quantiles):
        return None
    unit, found = label.unit if label.unit != "1" else "value", cube[f"statistics/{label.name}"].to_dataset()
    if 0.5 in statistics.quantiles:
        median = found.sel(quantile=0.5)
        value = median["quantile_value"]
        return f"{unit}: median", _Line(label, value, median["quantile_se"], np.isposinf(value.values), not_finite(label))
    among, why = ("that reach it", "reached in no draw") if label.unit == "months" else ("that are finite", "finite in no draw")
    return f"{unit}: mean of\nthe draws {among}", _Line(label, found["mean"], found["mean_se"], np.isnan(found["mean"].values), why)


def _mark_missing(axes: Axes, group: list[_Line], points: np.ndarray) -> None:
    """A row of marks along the top of the panel for every line that ends, in its colour."""
    ending = [(index, line) for index, line in enumerate(group) if line.missing.any()]
    if not ending:
        return
    if all(not np.isfinite(line.value).any() for line in group):
        axes.set_yticks([])
    low, high = axes.get_ylim()
    axes.set_ylim(low, low + (high - low) / (1 - _MARK_HEIGHT * (len(ending) + 0.5)))
    for row, (index, line) in enumerate(ending):
        height = 1 - _MARK_HEIGHT * (row + 0.5)
        places = points[line.missing]
        axes.plot(places, np.full(len(places), height), "^", color=f"C{index}", transform=axes.get_xaxis_transform())
    for why in dict.fromkeys(line.why for _, line in ending):
        axes.errorbar([], [], fmt="^", color="grey", label=why)
