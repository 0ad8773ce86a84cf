# `make run` and `make test` need make, Python 3.11 or newer and a package index, nothing else: everything happens
# inside .venv, at the versions in constraints.txt.

PYTHON ?= python3
VENV := .venv
LOCK_VENV := $(VENV)/lock

# The environment comes first in PATH, as if it were activated. Only inside recipes: exported, it would also change
# which Python $(PYTHON) is.
IN_VENV := PATH="$(CURDIR)/$(VENV)/bin:$$PATH"
INSTALL := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

# Logs show a line when it is printed. Idle OpenMP threads sleep: spinning, two cost more than one on a busy machine.
export PYTHONUNBUFFERED := 1
export OMP_WAIT_POLICY := PASSIVE

.PHONY: help run era5-sample gallery ablations frames seeds newcomers published families benchmark install test test-slurm lint schema lock clean
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/run.stamp ## both default studies, to results/lambda-omega/report.html and results/epidemic/report.html
	$(IN_VENV) snakemake --cores all
	$(IN_VENV) snakemake --cores all --configfile config/epidemic.yaml

era5-sample: $(VENV)/all.stamp ## the study of real wind, to results/era5-sample/report.html
	$(IN_VENV) snakemake --cores all --configfile config/era5-sample.yaml

GALLERY := lotka-volterra glycolytic-oscillator gray-scott navier-stokes kolmogorov cylinder era5-sample

gallery: $(VENV)/all.stamp ## pictures of every system, simulated for it, to docs/gallery
	mkdir -p docs/gallery
	$(IN_VENV) snakemake gallery --cores all
	cp results/lambda-omega/report/environments.png docs/gallery/lambda-omega.png
	export $(IN_VENV); for study in $(GALLERY); do \
	  snakemake gallery --cores all --configfile config/$$study.yaml && \
	  cp results/$$study/report/environments.png docs/gallery/$$study.png || exit 1; done

ABLATIONS := $(filter-out common,$(basename $(notdir $(wildcard config/ablation/*.yaml))))

ablations: $(VENV)/run.stamp ## what the arm `paper` depends on, one change at a time, to docs/ablations.md
	export $(IN_VENV); for name in $(ABLATIONS); do \
	  snakemake evaluate --cores all \
	    --configfile config.yaml config/ablation/common.yaml config/ablation/$$name.yaml || exit 1; done
	$(IN_VENV) python docs/write_ablations.py

CASES := --configfile config.yaml config/observed/cases.yaml

frames: $(VENV)/run.stamp ## error against frames, noise, masks and horizon, to docs/how-many-frames.md
	$(IN_VENV) snakemake evaluate --cores all $(CASES)
	$(IN_VENV) python docs/write_cases.py

SEEDS := config/observed/seeds.yaml

seeds: $(VENV)/run.stamp ## three seeds of codes from frames, two systems of fields, to docs/across-environments.md
	export $(IN_VENV); for study in config.yaml config/gray-scott.yaml; do \
	  snakemake --cores all --configfile $$study && \
	  snakemake evaluate --cores all --configfile $$study $(SEEDS) || exit 1; done
	$(IN_VENV) python docs/write_seeds.py results/lambda-omega results/gray-scott

# Data as others bring them lie in results/example-data; `init` writes their studies beside them.
EXAMPLES := results/example-data
NEWCOMERS := tracer outbreak
PUBLISHED := glycolytic-oscillator gray-scott navier-stokes

newcomers: $(VENV)/run.stamp ## two sets of data as a newcomer brings them, through init, to docs/across-environments.md
	export $(IN_VENV); for set in $(NEWCOMERS); do \
	  python docs/example_data.py $$set $(EXAMPLES)/$$set && \
	  weightcast init --kind environments --data $(EXAMPLES)/$$set --table $(EXAMPLES)/$$set/environments.csv \
	    --name newcomer-$$set --force -o $(EXAMPLES)/$$set.yaml && \
	  snakemake --cores all --configfile $(EXAMPLES)/$$set.yaml && \
	  python docs/write_systems.py results/newcomer-$$set || exit 1; done

published: $(VENV)/run.stamp ## three adaptation tasks as they are published, through init, to docs/adaptation.md
	export $(IN_VENV); for system in $(PUBLISHED); do \
	  python docs/example_data.py $$system $(EXAMPLES)/$$system && rm -f $(EXAMPLES)/$$system-environments.csv && \
	  weightcast init --kind environments --data $(EXAMPLES)/$$system --name published-$$system --force \
	    -o $(EXAMPLES)/$$system.yaml && \
	  snakemake --cores all --configfile $(EXAMPLES)/$$system.yaml && \
	  python docs/write_systems.py results/published-$$system || exit 1; done

FAMILIES := ornstein-uhlenbeck birth-death epidemic toggle-switch cascade-1

families: $(VENV)/run.stamp ## evolving laws of five families and all ways to make them, to docs/environments-time.md
	export $(IN_VENV); for family in $(FAMILIES); do \
	  snakemake --cores all --configfile config/$$family-family.yaml config/families/generated.yaml && \
	  python docs/write_families.py results/$$family-family || exit 1; done

# All of it takes an hour or more; `make benchmark QUICK=--quick` ten minutes of two idle cores.
benchmark: $(VENV)/run.stamp ## speed side by side: results/benchmarks and docs/benchmarks.md
	$(IN_VENV) OMP_NUM_THREADS=1 python benchmarks/run.py $(QUICK) -o results/benchmarks
	$(IN_VENV) python docs/write_benchmarks.py results/benchmarks

install: $(VENV)/all.stamp ## .venv with everything: tests, lint, ERA5 sample, SLURM, Kubernetes

# Tests share the cores among themselves, one thread each, a file staying with one worker for the sake of its fixtures.
# Workflow tests begin, since they are long, and unit tests fill what time they leave.
test: $(VENV)/all.stamp ## all tests
	$(IN_VENV) OMP_NUM_THREADS=1 python -m pytest tests/workflow tests/unit \
	  --numprocesses logical --dist loadfile --no-loadscope-reorder

# A real SLURM, unpacked from Debian's packages into a temporary folder; skipped, with the reason, where it cannot be had.
test-slurm: $(VENV)/all.stamp ## a study on a SLURM that is brought up for it on this machine, in at most 10 minutes
	$(IN_VENV) OMP_NUM_THREADS=1 python -m pytest tests/slurm -rs

lint: $(VENV)/all.stamp ## style, workflow lint and types
	$(IN_VENV) ruff check .
	$(IN_VENV) ruff format --check .
	$(IN_VENV) snakefmt --check Snakefile rules
	$(IN_VENV) snakemake --lint
	$(IN_VENV) snakemake --lint --configfile config/epidemic.yaml
	$(IN_VENV) snakemake --lint --configfile config/epidemic-family.yaml
	$(IN_VENV) mypy

schema: $(VENV)/run.stamp ## what is generated from the configuration's types
	$(IN_VENV) weightcast schema > config/schema.json
	$(IN_VENV) python -m weightcast.cli.configuration_reference environments > docs/configuration.md
	$(IN_VENV) python -m weightcast.cli.configuration_reference time > docs/configuration-time.md
	$(IN_VENV) python -m weightcast.cli.configuration_reference environments-time > docs/configuration-families.md

# The old pin of torch holds the new one: another torch is chosen by hand. Local versions (+cpu) are dropped, so that
# the pin fits whichever build an index has.
lock: ## constraints.txt anew, from pyproject.toml and the newest releases that it admits
	$(PYTHON) -m venv --clear $(LOCK_VENV)
	grep '^torch==' constraints.txt > $(LOCK_VENV)/torch.txt
	$(LOCK_VENV)/bin/python -m pip install --quiet --constraint $(LOCK_VENV)/torch.txt --editable '.[all]'
	grep '^#' constraints.txt > $(LOCK_VENV)/constraints.txt
	$(LOCK_VENV)/bin/python -m pip freeze --all --exclude-editable --exclude pip | sed 's/+.*//' \
	  >> $(LOCK_VENV)/constraints.txt
	mv $(LOCK_VENV)/constraints.txt constraints.txt
	rm -r $(LOCK_VENV)

clean: ## remove .venv and caches; data/ and results/ stay
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment is brought up to date where it stands, when what is to be installed has changed.
$(VENV)/run.stamp: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null || { \
	  echo "weightcast: error: PYTHON: found $$($(PYTHON) --version 2>&1), expected Python 3.11 or newer, as in" \
	    "make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@echo "installing torch, snakemake and what they need into $(VENV): a minute or more, about 2 GB"
	$(INSTALL) --editable .
	@touch $@

$(VENV)/all.stamp: $(VENV)/run.stamp
	$(INSTALL) --editable '.[all]'
	@touch $@
