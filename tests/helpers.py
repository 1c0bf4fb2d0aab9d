"""What test files share: a small experiment, real images, a watch on tensors, the command."""

import collections
import os
import signal
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from hagan_lite import datasets
from hagan_lite.config import Experiment
from hagan_lite.datasets import pixels

if TYPE_CHECKING:
    from typer.testing import Result

CPU = torch.device("cpu")
TINY = dict(preset="smoke", size=32, width=4, batch_size=4, steps=12)
SCORE = dict(extractor="efficientnet-lite0", resize="r", n_real=113, n_fake=113, seed=0)
SCORE |= dict(fd=200.0, floor=40.0, n_floor=56, fd_at_floor_n=210.0)
"""The scores of a record, as `metrics.evaluate` returns them."""


def tiny(model: str = "hagan", **changes) -> Experiment:
    """Return an experiment of 12 steps on four images of 32x32 a step, at width 4."""
    return Experiment.make(model, **(TINY | changes))


def stop_at(step: int) -> Callable[[dict], None]:
    """Return an `on_log` that interrupts the training as Ctrl-C does, at one line of its log."""

    def stop(line: dict) -> None:
        if line["step"] == step:
            os.kill(os.getpid(), signal.SIGINT)

    return stop


def real(n: int = 4, size: int = 32) -> torch.Tensor:
    """Return n slices from the middle of the embedded brain, (n, 1, size, size) in -1..1."""
    images = datasets.load("mni152", size).images[40 : 40 + n]
    return torch.from_numpy(pixels.to_tensor_range(images))


def hagan(*words: str) -> "Result":
    """Run the command in this process; an error is the result's `exception`."""
    from typer.testing import CliRunner  # not there where scripts/gpu.sh runs tests/test_cuda.py

    from hagan_lite.cli import app

    return CliRunner().invoke(app.app, words)


def noted(images: datasets.Dataset, *parts: str) -> bool:
    """Return whether one note of a data set has all these parts: a count, what was counted."""
    return any(all(part in note for part in parts) for note in images.notes)


def own(folder: Path, **how) -> datasets.Dataset:
    """Return the data set that a folder of one's own is, without warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return datasets.load(str(folder), **how)


def apart(a: np.ndarray, b: np.ndarray) -> float:
    """Return the mean difference of two uint8 images, in grey levels."""
    return np.abs(a.astype(int) - b.astype(int)).mean()


def without_times(log: list[dict]) -> list[dict]:
    """Return a run's log without the seconds, which differ from run to run."""
    return [{k: v for k, v in line.items() if k != "seconds"} for line in log]


class Watch(TorchDispatchMode):
    """Look at every operation of a `with` block.

    calls         how many there were
    read_back     where the host waited for a value: .item(), bool() or float() of a tensor
    elsewhere     operations with a tensor that is not on CUDA
    convolutions  how many convolutions were computed in each dtype
    largest       the most elements that the last two dimensions of a result had
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls, self.largest = 0, 0
        self.read_back: list[str] = []
        self.elsewhere: list[str] = []
        self.convolutions: collections.Counter[torch.dtype] = collections.Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        self.calls += 1
        if "_local_scalar_dense" in str(function):
            self.read_back.append("".join(traceback.format_stack(limit=6)))
        tensors = [x for x in tree_leaves((args, kwargs, out)) if isinstance(x, torch.Tensor)]
        if {x.device.type for x in tensors} - {"cuda"}:
            self.elsewhere.append(str(function))
        if "convolution" in str(function) and isinstance(out, torch.Tensor):  # forward passes
            self.convolutions[out.dtype] += 1
        if isinstance(out, torch.Tensor) and out.ndim >= 3:
            self.largest = max(self.largest, out.shape[-1] * out.shape[-2])
        return out
