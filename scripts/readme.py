"""Writes the README's measured tables from the committed records, between their marks; `make figures` calls it.

python scripts/readme.py
"""

import re
from collections.abc import Callable
from functools import partial

import pandas as pd

from hagan_lite import runs
from hagan_lite.config import Experiment
from hagan_lite.report import claims, tables, verdicts
from hagan_lite.report.experiments import EARLIER, LONGER, ladder, rows_of
from hagan_lite.system.paths import COMMITTED, ROOT

ORDER = [verdicts.HELD, verdicts.NOT, verdicts.UNDECIDED, verdicts.UNTESTED]


def measured(rows: list[tuple[str, Experiment]], called: str, records: list[dict]) -> str:
    """Those of `rows` that have a record, under the heading `called`."""
    found = tables.with_records(tables.of_rows(rows, records, {}))
    if found.empty:
        return ""
    score = next(column for column in found if column.startswith("our "))
    names = {"row": called, "each run": "FD of each run", score: "mean", "KID": "KID", "KID's runs": "of runs"}
    names |= {"FD at their n": "FD at the floor's n", "FD of real halves": "FD of real halves"}
    return tables.markdown(found[list(names)].rename(columns=names))


def verdicts(records: list[dict]) -> str:
    """The ledger by verdict, each with its numbers and its controls'."""
    found = claims.ledger(records).sort_values("here", key=lambda v: v.map(ORDER.index), kind="stable")
    why = found["because"] + ("; control, " + found["controls"]).where(found["controls"] != "", "")
    return tables.markdown(pd.DataFrame({"verdict": found["here"], "claim": found["claim"], "numbers": why}))


STEP = "row of Table IV, or a control"
PARTS: dict[str, Callable[[list[dict]], str]] = dict(
    measured=partial(measured, ladder("covid-ct", "cpu"), STEP),
    earlier=partial(measured, ladder("covid-ct", "cpu", **EARLIER), STEP),
    longer=partial(measured, ladder("covid-ct", "cpu", steps=LONGER, **EARLIER), STEP),
    models=partial(measured, rows_of("table2", "covid-ct", "cpu", **EARLIER), "model of Table II"),
    larger=partial(measured, rows_of("table3", "covid-ct", "cpu", **EARLIER), "model of Table III"),
    verdicts=verdicts,
)


def written(text: str) -> str:
    """The README's text with every part drawn anew."""
    records = runs.load_records(COMMITTED)
    for name, draw in PARTS.items():
        begin, end = f"<!-- {name}: scripts/readme.py -->\n", f"<!-- end of {name} -->"
        text = re.sub(f"{begin}.*?{end}", lambda _, d=draw, b=begin, e=end: f"{b}{d(records)}{e}", text, flags=re.S)
    return text


if __name__ == "__main__":
    path = ROOT / "README.md"
    path.write_text(written(path.read_text()))
