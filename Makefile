# Two commands are all a newcomer needs: make demo, make test.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: demo test lint types tests bench chaos clean

# The virtual environment is made again when pyproject.toml changes.
$(VENV)/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Carboy needs Python 3.11 or newer; try: make PYTHON=python3.12 demo")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/.tested: pyproject.toml $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

demo: $(VENV)/.installed
	cd examples/notes && ../../$(BIN)/carboy run notes:create_app --port 8000

test: lint types tests

lint: $(VENV)/.tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.tested
	$(BIN)/mypy

tests: $(VENV)/.tested
	$(BIN)/python -m pytest -n 2 --dist loadgroup

# Everything, into docs/; or for instance: make bench BENCH="b k --quick"
# The tests' environment, because Flask itself is served by Carboy too.
BENCH ?= --write

bench: $(VENV)/.tested
	$(BIN)/python -m bench $(BENCH)

# Faults under verified load, beside gunicorn and granian; or: make chaos CHAOS="killed stuck --quick"
CHAOS ?=

chaos: $(VENV)/.tested
	$(BIN)/python -m bench.chaos $(CHAOS)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
