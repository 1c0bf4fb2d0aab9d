"""The paper's tables beside ours, from records alone: a missing cell is blank, and FD never stands in FID's column."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd

from hagan_lite.complexity import costs
from hagan_lite.config import Experiment
from hagan_lite.storage import write_atomically

PAPER: dict[str, Any] = json.loads((files("hagan_lite") / "paper.json").read_text())
"""The numbers the paper prints, table by table; never mixed with ours."""
COMPARABLE = ("cpu", "paper")
"""Presets whose numbers may be compared with each other at the same steps; smoke and quick only show that it runs."""


PARAMS, FLOPS = "params, 10^6", "FLOPs of 64 images, 2^30"
"""Table I's columns, with the units that the paper leaves out."""
_DIGITS = {"paper's FID": 3, f"paper's {FLOPS}": 2, FLOPS: 2}  # as the paper prints; 1 elsewhere


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
    """Table II, 64x64: one row per (data, model, changes, preset, steps), mean and standard deviation over seeds.

    Records of different data fingerprints, extractors or image counts never share a row. Columns: the paper's FID where
    it has one; FD with its extractor, floor and numbers of images. A cell without a record is blank.
    """
    rows: dict[tuple, list[dict]] = {}
    for r in records:
        if r["experiment"]["size"] == 64:
            e, m = r["experiment"], r["metrics"]
            # Told against the model as it is now, so that records of different days compare.
            changed = Experiment.from_dict(e).changes
            changes = ", ".join(f"{k}={v}" for k, v in changed.items() if k != "steps")
            key = (r["data"]["name"], r["data"]["fingerprint"], e["model"], changes, e["preset"], e["steps"])
            rows.setdefault(key + (m["extractor"], m["resize"], m["n_real"], m["n_fake"]), []).append(r)
    table = []
    for key, same in sorted(rows.items(), key=lambda item: (item[0][0], item[0][5], item[0][2:4])):
        name, fingerprint, model, changes, preset, steps, extractor, _, n_real, n_fake = key
        kind = "fid" if extractor == "inception" else "fd"
        label = "FID" if kind == "fid" else f"FD ({extractor})"
        fd = pd.Series([r["metrics"][kind] for r in same])
        row = {
            "data": name,
            "fingerprint": fingerprint,
            "model": model,
            "changed": changes,
            "T": same[0]["experiment"]["augment"] or "none",
            "paper's FID": PAPER["table_2"]["fid"][model].get(name),
            f"our {label}": fd.mean(),
            "sd": fd.std() if len(fd) > 1 else None,
            f"{kind.upper()} of real halves": pd.Series([r["metrics"]["floor"] for r in same]).mean(),
            f"{kind.upper()} at their n": pd.Series([r["metrics"][f"{kind}_at_floor_n"] for r in same]).mean(),
            "seeds": len(same),
            "n real / fake": f"{n_real} / {n_fake}",
            "preset": preset,
            "steps": steps,
            "comparable": "at the same steps" if preset in COMPARABLE else "no: too short",
        }
        table.append(row)
    return pd.DataFrame(table)


def markdown(table: pd.DataFrame) -> str:
    """Numbers to as many decimals as the paper's, blanks where there is none."""
    lines = [list(table.columns), ["---"] * len(table.columns), *_shown(table).to_numpy().tolist()]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def save_table(table: pd.DataFrame, path: Path) -> list[Path]:
    """Writes `path`.md and `path`.csv, rounded as :func:`markdown` does it."""
    return [
        write_atomically(path.with_suffix(".md"), lambda f: f.write(markdown(table).encode())),
        write_atomically(path.with_suffix(".csv"), lambda f: f.write(_shown(table).to_csv(index=False).encode())),
    ]


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    shown = table.copy()
    for column in shown.select_dtypes("float"):
        shown[column] = [f"{v:.{_DIGITS.get(column, 1)}f}" for v in shown[column]]
    return shown.replace("nan", "").astype(object).where(shown.notna(), "")
