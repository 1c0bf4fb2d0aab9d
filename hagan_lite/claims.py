"""The paper's claims, data/claims.yaml, each decided by a test: by records, by counting, or by the paper's own numbers.

No verdict is written down by hand. Two things are asked of a claim: whether it agrees with what the paper prints
(`paper`), and whether it held in what was run here (`ours`); `control` asks the second again, against a fairer rival.
"""

import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import yaml

from hagan_lite.complexity import Cost, costs
from hagan_lite.config import ROOT, Experiment
from hagan_lite.grids import PAPERS_DATASETS, PAPERS_MODELS, ladder, rows_of
from hagan_lite.tables import PAPER, by_row

CLAIMS = ROOT / "data" / "claims.yaml"
HELD, NOT, UNTESTED = "held", "did not hold", "not testable here"
DECIDED = 2.0
"""Standard errors apart from which a difference of means decides."""
COUNTED, PRINTED = "figures/table1.csv", "hagan_lite/paper.json"
"""What a verdict points at that no training decides."""
Known = dict[str, list[dict[str, Any]]]


class Finding(NamedTuple):
    """A verdict, its reason with the numbers, and the names of the records (or files) that decide."""

    verdict: str
    because: str
    records: tuple[str, ...] = ()


def ledger(records: list[dict[str, Any]], preset: str = "cpu", path: Path = CLAIMS) -> pd.DataFrame:
    """A row per claim: what the paper says and where, whether that agrees with its own numbers, and what we found."""
    known, table = by_name(records, preset), []
    for number, claim in enumerate(yaml.safe_load(path.read_text()), 1):
        row = {"#": number, "claim": claim["claim"], "where": claim["where"]}
        found = {part: _decide(claim[part], known) for part in ("paper", "ours", "control") if part in claim}
        row |= {"in the paper's own numbers": _adds_up(found["paper"]) if "paper" in found else ""}
        row |= {"here": found["ours"].verdict, "because": found["ours"].because}
        row |= {"control": f"{claim['against']}: {found['control'].because}" if "control" in found else ""}
        row |= {"records": sorted({name for f in found.values() for name in f.records})}
        table.append(row)
    return pd.DataFrame(table)


def _adds_up(found: Finding) -> str:
    return f"{'agrees' if found.verdict == HELD else 'does not agree'}: {found.because}"


def _decide(test: dict[str, Any], known: Known) -> Finding:
    """`test` is {name: arguments} of one of TESTS."""
    ((name, arguments),) = test.items()
    return TESTS[name](known, **arguments)


def by_name(records: list[dict[str, Any]], preset: str) -> Known:
    """Records by name: a row of the ladder, "sagan on acdc", "sagan on covid-ct at 256x256"."""
    rows = ladder("covid-ct", preset)
    for data in PAPERS_DATASETS:
        for table, size in (("table2", ""), ("table3", " at 256x256")):
            rows += [(f"{model} on {data}{size}", e) for model, e in rows_of(table, data, preset)]
    return by_row(rows, records)


def better(known: Known, row: str, than: list[str]) -> Finding:
    """Whether `row` has a lower FD than every row of `than`, by DECIDED standard errors of a difference of means.

    A row of one seed is taken to scatter as rows of several do: the spread is pooled over all of them.
    """
    missing = [name for name in [row, *than] if name not in known]
    if missing:
        return Finding(UNTESTED, f"no record of {', '.join(missing)}")
    seeds = {name: np.array([r["metrics"]["fd"] for r in known[name]]) for name in [row, *than]}
    sd, mine, verdicts, told = _spread(known, known[row][0]), seeds[row], [], []
    for name in than:
        lead = seeds[name].mean() - mine.mean()
        apart = lead / (sd * math.sqrt(1 / len(mine) + 1 / len(seeds[name]))) if sd else math.nan
        verdicts.append(HELD if apart >= DECIDED else NOT if apart <= -DECIDED else UNTESTED)
        so = f"{apart:+.1f} standard errors" if sd else "and no spread of seeds is known"
        told.append(f"{mine.mean():.1f} against {seeds[name].mean():.1f} ({name}), {_seeds(mine, seeds[name])}, {so}")
    verdict = NOT if NOT in verdicts else UNTESTED if UNTESTED in verdicts else HELD
    names = tuple(r["name"] for name in [row, *than] for r in known[name])
    return Finding(verdict, "; ".join(told) + ("; too near to tell" if verdict == UNTESTED and sd else ""), names)


def _seeds(a: np.ndarray, b: np.ndarray) -> str:
    return f"{len(a)} and {len(b)} seeds"


def _spread(known: Known, like: dict[str, Any]) -> float:
    """Pooled standard deviation of FD over seeds, of all rows on the same images, at the same size and steps."""

    def budget(r: dict[str, Any]) -> tuple:
        return r["data"]["fingerprint"], r["experiment"]["size"], r["experiment"]["steps"]

    rows = {tuple(r["metrics"]["fd"] for r in same) for same in known.values() if budget(same[0]) == budget(like)}
    squares, freedom = sum(np.var(s) * len(s) for s in rows), sum(len(s) - 1 for s in rows)
    return math.sqrt(squares / freedom) if freedom else 0.0


def sooner(known: Known, row: str, than: str) -> Finding:
    """Whether `row` reaches the last FD of `than` in fewer steps, seed by seed."""
    pairs = [{r["experiment"]["seed"]: r for r in known.get(name, []) if r.get("curve")} for name in (row, than)]
    both = sorted(set(pairs[0]) & set(pairs[1]))
    if not both:
        return Finding(UNTESTED, f"no learning curves of {row} and {than} with one seed")
    told, wins = [], []
    for seed in both:
        mine, other = (side[seed]["curve"] for side in pairs)
        there = [step for step, fd in zip(mine["step"], mine["fd"], strict=True) if fd <= other["fd"][-1]]
        wins.append(bool(there) and there[0] < other["step"][-1])
        told.append(f"seed {seed}: after {there[0] if there else 'more than ' + str(mine['step'][-1])} steps")
    verdict = UNTESTED if len(both) < 3 else HELD if all(wins) else NOT
    few = "" if len(both) > 2 else f"; {len(both)} seed(s) decide nothing"
    because = f"reaches the other's FD of {other['step'][-1]} steps, {', '.join(told)}{few}"
    return Finding(verdict, because, tuple(side[seed]["name"] for side in pairs for seed in both))


def shift_within(known: Known, row: str, most: float) -> Finding:
    """Whether nine tenths of the last batches' labels moved by at most `most`."""
    logs = {r["name"]: r["log"]["shift"][-1] if "log" in r else r["shift"][-1] for r in known.get(row, [])}
    if not logs:
        return Finding(UNTESTED, f"no record of {row}")
    widest = max(max(-q[0], q[-1]) for q in logs.values())
    return Finding(HELD if widest <= most else NOT, f"5 to 95 % of a batch reach {widest:.2f}", tuple(logs))


def like_real(known: Known, row: str) -> Finding:
    """Whether generated images lie as near to real ones as other real ones do, at equal numbers."""
    if row not in known:
        return Finding(UNTESTED, f"no record of {row}")
    scores = [r["metrics"] for r in known[row]]
    ours, floor = (np.mean([m[key] for m in scores]) for key in ("fd_at_floor_n", "floor"))
    held = ours - floor <= DECIDED * max(m.get("fd_at_floor_n_sd", 0) for m in scores)
    because = f"FD {ours:.1f}, where one half of the real images has {floor:.1f} against the other"
    return Finding(HELD if held else NOT, because, tuple(r["name"] for r in known[row]))


@cache
def _costs(model: str) -> dict[str, Cost]:
    return costs(Experiment.make(model, "covid-ct", "paper", channels=3))


def least(known: Known, what: str, rank: int) -> Finding:
    """Whether HAGAN is among the `rank` cheapest in `what`, "parameters" or "macs", of its networks as they are."""
    totals = {m: getattr(_costs(m)["all"], what) for m in PAPERS_MODELS}
    order = sorted(totals, key=totals.get)
    told = ", ".join(f"{m} {totals[m] / 1e6:.2f}" for m in order[: order.index("hagan") + 1])
    return Finding(HELD if order.index("hagan") < rank else NOT, f"counted, in millions: {told}", (COUNTED,))


def times_the_parameters(known: Known, model: str, more_than: float) -> Finding:
    """Whether `model` has `more_than` times HAGAN's parameters."""
    ratio = _costs(model)["all"].parameters / _costs("hagan")["all"].parameters
    return Finding(HELD if ratio > more_than else NOT, f"counted: {ratio:.2f} times", (COUNTED,))


def same_discriminator(known: Known, model: str) -> Finding:
    """Whether HAGAN's D costs what that of `model` costs."""
    mine, other, branch = _costs("hagan")["D"], _costs(model)["D"], _costs("hagan")["D, image branch"]
    held = mine == other
    because = f"its image branch does ({branch.parameters:,} parameters), but the pixel branch adds "
    because += f"{mine.parameters - branch.parameters:,} parameters and {mine.macs / branch.macs - 1:.0%} of the work"
    return Finding(HELD if held else NOT, because, (COUNTED,))


def free_of_cost(known: Known, part: str) -> Finding:
    """Whether a part of AttnMix costs less than a hundredth: the "label" of G's pass, the "images" of a step's passes.

    The label needs the N x N matrix and its mean over queries. The mixed images are one batch more for D, beside two of
    its own step and one of G's, and G draws two.
    """
    G, D, pixels = _costs("hagan")["G"].macs, _costs("hagan")["D"].macs, 32**2
    share = pixels**2 / G if part == "label" else D / (2 * G + 3 * D)
    of = f"{pixels} x {pixels} matrix in memory and {pixels**2:,} additions per image, {share:.1%} of G's pass"
    because = of if part == "label" else f"a batch more for D, {share:.0%} of a step's forward passes"
    return Finding(HELD if share < 0.01 else NOT, f"counted: {because}", (COUNTED,))


def lead(known: Known, table: str, data: str, over: list[str], by: float, exactly: bool = True) -> Finding:
    """Whether the paper's FIDs have HAGAN ahead of each of `over` by `by`: exactly, or by at least as much."""
    fid = {model: row[data] for model, row in PAPER[table]["fid"].items()}
    leads = {model: fid[model] - fid["hagan"] for model in over}
    model = min(leads, key=leads.get)
    held = abs(leads[model] - by) < 0.005 if exactly else leads[model] >= by
    return Finding(HELD if held else NOT, f"{model}: {leads[model]:.3f}", (PRINTED,))


def most(known: Known, table: str, data: str, by: float) -> Finding:
    """Whether the paper's FIDs have HAGAN ahead of more than half of the other models by more than `by`."""
    fid = {model: row[data] for model, row in PAPER[table]["fid"].items()}
    ahead = [model for model, score in fid.items() if score - fid["hagan"] > by]
    held = len(ahead) > (len(fid) - 1) / 2
    return Finding(HELD if held else NOT, f"{len(ahead)} of {len(fid) - 1} models", (PRINTED,))


def step(known: Known, to: int, by: float) -> Finding:
    """Whether Table IV's FID falls by `by` from the row above to row `to` (the base model is row 1)."""
    fids = [row["fid"] for row in PAPER["table_4"]["rows"]]
    fell = fids[to - 2] - fids[to - 1]
    return Finding(
        HELD if abs(fell - by) < 5e-4 else NOT, f"{fids[to - 2]} to {fids[to - 1]} is {fell:.3f}", (PRINTED,)
    )


def printed(known: Known, what: str, rank: int) -> Finding:
    """Whether Table I has HAGAN among the `rank` cheapest in `what`, "params" or "flops"; equals share a rank."""
    totals = {m: row[what]["all"] for m, row in PAPER["table_1"]["rows"].items() if what in row}
    cheaper = [m for m, total in totals.items() if total < totals["hagan"]]
    held = len(cheaper) < rank
    return Finding(HELD if held else NOT, f"cheaper in Table I: {', '.join(cheaper) or 'none'}", (PRINTED,))


def printed_ratio(known: Known, model: str, more_than: float) -> Finding:
    """Whether Table I has `model` at `more_than` times HAGAN's parameters."""
    rows = PAPER["table_1"]["rows"]
    ratio = rows[model]["params"]["all"] / rows["hagan"]["params"]["all"]
    return Finding(HELD if ratio > more_than else NOT, f"{ratio:.2f} times", (PRINTED,))


TESTS: dict[str, Callable[..., Finding]] = {
    test.__name__: test
    for test in (better, sooner, shift_within, like_real, least, times_the_parameters, same_discriminator, free_of_cost)
    + (lead, most, step, printed, printed_ratio)
}
