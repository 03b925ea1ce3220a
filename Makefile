# Two commands are enough: `make run` (needs python3 >= 3.11) and `make test`.
#
# Nothing has to be installed by hand: Python packages go into .venv, with the versions of
# constraints.txt; the programs that the tests use come from apt when this runs as root on Debian, and
# are otherwise named in one line. What has been done is remembered in .make/.

SHELL := /bin/sh
.SHELLFLAGS := -euc
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

# A bare environment lacks the directories of nft, ip and ldconfig.
export PATH := $(PATH):/usr/local/bin:/usr/local/sbin:/usr/sbin:/sbin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
BIN := .venv/bin
PIP_INSTALL := $(BIN)/pip install --quiet --constraint constraints.txt --editable
TEST_PROGRAMS := chromium=chromium firefox-esr=firefox-esr redis-server=redis-server \
	turnutils_uclient=coturn openssl=openssl ip=iproute2 nft=nftables
NODE_PROGRAMS := node=nodejs npm=npm
# Debian 12's Node 18 has WebCrypto, but not yet as a global.
NODE_FLAGS = $(shell node -e 'if (parseInt(process.versions.node) < 20) console.log("--experimental-global-webcrypto")')

# Runs tests $(2) side by side by $(1). On a machine that is somebody else's as well, one of thousands
# that wait for other programs may come too late. What fails has one more attempt, by itself; it stays
# named in what was printed before, and should be looked into.
twice = code=0; $(BIN)/pytest $(1) $(2) || code=$$?; \
	if [ $$code -eq 1 ]; then code=0; echo "Once more, by itself, what has failed:"; \
		$(BIN)/pytest --last-failed --last-failed-no-failures none --maxfail 3 $(2) || code=$$?; fi; \
	[ $$code -eq 0 ] || failed=1

.PHONY: help run test check unit integration e2e bench soak pictures fmt clean

help: ## what can be made
	@sed -n 's/^\([a-z0-9]*\):.*## /  make \1\t/p' Makefile | expand -t 20

run: .make/run ## a server with a demo consultation on http://localhost:8080
	exec $(BIN)/konsil serve --demo $(ARGS)

test: check .make/test-programs ## everything: check, then unit, integration and browser tests
	@# Side by side what mostly waits; browsers need all cores, so two at a time.
	failed=0; $(call twice,-n 3 --dist loadfile,tests/unit tests/integration); \
		$(call twice,-n 2 --dist loadfile,tests/e2e); exit $$failed

check: .make/dev .make/node ## lint, types, import rules, pure JavaScript modules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	node_modules/.bin/tsc --project web/tsconfig.json --checkJs --noEmit
	node $(NODE_FLAGS) --test tests/web/*.test.mjs

unit: .make/dev ## tests without any socket
	$(BIN)/pytest tests/unit

integration: .make/dev .make/node .make/test-programs ## tests with real processes on loopback
	$(BIN)/pytest tests/integration

e2e: .make/dev .make/node .make/test-programs ## tests in real browsers
	$(BIN)/pytest tests/e2e

bench: .make/dev .make/node .make/test-programs ## side by side with other servers
	$(BIN)/python -m bench $(ARGS)

soak: .make/dev .make/node .make/test-programs ## what takes long, and a hundred times as many examples
	$(BIN)/pytest -m soak --timeout=1800 tests || failed=1; \
		$(BIN)/pytest tests/unit --hypothesis-profile=soak --timeout=3600 || failed=1; \
		KONSIL_SOAK=1 node $(NODE_FLAGS) --test tests/web/sha256.test.mjs || failed=1; \
		exit $${failed:-0}

pictures: .make/dev .make/test-programs ## the help page's pictures anew, by playing what they show
	KONSIL_PICTURES=web/img/help $(BIN)/pytest -m soak tests/e2e/test_help_pictures.py

fmt: .make/dev ## format and repair what ruff can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove what make has installed here
	rm -rf .make .venv node_modules build *.egg-info

.make:
	@mkdir -p .make

.make/venv: | .make
	@test -n "$(PYTHON)" || { echo "konsil needs Python 3.11 or later: install python3" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || .ci/system-packages =python3-venv
	$(PYTHON) -m venv .venv
	@touch $@

.make/run: .make/venv pyproject.toml constraints.txt
	$(PIP_INSTALL) '.[bundled-redis]'
	@touch $@

.make/dev: .make/venv pyproject.toml constraints.txt
	$(PIP_INSTALL) '.[bundled-redis,dev,loadtest]'
	@touch $@ .make/run

.make/node: package.json $(wildcard package-lock.json) | .make
	@.ci/system-packages $(NODE_PROGRAMS)
	@if [ -f package-lock.json ]; then npm ci --no-audit --no-fund; \
		else npm install --no-audit --no-fund --no-package-lock; fi
	@touch $@

.make/test-programs: .ci/system-packages | .make
	@.ci/system-packages $(TEST_PROGRAMS)
	@touch $@
