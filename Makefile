# The two commands of the README are `make results` and `make test`; the others serve development.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: results report crate test test-full lint reference lock clean help

help:  ## This list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

results: $(VENV)/.workflow  ## Install, run the default study, write the report
	@snakemake
	@$(MAKE) --no-print-directory report
	@printf '\nDone. Open:\n  results/index.html                  the answers, with every figure and table\n'
	@printf '  results/report.html                 how each of them was made: code, settings, times\n'
	@printf '  results/figures/lambda_ablation.png accuracy against lambda\n'
	@ls -d results/figures/*.png results/tables/tables.tex results/metrics/fusion_performance_summary.csv | sed 's/^/  /'

report: $(VENV)/.workflow  ## Snakemake's report of the finished study: files, code, settings, times
	@if [ ! -e results/report.html ] || [ -n "$$(find results/figures results/tables results/metrics -newer results/report.html -print -quit)" ]; \
	then snakemake --report results/report.html --quiet; fi

crate: $(VENV)/.crate  ## The finished default study as an RO-Crate, dist/crate.zip
	@rm -f dist/crate.zip
	@certifuse crate results --output dist/crate.zip

test: $(VENV)/.dev  ## Lint, formatting, types and tests
	ruff check .
	ruff format --check .
	mypy
	snakefmt --check Snakefile rules workflow/Snakefile
	snakemake --lint
	pytest -m slurm
	pytest tests/workflow --numprocesses 2 --dist loadfile
	pytest -m 'not slurm and not full' --ignore tests/workflow --numprocesses 2 --dist loadfile

test-full: $(VENV)/.dev  ## The long forms of tests, such as the whole kill matrix
	pytest -m full

reference: $(VENV)/.dev  ## Write config/README.md and config/schema.json from the settings models
	python -c 'import pathlib; from certifuse.study.reference import write_reference; write_reference(pathlib.Path("config"))'

lock: $(VENV)/.dev  ## Bring requirements.lock and the pins of envs/ up to pyproject.toml; delete the lock for newer versions
	uv pip compile pyproject.toml --all-extras --python-version 3.11 --no-annotate --quiet \
	  --custom-compile-command 'make lock' --output-file requirements.lock
	sed -nE 's/^([a-z0-9-]+)==(.+)$$/s|- \1==.*|- \1==\2|/p' requirements.lock | sed -i -f - envs/*.yaml

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "expected Python >= 3.11, found $$($(PYTHON) --version): set PYTHON=python3.11 or newer"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.workflow: $(VENV)/bin/python requirements.lock pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable '.[workflow]'
	@touch $@

$(VENV)/.crate: $(VENV)/.workflow
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable '.[workflow,crate]'
	@touch $@

$(VENV)/.dev: $(VENV)/.workflow
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable '.[workflow,dev]'
	@touch $@

clean:  ## Remove the results of the default study
	rm -rf results
