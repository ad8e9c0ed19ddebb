# make train | test | lint | bench | clean-cache        PYTHON=python3.12 make train  for another Python
PYTHON ?= python3
BIN    := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help train test lint bench clean-cache

help:
	@sed -n 1p Makefile

# Installed once: again only if the pinned versions or the dependencies change.
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[test]"
	@touch $@

train: .venv/installed
	$(BIN)/python train.py $(ARGS)

test: .venv/installed lint
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder $(ARGS)
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest --quiet tests/test_sifting.py    # compiled code reads out of bounds silently

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[bench]"
	for name in $(notdir $(basename $(wildcard benchmarks/*.py))); do $(BIN)/python -m benchmarks.$$name || [ $$? -eq 2 ] || exit 1; done    # 2: nothing to measure it on

clean-cache: .venv/installed
	$(BIN)/python -m runtime.cache clear
