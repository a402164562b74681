# `make demo` and `make test` each work from a fresh clone. CI runs `make check`, `make browser` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
AXE := axe-core@4.14.1
AS_ROOT := $(if $(filter-out 0,$(shell id -u)),sudo)

.PHONY: demo test browser check format clean

demo: $(VENV)/.installed ## render manifests/demo.yaml with the embedded model
	$(BIN)/batchgen run demo

test: $(VENV)/.installed ## the whole test suite, on CPU, offline; the browser's tests where `make browser` was
	$(BIN)/python -m pytest

browser: build/$(AXE) ## what the browser's tests need: Chromium (Debian and Ubuntu), and axe-core from npm
	@for each in "$$BATCHGEN_CHROMIUM" chromium chromium-browser google-chrome; do command -v "$$each" && exit; done; \
		command -v apt-get || { echo "no Chromium here: install one, or say where it is: BATCHGEN_CHROMIUM"; exit 1; }; \
		$(AS_ROOT) apt-get update && $(AS_ROOT) apt-get install --yes chromium

build/$(AXE):
	command -v npm || { $(AS_ROOT) apt-get update && $(AS_ROOT) apt-get install --yes npm; }
	npm install --no-save --no-package-lock --no-audit --no-fund --prefix build/axe $(AXE)
	touch $@

check: $(VENV)/.installed ## format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed ## put code in order
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "batchgen needs Python 3.11 or newer with venv (on Debian and Ubuntu: apt install python3-venv)"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@# Without torchvision: the package index has it for CUDA only, and that does not load beside a torch for the CPU.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-deps spandrel
	touch $@

clean: ## remove what make made; never pictures
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
