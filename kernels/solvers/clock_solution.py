"""The dense solution of the mixed clock: questions between the steps are answered by a shorter step of the same kind from the one before.

A date of a level, or a level at a time, is found in two steps: to where the cubic through both ends of the step puts it, and from there
in software, or in time, itself, which ends on it exactly. Both have the order of the solver.
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
from kernels.in_turn import in_turn
from kernels.solvers.clock import Memory, Stepping, System, Track, clock_rate, integrate
from kernels.solvers.one_kernel import integrate_in_one_kernel
from kernels.solvers.rows import at_places, count_before, places
from kernels.solvers.search import cubic_zero, illinois, root_of, sign_change
from kernels.solvers.solution import MOST_DOUBLINGS, Paces, Solution, log_of_met
from kernels.solvers.step import State, take_step
from kernels.solvers.windows import LEAP, Pieces, fastest_stretch


class SoftwareSystem(System):
    """A system whose coordinate stands for doublings of software."""

    ceiling: jax.Array | None
    leaps: bool
    """Whether the coordinate can jump at a known time."""

    @abstractmethod
    def coordinate(self, level: jax.Array) -> jax.Array:
        """The coordinate of a level in doublings."""

    @abstractmethod
    def level(self, coordinate: jax.Array) -> jax.Array:
        """The level in doublings at a coordinate."""

    @abstractmethod
    def log_paces(self, state: State, memory: Memory) -> tuple[jax.Array, jax.Array]:
        """ln of the pace in doublings a month, as it is and before policy."""


class _Place(NamedTuple):
    """A step that was taken: state at its start and end, memory, stride, and whether it was taken in time."""

    state: State
    end: State
    memory: Memory
    stride: jax.Array
    in_time: jax.Array


class _Height(NamedTuple):
    """Something that changes along the steps, (…, lanes) all: at both ends of a step, how it changes there over a step like it, and about
    how high it is at most and at which share of the step."""

    start: jax.Array
    end: jax.Array
    first: jax.Array
    final: jax.Array
    summit: jax.Array
    share: jax.Array

    @property
    def is_humped(self) -> jax.Array:
        """Whether it rises at the start of the step and falls at its end."""
        return (self.first > 0) & (self.final < 0)


def _height(start: jax.Array, end: jax.Array, first: jax.Array, final: jax.Array) -> _Height:
    """With the summit of the cubic through both ends, or else the higher end."""
    cubic, square = 2 * (start - end) + first + final, 3 * (end - start) - 2 * first - final
    root = jnp.sqrt(jnp.maximum(square * square - 3 * cubic * first, 0)) - square
    humped = (first > 0) & (final < 0)
    share = jnp.where(humped, jnp.clip(first / jnp.where(root > 0, root, 1), 0, 1), (end > start).astype(start.dtype))
    between = start + share * (first + share * (square + share * cubic))
    return _Height(start, end, first, final, jnp.maximum(jnp.maximum(start, end), jnp.where(humped, between, -jnp.inf)), share)


class _Heights(NamedTuple):
    """The two `_heights` of all steps: which step has the highest of each and how it goes there, (2, lanes); each at the first start and at
    the last end; and all that is known of the first, the pace, (steps, lanes), in rows of which those after the last step are empty."""

    step: jax.Array
    highest: _Height
    at_start: jax.Array
    at_end: jax.Array
    pace: _Height


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
        if self.stepping.one_kernel:
            return integrate_in_one_kernel(self.system, self.stepping, goal, interpret=jax.default_backend() == "cpu")
        return integrate(self.system, self.stepping, goal)

    @property
    def cut_off(self) -> jax.Array:  # type: ignore[override]
        return self._track.unfinished

    @property
    def steps_taken(self) -> jax.Array:
        """Steps up to the last of each trajectory, those taken again included, (lanes,) int32."""
        number = jnp.arange(len(self._track.stride), dtype=jnp.int32)[:, None]
        taken = (number < self._track.used) & (self._track.stride != 0)
        return jnp.max(jnp.where(taken, number + 1, 0), axis=0)

    # --- between the steps -----------------------------------------------------------------------------------------------------------

    def _place(self, index: jax.Array) -> _Place:
        """The steps with these numbers, each (…, lanes)."""
        track, here = self._track, places(index)

        def pick(row: jax.Array) -> jax.Array:
            return at_places(row, here)

        stride = pick(track.stride)
        after = at_places(track.states[0], places(jnp.minimum(index + 1, track.used)))
        end = (after, *(pick(row) for row in track.before))
        state, memory = tuple(pick(row) for row in track.states), tuple(pick(row) for row in track.memories)
        return _Place(state, end, memory, jnp.abs(stride), stride < 0)

    def _last_before(self, keys: jax.Array, key: jax.Array, strictly: bool = False) -> jax.Array:
        """The number of the last step whose key is at most (`strictly`: below) `key` (…, lanes), int32."""
        return jnp.maximum(count_before(keys, in_memory(key), strictly) - 1, 0)

    def _along(self, place: _Place, stride: jax.Array) -> tuple[State, jax.Array]:
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

    def _slopes(self, place: _Place, rates: State, constant: jax.Array) -> State:
        """How the states change along a step, of their rates."""
        unit = jnp.where(place.in_time, constant, clock_rate(self.system, rates))
        return (1 / unit, *(rate / unit for rate in rates))

    def _reach(self, place: _Place, wanted: jax.Array, axis: int) -> State:
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

        # To about there along the step, and the rest; a loop, so that the compiler meets the law once.
        state: State = lax.fori_loop(0, 2, go, tuple(jnp.broadcast_to(value, wanted.shape) for value in place.state))
        return state

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

    @property
    def _secants(self) -> int:
        """Secants that find a place within a step to the last digit."""
        return 7 if self.horizon.dtype == jnp.float32 else 12

    # --- paces -----------------------------------------------------------------------------------------------------------------------

    @cached_property
    def _heights_of_steps(self) -> _Heights:
        """`_heights` of all steps. What is not asked of it takes no part in the program."""
        track, like = self._track, self.horizon

        def of_step(step: _Place) -> _Height:
            both = tuple(jnp.stack(pair) for pair in zip(step.state, step.end, strict=True))
            rates = self.system.rates(both, step.memory)
            constant = clock_rate(self.system, tuple(rate[0] for rate in rates))
            slopes = tuple(slope * step.stride for slope in self._slopes(step, rates, constant))
            (governed, before), rising = jax.jvp(lambda *at: self.system.log_paces(at, step.memory), both, slopes)
            pairs = zip((governed, rising[0]), (-before, -rising[1]), strict=True)
            heights, changes = (jnp.stack(pair, axis=1) for pair in pairs)
            return _height(*heights, *changes)

        def one(index: jax.Array, found: _Heights) -> _Heights:
            here = of_step(self._step(index))
            # A height that is not a number stays.
            higher = (index == 0) | (here.summit > found.highest.summit) | jnp.isnan(here.summit)
            return _Heights(
                step=jnp.where(higher, index, found.step),
                highest=_Height(*(jnp.where(higher, new, old) for new, old in zip(here, found.highest, strict=True))),
                at_start=jnp.where(index == 0, here.start, found.at_start),
                at_end=here.start,
                pace=_Height(
                    *(lax.dynamic_update_index_in_dim(rows, row[0], index, 0) for rows, row in zip(found.pace, here, strict=True))
                ),
            )

        nothing = jnp.zeros((2, *like.shape), like.dtype)
        rows = jnp.zeros((len(track.stride), *like.shape), like.dtype)
        begin = _Heights(nothing.astype(jnp.int32), _Height(*[nothing] * 6), nothing, nothing, _Height(*[rows] * 6))
        found: _Heights = lax.fori_loop(0, track.used + 1, one, begin)
        return found

    def _step(self, index: jax.Array) -> _Place:
        """One step of all trajectories, each (lanes,); after the last they stand where they are."""
        track = self._track

        def row(rows: jax.Array, number: jax.Array) -> jax.Array:
            held: jax.Array = lax.dynamic_index_in_dim(rows, number, 0, keepdims=False)
            return held

        state = tuple(row(rows, index) for rows in track.states)
        stride = jnp.where(index < track.used, row(track.stride, index), 0)
        after = (row(track.states[0], jnp.minimum(index + 1, track.used)), *(row(rows, index) for rows in track.before))
        end = tuple(jnp.where(stride == 0, value, later) for value, later in zip(state, after, strict=True))
        return _Place(state, end, tuple(row(rows, index) for rows in track.memories), jnp.abs(stride), stride < 0)

    def _heights(self, state: State, memory: Memory) -> jax.Array:
        """ln of the pace, and of how slow it would be before policy, (2, lanes), of states of that shape."""
        governed, before = self.system.log_paces(state, memory)
        return jnp.stack([governed[0], -before[1]])

    def _rising(self, place: _Place, share: jax.Array) -> jax.Array:
        """How `_heights` change along a step at a share of it."""
        state, constant = self._along(place, share * place.stride)
        slopes = self._slopes(place, self.system.rates(state, place.memory), constant)
        rising: jax.Array = jax.jvp(lambda *at: self._heights(at, place.memory), state, slopes)[1]
        return rising

    @cached_property
    def _extremes(self) -> tuple[jax.Array, jax.Array, jax.Array, _Place]:
        """The highest of `_heights`, their months, and where in which steps they lie; each (2, lanes)."""
        found = self._heights_of_steps.highest
        place = self._place(self._heights_of_steps.step)
        begins = found.start >= found.end
        value, month = jnp.maximum(found.start, found.end), jnp.where(begins, place.state[0], place.end[0])
        zero = jnp.zeros_like(month)
        inside = found.is_humped

        def falling(share: jax.Array) -> jax.Array:
            return -self._rising(place, share)

        def search() -> jax.Array:
            # Of a summit the height is asked, which hardly changes around it.
            secants = 5 if value.dtype == jnp.float32 else 8
            return illinois(falling, zero, zero + 1, jnp.minimum(-found.first, 0), jnp.maximum(-found.final, 0), secants)

        share = root_of(falling, search, zero, zero + 1)
        at_summit, _ = self._along(place, share * place.stride)
        summit = self._heights(at_summit, place.memory)
        higher = inside & (summit > value)
        return jnp.where(higher, summit, value), jnp.where(higher, at_summit[0], month), share, place

    def paces(self) -> Paces:
        track = self._track
        # Before policy.
        at_start, at_end = -self._heights_of_steps.at_start[1], -self._heights_of_steps.at_end[1]
        (highest, slowest), (date, _), _, _ = self._extremes
        arrived = track.arrival <= self.horizon
        if self.system.ceiling is None:
            # A blow-up.
            highest, date = jnp.where(arrived, jnp.inf, highest), jnp.where(arrived, track.arrival, date)
            at_end = jnp.where(arrived, jnp.inf, at_end)
        else:
            slowest, at_end = jnp.where(arrived, jnp.inf, slowest), jnp.where(arrived, -jnp.inf, at_end)
        return Paces(jnp.exp(at_start), jnp.exp(highest), date, jnp.exp(-slowest), jnp.exp(at_end))

    def first_dates_at_pace(self, paces: tuple[jax.Array, ...]) -> jax.Array:
        wanted = log_of_met(jnp.stack([jnp.broadcast_to(pace, self.horizon.shape) for pace in paces]))
        highest, peak_share, peak_place = jax.tree.map(lambda leaf: leaf[0], (self._extremes[0], *self._extremes[2:]))
        steps = self._heights_of_steps.pace

        def visit(index: jax.Array, first: jax.Array) -> jax.Array:
            summit = lax.dynamic_index_in_dim(steps.summit, index, 0, keepdims=False)
            return jnp.where((first < 0) & (summit >= wanted), index, first)

        met = lax.fori_loop(0, self._track.used + 1, visit, jnp.full(wanted.shape, -1, jnp.int32))
        known, index = met >= 0, jnp.maximum(met, 0)
        start, end, share = (at_places(row, places(index)) for row in (steps.start, steps.end, steps.share))
        at_once = start >= wanted
        # A summit is known to the last digit only where it is the highest.
        peak = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, wanted.shape), peak_place)
        place = jax.tree.map(partial(jnp.where, known), self._place(index), peak)
        low = jnp.zeros_like(wanted)
        high = jnp.where(known, jnp.where(end >= wanted, 1, share), peak_share)

        def miss(share: jax.Array) -> jax.Array:
            return self.system.log_paces(self._along(place, share * place.stride)[0], place.memory)[0] - wanted

        share = root_of(miss, lambda: sign_change(miss, low, high, self._secants), low, high)
        (date, *_), _ = self._along(place, jnp.where(at_once & known, 0, share) * place.stride)
        return jnp.where((known | (highest >= wanted)) & (date <= self.horizon), date, jnp.inf)

    # --- windows ---------------------------------------------------------------------------------------------------------------------

    def shortest_durations(self, doublings: tuple[float | jax.Array, ...]) -> jax.Array:
        last = self._level_of(self._final(self._track.states[1]))
        amounts = jnp.stack([jnp.broadcast_to(jnp.asarray(amount, last.dtype), last.shape) for amount in doublings])
        # Made before the loop, which is not to hold them.
        _ = self._pieces
        shortest: jax.Array = in_turn(lambda amount: jnp.where(last >= amount, self._shortest(amount, last), jnp.inf), amounts)
        return shortest

    @cached_property
    def _pieces(self) -> Pieces:
        track, pace = self._track, self._heights_of_steps.pace
        # Software that stands still counts as slow.
        start, end = (jnp.minimum(-row, 60.0) for row in (pace.start, pace.end))
        level, after = (self._level_of(at) for at in (track.states[1], track.before[0]))
        pieces = Pieces(level, after, track.states[0], track.elapsed, start, end)
        if not self.system.leaps:
            return pieces
        landing, landed = (jnp.concatenate([row[1:], row[-1:]]) for row in (self._level_of(track.states[1]), track.states[0]))
        nothing = jnp.zeros_like(level)
        leap = Pieces(after, jnp.maximum(landing, after), landed, nothing, *(2 * (nothing + LEAP,)))
        # After every step what its end adds at once.
        return Pieces(*(jnp.stack(pair, axis=1).reshape(-1, *level.shape[1:]) for pair in zip(pieces, leap, strict=True)))

    def _level_of(self, coordinate: jax.Array) -> jax.Array:
        return jnp.minimum(self.system.level(coordinate), MOST_DOUBLINGS)

    def _shortest(self, amount: jax.Array, last: jax.Array) -> jax.Array:
        """Months of the fastest window: sought where both its ends are equally fast, within the stretch that holds it."""
        each = 2 if self.system.leaps else 1
        furthest = jnp.maximum(last - amount, 0)
        stretch = jax.tree.map(lax.stop_gradient, fastest_stretch(self._pieces, self._track.used * each, amount, furthest))

        def ends_of(start: jax.Array) -> jax.Array:
            return self.system.coordinate(jnp.stack([start, start + amount]))

        def steps_of(ends: jax.Array) -> jax.Array:
            coordinates = self._track.states[1]
            return jnp.concatenate([self._last_before(coordinates, ends[:1]), self._last_before(coordinates, ends[1:], strictly=True)])

        def inside(place: _Place, ends: jax.Array) -> jax.Array:
            return jnp.clip(ends, place.state[1], place.end[1])

        def added(place: _Place, ends: jax.Array) -> State:
            """What a step as far as to a coordinate adds to the state, taken in the coordinate."""
            step = take_step(
                self.stepping.tableau,
                partial(self._rates, place.memory),
                lambda found: jnp.maximum(found[0], jnp.asarray(1e-30, amount.dtype)),
                place.state,
                inside(place, ends) - place.state[1],
            )
            return step.added

        def rising(start: jax.Array) -> jax.Array:
            ends = ends_of(start)
            place = self._place(steps_of(ends))
            state = tuple(value + more for value, more in zip(place.state, added(place, ends), strict=True))
            paces = self.system.log_paces(state, place.memory)[0]
            return paces[0] - paces[1]

        # What is known between the steps may have put it into the wrong one of two that touch.
        middle = sign_change(rising, stretch.low_beside, stretch.high_beside, 4 if amount.dtype == jnp.float32 else 9, halvings=2)
        middle = lax.stop_gradient(middle)
        known, found = jnp.stack([stretch.first, stretch.last]) // each, steps_of(ends_of(middle))
        ends = jnp.stack([ends_of(start) for start in (stretch.low, middle, stretch.high)], axis=1)
        steps = jnp.stack([known, found, known], axis=1)
        # (2, 3, lanes): both ends of three windows.
        flat = self._place(steps.reshape(6, -1))
        place: _Place = jax.tree.map(lambda row: row.reshape(steps.shape), flat)
        number = jnp.arange(len(self._track.elapsed), dtype=jnp.int32)[:, None, None]
        elapsed = self._track.elapsed[:, None]
        between = jnp.sum(jnp.where((number >= steps[0]) & (number < steps[1]), elapsed, 0), axis=0)
        whole = at_places(self._track.elapsed, places(steps))
        begun, ended = jnp.where(ends >= place.end[1], whole, added(place, ends)[0])
        return jnp.maximum(jnp.min(between + ended - begun, axis=0), 0)
