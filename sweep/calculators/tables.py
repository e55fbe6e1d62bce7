"""What `siesweep calculate` prints: the calculators there are, or the inputs and the result of one."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from sweep.calculators.calculator import Input, InputError, calculate, get, names, quantities
from sweep.errors import SpecError

_WIDTH_OF_A_FILE = 200


def show(name: str | None, settings: Sequence[str]) -> None:
    """Print all calculators, or the result of one for the inputs in `settings`, each KEY=VALUE. Raises SpecError."""
    if name is None:
        if settings:
            raise SpecError("siesweep calculate", "NAME", None, "--set is given, but no calculator", f"name one of {', '.join(names())}")
        _print(_all())
        return
    try:
        _print(*_one(name, dict(map(_setting, settings))))
    except InputError as error:
        place = "NAME" if error.key == "NAME" else f"--set.{error.key}"
        raise SpecError("siesweep calculate", place, error.value, error.problem, error.fix) from None


def _setting(text: str) -> tuple[str, object]:
    """Key and value of KEY=VALUE. Raises InputError."""
    key, separator, value = text.partition("=")
    if not separator or not key.strip():
        raise InputError("KEY=VALUE", text, "not KEY=VALUE", "write e.g. --set labour_share=0.3")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        raise InputError(key.strip(), value.strip(), "not a number or a list", "write e.g. 0.3, inf or [0.6, 0.2]") from None


def _all() -> Table:
    table = Table(title="calculators", title_justify="left")
    for heading in ("name", "what it answers", "inputs", "source"):
        table.add_column(heading)
    for name in names():
        known = get(name)
        table.add_row(name, known.title, ", ".join(known.inputs), known.source)
    return table


def _one(name: str, given: dict[str, object]) -> tuple[Table, Table]:
    """The inputs and the quantities of a calculator; printed values only beside the source's own inputs."""
    known, result = calculate(name, given)
    used = dict(known.defaults) | given
    own = all((tuple(value) if isinstance(value, list) else value) == known.defaults[key] for key, value in given.items())
    inputs = Table(title=f"{name}: {known.title}", title_justify="left")
    for heading in ("input", "value", "unit", "range", "meaning"):
        inputs.add_column(heading, justify="right" if heading == "value" else "left")
    for key, described in known.inputs.items():
        inputs.add_row(key, _text(used[key]), described.unit, _range(described), described.meaning)
    outputs = Table()
    for heading in ("quantity", "value", "unit", "published", "meaning", "source"):
        outputs.add_column(heading, justify="right" if heading in ("value", "published") else "left")
    for key, (value, about) in quantities(result).items():
        outputs.add_row(key, _text(value), about["unit"], about["printed"] if own else "", about["meaning"], known.source)
    return inputs, outputs


def _range(described: Input) -> str:
    """The bounds of an input, e.g. > 0, < 1."""
    bounds = ((">", described.above), ("≥", described.least), ("<", described.below), ("≤", described.most))
    return ", ".join(f"{sign} {bound:g}" for sign, bound in bounds if abs(bound) != float("inf"))


def _text(value: object, digits: int = 6) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(each, 5) for each in value)
    return f"{value:,.{digits}g}" if isinstance(value, (int, float)) else str(value)


def _print(*tables: Table) -> None:
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else _WIDTH_OF_A_FILE, highlight=False)
    for table in tables:
        console.print(table)
