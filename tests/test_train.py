import json
import math
import signal
import subprocess
import sys
import time

import forked
import pytest
import torch
from helpers import CPU, TINY, Watch, real, stop_at, tiny, without_times

from hagan_lite import augment, datasets, runs, train
from hagan_lite.attnmix import mix
from hagan_lite.config import Experiment
from hagan_lite.datasets import pixels
from hagan_lite.datasets.batches import batch_indices
from hagan_lite.generator import row_entropy
from hagan_lite.hagan import Hagan
from hagan_lite.model import model_of
from hagan_lite.runs.folder import QUANTILES
from hagan_lite.system.checkpoints import load_checkpoint


def weights(run):
    state = load_checkpoint(run / "checkpoint.pt", CPU)
    return {f"{part}.{k}": v for part in ("G", "D", "ema") for k, v in state[part].items()}


def same(a, b):
    a, b = weights(a), weights(b)
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path):
    a, b = (train.train(tiny(), tmp_path / name) for name in "ab")
    assert same(a, b)
    assert not same(a, train.train(tiny(seed=1), tmp_path / "c"))


RESUMED = [{}, dict(skip="instance"), dict(model="dcgan", flips=True), dict(feature_loss="nce")]


@pytest.mark.parametrize("changes", RESUMED)
def test_stopped_and_resumed_equals_never_stopped(tmp_path, changes):
    e = tiny(**changes)
    whole = train.train(e, tmp_path / "whole")

    with pytest.raises(KeyboardInterrupt, match="after step 8 of 12.*goes on"):
        train.train(e, tmp_path / "parts", on_log=stop_at(7))
    assert not runs.finished(tmp_path / "parts")
    parts = train.train(e, tmp_path / "parts")
    assert same(whole, parts)
    assert without_times(runs.read_log(whole)) == without_times(runs.read_log(parts))


def test_a_run_killed_in_the_middle_and_resumed_equals_one_that_ran_through(tmp_path):
    e = tiny(steps=60)
    lines = "from hagan_lite.config import Experiment; from hagan_lite.train import train; "
    killed, whole = (
        lines + f"train(Experiment.make(**{TINY | dict(steps=60)}), r'{tmp_path / n}')"
        for n in ("cut", "whole")
    )
    process = forked.start("-c", killed)
    while process.poll() is None and len(runs.read_log(tmp_path / "cut")) < 10:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it ended before it was killed"
    step = load_checkpoint(tmp_path / "cut" / "checkpoint.pt", CPU)["step"]
    assert 0 < step < 60
    # Forked processes share a seed of Python's hashes: the uninterrupted one has another.
    subprocess.run([sys.executable, "-c", whole], stderr=subprocess.DEVNULL, check=True)
    assert forked.run("-c", killed).returncode == 0
    assert same(tmp_path / "cut", tmp_path / "whole")
    assert [line["step"] for line in runs.read_log(tmp_path / "cut")] == list(range(1, e.steps + 1))


def test_a_nan_stops_the_run_and_keeps_the_last_good_checkpoint(tmp_path, monkeypatch):
    step = Hagan.step

    def poisoned(self, x, t):
        return step(
            self, x * float("nan") if t >= 8 else x, t
        )  # that is step 9; a checkpoint is due every fifth

    monkeypatch.setattr(Hagan, "step", poisoned)
    with pytest.raises(train.Diverged, match=r"step 9.*last good checkpoint is kept in .*lr_g"):
        train.train(tiny(), tmp_path / "run")
    assert load_checkpoint(tmp_path / "run" / "checkpoint.pt", CPU)["step"] == 5
    assert all(v.isfinite().all() for v in weights(tmp_path / "run").values())
    monkeypatch.undo()
    assert same(train.train(tiny(), tmp_path / "run"), train.train(tiny(), tmp_path / "healthy"))


def test_an_exploding_loss_stops_the_run(tmp_path):
    with pytest.raises(train.Diverged, match="loss"):
        train.train(tiny(lr_g=1e4, lr_d=1e4, adversarial="ns", steps=60), tmp_path / "run")


def test_a_finished_run_is_not_repeated(tmp_path):
    run = train.train(tiny(), tmp_path / "run")
    before = (run / "generator.safetensors").stat().st_mtime_ns
    train.train(tiny(), run)
    assert (run / "generator.safetensors").stat().st_mtime_ns == before


def test_a_folder_of_another_run_is_refused(tmp_path):
    run = train.train(tiny(), tmp_path / "run")
    with pytest.raises(ValueError, match="another experiment"):
        train.train(tiny(seed=1), run)


def test_a_damaged_checkpoint_is_named_with_its_remedy(tmp_path):
    run = train.train(tiny(), tmp_path / "run")
    (run / "generator.safetensors").unlink()
    whole = (run / "checkpoint.pt").read_bytes()
    (run / "checkpoint.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"checkpoint\.pt is damaged.*delete"):
        train.train(tiny(), run)


def test_every_image_is_seen_equally_often():
    seen = torch.cat([batch_indices(10, 4, seed=0, t=t) for t in range(10)])
    assert torch.equal(seen.bincount(minlength=10), torch.full((10,), 4))
    assert torch.cat([batch_indices(3, 8, seed=0, t=t) for t in range(3)]).bincount().tolist() == [
        8,
        8,
        8,
    ]


def test_every_epoch_has_an_order_of_its_own():
    one, two = (batch_indices(20, 20, seed=0, t=t) for t in range(2))
    assert not torch.equal(one, two)


def test_phase_one_is_conventional_and_phase_two_mixes(tmp_path):
    log = runs.read_log(train.train(tiny(phase_two=6), tmp_path / "run"))
    for line in log:
        mixing = line["step"] > 6  # step 7 is the first with t >= 6
        assert (line["d_cons"] > 0) == mixing
        assert ("shift" in line) == mixing


def test_the_log_holds_gates_entropy_and_the_shifts_quantiles(smoke_run):
    line = runs.read_log(smoke_run)[-1]
    assert {
        "gamma_16",
        "gamma_32",
        "skip_4",
        "skip_32",
        "entropy",
        "d",
        "g",
        "d_pix",
        "g_pix",
    } <= set(line)
    assert sorted(line["shift"]) == line["shift"] and len(line["shift"]) == len(QUANTILES)
    assert 0 < line["entropy"] <= 1


def test_snapshots_hold_what_figure_7_needs(smoke_run):
    from hagan_lite.attnmix import mixed_labels

    step, mixed = runs.load_snapshots(smoke_run)[-1]
    assert step == 20
    assert mixed.fake.shape == mixed.real.shape == (4, 1, 64, 64)
    again = mixed_labels(mixed.mask, mixed.saliency)
    torch.testing.assert_close(again.lam, mixed.lam, atol=2e-3, rtol=0)
    torch.testing.assert_close(again.lambda_1, mixed.lambda_1, atol=2e-3, rtol=0)


def test_the_ramp_lets_consistency_grow():
    e = tiny(phase_two=0, ramp=10)
    first, last = (Hagan(e, CPU).step(real(), t) for t in (0, 9))
    assert first["d_cons"] == last["d_cons"]  # the same networks and draws; the weight differs
    grown = (last["d"] - first["d"]) / first["d_cons"]
    assert grown.item() == pytest.approx(
        0.9, abs=0.03
    )  # a small term beside a loss of 1, in float32


@pytest.mark.parametrize(
    "changes",
    [dict(adversarial="ns")]
    + [dict(feature_loss=f) for f in ("l2", "nce")]
    + [dict(skip=s) for s in ("off", "instance")]
    + [dict(mix=m) for m in ("cutmix", "off")]
    + [dict(saliency="received"), dict(fresh_noise=True)]
    + [
        dict(pixel_branch=False),
        dict(pixel_kernel=1),
        dict(channels=3),
        dict(augment=""),
        dict(model="sagan"),
    ],
)
def test_every_option_changes_the_training_and_stays_finite(changes):
    def after_eight(e):
        model, x = Hagan(e, CPU), real().expand(-1, e.channels, -1, -1)
        logs = [model.step(x, t) for t in range(8)][-1]
        assert all(v.isfinite().all() for v in logs.values())
        return logs["d"]

    assert after_eight(tiny(phase_two=0, **changes)) != after_eight(tiny(phase_two=0))


def test_gradients_reach_the_generator_through_T():
    e = tiny(phase_two=0, beta=0.0)
    model = Hagan(e, CPU)
    before = {name: p.clone() for name, p in model.G.named_parameters()}
    model._update_g(model.fakes(4), phase_two=True)
    moved = {name for name, p in model.G.named_parameters() if not torch.equal(p, before[name])}
    assert {
        name for name in before if name.endswith(("original", "gamma"))
    } <= moved  # every convolution, every gate
    assert not [name for name in moved if "query" in name or "key" in name]  # not while gamma is 0
    assert all(p.grad is None for p in model.D.parameters())


@pytest.mark.parametrize("model", ["hagan", "dcgan", "unetgan", "infogan", "wgan"])
@pytest.mark.parametrize("fresh_noise", [False, True])
def test_g_learns_from_the_images_that_d_has_judged_unless_noise_is_fresh(model, fresh_noise):
    """A step has one pass of G, or one more for G's update: D then sees other images last."""
    e = tiny(model=model, fresh_noise=fresh_noise, flips=False, augment="", phase_two=12)
    trained, made, seen = model_of(e)(e, CPU), [], []
    trained.G.register_forward_hook(lambda G, z, out: made.append(out.detach()))
    first = trained.D.image if hasattr(trained.D, "image") else trained.D
    first.register_forward_pre_hook(lambda D, images: seen.append(images[0].detach().clone()))
    trained.step(real(), 0)
    updates_of_d = getattr(e, "critic_steps", 1)
    assert len(made) == updates_of_d + fresh_noise
    assert torch.equal(seen[-1][-4:], made[-1])
    assert torch.equal(made[-1], made[updates_of_d - 1]) != fresh_noise


def test_with_the_outputs_map_no_pass_of_a_step_makes_the_matrix():
    most = {}
    for saliency in ("output", "received"):
        e = tiny(size=64, phase_two=0, saliency=saliency)
        model, x = Hagan(e, CPU), real(size=64)
        with Watch() as watch:
            model.step(x, 0)
        most[saliency] = watch.largest
    # The received map is made in chunks of 256 queries by 1024 keys, the other of nothing like it.
    assert most["output"] < 1024 * 64 <= most["received"]


def fixed_T(n, size, policy, rng, shift):
    """Every image 5 down and 3 left, brighter by 0.25; none where there is no policy."""
    if not policy:
        return augment.Augmentation(None, None, None)
    return augment.Augmentation(torch.tensor([[5, -3]]).expand(n, 2), torch.full((n,), 0.25), None)


def test_the_map_that_labels_a_mixed_image_moves_with_T(monkeypatch):
    maps = {}
    for name, policy in (("still", ""), ("moved", "translation")):
        model = Hagan(tiny(phase_two=0, augment=policy), CPU)
        monkeypatch.setattr(augment, "draw", fixed_T)
        model.step(real(), 0)
        maps[name] = model.mixed.saliency
    assert torch.equal(
        maps["moved"],
        fixed_T(len(maps["still"]), 32, ("translation",), None, 0).move(maps["still"]),
    )
    assert not torch.equal(maps["moved"], maps["still"])


def test_the_generator_is_judged_on_T_of_its_images(monkeypatch):
    seen = {}
    for policy in ("", "brightness"):
        model = Hagan(tiny(phase_two=0, augment=policy), CPU)
        monkeypatch.setattr(augment, "draw", fixed_T)
        model._D.register_forward_pre_hook(
            lambda D, images, policy=policy: seen.update({policy: images[0].detach()})
        )
        model._update_g(model.fakes(4), phase_two=True)
    assert torch.equal(
        seen["brightness"], fixed_T(len(seen[""]), 32, ("translation",), None, 0)(seen[""])
    )


def test_drawing_pictures_leaves_the_training_alone():
    model = Hagan(tiny(skip="instance"), CPU)
    before = {k: v.clone() for k, v in model.D.state_dict().items()}
    draw_features = runs.feature_drawer(model.D, torch.zeros(4, 1, 32, 32, dtype=torch.uint8))
    draw_features(2, torch.Generator().manual_seed(0))
    assert model.D.training
    assert all(torch.equal(v, before[k]) for k, v in model.D.state_dict().items())


def test_the_step_never_waits_for_the_device():
    model, x = Hagan(tiny(), CPU), real()
    with Watch() as watch:
        for t in (0, 11):
            model.step(x, t)
            model.gates()
    assert not watch.read_back, watch.read_back[0]
    with Watch() as watch:
        x.sum().item()
    assert len(watch.read_back) == 1  # it would have been seen


def test_bf16_autocast_trains_too():
    model = Hagan(tiny(), CPU, precision="bf16")
    logs = [model.step(real(), t) for t in range(12)][-1]
    assert all(v.isfinite().all() for v in logs.values())
    assert {p.dtype for p in model.G.parameters()} == {torch.float32}
    full = Hagan(tiny(), CPU).step(real(), 0)["d"]
    assert Hagan(tiny(), CPU, precision="bf16").step(real(), 0)["d"].item() == pytest.approx(
        full.item(), rel=0.05
    )


def test_a_missing_device_says_what_to_do():
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    with pytest.raises(RuntimeError, match="device='auto'"):
        train.train(tiny(), device="cuda")


def test_training_moves_samples_towards_the_real_images(tmp_path):
    e = Experiment.make("dcgan", preset="smoke", steps=160, width=8, ema=0.9, lr_g=1e-3)
    images = datasets.load("mni152")
    run = train.train(e, tmp_path / "run", images)
    untrained = runs.generate(Hagan(e, CPU).ema, e, 64).mean(0) / 255
    target = images.images.mean(0) / 255
    trained = runs.sample(run, 64).mean(0) / 255
    assert abs(trained - target).mean() < 0.5 * abs(untrained - target).mean()


def test_experiment_json_names_no_path(tmp_path):
    from PIL import Image

    folder = tmp_path / "patient-smith"
    folder.mkdir()
    for i, image in enumerate(datasets.load("mni152").images[40:48, 0]):
        Image.fromarray(image).save(folder / f"{i}.png")
    run = train.train(tiny(dataset=str(folder)), None)
    assert "smith" not in (run / "experiment.json").read_text() + run.name
    assert json.loads((run / "experiment.json").read_text())["data"]["name"] == "folder"


def test_the_ramp_ends_at_the_full_weight():
    model = Hagan(tiny(phase_two=2, ramp=4), CPU)
    assert [model.ramp_at(t) for t in (2, 5, 11)] == [0.25, 1, 1]


def test_map_snapshot_and_mixed_image_agree_on_what_is_real(monkeypatch):
    """T is drawn for the real images, for the fakes, and for G's update."""
    shifts = [torch.tensor([[5 * i, -3 * i]] * 4) for i in range(3)]
    drawn = [augment.Augmentation(shift, None, None) for shift in shifts]
    seen, judged = [], []
    for draws in ([drawn[0]] * 3, drawn):
        rest = iter(draws)
        monkeypatch.setattr(augment, "draw", lambda *_, rest=rest: next(rest))
        model = Hagan(tiny(phase_two=0), CPU)
        model.D.image.register_forward_pre_hook(lambda branch, x: judged.append(x[0].detach()))
        logs = model.step(real(), 0)
        seen.append(model.mixed)
    still, moved = seen
    assert torch.equal(moved.real, real()) and torch.equal(still.mask, moved.mask)
    assert torch.equal(moved.fake, drawn[1](still.fake))
    assert torch.equal(moved.saliency, drawn[1].move(still.saliency))
    assert torch.equal(judged[2][-4:], mix(moved.real, moved.fake, moved.mask))
    assert torch.equal(logs["shift"], moved.lam - moved.lambda_0)


def test_in_phase_one_d_and_g_see_images_without_T(monkeypatch):
    policies, draw = [], augment.draw

    def noted(n, size, policy, *rest):
        policies.append(policy)
        return draw(n, size, policy, *rest)

    monkeypatch.setattr(augment, "draw", noted)
    model = Hagan(tiny(phase_two=6), CPU)
    for t in (5, 6):
        model.step(real(), t)
    assert policies == [()] * 3 + [model.e.policy] * 3


def test_the_skip_is_fed_with_real_images_and_the_log_knows_them_from_fakes():
    """D judges real images first, in both phases; G stands still, so that D learns them."""
    model = Hagan(tiny(phase_two=8, lr_g=0.0), CPU)
    fed, judged = [], []
    model.G.update_skip = lambda features, momentum: fed.append(features[-1])
    model.D.image.register_forward_hook(lambda branch, x, out: judged.append(out[1][-1]))
    logs = [model.step(real(), t) for t in range(12)]
    assert all(torch.equal(a, b[:4]) for a, b in zip(fed, judged[::2], strict=True))
    assert logs[7]["d_real"] > logs[7]["d_fake"] + 0.1


def test_the_averaged_generator_lags_behind():
    model = Hagan(tiny(ema=0.75), CPU)
    start = model.ema.to_image[0].weight.clone()
    model.step(real(), 0)
    torch.testing.assert_close(
        model.ema.to_image[0].weight, 0.75 * start + 0.25 * model.G.to_image[0].weight
    )


def test_the_averaged_generator_has_the_skips_means():
    model = Hagan(tiny(), CPU)
    model.step(real(), 0)
    averaged = model.averaged()
    assert model.G.skip_mean_0.abs().sum() > 0
    assert torch.equal(averaged.skip_mean_0, model.G.skip_mean_0)


def test_each_network_has_its_own_rate():
    model = Hagan(tiny(lr_g=1e-4, lr_d=3e-4, adam_beta1=0.2, adam_beta2=0.7), CPU)
    groups = [optimiser.param_groups[0] for optimiser in (model.opt_g, model.opt_d)]
    assert [(g["lr"], g["betas"]) for g in groups] == [(1e-4, (0.2, 0.7)), (3e-4, (0.2, 0.7))]


def test_a_training_sees_no_image_that_is_held_out(monkeypatch, tmp_path):
    seen, step = set(), Hagan.step

    def noted(self, x, t):
        seen.update(image.tobytes() for image in pixels.to_uint8(x))
        return step(self, x, t)

    monkeypatch.setattr(Hagan, "step", noted)
    images = datasets.load("mni152", 32)
    train.train(tiny(heldout=0.3, n_train=20), tmp_path / "run", images)
    training, _ = images.split(0.3, 20)
    assert seen == {image.tobytes() for image in images.images[training]}


def test_another_seed_takes_the_images_in_another_order(monkeypatch, tmp_path):
    first, step = [], Hagan.step

    def noted(self, x, t):
        first.append(x)
        return step(self, x, t)

    monkeypatch.setattr(Hagan, "step", noted)
    for seed in (0, 1):
        train.train(tiny(seed=seed, steps=1), tmp_path / f"{seed}", datasets.load("mni152", 32))
    assert not torch.equal(*first)


@pytest.mark.parametrize("loss", [2e4, -2e4, math.nan])
def test_a_loss_that_explodes_in_either_direction_stops_the_run(tmp_path, loss):
    train._check(dict(step=1, d=9e3, g=-9e3), tmp_path)
    with pytest.raises(train.Diverged, match="loss g"):
        train._check(dict(step=1, d=1.0, g=loss), tmp_path)


def test_the_logged_entropy_is_the_last_layers():
    model = Hagan(tiny(size=64), CPU)
    model.step(real(size=64), 0)
    matrices = model.G.attention_matrices(*model.for_entropy)
    assert set(matrices) == {16, 32}
    assert torch.equal(model.gates()["entropy"], row_entropy(matrices[32]))
