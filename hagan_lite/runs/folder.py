"""The run folder: what a training leaves behind, and what can be read from it afterwards.

experiment.json          the Experiment, its hash; the data's name, size, fingerprint; commit, versions, device
log.jsonl                one JSON object a line: losses, scores, gates, entropy of A, quantiles of lambda - lambda_0
checkpoint.pt            everything the next step depends on
samples/step_*.png       a grid of the averaged generator's images, always of the same z
snapshots/step_*.safetensors   AttnMix batches as they were trained on, for Figure 7
history/step_*.safetensors     the averaged generator at every tenth of the training, where `history` was asked for
generator.safetensors    the averaged generator after the last step: it is there when the run is finished
"""

import hashlib
import json
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from skimage.util import montage
from torch import nn

from hagan_lite.attnmix import Mixed
from hagan_lite.config import Experiment
from hagan_lite.datasets.loading import Dataset
from hagan_lite.model import model_of
from hagan_lite.system.paths import RUNS
from hagan_lite.system.runtime import pick_device, provenance
from hagan_lite.system.storage import load_checkpoint, read_json, write_atomically, write_json

CPU = torch.device("cpu")


def run_dir(e: Experiment, dataset: Dataset, root: Path = RUNS) -> Path:
    """The folder of this experiment on this data: other choices or other images have another one."""
    key = hashlib.sha256(f"{e.hash}{dataset.fingerprint}".encode()).hexdigest()[:8]
    return Path(root) / f"{e.model}-{e.data_label}-{e.preset}-s{e.seed}-{key}"


def describe(e: Experiment, dataset: Dataset) -> dict:
    """What experiment.json holds."""
    train, heldout = dataset.split(e.heldout)
    about = dict(name=dataset.name, n=len(dataset), n_train=len(train), n_heldout=len(heldout))
    about |= dict(n_left_out=len(dataset.left_out))
    return dict(
        experiment=e.to_dict(), hash=e.hash, data=about | dict(fingerprint=dataset.fingerprint)
    )


def open_run(
    run: Path, e: Experiment, dataset: Dataset, device: torch.device, precision: str = "auto"
) -> None:
    """Makes the folder, or checks that it is this experiment's. Raises ValueError where it is another's.

    Commit, versions, device and precision are those the run begins with; a warning
    says so where the code has changed since.
    """
    path, mine = run / "experiment.json", describe(e, dataset) | provenance(device, precision)
    if not path.exists():
        write_json(path, mine)
        return
    found = read_json(path)
    if found["hash"] != e.hash:
        raise ValueError(
            f"{run} holds another experiment, {found['hash']}; choose another folder or delete it"
        )
    check_data(run, dataset)
    if (then := found["commit"]) != mine["commit"]:
        warnings.warn(
            f"{run} was begun at commit {then}; delete it to train with the code of now",
            stacklevel=3,
        )


def check_data(run: Path, dataset: Dataset) -> None:
    """Raises ValueError where a run folder's images are not these."""
    found = read_json(Path(run) / "experiment.json")["data"]["fingerprint"]
    if found != dataset.fingerprint:
        raise ValueError(
            f"{run} was trained on other images, {found}; choose another folder, or give those images"
        )


def experiment_of(run: Path) -> Experiment:
    """The Experiment of a run folder. Raises FileNotFoundError that says what to do where it is none."""
    path = Path(run) / "experiment.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"{run} is not a run folder (no experiment.json); 'hagan run' makes one under {RUNS}"
        )
    return Experiment.from_dict(read_json(path)["experiment"])


def finished(run: Path) -> bool:
    return (Path(run) / "generator.safetensors").is_file()


def read_log(run: Path) -> list[dict]:
    """The log's lines; a last line that a killed process left unfinished is passed over."""
    path, lines = Path(run) / "log.jsonl", []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return lines


def in_short(line: dict) -> dict[str, str]:
    """The losses of a log line for a progress bar: D's and G's, or the only one of a model without D."""
    return {k.upper(): f"{line[k]:.2f}" for k in ("d", "g") if k in line}


def generator_file(run: Path, step: int | None = None) -> Path:
    """Of the averaged generator after `step`; None: after the last."""
    return Path(run) / (
        "generator.safetensors" if step is None else f"history/step_{step:06d}.safetensors"
    )


def save_generator(run: Path, ema: nn.Module, step: int | None = None) -> Path:
    tensors = {k: v.contiguous().cpu() for k, v in ema.state_dict().items()}
    return write_atomically(generator_file(run, step), lambda f: f.write(save(tensors)))


def load_generator(run: Path, device: str = "auto", step: int | None = None) -> nn.Module:
    """The averaged generator of a finished run, in eval mode: the last, or the one that was kept after `step`.

    Raises FileNotFoundError, ValueError with the remedy.
    """
    e, path, where = experiment_of(run), generator_file(run, step), pick_device(device)
    if not path.is_file():
        raise FileNotFoundError(
            f"{run} is not finished; run the same 'hagan run' again and it goes on where it stopped"
        )
    G, _ = model_of(e).networks(e)
    try:
        G.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        raise ValueError(
            f"{path} is damaged ({error}); delete it and run again: the checkpoint is kept"
        ) from error
    return G.to(where, memory_format=torch.channels_last).requires_grad_(False).eval()


def load_discriminator(run: Path, device: str = "auto") -> nn.Module:
    """D after the last step, in eval mode: of a checkpoint, or of a shipped run's discriminator.safetensors."""
    e, where, shipped = (
        experiment_of(run),
        pick_device(device),
        Path(run) / "discriminator.safetensors",
    )
    _, D = model_of(e).networks(e)
    D.load_state_dict(
        load_file(shipped)
        if shipped.exists()
        else load_checkpoint(Path(run) / "checkpoint.pt", CPU)["D"]
    )
    return D.to(where, memory_format=torch.channels_last).requires_grad_(False).eval()


def save_grid(path: Path, images: np.ndarray) -> Path:
    """uint8 (N, C, H, W) as one PNG, about square, in the order given."""
    grid = montage(images.transpose(0, 2, 3, 1), channel_axis=-1, fill=(0,) * images.shape[1])
    return write_atomically(path, lambda f: Image.fromarray(grid.squeeze()).save(f, "png"))


def save_snapshot(run: Path, step: int, mixed: Mixed, n: int = 8) -> Path:
    """The first n of an AttnMix batch, as float16 tensors named as the fields of Mixed, with the step."""
    tensors = {k: v[:n].detach().half().contiguous().cpu() for k, v in vars(mixed).items()}
    data = save(tensors | {"step": torch.tensor(step)})
    return write_atomically(
        run / "snapshots" / f"step_{step:06d}.safetensors", lambda f: f.write(data)
    )


def load_snapshots(run: Path) -> list[tuple[int, Mixed]]:
    """[(step, Mixed in float32), ...] in order of steps; empty where the model does not mix."""
    out = []
    for path in sorted((Path(run) / "snapshots").glob("step_*.safetensors")):
        tensors = load_file(path)
        step = int(tensors.pop("step"))
        out.append((step, Mixed(**{k: v.float() for k, v in tensors.items()})))
    return out
