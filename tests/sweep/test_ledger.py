"""The ledger: receipts survive crashes, and only one run writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from sweep.ledger import FILE, Ledger, LedgerError, read, write_head

HEAD = {"format": 1, "identity": {"model": "toy_model"}}


@pytest.fixture
def store(tmp_path):
    write_head(tmp_path, HEAD)
    return tmp_path


def receipt(tile, **more):
    return {"tile": tile, "draws": 256, **more}


def test_what_is_appended_is_read(store):
    with Ledger(store) as ledger:
        ledger.append(receipt("0:1/0"))
        ledger.append(receipt("0:1/1"))
    head, receipts = read(store)
    assert head == HEAD
    assert receipts == {"0:1/0": receipt("0:1/0"), "0:1/1": receipt("0:1/1")}
    assert [json.loads(line) for line in (store / FILE).read_text().splitlines()][1:] == list(receipts.values())


def test_the_latest_receipt_of_a_tile_counts(store):
    with Ledger(store) as ledger:
        ledger.append(receipt("/0", draws=100))
        ledger.append(receipt("/0", draws=200))
    assert read(store)[1]["/0"]["draws"] == 200


@pytest.mark.parametrize("torn", [b"{", b'{"tile":"/1","draws":256}', b"\x00" * 300])
def test_a_torn_last_line_does_not_count_and_is_cut(store, torn):
    with Ledger(store) as ledger:
        ledger.append(receipt("/0"))
    whole = (store / FILE).read_bytes()
    (store / FILE).write_bytes(whole + torn)
    assert list(read(store)[1]) == ["/0"]
    with Ledger(store) as ledger:
        assert (store / FILE).read_bytes() == whole
        ledger.append(receipt("/2"))
    assert list(read(store)[1]) == ["/0", "/2"]


@pytest.mark.parametrize("line", [b"not json", b"[1, 2]", b'"text"', b'{"no": "tile"}', b"\xff\xfe"])
def test_a_damaged_line_is_an_error_and_never_skipped(store, line):
    with (store / FILE).open("ab") as file:
        file.write(line + b"\n")
    with pytest.raises(LedgerError, match="damaged"):
        read(store)


@pytest.mark.parametrize("content", [b"", b"[]\n", b"3\n", b"{}"])
def test_a_ledger_without_a_head_is_damaged(store, content):
    (store / FILE).write_bytes(content)
    with pytest.raises(LedgerError, match="damaged"):
        read(store)


def test_a_ledger_that_is_not_there(tmp_path):
    with pytest.raises(LedgerError, match="No such file"):
        read(tmp_path)


def test_one_writer_at_a_time(store):
    with Ledger(store) as first:
        with pytest.raises(LedgerError, match="another run is writing this store"), Ledger(store):
            pass
        first.append(receipt("/0"))
    with Ledger(store) as second:
        second.append(receipt("/1"))
    assert list(read(store)[1]) == ["/0", "/1"]


def test_a_refused_writer_leaves_the_others_line_alone(store):
    with Ledger(store) as first:
        first._file.write(b'{"tile":')
        first._file.flush()
        with pytest.raises(LedgerError), Ledger(store):
            pass
        first._file.write(b'"/0"}\n')
    assert list(read(store)[1]) == ["/0"]


def test_the_lock_goes_with_its_process(store):
    program = "import os, sys, pathlib\nfrom sweep.ledger import Ledger\nLedger(pathlib.Path(sys.argv[1])).__enter__()\nos._exit(9)"
    assert subprocess.run([sys.executable, "-c", program, str(store)], check=False).returncode == 9
    with Ledger(store) as ledger:
        ledger.append(receipt("/0"))
    assert list(read(store)[1]) == ["/0"]


def test_lines_are_durable_before_append_returns(store, monkeypatch):
    seen = []
    fsync = os.fsync

    def watched(descriptor):
        seen.append((store / FILE).read_bytes())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    with Ledger(store) as ledger:
        ledger.append(receipt("/0"))
    assert len(seen) == 1
    assert seen[0].endswith(b"}\n")
    assert b'"/0"' in seen[0]
