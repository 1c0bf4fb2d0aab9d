"""The losses: bi-level adversarial, bi-level consistency, and the feature term (Section III-E, Eq. 5-8)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from hagan_lite.attnmix import mix
from hagan_lite.discriminator import Judgement


def d_loss(score: Tensor, target: Tensor | float, kind: str = "ls") -> Tensor:
    """How far D's scores are from the label `target` in [0, 1], 1 = real; the mean over all elements.

    ls (the paper's "basic L2"): (s - t)^2. ns: cross-entropy of sigmoid(s) with t.
    hinge: t relu(1-s) + (1-t) relu(1+s).
    A soft label is a mixture of the two hard losses, up to a constant, in all three.
    """
    if not isinstance(target, Tensor):
        target = score.new_full((), target)  # filled where it is needed: a copy from the host would make CUDA wait
    target = target.expand_as(score)
    if kind == "ls":
        return F.mse_loss(score, target)
    if kind == "ns":
        return F.binary_cross_entropy_with_logits(score, target)
    return (target * F.relu(1 - score) + (1 - target) * F.relu(1 + score)).mean()


def g_loss(score: Tensor, kind: str = "ls") -> Tensor:
    """What G wants of D's scores on fakes: (s - 1)^2, softplus(-s) (non-saturating) or -s (hinge)."""
    return -score.mean() if kind == "hinge" else d_loss(score, 1.0, kind)


def image_consistency(mixed: Judgement, real: Judgement, fake: Judgement, lam: Tensor) -> Tensor:
    """Eq. 5 at image level: (D(i) - (lam D(x) + (1 - lam) D(G(z))))^2, lam (B,).

    The gradient flows through the target too, as in U-Net GAN; the paper does not say.
    """
    return F.mse_loss(mixed.image, lam * real.image + (1 - lam) * fake.image)


def pixel_consistency(mixed: Judgement, real: Judgement, fake: Judgement, M: Tensor) -> Tensor:
    """Eq. 5 at pixel level: the mixed image's map against the same mix of the two maps, M (B, 1, H, W)."""
    return F.mse_loss(mixed.pixel, mix(real.pixel, fake.pixel, M))


def feature_l2(mixed: Judgement, real: Judgement, fake: Judgement, M: Tensor) -> Tensor:
    """First reading of the contrastive term: ||F(i) - (M' F(x) + (1-M') F(G(z)))||^2, M' = M at that level."""
    terms = []
    for f_mixed, f_real, f_fake in zip(mixed.features, real.features, fake.features, strict=True):
        at_level = F.adaptive_avg_pool2d(M, f_mixed.shape[-1])
        terms.append(F.mse_loss(f_mixed.float(), mix(f_real.float(), f_fake.float(), at_level)))
    return torch.stack(terms).mean()


def feature_nce(mixed: Judgement, real: Judgement, fake: Judgement, lam: Tensor, temperature: float = 0.1) -> Tensor:
    """Second reading, InfoNCE, mean over levels: features pooled to (B, C) and normalised; the mixed image should find
    its own real (weight lam) and its own fake (weight 1 - lam) among all reals and fakes of the batch."""
    terms = []
    own = torch.arange(len(lam), device=lam.device)
    for f_mixed, f_real, f_fake in zip(mixed.features, real.features, fake.features, strict=True):
        query = F.normalize(f_mixed.float().mean((2, 3)), dim=1)
        keys = F.normalize(torch.cat([f_real, f_fake]).float().mean((2, 3)), dim=1)
        logp = (query @ keys.T / temperature).log_softmax(1)  # (B, 2B)
        terms.append(-(lam * logp[own, own] + (1 - lam) * logp[own, own + len(lam)]).mean())
    return torch.stack(terms).mean()
