import json

import inception_weights
import numpy as np
import pytest
import torch
from helpers import hagan, stop_at, tiny
from PIL import Image

from hagan_lite import datasets, evaluation, runs, train
from hagan_lite.datasets import pixels
from hagan_lite.discriminator import Discriminator, Judgement
from hagan_lite.evaluation import audit, branches, features, generalization, metrics


def save(images, folder):
    folder.mkdir()
    for i, image in enumerate(images):
        Image.fromarray(image[0]).save(folder / f"{i:03d}.png")
    return folder


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """Return a folder of 24 slices of the brain."""
    return save(datasets.load("mni152").images[:96:4], tmp_path_factory.mktemp("few") / "scans")


@pytest.fixture(scope="module")
def run(few, tmp_path_factory):
    """Return a finished run on the folder of 24 images."""
    return train.train(tiny(dataset=str(few)), tmp_path_factory.mktemp("few") / "run")


@pytest.fixture
def cheap_inception(monkeypatch):
    """Stand in for both of Inception's layers: means and spreads of rows and columns."""

    class Rows(torch.nn.Module):
        def forward(self, x):
            x = x[:, 0].float() / 255
            return torch.cat([x.mean(1), x.mean(2), x.std(1)], 1)

    for name in ("inception-768", "inception"):
        monkeypatch.setitem(
            features.EXTRACTORS, name, features.EXTRACTORS[name]._replace(build=Rows, digest=str)
        )


def test_several_extractors_score_the_same_images_and_the_first_one_is_the_main_one(
    cheap_inception, tmp_path, few, run
):
    images = datasets.load(str(few))
    fake = images.images[::-1, :, :, ::-1].copy()
    names = "efficientnet-lite0,inception-768,inception"
    result = evaluation.of_images(images, fake, names, device="cpu")
    alone = evaluation.of_images(images, fake, "efficientnet-lite0", device="cpu")
    assert result.metrics == alone.metrics and alone.also == {}
    assert list(result.also) == ["inception-768", "inception"]
    for name, key in (("inception-768", "fid768"), ("inception", "fid")):
        scores = result.also[name]
        renamed = {k.replace("fd", key) for k in result.metrics}
        assert set(scores) == renamed
        assert scores["extractor"] == name
        assert [scores[k] for k in ("n_real", "n_fake", "n_floor")] == [24, 24, 12]
        assert scores == evaluation.of_images(images, fake, name, device="cpu").metrics
    assert set(result.audits) == {"efficientnet-lite0", "pixels"}
    record = runs.make_record(
        run, result.metrics, also=result.also, audit=evaluation.summaries(result.audits)
    )
    runs.save_record(record, "a", tmp_path)
    (written,) = runs.load_records(tmp_path)
    assert (written["metrics"], written["also"]) == (result.metrics, result.also)
    assert "also" not in runs.make_record(run, alone.metrics, also=alone.also)


def test_a_run_evaluated_by_several_extractors_keeps_and_prints_each(cheap_inception, few, run):
    names = "efficientnet-lite0,inception-768"
    result = evaluation.of_run(run, names, sets=2, device="cpu", dataset=str(few))
    written = json.loads((run / "evaluation.json").read_text())
    assert written["metrics"] == result.metrics
    assert written["also"] == result.also
    assert len(result.also["inception-768"]["fid768_sets"]) == 2
    lines = evaluation.in_words(result).splitlines()
    assert [line.split()[0] for line in lines if line.startswith("F")] == ["FD", "FID-768"]


def test_an_unknown_extractor_is_refused_before_anything_is_sampled(run, monkeypatch):
    monkeypatch.setattr(runs, "sample", lambda *_: pytest.fail("sampled"))
    with pytest.raises(ValueError, match="choose auto"):
        evaluation.of_run(run, "efficientnet-lite0,vgg")


def test_two_folders_are_compared_by_two_extractors(monkeypatch, tmp_path):
    monkeypatch.setenv("HAGAN_INCEPTION_WEIGHTS", str(tmp_path / "trunk.pth"))
    torch.save(inception_weights.trunk_of(inception_weights.whole()), tmp_path / "trunk.pth")
    images = datasets.load("mni152").images
    real, fake = save(images[:24:2], tmp_path / "real"), save(images[1:24:2], tmp_path / "fake")
    names = "efficientnet-lite0,inception-768"
    done = hagan("evaluate", str(real), str(fake), "--extractor", names)
    assert done.exit_code == 0, done.exception
    printed = [
        line.split()[0] for line in done.output.splitlines() if line and not line[0].isspace()
    ]
    assert printed.count("FD") == printed.count("FID-768") == 1
    assert "FID" not in printed
    assert "audit in inception-768" not in done.output


def test_a_run_is_evaluated_with_spread_floor_and_audit(few, run):
    words = ["--dataset", str(few), "--sets", "2", "--extractor", "efficientnet-lite0"]
    done = hagan("evaluate", str(run), *words)
    assert done.exit_code == 0, done.exception
    for words in (
        "FD ",
        "mean of 2 fresh sets",
        "floor there",
        "KID",
        "precision",
        "audit in pixels: ",
    ):
        assert words in done.output
    written = json.loads((run / "evaluation.json").read_text())
    assert written["metrics"]["n_fake"] == 24
    assert set(written["audit"]) == {"efficientnet-lite0", "pixels"}
    assert "verdict" in written["audit"]["pixels"]


def test_two_folders_are_compared_and_a_copying_one_is_caught(tmp_path):
    images = datasets.load("mni152").images
    real = save(images[::2], tmp_path / "real")
    fake = save(np.clip(images[::2].astype(int) + 2, 0, 255).astype(np.uint8), tmp_path / "fake")
    done = hagan("evaluate", str(real), str(fake), "--extractor", "efficientnet-lite0")
    assert done.exit_code == 0, done.exception
    assert "audit in pixels: suspicious" in done.output
    assert "audit in efficientnet-lite0: suspicious" in done.output


def test_three_folders_are_one_too_many(tmp_path):
    done = hagan("evaluate", "a", "b", "c")
    assert isinstance(done.exception, ValueError)
    assert "two folders" in str(done.exception)


def test_a_run_is_not_judged_by_other_images(run, tmp_path):
    other = save(datasets.load("mni152").images[:8], tmp_path / "other")
    with pytest.raises(ValueError, match="other images"):
        evaluation.of_run(run, dataset=str(other))


def test_where_nothing_can_be_held_out_the_audit_says_so():
    images = datasets.load("mni152")
    one_group = datasets.Dataset("folder", images.images[:20], images.groups[:20] * 0, "x")
    result = evaluation.of_images(
        one_group, images.images[20:40], "efficientnet-lite0", device="cpu"
    )
    assert "not audited" in result.audits["pixels"]


def brightness_judged(image, pixel):
    """Return a D whose branches score brightness, times `image` and times `pixel`."""
    D = Discriminator(size=32, width=4)
    D.forward = lambda x: Judgement(image * x.mean((1, 2, 3)), pixel * x, [])
    return D


@pytest.mark.parametrize(("image", "pixel"), [(1.0, 1.0), (1.0, 0.0), (-1.0, 1.0), (0.0, -1.0)])
def test_each_branch_is_asked_for_itself(image, pixel):
    """Real images are bright and fake ones dark, so that brightness tells them apart."""
    real, mask = torch.full((3, 1, 32, 32), 0.5), torch.zeros(3, 1, 32, 32)
    mask[:, :, :10] = 1
    batch = branches.MixBatch(real, -real, mask)
    found = branches.branch_auc(brightness_judged(image, pixel), [batch, batch])
    right = {1.0: 1.0, 0.0: 0.5, -1.0: 0.0}
    assert found == (right[image], right[pixel])


def test_a_d_without_a_pixel_branch_is_named():
    with pytest.raises(ValueError, match="pixel"):
        branches.branch_auc(Discriminator(size=32, width=4, pixel_branch=False), [])


@pytest.mark.parametrize("pixel_branch", [True, False])
def test_d_over_the_training_ends_with_d_after_the_last_step(tmp_path, pixel_branch):
    e, images = tiny(heldout=0.3, pixel_branch=pixel_branch), datasets.load("mni152", 32)
    done = train.train(e, tmp_path / "run", images, history=True)
    found = evaluation.on_heldout(done, images)
    over = found["over_training"]
    assert {kind: over[kind][-1] for kind in found["gap"]} == found["gap"]
    assert over["step"][-1] == e.steps and len({len(values) for values in over.values()}) == 1
    assert ("pixel" in over) == pixel_branch
    one_by_one = evaluation.over_training(done, images)
    assert one_by_one == over  # the same z and the same boxes every time


def test_without_a_history_nothing_is_said_of_d_over_the_training(tmp_path):
    images = datasets.load("mni152", 32)
    done = train.train(tiny(heldout=0.3), tmp_path / "run", images)
    assert "over_training" not in evaluation.on_heldout(done, images)
    whole = train.train(tiny(), tmp_path / "whole", images, history=True)
    assert not list((whole / "history").glob("discriminator*"))  # nothing is held out


def test_a_history_of_a_part_of_the_training_is_no_curve(tmp_path):
    """Stopped with --curve and resumed without it: what lies there ends in the middle."""
    e, images = tiny(heldout=0.3), datasets.load("mni152", 32)

    with pytest.raises(KeyboardInterrupt):
        train.train(e, tmp_path / "run", images, on_log=stop_at(7), history=True)
    done = train.train(e, tmp_path / "run", images)
    with pytest.warns(UserWarning, match="incomplete history"):
        assert evaluation.over_training(done, images) == {}
    with pytest.warns(UserWarning, match="incomplete history"):
        assert evaluation.learning_curve(done, images) == {}


def test_stopped_and_resumed_with_its_history_equals_never_stopped(tmp_path):
    e, images = tiny(heldout=0.3), datasets.load("mni152", 32)

    with pytest.raises(KeyboardInterrupt):
        train.train(e, tmp_path / "parts", images, on_log=stop_at(7), history=True)
    parts = train.train(e, tmp_path / "parts", images, history=True)
    whole = train.train(e, tmp_path / "whole", images, history=True)
    assert evaluation.over_training(parts, images) == evaluation.over_training(whole, images)


def test_a_few_held_out_images_have_a_gap_though_no_distance(tmp_path):
    """Three held-out images are too few for FD; D can be asked all the same."""
    whole = datasets.load("mni152", 32)
    few = datasets.Dataset("few", whole.images[::12], np.arange(len(whole.images[::12])), "x")
    e = tiny(heldout=0.3)
    assert 0 < len(few.split(e.heldout)[1]) < metrics.FEWEST
    found = evaluation.on_heldout(train.train(e, tmp_path / "run", few), few)
    assert set(found) == {"gap"}


def test_networks_that_a_run_does_not_have_are_named_with_a_remedy(tmp_path):
    images = datasets.load("mni152", 32)
    done = train.train(tiny(), tmp_path / "run", images)
    for load in (runs.load_generator, runs.load_discriminator):
        with pytest.raises(FileNotFoundError, match="step_000005.*there are none.*--curve"):
            load(done, "cpu", 5)
    plain = train.train(tiny("ddpm", blocks=1), tmp_path / "ddpm", images)
    with pytest.raises(ValueError, match="ddpm has no discriminator"):
        runs.load_discriminator(plain)


def test_a_d_that_has_learnt_its_images_by_heart_is_told(monkeypatch):
    """D scores what it knows 1 and all else 0: held-out images lie with generated ones."""
    known = np.full((4, 1, 32, 32), 200, np.uint8)
    others = np.full((6, 1, 32, 32), 40, np.uint8)
    D = Discriminator(size=32, width=4)
    monkeypatch.setattr(D.image, "forward", lambda x: ((x.mean((1, 2, 3)) > 0).float(), []))
    judged = generalization.judged(D.image, known, others, others)
    expected = dict(training=1.0, heldout=0.0, generated=0.0, auc=1.0, image=0.5)
    assert judged == expected


def test_scores_against_held_out_images_are_against_those(monkeypatch, tmp_path):
    images = datasets.load("mni152", 32)
    done = train.train(tiny(heldout=0.3), tmp_path / "run", images)
    monkeypatch.setattr(metrics, "evaluate", lambda real, fake, *_: dict(real=real, fake=fake))
    found = evaluation.on_heldout(done, images)["metrics"]
    _, held = images.split(0.3)
    assert np.array_equal(found["real"], images.images[held])
    assert len(found["fake"]) == len(held)


def test_each_step_is_judged_by_its_own_networks(tmp_path):
    e, images = tiny(heldout=0.3), datasets.load("mni152", 32)
    done = train.train(e, tmp_path / "run", images, history=True)
    over = evaluation.over_training(done, images)
    training, held = (images.images[part] for part in images.split(0.3))
    D, G = runs.load_discriminator(done, step=5), runs.load_generator(done, step=5)
    first = generalization.judged(D.image, training, held, runs.generate(G, e, len(held)))
    assert {kind: over[kind][0] for kind in first} == first


def test_a_run_is_scored_against_its_training_images_alone(monkeypatch):
    monkeypatch.setattr(metrics, "evaluate", lambda real, *_: dict(real=real))
    monkeypatch.setattr("hagan_lite.evaluation.evaluate._audited", lambda *_: "not audited")
    images = datasets.load("mni152", 32)
    fake, how = images.images[:4], dict(device="cpu", heldout=0.3, n_train=20)
    found = evaluation.of_images(images, fake, "efficientnet-lite0", **how)
    training, _ = images.split(0.3, 20)
    assert np.array_equal(found.metrics["real"], images.images[training])


def flat(images, *_):
    """Stand in for a network's features."""
    return torch.tensor(images).flatten(1).double()


@pytest.mark.parametrize("heldout", [0.0, 0.3])
def test_an_audit_is_of_the_training_part_by_what_is_held_out_or_by_folds(monkeypatch, heldout):
    monkeypatch.setattr(metrics, "evaluate", lambda *_: {})
    monkeypatch.setattr("hagan_lite.evaluation.evaluate.features", flat)
    images, fake = datasets.load("mni152", 32), datasets.load("mni152", 32).images[::9]
    how = dict(seed=3, device="cpu", heldout=heldout, n_train=60)
    found = evaluation.of_images(images, fake, "efficientnet-lite0", **how).audits
    training, held = images.split(heldout, 60)
    real = flat(images.images[training])
    if heldout:
        wanted = audit.audit(real, flat(fake), flat(images.images[held]), 3)
    else:
        wanted = audit.audit_by_folds(real, flat(fake), images.groups[training], 3)
    assert found["pixels"].samples == pytest.approx(wanted.samples)
    assert found["pixels"].heldout == pytest.approx(wanted.heldout)
    assert found["efficientnet-lite0"].summary() == wanted.summary()


def begun(run, images, **changes):
    """Return the folder of a run that has begun on some of the images, and its experiment."""
    e = tiny(heldout=0.3, n_train=20, **changes)
    runs.open_run(run, e, images, runs.CPU)
    return run, e


def test_a_run_is_evaluated_by_sets_of_other_seeds_as_large_as_its_training_part(
    monkeypatch, tmp_path
):
    run, e = begun(tmp_path, datasets.load("mni152", 32))
    drawn, given = [], {}

    def noted(images, fake, names, seed, device, **how):
        given.update(how, seed=seed)
        return evaluation.Evaluation({}, {})

    monkeypatch.setattr(runs, "sample", lambda _, n, seed, *__: drawn.append((n, seed)) or seed)
    monkeypatch.setattr("hagan_lite.evaluation.evaluate.of_images", noted)
    evaluation.of_run(run, "efficientnet-lite0", sets=2, seed=5, device="cpu")
    assert drawn == [(20, 5), (20, 6), (20, 7)]
    assert given == dict(seed=5, fresh=(6, 7), heldout=e.heldout, n_train=e.n_train)


def test_a_learning_curve_is_measured_against_the_training_part(monkeypatch, tmp_path):
    images = datasets.load("mni152", 32)
    run, e = begun(tmp_path, images)
    monkeypatch.setattr(runs, "history_of", lambda *_: [5, 10])
    monkeypatch.setattr(runs, "sample", lambda run, n, device, step: (step, n))
    monkeypatch.setattr("hagan_lite.evaluation.evaluate.curve_of_images", lambda *given: given)
    real, drawn, *_ = evaluation.learning_curve(run, images, device="cpu")
    assert np.array_equal(real, images.images[images.split(e.heldout, e.n_train)[0]])
    assert drawn == {5: (5, 20), 10: (10, 20)}


def test_d_is_asked_about_its_own_training_part_and_what_is_held_out(monkeypatch, tmp_path):
    """D scores brightness; each image has another one, and generated images are black."""
    grey = np.arange(100, 180, dtype=np.uint8)[:, None, None, None]
    images = datasets.Dataset("greys", grey.repeat(32, 2).repeat(32, 3), np.arange(80), "x")
    run, e = begun(tmp_path, images)
    D, drawn = brightness_judged(1.0, 1.0), []
    D.image.forward = lambda x: (x.mean((1, 2, 3)), [])

    def black(run, n, seed=0, device="cpu", dataset=None, step=None):
        drawn.append((seed, step))
        return np.zeros((n, 1, 32, 32), np.uint8)

    monkeypatch.setattr(runs, "history_of", lambda *_: [5])
    monkeypatch.setattr(runs, "load_discriminator", lambda *_: D)
    monkeypatch.setattr(runs, "sample", black)
    monkeypatch.setattr(metrics, "evaluate", lambda *_: {})
    found = evaluation.on_heldout(run, images, device="cpu", seed=4)
    parts = (pixels.to_tensor_range(images.images[part]) for part in images.split(0.3, e.n_train))
    training, held = (part.mean((1, 2, 3)) for part in parts)
    gap = dict(training=training.mean(), heldout=held.mean())
    gap["auc"] = (training[:, None] > held).mean()
    assert found["gap"] == pytest.approx(gap) and set(drawn) == {(4, None), (0, 5)}
    over = {name: value for name, (value,) in found["over_training"].items()}
    assert over == pytest.approx(gap | dict(step=5, generated=-1.0, image=1.0, pixel=1.0))
