"""AttnMix: real and fake are cut and pasted, and attention moves the label (Section III-B).

Equations 1 to 4 and Figure 3.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from hagan_lite.system.shapes import Float

Images = Float[Tensor, "B C H W"]
Maps = Float[Tensor, "B 1 H W"]
Shares = Float[Tensor, " B"]


def box_masks(n: int, size: int, rng: torch.Generator) -> Float[Tensor, "{n} 1 {size} {size}"]:
    """Draw n masks of 0. and 1., on the device of `rng`: 1 is a real pixel, 0 a fake one.

    The paper leaves the distribution of masks open. The box is CutMix's (Yun et al. 2019): it is
    fake, covers a share 1 - a of the image, with a uniform in [0, 1], its centre is uniform, and
    what lies beyond the border is cut off. Half of the masks are inverted, as in U-Net GAN.
    """

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=rng, device=rng.device)

    half = (1 - uniform(n)).sqrt() * size / 2  # (n,) half of the box's side
    centre = uniform(n, 2) * size
    at = torch.arange(size, device=rng.device) + 0.5
    inside = (at - centre[..., None]).abs() < half[:, None, None]
    rows, columns = inside.unbind(1)  # (n, size) each
    box = rows[:, :, None] & columns[:, None, :]
    invert = (uniform(n) < 0.5)[:, None, None]
    return (box == invert).float()[:, None]


def mix(x: Images, fake: Images, M: Maps) -> Images:
    """Return Eq. 1-2: i = M * x + (1 - M) * G(z)."""
    return M * x + (1 - M) * fake


def to_image_size(saliency: Float[Tensor, "B h w"], size: int) -> Maps:
    """Return a map without negative values as A of Eq. 3, (B, 1, size, size), without gradient.

    It is resized bilinearly. Eq. 3 divides by its sum, so it needs no normalising.

    Open in the paper: what "the attention map" of a layer is. Experiment.saliency says which
    reading is taken, and SelfAttention.with_saliency computes it.
    """
    maps = saliency.detach()[:, None].float()
    return F.interpolate(maps, size=(size, size), mode="bilinear", align_corners=False)


class Labels(NamedTuple):
    """Hold the shares of "real" in mixed images, each in [0, 1]."""

    lambda_0: Shares  # of the area
    lambda_1: Shares  # of the saliency
    lam: Shares  # Eq. 4


def mixed_labels(M: Maps, A: Maps | None, alpha: float = 0.5) -> Labels:
    """Return Eq. 3-4: lambda_1 = sum(M * A) / sum(A), lambda = alpha * (lambda_0 + lambda_1).

    A is non-negative; A=None is CutMix's label, lambda_0 alone. lambda_0 is the mask's own mean,
    not the area that was drawn: clipping at the border changes it. alpha = 1/2 (as in TransMix; the
    paper gives no number) makes lambda the mean of the two. Where A is 0 everywhere, lambda_1 is
    lambda_0.
    """
    lambda_0 = M.mean((1, 2, 3))
    if A is None:
        return Labels(lambda_0, lambda_0, lambda_0)
    total = A.sum((1, 2, 3))
    tiny = torch.finfo(A.dtype).tiny
    share = (M * A).sum((1, 2, 3)) / total.clamp_min(tiny)
    lambda_1 = torch.where(total > 0, share, lambda_0)
    return Labels(lambda_0, lambda_1, alpha * (lambda_0 + lambda_1))


@dataclass
class Mixed:
    """Hold one batch of AttnMix as D was trained on it.

    T has moved the images and their map, and values may leave [-1, 1].
    """

    fake: Images
    real: Images
    mask: Maps
    saliency: Maps
    lambda_0: Shares
    lambda_1: Shares
    lam: Shares
