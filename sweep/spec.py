"""A sweep, validated: what every other part of the engine reads.

`load` reads a config file, `Spec.replace` changes one, and both end in a Spec or in one SpecError. A Spec holds everything resolved
(options with their defaults, distributions, the values of axes) beside the tables it was written as, so that it can be written again.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Field

from kernels.outcomes import Label
from kernels.sampling import Design, Distribution
from sweep import identity
from sweep.axes import Axis
from sweep.config import DEFAULT_TOLERANCE, SECTIONS, RunSpec, StoreSpec
from sweep.document import Document, parse, read
from sweep.evidence import Evidence
from sweep.known import Known
from sweep.model_source import ModelSource
from sweep.outcome_spec import OutcomeSpec, StatisticsSpec
from sweep.published import PublishedNumber
from sweep.resolve import Resolved, resolve

__all__ = ["Axis", "PublishedNumber", "Spec", "load", "loads"]


class Spec(BaseModel):
    """A sweep. Immutable; made by `load`, `loads` and `replace`."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    name: str
    model: str
    draws: int
    seed: int
    sampler: Literal["sobol", "random", "latin_hypercube"]
    replicates: int
    precision: Literal["float32", "float64"]
    tolerance: float
    block: int
    start_date: datetime.date | None
    """The day at which months begin, for those who read results; no number depends on it."""
    parameters: dict[str, Distribution | float]
    """The parameters given, in the order of the model: a distribution or a number."""
    axes: dict[str, Axis]
    """The gridded parameters, in the order of the model, which is that of the cube's dimensions."""
    correlation: tuple[tuple[str, str, float], ...]
    """Pairs of parameters and the correlation of their latent normals."""
    options: dict[str, str | bool]
    outcomes: OutcomeSpec
    statistics: StatisticsSpec
    store: StoreSpec
    published: tuple[PublishedNumber, ...]
    run: RunSpec
    path: Path | None
    source: ModelSource = Field(repr=False)
    """Where the model comes from."""
    document: Document = Field(repr=False)
    """The tables as written, with what was set from outside."""
    evidence: dict[str, Evidence] = Field(repr=False)
    """The evidence that parameters rest on, by name."""

    def replace(self, changes: Mapping[str, object] | None = None, /, **named: object) -> Spec:
        """This spec with some keys changed, validated again. Keys are dotted, or lone keys of [sweep]; None removes a key.

        spec.replace(draws=1000), spec.replace({"parameters.returns": 1.2, "axes.distance_to_limits.points": 8}). Raises SpecError.
        """
        return _made(self.document.changed({**(changes or {}), **named}, SECTIONS), self.path)

    def known(self) -> Known:
        """Which parameters are fixed, which follow another, and between what bounds each lies."""
        return Known.of(self.source.model(), self.options, self.parameters, self.axes)

    def fixed(self) -> dict[str, float]:
        """The parameters that have one value: given as numbers, left at their defaults, or taking the value of such a one."""
        return self.known().fixed()

    def follows(self) -> dict[str, str]:
        """The parameters that take the value of another one, which is drawn or gridded: {name: the other's name}."""
        return self.known().follows()

    def bounds(self) -> dict[str, tuple[float, float]]:
        """The lowest and highest value of every parameter; for an end that draws do not come near, the 1e-6 or 1 − 1e-6 quantile."""
        return self.known().bounds()

    def labels(self) -> tuple[Label, ...]:
        """The outcomes in the order in which they are reported, with their units."""
        return self.outcomes.labels(self.source.model(), self.options)

    def design(self) -> Design:
        """How the uncertain parameters are drawn. The dimension of each is its place in the model, not in the config."""
        drawn = tuple((name, value) for name, value in self.parameters.items() if isinstance(value, Distribution))
        return Design(self.sampler, self.replicates, self.block, drawn, self.correlation)

    def identity(self) -> dict[str, Any]:
        """Everything that a bit of the result depends on, as JSON types. See sweep.identity."""
        parameters: dict[str, Any] = dict(self.fixed()) | {name: {"same_as": target} for name, target in self.follows().items()}
        for name, value in self.parameters.items():
            if isinstance(value, Distribution):
                parameters[name] = identity.described(value)
        return {
            "format": identity.FORMAT_VERSION,
            "model": self.source.identity(),
            "options": dict(self.options),
            "parameters": parameters,
            "axes": {name: list(axis.values) for name, axis in self.axes.items()},
            "correlation": {f"{first}:{second}": latent for first, second, latent in self.correlation},
            "seed": self.seed,
            "sampler": self.sampler,
            "replicates": self.replicates,
            "precision": self.precision,
            "tolerance": self.tolerance,
            "block": self.block,
            "outcomes": self._outcomes_identity(),
            "statistics": self.statistics.model_dump(mode="json"),
        }

    def fingerprint(self) -> str:
        """SHA-256 of the identity, in hex."""
        return identity.fingerprint(self.identity())

    def to_toml(self) -> str:
        """The config as TOML that loads to the same identity anywhere: evidence is written out as the distribution that it was."""
        tables = dict(self.document.tables)
        # Not the tolerance: left out it follows the precision, which may be changed later.
        settled = {name: getattr(self, name) for name in ("seed", "sampler", "replicates", "precision", "block")}
        tables["sweep"] = {**tables["sweep"], **settled}
        if "parameters" in tables:
            tables["parameters"] = {name: self._written_out(value) for name, value in tables["parameters"].items()}
        tables["published"] = self._published_written()
        notes = []
        if self.source.is_own:
            notes.append(f"model: {self.model}, not kept here: it was a file with SHA-256 {self.source.sha256}")
        notes += [f"{name}: {known.meaning} ({known.source}; {known.kind})" for name, known in self.evidence.items()]
        return "".join(f"# {' '.join(note.split())}\n" for note in notes) + tomli_w.dumps(tables)

    def _outcomes_identity(self) -> dict[str, Any]:
        # What is not asked for is left out, so that a new kind of outcome does not change the identity of old sweeps.
        outcomes = self.outcomes.model_dump(mode="json", exclude_defaults=True)
        if self.outcomes.regime_factor is not None:
            outcomes["regime"] = self.outcomes.regime_factor
        return outcomes

    def _published_written(self) -> dict[str, list[dict[str, Any]]]:
        written: dict[str, list[dict[str, Any]]] = {}
        for number in self.published:
            written.setdefault(number.label, []).append(number.model_dump(exclude={"label"}))
        return written

    def _written_out(self, value: Any) -> Any:
        """A parameter's table with evidence replaced by what it stands for."""
        if not isinstance(value, dict):
            return value
        value = dict(value)
        if "mixture" in value:
            return {**value, "mixture": [self._written_out(component) for component in value["mixture"]]}
        if "evidence" not in value:
            return value
        known = self.evidence[value.pop("evidence")]
        if isinstance(known.written, float):
            # A truncation leaves a number as it is.
            value.pop("truncate", None)
            number = known.written + value.pop("shift", 0.0)
            return {**value, "value": number} if "weight" in value else number
        if {"truncate", "shift"} & known.written.keys() & value.keys() or ("shift" in known.written and "truncate" in value):
            # Truncated or shifted twice, in this order: the inner one as the only part of a mixture.
            return {"mixture": [{"weight": 1.0, **known.written}], **value}
        return {**known.written, **value}


def load(path: str | Path, overrides: Mapping[str, object] | None = None) -> Spec:
    """The sweep that a config file describes, with `overrides` ({"sweep.draws": 1000, "parameters.returns": 1.2}) in its place.

    Raises SpecError for the first thing that is wrong.
    """
    return _made(read(path).changed(overrides or {}, SECTIONS), Path(path))


def loads(text: str, file: str = "config") -> Spec:
    """The sweep that TOML text describes; `file` is what errors call it. Raises SpecError."""
    return _made(parse(text, file), None)


def _made(document: Document, path: Path | None) -> Spec:
    resolved: Resolved = resolve(document, path.parent if path is not None else None)
    sweep = resolved.config.sweep
    tolerance = sweep.tolerance if sweep.tolerance is not None else DEFAULT_TOLERANCE[sweep.precision]
    return Spec(
        **{**sweep.model_dump(), "tolerance": tolerance, "model": resolved.source.reference},
        parameters=resolved.parameters,
        axes=resolved.axes,
        correlation=resolved.correlation,
        options=resolved.options,
        outcomes=resolved.outcomes,
        statistics=resolved.config.statistics,
        store=resolved.config.store,
        published=resolved.published,
        run=resolved.config.run,
        path=path,
        document=document,
        evidence=resolved.evidence,
        source=resolved.source,
    )
