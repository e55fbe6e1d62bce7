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
from kernels.solvers.solution import MOST_DOUBLINGS, Paces, Solution, log_of_met


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
    """A step that was taken: state at its start and end, memory, stride, and whether it was taken in time."""

    state: State
    end: State
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
        after = jnp.minimum(index + 1, track.used)
        end = (jnp.take_along_axis(track.states[0], after, axis=0), *(pick(row) for row in track.before))
        state, memory = tuple(pick(row) for row in track.states), tuple(pick(row) for row in track.memories)
        return _Place(state, end, memory, jnp.abs(stride), stride < 0)

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
        low, high = place.state[axis], place.end[axis]
        first = self._slopes(place, place.state, constant)[axis] * place.stride
        final = self._slopes(place, place.end, constant)[axis] * place.stride
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
        place = self._place(index)
        # A level that a jump at the end of the step passes is reached at its end.
        date = jnp.minimum(self._reach(place, jnp.where(inside, wanted, 0), axis=1)[0], place.end[0])
        beyond = levels > (MOST_DOUBLINGS if self.system.ceiling is None else self.system.ceiling)
        date = jnp.where(inside, date, jnp.where(beyond, jnp.inf, track.arrival))
        return jnp.where(date > self.horizon, jnp.inf, date)

    def _final(self, row: jax.Array) -> jax.Array:
        """A row at the end of the trajectories, (lanes,)."""
        final: jax.Array = lax.dynamic_index_in_dim(row, self._track.used, 0, keepdims=False)
        return final

    def levels(self, times: tuple[float, ...]) -> tuple[jax.Array, jax.Array]:
        rows = [jnp.broadcast_to(jnp.asarray(time, self.horizon.dtype), self.horizon.shape) for time in times]
        return self._levels(jnp.stack(rows))

    def _levels(self, times: jax.Array) -> tuple[jax.Array, jax.Array]:
        track = self._track
        # At the time of an event, what was before it: after it steps may be too short to show in the time.
        place = self._place(self._last_before(track.states[0], times, strictly=True))
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

    # --- paces -----------------------------------------------------------------------------------------------------------------------

    @cached_property
    def _steps(self) -> _Place:
        """All steps, (steps, lanes); those that were not taken have no length and the state of the start."""
        track = self._track
        number = jnp.arange(len(track.stride), dtype=jnp.int32)[:, None]

        def held(rows: tuple[jax.Array, ...], last: jax.Array) -> tuple[jax.Array, ...]:
            return tuple(jnp.where(number <= last, row, row[0]) for row in rows)

        # The last row is the final state, with no step after it.
        states, before = held(track.states, track.used), held(track.before, track.used - 1)
        ends = (jnp.concatenate([states[0][1:], states[0][-1:]]), *before)
        stride = jnp.where(number < track.used, track.stride, 0)
        ends = tuple(jnp.where(stride == 0, state, end) for state, end in zip(states, ends, strict=True))
        return _Place(states, ends, held(track.memories, track.used), jnp.abs(stride), stride < 0)

    @cached_property
    def _heights_of_steps(self) -> tuple[jax.Array, jax.Array]:
        """`_heights` at the starts and ends of all steps, and how they change over a step like the one there, each (2, 2, steps, lanes)."""
        steps = self._steps
        constant = clock_rate(self.system, self.system.rates(steps.state, steps.memory))
        both = tuple(jnp.stack(pair) for pair in zip(steps.state, steps.end, strict=True))
        slopes = tuple(slope * steps.stride for slope in self._slopes(steps, both, constant))
        governed, before = jax.jvp(lambda *at: self.system.log_paces(at, steps.memory), both, slopes)
        return jnp.stack([governed[0], -governed[1]]), jnp.stack([before[0], -before[1]])

    def _heights(self, state: State, memory: Memory) -> jax.Array:
        """ln of the pace, and of how slow it would be before policy, (2, lanes), of states of that shape."""
        governed, before = self.system.log_paces(state, memory)
        return jnp.stack([governed[0], -before[1]])

    def _rising(self, place: _Place, share: jax.Array) -> tuple[jax.Array, jax.Array]:
        """`_heights` at a share of a step, and how they change along it."""
        constant = clock_rate(self.system, self.system.rates(place.state, place.memory))
        state = self._along(place, share * place.stride)
        slopes = self._slopes(place, state, constant)
        return jax.jvp(lambda *at: self._heights(at, place.memory), state, slopes)

    @cached_property
    def _extremes(self) -> tuple[jax.Array, jax.Array, jax.Array, _Place]:
        """The highest of `_heights`, their months, and where in which steps they lie; each (2, lanes)."""
        heights, slopes = self._heights_of_steps
        (start, end), (first, final) = (jnp.moveaxis(rows, 1, 0) for rows in (heights, slopes))
        # Between the ends of a step there may be a higher one still: the summit of the cubic through them says in which.
        cubic, square = 2 * (start - end) + first + final, 3 * (end - start) - 2 * first - final
        root = jnp.sqrt(jnp.maximum(square * square - 3 * cubic * first, 0)) - square
        inside = (first > 0) & (final < 0) & (self._steps.stride > 0)
        share = jnp.where(inside, jnp.clip(first / jnp.where(root > 0, root, 1), 0, 1), 0)
        summits = start + share * (first + share * (square + share * cubic))
        highest = jnp.maximum(jnp.maximum(start, end), jnp.where(inside, summits, -jnp.inf))
        best = jnp.argmax(highest, axis=1).astype(jnp.int32)

        def pick(rows: jax.Array) -> jax.Array:
            return jnp.take_along_axis(jnp.broadcast_to(rows, start.shape), best[:, None], axis=1)[:, 0]

        place = jax.tree.map(pick, self._steps)
        begins = pick(start) >= pick(end)
        value, month = jnp.maximum(pick(start), pick(end)), jnp.where(begins, place.state[0], place.end[0])
        zero = jnp.zeros_like(month)
        at_low, at_high, inside = pick(first), pick(final), pick(inside)

        def step(_: int, found: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
            low, high, at_low, at_high, _middle = found
            drop = at_low - at_high
            middle = jnp.clip(low + at_low * (high - low) / jnp.where(drop > 0, drop, 1), low, high)
            slope = self._rising(place, middle)[1]
            up = slope > 0
            return (
                jnp.where(up, middle, low),
                jnp.where(up, high, middle),
                jnp.where(up, slope, at_low / 2),
                jnp.where(up, at_high / 2, slope),
                middle,
            )

        share = lax.fori_loop(0, 6 if zero.dtype == jnp.float32 else 9, step, (zero, zero + 1, at_low, at_high, zero))[4]
        summit = self._rising(place, share)[0]
        higher = inside & (summit > value)
        summit_month = self._along(place, share * place.stride)[0]
        return jnp.where(higher, summit, value), jnp.where(higher, summit_month, month), share, place

    def paces(self) -> Paces:
        track = self._track
        slow = -self._heights_of_steps[0][1, 0]
        (highest, slowest), (date, _), _, _ = self._extremes
        at_end = self._final(slow)
        arrived = track.arrival <= self.horizon
        if self.system.ceiling is None:
            # A blow-up.
            highest, date = jnp.where(arrived, jnp.inf, highest), jnp.where(arrived, track.arrival, date)
            at_end = jnp.where(arrived, jnp.inf, at_end)
        else:
            slowest, at_end = jnp.where(arrived, jnp.inf, slowest), jnp.where(arrived, -jnp.inf, at_end)
        return Paces(jnp.exp(slow[0]), jnp.exp(highest), date, jnp.exp(-slowest), jnp.exp(at_end))

    def first_dates_at_pace(self, paces: tuple[jax.Array, ...]) -> jax.Array:
        wanted = log_of_met(jnp.stack([jnp.broadcast_to(pace, self.horizon.shape) for pace in paces]))
        at_start, at_end = self._heights_of_steps[0][0]
        highest, peak_share, peak_place = jax.tree.map(lambda leaf: leaf[0], (self._extremes[0], *self._extremes[2:]))
        met = jax.vmap(lambda one: (at_start >= one) | (at_end >= one))(wanted)
        known = jnp.any(met, axis=1)
        index = jnp.argmax(met, axis=1).astype(jnp.int32)
        at_once = jnp.take_along_axis(at_start, index, axis=0) >= wanted
        # The pace may pass it within the step of the peak alone.
        peak = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, wanted.shape), peak_place)
        place = jax.tree.map(partial(jnp.where, known), self._place(index), peak)
        low = jnp.zeros_like(wanted)
        high = jnp.where(known, 1, peak_share)

        def miss(share: jax.Array) -> jax.Array:
            return self.system.log_paces(self._along(place, share * place.stride), place.memory)[0] - wanted

        def step(_: int, found: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
            low, high, at_low, at_high = found
            rise = at_high - at_low
            middle = jnp.clip(low - at_low * (high - low) / jnp.where(rise > 0, rise, 1), low, high)
            value = miss(middle)
            up = value > 0
            return (
                jnp.where(up, low, middle),
                jnp.where(up, middle, high),
                jnp.where(up, at_low / 2, value),
                jnp.where(up, value, at_high / 2),
            )

        low, high, at_low, at_high = lax.fori_loop(
            0, 7 if self.horizon.dtype == jnp.float32 else 10, step, (low, high, jnp.minimum(miss(low), 0), jnp.maximum(miss(high), 0))
        )
        rise = at_high - at_low
        share = jnp.clip(low - at_low * (high - low) / jnp.where(rise > 0, rise, 1), low, high)
        date = self._along(place, jnp.where(at_once & known, 0, share) * place.stride)[0]
        return jnp.where((known | (highest >= wanted)) & (date <= self.horizon), date, jnp.inf)

    # --- windows ---------------------------------------------------------------------------------------------------------------------

    def shortest_durations(self, doublings: tuple[float | jax.Array, ...]) -> jax.Array:
        last = jnp.minimum(self.system.level(self._final(self._track.states[1])), MOST_DOUBLINGS)
        rows = []
        for amount in doublings:
            asked = jnp.broadcast_to(jnp.asarray(amount, self.horizon.dtype), self.horizon.shape)
            rows.append(jnp.where(last >= asked, self._shortest(asked, last), jnp.inf))
        return jnp.stack(rows)

    def _shortest(self, amount: jax.Array, last: jax.Array) -> jax.Array:
        """Best of windows that start where a step does, and then by golden-section search between its neighbours."""
        track = self._track
        furthest = jnp.maximum(last - amount, 0)
        starts = jnp.where(jnp.isfinite(track.states[1]), jnp.clip(self.system.level(track.states[1]), 0, furthest), 0)

        def better(found: tuple[jax.Array, ...], start: jax.Array) -> tuple[tuple[jax.Array, ...], None]:
            best, at, below, above, previous, is_next = found
            months = self._roughly(start, amount)
            wins = months < best
            return (
                jnp.minimum(months, best),
                jnp.where(wins, start, at),
                jnp.where(wins, previous, below),
                jnp.where(wins, furthest, jnp.where(is_next & (start > at), start, above)),
                jnp.where(start > previous, start, previous),
                wins | (is_next & ~(start > at)),
            ), None

        zero = jnp.zeros_like(last)
        begin: tuple[jax.Array, ...] = (jnp.full_like(last, jnp.inf), zero, zero, furthest, zero, jnp.zeros(last.shape, bool))
        _, at, below, above, _, _ = lax.scan(better, begin, starts)[0]
        golden = 0.6180339887498949

        def narrow(_: int, ends: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            left, right = ends
            inner_left, inner_right = right - golden * (right - left), left + golden * (right - left)
            keep_left = self._duration(inner_left, amount) < self._duration(inner_right, amount)
            return jnp.where(keep_left, left, inner_left), jnp.where(keep_left, inner_right, right)

        left, right = lax.fori_loop(0, 14 if self.horizon.dtype == jnp.float32 else 24, narrow, (below, above))
        return jnp.minimum(
            self._duration((left + right) / 2, amount), jnp.minimum(self._duration(at, amount), self._duration(furthest, amount))
        )

    def _roughly(self, start: jax.Array, amount: jax.Array) -> jax.Array:
        """Months of a window, with dates between the steps by straight lines."""
        times, coordinates = self._track.states[:2]
        wanted = self.system.coordinate(start + amount)
        index = self._last_before(coordinates, wanted[None], strictly=True)
        after = jnp.minimum(index + 1, self._track.used)

        def pick(row: jax.Array, number: jax.Array) -> jax.Array:
            return jnp.take_along_axis(row, number, axis=0)[0]

        low, high = pick(coordinates, index), pick(coordinates, after)
        share = jnp.clip((wanted - low) / jnp.where(high > low, high - low, 1), 0, 1)
        end = pick(times, index) + share * (pick(times, after) - pick(times, index))
        first = self._last_before(coordinates, self.system.coordinate(start)[None])
        return end - pick(times, first)

    def _duration(self, start: jax.Array, amount: jax.Array) -> jax.Array:
        """Months in which so many doublings are made from a level on, summed from the steps between and parts of the first and last."""
        track = self._track
        ends = self.system.coordinate(jnp.stack([start, start + amount]))
        final = self._final(track.states[1])
        ends = jnp.minimum(ends, final)
        first = self._last_before(track.states[1], ends[:1])
        last = self._last_before(track.states[1], ends[1:], strictly=True)
        place = self._place(jnp.concatenate([first, last]))
        tiny = jnp.asarray(1e-30, start.dtype)
        step = take_step(
            self.stepping.tableau,
            partial(self._rates, place.memory),
            lambda found: jnp.maximum(found[0], tiny),
            place.state,
            jnp.maximum(ends - place.state[1], 0),
        )
        number = jnp.arange(len(track.elapsed), dtype=jnp.int32)[:, None]
        between = jnp.sum(jnp.where((number >= first) & (number < last), track.elapsed, 0), axis=0)
        # What a jump at the end of a step adds takes no time.
        parts = jnp.minimum(step.added[0], jnp.take_along_axis(track.elapsed, jnp.concatenate([first, last]), axis=0))
        return between + parts[1] - parts[0]
