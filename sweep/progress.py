"""Progress: what a run tells whoever waits for it. The coordinator reports; a listener shows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from sweep.amounts import duration

SECONDS_BETWEEN_LINES = 10.0


@dataclass(frozen=True)
class State:
    """How far a run is. `fresh_trajectories` are those computed by this call, in `seconds` since it began."""

    tiles_done: int
    tiles: int
    fresh_trajectories: int
    seconds: float
    worst_error: float

    @property
    def rate(self) -> float:
        """Trajectories a second."""
        return self.fresh_trajectories / self.seconds if self.seconds > 0 else 0.0


class Listener(Protocol):
    """Told of every finished tile."""

    def __call__(self, state: State, /) -> None: ...


def silent(state: State) -> None:
    """A listener that shows nothing."""


@contextmanager
def shown_on(stream: TextIO, description: str) -> Iterator[Listener]:
    """A listener with a live bar on a terminal, and a plain line now and then elsewhere."""
    if not stream.isatty():
        yield _lines(stream, description)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} tiles"),
        TextColumn("{task.fields[rate]} trajectories/s"),
        TextColumn("error {task.fields[error]}"),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(file=stream)) as bar:
        task = bar.add_task(description, total=None, rate="–", error="–")

        def listen(state: State) -> None:
            bar.update(task, total=state.tiles, completed=state.tiles_done, rate=quantity(state.rate), error=f"{state.worst_error:.1e}")

        yield listen


@contextmanager
def counted_on(stream: TextIO, description: str) -> Iterator[Callable[[int, int], None]]:
    """A counter of (done, of) with a live bar on a terminal, and nothing elsewhere."""
    if not stream.isatty():
        yield lambda done, of: None
        return
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=Console(file=stream)
    ) as bar:
        task = bar.add_task(description, total=None)
        yield lambda done, of: bar.update(task, total=of, completed=done)


def _lines(stream: TextIO, description: str) -> Listener:
    shown = time.monotonic()
    before: int | None = None

    def listen(state: State) -> None:
        nonlocal shown, before
        if before is None:
            # What earlier calls did: every finished tile is told of, so the first is this call's first.
            before = state.tiles_done - 1
        if time.monotonic() - shown < SECONDS_BETWEEN_LINES and state.tiles_done < state.tiles:
            return
        shown = time.monotonic()
        left = (state.tiles - state.tiles_done) * state.seconds / (state.tiles_done - before)
        stream.write(
            f"{description}: {state.tiles_done}/{state.tiles} tiles, {quantity(state.rate)} trajectories/s, "
            f"ETA {duration(round(left))}, worst numerical error {state.worst_error:.1e}\n"
        )
        stream.flush()

    return listen


def quantity(number: float) -> str:
    """A large number in few characters: 12.3 M."""
    for size, name in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g} {name}"
    return f"{number:.3g}"
