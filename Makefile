PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The folders laid out as the package that they install as, for the type checker.
TYPED := build/types/tonezoo
# One process per core; the tests of a file stay in one, which trains their models once.
WORKERS := --numprocesses auto --dist loadfile

.PHONY: demo test test-fast lint clean

$(STAMP): setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[dev,lint]"
	touch $@

demo: $(STAMP)
	$(BIN)/python -m tonezoo.recipes.demo demo $(if $(INPUT),--input="$$INPUT")

test: $(STAMP)
	$(BIN)/python -m pytest $(WORKERS)

test-fast: $(STAMP)
	$(BIN)/python -m pytest $(WORKERS) -m "not slow"

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	rm -rf $(TYPED)
	mkdir -p $(TYPED)
	ln -s $(CURDIR)/zoo/* $(CURDIR)/layers $(CURDIR)/recipes $(CURDIR)/analysis $(TYPED)
	$(BIN)/mypy $(TYPED) benchmarks

clean:
	rm -rf $(VENV) build dist demo *.egg-info
