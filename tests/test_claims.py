import math
from dataclasses import replace

import pytest
import scipy.stats
import yaml

from hagan_lite import runs
from hagan_lite.report import claims, claims_counted, claims_measured, effects, tables, verdicts
from hagan_lite.report.experiments import EARLIER, PAPERS_MODELS, few_images, ladder, rows_of
from hagan_lite.system.paths import COMMITTED, ROOT

FULL = "+ training strategy = hagan"


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


def test_a_single_run_is_compared_by_the_spread_of_the_other_side():
    """Crawford and Howell: t = (215 - 250) / (10 sqrt(4/3)) = -3.03 with two degrees of freedom."""
    test = dict(row=FULL, than=["base"])
    several = runs_of("base", 240, 250, 260)
    judged = decide(several + runs_of(FULL, 215), better=test)
    (comparison,) = judged.comparisons
    assert comparison.p == pytest.approx(2 * scipy.stats.t.sf(35 / (10 * (4 / 3) ** 0.5), 2))
    assert comparison.interval is None and comparison.runs == (1, 3)
    assert comparison.fewest == 1
    assert judged.verdict == verdicts.UNDECIDED
    assert decide(several + runs_of(FULL, 150), better=test).verdict == verdicts.HELD
    alone = decide(runs_of("base", 300) + runs_of(FULL, 100), better=test)
    assert alone.verdict == verdicts.UNDECIDED and alone.comparisons[0].p is None


def test_the_test_is_welchs():
    a, b = [200.0, 210.0, 205.0], [215.0, 240.0]
    judged = decide(
        runs_of("base", *a) + runs_of("sagan", *b), better=dict(row="base", than=["sagan"])
    )
    (comparison,) = judged.comparisons
    assert comparison.p == pytest.approx(scipy.stats.ttest_ind(a, b, equal_var=False).pvalue)
    assert comparison.effect == pytest.approx(22.5)


def test_over_several_data_sets_each_weighs_the_same():
    """Differences of 10 and 20; squared errors of means add up, each divided by two squared."""
    strata = (((0.0, 2.0), (10.0, 12.0)), ((5.0, 7.0, 9.0), (26.0, 28.0)))
    found = effects.effect(strata)
    assert found.size == pytest.approx((10 + 20) / 2)
    terms = [(2 / 2 / 4, 1), (2 / 2 / 4, 1), (4 / 3 / 4, 2), (2 / 2 / 4, 1)]
    total = sum(variance for variance, _ in terms)
    freedom = total**2 / sum(variance**2 / df for variance, df in terms)
    assert found.p == pytest.approx(2 * scipy.stats.t.sf(15 / total**0.5, freedom))
    low, high = found.interval
    assert low < 15 < high


def test_single_runs_on_several_data_sets_are_compared_in_pairs():
    strata = tuple(((mine,), (other,)) for mine, other in ((1, 3), (2, 6), (5, 8)))
    found = effects.effect(strata)
    assert found.size == 3 and found.p == pytest.approx(
        scipy.stats.ttest_rel([3, 6, 8], [1, 2, 5]).pvalue
    )
    assert found.interval == (pytest.approx(2), pytest.approx(4))  # the extremes of three pairs


def test_a_second_run_on_one_data_set_leaves_a_comparison_in_pairs_of_means():
    mixed = (((1.0,), (3.0,)), ((2.0, 3.0), (6.0, 7.0)), ((5.0,), (8.0,)))
    found = effects.effect(mixed)
    assert found.size == 3
    assert found.p == pytest.approx(scipy.stats.ttest_rel([3, 6.5, 8], [1, 2.5, 5]).pvalue)


@pytest.mark.parametrize("mine", [(200.0, math.nan, 210.0), (math.nan,), (math.inf, 200.0)])
def test_a_score_that_is_no_number_decides_nothing(mine):
    others = runs_of("base", 250, 251, 252) + runs_of("sagan", 300, 301, 302)
    records = runs_of(FULL, *mine) + others
    judged = decide(records, better=dict(row=FULL, than=["base"]))
    assert judged.verdict == verdicts.UNDECIDED and judged.comparisons[0].p is None
    assert decide(records, as_near_as_real=dict(row=FULL)).verdict == verdicts.UNDECIDED
    steadier = dict(row=FULL, than="base")
    assert decide(records, steadier=steadier).verdict in (verdicts.UNDECIDED, verdicts.UNTESTED)
    one, other = claim_of(FULL, "base")(records), claim_of("base", "sagan")(records)
    corrected = claims.corrected([one, other])[1].ours.comparisons[0]
    assert corrected.corrected_p == corrected.p  # it is the only test


def test_runs_without_any_spread_decide_nothing():
    def twice(row, fd):
        return [runs_of(row, fd)[0] | dict(device=f"{i}", name=f"{row} {i}") for i in range(3)]

    against = dict(row=FULL, than=["base"])
    for mine in (twice(FULL, 200), runs_of(FULL, 200)):
        judged = decide(mine + twice("base", 250), better=against)
        assert judged.verdict == verdicts.UNDECIDED and judged.comparisons[0].p is None
    steadier = dict(row=FULL, than="base")
    level = decide(twice(FULL, 200) + runs_of("base", 1, 2, 3), steadier=steadier)
    assert level.verdict == verdicts.UNDECIDED
    strata = tuple(((mine,), (mine + 1.0,)) for mine in (1.0, 2.0, 5.0))
    assert effects.effect(strata).p is None


def test_an_interval_is_the_same_at_every_call_and_follows_its_seed():
    strata = (((200.0, 210.0, 205.0), (215.0, 226.0, 209.0)),)
    again = effects.effect.__wrapped__
    assert again(strata, 0) == again(strata, 0)
    assert again(strata, 0).p == again(strata, 1).p
    low, high = again(strata, 0).interval
    assert 209 - 210 <= low < 11.67 < high <= 226 - 200  # within what any drawing can give


def test_holms_correction_of_a_worked_example():
    """Of 0.01, 0.04, 0.03, 0.005: 4 x 0.005, 3 x 0.01, 2 x 0.03, and 0.06 again, not 0.04."""
    assert verdicts.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert verdicts.holm([0.9, 0.8]) == [1.0, 1.0]
    assert verdicts.holm([]) == []


def claim_of(row, *than, **controls):
    """Return what is found about "row is ahead of than", by its records, before any correction."""

    def found(records):
        by_row = claims.by_name(records, "cpu")
        ours = claims_measured.better(by_row, row, list(than))
        others = {name: claims_measured.better(by_row, *rows) for name, rows in controls.items()}
        return claims.Judged(1, dict(claim="c", where="w"), None, ours, others)

    return found


def test_a_claim_is_held_only_by_its_corrected_p():
    """p = 0.02 alone is held; among three tests it is 0.06, and undecided."""
    records = runs_of(FULL, 200, 210, 205) + runs_of("base", 219, 222, 216)
    records += runs_of("sagan", 206, 209, 203) + runs_of("base with T", 207, 201, 210)
    one = claim_of(FULL, "base")(records)
    assert one.ours.comparisons[0].p < 0.05 and one.verdict == verdicts.HELD
    assert claims.corrected([one])[0].verdict == verdicts.HELD
    others = [claim_of(FULL, name)(records) for name in ("sagan", "base with T")]
    first, *_ = claims.corrected([one, *others])
    assert first.verdict == verdicts.UNDECIDED
    assert first.ours.comparisons[0].corrected_p == pytest.approx(3 * one.ours.comparisons[0].p)


def test_a_test_that_two_claims_share_is_counted_once():
    records = runs_of(FULL, 200, 210, 205) + runs_of("base", 219, 222, 216)
    twice = claims.corrected([claim_of(FULL, "base")(records)] * 2)
    assert twice[0].ours.comparisons[0].corrected_p == twice[0].ours.comparisons[0].p


def test_a_claim_is_not_held_where_a_control_contradicts_it():
    records = runs_of(FULL, 200, 201, 202) + runs_of("base", 300, 301, 302)
    behind = runs_of("base with T", 100, 101, 102)
    rows = (FULL, ["base with T"])
    bounded = claim_of(FULL, "base", fair=rows)(records + behind)
    assert bounded.ours.verdict == verdicts.HELD and bounded.verdict == verdicts.UNDECIDED
    assert [line.decided for line in claims.forest_rows([bounded])] == [False, True]
    level = claim_of(FULL, "base", fair=rows)(records + runs_of("base with T", 199, 201, 203))
    assert level.controls["fair"].verdict == verdicts.UNDECIDED and level.verdict == verdicts.HELD


def test_a_claim_to_be_ahead_of_all_is_drawn_by_the_rival_that_decides_it():
    records = runs_of(FULL, 200, 201, 202) + runs_of("base", 300, 301, 302)
    one = claim_of(FULL, "base", "sagan")(records + runs_of("sagan", 203, 202, 201))
    (line,) = claims.forest_rows([one])
    assert line.effect == pytest.approx(1.0) and "sagan" in line.name and not line.decided


def few_of(model, n, fd, data="covid-ct", auc=0.5, seed=0):
    """Return a record of a training on n images; `fd` is its FD against held-out images."""
    e = replace(dict(few_images("cpu"))[f"{model} on {n} images of {data}"], seed=seed)
    scores = dict(extractor="x", resize="r", n_real=80, n_fake=80, floor=40.0, kid=fd / 1000)
    return dict(
        name=f"{model} {n} {data} {seed}",
        device="gpu",
        experiment=e.to_dict(),
        data=dict(name=data, fingerprint=data, n=397, n_heldout=80),
        metrics=scores | dict(fd=1.0, n_real=n, n_fake=n),
        heldout=dict(
            metrics=scores | dict(fd=fd, fd_at_floor_n=fd),
            gap=dict(training=0.6, heldout=0.5, auc=auc),
        ),
    )


def test_few_images_are_judged_by_held_out_images_and_stand_in_a_table_of_their_own():
    records = []
    for n, mine, other in ((50, 210, 230), (100, 205, 224), (200, 200, 221)):
        records += [few_of("hagan", n, mine), few_of("base with T", n, other, auc=0.9)]
    places = [f"{n} images of covid-ct" for n in (50, 100, 200)]
    judged = decide(records, better_on_average=dict(row="hagan", than="base with T", over=places))
    assert judged.verdict == verdicts.HELD and judged.comparisons[0].effect == pytest.approx(20)
    assert judged.comparisons[0].both_with_t
    table = tables.few_images(few_images("cpu"), records)
    assert table["training images"].tolist() == [50, 50, 100, 100, 200, 200]
    assert table["FD, held out"].tolist() == [210, 230, 205, 224, 200, 221]
    assert set(table.loc[table["model"] == "base with T", "D's AUC"]) == {0.9}
    again = tables.few_images(few_images("cpu"), [*records, few_of("hagan", 50, 230, seed=1)])
    assert again["training images"].tolist() == table["training images"].tolist()
    assert tuple(again.loc[0, ["FD, held out", "FD of each run"]]) == (220, "210.0, 230.0")
    assert tables.table_2(records).empty
    lacking = decide(
        records[1:], better_on_average=dict(row="hagan", than="base with T", over=places)
    )
    assert lacking.verdict == verdicts.UNTESTED and "hagan on 50 images" in lacking.because


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
        ([slow] * 3, [slow] * 3, verdicts.UNDECIDED),
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


@pytest.mark.parametrize(
    ("chances", "verdict"),
    [
        ((0.2, 0.04), verdicts.UNDECIDED),
        ((0.0003, 0.0001), verdicts.NOT),
        ((0.2, 0.0001), verdicts.UNDECIDED),
        ((), verdicts.UNTESTED),
    ],
)
def test_shifts_contradict_the_papers_where_its_examples_are_rare_under_every_runs_own_map(
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
    received = runs_of("hagan, received map", 200, figure_7=dict(output=0.2, received=0.0001))
    assert (
        decide(received, shifts_like_the_papers=dict(row="hagan, received map")).verdict
        == verdicts.NOT
    )


def test_records_of_the_earlier_protocol_decide_nothing():
    test = dict(row=FULL, than=["base"])
    earlier = runs_of(FULL, 200, 201, 202, **EARLIER) + runs_of("base", 250, 251, 252, **EARLIER)
    assert decide(earlier, better=test).verdict == verdicts.UNTESTED
    present = runs_of(FULL, 300, 301, 302) + runs_of("base", 250, 251, 252)
    assert decide(earlier + present, better=test).verdict == verdicts.NOT
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


LOSES = dict(data="covid-ct", model="dcgan", of=list(PAPERS_MODELS))
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


def test_growth_is_compared_with_the_models_that_the_claim_names():
    records = at_both_sizes("dcgan", (200, 201, 202), (300, 301, 302))
    records += at_both_sizes("wgan", (200, 201, 202), (210, 211, 212))
    records += at_both_sizes("ddpm", (200, 201, 202), (400, 401, 402))
    assert decide(records, loses_more=LOSES | dict(of=["dcgan", "wgan"])).verdict == verdicts.HELD
    assert decide(records, loses_more=LOSES).verdict == verdicts.NOT


def test_runs_on_few_images_stay_out_of_the_spread_of_runs_on_all():
    """They are scored against other images, so that they scatter otherwise."""
    records = runs_of(FULL, 200, 202) + runs_of("base", 250, 252)
    few = [few_of("hagan", 50, fd) for fd in (100, 700)]
    for seed, record in enumerate(few):
        record["experiment"] = record["experiment"] | dict(seed=seed)
        record["data"] = record["data"] | dict(fingerprint="f")
    by_row = claims.by_name(records + few, "cpu")
    assert len(by_row["hagan on 50 images of covid-ct"]) == 2
    assert claims_measured.spread(by_row, records[0]) == (pytest.approx(2**0.5), 2)


def test_what_the_paper_contradicts_itself_on_is_found():
    """reading.md, "What the paper contradicts itself on"."""
    table = claims.ledger([]).set_index("claim")["in the paper's own numbers"]
    wrong = {claim for claim, said in table.items() if said.startswith("does not agree")}
    parts = ("more than 12", "240.331", "ranks third", "more than six times")
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
    every = {name for name, _ in claims.rows("cpu") + few_images("cpu")}
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
                if "over" in arguments:
                    named = {f"{row} on {place}" for row in named for place in arguments["over"]}
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
    evaluated_again = one | dict(metrics=one["metrics"] | dict(fd=200.002))
    (kept,) = claims.by_name([one, evaluated_again], "cpu")["base"]
    assert runs.distance_of(kept) == 200.002  # the later one counts
    elsewhere = one | dict(metrics=one["metrics"] | dict(fd=210))
    assert len(claims.by_name([one, elsewhere], "cpu")["base"]) == 2


def test_a_comparison_says_whether_both_sides_have_t():
    records = runs_of(FULL, 200, 201) + runs_of("base", 300, 301) + runs_of("base with T", 300, 301)
    judged = decide(records, better=dict(row=FULL, than=["base", "base with T"]))
    assert [comparison.both_with_t for comparison in judged.comparisons] == [False, True]


def test_steadier_is_two_sided():
    """Variances of 2500 and 10000: F(2, 2) is above 4 in one case of five, on either side."""
    records = runs_of("+ reverse skip", 150, 200, 250)
    records += runs_of("+ AttnMix generator", 100, 200, 300)
    test = dict(row="+ reverse skip", than="+ AttnMix generator")
    assert decide(records, steadier=test).comparisons[0].p == pytest.approx(2 / 5)


def test_sooner_is_below_the_others_last_score_not_its_best():
    mine, other = dict(step=[400, 800], fd=[240.0, 230.0]), dict(step=[400, 800], fd=[200.0, 250.0])
    records = runs_of("+ reverse skip", *[230] * 3, curve=mine)
    records += runs_of("+ AttnMix generator", *[250] * 3, curve=other)
    test = dict(row="+ reverse skip", than="+ AttnMix generator")
    assert decide(records, sooner=test).verdict == verdicts.HELD


@pytest.mark.parametrize("at_256", [(221, 222, 223, 120, 121, 122), (221, 223, 225, 120, 122, 124)])
def test_growths_are_told_apart_by_the_spread_of_means_at_each_size(at_256):
    """Three runs each, standard deviations of 1 at 64, of 1 or 2 at 256; 4 degrees at each size."""
    records = at_both_sizes("dcgan", (200, 201, 202), at_256[:3])
    records += at_both_sizes("wgan", (100, 101, 102), at_256[3:])
    (growth,) = decide(records, loses_more=LOSES | dict(of=["dcgan", "wgan"])).comparisons
    small, large = 2 / 3, 2 / 3 * (at_256[1] - at_256[0]) ** 2
    freedom = (small + large) ** 2 / (small**2 / 4 + large**2 / 4)
    expected = 2 * scipy.stats.t.sf(1 / (small + large) ** 0.5, freedom)
    assert growth.effect == 1 and growth.p == pytest.approx(expected)


@pytest.mark.parametrize(("fd", "verdict"), [(39, verdicts.HELD), (40, verdicts.NOT)])
def test_as_near_as_real_is_judged_at_the_floors_n_and_two_deviations(fd, verdict):
    """At the floor's n FD is 5 higher; the floor is 40 and a deviation 2."""
    assert decide(runs_of(FULL, fd), as_near_as_real=dict(row=FULL)).verdict == verdict


def test_runs_that_differ_by_half_a_percent_are_two():
    (one,) = runs_of("base", 200)
    other = one | dict(metrics=one["metrics"] | dict(fd=201.0))
    assert len(claims.by_name([one, other], "cpu")["base"]) == 2


@pytest.mark.parametrize("other", [dict(resize="another"), dict(n_fake=8), dict(n_real=8)])
def test_runs_that_were_measured_otherwise_never_get_into_a_mean(other):
    mine = runs_of("base", 200, 210, 205)
    others = [r | dict(metrics=r["metrics"] | other) for r in runs_of("base", 1, 2)]
    for records in (mine + others, others + mine):
        of_base = claims.by_name(records, "cpu")["base"]
        assert [runs.distance_of(r) for r in of_base] == [200, 210, 205]


def test_as_near_as_real_is_judged_by_the_widest_deviation_of_a_run():
    """At the floor's n FD is 46, the floor is 40, and two runs deviate by 1 and by 3."""
    records = runs_of(FULL, 41, 41)
    for record, sd in zip(records, (1.0, 3.0), strict=True):
        record["metrics"] = record["metrics"] | dict(fd_at_floor_n_sd=sd)
    assert decide(records, as_near_as_real=dict(row=FULL)).verdict == verdicts.HELD


def test_two_runs_of_one_seed_on_few_images_are_one_seed():
    one = few_of("hagan", 50, 210)
    other = few_of("hagan", 50, 230) | dict(device="another")
    row = tables.few_images(few_images("cpu"), [one, other]).iloc[0]
    assert (row["seeds"], row["FD, held out"]) == (1, 220)


def test_of_a_claims_parts_one_that_failed_counts_most_then_one_that_nobody_could_test():
    order = [verdicts.NOT, verdicts.UNTESTED, verdicts.UNDECIDED, verdicts.HELD]
    assert [verdicts.worst(order[i:][::-1]) for i in range(4)] == order
