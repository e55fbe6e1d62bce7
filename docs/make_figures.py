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
from kernels.sampling import Distribution
from sweep import evidence
from sweep.plots import save_figure

ROOT = Path(__file__).resolve().parents[1]
FIGURES = ROOT / "docs" / "figures"
COLOURS = ("#1b6ca8", "#e09f3e", "#d1495b", "#3c6e47", "#6d597a", "#8d99ae")
Numbers = dict[str, float]
Choices = dict[str, str | bool]
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


def curve(axes: Axes, last: float, parameters: Numbers, options: Choices, model: str = "growth_law", **style: Any) -> None:
    """Doublings over months, from amounts at given times and, where it is steep, from dates."""
    months = np.linspace(0, last, 250)
    run = sweep.simulate(model, parameters, months.tolist(), options)
    times = np.concatenate([months, run.doubling_time.values])
    levels = np.concatenate([run.doublings.values, run.doubling.values.astype(float)])
    drawn = np.isfinite(times) & np.isfinite(levels)
    order = np.lexsort((levels[drawn], times[drawn]))
    axes.plot(times[drawn][order], levels[drawn][order], **style)


def durations(axes: Axes, parameters: Numbers, options: Choices, count: int, **style: Any) -> None:
    """Months that each of the first doublings takes."""
    run = sweep.simulate("growth_law", parameters, [0], options, doublings=count)
    dates = run.doubling_time.values
    taken = np.diff(dates[np.isfinite(dates)], prepend=0)
    axes.plot(np.arange(1, len(taken) + 1), taken, **style)


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

    for returns, colour in zip((0.7, 1, 3), (COLOURS[0], COLOURS[1], COLOURS[2]), strict=True):
        curve(left, 12, {"returns": returns}, {}, "returns_law", color=colour, label=f"returns {returns:g}")
        curve(left, 12, {"returns": returns, "parallel_exponent": 0.3}, {}, "returns_law", color=colour, ls="--")
    left.plot([], [], "--", color="black", label="parallel exponent 0.3")
    left.set(ylim=(0, 16), xlim=(0, 12), xlabel="months", ylabel="doublings of software")
    left.legend(frameon=False, fontsize=9, loc="upper right")
    for ceiling, colour in zip(("constant", "level", "linear", "log_distance"), COLOURS, strict=False):
        width = 4 if ceiling == "constant" else 1.5
        limits = {"returns": 3.0, "distance_to_limits": 20.0}
        curve(right, 6, limits, {"ceiling": ceiling}, "returns_law", color=colour, lw=width, label=ceiling)
    right.axhline(20, color="grey", lw=0.8, ls="--")
    right.annotate("limits", (5.9, 20.3), ha="right", fontsize=9, color="grey")
    right.set(ylim=(0, 24), xlim=(0, 6), xlabel="months", ylabel="doublings of software")
    right.legend(frameon=False, fontsize=9, title="ceiling; returns 3", loc="lower right")
    finish(figure, "returns_law")


# --- the growth law, one subject a figure ------------------------------------------------------------------------------------------------

BASE: Numbers = {
    "initial_doubling_time": 1.5,
    "returns": 2,
    "parallel_exponent": 0.6,
    "labour_share": 0.5,
    "substitution_parameter": -0.1,
    "experiment_efficiency": 0.3,
    "distance_to_limits": 64,
    "first_training_time": 2,
    "training_time_ratio": 0.9,
    "pace_threshold": 5,
    "reaction_gain": 1,
    "reaction_delay": 3,
    "horizon": 60,
}
BASE_OPTIONS: Choices = {"research_input": "ces", "ceiling": "linear", "training": "lag", "governance": "reaction"}
COMPUTE = ("labour_share", "substitution_parameter", "experiment_efficiency")


def growth_law() -> None:
    figure, (left, right) = two_panels()
    labour_only = {name: value for name, value in BASE.items() if name not in COMPUTE}
    cases: dict[str, tuple[Numbers, Choices]] = {
        "all factors": (BASE, BASE_OPTIONS),
        "no governance": (BASE, {**BASE_OPTIONS, "governance": "none"}),
        "no training time": (BASE, {**BASE_OPTIONS, "training": "none"}),
        "no limits": (BASE, {**BASE_OPTIONS, "ceiling": "constant"}),
        "no compute bottleneck": (labour_only, {**BASE_OPTIONS, "research_input": "labour"}),
        "none of them": (labour_only, {}),
    }
    for (name, (parameters, options)), colour in zip(cases.items(), COLOURS, strict=True):
        width = 3 if name == "all factors" else 1.5
        curve(left, 36, parameters, options, color=colour, lw=width, label=name)
        durations(right, parameters, options, 60, color=colour, lw=width)
    left.axhline(64, color="grey", lw=0.8, ls="--")
    left.annotate("limits", (35.5, 64.7), ha="right", fontsize=9, color="grey")
    left.set(xlabel="months", ylabel="doublings of software", xlim=(0, 36), ylim=(0, 72))
    left.legend(frameon=False, fontsize=9, loc="lower right")
    right.set(xlabel="doubling of software", ylabel="months that it takes", yscale="log", xlim=(0, 60), ylim=(0.01, 10))
    finish(figure, "growth_law")


def stepping_on_toes() -> None:
    figure, axes = plt.subplots(figsize=(6.5, 4), layout="constrained")
    styles = ((1.0, "-"), (0.6, "--"), (0.3, ":"))
    for returns, colour in ((0.7, COLOURS[0]), (1, COLOURS[1]), (3, COLOURS[2])):
        for exponent, style in styles:
            parameters = {"returns": float(returns), "parallel_exponent": exponent}
            durations(axes, parameters, {"convention": "geometric"}, 12, color=colour, ls=style, marker=".")
        axes.plot([], [], color=colour, label=f"returns {returns:g}")
    for exponent, style in styles:
        axes.plot([], [], style, color="black", label=f"parallel exponent {exponent:g}")
    axes.set(xlabel="doubling of software", ylabel="months that it takes", yscale="log", xlim=(1, 12))
    axes.legend(frameon=False, fontsize=9, ncols=2)
    finish(figure, "stepping_on_toes")


def physical_limits() -> None:
    figure, panels = two_panels()
    for axes, returns, last in zip(panels, (3.0, 1.2), (12, 60), strict=True):
        for limit, colour in zip((10, 20, 40, 80), COLOURS, strict=False):
            for ceiling, style in (("linear", "-"), ("level", "--"), ("log_distance", ":")):
                parameters = {"returns": returns, "parallel_exponent": 0.6, "distance_to_limits": float(limit), "horizon": 100.0}
                curve(axes, last, parameters, {"ceiling": ceiling}, color=colour, ls=style, lw=1.3)
            axes.axhline(limit, color=colour, lw=0.5)
        axes.set(xlabel="months", ylabel="doublings of software", xlim=(0, last), ylim=(0, 84), title=f"returns {returns:g}")
    for ceiling, style in (("linear", "-"), ("level", "--"), ("log_distance", ":")):
        panels[1].plot([], [], style, color="black", label=ceiling)
    panels[1].legend(frameon=False, fontsize=9, title="ceiling", loc="upper left", bbox_to_anchor=(0.3, 0.92))
    finish(figure, "physical_limits")


def compute_bottleneck() -> None:
    figure, (left, right) = two_panels()
    for substitution, colour in zip((0.2, 0, -0.1, -0.2, -0.5, -1), COLOURS, strict=True):
        parameters = {"returns": 2.0, "parallel_exponent": 0.6, "substitution_parameter": substitution, "horizon": 60.0}
        curve(left, 48, parameters, {"research_input": "ces"}, color=colour, label=f"{substitution:g}".replace("-", "−"))
    left.set(xlabel="months", ylabel="doublings of software", xlim=(0, 48), ylim=(0, 60))
    left.legend(
        frameon=False,
        fontsize=9,
        title="substitution parameter ρ\n(returns 2, hardware fixed)",
        loc="upper left",
        bbox_to_anchor=(0.25, 1),
        ncols=2,
    )
    grid = np.linspace(-1.2, -0.08, 200)
    for share, colour in ((0.5, COLOURS[0]), (0.3, COLOURS[1])):
        right.plot(grid, (1 - share) ** (1 / grid), color=colour, label=f"labour share {share:g}")
    published = {-1: 2, -0.5: 4, -0.4: 6, -0.2: 32, -0.15: 102, -0.1: 1024}
    right.plot(list(published), list(published.values()), "D", color=COLOURS[2], ms=5, label="published (labour share 0.5)")
    right.set(
        xlabel="substitution parameter ρ", ylabel="research input with unbounded labour, ×", yscale="log", xlim=(-1.2, 0), ylim=(1, 3000)
    )
    right.legend(frameon=False, fontsize=9, loc="upper left")
    finish(figure, "compute_bottleneck")


def training_time() -> None:
    figure, (left, right) = two_panels()
    law: Numbers = {"returns": 2, "parallel_exponent": 0.5, "first_training_time": 2, "horizon": 60}
    curve(left, 24, law, {}, color="black", label="no training time")
    for ratio, colour in ((0.75, COLOURS[0]), (0.9, COLOURS[1]), (1, COLOURS[2])):
        for training, style in (("generations", "-"), ("lag", "--")):
            label = f"each run {ratio:g} × the last" if style == "-" else None
            curve(left, 24, {**law, "training_time_ratio": ratio}, {"training": training}, color=colour, ls=style, label=label)
    left.plot([], [], "--", color="grey", label="deployed software follows (lag)")
    left.set(xlabel="months", ylabel="doublings of software", xlim=(0, 24), ylim=(0, 60))
    left.legend(frameon=False, fontsize=9)
    for returns, colour in ((1.3, COLOURS[0]), (2, COLOURS[1]), (3, COLOURS[2])):
        plain: Numbers = {"returns": returns}
        durations(right, plain, {}, 20, color=colour, ls="--")
        durations(right, plain, {"training": "exponent"}, 20, color=colour, label=f"returns {returns:g}")
    right.plot([], [], "--", color="grey", label="no training time")
    right.set(
        xlabel="doubling of software", ylabel="months that it takes", yscale="log", xlim=(1, 20), ylim=(1e-3, 1), xticks=range(2, 21, 3)
    )
    right.set_title("training = exponent", fontsize=10)
    right.legend(frameon=False, fontsize=9, loc="lower left")
    finish(figure, "training_time")


def returns_evidence() -> None:
    names = {
        "computer_vision_returns": "computer vision",
        "computer_chess_returns": "computer chess",
        "reinforcement_learning_returns": "reinforcement learning",
        "sat_solver_returns": "SAT solvers",
        "linear_programming_returns": "linear programming",
        "algorithms_at_large_returns": "algorithms at large",
        "language_model_returns": "language models",
        "language_model_cobb_douglas_returns": "language models, compute share 0.67",
        "davidson_houlden_2025_returns": "Davidson & Houlden's prior",
        "eth_davidson_2025_returns": "Eth & Davidson, growing hardware",
        "eth_davidson_2025_fixed_hardware_returns": "Eth & Davidson, fixed hardware",
    }
    figure, axes = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
    for place, name in enumerate(reversed(names)):
        known = evidence.find(name, None).resolved
        if isinstance(known, Distribution):
            low, middle, high = known.inverse(np.array([0.05, 0.5, 0.95]), upper=False)
            axes.plot([low, high], [place, place], color=COLOURS[0], lw=4, alpha=0.4, solid_capstyle="butt")
            axes.plot(middle, place, "o", color=COLOURS[0])
        else:
            axes.plot(known, place, "D", color=COLOURS[2], ms=6)
    axes.plot([], [], "o", color=COLOURS[0], label="median and 5–95 %")
    axes.plot([], [], "D", color=COLOURS[2], label="printed without an interval")
    axes.axvline(1, color="grey", lw=0.8, ls="--")
    axes.set_yticks(range(len(names)), list(reversed(names.values())))
    axes.set(xscale="log", xlabel="returns to software R&D", xlim=(0.3, 6))
    axes.set_xticks([0.4, 0.6, 1, 2, 4], ["0.4", "0.6", "1", "2", "4"])
    axes.minorticks_off()
    axes.set_ylim(-2.2, len(names) - 0.5)
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    finish(figure, "returns_evidence")


def start() -> None:
    figure, axes = plt.subplots(figsize=(6.5, 4), layout="constrained")
    months = np.linspace(0.5, 72, 144)
    for end, colour in zip((8, 13, 20), COLOURS, strict=False):
        parameters: Numbers = {
            "initial_doubling_time": 6,
            "returns": 2,
            "parallel_exponent": 0.5,
            "initial_ai_labour": 0.3,
            "automation_end_compute": end,
            "hardware_doublings_per_year": 2,
        }
        options: Choices = {"automation": "ramp", "automation_clock": "effective_compute", "hardware": "exponential"}
        made = sweep.simulate("growth_law", parameters, months.tolist(), options).doublings.values
        drawn = made < 60
        axes.plot(
            months[drawn], 6 * np.gradient(made[drawn], months[drawn]), color=colour, label=f"{end} doublings of effective compute away"
        )
    axes.axhspan(3, 6, color="grey", alpha=0.2, lw=0)
    axes.annotate("a doubling in one or two months", (71, 4.1), ha="right", va="center", fontsize=9, color="dimgrey")
    axes.set(xlabel="months", ylabel="pace, × recent pace", yscale="log", xlim=(0, 72), ylim=(0.5, 100))
    axes.set_yticks([1, 10, 100], ["1", "10", "100"])
    axes.legend(frameon=False, fontsize=9, title="full automation", loc="lower right")
    finish(figure, "start")


def governance() -> None:
    figure, (left, right) = two_panels()
    law: Numbers = {"initial_doubling_time": 1.5, "returns": 3, "parallel_exponent": 0.5, "pace_threshold": 5, "horizon": 60}
    cases: dict[str, tuple[Numbers, Choices]] = {
        "none": ({}, {}),
        "cap at 5 × the recent pace": ({"pace_cap": 5}, {"governance": "cap"}),
        "pause of 12 months at 5 ×": ({"pause_length": 12}, {"governance": "pause"}),
        "reaction, gain 1, delay 0.5": ({"reaction_gain": 1, "reaction_delay": 0.5}, {"governance": "reaction"}),
        "reaction, gain 2, delay 1": ({"reaction_gain": 2, "reaction_delay": 1}, {"governance": "reaction"}),
        "reaction, gain 2, delay 6": ({"reaction_gain": 2, "reaction_delay": 6}, {"governance": "reaction"}),
    }
    for (name, (parameters, options)), colour in zip(cases.items(), COLOURS, strict=True):
        curve(left, 36, law | parameters, options, color=colour, lw=4 if name == "none" else 1.5, label=name)
    left.set(xlabel="months", ylabel="doublings of software", xlim=(0, 36), ylim=(0, 125))
    left.legend(frameon=False, fontsize=9, loc="upper right")
    gains, delays = np.linspace(0.6, 3, 33), np.geomspace(0.3, 12, 33)
    gain, delay = (grid.ravel() for grid in np.meshgrid(gains, delays))
    given = {"returns": 3.0, "pace_threshold": 3.0, "horizon": 120.0, "reaction_gain": gain, "reaction_delay": delay}
    made = sweep.simulate("growth_law", given, [120], {"governance": "reaction"}, doublings=1).doublings.values[:, 0]
    pole = np.isinf(made).reshape(len(delays), len(gains))
    right.contourf(gains, delays, pole, levels=[-0.5, 0.5, 1.5], colors=["#dfe9f2", "#f3d6d9"])
    right.contour(gains, delays, pole, levels=[0.5], colors=[COLOURS[2]])
    right.axvline(1, color="grey", lw=0.8, ls="--")
    right.annotate("infinite within ten years", (0.96, 0.9), xycoords="axes fraction", ha="right", fontsize=10)
    right.annotate("held", (0.96, 0.06), xycoords="axes fraction", ha="right", fontsize=10)
    right.set(xlabel="gain of the reaction", ylabel="its delay, months", yscale="log")
    right.set_yticks([0.3, 1, 3, 10], ["0.3", "1", "3", "10"])
    right.set_title("returns 3, first doubling a month, threshold 3 × the recent pace", fontsize=10)
    finish(figure, "governance")


def noise() -> None:
    figure, (left, right) = two_panels()
    law: Numbers = {"initial_doubling_time": 1.5, "returns": 1.5, "parallel_exponent": 0.4, "horizon": 60}
    paths, months = 40, np.linspace(0, 24, 97)
    wandering: dict[str, Any] = law | {"noise_sd": np.full(paths, 0.6), "breakthrough_rate": 0.05, "breakthrough_size": 1}
    made = sweep.simulate("growth_law", wandering, months.tolist(), {"noise": "both"}).doublings.values
    left.plot(months, np.where(made < 130, made, np.nan).T, color=COLOURS[0], lw=0.6, alpha=0.6)
    curve(left, 24, law, {}, color=COLOURS[2], lw=2.5, label="without noise")
    left.plot([], [], color=COLOURS[0], lw=0.8, label="forty paths: s = 0.6,\na breakthrough every 20 months")
    left.set(xlabel="months", ylabel="doublings of software", xlim=(0, 24), ylim=(0, 60))
    left.legend(edgecolor="none", framealpha=0.9, fontsize=9, loc="upper left")
    bins = np.linspace(0, 30, 61)
    for deviation, colour in zip((0.1, 0.3, 0.6), COLOURS, strict=False):
        given: dict[str, Any] = law | {"noise_sd": np.full(4000, deviation)}
        dates = sweep.simulate("growth_law", given, [0], {"noise": "pace"}, doublings=10).doubling_time.values[:, -1]
        right.hist(dates, bins, density=True, histtype="step", lw=1.8, color=colour, label=f"s = {deviation}")
    right.axvline(
        float(sweep.simulate("growth_law", law, [0], doublings=10).doubling_time[-1]), color="grey", lw=1, ls="--", label="without noise"
    )
    right.set(xlabel="months to 10 doublings", ylabel="density, a month⁻¹", xlim=(0, 30))
    right.legend(frameon=False, fontsize=9)
    finish(figure, "noise")


def hardware() -> None:
    figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
    law: Numbers = {"initial_doubling_time": 1.5, "returns": 1.2, "parallel_exponent": 0.5, "horizon": 60}
    for growth, colour in zip((0, 1, 2), COLOURS, strict=False):
        label = "fixed" if growth == 0 else f"{growth} doubling{'s' if growth > 1 else ''} a year"
        options: Choices = {"research_input": "cobb_douglas", "hardware": "exponential"}
        curve(axes, 36, {**law, "hardware_doublings_per_year": growth}, options, color=colour, label=label)
    for delay, style in ((3.0, "--"), (12.0, ":")):
        loop = {**law, "hardware_doubling_time": 6, "hardware_parallel_exponent": 0.5, "hardware_delay": delay}
        loops: Choices = {"research_input": "cobb_douglas", "hardware": "loop"}
        curve(axes, 36, loop, loops, color="black", ls=style, label=f"improved by AI, delay {delay:g} months")
    axes.set(xlabel="months", ylabel="doublings of software", xlim=(0, 36), ylim=(0, 60))
    axes.legend(frameon=False, fontsize=9, title="hardware", loc="center left", bbox_to_anchor=(1, 0.5))
    finish(figure, "hardware")


def interviews() -> None:
    figure, (left, right) = two_panels()
    implied = {1: (1.5, -1.709489), 2: (10 / 3, -0.557158), 3: (20, -0.070773), 4: (10, -0.204587), 5: (3, -0.617377)}
    for (number, (pace, substitution)), colour in zip(implied.items(), COLOURS, strict=False):
        left.bar(number, pace, color=colour, width=0.6)
        left.annotate(f"ρ = {substitution:.2f}".replace("-", "−"), (number, pace * 1.06), ha="center", fontsize=9)
        parameters = {"initial_doubling_time": 3.0, "returns": 1.2, "labour_multiplier": 900.0, "substitution_parameter": substitution}
        curve(right, 24, parameters, {"research_input": "ces"}, color=colour, label=f"researcher {number}")
    left.set(xlabel="researcher", ylabel="pace with 900 × the labour, × recent pace", yscale="log", ylim=(1, 30))
    left.set_yticks([1, 3, 10, 30], ["1", "3", "10", "30"])
    right.plot([0, 24], [0, 8], color="grey", ls="--", lw=0.8, label="recent pace")
    right.set(xlabel="months", ylabel="doublings of software", xlim=(0, 24), ylim=(0, 40))
    right.legend(frameon=False, fontsize=9)
    finish(figure, "interviews")


def workflow() -> None:
    figure, axes = plt.subplots(figsize=(6.5, 4), layout="constrained")
    law: Numbers = {"initial_doubling_time": 3, "returns": 2, "labour_share": 0.4, "parallel_exponent": 0.5, "horizon": 60}
    law |= {"automated_share_low": 0, "automated_share_high": 0, "hardware_doublings_per_year": 2}
    options: Choices = {"research_input": "cobb_douglas", "automation": "ramp", "hardware": "exponential"}
    names = {1: "people alone", 1.2: "pessimistic, least", 1.5: "pessimistic, most", 2: "extreme, at least", 2.5: "somewhat optimistic, P4"}
    for (multiplier, name), colour in zip(names.items(), ("grey", *COLOURS), strict=False):
        curve(axes, 60, {**law, "labour_multiplier": multiplier}, options, color=colour, label=f"{multiplier:g} × labour: {name}")
    axes.set(xlabel="months", ylabel="doublings of software", xlim=(0, 60), ylim=(0, None))
    axes.legend(frameon=False, fontsize=9)
    finish(figure, "workflow")


def sie_phase(store: Path) -> None:
    """The flagship: P(explosion), and when half of the draws have made 20 doublings, of a finished run."""
    cube = sweep.open_cube(store)
    probability = cube["statistics"].to_dataset()["probability"].sel(outcome="explosion")
    dates = cube["statistics/date_of_doubling_20"].to_dataset()["quantile_value"].sel(quantile=0.5)
    limits = probability.distance_to_limits.values
    chosen = [int(np.abs(np.log(limits / wanted)).argmin()) for wanted in (16, 64, 256)]
    figure, panels = plt.subplots(1, len(chosen), figsize=(11, 4.3), sharey=True, layout="constrained")
    for axes, index in zip(panels, chosen, strict=True):
        here = {"distance_to_limits": index}
        order = ("elasticity_of_substitution", "returns")
        grid, date = (array.isel(here).transpose(*order) for array in (probability, dates))
        across, up = grid.returns.values, grid.elasticity_of_substitution.values
        filled = axes.contourf(across, up, grid.values, levels=np.linspace(0, 1, 11), cmap="YlOrRd", extend="neither")
        finite = np.where(np.isfinite(date.values), date.values, 1e6)
        lines = axes.contour(across, up, finite, levels=[6, 12, 24, 48], colors="black", linewidths=1, linestyles=["-", "--", "-.", ":"])
        axes.clabel(lines, fmt=lambda months: f"{months:g} mo", fontsize=9)
        axes.axhline(1, color="grey", lw=0.6)
        axes.axvline(1, color="grey", lw=0.6)
        axes.set(xscale="log", yscale="log", xlabel="returns to software R&D")
        axes.set_title(f"limits {limits[index]:.0f} doublings away", fontsize=11)
        axes.set_xticks([0.5, 1, 2, 3], ["0.5", "1", "2", "3"])
        axes.set_yticks([0.4, 0.6, 1, 2, 3], ["0.4", "0.6", "1", "2", "3"])
        axes.minorticks_off()
    panels[0].set_ylabel("elasticity of substitution,\nlabour for experiment compute")
    bar = figure.colorbar(filled, ax=panels, pad=0.01)
    bar.set_label("probability of an explosion\n(pace rises tenfold in ten years)")
    figure.suptitle("Lines: months until 20 doublings of software, median", fontsize=10)
    finish(figure, "sie_phase")


def main() -> None:
    matplotlib.use("Agg")
    matplotlib.rcParams.update({"axes.spines.top": False, "axes.spines.right": False})
    FIGURES.mkdir(parents=True, exist_ok=True)
    study("davidson_houlden_2025", "demo")
    study("phase_returns_ceiling", "phase_returns_ceiling")
    davidson_houlden()
    toy_model()
    returns_law()
    growth_law()
    stepping_on_toes()
    physical_limits()
    compute_bottleneck()
    training_time()
    returns_evidence()
    start()
    governance()
    noise()
    hardware()
    interviews()
    workflow()
    # A hundred million trajectories: `siesweep run configs/sie_phase.toml` makes it.
    if (flagship := ROOT / "results" / "sie_phase.zarr").is_dir():
        sie_phase(flagship)


if __name__ == "__main__":
    main()
