"""Fleet arithmetic: how many researchers a fleet of accelerators is worth, and how many experiments it runs.

    tokens an hour = accelerators · price of an hour · tokens for a dollar           researchers = tokens an hour / tokens of a human hour
    experiments a year of today's largest size = 10^(orders of magnitude of scale-up)

Source: "Automated AI Research", sections "The Scale" and "The Bottleneck: Compute for Experiments".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from sweep.calculators.calculator import Input, calculator, quantity


@dataclass(frozen=True)
class Fleet:
    """What a fleet of accelerators is worth in research."""

    tokens_per_hour: float = quantity("tokens/hour", "tokens that the whole fleet makes", "≈ 1e12")
    human_equivalents: float = quantity("researchers", "researchers that the whole fleet is worth", "~2e8")
    researchers: float = quantity("researchers", "the same, after a share of the fleet is kept for experiments", "1e8")
    fast_researchers: float = quantity("researchers", "as many at a higher serial speed, for the same tokens")
    experiments_per_year: float = quantity("a year", "experiments of today's largest size, on the scaled-up compute", "100,000")
    experiment_compute_multiplier: float = quantity("×", "experiment compute that the mitigations are worth together")
    effective_experiments_per_year: float = quantity("a year", "experiments, the mitigations counted in")


@calculator("researchers and experiments that a fleet of accelerators is worth", "“Automated AI Research”")
def research_fleet(
    *,
    accelerators: Annotated[float, Input("A100-equivalents", "accelerators of the fleet", above=0)] = 3e7,
    price_of_an_hour: Annotated[float, Input("$/hour", "price of an accelerator", above=0)] = 1.0,
    tokens_per_dollar: Annotated[float, Input("tokens/$", "tokens for a dollar", above=0)] = 33_000.0,
    tokens_per_human_hour: Annotated[float, Input("tokens/hour", "100 tokens a minute of a human's thought", above=0)] = 6_000.0,
    share_for_experiments: Annotated[float, Input("–", "share of the fleet kept for experiments", least=0, below=1)] = 0.5,
    serial_speed: Annotated[float, Input("× human", "speed of each fast researcher; printed: 10 to 100", above=0)] = 10.0,
    scale_up: Annotated[float, Input("OOM", "growth of compute over today's largest run", least=0, most=300)] = 5.0,
    saved_compute: Annotated[float, Input("×", "compute saved by getting it right at once; printed: 3 to 10", above=0)] = 1.0,
    efficiency_gain: Annotated[float, Input("×", "experiments made cheaper by efficiency; printed: 10", above=0)] = 1.0,
) -> Fleet:
    """Researchers and experiments of a fleet. Raises InputError.

    The text prints "10s of millions" of accelerators: 3e7 is what makes its 1e12 tokens an hour. Copies are traded for speed one for one.
    The mitigations multiply experiment compute (`experiment_compute_multiplier` of the growth law) and are independent: our assumption.
    """
    tokens = accelerators * price_of_an_hour * tokens_per_dollar
    people = tokens / tokens_per_human_hour
    researchers = people * (1 - share_for_experiments)
    experiments = 10.0**scale_up
    mitigations = saved_compute * efficiency_gain
    return Fleet(tokens, people, researchers, researchers / serial_speed, experiments, mitigations, experiments * mitigations)
