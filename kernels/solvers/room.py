"""Room for the steps of trajectories that blocks which are solved in turn hand on from one to the next: to fill it for each of them, though
most is never used, would take up to a fifth of the time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any


class Room:
    """Arrays to be written over, any tree of them: taken once, and given back after the last that is written."""

    def __init__(self, arrays: Any) -> None:
        self.arrays = arrays

    def take(self) -> Any:
        """The arrays, for the one who asks first."""
        _lent.set(None)
        return self.arrays

    def give_back(self, arrays: Any) -> None:
        """What the arrays have become."""
        self.arrays = arrays


_lent: ContextVar[Room | None] = ContextVar("room", default=None)


def lent_room() -> Room | None:
    """The room that is lent in what is traced, unless it is taken."""
    return _lent.get()


@contextmanager
def lending(arrays: Any) -> Iterator[Room]:
    """While this is traced, the first solver that keeps its steps writes them into these arrays."""
    room = Room(arrays)
    before = _lent.set(room)
    try:
        yield room
    finally:
        _lent.reset(before)
