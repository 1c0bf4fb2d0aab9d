"""Grids on real workers: whatever is killed, each cell has its record in the end, the one of a run without faults."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from PIL import Image

from hagan_lite import data, runs
from hagan_lite.config import ROOT
from hagan_lite.storage import read_json

STEPS = 80
GRID = ["table2", "--preset", "smoke", "--models", "hagan,dcgan", "--seeds", "0,1,2,3"]
TINY = ["--set", "size=32", "--set", "width=4"]
REFERENCE = """if True:
    import sys, torch
    from hagan_lite import cells, grids, metrics, results, runs
    from hagan_lite.train import train
    changes = dict(size=32, width=4, steps=int(sys.argv[2]))
    asked = grids.experiments("table2", "smoke", [0, 1, 2, 3], ["hagan", "dcgan"], [sys.argv[1]], changes)
    for cell in cells.plan(asked):
        images = cells.load(cell.e.dataset, 32)
        run = train(cell.e, dataset=images)
        scores = metrics.evaluate(images.images, runs.sample(run, len(images), dataset=images), torch.device("cpu"))
        results.save_record(results.make_record(run, scores), run.name)
"""


class Process(subprocess.Popen):
    """Python in a process of its own, its output in a file: a pipe that nobody reads would stop it."""

    def __init__(self, *words, build):
        self.output = build / f"output-{time.monotonic_ns()}.txt"
        environment = os.environ | {"HAGAN_BUILD": str(build), "PYTHONUNBUFFERED": "1"}
        how = dict(stdout=self.output.open("w"), stderr=subprocess.STDOUT, cwd=ROOT, env=environment)
        super().__init__([sys.executable, *map(str, words)], **how)

    def told(self):
        return self.output.read_text()


def hagan(*words, build):
    return Process("-m", "hagan_lite", *words, build=build)


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Six images: enough to measure, and measured at once."""
    folder = tmp_path_factory.mktemp("scans")
    for i, image in enumerate(data.load("mni152").images[40:46, 0]):
        Image.fromarray(image).save(folder / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def reference(scans, tmp_path_factory):
    """The eight cells one after another in one process: no notebook, no worker, no fault."""
    build = tmp_path_factory.mktemp("reference")
    done = Process("-c", REFERENCE, scans, STEPS, build=build)
    assert done.wait(timeout=300) == 0, done.told()
    return build


def wait_for(condition, process=None, seconds=240):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        assert process is None or process.poll() is None, process.told()
        time.sleep(0.03)
    return found


def in_mid_run(root):
    """(worker, kernel, run folder) of a notebook below the process `root` whose training has begun, and goes on."""
    below = psutil.Process(root).children(recursive=True)
    for kernel in below:
        try:
            if "ipykernel_launcher" in kernel.cmdline() and (worker := kernel.parent()) in below:
                for file in kernel.open_files():
                    run = Path(file.path).parent
                    if file.path.endswith("log.jsonl") and 5 <= len(runs.read_log(run)) <= STEPS // 2:
                        return worker, kernel, run
        except psutil.Error:  # it ended while it was looked at
            continue
    return None


def killed_in_mid_run(root, driver):
    worker, kernel, run = wait_for(lambda: in_mid_run(root), driver)
    worker.kill()
    worker.wait()
    return kernel, run


def same_numbers(record, other):
    return all(record[k] == other[k] for k in ("experiment", "hash", "data", "metrics", "shift", "weights", "device"))


def external_cluster(build):
    address = build / "scheduler.json"
    words = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", address]
    scheduler = Process("-m", "distributed.cli.dask_scheduler", *words, build=build)
    wait_for(address.exists, scheduler)
    uri = read_json(address)["address"]
    words = [uri, "--nthreads", "1", "--nworkers", "2", "--no-dashboard", "--local-directory", build]
    return uri, scheduler, Process("-m", "distributed.cli.dask_worker", *words, build=build)


@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_two_workers_and_the_driver_are_killed_and_nothing_is_lost_or_repeated(where, scans, reference, tmp_path):
    words = ["batch", *GRID, "--datasets", scans, *TINY, "--set", f"steps={STEPS}"]
    started = []
    if where == "elsewhere":
        uri, scheduler, workers = external_cluster(tmp_path)
        started += [workers, scheduler]
        words += ["--scheduler", uri]
    else:
        words += ["--workers", "2"]
    records = tmp_path / "results"
    try:
        driver = hagan(*words, build=tmp_path)
        started.append(driver)
        root = workers.pid if where == "elsewhere" else driver.pid
        killed = [killed_in_mid_run(root, driver) for _ in range(2)]
        psutil.wait_procs([kernel for kernel, _ in killed], timeout=10)
        assert not [kernel for kernel, _ in killed if kernel.is_running()]  # it noticed that its worker is gone

        for _, run in killed:
            wait_for(lambda run=run: f"goes on  {run.name}" in driver.told(), driver)
        wait_for(lambda: list(records.glob("*.json")) and in_mid_run(root), driver)
        driver.kill()
        driver.wait()
        before = {p.name: p.stat().st_mtime_ns for p in records.glob("*.json")}
        again = hagan(*words, build=tmp_path)
        started.append(again)
        assert again.wait(timeout=300) == 0, again.told()
    finally:
        for process in started:
            process.kill()
            process.wait()
    told = again.told()
    assert re.search(r"8 experiments, [1-7] of them done already", told)
    assert "[8/8, nothing left]" in told
    assert "failed" not in told
    assert {p.name: p.stat().st_mtime_ns for p in records.glob("*.json") if p.name in before} == before
    wanted = {p.name: read_json(p) for p in (reference / "results").glob("*.json")}
    found = {p.name: read_json(p) for p in records.glob("*.json")}
    assert len(wanted) == 8 and found.keys() == wanted.keys()
    for name, record in found.items():
        assert same_numbers(record, wanted[name]), name
        run = tmp_path / "runs" / name.removesuffix(".json")
        assert [line["step"] for line in runs.read_log(run)] == list(range(1, STEPS + 1))  # one writer, no step twice
        weights = "generator.safetensors"
        assert (run / weights).read_bytes() == (reference / "runs" / run.name / weights).read_bytes(), name
