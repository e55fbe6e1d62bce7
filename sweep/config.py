"""The sections of a config file as they are written, and their defaults: what is checked before any model is asked."""

from __future__ import annotations

import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from sweep.axes import AxisTable
from sweep.distributions import ParameterValue
from sweep.errors import Fault
from sweep.outcome_spec import OutcomeSpec, StatisticsSpec
from sweep.tables import Number, PositiveNumber, Table, is_power_of_two

DEFAULT_TOLERANCE = {"float32": 1e-4, "float64": 1e-9}
"""Relative numerical error that a run may have where the config states none. float32 cannot do much better than 1e-5 at worst (a date is
the sum of many rounded steps); float64 is for references, and its solvers reach 1e-9 at little cost."""

_Whole = Annotated[int, Field(strict=True, ge=1)]
_LONGEST_NAME = 150
"""Bytes. A file system takes 255, of which the store has some for itself while it is made."""
_DAY = "write year, month and day: 2027-01-01"


class SweepTable(Table):
    """[sweep]: what is run, how often, and how precisely."""

    example: ClassVar[str] = "a section [sweep] with name, model and draws"

    name: str = Field(description="names the default store, results/NAME.zarr")
    model: str = Field(description='the model\'s name (`siesweep models` lists them), or a class of your own, "my_models.py:MyModel"')
    draws: Annotated[int, Field(strict=True, ge=1, le=2**32)] = Field(description="samples of the uncertain parameters")
    seed: Annotated[int, Field(strict=True, ge=0, le=2**64 - 1)] = 0
    sampler: Literal["sobol", "random", "latin_hypercube"] = "sobol"
    replicates: Annotated[int, Field(strict=True, ge=2, le=256)] = Field(
        16, description="independent replicates, from whose spread standard errors come"
    )
    precision: Literal["float32", "float64"] = "float32"
    tolerance: Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0, lt=1)] | None = Field(
        None, description="relative numerical error above which a run fails; default 1e-4 in float32, 1e-9 in float64"
    )
    block: Annotated[int, Field(strict=True, ge=256, le=2**24)] = Field(65536, description="draws in which sums are formed")
    start_date: datetime.date | None = Field(None, description="the day at which months begin; results are then shown with dates")

    @field_validator("name")
    @classmethod
    def _names_a_file(cls, name: str) -> str:
        if not name.strip() or name.startswith(".") or any(letter in '/\\:*?"<>|' or not letter.isprintable() for letter in name):
            raise Fault("not the name of a file", "use letters, digits, _ and -")
        if len(name.encode()) > _LONGEST_NAME:
            raise Fault("too long for the name of a file", f"use {_LONGEST_NAME} letters or less")
        return name

    @field_validator("start_date", mode="before")
    @classmethod
    def _is_a_day(cls, value: object) -> object:
        if isinstance(value, str):
            try:
                return datetime.date.fromisoformat(value)
            except ValueError:
                raise Fault("no such day", _DAY) from None
        if not isinstance(value, datetime.date) or isinstance(value, datetime.datetime):
            raise Fault("a day is wanted", _DAY)
        return value

    @field_validator("replicates", "block")
    @classmethod
    def _is_power_of_two(cls, value: int) -> int:
        if not is_power_of_two(value):
            below = 1 << (value.bit_length() - 1)
            raise Fault("not a power of two", f"use {below} or {2 * below}")
        return value


class CorrelationTable(Table):
    """The correlation of two parameters: Spearman's rank correlation, or that of the latent normals."""

    example: ClassVar[str] = "a number, { rank = 0.8 } or { latent = 0.8 }"

    rank: Annotated[float, Field(strict=True, allow_inf_nan=False, gt=-1, lt=1)] | None = None
    latent: Annotated[float, Field(strict=True, allow_inf_nan=False, gt=-1, lt=1)] | None = None

    @model_validator(mode="after")
    def _is_one(self) -> CorrelationTable:
        if (self.rank is None) == (self.latent is None):
            raise Fault("rank and latent are given" if self.rank is not None else "no correlation is given", "give rank or latent")
        return self


ExecutorName = Literal["inline", "dask"]

USUAL_CHUNK = 1 << 20
"""Draws a chunk: 4 MiB of float32, so that few files are written and few are read for a part."""


class StoreSpec(Table):
    """[store]: what is kept of each draw."""

    draws: Literal["none", "outcomes", "trajectories"] = "outcomes"
    trajectories_times: Annotated[int, Field(strict=True, ge=2)] = Field(49, description="equally spaced times from 0 to the horizon")
    trajectories_every: _Whole = Field(256, description="keep the trajectory of one draw in so many, a power of two")
    chunks: _Whole | None = Field(None, description=f"draws a chunk, a power of two; if left out what the store has, or {USUAL_CHUNK}")

    @field_validator("chunks", "trajectories_every")
    @classmethod
    def _is_power_of_two(cls, value: int | None) -> int | None:
        if value is not None and not is_power_of_two(value):
            below = 1 << (value.bit_length() - 1)
            raise Fault("not a power of two", f"use {below} or {2 * below}")
        return value


class PublishedTable(Table):
    """A published number, printed beside ours."""

    example: ClassVar[str] = '{ value = 0.57, tolerance = 0.015, place = "table 1" }'

    value: Number
    tolerance: PositiveNumber = Field(description="absolute")
    place: str = Field(description="where it is printed")
    statistic: str | None = Field(None, description='"probability", "mean" or e.g. "quantile_0.5"')
    at: dict[str, Number] = Field({}, description="the cell: a value for each axis")


class RunSpec(Table):
    """[run]: how it is run; changes no bit of the result."""

    executor: ExecutorName = "inline"
    workers: _Whole | None = None
    tile: _Whole | None = Field(None, description="trajectories a tile, of all its cells")
    tune: Annotated[bool, Field(strict=True)] = Field(True, description="in a long run, measure how many draws are best solved at once")


def _number_or_table(value: object) -> str:
    return "<table>" if isinstance(value, (dict, Table)) else "<number>"


def _one_or_many(value: object) -> str:
    return "<many>" if isinstance(value, (list, tuple)) else "<one>"


def _text_or_flag(value: object) -> str:
    return "<flag>" if isinstance(value, bool) else "<text>"


_Correlation = Annotated[
    Annotated[float, Field(strict=True, allow_inf_nan=False, gt=-1, lt=1), Tag("<number>")] | Annotated[CorrelationTable, Tag("<table>")],
    Discriminator(_number_or_table),
]
_Published = Annotated[
    Annotated[PublishedTable, Tag("<one>")] | Annotated[tuple[PublishedTable, ...], Tag("<many>")], Discriminator(_one_or_many)
]
_OptionValue = Annotated[Annotated[str, Tag("<text>")] | Annotated[bool, Field(strict=True), Tag("<flag>")], Discriminator(_text_or_flag)]


class Config(Table):
    """A study: a model, its uncertain parameters, what is asked of it, and what others have published."""

    example: ClassVar[str] = "a section, e.g. [sweep]"
    hints: ClassVar[dict[str, str]] = {key: f"put it under [sweep]: {key} = …" for key in SweepTable.model_fields if key != "model"}

    sweep: SweepTable
    parameters: dict[str, ParameterValue] = Field({}, description="each a number or a distribution; what is left out has its default")
    axes: dict[str, AxisTable] = Field({}, description="parameters that are gridded, each a dimension of the cube")
    correlation: dict[str, _Correlation] = Field({}, description='pairs of parameters, "a:b"; a bare number is a rank correlation')
    model: dict[str, _OptionValue] = Field({}, description="options of the model")
    outcomes: OutcomeSpec
    statistics: StatisticsSpec = Field(default_factory=lambda: StatisticsSpec.model_validate({}))
    store: StoreSpec = Field(default_factory=lambda: StoreSpec.model_validate({}))
    published: dict[str, _Published] = Field({}, description="published numbers by the name of the outcome")
    run: RunSpec = Field(default_factory=lambda: RunSpec.model_validate({}))


SECTIONS = tuple(Config.model_fields)
