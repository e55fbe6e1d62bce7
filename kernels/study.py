"""A study: all that makes the trajectories of a sweep what they are, from draw to outcomes, and their audit.

The audit solves a fixed 1/256 of every block again in float64 with more work (`Budget.for_audit`), from the parameters as the working
precision drew them, and keeps the worst relative error of every number and the count of flags that differ.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from kernels.alike import Scale, StepCount, fitted, in_order, order, scales
from kernels.fastest import fastest
from kernels.gradients import evaluate_with_gradients
from kernels.in_memory import in_memory
from kernels.models.model import PATH, Bounds, Model, ModelError
from kernels.outcomes import Evaluation, Label, Outcomes, Rows
from kernels.platform import platform
from kernels.sampling import Design, path_words
from kernels.solvers.budget import Budget
from kernels.solvers.clock import kept_rows
from kernels.solvers.clock_solution import ClockSolution
from kernels.solvers.recursion import RecursionSolution
from kernels.solvers.room import lending
from kernels.statistics import Bins

AUDIT_STRIDE = 256
"""One draw of so many is audited."""
_PILOT = 512
"""Draws that are solved once to count steps."""
_AT_AN_END = 16
"""And draws that are solved for each end of each parameter that varies."""
_TIMED = 1 << 17
"""Draws that are solved in either form where one is chosen."""
_TOGETHER = 32
"""Of those, how many are taken to be solved together: about as large a share as a sub-block is of what is put in order."""


@dataclass(frozen=True)
class Study:
    """All that makes the trajectories of a sweep what they are. Static in the compiled program.

    `fixed` are the parameters that are one number, `follows` those that take the value of another, `axes` the names of those that vary
    from cell to cell, and `bounds` the lowest and highest value of every parameter, from which the lengths of loops are chosen.
    """

    model: Model
    options: Mapping[str, str | bool]
    design: Design
    fixed: Mapping[str, float]
    follows: Mapping[str, str]
    axes: tuple[str, ...]
    bounds: Bounds
    outcomes: Outcomes
    precision: Literal["float32", "float64"]
    tolerance: float
    bins_per_octave: int
    counted: StepCount | None = None
    """The steps that were counted before for the same study, so that every machine that takes part in a sweep takes the same."""

    @cached_property
    def labels(self) -> tuple[Label, ...]:
        """The outcomes, flags first."""
        return self.outcomes.labels(self.model, self.options)

    @cached_property
    def flags(self) -> tuple[Label, ...]:
        return tuple(label for label in self.labels if label.kind == "flag")

    @cached_property
    def numbers(self) -> tuple[Label, ...]:
        return tuple(label for label in self.labels if label.kind == "numeric")

    def bins(self, label: Label) -> Bins:
        """The bins of a number."""
        return Bins(label.scale, self.bins_per_octave)

    @cached_property
    def dtype(self) -> Any:
        return jnp.dtype(self.precision)

    @cached_property
    def budget(self) -> Budget:
        """The sizes of loops as far as they follow from the bounds alone."""
        return replace(self.model.budget(self.options, self.bounds, self.tolerance), furthest=self.outcomes.furthest)

    @cached_property
    def work(self) -> Budget:
        """The sizes of loops. Raises ModelError where a trajectory takes more steps than the budget has."""
        if not self.budget.tolerance:
            return self.budget
        assert self.step_count is not None
        return replace(self.budget, steps=self.step_count.most)

    @cached_property
    def step_count(self) -> StepCount | None:
        """Steps are counted once a sweep, on draws at the corners of its axes; None where every trajectory takes the same.

        Raises ModelError where steps are chosen by their error and a trajectory takes more of them than the budget has.
        """
        if not self.budget.tolerance and not self.budget.uneven:
            return None
        if self.counted is not None:
            return self.counted
        # Run once, on few trajectories: compiled the quickest way.
        quickest = {"xla_backend_optimization_level": "0"} if jax.default_backend() == "cpu" else {}

        @partial(jax.jit, compiler_options=quickest)
        def count() -> tuple[jax.Array, jax.Array, dict[str, jax.Array]]:
            # A recursion has steps for every trajectory: it is only asked who takes about as many.
            parameters = self._spread(_PILOT, _AT_AN_END if self.budget.tolerance else 0)
            solution = self.model.solve(parameters, self.options, self.budget)
            assert isinstance(solution, ClockSolution | RecursionSolution)
            return solution.steps_taken, solution.cut_off, {scale.name: parameters[scale.name] for scale in self.scales}

        steps, cut_off, parameters = jax.tree.map(np.asarray, count())
        weights = fitted(self.scales, {name: row[:_PILOT] for name, row in parameters.items()}, steps[:_PILOT], _TOGETHER)
        if not self.budget.tolerance:
            return StepCount(self.budget.steps, weights)
        if lost := cut_off[:_PILOT].sum():
            raise ModelError(
                "horizon",
                f"{lost} of {_PILOT} trajectories take more than {self.budget.steps} steps: "
                "a delay or training run is too short, or a pace too steep",
                "shorten the horizon, or lengthen reaction_delay, first_training_time, hardware_delay or noise_correlation_time"
                # Where a pace rises without end toward a date, such as that of full automation, float32 cannot tell how far it is.
                + (', or use precision = "float64"' if self.precision == "float32" else ""),
            )
        # Of the rarest trajectories some are not among the draws, but hardly beyond the ends.
        needed = max(1.5 * int(steps[:_PILOT].max()), 1.1 * int(steps.max()))
        most = min(self.budget.steps, 16 * math.ceil((needed + 16) / 16))
        return StepCount(most, weights, self._is_faster_in_one_kernel(most))

    def _spread(self, draws: int, at_an_end: int = 0) -> dict[str, jax.Array]:
        """Parameters of the first draws, spread over the axes, and after them of some draws at each end of each parameter that varies."""
        number = np.concatenate([np.arange(draws), np.tile(np.arange(at_an_end), 2 * len(self.varying))])
        drawn = self.design.parameters(jnp.zeros(2, jnp.uint32), jnp.asarray(number, jnp.uint32), self.dtype)
        for index, name in enumerate(self.axes):
            low, high = self.bounds[name]
            # Every third draw at either end of an axis and between, each axis at a rhythm of its own.
            values = jnp.asarray((low, high, (low + high) / 2), self.dtype)
            drawn[name] = values[(number // 3**index) % 3]
        if at_an_end:
            ends = [(name, end) for name in self.varying for end in self.bounds[name]]
            for place, (name, end) in enumerate(ends):
                first = draws + place * at_an_end
                drawn[name] = drawn[name].at[first : first + at_an_end].set(end)
        return self._with_path(jnp.zeros(2, jnp.uint32), jnp.asarray(number, jnp.uint32), drawn)

    def _is_faster_in_one_kernel(self, steps: int) -> bool:
        """Whether this device solves trajectories faster in one kernel than in a compiled loop: measured, on a GPU."""
        # Gradients are carried through the loop.
        if platform() != "gpu" or self.outcomes.gradients:
            return False

        def solved(one_kernel: bool) -> Callable[[], object]:
            budget = replace(self.budget, steps=steps, compact=False, one_kernel=one_kernel)
            run = jax.jit(lambda: [jnp.sum(rows) for rows in self.rows(self._spread(_TIMED), budget)])
            return lambda: [total.block_until_ready() for total in run()]

        forms = {one_kernel: solved(one_kernel) for one_kernel in (False, True)}
        try:
            forms[True]()
        except Exception as reason:
            # Whatever this GPU, its driver or its compiler has against the kernel: the loop runs anywhere.
            said = (str(reason) or repr(reason)).splitlines()[0]
            warnings.warn(f"steps are taken in a compiled loop, as one kernel does not run on this GPU: {said}", stacklevel=2)
            return False
        forms[False]()
        return fastest(forms)[0]

    @cached_property
    def varying(self) -> tuple[str, ...]:
        """The parameters that are drawn or on axes."""
        return (*(name for name, _ in self.design.distributions), *self.axes)

    @cached_property
    def scales(self) -> tuple[Scale, ...]:
        """Of the parameters that vary."""
        return scales(self.varying, self.bounds)

    @cached_property
    def work_here(self) -> Budget:
        """The sizes of loops, in the form that suits the device. Asking starts the device, which a launcher of workers must not."""
        on_cpu = platform() == "cpu"
        one_kernel = not on_cpu and self.work.tolerance > 0 and self.step_count is not None and self.step_count.one_kernel
        return replace(self.work, compact=on_cpu, one_kernel=one_kernel)

    def parameters(self, key: jax.Array, draw: jax.Array, cell: jax.Array) -> dict[str, jax.Array]:
        """Every parameter of the draws `draw` in the cell with axis values `cell` (axes,), each (lanes,) of the working type. The draws are
        (lanes,), or as `Design.in_rows` gives them."""
        on_axes = {name: jnp.full(draw.size, cell[index]) for index, name in enumerate(self.axes)}
        return self._with_path(key, draw, {**self.design.parameters(key, draw, self.dtype), **on_axes})

    def _with_path(self, key: jax.Array, draw: jax.Array, varied: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        """Every parameter of draws of which those that vary are given, and their random paths."""
        drawn = self.completed(varied, (draw.size,))
        if self.model.needs_path(self.options):
            # Of the draw alone, so that all cells share its path.
            drawn.update(zip(PATH, path_words(jnp.asarray(key), draw.ravel()), strict=True))
        return drawn

    def completed(self, drawn: Mapping[str, jax.Array], shape: tuple[int, ...], dtype: Any = None) -> dict[str, jax.Array]:
        """Parameters that are drawn or on axes, each of this shape, with those that are fixed and those that follow others, of the working
        type if no other."""
        known = {**drawn, **{name: jnp.full(shape, value, dtype or self.dtype) for name, value in self.fixed.items()}}
        return known | {name: known[other] for name, other in self.follows.items()}

    @cached_property
    def inputs(self) -> dict[str, Any]:
        """The names of what differs from trajectory to trajectory, with their types: parameters that are drawn or on axes, and the path.
        From these `completed` makes all that a trajectory is solved from."""
        path = PATH if self.model.needs_path(self.options) else ()
        return dict.fromkeys(self.varying, self.dtype) | dict.fromkeys(path, jnp.dtype(jnp.uint32))

    def evaluate(self, parameters: Mapping[str, jax.Array], budget: Budget) -> Evaluation:
        """Outcomes of trajectories with these parameters, each (lanes,)."""
        return evaluate_with_gradients(
            self.outcomes,
            self.model,
            self.options,
            parameters,
            self.fixed,
            self.follows,
            lambda parameters: self.model.solve(parameters, self.options, budget),
        )

    def rows(self, parameters: Mapping[str, jax.Array], budget: Budget) -> Rows:
        """`evaluate`, in rows that are counted together."""
        found = self.evaluate(parameters, budget)
        # Computed first and then put together: of rows in one loop it would be asked for each number which of them it is in.
        values, cut_off, failed = in_memory((found.values, found.cut_off, found.failed))
        for label in self.numbers:
            failed = failed | jnp.isnan(values[label.name])

        def stacked(labels: tuple[Label, ...], kind: Any) -> jax.Array:
            return jnp.concatenate([jnp.zeros((0, *cut_off.shape), kind), *(values[label.name][None] for label in labels)])

        # A comparison with NaN answers, too, and what is found by searching may stop short of it.
        flags, numbers = stacked(self.flags, jnp.bool_) & ~failed, stacked(self.numbers, self.dtype)
        return Rows(flags, jnp.where(failed, jnp.nan, numbers), failed, cut_off)

    def rows_alike(self, drawn: Mapping[str, jax.Array], count: jax.Array | int, together: int) -> Rows:
        """`rows` of trajectories with parameters that are drawn or on axes, each (lanes,): `together` at a time, those that are expected to
        take about as many steps. Of the lanes only the first `count` are wanted."""
        assert self.step_count is not None

        def solved(some: dict[str, jax.Array], room: Any) -> tuple[Rows, Any]:
            return self.rows_in(self.completed(some, (together,)), room)

        count = jnp.asarray(count, jnp.uint32)
        of = order(self.scales, self.step_count.weights, drawn, count)
        found: Rows = in_order(solved, drawn, of, together, count, self.room(together))
        return found

    def rows_in(self, parameters: Mapping[str, jax.Array], room: Any) -> tuple[Rows, Any]:
        """`rows` of trajectories whose steps are kept in `room`, and what that has become."""
        if room is None:
            return self.rows(parameters, self.work_here), None
        with lending(room) as lent:
            return self.rows(parameters, self.work_here), lent.arrays

    def room(self, lanes: int) -> Any:
        """Room for the steps of so many trajectories; None where they are kept otherwise. Slopes have no use for it."""
        if self.outcomes.gradients or not self.budget.tolerance:
            return None

        def rows(some: dict[str, jax.Array]) -> Any:
            solution = self.model.solve(self.completed(some, (lanes,)), self.options, self.work_here)
            assert isinstance(solution, ClockSolution)
            return kept_rows(solution.system, solution.stepping)

        shape: Any = jax.ShapeDtypeStruct
        inputs = {name: shape((lanes,), kind) for name, kind in self.inputs.items()}
        return jax.tree.map(lambda row: jnp.full(row.shape, jnp.inf, row.dtype), jax.eval_shape(rows, inputs))

    def trajectories(self, parameters: Mapping[str, jax.Array], times: tuple[float, ...]) -> jax.Array:
        """Doublings made by each time, shape (times, lanes); NaN beyond a trajectory's own horizon, and where it failed."""
        solution = self.model.solve(parameters, self.options, self.work_here)
        made = solution.levels(times)[0]
        is_followed = (jnp.asarray(times, made.dtype)[:, None] <= solution.horizon) & ~solution.failed
        return jnp.where(is_followed, made, jnp.nan)

    def audit(self, drawn: Mapping[str, jax.Array], flags: jax.Array, numbers: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The error of outcomes, in `Rows`, of trajectories with these `inputs`, as the working precision drew them, each (lanes,).

        Returns the relative error of every number, (numbers, lanes) float64, and whether each flag differs, (flags, lanes) bool.
        """
        shape = flags.shape[1:]
        exact_drawn = {name: value if name in PATH else value.astype(jnp.float64) for name, value in drawn.items()}
        exact_parameters = self.completed(exact_drawn, shape, jnp.float64)
        exact = self.evaluate(exact_parameters, self.work_here.for_audit())
        horizon = exact_parameters["horizon"]
        errors = [jnp.zeros((0, *horizon.shape))]
        differ = [jnp.zeros((0, *horizon.shape), bool)]
        for label, ours in zip(self.flags, flags, strict=True):
            differ.append((ours != exact.values[label.name])[None])
        for label, ours in zip(self.numbers, numbers, strict=True):
            errors.append(_relative_error(ours.astype(jnp.float64), exact, horizon, label)[None])
        return jnp.concatenate(errors), jnp.concatenate(differ)


def _relative_error(ours: jax.Array, found: Evaluation, horizon: jax.Array, label: Label) -> jax.Array:
    exact, scale = found.values[label.name], found.scales[label.name]
    difference = jnp.abs(ours - exact)
    error = jnp.where(difference > 0, difference / jnp.abs(scale), 0.0)
    one_reached = jnp.isfinite(ours) != jnp.isfinite(exact)
    if label.is_date:
        # A date just inside the horizon for one of them and just beyond for the other differs by no more than its distance to the horizon;
        # where an infinite scale says that nobody can tell whether it is reached, by nothing.
        reached = jnp.where(jnp.isfinite(ours), ours, exact)
        error = jnp.where(one_reached, jnp.where(jnp.isfinite(scale), jnp.abs(horizon - reached) / horizon, 0.0), error)
    else:
        # One is infinite and the other is not; of what is made of others, those tell.
        error = jnp.where(one_reached, found.ends.get(label.name, 0.0), error)
    # A trajectory that failed is counted, not judged.
    return jnp.where((ours == exact) | jnp.isnan(ours) | jnp.isnan(exact), 0.0, error)
