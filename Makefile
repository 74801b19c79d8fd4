# The two commands of the README are `make demo` and `make test`. Both set up what they need in
# .venv, from nothing but Python 3.10+ and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST_ARGS ?=
# Most tests wait most of the time: twice as many processes as this machine has cores.
JOBS ?= 4
DEMO_ARGS ?=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo test lint types browser mariadb format pytest bench compat clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "%-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.demo ## Run the demo project; Ctrl-C stops all of it; DEMO_ARGS goes to it
	@$(BIN)/python -m demo $(DEMO_ARGS)

# A case that fails among its neighbours is tried again, and named in the summary: real processes on a
# busy machine may be too slow for a deadline. One that fails three times fails, and one that stands
# still until pytest-timeout ends it fails at once.
test: SPREAD = -n $(JOBS) --no-loadscope-reorder --reruns 2 --rerun-except pytest-timeout -raR
test: lint types browser mariadb pytest ## Run every check and every test

lint: $(VENV)/.test ## Check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.test ## Check the types of both packages
	$(BIN)/mypy

# Where this cannot be done, or fails, the browser tests say what to install.
browser: ## Install Chromium for the tests, if there is none: on Debian, as root
	@command -v chromedriver >/dev/null || ! command -v apt-get >/dev/null || test "$$(id -u)" != 0 \
	|| { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y \
	--no-install-recommends chromium chromium-driver >/dev/null; } \
	|| echo "Chromium could not be installed." >&2

# The tests of the tables say the same of MariaDB. Its programs alone: no service is started.
mariadb: ## Install MariaDB for the tests, if there is none: on Debian, as root
	@PATH="$$PATH:/usr/sbin" command -v mariadbd >/dev/null || ! command -v apt-get >/dev/null \
	|| test "$$(id -u)" != 0 || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	apt-get install -qq -y --no-install-recommends mariadb-server-core mariadb-client-core \
	>/dev/null; } || echo "MariaDB could not be installed." >&2

format: $(VENV)/.test ## Put the source files in form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

pytest: $(VENV)/.test ## Run the tests alone, one by one; PYTEST_ARGS goes to pytest
	$(BIN)/python -m pytest $(SPREAD) $(PYTEST_ARGS)

bench: $(VENV)/.test ## Compare with Celery over Redis and django-celery-results, side by side
	$(BIN)/python -m benchmarks

compat: $(VENV)/.test ## Run the integration tests of Celery and kombu
	$(BIN)/python -m tests.compat

clean: ## Delete the environment and everything that was made
	rm -rf $(VENV) build dist *.egg-info .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One environment for both; a stamp file says with which extras it is in step with pyproject.toml.
$(VENV)/.python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 10) and "Python 3.10 or newer is needed, $(PYTHON) is %d.%d; try make PYTHON=python3.12" % v[:2])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	@touch $@

$(VENV)/.demo: $(VENV)/.python pyproject.toml setup.py
	$(BIN)/python -m pip install --quiet --editable '.[demo]'
	@touch $@

$(VENV)/.test: $(VENV)/.python pyproject.toml setup.py
	$(BIN)/python -m pip install --quiet --editable '.[test,demo]'
	@touch $@ $(VENV)/.demo
