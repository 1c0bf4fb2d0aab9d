"""InfoGAN (Chen et al. 2016) on DCGAN's trunk: a part of the noise can be read off the image.

The latent is z, a category k of K and C continuous codes c in [-1, 1]. D's trunk has two more
heads, which guess k and c from G(z, k, c). How well they do bounds the mutual information of code
and image from below, and both networks raise that bound by lowering L_info. H is the cross-entropy.
With info_continuous = C, as in the source, L_info / info is minus the bound, up to a constant:

    L_info = info [ H(k, guess) + info_continuous mean_j (c_j - guess_j)^2 / 2 ]
    L_D = L(D) + L_info
    L_G = L(D(G)) + L_info
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hagan_lite import losses
from hagan_lite.baselines._plain import PARTS, PLAIN
from hagan_lite.config import Experiment
from hagan_lite.generator import Generator
from hagan_lite.levels import dcgan_init, level_channels
from hagan_lite.model import Logs
from hagan_lite.model import Model as Base
from hagan_lite.system.choices import choice


@dataclass(frozen=True)
class Choices(Experiment):
    """Add the code; z_dim counts the whole latent, 62 + 10 + 2 as in the source's first table."""

    categories: int = choice(10, "values K of the category", "InfoGAN", low=2)
    codes: int = choice(2, "continuous codes C", "InfoGAN", low=1)
    info: float = choice(1.0, "weight of the information loss", "InfoGAN", low=0)
    info_continuous: float = choice(
        0.1, "weight of the continuous codes within it", "ours; InfoGAN: C", low=0
    )

    # Latent, loss and rates are the source's. With least squares and BatchNorm in D the scores ran
    # away.
    SETS = PLAIN | dict(attention=False, z_dim=74, adversarial="ns", lr_g=1e-3, lr_d=2e-4)
    REFUSED = PARTS + ("beta2",)

    def __post_init__(self) -> None:
        super().__post_init__()
        code = self.categories + self.codes
        if self.z_dim <= code:
            raise ValueError(
                f"z_dim={self.z_dim}: must be over {code}, the categories and codes that are in it"
            )


class Guess(NamedTuple):
    """Hold D's scores for images, and its guess at the code that they were drawn from."""

    image: Tensor  # (B,)
    category: Tensor  # (B, K) logits
    code: Tensor  # (B, C)


class Discriminator(nn.Module):
    """Judge images and guess their code: DCGAN's D with BatchNorm, and 1 + K + C outputs.

    2,864,845 parameters at 3 channels, width 64.
    """

    def __init__(self, size: int, channels: int, width: int, categories: int, codes: int) -> None:
        super().__init__()
        chain = [channels, *reversed(level_channels(size, width))]
        layers: list[nn.Module] = []
        for i, (a, b) in enumerate(pairwise(chain)):
            layers.append(dcgan_init(nn.Conv2d(a, b, 4, 2, 1)))
            if i > 0:
                layers.append(nn.BatchNorm2d(b))
            layers.append(nn.LeakyReLU(0.1, inplace=True))
        self.trunk = nn.Sequential(*layers)
        self.heads = dcgan_init(nn.Conv2d(chain[-1], 1 + categories + codes, 4))
        self.split = [1, categories, codes]

    def forward(self, x: Tensor) -> Guess:
        score, category, code = self.heads(self.trunk(x)).float().flatten(1).split(self.split, 1)
        return Guess(score.flatten(), category, code)


class Model(Base):
    """Take InfoGAN's step. D has BatchNorm: real and fake images go through it separately."""

    @staticmethod
    def networks(e: Choices) -> tuple[Generator, Discriminator]:
        D = Discriminator(e.size, e.channels, e.width, e.categories, e.codes)
        return Generator(e.size, e.channels, e.width, e.z_dim, attention=False, skip="off"), D

    @staticmethod
    def latent(n: int, e: Choices, rng: torch.Generator) -> Tensor:
        """Draw (n, z_dim): z, the category as one of K, the continuous codes."""
        category = (torch.rand(n, 1, generator=rng, device=rng.device) * e.categories).floor()
        noise = torch.rand(n, e.z_dim - e.categories, generator=rng, device=rng.device) * 2 - 1
        each = torch.arange(e.categories, device=rng.device)
        one_hot = (category == each).to(noise.dtype)  # F.one_hot would wait for the device
        return torch.cat([noise[:, e.codes :], one_hot, noise[:, : e.codes]], 1)

    def update(self, x: Tensor, t: int) -> Logs:
        e, kind = self.e, self.e.adversarial
        latent = self.latent(len(x), e, self.rng)
        fake = self.images_of(latent)
        with self.autocast():
            real, fake_ = self._D(x), self._D(fake.detach())
        loss_img = losses.d_loss(real.image, 1.0, kind) + losses.d_loss(fake_.image, 0.0, kind)
        loss_info = self._info(fake_, latent)
        self.descend(self.opt_d, loss_img + loss_info)
        logs = dict(d=loss_img + loss_info, d_img=loss_img, d_info=loss_info)
        logs |= dict(d_real=real.image.mean(), d_fake=fake_.image.mean())

        if e.fresh_noise:
            latent = self.latent(len(x), e, self.rng)
            fake = self.images_of(latent)
        guess = self.judge_fakes(fake)
        g_img, g_info = losses.g_loss(guess.image, kind), self._info(guess, latent)
        self.descend(self.opt_g, g_img + g_info)
        return logs | dict(g=g_img + g_info, g_img=g_img, g_info=g_info)

    def _info(self, guess: Guess, latent: Tensor) -> Tensor:
        """Return L_info, how far D's guess is from the code within the latent."""
        e = self.e
        noise = e.z_dim - e.categories - e.codes
        _, category, code = latent.split([noise, e.categories, e.codes], 1)
        continuous = F.mse_loss(guess.code, code) / 2
        return e.info * (F.cross_entropy(guess.category, category) + e.info_continuous * continuous)
