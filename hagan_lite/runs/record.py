"""Result records: small JSON files from which every table and figure is drawn, and nothing else (see data/results)."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from hagan_lite.config import Experiment
from hagan_lite.runs.folder import read_log
from hagan_lite.system.paths import RECORDS, SEARCH_SEED
from hagan_lite.system.storage import read_json, write_json


class Distance(NamedTuple):
    """How a Fréchet distance is printed, and KID of the same features. Each is comparable with its like only."""

    label: str
    digits: int
    kid_digits: int


DISTANCES = {
    "fd": Distance("FD", 1, 4),
    "fid": Distance("FID", 1, 4),
    "fid768": Distance("FID-768", 3, 6),
}
"""By the key that records have. FID is that of Inception's 2048 features alone; 768 features have other magnitudes."""

LOGGED = 40
"""Log lines, at most about, that a record keeps."""
NEEDED = ("experiment", "hash", "data", "metrics", "versions", "device", "commit", "weights")


def make_record(run: Path, metrics: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A record of a finished run. `metrics` come from metrics.evaluate, with n, extractor, resize, seed and floor;
    `more` may be `also`, the same of further extractors by name (evaluation.Evaluation), `audit`
    (evaluation.summaries), `curve` (evaluation.learning_curve) and `figure_7` (figure7.chances).

    `weights` says which were judged: always the averaged generator after the last step, never the best by the metric.
    Commit, versions, device and precision are the run's: those it was begun with.
    """
    about = read_json(Path(run) / "experiment.json")
    log = read_log(run)
    return about | dict(
        weights="ema, last step",
        metrics=metrics,
        log=_columns(log[:: -(-len(log) // LOGGED)][:-1] + log[-1:]),
        minutes=round(log[-1]["seconds"] / 60, 1),
        **{key: value for key, value in more.items() if value},
    )


def kept_log(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The log lines that a record keeps, as the figures of a run take them."""
    columns = record["log"]
    lines = [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]
    return [{k: v for k, v in line.items() if v is not None} for line in lines]


def _columns(log: list[dict[str, Any]]) -> dict[str, list]:
    """A list per field but the time, 4 digits each, None before phase two where the field belongs to it."""

    def short(value: Any) -> Any:
        return (
            [short(v) for v in value]
            if isinstance(value, list)
            else value and float(f"{value:.4g}")
        )

    names = [name for name in log[-1] if name != "seconds"]
    steps = {"step": [line["step"] for line in log]}
    return steps | {
        name: [short(line.get(name)) for line in log] for name in names if name != "step"
    }


def save_record(record: dict[str, Any], name: str, folder: Path = RECORDS) -> Path:
    """Writes the record as `folder`/`name`.json. Raises ValueError for one that does not say how it was obtained."""
    missing = [key for key in NEEDED if not record.get(key)]
    if missing:
        raise ValueError(
            f"record {name} lacks {', '.join(missing)}: a number without its origin is not a result"
        )
    return write_json(Path(folder) / f"{name}.json", record)


def load_records(*folders: Path) -> list[dict[str, Any]]:
    """All records of the given folders, sorted by name; of two with one name the later folder's counts."""
    found = {path.name: path for folder in folders for path in sorted(Path(folder).glob("*.json"))}
    return [read_json(found[name]) | {"name": name.removesuffix(".json")} for name in sorted(found)]


COMPARABLE = ("cpu", "paper")
"""Presets whose numbers may be compared with each other at the same steps; smoke and quick only show that it runs."""


def by_row(
    rows: list[tuple[str, Experiment]], records: list[dict[str, Any]]
) -> dict[str, list[dict[str, Any]]]:
    """The :func:`comparable` records of each row's experiment, by seed; no entry where there is none.

    Each run counts once (:func:`each_once`). The seed that something was chosen by, config.SEARCH_SEED, counts for rows
    that have it, and no other seed does.
    """
    known: dict[tuple[str, bool], list[dict]] = {}
    for r in comparable(records):
        e = Experiment.from_dict(r["experiment"])
        known.setdefault((replace(e, seed=0).hash, e.seed == SEARCH_SEED), []).append(r)
    keys = {name: (replace(e, seed=0).hash, e.seed == SEARCH_SEED) for name, e in rows}
    return {name: each_once(known[key]) for name, key in keys.items() if key in known}


def each_once(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The runs of one experiment, by seed.

    The same seed on another device, number of threads or processor is another run: sums are rounded in another order,
    and hundreds of steps later it is as far away as another seed. What was repeated to the last digit counts once,
    by the record that carries further extractors' scores where one does.
    """
    by_what_they_carry = sorted(records, key=lambda r: "also" in r)
    runs = {(r["experiment"]["seed"], r["device"], distance_of(r)): r for r in by_what_they_carry}
    return [runs[key] for key in sorted(runs)]


def distance_of(r: dict[str, Any], at: str = "") -> float | None:
    """Return the distance of a record's main extractor; `at` is the rest of another key of it in metrics.evaluate."""
    keys = (f"{kind}{at}" for kind in DISTANCES)
    return next((r["metrics"][key] for key in keys if key in r["metrics"]), None)


def comparable(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each data set the records that may share a table: on one copy of it, with one extractor and number of images;
    of several such sets the largest, so that a record on other images never gets into a mean."""
    alike = ("extractor", "resize", "n_real", "n_fake")
    kinds = [
        (*(r["data"][k] for k in ("name", "fingerprint")), *(r["metrics"][k] for k in alike))
        for r in records
    ]
    chosen = {kind[0]: kind for kind, _ in reversed(Counter(kinds).most_common())}
    return [r for r, kind in zip(records, kinds, strict=True) if chosen[kind[0]] == kind]
