"""The dense solution of the mixed clock: questions between the steps are answered by a shorter step of the same kind from the one before.

A date of a level, or a level at a time, is found in two steps: to where the cubic through both ends of the step puts it, and from there
in software, or in time, itself, which ends on it exactly. Both have the order of the solver.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from kernels.solvers.clock import Memory, State, Stepping, System, Track, clock_rate, integrate, take_step
from kernels.solvers.solution import MOST_DOUBLINGS, Paces, Solution


class SoftwareSystem(System):
    """A system whose coordinate stands for doublings of software."""

    ceiling: jax.Array | None

    def coordinate(self, level: jax.Array) -> jax.Array:
        raise NotImplementedError

    def level(self, coordinate: jax.Array) -> jax.Array:
        raise NotImplementedError

    def log_paces(self, state: State, memory: Memory) -> tuple[jax.Array, jax.Array]:
        """ln of the pace in doublings a month, as it is and before policy."""
        raise NotImplementedError


class _Place(NamedTuple):
    """A step that was taken, at its start: state, memory, stride, and whether it was taken in time."""

    state: State
    memory: Memory
    stride: jax.Array
    in_time: jax.Array


@dataclass(frozen=True)
class ClockSolution(Solution):
    """`system` stepped by `stepping`, beyond `furthest` doublings only if something else is asked."""

    system: SoftwareSystem
    stepping: Stepping
    horizon: jax.Array
    furthest: float

    @cached_property
    def _track(self) -> Track:
        goal = float("inf") if self.system.ceiling is not None else self.furthest
        return integrate(self.system, self.stepping, goal)

    @property
    def cut_off(self) -> jax.Array:  # type: ignore[override]
        return self._track.unfinished

    @property
    def steps_used(self) -> jax.Array:
        """Steps that the slowest trajectory took, ()."""
        return self._track.used

    # --- between the steps -----------------------------------------------------------------------------------------------------------

    def _place(self, index: jax.Array) -> _Place:
        """The steps with these numbers, each (…, lanes)."""
        track = self._track

        def pick(row: jax.Array) -> jax.Array:
            return jnp.take_along_axis(row, index, axis=0)

        stride = pick(track.stride)
        return _Place(tuple(pick(row) for row in track.states), tuple(pick(row) for row in track.memories), jnp.abs(stride), stride < 0)

    def _last_before(self, keys: jax.Array, key: jax.Array, strictly: bool = False) -> jax.Array:
        """The number of the last step whose key is at most (`strictly`: below) `key` (…, lanes), int32."""

        def count(one: jax.Array) -> jax.Array:
            return jnp.sum(keys < one if strictly else keys <= one, axis=0, dtype=jnp.int32)

        return jnp.maximum(jax.vmap(count)(key) - 1, 0)

    def _along(self, place: _Place, stride: jax.Array) -> State:
        """The state after part of a step."""
        rates = partial(self._rates, place.memory)
        constant = clock_rate(self.system, rates(place.state))
        step = take_step(
            self.stepping.tableau,
            rates,
            lambda found: jnp.where(place.in_time, constant, clock_rate(self.system, found)),
            place.state,
            stride,
        )
        return tuple(value + more for value, more in zip(place.state, step.added, strict=True))

    def _rates(self, memory: Memory, state: State) -> State:
        return self.system.rates(state, memory)

    def _slopes(self, place: _Place, state: State, constant: jax.Array) -> State:
        rates = self.system.rates(state, place.memory)
        unit = jnp.where(place.in_time, constant, clock_rate(self.system, rates))
        return (1 / unit, *(rate / unit for rate in rates))

    def _reach(self, place: _Place, wanted: jax.Array, axis: int) -> State:
        """The state of a step at which the state variable `axis`, time (0) or the coordinate (1), is as wanted."""
        constant = clock_rate(self.system, self.system.rates(place.state, place.memory))
        whole = self._along(place, place.stride)
        low, high = place.state[axis], whole[axis]
        first = self._slopes(place, place.state, constant)[axis] * place.stride
        final = self._slopes(place, whole, constant)[axis] * place.stride
        rise = high - low

        def improve(_: int, found: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
            left, right, share = found
            rest = 1 - share
            value = low + share * (rise * share * (3 - 2 * share) + rest * (first * rest - final * share)) - wanted
            slope = 6 * share * rest * rise + rest * (1 - 3 * share) * first + share * (3 * share - 2) * final
            left, right = jnp.where(value > 0, left, share), jnp.where(value > 0, share, right)
            newton = share - value / jnp.where(slope == 0, 1, slope)
            return left, right, jnp.where((newton > left) & (newton < right), newton, (left + right) / 2)

        guess = jnp.clip((wanted - low) / jnp.where(rise == 0, 1, rise), 0, 1)
        share = lax.fori_loop(0, 6, improve, (jnp.zeros_like(guess), jnp.ones_like(guess), guess))[2]
        near = self._along(place, share * place.stride)
        rates = partial(self._rates, place.memory)
        unit: Callable[[State], jax.Array]
        if axis == 0:
            unit = lambda found: jnp.ones_like(wanted)  # noqa: E731
        else:
            tiny = jnp.asarray(1e-30, wanted.dtype)
            unit = lambda found: jnp.maximum(found[0], tiny)  # noqa: E731
        rest = wanted - near[axis]
        # No further than the step itself reaches: there is none to take in a pause.
        rest = jnp.where(rise > 0, jnp.clip(rest, -jnp.abs(rise), jnp.abs(rise)), 0)
        step = take_step(self.stepping.tableau, rates, unit, near, rest)
        return tuple(value + more for value, more in zip(near, step.added, strict=True))

    # --- questions -------------------------------------------------------------------------------------------------------------------

    def _coordinates(self, levels: tuple[float | jax.Array, ...]) -> jax.Array:
        rows = [jnp.broadcast_to(jnp.asarray(level, self.horizon.dtype), self.horizon.shape) for level in levels]
        return self.system.coordinate(jnp.stack(rows))

    def dates(self, levels: tuple[float, ...]) -> jax.Array:
        return self._dates(self._coordinates(levels), jnp.asarray(levels, self.horizon.dtype)[:, None])

    def _dates(self, wanted: jax.Array, levels: jax.Array) -> jax.Array:
        """Months at which coordinates are first reached, (…, lanes)."""
        track = self._track
        reached = self._final(track.states[1])
        inside = (wanted <= reached) & (wanted < jnp.inf)
        index = self._last_before(track.states[1], jnp.where(inside, wanted, 0), strictly=True)
        date = self._reach(self._place(index), jnp.where(inside, wanted, 0), axis=1)[0]
        beyond = levels > (MOST_DOUBLINGS if self.system.ceiling is None else self.system.ceiling)
        date = jnp.where(inside, date, jnp.where(beyond, jnp.inf, track.arrival))
        return jnp.where(date > self.horizon, jnp.inf, date)

    def _final(self, row: jax.Array) -> jax.Array:
        """A row at the end of the trajectories, (lanes,)."""
        return lax.dynamic_index_in_dim(row, self._track.used, 0, keepdims=False)

    def levels(self, times: tuple[float, ...]) -> tuple[jax.Array, jax.Array]:
        rows = [jnp.broadcast_to(jnp.asarray(time, self.horizon.dtype), self.horizon.shape) for time in times]
        return self._levels(jnp.stack(rows))

    def _levels(self, times: jax.Array) -> tuple[jax.Array, jax.Array]:
        track = self._track
        place = self._place(self._last_before(track.states[0], times))
        state = self._reach(place, times, axis=0)
        level = self.system.level(state[1])
        pace = jnp.exp(self.system.log_paces(state, place.memory)[0])
        arrived = times >= track.arrival
        if self.system.ceiling is None:
            end, still = jnp.asarray(jnp.inf, level.dtype), jnp.asarray(jnp.inf, level.dtype)
        else:
            end, still = self.system.ceiling, jnp.asarray(0.0, level.dtype)
        return jnp.where(arrived, end, level), jnp.where(arrived, still, pace)

    def level_at_horizon(self) -> jax.Array:
        track = self._track
        level = self.system.level(self._final(track.states[1]))
        end = jnp.asarray(jnp.inf, level.dtype) if self.system.ceiling is None else self.system.ceiling
        return jnp.where(track.arrival <= self.horizon, end, level)

    def shortest_durations(self, doublings: tuple[float | jax.Array, ...]) -> jax.Array:
        raise NotImplementedError

    def paces(self) -> Paces:
        raise NotImplementedError
