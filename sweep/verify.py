"""Whether a store still holds what was written: every array read again and held against its receipt; and the repair of what does not.

Tiles have a receipt with the CRC-32C of each of their parts, all other arrays one CRC-32C from when the statistics were made. A chunk that
is not there is damage too: it would be read as if it were filled with the fill value. So is a tile without a receipt in a complete cube.

The attributes of a complete cube are in its ledger, too; those of groups and arrays are held against their copy in the root's metadata.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sweep import ledger
from sweep.cube import attributes
from sweep.hierarchy import copied_metadata
from sweep.layout import tile_parts
from sweep.places import Place
from sweep.places.place import LEDGER
from sweep.plan import Tile
from sweep.prepare import plan_of
from sweep.spec import Spec
from sweep.store import CubeStore, StoreError

Progress = Callable[[int, int], None]

_COPIED = ("node_type", "attributes", "shape", "dimension_names")
"""What the copy of an array's or group's metadata says as they do themselves, whichever zarr wrote the two."""


@dataclass(frozen=True)
class Damage:
    """Something that is not what its receipt says: an array, or a file, where in it, and how."""

    array: str
    tile: Tile | None
    problem: str
    unreadable: bool = False

    def __str__(self) -> str:
        return f"{self.array}{f' (tile {self.tile.name})' if self.tile is not None else ''}: {self.problem}"


@dataclass(frozen=True)
class Verified:
    """What was found: the tiles and arrays looked at, the damage, how many tiles are not run yet, and how many lines of the ledger do not
    count."""

    tiles: int
    arrays: int
    damage: tuple[Damage, ...]
    missing: int
    damaged_lines: int = 0

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
    if not attributes(place).get("complete"):
        return Verified(len(done), arrays, tuple(damage), len(tiles) - len(done), held.damaged)
    damage += [Damage(LEDGER, tile, "it has no receipt, though the cube is complete") for tile in tiles if not held.has(tile)]
    if held.finished is None or held.finished["draws"] != spec.draws:
        damage.append(Damage(LEDGER, None, "the line about its statistics is gone"))
    else:
        for name, crc in held.finished["finished"].items():
            look(name, None, None, crc)
    unreadable = {each.array for each in damage}
    damage += [each for each in _changed_metadata(place) if each.array not in unreadable]
    return Verified(len(done), arrays, tuple(damage), 0, held.damaged)


def _changed_metadata(place: Place) -> Iterator[Damage]:
    """Groups and arrays whose own metadata are gone, or are not those of which the root has a copy."""
    copies = copied_metadata(place)
    if copies is None:
        yield Damage("zarr.json", None, "the copy of all metadata is gone")
        return
    for name, copy in copies.items():
        try:
            own = json.loads(place.read(f"{name}/zarr.json") or "{}")
            if differing := [key for key in _COPIED if own.get(key) != copy.get(key)]:
                problem = f"{', '.join(differing)} in zarr.json and in the root's differ" if own else "its zarr.json is missing"
                yield Damage(name, None, problem)
        except (ValueError, AttributeError):
            yield Damage(name, None, "its zarr.json cannot be read")


def changed_attributes(place: Place) -> dict[str, Any]:
    """The attributes of a complete cube that are not those of which its ledger tells, as they were (None for what there was not).

    Raises CubeError or LedgerError where there is no store to read.
    """
    held, finished = attributes(place), ledger.read(place).finished
    if not held.pop("complete") or finished is None or "attributes" not in finished:
        return {}
    before = finished["attributes"]
    # As text: a number that is none is not itself.
    return {name: before.get(name) for name in held | before if json.dumps(held.get(name)) != json.dumps(before.get(name))}


def restore_attributes(place: Place, changed: dict[str, Any]) -> None:
    """Give a cube its attributes back."""
    with ledger.hold(place):
        content = json.loads(place.read("zarr.json") or "")
        held = {**content["attributes"], **changed}
        content["attributes"] = {name: value for name, value in held.items() if value is not None}
        place.write("zarr.json", json.dumps(content).encode())


def withdraw(place: Place, spec: Spec, found: Verified) -> None:
    """Take back the receipts of damaged tiles, so that the next run computes exactly those, and makes the statistics again."""
    with ledger.hold(place) as book:
        store, plan = CubeStore(place), plan_of(spec, place)
        # First: killed on the way, the store is not taken for finished.
        store.set_attributes({"complete": False})
        for tile in found.damaged_tiles:
            book.append({"tile": tile.name, "void": next(str(damage) for damage in found.damage if damage.tile == tile)})
        store.make_again(plan, {damage.array for damage in found.damage if damage.array not in (LEDGER, "zarr.json")})
        for damage in found.damage:
            if damage.unreadable and damage.tile is not None:
                # All tiles that lie in it were found damaged too; what is written beside would be read for them.
                store.remove_part(damage.array, tile_parts(plan, damage.tile)[damage.array].place)
        # Statistics may be of what is damaged, or damaged themselves.
        store.clear_status()
