"""Draw the generated parts of README.md and docs/*.md from the committed records (`make figures`).

Also draws the schematic that README.md shows.

    python scripts/pages.py

A part stands between the lines `<!-- NAME: scripts/pages.py -->` and `<!-- end of NAME -->`.
PARTS lists the names.
"""

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from hagan_lite import drawing, runs
from hagan_lite.config import Experiment
from hagan_lite.evaluation.complexity import training_flops
from hagan_lite.report import (
    budgets,
    claims,
    claims_measured,
    effects,
    experiments,
    table1,
    tables,
    verdicts,
    watched,
)
from hagan_lite.report.experiments import AT_256, EARLIER, FULL, LONGER, ladder, tried, with_rivals
from hagan_lite.system.paths import COMMITTED, ROOT, SEARCHED, UNTRAINED

Records = list[dict[str, Any]]
Rows = list[tuple[str, Experiment]]

NOTHING = "*no record yet*\n"
"""What a part shows as long as no record belongs to it."""
VERDICTS = [verdicts.HELD, verdicts.NOT, verdicts.UNDECIDED, verdicts.UNTESTED]
MARK = re.compile(
    r"<!-- (?P<name>\S+): scripts/pages\.py -->\n.*?<!-- end of (?P=name) -->", re.DOTALL
)

MEASURED = {
    FULL: "hagan",
    "sagan with T": "sagan with T",
    "base with T": "base with T",
    "sagan": "sagan",
}
"""Rows of the README and of further data sets, and what they are called there."""
SUSTAINED = 7e12
"""FLOP/s in bf16 that the hours assume: a tenth of an RTX 3090's peak by its data sheet."""
PAIRS = [
    (FULL, "base"),
    (FULL, "sagan"),
    (FULL, "base with T"),
    (FULL, "sagan with T"),
    (FULL, "hagan without T"),
    (FULL, "hagan, CutMix's label"),
    (FULL, "hagan, received map"),
    (FULL, "hagan, fresh noise"),
    (FULL, "hagan, pixels alone"),
    (FULL, "hagan, features by distance"),
    (FULL, "hagan, features by contrast"),
    (FULL, "hagan, consistency grows"),
    (FULL, "hagan, no pixel branch"),
    (FULL, "+ hierarchical discriminator"),
    ("+ reverse skip", "+ reverse skip of an instance"),
    ("hagan without T", "base"),
    ("hagan without T", "sagan without flips"),
    ("base with T", "base"),
    ("base with T", "sagan with T"),
    ("sagan with T", "sagan without flips"),
    ("sagan with T", "sagan"),
    ("sagan without flips", "base"),
    ("sagan without flips", "sagan"),
    ("sagan", "base with flips"),
    ("base", "base with flips"),
    ("base with flips", "base with flips, black comes in"),
    ("sagan", "sagan, black comes in"),
]
"""Rows of the ladder that the text of docs/results.md compares."""


def pages(root: Path = ROOT) -> list[Path]:
    """Return the files that may have generated parts."""
    return [root / "README.md", *sorted((root / "docs").glob("*.md"))]


def named(rows: Rows, names: dict[str, str]) -> Rows:
    """Return those of `rows` that `names` lists, in its order and under the names that it gives."""
    experiments = dict(rows)
    return [(called, experiments[name]) for name, called in names.items()]


def distances(rows: Rows, heading: str, records: Records) -> str:
    """Return the table of the `rows` with records, each run's distance in it."""
    table = tables.with_records(tables.of_rows(rows, records, {}))
    if table.empty:
        return NOTHING
    score = next(column for column in table if column.startswith("our "))
    label = score.removeprefix("our ").split(" (")[0]
    also = tables.FID_768
    headings = {"row": heading, "each run": f"{label} of each run", score: "mean"}
    headings |= {"KID": "KID", "KID's runs": "of runs"}
    headings |= {f"{label} at their n": f"{label} at the floor's n"}
    headings |= {f"{label} of real halves": f"{label} of real halves"}
    headings |= {also: also, f"{also}'s runs": f"{also}: of runs"}
    headings |= {f"{also} of real halves": f"{also} of real halves"}
    columns = [column for column in headings if column in table]
    # markdown() chooses decimals by the column's name: headings change after it wrote the cells.
    head, *lines = tables.markdown(table[columns]).splitlines()
    head = "| " + " | ".join(headings[column] for column in columns) + " |"
    return "\n".join([head, *lines]) + "\n"


def on_another(dataset: str) -> Rows:
    """Return the rows of a further data set: with_rivals', and two with no augmentation."""
    named = dict(ladder(dataset, "cpu"))
    bare = [(name, named[name]) for name in ("sagan without flips", "base")]
    return with_rivals("table2", dataset, "cpu") + bare


def means_in_short(rows: Rows, records: Records) -> str:
    """Return how many runs each of the `rows` has, and their mean FD with its interval."""
    table = tables.with_records(tables.of_rows(rows, records, {})).copy()
    if table.empty:
        return NOTHING
    measured, heading = runs.by_row(rows, records), "mean FD [95 % bootstrap interval]"
    table[heading] = [_mean_and_interval(measured[name]) for name in table["row"]]
    text = tables.markdown(table[["row", "runs", heading, "FD at their n", "FD of real halves"]])
    return text.replace("FD at their n", "FD at the floor's n", 1)


def _mean_and_interval(of_row: Records) -> str:
    scores = tuple(runs.distance_of(r) for r in of_row)
    mean = f"{sum(scores) / len(scores):.1f}"
    if len(scores) == 1:
        return mean
    low, high = effects.interval_of_mean(scores)
    return f"{mean} [{low:.1f}, {high:.1f}]"


def differences(rows: Rows, records: Records) -> str:
    """Return the test of each of PAIRS with records on both sides, and the spread of runs.

    It has no verdicts: p is not corrected, and verdicts are those of the ledger and of budgets.
    """
    measured = runs.by_row(rows, records)
    lines = []
    for row, rival in PAIRS:
        if row in measured and rival in measured:
            finding = claims_measured.better(measured, row, [rival])
            numbers = finding.because.replace(f" ({rival})", "")
            lines.append({"mean FD of": row, "against that of": rival, "numbers": numbers})
    if not lines:
        return NOTHING
    any_record = next(iter(measured.values()))[0]
    sd, freedom = claims_measured.spread(measured, any_record)
    scatter = f"{sd:.1f}, with {freedom} degrees of freedom."
    return (
        tables.markdown(pd.DataFrame(lines))
        + "\nStandard deviation of the runs of one row, pooled over the rows of this table: "
        + f"{scatter}\n"
    )


def untrained(records: Records) -> str:
    """Return the distance of images of HAGAN's generator whose weights no step has moved."""
    of_start = runs.load_records(UNTRAINED)  # none is among `records`
    rows = []
    for r in sorted(of_start, key=lambda r: (r["data"]["name"], r["experiment"]["size"])):
        size, also = r["experiment"]["size"], r["also"]["inception-768"]
        rows.append(
            {
                "data": r["data"]["name"],
                "size": f"{size}x{size}",
                "FD": runs.distance_of(r),
                "FD at the floor's n": r["metrics"]["fd_at_floor_n"],
                "FD of real halves": r["metrics"]["floor"],
                "FID-768": also["fid768"],
                "FID-768 of real halves": also["floor"],
            }
        )
    return tables.markdown(pd.DataFrame(rows)) if rows else NOTHING


def label_chances(records: Records) -> str:
    """Return the chances that three labels move as little as Figure 7 prints, by data and budget.

    Each run has one for each map. Shown are their median, the smallest and the largest.
    """
    groups: dict[tuple[Any, ...], list[dict[str, float]]] = {}
    for r in records:
        if "figure_7" in r:
            e = Experiment.from_dict(r["experiment"])
            what = (r["data"]["name"], e.size, bool(e.heldout), e.steps, e.saliency)
            groups.setdefault(what, []).append(r["figure_7"])
    lines = []
    for (data, size, heldout, steps, saliency), chances in sorted(groups.items()):
        row = {"data": data + (", a part held out" if heldout else ""), "size": f"{size}x{size}"}
        row |= {"steps": f"{steps:,}", "trained with the map": saliency}
        row["runs"] = str(len(chances))
        for name in ("output", "received"):
            of_map = pd.Series([chance[name] for chance in chances])
            middle = f"{of_map.median():.2g}"
            between = f" [{of_map.min():.2g}, {of_map.max():.2g}]" if len(of_map) > 1 else ""
            row[f"chance, {name} map"] = middle + between
        rarer = sum(chance["received"] < chance["output"] for chance in chances)
        lines.append(row | {"rarer under the received map": f"in {rarer} of {len(chances)}"})
    return tables.markdown(pd.DataFrame(lines)) if lines else NOTHING


def search(records: Records) -> str:
    """Return what was tried on the search's seed; these records are apart from all others."""
    del records
    return distances(tried("covid-ct", "cpu"), "what was tried", runs.load_records(SEARCHED))


def ledger_by_verdict(records: Records) -> str:
    """Return the ledger of claims by verdict, each with its numbers and those of its controls."""
    ledger = claims.ledger(records).sort_values(
        "here", key=lambda v: v.map(VERDICTS.index), kind="stable"
    )
    shown = {"verdict": "here", "claim": "claim", "numbers": "because", "controls": "controls"}
    table = pd.DataFrame({heading: ledger[column] for heading, column in shown.items()})
    for column in ("numbers", "controls"):
        table[column] = table[column].str.replace("; ", "<br>", regex=False)
    return tables.markdown(table)


def counts(records: Records) -> str:
    """Return how many claims there are, and how many have which verdict."""
    found = claims.ledger(records)["here"].value_counts()
    row = {"claims": int(found.sum())}
    row |= {verdict: int(found.get(verdict, 0)) for verdict in VERDICTS}
    return tables.markdown(pd.DataFrame([row]))


def printed_cells(records: Records) -> str:
    """Return how many printed cells of Table I agree with what is counted from the networks."""
    del records
    table = table1.table_1()
    # The row of HAGAN's image branch is compared with D's printed cells a second time.
    table = table[~table["network"].str.contains(",")]
    cells = pd.concat([table[column] for column in table if column.endswith(": verdict")])
    counted = cells[cells != ""].value_counts()
    kinds = {
        "agrees": "agree",
        "as a sum": "agree as a sum of rounded numbers",
        "differs": "differ",
    }
    row = {"printed cells": int(counted.sum())} | {
        shown: int(counted.get(kind, 0)) for kind, shown in kinds.items()
    }
    return tables.markdown(pd.DataFrame([row]))


def papers_budget(records: Records) -> str:
    """Return steps and FLOPs of HAGAN's and SAGAN's training at `paper`, and HAGAN's hours."""
    del records
    sizes = {"covid-ct": [64, 256], "acdc": [64, 256], "brats2018": [64]}
    lines = []
    for size in (64, 256):
        changes = {} if size == 64 else AT_256
        for data in (name for name, papers in sizes.items() if size in papers):
            hagan, sagan = (
                Experiment.make(model, data, "paper", **changes) for model in ("hagan", "sagan")
            )
            work, less = training_flops(hagan), training_flops(sagan)
            row = {
                "data, size": f"{data}, {size}x{size}",
                "steps": f"{hagan.steps:,}",
                "PFLOP": work / 1e15,
            }
            lines.append(row | {"hours": work / SUSTAINED / 3600, "SAGAN's PFLOP": less / 1e15})
    return tables.markdown(pd.DataFrame(lines))


SPEED = ROOT / "data" / "speed.json"
"""What `make bench` printed last on the machine that docs/speed.md is about."""
RATIOS = {
    "DCGAN's step: share of a matrix product's speed": ("steps", "dcgan 64", "share_of_matmul"),
    "SAGAN's step: the same": ("steps", "sagan 64", "share_of_matmul"),
    "HAGAN's step: the same": ("steps", "hagan 64", "share_of_matmul"),
    "HAGAN's time over SAGAN's, over the ratio of their FLOPs": (
        "steps",
        "hagan over sagan 64",
        "time_over_flops",
    ),
    "the heap kept, against given back": ("measures", "heap kept, hagan 64", "times_faster"),
    "no pass of $D$ made twice": ("measures", "no pass twice 64", "times_faster"),
    "fused attention, against the N x N matrix": ("measures", "fused attention 64", "times_faster"),
    "channels_last": ("measures", "channels_last 64", "times_faster"),
    "$T$ and masks batched, against one image at a time": (
        "measures",
        "batched T and masks 64",
        "times_faster",
    ),
    "the map of attention's output, against attention received": (
        "measures",
        "output map, hagan 64",
        "times_faster",
    ),
    "one pass of $G$ a step, against two": ("measures", "one pass of G, hagan 64", "times_faster"),
    "both of these": ("measures", "both, hagan 64", "times_faster"),
    "both of these, at width 32": ("measures", "both, hagan 32", "times_faster"),
}
"""What docs/speed.md shows of it: ratios alone, for seconds belong to a machine and an hour."""


def speed(records: Records) -> str:
    """Return the ratios of the last bench; for a measure, how much faster a step is by it."""
    del records
    bench = json.loads(SPEED.read_text())
    targets = {row["figure"]: row["wanted"] for row in bench["targets"]}
    lines = []
    for what, (part, name, key) in RATIOS.items():
        times = " times faster" if key == "times_faster" else ""
        wanted = targets.get(f"{name}: {key}", "")
        lines.append(
            {"what": what, "measured": f"{bench[part][name][key]:.2f}{times}", "aim": wanted}
        )
    return tables.markdown(pd.DataFrame(lines))


GPU = ROOT / "data" / "gpu.json"
"""What stages 1 and 2 of scripts/gpu.sh printed on the GPU that docs/gpu.md is about."""


def on_a_gpu(records: Records) -> str:
    """Return the time of a step on the GPU that was lent, by model, size and mode."""
    del records
    measured = json.loads(GPU.read_text())
    lines = []
    for line in measured["speed"]:
        if "ms" in line:
            model, size, _, batch, mode, precision = line["case"].split()
            what = f"{model}, {size}, batches of {batch}, {precision}"
            how = {"eager": "launched as it is", "recorded": "recorded"}[mode]
            row = {"step in phase two": what, "": how, "ms": f"{line['ms']:.1f}"}
            row["ms of the host"] = f"{line['launching_ms']:.1f}"
            lines.append(row | {"TFLOP/s": f"{line['tflop_per_second']:.1f}"})
    return tables.markdown(pd.DataFrame(lines))


def in_bf16(records: Records) -> str:
    """Return FD of the trainings in bf16, beside that of the same recipe and seed in float32."""
    in_fp32 = {r["hash"]: f"{runs.distance_of(r):.1f}" for r in records}
    lines = []
    for run in json.loads(GPU.read_text())["bf16"]:
        row = {"run": f"{run['model']}, {run['dataset']}, {run['steps']} steps, seed {run['seed']}"}
        row |= {"FD, float32": in_fp32[run["hash"]], "FD, bf16": f"{run['fd']:.1f}"}
        lines.append(row)
    return tables.markdown(pd.DataFrame(lines))


def paper_preset(records: Records) -> str:
    """Return each run of the preset `paper`: FD, FID-768, KID, precision, recall and minutes."""
    lines = []
    for r in records:
        e, m = r["experiment"], r["metrics"]
        if e["preset"] == "paper":
            more = r.get("also", {}).get("inception-768")
            row = {"model": e["model"] + (" with T" if e["augment"] else "")}
            row |= {"data": r["data"]["name"], "size": e["size"], "steps": f"{e['steps']:,}"}
            row |= {"seed": e["seed"], "FD": f"{m['fd']:.1f}"}
            row |= {"FID-768": f"{more['fid768']:.3f}" if more else ""}
            row |= {"KID": f"{m['kid']:.3f}", "precision": f"{m['precision']:.2f}"}
            row |= {"recall": f"{m['recall']:.2f}", "minutes": r["minutes"]}
            for space, audit in r.get("audit", {}).items():
                verdict = audit if isinstance(audit, str) else audit["verdict"]
                row[f"audit, {space}"] = verdict.split(":")[0]
            lines.append(row | {"machine": r["device"]})
    return tables.markdown(pd.DataFrame(lines)) if lines else NOTHING


def where_run(records: Records) -> str:
    """Return which seeds were trained on which data, at which budget, on which machine."""
    seeds: dict[tuple[Any, ...], set[int]] = {}
    for r in records:
        e = Experiment.from_dict(r["experiment"])
        if e.preset in runs.COMPARABLE:
            data = r["data"]["name"] + (", a part held out" if e.heldout else "")
            what = (e.preset, e.size, e.steps, data, _protocol(e), r["device"])
            seeds.setdefault(what, set()).add(e.seed)
    lines = []
    for (preset, size, steps, data, protocol, device), of in sorted(seeds.items()):
        row = {"preset": preset, "size": f"{size}x{size}", "steps": f"{steps:,}", "data": data}
        row |= {"protocol": protocol, "machine": device}
        lines.append(row | {"seeds": ", ".join(map(str, sorted(of)))})
    return tables.markdown(pd.DataFrame(lines)) if lines else NOTHING


def _protocol(e: Experiment) -> str:
    """Return an experiment's protocol; one that changes a single field of it is a control in it."""
    output = e.mix == "attnmix" and e.saliency != EARLIER["saliency"]
    return "earlier" if e.fresh_noise and not output else "present"


def few_images(records: Records) -> str:
    """Return the trainings on few images, with scores against held-out ones."""
    table = tables.few_images(experiments.few_images("cpu"), records)
    return tables.markdown(table) if len(table) else NOTHING


def at_every_budget(records: Records) -> str:
    """Return HAGAN against rivals with T, on each data set at each size and number of steps."""
    compared = budgets.compared_budgets(records)
    return tables.markdown(budgets.table(compared)) if compared else NOTHING


def what_d_says(records: Records) -> str:
    """Return what the discriminators of HAGAN and of SAGAN with T said."""
    table = budgets.what_d_says(records)
    return tables.markdown(table) if len(table) else NOTHING


def d_over_training(records: Records) -> str:
    """Return how D judged training, held-out and generated images while it learnt."""
    table = watched.table(records, "cpu")
    return tables.markdown(table) if len(table) else NOTHING


STEP = "row of Table IV, or a control"
LADDER, EARLIER_LADDER = ladder("covid-ct", "cpu"), ladder("covid-ct", "cpu", **EARLIER)
PARTS: dict[str, Callable[[Records], str]] = dict(
    four=partial(means_in_short, named(LADDER, MEASURED)),
    counts=counts,
    measured=partial(distances, LADDER, STEP),
    measured_pairs=partial(differences, LADDER),
    figure_7=label_chances,
    earlier_pairs=partial(differences, EARLIER_LADDER),
    untrained=untrained,
    tried=search,
    longer=partial(distances, ladder("covid-ct", "cpu", steps=LONGER), STEP),
    longer_pairs=partial(differences, ladder("covid-ct", "cpu", steps=LONGER)),
    models=partial(
        distances, with_rivals("table2", "covid-ct", "cpu"), "model of Table II, or a rival with T"
    ),
    larger=partial(
        distances, with_rivals("table3", "covid-ct", "cpu"), "row, at 256x256 on COVID-CT"
    ),
    larger_acdc=partial(distances, with_rivals("table3", "acdc", "cpu"), "row, at 256x256 on ACDC"),
    acdc=partial(distances, on_another("acdc"), "row, on ACDC"),
    acdc_pairs=partial(differences, ladder("acdc", "cpu")),
    lgg=partial(distances, on_another("lgg"), "row, on LGG"),
    lgg_pairs=partial(differences, ladder("lgg", "cpu")),
    few_images=few_images,
    budgets=at_every_budget,
    what_d_says=what_d_says,
    d_over_training=d_over_training,
    table_1=printed_cells,
    verdicts=ledger_by_verdict,
    budget=papers_budget,
    speed=speed,
    gpu=on_a_gpu,
    bf16=in_bf16,
    paper_preset=paper_preset,
    where_run=where_run,
)


def parts_of(text: str) -> list[str]:
    """Return the names of the parts in a page's text."""
    return [mark["name"] for mark in MARK.finditer(text)]


def drawn(text: str, records: Records) -> str:
    """Return a page's text with every part drawn anew; raise ValueError for one not in PARTS."""

    def draw(mark: re.Match) -> str:
        name = mark["name"]
        if name not in PARTS:
            raise ValueError(f"{name}: no such part; scripts/pages.py has {', '.join(PARTS)}")
        return f"<!-- {name}: scripts/pages.py -->\n{PARTS[name](records)}<!-- end of {name} -->"

    return MARK.sub(draw, text)


def main() -> None:
    records = runs.load_records(COMMITTED)
    for page in pages():
        page.write_text(drawn(page.read_text(), records))
    drawing.save_figure(drawing.schematics.hagan(), ROOT / "figures" / "hagan.png")


if __name__ == "__main__":
    main()
