import dataclasses
import subprocess
import sys
from dataclasses import dataclass

import pytest

import hagan_lite.baselines  # noqa: F401  (it registers their experiments)
from hagan_lite import config, runs
from hagan_lite.cli import fields
from hagan_lite.config import MODELS, PRESETS, Experiment, choices_of
from hagan_lite.system.choices import about_of, check_values, choice
from hagan_lite.system.paths import SEARCHED, UNTRAINED


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("preset", PRESETS)
def test_every_model_has_every_preset(model, preset):
    e = Experiment.make(model, preset=preset)
    assert 0 <= e.phase_two < e.steps
    assert e.changes == {}


def test_the_paper_preset_is_the_papers_setting():
    low, high = (
        Experiment.make(dataset="covid-ct", preset="paper", size=size) for size in (64, 256)
    )
    assert (low.width, low.z_dim, low.batch_size, low.lr_g, low.lr_d) == (64, 100, 32, 1e-3, 1e-3)
    assert (high.z_dim, high.batch_size) == (1000, 2)
    assert low.phase_two == 100 * 13  # 100 epochs of 396 images in batches of 32


def test_the_base_model_has_everything_switched_off():
    e = Experiment.make("dcgan")
    assert (e.attention, e.skip, e.pixel_branch, e.mix, e.policy) == (
        False,
        "off",
        False,
        "off",
        (),
    )
    assert e.flips  # Table II's; Table IV's base model has none


def test_phase_two_starts_after_a_fifth_unless_told():
    assert Experiment.make(steps=1000).phase_two == 200
    assert Experiment.make(steps=1000, phase_two=0).phase_two == 0


def test_only_a_model_with_T_or_mixed_images_has_a_second_phase():
    assert Experiment.make(steps=1000).second_phase == 200
    assert Experiment.make("sagan", steps=1000, augment="brightness").second_phase == 200
    assert Experiment.make("hagan", augment="", mix="off").second_phase is None
    for model in ("dcgan", "wgan", "infogan", "unetgan", "ddpm"):
        assert Experiment.make(model).second_phase is None


def test_the_hash_moves_with_every_field_that_decides_the_result():
    e = Experiment.make()
    other = dict(
        dataset="covid-ct", channels=3, size=128, attention=True, skip="off", pixel_branch=False
    )
    other |= dict(
        pixel_kernel=1, mix="cutmix", augment="contrast", adversarial="ns", feature_loss="l2"
    )
    other |= dict(patient="p.", masks=True)
    other |= dict(flips=True, border="black", saliency="received", fresh_noise=True)
    for field in dataclasses.fields(Experiment):
        if field.name in (
            "preset",
            "model",
            "attention",
            "border",
        ):  # a label; and three that are checked below
            continue
        value = getattr(e, field.name)
        changed = other.get(field.name, value * 0.5 + 0.01 if isinstance(value, float) else None)
        changed = value + 1 if changed is None else changed
        assert dataclasses.replace(e, **{field.name: changed}).hash != e.hash, field.name
    assert Experiment.make("sagan").hash != Experiment.make("sagan", attention=False).hash
    assert Experiment.make("dcgan").hash != Experiment.make("dcgan", border="black").hash
    assert (
        Experiment.make("hagan").hash == Experiment.make("hagan", border="black").hash
    )  # which shifts nothing
    assert (
        Experiment.make(mix="off").hash == Experiment.make(mix="off", saliency="received").hash
    )  # which nothing asks
    assert len({Experiment.make(model).hash for model in MODELS}) == len(MODELS)
    assert Experiment.make("wgan").hash != Experiment.make("wgan", lipschitz="penalty").hash


def test_the_hash_ignores_the_preset_label_and_a_users_path():
    assert (
        Experiment.make(preset="quick", steps=800, lr_g=4e-4).hash
        == Experiment.make(preset="cpu").hash
    )
    a, b = Experiment.make(dataset="/scans/smith"), Experiment.make(dataset="/elsewhere")
    assert a.hash == b.hash
    assert "smith" not in str(a.to_dict())


def test_the_hash_is_stable_across_versions_of_python():
    assert (
        Experiment().hash == "db15d6630090"
    )  # a new default is a new experiment: change it here too


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        (dict(skip="sometimes"), "skip"),
        (dict(size=65), "size"),
        (dict(augment="cutout"), "cutout"),
        (dict(attention=False), "mix='attnmix' needs attention"),
        (dict(steps=0), "steps"),
        (dict(alpha=0.9), "alpha"),
        (dict(stepps=3), "stepps"),
        (dict(preset="huge"), "huge"),
        (dict(model="nosuchmodel"), "nosuchmodel"),
        (dict(phase_two=900), "phase_two=900: beyond steps=800"),
        (dict(preset="paper", steps=1000), "phase_two"),
        (dict(ramp=-1), "ramp"),
        (dict(adversarial="hinge"), "adversarial"),
        (dict(beta_1=0.9), "no such field: beta_1"),
        (dict(lr_g=-1e-3), "lr_g"),
        (dict(beta2=float("nan")), "beta2"),
        (dict(flips="False"), "flips.*bool"),
        (dict(width=8.0), "width.*int"),
        (dict(steps="abc"), "steps.*int"),
        (dict(steps=True), "steps.*int"),
        (dict(clip=0.1), "hagan has no such field: clip"),
        (dict(model="wgan", lipschitz="hope"), "lipschitz='hope': choose one of clip, penalty"),
        (dict(model="wgan", critic_steps=0), "critic_steps=0: must be at least 1"),
        (dict(model="ddpm", ddim_steps=1001), "ddim_steps=1001"),
        (dict(model="infogan", z_dim=12), "z_dim=12: must be over 12"),
        (dict(seed=-1), "seed=-1"),
        (dict(seed=2**31), "seed=2147483648"),
    ],
)
def test_a_wrong_value_is_named(changes, named):
    with pytest.raises(ValueError, match=named):
        Experiment.make(**changes)


@pytest.mark.parametrize(
    ("model", "changes"),
    [
        ("wgan", dict(augment="translation")),
        ("unetgan", dict(attention=False)),
        ("infogan", dict(beta2=2.0)),
        ("ddpm", dict(adversarial="ns")),
    ],
)
def test_a_field_that_the_model_does_not_use_is_named(model, changes):
    (name,) = changes
    with pytest.raises(ValueError, match=f"{model} does not use {name}"):
        Experiment.make(model, **changes)
    as_it_is = getattr(Experiment.make(model), name)
    assert Experiment.make(model, **{name: as_it_is}) == Experiment.make(model)
    assert f"\n{name} = " not in fields.described(Experiment.make(model))
    assert f"\n{name} = " in fields.described(Experiment.make("hagan"))


def test_experiments_that_are_equal_have_one_hash_and_the_other_way_round():
    pairs = [(dict(), dict(border="black")), (dict(mix="cutmix"), dict(saliency="received"))]
    pairs += [(dict(flips=True), dict(border="black")), (dict(), dict(alpha=0.25))]
    for one, more in pairs:
        a, b = Experiment.make(**one), Experiment.make(**(one | more))
        assert (a == b) == (a.hash == b.hash)


def test_the_paper_has_small_batches_for_large_images_alone():
    batches = {size: Experiment.make(preset="paper", size=size).batch_size for size in (32, 64)}
    assert batches == {32: 32, 64: 32}
    assert Experiment.make(preset="paper", size=128).batch_size == 2


@pytest.mark.parametrize("preset", ["smoke", "paper"])
@pytest.mark.parametrize(
    "changes",
    [dict(), dict(size=256), dict(size=128, steps=5000), dict(mix="cutmix", ramp=3)]
    + [dict(batch_size=16), dict(batch_size=16, steps=13_000, phase_two=1300)],
)
def test_changes_make_the_experiment_again(preset, changes):
    """`hagan run --set size=256` hands a notebook fields, which make the experiment again."""
    changes = ({"phase_two": 2} if "steps" in changes else {}) | changes
    e = Experiment.make("hagan", "covid-ct", preset, seed=3, **changes)
    assert Experiment.make(e.model, e.dataset, e.preset, seed=e.seed, **e.changes) == e


def test_an_integer_where_a_float_belongs_is_the_same_experiment():
    assert Experiment.make(beta=1).hash == Experiment.make(beta=1.0).hash


def test_changes_are_what_an_ablation_changed():
    assert Experiment.make(mix="cutmix", steps=300).changes == {"mix": "cutmix", "steps": 300}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_number_without_limits_is_finite(value):
    @dataclass(frozen=True)
    class Some:
        shift: float = choice(0.0, "a number without limits")

    with pytest.raises(ValueError, match="shift"):
        check_values(Some(value))
    check_values(Some(-1e30))


def test_a_field_that_does_not_exist_or_is_missing_is_named():
    written = Experiment().to_dict()
    assert Experiment.from_dict(written) == Experiment()
    with pytest.raises(ValueError, match="hagan has no field beta_1.*commit.*later=True"):
        Experiment.from_dict(written | {"beta_1": 0.5})
    del written["border"]
    with pytest.raises(ValueError, match="border, which is missing"):
        Experiment.from_dict(written)


def test_a_later_field_leaves_records_and_hashes_as_they_were(monkeypatch):
    """A default that is true shows that it is compared, not asked whether it is empty."""
    monkeypatch.setattr(config, "CHOICES", dict(config.CHOICES))
    before = Experiment()

    @dataclass(frozen=True)
    class WithMore(Experiment):
        clever: bool = choice(True, "added after records were committed", "ours", later=True)

    config.CHOICES["hagan"] = WithMore
    after = WithMore.from_dict(before.to_dict())
    assert after.clever and (after.to_dict(), after.hash) == (before.to_dict(), before.hash)
    switched = dataclasses.replace(after, clever=False)
    assert switched.hash != before.hash and WithMore.from_dict(switched.to_dict()) == switched


def test_every_committed_record_can_be_read_and_has_its_hash(records):
    others = [*runs.load_records(SEARCHED), *runs.load_records(UNTRAINED)]
    assert others
    for record in [*records, *others]:
        e = Experiment.from_dict(record["experiment"])
        assert (e.to_dict(), e.hash) == (record["experiment"], record["hash"]), record["name"]


@pytest.mark.parametrize("model", MODELS)
def test_every_field_says_what_it_means_where_it_is_from_and_has_a_default_within_its_limits(model):
    for field in dataclasses.fields(choices_of(model)):
        about = about_of(field)
        assert about.meaning and about.source, field.name
        assert about.allows(field.default), field.name


def test_hagan_fields_lists_every_field_without_loading_torch():
    lines = (
        "import sys; from hagan_lite.cli import app, fields; fields.fields('hagan'); "
        "assert 'torch' not in sys.modules"
    )
    listed = subprocess.run(
        [sys.executable, "-c", lines], capture_output=True, text=True, check=True
    ).stdout
    for field in dataclasses.fields(Experiment):
        assert f"\n{field.name} = " in f"\n{listed}"
    assert "alpha = 0.5    in [0, 0.5]\n" in listed


def test_hagan_fields_of_a_model_lists_its_own_with_its_defaults():
    listed = fields.described(Experiment.make("wgan"))
    assert "lr_g = 5e-05" in listed
    assert "lipschitz = clip    one of clip, penalty\n" in listed


def test_ddpm_has_a_tenth_of_its_rate_above_64_pixels():
    """With more it answered 0 to everything at 256x256, and the source has a tenth there, too."""
    for preset in ("cpu", "paper"):
        small, large = (Experiment.make("ddpm", preset=preset, size=size) for size in (64, 256))
        assert large.lr_g == pytest.approx(small.lr_g / 10)
        assert "lr_g" not in large.changes
    assert Experiment.make("ddpm", size=256, lr_g=1e-3).changes["lr_g"] == 1e-3
