"""What makes two sweeps the same: the identity of a spec as plain JSON, and its fingerprint.

The identity holds everything that a bit of the result depends on, resolved: defaults are written out, evidence is its distribution, an axis
is its values. It leaves out the name, the extent (draws), the policy (run, store) and the published numbers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from kernels.sampling import Distribution

FORMAT_VERSION = 1

Json = dict[str, Any]


def described(distribution: Distribution) -> Json:
    """A distribution as JSON: its kind and its numbers."""
    return {type(distribution).__name__: {field.name: _plain(getattr(distribution, field.name)) for field in fields(distribution)}}  # type: ignore[arg-type]


def _plain(value: object) -> Any:
    if is_dataclass(value) and isinstance(value, Distribution):
        return described(value)
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return float(value) if isinstance(value, (int, float)) else value


def fingerprint(identity: Json) -> str:
    """SHA-256, in hex, of the identity as canonical JSON."""
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def differing_keys(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """The dotted keys at which two identities differ, in alphabetical order."""
    return sorted(_differing(first, second, ""))


def _differing(first: object, second: object, key: str) -> list[str]:
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        found: list[str] = []
        for name in first.keys() | second.keys():
            inner = f"{key}.{name}" if key else str(name)
            if name not in first or name not in second:
                found.append(inner)
            else:
                found += _differing(first[name], second[name], inner)
        return found
    return [] if first == second and type(first) is type(second) else [key]
