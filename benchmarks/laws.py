"""The growth laws that are timed: what each is made of, the priors that it is asked for, and the questions.

A law in software alone is asked for dates of doublings: its peers integrate dt/dx = T over software, where it is smoothest. A law of more
states is asked for doublings by given months: its peers integrate in time, which is what their saved values are indexed by.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.studies import Precision
from kernels import models
from kernels.outcomes import Outcomes
from kernels.sampling import Design, LogUniform, Uniform
from kernels.study import Study

TOLERANCE = {"float32": 1e-4, "float64": 1e-9}
"""The relative error that every contender must reach in the worst of the checked trajectories."""


@dataclass(frozen=True)
class Law:
    """A law, its priors, and what is asked of it: dates of `levels` in doublings, or doublings by `times` in months."""

    name: str
    options: Mapping[str, str]
    drawn: tuple[tuple[str, LogUniform | Uniform], ...]
    fixed: Mapping[str, float]
    levels: tuple[float, ...] = ()
    times: tuple[float, ...] = ()

    @property
    def outcomes(self) -> Outcomes:
        return Outcomes(doublings=self.levels, times=self.times)

    def draws(self, lanes: int) -> NDArray[np.float64]:
        """Independent draws, (parameters, lanes), in the order of `drawn`."""
        random = np.random.default_rng(20250326)
        rows = []
        for _, prior in self.drawn:
            low, high = prior.support
            if isinstance(prior, LogUniform):
                rows.append(np.exp(random.uniform(np.log(low), np.log(high), lanes)))
            else:
                rows.append(random.uniform(low, high, lanes))
        return np.stack(rows)

    def parameters(self, drawn: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Every parameter by name, (lanes,) each; what is neither drawn nor fixed has the default of the model."""
        model = models.get("growth_law")
        known = {**model.defaults(model.resolve_options(self.options)), **self.fixed}
        named: dict[str, NDArray[np.float64]] = {
            name: np.full(drawn.shape[1], value) for name, value in known.items() if isinstance(value, float)
        }
        return named | {name: row for (name, _), row in zip(self.drawn, drawn, strict=True)}

    def study(self, precision: Precision, model_name: str = "growth_law", tolerance: float | None = None) -> Study:
        """The study of this law, as a sweep has it, by a model that has its options and parameters; the tolerance as a config states it,
        by default the matched error."""
        model = models.get(model_name)
        options = model.resolve_options(self.options)
        names = [name for name, _ in self.drawn]
        known = {name: value for name, value in {**model.defaults(options), **self.fixed}.items() if name not in names}
        fixed = {name: value for name, value in known.items() if isinstance(value, float)}
        follows = {name: value for name, value in known.items() if isinstance(value, str)}
        bounds = {name: (value, value) for name, value in fixed.items()} | {name: prior.support for name, prior in self.drawn}
        bounds |= {name: bounds[other] for name, other in follows.items()}
        return Study(
            model=model,
            options=options,
            design=Design("sobol", 16, 65536, self.drawn),
            fixed=fixed,
            follows=follows,
            axes=(),
            bounds=bounds,
            outcomes=self.outcomes,
            precision=precision,
            tolerance=tolerance or TOLERANCE[precision],
            bins_per_octave=32,
        )


_GROWTH = (
    ("returns", LogUniform(0.5, 3.0)),
    ("initial_doubling_time", LogUniform(0.5, 4.0)),
    ("parallel_exponent", LogUniform(0.3, 1.0)),
    ("distance_to_limits", Uniform(30.0, 100.0)),
)
_DATES = (1.0, 5.0, 10.0, 20.0)
_MONTHS = (6.0, 12.0, 24.0, 48.0)
_CES = ("substitution_parameter", Uniform(-1.0, -0.1))
_REACTION = (("reaction_gain", Uniform(0.3, 2.0)), ("reaction_delay", Uniform(1.0, 6.0)))
_SLOW = (
    ("returns", LogUniform(0.4, 0.8)),
    ("hardware_returns", Uniform(0.4, 0.8)),
    ("hardware_doubling_time", Uniform(18.0, 36.0)),
    ("hardware_delay", Uniform(6.0, 18.0)),
)
"""Returns below 1 in software and hardware: in plain time, which peers step in, what explodes has no end."""

LAWS = (
    Law("labour, linear ceiling", {"ceiling": "linear"}, _GROWTH, {"horizon": 240.0}, levels=_DATES),
    Law(
        "CES, linear ceiling",
        {"research_input": "ces", "ceiling": "linear"},
        (*_GROWTH, _CES),
        {"horizon": 240.0},
        levels=_DATES,
    ),
    Law(
        "CES, linear ceiling, growing hardware",
        {"research_input": "ces", "ceiling": "linear", "hardware": "exponential"},
        (*_GROWTH, _CES, ("hardware_doublings_per_year", Uniform(0.5, 2.0))),
        {"horizon": 48.0},
        times=_MONTHS,
    ),
    Law(
        "three states: reaction of policy",
        {"ceiling": "linear", "governance": "reaction"},
        (*_GROWTH, *_REACTION),
        {"horizon": 48.0, "pace_threshold": 5.0},
        times=_MONTHS,
    ),
    Law(
        "five states: reaction of policy, hardware loop",
        {"ceiling": "linear", "governance": "reaction", "hardware": "loop"},
        (*_GROWTH[1:], *_REACTION, *_SLOW),
        {"horizon": 48.0, "pace_threshold": 5.0, "hardware_parallel_exponent": 0.3},
        times=_MONTHS,
    ),
)

NOISY = Law(
    "pace that wanders, breakthroughs",
    {"noise": "both"},
    (
        ("initial_doubling_time", LogUniform(1.0, 2.0)),
        ("noise_sd", Uniform(0.0, 0.6)),
        ("breakthrough_rate", Uniform(0.0, 0.2)),
    ),
    {"returns": 1.2, "parallel_exponent": 0.3, "noise_correlation_time": 6.0, "breakthrough_size": 1.0, "horizon": 60.0},
    levels=(5.0, 10.0, 20.0),
    times=(24.0,),
)
"""The law of `configs/noise.toml`, with draws over the whole of its axes."""
