"""Measure how far generated images are from real ones, with floors.

The scores are Fréchet distance, KID, precision and recall.

FID is the Fréchet distance of InceptionV3's 2048 features. With its 768 features it is called
FID-768, with another network's FD (runs.record.DISTANCES). Each is comparable with its like only:
same extractor, resize and number of images.
"""

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hagan_lite.evaluation.features import EXTRACTORS, choose, features

FEWEST = 4
"""Images that `evaluate` needs: a covariance takes two, and the floor halves the real ones."""
SUBSETS = 10
"""Random subsets over which a spread is taken."""


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Return the Fréchet distance of two feature sets (n, d), in float64.

    ||mu_a - mu_b||^2 + tr(S_a) + tr(S_b) - 2 tr (S_a S_b)^(1/2)

    With S = X^T X of the centred features X / sqrt(n - 1), the last trace is the sum of X_a X_b^T's
    singular values: exact where n < d makes S singular, never complex, and many times faster than
    the root of a d x d matrix, which is how torchmetrics and torch-fidelity compute the same number
    (a test compares all three).
    """

    def centred(x: Tensor) -> Tensor:
        x = (x - x.mean(0)) / (len(x) - 1) ** 0.5
        if len(x) <= x.shape[1]:
            return x
        return torch.linalg.qr(x, mode="r").R  # R^T R = X^T X, with fewer rows

    a, b = a.double(), b.double()
    one, other = centred(a), centred(b)
    root = torch.linalg.svdvals(one @ other.T).sum()
    distance = (
        (a.mean(0) - b.mean(0)).square().sum()
        + one.square().sum()
        + other.square().sum()
        - 2 * root
    )
    return max(0.0, distance.item())  # rounding leaves some -1e-12 where a equals b


def kid(a: Tensor, b: Tensor, seed: int = 0, subsets: int = 100) -> tuple[float, float]:
    """Return the kernel distance of two feature sets (n, d), and its standard error.

    It is torchmetrics', with a cubic polynomial kernel: the mean over random subsets, of at most
    100 images each, and the standard error of that mean, taken as if subsets were independent. It
    is unbiased: 0 on average where both sets are of one kind, whatever n is; single values may be
    negative.
    """
    from torchmetrics.image.kid import KernelInceptionDistance

    size = min(100, max(2, min(len(a), len(b)) // 2))
    passed_on = nn.Identity()  # torchmetrics wants a network; these are its outputs already
    passed_on.num_features = a.shape[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "will save all extracted features": it shall
        metric = KernelInceptionDistance(feature=passed_on, subsets=subsets, subset_size=size)
    metric.update(a.double(), real=True)
    metric.update(b.double(), real=False)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        mean, sd = metric.compute()
    return float(mean), float(sd) / subsets**0.5


def precision_recall(real: Tensor, fake: Tensor, k: int = 3) -> tuple[float, float]:
    """Return the share of fakes within the reals' neighbourhoods, and of reals within the fakes'.

    A neighbourhood is the ball around an image up to its k-th nearest neighbour; the code is
    torch-fidelity's (Kynkäänniemi et al. 2019).
    """
    from torch_fidelity.metric_prc import calculate_precision_recall_full

    return calculate_precision_recall_full(fake, real, min(k, len(real) - 1, len(fake) - 1))


def chance_above(a: Tensor, b: Tensor) -> float:
    """Return the chance that a value of `a` (n,) is above one of `b` (m,); a tie counts one half.

    It is the area under the ROC curve: 1/2 where nothing tells them apart, 1 where all of `a` lie
    above all of `b`.
    """
    from scipy.stats import mannwhitneyu  # half a second: only where it is asked for

    return float(mannwhitneyu(a.double().numpy(), b.double().numpy()).statistic / (len(a) * len(b)))


def evaluate(
    real: np.ndarray,
    fake: np.ndarray,
    device: torch.device | str = "cpu",
    seed: int = 0,
    extractor: str = "auto",
    fresh: tuple[np.ndarray, ...] = (),
) -> dict[str, Any]:
    """Return every score of uint8 `fake` against uint8 `real`, and the conditions to read it by.

    `fd`, or `fid` and `fid768` for Inception's 2048 and 768 features: the Fréchet distance.
    `floor`: that of one random half of the real images against the other half; `fd_at_floor_n`: the
    model's with as many images as a half has, mean over random subsets drawn without replacement (a
    bootstrap repeats images, which biases it), and `fd_at_floor_n_sd` their spread. FD falls as n
    grows, so these two compare; `fd` and `floor` do not. Where fewer images were generated than a
    half has, the floor is of as few images, `n_floor`, and there are no subsets and no spread.
    KID, precision and recall come with floors of their own. `fresh`: more sample sets of the same
    model, whose distances are `fd_sets`. Raises ValueError for fewer than FEWEST.
    """
    if min(len(real), len(fake)) < FEWEST:
        raise ValueError(
            f"{len(real)} real and {len(fake)} generated images: "
            f"FD and its floor need {FEWEST} of each"
        )
    name = choose(extractor)
    a, b = features(real, name, device), features(fake, name, device)
    rng, half = torch.Generator().manual_seed(seed), len(real) // 2
    order = torch.randperm(len(real), generator=rng)
    n = min(half, len(fake))
    one, other = a[order[:n]], a[order[half : half + n]]
    drawn = SUBSETS if n < len(fake) else 1
    subsets = [b[torch.randperm(len(b), generator=rng)[:n]] for _ in range(drawn)]
    at_floor = torch.tensor([frechet_distance(one, subset) for subset in subsets])
    fd = EXTRACTORS[name].distance
    scores = dict(extractor=name, resize=EXTRACTORS[name].resize, seed=seed)
    if digest := EXTRACTORS[name].digest():
        scores["extractor_weights"] = digest
    scores |= dict(n_real=len(real), n_fake=len(fake), n_floor=n)
    scores |= {fd: frechet_distance(a, b), "floor": frechet_distance(one, other)}
    scores[f"{fd}_at_floor_n"] = float(at_floor.mean())
    if drawn > 1:
        scores[f"{fd}_at_floor_n_sd"] = float(at_floor.std())
    if fresh:
        sets = [features(images, name, device) for images in fresh]
        scores[f"{fd}_sets"] = [frechet_distance(a, more) for more in sets]
    scores["kid"], scores["kid_se"] = kid(a, b, seed)
    scores["kid_floor"], scores["kid_floor_se"] = kid(one, other, seed)
    scores["precision"], scores["recall"] = precision_recall(a, b)
    floors = precision_recall(one, other)
    scores["precision_floor"], scores["recall_floor"] = floors
    return scores
