"""Every test runs offline, in any order, and writes below a temporary folder, on one thread."""

import os
import tempfile
from pathlib import Path

# Before hagan_lite and torch are imported; notebooks' kernels and every subprocess inherit it.
os.environ["HAGAN_BUILD"] = tempfile.mkdtemp(prefix="hagan-test-")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch

from hagan_lite import runs
from hagan_lite.config import Experiment
from hagan_lite.system.paths import COMMITTED, ROOT
from hagan_lite.system.runtime import keep_heap
from hagan_lite.train import train

keep_heap()  # as train() does: tests that make steps of their own are quicker

SHARED = ROOT.parent / "shared" / "data"

SLOW = {
    "test_baselines",
    "test_batch",
    "test_bench",
    "test_book",
    "test_cli",
    "test_cuda",
    "test_notebooks",
    "test_others_data",
    "test_train",
    "test_ui",
}
"""Files whose tests train, execute notebooks, compile, or open a browser: not for test-fast."""
GROUPS = {
    "test_claims": "ledger",
    "test_complexity": "ledger",
    "test_pages": "ledger",
    "test_results": "ledger",
}
"""Files that count the networks' costs: one process counts them for all of these files."""
APART = {"test_baselines", "test_cli", "test_cuda", "test_train"}
"""Files whose tests take long and share nothing: each goes to the first free process."""
LESSONS = {"07": "a run", "08": "a run", "09": "a run", "14": "a run"}
"""Lessons that train HAGAN at smoke and measure it: one process does that for all of them."""
FIRST = ("test_batch", "a run", "test_bench", "test_ui", "ledger", "smoke_run", "test_datasets")
"""Groups that take longest, begun first, so that both processes end at the same time."""


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark slow tests, group those that share something, and put the longest groups first.

    pytest-xdist runs a group in one process, in the order of collection: --no-loadscope-reorder.
    """
    for item in items:
        if item.path.stem in SLOW or "smoke_run" in item.fixturenames:
            item.add_marker("slow")
        if _group(item):
            item.add_marker(pytest.mark.xdist_group(_group(item)))

    def place(item: pytest.Item) -> int:
        group = _group(item)
        if group in FIRST:
            return FIRST.index(group)
        return len(FIRST) + (item.path.stem not in SLOW)

    items.sort(key=place)


def _group(item: pytest.Item) -> str | None:
    """Return the name of the group of tests that run in one process, None for a test alone."""
    file = item.path.stem
    if "smoke_run" in item.fixturenames:
        return "smoke_run"
    if file == "test_notebooks":
        name = item.callspec.params.get("name", file) if hasattr(item, "callspec") else file
        number = name.removeprefix("solutions/")[:2]
        return LESSONS.get(number, name)
    return None if file in APART else GROUPS.get(file, file)


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="session")
def records() -> list[dict]:
    """The committed records, read once; a test that changes one copies it first."""
    return runs.load_records(COMMITTED)


@pytest.fixture(scope="session")
def smoke_run() -> Path:
    """A finished HAGAN run at smoke on the embedded slices."""
    run = train(Experiment.make(preset="smoke"))
    assert runs.finished(run)
    return run


def _point_at_real(monkeypatch: pytest.MonkeyPatch, file: str, size: int) -> None:
    """Point HAGAN_DATA at the copy of a data set that was measured with.

    It is the one in which `file` has `size` bytes, where HAGAN_DATA points already or in SHARED;
    without it the test is skipped.
    """
    for root in (ROOT / os.environ.get("HAGAN_DATA", "data"), SHARED):
        if (root / file).is_file() and (root / file).stat().st_size == size:
            monkeypatch.setenv("HAGAN_DATA", str(root))
            return
    name = file.split("/")[0]
    pytest.skip(f"no copy of {name} here that was measured with; data/README.md says which it is")


@pytest.fixture
def covid_ct(monkeypatch: pytest.MonkeyPatch) -> None:
    """Point HAGAN_DATA at the real COVID-CT images, or skip."""
    _point_at_real(monkeypatch, "covid-ct/CT_NonCOVID/997.png", 82_863)


@pytest.fixture
def acdc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Point HAGAN_DATA at the real ACDC, or skip."""
    _point_at_real(monkeypatch, "acdc/training/patient100/patient100_frame01.nii.gz", 418_633)


@pytest.fixture
def lgg(monkeypatch: pytest.MonkeyPatch) -> None:
    """Point HAGAN_DATA at the real LGG MRI Segmentation, or skip."""
    file = "lgg/kaggle_3m/TCGA_HT_A61B_19991127/TCGA_HT_A61B_19991127_26.tif"
    _point_at_real(monkeypatch, file, 33_174)
