"""Finalisation: partial sums in, statistics of each cell and what was measured of the whole sweep out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from sweep.finalize import MEASURED, write_partial_statistics, write_statistics
from sweep.layout import statistics_names
from sweep.plan import TilePolicy, make_plan
from sweep.store import StoreError
from tests.sweep.studies import toy


class Partials:
    """Stands for a store: holds made-up partial sums of all cells, and takes the statistics."""

    def __init__(self, plan, seed=1):
        rng, study, replicates = np.random.default_rng(seed), plan.study, plan.spec.replicates
        lead = (*plan.axis_lengths, plan.blocks)
        flags, numbers = len(study.flags), len(study.numbers)
        self.arrays: dict[str, Any] = {
            "valid": rng.integers(50, 60, (*lead, replicates)),
            "failed": rng.integers(0, 2, (*lead, replicates)),
            "first_failed": np.full(lead, plan.spec.block),
            "cut_off": rng.integers(0, 3, lead),
            "audited": rng.integers(0, 2, lead),
            "true": rng.integers(0, 50, (*lead, flags, replicates)),
            "finite": rng.integers(10, 50, (*lead, numbers, replicates)),
            "sum": rng.lognormal(0, 9, (*lead, numbers, replicates)).astype(np.float32),
            "least": rng.uniform(0.1, 1, (*lead, numbers)).astype(np.float32),
            "greatest": rng.uniform(100, 200, (*lead, numbers)).astype(np.float32),
            "error": rng.uniform(0, 1e-6, (*lead, numbers)),
            "differ": rng.integers(0, 2, (*lead, flags)),
        }
        for label in study.numbers:
            shape = (*plan.axis_lengths, len(plan.columns), replicates, study.bins(label).count)
            self.arrays[f"histogram_{label.name}"] = rng.integers(0, 9, shape).astype(np.uint8)
        self.written: dict[str, Any] = {}
        self.before: Any = np.zeros(plan.axis_lengths, np.int8)

    def read_partials(self, box, names):
        place = tuple(slice(start, stop) for start, stop in box)
        return {name: self.arrays[name][place] for name in names}

    def read_histogram(self, box, name):
        return self.arrays[f"histogram_{name}"][tuple(slice(start, stop) for start, stop in box)].sum(2, dtype=np.int64)

    def slab(self, plan, box):
        return ((box[0][0], box[0][1]), (0, 3))

    def empty_statistics(self, plan, slab):
        real = statistics_names(plan)
        sizes = tuple(stop - start for start, stop in slab)
        flags = (len(plan.study.flags),)
        last = {"probability": flags, "probability_se": flags, "quantile_value": (3,), "quantile_se": (3,)}
        bins = {f"statistics/{label.name}/histogram": (plan.study.bins(label).count,) for label in plan.study.numbers}
        return {name: np.full((*sizes, *last.get(name.split("/")[-1], bins.get(name, ()))), -99.0) for name in real}

    def status(self):
        if self.before is None:
            raise StoreError("torn")
        return self.before

    def write_statistics(self, slab, values, settled=False):
        place = tuple(slice(start, stop) for start, stop in slab)
        for name, part in values.items():
            whole = self.written.setdefault(name, np.full((2, 3, *part.shape[2:]), -99.0))
            assert (whole[place] == -99).all()
            whole[place] = part


def finalised(box=(1, 2), **changes):
    plan = make_plan(toy(**changes), 1, TilePolicy(box, 2))
    store: Any = Partials(plan)
    return store, write_statistics(plan, store), plan


def test_statistics_are_of_all_blocks():
    store, _, plan = finalised()
    held = store.arrays
    assert not any((values == -99).any() for values in store.written.values())
    valid = held["valid"].sum((2, 3))
    np.testing.assert_allclose(store.written["statistics/probability"], held["true"].sum((2, 4)) / valid[..., None])
    for index, label in enumerate(plan.study.numbers):
        finite = held["finite"].sum((2, 4))[..., index]
        group = f"statistics/{label.name}"
        np.testing.assert_allclose(store.written[f"{group}/probability_finite"], finite / valid)
        total = np.array([math.fsum(cell) for cell in held["sum"][..., index, :].astype(float).reshape(6, -1)]).reshape(2, 3)
        np.testing.assert_allclose(store.written[f"{group}/mean"], total / finite, rtol=1e-12)
        np.testing.assert_array_equal(store.written[f"{group}/histogram"], held[f"histogram_{label.name}"].sum((2, 3), dtype=int))
    assert (store.written["status"] == 1).all()


def test_sums_are_added_in_the_order_of_the_blocks():
    store, _, plan = finalised(statistics__quantiles=[])
    for index, label in enumerate(plan.study.numbers):
        expected = np.zeros((2, 3, 4))
        for block in range(plan.blocks):
            expected = expected + store.arrays["sum"][:, :, block, index, :].astype(np.float64)
        finite = store.arrays["finite"].sum((2, 4))[..., index]
        np.testing.assert_array_equal(store.written[f"statistics/{label.name}/mean"], expected.sum(-1) / finite)


def test_the_boxes_change_no_bit():
    one, whole, _ = finalised((1, 1))
    two, measured, _ = finalised((2, 3))
    assert whole == measured
    assert one.written.keys() == two.written.keys()
    for name, values in one.written.items():
        assert values.tobytes() == two.written[name].tobytes(), name


def test_the_first_failed_trajectory_is_named():
    plan = make_plan(toy(), 1, TilePolicy((1, 2), 2))
    store: Any = Partials(plan)
    assert write_statistics(plan, store)["first_failed_index"] is None
    # In the last cell, and before it in cell (0, 2), in the third block.
    store.arrays["first_failed"][1, 2, 0] = 7
    store.arrays["first_failed"][0, 2, 2:4] = 30, 1
    store.written = {}
    assert write_statistics(plan, store)["first_failed_index"] == 2 * 1400 + 2 * 256 + 30


def test_cells_that_are_not_done_stay_empty():
    plan = make_plan(toy(), 1, TilePolicy((1, 2), 2))
    store: Any = Partials(plan)
    first, second, *_ = plan.boxes()
    write_partial_statistics(plan, store, [first], {second}, [])
    assert store.written["status"].tolist() == [[1, 1, 2], [-99, -99, -99]]
    for values in store.written.values():
        assert (values[0, :2] != -99).all()
        assert (values[1] == -99).all()


@pytest.mark.parametrize(
    ("before", "computed", "rows"),
    [
        ([[1, 1, 1], [0, 0, 0]], [], []),
        ([[1, 1, 0], [0, 0, 0]], [], [0]),
        ([[1, 1, 1], [0, 0, 2]], [], [1]),
        ([[1, 1, 1], [0, 0, 0]], [((0, 1), (0, 2))], [0]),
        (None, [], [0, 1]),
    ],
)
def test_only_what_has_changed_is_written_while_a_sweep_is_not_finished(before, computed, rows):
    plan = make_plan(toy(), 1, TilePolicy((1, 2), 2))
    store: Any = Partials(plan)
    store.before = None if before is None else np.array(before)
    write_partial_statistics(plan, store, [box for box in plan.boxes() if box[0] == (0, 1)], [], computed)
    written = store.written.get("status", np.full((2, 3), -99))
    assert [row for row in range(2) if (written[row] != -99).all()] == rows
    assert [row for row in range(2) if (written[row] != -99).any()] == rows


def test_what_is_measured_is_of_the_whole_sweep():
    store, measured, plan = finalised()
    held = store.arrays
    assert measured["numerical_error"] == held["error"].max()
    for index, label in enumerate(plan.study.numbers):
        assert measured["numerical_error_by_outcome"][label.name] == held["error"][..., index].max()
    for index, label in enumerate(plan.study.flags):
        assert measured["flags_that_differ_in_the_audit"][label.name] == held["differ"][..., index].sum()
    assert measured["failed_trajectories"] == held["failed"].sum()
    assert measured["cut_off_trajectories"] == held["cut_off"].sum()
    assert measured["audited_trajectories"] == held["audited"].sum()
    assert measured.keys() == set(MEASURED)


@pytest.mark.parametrize(
    ("changes", "left_out"),
    [
        ({"mean": False}, {"mean", "mean_se"}),
        ({"probability": False}, {"probability_finite", "probability_finite_se", "probability", "probability_se"}),
        ({"quantiles": []}, {"quantile_value", "quantile_se"}),
        ({"histogram": False}, {"histogram"}),
    ],
)
def test_what_is_not_asked_for_is_not_made(changes, left_out):
    everything = {name.split("/")[-1] for name in finalised()[0].written}
    made = {name.split("/")[-1] for name in finalised(**{f"statistics__{key}": value for key, value in changes.items()})[0].written}
    assert everything - made == left_out


def test_flags_alone():
    store, measured, _ = finalised(outcomes={"regime": True})
    assert set(store.written) == {"statistics/probability", "statistics/probability_se", "status"}
    assert measured["numerical_error"] == 0
