"""Images of a finished run: the averaged generator draws them, always the same for one seed.

A GAN draws a set in seconds, a DDPM at 256x256 in hours. What takes long is kept as it is drawn, so
that a stopped evaluation goes on where it was.
"""

import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from hagan_lite.config import Experiment
from hagan_lite.datasets import Dataset, load_for
from hagan_lite.datasets.pixels import from_uint8, to_uint8
from hagan_lite.discriminator import Discriminator
from hagan_lite.model import device_of, model_of
from hagan_lite.runs.folder import CPU, experiment_of, load_discriminator, load_generator
from hagan_lite.system.checkpoints import digest, load_checkpoint, save_checkpoint
from hagan_lite.system.runtime import keep_heap

DrawFeatures = Callable[[int, torch.Generator], list[torch.Tensor]]
"""Gives D's features of so many real images, finest level first; the generator chooses which."""

KEEP_EVERY = 60
"""Seconds of drawing after which a run keeps what it has drawn so far."""


@torch.no_grad()
def generate(
    G: nn.Module,
    e: Experiment,
    n: int,
    seed: int = 0,
    draw_features: DrawFeatures | None = None,
    batch: int = 64,
    kept: Path | None = None,
) -> np.ndarray:
    """Return n images, (n, C, size, size) uint8.

    `draw_features` is needed for skip="instance" (:func:`feature_drawer`). z is drawn on the CPU,
    so that the same seed means the same z on every device. `kept` is a file for this n and seed in
    which images are kept that take longer than KEEP_EVERY: those that it holds of the same G are
    not drawn again. Raises ValueError for n below 1.
    """
    if n < 1:
        raise ValueError(f"n={n}: draw one image or more")
    keep_heap()
    rng = torch.Generator().manual_seed(int(seed))
    images = _take_up(kept, G, rng) if kept else []
    draw = model_of(e).draw
    more = (draw_features,) if draw_features else ()
    last_kept = time.monotonic()
    for start in range(sum(map(len, images)), n, batch):
        count = min(batch, n - start)
        images.append(to_uint8(draw(G, count, e, rng, *more)))
        if kept and time.monotonic() - last_kept >= KEEP_EVERY:
            _keep(kept, G, images, rng)
            last_kept = time.monotonic()
    return np.concatenate(images)


def _take_up(kept: Path, G: nn.Module, rng: torch.Generator) -> list[np.ndarray]:
    """Return what `kept` holds of G's images, and set `rng` to where it was after them.

    Images of other weights, or a damaged file, count as none.
    """
    if not kept.is_file():
        return []
    try:
        drawn = load_checkpoint(kept, CPU)
    except ValueError:
        warnings.warn(f"{kept} is damaged: its images are drawn again", stacklevel=3)
        return []
    if not isinstance(drawn, dict) or drawn.get("weights") != digest(G.state_dict()):
        return []
    rng.set_state(drawn["rng"])
    return [drawn["images"].numpy()]


def _keep(kept: Path, G: nn.Module, images: list[np.ndarray], rng: torch.Generator) -> None:
    """Keep images, which weights drew them, and the state of what draws the next.

    A folder that may only be read, as a published run's, or a full disk is worth a warning.
    """
    drawn = dict(images=torch.from_numpy(np.concatenate(images)), rng=rng.get_state())
    try:
        save_checkpoint(kept, drawn | dict(weights=digest(G.state_dict())))
    except OSError as error:
        warnings.warn(f"the images drawn so far are not kept: {error}", stacklevel=3)


def sample(
    run: Path,
    n: int,
    seed: int = 0,
    device: str = "auto",
    dataset: Dataset | None = None,
    step: int | None = None,
) -> np.ndarray:
    """Return n images of a finished run, or of its `step` in the history, (n, C, size, size) uint8.

    skip="instance" also needs the training images: they are loaded by the run's data set name, or
    given as `dataset` where they are a user's own folder. Images that take long to draw are kept in
    the run's folder `drawn`, but for skip="instance", whose images depend on the data set, too.
    """
    e, G = experiment_of(run), load_generator(run, device, step)
    if e.skip == "instance":
        if dataset is None:
            dataset = load_for(e)
        training, _ = dataset.split(e.heldout, e.n_train)
        images = torch.from_numpy(dataset.images[training]).to(device_of(G))
        D = load_discriminator(run, device, step)
        return generate(G, e, n, seed, feature_drawer(D, images))
    which = "" if step is None else f"step_{step:06d}_"
    kept = Path(run) / "drawn" / f"{which}{n}_seed_{seed}_{device_of(G).type}.pt"
    return generate(G, e, n, seed, kept=kept)


def feature_drawer(D: Discriminator, images: torch.Tensor) -> DrawFeatures:
    """Return a function that gives D's features of n random `images` (N, C, H, W) uint8."""

    def draw_features(n: int, rng: torch.Generator) -> list[torch.Tensor]:
        chosen = torch.randint(len(images), (n,), generator=rng).to(images.device)
        training = D.training
        D.eval()  # in training mode a look would move the vectors of spectral norm
        _, maps = D.image(from_uint8(images[chosen]))
        D.train(training)
        return maps

    return draw_features
