"""Say how a network does on real images that it was not trained on (Section I: small data sets).

A discriminator that has learnt its few images by heart gives other scores to held-out ones, and its
generator is pulled towards copies. Both show only on images that were kept away from the training.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from hagan_lite import runs
from hagan_lite.datasets.loading import Dataset
from hagan_lite.datasets.pixels import from_uint8
from hagan_lite.evaluation import metrics
from hagan_lite.hagan import Hagan
from hagan_lite.model import device_of, model_of
from hagan_lite.system.runtime import pick_device


def on_heldout(
    run: Path, dataset: Dataset, extractor: str = "auto", device: str = "auto", seed: int = 0
) -> dict[str, Any]:
    """Return a finished run's scores against held-out images, and its discriminator's gap.

    `metrics`: metrics.evaluate of as many samples as there are held-out images, whatever the run
    was trained on, so that runs of different `n_train` compare. `gap`: :func:`gap_of` the image
    branch after the last step; absent where the model has none. Empty without held-out images, or
    with fewer than metrics.FEWEST.
    """
    e, where = runs.experiment_of(run), pick_device(device)
    training, held = dataset.split(e.heldout, e.n_train)
    if len(held) < metrics.FEWEST:
        return {}
    fake = runs.sample(run, len(held), seed, device, dataset)
    found: dict[str, Any] = dict(
        metrics=metrics.evaluate(dataset.images[held], fake, where, seed, extractor)
    )
    if issubclass(model_of(e), Hagan):
        image_branch = runs.load_discriminator(run, device).image
        found["gap"] = gap_of(image_branch, dataset.images[training], dataset.images[held])
    return found


@torch.inference_mode()
def gap_of(branch: nn.Module, training: np.ndarray, heldout: np.ndarray) -> dict[str, float]:
    """Return how an image branch scores uint8 training and held-out images (N, C, H, W).

    `training` and `heldout` are the mean scores. `auc` is the chance that a random training image
    scores above a random held-out one: 1/2 says that D cannot tell them apart, 1 that it knows
    every image that it was trained on.
    """
    one, other = (_scores(branch, images) for images in (training, heldout))
    auc = metrics.chance_above(one, other)
    return dict(training=one.mean().item(), heldout=other.mean().item(), auc=auc)


def _scores(branch: nn.Module, images: np.ndarray, batch: int = 64) -> torch.Tensor:
    """Return an image branch's scores (N,) on the CPU."""
    where, parts = device_of(branch), []
    for i in range(0, len(images), batch):
        x = from_uint8(torch.tensor(images[i : i + batch], device=where))
        parts.append(branch(x)[0].float().cpu())
    return torch.cat(parts)
