import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib

import forked
import layouts
import pytest
from helpers import hagan, tiny
from PIL import Image
from pydicom.data import get_testdata_file

from hagan_lite import datasets, runs, train
from hagan_lite.cli import app, options
from hagan_lite.config import Experiment
from hagan_lite.report import models
from hagan_lite.report.experiments import WITH_T
from hagan_lite.system.paths import ROOT
from hagan_lite.system.storage import read_json


def test_sample_writes_one_png_per_image(smoke_run, tmp_path):
    assert hagan("sample", str(smoke_run), "-n", "5", "--out", str(tmp_path / "out")).exit_code == 0
    files = sorted((tmp_path / "out").iterdir())
    assert len(files) == 5
    with Image.open(files[0]) as image:
        assert (image.size, image.mode) == ((64, 64), "L")
    # Pictures of two runs, or more than were asked for, are not mixed.
    words = ["sample", str(smoke_run), "--out", str(tmp_path / "out"), "-n"]
    assert hagan(*words, "5").exit_code == 0
    assert "other pictures" in str(hagan(*words, "4").exception)
    for path in files:
        path.rename(path.with_name(f"another-{path.name}"))
    assert "other pictures" in str(hagan(*words, "5").exception)
    assert len(list((tmp_path / "out").iterdir())) == 5


def test_a_failed_model_is_judged_by_its_flat_images_too(tmp_path):
    for folder in ("real", "generated"):
        (tmp_path / folder).mkdir()
        for i in range(8):
            Image.effect_noise((64, 64), 60 + i).save(tmp_path / folder / f"{i}.png")
        Image.new("L", (64, 64), 90).save(tmp_path / folder / "flat.png")
        Image.effect_noise((64, 64), 50).save(tmp_path / folder / "a_mask.png")
    words = ["evaluate", str(tmp_path / "real"), str(tmp_path / "generated")]
    done = hagan(*words, "--extractor", "efficientnet-lite0")
    assert done.exit_code == 0, done.exception
    assert "10 generated against 8 real images" in done.output
    assert "1 masks by their names" in done.output and "1 constant" in done.output


def test_masks_and_patients_of_the_real_folder_can_be_named(tmp_path):
    for i in range(12):
        Image.effect_noise((64, 64), 60 + i).save(tmp_path / f"p{i // 3}_{i % 3}_mask.png")
    words = ["evaluate", str(tmp_path), str(tmp_path), "--extractor", "efficientnet-lite0"]
    assert "--masks" in str(hagan(*words).exception)
    done = hagan(*words, "--masks", "--patient", r"p\d")
    assert done.exit_code == 0, done.exception
    assert "12 generated against 12 real images" in done.output
    assert "matches nothing" in str(hagan(*words, "--masks", "--patient", "zz").exception)


@pytest.mark.parametrize("choice", [["--masks"], ["--patient", "x"]])
def test_choices_for_an_own_folder_are_refused_for_a_named_data_set(choice):
    done = hagan("data", "check", "mni152", *choice)
    assert "for a folder of your own" in str(done.exception)


def test_data_lists_what_is_here_and_what_is_not(monkeypatch, tmp_path):
    monkeypatch.setenv("HAGAN_DATA", str(tmp_path))
    out = hagan("data").output
    assert re.search(r"^mni152 .*\n +embedded$", out, re.M)
    assert re.search(r"^covid-ct .*\n +not here; 'hagan data fetch covid-ct'", out, re.M)
    assert re.search(r"^lgg .*\n +not here; 'hagan data fetch lgg'", out, re.M)


def test_a_check_says_what_would_be_used_and_draws_only_where_told(tmp_path):
    scans = tmp_path / "patient-smith"
    scans.mkdir()
    for i in range(5):
        Image.effect_noise((40, 40), 60 + i).save(scans / f"jane-{i}.png")
    (scans / "jane-broken.png").write_text("no picture")
    (scans / "notes.txt").write_text("no picture")
    done = hagan("data", "check", str(scans))
    assert done.exit_code == 0, done.output
    assert "folder: 5 images of 64 x 64, 5 groups" in done.output
    assert "left out: jane-broken.png: " in done.output and "1 files of other kinds" in done.output
    assert len(list(tmp_path.rglob("*"))) == 8  # nothing was written there
    sheet = tmp_path / "out" / "sheet.png"
    assert hagan("data", "check", str(scans), "--sheet", str(sheet)).exit_code == 0
    with Image.open(sheet) as picture:
        assert picture.width > picture.height > 100
    assert b"jane" not in sheet.read_bytes() and b"smith" not in sheet.read_bytes()
    strict = hagan("data", "check", str(scans), "--strict")
    assert isinstance(strict.exception, ValueError) and "strict" in str(strict.exception)


def test_a_strict_run_stops_before_the_training(tmp_path):
    for i in range(5):
        Image.effect_noise((40, 40), 60 + i).save(tmp_path / f"{i}.png")
    (tmp_path / "broken.png").write_text("no picture")
    done = hagan("run", "--dataset", str(tmp_path), "--preset", "smoke", "--strict")
    assert isinstance(done.exception, ValueError) and "broken.png" in str(done.exception)


def test_values_are_parsed_as_fields():
    words = ["steps=300", "skip=off", "alpha=0.25", "attention=false"]
    changes = dict(steps=300, skip="off", alpha=0.25, attention=False)
    assert options.parse(["hagan"], words) == changes
    with pytest.raises(ValueError, match="stepps"):
        options.parse(["hagan"], ["stepps=3"])
    with pytest.raises(ValueError, match="seed"):
        options.parse(["hagan"], ["seed=3"])
    assert options.parse(["hagan"], ["attention=False"]) == {"attention": False}
    assert options.parse(["hagan", "wgan"], ["mix=cutmix"]) == {"mix": "cutmix"}
    with pytest.raises(ValueError, match="mix=cutmix.*wgan.*infogan"):  # none of the two mixes
        options.parse(["wgan", "infogan"], ["mix=cutmix"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "--dataset", "no-such-folder", "--preset", "smoke"], "neither a data set"),
        (["run", "--preset", "huge"], "choose one of smoke"),
        (["run", "--model", "nosuchmodel"], "choose one of hagan"),
        (["run", "--set", "critic_steps=3"], "critic_steps"),
        (["run", "--set", "adam_beta1"], "adam_beta1=VALUE"),
        (["run", "--set", "model=dcgan"], "--model"),
        (["run", "--preset", "smoke", "--device", "tpu"], "'tpu': choose auto, cpu, cuda or mps"),
        (["reproduce", "--preset", "huge"], "choose one of smoke"),
        (["reproduce", "--preset", "smoke", "--device", "tpu"], "'tpu'"),
        (["sample", "nowhere", "--out", "x"], "not a run folder"),
    ],
)
def test_what_a_user_can_mend_is_one_line(words, said, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["hagan", *words])
    with pytest.raises(SystemExit) as left:
        app.main()
    assert left.value.code == 1
    line = capsys.readouterr().err
    assert said in line and line.startswith("hagan: ") and line.count("\n") == 1


def test_the_command_in_a_process_of_its_own_prints_one_line_too():
    words = [sys.executable, "-m", "hagan_lite.cli", "run", "--preset", "huge"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1
    assert done.stderr.startswith("hagan: ") and done.stderr.count("\n") == 1


def test_a_run_on_a_users_folder_with_changed_fields(tmp_path):
    """Changes reach the training; nothing that is written names folder, file or patient.

    DDPM has no discriminator; HAGAN and DCGAN go through the notebook in test_batch.py.
    """
    scans = tmp_path / "patient-smith"
    scans.mkdir()
    for i in range(5):
        Image.effect_noise((40, 40), 60 + i).save(scans / f"jane-{i}.png")
    (scans / "jane-broken.png").write_text("no picture")
    layouts.nifti(scans / "jane.nii.gz", layouts.patient(1)[:, :, 20:24])
    # Of patient CompressedSamples^CT1.
    shutil.copyfile(get_testdata_file("CT_small.dcm"), scans / "jane-IM1.dcm")
    command = ["-m", "hagan_lite.cli", "run", "--dataset", scans]
    command += ["--model", "ddpm", "--preset", "smoke", "--set", "size=32", "--set", "steps=4"]
    command += ["--set", "ddim_steps=2"]
    environment = os.environ | {"HAGAN_BUILD": str(tmp_path / "build")}
    done = forked.run(*command, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stderr
    assert "jane-broken.png" in done.stderr  # the terminal says what was left out
    (run,) = (tmp_path / "build" / "runs").iterdir()
    (record,) = (tmp_path / "build" / "results").iterdir()
    made = read_json(record)
    e, data = made["experiment"], made["data"]
    assert (e["model"], e["size"], e["steps"]) == ("ddpm", 32, 4)
    assert (data["n"], data["n_left_out"]) == (10, 1)
    assert made["metrics"]["fd"] > 0
    assert (run / "run_experiment.ipynb").is_file()
    assert runs.finished(run) and runs.read_log(run)[-1]["step"] == 4
    for path in (tmp_path / "build").rglob("*"):
        written = path.name.encode() + (path.read_bytes() if path.is_file() else b"")
        for name in (b"smith", b"jane", b"CompressedSamples"):
            assert name not in written, path


def test_runs_are_compared_in_one_picture(smoke_run, tmp_path):
    out = tmp_path / "compared.png"
    done = hagan("compare", str(smoke_run), str(smoke_run), "--out", str(out))
    assert done.exit_code == 0, done.output
    with Image.open(out) as picture:
        # Three blocks in a row: real, and both runs, under names of their own.
        assert picture.width > picture.height > 100


def test_runs_of_different_sizes_are_not_compared(smoke_run, tmp_path):
    images = datasets.load("mni152", 32)
    small = train.train(tiny("dcgan", steps=1), tmp_path / "small", images)
    done = hagan("compare", str(smoke_run), str(small), "--out", str(tmp_path / "compared.png"))
    assert isinstance(done.exception, ValueError) and "size" in str(done.exception)
    assert not (tmp_path / "compared.png").exists()


def test_compared_runs_are_named_by_what_differs():
    at_256 = dict(size=256, batch_size=2, z_dim=1000, steps=2000)
    of_t = at_256 | WITH_T
    made = [Experiment.make("hagan", "acdc", **at_256)]
    made += [Experiment.make(model, "acdc", **of_t) for model in ("sagan", "dcgan")]
    made += [Experiment.make("ddpm", "acdc", size=256, batch_size=2, steps=2000, seed=1)]
    names, common = models.names_side_by_side(made)
    seeds = ["seed 0", "seed 0", "seed 0", "seed 1"]
    called = ["hagan", "sagan with T", "base with T", "ddpm"]
    assert names == [f"{name}, {seed}" for name, seed in zip(called, seeds, strict=True)]
    assert common == "2,000 steps of 2 images"
    made = [Experiment.make("hagan", "acdc", augment=""), Experiment.make("wgan", "acdc")]
    names, common = models.names_side_by_side(made)
    assert names == ["hagan, augment=", "wgan"] and common == "800 steps, seed 0"


def test_too_few_images_are_refused_before_the_training(tmp_path):
    for i in range(3):
        Image.effect_noise((40, 40), 60).save(tmp_path / f"{i}.png")
    words = ["run", "--dataset", str(tmp_path), "--preset", "smoke"]
    done = hagan(*words)
    assert isinstance(done.exception, ValueError) and "4 or more" in str(done.exception)
    for i in range(3, 8):
        Image.effect_noise((40, 40), 60).save(tmp_path / f"{i}.png")
    done = hagan(*words, "--set", "n_train=2")
    assert isinstance(done.exception, ValueError) and "4 or more" in str(done.exception)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for another process")
def test_ctrl_c_keeps_what_was_done_and_says_how_to_go_on(tmp_path):
    for i in range(5):
        Image.effect_noise((40, 40), 60 + i).save(tmp_path / f"{i}.png")
    words = ["run", "--dataset", str(tmp_path), "--preset", "smoke", "--set", "width=4"]
    words += ["--set", "batch_size=4", "--set", "steps=4000"]
    build = tmp_path / "build"
    environment = os.environ | {"HAGAN_BUILD": str(build)}
    out, err = tmp_path / "out.txt", tmp_path / "err.txt"
    with out.open("w") as stdout, err.open("w") as stderr:
        how = dict(cwd=ROOT, env=environment, stdout=stdout, stderr=stderr)
        process = forked.start("-m", "hagan_lite.cli", *words, **how)
    deadline = time.monotonic() + 600
    while not [line for run in build.glob("runs/*") for line in runs.read_log(run)]:
        assert process.poll() is None and time.monotonic() < deadline, err.read_text()
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=300) == 130
    assert "give the same command again" in out.read_text()
    assert "Traceback" not in err.read_text()
    assert list(build.glob("runs/*/checkpoint.pt"))


def test_the_version_is_that_of_the_package():
    done = hagan("--version")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert done.exit_code == 0 and done.output.split()[-1] == project["version"]


def test_environment_yml_is_what_pyproject_says():
    command = [sys.executable, "scripts/environment.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
