import pytest
import scipy.stats
import yaml

from hagan_lite import runs
from hagan_lite.report import claims, claims_counted, claims_measured, verdicts
from hagan_lite.report.experiments import EARLIER, PAPERS_MODELS, ladder, rows_of
from hagan_lite.system.paths import COMMITTED, ROOT


def runs_of(row, *scores, curve=None, figure_7=None, **changes):
    """Records of a row of the ladder, a seed each."""
    e = dict(ladder("covid-ct", "cpu", **changes))[row]
    metrics = dict(floor=40.0, fd_at_floor_n_sd=2.0, extractor="x", resize="r", n_real=9, n_fake=9)
    given = dict(curve=curve, figure_7=figure_7)
    more = {name: value for name, value in given.items() if value}
    return [
        dict(
            name=f"{row}-{seed}{'-earlier' if changes else ''}",
            device="cpu (1 threads)",
            experiment=e.to_dict() | dict(seed=seed),
            data=dict(name="covid-ct", fingerprint="f"),
            metrics=metrics | dict(fd=fd, fd_at_floor_n=fd + 5),
        )
        | more
        for seed, fd in enumerate(scores)
    ]


def decide(records, **test):
    return claims.decide(test, claims.by_name(records, "cpu"))


@pytest.mark.parametrize(
    ("rival", "verdict"),
    [
        ((300, 310, 305), verdicts.HELD),
        ((100, 110, 105), verdicts.NOT),
        ((199, 207, 211), verdicts.UNDECIDED),
    ],
)
def test_a_claim_is_held_only_where_the_seeds_are_told_apart(rival, verdict):
    records = runs_of("+ training strategy = hagan", 200, 210, 205) + runs_of("base", *rival)
    judged = decide(records, better=dict(row="+ training strategy = hagan", than=["base"]))
    assert judged.verdict == verdict and "3 and 3 runs" in judged.because
    assert set(judged.records) == {r["name"] for r in records}


def test_one_seed_is_taken_to_scatter_as_others_do():
    """Pooled over two rows of three seeds, sd 10 with 4 degrees of freedom: t must exceed 2.78."""
    spread = runs_of("base", 240, 250, 260) + runs_of("base with T", 215, 225, 235)
    test = dict(row="+ training strategy = hagan", than=["base"])
    assert claims_measured.spread(claims.by_name(spread, "cpu"), spread[0]) == (10.0, 4)
    assert (
        decide(spread + runs_of("+ training strategy = hagan", 215), better=test).verdict
        == verdicts.HELD
    )  # t = 3.0
    near = decide(spread + runs_of("+ training strategy = hagan", 220), better=test)  # t = 2.6
    assert near.verdict == verdicts.UNDECIDED and "+2.6 standard errors, p = 0.06" in near.because
    alone = runs_of("base", 300) + runs_of("+ training strategy = hagan", 100)
    assert decide(alone, better=test).verdict == verdicts.UNDECIDED  # two runs have no spread


def test_the_test_is_students():
    a, b = [200.0, 210.0, 205.0], [215.0, 226.0, 209.0]
    judged = decide(
        runs_of("base", *a) + runs_of("sagan", *b), better=dict(row="base", than=["sagan"])
    )
    assert f"p = {scipy.stats.ttest_ind(a, b).pvalue:.2g}" in judged.because


def test_it_must_be_better_than_all():
    records = (
        runs_of("+ training strategy = hagan", 200, 201)
        + runs_of("base", 300, 301)
        + runs_of("sagan", 100, 101)
    )
    test = dict(row="+ training strategy = hagan", than=["base", "sagan"])
    assert decide(records, better=test).verdict == verdicts.NOT
    missing = decide(records[:4], better=test)
    assert missing.verdict == verdicts.UNTESTED and "no record of sagan" in missing.because
    behind = decide(
        records[:2] + records[4:], better=test
    )  # a rival that is ahead refutes, whoever else is missing
    assert behind.verdict == verdicts.NOT and "no record of base" in behind.because


def test_a_claim_of_several_parts_needs_all_of_them_and_one_refutes_it():
    """One data set refutes "on every data set", however many nobody has measured."""
    row, runs = "+ training strategy = hagan", runs_of("+ training strategy = hagan", 200, 201)
    by_row = claims.by_name(runs + runs_of("base", 300, 301) + runs_of("sagan", 100, 101), "cpu")
    parts = {
        than: dict(better=dict(row=row, than=[than])) for than in ("base", "sagan", "sagan with T")
    }
    for names, verdict in (
        (("base",), verdicts.HELD),
        (("base", "sagan with T"), verdicts.UNTESTED),
        (("base", "sagan with T", "sagan"), verdicts.NOT),
    ):
        judged = claims.decide([parts[name] for name in names], by_row)
        assert judged.verdict == verdict and all(name in judged.because for name in names)
    assert len(set(judged.records)) == len(judged.records) == 6  # HAGAN's are named once


def test_sooner_needs_three_seeds_and_all_of_them():
    slow, fast = dict(step=[400, 800], fd=[260.0, 250.0]), dict(step=[400, 800], fd=[240.0, 200.0])
    test = dict(row="+ reverse skip", than="+ AttnMix generator")
    for mine, others, verdict in (
        ([fast] * 3, [slow] * 3, verdicts.HELD),
        ([slow] * 3, [fast] * 3, verdicts.NOT),
        ([fast, fast, slow], [slow, slow, fast], verdicts.UNDECIDED),
        ([fast] * 2, [slow] * 2, verdicts.UNTESTED),
    ):
        records = []
        for row, curves in (("+ reverse skip", mine), ("+ AttnMix generator", others)):
            made = runs_of(row, *[200] * len(curves))
            records += [r | dict(curve=curve) for r, curve in zip(made, curves, strict=True)]
        assert decide(records, sooner=test).verdict == verdict
    assert decide(runs_of("+ reverse skip", 1, 2, 3), sooner=test).verdict == verdicts.UNTESTED


def test_a_dip_that_does_not_stay_is_not_sooner():
    dip, slow = dict(step=[400, 800], fd=[240.0, 260.0]), dict(step=[400, 800], fd=[260.0, 250.0])
    records = runs_of("+ reverse skip", *[260] * 3, curve=dip) + runs_of(
        "+ AttnMix generator", *[250] * 3, curve=slow
    )
    assert (
        decide(records, sooner=dict(row="+ reverse skip", than="+ AttnMix generator")).verdict
        == verdicts.NOT
    )


def test_steadier_is_an_f_test():
    test = dict(row="+ reverse skip", than="+ AttnMix generator")
    wild = runs_of("+ AttnMix generator", 100, 200, 300)
    assert (
        decide(runs_of("+ reverse skip", 200, 201, 202) + wild, steadier=test).verdict
        == verdicts.HELD
    )
    assert (
        decide(runs_of("+ reverse skip", 150, 200, 250) + wild, steadier=test).verdict
        == verdicts.UNDECIDED
    )
    assert decide(wild, steadier=test | dict(row="base")).verdict == verdicts.UNTESTED


FULL = "+ training strategy = hagan"


@pytest.mark.parametrize(
    ("chances", "verdict"),
    [
        ((0.2, 0.1), verdicts.HELD),
        ((0.01, 0.001), verdicts.NOT),
        ((0.2, 0.01), verdicts.UNDECIDED),
        ((), verdicts.UNTESTED),
    ],
)
def test_shifts_are_like_the_papers_where_its_examples_are_likely_under_the_runs_own_map(
    chances, verdict
):
    records = [
        runs_of(FULL, 200, figure_7=dict(output=chance, received=1 - chance))[0]
        | dict(name=f"run {i}", device=f"{i}")
        for i, chance in enumerate(chances)
    ]
    assert (
        decide(records + runs_of("base", 250), shifts_like_the_papers=dict(row=FULL)).verdict
        == verdict
    )
    received = runs_of("hagan, received map", 200, figure_7=dict(output=0.2, received=0.001))
    assert (
        decide(received, shifts_like_the_papers=dict(row="hagan, received map")).verdict
        == verdicts.NOT
    )


def test_rows_of_two_protocols_are_never_compared():
    test = dict(row=FULL, than=["base"])
    earlier = runs_of(FULL, 200, 201, 202, **EARLIER) + runs_of("base", 250, 251, 252, **EARLIER)
    judged = decide(earlier + runs_of(FULL, 100, 101), better=test)  # the present one has no base
    assert (
        judged.verdict == verdicts.HELD
        and "201.0 against 251.0" in judged.because
        and "earlier" in judged.because
    )
    both = decide(
        earlier + runs_of(FULL, 300, 301, 302) + runs_of("base", 250, 251, 252), better=test
    )
    assert both.verdict == verdicts.NOT and "earlier" not in both.because
    across = decide(runs_of(FULL, 100, 101) + runs_of("base", 250, 251, **EARLIER), better=test)
    assert across.verdict == verdicts.UNTESTED


def test_images_as_near_as_real_ones_would_hold():
    assert decide(runs_of(FULL, 36), as_near_as_real=dict(row=FULL)).verdict == verdicts.HELD
    assert decide(runs_of(FULL, 60), as_near_as_real=dict(row=FULL)).verdict == verdicts.NOT


def at_both_sizes(model, small, large, **changes):
    """Records of a model of Table II at 64x64 and at 256x256, a seed each."""
    records = []
    for table, scores in (("table2", small), ("table3", large)):
        e = dict(rows_of(table, "covid-ct", "cpu", **changes))[model]
        for record in runs_of("base", *scores):
            made = e.to_dict() | dict(seed=record["experiment"]["seed"])
            records.append(record | dict(name=f"{model}-{table}-{record['name']}", experiment=made))
    return records


LOSES = dict(data="covid-ct", model="dcgan")
OTHERS = [model for model in PAPERS_MODELS if model != "dcgan"]


@pytest.mark.parametrize(
    ("lost", "verdict"), [(100, verdicts.HELD), (5, verdicts.NOT), (21, verdicts.UNDECIDED)]
)
def test_who_loses_most_from_64_to_256_pixels_is_decided_by_records_at_both_sizes(lost, verdict):
    """The others lose 20, and runs scatter by 1."""
    records = at_both_sizes("dcgan", (200, 201, 202), (200 + lost, 201 + lost, 202 + lost))
    for model in OTHERS:
        records += at_both_sizes(model, (100, 101, 102), (120, 121, 122))
    judged = decide(records, loses_more=LOSES)
    assert judged.verdict == verdict
    assert f"dcgan loses {lost:.1f}, wgan 20.0" in judged.because
    assert set(judged.records) == {r["name"] for r in records}


def test_without_records_at_both_sizes_the_claim_says_which_models_lack_them():
    records = at_both_sizes("hagan", (200, 201), (300, 301)) + at_both_sizes(
        "dcgan", (200, 201), ()
    )
    judged = decide(records, loses_more=LOSES)
    assert judged.verdict == verdicts.UNTESTED
    assert "no record at 256x256 of infogan, dcgan, wgan" in judged.because
    assert "hagan loses 100.0" in judged.because
    nothing = decide([], loses_more=LOSES)
    assert nothing.verdict == verdicts.UNTESTED and not nothing.records


def test_one_model_that_loses_more_refutes_whoever_else_was_not_measured():
    records = at_both_sizes("dcgan", (200, 201, 202), (210, 211, 212))
    records += at_both_sizes("hagan", (200, 201, 202), (300, 301, 302))
    judged = decide(records, loses_more=LOSES)
    assert judged.verdict == verdicts.NOT and "no record at 64x64 of infogan" in judged.because


def test_growth_is_measured_within_one_protocol():
    earlier = at_both_sizes("hagan", (200, 201), (300, 301), **EARLIER)
    crossed = at_both_sizes("hagan", (200, 201), ()) + [r for r in earlier if "table3" in r["name"]]
    assert "hagan loses 100.0 (earlier protocol)" in decide(earlier, loses_more=LOSES).because
    assert "hagan loses" not in decide(crossed, loses_more=LOSES).because


def test_what_the_paper_contradicts_itself_on_is_found():
    """reading.md, "What the paper contradicts itself on"."""
    table = claims.ledger([]).set_index("claim")["in the paper's own numbers"]
    wrong = {claim for claim, said in table.items() if said.startswith("does not agree")}
    parts = ("more than 12", "240.331", "ranks third", "more than six times", "DCGAN loses most")
    assert len(wrong) == len(parts) and all(any(part in claim for claim in wrong) for part in parts)


def test_every_claim_has_its_place_and_every_verdict_its_record():
    said = yaml.safe_load(claims.CLAIMS.read_text())
    assert len(said) >= 20 and all(c["where"] and "ours" in c for c in said)
    assert all(set(c) <= {"claim", "where", "paper", "ours", "controls"} for c in said)
    records = runs.load_records(COMMITTED)
    names = {r["name"] for r in records} | {claims_counted.COUNTED, claims_counted.PRINTED}
    for row in claims.ledger(records).to_dict("records"):
        assert (
            row["here"] in (verdicts.HELD, verdicts.NOT, verdicts.UNDECIDED, verdicts.UNTESTED)
            and row["because"]
        )
        assert set(row["records"]) <= names
        assert row["records"] or row["here"] == verdicts.UNTESTED
    assert all((ROOT / path).is_file() for path in (claims_counted.COUNTED, claims_counted.PRINTED))


def test_every_row_that_a_claim_names_is_one():
    """A row that is spelt wrong would be "no record of ..." for ever."""
    every = {name for name, _ in claims.rows("cpu")}
    for claim in yaml.safe_load(claims.CLAIMS.read_text()):
        ours = claim.get("ours", {})
        for test in [
            *(ours if isinstance(ours, list) else [ours]),
            *claim.get("controls", {}).values(),
        ]:
            for arguments in test.values():
                than = arguments.get("than", [])
                named = (
                    {arguments["row"], *([than] if isinstance(than, str) else than)}
                    if "row" in arguments
                    else set()
                )
                assert named <= every, claim["claim"]


def test_without_records_nothing_that_a_training_decides_has_a_verdict():
    bare = claims.ledger([])
    files = {claims_counted.COUNTED, claims_counted.PRINTED}
    decided = bare[bare["here"] != verdicts.UNTESTED]
    assert len(decided) and all(names and set(names) <= files for names in decided["records"])
    assert claims.ledger(runs.load_records(COMMITTED), "smoke")["here"].equals(bare["here"])


def test_an_fid_never_gets_into_a_mean_of_fds_nor_another_copy_of_the_data():
    mine = runs_of("base", 200, 210, 205)
    inception = [
        r | dict(metrics=r["metrics"] | dict(extractor="inception", fid=33.0))
        for r in runs_of("base", 1, 2)
    ]
    others = [
        r | dict(data=dict(name="covid-ct", fingerprint="g")) for r in runs_of("base", 400, 410)
    ]
    for record in inception:
        del record["metrics"]["fd"]
    of_base = claims.by_name(mine + inception + others + mine, "cpu")["base"]
    assert [runs.distance_of(r) for r in of_base] == [200, 210, 205]
    assert runs.distance_of(claims.by_name(inception, "cpu")["base"][0]) == 33.0


def test_the_same_seed_on_other_threads_or_with_another_end_is_another_run_and_repeated_is_not():
    one, two = (
        r | dict(device=f"cpu ({n} threads)")
        for n, r in enumerate(runs_of("base", 200, 300)[:1] * 2, 1)
    )
    assert len(claims.by_name([one, two], "cpu")["base"]) == 2
    assert len(claims.by_name([one, one | dict(commit="later")], "cpu")["base"]) == 1
    elsewhere = one | dict(metrics=one["metrics"] | dict(fd=210))
    assert len(claims.by_name([one, elsewhere], "cpu")["base"]) == 2
