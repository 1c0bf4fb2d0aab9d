"""Grids on real workers: whatever is killed, each cell has the record of a run without faults."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import forked
import helpers
import psutil
import pytest
import torch
from PIL import Image

from hagan_lite import datasets, runs
from hagan_lite.batch import notebooks, progress, workers
from hagan_lite.config import Experiment
from hagan_lite.report import experiments
from hagan_lite.system.paths import ROOT
from hagan_lite.system.storage import read_json

STEPS = 80
GRID = ["table2", "--preset", "smoke", "--models", "hagan", "--seeds", "0,1,2"]
TINY = ["--set", "size=32", "--set", "width=4"]
REFERENCE = """if True:
    import sys, torch
    from hagan_lite import datasets, runs
    from hagan_lite.batch import progress
    from hagan_lite.evaluation import metrics
    from hagan_lite.report import experiments
    from hagan_lite.train import train
    scans, changes = sys.argv[1], dict(size=32, width=4, steps=int(sys.argv[2]))
    asked = experiments.experiments("table2", "smoke", [0, 1, 2], ["hagan"], [scans], changes)
    for cell in progress.plan(asked):
        images = datasets.load(cell.e.dataset, 32)
        run = train(cell.e, dataset=images)
        fake = runs.sample(run, len(images), dataset=images)
        scores = metrics.evaluate(images.images, fake, torch.device("cpu"))
        runs.save_record(runs.make_record(run, scores), run.name)
"""


class Process:
    """Run Python in a process of its own, its output in a file.

    A pipe that nobody reads would stop it. With `fork=False` the process inherits this one's
    limits.
    """

    def __init__(self, *words, build, fork=True):
        self.output = build / f"output-{time.monotonic_ns()}.txt"
        how = dict(env=os.environ | {"HAGAN_BUILD": str(build), "PYTHONUNBUFFERED": "1"}, cwd=ROOT)
        with self.output.open("w") as file:
            how |= dict(stdout=file, stderr=file)
            if fork:
                self.process = forked.start(*words, **how)
            else:
                self.process = subprocess.Popen([sys.executable, *map(str, words)], **how)
        self.pid, self.poll = self.process.pid, self.process.poll

    def printed(self):
        return self.output.read_text()

    def wait(self, timeout=None):
        return self.process.wait(timeout)

    def kill(self):
        self.process.kill()


def hagan(*words, build, fork=True):
    return Process("-m", "hagan_lite.cli", *words, build=build, fork=fork)


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Six images: enough to measure, and measured at once."""
    folder = tmp_path_factory.mktemp("scans")
    for i, image in enumerate(datasets.load("mni152").images[40:46, 0]):
        Image.fromarray(image).save(folder / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def reference(scans, tmp_path_factory):
    """The three cells one after another in one process: no notebook, no worker, no fault."""
    build = tmp_path_factory.mktemp("reference")
    done = Process("-c", REFERENCE, scans, STEPS, build=build)
    assert done.wait(timeout=900) == 0, done.printed()
    return build


def wait_for(condition, process=None, seconds=600):
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        assert process is None or process.poll() is None, process.printed()
        time.sleep(0.03)
    return result


def in_mid_run(root):
    """Return worker, kernel and run folder of a notebook that trains, below the process `root`."""
    below = psutil.Process(root).children(recursive=True)
    for kernel in below:
        try:
            if "ipykernel_launcher" in kernel.cmdline() and (worker := kernel.parent()) in below:
                for file in kernel.open_files():
                    run = Path(file.path).parent
                    is_log = file.path.endswith("log.jsonl")
                    if is_log and 5 <= len(runs.read_log(run)) <= STEPS // 2:
                        return worker, kernel, run
        except psutil.Error:  # it ended while it was looked at
            continue
    return None


def killed_in_mid_run(root, driver):
    worker, kernel, run = wait_for(lambda: in_mid_run(root), driver)
    worker.kill()
    worker.wait(60)
    return kernel, run


def same_numbers(record, other):
    keys = ("experiment", "hash", "data", "metrics", "log", "weights", "device")
    return all(record[key] == other[key] for key in keys)


def external_cluster(build):
    address = build / "scheduler.json"
    words = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", address]
    scheduler = Process("-m", "distributed.cli.dask_scheduler", *words, build=build)
    # The file is created first and written a moment later.
    wait_for(lambda: address.exists() and address.stat().st_size, scheduler)
    uri = read_json(address)["address"]
    words = [uri, "--nthreads", "1", "--no-dashboard"]
    words += ["--local-directory", build]
    return uri, scheduler, Process("-m", "distributed.cli.dask_worker", *words, build=build)


def ended(*processes):
    for process in processes:
        process.kill()
        process.wait()


def times(folder):
    return {p.name: p.stat().st_mtime_ns for p in folder.glob("*.json")}


def assert_as_in(reference, build, cells):
    """Every cell has the reference's record and weights, and no step was taken twice."""
    made = {p.name: read_json(p) for p in (build / "results").glob("*.json")}
    wanted = {name: read_json(reference / "results" / name) for name in made}
    assert len(made) == cells
    for name, record in made.items():
        assert same_numbers(record, wanted[name]), name
        run = Path("runs") / name.removesuffix(".json")
        steps = [line["step"] for line in runs.read_log(build / run)]
        assert steps == list(range(1, STEPS + 1))  # one writer, no step twice
        one, other = (root / run / "generator.safetensors" for root in (build, reference))
        assert one.read_bytes() == other.read_bytes(), name


def test_workers_and_the_driver_are_killed_and_nothing_is_lost_or_repeated(
    scans, reference, tmp_path
):
    """Three cells on two workers: one dies, then the driver with both; the same command goes on."""
    words = ["batch", *GRID, "--datasets", scans, *TINY, "--set", f"steps={STEPS}"]
    words += ["--workers", "2"]
    records, started = tmp_path / "results", []
    try:
        driver = hagan(*words, build=tmp_path)
        started.append(driver)
        kernel, run = killed_in_mid_run(driver.pid, driver)
        psutil.wait_procs([kernel], timeout=60)
        assert not kernel.is_running()  # it noticed that its worker is gone
        wait_for(lambda: f"goes on  {run.name}" in driver.printed(), driver)
        wait_for(lambda: list(records.glob("*.json")) and in_mid_run(driver.pid), driver)
        driver.kill()
        driver.wait()
        before = times(records)
        again = hagan(*words, build=tmp_path)
        started.append(again)
        assert again.wait(timeout=900) == 0, again.printed()
    finally:
        ended(*started)
    done = int(re.search(r"3 experiments, (\d) of them done already", again.printed())[1])
    assert 1 <= done < 3
    assert "[3/3, nothing left]" in again.printed() and "failed" not in again.printed()
    after = times(records)
    assert {name: after[name] for name in before} == before
    assert_as_in(reference, tmp_path, 3)


def test_workers_elsewhere_go_on_without_their_driver_and_the_next_one_finds_what_they_do(
    scans, reference, tmp_path
):
    words = ["batch", *GRID, "--datasets", scans, *TINY, "--set", f"steps={STEPS}"]
    uri, scheduler, worker = external_cluster(tmp_path)
    words += ["--scheduler", uri, "--seeds", "0,1"]
    started = [worker, scheduler]
    try:
        driver = hagan(*words, build=tmp_path)
        started.append(driver)
        _, _, run = wait_for(lambda: in_mid_run(worker.pid), driver)
        driver.kill()
        driver.wait()
        again = hagan(*words, build=tmp_path)
        started.append(again)
        wait_for(lambda: runs.finished(run), again)
        assert again.wait(timeout=900) == 0, again.printed()
    finally:
        ended(*started)
    assert "failed" not in again.printed() and "goes on" not in again.printed()
    assert f"started  {run.name}" in driver.printed()
    assert_as_in(reference, tmp_path, 2)


def cells(models, scans, tmp_path, *more):
    """Start the cells of these models with seed 0, on one worker; HAGAN's comes first."""
    words = ["table2", "--preset", "smoke", "--models", models, "--datasets", scans]
    return hagan("batch", *words, *TINY, "--set", f"steps={STEPS}", *more, build=tmp_path)


def test_a_notebook_that_raises_is_tried_again_and_reported_and_the_rest_goes_on(
    scans, reference, tmp_path
):
    (name,) = [p.stem for p in (reference / "results").glob("hagan-*-s0-*.json")]
    run = tmp_path / "runs" / name
    run.mkdir(parents=True)
    (run / "checkpoint.pt").write_text("no checkpoint")
    done = cells("hagan,dcgan", scans, tmp_path, "--retries", "1")
    assert done.wait(timeout=900) == 1
    printed = done.printed()
    assert printed.count(f"started  {name}") == printed.count(f"goes on  {name}") == 1
    assert re.search(rf"failed   {name}  ValueError: checkpoint .* is damaged", printed)
    assert f"{name}: given up after 2 attempt" in printed
    assert str(run / "run_experiment.ipynb") in printed and "Traceback" in printed
    assert (run / "run_experiment.ipynb").is_file()
    assert [p.name.split("-")[0] for p in (tmp_path / "results").iterdir()] == ["dcgan"]
    shown = hagan("status", build=tmp_path)
    assert shown.wait(timeout=300) == 0
    assert re.search(rf"failed +{name}", shown.printed())
    assert re.search(r"done +dcgan", shown.printed())


def test_a_full_disk_is_named_and_with_space_the_same_command_goes_on(scans, reference, tmp_path):
    """No file may grow to the size of the checkpoint, as on a full disk; all others are smaller."""
    resource = pytest.importorskip("resource")
    (run,) = (reference / "runs").glob("*-s0-*")
    checkpoint, *others = sorted((p.stat().st_size for p in run.rglob("*.*")), reverse=True)
    assert checkpoint == (run / "checkpoint.pt").stat().st_size > others[0] + 100_000
    words = ["run", "--preset", "smoke", "--dataset", scans, *TINY, "--set", f"steps={STEPS}"]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # What is started now inherits the limit.
    resource.setrlimit(resource.RLIMIT_FSIZE, (checkpoint - 10_000, before[1]))
    try:
        done = hagan(*words, build=tmp_path, fork=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert done.wait(timeout=900) == 1
    assert re.search(r"could not write \S*hagan\S*checkpoint\.pt: .*free space", done.printed())
    assert not list(tmp_path.glob("results/*"))
    again = hagan(*words, build=tmp_path)
    assert again.wait(timeout=900) == 0, again.printed()
    (record,) = tmp_path.glob("results/*.json")
    assert same_numbers(read_json(record), read_json(reference / "results" / record.name))


def test_with_cuda_every_worker_has_a_gpu_to_itself(monkeypatch):
    from distributed import Client

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    monkeypatch.delenv("OMP_NUM_THREADS")
    with pytest.raises(ValueError, match="2 GPUs"):
        workers.local_cluster(3)
    with workers.local_cluster() as cluster, Client(cluster) as client:
        client.wait_for_workers(2)
        own = client.run(
            lambda: (os.environ["CUDA_VISIBLE_DEVICES"], os.environ["OMP_NUM_THREADS"])
        )
        resources = [w["resources"] for w in client.scheduler_info()["workers"].values()]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert sorted(gpu for gpu, _ in own.values()) == ["5", "7"]
    assert {int(threads) for _, threads in own.values()} <= set(range(1, cores // 2 + 1))
    assert resources == [{"GPU": 1}, {"GPU": 1}]


def test_a_worker_with_another_build_folder_says_so(scans, tmp_path):
    (cell,) = progress.plan([Experiment.make("hagan", str(scans), "smoke")])
    with pytest.raises(RuntimeError, match="HAGAN_BUILD"):
        notebooks.run_cell(cell.run, notebooks.notebook_parameters(cell.e), tmp_path)


def test_a_thousand_experiments_that_are_done_need_no_worker(monkeypatch, tmp_path):
    asked = experiments.experiments("table2", "smoke", list(range(143)), [], ["mni152"], {})
    grid = progress.plan(asked)
    for cell in grid:
        record = dict(experiment=cell.e.to_dict(), data=dict(fingerprint=cell.fingerprint))
        record |= dict(metrics={}, minutes=0.1)
        (tmp_path / f"{cell.name}.json").write_text(json.dumps(record))
    monkeypatch.setattr(progress, "RECORDS", tmp_path)
    monkeypatch.setattr(workers, "local_cluster", None)  # to start one would fail
    said = []
    assert workers.run_batch(grid, say=said.append) == {}
    assert said == ["1001 experiments, 1001 of them done already"]


def test_a_record_of_another_version_is_left_out_and_named(monkeypatch, tmp_path):
    before = len(progress.all_records())
    monkeypatch.setattr(progress, "RECORDS", tmp_path)
    e = Experiment.make().to_dict()
    for name, experiment in (("good", e), ("other", e | dict(unheard_of=1))):
        (tmp_path / f"{name}.json").write_text(json.dumps(dict(experiment=experiment)))
    (tmp_path / "empty.json").write_text("{}")
    with pytest.warns(UserWarning) as caught:
        records = progress.all_records()
    assert len(records) == len(runs.load_records(progress.COMMITTED)) + 1 <= before + 1
    said = [str(warning.message) for warning in caught]
    assert any(str(tmp_path / "other.json") in line for line in said)
    assert any(str(tmp_path / "empty.json") in line for line in said)


def test_a_command_makes_its_cell_in_the_way_that_was_asked_for():
    words = ["batch", "table2", "--preset", "smoke", "--seeds", "0", "--models", "hagan"]
    words += ["--datasets", "mni152", "--commands"]
    asked = ["--device", "cpu", "--precision", "fp32", "--compile", "--curve"]
    plain, full = (helpers.hagan(*words, *more).output for more in ([], asked))
    assert len(full.splitlines()) == len(plain.splitlines()) == 1
    for word in asked:
        assert word not in plain.split() and word in full.split()


def test_the_dask_script_stops_where_its_scheduler_or_a_gpu_is_missing(tmp_path):
    bash = shutil.which("bash") or pytest.skip("no bash here")
    (tmp_path / "dask").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "dask").chmod(0o755)
    paths = f"{tmp_path}:{os.environ['PATH']}"
    env = dict(os.environ, PATH=paths, SLURM_JOB_ID="7", SLURM_JOB_NUM_NODES="1")
    script = ROOT / "scripts" / "slurm" / "dask.sh"
    for gpus, said in (("", "no GPU"), ("0", "scheduler")):
        how = dict(cwd=tmp_path, capture_output=True, text=True, timeout=60)
        done = subprocess.run(
            [bash, script, "table2"], env=env | {"CUDA_VISIBLE_DEVICES": gpus}, **how
        )
        assert done.returncode and said in done.stderr


def test_a_later_grid_of_a_table_keeps_the_cells_of_the_earlier(monkeypatch, tmp_path):
    monkeypatch.setattr(progress, "BUILD", tmp_path)
    for seeds in ([0], [1, 2], [0]):
        asked = experiments.experiments("table2", "smoke", seeds, ["hagan"], ["mni152"], {})
        progress.save_plan("table2-smoke", progress.plan(asked))
    (cells,) = progress.load_plans().values()
    assert [cell.e.seed for cell in cells] == [0, 1, 2]


@pytest.mark.parametrize(
    "script", sorted((ROOT / "scripts" / "slurm").glob("*.sh")), ids=lambda p: p.name
)
def test_the_slurm_scripts_are_bash_and_do_nothing_outside_slurm(script):
    bash = shutil.which("bash") or pytest.skip("no bash here")
    assert subprocess.run([bash, "-n", script], capture_output=True).returncode == 0
    assert subprocess.run([bash, script], capture_output=True).returncode == 2
