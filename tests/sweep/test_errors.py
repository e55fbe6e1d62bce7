"""Errors of libraries in one line, as our messages quote them."""

from __future__ import annotations

import pytest

from sweep.errors import in_one_line

CALLBACK = """INTERNAL: CpuCallback error calling callback: Traceback (most recent call last):
  File "model.py", line 2, in solve
ValueError: this cell is broken"""
OF_RUST = """  x the repository doesn't exist
  |
  | context:
  |    0: icechunk::repository::open
"""


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("out of memory", "out of memory"),
        ("\nout of memory\n\nBuffer assignment:\n 3 GiB\n", "out of memory"),
        (OF_RUST, "the repository doesn't exist"),
        (CALLBACK, "INTERNAL: CpuCallback error calling callback: Traceback (most recent call last): … ValueError: this cell is broken"),
        ("", "RuntimeError"),
    ],
)
def test_an_error_in_one_line(text, line):
    assert in_one_line(RuntimeError(text)) == line
