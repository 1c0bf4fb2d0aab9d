# Each target makes .venv first if it is missing. Without make: pip install -e . (tests, book: -e ".[dev]"), then the hagan command.
PYTHON ?= python3
PRESET ?= quick
DATASET ?= mni152
BIN := .venv/bin
IP ?= 127.0.0.1

.PHONY: reproduce test test-fast lab explore book figures bench wheelhouse clean

reproduce: .venv/installed  ## the main job: train HAGAN (PRESET=paper: all of Table II), draw samples, Figure 7 and the table
	$(BIN)/hagan reproduce --preset $(PRESET) --dataset $(DATASET)

test: .venv/installed-dev  ## lint, every test, every notebook
	$(BIN)/hagan test

test-fast: .venv/installed-dev  ## lint, and the tests that train nothing and need no notebook and no browser
	$(BIN)/hagan test --fast

lab: .venv/installed  ## JupyterLab on the notebooks
	OMP_WAIT_POLICY=PASSIVE $(BIN)/jupyter lab notebooks  # the browser needs the cores too: threads that wait shall not spin

explore: .venv/installed-dev  ## the explorers as a page of their own; for a class: make explore IP=0.0.0.0
	OMP_WAIT_POLICY=PASSIVE JUPYTER_PATH="$(CURDIR)/book/jupyter" $(BIN)/voila notebooks/explorers.ipynb --template=local --Voila.ip=$(IP)

book: .venv/installed-dev  ## the executed notebooks and docs/ as a static site, explorers included, in build/book; no network needed
	$(BIN)/python scripts/book.py

figures: .venv/installed  ## figures/ and the tables of README.md and docs/ from the committed records, Table I counted
	$(BIN)/hagan table
	$(BIN)/python scripts/pages.py

bench: .venv/installed-dev  ## what a step costs here and what each measure brings, as one JSON; about half an hour
	@$(BIN)/python tests/bench

wheelhouse: .venv/installed  ## every wheel in one folder, for a class without network
	$(BIN)/python -m pip wheel -c constraints.txt -w build/wheelhouse ".[dev]" "setuptools>=77" wheel
	rm -rf build/wheelhouse/hagan_lite-*.whl build/lib build/bdist.*  # the class installs its own clone
	@echo "Carry build/wheelhouse and a clone to a machine of the same kind (system, Python $$($(BIN)/python -c 'import sys; print(*sys.version_info[:2], sep=".")')); there, without network:"
	@echo "  make lab WHEELHOUSE=build/wheelhouse"
	@echo "or without make:"
	@echo "  python -m venv .venv && .venv/bin/python -m pip install --no-index --find-links build/wheelhouse -c constraints.txt -e '.[dev]'"

clean:  ## everything that was made; data sets stay
	rm -rf build .venv

# The main job and the lessons need .venv/installed; tests, the book and the explorers' page need .venv/installed-dev.
# uv installs several times faster than pip, but does not read pip's settings: where pip has sources of its own, for a
# wheelhouse, and where uv fails, pip does the work.
.venv/installed .venv/installed-dev: WHAT = -c constraints.txt -e ".$(if $(findstring -dev,$@),[dev])"
.venv/installed .venv/installed-dev: PIP = $(BIN)/python -m pip
.venv/installed .venv/installed-dev: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
ifdef WHEELHOUSE
	$(PIP) install --no-index --find-links "$(WHEELHOUSE)" $(WHAT)
else
	{ ! $(PIP) config list | grep -E '\.((extra-)?index-url|no-index|find-links|constraint)=' >/dev/null && $(PIP) install -q -c constraints.txt uv \
	  && $(BIN)/uv pip install --python $(BIN)/python $(WHAT); } || $(PIP) install $(WHAT)
endif
	touch .venv/installed $@
