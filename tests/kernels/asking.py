"""Asks a model for numbers, as the tile program does: one compiled call over lanes of parameters, in float64 compiled the cheapest way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kernels import models
from kernels.models import PATH, Options
from kernels.sampling import path_words, seed_key
from tests.compiling import cheaply

TOLERANCE = {"float32": 1e-4, "float64": 1e-12}


def lanes_of(model_name: str, options: Options, given: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Every parameter as a float64 array of one length, defaults filled in. Raises KeyError for a parameter that the model lacks."""
    model = models.get(model_name)
    values: dict[str, Any] = dict(model.defaults(model.resolve_options(options)))
    for name, value in given.items():
        values[name]
        values[name] = value
    for name, value in values.items():
        if isinstance(value, str):
            values[name] = values[value]
    return dict(zip(values, np.atleast_1d(*np.broadcast_arrays(*(np.asarray(value, float) for value in values.values()))), strict=True))


def ask(
    model_name: str,
    options: Options,
    question: Callable[[Any, Mapping[str, jax.Array]], Any],
    precision: str = "float64",
    /,
    **given: Any,
) -> Any:
    """`question(solution, parameters)`, any tree of arrays, for lanes with the parameters `given` (numbers or arrays), as NumPy arrays."""
    model = models.get(model_name)
    options = model.resolve_options(options)
    lanes = lanes_of(model_name, options, given)
    bounds = {name: (float(value.min()), float(value.max())) for name, value in lanes.items()}
    model.check(options, bounds)
    budget = model.budget(options, bounds, TOLERANCE[precision])

    def answer(parameters: Mapping[str, jax.Array]) -> Any:
        return question(model.solve(parameters, options, budget), parameters)

    inputs = {name: jnp.asarray(value, precision) for name, value in lanes.items()}
    if model.needs_path(options):
        draw = jnp.arange(len(lanes["horizon"]), dtype=jnp.uint32)
        inputs |= dict(zip(PATH, jax.jit(path_words)(jnp.asarray(seed_key(0)), draw), strict=True))
    compiled: Callable[..., Any] = cheaply if precision == "float64" else jax.jit
    return jax.tree.map(np.asarray, compiled(answer)(inputs))
