"""Amounts as they are printed: things counted, seconds, bytes."""

from __future__ import annotations


def counted(number: int, thing: str) -> str:
    """So many things: 1 tile, 12,288 tiles."""
    return f"{number:,} {thing}" + ("" if number == 1 else "s")


def duration(seconds: float) -> str:
    """A time in the unit in which it is easily read: 29.9 s, 12 min, 8.3 hours, 34 days."""
    for most, unit, name in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "hours")):
        if seconds < most:
            return f"{seconds / unit:.3g} {name}"
    return f"{float(f'{seconds / 86_400:.3g}'):,.10g} days"


def size(of_bytes: float) -> str:
    """Bytes in a unit of thousands: 55.8 GB."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if of_bytes < 1000:
            return f"{of_bytes:.3g} {unit}"
        of_bytes /= 1000
    return f"{float(f'{of_bytes:.3g}'):,.10g} PB"
