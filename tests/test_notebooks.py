import subprocess
import sys

import nbformat
import pytest

from hagan_lite.batch import notebooks
from hagan_lite.system.paths import BUILD, ROOT

sys.path.insert(0, str(ROOT / "scripts"))
import notebooks as hygiene  # scripts/notebooks.py

ALL = sorted(
    p.relative_to(notebooks.NOTEBOOKS)
    for p in notebooks.NOTEBOOKS.glob("**/*.ipynb")
    if ".ipynb_" not in str(p)
)
NAMES = [str(p.with_suffix("")) for p in ALL]


@pytest.mark.parametrize("name", NAMES)
def test_the_notebook_runs(name):
    before = (notebooks.NOTEBOOKS / f"{name}.ipynb").read_bytes()
    output = notebooks.execute(name)
    assert output.is_relative_to(BUILD)
    assert (notebooks.NOTEBOOKS / f"{name}.ipynb").read_bytes() == before  # never in place
    assert all(c.execution_count for c in nbformat.read(output, 4).cells if c.cell_type == "code")


@pytest.mark.parametrize("name", NAMES)
def test_the_committed_notebook_is_clean(name):
    assert hygiene.problems(notebooks.NOTEBOOKS / f"{name}.ipynb") == []


@pytest.mark.parametrize(
    "name", [n for n in NAMES if n[:2] in ("00", "01", "02", "03", "04", "05", "06", "10", "14")]
)
def test_the_committed_outputs_are_what_a_fresh_run_prints(name):
    words = [
        "pytest",
        "-p",
        "no:xdist",
        "-o",
        "addopts=",
        "-p",
        "no:cacheprovider",
        "--nbval-lax",
        f"notebooks/{name}.ipynb",
    ]
    done = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]


def test_every_lesson_links_to_solutions_that_exist():
    for path in notebooks.NOTEBOOKS.glob("[0-9]*.ipynb"):
        assert (path.parent / "solutions" / path.name).is_file()


def notebook(*sources):
    cells = [nbformat.v4.new_code_cell(s) for s in sources]
    return nbformat.v4.new_notebook(
        cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    )


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(notebooks, "NOTEBOOKS", tmp_path)
    return tmp_path


def test_an_exception_stops_it_with_the_traceback_and_the_place(place):
    nbformat.write(notebook("1 / 0"), place / "bad.ipynb")
    with pytest.raises(notebooks.NotebookError, match=r"bad\.ipynb failed") as error:
        notebooks.execute("bad", place / "out.ipynb")
    assert "ZeroDivisionError" in str(error.value) and str(place / "out.ipynb") in str(error.value)


def test_an_exception_inside_a_widget_is_found(place):
    source = (
        "from ipywidgets import interact\n\n@interact(n=(0, 3))\ndef show(n=0):\n    print(1 / n)"
    )
    nbformat.write(notebook(source), place / "hidden.ipynb")
    with pytest.raises(notebooks.NotebookError, match="inside a widget"):
        notebooks.execute("hidden", place / "out.ipynb")


@pytest.mark.parametrize(
    ("source", "output", "problem"),
    [
        ("class Generator: pass", "x", "defines Generator"),
        ("print('a')", "took 3.2 s", "a timing"),
        ("print('a')", "see /home/me/x", "a local path"),
        ("\n".join(["a = 1"] * 41), "x", "more than 40 lines"),
    ],
)
def test_the_hygiene_check_finds(tmp_path, source, output, problem):
    bad = notebook(source)
    bad.cells[0].execution_count = 1
    bad.cells[0].outputs = [nbformat.v4.new_output("stream", name="stdout", text=output)]
    nbformat.write(bad, tmp_path / "bad.ipynb")
    found = hygiene.problems(tmp_path / "bad.ipynb")
    assert any(problem in sentence for sentence in found)
    assert any("lacks **Question.**" in sentence for sentence in found)


def test_curating_drops_widgets_stderr_and_times():
    raw = notebook("print(1)")
    raw.metadata["widgets"] = {"state": {}}
    raw.metadata["papermill"] = {"duration": 3.1}
    cell = raw.cells[0]
    cell.execution_count, cell.metadata = 7, {"papermill": {"duration": 1.0}, "tags": ["a"]}
    stream = nbformat.v4.new_output("stream", name="stderr", text="warning")
    widget = nbformat.v4.new_output(
        "display_data", data={"application/vnd.jupyter.widget-view+json": {}, "text/plain": "bar"}
    )
    pieces = [nbformat.v4.new_output("stream", name="stdout", text=text) for text in ("1\n", "2\n")]
    cell.outputs = [stream, widget, *pieces]
    curated = hygiene.curate(raw)
    assert set(curated.metadata) == {"kernelspec", "language_info"}
    assert [o.text for o in curated.cells[0].outputs] == [
        "1\n2\n"
    ]  # one output, though it came in pieces
    assert curated.cells[0].metadata == {"tags": ["a"]} and curated.cells[0].execution_count == 1
