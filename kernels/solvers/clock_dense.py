"""Between the steps of the mixed clock: a shorter step of the same kind from the one before.

A place in a step is found in two legs: to where the cubic through both ends of the step puts it, and from there in software, or in time,
itself, which ends on it exactly. Both have the order of the solver.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from kernels.in_memory import in_memory
from kernels.platform import platform
from kernels.solvers.bridges import Roughness
from kernels.solvers.clock import Memory, Stepping, System, Track, clock_rate, integrate
from kernels.solvers.one_kernel import integrate_in_one_kernel
from kernels.solvers.rounds import few_rounds
from kernels.solvers.rows import at_places, count_before, places
from kernels.solvers.search import cubic_zero
from kernels.solvers.solution import Solution
from kernels.solvers.step import State, take_step


class SoftwareSystem(System):
    """A system whose coordinate stands for doublings of software."""

    leaps: bool
    """Whether the coordinate can jump at a known time."""

    def roughness(self, memory: Memory) -> Roughness | None:
        """Of a pace that follows a random path, which the steps know at its points alone; None for a pace that is smooth between events."""
        return None

    def log_most_pace(self) -> jax.Array | None:
        """ln of the pace at which policy holds software, doublings a month, (lanes,); None where it does not."""
        return None

    @abstractmethod
    def coordinate(self, level: jax.Array) -> jax.Array:
        """The coordinate of a level in doublings."""

    @abstractmethod
    def level(self, coordinate: jax.Array) -> jax.Array:
        """The level in doublings at a coordinate."""

    @abstractmethod
    def log_paces(self, state: State, memory: Memory) -> tuple[jax.Array, jax.Array]:
        """ln of the pace in doublings a month, as it is and before policy."""


class Place(NamedTuple):
    """A step that was taken: state at its start and end, memory, stride, and whether it was taken in time."""

    state: State
    end: State
    memory: Memory
    stride: jax.Array
    in_time: jax.Array


@dataclass(frozen=True)
class DenseClock(Solution):
    """`system` stepped by `stepping`, beyond `furthest` doublings only if something else is asked."""

    system: SoftwareSystem
    stepping: Stepping
    horizon: jax.Array
    furthest: float

    @cached_property
    def _track(self) -> Track:
        goal = float("inf") if self.system.ceiling is not None else self.furthest
        if self.stepping.one_kernel:
            return integrate_in_one_kernel(self.system, self.stepping, goal, interpret=platform() == "cpu")
        return integrate(self.system, self.stepping, goal)

    @property
    def cut_off(self) -> jax.Array:  # type: ignore[override]
        return self._track.unfinished

    @property
    def failed(self) -> jax.Array:
        # Where steps were not enough, nothing is known of what comes after.
        return self._track.unfinished

    @property
    def blow_up(self) -> jax.Array:
        return self._track.arrival if self.system.ceiling is None else jnp.full_like(self.horizon, jnp.inf)

    @property
    def steps_taken(self) -> jax.Array:
        """Steps up to the last of each trajectory, those taken again included, (lanes,) int32."""
        number = jnp.arange(len(self._track.stride), dtype=jnp.int32)[:, None]
        taken = (number < self._track.used) & (self._track.stride != 0)
        return jnp.max(jnp.where(taken, number + 1, 0), axis=0)

    def _final(self, row: jax.Array) -> jax.Array:
        """A row at the end of the trajectories, (lanes,)."""
        final: jax.Array = lax.dynamic_index_in_dim(row, self._track.used, 0, keepdims=False)
        return final

    def _step(self, index: jax.Array) -> Place:
        """One step of all trajectories, each (lanes,); after the last they stand where they are."""
        track = self._track

        def row(rows: jax.Array, number: jax.Array) -> jax.Array:
            held: jax.Array = lax.dynamic_index_in_dim(rows, number, 0, keepdims=False)
            return held

        state = tuple(row(rows, index) for rows in track.states)
        stride = jnp.where(index < track.used, row(track.stride, index), 0)
        after = (row(track.states[0], jnp.minimum(index + 1, track.used)), *(row(rows, index) for rows in track.before))
        end = tuple(jnp.where(stride == 0, value, later) for value, later in zip(state, after, strict=True))
        return Place(state, end, tuple(row(rows, index) for rows in track.memories), jnp.abs(stride), stride < 0)

    def _place(self, index: jax.Array) -> Place:
        """The steps with these numbers, each (…, lanes)."""
        track, here = self._track, places(index)

        def pick(row: jax.Array) -> jax.Array:
            return at_places(row, here)

        stride = pick(track.stride)
        after = at_places(track.states[0], places(jnp.minimum(index + 1, track.used)))
        end = (after, *(pick(row) for row in track.before))
        state, memory = tuple(pick(row) for row in track.states), tuple(pick(row) for row in track.memories)
        return Place(state, end, memory, jnp.abs(stride), stride < 0)

    def _last_before(self, keys: jax.Array, key: jax.Array, strictly: bool = False) -> jax.Array:
        """The number of the last step whose key is at most (`strictly`: below) `key` (…, lanes), int32."""
        return jnp.maximum(count_before(keys, self._track.used + 1, in_memory(key), strictly) - 1, 0)

    def _along(self, place: Place, stride: jax.Array) -> tuple[State, jax.Array]:
        """The state after part of a step, and what the clock goes by there if the step is taken in time."""
        rates = partial(self._rates, place.memory)
        constant = clock_rate(self.system, rates(place.state))
        step = take_step(
            self.stepping.tableau,
            rates,
            lambda found: jnp.where(place.in_time, constant, clock_rate(self.system, found)),
            place.state,
            stride,
        )
        return tuple(value + more for value, more in zip(place.state, step.added, strict=True)), constant

    def _rates(self, memory: Memory, state: State) -> State:
        return self.system.rates(state, memory)

    def _slopes(self, place: Place, rates: State, constant: jax.Array) -> State:
        """How the states change along a step, of their rates."""
        unit = jnp.where(place.in_time, constant, clock_rate(self.system, rates))
        return (1 / unit, *(rate / unit for rate in rates))

    def _reach(self, place: Place, wanted: jax.Array, axis: int) -> State:
        """The state of a step at which the state variable `axis`, time (0) or the coordinate (1), is as wanted."""
        both = tuple(jnp.stack(pair) for pair in zip(place.state, place.end, strict=True))
        rates = jax.vmap(partial(self._rates, place.memory))(both)
        constant = clock_rate(self.system, tuple(rate[0] for rate in rates))

        def unit(found: State) -> jax.Array:
            return jnp.where(place.in_time, constant, clock_rate(self.system, found))

        first, final = jax.vmap(lambda found: (1 if axis == 0 else found[0]) / unit(found))(rates) * place.stride
        low, high = place.state[axis], place.end[axis]
        rise = high - low
        share = cubic_zero(low - wanted, first, high - wanted, final, 6)

        def in_it(found: State) -> jax.Array:
            """What the rest of the way is measured in: the variable itself."""
            return jnp.ones_like(wanted) if axis == 0 else jnp.maximum(found[0], jnp.asarray(1e-30, wanted.dtype))

        def go(leg: jax.Array, state: State) -> State:
            # No further than the step itself reaches: there is none to take in a pause.
            rest = jnp.where(rise > 0, jnp.clip(wanted - state[axis], -jnp.abs(rise), jnp.abs(rise)), 0)
            step = take_step(
                self.stepping.tableau,
                partial(self._rates, place.memory),
                lambda found: jnp.where(leg == 0, unit(found), in_it(found)),
                state,
                jnp.where(leg == 0, share * place.stride, rest),
            )
            return tuple(value + more for value, more in zip(state, step.added, strict=True))

        # To about there along the step, and the rest.
        state: State = few_rounds(2, go, tuple(jnp.broadcast_to(value, wanted.shape) for value in place.state))
        return state
