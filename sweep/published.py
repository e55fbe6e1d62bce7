"""Published numbers: which of ours each is to be set beside.

label = { value, tolerance, place, statistic = "probability" | "mean" | "quantile_0.5", at = { axis = value } }, or a list of them
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from kernels.outcomes import Label
from sweep.axes import Axis
from sweep.config import Config, PublishedTable
from sweep.document import Document
from sweep.errors import SpecError, near
from sweep.outcome_spec import StatisticsSpec


class PublishedNumber(BaseModel):
    """A number that others have printed, and the one of ours to set beside it. `tolerance` is absolute."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    label: str
    value: float
    tolerance: float
    place: str
    statistic: str
    at: dict[str, float]


def published_numbers(
    document: Document, config: Config, axes: Mapping[str, Axis], outcomes: tuple[Label, ...]
) -> tuple[PublishedNumber, ...]:
    """The published numbers of `config`; `outcomes` are those asked for.

    Raises SpecError for one that has no counterpart; where the document was altered from outside, it is left out instead.
    """
    labels = {label.name: label for label in outcomes}
    numbers = []
    for name, written in config.published.items():
        if name not in labels:
            if document.altered:
                continue
            raise document.error(["published", name], "no such outcome is asked for", near(name, labels, "outcomes"))
        for index, number in enumerate(written if isinstance(written, tuple) else (written,)):
            place: list[str | int] = ["published", name, index] if isinstance(written, tuple) else ["published", name]
            try:
                statistic, at = _statistic(document, place, number, labels[name], config.statistics), _cell(document, place, number, axes)
            except SpecError:
                if document.altered:
                    continue
                raise
            numbers.append(
                PublishedNumber(label=name, value=number.value, tolerance=number.tolerance, place=number.place, statistic=statistic, at=at)
            )
    return tuple(numbers)


def _statistic(document: Document, place: list[str | int], number: PublishedTable, label: Label, statistics: StatisticsSpec) -> str:
    """The name of the statistic that is set beside the published number."""
    if label.kind == "flag":
        computed = ["probability"] if statistics.probability else []
    else:
        computed = (["mean"] if statistics.mean else []) + [f"quantile_{quantile:g}" for quantile in statistics.quantiles]
    statistic = number.statistic or ("probability" if label.kind == "flag" else "mean")
    if statistic not in computed:
        raise document.error(
            [*place, "statistic"], f"{label.name} has no statistic {statistic}", near(statistic, computed, "its statistics")
        )
    return statistic


def _cell(document: Document, place: list[str | int], number: PublishedTable, axes: Mapping[str, Axis]) -> dict[str, float]:
    """The axis values of the cell that the number belongs to, exactly as the axes have them."""
    for name in number.at:
        if name not in axes:
            raise document.error([*place, "at", name], "not an axis of this sweep", near(name, axes, "axes"))
    cell = {}
    for name, axis in axes.items():
        if name not in number.at:
            raise document.error([*place, "at"], f"does not say at which {name}", f"add at = {{ {name} = … }}")
        wanted = number.at[name]
        nearest = min(axis.values, key=lambda value: abs(value - wanted))
        if not math.isclose(nearest, wanted, rel_tol=1e-9):
            raise document.error([*place, "at", name], f"{wanted:g} is not on the axis", f"use one of its values, e.g. {nearest:g}")
        cell[name] = nearest
    return cell
