"""Count what a network costs: parameters and multiply-accumulates, as the paper's Table I does.

The paper names no unit. Its numbers are those of a batch of 64 images of 3x64x64, in
multiply-accumulates divided by 2**30: convolutions, matrix products, and 5 per element of a
normalisation in training mode (the rule of the package fvcore); biases, activations and the power
iterations of spectral norm count nothing.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
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
    """Hold a network's trainable parameters, and its multiply-accumulates (MACs).

    MACs are per image of one forward pass in training mode.
    """

    parameters: int
    macs: int

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.parameters + other.parameters, self.macs + other.macs)

    @property
    def units(self) -> float:
        """Return the MACs in Table I's unit: for a batch of 64, divided by 2**30."""
        return self.macs * UNIT


def cost(net: nn.Module, *inputs: Tensor) -> Cost:
    """Return the cost of `net` on a batch of inputs (B, ...), B at least 2 for BatchNorm.

    Nothing is computed: the tensors are fake.
    """
    beside_products = 0  # MACs that the counter of products does not count as Table I does

    def add_norm(layer: nn.Module, inputs: tuple[Tensor, ...], out: Tensor) -> None:
        nonlocal beside_products
        beside_products += PER_NORMALISED * out.numel()

    def subtract_padding(layer: nn.Module, inputs: tuple[Tensor, ...], out: Tensor) -> None:
        nonlocal beside_products
        beside_products -= _padded(layer, out)

    parameters = sum(p.numel() for p in net.parameters() if p.requires_grad)
    fake = FakeTensorMode(allow_non_fake_inputs=True)
    with ExitStack() as hooks, torch.no_grad(), fake, FlopCounterMode(display=False) as counter:
        for layer in net.modules():
            hook = _hook_of(layer, add_norm, subtract_padding)
            if hook:
                hooks.callback(layer.register_forward_hook(hook).remove)
        net.train()(*inputs)
    products = counter.get_total_flops() // 2  # it counts a multiply-accumulate as two
    return Cost(parameters, (products + beside_products) // len(inputs[0]))


def _hook_of(layer: nn.Module, norm: Callable, attention: Callable) -> Callable | None:
    """Return the hook for this kind of layer, None where the counted products are all it costs."""
    if isinstance(layer, SelfAttention):
        return attention
    if isinstance(layer, _BatchNorm | nn.GroupNorm | nn.LayerNorm):
        return norm
    return None


def _padded(layer: SelfAttention, x: Tensor) -> int:
    """Return the MACs of an attention layer that are zeros only, for its output x (B, C, H, W).

    The equations have N x N x d MACs for q^T k and N x N x C for v A^T. The fused kernel is given q
    and k padded with zeros from d to C channels, and padding is no work that the equations ask for.
    """
    B, C, H, W = x.shape
    d = layer.query.out_channels
    return B * (H * W) ** 2 * (C - d)


def costs(e: Experiment) -> dict[str, Cost]:
    """Return the costs of the networks of an experiment's model: "G", "D" and "all".

    HAGAN's D has an entry "D, image branch", too. A model without D has "all" alone.
    """
    return _costs(replace(e, **NO_MATTER))


NO_MATTER = dict(dataset="mni152", seed=0, steps=2, phase_two=0, batch_size=2)
"""Values for fields that no network depends on: experiments that differ in them count once."""


@cache  # it takes seconds, and Table I, the ledger and the pages ask for the same models
def _costs(e: Experiment) -> dict[str, Cost]:
    kind, rng = model_of(e), torch.Generator().manual_seed(0)
    G, D = kind.networks(e)
    of_g = cost(G, *kind.inputs(e, rng))
    if D is None:
        return {"all": of_g}
    images = torch.zeros(2, e.channels, e.size, e.size)
    counted = {"G": of_g, "D": cost(D, images)}
    if e.pixel_branch:
        counted["D, image branch"] = cost(D.image, images)
    counted["all"] = counted["G"] + counted["D"]
    return counted


def training_flops(e: Experiment) -> float:
    """Return the floating-point operations of a whole training, two per multiply-accumulate.

    The model is HAGAN, or one that is HAGAN with parts off. A backward pass costs as much again for
    the weights as for the input. Per image of a step: G draws once with gradient, and with
    `fresh_noise` once more; D judges real, fake and, in phase two, mixed images with gradient, and
    once passes the gradient through to G, which needs none of its weights'.
    """
    counted = costs(e)
    G, D = counted["G"].macs, counted["D"].macs
    first_mixed = e.steps if e.mix == "off" else e.phase_two
    draws = 4 if e.fresh_noise else 3  # forward passes of G, and a backward pass as two of them
    every_step = G * draws + D * (2 * 3 + 2)
    mixed_step = D * 3
    macs = e.steps * every_step + (e.steps - first_mixed) * mixed_step
    return 2.0 * e.batch_size * macs
