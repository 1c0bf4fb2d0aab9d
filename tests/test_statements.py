"""Sentences about results, in docs/, README.md and the lessons, are what the records say.

A test that fails after a record was added names the sentences to write anew.
"""

import itertools

import numpy as np
import pytest
import torch
from scipy import stats

from hagan_lite import runs
from hagan_lite.attnmix import box_masks
from hagan_lite.datasets.loading import load_for
from hagan_lite.datasets.pixels import from_uint8
from hagan_lite.evaluation import branches
from hagan_lite.evaluation.figure7 import READINGS, p_value
from hagan_lite.lessons.pretrained import load_pretrained
from hagan_lite.report import (
    budgets,
    claims,
    claims_measured,
    effects,
    experiments,
    tables,
    verdicts,
    watched,
)
from hagan_lite.report.experiments import EARLIER, ladder, rows_of
from hagan_lite.runs.record import distance_of

FULL = "+ training strategy = hagan"
RIVALS = ("sagan with T", "base with T")
BARE = {"base": "base", "sagan": "sagan without flips"}
"""Rows with no augmentation at all, by the model that has a row with T, too."""


def mean(of_row):
    scores = [distance_of(r) for r in of_row]
    return sum(scores) / len(scores)


@pytest.fixture
def present(records):
    return runs.by_row(ladder("covid-ct", "cpu"), records)


@pytest.fixture
def earlier(records):
    return runs.by_row(ladder("covid-ct", "cpu", **EARLIER), records)


def fid_768(of_row):
    return [r["also"]["inception-768"]["fid768"] for r in of_row if "also" in r]


def fd(of_row):
    return list(map(distance_of, of_row))


def kid(of_row):
    return [r["metrics"]["kid"] for r in of_row]


def of_pair(rows, row, rival):
    (comparison,) = claims_measured.better(rows, row, [rival]).comparisons
    return comparison


def test_given_t_the_rivals_are_level_with_hagan_and_without_it_sagan_is_far_behind(present):
    """Results: "In short", "Table IV"; lessons 13, 15 and 17."""
    sd, _ = claims_measured.spread(present, present[FULL][0])
    for rival in RIVALS:
        level = of_pair(present, FULL, rival)
        assert level.verdict == verdicts.UNDECIDED and abs(level.effect) < sd
    for row in (FULL, "sagan with T"):
        ahead = of_pair(present, row, "sagan")
        assert ahead.p < 0.001 and ahead.effect > 3 * sd


def test_t_alone_lowers_fd_in_the_base_model(records):
    """Results: "In short" and "Table IV"; lessons 05 and 17."""
    (of_t,) = [one for one in claims.judged(records) if "Differentiable" in one.claim["claim"]]
    assert of_t.verdict == verdicts.HELD
    # In HAGAN p is just above the level once it is corrected; in SAGAN it is larger.
    assert {c.verdict for c in of_t.controls.values()} == {verdicts.UNDECIDED}
    in_hagan, in_sagan = (c.comparisons[0] for c in of_t.controls.values())
    assert 0.05 < in_hagan.corrected_p < 0.07 < in_sagan.corrected_p
    assert in_sagan.p < 0.02


def test_sagans_lead_with_t_is_partly_the_harm_of_flips_and_shifts(present):
    """Results: "In short" and "Table IV"."""
    bare, flipped, with_t = (
        present[name] for name in ("sagan without flips", "sagan", "sagan with T")
    )
    assert mean(with_t) + 30 < mean(bare) < mean(flipped) - 20
    for rival in ("base", "hagan without T"):
        assert of_pair(present, "sagan without flips", rival).p > 0.1
    for name, bare_name in (("base with flips", "base"), ("sagan", "sagan without flips")):
        assert of_pair(present, bare_name, name).effect > 20


def test_no_part_but_t_shows_in_the_ladder(present):
    """Results: "Table IV"; lessons 15 and 17."""
    steps = ["+ AttnMix generator", "+ reverse skip", "+ hierarchical discriminator", FULL]
    for above, row in itertools.pairwise(steps):
        assert of_pair(present, row, above).verdict == verdicts.UNDECIDED
    for name in present:
        if name.startswith("hagan, "):
            assert of_pair(present, FULL, name).verdict == verdicts.UNDECIDED
    assert of_pair(present, FULL, "hagan without T").p < 0.01
    for bare in ("hagan without T", "+ AttnMix generator, no T yet", "+ reverse skip, no T yet"):
        assert of_pair(present, bare, "base").verdict == verdicts.UNDECIDED
    assert of_pair(present, "base", "base with flips").effect > 20


def test_more_runs_did_not_confirm_the_received_maps_lower_fd(records, present):
    """Results: "The map" and "More steps"; lesson 15."""
    name = "hagan, received map"
    first = [r for r in present[name] if r["experiment"]["seed"] < 10]
    assert len(first) == 3 and of_pair(present | {name: first}, FULL, name).p < 0.01
    assert of_pair(present, FULL, name).p > 0.1 and mean(present[name]) < mean(present[FULL])
    longer = runs.by_row(ladder("covid-ct", "cpu", steps=experiments.LONGER), records)
    assert mean(longer[name]) > mean(longer[FULL])
    order = sorted(longer, key=lambda row: mean(longer[row]))
    assert order[:2] == ["base with T", FULL]


def test_hagan_is_ahead_of_no_rival_with_t_at_any_budget(records):
    """Results: "In short" and the table of budgets; README; lesson 17."""
    compared = budgets.compared_budgets(records)
    assert compared and not [b for b in compared if b.comparison.verdict == verdicts.HELD]
    smallest = min(compared, key=lambda b: b.comparison.p if b.comparison.p is not None else 1)
    assert (smallest.data, smallest.rival) == ("acdc", "sagan with T")
    effect = {(b.data, b.preset, b.steps, b.rival): b.comparison.effect for b in compared}
    assert effect["covid-ct", "cpu", 3000, "base with T"] < 0
    assert effect["covid-ct", "cpu", 3000, "sagan with T"] > 0
    assert max(effect["acdc", "cpu", 3000, rival] for rival in RIVALS) < 0
    assert abs(effect["covid-ct", "paper", 13_000, "sagan with T"]) < 10
    assert 15 < effect["covid-ct", "paper", 13_000, "base with T"] < 30


def test_at_the_preset_paper_the_models_with_attention_lead_from_step_2600_on(records):
    """Results: "More steps"."""
    rows = ladder("covid-ct", "paper")
    (hagan,), (sagan,), (base,) = (
        runs.by_row(rows, records)[name] for name in (FULL, "sagan with T", "base with T")
    )
    places = zip(*(r["curve"]["fd"] for r in (hagan, sagan, base)), strict=True)
    for step, (of_hagan, of_sagan, of_base) in zip(hagan["curve"]["step"], places, strict=True):
        if step >= 2600:
            assert of_hagan < of_base and of_sagan < of_base + 0.5


def test_at_256_pixels_hagan_is_ahead_of_sagan_with_t_and_behind_u_net_gan(records):
    """Results: "Table III"; lessons 14 and 17."""
    rivals = runs.by_row(experiments.with_rivals("table3", "covid-ct", "cpu"), records)
    lead = of_pair(rivals, "hagan", "sagan with T")
    assert lead.verdict == verdicts.UNDECIDED and lead.effect > 50 and lead.runs == (2, 2)
    ahead, behind = sorted(map(distance_of, rivals["dcgan"]))
    assert ahead < min(map(distance_of, rivals["hagan"])) and behind - ahead > 85
    assert behind > max(map(distance_of, rivals["hagan"]))
    every = [r for of_row in rivals.values() for r in of_row]
    unetgan = rivals["unetgan"]
    assert len(unetgan) == 2 and of_pair(rivals, "unetgan", "hagan").p > 0.05
    assert max(map(distance_of, unetgan)) < min(map(distance_of, rivals["hagan"]))
    assert max(fid_768(unetgan)) < min(fid_768(rivals["hagan"]))
    assert mean(unetgan) == min(map(mean, rivals.values()))
    means = {name: sum(fid_768(of_row)) / len(of_row) for name, of_row in rivals.items()}
    assert means["unetgan"] == min(means.values())
    last, of_wgan = fid_768(rivals["ddpm"])[0], fid_768(rivals["wgan"])[0]
    assert sorted(fid_768(every))[-2:] == [of_wgan, last]
    assert round(tables.start_of(every[0])) == 521 > max(map(distance_of, every))
    assert min(map(distance_of, every)) > 5 * every[0]["metrics"]["floor"]
    low, high = sorted(map(distance_of, rivals["hagan"]))
    between, last = sorted(map(distance_of, rivals["sagan"]))
    assert low < between < high < last
    assert high < min(map(distance_of, rivals["sagan with T"]))
    one, other = map(distance_of, rivals["base with T"])
    assert abs(mean(rivals["base with T"]) - mean(rivals["hagan"])) < 5 and one - other > 70
    ahead = {name for name, fid in means.items() if fid < means["hagan"]}
    assert ahead == {"unetgan", "infogan", "base with T", "sagan"}
    acdc = runs.by_row(experiments.with_rivals("table3", "acdc", "cpu"), records)
    lead_too = of_pair(acdc, "hagan", "sagan with T")
    assert lead_too.verdict == verdicts.UNDECIDED and lead_too.runs == (3, 3)
    assert round(lead_too.effect) == 43
    hagan, sagan = (fid_768(acdc[name]) for name in ("hagan", "sagan with T"))
    assert sum(hagan) > sum(sagan)
    (base,), (dcgan,) = acdc["base with T"], acdc["dcgan"]
    low, middle, _ = sorted(map(distance_of, acdc["hagan"]))
    assert low < distance_of(base) < middle
    assert fid_768([base])[0] < min(hagan + sagan + fid_768([dcgan]) + fid_768(acdc["sagan"]))
    assert abs(distance_of(dcgan) - mean(acdc["hagan"])) < 5
    (infogan,), (unetgan_too,) = acdc["infogan"], acdc["unetgan"]
    assert 5 < mean(acdc["hagan"]) - distance_of(infogan) < 20
    all_of_acdc = [r for of_row in acdc.values() for r in of_row]
    assert distance_of(unetgan_too) == max(map(distance_of, all_of_acdc))
    assert fid_768(acdc["wgan"])[0] == max(fid_768(all_of_acdc))
    before = runs.by_row(rows_of("table3", "covid-ct", "cpu", **EARLIER), records)
    assert mean(before["sagan"]) - mean(before["hagan"]) > lead.effect


def welch(of_row, rival, score):
    return stats.ttest_ind(score(of_row), score(rival), equal_var=False)


def test_fid_768_sees_t_in_the_base_and_sagan_and_ranks_hagan_behind_three_variants(present):
    """Results: "Table IV" and "FID and FID-768"."""
    means = {name: np.mean(fid_768(of_row)) for name, of_row in present.items()}
    shown = {name: round(means[name], 2) for name in ("base", "base with T", "base with flips")}
    assert shown == {"base": 1.14, "base with T": 1.06, "base with flips": 1.56}
    assert round(means["hagan without T"], 2) == 1.12 and round(means[FULL], 2) == 1.08
    assert 0.008 < welch(present["base with T"], present["base"], fid_768).pvalue < 0.01
    assert welch(present[FULL], present["hagan without T"], fid_768).pvalue > 0.19
    of_sagan = ("sagan without flips", "sagan with T", "sagan")
    assert [round(means[name], 2) for name in of_sagan] == [1.16, 1.04, 1.55]
    bare, with_t, flipped = (present[name] for name in of_sagan)
    assert round(welch(with_t, bare, fid_768).pvalue, 2) == 0.03
    assert welch(bare, flipped, fid_768).pvalue < 0.001
    assert welch(present["base"], present["base with flips"], fid_768).pvalue < 0.0003
    variants = ("hagan, no pixel branch", "+ hierarchical discriminator", "hagan, received map")
    for variant in variants:
        assert means[variant] < means[FULL]
        assert 0.02 < welch(present[variant], present[FULL], fid_768).pvalue < 0.05
    several = [name for name, of_row in present.items() if len(of_row) > 1]
    with_t = [name for name in several if present[name][0]["experiment"]["augment"]]
    for rows, correlation in ((several, 0.92), (with_t, 0.65)):
        ranked = [mean(present[name]) for name in rows], [means[name] for name in rows]
        assert round(stats.spearmanr(*ranked).statistic, 2) == correlation


def test_level_leaves_room_for_a_lead_of_about_twenty(records, present):
    """Results: below "In short"."""

    def room(rows, row, rival):
        return welch(rows[rival], rows[row], fd).confidence_interval()

    most = {}
    for rival in RIVALS:
        interval = room(present, FULL, rival)
        most[rival] = interval.high
        assert -24 < interval.low < -17 < 17 < interval.high < 24
    assert round(most["base with T"]) == 18 and round(most["sagan with T"]) == 23
    lgg = runs.by_row(ladder("lgg", "cpu"), records)
    larger = runs.by_row(experiments.with_rivals("table3", "covid-ct", "cpu"), records)
    for rival in RIVALS:
        assert room(lgg, FULL, rival).high > 25
        assert room(larger, "hagan", rival).high > 25


def test_precision_and_recall_are_those_of_early_training(records):
    """Results: "How to read a table"."""
    measured = [r for r in records if "precision" in r["metrics"]]
    early = [r for r in measured if r["experiment"]["steps"] == 800]
    large = [r for r in measured if r["experiment"]["size"] == 256]
    assert early and large
    assert max(r["metrics"]["precision"] for r in early) < 0.15
    assert max(r["metrics"]["recall"] for r in early) < 0.01
    assert max(max(r["metrics"][name] for name in ("precision", "recall")) for r in large) == 0
    floors = [r["metrics"][f"{name}_floor"] for r in early for name in ("precision", "recall")]
    assert min(floors) > 0.7


def test_t_would_be_held_with_the_shared_seeds_alone(records, present):
    """Claims: "What to be wary of"."""
    seeds = {name: {r["experiment"]["seed"] for r in present[name]} for name in present}
    shared = seeds["base"] & seeds["base with T"]
    assert len(shared) == 6
    few = present | {"base": [r for r in present["base"] if r["experiment"]["seed"] in shared]}
    pair = of_pair(few, "base with T", "base")
    assert round(pair.effect, 1) == 41.1 and 0.0002 < pair.p < 0.0003
    assert pair.p * 60 < 0.05  # Holm multiplies by at most the number of tests; they are fewer
    findings = [f for one in claims.judged(records) for f in (one.ours, *one.controls.values())]
    assert len({c.key for f in findings for c in f.comparisons if c.p is not None}) < 60


def test_welchs_test_is_weak_with_two_runs(records):
    """Results: "Table II" and "Table III"."""
    rows = runs.by_row(experiments.with_rivals("table2", "covid-ct", "cpu"), records)
    hagan, both = (list(map(distance_of, rows[name])) for name in ("hagan", "unetgan"))
    assert len(hagan) == 8 and len(both) == 2 and min(both) - max(hagan) > 57
    p = stats.ttest_ind(hagan, both, equal_var=False).pvalue
    assert max(stats.ttest_ind(hagan, [one]).pvalue for one in both) < p
    larger = runs.by_row(experiments.with_rivals("table3", "covid-ct", "cpu"), records)
    assert round(of_pair(larger, "unetgan", "hagan").p, 2) == 0.26


def test_an_interval_covers_the_difference_less_often_than_it_says():
    """Claims: "How to read the numbers"."""
    rng = np.random.default_rng(0)
    for few, others, expected in ((2, 2, 0.67), (3, 3, 0.80), (4, 4, 0.86), (8, 6, 0.90)):
        draws = [(tuple(rng.normal(size=few)), tuple(rng.normal(size=others))) for _ in range(300)]
        intervals = [effects.effect((sides,)).interval for sides in draws]
        covered = np.mean([low <= 0 <= high for low, high in intervals])
        assert abs(covered - expected) < 0.06


def test_what_held_and_what_did_not_are_mostly_counts(records):
    """Claims: "How to read the numbers"."""
    judged = claims.judged(records)
    kinds = {}
    for verdict in (verdicts.HELD, verdicts.NOT):
        kinds[verdict] = [next(iter(j.claim["ours"])) for j in judged if j.verdict == verdict]
    counts = {"free_of_cost", "same_discriminator", "least", "times_the_parameters"}
    assert sum(kind in counts for kind in kinds[verdicts.HELD]) == 1
    assert len(kinds[verdicts.HELD]) == 2
    (other,) = [kind for kind in kinds[verdicts.NOT] if kind not in counts]
    assert len(kinds[verdicts.NOT]) == 6 and other == "as_near_as_real"


def test_rivals_without_t_are_up_to_143_behind(records):
    """Lesson 17: "Predict first"."""
    means = {}
    for data in ("covid-ct", "acdc", "lgg"):
        rows = runs.by_row(rows_of("table2", data, "cpu"), records)
        means[data] = {model: mean(of_row) for model, of_row in rows.items()}
    behind = [fd - of["hagan"] for of in means.values() for fd in of.values()]
    assert round(max(behind)) == 143


def test_on_acdc_fid_768_alone_shows_t_and_on_lgg_every_run_without_it_is_behind(records):
    """Results: "ACDC" and "LGG"; lessons 13 and 17."""
    acdc = runs.by_row(ladder("acdc", "cpu"), records)
    assert of_pair(acdc, FULL, "sagan").verdict == verdicts.UNDECIDED
    of_t = {name: of_pair(acdc, f"{name} with T", BARE[name]) for name in BARE}
    assert [round(of_t[name].effect) for name in ("base", "sagan")] == [17, 6]
    assert min(comparison.p for comparison in of_t.values()) > 0.1
    assert abs(of_pair(acdc, "base", "base with flips").effect) < 15
    assert of_pair(acdc, "sagan", "base with flips").effect > 20
    with_t = [fid for name in (FULL, *RIVALS) for fid in fid_768(acdc[name])]
    without = [*BARE.values(), "base with flips", "sagan"]
    of_without = {name: fid_768(acdc[name]) for name in without}
    assert max(with_t) < min(itertools.chain(*of_without.values()))
    assert {round(np.mean(of_row), 1) for of_row in of_without.values()} == {1.5, 1.6, 1.7}
    for (name, bare), p in zip(BARE.items(), (0.01, 0.04), strict=True):
        assert welch(acdc[f"{name} with T"], acdc[bare], kid).pvalue > 0.2
        assert round(welch(acdc[f"{name} with T"], acdc[bare], fid_768).pvalue, 2) == p
    flipped, bare, with_t = (acdc[name] for name in ("sagan", BARE["sagan"], "sagan with T"))
    assert [round(mean(of_row)) for of_row in (flipped, bare, with_t)] == [243, 265, 259]
    kids = [kid(of_row) for of_row in (flipped, bare, with_t)]
    assert [round(np.mean(scores), 2) for scores in kids] == [0.42, 0.48, 0.49]
    assert max(kids[0]) < min(kids[2])
    p_of_flips = of_pair(acdc, "sagan", BARE["sagan"]).p, welch(flipped, bare, kid).pvalue
    assert [float(f"{p:.1g}") for p in p_of_flips] == [0.09, 0.05]
    for rival, least, most in (("sagan with T", 0.005, 0.01), ("base with T", 0.03, 0.05)):
        hagan, other = acdc[FULL], acdc[rival]
        assert sum(kid(hagan)) < sum(kid(other))
        assert least < welch(hagan, other, kid).pvalue < most
        assert welch(hagan, other, fid_768).pvalue > 0.2
    assert abs(of_pair(acdc, "sagan with T", "base with T").effect) < 15
    lgg = runs.by_row(ladder("lgg", "cpu"), records)
    models = runs.by_row(rows_of("table2", "lgg", "cpu"), records)
    with_t = [lgg[name] for name in (FULL, *RIVALS)]
    without = [of_row for name, of_row in models.items() if name != "hagan"]
    worst = max(distance_of(r) for of_row in with_t for r in of_row)
    without += [lgg[name] for name in BARE.values()]
    assert len(without) == 8 and worst < min(distance_of(r) for of in without for r in of)
    for name, p in (("base", 0.004), ("sagan", 0.0004)):
        of_t = of_pair(lgg, f"{name} with T", BARE[name])
        assert of_t.effect > 50 and float(f"{of_t.p:.1g}") == p
        assert max(fid_768(lgg[f"{name} with T"])) > min(fid_768(lgg[BARE[name]]))
    assert abs(of_pair(lgg, "sagan", BARE["sagan"]).effect) < 25
    assert abs(of_pair(lgg, "base", "base with flips").effect) < 20
    for rival in RIVALS:
        assert of_pair(lgg, FULL, rival).verdict == verdicts.UNDECIDED
        assert mean(lgg[rival]) + 50 < mean(lgg["sagan"])


def test_after_3000_steps_on_acdc_both_rivals_with_t_end_below_hagan(records):
    """Results: "ACDC"."""
    rivals = experiments.fair_rivals("acdc", "cpu", steps=experiments.LONGER)
    ((hagan,), *others) = runs.by_row(rivals, records).values()
    for scores in (fd, kid, fid_768):
        assert scores([hagan]) > max(map(scores, others))
    sagan, base = (r for (r,) in others)
    assert [round(distance_of(r)) for r in (hagan, sagan, base)] == [250, 228, 183]
    seed_10 = dict(experiments.fair_rivals("acdc", "cpu", seed=10))["hagan"]
    (sooner,) = [r for r in records if r["experiment"] == seed_10.to_dict()]
    assert distance_of(sooner) < distance_of(hagan) and fid_768([sooner]) > fid_768([hagan])
    assert (hagan["experiment"]["seed"], sagan["experiment"]["seed"]) == (10, 10)
    for record, turn in ((hagan, 1200), (sagan, 1500)):
        at = dict(zip(record["curve"]["step"], record["curve"]["fd"], strict=True))
        assert abs(at[3000] - at[turn]) < 2 and at[1800] - at[turn] > 20
    falls = np.diff(base["curve"]["fd"])
    assert max(falls) < 1


def test_the_audit_of_other_data_sets_suspects_copies_in_pixels_and_never_in_features(records):
    """Results: "ACDC" and "LGG"."""
    others = [r for r in records if r["data"]["name"] in ("acdc", "lgg")]
    said = tables.audits([r for r in others if r["experiment"]["size"] == 64])
    suspected = said["verdict"].str.startswith("suspicious")
    in_pixels = suspected[said["space"] == "pixels"]
    assert in_pixels.mean() > 0.8 and in_pixels[said["model"] == "hagan"].all()
    assert not suspected[said["space"] != "pixels"].any()


def test_the_audit_suspects_none_of_the_seven_models(records):
    """Results: "Table II"."""
    measured = runs.by_row(rows_of("table2", "covid-ct", "cpu"), records)
    said = tables.audits([r for of_model in measured.values() for r in of_model])
    assert set(said["model"]) == set(experiments.PAPERS_MODELS)
    assert not said["verdict"].str.startswith("suspicious").any()


def test_the_rank_test_alone_cannot_tell_of_copies_in_the_space_of_features(records):
    """Results: "More about one run", "Preset paper"; records say so since the power is right."""
    said = tables.audits(records).dropna(subset="power")
    of_one_test = said[said["p_nearest"].isna()]
    in_features = of_one_test[of_one_test["space"] != "pixels"]["verdict"]
    assert in_features.str.startswith("cannot tell").all()


def test_t_keeps_d_from_learning_its_images_by_heart_and_hagans_parts_soften_what_follows(records):
    """Results: "Does D learn its images by heart?"; lessons 05 and 17."""
    longest = watched.found(records, "cpu")[-1]
    assert (longest.images, longest.steps) == (317, experiments.LONGER)
    last = {
        name: [{k: v[-1] for k, v in run.items()} for run in of_name]
        for name, of_name in longest.runs.items()
    }
    assert {name: len(of_name) for name, of_name in last.items()} == {
        "base": 3,
        "hagan without T": 3,
        "base with T": 3,
        "hagan": 3,
    }
    for name in ("base with T", "hagan"):
        assert all(0.55 < scores["auc"] < 0.65 for scores in last[name])
    for name, low, high in (("base", 0.3, 0.45), ("hagan without T", 0.8, 0.9)):
        for run in longest.runs[name]:
            assert min(run["auc"][4:]) > 0.94
            late = [run["image"][run["step"].index(step)] for step in (2400, 2700)]
            assert low < min(late) and max(late) < high
    assert [round(scores["image"], 1) for scores in last["base"]] == [0.3, 0.7, 0.3]
    pixels = [scores["pixel"] for name in ("hagan", "hagan without T") for scores in last[name]]
    assert all(0.53 < chance < 0.71 for chance in pixels)
    rows = dict(experiments.watched("covid-ct", "cpu", steps=experiments.LONGER)).items()
    on_317 = [r for r in records if r["data"].get("n_train") == 317]
    of_row = runs.by_row(list(rows), on_317)
    fds = {name: [round(distance_of(r)) for r in of_name] for name, of_name in of_row.items()}
    assert (fds["base"], fds["hagan without T"]) == ([227, 196, 220], [194, 185, 182])
    assert (fds["base with T"], fds["hagan"]) == ([147, 143, 144], [145, 124, 119])
    left = {}  # of the FD after half of the steps, at the end
    for name, of_name in of_row.items():
        left[name] = [r["curve"]["fd"][-1] / r["curve"]["fd"][4] for r in of_name]
    *steady, by_a_fifth, by_two_fifths = left.pop("hagan")
    assert min(itertools.chain(steady, *left.values())) > 0.83
    assert 0.75 < by_a_fifth < 0.83 and 0.57 < by_two_fifths < 0.63
    ahead = np.subtract(fd(of_row["base with T"]), fd(of_row["hagan"]))
    assert [round(lead) for lead in ahead] == [2, 20, 24]
    for one, other, p in (("base", "hagan without T", 0.09), ("base with T", "hagan", 0.2)):
        assert float(f"{welch(of_row[one], of_row[other], fd).pvalue:.1g}") == p


def test_the_audit_in_pixels_suspects_the_trainings_on_the_fewest_images(records):
    """Results: "Few images"."""
    fewest = {"covid-ct": 50, "acdc": 100}
    few = [
        r for r in records if r["experiment"].get("n_train") == fewest.get(r["data"]["name"], -1)
    ]
    assert len(few) == 12
    said = tables.audits(few)
    in_pixels = said[said["space"] == "pixels"]["verdict"]
    assert in_pixels.str.startswith("suspicious").all()


def test_the_pixel_branch_ranks_five_to_seven_of_ten_pairs_of_pixels_correctly(records):
    """Lessons 15 and 17."""
    watched_over = [r.get("heldout", {}).get("over_training", {}) for r in records]
    last = [over["pixel"][-1] for over in watched_over if over.get("pixel")]
    assert len(last) >= 3 and min(last) > 0.5 and max(last) < 0.75


def test_the_reverse_skip_is_not_seen_to_make_the_training_faster(present):
    """Results: "The reverse skip and the speed of the training"; lesson 07."""
    skip, without = "+ reverse skip", "+ AttnMix generator"
    curves = [
        {r["experiment"]["seed"]: r["curve"] for r in present[row] if r.get("curve")}
        for row in (skip, without)
    ]
    assert curves[0].keys() == curves[1].keys() and len(curves[0]) == 3
    below = claims_measured._below_for_good
    assert not any(below(curves[0][seed], curves[1][seed])[0] for seed in curves[0])
    assert sum(below(curves[1][seed], curves[0][seed])[0] for seed in curves[0]) == 1
    ahead = of_pair(present, skip, without)
    assert round(ahead.effect) == 15 and round(ahead.p, 1) == 0.4


def test_labels_move_as_little_as_printed_far_more_often_under_the_output_map(records):
    """Results: "Figure 7, the label's shift"."""
    chances = [r["figure_7"] for r in records if "figure_7" in r]
    below = {map_: sum(p_value(c[map_]) < 0.05 for c in chances) for map_ in READINGS}
    assert below == dict(output=0, received=66)
    assert sum(c["received"] < c["output"] / 10 for c in chances) > 0.7 * len(chances)
    assert (sum(c["received"] > c["output"] for c in chances), len(chances)) == (4, 110)
    of_large = [r for r in records if "figure_7" in r and r["experiment"]["size"] == 256]
    assert len(of_large) == 5 and min(r["figure_7"]["output"] for r in of_large) > 0.955
    assert p_value(1.0) == 1  # a map that moves no label at all would pass


def test_d_in_hagan_nearly_guesses_pixels_and_t_keeps_it_unsure(records, present):
    """Results: "What D says"; lessons 15 and 17."""
    said = budgets.what_d_says(records).set_index(["data", "size", "steps", "model"])
    for data, size, steps, model in said.index:
        if model == "hagan":
            mine = said.loc[(data, size, steps, "hagan")]
            assert mine["pixel loss"] > 0.95 * mine["of a guess"]
            assert float(mine["consistency"].rstrip("%")) < 5
            nearer = mine["D apart"] < said.loc[(data, size, steps, "sagan with T"), "D apart"]
            assert nearer or (data, size) == ("covid-ct", 256)
    rows = {name: e for name, e in ladder("covid-ct", "cpu") if name in present}
    apart = {name: budgets.means_of_d_log(e, present[name])["D apart"] for name, e in rows.items()}
    assert min(apart["base"], apart["hagan without T"]) > 0.5
    like = ("base with T", "hagan, CutMix's label", "hagan, no pixel branch")
    assert max(apart[name] for name in like) < 0.14 and apart[FULL] < 0.11
    assert max(abs(apart[name] - apart[FULL]) for name in like[1:]) < 0.015


def test_the_shipped_pixel_branch_is_right_in_six_of_ten_pairs_and_its_image_branch_in_nearly_all():
    """Results: "What D says"; lesson 15."""
    shipped = load_pretrained(device="cpu")
    real = load_for(shipped.experiment).images
    fake = runs.sample(shipped.run, len(real), device="cpu")
    masks = box_masks(len(real), shipped.experiment.size, torch.Generator().manual_seed(0))
    of_tensors = (from_uint8(torch.tensor(part)) for part in (real, fake))
    seen = branches.branch_auc(shipped.D, [branches.MixBatch(*of_tensors, masks)])
    assert seen.image > 0.9 and abs(seen.pixel - 0.6) < 0.05


def test_on_few_images_d_knows_them_and_hagan_is_nowhere_clearly_ahead(records):
    """Results: "Few images"; lessons 13 and 17."""
    few = tables.few_images(experiments.few_images("cpu"), records)
    for _, of_data in few.groupby("data"):
        auc = of_data.pivot(index="training images", columns="model", values="D's AUC")
        assert (auc.iloc[0] > auc.iloc[-1]).all()
        kid = of_data.pivot(index="training images", columns="model", values="KID, held out")
        others = kid[list(RIVALS)].min(axis=1)
        assert (kid["hagan"] > 0.9 * others).all()
        assert kid["hagan"].iloc[0] > kid["base with T"].iloc[0]
    judged = {one.claim["claim"]: one for one in claims.judged(records)}
    (small_scale,) = [one for claim, one in judged.items() if "small-scale" in claim]
    assert small_scale.verdict in (verdicts.UNDECIDED, verdicts.NOT)


def test_in_the_earlier_protocol_t_is_the_part_that_shows(records, earlier):
    """Results: "The earlier protocol"."""
    for rival in ("base", "sagan"):
        assert of_pair(earlier, FULL, rival).p < 0.001
    for rival in RIVALS:
        assert of_pair(earlier, FULL, rival).verdict == verdicts.UNDECIDED
    assert of_pair(earlier, "base with T", "base").p < 0.01
    for bare in ("hagan without T", "+ hierarchical discriminator, no T yet"):
        assert of_pair(earlier, bare, "base").verdict == verdicts.UNDECIDED
    for name in earlier:
        if name.startswith("hagan, "):
            assert of_pair(earlier, FULL, name).verdict == verdicts.UNDECIDED
    order = (FULL, "sagan with T", "base with T", "base", "sagan")
    assert sorted(order, key=lambda name: mean(earlier[name])) == list(order)
    table = tables.table_4(ladder("covid-ct", "cpu", **EARLIER), records)
    kid = table.set_index("row")["KID"]
    assert sorted(order, key=kid.get) == list(order)
    assert mean(earlier["base with flips"]) > mean(earlier["base"])


def test_one_pair_of_sagan_differs_in_t_alone(records):
    """Results: "The earlier protocol"."""
    sides = {}
    for r in records:
        e = r["experiment"]
        same = (e["model"], e["size"], e["steps"], e["preset"]) == ("sagan", 64, 800, "cpu")
        same &= e["flips"] and e["border"] == "black" and e["fresh_noise"]
        if same and r["data"]["name"] == "covid-ct":
            sides.setdefault(bool(e["augment"]), []).append(distance_of(r))
    assert {len(scores) for scores in sides.values()} == {3}
    assert round(np.mean(sides[True]), 1) == 267.5 and round(np.mean(sides[False]), 1) == 316.1
    p = stats.ttest_ind(sides[True], sides[False], equal_var=False).pvalue
    assert round(p, 2) == 0.14


def test_two_runs_of_one_seed_are_nearly_as_far_apart_as_two_seeds(earlier):
    """Results: "The earlier protocol"; p with the mean of each seed's runs."""
    of_seed: dict[str, dict[int, list[float]]] = {}
    for name in (FULL, "base", "base with T", "sagan"):
        for r in earlier[name]:
            scores = of_seed.setdefault(name, {})
            scores.setdefault(r["experiment"]["seed"], []).append(distance_of(r))
    within, between = [], []
    for name in (FULL, "base", "base with T"):
        twice = of_seed[name].values()
        assert [len(scores) for scores in twice] == [2, 2, 2]
        within += [abs(one - other) for one, other in twice]
        for a, b in itertools.combinations(twice, 2):
            between += [abs(one - other) for one, other in itertools.product(a, b)]
    assert (round(np.mean(within)), round(np.mean(between))) == (15, 19)
    means = {name: [np.mean(s) for s in scores.values()] for name, scores in of_seed.items()}
    for row, rival, p in (
        (FULL, "base", 0.01),
        (FULL, "sagan", 0.0007),
        ("base with T", "base", 0.08),
    ):
        found = stats.ttest_ind(means[row], means[rival], equal_var=False).pvalue
        assert float(f"{found:.1g}") == p


def test_of_the_seven_models_hagan_has_the_lowest_fd_and_ddpm_the_next(records):
    """Results: "Table II"; lesson 13."""
    measured = runs.by_row(rows_of("table2", "covid-ct", "cpu"), records)
    assert sorted(measured, key=lambda name: mean(measured[name]))[:2] == ["hagan", "ddpm"]
    assert len(measured) == 7
    assert of_pair(measured, "hagan", "ddpm").verdict == verdicts.UNDECIDED


def test_runs_on_a_gpu_score_as_those_on_a_processor_do(records):
    """Results: "What was run where"."""
    apart = []
    for dataset in ("covid-ct", "acdc", "lgg"):
        for rows in (ladder(dataset, "cpu"), rows_of("table2", dataset, "cpu")):
            for of_row in runs.by_row(rows, records).values():
                sides = {True: [], False: []}
                for r in of_row:
                    sides["cpu" not in r["device"]].append(distance_of(r))
                if sides[True] and sides[False]:
                    apart.append(np.mean(sides[True]) - np.mean(sides[False]))
    apart = sorted(set(apart))  # a row stands in the ladder and in Table II
    assert len(apart) > 20
    assert abs(np.mean(apart)) < 3 and stats.ttest_1samp(apart, 0).pvalue > 0.5


def test_no_recipe_has_one_seed_on_a_processor_and_on_a_gpu(records):
    """Results: "What was run where"."""
    machines = {}
    for r in records:
        machines.setdefault(r["hash"], set()).add("cpu" in r["device"])
    assert not [name for name, kinds in machines.items() if len(kinds) > 1]


def test_hagan_takes_minutes_on_a_processor_and_one_on_the_gpu(records):
    """Results: "How to read a table"."""
    of_800 = [
        r
        for r in records
        if (r["experiment"]["model"], r["experiment"]["steps"]) == ("hagan", 800)
        and r["experiment"]["size"] == 64
    ]
    on_cpu = [r["minutes"] for r in of_800 if "cpu" in r["device"]]
    assert min(on_cpu) > 4.5 and max(on_cpu) < 45
    assert max(r["minutes"] for r in of_800 if "cpu" not in r["device"]) < 1.2
