"""Say how far the cells of a grid are, and show how far one is.

A record means done, a run folder under way.

All of it is read from files, so that any process can tell at any time, in the middle of a grid too.
"""

import functools
import json
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd
from tqdm import tqdm

from hagan_lite import runs
from hagan_lite.config import Experiment
from hagan_lite.datasets.loading import load_for
from hagan_lite.evaluation.metrics import FEWEST
from hagan_lite.runs.record import Records, changes_in_words, distance_of, load_records
from hagan_lite.system.paths import BUILD, COMMITTED, RECORDS, RUNS, short
from hagan_lite.system.runtime import pick_device
from hagan_lite.system.storage import one_at_a_time, read_json, write_json, written_now

COLUMNS = (
    "experiment",
    "model",
    "data",
    "preset",
    "changed",
    "seed",
    "state",
    "FD",
    "minutes",
    "left",
)
"""Of :func:`status`."""
READ_BY = ("size", "channels", "heldout", "n_train", "patient", "masks")
"""Fields that decide which images an experiment trains on; those of one grid are read once."""


@dataclass(frozen=True)
class Cell:
    """Hold an experiment and the images it is run on.

    Without a fingerprint they are whichever copy of the data a record has.
    """

    e: Experiment
    fingerprint: str = ""
    run: Path | None = None

    @property
    def name(self) -> str:
        """Return the run's name, or one from model, data, preset and seed where there is no run."""
        if self.run:
            return self.run.name
        return f"{self.e.model}-{self.e.data_label}-{self.e.preset}-s{self.e.seed}"


def plan(experiments: Iterable[Experiment]) -> list[Cell]:
    """Return the cells of `experiments` on the images of this machine, which are read once.

    Raises DataError for a data set that is not here, ValueError for one too small to measure a
    result.
    """

    @functools.cache
    def images(e: Experiment):
        dataset_here = load_for(e)
        n = len(dataset_here.split(e.heldout, e.n_train)[0])
        if n < FEWEST:
            raise ValueError(
                f"{n} image(s) to train on: {FEWEST} or more are needed to measure the result"
            )
        return dataset_here

    cells = []
    for e in experiments:
        how = {name: getattr(e, name) for name in READ_BY}
        data = images(Experiment.make("hagan", e.dataset, **how))
        cells.append(Cell(e, data.fingerprint, runs.run_dir(e, data)))
    return cells


def save_plan(name: str, cells: list[Cell]) -> Path:
    """Add cells to the grid that was asked for, for `hagan status`, and return its path.

    The file may name a user's folder: it stays below build/.
    """
    path = BUILD / "grids" / f"{name}.json"
    with one_at_a_time(path):
        by_run = {saved["run"]: saved for saved in _readable(path)} if path.exists() else {}
        for cell in cells:
            experiment = cell.e.to_dict() | dict(dataset=cell.e.dataset)
            saved = dict(e=experiment, fingerprint=cell.fingerprint, run=cell.run.name)
            by_run[cell.run.name] = saved
        return write_json(path, list(by_run.values()))


def load_plans(table: str = "") -> dict[str, list[Cell]]:
    """Return {name: cells} of the grids asked for on this build folder, or those of one table."""
    paths = sorted((BUILD / "grids").glob(f"{table or '*'}-*.json"))
    plans = {}
    for path in paths:
        plans[path.stem] = [
            Cell(Experiment.from_dict(saved["e"]), saved["fingerprint"], RUNS / saved["run"])
            for saved in _readable(path)
        ]
    return plans


def _readable(path: Path) -> list[dict[str, Any]]:
    """Return the saved cells of a grid; those that another version saved are left out."""
    return [saved for saved in read_json(path) if not _problem(json.dumps(saved["e"]))]


def all_records() -> Records:
    """Return the committed records, and this machine's.

    A record that another version wrote is left out, with a warning that names it.
    """
    readable = []
    for record in load_records(COMMITTED, RECORDS):
        problem = _problem(json.dumps(record.get("experiment")))
        if problem:
            name = f"{record['name']}.json"
            place = RECORDS if (RECORDS / name).exists() else COMMITTED
            warnings.warn(f"{place / name} is not used: {problem}", stacklevel=2)
        else:
            readable.append(record)
    return readable


@functools.cache
def _problem(experiment: str) -> str:
    """Return why a record's experiment, as JSON, cannot be read, or "" where it can."""
    fields = json.loads(experiment)
    if not isinstance(fields, dict):
        return "it holds no experiment; move it away"
    try:
        Experiment.from_dict(fields)
    except ValueError as error:
        return str(error)
    return ""


def done(cells: Iterable[Cell], records: Records) -> dict[Cell, dict[str, Any]]:
    """Return the record of each cell that has one.

    It has the same choices, hashed as the code is now, on the same images.
    """
    return {c: same[-1] for c, same in runs_of(cells, records).items()}


def runs_of(cells: Iterable[Cell], records: Records) -> dict[Cell, Records]:
    """Return all records of each cell that is done: it may have been run on several machines."""
    by_hash: dict[str, Records] = {}
    for record in records:
        by_hash.setdefault(Experiment.from_dict(record["experiment"]).hash, []).append(record)
    runs = {}
    for cell in cells:
        same = by_hash.get(cell.e.hash, [])
        if cell.fingerprint:
            same = [r for r in same if r.get("data", {}).get("fingerprint") == cell.fingerprint]
        if same:
            runs[cell] = same
    return runs


def status(cells: Iterable[Cell], records: Records, live: bool = True) -> pd.DataFrame:
    """Return a row per cell: its experiment, state, FD, minutes of training and minutes left.

    Numbers are blank where nothing is recorded.

    What is left of a run under way comes from its log, of one to come from records of the same
    model, preset and size on this kind of device. With `live=False` no run folder is looked at.
    """
    cells, rows = list(cells), []
    record_of = done(cells, records)
    on_cpu = pick_device("auto").type == "cpu"
    for cell in cells:
        record, e = record_of.get(cell), cell.e
        score = minutes = None
        if record:
            state, left = "done", 0.0
            score, minutes = distance_of(record), record["minutes"]
        elif live:
            state, left = _under_way(cell, _expected(e, records, on_cpu))
        else:
            state, left = "waiting", _expected(e, records, on_cpu)
        changed = changes_in_words(e.changes)
        about = (cell.name, e.model, e.data_label, e.preset, changed, e.seed)
        rows.append((*about, state, score, minutes, left))
    numbers = dict.fromkeys(("FD", "minutes", "left"), float)
    return pd.DataFrame(rows, columns=COLUMNS).astype(numbers)


def _expected(e: Experiment, records: Records, on_cpu: bool) -> float | None:
    """Return the expected minutes of `e`, or None without a record to judge by.

    The pace is the median of records of the same model, preset and size, on a CPU or not.
    """
    about = (e.model, e.preset, e.size, on_cpu)
    paces = []
    for record in records:
        made, there = record["experiment"], record["device"].startswith("cpu")
        if (made["model"], made["preset"], made["size"], there) == about:
            paces.append(record["minutes"] / made["steps"])
    return median(paces) * e.steps if paces else None


def _under_way(cell: Cell, expected: float | None) -> tuple[str, float | None]:
    """Return state and minutes left of a cell without a record."""
    run, n = cell.run, cell.e.steps
    log = runs.read_log(run)
    k = log[-1]["step"] if log else 0
    left = log[-1]["seconds"] / 60 / k * (n - k) if log else expected
    if (run / ".lock").exists() and written_now(run):
        return f"running: step {k} of {n}", left
    if (run / "run_experiment.ipynb").exists() and _raised(run / "run_experiment.ipynb"):
        return "failed", left
    if k == n:
        return "trained, to be measured", 0.0
    return (f"stopped at step {k} of {n}" if log else "waiting"), left


def _raised(notebook: Path) -> bool:
    """Return whether an executed notebook holds an exception."""
    try:
        cells = read_json(notebook)["cells"]
    except ValueError:  # being written
        return False
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    return any(output["output_type"] == "error" for output in outputs)


def time_left(table: pd.DataFrame, workers: int = 1) -> str:
    """Return in words how long a grid will take on so many workers.

    Cells of unknown length are counted, not guessed.
    """
    todo = table[table["state"] != "done"]
    unknown = int(todo["left"].isna().sum())
    if not len(todo):
        return "nothing left"
    if unknown == len(todo):
        return "time left unknown"
    minutes = todo["left"].sum() / max(1, workers)
    words = f"{minutes:.0f} min left" if minutes < 90 else f"{minutes / 60:.1f} h left"
    if unknown:
        return f"{words} and {unknown} experiments of unknown length"
    return f"about {words}"


@contextmanager
def progress_bar(run: Path, steps: int, label: str) -> Iterator[None]:
    """Show a progress bar in the terminal while a notebook's kernel trains.

    It follows the run's log, and says where the first grid of samples lies as soon as it is there.
    """
    done = threading.Event()

    def follow() -> None:
        with tqdm(total=steps, desc=label, unit="step", mininterval=1, dynamic_ncols=True) as bar:
            waiting_for_samples = True
            while not done.wait(1):
                _advance(bar, run)
                if waiting_for_samples and (grids := sorted(run.glob("samples/step_*.png"))):
                    bar.write(f"first samples: {short(grids[0])}, and in run_experiment.ipynb")
                    waiting_for_samples = False
            _advance(bar, run)

    thread = threading.Thread(target=follow, daemon=True)
    if runs.finished(run):
        yield
        return
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _advance(bar: tqdm, run: Path) -> None:
    log = runs.read_log(run)
    if log:
        bar.set_postfix(runs.in_short(log[-1]), refresh=False)
        bar.update(log[-1]["step"] - bar.n)
        if bar.n == bar.total:
            bar.set_description_str("trained; drawing samples and measuring them", refresh=False)
    bar.refresh()
