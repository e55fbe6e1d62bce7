"""A sweep in an icechunk repository: the bits of a local one, a commit with its receipt for each tile, one committer."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
import xarray as xr
from click.testing import CliRunner

import sweep
from sweep import ledger
from sweep.cli import main
from sweep.coordinator import Interrupted, RunError
from sweep.cube import CubeError
from sweep.errors import SpecError
from sweep.places import PlaceError, folder, place_of
from sweep.prepare import prepared, spec_of
from sweep.verify import verify, withdraw
from tests.sweep.studies import PLAIN, assert_same_cubes, plain, toy

icechunk = pytest.importorskip("icechunk")


@pytest.fixture
def address(tmp_path):
    """A place where nothing is yet."""
    return f"icechunk+{tmp_path}/results/plain"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished store of `plain()`. Read it only; copy its folder to change it."""
    address = f"icechunk+{tmp_path_factory.mktemp('versioned')}/plain"
    sweep.run(plain(), address, workers=1)
    return address


def copied(finished, tmp_path):
    shutil.copytree(path_of(finished), tmp_path / "copy")
    return f"icechunk+{tmp_path}/copy"


def path_of(address):
    return Path(address.removeprefix("icechunk+"))


def repository(address):
    return icechunk.Repository.open(icechunk.local_filesystem_storage(f"{path_of(address)}/repository"))


def commits(opened):
    """What the commits of the branch say, the first one first."""
    return [(each.message, each.metadata.get("receipt")) for each in opened.ancestry(branch="main")][::-1][1:]


@pytest.mark.slow
def test_it_has_the_bits_of_a_local_sweep(address, toy_store):
    cube = sweep.run(toy(), address, workers=1)
    assert cube.attrs["complete"]
    assert_same_cubes(address, toy_store)
    assert verify(place_of(address), spec_of(place_of(address))).damage == ()


@pytest.mark.slow
def test_every_receipt_is_in_the_commit_of_its_tile(finished, plain_store):
    assert_same_cubes(finished, plain_store)
    receipts = ledger.read(place_of(finished)).receipts
    found = commits(repository(finished))
    assert [message for message, _ in found] == [
        "made",
        *(f"tile {tile}" for tile in receipts),
        "statistics",
        "attributes and statistics",
    ]
    assert {receipt["tile"]: receipt for _, receipt in found if receipt and "crc" in receipt} == {
        tile: {**receipt, "line_crc": seal(receipt)} for tile, receipt in receipts.items()
    }


def seal(record):
    return json.loads(ledger.sealed(record))["line_crc"]


def test_each_commit_holds_its_tile(finished, plain_store):
    """A receipt's commit is a cube in which that tile is done: history can be read at any of them."""
    opened = repository(finished)
    whole = xr.open_zarr(plain_store, group="draws")["date_of_doubling_3"].to_numpy()
    for each in opened.ancestry(branch="main"):
        if each.message.startswith("tile"):
            receipt = each.metadata["receipt"]
            store = opened.readonly_session(snapshot_id=each.id).store
            draws = xr.open_zarr(store, group="draws", consolidated=False)["date_of_doubling_3"].to_numpy()
            part = slice(receipt["first_block"] * 256, receipt["first_block"] * 256 + receipt["draws"])
            assert draws[part].tobytes() == whole[part].tobytes()


@pytest.mark.slow
def test_an_extension_that_is_stopped_goes_back_and_on(finished, plain_store, tmp_path):
    """icechunk forgets what lay behind the draws that it goes back to, so those tiles are computed again."""
    address = copied(finished, tmp_path)
    longer = plain(draws=1536)

    def interrupt(state):
        raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="5 of 6"):
        sweep.run(longer, address, workers=1, progress=interrupt)
    sweep.run(plain(), address, workers=1)
    assert_same_cubes(address, plain_store)
    sweep.run(longer, address, workers=1)
    assert verify(place_of(address), longer).damage == ()


@pytest.mark.slow
def test_results_say_the_snapshot_and_how_to_open_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("plain.toml").write_text(PLAIN)
    first, again = (CliRunner().invoke(main, ["run", "plain.toml", "-o", "icechunk+results/a"], catch_exceptions=False) for _ in range(2))
    assert (first.exit_code, again.exit_code) == (0, 0)
    assert first.stdout == again.stdout
    *_, cube, snapshot = first.stdout.splitlines()
    assert snapshot == f"snapshot  {repository('icechunk+results/a').lookup_branch('main')}"
    opening = cube.removesuffix(")").partition("    (")[2]
    tree = eval(opening, {"xarray": xr, "icechunk": icechunk})
    xr.testing.assert_identical(tree.load(), sweep.open_cube("icechunk+results/a").load())
    assert Path("results/a.png").exists()


def test_what_it_was_is_still_there_when_it_is_extended(finished, tmp_path):
    address = copied(finished, tmp_path)
    before = repository(address).lookup_branch("main")
    sweep.run(plain(draws=1300), address, workers=1)
    held = repository(address).readonly_session(snapshot_id=before).store
    assert xr.open_zarr(held, group="draws", consolidated=False).sizes["draw"] == 1024


@pytest.mark.slow
def test_killed_between_the_commit_and_the_receipt(address, plain_store, computed, monkeypatch):
    class Killed(BaseException):
        pass

    append = folder._FileJournal.append

    def killed(self, line):
        if b'{"tile":"/2"' in line:
            raise Killed
        append(self, line)

    with monkeypatch.context() as patch:
        patch.setattr(folder._FileJournal, "append", killed)
        with pytest.raises(Killed):
            sweep.run(plain(), address, workers=1)
    assert list(ledger.read(place_of(address)).receipts) == ["/0", "/1"]
    assert commits(repository(address))[-1][0] == "tile /2"
    computed.clear()
    sweep.run(plain(), address, workers=1)
    assert computed == ["/2", "/3"]
    assert_same_cubes(address, plain_store)


@pytest.mark.slow
def test_killed_while_a_tile_is_written(address, plain_store, computed, monkeypatch):
    """What was not committed is as if it never was, also where nothing could be committed at the end."""
    from sweep.places.versioned import Versioned

    class Killed(BaseException):
        pass

    def killed(self, message=None, metadata=None):
        if message == "tile /1":
            patch.setattr(Versioned, "_commit", lambda self: None)
            raise Killed
        commit(self, message, metadata)

    commit = Versioned._commit
    with monkeypatch.context() as patch:
        patch.setattr(Versioned, "_commit", killed)
        with pytest.raises(Killed):
            sweep.run(plain(), address, workers=1)
    assert commits(repository(address))[-1][0] == "tile /0"
    computed.clear()
    sweep.run(plain(), address, workers=1)
    assert computed == ["/1", "/2", "/3"]
    assert_same_cubes(address, plain_store)


@pytest.mark.slow
def test_interrupted_behind_a_commit(address, plain_store, computed, monkeypatch):
    from sweep.places.versioned import Versioned

    def interrupted(self):
        if commits(repository(address))[-1][0] == "tile /1":
            patch.undo()
            raise KeyboardInterrupt
        settle(self)

    # Not while the store is made, which lies elsewhere then.
    prepared(plain(), place_of(address), 1, ledger.WHOLE)
    settle = Versioned._settle_files
    with monkeypatch.context() as patch:
        patch.setattr(Versioned, "_settle_files", interrupted)
        with pytest.raises(Interrupted, match="1 of 4"):
            sweep.run(plain(), address, workers=1)
    assert commits(repository(address))[-1][0] == "attributes and statistics"
    computed.clear()
    sweep.run(plain(), address, workers=1)
    assert computed == ["/1", "/2", "/3"]
    assert_same_cubes(address, plain_store)


@pytest.mark.slow
def test_what_cannot_be_written(address, plain_store):
    def take_away(state):
        if state.tiles_done == 1:
            chunks = path_of(address) / "repository" / "chunks"
            chunks.rename(chunks.with_name("away"))
            chunks.write_bytes(b"")

    with pytest.raises(RunError, match=r"plain: its icechunk repository fails \([^\n]+\)$"):
        sweep.run(plain(), address, workers=1, progress=take_away)
    chunks = path_of(address) / "repository" / "chunks"
    chunks.unlink()
    chunks.with_name("away").rename(chunks)
    sweep.run(plain(), address, workers=1)
    assert_same_cubes(address, plain_store)


@pytest.mark.slow
def test_killed_while_it_is_made(address, plain_store, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "write_head", lambda place, head: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(Interrupted):
            sweep.run(plain(), address, workers=1)
    assert list(path_of(address).parent.iterdir()) == []
    sweep.run(plain(), address, workers=1)
    assert_same_cubes(address, plain_store)


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 4])
def test_a_commit_of_somebody_else_ends_the_run(address, plain_store, computed, after):
    def commit(state):
        if state.tiles_done == after:
            session = repository(address).writable_session("main")
            xr.Dataset({"theirs": 1.0}).to_zarr(session.store, group="theirs", mode="w", consolidated=False)
            session.commit("theirs")

    with pytest.raises(RunError, match=r"somebody else committed to its branch main: snapshot \w+ stands where \w+ was; .* goes on"):
        sweep.run(plain(), address, workers=1, progress=commit)
    done = set(ledger.read(place_of(address)).receipts)
    assert len(done) == after
    computed.clear()
    cube = sweep.run(plain(), address, workers=1)
    assert not done & set(computed)
    assert verify(place_of(address), plain()).damage == ()
    assert cube["theirs/theirs"].item() == 1.0


def test_only_one_process_may_write(address):
    with pytest.raises(SpecError, match=r"plain: has one committer, so shard 1/2 cannot write it\. Fix: run the sweep without --shard"):
        sweep.run(plain(), address, shard=(1, 2))
    for how in ({"executor": "dask"}, {"scheduler": "tcp://127.0.0.1:1"}):
        with pytest.raises(SpecError, match=r"one committer, so dask's workers cannot write it\. Fix: run it with --executor inline"):
            sweep.run(plain(), address, **how)
    with pytest.raises(SpecError, match="one committer"):
        sweep.run(plain(run__executor="dask"), address)
    assert not path_of(address).parent.exists()


def chunks(address):
    """The files of chunks, the largest first."""
    return sorted((path_of(address) / "repository" / "chunks").iterdir(), key=lambda file: (-file.stat().st_size, file.name))


@pytest.mark.slow
@pytest.mark.parametrize("how", ["changed", "torn", "gone"])
def test_damage_is_repaired(finished, tmp_path, plain_store, computed, how):
    address = copied(finished, tmp_path)
    file = chunks(address)[0]
    if how == "changed":
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    elif how == "torn":
        file.write_bytes(file.read_bytes()[:100])
    else:
        file.unlink()
    place = place_of(address)
    found = verify(place, spec_of(place))
    assert len(found.damaged_tiles) == 1
    withdraw(place, plain(), found)
    computed.clear()
    sweep.run(plain(), address, workers=1)
    assert computed == [tile.name for tile in found.damaged_tiles]
    assert verify(place, plain()).damage == ()
    assert_same_cubes(address, plain_store)


@pytest.mark.slow
@pytest.mark.parametrize("part", ["snapshots", "manifests"])
def test_a_repository_that_icechunk_cannot_read(finished, tmp_path, part):
    address = copied(finished, tmp_path)
    for file in (path_of(address) / "repository" / part).iterdir():
        file.write_bytes(b"torn")
    with pytest.raises(CubeError, match=r"/copy: [^\n]*$"):
        sweep.open_cube(address)
    if part == "manifests":
        assert "draws/initial_agis (tile /0): cannot be read" in CliRunner().invoke(main, ["verify", address]).stdout
    # Repair comes last: it withdraws the receipts before it fails, and what has none is not read.
    for command in (["replay", address, "--index", "5"], ["verify", address, "--repair"]):
        done = CliRunner().invoke(main, command)
        assert (done.exit_code, type(done.exception)) == (1, SystemExit)
        assert re.search(r"^siesweep: icechunk\+.*/copy: .*(repository|cannot be read)", done.stderr.splitlines()[-1])


@pytest.mark.slow
def test_other_commands(finished):
    for command, says in (
        (["status"], finished),
        (["verify"], "all is as it was written"),
        (["replay", "--index", "500"], "the same bits"),
    ):
        done = CliRunner().invoke(main, [*command, finished], catch_exceptions=False)
        assert done.exit_code == 0
        assert says in done.stdout


def test_the_wrong_kind_of_address(finished, plain_store, tmp_path):
    with pytest.raises(CubeError, match=r"plain: an icechunk repository; write icechunk\+/"):
        sweep.open_cube(path_of(finished))
    with pytest.raises(RunError, match=r"plain\.zarr: a plain store, without versions; write /.*plain\.zarr$"):
        sweep.run(plain(), f"icechunk+{plain_store}")
    with pytest.raises(CubeError, match="no cube there"):
        sweep.open_cube(f"icechunk+{tmp_path}/nothing")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "file").write_text("text")
    with pytest.raises(SpecError, match="exists and is not a sweep's store"):
        sweep.run(plain(), f"icechunk+file://{tmp_path}/text")
    with pytest.raises(PlaceError, match=r"icechunk\+gs://b/a: versions are kept in a folder or at s3://BUCKET/NAME"):
        place_of("icechunk+gs://b/a")


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "icechunk", None)
    done = CliRunner().invoke(main, ["status", "icechunk+results/a"])
    assert done.exit_code == 1
    assert "icechunk+results/a: versions need the package icechunk: pip install 'siesweep[icechunk]'" in done.stderr


@pytest.mark.slow
def test_how_one_in_a_bucket_is_opened(server):
    pytest.importorskip("obstore")
    address = "icechunk+s3://bucket/versions/plain"
    cube = sweep.run(plain(), address, workers=1)
    with pytest.raises(CubeError, match=r"an icechunk repository; write icechunk\+s3://"):
        sweep.open_cube("s3://bucket/versions/plain")
    tree = eval(place_of(address).opening, {"xarray": xr, "icechunk": icechunk})
    xr.testing.assert_identical(tree.load(), cube.load())
