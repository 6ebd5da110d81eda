# `make run` and `make test` do their own set-up; what is set up already is not done again.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# Python compiles what it imports, which is a small part of what is installed.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
# Thousands of processes start in the tests: what they compile is kept.
unexport PYTHONDONTWRITEBYTECODE
AS_ROOT := $(shell [ "$$(id -u)" = 0 ] || command -v sudo)

.PHONY: run test suite check format bench clean

run: $(VENV)/.runtime ## plan one cycle of the example and show the plan
	@$(BIN)/dino plan-cycle examples/fire-duty/scenario.yaml --show 8

test: ## everything that continuous integration checks
	@$(MAKE) --no-print-directory --jobs=2 check suite

suite: $(VENV)/.development
	@# Half of the time they wait, for disks and for processes: more at once than there are cores.
	@$(BIN)/pytest -n 4

check: $(VENV)/.development ## lint, format and types
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy

format: $(VENV)/.development
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format .

bench: $(VENV)/.development ## the figures, each beside what it is held against
	@$(INSTALL) --group bench
	@$(BIN)/python bench/startup.py
	@$(BIN)/python bench/journal.py
	@$(BIN)/python bench/verification.py
	@$(BIN)/python bench/checkpoint.py
	@$(BIN)/python bench/opening.py
	@$(BIN)/python bench/plan_cycle.py
	@$(BIN)/python bench/assignment.py
	@$(BIN)/python bench/zones.py
	@$(BIN)/python bench/trajectory.py
	@$(BIN)/python bench/provenance.py
	@$(BIN)/python bench/sandbox.py
	@$(BIN)/python bench/security.py
	@$(BIN)/python bench/gates.py
	@$(BIN)/python bench/tasks.py
	@$(BIN)/python bench/cache.py
	@$(BIN)/python bench/replication.py
	@$(BIN)/python bench/space.py
	@$(BIN)/python bench/memory.py
	@$(BIN)/python bench/bus.py
	@$(BIN)/python bench/cluster_messages.py
	@$(BIN)/python bench/cluster.py
	@$(BIN)/python bench/redaction.py
	@$(BIN)/python bench/anomalies.py
	@$(BIN)/python bench/agent.py
	@$(BIN)/python bench/models.py
	@$(BIN)/python bench/mcp_serving.py

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Dino needs Python 3.11 or newer; try: make PYTHON=python3.12 …")'
	@$(PYTHON) -m venv $(VENV)
	@# Older ones do not know dependency groups.
	@$(INSTALL) --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/.runtime: $(VENV)/.created pyproject.toml
	@$(INSTALL) --editable .
	@touch $@

$(VENV)/.development: $(VENV)/.created $(VENV)/.peers pyproject.toml tests/install-weights
	@$(INSTALL) --editable . --group dev
	@./tests/install-weights $(BIN)/python
	@touch $(VENV)/.runtime $@

$(VENV)/.peers: $(VENV)/.created tests/install-peers tests/interop/couch/package-lock.json
	@./tests/install-peers $(AS_ROOT)
	@touch $@

clean:
	rm -rf $(VENV) tests/interop/couch/node_modules .mypy_cache .pytest_cache .ruff_cache .hypothesis
