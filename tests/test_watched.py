from hagan_lite.report import watched
from hagan_lite.report.experiments import LONGER


def run_of(name, seed=0, n=0, steps=0, at=(20, 40, 60, 80), auc=(0.5, 0.6, 0.7, 0.8)):
    """Return a record of a run whose D was watched."""
    changes = dict(steps=steps) if steps else {}
    e = dict(watched.watched(watched.DATA, "cpu", seed, n_train=n, **changes))[name]
    over = dict(step=list(at), auc=list(auc), image=[0.9] * len(at))
    over |= dict(pixel=[0.25] * len(at)) if e.pixel_branch else {}
    scores = dict(extractor="x", resize="r", n_real=80, n_fake=80, fd=200.0 + seed, floor=40.0)
    of_training = scores | dict(n_real=n or 317, n_fake=n or 317)
    data = dict(name=watched.DATA, fingerprint="f", n=397, n_train=n or 317, n_heldout=80)
    about = dict(name=f"{name} {seed} {n} {steps}", device="cpu", experiment=e.to_dict())
    heldout = dict(metrics=scores, over_training=over)
    return about | dict(data=data, metrics=of_training, heldout=heldout)


def test_each_number_of_images_and_of_steps_is_found_by_itself():
    records = [run_of("hagan"), run_of("base with T"), run_of("hagan", n=50)]
    records += [run_of("hagan", steps=LONGER), run_of("hagan", seed=1)]
    found = watched.found(records, "cpu")
    assert [(one.images, one.steps) for one in found] == [(50, 800), (317, 800), (317, LONGER)]
    assert {name: len(runs) for name, runs in found[1].runs.items()} == {
        "hagan": 2,
        "base with T": 1,
    }


def test_the_table_has_chances_half_way_and_at_the_end_and_blanks_where_there_is_no_pixel_branch():
    table = watched.table([run_of("hagan"), run_of("base with T"), run_of("hagan", seed=1)], "cpu")
    assert table.columns[-1] == "runs"
    table = table.set_index("model")
    knows, _, pixels = watched.CHANCES.values()
    assert table.loc["hagan", knows] == "0.60, 0.80" and table.loc["hagan", "runs"] == 2
    assert table.loc["hagan", pixels] == "0.25, 0.25" and table[pixels].isna().to_dict() == {
        "base with T": True,
        "hagan": False,
    }


def test_without_such_a_record_nothing_is_found():
    bare = run_of("hagan")
    bare["heldout"].pop("over_training")
    assert watched.found([bare], "cpu") == [] and watched.table([bare], "cpu").empty
