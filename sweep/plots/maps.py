"""Maps over the first two axes of a sweep: of the first probability and the first median; further axes at their middle."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from sweep.plots.lines import not_finite
from sweep.plots.scales import edges, in_one_line, set_parameter
from sweep.spec import Spec


def draw_maps(figure: Figure, spec: Spec, cube: xr.DataTree) -> str | None:
    """Draw the panels. Returns what the title adds about them, or None where there is nothing to draw."""
    first, second, *others = spec.axes
    middle = {name: len(spec.axes[name].values) // 2 for name in others}
    drawn: list[tuple[str, xr.DataArray, str, str]] = []
    flags = [label for label in spec.labels() if label.kind == "flag"]
    numbers = [label for label in spec.labels() if label.kind == "numeric"]
    if flags and spec.statistics.probability:
        values = cube["statistics"].to_dataset().sel(outcome=flags[0].name)["probability"]
        drawn.append((f"P({flags[0].long_name})", values, "probability", "failed"))
    if numbers and 0.5 in spec.statistics.quantiles:
        median = cube[f"statistics/{numbers[0].name}"].to_dataset().sel(quantile=0.5)["quantile_value"]
        drawn.append((f"median {numbers[0].long_name}", median, numbers[0].unit, not_finite(numbers[0])))
    if not drawn:
        return None
    for axes, (title, values, unit, white) in zip(figure.subplots(1, len(drawn), squeeze=False)[0], drawn, strict=True):
        plane = values.isel(middle).transpose(second, first)
        finite = plane.where(np.isfinite(plane))
        # Dates spread over powers of ten; probabilities do not.
        norm = LogNorm() if unit == "months" and bool((finite > 0).any()) else None
        across, up = (edges(spec.axes[name].values) for name in (first, second))
        image = axes.pcolormesh(across, up, finite, cmap="viridis", norm=norm)
        if unit == "probability" and min(plane.shape) > 1 and float(finite.min()) < 0.5 < float(finite.max()):
            line = axes.contour(plane[first], plane[second], finite, levels=[0.1, 0.5, 0.9], colors="white", linewidths=1)
            axes.clabel(line, fontsize=8)
        set_parameter(axes, "x", spec, cube, first)
        set_parameter(axes, "y", spec, cube, second)
        axes.set_title(title + (f"\n(white: {white})" if bool((~np.isfinite(plane)).any()) else ""), fontsize=10)
        bar = figure.colorbar(image, ax=axes, label=unit)
        if unit == "months":
            bar.ax.yaxis.set_major_formatter(in_one_line(spec.start_date))
        if norm is not None:
            bar.ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            bar.ax.yaxis.set_minor_formatter(NullFormatter())
    at = (f"{name.replace('_', ' ')} {spec.axes[name].values[index]:.4g}" for name, index in middle.items())
    return f", at {', '.join(at)}" if middle else ""
