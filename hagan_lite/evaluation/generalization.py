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
from hagan_lite.attnmix import box_masks
from hagan_lite.config import Experiment
from hagan_lite.datasets.loading import Dataset
from hagan_lite.datasets.pixels import from_uint8
from hagan_lite.discriminator import Discriminator
from hagan_lite.evaluation import metrics
from hagan_lite.evaluation.branches import MixBatch, branch_auc
from hagan_lite.model import device_of, model_of
from hagan_lite.system.runtime import pick_device


def on_heldout(
    run: Path, dataset: Dataset, extractor: str = "auto", device: str = "auto", seed: int = 0
) -> dict[str, Any]:
    """Return a finished run's scores against held-out images, and its discriminator's gap.

    `metrics`: metrics.evaluate of as many samples as there are held-out images, whatever the run
    was trained on, so that runs of different `n_train` compare. `gap`: :func:`gap_of` the image
    branch after the last step; absent unless D is a Discriminator, which has such a branch.
    `over_training`: :func:`over_training`, for such a D in a run that saved its history. Empty
    without held-out images; with fewer than metrics.FEWEST there is no `metrics`.
    """
    e, where = runs.experiment_of(run), pick_device(device)
    training, held = dataset.split(e.heldout, e.n_train)
    found: dict[str, Any] = {}
    if len(held) >= metrics.FEWEST:
        fake = runs.sample(run, len(held), seed, device, dataset)
        real = dataset.images[held]
        found["metrics"] = metrics.evaluate(real, fake, where, seed, extractor)
    if len(held) and _has_image_branch(e):
        image_branch = runs.load_discriminator(run, device).image
        found["gap"] = gap_of(image_branch, dataset.images[training], dataset.images[held])
        if scores := over_training(run, dataset, device):
            found["over_training"] = scores
    return found


def _has_image_branch(e: Experiment) -> bool:
    """Return whether D is discriminator.py's, as it is in HAGAN and may be in any other model."""
    with torch.random.fork_rng(devices=[]):  # first weights are drawn
        _, D = model_of(e).networks(e)
    return isinstance(D, Discriminator)


def over_training(run: Path, dataset: Dataset, device: str = "auto") -> dict[str, list[float]]:
    """Return how D of every tenth of the training judges images, one number a step in each list.

    `step`; the image branch's mean scores of `training`, `heldout` and `generated` images, as in
    Karras et al. 2020, Figure 1: a D that overfits moves the held-out images from the training
    images to the generated ones; `auc`, the chance that a training image scores above a held-out
    one; `image`, the chance that a held-out image scores above a generated one; `pixel`, the same
    for the pixels of held-out images with generated boxes in them (only with a pixel branch).

    Generated are as many images as are held out, by the averaged generator of the same step, always
    from the same z and with the same boxes. Empty where the run saved no history, and for
    skip="instance", whose G needs D's features.
    """
    e, steps = runs.experiment_of(run), runs.history_of(run, "discriminator_")
    if not steps or e.skip == "instance":
        return {}
    training, held = (dataset.images[part] for part in dataset.split(e.heldout, e.n_train))
    masks = box_masks(len(held), e.size, torch.Generator().manual_seed(0))
    found: dict[str, list[float]] = {"step": steps}
    for step in steps:
        D = runs.load_discriminator(run, device, step)
        fake = runs.sample(run, len(held), device=device, step=step)
        scores = judged(D.image, training, held, fake)
        if D.pixel is not None:
            scores["pixel"] = branch_auc(D, _mixed_batches(held, fake, masks)).pixel
        for name, value in scores.items():
            found.setdefault(name, []).append(value)
    return found


def judged(
    branch: nn.Module, training: np.ndarray, heldout: np.ndarray, generated: np.ndarray
) -> dict[str, float]:
    """Return an image branch's mean scores and two chances, as :func:`over_training` has them.

    Images are (N, C, H, W) uint8.
    """
    known, unseen, fake = (_scores(branch, x) for x in (training, heldout, generated))
    of_fakes = dict(generated=fake.mean().item(), image=metrics.chance_above(unseen, fake))
    return _gap(known, unseen) | of_fakes


def _mixed_batches(
    real: np.ndarray, fake: np.ndarray, masks: torch.Tensor, batch: int = 64
) -> list[MixBatch]:
    """Return batches of uint8 real images, of fake ones and of masks of what stays real."""
    return [
        MixBatch(
            from_uint8(torch.tensor(real[start : start + batch])),
            from_uint8(torch.tensor(fake[start : start + batch])),
            masks[start : start + batch],
        )
        for start in range(0, len(real), batch)
    ]


def gap_of(branch: nn.Module, training: np.ndarray, heldout: np.ndarray) -> dict[str, float]:
    """Return how an image branch scores uint8 training and held-out images (N, C, H, W).

    `training` and `heldout` are the mean scores. `auc` is the chance that a random training image
    scores above a random held-out one: 1/2 says that D cannot tell them apart, 1 that it knows
    every image that it was trained on.
    """
    return _gap(*(_scores(branch, images) for images in (training, heldout)))


def _gap(known: torch.Tensor, unseen: torch.Tensor) -> dict[str, float]:
    auc = metrics.chance_above(known, unseen)
    return dict(training=known.mean().item(), heldout=unseen.mean().item(), auc=auc)


@torch.inference_mode()
def _scores(branch: nn.Module, images: np.ndarray, batch: int = 64) -> torch.Tensor:
    """Return an image branch's scores (N,) on the CPU."""
    where, parts = device_of(branch), []
    for i in range(0, len(images), batch):
        x = from_uint8(torch.tensor(images[i : i + batch], device=where))
        parts.append(branch(x)[0].float().cpu())
    return torch.cat(parts)
