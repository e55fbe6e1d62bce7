"""The suites, one a file: each measures, and returns a Record."""
