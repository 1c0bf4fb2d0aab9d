"""Stage 1: check that a step on the GPU is the CPU's, and a recorded step the step itself."""

import argparse
import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import torch

import hagan_lite.baselines  # noqa: F401  (it registers every model)
from hagan_lite.config import Experiment
from hagan_lite.datasets import load
from hagan_lite.datasets.batches import batch_indices
from hagan_lite.model import Model, model_of
from hagan_lite.system import graphs
from hagan_lite.system.paths import ROOT
from hagan_lite.system.runtime import describe, pick_device

FIRST, LAST = 1e-3, 5e-2
"""How far a logged number may be from the other's, relative to 1 or its size.

Sums are rounded in another order, and twenty steps later that has grown.
"""


def main() -> None:
    """Compare, run the tests that need CUDA, write check.json, and fail where anything differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for check.json")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=60, help="for the tests")
    parser.add_argument("--rehearsal", action="store_true")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    device = pick_device(options.device)
    # TF32 would round the GPU's products to ten bits.
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    found: dict = dict(device=describe(device), torch=torch.__version__, cuda=torch.version.cuda)
    good = True
    for name, compare in (("cpu", against_the_cpu), ("recorded", recorded_against_eager)):
        try:
            found[name] = compare(device, 6 if options.rehearsal else 20)
            good &= found[name]["alike"]
        except Exception as error:  # the other comparison and the tests are still wanted
            found[name] = f"failed: {type(error).__name__}: {error}"
            good = False
        print(name, json.dumps(found[name]))
        (options.out / "check.json").write_text(json.dumps(found, indent=1))
    found["tests"] = tests(options.out, options.seconds, device)
    (options.out / "check.json").write_text(json.dumps(found, indent=1))
    print("tests", found["tests"])
    sys.exit(0 if good and found["tests"] in ("passed", "left out: no pytest here") else 1)


def against_the_cpu(device: torch.device, steps: int) -> dict:
    """Compare steps of HAGAN in float32 with the CPU's, on the same random numbers."""
    one, two = (_logs(where, "fp32", steps) for where in (torch.device("cpu"), device))
    return _compared(one, two)


def recorded_against_eager(device: torch.device, steps: int) -> dict:
    """Compare steps that are recorded after the third of a phase with steps as they are.

    The precision is the one that a training has.
    """
    one, two = (_logs(device, "auto", steps, recorded) for recorded in (False, True))
    return _compared(one, two)


def _logs(
    device: torch.device, precision: str, steps: int, recorded: bool | None = None
) -> list[dict]:
    """Return the logs of steps at smoke; the random numbers are the CPU's if `recorded` is None."""
    e = Experiment.make("hagan", "mni152", "smoke", steps=steps, phase_two=2 * steps // 5)
    images = torch.from_numpy(load("mni152").images.copy()).to(device)
    model = model_of(e)(e, device, precision)
    step = graphs.step_of(model, bool(recorded))
    logs = []
    with _random_numbers_of_the_cpu(model) if recorded is None else contextlib.nullcontext():
        for t in range(steps):
            index = batch_indices(len(images), e.batch_size, e.seed, t).to(device)
            values = step(images[index].float() / 127.5 - 1, t)
            logs.append({name: value.mean().item() for name, value in values.items()})
    return logs


@contextlib.contextmanager
def _random_numbers_of_the_cpu(model: Model) -> Iterator[None]:
    """Draw every torch.rand of the block on the CPU: devices have generators of their own."""
    rand, rng = torch.rand, torch.Generator().manual_seed(model.e.seed)

    def drawn(*shape: int, generator: torch.Generator, device: torch.device) -> torch.Tensor:
        return rand(*shape, generator=rng).to(device)

    with mock.patch("torch.rand", drawn):
        yield


def _compared(one: list[dict], two: list[dict]) -> dict:
    """Return the largest differences in the first and last five steps; say if they are small."""
    differences = [
        max(abs(a[name] - b[name]) / max(1.0, abs(a[name])) for name in a)
        for a, b in zip(one, two, strict=True)
    ]
    first, last = differences[0], max(differences[-5:])
    return dict(first=first, last=last, alike=first <= FIRST and last <= LAST, each=differences)


def tests(out: Path, seconds: float, device: torch.device) -> str:
    """Run the tests that need CUDA, in a process of their own; return how they ended.

    Their output is in tests.txt.
    """
    try:
        import pytest  # noqa: F401
    except ImportError:
        return "left out: no pytest here"
    # The options in pyproject.toml ask for plugins that need not be here.
    options = ["-o", "addopts=", "-p", "no:cacheprovider", "-m", "gpu", "-v", "-rA", "--tb=short"]
    command = [sys.executable, "-m", "pytest", *options, "tests/test_cuda.py"]
    with (out / "tests.txt").open("w") as log:
        try:
            done = subprocess.run(
                command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, timeout=seconds
            )
        except subprocess.TimeoutExpired:
            return f"not finished in {seconds:.0f} s; tests.txt has those that were"
    if device.type != "cuda" and done.returncode in (0, 5):
        return "passed"  # all skipped: this is a rehearsal
    return "passed" if done.returncode == 0 else f"failed with {done.returncode}: see tests.txt"


if __name__ == "__main__":
    main()
