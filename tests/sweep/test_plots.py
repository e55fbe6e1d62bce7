"""Figures: one for every shape of sweep, without a warning, and with what they are meant to show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

import sweep
from sweep.plots import save_figure
from sweep.plots.scales import set_parameter
from tests.sweep.studies import plain, toy


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """Draws the figure of a cube and gives its axes (panels, and bars of colour): none where there is nothing to draw."""

    def draw(spec, cube):
        figures = []
        save = Figure.savefig

        def kept(self, path):
            figures.append(self)
            save(self, path)

        monkeypatch.setattr(Figure, "savefig", kept)
        if not save_figure(spec, cube, tmp_path / "figure.png"):
            assert not (tmp_path / "figure.png").exists()
            return []
        assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
        return figures[0].axes

    return draw


@pytest.fixture(scope="module")
def plain_cube(tmp_path_factory):
    """A cube without axes that holds more than any of the specs asks for."""
    spec = plain(outcomes={"doublings": [3], "times": [6, 12], "regime": True}, store__draws="none")
    return sweep.run(spec, tmp_path_factory.mktemp("plots") / "cube.zarr", workers=1).load()


THREE = {
    "paper_growth_factor": {"values": [1.5, 2, 3]},
    "papers_for_first_doubling": {"values": [1, 4]},
    "papers_per_agi_month": {"log": [1, 8], "points": 3},
}


@pytest.fixture(scope="module")
def cube_of_three(tmp_path_factory):
    """A cube with three axes."""
    spec = plain(draws=64, axes=THREE, outcomes__regime=True, store__draws="none", run__tile=20_000)
    return sweep.run(spec, tmp_path_factory.mktemp("plots") / "cube.zarr", workers=1).load()


def test_a_map_of_two_axes(drawn, toy_store):
    axes = drawn(toy(), sweep.open_cube(toy_store))
    titles = [panel.get_title() for panel in axes]
    assert titles[0] == "P(2 doublings within 2 months)"
    assert titles[1].startswith("median date of doubling 3")
    assert axes[0].get_xlabel() == "papers for first doubling (papers)"
    assert axes[0].get_ylabel() == "paper growth factor (×)"


@pytest.mark.slow
def test_distributions_of_dates_where_there_is_nothing_else(drawn, plain_store):
    (panel,) = drawn(plain(), sweep.open_cube(plain_store))
    (line,) = panel.get_lines()
    assert line.get_label() == "date of doubling 3"
    assert line.get_ydata()[-1] == pytest.approx(1 - 0, abs=0.5)
    assert (line.get_ydata()[1:] >= line.get_ydata()[:-1]).all()
    # From where it leaves 0 to where it arrives, and never beyond the horizon.
    shown = np.interp(panel.get_xlim(), line.get_xdata(), line.get_ydata())
    assert shown == pytest.approx((0, line.get_ydata()[-1]), abs=0.02)
    assert panel.get_xlim()[1] <= 24


PLAIN_CASES: dict[str, dict[str, Any]] = {
    "probabilities and a fan": {"outcomes": {"times": [6, 12], "regime": True}},
    "a fan": {"outcomes": {"times": [6, 12]}},
    "probabilities": {"outcomes": {"regime": True}},
    "numbers that are no dates": {"outcomes": {"times": [6]}},
    "flags without probabilities": {"outcomes": {"regime": True, "times": [6, 12]}, "statistics.probability": False},
    "a series without quantiles": {"outcomes": {"times": [6, 12]}, "statistics.quantiles": []},
    "dates without histograms": {"statistics.histogram": False},
}


def changed(cube, **arrays):
    """A copy of a cube in which some arrays of /statistics (__ for the slash) hold other numbers."""
    copy = cube.copy(deep=True)
    for name, numbers in arrays.items():
        copy[f"statistics/{name.replace('__', '/')}"][...] = numbers
    return copy


def legend(panel):
    return [text.get_text() for text in panel.get_legend().get_texts()]


def test_quantiles_that_blow_up_leave_the_panel(drawn, plain_cube):
    spec = plain(outcomes={"times": [6, 12]})
    inf = float("inf")
    numbers = {
        "doublings_at_6_months__quantile_value": [1, 2, 3, inf, inf],
        "doublings_at_12_months__quantile_value": [2, 5, inf, inf, inf],
    }
    (panel,) = drawn(spec, changed(plain_cube, **numbers))
    assert legend(panel) == ["5–95 %", "25–75 %", "median", "infinite from here on"]
    median, leaving, marks = panel.get_lines()
    assert (median.get_xdata().tolist(), median.get_ydata().tolist()) == ([0, 6], [0, 3])
    assert (leaving.get_xdata().tolist(), leaving.get_ydata()[1]) == ([6, 12], panel.get_ylim()[1])
    assert marks.get_xdata().tolist() == [6, 12]
    assert panel.get_ylim()[1] == pytest.approx(1.15 * 5)
    # The legend stands above the panel, not in it.
    assert panel.get_legend().get_window_extent().y0 >= panel.get_window_extent().y1
    # What is infinite altogether has no room of its own.
    numbers = {"doublings_at_6_months__quantile_value": inf, "doublings_at_12_months__quantile_value": inf}
    (panel,) = drawn(spec, changed(plain_cube, **numbers))
    assert panel.get_xlim() == (0, 6)


def test_a_lone_quantile_is_a_line(drawn, plain_cube):
    cube = plain_cube.map_over_datasets(lambda found: found.sel(quantile=[0.95]) if "quantile" in found.dims else found)
    (panel,) = drawn(plain(outcomes={"times": [6, 12]}, statistics__quantiles=[0.95]), cube)
    (line,) = panel.get_lines()
    assert legend(panel) == ["95 % quantile"]
    assert line.get_ydata()[2] == cube["statistics/doublings_at_12_months/quantile_value"].item()


def test_small_probabilities_can_be_read(drawn, plain_cube):
    (panel,) = drawn(plain(outcomes={"regime": True}), changed(plain_cube, probability=[0, 0.02, 0.9, 1], probability_se=0.01))
    numbers = {text.get_text(): (text.get_color(), text.xy[0]) for text in panel.texts}
    assert {number: colour for number, (colour, _) in numbers.items()} == {
        "0.000": "black",
        "0.020": "black",
        "0.900": "white",
        "1.000": "white",
    }
    # Behind the bar and what its number may be wrong by; or well within the bar.
    assert numbers["0.020"][1] > 0.04
    assert numbers["0.900"][1] < 0.1


def test_a_probability_that_there_is_not(drawn, plain_cube):
    (panel,) = drawn(plain(outcomes={"regime": True}), changed(plain_cube, probability=float("nan"), probability_se=float("nan")))
    assert [text.get_text() for text in panel.texts] == ["nan"] * 4


def test_where_nothing_is_kept_nothing_is_drawn(drawn, plain_cube, cube_of_three):
    nothing = {"statistics": {"mean": False, "probability": False, "histogram": False, "quantiles": []}}
    assert drawn(plain(outcomes={"times": [6, 12], "regime": True}).replace(nothing), plain_cube) == []
    assert drawn(plain(axes=THREE, outcomes__regime=True).replace(nothing), cube_of_three) == []


@pytest.mark.parametrize("case", PLAIN_CASES)
@pytest.mark.slow
def test_sweeps_without_axes(drawn, plain_cube, case):
    axes = drawn(plain().replace(PLAIN_CASES[case]), plain_cube)
    assert len(axes) == (2 if case == "probabilities and a fan" else 1)


@pytest.mark.slow
def test_one_draw_has_no_standard_errors(drawn, tmp_path):
    spec = plain(draws=1, outcomes={"times": [6, 12], "regime": True}, store__draws="none")
    assert len(drawn(spec, sweep.run(spec, tmp_path / "cube.zarr", workers=1))) == 2


# What is chosen of the three axes, and what the spec leaves out.
AXIS_CASES: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "lines": ((slice(None), 0, 0), {}),
    "lines without means": ((slice(None), 0, 0), {"statistics.mean": False}),
    "lines of nothing": ((slice(None), 0, 0), {"statistics": {"mean": False, "probability": False, "quantiles": []}}),
    "lines of medians alone": ((slice(None), 0, 0), {"statistics.mean": False, "statistics.probability": False}),
    "one point": (([1], 0, 0), {}),
    "a map": ((slice(None), slice(None), 0), {}),
    "a map of a row": ((slice(None), [1], 0), {}),
    "a map of one cell": (([1], [1], 0), {}),
    "a map of nothing": ((slice(None), slice(None), 0), {"statistics": {"probability": False, "quantiles": []}}),
    "a map without medians": ((slice(None), slice(None), 0), {"statistics.quantiles": [0.1]}),
    "three axes": ((slice(None), slice(None), slice(None)), {}),
}


@pytest.mark.parametrize("case", AXIS_CASES)
@pytest.mark.slow
def test_sweeps_with_axes(drawn, cube_of_three, case):
    chosen, changes = AXIS_CASES[case]
    place = dict(zip(THREE, chosen, strict=True))
    cube = cube_of_three.isel(place)
    axes = {name: {"values": cube[name].values.tolist()} for name, taken in place.items() if not isinstance(taken, int)}
    panels = drawn(plain(axes=axes, outcomes__regime=True).replace(changes), cube)
    assert len(panels) == {"lines": 2, "one p": 2, "a map": 4, "three": 4}[case[:5]] - {
        "lines of nothing": 2,
        "lines of medians alone": 1,
        "a map of nothing": 4,
        "a map without medians": 2,
    }.get(case, 0)


def test_lines_share_a_panel_where_they_share_a_unit(drawn, tmp_path):
    outcomes = {"doublings": [2, 3], "times": [6], "regime": True}
    axes = {"paper_growth_factor": {"values": [1.5, 2]}}
    spec = plain(draws=64, axes=axes, outcomes=outcomes, store__draws="none")
    panels = drawn(spec, sweep.run(spec, tmp_path / "cube.zarr", workers=1))
    shown = {panel.get_ylabel(): panel.get_legend_handles_labels()[1] for panel in panels}
    assert shown == {
        "probability": ["explosion", "exponential", "fizzle", "reached ceiling"],
        "months: median": ["date of doubling 2", "date of doubling 3"],
        "doublings: median": ["doublings made by month 6"],
    }
    assert [panel.get_xlabel() for panel in panels] == ["", "", "paper growth factor (×)"]
    assert "(bars: ± 2 s.e.)" in panels[0].figure.get_suptitle()


@pytest.fixture
def cube_of_one(cube_of_three):
    """A cube with one axis, which is a log axis, and its spec."""
    axes = {"papers_per_agi_month": THREE["papers_per_agi_month"]}
    return plain(axes=axes), cube_of_three.isel(paper_growth_factor=0, papers_for_first_doubling=0)


def test_a_line_of_medians_ends_where_half_of_the_draws_do_not_arrive(drawn, cube_of_one):
    spec, cube = cube_of_one
    cube = cube.copy(deep=True)
    medians = cube["statistics/date_of_doubling_3/quantile_value"]
    medians[0] = float("inf")
    (panel,) = drawn(spec, cube)
    assert panel.get_ylabel() == "months: median"
    assert panel.get_xscale() == "log"
    line, marks = panel.get_lines()[0], next(line for line in panel.get_lines() if line.get_marker() == "^")
    np.testing.assert_array_equal(line.get_ydata().astype(float), [np.nan, *medians.sel(quantile=0.5).values[1:]])
    assert marks.get_xdata().tolist() == [1]
    assert legend(panel) == ["date of doubling 3", "not reached in half of the draws"]


def test_lines_of_means_where_no_medians_are_kept(drawn, cube_of_one):
    spec, cube = cube_of_one
    cube = cube.copy(deep=True)
    cube["statistics/date_of_doubling_3/mean"][...] = [np.nan, np.nan, np.nan]
    (panel,) = drawn(spec.replace({"statistics.quantiles": [0.1]}), cube)
    assert panel.get_ylabel() == "months: mean of\nthe draws that reach it"
    assert legend(panel) == ["date of doubling 3", "reached in no draw"]


def test_cells_of_a_map_have_their_ends_half_way_as_they_are_drawn(drawn, cube_of_three):
    axes = {name: THREE[name] for name in ("paper_growth_factor", "papers_per_agi_month")}
    panel = drawn(plain(axes=axes), cube_of_three.isel(papers_for_first_doubling=0))[0]
    assert (panel.get_xscale(), panel.get_yscale()) == ("log", "log")
    corners = np.asarray(panel.collections[0].get_coordinates())
    # Around 1.5, 2 and 3, and around 1, √8 and 8.
    assert corners[0, :, 0].tolist() == pytest.approx([1.5 * (3 / 4) ** 0.5, 3**0.5, 6**0.5, 3 * 1.5**0.5])
    assert corners[:, 0, 1].tolist() == pytest.approx([2 ** (power / 4) for power in (-3, 3, 9, 15)])


def test_ticks_stand_at_the_values_of_an_axis_where_they_fit():
    def ticks(values):
        name = "paper_growth_factor"
        spec, axes = plain(axes={name: {"values": values}}), Figure().subplots()
        axes.plot(values, values)
        set_parameter(axes, "x", spec, xr.DataTree(xr.Dataset({name: ((), 0.0, {"units": "×"})})), name)
        return axes.get_xticks().tolist(), [axes.xaxis.get_major_formatter()(value) for value in values]

    assert ticks([1.1, 1.4, 1.7]) == ([1.1, 1.4, 1.7], ["1.1", "1.4", "1.7"])
    assert ticks([2]) == ([2], ["2"])
    assert ticks([2, 6, 18]) == ([2, 6, 18], ["2", "6", "18"])
    # Their numbers would lie over each other.
    for crowded in ([1.1, 1.2, 9], np.linspace(1.5, 4, 30).tolist(), [1.5e-7, 1.234e-6, 2e-6]):
        assert ticks(crowded)[0] != crowded


def test_a_map_says_where_further_axes_are(drawn, cube_of_three):
    panels = drawn(plain(axes=THREE), cube_of_three)
    assert panels[0].figure.get_suptitle().endswith(f"a cell, at papers per agi month {8**0.5:.4g}")


def test_a_map_where_nothing_is_reached(drawn, cube_of_three):
    cube = cube_of_three.isel(papers_per_agi_month=0).copy(deep=True)
    cube["statistics/date_of_doubling_3/quantile_value"][...] = float("inf")
    axes = {name: THREE[name] for name in ("paper_growth_factor", "papers_for_first_doubling")}
    panels = drawn(plain(axes=axes, outcomes__regime=True), cube)
    assert "not reached in half of the draws" in panels[1].get_title()
