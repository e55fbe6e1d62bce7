"""The start: how many automated researchers there are, how fast software then improves, and how much labour goes to what is left.

    copies      (training FLOP / run length) / inference FLOP a second of one copy; grows as √Z when training compute grows Z times, because
                a model trained with Z times the compute costs √Z times as much to run
    speed-up    copies^parallel exponent · speed^serial exponent
    the rest    (1 − f0)/(1 − f): everyone works on the share of tasks that is left; AI labour is abundant and every task is needed

Sources: Eth & Davidson (2025), "What happens when we reach ASARA?" and footnote 16; Davidson & Houlden (2025) for the speed-up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from sweep.calculators.calculator import Input, InputError, calculator, quantity

_SECONDS_PER_DAY = 86_400.0
_ETH_DAVIDSON = "Eth & Davidson (2025), “What happens when we reach ASARA?”"


@dataclass(frozen=True)
class Copies:
    """How many copies of a model the hardware that trained it runs."""

    training_compute_rate: float = quantity("FLOP/s", "computing power of the hardware that trained the model")
    copies: float = quantity("copies", "copies of the model that this hardware runs at once", "hundreds of thousands")
    later_copies: float = quantity("copies", "the same after the scale-up", "many millions")


@calculator("how many copies of a model the hardware that trained it can run", f"{_ETH_DAVIDSON}, footnotes 16, 24 and 38")
def copies(
    *,
    training_compute: Annotated[float, Input("FLOP", "compute of the training run", above=0)] = 1e26,
    run_length: Annotated[float, Input("days", "length of the training run", above=0)] = 100.0,
    inference_compute: Annotated[float, Input("FLOP/s", "compute of one copy, at about ten words a second", above=0)] = 2.4e13,
    scale_up: Annotated[float, Input("×", "growth of training compute until later: 4 years at 4× a year", above=0)] = 256.0,
) -> Copies:
    """Copies that can run on the hardware of one training run, today and after a scale-up of training compute.

    The text prints the training compute, ten words a second and the square root. The length of the run and the compute of a copy are our
    assumptions: 2 FLOP for each parameter and token, 13 tokens a second, and √(training compute/120) = 9.1e11 parameters (20 tokens a
    parameter, 6 FLOP each). Raises InputError.
    """
    rate = training_compute / (run_length * _SECONDS_PER_DAY)
    today = rate / inference_compute
    return Copies(rate, today, today * math.sqrt(scale_up))


@dataclass(frozen=True)
class InitialSpeedup:
    """What a multiple of labour does to the pace of software progress."""

    labour_multiplier: float = quantity("×", "cognitive labour, relative to today", "900")
    initial_speedup: float = quantity("×", "pace of software progress, relative to today", "15.195")
    initial_doubling_time: float = quantity("months", "doubling time of software at the start")


@calculator(
    "the pace of software progress when copies replace each researcher", "Davidson & Houlden (2025), Forethought; 900: the interviews"
)
def initial_speedup(
    *,
    copies: Annotated[float, Input("×", "copies of each researcher", above=0)] = 30.0,
    speed: Annotated[float, Input("×", "serial speed of each copy", above=0)] = 30.0,
    parallel_exponent: Annotated[float, Input("–", "exponent of copies in parallel", least=0)] = 0.3,
    serial_exponent: Annotated[float, Input("–", "exponent of serial speed", least=0)] = 0.5,
    recent_doubling_time: Annotated[float, Input("months", "doubling time of software today", above=0)] = 6.0,
) -> InitialSpeedup:
    """The speed-up copies^parallel_exponent · speed^serial_exponent, and the doubling time that it makes of today's. Raises InputError.

    The doubling time of 6 months is that of Eth & Davidson, who guess that it falls to one or two months: a speed-up of 3 to 6.
    """
    pace = copies**parallel_exponent * speed**serial_exponent
    return InitialSpeedup(copies * speed, pace, recent_doubling_time / pace)


@dataclass(frozen=True)
class RemainingEffort:
    """What automation of some tasks does to those that are left."""

    effort_per_task: float = quantity("×", "human labour on each task that is left, relative to today", "20")


@calculator("how much more labour goes to the tasks that are not automated", _ETH_DAVIDSON)
def remaining_effort(
    *,
    automated_share: Annotated[float, Input("–", "share of tasks that AI does", least=0, below=1)] = 0.95,
    automated_share_today: Annotated[float, Input("–", "share of tasks that AI does today", least=0, below=1)] = 0.0,
) -> RemainingEffort:
    """(1 − automated_share_today)/(1 − automated_share), where AI labour is abundant. Raises InputError."""
    if automated_share < automated_share_today:
        raise InputError("automated_share", automated_share, "below automated_share_today", f"use {automated_share_today:g} or more")
    return RemainingEffort((1 - automated_share_today) / (1 - automated_share))
