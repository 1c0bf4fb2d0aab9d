"""What a lent GPU needs: training with few packages, ready arrays, scripts/gpu.sh rehearsed."""

import functools
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import replace

import numpy as np
import pytest

from hagan_lite import datasets, evaluation, runs, train
from hagan_lite.config import Experiment
from hagan_lite.datasets import DataError, arrays
from hagan_lite.datasets.loading import VERSION
from hagan_lite.system.paths import ROOT
from hagan_lite.system.png import as_png

HELPERS = ROOT / "scripts" / "gpu"
MODULES = ("cases", "pack", "collect", "rehearse", "records", "speed", "stages", "training", "grid")
FOUND = """
import importlib, sys
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
        print(name)
    except ImportError:
        continue
"""


@pytest.fixture
def helpers(monkeypatch):
    """The modules of scripts/gpu by their names; they import each other as scripts do."""
    monkeypatch.syspath_prepend(str(HELPERS))
    yield lambda name: __import__(name)
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    """Twelve embedded slices as the ready array of COVID-CT."""
    slices = datasets.load("mni152").images[40:52]
    path = arrays.path_of(tmp_path / "data", "covid-ct", 64, 1)
    arrays.write(path, "covid-ct", slices, np.arange(12), "0123456789ab", VERSION)
    monkeypatch.setenv("HAGAN_DATA", str(tmp_path / "data"))
    return path


def test_the_rehearsal_hides_all_packages_but_torch_numpy_safetensors_and_tqdm(helpers):
    """That they suffice is what test_the_rehearsal_comes_to_its_end shows."""
    rehearse = helpers("rehearse")
    names = ["PIL", "scipy", "skimage", "jaxtyping", "nilearn", "pandas"]
    # A hook that raises would break torch, which asks for packages before it imports them.
    script = rehearse.HIDING.format(hidden=rehearse.hidden()) + FOUND
    command = [sys.executable, "-c", script, *names, "numpy", "safetensors", "tqdm"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.split() == ["numpy", "safetensors", "tqdm"]


def test_a_ready_array_is_the_data_set_it_was_made_from(stand_in):
    loaded = datasets.load("covid-ct", 64)
    assert np.array_equal(loaded.images, datasets.load("mni152").images[40:52])
    assert loaded.fingerprint == "0123456789ab" and len(set(loaded.groups)) == 12
    assert not loaded.images.flags.writeable


def test_a_damaged_or_outdated_array_is_named_with_its_remedy(stand_in):
    about = dict(
        name="covid-ct", images=np.zeros((1, 1, 64, 64), np.uint8), groups=np.zeros(1, int)
    )
    arrays.write(stand_in, **about, fingerprint="0", version=VERSION - 1)
    with pytest.raises(DataError, match="another version.*pack it again"):
        datasets.load("covid-ct", 64)
    stand_in.write_bytes(stand_in.read_bytes()[:100])
    with pytest.raises(DataError, match="damaged.*pack it again"):
        datasets.load("covid-ct", 64)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_is_read_back_pixel_by_pixel(tmp_path, channels):
    from PIL import Image

    image = np.random.default_rng(0).integers(0, 256, (7, 5, channels), np.uint8)
    (tmp_path / "a.png").write_bytes(as_png(image))
    with Image.open(tmp_path / "a.png") as read:
        assert read.mode == ("L" if channels == 1 else "RGB")
        assert np.array_equal(np.asarray(read).reshape(image.shape), image)
    with pytest.raises(ValueError, match="float64"):
        as_png(np.zeros((4, 4, 1)))


def test_a_grid_has_its_images_row_by_row_and_black_where_none_are_left(tmp_path):
    from PIL import Image

    images = np.arange(1, 6, dtype=np.uint8)[:, None, None, None] * np.ones((1, 1, 2, 2), np.uint8)
    with Image.open(runs.save_grid(tmp_path / "grid.png", images)) as grid:
        assert np.asarray(grid)[::2, ::2].tolist() == [[1, 2, 3], [4, 5, 0], [0, 0, 0]]


def test_results_come_back_in_few_parts_what_matters_first(helpers, tmp_path):
    collect, results = helpers("collect"), tmp_path / "results"
    for name, size in (("a/curve.npz", 3 << 20), ("a/samples.npz", 2 << 20), ("speed.jsonl", 50)):
        (results / name).parent.mkdir(parents=True, exist_ok=True)
        (results / name).write_bytes(os.urandom(size))
    parts = collect.collect(results, tmp_path / "out", part=3 << 19, parts=2)
    assert [part.stat().st_size <= 3 << 19 for part in parts] == [True, True]
    back = collect.take_out(tmp_path / "out", tmp_path / "back")
    assert (back / "a/samples.npz").read_bytes() == (results / "a/samples.npz").read_bytes()
    assert (back / "speed.jsonl").exists() and not (back / "a/curve.npz").exists()
    assert (back / "left-out.txt").read_text() == "a/curve.npz: 3.0 MiB"


@pytest.mark.parametrize("has_filter", [True, False], ids=["3.11.4 or newer", "older"])
def test_an_archive_never_writes_outside_its_folder(helpers, tmp_path, monkeypatch, has_filter):
    """Python 3.11.0 to 3.11.3, as Debian 12 has it, know no filter."""
    if not has_filter:
        monkeypatch.delattr(tarfile, "data_filter", raising=False)
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc"
    for bad in (tarfile.TarInfo("../out"), tarfile.TarInfo("/out"), link):
        made = io.BytesIO()
        with tarfile.open(fileobj=made, mode="w") as archive:
            archive.addfile(tarfile.TarInfo("good"))
            archive.addfile(bad)
        made.seek(0)
        with tarfile.open(fileobj=made) as archive, pytest.raises(ValueError, match=bad.name):
            helpers("collect").unpack(archive, tmp_path / "there")
    assert not (tmp_path / "out").exists() and not (tmp_path / "there").exists()


def test_the_grid_has_each_training_once_and_every_row_of_the_ladder(helpers):
    from hagan_lite.report.experiments import ladder

    cases = helpers("cases")
    hashes = [cell.experiment.hash for cell in cases.grid()]
    assert len(set(hashes)) == len(hashes)
    assert {e.hash for _, e in ladder("covid-ct", "cpu", cases.FIRST_SEED)} <= set(hashes)
    for cell in cases.grid():  # what is packed as JSON is the same experiment there
        assert Experiment.from_dict(cell.to_dict()["experiment"]).hash == cell.experiment.hash


def test_a_cell_of_the_grid_leaves_the_record_that_is_made_here(helpers, stand_in, tmp_path):
    cases, grid = helpers("cases"), helpers("grid")
    cells = [cell.to_dict() for cell in cases.rehearsed()]
    (tmp_path / "grid.json").write_text(json.dumps(cells))

    def work():
        words = ["--list", tmp_path / "grid.json", "--work", tmp_path / "w"]
        words += ["--out", tmp_path / "out", "--seconds", 600, "--mode", "eager"]
        grid.main([*map(str, words), "--device", "cpu", "--extractor", "efficientnet-lite0"])

    work()
    records = {r["experiment"]["model"]: r for r in runs.load_records(tmp_path / "out" / "records")}
    hagan, wgan = records["hagan"], records["wgan"]
    assert hagan["data"]["n_train"] == hagan["metrics"]["n_fake"] == 6
    assert hagan["heldout"]["metrics"]["n_fake"] == hagan["data"]["n_heldout"]
    assert 0 <= hagan["heldout"]["gap"]["auc"] <= 1 and "heldout" not in wgan
    assert hagan["curve"]["step"] == [5, 6] and hagan["precision"] == "fp32"
    came = tmp_path / "out" / "brought"
    shipped = next(came.glob("hagan-*"))
    assert runs.sample(shipped, 2, device="cpu").shape == (2, 1, 64, 64)
    assert runs.load_discriminator(shipped, "cpu") and runs.load_snapshots(shipped)
    assert next(came.glob("wgan-*")).joinpath("all.png").exists()
    before = {path: path.stat().st_mtime_ns for path in came.rglob("*")}
    work()  # every cell is taken: nothing is done twice
    assert {path: path.stat().st_mtime_ns for path in came.rglob("*")} == before


def test_a_training_whose_time_is_over_is_exported_as_one_of_fewer_steps(
    helpers, stand_in, tmp_path, monkeypatch
):
    training, records = helpers("training"), helpers("records")
    dataset, run = datasets.load("covid-ct", 64), tmp_path / "run"
    e = Experiment.make("hagan", "covid-ct", "smoke", width=4, batch_size=2, steps=200, phase_two=2)

    class Options:
        mode, device, precision = "eager", "cpu", "auto"

    def stop(line):
        os.kill(os.getpid(), signal.SIGTERM)  # as the timer does

    monkeypatch.setattr(training, "train", functools.partial(train.train, on_log=stop))
    training.train_within(600, e, run, dataset, Options, history=True)
    reached = training.export(run, tmp_path / "export", dataset, "cpu")
    about = json.loads((tmp_path / "export" / "experiment.json").read_text())
    assert about["stopped"] == dict(asked=200, reached=reached) and reached < 10
    exported = runs.experiment_of(tmp_path / "export")
    assert exported == replace(e, steps=reached, phase_two=min(2, reached))
    assert about["hash"] == exported.hash
    # The images were drawn from the weights themselves; those that came back are rounded to half.
    exact = records.images_of(tmp_path / "export" / "samples.npz")["images"]
    rounded = runs.sample(tmp_path / "export", 12, device="cpu", dataset=dataset)
    assert exact.shape == (12, 1, 64, 64)
    assert np.abs(exact.astype(int) - rounded).mean() < 0.2

    monkeypatch.setattr(evaluation, "of_images", lambda *_, **__: evaluated())
    path = records.record(tmp_path / "export", tmp_path / "records")
    record = runs.load_records(tmp_path / "records")[0]
    assert record["stopped"]["reached"] == record["experiment"]["steps"] == reached
    assert record["device"].startswith("cpu") and record["evaluated"]["device"].startswith("cpu")
    assert path.stem == runs.run_dir(exported, dataset).name


def test_the_time_of_a_training_ends_with_an_interrupt(helpers):
    with pytest.raises(KeyboardInterrupt), helpers("training")._stopping_after(0.1):
        time.sleep(30)


def evaluated():
    return evaluation.Evaluation(metrics=dict(fd=1.0, n=12), audits={})


def test_a_finished_run_exports_a_point_of_the_curve_for_every_tenth(helpers, stand_in, tmp_path):
    training, records = helpers("training"), helpers("records")
    dataset = datasets.load("covid-ct", 64)
    e = Experiment.make("dcgan", "covid-ct", "smoke", width=4, batch_size=2, steps=10)
    run = train.train(e, tmp_path / "run", dataset, "cpu", history=True)
    assert training.export(run, tmp_path / "export", dataset, "cpu") == 10
    curve = records.images_of(tmp_path / "export" / "curve.npz")
    assert list(curve) == ["5", "10"]
    last = records.images_of(tmp_path / "export" / "samples.npz")["images"]
    assert np.array_equal(curve["10"], last)
    assert runs.finished(tmp_path / "export")


def test_processes_that_step_at_once_are_as_many_as_asked_for(helpers, tmp_path, monkeypatch):
    speed = helpers("speed")
    words = ["speed.py", "--group", "at-once", "--rehearsal", "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", [*words, "--out", str(tmp_path)])
    speed.main()
    (line,) = speed.lines(tmp_path)
    assert len(line["steps_per_second_of_2"]) == 2 and min(line["steps_per_second_of_2"]) > 0


@pytest.mark.skipif(shutil.which("bash") is None, reason="scripts/gpu.sh is for bash")
def test_the_rehearsal_comes_to_its_end(tmp_path):
    """All stages at smoke, in processes that see few packages; CPU time is a minute at most."""
    command = ["bash", str(ROOT / "scripts" / "gpu.sh"), "--rehearse", "--no-records"]
    command += ["--folder", str(tmp_path)]
    environment = os.environ | dict(PYTHON=sys.executable)
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    exports = sorted((tmp_path / "results" / "runs").iterdir())
    assert len(exports) == 2
    about = [json.loads((path / "experiment.json").read_text()) for path in exports]
    assert not any("stopped" in each for each in about)
    assert {each["data"]["fingerprint"] for each in about} == {"rehearsal"}
    assert len(list((tmp_path / "out").iterdir())) <= 8
