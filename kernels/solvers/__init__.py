"""Solvers, one a file, which know no model; `solution` is what all of them return."""
