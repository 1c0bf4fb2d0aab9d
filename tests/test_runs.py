import json
import shutil

import numpy as np
import pytest
import torch
from helpers import tiny
from PIL import Image
from safetensors.torch import load_file, save_file

from hagan_lite import datasets, runs, train
from hagan_lite.config import Experiment
from hagan_lite.model import model_of
from hagan_lite.runs import sampling


def test_the_same_seed_gives_the_same_images(smoke_run):
    a, b = runs.sample(smoke_run, 70, seed=3), runs.sample(smoke_run, 70, seed=3)
    assert np.array_equal(a, b)
    assert a.shape == (70, 1, 64, 64) and a.dtype == np.uint8
    assert not np.array_equal(a, runs.sample(smoke_run, 70, seed=4))


@pytest.fixture
def stopped_drawing(tmp_path, monkeypatch):
    """Return a run whose drawing of 150 images was stopped after the first 128, and these images.

    Everything that is drawn is kept, as if it took long.
    """
    e = Experiment.make(preset="smoke", width=4, batch_size=4, steps=1)
    run = train.train(e, tmp_path / "run")
    expected = runs.sample(run, 150)
    assert not (run / "drawn").exists()  # drawn too fast to be worth a file
    monkeypatch.setattr(sampling, "KEEP_EVERY", 0)
    kind, calls = model_of(e), []
    draw = kind.draw

    def dies_in_the_third_batch(*given):
        calls.append(given[1])
        if len(calls) == 3:
            raise KeyboardInterrupt
        return draw(*given)

    with monkeypatch.context() as patched:
        patched.setattr(kind, "draw", dies_in_the_third_batch)
        with pytest.raises(KeyboardInterrupt):
            runs.sample(run, 150)
    drawn = []
    monkeypatch.setattr(kind, "draw", lambda *given: drawn.append(given[1]) or draw(*given))
    return run, expected, drawn


def test_a_stopped_drawing_goes_on_as_if_it_had_never_stopped(stopped_drawing):
    run, expected, drawn = stopped_drawing
    assert np.array_equal(runs.sample(run, 150), expected)
    assert drawn == [22]  # the first two batches were kept
    assert np.array_equal(runs.sample(run, 150), expected)
    assert drawn == [22]  # and now the whole set is


@pytest.mark.parametrize("n", [3, 64, 100, 192])
def test_kept_images_never_change_what_another_number_or_seed_draws(stopped_drawing, n):
    run, expected, drawn = stopped_drawing
    again = runs.sample(run, n), runs.sample(run, n, seed=5)
    shutil.rmtree(run / "drawn")
    assert np.array_equal(again[0], runs.sample(run, n))
    assert np.array_equal(again[1], runs.sample(run, n, seed=np.int64(5)))


def test_another_number_leaves_what_is_kept(stopped_drawing):
    run, expected, drawn = stopped_drawing
    runs.sample(run, 3)
    assert np.array_equal(runs.sample(run, 150), expected)
    assert drawn == [3, 22]


def test_images_of_other_weights_are_drawn_again(stopped_drawing):
    run, expected, drawn = stopped_drawing
    G = runs.load_generator(run)
    first = next(G.parameters())
    first += 0.1
    runs.save_generator(run, G)
    assert np.array_equal(runs.sample(run, 150), runs.generate(G, runs.experiment_of(run), 150))
    assert drawn[:3] == [64, 64, 22]


@pytest.mark.parametrize("content", [b"no archive", "a checkpoint", "a list"])
def test_a_kept_file_that_holds_something_else_is_drawn_again(stopped_drawing, content):
    run, expected, drawn = stopped_drawing
    (kept,) = (run / "drawn").iterdir()
    if isinstance(content, bytes):
        kept.write_bytes(content)
        with pytest.warns(UserWarning, match=kept.name):
            images = runs.sample(run, 150)
    else:
        torch.save([1] if content == "a list" else {"step": 3}, kept)
        images = runs.sample(run, 150)
    assert np.array_equal(images, expected)
    assert drawn == [64, 64, 22]


def test_where_nothing_can_be_kept_a_warning_says_so_and_the_images_are_drawn(stopped_drawing):
    run, expected, drawn = stopped_drawing
    shutil.rmtree(run / "drawn")
    (run / "drawn").write_text("a file of that name")
    with pytest.warns(UserWarning, match="not kept"):
        assert np.array_equal(runs.sample(run, 150), expected)


def test_a_generator_of_the_history_is_drawn_like_the_last_one(tmp_path):
    e = Experiment.make(preset="smoke", width=4, batch_size=4, steps=10)
    run = train.train(e, tmp_path / "run", history=True)
    early, late = (runs.sample(run, 3, step=step) for step in (5, 10))
    assert np.array_equal(late, runs.sample(run, 3))
    assert not np.array_equal(early, late)


def test_no_images_cannot_be_drawn(smoke_run):
    for n in (0, -1):
        with pytest.raises(ValueError, match=f"n={n}"):
            runs.sample(smoke_run, n)


def test_samples_come_from_the_averaged_generator(smoke_run):
    G = runs.load_generator(smoke_run)
    ema = torch.load(smoke_run / "checkpoint.pt", weights_only=True)["ema"]
    assert all(torch.equal(v, ema[k]) for k, v in G.named_parameters())
    assert not G.training


def test_the_averaged_generators_batchnorm_statistics_are_its_own(smoke_run):
    G, z = (
        runs.load_generator(smoke_run),
        torch.rand(256, 100, generator=torch.Generator().manual_seed(0)) * 2 - 1,
    )
    with torch.no_grad():
        before = G.blocks[0][0](z[:, :, None, None])  # what the first BatchNorm sees
    norm = G.blocks[0][1]
    torch.testing.assert_close(
        norm.running_mean, before.mean((0, 2, 3)), atol=0.15 * before.std().item(), rtol=0.1
    )
    torch.testing.assert_close(norm.running_var, before.var((0, 2, 3)), atol=0, rtol=0.5)


def test_an_instance_run_can_be_sampled(tmp_path):
    e = Experiment.make(preset="smoke", width=4, batch_size=4, steps=4, skip="instance")
    run = train.train(e, tmp_path / "run")
    assert runs.sample(run, 3).shape == (3, 1, 64, 64)


def test_a_run_goes_on_in_one_precision_only(tmp_path):
    e = Experiment.make(preset="smoke", width=4, batch_size=4, steps=2)
    run, d = tmp_path / "run", datasets.load("mni152")
    runs.open_run(run, e, d, runs.CPU, "bf16")
    for precision in ("fp32", "auto"):
        with pytest.raises(ValueError, match="--precision bf16"):
            runs.open_run(run, e, d, runs.CPU, precision)
    train.train(e, run, d, "cpu", "bf16")
    train.train(e, run, d, "cpu", "auto")  # it is finished: nothing is computed
    with pytest.raises(ValueError, match="--precision bf16"):
        train.train(e, run, d, "cpu", "fp32")


def test_a_folder_that_is_no_run_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="not a run folder.*hagan run"):
        runs.sample(tmp_path, 3)


def test_a_damaged_generator_is_named_with_its_remedy(tmp_path):
    run = train.train(
        Experiment.make(preset="smoke", width=4, batch_size=4, steps=2), tmp_path / "run"
    )
    path = run / "generator.safetensors"
    whole = path.read_bytes()
    flipped = whole[:-40] + bytes([whole[-40] ^ 64]) + whole[-39:]  # one bit of one weight
    for damaged in (whole[:1000], flipped):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="damaged.*run again"):
            runs.sample(run, 3)
    save_file(load_file(path), path)  # as other programs write it: nobody can tell
    assert runs.sample(run, 3).shape == (3, 1, 64, 64)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="not finished"):
        runs.sample(run, 3)


def test_run_folders_follow_the_experiment_and_the_data():
    e, d = Experiment.make(preset="smoke"), datasets.load("mni152")
    other = datasets.Dataset(d.name, d.images, d.groups, "another")
    names = {
        runs.run_dir(e, d),
        runs.run_dir(e, other),
        runs.run_dir(Experiment.make(preset="smoke", seed=1), d),
    }
    assert len(names) == 3


def test_sample_grids_are_pictures(smoke_run):
    grids = sorted((smoke_run / "samples").glob("*.png"))
    assert grids
    with Image.open(grids[-1]) as grid:
        assert grid.size == (512, 512) and grid.mode == "L"


@pytest.mark.parametrize("damage", [b"\xca\xfe", b"{"])
def test_a_log_damaged_in_its_middle_is_named(tmp_path, damage):
    (tmp_path / "log.jsonl").write_bytes(b'{"step": 1}\n' + damage + b'\n{"step": 3}\n')
    with pytest.raises(ValueError, match=r"log\.jsonl.*line 2"):
        runs.read_log(tmp_path)


def test_a_damaged_snapshot_is_named(tmp_path):
    (tmp_path / "snapshots").mkdir()
    (path := tmp_path / "snapshots" / "step_000010.safetensors").write_bytes(b"no tensors")
    with pytest.raises(ValueError, match=path.name):
        runs.load_snapshots(tmp_path)


def test_a_grid_of_large_images_fits_a_screen(tmp_path):
    e = tiny("dcgan", size=128, steps=1, batch_size=2, width=4)
    run = train.train(e, tmp_path / "run", datasets.load("mni152", 128))
    with Image.open(next((run / "samples").glob("*.png"))) as grid:
        assert grid.size == (512, 512)


def test_a_log_cut_off_in_mid_line_is_read_up_to_there(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"step": 1}\n{"step": 2}\n{"st')
    assert [line["step"] for line in runs.read_log(tmp_path)] == [1, 2]


def test_a_grid_is_read_row_by_row(tmp_path):
    images = np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1) * np.ones((1, 1, 8, 8), np.uint8)
    with Image.open(runs.save_grid(tmp_path / "grid.png", images)) as grid:
        assert np.asarray(grid)[::8, ::8].tolist() == [[0, 1], [2, 3]]


def test_an_instance_run_draws_from_training_images_alone(monkeypatch, tmp_path):
    e, images = tiny(skip="instance", heldout=0.3, steps=2), datasets.load("mni152", 32)
    run = train.train(e, tmp_path / "run", images)
    given = []
    drawer = sampling.feature_drawer
    monkeypatch.setattr(sampling, "feature_drawer", lambda D, x: given.append(x) or drawer(D, x))
    runs.sample(run, 2, dataset=images)
    training, _ = images.split(0.3)
    assert torch.equal(given[0].cpu(), torch.from_numpy(images.images[training]))


def test_pictures_are_taken_after_every_tenth_of_the_steps():
    assert runs.pictured_steps(Experiment.make(steps=100)) == list(range(10, 101, 10))
    assert runs.pictured_steps(Experiment.make(steps=12)) == [5, 10, 12]


def test_minutes_are_those_of_the_log(tmp_path):
    images = datasets.load("mni152", 32)
    run = train.train(tiny(steps=2), tmp_path / "run", images)
    last = json.dumps(runs.read_log(run)[-1] | dict(seconds=150.0))
    (run / "log.jsonl").write_text(last)
    assert runs.make_record(run, {})["minutes"] == 2.5


def test_every_image_is_drawn_from_a_z_of_its_own():
    """Batch after batch, too: the same few images again would leave FD nearly as it is."""
    e = tiny()
    G, _ = model_of(e).networks(e)
    drawn = runs.generate(G.eval(), e, 7, batch=3)
    assert len(np.unique(drawn, axis=0)) == 7


def test_a_record_keeps_some_forty_lines_of_a_long_log_from_the_first_to_the_last(tmp_path):
    runs.open_run(tmp_path, tiny(), datasets.load("mni152", 32), runs.CPU)
    lines = [json.dumps(dict(step=step, d=1.0, seconds=step)) for step in range(1, 101)]
    (tmp_path / "log.jsonl").write_text("\n".join(lines))
    steps = runs.make_record(tmp_path, {})["log"]["step"]
    assert steps == [*range(1, 100, 3), 100]


def test_a_run_says_how_many_images_it_was_given_and_how_many_were_held_out():
    images = datasets.load("mni152", 32)
    about = runs.describe(tiny(heldout=0.3, n_train=20), images)["data"]
    assert (about["n"], about["n_train"]) == (len(images), 20)
    assert about["n_heldout"] == len(images.split(0.3)[1])


def test_the_log_has_the_quantiles_of_a_batchs_shifts():
    line = runs.log_line(3, dict(d=torch.tensor(1.0), shift=torch.linspace(0, 1, 101)))
    assert line["shift"] == pytest.approx([0.05, 0.25, 0.5, 0.75, 0.95])
