"""Growth laws by diffrax: vmapped adaptive steps with saved values, in batches, on every device at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from benchmarks.bare import Threads
from benchmarks.laws import Law
from benchmarks.peers.growth_equations import doubling_time, rates, start
from kernels.compiler import compiled
from kernels.in_turn import in_turn

SOLVERS: Mapping[str, Callable[[], Any]] = {"Tsit5": diffrax.Tsit5, "Dopri8": diffrax.Dopri8}


class DiffraxLaw:
    """Answers of `law` for parameters (drawn, lanes): dates of its levels or doublings by its times.

    `relative` is the tolerance of the steps, `batch` how many trajectories are vmapped at once. Trajectories are dropped to a multiple of
    the batches that the devices share.
    """

    def __init__(self, law: Law, drawn: NDArray[Any], on: list[Any], solver: str, relative: float, batch: int) -> None:
        self._law, self._relative, self._solver = law, relative, SOLVERS[solver]
        given = law.parameters(drawn)
        blocks = drawn.shape[1] // (len(on) * batch)
        self.lanes = blocks * len(on) * batch
        shares = [
            {name: row[: self.lanes].astype(drawn.dtype).reshape(len(on), blocks, batch)[index] for name, row in given.items()}
            for index in range(len(on))
        ]
        run = compiled(lambda share: in_turn(jax.vmap(self._solved), share))
        self._held = [jax.device_put(share, device) for share, device in zip(shares, on, strict=True)]
        self.run = Threads([lambda share=share: run(share) for share in self._held])  # type: ignore[misc]

    def answers(self) -> NDArray[Any]:
        """(questions, lanes)."""
        return np.concatenate([np.moveaxis(np.asarray(share), -1, 0).reshape(share.shape[-1], -1) for share in self.run()], axis=1)

    def steps(self) -> float:
        """The mean number of steps that a trajectory takes, those that are taken again included."""
        count = jax.jit(jax.vmap(lambda given: self._solution(given).stats["num_steps"]))
        first = {name: rows[0] for name, rows in self._held[0].items()}
        return float(np.mean(count(first)))

    def _solved(self, given: Mapping[str, jax.Array]) -> jax.Array:
        found = self._solution(given)
        values: jax.Array = found.ys if self._law.levels else found.ys[:, 0]
        return jnp.where(values > given["horizon"], jnp.inf, values) if self._law.levels else values

    def _solution(self, given: Mapping[str, jax.Array]) -> Any:
        law = self._law
        kind = given["returns"].dtype
        if law.levels:
            asked, begin = law.levels, jnp.zeros((), kind)
        else:
            asked, begin = law.times, jnp.stack(start(jnp, law, given))

        def slope(at: Any, state: Any, given: Any) -> Any:
            return doubling_time(jnp, law, given, at) if law.levels else jnp.stack(rates(jnp, law, given, at, tuple(state)))

        return diffrax.diffeqsolve(
            diffrax.ODETerm(slope),
            self._solver(),
            t0=0.0,
            t1=asked[-1],
            dt0=None,
            y0=begin,
            args=given,
            saveat=diffrax.SaveAt(ts=jnp.asarray(asked, kind)),
            stepsize_controller=diffrax.PIDController(rtol=self._relative, atol=self._relative * 1e-2),
            max_steps=4096,
            throw=False,
            adjoint=diffrax.ForwardMode(),
        )
