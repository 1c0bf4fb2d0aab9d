"""Every file of figures/ that is drawn from records and from nothing else, besides Table I, which
is counted.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from hagan_lite import drawing, paper, runs
from hagan_lite.config import Experiment
from hagan_lite.drawing.attnmix import shift_over_training
from hagan_lite.drawing.evaluation import learning_curves, recipes
from hagan_lite.report import table1, tables
from hagan_lite.report.claims import ledger
from hagan_lite.report.experiments import EARLIER, LONGER, ladder, rows_of, tried
from hagan_lite.runs.record import kept_log, load_records
from hagan_lite.system.paths import SEARCHED

DATA = "covid-ct"
"""What Table IV, and all that is measured here, is about."""


def tables_of(records: list[dict[str, Any]], preset: str) -> dict[str, Callable[[], pd.DataFrame]]:
    """Return what draws each table, by name.

    Table I is counted, II and III list every record, IV is the ablation; `table4_earlier` is the
    ablation as it was first measured (grids.EARLIER), `longer` what of that was measured again at
    LONGER steps, `tried` the search.
    """
    mine = [r for r in records if r["data"]["name"] == DATA]
    longer = ladder(DATA, preset, steps=LONGER, **EARLIER)
    return dict(
        table1=table1.table_1,
        table2=lambda: tables.table_2(records),
        table3=lambda: tables.table_3(records),
        table4=lambda: tables.table_4(ladder(DATA, preset), mine),
        table4_earlier=lambda: tables.table_4(ladder(DATA, preset, **EARLIER), mine),
        longer=lambda: tables.with_records(tables.table_4(longer, mine)),
        tried=lambda: tables.of_rows(tried(DATA, preset), load_records(SEARCHED), {}),
        claims=lambda: ledger(records, preset).assign(records=lambda t: t["records"].str.join(" ")),
    )


def pictures_of(records: list[dict[str, Any]], preset: str) -> dict[str, Figure]:
    """Return the pictures by name; one without a record is not drawn.

    They are Tables II to IV, FD over the training for every number of steps that has curves, and
    the shift of HAGAN's labels in the training of the first seed.
    """
    mine = [r for r in records if r["data"]["name"] == DATA and r["experiment"]["preset"] == preset]
    drawn = {}
    for name, table in _rows_drawn(mine, preset).items():
        if "seeds" in table:
            number = {"2": "II", "3": "III", "4": "IV"}[name[len("table")]]
            drawn[name] = recipes(table, f"Table {number}")
    drawn |= _learning_curves(mine, preset)
    e = Experiment.make("hagan", DATA, preset)
    for record in mine:
        if "log" in record and Experiment.from_dict(record["experiment"]) == e:
            title = f"{DATA}, {e.steps} steps, seed {e.seed}"
            drawn[f"{DATA}-{preset}-shift"] = shift_over_training(
                kept_log(record), e.phase_two, title
            )
    return drawn


def _rows_drawn(mine: list[dict[str, Any]], preset: str) -> dict[str, pd.DataFrame]:
    """Return Tables II to IV as rows of recipes. II and III are of the protocol in which all seven
    models were run.
    """
    listed = {}
    for name in ("table2", "table3"):
        rows = rows_of(name, DATA, preset, **EARLIER)
        printed = paper.PAPER[f"table_{name[-1]}"]["fid"]
        listed[name] = tables.of_rows(
            rows, mine, {model: printed[model][DATA] for model, _ in rows}
        )
    listed["table4"] = tables.with_records(tables.table_4(ladder(DATA, preset), mine))
    listed["table4_earlier"] = tables.table_4(ladder(DATA, preset, **EARLIER), mine)
    return listed


def _learning_curves(mine: list[dict[str, Any]], preset: str) -> dict[str, Figure]:
    """Return a picture of FD over the training for every number of steps at which records have
    curves.
    """
    with_curve = [r for r in mine if r.get("curve")]
    drawn = {}
    for steps in sorted({r["experiment"]["steps"] for r in with_curve}):
        curves = runs.by_row(ladder(DATA, preset, steps=steps, **EARLIER), with_curve)
        if curves:
            drawn[f"{DATA}-{preset}-{steps}-learning"] = learning_curves(
                curves, f"{DATA}, {preset}, {steps} steps"
            )
    return drawn


def draw(records: list[dict[str, Any]], preset: str, out: Path) -> list[Path]:
    """Tables as Markdown, CSV and LaTeX, pictures as PNG, into `out`; returns the files."""
    drawn = ((name, table()) for name, table in tables_of(records, preset).items())
    made = [
        path
        for name, table in drawn
        if set(table) & {"seeds", "here", "network"}
        for path in tables.save_table(table, out / name)
    ]
    pictures = pictures_of(records, preset)
    return made + [
        drawing.save_figure(figure, out / f"{name}.png") for name, figure in pictures.items()
    ]
