# Everything runs in .venv; `make help` lists the targets.
PYTHON ?= python3
BIN := .venv/bin
PROFILE ?= quick
TESTS ?= 8.1
JOBS ?= 4
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "aibench needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Set PYTHON=..." >&2; exit 1; }
	@echo "installing aibench into .venv (first run only)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

.venv/installed-dev: .venv/installed
	@echo "installing the development tools into .venv (first run only)"
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@# fakenos runs with the paramiko of constraints.txt and only asks for an older one
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps fakenos==1.2.1 detect==2020.12.3
	@# beside the environment, so that agents in tests have it only where a test says so
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --upgrade --target .venv/nixl nixl-cu12==1.5.1
	@touch $@

.PHONY: install
install: .venv/installed ## make .venv and install aibench into it

.PHONY: congestion
congestion: .venv/installed ## run Test 8.1 on the simulated lab and write the report (PROFILE=quick|draft TESTS=8.1,8.2,8.3,8.4)
	@$(BIN)/ansible-playbook playbooks/congestion.yml -e profile=$(PROFILE) -e tests=$(TESTS)

.PHONY: restore
restore: .venv/installed ## put every switch back that an unfinished run left changed
	@$(BIN)/ansible-playbook playbooks/restore.yml

.PHONY: test
test: .venv/installed-dev ## run every test, JOBS files at a time (most of the time is spent waiting for switches)
	@$(BIN)/pytest -q -n $(JOBS) --dist loadfile

.PHONY: test-rdma
test-rdma: .venv/installed-dev ## run the RDMA tests alone: an emulated machine with soft-RoCE (needs qemu-system-x86)
	@$(BIN)/pytest -q tests/lab/test_rdma_vm*.py

.PHONY: unit
unit: .venv/installed-dev ## run the fast tests only
	@$(BIN)/pytest -q -m 'not slow' tests/unit tests/draft tests/golden

.PHONY: check
check: .venv/installed-dev ## the gate: ruff, mypy, import-linter, yamllint, ansible-lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/yamllint --strict .
	$(BIN)/ansible-lint --offline

.PHONY: format
format: .venv/installed-dev ## format the Python files
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only .

.PHONY: proto
proto: .venv/installed-dev ## generate the gRPC stubs from agent.proto
	$(BIN)/python -m grpc_tools.protoc -I . --python_out=. --grpc_python_out=. --pyi_out=. aibench_lib/worker/agent.proto

.PHONY: docs
docs: .venv/installed ## write the tables of docs/switches.md again
	@{ sed '/^<!-- From here on/q' docs/switches.md && echo && $(BIN)/aibench platforms; } > docs/switches.new && mv docs/switches.new docs/switches.md

.PHONY: bench
bench: .venv/installed-dev ## print the speed of the hot paths beside their references
	@for file in tests/bench/bench_*.py; do $(BIN)/python $$file || exit 1; done
