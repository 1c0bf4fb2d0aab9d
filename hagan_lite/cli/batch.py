"""Define the commands for grids of experiments: batch, status, table."""

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hagan_lite.cli.options import Change, Compile, Curve, Device, Precision, Preset, located, parse
from hagan_lite.config import MODELS, Experiment
from hagan_lite.system.paths import COMMITTED, ROOT, short

if TYPE_CHECKING:
    import pandas as pd

    from hagan_lite.batch.progress import Cell

app = typer.Typer()

Table = Annotated[str, typer.Argument(help="table2, table3, table4 or figure7")]


@app.command()
def batch(
    table: Table,
    preset: Preset = "cpu",
    seeds: Annotated[str, typer.Option(metavar="S,S,...")] = "0",
    models: Annotated[
        str, typer.Option(metavar="M,M,...", help="none: all that the table has")
    ] = "",
    datasets: Annotated[
        str, typer.Option(metavar="D,D,...", help="none: those of the table that are here")
    ] = "",
    changes: Change = None,
    scheduler: Annotated[
        str, typer.Option(metavar="tcp://HOST:PORT", help="of dask; none: this machine")
    ] = "",
    workers: Annotated[
        int, typer.Option(min=0, help="on this machine; 0: one per GPU, or one")
    ] = 0,
    retries: Annotated[int, typer.Option(min=0, help="of a notebook that raises")] = 2,
    device: Device = "auto",
    precision: Precision = "auto",
    compiled: Compile = False,
    curve: Curve = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="only say what would run, and how long")
    ] = False,
    commands: Annotated[
        bool, typer.Option("--commands", help="only print a 'hagan run' per cell")
    ] = False,
) -> None:
    """Run the experiments of a table that are not done yet; the same command again goes on."""
    from hagan_lite.batch import progress
    from hagan_lite.report import experiments

    # What may be mistyped is looked at first: to see which data sets are here takes reading them.
    if not seeds.replace(",", "").isdecimal():
        raise ValueError(f"--seeds {seeds}: give whole numbers, as in 0,1,2")
    numbers = [int(s) for s in _split(seeds)]
    only = _split(models)
    fields = parse([m for m in only or MODELS if m in MODELS], changes or [])
    chosen = [located(name) for name in _split_folders(datasets)]
    if not chosen:
        chosen, missing = experiments.present(table)
        for name in missing:
            advice = f"'hagan data fetch {name}' tells what to do"
            typer.echo(f"{name} is not here and is left out; {advice}", err=True)
    asked = experiments.experiments(table, preset, numbers, only, chosen, fields)
    grid = progress.plan(asked)
    how = dict(device=device, precision=precision, compiled=compiled, curve=curve)
    if commands:
        finished = progress.done(grid, progress.all_records())
        # Cells that are done have a line, too: the number of a job array's task always means the
        # same cell.
        for cell in grid:
            typer.echo(f"# done: {cell.name}" if cell in finished else command(cell.e, **how))
    elif dry_run:
        shown = progress.status(grid, progress.all_records())
        typer.echo(_text(shown))
        left = f"on one worker {progress.time_left(shown)}"
        by = "by records of the same model, preset and size"
        typer.echo(f"{(shown['state'] == 'done').sum()} of {len(grid)} done; {left}, {by}")
    else:
        progress.save_plan(f"{table}-{preset}", grid)
        _echo_notes(grid)
        _run(grid, scheduler, workers, retries, how)


def _echo_notes(grid: list["Cell"]) -> None:
    """Print what a user should know of each data set of a grid, before it trains for hours."""
    from hagan_lite.datasets import load_for

    of_each = {cell.e.dataset: cell.e for cell in grid}
    for e in of_each.values():
        images = load_for(e)
        for note in images.notes:
            typer.echo(f"{images.name}: {note}")


def _run(
    grid: list["Cell"], scheduler: str, workers: int, retries: int, how: dict[str, Any]
) -> None:
    """Run the cells of a grid that are not done; exit with 1 where one was given up."""
    from hagan_lite.batch.workers import run_batch

    try:
        failed = run_batch(grid, scheduler, workers, retries, typer.echo, **how)
    except KeyboardInterrupt:
        typer.echo(
            "\nstopped; the same command goes on. "
            "What runs on an external worker is run to its end there"
        )
        raise typer.Exit(130) from None
    for cell, why in failed.items():
        typer.echo(f"\n{cell.name}: given up after {retries + 1} attempt(s)\n{why}", err=True)
    if failed:
        raise typer.Exit(1)


@app.command()
def status(
    table: Annotated[str, typer.Argument(help="none: every grid asked for here")] = "",
) -> None:
    """Show how far the grids are that `hagan batch` was asked for on this build folder.

    It reads files only.
    """
    from hagan_lite.batch import progress

    plans, records = progress.load_plans(table), progress.all_records()
    if not plans:
        raise ValueError(
            f"no grid of {table or 'any table'} was asked for here; 'hagan batch table2' begins one"
        )
    for name, grid in plans.items():
        shown = progress.status(grid, records)
        finished = (shown["state"] == "done").sum()
        left = progress.time_left(shown)
        typer.echo(f"{name}: {finished} of {len(grid)} done, {left}")
        typer.echo(_text(shown))


@app.command()
def table(
    number: Annotated[
        int,
        typer.Argument(
            min=0, max=4, help="1 to 4: on the screen, this machine's records too; 0: files"
        ),
    ] = 0,
    preset: Preset = "cpu",
    out: Annotated[Path, typer.Option(help="folder for the files")] = ROOT / "figures",
) -> None:
    """Draw Table I, counted, and what records say: Tables II to IV, few images, claims, curves.

    Files are drawn from the committed records alone.
    """
    from hagan_lite.batch import progress
    from hagan_lite.report import publish, tables
    from hagan_lite.runs.record import load_records

    if number:
        drawn = publish.tables_of(progress.all_records(), preset)
        typer.echo(tables.markdown(drawn[f"table{number}"]()))
        return
    for path in publish.draw(load_records(COMMITTED), preset, out):
        typer.echo(short(path))


def command(
    e: Experiment,
    device: str = "auto",
    precision: str = "auto",
    compiled: bool = False,
    curve: bool = False,
) -> str:
    """Return the `hagan run` that makes this experiment, in this way, for a shell."""
    words = ["hagan", "run", "--model", e.model, "--dataset", e.dataset]
    words += ["--preset", e.preset, "--seed", str(e.seed)]
    words += ["--device", device] if device != "auto" else []
    words += ["--precision", precision] if precision != "auto" else []
    words += ["--compile"] if compiled else []
    words += ["--curve"] if curve else []
    for name, value in e.changes.items():
        words += ["--set", f"{name}={value if isinstance(value, str) else json.dumps(value)}"]
    return shlex.join(words)


def _split_folders(text: str) -> list[str]:
    """Return data sets and folders; a comma may also be in the name of a folder that is there."""
    return [text] if Path(text).expanduser().is_dir() and text.strip() else _split(text)


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


_FACTS = dict(FD="FD {:.1f}", minutes="{:.1f} min", left="{:.1f} min to go")
"""How the numbers of a status table are written."""


def _text(shown: "pd.DataFrame") -> str:
    """Return a status table as text, a line per cell."""
    lines = []
    for row in shown.to_dict("records"):
        words = [f"{row['state']:24}", row["experiment"]]
        if row["changed"]:
            words.append(row["changed"])
        for column, template in _FACTS.items():
            if row[column] > 0:  # not so where it is NaN
                words.append(template.format(row[column]))
        lines.append("  ".join(words))
    return "\n".join(lines)
