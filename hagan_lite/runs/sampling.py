"""Images of a finished run: the averaged generator draws them, always the same for one seed."""

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
from hagan_lite.runs.folder import experiment_of, load_discriminator, load_generator
from hagan_lite.system.runtime import keep_heap

DrawFeatures = Callable[[int, torch.Generator], list[torch.Tensor]]
"""Gives D's features of so many real images, finest level first; the generator chooses which."""


@torch.no_grad()
def generate(
    G: nn.Module,
    e: Experiment,
    n: int,
    seed: int = 0,
    draw_features: DrawFeatures | None = None,
    batch: int = 64,
) -> np.ndarray:
    """Return n images, (n, C, size, size) uint8.

    `draw_features` is needed for skip="instance" (:func:`feature_drawer`). z is drawn on the CPU,
    so that the same seed means the same z on every device.
    """
    keep_heap()
    rng = torch.Generator().manual_seed(seed)
    draw = model_of(e).draw
    more = (draw_features,) if draw_features else ()
    images = []
    for start in range(0, n, batch):
        count = min(batch, n - start)
        images.append(to_uint8(draw(G, count, e, rng, *more)))
    return np.concatenate(images)


def sample(
    run: Path, n: int, seed: int = 0, device: str = "auto", dataset: Dataset | None = None
) -> np.ndarray:
    """Return n images of a finished run, (n, C, size, size) uint8.

    skip="instance" also needs the training images: they are loaded by the run's data set name, or
    given as `dataset` where they are a user's own folder.
    """
    e, G, draw_features = experiment_of(run), load_generator(run, device), None
    if e.skip == "instance":
        if dataset is None:
            dataset = load_for(e)
        training, _ = dataset.split(e.heldout, e.n_train)
        images = torch.from_numpy(dataset.images[training]).to(device_of(G))
        draw_features = feature_drawer(load_discriminator(run, device), images)
    return generate(G, e, n, seed, draw_features)


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
