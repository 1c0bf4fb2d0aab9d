"""Cells of data sets that are not here fill in where somebody has them, in their layouts."""

import layouts
import nbformat
import pytest
from helpers import SCORE

from hagan_lite import runs
from hagan_lite.batch import notebooks
from hagan_lite.report import experiments, tables
from hagan_lite.system.paths import COMMITTED
from hagan_lite.train import train


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """Return the folder of a machine that has ACDC and BraTS2018, data/ and build/.

    It ran three steps of HAGAN for Tables II and III; the scores are nobody's.
    """
    root = tmp_path_factory.mktemp("theirs")
    layouts.acdc(root / "data")
    layouts.brats(root / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HAGAN_DATA", str(root / "data"))
        for table, data in (("table2", ["acdc", "brats2018"]), ("table3", ["acdc"])):
            for e in experiments.experiments(table, "smoke", [0], ["hagan"], data, dict(steps=3)):
                run = train(e, root / "build" / "runs" / f"{table}-{e.dataset}")
                record = runs.make_record(run, SCORE)
                runs.save_record(record, run.name, root / "build" / "results")
    return root


def test_their_cells_fill_in_and_no_other(theirs):
    records = runs.load_records(theirs / "build" / "results")
    two, three = (draw(records).set_index("data") for draw in (tables.table_2, tables.table_3))
    assert two["paper's FID"].to_dict() == {"acdc": 60.792, "brats2018": 32.551}
    assert three["paper's FID"].to_dict() == {"acdc": 111.805}
    (score,) = (c for c in two if c.startswith("our "))
    assert two[score].tolist() == [200.0, 200.0] and three[score].tolist() == [200.0]
    assert (two["comparable"] == "no: too short").all()
    committed = {r["data"]["name"] for r in runs.load_records(COMMITTED)}
    assert "brats2018" not in committed


@pytest.mark.usefixtures("forked_kernels")
def test_the_lesson_shows_them_beside_the_papers_numbers(theirs, monkeypatch, tmp_path):
    monkeypatch.setenv("HAGAN_DATA", str(theirs / "data"))
    monkeypatch.setenv("HAGAN_BUILD", str(theirs / "build"))
    asked = dict(preset="smoke", seeds=[0], changes={"steps": 3}, here=True)
    made = notebooks.execute(
        "13_table2", tmp_path / "13.ipynb", datasets=["acdc", "brats2018"], **asked
    )
    rows = []
    for cell in nbformat.read(made, 4).cells:
        for output in cell.get("outputs", ()):
            text = output.get("data", {}).get("text/markdown", "")
            rows += [line.split(" | ") for line in text.splitlines() if "| hagan |" in line]
    shown = {
        row[0].strip("| "): (row[2], float(row[4]))
        for row in rows
        if "60.792" in row or "32.551" in row
    }
    assert shown == {"acdc": ("60.792", 200.0), "brats2018": ("32.551", 200.0)}
