"""Whether a store still holds what was written: every array read again and held against its receipt; and the repair of what does not.

Tiles have a receipt with the CRC-32C of each of their parts, all other arrays one CRC-32C from when the statistics were made. A chunk that
is not there is damage too: it would be read as if it were filled with the fill value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sweep import ledger
from sweep.cube import attributes
from sweep.layout import tile_parts
from sweep.places import Place
from sweep.plan import Tile
from sweep.prepare import plan_of
from sweep.spec import Spec
from sweep.store import CubeStore, StoreError

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Damage:
    """Something that is not what its receipt says: an array, where in it, and how."""

    array: str
    tile: Tile | None
    problem: str
    unreadable: bool = False

    def __str__(self) -> str:
        return f"{self.array}{f' (tile {self.tile.name})' if self.tile is not None else ''}: {self.problem}"


@dataclass(frozen=True)
class Verified:
    """What was found: the tiles and arrays looked at, the damage, and how many tiles have no receipt yet."""

    tiles: int
    arrays: int
    damage: tuple[Damage, ...]
    missing: int

    @property
    def damaged_tiles(self) -> list[Tile]:
        return list({damage.tile.name: damage.tile for damage in self.damage if damage.tile is not None}.values())


def verify(place: Place, spec: Spec, progress: Progress = lambda done, of: None) -> Verified:
    """Read every array of a store and compare it with the ledger.

    Raises CubeError, StoreError or LedgerError where there is no store to read.
    """
    plan, held = plan_of(spec, place), ledger.read(place)
    store = CubeStore(place, writable=False)
    tiles = list(plan.tiles())
    done = [tile for tile in tiles if held.has(tile)]
    damage: list[Damage] = []
    arrays = 0

    def look(name: str, tile: Tile | None, part: tuple[slice | int, ...] | None, crc: int | None) -> None:
        nonlocal arrays
        arrays += 1
        try:
            missing = store.missing_chunks(name, part)
            if missing:
                damage.append(Damage(name, tile, f"{missing[0]} is missing"))
            elif crc != store.crc(name, part):
                damage.append(Damage(name, tile, "is not what was written (its checksum differs)"))
        except StoreError:
            damage.append(Damage(name, tile, "cannot be read", unreadable=True))

    for number, tile in enumerate(done):
        crcs = held.receipts[tile.name]["crc"]
        for name, part in tile_parts(plan, tile).items():
            look(name, tile, part.place, crcs.get(name))
        progress(number + 1, len(done))
    if held.finished is not None and attributes(place).get("complete"):
        for name, crc in held.finished["finished"].items():
            look(name, None, None, crc)
    return Verified(len(done), arrays, tuple(damage), len(tiles) - len(done))


def withdraw(place: Place, spec: Spec, found: Verified) -> None:
    """Take back the receipts of damaged tiles, so that the next run computes exactly those, and makes the statistics again."""
    with ledger.hold(place) as book:
        store, plan = CubeStore(place), plan_of(spec, place)
        # First: killed on the way, the store is not taken for finished.
        store.set_attributes({"complete": False})
        for tile in found.damaged_tiles:
            book.append({"tile": tile.name, "void": next(str(damage) for damage in found.damage if damage.tile == tile)})
        store.make_again(plan, {damage.array for damage in found.damage})
        for damage in found.damage:
            if damage.unreadable and damage.tile is not None:
                # All tiles that lie in it were found damaged too; what is written beside would be read for them.
                store.remove_part(damage.array, tile_parts(plan, damage.tile)[damage.array].place)
        # Statistics may be of what is damaged, or damaged themselves.
        store.clear_status()
