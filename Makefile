# `make` alone prints the commands. Each builds what it needs in .venv.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo chat check test lint types compiled tests tests-compiled fuzz bench chaos report screenshots speedups clean

help:
	@echo "make demo   run the example application on http://127.0.0.1:8000"
	@echo "make chat   run the chat, with two workers, on http://127.0.0.1:8000"
	@echo "make check  lint, types and the tests of the files you have changed (under a minute)"
	@echo "make test   lint, types and all tests"
	@echo "make bench  benchmarks beside other servers and frameworks"
	@echo "make chaos  faults under load, beside other servers"
	@echo "make speedups  compiled functions for this checkout (needs a C compiler)"
	@echo "make fuzz   random input for the compiled functions, under AddressSanitizer"
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

# Two workers more than there are cores, because many tests wait. For another number:
# make tests WORKERS=1
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(os.cpu_count() + 2)')

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

# The tests that reach compiled functions. Where the variable is set, the tests of twins are not
# skipped, and fail if nothing is built.
COMPILED_TESTS := tests/_speedups tests/test_speedups.py tests/protocol tests/wire tests/oracle \
	tests/app/test_json.py tests/http/test_local.py \
	tests/gateway/test_wsgi.py tests/gateway/test_asgi.py tests/gateway/test_direct.py \
	tests/server/test_calls.py tests/server/test_connection.py tests/server/test_engine.py \
	tests/server/test_environ.py tests/server/test_forwarding.py tests/server/test_http2_environ.py \
	tests/server/test_inlined_paths.py tests/server/test_made_responses.py \
	tests/server/test_pipelining.py tests/server/test_sent_together.py tests/cli/test_run.py \
	tests/server/test_gathered_bytes.py tests/server/test_raw_socket.py \
	tests/server/test_stopping.py tests/server/test_upgrades.py

tests-compiled: $(VENV)/.tested
	$(BIN)/carboy --version | grep -x 'Speedups: compiled'
	CARBOY_BUILD_SPEEDUPS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(COMPILED_TESTS)

# Random input for compiled functions and their twins, and for servers that run the one and the other,
# under AddressSanitizer, and a watch on memory:
# make fuzz SECONDS=3600
SECONDS ?= 60
FUZZED := build/fuzz
ASAN    = $(shell $${CC:-cc} -print-file-name=libasan.so)

fuzz: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[speed]'
	CFLAGS="-fsanitize=address -fno-omit-frame-pointer -g -O1" LDFLAGS="-fsanitize=address" \
		$(BIN)/python hatch_build.py --copy $(FUZZED)
	PYTHONPATH=$(CURDIR)/$(FUZZED)/src PYTHONMALLOC=malloc ASAN_OPTIONS=detect_leaks=0 LD_PRELOAD=$(ASAN) \
		sh -c '$(BIN)/python tools/fuzz_speedups.py $(SECONDS) && $(BIN)/python tools/fuzz_turn.py $(SECONDS)'
	$(BIN)/python hatch_build.py --copy $(FUZZED)
	PYTHONPATH=$(CURDIR)/$(FUZZED)/src $(BIN)/python tools/fuzz_speedups.py $(SECONDS) --leaks
	PYTHONPATH=$(CURDIR)/$(FUZZED)/src $(BIN)/python tools/fuzz_turn.py $(SECONDS) --leaks

# Compiled twins of some functions, beside their sources (docs/speed.md). `carboy --version` says
# whether they run. To go back: .venv/bin/python hatch_build.py --clean
speedups: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[speed]'
	$(BIN)/python hatch_build.py

clean:
	$(PYTHON) hatch_build.py --clean
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
