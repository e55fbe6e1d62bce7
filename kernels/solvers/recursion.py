"""Step recursions: the state is the time that the next step takes, one step a fixed factor of software.

Equation: t_0 = 0, t_{n+1} = t_n + T_n while a step may begin; x_n = n·width doublings. Between knots software is exponential, so x is
linear in t. Lanes that are solved together take as many steps as the longest of them; one that has ended goes on with steps of NEVER
months, which keeps its times finite and increasing (infinities would turn the windows' differences into NaN) and puts all of them beyond
any horizon.

Knot times are kept in rows, (steps + 1, lanes): the outcomes below run over the rows that were made, in the same order as the solver wrote
them, so that a block of about a thousand lanes never leaves the cache.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax import lax

from kernels.solvers.rows import at_places, places
from kernels.solvers.solution import MOST_DOUBLINGS, Paces, Solution, log_of_met

_Found = TypeVar("_Found")

NEVER = 2.0**100
"""Months that stand for "not within any horizon" inside the recursion: so long that a step of them makes no progress that could be seen
before any horizon, yet small enough for float32 to add it as often as there are steps."""

_AT_ONCE = 16
"""Steps that are written out in one round of a loop whose number of rounds is known: an accelerator launches some kernels for each round,
and its lanes go to memory and back. All 128 would be fewer kernels still, and take its compiler most of a minute."""


def _row(rows: jax.Array, index: jax.Array | int) -> jax.Array:
    """One of some rows, (lanes,)."""
    row: jax.Array = lax.dynamic_index_in_dim(rows, index, 0, keepdims=False)
    return row


@dataclass(frozen=True)
class RecursionSolution(Solution):
    """Knots of a recursion. `times` and `durations` are (steps + 1, lanes) and (steps, lanes), months, of which the first `used` steps were
    taken, the last of them without a lane that still went on, or as many as there are rows; `last` is the number of steps that each lane
    made, `last_time` and `last_level` where they ended. `uncut` are the durations that steps would have without being cut."""

    used: jax.Array | int
    times: jax.Array
    durations: jax.Array
    uncut: jax.Array
    last: jax.Array
    last_time: jax.Array
    last_level: jax.Array
    width: float
    horizon: jax.Array
    endless: jax.Array
    """Lanes that could have begun one step more: software is taken as infinite beyond the last."""
    cut_off: jax.Array

    @property
    def steps_taken(self) -> jax.Array:
        """Steps of each trajectory, (lanes,) int32."""
        return self.last

    @property
    def _end(self) -> jax.Array:
        """Where the last row is, months: that of a lane that has ended NEVER or later, NaN in one that failed."""
        return _row(self.times, self.used)

    @property
    def failed(self) -> jax.Array:
        return jnp.isnan(self._end)

    @property
    def blow_up(self) -> jax.Array:
        return jnp.where(self.endless, self._end, jnp.inf)

    def _over_steps(self, visit: Callable[[_Found, jax.Array], _Found], found: _Found, fewer: jax.Array | int = 0) -> _Found:
        """`visit(found, index)` for every step that was taken, or as many fewer."""
        count = self.used - fewer
        known = isinstance(count, int)
        rounds = count if known else jnp.maximum(count, 0)
        visited: _Found = lax.fori_loop(0, rounds, lambda index, held: visit(held, index), found, unroll=_AT_ONCE if known else None)
        return visited

    def _within(self, date: jax.Array) -> jax.Array:
        # NaN is not beyond the horizon: a lane that failed must not pass for one that was late.
        return jnp.where(date > self.horizon, jnp.inf, date)

    def _level_after(self, knot: int) -> jax.Array:
        """Doublings at a knot; a last step that was cut short, or stopped by the ceiling, ends below its multiple of `width`."""
        return jnp.minimum(jnp.asarray(knot * self.width, self.last_level.dtype), self.last_level)

    def dates(self, levels: tuple[float, ...]) -> jax.Array:
        rows = []
        for level in levels:
            knot = min(math.floor(level / self.width + 1e-9), self.times.shape[0] - 1)
            rest = level - knot * self.width
            date = self.times[knot]
            if rest > 1e-9 * self.width and knot + 1 < self.times.shape[0]:
                date = date + self.durations[knot] * (rest / jnp.maximum(self._level_after(knot + 1) - knot * self.width, 1e-30))
            reached = (level <= self.last_level) & (knot < self.times.shape[0])
            unreached = jnp.where(jnp.isnan(self._end), self._end, jnp.inf)
            rows.append(jnp.where(reached, self._within(date), unreached))
        return jnp.stack(rows)

    def levels(self, times: tuple[float, ...]) -> tuple[jax.Array, jax.Array]:
        # All times in one array, and only their knots counted on the way through the rows: a third of the memory traffic of
        # carrying along what is wanted of them.
        asked = jnp.asarray(times, self.times.dtype)[:, None]

        def visit(passed: jax.Array, index: jax.Array) -> jax.Array:
            return passed + (_row(self.times, index) <= asked).astype(jnp.int32)

        knots = self._over_steps(visit, jnp.zeros((len(times), *self.last.shape), jnp.int32), -1)
        # Every row of knots begins at 0, which no time is before.
        begun = at_places(self.times, places(knots - 1))
        ending = at_places(self.times, places(jnp.minimum(knots, self.times.shape[0] - 1)))
        counted = knots.astype(self.times.dtype)
        low = jnp.minimum((counted - 1) * self.width, self.last_level)
        high = jnp.minimum(counted * self.width, self.last_level)
        # Beyond the last row there is no step: any length will do, since nothing is made in it.
        length = (ending - begun) + (knots == self.times.shape[0]).astype(self.times.dtype)
        beyond = self.endless & (asked > self._end)
        level = low + (high - low) * ((asked - begun) / length)
        return jnp.where(beyond, jnp.inf, level), jnp.where(beyond, jnp.inf, (high - low) / length)

    def shortest_knot_durations(self, doublings: tuple[int | jax.Array, ...]) -> jax.Array:
        """The least months from a knot to a later one with at least so many doublings made between them, shape (doublings, lanes); NEVER
        or more if there is none. `doublings` are static, or one int32 array of shape (lanes,) each where they vary among lanes.

        Differences of knot times carry the rounding of the dates, about 1e-7 of the elapsed time: enough to decide whether a window of
        months was met, which is all that is made of them.
        """
        steps = self.times.shape[0] - 1
        lanes = jnp.arange(self.times.shape[1])
        found: dict[int, jax.Array] = {}
        rows = []
        for amount in doublings:
            least = jnp.full_like(self.times[0], NEVER)
            if isinstance(amount, int):
                if amount not in found:
                    count = math.ceil(amount / self.width - 1e-9)
                    found[amount] = self._shortest_of_steps(count) if count <= steps else least
                rows.append(found[amount])
                continue
            # Steps of less than a doubling come with few enough of them for float32 to tell a whole number of doublings from the next.
            counts = amount if self.width == 1 else jnp.ceil(amount / jnp.asarray(self.width, self.times.dtype) - 1e-3).astype(jnp.int32)

            def visit(least: jax.Array, start: jax.Array, counts: jax.Array = counts) -> jax.Array:
                end = start + counts
                length = self.times[jnp.minimum(end, self.used), lanes] - _row(self.times, start)
                return jnp.minimum(least, jnp.where(end <= self.used, length, NEVER))

            rows.append(self._over_steps(visit, least))
        return jnp.stack(rows)

    def _shortest_of_steps(self, count: int | jax.Array) -> jax.Array:
        """The least months that so many steps take, (lanes,)."""

        def visit(least: jax.Array, start: jax.Array) -> jax.Array:
            return jnp.minimum(least, _row(self.times, start + count) - _row(self.times, start))

        return self._over_steps(visit, jnp.full_like(self.times[0], NEVER), count - 1)

    def most_doublings_within(self, months: tuple[float, ...]) -> jax.Array:
        """The most doublings from a knot to another less than so many months later, shape (months, lanes)."""

        def count(found: jax.Array, index: jax.Array) -> jax.Array:
            least = self._shortest_of_steps(index + 1)
            return jnp.stack([row + (least < limit) for row, limit in zip(found, months, strict=True)])

        # If n + 1 knots fit, so do n: the number of counts that fit is the largest one.
        found = self._over_steps(count, jnp.zeros((len(months), *self.last.shape), self.times.dtype))
        return found * jnp.asarray(self.width, found.dtype)

    def _date_at(self, level: jax.Array) -> jax.Array:
        """Months at a level that differs among lanes, shape (lanes,)."""

        def visit(date: jax.Array, index: jax.Array) -> jax.Array:
            low = index.astype(self.times.dtype) * self.width
            share = (level - low) / jnp.maximum(jnp.minimum(low + self.width, self.last_level) - low, 1e-30)
            there = _row(self.times, index) + jnp.minimum(share, 1) * _row(self.durations, index)
            return jnp.where((low <= level) & (low < self.last_level), there, date)

        return self._over_steps(visit, jnp.zeros_like(level))

    def shortest_durations(self, doublings: tuple[float | jax.Array, ...]) -> jax.Array:
        # t(x) is piecewise linear, so the shortest window starts or ends at a knot, or ends at the horizon.
        dtype = self.times.dtype
        dates = jnp.minimum(self.times, self.horizon)
        # The end of the last recorded step may lie beyond the horizon; what was made by then is what counts.
        level_at_end = jnp.minimum(self._level_at(self.horizon), self.last_level)
        rows = []
        for amount in doublings:
            if isinstance(amount, jax.Array):
                raise TypeError("windows of a recursion have one length for all lanes; give each as a float")
            whole = math.floor(amount / self.width + 1e-9)
            share = amount / self.width - whole
            date_of_end = self._within(self._date_at(jnp.full_like(self.last_level, amount)))
            least = jnp.where(
                amount <= level_at_end, jnp.minimum(self.horizon - self._date_at(level_at_end - amount), date_of_end), jnp.inf
            )

            def visit(least: jax.Array, knot: jax.Array, whole: int = whole, share: float = share, amount: float = amount) -> jax.Array:
                def row(index: jax.Array) -> jax.Array:
                    return _row(dates, jnp.clip(index, 0, self.used))

                level = knot.astype(dtype) * self.width
                start_here = row(knot + whole) + (row(knot + whole + 1) - row(knot + whole)) * share - row(knot)
                end_here = row(knot) - (row(knot - whole) + (row(knot - whole - 1) - row(knot - whole)) * share)
                fits_after = jnp.ceil((level + amount) / self.width - 1e-6) * self.width <= level_at_end
                fits_before = (level >= amount) & (level <= level_at_end)
                least = jnp.where(fits_after, jnp.minimum(least, start_here), least)
                return jnp.where(fits_before, jnp.minimum(least, end_here), least)

            rows.append(self._over_steps(visit, least, -1))
        return jnp.stack(rows)

    def _level_at(self, time: jax.Array) -> jax.Array:
        """Doublings at a time that differs among lanes, shape (lanes,)."""

        def visit(level: jax.Array, index: jax.Array) -> jax.Array:
            knot, start, duration = index.astype(self.times.dtype), _row(self.times, index), _row(self.durations, index)
            high = jnp.minimum((knot + 1) * self.width, self.last_level)
            low = jnp.minimum(knot * self.width, self.last_level)
            return jnp.where(start <= time, low + (high - low) * jnp.minimum((time - start) / duration, 1), level)

        return self._over_steps(visit, jnp.zeros_like(self.last_level))

    def level_at_horizon(self) -> jax.Array:
        return jnp.where(self.endless, jnp.inf, self._level_at(self.horizon))

    def paces(self) -> Paces:
        def visit(found: tuple[jax.Array, ...], index: jax.Array) -> tuple[jax.Array, ...]:
            shortest, date, longest, final = found
            start, duration = _row(self.times, index), _row(self.uncut, index)
            begun = start < self.horizon
            shorter = duration < shortest
            return (
                jnp.where(shorter, duration, shortest),
                jnp.where(shorter, start, date),
                jnp.where(begun, jnp.maximum(duration, longest), longest),
                jnp.where(begun, duration, final),
            )

        zero = jnp.zeros_like(self.last_level)
        # A lane that has ended stands still: its next "step" lasts NEVER months.
        begin: tuple[jax.Array, ...] = (zero + NEVER, zero, zero, zero)
        shortest, date, longest, final = self._over_steps(visit, begin)
        # It also does after the last row, where it has ended within the horizon.
        stands = ~self.endless & (self.last_time < self.horizon)
        longest, final = (jnp.where(stands, NEVER, value) for value in (longest, final))

        def pace(duration: jax.Array) -> jax.Array:
            return jnp.where(duration < NEVER, self.width / duration, 0)

        return Paces(
            at_start=pace(self.uncut[0]),
            highest=jnp.where(self.endless, jnp.inf, pace(shortest)),
            date_of_highest=jnp.where(self.endless, self._end, date),
            lowest=pace(longest),
            at_horizon=jnp.where(self.endless, jnp.inf, pace(final)),
        )

    def first_dates_at_pace(self, paces: tuple[jax.Array, ...]) -> jax.Array:
        # The knot at which a doubling begins that goes at that pace.
        longest = self.width * jnp.exp(-log_of_met(jnp.stack(paces)))
        unmet = jnp.where(self.endless, self._end, jnp.inf)

        def visit(date: jax.Array, index: jax.Array) -> jax.Array:
            start = _row(self.times, index)
            earlier = (_row(self.uncut, index) <= longest) & (start < self.horizon) & (start < date)
            return jnp.where(earlier, start, date)

        dates = self._over_steps(visit, jnp.broadcast_to(unmet, longest.shape))
        return jnp.where(jnp.isnan(self._end), jnp.nan, dates)


class _Carry(NamedTuple):
    """The lanes after some steps: the state of the recursion, where they are and where they ended, and whether any of them made the last
    step."""

    state: Any
    time: jax.Array
    last: jax.Array
    last_time: jax.Array
    level: jax.Array
    going: jax.Array


_Rows = tuple[jax.Array, ...]


def solve_recursion(
    state: Any,
    duration: Callable[[Any, jax.Array], jax.Array],
    may_begin: Callable[[Any, jax.Array], jax.Array],
    advance: Callable[[Any, jax.Array, jax.Array], Any],
    horizon: jax.Array,
    steps: int,
    width: float = 1.0,
    ceiling: jax.Array | None = None,
    cut_last_step: bool = False,
    all_steps: bool = False,
) -> RecursionSolution:
    """Take at most `steps` steps of `width` doublings each; `all_steps` of them, so that their number is known to the compiler, or as many
    as the longest of these lanes.

    `duration(state, n)` is the time of step n in months; `may_begin(state, n)` whether it may begin (besides t < horizon);
    `advance(state, n, time)` the state after it, given the time at its end. The number n is a scalar, or a row of the lanes where all steps
    are taken. `ceiling` stops software at so many doublings, and `cut_last_step` ends the last step at the horizon (otherwise it is
    completed and may end beyond).
    """
    dtype = horizon.dtype
    level_limit = jnp.full_like(horizon, jnp.inf) if ceiling is None else ceiling

    def step(n: jax.Array, carry: _Carry) -> tuple[_Carry, _Rows]:
        """The lanes after step n, and what is kept of it: when it ends, its duration, and that uncut."""
        state, time, last, last_time, level = carry.state, carry.time, carry.last, carry.last_time, carry.level
        begins = (time < horizon) & may_begin(state, n)
        # By choice, not by minimum: what has overflowed has no derivative.
        full = duration(state, n)
        full = jnp.where(full > NEVER, NEVER, full)
        taken = jnp.minimum(full, horizon - time) if cut_last_step else full
        taken = jnp.where(begins, taken, NEVER)
        # Where the last step is cut, it ends at the horizon to the last digit, or rounding would begin one step more.
        after = jnp.where(taken < full, horizon, time + taken) if cut_last_step else time + taken
        made = taken / full * width if cut_last_step else jnp.asarray(width, dtype)
        level = jnp.where(begins, jnp.minimum(level + made, level_limit), level)
        last_time = jnp.where(begins, after, last_time)
        # What an ended lane does to its state is never looked at, so nothing is spent on holding it still.
        kept = (after, taken, jnp.where(begins, full, NEVER)) if cut_last_step else (after, taken)
        return _Carry(advance(state, n, after), after, last + begins, last_time, level, jnp.any(begins)), kept

    def some_steps(count: int, index: jax.Array, held: tuple[_Carry, _Rows]) -> tuple[_Carry, _Rows]:
        """`count` steps from `index` on; their rows are written at once."""
        (carry, rows), made = held, []
        first = index.astype(dtype)
        if count > 1:
            # A row: an accelerator would launch a kernel for each number of a step.
            first = lax.optimization_barrier(jnp.full_like(horizon, first))  # type: ignore[no-untyped-call]
        for place in range(count):
            carry, kept = step(first + place, carry)
            made.append(kept)
        # Times are preceded by that of the start.
        places = (index + 1, index, index)
        blocks = (jnp.stack(values) for values in zip(*made, strict=True))
        return carry, tuple(
            lax.dynamic_update_slice_in_dim(row, block, place, 0) for row, block, place in zip(rows, blocks, places, strict=False)
        )

    def going(held: tuple[jax.Array, tuple[_Carry, _Rows]]) -> jax.Array:
        index, (carry, _) = held
        return carry.going & (index < steps)

    zero = jnp.zeros_like(horizon)
    rows = tuple(jnp.zeros((count, *horizon.shape), dtype) for count in (steps + 1, *(steps,) * (1 + cut_last_step)))
    held = _Carry(state, zero, jnp.zeros(horizon.shape, jnp.int32), zero, zero, jnp.asarray(True)), rows
    used: jax.Array | int = steps
    if all_steps:
        rounds, rest = divmod(steps, _AT_ONCE)
        held = lax.fori_loop(0, rounds, lambda turn, held: some_steps(_AT_ONCE, turn * _AT_ONCE, held), held)
        held = some_steps(rest, jnp.int32(rounds * _AT_ONCE), held) if rest else held
    else:
        used, held = lax.while_loop(going, lambda at: (at[0] + 1, some_steps(1, *at)), (jnp.int32(0), held))
    carry, rows = held
    endless = (carry.time < horizon) & may_begin(carry.state, jnp.asarray(steps, dtype))
    times, durations, *uncut = rows
    return RecursionSolution(
        used=used,
        times=times,
        durations=durations,
        uncut=uncut[0] if cut_last_step else durations,
        last=carry.last,
        last_time=carry.last_time,
        last_level=carry.level,
        width=width,
        horizon=horizon,
        endless=endless,
        # At MOST_DOUBLINGS that is the end of a trajectory by definition, before them the number of steps was too small.
        cut_off=endless & (steps * width < MOST_DOUBLINGS),
    )
