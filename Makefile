# Everything starts here. `make demo` and `make test` set up what they need in .venv: Python >= 3.11, make and a C compiler are enough.

# The first of these that runs and is new enough; `make PYTHON=/path/to/python3` to choose another.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(or $(shell for candidate in python3 python3.13 python3.12 python3.11; do \
	$$candidate -c '$(NEW_ENOUGH)' >/dev/null 2>&1 && echo $$candidate && break; done),python3)

.PHONY: demo test quick soak lint clean

demo: .venv/.installed
	.venv/bin/siesweep run configs/davidson_houlden_2025.toml

test: lint
	.venv/bin/python -m pytest -n auto --maxprocesses 4

quick: .venv/.installed
	.venv/bin/python -m pytest -n auto --maxprocesses 4 -m "not slow and not soak"

soak: .venv/.installed
	.venv/bin/python -m pytest -m soak

lint: .venv/.installed
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy

.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c '$(NEW_ENOUGH)' || { \
		echo "siesweep needs Python 3.11 or newer, but $(PYTHON) is $$($(PYTHON) --version 2>&1 || true)." >&2; \
		echo "Name a newer one: make PYTHON=/path/to/python3 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv
	.venv/bin/python -m pip install --quiet -c constraints.txt -e '.[test,lint]'
	@touch $@

clean:
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
