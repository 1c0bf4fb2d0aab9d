"""Ask the branches of the hierarchical discriminator how well they see (Section III-C, Figure 4).

A branch that cannot tell real from fake has no gradient worth following to give to G.
"""

from typing import NamedTuple

import numpy as np
import torch

from hagan_lite.attnmix import Mixed, mix
from hagan_lite.discriminator import Discriminator
from hagan_lite.model import device_of


class Sight(NamedTuple):
    """Hold two areas under the ROC curve: 1/2 is a guess, and 1 is every answer right."""

    image: float
    """The chance that the image branch scores a real image above a fake one."""
    pixel: float
    """The chance that the pixel branch scores a real pixel of mixed images above a fake one."""


@torch.inference_mode()
def sight(D: Discriminator, batches: list[Mixed]) -> Sight:
    """Return how well D's branches tell real from fake in batches of AttnMix, without T.

    Raises ValueError for a D without a pixel branch.
    """
    if D.pixel is None:
        raise ValueError("this D has no pixel branch: it was trained with pixel_branch=False")
    images, pixels = ([], []), ([], [])  # scores of fake, of real
    where = device_of(D)
    for batch in batches:
        real, fake, M = (t.to(where) for t in (batch.real, batch.fake, batch.mask))
        for kind, x in enumerate((fake, real)):
            images[kind].append(D(x).image.flatten().cpu())
        scores = D(mix(real, fake, M)).pixel
        for kind in (0, 1):
            pixels[kind].append(scores[kind == M].cpu())
    return Sight(*(_auc(*map(torch.cat, of_kinds)) for of_kinds in (images, pixels)))


def _auc(fake: torch.Tensor, real: torch.Tensor) -> float:
    """Return the chance that a score of `real` is above one of `fake`; a tie counts one half."""
    from scipy.stats import mannwhitneyu  # half a second: only where it is asked for

    above = mannwhitneyu(real.numpy(), fake.numpy()).statistic
    return float(above / np.prod([len(real), len(fake)], dtype=float))
