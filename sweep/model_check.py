"""What a class must be to be swept as a model, told in words: what it declares is checked when it is found, what it computes by a trial."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from kernels import models
from kernels.gradients import evaluate_with_gradients
from kernels.models import PATH, Bounds, Model, ModelError, Option, Options, Parameter
from kernels.outcomes import Outcomes
from kernels.solvers.budget import Budget
from kernels.solvers.solution import Solution
from sweep.errors import Fault

_LANES = 8
RESERVED = ("bin", "block", "column", "draw", "flag", "number", "outcome", "quantile", "replicate", "status", "time", "trajectory")
"""Names of dimensions that every cube has."""
_IN_SOLVE = "compute with jax.numpy in `solve`, each array of the shape of the parameters, one number a trajectory"


def checked(found: object, name: str) -> Model:
    """The model of the class `found`, which a user calls `name`. Raises Fault for the first thing that is wrong with it."""
    if not (isinstance(found, type) and issubclass(found, Model)):
        raise Fault(f"{name} is not a model", f"write class {name}(kernels.models.Model)")
    if missing := sorted(found.__abstractmethods__):
        raise Fault(f"{name} has no {' and no '.join(missing)}", "define it, as docs/own-models.md shows")
    for what in ("name", "title", "source"):
        value = getattr(found, what, None)
        if not isinstance(value, str) or not value.strip():
            raise Fault(f"{name} has no {what}", f'give the class {what} = "…"')
    if found.name in models.names():
        raise Fault(f"{name} calls itself {found.name}, which is one of ours", "give the class another name = …")
    _check_parameters(found, name)
    _check_options(found, name)
    try:
        return found()
    except Exception as error:
        raise Fault(f"{name}() cannot be made: {told(error, _file(found))}", "a model holds nothing: leave out __init__") from None


def _check_parameters(found: type[Model], name: str) -> None:
    parameters = getattr(found, "parameters", None)
    if not isinstance(parameters, tuple) or not parameters or not all(isinstance(each, Parameter) for each in parameters):
        raise Fault(f"{name} declares no parameters", "give the class parameters = (Parameter(…), …)")
    declared = {parameter.name: parameter for parameter in parameters}
    if len(declared) < len(parameters):
        raise Fault(f"two parameters of {name} have one name", "give each a name of its own")
    for parameter in parameters:
        if not str(parameter.name).isidentifier() or parameter.name in RESERVED:
            raise Fault(f"a parameter of {name} cannot be called {parameter.name!r}", "use letters, digits and _; not a dimension of cubes")
        followed, default = {parameter.name}, parameter.default
        while isinstance(default, str):
            if default not in declared or default in followed:
                raise Fault(f"the default of {parameter.name} in {name} leads to no number", "write a number, or another parameter's name")
            followed.add(default)
            default = declared[default].default
        if not parameter.contains(default):
            raise Fault(f"the default of {parameter.name} in {name} lies outside its support", f"keep it within {parameter.support}")
    if "horizon" not in declared:
        fix = 'declare Parameter("horizon", "H", "months", 240.0, 0.0, math.inf, "end of the trajectory", True, True)'
        raise Fault(f"{name} has no parameter horizon", fix)


def _check_options(found: type[Model], name: str) -> None:
    options = found.options
    if not isinstance(options, tuple) or not all(isinstance(option, Option) and option.values for option in options):
        raise Fault(f"the options of {name} are not options", "write options = (Option(name, values, meaning), …)")
    names = [option.name for option in options] + [parameter.name for parameter in found.parameters]
    if twice := next((each for each in names if names.count(each) > 1), None):
        raise Fault(f"{name} has {twice} twice among its options and parameters", "give each a name of its own")


def tried(
    model: Model, options: Options, outcomes: Outcomes, fixed: Mapping[str, float], bounds: Bounds, precision: str, tolerance: float
) -> None:
    """Trace the model once for a sweep's outcomes, so that a mistake in it is told before anything runs.

    Raises Fault, or the ModelError that the model raises.
    """

    def outcomes_of(parameters: Mapping[str, jax.Array]) -> tuple[dict[str, jax.Array], jax.Array]:
        budget = model.budget(options, bounds, tolerance)
        if not isinstance(budget, Budget):
            raise Fault(f"`budget` of {model.name} gives {type(budget).__name__}, not Budget", "return kernels.models.Budget(…)")

        def solve(parameters: Mapping[str, jax.Array]) -> Solution:
            solution = model.solve(parameters, options, budget)
            if not isinstance(solution, Solution):
                problem = f"`solve` of {model.name} gives {type(solution).__name__}, not a solution"
                raise Fault(problem, "return what one of kernels.solvers gives")
            return solution

        found = evaluate_with_gradients(outcomes, model, options, parameters, fixed, {}, solve)
        return found.values, found.cut_off

    shape: Any = jax.ShapeDtypeStruct
    lane = shape((_LANES,), precision)
    try:
        inputs = {parameter.name: lane for parameter in model.parameters}
        inputs |= dict.fromkeys(PATH if model.needs_path(options) else (), shape((_LANES,), "uint32"))
        values, cut_off = jax.eval_shape(outcomes_of, inputs)
    except (Fault, ModelError):
        raise
    except Exception as error:
        raise Fault(f"{model.name} cannot be solved: {told(error, _file(type(model)))}", _IN_SOLVE) from None
    for name, value in (*values.items(), ("cut_off", cut_off)):
        if value.shape != (_LANES,):
            raise Fault(f"{model.name} gives {name} of shape {value.shape} for {_LANES} trajectories", _IN_SOLVE)


def told(error: BaseException, file: str | None = None) -> str:
    """An error in the code of others in a line: where in `file`, or else in the first file on the way that is not Python's, and what."""
    frames = traceback.extract_tb(error.__traceback__)
    if file is None:
        foreign = [frame.filename for frame in frames if "importlib" not in frame.filename and not _is_ours(frame.filename)]
        file = foreign[0] if foreign else None
    lines = [frame.lineno for frame in frames if frame.filename == file]
    if isinstance(error, SyntaxError) and error.filename and not lines:
        file, lines = error.filename, [error.lineno]
    what = (error.msg if isinstance(error, SyntaxError) else str(error)).strip().splitlines()
    described = type(error).__name__ + (f": {what[0][:200]}" if what else "")
    return f"{Path(file).name}, line {lines[-1]}: {described}" if file and lines else described


def _is_ours(filename: str) -> bool:
    return Path(filename).parent == Path(__file__).parent


def _file(found: type) -> str | None:
    try:
        return inspect.getfile(found)
    except (OSError, TypeError):
        return None
