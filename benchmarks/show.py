"""Records as text: cells in words, tables on the screen. Does without rich where it is not installed, as on a machine that only has JAX."""

from __future__ import annotations

import math
from typing import Any, TextIO

from benchmarks.record import Kind, Record, Table

_SCALES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
_WIDTH_OF_A_FILE = 160


def cell(value: Any, kind: Kind) -> str:
    """A cell in words: a Spread as its median and range, None as a dash."""
    if value is None:
        return "–"
    if isinstance(value, dict):
        middle = _number(value["median"], kind)
        return middle if value["runs"] == 1 else f"{middle} ({_number(value['low'], kind)} to {_number(value['high'], kind)})"
    return _number(value, kind)


def _number(value: Any, kind: Kind) -> str:
    if kind == "text":
        return str(value)
    if kind == "truth":
        return "yes" if value else "no"
    if kind == "count":
        return f"{value:,}"
    if kind == "error":
        return f"{value:.1e}" if value else "0"
    if kind == "ratio":
        return f"{_digits(value)}×"
    if kind == "seconds":
        return f"{value * 1000:.0f} ms" if value < 0.9995 else f"{value:.2f} s"
    if kind == "bytes":
        return f"{value / 2**20:,.0f} MiB"
    scale, name = next(((scale, name) for scale, name in _SCALES if value >= scale), (1.0, ""))
    return f"{_digits(value / scale)} {name}/s"


def _digits(value: float) -> str:
    """Three significant digits, no exponent."""
    return f"{value:.{max(0, 2 - math.floor(math.log10(value)))}f}" if value > 0 else "0"


def environment_line(record: Record) -> str:
    """Hardware, versions and revision in one line."""
    held = record.environment
    hardware, versions = held["hardware"], held["versions"]
    parts = [f"{hardware['processor']}, {hardware['cores']} cores"]
    if "accelerator" in hardware:
        parts.append(hardware["accelerator"])
    parts += [f"{name} {versions[name]}" for name in ("python", "jax", "numpy") if name in versions]
    parts.append(f"revision {held['revision']}" if held["revision"] else "no revision known")
    if held["load_before"]:
        parts.append(f"load before {held['load_before'][0]}")
    return f"{'Small mode, not to be quoted. ' if record.small else ''}{'; '.join(parts)}; {record.measured}"


def rows(table: Table) -> list[list[str]]:
    """The cells of a table in words."""
    return [[cell(row.get(column.key), column.kind) for column in table.columns] for row in table.rows]


def show(record: Record, stream: TextIO) -> None:
    """Print a record."""
    try:
        from rich.console import Console
        from rich.table import Table as Rich
    except ModuleNotFoundError:
        stream.write(_plain(record))
        return
    console = Console(file=stream, width=None if stream.isatty() else _WIDTH_OF_A_FILE, highlight=False, markup=False)
    console.print(f"{record.suite}: {environment_line(record)}")
    for table in record.tables:
        shown = Rich(title=table.title, title_justify="left")
        for column in table.columns:
            shown.add_column(column.heading, justify="left" if column.kind in ("text", "truth") else "right")
        for row in rows(table):
            shown.add_row(*row)
        console.print(shown)
        for note in table.notes:
            console.print(f"  {note}")


def _plain(record: Record) -> str:
    lines = [f"{record.suite}: {environment_line(record)}"]
    for table in record.tables:
        cells = [[column.heading for column in table.columns], *rows(table)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines += ["", table.title]
        lines += ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in cells]
        lines += [f"  {note}" for note in table.notes]
    return "\n".join(lines) + "\n"
