"""U-Net GAN (Schönfeld et al. 2020) on SAGAN's trunk: D judges the image and every pixel.

The losses L are HAGAN's least squares, where the source has cross-entropy. D is a U-Net. With D_enc
the image score at the bottleneck, D_dec the map, M a CutMix mask and w a warm-up weight (their
Eq. 3-8):

    L_D = L(D_enc) + L(D_dec) + w [ L(D_enc(i), fake) + L(D_dec(i), M) + beta2 L_cons ]
    L_G = L(D_enc(G(z)), real) + L(D_dec(G(z)), real)
    L_cons = || D_dec(i) - [ M D_dec(x) + (1 - M) D_dec(G(z)) ] ||^2
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from hagan_lite import attnmix, losses
from hagan_lite.baselines._plain import PARTS, PLAIN
from hagan_lite.config import Experiment
from hagan_lite.discriminator import ImageBranch, Judgement, judge
from hagan_lite.generator import Generator
from hagan_lite.levels import dcgan_init, level_channels
from hagan_lite.model import Logs
from hagan_lite.model import Model as Base


@dataclass(frozen=True)
class Choices(Experiment):
    """Set HAGAN's parts off: `beta2` weighs consistency here, `phase_two` ends the warm-up."""

    SETS = PLAIN
    REFUSED = PARTS


class UNet(nn.Module):
    """Judge image and pixels: SAGAN's D as the encoder, a mirrored decoder with skips.

    6,175,106 parameters at 3 channels, width 64. The paper's count of it, 6.2M and 16.75 units,
    does not say how the decoder is built; this one, transposed convolutions alone, has its
    parameters and 16.31 units.
    """

    def __init__(self, size: int, channels: int, width: int) -> None:
        super().__init__()
        chain = level_channels(size, width)  # 4x4 first
        self.encoder = ImageBranch(size, channels, width)
        takes = [chain[0], *(2 * c for c in chain[1:])]  # from the second on with a skip
        gives = [*chain[1:], 1]
        ups = []
        for a, b in zip(takes, gives, strict=True):
            ups.append(dcgan_init(nn.ConvTranspose2d(a, b, 4, 2, 1)))
        # Spectral norm as in SAGAN's D, on all but the last.
        self.decoder = nn.ModuleList([*map(spectral_norm, ups[:-1]), ups[-1]])
        self.act = nn.LeakyReLU(0.1)

    def forward(self, x: Tensor) -> Judgement:
        score, features = self.encoder(x)
        *skips, h = features  # finest first; the last is the bottleneck
        for up in self.decoder[:-1]:
            h = torch.cat([self.act(up(h)), skips.pop()], 1)
        return Judgement(score.float(), self.decoder[-1](h).float(), features)


class Model(Base):
    """Take U-Net GAN's step."""

    @staticmethod
    def networks(e: Experiment) -> tuple[Generator, UNet]:
        G = Generator(e.size, e.channels, e.width, e.z_dim, skip="off")
        return G, UNet(e.size, e.channels, e.width)

    def update(self, x: Tensor, t: int) -> Logs:
        e, kind = self.e, self.e.adversarial
        fake = self.fakes(len(x))
        M = attnmix.box_masks(len(x), e.size, self.rng)
        with self.autocast():
            real, fake_, mixed = judge(self._D, x, fake.detach(), attnmix.mix(x, fake.detach(), M))
        loss_img = losses.d_loss(real.image, 1.0, kind) + losses.d_loss(fake_.image, 0.0, kind)
        loss_pix = losses.d_loss(real.pixel, 1.0, kind) + losses.d_loss(fake_.pixel, 0.0, kind)
        # A mixed image is a fake to the encoder, or G would learn to draw boxes. The source tosses
        # a coin per batch or weighs every batch (its option full_batch_mixup); with weights no step
        # depends on a coin.
        loss_cons = losses.pixel_consistency(mixed, real, fake_, M)
        loss_mix = losses.d_loss(mixed.image, 0.0, kind) + losses.d_loss(mixed.pixel, M, kind)
        loss_mix = loss_mix + e.beta2 * loss_cons
        warm_up = min(1.0, t / max(1, e.phase_two))
        loss = loss_img + loss_pix + warm_up * loss_mix
        self.descend(self.opt_d, loss)
        logs = dict(d=loss, d_img=loss_img, d_pix=loss_pix, d_cons=loss_cons)
        logs |= dict(d_real=real.image.mean(), d_fake=fake_.image.mean())

        judged = self.judge_fakes(self.fakes_for_g(fake))
        g_img, g_pix = losses.g_loss(judged.image, kind), losses.g_loss(judged.pixel, kind)
        self.descend(self.opt_g, g_img + g_pix)
        return logs | dict(g=g_img + g_pix, g_img=g_img, g_pix=g_pix)
