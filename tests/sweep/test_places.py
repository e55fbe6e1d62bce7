"""What is the same wherever a store lies: an object store, an icechunk repository, or one within the other."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import sweep
from sweep import ledger
from sweep.coordinator import Interrupted, RunError
from sweep.cube import CubeError
from sweep.places import AddressError, Folder, PlaceError, folder, place_of
from sweep.verify import verify
from tests.sweep.studies import assert_same_cubes, plain

KINDS = {"bucket": ["obstore"], "repository": ["icechunk"], "repository_in_a_bucket": ["obstore", "icechunk"]}


@pytest.fixture(params=["bucket", "repository", pytest.param("repository_in_a_bucket", marks=pytest.mark.soak)])
def address(request, tmp_path):
    """A place where nothing is yet."""
    for package in KINDS[request.param]:
        pytest.importorskip(package)
    if "bucket" in request.param:
        request.getfixturevalue("server")
    folder = f"s3://bucket/{request.node.originalname}" if "bucket" in request.param else str(tmp_path)
    return f"icechunk+{folder}/versions" if "repository" in request.param else f"{folder}/plain.zarr"


@pytest.mark.slow
def test_an_interrupted_one_goes_on(address, plain_store, computed):
    def interrupt(state):
        if state.tiles_done == 2:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="2 of 4"):
        sweep.run(plain(), address, workers=1, progress=interrupt)
    with pytest.raises(CubeError, match="not finished"):
        sweep.open_cube(address)
    assert sweep.open_cube(address, allow_partial=True)["status"].item() == 0
    done = set(ledger.read(place_of(address)).receipts)
    assert len(done) == 2
    computed.clear()
    sweep.run(plain(), address, workers=1)
    assert not done & set(computed)
    assert verify(place_of(address), plain()).damage == ()
    assert_same_cubes(address, plain_store)


@pytest.mark.slow
def test_a_finished_one_returns_at_once_and_is_extended(address, tmp_path, computed):
    sweep.run(plain(), address, workers=1)
    place = place_of(address)
    before = place.journals(), place.snapshot
    sweep.run(plain(), address, workers=1)
    assert len(computed) == 4
    assert (place.journals(), place.snapshot) == before
    sweep.run(plain(draws=1300), address, workers=1)
    assert len(computed) == 6
    sweep.run(plain(draws=1300), tmp_path / "once.zarr", workers=1)
    assert_same_cubes(address, tmp_path / "once.zarr")


@pytest.mark.slow
def test_a_second_launcher_is_refused(address):
    refused = []

    def launch_another(state):
        with pytest.raises(RunError, match=rf"another run is writing this store \(pid {os.getpid()} on "):
            sweep.run(plain(), address, workers=1)
        refused.append(True)

    sweep.run(plain(), address, workers=1, progress=launch_another)
    assert len(refused) == 4


def test_a_folder_is_synced_once_with_the_one_above(tmp_path, monkeypatch):
    place, synced, fsync = Folder(tmp_path / "plain.zarr"), [], folder._fsync

    def settled(name):
        (place.path / name).parent.mkdir(parents=True, exist_ok=True)
        (place.path / name).touch()
        synced.clear()
        place.settle([name])
        return sorted(str(path.relative_to(place.path)) for path in synced)

    monkeypatch.setattr(folder, "_fsync", lambda path, release=False: (synced.append(path), fsync(path, release)))
    assert settled("x/c/0/0") == [".", "x", "x/c", "x/c/0", "x/c/0/0"]
    assert settled("x/c/0/1") == ["x/c/0", "x/c/0/1"]
    assert settled("x/c/1/0") == ["x/c", "x/c/1", "x/c/1/0"]
    assert settled("zarr.json") == [".", "zarr.json"]


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("file:///tmp/a.zarr", "/tmp/a.zarr"),
        ("file://localhost/tmp/a.zarr", "/tmp/a.zarr"),
        ("file:///tmp/two%20words.zarr", "/tmp/two words.zarr"),
        ("/tmp/two%20words.zarr", "/tmp/two%20words.zarr"),
    ],
)
def test_the_folder_that_an_address_names(address, path):
    assert place_of(address).path == Path(path)


@pytest.mark.parametrize("address", ["file://host/tmp/a.zarr", "file://results/a.zarr", "file://", "file:///"])
def test_an_address_of_no_folder_here_is_refused(address):
    with pytest.raises(PlaceError, match=r"no folder of this machine; write file:///PATH, or the path alone"):
        place_of(address)


def test_a_path_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert place_of("~/a.zarr").path == tmp_path / "a.zarr"
    with pytest.raises(AddressError, match=r"~nobody-of-this-name/a: no such user's home"):
        place_of("~nobody-of-this-name/a")


@pytest.mark.parametrize("address", ["", "ftp://host/a", "s4://bucket/a", "s3://", "memory://a"])
def test_what_is_no_address_is_told_which_there_are(address):
    with pytest.raises(
        AddressError, match=r"address.*; write a path, s3://BUCKET/NAME, gs://BUCKET/NAME or az://CONTAINER/NAME, or icechunk\+"
    ):
        place_of(address)
