"""Replay: any trajectory again from the cube alone, with the bits of the cube."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import sweep
from sweep.errors import SpecError
from sweep.places import Folder
from sweep.prepare import spec_of
from sweep.replay import replay
from tests.sweep.studies import contents, plain, toy


@pytest.mark.slow
def test_it_has_the_bits_of_the_cube(toy_store):
    held = contents(toy_store)
    for index in (0, 3 * 1400 + 777, 6 * 1400 - 1):
        found = replay(Folder(toy_store), index)
        cell, draw = np.unravel_index(index // 1400, (2, 3)), index % 1400
        assert (found.index, found.draw) == (index, draw)
        assert found.differing == []
        assert set(found.outcomes) == {label.name for label in toy().labels()}
        for name, value in found.outcomes.items():
            assert np.array(value).astype(held[f"/draws/{name}"].dtype).tobytes() == held[f"/draws/{name}"][(*cell, draw)].tobytes()
        for name in ("initial_agis", "papers_per_agi_month"):
            assert found.parameters[name] == held[f"/draws/{name}"][draw]
        assert found.cell["paper_growth_factor"] == (1.5, 2, 3)[int(cell[1])]
        assert found.parameters["paper_growth_factor"] == found.cell["paper_growth_factor"]
        # The path reaches its third doubling at the date of the third doubling.
        if np.isfinite(found.outcomes["date_of_doubling_3"]):
            reached = np.interp(found.outcomes["date_of_doubling_3"], found.times, np.minimum(found.doublings, 1e3))
            assert 2.5 < reached < 4 or found.doublings[found.times > found.outcomes["date_of_doubling_3"]][0] > 3


@pytest.mark.slow
def test_a_difference_is_seen(toy_store, tmp_path):
    import zarr

    store = shutil.copytree(toy_store, tmp_path / "small.zarr")
    array = zarr.open_array(store / "draws" / "date_of_doubling_3", mode="r+")
    array[0, 0, 5] = np.nextafter(array[0, 0, 5], np.float32(0))
    assert replay(Folder(store), 5).differing == ["date_of_doubling_3"]


@pytest.mark.parametrize("index", [-1, 6 * 1400])
def test_an_index_beyond_the_sweep(toy_store, index):
    with pytest.raises(SpecError, match=r"the sweep has 8,400 trajectories.*0 to 8399"):
        replay(Folder(toy_store), index)


@pytest.mark.slow
def test_a_cube_without_draws(tmp_path):
    sweep.run(plain(store__draws="none"), tmp_path / "plain.zarr", workers=1)
    found = replay(Folder(tmp_path / "plain.zarr"), 1000)
    assert found.kept == {}
    assert found.differing == []
    assert np.isfinite(found.outcomes["date_of_doubling_3"])


def test_the_spec_of_a_cube_is_that_of_the_sweep(toy_store):
    assert spec_of(Folder(toy_store)).fingerprint() == toy().fingerprint()
    assert spec_of(Folder(toy_store), toy(draws=7)).draws == 1400
    with pytest.raises(SpecError, match="does not describe the sweep"):
        spec_of(Folder(toy_store), toy(seed=99))
