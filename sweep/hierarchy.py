"""A place as a zarr hierarchy: the one file that knows zarr, for those who write a cube and those who read one."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import zarr
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.errors import ZarrUserWarning

from sweep.places import Folder, Place

ALWAYS_WRITE: Any = {"write_empty_chunks": True}
"""zarr leaves chunks out that hold nothing but the fill value, unless every handle is told not to."""


def zarr_store(place: Place, read_only: bool = False) -> Any:
    """A place as zarr's own kind of store. Raises PlaceError where it cannot be opened."""
    own = place.zarr_store(read_only)
    if own is not None:
        return own
    if isinstance(place, Folder):
        return zarr.storage.LocalStore(place.path, read_only=read_only)
    return zarr.storage.ObjectStore(place.objects, read_only=read_only)


def open_group(place: Place, writable: bool) -> Any:
    """The root group as it is now: not by metadata kept in one place, since arrays may be added and grow until a sweep is done."""
    mode: Any = "r+" if writable else "r"
    with quiet():
        return zarr.open_group(zarr_store(place, read_only=not writable), mode=mode, use_consolidated=False)


def create_group(place: Place, attributes: Mapping[str, Any]) -> Any:
    """A new root group."""
    with quiet():
        return zarr.create_group(zarr_store(place), zarr_format=3, attributes=dict(attributes))


def array_names(root: Any) -> list[str]:
    """The paths of all arrays below a group."""
    with quiet():
        return sorted(name for name, member in root.members(max_depth=None) if isinstance(member, zarr.Array))


def resize(array: Any, shape: tuple[int, ...]) -> None:
    """Give an array another shape; zarr would delete the chunks that lie outside of it."""
    sync(array.async_array.resize(shape, delete_outside_chunks=False))


def consolidate(place: Place) -> Any:
    """Write the metadata of all arrays into the root's, where that is any use; returns the root group."""
    if not zarr_store(place).supports_consolidated_metadata:
        return open_group(place, writable=True)
    with quiet():
        return zarr.consolidate_metadata(zarr_store(place), zarr_format=3)


def copied_metadata(place: Place) -> dict[str, Any] | None:
    """The metadata of all groups and arrays as the root's have them, by path: none where they have no use for them, None where they are
    gone."""
    if not zarr_store(place, read_only=True).supports_consolidated_metadata:
        return {}
    try:
        found: dict[str, Any] = json.loads(place.read("zarr.json") or "")["consolidated_metadata"]["metadata"]
    except (ValueError, KeyError, TypeError):
        return None
    return found


def get_key(store: Any, key: str) -> bytes | None:
    """The content of a key of one of zarr's stores, None where there is none."""
    buffer = sync(store.get(key, default_buffer_prototype()))
    return None if buffer is None else bytes(buffer.to_bytes())


def has_key(store: Any, key: str) -> bool:
    """Whether one of zarr's stores has a key."""
    return bool(sync(store.exists(key)))


def set_key(store: Any, key: str, content: bytes) -> None:
    """Set a key of one of zarr's stores."""
    sync(store.set(key, default_buffer_prototype().buffer.from_bytes(content)))


def delete_keys(store: Any, keys: Iterable[str]) -> None:
    """Delete keys of one of zarr's stores; those that are not there are no matter."""
    for key in keys:
        sync(store.delete(key))


class quiet(warnings.catch_warnings):
    """zarr warns of our ledger beside its files, and that consolidated metadata is not yet in the v3 text; both are meant."""

    def __enter__(self) -> Any:
        entered = super().__enter__()
        warnings.simplefilter("ignore", ZarrUserWarning)
        return entered
