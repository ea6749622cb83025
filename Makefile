# make demo: a first run, shown. make test: every test that needs no root. make test-slurm: those on a real Slurm.
# make accept: the long runs. make bench: the speed claims.
# Needs Python >= 3.11 and nothing else: no MPI, no compiler, no root.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

PYTHON ?= python3
BIN := .venv/bin
# A CPU forced to an old BLAS kernel, or to many threads, is not what users have.
CLEAN := env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE

.PHONY: demo test test-slurm accept bench clean

demo: .venv/local
	@examples/demo.sh $(BIN)/hpcjobs

test: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

# Root, Debian: a real Slurm of three nodes on this machine, for as long as the tests take.
test-slurm: .venv/test
	@docker/slurm/cluster.sh install >/dev/null
	docker/slurm/cluster.sh up
	@trap 'docker/slurm/cluster.sh clean' EXIT; eval "$$(docker/slurm/cluster.sh env)"; \
	  HPCJOBS_TEST_SLURM=1 $(CLEAN) $(BIN)/python -m pytest tests/slurm

accept: .venv/test
	@mkdir -p accept/logs
	@for name in same_bits peak_memory kill_and_resume hostile_text; do \
	  echo "== $$name"; $(CLEAN) $(BIN)/python accept/$$name.py 2>&1 | tee accept/logs/$$name.log; done

bench: .venv/test
	$(CLEAN) $(BIN)/python benchmarks/kmeans.py
	$(CLEAN) $(BIN)/python benchmarks/slab.py

.venv/local: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[local]'
	@touch $@

.venv/test: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@ .venv/local

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "hpcjobs needs Python 3.11 or newer; name one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "Python's venv module is missing; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 2; }
	$(PYTHON) -m venv .venv

clean:
	rm -rf .venv demo dist
