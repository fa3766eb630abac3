# Every command has one name, and CI calls the same names.  `make` alone lists them.
# A fresh machine needs Python 3.11 or newer, a C compiler and make: nothing else.

# The first Python that is new enough; `make PYTHON=python3.13 test` chooses another.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
CONSTRAINTS := .ci/constraints.txt
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
INSTALL := $(PIP) install --constraint $(CONSTRAINTS)
SOURCES := $(wildcard mmcore/*.pyx mmcore/*.pxd) setup.py
ARGS ?=
LINT_PATHS := mmcore adapters tests bench setup.py

.DEFAULT_GOAL := help
.PHONY: help demo test slow build check format types lint bench gate docs wheel lock clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | expand -t 12

demo: build ## run the embedded demo: no network, no keys, ends by itself
	$(BIN)/python -m mmcore demo $(ARGS)

test: build $(VENV)/.test ## run the test suite (ARGS are pytest's)
	$(BIN)/python -m pytest --numprocesses 2 --quiet $(ARGS)

slow: build $(VENV)/.test ## run the long checks that `make test` leaves out
	$(BIN)/python -m pytest --quiet -m slow $(ARGS)

build: $(VENV)/.built ## virtual environment, dependencies and the compiled core

check: lint types ## linters, formatting and types

lint: $(VENV)/.tools
	$(BIN)/ruff check $(LINT_PATHS)
	$(BIN)/ruff format --check $(LINT_PATHS)
	PATH="$(CURDIR)/$(BIN):$$PATH" cython-lint mmcore

types: build $(VENV)/.test $(VENV)/.tools
	$(BIN)/mypy mmcore adapters

format: $(VENV)/.tools ## rewrite the Python files in the house format
	$(BIN)/ruff check --fix $(LINT_PATHS)
	$(BIN)/ruff format $(LINT_PATHS)

bench: build $(VENV)/.test ## the benchmarks, one file per question
	@set -e; for script in bench/bench_*.py; do echo "== $$script"; $(BIN)/python $$script $(ARGS); done

gate: build $(VENV)/.test ## instructions a level of the book, under valgrind, and allocations on the hot path
	$(BIN)/python bench/instructions.py --gate
	$(BIN)/python -m pytest --quiet tests/alloc

docs: build $(VENV)/.test ## run every block of the documentation
	$(BIN)/python -m pytest --quiet tests/docs $(ARGS)

wheel: $(VENV)/.tools ## sdist, and the wheel built from that sdist, in dist/
	rm -rf dist
	PIP_CONSTRAINT=$(CURDIR)/$(CONSTRAINTS) $(BIN)/python -m build --outdir dist .
	rm -rf build *.egg-info

lock: $(VENV)/.venv ## choose today's versions of everything and pin them
	sh .ci/lock $(PYTHON) $(CONSTRAINTS)

clean: ## remove everything that the other commands made
	rm -rf $(VENV) build dist wheelhouse .hypothesis .pytest_cache .mypy_cache .ruff_cache *.egg-info
	rm -f mmcore/*.c mmcore/_*.html mmcore/*.so
	find mmcore adapters tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

# -- set-up: each stamp is made once, and again when what it depends on changes ---------------------

$(VENV)/.venv:
	@test -n "$(PYTHON)" || { echo "mmcore needs Python 3.11 or newer, and found none: install one, or name it with make PYTHON=..." >&2; exit 2; }
	@command -v "$${CC:-cc}" >/dev/null || { echo "mmcore compiles its core, and found no C compiler: install gcc or clang" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { echo "$(PYTHON) could not make a virtual environment: install its venv package (Debian: python3-venv)" >&2; exit 2; }
	@touch $@

# The build leaves its metadata in the root, where a later run would find it before the installed one
# and read entry points of another day from it: hence the `rm`.
$(VENV)/.installed: pyproject.toml $(CONSTRAINTS) | $(VENV)/.venv
	@echo "installing mmcore and what it needs into $(VENV), once"
	@$(INSTALL) setuptools cython
	@$(INSTALL) --no-build-isolation --editable .
	@rm -rf build *.egg-info
	@touch $@

# A changed setup.py may mean other compiler flags, which neither Cython nor the compiler step notices.
FLAGS_CHANGED = $(and $(wildcard $@),$(filter setup.py,$?))
$(VENV)/.built: $(VENV)/.installed $(SOURCES)
	@$(if $(FLAGS_CHANGED),CYTHON_FORCE_REGEN=1) $(BIN)/python setup.py --quiet build_ext --inplace $(if $(FLAGS_CHANGED),--force)
	@touch $@

$(VENV)/.test: $(VENV)/.installed
	@$(INSTALL) --no-build-isolation --editable '.[test]'
	@rm -rf build *.egg-info
	@touch $@

$(VENV)/.tools: .ci/tools.txt $(CONSTRAINTS) | $(VENV)/.venv
	@$(INSTALL) --requirement .ci/tools.txt
	@touch $@
