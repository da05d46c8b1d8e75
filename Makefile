# The Python version stands once, in pyproject.toml.
PYTHON_VERSION := $(shell sed -n '/^\[tool.orion\]/,/^\[/s/^python = "\(.*\)"/\1/p' pyproject.toml)
PY := .venv/bin/python
export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/.tools/bin:$(PATH)
export PYTHONPATH := $(CURDIR)/layers/orion/python
CODE := $(wildcard layers/build.py layers/orion/python/orion functions infra node_stacks demos clients tests)
KEEP ?=
BENCH ?=
ADVISORIES ?=
export KEEP ADVISORIES

.DEFAULT_GOAL := help
.PHONY: help setup demo up down wallets test unit lint bench synth lock audit

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 10

setup: ## install everything that is missing (Debian 12; as root or with sudo)
	@bash infra/setup/bootstrap.sh $(PYTHON_VERSION)

demo: setup ## play the main story on a stack of its own (KEEP=1 leaves it up)
	@$(PY) -m demos.first_light

up: setup ## start the local stack
	@$(PY) -m infra.local up

down: setup ## stop the local stack
	@$(PY) -m infra.local down

wallets: setup ## make wallet groups on the running stack (GROUPS=100 FIRST=1)
	@$(PY) -m infra.local.wallets --groups $(or $(GROUPS),1) --first-group $(or $(FIRST),1)

lint: setup ## ruff, mypy strict, import contracts
	@echo "[lint] ruff"
	@ruff check $(CODE)
	@ruff format --check $(CODE)
	@echo "[lint] mypy"
	@mypy $(CODE)
	@echo "[lint] import contracts"
	@lint-imports

unit: setup ## pure rules only, seconds
	@$(PY) -m pytest tests/unit

test: lint ## everything: lint, then all tests, engines and stack included
	@$(PY) -m pytest --timeout=600 $(wildcard $(addprefix tests/,unit house infra moto contract engine e2e))

bench: ## measure (BENCH=name for one); only figures on stdout
	@$(MAKE) --no-print-directory setup >&2
	@$(PY) -m tests.bench $(BENCH)

synth: setup ## synthesize the CDK app, offline
	@cdk synth --all --quiet --no-notices --no-version-reporting

lock: setup ## resolve all dependency locks again (UPGRADE=1 moves pins)
	@$(PY) -m infra.setup.relock

audit: setup ## compare the locks with the OSV records in ADVISORIES=folder, offline
	@$(PY) -m infra.setup.audit
