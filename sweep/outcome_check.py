"""Outcomes that the model can give: windows and times within the horizon, rules and units that the model has."""

from __future__ import annotations

from collections.abc import Mapping

from kernels.models import Model, ModelError
from sweep.document import Document
from sweep.errors import near
from sweep.known import Known
from sweep.model_check import RESERVED
from sweep.outcome_spec import OutcomeSpec, outcomes_of_their_own


def checked_outcomes(
    document: Document, outcomes: OutcomeSpec, model: Model, options: Mapping[str, str | bool], known: Known
) -> OutcomeSpec:
    """The outcomes with every window's rule settled. Raises SpecError."""
    fixed = known.fixed()
    _refuse_beyond_horizon(document, outcomes, known)
    has_pace = type(model).recent_doubling_time is not Model.recent_doubling_time or any(
        parameter.name == "recent_doubling_time" for parameter in model.parameters
    )
    for name in ("peak", "warning"):
        if getattr(outcomes, name) and not has_pace:
            raise document.error(["outcomes", name], f"{model.name} has no recent pace to measure paces by", f"remove {name}")
    default = "published" if model.published_windows and options.get("time", "recursion") == "recursion" else "continuous"
    windows = tuple(window.model_copy(update={"rule": window.rule or default}) for window in outcomes.windows)
    settled = outcomes.model_copy(update={"windows": windows})
    try:
        settled.build().check(model, options, fixed)
    except ModelError as error:
        # The kernels know windows by their names, the file by their places.
        section, _, rest = error.key.partition(".")
        name, _, key = rest.partition(".")
        places = [index for index, window in enumerate(windows) if window.name == name]
        keys: list[str | int] = ["outcomes", section, *places, *([key] if key else [])]
        raise document.error(keys, error.problem, error.fix) from None
    _refuse_gradients(document, settled, model, options)
    labels = settled.build().labels(model, options)
    if not labels:
        fix = f"give at least one of {', '.join(outcomes_of_their_own())}"
        raise document.error(["outcomes", "diagnostics"], f"{model.name} has no further numbers to report", fix)
    _refuse_equal_names(document, settled, [label.name for label in labels], model)
    return settled


def _refuse_gradients(document: Document, outcomes: OutcomeSpec, model: Model, options: Mapping[str, str | bool]) -> None:
    names = [parameter.name for parameter in model.parameters if parameter.name != "horizon"]
    for index, name in enumerate(outcomes.gradients):
        if name == "horizon":
            raise document.error(["outcomes", "gradients", index], "the horizon is where a trajectory is cut off", "remove it")
        if name not in names:
            raise document.error(
                ["outcomes", "gradients", index], f"{model.name} has no such parameter", near(name, names, "its parameters")
            )
    if outcomes.gradients and not outcomes.build().differentiable(model, options):
        problem = "no number is asked for that has gradients: flags, counts and diagnostics have none"
        raise document.error(["outcomes", "gradients"], problem, "add dates, levels, paces or warning times")


def _refuse_beyond_horizon(document: Document, outcomes: OutcomeSpec, known: Known) -> None:
    # Where horizons differ, what lies beyond the shortest one is unknown for some trajectories.
    horizon, longest = known.bounds()["horizon"]
    which = "the horizon" if horizon == longest else "the shortest horizon"
    section = "axes" if "horizon" in known.axes else "parameters"
    fix = f"use at most {horizon:g}, or {'a longer horizon' if horizon == longest else 'longer horizons'} in [{section}]"
    for name in ("times", "years_of_progress", "most_doublings_in"):
        for months in getattr(outcomes, name):
            if months > horizon:
                raise document.error(["outcomes", name], f"{months:g} months lie beyond {which} of {horizon:g} months", fix)
    for index, window in enumerate(outcomes.windows):
        if window.months > horizon:
            problem = f"a window of {window.months:g} months is longer than {which} of {horizon:g} months"
            raise document.error(["outcomes", "windows", index, "months"], problem, fix)


def _refuse_equal_names(document: Document, outcomes: OutcomeSpec, names: list[str], model: Model) -> None:
    """In a cube outcomes are arrays beside the parameters, over its dimensions."""
    parameters = [parameter.name for parameter in model.parameters]
    for name in names:
        if names.count(name) > 1:
            other = "another outcome"
        elif name in parameters:
            other = f"a parameter of {model.name}"
        elif name in RESERVED:
            other = "a dimension of cubes"
        else:
            continue
        places = [index for index, window in enumerate(outcomes.windows) if window.name == name]
        if places:
            raise document.error(
                ["outcomes", "windows", places[-1], "name"], f"{other} has this name", "give each window a name of its own"
            )
        if other == "another outcome":
            problem = f"two numbers give one outcome name, {name}"
            raise document.error(["outcomes"], problem, "give numbers that differ within six digits")
        raise document.error(["outcomes"], f"{other} has the name of an outcome, {name}", "give it another name in the model")
