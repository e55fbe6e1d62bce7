"""Gradients: how outcomes change with the logarithms of parameters, by differentiating the whole trajectory forward.

Equation: d outcome/d ln p = p · ∂outcome/∂p, the tangent of the outcome where that of the parameter is its own value; so it is defined,
and 0, at p = 0, and has the sign of ∂outcome/∂p where p > 0. A parameter that takes the value of another one moves with it.

Where an outcome is not reached its gradient is +inf, as it is itself. Outcomes are smooth almost everywhere; where they are not, such as a
level of a recursion at one of its knots, the gradient is that of one side.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

from kernels.labels import gradient_of
from kernels.models.model import Model, Options
from kernels.outcomes import Evaluation, Outcomes, evaluate
from kernels.solvers.recursion import RecursionSolution
from kernels.solvers.solution import Solution

_Numbers = tuple[dict[str, jax.Array], dict[str, jax.Array]]
"""Numbers and their scales."""
_Found = tuple[Evaluation, jax.Array]


def evaluate_with_gradients(
    outcomes: Outcomes,
    model: Model,
    options: Options,
    parameters: Mapping[str, jax.Array],
    fixed: Mapping[str, float],
    follows: Mapping[str, str],
    solve: Callable[[Mapping[str, jax.Array]], Solution],
) -> Evaluation:
    """All outcomes of the trajectories that `solve` makes of `parameters`, (lanes,) each, and the gradients asked for.

    `fixed` are the parameters that are one number for all trajectories, `follows` those that take the value of another.
    """
    if not outcomes.gradients:
        return evaluate(outcomes, model, options, parameters, fixed, solve(parameters))
    numbers = [label.name for label in outcomes.differentiable(model, options)]
    moving = {name: _moves_with(name, follows) for name in outcomes.gradients}
    chosen = {name: parameters[name] for names in moving.values() for name in names}

    def numbers_of(varied: Mapping[str, jax.Array]) -> tuple[_Numbers, _Found]:
        solution = solve({**parameters, **varied})
        found = evaluate(outcomes, model, options, {**parameters, **varied}, fixed, solution)
        values, scales = ({name: kept[name] for name in numbers} for kept in (found.values, found.scales))
        # Which doubling is the fastest can turn on the last digit, and the gradient with it.
        jumps = jnp.full(found.cut_off.shape, isinstance(solution, RecursionSolution))
        return (values, scales), (found, jumps)

    def along(direction: Mapping[str, jax.Array]) -> tuple[_Numbers, _Found]:
        _, slopes, found = jax.jvp(numbers_of, (chosen,), (direction,), has_aux=True)
        return slopes, found

    # One direction a parameter; what does not depend on the direction is computed once.
    directions = {
        name: jnp.stack([value if name in names else jnp.zeros_like(value) for names in moving.values()]) for name, value in chosen.items()
    }
    (slopes, slopes_of_scales), (found, jumps) = jax.vmap(along, out_axes=(0, None))(directions)
    values, scales = dict(found.values), dict(found.scales)
    for label in outcomes.differentiable(model, options):
        for index, parameter in enumerate(outcomes.gradients):
            name, slope = gradient_of(label, parameter).name, slopes[label.name][index]
            value = found.values[label.name]
            values[name] = jnp.where(jnp.isfinite(value), slope, value)
            # What an error of 1 in the outcome, in units of its scale, may make of an error in its gradient.
            scale = jnp.maximum(jnp.abs(slope), jnp.abs(found.scales[label.name]))
            scale = jnp.maximum(scale, jnp.abs(slopes_of_scales[label.name][index]))
            scales[name] = jnp.where(jumps, jnp.inf, scale) if label.name == "peak_pace" else scale
    ordered = {label.name: values[label.name] for label in outcomes.labels(model, options)}
    return found._replace(values=ordered, scales=scales)


def _moves_with(name: str, follows: Mapping[str, str]) -> tuple[str, ...]:
    """The parameter, and those that take its value."""
    return (name, *(follower for follower, followed in follows.items() if followed == name))
