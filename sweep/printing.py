"""What the commands print beside results: plans, stores, trajectories and models. Matplotlib is imported only where a figure is drawn."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from kernels.models import Budget, Model
from sweep import ledger
from sweep.amounts import counted, duration, size
from sweep.console import console
from sweep.errors import toml_value
from sweep.places import Place
from sweep.plan import Plan
from sweep.prepare import finished_draws
from sweep.progress import quantity

if TYPE_CHECKING:
    from sweep.replay import Replayed
    from sweep.verify import Verified

_MOST_FAILURES = 5
_TILES_OF_A_RATE = 30
_MOST_DAMAGE = 20
_ROWS_OF_A_PATH = 12


def show_partial(place: Place, shard: tuple[int, int]) -> None:
    """What a shard says that has done its share while others have not."""
    contents = ledger.read(place)
    page = console()
    in_all = counted(len(contents.receipts), "tile")
    page.print(
        f"shard {shard[0]}/{shard[1]} of {place.address} is done; finished in all: {in_all}. The last shard finishes the cube; "
        f"`siesweep merge {place.address}` does too, once all tiles are there.",
        soft_wrap=True,
    )


def show_plan(plan: Plan, workers: int, free: int | None) -> None:
    """What a sweep takes, and whether the disk of the store that `run` would make has so many bytes `free`."""
    page, spec = console(), plan.spec
    table = Table(title=f"{spec.name} ({spec.model})", show_header=False, title_justify="left")
    cells = " × ".join(f"{name} {len(axis.values)}" for name, axis in spec.axes.items()) or "1"
    table.add_row("cells", f"{plan.cells:,}" + (f" = {cells}" if spec.axes else ""))
    table.add_row("draws", f"{spec.draws:,} in {counted(plan.blocks, 'block')} of {spec.block:,}")
    table.add_row("trajectories", f"{plan.trajectories:,}")
    draws = min(plan.policy.blocks * spec.block, spec.draws)
    table.add_row("tiles", f"{plan.tile_count:,} of up to {counted(plan.policy.shape().cells, 'cell')} × {counted(draws, 'draw')}")
    table.add_row("steps a trajectory", _steps(plan.study.budget))
    table.add_row("memory", f"about {size(plan.tile_bytes() * 4 * workers)} for tiles in flight, beside about 400 MB for the libraries")
    for name, taken in plan.disk_bytes().items():
        table.add_row(f"disk: {name}", f"{size(taken)} before compression")
    needed = sum(plan.stored_bytes().values())
    table.add_row("disk", f"about {size(needed)} in all")
    taken_time = f"about {duration(plan.estimated_seconds(workers))} on {counted(workers, 'CPU worker')}"
    table.add_row("time", f"{taken_time}, and a few seconds to compile (a rough estimate)")
    full = f"; its disk has {size(free)} left, and `siesweep run` would refuse it" if free is not None and needed > free else ""
    table.add_row("store", f"results/{spec.name}.zarr, unless -o names another{full}")
    page.print(table)


def _steps(budget: Budget) -> str:
    if budget.tolerance:
        return f"as many as the tolerance needs, at most {budget.steps:,}"
    return f"{budget.steps}" + (f" × {budget.nodes} nodes" if budget.nodes > 1 else "")


def show_status(place: Place, held: dict[str, Any], shares: list[str]) -> None:
    """What a store holds, the `shares` that it lacks, and who is at work on it."""
    page = console()
    contents = ledger.read(place)
    block = contents.head["identity"]["block"]
    # Behind the draws lies what is left of an extension that was given up.
    receipts = {name: receipt for name, receipt in contents.receipts.items() if receipt["first_block"] * block < held["draws"]}
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
    if shares:
        table.add_row("missing shards", f"{', '.join(shares)}: run them, or copy them here from the store that they were run into")
    if (finished := finished_draws(place)) is not None:
        table.add_row("finished before", f"{finished:,} draws; `siesweep extend {place.address} --draws {finished}` goes back to them")
    if running and (rate := _recent_rate(contents)) is not None:
        table.add_row("rate", f"{quantity(rate)} trajectories/s, ETA {duration(round(max(0.0, wanted - trajectories) / rate))}")
    for name, failure in list(contents.failures.items())[:_MOST_FAILURES]:
        table.add_row("failed tile", f"{name}: {failure['failed']} (tried {counted(failure['tries'], 'time')}; {failure['replay']})")
    if len(contents.failures) > _MOST_FAILURES:
        table.add_row("failed tiles", f"{len(contents.failures):,} in all")
    if contents.damaged:
        table.add_row("damaged ledger lines", f"{contents.damaged:,}; their tiles are run again")
    table.add_row("failed trajectories", f"{sum(receipt['failed'] for receipt in receipts.values()):,}")
    worst = max((receipt["error"] for receipt in receipts.values()), default=0.0)
    table.add_row("numerical error", f"{worst:.1e} (tolerance {held['tolerance']:g})")
    table.add_row("time in tiles", duration(sum(receipt["seconds"] for receipt in receipts.values())))
    table.add_row("fingerprint", contents.head["fingerprint"])
    table.add_row("options", json.dumps(contents.head["identity"]["options"]))
    page.print(table)


def show_changed(place: Place, changed: dict[str, Any]) -> None:
    """What `verify` found where attributes of the root are not those of which the ledger tells."""
    page = console()
    for name, before in changed.items():
        was = "there was none" if before is None else f"it was {toml_value(before)}"
        page.print(f"damaged: zarr.json: attribute {name} is not what was written ({was})", soft_wrap=True)
    page.print(f"`siesweep verify {place.address} --repair` puts back what was written, and reads all else", soft_wrap=True)


def show_verified(place: Place, found: Verified) -> None:
    """What `verify` found."""
    page = console()
    missing = f"; {counted(found.missing, 'tile')} not run yet" if found.missing else ""
    read = f"{counted(found.tiles, 'tile')} and {found.arrays:,} arrays or parts of arrays read again"
    page.print(f"{place.address}: {read}{missing}", soft_wrap=True)
    if found.damaged_lines:
        page.print(f"{found.damaged_lines:,} lines of the ledger are damaged and do not count")
    if not found.damage:
        page.print("all is as it was written")
        return
    for damage in found.damage[:_MOST_DAMAGE]:
        page.print(f"damaged: {damage}", soft_wrap=True)
    if len(found.damage) > _MOST_DAMAGE:
        page.print(f"damaged: {len(found.damage) - _MOST_DAMAGE:,} more")
    page.print(
        f"{counted(len(found.damaged_tiles), 'tile')} to compute again, and the statistics; "
        f"`siesweep verify {place.address} --repair` does exactly that",
        soft_wrap=True,
    )


def show_replayed(found: Replayed, plot: Path | None) -> None:
    """A trajectory: its parameters, its outcomes beside those in the cube, its path."""
    page, spec = console(), found.spec
    where = "".join(f", {name} = {value:g}" for name, value in found.cell.items())
    page.print(f"{spec.name}: trajectory {found.index} (draw {found.draw}{where})", soft_wrap=True)
    table = Table(title="parameters", title_justify="left")
    for heading in ("name", "value", "unit"):
        table.add_column(heading)
    for parameter in spec.source.model().parameters:
        table.add_row(parameter.name, f"{found.parameters[parameter.name]:.9g}", parameter.unit)
    page.print(table)
    table = Table(title="outcomes", title_justify="left")
    for heading in ("name", "value", "unit", *(["in the cube"] if found.kept else [])):
        table.add_column(heading)
    differing = found.differing
    for label in spec.labels():
        kept = [] if not found.kept else ["DIFFERS" if label.name in differing else "the same bits"]
        table.add_row(label.name, _outcome(found.outcomes[label.name], label.kind == "flag"), label.unit, *kept)
    page.print(table)
    if found.kept is None:
        page.print("it is not stored in the cube yet, so there is nothing to compare it with", soft_wrap=True)
    table = Table(title="path", title_justify="left")
    table.add_column("months", justify="right")
    table.add_column("doublings of software", justify="right")
    for month, doublings in list(zip(found.times, found.doublings, strict=True))[:: len(found.times) // _ROWS_OF_A_PATH]:
        # No doublings are 0, and not -0.
        table.add_row(f"{month:.4g}", f"{doublings + 0.0:.5g}")
    page.print(table)
    if plot is not None:
        from sweep.plots import save_path

        save_path(spec, found.times, found.doublings, f"{spec.name}: trajectory {found.index}", plot)
        page.print(f"figure  {plot}", soft_wrap=True)


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
    console().print(table)


def show_model(model: Model) -> None:
    """The parameters and options of a model."""
    page = console()
    page.print(f"{model.title}\n{model.source}\n")
    table = Table(title=f"{model.name}: parameters", title_justify="left")
    for heading in ("name", "symbol", "unit", "default", "support", "meaning"):
        table.add_column(heading)
    for parameter in model.parameters:
        default = parameter.default if isinstance(parameter.default, str) else f"{parameter.default:g}"
        table.add_row(parameter.name, parameter.symbol, parameter.unit, default, parameter.support, parameter.meaning)
    page.print(table)
    if model.options:
        table = Table(title="options (first = default)", title_justify="left")
        for heading in ("name", "values", "meaning"):
            table.add_column(heading)
        for option in model.options:
            table.add_row(
                option.name, ", ".join(str(value).lower() if isinstance(value, bool) else value for value in option.values), option.meaning
            )
        page.print(table)
