"""Growth of software before and after AI automates software R&D, while compute grows: the speed-up calculator of Davidson & Houlden.

    r_comp   = r_cog (1 − α)/α
    g_before = r_cog g_L + r_comp g_C                     g_after = r_cog (1/α + γ) g_C/(1 − r_cog), infinite for r_cog ≥ 1

α is labour's share of research, copies run per unit of compute grow as compute^γ, so that AI labour grows at g_S + (1 + γ) g_C. With
g_L = g_C the ratio is (1 + αγ)/(1 − r_cog).
Source: Davidson & Houlden (2025), "How quick and big would a software intelligence explosion be?", Forethought: the calculator on its site.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from sweep.calculators.calculator import Input, calculator, quantity


@dataclass(frozen=True)
class AutomationSpeedup:
    """Growth of software before and after automation."""

    growth_before: float = quantity("1/year", "growth of software before automation", "1.175")
    growth_after: float = quantity("1/year", "growth of software after it", "3.85")
    speedup: float = quantity("×", "their ratio", "3.2766")


@calculator("growth of software before and after automation, without an explosion", "Davidson & Houlden (2025), the calculator on its site")
def automation_speedup(
    *,
    labour_share: Annotated[float, Input("–", "α, labour's share of research", above=0, most=1)] = 0.4,
    copies_per_compute: Annotated[float, Input("–", "γ, exponent of compute in copies per unit of compute", least=0)] = 1.0,
    returns_to_cognition: Annotated[float, Input("–", "r_cog, returns to cognitive labour at fixed compute", above=0)] = 0.5,
    labour_growth_before: Annotated[float, Input("1/year", "g_L, growth of human labour", least=0)] = 0.7,
    compute_growth: Annotated[float, Input("1/year", "g_C, growth of compute", above=0)] = 1.1,
) -> AutomationSpeedup:
    """Growth before and after automation, and their ratio. Raises InputError."""
    returns_to_compute = returns_to_cognition * (1 - labour_share) / labour_share
    before = returns_to_cognition * labour_growth_before + returns_to_compute * compute_growth
    if returns_to_cognition >= 1:
        return AutomationSpeedup(before, math.inf, math.inf)
    after = returns_to_cognition * (1 / labour_share + copies_per_compute) * compute_growth / (1 - returns_to_cognition)
    return AutomationSpeedup(before, after, after / before if before > 0 else math.inf)
