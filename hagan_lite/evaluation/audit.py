"""Test whether the generator memorised: a copy of a training image is a patient.

This is the privacy question of medical images. A model that has learnt makes images about as far
from its training images as other real images are; one that copies is nearer. Distances to the
nearest training image, of samples and of real images that are set aside, are compared twice:

- all of them, by the rank test of Mann and Whitney: are samples nearer as a whole?
- the nearest ones: do more samples lie nearer than the nearest twentieth of the real images than
  chance puts there? A few copies among samples that are mostly far away show here alone.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

FOLDS = 5
LEVEL = 0.01
"""Share of false alarms of both tests together, each of which has half of it (Bonferroni).

It is that of independent images. Slices of one patient are not, and give more false alarms.
"""
NEAREST = 0.05
"""Share of the real images set aside that are the nearest ones."""
COPIES = 0.2
"""Share of copies among the samples for which the power is stated."""
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
    p_value: float  # of the rank test: how often real images would be this much nearer
    p_nearest: float  # of the nearest ones: how often real images would be so many
    nearer: float  # chance that a sample is nearer than a real image set aside; 1/2 if alike
    power: float  # chance that a test notices if a fifth of these samples were copies

    @property
    def p(self) -> float:
        """Return the p-value of both tests together."""
        return min(1.0, 2 * min(self.p_value, self.p_nearest))

    @property
    def verdict(self) -> str:
        """Return the verdict in words; tests that could not have noticed clear nobody."""
        n = f"{len(self.samples)} samples, {len(self.heldout)} real images set aside"
        if self.p < LEVEL:
            what = "samples lie" if self.p_value < LEVEL / 2 else "too many samples lie very much"
            return (
                f"suspicious: {what} nearer to training images than real images do "
                f"({n}); look at the pairs"
            )
        if self.power < 0.8:
            return (
                f"cannot tell: with {n} the tests would miss a fifth of copies too often "
                f"(power {self.power:.2f})"
            )
        where = "about as far from training images as real images do"
        if self.nearer < 0.4:
            where = "farther from training images than real images do"
        return f"no sign of copying: a fifth of copies would have shown; samples lie {where} ({n})"

    def summary(self) -> dict[str, float | str]:
        """Return what a record holds of the audit: no distances, no indices."""
        about = dict(n_samples=len(self.samples), n_heldout=len(self.heldout), p_value=self.p_value)
        about |= dict(p_nearest=self.p_nearest, nearer=self.nearer, power=self.power)
        return about | dict(verdict=self.verdict)

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
    return _compare(*_nearest(samples, training), _nearest(heldout, training)[0], COPIES, seed)


def audit_by_folds(training: Tensor, samples: Tensor, groups: np.ndarray, seed: int = 0) -> Audit:
    """Audit where nothing was held out, by five folds of whole groups.

    Each fifth of the real images plays held out against the others, and each fifth of the samples
    is compared with the same others, so that both meet equally many images. `groups` (N,) names
    each training image's patient, volume or block.

    A copied image is among the others four times of five; the power takes this into account.
    Raises ValueError for fewer than five groups: slices of one volume are alike, and would call
    each other copies.
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
    seen = COPIES * (1 - 1 / FOLDS)
    return _compare(np.concatenate(near)[order], nearest, np.concatenate(real), seen, seed)


def _check_finite(*sets: Tensor) -> None:
    """Raise ValueError for a NaN or an infinity, which every comparison would let pass."""
    if not all(one.isfinite().all() for one in sets):
        raise ValueError("images or features hold a NaN or an infinity: the training went wrong")


def _nearest(a: Tensor, b: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return the distance from each row of a to its nearest row of b, and that row's index.

    Matrix products find the nearest row; |b|^2 - 2 a b is its squared distance less |a|^2. The
    distance to it is then taken from the difference, so that a copy is at distance 0. All is done
    in float64, and for ROWS rows of each at a time: images may be many and large.
    """
    blocks = [(start, b[start : start + ROWS]) for start in range(0, len(b), ROWS)]
    middle = sum(block.double().sum(0) for _, block in blocks) / len(b)

    def centred(rows: Tensor) -> Tensor:
        """Return rows about 0: differences stay, and products lose fewer digits."""
        return rows.double() - middle

    distances, indices = [], []
    for rows in a.split(ROWS):
        from_middle, least = centred(rows), torch.full((len(rows),), torch.inf).double()
        index = torch.zeros(len(rows), dtype=torch.long)
        for start, block in blocks:
            other = centred(block)
            value, at = (other.square().sum(1) - 2 * from_middle @ other.T).min(1)
            index = torch.where(value < least, at + start, index)
            least = least.minimum(value)
        distances.append((rows.double() - b[index].double()).norm(dim=1))
        indices.append(index)
    return torch.cat(distances).numpy(), torch.cat(indices).numpy()


def _compare(
    near: np.ndarray, which: np.ndarray, real: np.ndarray, copies: float, seed: int
) -> Audit:
    """Return the audit of samples' distances `near` against real images' distances `real`.

    `copies` is the share of samples at distance 0 if a fifth were copies.
    """
    nearer, by_rank, of_nearest = _tests(near[None], real[None])
    power = _power(near, real, copies, seed)
    p_values = dict(p_value=float(by_rank[0]), p_nearest=float(of_nearest[0]))
    return Audit(near, real, which, nearer=float(nearer[0]), power=power, **p_values)


def _tests(near: np.ndarray, real: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the chance that a sample is nearer, and the p-value of each test, row by row.

    `near` (rows, n) and `real` (rows, m). If samples and real images were alike, all orders of
    their distances would be equally likely. `of_nearest` is the chance that a samples or more come
    before the k-th real image: among the first a + k - 1 there are fewer than k real ones.
    """
    from scipy.stats import hypergeom, mannwhitneyu  # half a second: only where an audit is made

    n, m = near.shape[1], real.shape[1]
    by_rank = mannwhitneyu(near, real, alternative="less", axis=-1)
    k = max(1, round(NEAREST * m))
    bound = np.sort(real, axis=1)[:, k - 1, None]
    a = (near < bound).sum(1)
    of_nearest = hypergeom.cdf(k - 1, n + m, m, np.minimum(a + k - 1, n + m))
    return 1 - by_rank.statistic / (n * m), by_rank.pvalue, of_nearest


def _power(
    near: np.ndarray, real: np.ndarray, copies: float, seed: int, trials: int = 200
) -> float:
    """Return the share of trials in which a test notices copies.

    In each trial both sets of distances are drawn anew from themselves, and a share of `copies` of
    the samples is set to 0.
    """
    rng = np.random.default_rng(seed)
    fakes, reals = [], []
    for _ in range(trials):
        fakes.append(rng.choice(near, len(near)))
        reals.append(rng.choice(real, len(real)))
    fake, held = np.stack(fakes), np.stack(reals)
    fake[:, : round(copies * len(near))] = 0
    _, by_rank, of_nearest = _tests(fake, held)
    return float((np.minimum(by_rank, of_nearest) < LEVEL / 2).mean())
