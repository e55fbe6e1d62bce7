"""The cube of the contract: read by xarray alone, described in full, and equal to what plain NumPy makes of the draws in it."""

from __future__ import annotations

import json
import math
import shutil
import warnings
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr

import sweep
from kernels.labels import Scale
from kernels.statistics import Bins
from sweep.cube import CubeError, attributes
from sweep.layout import allocate
from sweep.places import Folder
from sweep.plan import make_plan
from sweep.spec import loads
from tests.sweep.studies import plain, toy

FLAGS = ("two_in_2_months", "explosion", "exponential", "fizzle", "reached_ceiling")
NUMBERS = ("date_of_doubling_3", "date_of_doubling_6", "doublings_at_12_months")
AXES = ("papers_for_first_doubling", "paper_growth_factor")
SCALES: dict[str, Scale] = {"date_of_doubling_3": "duration", "date_of_doubling_6": "duration", "doublings_at_12_months": "signed"}


@pytest.fixture(scope="module")
def cube(toy_store):
    """The toy cube by xarray alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return xr.open_datatree(toy_store, engine="zarr").load()


def groups(cube):
    return {group.path: group.to_dataset(inherit=False) for group in cube.subtree}


@pytest.mark.slow
def test_it_is_what_open_cube_and_run_give(cube, toy_store):
    for other in (sweep.open_cube(toy_store), sweep.open_cube(str(toy_store)), sweep.run(toy(), toy_store)):
        xr.testing.assert_identical(cube, other.load())


def test_groups(cube):
    found = groups(cube)
    assert set(found) == {
        "/",
        "/statistics",
        "/draws",
        "/partials",
        "/provenance",
        "/trajectories",
        *(f"/statistics/{name}" for name in NUMBERS),
    }
    assert set(found["/"].data_vars) == {"status"}
    assert set(found["/statistics"].data_vars) == {"probability", "probability_se"}
    assert found["/statistics"]["outcome"].values.tolist() == list(FLAGS)
    statistics = {"mean", "mean_se", "quantile_value", "quantile_se", "probability_finite", "probability_finite_se", "histogram"}
    for name in NUMBERS:
        assert set(found[f"/statistics/{name}"].data_vars) == statistics | {"bin_lower", "bin_upper"}
    assert set(found["/draws"].data_vars) == {"initial_agis", "papers_per_agi_month", *FLAGS, *NUMBERS}
    assert set(found["/trajectories"].data_vars) == {"doublings"}


def test_dims(cube):
    assert cube["status"].dims == AXES
    assert cube["statistics/probability"].dims == (*AXES, "outcome")
    for name in NUMBERS:
        group = cube[f"statistics/{name}"]
        assert group["mean"].dims == group["mean_se"].dims == group["probability_finite"].dims == AXES
        assert group["quantile_value"].dims == group["quantile_se"].dims == (*AXES, "quantile")
        assert group["histogram"].dims == (*AXES, "bin")
        assert cube[f"draws/{name}"].dims == (*AXES, "draw")
        assert group["quantile"].values.tolist() == [0.1, 0.5, 0.9]
    assert cube["draws/initial_agis"].dims == ("draw",)
    assert dict(cube["draws"].sizes) == {AXES[0]: 2, AXES[1]: 3, "draw": 1400}
    assert cube["trajectories/doublings"].dims == (*AXES, "time", "trajectory")
    assert cube["trajectories/doublings"].shape == (2, 3, 5, 22)


def test_types(cube):
    assert cube["draws/two_in_2_months"].dtype == bool
    assert cube["draws/date_of_doubling_3"].dtype == cube["draws/initial_agis"].dtype == np.float32
    assert cube["statistics/probability"].dtype == np.float64
    assert cube["statistics/date_of_doubling_3/histogram"].dtype.kind == "i"
    assert cube["status"].dtype.kind == "i"


def test_axes_can_be_sliced(cube):
    assert cube["paper_growth_factor"].values.tolist() == [1.5, 2, 3]
    assert cube["papers_for_first_doubling"].values.tolist() == [1, 4]
    for group in ("statistics", "draws", "statistics/date_of_doubling_3", "trajectories"):
        chosen = cube[group].to_dataset().sel(paper_growth_factor=2.2, method="nearest")
        assert float(chosen["paper_growth_factor"]) == 2
        assert "paper_growth_factor" not in chosen.sizes
    assert cube["statistics"].to_dataset().sel(outcome="fizzle")["probability"].shape == (2, 3)


def test_every_variable_has_its_unit_and_name(cube):
    for path, dataset in groups(cube).items():
        for name, variable in dataset.variables.items():
            assert variable.attrs["units"], f"{path}/{name}"
            assert variable.attrs["long_name"], f"{path}/{name}"
    assert cube["draws/date_of_doubling_3"].attrs == {"long_name": "date of doubling 3", "units": "months"}
    assert cube["statistics/doublings_at_12_months/mean"].attrs["units"] == "doublings"
    assert cube["statistics/date_of_doubling_3/quantile_value"].attrs["units"] == "months"
    assert cube["papers_for_first_doubling"].attrs["units"] == "papers"


def test_what_has_no_unit_has_1():
    spec = plain(
        model="returns_law", parameters={"parallel_exponent": {"uniform": [0.2, 0.9]}}, axes={"returns": {"values": [1, 2]}}, run__tile=None
    )
    root = zarr.open_group(zarr.storage.MemoryStore(), mode="w")
    allocate(root, make_plan(spec, 1))
    assert {root[name].attrs["units"] for name in ("returns", "draws/parallel_exponent", "status", "statistics/outcome")} == {"1"}


def test_attributes(cube, toy_store):
    assert cube.attrs["title"] == "small"
    assert cube.attrs["model"] == "toy_model"
    assert cube.attrs["draws"] == 1400
    assert cube.attrs["fingerprint"] == toy().fingerprint() == loads(cube.attrs["spec"]).fingerprint()
    assert loads(cube.attrs["spec"]).identity() == toy().identity()
    assert cube.attrs["axis_order"] == list(AXES)
    assert 0 < cube.attrs["numerical_error"] < toy().tolerance
    assert cube.attrs["numerical_error"] == max(cube.attrs["numerical_error_by_outcome"].values())
    assert set(cube.attrs["numerical_error_by_outcome"]) == set(NUMBERS)
    assert set(cube.attrs["flags_that_differ_in_the_audit"]) == set(FLAGS)
    # One of every 256 of a block, and in the last block one of the 120 that it holds.
    assert 6 * 5 <= cube.attrs["audited_trajectories"] <= 6 * 6
    assert cube.attrs["failed_trajectories"] == cube.attrs["cut_off_trajectories"] == 0
    assert attributes(Folder(toy_store))["complete"] is True


def test_all_cells_are_done(cube):
    assert (cube["status"] == 1).all()


def test_metadata_is_consolidated(toy_store):
    assert json.loads((toy_store / "zarr.json").read_text())["consolidated_metadata"]["metadata"].keys() >= {
        "status",
        "draws",
        "statistics",
    }


def test_draws_are_common_to_all_cells(cube):
    """The closed form of the toy model for each draw: a doubling takes P·m^k of papers by N0·w·2^k AGIs a month."""
    agis, rate = (cube[f"draws/{name}"].values.astype(float) for name in ("initial_agis", "papers_per_agi_month"))
    assert 0.5 <= agis.min() < agis.max() <= 2
    for papers in (1, 4):
        for growth in (1.5, 2, 3):
            steps = papers / (agis * rate) * np.cumsum((growth / 2) ** np.arange(6))[:, None]
            cell = cube["draws"].to_dataset().sel(papers_for_first_doubling=papers, paper_growth_factor=growth)
            for number in (3, 6):
                expected = np.where(steps[number - 1] <= 24, steps[number - 1], np.inf)
                near = np.abs(steps[number - 1] - 24) < 1e-4
                np.testing.assert_allclose(cell[f"date_of_doubling_{number}"].values[~near], expected[~near], rtol=2e-6)


def test_what_is_not_reached_is_infinite_and_nothing_is_missing(cube):
    dates = cube["draws/date_of_doubling_6"].values
    assert 0 < np.isinf(dates).mean() < 1
    assert not np.isnan(dates).any()
    assert (dates[np.isfinite(dates)] <= 24 * (1 + 1e-6)).all()


def cells(cube):
    return list(np.ndindex(cube["status"].shape))


def test_probabilities_are_those_of_the_draws(cube):
    for place, name in enumerate(FLAGS):
        share = cube[f"draws/{name}"].values.mean(-1)
        np.testing.assert_allclose(cube["statistics/probability"].values[..., place], share, rtol=1e-14)
    for name in NUMBERS:
        finite = np.isfinite(cube[f"draws/{name}"].values).mean(-1)
        np.testing.assert_allclose(cube[f"statistics/{name}/probability_finite"], finite, rtol=1e-14)
    regimes = cube["statistics/probability"].values[..., 1:4].sum(-1)
    np.testing.assert_allclose(regimes, 1, rtol=1e-14)


def test_means_are_those_of_the_finite_draws(cube):
    for name in NUMBERS:
        values = cube[f"draws/{name}"].values.astype(np.float64)
        mean = np.array([values[cell][np.isfinite(values[cell])].mean() for cell in cells(cube)]).reshape(2, 3)
        np.testing.assert_allclose(cube[f"statistics/{name}/mean"], mean, rtol=2e-6)


def test_errors_are_the_spread_of_replicates(cube):
    """With 1400 draws and 4 replicates each has 350: the standard deviation of their means over sqrt 4."""
    for place, name in enumerate(FLAGS):
        means = cube[f"draws/{name}"].values.reshape(2, 3, 350, 4).mean(-2)
        np.testing.assert_allclose(cube["statistics/probability_se"].values[..., place], means.std(-1, ddof=1) / 2, atol=1e-15)
    values = cube["draws/doublings_at_12_months"].values.astype(float).reshape(2, 3, 350, 4)
    finite = np.isfinite(values).all((-1, -2))
    assert finite.any()
    means = values.mean(-2, where=np.isfinite(values))
    error = cube["statistics/doublings_at_12_months/mean_se"].values
    np.testing.assert_allclose(error[finite], (means.std(-1, ddof=1) / 2)[finite], rtol=1e-4)


def test_histograms_are_those_of_the_draws(cube):
    for name in NUMBERS:
        bins = Bins(SCALES[name], 8)
        group = cube[f"statistics/{name}"]
        np.testing.assert_array_equal(group["bin_lower"], bins.edges)
        np.testing.assert_array_equal(group["bin_upper"], np.append(bins.edges[1:], np.inf))
        values = cube[f"draws/{name}"].values
        for cell in cells(cube):
            place = np.searchsorted(bins.edges, values[cell], side="right") - 1
            np.testing.assert_array_equal(group["histogram"].values[cell], np.bincount(place, minlength=bins.count))
        assert (group["histogram"].sum("bin") == 1400).all()


def test_quantiles_are_within_a_bin_of_those_of_the_draws(cube):
    for name in NUMBERS:
        group, values = cube[f"statistics/{name}"], np.sort(cube[f"draws/{name}"].values, axis=-1)
        bound = group["quantile_value"].attrs["relative_error_of_binning"]
        assert bound == 1 / 8
        for index, share in enumerate((0.1, 0.5, 0.9)):
            exact = values[..., math.ceil(share * 1400) - 1]
            found, error = group["quantile_value"].values[..., index], group["quantile_se"].values[..., index]
            np.testing.assert_array_equal(np.isinf(found), np.isinf(exact))
            np.testing.assert_array_equal(np.isnan(error), np.isinf(exact))
            finite = np.isfinite(exact)
            np.testing.assert_allclose(found[finite], exact[finite], rtol=bound)
            assert (error[finite] > 0).all()
    # Both kinds occur, so that what is said of infinite ones is tested.
    assert np.isinf(cube["statistics/date_of_doubling_6/quantile_value"]).any()
    assert np.isinf(cube["statistics/date_of_doubling_6/quantile_value"]).sum() < 18


@pytest.mark.slow
def test_trajectories_are_those_of_simulate(cube):
    kept, draws = cube["trajectories"].to_dataset(), cube["draws"].to_dataset()
    every = cube["trajectories"].attrs["draws_a_trajectory"]
    assert every == 64
    chosen = slice(0, None, every)
    given = {name: draws[name].values[chosen].astype(float) for name in ("initial_agis", "papers_per_agi_month")}
    for papers, growth in ((1, 1.5), (4, 3)):
        fixed = {"papers_for_first_doubling": papers, "paper_growth_factor": growth, "horizon": 24}
        exact = sweep.simulate("toy_model", given | fixed, times=kept["time"].values)["doublings"].values
        ours = kept.sel(papers_for_first_doubling=papers, paper_growth_factor=growth)["doublings"].values.T
        same = np.isfinite(exact)
        np.testing.assert_array_equal(np.isfinite(ours), same)
        np.testing.assert_allclose(ours[same], exact[same], rtol=2e-5, atol=2e-5)


@pytest.mark.slow
def test_without_draws_there_is_no_group_of_them(tmp_path):
    cube: Any = sweep.run(toy(store__draws="none", run__tile=9000), tmp_path / "small.zarr", workers=1)
    assert "draws" not in cube.children
    assert "trajectories" not in cube.children
    assert "statistics" in cube.children


@pytest.mark.slow
def test_only_the_statistics_asked_for(tmp_path):
    spec = toy(store__draws="none", run__tile=9000, statistics={"mean": False, "quantiles": [], "histogram": False, "probability": True})
    cube: Any = sweep.run(spec, tmp_path / "small.zarr", workers=1)
    assert set(cube["statistics/date_of_doubling_3"].data_vars) == {"probability_finite", "probability_finite_se"}
    assert not [name for name in cube["partials"].data_vars if name.startswith("histogram")]


@pytest.mark.slow
def test_what_does_not_vary_has_no_sampling_error(tmp_path):
    spec = toy(draws=300, parameters__initial_agis=1, parameters__papers_per_agi_month=1, store__draws="outcomes", run__tile=9000)
    cube: Any = sweep.run(spec, tmp_path / "small.zarr", workers=1).load()
    assert (cube["statistics/probability_se"] == 0).all()
    for name in NUMBERS:
        group = cube[f"statistics/{name}"]
        assert (group["probability_finite_se"] == 0).all()
        reached = group["probability_finite"].values > 0
        assert (group["mean_se"].values[reached] == 0).all()
        assert np.isnan(group["mean"].values[~reached]).all()
        assert (group["quantile_se"].values[reached] == 0).all()
        np.testing.assert_array_equal(
            group["quantile_value"].values[reached], np.repeat(group["mean"].values[reached, None], 3, 1).astype("f4")
        )
    assert float(cube["statistics/date_of_doubling_3/mean"].sel(papers_for_first_doubling=4, paper_growth_factor=2)) == 12


def test_a_cube_that_is_not_there(tmp_path):
    with pytest.raises(CubeError, match=r"no cube there; make one with `siesweep run CONFIG"):
        sweep.open_cube(tmp_path / "nothing.zarr")


def test_a_zarr_store_that_is_no_cube(tmp_path):
    xr.Dataset({"a": ("x", [1, 2])}).to_zarr(tmp_path / "other.zarr", consolidated=False)
    with pytest.raises(CubeError, match="not a sweep's"):
        sweep.open_cube(tmp_path / "other.zarr")


@pytest.mark.slow
def test_a_cube_can_be_moved(toy_store, tmp_path, cube):
    shutil.copytree(toy_store, tmp_path / "elsewhere")
    xr.testing.assert_identical(sweep.open_cube(tmp_path / "elsewhere").load(), cube)
