# What a developer types. Every step says what it does; `make help` lists them.
#
# Variables: TORCH      which torch to install (a requirement)
#            PIP_ARGS   more arguments for pip, for example the --index-url of PyTorch's CPU wheels
#            PYTHON     which Python makes .venv; the first of 3.11, 3.12, 3.13 by default
#            ARGS       more arguments for the command that a target runs

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup demo test check lint types contracts generated bench clean

# A Raspberry Pi 4 (ARMv8.0) cannot run torch 2.10; on other machines the newest is right.
TORCH ?= $(if $(filter aarch64,$(shell uname -m)),torch==2.9.1,torch==2.13.0)
PIP_ARGS ?=
PYTHON ?=
ARGS ?=

BIN := .venv/bin
# A stamp is newer than what it was made from, or is made again.
MADE_FROM := pyproject.toml Makefile tools/setup.sh hatch_build.py tools/build_loops.py \
    common/thinwire/common/codec/loops.c
RUN := .venv/.installed
DEV := .venv/.installed-dev
# Talk goes to standard error, so that `make demo ARGS=--json` leaves data alone on standard output.
say = @echo "── $(1)" >&2

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

setup: $(DEV) ## Make .venv with everything that development needs

demo: $(RUN) ## Train on a fleet of emulated devices over thin links, on this machine
	$(call say,a coordinator and a fleet of agents with a trainer each, all on this machine)
	@$(BIN)/thinwire demo $(ARGS)

test: $(DEV) ## Run the tests
	$(call say,tests)
	@$(BIN)/python -m pytest $(ARGS)

check: lint types contracts generated ## Check style, types, layers and generated files

lint: $(DEV)
	$(call say,style: ruff; wire: buf)
	@$(BIN)/ruff check .
	@$(BIN)/buf lint proto

types: $(DEV)
	$(call say,types: mypy --strict)
	@$(BIN)/mypy

contracts: $(DEV)
	$(call say,layers: import-linter)
	@$(BIN)/lint-imports

generated: $(DEV)
	$(call say,generated: protobuf code and docs/configuration.md)
	@$(BIN)/python tools/gen_proto.py --check
	@$(BIN)/python tools/gen_config_docs.py --check

bench: $(RUN) ## Measure the parts that must be fast
	$(call say,codec)
	@$(BIN)/thinwire bench codec $(ARGS)
	$(call say,step)
	@$(BIN)/thinwire bench step $(ARGS)
	$(call say,transport)
	@$(BIN)/thinwire bench transport $(ARGS)

clean: ## Remove everything that the other targets made
	$(call say,removing environments and caches)
	@rm -f common/thinwire/common/codec/loops.so
	@rm -rf .venv .venv-proto .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUN): $(MADE_FROM)
	@PYTHON='$(PYTHON)' PIP_ARGS='$(PIP_ARGS)' tools/setup.sh '$(TORCH)' train,server
	@touch $(RUN)

$(DEV): $(MADE_FROM)
	@PYTHON='$(PYTHON)' PIP_ARGS='$(PIP_ARGS)' tools/setup.sh '$(TORCH)' train,server,dev
	@touch $(RUN) $(DEV)
