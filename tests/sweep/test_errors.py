"""Errors of libraries in one line, as our messages quote them, and names that were meant."""

from __future__ import annotations

import pytest

from sweep.errors import in_one_line, near

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


@pytest.mark.parametrize(
    ("name", "allowed", "told"),
    [
        ("MYMODEL", ["MyModel"], "did you mean MyModel? models: MyModel"),
        ("retruns", ["returns", "horizon"], "did you mean returns? models: returns, horizon"),
        ("x", ["returns"], "models: returns"),
        ("x", [], "remove it; models: none"),
    ],
)
def test_the_name_that_was_meant_is_one_that_there_is(name, allowed, told):
    assert near(name, allowed, "models") == told
