"""Cells of data sets that are not here fill in where somebody has them: on volumes in the layouts of ACDC and BraTS."""

import os
import subprocess
import sys

import layouts
import nbformat
import pytest

from hagan_lite import runs
from hagan_lite.batch import notebooks
from hagan_lite.report import tables
from hagan_lite.system.paths import COMMITTED


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """A machine that has ACDC and BraTS2018, and ran a few steps of Tables II and III on them."""
    root = tmp_path_factory.mktemp("theirs")
    layouts.acdc(root / "data")
    layouts.brats(root / "data")
    env = os.environ | dict(HAGAN_DATA=str(root / "data"), HAGAN_BUILD=str(root / "build"))
    for table, data in (("table2", "acdc,brats2018"), ("table3", "acdc")):
        words = [
            "batch",
            table,
            "--preset",
            "smoke",
            "--models",
            "hagan",
            "--datasets",
            data,
            "--set",
            "steps=3",
        ]
        subprocess.run(
            [sys.executable, "-m", "hagan_lite.cli", *words],
            env=env,
            check=True,
            capture_output=True,
        )
    return root, env


def test_their_cells_fill_in_and_no_other(theirs):
    root, _ = theirs
    records = runs.load_records(root / "build" / "results")
    two, three = (draw(records).set_index("data") for draw in (tables.table_2, tables.table_3))
    assert two["paper's FID"].to_dict() == {"acdc": 60.792, "brats2018": 32.551}
    assert three["paper's FID"].to_dict() == {"acdc": 111.805}
    score = next(c for c in two if c.startswith("our "))
    assert (two[score] > 0).all() and (two["comparable"] == "no: too short").all()
    committed = {r["data"]["name"] for r in runs.load_records(COMMITTED)}
    assert "brats2018" not in committed


def test_the_lessons_show_them_beside_the_papers_numbers(theirs, monkeypatch, tmp_path):
    root, env = theirs
    for name in ("HAGAN_DATA", "HAGAN_BUILD"):
        monkeypatch.setenv(name, env[name])
    for lesson, data, fid in (
        ("11_table2", ["acdc", "brats2018"], 60.792),
        ("12_table3", ["acdc"], 111.805),
    ):
        same = dict(preset="smoke", seeds=[0], datasets=data, changes={"steps": 3}, here=True)
        executed = nbformat.read(notebooks.execute(lesson, tmp_path / f"{lesson}.ipynb", **same), 4)
        shown = [
            o["data"].get("text/markdown", "")
            for c in executed.cells
            for o in c.get("outputs", ())
            if "data" in o
        ]
        rows = [
            line.split(" | ")
            for text in shown
            for line in text.splitlines()
            if "acdc | hagan" in line
        ]
        assert any(f"{fid}" in row and float(row[4]) > 0 for row in rows), lesson
