"""The terms of the growth law in plain float64, and its right-hand side in time: half of an oracle that shares no code with `kernels`.

    dx/dt = (1/T0) I^λ R(x) P        x = log2 S/S0 in doublings, t in months, 12 to the year

I is research input from labour ℓ and experiment compute c, R returns to software R&D, P policy; noise is left out. Sources: Eth & Davidson
(2025), "Will AI R&D Automation cause a Software Intelligence Explosion?" (footnotes 23–29 returns, stepping on toes and limits, 39–41
compute, 42–43 training, figure 1 hardware); Davidson & Houlden (2025) for returns that fall linearly and for retraining by the exponent;
Davidson (2023), the full takeoff model, for the log-distance ceiling.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.integrate import quad, solve_ivp

LN2 = math.log(2.0)
MOST_DOUBLINGS = 1000.0
LN_FASTEST = 260.0
"""ln of a pace (doublings a month) from which MOST_DOUBLINGS are no time away: 2^375."""
MOST_HARDWARE = 1000.0
"""Doublings of installed hardware at which a loop ends."""
DEFAULTS = {
    "initial_doubling_time": 1.0, "returns": 1.2, "labour_share": 0.5, "substitution_parameter": -0.2, "parallel_exponent": 1.0,
    "distance_to_limits": 88.0, "experiment_efficiency": 0.0, "recent_doubling_time": 3.0, "labour_multiplier": 1.0,
    "experiment_compute_multiplier": 1.0, "horizon": 240.0, "initial_ai_labour": 1.0, "task_substitution_parameter": -0.5,
    "automated_share_low": 0.2, "automated_share_high": 1.0, "automation_start_time": 0.0, "automation_end_time": 60.0,
    "automation_start_compute": 0.0, "automation_end_compute": 13.0, "automation_midpoint": 6.0, "automation_width": 2.0,
    "first_training_time": 2.0, "training_time_ratio": 0.9, "pace_cap": 5.0, "pace_threshold": 5.0, "pause_length": 12.0,
    "reaction_gain": 1.0, "reaction_delay": 3.0, "hardware_doublings_per_year": 2.0, "hardware_doubling_time": 24.0,
    "hardware_returns": 5.0, "hardware_parallel_exponent": 1.0, "hardware_delay": 12.0,
}  # fmt: skip
OPTIONS = {
    "research_input": ("labour", "cobb_douglas", "ces"),
    "ceiling": ("constant", "linear", "log_distance", "level"),
    "convention": ("instantaneous", "geometric"),
    "training": ("none", "exponent", "lag", "generations"),
    "governance": ("none", "cap", "pause", "reaction"),
    "reaction_start": ("current", "recent"),
    "hardware": ("fixed", "exponential", "loop"),
    "automation": ("full", "ramp", "logistic"),
    "automation_clock": ("time", "effective_compute"),
}
"""Values of each option, the default first."""


class Moment(float):
    """A month, and the digits that a float of it leaves out: close before the end of a ramp what is left of it would be noise without."""

    rest: float

    def __new__(cls, month: float, rest: float = 0.0) -> Moment:
        moment = super().__new__(cls, month)
        moment.rest = rest
        return moment

    def later(self, months: float) -> Moment:
        """So many months after this one."""
        begin = float(self)
        end = begin + months
        added = end - begin
        return Moment(end, self.rest + ((begin - (end - added)) + (months - added)))

    def until(self, month: float) -> float:
        """Months that are left until then."""
        return (month - float(self)) - self.rest


@dataclass(frozen=True)
class Phase:
    """What stays the same between two boundaries: how software is deployed ("live", "lag" by `lag` months, or "held" at `held`
    doublings), whether a pause is on, and whether hardware is at MOST_HARDWARE."""

    deployment: str
    lag: float = 0.0
    held: float = 0.0
    paused: bool = False
    hardware_held: bool = False


def ln_power_mean(weights: tuple[float, float], logs: tuple[float, float], exponent: float) -> float:
    """ln (v a^ρ + w b^ρ)^(1/ρ) with v + w = 1, from (v, w) and (ln a, ln b), continuous through ρ = 0 (the weighted geometric mean)."""
    if exponent == 0.0:
        return weights[0] * logs[0] + weights[1] * logs[1]
    spread = exponent * (logs[0] - logs[1])
    if abs(spread) < 1.0:
        return logs[1] + math.log1p(weights[0] * math.expm1(spread)) / exponent
    terms = [math.log(weight) + exponent * log for weight, log in zip(weights, logs, strict=True)]
    return (max(terms) + math.log1p(math.exp(-abs(terms[0] - terms[1])))) / exponent


def _weight(weights: tuple[float, float], logs: tuple[float, float], exponent: float) -> float:
    """v a^ρ/(v a^ρ + w b^ρ): the elasticity of a power mean with respect to a."""
    return 1.0 if weights[1] <= 0.0 else weights[0] / (weights[0] + weights[1] * math.exp(min(700.0, exponent * (logs[1] - logs[0]))))


class Law:
    """The right-hand side. State: position (x, or ln(1 − x/X) under a ceiling), deployed software under a lag, log2(T(0)/T_u) of
    `exponent` training, log2 of the pace that a reaction has noticed, frontier hardware and installed hardware, all in doublings.

    Unknown names raise KeyError.
    """

    def __init__(self, parameters: dict[str, float], options: dict[str, str]) -> None:
        self.values = dict(DEFAULTS)
        for name, value in parameters.items():
            if name == "elasticity_of_substitution":
                self.values["substitution_parameter"] = 1.0 - 1.0 / value
            elif name in DEFAULTS:
                self.values[name] = float(value)
            else:
                raise KeyError(name)
        self.options = {name: values[0] for name, values in OPTIONS.items()}
        for name, choice in options.items():
            if choice not in OPTIONS[name]:
                raise KeyError(f"{name}={choice}")
            self.options[name] = choice
        values = self.values
        labour_only = self.options["research_input"] == "labour"
        self.share = 1.0 if labour_only else values["labour_share"]
        self.substitution = values["substitution_parameter"] if self.options["research_input"] == "ces" else 0.0
        self.efficiency = 0.0 if labour_only else values["experiment_efficiency"]
        self.toes = values["parallel_exponent"]
        self.beta = self.toes * self.share / values["returns"]
        self.bounded = self.options["ceiling"] != "constant"
        self.limit = values["distance_to_limits"] if self.bounded else math.inf
        self.power = {
            "constant": 0.0,
            "linear": self.beta * self.limit * LN2,
            "log_distance": 1.0 + self.beta * self.limit * LN2,
            "level": self.beta * (1.0 - 2.0**-self.limit),
        }[self.options["ceiling"]]
        self.ln_start_labour = self._ln_labour(self._tasks(0.0, 0.0), 0.0)
        self.doubling_time = self._instantaneous_doubling_time()

    # Factors of the law.

    def _tasks(self, month: float, compute: float) -> tuple[float, float]:
        """f and 1 − f, the automated share of tasks and the rest, at effective compute E = x_d + y; 1 − f keeps its digits near f = 1."""
        values = self.values
        low, high = values["automated_share_low"], values["automated_share_high"]
        if self.options["automation"] == "full":
            return 1.0, 0.0
        if self.options["automation"] == "logistic":
            logit = max(-700.0, min(700.0, (compute - values["automation_midpoint"]) / values["automation_width"]))
            risen, left = 1.0 / (1.0 + math.exp(-logit)), 1.0 / (1.0 + math.exp(logit))
        else:
            clock = "time" if self.options["automation_clock"] == "time" else "compute"
            now = month if clock == "time" else compute
            start, end = values[f"automation_start_{clock}"], values[f"automation_end_{clock}"]
            left = min(1.0, max(0.0, (now.until(end) if isinstance(now, Moment) else end - now) / (end - start)))
            risen = min(1.0, max(0.0, (now - start) / (end - start)))
        return low + (high - low) * risen, (1.0 - high) + (high - low) * left

    def _ln_labour(self, tasks: tuple[float, float], compute: float) -> float:
        """ln Λ = ln [(1−f)^(1−κ) + f^(1−κ) A^κ]^(1/κ), A = a0 2^E: the mean of labour per task, 1/(1−f) and A/f, weighted by tasks."""
        automated, manual = tasks
        ln_ai = math.log(self.values["initial_ai_labour"]) + LN2 * compute
        if manual <= 0.0:
            return ln_ai
        if automated <= 0.0:
            return 0.0
        kappa = self.values["task_substitution_parameter"]
        return ln_power_mean((manual, automated), (-math.log(manual), ln_ai - math.log(automated)), kappa)

    def ln_input(self, month: float, x: float, deployed: float, hardware: float, multiplied: bool = True) -> float:
        """ln I, with or without the constant multipliers of labour and experiment compute (bugs, workflow, mitigations)."""
        compute = deployed + hardware
        ln_labour = self._ln_labour(self._tasks(month, compute), compute) - self.ln_start_labour
        logs = self._multiplied(ln_labour, LN2 * (hardware + self.efficiency * x), multiplied)
        return ln_power_mean((self.share, 1.0 - self.share), logs, self.substitution)

    def _multiplied(self, ln_labour: float, ln_experiments: float, multiplied: bool) -> tuple[float, float]:
        """ln ℓ and ln c, with their constant multipliers if `multiplied`."""
        if not multiplied:
            return ln_labour, ln_experiments
        multipliers = self.values["labour_multiplier"], self.values["experiment_compute_multiplier"]
        return ln_labour + math.log(multipliers[0]), ln_experiments + math.log(multipliers[1])

    def x(self, position: float) -> float:
        """Doublings of software at a position."""
        return -self.limit * math.expm1(min(position, 50.0)) if self.bounded else position

    def position(self, x: float) -> float:
        """The position of x doublings, below the ceiling."""
        return math.log1p(-x / self.limit) if self.bounded else x

    def ln_returns(self, position: float) -> float:
        """ln R: 2^(−βx), (1−x/X)^(βX ln2), (1−x/X)^(1+βX ln2) or [(2^(X−x)−1)/(2^X−1)]^(β(1−2^−X))."""
        if not self.bounded:
            return -self.beta * position * LN2
        if self.options["ceiling"] != "level":
            return self.power * position

        def ln_level(position: float) -> float:
            """ln (2^(X−x) − 1), by its leading term where X − x is lost in rounding."""
            left = self.limit * LN2 * math.exp(min(position, 50.0))
            return left + math.log(-math.expm1(-left)) if left > 1e-20 else math.log(self.limit * LN2) + position

        return self.power * (ln_level(position) - ln_level(0.0))

    def _exponent(self, position: float, multiplied: bool = True) -> float:
        """e = d log2(I^λ R)/dx at y = 0 and x_d = x, analytically."""
        x = self.x(position)
        tasks = self._tasks(0.0, x)
        slope = self._ai_share_of_labour(tasks, x) + self._share_slope(x) * self._labour_slope(tasks, x) / LN2
        logs = self._multiplied(self._ln_labour(tasks, x) - self.ln_start_labour, LN2 * self.efficiency * x, multiplied)
        weight = _weight((self.share, 1.0 - self.share), logs, self.substitution)
        slope = self.toes * (weight * slope + (1.0 - weight) * self.efficiency)
        if not self.bounded:
            return slope - self.beta
        left = self.limit * math.exp(min(position, 50.0)) * LN2
        return slope + (self.power / math.expm1(-left) if self.options["ceiling"] == "level" else -self.power / left)

    def _ai_share_of_labour(self, tasks: tuple[float, float], compute: float) -> float:
        """dlnΛ/dlnA, the share of AI labour in Λ."""
        automated, manual = tasks
        if manual <= 0.0 or automated <= 0.0:
            return 1.0 if manual <= 0.0 else 0.0
        logs = math.log(self.values["initial_ai_labour"]) + LN2 * compute - math.log(automated), -math.log(manual)
        return _weight(tasks, logs, self.values["task_substitution_parameter"])

    def _share_slope(self, compute: float) -> float:
        """df/dE."""
        values = self.values
        rise = values["automated_share_high"] - values["automated_share_low"]
        if self.options["automation"] == "logistic":
            left = (compute - values["automation_midpoint"]) / values["automation_width"]
            return rise / (4.0 * values["automation_width"] * math.cosh(min(abs(left), 700.0) / 2.0) ** 2)
        start, end = values["automation_start_compute"], values["automation_end_compute"]
        return rise / (end - start) if self.options["automation"] == "ramp" and start <= compute < end else 0.0

    def _labour_slope(self, tasks: tuple[float, float], compute: float) -> float:
        """dlnΛ/df at fixed A: (1−κ) ((q^κ − 1)/κ) / (1 − f + f q^κ), q = A(1−f)/f; at κ = 0, ln q."""
        automated, manual = tasks
        if manual <= 0.0 or automated <= 0.0:
            return 0.0
        kappa = self.values["task_substitution_parameter"]
        ln_q = math.log(self.values["initial_ai_labour"]) + LN2 * compute + math.log(manual) - math.log(automated)
        if kappa == 0.0:
            return ln_q
        # Divided through by the larger of 1 and q^κ.
        if kappa * ln_q > 0.0:
            return (1.0 - kappa) * -math.expm1(-kappa * ln_q) / kappa / (manual * math.exp(-kappa * ln_q) + automated)
        return (1.0 - kappa) * math.expm1(kappa * ln_q) / kappa / (manual + automated * math.exp(kappa * ln_q))

    def _instantaneous_doubling_time(self) -> float:
        """T(0): T0, or under the geometric convention T0/∫₀¹ dx/(I^λ R) over the bare law, split at the ends of a ramp."""
        start = self.values["initial_doubling_time"]
        if self.options["convention"] == "instantaneous":
            return start
        ends = [0.0, 1.0]
        if self.options["automation"] == "ramp":
            ends += [self.values[f"automation_{end}_compute"] for end in ("start", "end")]
        ends = sorted({end for end in ends if 0.0 <= end <= 1.0})
        total, exponent = 0.0, 0.0
        for low, high in itertools.pairwise(ends):
            if self.options["training"] == "exponent":
                # `high` itself belongs to the next piece.
                def slopes(x: float, state: np.ndarray, high: float = high) -> list[float]:
                    e = self._exponent(self.position(min(x, math.nextafter(high, 0.0))), multiplied=False)
                    return [e / (1.0 + abs(e)), 2.0 ** -state[0]]

                end = solve_ivp(slopes, (low, high), [exponent, 0.0], method="DOP853", rtol=1e-13, atol=1e-16).y[:, -1]
                exponent, piece = float(end[0]), float(end[1])
            else:

                def months(x: float) -> float:
                    return math.exp(-self.toes * self.ln_input(0.0, x, x, 0.0, multiplied=False) - self.ln_returns(self.position(x)))

                piece = quad(months, low, high, epsabs=0.0, epsrel=1e-13, limit=200, full_output=1)[0]
            total += piece
        return start / total

    # The state.

    def start(self) -> np.ndarray:
        """The state at t = 0."""
        state = np.zeros(6)
        state[2] = self.toes * self.ln_input(0.0, 0.0, 0.0, 0.0) / LN2
        if self.options["reaction_start"] == "current":
            state[3] = self.ln_ungoverned_pace(0.0, state, Phase("live")) / LN2
        return state

    def deployed(self, state: np.ndarray, phase: Phase) -> float:
        """x_d."""
        return {"live": self.x(state[0]), "lag": state[1], "held": phase.held}[phase.deployment]

    def hardware(self, month: float, state: np.ndarray) -> float:
        """y."""
        return self.values["hardware_doublings_per_year"] * month / 12.0 if self.options["hardware"] == "exponential" else state[5]

    def ln_ungoverned_pace(self, month: float, state: np.ndarray, phase: Phase) -> float:
        """ln pace_u = ln(T_ref I^λ R/T(0)), or by the exponent of training, in multiples of the recent pace."""
        if self.options["training"] == "exponent":
            ln_speed = LN2 * state[2]
        else:
            ln_input = self.ln_input(month, self.x(state[0]), self.deployed(state, phase), self.hardware(month, state))
            ln_speed = self.toes * ln_input + self.ln_returns(state[0])
        return math.log(self.values["recent_doubling_time"] / self.doubling_time) + ln_speed

    def ln_rate(self, month: float, state: np.ndarray, phase: Phase) -> float:
        """ln dx/dt: the pace after policy, −inf in a pause."""
        values, governance = self.values, self.options["governance"]
        if phase.paused:
            return -math.inf
        ln_pace = self.ln_ungoverned_pace(month, state, phase)
        if governance == "cap":
            ln_pace = min(ln_pace, math.log(values["pace_cap"]))
        if governance == "reaction":
            ln_pace -= LN2 * values["reaction_gain"] * max(0.0, state[3] - math.log2(values["pace_threshold"]))
        return ln_pace - math.log(values["recent_doubling_time"])

    def pace(self, month: float, state: np.ndarray, phase: Phase) -> float:
        """T_ref dx/dt."""
        return self.values["recent_doubling_time"] * math.exp(min(700.0, self.ln_rate(month, state, phase)))

    def slopes(self, month: float, state: np.ndarray, phase: Phase) -> np.ndarray:
        """Time derivatives of the state, a month."""
        values, slopes = self.values, np.zeros(6)
        ln_rate = self.ln_rate(month, state, phase)
        # Trial stages far beyond a pole may overflow; the step that made them is then refused.
        rate = math.exp(min(LN_FASTEST + 20.0, ln_rate))
        slopes[0] = -math.exp(min(LN_FASTEST + 20.0, ln_rate - math.log(self.limit) - state[0])) if self.bounded else rate
        if phase.deployment == "lag":
            slopes[1] = (self.x(state[0]) - state[1]) / phase.lag
        if self.options["training"] == "exponent":
            e = self._exponent(state[0])
            slopes[2] = e / (1.0 + abs(e)) * rate
        if self.options["governance"] == "reaction":
            slopes[3] = (self.ln_ungoverned_pace(month, state, phase) / LN2 - state[3]) / values["reaction_delay"]
        if self.options["hardware"] == "loop" and not phase.hardware_held:
            toes, returns = values["hardware_parallel_exponent"], values["hardware_returns"]
            doublings = toes * (self.deployed(state, phase) + state[5]) - toes / returns * state[4]
            slopes[4] = 2.0 ** min(400.0, doublings) / values["hardware_doubling_time"]
            slopes[5] = (state[4] - state[5]) / values["hardware_delay"]
        return slopes

    def kinks(self) -> dict[str, Callable[[float, np.ndarray, Phase], float]]:
        """Functions whose change of sign is a kink of the right-hand side, or starts a pause."""
        values, governance = self.values, self.options["governance"]
        kinks: dict[str, Callable[[float, np.ndarray, Phase], float]] = {}
        if governance in ("cap", "pause"):
            threshold = math.log(values["pace_cap" if governance == "cap" else "pace_threshold"])
            kinks[governance] = lambda month, state, phase: self.ln_ungoverned_pace(month, state, phase) - threshold
        if self.options["hardware"] == "loop":
            kinks["hardware"] = lambda month, state, phase: state[5] - MOST_HARDWARE
        if governance == "reaction":
            kinks["reaction"] = lambda month, state, phase: state[3] - math.log2(values["pace_threshold"])
        if self.options["automation"] == "ramp" and self.options["automation_clock"] == "effective_compute":
            for end in ("start", "end"):
                compute = values[f"automation_{end}_compute"]
                kinks[end] = lambda month, state, phase, compute=compute: (
                    self.deployed(state, phase) + self.hardware(month, state) - compute
                )
        return kinks
