# A fresh Linux machine needs Python 3.11 or newer and make; the rest comes with `make setup`.
#
#   make demo         set up, then the whole story on real digits (needs no network after set-up)
#   make test         set up, then exactly what CI runs
#   make test-fast    the tests without the slow ones
#   make test-oldest  the tests against the oldest versions that pyproject.toml allows
#   make format       rewrite the sources in the house format
#   make bench        the benchmarks that need no photographs; results go to benchmarks/results/
#   make constraints  the newest versions of everything into constraints.txt
#   make clean        remove what tools left; .venv stays

PYTHON ?= python3
WORKERS ?= auto

BIN := .venv/bin
STAMP := .venv/.setup-done
OLDEST := build/oldest

.PHONY: setup demo test test-fast test-oldest format bench constraints clean

setup: $(STAMP)

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || \
	    { echo "compoundnet needs Python 3.11 or newer, and '$(PYTHON)' is not there; install it, or name one: make setup PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "compoundnet needs Python 3.11 or newer, and '$(PYTHON)' is $$($(PYTHON) -V); name another: make setup PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	    { echo "'$(PYTHON)' cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv

# Compiled at once: where PYTHONDONTWRITEBYTECODE is set, as on many build machines, every start would otherwise
# compile all that it imports.
$(STAMP): pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	$(BIN)/uv pip install --python $(BIN)/python --compile-bytecode --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m compileall -q src
	@touch $@

demo: setup
	$(BIN)/compoundnet demo

test: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n $(WORKERS)

test-fast: setup
	$(BIN)/pytest -n $(WORKERS) -m "not slow"

test-oldest: setup
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(OLDEST)
	$(BIN)/uv pip install --python $(OLDEST)/bin/python --resolution lowest-direct --editable '.[dev]'
	$(OLDEST)/bin/python -m pytest -n $(WORKERS)

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup
	@for name in cost solver training_step memory; do echo "== $$name"; $(BIN)/python benchmarks/$$name.py || exit 1; done

constraints: setup
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --upgrade --quiet \
	    --no-header --no-annotate --no-emit-index-url --output-file constraints.txt

clean:
	rm -rf build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
