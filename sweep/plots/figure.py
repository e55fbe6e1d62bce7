"""One figure of a cube: probabilities beside the published ones and progress over time, lines along an axis, or a map over two."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from sweep.plots.distributions import draw_distributions, has_distributions
from sweep.plots.fan import draw_fan, series_of
from sweep.plots.lines import draw_lines
from sweep.plots.maps import draw_maps
from sweep.plots.probabilities import draw_probabilities
from sweep.plots.scales import OURS, SIZE
from sweep.spec import Spec


def save_figure(spec: Spec, cube: xr.DataTree, path: Path) -> bool:
    """Draw what suits the sweep's axes into `path` (PNG). Returns whether there was anything to draw."""
    matplotlib.rcParams["axes.spines.top"] = matplotlib.rcParams["axes.spines.right"] = False
    figure = Figure(figsize=SIZE, layout="constrained", dpi=150)
    draw = (_draw_study, draw_lines, draw_maps)[min(len(spec.axes), 2)]
    note = draw(figure, spec, cube)
    if note is None:
        return False
    figure.suptitle(f"{spec.name}: {spec.draws:,} draws{' a cell' if spec.axes else ''}{note}", fontsize=12)
    figure.savefig(path)
    return True


def save_path(spec: Spec, times: np.ndarray, doublings: np.ndarray, title: str, path: Path) -> None:
    """Draw one trajectory, doublings of software over months, into `path` (PNG)."""
    figure = Figure(figsize=(7, 4.5), layout="constrained", dpi=150)
    axes = figure.subplots()
    reached = np.isfinite(doublings)
    axes.plot(times[reached], doublings[reached], color=OURS)
    axes.set_xlabel("months" + (f" since {spec.start_date.isoformat()}" if spec.start_date is not None else " since the start"))
    axes.set_ylabel("doublings of software since the start")
    axes.set_xlim(0, float(times[-1]))
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title, fontsize=12)
    figure.savefig(path)


def _draw_study(figure: Figure, spec: Spec, cube: xr.DataTree) -> str | None:
    """The panels of a sweep without axes. Returns what the title adds about them, or None where there is nothing to draw."""
    flags = [label for label in spec.labels() if label.kind == "flag"]
    drawn = []
    if flags and spec.statistics.probability:
        drawn.append(draw_probabilities)
    if series_of(spec) and spec.statistics.quantiles:
        drawn.append(draw_fan)
    if not drawn and has_distributions(spec):
        drawn.append(draw_distributions)
    if not drawn:
        return None
    for axes, draw in zip(figure.subplots(1, len(drawn), squeeze=False)[0], drawn, strict=True):
        draw(axes, spec, cube)
    return ""
