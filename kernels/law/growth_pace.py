"""The growth law as the mixed clock sees it: its states, its pace with and without policy, and the rates of every state.

Equation: 1/T = (1/T0)·I^λ·R(x)·P, dx/dt = 1/T in doublings a month, with research input I, returns R and policy P. The factors are in the
files beside this one; a factor that is off takes no part in the program. All is computed in logarithms.

Software is followed in x, or below a ceiling X in w = −ln(1 − x/X), where arrival in finite time is a blow-up like any other.

Source: Eth & Davidson (2025), footnotes 16–43; Forethought (2025); Davidson (2023).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import jax
import jax.numpy as jnp

from kernels.elementary import exp
from kernels.in_memory import in_memory
from kernels.law import governance, hardware, noise, training
from kernels.law.bare_law import BareLaw
from kernels.solvers.bridges import Roughness
from kernels.solvers.clock import Memory
from kernels.solvers.clock_dense import SoftwareSystem
from kernels.solvers.solution import MOST_DOUBLINGS
from kernels.solvers.step import State

_LOG_2 = math.log(2)


@dataclass(frozen=True)
class GrowthPace(SoftwareSystem):
    """The law between events. States after time and the coordinate, where they are used:

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
        remembered += ["rise"] * self._may_pause_between
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
        p = self.law.parameters
        return noise.Wandering(self.path, self.refinements, p["noise_correlation_time"], p["horizon"])

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
            log_ratio = log_ratio + self._wandering.log_pace(at, at["time"], self.law.parameters["noise_sd"])
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
        at, deviation = dict(zip(self.remembered, memory, strict=True)), self.law.parameters["noise_sd"]
        above, below = (self._wandering.bridge(at, deviation, rise) for rise in self._wandering.rises(at["segment"]))
        return Roughness(above, below._replace(bulge=-below.bulge))

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
        options = self.law.options
        if options["automation"] != "logistic" and options["research_input"] != "ces":
            return None
        bends, rising = jax.jvp(lambda *at: self._bends(self._named(at, memory)), state, slopes)
        # Half of the way to a bend, or its width where it is: a narrow one is otherwise passed unseen.
        reaches = (jnp.maximum(jnp.abs(bend) / 2, 1) / jnp.maximum(jnp.abs(slope), 1e-6) for bend, slope in zip(bends, rising, strict=True))
        return functools.reduce(jnp.minimum, reaches)

    def _bends(self, at: Mapping[str, jax.Array]) -> list[jax.Array]:
        """How far it is to where the law bends, in widths of the bend: the middle of a logistic, and where research input passes from
        following labour to following compute."""
        p, bends = self.law.parameters, []
        level = self.law.level(at["coordinate"])
        deployed, installed = self._deployed(at, level), self._installed(at)
        if self.law.options["automation"] == "logistic":
            bends.append((deployed + installed - p["automation_midpoint"]) / p["automation_width"])
        if self.law.options["research_input"] == "ces":
            labour = self.law.log_growth_of_labour(at["time"], deployed, installed, at.get("stretch", jnp.zeros_like(level)))
            lead = labour - self.law.log_growth_of_compute(level, installed)
            bends.append(self.law.substitution * lead + jnp.log(self.law.share / (1 - self.law.share)))
        return bends

    def coordinate(self, level: jax.Array) -> jax.Array:
        return self.law.coordinate(level)

    def level(self, coordinate: jax.Array) -> jax.Array:
        return self.law.level(coordinate)
