"""Each baseline learns, resumes, stays on its device and is itself: one file for all of them."""

import ast
import shutil

import forked
import helpers
import pytest
import torch
from helpers import CPU, Watch, real, without_times

from hagan_lite import attnmix, datasets, losses, runs, train
from hagan_lite.baselines import ddpm, infogan, unetgan, wgan
from hagan_lite.config import MODELS, Experiment, choices_of
from hagan_lite.datasets import pixels
from hagan_lite.discriminator import Judgement
from hagan_lite.evaluation import features, metrics
from hagan_lite.hagan import Hagan
from hagan_lite.model import Model, model_of
from hagan_lite.system.choices import field_names
from hagan_lite.system.paths import ROOT

BASELINES = [m for m in MODELS if m != "hagan"]


def tiny(model, **changes):
    return helpers.tiny(model, **(dict(width=8, steps=6) | changes))


def test_there_are_six_and_each_file_keeps_the_protocol():
    assert {"dcgan", "sagan", "unetgan", "wgan", "infogan", "ddpm"} <= set(BASELINES)
    for model in BASELINES:
        e = tiny(model)
        assert type(e) is choices_of(model) and issubclass(model_of(e), Model)
        # The paper's "basic" augmentation alone.
        assert e.flips and e.policy == () and e.skip == e.mix == "off"


PIXELS = ("wgan", "ddpm")
"""The perceptron and the diffusion model are judged by pixels: their detail comes late."""


LEARNS = {
    "dcgan": dict(steps=80, lr_g=1e-3),
    "sagan": dict(steps=80, lr_g=1e-3),
    "unetgan": dict(steps=80, width=16, lr_g=2e-3),
    "infogan": dict(steps=60, lr_g=2e-3, lr_d=5e-4),
    "wgan": dict(steps=40),
    "ddpm": dict(steps=80, width=8, ddim_steps=5, lr_g=8e-3),
}
"""What a model needs to be quick on few images; its width is 32 where nothing is said.

A model without a line is not asked whether it learns.
"""


@pytest.mark.parametrize("model", BASELINES)
def test_a_short_training_on_sixteen_images_halves_the_distance_to_them(model):
    if model not in LEARNS:
        pytest.skip(f"{model} has no line in LEARNS: add the steps and rates with which it learns")
    how = dict(batch_size=16, width=32, ema=0.9, flips=False) | LEARNS[model]
    e = tiny(model, **how)
    images, trained = datasets.load("mni152", 32).images[40:56], model_of(e)(e, CPU)
    x = torch.from_numpy(pixels.to_tensor_range(images))

    def distance():
        drawn = runs.generate(trained.averaged(), e, len(images))
        if model in PIXELS:
            return metrics.frechet_distance(
                *(torch.from_numpy(i).flatten(1) / 255 for i in (images, drawn))
            )
        return metrics.frechet_distance(*(features.features(i) for i in (images, drawn)))

    untrained = distance()
    for t in range(e.steps):
        trained.step(x, t)
    assert distance() < untrained / 2


@pytest.mark.parametrize("model", BASELINES)
def test_a_resumed_run_ends_like_one_that_never_stopped(model, tmp_path, monkeypatch):
    e = tiny(model, steps=8, **({"ddim_steps": 2} if model == "ddpm" else {}))
    images = datasets.load("mni152", 32)
    through = train.train(e, tmp_path / "through", images)

    step, stop = model_of(e).step, [7]  # two steps after a checkpoint

    def stopping(self, x, t):
        if t in stop:
            stop.clear()
            raise KeyboardInterrupt
        return step(self, x, t)

    monkeypatch.setattr(model_of(e), "step", stopping)
    with pytest.raises(KeyboardInterrupt):
        train.train(e, tmp_path / "stopped", images)
    again = train.train(e, tmp_path / "stopped", images)
    weights = [runs.load_generator(run).state_dict() for run in (through, again)]
    assert all(torch.equal(v, weights[1][k]) for k, v in weights[0].items())
    assert without_times(runs.read_log(through)) == without_times(runs.read_log(again))
    a, b = (runs.sample(run, 3, seed=1) for run in (through, again))
    assert (a == b).all() and a.dtype == "uint8" and a.shape == (3, 1, 32, 32)


@pytest.mark.parametrize("model", BASELINES)
def test_a_step_never_waits_for_the_device(model):
    for changes in [{}, *([dict(lipschitz="penalty")] if model == "wgan" else [])]:
        trained = model_of(e := tiny(model, **changes))(e, CPU)
        trained.step(real(), 0)
        with Watch() as watch:
            logs = trained.step(real(), 5)
        assert not watch.read_back, watch.read_back[0]
        assert all(not v.requires_grad for v in logs.values())


@pytest.mark.parametrize("model", BASELINES)
def test_bf16_computes_the_networks_and_leaves_losses_in_float32(model):
    logs = model_of(e := tiny(model))(e, CPU, precision="bf16").step(real(), 5)
    assert {v.dtype for v in logs.values()} == {torch.float32}
    assert all(v.isfinite().all() for v in logs.values())


@pytest.mark.parametrize("model", BASELINES)
def test_every_size_and_colour_is_drawn(model):
    for size, channels in ((64, 1), (32, 3)):
        e = tiny(model, size=size, channels=channels, width=8)
        G = model_of(e).networks(e)[0].eval()
        assert runs.generate(G, e, 2).shape == (2, channels, size, size)


@pytest.mark.parametrize("model", BASELINES)
def test_two_hundred_and_fifty_six_pixels_are_possible(model):
    e = Experiment.make(model, "covid-ct", "paper", size=256, width=8)
    G, D = model_of(e).networks(e)
    drawn = G(*model_of(e).inputs(e, torch.Generator().manual_seed(0)))
    assert drawn.shape == (2, 1, 256, 256)
    if D is not None:
        judged = D(drawn)
        score = judged[0] if isinstance(judged, tuple) else judged
        assert len(score) == 2 and score.isfinite().all()


WITH_ALL_PARTS = dict(attention=True, mix="attnmix", skip="ema", pixel_branch=True)
WITH_ALL_PARTS |= dict(feature_loss="l2", augment="translation", ramp=2, flips=True)
VARIANTS = {
    **dict.fromkeys(("hagan", "sagan", "dcgan"), (WITH_ALL_PARTS,)),
    "wgan": ({}, dict(lipschitz="penalty")),
}
"""Choices with which a model's step reads every field that it reads under some choice."""


def fields_read(model):
    """Return the names of the fields that networks, steps of both phases and sampling read."""
    read = set()
    for changes in VARIANTS.get(model, ({},)):
        e = tiny(model, **changes)

        class Watched(type(e)):
            def __getattribute__(self, name):
                read.add(name)
                return super().__getattribute__(name)

        object.__setattr__(e, "__class__", Watched)
        made = model_of(e)(e, CPU)
        x = torch.zeros(e.batch_size, e.channels, e.size, e.size)
        for t in (0, e.steps - 1):  # in both phases
            made.step(x, t)
        made.draw(made.averaged(), 2, e, torch.Generator().manual_seed(0))
    return read & field_names(type(e))


@pytest.mark.parametrize("model", MODELS)
def test_a_field_that_is_refused_is_one_that_no_step_reads(model):
    read = fields_read(model)
    assert {"size", "lr_g", "flips"} <= read and not read & set(choices_of(model).REFUSED)


NOT_THE_STEPS = dict(
    model="it says whose step is taken",
    preset="a label",
    **dict.fromkeys(("dataset", "patient", "masks", "heldout", "n_train"), "the images are"),
    **dict.fromkeys(("steps", "batch_size"), "the loop reads it"),
    **dict.fromkeys(
        ("width", "phase_two"), "presets and lesson 12 give it to every model, to some for nothing"
    ),
)
"""Fields that a model need neither read nor refuse, each with the reason."""


@pytest.mark.parametrize("model", MODELS)
def test_a_field_is_read_by_the_model_or_refused(model):
    """Otherwise `--set FIELD=VALUE` would be accepted and change nothing but the hash."""
    kind = choices_of(model)
    silent = field_names(kind) - fields_read(model) - set(kind.REFUSED) - set(NOT_THE_STEPS)
    assert not silent, f"read {silent} in {model}'s step, or name them in its REFUSED"


def test_dcgan_and_sagan_are_hagan_with_parts_off():
    for model, attention in (("dcgan", False), ("sagan", True)):
        one = tiny(model, flips=False)
        switched = {
            k: v for k, v in one.to_dict().items() if k not in ("model", "dataset", "preset")
        }
        other = Experiment.make("hagan", "mni152", "smoke", **switched)
        assert other.attention is attention
        logs = [Hagan(e, CPU).step(real(), 0) for e in (one, other)]
        assert all(torch.equal(logs[0][k], logs[1][k]) for k in logs[0])


def test_the_u_net_judges_the_image_and_every_pixel_and_its_skips_carry_detail():
    D = unetgan.UNet(64, 1, 8)
    x = torch.rand(2, 1, 64, 64) * 2 - 1
    judged = D(x)
    assert judged.image.shape == (2,) and judged.pixel.shape == (2, 1, 64, 64)
    x.requires_grad_()
    D(x).pixel[0, 0, 32, 32].backward()
    seen = x.grad[0, 0] != 0
    # Through the bottleneck a pixel's verdict depends on the whole image ...
    assert seen.float().mean() > 0.9
    # ... and through the skips on its place.
    near, far = x.grad[0, 0, 24:40, 24:40], x.grad[0, 0, :8, :8]
    assert near.abs().mean() > 2 * far.abs().mean()


def test_unet_gans_mixed_images_come_in_slowly():
    e = tiny("unetgan", phase_two=4, flips=False)
    one, other = (model_of(e)(e, CPU).step(real(), t) for t in (0, 4))
    plain = one["d_img"] + one["d_pix"]
    torch.testing.assert_close(one["d"], plain)
    assert other["d"] > other["d_img"] + other["d_pix"]


def test_the_clipped_critic_has_small_weights_and_the_penalised_one_a_slope_near_one():
    clipped = model_of(e := tiny("wgan"))(e, CPU)
    clipped.step(real(), 0)
    assert max(p.abs().max() for p in clipped.D.parameters()) <= e.clip
    assert isinstance(clipped.opt_d, torch.optim.RMSprop)

    e = tiny("wgan", lipschitz="penalty", lr_g=1e-4, lr_d=1e-4, batch_size=16)
    penalised = model_of(e)(e, CPU)
    assert isinstance(penalised.opt_d, torch.optim.Adam)
    first = penalised.step(real(16), 0)["d_penalty"]
    for t in range(30):
        last = penalised.step(real(16), t)["d_penalty"]
    assert last < first / 4


def test_the_gradient_penalty_is_its_formula():
    trained = model_of(e := tiny("wgan", lipschitz="penalty"))(e, CPU)
    x, w = real(), torch.randn(32 * 32)
    trained.D = lambda u: u.flatten(1) @ w  # a linear critic has the slope ||w|| everywhere
    assert trained._penalty(x, x).item() == pytest.approx((w.norm().item() - 1) ** 2, rel=1e-4)


def test_wgans_counts_do_not_depend_on_the_width():
    counts = set()
    for width in (8, 32):
        G, _ = wgan.Model.networks(tiny("wgan", width=width))
        counts.add(sum(p.numel() for p in G.parameters()))
    assert len(counts) == 1


def test_infogans_latent_is_noise_one_category_and_two_codes():
    e = tiny("infogan")
    latent = infogan.Model.latent(200, e, torch.Generator().manual_seed(0))
    z, category, code = latent.split([62, 10, 2], 1)
    assert latent.shape == (200, e.z_dim)
    assert (category.sum(1) == 1).all() and set(category.unique().tolist()) == {0.0, 1.0}
    assert (category.sum(0) > 5).all()
    assert z.abs().max() <= 1 and code.abs().max() <= 1 and code.std() > 0.5


def test_infogans_code_can_be_read_off_its_images():
    """What the information term is for: without it D cannot guess the category, with it it can."""
    right = {}
    for info in (0.0, 1.0):
        e = tiny("infogan", width=16, steps=60, batch_size=32, info=info, flips=False)
        trained, x = infogan.Model(e, CPU), real(32)
        for t in range(e.steps):
            trained.step(x, t)
        latent = trained.latent(200, e, torch.Generator().manual_seed(1))
        with torch.no_grad():
            guess = trained.D(trained.G(latent))
        right[info] = (guess.category.argmax(1) == latent[:, 62:72].argmax(1)).float().mean().item()
    assert right[0.0] < 0.3 < 0.8 < right[1.0]


def test_ddim_takes_fewer_steps_than_ddpm_and_both_draw_the_same_kind_of_image():
    e = tiny("ddpm", ddim_steps=3)
    G, calls = model_of(e).networks(e)[0].eval(), []
    G.register_forward_hook(lambda *_: calls.append(1))
    quick = runs.generate(G, e, 2)
    assert len(calls) == 3
    assert (runs.generate(G, e, 2) == quick).all()
    assert (runs.generate(G, e, 2, seed=1) != quick).any()


@pytest.mark.parametrize("ddim_steps", [3, 0])
def test_images_drawn_a_few_at_a_time_are_those_drawn_at_once(monkeypatch, ddim_steps):
    from diffusers import DDPMScheduler

    e = tiny("ddpm", ddim_steps=ddim_steps)
    G, passes = model_of(e).networks(e)[0].eval(), []
    with torch.no_grad():
        G.net.conv_out.weight.normal_()  # an untrained net guesses nearly nothing
    set_timesteps = DDPMScheduler.set_timesteps  # three in place of a thousand
    monkeypatch.setattr(DDPMScheduler, "set_timesteps", lambda own, _: set_timesteps(own, 3))
    at_once = runs.generate(G, e, 5)
    G.register_forward_hook(lambda *given: passes.append(len(given[-1])))
    monkeypatch.setattr(ddpm, "PIXELS_AT_ONCE", 2 * e.size**2)
    in_parts = runs.generate(G, e, 5)
    assert passes == 3 * [2, 2, 1]
    assert abs(in_parts.astype(int) - at_once.astype(int)).max() <= 1


def test_ddpms_own_sampling_takes_a_thousand_steps():
    e = tiny("ddpm", ddim_steps=0)
    assert len(model_of(e)._scheduler(e.ddim_steps).timesteps) == 1000
    assert len(model_of(e)._scheduler(20).timesteps) == 20
    assert model_of(e)._scheduler(20).timesteps[0] == 999


def test_diffusions_loss_is_that_of_the_noise(monkeypatch):
    """A network that knows the noise has no loss; one that says 0 has the noise's variance."""
    trained = model_of(e := tiny("ddpm", batch_size=16))(e, CPU)
    monkeypatch.setattr(trained, "descend", lambda *_: None)
    x = real(16)
    trained._G = lambda noisy, s: torch.zeros_like(noisy)
    assert trained.step(x, 0)["g"].item() == pytest.approx(1, abs=0.05)
    level = trained.scheduler.alphas_cumprod

    def knows(noisy, s):
        a = level[s][:, None, None, None]
        return (noisy - a.sqrt() * x) / (1 - a).sqrt()

    trained.e = tiny("ddpm", flips=False)
    trained._G = knows
    assert trained.step(x, 0)["g"].item() < 1e-5


def test_a_baseline_imports_nothing_of_the_trainer():
    allowed = {"baselines", "config", "attnmix", "discriminator", "generator", "hagan", "losses"}
    allowed |= {"model", "levels", "system.choices", "baselines._plain"}
    for path in (ROOT / "hagan_lite" / "baselines").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("hagan_lite"):
                inner = node.module.removeprefix("hagan_lite").removeprefix(".")
                assert ({inner} if inner else {a.name for a in node.names}) <= allowed, path.name


USES_RGAN = """
from pathlib import Path

import torch

from hagan_lite import datasets, evaluation, runs
from hagan_lite.config import Experiment
from hagan_lite.report import table1, tables
from hagan_lite.train import train


def stop(line):
    if line["step"] == 7:  # two steps after a checkpoint
        raise KeyboardInterrupt


how = dict(preset="smoke", steps=8, margin=2)
e, images = Experiment.make("rgan", **how), datasets.load("mni152")
assert e.changes["margin"] == 2
through = train(e, Path("through"), images)
try:
    train(e, Path("stopped"), images, on_log=stop)
except KeyboardInterrupt:
    assert not runs.finished(Path("stopped"))
again = train(e, Path("stopped"), images)
one, other = (runs.load_generator(run).state_dict() for run in (through, again))
assert all(torch.equal(weights, other[name]) for name, weights in one.items())
assert runs.sample(again, 2).shape == (2, 1, 64, 64)

record = runs.make_record(through, SCORE)
assert tables.table_2([record])["model"].tolist() == ["rgan"]
table = table1.table_1().set_index(["model", "network"])
assert set(table.loc["rgan"].index) == {"G", "D", "all"}

held = Experiment.make("rgan", heldout=0.1, **how)
assert "gap" in evaluation.on_heldout(train(held, Path("held"), images), images)
"""


def test_a_model_is_added_by_adding_a_file(tmp_path):
    """CONTRIBUTING.md's example does what the page says: it trains, resumes, and has its rows."""
    page = (ROOT / "CONTRIBUTING.md").read_text()
    _, _, rest = page.partition("```python\n")
    example, _, _ = rest.partition("```")
    copy = tmp_path / "hagan_lite"
    shutil.copytree(ROOT / "hagan_lite", copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "baselines" / "rgan.py").write_text(example)
    done = forked.run("-c", f"SCORE = {helpers.SCORE!r}\n{USES_RGAN}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]


def test_u_net_gans_encoder_calls_a_mixed_image_fake_and_its_decoder_knows_each_pixel(monkeypatch):
    masks, asked, d_loss, mixed = [], [], losses.d_loss, attnmix.mix
    trained = model_of(e := helpers.tiny("unetgan", phase_two=2))(e, CPU)

    def noted(score, target, kind):
        asked.append(target)
        return d_loss(score, target, kind)

    monkeypatch.setattr(attnmix, "mix", lambda x, fake, M: masks.append(M) or mixed(x, fake, M))
    monkeypatch.setattr(losses, "d_loss", noted)
    trained.step(real(), 4)  # the warm-up is over
    *labels, pixels = asked[:6]
    assert labels == [1, 0, 1, 0, 0] and torch.equal(pixels, masks[0])


def test_u_net_gans_warm_up_ends():
    e = helpers.tiny("unetgan", phase_two=4, flips=False)
    one, other = (model_of(e)(e, CPU).step(real(), t)["d"] for t in (4, 11))
    assert one == other  # the same networks and draws


def test_the_penalty_is_taken_between_real_and_fake():
    trained = model_of(e := helpers.tiny("wgan", lipschitz="penalty"))(e, CPU)
    seen = []
    trained.D = lambda u: seen.append(u.detach()) or u.flatten(1).square().sum(1)
    x = real()
    trained._penalty(x, torch.full_like(x, 2.0))
    share = (seen[0] - x) / (2 - x)
    assert 0 < share.amin() < share.amax() < 1 and share.flatten(1).std(1).max() < 1e-4


def test_diffusion_learns_at_every_level_of_noise(monkeypatch):
    trained, levels = model_of(e := helpers.tiny("ddpm", batch_size=64))(e, CPU), []
    monkeypatch.setattr(trained, "descend", lambda *_: None)
    trained._G = lambda noisy, s: levels.append(s) or torch.zeros_like(noisy)
    for t in range(4):
        trained.step(real(64), t)
    quarters = torch.cat(levels).div(250).floor().long().bincount()
    assert len(quarters) == 4 and quarters.min() > 32  # of 64 on average


@pytest.mark.parametrize("model", BASELINES)
def test_each_network_descends_the_loss_that_is_logged(model, monkeypatch):
    trained, descended = model_of(e := tiny(model))(e, CPU), {}
    monkeypatch.setattr(trained, "descend", lambda opt, loss: descended.update({opt: loss}))
    logs = trained.step(real(), 5)
    assert descended[trained.opt_g] == logs["g"]
    assert trained.opt_d is None or descended[trained.opt_d] == logs["d"]


def test_the_critic_moves_several_times_a_step_each_time_on_other_fakes(monkeypatch):
    trained, fakes = model_of(e := tiny("wgan", critic_steps=3))(e, CPU), []
    step = trained._critic_step
    monkeypatch.setattr(
        trained, "_critic_step", lambda x, fake: fakes.append(fake) or step(x, fake)
    )
    trained.step(real(), 0)
    assert len(fakes) == 3 and not torch.equal(fakes[0], fakes[1])
    assert trained.opt_d.state_dict()["state"][0]["step"] == 3
    assert trained.opt_g.state_dict()["state"][0]["step"] == 1
    assert trained.opt_d.param_groups[0]["momentum"] == 0  # it does harm, as the source says


def test_the_penalty_has_its_weight():
    logs = model_of(e := tiny("wgan", lipschitz="penalty", penalty=3.0))(e, CPU).step(real(), 0)
    torch.testing.assert_close(logs["d"], logs["d_img"] + 3 * logs["d_penalty"])


def test_infogans_loss_weighs_category_and_codes_as_its_equation_says():
    trained = model_of(e := tiny("infogan", info=2.0, info_continuous=0.5))(e, CPU)
    latent = trained.latent(8, e, torch.Generator().manual_seed(0))
    noise = torch.randn(8, 1 + 10 + 2, generator=torch.Generator().manual_seed(1))
    guess = infogan.Guess(noise[:, 0], noise[:, 1:11], noise[:, 11:])
    chosen = guess.category.log_softmax(1)[latent[:, 62:72] == 1]
    codes = (latent[:, 72:] - guess.code).square().mean()
    torch.testing.assert_close(trained._info(guess, latent), 2 * (0.5 * codes / 2 - chosen.mean()))


def test_u_net_gans_consistency_is_weighed_by_beta2():
    one, other = (
        model_of(e := tiny("unetgan", phase_two=2, beta2=beta2))(e, CPU).step(real(), 4)
        for beta2 in (0.0, 3.0)
    )
    torch.testing.assert_close(other["d"] - one["d"], 3 * one["d_cons"])


def test_u_net_gans_consistency_asks_for_the_real_map_where_the_image_is_real():
    """A D whose map is the image itself is consistent."""

    class Copies(torch.nn.Module):
        def forward(self, x):
            return Judgement(x.mean((1, 2, 3)), x, [])

    trained = model_of(e := tiny("unetgan"))(e, CPU)
    trained._D = Copies()
    trained.descend = lambda *_: None
    assert trained.step(real(), 5)["d_cons"] == 0


def test_ddpms_own_noise_follows_the_seed(monkeypatch):
    """DDIM draws none after the first image."""
    e = tiny("ddpm", ddim_steps=0)
    scheduler = model_of(e)._scheduler(0)
    scheduler.set_timesteps(3)
    monkeypatch.setattr(model_of(e), "_scheduler", lambda _: scheduler)
    G = model_of(e).networks(e)[0].eval()
    assert (runs.generate(G, e, 2) == runs.generate(G, e, 2)).all()
