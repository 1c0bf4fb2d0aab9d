"""Every file of figures/ that is drawn from records and from nothing else, besides Table I, which is counted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from hagan_lite import figures, tables
from hagan_lite.claims import ledger
from hagan_lite.config import SEARCHED, Experiment
from hagan_lite.figures_attnmix import shift_over_training
from hagan_lite.figures_evaluation import learning_curves, recipes
from hagan_lite.grids import LONGER, ladder, rows_of, tried
from hagan_lite.results import kept_log, load_records

DATA = "covid-ct"
"""What Table IV, and all that is measured here, is about."""


def tables_of(records: list[dict[str, Any]], preset: str) -> dict[str, Callable[[], pd.DataFrame]]:
    """What draws the tables, by name: counts (I), every record (II, III), the ablation (IV), what of it was
    measured again at LONGER steps, the search, the ledger."""
    mine = [r for r in records if r["data"]["name"] == DATA]
    return dict(
        table1=tables.table_1,
        table2=lambda: tables.table_2(records),
        table3=lambda: tables.table_3(records),
        table4=lambda: tables.table_4(ladder(DATA, preset), mine),
        longer=lambda: tables.with_records(tables.table_4(ladder(DATA, preset, steps=LONGER), mine)),
        tried=lambda: tables.of_rows(tried(DATA, preset), load_records(SEARCHED), {}),
        claims=lambda: ledger(records, preset).assign(records=lambda t: t["records"].str.join(" ")),
    )


def pictures_of(records: list[dict[str, Any]], preset: str) -> dict[str, Figure]:
    """The pictures by name: Tables II to IV, FD over the training for every number of steps that has curves, and the
    shift of HAGAN's labels in the training of the first seed. A picture without a record is not drawn."""
    mine = [r for r in records if r["data"]["name"] == DATA and r["experiment"]["preset"] == preset]
    drawn, rows = {}, {name: rows_of(name, DATA, preset) for name in ("table2", "table3")}
    fids = {name: {m: tables.PAPER[f"table_{name[-1]}"]["fid"][m][DATA] for m, _ in rows[name]} for name in rows}
    listed = {name: tables.of_rows(rows[name], mine, fids[name]) for name in rows}
    for name, table in (listed | dict(table4=tables.table_4(ladder(DATA, preset), mine))).items():
        if "seeds" in table:
            drawn[name] = recipes(table, f"Table {dict(zip('234', ('II', 'III', 'IV'), strict=True))[name[-1]]}")
    for steps in sorted({r["experiment"]["steps"] for r in mine if r.get("curve")}):
        curves = tables.by_row(ladder(DATA, preset, steps=steps), [r for r in mine if r.get("curve")])
        if curves:
            drawn[f"{DATA}-{preset}-{steps}-learning"] = learning_curves(curves, f"{DATA}, {preset}, {steps} steps")
    e = Experiment.make("hagan", DATA, preset)
    for r in (r for r in mine if "log" in r and Experiment.from_dict(r["experiment"]) == e):
        title = f"{DATA}, {e.steps} steps, seed {e.seed}"
        drawn[f"{DATA}-{preset}-shift"] = shift_over_training(kept_log(r), e.phase_two, title)
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
    return made + [figures.save_figure(figure, out / f"{name}.png") for name, figure in pictures.items()]
