"""The paper's claims, data/claims.yaml, each decided by a test, and the tests that look at records.

No verdict is written down by hand. Two things are asked of a claim: does it agree with what the
paper itself prints (`paper`), and did it hold in what was run or counted here (`ours`). `controls`
ask the second again, against fairer rivals. FD has another scale than FID: what can hold here is
that one model is better than another, not by how much.
"""

from typing import Any

import pandas as pd
import yaml

from hagan_lite.report import claims_counted, claims_measured
from hagan_lite.report.claims_measured import PROTOCOLS, Known
from hagan_lite.report.experiments import PAPERS_DATASETS, ladder, rows_of
from hagan_lite.report.verdicts import HELD, UNTESTED, Finding, worst
from hagan_lite.runs.record import COMPARABLE, by_row
from hagan_lite.system.paths import ROOT

CLAIMS = ROOT / "data" / "claims.yaml"


def ledger(records: list[dict[str, Any]], preset: str = "cpu") -> pd.DataFrame:
    """A row per claim: what the paper says and where, whether that agrees with its own numbers, and
    what we found.

    Records of presets that only show that everything runs decide nothing.
    """
    known, table = by_name(records if preset in COMPARABLE else [], preset), []
    for number, claim in enumerate(yaml.safe_load(CLAIMS.read_text()), 1):
        paper, ours = (
            decide(claim[part], known) if part in claim else None for part in ("paper", "ours")
        )
        controls = [
            (against, decide(test, known)) for against, test in claim.get("controls", {}).items()
        ]
        row = {"#": number, "claim": claim["claim"], "where": claim["where"]}
        row |= {
            "in the paper's own numbers": f"{_adds_up(paper)}: {paper.because}" if paper else ""
        }
        ours = ours or Finding(UNTESTED, "no model has records at both sizes")
        row |= {"here": ours.verdict, "because": ours.because}
        row |= {
            "controls": "; ".join(
                f"{against}: {found.verdict}: {found.because}" for against, found in controls
            )
        }
        every = [found for found in (paper, ours, *(found for _, found in controls)) if found]
        table.append(row | {"records": sorted({name for found in every for name in found.records})})
    return pd.DataFrame(table)


def _adds_up(found: Finding) -> str:
    return "agrees" if found.verdict == HELD else "does not agree"


def decide(test: dict[str, Any] | list[dict[str, Any]], known: Known) -> Finding:
    """`test` is {name: arguments} of one of TESTS, or of one of claims_counted.TESTS, which need no
    records; or a list of such, all of which must hold.
    """
    if isinstance(test, list):
        found = [decide(one, known) for one in test]
        names = tuple(dict.fromkeys(name for one in found for name in one.records))
        return Finding(
            worst([one.verdict for one in found]), "; ".join(one.because for one in found), names
        )
    ((name, arguments),) = test.items()
    if name in claims_measured.TESTS:
        return claims_measured.TESTS[name](known, **arguments)
    return claims_counted.TESTS[name](**arguments)


def rows(preset: str) -> list[tuple[str, Any]]:
    """Return what a test may name, in each protocol: rows of the ladder, "sagan on acdc", "... at
    256x256".
    """
    named = []
    for suffix, changes in PROTOCOLS.items():
        named += [(name + suffix, e) for name, e in ladder("covid-ct", preset, **changes)]
        for data in PAPERS_DATASETS:
            for table, size in (("table2", ""), ("table3", " at 256x256")):
                models = rows_of(table, data, preset, **changes)
                named += [(f"{model} on {data}{size}{suffix}", e) for model, e in models]
    return named


def by_name(records: list[dict[str, Any]], preset: str) -> Known:
    """The records of each of :func:`rows`."""
    return by_row(rows(preset), records)
