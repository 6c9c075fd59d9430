# Two commands: `make run` shows the whole product at work, `make test` checks it. Repeated, they reinstall nothing.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: help run test lint model clean
help:
	@echo "make run   install, build the model, run on corpus/ into outputs/"
	@echo "make test  install what the tests need, then lint, types and tests"

$(VENV)/.run: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[ocr]"
	@touch $@

$(VENV)/.test: $(VENV)/.run
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[ocr,dev]"
	@touch $@

models/e5-small-zh/modules.json: | $(VENV)/.run
	$(BIN)/shidian models build

model: models/e5-small-zh/modules.json

run: $(VENV)/.run model
	$(BIN)/shidian run corpus/reports --notice "corpus/notices/渝府发〔2021〕19号.pdf" --out outputs --date 2024-01-31

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint model
	$(BIN)/pytest

clean:
	rm -rf $(VENV) outputs/cache outputs/*.sqlite
