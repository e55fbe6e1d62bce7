"""The one error that a bad config ends in: which file, which key, which value, what is wrong with it and what to do.

FILE: [section] key = value: problem. Fix: what to write instead.

And an error of a library in one line, as our messages quote it.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_LONGEST_VALUE = 100
_MOST_NAMES = 30

Keys = Sequence[str | int]


class SpecError(Exception):
    """A config that cannot be run. `key` is dotted, e.g. "parameters.returns.uniform"; `value` is None where nothing is given."""

    def __init__(self, file: str, key: str, value: object, problem: str, fix: str) -> None:
        # All arguments go to Exception so that the error survives pickling between processes.
        super().__init__(file, key, value, problem, fix)
        self.file, self.key, self.value, self.problem, self.fix = file, key, value, problem, fix

    def __str__(self) -> str:
        section, _, rest = self.key.partition(".")
        place = f"[{section}] {rest}" if rest else self.key if section.startswith("line ") else f"[{section}]" if section else ""
        given = f" = {toml_value(self.value)}" if self.value is not None else ""
        head = f"{self.file}: {place}{given}" if place else self.file
        return f"{head}: {self.problem}. Fix: {self.fix}."


class Fault(ValueError):
    """What is wrong with a value, raised where its file and its full key are not known. `keys` leads on from the value's own key."""

    def __init__(self, problem: str, fix: str, *keys: str | int) -> None:
        super().__init__(f"{problem}; {fix}")
        self.problem, self.fix, self.keys = problem, fix, keys


def in_one_line(error: BaseException) -> str:
    """What an error says first, or its kind where it says nothing; of one that holds a traceback, also its end, where the cause stands."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    # Libraries in Rust may begin with a mark, and go on with where in their code.
    first = lines[0].removeprefix("x ")
    return f"{first} … {lines[-1]}" if any("Traceback (most recent call last)" in line for line in lines) else first


def at(tables: Any, keys: Keys) -> Any:
    """The value at `keys`, or None where there is none."""
    for key in keys:
        try:
            tables = tables[key]
        except (KeyError, IndexError, TypeError):
            return None
    return tables


def dotted(keys: Keys) -> str:
    """The keys as one, e.g. outcomes.windows[0].months."""
    text = ""
    for key in keys:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else str(key)
    return text


def near(name: str, allowed: Iterable[str], what: str) -> str:
    """The fix for an unknown name: the nearest allowed one, and all of them."""
    names = list(allowed)
    if not names:
        return f"remove it; {what}: none"
    lower = {other.lower(): other for other in names}
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    close = close or [lower[each] for each in difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.5)]
    listed = ", ".join(names[:_MOST_NAMES]) + (", …" if len(names) > _MOST_NAMES else "")
    return (f"did you mean {close[0]}? " if close else "") + f"{what}: {listed}"


def toml_value(value: object) -> str:
    """A value as it would stand in a TOML file on one line, shortened where it is long."""
    text = _written(value)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


def _written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_written(item)}" for key, item in value.items()) + " }" if value else "{}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_written, value)) + "]"
    return str(value)
