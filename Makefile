PYTHON ?= python3
ARGS ?=

TEMPLATE := {{cookiecutter.mcp_name}}
VENV := .venv
BIN := $(VENV)/bin
BUILD := build
BAKED := $(BUILD)/notes-mcp
DEMO := $(VENV)/installed-demo
DEV := $(VENV)/installed-dev
DOCS := $(VENV)/installed-docs
LOCKING := $(BUILD)/lock
INSPECTOR := $(BUILD)/inspector
SITE := $(BUILD)/sitetools
SITE_FILES := sitetools/package.json sitetools/package-lock.json
DIAGRAMS := docs/assets/vendor/mermaid.tiny.js
FOREIGN := $(BUILD)/foreign
FOREIGN_LOCK := tests/foreign/requirements.lock
GUIDED := $(BUILD)/guided
GUIDED_LOCK := tests/fuzz/requirements.lock
MUTMUT := $(BUILD)/mutmut
MUTMUT_LOCK := tests/mutation/requirements.lock
MUTATED := $(BUILD)/mutation/notes-mcp
NPM_FILES := tests/inspector/package.json tests/inspector/package-lock.json
TYPESCRIPT := $(BUILD)/typescript
TYPESCRIPT_FILES := benchmarks/typescript/package.json benchmarks/typescript/package-lock.json
UV := $(BIN)/uv
# With their extras: pip before 23.3 looks for `name[extra]` apart from the pinned `name`.
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-strip-extras --no-annotate --no-header --no-emit-index-url --no-emit-find-links $(ARGS)

export PYTHONDONTWRITEBYTECODE := 1
# The theme's end of life is in the explanation of risks; nobody has to read it at each build.
export NO_MKDOCS_2_WARNING := 1

.DEFAULT_GOAL := help
.PHONY: help demo test updates coverage example generate pictures lint lock bench fuzz mutate docs site clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1@make \1@\2/p' Makefile | awk -F@ '{ printf "  %-12s %s\n", $$2, $$3 }'

demo: $(DEMO) ## scaffold a protected MCP server and log a real client in, offline
	@$(BIN)/python tests/bake.py $(BUILD)
	@$(MAKE) --no-print-directory -C $(BAKED) install PYTHON=$(abspath $(BIN)/python)
	@$(BAKED)/.venv/bin/python tests/demo.py $(BAKED)

test: $(DEV) ## everything, offline; PARTIAL=1: also good when a test was skipped
	@$(MAKE) --no-print-directory $(INSPECTOR)/installed || echo 'Going on without MCP Inspector.'
	@$(MAKE) --no-print-directory $(DIAGRAMS) || echo 'Going on without the diagrams of the site.'
	@$(MAKE) --no-print-directory $(FOREIGN)/installed || echo 'Going on without FastMCP.'
	@$(MAKE) --no-print-directory $(TYPESCRIPT)/installed || echo 'Going on without the TypeScript SDK.'
	$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

updates: $(DEV) ## cruft update from every earlier version, with new locks and all tests of what comes out
	UPDATES=all $(BIN)/python -m pytest -n 2 tests/test_update.py $(ARGS)

coverage: $(DEV) ## what of a server its tests run, branch by branch, against the goals; ARGS goes to pytest
	@$(BIN)/python tests/coverage_of_a_server.py $(BUILD)/coverage $(ARGS)

example: $(DEV) ## bake examples/coda-mcp again, and write down what its tools are; its owner's files stay
	@$(BIN)/python tests/example.py
	@cd examples/coda-mcp && PYTHONPATH=src:kit:. $(abspath $(BIN))/python -m tests.own.surface
	@$(BIN)/python tests/coda_tools.py

lint: $(DEV) ## style and types, of the template's own Python and of a bake
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --no-cache --check .
	$(BIN)/mypy --cache-dir $(BUILD)/mypy-root
	@rm -rf $(BUILD)/lint && $(BIN)/python tests/bake.py $(BUILD)/lint
	cd $(BUILD)/lint/notes-mcp && $(abspath $(BIN))/ruff check --no-cache .
	cd $(BUILD)/lint/notes-mcp && $(abspath $(BIN))/ruff format --no-cache --check .
	cd $(BUILD)/lint/notes-mcp && $(abspath $(BIN))/mypy --cache-dir ../../mypy-baked

lock: $(DEV) ## the template's locks and then these; newest versions: make lock ARGS=--upgrade
	@rm -rf $(LOCKING) && $(BIN)/python tests/bake.py $(LOCKING)
	@$(MAKE) --no-print-directory -C $(LOCKING)/notes-mcp lock UV=$(abspath $(UV)) ARGS="$(ARGS)"
	cp $(LOCKING)/notes-mcp/requirements*.lock '$(TEMPLATE)'
	$(COMPILE) --group dev '$(TEMPLATE)/requirements-dev.lock' --output-file requirements-dev.lock
	$(COMPILE) --group demo --constraints requirements-dev.lock --output-file requirements.lock
	$(COMPILE) --group docs --constraints requirements-dev.lock --output-file requirements-docs.lock
	$(COMPILE) tests/foreign/requirements.in --output-file $(FOREIGN_LOCK)
	$(COMPILE) tests/fuzz/requirements.in --output-file $(GUIDED_LOCK)
	$(COMPILE) --constraints requirements-dev.lock tests/mutation/requirements.in --output-file $(MUTMUT_LOCK)

bench: $(DEV) ## what protection costs, as ratios within one run; ARGS names some of benchmarks/__main__.py
	@$(MAKE) --no-print-directory $(FOREIGN)/installed $(TYPESCRIPT)/installed || echo 'Going on, but peers will not run.'
	@rm -rf $(BUILD)/bench && $(BIN)/python tests/bake.py $(BUILD)/bench
	@$(BIN)/python -m compileall -q $(BUILD)/bench/notes-mcp/src # as pip does when it installs
	@PYTHONPATH=$(BUILD)/bench/notes-mcp/src:$(BUILD)/bench/notes-mcp/tests $(BIN)/python benchmarks $(ARGS)

fuzz: $(DEV) ## a million hostile inputs, into benchmarks/fuzz.md; ARGS names subjects of tests/fuzz/subjects.py
	@$(MAKE) --no-print-directory $(GUIDED)/installed || echo 'Going on without atheris.'
	@rm -rf $(BUILD)/fuzz && $(BIN)/python tests/bake.py $(BUILD)/fuzz
	@cp -R tests/fuzz $(BUILD)/fuzz/notes-mcp/tests/fuzz
	@cd $(BUILD)/fuzz/notes-mcp && PYTHONPATH=src:kit:.:$(abspath $(GUIDED)) $(abspath $(BIN))/python -m tests.fuzz \
		$(or $(ARGS),--record $(abspath benchmarks/fuzz.json))

# The root environment goes first, so that the tests run with the versions that they always run with.
mutate: $(DEV) $(MUTMUT)/installed ## mutation tests, into benchmarks/mutation.md; of one module: make mutate ARGS='*.policy.*'
	@rm -rf $(BUILD)/mutation && $(BIN)/python tests/bake.py $(BUILD)/mutation
	@cp -r tests/runtime $(MUTATED)/tests/runtime && cp tests/mutation/setup.cfg $(MUTATED)
	@unset PYTHONDONTWRITEBYTECODE; export PYTHONPATH=$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') \
		PATH=$(abspath $(MUTMUT)/bin):$$PATH && cd $(MUTATED) && set -f && \
		mutmut run --max-children 2 $(ARGS) >mutmut.log 2>&1 || { tail -n 40 mutmut.log; exit 1; }; \
		python $(abspath tests/mutation/report.py) $(abspath benchmarks/mutation.md) $(ARGS)

docs: $(DEV) $(DIAGRAMS) ## the site, on this machine, as you write
	$(BIN)/mkdocs serve --livereload $(ARGS)

site: $(DOCS) $(DIAGRAMS) ## the site as it is published, in build/site
	$(BIN)/mkdocs build --strict

generate: $(DEV) ## the pages that are made from the code
	$(BIN)/python sitetools/generate.py

pictures: $(DEV) ## the pictures in docs/, which the browser test takes of the sign-in page
	PICTURES=take $(BIN)/python -m pytest -q tests/test_signin.py -k pictures

clean: ## what the commands above made
	rm -rf $(VENV) $(BUILD) docs/assets/vendor

$(DEMO): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, for example: make PYTHON=python3.12")'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --require-hashes -r requirements.lock
	@touch $@

$(DEV): $(DEMO) requirements-dev.lock
	@$(BIN)/python -m pip install -qq --require-hashes -r requirements-dev.lock
	@touch $@

$(DOCS): requirements-docs.lock
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --require-hashes -r requirements-docs.lock
	@touch $@

$(DIAGRAMS): $(SITE)/installed
	@mkdir -p $(@D) && cp $(SITE)/node_modules/@mermaid-js/tiny/dist/mermaid.tiny.js $@

$(SITE)/installed: $(SITE_FILES)
	@rm -rf $(SITE) && mkdir -p $(SITE) && cp $(SITE_FILES) sitetools/.npmrc $(SITE)
	@cd $(SITE) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error

# All of it is in the lock, so nothing has to be resolved.
$(FOREIGN)/installed: $(FOREIGN_LOCK)
	@$(PYTHON) -m venv --clear $(FOREIGN)
	@$(FOREIGN)/bin/python -m pip install -qq --no-deps --require-hashes -r $(FOREIGN_LOCK)
	@touch $@

# Run by the Node.js that is there for MCP Inspector.
$(TYPESCRIPT)/installed: $(TYPESCRIPT_FILES) benchmarks/typescript/server.mjs $(INSPECTOR)/installed
	@rm -rf $(TYPESCRIPT) && mkdir -p $(TYPESCRIPT)
	@cp $(TYPESCRIPT_FILES) benchmarks/typescript/.npmrc benchmarks/typescript/server.mjs $(TYPESCRIPT)
	@cd $(TYPESCRIPT) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

# Beside the environment and not in it: there is no wheel for every platform and every Python.
$(GUIDED)/installed: $(GUIDED_LOCK)
	@rm -rf $(GUIDED)
	@$(BIN)/python -m pip install -qq --no-deps --only-binary :all: --require-hashes --target $(GUIDED) -r $(GUIDED_LOCK)
	@touch $@

$(MUTMUT)/installed: $(MUTMUT_LOCK)
	@$(PYTHON) -m venv --clear $(MUTMUT)
	@$(MUTMUT)/bin/python -m pip install -qq --no-deps --require-hashes -r $(MUTMUT_LOCK)
	@touch $@

# Of all install scripts only that of `node` runs: it fetches the Node.js for this platform.
$(INSPECTOR)/installed: $(NPM_FILES)
	@rm -rf $(INSPECTOR) && mkdir -p $(INSPECTOR) && cp $(NPM_FILES) $(INSPECTOR)
	@cd $(INSPECTOR) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error && npm rebuild node --loglevel=error
	@touch $@
