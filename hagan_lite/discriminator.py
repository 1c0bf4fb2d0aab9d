"""The hierarchical discriminator: one branch judges the image, one judges every pixel (Section III-C, Eq. 6)."""

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from hagan_lite.generator import dcgan_init, level_channels


class Judgement(NamedTuple):
    """What D says of a batch. Scores are unbounded; with least squares, real is 1 and fake is 0."""

    image: Tensor  # (B,)
    pixel: Tensor | None  # (B, 1, H, W); None without a pixel branch
    features: list[Tensor]  # the image branch's maps [(B, C, H/2, W/2), ... (B, 8w, 4, 4)]

    def split(self, *sizes: int) -> "list[Judgement]":
        """One judgement per part of a concatenated batch."""
        image, features = self.image.split(sizes), [f.split(sizes) for f in self.features]
        pixel = [None] * len(sizes) if self.pixel is None else self.pixel.split(sizes)
        return [Judgement(image[i], pixel[i], [f[i] for f in features]) for i in range(len(sizes))]


class ImageBranch(nn.Module):
    """Stride-2 convolutions down to 4x4, LeakyReLU(0.1), no BatchNorm: 2,764,737 parameters at 3 channels, width 64."""

    def __init__(self, size: int, channels: int, width: int) -> None:
        super().__init__()
        chain = [channels, *reversed(level_channels(size, width))]
        self.blocks = nn.ModuleList(
            nn.Sequential(spectral_norm(dcgan_init(nn.Conv2d(a, b, 4, 2, 1))), nn.LeakyReLU(0.1, inplace=True))
            for a, b in pairwise(chain)
        )
        self.score = dcgan_init(nn.Conv2d(chain[-1], 1, 4))

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        features = []
        for block in self.blocks:
            x = block(x)
            features.append(x)
        return self.score(x).flatten(), features


class PixelBranch(nn.Sequential):
    """Three convolutions at full resolution that narrow the channels, w -> w/2 -> 1: a real/fake score per pixel.

    The paper says "a three-layer channel dimension downsampling path" and no more; kernel and widths are ours.
    Kernel 3 sees 7x7 pixels, kernel 1 a single grey value.
    """

    def __init__(self, channels: int, width: int, kernel: int) -> None:
        chain, layers = [channels, width, max(1, width // 2)], []
        for a, b in pairwise(chain):
            conv = dcgan_init(nn.Conv2d(a, b, kernel, padding=kernel // 2))
            layers += [spectral_norm(conv), nn.LeakyReLU(0.1, inplace=True)]
        super().__init__(*layers, dcgan_init(nn.Conv2d(chain[-1], 1, kernel, padding=kernel // 2)))


class Discriminator(nn.Module):
    """Images (B, channels, size, size) in [-1, 1] -> Judgement. The two branches share nothing ("decoupled")."""

    def __init__(self, size=64, channels=1, width=32, pixel_branch=True, pixel_kernel=3) -> None:
        super().__init__()
        self.image = ImageBranch(size, channels, width)
        self.pixel = PixelBranch(channels, width, pixel_kernel) if pixel_branch else None

    def forward(self, x: Tensor) -> Judgement:
        score, features = self.image(x)
        pixel = None if self.pixel is None else self.pixel(x).float()
        return Judgement(score.float(), pixel, features)


def judge(D: nn.Module, *batches: Tensor) -> list[Judgement]:
    """D on several batches in one pass: D has no BatchNorm, so nothing leaks from one batch to another."""
    return D(torch.cat(batches)).split(*map(len, batches))
