# Everything a person or CI runs. Needs make, a POSIX shell and a Python of at least 3.11; the rest is set up in .venv.
# PYTHON=python3.12 chooses the interpreter, ARGS="…" is handed to the command that a target runs.

.DEFAULT_GOAL := help
.PHONY: help serve test lint types imports pytest deep bench format lock upgrade setup-run setup-dev setup-tools clean

PY := .venv/bin/python
CODE := src tests $(wildcard benches)

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

serve: setup-run ## start Kvot with a demo company on an embedded database (ARGS="--port 9000")
	@exec .venv/bin/kvot serve --demo $(ARGS)

test: lint types imports pytest ## all that CI runs: lint, types, imports, then the tests

lint: setup-dev ## ruff: rules and formatting
	$(PY) -m ruff check --quiet $(CODE)
	$(PY) -m ruff format --check --quiet $(CODE)

types: setup-dev ## mypy --strict
	$(PY) -m mypy $(CODE)

imports: setup-dev ## import-linter: who may import whom
	.venv/bin/lint-imports --no-logo

pytest: setup-dev setup-tools ## the tests alone (ARGS="tests/core -k window")
	$(PY) -m pytest $(ARGS)

deep: setup-dev setup-tools ## the tests with those that take minutes, and many more examples per property
	$(PY) -m pytest -m '' --hypothesis-profile=deep -o faulthandler_timeout=14400 $(ARGS)

bench: setup-dev ## measure; prints ratios (ARGS="usage" picks one)
	$(PY) -m benches $(ARGS)

format: setup-dev ## let ruff mend what it can
	$(PY) -m ruff check --fix $(CODE)
	$(PY) -m ruff format $(CODE)

lock: setup-dev ## resolve requirements/ anew after a change in pyproject.toml
	scripts/lock

upgrade: setup-dev ## take the newest releases that are a week old into requirements/
	scripts/lock --upgrade

setup-run:
	@scripts/setup run

setup-dev:
	@scripts/setup dev

setup-tools:
	@scripts/install-language-tools
	@scripts/install-postgres

clean: ## remove .venv, caches and build results; databases and secrets stay
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find src tests $(wildcard benches) -name __pycache__ -type d -prune -exec rm -rf {} +

# Stages run in the order in which they are written, with -j too: their outputs are for reading.
.NOTPARALLEL:
