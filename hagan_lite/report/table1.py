"""Table I: what each model costs, counted now, beside what the paper prints."""

import pandas as pd

from hagan_lite.config import Experiment
from hagan_lite.evaluation.complexity import costs
from hagan_lite.paper import PAPER

PARAMS, FLOPS = "params, 10^6", "FLOPs of 64 images, 2^30"
"""Table I's columns, with the units that the paper leaves out."""


DIGITS = {FLOPS: 2}
"""As the paper prints them; 1 elsewhere."""


def table_1() -> pd.DataFrame:
    """Table I: a row per model and network; the paper's parameters and FLOPs, ours, and a verdict
    for each.

    Ours are counted now, from the networks at the paper's width and 3 channels, by the rule of
    complexity.py. HAGAN's D has a row for its image branch alone, too.
    """
    kinds = ((PARAMS, "params", lambda c: c.parameters / 1e6), (FLOPS, "flops", lambda c: c.units))
    rows = []
    for model, printed in PAPER["table_1"]["rows"].items():
        counted = costs(Experiment.make(model, "covid-ct", "paper", channels=3))
        for network, cost in counted.items():
            row = {"model": model, "network": network}
            for column, key, of in kinds:
                paper = printed.get(key, {}).get(network.split(",")[0])
                rounded = {name: round(of(c), DIGITS.get(column, 1)) for name, c in counted.items()}
                verdict = _verdict(paper, rounded[network], rounded if network == "all" else {})
                row |= {f"paper's {column}": paper, column: of(cost), f"{column}: verdict": verdict}
            rows.append(row | {"parameters": cost.parameters, "MACs per image": cost.macs})
    return pd.DataFrame(rows)


def _verdict(paper: float | None, ours: float, parts: dict[str, float]) -> str:
    """ "agrees" where our rounded number is the printed one, "as a sum" where the rounded G and D
    add up to it: some of the paper's totals are such sums.
    """
    if paper is None:
        return ""
    if ours == paper:
        return "agrees"
    return "as a sum" if abs(parts.get("G", 0) + parts.get("D", 0) - paper) < 1e-6 else "differs"
