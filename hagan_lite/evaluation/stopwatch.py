"""Measure what a model costs on this machine: seconds a step, seconds an image, memory."""

import time
import weakref
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from hagan_lite.config import Experiment
from hagan_lite.model import model_of

LONG = 2.0
"""Seconds after which a work is not repeated once more: what takes long is disturbed little."""


class Measured(NamedTuple):
    """Hold what a model costs on this machine."""

    step: float  # seconds per training step, the fastest of n: others may use the machine too
    image: float  # seconds per sampled image, likewise
    # Bytes: the most that tensors took at once in a step, weights and optimisers included.
    memory: int


def measure(e: Experiment, device: torch.device, n: int = 3) -> Measured:
    """Time training steps on noise in phase two, and the sampling of a batch.

    Each time is the fastest of n, or of fewer where these take LONG.
    """
    kind = model_of(e)
    model = kind(e, device)
    x = torch.rand(e.batch_size, e.channels, e.size, e.size, device=device) * 2 - 1
    model.step(x, e.phase_two)  # optimisers make their state, buffers their place
    state = [t for t in tree_leaves(model.state_dict()) if isinstance(t, Tensor)]
    with _Alive(state) as alive:
        model.step(x, e.phase_two)
    step = _fastest(lambda: model.step(x, e.phase_two), device, n)
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        drawing = _fastest(lambda: kind.draw(model.ema, len(x), e, rng), device, n)
    return Measured(step, drawing / len(x), alive.most)


def _fastest(work: Callable[[], Any], device: torch.device, n: int) -> float:
    """Return the fewest seconds that `work` took in n goes, or in those that began within LONG."""
    taken = [seconds(work, device)]
    while len(taken) < n and sum(taken) < LONG:
        taken.append(seconds(work, device))
    return min(taken)


def seconds(work: Callable[[], Any], device: torch.device) -> float:
    """Return how many seconds `work` takes, with what it left running on a GPU."""

    def wait() -> None:
        if device.type != "cpu":
            torch.accelerator.synchronize(device)

    wait()
    began = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - began


class _Alive(TorchDispatchMode):
    """Count the bytes of living tensors; `most` is their largest sum. torch counts only a GPU's."""

    def __init__(self, there: Iterable[Tensor]) -> None:
        super().__init__()
        self.now, self.most, self._counted = 0, 0, set()
        for tensor in there:
            self._note(tensor)

    def __torch_dispatch__(
        self, function: Callable, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        out = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                self._note(tensor)
        return out

    def _note(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if (key := storage._cdata) not in self._counted:
            self._counted.add(key)
            self.now += storage.nbytes()
            self.most = max(self.most, self.now)
            weakref.finalize(storage, self._forget, key, storage.nbytes())

    def _forget(self, key: int, size: int) -> None:
        self._counted.discard(key)
        self.now -= size
