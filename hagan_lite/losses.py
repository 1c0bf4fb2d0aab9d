"""The losses: bi-level adversarial, bi-level consistency, and the feature term (III-E, Eq. 5-8)."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from hagan_lite.attnmix import Maps, Shares, mix
from hagan_lite.config import Experiment
from hagan_lite.discriminator import Judgement
from hagan_lite.system.shapes import Float

Scalar = Float[Tensor, ""]
Scores = Float[Tensor, "*shape"]
Targets = Float[Tensor, "*#shape"] | float


def d_loss(score: Scores, target: Targets, kind: str = "ls") -> Scalar:
    """Return how far D's scores are from the label `target` in [0, 1], 1 = real; mean over all.

    ls (the paper's "basic L2"): (s - t)^2. ns: cross-entropy of sigmoid(s) with t.
    hinge (SAGAN's, for lesson 08; no experiment takes it): t relu(1-s) + (1-t) relu(1+s).
    In all three, the loss of a label t is t times the loss of 1 plus (1 - t) times the loss of 0,
    up to a constant. Raises ValueError for another kind.
    """
    if not isinstance(target, Tensor):
        # Filled where it is needed: a copy from the host would make CUDA wait.
        target = score.new_full((), target)
    target = target.expand_as(score)
    if kind == "ls":
        return F.mse_loss(score, target)
    if kind == "ns":
        return F.binary_cross_entropy_with_logits(score, target)
    if kind == "hinge":
        return (target * F.relu(1 - score) + (1 - target) * F.relu(1 + score)).mean()
    raise ValueError(f"kind={kind!r}: choose ls, ns or hinge")


def g_loss(score: Scores, kind: str = "ls") -> Scalar:
    """Return G's mean loss of D's scores on fakes: (s - 1)^2, softplus(-s) (ns) or -s (hinge).

    Raises ValueError for another kind.
    """
    return -score.mean() if kind == "hinge" else d_loss(score, 1.0, kind)


class MixedJudgement(NamedTuple):
    """Hold D's judgement of mixed images, and their labels: lam per image, M per pixel."""

    judgement: Judgement
    lam: Shares
    M: Maps


class DiscriminatorLoss(NamedTuple):
    """Hold Eq. 7, L_D = L_img + beta1 L_pix + beta2 L_cons, and its terms."""

    total: Scalar
    image: Scalar
    pixel: Scalar
    consistency: Scalar


def discriminator_loss(
    real: Judgement, fake: Judgement, mixed: MixedJudgement | None, e: Experiment, ramp: float = 1.0
) -> DiscriminatorLoss:
    """Return Eq. 7 with the weights of `e`; `mixed` is None in phase one.

    L_img is the loss of real images with label 1, of fakes with label 0 and, times `mixed_weight`,
    of mixed images with label lam; L_pix is the same with the labels 1, 0 and M of each pixel.
    `ramp` in [0, 1] multiplies beta2. Without a pixel branch, and without mixed images, the terms
    that need them are 0.
    """
    kind = e.adversarial
    image = d_loss(real.image, 1.0, kind) + d_loss(fake.image, 0.0, kind)
    pixel = consistency = image.new_zeros(())
    if e.pixel_branch:
        pixel = d_loss(real.pixel, 1.0, kind) + d_loss(fake.pixel, 0.0, kind)
    if mixed is not None:
        image = image + e.mixed_weight * d_loss(mixed.judgement.image, mixed.lam, kind)
        if e.pixel_branch:
            pixel = pixel + e.mixed_weight * d_loss(mixed.judgement.pixel, mixed.M, kind)
        consistency = consistency_loss(real, fake, mixed, e)
    total = image + e.beta1 * pixel + e.beta2 * ramp * consistency
    return DiscriminatorLoss(total, image, pixel, consistency)


def consistency_loss(
    real: Judgement, fake: Judgement, mixed: MixedJudgement, e: Experiment
) -> Scalar:
    """Return L_cons: Eq. 5 at both levels, and the feature term where `e` asks for one."""
    loss = image_consistency(mixed.judgement, real, fake, mixed.lam)
    if e.pixel_branch:
        loss = loss + pixel_consistency(mixed.judgement, real, fake, mixed.M)
    if e.feature_loss == "l2":
        loss = loss + feature_l2(mixed.judgement, real, fake, mixed.M)
    elif e.feature_loss == "nce":
        loss = loss + feature_nce(mixed.judgement, real, fake, mixed.lam)
    return loss


class GeneratorLoss(NamedTuple):
    """Hold Eq. 8, L_G = L_img + beta L_pix, and its terms."""

    total: Scalar
    image: Scalar
    pixel: Scalar


def generator_loss(fake: Judgement, e: Experiment) -> GeneratorLoss:
    """Return Eq. 8 with the weight of `e`; mixed images and consistency are D's alone.

    The pixel term is 0 without a pixel branch.
    """
    image = g_loss(fake.image, e.adversarial)
    pixel = g_loss(fake.pixel, e.adversarial) if e.pixel_branch else image.new_zeros(())
    return GeneratorLoss(image + e.beta * pixel, image, pixel)


def image_consistency(mixed: Judgement, real: Judgement, fake: Judgement, lam: Shares) -> Scalar:
    """Return Eq. 5 at image level: (D(i) - (lam D(x) + (1 - lam) D(G(z))))^2.

    The gradient flows through the target too, as in U-Net GAN; the paper does not say.
    """
    return F.mse_loss(mixed.image, lam * real.image + (1 - lam) * fake.image)


def pixel_consistency(mixed: Judgement, real: Judgement, fake: Judgement, M: Maps) -> Scalar:
    """Return Eq. 5 at pixel level: the mixed image's map against the same mix of the two maps."""
    return F.mse_loss(mixed.pixel, mix(real.pixel, fake.pixel, M))


def feature_l2(mixed: Judgement, real: Judgement, fake: Judgement, M: Maps) -> Scalar:
    """Return the contrastive term read as a distance (feature_loss="l2"), the mean over levels.

    ||F(i) - (M' F(x) + (1-M') F(G(z)))||^2, where M' is M at the level's resolution.
    """
    terms = []
    for f_mixed, f_real, f_fake in zip(mixed.features, real.features, fake.features, strict=True):
        at_level = F.adaptive_avg_pool2d(M, f_mixed.shape[-1])
        target = mix(f_real.float(), f_fake.float(), at_level)
        terms.append(F.mse_loss(f_mixed.float(), target))
    return torch.stack(terms).mean()


def feature_nce(
    mixed: Judgement, real: Judgement, fake: Judgement, lam: Shares, temperature: float = 0.1
) -> Scalar:
    """Return the contrastive term read as InfoNCE (feature_loss="nce"), the mean over levels.

    Features are pooled to (B, C) and normalised; among all reals and fakes of the batch, the mixed
    image should find its own real (weight lam) and its own fake (weight 1 - lam).
    """
    terms = []
    own = torch.arange(len(lam), device=lam.device)
    for f_mixed, f_real, f_fake in zip(mixed.features, real.features, fake.features, strict=True):
        query = F.normalize(f_mixed.float().mean((2, 3)), dim=1)
        keys = F.normalize(torch.cat([f_real, f_fake]).float().mean((2, 3)), dim=1)
        log_p = (query @ keys.T / temperature).log_softmax(1)  # (B, 2B)
        own_real, own_fake = log_p[own, own], log_p[own, own + len(lam)]
        terms.append(-(lam * own_real + (1 - lam) * own_fake).mean())
    return torch.stack(terms).mean()
