"""Figures: one for every shape of sweep, without a warning, and with what they are meant to show."""

from __future__ import annotations

from typing import Any

import pytest
from matplotlib.figure import Figure

import sweep
from sweep.plots import save_figure
from tests.sweep.studies import plain, toy


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """Draws the figure of a cube and gives its axes (panels, and bars of colour)."""

    def draw(spec, cube):
        figures = []
        save = Figure.savefig

        def kept(self, path):
            figures.append(self)
            save(self, path)

        monkeypatch.setattr(Figure, "savefig", kept)
        save_figure(spec, cube, tmp_path / "figure.png")
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


PLAIN_CASES: dict[str, dict[str, Any]] = {
    "probabilities and a fan": {"outcomes": {"times": [6, 12], "regime": True}},
    "a fan": {"outcomes": {"times": [6, 12]}},
    "probabilities": {"outcomes": {"regime": True}},
    "numbers that are no dates": {"outcomes": {"times": [6]}},
    "flags without probabilities": {"outcomes": {"regime": True, "times": [6, 12]}, "statistics.probability": False},
    "a series without quantiles": {"outcomes": {"times": [6, 12]}, "statistics.quantiles": []},
    "dates without histograms": {"statistics.histogram": False},
}


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
    "lines of nothing": ((slice(None), 0, 0), {"statistics.mean": False, "statistics.probability": False}),
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
        "lines without means": 1,
        "lines of nothing": 1,
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
        "months": ["date of doubling 2", "date of doubling 3"],
        "doublings": ["doublings made by month 6"],
    }
    assert [panel.get_xlabel() for panel in panels] == ["", "", "paper growth factor (×)"]


def test_a_map_where_nothing_is_reached(drawn, cube_of_three):
    cube = cube_of_three.isel(papers_per_agi_month=0).copy(deep=True)
    cube["statistics/date_of_doubling_3/quantile_value"][...] = float("inf")
    axes = {name: THREE[name] for name in ("paper_growth_factor", "papers_for_first_doubling")}
    panels = drawn(plain(axes=axes, outcomes__regime=True), cube)
    assert "not reached in half of the draws" in panels[1].get_title()
