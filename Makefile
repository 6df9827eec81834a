# Two commands: `make study` runs the paper's study, `make test` passes the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= out/paper
# A file's tests stay together, as they share what took long to make.
AT_ONCE ?= --numprocesses 2 --dist loadfile
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: study test test-slow test-faults lint

study: $(VENV)/.installed
	$(BIN)/python -m tune_knee.run --grid paper --out $(OUT) $(ARGS)

test: lint
	$(BIN)/python -m pytest -m "not slow" $(AT_ONCE) $(ARGS)

test-slow: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m "slow and not faults" $(ARGS)

# As root, with iproute2 and PostgreSQL; writes the table of docs/faults.md.
test-faults: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m faults --fault-matrix=docs/faults.md $(ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e .
	touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e ".[dev]"
	touch $@ $(VENV)/.installed
