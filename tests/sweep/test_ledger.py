"""The ledgers: receipts survive crashes and damage is seen, and only those write at once who may."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.ledger import HEAD, WHOLE, LedgerError, hold, opened, read, read_head, sealed, shard_name, write_head
from sweep.places import Folder
from tests.sweep.studies import journal, records, rewrite

HEAD_OF_A_STORE = {"format": 1, "identity": {"model": "toy_model"}, "policy": {"box": [], "blocks": 1, "steps": None}}


@pytest.fixture
def place(tmp_path):
    write_head(Folder(tmp_path), HEAD_OF_A_STORE)
    return Folder(tmp_path)


def receipt(tile, **more):
    return {"tile": tile, "first_block": 0, "draws": 256, "crc": {}, **more}


def tiles(place):
    return list(read(place).receipts)


def test_what_is_appended_is_read(place):
    with hold(place) as ledger:
        ledger.append(receipt("0:1/0"))
        ledger.append(receipt("0:1/1"))
    contents = read(place)
    assert contents.head == HEAD_OF_A_STORE
    assert {name: {key: value for key, value in found.items() if key != "at"} for name, found in contents.receipts.items()} == {
        "0:1/0": receipt("0:1/0"),
        "0:1/1": receipt("0:1/1"),
    }
    assert contents.launches[WHOLE]["launch"]["pid"] == os.getpid()
    assert contents.damaged == 0


def test_the_latest_line_of_a_tile_counts(place):
    with hold(place) as ledger:
        ledger.append(receipt("/0", draws=100))
        ledger.append({"tile": "/0", "failed": "broken", "tries": 2})
        ledger.append({"tile": "/1", "failed": "broken", "tries": 2})
        ledger.append(receipt("/0", draws=200))
        ledger.append(receipt("/2"))
        ledger.append({"tile": "/2", "void": "damaged"})
    contents = read(place)
    assert contents.receipts.keys() == {"/0"}
    assert contents.receipts["/0"]["draws"] == 200
    assert contents.failures.keys() == {"/1"}


def test_receipts_of_all_launchers_count(place):
    for number in (1, 2):
        with hold(place, shard_name(number, 2)) as ledger:
            ledger.append(receipt(f"/{number}"))
    with hold(place) as ledger:
        ledger.append(receipt("/0"))
        ledger.append(receipt("/1"))
    contents = read(place)
    assert contents.receipts.keys() == {"/0", "/1", "/2"}
    assert contents.launches.keys() == {"1-of-2", "2-of-2", WHOLE}


def test_what_is_withdrawn_is_withdrawn_everywhere_and_can_be_done_again(place, monkeypatch):
    with hold(place, "1-of-2") as ledger:
        # Written by a machine whose clock is an hour ahead.
        ahead = time.time() + 3600
        monkeypatch.setattr(time, "time", lambda: ahead)
        ledger.append(receipt("/0"))
    monkeypatch.undo()
    with hold(place) as ledger:
        ledger.append({"tile": "/0", "void": "damaged"})
    assert tiles(place) == []
    with hold(place, "2-of-2") as ledger:
        ledger.append(receipt("/0"))
    assert tiles(place) == ["/0"]


@pytest.mark.parametrize("torn", [b"{", b'{"tile":"/1","draws":256}', b"\x00" * 300, sealed(receipt("/1"))])
def test_a_torn_last_line_does_not_count_and_is_cut(place, torn):
    with hold(place) as ledger:
        ledger.append(receipt("/0"))
    file = journal(place.path)
    whole = file.read_bytes()
    file.write_bytes(whole + torn)
    assert tiles(place) == ["/0"]
    assert read(place).damaged == 1
    with hold(place) as ledger:
        assert file.read_bytes().startswith(whole + b'{"launch"')
        ledger.append(receipt("/2"))
    assert tiles(place) == ["/0", "/2"]
    assert read(place).damaged == 0


@pytest.mark.parametrize("line", [b"not json", b"[1, 2]", b'"text"', b'{"tile": "/9"}', b"\xff\xfe"])
def test_a_damaged_line_does_not_count_and_is_told_of(place, line):
    with hold(place) as ledger:
        ledger.append(receipt("/0"))
    with journal(place.path).open("ab") as file:
        file.write(line + b"\n")
    with hold(place) as ledger:
        ledger.append(receipt("/1"))
    assert tiles(place) == ["/0", "/1"]
    assert read(place).damaged == 1


@given(place=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_any_changed_bit_of_a_line_is_seen(place, bit):
    line = sealed(receipt("0:8,3:4/12", at=1795261939.5, error=3e-7))
    assert opened(line) == receipt("0:8,3:4/12", at=1795261939.5, error=3e-7)
    place %= len(line)
    changed = line[:place] + bytes([line[place] ^ (1 << bit)]) + line[place + 1 :]
    assert opened(changed) is None


@pytest.mark.parametrize("content", [b"", b"[]\n", b"3\n", b"{}", b'{"format": 1}'])
def test_a_damaged_head(place, content):
    (place.path / HEAD).write_bytes(content)
    with pytest.raises(LedgerError, match=r"head\.json is damaged; restore it from a copy"):
        read_head(place)


def test_a_head_that_is_not_there(tmp_path):
    with pytest.raises(LedgerError, match=r"head\.json is missing"):
        read(Folder(tmp_path))


def test_one_writer_at_a_time(place):
    with hold(place) as first:
        with pytest.raises(LedgerError, match=rf"another run is writing this store \(pid {os.getpid()} on .*\d UTC\); wait"), hold(place):
            pass
        assert place.running() == [WHOLE]
        first.append(receipt("/0"))
    assert place.running() == []
    with hold(place) as second:
        second.append(receipt("/1"))
    assert tiles(place) == ["/0", "/1"]


def test_who_looks_in_that_moment_keeps_no_launcher_out(place):
    with hold(place):
        pass
    with journal(place.path).open("rb") as looked_at:
        # As `running` does, for a moment.
        fcntl.flock(looked_at, fcntl.LOCK_SH)
        gone = threading.Timer(0.05, fcntl.flock, (looked_at, fcntl.LOCK_UN))
        gone.start()
        with hold(place) as ledger:
            ledger.append(receipt("/0"))
        gone.join()
    assert tiles(place) == ["/0"]


def test_shards_write_beside_each_other_and_beside_nobody_else(place):
    with hold(place, "1-of-3") as first, hold(place, "3-of-3") as third:
        assert place.running() == ["1-of-3", "3-of-3"]
        for launcher, busy in (("1-of-3", "the run of shard 1/3"), (WHOLE, "the run of shard 1/3"), ("1-of-2", "the run of shard 1/3")):
            with pytest.raises(LedgerError, match=busy), hold(place, launcher):
                pass
        first.append(receipt("/0"))
        third.append(receipt("/2"))
    with hold(place), pytest.raises(LedgerError, match="another run"), hold(place, "1-of-3"):
        pass
    assert sorted(tiles(place)) == ["/0", "/2"]


def test_a_refused_writer_leaves_the_others_line_alone(place):
    line = sealed(receipt("/0", at=1.0)) + b"\n"
    with hold(place), journal(place.path).open("ab") as file:
        file.write(line[:9])
        file.flush()
        with pytest.raises(LedgerError), hold(place):
            pass
        file.write(line[9:])
    assert tiles(place) == ["/0"]


def test_the_lock_goes_with_its_process(place):
    program = """if True:
        import os, sys, pathlib
        from sweep.ledger import hold
        from sweep.places import Folder
        with hold(Folder(pathlib.Path(sys.argv[1]))):
            os._exit(9)
    """
    assert subprocess.run([sys.executable, "-c", program, str(place.path)], check=False).returncode == 9
    with hold(place) as ledger:
        ledger.append(receipt("/0"))
    assert tiles(place) == ["/0"]


def test_lines_are_durable_before_append_returns(place, monkeypatch):
    seen = []
    fsync = os.fsync

    def watched(descriptor):
        seen.append(journal(place.path).read_bytes())
        fsync(descriptor)

    with hold(place) as ledger:
        monkeypatch.setattr(os, "fsync", watched)
        ledger.append(receipt("/0"))
        assert len(seen) == 1
        assert seen[0].endswith(b"}\n")
        assert b'"/0"' in seen[0]


def test_a_rewritten_ledger_is_the_same(place):
    with hold(place) as ledger:
        ledger.append(receipt("/0"))
    before = journal(place.path).read_bytes()
    rewrite(place.path, records(place.path))
    assert journal(place.path).read_bytes() == before
