"""Records are written, read and shown; the tables of the pages are those of the committed results."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

import benchmarks
from benchmarks.record import Column, Record, Table, read, write
from benchmarks.show import _plain, cell, show
from benchmarks.tables import committed, pages, rewritten

ENVIRONMENT = {
    "hardware": {"processor": "a processor", "cores": 2, "memory_bytes": 1},
    "system": "Linux",
    "versions": {"python": "3.11", "jax": "0.10"},
    "revision": "abc",
    "load_before": [0.5, 0.5, 0.5],
}
TABLE = Table(
    "a title",
    (Column("what", "what"), Column("rate", "rate", "rate"), Column("error", "error", "error")),
    (
        {"what": "x | y", "rate": {"median": 5.321e6, "low": 5e6, "high": 6e6, "runs": 3}, "error": None},
        {"what": "z", "rate": None, "error": 1.25e-7},
    ),
    ("a note",),
)
RECORD = Record("memory", False, (TABLE,), ENVIRONMENT, "2025-08-04")


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_pages_hold_the_committed_results(page):
    text = page.read_text(encoding="utf-8")
    assert rewritten(text, committed()) == text


def test_committed_results_are_full_runs():
    assert not [suite for suite, record in committed().items() if record.small]


def test_a_record_is_read_as_it_was_written(tmp_path):
    write([RECORD], tmp_path / "file.json")
    assert read(tmp_path / "file.json") == {"memory": RECORD}
    write([RECORD], tmp_path / "folder")
    assert read(tmp_path / "folder" / "memory.json") == {"memory": RECORD}


def test_what_is_between_markers_is_replaced_and_nothing_else():
    text = "before\n<!-- benchmark:memory -->\nold\n<!-- /benchmark -->\nafter\n"
    once = rewritten(text, {"memory": RECORD})
    assert once.startswith("before\n<!-- benchmark:memory -->\n")
    assert once.endswith("\n<!-- /benchmark -->\nafter\n")
    assert "old" not in once
    assert "| x \\| y | 5.32 M/s (5.00 M/s to 6.00 M/s) | – |" in once
    assert "| z | – | 1.2e-07 |" in once
    assert rewritten(once, {"memory": RECORD}) == once


def test_figures_are_the_first_table_alone():
    record = replace(RECORD, tables=(TABLE, replace(TABLE, title="another title")))
    first = rewritten("<!-- benchmark:memory figures -->\nold\n<!-- /benchmark -->\n", {"memory": record})
    whole = rewritten("<!-- benchmark:memory -->\nold\n<!-- /benchmark -->\n", {"memory": record})
    assert first.startswith("<!-- benchmark:memory figures -->\n")
    assert first.endswith("\n<!-- /benchmark -->\n")
    assert "**a title**" in first
    assert "another title" not in first
    assert "old" not in first
    assert "**another title**" in whole
    assert rewritten(first, {"memory": record}) == first


def test_a_page_that_asks_for_an_unknown_suite_is_an_error():
    with pytest.raises(KeyError, match="benchmark:other"):
        rewritten("<!-- benchmark:other -->\n<!-- /benchmark -->\n", {"memory": RECORD})


def test_what_is_not_measured_yet_is_left():
    text = "<!-- benchmark:kernels -->\nNot measured yet.\n<!-- /benchmark -->\n"
    assert rewritten(text, {"memory": RECORD}) == text


def test_both_ways_of_showing_hold_every_cell():
    shown = io.StringIO()
    show(RECORD, shown)
    for text in (shown.getvalue(), _plain(RECORD)):
        for part in ("a title", "x | y", "5.32 M/s (5.00 M/s to 6.00 M/s)", "1.2e-07", "a note", "a processor, 2 cores", "revision abc"):
            assert part in text


def test_cells():
    assert cell(0.0213, "seconds") == "21 ms"
    assert cell(2.5, "seconds") == "2.50 s"
    assert cell(25.04, "ratio") == "25.0×"
    assert cell(1.5 * 2**30, "bytes") == "1,536 MiB"
    assert cell(0.0, "error") == "0"
    assert cell(True, "truth") == "yes"
    assert cell({"median": 3.0, "low": 3.0, "high": 3.0, "runs": 1}, "ratio") == "3.00×"


def test_an_unknown_suite_is_refused_by_name(capsys):
    assert benchmarks.main("kernel", None) == 2
    assert "'kernel'" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["records.json", "records"])
def test_a_record_is_kept_as_soon_as_its_suite_is_done(place, tmp_path, monkeypatch, capsys):
    path, kept = tmp_path / place, []

    def interrupted(small):
        kept.extend(read(path if path.is_file() else path / "memory.json"))
        raise KeyboardInterrupt

    suites = {"memory": lambda small: RECORD, "missing": None, "interrupted": interrupted}
    monkeypatch.setattr(benchmarks, "SUITES", tuple(suites))
    for name, measure in suites.items():
        # A module that stands for None cannot be imported.
        monkeypatch.setitem(sys.modules, f"benchmarks.suites.{name}", measure and SimpleNamespace(measure=measure))
    with pytest.raises(KeyboardInterrupt):
        benchmarks.main(None, path)
    assert kept == ["memory"]
    assert "the suite 'missing' needs benchmarks.suites.missing" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["records.json", "-"])
def test_suites_go_on_past_one_that_lacks_a_module(place, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(benchmarks, "SUITES", ("missing", "memory"))
    monkeypatch.setitem(sys.modules, "benchmarks.suites.missing", None)
    monkeypatch.setitem(sys.modules, "benchmarks.suites.memory", SimpleNamespace(measure=lambda small: RECORD))
    assert benchmarks.main(None, Path(place)) == 2
    told = capsys.readouterr()
    assert told.err.startswith("benchmarks: the suite 'missing' needs benchmarks.suites.missing: pip install")
    assert list(json.loads(told.out if place == "-" else Path(place).read_text(encoding="utf-8"))) == ["memory"]
