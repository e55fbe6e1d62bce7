"""The dense solution that every solver returns: what outcomes may ask of a set of trajectories, whatever integrated them.

A lane is a trajectory. Levels are doublings of software since the start, x = log2(S/S0); times are months since the start. A date that is
not reached within the horizon is +inf.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import jax
import jax.numpy as jnp

MOST_DOUBLINGS = 1000.0
"""A trajectory is followed to this many doublings; beyond them software is reported as infinite."""


def followed(level: jax.Array, pace: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Levels in doublings and the paces there, as they are as far as a trajectory is followed: +inf beyond, though a ceiling be further."""
    beyond = level > MOST_DOUBLINGS
    return jnp.where(beyond, jnp.inf, level), jnp.where(beyond, jnp.inf, pace)


class Paces(NamedTuple):
    """Pace of software in doublings a month, and the first date (months) of the highest; each of shape (lanes,). +inf at a blow-up."""

    at_start: jax.Array
    highest: jax.Array
    date_of_highest: jax.Array
    lowest: jax.Array
    at_horizon: jax.Array


class Solution(ABC):
    """Trajectories that have been solved, one a lane."""

    horizon: jax.Array
    """The end of the trajectories, months, shape (lanes,)."""

    cut_off: jax.Array
    """Whether the solver's static number of steps ended before the trajectory did, bool, shape (lanes,)."""

    @property
    @abstractmethod
    def failed(self) -> jax.Array:
        """Whether nothing is known of the trajectory's end, bool, shape (lanes,): it turned into NaN, or was cut off where that does not
        stand for a blow-up. Asked last, as `cut_off` is."""

    @property
    @abstractmethod
    def blow_up(self) -> jax.Array:
        """Months at which software becomes infinite, shape (lanes,); +inf where it does not, or not as far as the trajectory was
        followed."""

    @abstractmethod
    def dates(self, levels: tuple[float, ...]) -> jax.Array:
        """Months at which each level is reached, shape (levels, lanes); +inf where it is not reached within the horizon."""

    @abstractmethod
    def levels(self, times: tuple[float, ...]) -> tuple[jax.Array, jax.Array]:
        """Doublings made by each time and the pace then (doublings a month), each (times, lanes); +inf beyond a blow-up."""

    @abstractmethod
    def shortest_durations(self, doublings: tuple[float | jax.Array, ...]) -> jax.Array:
        """The least months in which so many doublings are ever made within [0, horizon], shape (doublings, lanes); +inf if never."""

    @abstractmethod
    def level_at_horizon(self) -> jax.Array:
        """Doublings made by the horizon, shape (lanes,); +inf beyond a blow-up."""

    @abstractmethod
    def paces(self) -> Paces:
        """The pace at its extremes and ends within the horizon."""

    @abstractmethod
    def first_dates_at_pace(self, paces: tuple[jax.Array, ...]) -> jax.Array:
        """Months at which the pace first is so many doublings a month or more, shape (paces, lanes); +inf if not within the horizon.

        `paces` are of shape (lanes,) each. A pace that comes within `log_of_met` of the one asked for meets it.
        """


def slack(dtype: jnp.dtype) -> float:
    """By how much a pace, relative to itself, may be below another and still meet it."""
    return 1e-9 if dtype == jnp.float64 else 2e-6


def log_of_met(pace: jax.Array) -> jax.Array:
    """ln of a pace as one that is computed must reach it to meet it: a pace that is held at the one asked for does, rounded or not."""
    return jnp.log(pace) - slack(pace.dtype)
