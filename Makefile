PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The folders laid out as the package that they install as, for the type checker.
TYPED := build/types/tonezoo
# One process per core; the tests of a file stay in one, which trains their models once.
WORKERS := --numprocesses auto --dist loadfile --no-loadscope-reorder

# What a machine with a GPU and JAX, but without a network, lacks to train; its Python.
GPU_PACKAGES := keras optree namex absl-py packaging soundfile cffi pycparser soxr typer \
	rich markdown-it-py mdurl pygments shellingham typing-extensions annotated-doc pydantic \
	pydantic-core annotated-types typing-inspection
GPU_PYTHON ?= 3.12
GPU_PLATFORMS := $(patsubst %,--platform manylinux%_x86_64,_2_28 _2_27 _2_17 2014 2010 1)

# A container engine, and the server that `make test-serving` runs in it.
CONTAINER ?= docker
SERVING_IMAGE ?= tensorflow/serving

.PHONY: demo test test-fast test-serving lint docs notebooks gpu-files clean

$(STAMP): setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[dev,lint,docs]"
	$(BIN)/python tests/fill_numba_cache.py
	touch $@

demo: $(STAMP)
	$(BIN)/python -m tonezoo.recipes.demo demo $(if $(INPUT),--input="$$INPUT")

test: $(STAMP)
	$(BIN)/python -m pytest $(WORKERS)

test-fast: $(STAMP)
	$(BIN)/python -m pytest $(WORKERS) -m "not slow"

# The client's tests against the real TensorFlow Serving, which needs a container engine.
test-serving: $(STAMP)
	rm -rf build/served
	$(BIN)/python tests/untrained_export.py build/served
	$(CONTAINER) run --rm --detach --name tonezoo-serving --volume "$(CURDIR)/build/served:/models" \
		--publish 127.0.0.1:8500:8500 --publish 127.0.0.1:8501:8501 \
		$(SERVING_IMAGE) --model_config_file=/models/models.config
	trap '$(CONTAINER) stop tonezoo-serving' EXIT; \
	TONEZOO_TEST_SERVER=127.0.0.1:8500 TONEZOO_TEST_REST_SERVER=http://127.0.0.1:8501 \
	TONEZOO_TEST_MODELS=build/served $(BIN)/python -m pytest tests/zoo/serving/test_client.py

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	rm -rf $(TYPED)
	mkdir -p $(TYPED)
	ln -s $(CURDIR)/zoo/* $(CURDIR)/layers $(CURDIR)/recipes $(CURDIR)/analysis $(TYPED)
	$(BIN)/mypy $(TYPED) benchmarks

# The site: its pages are laid out first, with links that hold there. mkdocs checks them all.
docs: $(STAMP)
	$(BIN)/python docs/site/lay_out.py build/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --config-file build/docs/mkdocs.yml \
		--site-dir $(CURDIR)/site

# Beside the scripts that they are made of; git ignores them.
notebooks: $(STAMP)
	$(BIN)/jupytext --to ipynb docs/notebooks/*.py

gpu-files: $(STAMP)
	rm -rf .gpu
	$(BIN)/python -m pip download --quiet --dest .gpu/wheels --no-deps --only-binary=:all: \
		--python-version $(GPU_PYTHON) $(GPU_PLATFORMS) $(GPU_PACKAGES)
	$(if $(DATA),$(BIN)/python benchmarks/gpu/pack_audio.py "$(DATA)" .gpu/audio)

clean:
	rm -rf $(VENV) build dist demo site *.egg-info
