"""Result records: small JSON files from which every table and figure is drawn, and nothing else (see data/results)."""

from pathlib import Path
from typing import Any

from hagan_lite.system.paths import RECORDS
from hagan_lite.runs.folder import read_log
from hagan_lite.system.storage import read_json
from hagan_lite.system.storage import write_json

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
    lines = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return [{k: v for k, v in line.items() if v is not None} for line in lines]


def _columns(log: list[dict[str, Any]]) -> dict[str, list]:
    """A list per field but the time, 4 digits each, None before phase two where the field belongs to it."""

    def short(value: Any) -> Any:
        return [short(v) for v in value] if isinstance(value, list) else value and float(f"{value:.4g}")

    names = [name for name in log[-1] if name != "seconds"]
    steps = {"step": [line["step"] for line in log]}
    return steps | {name: [short(line.get(name)) for line in log] for name in names if name != "step"}


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
