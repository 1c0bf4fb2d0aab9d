# Each target makes .venv first if it is missing. Without make: pip install -e ".[dev]", then the hagan command.
PYTHON ?= python3
PRESET ?= quick
DATASET ?= mni152
BIN := .venv/bin

.PHONY: reproduce test lab figures bench clean

reproduce: .venv/installed  ## the main job: train HAGAN, draw samples, Figure 7 and the table
	$(BIN)/hagan reproduce --preset $(PRESET) --dataset $(DATASET)

test: .venv/installed  ## lint, every test, every notebook
	$(BIN)/hagan test

lab: .venv/installed  ## JupyterLab on the notebooks
	OMP_WAIT_POLICY=PASSIVE $(BIN)/jupyter lab notebooks  # the browser needs the cores too: threads that wait shall not spin

figures: .venv/installed  ## figures/table2.* from the committed records
	$(BIN)/hagan table

bench: .venv/installed  ## what a step costs here and what each measure brings, as one JSON; a quarter of an hour on an idle machine
	@$(BIN)/python tests/bench

clean:  ## everything that was made; data sets stay
	rm -rf build .venv

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -c constraints.txt -e ".[dev]"
	touch $@
