"""Where a store lies: a folder, or a prefix in an object store, and in either an icechunk repository. One kind a file."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from sweep.places.folder import Folder
from sweep.places.place import VERSIONED, Busy, Journal, Place, PlaceError

__all__ = ["Busy", "Folder", "Journal", "Place", "PlaceError", "place_of"]


def place_of(address: str | Path) -> Place:
    """The place at a path or a URL: results/a.zarr, s3://bucket/a.zarr, icechunk+results/a. Raises PlaceError where it cannot be used."""
    text = str(address)
    if text.startswith(VERSIONED):
        from sweep.places.versioned import versioned_place

        return versioned_place(text, place_of)
    if "://" not in text:
        return Folder(Path(text))
    if text.startswith("file://"):
        host, slash, path = text.removeprefix("file://").partition("/")
        if host not in ("", "localhost") or not path:
            raise PlaceError(f"{text}: no folder of this machine; write file:///PATH, or the path alone")
        return Folder(Path(unquote(slash + path)))
    from sweep.places.bucket import Bucket

    return Bucket(text)
