# One word each: `make run`, `make test`, `make check`, `make space`. A fresh clone needs nothing before them
# but Python >= 3.11.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python

.PHONY: run test check format space clean
.DEFAULT_GOAL := run

run: $(VENV)/.app  ## install if needed, then start the app on the embedded checkpoints
	$(PY) app.py

test: $(VENV)/.dev  ## install if needed, then run all tests
	$(PY) -m pytest

check: $(VENV)/.dev  ## format, lint, types, tests
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m pyright
	$(PY) -m pytest

format: $(VENV)/.dev
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

space: $(VENV)/.dev  ## write the README front matter from the Spacefile and check that all agree
	$(PY) -m hub.space front-matter

$(VENV)/.venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed (try: make run PYTHON=python3.12)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.app: requirements.txt | $(VENV)/.venv
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt requirements.txt | $(VENV)/.venv
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@ $(VENV)/.app

clean:
	rm -rf $(VENV) artifacts
