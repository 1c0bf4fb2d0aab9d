"""List the experiments that Tables II to IV and Figure 7 of the paper consist of."""

from typing import Any

import hagan_lite.baselines  # noqa: F401  (a table has every model)
from hagan_lite.config import DATASETS, MODELS, Experiment, choices_of
from hagan_lite.datasets.loading import load
from hagan_lite.datasets.sources import DataError
from hagan_lite.paper import PAPER
from hagan_lite.system.choices import used_names
from hagan_lite.system.paths import SEARCH_SEED

TABLES = ("table2", "table3", "table4", "figure7")
PAPERS_MODELS = tuple(PAPER["table_2"]["fid"])
"""The seven models in the order of Table II's rows."""
AT_256 = dict(size=256, batch_size=2, z_dim=1000)
"""Table III's protocol (Section IV-A), at every preset."""
STEPS_AT_256 = dict(cpu=dict(steps=2000))
PAPERS_DATASETS = tuple(PAPER["table_2"]["images"])
LONGER = 3000
"""Steps at which some rows of the ladder are measured once more."""
EARLIER = dict(saliency="received", fresh_noise=True)
"""The fields in which the first records differ: the map of attention received, and new noise for
G's update. Rows are compared within one of the two protocols, never across.
"""
T = "brightness,contrast,translation"
"""The augmentation T with all its parts, as HAGAN has it."""
WITH_T: dict[str, Any] = dict(flips=False, augment=T)
"""What another model sets to have HAGAN's augmentation in place of its own."""
FAIR_RIVALS: dict[str, tuple[str, dict[str, Any]]] = {
    "hagan": ("hagan", {}),
    "sagan with T": ("sagan", WITH_T),
    "base with T": ("dcgan", WITH_T),
}
"""HAGAN and the two models that have its augmentation, too: (model, changes) by name."""
FEW = {"covid-ct": (50, 100, 200, 0), "acdc": (100, 400, 0)}
"""Numbers of training images of the experiments on few; 0 for all that are not held out."""
HELD_OUT = 0.2
"""The share of images that the experiments on few never train on."""
WATCHED: dict[str, tuple[str, dict[str, Any]]] = {
    "base": ("dcgan", dict(flips=False)),
    "hagan without T": ("hagan", dict(augment="")),
    "base with T": FAIR_RIVALS["base with T"],
    "sagan with T": FAIR_RIVALS["sagan with T"],
    "hagan": FAIR_RIVALS["hagan"],
}
"""Models whose D is watched on held-out images over the training: (model, changes) by name."""
FULL = "+ training strategy = hagan"
"""The row of the ladder that is all of HAGAN."""
BEST = "hagan, no pixel branch"
"""The row of the ladder that the search for a better HAGAN (`tried`) led to."""


def ladder(
    dataset: str, preset: str, seed: int = 0, **changes: Any
) -> list[tuple[str, Experiment]]:
    """Return Table IV's rows as (name, experiment); each differs from one above it by few fields.

    A row's own fields win over `changes`. The paper leaves open whether T belongs to the last row
    alone or to all: rows 2 to 4 come in both readings. Below them are controls, each of which
    isolates one part of a step. A row that `changes` (EARLIER, say) make equal to one above it is
    left out.
    """
    fifth = _make("hagan", dataset, preset, seed, changes).steps // 5
    step_2 = dict(phase_two=0, pixel_branch=False)
    step_3 = dict(phase_two=0)
    rows = [
        ("base", "dcgan", dict(flips=False)),
        ("+ AttnMix generator", "hagan", step_2 | dict(skip="off")),
        ("+ reverse skip", "hagan", step_2 | dict(skip="ema")),
        ("+ reverse skip of an instance", "hagan", step_2 | dict(skip="instance")),
        ("+ hierarchical discriminator", "hagan", step_3),
        (FULL, "hagan", {}),
        ("+ AttnMix generator, no T yet", "hagan", step_2 | dict(skip="off", augment="")),
        ("+ reverse skip, no T yet", "hagan", step_2 | dict(skip="ema", augment="")),
        (
            "+ reverse skip of an instance, no T yet",
            "hagan",
            step_2 | dict(skip="instance", augment=""),
        ),
        ("+ hierarchical discriminator, no T yet", "hagan", step_3 | dict(augment="")),
        ("base with flips", "dcgan", {}),
        ("base with flips, black comes in", "dcgan", dict(border="black")),
        ("base with T", "dcgan", WITH_T),
        ("sagan", "sagan", {}),
        ("sagan, black comes in", "sagan", dict(border="black")),
        ("sagan without flips", "sagan", dict(flips=False)),
        ("sagan with T", "sagan", WITH_T),
        ("hagan without T", "hagan", dict(augment="")),
        ("hagan, CutMix's label", "hagan", dict(mix="cutmix")),
        ("hagan, received map", "hagan", dict(saliency="received")),
        ("hagan, fresh noise", "hagan", dict(fresh_noise=True)),
        ("hagan, pixels alone", "hagan", dict(pixel_kernel=1)),
        ("hagan, features by distance", "hagan", dict(feature_loss="l2")),
        ("hagan, features by contrast", "hagan", dict(feature_loss="nce")),
        ("hagan, consistency grows", "hagan", dict(ramp=fifth)),
        (BEST, "hagan", dict(pixel_branch=False)),
    ]
    names: dict[Experiment, str] = {}
    for name, model, own in rows:
        names.setdefault(_make(model, dataset, preset, seed, changes | own), name)
    return [(name, e) for e, name in names.items()]


def tried(
    dataset: str, preset: str, seed: int = SEARCH_SEED, **changes: Any
) -> list[tuple[str, Experiment]]:
    """Return the recipes that were tried for a better HAGAN at the preset's budget.

    They are (name, experiment), compared on one seed under EARLIER; their records are apart, in
    paths.SEARCHED. The one that looked best is BEST, reported on other seeds.
    """
    changes = EARLIER | changes
    B_C = dict(augment="brightness,contrast")
    rows = [
        ("hagan", "hagan", {}),
        ("sagan with T", "sagan", WITH_T),
        ("T: translation alone", "hagan", dict(augment="translation")),
        ("T: translation by up to 1/4", "hagan", dict(augment_shift=0.25)),
        ("no pixel branch", "hagan", dict(pixel_branch=False)),
        (
            "no pixel branch; T: brightness and contrast alone",
            "hagan",
            B_C | dict(pixel_branch=False),
        ),
        ("no pixel branch, nothing mixed", "hagan", dict(pixel_branch=False, mix="off")),
        (
            "no pixel branch, mixed from the first step",
            "hagan",
            dict(pixel_branch=False, phase_two=0),
        ),
    ]
    return [(name, _make(model, dataset, preset, seed, changes | own)) for name, model, own in rows]


def experiments(
    table: str,
    preset: str,
    seeds: list[int],
    models: list[str],
    datasets: list[str],
    changes: dict[str, Any],
) -> list[Experiment]:
    """Return the cells of `table`, data set by data set and seed by seed.

    Half a grid then already compares the models. No `models` means all that the table has.
    `changes` go to every experiment whose model uses the field. Raises ValueError for a table that
    is none of TABLES, and where the table has none of `models`.
    """
    _check(table)
    if unknown := set(models) - set(MODELS):
        raise ValueError(f"models={','.join(sorted(unknown))}: choose of {', '.join(MODELS)}")
    if table == "table3":
        changes = at_256(preset) | changes
    cells: list[Experiment] = []
    for dataset in datasets:
        for seed in seeds:
            cells += _row_by_row(table, dataset, preset, seed, models, changes)
    if not cells:
        raise ValueError(f"{table} has no experiment of {', '.join(models)}")
    return list(dict.fromkeys(cells))


def _row_by_row(
    table: str, dataset: str, preset: str, seed: int, models: list[str], changes: dict[str, Any]
) -> list[Experiment]:
    """Return the rows of `table` on one data set with one seed, all of them if no `models`."""
    if table == "table4":
        rows = [e for _, e in ladder(dataset, preset, seed, **changes)]
        return [e for e in rows if not models or e.model in models]
    every = ["hagan"] if table == "figure7" else models or PAPERS_MODELS
    chosen = [model for model in every if not models or model in models]
    return [_make(model, dataset, preset, seed, changes) for model in chosen]


def at_256(preset: str) -> dict[str, Any]:
    """Return the fields of Table III's protocol at a preset."""
    return AT_256 | STEPS_AT_256.get(preset, {})


def rows_of(table: str, dataset: str, preset: str, **changes: Any) -> list[tuple[str, Experiment]]:
    """Return the seven models' rows of "table2" or "table3", as (model, experiment)."""
    listed = experiments(table, preset, [0], list(PAPERS_MODELS), [dataset], changes)
    return [(e.model, e) for e in listed]


def fair_rivals(
    dataset: str, preset: str, seed: int = 0, **changes: Any
) -> list[tuple[str, Experiment]]:
    """Return FAIR_RIVALS on a data set as (name, experiment)."""
    return [
        (name, _make(model, dataset, preset, seed, own | changes))
        for name, (model, own) in FAIR_RIVALS.items()
    ]


def watched(
    dataset: str, preset: str, seed: int = 0, **changes: Any
) -> list[tuple[str, Experiment]]:
    """Return WATCHED with a share of HELD_OUT held out, as (name, experiment)."""
    held = dict(heldout=HELD_OUT) | changes
    return [
        (name, _make(model, dataset, preset, seed, own | held))
        for name, (model, own) in WATCHED.items()
    ]


def with_rivals(table: str, dataset: str, preset: str) -> list[tuple[str, Experiment]]:
    """Return FAIR_RIVALS, then the other models of "table2" or "table3", as (name, experiment)."""
    changes = at_256(preset) if table == "table3" else {}
    rivals = fair_rivals(dataset, preset, **changes)
    return list(dict(rivals + rows_of(table, dataset, preset)).items())


def few_images(preset: str, seed: int = 0) -> list[tuple[str, Experiment]]:
    """Return FAIR_RIVALS on few images and on more, as (name, experiment), a share held out.

    Names are "hagan on 50 images of covid-ct", and "hagan on all images of covid-ct" for all that
    are not held out.
    """
    rows = []
    for dataset, numbers in FEW.items():
        for n in numbers:
            for name, e in fair_rivals(dataset, preset, seed, heldout=HELD_OUT, n_train=n):
                rows.append((f"{name} on {n or 'all'} images of {dataset}", e))
    return rows


def present(table: str) -> tuple[list[str], list[str]]:
    """Return the data sets of `table` that are on this machine, and those that are not.

    Where none is here, the first list holds the embedded slices. Raises ValueError for a table that
    is none of TABLES.
    """
    _check(table)
    wanted = ("covid-ct",) if table == "table4" else PAPERS_DATASETS
    here = [name for name in wanted if _loads(name)]
    return here or ["mni152"], [name for name in wanted if name not in here]


def _check(table: str) -> None:
    if table not in TABLES:
        raise ValueError(f"{table}: choose one of {', '.join(TABLES)}")


def _loads(name: str) -> bool:
    try:
        return name in DATASETS and bool(load(name))
    except DataError:
        return False


def _make(model: str, dataset: str, preset: str, seed: int, changes: dict[str, Any]) -> Experiment:
    """Return an experiment with those of `changes` that its model uses."""
    names = used_names(choices_of(model))
    own = {field: value for field, value in changes.items() if field in names}
    return Experiment.make(model, dataset, preset, seed=seed, **own)
