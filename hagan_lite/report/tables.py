"""The paper's tables beside ours, from records alone: a missing cell is blank, and FD never stands
in FID's column.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from hagan_lite.config import Experiment
from hagan_lite.paper import PAPER, paper_name
from hagan_lite.report.table1 import FLOPS
from hagan_lite.runs.record import COMPARABLE, DISTANCES, by_row, distance_of, each_once
from hagan_lite.system.storage import write_atomically

_DIGITS = {
    "paper's FID": 3,
    "KID": 3,
    "p_value": 3,
    "nearer": 2,
    "power": 2,
    "rho": 2,
    "low": 2,
    "high": 2,
}
_DIGITS |= {f"paper's {FLOPS}": 2, FLOPS: 2}  # as the paper prints; 1 elsewhere
FID_768 = DISTANCES["fid768"].label
_DIGITS |= {
    column: DISTANCES["fid768"].digits
    for column in (FID_768, f"our {FID_768}", f"{FID_768} of real halves", f"{FID_768} at their n")
}
_WHOLE_NUMBERS = ("seeds", "runs", "KID's runs", f"{FID_768}'s runs", "steps")


def table_2(records: list[dict[str, Any]]) -> pd.DataFrame:
    """Table II, 64x64; see :func:`by_experiment`."""
    return by_experiment(records, 64, "table_2")


def table_3(records: list[dict[str, Any]]) -> pd.DataFrame:
    """Table III, 256x256; see :func:`by_experiment`."""
    return by_experiment(records, 256, "table_3")


def by_experiment(records: list[dict[str, Any]], size: int, printed: str) -> pd.DataFrame:
    """One row per (data, model, changes, preset, steps) at a size, mean and standard deviation over
    seeds.

    Records of different data fingerprints, extractors or image counts never share a row. Columns:
    the paper's FID where it has one; FD with its extractor, floor and numbers of images; FID-768
    where any record has it. A cell without a record is blank.
    """
    rows: dict[tuple, list[dict]] = {}
    for r in (r for r in records if r["experiment"]["size"] == size):
        e, m = r["experiment"], r["metrics"]
        # Told against the model as it is now, so that records of different days compare.
        changes = ", ".join(
            f"{k}={v}" for k, v in Experiment.from_dict(e).changes.items() if k != "steps"
        )
        key = (
            r["data"]["name"],
            r["data"]["fingerprint"],
            e["model"],
            changes,
            e["preset"],
            e["steps"],
        )
        rows.setdefault(key + (m["extractor"], m["resize"], m["n_real"], m["n_fake"]), []).append(r)
    table = []
    for key, same in sorted(rows.items(), key=lambda item: (item[0][0], item[0][5], item[0][2:4])):
        name, fingerprint, model, changes = key[:4]
        row = {"data": name, "fingerprint": fingerprint, "model": model, "changed": changes}
        row |= {"T": same[0]["experiment"]["augment"] or "none"}
        row |= {"paper's FID": PAPER[printed]["fid"].get(model, {}).get(paper_name(name))}
        table.append(row | _scores(each_once(same)))
    return _tidied(pd.DataFrame(table))


def table_4(rows: list[tuple[str, Experiment]], records: list[dict[str, Any]]) -> pd.DataFrame:
    """Table IV: the (name, experiment) `rows` of grids.ladder in their order, over whichever seeds
    have a record.

    The paper's FID stands in both readings of a row that it names, in no control's.
    """
    fids = {row["name"]: row["fid"] for row in PAPER["table_4"]["rows"]}
    names = {name: PAPERS_ROWS.get(name.removesuffix(", no T yet")) for name, _ in rows}
    return of_rows(
        rows, records, {name: fids[printed] for name, printed in names.items() if printed}
    )


def of_rows(
    rows: list[tuple[str, Experiment]], records: list[dict[str, Any]], printed: dict[str, float]
) -> pd.DataFrame:
    """The (name, experiment) `rows` in their order, with the paper's FID where `printed` has one
    for the name, and what records of any seed say. A row without a record is blank.
    """
    known, table = by_row(rows, records), []
    for name, e in rows:
        changed = ", ".join(f"{k}={v}" for k, v in e.changes.items())
        row = {"row": name, "model": e.model, "changed": changed, "paper's FID": printed.get(name)}
        table.append(row | (_scores(known[name]) if name in known else {}))
    return _tidied(pd.DataFrame(table))


def with_records(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of :func:`of_rows` that have a record."""
    return table.dropna(subset="seeds") if "seeds" in table else table[:0]


PAPERS_ROWS = {
    "base": "Base Model",
    "+ AttnMix generator": "+ AttnMix Generator",
    "+ reverse skip": "+ Reverse Skip Connection",
    "+ reverse skip of an instance": "+ Reverse Skip Connection",
    "+ hierarchical discriminator": "+ Hierarchical Discriminator",
    "+ training strategy = hagan": "+ Training Strategy (Ours)",
}
"""What Table IV calls a row of grids.ladder."""


def _tidied(table: pd.DataFrame) -> pd.DataFrame:
    """Leave out FID-768's columns where no row has it, and keep counts whole: with blanks they
    would become floats.
    """
    if FID_768 in table and table[FID_768].isna().all():
        table = table.drop(columns=[FID_768, f"{FID_768}'s runs", f"{FID_768} of real halves"])
    return table.astype({column: "Int64" for column in _WHOLE_NUMBERS if column in table})


def _scores(same: list[dict[str, Any]]) -> dict[str, Any]:
    """Sum up what the runs of one experiment on the same images say, by seed, with the budget they
    were made at.
    """
    metrics, e = [r["metrics"] for r in same], same[0]["experiment"]
    kind = next(kind for kind in DISTANCES if kind in metrics[0])
    label, digits, _ = DISTANCES[kind]
    ours = f"our {label} ({metrics[0]['extractor']})" if kind == "fd" else f"our {label}"
    scores = pd.Series([distance_of(r) for r in same])
    kids = _of_every_seed(same, [m.get("kid") for m in metrics])
    return {
        ours: scores.mean(),
        "sd": scores.std() if len(scores) > 1 else None,
        "each run": ", ".join(f"{s:.{digits}f}" for s in scores),
        "KID": sum(kids) / len(kids) if kids else None,
        "KID's runs": len(kids) or None,
        **_fid_768(same),
        f"{label} of real halves": pd.Series([m["floor"] for m in metrics]).mean(),
        f"{label} at their n": pd.Series([m[f"{kind}_at_floor_n"] for m in metrics]).mean(),
        "seeds": len({r["experiment"]["seed"] for r in same}),
        "runs": len(same),
        "n real / fake": f"{metrics[0]['n_real']} / {metrics[0]['n_fake']}",
        "preset": e["preset"],
        "steps": e["steps"],
        "comparable": "at the same steps" if e["preset"] in COMPARABLE else "no: too short",
    }


def _of_every_seed(same: list[dict[str, Any]], values: list[Any]) -> list[Any]:
    """Return the runs' `values` that are not None, or nothing unless every seed has at least one.

    Older records lack some scores. A mean over some seeds, beside an FD over all of them, would
    compare them by luck.
    """
    seeds = [r["experiment"]["seed"] for r in same]
    with_value = {seed for seed, value in zip(seeds, values, strict=True) if value is not None}
    return [value for value in values if value is not None] if with_value == set(seeds) else []


def _fid_768(same: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the columns of FID-768, as a mean over the runs that have it; blank unless every seed
    has one.
    """
    scores = _of_every_seed(same, [r.get("also", {}).get("inception-768") for r in same])
    return {
        FID_768: sum(s["fid768"] for s in scores) / len(scores) if scores else None,
        f"{FID_768}'s runs": len(scores) or None,
        f"{FID_768} of real halves": sum(s["floor"] for s in scores) / len(scores)
        if scores
        else None,
    }


def audits(records: list[dict[str, Any]]) -> pd.DataFrame:
    """The memorisation audits that records carry: a row per record and space."""
    rows = []
    for r in records:
        about = {
            "data": r["data"]["name"],
            "model": r["experiment"]["model"],
            "seed": r["experiment"]["seed"],
        }
        for space, found in r.get("audit", {}).items():
            told = found if isinstance(found, dict) else dict(verdict=found)
            names = ("n_samples", "n_heldout", "nearer", "p_value", "power", "verdict")
            rows.append(
                about | {"space": space} | {name: told[name] for name in names if name in told}
            )
    return pd.DataFrame(rows)


def markdown(table: pd.DataFrame) -> str:
    """Numbers to as many decimals as the paper's, blanks where there is none."""
    lines = [list(table.columns), ["---"] * len(table.columns), *_shown(table).to_numpy().tolist()]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def save_table(table: pd.DataFrame, path: Path) -> list[Path]:
    """Writes `path`.md, `path`.csv and `path`.tex, rounded as :func:`markdown` does it."""
    shown = _shown(table)
    texts = {".md": markdown(table), ".csv": shown.to_csv(index=False)}
    texts |= {".tex": shown.to_latex(index=False, escape=True)}
    return [
        write_atomically(path.with_suffix(end), lambda f, t=text: f.write(t.encode()))
        for end, text in texts.items()
    ]


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    shown = table.copy()
    for column in shown.select_dtypes("float"):
        shown[column] = [f"{v:.{_DIGITS.get(column, 1)}f}" for v in shown[column]]
    return shown.replace("nan", "").astype(object).where(shown.notna(), "")
