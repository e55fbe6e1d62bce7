"""From a config as written to a sweep that its model can run: names are looked up in the model, and what cannot be is refused.

Checked in the order of the file: model, options, parameters, axes, correlation, the model's own conditions, outcomes, published numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from kernels import sampling
from kernels.models import Model, ModelError
from kernels.sampling import Distribution
from sweep import evidence
from sweep.axes import Axis, told_apart
from sweep.config import DEFAULT_TOLERANCE, Config, CorrelationTable
from sweep.distributions import DistributionTable, is_continuous
from sweep.document import Document
from sweep.errors import Fault, SpecError, near
from sweep.evidence import Evidence
from sweep.known import Known, beyond
from sweep.model_check import tried
from sweep.model_source import ModelSource, find
from sweep.outcome_check import checked_outcomes
from sweep.outcome_spec import OutcomeSpec
from sweep.published import PublishedNumber, published_numbers
from sweep.tables import validated

_ORDINARY = "use numbers of ordinary size"


@dataclass(frozen=True)
class Resolved:
    """A config together with what its names stand for."""

    config: Config
    source: ModelSource
    options: dict[str, str | bool]
    parameters: dict[str, Distribution | float]
    axes: dict[str, Axis]
    correlation: tuple[tuple[str, str, float], ...]
    outcomes: OutcomeSpec
    published: tuple[PublishedNumber, ...]
    evidence: dict[str, Evidence]


def resolve(document: Document, beside: Path | None) -> Resolved:
    """The sweep described in `document`, a file of the folder `beside`. Raises SpecError for the first thing that is wrong."""
    config = validated(Config, document.tables, document.file)
    try:
        source = find(config.sweep.model, beside)
    except Fault as fault:
        raise document.told(["sweep", "model"], fault) from None
    model = source.model()
    options = _options(document, config, model)
    parameters, found = _parameters(document, config, model, beside)
    axes = _axes(document, config, model)
    _refuse_too_many_dimensions(document, config, parameters)
    correlation = _correlation(document, config, model, parameters)
    known = Known.of(model, options, parameters, axes)
    _refuse_unused(document, model, options, known)
    options = _simplified(model, options, known)
    _refuse_beyond_support(document, model, options, known)
    outcomes = checked_outcomes(document, config.outcomes, model, options, known)
    published = published_numbers(document, config, axes, outcomes.labels(model, options))
    if source.is_own:
        _refuse_what_cannot_be_solved(document, config, model, options, outcomes, known)
    return Resolved(config, source, options, parameters, axes, correlation, outcomes, published, found)


def _options(document: Document, config: Config, model: Model) -> dict[str, str | bool]:
    known = {option.name: option for option in model.options}
    for name, value in config.model.items():
        if name not in known:
            raise document.error(["model", name], f"{model.name} has no such option", near(name, known, "its options"))
        values = known[name].values
        if not any(value == allowed and type(value) is type(allowed) for allowed in values):
            shown = ", ".join(str(allowed).lower() if isinstance(allowed, bool) else f'"{allowed}"' for allowed in values)
            raise document.error(["model", name], "not one of its values", f"use one of {shown}")
    try:
        return model.resolve_options(config.model)
    except ModelError as error:
        raise document.error(["model", error.key], error.problem, error.fix) from None


def _refuse_unused(document: Document, model: Model, options: dict[str, str | bool], known: Known) -> None:
    # By the options as they are given: a noise of no size, which is simplified to none, has its parameters still.
    try:
        bounds = known.bounds()
        model.check_given(options, {name: bounds[name] for name in (*known.parameters, *known.axes)})
    except ModelError as error:
        raise _told_by_model(document, options, known, error) from None
    except ArithmeticError:
        # Numbers too large or small to compute with are refused with the supports.
        return


def _simplified(model: Model, options: dict[str, str | bool], known: Known) -> dict[str, str | bool]:
    try:
        return dict(model.simplified(options, known.bounds()))
    except ArithmeticError:
        # Refused with the supports, too.
        return options


def _refuse_unknown(document: Document, section: str, name: str, model: Model) -> None:
    names = [parameter.name for parameter in model.parameters]
    if name not in names:
        raise document.error([section, name], f"{model.name} has no such parameter", near(name, names, "its parameters"))


def _parameters(
    document: Document, config: Config, model: Model, beside: Path | None
) -> tuple[dict[str, Distribution | float], dict[str, Evidence]]:
    known: dict[str, Evidence] = {}
    units = {parameter.name: parameter.unit for parameter in model.parameters}

    def find(name: str, unit: str) -> Distribution | float:
        known[name] = evidence.in_unit(evidence.find(name, beside), unit)
        return known[name].resolved

    found: dict[str, Distribution | float] = {}
    for name, value in config.parameters.items():
        _refuse_unknown(document, "parameters", name, model)
        try:
            found[name] = value.distribution(partial(find, unit=units[name])) if isinstance(value, DistributionTable) else float(value)
        except Fault as fault:
            raise document.told(["parameters", name], fault) from None
        except (ArithmeticError, ValueError):
            raise document.error(["parameters", name], "its numbers are too far apart to compute with", _ORDINARY) from None
    # In the model's order, so that the order in the config changes nothing.
    return {parameter.name: found[parameter.name] for parameter in model.parameters if parameter.name in found}, known


def _axes(document: Document, config: Config, model: Model) -> dict[str, Axis]:
    for name in config.axes:
        _refuse_unknown(document, "axes", name, model)
        if name in config.parameters:
            problem = "given twice, in [parameters] and in [axes]"
            raise document.error(["parameters", name], problem, "remove it from [parameters], or from [axes]")
    found = {}
    for name in (parameter.name for parameter in model.parameters if parameter.name in config.axes):
        try:
            found[name] = told_apart(config.axes[name].axis(name), config.sweep.precision)
        except Fault as fault:
            raise document.told(["axes", name], fault) from None
    return found


def _refuse_too_many_dimensions(document: Document, config: Config, parameters: Mapping[str, Distribution | float]) -> None:
    dimensions = sum(isinstance(value, Distribution) for value in parameters.values())
    if config.sweep.sampler == "sobol" and dimensions > sampling.DIMENSIONS:
        problem = f"{dimensions} parameters are uncertain, but the Sobol sequence has {sampling.DIMENSIONS} dimensions"
        error = document.error(["sweep", "sampler"], problem, 'use sampler = "random" or "latin_hypercube", or fix some parameters')
        error.value = "sobol"
        raise error


def _correlation(
    document: Document, config: Config, model: Model, parameters: Mapping[str, Distribution | float]
) -> tuple[tuple[str, str, float], ...]:
    order = {parameter.name: place for place, parameter in enumerate(model.parameters)}
    pairs: dict[tuple[str, str], float] = {}
    for key, value in config.correlation.items():
        place = ["correlation", key]
        names = key.split(":")
        if len(names) != 2 or names[0] == names[1]:
            raise document.error(place, "not a pair of parameters", 'write "a:b" = 0.8')
        for name in names:
            _refuse_uncorrelatable(document, place, name, config, order, parameters)
        first, second = sorted(names, key=order.__getitem__)
        if (first, second) in pairs:
            raise document.error(place, "this pair is given twice", "keep one of the two")
        latent = value.latent if isinstance(value, CorrelationTable) else None
        rank = value.rank if isinstance(value, CorrelationTable) else value
        pairs[first, second] = latent if latent is not None else sampling.latent_from_rank(rank or 0.0)
    correlation = tuple(
        (first, second, latent) for (first, second), latent in sorted(pairs.items(), key=lambda item: [order[name] for name in item[0]])
    )
    try:
        sampling.cholesky([name for name in order if any(name in pair for pair in pairs)], correlation)
    except ValueError:
        problem = f"no variables can be correlated like this all at once: {', '.join(config.correlation)}"
        raise document.error(["correlation"], problem, "bring some of them nearer to 0") from None
    return correlation


def _refuse_uncorrelatable(
    document: Document,
    place: list[str],
    name: str,
    config: Config,
    order: Mapping[str, int],
    parameters: Mapping[str, Distribution | float],
) -> None:
    if name in config.axes:
        raise document.error(place, f"{name} is an axis, which is not drawn", "correlate parameters that have distributions")
    if name not in order:
        raise document.error(place, f"{config.sweep.model} has no parameter {name}", near(name, order, "its parameters"))
    value = parameters.get(name)
    if not isinstance(value, Distribution):
        raise document.error(place, f"{name} is fixed, not drawn", f"give {name} a distribution in [parameters], or remove the pair")
    if not is_continuous(value):
        raise document.error(place, f"{name} is not continuous", "correlate continuous distributions only")


def _refuse_what_cannot_be_solved(
    document: Document, config: Config, model: Model, options: dict[str, str | bool], outcomes: OutcomeSpec, known: Known
) -> None:
    sweep = config.sweep
    tolerance = sweep.tolerance or DEFAULT_TOLERANCE[sweep.precision]
    try:
        tried(model, options, outcomes.build(), known.fixed(), known.bounds(), sweep.precision, tolerance)
    except Fault as fault:
        raise document.told(["sweep", "model"], fault) from None
    except ModelError as error:
        raise _told_by_model(document, options, known, error) from None


def _told_by_model(document: Document, options: dict[str, str | bool], known: Known, error: ModelError) -> SpecError:
    section = "axes" if error.key in known.axes else "model" if error.key in options else "parameters"
    return document.error([section, error.key], error.problem, error.fix)


def _refuse_beyond_support(document: Document, model: Model, options: dict[str, str | bool], known: Known) -> None:
    for parameter in model.parameters:
        value = known.parameters.get(parameter.name)
        reached = beyond(value, parameter) if isinstance(value, Distribution) else None
        if reached is not None:
            problem = f"it reaches {reached:.6g}, but {parameter.name} lies in {parameter.support}"
            raise document.error(["parameters", parameter.name], problem, "narrow it, or truncate it: truncate = [lo, hi]")
    try:
        model.check(options, known.bounds())
    except ModelError as error:
        raise _told_by_model(document, options, known, error) from None
    except ArithmeticError:
        raise document.error(["parameters"], f"{model.name} cannot compute with numbers as large or small as these", _ORDINARY) from None
