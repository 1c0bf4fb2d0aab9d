"""List the runs of Table II's models and of rivals with T, as one picture shows them."""

from typing import Any

from hagan_lite.config import Experiment
from hagan_lite.drawing import ModelRow
from hagan_lite.paper import PAPER, paper_name
from hagan_lite.report.effects import interval_of_mean
from hagan_lite.report.experiments import FAIR_RIVALS, with_rivals
from hagan_lite.runs.record import by_row, distance_of

FEWEST = 3
"""Runs that an interval of a mean takes."""


def model_rows(records: list[dict[str, Any]], data: str, preset: str = "cpu") -> list[ModelRow]:
    """Return a line for each model on `data` at 64x64, HAGAN last and rivals with T above it.

    The paper's FID stands beside its own rows, with its place among them; nothing where the paper
    has no such data set. A model without records has no scores.
    """
    experiments = _rows(data, preset)
    measured = by_row(experiments, records)
    rows, printed = [], _printed(data)
    for name, e in experiments:
        scores = [distance_of(r) for r in measured.get(name, [])]
        interval = interval_of_mean(tuple(scores)) if len(scores) >= FEWEST else None
        rows.append(ModelRow(name, bool(e.augment), scores, interval, printed.get(name, "")))
    return rows


def _rows(data: str, preset: str) -> list[tuple[str, Experiment]]:
    """Return all rows as (name, experiment): HAGAN last, rivals with T just above it."""
    hagan, *rows = with_rivals("table2", data, preset)
    return [*sorted(rows, key=lambda row: row[0] in FAIR_RIVALS), hagan]


def _printed(data: str) -> dict[str, str]:
    """Return "88.9 (1)" for each model: the paper's FID and its place among the seven."""
    fids = {}
    for model, row in PAPER["table_2"]["fid"].items():
        if paper_name(data) in row:
            fids[model] = row[paper_name(data)]
    order = sorted(fids, key=fids.get)
    return {model: f"{fids[model]:.1f} ({order.index(model) + 1})" for model in fids}
