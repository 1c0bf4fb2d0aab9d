import dataclasses
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from helpers import SCORE, hagan, tiny

from hagan_lite import runs, train
from hagan_lite.batch import progress
from hagan_lite.cli import batch, options
from hagan_lite.config import MODELS, Experiment
from hagan_lite.paper import PAPER
from hagan_lite.report import experiments
from hagan_lite.runs.record import by_row
from hagan_lite.system import storage
from hagan_lite.system.paths import COMMITTED, RUNS, SEARCH_SEED, SEARCHED


def record(cell, **metrics):
    about = dict(
        experiment=cell.e.to_dict(), data=dict(fingerprint=cell.fingerprint or "x"), minutes=2.0
    )
    about |= dict(device="cpu (1 threads)")
    return about | dict(metrics=dict(fd=100.0) | metrics)


def test_table_2_has_the_papers_models_in_its_order_and_changes_go_where_the_field_is():
    asked = experiments.experiments(
        "table2", "cpu", [0, 3], [], ["mni152", "covid-ct"], dict(critic_steps=2, width=16)
    )
    assert [e.model for e in asked[:7]] == list(PAPER["table_2"]["fid"])
    pairs = [("mni152", 0), ("mni152", 3), ("covid-ct", 0), ("covid-ct", 3)]
    assert [(e.dataset, e.seed) for e in asked[::7]] == pairs
    assert {e.width for e in asked} == {16} and len({e.hash for e in asked}) == len(asked) == 28
    assert [e.critic_steps for e in asked if e.model == "wgan"] == [2] * 4
    table3 = experiments.experiments("table3", "paper", [0], ["hagan"], ["covid-ct"], {})
    assert [(e.size, e.batch_size, e.z_dim) for e in table3] == [(256, 2, 1000)]
    (small,) = experiments.experiments("table3", "cpu", [0], ["hagan"], ["covid-ct"], {})
    assert (small.size, small.batch_size, small.z_dim, small.steps) == (256, 2, 1000, 2000)
    figure7 = experiments.experiments("figure7", "cpu", [0, 1], [], ["mni152"], {})
    assert [e.model for e in figure7] == ["hagan"] * 2


def test_each_row_of_the_ladder_differs_from_the_one_above_by_what_it_adds():
    rows = dict(experiments.ladder("mni152", "cpu", steps=500))

    def differ(a, b):
        a, b = (dataclasses.asdict(rows[name]) for name in (a, b))
        return {k for k in a if a[k] != b[k]} - {"model"}

    base, step_2, step_3, step_4, step_5 = list(rows)[:3] + list(rows)[4:6]
    assert differ(base, step_2) == {"attention", "mix", "augment", "phase_two"}
    assert differ(step_2, step_3) == {"skip"}
    assert differ(step_3, "+ reverse skip of an instance") == {"skip"}
    assert differ(step_3, step_4) == {"pixel_branch"}
    assert differ(step_4, step_5) == {"phase_two"}
    assert rows[step_5] == Experiment.make("hagan", "mni152", "cpu", steps=500)
    for name in list(rows)[1:5]:
        assert differ(name, f"{name}, no T yet") == {"augment"}
    assert differ(base, "base with flips") == {"flips"}
    assert differ(base, "base with T") == {"augment"}
    assert differ("base with flips", "base with flips, black comes in") == {"border"}
    assert differ("base with T", "sagan with T") == {"attention"}
    assert differ("base", "sagan without flips") == {"attention"}
    assert differ("sagan without flips", "sagan with T") == {"augment"}
    controls = {
        "hagan without T": "augment",
        "hagan, CutMix's label": "mix",
        "hagan, pixels alone": "pixel_kernel",
        "hagan, features by distance": "feature_loss",
        "hagan, consistency grows": "ramp",
        "hagan, no pixel branch": "pixel_branch",
        "hagan, received map": "saliency",
        "hagan, fresh noise": "fresh_noise",
    }
    assert all(differ(step_5, name) == {field} for name, field in controls.items())
    assert rows["hagan, consistency grows"].ramp == 100
    assert len({e.hash for e in rows.values()}) == len(rows) == 26


def test_the_ladder_of_the_earlier_protocol_has_no_row_twice():
    rows = dict(experiments.ladder("mni152", "cpu", **experiments.EARLIER))
    assert len({e.hash for e in rows.values()}) == len(rows) == 24
    full = rows["+ training strategy = hagan"]
    assert (full.saliency, full.fresh_noise) == ("received", True)
    assert {e.fresh_noise for e in rows.values()} == {True}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["table9"], "choose one of table2"),
        (["table2", "--models", "nosuchmodel"], "nosuchmodel: choose of hagan"),
        (["table2", "--seeds", "one"], "--seeds one: give whole numbers"),
        (["table2", "--datasets", "covid-ct"], "covid-ct: no folder"),
        (["table2", "--datasets", "mni152", "--set", "stepps=3"], "stepps=3: not FIELD=VALUE"),
        (
            ["figure7", "--models", "dcgan", "--datasets", "mni152"],
            "figure7 has no experiment of dcgan",
        ),
    ],
)
def test_what_cannot_be_asked_for_is_refused_by_name(words, said, monkeypatch, tmp_path):
    monkeypatch.setenv("HAGAN_DATA", str(tmp_path))
    done = hagan("batch", *words, "--dry-run")
    assert done.exit_code and said in str(done.exception)


def test_data_sets_that_are_not_here_are_named_and_left_out(monkeypatch, tmp_path):
    monkeypatch.setenv("HAGAN_DATA", str(tmp_path))
    monkeypatch.setattr(progress, "RECORDS", tmp_path)  # other tests' records would be done cells
    done = hagan("batch", "table2", "--preset", "smoke", "--dry-run")
    assert "covid-ct is not here" in done.output and "0 of 7 done" in done.output
    assert done.output.count("-mni152-smoke-s0-") == 7
    assert not list((RUNS.parent / "grids").glob("table2-smoke.json"))  # it was not asked for


def test_the_commands_of_a_grid_make_the_same_experiments():
    """A line per cell, for job arrays, whatever is done."""
    asked = experiments.experiments("table4", "smoke", [0, 1], [], ["mni152"], dict(width=4))
    words = "batch table4 --preset smoke --seeds 0,1 --datasets mni152 --set width=4 --commands"
    lines = hagan(*words.split()).output.splitlines()
    assert lines == [batch.command(e) for e in asked]
    for line, e in zip(lines, asked, strict=True):
        words = batch.shlex.split(line)[2:]
        given = dict(zip(words[:8:2], words[1:8:2], strict=True))
        changes = options.parse([e.model], words[9::2]) | dict(seed=int(given["--seed"]))
        assert Experiment.make(e.model, given["--dataset"], given["--preset"], **changes) == e


def test_a_cell_is_done_by_a_record_of_the_same_choices_on_the_same_images():
    (cell,) = progress.plan([tiny()])
    assert progress.done([cell], [record(cell)]) == {cell: record(cell)}
    assert not progress.done([cell], [record(dataclasses.replace(cell, fingerprint="other"))])
    assert not progress.done([cell], [record(dataclasses.replace(cell, e=tiny(seed=1)))])
    # Without a fingerprint, whichever images the record was made on.
    assert progress.done([progress.Cell(tiny())], [record(cell)])
    relabelled = record(cell)
    relabelled["experiment"]["preset"] = "cpu"  # a label, not a choice
    assert progress.done([cell], [relabelled])


def test_a_cell_has_every_run_on_its_images():
    cell, other = progress.Cell(tiny(), "x"), progress.Cell(tiny(seed=1), "x")
    one, two, elsewhere = record(cell), record(cell, fd=101.0), record(progress.Cell(tiny(), "y"))
    assert progress.runs_of([cell, other], [one, two, elsewhere]) == {cell: [one, two]}
    anywhere = progress.Cell(cell.e)
    assert progress.runs_of([anywhere], [elsewhere]) == {anywhere: [elsewhere]}
    assert progress.done([cell, other], [one, two, elsewhere]) == {cell: two}


def test_the_status_is_read_from_files(tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "pick_device", lambda _: torch.device("cpu"))
    grid = [
        dataclasses.replace(c, run=tmp_path / c.name)
        for c in progress.plan([tiny(seed=s) for s in range(6)])
    ]
    waiting, done, stopped, running, failed, trained = grid
    for cell, step in ((stopped, 6), (running, 6), (failed, 3), (trained, 12)):
        cell.run.mkdir()
        (cell.run / "log.jsonl").write_text(json.dumps(dict(step=step, seconds=step * 30.0)) + "\n")
    (trained.run / "generator.safetensors").touch()
    error = dict(output_type="error", ename="ValueError", evalue="x", traceback=[])
    (failed.run / "run_experiment.ipynb").write_text(
        json.dumps(dict(cells=[dict(outputs=[error])]))
    )
    with storage.only_writer(running.run):
        shown = progress.status(grid, [record(done)])
    states = [
        "waiting",
        "done",
        "stopped at step 6 of 12",
        "running: step 6 of 12",
        "failed",
        "trained, to be measured",
    ]
    assert shown["state"].tolist() == states
    # By the record's pace, or by the run's own.
    assert shown["left"].tolist() == [2.0, 0.0, 3.0, 3.0, 4.5, 0.0]
    assert shown["FD"].dropna().tolist() == [100.0]
    assert progress.time_left(shown, workers=5) == "about 2 min left"
    assert progress.time_left(shown[1:2]) == "nothing left"
    assert progress.time_left(progress.status(grid, [])[:1]) == "time left unknown"
    assert progress.time_left(progress.status([], [])) == "nothing left"
    other_machine = record(done) | dict(device="NVIDIA H100 80GB HBM3", minutes=0.1)
    assert progress.status([waiting], [record(done), other_machine])["left"].tolist() == [2.0]
    shown = progress.status(grid, [record(done)], live=False)
    assert shown["state"].tolist() == ["waiting", "done"] + ["waiting"] * 4


def test_what_is_expected_is_the_middle_pace_of_records_alike(monkeypatch):
    monkeypatch.setattr(progress, "pick_device", lambda _: torch.device("cpu"))
    alike = [record(progress.Cell(tiny(seed=s))) | dict(minutes=m) for s, m in enumerate((1, 2, 9))]
    longer = record(progress.Cell(tiny(seed=3, steps=120))) | dict(minutes=30.0)  # 3 in 12 steps
    others = [tiny(seed=4, size=64), tiny("wgan", seed=5)]
    others = [record(progress.Cell(e)) | dict(minutes=99.0) for e in others]
    waiting = progress.Cell(tiny(seed=9))
    shown = progress.status([waiting], [*alike, longer, *others], live=False)
    assert shown["left"].tolist() == [2.5]


def test_status_shows_the_grids_that_were_asked_for(monkeypatch, tmp_path):
    monkeypatch.setattr(progress, "BUILD", tmp_path)
    # Other tests' records would say how long it takes.
    monkeypatch.setattr(progress, "RECORDS", tmp_path)
    assert "no grid of table2" in str(hagan("status", "table2").exception)
    asked = [tiny(seed=90), tiny("wgan", seed=91, critic_steps=2)]
    progress.save_plan("table2-smoke", progress.plan(asked))
    out = hagan("status", "table2").output
    assert "table2-smoke: 0 of 2 done, time left unknown" in out and "wgan-mni152-smoke-s91-" in out
    assert "no grid of figure7" in str(hagan("status", "figure7").exception)


def test_grids_that_are_asked_for_at_once_are_all_shown_and_old_entries_are_left_out(
    monkeypatch, tmp_path
):
    monkeypatch.setattr(progress, "BUILD", tmp_path)
    parts = [progress.plan([tiny(seed=10 * i + j) for j in range(5)]) for i in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda cells: progress.save_plan("table2-smoke", cells), parts))
    assert len(progress.load_plans()["table2-smoke"]) == 20
    path = tmp_path / "grids" / "table2-smoke.json"
    saved = json.loads(path.read_text())
    saved[0]["e"]["a_field_of_another_version"] = 1
    path.write_text(json.dumps(saved))
    assert len(progress.load_plans()["table2-smoke"]) == 19


def test_table_2_is_printed_with_this_machines_records(monkeypatch, tmp_path, smoke_run):
    runs.save_record(runs.make_record(smoke_run, SCORE | dict(fd=123.4)), "mine", tmp_path)
    monkeypatch.setattr(progress, "RECORDS", tmp_path)
    out = hagan("table", "2").output
    assert "| covid-ct |" in out and "| 123.4 |" in out
    refused = hagan("table", "5")
    assert refused.exit_code and "4" in refused.output


@pytest.mark.parametrize("typed", ["table9", "table2 --seeds a", "table2 --set x"])
def test_a_batch_that_is_mistyped_is_refused_before_any_image_is_read(typed, monkeypatch):
    monkeypatch.setattr(experiments, "_loads", lambda name: pytest.fail(f"{name} was read"))
    asked = typed.split()
    assert asked[-1] in str(hagan("batch", *asked).exception)


def test_the_paper_preset_reproduces_through_the_batch(monkeypatch):
    from hagan_lite.batch import notebooks
    from hagan_lite.cli import app

    asked = []

    def stop(*words, **options):
        asked.append((words, options))
        raise app.typer.Exit(3)

    monkeypatch.setattr(batch, "batch", stop)
    monkeypatch.setattr(notebooks, "execute", lambda *a, **b: None)
    assert hagan("reproduce", "--preset", "paper", "--seed", "4").exit_code == 3
    assert asked == [(("table2", "paper", "4"), dict(datasets="mni152", device="auto"))]


def test_one_process_writes_in_a_run_folder_and_the_other_is_told_where(monkeypatch, tmp_path):
    only_writer = storage.only_writer
    monkeypatch.setattr(storage, "only_writer", lambda run: only_writer(run, wait=0.1))
    with storage.only_writer(tmp_path / "run"):
        with pytest.raises(RuntimeError, match=r"run: another process trains there"):
            train.train(tiny(), tmp_path / "run")
        assert [p.name for p in (tmp_path / "run").iterdir()] == [".lock"]
    assert runs.finished(train.train(tiny(), tmp_path / "run"))


def test_the_papers_models_are_in_a_grid_and_any_model_can_be_asked_for():
    assert set(experiments.PAPERS_MODELS) <= set(MODELS)
    asked = experiments.experiments("table2", "cpu", [0], list(MODELS), ["mni152"], {})
    assert [e.model for e in asked] == list(MODELS)


def test_what_was_tried_is_compared_on_a_seed_that_no_table_reports():
    tried = dict(experiments.tried("covid-ct", "cpu"))
    assert {e.seed for e in tried.values()} == {SEARCH_SEED}
    assert len({e.hash for e in tried.values()}) == len(tried)
    best = dict(experiments.ladder("covid-ct", "cpu", **experiments.EARLIER))[experiments.BEST]
    assert dataclasses.replace(best, seed=SEARCH_SEED) in tried.values()
    searched, reported = (runs.load_records(place) for place in (SEARCHED, COMMITTED))
    assert {r["experiment"]["seed"] for r in searched} <= {SEARCH_SEED}
    assert SEARCH_SEED not in {r["experiment"]["seed"] for r in reported}
    scores = {
        name: same[0]["metrics"]["fd"]
        for name, same in by_row(list(tried.items()), searched).items()
    }
    of_hagan = {name: fd for name, fd in scores.items() if tried[name].model == "hagan"}
    assert dataclasses.replace(best, seed=SEARCH_SEED) == tried[min(of_hagan, key=of_hagan.get)]


def test_the_searchs_seed_gets_into_no_mean():
    row = ("hagan", Experiment.make("hagan", "covid-ct", "cpu", **experiments.EARLIER))
    searched, reported = (runs.load_records(place) for place in (SEARCHED, COMMITTED))

    def seeds(row):
        return {r["experiment"]["seed"] for r in by_row([row], searched + reported)["hagan"]}

    assert seeds(row) == {0, 1, 2}
    assert seeds(("hagan", dataclasses.replace(row[1], seed=SEARCH_SEED))) == {SEARCH_SEED}


def test_every_row_has_the_seed_that_is_asked_for():
    for table in ("table2", "table4"):
        asked = experiments.experiments(table, "smoke", [0, 2], [], ["mni152"], {})
        seeds = [e.seed for e in asked]
        assert seeds.count(0) == seeds.count(2) == len(seeds) / 2
    rows = experiments.few_images("cpu", 2) + experiments.watched("covid-ct", "cpu", 2)
    assert {e.seed for _, e in rows} == {2}
