"""Answers of the oracle of the growth law, kept in files: it takes a second for many of them, and they never change.

What `make test` asks is in `answers.json`, question and answer; what `make soak` asks, twenty times as much, in `soak_answers.npz`, the
answers alone. `python -m tests.oracles.answers` makes the first anew, with `soak` after it the second (most of an hour): it runs
the tests that ask, with the oracle itself. A test compares a share of what is kept with the oracle.
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

import numpy as np

from tests.oracles.growth_law import Result, solve

PATH, SOAK_PATH = Path(__file__).with_name("answers.json"), Path(__file__).with_name("soak_answers.npz")
_ASKED = "SIESWEEP_ORACLE_ASKED"
"""Where every question is written to while a file is made anew."""
_TESTS = (
    "tests/kernels/models/test_growth_law.py::test_pairs_of_options_against_the_oracle",
    "tests/kernels/models/test_growth_law_windows.py",
)
_SOAK_TESTS = ("-m", "soak", "tests/kernels/models/test_growth_law.py::test_many_draws_against_the_oracle")


def kept(parameters: Mapping[str, float], options: Mapping[str, str], doublings: Sequence[float], times: Sequence[float]) -> Result:
    """What `growth_law.solve` gives, from the files. Raises KeyError for what was never asked."""
    question = [dict(parameters), dict(options), [float(level) for level in doublings], [float(time) for time in times]]
    key = _key(question)
    if (folder := os.environ.get(_ASKED)) is not None:
        answer = solve(dict(parameters), dict(options), doublings, times)
        entry = [question, [answer.dates, answer.levels, answer.peak_pace]]
        (Path(folder) / f"{key}.json").write_text(json.dumps(entry), encoding="utf-8")
        return answer
    if key in entries():
        return Result(*entries()[key][1])
    if key in _soak_answers():
        numbers = _soak_answers()[key].tolist()
        return Result(numbers[: len(doublings)], numbers[len(doublings) : -1], numbers[-1])
    raise KeyError(f"the oracle was never asked this: run `python -m tests.oracles.answers` ({question})")


@cache
def entries() -> dict[str, Any]:
    """[question, answer] by the key of the question, of what `make test` asks."""
    found: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
    return found


@cache
def _soak_answers() -> dict[str, np.ndarray]:
    """Dates, levels and the highest pace, one after another, by the key of the question."""
    with np.load(SOAK_PATH) as held:
        return dict(zip(held["keys"].tolist(), held["answers"], strict=True))


def _key(question: Any) -> str:
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()[:16]


def _renew(soak: bool) -> None:
    folder = Path(os.environ.setdefault(_ASKED, str(PATH.with_suffix(".asked"))))
    folder.mkdir(exist_ok=True)
    subprocess.run([sys.executable, "-m", "pytest", "-q", "-n", "auto", *(_SOAK_TESTS if soak else _TESTS)], check=True)
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}
    if soak:
        answers = [[*dates, *levels, peak] for _, (dates, levels, peak) in found.values()]
        np.savez_compressed(SOAK_PATH, keys=np.array(list(found)), answers=np.array(answers))
    else:
        lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(entry)}" for key, entry in found.items())
        PATH.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


if __name__ == "__main__":
    _renew(soak=sys.argv[1:] == ["soak"])
