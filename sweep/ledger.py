"""The ledger of a store: what is finished, one JSON line each, written durably by the one coordinator.

    {"format": 1, "fingerprint": …, "identity": …, "policy": {"box": […], "blocks": …}}          the first line
    {"tile": "0:8/3", "draws": …, "crc": {array: …}, "seconds": …, "device": …, "jaxlib": …, …}    a receipt a finished tile

A receipt is appended after the tile's data and never before, so that a tile without a receipt is run again and overwrites what it finds,
and one with a receipt is trusted. The last line may be torn by a crash; it is then cut off and its tile is run again. The file is locked
while a sweep runs: a second launcher on the same store is refused.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

FILE = "ledger.jsonl"


class LedgerError(Exception):
    """A ledger that cannot be used: unreadable, or in use by another launcher."""


def write_head(store: Path, head: Mapping[str, Any]) -> None:
    """Begin the ledger of a new store."""
    with (store / FILE).open("wb") as file:
        file.write(_line(head))
        file.flush()
        os.fsync(file.fileno())


def read(store: Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The head, and the latest receipt of every tile by its name. Raises LedgerError."""
    path = store / FILE
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise LedgerError(f"{path}: {error.strerror or error}") from None
    # What follows the last line break was torn off by a crash.
    complete = lines[:-1]
    try:
        head, *receipts = [json.loads(line) for line in complete]
        return dict(head.items()), {receipt["tile"]: receipt for receipt in receipts}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise LedgerError(f"{path}: damaged; a complete line is not a receipt") from None


class Ledger:
    """The ledger of a store, opened for appending by the one coordinator. A context manager."""

    def __init__(self, store: Path) -> None:
        self._path = store / FILE

    def __enter__(self) -> Self:
        self._file = self._path.open("r+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise LedgerError(f"{self._path.parent}: another run is writing this store; wait for it to end, or stop it") from None
        content = self._file.read()
        # Cut a torn line, so that the next one begins where a line begins.
        self._file.truncate(content.rfind(b"\n") + 1)
        self._file.seek(0, os.SEEK_END)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    def append(self, receipt: Mapping[str, Any]) -> None:
        """Add a receipt, durably. Raises OSError if the disk does not take it."""
        self._file.write(_line(receipt))
        self._file.flush()
        os.fsync(self._file.fileno())


def _line(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"
