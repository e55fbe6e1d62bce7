"""The results of a sweep as they are printed: our numbers with their standard errors, beside each what others have published.

Matplotlib is imported only where a figure is drawn.
"""

from __future__ import annotations

import datetime
import itertools
import math
from pathlib import Path

import xarray as xr
from rich.table import Table

from sweep import calendar
from sweep.console import console
from sweep.places import Folder, Place
from sweep.results import Row, few_cells, ranges, rows
from sweep.spec import Spec


def figure_of(place: Place) -> Path:
    """Where the figure of a store is saved: beside it, or for an object store in the folder results."""
    if place.path is None:
        return Path("results") / f"{place.title}.png"
    # The folder that one is in has no name of its own.
    beside = place.path if place.path.name else place.path.absolute()
    return beside.with_name(f"{place.title}.png")


def show_results(spec: Spec, cube: xr.DataTree, place: Place, figure: Path) -> None:
    """The results with their standard errors and the published numbers; then the figure and the cube."""
    page = console()
    sizes = "".join(f"{name} {len(axis.values)} × " for name, axis in spec.axes.items())
    page.print(f"{spec.name}: {sizes}{spec.draws:,} draws, {spec.sampler}, seed {spec.seed}{_from(spec.start_date)}\n")
    found = rows(spec, cube)
    compared = [row for row in found if row.published or row.statistic == "probability"]
    if compared:
        page.print(_comparison(spec, compared))
    if not few_cells(spec):
        if extremes := ranges(spec, cube):
            page.print(_extremes(spec, extremes))
    elif any(label.kind == "numeric" for label in spec.labels()):
        page.print(_summary(spec, [row for row in found if row.statistic != "probability"]))
    held = cube.attrs
    differ = sum(held["flags_that_differ_in_the_audit"].values())
    page.print(
        f"numerical error {held['numerical_error']:.1e} at worst (tolerance {spec.tolerance:g}), {differ} flags differ, "
        f"in {held['audited_trajectories']:,} trajectories solved again in float64; "
        f"{held['failed_trajectories']:,} failed, {held['cut_off_trajectories']:,} cut off"
    )
    if "first_failed_index" in held:
        page.print(f"first that failed: siesweep replay {place.address} --index {held['first_failed_index']}", soft_wrap=True)
    if (figure_line := _drawn(spec, cube, place, figure)) is not None:
        page.print(f"figure  {figure_line}", soft_wrap=True)
    page.print(f"cube    {place.address}    ({place.opening})", soft_wrap=True)
    if place.snapshot is not None:
        page.print(f"snapshot  {place.snapshot}", soft_wrap=True)


def _drawn(spec: Spec, cube: xr.DataTree, place: Place, figure: Path) -> str | None:
    """Where the figure of the finished cube is, drawn now or before, or why it is not there: a cube in a folder of somebody else has its
    results. None where there is nothing to draw, as of a sweep that keeps no statistics."""
    try:
        if _is_older(figure, place):
            from sweep.plots import save_figure

            if not save_figure(spec, cube, figure):
                return None
    except OSError as error:
        return f"not saved, {figure} cannot be written ({error.strerror or error})"
    return str(figure)


def _is_older(figure: Path, place: Place) -> bool:
    """Whether the figure was saved before the cube was finished, or is not there. The root's metadata is written last."""
    if not figure.exists() or not isinstance(place, Folder):
        return True
    return figure.stat().st_mtime < (place.path / "zarr.json").stat().st_mtime


def _from(start: datetime.date | None) -> str:
    return f", months since {start.isoformat()}" if start is not None else ""


def _comparison(spec: Spec, found: list[Row]) -> Table:
    """Our numbers, and beside each what others have published."""
    with_statistic = any(row.statistic != "probability" for row in found)
    headings = ["outcome", *_axis_headings(spec), *(["statistic", "unit"] if with_statistic else [])]
    table = Table()
    for heading in headings:
        table.add_column(heading)
    table.add_column("ours" if with_statistic else "probability", justify="right")
    table.add_column("± s.e.", justify="right")
    if any(row.published for row in found):
        table.add_column("published", justify="right")
        table.add_column("± tolerance", justify="right")
        table.add_column("")
        table.add_column("where")
    before: list[str] = []
    for row in found:
        ours = [row.outcome, *_values(row), *([row.statistic, row.unit] if with_statistic else [])]
        ours += [_instead_of_a_number(row) or _dated(_number(row.value, row.se), spec, row), _error(row.se)]
        shown = [""] * len(ours) if ours == before else ours
        before = ours
        if row.published is not None:
            mark = "agrees" if row.agrees else "DIFFERS"
            shown = [*shown, f"{row.published.value:g}", f"{row.published.tolerance:g}", mark, row.published.place]
        table.add_row(*shown)
    return table


def _summary(spec: Spec, found: list[Row]) -> Table:
    """The numbers, one a row and cell: how often finite, mean, quantiles to the digits that their bins support, with standard errors."""
    statistics, table = list(dict.fromkeys(row.statistic for row in found)), _table_of_quantiles(spec)
    for heading in ("outcome", *_axis_headings(spec), "unit"):
        table.add_column(heading)
    for statistic in statistics:
        table.add_column(f"{_heading(statistic)} ± s.e.", justify="right")
    units = {label.name: label.unit for label in spec.labels()}
    for name, rows_of_one in itertools.groupby(found, lambda row: row.outcome):
        for _, in_cell in itertools.groupby(rows_of_one, lambda row: row.at):
            values = {row.statistic: row for row in in_cell}
            at = _values(next(iter(values.values())))
            table.add_row(name, *at, units[name], *(_with_error(spec, values[statistic]) for statistic in statistics))
    return table


def _extremes(spec: Spec, found: list[tuple[Row, Row]]) -> Table:
    """The lowest and the highest of every statistic over the cells, and where they are."""
    table = _table_of_quantiles(spec)
    for heading in ("outcome", "statistic", "unit"):
        table.add_column(heading)
    for heading in ("lowest", "highest"):
        table.add_column(f"{heading} ± s.e.", justify="right")
        table.add_column("at")
    for name, pairs in itertools.groupby(found, lambda pair: pair[0].outcome):
        for index, (lowest, highest) in enumerate(pairs):
            ends = (cell for row in (lowest, highest) for cell in (_with_error(spec, row), _cell(spec, row)))
            table.add_row("" if index else name, _heading(lowest.statistic), lowest.unit, *ends)
    return table


def _table_of_quantiles(spec: Spec) -> Table:
    caption = None
    if spec.statistics.quantiles and any(label.kind == "numeric" for label in spec.labels()):
        caption = f"quantiles are over all draws, not reached last; their bins are within {1 / spec.statistics.bins_per_octave:.1%}"
    return Table(caption=caption, caption_justify="left")


def _heading(statistic: str) -> str:
    """A statistic in a word or two."""
    if not statistic.startswith("quantile_"):
        return statistic.removeprefix("probability_")
    share = float(statistic.removeprefix("quantile_"))
    return "median" if share == 0.5 else f"{100 * share:g} %"


def _with_error(spec: Spec, row: Row) -> str:
    if (instead := _instead_of_a_number(row)) is not None:
        return instead
    is_quantile = row.statistic.startswith("quantile_")
    number = _dated(f"{row.value:.3g}", spec, row) if is_quantile else _number(row.value, row.se)
    return f"{number} ± {_error(row.se)}"


def _instead_of_a_number(row: Row) -> str | None:
    """What stands in the place of +inf, or of no number at all."""
    if row.value == math.inf:
        # Software that has blown up by then has made any number of doublings.
        return "not reached" if row.unit == "months" else "∞"
    if not math.isnan(row.value):
        return None
    if row.statistic == "mean":
        # A mean is of what is finite, and here nothing is.
        return "not reached" if row.unit == "months" else "none finite"
    return "all failed"


def _dated(number: str, spec: Spec, row: Row) -> str:
    """A printed value, with its date beside it where it is one."""
    return calendar.beside(number, spec.start_date, row.value) if row.is_date else number


def _axis_headings(spec: Spec) -> list[str]:
    """The axes with their units."""
    return [f"{name} ({unit})" if unit else name for name, unit in _axis_units(spec).items()]


def _values(row: Row) -> list[str]:
    """The values of the axes in the cell of a row."""
    return [f"{value:g}" for value in row.at.values()]


def _cell(spec: Spec, row: Row) -> str:
    """The same in words."""
    units = _axis_units(spec)
    return ", ".join(f"{name} = {value:g} {units[name]}".rstrip() for name, value in row.at.items())


def _axis_units(spec: Spec) -> dict[str, str]:
    units = {parameter.name: parameter.unit for parameter in spec.source.model().parameters}
    return {name: "" if units[name] in ("–", "1") else units[name] for name in spec.axes}


def _number(value: float, se: float) -> str:
    """As many digits as the standard error supports, and one more."""
    if not math.isfinite(se) or se <= 0:
        return f"{value:.6g}"
    decimals = max(0, 1 - math.floor(math.log10(se)))
    return f"{value:.{min(decimals, 12)}f}"


def _error(se: float) -> str:
    return "–" if math.isnan(se) else f"{se:.1e}" if se else "0"
