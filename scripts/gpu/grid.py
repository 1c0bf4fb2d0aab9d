"""Stage 3: take cells of grid.json one after another, train, evaluate, write the record.

Several of these processes share one list: each takes the first cell that nobody has taken. Besides
the four packages of a training this needs those of the evaluation (EfficientNet-Lite0,
torchmetrics, torch-fidelity, scipy); where one is missing, the images are exported and evaluated
elsewhere.

    python scripts/gpu/grid.py --list grid.json --work WORK --out OUT --seconds 500
"""

import argparse
import json
import shutil
import time
import traceback
from pathlib import Path
from typing import Any

import torch
import training

from hagan_lite import runs
from hagan_lite.config import Experiment
from hagan_lite.datasets import Dataset, load_for
from hagan_lite.system.checkpoints import save_tensors
from hagan_lite.system.runtime import pick_device, provenance

EVALUATING = 25.0  # seconds that are kept for the evaluation of a cell
RUN_FILES = ("experiment.json", "log.jsonl", "generator.safetensors")


def main(words: list[str] | None = None) -> None:
    """Take cells until the list is empty or the time is over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", type=Path, required=True, help="grid.json of the pack")
    parser.add_argument("--work", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--out", type=Path, required=True, help="folder of what is carried back")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--mode", default="recorded", help="as in cases.Case")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--extractor", default="auto")
    options = parser.parse_args(words)
    # TF32 would round a GPU's products to ten bits: scores and trainings shall be in float32.
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    deadline = time.monotonic() + options.seconds
    for cell in json.loads(options.list.read_text()):
        e = Experiment.from_dict(cell["experiment"])
        left = deadline - time.monotonic() - EVALUATING
        if left < training.LEAST:
            print("the time is over")
            return
        if not _mark(options.work / "taken" / e.hash):
            continue
        try:
            how, whole = one(e, cell, left, options)
            print(f"{_name(e)}: {how}", flush=True)
            if whole:
                _mark(options.work / "done" / e.hash)
        except Exception:  # Diverged, too: the other cells are still wanted
            print(f"{_name(e)} failed", flush=True)
            traceback.print_exc()


def one(
    e: Experiment, cell: dict[str, Any], seconds: float, options: argparse.Namespace
) -> tuple[str, bool]:
    """Train a cell for at most so many seconds, and leave a record or, unfinished, an export.

    Returns how long training and evaluation took, in words, and whether the cell is done.
    """
    dataset, began = load_for(e), time.monotonic()
    run = options.work / runs.run_dir(e, dataset).name
    how = argparse.Namespace(device=options.device, mode=options.mode, precision=options.precision)
    training.train_within(seconds, e, run, dataset, how, history=cell["curve"])
    trained = time.monotonic()
    if not runs.finished(run):
        reached = training.export(run, options.out / "runs" / run.name, dataset, options.device)
        return f"{reached} of {e.steps} steps in {trained - began:.0f} s", False
    name = f"{run.name}-{_slug(options.device)}"
    try:
        record(run, e, dataset, options, cell["curve"], name)
    except Exception as error:
        training.export(run, options.out / "runs" / run.name, dataset, options.device)
        return f"trained in {trained - began:.0f} s, to be evaluated elsewhere: {error!r}", True
    evaluated = time.monotonic()
    shutil.rmtree(options.out / "runs" / run.name, ignore_errors=True)  # an earlier call's
    bring(
        run,
        cell["bring"],
        len(dataset.split(e.heldout, e.n_train)[0]),
        options.out / "brought" / name,
        options.device,
    )
    shutil.rmtree(run)
    return f"trained in {trained - began:.0f} s, evaluated in {evaluated - trained:.0f} s", True


def record(
    run: Path, e: Experiment, dataset: Dataset, options: argparse.Namespace, curve: bool, name: str
) -> Path:
    """Evaluate a finished run as notebook "one experiment" does, and write its record."""
    from hagan_lite import evaluation  # its packages are not on every machine that can train
    from hagan_lite.evaluation import figure7

    device = options.device
    n = len(dataset.split(e.heldout, e.n_train)[0])
    fake = runs.sample(run, n, seed=0, device=device, dataset=dataset)
    parts = dict(heldout=e.heldout, n_train=e.n_train)
    found = evaluation.of_images(dataset, fake, options.extractor, device=device, **parts)
    main_one = found.metrics["extractor"]
    made = runs.make_record(
        run,
        found.metrics,
        also=found.also,
        audit=evaluation.summaries(found.audits),
        curve=evaluation.learning_curve(run, dataset, main_one, device) if curve else {},
        figure_7=figure7.chances(run, device),
        heldout=evaluation.on_heldout(run, dataset, main_one, device),
        evaluated=provenance(pick_device(device), "fp32"),
    )
    return runs.save_record(made, name, options.out / "records")


def bring(run: Path, what: str, n: int, to: Path, device: str) -> None:
    """Copy what is carried back beside the record; nothing for an empty `what`.

    "grid": the last grid of samples. "samples": the n images that were evaluated, as one picture
    without loss. "run": weights, log and snapshots, of which scripts/pretrained.py makes a shipped
    network.
    """
    if not what:
        return
    to.mkdir(parents=True, exist_ok=True)
    if what == "grid":
        shutil.copy(max((run / "samples").glob("*.png")), to)
    if what == "samples":
        runs.save_grid(to / "all.png", runs.sample(run, n, seed=0, device=device))
    if what == "run":
        for name in RUN_FILES:
            shutil.copy(run / name, to)
        D = runs.load_discriminator(run, "cpu")
        save_tensors(to / "discriminator.safetensors", D.state_dict())
        for name in ("snapshots", "samples"):
            if (run / name).exists():  # a DCGAN mixes nothing
                shutil.copytree(run / name, to / name, dirs_exist_ok=True)


def _mark(path: Path) -> bool:
    """Make an empty file; return False where another process has made it before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _name(e: Experiment) -> str:
    changes = {name: value for name, value in e.changes.items() if name != "augment"}
    return f"{e.model} {e.data_label} {e.preset} seed {e.seed} {e.steps} steps {changes or ''}"


def _slug(device: str) -> str:
    """Return a device's name as a part of a file's name: 'h100', say."""
    if not device.startswith("cuda"):
        return device
    words = torch.cuda.get_device_name(device).lower().split()
    return next((word for word in words if any(c.isdigit() for c in word)), "cuda")


if __name__ == "__main__":
    main()
