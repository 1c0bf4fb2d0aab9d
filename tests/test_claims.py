import importlib.util

import pytest
import yaml

from hagan_lite import claims, results
from hagan_lite.config import COMMITTED, ROOT
from hagan_lite.grids import ladder


def runs_of(row, *scores, shift=0.1, curve=None):
    """Records of a row of the ladder, a seed each."""
    e = dict(ladder("covid-ct", "cpu"))[row]
    metrics = dict(floor=40.0, fd_at_floor_n_sd=2.0)
    more = dict(curve=curve) if curve else {}
    return [
        dict(
            name=f"{row}-{seed}",
            experiment=e.to_dict() | dict(seed=seed),
            data=dict(name="covid-ct", fingerprint="f"),
            metrics=metrics | dict(fd=fd, fd_at_floor_n=fd + 5),
            log=dict(step=[800], shift=[[-shift, 0, 0, 0, shift]]),
        )
        | more
        for seed, fd in enumerate(scores)
    ]


def decide(records, **test):
    return claims._decide(test, claims.by_name(records, "cpu"))


@pytest.mark.parametrize(
    ("rival", "verdict"),
    [((300, 310, 305), claims.HELD), ((100, 110, 105), claims.NOT), ((199, 207, 211), claims.UNTESTED)],
)
def test_a_claim_is_held_only_where_the_seeds_are_told_apart(rival, verdict):
    records = runs_of("+ training strategy", 200, 210, 205) + runs_of("base", *rival)
    found = decide(records, better=dict(row="+ training strategy", than=["base"]))
    assert found.verdict == verdict and "3 and 3 seeds" in found.because
    assert set(found.records) == {r["name"] for r in records}


def test_one_seed_is_taken_to_scatter_as_others_do():
    """Pooled over the two rows with three seeds, sd 10: a lead of 30 is 2.6 standard errors, one of 20 is 1.7."""
    spread = runs_of("base", 240, 250, 260) + runs_of("base with T", 215, 225, 235)
    test = dict(row="+ training strategy", than=["base"])
    assert decide(spread + runs_of("+ training strategy", 220), better=test).verdict == claims.HELD
    near = decide(spread + runs_of("+ training strategy", 230), better=test)
    assert near.verdict == claims.UNTESTED and "+1.7 standard errors" in near.because
    alone = runs_of("base", 300) + runs_of("+ training strategy", 100)
    assert decide(alone, better=test).verdict == claims.UNTESTED  # no spread is known


def test_it_must_be_better_than_all():
    records = runs_of("+ training strategy", 200, 201) + runs_of("base", 300, 301) + runs_of("sagan", 100, 101)
    test = dict(row="+ training strategy", than=["base", "sagan"])
    assert decide(records, better=test).verdict == claims.NOT
    missing = decide(records[:4], better=test)
    assert missing.verdict == claims.UNTESTED and "no record of sagan" in missing.because and not missing.records


def test_sooner_needs_three_seeds_and_all_of_them():
    slow, fast = dict(step=[400, 800], fd=[260.0, 250.0]), dict(step=[400, 800], fd=[240.0, 200.0])
    test = dict(row="+ reverse skip", than="+ AttnMix generator")
    for mine, others, n, verdict in (
        (fast, slow, 3, claims.HELD),
        (slow, fast, 3, claims.NOT),
        (fast, slow, 2, claims.UNTESTED),
    ):
        records = runs_of("+ reverse skip", *[200] * n, curve=mine)
        records += runs_of("+ AttnMix generator", *[250] * n, curve=others)
        assert decide(records, sooner=test).verdict == verdict
    assert decide(runs_of("+ reverse skip", 1, 2, 3), sooner=test).verdict == claims.UNTESTED


def test_a_shift_that_is_small_and_images_like_real_ones_would_hold():
    test = dict(row="+ training strategy", most=0.025)
    assert decide(runs_of("+ training strategy", 200, shift=0.02), shift_within=test).verdict == claims.HELD
    assert decide(runs_of("+ training strategy", 200, shift=0.03), shift_within=test).verdict == claims.NOT
    row = dict(row="+ training strategy")
    assert decide(runs_of("+ training strategy", 36), like_real=row).verdict == claims.HELD
    assert decide(runs_of("+ training strategy", 60), like_real=row).verdict == claims.NOT


def test_what_the_paper_contradicts_itself_on_is_found():
    """reading.md, "What the paper contradicts itself on"."""
    table = claims.ledger([]).set_index("claim")["in the paper's own numbers"]
    wrong = {claim for claim, said in table.items() if said.startswith("does not agree")}
    assert {claim.split(" ", 1)[0] for claim in wrong} and len(wrong) == 4
    for part in ("more than 12", "240.331", "ranks third", "more than six times"):
        assert any(part in claim for claim in wrong), part


def test_every_claim_has_its_place_and_every_verdict_its_record():
    said = yaml.safe_load(claims.CLAIMS.read_text())
    assert len(said) >= 20 and all(set(c) <= {"claim", "where", "paper", "ours", "against", "control"} for c in said)
    assert all(c["where"] and ("against" in c) == ("control" in c) for c in said)
    records = results.load_records(COMMITTED)
    names = {r["name"] for r in records} | {claims.COUNTED, claims.PRINTED}
    for row in claims.ledger(records).to_dict("records"):
        assert row["here"] in (claims.HELD, claims.NOT, claims.UNTESTED) and row["because"]
        assert set(row["records"]) <= names
        assert row["records"] or row["here"] == claims.UNTESTED
    assert (ROOT / claims.COUNTED).is_file() and (ROOT / claims.PRINTED).is_file()


def test_without_records_nothing_that_a_training_decides_has_a_verdict():
    bare = claims.ledger([])
    decided = bare[bare["here"] != claims.UNTESTED]
    assert len(decided) and all(
        names and set(names) <= {claims.COUNTED, claims.PRINTED} for names in decided["records"]
    )


def test_the_readmes_tables_are_those_of_the_committed_records():
    spec = importlib.util.spec_from_file_location("readme", ROOT / "scripts" / "readme.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    text = (ROOT / "README.md").read_text()
    assert script.written(text) == text, "run make figures"
    assert all(verdict in text for verdict in (claims.HELD, claims.NOT, claims.UNTESTED))
