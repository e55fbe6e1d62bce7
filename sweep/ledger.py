"""The ledgers of a store: what is finished, one JSON line each, written durably by the launchers' coordinators.

    ledger/head.json      {"format": 1, "fingerprint": …, "identity": …, "policy": {"box": […], "blocks": …, "steps": …}, "store": …}
    ledger/whole.jsonl    the lines of a launcher that runs alone; ledger/1-of-4.jsonl those of a shard; on object stores segments of them

    {"launch": {"host": …, "pid": …}, …}                            a launcher began
    {"tile": "0:8/3", "first_block": …, "draws": …, "crc": {array: …}, …}   a receipt: this tile is finished
    {"tile": "0:8/3", "failed": "out of memory", "tries": 2, …}      this tile failed every time
    {"tile": "0:8/3", "void": "draws/x is damaged", …}               its receipt holds no longer
    {"finished": {array: crc}, "draws": …, "attributes": …, …}       the statistics were made

A receipt is appended after the tile's data and never before, so that a tile without one is run again and overwrites what it finds, and one
with a receipt is trusted. Every line ends with its own CRC-32C: one that was torn or damaged does not count, and its tile is run again.
"""

from __future__ import annotations

import json
import os
import platform
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import google_crc32c

from sweep.places import Busy, Journal, Place, PlaceError
from sweep.places.place import HEAD as HEAD
from sweep.places.place import WHOLE as WHOLE

if TYPE_CHECKING:
    from sweep.plan import Tile

_SEAL = ',"line_crc":"'

Record = dict[str, Any]


class LedgerError(Exception):
    """A ledger that cannot be used: unreadable, or in use by another launcher."""


def shard_name(number: int, shards: int) -> str:
    """What the launcher of one shard is called in its store."""
    return f"{number}-of-{shards}"


@dataclass
class Contents:
    """What the ledgers say, the latest line of a tile counting."""

    head: Record
    receipts: dict[str, Record] = field(default_factory=dict)
    failures: dict[str, Record] = field(default_factory=dict)
    launches: dict[str, Record] = field(default_factory=dict)
    """The last launch of each launcher."""
    finished: Record | None = None
    latest: float = 0.0
    """When the latest line was written, in seconds since 1970."""
    damaged: int = 0
    """Lines that do not count, be it that they were torn or that they were damaged."""

    def has(self, tile: Tile) -> bool:
        """Whether a tile is finished, as it is now: with more draws, the column of a last block that was not full is another tile."""
        receipt = self.receipts.get(tile.name)
        return receipt is not None and (receipt["first_block"], receipt["draws"]) == (tile.first_block, tile.draws)


def write_head(place: Place, head: Mapping[str, Any]) -> None:
    """Write what a new store holds."""
    place.write(HEAD, json.dumps(head, separators=(",", ":")).encode() + b"\n")


def read_head(place: Place) -> Record:
    """What a store holds. Raises LedgerError."""
    content = place.read(HEAD)
    try:
        if content is None:
            raise LedgerError(f"{place.address}: {HEAD} is missing; the store cannot be continued")
        head: Record = json.loads(content)
        if not {"format", "identity", "policy"} <= head.keys():
            raise ValueError
    except (ValueError, AttributeError):
        raise LedgerError(f"{place.address}: {HEAD} is damaged; restore it from a copy, or name another store") from None
    return head


def read(place: Place) -> Contents:
    """What the ledgers of a store say. Raises LedgerError."""
    contents = Contents(read_head(place))
    try:
        journals = place.journals()
    except OSError as error:
        raise LedgerError(f"{place.address}: its ledger cannot be read ({error.strerror or error})") from None
    found: list[tuple[float, str, Record]] = []
    for launcher, journal in journals.items():
        # What follows the last line break was torn off by a crash.
        *lines, torn = journal.split(b"\n")
        contents.damaged += bool(torn)
        for line in lines:
            record = opened(line)
            if record is None:
                contents.damaged += 1
            else:
                found.append((record["at"], launcher, record))
    for at, launcher, record in sorted(found, key=lambda each: each[0]):
        contents.latest = at
        if "launch" in record:
            contents.launches[launcher] = record
        elif "finished" in record:
            contents.finished = record
        else:
            contents.receipts.pop(record["tile"], None)
            contents.failures.pop(record["tile"], None)
            if "crc" in record:
                contents.receipts[record["tile"]] = record
            elif "void" not in record:
                contents.failures[record["tile"]] = record
    return contents


def sealed(record: Mapping[str, Any]) -> bytes:
    """A record as a line with its CRC."""
    text = json.dumps(record, separators=(",", ":"))
    return f'{text[:-1]}{_SEAL}{google_crc32c.value(text.encode()):08x}"}}'.encode()


def opened(line: bytes) -> Record | None:
    """The record in a line, None where the line is not what was written."""
    try:
        text, found, seal = line.decode("ascii").rpartition(_SEAL)
        content = text + "}"
        if not found or seal != f"{google_crc32c.value(content.encode()):08x}" + '"}':
            return None
        record: Record = json.loads(content)
    except ValueError:
        return None
    return record


class Ledger:
    """The ledger of one launcher, open for appending. `hold` gives it."""

    def __init__(self, journal: Journal, latest: float) -> None:
        self._journal, self._latest = journal, latest

    def append(self, record: Mapping[str, Any]) -> None:
        """Add a record, with the time. Raises OSError or PlaceError where the place does not take it."""
        # Later than every line before, whatever the clocks of the machines say: the latest line of a tile counts.
        self._latest = max(round(time.time(), 3), round(self._latest + 0.001, 3))
        self._journal.append(sealed({**record, "at": self._latest}))


@contextmanager
def hold(place: Place, launcher: str = WHOLE) -> Iterator[Ledger]:
    """Write a store as one launcher. Raises LedgerError where another is at work that may not be beside it."""
    shards = launcher.rpartition("-of-")[2]
    for other in place.running() if launcher != WHOLE else []:
        if other != WHOLE and other.rpartition("-of-")[2] != shards:
            raise busy_error(place, Busy(other))
    with ExitStack() as stack:
        try:
            journal = stack.enter_context(place.hold(launcher))
        except Busy as busy:
            raise busy_error(place, busy) from None
        ledger = Ledger(journal, read(place).latest)
        ledger.append({"launch": {"host": socket.gethostname(), "pid": os.getpid(), "python": platform.python_version()}})
        yield ledger


def busy_error(place: Place, busy: Busy) -> LedgerError:
    """The refusal of a launcher, with the name of the one that is at work."""
    holder = busy.holder
    if not holder:
        try:
            launch = read(place).launches.get(busy.launcher)
        except (LedgerError, PlaceError):
            launch = None
        if launch is not None:
            since = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(launch["at"]))
            holder = f"pid {launch['launch']['pid']} on {launch['launch']['host']}, since {since} UTC"
    which = "another run" if busy.launcher == WHOLE else f"the run of shard {busy.launcher.replace('-of-', '/')}"
    return LedgerError(f"{place.address}: {which} is writing this store{f' ({holder})' if holder else ''}; wait for it to end, or stop it")
