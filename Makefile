# Two commands matter: `make reproduce` and `make test`. `make` alone lists them all.
.DEFAULT_GOAL := help
.PHONY: help reproduce test test-versions book pdf run record lint lock bench clean browser stage
SHELL := /bin/bash

BIN := .venv/bin
READY := .venv/ready
BOOK := _config.yml _toc.yml index.md scorecard.md references.md references.bib guide
STAGE := _build/source
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
JUPYTER_BOOK := $(BIN)/jupyter-book build -W -n --keep-going -q

# Complete datasets are looked for here before the network; see `guide/how_to_run.md`.
DEEPPHENOMENA_MIRROR ?= $(abspath $(wildcard ../shared/data))
ifneq ($(DEEPPHENOMENA_MIRROR),)
export DEEPPHENOMENA_MIRROR
endif

# `make test ALL=1` re-runs every chapter and its mutations, changed or not.
export ALL

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

reproduce: $(READY) stage ## re-run every chapter at quick scale, build the book from those runs, print the scorecard
	@$(BIN)/deepphenomena reproduce --stage $(STAGE)/chapters
	@$(JUPYTER_BOOK) $(STAGE) > /dev/null
	@$(BIN)/deepphenomena scorecard --runs $(STAGE)/chapters
	@echo "Open file://$(CURDIR)/$(STAGE)/_build/html/index.html"

test: $(READY) browser lint ## everything that CI runs: lint, library, changed chapters (ALL=1: every one), the book in a browser
	$(BIN)/pytest -q -n 2 --dist loadgroup --max-worker-restart=0 --durations=20 --hypothesis-profile=ci --doctest-modules lib tests # the same examples at every run; plain pytest tries new ones
	$(BIN)/python tests/rerun.py $(if $(ALL),--all) # chapters whose fingerprint changed, against their stored outputs

test-versions: $(READY) ## the library's tests and every smoke run at the lowest and the newest allowed versions (slow)
	$(BIN)/python tests/versions.py

book: $(READY) ## build the book from the stored outputs; nothing is run
	@$(JUPYTER_BOOK) . > /dev/null
	@echo "Open file://$(CURDIR)/_build/html/index.html"

pdf: $(READY) browser ## the whole book as one PDF, from the stored outputs
	@$(JUPYTER_BOOK) . --builder singlehtml > /dev/null
	@$(BIN)/python tests/book/pdf.py _build/singlehtml _build/deep-phenomena.pdf
	@echo "Open file://$(CURDIR)/_build/deep-phenomena.pdf"

run: $(READY) ## run one chapter: make run CHAPTER=<slug> [PRESET=full]
	@$(BIN)/deepphenomena run $(or $(CHAPTER),$(error give CHAPTER=<slug>)) $(if $(PRESET),--preset $(PRESET))

record: $(READY) ## run one chapter and keep its record in data/results: make record CHAPTER=<slug> [PRESET=full]
	@$(BIN)/deepphenomena record $(or $(CHAPTER),$(error give CHAPTER=<slug>)) $(if $(PRESET),--preset $(PRESET))

lint: $(READY) ## check style and form of all Python, notebooks included
	$(BIN)/ruff check
	$(BIN)/ruff format --check

bench: $(READY) ## time the library against PyTorch and plain JAX (some 10 minutes), write data/results/benchmarks.json
	$(BIN)/python tests/benchmarks --record

lock: $(READY) ## choose the newest allowed version of every dependency and write requirements.lock
	printf 'editables\nhatchling\nuv\n' | $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.12 \
	    --generate-hashes --no-annotate --no-emit-index-url --custom-compile-command 'make lock' \
	    --extra book --extra sweep --extra test -o requirements.lock pyproject.toml -

clean: ## remove what was built and every cache, but not the environment (for that: rm -r .venv)
	rm -rf _build dist .pytest_cache .ruff_cache .hypothesis

# The environment: made once, and again only when the lock or the package's metadata change.
$(READY): requirements.lock pyproject.toml
	@$(FIND_PYTHON); echo "Making .venv with $$python (once)"; "$$python" -m venv --clear .venv
	@$(PIP) --require-hashes -r <(sed -n '/^uv==/,/[^\\]$$/p' requirements.lock) \
	    && $(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock 2> /dev/null \
	    || { echo "uv could not; pip goes on (slower)"; $(PIP) --require-hashes -r requirements.lock; }
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

# uv and pyenv both honour .python-version; then come the system's own.
define FIND_PYTHON
for python in "$$(uv python find --system 2>/dev/null)" python3 python3.12 python3.13 python3.14 \
	    "$$(pyenv prefix 2>/dev/null)/bin/python" none; do \
	    "$$python" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null && break; done; \
	if [ "$$python" = none ]; then echo "No Python 3.12 or newer with its venv module was found: install one by" \
	    "'pyenv install 3.12', 'uv python install 3.12' or 'apt install python3.12-venv', then say make again" >&2; exit 1; fi
endef

browser: $(READY)
	@$(BIN)/python tests/book/chromium.py

# The book's sources beside which `reproduce` puts the executed notebooks.
stage:
	@mkdir -p $(STAGE) && cp -Rp $(BOOK) $(STAGE)
