"""Test the paper's claims that need records."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import f as f_distribution
from scipy.stats import permutation_test
from scipy.stats import t as t_distribution

from hagan_lite.evaluation.figure7 import p_value
from hagan_lite.report.effects import effect
from hagan_lite.report.verdicts import (
    HELD,
    LEVEL,
    NOT,
    UNDECIDED,
    UNTESTED,
    Comparison,
    Finding,
    Statement,
)
from hagan_lite.runs.record import Records, distance_of

RecordsByRow = dict[str, Records]
"""The records of each row, by the row's name; a row without a record has no entry."""


def better(records: RecordsByRow, row: str, than: list[str]) -> Finding:
    """Judge whether `row` has a lower FD than every row of `than`, by :func:`effects.effect`."""
    parts: list[Comparison | Statement] = []
    compared_with = [rival for rival in than if row in records and rival in records]
    for rival in compared_with:
        sides = [(records[row], records[rival])]
        parts.append(compared(f"{row} against {rival}", sides, f"({rival})"))
    if missing := [name for name in [row, *than] if name not in records]:
        parts.append(Statement(UNTESTED, f"no record of {', '.join(missing)}"))
    named = [row, *compared_with] if compared_with else []
    return Finding(tuple(parts), _names(records, named))


def better_on_average(records: RecordsByRow, row: str, than: str, over: list[str]) -> Finding:
    """Judge whether `row` has a lower FD than `than` in the mean over several data sets.

    `over` lists them: the rows' names are "ROW on DATA". Each is a stratum of
    :func:`effects.effect`, so that a data set with many runs weighs as much as one with few.
    """
    sides, names, missing = [], [], []
    for place in over:
        pair = [f"{row} on {place}", f"{than} on {place}"]
        lacking = [name for name in pair if name not in records]
        if lacking:
            missing += lacking
        else:
            sides.append((records[pair[0]], records[pair[1]]))
            names += _names(records, pair)
    if missing:
        return Finding.stated(UNTESTED, f"no record of {', '.join(missing)}", tuple(names))
    comparison = compared(f"{row} against {than}", sides, f"({than}), mean over {', '.join(over)}")
    return Finding((comparison,), tuple(names))


def compared(name: str, sides: list[tuple[Records, Records]], rival: str = "") -> Comparison:
    """Return the comparison of my runs with others', by FD: a pair (mine, others) a stratum."""
    strata = tuple(
        (tuple(distance_of(r) for r in mine), tuple(distance_of(r) for r in others))
        for mine, others in sides
    )
    found = effect(strata)
    mine, others = zip(*strata, strict=True)  # scores of each stratum
    runs = (sum(map(len, mine)), sum(map(len, others)))
    means = [np.mean([np.mean(scores) for scores in side]) for side in (mine, others)]
    numbers = "{:.1f} against {:.1f}".format(*means) + f" {rival}".rstrip()
    numbers += f", {runs[0]} and {runs[1]} runs, effect {found.size:+.1f}"
    if found.interval:
        numbers += " [{:+.1f}, {:+.1f}]".format(*found.interval)
    groups = [group for pair in sides for group in pair]
    return Comparison(
        name,
        tuple(tuple(record["name"] for record in group) for group in groups),
        found.size,
        found.p,
        runs,
        numbers,
        found.interval,
        both_with_t=all(r["experiment"]["augment"] for group in groups for r in group),
        fewest=min(map(len, groups)),
    )


def _names(records: RecordsByRow, rows: list[str]) -> tuple[str, ...]:
    """Return the names of all records of `rows`, row by row."""
    return tuple(record["name"] for row in rows for record in records[row])


def spread(records: RecordsByRow, like: dict[str, Any]) -> tuple[float, int]:
    """Return the pooled standard deviation of FD over runs, and its degrees of freedom.

    It is pooled over all rows on the same images, at the same size and number of steps as the
    record `like`, and scored against as many images; (0.0, 0) where none of them has several runs.
    """

    def budget(record: dict[str, Any]) -> tuple:
        e = record["experiment"]
        n_real = record["metrics"]["n_real"]
        return record["data"]["fingerprint"], e["size"], e["steps"], n_real

    scores_of = {}  # two names may stand for one experiment, which counts once
    for runs in records.values():
        if budget(runs[0]) == budget(like):
            scores_of[tuple(r["name"] for r in runs)] = [distance_of(r) for r in runs]
    alike = scores_of.values()
    squares = sum(np.var(scores) * len(scores) for scores in alike)
    freedom = sum(len(scores) - 1 for scores in alike)
    if not freedom:
        return 0.0, 0
    return math.sqrt(squares / freedom), freedom


def steadier(records: RecordsByRow, row: str, than: str) -> Finding:
    """Judge whether FD scatters less over the runs of `row` than of `than`.

    An F-test at LEVEL; each row needs three runs.
    """
    mine, other = ([distance_of(r) for r in records.get(name, [])] for name in (row, than))
    if min(len(mine), len(other)) < 3:
        because = f"{len(mine)} and {len(other)} runs of {row} and {than}; a spread takes three"
        return Finding.stated(UNTESTED, because)
    wide, narrow = sorted((mine, other), key=np.var, reverse=True)
    p = None
    if least := float(np.var(narrow, ddof=1)):
        ratio = float(np.var(wide, ddof=1)) / least
        p = min(1.0, 2 * float(f_distribution.sf(ratio, len(wide) - 1, len(narrow) - 1)))
    sd, others_sd = float(np.std(mine, ddof=1)), float(np.std(other, ddof=1))
    names = _names(records, [row, than])
    comparison = Comparison(
        f"spread of {row} against {than}",
        ("spread", *names),
        others_sd - sd,
        p,
        (len(mine), len(other)),
        f"sd {sd:.1f} against {others_sd:.1f}",
        of_distance=False,
    )
    return Finding((comparison,), names)


def sooner(records: RecordsByRow, row: str, than: str) -> Finding:
    """Judge whether `row` comes below the last FD of `than`, and stays there, in fewer steps.

    Runs are compared seed by seed; three seeds are needed. It held where `row` does so in all of
    them, and did not where `than` does so, the other way round. That `row` does not is no evidence
    against it: of two rows that are alike, mostly neither does.
    """
    mine, other = (
        {r["experiment"]["seed"]: r for r in records.get(name, []) if r.get("curve")}
        for name in (row, than)
    )
    seeds = sorted(set(mine) & set(other))
    if not seeds:
        return Finding.stated(UNTESTED, f"no learning curves of {row} and {than} with one seed")
    wins, losses, times = [], [], []
    for seed in seeds:
        won, words = _below_for_good(mine[seed]["curve"], other[seed]["curve"])
        wins.append(won)
        losses.append(_below_for_good(other[seed]["curve"], mine[seed]["curve"])[0])
        times.append(f"seed {seed}: after {words} steps")
    verdict, few = UNDECIDED, ""
    if len(seeds) < 3:
        verdict, few = UNTESTED, f"; {len(seeds)} seed(s) decide nothing"
    elif all(wins):
        verdict = HELD
    elif all(losses):
        verdict = NOT
    because = f"below the other's last FD for good, {', '.join(times)}{few}"
    names = tuple(side[seed]["name"] for side in (mine, other) for seed in seeds)
    return Finding.stated(verdict, because, names)


def _below_for_good(mine: dict[str, list], other: dict[str, list]) -> tuple[bool, str]:
    """Return whether curve `mine` stays below the last score of `other` before its own last step.

    Also returns the step from which on it does, in words. Curves are those of records: steps, then
    scores.
    """
    steps, scores = mine.values()
    _, others = other.values()
    above = [i for i, score in enumerate(scores) if score > others[-1]]
    first = above[-1] + 1 if above else 0
    words = str(steps[first]) if first < len(steps) else f"more than {steps[-1]}"
    return first < len(steps) - 1, words


def shifts_like_the_papers(records: RecordsByRow, row: str) -> Finding:
    """Judge whether the map that the runs of `row` train with moves labels as little as Figure 7's.

    Each record has the chance that three labels move by as little as the paper prints
    (figure7.chances). The claim did not hold where the p-value of that chance (figure7.p_value) is
    below LEVEL in every run. It is never held: the map was chosen by this figure, so that agreement
    proves nothing.
    """
    measured = [r for r in records.get(row, []) if "figure_7" in r]
    if not measured:
        return Finding.stated(UNTESTED, f"no record of {row} with the chance of Figure 7's labels")
    chances = [r["figure_7"][r["experiment"]["saliency"]] for r in measured]
    p_values = [p_value(chance) for chance in chances]
    numbers = ", ".join(f"{p:.2g}" for p in p_values)
    because = f"p of the paper's three labels under the map of each run: {numbers}"
    verdict = NOT if max(p_values) < LEVEL else UNDECIDED
    return Finding.stated(verdict, because, tuple(r["name"] for r in measured))


def as_near_as_real(records: RecordsByRow, row: str) -> Finding:
    """Judge whether generated images are as near to half of the real ones as the other half is.

    They are if FD exceeds the floor by at most two standard deviations of the subsets that the
    model's FD was measured on.
    """
    if row not in records:
        return Finding.stated(UNTESTED, f"no record of {row}")
    runs = records[row]
    ours = np.mean([distance_of(r, "_at_floor_n") for r in runs])
    floor = runs[0]["metrics"]["floor"]
    sd = max(distance_of(r, "_at_floor_n_sd") or 0 for r in runs)
    because = f"FD {ours:.1f}, where one half of the real images has {floor:.1f} against the other"
    verdict = HELD if ours - floor <= 2 * sd else NOT
    if not math.isfinite(ours):
        verdict = UNDECIDED
    return Finding.stated(verdict, because, _names(records, [row]))


def loses_more(records: RecordsByRow, data: str, model: str, of: list[str]) -> Finding:
    """Judge whether the FD of `model` grows more from 64x64 to 256x256 than that of each other.

    Only models of `of` with records at both sizes are compared. A model's growth is the difference
    of its means at the two sizes, and two growths are compared by a two-sided t-test at LEVEL, with
    the pooled spread of each size.
    """
    sizes = {}
    for name in of:
        small, large = f"{name} on {data}", f"{name} on {data} at 256x256"
        sizes[name] = records.get(small, []), records.get(large, [])
    both = {name: sizes[name] for name in sizes if all(sizes[name])}
    growths = {name: _mean(large) - _mean(small) for name, (small, large) in both.items()}
    parts: list[Comparison | Statement] = []
    if model in both:
        for rival in [name for name in both if name != model]:
            parts.append(_growths(records, model, rival, both, growths))
    for i, size in enumerate(("64x64", "256x256")):
        lacking = [name for name in sizes if not sizes[name][i]]
        if lacking:
            parts.append(Statement(UNTESTED, f"no record at {size} of {', '.join(lacking)}"))
    if both and model not in both:
        losses = ", ".join(f"{name} loses {growth:.1f}" for name, growth in growths.items())
        words = f"of those with both sizes {losses}"
        parts.append(Statement(UNTESTED, words))
    names = [r["name"] for runs_of_sizes in both.values() for runs in runs_of_sizes for r in runs]
    return Finding(tuple(parts), tuple(names))


def _growths(
    records: RecordsByRow,
    model: str,
    rival: str,
    both: dict[str, tuple[Records, Records]],
    growths: dict[str, float],
) -> Comparison:
    """Return the comparison of two models' growths; `both` holds their runs at the two sizes."""
    runs = [*both[model], *both[rival]]
    lead = growths[model] - growths[rival]
    error, freedom = _error_of_growths(records, runs)
    return Comparison(
        f"growth of {model} against {rival}",
        ("growth", *(r["name"] for group in runs for r in group)),
        lead,
        float(2 * t_distribution.sf(abs(lead) / error, freedom)) if error else None,
        (sum(map(len, both[model])), sum(map(len, both[rival]))),
        f"{model} loses {growths[model]:.1f}, {rival} {growths[rival]:.1f}",
        of_distance=False,
    )


def _mean(runs: Records) -> float:
    """Return the mean distance of runs."""
    return float(np.mean([distance_of(r) for r in runs]))


def _error_of_growths(records: RecordsByRow, groups: list[Records]) -> tuple[float, float]:
    """Return the standard error of a difference of growths, and its degrees of freedom.

    `groups` are the four lists of runs whose means are added and subtracted. The degrees of freedom
    are Welch and Satterthwaite's. Both are 0 where a group's spread is unknown.
    """
    variances: dict[int, float] = {}  # by size: groups of one size share their pooled spread
    degrees: dict[int, float] = {}
    for runs in groups:
        sd, freedom = spread(records, runs[0])
        if not freedom:
            return 0.0, 0.0
        size = runs[0]["experiment"]["size"]
        degrees[size] = freedom
        variances[size] = variances.get(size, 0.0) + sd**2 / len(runs)
    total = sum(variances.values())
    terms = [variance**2 / degrees[size] for size, variance in variances.items()]
    return math.sqrt(total), total**2 / sum(terms)


def rank_agreement(paper: pd.Series, ours: pd.Series) -> dict[str, float]:
    """Return Spearman's rank correlation of two columns, over the models that both have.

    The keys are `models`, their number; `rho`; `low` and `high`, a 95 % interval by Fisher's z with
    Bonett and Wright's variance, NaN for fewer than four models or |rho| = 1; and `p_value`, the
    share of all orders of the models that agree with the paper at least as well. All but `models`
    are NaN for fewer than three models or a constant column.
    """
    both = pd.DataFrame(dict(paper=paper, ours=ours)).dropna()
    n = len(both)
    nothing = dict(models=n, rho=math.nan, low=math.nan, high=math.nan, p_value=math.nan)
    if n < 3 or both.nunique().min() < 2:
        return nothing
    ranks = both.rank()
    every_order = permutation_test(
        (ranks["ours"],),
        lambda order: np.corrcoef(ranks["paper"], order)[0, 1],
        permutation_type="pairings",
        n_resamples=math.inf,
        alternative="greater",
    )
    rho, p_value = float(every_order.statistic), float(every_order.pvalue)
    if n < 4 or abs(rho) > 1 - 1e-9:  # perfect agreement has no interval
        return nothing | dict(rho=rho, p_value=p_value)
    z = math.atanh(rho)
    half = 1.96 * math.sqrt((1 + rho**2 / 2) / (n - 3))
    low, high = math.tanh(z - half), math.tanh(z + half)
    return dict(models=n, rho=rho, low=low, high=high, p_value=p_value)


_TESTS = (
    better,
    better_on_average,
    steadier,
    sooner,
    shifts_like_the_papers,
    as_near_as_real,
    loses_more,
)
TESTS: dict[str, Callable[..., Finding]] = {test.__name__: test for test in _TESTS}
