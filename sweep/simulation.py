"""Trajectories on demand: one model, given parameters, in float64, as an xarray Dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from kernels import models
from kernels.compiler import compiled
from kernels.models import PATH, ModelError
from kernels.outcomes import Label
from kernels.sampling import path_words, seed_key
from kernels.solvers.budget import Budget
from sweep.errors import Fault, SpecError, near
from sweep.known import end_of_defaults
from sweep.model_source import ModelSource, find

_LANES = 4096
_MORE_STEPS, _FEW_LANES = 8, 64
"""Times as many steps for trajectories that ran out of them, and how many of these at once: their steps are kept."""
_Answers = tuple[jax.Array, jax.Array, dict[str, jax.Array], jax.Array]
"""Doublings by the times, dates, what the model's authors report beside, and which failed, each (…, lanes)."""
_Found = tuple[NDArray[Any], NDArray[Any], dict[str, NDArray[Any]], NDArray[Any]]
"""The same of all trajectories."""
_TOLERANCE = 1e-12
_PLACE = "simulate"


def simulate(
    model: str,
    parameters: Mapping[str, ArrayLike] | None = None,
    times: Sequence[float] | None = None,
    options: Mapping[str, str | bool] | None = None,
    doublings: int = 128,
    seed: int = 0,
) -> xr.Dataset:
    """Trajectories of a model, float64.

    `model` is one of ours, an installed one, or a class of your own: "my_models.py:MyModel", from the working folder on.
    `parameters` maps names to numbers or 1-D arrays of one length; those left out have the model's defaults. `times` are in months, every
    month up to the horizon by default; `doublings` says up to which n dates are given. Where the options make a law random,
    trajectory i has the random path that draw i of a sweep with this seed has.

    Returns a Dataset of `doublings(time)` (doublings of software since the start; NaN beyond the trajectory's own horizon) and
    `doubling_time(doubling)` (the date in months at which the n-th doubling completes, n = 1, 2, …; +inf if not within the horizon), and
    the numbers that the model's authors report beside; where a parameter is an array, with a leading dim `trajectory`. All are NaN where
    a trajectory takes more steps than are kept, as with delays of minutes.

    Raises SpecError for an unknown model, parameter or option, arrays of different lengths, a value outside its support, or a time beyond
    all horizons.
    """
    try:
        source = find(model, Path.cwd())
    except Fault as fault:
        raise SpecError(_PLACE, "model", model, fault.problem, fault.fix) from None
    chosen = source.model()
    try:
        settled = chosen.resolve_options(options or {})
        values, single = _values(chosen, settled, parameters or {})
        bounds = {name: (float(array.min()), float(array.max())) for name, array in values.items()}
        chosen.check_given(settled, {name: bounds[name] for name in parameters or ()})
        settled = dict(chosen.simplified(settled, bounds))
        chosen.check(settled, bounds)
    except ModelError as error:
        raise SpecError(_PLACE, error.key, None, error.problem, error.fix) from None
    longest = bounds["horizon"][1]
    asked = np.arange(np.floor(longest) + 1) if times is None else _months(times, longest)
    if doublings < 1:
        raise SpecError(_PLACE, "doublings", doublings, "no dates to report", "use 1 or more")
    # Dates one by one from panels: one program however many there are.
    budget = replace(chosen.budget(settled, bounds, _TOLERANCE), direct=0.0)
    solve = _solver(source, tuple(sorted(settled.items())), budget, tuple(asked.tolist()), doublings)
    inputs = {**values, **_path(seed, len(values["horizon"]))} if chosen.needs_path(settled) else values
    made, dates, others, failed = _in_batches(solve, inputs, _LANES)
    if failed.any() and budget.tolerance:
        longer = replace(budget, steps=_MORE_STEPS * budget.steps)
        solve = _solver(source, tuple(sorted(settled.items())), longer, tuple(asked.tolist()), doublings)
        again = _in_batches(solve, {name: array[failed] for name, array in inputs.items()}, _FEW_LANES)
        places = np.flatnonzero(failed)
        for rows, found in zip(jax.tree.leaves((made, dates, others, failed)), jax.tree.leaves(again), strict=True):
            rows[..., places] = found
    # What cannot be followed to its end has no numbers.
    made, dates, others = jax.tree.map(lambda rows: np.where(failed, np.nan, rows), (made, dates, others))
    made = np.where(asked[:, None] <= values["horizon"], made, np.nan)
    reported = {label: others[label.name] for label in chosen.diagnostic_labels(settled)}
    return _dataset(model, chosen, asked, made, dates, reported, single)


def _months(times: Sequence[float], longest: float) -> NDArray[Any]:
    try:
        asked = np.asarray(times, dtype=np.float64)
    except (TypeError, ValueError):
        asked = np.array([np.nan])
    if not asked.ndim:
        raise SpecError(_PLACE, "times", times, "not a list of months", f"give a list of 0 to {longest:g}, e.g. times=[{longest:g}]")
    if asked.ndim != 1 or not asked.size or not np.isfinite(asked).all() or (asked < 0).any() or (asked > longest).any():
        raise SpecError(_PLACE, "times", list(times)[:5], "not months of the trajectory", f"use 0 to {longest:g}")
    return asked


def _values(
    chosen: models.Model, options: Mapping[str, str | bool], given: Mapping[str, ArrayLike]
) -> tuple[dict[str, NDArray[Any]], bool]:
    """Every parameter as an array of one length, and whether all were numbers."""
    names = [parameter.name for parameter in chosen.parameters]
    for name in given:
        if name not in names:
            raise SpecError(_PLACE, f"parameters.{name}", None, f"{chosen.name} has no such parameter", near(name, names, "its parameters"))
    arrays = {}
    for name, value in given.items():
        try:
            arrays[name] = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError):
            raise SpecError(_PLACE, f"parameters.{name}", str(value), "not a number", "give a number or a 1-D array of numbers") from None
        if (problem := _unusable(arrays[name])) is not None:
            raise SpecError(_PLACE, f"parameters.{name}", None, problem, "give a finite number or a 1-D array of finite numbers")
    lengths = {name: len(array) for name, array in arrays.items() if array.ndim}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise SpecError(_PLACE, "parameters", None, f"arrays of different lengths: {listed}", "give arrays of one length")
    count = next(iter(lengths.values()), 1)
    held = {**chosen.defaults(options), **arrays}
    sources = {name: end_of_defaults(name, held) for name in names}
    return {name: np.broadcast_to(np.asarray(held[source]), (count,)) for name, source in sources.items()}, not lengths


def _unusable(array: NDArray[Any]) -> str | None:
    """What is wrong with the values of a parameter, or None."""
    if array.ndim > 1 or not array.size:
        return f"an array of shape {array.shape}"
    odd = array[~np.isfinite(array)]
    return f"{odd[0]:g} is not finite" if odd.size else None


def _path(seed: int, count: int) -> dict[str, NDArray[Any]]:
    """The words of the random paths of the first draws of a seed."""
    try:
        key = jnp.asarray(seed_key(seed))
    except ValueError:
        raise SpecError(_PLACE, "seed", seed, "not a seed", "use an integer from 0 to 2^64 - 1") from None
    words = path_words(key, jnp.arange(count, dtype=jnp.uint32))
    return {name: np.asarray(word) for name, word in zip(PATH, words, strict=True)}


@lru_cache(maxsize=32)
def _solver(
    source: ModelSource, options: tuple[tuple[str, str | bool], ...], budget: Budget, times: tuple[float, ...], doublings: int
) -> Any:
    chosen, settled = source.model(), dict(options)

    @compiled
    def solve(values: dict[str, jax.Array]) -> _Answers:
        solution = chosen.solve(values, settled, budget)
        dates = solution.dates(tuple(float(n) for n in range(1, doublings + 1)))
        return solution.levels(times)[0], dates, chosen.diagnostics(values, settled, solution), solution.failed

    return solve


def _in_batches(solve: Any, values: Mapping[str, NDArray[Any]], most: int) -> _Found:
    """Solve in batches of one shape, of at most so many lanes, so that the program compiles once and fits the cache."""
    count = len(next(iter(values.values())))
    lanes = min(most, 1 << (count - 1).bit_length())
    parts = []
    for start in range(0, count, lanes):
        batch = {name: array[start : start + lanes] for name, array in values.items()}
        held = len(next(iter(batch.values())))
        padded = {name: np.concatenate([array, np.repeat(array[-1:], lanes - held)]) for name, array in batch.items()}
        parts.append(jax.tree.map(lambda array, held=held: np.asarray(array)[..., :held], solve(padded)))
    joined: _Found = jax.tree.map(lambda *arrays: np.concatenate(arrays, axis=-1), *parts)
    return joined


def _dataset(
    model: str,
    chosen: models.Model,
    times: NDArray[Any],
    made: NDArray[Any],
    dates: NDArray[Any],
    others: Mapping[Label, NDArray[Any]],
    single: bool,
) -> xr.Dataset:
    lead = () if single else ("trajectory",)

    def first(array: NDArray[Any]) -> NDArray[Any]:
        """Trajectories first, or the only one."""
        return array[..., 0] if single else np.moveaxis(array, -1, 0)

    variables = {
        "doublings": ((*lead, "time"), first(made), {"long_name": "doublings of software since the start", "units": "doublings"}),
        "doubling_time": ((*lead, "doubling"), first(dates), {"long_name": "date at which the doubling completes", "units": "months"}),
    }
    for label, array in others.items():
        variables[label.name] = (lead, first(array), {"long_name": label.long_name, "units": label.unit})
    coordinates = {
        "time": ("time", times, {"long_name": "time since the start", "units": "months"}),
        "doubling": ("doubling", np.arange(1, len(dates) + 1), {"long_name": "number of the doubling", "units": "1"}),
    }
    return xr.Dataset(variables, coordinates, {"model": model, "source": chosen.source})
