# What a person types. `make lab` and `make test` install what they need into .venv; nothing else is touched.
#
#   make lab     PORT=9000 listens there, BROWSER=0 opens no window, PYTHON=python3.12 chooses the interpreter
#   make test    WORKERS=4 runs more tests at once, CHROMIUM=/path names the browser for the browser tests

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/sh

# The first interpreter that is new enough and can make environments.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
WORKERS ?= 2
export PORT BROWSER CHROMIUM

VENV := .venv
PY := $(VENV)/bin/python
# The environment is as good as what was written down when it was installed, and where: it does not survive a move.
HASH := $(shell { cat pyproject.toml constraints.txt; pwd; } | cksum | cut -d ' ' -f 1)
COURSE := $(VENV)/course-$(HASH)
TESTED := $(VENV)/tests-$(HASH)
# A person sees the downloads move; a log stays short.
PIP := quiet=--quiet; [ -t 1 ] && quiet=; $(PY) -m pip install $$quiet --disable-pip-version-check

help:
	@echo "make lab         open the course in JupyterLab (the first time: installs it and renders the faces)"
	@echo "make test        everything that is checked automatically: style, unit tests, notebooks, browser"
	@echo "make test-all    the same, and the solved notebooks too"
	@echo "make notebooks   rebuild the notebooks whose source or code changed"
	@echo "make doctor      what is installed, what is missing, which profile fits"
	@echo "make format      format the code"
	@echo "make clean       remove .venv (rendered faces stay in the cache)"

lab: $(COURSE)
	@$(PY) -m gazecourse lab

doctor: $(COURSE)
	@$(PY) -m gazecourse doctor

# Stored outputs are those of the quick profile.
notebooks test test-all: export GAZECOURSE_PROFILE = quick

notebooks: $(COURSE)
	@$(PY) -m gazecourse data
	@$(PY) -m gazecourse notebooks

# Each worker has its share of the cores: kernels that all take every core wait for each other, many times longer.
test test-all: export OMP_NUM_THREADS ?= $(shell c=$$(( $$(getconf _NPROCESSORS_ONLN) / $(WORKERS) )); echo $$(( c > 0 ? c : 1 )))
test: NOTEBOOKS = $$($(PY) -m gazecourse notebooks --nbval)
test-all: NOTEBOOKS = $$($(PY) -m gazecourse notebooks --nbval --all)
test test-all: $(TESTED) chromium
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m gazecourse data
	$(PY) -m pytest -n $(WORKERS) --dist loadfile --nbval --nbval-current-env --nbval-cell-timeout 600 \
		--nbval-sanitize-with tests/nbval_sanitize.cfg $(NOTEBOOKS) tests

# Browser tests drive a Chromium that is already here; a bare Debian (as root) gets Debian's; else they are skipped.
chromium: $(TESTED)
	@$(PY) -c 'from gazecourse.doctor import find_chromium; raise SystemExit(find_chromium() is None)' \
	|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo "Installing Chromium for the browser tests ..." \
		&& export DEBIAN_FRONTEND=noninteractive && apt-get -qq update \
		&& apt-get -qq -y install --no-install-recommends chromium >/dev/null; } \
	|| echo "No Chromium here: the browser tests will be skipped. Install chromium, or name one with CHROMIUM=/path."

format: $(TESTED)
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

clean:
	rm -rf $(VENV)

$(PY):
	@test -n "$(PYTHON)" || { echo "The course needs Python 3.11 or newer with venv (Debian: apt install python3-venv)."\
		"If it has another name here: make lab PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo "$(PYTHON) is not Python 3.11 or newer with venv,"\
		"which the course needs; choose another with PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV)

$(COURSE): | $(PY)
	@echo "Installing the course into $(VENV): a few minutes, once ..."
	@$(PIP) --editable . --constraint constraints.txt
	@rm -f $(VENV)/course-* $(VENV)/tests-*
	@touch $@

$(TESTED): | $(COURSE)
	@echo "Installing what the tests need ..."
	@$(PIP) --editable '.[test]' --constraint constraints.txt
	@touch $@

.PHONY: help lab doctor notebooks test test-all chromium format clean
