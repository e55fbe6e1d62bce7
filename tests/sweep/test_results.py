"""Rows of results: every statistic asked for, beside the published numbers, and whether they agree."""

from __future__ import annotations

import io
import math
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

import sweep
from sweep import results
from sweep.places import Folder, place_of
from sweep.printed_results import figure_of, show_results
from sweep.published import PublishedNumber
from sweep.results import Row, ranges, rows
from tests.sweep.studies import PLAIN, plain, toy


def published(value, tolerance):
    return PublishedNumber(label="a", value=value, tolerance=tolerance, place="table 1", statistic="mean", at={})


@pytest.mark.parametrize(
    ("value", "se", "number", "tolerance", "agrees"),
    [
        (1.0, 0.0, 1.05, 0.1, True),
        (1.0, 0.0, 1.2, 0.1, False),
        (1.0, 0.06, 1.2, 0.1, True),
        (1.0, 0.04, 1.2, 0.1, False),
        (1.0, math.nan, 1.05, 0.1, True),
        (1.0, math.nan, 1.2, 0.1, False),
        (math.inf, math.nan, math.inf, 0.1, True),
        (math.inf, math.nan, 5.0, 0.1, False),
        (math.nan, math.nan, 5.0, 0.1, False),
    ],
)
def test_agreement_is_within_the_tolerance_and_two_standard_errors(value, se, number, tolerance, agrees):
    assert Row("a", "mean", "1", value, se, published(number, tolerance)).agrees is agrees


def test_nothing_published_nothing_to_agree_with():
    assert Row("a", "mean", "1", 1.0, 0.1).agrees is None


@pytest.fixture(scope="module")
def study(plain_store):
    """The plain study with two published numbers for one of its statistics."""
    numbers = [{"value": 6.0, "tolerance": 100.0, "place": "near"}, {"value": 1e6, "tolerance": 1.0, "place": "far"}]
    return plain(published={"date_of_doubling_3": numbers}), sweep.open_cube(plain_store)


def test_every_statistic_of_a_sweep_without_axes(study):
    spec, cube = study
    found = rows(spec, cube)
    assert [row.statistic for row in found] == [
        "probability_finite",
        "mean",
        "mean",
        *(f"quantile_{share:g}" for share in (0.05, 0.25, 0.5, 0.75, 0.95)),
    ]
    assert {row.outcome for row in found} == {"date_of_doubling_3"}
    assert [row.unit for row in found] == ["1", *["months"] * 7]
    group = cube["statistics/date_of_doubling_3"]
    mean = [row for row in found if row.statistic == "mean"]
    assert {(row.value, row.se) for row in mean} == {(float(group["mean"]), float(group["mean_se"]))}
    assert [(row.published.place, row.agrees) for row in mean if row.published] == [("near", True), ("far", False)]
    assert [row.value for row in found[3:]] == group["quantile_value"].values.tolist()


@pytest.mark.slow
def test_results_are_printed_without_what_takes_long_to_import(plain_store):
    program = f"""
import sys
from pathlib import Path
import sweep
from sweep.places import Folder, place_of
from sweep.printed_results import figure_of, show_results
from sweep.spec import loads
store = Path({str(plain_store)!r})
# The cube's own metadata stands for a figure that is not older than it, and is not drawn again.
show_results(loads({PLAIN!r}), sweep.open_cube(store), Folder(store), store / "zarr.json")
long = {{"dask.array", "distributed", "matplotlib", "scipy"}} & sys.modules.keys()
sys.exit(f"imported {{long}}" if long else 0)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "date_of_doubling_3" in ended.stdout


def test_the_published_numbers_of_a_sweep_with_axes(toy_store):
    at = {"papers_for_first_doubling": 1.0, "paper_growth_factor": 3.0}
    numbers = {
        "fizzle": {"value": 1, "tolerance": 0.5, "place": "a", "at": at},
        "date_of_doubling_3": {"value": 4, "tolerance": 0.5, "place": "b", "statistic": "quantile_0.9", "at": at},
        "doublings_at_12_months": {"value": 4, "tolerance": 0.5, "place": "c", "at": at},
    }
    spec, cube = toy(published=numbers), sweep.open_cube(toy_store)
    found = {row.outcome: row for row in rows(spec, cube) if row.published}
    assert set(found) == set(numbers)
    assert all(row.at == at for row in found.values())
    draws = cube["draws"].to_dataset().sel(at)
    assert found["fizzle"].value == pytest.approx(float(draws["fizzle"].mean()))
    assert found["doublings_at_12_months"].value == pytest.approx(float(draws["doublings_at_12_months"].mean()), rel=1e-6)
    assert found["date_of_doubling_3"].value == pytest.approx(np.quantile(draws["date_of_doubling_3"].values, 0.9), rel=1 / 8)
    assert found["date_of_doubling_3"].unit == "months"
    assert all(row.se > 0 or row.outcome == "fizzle" for row in found.values())


def shuffled(cube):
    """The cube with one of its axes in another order."""
    groups = {node.path: node.to_dataset(inherit=False).isel(paper_growth_factor=[1, 2, 0], missing_dims="ignore") for node in cube.subtree}
    return xr.DataTree.from_dict(groups)


@pytest.mark.parametrize("few", [True, False])
def test_the_values_of_an_axis_may_be_in_any_order(toy_store, monkeypatch, few):
    monkeypatch.setattr(results, "_FEW_CELLS", 12 if few else 1)
    at = {"papers_for_first_doubling": 1.0, "paper_growth_factor": 3.0}
    spec = toy(published={"doublings_at_12_months": {"value": 4, "tolerance": 0.5, "place": "c", "at": at}})
    cube = sweep.open_cube(toy_store)
    # Not the rows themselves: an error that is NaN is like no other.
    assert repr(rows(spec, shuffled(cube))) == repr(rows(spec, cube))
    assert sum(row.published is not None for row in rows(spec, cube)) == 1


def test_a_few_cells_have_every_statistic(toy_store):
    spec, cube = toy(), sweep.open_cube(toy_store)
    found = {(row.outcome, row.statistic, *row.at.values()): row for row in rows(spec, cube)}
    # Five flags and three numbers, each of these with two shares and three quantiles, in six cells.
    assert len(found) == len(rows(spec, cube)) == (5 + 3 * 5) * 6
    row = found["date_of_doubling_6", "quantile_0.5", 4.0, 2.0]
    group = cube["statistics/date_of_doubling_6"].to_dataset().sel(papers_for_first_doubling=4, paper_growth_factor=2)
    assert row.at == {"papers_for_first_doubling": 4.0, "paper_growth_factor": 2.0}
    assert (row.value, row.se) == (float(group["quantile_value"][1]), float(group["quantile_se"][1]))
    share = found["date_of_doubling_6", "probability_finite", 4.0, 2.0]
    assert (share.value, share.se) == (float(group["probability_finite"]), float(group["probability_finite_se"]))
    assert 0 < share.se < 0.05


def test_of_many_cells_the_lowest_and_the_highest(toy_store, monkeypatch):
    monkeypatch.setattr(results, "_FEW_CELLS", 1)
    spec, cube = toy(), sweep.open_cube(toy_store)
    assert rows(spec, cube) == []
    found = {(low.outcome, low.statistic): (low, high) for low, high in ranges(spec, cube)}
    assert len(found) == 5 + 3 * 5
    low, high = found["date_of_doubling_3", "mean"]
    group = cube["statistics/date_of_doubling_3"].to_dataset()
    assert (low.value, high.value) == (float(group["mean"].min()), float(group["mean"].max()))
    assert low.at == {"papers_for_first_doubling": 1.0, "paper_growth_factor": 1.5}
    assert high.at == {"papers_for_first_doubling": 4.0, "paper_growth_factor": 3.0}
    assert (low.se, high.se) == (float(group["mean_se"].sel(low.at)), float(group["mean_se"].sel(high.at)))
    # What is not reached is later than all else.
    assert found["date_of_doubling_6", "quantile_0.9"][1].value == math.inf


def test_a_cell_whose_trajectories_all_failed_is_no_extreme(toy_store, monkeypatch):
    monkeypatch.setattr(results, "_FEW_CELLS", 1)
    cube = xr.DataTree.from_dict({node.path: node.to_dataset(inherit=False).load() for node in sweep.open_cube(toy_store).subtree})
    mean = cube["statistics/date_of_doubling_3"]["mean"]
    mean[0, 0], mean[1, 2] = np.nan, np.nan
    (low, high) = next((low, high) for low, high in ranges(toy(), cube) if (low.outcome, low.statistic) == ("date_of_doubling_3", "mean"))
    assert (low.value, high.value) == (float(mean.min()), float(mean.max()))


def printed(spec, cube, store, tmp_path, monkeypatch):
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    show_results(spec, cube, Folder(store), tmp_path / "figure.png")
    return out.getvalue()


def test_the_table_of_a_few_cells(toy_store, tmp_path, monkeypatch):
    text = printed(toy(), sweep.open_cube(toy_store), toy_store, tmp_path, monkeypatch)
    assert "papers_for_first_doubling (papers)" in text
    assert "paper_growth_factor (×)" in text
    assert len([line for line in text.splitlines() if "fizzle" in line]) == 6
    lines = [line.split() for line in text.splitlines() if "date_of_doubling_6" in line]
    assert [(line[3], line[5]) for line in lines] == [(first, factor) for first in "14" for factor in ("1.5", "2", "3")]
    assert "not reached" in text


def test_the_table_of_many_cells(toy_store, tmp_path, monkeypatch):
    monkeypatch.setattr(results, "_FEW_CELLS", 1)
    text = printed(toy(), sweep.open_cube(toy_store), toy_store, tmp_path, monkeypatch)
    assert "lowest ± s.e." in text
    (line,) = [line for line in text.splitlines() if "fizzle" in line]
    assert "papers_for_first_doubling = 1 papers" in line
    assert "paper_growth_factor = 3 ×" in text


def test_the_table(study, plain_store, tmp_path, monkeypatch):
    spec, cube = study
    text = printed(spec, cube, plain_store, tmp_path, monkeypatch)
    lines = text.splitlines()
    assert lines[0] == "plain: 1,024 draws, sobol, seed 0"
    for statistic in ("finite", "mean", "5 %", "median"):
        assert f"{statistic} ± s.e." in text
    median = float(cube["statistics/date_of_doubling_3"]["quantile_value"][1])
    assert f"{median:.3g} ± {float(cube['statistics/date_of_doubling_3']['quantile_se'][1]):.1e}" in text
    (near,) = [line for line in lines if "near" in line]
    (far,) = [line for line in lines if "far" in line]
    assert "agrees" in near
    assert "DIFFERS" in far
    assert "numerical error" in text
    assert "0 failed, 0 cut off" in text
    # Paths are whole, however wide the screen, so that they can be copied.
    assert f"figure  {tmp_path / 'figure.png'}" in lines
    assert f'cube    {plain_store}    (xarray.open_datatree({str(plain_store)!r}, engine="zarr"))' in lines
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_no_number_is_told_in_words(study, plain_store, tmp_path, monkeypatch):
    spec, cube = study
    cube = xr.DataTree.from_dict({node.path: node.to_dataset(inherit=False).load() for node in cube.subtree})
    (tmp_path / "figure.png").touch()
    group = cube["statistics/date_of_doubling_3"]
    # No draw reaches it.
    group["mean"][...], group["quantile_value"][...] = np.nan, math.inf
    text = printed(spec, cube, plain_store, tmp_path, monkeypatch)
    (line,) = [line for line in text.splitlines() if line.count("not reached") == 1 + len(spec.statistics.quantiles)]
    assert "nan" not in line
    # Every draw fails.
    group["quantile_value"][...] = np.nan
    assert "all failed" in printed(spec, cube, plain_store, tmp_path, monkeypatch)


def test_a_figure_is_drawn_once(study, plain_store, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    spec, cube = study
    figure = tmp_path / "figure.png"
    for _ in range(2):
        show_results(spec, cube, Folder(plain_store), figure)
        stamp = figure.stat().st_mtime_ns
        monkeypatch.setattr("sweep.plots.save_figure", lambda *_: pytest.fail("drawn again"))
    assert figure.stat().st_mtime_ns == stamp


def test_no_figure_is_announced_where_there_is_nothing_to_draw(study, plain_store, tmp_path, monkeypatch):
    spec, cube = study
    bare = spec.replace({"statistics": {"mean": False, "probability": False, "histogram": False, "quantiles": []}, "published": None})
    text = printed(bare, cube, plain_store, tmp_path, monkeypatch)
    assert "figure" not in text
    assert f"cube    {plain_store}" in text
    assert not (tmp_path / "figure.png").exists()


@pytest.mark.parametrize(
    ("address", "figure"),
    [
        ("results/a.zarr", "results/a.png"),
        ("results/a", "results/a.png"),
        ("results/r1.2", "results/r1.2.png"),
        ("results/r1.4", "results/r1.4.png"),
        ("results/r1.4.zarr", "results/r1.4.png"),
        ("icechunk+results/r1.2", "results/r1.2.png"),
        ("s3://bucket/studies/r1.2", "results/r1.2.png"),
        (".", "../here.png"),
    ],
)
def test_every_store_has_a_figure_of_its_own(address, figure, tmp_path, monkeypatch):
    pytest.importorskip({"icechunk": "icechunk", "s3": "obstore"}.get(address.partition("+" if "+" in address else ":")[0], "sweep"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert figure_of(place_of(address)).absolute() == (tmp_path / "here" / figure).resolve()
