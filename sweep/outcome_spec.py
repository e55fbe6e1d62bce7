"""What a sweep reports of each trajectory: the [outcomes] and [statistics] of a config.

times = [12, 24]   doublings = [8, 24]   levels_oom = [1, 3]   years_of_progress = [12]   peak = true   regime = true | { factor = 10 }
windows = [ { name = "3y_in_12m", months = 12, speedup = 3 } ]   most_doublings_in = [12]   diagnostics = true
warning = { from = 2, to = 10 } | [ … ]   gradients = ["returns"]
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from kernels.models import Model, Options
from kernels.outcomes import Label, Outcomes, Window
from sweep.errors import Fault
from sweep.tables import PositiveNumber, Table, is_power_of_two, without_duplicates

_DEFAULT_REGIME_FACTOR = 10.0


# More is never reached, and far more would not fit the integers in which the published rule counts.
_Amount = Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0, le=1e6)]


class WindowTable(Table):
    """A compression window: whether so much progress is ever made within so many months."""

    example: ClassVar[str] = '{ name = "3y_in_12m", months = 12, years = 3 }'

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")]
    months: PositiveNumber
    years: _Amount | None = None
    speedup: _Amount | None = None
    doublings: _Amount | None = None
    rule: Literal["published", "continuous"] | None = None

    @model_validator(mode="after")
    def _is_one_amount(self) -> WindowTable:
        given = [name for name in ("years", "speedup", "doublings") if getattr(self, name) is not None]
        if len(given) != 1:
            raise Fault(
                f"{' and '.join(given) or 'no amount'} {'are' if given else 'is'} given", "give exactly one of years, speedup, doublings"
            )
        return self


class RegimeTable(Table):
    """How many times the pace must rise, or fall, to count as an explosion, or a fizzle."""

    example: ClassVar[str] = "true or { factor = 10 }"

    factor: Annotated[float, Field(strict=True, allow_inf_nan=False, gt=1)] = _DEFAULT_REGIME_FACTOR


class WarningTable(Table):
    """The time from when the pace first is so many times the recent one to when it is so many."""

    example: ClassVar[str] = "{ from = 2, to = 10 }"

    start: PositiveNumber = Field(alias="from")
    to: PositiveNumber

    @model_validator(mode="after")
    def _rises(self) -> WarningTable:
        if self.start >= self.to:
            raise Fault(f"from {self.start:g} to {self.to:g} is no rise", "write from below to")
        return self


def _kind_of_warning(value: object) -> str:
    return "<list>" if isinstance(value, (list, tuple)) else "<table>"


def _kind_of_regime(value: object) -> str:
    return "<table>" if isinstance(value, (dict, RegimeTable)) else "<flag>"


_Flag = Annotated[bool, Field(strict=True)]
_Numbers = tuple[PositiveNumber, ...]


class OutcomeSpec(Table):
    """The outcomes asked for. Numbers are kept in ascending order, windows as written."""

    times: _Numbers = Field((), description="months at which to report the doublings made")
    doublings: _Numbers = Field((), description="doublings whose dates to report")
    levels_oom: _Numbers = Field((), description="levels of software, in factors of ten, whose dates to report")
    years_of_progress: _Numbers = Field((), description="months at which to report the years of progress made")
    windows: tuple[WindowTable, ...] = Field((), description="whether so much progress is ever made within so many months")
    peak: _Flag = Field(False, description="the peak pace and its date")
    regime: Annotated[Annotated[_Flag, Tag("<flag>")] | Annotated[RegimeTable, Tag("<table>")], Discriminator(_kind_of_regime)] = Field(
        False, description="explosion, exponential or fizzle; and whether the ceiling is reached"
    )
    most_doublings_in: _Numbers = Field((), description="the most doublings made in less than so many months, by the published rule")
    diagnostics: _Flag = Field(False, description="further numbers that the model's authors report")
    warning: Annotated[
        Annotated[WarningTable, Tag("<table>")] | Annotated[tuple[WarningTable, ...], Tag("<list>")], Discriminator(_kind_of_warning)
    ] = Field((), description="the time from one multiple of the recent pace to another, and the dates of both")
    gradients: tuple[Annotated[str, Field(strict=True)], ...] = Field(
        (), description="parameters: how every number changes with the logarithm of each"
    )

    @field_validator("times", "doublings", "levels_oom", "years_of_progress", "most_doublings_in")
    @classmethod
    def _in_order(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(sorted(without_duplicates(values)))

    @field_validator("warning")
    @classmethod
    def _as_a_list(cls, given: WarningTable | tuple[WarningTable, ...]) -> tuple[WarningTable, ...]:
        tables = given if isinstance(given, tuple) else (given,)
        for index, table in enumerate(tables):
            if table in tables[:index]:
                raise Fault(f"from {table.start:g} to {table.to:g} is given more than once", "give each once", index)
        return tables

    @field_validator("gradients")
    @classmethod
    def _are_different(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for index, name in enumerate(names):
            if name in names[:index]:
                raise Fault(f"{name} is given more than once", "give each parameter once", index)
        return names

    @property
    def warnings(self) -> tuple[WarningTable, ...]:
        """The warning times, as a list whichever way they were written."""
        return self.warning if isinstance(self.warning, tuple) else (self.warning,)

    @model_validator(mode="after")
    def _asks_for_something(self) -> OutcomeSpec:
        if self.build() == Outcomes():
            raise Fault("no outcome is asked for", f"give at least one of {', '.join(outcomes_of_their_own())}")
        return self

    @property
    def regime_factor(self) -> float | None:
        """The factor of the regimes, or None where they are not asked for."""
        if isinstance(self.regime, RegimeTable):
            return self.regime.factor
        return _DEFAULT_REGIME_FACTOR if self.regime else None

    def labels(self, model: Model, options: Options) -> tuple[Label, ...]:
        """The outcomes in the order in which they are reported."""
        return self.build().labels(model, options)

    def build(self) -> Outcomes:
        """The same for the kernels."""
        windows = tuple(
            Window(window.name, window.months, window.doublings, window.years, window.speedup, window.rule or "continuous")
            for window in self.windows
        )
        return Outcomes(
            times=self.times,
            doublings=self.doublings,
            levels_oom=self.levels_oom,
            years_of_progress=self.years_of_progress,
            windows=windows,
            peak=self.peak,
            regime=self.regime_factor,
            most_doublings_in=self.most_doublings_in,
            diagnostics=self.diagnostics,
            warning=tuple((table.start, table.to) for table in self.warnings),
            gradients=self.gradients,
        )


def outcomes_of_their_own() -> list[str]:
    """The keys any of which is enough: gradients are of other numbers, and most models have no diagnostics."""
    return [name for name in OutcomeSpec.model_fields if name not in ("diagnostics", "gradients")]


class StatisticsSpec(Table):
    """Which statistics of each outcome are kept."""

    mean: _Flag = True
    quantiles: tuple[Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0, lt=1)], ...] = (0.05, 0.25, 0.5, 0.75, 0.95)
    probability: _Flag = True
    histogram: _Flag = True
    bins_per_octave: Annotated[int, Field(strict=True, ge=4, le=128)] = 32

    @field_validator("quantiles")
    @classmethod
    def _in_order(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(sorted(without_duplicates(values)))

    @field_validator("bins_per_octave")
    @classmethod
    def _is_power_of_two(cls, value: int) -> int:
        if not is_power_of_two(value):
            raise Fault("not a power of two", "use 4, 8, 16, 32, 64 or 128")
        return value
