"""A kernel without its surroundings: parameters given, model and outcomes computed, on every device at once; and the whole tile program."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from benchmarks.environment import cores
from kernels.in_turn import in_turn
from kernels.program import Study, TileProgram, TileShape, compiler_options, sub_block
from kernels.sampling import seed_key


def devices() -> list[Any]:
    """Every accelerator that JAX sees, or one CPU device a core, as the engine has it."""
    settings: Any = jax.config
    if settings.jax_num_cpu_devices < cores():
        settings.update("jax_num_cpu_devices", cores())
    return jax.devices()


class Threads:
    """One thread a device, each waiting for what its device computes."""

    def __init__(self, calls: list[Callable[[], Any]]) -> None:
        wait: Callable[[Any], Any] = jax.block_until_ready
        self._calls, self._wait, self._pool = calls, wait, ThreadPoolExecutor(len(calls))

    def __call__(self) -> list[Any]:
        """What every call gives, once all are computed."""
        return list(self._pool.map(lambda call: self._wait(call()), self._calls))


class Batches:
    """`function` of one batch of parameters after another, (rows, batch) of (rows, lanes), on every device at once.

    It gives answers of shape (answers, batch). Lanes beyond whole batches of every device are left out.
    """

    def __init__(self, function: Callable[[jax.Array], jax.Array], given: NDArray[Any], on: list[Any], batch: int) -> None:
        blocks = given.shape[1] // (len(on) * batch)
        self.lanes = blocks * len(on) * batch
        shares = given[:, : self.lanes].reshape(len(given), len(on), blocks, batch)
        run = jax.jit(lambda share: in_turn(function, share), compiler_options=compiler_options())
        held = [jax.device_put(shares[:, index].swapaxes(0, 1), device) for index, device in enumerate(on)]
        self.run = Threads([lambda share=share: run(share) for share in held])  # type: ignore[misc]

    def answers(self) -> NDArray[Any]:
        """(answers, lanes)."""
        return np.concatenate([np.asarray(share).swapaxes(0, 1).reshape(share.shape[1], -1) for share in self.run()], axis=1)


class Bare:
    """Outcomes of given parameters, without draws and statistics, in sub-blocks as the tile program has them.

    `parameters` (drawn parameters, lanes) in the order of the study's design. `lanes` is how many of them are computed: whole sub-blocks,
    the same on every device.
    """

    def __init__(self, study: Study, parameters: NDArray[Any], on: list[Any]) -> None:
        self.study, self._width = study, sub_block(study)
        blocks = parameters.shape[1] // (len(on) * self._width)
        self.lanes = blocks * len(on) * self._width
        shares = parameters[:, : self.lanes].astype(study.dtype).reshape(len(parameters), len(on), blocks, self._width)
        run = jax.jit(lambda blocks: in_turn(self._block, blocks), compiler_options=compiler_options())
        held = [jax.device_put(shares[:, index].swapaxes(0, 1), device) for index, device in enumerate(on)]
        self.run = Threads([lambda share=share: run(share) for share in held])  # type: ignore[misc]

    def outcomes(self) -> NDArray[Any]:
        """The outcomes, (labels, lanes), flags as 0 and 1."""
        return np.concatenate([np.asarray(share).swapaxes(0, 1).reshape(share.shape[1], -1) for share in self.run()], axis=1)

    def _block(self, drawn: jax.Array) -> jax.Array:
        study = self.study
        parameters = {name: row for (name, _), row in zip(study.design.distributions, drawn, strict=True)}
        parameters |= {name: jnp.full(drawn.shape[1:], value, study.dtype) for name, value in study.fixed.items()}
        parameters |= {name: parameters[other] for name, other in study.follows.items()}
        return jnp.stack(list(study.evaluate(parameters, study.work_here).values.values()))


class Tiles:
    """The tile program of a study on every device at once, each with `blocks` blocks of draws of its own."""

    def __init__(self, study: Study, blocks: int, on: list[Any]) -> None:
        program, key = TileProgram(study, TileShape(1, blocks)), seed_key(1)
        self.lanes = len(on) * blocks * study.design.block
        cells = np.zeros((1, 0))
        self.run = Threads(
            [
                lambda index=index, device=device: program(cells, index * blocks, blocks, self.lanes, key, device)  # type: ignore[misc]
                for index, device in enumerate(on)
            ]
        )

    def audit(self) -> tuple[float, float]:
        """The worst relative error of a number, and the share of flags that differ, as the program's own audit finds them."""
        arrays = self.run()
        audited = sum(int(share["audited"].sum()) * share["differ"].shape[-1] for share in arrays)
        differ = sum(int(share["differ"].sum()) for share in arrays)
        return max(float(share["error"].max(initial=0.0)) for share in arrays), differ / max(audited, 1)
