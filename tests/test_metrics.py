import numpy as np
import pytest
import torch
from skimage.filters import gaussian

from hagan_lite import data, metrics, pixels


def test_the_distance_of_two_known_gaussians():
    g = torch.Generator().manual_seed(0)
    a = torch.randn(20_000, 3, generator=g, dtype=torch.float64)
    b = 2 * torch.randn(20_000, 3, generator=g, dtype=torch.float64) + torch.tensor([1.0, 0, 2])
    assert metrics.frechet_distance(a, b) == pytest.approx(5 + 3 * (2 - 1) ** 2, rel=0.03)


def test_a_singular_covariance_is_no_trouble():
    a = torch.randn(20, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert metrics.frechet_distance(a, a) == pytest.approx(0, abs=1e-3)
    assert metrics.frechet_distance(a, a + 1) == pytest.approx(64, rel=1e-4)


def test_real_halves_are_nearer_than_blurred_and_those_nearer_than_noise():
    images = data.load("mni152").images
    real, other = images[::4], images[2::4]
    blurred = (gaussian(other / 255, sigma=(0, 0, 2, 2)) * 255).astype(np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, other.shape, dtype=np.uint8)
    f = metrics.features(real)
    floor, blur, far = (metrics.frechet_distance(f, metrics.features(x)) for x in (other, blurred, noise))
    assert floor < blur < far
    assert floor < 0.5 * far


def test_a_score_says_how_it_was_obtained():
    images = data.load("mni152").images[::8]
    score = metrics.evaluate(images, images[:, :, :, ::-1].copy())
    assert {"extractor", "resize", "n_real", "n_fake", "seed", "fd", "floor", "n_floor", "fd_at_floor_n"} == set(score)
    assert (score["n_real"], score["n_floor"]) == (len(images), len(images) // 2)
    assert "fid" not in score  # these are not Inception's features


def test_too_few_images_are_refused():
    with pytest.raises(ValueError, match="at least two"):
        metrics.features(np.zeros((1, 1, 64, 64), np.uint8))


def test_the_one_quantisation():
    x = torch.tensor([-2.0, -1.0, 0.0, 1.0, 3.0])
    assert metrics.to_uint8(x).tolist() == [0, 0, 128, 255, 255]
    every = np.arange(256, dtype=np.uint8)
    assert np.array_equal(metrics.to_uint8(torch.from_numpy(pixels.to_tensor_range(every))), every)
