"""Verify: every kind of damage is named, repaired by computing exactly what is damaged, and what is whole is left alone."""

from __future__ import annotations

import json
import shutil

import pytest

import sweep
from sweep.cube import CubeError
from sweep.places import Folder
from sweep.prepare import spec_of
from sweep.store import CubeStore
from sweep.verify import changed_attributes, restore_attributes, verify, withdraw
from tests.sweep.studies import assert_same_bits, plain, records, rewrite, toy


@pytest.fixture
def copied(toy_store, tmp_path):
    """A copy of a finished store with axes, to be damaged."""
    return shutil.copytree(toy_store, tmp_path / "small.zarr")


def verified(store):
    return verify(Folder(store), spec_of(Folder(store)))


def repaired(store):
    found = verified(store)
    withdraw(Folder(store), spec_of(Folder(store)), found)
    sweep.run(toy(), store, workers=1)
    return found


def chunk_of(store, array, *place):
    return store.joinpath(array, "c", *map(str, place))


def flipped(file, place=-1):
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)


@pytest.mark.slow
def test_a_whole_store_is_whole(toy_store):
    found = verified(toy_store)
    assert found.damage == ()
    assert (found.tiles, found.missing) == (24, 0)
    # Eleven sums and more a tile, and all that is written once.
    assert found.arrays > 24 * 15


@pytest.mark.slow
@pytest.mark.parametrize("array", ["partials/sum", "draws/date_of_doubling_3", "draws/explosion", "trajectories/doublings"])
def test_a_changed_byte(copied, toy_store, computed, array):
    file = next(path for path in sorted((copied / array / "c").rglob("*")) if path.is_file())
    flipped(file, len(file.read_bytes()) // 2)
    found = repaired(copied)
    assert {damage.array for damage in found.damage} == {array}
    assert computed == [tile.name for tile in found.damaged_tiles]
    assert 1 <= len(computed) <= 2
    assert verified(copied).damage == ()
    assert_same_bits(copied, toy_store)


@pytest.mark.slow
def test_a_chunk_that_is_gone(copied, toy_store, computed):
    chunk_of(copied, "partials/valid", 1, 0, 1, 0).unlink()
    found = repaired(copied)
    assert "partials/valid/c/1/0/1/0 is missing" in str(found.damage[0])
    assert computed == [tile.name for tile in found.damaged_tiles]
    assert_same_bits(copied, toy_store)


@pytest.mark.slow
def test_an_array_whose_metadata_are_gone(copied, toy_store, computed):
    (copied / "draws" / "date_of_doubling_6" / "zarr.json").write_text("{")
    found = repaired(copied)
    assert {damage.array for damage in found.damage} == {"draws/date_of_doubling_6"}
    assert len(computed) == 24
    assert verified(copied).damage == ()
    assert_same_bits(copied, toy_store)


@pytest.mark.slow
def test_statistics_that_are_damaged_are_made_again_without_a_tile(copied, toy_store, computed):
    file = next(path for path in sorted((copied / "statistics/probability/c").rglob("*")) if path.is_file())
    file.write_bytes(b"torn")
    found = repaired(copied)
    assert [damage.array for damage in found.damage] == ["statistics/probability"]
    assert found.damaged_tiles == []
    assert computed == []
    assert_same_bits(copied, toy_store)


@pytest.mark.slow
def test_what_is_withdrawn_is_not_open_as_if_it_were_whole(copied):
    chunk_of(copied, "partials/valid", 1, 0, 1, 0).unlink()
    withdraw(Folder(copied), toy(), verified(copied))
    with pytest.raises(CubeError, match="not finished"):
        sweep.open_cube(copied)
    assert verified(copied).missing == 1


@pytest.mark.slow
def test_killed_while_receipts_are_withdrawn(copied, monkeypatch):
    chunk_of(copied, "partials/valid", 1, 0, 1, 0).unlink()
    found = verified(copied)
    monkeypatch.setattr(CubeStore, "make_again", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        withdraw(Folder(copied), toy(), found)
    with pytest.raises(CubeError, match="not finished"):
        sweep.open_cube(copied)


def test_an_unfinished_store_is_verified_as_far_as_it_is(tmp_path):
    store = tmp_path / "plain.zarr"
    sweep.run(plain(), store, workers=1, shard=(1, 2))
    found = verified(store)
    assert (found.tiles, found.missing, found.damage) == (2, 2, ())


@pytest.mark.slow
def test_receipts_of_every_part_are_held_against_it(copied, monkeypatch):
    """A receipt that does not speak of an array that its tile writes is no proof of it."""
    kept = records(copied)
    receipt = next(record for record in kept if "crc" in record)
    del receipt["crc"]["partials/valid"]
    rewrite(copied, kept)
    found = verified(copied)
    assert [(damage.array, damage.tile.name) for damage in found.damage if damage.tile] == [("partials/valid", receipt["tile"])]


@pytest.mark.parametrize(
    ("lost", "told"),
    [
        (lambda record: True, ["ledger (tile /0)", "ledger (tile /1)", "ledger (tile /2)", "ledger (tile /3)", "ledger"]),
        (lambda record: record.get("tile") == "/2", ["ledger (tile /2)"]),
        (lambda record: "finished" in record, ["ledger"]),
    ],
    ids=["all", "a receipt", "the last"],
)
def test_a_complete_cube_has_all_its_receipts(plain_store, tmp_path, computed, lost, told):
    store = shutil.copytree(plain_store, tmp_path / "plain.zarr")
    rewrite(store, [record for record in records(store) if not lost(record)])
    found = verified(store)
    assert [str(damage).partition(":")[0] for damage in found.damage] == told
    withdraw(Folder(store), plain(), found)
    sweep.run(plain(), store, workers=1)
    assert computed == [tile.name for tile in found.damaged_tiles]
    assert verified(store).damage == ()
    assert_same_bits(store, plain_store)


@pytest.mark.parametrize("gone", ["statistics", "provenance", "draws"])
def test_a_group_that_is_gone_is_made_again(plain_store, tmp_path, computed, gone):
    store = shutil.copytree(plain_store, tmp_path / "plain.zarr")
    (store / gone / "zarr.json").unlink()
    found = verified(store)
    assert [str(damage) for damage in found.damage] == [f"{gone}: its zarr.json is missing"]
    withdraw(Folder(store), plain(), found)
    sweep.run(plain(), store, workers=1)
    assert computed == []
    assert verified(store).damage == ()
    assert sweep.open_cube(store)["provenance"].attrs["devices"]


@pytest.mark.parametrize("file", ["zarr.json", "draws/date_of_doubling_3/zarr.json"])
def test_units_that_were_changed(plain_store, tmp_path, file):
    store = shutil.copytree(plain_store, tmp_path / "plain.zarr")
    (store / file).write_text((store / file).read_text().replace('"months"', '"weeks"'))
    damaged = {damage.array: damage.problem for damage in verified(store).damage}
    assert damaged["draws/date_of_doubling_3"] == "attributes in zarr.json and in the root's differ"


def test_the_copy_of_all_metadata_is_made_again(plain_store, tmp_path, computed):
    store = shutil.copytree(plain_store, tmp_path / "plain.zarr")
    content = json.loads((store / "zarr.json").read_text())
    del content["consolidated_metadata"]
    (store / "zarr.json").write_text(json.dumps(content))
    found = verified(store)
    assert [damage.array for damage in found.damage] == ["zarr.json"]
    withdraw(Folder(store), plain(), found)
    sweep.run(plain(), store, workers=1)
    assert verified(store).damage == ()
    assert computed == []


def test_attributes_that_were_changed_are_put_back(plain_store, tmp_path):
    store = shutil.copytree(plain_store, tmp_path / "plain.zarr")
    before = (store / "zarr.json").read_bytes()
    assert changed_attributes(Folder(store)) == {}
    content = json.loads(before)
    content["attributes"] |= {"numerical_error": 0, "draws": 2048, "more": True}
    (store / "zarr.json").write_text(json.dumps(content))
    changed = changed_attributes(Folder(store))
    assert changed == {"numerical_error": json.loads(before)["attributes"]["numerical_error"], "draws": 1024, "more": None}
    restore_attributes(Folder(store), changed)
    assert json.loads((store / "zarr.json").read_text()) == json.loads(before)


def test_another_start_date_is_no_damage(plain_store, tmp_path):
    store = shutil.copytree(plain_store, tmp_path / "plain.zarr")
    sweep.run(plain(sweep__start_date="2027-01-01"), store)
    assert sweep.open_cube(store).attrs["start_date"] == "2027-01-01"
    assert changed_attributes(Folder(store)) == {}
    assert verified(store).damage == ()


def test_the_metadata_of_the_root_cannot_be_made_up(copied):
    content = json.loads((copied / "zarr.json").read_text())
    (copied / "zarr.json").write_text(json.dumps(content)[:100])
    with pytest.raises(CubeError, match=r"zarr\.json cannot be read; restore it"):
        verified(copied)
