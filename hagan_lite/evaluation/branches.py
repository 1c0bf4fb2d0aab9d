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
    images, pixels = ([], []), ([], [])  # scores of fake, of real
    where = device_of(D)
    for batch in batches:
        real, fake, mask = (t.to(where) for t in (batch.real, batch.fake, batch.mask))
        for kind, x in enumerate((fake, real)):
            images[kind].append(D(x).image.flatten().cpu())
        scores = D(mix(real, fake, mask)).pixel
        for kind in (0, 1):
            pixels[kind].append(scores[mask == kind].cpu())
    of_branches = (map(torch.cat, scores) for scores in (images, pixels))
    return BranchAUC(*(chance_above(real, fake) for fake, real in of_branches))
