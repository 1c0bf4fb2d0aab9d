"""Draw every file of figures/ that comes from records and from nothing else, and Table I."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from hagan_lite import drawing, paper, runs
from hagan_lite.config import Experiment
from hagan_lite.drawing.attnmix import shift_over_training
from hagan_lite.drawing.evaluation import learning_curves, recipes
from hagan_lite.report import budgets, table1, tables, watched
from hagan_lite.report.claims import ledger
from hagan_lite.report.experiments import (
    EARLIER,
    FULL,
    LONGER,
    few_images,
    ladder,
    tried,
    with_rivals,
)
from hagan_lite.runs.record import Records, check_complete, kept_log, load_records
from hagan_lite.system.paths import SEARCHED

DATA = "covid-ct"
"""The data set of Table IV and of the pictures of Tables II and III."""
FEWEST_CURVES = 3
"""Rows with curves that a picture of them takes."""


def tables_of(records: Records, preset: str) -> dict[str, Callable[[], pd.DataFrame]]:
    """Return a function that makes each table, by name.

    Table I is counted, II and III list every record, IV is the ablation. `table4_earlier` is the
    ablation as it was first measured (experiments.EARLIER), `longer` the ablation's rows that were
    measured with LONGER steps, too, `few_images` the trainings on few, `budgets` HAGAN against
    rivals with its augmentation at every number of steps, `tried` the search, `claims` the ledger.

    Raises ValueError for a record that lacks what tables are drawn from.
    """
    check_complete(records)
    mine = [r for r in records if r["data"]["name"] == DATA]
    longer = ladder(DATA, preset, steps=LONGER)
    return dict(
        table1=table1.table_1,
        table2=lambda: tables.table_2(records),
        table3=lambda: tables.table_3(records),
        table4=lambda: tables.table_4(ladder(DATA, preset), mine),
        table4_earlier=lambda: tables.table_4(ladder(DATA, preset, **EARLIER), mine),
        longer=lambda: tables.with_records(tables.table_4(longer, mine)),
        few_images=lambda: tables.few_images(few_images(preset), records),
        budgets=lambda: budgets.table(budgets.compared_budgets(records)),
        tried=lambda: tables.of_rows(tried(DATA, preset), load_records(SEARCHED), {}),
        claims=lambda: _claims(records, preset),
    )


def _claims(records: Records, preset: str) -> pd.DataFrame:
    """Return the ledger with the names of records in one text."""
    table = ledger(records, preset)
    return table.assign(records=table["records"].str.join(" "))


def pictures_of(records: Records, preset: str) -> dict[str, Figure]:
    """Return the pictures by name; one without a record is not drawn.

    They are Tables II to IV, FD over the training for every data set, preset and number of steps
    that has curves, training on few images, D over the training, and the shift of HAGAN's labels in
    the training of the first seed.
    """
    mine = []
    for record in records:
        if record["data"]["name"] == DATA and record["experiment"]["preset"] == preset:
            mine.append(record)
    pictures = {}
    for name, drawn in _drawn_tables(mine, preset).items():
        if "seeds" in drawn.table:
            start = tables.start_of(next(iter(drawn.of_row.values()))[0])
            pictures[name] = recipes(drawn.table, drawn.of_row, drawn.title, start)
    pictures |= _learning_curves(records)
    few = tables.runs_on_few_images(few_images(preset), records)
    if len(few):
        pictures["few_images"] = drawing.few_images(few)
    pictures |= _d_over_training(records, preset)
    hagan = Experiment.make("hagan", DATA, preset)
    for record in mine:
        if "log" in record and Experiment.from_dict(record["experiment"]) == hagan:
            title = f"{DATA}, {hagan.steps} steps, seed {hagan.seed}"
            figure = shift_over_training(kept_log(record), hagan.phase_two, title)
            pictures[f"{DATA}-{preset}-shift"] = figure
    return pictures


class _Drawn(NamedTuple):
    """Hold a table that is drawn as a picture, with the records of each row."""

    title: str
    table: pd.DataFrame
    of_row: dict[str, Records]


def _drawn_tables(mine: Records, preset: str) -> dict[str, _Drawn]:
    """Return Tables II to IV by file name, IV in the earlier protocol, too.

    II and III also have the rivals that were given HAGAN's augmentation.
    """
    drawn = {}
    for name, title in (("table2", "Table II"), ("table3", "Table III")):
        rows = with_rivals(name, DATA, preset)
        fids = paper.PAPER[f"table_{name[-1]}"]["fid"]
        printed = {model: fids[model][DATA] for model, _ in rows if model in fids}
        drawn[name] = _Drawn(title, tables.of_rows(rows, mine, printed), runs.by_row(rows, mine))
    rows = ladder(DATA, preset)
    table = tables.with_records(tables.table_4(rows, mine))
    drawn["table4"] = _Drawn("Table IV", table, runs.by_row(rows, mine))
    rows = ladder(DATA, preset, **EARLIER)
    drawn["table4_earlier"] = _Drawn(
        "Table IV", tables.table_4(rows, mine), runs.by_row(rows, mine)
    )
    return drawn


def _d_over_training(records: Records, preset: str) -> dict[str, Figure]:
    """Return a picture of D's scores over the training for each budget at which D was watched."""
    pictures = {}
    for images, steps, runs_of in watched.found(records, preset):
        if len(runs_of) >= FEWEST_CURVES:
            title = f"{watched.DATA}, {images} training images, {steps:,} steps"
            picture = drawing.d_over_training(runs_of, title)
            pictures[f"{watched.DATA}-{preset}-{steps}-d-on-{images}"] = picture
    return pictures


def _learning_curves(records: Records) -> dict[str, Figure]:
    """Return a picture of FD over the training for each budget at which ladder rows have curves.

    A budget is a data set, a preset and a number of steps; it takes FEWEST_CURVES rows.
    """
    with_curve = [r for r in records if r.get("curve") and r["experiment"]["size"] == 64]
    budgets_seen = {
        (r["data"]["name"], r["experiment"]["preset"], r["experiment"]["steps"]) for r in with_curve
    }
    pictures = {}
    for data, preset, steps in sorted(budgets_seen):
        curves = runs.by_row(ladder(data, preset, steps=steps), with_curve)
        if len(curves) >= FEWEST_CURVES:
            title = f"{data}, preset {preset}, {steps:,} steps"
            curves = {"hagan" if name == FULL else name: of for name, of in curves.items()}
            pictures[f"{data}-{preset}-{steps}-learning"] = learning_curves(curves, title)
    return pictures


def draw(records: Records, preset: str, out: Path) -> list[Path]:
    """Write tables as Markdown, CSV and LaTeX and pictures as PNG into `out`; return the files.

    Raises ValueError for a record that lacks what tables are drawn from.
    """
    paths = []
    for name, make_table in tables_of(records, preset).items():
        table = make_table()
        if set(table) & {"seeds", "here", "network"}:  # measured, judged or counted: not all blank
            paths += tables.save_table(table, out / name)
    for name, figure in pictures_of(records, preset).items():
        paths.append(drawing.save_figure(figure, out / f"{name}.png"))
    return paths
