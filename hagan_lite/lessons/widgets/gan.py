"""Play two games of a GAN in the plane beside each other, step by step.

The browser trains both from the same first weights. They differ in what the reader sets: the loss,
the learning rates, how many real points there are, and whether D sees them through T.
"""

from itertools import pairwise
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
import traitlets
from torch import Tensor, nn

from hagan_lite import losses
from hagan_lite.lessons.widgets.base import Explorer, module

SETTINGS = dict(loss="ns", lr_G=1e-3, lr_D=5e-3, points=0, T=False)
"""Those of the lesson on GANs: loss "minimax", "ns" or "ls"; `points` real points in all, 0 is
endless; T shifts each point that D sees by up to 0.4 in both directions.
"""
LOSSES = ("minimax", "ns", "ls")
HIDDEN = [32, 32]


def mlp(*widths: int, seed: int) -> nn.Sequential:
    """Return linear layers with LeakyReLU(0.1) between them; the seed fixes the first weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = [nn.Linear(a, b) for a, b in pairwise(widths)]
    steps = [part for layer in layers for part in (layer, nn.LeakyReLU(0.1))]
    return nn.Sequential(*steps[:-1])


def weights(net: nn.Module) -> Tensor:
    """Return all weights of a network as one vector: of each layer the matrix, then the bias."""
    return torch.cat([p.detach().flatten() for p in net.parameters()])


class Batch(NamedTuple):
    """Hold what one step draws, each (n, 2); T's shifts are 0 where T is off."""

    real: Tensor
    z: Tensor
    T_real: Tensor
    T_fake: Tensor
    T_G: Tensor


class Game:
    """Train G and D in turn, as gan.js does it."""

    def __init__(self, G: nn.Module, D: nn.Module, loss: str, lr_G: float, lr_D: float) -> None:
        self.G, self.D, self.loss = G, D, loss
        self._opt_G = torch.optim.Adam(G.parameters(), lr_G, betas=(0.5, 0.9))
        self._opt_D = torch.optim.Adam(D.parameters(), lr_D, betas=(0.5, 0.9))

    def step(self, batch: Batch) -> tuple[float, float]:
        """Let D learn, then G; return their losses."""
        kind = "ls" if self.loss == "ls" else "ns"
        fake = self.G(batch.z)
        on_real, on_fake = self.D(batch.real + batch.T_real), self.D(fake.detach() + batch.T_fake)
        loss_D = losses.d_loss(on_real, 1.0, kind) + losses.d_loss(on_fake, 0.0, kind)
        self._descend(self._opt_D, loss_D)
        loss_G = loss_of_G(self.D(fake + batch.T_G), self.loss)  # with the D that has just learned
        self._descend(self._opt_G, loss_G)
        return loss_D.item(), loss_G.item()

    @staticmethod
    def _descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    def push(self, z: Tensor) -> Tensor:
        """Return where D's judgement pushes each fake: minus the gradient of G's loss, (n, 2)."""
        fake = self.G(z).detach().requires_grad_()
        (gradient,) = torch.autograd.grad(loss_of_G(self.D(fake), self.loss), fake)
        return -len(z) * gradient


def loss_of_G(scores: Tensor, kind: str) -> Tensor:
    """Return G's loss of D's scores on fakes; "minimax" is log(1 - sigmoid(s))."""
    if kind == "minimax":
        return F.logsigmoid(-scores).mean()
    return losses.g_loss(scores, kind)


class GanPlayground(Explorer):
    """Show two games, `left` and `right`, with settings as in SETTINGS; `data` is for both.

    `step` is the one that is shown; `seen` are its losses and D's answers, game by game, as the
    browser has computed them. `GanPlayground(right=dict(loss="ls"))` changes some of SETTINGS, and
    so does `playground.right = dict(loss="ls")`.
    """

    _esm = module("gan")

    left = traitlets.Dict().tag(sync=True)
    right = traitlets.Dict().tag(sync=True)
    data = traitlets.Enum(("ring", "eight clouds"), "ring").tag(sync=True)
    step = traitlets.Int(0, min=0, max=1000).tag(sync=True)
    seed = traitlets.Int(0).tag(sync=True)
    seen = traitlets.Dict().tag(sync=True)

    _widths = traitlets.List(HIDDEN, help="hidden layers of both networks").tag(sync=True)
    _G = traitlets.Bytes().tag(sync=True)
    _D = traitlets.Bytes().tag(sync=True)

    def __init__(self, left: dict | None = None, right: dict | None = None, **traits) -> None:
        """Begin both games: as in the lesson on the left, with ten real points on the right."""
        seed = traits.get("seed", 0)
        super().__init__(
            left=left or {},
            right=dict(points=10) if right is None else right,
            _G=weights(mlp(2, *HIDDEN, 2, seed=seed)).numpy().tobytes(),
            _D=weights(mlp(2, *HIDDEN, 1, seed=seed + 1)).numpy().tobytes(),
            **traits,
        )

    @traitlets.validate("left", "right")
    def _all_settings(self, proposal: dict[str, Any]) -> dict[str, Any]:
        """Take what is not given from SETTINGS."""
        unknown = proposal["value"].keys() - SETTINGS.keys()
        if unknown:
            raise traitlets.TraitError(
                f"{', '.join(sorted(unknown))}: a game has {', '.join(SETTINGS)}"
            )
        settings = SETTINGS | proposal["value"]
        if settings["loss"] not in LOSSES:
            raise traitlets.TraitError(f"loss {settings['loss']!r}: one of {', '.join(LOSSES)}")
        return settings
