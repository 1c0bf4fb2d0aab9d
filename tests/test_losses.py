import math

import pytest
import torch

from hagan_lite import losses
from hagan_lite.config import Experiment
from hagan_lite.discriminator import Judgement

KINDS = ("ls", "ns", "hinge")


def judgement(image=(0.0, 0.0), pixel=0.0, seed=0):
    g = torch.Generator().manual_seed(seed)
    features = [torch.randn(2, 4, s, s, generator=g) for s in (8, 4)]
    return Judgement(torch.tensor(image), torch.full((2, 1, 16, 16), pixel), features)


def test_least_squares_is_the_papers_l2():
    assert losses.d_loss(torch.tensor([0.5, 1.0]), 1.0).item() == pytest.approx(0.125)
    assert losses.g_loss(torch.tensor([0.0, 0.5])).item() == pytest.approx(0.625)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_D_is_pushed_towards_the_label(kind, label):
    score = torch.tensor([0.5], requires_grad=True)
    losses.d_loss(score, label, kind).backward()
    assert (score.grad < 0) == (label == 1.0)


@pytest.mark.parametrize("kind", KINDS)
def test_G_is_pushed_to_look_more_real(kind):
    score = torch.tensor([0.5], requires_grad=True)
    losses.g_loss(score, kind).backward()
    assert score.grad < 0


@pytest.mark.parametrize(("kind", "best"), [("ls", 0.3), ("ns", math.log(0.3 / 0.7))])
def test_a_soft_label_has_its_optimum_where_it_should(kind, best):
    scores = torch.linspace(-2, 2, 4001)
    values = torch.stack([losses.d_loss(s[None], 0.3, kind) for s in scores])
    assert scores[values.argmin()].item() == pytest.approx(best, abs=2e-3)


def test_consistency_is_zero_for_a_D_that_says_the_same_to_everything():
    same, lam, M = judgement((0.4, 0.4), 0.4), torch.tensor([0.2, 0.9]), torch.zeros(2, 1, 16, 16)
    assert losses.image_consistency(same, same, same, lam).item() == pytest.approx(0, abs=1e-12)
    assert losses.pixel_consistency(same, same, same, M).item() == pytest.approx(0, abs=1e-12)


def test_the_gradient_flows_through_the_consistency_target():
    real, fake, mixed = judgement((1.0, 1.0)), judgement((0.0, 0.0)), judgement((0.5, 0.5))
    real.image.requires_grad_()
    losses.image_consistency(mixed, real, fake, torch.tensor([0.9, 0.9])).backward()
    assert (real.image.grad != 0).all()


def test_feature_l2_is_zero_where_features_mix_as_the_images_did():
    real, fake = judgement(seed=1), judgement(seed=2)
    M = torch.zeros(2, 1, 16, 16)
    M[:, :, :8] = 1
    mixed = real._replace(
        features=[
            torch.cat([a[:, :, : a.shape[2] // 2], b[:, :, b.shape[2] // 2 :]], 2)
            for a, b in zip(real.features, fake.features, strict=True)
        ]
    )
    assert losses.feature_l2(mixed, real, fake, M).item() == pytest.approx(0, abs=1e-12)
    assert losses.feature_l2(fake, real, fake, M).item() > 0.1


def test_feature_nce_prefers_the_images_own_parts():
    real, fake = judgement(seed=1), judgement(seed=2)
    strangers = fake._replace(features=[f.flip(0) for f in fake.features])
    lam = torch.tensor([0.0, 0.0])  # all fake
    assert losses.feature_nce(fake, real, fake, lam) < losses.feature_nce(
        strangers, real, fake, lam
    )
    assert losses.feature_nce(real, real, fake, torch.ones(2)) < losses.feature_nce(
        fake, real, fake, torch.ones(2)
    )


def test_a_loss_that_does_not_exist_is_named():
    with pytest.raises(ValueError, match="bce.*ls, ns or hinge"):
        losses.d_loss(torch.zeros(2), 1.0, "bce")


def test_consistency_by_hand():
    real, fake, mixed = (judgement((s, s), s) for s in (1.0, 0.0, 0.8))
    lam = torch.tensor([0.5, 0.8])
    assert losses.image_consistency(mixed, real, fake, lam).item() == pytest.approx(0.09 / 2)
    M = torch.zeros(2, 1, 16, 16)
    M[:, :, :4] = 1  # a quarter is real
    by_hand = (0.04 + 3 * 0.64) / 4
    assert losses.pixel_consistency(mixed, real, fake, M).item() == pytest.approx(by_hand)


def test_equations_7_and_8_by_hand():
    """A quarter of the mixed images is real; every weight is another number."""
    e = Experiment.make(beta=0.1, beta1=2.0, beta2=3.0, mixed_weight=0.5)
    real, fake, mixed = (judgement((s, s), s) for s in (1.0, 0.5, 0.75))
    M = torch.zeros(2, 1, 16, 16)
    M[:, :, :4] = 1
    given = losses.MixedJudgement(mixed, M.mean((1, 2, 3)), M)
    found = losses.discriminator_loss(real, fake, given, e, ramp=0.5)
    image = 0 + 0.5**2 + 0.5 * 0.5**2
    pixel = 0 + 0.5**2 + 0.5 * (0.25**2 + 3 * 0.75**2) / 4
    consistency = (0.75 - 0.625) ** 2 + 0.25**2
    total = image + 2 * pixel + 3 * 0.5 * consistency
    assert list(map(float, found)) == pytest.approx([total, image, pixel, consistency])
    found = losses.generator_loss(fake, e)
    assert list(map(float, found)) == pytest.approx([0.25 + 0.1 * 0.25, 0.25, 0.25])


def test_the_feature_terms_are_means_over_levels():
    """Every level is 1 away in L2; for InfoNCE, cosines of 1 and 0 are divided by 0.1."""
    ones, zeros = ([torch.full((2, 4, s, s), v) for s in (8, 4)] for v in (1.0, 0.0))
    real, fake, mixed = (Judgement(torch.zeros(2), None, f) for f in (zeros, zeros, ones))
    assert losses.feature_l2(mixed, real, fake, torch.zeros(2, 1, 16, 16)).item() == 1
    axis = torch.eye(4)[:, :, None, None]  # four unit vectors: two reals, then two fakes
    real, fake = (Judgement(torch.zeros(2), None, [part] * 2) for part in (axis[:2], axis[2:]))
    found = losses.feature_nce(real, real, fake, torch.ones(2))
    assert found.item() == pytest.approx(math.log(1 + 3 * math.exp(-10)), rel=1e-3)
