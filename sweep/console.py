"""Where the commands print: as wide as the terminal, or in a file as wide as their tables are."""

from __future__ import annotations

import sys

from rich.console import Console

_WIDTH_OF_A_FILE = 200


def console() -> Console:
    """The console that a command prints on, made anew: what standard output is may have changed."""
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else _WIDTH_OF_A_FILE, highlight=False)
