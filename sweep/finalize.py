"""Finalisation: statistics made from the partial sums of all tiles, merged in the order of the blocks."""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterator, Mapping
from typing import Any

import numpy as np

from sweep import estimators
from sweep.layout import PARTIALS
from sweep.plan import Box, Plan, slices
from sweep.store import CubeStore, StoreError

_NOT_RUN, _DONE, _FAILED = 0, 1, 2
"""What status says of a cell."""
MEASURED = (
    "numerical_error",
    "numerical_error_by_outcome",
    "flags_that_differ_in_the_audit",
    "failed_trajectories",
    "cut_off_trajectories",
    "audited_trajectories",
    "first_failed_index",
)
"""The attributes that say what was measured about a finished sweep."""


def write_statistics(plan: Plan, store: CubeStore) -> dict[str, Any]:
    """Write /statistics and status of a sweep all of whose tiles are done. What lay there before is overwritten unread.

    Returns what was measured about the sweep, for the attributes.
    """
    measured = _Measured(plan)
    for slab, boxes in _slabs(plan, store):
        store.write_statistics(slab, _made(plan, store, slab, dict.fromkeys(boxes, _DONE), measured))
    return measured.attributes()


def write_partial_statistics(plan: Plan, store: CubeStore, done: Container[Box], failed: Container[Box], computed: Container[Box]) -> None:
    """Write /statistics and status of a sweep that is not finished, for those who read it meanwhile; boxes that are not done stay empty.

    Only where something has changed: a box of cells has another status than before, or tiles of it were `computed` since.
    """
    try:
        before = store.status()
    except StoreError:
        before = None
    for slab, boxes in _slabs(plan, store):
        status = {box: _FAILED if box in failed else _DONE if box in done else _NOT_RUN for box in boxes}
        if before is None or any(box in computed or (before[slices(box)] != code).any() for box, code in status.items()):
            store.write_statistics(slab, _made(plan, store, slab, status, _Measured(plan)), settled=True)


def _slabs(plan: Plan, store: CubeStore) -> Iterator[tuple[Box, list[Box]]]:
    """What is written together, and the boxes of cells in it."""
    for slab, boxes in itertools.groupby(plan.boxes(), lambda box: store.slab(plan, box)):
        yield slab, list(boxes)


def _made(plan: Plan, store: CubeStore, slab: Box, status: Mapping[Box, int], measured: _Measured) -> dict[str, np.ndarray]:
    """The statistics and status of a slab, by the path of their array; the boxes that are done are added to what is `measured`."""
    values = store.empty_statistics(plan, slab)
    for box, code in status.items():
        place = tuple(slice(start - first, stop - first) for (start, stop), (first, _) in zip(box, slab, strict=True))
        values["status"][place] = code
        if code == _DONE:
            parts = store.read_partials(box, PARTIALS)
            for name, made in _statistics(plan, store, box, parts).items():
                values[name][place] = made
            measured.add(box, parts)
    return values


class _Measured:
    """What the attributes of a cube say of its trajectories."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._worst = np.zeros(len(plan.study.numbers))
        self._differ = np.zeros(len(plan.study.flags), np.int64)
        self._counts = {"failed_trajectories": 0, "cut_off_trajectories": 0, "audited_trajectories": 0}
        self._first_failed: list[int] = []

    def add(self, box: Box, parts: Mapping[str, np.ndarray]) -> None:
        everywhere = tuple(range(len(self._plan.axis_lengths) + 1))
        self._worst = np.maximum(self._worst, parts["error"].max(everywhere, initial=0))
        self._differ += parts["differ"].sum(everywhere, dtype=np.int64)
        for name in self._counts:
            self._counts[name] += int(parts[name.removesuffix("_trajectories")].sum(dtype=np.int64))
        self._first_failed += _first_failed(self._plan, box, parts["first_failed"])

    def attributes(self) -> dict[str, Any]:
        study = self._plan.study
        return {
            "numerical_error": float(self._worst.max(initial=0)),
            "numerical_error_by_outcome": {label.name: float(error) for label, error in zip(study.numbers, self._worst, strict=True)},
            "flags_that_differ_in_the_audit": {label.name: int(count) for label, count in zip(study.flags, self._differ, strict=True)},
            **self._counts,
            "first_failed_index": min(self._first_failed, default=None),
        }


def _statistics(plan: Plan, store: CubeStore, box: Box, parts: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The statistics of a box of cells, by the path of their array."""
    study, statistics, axis = plan.study, plan.spec.statistics, len(plan.axis_lengths)
    varies = bool(study.design.distributions)
    valid = parts["valid"].sum(axis, dtype=np.int64)
    values: dict[str, np.ndarray] = {}
    if statistics.probability and study.flags:
        true = parts["true"].sum(axis, dtype=np.int64)
        values["statistics/probability"], values["statistics/probability_se"] = estimators.ratio(true, valid[..., None, :], varies)
    finite = parts["finite"].sum(axis, dtype=np.int64)
    # In order, in float64: the one order in which blocks are ever added.
    sums = np.add.reduce(np.moveaxis(parts["sum"].astype(np.float64), axis, 0), axis=0)
    least, greatest = parts["least"].min(axis).astype(np.float64), parts["greatest"].max(axis).astype(np.float64)
    for index, label in enumerate(study.numbers):
        group = f"statistics/{label.name}"
        if statistics.probability:
            share = estimators.ratio(finite[..., index, :], valid, varies)
            values[f"{group}/probability_finite"], values[f"{group}/probability_finite_se"] = share
        if statistics.mean:
            mean = estimators.ratio(sums[..., index, :], finite[..., index, :], varies)
            values[f"{group}/mean"], values[f"{group}/mean_se"] = mean
        if statistics.histogram or statistics.quantiles:
            histogram = store.read_histogram(box, label.name)
            if statistics.histogram:
                values[f"{group}/histogram"] = histogram.sum(-2)
            if statistics.quantiles:
                edges = study.bins(label).edges
                ends = least[..., index], greatest[..., index]
                found = estimators.quantiles(histogram, edges, statistics.quantiles, *ends, varies)
                values[f"{group}/quantile_value"], values[f"{group}/quantile_se"] = found
    return values


def _first_failed(plan: Plan, box: Box, place: np.ndarray) -> list[int]:
    """The index (cell by cell, draw by draw) of the first trajectory that failed in each cell of a box; `place` is where in its block."""
    found: list[int] = []
    if (place >= plan.spec.block).all():
        return found
    for cell in itertools.product(*(range(stop - start) for start, stop in box)):
        blocks = np.flatnonzero(place[cell] < plan.spec.block)
        if len(blocks):
            whole = tuple(start + inner for (start, _), inner in zip(box, cell, strict=True))
            number = int(np.ravel_multi_index(whole, plan.axis_lengths)) if whole else 0
            found.append(number * plan.spec.draws + int(blocks[0]) * plan.spec.block + int(place[cell][blocks[0]]))
    return found
