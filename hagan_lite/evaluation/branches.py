"""Measure how well each branch of D separates real from fake (Section III-C, Figure 2).

A branch that cannot tell real from fake has no gradient worth following to give to G.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from hagan_lite.attnmix import mix
from hagan_lite.discriminator import Discriminator
from hagan_lite.evaluation.metrics import chance_above
from hagan_lite.model import device_of


class BranchAUC(NamedTuple):
    """Hold two areas under the ROC curve: 1/2 is a guess, and 1 is every answer right."""

    image: float
    """The chance that the image branch scores a real image above a fake one."""
    pixel: float
    """The chance that the pixel branch scores a real pixel of mixed images above a fake one."""


class MixBatch(NamedTuple):
    """Hold real and fake images (B, C, H, W) in [-1, 1] and masks (B, 1, H, W), 1 where real."""

    real: Tensor
    fake: Tensor
    mask: Tensor


@torch.inference_mode()
def branch_auc(D: Discriminator, batches: Sequence[MixBatch]) -> BranchAUC:
    """Return how well D's branches tell real from fake in batches.

    The image branch gets whole images, the pixel branch mixed ones (Eq. 1-2), both without T.

    Raises ValueError for a D without a pixel branch.
    """
    if D.pixel is None:
        raise ValueError("this D has no pixel branch: it was trained with pixel_branch=False")
    real_images, fake_images, real_pixels, fake_pixels = [], [], [], []
    where = device_of(D)
    for batch in batches:
        real, fake, mask = (t.to(where) for t in (batch.real, batch.fake, batch.mask))
        real_images.append(D(real).image.flatten().cpu())
        fake_images.append(D(fake).image.flatten().cpu())
        scores = D(mix(real, fake, mask)).pixel
        real_pixels.append(scores[mask == 1].cpu())
        fake_pixels.append(scores[mask == 0].cpu())
    return BranchAUC(
        chance_above(torch.cat(real_images), torch.cat(fake_images)),
        chance_above(torch.cat(real_pixels), torch.cat(fake_pixels)),
    )
