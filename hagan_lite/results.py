"""Result records: small JSON files from which every table and figure is drawn, and nothing else (see data/results)."""

from pathlib import Path
from typing import Any

from hagan_lite.config import RECORDS
from hagan_lite.runs import read_log
from hagan_lite.storage import read_json, write_json

NEEDED = ("experiment", "hash", "data", "metrics", "versions", "device", "commit", "weights")


def make_record(run: Path, metrics: dict[str, Any]) -> dict[str, Any]:
    """A record of a finished run. `metrics` come from metrics.evaluate, with n, extractor, resize, seed and floor.

    `weights` says which were judged: always the averaged generator after the last step, never the best by the metric.
    Commit, versions, device and precision are the run's: those it was begun with.
    """
    about = read_json(Path(run) / "experiment.json")
    log = read_log(run)
    return about | dict(
        weights="ema, last step",
        metrics=metrics,
        shift=[line["shift"] for line in log if "shift" in line][-1:],  # quantiles of lambda - lambda_0, last logged
        minutes=round(log[-1]["seconds"] / 60, 1),
    )


def save_record(record: dict[str, Any], name: str, folder: Path = RECORDS) -> Path:
    """Writes the record as `folder`/`name`.json. Raises ValueError for one that does not say how it was obtained."""
    missing = [key for key in NEEDED if not record.get(key)]
    if missing:
        raise ValueError(f"record {name} lacks {', '.join(missing)}: a number without its origin is not a result")
    return write_json(Path(folder) / f"{name}.json", record)


def load_records(*folders: Path) -> list[dict[str, Any]]:
    """All records of the given folders, sorted by name; of two with one name the later folder's counts."""
    found = {path.name: path for folder in folders for path in sorted(Path(folder).glob("*.json"))}
    return [read_json(found[name]) | {"name": name.removesuffix(".json")} for name in sorted(found)]
