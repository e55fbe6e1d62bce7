"""Amounts as they are printed."""

from __future__ import annotations

import pytest

from sweep.amounts import counted, duration, size


@pytest.mark.parametrize(("number", "words"), [(0, "0 tiles"), (1, "1 tile"), (2, "2 tiles"), (12288, "12,288 tiles")])
def test_things_are_counted(number, words):
    assert counted(number, "tile") == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.0123, "0.0123 s"),
        (48, "48 s"),
        (600, "10 min"),
        (29_957.4, "8.32 hours"),
        (3e6, "34.7 days"),
        (3e12, "34,700,000 days"),
    ],
)
def test_times_are_told_in_a_unit_that_fits(seconds, words):
    assert duration(seconds) == words


@pytest.mark.parametrize(("number", "words"), [(0, "0 B"), (55.8e9, "55.8 GB"), (1.12e12, "1.12 TB"), (1.2e18, "1,200 PB")])
def test_bytes(number, words):
    assert size(number) == words
