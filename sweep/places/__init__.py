"""Where a store lies: a folder, or a prefix in an object store, and in either an icechunk repository. One kind a file."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

from sweep.places.folder import Folder
from sweep.places.place import VERSIONED, AddressError, Busy, Journal, Place, PlaceError

__all__ = ["AddressError", "Busy", "Folder", "Journal", "Place", "PlaceError", "place_of"]

_BUCKET = re.compile(r"(s3a?|gs|az|azure|adl|abfss?|https?)://[^/]")
_ADDRESSES = "write a path, s3://BUCKET/NAME, gs://BUCKET/NAME or az://CONTAINER/NAME, or icechunk+ before a path or s3://BUCKET/NAME"


def place_of(address: str | Path) -> Place:
    """The place at a path or a URL: results/a.zarr, s3://bucket/a.zarr, icechunk+results/a.

    Raises AddressError for what is none, PlaceError where it cannot be used.
    """
    text = str(address)
    if text.startswith(VERSIONED):
        from sweep.places.versioned import versioned_place

        return versioned_place(text, place_of)
    if not text:
        raise AddressError(f'"": no address of a store; {_ADDRESSES}')
    if "://" not in text:
        try:
            return Folder(Path(text).expanduser())
        except RuntimeError:
            raise AddressError(f"{text}: no such user's home; write the path of the folder") from None
    if text.startswith("file://"):
        host, slash, path = text.removeprefix("file://").partition("/")
        if host not in ("", "localhost") or not path:
            raise AddressError(f"{text}: no folder of this machine; write file:///PATH, or the path alone")
        return Folder(Path(unquote(slash + path)))
    if not _BUCKET.match(text):
        raise AddressError(f"{text}: no store can be at such an address; {_ADDRESSES}")
    from sweep.places.bucket import Bucket

    return Bucket(text)
