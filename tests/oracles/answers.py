"""Answers of the oracle of the growth law, kept in `answers.json`: it takes a second for many of them, and they never change.

`python -m tests.oracles.answers` makes the file anew: it runs the tests that ask, with the oracle itself. A test compares a share of what
is kept with the oracle.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tests.oracles.growth_law import Result, solve

PATH = Path(__file__).with_name("answers.json")
_ASKED = "SIESWEEP_ORACLE_ASKED"
"""Where every question is written to while the file is made anew."""
_TESTS = (
    "tests/kernels/models/test_growth_law.py::test_pairs_of_options_against_the_oracle",
    "tests/kernels/models/test_growth_law_windows.py",
)


def kept(parameters: Mapping[str, float], options: Mapping[str, str], doublings: Sequence[float], times: Sequence[float]) -> Result:
    """What `growth_law.solve` gives, from the file. Raises KeyError for what was never asked."""
    question = [dict(parameters), dict(options), [float(level) for level in doublings], [float(time) for time in times]]
    if (folder := os.environ.get(_ASKED)) is not None:
        answer = solve(dict(parameters), dict(options), doublings, times)
        entry = [question, [answer.dates, answer.levels, answer.peak_pace]]
        (Path(folder) / f"{_key(question)}.json").write_text(json.dumps(entry), encoding="utf-8")
        return answer
    try:
        _, (dates, levels, peak) = entries()[_key(question)]
    except KeyError:
        raise KeyError(f"the oracle was never asked this: run `python -m tests.oracles.answers` ({question})") from None
    return Result(dates, levels, peak)


@cache
def entries() -> dict[str, Any]:
    """[question, answer] by the key of the question."""
    found: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
    return found


def _key(question: Any) -> str:
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()[:16]


def _renew() -> None:
    folder = Path(os.environ.setdefault(_ASKED, str(PATH.with_suffix(".asked"))))
    folder.mkdir(exist_ok=True)
    subprocess.run([sys.executable, "-m", "pytest", "-q", "-n", "auto", *_TESTS], check=True)
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(entry)}" for key, entry in found.items())
    PATH.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


if __name__ == "__main__":
    _renew()
