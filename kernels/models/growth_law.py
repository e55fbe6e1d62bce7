"""The growth law: every factor of the software intelligence explosion's source documents, chosen by options and freely combined.

Equation: 1/T = (1/T0)·I^λ·R(x)·P, dx/dt = 1/T, in doublings x of software a month, with research input I from labour and compute,
returns to software R&D R with an optional ceiling, and policy P. The factors are in kernels/law, one a file.

Source: Eth & Davidson (2025), "Will AI R&D Automation Cause a Software Intelligence Explosion?", with footnotes 16–43; Forethought (2025)
on compute bottlenecks and retraining; Davidson (2023) on the approach to a ceiling.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import jax
import jax.numpy as jnp

from kernels.law.bare_law import BareLaw
from kernels.law.growth import GrowthSystem
from kernels.law.noise import LEAST_POINTS, POINTS
from kernels.models.model import PATH, Bounds, Model, ModelError, Option, Options, Parameter, Uses, refuse_unused, varying
from kernels.solvers.budget import Budget
from kernels.solvers.clock import Stepping
from kernels.solvers.clock_solution import ClockSolution
from kernels.solvers.panels import panels_for
from kernels.solvers.quadrature import QuadratureSolution
from kernels.solvers.solution import Solution

_INFINITE = math.inf
_STEPS_ON_A_PATH = 1e-4
_MOST_EVENTS = 8192
"""Points of a random path, or breakthroughs, that a trajectory is stepped through at most."""


def _used_by(option: str, values: tuple[str, ...], *names: str) -> dict[str, dict[str, tuple[str, ...]]]:
    return {name: {option: values} for name in names}


_USES_OF_INPUT: Uses = {
    **_used_by("research_input", ("ces", "cobb_douglas"), "labour_share", "experiment_efficiency"),
    **_used_by("research_input", ("ces",), "substitution_parameter", "elasticity_of_substitution"),
}
"""Of those that say what kind of input there is: given beside another kind they contradict it, be they numbers."""
_USES: Uses = {
    **_used_by("research_input", ("ces", "cobb_douglas"), "experiment_compute_multiplier"),
    **_used_by("ceiling", ("linear", "log_distance", "level"), "distance_to_limits"),
    **_used_by("training", ("lag", "generations"), "first_training_time", "training_time_ratio"),
    **_used_by("governance", ("cap",), "pace_cap"),
    **_used_by("governance", ("pause", "reaction"), "pace_threshold"),
    **_used_by("governance", ("pause",), "pause_length"),
    **_used_by("governance", ("reaction",), "reaction_gain", "reaction_delay"),
    **_used_by("hardware", ("exponential",), "hardware_doublings_per_year"),
    **_used_by("hardware", ("loop",), "hardware_doubling_time", "hardware_returns", "hardware_parallel_exponent", "hardware_delay"),
    **_used_by("automation", ("ramp", "logistic"), "initial_ai_labour", "task_substitution_parameter"),
    **_used_by("automation", ("ramp", "logistic"), "automated_share_low", "automated_share_high"),
    "automation_start_time": {"automation": ("ramp",), "automation_clock": ("time",)},
    "automation_end_time": {"automation": ("ramp",), "automation_clock": ("time",)},
    "automation_start_compute": {"automation": ("ramp",), "automation_clock": ("effective_compute",)},
    "automation_end_compute": {"automation": ("ramp",), "automation_clock": ("effective_compute",)},
    **_used_by("automation", ("logistic",), "automation_midpoint", "automation_width"),
    **_used_by("noise", ("pace", "both"), "noise_sd", "noise_correlation_time"),
    **_used_by("noise", ("breakthroughs", "both"), "breakthrough_rate", "breakthrough_size"),
}


def _positive(name: str, symbol: str, unit: str, default: float, meaning: str) -> Parameter:
    return Parameter(name, symbol, unit, default, 0.0, _INFINITE, meaning, True, True)


def _share(name: str, symbol: str, default: float, meaning: str) -> Parameter:
    return Parameter(name, symbol, "–", default, 0.0, 1.0, meaning)


def _below_one(name: str, symbol: str, default: float, meaning: str) -> Parameter:
    return Parameter(name, symbol, "–", default, -_INFINITE, 1.0, meaning, True, True)


def _random_events(options: Options, bounds: Bounds) -> tuple[float, float]:
    """The most points of the random path of the pace, and of breakthroughs, that there can be within a horizon."""
    longest = bounds["horizon"][1]
    points = max(POINTS * longest / bounds["noise_correlation_time"][0], LEAST_POINTS) if options["noise"] in ("pace", "both") else 0.0
    mean = longest * bounds["breakthrough_rate"][1] if options["noise"] in ("breakthroughs", "both") else 0.0
    # Seven standard deviations of a Poisson number, and some where it is small.
    return points, mean + 7 * math.sqrt(mean) + 16 * (mean > 0)


def _substitution_bounds(bounds: Bounds) -> tuple[float, float]:
    """The least and greatest substitution parameter ρ, given as such or as an elasticity."""
    low, high = bounds["elasticity_of_substitution"]
    return (1 - 1 / low, 1 - 1 / high) if high > 0 else bounds["substitution_parameter"]


def _is_in_software(options: Options, bounds: Bounds) -> bool:
    """Whether progress depends on software alone: what quadrature is for. With ρ far from 0 the law is nearly kinked."""
    off = {"training": "none", "governance": "none", "hardware": "fixed", "noise": "none", "automation": "full"}
    if any(options[name] != value for name, value in off.items()):
        return False
    low, high = _substitution_bounds(bounds)
    return options["research_input"] != "ces" or (low >= -8 and high <= 0.9)


def _panels(options: Options, bounds: Bounds, tolerance: float) -> Budget:
    exponent, lowest = bounds["parallel_exponent"][1], bounds["returns"][0]
    share = 1.0 if options["research_input"] == "labour" else bounds["labour_share"][1]
    nearest = _INFINITE if options["ceiling"] == "constant" else bounds["distance_to_limits"][0]
    added = 2 / nearest if options["ceiling"] == "log_distance" else 0.0

    def steepest(way: float) -> float:
        # |d ln T/dx| is at most what research input gains, or what returns lose with the local r at that share of the way.
        local = lowest if options["ceiling"] == "constant" else lowest * (1 - way)
        return exponent * math.log(2) * max(1.0, share / local) + added

    deepest = exponent * math.log(2) * bounds["distance_to_limits"][1]
    if options["research_input"] != "ces":
        return panels_for(tolerance, steepest, nearest, deepest)
    # Where research input passes from labour to compute, the nearest that the law has a singularity off the real line (`BareLaw.bend`).
    aside = math.pi / (max(abs(rho) for rho in (*_substitution_bounds(bounds), 1e-3)) * math.log(2))
    budget = panels_for(tolerance, steepest, nearest, deepest, aside=aside)
    # Measured, at most: panels through the passage.
    return replace(budget, steps=budget.steps + 40)


class GrowthLaw(Model):
    """Research input, returns, ceilings, automation, training time, governance and hardware in one law."""

    name = "growth_law"
    title = "Growth law: research input, returns, limits, automation, training time, governance and hardware"
    source = "Eth & Davidson (2025), “Will AI R&D Automation Cause a Software Intelligence Explosion?”; Forethought (2025); Davidson (2023)"
    parameters = (
        _positive("initial_doubling_time", "T0", "months", 1.0, "doubling time of software at the start, before policy"),
        _positive("returns", "r", "–", 1.2, "returns to software R&D: software doublings per doubling of labour, at fixed compute"),
        Parameter("labour_share", "α", "–", 0.5, 0.0, 1.0, "labour's share of research input at the start", True),
        _below_one("substitution_parameter", "ρ", -0.2, "substitution of labour and experiment compute: 0 is Cobb–Douglas"),
        Parameter("elasticity_of_substitution", "σ", "–", 0.0, 0.0, _INFINITE, "1/(1 − ρ), in place of ρ (0: not given)", high_open=True),
        _positive("parallel_exponent", "λ", "–", 1.0, "stepping on toes: exponent of research input"),
        _positive("distance_to_limits", "X", "doublings", 88.0, "doublings to the ceiling (not used by ceiling = constant)"),
        _share("experiment_efficiency", "γ", 0.0, "how far better software makes each experiment cheaper"),
        _positive("recent_doubling_time", "T_ref", "months", 3.0, "doubling time at the recent pace, the unit of paces"),
        _positive("labour_multiplier", "–", "×", 1.0, "constant factor on labour"),
        _positive("experiment_compute_multiplier", "–", "×", 1.0, "constant factor on experiment compute"),
        _positive("horizon", "H", "months", 240.0, "end of the trajectory"),
        _positive("initial_ai_labour", "a0", "× human labour", 1.0, "AI labour at the start"),
        _below_one("task_substitution_parameter", "κ", -0.5, "substitution between tasks of research"),
        _share("automated_share_low", "f", 0.2, "automated share of tasks before the ramp"),
        _share("automated_share_high", "f", 1.0, "automated share of tasks after the ramp"),
        Parameter("automation_start_time", "–", "months", 0.0, -_INFINITE, _INFINITE, "start of a ramp in time", True, True),
        Parameter("automation_end_time", "–", "months", 60.0, -_INFINITE, _INFINITE, "end of a ramp in time", True, True),
        Parameter(
            "automation_start_compute", "E", "doublings", 0.0, -_INFINITE, _INFINITE, "effective compute where a ramp starts", True, True
        ),
        Parameter(
            "automation_end_compute", "E", "doublings", 13.0, -_INFINITE, _INFINITE, "effective compute where a ramp ends", True, True
        ),
        Parameter("automation_midpoint", "E", "doublings", 6.0, -_INFINITE, _INFINITE, "effective compute half way, logistic", True, True),
        _positive("automation_width", "E", "doublings", 2.0, "width of the logistic in effective compute"),
        _positive("first_training_time", "τ0", "months", 2.0, "length of the first training run"),
        _positive("training_time_ratio", "k", "–", 0.9, "length of each training run against the one before"),
        _positive("pace_cap", "cap", "× recent pace", 5.0, "the highest pace that policy allows"),
        _positive("pace_threshold", "m", "× recent pace", 5.0, "the pace that triggers a pause, or a reaction"),
        _positive("pause_length", "d", "months", 12.0, "how long a pause lasts"),
        Parameter("reaction_gain", "–", "–", 1.0, 0.0, _INFINITE, "how strongly policy answers a pace above the threshold", False, True),
        _positive("reaction_delay", "–", "months", 3.0, "how slowly policy becomes aware of the pace"),
        Parameter(
            "hardware_doublings_per_year", "–", "doublings a year", 2.0, 0.0, _INFINITE, "growth of hardware, exponential", False, True
        ),
        _positive("hardware_doubling_time", "T_h", "months", 24.0, "doubling time of hardware at the start of its loop"),
        _positive("hardware_returns", "r_h", "–", 5.0, "returns to hardware R&D"),
        _positive("hardware_parallel_exponent", "λ_h", "–", 1.0, "stepping on toes in hardware R&D"),
        _positive("hardware_delay", "D", "months", 12.0, "from the frontier of hardware to what is installed"),
        Parameter("noise_sd", "σ", "ln pace", 0.3, 0.0, _INFINITE, "stationary standard deviation of the log pace", high_open=True),
        _positive("noise_correlation_time", "τ_n", "months", 6.0, "how long a deviation of the pace lasts"),
        Parameter("breakthrough_rate", "–", "a month", 0.05, 0.0, _INFINITE, "how often breakthroughs arrive", high_open=True),
        _positive("breakthrough_size", "–", "doublings", 1.0, "mean of the doublings that a breakthrough adds"),
    )
    options = (
        Option("research_input", ("labour", "cobb_douglas", "ces"), "how labour and experiment compute make research input"),
        Option("ceiling", ("constant", "linear", "log_distance", "level"), "how returns fall toward the limits"),
        Option("convention", ("instantaneous", "geometric"), "whether the initial doubling time is T(0) or the time of the first doubling"),
        Option("training", ("none", "exponent", "lag", "generations"), "how the time to train new models slows progress"),
        Option("governance", ("none", "cap", "pause", "reaction"), "what policy does to the pace"),
        Option("reaction_start", ("current", "recent"), "the pace that policy is aware of at the start"),
        Option("hardware", ("fixed", "exponential", "loop"), "how hardware grows"),
        Option("automation", ("full", "ramp", "logistic"), "how the automated share of research tasks grows"),
        Option("automation_clock", ("time", "effective_compute"), "what the ramp of automation follows"),
        Option("noise", ("none", "pace", "breakthroughs", "both"), "whether the pace wanders, and software jumps, at random"),
        Option("solver", ("automatic", "quadrature", "clock"), "quadrature where progress depends on software alone, else the mixed clock"),
    )

    has_years_of_progress = True

    def doublings_per_year_of_progress(self, parameters: Mapping[str, jax.Array] | Mapping[str, float]) -> jax.Array | float:
        return 12 / parameters["recent_doubling_time"]

    def ceiling(self, parameters: Mapping[str, jax.Array], options: Options) -> jax.Array | None:
        return None if options["ceiling"] == "constant" else parameters["distance_to_limits"]

    def check_given(self, options: Options, given: Bounds) -> None:
        refuse_unused(_USES_OF_INPUT, options, given)
        refuse_unused(_USES, options, varying(given))
        if "substitution_parameter" in given and "elasticity_of_substitution" in given:
            problem = "given beside substitution_parameter, of which it is another form"
            raise ModelError("elasticity_of_substitution", problem, "give one of the two")
        if given.get("elasticity_of_substitution") == (0, 0):
            problem = "0 stands for an elasticity that is not given"
            raise ModelError("elasticity_of_substitution", problem, "give one above 0, or remove it")

    def check(self, options: Options, bounds: Bounds) -> None:
        super().check(options, bounds)
        low, high = bounds["elasticity_of_substitution"]
        if low == 0 < high:
            raise ModelError("elasticity_of_substitution", "0 lies outside its support", "keep it within (0, inf)")
        if options["solver"] == "quadrature" and not _is_in_software(options, bounds):
            problem = "progress does not depend on software alone, or turns too sharply for panels"
            raise ModelError("solver", f'"quadrature": {problem}', 'use solver = "automatic" or "clock"')
        if options["training"] == "exponent":
            self._check_exponent(options)
        if options["noise"] != "none":
            self._check_noise(options, bounds)
        if options["hardware"] == "loop" and options["automation"] != "full":
            raise ModelError("hardware", 'the loop needs automation = "full"', 'use hardware = "fixed" or "exponential"')
        if options["convention"] == "geometric":
            if options["automation"] == "ramp" and options["automation_clock"] == "time":
                problem = "the first doubling of a law with a ramp in time is not defined by software alone"
                raise ModelError("convention", problem, 'use "instantaneous", or automation_clock = "effective_compute"')
            if options["ceiling"] != "constant" and bounds["distance_to_limits"][0] <= 1:
                problem = f"{bounds['distance_to_limits'][0]:g} doublings leave no first doubling to define the geometric convention by"
                raise ModelError("distance_to_limits", problem, 'keep it above 1, or use convention = "instantaneous"')
        if options["automation"] != "full":
            self._check_automation(options, bounds)

    @staticmethod
    def _check_exponent(options: Options) -> None:
        in_time = options["automation"] == "ramp" and options["automation_clock"] == "time"
        for name, refused in (
            ("hardware", options["hardware"] != "fixed"),
            ("governance", options["governance"] not in ("none", "cap")),
            ("automation_clock", in_time),
            ("noise", options["noise"] != "none"),
        ):
            if refused:
                problem = f'training = "exponent" describes progress in software alone, without {name} = {options[name]!r}'
                raise ModelError(name, problem, 'use training = "lag" or "generations"')

    @staticmethod
    def _check_noise(options: Options, bounds: Bounds) -> None:
        points, arrivals = _random_events(options, bounds)
        for name, events, fix in (("noise_correlation_time", points, "keep it longer"), ("breakthrough_rate", arrivals, "keep it lower")):
            if events > _MOST_EVENTS:
                reached = bounds[name][0 if name == "noise_correlation_time" else 1]
                problem = f"{reached:.3g} with a horizon of {bounds['horizon'][1]:g} months makes too long a random path to step through"
                raise ModelError(name, problem, f"{fix}, or truncate it, or shorten the horizon")

    def simplified(self, options: Options, bounds: Bounds) -> Options:
        wanders = options["noise"] in ("pace", "both") and bounds["noise_sd"][1] > 0
        breaks = options["noise"] in ("breakthroughs", "both") and bounds["breakthrough_rate"][1] > 0
        left = "both" if wanders and breaks else "pace" if wanders else "breakthroughs" if breaks else "none"
        return {**options, "noise": left}

    def needs_path(self, options: Options) -> bool:
        return options["noise"] != "none"

    @staticmethod
    def _check_automation(options: Options, bounds: Bounds) -> None:
        if bounds["automated_share_low"][1] > bounds["automated_share_high"][0]:
            problem = f"{bounds['automated_share_low'][1]:g} may lie above automated_share_high"
            raise ModelError("automated_share_low", problem, "keep it below automated_share_high")
        if options["automation"] == "ramp":
            unit = "time" if options["automation_clock"] == "time" else "compute"
            start, end = bounds[f"automation_start_{unit}"], bounds[f"automation_end_{unit}"]
            if start[1] >= end[0]:
                problem = f"{start[1]:g} may not lie before automation_end_{unit}"
                raise ModelError(f"automation_start_{unit}", problem, f"keep it below automation_end_{unit}")

    def budget(self, options: Options, bounds: Bounds, tolerance: float) -> Budget:
        if options["solver"] != "clock" and _is_in_software(options, bounds):
            return _panels(options, bounds, tolerance)
        if options["noise"] in ("pace", "both"):
            # A tolerance that suits the grid of a path is none for the steps between.
            tolerance = min(tolerance, _STEPS_ON_A_PATH)
        return Budget(steps=4096 + math.ceil(sum(_random_events(options, bounds))), tolerance=tolerance)

    def solve(self, parameters: Mapping[str, jax.Array], options: Options, budget: Budget) -> Solution:
        law = BareLaw(parameters, options)
        if not budget.tolerance:
            log_first, bend = law.log_first_pace, law.bend
            return QuadratureSolution(
                lambda level, log_remaining: -log_first - law.log_in_software(level, log_remaining),
                law.ceiling,
                parameters["horizon"],
                budget,
                bend=bend,
                single=options["research_input"] != "ces",
            )
        narrow = parameters["horizon"].dtype == jnp.float32
        stepping = Stepping(budget.steps, max(budget.tolerance / 10, 2e-7 if narrow else 2e-14), budget.one_kernel)
        path = (parameters[PATH[0]], parameters[PATH[1]]) if self.needs_path(options) else None
        return ClockSolution(GrowthSystem(law, path, budget.refinements), stepping, parameters["horizon"], budget.furthest)
