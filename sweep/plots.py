"""One figure of a cube: probabilities beside the published ones and progress over time, or a map over the axes."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import matplotlib
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from kernels.outcomes import Label
from sweep.calendar import beside, date_of, day_of
from sweep.results import rows
from sweep.spec import Spec

_OURS, _THEIRS = "#1b6ca8", "#d1495b"
_SIZE = (11, 4.5)
_PANEL_HEIGHT = 2.6
"""Inches of one of several panels above each other."""
_MOST_DATES = 8
"""Dates that fit below a panel."""


def save_figure(spec: Spec, cube: xr.DataTree, path: Path) -> None:
    """Draw what suits the sweep's axes into `path` (PNG)."""
    matplotlib.rcParams["axes.spines.top"] = matplotlib.rcParams["axes.spines.right"] = False
    figure = Figure(figsize=_SIZE, layout="constrained", dpi=150)
    if not spec.axes:
        _study(figure, spec, cube)
    elif len(spec.axes) == 1:
        _lines(figure, spec, cube)
    else:
        _map(figure, spec, cube)
    figure.suptitle(f"{spec.name}: {spec.draws:,} draws{' a cell' if spec.axes else ''}", fontsize=12)
    figure.savefig(path)


def save_path(spec: Spec, times: np.ndarray, doublings: np.ndarray, title: str, path: Path) -> None:
    """Draw one trajectory, doublings of software over months, into `path` (PNG)."""
    figure = Figure(figsize=(7, 4.5), layout="constrained", dpi=150)
    axes = figure.subplots()
    reached = np.isfinite(doublings)
    axes.plot(times[reached], doublings[reached], color=_OURS)
    axes.set_xlabel("months" + (f" since {spec.start_date.isoformat()}" if spec.start_date is not None else " since the start"))
    axes.set_ylabel("doublings of software since the start")
    axes.set_xlim(0, float(times[-1]))
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title, fontsize=12)
    figure.savefig(path)


def _study(figure: Figure, spec: Spec, cube: xr.DataTree) -> None:
    series = _series(spec)
    flags = [label for label in spec.labels() if label.kind == "flag"]
    with_flags, with_series = bool(flags and spec.statistics.probability), bool(series and spec.statistics.quantiles)
    panels = figure.subplots(1, with_flags + with_series or 1, squeeze=False)[0].tolist()
    if with_flags:
        _probabilities(panels.pop(0), spec, cube)
    if with_series:
        _fan(panels.pop(0), spec, cube, series)
    elif panels:
        _distributions(panels.pop(0), spec, cube)


def _probabilities(axes: Axes, spec: Spec, cube: xr.DataTree) -> None:
    """Probabilities with two standard errors, and the published ones."""
    found = [row for row in rows(spec, cube) if row.statistic == "probability"]
    names = list(dict.fromkeys(row.outcome for row in found))
    ours = {row.outcome: (row.value, row.se) for row in found}
    places = np.arange(len(names))[::-1]
    axes.barh(
        places,
        [ours[name][0] for name in names],
        xerr=[2 * ours[name][1] for name in names],
        color=_OURS,
        height=0.55,
        label="siesweep ± 2 s.e.",
    )
    for place, name in zip(places, names, strict=True):
        axes.annotate(f"{ours[name][0]:.3f}", (0.006, place), color="white", va="center", fontsize=9)
    published = [row for row in found if row.published is not None]
    first = {row.outcome: row for row in reversed(published)}
    if first:
        heights = [places[names.index(name)] for name in first]
        values = [row.published.value for row in first.values() if row.published]
        spread = [row.published.tolerance for row in first.values() if row.published]
        axes.errorbar(values, heights, xerr=spread, fmt="D", color=_THEIRS, capsize=3, markersize=5, label="published ± tolerance")
    axes.set_yticks(places, names)
    axes.set_xlabel("probability")
    axes.set_xlim(left=0)
    axes.legend(loc="lower right", frameon=False, fontsize=9)


def _series(spec: Spec) -> list[tuple[float, str]]:
    """Outcomes that are one quantity at several times: (months, name)."""
    for pattern in (r"years_of_progress_at_(.+)_months", r"doublings_at_(.+)_months"):
        found = [(float(match[1]), label.name) for label in spec.labels() if (match := re.fullmatch(pattern, label.name))]
        if len(found) > 1:
            return found
    return []


def _fan(axes: Axes, spec: Spec, cube: xr.DataTree, series: list[tuple[float, str]]) -> None:
    """Quantiles of a quantity over time."""
    months = [0.0, *(month for month, _ in series)]
    values = {share: [0.0] for share in spec.statistics.quantiles}
    for _, name in series:
        found = cube[f"statistics/{name}"].to_dataset()["quantile_value"].values
        for index, share in enumerate(values):
            values[share].append(float(found[index]))
    shares = sorted(values)
    for low, high, alpha in zip(shares, reversed(shares), (0.18, 0.3, 0.4), strict=False):
        if low < high:
            axes.fill_between(months, values[low], values[high], color=_OURS, alpha=alpha, lw=0, label=f"{low:.0%}–{high:.0%}")
    if 0.5 in values:
        axes.plot(months, values[0.5], color=_OURS, marker="o", markersize=4, label="median")
    label = next(label for label in spec.labels() if label.name == series[0][1])
    axes.set_ylabel(label.unit)
    axes.set_xticks(months)
    _show_months(axes, spec.start_date)
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper left", frameon=False, fontsize=9)


def _distributions(axes: Axes, spec: Spec, cube: xr.DataTree) -> None:
    """Cumulative distributions of dates."""
    for label in spec.labels():
        if not label.is_date or not spec.statistics.histogram:
            continue
        found = cube[f"statistics/{label.name}"].to_dataset()
        counts = found["histogram"].values
        upper = found["bin_upper"].values
        drawn = np.isfinite(upper) & (upper > 0)
        axes.plot(upper[drawn], (np.cumsum(counts) / counts.sum())[drawn], label=label.long_name)
    axes.set_xscale("log")
    _show_months(axes, spec.start_date)
    axes.set_ylabel("share of draws that have reached it")
    axes.set_ylim(0, 1)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=9)


def _lines(figure: Figure, spec: Spec, cube: xr.DataTree) -> None:
    """Every outcome along the one axis: probabilities in one panel, and numbers in one for each unit."""
    (name,) = spec.axes
    groups: dict[str, list[tuple[Label, xr.DataArray, xr.DataArray]]] = {}
    for label in spec.labels():
        if label.kind == "flag" and spec.statistics.probability:
            chosen = cube["statistics"].to_dataset().sel(outcome=label.name)
            groups.setdefault("probability", []).append((label, chosen["probability"], chosen["probability_se"]))
        elif label.kind == "numeric" and spec.statistics.mean and not label.is_gradient:
            chosen = cube[f"statistics/{label.name}"].to_dataset()
            groups.setdefault(label.unit, []).append((label, chosen["mean"], chosen["mean_se"]))
    figure.set_figheight(max(_SIZE[1], _PANEL_HEIGHT * len(groups)))
    panels: list[Axes] = figure.subplots(len(groups) or 1, sharex=True, squeeze=False)[:, 0].tolist()
    panels[-1].set_xlabel(_axis_title(cube, name))
    for axes, (unit, group) in zip(panels, groups.items(), strict=False):
        for label, value, error in group:
            axes.errorbar(value[name], value, yerr=2 * error.fillna(0), marker="o", markersize=4, capsize=2, label=label.long_name)
        axes.set_ylabel(unit if unit != "1" else "value")
        if unit == "probability":
            axes.set_ylim(-0.03, 1.03)
        if all(label.is_date for label, _, _ in group):
            axes.yaxis.set_major_formatter(_in_one_line(spec.start_date))
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=9)


def _map(figure: Figure, spec: Spec, cube: xr.DataTree) -> None:
    """The first probability and the first median over the first two axes; further axes at their middle."""
    first, second, *others = spec.axes
    middle = {name: len(spec.axes[name].values) // 2 for name in others}
    drawn: list[tuple[str, xr.DataArray, str]] = []
    flags = [label for label in spec.labels() if label.kind == "flag"]
    numbers = [label for label in spec.labels() if label.kind == "numeric"]
    if flags and spec.statistics.probability:
        drawn.append((f"P({flags[0].long_name})", cube["statistics"].to_dataset().sel(outcome=flags[0].name)["probability"], "probability"))
    if numbers and 0.5 in spec.statistics.quantiles:
        median = cube[f"statistics/{numbers[0].name}"].to_dataset().sel(quantile=0.5)["quantile_value"]
        drawn.append((f"median {numbers[0].long_name}", median, numbers[0].unit))
    panels = figure.subplots(1, len(drawn), squeeze=False)[0] if drawn else []
    for axes, (title, values, unit) in zip(panels, drawn, strict=True):
        plane = values.isel(middle).transpose(second, first)
        finite = plane.where(np.isfinite(plane))
        # Dates spread over powers of ten; probabilities do not.
        norm = LogNorm() if unit == "months" and bool((finite > 0).any()) else None
        image = axes.pcolormesh(plane[first], plane[second], finite, cmap="viridis", shading="nearest", norm=norm)
        if unit == "probability" and min(plane.shape) > 1 and float(finite.min()) < 0.5 < float(finite.max()):
            line = axes.contour(plane[first], plane[second], finite, levels=[0.1, 0.5, 0.9], colors="white", linewidths=1)
            axes.clabel(line, fontsize=8)
        for name, set_scale in ((first, axes.set_xscale), (second, axes.set_yscale)):
            set_scale("log" if _is_log(spec.axes[name].values) else "linear")
        for axis in (axes.xaxis, axes.yaxis):
            if axis.get_scale() == "log":
                axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
                axis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(_axis_title(cube, first))
        axes.set_ylabel(_axis_title(cube, second))
        axes.set_title(title + ("\n(white: not reached in half of the draws)" if bool((~np.isfinite(plane)).any()) else ""), fontsize=10)
        bar = figure.colorbar(image, ax=axes, label=unit)
        if unit == "months":
            bar.ax.yaxis.set_major_formatter(_in_one_line(spec.start_date))
        if norm is not None:
            bar.ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            bar.ax.yaxis.set_minor_formatter(NullFormatter())


def _show_months(axes: Axes, start: datetime.date | None) -> None:
    """Months along the horizontal axis; below them their dates, as many as there is room for."""
    axes.set_xlabel("months since " + (start.isoformat() if start is not None else "the start"))
    if start is None:
        return
    low, high = axes.get_xlim()
    # Within the first month a date says nothing.
    ticks = [tick for tick in axes.get_xticks() if low <= tick <= high and (tick == 0 or tick >= 1) and day_of(start, tick) is not None]
    dated = set(ticks[:: -(-len(ticks) // _MOST_DATES) or 1])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda months, _: f"{months:g}\n{date_of(start, months) if months in dated else ' '}"))


def _in_one_line(start: datetime.date | None) -> FuncFormatter:
    """Months, with their dates beside them."""
    return FuncFormatter(lambda months, _: beside(f"{months:g}", start, months))


def _axis_title(cube: xr.DataTree, name: str) -> str:
    unit = cube[name].attrs.get("units", "")
    return name.replace("_", " ") + (f" ({unit})" if unit not in ("", "–", "1") else "")


def _is_log(values: tuple[float, ...]) -> bool:
    """Whether the points are nearer to equal ratios than to equal steps."""
    if len(values) < 3 or min(values) <= 0:
        return False
    points = np.sort(np.asarray(values))
    return bool(np.std(np.diff(np.log(points))) / np.mean(np.diff(np.log(points))) < np.std(np.diff(points)) / np.mean(np.diff(points)))
