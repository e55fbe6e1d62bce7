"""Where a store lies: a folder, or a prefix in an object store. What a ledger and a cube need of it, one kind a file."""

from __future__ import annotations

from pathlib import Path

from sweep.places.folder import Folder
from sweep.places.place import Busy, Journal, Place, PlaceError

__all__ = ["Busy", "Folder", "Journal", "Place", "PlaceError", "place_of"]


def place_of(address: str | Path) -> Place:
    """The place at a path or a URL: results/a.zarr, s3://bucket/a.zarr. Raises PlaceError where its kind is not supported here."""
    text = str(address)
    if "://" not in text:
        return Folder(Path(text))
    if text.startswith("file://"):
        return Folder(Path(text.removeprefix("file://")))
    from sweep.places.bucket import Bucket

    return Bucket(text)
