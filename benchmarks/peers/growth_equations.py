"""The growth law as its peers are given it: one plain right-hand side for any array library, written from the equations and not from ours.

Equations: 1/T = (1/T0)·I^λ·R, R = (1 − x/X)^(βX ln 2), or 2^(−βx) without a ceiling, β = λα/r; with labour alone I = 2^(x + y) and
α = 1, else I = (α 2^(ρ(x + y)) + (1 − α) 2^(ρy))^(1/ρ). A reaction divides the pace by 2^(gain·max(0, z − log2 m)),
dz/dt = (log2 pace_u − z)/delay. A hardware loop has df/dt = 2^(λ_h (x + y) − λ_h/r_h f)/T_h and dy/dt = (f − y)/D.

Arrays are of one shape; `given` holds parameters by name; months and doublings.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from benchmarks.laws import Law

_LOG_2 = math.log(2)
_NEVER = 14.0
"""ln of a doubling time, months, beyond which nothing is asked."""


def log_pace(xp: Any, law: Law, given: Mapping[str, Any], x: Any, y: Any) -> Any:
    """ln of doublings a month, before policy."""
    labour = _LOG_2 * (x + y)
    share = 1.0
    if law.options.get("research_input") == "ces":
        share, rho = given["labour_share"], given["substitution_parameter"]
        labour = _LOG_2 * y + xp.log(share * xp.exp(rho * (_LOG_2 * x)) + (1 - share)) / rho
    steepness = given["parallel_exponent"] * share / given["returns"] * _LOG_2
    if law.options["ceiling"] == "constant":
        returns = -steepness * x
    else:
        returns = steepness * given["distance_to_limits"] * xp.log(1 - x / given["distance_to_limits"])
    return given["parallel_exponent"] * labour + returns - xp.log(given["initial_doubling_time"])


def doubling_time(xp: Any, law: Law, given: Mapping[str, Any], x: Any) -> Any:
    """T(x) in months, of a law in software alone; cut where it is beyond every horizon, so that no step ends beyond all numbers."""
    return xp.exp(xp.minimum(-log_pace(xp, law, given, x, 0.0), _NEVER))


def rates(xp: Any, law: Law, given: Mapping[str, Any], time: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
    """d/dt of software, of awareness (with a reaction), of frontier and installed hardware (with a loop)."""
    x, *others = state
    reaction, loop = law.options.get("governance") == "reaction", law.options.get("hardware") == "loop"
    awareness = others.pop(0) if reaction else 0.0
    frontier, installed = others if loop else (0.0, given["hardware_doublings_per_year"] / 12 * time if _grows(law) else 0.0)
    # A trial point of a step may lie beyond the ceiling; and without one, beyond all numbers.
    pace = log_pace(xp, law, given, xp.minimum(x, given["distance_to_limits"] * (1 - 1e-7)), installed)
    found = []
    if reaction:
        seen = (pace + xp.log(given["recent_doubling_time"])) / _LOG_2
        over = xp.maximum(awareness - xp.log(given["pace_threshold"]) / _LOG_2, 0.0)
        found.append((seen - awareness) / given["reaction_delay"])
        pace = pace - _LOG_2 * given["reaction_gain"] * over
    if loop:
        difficulty = given["hardware_parallel_exponent"] / given["hardware_returns"] * frontier
        made = xp.exp(_LOG_2 * (given["hardware_parallel_exponent"] * (x + installed) - difficulty)) / given["hardware_doubling_time"]
        found += [made, (frontier - installed) / given["hardware_delay"]]
    return (xp.exp(pace), *found)


def start(xp: Any, law: Law, given: Mapping[str, Any]) -> tuple[Any, ...]:
    """The state at month 0."""
    zero = 0.0 * given["returns"]
    state = [zero]
    if law.options.get("governance") == "reaction":
        state.append((log_pace(xp, law, given, zero, 0.0) + xp.log(given["recent_doubling_time"])) / _LOG_2)
    if law.options.get("hardware") == "loop":
        state += [zero, zero]
    return tuple(state)


def _grows(law: Law) -> bool:
    return law.options.get("hardware") == "exponential"
