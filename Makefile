# Trawl. `make` alone lists what there is.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
LINT   := .venv-lint
DOCS   := .venv-docs
ACTIONLINT := go run github.com/rhysd/actionlint/cmd/actionlint@v1.7.12

# What is compiled once, Trawl and the rewritten tests alike, no process has to compile again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# -- development -------------------------------------------------------------
.PHONY: setup demo test test-server lint lint-workflows chart chart-readme docs reference format bench screenshots lock clean
setup: $(VENV)/.ready ## Make .venv with everything, from the hash-locked requirements

$(VENV)/.ready: requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Trawl needs Python 3.11 or newer; try: make setup PYTHON=python3.13")'
	$(PYTHON) -m venv $(VENV)
	@# The lock is complete: pip need not resolve, which some versions do wrongly where hashes are required.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: setup ## Crawl a stand-in of PokeAPI, let a day pass, and see what changed: a minute, offline
	$(BIN)/python examples/demo.py

test: setup ## Run the tests: fast, offline, deterministic
	$(BIN)/pytest --numprocesses auto --dist loadgroup --max-worker-restart 0

test-server: setup ## Run the tests against a real Prefect server and worker: some minutes, offline
	$(BIN)/pytest tests/server

lint: setup ## Check style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lint-workflows: $(LINT)/.ready ## Check the workflows and the shell scripts (actionlint, zizmor, shellcheck)
	PATH="$(CURDIR)/$(LINT)/bin:$$PATH" $(if $(shell command -v actionlint),actionlint,$(ACTIONLINT))
	$(LINT)/bin/zizmor --offline --quiet --pedantic .github
	$(LINT)/bin/shellcheck .ci/run .ci/with-s3 scripts/deploy

$(LINT)/.ready: requirements/lint.txt
	@command -v actionlint >/dev/null || command -v go >/dev/null || { echo "actionlint is needed, or Go to run it with: https://github.com/rhysd/actionlint" >&2; exit 1; }
	$(PYTHON) -m venv $(LINT)
	$(LINT)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/lint.txt
	@touch $@

chart: setup need-helm ## Check the chart with the Helm that is installed
	helm lint --strict helm/trawl
	helm lint --strict helm/trawl --values k8s/values-kind.yaml
	$(BIN)/pytest tests/chart

chart-readme: setup ## Write the chart's README from its schema and values
	$(BIN)/python scripts/chart_readme.py

docs: $(DOCS)/.ready ## Build the documentation in build/site; a broken link or anchor is an error
	@# Not --quiet: it drops the warnings that --strict counts.
	NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --strict

$(DOCS)/.ready: requirements/docs.txt
	$(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/docs.txt
	@touch $@

reference: setup ## Write docs/reference anew, from the code and the chart
	$(BIN)/python scripts/reference.py

format: setup ## Format the code and fix what can be fixed
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

bench: setup ## Measure the main paths (half an hour; needs nginx, and TRAWL_TEST_ARCHIVES for the real data)
	$(BIN)/python -m bench

screenshots: setup ## Make the pictures of docs/images anew, with a real server (needs Chromium)
	$(BIN)/python scripts/screenshots.py

lock: ## Renew requirements/*.txt from pyproject.toml (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate pyproject.toml -o requirements/runtime.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate pyproject.toml --extra prefect -c requirements/runtime.txt -o requirements/prefect.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate pyproject.toml --extra prefect --extra dask --group dev -c requirements/prefect.txt -o requirements/dev.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --group bench -c requirements/runtime.txt -o requirements/bench.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --group lint -o requirements/lint.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --group docs -o requirements/docs.txt

clean: ## Remove what the targets above made
	rm -rf $(VENV) .venv-bench $(LINT) $(DOCS) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# -- a local cluster ---------------------------------------------------------
include cluster.mk
# -- your own cluster, and what is published ---------------------------------
include deploy.mk
