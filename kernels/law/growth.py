"""The growth law whole, as the system that the mixed clock integrates.

Equation: 1/T = (1/T0)·I^λ·R(x)·P, dx/dt = 1/T in doublings a month, with research input I, returns R and policy P. The factors are in the
files beside this one; a factor that is off takes no part in the program. All is computed in logarithms.

Software is followed in x, or below a ceiling X in w = −ln(1 − x/X), where arrival in finite time is a blow-up like any other.

Source: Eth & Davidson (2025), footnotes 16–43; Forethought (2025); Davidson (2023).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import jax
import jax.numpy as jnp

from kernels.elementary import exp
from kernels.in_memory import in_memory
from kernels.law import governance, hardware, noise, training
from kernels.law.bare_law import BareLaw
from kernels.solvers import bridges
from kernels.solvers.clock import Memory
from kernels.solvers.clock_dense import Roughness, SoftwareSystem
from kernels.solvers.solution import MOST_DOUBLINGS
from kernels.solvers.step import State

_LOG_2 = math.log(2)


@dataclass(frozen=True)
class GrowthSystem(SoftwareSystem):
    """The law as the clock sees it. States after time and the coordinate, where they are used:

    `damped` log2 T(0)/T_u under `exponent` training · `deployed` x_d · `awareness` z of the reaction · `frontier`, `installed` hardware.
    """

    law: BareLaw
    path: tuple[jax.Array, jax.Array] | None = None
    """The words of each trajectory's random path, two of uint32 (lanes,), where the law has noise."""
    refinements: int = 0
    """How often the grid of the path is halved."""

    def __post_init__(self) -> None:
        options = self.law.options
        self._set("horizon", self.law.parameters["horizon"])
        self._set("ceiling", self.law.ceiling)
        names = ["time", "coordinate"]
        names += ["damped"] * (options["training"] == "exponent")
        names += ["deployed"] * (options["training"] in ("lag", "generations"))
        names += ["awareness"] * (options["governance"] == "reaction")
        names += ["frontier", "installed"] * (options["hardware"] == "loop")
        remembered = ["binding"] * (options["governance"] in ("cap", "reaction"))
        remembered += ["phase", "resumption"] * (options["governance"] == "pause")
        remembered += ["runs", "caught_up"] * ("deployed" in names)
        remembered += ["stretch"] * self.law.has_ramp
        remembered += self._wandering.remembered if self._wanders else ()
        remembered += ["meeting"] * self._may_pause_between
        remembered += ["breakthroughs", "next_breakthrough"] * self._breaks_through
        remembered += ["fully_installed"] * (options["hardware"] == "loop")
        self._set("names", tuple(names))
        self._set("remembered", tuple(remembered))
        ramps_in_compute = self.law.has_ramp and not self.law.ramps_in_time
        self._set("crosses", options["governance"] != "none" or ramps_in_compute or options["hardware"] == "loop")
        self._set("leaps", self._breaks_through)
        self._set("last", MOST_DOUBLINGS if self.law.ceiling is None else 20.0 if self._narrow else 40.0)
        # Where compute is a bottleneck a pace rises by whole powers of two and falls after all; below a ceiling the end is known.
        self._set("tail_after", math.inf if self.law.ceiling is None else 10.0 if self._narrow else 20.0)
        bounded = dict.fromkeys(names, math.inf)
        scales = {**bounded, "time": self._time_scale(), "coordinate": 1.0, "frontier": 1.0, "installed": 1.0}
        self._set("scales", tuple(scales[name] for name in names))

    names: tuple[str, ...] = ()
    remembered: tuple[str, ...] = ()

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    @property
    def _wanders(self) -> bool:
        return self.law.options["noise"] in ("pace", "both")

    @property
    def _may_pause_between(self) -> bool:
        """Whether a random path may meet the threshold of a pause between its points."""
        return self._wanders and self.law.options["governance"] == "pause"

    @property
    def _breaks_through(self) -> bool:
        return self.law.options["noise"] in ("breakthroughs", "both")

    @cached_property
    def _wandering(self) -> noise.Wandering:
        assert self.path is not None
        return noise.Wandering(self.path, self.refinements)

    @property
    def _narrow(self) -> bool:
        return bool(self.law.parameters["horizon"].dtype == jnp.float32)

    def _time_scale(self) -> jax.Array:
        """The shortest time in which something else than software changes the pace, months."""
        p, options = self.law.parameters, self.law.options
        scale = p["horizon"]
        if options["governance"] == "reaction":
            scale = jnp.minimum(scale, p["reaction_delay"])
        if options["training"] in ("lag", "generations"):
            scale = jnp.minimum(scale, p["first_training_time"])
        if options["hardware"] == "exponential":
            scale = jnp.minimum(scale, 12 / p["hardware_doublings_per_year"])
        if options["hardware"] == "loop":
            scale = jnp.minimum(jnp.minimum(scale, p["hardware_doubling_time"]), p["hardware_delay"])
        if self.law.ramps_in_time:
            start, end = self.law.ramp_ends
            scale = jnp.minimum(scale, end - start)
        return scale

    # --- the pace --------------------------------------------------------------------------------------------------------------------

    def _named(self, state: State, memory: Memory) -> dict[str, jax.Array]:
        return {**dict(zip(self.names, state, strict=True)), **dict(zip(self.remembered, memory, strict=True))}

    def _deployed(self, at: Mapping[str, jax.Array], level: jax.Array) -> jax.Array:
        return jnp.where(at["caught_up"] > 0, level, at["deployed"]) if "deployed" in at else level

    def _installed(self, at: Mapping[str, jax.Array]) -> jax.Array:
        if self.law.options["hardware"] == "exponential":
            return hardware.grown(self.law.parameters["hardware_doublings_per_year"], at["time"])
        return at.get("installed", jnp.zeros_like(at["time"]))

    def _log_pace_before_policy(self, at: Mapping[str, jax.Array], level: jax.Array) -> jax.Array:
        """ln of the pace in multiples of the recent pace."""
        level = in_memory(level)
        if "damped" in at:
            log_ratio = _LOG_2 * at["damped"] + self._log_initial_ratio
        else:
            remaining = self.law.log_remaining(at["coordinate"])
            stretch = at.get("stretch", jnp.zeros_like(level))
            log_ratio = self.law.log_ratio(at["time"], level, remaining, self._deployed(at, level), self._installed(at), stretch)
        if self._wanders:
            p = self.law.parameters
            log_ratio = log_ratio + self._wandering.log_pace(at, at["time"], p["noise_sd"], p["noise_correlation_time"])
        return in_memory(log_ratio + self.law.log_first_pace + jnp.log(self.law.parameters["recent_doubling_time"]))

    @cached_property
    def _log_initial_ratio(self) -> jax.Array:
        """ln I^λ R at the start: 0 but for multipliers of labour and compute."""
        zero = jnp.zeros_like(self.law.parameters["returns"])
        return self.law.log_in_software(zero, zero)

    def _log_policy_pace(self, at: Mapping[str, jax.Array], before: jax.Array) -> jax.Array:
        """ln of the pace under policy, in multiples of the recent pace."""
        p, form = self.law.parameters, self.law.options["governance"]
        if form == "cap":
            return governance.log_capped(before, p["pace_cap"], at["binding"] > 0)
        if form == "reaction":
            return before + governance.log_reaction(at["awareness"], p["pace_threshold"], p["reaction_gain"], at["binding"] > 0)
        return jnp.where(at["phase"] == 1, -jnp.inf, before) if form == "pause" else before

    def log_paces(self, state: State, memory: Memory) -> tuple[jax.Array, jax.Array]:
        at = self._named(state, memory)
        before = self._log_pace_before_policy(at, self.law.level(at["coordinate"]))
        unit = jnp.log(self.law.parameters["recent_doubling_time"])
        return self._log_policy_pace(at, before) - unit, before - unit

    def roughness(self, memory: Memory) -> Roughness | None:
        if not self._wanders:
            return None
        p, at = self.law.parameters, dict(zip(self.remembered, memory, strict=True))
        above, below, when = self._wandering.between(at["segment"])
        # σ√(2/τ) dW
        return Roughness(at["segment"], 2 * p["noise_sd"] ** 2 / p["noise_correlation_time"], above, below, when)

    def log_most_pace(self) -> jax.Array | None:
        if self.law.options["governance"] != "cap":
            return None
        return jnp.log(self.law.parameters["pace_cap"] / self.law.parameters["recent_doubling_time"])

    def rates(self, state: State, memory: Memory) -> State:
        p, at = self.law.parameters, self._named(state, memory)
        level = self.law.level(at["coordinate"])
        before = self._log_pace_before_policy(at, level)
        log_pace = self._log_policy_pace(at, before) - jnp.log(p["recent_doubling_time"])
        # Far beyond every blow-up, and finite.
        largest = 80.0 if self._narrow else 600.0
        speed = exp(jnp.minimum(log_pace - self.law.log_level_slope(at["coordinate"]), largest))
        rates = {"coordinate": speed}
        if "damped" in at:
            pace = exp(jnp.minimum(log_pace, largest))
            rates["damped"] = training.damped(self.law.exponent(at["coordinate"])) * pace
        if "deployed" in at:
            rates["deployed"] = jnp.zeros_like(level)
            if self.law.options["training"] == "lag":
                length = training.length_of_run(p["first_training_time"], p["training_time_ratio"], at["runs"])
                rates["deployed"] = jnp.where(at["caught_up"] > 0, 0, (level - at["deployed"]) / length)
        if "awareness" in at:
            rates["awareness"] = governance.awareness_rate(before, at["awareness"], p["reaction_delay"])
        if "frontier" in at:
            labour, ended = self._deployed(at, level) + at["installed"], at["fully_installed"] > 0
            frontier_rate = hardware.frontier_rate(
                p["hardware_doubling_time"], p["hardware_parallel_exponent"], p["hardware_returns"], labour, at["frontier"]
            )
            rates["frontier"] = jnp.where(ended, 0, frontier_rate)
            rates["installed"] = jnp.where(ended, 0, hardware.installation_rate(p["hardware_delay"], at["frontier"], at["installed"]))
        return tuple(rates[name] for name in self.names[1:])

    def longest(self, state: State, memory: Memory, slopes: State) -> jax.Array | None:
        if self.law.options["automation"] != "logistic":
            return None
        p = self.law.parameters

        def compute(*at: jax.Array) -> jax.Array:
            named = self._named(at, memory)
            return self._deployed(named, self.law.level(named["coordinate"])) + self._installed(named)

        # Half of the way to the midpoint, or a width of the logistic where it bends: a narrow one is otherwise passed unseen.
        here, slope = jax.jvp(compute, state, slopes)
        reach = jnp.maximum(jnp.abs(here - p["automation_midpoint"]) / 2, p["automation_width"])
        return reach / jnp.maximum(jnp.abs(slope), 1e-6)

    def rebuilt(self, change: Callable[[jax.Array], jax.Array]) -> GrowthSystem:
        parameters = {name: change(values) for name, values in self.law.parameters.items()}
        path = None if self.path is None else (change(self.path[0]), change(self.path[1]))
        return GrowthSystem(BareLaw(parameters, self.law.options), path, self.refinements)

    # --- what happens ----------------------------------------------------------------------------------------------------------------

    def start(self) -> tuple[State, Memory]:
        p = self.law.parameters
        zero = jnp.zeros_like(p["horizon"])
        at = dict.fromkeys((*self.names, *self.remembered), zero)
        if self.law.has_ramp:
            at["stretch"] = self.law.stretch_at(zero)
        if self._wanders:
            at.update(self._wandering.begun(zero))
        if self._breaks_through:
            at["next_breakthrough"] = self._breakthrough(zero)[0]
        before = self._log_pace_before_policy(at, zero)
        if self.law.options["governance"] == "reaction" and self.law.options["reaction_start"] == "current":
            at["awareness"] = before / _LOG_2
        at = self._settled(at, before)
        if self._may_pause_between:
            at["meeting"] = self._meeting(at)
        return self._split(at)

    def _split(self, at: Mapping[str, jax.Array]) -> tuple[State, Memory]:
        return tuple(at[name] for name in self.names), tuple(at[name] for name in self.remembered)

    def _settled(self, at: Mapping[str, jax.Array], before: jax.Array) -> dict[str, jax.Array]:
        """Thresholds tested at once: at the start, and where the pace jumps."""
        p, form, dtype = self.law.parameters, self.law.options["governance"], before.dtype
        at = dict(at)
        if form == "cap":
            at["binding"] = (before > jnp.log(p["pace_cap"])).astype(dtype)
        elif form == "reaction":
            at["binding"] = (at["awareness"] * _LOG_2 > jnp.log(p["pace_threshold"])).astype(dtype)
        elif form == "pause":
            at.update(self._paused(at, governance.is_met(before, p["pace_threshold"])))
        return at

    def _paused(self, at: Mapping[str, jax.Array], is_met: jax.Array) -> dict[str, jax.Array]:
        begins = is_met & (at["phase"] == 0)
        return {
            "phase": jnp.where(begins, 1, at["phase"]),
            "resumption": jnp.where(begins, at["time"] + self.law.parameters["pause_length"], at["resumption"]),
        }

    def _meeting(self, at: Mapping[str, jax.Array]) -> jax.Array:
        """At a point of the path: when the path meets the threshold of a pause before the next one, months; +inf if it does not.

        As far as the pace changes along a line until then; a step sees whatever else comes above it.
        """
        p = self.law.parameters
        state, memory = self._split(at)
        moving = (jnp.ones_like(at["time"]), *self.rates(state, memory))

        def log_pace(*state: jax.Array) -> jax.Array:
            named = self._named(state, memory)
            # Of the path itself, not of the mean over all that go through both points.
            straight = self._wandering.bulge(named, named["time"], p["noise_sd"], p["noise_correlation_time"])
            return self._log_pace_before_policy(named, self.law.level(named["coordinate"])) - straight

        here, slope = jax.jvp(log_pace, state, moving)
        months = self._wandering.months(p["noise_correlation_time"])
        threshold = jnp.log(p["pace_threshold"])
        ahead = here + slope * months
        variance = 2 * p["noise_sd"] ** 2 / (noise.POINTS << self.refinements)
        meets = bridges.highest(here, ahead, variance, self._wandering.between(at["segment"])[0]) >= threshold
        # The line to the threshold and back.
        below, beyond = jnp.maximum(threshold - here, 0), jnp.abs(ahead - threshold)
        share = below / jnp.maximum(below + beyond, 1e-30)
        return jnp.where(meets, at["time"] + share * months, jnp.inf)

    def _times(self, at: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        """When each kind of event at a known time is next, months."""
        p, never = self.law.parameters, jnp.inf
        times = {}
        if "resumption" in at:
            times["resumption"] = jnp.where(at["phase"] == 1, at["resumption"], never)
        if "runs" in at:
            ends = training.end_of_run(p["first_training_time"], p["training_time_ratio"], at["runs"] + 1)
            times["runs"] = jnp.where(at["caught_up"] > 0, never, ends)
        if self.law.ramps_in_time:
            start, end = self.law.ramp_ends
            times["stretch"] = jnp.where(at["stretch"] == 0, start, jnp.where(at["stretch"] == 1, end, never))
        if self._wanders:
            times["segment"] = (at["segment"] + 1) * self._wandering.months(p["noise_correlation_time"])
        if self._may_pause_between:
            times["meeting"] = jnp.where(at["phase"] == 0, at["meeting"], never)
        if self._breaks_through:
            times["next_breakthrough"] = at["next_breakthrough"]
        return times

    def _breakthrough(self, number: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Months to this breakthrough from the one before, and the doublings of that one."""
        assert self.path is not None
        return noise.breakthrough(self.path, number, self.law.parameters["breakthrough_rate"], self.law.parameters["breakthrough_size"])

    def _broken_through(self, at: Mapping[str, jax.Array], is_due: jax.Array) -> dict[str, jax.Array]:
        """Software after a breakthrough, and when the next one is. None arrives in a pause: those that would are left out."""
        number = at["breakthroughs"] + 1
        gap, doublings = self._breakthrough(number)
        added = jnp.where(is_due, doublings, 0)
        if "phase" in at:
            added = jnp.where(at["phase"] == 1, 0, added)
        coordinate = at["coordinate"] + added
        if self.law.ceiling is not None:
            share = added / self.law.ceiling * jnp.exp(at["coordinate"])
            coordinate = jnp.where(share < 1, at["coordinate"] - jnp.log1p(-jnp.where(share < 1, share, 0)), self.last)
        return {
            "coordinate": jnp.maximum(jnp.minimum(coordinate, self.last), at["coordinate"]),
            "breakthroughs": jnp.where(is_due, number, at["breakthroughs"]),
            "next_breakthrough": at["next_breakthrough"] + jnp.where(is_due, gap, 0),
        }

    def next_time(self, memory: Memory) -> jax.Array:
        at = dict(zip(self.remembered, memory, strict=True))
        earliest = jnp.full_like(self.horizon, jnp.inf)
        for time in self._times(at).values():
            earliest = jnp.minimum(earliest, time)
        return earliest

    def at_time(self, state: State, memory: Memory) -> tuple[State, Memory]:
        at = self._named(state, memory)
        times = self._times(at)
        due = {name: at["time"] >= time for name, time in times.items()}
        p, one = self.law.parameters, jnp.ones_like(at["time"])
        if "meeting" in due:
            at.update(self._paused(at, due["meeting"]))
        if "segment" in due:
            at.update({name: jnp.where(due["segment"], value, at[name]) for name, value in self._wandering.advanced(at).items()})
            if "meeting" in due:
                at["meeting"] = jnp.where(due["segment"], self._meeting(at), at["meeting"])
        if "next_breakthrough" in due:
            at.update(self._broken_through(at, due["next_breakthrough"]))
        if "resumption" in due:
            at["phase"] = jnp.where(due["resumption"], 2 * one, at["phase"])
        if "stretch" in due:
            at["stretch"] = jnp.where(due["stretch"], at["stretch"] + 1, at["stretch"])
        level = self.law.level(at["coordinate"])
        if "runs" in due:
            if self.law.options["training"] == "generations":
                at["deployed"] = jnp.where(due["runs"] & (at["caught_up"] == 0), level, at["deployed"])
            at["runs"] = jnp.where(due["runs"], at["runs"] + 1, at["runs"])
            # The runs to come are too short to leave a trace.
            length = training.length_of_run(p["first_training_time"], p["training_time_ratio"], at["runs"])
            before = self._log_pace_before_policy(at, level) - jnp.log(p["recent_doubling_time"])
            negligible = length * jnp.exp(before) < (1e-7 if self._narrow else 1e-13)
            short = length < (1e-6 if self._narrow else 1e-14) * at["time"]
            caught = due["runs"] & (p["training_time_ratio"] < 1) & (negligible | short)
            at["caught_up"] = jnp.where(caught, one, at["caught_up"])
        jumps = [due[name] for name in ("runs", "next_breakthrough") if name in due]
        if jumps:
            settled = dict(at)
            if self.law.has_ramp and not self.law.ramps_in_time:
                settled["stretch"] = self.law.stretch_at(self._deployed(at, level) + self._installed(at))
            settled = self._settled(settled, self._log_pace_before_policy(settled, level))
            is_jump = jumps[0] | jumps[-1]
            at = {name: jnp.where(is_jump, settled[name], value) for name, value in at.items()}
        return self._split(at)

    def _watched(self, at: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        """Functions that are negative until something happens, as shares of what they are measured by."""
        p, form, watched = self.law.parameters, self.law.options["governance"], {}
        level = self.law.level(at["coordinate"])
        if form in ("cap", "reaction"):
            if form == "cap":
                above = self._log_pace_before_policy(at, level) - jnp.log(p["pace_cap"])
            else:
                above = at["awareness"] * _LOG_2 - jnp.log(p["pace_threshold"])
            watched["binding"] = jnp.where(at["binding"] > 0, -above, above)
        if form == "pause":
            above = self._log_pace_before_policy(at, level) - jnp.log(p["pace_threshold"])
            watched["phase"] = jnp.where(at["phase"] == 0, above, -1)
        if self.law.has_ramp and not self.law.ramps_in_time:
            start, end = self.law.ramp_ends
            compute = self._deployed(at, level) + self._installed(at)
            begins, ends = ((compute - place) / (1 + jnp.abs(place)) for place in (start, end))
            watched["stretch"] = jnp.where(at["stretch"] == 0, begins, jnp.where(at["stretch"] == 1, ends, -1))
        if "installed" in at:
            watched["fully_installed"] = jnp.where(at["fully_installed"] > 0, -1, at["installed"] / MOST_DOUBLINGS - 1)
        return watched

    def crossings(self, state: State, memory: Memory) -> tuple[jax.Array, ...]:
        return tuple(self._watched(self._named(state, memory)).values())

    def at_crossings(self, state: State, memory: Memory, which: tuple[jax.Array, ...]) -> tuple[State, Memory]:
        at = self._named(state, memory)
        happened = dict(zip(self._watched(at), which, strict=True))
        if "binding" in happened:
            at["binding"] = jnp.where(happened["binding"], 1 - at["binding"], at["binding"])
        if "phase" in happened:
            at.update(self._paused(at, happened["phase"]))
        if "stretch" in happened:
            at["stretch"] = jnp.where(happened["stretch"], at["stretch"] + 1, at["stretch"])
        if "fully_installed" in happened:
            at["fully_installed"] = jnp.where(happened["fully_installed"], 1, at["fully_installed"])
        return self._split(at)

    def coordinate(self, level: jax.Array) -> jax.Array:
        return self.law.coordinate(level)

    def level(self, coordinate: jax.Array) -> jax.Array:
        return self.law.level(coordinate)
