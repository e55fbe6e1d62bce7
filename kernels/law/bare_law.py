"""The growth law before policy: research input and returns composed into one pace of software and hardware.

Equation: 1/T = (1/T0)·I^λ·R(x), with research input I and returns R; the factors are in the files beside this one, and a factor that is off
takes no part in the program. All is computed in logarithms.

Source: Eth & Davidson (2025), footnotes 16–43; Forethought (2025); Davidson (2023).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from kernels.elementary import exp, expm1, log, log1p
from kernels.law import automation, research_input, training
from kernels.law.returns import log_returns

_LOG_2 = math.log(2)
_NEAR_ENDS = (1e-6, 1e-4, 1e-2, 1 - 1e-2, 1 - 1e-4)
"""Of a ramp, where panels end besides."""
_WIDTHS_AWAY = (-24.0, -12.0, -6.0, -3.0, -1.0, 1.0, 3.0, 6.0, 12.0, 24.0)
"""Of a logistic from its midpoint, the same."""
_BENDS_AWAY = (-1.0, -0.3, 0.0, 0.3, 1.0)
"""Of the passage from labour to compute, in distances of its singularity, where training damps it."""


@dataclass(frozen=True)
class BareLaw:
    """The pace before policy as a function of software and hardware: research input and returns. `parameters` are (lanes,) each."""

    parameters: Mapping[str, jax.Array]
    options: Mapping[str, str | bool]

    @cached_property
    def share(self) -> jax.Array:
        """Labour's share at the start, α."""
        if self.options["research_input"] == "labour":
            return jnp.ones_like(self.parameters["returns"])
        return self.parameters["labour_share"]

    @cached_property
    def substitution(self) -> jax.Array:
        """The substitution parameter ρ, given as such or as an elasticity (0 where it is not given)."""
        elasticity = self.parameters["elasticity_of_substitution"]
        given = elasticity > 0
        converted = research_input.substitution_of(jnp.where(given, elasticity, 1))
        return jnp.where(given, converted, self.parameters["substitution_parameter"])

    @cached_property
    def ceiling(self) -> jax.Array | None:
        return None if self.options["ceiling"] == "constant" else self.parameters["distance_to_limits"]

    def tasks(self, time: jax.Array, compute: jax.Array, stretch: jax.Array) -> automation.Tasks:
        """The automated and the human tasks at a time and an effective compute E; `stretch` says on which side of its ends a ramp is."""
        p = self.parameters
        low, high = p["automated_share_low"], p["automated_share_high"]
        if self.options["automation"] == "logistic":
            return automation.logistic(low, high, p["automation_midpoint"], p["automation_width"], compute)
        start, end = self.ramp_ends
        return automation.ramp(low, high, start, end, time if self.ramps_in_time else compute, stretch)

    @property
    def has_ramp(self) -> bool:
        return self.options["automation"] == "ramp"

    @property
    def ramps_in_time(self) -> bool:
        return self.has_ramp and self.options["automation_clock"] == "time"

    @property
    def ramp_ends(self) -> tuple[jax.Array, jax.Array]:
        """Where the ramp begins and ends, in months or doublings."""
        unit = "time" if self.ramps_in_time else "compute"
        return self.parameters[f"automation_start_{unit}"], self.parameters[f"automation_end_{unit}"]

    def stretch_at(self, at: jax.Array) -> jax.Array:
        """On which stretch of the ramp a value of its clock lies: 0, 1 or 2, of the float type."""
        start, end = self.ramp_ends
        return (at >= start).astype(at.dtype) + (at >= end).astype(at.dtype)

    def log_labour(self, time: jax.Array, deployed: jax.Array, installed: jax.Array, stretch: jax.Array) -> jax.Array:
        """ln of cognitive labour, of deployed software x_d and hardware y in doublings, against one person's work."""
        if self.options["automation"] == "full":
            return _LOG_2 * (deployed + installed)
        log_ai = jnp.log(self.parameters["initial_ai_labour"]) + _LOG_2 * (deployed + installed)
        tasks = self.tasks(time, deployed + installed, stretch)
        return automation.log_joint_labour(tasks, self.parameters["task_substitution_parameter"], log_ai)

    @cached_property
    def log_initial_labour(self) -> jax.Array:
        zero = jnp.zeros_like(self.parameters["returns"])
        return self.log_labour(zero, zero, zero, self.stretch_at(zero) if self.has_ramp else zero)

    def log_growth_of_labour(self, time: jax.Array, deployed: jax.Array, installed: jax.Array, stretch: jax.Array) -> jax.Array:
        """ln of cognitive labour, relative to the start."""
        labour = self.log_labour(time, deployed, installed, stretch)
        if self.options["automation"] != "full":
            labour = labour - self.log_initial_labour
        return labour + jnp.log(self.parameters["labour_multiplier"])

    def log_growth_of_compute(self, level: jax.Array, installed: jax.Array) -> jax.Array:
        """ln of experiment compute, relative to the start."""
        p = self.parameters
        return _LOG_2 * (installed + p["experiment_efficiency"] * level) + jnp.log(p["experiment_compute_multiplier"])

    def log_input(self, time: jax.Array, level: jax.Array, deployed: jax.Array, installed: jax.Array, stretch: jax.Array) -> jax.Array:
        """ln I."""
        labour = self.log_growth_of_labour(time, deployed, installed, stretch)
        if self.options["research_input"] == "labour":
            return labour
        compute = self.log_growth_of_compute(level, installed)
        return research_input.log_research_input(str(self.options["research_input"]), self.share, self.substitution, labour, compute)

    def log_ratio(
        self, time: jax.Array, level: jax.Array, log_remaining: jax.Array, deployed: jax.Array, installed: jax.Array, stretch: jax.Array
    ) -> jax.Array:
        """ln I^λ R, where `log_remaining` is ln(1 − x/X)."""
        p = self.parameters
        difficulty = p["parallel_exponent"] * self.share / p["returns"]
        returns = log_returns(str(self.options["ceiling"]), difficulty, self.ceiling, level, log_remaining)
        return p["parallel_exponent"] * self.log_input(time, level, deployed, installed, stretch) + returns

    def log_in_software(self, level: jax.Array, log_remaining: jax.Array) -> jax.Array:
        """ln I^λ R of the law that depends on software alone: no hardware, no training time, and a ramp by effective compute."""
        zero = jnp.zeros_like(level)
        return self.log_ratio(zero, level, log_remaining, level, zero, self.stretch_at(level) if self.has_ramp else zero)

    # --- software as a coordinate ----------------------------------------------------------------------------------------------------

    def coordinate(self, level: jax.Array) -> jax.Array:
        if self.ceiling is None:
            return level
        left = jnp.maximum(self.ceiling - level, 0) / self.ceiling
        near = left < 0.5
        log_left = jnp.where(near, log(jnp.where(near, left, 1)), log1p(-jnp.where(near, 0, level / self.ceiling)))
        return -log_left

    def level(self, coordinate: jax.Array) -> jax.Array:
        return coordinate if self.ceiling is None else -self.ceiling * expm1(-coordinate)

    def log_remaining(self, coordinate: jax.Array) -> jax.Array:
        return jnp.zeros_like(coordinate) if self.ceiling is None else -coordinate

    def log_level_slope(self, coordinate: jax.Array) -> jax.Array:
        """ln of doublings a unit of the coordinate."""
        return jnp.zeros_like(coordinate) if self.ceiling is None else jnp.log(self.ceiling) - coordinate

    def exponent(self, coordinate: jax.Array) -> jax.Array:
        """e = d log2(I^λ R)/dx at a coordinate."""

        def log_ratio(at: jax.Array) -> jax.Array:
            return self.log_in_software(self.level(at), self.log_remaining(at))

        slope: jax.Array = jax.jvp(log_ratio, (coordinate,), (jnp.ones_like(coordinate),))[1]
        return slope * exp(-self.log_level_slope(coordinate)) / _LOG_2

    @cached_property
    def bend(self) -> tuple[jax.Array, jax.Array] | None:
        """Where research input passes from following labour to following compute, and over how many doublings: the nearest singularity of
        `ces` in the complex plane, where α·(ℓ/c)^ρ = α − 1. None for the other forms, which have none."""
        if self.options["research_input"] != "ces":
            return None
        p = self.parameters
        rate = _LOG_2 * jnp.maximum(1 - p["experiment_efficiency"], 1e-6)
        substitution = jnp.where(jnp.abs(self.substitution) < 1e-6, 1e-6, self.substitution)
        lead = jnp.log(p["labour_multiplier"] / p["experiment_compute_multiplier"])
        share = jnp.clip(self.share, 1e-6, 1 - 1e-6)
        middle = (jnp.log((1 - share) / share) / substitution - lead) / rate
        return middle, math.pi / (jnp.abs(substitution) * rate)

    @cached_property
    def log_first_doubling(self) -> jax.Array:
        """ln ∫₀¹ T(x)/T(0) dx of the law in software: what T0 is divided by under the geometric convention, shape (lanes,)."""
        one = jnp.ones_like(self.parameters["returns"])
        # Multipliers are not of the bare law: they speed up what the convention has set.
        bare = {**self.parameters, "labour_multiplier": one, "experiment_compute_multiplier": one}
        return BareLaw(bare, self.options).log_own_first_doubling

    @cached_property
    def log_own_first_doubling(self) -> jax.Array:
        """The same with whatever multipliers the law has."""
        dtype = self.parameters["returns"].dtype
        nodes, weights = (np.asarray(values) for values in np.polynomial.legendre.leggauss(16))
        shares, weights = (nodes + 1) / 2, weights / 2
        zero = jnp.zeros_like(self.parameters["returns"])
        end = self.coordinate(zero + 1)
        edges = [zero, *(end * (piece / 6) for piece in range(1, 6)), end]
        edges += [self.coordinate(jnp.clip(edge, 0, 1)) for edge in self._bends]
        ordered = jnp.sort(jnp.stack(edges), axis=0)
        held, held_weights, integral_to = (jnp.asarray(values, dtype) for values in (shares, weights, _integration_matrix(shares)))

        def add(sums: tuple[jax.Array, jax.Array], panel: tuple[jax.Array, jax.Array]) -> tuple[tuple[jax.Array, jax.Array], None]:
            damping, total = sums
            low, width = panel[0], panel[1] - panel[0]
            points = low + width * held[:, None]
            if self.options["training"] == "exponent":
                rates = training.damped(self.exponent(points)) * exp(self.log_level_slope(points))
                log_ratio = _LOG_2 * (damping + width * jnp.tensordot(integral_to, rates, 1))
                damping = damping + width * jnp.tensordot(held_weights, rates, 1)
            else:
                log_ratio = self.log_in_software(self.level(points), self.log_remaining(points))
            rows = exp(self.log_level_slope(points) - log_ratio)
            return (damping, total + width * jnp.tensordot(held_weights, rows, 1)), None

        # A loop: written out, a score of panels takes the compiler longer than all the rest of the law.
        (_, total), _ = lax.scan(add, (zero, zero), (ordered[:-1], ordered[1:]))
        return jnp.log(total)

    @property
    def _bends(self) -> list[jax.Array]:
        """Levels around which the law bends more than panels can follow: of automation the ends of a ramp, near which its slope may be
        without bound, or the widths of a logistic; of the exponent that training damps where it is 0, or passes from labour's to
        compute's."""
        bends: list[jax.Array] = []
        if self.has_ramp:
            start, end = self.ramp_ends
            bends += [start, end, *(start + (end - start) * share for share in _NEAR_ENDS)]
        elif self.options["automation"] == "logistic":
            midpoint, width = self.parameters["automation_midpoint"], self.parameters["automation_width"]
            bends += [midpoint + width * away for away in _WIDTHS_AWAY]
        if self.options["training"] == "exponent":
            bends.append(self._level_of_turn)
            if self.bend is not None:
                middle, width = self.bend
                bends += [middle + width * away for away in _BENDS_AWAY]
        return bends

    @property
    def _level_of_turn(self) -> jax.Array:
        """The level within the first doubling at which the exponent changes its sign; its end where it does not."""
        zero = jnp.zeros_like(self.parameters["returns"])
        rises = self.exponent(zero) < 0

        def halved(_: int, ends: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            middle = (ends[0] + ends[1]) / 2
            turned = (self.exponent(middle) >= 0) == rises
            return jnp.where(turned, ends[0], middle), jnp.where(turned, middle, ends[1])

        turn = lax.fori_loop(0, 52, halved, (zero, self.coordinate(zero + 1)))[1]
        return self.level(turn)

    @cached_property
    def log_first_pace(self) -> jax.Array:
        """ln 1/T0 at the start, doublings a month, with T0 by the convention."""
        pace = -jnp.log(self.parameters["initial_doubling_time"])
        return pace + self.log_first_doubling if self.options["convention"] == "geometric" else pace


def _integration_matrix(nodes: np.ndarray) -> np.ndarray:
    """∫ from 0 to each node of the polynomial through values at the nodes, on [0, 1]."""
    count = len(nodes)
    legendre = np.polynomial.legendre
    vandermonde = legendre.legvander(2 * nodes - 1, count - 1)
    integrals = np.stack([legendre.legval(2 * nodes - 1, legendre.legint(unit, lbnd=-1)) / 2 for unit in np.eye(count)], axis=1)
    return np.asarray(integrals @ np.linalg.inv(vandermonde))
