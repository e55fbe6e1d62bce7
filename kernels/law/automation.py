"""Automation of research before it is complete: the automated share of tasks, and the labour that people and AI supply together.

Equations: with the automated share f, human labour 1, AI labour A = a0·2^(x_d + y) and κ < 1 the substitution parameter of tasks,

    Λ = [(1−f)^(1−κ) + f^(1−κ)·A^κ]^(1/κ)        κ → 0: (1/(1−f))^(1−f)·(A/f)^f;   f = 0: 1;   f = 1: A
    ramp      f = low + (high − low)·clip((v − start)/(end − start), 0, 1),   v = time, or effective compute E = x_d + y
    logistic  f = low + (high − low)/(1 + exp(−(E − midpoint)/width))

Where AI labour a task is below people's, A/f < 1/(1−f), labour falls as the share rises: as the law is written.

Source: Eth & Davidson (2025), "What happens when we reach ASARA?", footnotes 16, 19 and 22; Davidson (2023) for tasks automated by
effective compute.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from kernels.law.research_input import log_ces
from kernels.traced_once import traced_once


class Tasks(NamedTuple):
    """Shares of the tasks of research. That of people is kept beside the automated one, of which 1 − f would be noise near f = 1."""

    automated: jax.Array
    human: jax.Array


@traced_once
def log_joint_labour(tasks: Tasks, substitution: jax.Array, log_ai_labour: jax.Array) -> jax.Array:
    """ln Λ of the shares of tasks, κ and ln A, shapes broadcast."""
    partial = (tasks.automated > 0) & (tasks.human > 0)
    automated, human = jnp.where(partial, tasks.automated, 0.5), jnp.where(partial, tasks.human, 0.5)
    per_task = log_ai_labour - jnp.log(automated), -jnp.log(human)
    mixed = log_ces(automated, substitution, *per_task, rest=human)
    return jnp.where(partial, mixed, jnp.where(tasks.human <= 0, log_ai_labour, 0))


@traced_once
def ramp(low: jax.Array, high: jax.Array, start: jax.Array, end: jax.Array, at: jax.Array, stretch: jax.Array) -> Tasks:
    """The tasks on `stretch` 0 (before the ramp), 1 (on it) or 2 (after it), which are smooth on each."""
    progress = jnp.where(stretch <= 0, 0, jnp.where(stretch >= 2, 1, (at - start) / (end - start)))
    left = jnp.where(stretch <= 0, 1, jnp.where(stretch >= 2, 0, (end - at) / (end - start)))
    return Tasks(low + (high - low) * progress, (1 - high) + (high - low) * left)


@traced_once
def logistic(low: jax.Array, high: jax.Array, midpoint: jax.Array, width: jax.Array, at: jax.Array) -> Tasks:
    """The tasks by effective compute, shapes broadcast."""
    place = (at - midpoint) / width
    return Tasks(low + (high - low) * jax.nn.sigmoid(place), (1 - high) + (high - low) * jax.nn.sigmoid(-place))
