"""What is true of every sweep that the command has run."""

from __future__ import annotations

from pathlib import Path

import sweep
from sweep.places import place_of
from sweep.printed_results import figure_of

PRINTED_AGREES = ("toy_model", "returns_law", "stepping_on_toes", "interviews", "compute_bottleneck_limits")
"""The shipped configs whose printed numbers agree however few draws are asked for."""


def assert_ran(name: str, store: Path, printed: str) -> None:
    """The sweep `name` lies in `store`, whole and with no trajectory failed, and its figure beside it."""
    assert figure_of(place_of(store)).is_file()
    cube = sweep.open_cube(store)
    assert (cube["status"] == 1).all()
    assert cube.attrs["failed_trajectories"] == cube.attrs["cut_off_trajectories"] == 0
    if name in PRINTED_AGREES:
        assert "agrees" in printed
        assert "DIFFERS" not in printed
