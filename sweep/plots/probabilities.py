"""Probabilities as bars with two standard errors, and the published ones beside them."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from sweep.plots.scales import OURS, SMALL, THEIRS, legend_above
from sweep.results import rows
from sweep.spec import Spec

_ROOM = 0.15
"""The part of the panel that a bar must take for its number to fit into it."""
_GAP = 0.015
"""The part of it that is left beside a number."""


def draw_probabilities(axes: Axes, spec: Spec, cube: xr.DataTree) -> None:
    """Every outcome that is true or false."""
    found = [row for row in rows(spec, cube) if row.statistic == "probability"]
    ours = {row.outcome: (row.value, 2 * row.se if np.isfinite(row.se) else 0.0) for row in found}
    names = list(ours)
    places = np.arange(len(names))[::-1]
    values, spreads = zip(*ours.values(), strict=True)
    axes.barh(places, values, xerr=spreads, color=OURS, height=0.55, label="siesweep ± 2 s.e.")
    ends = {name: value + spread for name, (value, spread) in ours.items()}
    theirs = {row.outcome: row.published for row in reversed(found) if row.published is not None}
    if theirs:
        heights = [places[names.index(name)] for name in theirs]
        centres, tolerances = [number.value for number in theirs.values()], [number.tolerance for number in theirs.values()]
        axes.errorbar(centres, heights, xerr=tolerances, fmt="D", color=THEIRS, capsize=3, markersize=5, label="published ± tolerance")
        ends |= {name: max(ends[name], number.value + number.tolerance) for name, number in theirs.items()}
    # What has no probability, as all its draws failed, has no end either.
    widest = max((end for end in ends.values() if np.isfinite(end)), default=0.0) or 1.0
    for place, name in zip(places, names, strict=True):
        inside = ours[name][0] > _ROOM * widest
        at = _GAP * widest + (0.0 if inside else float(np.nan_to_num(ends[name])))
        axes.annotate(f"{ours[name][0]:.3f}", (at, place), color="white" if inside else "black", va="center", fontsize=SMALL)
    axes.set_yticks(places, names)
    axes.set_xlabel("probability")
    axes.set_xlim(0, 1.05 * widest)
    legend_above(axes)
