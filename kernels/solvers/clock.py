"""Laws of any state by explicit Runge–Kutta steps in the mixed clock, ds = (1/Δ_t + Σ |dy_i/dt|/Δ_i)·dt over software and every other
unbounded state: all rates in s are bounded, so explosions and fizzles take about the same number of steps.

Each trajectory chooses its steps by the estimated error of each (a step that is too long is taken again), and steps onto what happens at a
known time (the end of a training run, of a pause, the horizon) and onto crossings (a threshold of the pace, the end of a ramp), where its
rates are not smooth. A step to a known time is taken in time itself and ends on it exactly; a crossing is found from the cubic through both
ends of the step that passed it, and the rest by Newton's method; a step that may have passed one and come back is taken again as far as
where it would be furthest beyond. The loop ends with the slowest of the trajectories; finished ones stay.

Source of the tableaus and of the step size control: Hairer, Nørsett and Wanner (1993), sections II.4 and II.10.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from kernels.elementary import exp, log
from kernels.in_memory import in_memory
from kernels.solvers.room import lent_room
from kernels.solvers.search import cubic_zero, hump
from kernels.solvers.step import State, Step, take_step
from kernels.solvers.tableaus import RUNGE_KUTTA_5, RUNGE_KUTTA_8, Tableau

Memory = tuple[jax.Array, ...]
"""What stays as it is between events, such as whether a pause has begun; each (…, lanes)."""


_SHORT = 0.1
"""A step in the clock over which no law bends much."""
_FIRST_STEP = 0.08
"""The first step in the clock: a short one, of which the estimate says how long the next may be. Where it is too long it is taken again."""


class System(ABC):
    """A law to integrate. Arrays are (…, lanes); rates are months⁻¹ and must be finite everywhere, far beyond the end too."""

    horizon: jax.Array
    scales: tuple[jax.Array | float, ...]
    """Δ of time, the coordinate and each other state; infinite for a state that is bounded."""
    last: float
    """The coordinate beyond which a trajectory has arrived."""
    tail_after: float
    """The coordinate beyond which a pace that rises goes on rising, so that a negligible rest of the way is an arrival; +inf where it may
    yet fall."""
    crosses: bool
    """Whether `crossings` has any."""
    ceiling: jax.Array | None
    """Doublings at which software ends, which the coordinate reaches at infinity; None for no ceiling."""

    @abstractmethod
    def rebuilt(self, change: Callable[[jax.Array], jax.Array]) -> System:
        """The same system with each of its arrays changed, in the same order every time."""

    @abstractmethod
    def start(self) -> tuple[State, Memory]:
        """The state and memory at month 0."""

    @abstractmethod
    def rates(self, state: State, memory: Memory) -> State:
        """d/dt of every state after time."""

    def longest(self, state: State, memory: Memory, slopes: State) -> jax.Array | None:
        """The longest step in the clock that sees all there is to see from here, given d/ds of every state: estimates of error know nothing
        of what lies between the places at which a step looks. None for no bound."""
        return None

    @abstractmethod
    def next_time(self, memory: Memory) -> jax.Array:
        """The next known time at which something happens, months; +inf for none."""

    @abstractmethod
    def at_time(self, state: State, memory: Memory) -> tuple[State, Memory]:
        """State and memory after what happens at `next_time`."""

    @abstractmethod
    def crossings(self, state: State, memory: Memory) -> tuple[jax.Array, ...]:
        """Functions that are negative until something happens, and zero then; a few units in the last place of 1, or of
        the coordinate, are rounding."""

    @abstractmethod
    def at_crossings(self, state: State, memory: Memory, which: tuple[jax.Array, ...]) -> tuple[State, Memory]:
        """State and memory after the crossings for which `which` is true."""


class Track(NamedTuple):
    """The accepted and tried steps of trajectories, each (steps + 1, lanes), the final state after the last; rows beyond are of no meaning.

    `stride` is the length of the step in the clock, negative where it was taken in time; `elapsed` its months. `before` is the state, past
    time, at its end before anything happened there.
    """

    states: State
    memories: Memory
    stride: jax.Array
    elapsed: jax.Array
    before: State
    arrival: jax.Array
    """Months of the arrival at the end of software, (lanes,); +inf where it is not within the horizon."""
    unfinished: jax.Array
    """Whether the steps were not enough, (lanes,)."""
    used: jax.Array
    """Steps that the slowest trajectory took, ()."""


@dataclass(frozen=True)
class Stepping:
    """How a system is stepped: at most so many steps, each with an error within `tolerance`; in a loop, or in one kernel of a GPU."""

    steps: int
    tolerance: float
    one_kernel: bool = False

    @property
    def tableau(self) -> Tableau:
        return RUNGE_KUTTA_5 if self.tolerance > 1e-8 else RUNGE_KUTTA_8


def clock_rate(system: System, rates: State) -> jax.Array:
    """ds/dt, a month⁻¹."""
    total = 1 / jnp.asarray(system.scales[0], rates[0].dtype)
    for rate, scale in zip(rates, system.scales[1:], strict=True):
        if not (isinstance(scale, float) and scale == jnp.inf):
            total = total + jnp.abs(rate) / scale
    return total


def _error(step: Step, state: State, tolerance: float) -> jax.Array:
    """The estimated error of a step in units of what is allowed."""
    time, coordinate = (value + more for value, more in zip(state[:2], step.added[:2], strict=True))
    tiny = jnp.asarray(1e-30, time.dtype)
    allowed = (jnp.maximum(time, tiny), jnp.clip(coordinate, tiny, 1))

    def square(errors: State) -> jax.Array:
        total = sum(((errors[index] / scale) ** 2 for index, scale in enumerate(allowed)), jnp.zeros_like(time))
        others = zip(errors[2:], state[2:], strict=True)
        squares = ((error / jnp.maximum(jnp.abs(value), 1)) ** 2 for error, value in others)
        return in_memory(total + sum(squares, jnp.zeros_like(time)))

    fine = square(step.errors[0])
    if len(step.errors) == 1:
        relative = jnp.sqrt(fine)
    else:
        coarse = square(step.errors[1])
        relative = jnp.sqrt(fine * (fine / jnp.maximum(fine + 0.01 * coarse, tiny)))
        # Either estimate may vanish by accident. Of order 8 the error falls as the square of that of order 4.
        relative = jnp.maximum(relative, 0.01 * coarse)
    return jnp.where(jnp.isfinite(relative), relative / tolerance, 1e10)


class Row(NamedTuple):
    """What is kept of every step."""

    states: State
    memories: Memory
    stride: jax.Array
    elapsed: jax.Array
    before: State


class Walk(NamedTuple):
    """Where the trajectories are: their state, the length of the next step, or that of one to be taken again, and whether they go on."""

    state: State
    memory: Memory
    length: jax.Array
    retry: jax.Array
    active: jax.Array
    arrival: jax.Array


def at_start(system: System) -> Walk:
    """Trajectories at month 0."""
    state, memory = system.start()
    horizon = system.horizon
    zero = jnp.zeros_like(horizon)
    return Walk(state, memory, jnp.full_like(horizon, _FIRST_STEP), zero, horizon > 0, jnp.full_like(horizon, jnp.inf))


def at_end(walk: Walk) -> Row:
    """What is kept of trajectories that have ended: they stay."""
    zero = jnp.zeros_like(walk.length)
    return Row(walk.state, walk.memory, zero, zero, walk.state[1:])


def advanced(system: System, stepping: Stepping, furthest: float, walk: Walk) -> tuple[Walk, Row]:
    """The trajectories after one more step each, taken or tried, and what is kept of it."""
    tableau, tolerance = stepping.tableau, stepping.tolerance
    state, memory, length, retry, active, arrival = walk
    horizon = system.horizon
    dtype = horizon.dtype
    landing = 1e-6 if dtype == jnp.float64 else 1e-4
    resolution = 1e-14 if dtype == jnp.float64 else 1e-8
    closest = 1e-14 if dtype == jnp.float64 else 1e-7
    # What depends on the coordinate has its rounding.
    rounding = float(np.finfo(dtype).eps) * (8 + state[1])
    goal = min(system.last, furthest)
    rates_now = system.rates(state, memory)
    rate = clock_rate(system, rates_now)
    # Not before now: the last of the way onto a crossing may have gone a little too far.
    ending = jnp.maximum(jnp.minimum(system.next_time(memory), horizon), state[0])
    left = (ending - state[0]) * rate
    stride = jnp.where(retry > 0, retry, length)
    slopes_now = (1 / rate, *(value / rate for value in rates_now))
    longest = system.longest(state, memory, slopes_now)
    if longest is not None:
        stride = jnp.minimum(stride, longest)
    if system.crosses:
        values, slopes = jax.jvp(lambda *at: system.crossings(at, memory), state, slopes_now)
        # At zero, within rounding, it happens here if it rises by more than that: it may lie level, or only have touched.
        at_zero = [value >= -rounding for value in values]
        ahead = [slope * length > jnp.where(here, rounding, 0) for slope, here in zip(slopes, at_zero, strict=True)]
        straight = [jnp.maximum(-value, 0) / jnp.where(found, slope, 1) for value, slope, found in zip(values, slopes, ahead, strict=True)]
        # With a small slope what is left would be a long way.
        nears = [jnp.where(here & (near > 0.01 * length), 0, near) for near, here in zip(straight, at_zero, strict=True)]
        for near, found in zip(nears, ahead, strict=True):
            # A crossing that is close enough for a straight line to find.
            stride = jnp.where((retry == 0) & found & (near < 0.1 * stride), near, stride)
    in_time = (retry == 0) & (left <= stride)
    stride = jnp.where(in_time, left, stride)
    step = take_step(
        tableau,
        lambda at: system.rates(at, memory),
        lambda found: jnp.where(in_time, rate, clock_rate(system, found)),
        state,
        stride,
        rates_now,
        unrolled=stepping.one_kernel,
    )
    after = tuple(value + more for value, more in zip(state, step.added, strict=True))
    after = (jnp.where(in_time, ending, after[0]), *after[1:])
    rates_after = system.rates(after, memory) if step.rates_at_end is None else step.rates_at_end
    error = in_memory(_error(step, state, tolerance))
    # An estimate may vanish by accident: what it says of a step many times as long is believed of short ones alone.
    most = jnp.where(stride < _SHORT, jnp.asarray(6.0, dtype), 2.0)
    factor = jnp.clip(0.9 * exp(-log(jnp.maximum(error, 1e-12)) / tableau.error_order), 0.2, most)
    if system.crosses:
        # So close that what is left is rounding, of the clock or of the function itself, which no step would change: where rates bend
        # without end before a crossing (a ramp that ends at everything), steps only ever go a part of the way; none can look beyond.
        closing = [found & (here | (near <= closest)) for near, found, here in zip(nears, ahead, at_zero, strict=True)]
        rest = jnp.full_like(stride, jnp.inf)
        for near, found in zip(nears, closing, strict=True):
            rest = jnp.where(found, jnp.minimum(rest, near), rest)
        closes = jnp.isfinite(rest)
        stride = jnp.where(closes, rest, stride)
        line = tuple(jnp.where(closes, rest * slope, more) for slope, more in zip(slopes_now, step.added, strict=True))
        step = step._replace(added=line)
        after = tuple(jnp.where(closes, value + more, old) for value, more, old in zip(state, line, after, strict=True))
        in_time, error, factor = in_time & ~closes, jnp.where(closes, 0, error), jnp.where(closes, 6.0, factor)
    good = error <= 1
    late = good & ~in_time & (after[0] > ending)
    accepted = good & ~late
    again, elapsed = jnp.zeros_like(stride), step.added[0]
    landed: list[jax.Array] = []
    if system.crosses:
        rate_after = jnp.where(in_time, rate, clock_rate(system, rates_after))
        slopes_after = in_memory((1 / rate_after, *(value / rate_after for value in rates_after)))
        ends, end_slopes = in_memory(jax.jvp(lambda *at: system.crossings(at, memory), after, slopes_after))
        first, polish = jnp.full_like(stride, 2), jnp.zeros_like(stride)
        shares, misses = [], []
        for begun, slope, level, end, end_slope, close in zip(values, slopes, at_zero, ends, end_slopes, closing, strict=True):
            miss = jnp.where(closes, 0, -end / jnp.where(end_slope == 0, 1, end_slope))
            there = (jnp.abs(miss) <= landing * jnp.maximum(length, stride)) & (end_slope > 0)
            there = jnp.where(closes, close, there)
            falls = slope * length < -rounding
            passed = (end > 0) & (~level | falls) & ~there & ~closes
            share = jnp.where(passed, cubic_zero(jnp.minimum(begun, 0), slope * stride, end, end_slope * stride, 3), 2)
            # What lies level at zero before it rises happens when its slope shows.
            share = jnp.where((retry == 0) & level & ~falls & (end > rounding) & ~there & ~closes, 1e-3, share)
            # Perhaps crossed and crossed back within the step: it is taken again as far as about its highest.
            at_summit, bound = hump(begun, slope * stride, end, end_slope * stride)
            # The parabola of a first guess may have its summit on either side of that sought.
            by_far = (retry == 0) | (at_summit < 0.9)
            may_be_passed = by_far & (begun < 0) & (end <= 0) & (bound > 0) & ~there & ~closes
            share = jnp.where(may_be_passed, at_summit, share)
            share = jnp.where(there, 1, share)
            first = jnp.minimum(first, share)
            shares.append(share)
            misses.append(miss)
        accepted, first, shares, misses = in_memory((accepted, first, shares, misses))
        landed = [accepted & (first == 1) & (share == 1) for share in shares]
        # There is nothing to take back of what happens at a known time that is now.
        back = accepted & (first < 1) & (stride > 0)
        accepted = accepted & ~back
        again = jnp.where(back, jnp.maximum(first, 1e-6) * stride, 0)
        for there, miss in zip(landed, misses, strict=True):
            polish = jnp.where(there, miss, polish)
        in_time = in_time & (polish >= 0)
        after = tuple(jnp.where(closes, value, value + polish * slope) for value, slope in zip(after, slopes_after, strict=True))
        elapsed = jnp.where(closes, elapsed, elapsed + polish * slopes_after[0])
    # What becomes of the step is decided once, not again for each number that is kept of it.
    accepted, late, in_time, again, stride, factor, elapsed, after = in_memory(
        (accepted & active, late, in_time, again, stride, factor, elapsed, after)
    )
    shorter = jnp.where(late, stride * jnp.clip((ending - state[0]) / step.added[0], 0.05, 0.95), stride * jnp.minimum(factor, 0.9))
    grown = jnp.maximum(stride * factor, jnp.where(stride < length, length, 0))
    length = jnp.where(accepted, grown, jnp.where(again > 0, length, shorter))
    taken = jnp.where(accepted, jnp.where(in_time, -stride, stride), 0)
    before = tuple(jnp.where(accepted, new, old) for new, old in zip(after[1:], state[1:], strict=True))
    row = Row(state, memory, taken, jnp.where(accepted, elapsed, 0), before)
    # What is left of a pace that rises by so much a unit of its coordinate.
    speed_before, speed = rates_now[0], rates_after[0]
    gained = after[1] - state[1]
    steepness = log(speed / speed_before) / jnp.where(gained > 0, gained, 1)
    tail = jnp.where((gained > 0) & (steepness > 0), 1 / (steepness * speed), jnp.inf)
    over = (tail < resolution * after[0]) & (after[1] > system.tail_after)
    on_time = accepted & in_time & (after[0] >= ending)
    later, later_memory = system.at_time(after, memory)
    # What happens may be a jump to the end.
    reached = jnp.where(on_time, later[1], after[1])
    ended = accepted & ((reached >= system.last) | over) & (after[0] <= horizon)
    # However close to a ceiling: what is left of the way takes a pace that goes on rising so long, or for ever.
    # Where there is none the end is a level, which the step has passed.
    rest = tail if system.ceiling is not None else jnp.where(over, tail, -jnp.maximum(after[1] - system.last, 0) / speed)
    end = after[0] + jnp.where(reached > after[1], 0, rest)
    arrived = ended & (end <= horizon)
    arrival = jnp.where(arrived, end, arrival)
    happened, happened_memory = after, memory
    if system.crosses:
        happened, happened_memory = system.at_crossings(after, memory, tuple(landed))

    ended, on_time, accepted = in_memory((ended, on_time, accepted))

    def choose(timed: tuple[jax.Array, ...], crossed: tuple[jax.Array, ...], before: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        return tuple(
            jnp.where(on_time, at_time, jnp.where(accepted, at_crossing, old))
            for at_time, at_crossing, old in zip(timed, crossed, before, strict=True)
        )

    new_state, new_memory = choose(later, happened, state), choose(later_memory, happened_memory, memory)
    done = ended | (accepted & ((after[0] >= horizon) | (reached > goal)))
    return Walk(new_state, new_memory, length, again, active & ~done, arrival), row


def kept_rows(system: System, stepping: Stepping) -> Row:
    """Room for what is kept of every step and of the end, each (steps + 1, lanes), filled with +inf."""
    rows: Row = jax.tree.map(lambda value: jnp.full((stepping.steps + 1, *value.shape), jnp.inf, value.dtype), at_end(at_start(system)))
    return rows


def integrate(system: System, stepping: Stepping, furthest: float) -> Track:
    """Step all trajectories to their horizon, to their arrival, or beyond the coordinate `furthest` if nothing further is asked."""

    def put(kept: Row, row: Row, place: jax.Array) -> Row:
        updated: Row = jax.tree.map(lambda rows, value: lax.dynamic_update_index_in_dim(rows, value, place, 0), kept, row)
        return updated

    def one(carry: tuple[jax.Array, Walk, Row]) -> tuple[jax.Array, Walk, Row]:
        place, walk, kept = carry
        walk, row = advanced(system, stepping, furthest, walk)
        return place + 1, walk, put(kept, row, place)

    def going(carry: tuple[jax.Array, Walk, Row]) -> jax.Array:
        place, walk, _ = carry
        return (place < stepping.steps) & jnp.any(walk.active)

    walk, room = at_start(system), lent_room()
    begun = kept_rows(system, stepping) if room is None else room.take()
    last, walk, kept = lax.while_loop(going, one, (jnp.int32(0), walk, begun))
    kept = put(kept, at_end(walk), last)
    if room is not None:
        room.give_back(kept)
    return Track(*kept, walk.arrival, walk.active, last)
