"""The families of distributions as they are written in a config, each with the forms that state it.

    normal = { mean, sd }                    lognormal = { mean_of_log, sd_of_log }           triangular = { low, mode, high }
    beta = { a, b, low = 0, high = 1 }       discrete = { values, weights }

normal and lognormal also take an interval, ci80 = [p10, p90] or ci90 = [p5, p95], lognormal any two of p10, p50 and p90.
"""

from __future__ import annotations

import itertools
import math
from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from kernels import sampling
from kernels.sampling import Distribution
from sweep.errors import Fault
from sweep.tables import Interval, Number, PositiveNumber, Table, ordered, without_duplicates

Z80, Z90 = 1.2815515655446004, 1.6448536269514722
"""The standard normal quantiles of 0.9 and 0.95: half the width of an 80 % and a 90 % interval in standard deviations."""
_AGREEMENT = 0.01
"""How far three percentiles may disagree, relative."""
_LEVEL = "say its level: ci80 = [p10, p90] or ci90 = [p5, p95]"


def _one_form(table: Table, *forms: tuple[str, ...]) -> tuple[str, ...]:
    """The one of `forms` (sets of keys) that is given. Raises Fault unless exactly that one is given, whole."""
    allowed = " or ".join("{ " + ", ".join(form) + " }" for form in forms)
    given = tuple(key for key in type(table).model_fields if getattr(table, key) is not None)
    if given not in forms:
        problem = f"{', '.join(given)} alone: which distribution is meant is not settled" if given else "no distribution is given"
        raise Fault(problem, f"give {allowed}")
    return given


class NormalTable(Table):
    """A normal distribution, from its moments or from an interval."""

    example: ClassVar[str] = "{ mean, sd }, { ci80 = [p10, p90] } or { ci90 = [p5, p95] }"
    hints: ClassVar[dict[str, str]] = {"ci": _LEVEL, "interval": _LEVEL, "[]": _LEVEL}

    mean: Number | None = None
    sd: PositiveNumber | None = None
    ci80: Interval | None = None
    ci90: Interval | None = None

    @model_validator(mode="after")
    def _is_one_form(self) -> NormalTable:
        _one_form(self, ("mean", "sd"), ("ci80",), ("ci90",))
        ordered(self.ci80 or self.ci90 or (0.0, 1.0))
        return self

    def distribution(self) -> Distribution:
        if self.mean is not None and self.sd is not None:
            return sampling.Normal(self.mean, self.sd)
        low, high = self.ci80 or self.ci90 or (0.0, 0.0)
        return sampling.Normal((low + high) / 2, (high - low) / (2 * (Z80 if self.ci80 else Z90)))


class LogNormalTable(Table):
    """A lognormal distribution, from the moments of its log, from an interval or from percentiles."""

    example: ClassVar[str] = "{ mean_of_log, sd_of_log }, { ci80 = [p10, p90] }, { ci90 = [p5, p95] } or two of p10, p50, p90"
    hints: ClassVar[dict[str, str]] = {"ci": _LEVEL, "interval": _LEVEL, "[]": _LEVEL}

    mean_of_log: Number | None = None
    sd_of_log: PositiveNumber | None = None
    ci80: Interval | None = None
    ci90: Interval | None = None
    p10: PositiveNumber | None = None
    p50: PositiveNumber | None = None
    p90: PositiveNumber | None = None

    @model_validator(mode="after")
    def _is_one_form(self) -> LogNormalTable:
        percentiles = (("p10", "p50"), ("p10", "p90"), ("p50", "p90"), ("p10", "p50", "p90"))
        given = _one_form(self, ("mean_of_log", "sd_of_log"), ("ci80",), ("ci90",), *percentiles)
        interval = self.ci80 or self.ci90
        if interval is not None:
            ordered(interval)
            if interval[0] <= 0:
                raise Fault(
                    f"a lognormal is positive, but its interval starts at {interval[0]:g}", "start the interval above 0, or use normal"
                )
        if given in percentiles:
            values = [value for value in (self.p10, self.p50, self.p90) if value is not None]
            if any(low >= high for low, high in itertools.pairwise(values)):
                raise Fault("the percentiles do not rise", "give p10 < p50 < p90")
            if self.p10 and self.p50 and self.p90 and abs(math.sqrt(self.p10 * self.p90) / self.p50 - 1) > _AGREEMENT:
                median = math.sqrt(self.p10 * self.p90)
                raise Fault(f"no lognormal has these three: p10 and p90 make p50 {median:.6g}", "give two of them")
        return self

    def distribution(self) -> Distribution:
        if self.mean_of_log is not None and self.sd_of_log is not None:
            return sampling.LogNormal(self.mean_of_log, self.sd_of_log)
        low, high = self.ci80 or self.ci90 or self._percentiles()
        sd = (math.log(high) - math.log(low)) / (2 * (Z90 if self.ci90 else Z80))
        return sampling.LogNormal((math.log(low) + math.log(high)) / 2, sd)

    def _percentiles(self) -> tuple[float, float]:
        """p10 and p90; the log is symmetric about its median, so that one follows from the other and p50."""
        if self.p10 and self.p90:
            return self.p10, self.p90
        median = self.p50 or 0.0
        return (self.p10, median * (median / self.p10)) if self.p10 else (median * (median / (self.p90 or 0.0)), self.p90 or 0.0)


class TriangularTable(Table):
    """A triangular distribution."""

    example: ClassVar[str] = "{ low, mode, high }"

    low: Number
    mode: Number
    high: Number

    @model_validator(mode="after")
    def _is_ordered(self) -> TriangularTable:
        ordered((self.low, self.high))
        if not self.low <= self.mode <= self.high:
            raise Fault(f"the mode {self.mode:g} is not between {self.low:g} and {self.high:g}", "write low <= mode <= high")
        return self

    def distribution(self) -> Distribution:
        return sampling.Triangular(self.low, self.mode, self.high)


class BetaTable(Table):
    """A beta distribution, stretched to [low, high]."""

    example: ClassVar[str] = "{ a, b, low = 0, high = 1 }"

    a: PositiveNumber
    b: PositiveNumber
    low: Number = 0.0
    high: Number = 1.0

    @model_validator(mode="after")
    def _is_ordered(self) -> BetaTable:
        ordered((self.low, self.high))
        return self

    def distribution(self) -> Distribution:
        return sampling.Beta(self.a, self.b, self.low, self.high)


class DiscreteTable(Table):
    """Values, each with a weight; weights need not sum to 1."""

    example: ClassVar[str] = "{ values = [1, 2], weights = [0.3, 0.7] }"

    values: Annotated[tuple[Number, ...], Field(min_length=1)]
    weights: Annotated[tuple[PositiveNumber, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _is_paired(self) -> DiscreteTable:
        if len(self.values) != len(self.weights):
            raise Fault(f"{len(self.values)} values but {len(self.weights)} weights", "give each value one weight")
        without_duplicates(self.values)
        return self

    def distribution(self) -> Distribution:
        # Values in order, weights as probabilities: however it is written, the same distribution has one identity.
        pairs = sorted(zip(self.values, self.weights, strict=True))
        total = math.fsum(self.weights)
        return sampling.Discrete(tuple(value for value, _ in pairs), tuple(weight / total for _, weight in pairs))
