import os
import pickle
import urllib.error
from pathlib import Path

import numpy as np
import pytest
import torch
from inception_weights import trunk_of, whole

from hagan_lite import datasets
from hagan_lite.evaluation import features, inception, metrics
from hagan_lite.system.paths import BUILD, ROOT


@pytest.fixture
def images():
    return datasets.load("mni152").images[::16].copy()


@pytest.fixture
def no_cache(monkeypatch, tmp_path):
    monkeypatch.setattr(features, "BUILD", tmp_path)
    return tmp_path / "cache" / "features"


@pytest.fixture
def save(monkeypatch, tmp_path):
    """Write weights, or any other object, to the file that HAGAN_INCEPTION_WEIGHTS names."""
    path = tmp_path / "weights.pth"
    monkeypatch.setenv("HAGAN_INCEPTION_WEIGHTS", str(path))

    def write(given):
        torch.save(given, path)
        return path

    return write


@pytest.fixture
def weights(save):
    """All of Inception, random, in a file where HAGAN_INCEPTION_WEIGHTS says."""
    return save(whole())


def test_features_are_extracted_once(images, no_cache, monkeypatch):
    first = features.features(images, "efficientnet-lite0")
    assert first.shape == (len(images), 1280)
    assert first.dtype == torch.float64
    (path,) = no_cache.iterdir()
    assert path.name.startswith(f"efficientnet-lite0-bicubic-antialias-224-n{len(images)}-1x64x64-")
    monkeypatch.setattr(features, "_extract", lambda *_: pytest.fail("extracted again"))
    assert torch.equal(features.features(images, "efficientnet-lite0"), first)


def test_other_images_have_other_features_and_a_damaged_cache_is_made_again(images, no_cache):
    first = features.features(images, "efficientnet-lite0")
    (path,) = no_cache.iterdir()
    other = images.copy()
    other[0, 0, 32, 32] ^= 255
    assert not torch.equal(features.features(other, "efficientnet-lite0"), first)
    path.write_bytes(path.read_bytes()[:100])
    assert torch.equal(features.features(images, "efficientnet-lite0"), first)


def test_grey_and_the_same_in_three_channels_are_one():
    grey = datasets.load("mni152").images[40:44]
    colour = features.features(grey.repeat(3, axis=1), "efficientnet-lite0")
    torch.testing.assert_close(
        features.features(grey, "efficientnet-lite0"), colour, atol=1e-5, rtol=1e-5
    )


def test_features_do_not_depend_on_the_batch(images, no_cache):
    one = features._extract(images, "efficientnet-lite0", torch.device("cpu"), 3)
    torch.testing.assert_close(
        one,
        features._extract(images, "efficientnet-lite0", torch.device("cpu"), 8),
        atol=1e-4,
        rtol=1e-4,
    )


def test_too_few_images_are_refused():
    with pytest.raises(ValueError, match="at least two"):
        features.features(np.zeros((1, 1, 64, 64), np.uint8))


def test_without_weights_and_network_the_error_says_where_to_put_them(
    images, monkeypatch, tmp_path
):
    monkeypatch.setenv("HAGAN_INCEPTION_WEIGHTS", str(tmp_path / "inception.pth"))

    def offline(*_, **__):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(ValueError, match=r"HAGAN_INCEPTION_WEIGHTS=.*inception\.pth"):
        features.choose_all("auto")  # whoever names a file wants FID-768
    for name in ("inception", "inception-768"):
        with pytest.raises(
            ConnectionError,
            match=r"no route.*weights-inception.*inception\.pth.*efficientnet-lite0",
        ):
            features.features(images, name)


def test_features_of_other_weights_are_not_taken_from_the_cache(images, save, no_cache):
    """A file can have the right names and shapes and still hold other numbers."""
    few, other = images[:2], {key: value * 1.5 for key, value in trunk_of(whole()).items()}
    save(trunk_of(whole()))
    first, digest = features.features(few, "inception-768"), inception.weights_digest("768")
    path = save(other)
    assert inception.weights_digest("768") != digest
    assert not torch.equal(features.features(few, "inception-768"), first)
    path.unlink()
    path.mkdir()
    with pytest.raises(ValueError, match=path.name):
        features.features(few, "inception-768")


def torch_fidelitys(layer, path, images):
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    net = FeatureExtractorInceptionV3(
        "inception", [layer], feature_extractor_weights_path=str(path)
    )
    return net(torch.from_numpy(images).expand(-1, 3, -1, -1))[0]


@pytest.mark.parametrize(("name", "layer"), [("inception", "2048"), ("inception-768", "768")])
def test_inceptions_features_are_torch_fidelitys(name, layer, images, weights, no_cache):
    computed = features.features(images[:3], name)
    assert computed.shape == (3, int(layer))
    wanted = torch_fidelitys(layer, weights, images[:3])
    assert wanted.std(0).mean() > 0  # images differ, so that the comparison says something
    torch.testing.assert_close(computed.float(), wanted, atol=1e-4, rtol=1e-3)


def test_the_trunk_alone_gives_the_same_768_features_as_all_weights(images, save):
    computed = []
    for given in (whole(), trunk_of(whole())):
        save(given)
        computed.append(features._extract(images[:2], "inception-768", torch.device("cpu"), 2))
    assert torch.equal(*computed)


def test_older_weights_without_counters_of_training_batches_are_read(save):
    path = save({k: v for k, v in whole().items() if not k.endswith("num_batches_tracked")})
    assert set(inception.read_weights(path)) == set(whole())


def test_nothing_behind_the_trunk_is_there_to_compute_with(save):
    for given in (whole(), trunk_of(whole())):
        save(given)
        net = features.EXTRACTORS["inception-768"].build()
        assert not [
            k for k in net.state_dict() if any(name in k for name in inception.BEHIND_TRUNK)
        ]
        assert not [k for k, v in net.state_dict().items() if v.is_meta]


def distances(a, b):
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    theirs = fid_statistics_to_metric(
        fid_features_to_statistics(a), fid_features_to_statistics(b), False
    )
    return metrics.frechet_distance(a, b), theirs["frechet_inception_distance"]


def test_fid_768_is_torch_fidelitys(save, no_cache):
    save(trunk_of(whole()))
    images = datasets.load("mni152").images
    a, b = (features.features(part, "inception-768") for part in (images[:4], images[60:64]))
    ours, theirs = distances(a, b)
    assert ours > 0
    assert ours == pytest.approx(theirs, rel=1e-3, abs=1e-3)


def test_fid_768_with_the_real_trunk_is_torch_fidelitys_too(monkeypatch, no_cache):
    shared = Path(os.environ.get("HAGAN_SHARED", ROOT.parent / "shared"))
    path = shared / "inception" / "inception-2015-12-05-to-768.pth"
    if not path.is_file():
        pytest.skip(f"{path} is not on this machine: it holds the trunk of Inception's weights")
    monkeypatch.setenv("HAGAN_INCEPTION_WEIGHTS", str(path))
    assert features.choose_all("auto") == ["efficientnet-lite0", "inception-768"]
    images = datasets.load("mni152").images
    noise = np.random.default_rng(0).integers(0, 256, (6, 1, 64, 64)).astype(np.uint8)
    parts = (images[:24:4], images[1:24:4], noise)
    sets = [features.features(part, "inception-768") for part in parts]
    to_neighbours, theirs = distances(sets[0], sets[1])
    to_noise, theirs_too = distances(sets[0], sets[2])
    assert to_neighbours == pytest.approx(theirs, rel=1e-3, abs=1e-3)
    assert to_noise == pytest.approx(theirs_too, rel=1e-3, abs=1e-3)
    assert to_neighbours < 0.5 * to_noise


def test_auto_is_every_extractor_that_has_its_weights(save, monkeypatch):
    save(trunk_of(whole()))
    assert features.choose_all("auto") == ["efficientnet-lite0", "inception-768"]
    path = save(whole())
    assert features.choose_all("auto") == ["efficientnet-lite0", "inception-768", "inception"]
    assert features.choose("auto") == "efficientnet-lite0"
    monkeypatch.setenv("HAGAN_INCEPTION_WEIGHTS", os.path.relpath(path, ROOT))
    assert "inception" in features.choose_all("auto")  # a relative path starts at the checkout


def test_all_of_inception_from_its_trunk_alone_is_refused_with_the_remedy(images, save, no_cache):
    path = save(trunk_of(whole()))
    with pytest.raises(ValueError, match=r"inception-768.*weights-inception") as refused:
        features.features(images, "inception")
    assert str(path) in str(refused.value)
    assert not no_cache.exists()


def changed(state, **given):
    return state | {key.replace("__", "."): weights for key, weights in given.items()}


BAD = {
    "half precision": lambda s: {k: v.half() if v.is_floating_point() else v for k, v in s.items()},
    "not a number": lambda s: changed(
        s, Mixed_6e__branch_pool__bn__bias=torch.full((192,), torch.nan)
    ),
    "another shape": lambda s: changed(s, Mixed_6e__branch_pool__bn__bias=torch.zeros(3)),
    "one missing in the trunk": lambda s: {
        k: v for k, v in s.items() if k != "Conv2d_1a_3x3.conv.weight"
    },
    "one missing behind it": lambda s: {k: v for k, v in s.items() if k != "fc.bias"},
    "one too many": lambda s: changed(s, AuxLogits__fc__bias=torch.zeros(3)),
    "another network": lambda s: torch.nn.Linear(3, 3).state_dict(),
    "nothing": lambda s: {},
    "within another object": lambda s: {"state_dict": s, "step": 3},
    "a list": lambda s: list(s.values())[:2],
    "an array": lambda s: np.zeros(3),
    "a whole network": lambda s: torch.nn.Linear(3, 3),
}


NO_PART = ("one missing behind it", "another network", "nothing", "an array", "a whole network")
"""Where the trunk alone is wrong in the same way as all weights, or not at all."""


@pytest.mark.parametrize(
    ("kind", "part"),
    [(kind, dict) for kind in BAD] + [(kind, trunk_of) for kind in BAD if kind not in NO_PART],
)
def test_wrong_weights_are_refused_by_their_files_name(kind, part, images, save, no_cache):
    path = save(BAD[kind](part(whole())))
    for use in (
        lambda: features.features(images, "inception"),
        lambda: features.features(images, "inception-768"),
        lambda: features.choose_all("auto"),
    ):
        with pytest.raises(ValueError, match="not the weights of") as refused:
            use()
        assert str(path) in str(refused.value)
    assert not no_cache.exists()


@pytest.mark.parametrize("damage", ["truncated", "text", "empty"])
def test_damaged_weights_are_refused_by_their_files_name(damage, images, save, no_cache):
    path = save(trunk_of(whole()))
    written = path.read_bytes()
    path.write_bytes(
        dict(truncated=written[: len(written) // 2], text=b"these are no weights\n", empty=b"")[
            damage
        ]
    )
    for name in ("inception", "inception-768"):
        with pytest.raises(ValueError, match="not the weights of") as refused:
            features.features(images, name)
        assert str(path) in str(refused.value)


@pytest.mark.parametrize("name", ["inception", "inception-768"])
def test_a_pickle_that_is_no_weights_is_not_executed(name, images, weights, tmp_path):
    class Evil:
        def __reduce__(self):
            return (exec, (f"open({str(tmp_path / 'executed')!r}, 'w')",))

    weights.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ValueError, match=r"weights\.pth: not the weights"):
        features.features(images, name)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "names", ["vgg", "inception,vgg", "", "inception,", "auto,inception", "inception, inception"]
)
def test_unknown_and_repeated_extractors_are_refused(names):
    with pytest.raises(
        ValueError, match="choose auto, efficientnet-lite0, inception-768, inception"
    ):
        features.choose_all(names)


def test_several_extractors_keep_their_order():
    assert features.choose_all("inception-768, efficientnet-lite0") == [
        "inception-768",
        "efficientnet-lite0",
    ]


def test_an_unknown_extractor_is_refused():
    with pytest.raises(ValueError, match="choose auto, efficientnet-lite0, inception"):
        features.choose("vgg")


def test_the_cache_lies_below_build(images):
    features.features(images, "efficientnet-lite0")
    assert list((BUILD / "cache" / "features").iterdir())


def test_lite0_sees_pixels_as_its_weights_were_trained(monkeypatch):
    """(x - 127) / 128; and what is larger than 224 pixels is averaged, not skipped."""
    net, seen = features.EfficientNet(), []
    monkeypatch.setattr(net.net, "extract_features", lambda x: seen.append(x) or x)
    board = torch.tensor([0, 255], dtype=torch.uint8).repeat(672, 336)
    board[1::2] = 255 - board[1::2]  # a chequered board of single pixels
    given = torch.stack([torch.full_like(board, 0), torch.full_like(board, 255), board])
    pooled = net(given[:, None].expand(-1, 3, -1, -1))
    wanted = torch.tensor([-127 / 128, 1.0, 0.5 / 128])
    torch.testing.assert_close(pooled, wanted[:, None].expand(-1, 3), atol=1e-3, rtol=0)
    assert seen[0].shape[-2:] == (224, 224)
    assert seen[0][2, :, 9:-9, 9:-9].std() < 0.1  # each third pixel alone is black or white
