"""A kernel without its surroundings: parameters given, model and outcomes computed, on every device at once; and the whole tile program."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import NDArray

from benchmarks.affinity import held_to
from benchmarks.environment import cores
from kernels.compiler import compiled
from kernels.devices import devices as of_workers
from kernels.in_turn import in_turn
from kernels.lanes import ALIKE_LANES, solved_alike, sub_block
from kernels.outcomes import Rows
from kernels.program import Keep, TileProgram, TileShape
from kernels.sampling import seed_key
from kernels.solvers.budget import Budget
from kernels.solvers.clock_solution import ClockSolution
from kernels.solvers.recursion import RecursionSolution
from kernels.study import Study


def devices() -> list[Any]:
    """Every accelerator that JAX sees, or a CPU's device for each core, as the engine has it."""
    return of_workers(None, cores())


class Threads:
    """One thread a device, each waiting for what its device computes."""

    def __init__(self, calls: list[Callable[[], Any]]) -> None:
        wait: Callable[[Any], Any] = jax.block_until_ready
        self._calls, self._wait, self._pool, self._compiled = calls, wait, ThreadPoolExecutor(len(calls)), False

    def __call__(self) -> list[Any]:
        """What every call gives, once all are computed."""
        if not self._compiled:
            # Alone: what it compiles serves the others, where their device is the same.
            self._wait(self._calls[0]())
            self._compiled = True
        return list(self._pool.map(lambda call: self._wait(call()), self._calls))

    def on_cores(self, count: int) -> Callable[[], list[Any]]:
        """The calls of the first so many devices alone, on as many cores."""
        few = Threads(self._calls[:count])

        def run() -> list[Any]:
            with held_to(count):
                return few()

        return run


class Batches:
    """`function` of one batch of parameters after another, (rows, batch) of (rows, lanes), on every device at once.

    It gives answers of shape (answers, batch). Lanes beyond whole batches of every device are left out.
    """

    def __init__(self, function: Callable[[jax.Array], jax.Array], given: NDArray[Any], on: list[Any], batch: int) -> None:
        blocks = given.shape[1] // (len(on) * batch)
        self.lanes = blocks * len(on) * batch
        shares = given[:, : self.lanes].reshape(len(given), len(on), blocks, batch)
        run = compiled(lambda share: in_turn(function, share))
        held = [jax.device_put(shares[:, index].swapaxes(0, 1), device) for index, device in enumerate(on)]
        self.run = Threads([lambda share=share: run(share) for share in held])  # type: ignore[misc]

    def answers(self) -> NDArray[Any]:
        """(answers, lanes)."""
        return np.concatenate([np.asarray(share).swapaxes(0, 1).reshape(share.shape[1], -1) for share in self.run()], axis=1)


def answers_of(rows: Rows) -> jax.Array:
    """The outcomes, (labels, lanes), flags as 0 and 1."""
    return jnp.concatenate([rows.flags.astype(rows.numbers.dtype), rows.numbers])


def _named(study: Study, drawn: jax.Array) -> dict[str, jax.Array]:
    return {name: row for (name, _), row in zip(study.design.distributions, drawn, strict=True)}


def outcomes_of(study: Study, drawn: jax.Array, budget: Budget | None = None) -> Rows:
    """The outcomes of parameters (drawn parameters, lanes), in the order of the study's design."""
    return study.rows(_completed(study, drawn), budget or study.work_here)


def _completed(study: Study, drawn: jax.Array) -> dict[str, jax.Array]:
    return study.completed(_named(study, drawn), drawn.shape[1:])


class Bare:
    """Outcomes of given parameters, without draws and statistics, in sub-blocks as the tile program has them.

    `parameters` (drawn parameters, lanes) in the order of the study's design. `lanes` is how many of them are computed: whole sub-blocks,
    or whole groups of them that are solved in another order than the draws', the same on every device; `width` those of a sub-block.
    """

    def __init__(self, study: Study, parameters: NDArray[Any], on: list[Any]) -> None:
        self.study, self._alike = study, solved_alike(study)
        self.width = self._alike or min(sub_block(study), parameters.shape[1] // len(on))
        group = self.width
        # As many sub-blocks as are put in order together, and there are.
        while self._alike and group < ALIKE_LANES and 2 * group * len(on) <= parameters.shape[1]:
            group *= 2
        groups = parameters.shape[1] // (len(on) * group)
        self.lanes = groups * len(on) * group
        shares = parameters[:, : self.lanes].astype(study.dtype).reshape(len(parameters), len(on), groups, group)
        self._held = [jax.device_put(shares[:, index].swapaxes(0, 1), device) for index, device in enumerate(on)]
        self.run = self._of_each(self._group)

    def outcomes(self) -> NDArray[Any]:
        """The outcomes, (labels, lanes), flags as 0 and 1."""
        return np.concatenate([np.asarray(share).swapaxes(0, 1).reshape(share.shape[1], -1) for share in self.run()], axis=1)

    def steps(self) -> NDArray[np.int32]:
        """Steps that each trajectory takes, (lanes,), of a study in which each takes its own."""

        def taken(drawn: jax.Array) -> jax.Array:
            solution = self.study.model.solve(_completed(self.study, drawn), self.study.options, self.study.work_here)
            assert isinstance(solution, ClockSolution | RecursionSolution)
            return solution.steps_taken

        def of_group(drawn: jax.Array) -> jax.Array:
            steps: jax.Array = lax.map(taken, drawn.reshape(len(drawn), -1, self.width).swapaxes(0, 1))
            return steps.ravel()

        return np.concatenate([np.asarray(share).ravel() for share in self._of_each(of_group)()])

    def block(self, drawn: jax.Array, budget: Budget | None = None) -> jax.Array:
        """The outcomes of a sub-block, (labels, width), of parameters (drawn parameters, width): the program that is run for each, or one
        of another budget."""
        return answers_of(outcomes_of(self.study, drawn, budget))

    def _group(self, drawn: jax.Array) -> jax.Array:
        if not self._alike:
            return self.block(drawn)
        return answers_of(self.study.rows_alike(_named(self.study, drawn), drawn.shape[1], self._alike))

    def _of_each(self, function: Callable[[jax.Array], jax.Array]) -> Threads:
        """`function` of each group, compiled."""
        run = compiled(lambda groups: in_turn(function, groups))
        return Threads([lambda share=share: run(share) for share in self._held])  # type: ignore[misc]


class Tiles:
    """The tile program of a study, or a part of it, on every device at once, each with `blocks` blocks of draws of its own."""

    def __init__(self, study: Study, blocks: int, on: list[Any], keep: Keep | None = None, kind: type[TileProgram] = TileProgram) -> None:
        self.program = kind(study, TileShape(1, blocks), keep or Keep())
        key = seed_key(1)
        self.lanes = len(on) * blocks * study.design.block
        cells = np.zeros((1, 0))
        self.run = Threads(
            [
                lambda index=index, device=device: self.program(cells, index * blocks, blocks, self.lanes, key, device)  # type: ignore[misc]
                for index, device in enumerate(on)
            ]
        )

    def audit(self) -> tuple[float, float]:
        """The worst relative error of a number, and the share of flags that differ, as the program's own audit finds them."""
        arrays = self.run()
        audited = sum(int(share["audited"].sum()) * share["differ"].shape[-1] for share in arrays)
        differ = sum(int(share["differ"].sum()) for share in arrays)
        return max(float(share["error"].max(initial=0.0)) for share in arrays), differ / max(audited, 1)
