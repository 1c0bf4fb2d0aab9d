"""The tests of the paper's claims that look at records."""

import math
from collections.abc import Callable
from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import f as f_distribution
from scipy.stats import t as t_distribution

from hagan_lite.report.experiments import EARLIER
from hagan_lite.report.verdicts import HELD, NOT, UNDECIDED, UNTESTED, Finding, worst
from hagan_lite.runs.record import distance_of

LEVEL = 0.05
"""A difference decides where chance alone would make one as large, in either direction, less often
than this.
"""
Known = dict[str, list[dict[str, Any]]]
PROTOCOLS: dict[str, dict[str, Any]] = {"": {}, " (earlier protocol)": EARLIER}
"""What distinguishes the rows of each protocol, by what stands behind their names; the present one
first.
"""


def in_one_protocol(known: Known, names: list[str]) -> tuple[str, Known]:
    """Return the protocol in which most of the rows `names` have records, and those records by
    plain names.

    Rows of two protocols are never compared. Where both have as many, the present one is taken.
    """
    suffix = max(PROTOCOLS, key=lambda suffix: sum(name + suffix in known for name in names))
    return suffix, {name: known[name + suffix] for name in names if name + suffix in known}


def better(known: Known, row: str, than: list[str]) -> Finding:
    """Whether `row` has a lower FD than every row of `than`: two-sided t-tests of a difference of
    means at LEVEL.

    A row of one run is taken to scatter as rows of several do: the variance is pooled over all of
    them.
    """
    protocol, found = in_one_protocol(known, [row, *than])
    rivals = [name for name in than if name in found] if row in found else []
    missing = [name for name in than if name not in found] if row in found else [row]
    verdicts, reasons = [], []
    if rivals:
        sd, freedom = spread(known, found[row][0])
        for name in rivals:
            verdict, reason = _difference(found, row, name, sd, freedom)
            verdicts.append(verdict)
            reasons.append(reason)
    if missing:
        reasons.append(f"no record of {', '.join(missing)}")
        verdicts.append(UNTESTED)
    names = tuple(r["name"] for name in [row, *rivals] for r in found.get(name, []))
    return Finding(worst(verdicts), "; ".join(reasons) + (protocol if rivals else ""), names)


def _difference(found: Known, row: str, rival: str, sd: float, freedom: int) -> tuple[str, str]:
    """Return the verdict on "`row` has a lower FD than `rival`", and its numbers; `sd` is that of
    one run.
    """
    mine = np.array([distance_of(r) for r in found[row]])
    other = np.array([distance_of(r) for r in found[rival]])
    lead = other.mean() - mine.mean()
    error = sd * math.sqrt(1 / len(mine) + 1 / len(other))
    numbers = (
        f"{mine.mean():.1f} against {other.mean():.1f} ({rival}), {len(mine)} and {len(other)} runs"
    )
    if not error:
        return UNDECIDED, f"{numbers}, and no spread of runs is known"
    p = float(2 * t_distribution.sf(abs(lead) / error, freedom))
    numbers += f", {lead / error:+.1f} standard errors, p = {p:.2g}"
    if p >= LEVEL:
        return UNDECIDED, numbers
    return (HELD if lead > 0 else NOT), numbers


def spread(known: Known, like: dict[str, Any]) -> tuple[float, int]:
    """Pooled standard deviation of FD over runs, and its degrees of freedom: of all rows on the
    same images, at the same size and number of steps as the record `like`.
    """

    def budget(r: dict[str, Any]) -> tuple:
        return r["data"]["fingerprint"], r["experiment"]["size"], r["experiment"]["steps"]

    alike = {
        tuple(distance_of(r) for r in same)
        for same in known.values()
        if budget(same[0]) == budget(like)
    }
    squares, freedom = sum(np.var(s) * len(s) for s in alike), sum(len(s) - 1 for s in alike)
    return (math.sqrt(squares / freedom), freedom) if freedom else (0.0, 0)


def steadier(known: Known, row: str, than: str) -> Finding:
    """Whether FD scatters less over the runs of `row` than of `than`: an F-test at LEVEL, from
    three runs each.
    """
    protocol, known = in_one_protocol(known, [row, than])
    seeds = [[distance_of(r) for r in known.get(name, [])] for name in (row, than)]
    if min(map(len, seeds)) < 3:
        return Finding(
            UNTESTED,
            f"{len(seeds[0])} and {len(seeds[1])} runs of {row} and {than}; a spread takes three",
        )
    mine, other = (float(np.var(s, ddof=1)) for s in seeds)
    wide, narrow = sorted(seeds, key=np.var, reverse=True)
    p = min(
        1.0,
        2
        * float(
            f_distribution.sf(max(mine, other) / min(mine, other), len(wide) - 1, len(narrow) - 1)
        ),
    )
    verdict = UNDECIDED if p >= LEVEL else HELD if mine < other else NOT
    names = tuple(r["name"] for name in (row, than) for r in known[name])
    return Finding(
        verdict, f"sd {mine**0.5:.1f} against {other**0.5:.1f}, p = {p:.2g}{protocol}", names
    )


def sooner(known: Known, row: str, than: str) -> Finding:
    """Whether `row` comes below the last FD of `than`, and stays there, in fewer steps: seed by
    seed, from three on.
    """
    with_curve = {name: [r for r in runs if r.get("curve")] for name, runs in known.items()}
    protocol, found = in_one_protocol(
        {name: runs for name, runs in with_curve.items() if runs}, [row, than]
    )
    pairs = [{r["experiment"]["seed"]: r for r in found.get(name, [])} for name in (row, than)]
    both = sorted(set(pairs[0]) & set(pairs[1]))
    if not both:
        return Finding(UNTESTED, f"no learning curves of {row} and {than} with one seed")
    told, wins = [], []
    for seed in both:
        (steps, mine), (_, others) = (side[seed]["curve"].values() for side in pairs)
        above = [i for i, fd in enumerate(mine) if fd > others[-1]]
        first = above[-1] + 1 if above else 0
        wins.append(first < len(steps) - 1)
        told.append(
            f"seed {seed}: after {steps[first] if first < len(steps) else f'more than {steps[-1]}'} steps"
        )
    verdict = UNTESTED if len(both) < 3 else HELD if all(wins) else UNDECIDED if any(wins) else NOT
    few = f"; {len(both)} seed(s) decide nothing" if verdict == UNTESTED else ""
    because = f"below the other's last FD for good, {', '.join(told)}{few}{protocol}"
    return Finding(verdict, because, tuple(side[seed]["name"] for side in pairs for seed in both))


def shifts_like_the_papers(known: Known, row: str) -> Finding:
    """Whether three labels would move by as little as Figure 7 prints, under the map that the runs
    of `row` train with.

    Each record has that chance (figure7.chances). It held where the chance is LEVEL or more in
    every run, and did not where it is less in every run.
    """
    protocol, found = in_one_protocol(known, [row])
    measured = [r for r in found.get(row, []) if "figure_7" in r]
    if not measured:
        return Finding(UNTESTED, f"no record of {row} with the chance of Figure 7's labels")
    chances = [r["figure_7"][r["experiment"]["saliency"]] for r in measured]
    likely = [chance >= LEVEL for chance in chances]
    verdict = HELD if all(likely) else UNDECIDED if any(likely) else NOT
    numbers = ", ".join(f"{chance:.2g}" for chance in chances)
    because = f"the chance of labels that move as little as the paper's three: {numbers}{protocol}"
    return Finding(verdict, because, tuple(r["name"] for r in measured))


def as_near_as_real(known: Known, row: str) -> Finding:
    """Whether generated images lie as near to one half of the real ones as the other half does,
    within two standard deviations of the subsets that the model's FD was measured on.
    """
    protocol, known = in_one_protocol(known, [row])
    if row not in known:
        return Finding(UNTESTED, f"no record of {row}")
    ours, floor = (
        np.mean([distance_of(r, "_at_floor_n") for r in known[row]]),
        known[row][0]["metrics"]["floor"],
    )
    held = ours - floor <= 2 * max(distance_of(r, "_at_floor_n_sd") or 0 for r in known[row])
    because = f"FD {ours:.1f}, where one half of the real images has {floor:.1f} against the other{protocol}"
    return Finding(HELD if held else NOT, because, tuple(r["name"] for r in known[row]))


def rank_agreement(paper: pd.Series, ours: pd.Series) -> dict[str, float]:
    """Spearman's rank correlation of two columns, over the models that both have, and how little
    that many models say.

    `low`, `high`: a 95 % interval by Fisher's z with Bonett and Wright's variance, NaN for fewer than four models or
    |rho| = 1; `p_value`: the share of all orders of the models that agree with the paper at least as well.
    """
    both = pd.DataFrame(dict(paper=paper, ours=ours)).dropna()
    n = len(both)
    if n < 3 or both.nunique().min() < 2:
        return dict(models=n, rho=math.nan, low=math.nan, high=math.nan, p_value=math.nan)
    ranks = both.rank()
    rho = float(np.corrcoef(ranks["paper"], ranks["ours"])[0, 1])
    others = (np.corrcoef(ranks["paper"], order)[0, 1] for order in permutations(ranks["ours"]))
    p_value = float(np.mean([other >= rho - 1e-9 for other in others]))
    if n < 4 or abs(rho) > 1 - 1e-9:  # perfect agreement has no interval
        return dict(models=n, rho=rho, low=math.nan, high=math.nan, p_value=p_value)
    z, half = math.atanh(rho), 1.96 * math.sqrt((1 + rho**2 / 2) / (n - 3))
    return dict(
        models=n, rho=rho, low=math.tanh(z - half), high=math.tanh(z + half), p_value=p_value
    )


TESTS: dict[str, Callable[..., Finding]] = {
    test.__name__: test
    for test in (better, steadier, sooner, shifts_like_the_papers, as_near_as_real)
}
