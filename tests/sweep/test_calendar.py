"""Months as dates: wherever results are shown, and nowhere else."""

from __future__ import annotations

import datetime
import io
import json
import math
import shutil
import sys
from typing import Any

import pytest
from click.testing import CliRunner
from matplotlib.figure import Figure

import sweep
from sweep import ledger
from sweep.calendar import beside, date_of, day_of
from sweep.cli import main
from sweep.errors import SpecError
from sweep.places import Folder
from sweep.plots import save_figure
from sweep.plots.scales import show_months
from sweep.printed_results import show_results
from sweep.spec import load, loads
from sweep.store import CubeStore
from tests.sweep.studies import PLAIN, assert_same_bits, plain, toy

START = datetime.date(2027, 1, 1)
LAST_DAY = (datetime.date(9999, 12, 31) - START).days
DATED = PLAIN.replace("draws = 1024", "draws = 1024\nstart_date = 2027-01-01")


@pytest.mark.parametrize(
    ("months", "date"),
    [
        # By the days of a calendar: 365 to 2028-01-01, 547 to 2028-07-01, 730.5 for two years.
        (0, "2027-01"),
        (1.02, "2027-02"),
        (12, "2028-01"),
        (11.99, "2027-12"),
        (547 / 30.4375, "2028-07"),
        (546.9 / 30.4375, "2028-06"),
        (48, "2031-01"),
        (12 * 400, "2427-01"),
        (-1, "2026-12"),
        (math.inf, "not reached"),
        (LAST_DAY / 30.4375, "9999-12"),
        ((LAST_DAY + 1) / 30.4375, "9.57e+04 months"),
        (1e9, "1e+09 months"),
        (1e300, "1e+300 months"),
        (-math.inf, "-inf months"),
        (math.nan, "nan months"),
    ],
)
def test_dates_of_months(months, date):
    assert date_of(START, months) == date
    day = day_of(START, months)
    assert (day is None) is ("m" in date or "not" in date)
    assert beside("7", START, months) == ("7" if day is None else f"7 ({date})")
    assert beside("7", None, months) == "7"


def test_years_have_four_digits():
    assert date_of(datetime.date(987, 3, 1), 1) == "0987-03"


@pytest.mark.parametrize("written", ["2027-01-01", '"2027-01-01"', "'20270101'"])
def test_a_day_is_a_date_or_a_text(written):
    spec = loads(PLAIN.replace("draws = 1024", f"draws = 1024\nstart_date = {written}"))
    assert spec.start_date == START
    assert loads(spec.to_toml()).start_date == START
    assert spec.fingerprint() == plain().fingerprint()
    assert spec.replace(start_date=None).start_date is None
    assert plain().start_date is None


@pytest.mark.parametrize(
    ("written", "value", "problem"),
    [
        ('"2027-13-01"', '"2027-13-01"', "no such day"),
        ('"2027-02-29"', '"2027-02-29"', "no such day"),
        ('"2027-01"', '"2027-01"', "no such day"),
        ('"soon"', '"soon"', "no such day"),
        ("2027", "2027", "a day is wanted"),
        ("true", "true", "a day is wanted"),
        ("[2027, 1, 1]", "[2027, 1, 1]", "a day is wanted"),
        ("2027-01-01T00:00:00", "2027-01-01 00:00:00", "a day is wanted"),
        ("07:30:00", "07:30:00", "a day is wanted"),
    ],
)
def test_what_is_no_day(tmp_path, written, value, problem):
    (tmp_path / "plain.toml").write_text(DATED.replace("2027-01-01", written))
    with pytest.raises(SpecError) as caught:
        load(tmp_path / "plain.toml")
    assert str(caught.value) == (
        f"{tmp_path / 'plain.toml'}: [sweep] start_date = {value}: {problem}. Fix: write year, month and day: 2027-01-01."
    )


def test_a_day_that_is_no_toml(tmp_path):
    (tmp_path / "plain.toml").write_text(DATED.replace("2027-01-01", "2027-02-30"))
    with pytest.raises(SpecError, match=r"plain\.toml: line 6, column \d+ = .*: not valid TOML"):
        load(tmp_path / "plain.toml")


def test_a_day_at_the_top_of_a_file():
    with pytest.raises(SpecError, match=r"put it under \[sweep\]: start_date"):
        loads(f"start_date = 2027-01-01\n{PLAIN}")


# --- in the cube -------------------------------------------------------------------------------------------------------------------------


def siesweep(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.mark.slow
def test_a_cube_keeps_the_date_and_no_number_depends_on_it(tmp_path, plain_store):
    spec = plain(start_date="2027-01-01")
    cube = sweep.run(spec, tmp_path / "cube.zarr", workers=1)
    assert cube.attrs["start_date"] == "2027-01-01"
    assert cube.attrs["fingerprint"] == plain().fingerprint()
    assert_same_bits(tmp_path / "cube.zarr", plain_store)
    assert "start_date" not in sweep.open_cube(plain_store).attrs


@pytest.mark.slow
def test_a_finished_cube_takes_another_date(tmp_path, monkeypatch, plain_store, computed):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain.toml").write_text(PLAIN)
    shutil.copytree(plain_store, "results/plain.zarr")
    before = json.loads((tmp_path / "results/plain.zarr/zarr.json").read_text())
    assert siesweep("run", "plain.toml").exit_code == 0
    undated = (tmp_path / "results/plain.png").read_bytes()
    assert "months since" not in siesweep("status", "results/plain.zarr").stdout
    (tmp_path / "plain.toml").write_text(DATED)
    result = siesweep("run", "plain.toml")
    assert result.exit_code == 0, result.output
    assert "seed 0, months since 2027-01-01" in result.stdout
    assert (tmp_path / "results/plain.png").read_bytes() != undated
    status = siesweep("status", "results/plain.zarr").stdout
    assert "months since" in status
    assert "2027-01-01" in status
    assert "start_date = 2027-01-01" in siesweep("status", "results/plain.zarr", "--config").stdout
    (tmp_path / "plain.toml").write_text(PLAIN)
    assert siesweep("run", "plain.toml").exit_code == 0
    after = json.loads((tmp_path / "results/plain.zarr/zarr.json").read_text())
    assert after == before
    assert_same_bits(tmp_path / "results/plain.zarr", plain_store)
    assert computed == []


def test_a_finished_cube_that_another_run_holds_is_shown_all_the_same(tmp_path, plain_store):
    store = tmp_path / "plain.zarr"
    shutil.copytree(plain_store, store)
    with ledger.hold(Folder(store)):
        cube = sweep.run(plain(start_date="2027-01-01"), store)
    assert "start_date" not in cube.attrs


@pytest.mark.slow
def test_more_draws_and_another_date(tmp_path, plain_store):
    store = tmp_path / "plain.zarr"
    shutil.copytree(plain_store, store)
    assert sweep.run(plain(start_date="2027-01-01", draws=1100), store, workers=1).attrs["start_date"] == "2027-01-01"
    assert "start_date" not in sweep.run(plain(draws=1200), store, workers=1).attrs


def test_attributes_are_removed_by_none(tmp_path, plain_store):
    store = tmp_path / "plain.zarr"
    shutil.copytree(plain_store, store)
    cube = CubeStore(Folder(store))
    held = cube.attributes
    cube.set_attributes({"seen": True, "title": "other"})
    assert CubeStore(Folder(store)).attributes == {**held, "seen": True, "title": "other"}
    cube.set_attributes({"seen": None, "never": None, "title": held["title"]})
    assert CubeStore(Folder(store)).attributes == held


# --- as it is shown ----------------------------------------------------------------------------------------------------------------------


def shown(spec, cube, store, tmp_path, monkeypatch):
    """The rows of the printed tables, as lists of cells."""
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    show_results(spec, cube, Folder(store), tmp_path / "figure.png")
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.getvalue().splitlines() if line.startswith("│")]


def test_the_tables(tmp_path, monkeypatch, plain_store):
    number = {"value": 6.0, "tolerance": 100.0, "place": "near"}
    spec, cube = plain(published={"date_of_doubling_3": number}, start_date="2027-01-01"), sweep.open_cube(plain_store)
    compared, row = shown(spec, cube, plain_store, tmp_path, monkeypatch)
    group = cube["statistics/date_of_doubling_3"].to_dataset()
    (undated, _) = shown(spec.replace(start_date=None), cube, plain_store, tmp_path, monkeypatch)
    assert "(" not in "".join(undated)
    assert compared == [*undated[:3], f"{undated[3]} ({date_of(START, float(group['mean']))})", *undated[4:]]
    months = group["quantile_value"].values
    # Outcome, unit, share that is finite, mean; then the quantiles.
    errors = group["quantile_se"].values
    expected = zip(months, errors, strict=True)
    assert row[4:] == [f"{month:.3g} ({date_of(START, float(month))}) ± {f'{error:.1e}' if error else '0'}" for month, error in expected]
    assert "(" not in "".join(row[:4])


def test_what_is_not_reached_or_no_date_stays_as_it_is(tmp_path, monkeypatch, plain_store):
    cube = sweep.open_cube(plain_store).load().copy(deep=True)
    cube["statistics/date_of_doubling_3/quantile_value"][2:] = math.inf
    cube["statistics/date_of_doubling_3/quantile_value"][1] = 1e6
    (row,) = shown(plain(start_date="2027-01-01"), cube, plain_store, tmp_path, monkeypatch)
    assert row[5].startswith("1e+06 ± ")
    assert row[6:] == ["not reached"] * 3


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """The panels of a figure, laid out."""

    def draw(spec, cube):
        figures = []
        save = Figure.savefig
        monkeypatch.setattr(Figure, "savefig", lambda self, path: (figures.append(self), save(self, path)))
        save_figure(spec, cube, tmp_path / "figure.png")
        monkeypatch.setattr(Figure, "savefig", save)
        return figures[0].axes

    return draw


def labels(axis) -> dict[float, str]:
    """The labels of an axis by their values, where they can be seen."""
    low, high = sorted(axis.get_view_interval())
    found: dict[float, str] = {tick.get_loc(): tick.label1.get_text() for tick in axis.get_major_ticks()}
    return {value: text for value, text in found.items() if low <= value <= high}


@pytest.mark.slow
def test_the_axis_of_a_distribution(drawn, plain_store):
    cube = sweep.open_cube(plain_store)
    (panel,) = drawn(plain(start_date="2027-01-01"), cube)
    assert panel.get_xlabel() == "months since 2027-01-01"
    found = labels(panel.xaxis)
    assert found[5] == "5\n2027-06"
    (panel,) = drawn(plain(), cube)
    assert panel.get_xlabel() == "months since the start"
    assert not any("2027" in text for text in labels(panel.xaxis).values())


@pytest.mark.slow
def test_the_axis_of_a_fan(drawn, tmp_path):
    times = [float(month) for month in range(1, 21)]
    changes: dict[str, Any] = {"outcomes": {"times": times}, "store__draws": "none", "draws": 64, "start_date": "2027-01-01"}
    spec = plain(**changes)
    (panel,) = drawn(spec, sweep.run(spec, tmp_path / "cube.zarr", workers=1))
    found = labels(panel.xaxis)
    assert list(found) == [0.0, *times]
    dates = {month: text.split("\n")[1] for month, text in found.items()}
    assert {month for month, date in dates.items() if date.strip()} == {0, 3, 6, 9, 12, 15, 18}
    assert (dates[0], dates[12]) == ("2027-01", "2028-01")


def test_within_the_first_month_there_are_no_dates():
    axes = Figure().subplots()
    axes.set(xscale="log", xlim=(0.1, 10))
    show_months(axes, START)
    axes.figure.draw_without_rendering()
    assert {month: text.split("\n")[1] for month, text in labels(axes.xaxis).items()} == {0.1: " ", 1: "2027-01", 10: "2027-11"}


@pytest.mark.slow
def test_months_that_are_not_on_the_horizontal_axis(drawn, toy_store, tmp_path):
    *_, bar = drawn(toy(start_date="2027-01-01"), sweep.open_cube(toy_store))
    assert labels(bar.yaxis)[5] == "5 (2027-06)"
    spec = plain(axes={"paper_growth_factor": {"values": [1.5, 3]}}, start_date="2027-01-01", draws=64, store__draws="none")
    (panel,) = drawn(spec, sweep.run(spec, tmp_path / "cube.zarr", workers=1))
    assert labels(panel.yaxis)[6] == "6 (2027-07)"
