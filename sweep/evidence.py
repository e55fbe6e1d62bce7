"""Named evidence: a distribution, or a number, with what it means and where it comes from, one a file.

    meaning = "returns to …"
    source = "authors, year, place"
    kind = "published" | "second hand" | "derived"
    unit = "months"        compared with that of the parameter, if given; "1" where there is none
    distribution = { lognormal = { ci90 = [0.8, 2.4] } }        or  value = 1.6, an estimate printed without an interval

Looked up in `evidence/` beside the config that asks for it, then among those that come with this package.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import model_validator

from kernels.sampling import Distribution
from sweep.distributions import DistributionTable
from sweep.document import read
from sweep.errors import Fault, near
from sweep.shipped import configs_directory
from sweep.tables import Number, Table, validated

_NAME = re.compile(r"[A-Za-z0-9_]+")


class EvidenceTable(Table):
    """An evidence file as it is written."""

    example: ClassVar[str] = "meaning, source, kind and distribution or value"

    meaning: str
    source: str
    kind: Literal["published", "second hand", "derived"]
    unit: str | None = None
    distribution: DistributionTable | None = None
    value: Number | None = None

    @model_validator(mode="after")
    def _is_one_or_the_other(self) -> EvidenceTable:
        if (self.distribution is None) == (self.value is None):
            raise Fault(
                "neither distribution nor value is given" if self.value is None else "distribution and value are given", "give one of them"
            )
        return self


@dataclass(frozen=True)
class Evidence:
    """What is known by a name. `written` is its distribution table or number, as in its file."""

    name: str
    meaning: str
    source: str
    kind: str
    unit: str | None
    written: dict[str, Any] | float
    resolved: Distribution | float


def names(beside: Path | None) -> tuple[str, ...]:
    """All names that a config in the folder `beside` may use."""
    return tuple(sorted({path.stem for directory in _directories(beside) for path in directory.glob("*.toml")}))


def find(name: str, beside: Path | None) -> Evidence:
    """The evidence of that name for a config in the folder `beside`. Raises Fault if there is none, SpecError if its file is wrong."""
    for directory in _directories(beside) if _NAME.fullmatch(name) else ():
        path = directory / f"{name}.toml"
        if path.is_file():
            return _from_file(name, path)
    raise Fault("no evidence of this name", near(name, names(beside), "known evidence"), "evidence")


def in_unit(known: Evidence, unit: str) -> Evidence:
    """The evidence, if a parameter with this unit can rest on it. Raises Fault."""
    if known.unit is not None and _kind_of_unit(known.unit) != _kind_of_unit(unit):
        problem = f"{known.name} is {_in_words(known.unit)}, and the parameter {_in_words(unit)}"
        raise Fault(problem, "use other evidence, or write the distribution itself", "evidence")
    return known


def _kind_of_unit(unit: str) -> str:
    """What units have in common that stand for one kind of number: all multiples of something, and all ways to write none."""
    return "×" if unit.startswith("×") else "1" if unit in ("", "–", "-", "1") else unit


def _in_words(unit: str) -> str:
    return {"×": "a multiple", "1": "a number without a unit"}.get(_kind_of_unit(unit), f"in {unit}")


def _directories(beside: Path | None) -> tuple[Path, ...]:
    own = (beside / "evidence",) if beside is not None else ()
    return tuple(directory for directory in (*own, configs_directory() / "evidence") if directory.is_dir())


def _from_file(name: str, path: Path) -> Evidence:
    document = read(path)
    table = validated(EvidenceTable, document.tables, document.file)
    if table.distribution is None:
        assert table.value is not None
        return Evidence(name, table.meaning, table.source, table.kind, table.unit, table.value, table.value)
    try:
        resolved = table.distribution.distribution(_refused)
    except Fault as fault:
        raise document.told(["distribution"], fault) from None
    return Evidence(name, table.meaning, table.source, table.kind, table.unit, document.tables["distribution"], resolved)


def _refused(name: str) -> Distribution | float:
    raise Fault("evidence cannot rest on other evidence", "write the distribution itself", "evidence")
