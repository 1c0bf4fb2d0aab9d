import numpy as np
import pytest
import torch
from skimage.filters import gaussian
from torch import nn

from hagan_lite import datasets
from hagan_lite.datasets import pixels
from hagan_lite.evaluation import metrics
from hagan_lite.evaluation.features import features


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_distance_of_two_gaussians():
    a, b = randn(20_000, 3), 2 * randn(20_000, 3, seed=1) + torch.tensor([1.0, 0, 2])
    assert metrics.frechet_distance(a, b) == pytest.approx(5 + 3 * (2 - 1) ** 2, rel=0.03)


@pytest.mark.parametrize(
    ("n", "m", "d"), [(300, 200, 16), (40, 30, 64), (20, 200, 64), (65, 64, 64)]
)
def test_the_frechet_distance_is_torchmetrics_and_torch_fidelitys(n, m, d):
    """Also where n < d makes the covariances singular."""
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    from torchmetrics.image.fid import FrechetInceptionDistance

    mixing = randn(d, d, seed=2)
    a, b = randn(n, d) @ mixing, randn(m, d, seed=1) @ mixing + 0.3
    given = nn.Identity()
    given.num_features = d
    theirs = FrechetInceptionDistance(feature=given).set_dtype(torch.float64)
    theirs.update(a, real=True)
    theirs.update(b, real=False)
    other = fid_statistics_to_metric(
        fid_features_to_statistics(a), fid_features_to_statistics(b), False
    )
    ours = metrics.frechet_distance(a, b)
    assert ours == pytest.approx(float(theirs.compute()), rel=1e-3)
    assert ours == pytest.approx(other["frechet_inception_distance"], rel=1e-3)


def test_a_singular_covariance_is_no_trouble():
    a = randn(20, 64)
    assert metrics.frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert metrics.frechet_distance(a, a + 1) == pytest.approx(64, rel=1e-9)
    constant = torch.ones(20, 64)
    assert metrics.frechet_distance(constant, constant) == 0
    assert metrics.frechet_distance(a.float(), constant) > 0


def test_the_distance_falls_with_n_and_kid_does_not():
    def score(f, n):
        return np.mean(
            [f(randn(n, 64, seed=2 * i), randn(n, 64, seed=2 * i + 1)) for i in range(8)]
        )

    fd = [score(metrics.frechet_distance, n) for n in (30, 100, 300)]
    assert fd[0] > 2 * fd[1] > 4 * fd[2] > 0
    for n in (30, 300):
        alike = score(lambda a, b: metrics.kid(a, b)[0], n)
        apart = metrics.kid(randn(n, 64), randn(n, 64) + 1)[0]
        assert abs(alike) < 0.02 * abs(apart)


def test_kids_standard_error_and_seed():
    a, b = randn(200, 16), randn(200, 16, seed=1) + 0.1
    before = torch.random.get_rng_state()
    assert metrics.kid(a, b, seed=3) == metrics.kid(a, b, seed=3) != metrics.kid(a, b, seed=4)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert 0 < metrics.kid(a, b)[1] < abs(metrics.kid(a, b)[0])


def test_precision_and_recall_of_toy_clouds():
    real, other = randn(400, 2), randn(400, 2, seed=1)
    precision, recall = metrics.precision_recall(real, other)
    assert min(precision, recall) > 0.9
    precision, recall = metrics.precision_recall(real, 0.05 * other)  # all alike, all plausible
    assert precision > 0.95
    assert recall < 0.1
    # Everywhere, mostly where nothing real is.
    precision, recall = metrics.precision_recall(real, 5 * other)
    assert precision < 0.4
    assert recall > precision


def in_order(images):
    """Return FDs and KIDs of the other half, of it blurred, and of noise, against one half."""
    real, other = images[::2], images[1::2]
    blurred = (gaussian(other / 255, sigma=(0, 0, 2, 2)) * 255).astype(np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, other.shape, dtype=np.uint8)
    a, *rest = (features(x, "efficientnet-lite0") for x in (real, other, blurred, noise))
    return [metrics.frechet_distance(a, b) for b in rest], [metrics.kid(a, b)[0] for b in rest]


def test_real_halves_are_nearer_than_blurred_and_those_nearer_than_noise():
    for floor, blur, far in in_order(datasets.load("mni152").images[::3]):
        assert floor < blur < far
        assert floor < 0.5 * far


def test_on_covid_ct_too(covid_ct):
    for floor, blur, far in in_order(datasets.load("covid-ct").images[:60]):
        assert floor < blur < far
        assert floor < 0.5 * far


def test_a_score_says_how_it_was_obtained():
    images = datasets.load("mni152").images[::8]
    fake = images[:, :, :, ::-1].copy()
    score = metrics.evaluate(
        images, fake, extractor="efficientnet-lite0", fresh=(fake[:8], fake[8:])
    )
    conditions = {"extractor", "resize", "n_real", "n_fake", "seed", "n_floor"}
    assert conditions | {"fd", "floor", "fd_at_floor_n"} < set(score)
    assert (score["n_real"], score["n_floor"]) == (len(images), len(images) // 2)
    assert "fid" not in score  # these are not Inception's features
    assert len(score["fd_sets"]) == 2
    for name in ("kid", "precision", "recall"):
        assert np.isfinite([score[name], score[f"{name}_floor"]]).all()
    assert score["kid_se"] > 0
    again = metrics.evaluate(images, fake, extractor="efficientnet-lite0")
    assert {k: v for k, v in score.items() if k != "fd_sets"} == again


def test_few_generated_images_are_compared_with_a_floor_of_as_few():
    """Samples that are real images are as far from one half as the other half is."""
    images = datasets.load("mni152").images
    score = metrics.evaluate(images[::2], images[1::16], extractor="efficientnet-lite0")
    assert score["n_floor"] == score["n_fake"] < score["n_real"] // 2
    assert score["fd_at_floor_n"] == pytest.approx(score["floor"], rel=0.4)
    assert "fd_at_floor_n_sd" not in score


@pytest.mark.parametrize(("n", "m"), [(4, 4), (9, 4), (5, 30)])
def test_the_fewest_images_still_have_a_score(n, m):
    images = datasets.load("mni152").images
    score = metrics.evaluate(images[:n], images[40 : 40 + m], extractor="efficientnet-lite0")
    assert all(np.isfinite(v) for v in score.values() if isinstance(v, float))
    with pytest.raises(ValueError, match="need 4 of each"):
        metrics.evaluate(images[:3], images[:m])


def test_the_one_quantisation():
    x = torch.tensor([-2.0, -1.0, 0.0, 1.0, 3.0])
    assert pixels.to_uint8(x).tolist() == [0, 0, 128, 255, 255]
    every = np.arange(256, dtype=np.uint8)
    assert np.array_equal(pixels.to_uint8(torch.from_numpy(pixels.to_tensor_range(every))), every)


def flat(images, name, device):
    """Stand in for a network's features."""
    return torch.from_numpy(images).flatten(1).double()


def test_at_the_floors_n_is_the_mean_over_subsets_without_repeats(monkeypatch):
    monkeypatch.setattr(metrics, "features", flat)
    pairs, distance = [], metrics.frechet_distance

    def noted(a, b):
        pairs.append((b, distance(a, b)))
        return pairs[-1][1]

    monkeypatch.setattr(metrics, "frechet_distance", noted)
    real, fake = np.random.default_rng(0).integers(0, 256, (2, 40, 1, 2, 2), np.uint8)
    score = metrics.evaluate(real, fake, extractor="efficientnet-lite0")
    subsets, distances = zip(*pairs[: metrics.SUBSETS], strict=True)
    assert score["fd_at_floor_n"] == pytest.approx(np.mean(distances))
    assert score["fd_at_floor_n_sd"] == pytest.approx(np.std(distances, ddof=1))
    assert all(len(subset.unique(dim=0)) == score["n_floor"] == 20 for subset in subsets)


def test_samples_that_are_all_alike_are_precise_and_recall_little(monkeypatch):
    monkeypatch.setattr(metrics, "features", flat)
    rng = np.random.default_rng(0)
    real = rng.integers(0, 256, (60, 1, 2, 2), np.uint8)
    fake = real[:1] // 2 + 64 + rng.integers(0, 4, (60, 1, 2, 2), np.uint8)
    score = metrics.evaluate(real, fake, extractor="efficientnet-lite0")
    assert score["precision"] > 0.9 and score["recall"] < 0.2


def test_halves_for_the_floor_are_random(monkeypatch):
    """Images of one volume lie side by side: halves by place would be two kinds."""
    monkeypatch.setattr(metrics, "features", flat)
    real = np.random.default_rng(0).integers(0, 100, (60, 1, 2, 2), np.uint8)
    real[30:] += 150
    score = metrics.evaluate(real, real, extractor="efficientnet-lite0")
    assert score["floor"] < 150**2


def test_kids_error_is_that_of_a_mean_over_subsets():
    def se(subsets):
        a = torch.randn(200, 16, generator=torch.Generator().manual_seed(0)).double()
        b = torch.randn(200, 16, generator=torch.Generator().manual_seed(1)).double()
        return metrics.kid(a, b, subsets=subsets)[1]

    assert se(400) == pytest.approx(se(100) / 2, rel=0.3)


def test_kid_is_the_unbiased_mmd_of_a_cubic_kernel():
    """Its subsets have half of the smaller set's images: the mean over many is that of all."""
    a, b = randn(60, 4), randn(40, 4, seed=1) + 0.5

    def mean(x, y):
        kernel = (x @ y.T / 4 + 1) ** 3
        if x is not y:
            return kernel.mean()
        return (kernel.sum() - kernel.trace()) / (len(x) * (len(x) - 1))

    wanted = mean(a, a) + mean(b, b) - 2 * mean(a, b)
    assert metrics.kid(a, b, subsets=1000)[0] == pytest.approx(wanted.item(), rel=0.05)


def test_kids_subsets_have_half_of_the_smaller_set_and_at_most_a_hundred(monkeypatch):
    from torchmetrics.image import kid

    sizes = []

    class Noted(kid.KernelInceptionDistance):
        def __init__(self, subset_size, **how):
            sizes.append(subset_size)
            super().__init__(subset_size=subset_size, **how)

    monkeypatch.setattr(kid, "KernelInceptionDistance", Noted)
    for n, m in ((60, 30), (500, 400), (4, 3)):
        metrics.kid(randn(n, 4), randn(m, 4, seed=1), subsets=2)
    assert sizes == [15, 100, 2]


def test_a_neighbourhood_ends_at_the_third_neighbour():
    """The outermost of the reals 0, 1, ... 7 reach three farther: to -3 and to 10."""
    real = torch.arange(8.0)[:, None]
    fake = torch.tensor([[-3.5], [-2.5], [9.5], [10.5]]).repeat(2, 1)
    assert metrics.precision_recall(real, fake)[0] == 0.5


def test_every_floor_compares_one_half_of_the_real_images_with_the_other(monkeypatch):
    monkeypatch.setattr(metrics, "features", flat)
    compared = {}

    def noting(name, value):
        pairs = compared[name] = []
        monkeypatch.setattr(metrics, name, lambda a, b, *_: pairs.append((a, b)) or value)

    noting("frechet_distance", 0.0)
    noting("kid", (0.0, 0.0))
    noting("precision_recall", (0.0, 0.0))
    real, fake = np.random.default_rng(0).integers(0, 256, (2, 40, 1, 2, 2), np.uint8)
    metrics.evaluate(real, fake, extractor="efficientnet-lite0")
    every = sorted(flat(real, "", "").tolist())
    for name, pairs in compared.items():
        both = [sorted(torch.cat(pair).tolist()) for pair in pairs]
        assert both.count(every) == 1, name


def test_the_seed_draws_halves_and_subsets_and_moves_no_distance_of_all(monkeypatch):
    monkeypatch.setattr(metrics, "features", flat)
    real, fake = np.random.default_rng(0).integers(0, 256, (2, 40, 1, 2, 2), np.uint8)
    one, other = (
        metrics.evaluate(real, fake, seed=seed, extractor="efficientnet-lite0") for seed in (0, 1)
    )
    assert one["fd"] == other["fd"]
    for name in ("floor", "fd_at_floor_n", "kid", "kid_floor"):
        assert one[name] != other[name], name


def test_fresh_sets_are_compared_with_the_real_images(monkeypatch):
    monkeypatch.setattr(metrics, "features", flat)
    real, fake, more = np.random.default_rng(0).integers(0, 256, (3, 40, 1, 2, 2), np.uint8)
    score = metrics.evaluate(real, fake, extractor="efficientnet-lite0", fresh=(more, fake))
    from_real = metrics.frechet_distance(flat(real, "", ""), flat(more, "", ""))
    assert score["fd_sets"] == [from_real, score["fd"]]
