# The project's verbs. `make help` lists them.
# PYTHON is the interpreter of the environment to work in, for example PYTHON=.venv/bin/python.
PYTHON ?= python
TWISTD = $(shell $(PYTHON) -c 'import sys, os; print(os.path.join(os.path.dirname(sys.executable), "twistd"))')
MODE ?= ws
ARGUMENTS ?=
IMAGE ?= quickpulse

.DEFAULT_GOAL := help
.PHONY: help install test lint format types coverage check proto uml perf run image clean

help:  ## show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | awk -F'\t' '{ printf "  %-10s %s\n", $$1, $$2 }'

install:  ## editable install with everything for development
	$(PYTHON) -m pip install -e '.[dev]' --config-settings editable_mode=compat

test:  ## all tests; ARGUMENTS=tests.docs runs some
	$(PYTHON) -m twisted.trial $(or $(ARGUMENTS),tests)

lint:  ## ruff: rules and form
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

format:  ## ruff: mend what can be mended
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

types:  ## mypy, strict
	$(PYTHON) -m mypy

coverage:  ## tests with branch coverage
	$(PYTHON) -m coverage run -m twisted.trial tests
	$(PYTHON) -m coverage report

check:  ## what has to hold before a change lands, in a fresh environment
	.ci/run

proto:  ## write quickpulse/_generated from proto/ (grpcio-tools 1.74.0 wrote what is checked in)
	$(PYTHON) proto/generate.py

uml:  ## draw docs/message_queue.puml as SVG and PNG (needs plantuml and graphviz)
	plantuml -tsvg docs/message_queue.puml
	plantuml -tpng docs/message_queue.puml

perf:  ## measure a mode: make perf MODE=grpc ARGUMENTS='--seconds 5'
	$(PYTHON) -m perf --mode $(MODE) $(ARGUMENTS)

run:  ## run the server: make run MODE=grpc
	$(TWISTD) --pidfile= -n quickpulse --mode $(MODE) $(ARGUMENTS)

image:  ## build the container image
	docker build -t $(IMAGE) .

clean:  ## remove what was built or measured
	rm -rf build dist *.egg-info .coverage .coverage.* htmlcov .mypy_cache .ruff_cache .hypothesis _trial_temp* twistd.log* twistd.pid
	find . -name __pycache__ -prune -exec rm -rf {} +
	find . -name dropin.cache -delete
