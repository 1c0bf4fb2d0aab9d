"""Count what each model costs, and put it beside what the paper prints: Table I."""

from typing import Any

import pandas as pd

from hagan_lite.config import MODELS, Experiment
from hagan_lite.evaluation.complexity import Cost, costs
from hagan_lite.paper import PAPER

PARAMS, FLOPS = "params, 10^6", "FLOPs of 64 images, 2^30"
"""Table I's columns, with the units that the paper leaves out."""

_PAPERS_KEYS = {PARAMS: "params", FLOPS: "flops"}
DIGITS = {PARAMS: 1, FLOPS: 2}
"""Decimals that the paper prints."""


def table_1() -> pd.DataFrame:
    """Return Table I: per model and network the paper's parameters and FLOPs, ours, and a verdict.

    Ours are counted now, from the networks at the paper's width and 3 channels, by the rule of
    complexity.py. HAGAN's D has a row for its image branch alone, too. Models that the paper does
    not have come last, without printed numbers.
    """
    printed = PAPER["table_1"]["rows"]
    added = [model for model in MODELS if model not in printed]
    rows = []
    for model in [*printed, *added]:
        counted = costs(Experiment.make(model, "covid-ct", "paper", channels=3))
        of_paper = printed.get(model, {})
        rows += [_row(model, network, of_paper, counted) for network in counted]
    return pd.DataFrame(rows)


def _row(
    model: str, network: str, printed: dict[str, Any], counted: dict[str, Cost]
) -> dict[str, Any]:
    """Return a network's row. `printed` is the model's row in the paper, `counted` its costs."""
    cost = counted[network]
    row: dict[str, Any] = {"model": model, "network": network}
    for column, key in _PAPERS_KEYS.items():
        of_paper = printed.get(key, {}).get(network.split(",")[0])
        rounded = {name: round(_in_units(c, column), DIGITS[column]) for name, c in counted.items()}
        parts = rounded if network == "all" else {}
        row[f"paper's {column}"] = of_paper
        row[column] = _in_units(cost, column)
        row[f"{column}: verdict"] = _verdict(of_paper, rounded[network], parts)
    row["parameters"] = cost.parameters
    row["MACs per image"] = cost.macs
    return row


def _in_units(cost: Cost, column: str) -> float:
    """Return what `column` says of a cost, in the column's unit."""
    return cost.units if column == FLOPS else cost.parameters / 1e6


def _verdict(paper: float | None, ours: float, parts: dict[str, float]) -> str:
    """Return "agrees" where our rounded number is the printed one, "differs" where it is not.

    Some of the paper's totals are sums of rounded numbers: "as a sum" is returned where the
    rounded G and D of `parts` add up to the printed total. Without a printed number it is "".
    """
    if paper is None:
        return ""
    if ours == paper:
        return "agrees"
    is_sum = abs(parts.get("G", 0) + parts.get("D", 0) - paper) < 1e-6
    return "as a sum" if is_sum else "differs"
