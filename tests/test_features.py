import urllib.error

import numpy as np
import pytest
import torch

from hagan_lite import data, features
from hagan_lite.config import BUILD


@pytest.fixture
def images():
    return data.load("mni152").images[::16].copy()


@pytest.fixture
def no_cache(monkeypatch, tmp_path):
    monkeypatch.setattr(features, "BUILD", tmp_path)
    return tmp_path / "cache" / "features"


@pytest.fixture
def weights(monkeypatch, tmp_path):
    """Inception with random weights, in a file where HAGAN_INCEPTION_WEIGHTS says."""
    from torch_fidelity import feature_extractor_inceptionv3 as fidelity

    with monkeypatch.context() as patch:
        patch.setattr(fidelity, "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(torch.nn.Module, "load_state_dict", lambda *_, **__: None)
        torch.manual_seed(0)
        net = fidelity.FeatureExtractorInceptionV3("inception", ["2048"])
    path = tmp_path / "weights.pth"
    torch.save(net.state_dict(), path)
    monkeypatch.setenv("HAGAN_INCEPTION_WEIGHTS", str(path))
    return path


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
    grey = data.load("mni152").images[40:44]
    colour = features.features(grey.repeat(3, axis=1), "efficientnet-lite0")
    torch.testing.assert_close(features.features(grey, "efficientnet-lite0"), colour, atol=1e-5, rtol=1e-5)


def test_features_do_not_depend_on_the_batch(images, no_cache):
    one = features._extract(images, "efficientnet-lite0", torch.device("cpu"), 3)
    torch.testing.assert_close(
        one, features._extract(images, "efficientnet-lite0", torch.device("cpu"), 8), atol=1e-4, rtol=1e-4
    )


def test_too_few_images_are_refused():
    with pytest.raises(ValueError, match="at least two"):
        features.features(np.zeros((1, 1, 64, 64), np.uint8))


def test_without_weights_and_network_the_error_says_where_to_put_them(images, monkeypatch, tmp_path):
    monkeypatch.setenv("HAGAN_INCEPTION_WEIGHTS", str(tmp_path / "inception.pth"))

    def offline(*_, **__):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    assert features.choose("auto") == "efficientnet-lite0"
    with pytest.raises(ConnectionError, match=r"no route.*weights-inception.*inception\.pth.*efficientnet-lite0"):
        features.features(images, "inception")


def test_inception_is_torch_fidelitys(images, weights, no_cache):
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    assert features.choose("auto") == "inception"
    found = features.features(images[:3], "inception")
    net = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=str(weights))
    wanted = net(torch.from_numpy(images[:3]).expand(-1, 3, -1, -1))[0]
    torch.testing.assert_close(found.float(), wanted, atol=1e-3, rtol=1e-3)


def test_a_pickle_that_is_no_weights_is_not_executed(images, weights, tmp_path):
    import pickle

    class Evil:
        def __reduce__(self):
            return (exec, (f"open({str(tmp_path / 'executed')!r}, 'w')",))

    weights.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ValueError, match=r"weights\.pth: not the weights"):
        features.features(images, "inception")
    assert not (tmp_path / "executed").exists()


def test_an_unknown_extractor_is_refused():
    with pytest.raises(ValueError, match="choose auto, efficientnet-lite0, inception"):
        features.choose("vgg")


def test_the_cache_lies_below_build(images):
    features.features(images, "efficientnet-lite0")
    assert list((BUILD / "cache" / "features").iterdir())
