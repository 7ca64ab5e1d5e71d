# `make help` lists the commands. Every one sets up what it needs in .venv first.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
TILE   ?= configs/tile/64x64.toml

.DEFAULT_GOAL := help
.PHONY: help setup doctor demo test sim golden lint clean

# One constraints file pins what is installed and what builds the package.
export PIP_CONSTRAINT := constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

help:  ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  TILE=configs/tile/32x32.toml or ROWS=32 COLS=32 choose the tile of demo and sim."

$(VENV)/.sim: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -e .
	@touch $@

$(VENV)/.train: $(VENV)/.sim
	$(BIN)/pip install -q -e '.[train]'
	@touch $@

$(VENV)/.test: $(VENV)/.train
	$(BIN)/pip install -q -e '.[train,test]'
	@touch $@

setup: $(VENV)/.test  ## install everything into .venv

doctor: $(VENV)/.sim  ## check this machine's tools
	$(BIN)/adq doctor

test: $(VENV)/.test  ## all tests that are not simulations of the tile
	$(BIN)/pytest

lint: $(VENV)/.test  ## ruff, rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:  ## remove builds and runs, keep .venv
	rm -rf build runs
