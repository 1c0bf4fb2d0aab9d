"""Every test runs offline, in any order, and writes below a temporary folder; networks here compute on one thread."""

import os
import tempfile
from pathlib import Path

# Before hagan_lite and torch are imported, and inherited by notebooks' kernels and by every subprocess.
os.environ["HAGAN_BUILD"] = tempfile.mkdtemp(prefix="hagan-test-")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch

from hagan_lite import runs
from hagan_lite.config import Experiment
from hagan_lite.system.paths import COMMITTED, ROOT
from hagan_lite.train import train

SHARED = ROOT.parent / "shared" / "data"

SLOW = {
    "test_baselines",
    "test_batch",
    "test_bench",
    "test_book",
    "test_cli",
    "test_cuda",
    "test_gpu",
    "test_notebooks",
    "test_others_data",
    "test_train",
    "test_ui",
}
"""Files whose tests train, execute notebooks, compile, or open a browser; `hagan test --fast` leaves them out."""
APART = {"test_baselines", "test_cli", "test_cuda", "test_gpu", "test_train"}
"""Files whose tests take long and share nothing: each goes to the first free process."""
TOGETHER = {"test_claims": "ledger", "test_pages": "ledger", "test_results": "ledger"}
"""Files that draw tables from the same records: one process counts the networks' costs for all of them."""


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark slow tests, and group tests so that pytest-xdist shares expensive fixtures and balances the rest.

    Each file is a group, except those in APART; all tests of one notebook are a group, for it is executed once.
    """
    for item in items:
        file = item.path.stem
        if file in SLOW or "smoke_run" in item.fixturenames:
            item.add_marker("slow")
        name = item.callspec.params.get("name") if hasattr(item, "callspec") else None
        if file == "test_notebooks" and name:
            item.add_marker(pytest.mark.xdist_group(name))
        elif file not in APART:
            item.add_marker(pytest.mark.xdist_group(TOGETHER.get(file, file)))


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
    """Point HAGAN_DATA at the copy of a data set that was measured with: the one in which `file` has `size` bytes.

    It is looked for where HAGAN_DATA points already, then in SHARED; without it the test is skipped.
    """
    for root in (ROOT / os.environ.get("HAGAN_DATA", "data"), SHARED):
        if (root / file).is_file() and (root / file).stat().st_size == size:
            monkeypatch.setenv("HAGAN_DATA", str(root))
            return
    name = file.split("/")[0]
    pytest.skip(
        f"the copy of {name} that was measured with is not on this machine (data/README.md says which it is)"
    )


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
    _point_at_real(
        monkeypatch, "lgg/kaggle_3m/TCGA_HT_A61B_19991127/TCGA_HT_A61B_19991127_26.tif", 33_174
    )
