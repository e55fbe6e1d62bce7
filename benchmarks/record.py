"""A record: what a suite measured, as tables whose columns say how they are read, with the environment; written and read as JSON.

A file holds {suite: record}. A cell is a text, a number, a truth value, a Spread (median, low, high, runs), or None where nothing can be
said.
"""

from __future__ import annotations

import datetime
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

Kind = Literal["text", "rate", "seconds", "bytes", "ratio", "error", "count", "truth"]
STANDARD_OUTPUT = Path("-")


@dataclass(frozen=True)
class Column:
    """A column: the key of its cells in a row, its heading, and the kind of quantity."""

    key: str
    heading: str
    kind: Kind = "text"


@dataclass(frozen=True)
class Table:
    """A table of a record, and what has to be said of it."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Record:
    """What one run of a suite measured. `small` runs test the suite, and are not worth quoting."""

    suite: str
    small: bool
    tables: tuple[Table, ...]
    environment: Mapping[str, Any]
    """As `environment()` found it before anything ran."""
    measured: str = field(default_factory=lambda: datetime.datetime.now(datetime.UTC).date().isoformat())


class NothingToMeasure(Exception):
    """The machine lacks what a suite is about."""


FIGURES = (
    Column("figure", "figure"),
    Column("measured", "measured"),
    Column("asked", "asked"),
    Column("reached", "reached", "truth"),
)
"""Columns of a table that holds measurements against what is asked of them."""


def write(records: Sequence[Record], path: Path) -> None:
    """Write records to a file, to standard output ("-"), or one file a suite into a folder (a path without a suffix)."""
    if path.is_dir() or (path != STANDARD_OUTPUT and not path.suffix and not path.exists()):
        path.mkdir(parents=True, exist_ok=True)
        for record in records:
            write([record], path / f"{record.suite}.json")
        return
    text = json.dumps({record.suite: asdict(record) for record in records}, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    if path == STANDARD_OUTPUT:
        sys.stdout.write(text)
    else:
        path.write_text(text, encoding="utf-8")


def read(path: Path) -> dict[str, Record]:
    """The records of a file, by suite."""
    found = json.loads(path.read_text(encoding="utf-8"))
    return {suite: Record(**{**record, "tables": tuple(_table(table) for table in record["tables"])}) for suite, record in found.items()}


def _table(table: Mapping[str, Any]) -> Table:
    columns = tuple(Column(**column) for column in table["columns"])
    return Table(table["title"], columns, tuple(table["rows"]), tuple(table["notes"]))
