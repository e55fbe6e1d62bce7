"""What is known of a model's parameters before anything is drawn: which are fixed, which follow another, what bounds each has."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kernels.models import Model, Options, Parameter
from kernels.sampling import Distribution
from sweep.axes import Axis
from sweep.distributions import attains_low, stays_above_low

_UNBOUNDED = 1e-6
"""The quantile that stands for an end of a support that draws do not come near."""
_FARTHEST = 2.0**-33
"""The quantile of the lowest draw that there can be, (0 + 1/2) / 2^32."""

Bounds = dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Known:
    """Parameters as given (drawn or numbers), the axes, and the model's defaults: numbers, or names of parameters whose value is taken."""

    parameters: Mapping[str, Distribution | float]
    axes: Mapping[str, Axis]
    defaults: Mapping[str, float | str]
    above_zero: frozenset[str]
    """The parameters that can have any number above 0 but not 0 itself."""

    @staticmethod
    def of(model: Model, options: Options, parameters: Mapping[str, Distribution | float], axes: Mapping[str, Axis]) -> Known:
        """What is known of a model's parameters under these options."""
        above_zero = frozenset(parameter.name for parameter in model.parameters if parameter.above_zero)
        return Known(parameters, axes, model.defaults(options), above_zero)

    def fixed(self) -> dict[str, float]:
        """The parameters that have one value: given as numbers, left at their defaults, or taking the value of such a one."""
        values = {name: self._source(name) for name in self.defaults}
        return {name: value for name, value in values.items() if isinstance(value, float)}

    def follows(self) -> dict[str, str]:
        """The parameters that take the value of another one, which is drawn or gridded."""
        named = {name: value for name, value in self.defaults.items() if isinstance(value, str) and not self._is_given(name)}
        return {name: target for name, target in named.items() if not isinstance(self._source(target), float)}

    def bounds(self) -> Bounds:
        """The lowest and highest value of every parameter; for an end that draws do not come near, the 1e-6 or 1 − 1e-6 quantile."""
        return {name: _between(self._source(name), name in self.above_zero) for name in self.defaults}

    def _is_given(self, name: str) -> bool:
        return name in self.parameters or name in self.axes

    def _source(self, name: str) -> Distribution | Axis | float:
        """What the values of a parameter come from."""
        held = {**self.defaults, **self.parameters, **self.axes}
        source = held[end_of_defaults(name, held)]
        return source if isinstance(source, (Distribution, Axis)) else float(source)


def end_of_defaults(name: str, held: Mapping[str, object]) -> str:
    """The parameter from which the one of this name has its value: itself, or the end of a chain of defaults.

    `held` maps every parameter to what it is given, or else to its default, which may be the name of another one.
    """
    while isinstance(follows := held[name], str):
        name = follows
    return name


def beyond(distribution: Distribution, parameter: Parameter) -> float | None:
    """A value that may be drawn but that the parameter cannot have, or None."""
    return next((end for end in _ends(distribution, _FARTHEST, parameter.above_zero) if not parameter.contains(end)), None)


def _between(source: Distribution | Axis | float, above_zero: bool) -> tuple[float, float]:
    if isinstance(source, Distribution):
        return _ends(source, _UNBOUNDED, above_zero)
    if isinstance(source, Axis):
        return min(source.values), max(source.values)
    return source, source


def _ends(distribution: Distribution, probability: float, above_zero: bool) -> tuple[float, float]:
    """The support, with the quantile of `probability` for an end that draws do not come near, be it infinite or a lognormal's 0, and for
    a 0 that they do not reach where the parameter cannot have it."""
    low, high = distribution.support
    is_low = attains_low(distribution) and not (above_zero and stays_above_low(distribution, _FARTHEST))
    # A quantile beyond the largest float is infinite, which is what it should be.
    with np.errstate(over="ignore", under="ignore"):
        return (
            low if is_low else distribution.host_quantile(probability),
            high if math.isfinite(high) else distribution.host_quantile(probability, upper=True),
        )
