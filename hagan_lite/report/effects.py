"""Measure how far two sides of runs lie apart: effect, bootstrap interval, p.

A *stratum* is one pair of rows, on one data set: the scores of its runs on either side. Effects are
the mean over strata of "the other side's mean minus mine": positive where mine is lower.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy import stats

Scores = tuple[float, ...]
Strata = tuple[tuple[Scores, Scores], ...]
"""(mine, other) of each stratum."""

RESAMPLES = 4000


class Effect(NamedTuple):
    """Hold an effect with its 95 % interval and two-sided p; None where they are not known."""

    size: float
    interval: tuple[float, float] | None
    p: float | None


@cache  # a ledger asks for the same strata several times
def effect(strata: Strata, seed: int = 0) -> Effect:
    """Return the mean over `strata` of how much lower my scores are.

    - Several runs on every side: Welch's t-test, over all strata with Satterthwaite's degrees of
      freedom; scipy's percentile bootstrap draws runs anew within each side of each stratum.
    - One stratum in which one side has a single run: Student's t-test with the other side's spread
      (Crawford and Howell 1998), and no interval.
    - Several strata, single runs in some of them: a t-test of the strata's differences of means,
      which are drawn anew.
    - Otherwise there is no p, nor where a score is not finite or no run differs from another.

    The interval of two to four runs a side is too narrow; p is what decides.
    """
    differences = [np.mean(other) - np.mean(mine) for mine, other in strata]
    size = float(np.mean(differences))
    sides = [np.array(side) for pair in strata for side in pair]
    if not np.isfinite(size):
        return Effect(size, None, None)
    if all(len(side) > 1 for side in sides):
        return Effect(size, _interval(sides, seed), _welch(size, sides))
    if len(strata) == 1:
        spread = max(np.ptp(side) for side in sides)
        p = float(stats.ttest_ind(*sides).pvalue) if spread else None
        return Effect(size, None, p)
    p = float(stats.ttest_1samp(differences, 0).pvalue) if np.ptp(differences) else None
    return Effect(size, interval_of_mean(tuple(map(float, differences)), seed), p)


@cache
def interval_of_mean(scores: Scores, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval of a mean over runs."""
    return _bootstrap([np.array(scores)], np.mean, seed)


def _interval(sides: list[np.ndarray], seed: int) -> tuple[float, float]:
    """Return the stratified bootstrap interval; `sides` are mine, other, mine, other, ..."""

    def statistic(*drawn: np.ndarray, axis: int = -1) -> np.ndarray:
        mine, other = drawn[::2], drawn[1::2]
        apart = [b.mean(axis) - a.mean(axis) for a, b in zip(mine, other, strict=True)]
        return sum(apart) / len(apart)

    return _bootstrap(sides, statistic, seed)


def _bootstrap(
    samples: list[np.ndarray], statistic: Callable[..., np.ndarray], seed: int
) -> tuple[float, float]:
    found = stats.bootstrap(
        samples,
        statistic,
        n_resamples=RESAMPLES,
        vectorized=True,
        method="percentile",
        random_state=np.random.default_rng(seed),
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def _welch(size: float, sides: list[np.ndarray]) -> float | None:
    """Return the two-sided p of Welch's t-test, or None where no run differs from another."""
    strata = len(sides) // 2
    variances = [side.var(ddof=1) / len(side) / strata**2 for side in sides]
    total = sum(variances)
    if total == 0:
        return None
    terms = [v**2 / (len(side) - 1) for v, side in zip(variances, sides, strict=True)]
    return float(2 * stats.t.sf(abs(size) / total**0.5, total**2 / sum(terms)))
