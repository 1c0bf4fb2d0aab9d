"""What a network costs: trainable parameters and multiply-accumulates, by the rule behind the paper's Table I.

The paper names no unit. Its numbers are those of a batch of 64 images of 3x64x64, in multiply-accumulates divided by
2**30: convolutions, matrix products, and 5 per element of a normalisation in training mode (the rule of the package
fvcore); biases, activations and the power iterations of spectral norm count nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.flop_counter import FlopCounterMode

from hagan_lite.config import Experiment
from hagan_lite.generator import SelfAttention
from hagan_lite.model import model_of

UNIT = 64 / 2**30
"""Times the multiply-accumulates of one image, the number that Table I prints."""
PER_NORMALISED = 5


class Cost(NamedTuple):
    """Of one network: trainable parameters, and multiply-accumulates per image of one forward pass in training mode."""

    parameters: int
    macs: int

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.parameters + other.parameters, self.macs + other.macs)

    @property
    def units(self) -> float:
        """As Table I has it: the batch of 64, divided by 2**30."""
        return self.macs * UNIT


def cost(net: nn.Module, *inputs: Tensor) -> Cost:
    """Of `net` on a batch of inputs (B, ...), B at least 2 for BatchNorm. Nothing is computed: the tensors are fake."""
    normalised = []
    layers = [m for m in net.modules() if isinstance(m, _BatchNorm | nn.GroupNorm | nn.LayerNorm)]
    hooks = [m.register_forward_hook(lambda m, x, out: normalised.append(out.numel())) for m in layers]
    parameters = sum(p.numel() for p in net.parameters() if p.requires_grad)
    try:
        fake = FakeTensorMode(allow_non_fake_inputs=True)
        with torch.no_grad(), fake, _attention_as_written(), FlopCounterMode(display=False) as counter:
            net.train()(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    products = counter.get_total_flops() // 2  # it counts a multiply-accumulate as two
    return Cost(parameters, (products + PER_NORMALISED * sum(normalised)) // len(inputs[0]))


@cache  # seconds a model at width 64, and Table I, the ledger and the pages ask for the same ones
def costs(e: Experiment) -> dict[str, Cost]:
    """G, D and all of the experiment's model; of HAGAN's D the image branch too. A model without D has "all" alone."""
    kind, rng = model_of(e), torch.Generator().manual_seed(0)
    G, D = kind.networks(e)
    images = torch.zeros(2, e.channels, e.size, e.size)
    if D is None:
        return {"all": cost(G, images, torch.zeros(2, dtype=torch.long))}
    found = {"G": cost(G, kind.latent(2, e, rng)), "D": cost(D, images)}
    if e.pixel_branch:
        found["D, image branch"] = cost(D.image, images)
    return found | {"all": found["G"] + found["D"]}


def training_flops(e: Experiment) -> float:
    """Floating-point operations of a whole training of HAGAN or a model that is HAGAN with parts off, two per
    multiply-accumulate; a backward pass costs as much again for the weights as for what came in.

    Per image of a step: G draws once with gradient, and with `fresh_noise` once more; D judges real, fake and, in phase
    two, mixed images with gradient, and once passes the gradient through to G, which needs none of its weights'.
    """
    found, mixed = costs(e), e.mix != "off"
    G, D, first = found["G"].macs, found["D"].macs, e.phase_two if mixed else e.steps
    draws = 4 if e.fresh_noise else 3  # forward passes of G, and a backward pass as two of them
    plain, more = G * draws + D * (2 * 3 + 2), D * 3
    return 2.0 * e.batch_size * (e.steps * plain + (e.steps - first) * more)


@contextmanager
def _attention_as_written() -> Iterator[None]:
    """With the N x N matrix: the fused kernel pads q and k, and padding is no work that the equations ask for."""

    def output(layer: SelfAttention, x: Tensor) -> Tensor:
        v = layer.value(x).flatten(2)  # (B, C, N)
        return (v @ layer.matrix(x).transpose(1, 2)).view(x.shape)

    fused = SelfAttention.output
    SelfAttention.output = output
    try:
        yield
    finally:
        SelfAttention.output = fused
