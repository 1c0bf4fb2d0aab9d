"""Result records: small JSON files from which every table and figure is drawn (data/results)."""

import json
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from hagan_lite.config import Experiment
from hagan_lite.runs.folder import read_log
from hagan_lite.system.paths import RECORDS, SEARCH_SEED
from hagan_lite.system.storage import read_json, write_json

Records = list[dict[str, Any]]


class Distance(NamedTuple):
    """Say how a Fréchet distance and KID of the same features are printed.

    Distances of different extractors are not comparable.
    """

    label: str
    digits: int
    kid_digits: int


DISTANCES = {
    "fd": Distance("FD", 1, 4),
    "fid": Distance("FID", 1, 4),
    "fid768": Distance("FID-768", 3, 6),
}
"""By their keys in records. FID is of Inception's 2048 features; 768 give other magnitudes."""

LOGGED = 40
"""So many lines of the run's log are in a record at most."""
NEEDED = ("experiment", "hash", "data", "metrics", "versions", "device", "commit", "weights")


def changes_in_words(changes: dict[str, Any]) -> str:
    """Return changed fields as the pages and the command print them: 'size=256, steps=2000'."""
    return ", ".join(f"{field}={value}" for field, value in changes.items())


def make_record(run: Path, metrics: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return the record of a finished run.

    `metrics` come from metrics.evaluate, with n, extractor, resize, seed and floor; `more` may be
    `also`, the same of further extractors by name (evaluation.Evaluation), `audit`
    (evaluation.summaries), `curve` (evaluation.learning_curve), `figure_7` (figure7.chances) and
    `heldout` (evaluation.on_heldout).
    `weights` says what was judged: always the averaged generator after the last step, never the
    best by the metric. Commit, versions, device and precision are those the run began with.
    """
    about = read_json(Path(run) / "experiment.json")
    log = read_log(run)
    every = math.ceil(len(log) / LOGGED)
    return about | dict(
        weights="ema, last step",
        metrics=metrics,
        log=_columns(log[::every][:-1] + log[-1:]),
        minutes=round(log[-1]["seconds"] / 60, 1),
        **{key: value for key, value in more.items() if value},
    )


def kept_log(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a record's log lines in the form of :func:`read_log`."""
    columns = record["log"]
    lines = []
    for values in zip(*columns.values(), strict=True):
        fields = zip(columns, values, strict=True)
        lines.append({name: value for name, value in fields if value is not None})
    return lines


def _columns(log: list[dict[str, Any]]) -> dict[str, list]:
    """Return a list for each field but the time, with None where a line lacks the field.

    Fields of phase two are absent before it.
    """
    columns = {"step": [line["step"] for line in log]}
    for name in log[-1]:
        if name not in ("step", "seconds"):
            columns[name] = [_four_digits(line.get(name)) for line in log]
    return columns


def _four_digits(value: Any) -> Any:
    """Return a number, or each of a list, with four significant digits; None stays None."""
    if isinstance(value, list):
        return [_four_digits(v) for v in value]
    return float(f"{value:.4g}") if value else value


def save_record(record: dict[str, Any], name: str, folder: Path = RECORDS) -> Path:
    """Write the record as `folder`/`name`.json and return that path.

    Raises ValueError for a record that does not say how it was obtained, for a distance that is no
    finite number, and where a record of other choices or other images has that name.
    """
    missing = [key for key in NEEDED if not record.get(key)]
    if missing:
        raise ValueError(
            f"record {name} lacks {', '.join(missing)}: a number without its origin is not a result"
        )
    distance = distance_of(record)
    if distance is not None and not math.isfinite(distance):
        raise ValueError(
            f"record {name} has the distance {distance}: the training or its images went wrong, "
            "and there is nothing to compare"
        )
    path = Path(folder) / f"{name}.json"
    if path.exists() and (before := _identity(read_json(path))) != _identity(record):
        raise ValueError(
            f"{path} is a record of another experiment or of other images ({before}); "
            "move it away, then run again"
        )
    return write_json(path, record)


def _identity(record: dict[str, Any]) -> tuple[Any, ...]:
    """Return what a record may be written over by: the same choices on the same images."""
    data = record["data"]
    return record["hash"], data.get("fingerprint"), data.get("n")


def load_records(*folders: Path) -> list[dict[str, Any]]:
    """Return all records of the folders, sorted by name.

    Of two that have one name, that of the later folder counts. Raises ValueError, with the file's
    name, for a file that is no record.
    """
    paths = {}
    for folder in folders:
        paths |= {path.name: path for path in Path(folder).glob("*.json")}
    return [_read_record(paths[name]) for name in sorted(paths)]


_REMEDY = "move it away, or fetch a committed one again with git checkout"


def _read_record(path: Path) -> dict[str, Any]:
    """Return a record with its name; raise ValueError, naming the file, if it is damaged."""
    record = read_json(path)
    if not isinstance(record, dict):
        raise ValueError(f"{path} is no record, but a {type(record).__name__}: {_REMEDY}")
    metrics = record.get("metrics", {})
    if not isinstance(metrics, dict):
        raise ValueError(f"{path} has a {type(metrics).__name__} for metrics: {_REMEDY}")
    distance = distance_of(record) if metrics else None
    if distance is not None and not _is_distance(distance):
        raise ValueError(f"{path} has the distance {distance!r}, no number from 0 on: {_REMEDY}")
    return record | {"name": path.stem}


_DRAWN_FROM = [("experiment", "model"), ("data", "name"), ("data", "fingerprint")]
_DRAWN_FROM += [("metrics", "n_real")]
"""What tables read of every record: a part, and a name in it."""


def check_complete(records: Records) -> None:
    """Raise ValueError, naming it, for a record without the parts that tables are drawn from."""
    for record in records:
        for part, name in _DRAWN_FROM:
            if name not in (record.get(part) or {}):
                raise ValueError(
                    f"the record {record['name']}.json lacks {name!r} in {part!r}: {_REMEDY}"
                )


def _is_distance(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and value >= 0


COMPARABLE = ("cpu", "paper")
"""Presets whose numbers may be compared at the same steps; smoke and quick show that it runs."""


def by_row(
    rows: list[tuple[str, Experiment]], records: list[dict[str, Any]]
) -> dict[str, list[dict[str, Any]]]:
    """Return the :func:`comparable` records of each row by seed; no entry for a row without any.

    Each run counts once (:func:`each_once`). Runs with SEARCH_SEED, by which recipes were chosen,
    count only for rows that have that seed themselves.
    """
    of_recipe: dict[tuple[str, bool], list[dict]] = {}
    for r in comparable(records):
        recipe = _recipe_of(json.dumps(r["experiment"]))
        of_recipe.setdefault(recipe, []).append(r)
    of_row = {}
    for name, e in rows:
        if _recipe(e) in of_recipe:
            of_row[name] = each_once(of_recipe[_recipe(e)])
    return of_row


@cache
def _recipe(e: Experiment) -> tuple[str, bool]:
    """Return what experiments of one row have in common: all but the seed, or SEARCH_SEED."""
    return replace(e, seed=0).hash, e.seed == SEARCH_SEED


@cache
def _recipe_of(experiment: str) -> tuple[str, bool]:
    """Return :func:`_recipe` of a record's experiment, which is checked once and not each time."""
    return _recipe(Experiment.from_dict(json.loads(experiment)))


def each_once(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the runs of one experiment, by seed.

    The same seed on another device, number of threads or processor is another run: sums are rounded
    in another order, and hundreds of steps later it is as far away as another seed. A run that was
    repeated, or only evaluated again, counts once (SAME), by a record with further extractors'
    scores if any.
    """
    runs: list[dict[str, Any]] = []
    with_more = [r for r in records if "also" in r]
    others = [r for r in records if "also" not in r]
    for r in [*reversed(with_more), *reversed(others)]:  # the later one counts
        if not any(_same_run(r, other) for other in runs):
            runs.append(r)
    return sorted(runs, key=lambda r: (r["experiment"]["seed"], r["device"], distance_of(r)))


SAME = 1e-4
"""Two distances of one seed on one device that differ by less than this share are of one run.

Evaluated again, a run's distance differs in its last digits; another run's differs by percents.
"""


def _same_run(one: dict[str, Any], other: dict[str, Any]) -> bool:
    machines = [(r["experiment"]["seed"], r["device"]) for r in (one, other)]
    alike = math.isclose(distance_of(one), distance_of(other), rel_tol=SAME)
    return machines[0] == machines[1] and alike


def distance_of(r: dict[str, Any], at: str = "") -> float | None:
    """Return the distance of a record's main extractor, or None.

    `at` is appended to the key: "_at_floor_n" gives the distance at the floor's n.
    """
    keys = (f"{kind}{at}" for kind in DISTANCES)
    return next((r["metrics"][key] for key in keys if key in r["metrics"]), None)


def against_heldout(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the records with scores against held-out images, with these as their metrics."""
    scored = [r for r in records if "metrics" in r.get("heldout", {})]
    return [r | dict(metrics=r["heldout"]["metrics"]) for r in scored]


def comparable(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the records of each data set that may share a table.

    They have one copy of it, one extractor, one number of images and one precision of training. Of
    several such sets the largest counts, so that a record on other images never gets into a mean.
    The number of images is one for all runs on the same part of the data set, so that runs that
    were kept from some images and runs on all of them do not push each other out.
    """
    return _most_common(_most_common(records, _copy_and_measure), _part_and_numbers)


def _most_common(
    records: list[dict[str, Any]], kind_of: Callable[[dict[str, Any]], tuple[Any, ...]]
) -> list[dict[str, Any]]:
    """Return the records of the most common kind, for each first entry of the kinds."""
    kinds = [kind_of(r) for r in records]
    chosen: dict[Any, tuple[Any, ...]] = {}
    for kind, _ in Counter(kinds).most_common():
        chosen.setdefault(kind[0], kind)
    return [r for r, kind in zip(records, kinds, strict=True) if chosen[kind[0]] == kind]


def _copy_and_measure(r: dict[str, Any]) -> tuple[Any, ...]:
    """Return the data set's name, which copy of it, and how a record was computed and measured."""
    data, metrics = r["data"], r["metrics"]
    how = precision_of(r), metrics["extractor"], metrics["resize"]
    return data["name"], data["fingerprint"], *how


def _part_and_numbers(r: dict[str, Any]) -> tuple[Any, ...]:
    """Return the part of the data set that a record's run was given, and its numbers of images."""
    e, metrics = r["experiment"], r["metrics"]
    part = r["data"]["name"], e.get("heldout") or 0, e.get("n_train") or 0
    return part, metrics["n_real"], metrics["n_fake"]


def precision_of(r: dict[str, Any]) -> str:
    """Return the precision that a record's run computed in; the first records do not say fp32."""
    return r.get("precision") or "fp32"
