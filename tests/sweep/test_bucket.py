"""A sweep in an object store, on a real server of the S3 protocol: the bits of a local one, a lease that keeps others out, segments."""

from __future__ import annotations

import json
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import xarray as xr

import sweep
from sweep import ledger
from sweep.coordinator import RunError
from sweep.cube import CubeError
from sweep.errors import SpecError
from sweep.ledger import LedgerError
from sweep.places import PlaceError, bucket, place_of
from sweep.prepare import spec_of
from sweep.replay import replay
from sweep.verify import verify, withdraw
from tests.sweep.studies import assert_same_bits, plain, shards_without_a_last, toy

pytest.importorskip("obstore")


pytestmark = pytest.mark.slow


@pytest.fixture
def address(server, request):
    """An empty place in the bucket."""
    return f"s3://bucket/{request.node.name.replace('[', '-').replace(']', '')}/plain.zarr"


def objects(address):
    return place_of(address).listed()


def downloaded(address, folder):
    """The objects below an address as files."""
    place = place_of(address)
    for name in objects(address):
        file = Path(folder) / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(place.read(name))
    return Path(folder)


@pytest.mark.slow
def test_it_has_the_bits_of_a_local_sweep(server, address, toy_store, tmp_path):
    address = address.replace("plain", "small")
    cube = sweep.run(toy(run__tile=10_000), address, workers=1)
    assert cube.attrs["complete"]
    # By zarr's own kind of store, without this package.
    from obstore.store import from_url
    from zarr.storage import ObjectStore

    tree = xr.open_datatree(ObjectStore(from_url(address), read_only=True), engine="zarr")
    xr.testing.assert_identical(tree.load(), cube.load())
    assert_same_bits(downloaded(address, tmp_path / "down.zarr"), toy_store)
    # What was downloaded is no worse a store.
    assert sweep.open_cube(tmp_path / "down.zarr").attrs["fingerprint"] == toy().fingerprint()
    assert verify(place_of(address), spec_of(place_of(address))).damage == ()
    assert replay(place_of(address), 5000).differing == []


def test_shards_in_a_bucket(address, plain_store, tmp_path):
    assert not sweep.run(plain(), address, workers=1, shard=(2, 2)).attrs["complete"]
    assert sweep.run(plain(), address, workers=1, shard=(1, 2)).attrs["complete"]
    assert_same_bits(downloaded(address, tmp_path / "down.zarr"), plain_store)


def test_damage_is_repaired(address, plain_store, tmp_path, computed):
    sweep.run(plain(), address, workers=1)
    place = place_of(address)
    place.remove(["draws/initial_agis/c/1"])
    place.write("partials/sum/c/2/0/0", b"torn")
    found = verify(place, spec_of(place))
    assert [tile.name for tile in found.damaged_tiles] == ["/1", "/2"]
    withdraw(place, plain(), found)
    computed.clear()
    sweep.run(plain(), address, workers=1)
    assert computed == ["/1", "/2"]
    assert_same_bits(downloaded(address, tmp_path / "down.zarr"), plain_store)


def test_a_shard_beside_a_whole_run_is_refused(address):
    refused = []

    def launch_another(state):
        if state.tiles_done == 1:
            with pytest.raises(RunError, match=rf"another run is writing this store \(pid {os.getpid()} on "):
                sweep.run(plain(), address, workers=1, shard=(1, 2))
            refused.append(True)

    sweep.run(plain(), address, workers=1, progress=launch_another)
    assert refused
    assert not any(name.endswith(".lease") for name in objects(address))


@pytest.fixture
def place(address):
    """A place with a head, for its ledger alone."""
    made = place_of(address)
    ledger.write_head(made, {"format": 1, "identity": {}, "policy": {}})
    return made


def leave_lease(place, holder):
    place.write(f"ledger/{ledger.WHOLE}.lease", json.dumps({"holder": holder}).encode())


def test_a_lease_that_was_left_behind_is_refused_while_it_may_live_and_then_taken_over(place, monkeypatch):
    leave_lease(place, "pid 71 on another-host")
    with pytest.raises(LedgerError, match=r"another run is writing this store \(pid 71 on another-host\); wait"), ledger.hold(place):
        pass
    monkeypatch.setattr(bucket, "LEASE_SECONDS", 1.0)
    deadline = time.monotonic() + 20
    while True:
        try:
            with ledger.hold(place) as book:
                book.append({"tile": "/0", "crc": {}, "first_block": 0, "draws": 1})
            break
        except LedgerError:
            assert time.monotonic() < deadline
            time.sleep(0.2)
    assert list(ledger.read(place).receipts) == ["/0"]
    assert place.running() == []


def test_the_lease_of_a_dead_process_of_this_machine_is_taken_over_at_once(place):
    leave_lease(place, f"pid {2**22 + 1} on {socket.gethostname()}")
    with ledger.hold(place):
        assert place.running() == [ledger.WHOLE]
    assert place.running() == []


def test_a_lease_that_cannot_be_read_is_told_with_the_address(place, monkeypatch):
    leave_lease(place, "pid 71 on another-host")
    get = place._obstore.get

    def refused(objects, name):
        if name.endswith(".lease"):
            raise place._obstore.exceptions.PermissionDeniedError("access denied")
        return get(objects, name)

    monkeypatch.setattr(place._obstore, "get", refused)
    with pytest.raises(PlaceError, match=f"{place.address}: access denied"):
        place.running()
    with pytest.raises(PlaceError, match=f"{place.address}: access denied"), ledger.hold(place):
        pass


def test_a_launcher_that_lost_its_lease_writes_no_more(place, monkeypatch):
    monkeypatch.setattr(bucket, "LEASE_SECONDS", 0.6)

    def write_on():
        with ledger.hold(place) as book:
            leave_lease(place, "pid 71 on another-host")
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                book.append({"tile": "/0", "crc": {}, "first_block": 0, "draws": 1})
                time.sleep(0.05)

    with pytest.raises(PlaceError, match="another run took over this store"):
        write_on()
    # The other's lease is left alone.
    assert place.read(f"ledger/{ledger.WHOLE}.lease") is not None


def test_segments_are_never_overwritten(place):
    with ledger.hold(place) as book:
        book.append({"tile": "/0", "crc": {}, "first_block": 0, "draws": 1})
    segments = {name: place.read(name) for name in objects(place.address) if name.endswith(".jsonl")}
    with ledger.hold(place) as book:
        book.append({"tile": "/1", "crc": {}, "first_block": 0, "draws": 1})
    assert {name: place.read(name) for name in segments} == segments
    assert set(ledger.read(place).receipts) == {"/0", "/1"}


def test_a_long_run_leaves_few_segments(place, monkeypatch):
    now = 0.0
    monkeypatch.setattr(bucket.time, "monotonic", lambda: now)
    with ledger.hold(place) as book:
        for tile in range(300):
            now += 20.0
            book.append({"tile": f"/{tile}", "crc": {}, "first_block": 0, "draws": 1})
    assert len(ledger.read(place).receipts) == 300
    assert len([name for name in objects(place.address) if name.endswith(".jsonl")]) < 200


def test_a_store_that_was_never_finished_being_made_is_made_again(address, plain_store, tmp_path):
    place = place_of(address)
    place.write("zarr.json", b"{}")
    place.write("draws/old/c/0", b"old")
    leave_lease(place, f"pid {2**22 + 1} on {socket.gethostname()}")
    sweep.run(plain(), address, workers=1)
    assert "draws/old/c/0" not in objects(address)
    assert_same_bits(downloaded(address, tmp_path / "down.zarr"), plain_store)


def test_a_store_that_another_makes_now(address):
    leave_lease(place_of(address), "pid 71 on another-host")
    with pytest.raises(RunError, match=r"another run is writing this store \(pid 71 on another-host\)"):
        sweep.run(plain(), address, workers=1)


def test_shards_that_begin_together_in_a_bucket(address, plain_store, tmp_path):
    """One of them makes the store, the other waits for it; whichever is last finishes it."""
    with ThreadPoolExecutor(2) as pool:
        shards = [pool.submit(sweep.run, plain(), address, workers=1, shard=(number, 2)) for number in (1, 2)]
        for shard in shards:
            shard.result(timeout=120)
    assert sweep.open_cube(address).attrs["complete"]
    assert_same_bits(downloaded(address, tmp_path / "down.zarr"), plain_store)


def test_a_shard_takes_over_from_one_that_died_while_it_finished(address, plain_store, tmp_path, monkeypatch):
    shards_without_a_last(address, monkeypatch)
    monkeypatch.setattr(bucket, "LEASE_SECONDS", 3.0)
    leave_lease(place_of(address), "pid 71 on another-host")
    told: list[str] = []
    assert sweep.run(plain(), address, workers=1, shard=(1, 2), announce=told.append).attrs["complete"]
    assert len(told) == 1
    assert_same_bits(downloaded(address, tmp_path / "down.zarr"), plain_store)


def test_something_else_in_its_place(address):
    place_of(address).write("text", b"text")
    with pytest.raises(SpecError, match="exists and is not a sweep's store"):
        sweep.run(plain(), address, workers=1)
    assert objects(address) == ["text"]


def test_no_cube_there(address):
    with pytest.raises(CubeError, match="no cube there"):
        sweep.open_cube(address)


def test_a_server_that_does_not_answer(server, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free.getsockname()[1]}")
    monkeypatch.setattr(bucket, "RETRY", {"max_retries": 0})
    with pytest.raises(RunError, match=r"s3://bucket/plain\.zarr: "):
        sweep.run(plain(), "s3://bucket/plain.zarr", workers=1)


def test_an_unknown_kind_of_store():
    with pytest.raises(PlaceError, match=r"ftp://host/a\.zarr: no store can be at such an address.*s3://BUCKET/NAME"):
        place_of("ftp://host/a.zarr")
