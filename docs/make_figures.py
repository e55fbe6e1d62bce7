"""The figures of the documentation: `python docs/make_figures.py` draws them all into docs/figures/ (PNG, each below 150 kB)."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import sweep
from sweep.plots import save_figure

ROOT = Path(__file__).resolve().parents[1]
FIGURES = ROOT / "docs" / "figures"
COLOURS = ("#1b6ca8", "#e09f3e", "#d1495b", "#3c6e47", "#6d597a", "#8d99ae")
YEAR = 8
"""Doublings of software in a year of progress, at a software share of 0.5."""


def study(config: str, name: str) -> None:
    """The figure that `siesweep run` saves of a config."""
    spec = sweep.load(ROOT / "configs" / f"{config}.toml")
    with tempfile.TemporaryDirectory() as folder:
        save_figure(spec, sweep.run(spec, Path(folder) / "cube.zarr"), FIGURES / f"{name}.png")


def two_panels() -> tuple[Figure, Any]:
    return plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")


def finish(figure: Figure, name: str) -> None:
    figure.savefig(FIGURES / f"{name}.png", dpi=110)
    plt.close(figure)


def davidson_houlden() -> None:
    months = np.linspace(0, 48, 193).tolist()
    figure, (left, right) = two_panels()

    def years(returns: float, options: dict[str, str | bool]) -> xr.DataArray:
        parameters = {"initial_returns_to_software_rnd": returns}
        return sweep.simulate("davidson_houlden_2025", parameters, months, options)["doublings"] / YEAR

    for returns, colour in zip((0.6, 1.2, 1.8, 2.4), COLOURS, strict=False):
        left.plot(months, years(returns, {}), color=colour, label=f"returns {returns:g}")
        left.plot(months, years(returns, {"time": "continuous"}), ":", color=colour)
    left.plot([], [], ":", color="black", label="continuous limit")
    variants: dict[str, dict[str, str | bool]] = {
        "base": {},
        "retraining, paper": {"retraining": "paper"},
        "retraining, code": {"retraining": "code"},
        "boost, code": {"boost": "code"},
        "boost, paper_linear": {"boost": "paper_linear"},
        "constant returns": {"constant_returns": True},
    }
    for (name, options), colour in zip(variants.items(), COLOURS, strict=True):
        right.plot(months, years(2.4, options), color=colour, label=name)
    for axes in (left, right):
        axes.axhline(11, color="grey", lw=0.8, ls="--")
        axes.annotate("effective limits", (47.5, 11.15), ha="right", fontsize=9, color="grey")
        axes.set(xlabel="months since full automation of AI R&D", ylabel="years of progress made")
        axes.set(xlim=(0, 48), ylim=(0, 12), xticks=range(0, 49, 12))
    left.legend(frameon=False, fontsize=9, loc="center right", bbox_to_anchor=(1, 0.35))
    right.legend(frameon=False, fontsize=9, loc="center right", title="returns 2.4")
    finish(figure, "davidson_houlden_2025")


def toy_model() -> None:
    figure, axes = plt.subplots(figsize=(6.5, 4), layout="constrained")
    for growth, word, colour in ((1.5, "explosion", COLOURS[2]), (2, "exponential", COLOURS[1]), (3, "fizzle", COLOURS[0])):
        run = sweep.simulate("toy_model", {"paper_growth_factor": growth})
        # Software is exponential between doublings, so the dates are joined by straight lines.
        axes.plot([0, *run.doubling_time.values], [0, *run.doubling.values], "o-", color=colour, ms=3, label=f"m = {growth:g}: {word}")
    axes.axvline(8, color="grey", lw=0.8, ls="--")
    axes.annotate("8 months", (8.1, 11.4), fontsize=9, color="grey")
    axes.set(xlabel="months", ylabel="doublings of software", xlim=(0, 14), ylim=(0, 12))
    axes.legend(frameon=False, fontsize=9)
    finish(figure, "toy_model")


def returns_law() -> None:
    figure, (left, right) = two_panels()

    def curve(axes: Axes, last: float, parameters: dict[str, float], options: dict[str, str | bool], **style: Any) -> None:
        """Doublings over time, from amounts at given times and, where it is steep, from dates."""
        months = np.linspace(0, last, 241)
        run = sweep.simulate("returns_law", parameters, months.tolist(), options)
        times = np.concatenate([months, run.doubling_time.values])
        levels = np.concatenate([run.doublings.values, run.doubling.values.astype(float)])
        drawn = np.isfinite(times) & np.isfinite(levels)
        order = np.lexsort((levels[drawn], times[drawn]))
        axes.plot(times[drawn][order], levels[drawn][order], **style)

    for returns, colour in zip((0.7, 1, 3), (COLOURS[0], COLOURS[1], COLOURS[2]), strict=True):
        curve(left, 12, {"returns": returns}, {}, color=colour, label=f"returns {returns:g}")
        curve(left, 12, {"returns": returns, "parallel_exponent": 0.3}, {}, color=colour, ls="--")
    left.plot([], [], "--", color="black", label="parallel exponent 0.3")
    left.set(ylim=(0, 16), xlim=(0, 12), xlabel="months", ylabel="doublings of software")
    left.legend(frameon=False, fontsize=9, loc="upper right")
    for ceiling, colour in zip(("constant", "level", "linear", "log_distance"), COLOURS, strict=False):
        width = 4 if ceiling == "constant" else 1.5
        curve(right, 6, {"returns": 3, "distance_to_limits": 20}, {"ceiling": ceiling}, color=colour, lw=width, label=ceiling)
    right.axhline(20, color="grey", lw=0.8, ls="--")
    right.annotate("limits", (5.9, 20.3), ha="right", fontsize=9, color="grey")
    right.set(ylim=(0, 24), xlim=(0, 6), xlabel="months", ylabel="doublings of software")
    right.legend(frameon=False, fontsize=9, title="ceiling; returns 3", loc="lower right")
    finish(figure, "returns_law")


def main() -> None:
    matplotlib.use("Agg")
    matplotlib.rcParams.update({"axes.spines.top": False, "axes.spines.right": False})
    FIGURES.mkdir(parents=True, exist_ok=True)
    study("davidson_houlden_2025", "demo")
    study("phase_returns_ceiling", "phase_returns_ceiling")
    davidson_houlden()
    toy_model()
    returns_law()


if __name__ == "__main__":
    main()
