# Every command makes what it needs: on a machine with Python 3.11 and make, nothing has to be done before any of them.
PYTHON ?= python3
PYTEST_ARGS ?=
# Tests wait more than they compute: for clocks, outages, elections. A class, or a module's functions, stay together with their servers.
WORKERS     ?= 4
PARALLEL    := -n $(WORKERS) --dist loadscope --no-loadscope-reorder

# Asked of the shell: make's own functions take a space in the path for the end of a word.
ROOT := $(shell cd "$$(dirname "$$(echo '$(MAKEFILE_LIST)' | sed 's/^ *//')")" && pwd)
BIN  := $(ROOT)/.venv/bin
# Run inside the project whatever the caller's folder is, and with its own tools first.
IN   := cd "$(ROOT)" && PATH="$(BIN):$$PATH"
SAM  := cd "$(ROOT)" && SAM_CLI_TELEMETRY=0 AWS_EC2_METADATA_DISABLED=true PATH="$(ROOT)/.venvs/sam/bin:$$PATH" sam
# For every platform, by hash, without naming an index; what layers carry is what the tests ran with.
COMPILE := uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url $(if $(UPGRADE),--upgrade)

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast coverage check check-style check-types check-floors check-template \
        check-rules check-docs bench build lock format clean distclean env env-dev env-emulator env-sam env-peers

help: ## Print this.
	@grep -hE '^[a-z-]+:.*## ' "$(ROOT)/Makefile" | sed -E 's/^([a-z-]+):.*## /  make \1|/' | awk -F'|' '{printf "%-22s %s\n", $$1, $$2}'

demo: env-dev env-emulator ## Two regions, a blizzard's flights, every read judged; writes build/demo.html (a minute and a half).
	@$(IN) python -m local.demo $(DEMO_ARGS)

test: env-dev env-emulator env-sam ## Run every test (minutes).
	@$(IN) python -m pytest $(PARALLEL) $(PYTEST_ARGS)

test-fast: env-dev ## Run the tests that need neither the AWS emulator nor patience (under a minute).
	@$(IN) python -m pytest -m "not slow and not stack" $(PYTEST_ARGS)

coverage: env-dev env-emulator env-sam ## Run every test and show which branches none reached.
	@$(IN) python -m pytest --cov --cov-report=term-missing:skip-covered $(PYTEST_ARGS)

check: check-style check-types check-floors check-template check-rules check-docs ## Everything that needs no running system: style, types, floors, template, rules, docs.

check-style: env-dev
	@$(IN) ruff check .
	@$(IN) ruff format --check .

check-types: env-dev
	@$(IN) mypy
	@$(IN) pyright

check-floors: env-dev
	@$(IN) lint-imports

check-template: env-dev env-sam
	@$(IN) cfn-lint template.yaml
	@$(SAM) validate --lint --template-file template.yaml

check-rules: env-dev
	@$(IN); for each in shared/rules/rules.yaml examples/*/rules.yaml; do \
	  staleproof rules lint --strict "$$each" && staleproof rules test "$$each" || exit 1; done

check-docs: env-dev
	@$(IN) python -m pytest --quiet -m "not slow" tests/architecture tests/docs

bench: env-dev env-peers ## Measure the hot paths beside four other caches; writes build/bench.json.
	@$(IN) python -m benchmarks $(BENCH_ARGS)

build: env-sam ## Build the deployable stack into .aws-sam/, layers for arm64, without Docker.
	@$(SAM) build --template-file template.yaml $(SAM_ARGS)

lock: env-dev ## Compile every .in into its .lock; UPGRADE=1 takes the newest releases.
	@$(IN); for each in dev emulator sam peers; do \
	  $(COMPILE) --python-version 3.11 "requirements/$$each.in" -o "requirements/$$each.lock" || exit 1; done
	@$(IN); for each in layers/staleproof/build layers/staleproof/requirements shared/build shared/requirements; do \
	  $(COMPILE) --python-version 3.13 -c requirements/dev.lock "$$each.in" -o "$$each.lock" || exit 1; done

format: env-dev ## Format, and repair what can be repaired by itself.
	@$(IN) ruff format .
	@$(IN) ruff check --fix .

env: env-dev env-emulator env-sam env-peers ## Make the four environments now: .venv and .venvs/{emulator,sam,peers}.

env-dev env-emulator env-sam env-peers: env-%:
	@command -v "$(PYTHON)" >/dev/null || { echo "$(PYTHON) is not installed; install Python 3.11, or name one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@"$(PYTHON)" "$(ROOT)/requirements/environments.py" $*

clean: ## Remove what commands produced; the environments stay.
	@cd "$(ROOT)" && rm -rf build .aws-sam .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage .coverage.* htmlcov
	@find "$(ROOT)" -name __pycache__ -not -path '*/.venv*' -prune -exec rm -rf {} +

distclean: clean ## Remove the environments too.
	@cd "$(ROOT)" && rm -rf .venv .venvs
