"""The hierarchical discriminator: a branch for the image, one for every pixel (III-C, Eq. 6)."""

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from hagan_lite.levels import dcgan_init, level_channels
from hagan_lite.system.shapes import Float

Images = Float[Tensor, "B C H W"]
Scores = Float[Tensor, " B"]
Levels = list[Float[Tensor, "B _ _ _"]]


class Judgement(NamedTuple):
    """Hold D's scores for a batch, unbounded; with least squares, real is 1 and fake is 0."""

    image: Scores
    pixel: Float[Tensor, "B 1 H W"] | None  # None without a pixel branch
    features: Levels  # the image branch's maps [(B, w, H/2, W/2), ... at most (B, 8w, 4, 4)]

    def split(self, *sizes: int) -> "list[Judgement]":
        """Return one judgement per part of a concatenated batch."""
        images = self.image.split(sizes)
        pixels = [None] * len(sizes) if self.pixel is None else self.pixel.split(sizes)
        levels = [level.split(sizes) for level in self.features]
        parts = zip(images, pixels, *levels, strict=True)
        return [Judgement(image, pixel, list(features)) for image, pixel, *features in parts]


class ImageBranch(nn.Module):
    """Score whole images: stride-2 convolutions down to 4x4, LeakyReLU(0.1), no BatchNorm.

    2,764,737 parameters at 3 channels, width 64.
    """

    def __init__(self, size: int, channels: int, width: int) -> None:
        super().__init__()
        chain = [channels, *reversed(level_channels(size, width))]
        self.blocks = nn.ModuleList()
        for a, b in pairwise(chain):
            conv = spectral_norm(dcgan_init(nn.Conv2d(a, b, 4, 2, 1)))
            self.blocks.append(nn.Sequential(conv, nn.LeakyReLU(0.1, inplace=True)))
        self.score = dcgan_init(nn.Conv2d(chain[-1], 1, 4))

    def forward(self, x: Images) -> tuple[Scores, Levels]:
        features = []
        for block in self.blocks:
            x = block(x)
            features.append(x)
        return self.score(x).flatten(), features


class PixelBranch(nn.Sequential):
    """Score every pixel: three convolutions at full resolution that narrow the channels.

    w -> w/2 -> 1, (B, C, H, W) -> (B, 1, H, W). The paper says "a three-layer channel dimension
    downsampling path" and no more; kernel and widths are ours. Kernel 3 sees 7x7 pixels, kernel 1 a
    single grey value.
    """

    def __init__(self, channels: int, width: int, kernel: int) -> None:
        chain = [channels, width, max(1, width // 2)]
        layers: list[nn.Module] = []
        for a, b in pairwise(chain):
            conv = dcgan_init(nn.Conv2d(a, b, kernel, padding=kernel // 2))
            layers += [spectral_norm(conv), nn.LeakyReLU(0.1, inplace=True)]
        last = dcgan_init(nn.Conv2d(chain[-1], 1, kernel, padding=kernel // 2))
        super().__init__(*layers, last)


class Discriminator(nn.Module):
    """Judge images in [-1, 1], or T's of them. The two branches share nothing ("decoupled")."""

    def __init__(self, size=64, channels=1, width=32, pixel_branch=True, pixel_kernel=3) -> None:
        super().__init__()
        self.image = ImageBranch(size, channels, width)
        self.pixel = PixelBranch(channels, width, pixel_kernel) if pixel_branch else None

    def forward(self, x: Images) -> Judgement:
        score, features = self.image(x)
        pixel = None if self.pixel is None else self.pixel(x).float()
        return Judgement(score.float(), pixel, features)


def judge(D: nn.Module, *batches: Float[Tensor, "_ C H W"]) -> list[Judgement]:
    """Return D's judgement of several batches from one pass.

    D has no BatchNorm, so nothing leaks from one batch to another.
    """
    return D(torch.cat(batches)).split(*map(len, batches))
