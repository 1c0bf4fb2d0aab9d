"""WGAN (Arjovsky et al. 2017), with the multilayer perceptrons that Table I's counts belong to.

A critic f with no sigmoid, whose slope is bounded, estimates a multiple of the Wasserstein
distance; G makes it small:

    max_f  E f(x) - E f(G(z)),    min_G  -E f(G(z))

`lipschitz` says how the slope is bounded: `clip` cuts f's weights to [-c, c] after each update,
with RMSprop (the source), which bounds it by some K; `penalty` adds
penalty * (||grad f(u)|| - 1)^2  at points u between real and fake, with Adam, which holds it near 1
(WGAN-GP, Gulrajani et al. 2017; its own rates are lr_g = lr_d = 1e-4, adam_beta1 = 0 and
adam_beta2 = 0.9, to be set).
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from hagan_lite.baselines._plain import PARTS, PLAIN
from hagan_lite.config import Experiment
from hagan_lite.model import Logs
from hagan_lite.model import Model as Base
from hagan_lite.system.choices import choice


@dataclass(frozen=True)
class Choices(Experiment):
    """Add how the critic is held, and how often it moves; defaults are the sources'."""

    lipschitz: str = choice(
        "clip", "how the critic's slope is bounded", "WGAN; WGAN-GP", one_of=("clip", "penalty")
    )
    clip: float = choice(0.01, "largest weight of a clipped critic", "WGAN", low=1e-6)
    penalty: float = choice(10.0, "weight of the gradient penalty", "WGAN-GP", low=0)
    critic_steps: int = choice(5, "updates of the critic per update of G", "WGAN", low=1)

    SETS = PLAIN | dict(attention=False, lr_g=5e-5, lr_d=5e-5)  # the source's
    REFUSED = PARTS + ("beta2", "adversarial")


class Perceptron(nn.Module):
    """Draw images (B, C, H, W) from z (B, z_dim): G, 13,301,632 parameters at 3 channels, 64x64.

    The hidden widths do not depend on `width`.
    """

    def __init__(self, size: int, channels: int, z_dim: int) -> None:
        super().__init__()
        self.shape = (channels, size, size)
        layers: list[nn.Module] = [nn.Linear(z_dim, 128), nn.LeakyReLU(0.2, inplace=True)]
        for a, b in pairwise((128, 256, 512, 1024)):
            layers += [nn.Linear(a, b), nn.BatchNorm1d(b), nn.LeakyReLU(0.2, inplace=True)]
        self.layers = nn.Sequential(*layers, nn.Linear(1024, channels * size**2), nn.Tanh())

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z).view(-1, *self.shape)


class Critic(nn.Sequential):
    """Score images, (B,), unbounded: f, 6,423,553 parameters at 3 channels, 64x64."""

    def __init__(self, size: int, channels: int) -> None:
        layers: list[nn.Module] = [nn.Flatten()]
        for a, b in pairwise((channels * size**2, 512, 256)):
            layers += [nn.Linear(a, b), nn.LeakyReLU(0.2)]
        super().__init__(*layers, nn.Linear(256, 1), nn.Flatten(0))


class Model(Base):
    """Move the critic several times, then G once."""

    @staticmethod
    def networks(e: Choices) -> tuple[Perceptron, Critic]:
        return Perceptron(e.size, e.channels, e.z_dim), Critic(e.size, e.channels)

    def _optimiser(self, net: nn.Module, lr: float) -> torch.optim.Optimizer:
        """Return RMSprop where weights are clipped: the source saw momentum do harm there."""
        if self.e.lipschitz == "penalty":
            return super()._optimiser(net, lr)
        # On CUDA the step counters, too, lie on the device.
        on_cuda = dict(capturable=True) if self.device.type == "cuda" else {}
        return torch.optim.RMSprop(net.parameters(), lr, **on_cuda)

    def update(self, x: Tensor, t: int) -> Logs:
        # The source takes a fresh batch for each update of the critic. Here they share the step's
        # batch, each with fakes of its own: so every model sees as many real images in as many
        # steps.
        for _ in range(self.e.critic_steps):
            fake = self.fakes(len(x))
            logs = self._critic_step(x, fake.detach())
        loss = -self.judge_fakes(self.fakes_for_g(fake)).float().mean()
        self.descend(self.opt_g, loss)
        return logs | dict(g=loss)

    def _critic_step(self, x: Tensor, fake: Tensor) -> Logs:
        """Move the critic once, on real and fake images; return what is logged."""
        e = self.e
        with self.autocast():
            real_, fake_ = self._D(x).float().mean(), self._D(fake).float().mean()
        loss = fake_ - real_
        logs = dict(d_img=loss, d_real=real_, d_fake=fake_)
        if e.lipschitz == "penalty":
            logs["d_penalty"] = self._penalty(x, fake)
            loss = loss + e.penalty * logs["d_penalty"]
        self.descend(self.opt_d, loss)
        if e.lipschitz == "clip":
            weights = list(self.D.parameters())
            with torch.no_grad():
                torch._foreach_clamp_min_(weights, -e.clip)
                torch._foreach_clamp_max_(weights, e.clip)
        return logs | dict(d=loss)

    def _penalty(self, x: Tensor, fake: Tensor) -> Tensor:
        """Return the mean of (||grad f(u)|| - 1)^2, u on the lines from real to fake.

        It is computed in float32, for it is squared.
        """
        share = torch.rand(len(x), 1, 1, 1, generator=self.rng, device=self.device)
        u = torch.lerp(x, fake, share).requires_grad_()
        (slope,) = torch.autograd.grad(self.D(u).sum(), u, create_graph=True)
        return (slope.flatten(1).norm(dim=1) - 1).square().mean()
