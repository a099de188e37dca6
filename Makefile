# Everything a newcomer needs: `make demo`, then `make test`.
# PYTHON is the interpreter that the environment is made from (3.11 or newer).

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
TOOLS  := $(VENV)/.tools
ASSETS := $(VENV)/.assets
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps

.PHONY: help setup tools demo test conformance lint check bench soak clean

help:  ## say what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

setup: $(STAMP) $(ASSETS)  ## make .venv, install, and fetch the demo's weights and chain emulator

$(STAMP): pyproject.toml requirements/lock.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is not Python 3.11 or newer: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --require-hashes -r requirements/lock.txt
	$(PIP) --no-build-isolation --editable .
	$(BIN)/python -m kernels.native
	@touch $@

$(TOOLS): $(STAMP) requirements/lock-dev.txt
	$(PIP) --require-hashes -r requirements/lock-dev.txt
	@touch $@

$(ASSETS): $(STAMP) kernels/models/catalog.json contracts/assets.json
	$(BIN)/cocoon assets fetch demo
	@touch $@

tools: setup $(TOOLS)  ## install what tests, linters and simulations need

demo: setup  ## a paid, encrypted, streamed answer from a swarm of real nodes on this machine
	$(BIN)/cocoon demo

test: tools  ## pass the tests
	$(BIN)/cocoon assets fetch tests
	$(BIN)/python -m pytest -n auto --dist loadfile --ignore=tests/kernels
	$(BIN)/python -m pytest -n auto --dist loadfile tests/kernels

conformance: tools  ## clients that we did not write use our chain and our API; nodes behind a NAT
	$(PIP) --require-hashes -r requirements/conformance.txt
	$(PIP) --require-hashes -r requirements/clients.txt
	$(BIN)/python -m pytest -rs tests/end_to_end/test_api.py
	$(BIN)/python -m pytest -rs tests/test_readme.py -k pages
	$(BIN)/python -m pytest -rs tests/contracts/test_tonlib.py tests/contracts/test_ton_client.py
	COCOON_NAMESPACES=1 $(BIN)/python -m pytest -rs tests/end_to_end/test_namespaces.py \
		tests/overlay/reach/test_holes.py tests/overlay/reach/test_router.py tests/overlay/reach/test_ipv6.py \
		tests/overlay/reach/test_js_autonat.py

lint: tools  ## style, types and layers
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: tools  ## compile the CUDA kernels for seven generations of cards; compare
	$(BIN)/python -m kernels.check

bench: setup  ## measure what the market adds to a job
	$(BIN)/python -m cocoon.bench

soak: tools  ## attack nodes for a long time, print what held; SOAK=--quick: ten minutes, SOAK=--help
	$(BIN)/python -m simulations.soak --report build/soak.jsonl $(SOAK)

clean:  ## remove the environment; keeps the weights in your cache
	rm -rf $(VENV) build *.egg-info
