"""What is fastest: the default, unless another is clearly faster."""

from __future__ import annotations

import pytest

from kernels.fastest import fastest


def played(seconds):
    """Contenders and a clock for them: the n-th turn of each takes its n-th time."""
    now = [0.0]
    turns = {name: iter(taken) for name, taken in seconds.items()}

    def run(name):
        now[0] += next(turns[name])

    return {name: lambda name=name: run(name) for name in seconds}, lambda: now[0]


@pytest.mark.parametrize(
    ("seconds", "chosen", "gain"),
    [
        ({1024: [1.0] * 5, 512: [0.8] * 5, 2048: [1.2] * 5}, 512, 1.25),
        ({1024: [1.0] * 5, 512: [0.8] * 5, 2048: [0.5] * 5}, 2048, 2.0),
        # Faster, but not clearly.
        ({1024: [1.0] * 5, 512: [0.96] * 5}, 1024, 1.0),
        ({1024: [1.0] * 5, 512: [1.0] * 5}, 1024, 1.0),
        ({1024: [1.0] * 5, 512: [3.0] * 5}, 1024, 1.0),
        # A machine that is busy now and then, in turns of either, makes none of them faster.
        ({1024: [1.0, 9.0, 1.0, 9.0, 1.0], 512: [1.0] * 5}, 1024, 1.0),
        ({1024: [1.0] * 5, 512: [0.1, 1.0, 1.0, 0.1, 1.0]}, 1024, 1.0),
        # Nor one that slows down meanwhile.
        ({1024: [1.0, 2.0, 3.0, 4.0, 5.0], 512: [1.0, 2.0, 3.0, 4.0, 5.0]}, 1024, 1.0),
        ({1024: [1.0] * 5}, 1024, 1.0),
    ],
)
def test_the_default_wins_unless_another_is_clearly_faster(seconds, chosen, gain):
    runs, clock = played(seconds)
    found = fastest(runs, clock)
    assert found[0] == chosen
    assert found[1] == pytest.approx(gain)
