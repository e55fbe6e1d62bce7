"""The command `siesweep`: arguments in, one call, a table out. Heavy imports happen inside the commands, so that --help is quick.

Exit codes: 0 done · 1 could not proceed, or the numerical error exceeds the tolerance · 2 bad input · 3 interrupted, partial, or with
failed tiles.
"""

from __future__ import annotations

import importlib
import signal
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

if TYPE_CHECKING:
    from sweep.places import Place
    from sweep.spec import Spec

# Whether it can be read is found, and told, where it is read.
_FILE = click.Path(path_type=Path, readable=False)
_CONFIG = click.argument("config", type=_FILE)


class _Command(click.Group):
    """A group that ends every expected error in one line and its exit code."""

    def make_context(self, *arguments: Any, **named: Any) -> click.Context:
        try:
            return super().make_context(*arguments, **named)
        except click.UsageError as error:
            _end_in_one_line(error)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            _end_in_one_line(error)
        except (click.exceptions.Exit, click.ClickException, click.Abort):
            raise
        except KeyboardInterrupt:
            click.echo("siesweep: interrupted", err=True)
            sys.exit(3)
        except Exception as error:
            code = _exit_code(error)
            if code is None:
                raise
            told = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename is not None else error
            click.echo(f"siesweep: {told}", err=True)
            sys.exit(code)


def _end_in_one_line(error: click.UsageError) -> NoReturn:
    """End for an option or argument that cannot be. Of a group without a command the help is shown, as click has it."""
    if isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):
        raise error
    command = f" {error.ctx.info_name}" if error.ctx is not None and error.ctx.parent is not None else ""
    problem = " ".join(error.format_message().split())
    stop = "" if problem.endswith((".", "?")) else "."
    click.echo(f"siesweep: {problem[:1].lower()}{problem[1:]}{stop} Fix: see siesweep{command} --help.", err=True)
    sys.exit(error.exit_code)


def _exit_code(error: Exception) -> int | None:
    """The exit code of an error that is the user's to mend, or None for one that is ours."""
    from sweep.errors import SpecError

    if isinstance(error, SpecError):
        return 2
    # Results or a path that cannot be written; a pipe that was closed is nobody's error.
    if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
        return 1
    # Whatever can raise these has imported them.
    for module, name, code in (
        ("sweep.coordinator", "Interrupted", 3),
        ("sweep.coordinator", "RunError", 1),
        ("sweep.store", "StoreError", 1),
        ("sweep.ledger", "LedgerError", 1),
        ("sweep.cube", "CubeError", 1),
        ("sweep.places", "AddressError", 2),
        ("sweep.places", "PlaceError", 1),
    ):
        if module in sys.modules and isinstance(error, getattr(sys.modules[module], name)):
            return code
    return None


@click.group(cls=_Command, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(package_name="siesweep")
def main() -> None:
    """Sweep models of a software intelligence explosion: millions of trajectories a second, into one sliceable cube."""


def _changes(function: Callable[..., None]) -> Callable[..., None]:
    """Options that change a config from outside."""
    function = click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a key, e.g. parameters.returns=1.2.")(
        function
    )
    function = click.option("--seed", type=int, help="Seed of the draws.")(function)
    return click.option("--draws", type=int, help="Draws in all.")(function)


def _shard(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    number, slash, shards = value.partition("/")
    if not (slash and number.isdecimal() and shards.isdecimal() and 1 <= int(number) <= int(shards)):
        raise click.BadParameter(f"{value!r} is not K/N with K from 1 to N, e.g. 1/4")
    return int(number), int(shards)


@main.command()
@_CONFIG
@click.option("-o", "--output", metavar="STORE", help="The store, a path or a URL. [default: results/NAME.zarr]")
@_changes
@click.option("--executor", type=click.Choice(["inline", "dask"]), help="This process, or dask's workers. [default: inline]")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Devices, or dask's workers, to use. [default: accelerators, or cores, as many as the sweep is worth]",
)
@click.option("--scheduler", metavar="ADDRESS", help="A dask scheduler that runs already, e.g. tcp://host:8786.")
@click.option("--shard", metavar="K/N", callback=_shard, help="Run the K-th of N shares; other launchers run the others.")
@click.option("--mix", is_flag=True, help="Go on with a store whose tiles another jaxlib or kind of device made.")
def run(
    config: Path,
    output: str | None,
    draws: int | None,
    seed: int | None,
    settings: tuple[str, ...],
    executor: str | None,
    workers: int | None,
    scheduler: str | None,
    shard: tuple[int, int] | None,
    mix: bool,
) -> None:
    """Run a sweep into a cube, or go on with it; ends with the results.

    The same command again resumes a run that was stopped, and returns at once when all is done. More --draws extend it.
    """
    spec = _load(config, draws, seed, settings)
    how = {"executor": executor, "workers": workers, "scheduler": scheduler, "shard": shard, "mix_versions": mix}
    _run(spec, _default_store(spec) if output is None else output, **how)


def _run(spec: Spec, store: str, **how: Any) -> None:
    """Run a sweep with its progress on stderr, and print the results."""
    from sweep.coordinator import ToleranceError
    from sweep.coordinator import run as run_sweep
    from sweep.cube import open_cube
    from sweep.places import place_of
    from sweep.printed_results import figure_of, show_results
    from sweep.printing import show_partial
    from sweep.progress import shown_on

    place = place_of(store)
    _end_as_interrupted()
    late: ToleranceError | None = None
    with shown_on(sys.stderr, spec.name) as progress:
        try:
            cube = run_sweep(spec, store, progress=progress, announce=lambda message: click.echo(message, err=True), **how)
        except ToleranceError as error:
            # Another launcher may have begun to extend it since.
            late, cube = error, open_cube(store, allow_partial=True)
    if cube.attrs["complete"]:
        show_results(spec, cube, place, figure_of(place))
    elif late is None:
        show_partial(place, how["shard"])
    if late is not None:
        raise late


def _end_as_interrupted() -> None:
    """Take the signal by which a batch system ends a job for the user's own interrupt: what is done is kept, and exit code 3."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


@main.command()
@_CONFIG
@_changes
@click.option("--workers", type=click.IntRange(min=1), help="Devices to plan for. [default: cores, as many as the sweep is worth]")
def plan(config: Path, draws: int | None, seed: int | None, settings: tuple[str, ...], workers: int | None) -> None:
    """Say what a sweep will take: trajectories, tiles, memory, disk, time. Runs nothing."""
    spec = _load(config, draws, seed, settings)
    from sweep.execute.inline import cores
    from sweep.places import place_of
    from sweep.plan import make_plan, worthwhile_workers
    from sweep.printing import show_plan

    count = workers or spec.run.workers or min(cores(), worthwhile_workers(spec))
    planned = make_plan(spec, count)
    place = place_of(_default_store(spec))
    show_plan(planned, count, None if place.exists() else place.free_bytes())


def _default_store(spec: Spec) -> str:
    return f"results/{spec.name}.zarr"


@main.command()
@click.argument("store")
@click.option("--config", is_flag=True, help="Print the config that the cube was made from.")
def status(store: str, config: bool) -> None:
    """Say what a store holds and how far its sweep is, from a run that is under way too."""
    from sweep.cube import attributes
    from sweep.places import place_of
    from sweep.printing import show_status

    place = place_of(store)
    held = attributes(place)
    if config:
        click.echo(held["spec"], nl=False)
    else:
        show_status(place, held, _shares_to_run(place, held))


def _shares_to_run(place: Place, held: dict[str, Any]) -> list[str]:
    """The shares of a sweep that lack tiles, where that can be known: not of code of the user's own, which is never loaded from a cube."""
    from kernels import models
    from sweep import ledger
    from sweep.coordinator import missing_shares
    from sweep.prepare import plan_of, spec_of

    contents = ledger.read(place)
    if held["complete"] or held["model"] not in models.names() or not contents.launches.keys() - {ledger.WHOLE}:
        return []
    return missing_shares(plan_of(spec_of(place), place), contents)


_FROM_CONFIG = click.option("--config", type=_FILE, help="The config that the cube was made from, where its model is your own code.")


@main.command()
@click.argument("store")
@click.option("--draws", type=int, required=True, help="Draws in all.")
@_FROM_CONFIG
@click.option("--executor", type=click.Choice(["inline", "dask"]), help="This process, or dask's workers. [default: inline]")
@click.option("--workers", type=click.IntRange(min=1), help="Devices, or dask's workers, to use.")
@click.option("--scheduler", metavar="ADDRESS", help="A dask scheduler that runs already, e.g. tcp://host:8786.")
@click.option("--mix", is_flag=True, help="Go on with a store whose tiles another jaxlib or kind of device made.")
def extend(
    store: str, draws: int, config: Path | None, executor: str | None, workers: int | None, scheduler: str | None, mix: bool
) -> None:
    """Add draws to a cube, from the cube alone; what is finished is not computed again."""
    from sweep.places import place_of
    from sweep.prepare import spec_of

    spec = spec_of(place_of(store), _config(config))
    _run(spec.replace({"sweep.draws": draws}), store, executor=executor, workers=workers, scheduler=scheduler, mix_versions=mix)


@main.command(context_settings={"allow_extra_args": True})
@click.argument("store")
@_FROM_CONFIG
@click.pass_context
def merge(context: click.Context, store: str, config: Path | None) -> None:
    """Finish a sweep whose shards are all done, and print its results."""
    from sweep import ledger
    from sweep.amounts import counted
    from sweep.coordinator import check_tolerance, missing_shares
    from sweep.coordinator import merge as merge_shards
    from sweep.cube import CubeError, open_cube
    from sweep.errors import SpecError
    from sweep.places import place_of
    from sweep.prepare import plan_of, spec_of
    from sweep.printed_results import figure_of, show_results

    if context.args:
        copy = f"copy what the others hold into {store} (cp -rn {context.args[0]}/. {store}/), then `siesweep merge {store}`"
        raise SpecError(f"siesweep merge {store} {' '.join(context.args)}", "", None, "one store is wanted", copy)
    place = place_of(store)
    spec = spec_of(place, _config(config))
    if not merge_shards(spec, place):
        held = ledger.read(place)
        shares = ", ".join(missing_shares(plan_of(spec, place), held)) or "none was run"
        raise CubeError(
            f"{store}: only {counted(len(held.receipts), 'tile')} finished; run the shards that are missing ({shares}), or copy them here "
            "from the store that they were run into"
        )
    cube = open_cube(place)
    show_results(spec, cube, place, figure_of(place))
    check_tolerance(spec, place, cube)


@main.command()
@click.argument("store")
@_FROM_CONFIG
def report(store: str, config: Path | None) -> None:
    """Print the results of a finished cube, as at the end of its run, and draw its figure."""
    from sweep.coordinator import check_tolerance
    from sweep.cube import open_cube
    from sweep.places import place_of
    from sweep.prepare import spec_of
    from sweep.printed_results import figure_of, show_results

    place = place_of(store)
    cube = open_cube(place)
    spec = spec_of(place, _config(config))
    show_results(spec, cube, place, figure_of(place))
    check_tolerance(spec, place, cube)


@main.command()
@click.argument("store")
@click.option("--repair", is_flag=True, help="Compute exactly the damaged tiles again.")
@click.option("--mix", is_flag=True, help="Repair a store whose tiles another jaxlib or kind of device made.")
@_FROM_CONFIG
def verify(store: str, repair: bool, mix: bool, config: Path | None) -> None:
    """Read every array of a cube again and hold it against its receipt; names what is damaged."""
    from sweep.places import place_of
    from sweep.prepare import spec_of
    from sweep.printing import show_changed, show_verified
    from sweep.progress import counted_on
    from sweep.verify import changed_attributes, restore_attributes, withdraw
    from sweep.verify import verify as verify_store

    place = place_of(store)
    changed = changed_attributes(place)
    if changed:
        show_changed(place, changed)
        if not repair:
            sys.exit(1)
        # First: they say which tiles there are.
        restore_attributes(place, changed)
    spec = spec_of(place, _config(config))
    with counted_on(sys.stderr, f"verify {store}") as progress:
        found = verify_store(place, spec, progress)
    show_verified(place, found)
    if found.damage and not repair:
        sys.exit(1)
    if found.damage:
        from sweep.coordinator import refuse_repair

        # Its config may ask for dask, but it was made without.
        executor = "inline" if place.one_writer else None
        if found.damaged_tiles:
            refuse_repair(spec, place, executor, mix)
        withdraw(place, spec, found)
        _run(spec, store, executor=executor, mix_versions=mix)


@main.command()
@click.argument("store")
@click.option("--index", type=int, required=True, help="The trajectory: its cell's number times the draws, plus its draw.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw its path into this file (PNG).")
@_FROM_CONFIG
def replay(store: str, index: int, plot: Path | None, config: Path | None) -> None:
    """Compute one trajectory of a cube again, from the cube alone, and print it."""
    from sweep.places import place_of
    from sweep.printing import show_replayed
    from sweep.replay import replay as replay_trajectory

    show_replayed(replay_trajectory(place_of(store), index, _config(config)), plot)


def _config(path: Path | None) -> Spec | None:
    from sweep.spec import load

    return None if path is None else load(path)


@main.command()
@click.argument("name", required=False)
def models(name: str | None) -> None:
    """List the models, or the parameters and options of one: of ours, installed, or your own (FILE.py:CLASS)."""
    from kernels import models as known
    from sweep.errors import Fault, SpecError
    from sweep.model_source import find, installed
    from sweep.printing import show_model, show_models

    if name is None:
        show_models([known.get(each) for each in known.names()], sorted(installed()))
        return
    try:
        model = find(name, Path.cwd()).model()
    except Fault as fault:
        raise SpecError("siesweep models", "NAME", name, fault.problem, fault.fix) from None
    show_model(model)


@main.command()
@click.argument("suite", required=False)
@click.option(
    "--json",
    "json_path",
    type=click.Path(path_type=Path),
    is_flag=False,
    flag_value=Path("-"),
    help="Write the record too. [default: stdout]",
)
def bench(suite: str | None, json_path: Path | None) -> None:
    """Measure what is fast, against whom, on this machine."""
    # Imports point from benchmarks to sweep, never back: it is found by name.
    sys.exit(importlib.import_module("benchmarks").main(suite, json_path))


def _load(config: Path, draws: int | None, seed: int | None, settings: tuple[str, ...]) -> Spec:
    from sweep.errors import SpecError, in_one_line
    from sweep.spec import load

    overrides: dict[str, object] = {}
    for setting in settings:
        key, separator, text = setting.partition("=")
        if not separator or not key.strip():
            raise SpecError(f"--set {setting}", "", None, "not KEY=VALUE", "write e.g. --set parameters.returns=1.2")
        try:
            overrides[key.strip()] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError as error:
            if text.strip().startswith(("{", "[", '"', "'")):
                example = "--set 'parameters.returns={ uniform = [0.5, 2] }'"
                problem = f"the value is not valid TOML ({in_one_line(error)})"
                raise SpecError(f"--set {setting}", "", None, problem, f"write it as in a config, e.g. {example}") from None
            # A bare word is meant as text: --set model.ceiling=linear.
            overrides[key.strip()] = text.strip()
    if draws is not None:
        overrides["sweep.draws"] = draws
    if seed is not None:
        overrides["sweep.seed"] = seed
    return load(config, overrides)


@main.command()
@click.argument("name", required=False)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change an input, e.g. labour_share=0.3.")
def calculate(name: str | None, settings: tuple[str, ...]) -> None:
    """List the calculators, or print the result of one beside what its source prints."""
    from sweep.calculators.tables import show

    show(name, settings)


if __name__ == "__main__":
    main()
