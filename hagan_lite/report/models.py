"""List the runs of Table II's models and of rivals with T, as one picture shows them."""

from typing import Any

from hagan_lite.drawing import ModelRow
from hagan_lite.paper import PAPER, paper_name
from hagan_lite.report.effects import interval_of_mean
from hagan_lite.report.experiments import EARLIER, fair_rivals, rows_of
from hagan_lite.runs.record import by_row, distance_of

FEWEST = 3
"""Runs that an interval of a mean takes."""


def model_rows(records: list[dict[str, Any]], data: str, preset: str = "cpu") -> list[ModelRow]:
    """Return a line for each model on `data` at 64x64, HAGAN last and rivals with T above it.

    The paper's FID stands beside its own rows, with its place among them; nothing where the paper
    has no such data set. A model without records has no scores.
    """
    protocols = [_scores(records, data, preset, changes) for changes in ({}, EARLIER)]
    (present, with_t), (earlier, _) = protocols
    rows = []
    printed = _printed(data)
    for name in _in_order(data, preset):
        mine, before = present.get(name, []), earlier.get(name, [])
        # A model without that choice is the same experiment in both protocols.
        before = [] if before == mine else before
        interval = interval_of_mean(tuple(mine)) if len(mine) >= FEWEST else None
        rows.append(ModelRow(name, with_t[name], mine, before, interval, printed.get(name, "")))
    return rows


def _rows(data: str, preset: str, changes: dict[str, Any]) -> dict[str, Any]:
    rivals = fair_rivals(data, preset, **changes)
    return dict(rows_of("table2", data, preset, **changes)) | dict(rivals)


def _in_order(data: str, preset: str) -> list[str]:
    """Return the names of all rows: HAGAN last, rivals with T just above it."""
    names = [name for name in _rows(data, preset, {}) if name != "hagan"]
    return [*names, "hagan"]


def _scores(
    records: list[dict[str, Any]], data: str, preset: str, changes: dict[str, Any]
) -> tuple[dict[str, list[float]], dict[str, bool]]:
    """Return each row's scores in one protocol, and whether it is trained with T."""
    rows = _rows(data, preset, changes)
    measured = by_row(list(rows.items()), records)
    scores = {name: [distance_of(r) for r in runs] for name, runs in measured.items()}
    return scores, {name: bool(e.augment) for name, e in rows.items()}


def _printed(data: str) -> dict[str, str]:
    """Return "88.9 (1)" for each model: the paper's FID and its place among the seven."""
    fids = {}
    for model, row in PAPER["table_2"]["fid"].items():
        if paper_name(data) in row:
            fids[model] = row[paper_name(data)]
    order = sorted(fids, key=fids.get)
    return {model: f"{fids[model]:.1f} ({order.index(model) + 1})" for model in fids}
