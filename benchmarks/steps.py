"""What each step of the tile program costs a trajectory: draws and one final number, then all outcomes, sums, histograms, the audit.

Each step is timed with all before it, so that what it adds is a difference of two rates. The bare kernel, which is given its parameters, is
set beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from benchmarks import studies
from benchmarks.bare import Bare, Threads, Tiles, answers_of
from benchmarks.laws import LAWS
from benchmarks.record import Column, Table
from benchmarks.show import cell
from benchmarks.timing import Rounds, Spread, interleaved, rates, ratio, spread
from kernels.compiler import compiled
from kernels.in_turn import in_turn
from kernels.lanes import ALIKE_LANES, solved_alike, sub_block
from kernels.outcomes import Outcomes
from kernels.program import Keep, TileProgram
from kernels.sampling import seed_key
from kernels.study import Study

_COLUMNS = (
    Column("what", "step, with all before it"),
    Column("rate", "trajectories/s, all cores", "rate"),
    Column("added", "added, ns a trajectory a core"),
    Column("ratio", "time, of the final state's", "ratio"),
)
_FINAL, _LAST, _BARE = "draws, final state only", "audit: the whole tile program", "bare kernel: parameters given, all outcomes"


@dataclass(frozen=True)
class Case:
    """A study and its final state alone, doublings at the horizon; `most` is how much longer the whole may take, where that is asked."""

    name: str
    study: Study
    final: Outcomes
    most: float | None = None


def cases() -> tuple[Case, ...]:
    """A recursion, the demo; a quadrature, its continuous limit; and a law of three states in the mixed clock."""
    last = Outcomes(times=studies.BASE.years_of_progress[-1:])
    law = LAWS[3]
    every = Outcomes(doublings=(10.0, 20.0), times=law.times, regime=10.0)
    return (
        Case("recursion", studies.study("float32", "recursion", studies.BASE), last, 1.15),
        Case("quadrature: the continuous limit", studies.study("float32", "continuous", studies.CONTINUOUS), last),
        Case(f"clock: {law.name}", replace(law.study("float32"), outcomes=every), Outcomes(times=law.times[-1:]), 1.15),
    )


class _Drawn:
    """Outcomes of the draws of a study, in sub-blocks as the tile program has them, without statistics."""

    def __init__(self, study: Study, lanes: int, on: list[Any]) -> None:
        alike, key = solved_alike(study), seed_key(1)
        width = min(ALIKE_LANES, study.design.block) if alike else sub_block(study)
        blocks = max(1, lanes // (len(on) * width))
        self.lanes = blocks * len(on) * width

        def block(key: jax.Array, first: jax.Array) -> jax.Array:
            parameters = study.parameters(key, study.design.in_rows(first + jnp.arange(width, dtype=jnp.uint32)), jnp.zeros(0, study.dtype))
            if alike:
                drawn = {name: parameters[name] for name in study.inputs}
                return answers_of(study.rows_alike(drawn, width, alike))
            return answers_of(study.rows(parameters, study.work_here))

        run = compiled(lambda key, firsts: in_turn(lambda first: block(key, first), firsts))
        firsts = (np.arange(len(on) * blocks, dtype=np.uint32) * np.uint32(width)).reshape(len(on), blocks)
        held = [(jax.device_put(key, device), jax.device_put(share, device)) for share, device in zip(firsts, on, strict=True)]
        self.run = Threads([lambda share=share: run(*share) for share in held])  # type: ignore[misc]


class _Unaudited(TileProgram):
    """The tile program without its audit."""

    def _judged(self, *audited: Any) -> dict[str, jax.Array]:
        return {}


def steps(case: Case, draws: int, rounds: Rounds, on: list[Any]) -> tuple[Table, dict[str, Spread]]:
    """The table of a case; and how many times the whole takes what the final state does ("whole") and the bare kernel does ("bare")."""
    study = case.study
    blocks = max(1, draws // (len(on) * study.design.block))
    given = _parameters(study, blocks * len(on) * study.design.block)
    contenders: dict[str, Any] = {
        _FINAL: _Drawn(replace(study, outcomes=case.final), given.shape[1], on),
        "all outcomes": _Drawn(study, given.shape[1], on),
        "sums": Tiles(study, blocks, on, Keep(histograms=False), _Unaudited),
        "histograms, for quantiles": Tiles(study, blocks, on, Keep(), _Unaudited),
        _LAST: Tiles(study, blocks, on),
        _BARE: Bare(study, given, on),
    }
    seconds = interleaved({name: contender.run for name, contender in contenders.items()}, rounds)
    taken = {name: [one / contenders[name].lanes for one in values] for name, values in seconds.items()}
    rows: list[dict[str, Any]] = []
    before: list[float] | None = None
    for name, values in taken.items():
        added = None if before is None or name == _BARE else spread([one - other for one, other in zip(values, before, strict=True)])
        rows.append(
            {
                "what": name,
                "rate": spread(rates(values, 1.0)),
                "added": "–" if added is None else nanoseconds(added, len(on)),
                "ratio": ratio(values, taken[_FINAL]),
            }
        )
        before = values
    note = f"{len(study.labels)} outcomes; steps of the solver and their kind as the study's tolerance has them."
    found = {
        "whole": ratio(taken[_LAST], taken[_FINAL]),
        "bare": ratio(taken[_BARE], taken[_LAST]),
        "an outcome": spread([(one - other) / len(study.labels) for one, other in zip(taken[_LAST], taken[_FINAL], strict=True)]),
    }
    return Table(f"What each step costs, {case.name}, float32", _COLUMNS, tuple(rows), (note,)), found


def figures(case: Case, found: dict[str, Spread], on: list[Any]) -> Iterator[dict[str, Any]]:
    """What is asked of the steps of a case."""
    judged = on[0].platform == "cpu"
    whole, bare = found["whole"], found["bare"]
    if case.most is not None:
        reached = whole["median"] <= case.most if judged else None
        what = f"{case.name}: outcomes, statistics and audit, time of the final state's"
        yield {"figure": what, "measured": cell(whole, "ratio"), "asked": f"≤ {case.most}×", "reached": reached}
    else:
        what = f"{case.name}: outcomes, statistics and audit, an outcome"
        yield {"figure": what, "measured": f"{nanoseconds(found['an outcome'], len(on))} ns", "asked": "stated", "reached": None}
    reached = bare["median"] >= 0.9 if judged else None
    what = f"{case.name}: from draws to statistics, rate of the bare kernel's"
    yield {"figure": what, "measured": cell(bare, "ratio"), "asked": "≥ 0.9×", "reached": reached}


def nanoseconds(seconds: Spread, cores: int) -> str:
    """Seconds a trajectory on all cores as nanoseconds on one."""
    scale = 1e9 * cores
    return f"{scale * seconds['median']:.1f} ({scale * seconds['low']:.1f} to {scale * seconds['high']:.1f})"


def _parameters(study: Study, lanes: int) -> NDArray[Any]:
    """The first draws of a study, (drawn parameters, lanes)."""
    drawn: Callable[..., Any] = jax.jit(lambda key, draw: study.design.parameters(key, draw, study.dtype))
    found = drawn(seed_key(1), np.arange(lanes, dtype=np.uint32))
    return np.stack([np.asarray(found[name]) for name, _ in study.design.distributions])
