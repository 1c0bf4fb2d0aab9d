"""Every test runs offline, in any order, and writes below a temporary folder, on one thread.

Torch is imported inside fixtures: the process that only hands out tests does not wait for it.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Before hagan_lite and torch are imported; notebooks' kernels and every subprocess inherit it.
os.environ["HAGAN_BUILD"] = tempfile.mkdtemp(prefix="hagan-test-")
os.environ.setdefault("HAGAN_TEST_CACHE", os.environ["HAGAN_BUILD"] + "/cache")
os.environ.setdefault("HAGAN_TEST_SERVERS", os.environ["HAGAN_BUILD"] + "/servers")
os.environ.setdefault("HAGAN_TEST_OWNER", str(os.getpid()))  # when it ends, servers end
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

try:
    from xdist.scheduler import LoadScopeScheduling
except ImportError:  # where scripts/gpu.sh runs tests/test_cuda.py, in one process
    LoadScopeScheduling = object

from hagan_lite.system.paths import COMMITTED, ROOT

if TYPE_CHECKING:
    import torch

OWN_BUILD, CACHE = Path(os.environ["HAGAN_BUILD"]), Path(os.environ["HAGAN_TEST_CACHE"])
LESSONS_BUILD = OWN_BUILD / "lessons"
"""Where notebooks' kernels write; no other test leaves runs or records there."""

# Slices and features are found by their content: what one process has computed, all can read.
for build in (OWN_BUILD, LESSONS_BUILD):
    build.mkdir(exist_ok=True)
    CACHE.mkdir(exist_ok=True)
    if not (build / "cache").exists():
        (build / "cache").symlink_to(CACHE, target_is_directory=True)

SHARED = ROOT.parent / "shared" / "data"

SLOW = {
    "test_baselines",
    "test_batch",
    "test_bench",
    "test_book",
    "test_cli",
    "test_cuda",
    "test_explorers_browser",
    "test_gpu",
    "test_notebooks",
    "test_others_data",
    "test_train",
    "test_ui",
}
"""Files whose tests train, execute notebooks, compile, or open a browser: not for test-fast."""
RECORDS = "records"
GROUPS = dict.fromkeys(
    ("test_cells", "test_claims", "test_complexity", "test_explorers", "test_figure7")
    + ("test_figures", "test_others_data", "test_pages", "test_results", "test_runs")
    + ("test_statements",),
    RECORDS,
)
"""Files that need a finished run, or count what the networks cost: one process does it for all."""
OF_A_RUN = {
    "test_sample_writes_one_png_per_image",
    "test_runs_are_compared_in_one_picture",
    "test_runs_of_different_sizes_are_not_compared",
    "test_the_log_holds_gates_entropy_and_the_shifts_quantiles",
    "test_snapshots_hold_what_figure_7_needs",
}
"""Tests of other files that need the finished run."""
APART = {"test_baselines", "test_cli", "test_cuda", "test_gpu", "test_train"}
"""Files whose tests take long and share nothing: each goes to the first free process."""
LESSONS = dict.fromkeys(("09", "10", "11", "16"), "a run")
"""Lessons that train HAGAN at smoke and measure it: one process does that for all of them."""
FIRST = ("test_batch", RECORDS, "a run", "test_bench", "test_ui", "test_datasets")
"""Groups that take longest, begun first, so that all processes end at the same time."""


class Scheduler(LoadScopeScheduling):
    """Let pytest-xdist run the tests of a group in one process, in the order of collection.

    Its own --dist loadgroup does nothing with pytest 9.2, which forgets the group's mark.
    """

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return one process more than cores: tests that wait for kernels or a browser leave gaps.

    More than six would wait for the longest group, and each imports torch and needs up to 3 GB.
    """
    import psutil

    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, min(cores + 1, 6, int(psutil.virtual_memory().available / 3e9)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduler:
    return Scheduler(config, log)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Let the process that reports print each failure at once: a run may end before its summary."""
    terminal = config.pluginmanager.get_plugin("terminalreporter")  # other processes have none
    if terminal:
        config.pluginmanager.register(_AtOnce(terminal))


class _AtOnce:
    def __init__(self, terminal: pytest.TerminalReporter) -> None:
        self.terminal = terminal

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.terminal.write_line(f"\n{report.nodeid} ({report.when})\n{report.longreprtext}")


def pytest_unconfigure() -> None:
    """Remove this process's build folder. The process that began first ends last."""
    shutil.rmtree(OWN_BUILD, ignore_errors=True)


def group_of(nodeid: str) -> str:
    """Return the group of a test; one that shares nothing is its own."""
    path, _, test = nodeid.partition("::")
    name, _, parameters = test.partition("[")
    file = Path(path).stem
    lesson = re.match(r"(?:solutions/)?(\d\d)_\w+", parameters)
    if file == "test_notebooks" and lesson:
        return LESSONS.get(lesson[1], lesson[0])
    if name in OF_A_RUN:
        return RECORDS
    return nodeid if file in APART else GROUPS.get(file, file)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark slow tests, and put the longest groups first."""
    for item in items:
        needs_run = "smoke_run" in item.fixturenames
        if item.path.stem in SLOW or needs_run:
            item.add_marker("slow")
        if needs_run and group_of(item.nodeid) != RECORDS:
            raise pytest.UsageError(f"{item.nodeid} needs smoke_run: name it in {OF_A_RUN=}")

    def place(item: pytest.Item) -> int:
        group = group_of(item.nodeid)
        if group in FIRST:
            return FIRST.index(group)
        return len(FIRST) + (item.path.stem not in SLOW)

    items.sort(key=place)


@pytest.fixture(scope="session", autouse=True)
def kept_heap() -> None:
    """Keep the heap, as train() does: tests that take single steps are quicker for it."""
    from hagan_lite.system.runtime import keep_heap

    keep_heap()


@pytest.fixture
def rng() -> "torch.Generator":
    import torch

    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="session")
def records() -> list[dict]:
    """Return the committed records, read once; a test that changes one copies it first."""
    from hagan_lite import runs

    return runs.load_records(COMMITTED)


@pytest.fixture(scope="session")
def forked_kernels() -> Iterator[None]:
    """Let notebooks that this process executes have kernels that need not import torch first.

    Where there is no pidfd, which is outside Linux, they start as they always do.
    """
    import forked  # the pack for a GPU holds tests/test_cuda.py without it

    with pytest.MonkeyPatch.context() as patch:
        if forked.CAN_FORK:
            launcher = "jupyter_client.provisioning.local_provisioner.launch_kernel"
            patch.setattr(launcher, forked.launch)
        yield


@pytest.fixture(scope="session")
def smoke_run() -> Path:
    """Return a finished HAGAN run at smoke on the embedded slices."""
    from hagan_lite import runs
    from hagan_lite.config import Experiment
    from hagan_lite.train import train

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
