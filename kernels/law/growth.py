"""What happens along a trajectory of the growth law at known times and at thresholds: training runs, pauses, caps and reactions, ends of
ramps, points of a random path and breakthroughs.

Source: Eth & Davidson (2025), footnotes 16–43; Forethought (2025); Davidson (2023).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from kernels.law import governance, noise, training
from kernels.law.bare_law import BareLaw
from kernels.law.growth_pace import GrowthPace
from kernels.solvers.bridges import Bridge
from kernels.solvers.clock import Memory
from kernels.solvers.solution import MOST_DOUBLINGS
from kernels.solvers.step import State

_LOG_2 = math.log(2)


@dataclass(frozen=True)
class GrowthSystem(GrowthPace):
    """The growth law whole, as the system that the mixed clock integrates."""

    def rebuilt(self, change: Callable[[jax.Array], jax.Array]) -> GrowthSystem:
        parameters = {name: change(values) for name, values in self.law.parameters.items()}
        path = None if self.path is None else (change(self.path[0]), change(self.path[1]))
        return GrowthSystem(BareLaw(parameters, self.law.options), path, self.refinements)

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
        if self._may_pause_between:
            at["rise"] = self._wandering.rises(zero)[0]
        return self._split(self._settled(at, before))

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
            highest = before if not self._wanders else before + self._bridge(at).above_mean(at["time"])
            at.update(self._paused(at, governance.is_met(highest, p["pace_threshold"])))
        return at

    def _paused(self, at: Mapping[str, jax.Array], is_met: jax.Array) -> dict[str, jax.Array]:
        begins = is_met & (at["phase"] == 0)
        return {
            "phase": jnp.where(begins, 1, at["phase"]),
            "resumption": jnp.where(begins, at["time"] + self.law.parameters["pause_length"], at["resumption"]),
        }

    def _above_threshold(self, at: Mapping[str, jax.Array], level: jax.Array) -> jax.Array:
        """What is negative until the pace meets the threshold of a pause."""
        p = self.law.parameters
        above = self._log_pace_before_policy(at, level) - jnp.log(p["pace_threshold"])
        if not self._wanders:
            return above
        # Of the path between its points, √k above the line: of the same sign, and smooth.
        bridge = self._bridge(at)
        share = bridge.share(at["time"])
        above = above - bridge.of_mean(share)
        distance = jnp.abs(above)
        return (bridge.square_above_line(share) + above * distance) / (distance + bridge.above_line(jnp.full_like(share, 0.5)))

    def _bridge(self, at: Mapping[str, jax.Array]) -> Bridge:
        """As high as the random path goes in its interval."""
        return self._wandering.bridge(at, self.law.parameters["noise_sd"], at["rise"])

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
            times["segment"] = (at["segment"] + 1) * self._wandering.months
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
        if "segment" in due:
            at.update({name: jnp.where(due["segment"], value, at[name]) for name, value in self._wandering.advanced(at).items()})
            if "rise" in at:
                at["rise"] = jnp.where(due["segment"], self._wandering.rises(at["segment"])[0], at["rise"])
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
            watched["phase"] = jnp.where(at["phase"] == 0, self._above_threshold(at, level), -1)
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
