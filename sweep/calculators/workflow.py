"""Automation of a workflow: what speeding up some tasks does to research labour.

People divide their time over tasks by `shares`; task i goes `speedups[i]` times faster, and the rest as before. Output is CES over tasks
with substitution parameter κ < 1, and people move to where they are worth most, so that with θ = κ/(1 − κ)

    labour multiplier = (Σ share·speedup^θ)^(1/θ)            κ → −∞: θ = −1, 1/Σ(share/speedup), Amdahl's law;  κ = 0: Π speedup^share

Derivation: maximise Σ share^(1−κ)·(speedup·time)^κ over times that sum to 1, which at no speed-up gives the shares. Source of the shares:
Owen (2024), "Automation of AI R&D: Researcher Perspectives", Epoch AI, tables 2 and 4. Labour enters the pace as labour^(λα).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from sweep.calculators.calculator import Input, InputError, Inputs, Numbers, calculator, quantity


@dataclass(frozen=True)
class Workflow:
    """What the automation of some tasks is worth."""

    labour_multiplier: float = quantity("×", "research labour, relative to today")
    pace_multiplier: float = quantity("×", "pace of progress, labour^(λα): Cobb–Douglas input, compute fixed")


@calculator("what speeding up some tasks does to research labour", "Owen (2024), Epoch AI, tables 2 and 4")
def workflow_automation(
    *,
    shares: Annotated[Numbers, Inputs("–", "share of working time of each task; what is missing to 1 is unchanged", least=0, most=1)] = (
        0.6,
    ),
    speedups: Annotated[Numbers, Inputs("×", "speed-up of each task; inf: done by AI alone", above=0, unbounded=True)] = (math.inf,),
    task_substitution_parameter: Annotated[
        float, Input("–", "κ of tasks; −inf: every task is needed", below=1, unbounded=True)
    ] = -math.inf,
    labour_share: Annotated[float, Input("–", "α, labour's share of research input today", least=0, most=1)] = 0.5,
    parallel_exponent: Annotated[float, Input("–", "λ, exponent of research input in the pace", above=0)] = 1.0,
) -> Workflow:
    """The labour multiplier of speed-ups by task, and what it does to the pace; infinite where nothing human is needed any more.

    The defaults are one participant's: a model that does 60 % of the work. Raises InputError.
    """
    if len(speedups) != len(shares):
        raise InputError("speedups", list(speedups), f"{len(speedups)} given for {len(shares)} shares", "give one for each share")
    total = math.fsum(shares)
    if total > 1 + 1e-9:
        raise InputError("shares", list(shares), f"they sum to {total:g}", "give shares that sum to 1 or less")
    whole = max(1.0, total)
    rest = whole - total
    tasks = [(share / whole, math.log(speedup)) for share, speedup in zip((*shares, rest), (*speedups, 1.0), strict=True) if share > 0]
    log_labour = _log_mean(tasks, _exponent(task_substitution_parameter))
    return Workflow(_exp(log_labour), _exp(labour_share * parallel_exponent * log_labour) if labour_share else 1.0)


def _exponent(kappa: float) -> float:
    """κ/(1 − κ)."""
    return -1.0 if kappa == -math.inf else kappa / (1 - kappa)


def _log_mean(tasks: list[tuple[float, float]], exponent: float) -> float:
    """ln (Σ share·e^(exponent·log))^(1/exponent) for shares that sum to 1 and logs that may be inf."""
    if exponent == 0:
        return math.fsum(share * log for share, log in tasks)
    scaled = [(share, exponent * log) for share, log in tasks]
    largest = max(log for _, log in scaled)
    if math.isinf(largest):
        # All tasks are done by AI alone, or (exponent > 0) one of them replaces the rest.
        return math.inf
    if abs(largest) < 1:
        # Nothing cancels near exponent = 0.
        return math.log1p(math.fsum(share * math.expm1(log) for share, log in scaled)) / exponent
    return (largest + math.log(math.fsum(share * math.exp(log - largest) for share, log in scaled))) / exponent


def _exp(log: float) -> float:
    return math.exp(log) if log < 700 else math.inf
