"""Waiting for what happens in another thread or process."""

from __future__ import annotations

import time


def until(condition, seconds=60.0):
    """Wait for a condition; a test whose condition never comes fails."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
    return value
