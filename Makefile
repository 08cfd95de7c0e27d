# 和谐北苑 (Harmony Beiyuan). `make` alone lists what can be made; `make run` and `make test` need nothing prepared
# but Python 3.11 or later.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip
READY := $(VENV)/.ready
SOURCES := beiyuan chassis gateway services clients migrations tests bench

.DEFAULT_GOAL := help
.PHONY: help setup run test check format lint types imports contracts lock bench simulate chaos clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Make the virtual environment with the locked dependencies

$(READY): requirements.lock pyproject.toml clients/merchant/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Setting up $(VENV) (once; a minute or so) …"
	@$(PYTHON) -m venv $(VENV) || { echo "Python's venv is missing; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@awk '/^uv==/ {on = 1} on {print} on && !/\\$$/ {exit}' requirements.lock > $(VENV)/uv.txt
	@$(PIP) install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.txt
	@export UV_SYSTEM_CERTS=1; index=$$($(PIP) config get global.index-url 2>/dev/null); [ -z "$$index" ] || export UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX:-$$index}"; \
	$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock || { echo "uv cannot reach the package index; pip goes on, slower." >&2; $(PIP) install --quiet --require-hashes -r requirements.lock; }
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --offline --editable . --editable clients/merchant
	@touch $(READY)

run: $(READY) ## Start everything on http://127.0.0.1:8000, with its own PostgreSQL and the demo town
	@exec $(BIN)/python -m beiyuan up

test: $(READY) ## Run the tests, on a PostgreSQL of their own
	@exec $(BIN)/python -m pytest -n 2 --dist loadfile

check: format lint types imports contracts ## All that must hold besides the tests

format: $(READY) ## Is the code formatted? (ruff format mends it)
	@$(BIN)/ruff format --check --quiet $(SOURCES) || { $(BIN)/ruff format --diff $(SOURCES); exit 1; }

lint: $(READY) ## Is it free of known faults?
	@$(BIN)/ruff check --quiet $(SOURCES)

types: $(READY) ## Do the types fit?
	@$(BIN)/mypy

imports: $(READY) ## Do the walls between the parts hold?
	@$(BIN)/lint-imports --no-cache

contracts: $(READY) ## Are migrations, OpenAPI files and message schemas up to date?
	@$(BIN)/python -m beiyuan openapi --check
	@$(BIN)/python -m pytest --quiet tests/contracts/test_migrations.py

lock: $(READY) ## Resolve the dependencies anew and pin them
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --no-emit-index-url --upgrade --group dev pyproject.toml --output-file requirements.lock

bench: $(READY) ## Measure the speeds that the README states, and write bench/RESULTS.md
	@exec $(BIN)/python -m bench

simulate: $(READY) ## Hold the ledger against its model for MINUTES=5, from SEED=… on
	@exec $(BIN)/python -m tests.points.ledger.simulate $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED))

chaos: $(READY) ## Post from many processes while servers and PostgreSQL are killed, SECONDS=60 each, from SEED=… on
	@BEIYUAN_CHAOS_SECONDS=$(or $(SECONDS),60) BEIYUAN_CHAOS_SEED=$(SEED) $(BIN)/python -m pytest -n 0 -s tests/points/chaos

clean: ## Remove the environment and caches; the data in .beiyuan stay
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
