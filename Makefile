# The whole developer interface. Needs Python 3.11 as python3, pip and make; nothing else.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help install demo ui test test-slow test-all check docs life bench bench-tools clean lock

PYTHON ?= python3
WORKERS ?= 2
BENCH_TIMES ?= 1 10
LIFE_FOLDER ?= /tmp/ml_assets_life
LIFE_ARGS ?= --days 730 --zone Asia/Kolkata --cadence daily
BIN := .venv/bin
BENCH_STAMP := .venv-bench/.installed
DOCS_STAMP := .venv-docs/.installed
STAMP := .venv/.installed
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps

# Nothing calls home.
export DO_NOT_TRACK := true
export MLFLOW_DISABLE_TELEMETRY := true
export GX_ANALYTICS_ENABLED := false
export DAGSTER_DISABLE_TELEMETRY := 1
unexport PYTHONDONTWRITEBYTECODE # without compiled files every command starts seconds later

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## build .venv from the pinned requirements, when they changed

# No stamp means no install ever ended well: start again. A stamp that is older: bring up to date.
# --no-deps: the file pins everything, and in hash mode pip 23 refuses extras it would resolve.
$(STAMP): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; found = sys.version_info[:2]; found == (3, 11) or sys.exit( \
		"ml_assets needs Python 3.11; $(PYTHON) is %d.%d (%s). Name another one: make PYTHON=python3.11" \
		% (*found, sys.executable))'
	@if [ -e $(STAMP) ] && $(BIN)/python -c 'import pip'; then \
		echo "== install: requirements.txt or pyproject.toml changed, bringing .venv up to date"; \
	else \
		echo "== install: $$(grep -c '==' requirements.txt) pinned packages into .venv, a minute or two the first time"; \
		$(PYTHON) -m venv --clear .venv; \
	fi
	@rm -f $(STAMP)
	@$(PIP_INSTALL) --no-compile --require-hashes -r requirements.txt
	@$(PIP_INSTALL) --no-build-isolation -e .
	@# compiled now, by all cores: else each command compiles what it imports, for good where PYTHONDONTWRITEBYTECODE is set
	@$(BIN)/python -m compileall -q -j 0 -x '/plotly/|/faker/|/pip/|/tests?/' $$($(BIN)/python -c 'import sysconfig; \
		print(sysconfig.get_path("purelib"))') ml_assets || true
	@touch $(STAMP)

demo: $(STAMP) ## land real days of flights, run the graph, train, gate, predict
	@$(BIN)/ml-assets demo

ui: $(STAMP) ## open the Dagster UI on what the demo left
	@$(BIN)/ml-assets ui

# One thread a worker: two workers share the cores, and sums come out in one order.
test test-slow test-all: export OMP_NUM_THREADS := 1
test test-slow test-all: export OPENBLAS_NUM_THREADS := 1
test test-slow test-all: export MKL_NUM_THREADS := 1
DRAWN := $(addprefix ml_assets_tests/,cli/declare/test_new_text.py features/test_point_in_time_recompute.py \
	features/test_point_in_time.py ingestion/test_acceptance.py ingestion/test_drop_rules.py spec/test_malformed.py)
HALF_HOUR := ml_assets_tests/test_half_hour.py
PYTEST := $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadgroup

test: $(STAMP) ## run the tests and docstring examples but the slow ones, with WORKERS=2 processes
	@$(PYTEST) -m "not slow" $(PYTEST_ARGS)

test-slow: $(STAMP) ## run the others: a daemon, killed processes, replays, the tutorial, many drawn examples
	@# beside the others half an hour of the daemon, which waits for most of it
	@log=$$(mktemp); $(BIN)/python -m pytest -q $(HALF_HOUR) $(PYTEST_ARGS) >$$log 2>&1 & half_hour=$$!; ended=0; \
	trap 'kill $$half_hour 2>/dev/null; rm -f $$log' EXIT; \
	$(PYTEST) -m slow --ignore=ml_assets_tests/test_automation.py --ignore=$(HALF_HOUR) $(PYTEST_ARGS) || ended=$$?; \
	echo "== half an hour of the daemon"; wait $$half_hour || ended=$$?; cat $$log; exit $$ended
	@# laws over drawn examples that cost much each: five times as many as `make test` draws
	@ML_ASSETS_DRAWN=5 $(PYTEST) -m hypothesis $(DRAWN) $(PYTEST_ARGS)
	@# alone: it holds the daemon to its promised time, and another worker would take the second core
	@$(BIN)/python -m pytest -q ml_assets_tests/test_automation.py $(PYTEST_ARGS)

test-all: test test-slow ## run both

check: $(STAMP) ## format, lint, types, import contracts and make test; CI runs test-slow after it
	@echo "== format"
	@$(BIN)/ruff format --check .
	@echo "== lint"
	@$(BIN)/ruff check .
	@echo "== types"
	@$(BIN)/basedpyright
	@echo "== import contracts"
	@$(BIN)/lint-imports --no-logo
	@echo "== tests"
	@$(MAKE) --no-print-directory test

# mkdocs stays out of .venv: nothing imports it. The site asks no other server for anything.
$(DOCS_STAMP): requirements-docs.txt
	@echo "== docs: mkdocs into .venv-docs"
	@$(PYTHON) -m venv --clear .venv-docs
	@.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps --require-hashes \
		-r requirements-docs.txt
	@touch $(DOCS_STAMP)

docs: $(DOCS_STAMP) ## build the documentation as a site, strictly, into site/
	@NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict --quiet
	@echo "open $(CURDIR)/site/index.html"

life: export OMP_NUM_THREADS := 1
life: $(STAMP) ## live two simulated years in an empty LIFE_FOLDER and check the promises; docs/life.md has LIFE_ARGS
	@$(BIN)/python -m ml_assets_tests.life --folder $(LIFE_FOLDER) $(LIFE_ARGS)

# Polars, Feast, River and what they need stay out of .venv: they are measured beside it, and nothing imports them.
$(BENCH_STAMP): requirements-bench.txt
	@echo "== bench: what features and retraining are measured beside, into .venv-bench"
	@$(PYTHON) -m venv --clear .venv-bench
	@.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps --require-hashes \
		-r requirements-bench.txt
	@touch $(BENCH_STAMP)

bench-tools: $(STAMP) $(BENCH_STAMP) ## make .venv-bench, what benchmarks measure beside

bench: bench-tools ## windows beside Polars, DuckDB, pandas and Feast; wants a quiet machine and half an hour
	@for times in $(BENCH_TIMES); do \
		others=$$(test $$times = 1 && echo polars,duckdb,pandas,feast || echo polars,duckdb); \
		$(BIN)/python -m ml_assets_tests.benchmarks.feature_windows --times $$times --engines $$others || exit 1; \
	done

clean: ## remove all state under data/; code and .venv stay
	@find data -mindepth 1 -maxdepth 1 ! -name README.md -exec echo "removing {}" \; -exec rm -rf {} +

COMPILE := pip compile --generate-hashes --no-emit-index-url --no-header --quiet
lock: ## pin the dependencies of pyproject.toml again; UPGRADE=--upgrade for newer ones
	@tools=$$(mktemp -d) && trap 'rm -rf "$$tools"' EXIT INT TERM && \
	$(PYTHON) -m venv "$$tools" && \
	"$$tools/bin/pip" install --quiet --disable-pip-version-check 'uv>=0.9' && \
	"$$tools/bin/uv" $(COMPILE) pyproject.toml --group dev --python "$$tools/bin/python" $(UPGRADE) -o requirements.txt && \
	"$$tools/bin/uv" $(COMPILE) --group bench --python "$$tools/bin/python" $(UPGRADE) -o requirements-bench.txt && \
	"$$tools/bin/uv" $(COMPILE) --group docs --python "$$tools/bin/python" $(UPGRADE) -o requirements-docs.txt
