"""Decide the paper's claims, which data/claims.yaml lists, each by a test.

No verdict is written down by hand. Each claim is tested in up to two ways: against what the paper
itself prints (`paper`), and in what was run or counted here (`ours`). `controls` repeat the second
test against fairer rivals. FD has another scale than FID, so only "one model is better than
another" can hold here, not the amount.
"""

from typing import Any

import pandas as pd
import yaml

from hagan_lite.report import claims_counted, claims_measured
from hagan_lite.report.claims_measured import PROTOCOLS, RecordsByRow
from hagan_lite.report.experiments import PAPERS_DATASETS, ladder, rows_of
from hagan_lite.report.verdicts import HELD, Finding, worst
from hagan_lite.runs.record import COMPARABLE, by_row
from hagan_lite.system.paths import ROOT

CLAIMS = ROOT / "data" / "claims.yaml"


def ledger(records: list[dict[str, Any]], preset: str = "cpu") -> pd.DataFrame:
    """Return a row per claim: what the paper says and where, and the verdicts with their reasons.

    Records of presets that only show that everything runs decide nothing.
    """
    deciding = by_name(records if preset in COMPARABLE else [], preset)
    claims = yaml.safe_load(CLAIMS.read_text())
    return pd.DataFrame([_ledger_row(n, claim, deciding) for n, claim in enumerate(claims, 1)])


def _ledger_row(number: int, claim: dict[str, Any], records: RecordsByRow) -> dict[str, Any]:
    """Return one row of the ledger; `claim` is an entry of data/claims.yaml."""
    paper = decide(claim["paper"], records) if "paper" in claim else None
    ours = decide(claim["ours"], records)
    controls = {
        against: decide(test, records) for against, test in claim.get("controls", {}).items()
    }
    findings = [ours, *controls.values()]
    if paper:
        findings.append(paper)
    names = {name for finding in findings for name in finding.records}
    return {
        "#": number,
        "claim": claim["claim"],
        "where": claim["where"],
        "in the paper's own numbers": _paper_in_words(paper) if paper else "",
        "here": ours.verdict,
        "because": ours.because,
        "controls": "; ".join(f"{k}: {f.verdict}: {f.because}" for k, f in controls.items()),
        "records": sorted(names),
    }


def _paper_in_words(finding: Finding) -> str:
    agreement = "agrees" if finding.verdict == HELD else "does not agree"
    return f"{agreement}: {finding.because}"


def decide(test: dict[str, Any] | list[dict[str, Any]], records: RecordsByRow) -> Finding:
    """Return the verdict of a test, {name: arguments}, or of a list of tests that must all hold.

    The name is one of claims_measured.TESTS, or of claims_counted.TESTS, which need no records.
    Raises KeyError for another name.
    """
    if isinstance(test, list):
        return _all_of([decide(one, records) for one in test])
    ((name, arguments),) = test.items()
    if name in claims_measured.TESTS:
        return claims_measured.TESTS[name](records, **arguments)
    return claims_counted.TESTS[name](**arguments)


def _all_of(findings: list[Finding]) -> Finding:
    """Return the verdict on a claim that holds only if each of `findings` does."""
    verdict = worst([finding.verdict for finding in findings])
    because = "; ".join(finding.because for finding in findings)
    names = dict.fromkeys(name for finding in findings for name in finding.records)
    return Finding(verdict, because, tuple(names))


def rows(preset: str) -> list[tuple[str, Any]]:
    """Return all (name, experiment) that a test may name, in each protocol.

    Names are rows of the ladder, "sagan on acdc" and "sagan on acdc at 256x256"; those of the
    earlier protocol end in its name (see PROTOCOLS).
    """
    named = []
    for suffix, changes in PROTOCOLS.items():
        named += [(name + suffix, e) for name, e in ladder("covid-ct", preset, **changes)]
        for data in PAPERS_DATASETS:
            for table, size in (("table2", ""), ("table3", " at 256x256")):
                models = rows_of(table, data, preset, **changes)
                named += [(f"{model} on {data}{size}{suffix}", e) for model, e in models]
    return named


def by_name(records: list[dict[str, Any]], preset: str) -> RecordsByRow:
    """Return the records of each of :func:`rows` that has any, by the row's name."""
    return by_row(rows(preset), records)
