"""Finalisation: statistics made once from the partial sums of all tiles, merged in the order of the blocks."""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterable, Mapping
from typing import Any

import numpy as np

from sweep import estimators
from sweep.plan import Box, Plan
from sweep.store import PARTIALS, CubeStore


def write_statistics(plan: Plan, store: CubeStore, boxes: Iterable[Box], failed: Container[Box] = ()) -> dict[str, Any]:
    """Write /statistics and status: of `boxes` of cells, all of whose tiles are done, from their partial sums; the others stay empty.

    What lay there before is overwritten unread. Returns what was measured about the boxes, for the attributes.
    """
    study = plan.study
    worst = np.zeros(len(study.numbers))
    counts = {"failed_trajectories": 0, "cut_off_trajectories": 0, "audited_trajectories": 0}
    differ = np.zeros(len(study.flags), np.int64)
    first_failed: list[int] = []
    everywhere = tuple(range(len(plan.axis_lengths) + 1))
    done = set(boxes)
    for slab, inside in itertools.groupby(plan.boxes(), lambda box: store.slab(plan, box)):
        empty = store.empty_statistics(plan, slab)
        for box in inside:
            place = tuple(slice(start - first, stop - first) for (start, stop), (first, _) in zip(box, slab, strict=True))
            if box in failed:
                empty["status"][place] = 2
            if box not in done:
                continue
            parts = store.read_partials(box, PARTIALS)
            for name, values in _statistics(plan, store, box, parts).items():
                empty[name][place] = values
            empty["status"][place] = 1
            worst = np.maximum(worst, parts["error"].max(everywhere, initial=0))
            differ += parts["differ"].sum(everywhere, dtype=np.int64)
            counts["failed_trajectories"] += int(parts["failed"].sum(dtype=np.int64))
            first_failed += _first_failed(plan, box, parts["first_failed"])
            counts["cut_off_trajectories"] += int(parts["cut_off"].sum(dtype=np.int64))
            counts["audited_trajectories"] += int(parts["audited"].sum(dtype=np.int64))
        store.write_statistics(slab, empty)
    return {
        "numerical_error": float(worst.max(initial=0)),
        "numerical_error_by_outcome": {label.name: float(error) for label, error in zip(study.numbers, worst, strict=True)},
        "flags_that_differ_in_the_audit": {label.name: int(count) for label, count in zip(study.flags, differ, strict=True)},
        **counts,
        "first_failed_index": min(first_failed, default=None),
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
