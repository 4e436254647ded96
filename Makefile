# Everything starts here, from a bare Python >= 3.11: the targets make their own .venv, with uv inside.
# `make help` lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
MEMBERS := proto provider-common provider-password provider-contrib provider-vault provider-aws provider-gcp eso-core conformance e2e
READY := $(VENV)/.ready
WORKERS ?= auto
PYTEST_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup quickstart demo-vault demo-aws demo-gcp test test-newest test-oldest check fmt lint types layers proto-lint fresh docs wheels bench generate lock servers conformance clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

$(READY): requirements.lock $(MEMBERS:%=%/pyproject.toml)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "needs Python 3.11 or newer: make PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(UV) || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps $(MEMBERS:%=-e ./%)
	@touch $@

setup: $(READY)  ## make .venv with everything in it

quickstart: $(READY)  ## sync examples/quickstart with real providers: no cluster, no cloud account
	@$(BIN)/eso-core dev examples/quickstart --output build/quickstart

demo-vault: $(READY)  ## a real dev Vault: sync from it, push back into it
	@$(BIN)/python examples/vault/demo.py

demo-aws: $(READY)  ## the same with moto's AWS
	@$(BIN)/python examples/aws/demo.py

demo-gcp: $(READY)  ## the same with a Secret Manager of Google Cloud that runs here
	@$(BIN)/python examples/gcp/demo.py

test: $(READY)  ## every test; real servers are built once into the user's cache
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(PYTEST_ARGS)

test-newest: $(READY)  ## the quick tests on the newest Python at hand
	@$(BIN)/python tools/newest_python.py

test-oldest: $(READY)  ## the quick tests on the oldest versions that the requirements allow
	@$(BIN)/python tools/oldest_requirements.py

check: lint types layers proto-lint fresh docs  ## all that CI checks beside the tests

fmt: $(READY)  ## format, and mend what ruff can mend
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix .

lint: $(READY)
	@$(BIN)/ruff format --check --quiet . || { echo "run: make fmt"; exit 1; }
	@$(BIN)/ruff check --quiet .

types: $(READY)
	@$(BIN)/python tools/typecheck.py

layers: $(READY)
	@$(BIN)/lint-imports --no-cache > build/layers.txt 2>&1 || { cat build/layers.txt; exit 1; }

proto-lint: $(READY)
	@cd proto && ../$(BIN)/buf lint && ../$(BIN)/buf breaking --against baseline/go-baseline.json

fresh: $(READY)
	@$(BIN)/python tools/generate.py --check

docs: $(READY)
	@$(BIN)/python -m pytest -q docs/tests

conformance: $(READY)  ## judge every provider, and make the compatibility matrix of the docs
	@$(BIN)/python -m pytest -q -n0 provider-*/tests/test_conformance.py conformance/tests/test_providers.py --provider-report-dir build/conformance
	@$(BIN)/python -m pytest -q -n0 provider-*/tests/test_conformance.py --provider-report-dir build/conformance --provider-contract 1.0
	@$(BIN)/provider-conformance matrix build/conformance/*/report.json --output docs/compatibility.md

wheels: $(READY)  ## build every distribution into dist/
	@for member in $(filter-out e2e,$(MEMBERS)); do $(UV) build --quiet --wheel --out-dir dist ./$$member || exit 1; done; ls dist/*.whl

bench: $(READY)  ## measure side by side, in one run; writes benchmarks/results.json
	@$(BIN)/python -m benchmarks.run

generate: $(READY)  ## make every generated file again
	@$(BIN)/python tools/generate.py

lock: $(READY)  ## resolve requirements.lock again
	@$(BIN)/python tools/lock.py

servers: $(READY)  ## build the real servers for the tests
	@$(BIN)/python -m eso_e2e build

clean:  ## remove what the other targets made
	rm -rf $(VENV) build dist
layers lint types: | build
build:
	@mkdir -p build
