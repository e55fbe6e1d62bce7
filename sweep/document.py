"""A config as it is written: TOML text read into tables, keys set from outside, and errors that name the place.

Keys are dotted, e.g. parameters.returns or axes.returns.points; a part that contains a dot is quoted. A lone key stands for one of [sweep].
"""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sweep.errors import Fault, Keys, SpecError, at, dotted, toml_value

_PART = re.compile(r'"([^"]*)"|([^."]+)')
_PLACE = re.compile(r"^(.*) \(at (?:line (\d+), column (\d+)|end of document)\)$", re.DOTALL)


@dataclass(frozen=True)
class Document:
    """The tables of a file; `altered` where keys were set from outside."""

    tables: dict[str, Any]
    file: str
    altered: bool = False

    def error(self, keys: Keys, problem: str, fix: str) -> SpecError:
        """The error for the value at `keys`."""
        return SpecError(self.file, dotted(keys), at(self.tables, keys), problem, fix)

    def told(self, keys: Keys, fault: Fault) -> SpecError:
        """The error for a fault found in the value at `keys`."""
        return self.error([*keys, *fault.keys], fault.problem, fault.fix)

    def changed(self, changes: Mapping[str, object], sections: tuple[str, ...]) -> Document:
        """The document with each dotted key set to its value; None removes the key. Raises SpecError for a key that names no place."""
        tables = copy.deepcopy(self.tables)
        for key, value in changes.items():
            parts = [quoted or bare for quoted, bare in _PART.findall(key)]
            if not parts or not all(parts) or _joined(parts) != key.replace('"', ""):
                raise SpecError(self.file, key, value, "not a dotted key", "write section.key, e.g. parameters.returns")
            # [model] holds options, so that a model's name can only mean the key of [sweep].
            if len(parts) == 1 and (parts[0] not in sections or isinstance(value, str)):
                parts = ["sweep", *parts]
            _set(tables, parts, _plain(value), self.file)
        return Document(tables, self.file, self.altered or bool(changes))


def read(path: str | Path) -> Document:
    """The document in the file. Raises SpecError where there is no such file, or it is not UTF-8 or not TOML."""
    path = Path(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise SpecError(str(path), "", None, "no such file", "give the path of a TOML config") from None
    except IsADirectoryError:
        raise SpecError(str(path), "", None, "a directory, not a file", f"name a file in it, e.g. {path / 'sweep.toml'}") from None
    except (OSError, ValueError) as error:
        raise SpecError(str(path), "", None, f"cannot be read ({error})", "give the path of a readable TOML config") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SpecError(str(path), f"line {line}", None, f"byte {error.start} is not UTF-8 text", "save the file as UTF-8") from None
    return parse(text, str(path))


def parse(text: str, file: str) -> Document:
    """The document written in `text`. Raises SpecError with line and column where it is not TOML."""
    try:
        return Document(tomllib.loads(text), file)
    except RecursionError:
        raise SpecError(file, "", None, "nested too deeply", "flatten it") from None
    except ValueError as error:
        message, line, column = str(error), "", ""
    if (found := _PLACE.match(message)) is not None:
        message = found[1]
        line, column = found[2] or str(len(text.splitlines()) or 1), found[3] or ""
    place = f"line {line}" + (f", column {column}" if column else "") if line else ""
    lines = text.splitlines()
    written = lines[int(line) - 1].strip() if line and int(line) <= len(lines) else None
    if message.startswith(("Cannot overwrite", "Cannot declare", "Duplicate", "Cannot mutate")):
        raise SpecError(file, place, written, "not valid TOML: this key is given twice", "keep one of the two")
    raise SpecError(file, place, written, f"not valid TOML: {message[:1].lower()}{message[1:]}", "correct this line")


def _joined(parts: list[str]) -> str:
    return ".".join(parts)


def _plain(value: object) -> object:
    """Values from Python as TOML has them: NumPy's numbers and arrays as numbers and lists, tuples as lists."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _set(tables: dict[str, Any], parts: list[str], value: object, file: str) -> None:
    here = tables
    for depth, part in enumerate(parts[:-1]):
        inner = here.setdefault(part, {})
        if not isinstance(inner, dict):
            whole = _joined(parts[: depth + 1])
            raise SpecError(file, _joined(parts), value, f"{whole} is {toml_value(inner)}, not a table", f"set {whole} as a whole")
        here = inner
    if value is None:
        here.pop(parts[-1], None)
    else:
        here[parts[-1]] = value
