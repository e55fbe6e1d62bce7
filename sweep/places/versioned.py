"""A store in an icechunk repository (icechunk+PATH, icechunk+s3://BUCKET/NAME): every tile is a commit that holds its receipt.

Below the address lie the ledger, as in any store, and the folder `repository`, which holds the hierarchy. There is one committer, which the
ledger's lock or lease keeps alone: icechunk itself would lose commits where two write into one folder. A tile's data are committed to the
branch main, then its receipt is written, so a launcher that dies in between only computes the tile again. Who reads sees the latest commit,
whole, also while a run is at work.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sweep.errors import in_one_line
from sweep.hierarchy import delete_keys, get_key, has_key, set_key
from sweep.places.folder import Folder
from sweep.places.place import HEAD, LEDGER, VERSIONED, VERSIONS, AddressError, Journal, Place, PlaceError

REPOSITORY = "repository"
BRANCH = "main"
_NEVER_CHANGED = ("chunks", "manifests", "overwritten", "snapshots", "transactions")


class RepositoryError(PlaceError):
    """What icechunk cannot read or write."""


class Versioned(Place):
    """An icechunk repository at an address, beside its ledger, which lies in `inner`."""

    one_writer = True

    def __init__(self, address: str, inner: Place) -> None:
        self.address, self.title, self.path = address, inner.title, inner.path
        self._inner = inner
        try:
            import icechunk
        except ImportError:
            raise PlaceError(f"{address}: versions need the package icechunk: pip install 'siesweep[icechunk]'") from None
        if "ICECHUNK_LOG" not in os.environ:
            # It warns that a folder is not safe for two committers; there is one.
            icechunk.set_logs_filter("error")
        self._icechunk: Any = icechunk
        # In icechunk 1 a conflict is no IcechunkError.
        self._raised: tuple[type[Exception], ...] = (icechunk.IcechunkError, icechunk.ConflictError)
        self.errors = (*self._raised, RepositoryError)
        self._repository: Any = None
        self._reading: Any = None
        self._writing: Any = None
        self._settled: set[str] = set()
        self._rest = ""

    @property
    def snapshot(self) -> str | None:
        with self._told():
            found: str = self._opened().lookup_branch(BRANCH)
        return found

    @property
    def opening(self) -> str:
        where = f"icechunk.Repository.open(icechunk.{self._storage_call()[0]})"
        return f'xarray.open_datatree({where}.readonly_session("{BRANCH}").store, engine="zarr", consolidated=False)'

    def zarr_store(self, read_only: bool) -> Any:
        """zarr's own store, of the one session that writes or, where this place is not held, of what is committed now."""
        if self._writing is not None:
            if self._writing.read_only:
                # It was committed, which ends it.
                self._begin(after=self._writing.snapshot_id)
            store = self._writing.store
            return store.with_read_only(True) if read_only else store
        if not read_only:
            raise PlaceError(f"{self.address}: written only by who holds it")
        with self._told():
            self._reading = self._opened().readonly_session(BRANCH)
        return self._reading.store

    def exists(self) -> bool:
        return self._inner.exists()

    def read(self, name: str) -> bytes | None:
        if _is_beside(name):
            return self._inner.read(name)
        if not self._is_there():
            return None
        store = self.zarr_store(read_only=True)
        with self._told():
            found = get_key(store, name)
        if found is None and name == "zarr.json":
            # A repository is made with it. icechunk 1 says the same of a snapshot that it cannot read.
            raise PlaceError(f"{self.address}: its icechunk repository has no cube, or the snapshot of its branch {BRANCH} is damaged")
        return found

    def has(self, name: str) -> bool:
        """Whether there is such a file; where this place is not held, in what was committed when it was last opened or read."""
        if _is_beside(name):
            return self._inner.has(name)
        if not self._is_there():
            return False
        session = self._writing or self._reading
        store = session.store if session is not None else self.zarr_store(read_only=True)
        with self._told():
            return has_key(store, name)

    def write(self, name: str, content: bytes) -> None:
        if _is_beside(name):
            # As a receipt, what is written beside the hierarchy speaks of what is committed.
            self._commit()
            self._inner.write(name, content)
        else:
            with self._told():
                set_key(self.zarr_store(read_only=False), name, content)

    def remove(self, names: Iterable[str]) -> None:
        beside: list[str] = []
        keys: list[str] = []
        for name in names:
            (beside if _is_beside(name) else keys).append(name)
        self._inner.remove(beside)
        if keys:
            with self._told():
                delete_keys(self.zarr_store(read_only=False), keys)

    def make(self, fill: Callable[[Place], None]) -> bool:
        def make_repository(empty: Place) -> None:
            made = self if empty is self._inner else Versioned(self.address, empty)
            empty.write(VERSIONS, json.dumps({"repository": REPOSITORY, "branch": BRANCH}).encode() + b"\n")
            with made._told():
                made._repository = self._icechunk.Repository.create(made._storage_call()[1]())
            with made._session("made"):
                fill(made)

        return self._inner.make(make_repository)

    def settle(self, names: Iterable[str], release: bool = False) -> None:
        """Nothing is for good before it is committed, and then all is."""

    def journals(self) -> dict[str, bytes]:
        return self._inner.journals()

    @contextmanager
    def hold(self, launcher: str) -> Iterator[Journal]:
        # Whatever writes does so while it holds the place.
        with self._told(), self._inner.hold(launcher) as journal, self._session("attributes and statistics"):
            yield _Commits(self, journal)

    def running(self) -> list[str]:
        return self._inner.running()

    def remove_strays(self) -> None:
        self._inner.remove_strays()

    def free_bytes(self) -> int | None:
        return self._inner.free_bytes()

    @contextmanager
    def _session(self, rest: str) -> Iterator[None]:
        """Write on the branch; what is not committed at the end is then, with the message `rest`."""
        self._begin()
        self._rest = rest
        try:
            try:
                yield
            finally:
                self._commit()
        finally:
            self._writing = None
            self.generation += 1

    def _begin(self, after: str | None = None) -> None:
        with self._told():
            self._writing = self._opened().writable_session(BRANCH)
        self.generation += 1
        if after is not None and self._writing.snapshot_id != after:
            raise self._taken(after, self._writing.snapshot_id)

    def _commit(self, message: str | None = None, metadata: dict[str, Any] | None = None) -> None:
        """Commit what was written, if anything was, for good. Raises PlaceError, above all where somebody else has committed."""
        if self._writing is None or not self._writing.has_uncommitted_changes:
            return
        # First, so that whoever is interrupted behind the commit does not write to a session that has ended.
        self.generation += 1
        with self._told():
            try:
                self._writing.commit(message or self._rest, metadata)
            except self._icechunk.ConflictError as error:
                raise self._taken(error.expected_parent, error.actual_parent) from None
        self._settle_files()

    def _settle_files(self) -> None:
        """Files survive a loss of power only when they are told to, which icechunk does not do; those of a commit are never changed."""
        if not isinstance(self._inner, Folder):
            return
        root = self._inner.path / REPOSITORY
        names = {os.path.relpath(os.path.join(folder, name), root.parent) for folder, _, files in os.walk(root) for name in files}
        self._inner.settle(names - self._settled)
        # What says which snapshot is the latest is replaced by each commit.
        self._settled = {name for name in names if name.split(os.sep)[1] in _NEVER_CHANGED}

    def _taken(self, expected: str, found: str) -> PlaceError:
        return PlaceError(
            f"{self.address}: somebody else committed to its branch {BRANCH}: snapshot {found} stands where {expected} was; what had a "
            f"receipt is kept. `siesweep verify {self.address}` says whether it still holds; the same command goes on"
        )

    def _is_there(self) -> bool:
        """Whether there is a repository. Raises PlaceError where there is a store of another kind."""
        if self._repository is not None or self._inner.has(VERSIONS):
            return True
        if self._inner.has(HEAD):
            raise PlaceError(f"{self.address}: a plain store, without versions; write {self._inner.address}")
        return False

    def _opened(self) -> Any:
        if self._repository is None:
            if not self._is_there():
                raise PlaceError(f"{self.address}: no icechunk repository there")
            self._repository = self._icechunk.Repository.open(self._storage_call()[1]())
        return self._repository

    def _storage_call(self) -> tuple[str, Callable[[], Any]]:
        """Where the repository lies, as Python to be read and as a call: making an icechunk.Storage makes a folder."""
        if isinstance(self._inner, Folder):
            folder = str(self._inner.path / REPOSITORY)
            return f"local_filesystem_storage({folder!r})", lambda: self._icechunk.local_filesystem_storage(folder)
        bucket, _, prefix = self._inner.address.removeprefix("s3://").strip("/").partition("/")
        prefix = f"{prefix}/{REPOSITORY}".lstrip("/")
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("AWS_ENDPOINT")
        # As obstore, by which the ledger is written, reads them.
        settings = {
            "region": os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"),
            "endpoint_url": endpoint,
            "allow_http": _is_set("AWS_ALLOW_HTTP"),
            "force_path_style": endpoint is not None and not _is_set("AWS_VIRTUAL_HOSTED_STYLE_REQUEST"),
        }
        where = {"bucket": bucket, "prefix": prefix, **{name: value for name, value in settings.items() if value}}
        text = ", ".join(f"{name}={value!r}" for name, value in where.items())
        return f"s3_storage({text}, from_env=True)", lambda: self._icechunk.s3_storage(**where, from_env=True)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Errors of icechunk as ours, with the address."""
        try:
            yield
        except self._raised as error:
            raise RepositoryError(f"{self.address}: its icechunk repository fails ({in_one_line(error)})") from None


class _Commits(Journal):
    """A journal whose lines follow the commit of what they speak of."""

    def __init__(self, place: Versioned, journal: Journal) -> None:
        self._place, self._journal = place, journal

    def append(self, line: bytes) -> None:
        record = json.loads(line)
        message = f"tile {record['tile']}" if "crc" in record else "statistics" if "finished" in record else None
        self._place._commit(message, {"receipt": record})
        self._journal.append(line)


def versioned_place(address: str, place_of: Callable[[str | Path], Place]) -> Versioned:
    """The place at icechunk+ADDRESS. Raises AddressError or PlaceError where it cannot be."""
    inner = address.removeprefix(VERSIONED)
    if not inner:
        raise AddressError(f"{address}: a path is wanted behind it; write {VERSIONED}PATH or {VERSIONED}s3://BUCKET/NAME")
    if "://" in inner and not inner.startswith(("file://", "s3://")):
        raise AddressError(
            f"{address}: versions are kept in a folder or at s3://BUCKET/NAME; write {VERSIONED}PATH or {VERSIONED}s3://BUCKET/NAME"
        )
    return Versioned(address, place_of(inner))


def _is_beside(name: str) -> bool:
    return name.startswith(f"{LEDGER}/")


def _is_set(name: str) -> bool:
    return os.environ.get(name, "").lower() in ("1", "true", "yes")
