"""What a law in the mixed clock is asked: dates, levels, paces and windows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from kernels.elementary import exp
from kernels.in_memory import in_memory
from kernels.in_turn import in_turn
from kernels.solvers.bridges import Bridge
from kernels.solvers.clock import Memory, clock_rate
from kernels.solvers.clock_dense import DenseClock, Place
from kernels.solvers.heights import Ends, Height, height, height_along
from kernels.solvers.rows import at_places, places
from kernels.solvers.search import illinois, root_of, sign_change
from kernels.solvers.solution import MOST_DOUBLINGS, Paces, followed, log_of_met
from kernels.solvers.step import State, take_step
from kernels.solvers.windows import LEAP, Pieces, fastest_stretch


class _Heights(NamedTuple):
    """Two heights of all steps, ln of the pace and of how slow it would be before policy: which step has the highest of each, (2, lanes),
    and all that is known of the first, (steps, lanes), in rows of which those after the last step are empty."""

    highest: jax.Array
    pace: Height


@dataclass(frozen=True)
class ClockSolution(DenseClock):
    """What a law is asked; `DenseClock` says what it is given by."""

    def _coordinates(self, levels: tuple[float | jax.Array, ...]) -> jax.Array:
        rows = [jnp.broadcast_to(jnp.asarray(level, self.horizon.dtype), self.horizon.shape) for level in levels]
        return self.system.coordinate(jnp.stack(rows))

    def dates(self, levels: tuple[float, ...]) -> jax.Array:
        return self._dates(self._coordinates(levels), jnp.asarray(levels, self.horizon.dtype)[:, None])

    def _dates(self, wanted: jax.Array, levels: jax.Array) -> jax.Array:
        """Months at which coordinates are first reached, (…, lanes)."""
        track = self._track
        reached = self._final(track.states[1])
        beyond = levels > (MOST_DOUBLINGS if self.system.ceiling is None else jnp.minimum(self.system.ceiling, MOST_DOUBLINGS))
        inside = (wanted <= reached) & (wanted < jnp.inf) & ~beyond
        index = self._last_before(track.states[1], jnp.where(inside, wanted, 0), strictly=True)
        place = self._place(index)
        # A level that a jump at the end of the step passes is reached at its end.
        date = jnp.minimum(self._reach(place, jnp.where(inside, wanted, 0), axis=1)[0], place.end[0])
        date = jnp.where(inside, date, jnp.where(beyond, jnp.inf, track.arrival))
        return jnp.where(date > self.horizon, jnp.inf, date)

    def levels(self, times: tuple[float, ...]) -> tuple[jax.Array, jax.Array]:
        rows = [jnp.broadcast_to(jnp.asarray(time, self.horizon.dtype), self.horizon.shape) for time in times]
        return self._levels(jnp.stack(rows))

    def _levels(self, times: jax.Array) -> tuple[jax.Array, jax.Array]:
        track = self._track
        # At the time of an event, what was before it: after it steps may be too short to show in the time.
        place = self._place(self._last_before(track.states[0], times, strictly=True))
        state = self._reach(place, times, axis=0)
        level = self.system.level(state[1])
        pace = exp(self.system.log_paces(state, place.memory)[0])
        arrived = times >= track.arrival
        if self.system.ceiling is None:
            return jnp.where(arrived, jnp.inf, level), jnp.where(arrived, jnp.inf, pace)
        return followed(jnp.where(arrived, self.system.ceiling, level), jnp.where(arrived, 0, pace))

    def level_at_horizon(self) -> jax.Array:
        track = self._track
        level = self.system.level(self._final(track.states[1]))
        arrived = track.arrival <= self.horizon
        if self.system.ceiling is None:
            return jnp.where(arrived, jnp.inf, level)
        return followed(jnp.where(arrived, self.system.ceiling, level), level)[0]

    @property
    def _secants(self) -> int:
        """Secants that find a place within a step to the last digit."""
        return 7 if self.horizon.dtype == jnp.float32 else 12

    # --- paces -----------------------------------------------------------------------------------------------------------------------

    def _bridges(self, memory: Memory) -> tuple[Bridge | None, Bridge | None]:
        """The curve that either height follows along a random path."""
        roughness = self.system.roughness(memory)
        return (None, None) if roughness is None else (roughness.above, roughness.below)

    def _heights_at(self, state: State, memory: Memory) -> tuple[jax.Array, jax.Array]:
        """Both heights, along a random path those of its mean. A pace that policy holds is that before it, held."""
        governed, before = self.system.log_paces(state, memory)
        return governed if self.system.log_most_pace() is None else before, -before

    def _heights_in(self, place: Place) -> tuple[Height, Height]:
        """Both heights in a step of each trajectory."""
        rates = in_memory(self._rates(place.memory, place.state))
        constant = clock_rate(self.system, rates)
        ends = []
        for state, found in ((place.state, rates), (place.end, in_memory(self._rates(place.memory, place.end)))):
            slopes = in_memory(tuple(slope * place.stride for slope in self._slopes(place, found, constant)))
            heights, rising = jax.jvp(lambda *at: self._heights_at(at, place.memory), state, slopes)
            ends.append(in_memory(tuple(zip((*heights, state[0]), (*rising, slopes[0]), strict=True))))
        *both, time = (Ends(start, end, first, final) for (start, first), (end, final) in zip(*ends, strict=True))
        pace, slowness = (
            height(mean) if bridge is None else height_along(bridge, mean, time)
            for mean, bridge in zip(both, self._bridges(place.memory), strict=True)
        )
        return in_memory((pace.held(self.system.log_most_pace()), slowness))

    @cached_property
    def _heights_of_steps(self) -> _Heights:
        """The heights of all steps. What is not asked of it takes no part in the program."""
        track, like = self._track, self.horizon

        def one(index: jax.Array, found: tuple[tuple[jax.Array, ...], tuple[jax.Array, ...], Height]) -> Any:
            steps, summits, rows = found
            both = self._heights_in(self._step(index))
            # A height that is not a number stays.
            higher = [(index == 0) | (here.summit > summit) | jnp.isnan(here.summit) for here, summit in zip(both, summits, strict=True)]
            return (
                tuple(jnp.where(is_higher, index, step) for is_higher, step in zip(higher, steps, strict=True)),
                tuple(jnp.where(is_higher, here.summit, summit) for is_higher, here, summit in zip(higher, both, summits, strict=True)),
                Height(*(lax.dynamic_update_index_in_dim(held, row, index, 0) for held, row in zip(rows, both[0], strict=True))),
            )

        nothing, first = jnp.zeros_like(like), jnp.zeros(like.shape, jnp.int32)
        rows = jnp.zeros((len(track.stride), *like.shape), like.dtype)
        steps, _, pace = lax.fori_loop(0, track.used + 1, one, ((first, first), (nothing, nothing), Height(*[rows] * 6)))
        return _Heights(jnp.stack(steps), pace)

    @cached_property
    def _extremes(self) -> tuple[jax.Array, jax.Array, jax.Array, Place]:
        """The highest of either of `_heights_of_steps`, their months, and where in which steps they lie; each (2, lanes)."""
        place = self._place(self._heights_of_steps.highest)
        value, month, share = in_turn(lambda one: self._highest_in(*one), (jnp.arange(2, dtype=jnp.int32), place))
        return value, month, share, place

    def _highest_in(self, kind: jax.Array, place: Place) -> tuple[jax.Array, jax.Array, jax.Array]:
        """The highest of one of both heights in a step of each trajectory, its month, and at which share of the step; each (lanes,)."""
        found: Height = jax.tree.map(partial(jnp.where, kind == 0), *self._heights_in(place))
        begins = found.start >= found.end
        value, month = jnp.maximum(found.start, found.end), jnp.where(begins, place.state[0], place.end[0])
        zero = jnp.zeros_like(month)
        end = jnp.where(begins, zero, 1)
        bridge = jax.tree.map(partial(jnp.where, kind == 0), *self._bridges(place.memory))

        def mean(*state: jax.Array) -> jax.Array:
            return jnp.where(kind == 0, *self._heights_at(state, place.memory))

        def falling(share: jax.Array) -> jax.Array:
            state, constant = self._along(place, share * place.stride)
            slopes = self._slopes(place, self._rates(place.memory, state), constant)
            rising: jax.Array = jax.jvp(mean, state, slopes)[1]
            return -(rising if bridge is None else bridge.rising(state[0], slopes[0], rising))

        def search() -> jax.Array:
            # From the summit of the cubic so many are enough for the last digit.
            steps = 5 if zero.dtype == jnp.float32 else 9
            return illinois(falling, zero, zero + 1, jnp.minimum(-found.first, 0), jnp.maximum(-found.final, 0), found.share, steps)

        def inside() -> tuple[jax.Array, jax.Array, jax.Array]:
            share = root_of(falling, search, zero, zero + 1)
            at_summit, _ = self._along(place, share * place.stride)
            summit = mean(*at_summit)
            if bridge is not None:
                summit = summit + bridge.above_mean(at_summit[0])
            if (most := self.system.log_most_pace()) is not None:
                summit = jnp.where(kind == 0, jnp.minimum(summit, most), summit)
            higher = found.is_humped & (summit > value)
            return jnp.where(higher, summit, value), jnp.where(higher, at_summit[0], month), jnp.where(higher, share, end)

        # In most laws the pace before policy has no dip, and in some the pace no summit between its ends.
        highest: tuple[jax.Array, jax.Array, jax.Array] = lax.cond(jnp.any(found.is_humped), inside, lambda: (value, month, end))
        return highest

    def paces(self) -> Paces:
        track = self._track
        # Before policy.
        at_start, at_end = (
            self.system.log_paces(tuple(of(row) for row in track.states), tuple(of(row) for row in track.memories))[1]
            for of in (lambda rows: rows[0], self._final)
        )
        (highest, slowest), (date, _), _, _ = self._extremes
        if (most := self.system.log_most_pace()) is not None:
            date = jnp.where(highest >= most, self.first_dates_at_pace((exp(most),))[0], date)
        arrived = track.arrival <= self.horizon
        if self.system.ceiling is None:
            # A blow-up.
            highest, date = jnp.where(arrived, jnp.inf, highest), jnp.where(arrived, track.arrival, date)
            at_end = jnp.where(arrived, jnp.inf, at_end)
        else:
            slowest, at_end = jnp.where(arrived, jnp.inf, slowest), jnp.where(arrived, -jnp.inf, at_end)
            highest = jnp.where(self.level_at_horizon() < jnp.inf, highest, jnp.inf)
        return Paces(exp(at_start), exp(highest), date, exp(-slowest), exp(at_end))

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
        low, bridge = jnp.zeros_like(wanted), self._bridges(place.memory)[0]
        if bridge is None:
            high = jnp.where(known, jnp.where(end >= wanted, 1, share), peak_share)
        else:
            # Its curve may rise as a root does at the start of a step, and falls from its summit.
            high = jnp.sqrt(jnp.where(known, share, peak_share))

        def along(share: jax.Array) -> State:
            return self._along(place, (share if bridge is None else share * share) * place.stride)[0]

        def miss(share: jax.Array) -> jax.Array:
            state = along(share)
            height = self._heights_at(state, place.memory)[0]
            return (height if bridge is None else height + bridge.above_mean(state[0])) - wanted

        share = root_of(miss, lambda: sign_change(miss, low, high, self._secants), low, high)
        date = along(jnp.where(at_once & known, 0, share))[0]
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
        track = self._track
        # Software that stands still counts as slow.
        start, end = (jnp.minimum(-row, 60.0) for row in self._paces_of_steps)
        level, after = (self._level_of(at) for at in (track.states[1], track.before[0]))
        pieces = Pieces(level, after, track.states[0], track.elapsed, start, end)
        if not self.system.leaps:
            return pieces
        landing, landed = (jnp.concatenate([row[1:], row[-1:]]) for row in (self._level_of(track.states[1]), track.states[0]))
        nothing = jnp.zeros_like(level)
        leap = Pieces(after, jnp.maximum(landing, after), landed, nothing, *(2 * (nothing + LEAP,)))
        # After every step what its end adds at once.
        return Pieces(*(jnp.stack(pair, axis=1).reshape(-1, *level.shape[1:]) for pair in zip(pieces, leap, strict=True)))

    @property
    def _paces_of_steps(self) -> tuple[jax.Array, jax.Array]:
        """ln of the pace that software goes at, at the start and the end of each step, (steps, lanes) each."""
        if self._bridges(tuple(rows[0] for rows in self._track.memories))[0] is None:
            return self._heights_of_steps.pace.start, self._heights_of_steps.pace.end

        def one(index: jax.Array, found: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            place = self._step(index)
            here = (self.system.log_paces(state, place.memory)[0] for state in (place.state, place.end))
            start, end = (lax.dynamic_update_index_in_dim(rows, row, index, 0) for rows, row in zip(found, here, strict=True))
            return start, end

        nothing = jnp.zeros_like(self._track.stride)
        paces: tuple[jax.Array, jax.Array] = lax.fori_loop(0, self._track.used + 1, one, (nothing, nothing))
        return paces

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

        def inside(place: Place, ends: jax.Array) -> jax.Array:
            return jnp.clip(ends, place.state[1], place.end[1])

        def added(place: Place, ends: jax.Array) -> State:
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
        place: Place = jax.tree.map(lambda row: row.reshape(steps.shape), flat)
        number = jnp.arange(len(self._track.elapsed), dtype=jnp.int32)[:, None, None]
        elapsed = self._track.elapsed[:, None]
        between = jnp.sum(jnp.where((number >= steps[0]) & (number < steps[1]), elapsed, 0), axis=0)
        whole = at_places(self._track.elapsed, places(steps))
        begun, ended = jnp.where(ends >= place.end[1], whole, added(place, ends)[0])
        return jnp.maximum(jnp.min(between + ended - begun, axis=0), 0)
