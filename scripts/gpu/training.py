"""Train within a time, and export what a run has come to.

An export is what is worth carrying back: experiment, log, a grid, the images that are evaluated,
those of the learning curve, and the generator in half precision where it is small enough. A run
that the time cut off is exported as what it is, an experiment of fewer steps.
"""

import argparse
import contextlib
import json
import math
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from hagan_lite import runs
from hagan_lite.config import Experiment
from hagan_lite.datasets import Dataset
from hagan_lite.model import model_of
from hagan_lite.system.checkpoints import load_checkpoint, save_tensors
from hagan_lite.system.runtime import pick_device
from hagan_lite.system.storage import write_json
from hagan_lite.train import train

LEAST = 3.0  # seconds: in less no training reaches anything
LARGEST_GENERATOR = 15 << 20
"""Bytes of a generator that is exported: of a larger one, its images alone are carried back."""
LARGEST_CURVE = 32 << 20
"""Bytes of a learning curve's images: of more there are fewer points, and at 256x256 none."""


def train_within(
    seconds: float,
    e: Experiment,
    run: Path,
    dataset: Dataset,
    options: argparse.Namespace,
    history: bool,
) -> None:
    """Train until the end or for so many seconds; the checkpoint then has what was reached."""
    how = dict(compiled="compiled" in options.mode, history=history)
    how["recorded"] = "recorded" in options.mode and model_of(e).by_phase
    with _stopping_after(seconds), contextlib.suppress(KeyboardInterrupt):
        train(e, run, dataset, options.device, options.precision, **how)


@contextlib.contextmanager
def _stopping_after(seconds: float) -> Iterator[None]:
    """Stop the block after so many seconds, or by a signal: a training ends between two steps.

    Raises KeyboardInterrupt in the block; a training waits with it until a step is whole.
    """
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    timer = threading.Timer(max(0.1, seconds), os.kill, (os.getpid(), signal.SIGTERM))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        signal.signal(signal.SIGTERM, before)


def export(run: Path, out: Path, dataset: Dataset, device: str) -> int:
    """Write what is worth carrying back from `run` to `out`; return how many steps it has taken.

    Raises FileNotFoundError where no checkpoint was reached.
    """
    where = pick_device(device)
    e, G, reached = averaged(run, where)
    about = json.loads((run / "experiment.json").read_text())
    if reached < e.steps:
        about["stopped"] = dict(asked=e.steps, reached=reached)
        # Nothing that a step does depends on the number of steps: this is what was trained.
        e = replace(e, steps=reached, phase_two=min(e.phase_two, reached))
        about |= dict(experiment=e.to_dict(), hash=e.hash)
    shutil.rmtree(out, ignore_errors=True)
    n = len(dataset.split(e.heldout, e.n_train)[0])
    out.mkdir(parents=True)
    np.savez_compressed(out / "samples.npz", images=runs.generate(G, e, n))
    np.savez_compressed(out / "curve.npz", **curve(run, e, n, where))
    tensors = {name: _half(tensor) for name, tensor in G.state_dict().items()}
    if sum(t.numel() * t.element_size() for t in tensors.values()) <= LARGEST_GENERATOR:
        save_tensors(out / "generator.safetensors", tensors)
    shutil.copy(run / "log.jsonl", out)
    for grid in sorted((run / "samples").glob("*.png"))[-1:]:
        shutil.copy(grid, out)
    write_json(out / "experiment.json", about)  # last: with it the export is complete
    return reached


def averaged(run: Path, device: torch.device) -> tuple[Experiment, nn.Module, int]:
    """Return a run's experiment, its averaged generator as it stands, and its steps so far."""
    e = runs.experiment_of(run)
    if runs.finished(run):
        return e, runs.load_generator(run, str(device)), e.steps
    state = load_checkpoint(run / "checkpoint.pt", device)
    reached = state.pop("step")
    model = model_of(e)(e, device)
    model.load_state_dict(state)
    return e, model.averaged().requires_grad_(False).eval(), reached


def curve(run: Path, e: Experiment, n: int, device: torch.device) -> dict[str, np.ndarray]:
    """Return n images of generators that were saved during the training, by their steps.

    They are those that evaluation.learning_curve draws, evenly spaced where all would be too many.
    """
    saved = sorted((run / "history").glob("step_*.safetensors"), reverse=True)
    most = LARGEST_CURVE // (n * e.channels * e.size**2)
    if most < 2:
        return {}
    drawn = {}
    for path in reversed(saved[:: math.ceil(len(saved) / most) or 1]):
        step = int(path.stem.split("_")[1])
        drawn[str(step)] = runs.generate(runs.load_generator(run, str(device), step), e, n)
    return drawn


def _half(tensor: torch.Tensor) -> torch.Tensor:
    """Return a weight in half precision; vectors and counters as they are."""
    return tensor.half() if tensor.dim() > 1 and tensor.is_floating_point() else tensor
