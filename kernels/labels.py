"""Labels: the names under which outcomes are reported, in words, with their units.

A flag is true or false (its statistic is a probability); a number has a unit and a scale, by which it is binned:

    duration  months, ≥ 0      ratio  a pace, ≥ 0, over many powers of two      signed  any sign, e.g. doublings      count  whole numbers
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Scale = Literal["duration", "ratio", "signed", "count"]


@dataclass(frozen=True)
class Label:
    """An outcome: its name, what to print it as, and for a number (not a flag) its unit and scale.

    `is_date` says that it is counted from the start. `derived` says that it is made of others that are reported beside it, of which those
    that are reached tell whether it is.
    """

    name: str
    long_name: str
    kind: Literal["flag", "numeric"] = "numeric"
    unit: str = "1"
    scale: Scale = "signed"
    is_date: bool = False
    derived: bool = False

    @property
    def is_gradient(self) -> bool:
        return self.derived and self.scale == "signed"


def date_of(what: str, long_name: str) -> Label:
    """The label of a date."""
    return Label(f"date_of_{what}", long_name, unit="months", scale="duration", is_date=True)


def warning_label(start: float, end: float) -> Label:
    """The label of the time from one multiple of the recent pace to another."""
    words = f"time from {start:g} to {end:g} times the recent pace"
    return Label(f"warning_time_{start:g}x_to_{end:g}x", words, unit="months", scale="duration", derived=True)


def gradient_of(label: Label, parameter: str) -> Label:
    """The label of the change of a number for one in the logarithm of a parameter."""
    words = f"{label.long_name}: change for a change of 1 in ln {parameter.replace('_', ' ')}"
    return Label(f"d_{label.name}_d_ln_{parameter}", words, unit=label.unit, scale="signed", derived=True)
