"""Growth laws in software alone by diffrax in plain time: vmapped adaptive steps to one level after another, each an event whose date is
found within the step that passed it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import optimistix
from jax import lax
from numpy.typing import NDArray

from benchmarks.bare import Threads
from benchmarks.laws import Law
from benchmarks.peers.diffrax_laws import SOLVERS
from benchmarks.peers.growth_equations import rates
from kernels.compiler import compiled
from kernels.in_turn import in_turn


class DiffraxInTime:
    """Dates of a law's levels for parameters (drawn, lanes), as `DiffraxLaw` gives them, with steps in time."""

    def __init__(self, law: Law, drawn: NDArray[Any], on: list[Any], solver: str, relative: float, batch: int) -> None:
        assert law.levels
        self._law, self._relative, self._solver = law, relative, SOLVERS[solver]
        blocks = drawn.shape[1] // (len(on) * batch)
        self.lanes = blocks * len(on) * batch
        given = {name: row[: self.lanes].astype(drawn.dtype).reshape(len(on), blocks, batch) for name, row in law.parameters(drawn).items()}
        solved = compiled(lambda share: in_turn(jax.vmap(self._solved), share))

        def run(share: Any) -> Any:
            # Where float64 exists, diffrax takes its events for float64.
            with jax.enable_x64(drawn.dtype == np.float64):
                return solved(share)

        held = [jax.device_put({name: row[index] for name, row in given.items()}, device) for index, device in enumerate(on)]
        self.run = Threads([lambda share=share: run(share) for share in held])  # type: ignore[misc]

    def answers(self) -> NDArray[Any]:
        """(levels, lanes)."""
        return np.concatenate([np.moveaxis(np.asarray(dates), -1, 0).reshape(dates.shape[-1], -1) for dates, _ in self.run()], axis=1)

    def steps(self) -> float:
        """The mean number of steps that a trajectory takes, those that are taken again included."""
        return float(np.mean([np.asarray(steps) for _, steps in self.run()]))

    def _solved(self, given: Mapping[str, jax.Array]) -> tuple[jax.Array, jax.Array]:
        kind, relative = given["returns"].dtype, self._relative

        def slope(time: Any, state: Any, given: Any) -> Any:
            return rates(jnp, self._law, given, time, (state,))[0]

        def to(begin: tuple[jax.Array, jax.Array], level: jax.Array) -> tuple[tuple[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]:
            def above(t: Any, y: Any, args: Any, **_: Any) -> Any:
                return y - level

            found = diffrax.diffeqsolve(
                diffrax.ODETerm(slope),
                self._solver(),
                t0=begin[0],
                t1=given["horizon"],
                dt0=None,
                y0=begin[1],
                args=given,
                saveat=diffrax.SaveAt(t1=True),
                stepsize_controller=diffrax.PIDController(rtol=relative, atol=relative * 1e-2),
                event=diffrax.Event(above, optimistix.Newton(rtol=relative, atol=relative)),
                max_steps=4096,
                throw=False,
                adjoint=diffrax.ForwardMode(),
            )
            time, state = found.ts[-1], found.ys[-1]
            # Not by its result: close to the blow-up float32 cannot tell times as near to each other as the root finder asks for.
            reached = jnp.abs(state - level) < 1e-3 * level
            # On from what was found, and not from the level, so that no error is hidden.
            return (time, state), (jnp.where(reached, time, jnp.inf), found.stats["num_steps"])

        begin = jnp.zeros((), kind), jnp.zeros((), kind)
        _, (dates, steps) = lax.scan(to, begin, jnp.asarray(self._law.levels, kind))
        return dates, steps.sum()
