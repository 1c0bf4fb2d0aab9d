"""Run the notebooks without a browser, sample, evaluate, list data sets, and test."""

import atexit
import gc
import logging
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from hagan_lite import __version__
from hagan_lite.cli import batch, data, fields
from hagan_lite.cli.options import (
    Change,
    Compile,
    Curve,
    Data,
    Device,
    Extractor,
    Masks,
    Model,
    Patient,
    Precision,
    Preset,
    Strict,
    located,
    parse,
)
from hagan_lite.config import DATASETS, Experiment
from hagan_lite.system.paths import BUILD, ROOT, short

app = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__
)
app.add_typer(batch.app)
app.add_typer(fields.app)
app.add_typer(data.app, name="data")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hagan_lite {__version__}")
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option(
        "--version", callback=_print_version, is_eager=True, help="print the version and stop"
    ),
]


@app.callback()
def before_every_command(version: Version = False) -> None:
    """Take the options that belong to no command; `--version` has already been handled."""


@app.command()
def reproduce(
    preset: Preset = "quick", dataset: Data = "mni152", seed: int = 0, device: Device = "auto"
) -> None:
    """Do the main job: train HAGAN through the notebooks, and make a record, samples and figures.

    Figure 7 and Table II are among them. At the preset paper it is Table II's row of models on that
    data set, as `hagan batch table2` runs them.
    """
    from hagan_lite.batch import notebooks, progress
    from hagan_lite.report import tables
    from hagan_lite.system.runtime import pick_device
    from hagan_lite.system.storage import read_json

    dataset, figures = located(dataset), BUILD / "figures"
    e = Experiment.make("hagan", dataset, preset, seed=seed)
    pick_device(device)
    typer.echo(f"HAGAN on {dataset}, preset {preset}, seed {seed}")
    typer.echo("1/5  00_start_here: is everything in place?")
    notebooks.execute("00_start_here")
    typer.echo("2/5  11_run_experiment: train, sample, measure, record")
    if preset == "paper":
        batch.batch("table2", preset, str(seed), datasets=dataset, device=device)
    run, record = _run(e, device, save_to=str(figures))
    same = dict(dataset=dataset, preset=preset, seed=seed, device=device, save_to=str(figures))
    typer.echo("3/5  09_training: how the training went")
    made = [notebooks.execute("09_training", **same)]
    typer.echo("4/5  16_figure7: how AttnMix moved the labels")
    made += [notebooks.execute("16_figure7", **same)]
    typer.echo("5/5  the table")
    table = tables.table_2(progress.all_records())
    made += tables.save_table(table, figures / "table2")
    result = read_json(record)
    for scores in (result["metrics"], *result.get("also", {}).values()):
        typer.echo(_distances_in_words(scores))
    typer.echo("\nMade:")
    for path in [
        *sorted(figures.glob(f"{run.name}*.png")),
        *made,
        run / "run_experiment.ipynb",
        record,
        run,
    ]:
        typer.echo(f"  {short(path)}")


@app.command()
def run(
    model: Model = "hagan",
    dataset: Data = "mni152",
    preset: Preset = "cpu",
    seed: int = 0,
    device: Device = "auto",
    precision: Precision = "auto",
    compiled: Compile = False,
    curve: Curve = False,
    strict: Strict = False,
    masks: Masks = False,
    patient: Patient = "",
    changes: Change = None,
) -> None:
    """Run one experiment, by one papermill execution of 11_run_experiment.

    A stopped one goes on where it was.
    """
    from hagan_lite.system import runtime

    fields = dict(masks=masks, patient=patient) | parse([model], changes or [])
    e = Experiment.make(model, located(dataset), preset, seed=seed, **fields)
    # What cannot be is said before a notebook starts.
    runtime.resolve_precision(runtime.pick_device(device), precision)
    folder, record = _run(e, device, strict, precision=precision, compiled=compiled, curve=curve)
    typer.echo(
        f"Made:\n  {short(folder / 'run_experiment.ipynb')}\n  {short(record)}\n  {short(folder)}"
    )


@app.command()
def sample(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="a run folder")],
    out: Annotated[Path, typer.Option(help="folder for the PNG files")],
    n: Annotated[int, typer.Option("-n", min=1)] = 64,
    seed: int = 0,
    device: Device = "auto",
    dataset: Annotated[
        str, typer.Option(help="training images, for skip=instance on a folder of your own")
    ] = "",
) -> None:
    """Write n generated images as PNG files, into a folder without other pictures."""
    from tqdm import tqdm

    from hagan_lite import datasets, runs
    from hagan_lite.datasets import pixels
    from hagan_lite.system.storage import write_atomically

    e = runs.experiment_of(folder)
    paths = [out / f"{folder.resolve().name}-{i:06d}.png" for i in range(n)]
    if others := sorted(set(out.glob("*.png")) - set(paths)):
        raise ValueError(
            f"{out} holds other pictures, such as {others[0].name}, and these would be mixed with "
            "them: choose an empty folder for --out, or delete them"
        )
    images = runs.sample(
        folder, n, seed, device, datasets.load_for(e, dataset) if dataset else None
    )
    for path, image in zip(
        tqdm(paths, unit="image", desc=f"writing to {out}"), images, strict=True
    ):
        picture = pixels.to_image(image)
        write_atomically(path, lambda f, p=picture: p.save(f, "png"))


@app.command()
def compare(
    folders: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="run folders on the same images")
    ],
    out: Annotated[Path, typer.Option(help="the PNG file")] = BUILD / "figures" / "compared.png",
    seed: int = 0,
    device: Device = "auto",
    dataset: Annotated[
        str, typer.Option(help="the training images, where they are a folder of your own")
    ] = "",
) -> None:
    """Draw samples of several runs beside the real images, in one picture.

    It has the first twelve of each (four if large).
    """
    from hagan_lite import datasets, drawing, runs
    from hagan_lite.datasets.sources import titled
    from hagan_lite.drawing.evaluation import models_side_by_side
    from hagan_lite.report.models import names_side_by_side

    experiments = [runs.experiment_of(folder) for folder in folders]
    if len({(e.size, e.channels) for e in experiments}) > 1:
        raise ValueError("these runs differ in size or channels: compare runs of one size")
    n, tiles = (12, (3, 4)) if experiments[0].size <= 128 else (4, (2, 2))
    images = datasets.load_for(experiments[0], dataset)
    for folder in folders:
        runs.check_data(folder, images)
    blocks = {"real images": drawing.spread(images.images, n)}
    names, common = names_side_by_side(experiments)
    for folder, name in zip(folders, names, strict=True):
        block = folder.name if name in blocks else name
        blocks[block] = runs.sample(folder, n, seed, device, images)
    side = images.images.shape[-1]
    about = ", ".join(filter(None, (f"{images.name}, {side}x{side}", common)))
    title = titled(about, images.name)
    typer.echo(short(drawing.save_figure(models_side_by_side(blocks, title, tiles), out)))


@app.command()
def evaluate(
    what: Annotated[
        list[Path],
        typer.Argument(metavar="RUN | REAL FAKE", help="a run, or two folders of images"),
    ],
    extractor: Extractor = "auto",
    sets: Annotated[
        int, typer.Option(min=0, help="fresh sample sets of a run, for the spread")
    ] = 10,
    size: Annotated[int, typer.Option(help="pixels a side that folders are read at")] = 64,
    seed: int = 0,
    device: Device = "auto",
    dataset: Annotated[
        str, typer.Option(help="a run's training images, where they are a folder of your own")
    ] = "",
    masks: Masks = False,
    patient: Patient = "",
) -> None:
    """Print scores with their floors, and whether training images were copied.

    They are those of a run, or of one folder of images against another. --masks and --patient are
    about the folder of real ones.
    """
    from hagan_lite import datasets, evaluation

    if len(what) == 1:
        result = evaluation.of_run(what[0], extractor, sets, seed, device, dataset)
    elif len(what) == 2:
        names = [located(str(folder)) for folder in what]
        # Nothing is taken out of generated images: a failed model is judged by its flat ones, too.
        everything = {} if names[1] in DATASETS else dict(masks=True, flat=True)
        real = datasets.load(names[0], size, masks=masks, patient=patient)
        fake = datasets.load(names[1], size, **everything)
        for title, images in (("real", real), ("generated", fake)):
            typer.echo(f"{title}: {len(images)} images, {len(images.left_out)} files left out")
            for note in images.notes:
                typer.echo(f"  {note}")
        result = evaluation.of_images(real, fake.images, extractor, seed, device)
    else:
        raise ValueError(
            "give one run folder, or two folders of images: the real ones, then the generated ones"
        )
    typer.echo(evaluation.in_words(result))


@app.command()
def test(
    pytest_arguments: Annotated[
        list[str] | None, typer.Argument(help="passed on to pytest")
    ] = None,
    fast: Annotated[
        bool, typer.Option("--fast", help="leave out what trains, or needs a notebook or a browser")
    ] = False,
) -> None:
    """Lint, then run every test; the notebooks are executed by tests."""
    selection = ["-m", "not slow"] if fast else []
    for words in (
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["pytest", *selection, *(pytest_arguments or [])],
    ):
        code = subprocess.run([sys.executable, "-m", *words], cwd=ROOT).returncode
        if code:
            raise typer.Exit(code)


def main() -> None:
    """Run the command; print errors that a user can mend as one line, without a traceback."""
    warnings.showwarning = _once(warnings.showwarning)
    atexit.register(gc.freeze)  # no last search for unreachable objects: a second with torch
    try:
        app()
    except (ValueError, OSError, RuntimeError) as error:
        typer.echo(f"hagan: {error}", err=True)
        sys.exit(1)


def _once(otherwise: Callable[..., None]) -> Callable[..., None]:
    """Return a `warnings.showwarning` that prints ours, which are for the user, once and plainly.

    Other warnings go to `otherwise`.
    """
    said = set()

    def show(message, category, *where, **more) -> None:
        if category is not UserWarning:
            otherwise(message, category, *where, **more)
        elif str(message) not in said:
            said.add(str(message))
            typer.echo(f"hagan: {message}", err=True)

    return show


def _distances_in_words(scores: dict[str, Any]) -> str:
    """Return two lines on an extractor's distance: with all images, and with the floor's number."""
    from hagan_lite.evaluation.features import EXTRACTORS
    from hagan_lite.runs.record import DISTANCES

    key = EXTRACTORS[scores["extractor"]].distance
    label, digits, _ = DISTANCES[key]
    whole, at_floor, floor = (
        f"{scores[k]:.{digits}f}" for k in (key, f"{key}_at_floor_n", "floor")
    )
    return (
        f"\n{label}, a Fréchet distance ({scores['extractor']}, {scores['n_fake']} generated "
        f"against {scores['n_real']} real images): {whole}\n"
        f"At {scores['n_floor']} against {scores['n_floor']} images: generated {at_floor}, "
        f"one half of the real images against the other {floor}"
    )


def _run(e: Experiment, device: str, strict: bool = False, **parameters: Any) -> tuple[Path, Path]:
    """Execute 11_run_experiment; return the run folder and the record's path."""
    from hagan_lite.batch import notebooks, progress
    from hagan_lite.datasets.loading import load_for
    from hagan_lite.evaluation.features import choose_all
    from hagan_lite.system.storage import only_writer

    choose_all()  # a file of weights that cannot be used is said before the training
    images = load_for(e, strict=strict)
    for note in images.notes:
        typer.echo(f"{e.data_label}: {note}")
    run = progress.plan([e])[0].run
    with only_writer(run):  # where that cannot be, it is said before a notebook starts
        pass
    try:
        with progress.progress_bar(run, e.steps, f"{e.model} on {e.data_label}"):
            return run, notebooks.run_experiment(e, run, device=device, **parameters)
    except KeyboardInterrupt:
        # nbclient leaves a task behind when it ends the kernel.
        logging.getLogger("asyncio").disabled = True
        typer.echo(
            f"\nstopped; the last step is saved in {short(run)}: "
            "give the same command again and it goes on"
        )
        raise typer.Exit(130) from None
