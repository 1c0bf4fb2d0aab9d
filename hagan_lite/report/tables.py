"""The paper's tables beside ours, from records alone: a missing cell is blank, and FD never stands in FID's column."""

import json
from collections import Counter
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd

from hagan_lite.evaluation.complexity import costs
from hagan_lite.system.paths import SEARCH_SEED
from hagan_lite.config import Experiment
from hagan_lite.paper import paper_name
from hagan_lite.evaluation.features import DISTANCES
from hagan_lite.system.storage import write_atomically

PAPER: dict[str, Any] = json.loads((files("hagan_lite") / "paper.json").read_text())
"""The numbers the paper prints, table by table; never mixed with ours."""
COMPARABLE = ("cpu", "paper")
"""Presets whose numbers may be compared with each other at the same steps; smoke and quick only show that it runs."""


PARAMS, FLOPS = "params, 10^6", "FLOPs of 64 images, 2^30"
"""Table I's columns, with the units that the paper leaves out."""
_DIGITS = {"paper's FID": 3, "KID": 3, "p_value": 3, "nearer": 2, "power": 2, "rho": 2, "low": 2, "high": 2}
_DIGITS |= {f"paper's {FLOPS}": 2, FLOPS: 2}  # as the paper prints; 1 elsewhere
FID_768 = DISTANCES["fid768"].label
_DIGITS |= {
    column: DISTANCES["fid768"].digits
    for column in (FID_768, f"our {FID_768}", f"{FID_768} of real halves", f"{FID_768} at their n")
}
_WHOLE_NUMBERS = ("seeds", "runs", "KID's runs", f"{FID_768}'s runs", "steps")


def table_1() -> pd.DataFrame:
    """Table I: a row per model and network; the paper's parameters and FLOPs, ours, and a verdict for each.

    Ours are counted now, from the networks at the paper's width and 3 channels, by the rule of complexity.py. HAGAN's D
    has a row for its image branch alone, too.
    """
    kinds = ((PARAMS, "params", lambda c: c.parameters / 1e6), (FLOPS, "flops", lambda c: c.units))
    rows = []
    for model, printed in PAPER["table_1"]["rows"].items():
        counted = costs(Experiment.make(model, "covid-ct", "paper", channels=3))
        for network, cost in counted.items():
            row = {"model": model, "network": network}
            for column, key, of in kinds:
                paper = printed.get(key, {}).get(network.split(",")[0])
                rounded = {name: round(of(c), _DIGITS.get(column, 1)) for name, c in counted.items()}
                verdict = _verdict(paper, rounded[network], rounded if network == "all" else {})
                row |= {f"paper's {column}": paper, column: of(cost), f"{column}: verdict": verdict}
            rows.append(row | {"parameters": cost.parameters, "MACs per image": cost.macs})
    return pd.DataFrame(rows)


def _verdict(paper: float | None, ours: float, parts: dict[str, float]) -> str:
    """ "agrees" where our rounded number is the printed one, "as a sum" where the rounded G and D add up to it: some
    of the paper's totals are such sums."""
    if paper is None:
        return ""
    if ours == paper:
        return "agrees"
    return "as a sum" if abs(parts.get("G", 0) + parts.get("D", 0) - paper) < 1e-6 else "differs"


def table_2(records: list[dict[str, Any]]) -> pd.DataFrame:
    """Table II, 64x64; see :func:`by_experiment`."""
    return by_experiment(records, 64, "table_2")


def table_3(records: list[dict[str, Any]]) -> pd.DataFrame:
    """Table III, 256x256; see :func:`by_experiment`."""
    return by_experiment(records, 256, "table_3")


def by_experiment(records: list[dict[str, Any]], size: int, printed: str) -> pd.DataFrame:
    """One row per (data, model, changes, preset, steps) at a size, mean and standard deviation over seeds.

    Records of different data fingerprints, extractors or image counts never share a row. Columns: the paper's FID where
    it has one; FD with its extractor, floor and numbers of images; FID-768 where any record has it. A cell without a
    record is blank.
    """
    rows: dict[tuple, list[dict]] = {}
    for r in (r for r in records if r["experiment"]["size"] == size):
        e, m = r["experiment"], r["metrics"]
        # Told against the model as it is now, so that records of different days compare.
        changes = ", ".join(f"{k}={v}" for k, v in Experiment.from_dict(e).changes.items() if k != "steps")
        key = (r["data"]["name"], r["data"]["fingerprint"], e["model"], changes, e["preset"], e["steps"])
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
    """Table IV: the (name, experiment) `rows` of grids.ladder in their order, over whichever seeds have a record.

    The paper's FID stands in both readings of a row that it names, in no control's.
    """
    fids = {row["name"]: row["fid"] for row in PAPER["table_4"]["rows"]}
    names = {name: PAPERS_ROWS.get(name.removesuffix(", no T yet")) for name, _ in rows}
    return of_rows(rows, records, {name: fids[printed] for name, printed in names.items() if printed})


def of_rows(
    rows: list[tuple[str, Experiment]], records: list[dict[str, Any]], printed: dict[str, float]
) -> pd.DataFrame:
    """The (name, experiment) `rows` in their order, with the paper's FID where `printed` has one for the name, and what
    records of any seed say. A row without a record is blank."""
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


def by_row(rows: list[tuple[str, Experiment]], records: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
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
    kinds = [(*(r["data"][k] for k in ("name", "fingerprint")), *(r["metrics"][k] for k in alike)) for r in records]
    chosen = {kind[0]: kind for kind, _ in reversed(Counter(kinds).most_common())}
    return [r for r, kind in zip(records, kinds, strict=True) if chosen[kind[0]] == kind]


def _tidied(table: pd.DataFrame) -> pd.DataFrame:
    """Leave out FID-768's columns where no row has it, and keep counts whole: with blanks they would become floats."""
    if FID_768 in table and table[FID_768].isna().all():
        table = table.drop(columns=[FID_768, f"{FID_768}'s runs", f"{FID_768} of real halves"])
    return table.astype({column: "Int64" for column in _WHOLE_NUMBERS if column in table})


def _scores(same: list[dict[str, Any]]) -> dict[str, Any]:
    """Sum up what the runs of one experiment on the same images say, by seed, with the budget they were made at."""
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

    Older records lack some scores. A mean over some seeds, beside an FD over all of them, would compare them by luck.
    """
    seeds = [r["experiment"]["seed"] for r in same]
    with_value = {seed for seed, value in zip(seeds, values, strict=True) if value is not None}
    return [value for value in values if value is not None] if with_value == set(seeds) else []


def _fid_768(same: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the columns of FID-768, as a mean over the runs that have it; blank unless every seed has one."""
    scores = _of_every_seed(same, [r.get("also", {}).get("inception-768") for r in same])
    return {
        FID_768: sum(s["fid768"] for s in scores) / len(scores) if scores else None,
        f"{FID_768}'s runs": len(scores) or None,
        f"{FID_768} of real halves": sum(s["floor"] for s in scores) / len(scores) if scores else None,
    }


def audits(records: list[dict[str, Any]]) -> pd.DataFrame:
    """The memorisation audits that records carry: a row per record and space."""
    rows = []
    for r in records:
        about = {"data": r["data"]["name"], "model": r["experiment"]["model"], "seed": r["experiment"]["seed"]}
        for space, found in r.get("audit", {}).items():
            told = found if isinstance(found, dict) else dict(verdict=found)
            names = ("n_samples", "n_heldout", "nearer", "p_value", "power", "verdict")
            rows.append(about | {"space": space} | {name: told[name] for name in names if name in told})
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
        write_atomically(path.with_suffix(end), lambda f, t=text: f.write(t.encode())) for end, text in texts.items()
    ]


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    shown = table.copy()
    for column in shown.select_dtypes("float"):
        shown[column] = [f"{v:.{_DIGITS.get(column, 1)}f}" for v in shown[column]]
    return shown.replace("nan", "").astype(object).where(shown.notna(), "")
