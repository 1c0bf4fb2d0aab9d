"""Test whether the generator memorised: a copy of a training image is a patient.

This is the privacy question of medical images. A model that has learnt makes images about as far
from its training images as other real images are; one that copies is nearer. Distances to the
nearest training image, of samples and of real images that are set aside, are compared by rank.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

FOLDS = 5
LEVEL = 0.01
COPIES = 0.2
"""Share of copies among the samples for which the test's power is stated."""
ROWS = 256
"""Images that are compared at a time: their differences need no more memory than they do."""


@dataclass(frozen=True)
class Audit:
    """Hold an audit's distances, Euclidean in the given space, and what its test says.

    Real images are set aside either from the training, or one fold of the training images after the
    other. Indices are into the arrays that were given.
    """

    samples: np.ndarray  # (n,) from each sample to its nearest training image
    heldout: np.ndarray  # (m,) from each real image set aside to its nearest training image
    nearest: np.ndarray  # (n,) which training image that is
    p_value: (
        float  # one-sided: how often samples would be this much nearer if they were real images
    )
    nearer: (
        float  # chance that a sample is nearer than a real image set aside; 1/2 if they are alike
    )
    power: float  # chance that the test notices if a fifth of the samples were copies

    @property
    def verdict(self) -> str:
        """Return the verdict in words; a test that could not have noticed clears nobody."""
        n = f"{len(self.samples)} samples, {len(self.heldout)} real images set aside"
        if self.p_value < LEVEL:
            return (
                "suspicious: samples lie nearer to training images than real images do "
                f"({n}); look at the pairs"
            )
        if self.power < 0.8:
            return (
                f"cannot tell: with {n} the test would miss a fifth of copies too often "
                f"(power {self.power:.2f})"
            )
        return (
            f"no sign of copying: samples lie as far from training images as real images do ({n})"
        )

    def summary(self) -> dict[str, float | str]:
        """Return what a record holds of the audit: no distances, no indices."""
        about = dict(n_samples=len(self.samples), n_heldout=len(self.heldout), p_value=self.p_value)
        return about | dict(nearer=self.nearer, power=self.power, verdict=self.verdict)

    def closest(self, k: int = 8) -> np.ndarray:
        """Return the indices of the k samples nearest to a training image, nearest first."""
        return self.samples.argsort()[:k]


def audit(training: Tensor, samples: Tensor, heldout: Tensor, seed: int = 0) -> Audit:
    """Compare samples (n, d) and held-out real images (m, d) with training images (N, d).

    All are in one space: features or pixels.

    Raises ValueError where one of the three is empty, or holds a NaN or an infinity.
    """
    if not (len(training) and len(samples) and len(heldout)):
        raise ValueError(
            "an audit needs training images, samples and held-out real images; "
            "try heldout=0.2, or folds"
        )
    _check_finite(training, samples, heldout)
    return _compare(*_nearest(samples, training), _nearest(heldout, training)[0], seed)


def audit_by_folds(training: Tensor, samples: Tensor, groups: np.ndarray, seed: int = 0) -> Audit:
    """Audit where nothing was held out, by five folds of whole groups.

    Each fifth of the real images plays held out against the others, and each fifth of the samples
    is compared with the same others, so that both meet equally many images. `groups` (N,) names
    each training image's patient, volume or block.

    A copied image is among the others four times of five, which is enough to notice. Raises
    ValueError for fewer than five groups: slices of one volume are alike, and would call each other
    copies.
    """
    names = np.random.default_rng(seed).permutation(np.unique(groups))
    if len(names) < FOLDS:
        raise ValueError(f"{len(names)} group(s): five folds need five patients, volumes or blocks")
    _check_finite(training, samples)
    near, which, real = [], [], []
    for fold, part in enumerate(np.array_split(names, FOLDS)):
        out = torch.from_numpy(np.isin(groups, part))
        distance, index = _nearest(samples[fold::FOLDS], training[~out])
        near.append(distance)
        which.append((~out).nonzero().flatten().numpy()[index])
        real.append(_nearest(training[out], training[~out])[0])
    by_folds = np.concatenate([np.arange(len(samples))[fold::FOLDS] for fold in range(FOLDS)])
    order = by_folds.argsort()  # back to the order in which the samples were given
    nearest = np.concatenate(which)[order]
    return _compare(np.concatenate(near)[order], nearest, np.concatenate(real), seed)


def _check_finite(*sets: Tensor) -> None:
    """Raise ValueError for a NaN or an infinity, which every comparison would let pass."""
    if not all(one.isfinite().all() for one in sets):
        raise ValueError("images or features hold a NaN or an infinity: the training went wrong")


def _nearest(a: Tensor, b: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return the distance from each row of a to its nearest row of b, and that row's index.

    Matrix products find the nearest row; |b|^2 - 2 a b is its squared distance less |a|^2. The
    distance to it is then taken from the difference, so that a copy is at distance 0.
    """
    a, b = a.double(), b.double()
    middle = b.mean(0)  # differences stay, and products of what lies far from 0 lose fewer digits
    a, b = a - middle, b - middle
    lengths, distances, indices = b.square().sum(1), [], []
    for rows in a.split(ROWS):
        nearest = (lengths - 2 * rows @ b.T).argmin(1)
        distances.append((rows - b[nearest]).norm(dim=1))
        indices.append(nearest)
    return torch.cat(distances).numpy(), torch.cat(indices).numpy()


def _compare(near: np.ndarray, which: np.ndarray, real: np.ndarray, seed: int) -> Audit:
    """Return the audit of samples' distances `near` against real images' distances `real`."""
    test = _less(near, real)
    nearer = float(1 - test.statistic / (len(near) * len(real)))
    power = _power(len(near), real, seed)
    return Audit(near, real, which, float(test.pvalue), nearer, power)


def _power(n: int, real: np.ndarray, seed: int, trials: int = 200) -> float:
    """Return the power of the test, by simulation.

    In each trial n samples and real images are drawn from the same distances, and a fifth of the
    samples is set to 0.
    """
    rng = np.random.default_rng(seed)
    drawn = [(rng.choice(real, n), rng.choice(real, len(real))) for _ in range(trials)]
    fake, held = map(np.stack, zip(*drawn, strict=True))
    fake[:, : round(COPIES * n)] = 0
    return float((_less(fake, held).pvalue < LEVEL).mean())


def _less(a: np.ndarray, b: np.ndarray) -> Any:
    """Return Mann and Whitney's test, row by row, of whether values in a are less than in b."""
    from scipy.stats import mannwhitneyu  # half a second: only where an audit is made

    return mannwhitneyu(a, b, alternative="less", axis=-1)
