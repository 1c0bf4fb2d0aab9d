"""Decide the paper's claims, which data/claims.yaml lists, each by a test.

No verdict is written down by hand. Each claim is tested in up to two ways: against what the paper
itself prints (`paper`), and in what was run or counted here (`ours`). `controls` repeat the second
test against fairer rivals. FD has another scale than FID, so only "one model is better than
another" can hold here, not the amount. A claim is held only if its p-value stays below 5 % when it
is corrected for all tests of the ledger, and if no control contradicts it.
"""

from typing import Any, NamedTuple

import pandas as pd
import yaml

from hagan_lite.drawing import ForestRow
from hagan_lite.report import claims_counted, claims_measured
from hagan_lite.report.claims_measured import RecordsByRow
from hagan_lite.report.experiments import (
    PAPERS_DATASETS,
    at_256,
    fair_rivals,
    few_images,
    ladder,
    rows_of,
)
from hagan_lite.report.verdicts import HELD, NOT, Comparison, Finding, bounded, holm, in_short
from hagan_lite.runs.record import COMPARABLE, against_heldout, by_row
from hagan_lite.system.paths import ROOT

CLAIMS = ROOT / "data" / "claims.yaml"
WITH_RIVALS = (*PAPERS_DATASETS, "lgg")
"""The data sets on which HAGAN is compared with models that have its augmentation, too."""


class Judged(NamedTuple):
    """Hold what was found about one claim of data/claims.yaml, which `claim` is the entry of."""

    number: int
    claim: dict[str, Any]
    paper: Finding | None
    ours: Finding
    controls: dict[str, Finding]

    @property
    def verdict(self) -> str:
        """Return the verdict on the claim: held only if no control contradicts it."""
        return bounded(self.ours.verdict, [c.verdict for c in self.controls.values()])


def judged(records: list[dict[str, Any]], preset: str = "cpu") -> list[Judged]:
    """Return what was found about every claim, its p-values corrected over the whole ledger.

    Records of presets that only show that everything runs decide nothing.
    """
    deciding = by_name(records if preset in COMPARABLE else [], preset)
    claims = yaml.safe_load(CLAIMS.read_text())
    found = [_found(number, claim, deciding) for number, claim in enumerate(claims, 1)]
    return corrected(found)


def _found(number: int, claim: dict[str, Any], records: RecordsByRow) -> Judged:
    """Return what was found about one claim, p-values as they are."""
    paper = decide(claim["paper"], records) if "paper" in claim else None
    ours = decide(claim["ours"], records)
    controls = {
        against: decide(test, records) for against, test in claim.get("controls", {}).items()
    }
    return Judged(number, claim, paper, ours, controls)


def corrected(found: list[Judged]) -> list[Judged]:
    """Return `found` with Holm's correction over all its statistical tests, controls included.

    A test that several claims share is one test.
    """
    p_of: dict[tuple, float] = {}
    for one in found:
        for finding in (one.ours, *one.controls.values()):
            p_of |= {c.key: c.p for c in finding.comparisons if c.p is not None}
    family = dict(zip(p_of, holm(list(p_of.values())), strict=True))
    return [
        one._replace(
            ours=one.ours.corrected(family),
            controls={against: f.corrected(family) for against, f in one.controls.items()},
        )
        for one in found
    ]


def forest_rows(found: list[Judged]) -> list[ForestRow]:
    """Return the lines of a forest plot: each claim that compares runs, its controls below it.

    A claim to be ahead of several is drawn by its weakest comparison. The notes say how many
    runs each side has, the corrected p, and whether the claim, with the amount that it names,
    agrees with what the paper itself prints: direction and amount are judged apart.
    """
    lines = []
    for one in found:
        amount = "" if one.paper is None else _paper_in_words(one.paper).split(":")[0]
        for name, finding in ((one.claim["claim"], one.ours), *one.controls.items()):
            deciding = finding.deciding
            if deciding is None or not deciding.of_distance:
                continue
            control = finding is not one.ours
            text = f"control: {name}" if control else f"{one.number}. {name}"
            if len(finding.comparisons) > 1:
                text += f" (weakest: {_in_short(finding)})"
            runs = f"{deciding.runs[0]} and {deciding.runs[1]}"
            notes = (runs, in_short(deciding.corrected_p), "" if control else amount)
            lines.append(
                ForestRow(
                    text,
                    deciding.effect,
                    deciding.interval,
                    deciding.both_with_t,
                    (finding.verdict if control else one.verdict) in (HELD, NOT),
                    control,
                    notes,
                    deciding.fewest,
                )
            )
    return lines


def _in_short(finding: Finding) -> str:
    """Return what the deciding comparison is against, and whose it is where several models lead."""
    sides = [comparison.name.split(" against ")[0] for comparison in finding.comparisons]
    models = {side.split(" on ")[0] for side in sides}
    side, rival = finding.deciding.name.split(" against ")
    return f"against {rival}" if len(models) == 1 else f"{side.split(' on ')[0]} against {rival}"


def ledger(records: list[dict[str, Any]], preset: str = "cpu") -> pd.DataFrame:
    """Return a row per claim: what the paper says and where, and the verdicts with their reasons.

    The effect is that over the rival that decides, in FD: positive where it is the claim's way.
    """
    return pd.DataFrame([_ledger_row(one) for one in judged(records, preset)])


def _ledger_row(one: Judged) -> dict[str, Any]:
    """Return one row of the ledger."""
    findings = [one.ours, *one.controls.values()]
    if one.paper:
        findings.append(one.paper)
    names = {name for finding in findings for name in finding.records}
    deciding = one.ours.deciding
    measured = deciding is not None and deciding.of_distance
    because = one.ours.because
    if one.verdict != one.ours.verdict:
        because += "; held by itself, but a control contradicts it"
    return {
        "#": one.number,
        "claim": one.claim["claim"],
        "where": one.claim["where"],
        "in the paper's own numbers": _paper_in_words(one.paper) if one.paper else "",
        "here": one.verdict,
        "effect": f"{deciding.effect:+.1f}" if measured else "",
        "95 % interval": _interval_in_words(deciding) if measured else "",
        "runs": " and ".join(map(str, deciding.runs)) if measured else "",
        "p": in_short(deciding.p) if measured else "",
        "corrected p": in_short(deciding.corrected_p) if measured else "",
        "because": because,
        "controls": "; ".join(f"{k}: {f.verdict}: {f.because}" for k, f in one.controls.items()),
        "records": sorted(names),
    }


def _interval_in_words(comparison: Comparison) -> str:
    if comparison.interval is None:
        return ""
    return "{:+.1f} to {:+.1f}".format(*comparison.interval)


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
    parts = tuple(part for finding in findings for part in finding.parts)
    names = dict.fromkeys(name for finding in findings for name in finding.records)
    return Finding(parts, tuple(names))


def rows(preset: str) -> list[tuple[str, Any]]:
    """Return all (name, experiment) that a test may name.

    Names are rows of the ladder, "sagan on acdc" and "sagan on acdc at 256x256". Names such as
    "sagan with T on acdc", at either size, stand for the models that were given HAGAN's
    augmentation.
    """
    named = ladder("covid-ct", preset)
    for data in PAPERS_DATASETS:
        for table, size in (("table2", ""), ("table3", " at 256x256")):
            models = rows_of(table, data, preset)
            named += [(f"{model} on {data}{size}", e) for model, e in models]
    for data in WITH_RIVALS:
        for size, changes in (("", {}), (" at 256x256", at_256(preset))):
            rivals = fair_rivals(data, preset, **changes)
            named += [(f"{name} on {data}{size}", e) for name, e in rivals]
    return list(dict(named).items())


def by_name(records: list[dict[str, Any]], preset: str) -> RecordsByRow:
    """Return the records of each of :func:`rows` and of experiments.few_images, by the row's name.

    A row without any has no entry. On few images a record's scores are those against held-out ones.
    """
    few = by_row(few_images(preset), against_heldout(records))
    return by_row(rows(preset), records) | few
