"""Tables of README.md and docs/*.md made from the committed results, in place, between markers that name a suite:

    <!-- benchmark:kernels -->
    …
    <!-- /benchmark -->

`benchmark:kernels figures` is its first table alone. What stands between them is replaced. `python -m benchmarks tables` writes; a test
checks that nothing would change.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from benchmarks import SUITES
from benchmarks.environment import ROOT
from benchmarks.record import Record, Table, read
from benchmarks.show import environment_line, rows

RESULTS = ROOT / "benchmarks" / "results"
_MARKED = re.compile(r"(<!-- benchmark:(\w+)( figures)? -->\n).*?(<!-- /benchmark -->)", re.DOTALL)


def committed() -> dict[str, Record]:
    """The committed records by suite."""
    return {suite: record for path in sorted(RESULTS.glob("*.json")) for suite, record in read(path).items()}


def pages() -> list[Path]:
    """The pages that may hold tables."""
    return [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))) if page.is_file()]


def rewritten(text: str, records: Mapping[str, Record]) -> str:
    """A page with its marked tables made anew; a suite without a record is left as it is. Raises KeyError for an unknown suite."""

    def table(found: re.Match[str]) -> str:
        suite = found[2]
        if suite not in SUITES:
            raise KeyError(f"benchmark:{suite}: there is no such suite; there are {', '.join(SUITES)}")
        if suite not in records:
            return found[0]
        record = records[suite]
        shown = replace(record, tables=record.tables[:1]) if found[3] else record
        return f"{found[1]}{markdown(shown)}{found[4]}"

    return _MARKED.sub(table, text)


def rewrite_pages() -> list[Path]:
    """Rewrite all pages in place; returns those that changed."""
    records, changed = committed(), []
    for page in pages():
        before = page.read_text(encoding="utf-8")
        after = rewritten(before, records)
        if after != before:
            page.write_text(after, encoding="utf-8")
            changed.append(page)
    return changed


def markdown(record: Record) -> str:
    """A record as Markdown: its tables with their notes, then what it was measured on."""
    return "\n".join(["", *(_markdown(table) for table in record.tables), f"*{environment_line(record)}.*", "", ""])


def _markdown(table: Table) -> str:
    headings = [column.heading for column in table.columns]
    sides = [":--" if column.kind in ("text", "truth") else "--:" for column in table.columns]
    lines = [f"**{table.title}**", "", *(_row(cells) for cells in (headings, sides, *rows(table))), ""]
    for note in table.notes:
        lines += [note, ""]
    return "\n".join(lines)


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
