"""Distributions as they are written in a config, and what they become: quantile functions of `kernels.sampling`.

    { uniform = [lo, hi] }  { loguniform = [2, 32] }  { normal = … }  { lognormal = … }  { triangular = … }  { beta = … }  { discrete = … }
    { mixture = [ { weight, uniform = … }, { weight, value = 3 }, … ] }  { evidence = "name" }

Beside any of them truncate = [lo, hi] keeps what lies between the two, and shift = 1 is added to that afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Annotated, ClassVar

from pydantic import Discriminator, Field, Tag, model_validator

from kernels import sampling
from kernels.sampling import Distribution
from sweep.errors import Fault
from sweep.families import BetaTable, DiscreteTable, LogNormalTable, NormalTable, TriangularTable
from sweep.tables import Interval, Number, PositiveNumber, Table, ordered

_LEAST_KEPT = 1e-9
"""The least probability that a truncation may keep."""

Found = Callable[[str], Distribution | float]
"""Looks up evidence by name."""


class DistributionTable(Table):
    """One distribution by its kind, perhaps truncated and shifted."""

    example: ClassVar[str] = "a number or one distribution, e.g. { uniform = [0, 1] }"
    hints: ClassVar[dict[str, str]] = {"value": "write the number alone, without a table"}
    kinds: ClassVar[tuple[str, ...]] = (
        *("uniform", "loguniform", "normal", "lognormal", "triangular"),
        *("beta", "discrete", "mixture", "evidence"),
    )

    uniform: Interval | None = None
    loguniform: Interval | None = None
    normal: NormalTable | None = None
    lognormal: LogNormalTable | None = None
    triangular: TriangularTable | None = None
    beta: BetaTable | None = None
    discrete: DiscreteTable | None = None
    mixture: Annotated[tuple[ComponentTable, ...], Field(min_length=1)] | None = None
    evidence: str | None = Field(None, description="the name of a file in evidence/")
    truncate: Interval | None = Field(None, description="keep what lies between the two, before any shift")
    shift: Number | None = Field(None, description="added to each value")

    @model_validator(mode="after")
    def _is_one_kind(self) -> DistributionTable:
        given = [kind for kind in self.kinds if getattr(self, kind) is not None]
        if len(given) != 1:
            problem = f"{' and '.join(given)} are given" if given else "no distribution is given"
            raise Fault(problem, f"write exactly one of {', '.join(self.kinds)}")
        for kind in ("uniform", "loguniform", "truncate"):
            interval = getattr(self, kind)
            if interval is not None:
                try:
                    ordered(interval)
                except Fault as fault:
                    raise Fault(fault.problem, fault.fix, kind) from None
        if self.loguniform is not None and self.loguniform[0] <= 0:
            problem = f"a log-uniform is positive, but starts at {self.loguniform[0]:g}"
            raise Fault(problem, "start above 0, or use uniform", "loguniform")
        return self

    def distribution(self, evidence: Found) -> Distribution | float:
        """The distribution, or the number where evidence is one. Raises Fault."""
        base = self._base(evidence)
        if self.truncate is not None:
            base = _truncated(base, self.truncate)
        if self.shift is None:
            return base
        return sampling.Shifted(base, self.shift) if isinstance(base, Distribution) else base + self.shift

    def _base(self, evidence: Found) -> Distribution | float:
        if self.evidence is not None:
            return evidence(self.evidence)
        if self.mixture is not None:
            return _mixed(self.mixture, evidence)
        if self.uniform is not None:
            return sampling.Uniform(*self.uniform)
        if self.loguniform is not None:
            return sampling.LogUniform(*self.loguniform)
        table = self.normal or self.lognormal or self.triangular or self.beta or self.discrete
        assert table is not None
        return table.distribution()


class ComponentTable(DistributionTable):
    """One part of a mixture: a distribution or a number, and its weight."""

    example: ClassVar[str] = "{ weight = 1, uniform = [0, 1] }"
    hints: ClassVar[dict[str, str]] = {}
    kinds: ClassVar[tuple[str, ...]] = (*DistributionTable.kinds, "value")

    weight: PositiveNumber
    value: Number | None = None

    def _base(self, evidence: Found) -> Distribution | float:
        return self.value if self.value is not None else super()._base(evidence)


def _kind_of_value(value: object) -> str:
    return "<number>" if isinstance(value, (int, float, str)) else "<table>"


ParameterValue = Annotated[
    Annotated[Number, Tag("<number>")] | Annotated[DistributionTable, Tag("<table>")],
    Discriminator(_kind_of_value),
]
"""What a parameter may be: a number or a distribution."""


_LEAST_DRAWN = 1e-30
"""Above what float32 takes for 0."""


def is_continuous(distribution: Distribution) -> bool:
    """Whether no single value has a probability of its own."""
    if isinstance(distribution, sampling.Mixture):
        return all(is_continuous(component) for component in distribution.components)
    if isinstance(distribution, (sampling.Truncated, sampling.Shifted)):
        return is_continuous(distribution.distribution)
    return not isinstance(distribution, (sampling.Discrete, sampling.Constant))


def attains_low(distribution: Distribution) -> bool:
    """Whether draws come as near as one likes to the low end of the support; those of a lognormal stay away from 0."""
    if isinstance(distribution, sampling.Mixture):
        low = distribution.support[0]
        return any(attains_low(component) for component in distribution.components if component.support[0] == low)
    if isinstance(distribution, sampling.Truncated):
        inner = distribution.distribution
        return distribution.support[0] > inner.support[0] or attains_low(inner)
    if isinstance(distribution, sampling.Shifted):
        return attains_low(distribution.distribution)
    return not isinstance(distribution, (sampling.Normal, sampling.LogNormal))


def stays_above_low(distribution: Distribution, lowest: float) -> bool:
    """Whether no draw is the low end of the support itself, though they come near; `lowest` is the probability of the lowest of them.

    That is said of a beta from 0 on, which is written so without a thought of its ends; numbers are so dense there that none is rounded to
    0. Where somebody writes a 0, it is better asked about.
    """
    starts_at_zero = isinstance(distribution, sampling.Beta) and distribution.low == 0
    return starts_at_zero and distribution.host_quantile(lowest) > _LEAST_DRAWN


def _mixed(parts: tuple[ComponentTable, ...], evidence: Found) -> Distribution | float:
    components = []
    for index, part in enumerate(parts):
        try:
            components.append(part.distribution(evidence))
        except Fault as fault:
            raise Fault(fault.problem, fault.fix, "mixture", index, *fault.keys) from None
    if len(components) == 1:
        return components[0]
    total = math.fsum(part.weight for part in parts)
    distributions = tuple(part if isinstance(part, Distribution) else sampling.Constant(part) for part in components)
    return sampling.Mixture(distributions, tuple(part.weight / total for part in parts))


def _truncated(base: Distribution | float, interval: Interval) -> Distribution | float:
    low, high = interval
    if not isinstance(base, Distribution):
        if not low <= base <= high:
            raise Fault(f"the number {base:g} lies outside it", "widen it, or remove it", "truncate")
        return base
    if not is_continuous(base):
        return _with_values_truncated(base, interval)
    return _cut(base, interval)


def _cut(base: Distribution, interval: Interval) -> Distribution:
    low, high = interval
    if base.cdf(high) - base.cdf(math.nextafter(low, -math.inf)) < _LEAST_KEPT:
        fix = f"widen it: half of the distribution lies below {base.median:g}"
        raise Fault("it leaves nothing of the distribution", fix, "truncate")
    return sampling.Truncated(base, low, high)


def _with_values_truncated(base: Distribution, interval: Interval) -> Distribution:
    """A truncation of what has single values: those outside are dropped, which is exact, and so are parts that lie wholly outside."""
    low, high = interval
    kept: list[tuple[Distribution, float]] = []
    for part, weight in _parts(base, 1.0, 0.0):
        first, last = part.support
        if low <= first <= high if isinstance(part, sampling.Constant) else max(low, first) < min(high, last):
            kept.append((part, weight))
    if not kept:
        raise Fault("it leaves none of the values", f"widen it: they lie between {base.support[0]:g} and {base.support[1]:g}", "truncate")
    total = math.fsum(weight for _, weight in kept)
    values: dict[float, float] = {}
    for part, weight in kept:
        if isinstance(part, sampling.Constant):
            values[part.value] = values.get(part.value, 0.0) + weight / total
    others = [(part, weight / total) for part, weight in kept if not isinstance(part, sampling.Constant)]
    if not others:
        return sampling.Discrete(tuple(values), tuple(values.values()))
    others += [(sampling.Constant(value), weight) for value, weight in values.items()]
    parts, weights = zip(*others, strict=True)
    whole = sampling.Mixture(parts, weights) if len(parts) > 1 else parts[0]
    inside = low <= whole.support[0] and whole.support[1] <= high
    return whole if inside else _cut(whole, interval)


def _parts(distribution: Distribution, weight: float, shift: float) -> Iterator[tuple[Distribution, float]]:
    """The single values, as constants, and the other parts of a shifted distribution of that weight, each with its own."""
    if isinstance(distribution, sampling.Mixture):
        for component, share in zip(distribution.components, distribution.weights, strict=True):
            yield from _parts(component, weight * share, shift)
    elif isinstance(distribution, sampling.Shifted):
        yield from _parts(distribution.distribution, weight, distribution.by + shift)
    elif isinstance(distribution, sampling.Discrete):
        for value, share in zip(distribution.values, distribution.weights, strict=True):
            yield sampling.Constant(value + shift), weight * share
    elif isinstance(distribution, sampling.Constant):
        yield sampling.Constant(distribution.value + shift), weight
    else:
        yield (sampling.Shifted(distribution, shift) if shift else distribution), weight
