"""What every kind of place can do: hold a store, its ledgers, and a lock that lets one launcher write.

A launcher is "whole", which writes alone, or a shard "1-of-4", which writes beside the other shards. Each has a journal of its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

WHOLE = "whole"
LEDGER = "ledger"
"""The folder in a store that holds the ledgers."""
HEAD = f"{LEDGER}/head.json"
"""What a store holds and how it is cut: written last when a store is made."""
VERSIONED = "icechunk+"
"""How the address of a place begins that keeps every version."""
VERSIONS = "icechunk.json"
"""Says where the hierarchy is, in a place that keeps it in an icechunk repository."""


class PlaceError(Exception):
    """A place that cannot be used."""


class AddressError(PlaceError):
    """What is no address of a store."""


class Busy(PlaceError):
    """A place that another launcher writes; `launcher` says which, `holder` what is known of it."""

    def __init__(self, launcher: str, holder: str = "") -> None:
        super().__init__(launcher, holder)
        self.launcher, self.holder = launcher, holder


class Journal(ABC):
    """The ledger of one launcher, open for appending."""

    @abstractmethod
    def append(self, line: bytes) -> None:
        """Add a line (without its line break), durably; on an object store soon, and at the latest when the journal is closed."""


class Place(ABC):
    """Where a store lies, or will lie."""

    address: str
    """As the user wrote it, for messages."""
    objects: Any = None
    """The object store below the address, for a place that lies in one."""
    title: str
    """The last part of the address, without the ending .zarr."""
    path: Path | None = None
    """The folder, for a place that is one."""
    one_writer = False
    """Whether no more than one process may ever write here, so that neither shards nor dask's workers can."""
    errors: tuple[type[Exception], ...] = ()
    """What else than OSError reading and writing the hierarchy raises where the place does not do it."""
    generation = 0
    """Counts up whenever a hierarchy that was opened before must be opened again."""

    @property
    def snapshot(self) -> str | None:
        """The name of what the store holds now, for a place that keeps every version of it. Raises PlaceError."""
        return None

    @property
    def opening(self) -> str:
        """The Python that opens a finished cube."""
        return f"sweep.open_cube({self.address!r})"

    def zarr_store(self, read_only: bool) -> Any:
        """zarr's own kind of store of the hierarchy, for a place that comes with one. Raises PlaceError."""
        return None

    @abstractmethod
    def exists(self) -> bool:
        """Whether anything is there."""

    @abstractmethod
    def read(self, name: str) -> bytes | None:
        """The content of a file in the store, None where there is none."""

    @abstractmethod
    def has(self, name: str) -> bool:
        """Whether there is such a file in the store."""

    @abstractmethod
    def write(self, name: str, content: bytes) -> None:
        """Make or replace a file in the store as a whole, durably."""

    @abstractmethod
    def remove(self, names: Iterable[str]) -> None:
        """Remove files of the store; those that are not there are no matter."""

    @abstractmethod
    def make(self, fill: Callable[[Place], None]) -> bool:
        """Make the store: `fill` puts everything into it, and it is seen whole or not at all. False where another made it meanwhile."""

    @abstractmethod
    def settle(self, names: Iterable[str], release: bool = False) -> None:
        """Return once these files, written before, would survive a loss of power; `release` those that nobody is about to read from the
        memory in which the system keeps what was written."""

    @abstractmethod
    def journals(self) -> dict[str, bytes]:
        """What the ledgers hold, by launcher."""

    @abstractmethod
    def hold(self, launcher: str) -> AbstractContextManager[Journal]:
        """Keep other launchers out and open the journal. Raises Busy where another is at work."""

    @abstractmethod
    def running(self) -> list[str]:
        """The launchers that are at work now."""

    @abstractmethod
    def remove_strays(self) -> None:
        """Remove what writers that were killed have left half-written. Only while the whole place is held."""

    @abstractmethod
    def free_bytes(self) -> int | None:
        """Room that is left, where it is known."""
