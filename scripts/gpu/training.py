"""Stages 3 to 5: train some of a stage's runs one after another within a time, and export each.

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
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cases
import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from hagan_lite import runs
from hagan_lite.config import Experiment
from hagan_lite.datasets import Dataset, load
from hagan_lite.model import model_of
from hagan_lite.system.runtime import pick_device
from hagan_lite.system.storage import load_checkpoint, write_json
from hagan_lite.train import Diverged, train

EXPORTING = 6.0  # seconds that an export may take, kept free of each run's time
LEAST = 3.0  # seconds: in less no training reaches anything
LARGEST_GENERATOR = 15 << 20
"""Bytes of a generator that is exported: of a larger one, its images alone are carried back."""
LARGEST_CURVE = 32 << 20
"""Bytes of a learning curve's images: of more there are fewer points, and at 256x256 none."""


def main() -> None:
    """Train and export the runs named, in their order."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stage", type=int, required=True)
    parser.add_argument("--names", required=True, help="names of cases.runs_of, commas between")
    parser.add_argument("--work", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--out", type=Path, required=True, help="folder of the exports")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--mode", default="recorded", help="as in cases.Case")
    parser.add_argument("--steps-256", type=int, default=4000)
    parser.add_argument("--rehearsal", action="store_true")
    options = parser.parse_args()
    torch.backends.cudnn.benchmark = "benchmark" in options.mode
    deadline = time.monotonic() + options.seconds
    experiments = cases.runs_of(options.stage, options.rehearsal, options.steps_256)
    names = options.names.split(",")
    for i, name in enumerate(names):
        share = (deadline - time.monotonic()) / (len(names) - i) - EXPORTING
        run, e = options.work / name, experiments[name]
        done = options.out / name / "experiment.json"
        if done.exists() and "stopped" not in json.loads(done.read_text()):
            continue
        if share < LEAST:
            print(f"{name}: no time left")
            continue
        dataset = load(e.dataset, e.size, e.channels)
        began = time.monotonic()
        try:
            train_within(share, e, run, dataset, options)
        except Diverged as error:
            print(f"{name}: {error}")
        trained = time.monotonic()
        reached = export(run, options.out / name, dataset, pick_device(options.device))
        took = f"{trained - began:.1f} s, exported in {time.monotonic() - trained:.1f}"
        print(f"{name}: {reached} of {e.steps} steps, {took}")


def train_within(
    seconds: float, e: Experiment, run: Path, dataset: Dataset, options: argparse.Namespace
) -> None:
    """Train until the end or for so many seconds; the checkpoint then has what was reached."""
    how = dict(compiled="compiled" in options.mode, recorded="recorded" in options.mode)
    with _stopping_after(seconds), contextlib.suppress(KeyboardInterrupt):
        train(e, run, dataset, options.device, history=True, **how)


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


def export(run: Path, out: Path, dataset: Dataset, device: torch.device) -> int:
    """Write what is worth carrying back from `run` to `out`; return how many steps it has taken.

    Raises FileNotFoundError where no checkpoint was reached.
    """
    e, G, reached = averaged(run, device)
    about = json.loads((run / "experiment.json").read_text())
    if reached < e.steps:
        about["stopped"] = dict(asked=e.steps, reached=reached)
        # Nothing that a step does depends on the number of steps: this is what was trained.
        e = replace(e, steps=reached, phase_two=min(e.phase_two, reached))
        about |= dict(experiment=e.to_dict(), hash=e.hash)
    shutil.rmtree(out, ignore_errors=True)
    n = len(dataset.split(e.heldout)[0])
    out.mkdir(parents=True)
    np.savez_compressed(out / "samples.npz", images=runs.generate(G, e, n))
    np.savez_compressed(out / "curve.npz", **curve(run, e, n, device))
    tensors = {name: _half(tensor) for name, tensor in G.state_dict().items()}
    if sum(t.numel() * t.element_size() for t in tensors.values()) <= LARGEST_GENERATOR:
        save_file(tensors, out / "generator.safetensors")
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
    half = tensor.half() if tensor.dim() > 1 and tensor.is_floating_point() else tensor
    return half.contiguous().cpu()


if __name__ == "__main__":
    main()
