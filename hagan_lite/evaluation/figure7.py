"""Say how likely the paper's Figure 7 is under a generator's own map (Section IV-D).

The paper prints three labels, before and after saliency. Here the shifts of many masks over many of
a generator's maps say how often labels move by as little as those three, at their areas.
"""

import math
from pathlib import Path

import torch
from torch import nn

from hagan_lite import runs
from hagan_lite.attnmix import Labels, box_masks, mixed_labels, to_image_size
from hagan_lite.config import Experiment
from hagan_lite.model import device_of, model_of
from hagan_lite.paper import EXAMPLES
from hagan_lite.system.runtime import release_heap

READINGS = ("output", "received")
"""The two readings of "the attention map", values of Experiment.saliency."""


@torch.no_grad()
def label_shifts(
    G: nn.Module, e: Experiment, saliency: str, images: int = 64, masks: int = 20_000, seed: int = 0
) -> Labels:
    """Return the labels of random masks over the maps of `images` fakes, on the CPU.

    Maps are read as `saliency`. Each map serves n = masks // images masks, so that there are
    n * images labels. G needs attention, and no features of real images (skip="instance").

    Masks of large images are large blocks: the heap that was kept is given back before.
    """
    rng = torch.Generator().manual_seed(seed)
    z = model_of(e).latent(images, e, rng).to(device_of(G))
    A = torch.cat([G.with_saliency(part, saliency=saliency)[1] for part in z.split(16)])
    A = to_image_size(A, e.size).cpu()  # (images, 1, H, W)
    release_heap()
    parts = []
    for own in A:
        M = box_masks(masks // images, e.size, rng)
        parts.append(mixed_labels(M, own[None].expand_as(M), e.alpha))
    return Labels(*(torch.cat(column) for column in zip(*parts, strict=True)))


def chance_of_an_example(
    labels: Labels, area: float, adjusted: float, width: float = 0.05
) -> float:
    """Return the share of masks that move their labels by as little as one of Figure 7's examples.

    `area` and `adjusted` are the labels that the figure prints, before saliency and after. Masks
    count whose area is within `width` of the example's; up or down does not matter.
    """
    shift = (labels.lam - labels.lambda_0).abs()
    alike = (labels.lambda_0 - area).abs() <= width
    return (shift[alike] <= abs(adjusted - area)).float().mean().item()


def chance_of_the_papers_shifts(labels: Labels) -> float:
    """Return the chance that three masks move their labels by as little as Figure 7 prints.

    The examples are independent, so that it is the product of their three shares.
    """
    return math.prod(chance_of_an_example(labels, *example) for example in EXAMPLES.values())


def p_value(chance: float) -> float:
    """Return how often three such shares would have a product of `chance` or less by chance alone.

    If labels move as the map moves them, each share is uniform in [0, 1], and a product of three of
    them is small: below 0.05 in 42 of 100 cases. For their product c this is Fisher's combination
    (1925), c (1 - ln c + (ln c)^2 / 2).
    """
    from scipy.stats import chi2  # half a second: only where a p-value is asked for

    return float(chi2.sf(-2 * math.log(chance), 6)) if chance else 0.0


def chances(run: Path, device: str = "auto") -> dict[str, float]:
    """Return that chance under each of READINGS for the averaged generator of a finished run.

    Empty for a run whose labels no attention moves, and for skip="instance", whose maps need real
    images.
    """
    e = runs.experiment_of(run)
    if e.mix != "attnmix" or e.skip == "instance":
        return {}
    G = runs.load_generator(run, device)
    return {
        saliency: chance_of_the_papers_shifts(label_shifts(G, e, saliency)) for saliency in READINGS
    }
