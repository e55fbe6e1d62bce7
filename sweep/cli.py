"""The command `siesweep`: arguments in, one call, a table out. Heavy imports happen inside the commands, so that --help is quick.

Exit codes: 0 done · 1 could not proceed, or the numerical error exceeds the tolerance · 2 bad input · 3 interrupted, partial, or with
failed tiles.
"""

from __future__ import annotations

import importlib
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from sweep.spec import Spec

_CONFIG = click.argument("config", type=click.Path(path_type=Path))


class _Command(click.Group):
    """A group that ends every expected error in one line and its exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.ClickException, click.Abort):
            raise
        except KeyboardInterrupt:
            click.echo("siesweep: interrupted", err=True)
            sys.exit(3)
        except Exception as error:
            code = _exit_code(error)
            if code is None:
                raise
            click.echo(f"siesweep: {error}", err=True)
            sys.exit(code)


def _exit_code(error: Exception) -> int | None:
    """The exit code of an error that is the user's to mend, or None for one that is ours."""
    from sweep.errors import SpecError

    if isinstance(error, SpecError):
        return 2
    # Results or a figure that cannot be written; a pipe that was closed is nobody's error.
    if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
        return 1
    # Whatever can raise these has imported them.
    for module, name, code in (
        ("sweep.coordinator", "Interrupted", 3),
        ("sweep.coordinator", "RunError", 1),
        ("sweep.store", "StoreError", 1),
        ("sweep.ledger", "LedgerError", 1),
        ("sweep.cube", "CubeError", 1),
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


@main.command()
@_CONFIG
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The store. [default: results/NAME.zarr]")
@_changes
@click.option(
    "--workers", type=click.IntRange(min=1), help="Devices to use. [default: accelerators, or cores, as many as the sweep is worth]"
)
@click.option("--mix", is_flag=True, help="Go on with a store whose tiles another jaxlib or kind of device made.")
def run(
    config: Path, output: Path | None, draws: int | None, seed: int | None, settings: tuple[str, ...], workers: int | None, mix: bool
) -> None:
    """Run a sweep into a cube, or go on with it; ends with the results.

    The same command again resumes a run that was stopped, and returns at once when all is done. More --draws extend it.
    """
    spec = _load(config, draws, seed, settings)
    store = output or Path("results") / f"{spec.name}.zarr"
    from sweep.coordinator import ToleranceError
    from sweep.coordinator import run as run_sweep
    from sweep.cube import open_cube
    from sweep.printing import show_results
    from sweep.progress import shown_on

    late: ToleranceError | None = None
    with shown_on(sys.stderr, spec.name) as progress:
        try:
            cube = run_sweep(spec, store, workers=workers, progress=progress, mix_versions=mix)
        except ToleranceError as error:
            late, cube = error, open_cube(store)
    figure = store.with_suffix(".png")
    show_results(spec, cube, store, figure)
    if late is not None:
        raise late


@main.command()
@_CONFIG
@_changes
@click.option("--workers", type=click.IntRange(min=1), help="Devices to plan for. [default: cores, as many as the sweep is worth]")
def plan(config: Path, draws: int | None, seed: int | None, settings: tuple[str, ...], workers: int | None) -> None:
    """Say what a sweep will take: trajectories, tiles, memory, disk, time. Runs nothing."""
    spec = _load(config, draws, seed, settings)
    from sweep.execute.inline import cores
    from sweep.plan import make_plan, worthwhile_workers
    from sweep.printing import show_plan

    count = workers or spec.run.workers or min(cores(), worthwhile_workers(spec))
    show_plan(make_plan(spec, count), count)


@main.command()
@click.argument("store", type=click.Path(path_type=Path))
@click.option("--config", is_flag=True, help="Print the config that the cube was made from.")
def status(store: Path, config: bool) -> None:
    """Say what a store holds and how far its sweep is."""
    from sweep.cube import attributes
    from sweep.printing import show_status

    held = attributes(store)
    if config:
        click.echo(held["spec"], nl=False)
    else:
        show_status(store, held)


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
    from sweep.errors import SpecError
    from sweep.spec import load

    overrides: dict[str, object] = {}
    for setting in settings:
        key, separator, text = setting.partition("=")
        if not separator or not key.strip():
            raise SpecError("--set", "", setting, "not KEY=VALUE", "write e.g. --set parameters.returns=1.2")
        try:
            overrides[key.strip()] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
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
