"""What a pace of progress says about research: five researchers guessed the pace with 900 times the cognitive labour.

With labour multiplied by L and experiment compute fixed, pace = I^λ, where research input I is one of

    L^(e/λ)                          an exponent e of labour: e = ln pace / ln L (λα with Cobb–Douglas input)
    (α L^ρ + 1 − α)^(1/ρ)            CES with labour share α: the substitution parameter ρ < 1 is solved for, through ρ = 0 (L^α) too

Source: Leibowich, Jurkovic & Davidson (2025), "Could Advanced AI Accelerate the Pace of AI Progress?", Compilation of Quantitative
Estimates. The interviews let compute grow at its recent rate: to put the whole pace down to labour is our assumption.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from sweep.calculators.calculator import Input, InputError, Inputs, Numbers, calculator, quantity

PACES: Numbers = (1.5, 10 / 3, 20.0, 10.0, 3.0)
"""Researchers 1 to 5: 3 years in 2, 5 in 18 months, 60 in 3, 3 in 3/10, 3 in 1; of several answers the one for the nearest progress."""


@dataclass(frozen=True)
class Implied:
    """What each pace implies, in the order of the paces."""

    labour_exponent: tuple[float, ...] = quantity("–", "exponent of labour in the pace")
    substitution_parameter: tuple[float, ...] = quantity("–", "ρ of labour and experiment compute, compute fixed")
    elasticity_of_substitution: tuple[float, ...] = quantity("–", "1/(1 − ρ)")
    largest_pace: tuple[float, ...] = quantity("×", "pace at unbounded labour, (1 − α)^(λ/ρ); infinite for ρ ≥ 0")


@calculator("what the pace with much more labour implies", "Leibowich, Jurkovic & Davidson (2025), Forethought")
def implied_by_pace(
    *,
    pace: Annotated[Numbers, Inputs("×", "pace of progress with the added labour, relative to today", above=1)] = PACES,
    labour_multiplier: Annotated[float, Input("×", "labour: 30 copies at 30 times the speed", above=1)] = 900.0,
    labour_share: Annotated[float, Input("–", "α, labour's share of research input today", above=0, below=1)] = 0.5,
    parallel_exponent: Annotated[float, Input("–", "λ, exponent of research input in the pace", above=0)] = 1.0,
) -> Implied:
    """The exponent of labour and the substitution parameter that each pace implies.

    Raises InputError where no ρ < 1 gives a pace: it has to lie between 1 and (α L + 1 − α)^λ.
    """
    added = math.log(labour_multiplier)
    most = parallel_exponent * _log_input(1.0, added, labour_share)
    for each in pace:
        if math.log(each) >= most:
            below = f"{math.exp(most):.6g}" if most < 700 else f"e^{most:.6g}"
            raise InputError("pace", each, "no substitution parameter below 1 gives so fast a pace", f"stay below {below}, or add labour")
    found = tuple(_substitution_parameter(math.log(each) / parallel_exponent, added, labour_share) for each in pace)
    return Implied(
        tuple(math.log(each) / added for each in pace),
        found,
        tuple(1 / (1 - rho) for rho in found),
        tuple(_largest_pace(rho, labour_share, parallel_exponent) for rho in found),
    )


def _log_input(rho: float, added: float, share: float) -> float:
    """ln (share·e^(rho·added) + 1 − share)^(1/rho); increasing in rho."""
    if rho == 0:
        return share * added
    grown = rho * added
    # In this form nothing cancels near rho = 0; beyond e^700 only the first term counts.
    return math.log1p(share * math.expm1(grown)) / rho if grown < 700 else (math.log(share) + grown) / rho


def _substitution_parameter(wanted: float, added: float, share: float) -> float:
    """The rho < 1 with `_log_input` = wanted, by bisection: the bracket always holds it, and ends as two neighbouring numbers."""
    low, high = -1.0, 1.0
    while _log_input(low, added, share) > wanted:
        low *= 2
    while True:
        middle = (low + high) / 2
        found = _log_input(middle, added, share)
        if found == wanted:
            return middle
        if not low < middle < high:
            return low
        low, high = (middle, high) if found < wanted else (low, middle)


def _largest_pace(rho: float, share: float, parallel_exponent: float) -> float:
    """(1 − share)^(parallel_exponent/rho), infinite where labour alone is enough or where no number holds it."""
    exponent = parallel_exponent * math.log(1 - share) / rho if rho < 0 else math.inf
    return math.exp(exponent) if exponent < 700 else math.inf
