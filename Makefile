# One word each: `make run`, `make test`, `make check`; `make help` lists them. A fresh clone needs
# nothing before them but Python >= 3.11.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check
SIZE := "Installing into $(VENV), once: about 6 GB (PyTorch with CUDA) and five minutes."
LOCK := $(VENV)/bin/uv pip compile pyproject.toml --universal --python-version 3.11 --quiet \
	--no-annotate --custom-compile-command "make lock"

# Two at a time, a file in one process; each takes up to 4 GB, so there are not more of them by itself.
WORKERS ?= 2
TESTS := $(PY) -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: run test check fuzz soak bench hostile audit sbom format lock space clean help
.DEFAULT_GOAL := run

run: $(VENV)/.app  ## install if needed, then start the app on the embedded checkpoints
	$(PY) app.py

test: $(VENV)/.dev  ## install if needed, then run all tests (WORKERS=... for others than 2)
	$(TESTS)

check: $(VENV)/.dev  ## what CI runs: format, lint, types, tests with coverage
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m pyright
	$(TESTS) --cov --cov-report=term:skip-covered

fuzz: $(VENV)/.dev  ## read 5,000 mutated files, other ones each time (FILES=... for more)
	FUZZ_FILES=$(or $(FILES),5000) $(PY) -m pytest -s tests/test_fuzz.py

soak: $(VENV)/.dev  ## two visitors for half an hour: does the memory stay flat? (MINUTES=... for others)
	$(PY) -m tests.load --minutes $(or $(MINUTES),30)

bench: $(VENV)/.dev  ## measure whole, floor and plain pipeline, growth, memory: benchmarks/RESULTS.md
	$(PY) -m benchmarks $(PARTS)

hostile: $(VENV)/.dev  ## write docs/hostile.md: which hostile inputs are tried, and how each of them ends
	$(PY) -m tests.hostile_table

audit: $(VENV)/.venv  ## are the pinned versions named by published advisories? (asks the package index)
	$(PY) packaging/audit.py

sbom: $(VENV)/.app  ## list what is inside with versions, licenses and hashes (CycloneDX)
	$(PY) packaging/sbom.py

format: $(VENV)/.dev  ## let ruff mend and format the code
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

lock: $(VENV)/.dev  ## resolve pyproject.toml into the lists, one of them with hashes (newer versions: UPGRADE=--upgrade)
	$(LOCK) $(UPGRADE) -o requirements.txt
	$(LOCK) --generate-hashes -c requirements.txt -o packaging/requirements-hashed.txt
	$(LOCK) $(UPGRADE) --extra dev -c requirements.txt -o requirements-dev.txt

space: $(VENV)/.dev  ## write the README's front matter from the Spacefile, check that all agree
	$(PY) -m hub.space front-matter

help:  ## list these words
	@sed -nE 's/^([a-z]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 10

$(VENV)/.venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed (try: make run PYTHON=python3.12)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.app: requirements.txt | $(VENV)/.venv
	@echo $(SIZE)
	$(INSTALL) -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt requirements.txt | $(VENV)/.venv
	@echo $(SIZE)
	$(INSTALL) -r requirements-dev.txt
	@touch $@ $(VENV)/.app

clean:  ## delete what was installed and made
	rm -rf $(VENV) artifacts dist .coverage
