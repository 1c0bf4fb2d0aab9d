"""What train.py drives: networks, optimisers, an average to sample from, one step.

HAGAN and every baseline is a Model. A file in baselines/ gives its name to one model and has two
names: `Choices`, its Experiment, and `Model`, a subclass of the class below, which says

- `networks(e)`: G, whose running average is sampled, and D (None where there is none);
- `update(x, t)`: step t on real images x; returns what is logged, as tensors;
- `latent`, `inputs` and `draw`, where z is not uniform noise or an image is not G(z).
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from hagan_lite import augment
from hagan_lite.config import Experiment
from hagan_lite.system.runtime import autocast

Logs = dict[str, Tensor]


def draw_z(n: int, e: Experiment, rng: torch.Generator) -> Tensor:
    """Draw z (n, z_dim), uniform in [-1, 1] (Section IV-A), on the device of `rng`."""
    return torch.rand(n, e.z_dim, generator=rng, device=rng.device) * 2 - 1


class Model:
    """Hold one training's networks, optimisers and random state; `step` moves them by a batch.

    A subclass is registered under the name of its file, so each file has one model: a second
    subclass in a file would replace the first.

    `ema` is the average of G's parameters that is sampled. torch.optim.swa_utils.AveragedModel is
    not used for it: it reads its counter back from the device twice in every step, which makes the
    host wait, and no step here does.
    """

    by_phase = False
    """True if a step depends on t only through graphs.path_of: only such a step can be recorded."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Enter a model in REGISTERED, under the name of its file."""
        super().__init_subclass__(**kwargs)
        REGISTERED[cls.__module__.rpartition(".")[2]] = cls

    @staticmethod
    def networks(e: Experiment) -> tuple[nn.Module, nn.Module | None]:
        """Return G and D with fresh weights, from torch's global random state."""
        raise NotImplementedError

    def update(self, x: Tensor, t: int) -> Logs:
        """Take step t on real images x (B, C, H, W) in [-1, 1]. Return what is logged, as tensors.

        Nothing is read back from the device.
        """
        raise NotImplementedError

    @staticmethod
    def latent(n: int, e: Experiment, rng: torch.Generator) -> Tensor:
        """Draw what G makes n images from, by default z (n, z_dim), on the device of `rng`."""
        return draw_z(n, e, rng)

    @classmethod
    def inputs(cls, e: Experiment, rng: torch.Generator) -> tuple[Tensor, ...]:
        """Return what G takes for two images; complexity.py counts an image's cost with it."""
        return (cls.latent(2, e, rng),)

    @classmethod
    def draw(cls, G: nn.Module, n: int, e: Experiment, rng: torch.Generator) -> Tensor:
        """Draw n images (n, C, H, W) in [-1, 1].

        `rng` is on the CPU: the same seed means the same z on every device.
        """
        return G(cls.latent(n, e, rng).to(device_of(G)))

    def __init__(
        self, e: Experiment, device: torch.device, precision: str = "auto", compiled: bool = False
    ) -> None:
        self.e, self.device, self.precision = e, device, precision
        with torch.random.fork_rng(devices=[]):
            # Weights are drawn on the CPU: the same on every device.
            torch.default_generator.manual_seed(e.seed)
            G, D = self.networks(e)
        # channels_last is faster for the convolutions on the CPU and on CUDA alike.
        self.G = G.to(device, memory_format=torch.channels_last)
        self.D = None if D is None else D.to(device, memory_format=torch.channels_last)
        self.ema = copy.deepcopy(self.G).requires_grad_(False).eval()
        self.opt_g = self._optimiser(self.G, e.lr_g)
        self.opt_d = None if D is None else self._optimiser(self.D, e.lr_d)
        self.rng = torch.Generator(device).manual_seed(e.seed)
        self._G, self._D = self.G, self.D  # as the step calls them: compiled if asked for
        if compiled:
            self._G = torch.compile(self.G)
            self._D = None if D is None else torch.compile(self.D)

    def _optimiser(self, net: nn.Module, lr: float) -> torch.optim.Optimizer:
        """Return Adam (Section IV-A); its betas are open."""
        fused = dict(fused=True) if self.device.type in ("cpu", "cuda") else {}
        betas = (self.e.adam_beta1, self.e.adam_beta2)
        return torch.optim.Adam(net.parameters(), lr, betas, **fused)

    def step(self, x: Tensor, t: int) -> Logs:
        """Take step t: the baselines' flips and shifts, `update`, then the average of G."""
        if self.e.flips:
            x = augment.flips_and_shifts(x, self.rng, self.e.border)
        logs = self.update(x.contiguous(memory_format=torch.channels_last), t)
        self._update_ema()
        return {name: value.detach() for name, value in logs.items()}

    def autocast(self):
        """Return the context in which networks compute in the run's precision."""
        return autocast(self.device, self.precision)

    def fakes(self, n: int) -> Tensor:
        """Return n images of G as it stands, float32; D's update takes them detached."""
        return self.images_of(self.latent(n, self.e, self.rng))

    def images_of(self, latent: Tensor) -> Tensor:
        """Return G's images of a latent, float32."""
        with self.autocast():
            return self._G(latent).float()

    def fakes_for_g(self, fake: Tensor) -> Tensor:
        """Return what G learns from: the images D has just judged; new ones with `fresh_noise`."""
        return self.fakes(len(fake)) if self.e.fresh_noise else fake

    def judge_fakes(self, fake: Tensor) -> Any:
        """Return D's judgement of fakes for G's update: D's weights get no gradient.

        Afterwards all of D's parameters require a gradient, also those that did not before.
        """
        self.D.requires_grad_(False)
        with self.autocast():
            judgement = self._D(fake)
        self.D.requires_grad_(True)
        return judgement

    @staticmethod
    def descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
        """Take one step of `optimiser` against the gradient of `loss`, a scalar."""
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    def averaged(self, batches: int = 16) -> nn.Module:
        """Return a copy of the averaged generator with BatchNorm statistics of its own, to sample.

        Those that were copied along belong to the last step's weights, not to the average (as in
        weight averaging). The training's random state is not touched.
        """
        G = copy.deepcopy(self.ema)
        rng = torch.Generator(self.device).manual_seed(self.e.seed)
        if any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in G.modules()):
            latents = [self.latent(self.e.batch_size, self.e, rng) for _ in range(batches)]
            update_bn(latents, G)
        return G

    def gates(self) -> Logs:
        """Return learned gates as they stand, for the log."""
        return {}

    @torch.no_grad()
    def _update_ema(self) -> None:
        """Move the average: parameters towards G's by 1 - ema, buffers are copied."""
        averaged, current = list(self.ema.parameters()), list(self.G.parameters())
        torch._foreach_lerp_(averaged, current, 1 - self.e.ema)
        for average, buffer in zip(self.ema.buffers(), self.G.buffers(), strict=True):
            average.copy_(buffer)

    def parts(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """Return networks and optimisers by name, those that the model has."""
        names = ("G", "D", "ema", "opt_g", "opt_d")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    def parameters(self) -> list[nn.Parameter]:
        """Return all that is trained."""
        return [p for net in (self.G, self.D) if net is not None for p in net.parameters()]

    def state_dict(self) -> dict:
        """Return all that the next step depends on."""
        state = {name: part.state_dict() for name, part in self.parts().items()}
        return state | {"rng": self.rng.get_state()}

    def load_state_dict(self, state: dict) -> None:
        """Go back to what `state_dict` gave."""
        for name, part in self.parts().items():
            part.load_state_dict(state[name])
        self.rng.set_state(state["rng"].cpu())


REGISTERED: dict[str, type[Model]] = {}
"""The class that trains each model: HAGAN's from hagan.py, the baselines' from their files."""


def model_of(e: Experiment) -> type[Model]:
    """Return the class that trains and samples experiment `e`.

    Raises ValueError where the model's file is not imported yet.
    """
    if e.model not in REGISTERED:
        raise ValueError(f"model={e.model!r} is not registered: import hagan_lite.baselines first")
    return REGISTERED[e.model]


def device_of(net: nn.Module) -> torch.device:
    """Return the device of a network's weights."""
    return next(net.parameters()).device
