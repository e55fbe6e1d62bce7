"""A store below a prefix of an object store (s3://, gs://, az://), through obstore, configured by the provider's own environment variables.

There is no append, no rename and no lock there. A journal is a row of numbered segments, each written once; a store exists when its head
does, which is written first and by one launcher only; and a lease, an object that its holder renews, keeps other launchers out.
All three rest on conditional puts: an object is made only where there is none, or replaced only where it is still the one that was read.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from sweep.errors import in_one_line
from sweep.places.place import HEAD, LEDGER, WHOLE, Busy, Journal, Place, PlaceError

LEASE_SECONDS = 60.0
"""A lease that has not been renewed for so long is left behind."""
RETRY: Any = {"max_retries": 8}
"""How often a request is tried again that the server refused for now, or that was lost."""
_SHARE_UNFLUSHED = 0.01
"""Receipts wait for no more than this share of the time that the run has taken, so that a long run leaves few segments."""
_LONGEST_WAIT = 60.0


class Bucket(Place):
    """A prefix in an object store."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.title = address.rstrip("/").rpartition("/")[2].removesuffix(".zarr")
        try:
            import obstore
            from obstore.store import from_url
        except ImportError:
            raise PlaceError(f"{address}: object stores need the package obstore: pip install 'siesweep[cloud]'") from None
        self._obstore: Any = obstore
        try:
            self.objects: Any = from_url(address.rstrip("/"), retry_config=RETRY)
        except (obstore.exceptions.BaseError, ValueError) as error:
            raise PlaceError(
                f"{address}: no object store is known by this address ({in_one_line(error)}); write e.g. s3://BUCKET/NAME.zarr"
            ) from None

    def exists(self) -> bool:
        # What a launcher that died while it made the store has left does not count: it is known by its lease beside no head.
        with self._told():
            found: Any = next(iter(self._obstore.list(self.objects, chunk_size=1)), [])
        return bool(found) and (self.has(HEAD) or not self.has(f"{LEDGER}/{WHOLE}.lease"))

    def read(self, name: str) -> bytes | None:
        with self._told():
            try:
                return bytes(self._obstore.get(self.objects, name).bytes())
            except (FileNotFoundError, self._obstore.exceptions.NotFoundError):
                return None

    def has(self, name: str) -> bool:
        with self._told():
            try:
                self._obstore.head(self.objects, name)
            except (FileNotFoundError, self._obstore.exceptions.NotFoundError):
                return False
        return True

    def write(self, name: str, content: bytes) -> None:
        with self._told():
            self._obstore.put(self.objects, name, content)

    def remove(self, names: Iterable[str]) -> None:
        with self._told():
            for name in names:
                with suppress(FileNotFoundError, self._obstore.exceptions.NotFoundError):
                    self._obstore.delete(self.objects, name)

    def make(self, fill: Callable[[Place], None]) -> bool:
        # The head of the ledger is the last that `fill` writes: the store is there when the head is.
        with self.hold(WHOLE):
            if self.read(HEAD) is not None:
                return False
            self._remove_all()
            try:
                fill(self)
            except BaseException:
                self._remove_all()
                raise
        return True

    def settle(self, names: Iterable[str], release: bool = False) -> None:
        """A put has settled when it returns."""

    def journals(self) -> dict[str, bytes]:
        whole: dict[str, bytes] = {}
        for path in self.listed(f"{LEDGER}/"):
            launcher, _, segment = path.removeprefix(f"{LEDGER}/").partition("/")
            if segment:
                whole[launcher] = whole.get(launcher, b"") + (self.read(path) or b"")
        return whole

    @contextmanager
    def hold(self, launcher: str) -> Iterator[Journal]:
        lease = _Lease(self, launcher)
        try:
            others = [other for other in self.running() if other != launcher and WHOLE in (other, launcher)]
            if others:
                raise Busy(others[0], self._lease_of(others[0])[0].get("holder", ""))
            journal = _Segments(self, launcher, lease)
            try:
                yield journal
            finally:
                journal.close()
        finally:
            lease.release()

    def running(self) -> list[str]:
        found = self.listed(f"{LEDGER}/")
        names = [path.removeprefix(f"{LEDGER}/").removesuffix(".lease") for path in found if path.endswith(".lease")]
        return [name for name in names if self._lease_of(name)[1] < LEASE_SECONDS]

    def remove_strays(self) -> None:
        """An object is there whole or not at all."""

    def free_bytes(self) -> int | None:
        return None

    def listed(self, start: str = "") -> list[str]:
        """The paths of all objects of the store, or of those that start so. Raises PlaceError."""
        with self._told():
            return sorted(item["path"] for batch in self._obstore.list(self.objects, start) for item in batch)

    def _lease_of(self, launcher: str) -> tuple[dict[str, Any], float, str]:
        """What a lease says, the seconds since it was renewed (by the object store's clock and ours), and its tag. Raises PlaceError."""
        with self._told():
            try:
                found = self._obstore.get(self.objects, f"{LEDGER}/{launcher}.lease")
                content = json.loads(bytes(found.bytes()))
            except (FileNotFoundError, self._obstore.exceptions.NotFoundError, ValueError):
                return {}, float("inf"), ""
        age = (datetime.now(UTC) - found.meta["last_modified"]).total_seconds()
        return content, age, found.meta["e_tag"] or ""

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Errors of the object store as ours, with its address."""
        try:
            yield
        except FileNotFoundError:
            raise
        except self._obstore.exceptions.BaseError as error:
            raise PlaceError(f"{self.address}: {in_one_line(error)}") from None

    def _remove_all(self) -> None:
        """Remove what a launcher that died while it made the store has left; the ledger's folder holds our own lease."""
        paths = [path for path in self.listed() if not path.startswith(f"{LEDGER}/")]
        if paths:
            with self._told():
                self._obstore.delete(self.objects, paths)


class _Lease:
    """The right to write as one launcher, renewed in the background until it is released."""

    def __init__(self, place: Bucket, launcher: str) -> None:
        self._place, self._launcher, self._name = place, launcher, f"{LEDGER}/{launcher}.lease"
        self._lost = False
        self._ended = threading.Event()
        self._tag = self._taken()
        self._renewing = threading.Thread(target=self._renew, name=f"lease-{launcher}", daemon=True)
        self._renewing.start()

    def check(self) -> None:
        """Raises PlaceError where another launcher has taken the lease."""
        if self._lost:
            raise PlaceError(f"{self._place.address}: another run took over this store, since this one was not heard of for too long")

    def release(self) -> None:
        self._ended.set()
        self._renewing.join()
        if not self._lost:
            with suppress(Exception):
                self._place._obstore.delete(self._place.objects, self._name)

    def _content(self) -> bytes:
        return json.dumps({"holder": f"pid {os.getpid()} on {socket.gethostname()}", "nonce": os.urandom(8).hex()}).encode()

    def _put(self, mode: Any) -> str:
        put: str | None = self._place._obstore.put(self._place.objects, self._name, self._content(), mode=mode)["e_tag"]
        return put or ""

    def _taken(self) -> str:
        errors = self._place._obstore.exceptions
        with self._place._told():
            try:
                return self._put("create")
            except errors.AlreadyExistsError:
                content, age, tag = self._place._lease_of(self._launcher)
                if age < LEASE_SECONDS and not _is_dead(content.get("holder", "")):
                    raise Busy(self._launcher, content.get("holder", "")) from None
            try:
                # Left behind by a launcher that died. Whoever else finds it too comes second here.
                return self._put({"e_tag": tag} if tag else "create")
            except (errors.PreconditionError, errors.AlreadyExistsError):
                raise Busy(self._launcher) from None

    def _renew(self) -> None:
        errors = self._place._obstore.exceptions
        renewed = time.monotonic()
        while not self._ended.wait(LEASE_SECONDS / 6):
            try:
                self._tag = self._put({"e_tag": self._tag})
                renewed = time.monotonic()
            except errors.PreconditionError:
                self._lost = True
                return
            except Exception:
                # Not heard for so long, others may take it.
                if time.monotonic() - renewed > LEASE_SECONDS:
                    self._lost = True
                    return


class _Segments(Journal):
    def __init__(self, place: Bucket, launcher: str, lease: _Lease) -> None:
        self._place, self._folder, self._lease = place, f"{LEDGER}/{launcher}", lease
        found = place.listed(f"{self._folder}/")
        self._next = 1 + max((int(path.rpartition("/")[2].removesuffix(".jsonl")) for path in found), default=0)
        self._waiting: list[bytes] = []
        self._began, self._flushed = time.monotonic(), float("-inf")

    def append(self, line: bytes) -> None:
        self._waiting.append(line + b"\n")
        now = time.monotonic()
        if now - self._flushed >= min(_LONGEST_WAIT, _SHARE_UNFLUSHED * (now - self._began)):
            self.close()
            self._flushed = now

    def close(self) -> None:
        """Write what waits."""
        self._lease.check()
        if self._waiting:
            with self._place._told():
                name = f"{self._folder}/{self._next:08d}.jsonl"
                try:
                    self._place._obstore.put(self._place.objects, name, b"".join(self._waiting), mode="create")
                except self._place._obstore.exceptions.AlreadyExistsError:
                    raise PlaceError(f"{self._place.address}: another run wrote {name}; it took over this store") from None
            self._next += 1
            self._waiting = []


def _is_dead(holder: str) -> bool:
    """Whether a holder, "pid 71 on HOST", is known to be dead: a process of this host that is no more."""
    start, _, host = holder.partition(" on ")
    if host != socket.gethostname():
        return False
    try:
        os.kill(int(start.removeprefix("pid ")), 0)
    except (ValueError, ProcessLookupError):
        return True
    except PermissionError:
        return False
    return False
