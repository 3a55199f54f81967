# Every command of the house; `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
export PYTHONSAFEPATH = 1

PYTHON ?= $(firstword $(shell command -v python3.11 python3.12 python3.13 python3 2>/dev/null))
BIN := .venv/bin

.PHONY: help setup up test quick chaos bench bi lint types docs picture kafka registry wheel check lock

help:  ## list the commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: .venv/ready  ## make the virtual environment and install what requirements.lock pins

.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv || true
	if [ -x $(BIN)/uv ]; then \
	  $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock && \
	  $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .; \
	else \
	  $(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock && \
	  $(BIN)/python -m pip install --quiet --no-deps --editable .; \
	fi
	touch $@

up: setup  ## run everything on this machine: broker, ClickHouse, worker, simulated shop, terminal view
	$(BIN)/ebbtide up

test: setup  ## all tests but chaos, bench and bi
	$(BIN)/python -m pytest -n 3 --dist loadgroup -m "not chaos and not bench and not bi"

quick: setup  ## tests that need no broker
	$(BIN)/python -m pytest -n 2 -m "not chaos and not bench and not bi and not broker"

ONLY =
chaos: setup  ## break things on purpose, for up to two hours; SEED=n repeats a run, SHORT=1 takes some minutes
	SEED=$(SEED) SHORT=$(SHORT) $(BIN)/python -m pytest -m chaos $(if $(SHORT),-n 2 --dist loadgroup $(if $(ONLY),$(addprefix tests/chaos/,$(ONLY)),tests/chaos))

bench: setup  ## measure; never a test
	$(BIN)/python -m pytest -m bench -s --benchmark-enable

bi: setup  ## let Superset and Grafana's own types try what BI tools are given; the first time it installs them, in some minutes
	$(BIN)/python -m pytest -m bi -s

lint: setup  ## ruff, format, spelling, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell $$(git ls-files | grep -vE 'requirements.lock|\.svg$$')
	$(BIN)/validate-pyproject pyproject.toml
	$(BIN)/lint-imports

types: setup  ## mypy, strict
	$(BIN)/mypy

docs: setup  ## write the generated pages again
	$(BIN)/python -m agents.published_contracts
	$(BIN)/python -m schemas.document
	$(BIN)/python -m agents.settings_reference > deploy/settings.reference.toml
	$(BIN)/python -m agents.signal_catalogue > pipeline/signals/README.md
	$(BIN)/python -m agents.expectation_catalogue > pipeline/expectations/README.md
	$(BIN)/python -m sinks.dictionary > sinks/DICTIONARY.md
	$(BIN)/python -m tests.question_page > sinks/queries/README.md
	$(BIN)/python -m sinks.boards.grafana deploy/grafana/dashboards
	$(BIN)/python -m agents.report_catalogue > sinks/signs/README.md

picture: setup  ## draw README's picture of the report again: a minute or two, and Chromium
	DIR=$$(mktemp -d) && \
	$(BIN)/ebbtide feed --events 400000 --seed 7 --scenario support_flood --to $$DIR/shop && \
	EBBTIDE_SPIKES__ENABLED=false $(BIN)/ebbtide replay $$DIR/shop --clickhouse chdb://$$DIR/store && \
	$(BIN)/ebbtide report --site atlantic --clickhouse chdb://$$DIR/store --html $$DIR/report.html && \
	chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size=1000,1560 --screenshot=$$DIR/report.png file://$$DIR/report.html && \
	$(BIN)/uv run --quiet --no-project --with pillow python -c "from PIL import Image; Image.open('$$DIR/report.png').convert('RGB').quantize(48, dither=0).save('report.png', optimize=True)" && \
	rm -r $$DIR

kafka: setup  ## run one real Apache Kafka on loopback (Java 17 and Maven)
	sh deploy/kafka/kafka.sh

registry: setup  ## run one real Schema Registry on loopback (Java 21 and Maven)
	sh deploy/registry/registry.sh

wheel: setup  ## build the wheel
	rm -rf dist && $(BIN)/python -m build --wheel --installer uv

check: SHORT = 1
check: ONLY = test_kills.py test_clocks.py test_hostile.py
check: lint types test chaos wheel  ## what CI runs

lock: .venv/ready  ## resolve the dependencies again
	$(BIN)/uv pip compile pyproject.toml --group dev --generate-hashes --no-emit-index-url --universal \
	  --python-version 3.11 --no-python-downloads -q -o requirements.lock
