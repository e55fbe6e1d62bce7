"""A store in a folder. Files are replaced by renaming; a store is made beside its place and renamed; flock keeps launchers apart.

A lock ends with its process, however that ends, so none is ever left behind.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO

from sweep.places.place import HEAD, LEDGER, WHOLE, Busy, Journal, Place, PlaceError

_JOURNAL = ".jsonl"
_SYNCS_AT_ONCE = 8
_PATIENCE = 0.3
"""Seconds for which a launcher tries to lock its journal: who asks for the launchers at work locks each for a moment."""


class Folder(Place):
    """A folder on a local or shared disk."""

    def __init__(self, path: Path) -> None:
        self.path: Path = path
        self.address = str(path)
        # Only this ending says what it is: r1.2 and r1.4 are two names.
        self.title = path.absolute().name.removesuffix(".zarr")
        self._entered: set[Path] = set()
        """Folders of the store whose entries in the ones above are on the disk."""

    @property
    def opening(self) -> str:
        return f'xarray.open_datatree({self.address!r}, engine="zarr")'

    def exists(self) -> bool:
        # An empty folder is room for a store.
        with self._reading():
            return self.path.exists() and not (self.path.is_dir() and next(self.path.iterdir(), None) is None)

    def read(self, name: str) -> bytes | None:
        with self._reading():
            try:
                return (self.path / name).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None

    def has(self, name: str) -> bool:
        with self._reading():
            return (self.path / name).is_file()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Errors of the disk as ours: not to be allowed to read is another thing than not to be allowed to write."""
        try:
            yield
        except OSError as error:
            fix = "; have its owner allow it, or name another store" if isinstance(error, PermissionError) else ""
            raise PlaceError(f"{self.address}: cannot be read ({error.strerror or error}){fix}") from None

    def write(self, name: str, content: bytes) -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.{os.getpid()}.partial")
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _fsync(path.parent)

    def remove(self, names: Iterable[str]) -> None:
        for name in names:
            (self.path / name).unlink(missing_ok=True)

    def make(self, fill: Callable[[Place], None]) -> bool:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        start = f".{self.path.name}.{socket.gethostname()}."
        for left in self.path.parent.glob(f"{start}*.new"):
            # Of a process that was killed while it made the store.
            if not _alive(left.name.removeprefix(start).removesuffix(".new")):
                shutil.rmtree(left, ignore_errors=True)
        temporary = self.path.with_name(f"{start}{os.getpid()}.new")
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            fill(Folder(temporary))
            try:
                temporary.rename(self.path)
            except OSError:
                if self.read(HEAD) is None:
                    raise
                return False
            _fsync(self.path.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return True

    def settle(self, names: Iterable[str], release: bool = False) -> None:
        files = [self.path / name for name in names]
        # A file is there for good only when its folder says so, and that only when the one above does; but each is new only once.
        folders = {file.parent for file in files}
        within = {above for each in folders for above in (each, *each.parents) if self.path in above.parents}
        new = {each for each in within if each not in self._entered}
        with ThreadPoolExecutor(_SYNCS_AT_ONCE) as pool:
            list(pool.map(partial(_fsync, release=release), files))
            list(pool.map(_fsync, folders | {each.parent for each in new}))
        self._entered.update(new)

    def journals(self) -> dict[str, bytes]:
        files = sorted((self.path / LEDGER).glob(f"*{_JOURNAL}"))
        return {file.name.removesuffix(_JOURNAL): file.read_bytes() for file in files}

    @contextmanager
    def hold(self, launcher: str) -> Iterator[Journal]:
        with ExitStack() as stack:
            # The whole place for one, or shared by shards, each of which has its own journal to itself.
            lock = stack.enter_context((self.path / LEDGER / "lock").open("a+b"))
            if not _lock(lock, fcntl.LOCK_EX if launcher == WHOLE else fcntl.LOCK_SH):
                raise Busy((self.running() or [WHOLE])[0])
            file = stack.enter_context((self.path / LEDGER / f"{launcher}{_JOURNAL}").open("a+b"))
            until = time.monotonic() + _PATIENCE
            while not _lock(file, fcntl.LOCK_EX):
                if time.monotonic() > until:
                    raise Busy(launcher)
                time.sleep(0.01)
            file.seek(0)
            # A crash may have torn the last line; cut it, so that the next one begins where a line begins.
            file.truncate(file.read().rfind(b"\n") + 1)
            yield _FileJournal(file)

    def running(self) -> list[str]:
        found = []
        for path in sorted((self.path / LEDGER).glob(f"*{_JOURNAL}")):
            with path.open("rb") as file:
                if not _lock(file, fcntl.LOCK_SH):
                    found.append(path.name.removesuffix(_JOURNAL))
        return found

    def remove_strays(self) -> None:
        for left in self.path.rglob("*.partial"):
            left.unlink(missing_ok=True)

    def free_bytes(self) -> int | None:
        folder = next((each for each in (self.path, *self.path.parents) if each.exists()), Path())
        return shutil.disk_usage(folder).free


class _FileJournal(Journal):
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def append(self, line: bytes) -> None:
        self._file.write(line + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def _lock(file: BinaryIO, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _fsync(path: Path, release: bool = False) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        if release and hasattr(os, "posix_fadvise"):
            # Advice, which not every system or disk takes.
            with suppress(OSError):
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def _alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True
