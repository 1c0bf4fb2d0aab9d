"""What a network costs: trainable parameters and multiply-accumulates, by the rule behind the paper's Table I.

The paper names no unit. Its numbers are those of a batch of 64 images of 3x64x64, in multiply-accumulates divided by
2**30: convolutions, matrix products, and 5 per element of a normalisation in training mode (the rule of the package
fvcore); biases, activations and the power iterations of spectral norm count nothing.
"""

import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
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


class Measured(NamedTuple):
    """What a model costs on this machine."""

    step: float  # seconds per training step, the fastest of n: others may use the machine too
    image: float  # seconds per sampled image, likewise
    memory: int  # bytes: the most that tensors took at once in a step, weights and optimisers included


def measure(e: Experiment, device: torch.device, n: int = 3) -> Measured:
    """Trains on noise for a few steps in phase two, then samples a batch."""
    kind = model_of(e)
    model = kind(e, device)
    x = torch.rand(e.batch_size, e.channels, e.size, e.size, device=device) * 2 - 1
    model.step(x, e.phase_two)  # optimisers make their state, buffers their place
    state = [t for t in tree_leaves(model.state_dict()) if isinstance(t, Tensor)]
    with _Alive(state) as alive:
        model.step(x, e.phase_two)
    step = min(seconds(lambda: model.step(x, e.phase_two), device) for _ in range(n))
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        image = min(seconds(lambda: kind.draw(model.ema, len(x), e, rng), device) for _ in range(n)) / len(x)
    return Measured(step, image, alive.most)


def seconds(work: Callable[[], Any], device: torch.device) -> float:
    """How long `work` takes, what it left running on a GPU included."""
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    wait()
    began = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - began


class _Alive(TorchDispatchMode):
    """Counts the bytes of tensors that are alive at once, `most`: on a CPU nobody else does."""

    def __init__(self, there: Iterable[Tensor]) -> None:
        super().__init__()
        self.now, self.most, self._known = 0, 0, set()
        for tensor in there:
            self._note(tensor)

    def __torch_dispatch__(self, function: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        out = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                self._note(tensor)
        return out

    def _note(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if (key := storage._cdata) not in self._known:
            self._known.add(key)
            self.now += storage.nbytes()
            self.most = max(self.most, self.now)
            weakref.finalize(storage, self._forget, key, storage.nbytes())

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size
