import math

import numpy as np
import pytest
import torch

from hagan_lite import datasets
from hagan_lite.evaluation.audit import Audit, audit, audit_by_folds


def cloud(n, seed=0, d=8):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def flat(images):
    return torch.from_numpy(images).flatten(1).float() / 255


def test_a_generator_that_copies_is_caught():
    training, heldout = cloud(200), cloud(80, 1)
    copies = training[:100] + 0.01 * cloud(100, 2)
    result = audit(training, copies, heldout)
    assert result.verdict.startswith("suspicious")
    assert result.nearer > 0.95
    assert result.nearest.tolist() == list(range(100))
    assert np.array_equal(result.samples[result.closest(3)], np.sort(result.samples)[:3])


def test_a_fifth_of_copies_is_caught():
    training, heldout = cloud(300), cloud(250, 1)
    samples = torch.cat([training[:50], cloud(200, 2)])
    result = audit(training, samples, heldout)
    assert result.power > 0.9
    assert result.verdict.startswith("suspicious")
    assert (result.samples[:50] == 0).all()


@pytest.mark.parametrize("by_folds", [False, True])
def test_copies_among_samples_that_lie_far_away_are_caught(by_folds):
    """As a whole such samples are farther than real images: the rank test alone sees nothing."""
    training, far = cloud(400), 1.5 * cloud(320, 2)
    groups = np.arange(400) // 4

    def audited(samples):
        if by_folds:
            return audit_by_folds(training, samples, groups)
        return audit(training, samples, cloud(100, 1))

    result = audited(torch.cat([training[::5], far]))
    assert result.p_value > 0.5 and result.verdict.startswith("suspicious")
    assert result.p == pytest.approx(2 * result.p_nearest)
    clean = audited(1.5 * cloud(400, 2))
    assert clean.verdict.startswith("no sign of copying") and clean.nearer < 0.4


@pytest.mark.parametrize("n", [60, 120])
def test_the_power_is_the_share_of_copiers_that_are_caught(n):
    groups, stated, caught = np.arange(n) // 4, [], []
    for seed in range(20):
        images, copies = cloud(n, 100 * seed), np.arange(n)[::5]
        samples = cloud(n, 100 * seed + 1)
        stated.append(audit_by_folds(images, samples, groups).power)
        samples[torch.from_numpy(copies)] = images[torch.from_numpy(copies)].clone()
        samples = samples[torch.randperm(n, generator=torch.Generator().manual_seed(seed))]
        caught.append(audit_by_folds(images, samples, groups).verdict.startswith("suspicious"))
    assert np.mean(stated) == pytest.approx(np.mean(caught), abs=0.2)


@pytest.mark.parametrize("seed", range(5))
def test_fresh_images_of_the_same_kind_are_not_suspected(seed):
    result = audit(cloud(200), cloud(250, 10 + seed), cloud(250, 20 + seed))
    assert result.verdict.startswith("no sign of copying")
    assert 0.35 < result.nearer < 0.65


def test_with_few_heldout_images_the_verdict_says_that_it_cannot_tell():
    result = audit(cloud(200), cloud(20, 1), cloud(4, 2))
    assert result.power < 0.8
    assert result.verdict.startswith("cannot tell")
    assert "4 real images" in result.verdict


def test_by_folds_a_copier_is_caught_and_real_images_are_not():
    images, groups = cloud(200), np.arange(200) // 4
    copied = audit_by_folds(images, images.clone(), groups)
    assert copied.verdict.startswith("suspicious")
    assert (copied.samples == 0).mean() == pytest.approx(0.8, abs=0.1)
    same = copied.samples == 0
    assert np.array_equal(copied.nearest[same], np.flatnonzero(same))
    assert audit_by_folds(images, cloud(200, 1), groups).verdict.startswith("no sign")


def test_folds_keep_groups_together():
    """Every image has a twin in its group; were groups torn apart, held-out images would look like
    copies.
    """
    one = cloud(100)
    images, groups = torch.cat([one, one + 1e-3]), np.tile(np.arange(100), 2)
    result = audit_by_folds(images, cloud(200, 1), groups)
    assert result.heldout.min() > 0.1
    with pytest.raises(ValueError, match="five folds need five"):
        audit_by_folds(images, images, np.arange(200) % 4)


def test_an_empty_part_is_refused():
    with pytest.raises(ValueError, match="heldout"):
        audit(cloud(9), cloud(9), cloud(0))


def test_real_chest_cts_are_not_suspected_and_copies_of_them_are(covid_ct):
    d = datasets.load("covid-ct")
    training, out = d.split(0.3)
    half = out[::2], out[1::2]  # one half plays the samples, the other is held out
    train = flat(d.images[training])
    assert not audit(train, flat(d.images[half[0]]), flat(d.images[half[1]])).verdict.startswith(
        "suspicious"
    )
    noisy = (
        d.images[training][:100].astype(int)
        + np.random.default_rng(0).integers(-3, 4, (100, 1, 64, 64))
    ).clip(0, 255)
    assert audit(train, flat(noisy.astype(np.uint8)), flat(d.images[out])).verdict.startswith(
        "suspicious"
    )


def test_distances_are_those_of_the_nearest_rows_and_a_copy_is_at_none():
    training, samples = cloud(300, 2), cloud(700, 3)
    samples[5] = training[9]
    result = audit(training, samples, cloud(20, 4))
    each = torch.linalg.vector_norm(samples[:, None] - training[None], dim=2)
    assert result.samples == pytest.approx(each.min(1).values.numpy())
    assert result.samples[5] == 0 and result.nearest[5] == 9
    assert (result.nearest == each.argmin(1).numpy()).all()


def test_a_copy_is_found_far_from_zero_too():
    training = cloud(100, 2).double() + 1e9
    result = audit(training, training[:40], cloud(40, 3).double() + 1e9)
    assert (result.samples == 0).all() and "suspicious" in result.verdict


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_samples_that_are_no_numbers_are_never_cleared(broken):
    samples = cloud(50, 1)
    samples[7, 0] = broken
    with pytest.raises(ValueError, match="NaN or an infinity"):
        audit(cloud(100), samples, cloud(50, 2))
    with pytest.raises(ValueError, match="NaN or an infinity"):
        audit_by_folds(cloud(100), samples, np.arange(100) % 10)


@pytest.mark.parametrize(
    ("p", "power", "said"),
    [(0.009, 0.5, "suspicious"), (0.011, 0.81, "no sign"), (0.011, 0.79, "cannot tell")],
)
def test_the_verdict_changes_at_one_percent_and_at_a_power_of_eight_tenths(p, power, said):
    distances = np.ones(9)
    found = Audit(distances, distances, distances.astype(int), p / 2, 1.0, 0.5, power)
    assert found.p == p and found.verdict.startswith(said)


@pytest.mark.parametrize(("m", "k"), [(10, 1), (40, 2)])
def test_the_chance_of_so_many_near_samples_is_counted(m, k):
    """Five samples lie nearer than the k-th of m real images: of the first k + 4 images in order
    of distance fewer than k are real ones.
    """
    heldout = torch.arange(1.0, m + 1)[:, None]
    samples = torch.cat([torch.linspace(0.1, 0.5, 5), torch.full((3,), 99.0)])[:, None]
    first = k + 4
    orders = sum(math.comb(m, real) * math.comb(8, first - real) for real in range(k))
    result = audit(torch.zeros(1, 1), samples + (k - 1), heldout)
    assert result.p_nearest == pytest.approx(orders / math.comb(m + 8, first))
