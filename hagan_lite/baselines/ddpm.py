"""DDPM (Ho et al. 2020) by diffusers: a U-Net learns to take noise out of images.

    x_s = sqrt(a_s) x + sqrt(1 - a_s) eps,    s uniform in 1..1000
    L = || eps - UNet(x_s, s) ||^2

Sampling starts from noise and takes the guessed noise out, step by step. At the preset `paper` the
U-Net is that of DDPM's CIFAR-10, which Table I counts, without the source's dropout of 0.1. At
`cpu` it has a quarter of the channels, one block per level instead of two, a twentieth of the
parameters: what it draws says nothing about the paper's DDPM.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hagan_lite.baselines._plain import PARTS, PLAIN
from hagan_lite.config import Experiment
from hagan_lite.model import Logs, device_of
from hagan_lite.model import Model as Base
from hagan_lite.system.choices import choice

if TYPE_CHECKING:
    from diffusers import DDIMScheduler, DDPMScheduler

PIXELS_AT_ONCE = 16 * 64**2
"""What G takes at once on a CPU: more falls out of its cache. Four times as much takes 1.3 to 1.6
times as long."""


@dataclass(frozen=True)
class Choices(Experiment):
    """Add how sampling is done, and the depth of the U-Net."""

    ddim_steps: int = choice(
        20, "steps of sampling, by DDIM; 0 is DDPM's own, all 1000", "DDIM", low=0, high=1000
    )
    blocks: int = choice(1, "residual blocks per level", "DDPM: 2", low=1)

    SETS = PLAIN | dict(attention=False, lr_g=1e-3)
    SETS_AT = dict(
        smoke=dict(ddim_steps=4),
        paper=dict(width=128, blocks=2, lr_g=2e-4, ema=0.9999, ddim_steps=0),
    )
    # At 1e-3 and 256x256 the network answered 0 to everything from step 620 on. The source has a
    # tenth of the rate there, too.
    SETS_ABOVE_64 = {preset: dict(lr_g=1e-4) for preset in ("smoke", "quick", "cpu")}
    SETS_ABOVE_64 |= dict(paper=dict(lr_g=2e-5))
    # One network, which draws nothing in a step and has no z of its own.
    REFUSED = PARTS + ("beta2", "adversarial", "lr_d", "z_dim", "fresh_noise")


class UNet(nn.Module):
    """Guess the noise in noisy images at given steps: diffusers' UNet2DModel.

    35,746,307 parameters at 3 channels, width 128. Four levels up to 64x64, as for CIFAR-10, six
    above, as for CelebA-HQ; attention where the maps are 16x16, in both.
    """

    def __init__(self, size: int, channels: int, width: int, blocks: int) -> None:
        from diffusers import UNet2DModel  # five seconds: only where it is used

        super().__init__()
        widths = (1, 2, 2, 2) if size <= 64 else (1, 1, 2, 2, 4, 4)
        down = ["AttnDownBlock2D" if size >> i == 16 else "DownBlock2D" for i in range(len(widths))]
        up = [block.replace("Down", "Up") for block in reversed(down)]
        self.net = UNet2DModel(
            sample_size=size,
            in_channels=channels,
            out_channels=channels,
            layers_per_block=blocks,
            block_out_channels=[width * k for k in widths],
            down_block_types=down,
            up_block_types=up,
            norm_num_groups=max(1, width // 4),
            norm_eps=1e-6,
            flip_sin_to_cos=False,
            freq_shift=1,
            downsample_padding=0,
            attention_head_dim=None,
        )

    def forward(self, noisy: Tensor, step: Tensor) -> Tensor:
        return self.net(noisy, step).sample


class Model(Base):
    """Train one network by one loss."""

    @staticmethod
    def networks(e: Choices) -> tuple[UNet, None]:
        return UNet(e.size, e.channels, e.width, e.blocks), None

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.scheduler = self._scheduler()
        levels = self.scheduler.alphas_cumprod
        self.scheduler.alphas_cumprod = levels.to(self.device)  # once, not in the first step

    def update(self, x: Tensor, t: int) -> Logs:
        s = (torch.rand(len(x), generator=self.rng, device=self.device) * 1000).long()
        eps = torch.randn(x.shape, generator=self.rng, device=self.device)
        noisy = self.scheduler.add_noise(x, eps, s)
        with self.autocast():
            guess = self._G(noisy, s)
        loss = F.mse_loss(guess.float(), eps)
        self.descend(self.opt_g, loss)
        return dict(g=loss)

    @staticmethod
    def _scheduler(ddim_steps: int = 0) -> "DDPMScheduler | DDIMScheduler":
        from diffusers import DDIMScheduler, DDPMScheduler

        if ddim_steps == 0:
            scheduler = DDPMScheduler()
            scheduler.set_timesteps(1000)
            return scheduler
        # Trailing: even few steps begin at the noisiest level, as pure noise needs.
        scheduler = DDIMScheduler(timestep_spacing="trailing")
        scheduler.set_timesteps(ddim_steps)
        return scheduler

    @classmethod
    def inputs(cls, e: Choices, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return two noisy images and the step that each is at: one pass of many that it takes."""
        noisy = torch.randn(2, e.channels, e.size, e.size, generator=rng, device=rng.device)
        return noisy, torch.zeros(2, dtype=torch.long, device=rng.device)

    @classmethod
    def draw(cls, G: UNet, n: int, e: Choices, rng: torch.Generator) -> Tensor:
        """Draw n images (n, C, H, W) in [-1, 1] from pure noise, step by step."""
        scheduler, device = cls._scheduler(e.ddim_steps), device_of(G)
        x = torch.randn(n, e.channels, e.size, e.size, generator=rng).to(device)
        parts = PIXELS_AT_ONCE // e.size**2 if device.type == "cpu" else n
        for s in scheduler.timesteps:
            noise = torch.cat([G(part, s.to(device)) for part in x.split(max(1, parts))])
            x = scheduler.step(noise, s, x, generator=rng).prev_sample
        return x.clamp(-1, 1)
