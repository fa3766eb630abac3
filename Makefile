# Every command has one name; CI calls the same names.  CONTRIBUTING.md lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := $(wildcard mmcore/*.pyx mmcore/*.pxd) setup.py pyproject.toml

.PHONY: demo test build

demo: build
	$(BIN)/python -m mmcore demo

test: build
	$(BIN)/python -m pytest -n 2 -q

build: $(VENV)/.built

$(VENV)/.venv:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --upgrade pip
	touch $@

$(VENV)/.built: $(VENV)/.venv $(SOURCES)
	$(BIN)/pip install -q -e '.[test]'
	touch $@
