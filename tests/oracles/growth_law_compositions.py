"""Compositions of the growth law to test with: options that may stand together, covered in pairs, and parameters drawn for them.

What may not stand together: the geometric convention with automation that rises in time (its scale would depend on when); the exponent form
of training with hardware, with a policy that has a memory, or with automation that rises in time (its pace is a function of software
alone); a hardware loop unless AI does all the research.
"""

from __future__ import annotations

import itertools

import numpy as np

FACTORS: dict[str, list[dict[str, str]]] = {
    "research_input": [{"research_input": value} for value in ("labour", "cobb_douglas", "ces")],
    "ceiling": [{"ceiling": value} for value in ("constant", "linear", "log_distance", "level")],
    "convention": [{"convention": value} for value in ("instantaneous", "geometric")],
    "training": [{"training": value} for value in ("none", "exponent", "lag", "generations")],
    "governance": [
        *({"governance": value} for value in ("none", "cap", "pause")),
        *({"governance": "reaction", "reaction_start": value} for value in ("current", "recent")),
    ],
    "hardware": [{"hardware": value} for value in ("fixed", "exponential", "loop")],
    "automation": [
        {"automation": "full"},
        *({"automation": "ramp", "automation_clock": value} for value in ("time", "effective_compute")),
        {"automation": "logistic"},
    ],
}
"""What is chosen together: each factor's values, as options."""


def is_valid(options: dict[str, str]) -> bool:
    """Whether the growth law allows these options together; parameters apart."""
    in_time = options["automation"] == "ramp" and options["automation_clock"] == "time"
    if options["convention"] == "geometric" and in_time:
        return False
    if options["training"] == "exponent" and (options["hardware"] != "fixed" or options["governance"] in ("pause", "reaction") or in_time):
        return False
    return options["hardware"] != "loop" or options["automation"] == "full"


def compositions() -> list[dict[str, str]]:
    """Every valid composition of options, in a fixed order."""
    chosen = ({name: value for part in parts for name, value in part.items()} for parts in itertools.product(*FACTORS.values()))
    return [options for options in chosen if is_valid(options)]


def pairwise_compositions() -> list[dict[str, str]]:
    """Compositions in which every pair of values that may stand together does, each chosen greedily for the most pairs still missing."""
    candidates = compositions()
    numbers: dict[tuple[tuple[str, str], ...], int] = {}
    masks = []
    for options in candidates:
        labels = [tuple(sorted((name, options[name]) for name in value if name in options)) for value in _parts(options)]
        pairs = [first + second for first, second in itertools.combinations(labels, 2)]
        masks.append(sum(1 << numbers.setdefault(pair, len(numbers)) for pair in pairs))
    missing, chosen = (1 << len(numbers)) - 1, []
    while missing:
        best = max(range(len(masks)), key=lambda index: (masks[index] & missing).bit_count())
        chosen.append(candidates[best])
        missing &= ~masks[best]
    return chosen


def every_option_in(compositions: list[dict[str, str]]) -> list[int]:
    """The places of few compositions in which every option's values all are, each chosen greedily for the most that are still missing."""
    missing, chosen = {pair for options in compositions for pair in options.items()}, []
    while missing:
        best = max(range(len(compositions)), key=lambda index: len(missing & compositions[index].items()))
        chosen.append(best)
        missing -= compositions[best].items()
    return chosen


def _parts(options: dict[str, str]) -> list[dict[str, str]]:
    """The value of each factor in a composition."""
    return [next(value for value in values if value.items() <= options.items()) for values in FACTORS.values()]


def draw_parameters(options: dict[str, str], random: np.random.Generator) -> dict[str, float]:
    """Parameters that a composition reads, to four digits, from ranges wide enough to give poles, ceilings and fizzles.

    The edges where the law has a form of its own are drawn too: κ = 0, ρ = 0, γ = 0, k = 1, a ramp from t = 0 or to f = 1.
    """
    drawn: dict[str, float] = {"horizon": 240.0}

    def uniform(name: str, low: float, high: float) -> None:
        drawn[name] = float(f"{random.uniform(low, high):.4g}")

    def log_uniform(name: str, low: float, high: float) -> None:
        drawn[name] = float(f"{np.exp(random.uniform(np.log(low), np.log(high))):.4g}")

    def edge(name: str, value: float, probability: float) -> None:
        if random.random() < probability:
            drawn[name] = value

    log_uniform("initial_doubling_time", 0.35, 5.0)
    log_uniform("returns", 0.4, 2.6)
    uniform("parallel_exponent", 0.2, 1.3)
    uniform("recent_doubling_time", 1.5, 9.0)
    if options["research_input"] != "labour":
        uniform("labour_share", 0.2, 0.8)
        uniform("experiment_efficiency", 0.0, 1.0)
        edge("experiment_efficiency", 0.0, 0.5)
    if options["research_input"] == "ces":
        if random.random() < 0.5:
            log_uniform("elasticity_of_substitution", 0.4, 1.8)
        else:
            uniform("substitution_parameter", -1.5, 0.5)
            edge("substitution_parameter", 0.0, 0.2)
    if options["ceiling"] != "constant":
        uniform("distance_to_limits", 8.0, 60.0)
    if options["automation"] != "full":
        log_uniform("initial_ai_labour", 0.5, 8.0)
        uniform("task_substitution_parameter", -2.5, 0.3)
        edge("task_substitution_parameter", 0.0, 0.2)
        uniform("automated_share_low", 0.1, 0.5)
        uniform("automated_share_high", 0.5, 1.0)
        edge("automated_share_high", 1.0, 0.5)
    if options["automation"] == "logistic":
        uniform("automation_midpoint", 3.0, 9.0)
        uniform("automation_width", 0.5, 2.5)
    elif options["automation"] == "ramp":
        clock, start, end = ("time", 10.0, 60.0) if options["automation_clock"] == "time" else ("compute", 3.0, 13.0)
        uniform(f"automation_start_{clock}", 0.0, start)
        edge(f"automation_start_{clock}", 0.0, 0.4)
        uniform(f"automation_end_{clock}", 1.5 * start, end)
    if options["training"] in ("lag", "generations"):
        log_uniform("first_training_time", 0.5, 4.0)
        uniform("training_time_ratio", 0.6, 1.06)
        edge("training_time_ratio", 1.0, 0.2)
    if options["governance"] == "cap":
        log_uniform("pace_cap", 1.0, 10.0)
    if options["governance"] in ("pause", "reaction"):
        log_uniform("pace_threshold", 0.6, 13.0)
    if options["governance"] == "pause":
        uniform("pause_length", 3.0, 30.0)
    if options["governance"] == "reaction":
        uniform("reaction_gain", 0.5, 2.0)
        log_uniform("reaction_delay", 0.5, 5.0)
    if options["hardware"] == "exponential":
        uniform("hardware_doublings_per_year", 0.5, 3.0)
    if options["hardware"] == "loop":
        log_uniform("hardware_doubling_time", 12.0, 40.0)
        uniform("hardware_returns", 3.0, 7.0)
        uniform("hardware_parallel_exponent", 0.3, 1.0)
        uniform("hardware_delay", 3.0, 20.0)
    return drawn


def random_composition(random: np.random.Generator) -> tuple[dict[str, float], dict[str, str]]:
    """Parameters and options of one valid composition, each factor's value equally likely before what is not allowed is drawn again."""
    while True:
        parts = [values[random.integers(len(values))] for values in FACTORS.values()]
        options = {name: value for part in parts for name, value in part.items()}
        if is_valid(options):
            return draw_parameters(options, random), options
