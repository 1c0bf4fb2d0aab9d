import copy
import functools
import json
import math

import nbformat
import numpy as np
import pandas as pd
import pytest
import scipy.stats
from helpers import SCORE, tiny

from hagan_lite import datasets, evaluation, paper, runs
from hagan_lite.config import Experiment
from hagan_lite.evaluation import metrics
from hagan_lite.report import budgets, claims, claims_measured, models, publish, tables
from hagan_lite.report.experiments import few_images, ladder, tried
from hagan_lite.system.paths import COMMITTED, ROOT, SEARCHED, UNTRAINED
from hagan_lite.system.storage import read_json
from hagan_lite.train import train


@pytest.fixture
def record(smoke_run):
    return runs.make_record(smoke_run, SCORE)


def changed(record, **fields):
    other = copy.deepcopy(record)
    for path, value in fields.items():
        *parents, last = path.split("__")
        place = other
        for parent in parents:
            place = place[parent]
        place[last] = value
    return other


def test_a_record_says_how_its_numbers_were_obtained(record, tmp_path):
    e = record["experiment"]
    assert (e["preset"], e["steps"], e["seed"], e["width"]) == ("smoke", 20, 0, 8)
    assert record["data"]["fingerprint"] and record["data"]["n"] == 113
    assert {"python", "torch", "numpy", "torchmetrics"} <= set(record["versions"])
    assert record["weights"] == "ema, last step"
    assert "cpu" in record["device"]
    path = runs.save_record(record, "a", tmp_path)
    assert runs.load_records(tmp_path)[0]["metrics"] == SCORE
    assert path.stat().st_size < 8_000


def test_a_record_keeps_the_training_thinned(record, smoke_run):
    log, thinned = runs.read_log(smoke_run), runs.kept_log(record)
    assert [line["step"] for line in thinned] == [line["step"] for line in log]
    for whole, short in zip(log, thinned, strict=True):
        assert set(whole) - set(short) == {"seconds"}
        assert (
            short["shift"] == pytest.approx(whole["shift"], rel=1e-3)
            if "shift" in whole
            else "shift" not in short
        )
        assert short["d"] == pytest.approx(whole["d"], rel=1e-3)


def test_the_learning_curve_ends_with_the_number_that_is_reported(smoke_run, tmp_path):
    whole = datasets.load("mni152", 32)
    assert evaluation.learning_curve(smoke_run, whole) == {}  # nobody asked it to keep any
    few = datasets.Dataset("folder", whole.images[::8], whole.groups[::8], "x")
    run = train(tiny(), tmp_path / "run", few, history=True)
    curve = evaluation.learning_curve(run, few, "efficientnet-lite0")
    assert curve["step"] == [5, 10, 12] and len(set(curve["fd"])) == 3
    fake = runs.sample(run, len(few))
    reported = metrics.evaluate(few.images, fake, extractor="efficientnet-lite0")
    assert curve["fd"][-1] == reported["fd"]


@pytest.mark.parametrize("field", runs.NEEDED)
def test_a_record_without_its_origin_is_refused(record, field, tmp_path):
    del record[field]
    with pytest.raises(ValueError, match=field):
        runs.save_record(record, "a", tmp_path)


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_a_record_whose_distance_is_no_number_is_refused(record, score, tmp_path):
    with pytest.raises(ValueError, match="nothing to compare"):
        runs.save_record(changed(record, metrics__fd=score), "a", tmp_path)


def test_a_cell_is_a_mean_over_seeds(record):
    table = tables.table_2([record, changed(record, metrics__fd=220.0, experiment__seed=1)])
    assert len(table) == 1
    assert table["our FD (efficientnet-lite0)"].item() == 210
    assert table["seeds"].item() == 2
    assert table["sd"].item() == pytest.approx(14.142, abs=1e-3)


@pytest.mark.parametrize(
    "difference",
    [
        dict(data__fingerprint="x"),
        dict(metrics__resize="tf1-bilinear-299"),
        dict(metrics__n_fake=50),
        dict(experiment__steps=9),
        dict(precision="bf16"),
    ],
)
def test_what_cannot_be_compared_has_a_row_of_its_own(record, difference):
    assert len(tables.table_2([record, changed(record, **difference)])) == 2


def test_fid_and_fd_never_share_a_column(record):
    inception = changed(record, metrics__extractor="inception")
    scores = inception["metrics"]
    inception["metrics"] = scores | dict(fid=33.0, fid_at_floor_n=44.0, floor=11.0)
    del inception["metrics"]["fd"], inception["metrics"]["fd_at_floor_n"]
    table = tables.table_2([record, inception])
    assert table["our FID"].dropna().tolist() == [33.0]
    assert table["our FD (efficientnet-lite0)"].dropna().tolist() == [record["metrics"]["fd"]]
    assert table["FID of real halves"].dropna().tolist() == [11.0]
    assert not (table["our FID"].notna() & table["our FD (efficientnet-lite0)"].notna()).any()


def test_fd_never_stands_in_fids_column(record):
    covid = changed(record, data__name="covid-ct", experiment__preset="cpu")
    table = tables.table_2([record, covid]).set_index("data")
    assert table.loc["covid-ct", "paper's FID"] == 88.852
    assert not table.loc["mni152", "paper's FID"] > 0  # blank: the paper has no such data set
    assert table.loc["mni152", "comparable"].startswith("no")
    assert not [c for c in table.columns if "FID" in c and "paper" not in c]


def test_no_record_means_no_row_and_a_missing_number_is_blank(record, tmp_path):
    assert tables.table_2([]).empty
    markdown, csv, _ = tables.save_table(tables.table_2([record]), tmp_path / "table2")
    assert "nan" not in markdown.read_text().lower() and "nan" not in csv.read_text().lower()
    assert "| 200.0 |" in markdown.read_text()


def test_the_papers_numbers_are_the_papers():
    path = ROOT.parent / "shared" / "paper" / "tables.json"
    if not path.exists():
        pytest.skip("the paper's tables are not on this machine")
    given = read_json(path)
    for key in ("table_1", "table_2", "table_3", "table_4", "figure_7"):
        assert paper.PAPER[key] == {k: v for k, v in given[key].items() if k != "units"}


@functools.cache  # no test changes a record
def committed():
    return runs.load_records(ROOT / "data" / "results")


def test_every_committed_record_is_whole():
    assert committed()
    for record in committed() + runs.load_records(SEARCHED):
        assert not [k for k in runs.NEEDED if not record.get(k)], record["name"]
        assert record["commit"] != "unknown"


def test_every_committed_experiment_is_read_and_written_without_a_change():
    """Records, those of the search, and the shipped networks: the fields of now, and their hash."""
    paths = [*COMMITTED.rglob("*.json"), *(ROOT / "data" / "checkpoints").glob("*/*.json")]
    assert len(paths) > 70
    for path in paths:
        written = read_json(path)
        e = Experiment.from_dict(written["experiment"])
        assert e.to_dict() == written["experiment"], path
        assert e.hash == written["hash"], path


def without_seed(experiment):
    """Return the hash that experiments of one recipe share."""
    return Experiment.from_dict(experiment | dict(seed=0)).hash


def test_rank_agreement_is_spearmans_with_its_exact_chance():
    paper = pd.Series([139.7, 110.8, 124.7, 96.0, 104.5, 100.1, 88.9])
    for ours in (paper, pd.Series([361.4, 368.7, 359.4, 320.4, 346.8, 373.6, 334.7])):
        agreement = claims_measured.rank_agreement(paper, ours)
        assert agreement["rho"] == pytest.approx(scipy.stats.spearmanr(paper, ours).statistic)
        assert not agreement["low"] > agreement["rho"] and not agreement["high"] < agreement["rho"]
    exact = scipy.stats.permutation_test(
        (ours.to_numpy(),),
        lambda order: np.corrcoef(paper.rank(), pd.Series(order).rank())[0, 1],
        permutation_type="pairings",
        n_resamples=np.inf,
        alternative="greater",
    )
    assert agreement["p_value"] == pytest.approx(exact.pvalue)
    assert claims_measured.rank_agreement(paper, paper)["p_value"] == pytest.approx(1 / 5040)


def test_rank_agreement_of_few_models_says_that_it_says_nothing():
    agreement = claims_measured.rank_agreement(
        pd.Series([3.0, 2.0, 1.0, 4.0]), pd.Series([3.0, 2.0, 1.0, None])
    )
    assert agreement["models"] == 3 and agreement["rho"] == 1
    assert agreement["low"] != agreement["low"]
    assert claims_measured.rank_agreement(pd.Series([1.0]), pd.Series([2.0]))["rho"] != 1
    alike = claims_measured.rank_agreement(pd.Series([1.0, 2.0, 3.0, 4.0]), pd.Series([5.0] * 4))
    assert alike["rho"] != alike["rho"] and alike["p_value"] != alike["p_value"]


def test_table_3_has_the_papers_numbers_for_its_size_alone(record):
    large = changed(record, data__name="covid-ct", experiment__size=256)
    assert tables.table_2([large]).empty
    assert tables.table_3([large, record])["paper's FID"].tolist() == [125.871]


def test_audits_are_listed_by_space(record):
    audited = dict(n_samples=5, n_heldout=6, p_value=0.5, p_nearest=0.25, nearer=0.4, power=0.9)
    audited |= dict(verdict="no sign")
    listed = tables.audits(
        [record, record | dict(audit=dict(pixels=audited, other="not audited: too few"))]
    )
    assert listed["space"].tolist() == ["pixels", "other"]
    assert listed.loc[0, list(audited)].to_dict() == audited
    assert listed["verdict"].tolist() == ["no sign", "not audited: too few"]
    assert "nan" not in tables.markdown(listed).lower()


def test_deleting_a_record_blanks_its_cell_of_table_4():
    hash_of = {r["name"]: without_seed(r["experiment"]) for r in committed()}
    for name, e in ladder("covid-ct", "cpu"):
        mine = without_seed(e.to_dict())
        left = [r for r in committed() if hash_of[r["name"]] != mine]
        assert len(left) < len(committed())
        gone = tables.table_4([(name, e)], left).set_index("row")
        ours = [c for c in gone if c.startswith("our ") or c in ("KID", "seeds", "each run")]
        assert gone.loc[name, ours].isna().all()


def test_a_run_that_was_repeated_to_the_last_digit_counts_once(record):
    again = changed(record, commit="later")
    other = changed(record, metrics__fd=210.0)
    assert tables.table_2([record, again, other])[["seeds", "runs"]].iloc[0].tolist() == [1, 2]


def test_kid_is_of_runs_of_every_seed_or_blank(record):
    def runs(**kids):
        of = [
            (f"{d} threads", s, kid)
            for (d, s), kid in zip(((1, 0), (2, 0), (1, 1)), kids.values(), strict=True)
        ]
        made = [changed(record, experiment__seed=s, device=d) for d, s, _ in of]
        for r, (*_, kid) in zip(made, of, strict=True):
            r["metrics"] = {
                k: v for k, v in (r["metrics"] | dict(kid=kid)).items() if v is not None
            }
        columns = ["KID", "KID's runs", "runs"]
        return tables.table_2(made).reindex(columns=columns).iloc[0]

    assert runs(a=None, b=0.5, c=0.25).tolist() == [0.375, 2, 3]
    assert runs(a=0.5, b=0.5, c=None)[["KID", "KID's runs"]].isna().all()


def test_a_training_starts_where_an_untrained_generator_stands_on_the_same_images(record):
    (untrained,) = [
        r
        for r in runs.load_records(UNTRAINED)
        if (r["data"]["name"], r["experiment"]["size"]) == ("covid-ct", 64)
    ]
    assert untrained["experiment"]["lr_g"] == 0
    same = changed(record, data__fingerprint=untrained["data"]["fingerprint"])
    assert tables.start_of(same) == untrained["metrics"]["fd"]
    assert tables.start_of(changed(same, data__fingerprint="another")) is None
    assert tables.start_of(changed(same, experiment__size=32)) is None
    assert tables.start_of(changed(same, metrics__extractor="another")) is None


def test_a_score_that_no_record_has_is_no_column(record):
    """Older records lack some: a table of these alone shows no blank columns."""
    old = changed(record)
    old["metrics"] = {k: v for k, v in old["metrics"].items() if k not in ("kid", "recall")}
    new = changed(record, metrics__kid=0.5, metrics__recall=0.25, experiment__preset="quick")
    for records, there in (([old], False), ([old, new], True)):
        for column in ("KID", "KID's runs", "recall"):
            assert (column in tables.table_2(records)) == there


def with_fid_768(record, seed, distance, floor=0.2, **fields):
    scores = {} if distance is None else {"inception-768": dict(fid768=distance, floor=floor)}
    return changed(record, experiment__seed=seed, device=f"{seed} {distance}", **fields) | dict(
        also=scores
    )


def test_fid_768_is_a_mean_over_its_runs_where_every_seed_has_one(record):
    columns = ["FID-768", "FID-768's runs", "FID-768 of real halves"]

    def row(*distances):
        made = [with_fid_768(record, seed, distance) for seed, distance in distances]
        return tables.table_2(made).reindex(columns=columns).iloc[0]

    assert row((0, 1.0), (1, 2.0)).tolist() == [1.5, 2, 0.2]
    assert row((0, 1.0), (0, None), (1, 2.0)).tolist() == [1.5, 2, 0.2]
    assert row((0, 1.0), (1, None)).isna().all()


def test_fid_768_stands_beside_fd_and_never_in_fids_column(record):
    covid = dict(data__name="covid-ct", experiment__preset="cpu")
    both = [with_fid_768(record, 0, 1.25, **covid), changed(record, experiment__preset="quick")]
    table = tables.table_2(both).set_index("data")
    assert table.loc["covid-ct", "paper's FID"] == 88.852
    assert table["FID-768"].dropna().tolist() == [1.25]
    assert table["our FD (efficientnet-lite0)"].tolist() == [200.0, 200.0]
    assert "our FID" not in table
    shown = tables.markdown(table.reset_index())
    assert "| 1.250 | 1 | 0.200 |" in shown and "nan" not in shown.lower()
    without = tables.table_2([record])
    assert not [c for c in without if c.startswith("FID-768")]


@pytest.mark.parametrize("distance", ["200", float("nan"), [200.0], -5.0])
def test_a_record_with_no_number_for_its_distance_is_named(record, distance, tmp_path):
    damaged = changed(record, metrics__fd=distance)
    (tmp_path / "a.json").write_text(json.dumps(damaged))
    with pytest.raises(ValueError, match=r"a\.json"):
        runs.load_records(tmp_path)


def test_a_file_that_is_no_record_is_named(tmp_path):
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(ValueError, match=r"a\.json"):
        runs.load_records(tmp_path)


@pytest.mark.parametrize("lost", ["experiment", "data", "metrics"])
def test_a_record_that_lacks_a_part_is_named_before_a_table_is_drawn(record, lost, tmp_path):
    damaged = {part: value for part, value in record.items() if part != lost} | {"name": "a"}
    with pytest.raises(ValueError, match=r"a\.json"):
        publish.draw([damaged], "cpu", tmp_path)
    assert not list(tmp_path.iterdir())


def test_runs_in_bf16_never_get_into_a_mean_of_runs_in_fp32(record):
    several = [changed(record, experiment__seed=seed) for seed in range(3)]
    unsaid, rounded = changed(record, precision=None), changed(record, precision="bf16")
    assert runs.comparable([*several, unsaid, rounded]) == [*several, unsaid]


def test_a_records_further_scores_do_not_decide_what_it_is_compared_with(record):
    plain, more = record, with_fid_768(record, 1, 1.0)
    assert len(runs.comparable([plain, more])) == 2
    assert runs.distance_of(more) == 200.0


def test_runs_kept_from_some_images_never_push_out_runs_on_all(record):
    full = [changed(record, experiment__seed=seed) for seed in (0, 1)]
    part = [
        changed(record, experiment__seed=s, experiment__heldout=0.2, metrics__n_real=90)
        for s in range(3)
    ]
    assert runs.comparable([*full, *part]) == [*full, *part]
    other = changed(part[0], data__fingerprint="another copy")
    assert runs.comparable([*full, other, other, part[0]]) == [*full, part[0]]


def test_a_repeated_run_counts_once_by_the_record_with_further_scores(record):
    more = with_fid_768(record, 0, 1.0)
    for order in ([more, changed(more, also={})], [changed(more, also={}), more]):
        bare = [{k: v for k, v in r.items() if k != "also" or v} for r in order]
        assert tables.table_2(bare)[["runs", "FID-768"]].iloc[0].tolist() == [1, 1.0]


def test_a_record_whose_main_extractor_is_inceptions_768_is_named_so(record):
    main = changed(record, metrics__extractor="inception-768")
    scores = {k: v for k, v in main["metrics"].items() if not k.startswith("fd")}
    main["metrics"] = scores | dict(fid768=0.75, fid768_at_floor_n=0.5, floor=0.25)
    table = tables.table_2([main, record])
    assert table["our FID-768"].dropna().tolist() == [0.75]
    assert "our FID" not in table


def test_each_row_of_the_ladder_is_another_experiment():
    rows = ladder("covid-ct", "cpu")
    assert len({e.hash for _, e in rows}) == len({name for name, _ in rows}) == len(rows)


def test_table_4_has_the_papers_numbers_beside_the_rows_that_it_prints(record):
    table = tables.table_4(ladder("covid-ct", "cpu"), []).set_index("row")
    paper = table["paper's FID"]
    assert paper[:6].tolist() == [240.231, 123.27, 115.912, 115.912, 99.717, 88.852]
    assert paper[10:].isna().all()  # controls are ours
    assert not [c for c in table if c.startswith("our ")]
    base = dict(ladder("covid-ct", "cpu"))["base"]
    mine = changed(record, data__name="covid-ct") | dict(experiment=base.to_dict() | dict(seed=7))
    drawn = tables.table_4(ladder("covid-ct", "cpu"), [mine]).set_index("row")
    assert drawn.loc["base", f"our FD ({SCORE['extractor']})"] == record["metrics"]["fd"]
    assert drawn["seeds"].dropna().tolist() == [1]
    assert "nan" not in tables.markdown(drawn.reset_index()).lower()


@pytest.mark.parametrize(
    "name", ["table2", "table3", "table4", "table4_earlier", "few_images", "budgets", "claims"]
)
def test_the_committed_tables_are_the_records(name, tmp_path):
    for path in tables.save_table(publish.tables_of(committed(), "cpu")[name](), tmp_path / name):
        assert path.read_text() == (ROOT / "figures" / path.name).read_text()


def test_the_committed_lessons_show_the_records_as_they_are():
    """A record that is added or taken away asks for the lessons to be executed again.

    CONTRIBUTING.md, "A record", lists them.
    """
    of_covid = [r for r in committed() if r["data"]["name"] == "covid-ct"]
    every = tables.table_2(of_covid)
    columns = [
        "data",
        "steps",
        "model",
        "changed",
        "T",
        *[c for c in every if c.startswith("our ")],
        "sd",
        "seeds",
        "preset",
    ]
    rows = tables.table_4(ladder("covid-ct", "cpu"), of_covid)
    rows = rows.drop(columns=["changed", "comparable"])
    attempts = tables.of_rows(tried("covid-ct", "cpu"), runs.load_records(SEARCHED), {})
    attempts = attempts[["row", "changed", f"our FD ({SCORE['extractor']})", "KID", "seeds"]]
    ledger = claims.ledger(committed())
    effect = ["effect", "95 % interval", "runs", "p", "corrected p"]
    ledger = ledger[["#", "claim", "where", "here", *effect, "because", "controls"]]
    few = tables.few_images(few_images("cpu"), committed())
    with_T = {"base": "base with T", "sagan without flips": "sagan with T"}
    with_T["hagan without T"] = "+ training strategy = hagan"
    names = [name for pair in with_T.items() for name in pair]
    of_row = claims.by_name(committed(), "cpu")
    each = [", ".join(f"{runs.distance_of(r):.1f}" for r in of_row[name]) for name in names]
    names[-1] = "hagan"
    shown_in = (
        ("05_augmentation", pd.DataFrame({"row": names, "FD of each run": each})),
        ("13_table2", every[columns]),
        ("13_table2", few),
        ("15_table4", rows),
        ("15_table4", attempts),
        ("17_verdict", ledger),
        ("17_verdict", budgets.what_d_says(committed())),
    )
    for lesson, table in shown_in:
        cells = nbformat.read(ROOT / "notebooks" / f"{lesson}.ipynb", as_version=4).cells
        shown = [
            o["data"].get("text/markdown", "")
            for c in cells
            for o in c.get("outputs", ())
            if "data" in o
        ]
        assert any(tables.markdown(table) in text for text in shown), lesson


def test_rank_agreements_interval_is_bonett_and_wrights():
    paper, ours = pd.Series([1.0, 2, 3, 4, 5, 6, 7]), pd.Series([2.0, 1, 4, 3, 7, 5, 6])
    found = claims_measured.rank_agreement(paper, ours)
    half = 1.96 * math.sqrt((1 + found["rho"] ** 2 / 2) / (7 - 3))
    ends = [math.atanh(found[end]) for end in ("low", "high")]
    assert ends == pytest.approx([math.atanh(found["rho"]) + s * half for s in (-1, 1)])


def test_a_cells_distances_at_the_floors_n_and_floors_are_means_over_its_runs(record):
    other = changed(record, experiment__seed=1, metrics__floor=50.0, metrics__fd_at_floor_n=230.0)
    row = tables.table_2([record, other]).iloc[0]
    assert (row["FD at their n"], row["FD of real halves"]) == (220.0, 45.0)


@pytest.mark.parametrize("part", [dict(experiment__heldout=0.2), dict(experiment__n_train=50)])
def test_runs_on_a_part_of_the_images_stand_in_no_table_of_runs_on_all(record, part):
    few = changed(record, metrics__n_real=50, **part)
    assert tables.table_2([few]).empty
    assert runs.comparable([record, few, few]) == [record, few, few]


def test_every_model_has_a_line_with_its_interval_and_the_papers_place(record):
    e = Experiment.make("wgan", "covid-ct", "cpu")
    mine = [
        changed(record, data__name="covid-ct", metrics__fd=fd, device=f"{fd}")
        | dict(experiment=e.to_dict() | dict(seed=seed))
        for seed, fd in enumerate((300.0, 310.0, 320.0))
    ]
    lines = {line.name: line for line in models.model_rows(mine, "covid-ct")}
    assert list(lines)[-1] == "hagan" and set(list(lines)[-3:-1]) == {"sagan with T", "base with T"}
    assert lines["wgan"].scores == [300.0, 310.0, 320.0]
    assert lines["wgan"].interval == pytest.approx((300, 320), abs=5)
    fids = {model: row["covid-ct"] for model, row in paper.PAPER["table_2"]["fid"].items()}
    place = sorted(fids.values()).index(fids["wgan"]) + 1
    assert lines["wgan"].printed == f"{fids['wgan']:.1f} ({place})"
    assert lines["hagan"].printed == "88.9 (1)" and lines["hagan"].scores == []
    two = {line.name: line for line in models.model_rows(mine[:2], "covid-ct")}
    assert two["wgan"].interval is None
