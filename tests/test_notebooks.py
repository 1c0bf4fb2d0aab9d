"""Every notebook runs, is clean as committed, and prints what it printed when it was committed."""

import base64
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from functools import cache

import forked
import nbformat
import numpy as np
import pytest
from jupyter_client import launcher
from jupyter_client.manager import start_new_kernel
from jupyter_client.provisioning import local_provisioner
from PIL import Image

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

pytestmark = pytest.mark.usefixtures("forked_kernels")
needs_fork = pytest.mark.skipif(not forked.CAN_FORK, reason="kernels are not forked here")

CHECKED = "nbval-check-output"
"""Tag of a cell whose output no machine may change: nbval's own, which can be run by hand."""


FOR_THE_BOOK = os.environ.get("HAGAN_EXECUTED")
"""A folder for copies of the executed notebooks; .ci/run makes the book of them."""


@cache
def _once(name):
    """Execute a notebook once per process; return the executed notebook's path, or the error.

    conftest.py keeps all tests of one notebook in one process. Kernels have a build folder of their
    own, in which no other test leaves runs or records.
    """
    committed = notebooks.NOTEBOOKS / f"{name}.ipynb"
    before = committed.read_bytes()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("HAGAN_BUILD", str(BUILD / "lessons"))
            output = notebooks.execute(name)
    except notebooks.NotebookError as error:
        return error
    assert committed.read_bytes() == before  # never in place
    if FOR_THE_BOOK:
        copy = ROOT / FOR_THE_BOOK / f"{name}.ipynb"
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(output, copy.with_suffix(".unfinished"))
        os.replace(copy.with_suffix(".unfinished"), copy)
    return output


def executed(name):
    output = _once(name)
    if isinstance(output, Exception):
        raise output
    return output


def checked_cells(path):
    """Return the tagged code cells of a notebook; those that papermill added are left out."""
    cells = nbformat.read(path, as_version=4).cells
    return [c for c in cells if c.cell_type == "code" and CHECKED in c.metadata.get("tags", [])]


def shown(cell):
    """Return what nbval-lax compares: printed text, joined, and data other than pictures."""
    parts = {}
    for output in cell.outputs:
        texts = {output.name: output.text} if "text" in output else output.get("data", {})
        for kind, text in texts.items():
            if not kind.startswith("image/") and "widget" not in kind:
                parts[kind] = parts.get(kind, "") + str(text)
    return parts


def differences(path, other):
    """Return the sources of the checked cells that show something else in the other notebook."""
    pairs = zip(checked_cells(path), checked_cells(other), strict=True)
    return [cell.source for cell, again in pairs if shown(cell) != shown(again)]


@pytest.mark.parametrize("name", NAMES)
def test_the_notebook_runs(name):
    output = executed(name)
    assert output.is_relative_to(BUILD)
    assert all(c.execution_count for c in nbformat.read(output, 4).cells if c.cell_type == "code")


@pytest.mark.parametrize("name", NAMES)
def test_the_committed_notebook_is_clean(name):
    assert hygiene.problems(notebooks.NOTEBOOKS / f"{name}.ipynb") == []


COMPARED = [n for n in NAMES if CHECKED in (notebooks.NOTEBOOKS / f"{n}.ipynb").read_text()]
"""Notebooks with a cell whose output no machine may change."""


@pytest.mark.parametrize("name", COMPARED)
def test_the_committed_outputs_are_what_a_fresh_run_prints(name):
    committed = notebooks.NOTEBOOKS / f"{name}.ipynb"
    assert checked_cells(committed)
    assert differences(committed, executed(name)) == []


def test_a_checked_cell_that_prints_something_else_is_named_here_and_by_nbval(tmp_path):
    """The second cell printed 3 when committed; nbval executes it and agrees."""
    for tagged, wrong in ((0, []), (1, ["print(2)"])):
        made = notebook("print(1)", "print(2)")
        made.cells[tagged].metadata["tags"] = [CHECKED]
        for texts, file in (
            (("1\n", "3\n"), f"committed{tagged}"),
            (("1\n", "2\n"), f"fresh{tagged}"),
        ):
            for count, (cell, text) in enumerate(zip(made.cells, texts, strict=True), 1):
                cell.execution_count = count
                cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=text)]
            nbformat.write(made, tmp_path / f"{file}.ipynb")
        assert (
            differences(tmp_path / f"committed{tagged}.ipynb", tmp_path / f"fresh{tagged}.ipynb")
            == wrong
        )
    words = ["pytest", "-p", "no:xdist", "-p", "no:cacheprovider", "-rf", "--nbval-lax"]
    words += ["committed0.ipynb", "committed1.ipynb"]
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=tmp_path, capture_output=True, text=True
    )
    failed = re.findall(r"^FAILED (\w+)\.ipynb::(?:.*)Cell (\d)", done.stdout, re.M)
    assert failed == [("committed1", "1")], done.stdout[:6000]


def test_a_stored_picture_keeps_rare_colours():
    """A dozen pixels of a blue title beside slices in every grey, as in lesson 00."""
    pixels = np.repeat(np.arange(65536).reshape(256, 256, 1) % 256, 3, axis=2).astype(np.uint8)
    blue = [[1, 115, 178], [112, 176, 211], [189, 218, 235]]  # antialiased on white
    pixels[:4, :3] = blue
    drawn, png = Image.fromarray(pixels), io.BytesIO()
    drawn.save(png, "png")
    stored = hygiene._palette(base64.b64encode(png.getvalue()).decode())
    kept = np.asarray(Image.open(io.BytesIO(base64.b64decode(stored))).convert("RGB"))
    assert np.abs(kept.astype(int) - pixels).max() <= 20


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


def test_an_exception_inside_a_widget_is_an_error_too(place):
    source = (
        "from ipywidgets import interact\n\n@interact(n=(0, 3))\ndef show(n=0):\n    print(1 / n)"
    )
    nbformat.write(notebook(source), place / "hidden.ipynb")
    with pytest.raises(notebooks.NotebookError, match="inside a widget"):
        notebooks.execute("hidden", place / "out.ipynb")


KERNEL = """import json, os, random, sys
seen = dict(build=os.environ["HAGAN_BUILD"], modules=list(sys.modules))
import matplotlib, numpy, pandas, torch
seen["chance"] = [random.random(), numpy.random.rand(), torch.rand(1).item()]
seen["same"] = [os.getcwd(), sys.path, torch.get_num_threads()]
seen["same"] += [repr(pandas.DataFrame(numpy.ones((2, 30)))), str(matplotlib.rcParams)]
print(json.dumps(seen))"""


@needs_fork
def test_forked_kernels_see_what_one_alone_sees_and_draw_other_numbers(place, monkeypatch):
    nbformat.write(notebook(KERNEL), place / "kernel.ipynb")

    def seen(build):
        monkeypatch.setenv("HAGAN_BUILD", build)
        output = notebooks.execute("kernel", place / "out.ipynb")
        return json.loads(nbformat.read(output, 4).cells[0].outputs[0].text)

    forked = [seen("a"), seen("b")]
    monkeypatch.setattr(local_provisioner, "launch_kernel", launcher.launch_kernel)
    alone = seen("c")
    assert [kernel["build"] for kernel in (*forked, alone)] == ["a", "b", "c"]
    drawn = {number for kernel in forked for number in kernel["chance"]}
    assert len(drawn) == 6
    for kernel in forked:
        assert kernel["same"] == alone["same"]
        assert "torch" in set(kernel["modules"]) - set(alone["modules"])
        # They read paths or look for a running kernel as they are imported.
        early = {"hagan_lite", "matplotlib_inline.backend_inline", "ipywidgets", "tqdm.auto"}
        assert not early & set(kernel["modules"])


@needs_fork
def test_a_forked_kernel_can_be_killed():
    manager, client = start_new_kernel()
    try:
        process = manager.provisioner.process
        assert isinstance(process, forked.Process) and process.poll() is None
        process.kill()
        assert process.wait(timeout=60) == -signal.SIGKILL
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


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
    sentences = hygiene.problems(tmp_path / "bad.ipynb")
    assert any(problem in sentence for sentence in sentences)
    assert any("lacks **Question.**" in sentence for sentence in sentences)


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


def test_the_outcome_of_a_prediction_is_folded_in_jupyterlab_and_in_the_book(tmp_path):
    made = notebook("outcome('a', 'b')")
    made.cells[0].metadata["tags"] = ["hide-output"]
    folded, open_ = tmp_path / "explore_folded.ipynb", tmp_path / "explore_open.ipynb"
    nbformat.write(hygiene.curate(made), folded)
    nbformat.write(notebook("outcome('a', 'b')"), open_)
    cell = nbformat.read(folded, 4).cells[0]
    assert cell.metadata["jupyter"]["outputs_hidden"] and cell.metadata["tags"] == ["hide-output"]
    assert not any("folded" in sentence for sentence in hygiene.problems(folded))
    assert any("folded" in sentence for sentence in hygiene.problems(open_))
