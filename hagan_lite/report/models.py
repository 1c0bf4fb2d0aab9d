"""List the runs of Table II's models and of rivals with T, as one picture shows them."""

from typing import Any

from hagan_lite.config import Experiment
from hagan_lite.drawing import ModelRow
from hagan_lite.paper import PAPER, paper_name
from hagan_lite.report.effects import interval_of_mean
from hagan_lite.report.experiments import FAIR_RIVALS, WITH_T, with_rivals
from hagan_lite.runs.record import by_row, changes_in_words, distance_of

FEWEST = 3
"""Runs that an interval of a mean takes."""


def model_rows(records: list[dict[str, Any]], data: str, preset: str = "cpu") -> list[ModelRow]:
    """Return a line for each model on `data` at 64x64, HAGAN last and rivals with T above it.

    The paper's FID stands beside its own rows, with its place among them; nothing where the paper
    has no such data set. A model without records has no scores.
    """
    experiments = _rows(data, preset)
    measured = by_row(experiments, records)
    rows, printed = [], _printed(data)
    for name, e in experiments:
        scores = [distance_of(r) for r in measured.get(name, [])]
        interval = interval_of_mean(tuple(scores)) if len(scores) >= FEWEST else None
        rows.append(ModelRow(name, bool(e.augment), scores, interval, printed.get(name, "")))
    return rows


def names_side_by_side(experiments: list[Experiment]) -> tuple[list[str], str]:
    """Return a name for each experiment that says in what it differs, and what all have in common.

    Models with HAGAN's augmentation are called as in FAIR_RIVALS. A field that a model does not
    use does not differ.
    """
    rivals = {model: rival for rival, (model, _) in FAIR_RIVALS.items()}
    several_presets = len({e.preset for e in experiments}) > 1
    names, changes = [], []
    for e in experiments:
        own = dict(preset=e.preset) if several_presets else {}
        own |= e.changes | dict(steps=e.steps, seed=e.seed)
        own.pop("size", None)  # `hagan compare` takes runs of one size
        name = e.model
        if WITH_T.items() <= own.items():
            name = rivals.get(e.model, f"{e.model} with T")
            own = {field: value for field, value in own.items() if field not in WITH_T}
        names.append(name)
        changes.append(own)
    common = _in_common(experiments, changes)
    for i, own in enumerate(changes):
        differs = {field: value for field, value in own.items() if field not in common}
        names[i] = ", ".join(filter(None, (names[i], _in_words(differs))))
    if common.get("z_dim") == Experiment.make(preset="paper", size=experiments[0].size).z_dim:
        del common["z_dim"]  # the paper's at this size, which a reader sees
    return names, _in_words(common)


def _in_common(experiments: list[Experiment], changes: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the changes that several runs share, and no other run that has the field."""
    common = {}
    for own in changes:
        for field, value in own.items():
            same = [other.get(field) == value for other in changes]
            unused = [field in e.REFUSED for e in experiments]
            shared = same.count(True) >= min(2, len(changes))
            if shared and all(s or u for s, u in zip(same, unused, strict=True)):
                common[field] = value
    return common


def _in_words(changes: dict[str, Any]) -> str:
    """Return changes as a picture shows them: '2,000 steps of 2 images, seed 1'."""
    own_words = ["steps", "seed"]
    steps = f"{changes['steps']:,} steps" if "steps" in changes else ""
    if steps and "batch_size" in changes:
        own_words.append("batch_size")
        steps += f" of {changes['batch_size']} images"
    rest = {field: value for field, value in changes.items() if field not in own_words}
    seed = f"seed {changes['seed']}" if "seed" in changes else ""
    return ", ".join(filter(None, (changes_in_words(rest), steps, seed)))


def _rows(data: str, preset: str) -> list[tuple[str, Experiment]]:
    """Return all rows as (name, experiment): HAGAN last, rivals with T just above it."""
    hagan, *rows = with_rivals("table2", data, preset)
    return [*sorted(rows, key=lambda row: row[0] in FAIR_RIVALS), hagan]


def _printed(data: str) -> dict[str, str]:
    """Return "88.9 (1)" for each model: the paper's FID and its place among the seven."""
    fids = {}
    for model, row in PAPER["table_2"]["fid"].items():
        if paper_name(data) in row:
            fids[model] = row[paper_name(data)]
    order = sorted(fids, key=fids.get)
    return {model: f"{fids[model]:.1f} ({order.index(model) + 1})" for model in fids}
