"""Compare HAGAN with rivals that have its augmentation T, at every budget with records."""

from typing import Any, NamedTuple

import pandas as pd

from hagan_lite.config import DATASETS, Experiment
from hagan_lite.drawing import ForestRow
from hagan_lite.report.claims_measured import compared
from hagan_lite.report.experiments import LONGER, at_256, fair_rivals
from hagan_lite.report.verdicts import HELD, NOT, Comparison, holm, in_short
from hagan_lite.runs.record import by_row, kept_log

BUDGETS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("cpu", {}),
    ("cpu", dict(steps=LONGER)),
    ("paper", {}),
    ("cpu", at_256("cpu")),
)
"""Presets with their changes: at 64x64 the smallest first, then 256x256."""


class Budget(NamedTuple):
    """Hold the comparison of HAGAN with a rival at one budget on one data set."""

    data: str
    preset: str
    size: int
    steps: int
    rival: str
    comparison: Comparison


def compared_budgets(records: list[dict[str, Any]]) -> list[Budget]:
    """Return HAGAN against each fair rival wherever both have records, p corrected over all."""
    found = []
    for data in DATASETS:
        for preset, changes in BUDGETS:
            rows = fair_rivals(data, preset, **changes)
            measured = by_row(rows, records)
            (mine, e), *rivals = rows
            for rival, _ in rivals:
                if mine in measured and rival in measured:
                    sides = [(measured[mine], measured[rival])]
                    comparison = compared(f"{mine} against {rival}", sides, f"({rival})")
                    found.append(Budget(data, preset, e.size, e.steps, rival, comparison))
    p_of = {b.comparison.key: b.comparison.p for b in found if b.comparison.p is not None}
    corrected = dict(zip(p_of, holm(list(p_of.values())), strict=True))
    return [b._replace(comparison=b.comparison.corrected(corrected)) for b in found]


def forest_rows(budgets: list[Budget]) -> list[ForestRow]:
    """Return the lines of a forest plot, one a comparison, in the order of `budgets`."""
    rows = []
    for data, _, size, steps, rival, c in budgets:
        budget = f", {steps:,} steps" if size == 64 else f" at {size}x{size}"
        name = f"{data}{budget}: hagan against {rival}"
        runs = f"{c.runs[0]} and {c.runs[1]}"
        decided = c.verdict in (HELD, NOT)
        notes = (runs, in_short(c.p), in_short(c.corrected_p))
        about = dict(notes=notes, fewest=c.fewest)
        rows.append(ForestRow(name, c.effect, c.interval, c.both_with_t, decided, **about))
    return rows


def what_d_says(records: list[dict[str, Any]]) -> pd.DataFrame:
    """Return what the discriminators of HAGAN and of SAGAN with T said, at every budget.

    Means over the last quarter of each run's log, and over runs that have one. "pixel loss" is the
    pixel branch's term of Eq. 7, and "of a guess" what it is for a branch that says 1/2 of every
    pixel. "consistency" is that term's share of D's whole loss.
    """
    rows, logged = [], [r for r in records if "log" in r]
    for data in DATASETS:
        for preset, changes in BUDGETS:
            both = fair_rivals(data, preset, **changes)[:2]
            measured = by_row(both, logged)
            for name, e in both:
                if name in measured:
                    row = dict(data=data, preset=preset, size=e.size, steps=e.steps, model=name)
                    rows.append(row | means_of_d_log(e, measured[name]))
    return pd.DataFrame(rows)


def means_of_d_log(e: Experiment, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a row's means, over the last quarter of its runs' logs, for :func:`what_d_says`."""
    late = [_last_quarter(kept_log(r)) for r in runs]
    lines = pd.DataFrame([line for lines in late for line in lines])
    real, fake = lines["d_real"].mean(), lines["d_fake"].mean()
    scores: dict[str, Any] = {"D of real": real, "D of fake": fake, "D apart": real - fake}
    if e.pixel_branch:
        # Least squares: 1/4 each for real, fake and, weighted, mixed pixels.
        scores |= {"pixel loss": lines["d_pix"].mean(), "of a guess": (2 + e.mixed_weight) / 4}
        share = e.beta2 * lines["d_cons"].mean() / lines["d"].mean()
        scores["consistency"] = f"{share:.1%}"
    return scores | {"runs": len(runs)}


def _last_quarter(log: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return log[-max(1, len(log) // 4) :]


def table(budgets: list[Budget]) -> pd.DataFrame:
    """Return a row per comparison; the effect is positive where HAGAN's FD is lower."""
    rows = []
    for data, preset, size, steps, rival, c in budgets:
        low, high = c.interval or (None, None)
        rows.append(
            {
                "data": data,
                "preset": preset,
                "size": size,
                "steps": steps,
                "hagan against": rival,
                "effect": c.effect,
                "from": low,
                "to": high,
                "runs": f"{c.runs[0]} and {c.runs[1]}",
                "p": in_short(c.p),
                "corrected p": in_short(c.corrected_p),
                "here": c.verdict,
            }
        )
    return pd.DataFrame(rows)
