"""The format of the cube: a second reader written from its page reads the same, and a cube of every version opens for ever."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

import google_crc32c
import numpy as np
import pytest

import sweep
from sweep.places import Folder
from sweep.prepare import spec_of
from sweep.replay import replay
from sweep.verify import verify
from tests.oracles.second_reader import Cube
from tests.sweep.studies import contents, receipts, toy

PAGE = Path(__file__).parents[2] / "docs" / "cube-format.md"
KEPT = Path(__file__).parents[1] / "data" / "cube_format_1.zip"


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    """A store with axes that was extended once, by shards."""
    store = tmp_path_factory.mktemp("format") / "small.zarr"
    sweep.run(toy(draws=700), store, workers=1)
    for number in (1, 2):
        sweep.run(toy(), store, workers=1, shard=(number, 2))
    return store


@pytest.mark.slow
def test_a_second_reader_reads_the_same(extended):
    cube = Cube(extended)
    for name, values in contents(extended).items():
        if values.dtype.kind in "OTU":
            continue
        theirs = cube.array(name[1:])
        if "/histogram_" in name:
            theirs = theirs.sum(2, dtype=np.int64)
        assert theirs.dtype == values.dtype
        np.testing.assert_array_equal(theirs, values)
    assert cube.fingerprint() == cube.attributes["fingerprint"] == toy().fingerprint()


@pytest.mark.slow
def test_a_second_reader_finds_the_receipts_and_their_checksums(extended):
    cube, ours = Cube(extended), receipts(extended)
    theirs = cube.receipts()
    wanted = {f"{box}/{column}" for box in {name.partition("/")[0] for name in ours} for column in range(len(cube.columns()))}
    assert set(theirs) == wanted
    assert {name: line["at"] for name, line in theirs.items()} == {name: ours[name]["at"] for name in theirs}
    for name, line in theirs.items():
        box, _, column = name.rpartition("/")
        place = tuple(slice(*map(int, run.split(":"))) for run in box.split(","))
        first, blocks = cube.columns()[int(column)]
        part = cube.array("partials/sum")[(*place, slice(first, first + blocks))]
        assert google_crc32c.value(np.ascontiguousarray(part).tobytes()) == line["crc"]["partials/sum"]
        draws = cube.array("draws/date_of_doubling_3")[(*place, slice(first * 256, first * 256 + line["draws"]))]
        assert google_crc32c.value(np.ascontiguousarray(draws).tobytes()) == line["crc"]["draws/date_of_doubling_3"]


@pytest.mark.slow
def test_the_page_names_every_array_and_attribute(extended):
    text = PAGE.read_text(encoding="utf-8")
    named = set(re.findall(r"`(?:[\w/]+/)?(\w+)`", text)) | set(re.findall(r"`(\w+)`", text))
    cube = Cube(extended)
    assert set(cube.attributes) - named == set()
    labels = {label.name for label in toy().labels()} | set(toy().parameters) | set(toy().axes)
    arrays = {name.rpartition("/")[2] for name in contents(extended)}
    assert {name for name in arrays - labels - named if not name.startswith("histogram_")} == {
        "outcome",
        "quantile",
        "probability_se",
    } - named


@pytest.mark.slow
def test_a_cube_of_format_1_opens_for_ever(tmp_path):
    with zipfile.ZipFile(KEPT) as archive:
        archive.extractall(tmp_path)
    store, expected = tmp_path / "cube", json.loads((tmp_path / "expected.json").read_text())
    cube = sweep.open_cube(store)
    assert cube.attrs["format_version"] == 1
    assert cube.attrs["fingerprint"] == expected["fingerprint"]
    for name, values in expected["values"].items():
        np.testing.assert_array_equal(np.asarray(cube[name].values, dtype=float).ravel(), np.array(values, dtype=float))
    place = Folder(store)
    assert verify(place, spec_of(place)).damage == ()
    # The same trajectory, if perhaps not the same last bit, with the compiler of another day.
    found = replay(place, expected["replayed"]["index"])
    for name, value in expected["replayed"]["outcomes"].items():
        assert found.outcomes[name] == pytest.approx(value, rel=1e-5)


@pytest.mark.slow
def test_the_kept_cube_can_be_extended(tmp_path):
    with zipfile.ZipFile(KEPT) as archive:
        archive.extractall(tmp_path)
    spec = spec_of(Folder(tmp_path / "cube"))
    cube = sweep.run(spec.replace(draws=spec.draws + 100), tmp_path / "cube", workers=1, mix_versions=True)
    assert cube.attrs["draws"] == spec.draws + 100
    assert cube.attrs["complete"]
