# `make` alone prints the commands. Each builds what it needs in .venv.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo chat check test lint types compiled tests bench chaos report screenshots speedups clean

help:
	@echo "make demo   run the example application on http://127.0.0.1:8000"
	@echo "make chat   run the chat, with two workers, on http://127.0.0.1:8000"
	@echo "make check  lint, types and the tests of the files you have changed (under a minute)"
	@echo "make test   lint, types and all tests"
	@echo "make bench  benchmarks beside other servers and frameworks"
	@echo "make chaos  faults under load, beside other servers"
	@echo "make speedups  compiled functions for this checkout (needs a C compiler)"
	@echo "make report the example reports in docs/examples"

# The virtual environment is updated when pyproject.toml changes.
$(VENV)/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Carboy needs Python 3.11 or newer. Try: make PYTHON=python3.12 demo")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/.tested: pyproject.toml $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

# If port 8000 is in use: make demo PORT=8001, make chat PORT=8001
PORT ?= 8000

demo: $(VENV)/.installed
	cd examples/notes && ../../$(BIN)/carboy run notes:create_app --port $(PORT)

chat: $(VENV)/.installed
	cd examples/chat && ../../$(BIN)/carboy run chat --workers 2 --port $(PORT)

check: $(VENV)/.tested
	$(BIN)/python tools/check.py

# The types are checked while the tests are compiled. Each keeps a core busy for 20 seconds.
test: lint
	$(MAKE) --no-print-directory -j 2 types compiled
	$(MAKE) --no-print-directory tests

lint: $(VENV)/.tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.tested
	$(BIN)/mypy

# The variable is emptied because nothing that is compiled would be kept if it were set.
compiled: $(VENV)/.tested
	$(BIN)/python -m compileall -q src
	PYTHONDONTWRITEBYTECODE= $(BIN)/python tools/compile_tests.py

# One worker more than there are cores, because many tests wait. For another number:
# make tests WORKERS=1
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(os.cpu_count() + 1)')

tests: compiled
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup

# `make bench` measures everything and writes docs/benchmarks.md. For a part of it:
# make bench BENCH="b k --quick". It uses the test environment, because Carboy serves Flask too.
BENCH ?= --write

bench: $(VENV)/.tested
	$(BIN)/python -m bench $(BENCH)

# All faults on all servers. For a part of them: make chaos CHAOS="killed stuck --quick"
CHAOS ?=

chaos: $(VENV)/.tested
	$(BIN)/python -m bench.chaos $(CHAOS)

# The reports of the real Flask on its own server, and of Carboy. Commit your changes first: the
# report of Carboy names the commit that is checked out.
EXPLAIN := ../../$(BIN)/carboy explain

report: $(VENV)/.tested
	cd docs/examples && $(EXPLAIN) flask_app GET '/hello?name=Ada' -H 'User-Agent: example/1.0' \
		--server werkzeug --report flask-tcp-connections.md
	cd docs/examples && $(EXPLAIN) carboy_app GET '/hello?name=Ada' -H 'User-Agent: example/1.0' \
		--report carboy-tcp-connections.md

# The pictures of README.md, in docs/images. Needs Chromium.
screenshots: $(VENV)/.tested
	$(BIN)/python tools/screenshots.py
	$(BIN)/python tools/operation_screenshots.py

# Compiled twins of some functions, beside their sources (docs/speed.md). `carboy --version` says
# whether they run. To go back: .venv/bin/python hatch_build.py --clean
speedups: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[speed]'
	$(BIN)/python hatch_build.py

clean:
	$(PYTHON) hatch_build.py --clean
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
