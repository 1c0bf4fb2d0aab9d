"""The run folder: what a training leaves behind, and what can be read from it afterwards.

experiment.json          the Experiment, its hash; the data's name, size, fingerprint;
                         commit, versions, device, processor, precision
log.jsonl                one JSON object a line: losses, scores, gates, entropy of A,
                         quantiles of lambda - lambda_0
checkpoint.pt            everything the next step depends on
samples/step_*.png       a grid of the averaged generator's images, always of the same z
snapshots/step_*.safetensors   AttnMix batches as they were trained on, for Figure 7
history/step_*.safetensors     the averaged generator at every tenth of the training, if `history`
history/discriminator_step_*.safetensors   D at the same steps, where images are held out
drawn/*.pt               images that took a minute or more to draw; may be deleted
generator.safetensors    the averaged generator after the last step: only a finished run has it
"""

import hashlib
import json
import math
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn

from hagan_lite.attnmix import Mixed
from hagan_lite.config import Experiment
from hagan_lite.datasets.loading import Dataset
from hagan_lite.model import Logs, model_of
from hagan_lite.system.checkpoints import load_checkpoint, load_tensors, save_tensors
from hagan_lite.system.paths import RUNS
from hagan_lite.system.png import as_png
from hagan_lite.system.runtime import pick_device, provenance
from hagan_lite.system.storage import read_json, write_atomically, write_json

CPU = torch.device("cpu")
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Of lambda - lambda_0 within a batch, in this order, in the log's field "shift"."""


def run_dir(e: Experiment, dataset: Dataset, root: Path = RUNS) -> Path:
    """Return the folder of an experiment on a data set; other choices or images have another."""
    key = hashlib.sha256(f"{e.hash}{dataset.fingerprint}".encode()).hexdigest()[:8]
    return Path(root) / f"{e.model}-{e.data_label}-{e.preset}-s{e.seed}-{key}"


def describe(e: Experiment, dataset: Dataset) -> dict:
    """Return what experiment.json says of an experiment and its data."""
    train, heldout = dataset.split(e.heldout, e.n_train)
    about = dict(name=dataset.name, n=len(dataset), n_train=len(train), n_heldout=len(heldout))
    about |= dict(n_left_out=len(dataset.left_out), fingerprint=dataset.fingerprint)
    return dict(experiment=e.to_dict(), hash=e.hash, data=about)


def open_run(
    run: Path, e: Experiment, dataset: Dataset, device: torch.device, precision: str = "auto"
) -> None:
    """Make the run folder, or check that it is this experiment's.

    Commit, versions, device and precision are those that the run begins with; a warning says so
    where the code has changed since. Raises ValueError for a folder of another experiment, of other
    images or of another precision; a finished run may be opened with "auto" on any machine.
    """
    path = run / "experiment.json"
    now = describe(e, dataset) | provenance(device, precision)
    if not path.exists():
        write_json(path, now)
        return
    before = read_json(path)
    if before.get("hash") != e.hash:
        other = before.get("hash", "without a hash")
        raise ValueError(
            f"{run} holds another experiment, {other}; choose another folder or delete it"
        )
    check_data(run, dataset)
    begun = before.get("precision") or "fp32"  # the first runs do not say it
    if begun != now["precision"] and not (precision == "auto" and finished(run)):
        raise ValueError(
            f"{run} was begun in {begun}, and here it would go on in {now['precision']}: "
            f"give --precision {begun}, or delete the folder to train it again"
        )
    if before["commit"] != now["commit"]:
        warnings.warn(
            f"{run} was begun at commit {before['commit']}; "
            "delete it to train with the code of now",
            stacklevel=3,
        )


def check_data(run: Path, dataset: Dataset) -> None:
    """Raise ValueError if the run folder's images are not those of `dataset`."""
    about = read_json(Path(run) / "experiment.json")["data"]
    here = (dataset.fingerprint, len(dataset))
    if (about["fingerprint"], about["n"]) != here:
        raise ValueError(
            f"{run} was trained on other images, {about['n']} of {about['fingerprint']}, and here "
            f"are {here[1]} of {here[0]}; choose another folder, or give those images"
        )


def experiment_of(run: Path) -> Experiment:
    """Return the Experiment of a run folder.

    Raises FileNotFoundError that says what to do where it is none.
    """
    path = Path(run) / "experiment.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"{run} is not a run folder (no experiment.json); 'hagan run' makes one under {RUNS}"
        )
    about = read_json(path)
    if not isinstance(about, dict) or not isinstance(about.get("experiment"), dict):
        raise ValueError(f"{path} holds no experiment; delete {run} and run again")
    try:
        return Experiment.from_dict(about["experiment"])
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def finished(run: Path) -> bool:
    """Return whether the run's last step is done."""
    return (Path(run) / "generator.safetensors").is_file()


def read_log(run: Path) -> list[dict]:
    """Return the log's lines, without a last one that a killed process left unfinished.

    Raises ValueError that names the file and the remedy where another line is damaged.
    """
    path, lines = Path(run) / "log.jsonl", []
    if not path.exists():
        return lines
    written = path.read_bytes().splitlines()
    for number, line in enumerate(written, 1):
        try:
            lines.append(json.loads(line))
        except ValueError as error:  # no JSON, or no text
            if number < len(written):
                raise ValueError(
                    f"{path} is damaged in line {number}; delete that line, "
                    "then run the same command again"
                ) from error
    return lines


def seconds_spent(run: Path) -> float:
    """Return how long earlier calls trained this run, by its log."""
    lines = read_log(run)
    return lines[-1]["seconds"] if lines else 0.0


def log_line(step: int, logs: Logs) -> dict:
    """Return scalars as floats, rounded to 6 digits, and the batch of shifts as its quantiles.

    There is one transfer from the device.
    """
    logs = dict(logs)
    shift = logs.pop("shift", None)
    values = [value.float().reshape(1) for value in logs.values()]
    if shift is not None:
        quantiles = torch.tensor(QUANTILES, device=shift.device)
        values.append(shift.float().quantile(quantiles))
    numbers = [float(f"{number:.6g}") for number in torch.cat(values).tolist()]
    line = {"step": step} | dict(zip(logs, numbers, strict=False))
    if shift is not None:
        line["shift"] = numbers[len(logs) :]
    return line


def in_short(line: dict) -> dict[str, str]:
    """Return the losses of a log line for a progress bar: D and G, or G alone without D."""
    return {k.upper(): f"{line[k]:.2f}" for k in ("d", "g") if k in line}


def generator_file(run: Path, step: int | None = None) -> Path:
    """Return the path of the averaged generator after `step`, or after the last step if None."""
    if step is None:
        return Path(run) / "generator.safetensors"
    return Path(run) / "history" / f"step_{step:06d}.safetensors"


def pictured_steps(e: Experiment) -> list[int]:
    """Return the steps after which a training saves pictures, and its history: every tenth."""
    every = max(5, e.steps // 10)
    return sorted({*range(every, e.steps + 1, every), e.steps})


def history_of(run: Path, prefix: str = "") -> list[int]:
    """Return the steps of a run's history, of D's with `prefix` "discriminator_"; [] if none.

    An incomplete history, of a run that was in part trained without one, counts as none.
    """
    saved = sorted((Path(run) / "history").glob(f"{prefix}step_*.safetensors"))
    steps = [int(path.stem.rpartition("_")[2]) for path in saved]
    if steps and steps != pictured_steps(experiment_of(run)):
        warnings.warn(
            f"{run} has an incomplete history, since a part of it was trained without --curve: "
            "no curve is drawn of it; delete the folder to train it again",
            stacklevel=3,
        )
        return []
    return steps


def save_generator(run: Path, ema: nn.Module, step: int | None = None) -> Path:
    """Write the averaged generator's weights to :func:`generator_file` and return that path."""
    return save_tensors(generator_file(run, step), ema.state_dict())


def load_generator(run: Path, device: str = "auto", step: int | None = None) -> nn.Module:
    """Load the averaged generator after `step`, or after the last step if None, in eval mode.

    Raises FileNotFoundError if the run is not finished or saved no history, ValueError if the file
    is damaged, each with the remedy.
    """
    e, path = experiment_of(run), generator_file(run, step)
    if step is None and not path.is_file():
        raise FileNotFoundError(
            f"{run} is not finished; run the same 'hagan run' again and it goes on where it stopped"
        )
    G, _ = model_of(e).networks(e)
    _load_weights(G, path)
    return _to_look_at(G, device)


def _load_weights(net: nn.Module, path: Path) -> None:
    """Load `path` into `net`. Raises FileNotFoundError and ValueError as load_generator does."""
    if not path.is_file():
        there = ", ".join(sorted(p.name for p in path.parent.glob("*.safetensors")))
        raise FileNotFoundError(
            f"{path}: not there; there are {there or 'none'}. A run keeps its generator at every "
            "tenth of the steps with --curve, and D beside it where --set heldout= is above 0"
        )
    remedy = "delete it and run again: the checkpoint is kept"
    try:
        net.load_state_dict(load_tensors(path, remedy))
    except RuntimeError as error:  # weights of another network
        raise ValueError(f"{path} is damaged ({error}); {remedy}") from error


def _to_look_at(net: nn.Module, device: str) -> nn.Module:
    where = pick_device(device)
    return net.to(where, memory_format=torch.channels_last).requires_grad_(False).eval()


def discriminator_file(run: Path, step: int | None = None) -> Path:
    """Return the path of D after `step`, or of a shipped run's D after the last step if None."""
    if step is None:
        return Path(run) / "discriminator.safetensors"
    return Path(run) / "history" / f"discriminator_step_{step:06d}.safetensors"


def save_discriminator(run: Path, D: nn.Module, step: int) -> Path:
    """Write D's weights to :func:`discriminator_file` and return that path."""
    return save_tensors(discriminator_file(run, step), D.state_dict())


def load_discriminator(run: Path, device: str = "auto", step: int | None = None) -> nn.Module:
    """Load D after `step`, or after the last checkpoint if None, in eval mode.

    Weights of the last step are in the checkpoint, or in discriminator.safetensors of a run that is
    shipped; those of earlier steps are in the history, if it was saved. Raises ValueError for a
    model without a discriminator, and as load_generator does.
    """
    e, path = experiment_of(run), discriminator_file(run, step)
    _, D = model_of(e).networks(e)
    if D is None:
        raise ValueError(f"{run}: {e.model} has no discriminator")
    if step is not None or path.exists():
        _load_weights(D, path)
    else:
        checkpoint = Path(run) / "checkpoint.pt"
        if not checkpoint.is_file():
            raise FileNotFoundError(f"{checkpoint}: not there; run the same 'hagan run' again")
        D.load_state_dict(load_checkpoint(checkpoint, CPU)["D"])
    return _to_look_at(D, device)


def save_grid(path: Path, images: np.ndarray) -> Path:
    """Write images (N, C, H, W) uint8 as one PNG, about square, in their order; return `path`."""
    n, channels, height, width = images.shape
    side = math.ceil(math.sqrt(n))
    tiles = np.zeros((side * side, channels, height, width), np.uint8)
    tiles[:n] = images
    rows = tiles.reshape(side, side, channels, height, width).transpose(0, 3, 1, 4, 2)
    grid = rows.reshape(side * height, side * width, channels)
    return write_atomically(path, lambda f: f.write(as_png(grid)))


def save_snapshot(run: Path, step: int, mixed: Mixed, n: int = 8) -> Path:
    """Write the first n of an AttnMix batch as float16 tensors named as in Mixed, and the step."""
    tensors = {k: v[:n].detach().half() for k, v in vars(mixed).items()}
    path = run / "snapshots" / f"step_{step:06d}.safetensors"
    return save_tensors(path, tensors | {"step": torch.tensor(step)})


def load_snapshots(run: Path) -> list[tuple[int, Mixed]]:
    """Return [(step, Mixed in float32), ...] by step; an empty list if the model does not mix.

    Raises ValueError, with its name, for a damaged file.
    """
    snapshots = []
    for path in sorted((Path(run) / "snapshots").glob("step_*.safetensors")):
        tensors = load_tensors(path, "delete it")
        step = int(tensors.pop("step"))
        fields = {name: tensor.float() for name, tensor in tensors.items()}
        snapshots.append((step, Mixed(**fields)))
    return snapshots
