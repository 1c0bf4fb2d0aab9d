"""Follow D on training, held-out and generated images, wherever records kept what it said."""

from typing import Any, NamedTuple

import pandas as pd

from hagan_lite.report.experiments import FEW, LONGER, watched
from hagan_lite.runs.record import Records, against_heldout, by_row

DATA = "covid-ct"
OverTraining = dict[str, list[float]]
"""What generalization.over_training returns for a run."""


class Watched(NamedTuple):
    """Hold the runs of each model on so many images, with so many steps."""

    images: int
    steps: int
    runs: dict[str, list[OverTraining]]


def found(records: Records, preset: str) -> list[Watched]:
    """Return every number of images and steps at which a model's D was watched, fewest first."""
    # Scored against held-out images, runs on different numbers of images are comparable.
    with_d = [r for r in against_heldout(records) if "over_training" in r["heldout"]]
    every = []
    for n in FEW[DATA]:
        for changes in ({}, dict(steps=LONGER)):
            rows = watched(DATA, preset, n_train=n, **changes)
            of_row = by_row(rows, with_d)
            runs = {}
            for name, _ in rows:
                if name in of_row:
                    runs[name] = [r["heldout"]["over_training"] for r in of_row[name]]
            if runs:
                images = next(iter(of_row.values()))[0]["data"]["n_train"]
                every.append(Watched(images, rows[0][1].steps, runs))
    return every


CHANCES = {
    "auc": "a training image over a held-out one",
    "image": "a held-out image over a generated one",
    "pixel": "the same of pixels, in mixed images",
}
"""Headings of :func:`table`: the chance that D scores ..."""


def table(records: Records, preset: str) -> pd.DataFrame:
    """Return chances half-way through the training and at its end, means over a model's runs."""
    rows = []
    for images, steps, of_model in found(records, preset):
        for name, runs in of_model.items():
            row: dict[str, Any] = {"training images": images, "steps": steps, "model": name}
            for kind, heading in CHANCES.items():
                values = pd.DataFrame([run[kind] for run in runs if kind in run]).mean()
                if len(values):
                    row[heading] = f"{values.iloc[len(values) // 2 - 1]:.2f}, {values.iloc[-1]:.2f}"
            rows.append(row | {"runs": len(runs)})
    columns = ["training images", "steps", "model", *CHANCES.values(), "runs"]
    return pd.DataFrame(rows, columns=columns)
