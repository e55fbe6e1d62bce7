"""What the commands print: tables of results, plans, stores and models. Matplotlib is imported only where a figure is drawn."""

from __future__ import annotations

import datetime
import itertools
import json
import math
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr
from rich.console import Console
from rich.table import Table

from kernels.models import Budget, Model
from sweep import calendar, ledger
from sweep.places import Folder, Place
from sweep.plan import Plan
from sweep.progress import quantity
from sweep.results import Row, few_cells, ranges, rows
from sweep.spec import Spec

if TYPE_CHECKING:
    from sweep.replay import Replayed
    from sweep.verify import Verified

_WIDTH_OF_A_FILE = 200
_MOST_FAILURES = 5
_TILES_OF_A_RATE = 30
_MOST_DAMAGE = 20
_ROWS_OF_A_PATH = 12


def _console() -> Console:
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else _WIDTH_OF_A_FILE, highlight=False)


def figure_of(place: Place) -> Path:
    """Where the figure of a store is saved: beside it, or for an object store in the folder results."""
    if place.path is None:
        return Path("results") / f"{place.title}.png"
    # The folder that one is in has no name of its own.
    beside = place.path if place.path.name else place.path.absolute()
    return beside.with_name(f"{place.title}.png")


def show_results(spec: Spec, cube: xr.DataTree, place: Place, figure: Path) -> None:
    """The results with their standard errors and the published numbers; then the figure and the cube."""
    console = _console()
    sizes = "".join(f"{name} {len(axis.values)} × " for name, axis in spec.axes.items())
    console.print(f"{spec.name}: {sizes}{spec.draws:,} draws, {spec.sampler}, seed {spec.seed}{_from(spec.start_date)}\n")
    found = rows(spec, cube)
    compared = [row for row in found if row.published or row.statistic == "probability"]
    if compared:
        console.print(_comparison(spec, compared))
    if not few_cells(spec):
        if extremes := ranges(spec, cube):
            console.print(_extremes(spec, extremes))
    elif any(label.kind == "numeric" for label in spec.labels()):
        console.print(_summary(spec, [row for row in found if row.statistic != "probability"]))
    held = cube.attrs
    differ = sum(held["flags_that_differ_in_the_audit"].values())
    console.print(
        f"numerical error {held['numerical_error']:.1e} at worst (tolerance {spec.tolerance:g}), {differ} flags differ, "
        f"in {held['audited_trajectories']:,} trajectories solved again in float64; "
        f"{held['failed_trajectories']:,} failed, {held['cut_off_trajectories']:,} cut off"
    )
    if "first_failed_index" in held:
        console.print(f"first that failed: siesweep replay {place.address} --index {held['first_failed_index']}", soft_wrap=True)
    if _is_older(figure, place):
        from sweep.plots import save_figure

        save_figure(spec, cube, figure)
    console.print(f"figure  {figure}", soft_wrap=True)
    console.print(f"cube    {place.address}    ({place.opening})", soft_wrap=True)
    if place.snapshot is not None:
        console.print(f"snapshot  {place.snapshot}", soft_wrap=True)


def _is_older(figure: Path, place: Place) -> bool:
    """Whether the figure was saved before the cube was finished, or is not there. The root's metadata is written last."""
    if not figure.exists() or not isinstance(place, Folder):
        return True
    return figure.stat().st_mtime < (place.path / "zarr.json").stat().st_mtime


def show_partial(place: Place, shard: tuple[int, int]) -> None:
    """What a shard says that has done its share while others have not."""
    contents = ledger.read(place)
    console = _console()
    console.print(
        f"shard {shard[0]}/{shard[1]} of {place.address} is done; {len(contents.receipts):,} tiles are finished in all. The last shard "
        f"finishes the cube; `siesweep merge {place.address}` does too, once all tiles are there.",
        soft_wrap=True,
    )


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
        ours += [_dated(_number(row.value, row.se), spec, row), _error(row.se)]
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
    if row.value == math.inf:
        # Software that has blown up by then has made any number of doublings.
        return "not reached" if row.unit == "months" else "∞"
    is_quantile = row.statistic.startswith("quantile_")
    number = _dated(f"{row.value:.3g}", spec, row) if is_quantile else _number(row.value, row.se)
    return f"{number} ± {_error(row.se)}"


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
    if not math.isfinite(value):
        return "not reached" if value == math.inf else str(value)
    if not math.isfinite(se) or se <= 0:
        return f"{value:.6g}"
    decimals = max(0, 1 - math.floor(math.log10(se)))
    return f"{value:.{min(decimals, 12)}f}"


def _error(se: float) -> str:
    return "–" if math.isnan(se) else f"{se:.1e}" if se else "0"


def show_plan(plan: Plan, workers: int) -> None:
    """What a sweep takes."""
    console, spec = _console(), plan.spec
    table = Table(title=f"{spec.name} ({spec.model})", show_header=False, title_justify="left")
    cells = " × ".join(f"{name} {len(axis.values)}" for name, axis in spec.axes.items()) or "1"
    tiles = sum(1 for _ in plan.tiles())
    table.add_row("cells", f"{plan.cells:,}" + (f" = {cells}" if spec.axes else ""))
    table.add_row("draws", f"{spec.draws:,} in {plan.blocks:,} blocks of {spec.block:,}")
    table.add_row("trajectories", f"{plan.trajectories:,}")
    table.add_row("tiles", f"{tiles:,} of up to {plan.policy.shape().cells:,} cells × {plan.policy.blocks * spec.block:,} draws")
    table.add_row("steps a trajectory", _steps(plan.study.budget))
    table.add_row("memory", f"about {_bytes(plan.tile_bytes() * 4 * workers)} for tiles in flight, beside about 400 MB for the libraries")
    for name, size in plan.disk_bytes().items():
        table.add_row(f"disk: {name}", f"{_bytes(size)} before compression")
    table.add_row("disk", f"about {_bytes(sum(plan.stored_bytes().values()))} in all")
    seconds = plan.estimated_seconds(workers)
    table.add_row("time", f"about {seconds:,.1f} s on {workers} CPU workers, and a few seconds to compile (a rough estimate)")
    table.add_row("store", f"results/{spec.name}.zarr, unless -o names another")
    console.print(table)


def _steps(budget: Budget) -> str:
    if budget.tolerance:
        return f"as many as the tolerance needs, at most {budget.steps:,}"
    return f"{budget.steps}" + (f" × {budget.nodes} nodes" if budget.nodes > 1 else "")


def _bytes(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


def show_status(place: Place, held: dict[str, Any]) -> None:
    """What a store holds, and who is at work on it."""
    console = _console()
    contents = ledger.read(place)
    receipts = contents.receipts
    table = Table(title=place.address, show_header=False, title_justify="left")
    table.add_row("sweep", f"{held['title']} ({held['model']})")
    table.add_row("draws", f"{held['draws']:,}")
    if "start_date" in held:
        table.add_row("months since", held["start_date"])
    running = place.running()
    state = "complete" if held["complete"] else "running" if running else "not finished; the command that started it goes on"
    table.add_row("state", state)
    for launcher in running:
        launch = contents.launches.get(launcher)
        if launch is not None:
            who = f"pid {launch['launch']['pid']} on {launch['launch']['host']} since {_when(launch['at'])}"
            table.add_row("at work", who if launcher == "whole" else f"shard {launcher.replace('-of-', '/')}: {who}")
    trajectories = sum(receipt["valid"] for receipt in receipts.values())
    wanted = held["draws"] * math.prod(len(values) for values in contents.head["identity"]["axes"].values())
    table.add_row("finished tiles", f"{len(receipts):,}, {quantity(trajectories)} of {quantity(wanted)} trajectories")
    if running and (rate := _recent_rate(contents)) is not None:
        table.add_row("rate", f"{quantity(rate)} trajectories/s, ETA {max(0.0, wanted - trajectories) / rate:,.0f} s")
    for name, failure in list(contents.failures.items())[:_MOST_FAILURES]:
        table.add_row("failed tile", f"{name}: {failure['failed']} (tried {failure['tries']} times; {failure['replay']})")
    if len(contents.failures) > _MOST_FAILURES:
        table.add_row("failed tiles", f"{len(contents.failures):,} in all")
    if contents.damaged:
        table.add_row("damaged ledger lines", f"{contents.damaged:,}; their tiles are run again")
    table.add_row("failed trajectories", f"{sum(receipt['failed'] for receipt in receipts.values()):,}")
    worst = max((receipt["error"] for receipt in receipts.values()), default=0.0)
    table.add_row("numerical error", f"{worst:.1e} (tolerance {held['tolerance']:g})")
    table.add_row("time in tiles", f"{sum(receipt['seconds'] for receipt in receipts.values()):,.1f} s")
    table.add_row("fingerprint", contents.head["fingerprint"])
    table.add_row("options", json.dumps(contents.head["identity"]["options"]))
    console.print(table)


def show_verified(place: Place, found: Verified) -> None:
    """What `verify` found."""
    console = _console()
    missing = f"; {found.missing:,} tiles are not run yet" if found.missing else ""
    read = f"{found.tiles:,} tiles and {found.arrays:,} arrays or parts of arrays read again"
    console.print(f"{place.address}: {read}{missing}", soft_wrap=True)
    if not found.damage:
        console.print("all is as it was written")
        return
    for damage in found.damage[:_MOST_DAMAGE]:
        console.print(f"damaged: {damage}", soft_wrap=True)
    if len(found.damage) > _MOST_DAMAGE:
        console.print(f"damaged: {len(found.damage) - _MOST_DAMAGE:,} more")
    console.print(
        f"{len(found.damaged_tiles):,} tiles to compute again, and the statistics; "
        f"`siesweep verify {place.address} --repair` does exactly that",
        soft_wrap=True,
    )


def show_replayed(found: Replayed, plot: Path | None) -> None:
    """A trajectory: its parameters, its outcomes beside those in the cube, its path."""
    console, spec = _console(), found.spec
    where = "".join(f", {name} = {value:g}" for name, value in found.cell.items())
    console.print(f"{spec.name}: trajectory {found.index} (draw {found.draw}{where})", soft_wrap=True)
    table = Table(title="parameters", title_justify="left")
    for heading in ("name", "value", "unit"):
        table.add_column(heading)
    for parameter in spec.source.model().parameters:
        table.add_row(parameter.name, f"{found.parameters[parameter.name]:.9g}", parameter.unit)
    console.print(table)
    table = Table(title="outcomes", title_justify="left")
    for heading in ("name", "value", "unit", *(["in the cube"] if found.kept else [])):
        table.add_column(heading)
    differing = found.differing
    for label in spec.labels():
        kept = [] if not found.kept else ["DIFFERS" if label.name in differing else "the same bits"]
        table.add_row(label.name, _outcome(found.outcomes[label.name], label.kind == "flag"), label.unit, *kept)
    console.print(table)
    if found.kept is None:
        console.print("it is not stored in the cube yet, so there is nothing to compare it with", soft_wrap=True)
    table = Table(title="path", title_justify="left")
    table.add_column("months", justify="right")
    table.add_column("doublings of software", justify="right")
    for month, doublings in list(zip(found.times, found.doublings, strict=True))[:: len(found.times) // _ROWS_OF_A_PATH]:
        table.add_row(f"{month:.4g}", f"{doublings:.5g}")
    console.print(table)
    if plot is not None:
        from sweep.plots import save_path

        save_path(spec, found.times, found.doublings, f"{spec.name}: trajectory {found.index}", plot)
        console.print(f"figure  {plot}", soft_wrap=True)


def _outcome(value: float, flag: bool) -> str:
    if flag:
        return "true" if value else "false"
    return "failed (NaN)" if math.isnan(value) else "not reached" if value == math.inf else f"{value:.9g}"


def _recent_rate(contents: ledger.Contents) -> float | None:
    """Trajectories a second over the last tiles of the launchers that are at work."""
    since = max((launch["at"] for launch in contents.launches.values()), default=0.0)
    latest = sorted((receipt["at"], receipt["valid"]) for receipt in contents.receipts.values() if receipt["at"] >= since)
    latest = latest[-_TILES_OF_A_RATE:]
    # From the launch on where there are few: the first tile waits for the compiler.
    begun = since if len(latest) < 3 else latest[0][0]
    done = sum(valid for at, valid in latest if at > begun)
    passed = max(time.time(), latest[-1][0]) - begun if latest else 0.0
    return done / passed if done and passed > 0 else None


def _when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))


def show_models(models: list[Model], installed: list[str]) -> None:
    """One line a model; of those that other packages have installed the names only, since nobody asked for their code."""
    table = Table(title="models", title_justify="left")
    for heading in ("name", "what", "source"):
        table.add_column(heading)
    for model in models:
        table.add_row(model.name, model.title, model.source)
    for name in installed:
        table.add_row(name, "installed by another package", f"siesweep models {name}")
    _console().print(table)


def show_model(model: Model) -> None:
    """The parameters and options of a model."""
    console = _console()
    console.print(f"{model.title}\n{model.source}\n")
    table = Table(title=f"{model.name}: parameters", title_justify="left")
    for heading in ("name", "symbol", "unit", "default", "support", "meaning"):
        table.add_column(heading)
    for parameter in model.parameters:
        default = parameter.default if isinstance(parameter.default, str) else f"{parameter.default:g}"
        table.add_row(parameter.name, parameter.symbol, parameter.unit, default, parameter.support, parameter.meaning)
    console.print(table)
    if model.options:
        table = Table(title="options (first = default)", title_justify="left")
        for heading in ("name", "values", "meaning"):
            table.add_column(heading)
        for option in model.options:
            table.add_row(
                option.name, ", ".join(str(value).lower() if isinstance(value, bool) else value for value in option.values), option.meaning
            )
        console.print(table)
