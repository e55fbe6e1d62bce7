"""The commands for a cube that is there: status, report, extend, verify, replay, merge, and shards, with their exit codes and messages."""

from __future__ import annotations

import dataclasses
import json
import shutil
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

import sweep
from sweep import ledger
from sweep.cli import main
from sweep.coordinator import Interrupted
from sweep.places import Folder
from sweep.printing import show_replayed
from sweep.replay import replay
from tests.sweep.studies import PLAIN, TOY, assert_same_bits, plain, receipts, records, rewrite

OWN = """
from kernels.models.toy_model import ToyModel


class Mine(ToyModel):
    name = "mine"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch, plain_store):
    """A folder with the config of the plain study, and its finished store."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain.toml").write_text(PLAIN)
    shutil.copytree(plain_store, tmp_path / "plain.zarr")
    return tmp_path


def invoke(*arguments, code=0):
    done = CliRunner().invoke(main, list(arguments), catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done


@pytest.mark.slow
def test_status_of_a_run_under_way(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = []

    def look(state):
        if state.tiles_done == 3:
            # From another thread, as if from another process: a lock belongs to the file as it was opened.
            looking = threading.Thread(target=lambda: shown.append(invoke("status", "plain.zarr").stdout))
            looking.start()
            looking.join()

    sweep.run(plain(), "plain.zarr", workers=1, progress=look)
    (text,) = shown
    assert "running" in text
    assert "pid " in text
    assert "since 20" in text
    assert "trajectories/s, ETA" in text
    assert "768 of 1.02 k trajectories" in text
    assert "complete" in invoke("status", "plain.zarr").stdout


def test_status_tells_of_failed_tiles_and_damaged_lines(folder):
    with ledger.hold(Folder(folder / "plain.zarr")) as book:
        for number in range(7):
            book.append(
                {"tile": f"/{number}", "failed": "out of memory", "tries": 2, "replay": f"siesweep replay plain.zarr --index {number}"}
            )
    with (folder / "plain.zarr" / "ledger" / "whole.jsonl").open("a") as file:
        file.write("garbage\n")
    text = invoke("status", "plain.zarr").stdout
    assert "/3: out of memory (tried 2 times; siesweep replay plain.zarr --index 3)" in text
    assert "7 in all" in text
    assert "1; their tiles are run again" in text


def test_status_of_an_extension_that_is_stopped_and_given_up(folder):
    def interrupt(state):
        raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        sweep.run(plain(draws=2048), "plain.zarr", workers=1, progress=interrupt)
    text = invoke("status", "plain.zarr").stdout
    assert "1,024 draws; `siesweep extend plain.zarr --draws 1024` goes back to them" in text
    assert "1.28 k of 2.05 k trajectories" in text
    sweep.run(plain(), "plain.zarr", workers=1)
    text = invoke("status", "plain.zarr").stdout
    assert "goes back" not in text
    assert "1.02 k of 1.02 k trajectories" in text


def test_a_cube_turns_back_into_its_config(folder):
    text = invoke("status", "plain.zarr", "--config").stdout
    Path("again.toml").write_text(text)
    assert sweep.load("again.toml").fingerprint() == plain().fingerprint()


@pytest.mark.slow
def test_extend_needs_the_cube_alone(folder, computed):
    (folder / "plain.toml").unlink()
    done = invoke("extend", "plain.zarr", "--draws", "1300", "--workers", "1")
    assert "1,300 draws" in done.stdout
    assert len(computed) == 2
    sweep.run(plain(draws=1300), folder / "fresh.zarr", workers=1)
    assert_same_bits(folder / "plain.zarr", folder / "fresh.zarr")
    done = invoke("extend", "plain.zarr", "--draws", "1000", code=2)
    assert done.stderr.startswith("siesweep: plain.zarr: [sweep] draws = 1000: the store holds 1300 draws already")


def test_report_prints_what_the_run_printed_and_draws_the_figure(folder, computed):
    done = invoke("report", "plain.zarr")
    assert done.stdout == invoke("run", "plain.toml", "-o", "plain.zarr", "--workers", "1").stdout
    assert "date_of_doubling_3" in done.stdout
    assert "figure  plain.png" in done.stdout
    assert (folder / "plain.png").read_bytes().startswith(b"\x89PNG")
    assert computed == []


def test_report_of_a_store_that_is_not_finished(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sweep.run(plain(), "plain.zarr", workers=1, shard=(1, 2))
    done = invoke("report", "plain.zarr", code=1)
    assert "plain.zarr: not finished; `siesweep run` on its config goes on" in done.stderr
    assert done.stdout == ""


def test_report_of_a_cube_beyond_its_tolerance(folder):
    file = folder / "plain.zarr" / "zarr.json"
    held = json.loads(file.read_text())
    held["attributes"]["numerical_error"] = 1.0
    file.write_text(json.dumps(held))
    done = invoke("report", "plain.zarr", code=1)
    assert "date_of_doubling_3" in done.stdout
    assert "tolerance" in done.stderr


@pytest.mark.slow
def test_verify_names_what_is_damaged_and_repairs_it(folder, plain_store, computed):
    assert "all is as it was written" in invoke("verify", "plain.zarr").stdout
    (folder / "plain.zarr" / "draws" / "initial_agis" / "c" / "2").unlink()
    done = invoke("verify", "plain.zarr", code=1)
    assert "damaged: draws/initial_agis (tile /2): draws/initial_agis/c/2 is missing" in done.stdout
    assert "1 tile to compute again" in done.stdout
    assert "`siesweep verify plain.zarr --repair` does exactly that" in done.stdout
    assert computed == []
    done = invoke("verify", "plain.zarr", "--repair")
    assert computed == ["/2"]
    assert "numerical error" in done.stdout
    assert_same_bits(folder / "plain.zarr", plain_store)
    invoke("verify", "plain.zarr")


def test_a_repair_that_would_mix_versions_is_refused_before_it_begins(folder, computed):
    store = folder / "plain.zarr"
    rewrite(store, [record | {"jaxlib": "0.0.1"} if "crc" in record else record for record in records(store)])
    (store / "draws" / "initial_agis" / "c" / "2").unlink()
    done = invoke("verify", "plain.zarr", "--repair", code=1)
    assert "jaxlib was 0.0.1, is " in done.stderr
    assert "allow it with --mix" in done.stderr
    assert sweep.open_cube(store).attrs["complete"]
    assert len(receipts(store)) == 4
    invoke("verify", "plain.zarr", "--repair", "--mix")
    assert computed == ["/2"]


def test_verify_tells_of_changed_attributes_and_puts_them_back(folder):
    file = folder / "plain.zarr" / "zarr.json"
    file.write_text(file.read_text().replace('"draws": 1024', '"draws": 512'))
    assert json.loads(file.read_text())["attributes"]["draws"] == 512
    done = invoke("verify", "plain.zarr", code=1)
    assert "damaged: zarr.json: attribute draws is not what was written (it was 1024)" in done.stdout
    assert "`siesweep verify plain.zarr --repair` puts back what was written" in done.stdout
    assert "all is as it was written" in invoke("verify", "plain.zarr", "--repair").stdout
    assert "all is as it was written" in invoke("verify", "plain.zarr").stdout


def test_verify_counts_lines_of_the_ledger_that_do_not_count(folder):
    with (folder / "plain.zarr" / "ledger" / "whole.jsonl").open("a") as file:
        file.write("garbage\n")
    assert "1 lines of the ledger are damaged and do not count" in invoke("verify", "plain.zarr").stdout


@pytest.mark.slow
def test_replay_prints_and_plots(folder):
    done = invoke("replay", "plain.zarr", "--index", "1000", "--plot", "path.png")
    assert "trajectory 1000 (draw 1000)" in done.stdout
    assert "the same bits" in done.stdout
    assert "DIFFERS" not in done.stdout
    assert "doublings of software" in done.stdout
    assert (folder / "path.png").read_bytes().startswith(b"\x89PNG")
    assert "the sweep has 1,024 trajectories" in invoke("replay", "plain.zarr", "--index", "1024", code=2).stderr


def test_no_doublings_are_printed_as_0(folder, capsys):
    found = replay(Folder(folder / "plain.zarr"), 3)
    show_replayed(dataclasses.replace(found, doublings=-0.0 * found.doublings), None)
    assert "-0" not in capsys.readouterr().out.partition("path")[2]


def test_replay_of_what_is_not_stored_yet_compares_nothing(folder):
    store = folder / "plain.zarr"
    rewrite(store, [record for record in records(store) if record.get("tile") != "/3" and "finished" not in record])
    done = invoke("replay", "plain.zarr", "--index", "1000")
    assert "it is not stored in the cube yet, so there is nothing to compare it with" in done.stdout
    assert "DIFFERS" not in done.stdout
    assert "in the cube " not in done.stdout.partition("outcomes")[2].partition("it is not")[0]
    assert "the same bits" in invoke("replay", "plain.zarr", "--index", "5").stdout


@pytest.mark.slow
def test_shards_and_merge(tmp_path, monkeypatch, plain_store):
    monkeypatch.chdir(tmp_path)
    Path("plain.toml").write_text(PLAIN)
    done = invoke("run", "plain.toml", "-o", "plain.zarr", "--shard", "1/2", "--workers", "1")
    assert "shard 1/2 of plain.zarr is done; finished in all: 2 tiles" in done.stdout
    done = invoke("merge", "plain.zarr", code=1)
    assert "only 2 tiles finished; run the shards that are missing (2/2)" in done.stderr
    assert "2/2: run them, or copy them here" in invoke("status", "plain.zarr").stdout
    done = invoke("run", "plain.toml", "-o", "plain.zarr", "--shard", "2/2", "--workers", "1")
    assert "numerical error" in done.stdout
    rewrite(Path("plain.zarr"), [record for record in records(Path("plain.zarr")) if "finished" not in record])
    assert "numerical error" in invoke("merge", "plain.zarr").stdout
    assert_same_bits(Path("plain.zarr"), plain_store)


def test_two_stores_to_merge_are_copied_into_one_first(folder):
    done = invoke("merge", "plain.zarr", "other.zarr", code=2)
    assert done.stderr == (
        "siesweep: siesweep merge plain.zarr other.zarr: one store is wanted. Fix: copy what the others hold into plain.zarr "
        "(cp -rn other.zarr/. plain.zarr/), then `siesweep merge plain.zarr`.\n"
    )


@pytest.mark.parametrize("shard", ["0/2", "3/2", "2", "a/b", "1/0", "-1/2"])
def test_a_shard_that_is_none(folder, shard):
    assert "is not K/N with K from 1 to N, e.g. 1/4" in invoke("run", "plain.toml", "--shard", shard, code=2).stderr


@pytest.mark.slow
def test_own_code_comes_with_the_config_and_never_from_the_cube(tmp_path, monkeypatch, computed):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(OWN)
    Path("mine.toml").write_text(PLAIN.replace('"toy_model"', '"mine.py:Mine"'))
    sweep.run(sweep.load("mine.toml"), "plain.zarr", workers=1)
    for command in (
        ["extend", "plain.zarr", "--draws", "1300"],
        ["verify", "plain.zarr"],
        ["report", "plain.zarr"],
        ["replay", "plain.zarr", "--index", "3"],
    ):
        assert "own code, which is never loaded from a cube. Fix: give the config" in invoke(*command, code=2).stderr
        invoke(*command, "--config", "mine.toml")
    assert len(receipts(Path("plain.zarr"))) == 6
    Path("other.toml").write_text(TOY)
    assert "does not describe the sweep" in invoke("verify", "plain.zarr", "--config", "other.toml", code=2).stderr


@pytest.mark.parametrize("command", [["status"], ["report"], ["verify"], ["merge"], ["replay", "--index", "0"], ["extend", "--draws", "9"]])
def test_no_cube_there(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    name, *options = command
    assert "nothing.zarr: no cube there" in invoke(name, "nothing.zarr", *options, code=1).stderr


def test_an_object_store_without_its_package(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "obstore", None)
    done = invoke("status", "s3://bucket/a.zarr", code=1)
    assert "s3://bucket/a.zarr: object stores need the package obstore: pip install 'siesweep[cloud]'" in done.stderr
