"""Put the paper's tables beside ours, from records alone.

A missing cell is blank, and FD never stands in a column called FID.
"""

from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import pandas as pd

from hagan_lite.config import Experiment
from hagan_lite.paper import PAPER, paper_name
from hagan_lite.report.table1 import FLOPS
from hagan_lite.runs.record import (
    COMPARABLE,
    DISTANCES,
    Records,
    against_heldout,
    by_row,
    changes_in_words,
    distance_of,
    each_once,
    load_records,
    precision_of,
)
from hagan_lite.system.paths import UNTRAINED
from hagan_lite.system.storage import write_atomically

SHARES = ("precision", "recall")
"""Of samples among the real images, and of real images among the samples; both are best at 1."""
FID_768 = DISTANCES["fid768"].label
_FID_768_COLUMNS = (FID_768, f"our {FID_768}", f"{FID_768} of real halves", f"{FID_768} at their n")
_OPTIONAL = ("KID", "KID's runs", *SHARES)
_OPTIONAL += (FID_768, f"{FID_768}'s runs", f"{FID_768} of real halves")
"""Columns of scores that older records lack: a table in which no row has one goes without it."""
_DIGITS = {
    **dict.fromkeys(("paper's FID", "KID", "KID, held out", "p_value", "p_nearest", *SHARES), 3),
    **dict.fromkeys(("D's AUC", "D of training images", "D of held-out images"), 2),
    **dict.fromkeys(("D of real", "D of fake", "D apart"), 2),
    **dict.fromkeys(("pixel loss", "of a guess"), 3),
    **dict.fromkeys(("nearer", "power", "rho", "low", "high"), 2),
    **dict.fromkeys((f"paper's {FLOPS}", FLOPS), 2),  # as the paper prints
    **dict.fromkeys(_FID_768_COLUMNS, DISTANCES["fid768"].digits),
}
"""Decimals of a column; 1 for every other one."""
_WHOLE_NUMBERS = ("seeds", "runs", "KID's runs", f"{FID_768}'s runs", "steps")

PAPERS_ROWS = {
    "base": "Base Model",
    "+ AttnMix generator": "+ AttnMix Generator",
    "+ reverse skip": "+ Reverse Skip Connection",
    "+ reverse skip of an instance": "+ Reverse Skip Connection",
    "+ hierarchical discriminator": "+ Hierarchical Discriminator",
    "+ training strategy = hagan": "+ Training Strategy (Ours)",
}
"""The names that Table IV has for rows of experiments.ladder."""


class RowKey(NamedTuple):
    """Name what records must share to be averaged in one row of Table II or III."""

    data: str
    fingerprint: str
    model: str
    changes: str
    preset: str
    steps: int
    extractor: str
    resize: str
    n_real: int
    n_fake: int


def table_2(records: Records) -> pd.DataFrame:
    """Return Table II, 64x64; see :func:`by_experiment`."""
    return by_experiment(records, 64, "table_2")


def table_3(records: Records) -> pd.DataFrame:
    """Return Table III, 256x256; see :func:`by_experiment`."""
    return by_experiment(records, 256, "table_3")


def by_experiment(records: Records, size: int, printed: str) -> pd.DataFrame:
    """Return a row per (data, model, changes, preset, steps) at a size, means and sd over runs.

    Runs that were kept from some of the images answer another question, :func:`few_images`, and
    are left out. Records of different data fingerprints, extractors, image counts or precisions
    never share a row. Columns: the FID of the paper's table `printed` where it has one; FD with its
    extractor, floor and numbers of images; the scores of _OPTIONAL that any record has. A cell
    without a record is blank.
    """
    groups: dict[RowKey, Records] = {}
    for record in records:
        e = record["experiment"]
        if e["size"] == size and not e.get("heldout") and not e.get("n_train"):
            groups.setdefault(_row_key(record), []).append(record)
    in_order = sorted(groups, key=lambda key: (key.data, key.steps, key.model, key.changes))
    fids = PAPER[printed]["fid"]
    table = []
    for key in in_order:
        row = {
            "data": key.data,
            "fingerprint": key.fingerprint,
            "model": key.model,
            "changed": key.changes,
            "T": groups[key][0]["experiment"]["augment"] or "none",
            "paper's FID": fids.get(key.model, {}).get(paper_name(key.data)),
        }
        table.append(row | _scores(each_once(groups[key])))
    return _tidied(pd.DataFrame(table))


def _row_key(record: dict[str, Any]) -> RowKey:
    """Return the row that a record belongs to.

    Its changes are those from the model as it is now, so that records of different days compare,
    and the precision where it is not fp32.
    """
    e, metrics = record["experiment"], record["metrics"]
    changes = Experiment.from_dict(e).changes
    changes.pop("steps", None)
    if precision_of(record) != "fp32":
        changes["precision"] = precision_of(record)
    return RowKey(
        record["data"]["name"],
        record["data"]["fingerprint"],
        e["model"],
        changes_in_words(changes),
        e["preset"],
        e["steps"],
        metrics["extractor"],
        metrics["resize"],
        metrics["n_real"],
        metrics["n_fake"],
    )


def few_images(rows: list[tuple[str, Experiment]], records: Records) -> pd.DataFrame:
    """Return the `rows` of experiments.few_images that have records, each the mean of its runs.

    Scores are those of :func:`runs_on_few_images`; beside the means of KID and FD stand those of
    each run.
    """
    runs = runs_on_few_images(rows, records)
    if runs.empty:
        return runs
    same = ["data", "model", "T", "training images", "held-out images", "steps"]
    scores = [column for column in runs if column not in [*same, "seed"]]
    of_row = runs.groupby(same, sort=False)
    table = of_row[scores].mean().join(of_row["seed"].nunique().rename("seeds"))
    for score, digits in (("KID, held out", 3), ("FD, held out", 1)):
        each = f"{score.removesuffix(', held out')} of each run"
        table[each] = of_row[score].agg(lambda of, n=digits: ", ".join(f"{v:.{n}f}" for v in of))
        scores.insert(scores.index(score) + 1, each)
    return table.reset_index()[[*same[:4], *scores, *same[4:], "seeds"]]


def runs_on_few_images(rows: list[tuple[str, Experiment]], records: Records) -> pd.DataFrame:
    """Return each run of the `rows` of experiments.few_images, by number of images.

    KID and FD compare samples with held-out images, as many as there are: the same number in all
    rows of a data set. "D's AUC" is the chance that D scores a training image above a held-out one.
    """
    of_row = by_row(rows, against_heldout(records))
    table = []
    for name, e in rows:
        for run in of_row.get(name, []):
            data, gap = run["data"], run["heldout"]["gap"]
            table.append(
                {
                    "data": data["name"],
                    "model": name.split(" on ")[0],
                    "T": "yes" if e.augment else "no",
                    "training images": e.n_train or data["n"] - data["n_heldout"],
                    "KID, held out": run["metrics"]["kid"],
                    "FD, held out": distance_of(run),
                    "D's AUC": gap["auc"],
                    "D of training images": gap["training"],
                    "D of held-out images": gap["heldout"],
                    "held-out images": run["metrics"]["n_real"],
                    "steps": e.steps,
                    "seed": run["experiment"]["seed"],
                }
            )
    return pd.DataFrame(table)


def table_4(rows: list[tuple[str, Experiment]], records: Records) -> pd.DataFrame:
    """Return Table IV: the (name, experiment) `rows` of experiments.ladder, over all seeds.

    The paper's FID stands in both readings of a row that it names, and in no control's.
    """
    fids = {row["name"]: row["fid"] for row in PAPER["table_4"]["rows"]}
    printed = {}
    for name, _ in rows:
        papers_name = PAPERS_ROWS.get(name.removesuffix(", no T yet"))
        if papers_name:
            printed[name] = fids[papers_name]
    return of_rows(rows, records, printed)


def of_rows(
    rows: list[tuple[str, Experiment]], records: Records, printed: dict[str, float]
) -> pd.DataFrame:
    """Return the (name, experiment) `rows` in their order, with what records of any seed say.

    `printed` holds the paper's FID by row name. A row without a record is blank.
    """
    of_row = by_row(rows, records)
    table = []
    for name, e in rows:
        row = {
            "row": name,
            "model": e.model,
            "changed": changes_in_words(e.changes),
            "paper's FID": printed.get(name),
        }
        if name in of_row:
            row |= _scores(of_row[name])
        table.append(row)
    return _tidied(pd.DataFrame(table))


def start_of(record: dict[str, Any]) -> float | None:
    """Return the distance of an untrained HAGAN's images from a record's real images, or None.

    It is that of the committed record with the same images, size and extractor.
    """

    def measured(r: dict[str, Any]) -> tuple[Any, ...]:
        return r["data"]["fingerprint"], r["experiment"]["size"], r["metrics"]["extractor"]

    for r in load_records(UNTRAINED):
        if measured(r) == measured(record):
            return distance_of(r)
    return None


def with_records(table: pd.DataFrame) -> pd.DataFrame:
    """Return those rows of :func:`of_rows` that have a record."""
    return table.dropna(subset="seeds") if "seeds" in table else table[:0]


def _tidied(table: pd.DataFrame) -> pd.DataFrame:
    """Drop the columns of _OPTIONAL that are blank in all rows, and make counts whole numbers.

    Blanks would turn counts into floats.
    """
    blank = [c for c in _OPTIONAL if c in table and table[c].isna().all()]
    table = table.drop(columns=blank)
    return table.astype({column: "Int64" for column in _WHOLE_NUMBERS if column in table})


def _scores(runs: Records) -> dict[str, Any]:
    """Return the columns that sum up runs of one experiment on the same images, sorted by seed."""
    metrics = [r["metrics"] for r in runs]
    first, e = metrics[0], runs[0]["experiment"]
    kind = next(kind for kind in DISTANCES if kind in first)
    label, digits, _ = DISTANCES[kind]
    ours = f"our {label} ({first['extractor']})" if kind == "fd" else f"our {label}"
    scores = pd.Series([distance_of(r) for r in runs])
    kids = _of_every_seed(runs, [m.get("kid") for m in metrics])
    return {
        ours: scores.mean(),
        "sd": scores.std() if len(scores) > 1 else None,
        "each run": ", ".join(f"{score:.{digits}f}" for score in scores),
        "KID": _mean(kids),
        "KID's runs": len(kids) or None,
        **_fid_768(runs),
        **{c: _mean(_of_every_seed(runs, [m.get(c) for m in metrics])) for c in SHARES},
        f"{label} of real halves": pd.Series([m["floor"] for m in metrics]).mean(),
        f"{label} at their n": pd.Series([m[f"{kind}_at_floor_n"] for m in metrics]).mean(),
        "seeds": len({r["experiment"]["seed"] for r in runs}),
        "runs": len(runs),
        "n real / fake": f"{first['n_real']} / {first['n_fake']}",
        "preset": e["preset"],
        "steps": e["steps"],
        "comparable": "at the same steps" if e["preset"] in COMPARABLE else "no: too short",
    }


def _of_every_seed(runs: Records, values: list[Any]) -> list[Any]:
    """Return the runs' `values` that are not None, or nothing unless every seed has at least one.

    Older records lack some scores. A mean over some seeds, beside an FD over all of them, would
    compare them by luck.
    """
    seeds = [r["experiment"]["seed"] for r in runs]
    with_value = {seed for seed, value in zip(seeds, values, strict=True) if value is not None}
    if with_value != set(seeds):
        return []
    return [value for value in values if value is not None]


def _fid_768(runs: Records) -> dict[str, Any]:
    """Return FID-768's columns: means over the runs that have it, blank unless every seed has."""
    scores = _of_every_seed(runs, [r.get("also", {}).get("inception-768") for r in runs])
    n = len(scores)
    return {
        FID_768: _mean([s["fid768"] for s in scores]),
        f"{FID_768}'s runs": n or None,
        f"{FID_768} of real halves": _mean([s["floor"] for s in scores]),
    }


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def audits(records: Records) -> pd.DataFrame:
    """Return the memorisation audits that records carry: a row per record and space."""
    columns = ("n_samples", "n_heldout", "nearer", "p_value", "p_nearest", "power", "verdict")
    rows = []
    for record in records:
        e = record["experiment"]
        for space, audit in record.get("audit", {}).items():
            if isinstance(audit, str):  # the reason why there is none
                audit = dict(verdict=audit)
            row = dict(data=record["data"]["name"], model=e["model"], seed=e["seed"], space=space)
            rows.append(row | {name: audit[name] for name in columns if name in audit})
    return pd.DataFrame(rows)


def markdown(table: pd.DataFrame) -> str:
    """Return a table as Markdown: numbers with as many decimals as the paper's, blanks for NaN."""
    lines = [list(table.columns), ["---"] * len(table.columns), *_shown(table).to_numpy().tolist()]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def folded(table: pd.DataFrame, title: str) -> str:
    """Return :func:`markdown` under a line `title` that a reader clicks to see the table."""
    return f"<details><summary>{title}</summary>\n\n{markdown(table)}\n</details>\n"


def save_table(table: pd.DataFrame, path: Path) -> list[Path]:
    """Write `path`.md, `path`.csv and `path`.tex, rounded as :func:`markdown` does; return them."""
    shown = _shown(table)
    texts = {
        ".md": markdown(table),
        ".csv": shown.to_csv(index=False),
        ".tex": shown.to_latex(index=False, escape=True),
    }
    return [_save_text(text, path.with_suffix(end)) for end, text in texts.items()]


def _save_text(text: str, path: Path) -> Path:
    def write(file: BinaryIO) -> None:
        file.write(text.encode())

    return write_atomically(path, write)


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose numbers are texts, rounded, and whose blanks are empty texts."""
    shown = table.copy()
    for column in shown.select_dtypes("float"):
        digits = _DIGITS.get(column, 1)
        shown[column] = [f"{value:.{digits}f}" for value in shown[column]]
    return shown.replace("nan", "").astype(object).where(shown.notna(), "")
