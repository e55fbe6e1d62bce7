"""What the commands print: tables of results, plans, stores and models."""

from __future__ import annotations

import datetime
import json
import math
import sys
from pathlib import Path
from typing import Any

import xarray as xr
from rich.console import Console
from rich.table import Table

from kernels.models import Budget, Model
from sweep import calendar, ledger
from sweep.plan import Plan
from sweep.plots import save_figure
from sweep.progress import quantity
from sweep.results import Row, rows
from sweep.spec import Spec

_WIDTH_OF_A_FILE = 200


def _console() -> Console:
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else _WIDTH_OF_A_FILE, highlight=False)


def show_results(spec: Spec, cube: xr.DataTree, store: Path, figure: Path) -> None:
    """The results with their standard errors and the published numbers; then the figure and the cube."""
    console = _console()
    sizes = "".join(f"{name} {len(axis.values)} × " for name, axis in spec.axes.items())
    console.print(f"{spec.name}: {sizes}{spec.draws:,} draws, {spec.sampler}, seed {spec.seed}{_from(spec.start_date)}\n")
    found = rows(spec, cube)
    compared = [row for row in found if row.published or row.statistic == "probability"]
    if compared:
        console.print(_comparison(compared, spec.start_date))
    if not spec.axes and any(label.kind == "numeric" for label in spec.labels()):
        console.print(_summary(spec, [row for row in found if row.statistic != "probability"]))
    held = cube.attrs
    differ = sum(held["flags_that_differ_in_the_audit"].values())
    console.print(
        f"numerical error {held['numerical_error']:.1e} at worst (tolerance {spec.tolerance:g}), {differ} flags differ, "
        f"in {held['audited_trajectories']:,} trajectories solved again in float64; "
        f"{held['failed_trajectories']:,} failed, {held['cut_off_trajectories']:,} cut off"
    )
    # The root's metadata is written last, be it that the sweep was finished or that its start date was changed.
    if not figure.exists() or figure.stat().st_mtime < (store / "zarr.json").stat().st_mtime:
        save_figure(spec, cube, figure)
    console.print(f"figure  {figure}", soft_wrap=True)
    console.print(f'cube    {store}    (xarray.open_datatree({str(store)!r}, engine="zarr"))', soft_wrap=True)


def _from(start: datetime.date | None) -> str:
    return f", months since {start.isoformat()}" if start is not None else ""


def _comparison(found: list[Row], start: datetime.date | None) -> Table:
    """Our numbers, and beside each what others have published."""
    with_cells = any(row.published and row.published.at for row in found)
    with_statistic = any(row.statistic != "probability" for row in found)
    headings = ["outcome", *(["at"] if with_cells else []), *(["statistic", "unit"] if with_statistic else [])]
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
        at = ", ".join(f"{name} = {value:g}" for name, value in row.published.at.items()) if row.published else ""
        ours = [row.outcome, *([at] if with_cells else []), *([row.statistic, row.unit] if with_statistic else [])]
        value = _number(row.value, row.se)
        ours += [calendar.beside(value, start, row.value) if row.is_date else value, _error(row.se)]
        shown = [""] * len(ours) if ours == before else ours
        before = ours
        if row.published is not None:
            mark = "agrees" if row.agrees else "DIFFERS"
            shown = [*shown, f"{row.published.value:g}", f"{row.published.tolerance:g}", mark, row.published.place]
        table.add_row(*shown)
    return table


def _summary(spec: Spec, found: list[Row]) -> Table:
    """The numbers, one a row: how often finite, mean, quantiles to the digits that their bins support."""
    values = {(row.outcome, row.statistic): row for row in found}
    names = list(dict.fromkeys(row.outcome for row in found))
    caption = None
    if spec.statistics.quantiles:
        caption = f"quantiles are over all draws, not reached last; their bins are within {1 / spec.statistics.bins_per_octave:.1%}"
    table = Table(caption=caption, caption_justify="left")
    table.add_column("outcome")
    table.add_column("unit")
    columns = [("probability_finite", "finite")] if spec.statistics.probability else []
    columns += [("mean", "mean ± s.e.")] if spec.statistics.mean else []
    columns += [(f"quantile_{share:g}", "median" if share == 0.5 else f"{100 * share:g} %") for share in spec.statistics.quantiles]
    for _, heading in columns:
        table.add_column(heading, justify="right")
    for name in names:
        cells = []
        for statistic, _ in columns:
            row = values[name, statistic]
            if statistic == "mean":
                cells.append(f"{_number(row.value, row.se)} ± {_error(row.se)}")
            elif statistic.startswith("quantile"):
                shown = "–" if row.value == math.inf else f"{row.value:.3g}"
                cells.append(calendar.beside(shown, spec.start_date, row.value) if row.is_date else shown)
            else:
                cells.append(f"{row.value:.4f}")
        table.add_row(name, values[name, columns[0][0]].unit if columns else "", *cells)
    return table


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


def show_status(store: Path, held: dict[str, Any]) -> None:
    """What a store holds."""
    console = _console()
    head, receipts = ledger.read(store)
    table = Table(title=str(store), show_header=False, title_justify="left")
    table.add_row("sweep", f"{held['title']} ({held['model']})")
    table.add_row("draws", f"{held['draws']:,}")
    if "start_date" in held:
        table.add_row("months since", held["start_date"])
    table.add_row("state", "complete" if held["complete"] else "not finished; the command that started it goes on")
    table.add_row("finished tiles", f"{len(receipts):,}, {quantity(sum(receipt['valid'] for receipt in receipts.values()))} trajectories")
    table.add_row("failed trajectories", f"{sum(receipt['failed'] for receipt in receipts.values()):,}")
    worst = max((receipt["error"] for receipt in receipts.values()), default=0.0)
    table.add_row("numerical error", f"{worst:.1e} (tolerance {held['tolerance']:g})")
    table.add_row("time in tiles", f"{sum(receipt['seconds'] for receipt in receipts.values()):,.1f} s")
    table.add_row("fingerprint", head["fingerprint"])
    table.add_row("identity", json.dumps(head["identity"]["options"]))
    console.print(table)


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
