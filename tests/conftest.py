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
from hagan_lite.config import ROOT, Experiment
from hagan_lite.train import train

SHARED = ROOT.parent / "shared" / "data"


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="session")
def smoke_run() -> Path:
    """A finished HAGAN run at smoke on the embedded slices."""
    run = train(Experiment.make(preset="smoke"))
    assert runs.finished(run)
    return run


@pytest.fixture
def covid_ct(monkeypatch: pytest.MonkeyPatch) -> None:
    """Points HAGAN_DATA at the real COVID-CT images, or skips."""
    if not (SHARED / "covid-ct" / "CT_NonCOVID").is_dir():
        pytest.skip("the real COVID-CT images are not on this machine (data/README.md says where they come from)")
    monkeypatch.setenv("HAGAN_DATA", str(SHARED))
