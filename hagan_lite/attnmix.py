"""AttnMix: real and fake are cut and pasted, and attention moves the mixed label (Section III-B, Eq. 1-4, Figure 3)."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


def box_masks(n: int, size: int, rng: torch.Generator, beta: float = 1.0) -> Tensor:
    """n masks (n, 1, size, size) of 0. and 1., on the device of `rng`: 1 is a real pixel, 0 a fake one.

    The paper leaves the mask's law open; this is CutMix's: the fake box has area 1 - a with a ~ Beta(beta, beta), its
    centre is uniform, it is clipped at the border, and half of the masks are inverted.
    """

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=rng, device=rng.device)

    if beta == 1.0:
        area = uniform(n)
    else:  # torch.distributions takes no generator; two Gamma draws make a Beta
        concentration = torch.full((2, n), beta, device=rng.device)
        g = torch._standard_gamma(concentration, generator=rng)
        area = g[0] / g.sum(0)
    half = (1 - area).sqrt() * size / 2  # (n,)
    centre = uniform(n, 2) * size
    at = torch.arange(size, device=rng.device) + 0.5
    inside = ((at - centre[..., None]).abs() < half[:, None, None]).float()  # (n, 2, size): rows, columns
    box = inside[:, 0, :, None] * inside[:, 1, None, :]
    invert = (uniform(n) < 0.5).float()[:, None, None]
    return (invert * box + (1 - invert) * (1 - box))[:, None]


def mix(x: Tensor, fake: Tensor, M: Tensor) -> Tensor:
    """Eq. 1-2: i = M * x + (1 - M) * G(z), all (B, C, H, W), M (B, 1, H, W)."""
    return M * x + (1 - M) * fake


def to_image_size(saliency: Tensor, size: int) -> Tensor:
    """Return a map (B, h, w), at least 0, as A (B, 1, size, size), bilinear, detached. Its scale drops out of Eq. 3.

    Open in the paper: what "the attention map" of a layer is. Experiment.saliency says which reading is taken, and
    SelfAttention.with_saliency computes it.
    """
    return F.interpolate(saliency.detach()[:, None].float(), size=(size, size), mode="bilinear", align_corners=False)


class Labels(NamedTuple):
    """Shares of "real", each (B,), in [0, 1]."""

    lambda_0: Tensor  # of the area
    lambda_1: Tensor  # of the saliency
    lam: Tensor  # Eq. 4


def mixed_labels(M: Tensor, A: Tensor | None, alpha: float = 0.5) -> Labels:
    """Eq. 3-4: lambda_1 = sum(M * A) / sum(A), lambda = alpha * (lambda_0 + lambda_1).

    M and A are (B, 1, H, W), A non-negative; A=None is CutMix's label, lambda_0 alone. lambda_0 is the mask's own mean,
    not the area that was drawn: clipping at the border changes it. alpha = 1/2 (as in TransMix; the paper gives no
    number) makes lambda a share again. A map without mass says nothing: lambda_1 = lambda_0 there.
    """
    lambda_0 = M.mean((1, 2, 3))
    if A is None:
        return Labels(lambda_0, lambda_0, lambda_0)
    total = A.sum((1, 2, 3))
    tiny = torch.finfo(A.dtype).tiny
    lambda_1 = torch.where(total > 0, (M * A).sum((1, 2, 3)) / total.clamp_min(tiny), lambda_0)
    return Labels(lambda_0, lambda_1, alpha * (lambda_0 + lambda_1))


@dataclass
class Mixed:
    """One batch of AttnMix as it was trained on; images in [-1, 1], (B, C, H, W); maps (B, 1, H, W); labels (B,)."""

    fake: Tensor
    real: Tensor
    mask: Tensor
    saliency: Tensor
    lambda_0: Tensor
    lambda_1: Tensor
    lam: Tensor
