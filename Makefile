# Everything lands in .venv; `make demo` and `make test` set themselves up on a fresh machine.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
UV_VERSION := 0.13.9

# Else every process would compile all its imports anew: some ten seconds a start on a slow machine.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: install demo test test-slow check bench up down lock clean

install: .venv/.installed

.venv/.installed: requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Tidemark needs Python 3.11; name yours: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 2; }
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	$(BIN)/python -m compileall -q flows tasks models storage
	@touch $@

demo: install
	$(BIN)/python -m flows.cli.demo

# The tests of a file share what is made once: trained models, built stores. Many wait for killed or stopped processes and
# for servers: four workers kept two cores busy for four fifths of the time.
test: install
	$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder

test-slow: install
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m slow --timeout=3600

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: install
	$(BIN)/python tests/benchmarks/run.py

up: install
	$(BIN)/tidemark up

down:
	$(BIN)/tidemark down

lock: install
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -q -o requirements.lock

clean:
	rm -rf .venv build demo *.egg-info
